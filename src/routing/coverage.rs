//! Where the clients of the world are sent.

use std::net::IpAddr;

use serde::Serialize;
use utoipa::ToSchema;

use super::RoutingTable;
use super::explore::{Explorer, Fate};
use super::pool_health::PoolHealth;
use crate::dns::{Name, Rtype};
use crate::geo::Country;
use crate::plan::{Addresses, PoolId};

/// Where one client is sent.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Covered {
    /// The client's country, by its ISO 3166-1 code.
    pub country: String,
    /// The client.
    #[schema(value_type = String)]
    pub client: IpAddr,
    /// The pools that are taken, one below the other; the last gives the addresses. Empty: there is
    /// nothing for the client. Where that is by lot or by turn, the likeliest.
    pub pools: Vec<String>,
    /// All that there can be and how likely each is, where there is more than one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shares: Vec<PoolsShare>,
    /// What `pools` would be with a pool down, where that is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Vec<String>>,
    /// What `shares` would be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub after_shares: Vec<PoolsShare>,
}

/// One of the ways that lots and turns can fall.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct PoolsShare {
    /// The pools that are taken, one below the other.
    pub pools: Vec<String>,
    /// The part of the answers that go this way, from 0 to 1.
    pub share: f64,
}

/// Where each of `clients` is sent that asks for `rtype` at `name`, and would be with the pool `down` out.
/// By the code that answers.
pub fn coverage(
    table: &RoutingTable,
    name: &Name,
    rtype: Rtype,
    clients: &[(Country, IpAddr)],
    down: Option<PoolId>,
) -> Vec<Covered> {
    let without = down.map(|pool| table.without(pool));
    let mut now = Explorer::new(table);
    let mut then = without.as_ref().map(Explorer::new);
    let covered = clients.iter().map(|&(country, client)| {
        let (pools, shares) = told(&now.explore(name, rtype, client));
        let after = then.as_mut().map(|then| told(&then.explore(name, rtype, client)));
        let (after, after_shares) = after.map_or((None, Vec::new()), |(pools, shares)| (Some(pools), shares));
        Covered { country: country.to_string(), client, pools, shares, after, after_shares }
    });
    covered.collect()
}

impl RoutingTable {
    /// This table as if `pool` had nothing up. A pool for whose addresses a domain stands in stays as
    /// it is: it has nothing of its own.
    pub fn without(&self, pool: PoolId) -> RoutingTable {
        match self.pool(pool).addresses {
            Addresses::Domain(_) => self.clone(),
            _ => {
                let down = PoolHealth::from_up(self.pool(pool).addresses.len(), |_| false);
                let withdrawn = self.health(pool).withdrawn.clone();
                self.with_pool(pool, PoolHealth { withdrawn, ..down })
            }
        }
    }
}

/// The likeliest pools, and all with their shares where there are several.
fn told(fate: &Fate<'_>) -> (Vec<String>, Vec<PoolsShare>) {
    let mut shares: Vec<PoolsShare> = Vec::new();
    for (route, share) in fate {
        let pools: Vec<String> = route.pools.iter().map(|pool| (*pool).to_owned()).collect();
        // Ways that differ in addresses only are one.
        match shares.iter_mut().find(|known| known.pools == pools) {
            Some(known) => known.share += share,
            None => shares.push(PoolsShare { pools, share: *share }),
        }
    }
    // Of equals the first by name stays first: the sort is stable.
    shares.sort_by(|one, other| other.share.total_cmp(&one.share));
    let likeliest = shares.first().map(|share| share.pools.clone()).unwrap_or_default();
    if shares.len() < 2 {
        shares.clear();
    }
    (likeliest, shares)
}
