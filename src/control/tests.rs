//! The controller in simulated time.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::rr::RData;
use proptest::prelude::*;

use super::*;
use crate::dns::{Name, Rrset, Rtype, query_message};
use crate::health::{Failure, LocalFailure};
use crate::plan::{
    Address, Addresses, CheckId, CheckKind, Choice, Domain, DomainPolicy, Endpoint, HealthCheck, Pool,
    PoolPolicy, ServiceRules, WhenAllDown, Zone, ZoneId,
};
use crate::routing::{Client, Counters, Transport, Worker, answer};

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
fn plan(pools: Pools<'_>, check: Check) -> Arc<Plan> {
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
    Arc::new(Plan {
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
            kind: CheckKind::Tcp,
            interval: Duration::from_millis(check.interval),
            timeout: Duration::from_millis(100),
            fall: check.fall,
            rise: check.rise,
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
                service: ServiceRules::default(),
                addresses: Addresses::Ip(addresses.iter().map(|&octet| address(number, octet)).collect()),
            })
            .map(Arc::new)
            .collect(),
        domains: of_each.chain([domain("www", ids.collect())]).collect(),
        latencies: Vec::new(),
    })
}

/// A controller, the time, and what clients are told.
struct World {
    controller: Controller,
    now: Instant,
}

/// What a probe finds: `+` passes, `-` fails, `!` could not be carried out.
fn outcome(symbol: char) -> Outcome {
    match symbol {
        '+' => Outcome::Pass,
        '-' => Outcome::Fail(Failure::Refused),
        '!' => Outcome::Fail(Failure::Local(LocalFailure::OutOfDescriptors)),
        other => panic!("{other} is no outcome"),
    }
}

#[allow(clippy::disallowed_methods, reason = "simulated time needs some instant to start from")]
fn start() -> Instant {
    Instant::now()
}

impl World {
    fn new(pools: Pools<'_>) -> Self {
        World { controller: Controller::new(plan(pools, CHECK), Arc::new(GeoTable::empty())), now: start() }
    }

    /// The same after a first round in which every probe has passed.
    fn settled(pools: Pools<'_>) -> Self {
        let mut world = World::new(pools);
        for (pool, (_, addresses)) in pools.iter().enumerate() {
            for &address in *addresses {
                world.probed(pool as u8, address, "+");
            }
        }
        assert!(world.controller.is_settled());
        world
    }

    fn target(&self, pool: u8, address: u8) -> TargetId {
        let endpoint = Endpoint::Ip([10, 0, pool, address].into());
        let mut watches = self.controller.watches();
        watches.find(|(_, watch)| watch.endpoint == endpoint).expect("a watched address").0
    }

    /// Probes of one address, half a second apart, and what came of them.
    fn probed(&mut self, pool: u8, address: u8, symbols: &str) -> Vec<Notice> {
        let target = self.target(pool, address);
        let mut notices = Vec::new();
        for symbol in symbols.chars() {
            self.now += Duration::from_millis(500);
            let event = Event::Probed { target, outcome: outcome(symbol) };
            notices.extend(self.controller.handle(event, self.now));
        }
        notices
    }

    fn reloaded(&mut self, pools: Pools<'_>, check: Check) -> Vec<Notice> {
        let event = Event::Replaced { plan: plan(pools, check), geo: Arc::new(GeoTable::empty()) };
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
        Notice::Settled => "settled",
        Notice::Rewatch => "rewatch",
        Notice::Published { .. } => "published",
    };
    notices.iter().map(kind).collect()
}

#[test]
fn the_first_round_lets_in_who_passes() {
    let mut world = World::new(&[("a", &[1, 2]), ("b", &[1])]);
    assert!(!world.controller.is_settled());
    // Nobody is known to be up, so that all are given.
    assert_eq!(world.told("a"), [(0, 1), (0, 2)]);
    let generation = world.generation();

    assert_eq!(kinds(&world.probed(0, 2, "+")), ["published", "turned"]);
    assert_eq!(world.told("a"), [(0, 2)], "one is known to be up, the other is not");
    assert_eq!(kinds(&world.probed(0, 1, "-")), ["turned"], "it was not given before either");
    assert_eq!(world.told("www"), [(0, 2)]);
    assert!(!world.controller.is_settled());
    assert_eq!(kinds(&world.probed(1, 1, "+")), ["published", "turned", "settled"]);
    assert!(world.controller.is_settled());
    assert_eq!(world.generation(), generation + 2);
    assert_eq!(kinds(&world.probed(1, 1, "+")), [""; 0], "settled is told once");
}

