// The diagram: domains -> pools -> addresses, with edges as wide as their share of the answers.

import { byId, fill, h, isNarrow, mark, s, say } from "./dom.js";
import { MAX_POOLS, place } from "./layout.js";
import { colourOf, poolOf, state } from "./store.js";
import { addressReason, addressState, isPoolWell, percent, plural, poolState, rate, span } from "./words.js";

/** As many domains are on a page. */
const PAGE = 20;

/** The width of the widest edge, and of one without answers. */
const WIDEST = 22;
const THINNEST = 1.25;

/** The part of a node's side that its edges may cover together. */
const SIDE = 0.8;

/** Between two edges at a node. */
const APART = 1.5;

let page = 0;
let query = "";
let isOnlyTrouble = false;
let selected = null;
let open = () => {};
const unfolded = new Set();
const nodes = new Map();
const edges = new Map();
let box;
let heads;
let drawing;
let pager;
let note;
let filter;

/** Makes the view; `onSelect(kind, names)` opens what is chosen. */
export function start(onSelect) {
  open = onSelect;
  filter = h("input", {
    type: "search", id: "filter", placeholder: "Filter", "aria-label": "Filter domains, pools and addresses",
    autocomplete: "off", spellcheck: "false",
    on: { input: () => { query = filter.value.trim().toLowerCase(); page = 0; draw(); } },
  });
  const trouble = h("button", {
    type: "button", class: "chip", id: "trouble", "aria-pressed": "false",
    on: { click: () => { isOnlyTrouble = !isOnlyTrouble; page = 0; mark(trouble, "aria-pressed", isOnlyTrouble); draw(); } },
  }, "Not well");
  pager = h("p", { class: "pager" });
  note = h("p", { class: "note" });
  drawing = s("svg", { class: "edges", "aria-hidden": "true", focusable: "false" });
  box = h("div", { class: "diagram", on: { keydown: walk } }, drawing);
  heads = h("div", { class: "heads", "aria-hidden": "true", hidden: true }, h("span", {}, "Domains"), h("span", {}, "Pools"), h("span", {}, "Addresses"));
  fill(byId("flow"), h("div", { class: "toolbar" }, filter, trouble, pager), heads, box, note);
  for (const event of ["pointerover", "focusin"]) box.addEventListener(event, ({ target }) => light(target));
  for (const event of ["pointerleave", "focusout"]) box.addEventListener(event, () => light(null));
  new ResizeObserver(() => draw()).observe(box);
}

export function focusFilter() {
  filter.focus();
  filter.select();
}

export function turnPage(step) {
  page += step;
  draw();
}

/** Marks what the side panel is about. */
export function select(id) {
  selected = id;
  for (const [key, node] of nodes) mark(node.element, "aria-current", key === id ? "true" : null);
}

export function focusSelected() {
  (nodes.get(selected)?.element ?? box.querySelector("button"))?.focus();
}

/** What is to be seen: the domains of this page, and the pools that they use. */
function chosen() {
  const { status } = state;
  const byName = new Map(status.pools.map((pool) => [pool.name, pool]));
  const has = (text) => text.toLowerCase().includes(query);
  const poolFits = (pool) => has(pool.name) || pool.addresses.some(({ name, target }) => has(name) || has(target));
  const fits = ({ name, pools }) => {
    const used = pools.map((pool) => byName.get(pool)).filter(Boolean);
    if (isOnlyTrouble && used.every(isPoolWell)) return false;
    return query === "" || has(name) || used.some(poolFits);
  };
  const domains = status.domains.filter(fits);
  const used = new Set(status.domains.flatMap(({ pools }) => pools));
  const unused = status.pools.filter((pool) => !used.has(pool.name)
    && (query === "" || poolFits(pool)) && (!isOnlyTrouble || !isPoolWell(pool)));
  const count = domains.length + unused.length;
  const pages = Math.max(1, Math.ceil(count / PAGE));
  page = Math.max(0, Math.min(page, pages - 1));
  const entries = [...domains, ...unused].slice(page * PAGE, (page + 1) * PAGE);
  const shown = entries.filter((entry) => "ttl" in entry);
  const names = new Set(shown.flatMap(({ pools }) => pools));
  const pools = [...status.pools.filter(({ name }) => names.has(name)), ...entries.filter((entry) => "addresses" in entry)];
  // Of more than can be drawn, those are that somebody should look at, and then those that are used most.
  const first = (a, b) => isPoolWell(a) - isPoolWell(b) || poolRate(b.name) - poolRate(a.name);
  const drawn = pools.length > MAX_POOLS ? [...pools].sort(first).slice(0, MAX_POOLS) : pools;
  return { domains: shown, pools: drawn, left: pools.length - drawn.length, count, pages };
}

