//! What operators want: their file, with edits laid over it.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::change::{Change, Edit, Stamp};
use super::document::Document;
use super::draft::Draft;
use super::object::Object;
use super::refusal::{Refusal, faults, refusal};
use crate::config::Origin;
use crate::plan::{Plan, RESOLVED};

/// A configuration and the edits that lie over it. A value: to edit it makes another.
#[derive(Clone, Debug)]
pub struct Desired {
    pub(super) origin: Origin,
    /// By number.
    pub(super) edits: Vec<Standing>,
    /// The file with the edits in it.
    pub(super) document: Document,
    plan: Arc<Plan>,
    /// The number of the next edit.
    pub(super) next: u64,
}

/// An edit that stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// The edit.
    pub edit: Arc<Edit>,
    /// Why it is not in force: what it is about has left the file, or it does not go with the file any
    /// more.
    pub orphaned: Option<String>,
}

/// What has become of edits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Those that are new.
    pub added: Vec<Arc<Edit>>,
    /// Those that no longer stand: another hides them, they were taken back, or they are over.
    pub gone: Vec<Arc<Edit>>,
}

/// An object as it is wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct Specified {
    /// The table of the configuration, without the object's own name.
    pub specification: Map<String, Value>,
    /// The edits that made it so.
    pub edits: Vec<u64>,
    /// Differs whenever anything of it does (RFC 9110 section 8.8.3, without the quotes).
    pub tag: String,
}

impl Desired {
    /// `edits` over what was read from `origin`, of which `plan` came. Edits that the file says by now are no longer needed and are among those
    /// that are gone; those that do not go with the file are orphaned, and stand all the same.
    ///
    /// `next` is the number of the next edit, unless one of `edits` has a higher one.
    pub fn over(origin: Origin, plan: Arc<Plan>, edits: Vec<Arc<Edit>>, next: u64) -> (Self, Outcome) {
        let next = edits.iter().map(|edit| edit.id + 1).max().unwrap_or(1).max(next);
        let document = origin.document().clone();
        let mut desired = Desired { origin, edits: Vec::new(), document, plan, next };
        let mut outcome = Outcome::default();
        let mut needed: Vec<Arc<Edit>> = Vec::new();
        let mut said = desired.document.clone();
        for edit in edits {
            // What lies over another edit is not the file's word.
            let touches = |other: &Edit| {
                other.change.is_of_specification()
                    && (other.object.is_within(&edit.object) || edit.object.is_within(&other.object))
            };
            let is_first = !needed.iter().any(|other| touches(other));
            let before = said.get(&edit.object);
            let after = edit.change.onto(before.as_ref());
            let is_said = is_first && edit.stamp.until.is_none() && before == after;
            if edit.change.is_of_specification() && is_said {
                outcome.gone.push(edit);
                continue;
            }
            // Whether it fits is seen below.
            let _ = said.set(&edit.object, after.as_ref());
            needed.push(edit);
        }
        desired.lay(&needed);
        (desired, outcome)
    }

    /// The plan that follows from it.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The text of the file with the edits in it.
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// The text of the file with the edits in it that last: what may become the file. What ends by itself
    /// is not to stay for good.
    pub fn exported(&self) -> Document {
        let is_passing = |standing: &Standing| standing.edit.stamp.until.is_some();
        if !self.edits.iter().any(|standing| is_passing(standing) && standing.orphaned.is_none()) {
            return self.document.clone();
        }
        let mut document = self.origin.document().clone();
        let lasting =
            self.edits.iter().filter(|standing| !is_passing(standing) && standing.orphaned.is_none());
        for Standing { edit, .. } in lasting.filter(|standing| standing.edit.change.is_of_specification()) {
            let before = document.get(&edit.object);
            // What lies on something that ends ends with it.
            if before.is_some() || matches!(edit.change, Change::Put(_)) {
                let _ = document.set(&edit.object, edit.change.onto(before.as_ref()).as_ref());
            }
        }
        document
    }

    /// What the file itself is.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Every edit that stands, in the order in which they were made.
    pub fn edits(&self) -> &[Standing] {
        &self.edits
    }

    /// When the first edit is over, in milliseconds since the beginning of 1970.
    pub fn due(&self) -> Option<u64> {
        self.edits.iter().filter_map(|standing| standing.edit.stamp.until).min()
    }

