//! `[notification.NAME]`: who is told what happens, and how. What a type has of its own stands in `kind`.

use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use super::diagnostics::Diagnostic;
use super::health_check::roots;
use super::reader::{Value, Words, duration, integer, list, string};
use super::report::Report;
use super::settings::path;
use super::source::Located;
use super::tokens::{PoolPatterns, is_like};
use super::unique::Unique;
use crate::plan::Certificates;

mod credentials;
mod kind;
mod topic;

pub use credentials::{Credentials, Secret, UnfitSecret, UnreadSecret};
pub use kind::{EmailSettings, Login, MailTls, NotificationKind, UrlSource};
pub use topic::{Severity, Topic};

use kind::{KINDS, KindSpec, keys_of_all};

/// Long enough for all addresses of a site to be called down, short enough that nobody waits for it.
const DEFAULT_GROUP_WAIT: Duration = Duration::from_secs(2);
/// Nobody wants to hear of an outage an hour later.
const GROUP_WAITS: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(3600);
/// What the strictest of them takes (DingTalk: 20 messages a minute), and more than anybody reads.
const DEFAULT_MESSAGES: u32 = 20;
const DEFAULT_PER: Duration = Duration::from_secs(60);
const PERS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(86_400);
/// A mail server that greets late (RFC 5321 asks for minutes) is worth less than the next try.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
const TIMEOUTS: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(300);
/// As long as a message is still news.
const DEFAULT_GIVE_UP: Duration = Duration::from_secs(3600);
const GIVE_UPS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(7 * 86_400);

const TOPICS: Words<Topic> = Words { what: "event", known: Topic::WORDS, planned: &[] };

/// A destination of notifications.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// Its name.
    pub name: String,
    /// Where messages go, and in which form.
    pub kind: NotificationKind,
    /// What it is told of. Never empty, no repeats.
    pub topics: Vec<Topic>,
    /// The pools of which it is told; `None`: all.
    pub pools: Option<PoolPatterns>,
    /// The domains of which it is told; `None`: all.
    pub domains: Option<DomainPatterns>,
    /// For how long what happens is gathered before it is told.
    pub group_wait: Duration,
    /// How many messages it is sent.
    pub rate_limit: MessageRate,
    /// How long one attempt to deliver may take.
    pub timeout: Duration,
    /// How long a message that cannot be delivered is tried again.
    pub give_up_after: Duration,
    /// Whose certificates are good; `None`: those that lead to a root certificate of the host.
    pub roots: Option<Certificates>,
}

/// How many messages a destination is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageRate {
    /// So many at most, at least 1,
    pub messages: u32,
    /// in so long.
    pub per: Duration,
}

/// Domains as patterns of their names: `*` stands for any characters, `?` for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainPatterns(Vec<String>);

impl DomainPatterns {
    /// Whether `domain` is one of them, in lowercase and without the last dot.
    pub fn have(&self, domain: &str) -> bool {
        self.0.iter().any(|pattern| is_like(pattern.as_bytes(), domain.as_bytes()))
    }
}

impl Notification {
    /// Whether it is told of `topic`.
    pub fn is_told_of(&self, topic: Topic) -> bool {
        self.topics.contains(&topic)
    }

    /// Reads the secrets of `notifications` for their mistakes. What this process may not read is passed over.
    pub(super) fn mistakes_of_files(notifications: &[Notification]) -> Vec<Diagnostic> {
        let unread = notifications.iter().filter_map(|it| it.read_credentials().err()).flatten();
        let is_denied = |reason: &UnfitSecret| matches!(reason, UnfitSecret::Unreadable(error) if error.kind() == std::io::ErrorKind::PermissionDenied);
        unread
            .filter(|UnreadSecret { reason, .. }| !is_denied(reason))
            .map(|UnreadSecret { path, reason }| Diagnostic {
                file: path.display().to_string(),
                position: None,
                message: reason.to_string(),
                hint: None,
                excerpt: None,
            })
            .collect()
    }
}

/// A destination as written.
pub(super) struct NotificationSpec {
    kind: Option<KindSpec>,
    events: Option<Located<Vec<Located<Topic>>>>,
    pools: Option<Located<Vec<Located<String>>>>,
    domains: Option<Located<Vec<Located<String>>>>,
    group_wait: Option<Located<Duration>>,
    rate_limit: Option<Located<RateSpec>>,
    timeout: Option<Located<Duration>>,
    give_up_after: Option<Located<Duration>>,
    ca_file: Option<Located<String>>,
}

