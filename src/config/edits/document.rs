//! The text of a configuration, in which single objects can be read and changed.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value};
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, TableLike};

use super::object::{Object, relative};
use super::tree::{Style, new_inline_table, new_table, said_by_table, say_in_table};
use crate::config::sections::Sections;
use crate::dns::{Name, Rtype};

/// Longer texts, in octets, are taken apart: a tree takes thirty times the memory of its text, and
/// of a million domains an edit is about one. What is printed of them has the domains at its end.
const LONG: usize = 2 * 1024 * 1024;

/// A configuration as it is written.
///
/// It is sound TOML when it is made, and stays so. What it says may make no sense; that is for
/// whoever reads it as a configuration.
#[derive(Clone, Debug)]
pub struct Document {
    /// Everything, or everything but `domains`.
    rest: Part,
    /// Parts of a long text that have `[[domain]]` and nothing else.
    domains: Vec<Part>,
}

/// A text, or the tree of it, or both: each is made of the other when it is first asked for.
#[derive(Clone, Debug, Default)]
struct Part {
    text: OnceLock<Stretch>,
    tree: OnceLock<Arc<DocumentMut>>,
}

/// A stretch of a text that is in memory once, however many stretches there are.
#[derive(Clone, Debug)]
struct Stretch {
    whole: Arc<str>,
    range: Range<usize>,
}

/// Why an object cannot be changed in a document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// What the object is part of is not there.
    #[error("there is no {0} `{1}`")]
    Missing(&'static str, String),
    /// The text is written in a way in which it cannot be changed piece by piece.
    #[error("the configuration is written in a way that cannot be edited: {0}")]
    Unwritable(String),
}

impl Document {
    /// Takes over `text`, which is sound TOML.
    pub fn new(text: &Arc<str>) -> Self {
        match text.len() <= LONG {
            true => Document { rest: Part::new(Arc::clone(text)), domains: Vec::new() },
            false => Document::cut(text, &Sections::of(text)),
        }
    }

    /// The same where it is known how `text` is cut.
    pub(in crate::config) fn cut(text: &Arc<str>, sections: &Sections) -> Self {
        if text.len() <= LONG {
            return Document::new(text);
        }
        let part = |range: &Range<usize>| Part {
            text: Stretch { whole: Arc::clone(text), range: range.clone() }.into(),
            ..Part::default()
        };
        let domains = sections.domains.iter().map(part).collect();
        Document { rest: Part::new(sections.rest(text).into()), domains }
    }

    /// All of it.
    pub fn text(&self) -> Arc<str> {
        if self.domains.is_empty() {
            return self.rest.whole();
        }
        let parts = std::iter::once(&self.rest).chain(&self.domains);
        let mut text = String::with_capacity(parts.clone().map(|part| part.text().len() + 1).sum());
        for part in parts {
            text.push_str(part.text());
            if !text.ends_with('\n') {
                text.push('\n');
            }
        }
        text.into()
    }

    /// What it says of `object`, without its name; `None`: it does not have it.
    pub fn get(&self, object: &Object) -> Option<Map<String, Value>> {
        let part = self.part_of(object);
        let tree = self.part(part).looked_at(part.is_none()).ok()?;
        let mut said = match object {
            Object::Pool(name) => said_by_table(named(&tree, "pool", name)?),
            Object::HealthCheck(name) => said_by_table(named(&tree, "health_check", name)?),
            Object::Condition(name) => said_by_table(named(&tree, "condition", name)?),
            Object::Address { pool, name } => {
                said_by_table(element(named(&tree, "pool", pool)?.get("address")?, &is_named(name))?)
            }
            Object::Domain(name) => said_by_table(element(tree.get("domain")?, &is_domain(name))?),
            Object::Record { zone, owner, rtype } => {
                let table = element(tree.get("zone")?, &is_domain(zone))?;
                joined(
                    elements(table.get("record")?)
                        .into_iter()
                        .filter(|table| is_rrset(zone, owner, *rtype)(*table)),
                )?
            }
        };
        for key in own_keys(object) {
            said.shift_remove(*key);
        }
        Some(said)
    }

