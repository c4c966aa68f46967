//! Edits: laid over the file, kept, and in force again after a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::control_loop;
use super::traced::Span;
use crate::admin::{self, Edited, Editing, Glance, NotEdited, Precondition, Told};
use crate::config::{Change, Desired, Draft, Edit, Object, Origin, Outcome, Standing};
use crate::control::Order;
use crate::plan::Plan;
use crate::store::{JournalError, Kept, NotKept};

/// Whoever waits for an edit.
pub(super) type Reply = admin::Reply<Result<Edited, NotEdited>>;

/// What is ordered of a pool, and of an address of it or all of them.
pub(super) type Ordered = (String, Option<String>, Order);

/// The journal of edits. One change is under way at a time, so that nobody ever waits for it.
#[derive(Clone)]
pub(super) struct Journal(Arc<Mutex<Kept>>);

/// What has come of edits that were asked for together.
pub(super) struct Made {
    /// What is wanted now.
    pub(super) desired: Arc<Desired>,
    /// Whether the plan is another one.
    pub(super) is_respecified: bool,
    /// What is ordered of addresses besides.
    pub(super) orders: Vec<Ordered>,
    /// Edits that are new.
    pub(super) added: Vec<Arc<Edit>>,
    /// Edits that no longer stand.
    pub(super) gone: Vec<Arc<Edit>>,
    /// What has changed because edits are over.
    pub(super) ended: Vec<Told>,
    /// From when to when they were written to the journal.
    pub(super) kept: Vec<Span>,
    /// To be given when all of it is in force.
    pub(super) replies: Vec<(Reply, Result<Edited, NotEdited>)>,
}

impl Journal {
    /// What is kept in `directory`; `None`: it is gone with the process. `ignored`: what is there is
    /// put aside unread.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or nothing more can be kept.
    pub(super) fn open(directory: Option<&Path>, ignored: bool) -> Result<Self, JournalError> {
        let kept = match directory {
            Some(directory) if ignored => Kept::put_aside(directory),
            Some(directory) => Kept::open(directory)?,
            None => Kept::nowhere(),
        };
        Ok(Journal(Arc::new(Mutex::new(kept))))
    }

    /// Every edit that is kept, and the number of the next one. What a later version has written is
    /// passed over, and stays.
    pub(super) fn edits(&self) -> (Vec<Arc<Edit>>, u64) {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let read = |(id, value): (&u64, &Value)| match serde_json::from_value::<Edit>(value.clone()) {
            Ok(edit) => Some(Arc::new(edit)),
            Err(error) => {
                tracing::error!(edit = id, %error, "an edit cannot be read, and is not in force");
                None
            }
        };
        (kept.values().iter().filter_map(read).collect(), kept.next())
    }

    /// Leaves the file to another process.
    pub(super) fn suspend(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).suspend();
    }

    /// Takes the file back, which says what this process holds from then on.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub(super) fn resume(&self) -> Result<(), NotKept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).resume()
    }

    /// Keeps what has come of edits.
    ///
    /// # Errors
    ///
    /// If it cannot, in words; then nothing has changed.
    pub(super) fn keep(&self, outcome: &Outcome, next: u64) -> Result<(), String> {
        if outcome.added.is_empty() && outcome.gone.is_empty() {
            return Ok(());
        }
        let gone = outcome.gone.iter().map(|edit| edit.id).collect();
        let added = outcome
            .added
            .iter()
            .map(|edit| Ok((edit.id, serde_json::to_value(&**edit).map_err(|error| error.to_string())?)));
        let added = added.collect::<Result<_, String>>()?;
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.keep(gone, added, next).map_err(|error| error.to_string())
    }
}

/// Makes the edits that were asked for, and keeps them: all by one write, if nothing is wrong with any
/// of them, and one after the other if there is.
pub(super) fn make(desired: &Arc<Desired>, asked: Vec<(Editing, Reply)>, journal: &Journal) -> Made {
    let mut made = Made::nothing(desired);
    let (asked, replies): (Vec<Editing>, Vec<Reply>) = asked.into_iter().unzip();
    let together = together(desired, &asked);
    let results = match together {
        Some((new, outcome, done)) => match made.enter(new, outcome, journal) {
            Ok(()) => done.into_iter().map(|(ids, told)| Ok(made.edited(ids, told))).collect(),
            Err(reason) => asked.iter().map(|_| Err(NotEdited::NotKept(reason.clone()))).collect(),
        },
        None => asked.iter().map(|editing| made.one(editing, journal)).collect::<Vec<_>>(),
    };
    made.replies = replies.into_iter().zip(results).collect();
    made
}

/// The numbers of the edits that were asked for together, and what they change.
type Done = (Vec<u64>, Vec<Told>);

