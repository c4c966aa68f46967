//! What one destination is to be told, and when: a machine without a clock and without I/O.
//!
//! Incidents are gathered by group for `group_wait`. What has ended within that time as it began is told to
//! nobody. The rest becomes a message, which waits for its turn behind those before it, for the rate, and for
//! the next attempt while the destination is down. The last message that the rate lets through has all in it
//! that waits.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::incident::{Group, Incident, Key, Phase};
use crate::config::{MessageRate, Severity};

/// Incidents that are gathered at once, in all groups: those beyond are no message that anybody reads.
const GATHERED: usize = 10_000;
/// Messages that may wait: hours of them, at the rate at which people read.
const WAITING: usize = 64;
/// Incidents that a message for people has: a screenful or two.
pub(super) const SHOWN: usize = 50;
/// The first wait after an attempt that has failed.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// The longest: a destination that is back hears of it within a minute.
const LONGEST_RETRY: Duration = Duration::from_secs(60);

/// The pace at which a destination is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pace {
    pub(super) group_wait: Duration,
    pub(super) rate: MessageRate,
    pub(super) give_up_after: Duration,
    /// How often it is told again of what lasts; `None`: it remembers by itself.
    pub(super) resend_after: Option<Duration>,
    /// How many incidents a message has. Those beyond are counted.
    pub(super) shown: usize,
}

/// Something that has changed for a destination.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Change {
    pub(super) incident: Incident,
    /// When what is over began, since the beginning of 1970.
    pub(super) began: Option<Duration>,
}

/// What a destination is sent at once.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Message {
    /// Never empty.
    pub(super) changes: Vec<Change>,
    /// How many more there were.
    pub(super) more: usize,
    /// Whether it only says again what lasts.
    pub(super) is_reminder: bool,
    /// Those of several recipients for whom nothing more is to be tried.
    pub(super) served: Vec<Served>,
    /// When it was made.
    made: Instant,
}

/// One of several recipients who has got a message, or never will.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Served {
    /// Who it is.
    pub(super) to: String,
    /// Why it is not taken for this one; `None`: it was.
    pub(super) refused: Option<String>,
}

/// What has become of a message that could not be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It will be tried again.
    Retried,
    /// It is given up.
    GivenUp,
    /// It only said again what lasts, and will be said again.
    Forgotten,
}

/// Why a message could not be delivered, as far as it decides what happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hurdle {
    /// Whether another attempt would fare no better.
    pub(super) is_final: bool,
    /// How long the destination wants to be left alone.
    pub(super) retry_after: Option<Duration>,
}

struct Gathering {
    due: Instant,
    /// What has last become of what lasts, with its place in the order in which all came.
    lasting: BTreeMap<Key, (u64, Incident)>,
    /// What was over as soon as it had happened, likewise.
    once: Vec<(u64, Incident)>,
}

/// What is to be told to one destination.
pub(super) struct Outbox {
    pace: Pace,
    random: fastrand::Rng,
    gathered: BTreeMap<Group, Gathering>,
    /// How many incidents that are.
    gathered_count: usize,
    /// How many came before.
    came: u64,
    /// Troubles that it was told of, or is about to be, and that last.
    standing: BTreeMap<Key, Incident>,
    waiting: VecDeque<Message>,
    is_under_way: Option<Message>,
    /// Attempts that have failed of the first that waits.
    failures: u32,
    /// When that is tried again.
    retry_at: Option<Instant>,
    /// When the rate would be kept if messages had been evenly spaced (the generic cell rate algorithm).
    spaced: Option<Instant>,
    resend_at: Option<Instant>,
    dropped: u64,
    /// Whether something may have begun or ended that never came here.
    is_amiss: bool,
}

impl Outbox {
    /// Nothing to tell so far; what lasts already is to be [reconciled](Self::reconcile).
    pub(super) fn new(pace: Pace, random: fastrand::Rng) -> Self {
        Outbox {
            pace,
            random,
            gathered: BTreeMap::new(),
            gathered_count: 0,
            came: 0,
            standing: BTreeMap::new(),
            waiting: VecDeque::new(),
            is_under_way: None,
            failures: 0,
            retry_at: None,
            spaced: None,
            resend_at: None,
            dropped: 0,
            is_amiss: true,
        }
    }

