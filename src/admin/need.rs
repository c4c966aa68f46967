//! What a request takes of whoever sends it.

use axum::http::Method;
use serde_json::Value;

use super::Problem;
use super::principal::{Principal, Role};

/// The members of a change that is no more than an order, or another weight.
const OF_ORDERS: [&str; 4] = ["state", "weight", "reason", "expires"];

/// Whose path names a pool, as the routes are written.
const OF_POOL: &str = "/v1/pools/{pool}";
const OF_ADDRESS: &str = "/v1/pools/{pool}/addresses/{address}";

/// Whose path names an edit, which is about whatever it changed: to take it back takes no more than that.
const OF_EDIT: &str = "/v1/edits/{id}";

/// What a request takes. A route that is not named here takes [`Role::Edit`] for all that is not
/// reading, and nobody who is limited to some pools may use it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Need {
    role: Role,
    about: About,
}

#[derive(Debug, PartialEq, Eq)]
enum About {
    /// This pool and its addresses.
    Pool(String),
    /// More than that.
    Everything,
    /// What only its handler can tell, which asks for the rest.
    Untold,
}

impl Need {
    /// That `principal` has it.
    ///
    /// # Errors
    ///
    /// 403, which says what is missing.
    pub(super) fn check(&self, principal: &Principal) -> Result<(), Problem> {
        match &self.about {
            About::Pool(pool) => principal.require(self.role, Some(pool)),
            About::Everything => principal.require(self.role, None),
            About::Untold => principal.require_role(self.role),
        }
    }
}

/// Whether what a request takes depends on what it brings.
pub(super) fn depends_on_body(method: &Method, route: &str) -> bool {
    (*method == Method::PATCH && (route == OF_POOL || route == OF_ADDRESS)) || is_transaction(method, route)
}

fn is_transaction(method: &Method, route: &str) -> bool {
    *method == Method::POST && route == "/v1/transactions"
}

fn is_revert(method: &Method, route: &str) -> bool {
    *method == Method::DELETE && route == OF_EDIT
}

/// What a request takes that goes to `route`, as that is written, which is about `pool` if it is
/// about one, and brings `body` if that matters. All of it has to be there; what cannot be read is
/// refused by whoever carries it out.
pub(super) fn needs(method: &Method, route: &str, pool: Option<&str>, body: &Value) -> Vec<Need> {
    if is_transaction(method, route)
        && let Some(edits) = body["edits"].as_array()
    {
        return edits.iter().map(of_edit).collect();
    }
    vec![of_route(method, route, pool, body)]
}

fn of_route(method: &Method, route: &str, pool: Option<&str>, body: &Value) -> Need {
    let about = match pool {
        Some(pool) if route.starts_with(OF_POOL) => About::Pool(pool.to_owned()),
        _ if is_revert(method, route) => About::Untold,
        _ => About::Everything,
    };
    let is_word = ["/report", "/release"].iter().any(|word| route.ends_with(word));
    let is_order = depends_on_body(method, route) && is_no_more_than(body, &OF_ORDERS);
    let role = match *method {
        Method::GET | Method::HEAD | Method::OPTIONS => Role::Read,
        Method::POST if route.starts_with(OF_POOL) && is_word => Role::Operate,
        Method::PUT | Method::DELETE if route == "/v1/latency" => Role::Operate,
        Method::PATCH if is_order => Role::Operate,
        _ if is_revert(method, route) => Role::Operate,
        _ => Role::Edit,
    };
    Need { role, about }
}

/// One of the edits of a transaction.
fn of_edit(edit: &Value) -> Need {
    let mut path = edit["object"].as_str().unwrap_or_default().split('/');
    let about = match (path.next(), path.next()) {
        (Some("pools"), Some(pool)) => About::Pool(pool.to_owned()),
        _ => About::Everything,
    };
    let is_order = matches!(about, About::Pool(_))
        && is_no_more_than(edit, &["object", "merge", "state", "reason", "expires"])
        && edit.get("merge").is_none_or(|merge| is_no_more_than(merge, &OF_ORDERS));
    Need { role: if is_order { Role::Operate } else { Role::Edit }, about }
}

