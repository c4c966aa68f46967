//! What a pool depends on besides its own addresses.

use std::collections::BTreeSet;

use super::{CheckId, ConditionId, Endpoint, Plan, PoolId, Watch};

/// Something that holds or does not: a check of one place, or what is made of others.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// Its name in the configuration.
    pub name: String,
    /// When it holds.
    pub rule: ConditionRule,
}

/// When a condition holds.
#[derive(Clone, Debug, PartialEq)]
pub enum ConditionRule {
    /// While a place, which need not be an address of any pool, passes a check.
    Check {
        /// The check.
        check: CheckId,
        /// The place.
        endpoint: Endpoint,
        /// The port to connect to; `None`: the check's own.
        port: Option<u16>,
    },
    /// While enough of others do. Never without any.
    Of {
        /// How many.
        quorum: Quorum,
        /// The others.
        members: Vec<Member>,
    },
}

/// How many of a condition's members have to be well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quorum {
    /// All of them.
    All,
    /// One at least.
    Any,
    /// As many at least.
    AtLeast(usize),
    /// None of them.
    Not,
}

/// What a condition is made of.
#[derive(Clone, Debug, PartialEq)]
pub enum Member {
    /// It is well while that condition holds.
    Condition(ConditionId),
    /// It is well while that pool is in service.
    Pool(PoolId),
    /// It is well while the address of that name in that pool is given to clients; of a name that
    /// is resolved, one of its addresses.
    Address(PoolId, String),
}

impl Quorum {
    /// Whether it is reached, by what is known of each member; `None`: that depends on members of
    /// which nothing is known yet.
    pub fn is_reached(self, members: impl Iterator<Item = Option<bool>>) -> Option<bool> {
        let (mut well, mut unknown, mut all) = (0, 0, 0);
        for member in members {
            all += 1;
            match member {
                Some(true) => well += 1,
                Some(false) => {}
                None => unknown += 1,
            }
        }
        let at_least = |needed: usize| match () {
            () if well >= needed => Some(true),
            () if well + unknown < needed => Some(false),
            () => None,
        };
        match self {
            Quorum::All => at_least(all),
            Quorum::Any => at_least(1),
            Quorum::AtLeast(needed) => at_least(needed),
            Quorum::Not => at_least(1).map(|holds| !holds),
        }
    }
}

impl Plan {
    /// How the place of a condition is watched, if that is a check.
    pub fn watch_of(&self, condition: ConditionId) -> Option<Watch> {
        let Condition { name, rule } = &self.conditions[condition.index()];
        let ConditionRule::Check { check, endpoint, port } = rule else { return None };
        let check = &self.health_checks[check.index()];
        Some(Watch {
            pool: None,
            address: name.clone(),
            endpoint: endpoint.clone(),
            resolved_from: None,
            port: port.or(check.default_port()),
            check: check.clone(),
        })
    }

    /// What a member is, as it is written.
    pub fn member_name(&self, member: &Member) -> String {
        let pool = |pool: PoolId| &self.pools[pool.index()].name;
        match member {
            Member::Condition(condition) => self.conditions[condition.index()].name.clone(),
            Member::Pool(id) => format!("pool:{}", pool(*id)),
            Member::Address(id, address) => format!("address:{}/{address}", pool(*id)),
        }
    }

    /// Every pool and every condition that `condition` looks at, itself included.
    pub fn below(&self, condition: ConditionId) -> (BTreeSet<PoolId>, BTreeSet<ConditionId>) {
        let mut pools = BTreeSet::new();
        let mut conditions = BTreeSet::from([condition]);
        let mut waiting = vec![condition];
        while let Some(next) = waiting.pop() {
            let ConditionRule::Of { members, .. } = &self.conditions[next.index()].rule else { continue };
            for member in members {
                match member {
                    Member::Condition(member) if conditions.insert(*member) => waiting.push(*member),
                    Member::Condition(_) => {}
                    Member::Pool(pool) | Member::Address(pool, _) => {
                        pools.insert(*pool);
                    }
                }
            }
        }
        (pools, conditions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_decides_nothing_that_is_not_decided_without() {
        let (yes, no, open) = (Some(true), Some(false), None);
        for (quorum, members, expected) in [
            (Quorum::All, vec![yes, yes], yes),
            (Quorum::All, vec![yes, no], no),
            (Quorum::All, vec![yes, open], open),
            (Quorum::All, vec![no, open], no),
            (Quorum::Any, vec![no, no], no),
            (Quorum::Any, vec![no, yes], yes),
            (Quorum::Any, vec![open, yes], yes),
            (Quorum::Any, vec![open, no], open),
            (Quorum::AtLeast(2), vec![yes, no, yes], yes),
            (Quorum::AtLeast(2), vec![yes, no, no], no),
            (Quorum::AtLeast(2), vec![yes, no, open], open),
            (Quorum::AtLeast(2), vec![no, no, open], no),
            (Quorum::Not, vec![no], yes),
            (Quorum::Not, vec![yes], no),
            (Quorum::Not, vec![open], open),
            (Quorum::Not, vec![no, no, yes], no),
        ] {
            assert_eq!(quorum.is_reached(members.iter().copied()), expected, "{quorum:?} of {members:?}");
        }
    }
}