    /// Takes in what has happened.
    pub(super) fn note(&mut self, incident: Incident, now: Instant) {
        let lasts = incident.phase != Phase::Once;
        if !self.put(incident, now) {
            self.dropped += 1;
            self.is_amiss |= lasts;
        }
    }

    /// Incidents were lost on their way here: what was believed to last may be over.
    pub(super) fn lose(&mut self) {
        self.is_amiss = true;
    }

    /// Whether what it takes to last is to be [reconciled](Self::reconcile), and there is room for what comes of it.
    pub(super) fn is_amiss(&self) -> bool {
        self.is_amiss && self.gathered_count <= GATHERED / 2
    }

    /// Takes in how what it takes to last differs from the `truth`, as of `at`, since the beginning of 1970. What finds
    /// no room is left for another time.
    pub(super) fn reconcile(&mut self, truth: &BTreeMap<Key, Arc<Incident>>, at: Duration, now: Instant) {
        self.is_amiss = false;
        let begun = self.gathered.values().flat_map(|gathering| gathering.lasting.keys());
        let known: BTreeSet<&Key> = begun.chain(self.standing.keys()).collect();
        let over = known.into_iter().filter(|key| self.lasts(key) && !truth.contains_key(key));
        let over = over.map(|Key { topic, subject }| {
            let summary = format!("what was told of {subject} lasts no longer");
            Incident { topic: *topic, subject: subject.clone(), phase: Phase::Over, summary, at }
        });
        let missed = truth.iter().filter(|(key, _)| !self.lasts(key));
        let missed = missed.map(|(_, incident)| Incident::clone(incident));
        let differences: Vec<Incident> = over.chain(missed).collect();
        for incident in differences {
            if !self.put(incident, now) {
                self.is_amiss = true;
                return;
            }
        }
    }

    /// Whether, as far as is known here, this lasts.
    fn lasts(&self, key: &Key) -> bool {
        let gathered =
            self.gathered.get(&key.subject.group()).and_then(|gathering| gathering.lasting.get(key));
        match gathered {
            Some((_, incident)) => incident.phase == Phase::Begun,
            None => self.standing.contains_key(key),
        }
    }

    /// Gathers `incident`. Returns whether there is room for it.
    fn put(&mut self, incident: Incident, now: Instant) -> bool {
        let (group, key) = (incident.group(), incident.key());
        let is_once = incident.phase == Phase::Once;
        let known = self.gathered.get(&group);
        let is_another = is_once || known.is_none_or(|gathering| !gathering.lasting.contains_key(&key));
        if is_another && self.gathered_count >= GATHERED {
            return false;
        }
        let due = now + self.pace.group_wait;
        let gathering = self.gathered.entry(group).or_insert_with(|| Gathering {
            due,
            lasting: BTreeMap::new(),
            once: Vec::new(),
        });
        let numbered = (self.came, incident);
        self.came += 1;
        if is_once {
            gathering.once.push(numbered);
        } else {
            gathering.lasting.insert(key, numbered);
        }
        self.gathered_count += usize::from(is_another);
        true
    }

    /// Goes on at another `pace`, to whom nothing is told that is not `wanted`. What has kept it from being told may
    /// have changed as well.
    pub(super) fn change(&mut self, pace: Pace, wanted: impl Fn(&Incident) -> bool) {
        self.pace = pace;
        self.standing.retain(|_, incident| wanted(incident));
        self.is_amiss = true;
        (self.failures, self.retry_at) = (0, None);
    }

    /// How many messages, and incidents that are in none, were not told.
    pub(super) fn left(&self) -> u64 {
        (self.queued() + self.gathered_count) as u64
    }

    /// What is gathered is told at once.
    pub(super) fn hurry(&mut self, now: Instant) {
        for gathering in self.gathered.values_mut() {
            gathering.due = now;
        }
    }

