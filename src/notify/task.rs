//! One destination: it has a task of its own, so that none delays another.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::sync::{OnceCell, mpsc, watch};
use tokio::task::JoinSet;

use super::clock::{now, since_1970};
use super::delivery::{Failure, Route};
use super::incident::Incident;
use super::outbox::{Fate, Message, Outbox, Pace, SHOWN};
use super::{Troubles, lock};
use crate::config::{Credentials, Notification, NotificationKind};

/// What a destination that is given up hears within so long is all that it hears.
const FAREWELL: Duration = Duration::from_secs(2);

/// Before what has panicked is begun anew: whatever it was may be over, and the log is not flooded.
const AFTER_PANIC: Duration = Duration::from_secs(1);

/// Incidents that are taken in at once: milliseconds' worth, after which others have their turn.
const TOGETHER: usize = 1024;

/// A destination, as its task and whoever asks about it know it.
pub(super) struct Destination {
    pub(super) notification: Notification,
    pub(super) credentials: Credentials,
    instance: String,
    route: OnceCell<Route>,
    /// Incidents that found no room on their way here.
    pub(super) lost: Arc<AtomicU64>,
    known: Arc<Mutex<Known>>,
    /// Has its task panic when the next message has arrived.
    #[cfg(test)]
    pub(super) panics: std::sync::atomic::AtomicBool,
}

/// What is known of a destination.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub(super) queued: usize,
    pub(super) is_retrying: bool,
    pub(super) delivered: u64,
    pub(super) failed: u64,
    pub(super) dropped: u64,
    pub(super) last_delivered: Option<Duration>,
    pub(super) last_failure: Option<(Duration, String)>,
    pub(super) standing: usize,
}

impl Destination {
    pub(super) fn new(notification: Notification, credentials: Credentials, instance: String) -> Self {
        let (route, lost, known) = (OnceCell::new(), Arc::default(), Arc::default());
        Destination {
            notification,
            credentials,
            instance,
            route,
            lost,
            known,
            #[cfg(test)]
            panics: Default::default(),
        }
    }

    /// The same one, reached or told in another way from now on.
    pub(super) fn changed(&self, notification: Notification, credentials: Credentials) -> Self {
        let (lost, known) = (Arc::clone(&self.lost), Arc::clone(&self.known));
        Destination { lost, known, ..Destination::new(notification, credentials, self.instance.clone()) }
    }

    pub(super) fn known(&self) -> MutexGuard<'_, Known> {
        // It is whole whatever became of whoever looked at it.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether what happens to `incident`'s subject is told to it.
    pub(super) fn wants(&self, incident: &Incident) -> bool {
        let Notification { pools, domains, .. } = &self.notification;
        let subject = &incident.subject;
        let fits_pool = |pool: &String| pools.as_ref().is_none_or(|pools| pools.have(pool));
        let fits_domain = |domain: &String| domains.as_ref().is_none_or(|domains| domains.have(domain));
        self.notification.is_told_of(incident.topic)
            && subject.pool.as_ref().is_none_or(fits_pool)
            && subject.domain.as_ref().is_none_or(fits_domain)
    }

    /// Delivers `message` now, and notes what has come of it. Returns why those do not get it who
    /// never will, where others have got it.
    pub(super) async fn deliver(&self, message: &Message) -> Result<Vec<String>, Failure> {
        let delivered = self.try_deliver(message).await;
        let at = since_1970();
        let mut known = self.known();
        match &delivered {
            Ok(refused) => {
                known.last_delivered = Some(at);
                if !refused.is_empty() {
                    known.last_failure = Some((at, refused.join("; ")));
                }
            }
            Err(failure) => known.last_failure = Some((at, failure.reason.clone())),
        }
        delivered
    }

    async fn try_deliver(&self, message: &Message) -> Result<Vec<String>, Failure> {
        let route = self.route.get_or_try_init(|| async {
            let (notification, credentials) = (self.notification.clone(), self.credentials.clone());
            let instance = self.instance.clone();
            let making =
                tokio::task::spawn_blocking(move || Route::new(&notification, credentials, instance));
            making.await.unwrap_or_else(|error| Err(error.to_string()))
        });
        match route.await {
            Ok(route) => route.deliver(message, self.notification.timeout).await,
            // What it lacks, the host's root certificates for one, may be there later.
            Err(reason) => Err(Failure::passing(reason)),
        }
    }

    fn pace(&self) -> Pace {
        let Notification { kind, group_wait, rate_limit, give_up_after, .. } = &self.notification;
        let resend_after = match kind {
            NotificationKind::Alertmanager { resend_after, .. } => Some(*resend_after),
            _ => None,
        };
        // What programs are not told, they take for well.
        let shown = match kind {
            NotificationKind::Webhook { .. } | NotificationKind::Alertmanager { .. } => usize::MAX,
            _ => SHOWN,
        };
        Pace {
            group_wait: *group_wait,
            rate: *rate_limit,
            give_up_after: *give_up_after,
            resend_after,
            shown,
        }
    }
}

/// Tells the destination that `changes` has what comes by `incidents`, until nobody can send any more;
/// then what is left, if it takes it soon. Where that panics it begins anew.
pub(super) async fn run(
    mut changes: watch::Receiver<Arc<Destination>>,
    mut incidents: mpsc::Receiver<Arc<Incident>>,
    troubles: Troubles,
) {
    loop {
        let telling = tell(&mut changes, &mut incidents, &troubles);
        if AssertUnwindSafe(telling).catch_unwind().await.is_ok() {
            return;
        }
        let name = changes.borrow().notification.name.clone();
        tracing::error!(
            destination = %name,
            "telling it has failed in this program: what waited is lost, and what lasts is told anew"
        );
        tokio::time::sleep(AFTER_PANIC).await;
    }
}

