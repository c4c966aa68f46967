//! When a pool is in service: `min_available`, `failback`, `hold_down` and `slow_start`.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::reader::{Table, Value, Words, duration, integer, string};
use super::report::Report;
use super::source::Located;
use crate::plan::{Addresses, Failback, MinAvailable, Resolved, ServiceRules};

/// Resolvers keep an answer for a second at least; what takes longer than a day is the operator's
/// own decision.
const WAITS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(86_400);

const FAILBACKS: Words<Failback> = Words {
    what: "value of `failback`",
    known: &[("automatic", Failback::Automatic), ("manual", Failback::Manual)],
    planned: &[],
};

/// What the keys are called.
pub(super) const SERVICE_KEYS: [&str; 4] = ["min_available", "failback", "hold_down", "slow_start"];

/// The keys as written.
pub(super) struct PoolServiceSpec {
    min_available: Option<Located<MinAvailable>>,
    failback: Option<Located<Failback>>,
    hold_down: Option<Located<Duration>>,
    slow_start: Option<Located<Duration>>,
}

impl PoolServiceSpec {
    /// Takes them out of a pool's table.
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        PoolServiceSpec {
            min_available: table.optional("min_available", min_available),
            failback: table.optional("failback", |value| FAILBACKS.read(value)),
            hold_down: table.optional("hold_down", duration(WAITS)),
            slow_start: table.optional("slow_start", duration(WAITS)),
        }
    }

    /// Checks them against the pool's addresses and fills in the defaults.
    pub(super) fn convert(
        self,
        addresses: &Addresses,
        resolved: &[Resolved],
        report: &Report,
    ) -> ServiceRules {
        let PoolServiceSpec { min_available, failback, hold_down, slow_start } = self;
        let taking = addresses.weights().into_iter().filter(|weight| *weight > 0).count();
        if let Some(Located { value: MinAvailable::Addresses(needed), place }) = min_available
            && needed as usize > taking
            // How many addresses a name has, nobody knows beforehand.
            && resolved.iter().all(|name| name.address.weight == 0)
        {
            let have = if taking == 1 { "address that takes" } else { "addresses that take" };
            report.error(place, format!("the pool has {taking} {have} traffic, not {needed}"));
        }
        let failback = failback.map_or(Failback::Automatic, |failback| failback.value);
        if let (Some(hold_down), Failback::Manual) = (&hold_down, failback) {
            report.error_with_hint(
                hold_down.place,
                "`hold_down` does not apply to a pool with manual failback",
                "it stays away until it is released".to_owned(),
            );
        }
        ServiceRules {
            min_available: min_available.map_or(MinAvailable::default(), |minimum| minimum.value),
            failback,
            hold_down: hold_down.map_or(Duration::ZERO, |hold_down| hold_down.value),
            slow_start: slow_start.map_or(Duration::ZERO, |slow_start| slow_start.value),
        }
    }
}

/// A count of addresses, or a percentage of their weight.
fn min_available(value: Value<'_>) -> Option<MinAvailable> {
    if !value.is_string() {
        return integer(1..=u32::from(u16::MAX))(value).map(MinAvailable::Addresses);
    }
    let text = string(value)?;
    let Some(percent) = text.strip_suffix('%').and_then(|digits| digits.trim().parse::<u32>().ok()) else {
        return value.refuse(
            format!("`{text}` is not a percentage"),
            "write 2 for two addresses, \"50%\" for half of the weight".to_owned(),
        );
    };
    match u8::try_from(percent) {
        Ok(percent @ 1..=100) => Some(MinAvailable::Percent(percent)),
        _ => value.refuse(format!("`{text}` is out of range: 1% to 100%"), None),
    }
}