    /// The number that the next edit will have.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// `object` as it is wanted; `None`: there is none.
    pub fn object(&self, object: &Object) -> Option<Specified> {
        let specification = self.document.get(object)?;
        let edits = self.edits.iter().filter(|standing| standing.orphaned.is_none());
        let mut hasher = DefaultHasher::new();
        Value::Object(specification.clone()).to_string().hash(&mut hasher);
        let mut numbers = Vec::new();
        for Standing { edit, .. } in edits {
            if edit.object.is_within(object) || object.is_within(&edit.object) {
                numbers.push(edit.id);
            }
            // What is ordered is no part of the specification, and may be lost to a race all the same.
            if edit.object == *object && !edit.change.is_of_specification() {
                edit.id.hash(&mut hasher);
            }
        }
        Some(Specified { specification, edits: numbers, tag: format!("{:016x}", hasher.finish()) })
    }

    /// All of `wanted` laid over it, in this order, or none of it. What changes nothing makes no edit.
    ///
    /// # Errors
    ///
    /// If one of them does not fit, or what comes of them is no sound configuration.
    pub fn with(&self, wanted: Vec<(Object, Change)>, stamp: &Stamp) -> Result<(Self, Outcome), Refusal> {
        let mut draft = Draft::of(self);
        draft.add(wanted, stamp)?;
        draft.finish()
    }

    /// Without the edits of these numbers.
    ///
    /// # Errors
    ///
    /// If there is no such edit, or what is left without them is no sound configuration.
    pub fn without(&self, ids: &[u64]) -> Result<(Self, Outcome), Refusal> {
        if let Some(unknown) =
            ids.iter().find(|id| !self.edits.iter().any(|standing| standing.edit.id == **id))
        {
            return Err(Refusal::NoSuchEdit(*unknown));
        }
        let mut new = self.clone();
        let mut outcome = Outcome::default();
        new.drop_where(|edit| ids.contains(&edit.id), &mut outcome);
        if outcome.gone.iter().any(|edit| edit.change.is_of_specification()) {
            let objects: Vec<Object> = outcome.gone.iter().map(|edit| edit.object.clone()).collect();
            new.rewrite()?;
            new.reread(&objects)?;
            new.judge_orders();
        }
        Ok((new, outcome))
    }

    /// Without those that are over at `now`, in milliseconds since the beginning of 1970. What does not
    /// go without them is orphaned.
    pub fn at(&self, now: u64) -> (Self, Outcome) {
        let mut new = self.clone();
        let mut outcome = Outcome::default();
        new.drop_where(|edit| edit.stamp.until.is_some_and(|until| until <= now), &mut outcome);
        if outcome.gone.iter().any(|edit| edit.change.is_of_specification()) {
            let edits: Vec<Arc<Edit>> = new.edits.iter().map(|standing| Arc::clone(&standing.edit)).collect();
            new.document = new.origin.document().clone();
            new.edits.clear();
            // Nothing is wrong with the file itself.
            let _ = new.reread(&[]);
            new.lay(&edits);
        }
        (new, outcome)
    }

    /// Lays `edits` over what there is; those that do not fit are orphaned.
    fn lay(&mut self, edits: &[Arc<Edit>]) {
        if !self.lay_but_those_at_fault(edits) {
            self.lay_by_halves(edits);
        }
        self.judge_orders();
    }

    /// Lays them together, without those at whose objects something is wrong: a file that has lost a pool
    /// may bring up hundreds, and to read a large one takes seconds. Returns whether that was enough.
    fn lay_but_those_at_fault(&mut self, edits: &[Arc<Edit>]) -> bool {
        // To leave out one may bring up another; a chain of more is told apart one by one.
        const ATTEMPTS: usize = 8;
        let mut left_out: BTreeMap<u64, String> = BTreeMap::new();
        for _ in 0..ATTEMPTS {
            let mut together = self.clone();
            for edit in edits {
                let orphaned = match left_out.get(&edit.id) {
                    Some(why) => Some(why.clone()),
                    None => together.enter(edit).err(),
                };
                together.edits.push(Standing { edit: Arc::clone(edit), orphaned });
            }
            if !edits.iter().any(|edit| edit.change.is_of_specification()) {
                *self = together;
                return true;
            }
            let mistakes = match self.origin.read(&together.document) {
                Ok(loaded) => {
                    together.plan = Arc::new(loaded.plan);
                    *self = together;
                    return true;
                }
                Err(mistakes) => mistakes,
            };
            let faults = faults(&mistakes, &together.document, self.origin.name());
            let known = left_out.len();
            for edit in edits.iter().filter(|edit| edit.change.is_of_specification()) {
                let is_at = |object: &Object| object.is_within(&edit.object) || edit.object.is_within(object);
                if let Some((_, why)) = faults.iter().find(|(object, _)| is_at(object)) {
                    left_out.entry(edit.id).or_insert_with(|| why.clone());
                }
            }
            if left_out.len() == known {
                return false;
            }
        }
        false
    }

