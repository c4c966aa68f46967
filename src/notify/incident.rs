//! What there is to be told.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use crate::config::{Severity, Topic};

/// Something that has happened, as an operator is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// What it is about.
    pub topic: Topic,
    /// What has happened to whom.
    pub subject: Subject,
    /// Whether it lasts.
    pub phase: Phase,
    /// What it is, in an operator's words: a sentence without its dot.
    pub summary: String,
    /// When, since the beginning of 1970.
    pub at: Duration,
}

/// Whether something lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// It does, from now on.
    Begun,
    /// It does no longer.
    Over,
    /// It is over as soon as it has happened.
    Once,
}

/// What something has happened to; nothing at all: the daemon.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
pub struct Subject {
    /// A pool.
    pub pool: Option<String>,
    /// An address of it.
    pub address: Option<String>,
    /// A steered name, in lowercase and without the last dot.
    pub domain: Option<String>,
    /// A name that is resolved for pools.
    pub name: Option<String>,
}

/// What tells one trouble from another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    /// What it is about.
    pub(super) topic: Topic,
    /// Whom it concerns.
    pub(super) subject: Subject,
}

/// What is told together: a site that dies is one message.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Group {
    /// A pool and its addresses.
    Pool(String),
    /// All domains.
    Domains,
    /// Everything else.
    Daemon,
}

impl Subject {
    /// A pool, or an address of it.
    pub fn pool(pool: impl Into<String>, address: Option<&str>) -> Self {
        Subject { pool: Some(pool.into()), address: address.map(str::to_owned), ..Subject::default() }
    }

    /// A domain.
    pub fn domain(domain: impl Into<String>) -> Self {
        Subject { domain: Some(domain.into()), ..Subject::default() }
    }

    /// A name that is resolved.
    pub fn name(name: impl Into<String>) -> Self {
        Subject { name: Some(name.into()), ..Subject::default() }
    }

    pub(super) fn group(&self) -> Group {
        match self {
            Subject { pool: Some(pool), .. } => Group::Pool(pool.clone()),
            Subject { domain: Some(_), .. } => Group::Domains,
            _ => Group::Daemon,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject { pool: Some(pool), address: Some(address), .. } => write!(f, "address {pool}/{address}"),
            Subject { pool: Some(pool), .. } => write!(f, "pool {pool}"),
            Subject { domain: Some(domain), .. } => write!(f, "domain {domain}"),
            Subject { name: Some(name), .. } => write!(f, "name {name}"),
            _ => f.write_str("the daemon"),
        }
    }
}

impl Incident {
    /// How bad it is.
    pub fn severity(&self) -> Severity {
        self.topic.severity()
    }

    pub(super) fn key(&self) -> Key {
        Key { topic: self.topic, subject: self.subject.clone() }
    }

    pub(super) fn group(&self) -> Group {
        self.subject.group()
    }
}
