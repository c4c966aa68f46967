// The form that changes a pool or an address: first what it would move, then for good.

import { call, exchange } from "./api.js";
import { conflict } from "./conflict.js";
import { fill, h, mark, say, toast } from "./dom.js";
import { addressOf, colourOf, editsOf, loadEdits, poolOf, refresh, refreshEdits, refusal, state } from "./store.js";
import { objectOf, partsOf, plural } from "./words.js";

const STATES = [
  ["auto", "Auto", "as its check says"],
  ["drain", "Drain", "given to nobody new; who has it goes on"],
  ["down", "Disable", "counts as down"],
  ["up", "Force up", "counts as up, whatever its check says"],
];

/** As many clients of a domain are listed. */
const CLIENTS = 40;

/**
 * The form for `object`, `pools/NAME` or `pools/NAME/addresses/NAME`, each part encoded. It is filled from the object
 * as the server has it, and follows that until the operator touches it. What is applied then is applied to what it was
 * filled from, or not at all.
 */
export function form(object, pool, isAddress) {
  /** What it was filled from: see `load`. `null`: nothing yet, or it is not there. */
  let base = null;
  /** What was known of the pool when that was asked for, by which it is seen that it may be another. */
  let known = null;
  let filling = null;
  let previewed = null;
  /** What the form was filled from before somebody else's change that the operator was told of; else `null`. */
  let overtaken = null;
  const states = STATES.map(([value, label, meaning]) => {
    const input = h("input", { type: "radio", name: "state", id: `state-${value}`, value, on: { change: touched } });
    return { value, label, input, element: h("label", { class: "segment", title: meaning }, input, h("span", {}, label)) };
  });
  const weight = isAddress
    ? h("input", { type: "number", id: "weight", min: 0, max: 65535, step: 1, inputmode: "numeric", on: { input: touched } }) : null;
  const reason = h("input", { type: "text", id: "reason", autocomplete: "off", placeholder: "why, for whoever looks next", maxlength: 200, on: { input: touched } });
  const expires = h("input", { type: "text", id: "expires", autocomplete: "off", placeholder: "until taken back", list: "spans", on: { input: touched } });
  const preview = h("button", { type: "submit", class: "primary", id: "preview" }, "See what moves");
  const notice = h("section", { class: "conflict", tabindex: -1, "aria-label": "Changed meanwhile" });
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
  const element = h("form", { class: "change", novalidate: true, on: { submit: (event) => { event.preventDefault(); look(); } } }, fields, notice, result);

  function chosen() {
    return states.find(({ input }) => input.checked)?.value;
  }

  function labelOf(state) {
    return states.find(({ value }) => value === state)?.label ?? state;
  }

  /** What the operator has made another than it was filled with. */
  function typed() {
    const change = {};
    if (chosen() !== base.state) change.state = chosen();
    if (weight && weight.value !== "" && Number(weight.value) !== base.weight) change.weight = Number(weight.value);
    return change;
  }

  /** What the form says now, as a `PATCH` has it; `null` where it changes nothing. */
  function wanted() {
    const change = base ? typed() : {};
    if (Object.keys(change).length === 0) return null;
    if (reason.value.trim()) change.reason = reason.value.trim();
    if (expires.value.trim()) change.expires = expires.value.trim();
    return change;
  }

  /** Whether the operator is at it. */
  function isTouched() {
    const isWeight = weight && (document.activeElement === weight || Number(weight.value) !== base.weight);
    return overtaken !== null || isWeight || chosen() !== base.state || reason.value !== "" || expires.value !== "";
  }

  function touched() {
    previewed = null;
    fill(result);
    tell();
    update();
  }

  /** What is in force of the object: its tag, what the form shows of it, and all that may have changed. */
  async function load() {
    const before = situation();
    // The tag comes first: what is learnt after it may be newer, but never what it stands for.
    const { content, tag } = await exchange("GET", `/v1/${object}`);
    await loadEdits();
    known = before;
    const specification = content.specification ?? {};
    const edits = editsOf(pool);
    const order = edits.findLast((edit) => edit.state && !edit.orphaned && objectOf(partsOf(edit.object)) === object);
    return { tag, specification, edits, state: order?.state ?? "auto", weight: isAddress ? specification.weight ?? content.weight ?? 1 : undefined };
  }

  /** Changes when something may have changed. */
  function situation() {
    const reload = state.events.find(({ kind }) => kind === "reloaded");
    return JSON.stringify([editsOf(pool).map(({ id, orphaned }) => [id, orphaned]), reload?.id, reload?.at]);
  }

  /** Fills it with `present`; with `keep`, but for those of its members. */
  function take(present, keep = {}) {
    base = present;
    for (const { value, input } of states) input.checked = value === (keep.state ?? base.state);
    if (weight) weight.value = keep.weight ?? base.weight;
  }

  /** Fills it anew, unless the operator has begun meanwhile. */
  function refill() {
    filling ??= load().then((present) => {
      if (base === null || !isTouched()) take(present);
    }, () => {
      // It is asked for again; why it does not come, the head and the facts tell.
      if (base && !isTouched()) base = null;
    }).finally(() => {
      filling = null;
      paint();
    });
    return filling;
  }

  /** Takes in what has changed meanwhile, unless the operator is at it. */
  function update() {
    const isThere = isAddress ? addressOf(pool, partsOf(object)[3]) : poolOf(pool);
    if (base === null ? isThere : known !== situation() && !isTouched()) refill();
    paint();
  }

  function paint() {
    const refused = refusal(pool);
    fields.disabled = refused !== null || base === null;
    preview.disabled = wanted() === null;
    say(hint, refused ?? (base && preview.disabled ? "Choose a state or change the weight." : ""));
    mark(element, "title", refused);
  }

  /** Says what somebody else has changed, as long as it matters. */
  function tell() {
    fill(notice, overtaken && conflict(overtaken, base, typed(), labelOf));
    // There is nothing to look at, and so nothing to apply: who has read it can go on.
    if (overtaken && !wanted()) fill(result, h("div", { class: "actions" }, leaving()));
  }

  function leaving() {
    return h("button", { type: "button", on: { click: leave } }, "Leave it");
  }

  async function look() {
    const asked = wanted();
    if (!asked) return;
    fill(result, h("p", { class: "hint" }, "Trying it on every domain and country…"));
    preview.disabled = true;
    try {
      const { reason: why, expires: end, state: order, ...merge } = asked;
      const edits = [Object.keys(merge).length > 0 && { object, merge }, order && { object, state: order }].filter(Boolean);
      const { moves } = await call("POST", "/v1/transactions?dry_run=true", { edits, reason: why, expires: end });
      previewed = JSON.stringify(asked);
      const apply = h("button", { type: "button", class: "primary danger", id: "apply", on: { click: commit } }, overtaken ? "Apply all the same" : "Apply");
      fill(result, story(moves), h("div", { class: "actions" }, apply, leaving()));
      // Whoever was just told of something else is to read it before Enter means yes.
      if (document.activeElement !== notice) apply.focus();
    } catch (problem) {
      fill(result, complaint(problem));
    }
    paint();
  }

  async function commit() {
    const asked = wanted();
    // What is applied is what was looked at.
    if (!asked || JSON.stringify(asked) !== previewed) return;
    const apply = result.querySelector("#apply");
    if (apply) apply.disabled = true;
    try {
      const { content } = await exchange("PATCH", `/v1/${object}`, asked, base.tag);
      const ids = (content.edits ?? []).filter((id) => !base.edits.some((edit) => edit.id === id));
      toast(ids.length > 0 ? `In force: ${ids.map((id) => `edit ${id}`).join(", ")}` : "In force");
      await restart();
      states.find(({ input }) => input.checked)?.input.focus();
    } catch (problem) {
      if (problem.status === 412) await contend();
      else fill(result, complaint(problem));
    }
    refresh();
    refreshEdits();
  }

  /** Shows what is in force by now beside what was typed, and has the operator decide. */
  async function contend() {
    const mine = typed();
    const before = overtaken ?? base;
    try {
      const present = await load();
      overtaken = before;
      // What was not typed is not to undo what somebody else has done.
      take(present, mine);
    } catch (problem) {
      fill(result, complaint(problem.status === 404 ? new Error("it is no longer there; somebody else has removed it meanwhile") : problem));
      return;
    }
    touched();
    notice.focus();
    notice.scrollIntoView({ block: "nearest" });
    await look();
  }

  /** Begins anew from what is in force. */
  async function restart() {
    overtaken = null;
    base = null;
    reason.value = "";
    expires.value = "";
    touched();
    await filling;
  }

  async function leave() {
    await restart();
    states[0].input.focus();
  }

  /** Chooses a state and shows what it would move. */
  async function propose(proposed) {
    await filling;
    if (base === null || refusal(pool) !== null) return;
    for (const { value, input } of states) input.checked = value === proposed;
    touched();
    if (wanted()) look();
    else states.find(({ value }) => value === proposed)?.input.focus();
  }

  async function focusWeight() {
    await filling;
    weight?.focus();
    weight?.select();
  }

  update();
  return { element, update, propose, focusWeight };
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
