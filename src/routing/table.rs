//! The compiled table: everything that a query reads.

use std::sync::Arc;
use std::time::Instant;

use super::cookie::CookieSecrets;
use super::edges::Edges;
use super::names::{NONE, NameIndex};
use super::pool_health::{PoolHealth, Share, Standing, Tier};
use super::select::Choices;
use super::signed::Signed;
use super::steer::reaches;
use super::steering::{Family, Nested, Steering};
use super::turns::TURNS_EACH;
use crate::dns::{Name, Rrset, Rtype, Template};
use crate::geo::{GeoTable, GeoView};
use crate::plan::{DomainId, Plan, Pool, PoolId};

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
    /// What each pool is and what is believed of it.
    pools: Shards<PoolState>,
    /// By [`Tier`] and [`Family`]: which pools have an address to give.
    sets: [[PoolSet; Family::COUNT]; Tier::COUNT],
    /// The pools that serve a share of the clients, in order.
    returning: Box<[(PoolId, Share)]>,
    /// With what cookies are made; `None`: cookies are ignored.
    cookies: Option<Arc<CookieSecrets>>,
    generation: u64,
    /// When the outcome of a probe was known that it follows from, if it does.
    decided: Option<Instant>,
}

/// What a plan is compiled to before anything is believed of its pools: all that takes long.
pub struct Compiled(RoutingTable);

/// What of a pool only explanations and answers in need read.
#[derive(Clone)]
struct PoolState {
    pool: Arc<Pool>,
    health: PoolHealth,
    /// What it answers with when health is not believed.
    all: Choices,
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
    /// How many counters of turns the steerings have.
    pub(super) turns: usize,
    /// Which pools each domain may take.
    pub(super) edges: Arc<Edges>,
    /// What the first domain that looks at the map sees of it, and so most others: it is fetched from memory for every
    /// query, while the name is looked up that says whether it is needed.
    pub(super) usual_view: Option<Arc<GeoView>>,
}

impl World {
    /// The zone with this apex.
    pub(super) fn zone(&self, apex: &Name) -> Option<u32> {
        // Apexes were entered first, as the first nodes, in the plan's order.
        self.names.exact(apex.wire()).filter(|node| (*node as usize) < self.plan.zones.len())
    }

    /// What a domain below another steers by.
    pub(super) fn steering(&self, nested: Nested) -> &Steering {
        &self.steerings[nested.steering as usize]
    }

    /// What `domain` steers by.
    pub(super) fn steering_of(&self, domain: DomainId) -> &Steering {
        let name = self.plan.domains[domain.index()].name.wire();
        let node = self.names.exact(name).expect("every domain has been entered");
        &self.steerings[self.names.node(node).steering as usize]
    }
}

/// A zone, as far as every answer from it needs it.
pub(super) struct CompiledZone {
    /// The SOA as negative answers carry it.
    pub(super) soa: Template,
    /// The length of its apex in wire form.
    pub(super) apex_octets: usize,
    /// The zone of this server that it lies in, if it does.
    pub(super) above: Option<u32>,
    /// What its signer has added, if it is signed.
    pub(super) signed: Option<Box<Signed>>,
}

/// A static RRset; its owner is the node that refers to it.
pub(super) struct CompiledRrset {
    pub(super) rtype: Rtype,
    pub(super) ttl: u32,
    pub(super) rdata: Vec<Box<[u8]>>,
}

impl CompiledRrset {
    /// The type that it covers, if it is signatures.
    pub(super) fn covers(&self) -> Option<Rtype> {
        self.rdata.first().and_then(|rdata| Rrset::covered(self.rtype, rdata))
    }
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
        RoutingTable::well(Arc::default(), Arc::new(GeoTable::empty()))
    }
}

impl RoutingTable {
    /// Compiles `plan` and `geo`; `health` says what is believed of a pool.
    pub fn compile(plan: Arc<Plan>, geo: Arc<GeoTable>, health: impl Fn(PoolId) -> PoolHealth) -> Self {
        let pools = plan.pools.clone();
        Compiled::new(plan, geo).with_states(|id| (pools[id.index()].clone(), health(id)))
    }

    /// Compiles `plan` and `geo` as if all were well.
    pub fn well(plan: Arc<Plan>, geo: Arc<GeoTable>) -> Self {
        let well = |pool: &Arc<Pool>| PoolState::new(pool.clone(), PoolHealth::well(pool.addresses.len()));
        let states: Vec<(Choices, PoolState)> = plan.pools.iter().map(well).collect();
        let room = PoolSet::with_room(states.len());
        let mut sets = Tier::ALL.map(|_| Family::ALL.map(|_| room.clone()));
        for (id, (choices, state)) in (0..).map(PoolId).zip(&states) {
            enter(&mut sets, id, choices, state);
        }
        let (choices, pools): (Vec<Choices>, Vec<PoolState>) = states.into_iter().unzip();
        RoutingTable {
            world: Arc::new(World::compile(plan, geo)),
            choices: Shards::new(&choices),
            pools: Shards::new(&pools),
            sets,
            returning: Box::default(),
            cookies: None,
            generation: 0,
            decided: None,
        }
    }

