// Requests to the admin API, and its stream of events. The token is kept in memory, or for this tab
// where the operator says so; it leaves only as an Authorization header, never as a cookie.

const KEY = "rhumb.token";

/** Longer than any reply takes but that of a server that is gone. */
const PATIENCE = 15000;

/** The stream has a comment every 15 s; without two of them it is dead. */
const SILENCE = 35000;

let token = sessionStorage.getItem(KEY);
let askForToken = async () => {};

/** A refusal, in the words of the server's problem details (RFC 9457). */
export class Problem extends Error {
  constructor(status, { title, detail, field } = {}) {
    super(detail ?? title ?? `status ${status}`);
    this.status = status;
    this.field = field;
  }
}

export function hasToken() {
  return token !== null;
}

export function setToken(given, remember) {
  token = given;
  if (given && remember) sessionStorage.setItem(KEY, given);
  else sessionStorage.removeItem(KEY);
}

/** Says what is done when the server wants a token: resolves when there is one to try. */
export function onUnauthorized(handler) {
  askForToken = handler;
}

function headers(more) {
  return token ? { ...more, authorization: `Bearer ${token}` } : more;
}

async function problemOf(response) {
  let body = {};
  try {
    body = await response.json();
  } catch {
    // Not JSON: something between here and the server has answered.
  }
  const wait = response.headers.get("retry-after");
  if (response.status === 429 && wait) body.detail = `${body.detail ?? "too many attempts"}; again in ${wait} s`;
  return new Problem(response.status, body);
}

/**
 * Asks once, with the token that there is; 401 is a problem like others. With `tag` it is carried out only if
 * that is still the object's (RFC 9110 section 13.1.1). Returns what is answered, and the tag of that.
 */
export async function attempt(method, path, body, tag) {
  const options = { method, cache: "no-store", credentials: "omit", signal: AbortSignal.timeout(PATIENCE) };
  const more = body === undefined ? {} : { "content-type": "application/json" };
  options.headers = headers(tag ? { ...more, "if-match": tag } : more);
  if (body !== undefined) options.body = JSON.stringify(body);
  const response = await fetch(path, options);
  if (!response.ok) throw await problemOf(response);
  const text = await response.text();
  return { content: text === "" ? null : JSON.parse(text), tag: response.headers.get("etag") };
}

/** Asks likewise, and where a token is missing asks the operator for it first. */
export async function exchange(method, path, body, tag) {
  for (;;) {
    const used = token;
    try {
      return await attempt(method, path, body, tag);
    } catch (problem) {
      if (problem.status !== 401) throw problem;
      if (used === token) await askForToken();
    }
  }
}

/** The same where no tag matters: returns what is answered. */
export async function call(method, path, body) {
  return (await exchange(method, path, body)).content;
}

/** `GET`, with `null` for what is not there. */
export async function maybe(path) {
  try {
    return await call("GET", path);
  } catch (problem) {
    if (problem.status === 404) return null;
    throw problem;
  }
}

/** The path of a pool, address or domain under `/v1/`, from its parts. */
export function path(...parts) {
  return `/v1/${parts.map(encodeURIComponent).join("/")}`;
}

/** A query string of the members that say something. */
export function parameters(members) {
  const given = Object.entries(members).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return new URLSearchParams(given).toString();
}

/**
 * Reads events for ever: `onEvent(event)` for each, `onOpen(isOpen)` when the stream begins and ends.
 * After an end it goes on where it was, by Last-Event-ID, later each time up to 10 s.
 */
export async function listen(onEvent, onOpen) {
  let last = null;
  let pause = 500;
  for (;;) {
    const watch = new AbortController();
    let timer = setTimeout(() => watch.abort(), PATIENCE);
    try {
      const more = { accept: "text/event-stream", ...(last === null ? {} : { "last-event-id": last }) };
      const response = await fetch("/v1/events", {
        headers: headers(more), cache: "no-store", credentials: "omit", signal: watch.signal,
      });
      if (response.status === 401) {
        clearTimeout(timer);
        await askForToken();
        pause = 0;
      }
      if (!response.ok || !response.body) {
        // One without a stream of events is asked again now and then: it may be replaced by one that has it.
        if (response.status !== 401) pause = response.status === 404 ? 60000 : 5000;
        throw new Error(`status ${response.status}`);
      }
      onOpen(true);
      pause = 500;
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        clearTimeout(timer);
        timer = setTimeout(() => watch.abort(), SILENCE);
        const { value, done } = await reader.read();
        if (done) break;
        const blocks = (rest + value).replaceAll("\r\n", "\n").split("\n\n");
        rest = blocks.pop();
        for (const block of blocks) last = given(block, onEvent) ?? last;
      }
    } catch {
      // Whatever it was, the next attempt tells.
    }
    clearTimeout(timer);
    watch.abort();
    onOpen(false);
    await new Promise((resolve) => { setTimeout(resolve, pause); });
    pause = Math.min(Math.max(pause * 2, 500), Math.max(pause, 10000));
  }
}

/** Hands on the event of a block, and returns its id. */
function given(block, onEvent) {
  let id = null;
  const data = [];
  for (const line of block.split("\n")) {
    if (line.startsWith("id:")) id = line.slice(3).trim();
    else if (line.startsWith("data:")) data.push(line.slice(5).trimStart());
  }
  if (data.length > 0) {
    try {
      onEvent(JSON.parse(data.join("\n")));
    } catch {
      // An event that cannot be read is left out; the status tells the same.
    }
  }
  return id;
}
