//! The controller in simulated time.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::rr::RData;
use proptest::prelude::*;

use super::*;
use crate::dns::{Name, Rrset, Rtype, query_message};
use crate::health::{Belief, Failure, HealthMachine, LocalFailure, Thresholds, Verdict};
use crate::plan::{
    Address, AddressState, Addresses, CheckId, CheckKind, Choice, Domain, DomainPolicy, Endpoint,
    HealthCheck, Pool, PoolPolicy, ServiceRules, TcpCheck, WhenAllDown, Zone, ZoneId,
};
use crate::routing::{Client, Counters, Share, Standing, Transport, Worker, answer};

mod addresses;
mod calm;
mod comeback;
mod conditions;
mod consistency;
mod isolation;
mod memory;
mod orders;
mod resolution;
mod verdicts;

/// The check of all pools, unless a test says otherwise.
const CHECK: Check = Check { interval: 500, fall: 2, rise: 2 };

#[derive(Clone, Copy, Debug)]
struct Check {
    /// In milliseconds.
    interval: u64,
    fall: u32,
    rise: u32,
}

/// Pools by name, with the last octets of their addresses in 10.0.0.0/8 by pool.
type Pools<'p> = &'p [(&'p str, &'p [u8])];

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

/// Each pool under its own name, and `www` by priority over all of them.
fn plan(pools: Pools<'_>, check: Check) -> Plan {
    let address = |pool: usize, number: u8| Address {
        name: number.to_string(),
        target: IpAddr::from([10, 0, pool as u8, number]),
        port: Some(80),
        weight: 1,
        rank: 1,
    };
    let soa = [&[0, 0][..], &[0; 20]].concat();
    let domain = |host: &str, pools: Vec<PoolId>| Domain {
        name: name(&format!("{host}.ai.example")),
        zone: ZoneId(0),
        rules: Vec::new(),
        choice: Some(Choice::even(DomainPolicy::Priority, pools)),
        ttl: 5,
        ttl_min: 5,
        client_subnet: true,
        when_all_down: WhenAllDown::ServeAll,
    };
    let ids = (0..pools.len() as u32).map(PoolId);
    let of_each = ids.clone().zip(pools).map(|(id, (pool, _))| domain(pool, vec![id]));
    Plan {
        zones: vec![Zone {
            name: name("ai.example"),
            negative_ttl: 5,
            rrsets: vec![Rrset {
                owner: name("ai.example"),
                rtype: Rtype::SOA,
                ttl: 5,
                rdata: vec![soa.into()],
            }],
        }],
        health_checks: vec![HealthCheck {
            name: "tcp".to_owned(),
            kind: CheckKind::Tcp(TcpCheck::default()),
            interval: Duration::from_millis(check.interval),
            timeout: Duration::from_millis(100),
            fall: check.fall,
            rise: check.rise,
            fast_interval: Duration::from_millis(check.interval),
            initial: Verdict::Unknown,
            tripwire: false,
            damping: None,
        }],
        pools: pools
            .iter()
            .enumerate()
            .map(|(number, (pool, addresses))| Pool {
                name: (*pool).to_owned(),
                coordinates: None,
                bias: 0,
                serves: Vec::new(),
                policy: PoolPolicy::RoundRobin,
                answers: 8,
                health_check: Some(CheckId(0)),
                condition: None,
                service: ServiceRules::default(),
                addresses: Addresses::Ip(addresses.iter().map(|&octet| address(number, octet)).collect()),
                resolved: Vec::new(),
            })
            .map(Arc::new)
            .collect(),
        domains: of_each.chain([domain("www", ids.collect())]).collect(),
        conditions: Vec::new(),
        latencies: Vec::new(),
        isolation: None,
    }
}

/// `plan` with `rules` for its first pool.
fn with_rules(pools: Pools<'_>, rules: ServiceRules) -> Plan {
    let mut plan = plan(pools, CHECK);
    *rules_of(&mut plan, 0) = rules;
    plan
}

fn rules_of(plan: &mut Plan, pool: usize) -> &mut ServiceRules {
    &mut Arc::make_mut(&mut plan.pools[pool]).service
}

