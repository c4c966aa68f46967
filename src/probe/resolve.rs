//! Names to addresses, by the system.

use std::io;
use std::net::SocketAddr;

use tokio::task::JoinHandle;

use super::budget::Budget;
use crate::dns::Name;
use crate::health::{Failure, LocalFailure, Phase};

/// As many as one reply of ours may carry; a name with more is asked at the first ones.
const MAX_ADDRESSES: usize = 8;

/// Lookups of one target's name with the system's resolver.
///
/// Such a lookup occupies a thread and cannot be called off. One that outlives its probe is
/// therefore kept and its result taken by a later probe, so that a resolver which does not answer
/// costs one thread per name and not one per probe.
#[derive(Default)]
pub(super) struct Lookup {
    running: Option<JoinHandle<io::Result<Vec<SocketAddr>>>>,
}

impl Lookup {
    /// The addresses of `name`, at least one and at most [`MAX_ADDRESSES`].
    ///
    /// The name is given to the resolver without a final dot, because it does not find a name with
    /// one in /etc/hosts.
    pub(super) async fn addresses(
        &mut self,
        name: &Name,
        port: u16,
        budget: &mut Budget,
    ) -> Result<Vec<SocketAddr>, Failure> {
        let running = self.running.get_or_insert_with(|| {
            let host = name.to_string();
            tokio::spawn(async move {
                Ok(tokio::net::lookup_host((host, port)).await?.take(MAX_ADDRESSES).collect())
            })
        });
        let found = budget.spend(Phase::Resolve, running).await;
        if !matches!(found, Err(Failure::TimedOut { .. })) {
            self.running = None;
        }
        judge(found?)
    }
}

fn judge(found: io::Result<Vec<SocketAddr>>) -> Result<Vec<SocketAddr>, Failure> {
    match found {
        Ok(addresses) if !addresses.is_empty() => Ok(addresses),
        // Errors of the resolver have no number; those of the system beneath it do.
        Err(error) if error.raw_os_error().is_some() => {
            Err(Failure::Local(LocalFailure::System(error.to_string())))
        }
        Ok(_) | Err(_) => Err(Failure::Unresolved),
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a budget starts now")]
mod tests {
    use std::time::{Duration, Instant};

    use tokio::sync::oneshot;

    use super::*;

    #[test]
    fn a_name_without_addresses_is_told_from_a_broken_system() {
        let broken = io::Error::from_raw_os_error(libc::EMFILE);
        let words = broken.to_string();
        for (found, expected) in [
            (Ok(vec![]), Failure::Unresolved),
            (Err(io::Error::other("Name or service not known")), Failure::Unresolved),
            (Err(broken), Failure::Local(LocalFailure::System(words))),
        ] {
            assert_eq!(judge(found), Err(expected));
        }
    }

    #[tokio::test]
    async fn a_lookup_that_outlives_its_probe_serves_a_later_one() {
        let (answer, answered) = oneshot::channel();
        let running = tokio::spawn(async { Ok(answered.await.expect("is answered below")) });
        let mut lookup = Lookup { running: Some(running) };
        let name = "slow.invalid".parse().expect("a name");
        let budget = |millis| Budget::new(Instant::now(), Duration::from_millis(millis));

        let first = lookup.addresses(&name, 80, &mut budget(10)).await;
        let after = Duration::from_millis(10);
        assert_eq!(first, Err(Failure::TimedOut { phase: Phase::Resolve, after }));

        let addresses: Vec<SocketAddr> = vec!["192.0.2.1:80".parse().expect("an address")];
        answer.send(addresses.clone()).expect("the lookup still runs");
        assert_eq!(lookup.addresses(&name, 80, &mut budget(60_000)).await, Ok(addresses));
        assert!(lookup.running.is_none());
    }
}