    /// Makes it say `content` of `object`, and `None` that there is none; everything else stays as it
    /// is written.
    ///
    /// # Errors
    ///
    /// If what the object is part of is not there.
    pub fn set(&mut self, object: &Object, content: Option<&Map<String, Value>>) -> Result<(), Misfit> {
        let at = self.part_of(object);
        let part = at.map_or(&mut self.rest, |at| &mut self.domains[at]);
        let tree = part.tree_mut().map_err(Misfit::Unwritable)?;
        match object {
            Object::Pool(name) => set_named(tree, "pool", name, content),
            Object::HealthCheck(name) => set_named(tree, "health_check", name, content),
            Object::Condition(name) => set_named(tree, "condition", name, content),
            Object::Address { pool, name } => {
                let pools = tree.get_mut("pool").and_then(Item::as_table_like_mut);
                let table = pools
                    .and_then(|pools| Found::of(pools.get_mut(pool)?))
                    .ok_or_else(|| Misfit::Missing("pool", pool.clone()))?;
                set_element(table, "address", &is_named(name), &[("name", name.clone())], content)
            }
            Object::Domain(name) => {
                let own = [("name", name.to_string())];
                let root = Found { table: tree.as_table_mut(), style: Style::Headers };
                set_element(root, "domain", &is_domain(name), &own, content)
            }
            Object::Record { zone, owner, rtype } => {
                let table = tree
                    .get_mut("zone")
                    .and_then(|zones| element_mut(zones, &is_domain(zone)))
                    .ok_or_else(|| Misfit::Missing("zone", zone.to_string()))?;
                let own = [("name", relative(owner, zone)), ("type", rtype.to_string())];
                set_element(table, "record", &is_rrset(zone, owner, *rtype), &own, content)
            }
        }
        Ok(())
    }

    /// The names of all pools, health checks or conditions, whichever `kind` is the key of.
    pub fn names(&self, kind: &str) -> Vec<String> {
        let Ok(tree) = self.rest.tree() else { return Vec::new() };
        let tables = tree.get(kind).and_then(Item::as_table_like);
        tables.map_or(Vec::new(), |tables| tables.iter().map(|(name, _)| name.to_owned()).collect())
    }

    /// The names and types of all RRsets that are written under `zone`; `None`: there is no such zone.
    pub fn records(&self, zone: &Name) -> Option<Vec<Object>> {
        let tree = self.rest.tree().ok()?;
        let table = element(tree.get("zone")?, &is_domain(zone))?;
        let object = |table: &dyn TableLike| {
            let (owner, rtype) = (text_of(table, "name")?, text_of(table, "type")?);
            Object::record(&zone.to_string(), owner, rtype).ok()
        };
        let mut objects: Vec<Object> = match table.get("record") {
            Some(Item::ArrayOfTables(tables)) => tables.iter().filter_map(|table| object(table)).collect(),
            Some(item) => item.as_array().map_or(Vec::new(), |list| {
                list.iter().filter_map(|value| object(value.as_inline_table()?)).collect()
            }),
            None => Vec::new(),
        };
        objects.sort();
        objects.dedup();
        Some(objects)
    }

    /// Which part has `object`, or would have it; `None`: the rest.
    fn part_of(&self, object: &Object) -> Option<usize> {
        let Object::Domain(name) = object else { return None };
        let last = self.domains.len().checked_sub(1)?;
        let text = name.to_string();
        let has = |part: &Part| {
            // Parsing takes a hundred times as long as a look; a name with escapes is written in many ways.
            let may = text.contains('\\') || part.text().to_ascii_lowercase().contains(&text);
            may && part.looked_at(false).is_ok_and(|tree| {
                tree.get("domain").is_some_and(|domains| element(domains, &is_domain(name)).is_some())
            })
        };
        Some(self.domains.iter().position(has).unwrap_or(last))
    }

    fn part(&self, at: Option<usize>) -> &Part {
        at.map_or(&self.rest, |at| &self.domains[at])
    }
}

impl Part {
    fn new(text: Arc<str>) -> Self {
        Part { text: Stretch::whole(text).into(), tree: OnceLock::new() }
    }

    fn text(&self) -> &str {
        let Stretch { whole, range } = self.stretch();
        &whole[range.clone()]
    }

    /// Its text as one that may outlast it.
    fn whole(&self) -> Arc<str> {
        let Stretch { whole, range } = self.stretch();
        if range.len() == whole.len() { Arc::clone(whole) } else { whole[range.clone()].into() }
    }

    fn stretch(&self) -> &Stretch {
        let text = || self.tree.get().map_or_else(String::new, |tree| tree.to_string());
        self.text.get_or_init(|| Stretch::whole(text().into()))
    }

    fn tree(&self) -> Result<Arc<DocumentMut>, String> {
        if let Some(tree) = self.tree.get() {
            return Ok(Arc::clone(tree));
        }
        let tree: DocumentMut =
            self.text().parse().map_err(|error: toml_edit::TomlError| error.to_string())?;
        Ok(Arc::clone(self.tree.get_or_init(|| Arc::new(tree))))
    }

