//! What the admin API is, for programs to read: OpenAPI 3.1, made of the types that it gives.

use std::sync::LazyLock;

use axum::http::header;
use axum::response::IntoResponse;
use serde_json::{Map, Value, json};
use utoipa::OpenApi;

use self::operations::operations;
use super::{
    LogState, Problem, QueryLogState, ReloadReport, audit, insight, latency, listing, notifications,
    principal, transactions,
};
use crate::config::LogLevel;
use crate::control::{AddressStatus, DomainStatus, HistoryStatus, PoolStatus, Status};
use crate::routing::Explanation;

mod operation;
mod operations;

/// The types that replies are made of, and all that these are made of.
#[derive(OpenApi)]
#[openapi(components(schemas(
    AddressStatus,
    DomainStatus,
    Explanation,
    HistoryStatus,
    LogState,
    PoolStatus,
    Problem,
    QueryLogState,
    ReloadReport,
    Status,
    audit::Records,
    insight::Coverage,
    insight::FlowReply,
    latency::Accepted,
    listing::Listed,
    listing::ListedRecord,
    listing::ListedZone,
    notifications::Destination,
    notifications::Tested,
    principal::Whoami,
    transactions::Edits,
    transactions::Outcome,
)))]
struct Types;

/// What clients are to know before they ask for anything.
const ABOUT: &str = "What rhumb serves and believes, and the way to change it. All under `/v1` and `/metrics` takes \
     a token of the file that `[admin] token_file` names; without such a file, requests of this host are \
     answered without one. Refusals are problem details (RFC 9457), whose `field` names what is at fault.";

/// What operations are sorted by, and what each is about.
const TAGS: [(&str, &str); 10] = [
    ("state", "What is served and believed"),
    ("pools", "Pools and their addresses"),
    ("domains", "Names that are steered"),
    ("configuration", "Health checks, conditions, zones, and reading the file anew"),
    ("edits", "Changes that lie over the configuration's file"),
    ("insight", "Why and where clients are sent"),
    ("latency", "Latencies that somebody measured"),
    ("notifications", "Who is told what happens, and whether it arrives"),
    ("access", "Who may, and who has done what"),
    ("process", "The daemon itself"),
];

/// As it is given: made once, since it never changes.
static DOCUMENT: LazyLock<String> = LazyLock::new(|| format!("{:#}\n", described()));

/// `GET /openapi.json`
pub(super) async fn document() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.as_str())
}

fn described() -> Value {
    // What these types are is known when this is compiled, and they have no maps but of texts.
    let types = serde_json::to_value(Types::openapi()).unwrap_or_default();
    let mut schemas = types["components"]["schemas"].as_object().cloned().unwrap_or_default();
    schemas.extend(shapes());
    let mut paths = Map::new();
    for operation in operations() {
        let path = paths.entry(operation.path()).or_insert_with(|| json!({}));
        let method = operation.method;
        path[method] = operation.into_value();
    }
    let tags: Vec<Value> =
        TAGS.iter().map(|(name, about)| json!({"name": name, "description": about})).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "rhumb",
            "description": ABOUT,
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": tags,
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": operation::refusals(),
            "headers": operation::headers(),
            "securitySchemes": {"bearer": {
                "type": "http", "scheme": "bearer", "description": "A token, as `rhumb token new` makes them",
            }},
        },
    })
}

