//! Which clients another table would answer otherwise.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::RoutingTable;
use super::explain::{Explanation, explain};
use super::explore::{Explorer, Fate};
use super::names::NONE;
use super::sameness::{Reach, Sameness};
use crate::dns::{Name, Rtype};
use crate::geo::Country;

/// The most clients that a comparison explains, all domains together: at a kilobyte or two for each of
/// the two explanations some megabytes.
pub const MAX_EXPLAINED: usize = 1000;

/// A domain of which some clients would get another answer.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Move {
    /// The domain.
    pub domain: String,
    /// The type asked for.
    #[serde(rename = "type")]
    pub rtype: String,
    /// How many clients were asked for.
    pub asked: usize,
    /// How many of them would get another answer.
    pub moved: usize,
    /// These, in order; the first of them where all domains together have more than
    /// [`MAX_EXPLAINED`].
    pub clients: Vec<MovedClient>,
}

/// A client that would get another answer.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct MovedClient {
    /// Its country, by its ISO 3166-1 code.
    pub country: String,
    /// The client.
    #[schema(value_type = String)]
    pub client: IpAddr,
    /// Why it gets what it gets.
    pub before: Explanation,
    /// Why it would get something else.
    pub after: Explanation,
}

/// Which of `clients` would get another answer from `after` than from `before`: from other pools, one
/// of other addresses, or the same with other chances. Whose turn it is makes no other answer, and
/// neither does how long one may be kept. Told of every domain of either table in which there are some, by
/// the type asked for.
///
/// What cannot have moved is passed over: domains that say the same, of pools that are the same and
/// believed to be. Both tables should have the same map, or nothing is.
pub fn compare(before: &RoutingTable, after: &RoutingTable, clients: &[(Country, IpAddr)]) -> Vec<Move> {
    let mut found = Vec::new();
    let mut comparison = Comparison {
        before: Explorer::new(before),
        after: Explorer::new(after),
        tables: [before, after],
        clients,
        known: HashMap::new(),
    };
    let mut sameness = Sameness::new(before, after);
    for (name, ids) in sameness.domains() {
        if sameness.is_same(ids) {
            continue;
        }
        let mut reach = Reach::default();
        for (table, id) in [before, after].into_iter().zip(ids) {
            id.into_iter().for_each(|id| reach.add(table, id));
        }
        for rtype in types(reach) {
            let moved = comparison.moved(&name, reach, rtype);
            if !moved.is_empty() {
                found.push((name.clone(), rtype, moved));
            }
        }
    }
    let each = (MAX_EXPLAINED / found.len().max(1)).max(1);
    let mut left = MAX_EXPLAINED;
    let told = found.into_iter().map(|(name, rtype, moved)| {
        let count = each.min(left).min(moved.len());
        left -= count;
        let explained = moved[..count].iter().map(|at| {
            let (country, client) = clients[*at];
            MovedClient {
                country: country.to_string(),
                client,
                before: explain(before, &name, rtype, client),
                after: explain(after, &name, rtype, client),
            }
        });
        Move {
            domain: name.to_string(),
            rtype: rtype.to_string(),
            asked: clients.len(),
            moved: moved.len(),
            clients: explained.collect(),
        }
    });
    told.collect()
}

/// What is asked for at a domain: the types of which a pool of it has something in either table.
fn types(reach: Reach) -> Vec<Rtype> {
    let Reach { v4, v6, names, leads_back } = reach;
    // What a name of our own leads to may have either.
    let types = [(Rtype::A, v4 || leads_back), (Rtype::AAAA, v6 || leads_back), (Rtype::CNAME, names)];
    let types: Vec<Rtype> = types.into_iter().filter(|(_, has)| *has).map(|(rtype, _)| rtype).collect();
    // Pools whose names have never resolved have nothing yet.
    if types.is_empty() { vec![Rtype::A] } else { types }
}

struct Comparison<'t, 'c> {
    before: Explorer<'t>,
    after: Explorer<'t>,
    tables: [&'t RoutingTable; 2],
    clients: &'c [(Country, IpAddr)],
    /// What was found of a domain that steers in the same way, in both tables.
    known: HashMap<(Rtype, [Alike; 2]), Arc<[usize]>>,
}

/// What domains have in common that are answered alike: zone and steering.
type Alike = (u32, u32);

impl Comparison<'_, '_> {
    /// The positions of the clients that would get another answer.
    fn moved(&mut self, name: &Name, reach: Reach, rtype: Rtype) -> Arc<[usize]> {
        let alike = self.tables.map(|table| alike(table, name));
        let key = match alike {
            [Some(before), Some(after)] if !reach.leads_back => Some((rtype, [before, after])),
            _ => None,
        };
        if let Some(known) = key.and_then(|key| self.known.get(&key)) {
            return known.clone();
        }
        let moved: Arc<[usize]> = self
            .clients
            .iter()
            .enumerate()
            .filter(|(_, (_, client))| {
                let before = self.before.explore(name, rtype, *client);
                let after = self.after.explore(name, rtype, *client);
                !is_same_fate(&before, &after)
            })
            .map(|(at, _)| at)
            .collect();
        if let Some(key) = key {
            self.known.insert(key, moved.clone());
        }
        moved
    }
}

/// What the domain called `name` has in common with others; `None`: its answers are its own, for it
/// has other records, or is none.
fn alike(table: &RoutingTable, name: &Name) -> Option<Alike> {
    let names = &table.world.names;
    let node = names.node(names.exact(name.wire())?);
    let is_plain = node.edge != NONE && node.rrsets().is_empty() && node.cut == NONE;
    is_plain.then_some((node.zone, node.steering))
}

/// Whether two clients may get the same, and each as likely.
fn is_same_fate(one: &Fate<'_>, other: &Fate<'_>) -> bool {
    /// Below what sums in another order make of the same chances.
    const ROUNDING: f64 = 1e-9;
    let is_as_likely = |one: f64, other: f64| (one - other).abs() < ROUNDING;
    one.len() == other.len()
        && one.iter().zip(other).all(|((route, chance), (other_route, other_chance))| {
            route == other_route && is_as_likely(*chance, *other_chance)
        })
}
