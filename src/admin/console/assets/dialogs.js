// Dialogs: the token, and the sheet of keys.

import { attempt, hasToken, setToken } from "./api.js";
import { h } from "./dom.js";

let waiting = null;

/** Asks for a token; resolves when one was accepted. However many want one, it is asked for once. */
export function login() {
  waiting ??= ask().finally(() => { waiting = null; });
  return waiting;
}

function ask() {
  return new Promise((resolve) => {
    const wasRefused = hasToken();
    const token = h("input", { type: "password", id: "token", autocomplete: "off", required: true, spellcheck: "false" });
    const remember = h("input", { type: "checkbox", id: "remember" });
    const complaint = h("p", { class: "complaint", role: "alert" }, wasRefused ? "The token is not accepted any more." : "");
    const enter = h("button", { type: "submit", class: "primary" }, "Log in");
    const form = h("form", { method: "dialog", on: { submit } },
      h("h2", { id: "login-title" }, "Log in"),
      h("p", {}, "This server asks for a token. It is sent to it and to nobody else."),
      h("label", { for: "token" }, "Token"), token,
      h("label", { class: "check", for: "remember" }, remember, "Remember it for this tab"),
      complaint, h("div", { class: "actions" }, enter));
    const dialog = h("dialog", { id: "login", "aria-labelledby": "login-title", on: { cancel: (event) => event.preventDefault() } }, form);
    document.body.append(dialog);
    dialog.showModal();
    token.focus();

    async function submit(event) {
      event.preventDefault();
      enter.disabled = true;
      setToken(token.value.trim(), remember.checked);
      try {
        await check();
        dialog.close();
        dialog.remove();
        resolve();
      } catch (problem) {
        setToken(null, false);
        complaint.textContent = problem.status === 401 ? "This token is not known." : problem.message;
        enter.disabled = false;
        token.select();
        token.focus();
      }
    }
  });
}

/** Tries the token on something that every role may see. */
async function check() {
  try {
    await attempt("GET", "/v1/whoami");
  } catch (problem) {
    if (problem.status !== 404) throw problem;
    await attempt("GET", "/v1/domains?limit=1");
  }
}

const KEYS = [
  ["1 2 3", "Flow, map, explain"],
  ["/", "Filter"],
  ["← ↑ ↓ →", "Through the diagram, the probes"],
  ["Enter", "Open what has the focus"],
  ["Esc", "Close"],
  ["d", "Drain what is open or has the focus: see what moves, Enter applies"],
  ["a", "Back to auto"],
  ["w", "Weight"],
  ["[ ]", "Page back, forth"],
  ["n", "Only what is not well"],
  ["e", "Explain"],
  ["t", "Light, dark, as the system"],
  ["?", "This sheet"],
];

export function keys() {
  const dialog = h("dialog", { id: "keys", "aria-labelledby": "keys-title", on: { close: () => dialog.remove() } },
    h("form", { method: "dialog" },
      h("h2", { id: "keys-title" }, "Keys"),
      h("dl", {}, KEYS.map(([key, meaning]) => [h("dt", {}, key.split(" ").map((one) => h("kbd", {}, one))), h("dd", {}, meaning)])),
      h("div", { class: "actions" }, h("button", { class: "primary" }, "Close"))));
  document.body.append(dialog);
  dialog.showModal();
}
