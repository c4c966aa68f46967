//! Tells people and programs elsewhere what happens: by webhook, Slack, Alertmanager, DingTalk and mail.
//!
//! Whoever knows that something has happened calls [`Notifier::tell`], which never waits. Each destination has a
//! task of its own with an [`outbox`], which says what is sent when; and a `delivery`, which sends it.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::config::{Credentials, Notification, Topic};

mod alertmanager;
mod clock;
mod delivery;
mod dingtalk;
mod email;
mod http;
mod incident;
mod outbox;
mod slack;
mod task;
#[cfg(test)]
mod tests;
mod text;
mod webhook;

use incident::Key;
pub use incident::{Incident, Phase, Subject};
use outbox::Message;
use task::Destination;

/// Incidents on their way to a task, which takes them as fast as they can be made: the addresses of a large installation
/// may all go down at once.
const ON_THEIR_WAY: usize = 4096;

/// The troubles that last. Whoever is told of a change is so while it is locked, so that all hear of changes in
/// the order in which they were made.
type Troubles = Arc<Mutex<BTreeMap<Key, Arc<Incident>>>>;

/// Tells destinations what happens. Clones are the same.
#[derive(Clone)]
pub struct Notifier {
    shared: Arc<Shared>,
}

struct Shared {
    running: ArcSwap<Vec<Running>>,
    troubles: Troubles,
    tasks: Mutex<JoinSet<()>>,
    runtime: Handle,
    instance: String,
}

#[derive(Clone)]
struct Running {
    destination: Arc<Destination>,
    /// Tells its task that it is to be told in another way.
    changes: watch::Sender<Arc<Destination>>,
    incidents: mpsc::Sender<Arc<Incident>>,
}

/// A destination, as operators are told of it.
#[derive(Clone, Debug, PartialEq)]
pub struct DestinationStatus {
    /// Its name.
    pub name: String,
    /// Its type, as in the configuration.
    pub kind: &'static str,
    /// Messages that wait, or are under way.
    pub queued: usize,
    /// Whether the first of them was tried and will be again.
    pub is_retrying: bool,
    /// Troubles that it was told of, and that last.
    pub standing: usize,
    /// Messages that have arrived since it is a destination of this name and type.
    pub delivered: u64,
    /// Messages that were given up, and recipients for whom one was not taken.
    pub failed: u64,
    /// Messages and incidents for which there was no room.
    pub dropped: u64,
    /// When a message last arrived, since the beginning of 1970.
    pub last_delivered: Option<Duration>,
    /// When an attempt last failed, and why.
    pub last_failure: Option<(Duration, String)>,
}

impl Notifier {
    /// Tells nobody so far; later, in the name of `instance`, which is this host. Its tasks run on `runtime`.
    pub fn new(runtime: Handle, instance: String) -> Self {
        let running = ArcSwap::from_pointee(Vec::new());
        Notifier {
            shared: Arc::new(Shared {
                running,
                troubles: Troubles::default(),
                tasks: Mutex::default(),
                runtime,
                instance,
            }),
        }
    }

    /// Has `destinations` be those that are told from now on. Those of the same name and type as before keep what waits for
    /// them; those that are not any more are told what is left, if they take it at once; those that are new are told what
    /// lasts. Returns whether anything has changed.
    pub fn replace(&self, destinations: Vec<(Notification, Credentials)>) -> bool {
        let Shared { running, troubles, tasks, runtime, instance } = &*self.shared;
        let mut tasks = tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        let before = running.load_full();
        // Held until the new ones are there, so that nothing happens between what they are told first and all else.
        let _held = lock(troubles);
        let is_same = |running: &Running, (notification, credentials): &(Notification, Credentials)| {
            running.destination.notification == *notification
                && running.destination.credentials == *credentials
        };
        let is_like = |running: &Running, notification: &Notification| {
            let known = &running.destination.notification;
            known.name == notification.name && known.kind.word() == notification.kind.word()
        };
        let mut after = Vec::with_capacity(destinations.len());
        for wanted in destinations {
            if let Some(known) = before.iter().find(|known| is_same(known, &wanted)) {
                after.push(known.clone());
                continue;
            }
            let (notification, credentials) = wanted;
            if let Some(known) = before.iter().find(|known| is_like(known, &notification)) {
                let destination = Arc::new(known.destination.changed(notification, credentials));
                known.changes.send_replace(Arc::clone(&destination));
                after.push(Running { destination, ..known.clone() });
                continue;
            }
            let destination = Arc::new(Destination::new(notification, credentials, instance.clone()));
            let (incidents, told) = mpsc::channel(ON_THEIR_WAY);
            let (changes, changed) = watch::channel(Arc::clone(&destination));
            let telling = task::run(changed, told, Arc::clone(troubles));
            tasks.spawn_on(telling, runtime);
            after.push(Running { destination, changes, incidents });
        }
        let is_kept = |(one, other): (&Running, &Running)| Arc::ptr_eq(&one.destination, &other.destination);
        let has_changed = before.len() != after.len() || !before.iter().zip(&after).all(is_kept);
        running.store(Arc::new(after));
        has_changed
    }

