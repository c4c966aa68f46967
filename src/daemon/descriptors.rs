//! File descriptors: as many as the system grants, and a warning if these are too few.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::config::Settings;
use crate::probe::Prober;

/// A target holds a connection as its tripwire, and another while it is probed.
const PER_TARGET: u64 = 2;

/// What everything else takes: DNS sockets of each worker, the admin API and its clients, files.
const RESERVE: u64 = 512;

/// Raises the limit of this process to what it may have. Where that fails, the limit stays.
///
/// The usual 1,024 are for programs that wait with `select()`, which knows no more; this one does not.
pub(super) fn raise_limit() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
    {
        tracing::warn!("the limit of open files stays {soft}: {error}");
    }
}

/// Warns if there may be too few descriptors for what `prober` watches.
pub(super) fn check(prober: &Prober, settings: &Settings) {
    let targets = prober.watched();
    let needed = needed(targets, settings.server.tcp.max_connections);
    match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((limit, _)) if limit < needed => tracing::warn!(
            targets,
            "probing may run out of file descriptors: {needed} are needed, the limit is {limit}; raise it (LimitNOFILE= in systemd, ulimit -n)"
        ),
        _ => {}
    }
}

fn needed(targets: usize, tcp_clients: usize) -> u64 {
    // Both are far below what overflows: usize is at most 64 bits wide.
    (targets as u64).saturating_mul(PER_TARGET).saturating_add(tcp_clients as u64).saturating_add(RESERVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_per_target_are_needed_and_some_more() {
        assert_eq!(needed(0, 1000), 1512);
        assert_eq!(needed(10_000, 1000), 21_512);
    }
}
