//! The tokens that are good now, and who has shown others.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Semaphore;

use super::clock;
use super::throttle::{Throttle, network};
use crate::config::{TokenHolder, Tokens};

/// Requests that may be under way at once: each takes some milliseconds, most of them waiting for
/// the control loop, which serves one after the other. Streams count until they have begun.
const REQUESTS: usize = 64;

/// Who may use the admin API.
pub struct Access {
    /// `None`: whoever reaches it.
    tokens: Option<ArcSwap<Tokens>>,
    /// By where they came from.
    wrong: Mutex<Throttle<IpAddr>>,
    /// By who wanted what they may not.
    refused: Mutex<Throttle<String>>,
    /// What is left of the requests that may be under way.
    pub(super) requests: Arc<Semaphore>,
}

impl Access {
    /// For whoever has one of `tokens`; `None`: for whoever reaches it.
    pub fn new(tokens: Option<Tokens>) -> Self {
        Access {
            tokens: tokens.map(ArcSwap::from_pointee),
            wrong: Mutex::default(),
            refused: Mutex::default(),
            requests: Arc::new(Semaphore::new(REQUESTS)),
        }
    }

    /// Has `tokens` take the place of those before, if there were any.
    pub fn replace(&self, tokens: Tokens) {
        if let Some(current) = &self.tokens {
            current.store(tokens.into());
        }
    }

    /// Whether it takes a token.
    pub(super) fn takes_token(&self) -> bool {
        self.tokens.is_some()
    }

    /// Who has `token`.
    pub(super) fn holder(&self, token: &[u8]) -> Option<TokenHolder> {
        self.tokens.as_ref()?.load().holder(token).cloned()
    }

    /// Notes a wrong token. Returns, if too many came from `source`, how long it should wait.
    pub(super) fn note_wrong(&self, source: IpAddr) -> Option<Duration> {
        // Nothing panics while it is locked.
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        wrong.note(network(source), clock::instant())
    }

    /// Notes that the principal called `name` wanted what they may not. Returns whether that came so often
    /// of late that it is nothing new.
    pub(super) fn note_refused(&self, name: &str) -> bool {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.note(name.to_owned(), clock::instant()).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_news_a_few_times_for_each_name() {
        let access = Access::new(None);
        let news = |name: &str| (0..100).filter(|_| !access.note_refused(name)).count();
        // One more comes every few seconds, should the machine stand still that long.
        assert!((10..20).contains(&news("view")));
        assert!((10..20).contains(&news("other")));
    }
}
