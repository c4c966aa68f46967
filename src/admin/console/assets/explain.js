// Why a client gets the answer it gets: the tree of decisions, with what was taken marked.

import { call, parameters } from "./api.js";
import { byId, fill, h } from "./dom.js";
import { colourOf, state } from "./store.js";
import { percent } from "./words.js";

const TYPES = ["A", "AAAA", "CNAME", "HTTPS", "SVCB", "TXT", "MX", "SRV", "NS", "SOA", "CAA", "PTR"];

let fields;
let result;
let asked = null;

export function start(onAsk) {
  const name = h("input", { id: "explain-name", type: "text", required: true, list: "domains", placeholder: "www.example.com", autocomplete: "off", autocapitalize: "off", spellcheck: "false" });
  const type = h("select", { id: "explain-type" }, TYPES.map((one) => h("option", {}, one)));
  const client = h("input", { id: "explain-client", type: "text", required: true, placeholder: "203.0.113.7", autocomplete: "off", autocapitalize: "off", spellcheck: "false" });
  fields = { name, type, client };
  result = h("div", { class: "explanation", "aria-live": "polite" });
  const ask = () => onAsk({ name: name.value.trim(), type: type.value, client: client.value.trim() });
  fill(byId("explain"),
    h("form", { class: "ask", novalidate: true, on: { submit: (event) => { event.preventDefault(); ask(); } } },
      h("label", {}, "Name", name), h("label", {}, "Type", type), h("label", {}, "Client", client),
      h("button", { type: "submit", class: "primary" }, "Explain"), h("datalist", { id: "domains" })),
    result);
}

/** Fills the form, and asks where all is there. */
export async function show({ name, type, client }) {
  if (name) fields.name.value = name;
  if (type) fields.type.value = TYPES.includes(type) ? type : "A";
  if (client) fields.client.value = client;
  fill(byId("domains"), (state.status?.domains ?? []).slice(0, 500).map((domain) => h("option", { value: domain.name })));
  if (!name || !client) {
    (name ? fields.client : fields.name).focus();
    if (!asked) fill(result, h("p", { class: "empty" }, "Ask as a client would: the same code that answers tells how it decided."));
    return;
  }
  const question = { name, type: type || "A", client };
  asked = question;
  try {
    const explanation = await call("GET", `/v1/explain?${parameters(question)}`);
    if (asked === question) fill(result, tree(explanation));
  } catch (problem) {
    if (asked === question) fill(result, h("p", { class: "complaint", role: "alert" }, `${problem.field ? `${problem.field}: ` : ""}${problem.message}`));
  }
}

function tree({ client, place, decisions, rcode, answer, scope }) {
  return [
    h("ol", { class: "tree" },
      h("li", { class: "taken" }, h("div", { class: "step" }, h("b", {}, client), h("span", {}, whereabouts(place)))),
      decisions.map(decision),
      h("li", { class: "taken end" },
        h("div", { class: "step" }, h("b", {}, "Answer"), h("span", {}, `${rcode}, for all clients of ${subnet(client, scope)}`)),
        answer.length > 0 ? h("pre", { class: "records", tabindex: 0, "aria-label": "Records of the answer" }, answer.join("\n")) : h("p", { class: "hint" }, "No records."))),
  ];
}

/** The scope of an answer in words. */
function subnet(client, scope) {
  if (scope === 0) return "the world";
  return `the same /${scope}`;
}

function whereabouts(place) {
  if (!place) return "where it is was not looked at";
  const { country, subdivision, continent, asn, latitude, longitude, prefix, databases } = place;
  const parts = [[subdivision, country, continent].filter(Boolean).join(", ") || "nowhere known"];
  if (asn) parts.push(`AS${asn}`);
  if (latitude !== null && longitude !== null) parts.push(`${latitude.toFixed(2)}, ${longitude.toFixed(2)}`);
  parts.push(`by ${prefix} of ${databases.length > 0 ? databases.join(", ") : "no database"}`);
  return parts.join(" · ");
}

function decision({ domain, choices, all_down: allDown, pool, reason, addresses, shortened_ttl: shortened }) {
  return h("li", { class: "taken" },
    h("div", { class: "step" }, h("b", {}, domain), h("span", {}, pool ? "chooses a pool" : "has no pool to choose")),
    h("ol", {},
      choices.map((choice, position) => choiceMade(choice, position === choices.length - 1 ? pool : null)),
      allDown && h("li", { class: "taken warn" }, h("div", { class: "step" }, h("b", {}, "All down"), h("span", {}, allDown))),
      pool && h("li", { class: "taken" },
        h("div", { class: "step" }, h("i", { class: `swatch ${colourOf(pool)}`, "aria-hidden": "true" }), h("b", {}, pool), h("span", {}, reason ?? "")),
        addresses.length > 0 && h("ol", {}, addresses.map(address))),
      shortened !== null && h("li", { class: "taken" }, h("div", { class: "step" }, h("b", {}, "TTL"), h("span", {}, `kept for ${shortened} s only`)))));
}

function choiceMade({ rule, source, policy, among, candidates }, pool) {
  const title = rule === null ? "otherwise" : `rule ${rule}`;
  const taken = candidates.findLastIndex(({ pool: one }) => one === pool);
  return h("li", { class: taken >= 0 ? "taken" : "left" },
    h("div", { class: "step" }, h("b", {}, rule === null ? policy : `${title}: ${policy}`), h("span", {}, [source && `for ${source}`, `among pools ${among}`].filter(Boolean).join(" · "))),
    h("ol", {}, candidates.map(({ pool: one, finding }, position) => h("li", { class: position === taken ? "taken" : "left" },
      h("div", { class: "step" }, h("i", { class: `swatch ${colourOf(one)}`, "aria-hidden": "true" }), h("b", {}, one),
        h("span", {}, finding),
        position === taken && h("em", {}, "taken"))))));
}

function address({ name, target, weight, share, up }) {
  return h("li", { class: up ? "taken" : "left" },
    h("div", { class: "step" }, h("b", {}, name), h("code", {}, target),
      h("span", {}, [`weight ${weight}`, up ? share < 1 && `share ${percent(share)}` : "not given"].filter(Boolean).join(" · "))));
}
