// The world: each country in the colour of the pool that serves it, and what if a site went down.

import { call, maybe, parameters, path } from "./api.js";
import { byId, fill, h, mark, s, say } from "./dom.js";
import { colourOf, domainOf, poolOf, state } from "./store.js";
import { percent, plural, poolState } from "./words.js";

/** How often the coverage is asked for while the map is looked at. */
const INTERVAL = 5000;

/** As many domains are listed to choose from; others are typed into the address. */
const DOMAINS = 1000;

/** As many sites of a domain have a dot. */
const SITES = 50;

/** Radius of a site, and of a country too small to have a shape. */
const SITE = 9;
const SPECK = 5;

let world = null;
let countries = new Map();
let sites;
let view;
let legend;
let table;
let summary;
let domainField;
let downField;
let go = () => {};
let asked = { domain: null, down: null };
let coverage = null;
let failure = null;
const locations = new Map();

export function start(onChange) {
  go = onChange;
  domainField = h("select", { id: "map-domain", on: { change: () => go({ domain: domainField.value, down: "" }) } });
  downField = h("select", { id: "map-down", on: { change: () => go({ domain: asked.domain, down: downField.value }) } });
  summary = h("p", { class: "summary", "aria-live": "polite" });
  view = h("div", { class: "world" });
  legend = h("ul", { class: "legend" });
  table = h("details", { class: "table" });
  fill(byId("map"),
    h("div", { class: "toolbar" },
      h("label", {}, "Domain ", domainField),
      h("label", {}, "What if this went down ", downField), summary),
    view, legend, table);
  view.addEventListener("pointerover", ({ target }) => point(target));
  view.addEventListener("pointerleave", () => point(null));
  setInterval(() => { if (!byId("map").hidden && !document.hidden) look(); }, INTERVAL);
}

/** Shows a domain, the first one if none is said. */
export async function show({ domain, down }) {
  if (!state.status) return;
  const first = state.status.domains[0]?.name;
  asked = { domain: domainOf(domain)?.name ?? domain ?? first, down: down || null };
  if (!asked.domain) {
    say(summary, "There is no domain to show.");
    return;
  }
  if (!world) await unroll();
  fields();
  look();
}

async function unroll() {
  const response = await fetch("/console/world.json", { credentials: "omit" });
  world = await response.json();
  const land = s("g", { class: "land" });
  sites = s("g", { class: "sites" });
  for (const [code, { d, c: [x, y] }] of Object.entries(world.countries)) {
    const shape = d ? s("path", { d }) : s("circle", { cx: x, cy: y, r: SPECK });
    mark(shape, "data-country", code);
    countries.set(code, shape);
  }
  // Specks lie on top: they are in or by the large ones.
  land.append(...[...countries.values()].sort((a, b) => (a.tagName === "circle") - (b.tagName === "circle")));
  fill(view, s("svg", { viewBox: `0 26 ${world.width} 880`, role: "img", "aria-label": "World map of the pools that serve each country; the same is told as a list below" }, land, sites));
  // Where the world is wider than the screen, its middle is seen first.
  view.scrollLeft = (view.scrollWidth - view.clientWidth) / 2;
}

function fields() {
  const names = (state.status.domains ?? []).slice(0, DOMAINS).map(({ name }) => name);
  if (!names.includes(asked.domain)) names.unshift(asked.domain);
  options(domainField, names.map((name) => [name, name]), asked.domain);
  const pools = reachable(asked.domain);
  options(downField, [["", "nothing"], ...pools.map((name) => [name, name])], asked.down ?? "");
}

/** The pools of a domain, and those that the coverage has seen behind them. */
function reachable(domain) {
  const seen = coverage?.domain === domain ? coverage.clients.flatMap(({ pools }) => pools) : [];
  return [...new Set([...(domainOf(domain)?.pools ?? []), ...seen])];
}

function options(select, entries, value) {
  const text = JSON.stringify(entries);
  if (select.dataset.text !== text) {
    select.dataset.text = text;
    fill(select, entries.map(([one, label]) => h("option", { value: one }, label)));
  }
  select.value = value;
}