    /// Tells those who want to know of it. Waits for nobody: what finds no room is counted.
    pub fn tell(&self, incident: Incident) {
        let incident = Arc::new(incident);
        let mut troubles = lock(&self.shared.troubles);
        if !is_news(&mut troubles, &incident) {
            return;
        }
        let running = self.shared.running.load();
        for Running { destination, incidents, .. } in
            running.iter().filter(|it| it.destination.wants(&incident))
        {
            if incidents.try_send(Arc::clone(&incident)).is_err() {
                destination.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Whether anybody is told anything.
    pub fn has_destinations(&self) -> bool {
        !self.shared.running.load().is_empty()
    }

    /// Whether there are troubles that last.
    pub fn has_troubles(&self) -> bool {
        !lock(&self.shared.troubles).is_empty()
    }

    /// The troubles that last, in order.
    pub fn troubles(&self) -> Vec<Arc<Incident>> {
        // The control loop waits for it meanwhile.
        lock(&self.shared.troubles).values().cloned().collect()
    }

    /// Every destination, in the order of the configuration.
    pub fn status(&self) -> Vec<DestinationStatus> {
        self.shared.running.load().iter().map(|it| status(&it.destination)).collect()
    }

    /// Sends the destination of this name a message at once, past all that waits. `None`: there is none.
    ///
    /// # Errors
    ///
    /// In words, if it does not arrive, or not at everybody.
    pub async fn test(&self, name: &str) -> Option<Result<(), String>> {
        let destination = {
            let running = self.shared.running.load();
            let found = running.iter().find(|it| it.destination.notification.name == name)?;
            Arc::clone(&found.destination)
        };
        let incident = Incident {
            topic: Topic::Test,
            subject: Subject::default(),
            phase: Phase::Once,
            summary: "this is a test: notifications arrive here".to_owned(),
            at: clock::since_1970(),
        };
        let delivered = destination.deliver(&Message::of(incident, clock::now())).await;
        Some(match delivered {
            Ok(refused) if refused.is_empty() => Ok(()),
            Ok(refused) => Err(refused.join("; ")),
            Err(failure) => Err(failure.reason),
        })
    }

    /// Ends, and waits until all have heard what is left or have had their time for that: seconds.
    pub async fn close(&self) {
        self.replace(Vec::new());
        let mut tasks = {
            let mut tasks = self.shared.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *tasks)
        };
        while tasks.join_next().await.is_some() {}
    }
}

fn lock(troubles: &Troubles) -> MutexGuard<'_, BTreeMap<Key, Arc<Incident>>> {
    troubles.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether it is not what it was before: that every address is up at first is told to nobody.
fn is_news(troubles: &mut BTreeMap<Key, Arc<Incident>>, incident: &Arc<Incident>) -> bool {
    match incident.phase {
        Phase::Begun => troubles.insert(incident.key(), Arc::clone(incident)).is_none(),
        Phase::Over => troubles.remove(&incident.key()).is_some(),
        Phase::Once => true,
    }
}

fn status(destination: &Destination) -> DestinationStatus {
    let known = destination.known().clone();
    DestinationStatus {
        name: destination.notification.name.clone(),
        kind: destination.notification.kind.word(),
        queued: known.queued,
        is_retrying: known.is_retrying,
        standing: known.standing,
        delivered: known.delivered,
        failed: known.failed,
        dropped: known.dropped,
        last_delivered: known.last_delivered,
        last_failure: known.last_failure,
    }
}