#[test]
fn a_first_probe_that_could_not_be_made_counts_as_up() {
    let mut world = World::new(&[("a", &[1, 2])]);
    assert_eq!(kinds(&world.probed(0, 1, "!")), ["published"]);
    assert_eq!(world.told("a"), [(0, 1)]);
    assert_eq!(world.health(0, 0).health, "unknown");
    assert_eq!(kinds(&world.probed(0, 2, "!")), ["published", "settled"]);
    assert_eq!(world.told("a"), [(0, 1), (0, 2)]);
    // It was up, and stays so.
    assert_eq!(kinds(&world.probed(0, 1, "+")), ["turned"]);
    assert_eq!(kinds(&world.probed(0, 2, "!!!")), [""; 0]);
    assert_eq!(kinds(&world.probed(0, 2, "-")), ["published", "turned"]);
    assert_eq!(world.told("a"), [(0, 1)]);
}

#[test]
fn a_transition_is_in_the_very_next_answer() {
    let mut world = World::settled(&[("a", &[1, 2]), ("b", &[1])]);
    let generation = world.generation();
    assert_eq!(kinds(&world.probed(0, 1, "-")), [""; 0]);
    assert_eq!(world.told("a"), [(0, 1), (0, 2)], "one failure of two");

    let notices = world.probed(0, 1, "-");
    let [Notice::Published { generation: published }, Notice::Turned { watch, transition }] = &notices[..]
    else {
        panic!("{notices:?}");
    };
    assert_eq!((*published, world.generation()), (generation + 1, generation + 1));
    assert_eq!((&watch.pool[..], &watch.address[..]), ("a", "1"));
    assert_eq!((transition.from, transition.to, transition.at), (Verdict::Up, Verdict::Down, world.now));
    assert_eq!(transition.to_string(), "connection refused, 2 of 2");
    assert_eq!(world.told("a"), [(0, 2)]);

    world.probed(0, 2, "--");
    assert_eq!(world.told("www"), [(1, 1)], "the next pool in order");
    assert_eq!(world.told("a"), [(0, 1), (0, 2)], "all down: as if all were up");
    world.probed(0, 1, "++");
    assert_eq!((world.told("www"), world.told("a")), (vec![(0, 1)], vec![(0, 1)]));
    assert_eq!(world.generation(), generation + 3);
}

#[test]
fn flapping_below_the_thresholds_changes_nothing() {
    let mut world = World::settled(&[("a", &[1, 2])]);
    let generation = world.generation();
    assert_eq!(world.probed(0, 1, &"+-".repeat(100)), []);
    assert_eq!(world.probed(0, 1, "+!-!+-!!!+"), []);
    assert_eq!((world.generation(), world.told("a")), (generation, vec![(0, 1), (0, 2)]));
}

#[test]
fn outcomes_of_what_is_not_watched_any_more_are_ignored() {
    let mut world = World::settled(&[("a", &[1, 2])]);
    let gone = world.target(0, 2);
    world.reloaded(&[("a", &[1])], CHECK);
    for target in [gone, TargetId(u64::MAX)] {
        let event = Event::Probed { target, outcome: outcome('-') };
        assert_eq!(world.controller.handle(event, world.now), []);
    }
    // The address comes back: another target, so that a late probe of the old one means nothing.
    world.reloaded(&[("a", &[1, 2])], CHECK);
    assert_ne!(world.target(0, 2), gone);
}

