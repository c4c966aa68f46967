//! From a place in a text to the object that stands there.

use std::fmt::Write as _;
use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::object::Object;

/// An object, and the path to a part of it as JSON has it, such as `address[0].ip`; empty: all of it.
pub(super) type Spot = (Object, String);

/// A step on the way down into a tree.
#[derive(Clone)]
enum Step<'t> {
    Key(&'t str),
    /// The position of an element, and its `name` and `type` if it is a table that has them.
    Element(usize, Option<&'t str>, Option<&'t str>),
}

/// What stands at each of `places` of `text`, which are lines and columns counted from 1: the objects that
/// it is part of, the smallest first.
pub(super) fn spots(text: &str, places: impl IntoIterator<Item = (usize, usize)>) -> Vec<Vec<Spot>> {
    let (tree, _) = DeTable::parse_recoverable(text);
    let starts: Vec<usize> =
        std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
    let spot = |(line, column): (usize, usize)| {
        let start = starts.get(line - 1).copied().unwrap_or(text.len());
        let on_line = text[start..].split('\n').next().unwrap_or_default();
        let offset = on_line.char_indices().nth(column - 1).map_or(on_line.len(), |(at, _)| at) + start;
        let mut best = None;
        in_table(tree.get_ref(), offset, &mut Vec::new(), &mut best);
        best.map_or(Vec::new(), |(path, _)| of_path(&path))
    };
    places.into_iter().map(spot).collect()
}

type Best<'t> = Option<(Vec<Step<'t>>, usize)>;

/// Enters the path if `span` has the place and none so far is shorter: what stands under a header
/// is outside of the header's own span.
fn consider<'t>(span: Range<usize>, offset: usize, path: &[Step<'t>], best: &mut Best<'t>) {
    if span.contains(&offset) && best.as_ref().is_none_or(|(_, length)| span.len() <= *length) {
        *best = Some((path.to_vec(), span.len()));
    }
}

fn in_table<'t>(table: &'t DeTable<'t>, offset: usize, path: &mut Vec<Step<'t>>, best: &mut Best<'t>) {
    for (key, value) in table.iter() {
        path.push(Step::Key(key.get_ref()));
        consider(key.span(), offset, path, best);
        consider(value.span(), offset, path, best);
        in_value(value.get_ref(), offset, path, best);
        path.pop();
    }
}

fn in_value<'t>(value: &'t DeValue<'t>, offset: usize, path: &mut Vec<Step<'t>>, best: &mut Best<'t>) {
    match value {
        DeValue::Table(table) => in_table(table, offset, path, best),
        DeValue::Array(elements) => {
            for (at, element) in elements.iter().enumerate() {
                let word = |key: &str| match element.get_ref() {
                    DeValue::Table(table) => table.get(key).and_then(|value| value.get_ref().as_str()),
                    _ => None,
                };
                path.push(Step::Element(at, word("name"), word("type")));
                consider(element.span(), offset, path, best);
                in_value(element.get_ref(), offset, path, best);
                path.pop();
            }
        }
        _ => {}
    }
}

fn of_path(path: &[Step<'_>]) -> Vec<Spot> {
    match path {
        [Step::Key("pool"), Step::Key(pool), rest @ ..] => {
            let whole = (Object::Pool((*pool).to_owned()), written(rest));
            match rest {
                [Step::Key("address"), Step::Element(_, Some(name), _), rest @ ..] => {
                    let address = Object::Address { pool: (*pool).to_owned(), name: (*name).to_owned() };
                    vec![(address, written(rest)), whole]
                }
                _ => vec![whole],
            }
        }
        [Step::Key("health_check"), Step::Key(name), rest @ ..] => {
            vec![(Object::HealthCheck((*name).to_owned()), written(rest))]
        }
        [Step::Key("condition"), Step::Key(name), rest @ ..] => {
            vec![(Object::Condition((*name).to_owned()), written(rest))]
        }
        [Step::Key("domain"), Step::Element(_, Some(name), _), rest @ ..] => {
            name.parse().map_or(Vec::new(), |name| vec![(Object::Domain(name), written(rest))])
        }
        [
            Step::Key("zone"),
            Step::Element(_, Some(zone), _),
            Step::Key("record"),
            Step::Element(_, Some(owner), Some(rtype)),
            rest @ ..,
        ] => Object::record(zone, owner, rtype).map_or(Vec::new(), |object| vec![(object, written(rest))]),
        _ => Vec::new(),
    }
}

fn written(path: &[Step<'_>]) -> String {
    let mut text = String::new();
    for step in path {
        // Writing to a string cannot fail.
        let _ = match step {
            Step::Key(key) if text.is_empty() => write!(text, "{key}"),
            Step::Key(key) => write!(text, ".{key}"),
            Step::Element(at, ..) => write!(text, "[{at}]"),
        };
    }
    text
}

#[cfg(test)]
mod tests {

    #[test]
    fn places_are_parts_of_objects() {
        let text = "\
[pool.a]
location = { country = 'XX' }
[[pool.a.address]]
name = 'one'
ip = 'no'
[[domain]]
name = 'b.example'
pools = ['a', 'c']
[health_check.web]
type = 'http'
[[zone]]
name = 'example'
record = [{ name = 'x', type = 'A', data = ['y'] }]
";
        for (needle, spots) in [
            ("[pool.a]", &["pools/a "][..]),
            ("'XX'", &["pools/a location.country"]),
            ("'no'", &["pools/a/addresses/one ip", "pools/a address[0].ip"]),
            ("'c'", &["domains/b.example pools[1]"]),
            ("'http'", &["health_checks/web type"]),
            ("'y'", &["zones/example/records/x/A data[0]"]),
            ("'example'", &[]),
        ] {
            let offset = text.find(needle).expect("it is there");
            let line = text[..offset].matches('\n').count() + 1;
            let column = offset - text[..offset].rfind('\n').map_or(0, |at| at + 1) + 1;
            let found: Vec<String> = super::spots(text, [(line, column)])
                .remove(0)
                .into_iter()
                .map(|(object, field)| format!("{object} {field}"))
                .collect();
            assert_eq!(found, spots, "{needle}");
        }
    }
}