/** Draws what is known now; what is on the page already is changed where it stands. */
export function draw() {
  if (!state.status || byId("flow").hidden) return;
  const { domains, pools, left, count, pages } = chosen();
  const room = innerHeight - box.getBoundingClientRect().top - scrollY - 40;
  const plan = place(domains, pools, { width: box.clientWidth, room, isNarrow: isNarrow(), unfolded });
  heads.hidden = false;
  plan.columns.forEach((x, column) => { heads.children[column].style.left = `${x}px`; });
  keep(nodes, plan.nodes, makeNode, (node, entry) => {
    const { style } = entry.element;
    style.transform = `translate(${node.x.toFixed(1)}px, ${node.y.toFixed(1)}px)`;
    style.width = `${Math.floor(node.w)}px`;
    style.height = `${node.h}px`;
    entry.at = node;
    FILLED[node.kind](entry, node);
  });
  inOrder(plan.nodes);
  const ends = attach(plan.edges);
  keep(edges, plan.edges, makeEdge, (edge, entry) => drawEdge(edge, entry, ends.get(edge.id)));
  box.style.height = `${plan.height}px`;
  mark(drawing, "height", plan.height);
  mark(drawing, "width", box.clientWidth);
  select(selected);
  tell({ left, count, pages });
}

function keep(known, wanted, make, update) {
  const ids = new Set(wanted.map(({ id }) => id));
  for (const [id, entry] of known) {
    if (!ids.has(id)) {
      entry.element.remove();
      known.delete(id);
    }
  }
  for (const item of wanted) {
    if (!known.has(item.id)) known.set(item.id, make(item));
    update(item, known.get(item.id));
  }
}

/** Tab goes through the nodes as they are read: each only moves where it is out of order. */
function inOrder(wanted) {
  let before = drawing;
  for (const { id } of wanted) {
    const { element } = nodes.get(id);
    if (before.nextSibling !== element) before.after(element);
    before = element;
  }
}

function tell({ left, count, pages }) {
  const hidden = left > 0 ? `${plural(left, "pool")} more of these domains not drawn: filter for them.` : "";
  say(note, count === 0 ? "Nothing fits." : hidden);
  const step = (text, label, by, isOff) => h("button", {
    type: "button", class: "chip", "aria-label": label, disabled: isOff, on: { click: () => turnPage(by) },
  }, text);
  const text = `${page + 1} of ${pages}`;
  if (pager.dataset.text === text) return;
  pager.dataset.text = text;
  fill(pager, pages > 1 && [step("‹", "Previous page ([)", -1, page === 0), h("span", {}, text), step("›", "Next page (])", 1, page === pages - 1)]);
}

/** What a node is, for those who do not see the column that it is in. */
const KINDS = { domain: "Domain", pool: "Pool", address: "Address", more: "Addresses:" };

function makeNode(node) {
  const part = (name) => h("span", { class: name });
  const parts = { glyph: part("glyph"), name: part("name"), badge: part("badge"), facts: part("facts"), why: part("sr") };
  const element = h("button", { type: "button", class: `node ${node.kind}`, "data-id": node.id },
    h("span", { class: "sr" }, `${KINDS[node.kind]} `), parts.glyph, parts.name, " ", parts.badge, " ", parts.facts, parts.why);
  if (node.kind === "domain") {
    parts.bar = h("span", { class: "shares", "aria-hidden": "true" });
    element.append(parts.bar);
  }
  mark(parts.glyph, "aria-hidden", "true");
  element.addEventListener("click", () => chosenNode(node.id));
  const entry = { element, parts, at: node };
  box.append(element);
  return entry;
}

function chosenNode(id) {
  const { kind, pool } = nodes.get(id).at;
  if (kind === "more") {
    unfolded.add(pool.name);
    draw();
  } else {
    open(objectOf(nodes.get(id).at));
  }
}

function objectOf({ kind, of, pool }) {
  return kind === "address" ? ["pools", pool.name, "addresses", of.name] : [`${kind}s`, of.name];
}

/** Opens the pool or the address that has the focus, if one has. */
export function openFocused() {
  const at = nodes.get(document.activeElement?.dataset?.id)?.at;
  if (at?.kind === "pool" || at?.kind === "address") open(objectOf(at));
}