struct RateSpec {
    messages: Option<Located<u32>>,
    per: Option<Located<Duration>>,
}

impl NotificationSpec {
    /// Takes the table apart.
    pub(super) fn read(value: Value<'_>) -> Option<Self> {
        let mut table = value.table()?;
        let kind = table.required("type", |value| KINDS.read(value));
        let kind = kind.map(|kind| KindSpec::read(kind.value, &mut table));
        if kind.is_none() {
            // Which of them apply is up to the type.
            table.pass_over(&keys_of_all());
        }
        let spec = NotificationSpec {
            kind,
            events: table.optional("events", list(|value| TOPICS.read(value))),
            pools: table.optional("pools", list(pool_pattern)),
            domains: table.optional("domains", list(domain_pattern)),
            group_wait: table.optional("group_wait", duration(GROUP_WAITS)),
            rate_limit: table.optional("rate_limit", RateSpec::read),
            timeout: table.optional("timeout", duration(TIMEOUTS)),
            give_up_after: table.optional("give_up_after", duration(GIVE_UPS)),
            ca_file: table.optional("ca_file", path),
        };
        table.finish();
        Some(spec)
    }

    /// Fills in the defaults and reads the certificates, relative paths being taken from `base_dir`; `None`: there is a
    /// mistake, and it has been noted.
    pub(super) fn convert(self, name: String, base_dir: &Path, report: &Report) -> Option<Notification> {
        let NotificationSpec {
            kind,
            events,
            pools,
            domains,
            group_wait,
            rate_limit,
            timeout,
            give_up_after,
            ca_file,
        } = self;
        let roots = match ca_file {
            Some(file) => Some(roots(&file, base_dir, report)?),
            None => None,
        };
        let topics = match events {
            Some(events) => {
                let mut unique = Unique::new("event");
                for event in &events.value {
                    unique.note(&event.value.word().to_owned(), event.place, report);
                }
                events.value.into_iter().map(|event| event.value).collect()
            }
            None => Topic::DEFAULT.to_vec(),
        };
        let kind = kind?.convert(base_dir, report)?;
        let unlocated = |list: Located<Vec<Located<String>>>| {
            list.value.into_iter().map(|it| it.value).collect::<Vec<_>>()
        };
        Some(Notification {
            name,
            kind,
            topics,
            pools: pools.map(unlocated).and_then(|patterns| PoolPatterns::parse(&patterns.join(",")).ok()),
            domains: domains.map(unlocated).map(DomainPatterns),
            group_wait: group_wait.map_or(DEFAULT_GROUP_WAIT, |wait| wait.value),
            rate_limit: rate_limit
                .map_or(RateSpec { messages: None, per: None }, |rate| rate.value)
                .convert(),
            timeout: timeout.map_or(DEFAULT_TIMEOUT, |timeout| timeout.value),
            give_up_after: give_up_after.map_or(DEFAULT_GIVE_UP, |after| after.value),
            roots,
        })
    }
}

impl RateSpec {
    fn read(value: Value<'_>) -> Option<Self> {
        let mut table = value.table()?;
        let spec = RateSpec {
            messages: table.optional("messages", integer(1..=100_000)),
            per: table.optional("per", duration(PERS)),
        };
        table.finish();
        Some(spec)
    }

    fn convert(self) -> MessageRate {
        MessageRate {
            messages: self.messages.map_or(DEFAULT_MESSAGES, |messages| messages.value),
            per: self.per.map_or(DEFAULT_PER, |per| per.value),
        }
    }
}

/// A pattern of the names of pools.
fn pool_pattern(value: Value<'_>) -> Option<String> {
    let text = string(value)?;
    let fault = match PoolPatterns::parse(&text) {
        _ if text.is_empty() => "a pattern is not empty",
        Ok(_) if text.contains(',') => "a pattern of pools has no comma: write a list of several",
        Ok(_) => return Some(text),
        Err(fault) => fault,
    };
    value.refuse(fault, None)
}

/// A pattern of the names of domains, in lowercase and without the last dot.
fn domain_pattern(value: Value<'_>) -> Option<String> {
    let text = string(value)?;
    let is_plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-_.*?".contains(&octet);
    if text.is_empty() || !text.bytes().all(is_plain) {
        return value.refuse("a pattern of domains has letters, digits, `-`, `_`, `.`, `*` and `?`", None);
    }
    Some(text.trim_end_matches('.').to_ascii_lowercase())
}