/// Whether `value` is an object with none but these members.
fn is_no_more_than(value: &Value, members: &[&str]) -> bool {
    value.as_object().is_some_and(|object| object.keys().all(|name| members.contains(&&name[..])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_not_named_takes_the_most() {
        let order = json!({ "state": "drain", "weight": 2, "reason": null, "expires": "1h" });
        let edit = json!({ "state": "drain", "ip": "192.0.2.1" });
        let list = json!(["state"]);
        let vn = || About::Pool("vn".to_owned());
        for (method, route, pool, body, role, about) in [
            (Method::GET, "/v1/anything", None, &Value::Null, Role::Read, About::Everything),
            (Method::HEAD, "/v1/pools/{pool}", Some("vn"), &Value::Null, Role::Read, vn()),
            (Method::POST, "/v1/anything", None, &order, Role::Edit, About::Everything),
            (Method::PATCH, "/v1/domains/{name}", None, &order, Role::Edit, About::Everything),
            (Method::POST, "/v1/reload", None, &Value::Null, Role::Edit, About::Everything),
            (Method::PUT, "/v1/latency", None, &Value::Null, Role::Operate, About::Everything),
            (Method::DELETE, "/v1/latency", None, &Value::Null, Role::Operate, About::Everything),
            (Method::POST, "/v1/pools/{pool}/report", Some("vn"), &Value::Null, Role::Operate, vn()),
            (
                Method::POST,
                "/v1/pools/{pool}/addresses/{address}/report",
                Some("vn"),
                &edit,
                Role::Operate,
                vn(),
            ),
            (Method::POST, "/v1/pools/{pool}/release", Some("vn"), &Value::Null, Role::Operate, vn()),
            (Method::POST, "/v1/pools/{pool}/addresses", Some("vn"), &order, Role::Edit, vn()),
            (Method::PATCH, OF_ADDRESS, Some("vn"), &order, Role::Operate, vn()),
            (Method::PATCH, OF_POOL, Some("vn"), &order, Role::Operate, vn()),
            (Method::PATCH, OF_ADDRESS, Some("vn"), &edit, Role::Edit, vn()),
            (Method::PATCH, OF_ADDRESS, Some("vn"), &list, Role::Edit, vn()),
            (Method::PUT, OF_ADDRESS, Some("vn"), &order, Role::Edit, vn()),
            (Method::DELETE, OF_ADDRESS, Some("vn"), &Value::Null, Role::Edit, vn()),
            (Method::DELETE, "/v1/edits/{id}", None, &Value::Null, Role::Operate, About::Untold),
            (Method::GET, "/v1/edits/{id}", None, &Value::Null, Role::Read, About::Everything),
            (Method::PUT, "/v1/edits/{id}", None, &Value::Null, Role::Edit, About::Everything),
            (Method::DELETE, "/v1/edits", None, &Value::Null, Role::Edit, About::Everything),
            (Method::DELETE, "", None, &Value::Null, Role::Edit, About::Everything),
        ] {
            assert_eq!(needs(&method, route, pool, body), [Need { role, about }], "{method} {route} {body}");
        }
    }

    #[test]
    fn a_transaction_takes_what_each_of_its_edits_takes() {
        let body = json!({ "edits": [
            { "object": "pools/vn/addresses/1", "merge": { "weight": 3 } },
            { "object": "pools/vn", "state": "drain" },
            { "object": "pools/hk/addresses/1", "merge": { "ip": "192.0.2.1" } },
            { "object": "pools/hk", "state": "drain", "remove": true },
            { "object": "domains/a.example", "merge": { "weight": 3 } },
            { "object": 1 },
        ] });
        let needed = needs(&Method::POST, "/v1/transactions", None, &body);
        let of = |pool: &str| About::Pool(pool.to_owned());
        assert_eq!(
            needed,
            [
                (Role::Operate, of("vn")),
                (Role::Operate, of("vn")),
                (Role::Edit, of("hk")),
                (Role::Edit, of("hk")),
                (Role::Edit, About::Everything),
                (Role::Edit, About::Everything),
            ]
            .map(|(role, about)| Need { role, about })
        );
        // What cannot be told takes the most.
        let unread = [Need { role: Role::Edit, about: About::Everything }];
        assert_eq!(needs(&Method::POST, "/v1/transactions", None, &json!({ "edits": 1 })), unread);
    }
}
