//! What happens, as it is told to people and programs elsewhere.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use crate::admin::ReloadReport;
use crate::config::Topic;
use crate::control::{Notice, PoolStatus};
use crate::health::{Belief, Stage, TargetId, Verdict};
use crate::notify::{Incident, Phase, Subject};
use crate::plan::Watch;

/// What `notice` means to those who are told, at `at` since the beginning of 1970.
pub(super) fn noticed(notice: &Notice, at: Duration) -> Vec<Incident> {
    let incident =
        |topic, subject: Subject, phase, summary: String| Incident { topic, subject, phase, summary, at };
    match notice {
        Notice::Turned { watch, transition } => {
            // Places of conditions belong to no pool; what depends on them is told.
            let Some(pool) = &watch.pool else { return Vec::new() };
            let subject = Subject::pool(&**pool, Some(&watch.address));
            let endpoint = &watch.endpoint;
            match transition.to {
                Verdict::Down => {
                    let summary = format!("{subject} ({endpoint}) is down: {transition}");
                    vec![incident(Topic::Address, subject, Phase::Begun, summary)]
                }
                Verdict::Up => {
                    let summary = format!("{subject} ({endpoint}) is up");
                    let checked = Subject::pool(&**pool, None);
                    let trusted = format!("the check of {checked} is passed");
                    vec![
                        incident(Topic::Address, subject, Phase::Over, summary),
                        incident(Topic::Check, checked, Phase::Over, trusted),
                    ]
                }
                Verdict::Unknown => Vec::new(),
            }
        }
        Notice::Moved { pool, stage, standing: _, reason } => {
            let subject = || Subject::pool(&**pool, None);
            let released = || {
                let summary = format!("pool {pool} waits for its release no longer");
                incident(Topic::Release, subject(), Phase::Over, summary)
            };
            match stage {
                Stage::Out => {
                    let summary = format!("pool {pool} is out of service: {reason}");
                    vec![incident(Topic::Pool, subject(), Phase::Begun, summary), released()]
                }
                Stage::AwaitsRelease => {
                    let summary = format!("pool {pool} awaits its release: {reason}");
                    vec![incident(Topic::Release, subject(), Phase::Begun, summary)]
                }
                Stage::Held { .. } => vec![released()],
                Stage::InService | Stage::Returning { .. } => {
                    let summary = format!("pool {pool} is back in service");
                    vec![incident(Topic::Pool, subject(), Phase::Over, summary), released()]
                }
            }
        }
        Notice::Damped { watch, hold } => {
            let Some(pool) = &watch.pool else { return Vec::new() };
            let subject = Subject::pool(&**pool, Some(&watch.address));
            let summary = format!("{subject} has flipped {} times, and is held down", hold.flips);
            vec![incident(Topic::Damping, subject, Phase::Begun, summary)]
        }
        Notice::Undamped { watch } => {
            let Some(pool) = &watch.pool else { return Vec::new() };
            let subject = Subject::pool(&**pool, Some(&watch.address));
            let summary = format!("{subject} has kept still, and is held down no longer");
            vec![incident(Topic::Damping, subject, Phase::Over, summary)]
        }
        Notice::Suspected { pool, reason } => {
            let summary = format!("is the check of pool {pool} right? {reason}");
            vec![incident(Topic::Check, Subject::pool(&**pool, None), Phase::Begun, summary)]
        }
        Notice::Isolated { silent, of } => {
            let summary = format!(
                "this host seems to be cut off: {silent} of {of} sites are silent, and nobody is called down for it"
            );
            vec![incident(Topic::Isolation, Subject::default(), Phase::Begun, summary)]
        }
        Notice::Reconnected { .. } => {
            let summary = "this host is cut off no longer".to_owned();
            vec![incident(Topic::Isolation, Subject::default(), Phase::Over, summary)]
        }
        Notice::OrderEnded { pool, address, state, follows } => {
            let subject = Subject::pool(&**pool, address.as_deref());
            let summary = format!("{subject} is {follows} again, no longer {state}: the order has expired");
            vec![incident(Topic::Order, subject, Phase::Once, summary)]
        }
        Notice::Drained { pool, address } => {
            let subject = Subject::pool(&**pool, address.as_deref());
            let summary = format!("{subject} is drained: no answer that named it is still in use");
            vec![incident(Topic::Order, subject, Phase::Once, summary)]
        }
        Notice::Resolved { name, .. } => {
            let summary = format!("name {name} resolves");
            vec![incident(Topic::Name, Subject::name(name.to_string()), Phase::Over, summary)]
        }
        Notice::Unresolved { name, reason, kept } => {
            let known = if kept.is_empty() { "nothing is known of it" } else { "what is known of it stays" };
            let summary = format!("name {name} cannot be resolved, and {known}: {reason}");
            vec![incident(Topic::Name, Subject::name(name.to_string()), Phase::Begun, summary)]
        }
        Notice::Back { .. }
        | Notice::Settled
        | Notice::Rewatch { .. }
        | Notice::Rewatched { .. }
        | Notice::Published { .. } => Vec::new(),
    }
}

