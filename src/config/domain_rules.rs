//! What a domain has to do with the records of its zone.

use std::collections::HashSet;

use foldhash::{HashMap, HashMapExt};

use super::domain::PlacedDomain;
use super::report::Report;
use super::zone_rules::ZoneView;
use crate::dns::{Name, Rtype};
use crate::plan::{Address, Addresses, Pool, PoolId};

/// `domains` by name. Notes each that is there twice.
pub(super) fn by_name<'d>(
    domains: &'d [PlacedDomain],
    report: &Report,
) -> HashMap<&'d Name, &'d PlacedDomain> {
    let mut by_name: HashMap<&Name, &PlacedDomain> = HashMap::with_capacity(domains.len());
    for domain in domains {
        let name = &domain.domain.name;
        let first = by_name.entry(name).or_insert(domain);
        if !std::ptr::eq(*first, domain) {
            let hint = format!("the first is at {}", report.line_of(first.place));
            report.error_with_hint(domain.place, format!("domain `{name}` is there twice"), hint);
        }
    }
    by_name
}

/// Notes every domain that could not be answered as it is written.
///
/// `pools` lacks those with mistakes; domains are not checked against them. Unless `is_complete`,
/// `domains` lacks some too, and is not looked at for those that stand in for pools.
pub(super) fn check(
    domains: &[PlacedDomain],
    is_complete: bool,
    views: &[ZoneView<'_>],
    pools: &[Option<Pool>],
    report: &Report,
) {
    let below = if is_complete { domains } else { &[] };
    for domain in domains {
        let view = &views[domain.domain.zone.index()];
        check_records(domain, view, report);
        check_aliases(domain, below, view, pools, report);
    }
}

/// A domain is the only source of addresses at its name, and its name is to be found.
fn check_records(domain: &PlacedDomain, view: &ZoneView<'_>, report: &Report) {
    let name = &domain.domain.name;
    if let Some(signature) = view.signed_at() {
        let zone = view.name();
        report.error_with_hint(
            domain.place,
            format!(
                "domain `{name}` is in the zone `{zone}`, which is signed ({}): nobody signs answers that change",
                report.line_of(signature)
            ),
            format!("give it a zone of its own that `{zone}` delegates, or name the zone file as it was before"),
        );
    }
    if let Some(hidden) = view.hidden(name) {
        report.error(domain.place, format!("domain `{name}` {}", hidden.reason(report)));
    }
    let records = view.at(name);
    for rtype in [Rtype::A, Rtype::AAAA, Rtype::CNAME] {
        if let Some(record) = records.iter().find(|record| record.rtype == rtype) {
            let line = report.line_of(record.place);
            report.error(domain.place, format!("domain `{name}` has a static {rtype} record too ({line})"));
        }
    }
}

/// A pool of names answers with a CNAME, which stands alone (RFC 1034 section 3.6.2). No name can
/// be learnt from itself.
fn check_aliases(
    domain: &PlacedDomain,
    below: &[PlacedDomain],
    view: &ZoneView<'_>,
    pools: &[Option<Pool>],
    report: &Report,
) {
    let name = &domain.domain.name;
    for reference in &domain.pools {
        if let Some(pool) = &pools[reference.value.index()]
            && pool.resolved.iter().any(|resolved| resolved.address.target == *name)
        {
            report.error(reference.place, format!("pool `{}` would resolve `{name}` to itself", pool.name));
        }
        let found = find_aliases(reference.value, below, pools, &mut HashSet::new(), &|aliases| {
            aliases.iter().any(|alias| alias.target == *name)
        });
        let (Some(Pool { name: pool, .. }), Some((names, is_itself))) =
            (&pools[reference.value.index()], found)
        else {
            continue;
        };
        let pool = match names == pool {
            true => format!("pool `{pool}`"),
            false => format!("pool `{pool}`, by way of pool `{names}`,"),
        };
        if is_itself {
            report.error(reference.place, format!("{pool} sends `{name}` to itself"));
        }
        let static_record = view
            .at(name)
            .iter()
            .find(|record| ![Rtype::A, Rtype::AAAA, Rtype::CNAME].contains(&record.rtype));
        if name == view.name() {
            report.error_with_hint(
                reference.place,
                format!("{pool} answers with a CNAME, which cannot stand at the apex of a zone"),
                "list pools of IPs here, or steer a name below the apex".to_owned(),
            );
        } else if let Some(record) = static_record {
            report.error(
                reference.place,
                format!(
                    "{pool} answers with a CNAME, which stands alone, and `{name}` has a record of type {} ({})",
                    record.rtype,
                    report.line_of(record.place)
                ),
            );
        }
    }
}

/// The name of the first pool of names that `pool` is, or comes to by way of `domains`, and whether
/// one of those it comes to is as `is_sought` says. `passed` has the pools that were looked at.
fn find_aliases<'p>(
    pool: PoolId,
    domains: &[PlacedDomain],
    pools: &'p [Option<Pool>],
    passed: &mut HashSet<PoolId>,
    is_sought: &impl Fn(&[Address<Name>]) -> bool,
) -> Option<(&'p str, bool)> {
    let Some(Pool { name, addresses, .. }) = &pools[pool.index()] else { return None };
    // Most are of IPs, and need not be remembered.
    if matches!(addresses, Addresses::Ip(_)) || !passed.insert(pool) {
        return None;
    }
    match addresses {
        Addresses::Cname(aliases) => Some((name, is_sought(aliases))),
        Addresses::Domain(domain) => {
            let references = domains.get(domain.index()).into_iter().flat_map(|domain| &domain.pools);
            let found =
                references.filter_map(|below| find_aliases(below.value, domains, pools, passed, is_sought));
            found.reduce(|first, next| if next.1 && !first.1 { next } else { first })
        }
        _ => None,
    }
}