const FILLED = {
  domain(entry, { of }) {
    const flow = state.flow?.get(of.name);
    say(entry.parts.name, of.name);
    say(entry.parts.badge, flow ? rate(flow.rate) : "");
    const pools = of.pools.map((name) => poolOf(name)).filter(Boolean);
    const up = pools.filter(({ standing }) => standing === "in-service" || standing === "returning").length;
    say(entry.parts.facts, `${of.policy} · TTL ${of.ttl} s · ${up} of ${plural(pools.length, "pool")}`);
    mark(entry.element, "data-tone", up === 0 ? "bad" : "ok");
    const shares = flow && flow.rate > 0 ? [...flow.pools].filter(([, part]) => part > 0) : [];
    const text = shares.map(([name, part]) => `${name} ${percent(part / flow.rate)}`).join(", ");
    if (entry.shares !== text) {
      entry.shares = text;
      fill(entry.parts.bar, shares.map(([name, part]) => {
        const segment = h("span", { class: colourOf(name) });
        segment.style.flexGrow = String(part);
        return segment;
      }));
    }
    entry.tip = [of.name, up === 0 ? "no pool in service" : text];
    say(entry.parts.why, text ? `; answers: ${text}` : up === 0 ? "; no pool in service" : "");
  },
  pool(entry, { of }) {
    const { tone, glyph, word } = poolState(of);
    mark(entry.element, "class", `node pool ${colourOf(of.name)}`);
    say(entry.parts.glyph, glyph);
    say(entry.parts.name, of.name);
    say(entry.parts.badge, word);
    mark(entry.element, "data-tone", tone);
    const flow = poolRate(of.name);
    const many = of.addresses.length > 0 ? `${of.available} of ${of.addresses.length} given` : "by another domain";
    const more = of.share < 1 && of.share > 0 ? `share ${percent(of.share)}` : flow === null && of.policy;
    say(entry.parts.facts, [many, more, flow !== null && rate(flow)].filter(Boolean).join(" · "));
    const why = of.suspicion ?? (tone === "ok" ? "" : of.order?.reason ?? of.reason);
    entry.tip = [`${of.name}: ${word}`, why];
    say(entry.parts.why, why ? `; ${why}` : "");
  },
  address(entry, { of, pool }) {
    const { tone, glyph, word } = addressState(of);
    say(entry.parts.glyph, glyph);
    say(entry.parts.name, of.name);
    say(entry.parts.badge, tone === "ok" || word === "unchecked" ? (of.weight === 1 ? "" : `×${of.weight}`) : `${word}${of.weight === 1 ? "" : ` ×${of.weight}`}`);
    say(entry.parts.facts, of.target);
    mark(entry.element, "data-tone", tone);
    const why = addressReason(of);
    const probe = of.last_probe ? `last probe ${of.last_probe.outcome === "pass" ? "passed" : "failed"} in ${of.last_probe.took_ms.toFixed(1)} ms` : "";
    entry.tip = [`${pool.name} / ${of.name}: ${word}`, why, probe, of.since_seconds === null ? "" : `so for ${span(of.since_seconds)}`];
    say(entry.parts.why, `; of ${pool.name}${tone === "ok" ? ", up" : ""}${why ? `; ${why}` : ""}`);
  },
  more(entry, { of }) {
    say(entry.parts.name, `${of.count} more`);
  },
};

/** Answers per second that a pool takes part in, over all domains. */
function poolRate(name) {
  return state.flow ? state.poolFlow.get(name) ?? 0 : null;
}

function rateOf({ domain, pool, address }) {
  if (!state.flow) return null;
  if (domain) return state.flow.get(domain.name)?.pools.get(pool.name) ?? 0;
  // What an address takes is not counted: it is the pool's, by weight and share.
  if (!address.available) return 0;
  const part = ({ available, weight, share }) => (available ? (pool.policy === "weighted" ? weight : 1) * share : 0);
  const whole = pool.addresses.reduce((sum, one) => sum + part(one), 0);
  return whole > 0 ? poolRate(pool.name) * part(address) / whole : 0;
}

