//! What a domain has to do with the records of its zone.

use super::domain::PlacedDomain;
use super::report::Report;
use super::unique::Unique;
use super::zone_rules::ZoneView;
use crate::dns::Rtype;
use crate::plan::{Addresses, Pool};

/// Notes every domain that could not be answered as it is written.
///
/// `pools` lacks those with mistakes; domains are not checked against them.
pub(super) fn check(
    domains: &[PlacedDomain],
    views: &[ZoneView<'_>],
    pools: &[Option<Pool>],
    report: &Report,
) {
    let mut unique = Unique::new("domain");
    for domain in domains {
        unique.note(&domain.domain.name, domain.place, report);
        let view = &views[domain.domain.zone.index()];
        check_records(domain, view, report);
        check_aliases(domain, view, pools, report);
    }
}

/// A domain is the only source of addresses at its name, and its name is to be found.
fn check_records(domain: &PlacedDomain, view: &ZoneView<'_>, report: &Report) {
    let name = &domain.domain.name;
    if let Some(hidden) = view.hidden(name) {
        report.error(domain.place, format!("domain `{name}` {}", hidden.reason(report)));
    }
    for rtype in [Rtype::A, Rtype::AAAA, Rtype::CNAME] {
        if let Some(record) = view.find(name, rtype) {
            let line = report.line_of(record.place);
            report.error(domain.place, format!("domain `{name}` has a static {rtype} record too ({line})"));
        }
    }
}

/// A pool of names answers with a CNAME, which stands alone (RFC 1034 section 3.6.2).
fn check_aliases(domain: &PlacedDomain, view: &ZoneView<'_>, pools: &[Option<Pool>], report: &Report) {
    let name = &domain.domain.name;
    for reference in &domain.pools {
        let Some(Pool { name: pool, addresses: Addresses::Cname(aliases), .. }) =
            &pools[reference.value.index()]
        else {
            continue;
        };
        if aliases.iter().any(|alias| alias.target == *name) {
            report.error(reference.place, format!("pool `{pool}` sends `{name}` to itself"));
        }
        let records = view.records.get(name).into_iter().flatten();
        let static_record =
            records.into_iter().find(|record| ![Rtype::A, Rtype::AAAA, Rtype::CNAME].contains(&record.rtype));
        if name == view.name() {
            report.error_with_hint(
                reference.place,
                format!("pool `{pool}` answers with a CNAME, which cannot stand at the apex of a zone"),
                "list pools of IPs here, or steer a name below the apex".to_owned(),
            );
        } else if let Some(record) = static_record {
            report.error(
                reference.place,
                format!(
                    "pool `{pool}` answers with a CNAME, which stands alone, and `{name}` has a record of \
                     type {} ({})",
                    record.rtype,
                    report.line_of(record.place)
                ),
            );
        }
    }
}