/// What of the troubles that last, `standing`, is over as `started` are watched in another way than before, or only now,
/// and are believed to be up or not held down already: what does not change is noticed by nobody.
pub(super) fn rewatched(
    started: &[(TargetId, Arc<Watch>, Belief)],
    is_held_down: impl Fn(TargetId) -> bool,
    standing: &[Arc<Incident>],
    at: Duration,
) -> Vec<Incident> {
    let with_trouble: HashSet<&str> = standing.iter().filter_map(|it| it.subject.pool.as_deref()).collect();
    let mut told = Vec::new();
    for (target, watch, belief) in started {
        let Some(pool) = watch.pool.as_deref().filter(|pool| with_trouble.contains(pool)) else { continue };
        let address = || Subject::pool(pool, Some(&watch.address));
        let mut over = |topic, subject: Subject, summary| {
            told.push(Incident { topic, subject, phase: Phase::Over, summary, at });
        };
        if belief.verdict == Verdict::Up {
            let (address, checked) = (address(), Subject::pool(pool, None));
            let summary = format!("{address} ({}) is up, as it is watched now", watch.endpoint);
            over(Topic::Address, address, summary);
            over(Topic::Check, checked, format!("the check of pool {pool} is another one"));
        }
        if !is_held_down(*target) {
            let address = address();
            let summary = format!("{address} is watched in another way, and is held down no longer");
            over(Topic::Damping, address, summary);
        }
    }
    told
}

/// What of `pools` lasts already when a daemon starts, as another has believed.
pub(super) fn standing(pools: &[PoolStatus], at: Duration) -> Vec<Incident> {
    let mut told = Vec::new();
    let mut begun = |topic, subject: Subject, summary: String, since: Option<f64>| {
        let since = since.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or_default();
        let at = at.saturating_sub(since);
        told.push(Incident { topic, subject, phase: Phase::Begun, summary, at });
    };
    for pool in pools {
        let (name, reason) = (&pool.name, &pool.reason);
        let subject = || Subject::pool(&**name, None);
        if !matches!(&pool.standing[..], "in-service" | "returning") {
            begun(Topic::Pool, subject(), format!("pool {name} is out of service: {reason}"), None);
        }
        if pool.standing == "awaits-release" {
            begun(Topic::Release, subject(), format!("pool {name} awaits its release: {reason}"), None);
        }
        for address in &pool.addresses {
            let subject = || Subject::pool(&**name, Some(&address.name));
            let (target, since) = (&address.target, address.since_seconds);
            if address.health == "down" {
                let failure = address.last_failure.as_deref().unwrap_or("as it was before");
                let summary = format!("{} ({target}) is down: {failure}", subject());
                begun(Topic::Address, subject(), summary, since);
            }
            if let Some(damped) = &address.damped {
                let summary = format!("{} has flipped {} times, and is held down", subject(), damped.flips);
                begun(Topic::Damping, subject(), summary, None);
            }
        }
    }
    told
}

/// What is told of a reload.
pub(super) fn reloaded(outcome: &Result<ReloadReport, String>, at: Duration) -> Vec<Incident> {
    let incident =
        |topic, phase, summary: String| Incident { topic, subject: Subject::default(), phase, summary, at };
    match outcome {
        Ok(report) => {
            let accepted = incident(Topic::Reload, Phase::Over, "the configuration is accepted".to_owned());
            vec![accepted, orphaned(&report.orphaned, at)]
        }
        Err(mistakes) => {
            // The rest has parts of the file in it, which may be meant for fewer eyes.
            let first = mistakes.lines().next().unwrap_or_default();
            vec![incident(Topic::Reload, Phase::Begun, format!("the configuration was refused: {first}"))]
        }
    }
}