async function look() {
  const { domain, down } = asked;
  if (!domain) return;
  try {
    const found = await call("GET", `/v1/coverage?${parameters({ domain, down })}`);
    if (asked.domain !== domain || asked.down !== down) return;
    [coverage, failure] = [{ ...found, domain, down }, null];
  } catch (problem) {
    failure = problem.status === 404 && problem.message.includes("/v1/coverage") ? "This server does not tell where answers go." : problem.message;
  }
  draw();
  locate(reachable(domain).slice(0, SITES));
}

/** Asks for the places of pools that are not known yet. */
async function locate(names) {
  for (const name of names.filter((one) => !locations.has(one))) {
    locations.set(name, null);
    const pool = await maybe(path("pools", name)).catch(() => undefined);
    if (pool === undefined) locations.delete(name);
    else locations.set(name, pool?.specification?.location ?? null);
  }
  drawSites();
}

/** Equal Earth (Savric, Patterson and Jenny, 2018), as the shapes were drawn. */
function project(latitude, longitude) {
  const [a1, a2, a3, a4] = [1.340264, -0.081106, 0.000893, 0.003796];
  const root = Math.sqrt(3) / 2;
  const t = Math.asin(root * Math.sin(latitude * Math.PI / 180));
  const t2 = t * t;
  const t6 = t2 ** 3;
  const { scale, x, y } = world.projection;
  const east = longitude * Math.PI / 180 * Math.cos(t) / (root * (a1 + 3 * a2 * t2 + t6 * (7 * a3 + 9 * a4 * t2)));
  const north = t * (a1 + a2 * t2 + t6 * (a3 + a4 * t2));
  return [x + scale * east, y - scale * north];
}

function placeOf(name) {
  const location = locations.get(name);
  if (!location) return null;
  if (location.latitude !== undefined) return project(location.latitude, location.longitude);
  return world.countries[location.country]?.c ?? null;
}

/** The pool that gives the addresses, now or in the case that is tried. */
function server({ pools, after }) {
  const chain = asked.down && after ? after : pools;
  return chain.at(-1) ?? null;
}

/** Whether a client is sent elsewhere, or to the same with other likelihoods. */
function hasMoved({ pools, shares, after, after_shares: afterShares }) {
  if (asked.down === null || !after) return false;
  return pools.join("/") !== after.join("/") || JSON.stringify(shares ?? []) !== JSON.stringify(afterShares ?? []);
}

/** Whether what is known is what is asked for. */
function isCurrent() {
  return coverage?.domain === asked.domain && coverage.down === asked.down;
}

export function draw() {
  if (!world || !state.status || byId("map").hidden) return;
  fields();
  const clients = isCurrent() ? coverage.clients : [];
  const served = new Map(clients.map((client) => [client.country, client]));
  for (const [code, shape] of countries) {
    const client = served.get(code);
    const pool = client && server(client);
    mark(shape, "class", `${pool ? `${colourOf(pool)} served` : "unserved"}${client && hasMoved(client) ? " moved" : ""}`);
    mark(shape, "data-pool", pool ?? null);
  }
  const moved = clients.filter(hasMoved).length;
  say(summary, failure ?? (asked.down ? `${plural(moved, "country moves", "countries move")} if ${asked.down} goes down` : ""));
  mark(summary, "data-tone", failure ? "bad" : asked.down ? "warn" : null);
  drawLegend(clients);
  drawSites();
}

