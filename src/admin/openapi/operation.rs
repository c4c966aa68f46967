//! One thing that can be asked for, and the parts that many have in common.

use serde_json::{Map, Value, json};

/// What can be refused, by status: the name of the reply, and when it is given.
const REFUSALS: [(u16, &str, &str); 13] = [
    (400, "Malformed", "The request cannot be read, or a parameter makes no sense"),
    (401, "Unauthorized", "There is no good token"),
    (403, "Forbidden", "The token does not suffice, or the request comes from a page of another origin"),
    (404, "NotFound", "There is nothing of this name"),
    (408, "TimedOut", "It took longer than a minute, and may still be carried out"),
    (409, "Conflict", "It does not go with the state of something else"),
    (412, "Changed", "It is not what `If-Match`, `If-None-Match` or an `if_match` expects"),
    (413, "TooLarge", "The request brings too much"),
    (415, "UnsupportedMediaType", "The request brings something else than what is read here"),
    (422, "Unsound", "The configuration would not be sound; `field` is the path of what is at fault"),
    (429, "TooManyWrongTokens", "Too many wrong tokens came from there"),
    (503, "Unavailable", "The daemon stops, is not ready yet, or too many ask at once"),
    (507, "NotKept", "It cannot be kept, so that it was not done"),
];

/// What any request that takes a token may be refused with.
const OF_ALL: [u16; 5] = [401, 403, 408, 429, 503];

/// Something that can be asked for.
pub(super) struct Operation {
    pub(super) method: &'static str,
    route: &'static str,
    value: Value,
    /// The status of the last reply that was described.
    last: String,
}