/// What is no type of its own, because its members are those of the configuration's file.
fn shapes() -> Map<String, Value> {
    let table = "#/components/schemas/Table";
    let specified = json!({
        "type": "object",
        "required": ["specification", "edits"],
        "properties": {
            "specification": {"$ref": table},
            "edits": {
                "type": "array",
                "items": {"type": "integer", "minimum": 0},
                "description": "The edits that made it so; empty: it is as in the file",
            },
        },
    });
    let with =
        |status: &str| json!({"allOf": [{"$ref": format!("#/components/schemas/{status}")}, specified]});
    let named = json!({"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}});
    let reason = json!({
        "type": ["string", "null"], "maxLength": super::body::LONGEST_REASON, "description": "Why, in words",
    });
    let span = |about: &str| json!({"type": ["string", "null"], "description": about, "examples": ["30m"]});
    let expires = span("How long it is to stand, as a span of time; left out: until it is taken back");
    let levels: Vec<Option<&str>> =
        LogLevel::ALL.map(LogLevel::word).map(Some).into_iter().chain([None]).collect();
    let passes = span("How long that is so; left out: until it is taken back, or the next start");
    let state = json!({
        "type": "string",
        "enum": ["auto", "drain", "up", "down"],
        "description": "What is ordered whatever is observed; `auto` takes that back",
    });
    let shapes = json!({
        "Events": {
            "description":
                "Each has `id`, a number, `event`, its kind, and `data`: JSON with at least `id`, `at` (RFC 3339) and \
                 `kind`. `lagged` tells how many were `missed`, and has no `id`.",
        },
        "Table": {
            "type": "object",
            "description": "A table of the configuration's file as JSON: docs/configuration.md has its keys",
        },
        "PoolObject": with("PoolStatus"),
        "AddressObject": {
            "description": "Of an address that is a name to be resolved, no more than `name` and what is specified",
            "anyOf": [with("AddressStatus"), {"$ref": "#/components/schemas/AddressStatus"}, {"allOf": [named, specified]}],
        },
        "DomainObject": with("DomainStatus"),
        "NamedObject": {"allOf": [named, specified]},
        "RecordObject": specified,
        "NewAddress": {
            "type": "object",
            "description": "An element of `[[pool.NAME.address]]`: docs/configuration.md has its keys",
            "required": ["name"],
            "properties": {"name": {"type": "string", "minLength": 1}},
            "examples": [{"name": "alb-2", "ip": "198.51.100.11", "weight": 1}],
        },
        "Patch": {
            "type": "object",
            "description": "Members of the configuration's table to be changed, null to leave one out (RFC 7396)",
            "properties": {"reason": reason, "expires": expires},
            "minProperties": 1,
        },
        "PatchOrOrder": {
            "type": "object",
            "description":
                "Members of the configuration's table to be changed, null to leave one out (RFC 7396), or a state",
            "properties": {"state": state, "reason": reason, "expires": expires},
            "minProperties": 1,
        },
        "Report": {
            "type": "object",
            "description": "What a site says of itself",
            "required": ["outcome"],
            "additionalProperties": false,
            "properties": {
                "outcome": {"type": "string", "enum": ["fail", "pass"]},
                "reason": reason,
                "for": span("How long it is away; 60 s if nothing is said"),
            },
        },
        "LogWanted": {
            "type": "object",
            "description": "What is to be logged; what is left out is as in the configuration, but not both",
            "additionalProperties": false,
            "properties": {
                "level": {"type": ["string", "null"], "enum": levels},
                "filter": {
                    "type": ["string", "null"],
                    "description": "What else is logged of some modules, or less",
                    "examples": ["rhumb::probe=debug"],
                },
                "for": passes,
            },
        },
        "QueriesWanted": {
            "type": "object",
            "description": "Which queries are to be recorded",
            "required": ["sample"],
            "additionalProperties": false,
            "properties": {
                "sample": {"type": "number", "minimum": 0, "maximum": 1, "description": "The share of them"},
                "for": passes,
            },
        },
        "Transaction": {
            "type": "object",
            "description": "Edits that are made all or none, in this order",
            "required": ["edits"],
            "additionalProperties": false,
            "properties": {
                "reason": reason,
                "expires": expires,
                "edits": {
                    "type": "array",
                    "maxItems": transactions::MOST,
                    "items": {
                        "type": "object",
                        "required": ["object"],
                        "additionalProperties": false,
                        "properties": {
                            "object": {
                                "type": "string",
                                "description": "What it is about, by its path below `/v1/`",
                                "examples": ["pools/vietnam/addresses/alb-1"],
                            },
                            "if_match": {
                                "type": ["string", "null"],
                                "description": "What it has to be before the first of the edits: `*`, anything, or an `ETag` of it",
                                "examples": ["\"5e0f1d2c3b4a59687786958473625140\""],
                            },
                            "put": {"$ref": table},
                            "merge": {"$ref": table},
                            "remove": {"const": true},
                            "state": state,
                        },
                        "oneOf": [
                            {"required": ["put"]},
                            {"required": ["merge"]},
                            {"required": ["remove"]},
                            {"required": ["state"]},
                        ],
                    },
                },
            },
        },
    });
    match shapes {
        Value::Object(shapes) => shapes,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// As the document writes it, which knows no paths of several segments.
    fn as_described(route: &str) -> String {
        route.replace("{*", "{")
    }

    #[test]
    fn every_route_is_described_and_nothing_else() {
        let routes: BTreeSet<String> =
            super::super::routes().iter().map(|(path, _)| as_described(path)).collect();
        let described: BTreeSet<String> =
            described()["paths"].as_object().expect("an object").keys().cloned().collect();
        assert_eq!(described, routes);
    }

    #[test]
    fn operations_have_names_of_their_own_and_tags_that_are_explained() {
        let mut names = BTreeSet::new();
        for operation in operations() {
            let value = operation.into_value();
            let text = |value: &Value| value.as_str().expect("it is a text").to_owned();
            let (name, tag) = (text(&value["operationId"]), text(&value["tags"][0]));
            assert!(TAGS.iter().any(|(known, _)| *known == tag), "{name}: {tag}");
            assert!(names.insert(name.clone()), "{name} is there twice");
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn check(document: &Value, value: &Value) {
            if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
                assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
            }
            let members = value.as_object().into_iter().flat_map(|object| object.values());
            let elements = value.as_array().into_iter().flatten();
            members.chain(elements).for_each(|part| check(document, part));
        }
        let document = described();
        check(&document, &document);
    }
}
