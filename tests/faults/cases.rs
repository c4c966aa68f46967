//! The faults.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::Thoroughness;
use crate::rounds::{Fault, await_calm, measure};
use crate::support::now;
use crate::table::Row;
use crate::world::{CHECK, Plan, World};

/// One fault and how it is measured.
pub(crate) struct Case {
    /// Of the test.
    pub(crate) name: &'static str,
    /// In the table.
    pub(crate) fault: &'static str,
    pub(crate) run: fn(&'static str, &Thoroughness) -> Vec<Row>,
}

/// In the order of the table.
pub(crate) const ALL: &[Case] = &[
    Case { name: "a_killed_site", fault: "process killed", run: killed },
    Case { name: "a_stopped_site", fault: "process stopped", run: stopped },
    Case { name: "a_link_that_is_down", fault: "link down", run: link_down },
    Case { name: "packets_that_are_dropped", fault: "packets dropped", run: dropped },
    Case { name: "a_status_that_turns", fault: "200 turns 503", run: status },
];

/// The times of [`CHECK`].
const INTERVAL: Duration = Duration::from_millis(500);
const TIMEOUT: Duration = Duration::from_millis(300);
const FALL: u32 = 2;
/// For what the daemon itself does, and one query's millisecond.
const SWAP: Duration = Duration::from_millis(10);

/// Of what is seen at the end of each probe: the first one starts up to an interval after the fault.
const SEEN_AT_ONCE: Duration = INTERVAL.saturating_mul(FALL).saturating_add(SWAP);
/// Of silence: the last probe's timeout comes on top.
const SEEN_BY_TIMEOUT: Duration = SEEN_AT_ONCE.saturating_add(TIMEOUT);

/// gdnsd's: its interval, and for silence its timeout.
const GDNSD_AT_ONCE: Duration = Duration::from_secs(2);
const GDNSD_BY_TIMEOUT: Duration = Duration::from_secs(3);

fn killed(name: &'static str, how: &Thoroughness) -> Vec<Row> {
    let breaks = |world: &mut World| {
        let broken = now();
        world.first().kill();
        broken
    };
    let bounds = [SEEN_AT_ONCE, GDNSD_AT_ONCE];
    web(how, how.rounds, &Fault { name, bounds, breaks: &breaks, mends: &|world| world.first().revive() })
}

fn stopped(name: &'static str, how: &Thoroughness) -> Vec<Row> {
    let breaks = |world: &mut World| {
        let broken = now();
        world.first().signal(Signal::SIGSTOP);
        broken
    };
    let mends = |world: &mut World| world.first().signal(Signal::SIGCONT);
    let bounds = [SEEN_BY_TIMEOUT, GDNSD_BY_TIMEOUT];
    web(how, how.rounds, &Fault { name, bounds, breaks: &breaks, mends: &mends })
}

fn link_down(name: &'static str, how: &Thoroughness) -> Vec<Row> {
    let breaks = |world: &mut World| {
        let broken = now();
        world.first().host.ip("link set eth0 down");
        broken
    };
    let mends = |world: &mut World| world.first().host.ip("link set eth0 up");
    let bounds = [SEEN_BY_TIMEOUT, GDNSD_BY_TIMEOUT];
    web(how, how.few, &Fault { name, bounds, breaks: &breaks, mends: &mends })
}

fn dropped(name: &'static str, how: &Thoroughness) -> Vec<Row> {
    let breaks = |world: &mut World| {
        let broken = now();
        world.first().host.rule("drop");
        broken
    };
    let mends = |world: &mut World| world.first().host.no_rule();
    let bounds = [SEEN_BY_TIMEOUT, GDNSD_BY_TIMEOUT];
    web(how, how.rounds, &Fault { name, bounds, breaks: &breaks, mends: &mends })
}

fn status(name: &'static str, how: &Thoroughness) -> Vec<Row> {
    let breaks = |world: &mut World| {
        let broken: Instant = now();
        world.first().tell("status 503");
        broken
    };
    let mends = |world: &mut World| world.first().tell("well");
    let bounds = [SEEN_AT_ONCE, GDNSD_AT_ONCE];
    web(how, how.few, &Fault { name, bounds, breaks: &breaks, mends: &mends })
}

/// A fault under the usual check, beside gdnsd if that is wanted.
fn web(how: &Thoroughness, rounds: usize, fault: &Fault) -> Vec<Row> {
    let check = http();
    let mut world = World::start(&Plan { check: &check, gdnsd: how.gdnsd, ..Plan::default() });
    await_calm(&world);
    measure(&mut world, fault, rounds)
}

fn http() -> String {
    format!(r#"type = "http", path = "/health", {CHECK}"#)
}
