//! Between what JSON says and how TOML is written, with as little change of the text as will do.

use serde_json::{Map, Number, Value};
use toml_edit::{
    Array, ArrayOfTables, Formatted, InlineTable, Item, RawString, Table, TableLike, Value as Written,
};

/// Lists of tables that are written under a header of their own each, as the documentation has them.
const UNDER_HEADERS: [&str; 3] = ["address", "record", "rule"];

/// How a table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Under a header, so that what is in it can have headers too.
    Headers,
    /// On one line.
    Braces,
}

/// What `item` says.
pub(super) fn said(item: &Item) -> Value {
    match item {
        Item::None => Value::Null,
        Item::Value(value) => said_by_value(value),
        Item::Table(table) => Value::Object(said_by_table(table)),
        Item::ArrayOfTables(tables) => {
            tables.iter().map(|table| Value::Object(said_by_table(table))).collect()
        }
    }
}

/// What `table` says.
pub(super) fn said_by_table(table: &dyn TableLike) -> Map<String, Value> {
    table.iter().map(|(key, item)| (key.to_owned(), said(item))).collect()
}

fn said_by_value(value: &Written) -> Value {
    match value {
        Written::String(text) => Value::String(text.value().clone()),
        Written::Integer(number) => Value::from(*number.value()),
        Written::Float(number) => Number::from_f64(*number.value()).map_or(Value::Null, Value::Number),
        Written::Boolean(truth) => Value::Bool(*truth.value()),
        // No key of the configuration takes one.
        Written::Datetime(moment) => Value::String(moment.value().to_string()),
        Written::Array(list) => list.iter().map(said_by_value).collect(),
        Written::InlineTable(table) => Value::Object(said_by_table(table)),
    }
}

/// Makes `item` say `new`. What says the same stays as it is written, comments included.
pub(super) fn say(item: &mut Item, new: &Value) {
    if said(item) == *new {
        return;
    }
    match (&mut *item, new) {
        (Item::Table(table), Value::Object(members)) => say_in_table(table, members, Style::Headers),
        (Item::Value(Written::InlineTable(table)), Value::Object(members)) => {
            say_in_table(table, members, Style::Braces);
        }
        (Item::ArrayOfTables(tables), Value::Array(elements)) if are_tables(elements) => {
            say_in_tables(tables, elements);
        }
        (Item::Value(old), new) => {
            if let Some(mut value) = inline(new) {
                *value.decor_mut() = old.decor().clone();
                *old = value;
            }
        }
        (other, new) => {
            if let Some(value) = inline(new) {
                *other = Item::Value(value);
            }
        }
    }
}

/// Makes `table` say `members`, and nothing besides.
pub(super) fn say_in_table(table: &mut dyn TableLike, members: &Map<String, Value>, style: Style) {
    let end = table.iter().last().and_then(|(_, item)| item.as_value()?.decor().suffix().cloned());
    let gone: Vec<String> = table
        .iter()
        .map(|(key, _)| key.to_owned())
        .filter(|key| members.get(key).is_none_or(Value::is_null))
        .collect();
    for key in gone {
        table.remove(&key);
    }
    for (key, value) in members {
        match table.get_mut(key) {
            Some(item) => say(item, value),
            None => {
                if let Some(item) = written(key, value, style) {
                    table.insert(key, item);
                }
            }
        }
    }
    if style == Style::Braces {
        pad(table, end);
    }
}

/// Puts `end`, the blank before the closing brace, behind the last value of `table`, and takes it from
/// behind all others, where a comma follows.
fn pad(table: &mut dyn TableLike, end: Option<RawString>) {
    let count = table.iter().count();
    for ((_, item), place) in table.iter_mut().zip(1..) {
        let Some(decor) = item.as_value_mut().map(Written::decor_mut) else { continue };
        match &end {
            Some(end) if place == count => decor.set_suffix(end.clone()),
            _ if place < count && decor.suffix().is_some_and(is_blank) => decor.set_suffix(""),
            _ => {}
        }
    }
}

fn is_blank(text: &RawString) -> bool {
    text.as_str().is_some_and(|text| text.trim().is_empty())
}

/// Makes `tables` say `elements`: those that have the name of one before stay where they are written.
fn say_in_tables(tables: &mut ArrayOfTables, elements: &[Value]) {
    let mut before: Vec<Option<Table>> = std::mem::take(tables).into_iter().map(Some).collect();
    let names: Vec<Option<String>> = before
        .iter()
        .map(|table| table.as_ref().and_then(|table| table.get("name")?.as_str().map(str::to_owned)))
        .collect();
    let mut last = None;
    for (at, element) in elements.iter().enumerate() {
        let Value::Object(members) = element else { continue };
        let place = match members.get("name").and_then(Value::as_str) {
            Some(name) => names.iter().position(|known| known.as_deref() == Some(name)),
            None => Some(at).filter(|at| names.get(*at).is_some_and(Option::is_none)),
        };
        let mut table = match place.and_then(|place| before[place].take()) {
            Some(table) => table,
            None => new_table(&Map::new()),
        };
        say_in_table(&mut table, members, Style::Headers);
        // Tables are printed in the order of their places in the text, whatever that of the list.
        if table.position().is_some_and(|position| last.is_some_and(|last| position < last)) {
            table.set_position(None);
        }
        last = table.position().or(last);
        tables.push(table);
    }
}

/// A table under a header, which says `members`.
pub(super) fn new_table(members: &Map<String, Value>) -> Table {
    let mut table = Table::new();
    table.decor_mut().set_prefix("\n");
    say_in_table(&mut table, members, Style::Headers);
    table
}

/// A table between braces, which says `members`.
pub(super) fn new_inline_table(members: &Map<String, Value>) -> InlineTable {
    let mut table = InlineTable::new();
    say_in_table(&mut table, members, Style::Braces);
    table
}

/// How `value` is written behind `key`; `None`: it says nothing.
fn written(key: &str, value: &Value, style: Style) -> Option<Item> {
    match value {
        Value::Array(elements)
            if style == Style::Headers && UNDER_HEADERS.contains(&key) && are_tables(elements) =>
        {
            let tables = elements.iter().filter_map(Value::as_object).map(new_table);
            Some(Item::ArrayOfTables(tables.collect()))
        }
        other => inline(other).map(Item::Value),
    }
}

fn are_tables(elements: &[Value]) -> bool {
    !elements.is_empty() && elements.iter().all(Value::is_object)
}

/// How `value` is written on one line; `None`: it says nothing.
fn inline(value: &Value) -> Option<Written> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(truth) => Written::from(*truth),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => Written::from(integer),
            None => Written::Float(Formatted::new(number.as_f64()?)),
        },
        Value::String(text) => Written::from(text.as_str()),
        Value::Array(elements) => Written::Array(elements.iter().filter_map(inline).collect::<Array>()),
        Value::Object(members) => Written::InlineTable(new_inline_table(members)),
    })
}
