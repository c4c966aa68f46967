//! Which pools have to tell for how long they have been calm.

use std::collections::BTreeSet;

use crate::plan::{Addresses, Domain, Plan, PoolId};

/// By pool: the longest TTL of the domains that shorten it while a flip is near; 0: there is none.
pub(super) fn calm_limits(plan: &Plan) -> Vec<u32> {
    let mut limits = vec![0; plan.pools.len()];
    for domain in plan.domains.iter().filter(|domain| domain.ttl_min < domain.ttl) {
        let mut reached = BTreeSet::new();
        reach(plan, domain, &mut reached);
        for pool in reached {
            let limit: &mut u32 = &mut limits[pool.index()];
            *limit = domain.ttl.max(*limit);
        }
    }
    limits
}

/// Adds every pool that `domain` may answer from, those of the domains below it included.
fn reach(plan: &Plan, domain: &Domain, reached: &mut BTreeSet<PoolId>) {
    for pool in domain.pools().into_iter().chain(domain.fallbacks()) {
        let is_new = reached.insert(pool);
        if let (true, Addresses::Domain(below)) = (is_new, &plan.pools[pool.index()].addresses) {
            reach(plan, &plan.domains[below.index()], reached);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config;

    #[test]
    fn every_pool_that_an_answer_may_come_from_counts() {
        let text = r#"
            zone = [{ name = "example", nameservers = ["ns.example.net"], contact = "c.example.net" }]
            [pool]
            named = { address = [{ name = "one", ip = "192.0.2.1" }] }
            fallback = { address = [{ name = "one", ip = "192.0.2.2" }] }
            nested = { domain = "below.example" }
            below = { address = [{ name = "one", ip = "192.0.2.3" }] }
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
        let mut plan = config::parse("test.toml", text, Path::new("")).expect("it is sound").plan;
        assert_eq!(calm_limits(&plan), [0, 0, 0, 0, 0]);
        plan.domains[0].ttl_min = 1;
        assert_eq!(calm_limits(&plan), [30, 30, 30, 30, 0]);
        plan.domains[1].ttl_min = 1;
        assert_eq!(calm_limits(&plan), [30, 30, 30, 60, 0]);
    }
}