/// What is told of edits that are not in force.
pub(super) fn orphaned(edits: &[u64], at: Duration) -> Incident {
    let numbers = edits.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let (phase, summary) = match edits {
        [] => (Phase::Over, "every edit is in force".to_owned()),
        _ => (Phase::Begun, format!("edits are not in force, as what they are about is gone: {numbers}")),
    };
    Incident { topic: Topic::Edits, subject: Subject::default(), phase, summary, at }
}

/// That the daemon has started, or stops.
pub(super) fn daemon(summary: &str, at: Duration) -> Incident {
    let (subject, summary) = (Subject::default(), summary.to_owned());
    Incident { topic: Topic::Daemon, subject, phase: Phase::Once, summary, at }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::super::control_loop;
    use super::*;
    use crate::config;
    use crate::control::Controller;
    use crate::geo::GeoTable;

    #[test]
    fn what_is_watched_anew_and_is_up_has_no_trouble_any_more() {
        let text = r#"
            geoip.databases = []
            health_check.web = { type = "icmp" }
            [pool]
            vn = { health_check = "web", address = [{ name = "a", ip = "192.0.2.1" }] }
            hk = { health_check = "web", address = [{ name = "a", ip = "192.0.2.2" }] }
        "#;
        let loaded = config::parse("test.toml", text, Path::new(""));
        let plan = Arc::new(loaded.unwrap_or_else(|mistakes| panic!("{mistakes}")).plan);
        let controller = Controller::new(plan, Arc::new(GeoTable::empty()), control_loop::now());
        let standing = ["vn", "sg"].map(|pool| {
            let (topic, subject) = (Topic::Address, Subject::pool(pool, Some("a")));
            let (phase, summary, at) = (Phase::Begun, String::new(), Duration::ZERO);
            Arc::new(Incident { topic, subject, phase, summary, at })
        });
        let told = |verdict: Verdict, is_held_down: bool| {
            let started: Vec<_> =
                controller.watches().map(|(id, watch, _)| (id, watch, verdict.into())).collect();
            assert_eq!(started.len(), 2);
            let over = rewatched(&started, |_| is_held_down, &standing, Duration::ZERO);
            assert!(over.iter().all(|incident| incident.phase == Phase::Over));
            let over = over.into_iter().map(|incident| (incident.topic, incident.subject.to_string()));
            over.collect::<Vec<_>>()
        };
        let (address, pool) = ("address vn/a".to_owned(), "pool vn".to_owned());
        let up = [(Topic::Address, address.clone()), (Topic::Check, pool)];
        assert_eq!(told(Verdict::Up, true), up);
        assert_eq!(told(Verdict::Unknown, false), [(Topic::Damping, address)]);
        assert_eq!(told(Verdict::Down, true), []);
    }

    #[test]
    fn what_lasts_at_a_start_is_what_another_has_believed() {
        let address = |name: &str, health: &str| {
            json!({
                "name": name, "target": "192.0.2.1", "weight": 1, "health": health, "available": true, "share": 1.0,
                "state": "auto", "streak": 2, "since_seconds": 60.0, "last_failure": "connection refused",
            })
        };
        let pool = |name: &str, standing: &str, addresses: Vec<serde_json::Value>| {
            json!({
                "name": name, "policy": "priority", "standing": standing, "reason": "so it is", "share": 0.0,
                "available": 0, "addresses": addresses, "names": [],
            })
        };
        let pools = json!([
            pool("vn", "down", vec![address("a", "down")]),
            pool("hk", "in-service", vec![address("a", "up"), address("b", "unknown")]),
            pool("sg", "awaits-release", vec![address("a", "up")]),
        ]);
        let pools: Vec<PoolStatus> = serde_json::from_value(pools).expect("it is what is believed of pools");
        let told: Vec<(Topic, String, u64)> = standing(&pools, Duration::from_secs(1000))
            .into_iter()
            .map(|incident| (incident.topic, incident.subject.to_string(), incident.at.as_secs()))
            .collect();
        let expected = [
            (Topic::Pool, "pool vn", 1000),
            (Topic::Address, "address vn/a", 940),
            (Topic::Pool, "pool sg", 1000),
            (Topic::Release, "pool sg", 1000),
        ];
        assert_eq!(told, expected.map(|(topic, subject, at)| (topic, subject.to_owned(), at)));
    }
}
