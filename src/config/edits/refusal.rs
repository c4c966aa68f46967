//! Why edits are not made.

use std::fmt;

use super::document::{Document, Misfit};
use super::locate::{Spot, spots};
use super::object::Object;
use crate::config::{Diagnostic, Diagnostics};

/// To say where a mistake stands takes parsing all of the text; of longer ones, in octets, it is not
/// said in which member it is.
const LONG: usize = 16 * 1024 * 1024;

/// More mistakes than anybody reads in one answer.
const MANY: usize = 10;

/// So many mistakes at once are looked at to find the edits that are at fault.
const MOST: usize = 1000;

/// Why edits are not made: none of those that were asked for together is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The edit at this position is of an object that is not there.
    Unknown(usize, Object),
    /// The edit at this position cannot be made.
    Unfit(usize, Misfit),
    /// The edit at this position says something that is wrong.
    Mistaken {
        /// Which edit.
        at: usize,
        /// Which member of its content, as a path such as `address[0].ip`; `None`: all of it.
        field: Option<String>,
        /// What is wrong.
        detail: String,
    },
    /// Something else would be wrong without what is changed.
    Needed(String),
    /// There is no edit of this number.
    NoSuchEdit(u64),
}

impl Refusal {
    pub(super) fn mistaken(at: usize, field: impl Into<String>, detail: impl Into<String>) -> Self {
        Refusal::Mistaken { at, field: Some(field.into()), detail: detail.into() }
    }
}

impl std::error::Error for Refusal {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Unknown(_, object) => {
                let (kind, name) = match object {
                    Object::Pool(name) => ("pool", name.clone()),
                    Object::Address { name, .. } => ("address", name.clone()),
                    Object::Domain(name) => ("domain", name.to_string()),
                    Object::HealthCheck(name) => ("health check", name.clone()),
                    Object::Condition(name) => ("condition", name.clone()),
                    Object::Record { owner, rtype, .. } => ("record", format!("{owner} {rtype}")),
                };
                write!(f, "there is no {kind} `{name}`")
            }
            Refusal::Unfit(_, unfit) => unfit.fmt(f),
            Refusal::Mistaken { detail, .. } | Refusal::Needed(detail) => f.write_str(detail),
            Refusal::NoSuchEdit(id) => write!(f, "there is no edit {id}"),
        }
    }
}

/// What `mistakes` in `document`, which messages call `name`, mean for whoever has edited `objects`.
pub(super) fn refusal(
    mistakes: &Diagnostics,
    document: &Document,
    name: &str,
    objects: &[Object],
) -> Refusal {
    let text = document.text();
    let mut elsewhere = Vec::new();
    let mut own: Option<(usize, String)> = None;
    let mut details = Vec::new();
    for (mistake, spots) in placed(mistakes, &text, name, MANY) {
        let found = spots.iter().find_map(|(object, field)| {
            objects.iter().position(|edited| edited == object).map(|at| (at, field.clone()))
        });
        match found {
            Some((at, field)) => {
                details.push(said(mistake));
                own.get_or_insert((at, field));
            }
            None => {
                let of = spots.first().map(|(object, _)| format!("{object}: ")).unwrap_or_default();
                elsewhere.push(format!("{of}{}", said(mistake)));
            }
        }
    }
    match own {
        Some((at, field)) => {
            let field = (!field.is_empty()).then_some(field);
            Refusal::Mistaken { at, field, detail: details.join("; ") }
        }
        None => Refusal::Needed(elsewhere.join("; ")),
    }
}

/// Where something is wrong in `document`, which messages call `name`, and what.
pub(super) fn faults(mistakes: &Diagnostics, document: &Document, name: &str) -> Vec<(Object, String)> {
    let placed = placed(mistakes, &document.text(), name, MOST);
    let faults = placed
        .into_iter()
        .flat_map(|(mistake, spots)| spots.into_iter().map(move |(object, _)| (object, said(mistake))));
    faults.collect()
}

/// The first `most` of `mistakes`, with what stands where they are.
fn placed<'m>(
    mistakes: &'m Diagnostics,
    text: &str,
    name: &str,
    most: usize,
) -> Vec<(&'m Diagnostic, Vec<Spot>)> {
    let is_known = |mistake: &&Diagnostic| mistake.file == name && text.len() <= LONG;
    let found: Vec<(&Diagnostic, Option<(usize, usize)>)> = mistakes
        .iter()
        .take(most)
        .map(|mistake| {
            let position = mistake.position.filter(|_| is_known(&mistake));
            (mistake, position.map(|position| (position.line, position.column)))
        })
        .collect();
    let mut spots = spots(text, found.iter().filter_map(|(_, place)| *place)).into_iter();
    let next = |place: Option<(usize, usize)>| place.and_then(|_| spots.next()).unwrap_or_default();
    found.into_iter().scan(next, |next, (mistake, place)| Some((mistake, next(place)))).collect()
}

fn said(mistake: &Diagnostic) -> String {
    match &mistake.hint {
        Some(hint) => format!("{} ({hint})", mistake.message),
        None => mistake.message.clone(),
    }
}
