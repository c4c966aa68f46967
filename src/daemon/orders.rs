//! Orders of operators: kept before they are in force, and in force again after a restart.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, oneshot};

use crate::admin::NotOrdered;
use crate::control::{Event, Order};
use crate::plan::AddressState;
use crate::store::{Edit, Edits, JournalError, NotKept, Subject};

/// Orders that are kept, and those that are being kept.
pub(super) struct Orders {
    /// `None`: nowhere, they are gone with the process.
    edits: Option<Edits>,
    /// Those that stood at the start.
    standing: Vec<Edit>,
    done: mpsc::UnboundedSender<Ordered>,
    kept: mpsc::UnboundedReceiver<Ordered>,
}

/// An order that is kept, or not, and who waits for it.
pub(super) struct Ordered {
    pub(super) subject: Subject,
    pub(super) order: Order,
    pub(super) kept: Result<(), NotKept>,
    pub(super) reply: oneshot::Sender<Result<(), NotOrdered>>,
}

impl Orders {
    /// Those that are kept in `state_dir`. `ignored`: they are put aside unread.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub(super) fn start(state_dir: Option<PathBuf>, ignored: bool) -> Result<Self, JournalError> {
        let (edits, standing) = match state_dir {
            Some(directory) => {
                let (edits, standing) = Edits::start(&directory, ignored)?;
                (Some(edits), standing)
            }
            None => (None, Vec::new()),
        };
        let (done, kept) = mpsc::unbounded_channel();
        Ok(Orders { edits, standing, done, kept })
    }

    /// What puts into force again what stood at the start.
    pub(super) fn events(&self) -> Vec<Event> {
        let now = now();
        self.standing.iter().filter_map(|edit| event(edit, now)).collect()
    }

    /// Has an order kept; [`next`](Self::next) tells when it is.
    pub(super) fn ask(
        &mut self,
        subject: Subject,
        order: Order,
        reply: oneshot::Sender<Result<(), NotOrdered>>,
    ) {
        let edit = edit(&subject, &order, now());
        let done = self.done.clone();
        // Whoever receives is this very value; where it is gone, so is the daemon.
        let tell = move |kept| drop(done.send(Ordered { subject, order, kept, reply }));
        match &self.edits {
            Some(edits) => edits.keep(edit, tell),
            None => tell(Ok(())),
        }
    }

    /// Waits for the next order that is kept, or cannot be. Nothing is lost if it is dropped.
    pub(super) async fn next(&mut self) -> Option<Ordered> {
        self.kept.recv().await
    }

    /// Whether there is an order for what is spoken of, known to the controller or not.
    pub(super) fn stand_for(&self, (pool, address): &Subject) -> bool {
        self.standing.iter().any(|edit| edit.pool == *pool && edit.address == *address)
    }

    /// Whether an order like this one, if for another time, is in force.
    pub(super) fn stands(&self, (pool, address): &Subject, order: &Order) -> bool {
        let state = order.state.to_string();
        let now = now();
        let is_like = |edit: &Edit| {
            let is_over = edit.until.is_some_and(|until| Duration::from_millis(until) <= now);
            edit.state == state && edit.reason == order.reason && !is_over
        };
        self.standing.iter().any(|edit| edit.pool == *pool && edit.address == *address && is_like(edit))
    }

    /// Notes that an order is in force, so that it comes back with its pool if a reload takes that
    /// away.
    pub(super) fn note(&mut self, subject: &Subject, order: &Order) {
        let edit = edit(subject, order, now());
        self.standing.retain(|standing| (&standing.pool, &standing.address) != (&edit.pool, &edit.address));
        if order.state != AddressState::Auto {
            self.standing.push(edit);
        }
    }
}

fn edit((pool, address): &Subject, order: &Order, now: Duration) -> Edit {
    let until = order.lasts.map(|lasts| now.saturating_add(lasts).as_millis());
    Edit {
        pool: pool.clone(),
        address: address.clone(),
        state: order.state.to_string(),
        reason: order.reason.clone(),
        until: until.map(|until| u64::try_from(until).unwrap_or(u64::MAX)),
    }
}

/// What puts `edit` into force at `now`; `None`: it is over, or of a later version.
fn event(edit: &Edit, now: Duration) -> Option<Event> {
    let Edit { pool, address, state, reason, until } = edit.clone();
    let lasts = until.map(|until| Duration::from_millis(until).saturating_sub(now));
    if lasts.is_some_and(|lasts| lasts.is_zero()) {
        return None;
    }
    let order = Order { state: state.parse().ok()?, reason, lasts };
    Some(Event::Ordered { pool, address, order })
}

/// Since the beginning of 1970: what is kept has to mean the same after a restart.
#[allow(clippy::disallowed_methods, reason = "the daemon is where time enters")]
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_means_the_same_later() {
        let at = Duration::from_secs;
        let subject = ("a".to_owned(), Some("1".to_owned()));
        let order = |lasts: Option<u64>| Order {
            state: AddressState::Drain,
            reason: Some("new kernel".to_owned()),
            lasts: lasts.map(at),
        };
        for (lasts, later, left) in [
            (None, 1_000_000, Some(None)),
            (Some(60), 100, Some(Some(60))),
            (Some(60), 159, Some(Some(1))),
            (Some(60), 160, None),
            (Some(60), 999, None),
        ] {
            let kept = edit(&subject, &order(lasts), at(100));
            let found = event(&kept, at(later)).map(|event| match event {
                Event::Ordered { pool, address, order } => {
                    assert_eq!((pool, address), subject.clone());
                    order
                }
                other => panic!("{other:?}"),
            });
            assert_eq!(found, left.map(order), "{lasts:?} after {later} s");
        }
    }
}
