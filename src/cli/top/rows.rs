//! What there is to show, row by row.

use crate::control::{AddressStatus, DomainStatus, PoolStatus, Status};

/// A row between the head and the events.
pub(super) enum Row<'s> {
    Heading(&'static str),
    Domain(&'s DomainStatus),
    Pool(&'s PoolStatus),
    Address(&'s PoolStatus, &'s AddressStatus),
    Blank,
}

impl Row<'_> {
    /// The pool and the address that can be chosen here.
    pub(super) fn subject(&self) -> Option<(String, Option<String>)> {
        match self {
            Row::Pool(pool) => Some((pool.name.clone(), None)),
            Row::Address(pool, address) => Some((pool.name.clone(), Some(address.name.clone()))),
            Row::Heading(_) | Row::Domain(_) | Row::Blank => None,
        }
    }
}

/// The rows of all that has `filter` in its name, or is part of what has.
pub(super) fn rows<'s>(status: &'s Status, filter: &str) -> Vec<Row<'s>> {
    let filter = filter.to_lowercase();
    let has = |text: &str| text.to_lowercase().contains(&filter);
    let domains: Vec<&DomainStatus> = status.domains.iter().filter(|domain| has(&domain.name)).collect();
    // A domain is asked for with its pools; without a filter that is everything.
    let is_of_domain = |pool: &PoolStatus| domains.iter().any(|domain| domain.pools.contains(&pool.name));
    let mut rows = Vec::new();
    if !domains.is_empty() {
        rows.push(Row::Heading("DOMAIN"));
        rows.extend(domains.iter().map(|domain| Row::Domain(domain)));
        rows.push(Row::Blank);
    }
    let start = rows.len();
    for pool in &status.pools {
        let is_whole = has(&pool.name) || is_of_domain(pool);
        let matching = |address: &&AddressStatus| is_whole || has(&address.name) || has(&address.target);
        let addresses: Vec<&AddressStatus> = pool.addresses.iter().filter(matching).collect();
        if is_whole || !addresses.is_empty() {
            rows.push(Row::Pool(pool));
            rows.extend(addresses.into_iter().map(|address| Row::Address(pool, address)));
        }
    }
    if rows.len() > start {
        rows.insert(start, Row::Heading("POOL"));
    }
    rows
}
