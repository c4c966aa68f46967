//! The compiled table: everything that a query reads.

use std::sync::Arc;

use super::cookie::CookieSecrets;
use super::names::NameIndex;
use super::select::Choices;
use super::steering::{Family, Steering};
use crate::dns::{Rtype, Template};
use crate::geo::GeoTable;
use crate::plan::{Plan, PoolId};

/// Everything that a query reads, compiled; swapped as a whole and never changed in place.
///
/// A flip of one address makes a new table that shares all but the touched pool with the old
/// one: names, zones, domains and the map are behind one pointer, pools behind one for every
/// [`SHARD`].
#[derive(Clone)]
pub struct RoutingTable {
    pub(super) world: Arc<World>,
    /// What each pool answers with now.
    choices: Shards<Choices>,
    /// Which addresses of each pool are up. Read by no query.
    up: Shards<Box<[bool]>>,
    /// By [`Family`]: which pools have an address to give.
    available: [PoolSet; Family::COUNT],
    /// With what cookies are made; `None`: cookies are ignored.
    cookies: Option<Arc<CookieSecrets>>,
    generation: u64,
}

/// Something of every pool, shared between tables in parts: to change one pool's copies its part.
#[derive(Clone)]
struct Shards<T>(Box<[Arc<[T]>]>);

/// Pools in one part. With 10,000 pools a flip copies 313 pointers and 32 pools of some 200
/// octets: both small, and neither worth more code.
const SHARD: usize = 32;

impl<T: Clone> Shards<T> {
    fn new(all: &[T]) -> Self {
        Shards(all.chunks(SHARD).map(Arc::from).collect())
    }

    fn of(&self, pool: PoolId) -> &T {
        &self.0[pool.index() / SHARD][pool.index() % SHARD]
    }

    fn replace(&mut self, pool: PoolId, new: T) {
        Arc::make_mut(&mut self.0[pool.index() / SHARD])[pool.index() % SHARD] = new;
    }
}

/// What only a reload or an edit changes.
pub(super) struct World {
    pub(super) plan: Arc<Plan>,
    pub(super) geo: Arc<GeoTable>,
    pub(super) names: NameIndex,
    pub(super) zones: Vec<CompiledZone>,
    pub(super) rrsets: Vec<CompiledRrset>,
    pub(super) steerings: Vec<Steering>,
    /// By pool: what it answers with when health is not believed.
    pub(super) all: Vec<Choices>,
    /// By [`Family`]: which pools have an address at all, healthy or not.
    pub(super) configured: [PoolSet; Family::COUNT],
}

/// A zone, as far as every answer from it needs it.
pub(super) struct CompiledZone {
    /// The SOA as negative answers carry it.
    pub(super) soa: Template,
    /// The length of its apex in wire form.
    pub(super) apex_octets: usize,
    /// The zone of this server that it lies in, if it does.
    pub(super) above: Option<u32>,
}

/// A static RRset; its owner is the node that refers to it.
pub(super) struct CompiledRrset {
    pub(super) rtype: Rtype,
    pub(super) ttl: u32,
    pub(super) rdata: Vec<Box<[u8]>>,
}

/// A set of pools, one bit each: 10,000 of them take 1,250 octets, which stay in the first cache.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct PoolSet(Box<[u64]>);

impl PoolSet {
    fn with_room(pools: usize) -> Self {
        PoolSet(vec![0; pools.div_ceil(64)].into())
    }

    pub(super) fn has(&self, pool: PoolId) -> bool {
        self.0[pool.index() / 64] >> (pool.index() % 64) & 1 != 0
    }

    fn set(&mut self, pool: PoolId, member: bool) {
        let bit = 1 << (pool.index() % 64);
        let word = &mut self.0[pool.index() / 64];
        if member { *word |= bit } else { *word &= !bit }
    }
}

impl Default for RoutingTable {
    /// A table without zones: whatever is asked is refused.
    fn default() -> Self {
        RoutingTable::compile(Arc::default(), Arc::new(GeoTable::empty()), |_, _| true)
    }
}