#[test]
fn a_reload_keeps_what_is_known_of_addresses_that_stay() {
    let mut world = World::settled(&[("a", &[1, 2, 3]), ("b", &[1])]);
    world.probed(0, 1, "--");
    world.probed(0, 2, "-");
    let (since, generation) = (world.health(0, 0).since_seconds, world.generation());
    assert!(since > Some(0.0));
    let kept = world.target(0, 1);

    // The same again.
    let notices = world.reloaded(&[("a", &[1, 2, 3]), ("b", &[1])], CHECK);
    assert_eq!(kinds(&notices), ["published", "rewatch", "settled"]);
    assert_eq!(world.generation(), generation + 1);
    assert_eq!(world.target(0, 1), kept);
    assert_eq!(world.told("a"), [(0, 2), (0, 3)]);

    // Another interval and other thresholds, another order, one gone, one new.
    let notices =
        world.reloaded(&[("a", &[4, 2, 1]), ("b", &[1])], Check { interval: 100, fall: 1, rise: 3 });
    assert_eq!(kinds(&notices), ["published", "rewatch"]);
    assert!(!world.controller.is_settled(), "of one nothing is known");
    assert_ne!(world.target(0, 1), kept, "what is to be done has changed");
    assert_eq!(world.told("a"), [(0, 2)], "the new one waits for its first probe");
    assert_eq!(world.health(0, 2).health, "down");
    assert_eq!(world.health(0, 2).since_seconds, since);
    assert_eq!(world.health(0, 0).health, "unknown");

    // Of its streak of one failure the second address keeps all, and one is enough now.
    assert_eq!(world.health(0, 1).streak, 1);
    assert_eq!(kinds(&world.probed(0, 2, "-")), ["published", "turned"]);
    assert_eq!(kinds(&world.probed(0, 1, "++")), [""; 0], "three are wanted now");
    assert_eq!(kinds(&world.probed(0, 1, "+")), ["published", "turned"]);
    assert_eq!(kinds(&world.probed(0, 4, "+")), ["published", "turned", "settled"]);
    assert_eq!(world.told("a"), [(0, 1), (0, 4)]);

    // What left is forgotten: when it comes back it is new.
    world.reloaded(&[("a", &[4])], CHECK);
    world.reloaded(&[("a", &[4, 1]), ("b", &[1])], CHECK);
    assert_eq!(world.told("a"), [(0, 4)]);
    assert_eq!(world.health(0, 1).health, "unknown");
    assert!(!world.controller.is_settled());
}

#[test]
fn only_the_controller_lets_go_of_tables() {
    let mut world = World::settled(&[("a", &[1, 2])]);
    let reader = world.controller.published().load_full();
    let old = Arc::downgrade(&reader);
    world.probed(0, 1, "--");
    // What the reader lets go of is still there.
    drop(reader);
    assert_eq!(old.strong_count(), 1);
    world.probed(0, 2, "+");
    assert_eq!(old.strong_count(), 0, "the next event has cleared it away");

    let reader = world.controller.published().load_full();
    world.probed(0, 1, "++");
    world.probed(0, 1, "++++");
    assert_eq!(Arc::strong_count(&reader), 2, "kept as long as a reader has it");
}

