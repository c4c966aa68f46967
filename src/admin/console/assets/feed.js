// What has happened, and the edits that stand.

import { call } from "./api.js";
import { byId, fill, h, mark, toast } from "./dom.js";
import { refresh, refreshEdits, refusalToRevert, state } from "./store.js";
import { clock, editText, eventText, objectOf, objectText, partsOf, span } from "./words.js";

/** As many events are shown; older ones are in the log. */
const SHOWN = 60;

/** The path of the view of the object of these parts, or none. */
function linkTo(parts) {
  return ["pools", "domains"].includes(parts[0]) ? `#/flow/${objectOf(parts)}` : null;
}

let confirming = null;
let drawnEdits = null;

export function drawEdits() {
  const section = byId("edits");
  const { edits } = state;
  // Drawn anew only where it differs, so that a focus on it stays.
  const now = JSON.stringify([edits === undefined, edits?.map((edit) => [edit.id, edit.orphaned, leftOf(edit), refusalToRevert(edit)]), confirming]);
  if (drawnEdits === now) return;
  drawnEdits = now;
  const count = edits?.length ?? 0;
  const focused = document.activeElement?.closest?.("#edits [data-edit]")?.dataset.edit;
  fill(section,
    h("h2", { id: "edits-title" }, "Standing edits ", h("span", { class: "count" }, edits ? String(count) : "")),
    edits === undefined ? null : edits === null ? h("p", { class: "empty" }, "This server tells of no edits.")
      : count === 0 ? h("p", { class: "empty" }, "None: all is as in the configuration file.")
        : h("ul", { class: "edits" }, [...edits].reverse().map(row)));
  if (focused) section.querySelector(`[data-edit="${CSS.escape(focused)}"]`)?.focus();
}

function leftOf(edit) {
  if (!edit?.expires_at) return "";
  return span(Math.max(0, Math.round((Date.parse(edit.expires_at) - Date.now()) / 1000)));
}

/** An edit with its button; also for the panel of what it is about. */
export function row(edit) {
  const href = linkTo(partsOf(edit.object));
  const left = leftOf(edit);
  const facts = [edit.by, clock(edit.at), left && `ends in ${left}`, edit.reason].filter(Boolean).join(" · ");
  return h("li", { class: edit.orphaned ? "orphaned" : "" },
    h("div", { class: "what" },
      href ? h("a", { href }, objectText(edit.object)) : h("span", {}, objectText(edit.object)),
      " ", h("strong", {}, editText(edit))),
    revertButton(edit),
    h("div", { class: "facts" }, facts),
    edit.orphaned && h("div", { class: "facts bad" }, `not in force: ${edit.orphaned}`));
}

function revertButton(edit) {
  const refused = refusalToRevert(edit);
  const isAsked = confirming === edit.id;
  const label = `Take back: ${objectText(edit.object)} ${editText(edit)}`;
  return h("button", {
    type: "button", class: isAsked ? "small danger" : "small", disabled: refused !== null, title: refused ?? label,
    "aria-label": refused !== null ? `${label}: ${refused}` : isAsked ? `${label}: sure?` : label, "data-edit": edit.id,
    on: {
      click: () => {
        confirming = isAsked ? null : edit.id;
        if (isAsked) revert(edit);
        else setTimeout(() => { if (confirming === edit.id) { confirming = null; drawEdits(); } }, 4000);
        drawEdits();
        byId("edits").querySelector(`[data-edit="${edit.id}"]`)?.focus();
      },
    },
  }, isAsked ? "Sure?" : "Revert");
}

async function revert(edit) {
  try {
    await call("DELETE", `/v1/edits/${edit.id}`);
    toast(`Taken back: ${objectText(edit.object)} ${editText(edit)}`);
  } catch (problem) {
    toast(`Not taken back: ${problem.message}`, "error");
  }
  refreshEdits();
  refresh();
}

const list = h("ol", { class: "events", role: "log", "aria-live": "polite", "aria-relevant": "additions" });
let latest = null;
let isQuiet = null;

/** Only what is new is added, so that it alone is read out. */
export function drawFeed() {
  const section = byId("feed");
  const { isLive } = state;
  const events = state.events.filter(({ kind }) => kind !== "published").slice(0, SHOWN);
  const at = events.indexOf(latest);
  list.prepend(...events.slice(0, at < 0 ? events.length : at).map(item));
  while (list.children.length > SHOWN) list.lastChild.remove();
  latest = events[0] ?? null;
  const now = events.length > 0 ? "" : isLive === undefined ? "Waiting for the first." : isLive ? "Quiet since this page was opened." : "No stream of events from this server; the diagram is asked for every 2 s.";
  if (isQuiet === now) return;
  isQuiet = now;
  fill(section, h("h2", { id: "feed-title" }, "What happens"), now === "" ? list : h("p", { class: "empty" }, now));
}

function item(event) {
  const { tone, subject, text } = eventText(event);
  const line = h("li", { "data-tone": tone }, h("time", { datetime: event.at }, clock(event.at)));
  const href = event.pool ? linkTo(["pools", event.pool, ...(event.address ? ["addresses", event.address] : [])]) : null;
  line.append(href ? h("a", { href }, subject) : h("b", {}, subject), h("span", {}, text));
  mark(line, "title", new Date(event.at).toLocaleString());
  return line;
}
