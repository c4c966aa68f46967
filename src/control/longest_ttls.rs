//! For how long clients may use what they were given of a pool.

use crate::plan::{Addresses, Domain, Plan};

/// By pool: the longest TTL, in seconds, of a domain that comes to it, by itself or by way of others; 0:
/// none does.
pub(super) fn longest_ttls(plan: &Plan) -> Vec<u32> {
    longest_of(plan, |_| true)
}

/// By pool: the same of the domains that shorten their TTL while a flip is near. Their pools have to tell for how long
/// they have been calm.
pub(super) fn calm_limits(plan: &Plan) -> Vec<u32> {
    longest_of(plan, |domain| domain.ttl_min < domain.ttl)
}

/// By pool: the longest TTL of those domains that come to it which count.
fn longest_of(plan: &Plan, counts: impl Fn(&Domain) -> bool) -> Vec<u32> {
    let mut of_pools = vec![0; plan.pools.len()];
    let own = plan.domains.iter().map(|domain| if counts(domain) { domain.ttl } else { 0 });
    let mut of_domains: Vec<u32> = own.collect();
    loop {
        for (domain, ttl) in plan.domains.iter().zip(&of_domains).filter(|(_, ttl)| **ttl > 0) {
            let chosen = domain.choices().flat_map(|choice| &choice.pools).map(|weighted| weighted.pool);
            for pool in chosen.chain(domain.fallbacks()) {
                let longest: &mut u32 = &mut of_pools[pool.index()];
                *longest = (*ttl).max(*longest);
            }
        }
        let mut has_changed = false;
        for (pool, ttl) in plan.pools.iter().zip(&of_pools) {
            let Addresses::Domain(below) = pool.addresses else { continue };
            let longest = &mut of_domains[below.index()];
            has_changed |= ttl > longest;
            *longest = (*ttl).max(*longest);
        }
        // It ends: no domain is below itself, so that a TTL comes down as many times as domains are nested.
        if !has_changed {
            return of_pools;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config;

    /// A zone, and the pools of both tests.
    const POOLS: &str = r#"
        zone = [{ name = "example", nameservers = ["ns.example.net"], contact = "c.example.net" }]
        [pool]
        named = { address = [{ name = "one", ip = "192.0.2.1" }] }
        fallback = { address = [{ name = "one", ip = "192.0.2.2" }] }
        nested = { domain = "below.example" }
        below = { address = [{ name = "one", ip = "192.0.2.3" }] }
    "#;

    /// The plan with these pools, and what `more` says.
    fn plan(more: &str) -> Plan {
        let text = format!("{POOLS}{more}");
        config::parse("test.toml", &text, Path::new("")).expect("it is sound").plan
    }

    #[test]
    fn a_ttl_comes_down_to_all_that_is_answered_with_it() {
        let text = r#"
            deeper = { domain = "deepest.example" }
            deepest = { address = [{ name = "one", ip = "192.0.2.4" }] }
            alone = { address = [{ name = "one", ip = "192.0.2.5" }] }
            [[domain]]
            name = "deepest.example"
            pools = ["deepest", "named"]
            ttl = 1
            [[domain]]
            name = "below.example"
            pools = ["below", "deeper"]
            ttl = 60
            [[domain]]
            name = "www.example"
            pools = ["named", "nested"]
            when_all_down = { fallback = "fallback" }
            ttl = 90
            [[domain]]
            name = "other.example"
            pools = ["below"]
            ttl = 120
        "#;
        let plan = plan(text);
        let told: Vec<(&str, u32)> =
            plan.pools.iter().map(|pool| &pool.name[..]).zip(longest_ttls(&plan)).collect();
        let expected = [
            ("named", 90),
            ("fallback", 90),
            ("nested", 90),
            ("below", 120),
            ("deeper", 90),
            ("deepest", 90),
            ("alone", 0),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn every_pool_that_an_answer_may_come_from_counts() {
        let text = r#"
            steady = { address = [{ name = "one", ip = "192.0.2.4" }] }
            [[domain]]
            name = "www.example"
            pools = ["named", "nested"]
            when_all_down = { fallback = "fallback" }
            ttl = 30
            [[domain]]
            name = "below.example"
            pools = ["below"]
            ttl = 60
            [[domain]]
            name = "steady.example"
            pools = ["steady", "named"]
            ttl = 90
        "#;
        let mut plan = plan(text);
        assert_eq!(calm_limits(&plan), [0, 0, 0, 0, 0]);
        plan.domains[0].ttl_min = 1;
        assert_eq!(calm_limits(&plan), [30, 30, 30, 30, 0]);
        plan.domains[1].ttl_min = 1;
        assert_eq!(calm_limits(&plan), [30, 30, 30, 60, 0]);
    }
}