async fn tell(
    changes: &mut watch::Receiver<Arc<Destination>>,
    incidents: &mut mpsc::Receiver<Arc<Incident>>,
    troubles: &Troubles,
) {
    let mut destination = Arc::clone(&changes.borrow_and_update());
    let mut outbox = Outbox::new(destination.pace(), fastrand::Rng::new());
    let mut delivering: JoinSet<(Message, Result<Vec<String>, Failure>)> = JoinSet::new();
    let mut end: Option<Instant> = None;
    let mut arrived = Vec::new();
    loop {
        note_losses(&destination, &mut outbox);
        if let Some(message) = outbox.take(now()) {
            let destination = Arc::clone(&destination);
            delivering.spawn(async move {
                let delivered = destination.deliver(&message).await;
                (message, delivered)
            });
        }
        // What is on its way is taken in first.
        if outbox.is_amiss() && incidents.is_empty() && end.is_none() {
            reconcile(&destination, &mut outbox, incidents, troubles);
        }
        show(&destination, &mut outbox);
        if end.is_some_and(|end| end <= now() || outbox.is_done() || outbox.is_retrying()) {
            abandon(&destination, &outbox);
            return;
        }
        let due = outbox.due(now());
        tokio::select! {
            // Many at a time: what follows looks at all that is gathered.
            received = incidents.recv_many(&mut arrived, TOGETHER), if end.is_none() => {
                if received == 0 {
                    end = Some(now() + FAREWELL);
                    outbox.hurry(now());
                }
                for incident in arrived.drain(..) {
                    outbox.note(Incident::clone(&incident), now());
                }
            }
            Some(done) = delivering.join_next() => settle(&destination, &mut outbox, done.ok()),
            Ok(()) = changes.changed() => {
                destination = Arc::clone(&changes.borrow_and_update());
                outbox.change(destination.pace(), |incident| destination.wants(incident));
            }
            () = until(due) => {}
            () = until(end) => {}
        }
    }
}

/// Enters what has come of the message that was under way; `None`: that is not known.
fn settle(
    destination: &Destination,
    outbox: &mut Outbox,
    done: Option<(Message, Result<Vec<String>, Failure>)>,
) {
    let name = &destination.notification.name;
    let failure = match done {
        Some((message, Ok(refused))) => {
            outbox.sent(now());
            for reason in &refused {
                tracing::error!(destination = %name, "a notification was not taken for one of those who are told: {reason}");
            }
            destination.known().failed += refused.len() as u64;
            if !message.is_reminder {
                destination.known().delivered += 1;
                #[cfg(test)]
                assert!(!destination.panics.swap(false, Ordering::Relaxed), "a panic for a test");
                tracing::debug!(destination = %name, "notification delivered");
            }
            return;
        }
        Some((_, Err(failure))) => failure,
        None => Failure::passing("delivering has failed in this program"),
    };
    let Failure { reason, hurdle, served } = failure;
    outbox.serve(served);
    match outbox.failed(hurdle, now()) {
        Fate::Retried => {
            tracing::warn!(destination = %name, "a notification was not delivered, and will be again: {reason}")
        }
        Fate::Forgotten => tracing::warn!(destination = %name, "what lasts was not told again: {reason}"),
        Fate::GivenUp => {
            destination.known().failed += 1;
            tracing::error!(destination = %name, "a notification was given up: {reason}");
        }
    }
}

/// Takes notice of incidents that found no room.
fn note_losses(destination: &Destination, outbox: &mut Outbox) {
    let incidents = destination.lost.swap(0, Ordering::Relaxed);
    if incidents > 0 {
        let name = &destination.notification.name;
        tracing::warn!(destination = %name, incidents, "more has happened than can be told");
        destination.known().dropped += incidents;
        outbox.lose();
    }
}

/// Has `outbox` take to last what does.
fn reconcile(
    destination: &Destination,
    outbox: &mut Outbox,
    incidents: &mut mpsc::Receiver<Arc<Incident>>,
    troubles: &Troubles,
) {
    let (truth, arrived) = {
        let troubles = lock(troubles);
        let truth: Vec<Arc<Incident>> = troubles.values().cloned().collect();
        // All of it was told before: later it would be taken for news.
        let arrived: Vec<Arc<Incident>> = std::iter::from_fn(|| incidents.try_recv().ok()).collect();
        (truth, arrived)
    };
    for incident in arrived {
        outbox.note(Incident::clone(&incident), now());
    }
    let truth = truth.into_iter().filter(|incident| destination.wants(incident));
    outbox.reconcile(&truth.map(|incident| (incident.key(), incident)).collect(), since_1970(), now());
}

/// Takes notice of what nobody will be told.
fn abandon(destination: &Destination, outbox: &Outbox) {
    let left = outbox.left();
    if left > 0 {
        let name = &destination.notification.name;
        tracing::warn!(destination = %name, left, "what waited for a destination that is told no more is dropped");
        destination.known().dropped += left;
    }
}

fn show(destination: &Destination, outbox: &mut Outbox) {
    let dropped = outbox.take_dropped();
    let mut known = destination.known();
    known.dropped += dropped;
    known.queued = outbox.queued();
    known.is_retrying = outbox.is_retrying();
    known.standing = outbox.standing();
}

/// Waits until `due`; for ever if that is never.
async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