/** How wide each edge is, and how far from the middle of its nodes it ends: side by side, none over another. */
function attach(all) {
  const ends = new Map();
  const sides = new Map();
  for (const edge of all) {
    ends.set(edge.id, { rate: rateOf(edge), offsets: [0, 0] });
    for (const side of [`${edge.from}>`, `>${edge.to}`]) {
      if (!sides.has(side)) sides.set(side, []);
      sides.get(side).push(edge);
    }
  }
  // One scale for all of them: equal widths are equal rates.
  let scale = WIDEST / Math.max(1e-9, ...all.map(({ id }) => ends.get(id).rate ?? 0));
  for (const [side, attached] of sides) {
    const node = nodes.get(side.startsWith(">") ? side.slice(1) : side.slice(0, -1)).at;
    const sum = attached.reduce((total, { id }) => total + (ends.get(id).rate ?? 0), 0);
    const free = node.h * SIDE - (attached.length - 1) * APART;
    if (sum > 0) scale = Math.min(scale, Math.max(free, node.h / 3) / sum);
  }
  for (const end of ends.values()) end.width = Math.max(THINNEST, (end.rate ?? 0) * scale);
  for (const [side, attached] of sides) {
    const isFrom = side.endsWith(">");
    const far = (edge) => nodes.get(isFrom ? edge.to : edge.from).at.y;
    attached.sort((one, other) => far(one) - far(other));
    const whole = attached.reduce((total, { id }) => total + ends.get(id).width + APART, -APART);
    let at = -whole / 2;
    for (const { id } of attached) {
      const end = ends.get(id);
      end.offsets[isFrom ? 0 : 1] = at + end.width / 2;
      at += end.width + APART;
    }
  }
  return ends;
}

function makeEdge() {
  const element = s("path");
  drawing.append(element);
  return { element };
}

function drawEdge(edge, entry, { rate: now, width, offsets: [left, right] }) {
  const [from, to] = [nodes.get(edge.from).at, nodes.get(edge.to).at];
  const [x1, y1, x2, y2] = [from.x + from.w, from.y + from.h / 2 + left, to.x, to.y + to.h / 2 + right];
  const bend = (x2 - x1) * 0.5;
  const points = [x1, y1, x1 + bend, y1, x2 - bend, y2, x2, y2].map((number) => number.toFixed(1));
  mark(entry.element, "d", `M${points[0]} ${points[1]}C${points.slice(2).join(" ")}`);
  const isGiven = edge.address ? edge.address.available : edge.pool.available > 0 || edge.pool.addresses.length === 0;
  mark(entry.element, "stroke-width", width.toFixed(2));
  const use = !isGiven ? "off" : now === null ? "unknown" : now > 0 ? "used" : "idle";
  mark(entry.element, "class", `edge ${use} ${colourOf(edge.pool.name)}`);
  entry.ends = [edge.from, edge.to];
}

/** Brings out what belongs to the node under the pointer or the focus, and says more of it. */
function light(target) {
  const id = target?.closest?.(".node")?.dataset.id ?? null;
  const tip = byId("tip");
  if (id === null || !nodes.has(id)) {
    mark(box, "data-lit", null);
    tip.hidden = true;
    return;
  }
  const near = new Set([id]);
  const follow = (from, side) => {
    for (const { ends } of edges.values()) {
      if (ends[side] === from && !near.has(ends[1 - side])) {
        near.add(ends[1 - side]);
        follow(ends[1 - side], side);
      }
    }
  };
  follow(id, 0);
  follow(id, 1);
  mark(box, "data-lit", edges.size > 0);
  for (const [key, { element }] of nodes) mark(element, "data-near", near.has(key));
  for (const { element, ends } of edges.values()) mark(element, "data-near", near.has(ends[0]) && near.has(ends[1]));
  const entry = nodes.get(id);
  const lines = (entry.tip ?? []).filter(Boolean);
  tip.hidden = lines.length < 2;
  fill(tip, lines.map((line, position) => h(position === 0 ? "strong" : "span", {}, line)));
  const place = entry.element.getBoundingClientRect();
  const size = tip.getBoundingClientRect();
  const isAbove = place.bottom + size.height + 12 > innerHeight;
  tip.style.left = `${Math.max(8, Math.min(place.left, innerWidth - size.width - 8))}px`;
  tip.style.top = `${isAbove ? place.top - size.height - 6 : place.bottom + 6}px`;
}

export function hideTip() {
  light(null);
}

/** Arrow keys go to the nearest node in their direction. */
function walk(event) {
  const direction = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[event.key];
  const here = nodes.get(document.activeElement?.dataset?.id)?.at;
  if (!direction || !here || event.metaKey || event.ctrlKey || event.altKey) return;
  event.preventDefault();
  const [dx, dy] = direction;
  let best = null;
  for (const { at, element } of nodes.values()) {
    const x = at.x - here.x;
    const y = at.y + at.h / 2 - here.y - here.h / 2;
    const ahead = dx ? x * dx : y * dy;
    const aside = Math.abs(dx ? y : x);
    if (ahead <= 4 || (dy && aside > 20)) continue;
    const distance = ahead + aside * 2;
    if (!best || distance < best.distance) best = { distance, element };
  }
  best?.element.focus();
}
