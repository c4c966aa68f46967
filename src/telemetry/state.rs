//! What is served and believed, in numbers.

use super::exposition::Exposition;
use crate::config::Desired;
use crate::control::{PoolReadings, Readings};
use crate::dns::Name;
use crate::health::Verdict;
use crate::plan::{Addresses, PoolId};
use crate::routing::RoutingTable;

/// With more addresses there is nothing of each of them, but of their pools only: four series and more each would be more than
/// the rest together, and more than anybody looks at.
const MAX_ADDRESSES: usize = 10_000;

/// With more domains there is nothing of each of them, but only how many have nothing healthy.
const MAX_DOMAINS: usize = 1000;

/// Of so many signed zones there is something of each: those whose signatures end first.
const MAX_SIGNED_ZONES: usize = 1000;

/// Whether there is something of each address.
pub(super) fn has_addresses(readings: &Readings) -> bool {
    readings.verdicts.len() <= MAX_ADDRESSES
}

/// Adds the state of everything.
pub(super) fn tell(readings: &Readings, told: &mut Exposition) {
    let Readings { table, is_isolated, pools, names, .. } = readings;
    told.gauge("rhumb_isolated", "Whether the daemon takes itself to be cut off from the network.")
        .truth(&[], *is_isolated);
    told.gauge("rhumb_table_generation", "How many tables were published before the current one.")
        .count(&[], table.generation());
    let plan = table.plan();
    told.gauge("rhumb_zones", "Zones that are served.").count(&[], plan.zones.len() as u64);
    told.gauge("rhumb_domains", "Domains that are steered.").count(&[], plan.domains.len() as u64);
    told.gauge("rhumb_pools", "Pools.").count(&[], pools.len() as u64);
    told.gauge("rhumb_addresses", "Addresses of all pools, those that names resolve to included.")
        .count(&[], readings.verdicts.len() as u64);
    told.gauge("rhumb_probe_targets", "Addresses, conditions and canaries that are probed.")
        .count(&[], readings.watched.len() as u64);
    tell_signatures(table, told);
    tell_domains(table, told);
    tell_pools(readings, told);
    if has_addresses(readings) {
        tell_addresses(readings, told);
    }
    let mut ages = told.gauge("rhumb_name_age_seconds", "Since a name in pools has last been resolved.");
    for (name, age) in names {
        if let Some(age) = age {
            ages.sample(&[("name", &name.to_string())], *age);
        }
    }
}

fn tell_signatures(table: &RoutingTable, told: &mut Exposition) {
    let mut zones: Vec<(&Name, u32)> = table.signed_until().collect();
    zones.sort_by_key(|&(_, until)| until);
    let mut family = told.gauge(
        "rhumb_zone_signed_until_timestamp_seconds",
        "Until when all in a signed zone has valid signatures, since unix epoch.",
    );
    for (zone, until) in zones.into_iter().take(MAX_SIGNED_ZONES) {
        family.count(&[("zone", &zone.to_string())], u64::from(until));
    }
}

fn tell_domains(table: &RoutingTable, told: &mut Exposition) {
    let domains = &table.plan().domains;
    let healthy: Vec<bool> = domains
        .iter()
        .map(|domain| table.domain(&domain.name).is_some_and(|id| table.has_healthy(id)))
        .collect();
    told.gauge(
        "rhumb_domains_unhealthy",
        "Domains none of whose pools has a healthy address: their `when_all_down` says what clients get.",
    )
    .count(&[], healthy.iter().filter(|healthy| !**healthy).count() as u64);
    if domains.len() > MAX_DOMAINS {
        return;
    }
    let mut family =
        told.gauge("rhumb_domain_healthy", "1 if a pool of the domain has a healthy address to give.");
    for (domain, healthy) in domains.iter().zip(healthy) {
        family.truth(&[("domain", &domain.name.to_string())], healthy);
    }
}