    /// The tree, kept for the next look only if `is_kept`: of a million domains one after the other would
    /// be, each with thirty times its text.
    fn looked_at(&self, is_kept: bool) -> Result<Arc<DocumentMut>, String> {
        if is_kept || self.tree.get().is_some() {
            return self.tree();
        }
        self.text().parse().map(Arc::new).map_err(|error: toml_edit::TomlError| error.to_string())
    }

    /// The tree to be changed; the text is what comes of it.
    fn tree_mut(&mut self) -> Result<&mut DocumentMut, String> {
        let mut tree = self.tree()?;
        // One copy for all changes until somebody else holds the document.
        self.tree = OnceLock::new();
        Arc::make_mut(&mut tree);
        *self = Part { text: OnceLock::new(), tree: OnceLock::from(tree) };
        let tree = self.tree.get_mut().ok_or_else(String::new)?;
        Ok(Arc::make_mut(tree))
    }
}

impl Stretch {
    fn whole(text: Arc<str>) -> Self {
        Stretch { range: 0..text.len(), whole: text }
    }
}

/// The keys by which an object is known in its list, and which are no part of what is said of it.
pub(super) fn own_keys(object: &Object) -> &'static [&'static str] {
    match object {
        Object::Address { .. } | Object::Domain(_) => &["name"],
        Object::Record { .. } => &["name", "type"],
        Object::Pool(_) | Object::HealthCheck(_) | Object::Condition(_) => &[],
    }
}

fn text_of<'t>(table: &'t dyn TableLike, key: &str) -> Option<&'t str> {
    table.get(key)?.as_str()
}

fn is_named(name: &str) -> impl Fn(&dyn TableLike) -> bool {
    move |table| text_of(table, "name") == Some(name)
}

fn is_domain(name: &Name) -> impl Fn(&dyn TableLike) -> bool {
    move |table| text_of(table, "name").and_then(|text| text.parse::<Name>().ok()).as_ref() == Some(name)
}

fn is_rrset(zone: &Name, owner: &Name, rtype: Rtype) -> impl Fn(&dyn TableLike) -> bool {
    move |table| {
        let written = text_of(table, "name").and_then(|text| Name::relative(text, zone).ok());
        written.as_ref() == Some(owner) && text_of(table, "type").and_then(Rtype::parse) == Some(rtype)
    }
}

fn named<'t>(tree: &'t DocumentMut, kind: &str, name: &str) -> Option<&'t dyn TableLike> {
    tree.get(kind)?.as_table_like()?.get(name)?.as_table_like()
}

/// A table, and how it is written.
struct Found<'t> {
    table: &'t mut dyn TableLike,
    style: Style,
}

impl<'t> Found<'t> {
    fn of(item: &'t mut Item) -> Option<Self> {
        let style = if item.is_table() { Style::Headers } else { Style::Braces };
        Some(Found { table: item.as_table_like_mut()?, style })
    }

    /// Makes it say `content`, but for the keys that it is known by.
    fn say(self, content: &Map<String, Value>, own: &[&str]) {
        let mut whole = content.clone();
        for (key, value) in said_by_table(self.table).into_iter().filter(|(key, _)| own.contains(&&key[..])) {
            whole.insert(key, value);
        }
        say_in_table(self.table, &whole, self.style);
    }
}

/// The tables of a list, however it is written.
fn elements(list: &Item) -> Vec<&dyn TableLike> {
    match list {
        Item::ArrayOfTables(tables) => tables.iter().map(|table| table as &dyn TableLike).collect(),
        other => other.as_array().map_or(Vec::new(), |list| {
            let tables = list.iter().filter_map(toml_edit::Value::as_inline_table);
            tables.map(|table| table as &dyn TableLike).collect()
        }),
    }
}

/// What several tables say of one RRset: the first, with the data of all.
fn joined<'t>(tables: impl Iterator<Item = &'t dyn TableLike>) -> Option<Map<String, Value>> {
    let mut tables = tables.map(said_by_table);
    let mut first = tables.next()?;
    for mut other in tables {
        let data = |said: &mut Map<String, Value>| match said.get_mut("data").map(Value::take) {
            Some(Value::Array(data)) => data,
            Some(Value::Null) | None => Vec::new(),
            Some(one) => vec![one],
        };
        let all = [data(&mut first), data(&mut other)].concat();
        first.insert("data".to_owned(), Value::Array(all));
    }
    Some(first)
}