    /// The message to be sent at `now`; it is under way until it is [`sent`](Self::sent) or has
    /// [`failed`](Self::failed). `None`: none, or one is under way.
    pub(super) fn take(&mut self, now: Instant) -> Option<Message> {
        self.gather(now);
        if self.is_under_way.is_some() || self.retry_at.is_some_and(|at| at > now) {
            return None;
        }
        let message = if self.waiting.is_empty() {
            self.reminder(now)?
        } else {
            if self.allowed_at(now) > now {
                return None;
            }
            self.spaced = Some(self.spaced.map_or(now, |spaced| spaced.max(now)) + self.space());
            let first = self.waiting.pop_front()?;
            let is_last = self.allowed_at(now) > now;
            // To those who have the first already, all of it would be news.
            let is_for_all = first.served.is_empty();
            if is_last && is_for_all { merged(first, self.waiting.drain(..), self.pace.shown) } else { first }
        };
        self.is_under_way = Some(message.clone());
        Some(message)
    }

    /// The message that was under way has arrived at `now`.
    pub(super) fn sent(&mut self, now: Instant) {
        self.is_under_way = None;
        self.failures = 0;
        self.retry_at = None;
        self.resend_at = self.pace.resend_after.map(|after| now + after);
    }

    /// Of the message that is under way nothing more is to be tried for these recipients.
    pub(super) fn serve(&mut self, served: Vec<Served>) {
        if let Some(message) = &mut self.is_under_way {
            message.served.extend(served);
        }
    }

    /// The message that was under way has not arrived, or not at all of those who are to get it.
    pub(super) fn failed(&mut self, hurdle: Hurdle, now: Instant) -> Fate {
        let Some(message) = self.is_under_way.take() else { return Fate::Forgotten };
        if message.is_reminder {
            self.resend_at = self.pace.resend_after.map(|after| now + after);
            return Fate::Forgotten;
        }
        let end = message.made + self.pace.give_up_after;
        if hurdle.is_final || now >= end {
            self.failures = 0;
            self.retry_at = None;
            // It may be back when it is to hear again of what lasts.
            self.resend_at = self.pace.resend_after.map(|after| now + after);
            return Fate::GivenUp;
        }
        let doubled = FIRST_RETRY * 2_u32.pow(self.failures.min(10));
        // From half of it to all of it, so that many daemons do not come back in step.
        let wait = doubled.min(LONGEST_RETRY).mul_f64(0.5 + self.random.f64() / 2.0);
        self.failures += 1;
        // What it asks for may be more than a clock can hold.
        let asked = hurdle.retry_after.unwrap_or_default().min(self.pace.give_up_after);
        // The last attempt is at the end.
        self.retry_at = Some((now + wait.max(asked)).min(end));
        self.waiting.push_front(message);
        Fate::Retried
    }

