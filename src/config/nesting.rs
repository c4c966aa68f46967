//! Domains that stand in for the addresses of other domains' pools.

use super::domain::PlacedDomain;
use super::report::Report;
use crate::plan::{Addresses, MAX_DEPTH, Pool};

/// Notes every domain that comes back to itself, and every one with too many others below.
pub(super) fn check(domains: &[PlacedDomain], pools: &[Option<Pool>], report: &Report) {
    let mut nesting = Nesting { domains, pools, depths: vec![None; domains.len()], report };
    for domain in 0..domains.len() {
        nesting.depth(domain, &mut Vec::new());
    }
}

struct Nesting<'c> {
    domains: &'c [PlacedDomain],
    pools: &'c [Option<Pool>],
    /// How many domains are one below the other, this one included, once that is known.
    depths: Vec<Option<usize>>,
    report: &'c Report,
}

impl Nesting<'_> {
    /// How many domains are one below the other from `domain` on; `above` are those on the way to
    /// it. A mistake is noted where the way comes back.
    fn depth(&mut self, domain: usize, above: &mut Vec<usize>) -> usize {
        if let Some(depth) = self.depths[domain] {
            return depth;
        }
        let domains = self.domains;
        let mut below = 0;
        above.push(domain);
        for reference in &domains[domain].pools {
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
            let depth = self.depth(next.index(), above);
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
            below = below.max(depth);
        }
        above.pop();
        self.depths[domain] = Some(below + 1);
        below + 1
    }
}
