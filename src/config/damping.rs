//! `damping` of `[health_check.NAME]`

use std::ops::RangeInclusive;
use std::time::Duration;

use super::reader::{Value, duration, integer};
use super::report::Report;
use super::source::Located;
use crate::plan::{Damping, HealthCheck};

/// The time of each of them is kept for every address.
const MAX_FLIPS: u32 = 1000;
/// From the shortest time in which anything can flip oftener than once; the longest is a day.
const SPANS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(86_400);

/// `{ flips = 5, window = "10m", hold = "5m" }`.
pub(super) fn damping(value: Value<'_>) -> Option<Damping> {
    let mut table = value.table()?;
    let flips = table.required("flips", integer(1..=MAX_FLIPS));
    let window = table.required("window", duration(SPANS));
    let hold = table.required("hold", duration(SPANS));
    table.finish();
    Some(Damping { flips: flips?.value, window: window?.value, hold: hold?.value })
}

/// Notes a rule that the probes of `check` can never meet.
pub(super) fn check_reach(damping: &Located<Damping>, check: &HealthCheck, report: &Report) {
    let Damping { flips, window, hold: _ } = damping.value;
    let HealthCheck { interval, fast_interval, fall, rise, tripwire, .. } = check;
    // From the first flip to the last one there are as many turns as flips are borne, and they alternate.
    // What a tripwire sets off takes no time.
    let falls = if *tripwire { 0 } else { u64::from(*fall) };
    let (pairs, rest) = (u64::from(flips / 2), u64::from(flips % 2));
    let probes = pairs * (falls + u64::from(*rise)) + rest * falls.min(u64::from(*rise));
    // The first of them may have been due just before the window. Of two that follow each other one
    // at least is confirming, but for a threshold of one.
    let apart = if *fall.min(rise) > 1 { fast_interval } else { interval };
    let needed = apart.as_millis() * u128::from(probes.saturating_sub(1));
    if needed > window.as_millis() {
        report.error_with_hint(
            damping.place,
            format!(
                "no address can flip more than {flips} times within {}",
                humantime::format_duration(window)
            ),
            format!(
                "probed every {}, with `fall` = {fall} and `rise` = {rise}, it takes {probes} probes",
                humantime::format_duration(*apart)
            ),
        );
    }
}
