//! One edit, and what it makes of what was there.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::object::Object;
use crate::plan::AddressState;

/// What an edit does to its object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "Words", try_from = "Words")]
pub enum Change {
    /// It is this, whatever it was, and whether it was there or not.
    Put(Map<String, Value>),
    /// These members of it are other ones, and those that are null are left out (RFC 7396).
    Merge(Map<String, Value>),
    /// It is not there.
    Remove,
    /// This is ordered of it, which is a pool or an address, whatever is observed; `auto` takes back
    /// what was ordered before.
    State(AddressState),
}

/// A change as it is written, in the API and in the journal: exactly one of these.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
struct Words {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    put: Option<Map<String, Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    merge: Option<Map<String, Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    remove: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<String>,
}

impl PartialSchema for Change {
    fn schema() -> RefOr<Schema> {
        Words::schema()
    }
}

impl ToSchema for Change {}

/// What somebody has changed while the configuration was in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Edit {
    /// Its number; later ones are higher, and lie over earlier ones.
    pub id: u64,
    /// What it is about.
    pub object: Object,
    /// What becomes of it.
    #[serde(flatten)]
    pub change: Change,
    /// Who made it, when, and for how long.
    #[serde(flatten)]
    pub stamp: Stamp,
}

/// Who made an edit, when, why and for how long.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Why, in the operator's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who made it.
    pub by: String,
    /// From where.
    pub from: String,
    /// When, in milliseconds since the beginning of 1970.
    pub at: u64,
    /// When it ends by itself, likewise; `None`: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
}

impl Change {
    /// What becomes of an object that was `before`; `None`: it is not there. A state leaves it as it is.
    pub(super) fn onto(&self, before: Option<&Map<String, Value>>) -> Option<Map<String, Value>> {
        match self {
            Change::Put(content) => Some(without_nulls(content)),
            Change::Merge(patch) => {
                let mut merged = before.cloned().unwrap_or_default();
                merge(&mut merged, patch);
                Some(merged)
            }
            Change::Remove => None,
            Change::State(_) => before.cloned(),
        }
    }

    /// Whether it is about what is written, and not about a state.
    pub(super) fn is_of_specification(&self) -> bool {
        !matches!(self, Change::State(_))
    }
}

impl Edit {
    /// Whether nothing is left of `earlier` while this edit stands, and nothing will be when it ends.
    pub(super) fn hides(&self, earlier: &Edit) -> bool {
        let outlasts = match (self.stamp.until, earlier.stamp.until) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(until), Some(earlier)) => until >= earlier,
        };
        match (&self.change, &earlier.change) {
            (Change::State(_), Change::State(_)) => outlasts && self.object == earlier.object,
            (Change::State(_), _) | (_, Change::State(_)) => false,
            (Change::Put(_) | Change::Remove, _) => outlasts && earlier.object.is_within(&self.object),
            (Change::Merge(patch), Change::Merge(before)) => {
                outlasts && self.object == earlier.object && covers(patch, before)
            }
            (Change::Merge(_), Change::Put(_) | Change::Remove) => false,
        }
    }
}

/// RFC 7396 section 2.
fn merge(target: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (key, value) in patch {
        match value {
            Value::Null => drop(target.shift_remove(key)),
            Value::Object(patch) => {
                let below = target.entry(key.clone()).or_insert_with(|| Value::Object(Map::new()));
                if !below.is_object() {
                    *below = Value::Object(Map::new());
                }
                if let Value::Object(below) = below {
                    merge(below, patch);
                }
            }
            other => drop(target.insert(key.clone(), other.clone())),
        }
    }
}

/// Whether every member that `earlier` sets is set by `patch` too.
fn covers(patch: &Map<String, Value>, earlier: &Map<String, Value>) -> bool {
    earlier.iter().all(|(key, before)| match (patch.get(key), before) {
        (None, _) => false,
        (Some(Value::Object(patch)), Value::Object(before)) => covers(patch, before),
        (Some(Value::Object(_)), _) => false,
        (Some(_), _) => true,
    })
}

fn without_nulls(content: &Map<String, Value>) -> Map<String, Value> {
    let members = content.iter().filter(|(_, value)| !value.is_null());
    members
        .map(|(key, value)| {
            let value = match value {
                Value::Object(below) => Value::Object(without_nulls(below)),
                other => other.clone(),
            };
            (key.clone(), value)
        })
        .collect()
}

