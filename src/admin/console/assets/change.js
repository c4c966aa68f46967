// The form that changes a pool or an address: first what it would move, then for good.

import { call } from "./api.js";
import { fill, h, mark, say, toast } from "./dom.js";
import { colourOf, refresh, refreshEdits, refusal } from "./store.js";
import { plural } from "./words.js";

const STATES = [
  ["auto", "Auto", "as its check says"],
  ["drain", "Drain", "given to nobody new; who has it goes on"],
  ["down", "Disable", "counts as down"],
  ["up", "Force up", "counts as up, whatever its check says"],
];

/** As many clients of a domain are listed. */
const CLIENTS = 40;

/**
 * The form for `object`, `pools/NAME` or `pools/NAME/addresses/NAME`, each part encoded. `now()` is its present
 * { state, weight }, `weight` undefined for a pool.
 */
export function form(object, pool, now) {
  let previewed = null;
  const begun = now();
  const was = { ...begun };
  const states = STATES.map(([value, label, meaning]) => {
    const input = h("input", { type: "radio", name: "state", id: `state-${value}`, value, on: { change: touched } });
    input.checked = value === begun.state;
    return { value, input, element: h("label", { class: "segment", title: meaning }, input, h("span", {}, label)) };
  });
  const weight = begun.weight === undefined ? null
    : h("input", { type: "number", id: "weight", min: 0, max: 65535, step: 1, value: begun.weight, inputmode: "numeric", on: { input: touched } });
  const reason = h("input", { type: "text", id: "reason", autocomplete: "off", placeholder: "why, for whoever looks next", maxlength: 200, on: { input: touched } });
  const expires = h("input", { type: "text", id: "expires", autocomplete: "off", placeholder: "until taken back", list: "spans", on: { input: touched } });
  const preview = h("button", { type: "submit", class: "primary", id: "preview" }, "See what moves");
  const result = h("div", { class: "moves", "aria-live": "polite" });
  const hint = h("p", { class: "hint" });
  const fields = h("fieldset", {},
    h("legend", { class: "sr" }, "Change it"),
    h("div", { class: "segments", role: "radiogroup", "aria-label": "State" }, states.map(({ element }) => element)),
    h("div", { class: "fields" },
      weight && h("label", { for: "weight" }, "Weight"), weight,
      h("label", { for: "reason" }, "Reason"), reason,
      h("label", { for: "expires" }, "Ends after"), expires),
    h("datalist", { id: "spans" }, ["15m", "30m", "2h", "12h", "1d"].map((value) => h("option", { value }))),
    h("div", { class: "actions" }, preview, hint));
  const element = h("form", { class: "change", novalidate: true, on: { submit: (event) => { event.preventDefault(); look(); } } }, fields, result);

  function chosen() {
    return states.find(({ input }) => input.checked)?.value ?? begun.state;
  }

  /** What the form says now as a transaction; `null` where it changes nothing. */
  function transaction() {
    const edits = [];
    if (chosen() !== was.state) edits.push({ object, state: chosen() });
    if (weight && weight.value !== "" && Number(weight.value) !== was.weight) edits.push({ object, merge: { weight: Number(weight.value) } });
    if (edits.length === 0) return null;
    const asked = { edits };
    if (reason.value.trim()) asked.reason = reason.value.trim();
    if (expires.value.trim()) asked.expires = expires.value.trim();
    return asked;
  }

  function touched() {
    previewed = null;
    fill(result);
    update();
  }

  /** Takes in what has changed meanwhile, unless it is what the operator is at. */
  function update() {
    const present = now();
    if (chosen() === was.state) for (const { value, input } of states) input.checked = value === present.state;
    if (weight && Number(weight.value) === was.weight && document.activeElement !== weight) weight.value = present.weight;
    Object.assign(was, present);
    const refused = refusal(pool);
    fields.disabled = refused !== null;
    preview.disabled = transaction() === null;
    say(hint, refused ?? (preview.disabled ? "Choose a state or change the weight." : ""));
    mark(element, "title", refused);
  }

  async function look() {
    const asked = transaction();
    if (!asked) return;
    fill(result, h("p", { class: "hint" }, "Trying it on every domain and country…"));
    preview.disabled = true;
    try {
      const { moves } = await call("POST", "/v1/transactions?dry_run=true", asked);
      previewed = JSON.stringify(asked);
      const apply = h("button", { type: "button", class: "primary danger", id: "apply", on: { click: commit } }, "Apply");
      fill(result, story(moves), h("div", { class: "actions" }, apply,
        h("button", { type: "button", on: { click: () => { reset(); states[0].input.focus(); } } }, "Leave it")));
      apply.focus();
    } catch (problem) {
      fill(result, complaint(problem));
    }
    preview.disabled = transaction() === null;
  }

  async function commit() {
    const asked = transaction();
    // What is applied is what was looked at.
    if (!asked || JSON.stringify(asked) !== previewed) return;
    const apply = result.querySelector("#apply");
    if (apply) apply.disabled = true;
    try {
      const { edits } = await call("POST", "/v1/transactions", asked);
      toast(edits?.length ? `In force: ${edits.map((id) => `edit ${id}`).join(", ")}` : "In force");
      for (const edit of asked.edits) {
        if (edit.state) was.state = edit.state;
        if (edit.merge) was.weight = edit.merge.weight;
      }
      reason.value = "";
      expires.value = "";
      touched();
      states.find(({ input }) => input.checked)?.input.focus();
    } catch (problem) {
      fill(result, complaint(problem));
    }
    refresh();
    refreshEdits();
  }

  function reset() {
    const present = now();
    for (const { value, input } of states) input.checked = value === present.state;
    if (weight) weight.value = present.weight;
    Object.assign(was, present);
    reason.value = "";
    expires.value = "";
    touched();
  }

  /** Chooses a state and shows what it would move. */
  function propose(state) {
    if (refusal(pool) !== null) return;
    for (const { value, input } of states) input.checked = value === state;
    touched();
    if (transaction()) look();
    else states.find(({ value }) => value === state)?.input.focus();
  }

  update();
  return { element, update, propose, focusWeight: () => { weight?.focus(); weight?.select(); } };
}

