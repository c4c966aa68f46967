//! The faults.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::Thoroughness;
use crate::rounds::{Fault, measure};
use crate::site;
use crate::steady;
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
    /// Whether it is bounded by milliseconds, which other tests at the same time would be seen in.
    pub(crate) bound_is_short: bool,
}

const fn case(
    name: &'static str,
    fault: &'static str,
    run: fn(&'static str, &Thoroughness) -> Vec<Row>,
) -> Case {
    Case { name, fault, run, bound_is_short: false }
}

/// In the order of the table.
pub(crate) const ALL: &[Case] = &[
    Case { bound_is_short: true, ..case("a_killed_site", "process killed", killed) },
    case("a_stopped_site", "process stopped", stopped),
    case("a_link_that_is_down", "link down", link_down),
    case("packets_that_are_dropped", "packets dropped", dropped),
    case("a_status_that_turns", "200 turns 503", status),
    case("a_full_backlog", "backlog full", backlog),
    case("an_expired_certificate", "certificate expired", expired),
    case("a_body_that_trickles", "body trickles", trickle),
    case("a_delay_above_the_timeout", "delay of 500 ms, timeout 300 ms", long_delay),
    case("a_site_that_restarts", "50 restarts in a row", steady::restarts),
    case("a_delay_below_the_timeout", "delay of 500 ms, timeout 2 s", steady::short_delay),
    case("a_lossy_link", "30 % of packets lost, `fall = 3`, timeout 4 s", steady::loss),
    case("a_site_that_flaps", "up and down every second, damped", steady::flapping),
    case("a_resolver_that_is_gone", "resolver killed", steady::resolver),
    case("the_own_link_that_is_down", "the daemon's own link down", steady::own_link),
];

/// The times of [`CHECK`].
pub(crate) const INTERVAL: Duration = Duration::from_millis(500);
pub(crate) const TIMEOUT: Duration = Duration::from_millis(300);
/// As many as [`CHECK`] has, for `rise` as well.
pub(crate) const FALL: u32 = 2;
/// For what the daemon itself does, and one query's millisecond.
pub(crate) const SWAP: Duration = Duration::from_millis(10);

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
    // The end of the idle connection tells of it: no probe has to be due.
    let bounds = [SWAP, GDNSD_AT_ONCE];
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
        let broken = now();
        world.first().tell("status 503");
        broken
    };
    let mends = |world: &mut World| world.first().tell("well");
    let bounds = [SEEN_AT_ONCE, GDNSD_AT_ONCE];
    web(how, how.few, &Fault { name, bounds, breaks: &breaks, mends: &mends })
}

/// Its process accepts nobody, and nobody more can wait to be accepted.
fn backlog(name: &'static str, how: &Thoroughness) -> Vec<Row> {
    let breaks = |world: &mut World| {
        let broken = now();
        world.first().signal(Signal::SIGSTOP);
        world.first().fill_backlog();
        broken
    };
    let mends = |world: &mut World| {
        world.first().signal(Signal::SIGCONT);
        world.first().empty_backlog();
    };
    let bounds = [SEEN_BY_TIMEOUT, GDNSD_BY_TIMEOUT];
    web(how, how.few, &Fault { name, bounds, breaks: &breaks, mends: &mends })
}

fn expired(name: &'static str, how: &Thoroughness) -> Vec<Row> {
    let breaks = |world: &mut World| {
        let broken = now();
        world.first().tell("expired");
        broken
    };
    let mends = |world: &mut World| world.first().tell("well");
    let check = format!(r#"type = "https", path = "/health", host = "{}", {CHECK}"#, site::NAME);
    rhumb_alone(&check, how.few, &Fault { name, bounds: [SEEN_AT_ONCE; 2], breaks: &breaks, mends: &mends })
}

/// The text that is looked for comes later than the timeout.
fn trickle(name: &'static str, how: &Thoroughness) -> Vec<Row> {
    let breaks = |world: &mut World| {
        let broken = now();
        world.first().tell("trickle");
        broken
    };
    let mends = |world: &mut World| world.first().tell("well");
    let check = format!(r#"{}, expect_body = "{}""#, http(), site::BODY);
    rhumb_alone(
        &check,
        how.few,
        &Fault { name, bounds: [SEEN_BY_TIMEOUT; 2], breaks: &breaks, mends: &mends },
    )
}

fn long_delay(name: &'static str, how: &Thoroughness) -> Vec<Row> {
    let breaks = |world: &mut World| {
        let broken = now();
        world.delay(500);
        broken
    };
    let fault = Fault { name, bounds: [SEEN_BY_TIMEOUT; 2], breaks: &breaks, mends: &|world| world.delay(0) };
    let mut world = World::start(&Plan { check: &http(), far: true, ..Plan::default() });
    measure(&mut world, &fault, how.few, 0)
}

/// A fault that only rhumb is shown.
fn rhumb_alone(check: &str, rounds: usize, fault: &Fault) -> Vec<Row> {
    let mut world = World::start(&Plan { check, ..Plan::default() });
    measure(&mut world, fault, rounds, 0)
}

/// A fault under the usual check, beside gdnsd if that is wanted.
fn web(how: &Thoroughness, rounds: usize, fault: &Fault) -> Vec<Row> {
    let check = http();
    let mut world = World::start(&Plan { check: &check, gdnsd: how.gdnsd, ..Plan::default() });
    measure(&mut world, fault, rounds, how.few)
}

/// The usual check.
pub(crate) fn http() -> String {
    format!(r#"type = "http", path = "/health", {CHECK}"#)
}
