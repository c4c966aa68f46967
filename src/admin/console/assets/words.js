// What the state of things is called, and how numbers are written.

/** A span in seconds, in its largest unit or two. */
export function span(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d`;
}

/** Answers per second. */
export function rate(perSecond) {
  if (perSecond === null || perSecond === undefined) return "";
  if (perSecond === 0) return "0/s";
  if (perSecond < 10) return `${perSecond.toFixed(1)}/s`;
  if (perSecond < 10000) return `${Math.round(perSecond)}/s`;
  if (perSecond < 1e6) return `${(perSecond / 1e3).toFixed(0)} k/s`;
  return `${(perSecond / 1e6).toFixed(1)} M/s`;
}

export function percent(part) {
  if (part > 0 && part < 0.01) return "<1 %";
  return `${Math.round(part * 100)} %`;
}

export function plural(count, one, many = `${one}s`) {
  return `${count} ${count === 1 ? one : many}`;
}

/** The time of day of an RFC 3339 moment, here. */
export function clock(at) {
  const moment = new Date(at);
  return Number.isNaN(moment.getTime()) ? "" : moment.toLocaleTimeString([], { hour12: false });
}

/** How an address is: `tone` is for colour, `glyph` for those who see none, `word` for all. */
export function addressState(address) {
  if (address.state === "drain") {
    const left = address.order?.empty_seconds;
    return { tone: "warn", glyph: "▽", word: left > 0 ? "draining" : "drained" };
  }
  if (address.state === "down") return { tone: "warn", glyph: "■", word: "disabled" };
  if (address.state === "up") return { tone: "info", glyph: "▲", word: "forced up" };
  if (address.away) return { tone: "warn", glyph: "◇", word: "away" };
  if (address.damped) return { tone: "bad", glyph: "~", word: "damped" };
  if (address.health === "down") return { tone: "bad", glyph: "✕", word: "down" };
  if (address.health === "unknown") return { tone: "dim", glyph: "?", word: "unknown" };
  if (address.weight === 0) return { tone: "dim", glyph: "○", word: "weight 0" };
  if (address.health === "unchecked") return { tone: "dim", glyph: "●", word: "unchecked" };
  if (address.share < 1) return { tone: "info", glyph: "◐", word: `coming back, ${percent(address.share)}` };
  return { tone: "ok", glyph: "●", word: "up" };
}

/** Why an address is as it is, in a sentence or none. */
export function addressReason(address) {
  if (address.order) {
    const { reason, seconds, empty_seconds: empty } = address.order;
    const parts = [`ordered ${address.state}`];
    if (reason) parts.push(reason);
    if (empty > 0) parts.push(`empty in ${span(empty)}`);
    if (seconds !== null && seconds !== undefined) parts.push(`for ${span(seconds)} more`);
    return parts.join(", ");
  }
  if (address.away) return `reported away for ${span(address.away.seconds)}${address.away.reason ? `: ${address.away.reason}` : ""}`;
  if (address.damped) return `held down after ${plural(address.damped.flips, "flip")}, for ${span(address.damped.seconds)} more`;
  if (address.health === "down") return address.last_failure ?? "down";
  return "";
}

const STANDINGS = {
  "in-service": { tone: "ok", glyph: "●", word: "in service" },
  returning: { tone: "info", glyph: "◐", word: "returning" },
  "below-minimum": { tone: "bad", glyph: "✕", word: "below minimum" },
  unmet: { tone: "bad", glyph: "✕", word: "condition unmet" },
  down: { tone: "bad", glyph: "✕", word: "down" },
  held: { tone: "warn", glyph: "◇", word: "held" },
  "awaits-release": { tone: "warn", glyph: "◇", word: "awaits release" },
};

export function poolState(pool) {
  const ordered = pool.order?.state;
  if (ordered === "drain") return { tone: "warn", glyph: "▽", word: "drained" };
  if (ordered === "down") return { tone: "warn", glyph: "■", word: "disabled" };
  const standing = STANDINGS[pool.standing] ?? { tone: "dim", glyph: "?", word: pool.standing };
  return ordered === "up" ? { ...standing, word: `forced, ${standing.word}` } : standing;
}

/** Whether somebody should look at a pool. */
export function isPoolWell(pool) {
  return pool.standing === "in-service" && !pool.order && !pool.suspicion
    && pool.addresses.every((address) => ["ok", "dim"].includes(addressState(address).tone));
}

/** What an edit does, in a few words. */
export function editText(edit) {
  if (edit.state) return edit.state;
  if (edit.remove) return "removed";
  const members = edit.merge ?? edit.put;
  if (!members) return "";
  const text = Object.entries(members).map(([key, value]) => `${key} ${value === null ? "as by default" : typeof value === "object" ? JSON.stringify(value) : value}`);
  return `${edit.put ? "set: " : ""}${text.join(", ")}`;
}

/** What an object is called, from its parts: `alb/192.0.2.1`, to which a name resolves, is one of them. */
export function objectOf(parts) {
  return parts.map(encodeURIComponent).join("/");
}

/** The parts of what an object is called. */
export function partsOf(object) {
  return object.split("/").map(decodeURIComponent);
}

/** `pools/vietnam/addresses/alb-1` as people say it. */
export function objectText(object) {
  const parts = partsOf(object);
  if (parts[0] === "pools") return parts.length > 3 ? `${parts[1]} / ${parts[3]}` : parts[1];
  if (parts[0] === "domains") return parts.slice(1).join("/");
  return object;
}

const KINDS = {
  turned: (e) => [e.to === "up" ? "ok" : "bad", `${e.pool} / ${e.address}`, `${e.to}${e.reason ? `: ${e.reason}` : ""}`],
  moved: (e) => [STANDINGS[e.standing]?.tone ?? "dim", e.pool, `${STANDINGS[e.standing]?.word ?? e.standing}${e.reason ? `: ${e.reason}` : ""}`],
  damped: (e) => ["bad", `${e.pool} / ${e.address}`, "held down for flipping too often"],
  undamped: (e) => ["ok", `${e.pool} / ${e.address}`, "held down no longer"],
  ordered: (e) => [e.state === "auto" ? "info" : "warn", e.address ? `${e.pool} / ${e.address}` : e.pool,
    `${e.state === "auto" ? "no order any more" : `ordered ${e.state}`}${e.reason ? `: ${e.reason}` : ""}`],
  order_ended: (e) => ["info", e.address ? `${e.pool} / ${e.address}` : e.pool, `${e.follows} again, no longer ${e.state}`],
  drained: (e) => ["info", `${e.pool} / ${e.address}`, "drained: no answer that named it is still in use"],
  away: (e) => ["warn", e.address ? `${e.pool} / ${e.address}` : e.pool, "reported away"],
  back: (e) => ["ok", e.address ? `${e.pool} / ${e.address}` : e.pool, "reported back"],
  suspected: (e) => ["warn", e.pool, `is its check right? ${e.reason ?? ""}`],
  isolated: (e) => ["bad", "this server", `isolated: ${e.silent} of ${e.of} sites are silent`],
  reconnected: (e) => ["ok", "this server", `isolated no longer, after ${span(e.after_seconds)}`],
  resolved: (e) => ["info", e.name, `resolves to ${(e.addresses ?? []).join(", ")}`],
  unresolved: (e) => ["warn", e.name, `does not resolve: ${e.reason ?? ""}`],
  edited: (e) => ["info", (e.objects ?? []).map(objectText).join(", "), `edited${e.by ? ` by ${e.by}` : ""}`],
  reverted: (e) => ["info", `${(e.edits ?? []).length === 1 ? "edit" : "edits"} ${(e.edits ?? []).join(", ")}`, "taken back"],
  reloaded: (e) => ["info", "configuration", ["reloaded", ...reloadText(e)].join("; ")],
  refused: (e) => ["bad", "configuration", `refused: ${e.detail ?? ""}`],
  published: (e) => ["dim", "table", `generation ${e.generation}`],
};

/** What a reload has changed, kind by kind. */
function reloadText(report) {
  return ["pools", "domains", "zones", "health_checks", "conditions"].flatMap((kind) => {
    const counts = ["added", "removed", "changed"].map((how) => [how, report[kind]?.[how]?.length ?? 0]).filter(([, count]) => count > 0);
    return counts.length === 0 ? [] : [`${kind.replace("_", " ")}: ${counts.map(([how, count]) => `${count} ${how}`).join(", ")}`];
  });
}

/** `tone`, `subject` and `text` of an event. */
export function eventText(event) {
  const [tone, subject, text] = (KINDS[event.kind] ?? ((e) => ["dim", e.kind, e.reason ?? ""]))(event);
  return { tone, subject, text };
}