impl From<Change> for Words {
    fn from(change: Change) -> Self {
        let none = Words::default();
        match change {
            Change::Put(content) => Words { put: Some(content), ..none },
            Change::Merge(patch) => Words { merge: Some(patch), ..none },
            Change::Remove => Words { remove: Some(true), ..none },
            Change::State(state) => Words { state: Some(state.to_string()), ..none },
        }
    }
}

impl TryFrom<Words> for Change {
    type Error = String;

    fn try_from(words: Words) -> Result<Self, String> {
        match words {
            Words { put: Some(content), merge: None, remove: None, state: None } => Ok(Change::Put(content)),
            Words { put: None, merge: Some(patch), remove: None, state: None } => Ok(Change::Merge(patch)),
            Words { put: None, merge: None, remove: Some(true), state: None } => Ok(Change::Remove),
            Words { put: None, merge: None, remove: None, state: Some(word) } => {
                word.parse().map(Change::State).map_err(|error| format!("{error}"))
            }
            _ => Err("an edit has one of `put`, `merge`, `remove: true` and `state`".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(members) => members,
            other => panic!("{other} is no object"),
        }
    }

    #[test]
    fn merging_is_that_of_rfc_7396() {
        // Appendix A, as far as both are objects.
        for (before, patch, after) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            let merged = Change::Merge(object(patch.clone())).onto(Some(&object(before.clone())));
            assert_eq!(merged.map(Value::Object), Some(after), "{before} {patch}");
        }
    }

    #[test]
    fn what_can_never_be_seen_again_is_hidden() {
        let edit = |name: &str, change: Change, until: Option<u64>| Edit {
            id: 0,
            object: name.parse().expect("it is one"),
            change,
            stamp: Stamp { until, ..Stamp::default() },
        };
        let put = || Change::Put(Map::new());
        let merge = |value: Value| Change::Merge(object(value));
        let (pool, address) = ("pools/a", "pools/a/addresses/b");
        for (new, earlier, is_hidden) in [
            (edit(pool, put(), None), edit(pool, merge(json!({"a": 1})), None), true),
            (edit(pool, put(), None), edit(address, merge(json!({"a": 1})), None), true),
            (edit(pool, put(), None), edit("pools/b", put(), None), false),
            (edit(pool, Change::Remove, None), edit(pool, put(), Some(7)), true),
            (edit(pool, put(), Some(7)), edit(pool, put(), None), false),
            (edit(pool, put(), Some(7)), edit(pool, put(), Some(6)), true),
            (edit(pool, put(), Some(7)), edit(pool, put(), Some(8)), false),
            (edit(address, merge(json!({"a": 2})), None), edit(address, merge(json!({"a": 1})), None), true),
            (edit(address, merge(json!({"b": 2})), None), edit(address, merge(json!({"a": 1})), None), false),
            (
                edit(address, merge(json!({"a": {"b": 1}})), None),
                edit(address, merge(json!({"a": 1})), None),
                false,
            ),
            (
                edit(address, merge(json!({"a": null, "c": 3})), None),
                edit(address, merge(json!({"a": {"b": 1}})), None),
                true,
            ),
            (edit(address, merge(json!({"a": 2})), None), edit(address, put(), None), false),
            (
                edit(address, Change::State(AddressState::Up), Some(1)),
                edit(address, Change::State(AddressState::Drain), None),
                false,
            ),
            (
                edit(address, Change::State(AddressState::Up), None),
                edit(address, Change::State(AddressState::Drain), Some(1)),
                true,
            ),
            (edit(pool, put(), None), edit(pool, Change::State(AddressState::Drain), None), false),
        ] {
            assert_eq!(new.hides(&earlier), is_hidden, "{new:?} {earlier:?}");
        }
    }

    #[test]
    fn edits_are_written_as_the_api_has_them() {
        let text = r#"{"id":7,"object":"pools/a","state":"drain","reason":"r","by":"b","from":"f","at":1,"until":2}"#;
        let edit: Edit = serde_json::from_str(text).expect("it is one");
        assert_eq!(edit.change, Change::State(AddressState::Drain));
        assert_eq!(serde_json::to_string(&edit).expect("it has only strings and numbers"), text);
        for wrong in [r#"{"put":{},"remove":true}"#, "{}", r#"{"remove":false}"#, r#"{"state":"on"}"#] {
            assert!(serde_json::from_str::<Change>(wrong).is_err(), "{wrong}");
        }
    }
}
