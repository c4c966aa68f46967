// The last probes of an address as a strip of bars, and its transitions below.

import { maybe, path } from "./api.js";
import { fill, h, mark, s, say } from "./dom.js";
import { span } from "./words.js";

/** The server keeps as many; one bar each. */
const BARS = 100;
const HEIGHT = 44;
const PITCH = 4;

/** How often it is asked for while it is looked at. */
const INTERVAL = 2000;

/** The strip of an address. `end()` stops asking. */
export function strip(pool, address) {
  let outcomes = [];
  let cursor = null;
  let isOver = false;
  const bars = s("svg", { viewBox: `0 0 ${BARS * PITCH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" });
  const told = h("p", { class: "told", "aria-live": "polite" });
  const frame = h("div", {
    class: "strip", tabindex: 0, role: "group", "aria-roledescription": "strip of probes",
    "aria-label": "The last probes, the latest at the right; arrow keys go through them",
    on: { keydown: keys, pointermove: point, pointerdown: point, pointerleave: () => aim(null), blur: () => aim(null) },
  }, bars);
  const turns = h("ol", { class: "turns" });
  const element = h("div", { class: "history" },
    h("h3", {}, "Last probes"), frame, told, h("h3", {}, "Turned"), turns);

  function point({ clientX }) {
    const { left, width } = bars.getBoundingClientRect();
    const column = Math.floor((clientX - left) / width * BARS);
    aim(BARS - 1 - Math.max(0, Math.min(BARS - 1, column)));
  }

  function keys(event) {
    const step = { ArrowLeft: 1, ArrowRight: -1, Home: BARS, End: -BARS }[event.key];
    if (!step) return;
    event.preventDefault();
    aim(Math.max(0, Math.min(outcomes.length - 1, cursor === null ? 0 : cursor + step)));
  }

  /** Looks at a probe, counted from the latest; `null`: at all of them. */
  function aim(position) {
    cursor = position !== null && position < outcomes.length ? position : null;
    for (const bar of bars.querySelectorAll("rect")) mark(bar, "data-aimed", bar.dataset.position === String(cursor));
    if (cursor === null) {
      const failed = outcomes.filter(({ outcome }) => outcome !== "pass").length;
      const times = outcomes.map(({ took_ms: took }) => took).sort((a, b) => a - b);
      const median = times[Math.floor(times.length / 2)];
      say(told, outcomes.length === 0 ? "Nothing probed yet."
        : `${outcomes.length} probes, ${failed === 0 ? "none" : failed} failed, half of them within ${median.toFixed(1)} ms.`);
      return;
    }
    const { seconds_ago: ago, outcome, reason, took_ms: took, ...phases } = outcomes[cursor];
    const parts = [["lookup", phases.resolve_ms], ["connect", phases.connect_ms], ["TLS", phases.tls_ms], ["first byte", phases.first_byte_ms]]
      .filter(([, ms]) => ms !== null && ms !== undefined).map(([name, ms]) => `${name} ${ms.toFixed(1)}`);
    say(told, `${span(ago)} ago: ${outcome === "pass" ? "passed" : reason ?? outcome}, ${took.toFixed(1)} ms${parts.length > 0 ? ` (${parts.join(", ")})` : ""}`);
  }

  function draw({ outcomes: given, transitions }) {
    outcomes = given.slice(0, BARS);
    // On a logarithmic scale: 1 ms and 1 s can both be seen.
    const height = (ms) => Math.log10(1 + Math.max(0, ms));
    const most = Math.max(height(10), ...outcomes.map(({ took_ms: ms }) => height(ms)));
    fill(bars, outcomes.map(({ outcome, took_ms: ms }, position) => {
      const isPass = outcome === "pass";
      const tall = isPass ? Math.max(3, HEIGHT * 0.9 * height(ms) / most) : HEIGHT;
      return s("rect", {
        x: (BARS - 1 - position) * PITCH, y: (HEIGHT - tall).toFixed(1), width: PITCH - 1, height: tall.toFixed(1),
        class: isPass ? "pass" : "fail", "data-position": position,
      });
    }));
    aim(cursor);
    fill(turns, transitions.length === 0 ? h("li", { class: "hint" }, "Not since it is watched.")
      : transitions.map(({ seconds_ago: ago, to, reason }) => h("li", { "data-tone": to === "up" ? "ok" : "bad" },
        h("time", {}, `${span(ago)} ago`), h("b", {}, to), h("span", {}, reason))));
  }

  (async () => {
    while (!isOver) {
      try {
        const history = document.hidden ? undefined : await maybe(path("pools", pool, "addresses", address, "history"));
        if (history && !isOver) draw(history);
        if (history === null) say(told, "Nothing is kept of it.");
      } catch {
        // The status tells that the server does not answer.
      }
      await new Promise((resolve) => { setTimeout(resolve, INTERVAL); });
    }
  })();
  return { element, end: () => { isOver = true; } };
}