    /// This table with something else believed of one pool; everything else is shared.
    pub fn with_pool(&self, pool: PoolId, health: PoolHealth) -> Self {
        self.with_state(pool, PoolState::new(self.pool(pool).clone(), health))
    }

    /// This table with `pool` as it is with other addresses, and what is believed of these;
    /// everything else is shared.
    pub fn with_addresses(&self, id: PoolId, pool: Arc<Pool>, health: PoolHealth) -> Self {
        self.with_state(id, PoolState::new(pool, health))
    }

    /// This table with `pool` in service and those of its addresses up that `is_up` says.
    pub fn with_up(&self, pool: PoolId, is_up: impl Fn(usize) -> bool) -> Self {
        self.with_pool(pool, PoolHealth::from_up(self.pool(pool).addresses.len(), is_up))
    }

    /// This table with something else believed of any of its pools, and other addresses of theirs;
    /// everything else is shared.
    pub fn with_states(&self, state: impl Fn(PoolId) -> (Arc<Pool>, PoolHealth)) -> Self {
        let mut table = self.clone();
        table.enter_all(state);
        table.generation += 1;
        table
    }

    fn enter_all(&mut self, state: impl Fn(PoolId) -> (Arc<Pool>, PoolHealth)) {
        let mut returning = Vec::new();
        for id in (0..).map(PoolId).take(self.pool_count()) {
            let (pool, health) = state(id);
            let before = self.pools.of(id);
            if Arc::ptr_eq(&before.pool, &pool) && before.health == health {
                returning.extend(before.returning().map(|share| (id, share)));
                continue;
            }
            let (choices, state) = PoolState::new(pool, health);
            enter(&mut self.sets, id, &choices, &state);
            returning.extend(state.returning().map(|share| (id, share)));
            self.choices.replace(id, choices);
            self.pools.replace(id, state);
        }
        self.returning = returning.into();
    }

    fn with_state(&self, pool: PoolId, (choices, state): (Choices, PoolState)) -> Self {
        let mut table = self.clone();
        enter(&mut table.sets, pool, &choices, &state);
        let (before, now) = (self.share(pool), state.returning());
        if before.is_some() || now.is_some() {
            let others = self.returning.iter().filter(|(other, _)| *other != pool).copied();
            let mut returning: Vec<(PoolId, Share)> = others.chain(now.map(|share| (pool, share))).collect();
            returning.sort();
            table.returning = returning.into();
        }
        table.choices.replace(pool, choices);
        table.pools.replace(pool, state);
        table.generation += 1;
        table
    }