/// What comes of all of `asked`, with the numbers of the edits that each makes and what it changes;
/// `None`: something is wrong with one of them, or it is not only made but taken back.
fn together(desired: &Desired, asked: &[Editing]) -> Option<(Desired, Outcome, Vec<Done>)> {
    let mut draft = Draft::of(desired);
    let mut done = Vec::new();
    for editing in asked {
        let Editing::Make { wanted, stamp, preconditions } = editing else { return None };
        Precondition::check(preconditions, draft.desired()).ok()?;
        let before = glance(draft.desired(), wanted);
        let ids = draft.add(wanted.clone(), stamp).ok()?;
        done.push((ids, before.differences(draft.desired())));
    }
    let (desired, outcome) = draft.finish().ok()?;
    Some((desired, outcome, done))
}

fn glance(desired: &Desired, wanted: &[(Object, Change)]) -> Glance {
    Glance::at(desired, wanted.iter().map(|(object, change)| (object, matches!(change, Change::State(_)))))
}

/// What `desired` says of the objects of `edits`.
fn edited_by(desired: &Desired, edits: &[Arc<Edit>]) -> Glance {
    Glance::at(desired, edits.iter().map(|edit| (&edit.object, subject(edit).is_some())))
}

/// What there is to tell of those of `edits` that are in `desired`, but not in force: with them goes
/// what they would have changed.
fn orphaned(desired: &Desired, edits: &[Arc<Edit>]) -> Vec<Told> {
    let standing = desired.edits().iter().filter(|standing| standing.orphaned.is_some());
    let orphaned = standing.filter(|standing| edits.iter().any(|edit| edit.id == standing.edit.id));
    let told = orphaned.map(|Standing { edit, .. }| Told {
        object: edit.object.clone(),
        is_order: subject(edit).is_some(),
        before: json!({ "orphaned": &**edit }),
        after: Value::Null,
    });
    told.collect()
}

impl Made {
    fn nothing(desired: &Arc<Desired>) -> Self {
        Made {
            desired: Arc::clone(desired),
            is_respecified: false,
            orders: Vec::new(),
            added: Vec::new(),
            gone: Vec::new(),
            ended: Vec::new(),
            kept: Vec::new(),
            replies: Vec::new(),
        }
    }

    /// What comes of edits that are over at `now`, in milliseconds since the beginning of 1970.
    pub(super) fn over(desired: &Arc<Desired>, now: u64, journal: &Journal) -> Self {
        let mut made = Made::nothing(desired);
        let (new, outcome) = desired.at(now);
        let before = edited_by(desired, &outcome.gone);
        if let Err(reason) = made.enter(new.clone(), outcome.clone(), journal) {
            // They are over whether that can be written or not; the next start finds that out by itself.
            tracing::warn!("edits that are over stay in the journal: {reason}");
            made.take(new, outcome);
        }
        // Whoever follows orders knows by itself when they end, and what follows them.
        made.orders.clear();
        made.ended = before.differences(&made.desired);
        made
    }

    fn one(&mut self, editing: &Editing, journal: &Journal) -> Result<Edited, NotEdited> {
        match editing {
            Editing::Make { wanted, stamp, preconditions } => {
                Precondition::check(preconditions, &self.desired)?;
                let before = glance(&self.desired, wanted);
                let mut draft = Draft::of(&self.desired);
                let ids = draft.add(wanted.clone(), stamp)?;
                let (new, outcome) = draft.finish()?;
                self.enter(new, outcome, journal).map_err(NotEdited::NotKept)?;
                Ok(self.edited(ids, before.differences(&self.desired)))
            }
            Editing::Revert(ids) => {
                let (new, outcome) = self.desired.without(ids)?;
                let before = edited_by(&self.desired, &outcome.gone);
                let orphaned = orphaned(&self.desired, &outcome.gone);
                self.enter(new, outcome, journal).map_err(NotEdited::NotKept)?;
                let mut told = before.differences(&self.desired);
                told.extend(orphaned);
                Ok(self.edited(Vec::new(), told))
            }
        }
    }

    fn enter(&mut self, new: Desired, outcome: Outcome, journal: &Journal) -> Result<(), String> {
        let began = control_loop::now();
        journal.keep(&outcome, new.next())?;
        self.kept.push((began, control_loop::now()));
        self.take(new, outcome);
        Ok(())
    }

    fn take(&mut self, new: Desired, outcome: Outcome) {
        self.is_respecified |= !Arc::ptr_eq(new.plan(), self.desired.plan());
        self.desired = Arc::new(new);
        let Outcome { added, gone } = outcome;
        // As a whole: nothing is taken back in between, which the very next query would see.
        let changed: BTreeSet<&Object> = gone.iter().chain(&added).filter_map(|edit| subject(edit)).collect();
        if !changed.is_empty() {
            let orders = standing_orders(&self.desired, now(), |object| changed.contains(object));
            let is_free = |object: &&Object| !orders.contains_key(*object);
            self.orders.extend(
                changed.iter().copied().filter(is_free).filter_map(|object| directed(object, Order::AUTO)),
            );
            self.orders.extend(orders.into_iter().filter_map(|(object, order)| directed(object, order)));
        }
        self.added.retain(|edit| !gone.iter().any(|gone| gone.id == edit.id));
        self.gone.extend(gone);
        self.added.extend(added);
    }