fn remove_last_pool(domain: &mut Domain) {
    domain.choice.as_mut().expect("it has no rules").pools.pop();
}

/// Between two probes of one address.
const HALF_SECOND: Duration = Duration::from_millis(500);

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A controller, the time, and what clients are told.
struct World {
    controller: Controller,
    now: Instant,
}

/// What a probe finds: `+` passes, `-` fails, `.` hears nothing, `!` could not be carried out.
fn outcome(symbol: char) -> Outcome {
    match symbol {
        '+' => Outcome::Pass,
        '-' => Outcome::Fail(Failure::Refused),
        '.' => Outcome::Fail(Failure::Unreachable),
        '!' => Outcome::Fail(Failure::Local(LocalFailure::OutOfDescriptors)),
        other => panic!("{other} is no outcome"),
    }
}

/// A probe that took no time.
fn probed(target: TargetId, outcome: Outcome, at: Instant) -> Event {
    Event::Probed { target, outcome, started: at, timings: Timings::default() }
}

#[allow(clippy::disallowed_methods, reason = "simulated time needs some instant to start from")]
fn start() -> Instant {
    Instant::now()
}

impl World {
    fn new(pools: Pools<'_>) -> Self {
        World::of(plan(pools, CHECK))
    }

    fn of(plan: Plan) -> Self {
        let now = start();
        World { controller: Controller::new(Arc::new(plan), Arc::new(GeoTable::empty()), now), now }
    }

    /// The same after a first round in which every probe has passed.
    fn settled(pools: Pools<'_>) -> Self {
        World::settled_of(plan(pools, CHECK))
    }

    fn settled_of(plan: Plan) -> Self {
        let mut world = World::of(plan);
        let targets: Vec<TargetId> = world.controller.watches().map(|(target, ..)| target).collect();
        for target in targets {
            world.pass(HALF_SECOND);
            world.controller.handle(probed(target, Outcome::Pass, world.now), world.now);
        }
        assert!(world.controller.is_settled());
        world
    }

    /// Lets time pass, and happen what is due in it.
    fn pass(&mut self, time: Duration) -> Vec<Notice> {
        let until = self.now + time;
        let mut notices = Vec::new();
        while let Some(due) = self.controller.due().filter(|due| *due <= until) {
            notices.extend(self.controller.handle(Event::Elapsed, due));
            assert!(self.controller.due() > Some(due) || self.controller.due().is_none());
        }
        self.now = until;
        notices
    }

    /// Lets time pass up to `seconds` after `since`.
    fn pass_until(&mut self, since: Instant, seconds: f64) -> Vec<Notice> {
        self.pass(since + Duration::from_secs_f64(seconds) - self.now)
    }

    fn ordered(&mut self, pool: &str, address: Option<&str>, state: AddressState) -> Vec<Notice> {
        self.ordered_for(pool, address, state, None)
    }

    fn ordered_for(
        &mut self,
        pool: &str,
        address: Option<&str>,
        state: AddressState,
        lasts: Option<Duration>,
    ) -> Vec<Notice> {
        let order = Order { state, reason: None, lasts, then: Vec::new() };
        let (pool, address) = (pool.to_owned(), address.map(str::to_owned));
        self.controller.handle(Event::Ordered { pool, address, order }, self.now)
    }

    fn reported(&mut self, pool: &str, address: &str, seconds: Option<u64>) -> Vec<Notice> {
        let absence = seconds.map(|seconds| Absence { reason: None, lasts: secs(seconds) });
        let (pool, address) = (pool.to_owned(), Some(address.to_owned()));
        self.controller.handle(Event::Reported { pool, address, absence }, self.now)
    }

    fn released(&mut self, pool: &str) -> Vec<Notice> {
        self.controller.handle(Event::Released { pool: pool.to_owned() }, self.now)
    }

    fn target(&self, pool: u8, address: u8) -> TargetId {
        let endpoint = Endpoint::Ip([10, 0, pool, address].into());
        let mut watches = self.controller.watches();
        watches.find(|(_, watch, _)| watch.endpoint == endpoint).expect("a watched address").0
    }

