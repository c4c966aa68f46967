//! The compiled table: everything that a query reads.

use std::sync::Arc;

use super::names::NameIndex;
use super::select::CompiledPool;
use super::steering::{Family, Steering};
use crate::dns::Rtype;
use crate::geo::GeoTable;
use crate::plan::{Plan, PoolId, WhenAllDown};

/// Everything that a query reads, compiled; swapped as a whole and never changed in place.
///
/// A flip of one address makes a new table that shares all but the touched pool with the old
/// one: names, zones, domains and the map are behind one pointer, pools behind one per
/// [`SHARD`] of them.
#[derive(Clone)]
pub struct RoutingTable {
    pub(super) world: Arc<World>,
    shards: Box<[Arc<Shard>]>,
    /// By [`Family`]: which pools have an address to give.
    available: [PoolSet; Family::COUNT],
    generation: u64,
}

/// Pools that are copied together when one of them changes. With 10,000 pools a flip copies 157
/// shard pointers and 64 pool pointers: both small, and near the least of their sum.
const SHARD: usize = 64;

type Shard = Vec<Arc<CompiledPool>>;

/// What only a reload or an edit changes.
pub(super) struct World {
    pub(super) plan: Arc<Plan>,
    pub(super) geo: Arc<GeoTable>,
    pub(super) names: NameIndex,
    pub(super) zones: Vec<CompiledZone>,
    pub(super) rrsets: Vec<CompiledRrset>,
    pub(super) domains: Vec<CompiledDomain>,
    pub(super) steerings: Vec<Steering>,
    /// By [`Family`]: which pools have an address at all, healthy or not.
    pub(super) configured: [PoolSet; Family::COUNT],
}

/// A domain as its answers need it.
pub(super) struct CompiledDomain {
    pub(super) ttl: u32,
    /// Which of the world's steerings.
    pub(super) steering: u32,
    pub(super) when_all_down: WhenAllDown,
}

/// A zone, as far as every answer from it needs it.
pub(super) struct CompiledZone {
    /// The apex in wire form.
    pub(super) apex: Box<[u8]>,
    /// The data of the SOA.
    pub(super) soa: Box<[u8]>,
    pub(super) negative_ttl: u32,
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
        let pools: Vec<Arc<CompiledPool>> = (0..)
            .zip(&plan.pools)
            .map(|(id, pool)| {
                let up = (0..pool.addresses.len()).map(|position| is_up(PoolId(id), position)).collect();
                Arc::new(CompiledPool::new(pool, up, None))
            })
            .collect();
        let mut available = [(); Family::COUNT].map(|()| PoolSet::with_room(pools.len()));
        let mut configured = available.clone();
        for (id, pool) in (0..).map(PoolId).zip(&pools) {
            for family in Family::ALL {
                available[family as usize].set(id, family.is_in(&pool.healthy));
                configured[family as usize].set(id, family.is_in(&pool.all));
            }
        }
        RoutingTable {
            world: Arc::new(World::compile(plan, geo, configured)),
            shards: pools.chunks(SHARD).map(|shard| Arc::new(shard.to_vec())).collect(),
            available,
            generation: 0,
        }
    }

    /// This table with the health of one pool's addresses changed; everything else is shared.
    pub fn with_pool(&self, pool: PoolId, is_up: impl Fn(usize) -> bool) -> Self {
        let mut table = self.clone();
        let old = self.pool(pool);
        let up = (0..old.up.len()).map(is_up).collect();
        let new = CompiledPool::new(&self.world.plan.pools[pool.index()], up, Some(old.all.clone()));
        for family in Family::ALL {
            table.available[family as usize].set(pool, family.is_in(&new.healthy));
        }
        Arc::make_mut(&mut table.shards[pool.index() / SHARD])[pool.index() % SHARD] = Arc::new(new);
        table.generation += 1;
        table
    }

    /// This table as the successor of `before`, by its generation.
    pub fn following(mut self, before: &RoutingTable) -> Self {
        self.generation = before.generation + 1;
        self
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

    /// How many pools there are.
    pub fn pool_count(&self) -> usize {
        self.world.plan.pools.len()
    }

    /// Whether the address at `position` of `pool` is answered as up.
    pub fn is_up(&self, pool: PoolId, position: usize) -> bool {
        self.pool(pool).up[position]
    }

    pub(super) fn pool(&self, pool: PoolId) -> &Arc<CompiledPool> {
        &self.shards[pool.index() / SHARD][pool.index() % SHARD]
    }

    /// Whether `pool` has an address of `family` to give.
    pub(super) fn is_available(&self, family: Family, pool: PoolId) -> bool {
        self.available[family as usize].has(pool)
    }
}