function complaint(problem) {
  const where = problem.field ? ` (${problem.field})` : "";
  return h("p", { class: "complaint", role: "alert" }, `Refused: ${problem.message}${where}`);
}

/** What a dry run found, domain by domain. */
function story(moves) {
  if (!moves || moves.length === 0) return h("p", { class: "calm" }, "No answer moves, for any country.");
  return [
    h("p", {}, h("strong", {}, `Answers of ${plural(moves.length, "domain")} move`), " (one client per country was asked for):"),
    h("ul", { class: "domains" }, moves.map((move) => {
      const list = h("ul", { class: "clients" });
      // What is folded in costs nothing until it is looked at.
      const details = h("details", { on: { toggle: () => { if (details.open && !list.firstChild) fill(list, clients(move)); } } },
        h("summary", {},
          h("span", { class: "name" }, move.domain), h("span", { class: "type" }, move.type),
          h("span", { class: "many" }, `${move.moved} of ${move.asked}`),
          meter(move.moved, move.asked)),
        list);
      if (moves.length === 1) {
        details.open = true;
        fill(list, clients(move));
      }
      return h("li", {}, details);
    })),
  ];
}

function meter(part, whole) {
  const bar = h("span", { class: "meter", "aria-hidden": "true" }, h("span"));
  bar.firstChild.style.width = `${whole > 0 ? Math.max(2, 100 * part / whole) : 0}%`;
  return bar;
}

function clients({ clients: all, moved }) {
  const items = all.slice(0, CLIENTS).map(({ country, client, before, after }) => h("li", {},
    h("b", {}, country ?? "—"), h("code", {}, client), h("span", {}, ...outcome(before), " → ", ...outcome(after))));
  const left = moved - items.length;
  return left > 0 ? [...items, h("li", { class: "hint" }, `and ${left} more`)] : items;
}

/** The pool and the addresses of an answer. */
function outcome(explanation) {
  const pool = [...explanation.decisions].reverse().find(({ pool: taken }) => taken)?.pool;
  const data = explanation.answer.map((record) => record.split(/\s+/).slice(4).join(" "));
  const given = data.length > 0 ? data.join(", ") : explanation.rcode;
  return [pool && h("i", { class: `swatch ${colourOf(pool)}`, "aria-hidden": "true" }), pool ? `${pool} ` : "", h("small", {}, given)];
}
