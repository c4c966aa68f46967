//! Tables of the configuration as they are typed: from a file, and as `KEY=VALUE`.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Map, Value};
use toml_edit::{DocumentMut, Item};

use super::Failed;

/// What is to be in a table.
#[derive(Args)]
pub(super) struct Assignments {
    /// What is to be, as in the configuration: policy=weighted, answers=2, location.country=VN,
    /// serves='["VN", "TH"]'
    #[arg(value_name = "KEY=VALUE", value_parser = pair)]
    pairs: Vec<(String, Value)>,
    /// The table, as TOML or JSON; `-`: from standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

impl Assignments {
    /// All of it; what was typed goes before what is in the file.
    pub(super) fn table(self) -> Result<Map<String, Value>, Failed> {
        let mut table = match &self.file {
            Some(path) => read(path)?,
            None => Map::new(),
        };
        for (key, value) in self.pairs {
            put(&mut table, &key, value).map_err(|key| {
                Failed(format!(
                    "error: `{key}` is no table, and has nothing below it\nhint: give each key once"
                ))
            })?;
        }
        Ok(table)
    }
}

/// A key, with dots where it is below others, and its value.
fn pair(text: &str) -> Result<(String, Value), String> {
    let (key, value) = text.split_once('=').ok_or("write it as KEY=VALUE")?;
    let key = key.trim();
    if key.split('.').any(str::is_empty) {
        return Err("the key is missing".to_owned());
    }
    Ok((key.to_owned(), value_of(value.trim())?))
}

/// A value of TOML. What is none, such as `weighted`, `30s` and `192.0.2.1`, is text, so that it need
/// not be quoted twice; what begins like one has to be one.
pub(super) fn value_of(text: &str) -> Result<Value, String> {
    match text.parse::<toml_edit::Value>() {
        Ok(value) => Ok(json(&value)),
        Err(error) if text.starts_with(['[', '{', '"', '\'']) => Err(error.to_string()),
        Err(_) => Ok(Value::String(text.to_owned())),
    }
}

/// The same value as JSON has it.
fn json(value: &toml_edit::Value) -> Value {
    match value {
        toml_edit::Value::String(text) => Value::String(text.value().clone()),
        toml_edit::Value::Integer(number) => (*number.value()).into(),
        toml_edit::Value::Float(number) => (*number.value()).into(),
        toml_edit::Value::Boolean(value) => (*value.value()).into(),
        toml_edit::Value::Datetime(moment) => Value::String(moment.value().to_string()),
        toml_edit::Value::Array(list) => list.iter().map(json).collect(),
        toml_edit::Value::InlineTable(table) => {
            Value::Object(table.iter().map(|(key, value)| (key.to_owned(), json(value))).collect())
        }
    }
}

/// The same table, or list of tables.
fn json_of_item(item: &Item) -> Value {
    match item {
        Item::None => Value::Null,
        Item::Value(value) => json(value),
        Item::Table(table) => {
            Value::Object(table.iter().map(|(key, item)| (key.to_owned(), json_of_item(item))).collect())
        }
        Item::ArrayOfTables(list) => list
            .iter()
            .map(|table| {
                Value::Object(table.iter().map(|(key, item)| (key.to_owned(), json_of_item(item))).collect())
            })
            .collect(),
    }
}

/// `{key: value}` with the dots of `key` taken apart, as a merge has it.
fn put(table: &mut Map<String, Value>, key: &str, value: Value) -> Result<(), String> {
    match key.split_once('.') {
        None => {
            table.insert(key.to_owned(), value);
            Ok(())
        }
        Some((first, rest)) => match table.entry(first).or_insert_with(|| Value::Object(Map::new())) {
            Value::Object(below) => put(below, rest, value),
            _ => Err(first.to_owned()),
        },
    }
}

/// What is to be merged: what is assigned, and null for what is to be left out (RFC 7396).
pub(super) fn merge(assigned: Assignments, unset_keys: &[String]) -> Result<Map<String, Value>, Failed> {
    let mut table = assigned.table()?;
    unset(&mut table, unset_keys)?;
    if table.is_empty() {
        let hint = "hint: say it as KEY=VALUE, --unset KEY or --file FILE";
        return Err(Failed(format!("error: there is nothing to change\n{hint}")));
    }
    Ok(table)
}

fn unset(table: &mut Map<String, Value>, keys: &[String]) -> Result<(), Failed> {
    for key in keys {
        put(table, key, Value::Null)
            .map_err(|key| Failed(format!("error: `{key}` is no table\nhint: unset the whole of it")))?;
    }
    Ok(())
}

fn read(path: &Path) -> Result<Map<String, Value>, Failed> {
    let name = path.display();
    let unreadable =
        |error| Failed(format!("error: cannot read {name}: {error}\nhint: --file takes TOML, JSON or `-`"));
    let text = if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(unreadable)?;
        text
    } else {
        std::fs::read_to_string(path).map_err(unreadable)?
    };
    table_of(&text).map_err(|reason| {
        Failed(format!("error: {name}: {reason}\nhint: it is to be one table, without its [name]"))
    })
}

