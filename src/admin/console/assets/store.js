// What is known of the server: its status, the flow of answers, the standing edits, the last events.
// It is kept up by events where there are some, and by asking again.

import { call, listen, maybe, path } from "./api.js";
import { partsOf } from "./words.js";

/** How often the status is asked for: without events, with them, and with them where it is large. */
const POLL = 2000;
const POLL_WITH_EVENTS = 5000;
const POLL_LARGE = 15000;

/** So many pools make a status large: then a change is asked for pool by pool. */
const LARGE = 300;

/** After so many intervals without a status, what is shown is marked as stale. */
const STALE_AFTER = 2.5;

/** The flow is the difference over so long: shorter trembles, longer lags. */
const FLOW_WINDOW = 10000;

/** As many events are kept. */
const EVENTS = 200;

export const state = {
  status: null,
  statusAt: 0,
  failure: null,
  /** Whether events stream in; undefined until it is known. */
  isLive: undefined,
  who: null,
  /** Those that stand; null where the server has none to tell, undefined until it is known. */
  edits: undefined,
  events: [],
  /** Domain -> { rate, pools: Map of pool -> rate }, or null where the server does not count. */
  flow: null,
  /** Pool -> rate over all domains. */
  poolFlow: new Map(),
};

const listeners = new Set();
let scheduled = false;

/** Calls `listener` after changes, once for several that come together. */
export function subscribe(listener) {
  listeners.add(listener);
}

export function changed() {
  if (scheduled) return;
  scheduled = true;
  // No animation frame: a hidden tab has none, and should be right when it is looked at.
  setTimeout(() => {
    scheduled = false;
    for (const listener of listeners) listener(state);
  }, 16);
}

let index = { of: null, pools: new Map() };

/** Pool by name with its position: there may be thousands, and each drawing asks for many. */
function pools() {
  if (index.of !== state.status) {
    index = { of: state.status, pools: new Map(state.status?.pools.map(({ name }, position) => [name, position])) };
  }
  return index.pools;
}

export function poolOf(name) {
  return state.status?.pools[pools().get(name)];
}

export function addressOf(pool, name) {
  return poolOf(pool)?.addresses.find((address) => address.name === name);
}

export function domainOf(name) {
  return state.status?.domains.find((domain) => domain.name === name);
}

/** The standing edits of a pool and of its addresses, from the oldest to the newest. */
export function editsOf(pool) {
  return (state.edits ?? []).filter(({ object }) => {
    const [kind, name] = partsOf(object);
    return kind === "pools" && name === pool;
  });
}

/** A class of colour for a pool: the same in the diagram, on the map and in its legend. */
export function colourOf(name) {
  const position = pools().get(name);
  return position === undefined ? "" : `c${position % 8}`;
}

let wake = () => {};

/** Has the status asked for now. */
export function refresh() {
  wake();
}

function pause(milliseconds) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    wake = () => {
      clearTimeout(timer);
      resolve();
    };
  });
}

function interval() {
  if (!state.isLive || state.failure) return POLL;
  return (state.status?.pools.length ?? 0) > LARGE ? POLL_LARGE : POLL_WITH_EVENTS;
}

/** Whether what is shown may no longer be so. */
export function isStale() {
  return Date.now() - state.statusAt > interval() * STALE_AFTER;
}

async function follow() {
  for (;;) {
    const begun = performance.now();
    try {
      state.status = await call("GET", "/v1/status");
      state.statusAt = Date.now();
      state.failure = null;
    } catch (problem) {
      state.failure = problem.message;
    }
    changed();
    // Never more than a tenth of the time is spent on it, whatever its size.
    await pause(Math.max(interval(), (performance.now() - begun) * 9));
  }
}

let samples = [];

async function followFlow() {
  let interval = POLL;
  for (;;) {
    try {
      const flow = document.hidden ? undefined : await maybe("/v1/flow");
      if (flow === null) state.flow = null;
      else if (flow) take(flow);
      changed();
      // One that does not count is asked again now and then: it may be replaced by one that does.
      interval = flow === null ? 30 * POLL : POLL;
    } catch {
      // The status tells that the server does not answer.
    }
    await new Promise((resolve) => { setTimeout(resolve, interval); });
  }
}