function drawLegend(clients) {
  const counts = new Map(reachable(asked.domain).map((pool) => [pool, { now: [], then: [] }]));
  const nobody = { now: [], then: [] };
  for (const client of clients) {
    const before = counts.get(client.pools.at(-1)) ?? nobody;
    before.now.push(client.country);
    (counts.get(server(client)) ?? nobody).then.push(client.country);
  }
  const key = JSON.stringify([asked, [...counts].map(([pool, { now, then }]) => [pool, now.length, then, colourOf(pool), poolOf(pool)?.standing]), nobody.then]);
  if (legend.dataset.text === key) return;
  legend.dataset.text = key;
  const entries = [...counts].filter(([pool, { now, then }]) => now.length > 0 || then.length > 0 || domainOf(asked.domain)?.pools.includes(pool));
  const focused = document.activeElement?.closest?.(".legend button")?.dataset.pool;
  fill(legend, entries.map(([name, { now, then }]) => {
    const pool = poolOf(name);
    const { tone, glyph, word } = pool ? poolState(pool) : { tone: "dim", glyph: "", word: "" };
    const isDown = asked.down === name;
    const difference = then.length - now.length;
    return h("li", {}, h("button", {
      type: "button", class: colourOf(name), "aria-pressed": isDown, "data-pool": name,
      title: isDown ? "As it is" : `What if ${name} went down?`,
      on: { click: () => go({ domain: asked.domain, down: isDown ? "" : name }), pointerenter: () => bringOut(name), pointerleave: () => bringOut(null), focus: () => bringOut(name), blur: () => bringOut(null) },
    },
    h("i", { class: "swatch", "aria-hidden": "true" }), h("b", {}, name), h("span", { "data-tone": isDown ? "bad" : tone }, isDown ? "✕ tried down" : `${glyph} ${word}`),
    h("span", { class: "many" }, plural(then.length, "country", "countries"), difference !== 0 && h("em", {}, ` ${difference > 0 ? "+" : "−"}${Math.abs(difference)}`))));
  }));
  if (focused) legend.querySelector(`[data-pool="${CSS.escape(focused)}"]`)?.focus();
  bringOut(null);
  const wasOpen = table.open;
  const named = (codes) => codes.filter(Boolean).map((code) => world.countries[code]?.n ?? code).sort().join(", ");
  fill(table, h("summary", {}, "The same as a list"), h("dl", {}, [...entries, ...(nobody.then.length > 0 ? [["no pool", nobody]] : [])]
    .map(([name, { then }]) => [h("dt", {}, `${name} (${then.length})`), h("dd", {}, named(then) || "nobody")])));
  table.open = wasOpen;
}

function bringOut(pool) {
  let any = false;
  for (const shape of countries.values()) {
    const isIts = pool !== null && shape.dataset.pool === pool;
    mark(shape, "data-near", isIts);
    any ||= isIts;
  }
  mark(view, "data-lit", any);
}

function drawSites() {
  if (!sites || !coverage) return;
  const dots = reachable(asked.domain).map((name) => [name, placeOf(name)]).filter(([, at]) => at);
  fill(sites, dots.map(([name, [x, y]]) => {
    const pool = poolOf(name);
    const isDown = asked.down === name || (pool && pool.available === 0);
    return s("g", { class: `site ${colourOf(name)}${isDown ? " down" : ""}`, "data-site": name, on: { click: () => go({ domain: asked.domain, down: asked.down === name ? "" : name }) } },
      s("circle", { cx: x.toFixed(0), cy: y.toFixed(0), r: SITE + 5, class: "halo" }),
      s("circle", { cx: x.toFixed(0), cy: y.toFixed(0), r: SITE }),
      isDown && s("path", { class: "cross", d: `M${(x - 6).toFixed(0)} ${(y - 6).toFixed(0)}l12 12m0-12l-12 12` }),
      s("text", { x: (x + SITE + 9).toFixed(0), y: (y + 8).toFixed(0) }, name));
  }));
}

/** Says more of the country or the site under the pointer. */
function point(target) {
  const tip = byId("tip");
  const code = target?.dataset?.country;
  const site = target?.closest?.("[data-site]")?.dataset.site;
  if (!code && !site) {
    tip.hidden = true;
    return;
  }
  const client = code && coverage?.clients.find(({ country }) => country === code);
  const chain = (pools) => (pools.length > 0 ? pools.join(" → ") : "no pool");
  const told = (pools, shares) => (shares?.length > 0 ? shares.map((one) => `${chain(one.pools)} ${percent(one.share)}`).join(", ") : chain(pools));
  const lines = site ? [site, poolOf(site) ? poolState(poolOf(site)).word : "", "click: what if it went down?"]
    : [world.countries[code].n, client ? told(client.pools, client.shares) : "not asked for", client && hasMoved(client) && `then ${told(client.after, client.after_shares)}`, client?.client && `asked as ${client.client}`];
  tip.hidden = false;
  fill(tip, lines.filter(Boolean).map((line, position) => h(position === 0 ? "strong" : "span", {}, line)));
  const place = target.getBoundingClientRect();
  const size = tip.getBoundingClientRect();
  const x = place.left + place.width / 2;
  tip.style.left = `${Math.max(8, Math.min(x - size.width / 2, innerWidth - size.width - 8))}px`;
  tip.style.top = `${place.top - size.height - 8 > 60 ? place.top - size.height - 8 : Math.min(place.bottom + 8, innerHeight - size.height - 8)}px`;
}
