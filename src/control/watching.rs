//! Which addresses are watched, as pools come and go and change theirs.

use std::collections::HashMap;
use std::sync::Arc;

use super::Controller;
use super::target::{Owner, Target};
use crate::health::{Belief, TargetId};
use crate::plan::{Endpoint, Watch};

/// What a change does to what is watched.
#[derive(Default)]
pub(super) struct Rewatching {
    pub(super) started: Vec<(TargetId, Arc<Watch>, Belief)>,
    pub(super) stopped: Vec<TargetId>,
}

/// What a belief is about within a pool, whatever the check that led to it.
type Subject<'w> = (&'w Endpoint, Option<u16>);

fn subject(watch: &Watch) -> Subject<'_> {
    (&watch.endpoint, watch.port)
}

impl Controller {
    /// Watches `watches`, which belong to `owner`, in the place of `before`, which belonged to the same
    /// by its name. What is known of an address stays as long as it does, wherever it stands.
    /// Returns what watches each.
    pub(super) fn rewatch(
        &mut self,
        owner: Owner,
        before: Vec<TargetId>,
        watches: &[Arc<Watch>],
        rewatching: &mut Rewatching,
    ) -> Vec<TargetId> {
        let is_known = |known: Option<&TargetId>, watch: &Watch| {
            known.is_some_and(|id| subject(&self.targets[id].watch) == subject(watch))
        };
        // The usual case: all of them stand where they stood.
        let has_stayed = before.len() == watches.len()
            && watches.iter().enumerate().all(|(at, watch)| is_known(before.get(at), watch));
        let known: Vec<Option<TargetId>> = if has_stayed {
            before.into_iter().map(Some).collect()
        } else {
            let old: Vec<Arc<Watch>> = before.iter().map(|id| Arc::clone(&self.targets[id].watch)).collect();
            let mut by_subject: HashMap<Subject<'_>, TargetId> =
                old.iter().map(|watch| subject(watch)).zip(before.iter().copied()).collect();
            let known: Vec<_> = watches.iter().map(|watch| by_subject.remove(&subject(watch))).collect();
            by_subject.into_values().for_each(|gone| self.unwatch(gone, rewatching));
            known
        };
        known
            .into_iter()
            .zip(watches)
            .map(|(known, watch)| self.watch_one(owner, known, watch, rewatching))
            .collect()
    }

    /// Watches no longer what `target` does.
    pub(super) fn unwatch(&mut self, target: TargetId, rewatching: &mut Rewatching) {
        let gone = self.targets.remove(&target).expect("what watches something is there");
        self.untold -= usize::from(!gone.has_told());
        self.network.forget(target);
        rewatching.stopped.push(target);
    }

    fn watch_one(
        &mut self,
        owner: Owner,
        known: Option<TargetId>,
        watch: &Arc<Watch>,
        rewatching: &mut Rewatching,
    ) -> TargetId {
        if let Some(id) = known {
            let target = self.targets.get_mut(&id).expect("what watches something is there");
            if *target.watch == **watch {
                target.owner = owner;
                // The same: who holds on to the old one may let go of it.
                target.watch = Arc::clone(watch);
                return id;
            }
        }
        let target = match known.and_then(|id| self.targets.remove(&id)) {
            Some(target) => target.watched(Arc::clone(watch)).within(owner),
            None => {
                self.untold += 1;
                Target::new(Arc::clone(watch), owner)
            }
        };
        if let Some(known) = known {
            self.network.forget(known);
            rewatching.stopped.push(known);
        }
        let id = self.next_id();
        rewatching.started.push((id, Arc::clone(watch), target.machine().belief()));
        self.targets.insert(id, target);
        id
    }
}
