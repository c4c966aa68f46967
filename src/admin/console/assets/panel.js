// The side panel: all about one pool, address or domain, and its form.

import { call, path } from "./api.js";
import { form } from "./change.js";
import { byId, fill, h, mark, toast } from "./dom.js";
import { row } from "./feed.js";
import { strip } from "./history.js";
import { addressOf, colourOf, domainOf, poolOf, refresh, refusal, refusalToRevert, state } from "./store.js";
import { addressReason, addressState, objectOf, partsOf, percent, plural, poolState, rate, span } from "./words.js";

let shown = null;

/** Opens it for the parts of an object's name, or closes it for `null`. */
export function show(parts, onClose) {
  const key = parts ? objectOf(parts) : null;
  if (shown?.key === key && key !== null) return;
  shown?.end();
  shown = null;
  const panel = byId("panel");
  panel.hidden = parts === null;
  mark(document.body, "data-panel", parts !== null);
  fill(panel);
  if (parts === null) return;
  const [kind, name, , inner] = parts;
  const isAddress = inner !== undefined;
  const facts = h("div", { class: "facts-of" });
  const title = h("h2", { id: "panel-title", tabindex: -1 }, isAddress ? [h("a", { href: `#/flow/pools/${encodeURIComponent(name)}` }, name), " / ", inner] : name);
  const close = h("button", { type: "button", class: "quiet icon", "aria-label": "Close (Esc)", title: "Close (Esc)", on: { click: onClose } }, "✕");
  const edits = h("ul", { class: "edits" });
  const change = kind === "pools" ? form(key, name, isAddress) : null;
  const history = isAddress ? strip(name, inner) : null;
  fill(panel, h("header", {}, h("span", { class: "kind" }, isAddress ? "Address" : kind === "pools" ? "Pool" : "Domain"), title, close),
    facts, change?.element, edits, history?.element);
  shown = { key, parts, facts, edits, change, end: () => history?.end() };
  draw();
  title.focus({ preventScroll: true });
}

export function isOpen() {
  return shown !== null;
}

/** What the key for a state does. */
export function propose(wanted) {
  shown?.change?.propose(wanted);
}

export function focusWeight() {
  shown?.change?.focusWeight();
}

export function draw() {
  if (!shown || !state.status) return;
  const { key, parts: [kind, name, , inner], facts, edits, change } = shown;
  const rows = kind === "domains" ? ofDomain(name) : inner === undefined ? ofPool(name) : ofAddress(name, inner);
  // A click lands on what was there when it began: nothing is drawn anew that says the same.
  const text = JSON.stringify(rows, (_, value) => (value instanceof Node ? value.textContent : value));
  if (facts.dataset.text !== text) {
    facts.dataset.text = text;
    fill(facts, rows ? h("dl", {}, rows.filter(Boolean).map(([term, ...value]) => [h("dt", {}, term), h("dd", {}, ...value)])) : h("p", { class: "complaint" }, "It is no longer there."));
  }
  const own = (state.edits ?? []).filter(({ object }) => objectOf(partsOf(object)) === key);
  const now = JSON.stringify(own.map((edit) => [edit.id, edit.orphaned, refusalToRevert(edit)]));
  if (edits.dataset.text !== now) {
    edits.dataset.text = now;
    fill(edits, own.map(row));
  }
  change?.update();
}

function badge({ tone, glyph, word }) {
  return h("span", { class: "badge-of", "data-tone": tone }, `${glyph} ${word}`);
}

function ofAddress(pool, name) {
  const address = addressOf(pool, name);
  if (!address) return null;
  const { health, since_seconds: since, streak, last_failure: failure, last_probe: probe } = address;
  const why = addressReason(address);
  return [
    ["Now", badge(addressState(address)), address.available ? "" : " given to nobody"],
    why && ["Why", why],
    ["Target", h("code", {}, address.target)],
    ["Health", health === "unchecked" ? "no check" : `${health}${since === null ? "" : ` for ${span(Math.round(since))}`}, ${plural(streak, health === "down" ? "failure" : "pass", health === "down" ? "failures" : "passes")} in a row`],
    ["Weight", `${address.weight}${address.share < 1 && address.share > 0 ? `, of which ${percent(address.share)}` : ""}`],
    failure && health !== "down" && ["Last failure", failure],
    probe && probe.outcome !== "pass" && health !== "down" && ["Last probe", probe.reason ?? probe.outcome],
  ];
}

function ofPool(name) {
  const pool = poolOf(name);
  if (!pool) return null;
  const users = state.status.domains.filter(({ pools }) => pools.includes(name));
  const waits = ["held", "awaits-release"].includes(pool.standing);
  const refused = refusal(name);
  return [
    ["Now", badge(poolState(pool)), h("i", { class: `swatch ${colourOf(name)}`, "aria-hidden": "true" })],
    ["Why", pool.order?.reason ?? pool.reason],
    pool.suspicion && ["Suspicion", pool.suspicion],
    ["Policy", pool.policy],
    ["Addresses", `${pool.available} of ${pool.addresses.length} given`],
    pool.share < 1 && ["Share", percent(pool.share)],
    pool.held_seconds && ["Held for", span(Math.round(pool.held_seconds))],
    waits && ["Release", h("button", { type: "button", class: "small", disabled: refused !== null, title: refused, on: { click: () => release(name) } }, "Let it come back now")],
    pool.names?.length > 0 && ["Names", pool.names.map(({ name: one, addresses, failure }) => `${one}: ${failure ?? plural(addresses.length, "address", "addresses")}`).join("; ")],
    ["Used by", users.length === 0 ? "no domain directly" : users.slice(0, 12).map(({ name: one }) => h("a", { class: "item", href: `#/flow/domains/${encodeURIComponent(one)}` }, one)), users.length > 12 && `and ${users.length - 12} more`],
  ];
}

async function release(name) {
  try {
    await call("POST", `${path("pools", name)}/release`);
    toast(`${name} comes back`);
  } catch (problem) {
    toast(`Not released: ${problem.message}`, "error");
  }
  refresh();
}

function ofDomain(name) {
  const domain = domainOf(name);
  if (!domain) return null;
  const flow = state.flow?.get(name);
  const link = (view) => `#/${view}?${new URLSearchParams(view === "map" ? { domain: name } : { name })}`;
  return [
    ["Policy", domain.policy],
    ["TTL", `${domain.ttl} s`],
    flow && ["Answers", rate(flow.rate)],
    ["Pools", domain.pools.map((pool) => {
      const part = flow?.rate > 0 ? flow.pools.get(pool) ?? 0 : null;
      return h("a", { class: "item", href: `#/flow/pools/${encodeURIComponent(pool)}` },
        h("i", { class: `swatch ${colourOf(pool)}`, "aria-hidden": "true" }), pool,
        h("small", {}, ` ${poolOf(pool) ? poolState(poolOf(pool)).word : ""}${part === null ? "" : `, ${percent(part / flow.rate)}`}`));
    })],
    ["Look", h("a", { class: "item", href: link("map") }, "where its clients go"), h("a", { class: "item", href: link("explain") }, "why one client gets what it gets")],
  ];
}
