//! Domains that stand in for the addresses of other domains' pools.

use super::domain::PlacedDomain;
use super::report::Report;
use crate::plan::{Addresses, MAX_DEPTH, MAX_VISITS, Pool};

/// Notes every domain that comes back to itself, and every one with too many others or too many
/// pools below.
pub(super) fn check(domains: &[PlacedDomain], pools: &[Option<Pool>], report: &Report) {
    let is_nested = |pool: &Option<Pool>| matches!(pool, Some(Pool { addresses: Addresses::Domain(_), .. }));
    if !pools.iter().any(is_nested) {
        return;
    }
    let mut nesting = Nesting { domains, pools, extents: vec![None; domains.len()], report };
    for domain in 0..domains.len() {
        nesting.extent(domain, &mut Vec::new());
    }
}

/// How much a domain is with all below it.
#[derive(Clone, Copy)]
struct Extent {
    /// How many domains are one below the other, this one included.
    depth: usize,
    /// How many pools an answer may have to look at.
    visits: usize,
}

struct Nesting<'c> {
    domains: &'c [PlacedDomain],
    pools: &'c [Option<Pool>],
    /// By domain, once that is known.
    extents: Vec<Option<Extent>>,
    report: &'c Report,
}

impl Nesting<'_> {
    /// How much `domain` is; `above` are those on the way to it. A mistake is noted where the way
    /// comes back.
    fn extent(&mut self, domain: usize, above: &mut Vec<usize>) -> Extent {
        if let Some(extent) = self.extents[domain] {
            return extent;
        }
        let domains = self.domains;
        let mut whole = Extent { depth: 1, visits: 0 };
        above.push(domain);
        for reference in &domains[domain].pools {
            whole.visits = whole.visits.saturating_add(1);
            let Some(Pool { name, addresses: Addresses::Domain(next), .. }) =
                &self.pools[reference.value.index()]
            else {
                continue;
            };
            if let Some(start) = above.iter().position(|passed| *passed == next.index()) {
                let way: Vec<String> = above[start..]
                    .iter()
                    .chain([&next.index()])
                    .map(|passed| format!("`{}`", domains[*passed].domain.name))
                    .collect();
                self.report.error(
                    reference.place,
                    format!("pool `{name}` comes back to where it started: {}", way.join(" -> ")),
                );
                continue;
            }
            let Extent { depth, visits } = self.extent(next.index(), above);
            if depth == MAX_DEPTH {
                self.report.error(
                    reference.place,
                    format!(
                        "domain `{}` would stand on {depth} others, one below the other, by way of pool \
                         `{name}`: together they may be {MAX_DEPTH}",
                        domains[domain].domain.name
                    ),
                );
            }
            let before = whole.visits;
            whole.visits = whole.visits.saturating_add(visits);
            if before <= MAX_VISITS && whole.visits > MAX_VISITS {
                self.report.error_with_hint(
                    reference.place,
                    format!(
                        "with the pools of pool `{name}`, the domain has more than {MAX_VISITS} below it"
                    ),
                    "let fewer pools name the same domain".to_owned(),
                );
            }
            whole.depth = whole.depth.max(depth + 1);
        }
        above.pop();
        self.extents[domain] = Some(whole);
        whole
    }
}