    /// This table as the successor of `before`: by its generation, with its cookies, and with its edges if
    /// they are the same, so that workers go on counting where they count. All of them are looked at.
    pub fn following(mut self, before: &RoutingTable) -> Self {
        // Whatever is shared is in use already.
        if let Some(world) = Arc::get_mut(&mut self.world)
            && world.edges == before.world.edges
        {
            world.edges = before.world.edges.clone();
        }
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

    /// Whether both were compiled from the same plan: then what they do not share is small.
    pub fn shares_world(&self, other: &RoutingTable) -> bool {
        Arc::ptr_eq(&self.world, &other.world)
    }

    /// How many tables were published before this one.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// This table, which follows from the outcome of a probe that was known at `decided`; `None`: from something else.
    pub fn with_decided(self, decided: Option<Instant>) -> Self {
        RoutingTable { decided, ..self }
    }

    /// When the outcome of a probe was known that the table follows from; `None`: it follows from something else.
    pub fn decided(&self) -> Option<Instant> {
        self.decided
    }

    /// Whether the domain has a pool with a healthy address: else its `when_all_down` says what clients are given.
    pub fn has_healthy(&self, domain: DomainId) -> bool {
        let steering = self.world.steering_of(domain);
        reaches(self, steering, Tier::Healthy, Family::Any)
    }

    /// What the table was compiled from. A pool may have other addresses by now: see
    /// [`pool`](Self::pool).
    pub fn plan(&self) -> &Arc<Plan> {
        &self.world.plan
    }

    /// Each signed zone, and until when all in it has valid signatures, in seconds since 1970.
    pub fn signed_until(&self) -> impl Iterator<Item = (&Name, u32)> {
        let zones = self.world.plan.zones.iter().zip(&self.world.zones);
        zones.filter_map(|(zone, compiled)| Some((&zone.name, compiled.signed.as_ref()?.signed_until)))
    }

    /// The domain of this name, if there is one.
    pub fn domain(&self, name: &Name) -> Option<DomainId> {
        let World { names, edges, .. } = &*self.world;
        let node = names.node(names.exact(name.wire())?);
        (node.edge != NONE).then(|| edges.domain(node.edge))
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

    /// How many counters of turns a worker needs for it.
    pub(super) fn turn_count(&self) -> usize {
        (self.pool_count() + self.world.turns) * TURNS_EACH
    }

    /// The first counter of a choice among pools by turn, by its number among these; those of the pools come before.
    pub(super) fn first_turn(&self, choice: u32) -> usize {
        (self.pool_count() + choice as usize) * TURNS_EACH
    }

    /// A pool, with the addresses that it has now.
    pub fn pool(&self, pool: PoolId) -> &Arc<Pool> {
        &self.pools.of(pool).pool
    }

    /// What is believed of `pool`.
    pub fn health(&self, pool: PoolId) -> &PoolHealth {
        &self.pools.of(pool).health
    }

    /// Whether the address at `position` of `pool` is answered as up.
    pub fn is_up(&self, pool: PoolId, position: usize) -> bool {
        self.health(pool).is_up(position)
    }

    /// Whether `pool` has a healthy address to give, in service or not.
    pub fn has_healthy_address(&self, pool: PoolId) -> bool {
        self.sets[Tier::Healthy as usize].iter().any(|set| set.has(pool))
    }

    /// What `pool` answers with now.
    pub(super) fn choices(&self, pool: PoolId) -> &Choices {
        self.choices.of(pool)
    }

    /// What `pool` answers with when health is not believed.
    pub(super) fn all(&self, pool: PoolId) -> &Choices {
        &self.pools.of(pool).all
    }

    /// The pools of a tier that have an address of `family` to give.
    pub(super) fn set(&self, tier: Tier, family: Family) -> &PoolSet {
        &self.sets[tier as usize][family as usize]
    }

    /// Whether pools serve a share of the clients only.
    pub(super) fn has_returning(&self) -> bool {
        !self.returning.is_empty()
    }

    /// The share of clients that `pool` serves, if not all.
    pub(super) fn share(&self, pool: PoolId) -> Option<Share> {
        let found = self.returning.binary_search_by_key(&pool, |(pool, _)| *pool);
        found.ok().map(|at| self.returning[at].1)
    }
}

impl Compiled {
    /// Compiles `plan` and `geo`.
    pub fn new(plan: Arc<Plan>, geo: Arc<GeoTable>) -> Self {
        Compiled(RoutingTable::well(plan, geo))
    }

    /// What it was compiled from.
    pub fn plan(&self) -> &Arc<Plan> {
        self.0.plan()
    }

    /// The map that it was compiled with.
    pub fn geo(&self) -> &Arc<GeoTable> {
        self.0.geo()
    }

    /// The table; `state` says of each pool of the plan what it is with the addresses that it has
    /// now, and what is believed of these. What is well, as most pools are, is there already.
    pub fn with_states(self, state: impl Fn(PoolId) -> (Arc<Pool>, PoolHealth)) -> RoutingTable {
        let Compiled(mut table) = self;
        table.enter_all(state);
        table
    }
}

impl PoolState {
    /// The state of `pool`, and what it answers with.
    fn new(pool: Arc<Pool>, health: PoolHealth) -> (Choices, Self) {
        let trusted = PoolHealth::from_up(pool.addresses.len(), |position| !health.is_withdrawn(position));
        let all = Choices::new(&pool, &trusted);
        let is_well = health.shares.iter().all(|share| *share == Share::FULL) && health.calm == u32::MAX;
        let choices = if is_well { all.clone() } else { Choices::new(&pool, &health) };
        (choices, PoolState { pool, health, all })
    }

    fn returning(&self) -> Option<Share> {
        match self.health.standing {
            Standing::Returning(share) => Some(share),
            _ => None,
        }
    }
}

/// Enters into the sets what `pool` has to give.
fn enter(
    sets: &mut [[PoolSet; Family::COUNT]; Tier::COUNT],
    pool: PoolId,
    choices: &Choices,
    state: &PoolState,
) {
    // Of which family its addresses will be, nobody knows.
    let has_names = state.pool.resolved.iter().any(|resolved| resolved.address.weight > 0);
    let is_awaited = has_names && !Family::Any.is_in(&state.all);
    for family in Family::ALL {
        let is_healthy = family.is_in(choices);
        let is_in_service = is_healthy && state.health.standing.is_in_service();
        sets[Tier::InService as usize][family as usize].set(pool, is_in_service);
        sets[Tier::Healthy as usize][family as usize].set(pool, is_healthy);
        let is_configured = family.is_in(&state.all);
        sets[Tier::Configured as usize][family as usize].set(pool, is_configured);
        sets[Tier::Expected as usize][family as usize].set(pool, is_configured || is_awaited);
    }
}