function take(flow) {
  const now = performance.now();
  const domains = new Map();
  for (const { name, answers, pools } of flow.domains) {
    domains.set(name, { answers, pools: new Map(pools.map((pool) => [pool.pool, pool.answers])) });
  }
  const last = samples.at(-1);
  const restarted = last && [...domains].some(([name, { answers }]) => answers < (last.domains.get(name)?.answers ?? 0));
  if (restarted) samples = [];
  samples.push({ now, domains });
  while (samples.length > 2 && now - samples[1].now >= FLOW_WINDOW) samples.shift();
  const first = samples[0];
  if (now === first.now) return;
  const seconds = (now - first.now) / 1000;
  const sums = new Map();
  state.poolFlow = sums;
  state.flow = new Map([...domains].map(([name, { answers, pools }]) => {
    const before = first.domains.get(name);
    const rates = [...pools].map(([pool, count]) => [pool, Math.max(0, count - (before?.pools.get(pool) ?? 0)) / seconds]);
    for (const [pool, part] of rates) sums.set(pool, (sums.get(pool) ?? 0) + part);
    return [name, { rate: Math.max(0, answers - (before?.answers ?? 0)) / seconds, pools: new Map(rates) }];
  }));
}

/** Asks for the standing edits; a server without them has none to show. */
export async function loadEdits() {
  state.edits = (await maybe("/v1/edits"))?.edits ?? null;
  changed();
}

/** The same where nobody waits for them. */
export async function refreshEdits() {
  try {
    await loadEdits();
  } catch {
    // Told with the status.
  }
}

const OF_EDITS = new Set(["edited", "reverted", "reloaded", "ordered", "order_ended"]);
let touched = new Set();
let soon = null;

function heard(event) {
  // By its time as well: numbers may begin anew with the server.
  if (!state.events.some(({ id, at }) => id === event.id && at === event.at)) {
    state.events.unshift(event);
    state.events.length = Math.min(state.events.length, EVENTS);
  }
  touched.add(event.pool ?? null);
  if (OF_EDITS.has(event.kind)) touched.add("edits of all");
  // A site that goes brings an event per address: what they change is asked for once.
  soon ??= setTimeout(catchUp, 120);
  changed();
}

async function catchUp() {
  const names = touched;
  touched = new Set();
  soon = null;
  if (names.delete("edits of all")) refreshEdits();
  const isLarge = (state.status?.pools.length ?? 0) > LARGE;
  if (!isLarge || names.has(null) || names.size > 20) {
    refresh();
    return;
  }
  for (const name of names) {
    try {
      const pool = await call("GET", path("pools", name));
      const position = pools().get(name);
      if (position !== undefined) state.status.pools[position] = pool;
    } catch {
      refresh();
    }
  }
  changed();
}

/** Learns who asks; a server that does not say lets everybody do everything. */
export async function introduce() {
  try {
    state.who = await maybe("/v1/whoami");
  } catch {
    state.who = null;
  }
  changed();
}

export async function start() {
  await introduce();
  follow();
  followFlow();
  refreshEdits();
  listen(heard, (isOpen) => {
    const wasLive = state.isLive;
    state.isLive = isOpen;
    if (isOpen !== wasLive) {
      // What happened in between is in the status, whatever of the events is kept.
      refresh();
      refreshEdits();
      changed();
    }
  });
  setInterval(refreshEdits, POLL_LARGE);
}

/** Why the operator may not touch `pool`; `null`: they may. */
export function refusal(pool) {
  const { who } = state;
  if (!who || !who.role) return null;
  if (who.role === "read") return "This token may only look (its role is read).";
  if (who.pools && pool && !who.pools.some((pattern) => matches(pattern, pool))) {
    return `This token is for the pools ${who.pools.join(", ")} only.`;
  }
  return null;
}

/** Why the operator may not take back `edit`; `null`: they may. */
export function refusalToRevert(edit) {
  const { who } = state;
  const [kind, name] = partsOf(edit.object);
  const refused = refusal(kind === "pools" ? name : null);
  if (refused !== null || !who?.role) return refused;
  if (who.pools && kind !== "pools") return `This token is for the pools ${who.pools.join(", ")} only.`;
  if (who.role === "operate" && !edit.state) return "This token may take back states only (its role is operate).";
  return null;
}

/** Whether a name is one of a pattern's: `*` stands for any characters, `?` for one. */
function matches(pattern, name) {
  const literal = pattern.replace(/[.+^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`^${literal.replaceAll("*", ".*").replaceAll("?", ".")}$`).test(name);
}