impl RoutingTable {
    /// Compiles `plan` and `geo`; `is_up` says whether the address at a position of a pool is
    /// believed to be up.
    pub fn compile(plan: Arc<Plan>, geo: Arc<GeoTable>, is_up: impl Fn(PoolId, usize) -> bool) -> Self {
        let up: Vec<Box<[bool]>> = (0..)
            .map(PoolId)
            .zip(&plan.pools)
            .map(|(id, pool)| (0..pool.addresses.len()).map(|position| is_up(id, position)).collect())
            .collect();
        let all: Vec<Choices> = plan.pools.iter().map(|pool| Choices::new(pool, |_| true)).collect();
        let choices: Vec<Choices> = plan
            .pools
            .iter()
            .zip(&all)
            .zip(&up)
            .map(|((pool, all), up)| {
                if up.iter().all(|up| *up) {
                    all.clone()
                } else {
                    Choices::new(pool, |position| up[position])
                }
            })
            .collect();
        let mut available = [(); Family::COUNT].map(|()| PoolSet::with_room(all.len()));
        let mut configured = available.clone();
        for (id, (all, choices)) in (0..).map(PoolId).zip(all.iter().zip(&choices)) {
            for family in Family::ALL {
                available[family as usize].set(id, family.is_in(choices));
                configured[family as usize].set(id, family.is_in(all));
            }
        }
        RoutingTable {
            world: Arc::new(World::compile(plan, geo, all, configured)),
            choices: Shards::new(&choices),
            up: Shards::new(&up),
            available,
            cookies: None,
            generation: 0,
        }
    }

    /// This table with the health of one pool's addresses changed; everything else is shared.
    pub fn with_pool(&self, pool: PoolId, is_up: impl Fn(usize) -> bool) -> Self {
        let mut table = self.clone();
        let up: Box<[bool]> = (0..self.up.of(pool).len()).map(is_up).collect();
        let choices = Choices::new(&self.world.plan.pools[pool.index()], |position| up[position]);
        for family in Family::ALL {
            table.available[family as usize].set(pool, family.is_in(&choices));
        }
        table.choices.replace(pool, choices);
        table.up.replace(pool, up);
        table.generation += 1;
        table
    }

    /// This table as the successor of `before`: by its generation, and with its cookies.
    pub fn following(mut self, before: &RoutingTable) -> Self {
        self.generation = before.generation + 1;
        self.cookies = before.cookies.clone();
        self
    }

    /// This table with other secrets of cookies; `None`: it has these. They are in the table, and
    /// not with what else a server says of itself, so that they are replaced without a restart.
    pub fn with_cookies(&self, cookies: Option<CookieSecrets>) -> Option<Self> {
        let is_new = self.cookies() != cookies.as_ref();
        let generation = self.generation + 1;
        is_new.then(|| RoutingTable { cookies: cookies.map(Arc::new), generation, ..self.clone() })
    }

    /// How many tables were published before this one.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// What the table was compiled from.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.world.plan
    }

    /// Where clients are, as the table knows it.
    pub fn geo(&self) -> &Arc<GeoTable> {
        &self.world.geo
    }

    /// With what cookies are made.
    pub(super) fn cookies(&self) -> Option<&CookieSecrets> {
        self.cookies.as_deref()
    }

    /// How many pools there are.
    pub fn pool_count(&self) -> usize {
        self.world.plan.pools.len()
    }

    /// Whether the address at `position` of `pool` is answered as up.
    pub fn is_up(&self, pool: PoolId, position: usize) -> bool {
        self.up.of(pool)[position]
    }

    /// What `pool` answers with now.
    pub(super) fn choices(&self, pool: PoolId) -> &Choices {
        self.choices.of(pool)
    }

    /// Whether `pool` has an address of `family` to give.
    pub(super) fn is_available(&self, family: Family, pool: PoolId) -> bool {
        self.available[family as usize].has(pool)
    }
}