/// The first of a list of tables that is the one, however the list is written.
fn element<'t>(list: &'t Item, is_it: &dyn Fn(&dyn TableLike) -> bool) -> Option<&'t dyn TableLike> {
    match list {
        Item::ArrayOfTables(tables) => {
            tables.iter().find(|table| is_it(*table)).map(|table| table as &dyn TableLike)
        }
        other => other
            .as_array()?
            .iter()
            .filter_map(toml_edit::Value::as_inline_table)
            .find(|table| is_it(*table))
            .map(|table| table as &dyn TableLike),
    }
}

fn element_mut<'t>(list: &'t mut Item, is_it: &dyn Fn(&dyn TableLike) -> bool) -> Option<Found<'t>> {
    match list {
        Item::ArrayOfTables(tables) => {
            let table = tables.iter_mut().find(|table| is_it(*table))?;
            Some(Found { table, style: Style::Headers })
        }
        other => {
            let mut tables =
                other.as_array_mut()?.iter_mut().filter_map(toml_edit::Value::as_inline_table_mut);
            let table = tables.find(|table| is_it(*table))?;
            Some(Found { table, style: Style::Braces })
        }
    }
}

fn set_named(tree: &mut DocumentMut, kind: &str, name: &str, content: Option<&Map<String, Value>>) {
    let Some(content) = content else {
        let tables = tree.get_mut(kind).and_then(Item::as_table_like_mut);
        if let Some(tables) = tables {
            tables.remove(name);
            if tables.is_empty() {
                tree.remove(kind);
            }
        }
        return;
    };
    let kinds = tree.entry(kind).or_insert_with(|| {
        let mut table = Table::new();
        // `[pool.NAME]` alone, without `[pool]`.
        table.set_implicit(true);
        Item::Table(table)
    });
    let Some(Found { table: tables, style }) = Found::of(kinds) else { return };
    match tables.get_mut(name).and_then(Found::of) {
        Some(found) => found.say(content, &[]),
        None => {
            let item = match style {
                Style::Headers => Item::Table(new_table(content)),
                Style::Braces => Item::Value(new_inline_table(content).into()),
            };
            tables.insert(name, item);
        }
    }
}

/// Changes, adds or removes an element of the list under `key`, which is known by `own`.
fn set_element(
    Found { table, style }: Found<'_>,
    key: &str,
    is_it: &dyn Fn(&dyn TableLike) -> bool,
    own: &[(&str, String)],
    content: Option<&Map<String, Value>>,
) {
    let Some(content) = content else {
        let is_left = match table.get_mut(key) {
            Some(Item::ArrayOfTables(tables)) => {
                tables.retain(|table| !is_it(table));
                !tables.is_empty()
            }
            Some(other) => other.as_array_mut().is_none_or(|list| {
                list.retain(|value| !value.as_inline_table().is_some_and(|table| is_it(table)));
                !list.is_empty()
            }),
            None => true,
        };
        if !is_left {
            table.remove(key);
        }
        return;
    };
    if let Some(list) = table.get_mut(key) {
        let mut is_first = true;
        let mut one_only = |table: &dyn TableLike| !is_it(table) || std::mem::take(&mut is_first);
        if let Item::ArrayOfTables(tables) = list {
            tables.retain(|table| one_only(table));
        } else if let Some(list) = list.as_array_mut() {
            list.retain(|value| value.as_inline_table().is_none_or(|table| one_only(table)));
        }
        if let Some(element) = element_mut(list, is_it) {
            let own: Vec<&str> = own.iter().map(|(key, _)| *key).collect();
            return element.say(content, &own);
        }
    }
    // What an object is known by comes first, as everybody writes it.
    let mut whole: Map<String, Value> = Map::new();
    whole.extend(own.iter().map(|(key, text)| ((*key).to_owned(), Value::String(text.clone()))));
    whole.extend(content.iter().map(|(key, value)| (key.clone(), value.clone())));
    match table.get_mut(key) {
        Some(Item::ArrayOfTables(tables)) => tables.push(new_table(&whole)),
        Some(other) => {
            if let Some(list) = other.as_array_mut() {
                list.push(new_inline_table(&whole));
            }
        }
        None => {
            let list = match style {
                Style::Headers => Item::ArrayOfTables(ArrayOfTables::from_iter([new_table(&whole)])),
                Style::Braces => Item::Value(Array::from_iter([new_inline_table(&whole)]).into()),
            };
            table.insert(key, list);
        }
    }
}