pub(super) fn schema(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

pub(super) fn list_of(name: &str) -> Value {
    json!({"type": "array", "items": schema(name)})
}

impl Operation {
    /// `method` at `route`, as the router writes that; its name and its tag, and what it does in a few
    /// words.
    pub(super) fn new(
        (method, route): (&'static str, &'static str),
        (name, tag): (impl Into<String>, &str),
        summary: impl Into<String>,
    ) -> Self {
        let parameters: Vec<Value> = named(route).map(|name| parameter(route, name)).collect();
        let value = json!({
            "operationId": name.into(), "tags": [tag], "summary": summary.into(),
            "parameters": parameters, "responses": {},
        });
        let operation = Operation { method, route, value, last: String::new() };
        let is_about_something = !parameters.is_empty();
        operation.refused(&OF_ALL).refused(if is_about_something { &[400, 404] } else { &[] })
    }

    /// For everybody, without a token.
    pub(super) fn open(mut self) -> Self {
        self.value["security"] = json!([]);
        self.value["responses"] = json!({});
        self
    }

    pub(super) fn about(mut self, text: &str) -> Self {
        self.value["description"] = json!(text);
        self
    }

    /// A parameter behind the question mark.
    pub(super) fn query(self, name: &str, schema: Value, about: &str) -> Self {
        let parameter = json!({"name": name, "in": "query", "schema": schema, "description": about});
        self.parameter(parameter).refused(&[400])
    }

    /// The same, without which there is no reply.
    pub(super) fn needed(self, name: &str, schema: Value, about: &str) -> Self {
        let parameter =
            json!({"name": name, "in": "query", "required": true, "schema": schema, "description": about});
        self.parameter(parameter).refused(&[400])
    }

    pub(super) fn header(self, name: &str, schema: Value, about: &str) -> Self {
        let parameter = json!({"name": name, "in": "header", "schema": schema, "description": about});
        self.parameter(parameter).refused(&[400])
    }

    fn parameter(mut self, parameter: Value) -> Self {
        if let Some(parameters) = self.value["parameters"].as_array_mut() {
            parameters.push(parameter);
        }
        self
    }

    /// Why, and for how long.
    pub(super) fn circumstances(self) -> Self {
        let longest = super::super::body::LONGEST_REASON;
        self.query("reason", json!({"type": "string", "maxLength": longest}), "Why, in words").query(
            "expires",
            json!({"type": "string", "examples": ["30m"]}),
            "How long it is to stand, as a span of time; left out: until it is taken back",
        )
    }

    /// What must be so for something to be changed.
    pub(super) fn conditional(self) -> Self {
        let text = json!({"type": "string", "examples": ["*"]});
        self.header(
            "If-Match",
            text.clone(),
            "Only if its entity tag is one of these, or `*`: if it is there",
        )
        .header("If-None-Match", text, "`*`: only if it is not there")
        .refused(&[412])
    }

    /// That it need not be sent again.
    pub(super) fn cacheable(self) -> Self {
        let text = json!({"type": "string", "examples": ["*"]});
        self.header("If-None-Match", text, "Entity tags of what is known already")
            .with_header("ETag")
            .empty(304, "It is known already")
            .with_header("ETag")
    }

    /// The same of a file, whose browsers' copies are looked at leniently.
    pub(super) fn cacheable_file(self) -> Self {
        self.with_header("ETag")
            .parameter(json!({
                "name": "If-None-Match", "in": "header", "schema": {"type": "string"},
                "description": "Entity tags of what is known already",
            }))
            .empty(304, "It is known already")
            .with_header("ETag")
    }

    /// A page of a list.
    pub(super) fn paged(self) -> Self {
        let most = super::super::listing::MOST;
        let limit = json!({"type": "integer", "minimum": 1, "maximum": most, "default": most});
        self.query("limit", limit, "How many there are on the page")
            .query(
                "after",
                json!({"type": "string"}),
                "The name of the last on the page before; of records, its `object`",
            )
            .with_header("Link")
    }

    /// What it brings, and no more than that.
    pub(super) fn body(mut self, kind: &str, schema: Value) -> Self {
        self.value["requestBody"] = json!({"required": true, "content": {kind: {"schema": schema}}});
        self.refused(&[400, 413])
    }

    /// That it may bring nothing.
    pub(super) fn or_nothing(mut self) -> Self {
        self.value["requestBody"]["required"] = json!(false);
        self
    }

    /// A reply of JSON.
    pub(super) fn json(self, status: u16, about: &str, schema: Value) -> Self {
        self.content(status, about, &["application/json"], schema)
    }

    /// A reply of text of one of these kinds.
    pub(super) fn text(self, status: u16, about: &str, kinds: &[&str]) -> Self {
        self.content(status, about, kinds, json!({"type": "string"}))
    }

    /// A reply without a body.
    pub(super) fn empty(self, status: u16, about: &str) -> Self {
        self.content(status, about, &[], Value::Null)
    }

    /// A reply of one of these kinds.
    pub(super) fn content(mut self, status: u16, about: &str, kinds: &[&str], schema: Value) -> Self {
        let mut reply = json!({"description": about});
        if !kinds.is_empty() {
            let content = kinds.iter().map(|kind| ((*kind).to_owned(), json!({"schema": schema})));
            reply["content"] = Value::Object(content.collect());
        }
        self.last = status.to_string();
        self.value["responses"][&self.last] = reply;
        self
    }

    /// A header of the last reply.
    pub(super) fn with_header(mut self, name: &str) -> Self {
        let reference = json!({"$ref": format!("#/components/headers/{name}")});
        self.value["responses"][&self.last]["headers"][name] = reference;
        self
    }

    /// That it can be refused with these.
    pub(super) fn refused(mut self, statuses: &[u16]) -> Self {
        for (status, name, _) in REFUSALS.iter().filter(|(status, ..)| statuses.contains(status)) {
            let reference = json!({"$ref": format!("#/components/responses/{name}")});
            self.value["responses"][status.to_string()] = reference;
        }
        self
    }

    /// Where it is, as OpenAPI writes that, which knows no paths of several segments.
    pub(super) fn path(&self) -> String {
        self.route.replace("{*", "{")
    }

    /// As OpenAPI describes it, its replies in order.
    pub(super) fn into_value(mut self) -> Value {
        if let Some(replies) = self.value["responses"].as_object_mut() {
            replies.sort_keys();
        }
        self.value
    }
}

/// The parameters of a path.
fn named(route: &str) -> impl Iterator<Item = &str> {
    route.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

fn parameter(route: &str, name: &str) -> Value {
    let name = name.trim_start_matches('*');
    let (about, example) = match name {
        "pool" => ("The name of a pool", "vietnam"),
        "address" => ("The name of an address of the pool", "alb-1"),
        "zone" => ("The apex of a zone", "ai.example.com"),
        "owner" => ("A name relative to the zone; `@` is the apex", "ns1"),
        "type" => ("A type of records", "A"),
        "id" => ("The number of an edit", "7"),
        "path" => ("A file of the console", "app.js"),
        _ if route.starts_with("/v1/domains") => ("The name that clients ask for", "nginx.ai.example.com"),
        _ if route.starts_with("/v1/conditions") => ("The name of a condition", "database"),
        _ => ("The name of a health check", "web"),
    };
    json!({
        "name": name, "in": "path", "required": true, "description": about,
        "schema": {"type": "string", "minLength": 1, "examples": [example]},
    })
}

/// The replies to what is refused.
pub(super) fn refusals() -> Value {
    let refusals = REFUSALS.iter().map(|(status, name, about)| {
        let mut reply = json!({
            "description": about,
            "content": {"application/problem+json": {"schema": schema("Problem")}},
        });
        let header = match status {
            401 => "WWW-Authenticate",
            429 | 503 => "Retry-After",
            _ => return ((*name).to_owned(), reply),
        };
        reply["headers"] = json!({header: {"$ref": format!("#/components/headers/{header}")}});
        ((*name).to_owned(), reply)
    });
    Value::Object(refusals.collect())
}

/// The headers of replies.
pub(super) fn headers() -> Value {
    let header = |kind: &str, about: &str| json!({"schema": {"type": kind}, "description": about});
    let headers = [
        ("ETag", header("string", "Differs whenever anything of the content does (RFC 9110 section 8.8.3)")),
        ("Link", header("string", "Where the next page is, if there is one (RFC 8288)")),
        ("Location", header("string", "Where the object is that was made")),
        ("Retry-After", header("integer", "Seconds after which it makes sense to ask again")),
        (
            "Rhumb-Edit",
            header("integer", "The number of the edit that was made; left out: nothing had to change"),
        ),
        ("WWW-Authenticate", header("string", "`Bearer`")),
    ];
    Value::Object(Map::from_iter(headers.map(|(name, header)| (name.to_owned(), header))))
}