    /// Lays the first half of them and then the second, until what does not fit is found.
    fn lay_by_halves(&mut self, edits: &[Arc<Edit>]) {
        let mut together = self.clone();
        for edit in edits {
            let orphaned = together.enter(edit).err();
            together.edits.push(Standing { edit: Arc::clone(edit), orphaned });
        }
        if together.reread(&[]).is_ok() {
            *self = together;
            return;
        }
        match edits {
            [] => {}
            [edit] => {
                let objects = [edit.object.clone()];
                let why = together.reread(&objects).err().map(|refusal| refusal.to_string());
                self.edits.push(Standing { edit: Arc::clone(edit), orphaned: why });
                // As it was before, which had nothing wrong with it.
                let _ = self.reread(&[]);
            }
            several => {
                let (first, second) = several.split_at(several.len() / 2);
                self.lay_by_halves(first);
                self.lay_by_halves(second);
            }
        }
    }

    /// Says of each order whether what it is about is there.
    pub(super) fn judge_orders(&mut self) {
        let mut edits = std::mem::take(&mut self.edits);
        for standing in edits.iter_mut().filter(|standing| !standing.edit.change.is_of_specification()) {
            let missing = self.check_orderable(0, &standing.edit.object).err();
            standing.orphaned = missing.map(|refusal| refusal.to_string());
        }
        self.edits = edits;
    }

    /// Makes the document anew from the file and the edits that stand.
    ///
    /// # Errors
    ///
    /// If one of them no longer fits.
    pub(super) fn rewrite(&mut self) -> Result<(), Refusal> {
        let in_force = self.edits.iter().filter(|standing| standing.orphaned.is_none());
        let edits: Vec<Arc<Edit>> = in_force.map(|standing| Arc::clone(&standing.edit)).collect();
        self.document = self.origin.document().clone();
        for edit in edits {
            self.enter(&edit).map_err(|why| Refusal::Needed(format!("{}: {why}", edit.object)))?;
        }
        Ok(())
    }

    /// Makes the document say what `edit` says; the error says why it cannot.
    fn enter(&mut self, edit: &Edit) -> Result<(), String> {
        if !edit.change.is_of_specification() {
            return Ok(());
        }
        let before = self.document.get(&edit.object);
        if before.is_none() && !matches!(edit.change, Change::Put(_)) {
            return Err(Refusal::Unknown(0, edit.object.clone()).to_string());
        }
        let after = edit.change.onto(before.as_ref());
        self.document.set(&edit.object, after.as_ref()).map_err(|unfit| unfit.to_string())
    }

    /// Drops those that `is_it` says.
    pub(super) fn drop_where(&mut self, is_it: impl Fn(&Edit) -> bool, outcome: &mut Outcome) {
        for Standing { edit, .. } in self.edits.extract_if(.., |standing| is_it(&standing.edit)) {
            // What a later edit of the same batch hides was never there.
            let added = outcome.added.len();
            outcome.added.retain(|added| added.id != edit.id);
            if outcome.added.len() == added {
                outcome.gone.push(edit);
            }
        }
    }

    /// Makes the plan anew. `objects` are those that were changed, by which mistakes are named.
    pub(super) fn reread(&mut self, objects: &[Object]) -> Result<(), Refusal> {
        let loaded = self.origin.read(&self.document);
        let loaded =
            loaded.map_err(|mistakes| refusal(&mistakes, &self.document, self.origin.name(), objects))?;
        self.plan = Arc::new(loaded.plan);
        Ok(())
    }

    pub(super) fn check_orderable(&self, at: usize, object: &Object) -> Result<(), Refusal> {
        let written = match object {
            Object::Pool(_) => object.clone(),
            // An address that a name resolves to is known by the name.
            Object::Address { pool, name } => {
                let written = name.split(RESOLVED).next().unwrap_or(name);
                Object::Address { pool: pool.clone(), name: written.to_owned() }
            }
            _ => return Err(Refusal::mistaken(at, "state", "only pools and their addresses have a state")),
        };
        let is_resolved = |found: &Map<String, Value>| written == *object || found.contains_key("resolve");
        match self.document.get(&written) {
            Some(found) if is_resolved(&found) => Ok(()),
            Some(_) => Err(Refusal::Unknown(at, object.clone())),
            None => Err(Refusal::Unknown(at, object.clone())),
        }
    }
}