    fn edited(&self, ids: Vec<u64>, told: Vec<Told>) -> Edited {
        let stands = |id: &u64| self.desired.edits().iter().any(|standing| standing.edit.id == *id);
        Edited { ids: ids.into_iter().filter(stands).collect(), told }
    }
}

/// The edits that are kept, over what was read from `origin`, of which `plan` came; without those that
/// are over, or that the file says by now.
pub(super) fn standing(origin: Origin, plan: Arc<Plan>, journal: &Journal) -> Desired {
    let (edits, next) = journal.edits();
    let now = now();
    let is_over =
        |edit: &Arc<Edit>| edit.stamp.until.is_some_and(|until| Duration::from_millis(until) <= now);
    let (over, edits): (Vec<Arc<Edit>>, Vec<Arc<Edit>>) = edits.into_iter().partition(is_over);
    let (desired, mut outcome) = Desired::over(origin, plan, edits, next);
    outcome.gone.extend(over);
    if let Err(reason) = journal.keep(&outcome, desired.next()) {
        tracing::warn!("edits that no longer stand stay in the journal: {reason}");
    }
    if !desired.edits().is_empty() {
        tracing::info!(edits = desired.edits().len(), "edits that were made by API lie over the file");
    }
    for standing in desired.edits() {
        if let Some(reason) = &standing.orphaned {
            tracing::warn!(edit = standing.edit.id, object = %standing.edit.object, "not in force: {reason}");
        }
    }
    desired
}

/// The numbers of the edits that are not in force.
pub(super) fn not_in_force(desired: &Desired) -> Vec<u64> {
    let orphaned = desired.edits().iter().filter(|standing| standing.orphaned.is_some());
    orphaned.map(|standing| standing.edit.id).collect()
}

/// What puts into force again what is ordered of addresses.
pub(super) fn orders(desired: &Desired) -> Vec<Ordered> {
    let orders = standing_orders(desired, now(), |_| true);
    orders.into_iter().filter_map(|(object, order)| directed(object, order)).collect()
}

/// What is ordered at `now` of each object that is `wanted`, with what follows when that ends.
fn standing_orders(
    desired: &Desired,
    now: Duration,
    wanted: impl Fn(&Object) -> bool,
) -> BTreeMap<&Object, Order> {
    let mut orders: BTreeMap<&Object, Order> = BTreeMap::new();
    // Each edit lies over those before it, and under it is what outlasts it.
    for Standing { edit, .. } in desired.edits() {
        if let Some(object) = subject(edit).filter(|object| wanted(object))
            && let Some(order) = ordered(edit, now)
        {
            let below = orders.remove(object);
            orders.insert(object, order.over(below));
        }
    }
    orders
}

/// What an edit of a state is about; `None`: it is another kind of edit.
fn subject(edit: &Edit) -> Option<&Object> {
    matches!(edit.change, Change::State(_)).then_some(&edit.object)
}

/// An order of an object; `None`: it is none that can be ordered about.
fn directed(object: &Object, order: Order) -> Option<Ordered> {
    match object {
        Object::Pool(pool) => Some((pool.clone(), None, order)),
        Object::Address { pool, name } => Some((pool.clone(), Some(name.clone()), order)),
        _ => None,
    }
}

/// What an edit of a state orders at `now`; `None`: it is another kind of edit, or over.
fn ordered(edit: &Edit, now: Duration) -> Option<Order> {
    let Change::State(state) = edit.change else { return None };
    let lasts = edit.stamp.until.map(|until| Duration::from_millis(until).saturating_sub(now));
    if lasts.is_some_and(|lasts| lasts.is_zero()) {
        return None;
    }
    Some(Order { state, reason: edit.stamp.reason.clone(), lasts, then: Vec::new() })
}

/// Since the beginning of 1970: what is kept has to mean the same after a restart.
#[allow(clippy::disallowed_methods, reason = "the daemon is where time enters")]
pub(super) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Stamp;
    use crate::plan::AddressState;

    #[test]
    fn what_is_kept_means_the_same_later() {
        let at = Duration::from_secs;
        for (until, later, left) in [
            (None, 1_000_000, Some(None)),
            (Some(160), 100, Some(Some(60))),
            (Some(160), 159, Some(Some(1))),
            (Some(160), 160, None),
            (Some(160), 999, None),
        ] {
            let object = "pools/a/addresses/1".parse().expect("it is one");
            let reason = Some("new kernel".to_owned());
            let stamp =
                Stamp { reason: reason.clone(), until: until.map(|until| until * 1000), ..Stamp::default() };
            let edit = Edit { id: 1, object, change: Change::State(AddressState::Drain), stamp };
            let found = ordered(&edit, at(later));
            let order = |lasts: Option<u64>| Order {
                state: AddressState::Drain,
                reason: reason.clone(),
                lasts: lasts.map(at),
                then: Vec::new(),
            };
            assert_eq!(found, left.map(order), "{until:?} after {later} s");
        }
    }
}