    /// When [`take`](Self::take) may have something that it has not now.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        let gathered = self.gathered.values().map(|gathering| gathering.due).min();
        let next = match (&self.is_under_way, self.waiting.is_empty()) {
            (Some(_), _) => None,
            (None, false) => Some(self.allowed_at(now).max(self.retry_at.unwrap_or(now))),
            (None, true) => self.resend_at.filter(|_| !self.standing.is_empty()),
        };
        gathered.into_iter().chain(next).min()
    }

    /// How many messages wait or are under way, and whether something is gathered for another.
    pub(super) fn queued(&self) -> usize {
        self.waiting.len() + usize::from(self.is_under_way.as_ref().is_some_and(|it| !it.is_reminder))
    }

    /// Whether there is nothing to be told but what was told.
    pub(super) fn is_done(&self) -> bool {
        self.gathered.is_empty() && self.waiting.is_empty() && self.is_under_way.is_none()
    }

    /// Whether an attempt has failed, and the next is waited for.
    pub(super) fn is_retrying(&self) -> bool {
        self.retry_at.is_some()
    }

    /// How many troubles it was told of that last.
    pub(super) fn standing(&self) -> usize {
        self.standing.len()
    }

    /// How many messages and incidents were dropped since this was asked for the last time.
    pub(super) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    /// Makes messages of what was gathered for long enough.
    fn gather(&mut self, now: Instant) {
        while let Some(group) =
            self.gathered.iter().find(|(_, gathering)| gathering.due <= now).map(|(group, _)| group.clone())
        {
            let Some(Gathering { lasting, once, .. }) = self.gathered.remove(&group) else { return };
            let mut incidents: Vec<(u64, Incident)> = lasting.into_values().chain(once).collect();
            self.gathered_count -= incidents.len();
            incidents.sort_unstable_by_key(|(number, _)| *number);
            let changes: Vec<Change> =
                incidents.into_iter().filter_map(|(_, incident)| self.news(incident)).collect();
            if !changes.is_empty() {
                self.enqueue(cut(changes, 0, now, self.pace.shown));
            }
        }
    }

    /// What of it is new to the destination.
    fn news(&mut self, incident: Incident) -> Option<Change> {
        let began = match incident.phase {
            Phase::Once => None,
            Phase::Begun => {
                if self.standing.contains_key(&incident.key()) {
                    return None;
                }
                self.standing.insert(incident.key(), incident.clone());
                None
            }
            Phase::Over => Some(self.standing.remove(&incident.key())?.at),
        };
        Some(Change { incident, began })
    }

    fn enqueue(&mut self, message: Message) {
        self.waiting.push_back(message);
        if self.waiting.len() <= WAITING {
            return;
        }
        // The oldest of the least important; the first of equals is the minimum.
        let least = (0..self.waiting.len()).min_by_key(|at| self.waiting[*at].severity());
        if let Some(least) = least {
            self.waiting.remove(least);
            self.dropped += 1;
            if least == 0 {
                (self.failures, self.retry_at) = (0, None);
            }
        }
    }

    /// What lasts, if it is time to say so again.
    fn reminder(&self, now: Instant) -> Option<Message> {
        if self.standing.is_empty() || self.resend_at.is_none_or(|at| at > now) {
            return None;
        }
        let changes: Vec<Change> =
            self.standing.values().map(|it| Change { incident: it.clone(), began: None }).collect();
        Some(Message { changes, more: 0, is_reminder: true, served: Vec::new(), made: now })
    }

    fn space(&self) -> Duration {
        self.pace.rate.per / self.pace.rate.messages.max(1)
    }

    /// When the rate lets the next message through.
    fn allowed_at(&self, now: Instant) -> Instant {
        let burst = self.pace.rate.per.saturating_sub(self.space());
        match self.spaced {
            Some(spaced) if spaced > now + burst => spaced - burst,
            _ => now,
        }
    }
}

impl Message {
    /// A message of one change that nothing has led to.
    pub(super) fn of(incident: Incident, now: Instant) -> Self {
        let changes = vec![Change { incident, began: None }];
        Message { changes, more: 0, is_reminder: false, served: Vec::new(), made: now }
    }

    /// That of the worst that it tells of.
    pub(super) fn severity(&self) -> Severity {
        self.changes.iter().map(|change| change.incident.severity()).max().unwrap_or(Severity::Info)
    }
}

/// All of them in one, which is as old as the first.
fn merged(first: Message, others: impl Iterator<Item = Message>, shown: usize) -> Message {
    let Message { mut changes, mut more, made, is_reminder, served } = first;
    for other in others {
        changes.extend(other.changes);
        more += other.more;
    }
    Message { is_reminder, served, ..cut(changes, more, made, shown) }
}

/// As many as are `shown`, the worst of them, in the order in which they came.
fn cut(mut changes: Vec<Change>, more: usize, made: Instant, shown: usize) -> Message {
    let more = more + changes.len().saturating_sub(shown);
    while changes.len() > shown {
        // The last of the least important goes.
        let least = changes.iter().map(|change| change.incident.severity()).min();
        let Some(at) = changes.iter().rposition(|change| Some(change.incident.severity()) == least) else {
            break;
        };
        changes.remove(at);
    }
    Message { changes, more, is_reminder: false, served: Vec::new(), made }
}

#[cfg(test)]
mod tests;
