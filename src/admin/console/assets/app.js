// The console: starts the parts, goes where the address says, and hears the keys.

import { onUnauthorized, hasToken, setToken } from "./api.js";
import { keys, login } from "./dialogs.js";
import { byId, mark, say } from "./dom.js";
import * as explain from "./explain.js";
import { drawEdits, drawFeed } from "./feed.js";
import * as flow from "./flow.js";
import * as map from "./map.js";
import * as panel from "./panel.js";
import { introduce, isStale, start, state, subscribe } from "./store.js";
import { addressState, clock, plural, span } from "./words.js";

const VIEWS = ["flow", "map", "explain", "activity"];
const THEMES = ["auto", "light", "dark"];
const THEME_GLYPHS = { auto: "◐", light: "☀", dark: "☾" };

/** Where the address says we are: `#/VIEW/OBJECT...?parameters`. */
function place() {
  const [route, question = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [view, ...rest] = route.split("/");
  return {
    view: VIEWS.includes(view) ? view : "flow",
    parts: rest.length > 1 ? rest.map(decodeURIComponent) : null,
    question: Object.fromEntries(new URLSearchParams(question)),
  };
}

function go(hash) {
  if (location.hash === hash) arrive();
  else location.hash = hash;
}

/** Has the view of where we are. */
let routed = false;
function arrive() {
  const { view, parts, question } = place();
  for (const name of ["flow", "map", "explain"]) byId(name).hidden = name !== view;
  mark(document.body, "data-view", view);
  for (const link of document.querySelectorAll("nav a")) mark(link, "aria-current", link.dataset.view === view ? "page" : null);
  flow.hideTip();
  if (!state.status) return;
  routed = true;
  document.title = parts ? `${parts.at(-1)} · rhumb` : "rhumb";
  panel.show(view === "flow" ? parts : null, close);
  if (view === "flow") {
    flow.select(parts ? idOf(parts) : null);
    flow.draw();
  } else if (view === "map") {
    map.show(question);
  } else if (view === "explain") {
    explain.show(question);
  }
}

function idOf([kind, name, , inner]) {
  return kind === "domains" ? `domain:${name}` : inner === undefined ? `pool:${name}` : `address:${name}/${inner}`;
}

function close() {
  go("#/flow");
  flow.focusSelected();
}

function draw() {
  if (state.status && !routed) arrive();
  flow.draw();
  map.draw();
  panel.draw();
  drawEdits();
  drawFeed();
  totals();
  connection();
}

function totals() {
  if (!state.status) return;
  const { domains, pools, isolated } = state.status;
  const addresses = pools.flatMap((pool) => pool.addresses);
  const given = addresses.filter(({ available }) => available).length;
  const bad = addresses.filter((address) => addressState(address).tone === "bad").length;
  const parts = [plural(domains.length, "domain"), plural(pools.length, "pool"), `${given} of ${plural(addresses.length, "address", "addresses")} given`];
  if (bad > 0) parts.push(`${bad} down`);
  say(byId("totals"), parts.join(" · "));
  const banner = byId("banner");
  const stale = isStale() ? `Stale: no answer from this server since ${clock(state.statusAt)} (${span(Math.round((Date.now() - state.statusAt) / 1000))}). ${state.failure ?? ""}` : "";
  const cutOff = isolated ? `This server takes itself to be cut off: ${isolated.silent} of ${isolated.of} sites are silent, and nobody is called down for it.` : "";
  say(banner, stale || cutOff);
  banner.hidden = !(stale || cutOff);
}

function connection() {
  const stale = state.status && isStale();
  const now = !state.status ? (state.failure ? "lost" : "connecting") : stale ? "stale" : state.isLive ? "live" : "polling";
  const text = {
    connecting: "connecting", lost: state.failure ?? "no answer", stale: "stale",
    live: "live", polling: "polling every 2 s",
  }[now];
  mark(byId("connection"), "data-state", now);
  say(byId("connection-text"), text);
  mark(document.body, "data-stale", stale);
  const { who } = state;
  say(byId("who"), who?.name ? `${who.name} (${who.role})` : "");
  byId("logout").hidden = !hasToken();
}

function theme(wanted) {
  localStorage.setItem("rhumb.theme", wanted);
  mark(document.documentElement, "data-theme", wanted === "auto" ? null : wanted);
  const button = byId("theme");
  say(button, THEME_GLYPHS[wanted]);
  const label = `Theme: ${wanted === "auto" ? "as the system" : wanted}`;
  mark(button, "aria-label", label);
  mark(button, "title", `${label} (t)`);
}

function nextTheme() {
  const now = localStorage.getItem("rhumb.theme") ?? "auto";
  theme(THEMES[(THEMES.indexOf(now) + 1) % THEMES.length]);
}

/** The keys that change something are for the node that has the focus, else for what is open. */
function openFocused() {
  flow.openFocused();
  // The event that says so comes later.
  arrive();
}

const KEYS = {
  1: () => go("#/flow"),
  2: () => go("#/map"),
  3: () => go("#/explain"),
  e: () => go("#/explain"),
  "/": () => { if (place().view !== "flow") go("#/flow"); flow.focusFilter(); },
  "?": keys,
  t: nextTheme,
  "[": () => flow.turnPage(-1),
  "]": () => flow.turnPage(1),
  n: () => byId("trouble").click(),
  d: () => { openFocused(); panel.propose("drain"); },
  a: () => { openFocused(); panel.propose("auto"); },
  w: () => { openFocused(); panel.focusWeight(); },
};

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.key === "Escape") {
    if (panel.isOpen()) close();
    else document.activeElement?.blur();
    return;
  }
  const field = event.target.closest?.("input, select, textarea");
  // In a field of text letters are text; on a choice they are keys.
  if (field && !["radio", "checkbox"].includes(field.type)) return;
  const act = KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}

function begin() {
  theme(THEMES.find((one) => one === localStorage.getItem("rhumb.theme")) ?? "auto");
  onUnauthorized(async () => {
    await login();
    introduce();
  });
  flow.start((parts) => go(`#/flow/${parts.map(encodeURIComponent).join("/")}`));
  map.start((question) => go(`#/map?${new URLSearchParams(Object.entries(question).filter(([, value]) => value))}`));
  explain.start((question) => go(`#/explain?${new URLSearchParams(question)}`));
  byId("theme").addEventListener("click", nextTheme);
  byId("help").addEventListener("click", keys);
  byId("skip").addEventListener("click", () => byId("main").focus());
  byId("logout").addEventListener("click", () => {
    setToken(null, false);
    // Nothing that the token has shown stays.
    location.reload();
  });
  addEventListener("hashchange", arrive);
  addEventListener("keydown", pressed);
  // Ages grow though nothing happens.
  setInterval(() => { totals(); connection(); }, 1000);
  subscribe(draw);
  arrive();
  start();
}

begin();
