//! All that can be asked for.

use serde_json::json;

use super::super::feed::KINDS;
use super::operation::{Operation, list_of, schema};

/// A kind of objects: its route, its tag, its name in those of its operations, what it is, and the
/// schemas of one and of what changes it.
type Kind = (&'static str, &'static str, &'static str, &'static str, [&'static str; 2]);

/// What can be edited.
const OBJECTS: [Kind; 6] = [
    ("/v1/pools/{pool}", "pools", "Pool", "pool", ["PoolObject", "PatchOrOrder"]),
    (
        "/v1/pools/{pool}/addresses/{address}",
        "pools",
        "Address",
        "address of a pool",
        ["AddressObject", "PatchOrOrder"],
    ),
    ("/v1/domains/{name}", "domains", "Domain", "domain", ["DomainObject", "Patch"]),
    ("/v1/health_checks/{name}", "configuration", "HealthCheck", "health check", ["NamedObject", "Patch"]),
    ("/v1/conditions/{name}", "configuration", "Condition", "condition", ["NamedObject", "Patch"]),
    (
        "/v1/zones/{zone}/records/{owner}/{type}",
        "configuration",
        "Record",
        "RRset of a zone",
        ["RecordObject", "Patch"],
    ),
];

/// What edits can be refused with.
const OF_EDITS: [u16; 5] = [404, 409, 412, 422, 507];

const JSON: &str = "application/json";

pub(super) fn operations() -> Vec<Operation> {
    let objects = OBJECTS.into_iter().flat_map(of_objects);
    let parts =
        [process(), telling(), state(), pools(), edits(), insight(), latency(), notifications(), access()];
    objects.chain(parts.into_iter().flatten()).collect()
}

fn of_objects((route, tag, name, what, [shown, patch]): Kind) -> [Operation; 4] {
    let one = || schema(shown);
    let edit = |method, verb: &str, summary: String| {
        Operation::new((method, route), (format!("{verb}{name}"), tag), summary)
            .circumstances()
            .conditional()
            .refused(&OF_EDITS)
    };
    [
        Operation::new(("get", route), (format!("get{name}"), tag), format!("Look at one {what}"))
            .about("With what the configuration says of it, and the edits that made it so.")
            .json(200, "It is this", one())
            .cacheable(),
        edit("put", "put", format!("Make a {what}, or have one be something else"))
            .about("The whole table of the configuration's file, as docs/configuration.md has it.")
            .body(JSON, schema("Table"))
            .json(200, "It was there, and is this now", one())
            .with_header("ETag")
            .with_header("Rhumb-Edit")
            .json(201, "It was not there, and is this now", one())
            .with_header("ETag")
            .with_header("Rhumb-Edit"),
        edit("patch", "patch", format!("Change members of one {what}"))
            .body(JSON, schema(patch))
            .json(200, "It is this now", one())
            .with_header("ETag")
            .with_header("Rhumb-Edit"),
        edit("delete", "delete", format!("Remove one {what}"))
            .empty(204, "It is not there any more")
            .with_header("Rhumb-Edit"),
    ]
}

fn process() -> Vec<Operation> {
    let plain = ["text/plain"];
    let console = ["text/html", "text/css", "text/javascript", "image/svg+xml", JSON];
    vec![
        Operation::new(("get", "/healthz"), ("isAlive", "process"), "Whether the process runs")
            .open()
            .text(200, "It does", &plain),
        Operation::new(("get", "/readyz"), ("isReady", "process"), "Whether DNS is answered")
            .open()
            .text(200, "It is: the first round of probes has ended", &plain)
            .refused(&[503]),
        Operation::new(("get", "/metrics"), ("getMetrics", "process"), "What is counted, for Prometheus")
            .text(200, "Counters, gauges and histograms in Prometheus' text form", &plain),
        Operation::new(("get", "/openapi.json"), ("getDescription", "process"), "What this API is")
            .open()
            .json(200, "This document", json!({"type": "object"}))
            .refused(&[503]),
        Operation::new(("get", "/"), ("getConsole", "process"), "The console")
            .open()
            .text(200, "A page for browsers", &["text/html"])
            .cacheable_file()
            .refused(&[503]),
        Operation::new(("get", "/console/{*path}"), ("getConsoleFile", "process"), "A file of the console")
            .open()
            .content(200, "The file", &console, json!({}))
            .cacheable_file()
            .refused(&[400, 404, 503]),
        Operation::new(("post", "/v1/reload"), ("reload", "configuration"), "Read the configuration anew")
            .about("All or nothing: a configuration with mistakes changes nothing.")
            .json(200, "It is in force", schema("ReloadReport"))
            .refused(&[422]),
        Operation::new(("get", "/v1/events"), ("followEvents", "process"), "Follow what happens")
            .about("Server-sent events, from now on or from one that was seen last. A comment every 15 s.")
            .query("since", number(), "The number of the event that was seen last")
            .query(
                "kinds",
                json!({"type": "string", "examples": ["turned,moved"]}),
                &format!("Only these, separated by commas: {}", KINDS.join(", ")),
            )
            .query(
                "follow",
                json!({"type": "boolean", "default": true}),
                "Whether to wait for what comes next",
            )
            .header("Last-Event-ID", number(), "Goes before `since`, as browsers send it when they reconnect")
            .content(200, "Events", &["text/event-stream"], schema("Events")),
    ]
}

fn telling() -> Vec<Operation> {
    let log =
        |method, name: &str, summary: &str| Operation::new((method, "/v1/log"), (name, "process"), summary);
    let queries = |method, name: &str, summary: &str| {
        Operation::new((method, "/v1/query_log"), (name, "process"), summary)
    };
    vec![
        log("get", "getLog", "What is logged").json(200, "It is this", schema("LogState")),
        log("put", "setLog", "Log more or less, for a while").body(JSON, schema("LogWanted")).json(
            200,
            "It is this now",
            schema("LogState"),
        ),
        log("delete", "resetLog", "Log what the configuration says")
            .empty(204, "It is as in the configuration"),
        queries("get", "getQueryLog", "What becomes of queries").json(200, "This", schema("QueryLogState")),
        queries("put", "setQueryLog", "Record more or fewer queries, for a while")
            .body(JSON, schema("QueriesWanted"))
            .json(200, "It is this now", schema("QueryLogState"))
            .refused(&[409]),
        queries("delete", "resetQueryLog", "Record what the configuration says")
            .empty(204, "It is as in the configuration"),
    ]
}

fn state() -> Vec<Operation> {
    let listed = |route, name: &str, tag, summary: &str, of| {
        Operation::new(("get", route), (name, tag), summary).json(200, "All of them", list_of(of))
    };
    vec![
        Operation::new(("get", "/v1/status"), ("getStatus", "state"), "The state of everything").json(
            200,
            "What is served and believed",
            schema("Status"),
        ),
        listed("/v1/domains", "listDomains", "domains", "All domains", "DomainStatus").paged(),
        listed("/v1/pools", "listPools", "pools", "All pools", "PoolStatus").paged(),
        listed("/v1/health_checks", "listHealthChecks", "configuration", "All health checks", "Listed")
            .paged(),
        listed("/v1/conditions", "listConditions", "configuration", "All conditions", "Listed").paged(),
        listed("/v1/zones", "listZones", "configuration", "All zones", "ListedZone"),
        listed(
            "/v1/zones/{zone}/records",
            "listRecords",
            "configuration",
            "The RRsets of a zone that the configuration writes itself",
            "ListedRecord",
        )
        .paged(),
    ]
}

fn pools() -> Vec<Operation> {
    let report = |route, name: &str, summary: &str| {
        Operation::new(("post", route), (name, "pools"), summary).body(JSON, schema("Report")).json(
            200,
            "The pool as it is now",
            schema("PoolStatus"),
        )
    };
    vec![
        Operation::new(("post", "/v1/pools/{pool}/addresses"), ("addAddress", "pools"), "Add an address")
            .circumstances()
            .body(JSON, schema("NewAddress"))
            .json(201, "It is there", schema("AddressObject"))
            .with_header("ETag")
            .with_header("Location")
            .with_header("Rhumb-Edit")
            .refused(&[409, 422, 507]),
        Operation::new(
            ("get", "/v1/pools/{pool}/addresses/{address}/history"),
            ("getHistory", "pools"),
            "What the last probes of an address found",
        )
        .json(200, "The latest first", schema("HistoryStatus")),
        report("/v1/pools/{pool}/report", "reportPool", "A site says that it leaves, or is back"),
        report(
            "/v1/pools/{pool}/addresses/{address}/report",
            "reportAddress",
            "An address says that it leaves, or is back",
        ),
        Operation::new(
            ("post", "/v1/pools/{pool}/release"),
            ("releasePool", "pools"),
            "Let a pool come back that is kept away",
        )
        .json(200, "The pool as it is now", schema("PoolStatus"))
        .refused(&[409]),
    ]
}

fn edits() -> Vec<Operation> {
    let one = "/v1/edits/{id}";
    vec![
        Operation::new(("get", "/v1/edits"), ("listEdits", "edits"), "The edits that stand").json(
            200,
            "From the oldest to the newest",
            schema("Edits"),
        ),
        Operation::new(("get", one), ("getEdit", "edits"), "One edit").json(
            200,
            "It is this",
            schema("Edit"),
        ),
        Operation::new(("delete", one), ("revertEdit", "edits"), "Take an edit back")
            .empty(204, "It does not stand any more")
            .refused(&[409, 422, 507]),
        Operation::new(
            ("get", "/v1/edits/export"),
            ("exportEdits", "edits"),
            "The file with the edits in it",
        )
        .text(200, "To be put in the place of the configuration's file", &["application/toml"]),
        Operation::new(
            ("post", "/v1/transactions"),
            ("transact", "edits"),
            "Make several edits, all or none",
        )
        .query("dry_run", json!({"type": "boolean", "default": false}), "Only tell whose answers would move")
        .body(JSON, schema("Transaction"))
        .json(200, "What has come of them, or would", schema("Outcome"))
        .refused(&OF_EDITS),
    ]
}

fn insight() -> Vec<Operation> {
    let text = || json!({"type": "string"});
    let rtype = || json!({"type": "string", "default": "A"});
    vec![
        Operation::new(("get", "/v1/explain"), ("explain", "insight"), "Why a client gets its answer")
            .needed("name", json!({"type": "string", "examples": ["nginx.ai.example.com"]}), "Asked for")
            .query("type", rtype(), "The type asked for")
            .needed("client", json!({"type": "string", "examples": ["203.0.113.7"]}), "Its IP address")
            .json(200, "Step by step", schema("Explanation")),
        Operation::new(("get", "/v1/flow"), ("getFlow", "insight"), "Where answers go")
            .about("Counters since the start of the process, of which a reader takes differences.")
            .json(200, "How often domains have taken their pools", schema("FlowReport"))
            .paged()
            .query("domain", text(), "Only this domain")
            .refused(&[404]),
        Operation::new(("get", "/v1/coverage"), ("getCoverage", "insight"), "Where clients are sent")
            .about("One client for each country of the location databases.")
            .needed("domain", json!({"type": "string", "examples": ["nginx.ai.example.com"]}), "Asked for")
            .query("type", rtype(), "The type asked for")
            .query("down", text(), "As if this pool had nothing up: `after` says what would be")
            .json(200, "Country by country", schema("Coverage"))
            .refused(&[404]),
    ]
}

fn latency() -> Vec<Operation> {
    let csv = "text/csv";
    let operation = |method, name: &str, summary: &str| {
        Operation::new((method, "/v1/latency"), (name, "latency"), summary)
    };
    vec![
        operation("get", "getLatency", "The measurements that were given")
            .text(200, "As they were given", &[csv])
            .cacheable(),
        operation("put", "putLatency", "Give measurements, in the place of all that were given before")
            .about(
                "Lines of source, pool and milliseconds, as docs/configuration.md has them for [[latency]].",
            )
            .body(csv, json!({"type": "string", "examples": ["AS64500,vietnam,23.5\n"]}))
            .or_nothing()
            .json(200, "They are in force", schema("Accepted"))
            .with_header("ETag")
            .conditional()
            .refused(&[415, 422, 507]),
        operation("delete", "deleteLatency", "Forget the measurements that were given")
            .empty(204, "They are not in force any more")
            .conditional()
            .refused(&[507]),
    ]
}

fn notifications() -> Vec<Operation> {
    let (all, test) = ("/v1/notifications", "/v1/notifications/{name}/test");
    vec![
        Operation::new(("get", all), ("listNotifications", "notifications"), "Who is told what happens")
            .json(200, "All destinations, and whether messages arrive", list_of("Destination")),
        Operation::new(("post", test), ("testNotification", "notifications"), "Send a destination a test")
            .about("At once, past all that waits; the answer comes when it has arrived or has failed.")
            .json(200, "What has come of it", schema("Tested")),
    ]
}

fn access() -> Vec<Operation> {
    vec![
        Operation::new(("get", "/v1/whoami"), ("whoAmI", "access"), "Who asks, and what they may").json(
            200,
            "As the daemon knows them",
            schema("Whoami"),
        ),
        Operation::new(("get", "/v1/audit"), ("getAudit", "access"), "Who has changed what")
            .query(
                "limit",
                json!({"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}),
                "How many",
            )
            .query("before", number(), "Only those before this one, by its `seq`")
            .json(200, "The newest first", schema("AuditRecords")),
    ]
}

fn number() -> serde_json::Value {
    json!({"type": "integer", "minimum": 0})
}