fn tell_pools(readings: &Readings, told: &mut Exposition) {
    let table = &readings.table;
    let mut each = |name, help, value: &dyn Fn(PoolId, &PoolReadings) -> f64| {
        let mut family = told.gauge(name, help);
        for (id, pool) in (0..).map(PoolId).zip(&readings.pools) {
            family.sample(&[("pool", &table.pool(id).name)], value(id, pool));
        }
    };
    each(
        "rhumb_pool_check_suspected",
        "Whether every address of the pool has failed in the same way since it is watched.",
        &|_, pool| f64::from(u8::from(pool.is_suspected)),
    );
    each(
        "rhumb_pool_share",
        "The share of its clients that a pool serves; 0: it is out of service.",
        &|_, pool| pool.share,
    );
    each("rhumb_pool_addresses", "Addresses of the pool.", &|_, pool| pool.addresses as f64);
    each("rhumb_pool_addresses_available", "Addresses of the pool that clients are given.", &|id, pool| {
        (0..pool.addresses).filter(|position| is_available(table, id, *position)).count() as f64
    });
    each(
        "rhumb_pool_addresses_damped",
        "Addresses of the pool held down for flipping too often.",
        &|_, pool| pool.damped as f64,
    );
}

fn tell_addresses(readings: &Readings, told: &mut Exposition) {
    let table = &readings.table;
    let mut up =
        told.gauge("rhumb_address_up", "Whether an address is believed to be up; NaN: nothing is known.");
    let mut verdicts = readings.verdicts.iter();
    for (id, pool) in (0..).map(PoolId).zip(&readings.pools) {
        let (pool, verdicts) = (table.pool(id), verdicts.by_ref().take(pool.addresses));
        for (address, verdict) in names(&pool.addresses).zip(verdicts) {
            let up_or_down = match verdict {
                Some(Verdict::Up) => 1.0,
                Some(Verdict::Down) => 0.0,
                Some(Verdict::Unknown) | None => f64::NAN,
            };
            up.sample(&[("pool", &pool.name), ("address", address)], up_or_down);
        }
    }
    drop(up);
    let mut available = told.gauge("rhumb_address_available", "1 if clients are given the address.");
    for id in (0..).map(PoolId).take(readings.pools.len()) {
        let pool = table.pool(id);
        for (position, address) in names(&pool.addresses).enumerate() {
            let labels = [("pool", &pool.name[..]), ("address", address)];
            available.truth(&labels, is_available(table, id, position));
        }
    }
}

/// Adds what stands of edits.
pub(super) fn tell_edits(desired: &Desired, journal_octets: Option<u64>, told: &mut Exposition) {
    let orphaned = desired.edits().iter().filter(|standing| standing.orphaned.is_some()).count();
    let mut edits = told.gauge("rhumb_edits", "Edits over the file, by whether they are in force.");
    edits.count(&[("state", "in_force")], (desired.edits().len() - orphaned) as u64);
    edits.count(&[("state", "orphaned")], orphaned as u64);
    drop(edits);
    if let Some(octets) = journal_octets {
        told.gauge("rhumb_edits_journal_bytes", "The size of the journal in which edits last.")
            .count(&[], octets);
    }
}

/// Whether clients are given the address at `position`, as its pool stands.
fn is_available(table: &RoutingTable, pool: PoolId, position: usize) -> bool {
    let weight = match &table.pool(pool).addresses {
        Addresses::Ip(list) => list.get(position).map(|address| address.weight),
        Addresses::Cname(list) => list.get(position).map(|address| address.weight),
        Addresses::Domain(_) => None,
    };
    weight.is_some_and(|weight| weight > 0) && table.is_up(pool, position)
}

/// The names of the addresses, in order.
fn names(addresses: &Addresses) -> Box<dyn Iterator<Item = &str> + '_> {
    match addresses {
        Addresses::Ip(list) => Box::new(list.iter().map(|address| &address.name[..])),
        Addresses::Cname(list) => Box::new(list.iter().map(|address| &address.name[..])),
        Addresses::Domain(_) => Box::new(std::iter::empty()),
    }
}
