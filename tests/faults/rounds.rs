//! Breaking, measuring and mending, again and again.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use crate::cases::SWAP;
use crate::network::address;
use crate::support::{PATIENCE, now};
use crate::table::{Measured, Row};
use crate::world::{Who, World};

/// An answer that has not changed for this long is settled: longer than any probe's timeout.
const CALM: Duration = Duration::from_millis(400);

/// What is broken, and by when it has to be noticed.
pub(crate) struct Fault<'f> {
    pub(crate) name: &'static str,
    /// After this no wrong answer is given: by rhumb, and by gdnsd.
    pub(crate) bounds: [Duration; 2],
    /// Breaks the first site. Returns when that was.
    pub(crate) breaks: &'f dyn Fn(&mut World) -> Instant,
    /// Undoes it.
    pub(crate) mends: &'f dyn Fn(&mut World),
}

/// Breaks and mends the first site `rounds` times, the first `gdnsd_rounds` of them under the eyes of
/// gdnsd as well, which takes so much longer that it would be most of the time.
pub(crate) fn measure(world: &mut World, fault: &Fault, rounds: usize, gdnsd_rounds: usize) -> Vec<Row> {
    let [first, second] = [1, 2].map(address);
    let mut rows: Vec<Row> = world
        .asked
        .iter()
        .map(|asked| {
            let bound = fault.bounds[usize::from(asked.who == Who::Gdnsd)];
            Row::new(fault.name, asked.who, Some(bound))
        })
        .collect();
    let begin = now();
    // How often each server's answer has to change.
    let mut due = 0;
    for round in 0..rounds {
        settle(world, first, round);
        if round == gdnsd_rounds {
            account(world, &mut rows, begin, due);
            world.dismiss_gdnsd();
        }
        // Faults come at any moment between two probes.
        let pause = if world.has_gdnsd() { 2000 } else { 500 };
        std::thread::sleep(Duration::from_millis(fastrand::u64(..pause)));
        let broken = (fault.breaks)(world);
        settle(world, second, round);
        for (asked, row) in world.asked.iter().zip(&mut rows) {
            row.measured.push(asked.stream.wrong_for(broken, second));
        }
        (fault.mends)(world);
        due += 2;
    }
    settle(world, first, rounds);
    account(world, &mut rows, begin, due);
    rows
}

/// Enters what was answered since `begin`, when `due` changes had to be.
fn account(world: &World, rows: &mut [Row], begin: Instant, due: usize) {
    for (asked, row) in world.asked.iter().zip(rows) {
        row.wrong_flips = asked.stream.changes_since(begin).saturating_sub(due);
        row.unanswered = asked.stream.unanswered();
    }
}

/// Waits until every server answers nothing but `expected`.
pub(crate) fn settle(world: &World, expected: Ipv4Addr, round: usize) {
    let begin = now();
    for asked in &world.asked {
        let in_time = asked.stream.await_only(expected, CALM, begin + PATIENCE);
        assert!(
            in_time,
            "round {round}: {} does not turn to {expected}: {}",
            asked.who.name(),
            asked.stream.story(begin)
        );
    }
}

/// Watches for `length` that the answer stays.
pub(crate) fn watch(world: &World, name: &'static str, length: Duration) -> Vec<Row> {
    settle(world, address(1), 0);
    let begin = now();
    std::thread::sleep(length);
    steady_since(world, name, begin)
}

/// What has changed since `begin`, when the answer was settled and should have stayed.
pub(crate) fn steady_since(world: &World, name: &'static str, begin: Instant) -> Vec<Row> {
    let length = begin.elapsed();
    let rows = world.asked.iter().map(|asked| {
        let mut row = Row::new(name, asked.who, None);
        row.watched = Some(length);
        row.wrong_flips = asked.stream.changes_since(begin);
        row.unanswered = asked.stream.unanswered();
        if row.wrong_flips > 0 {
            eprintln!("{name}: {} answered {}", asked.who.name(), asked.stream.story(begin));
        }
        row
    });
    rows.collect()
}

/// Whether `rows` keep their bounds, with `allowance` for a machine that is busy; says which does not.
pub(crate) fn judge(rows: &[Row], allowance: Duration) {
    for row in rows.iter().filter(|row| row.who == Who::Rhumb) {
        assert_eq!(row.wrong_flips, 0, "{}: answers that changed and should not have", row.fault);
        assert_eq!(row.unanswered, 0, "{}: queries without an answer", row.fault);
        if let Some(bound) = row.bound {
            let Measured { p99, worst, .. } = row.summary();
            // One in a hundred may meet a machine that does something else for ten milliseconds.
            let reached = if bound == SWAP { p99 } else { worst };
            assert!(
                reached <= bound + allowance,
                "{}: {reached:?} after the fault, not {bound:?}",
                row.fault
            );
        }
    }
}
