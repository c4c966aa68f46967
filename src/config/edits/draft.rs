//! Edits that are being made, several together.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::change::{Change, Edit, Stamp};
use super::desired::{Desired, Outcome, Standing};
use super::document::own_keys;
use super::object::{Object, relative};
use super::refusal::Refusal;
use crate::dns::Rrset;
use crate::plan::AddressState;

/// Edits that are entered one after the other and then read together: reading takes the longest.
pub struct Draft {
    /// Its plan is that of before.
    desired: Desired,
    outcome: Outcome,
    /// Of every edit that was asked for, in order.
    objects: Vec<Object>,
    is_respecified: bool,
    /// Whether an edit has gone that had put something into its place, or taken it away: what stands is to
    /// be laid anew, so that what is in force is what a restart would make of it.
    is_rearranged: bool,
}

impl Draft {
    /// None so far, over `desired`.
    pub fn of(desired: &Desired) -> Self {
        let outcome = Outcome::default();
        Draft {
            desired: desired.clone(),
            outcome,
            objects: Vec::new(),
            is_respecified: false,
            is_rearranged: false,
        }
    }

    /// `object` as it will be, if nothing is wrong with it.
    pub fn desired(&self) -> &Desired {
        &self.desired
    }

    /// Enters `wanted`, in this order. What changes nothing makes no edit. Returns the numbers of those
    /// that do.
    ///
    /// # Errors
    ///
    /// If one of them does not fit. The draft is of no use then.
    pub fn add(&mut self, wanted: Vec<(Object, Change)>, stamp: &Stamp) -> Result<Vec<u64>, Refusal> {
        let first = self.desired.next;
        for (at, (object, change)) in wanted.into_iter().enumerate() {
            self.objects.push(object.clone());
            let change = without_own_name(&object, change)
                .map_err(|(field, why)| Refusal::mistaken(at, field, why))?;
            match change {
                Change::State(state) => {
                    self.desired.check_orderable(at, &object)?;
                    // `auto` is what there is without an order.
                    if state == AddressState::Auto {
                        let is_it = |edit: &Edit| edit.object == object && !edit.change.is_of_specification();
                        self.drop_where(is_it);
                    } else {
                        self.push(object, Change::State(state), stamp);
                    }
                }
                change => self.specify(at, object, change, stamp)?,
            }
        }
        Ok((first..self.desired.next).collect())
    }

    /// What comes of them.
    ///
    /// # Errors
    ///
    /// If that is no sound configuration.
    pub fn finish(mut self) -> Result<(Desired, Outcome), Refusal> {
        if self.is_respecified {
            self.retire();
            if self.is_rearranged {
                self.desired.rewrite()?;
            }
            self.desired.reread(&self.objects)?;
            self.desired.judge_orders();
        }
        Ok((self.desired, self.outcome))
    }

    fn specify(&mut self, at: usize, object: Object, change: Change, stamp: &Stamp) -> Result<(), Refusal> {
        let before = self.desired.document.get(&object);
        if before.is_none() && !matches!(change, Change::Put(_)) {
            return Err(Refusal::Unknown(at, object));
        }
        let after = change.onto(before.as_ref());
        check_script(at, before.as_ref(), after.as_ref())?;
        // What ends by itself is something else when it has ended.
        let is_passing = self.desired.edits.iter().any(|standing| {
            standing.edit.stamp.until.is_some()
                && standing.edit.change.is_of_specification()
                && (standing.edit.object.is_within(&object) || object.is_within(&standing.edit.object))
        });
        if before == after && !is_passing {
            return Ok(());
        }
        if before.is_none() {
            self.check_not_of_file(at, &object)?;
        }
        self.desired.document.set(&object, after.as_ref()).map_err(|unfit| Refusal::Unfit(at, unfit))?;
        self.push(object, change, stamp);
        self.is_respecified = true;
        Ok(())
    }