    /// Probes of one address, half a second apart, and what came of them.
    fn probed(&mut self, pool: u8, address: u8, symbols: &str) -> Vec<Notice> {
        let target = self.target(pool, address);
        let mut notices = Vec::new();
        for symbol in symbols.chars() {
            notices.extend(self.pass(HALF_SECOND));
            let event = probed(target, outcome(symbol), self.now);
            notices.extend(self.controller.handle(event, self.now));
        }
        notices
    }

    fn reloaded(&mut self, pools: Pools<'_>, check: Check) -> Vec<Notice> {
        self.replaced(plan(pools, check))
    }

    fn replaced(&mut self, plan: Plan) -> Vec<Notice> {
        let world = Box::new(Prepared::new(Arc::new(plan), Arc::new(GeoTable::empty())));
        let event = Event::Replaced { world, orders: Vec::new() };
        self.controller.handle(event, self.now)
    }

    fn generation(&self) -> u64 {
        self.controller.published().load().generation()
    }

    /// The last two octets of every address that `host` is answered with now.
    fn told(&self, host: &str) -> Vec<(u8, u8)> {
        let reply = reply(&self.controller.published().load(), host);
        let message = Message::from_vec(&reply).expect("a good reply");
        let told: BTreeSet<(u8, u8)> = message
            .answers
            .iter()
            .map(|record| match &record.data {
                RData::A(ip) => (ip.octets()[2], ip.octets()[3]),
                other => panic!("{other} is no address"),
            })
            .collect();
        told.into_iter().collect()
    }

    /// The TTL that `host` is answered with now.
    fn ttl(&self, host: &str) -> u32 {
        let reply = reply(&self.controller.published().load(), host);
        Message::from_vec(&reply).expect("a good reply").answers[0].ttl
    }

    /// How the table has the first pool stand.
    fn standing(&self) -> Standing {
        self.controller.published().load().health(PoolId(0)).standing
    }

    /// The shares, in 255ths, that the table gives the addresses of the first pool.
    fn shares(&self) -> Vec<u8> {
        let table = self.controller.published().load();
        table.health(PoolId(0)).shares.iter().map(|share| share.parts()).collect()
    }

    /// For how many seconds the table has a pool calm.
    fn calm(&self, pool: u32) -> u32 {
        self.controller.published().load().health(PoolId(pool)).calm
    }

    fn health(&self, pool: usize, position: usize) -> AddressStatus {
        self.controller.status(self.now).pools[pool].addresses[position].clone()
    }
}

fn reply(table: &RoutingTable, host: &str) -> Vec<u8> {
    let mut worker = Worker::new(1, Arc::<Counters>::default());
    worker.prepare(table);
    let query = query_message(1, &name(&format!("{host}.ai.example")), Rtype::A, None);
    let client = Client { address: Ipv4Addr::LOCALHOST.into(), transport: Transport::Udp };
    let mut reply = vec![0; 1232];
    let length = answer(table, &mut worker, client, &query, &mut reply);
    reply.truncate(length);
    reply
}

/// The kinds of notices, in order.
fn kinds(notices: &[Notice]) -> Vec<&'static str> {
    let kind = |notice: &Notice| match notice {
        Notice::Turned { .. } => "turned",
        Notice::Damped { .. } => "damped",
        Notice::Undamped { .. } => "undamped",
        Notice::Moved { .. } => "moved",
        Notice::Suspected { .. } => "suspected",
        Notice::Isolated { .. } => "isolated",
        Notice::Reconnected { .. } => "reconnected",
        Notice::OrderEnded { .. } => "order-ended",
        Notice::Back { .. } => "back",
        Notice::Drained { .. } => "drained",
        Notice::Settled => "settled",
        Notice::Resolved { .. } => "resolved",
        Notice::Unresolved { .. } => "unresolved",
        Notice::Rewatch { .. } => "rewatch",
        Notice::Rewatched { .. } => "rewatched",
        Notice::Published { .. } => "published",
    };
    notices.iter().map(kind).collect()
}

/// What is told of pools, as the log has it.
fn moves(notices: &[Notice]) -> Vec<String> {
    let of_pools = notices.iter().filter_map(|notice| match notice {
        Notice::Moved { pool, stage, reason, .. } => Some(format!("{pool} {stage}: {reason}")),
        _ => None,
    });
    of_pools.collect()
}