fn table_of(text: &str) -> Result<Map<String, Value>, String> {
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"));
    }
    let document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| error.to_string())?;
    match json_of_item(document.as_item()) {
        Value::Object(table) => Ok(table),
        _ => Err("it is no table".to_owned()),
    }
}

/// A table as lines of TOML.
pub(super) fn toml(table: &Map<String, Value>) -> String {
    let mut text = String::new();
    for (key, value) in table {
        if let Some(value) = toml_value(value) {
            text += &format!("{} = {value}\n", toml_edit::Key::new(key));
        }
    }
    text
}

/// The same in one line.
pub(super) fn line(table: &Map<String, Value>) -> String {
    toml(table).trim_end().replace('\n', ", ")
}

/// The same value as TOML has it; `None`: it has none for null.
fn toml_value(value: &Value) -> Option<toml_edit::Value> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(value) => (*value).into(),
        Value::Number(number) => match number.as_i64() {
            Some(number) => number.into(),
            None => number.as_f64()?.into(),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(list) => toml_edit::Value::Array(list.iter().filter_map(toml_value).collect()),
        Value::Object(table) => {
            let members = table.iter().filter_map(|(key, value)| Some((key.as_str(), toml_value(value)?)));
            toml_edit::Value::InlineTable(members.collect())
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn table(pairs: &[&str]) -> Value {
        let pairs = pairs.iter().map(|text| pair(text).expect("a pair")).collect();
        Value::Object(Assignments { pairs, file: None }.table().ok().expect("a table"))
    }

    #[test]
    fn pairs_are_values_of_toml_and_what_is_none_is_text() {
        let pairs = [
            "policy=weighted",
            "answers=2",
            "ttl = 30s",
            "min_available=50%",
            "location.country=VN",
            "location.city=\"=\"",
            "ecs=false",
            r#"serves=["VN", "continent:OC"]"#,
            "ip=192.0.2.1",
            "bias=1.5",
        ];
        let expected = json!({
            "policy": "weighted", "answers": 2, "ttl": "30s", "min_available": "50%",
            "location": { "country": "VN", "city": "=" }, "ecs": false,
            "serves": ["VN", "continent:OC"], "ip": "192.0.2.1", "bias": 1.5,
        });
        assert_eq!(table(&pairs), expected);
        for wrong in ["policy", "=1", "a..b=1", "serves=[\"VN\"", "location={country=VN", "a=\"x"] {
            assert!(pair(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn files_are_toml_or_json_and_go_back() {
        let expected =
            json!({ "policy": "hash", "location": { "country": "VN" }, "address": [{ "ip": "192.0.2.1" }] });
        let Value::Object(expected) = expected else { unreachable!("an object") };
        let toml_text = "policy = \"hash\"\nlocation.country = \"VN\"\n[[address]]\nip = \"192.0.2.1\"\n";
        assert_eq!(table_of(toml_text).as_ref(), Ok(&expected));
        let json_text = serde_json::to_string(&expected).expect("JSON");
        assert_eq!(table_of(&json_text).as_ref(), Ok(&expected));
        assert_eq!(table_of(&toml(&expected)).as_ref(), Ok(&expected));
        assert!(table_of("policy = ").is_err() && table_of("{").is_err());
    }

    #[test]
    fn what_is_unset_is_null_in_the_merge() {
        let mut merge = Map::new();
        unset(&mut merge, &["serves".to_owned(), "location.country".to_owned()]).ok().expect("they can be");
        assert_eq!(Value::Object(merge), json!({ "serves": null, "location": { "country": null } }));
    }
}