    fn push(&mut self, object: Object, change: Change, stamp: &Stamp) {
        let edit = Arc::new(Edit { id: self.desired.next, object, change, stamp: stamp.clone() });
        self.desired.next += 1;
        self.drop_where(|earlier| edit.hides(earlier));
        self.outcome.added.push(Arc::clone(&edit));
        self.desired.edits.push(Standing { edit, orphaned: None });
    }

    /// Drops edits of objects that are as in the file again.
    fn retire(&mut self) {
        let objects: BTreeSet<Object> = self.outcome.added.iter().map(|edit| edit.object.clone()).collect();
        for object in objects {
            let is_of_it = |edit: &Edit| {
                edit.change.is_of_specification()
                    && (edit.object.is_within(&object) || object.is_within(&edit.object))
            };
            let desired = &self.desired;
            let is_as_written = desired.origin.document().get(&object) == desired.document.get(&object);
            // Without edits of what is above, below, or only for a while, it might be something else.
            let mut of_it = desired.edits.iter().map(|standing| &standing.edit).filter(|edit| is_of_it(edit));
            let is_alone = of_it.all(|edit| edit.object == object && edit.stamp.until.is_none());
            if is_as_written && is_alone {
                self.drop_where(is_of_it);
            }
        }
    }

    fn drop_where(&mut self, is_it: impl Fn(&Edit) -> bool) {
        let arranges = |edit: &Edit| matches!(edit.change, Change::Put(_) | Change::Remove);
        self.is_rearranged |=
            self.desired.edits.iter().any(|standing| is_it(&standing.edit) && arranges(&standing.edit));
        self.desired.drop_where(is_it, &mut self.outcome);
    }

    /// That no zone file has an RRset that the configuration does not: it would have both.
    fn check_not_of_file(&self, at: usize, object: &Object) -> Result<(), Refusal> {
        let Object::Record { zone, owner, rtype } = object else { return Ok(()) };
        let zone = self.desired.plan().zones.iter().find(|known| known.name == *zone);
        let is_it = |rrset: &Rrset| rrset.owner == *owner && rrset.rtype == *rtype;
        if zone.is_some_and(|zone| zone.rrsets.iter().any(is_it)) {
            let detail = "the zone file, or the zone's own keys, say it, and only they do".to_owned();
            return Err(Refusal::Mistaken { at, field: None, detail });
        }
        Ok(())
    }
}

/// A change without the keys by which its object is known; they may be there, but not say otherwise.
fn without_own_name(object: &Object, change: Change) -> Result<Change, (&'static str, String)> {
    let strip = |mut content: Map<String, Value>| {
        let known = |key: &str| match (object, key) {
            (Object::Address { name, .. }, "name") => Some(name.clone()),
            (Object::Domain(name), "name") => Some(name.to_string()),
            (Object::Record { zone, owner, .. }, "name") => Some(relative(owner, zone)),
            (Object::Record { rtype, .. }, "type") => Some(rtype.to_string()),
            _ => None,
        };
        for key in own_keys(object) {
            let Some(given) = content.shift_remove(*key) else { continue };
            let is_it = |text: &str| {
                known(key).is_some_and(|known| known.eq_ignore_ascii_case(text.trim_end_matches('.')))
            };
            if !given.as_str().is_some_and(is_it) {
                return Err((*key, format!("`{key}` is that of the object, `{object}`, and stays so")));
            }
        }
        Ok(content)
    };
    Ok(match change {
        Change::Put(content) => Change::Put(strip(content)?),
        Change::Merge(patch) => Change::Merge(strip(patch)?),
        other => other,
    })
}

/// Whoever may edit pools need not be whom the host lets run programs.
fn check_script(
    at: usize,
    before: Option<&Map<String, Value>>,
    after: Option<&Map<String, Value>>,
) -> Result<(), Refusal> {
    let command =
        |content: Option<&Map<String, Value>>| content.and_then(|content| content.get("command").cloned());
    match command(after) {
        Some(after) if command(before).as_ref() != Some(&after) => Err(Refusal::mistaken(
            at,
            "command",
            "what runs on this host is said in the configuration file alone",
        )),
        _ => Ok(()),
    }
}
