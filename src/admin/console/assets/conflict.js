// What is told where somebody else has changed what an operator was about to change.

import { h } from "./dom.js";
import { clock, editText, objectText } from "./words.js";

/** As many differences are listed: more are looked at elsewhere. */
const MOST = 12;

/**
 * What has become of what the form was filled from, `before`: `present`, beside what the operator has `typed`. `labelOf` says
 * what the form calls a state.
 */
export function conflict(before, present, typed, labelOf) {
  const rows = [];
  const add = (label, was, now, yours) => {
    if (was !== now || yours !== undefined) rows.push([label, was, now, yours]);
  };
  add("State", labelOf(before.state), labelOf(present.state), typed.state && labelOf(typed.state));
  if (present.weight !== undefined) add("Weight", `${before.weight}`, `${present.weight}`, typed.weight === undefined ? undefined : `${typed.weight}`);
  const [old, current] = [before, present].map(({ specification }) => flat(specification));
  for (const key of new Set([...old.keys(), ...current.keys()])) {
    // The form has the weight of an address itself.
    if (key !== "weight") add(key, old.get(key) ?? "—", current.get(key) ?? "—");
  }
  const seen = new Set(before.edits.map(({ id }) => id));
  const news = present.edits.filter(({ id }) => !seen.has(id));
  const isOver = Object.keys(typed).length === 0;
  return [
    h("p", { class: "headline", role: "alert" }, "Somebody else has changed it meanwhile, and nothing of yours was applied."),
    h("table", {},
      h("thead", {}, h("tr", {}, ["", "Was", "In force now", "Yours"].map((title) => h("th", { scope: "col" }, title)))),
      h("tbody", {}, rows.slice(0, MOST).map(([label, was, now, yours]) => h("tr", { class: was === now ? "" : "moved" },
        h("th", { scope: "row" }, label), h("td", {}, was), h("td", { class: "now" }, now), h("td", { class: "yours" }, yours === undefined ? "as it is" : h("b", {}, yours)))))),
    rows.length > MOST && h("p", { class: "hint" }, `and ${rows.length - MOST} more`),
    news.length > 0
      ? h("ul", {}, news.map((edit) => h("li", {}, h("b", {}, `${objectText(edit.object)} ${editText(edit)}`), ` ${[edit.by, clock(edit.at), edit.reason].filter(Boolean).join(" · ")}`)))
      : h("p", { class: "hint" }, "No new edit stands: the file was changed, or an edit has ended."),
    isOver && h("p", { class: "hint" }, "What you wanted is in force by now."),
  ];
}

/** The members of a table as text, those of a pool's addresses each by itself. */
function flat(table) {
  const members = new Map();
  for (const [key, value] of Object.entries(table)) {
    if (key === "address" && Array.isArray(value)) {
      for (const { name, ...address } of value) for (const [inner, text] of Object.entries(address)) members.set(`${name} ${inner}`, written(text));
    } else {
      members.set(key, written(value));
    }
  }
  return members;
}

function written(value) {
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