#[test]
fn the_status_says_what_is_known() {
    let mut world = World::new(&[("a", &[1, 2, 3])]);
    world.probed(0, 1, "++");
    world.probed(0, 2, "+---");
    world.now += Duration::from_secs(10);
    let status = world.controller.status(world.now);
    assert_eq!(status.generation, world.generation());
    assert_eq!(status.domains.len(), 2);
    let domain = &status.domains[1];
    assert_eq!((&domain.name[..], &domain.policy[..], domain.ttl), ("www.ai.example", "priority", 5));
    assert_eq!(domain.pools, ["a"]);
    let pool = &status.pools[0];
    assert_eq!((&pool.name[..], &pool.policy[..], pool.available), ("a", "round-robin", 1));
    let told: Vec<_> = pool
        .addresses
        .iter()
        .map(|address| {
            let AddressStatus {
                name,
                target,
                weight,
                health,
                available,
                since_seconds,
                streak,
                last_failure,
            } = address;
            (
                (&name[..], &target[..], *weight),
                (&health[..], *available, *since_seconds, *streak, last_failure.as_deref()),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            // Up since its first of two probes, the second address' four came behind.
            (("1", "10.0.0.1", 1), ("up", true, Some(12.5), 2, None)),
            (("2", "10.0.0.2", 1), ("down", false, Some(10.5), 3, Some("connection refused"))),
            (("3", "10.0.0.3", 1), ("unknown", false, None, 0, None)),
        ]
    );
}

/// Something that happens to a world of two pools with up to four addresses each.
#[derive(Clone, Debug)]
enum Step {
    Probe {
        pool: u8,
        address: u8,
        symbol: char,
    },
    /// To a plan with the addresses whose bits are set; a pool without any has address 9.
    Reload {
        addresses: [u8; 2],
        check: Check,
    },
}

fn any_step() -> impl Strategy<Value = Step> {
    let symbol = prop_oneof![4 => Just('+'), 4 => Just('-'), 1 => Just('!')];
    let probe =
        (0..2u8, 0..4u8, symbol).prop_map(|(pool, address, symbol)| Step::Probe { pool, address, symbol });
    let check =
        (100..103u64, 1..4u32, 1..4u32).prop_map(|(interval, fall, rise)| Check { interval, fall, rise });
    let reload = (any::<[u8; 2]>(), prop_oneof![Just(CHECK), check])
        .prop_map(|(addresses, check)| Step::Reload { addresses, check });
    prop_oneof![12 => probe, 1 => reload]
}

fn chosen(bits: u8) -> Vec<u8> {
    let chosen: Vec<u8> = (0..4).filter(|bit| bits & (1 << bit) != 0).collect();
    if chosen.is_empty() { vec![9] } else { chosen }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_published_follows_from_what_is_believed(
        steps in proptest::collection::vec(any_step(), 1..120),
    ) {
        let mut pools = [chosen(0xf), chosen(0xf)];
        let mut world = World::new(&[("a", &pools[0]), ("b", &pools[1])]);
        let mut beliefs: HashMap<(usize, u8), (HealthMachine, bool)> = HashMap::new();
        let mut check = CHECK;
        for step in steps {
            let thresholds = Thresholds { fall: check.fall, rise: check.rise };
            let before = world.generation();
            let notices = match step {
                Step::Probe { pool, address, symbol } => {
                    if !pools[usize::from(pool)].contains(&address) {
                        continue;
                    }
                    let belief = beliefs.entry((usize::from(pool), address));
                    let (machine, has_told) = belief.or_insert_with(|| (HealthMachine::new(thresholds), false));
                    *has_told = true;
                    let notices = world.probed(pool, address, &symbol.to_string());
                    machine.observe(&outcome(symbol), world.now);
                    notices
                }
                Step::Reload { addresses, check: new } => {
                    pools = addresses.map(chosen);
                    check = new;
                    let thresholds = Thresholds { fall: check.fall, rise: check.rise };
                    beliefs.retain(|(pool, address), _| pools[*pool].contains(address));
                    for (machine, _) in beliefs.values_mut() {
                        *machine = machine.clone().with_thresholds(thresholds);
                    }
                    world.reloaded(&[("a", &pools[0]), ("b", &pools[1])], check)
                }
            };
            let published = kinds(&notices).iter().filter(|kind| **kind == "published").count();
            prop_assert_eq!(world.generation(), before + published as u64);

            let is_up = |pool: PoolId, position: usize| {
                let belief = beliefs.get(&(pool.index(), pools[pool.index()][position]));
                belief.is_some_and(|(machine, has_told)| match machine.verdict() {
                    Verdict::Up => true,
                    Verdict::Down => false,
                    Verdict::Unknown => *has_told,
                })
            };
            let plan = plan(&[("a", &pools[0]), ("b", &pools[1])], check);
            let health = |pool: PoolId| {
                let addresses = plan.pools[pool.index()].addresses.len();
                PoolHealth::from_up(addresses, |position| is_up(pool, position))
            };
            let anew = RoutingTable::compile(plan.clone(), Arc::new(GeoTable::empty()), health);
            let table = world.controller.published().load();
            for (pool, position, _) in plan.watches() {
                prop_assert_eq!(table.is_up(pool, position), anew.is_up(pool, position));
            }
            for host in ["a", "b", "www"] {
                prop_assert_eq!(reply(&table, host), reply(&anew, host));
            }
            let watched = pools.iter().map(Vec::len).sum::<usize>();
            prop_assert_eq!(world.controller.is_settled(), beliefs.len() == watched);
        }
    }
}
