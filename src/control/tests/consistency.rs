//! Whatever happens, what is published follows from what is believed.

use super::*;
use crate::plan::{Damping, Failback, MinAvailable};
use crate::routing::PoolHealth;

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
            let plan = Arc::new(plan(&[("a", &pools[0]), ("b", &pools[1])], check));
            let health = |pool: PoolId| {
                PoolHealth::from_up(pools[pool.index()].len(), |position| is_up(pool, position))
            };
            let anew = RoutingTable::compile(plan.clone(), Arc::new(GeoTable::empty()), health);
            let table = world.controller.published().load();
            for (id, pool) in (0..).map(PoolId).zip(&plan.pools) {
                for (position, _) in plan.watches(pool) {
                    prop_assert_eq!(table.is_up(id, position), anew.is_up(id, position));
                }
            }
            for host in ["a", "b", "www"] {
                prop_assert_eq!(reply(&table, host), reply(&anew, host));
            }
            let watched = pools.iter().map(Vec::len).sum::<usize>();
            prop_assert_eq!(world.controller.is_settled(), beliefs.len() == watched);
        }
    }
}

/// Something that happens to a world in which things take time.
#[derive(Clone, Debug)]
enum Turn {
    /// Of the first or second pool, an address of up to three.
    Probe(u8, u8, char),
    Pass(u64),
    Release(u8),
    Replace(Slowness),
}

/// Everything that takes time.
#[derive(Clone, Debug)]
struct Slowness {
    rules: [ServiceRules; 2],
    damping: Option<Damping>,
    ttl_min: u32,
}

impl Slowness {
    fn plan(&self) -> Plan {
        let mut plan = plan(&[("a", &[0, 1, 2]), ("b", &[0, 1, 2])], CHECK);
        for (pool, rules) in self.rules.into_iter().enumerate() {
            *rules_of(&mut plan, pool) = rules;
        }
        plan.health_checks[0].damping = self.damping;
        plan.domains[2].ttl_min = self.ttl_min;
        plan
    }
}

fn any_rules() -> impl Strategy<Value = ServiceRules> {
    let min_available = prop_oneof![
        (1..=3u32).prop_map(MinAvailable::Addresses),
        (1..=100u8).prop_map(MinAvailable::Percent)
    ];
    let failback = prop_oneof![3 => Just(Failback::Automatic), 1 => Just(Failback::Manual)];
    (min_available, failback, 0..4u64, 0..6u64).prop_map(
        |(min_available, failback, hold_down, slow_start)| ServiceRules {
            min_available,
            failback,
            hold_down: secs(hold_down),
            slow_start: secs(slow_start),
        },
    )
}

fn any_slowness() -> impl Strategy<Value = Slowness> {
    let damping = (1..4u32, 2..10u64, 1..5u64).prop_map(|(flips, window, hold)| Damping {
        flips,
        window: secs(window),
        hold: secs(hold),
    });
    ([any_rules(), any_rules()], proptest::option::of(damping), 0..6u32)
        .prop_map(|(rules, damping, ttl_min)| Slowness { rules, damping, ttl_min })
}

fn any_turn() -> impl Strategy<Value = Turn> {
    let symbol = prop_oneof![4 => Just('+'), 4 => Just('-'), 1 => Just('!')];
    prop_oneof![
        20 => (0..2u8, 0..3u8, symbol).prop_map(|(pool, address, symbol)| Turn::Probe(pool, address, symbol)),
        5 => (0..5000u64).prop_map(Turn::Pass),
        1 => (0..2u8).prop_map(Turn::Release),
        1 => any_slowness().prop_map(Turn::Replace),
    ]
}

impl World {
    fn takes(&mut self, turn: &Turn) {
        match turn {
            Turn::Probe(pool, address, symbol) => {
                self.probed(*pool, *address, &symbol.to_string());
            }
            Turn::Pass(millis) => {
                self.pass(Duration::from_millis(*millis));
            }
            Turn::Release(pool) => {
                self.released(["a", "b"][usize::from(*pool)]);
            }
            Turn::Replace(slowness) => {
                self.replaced(slowness.plan());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Beside a world that publishes what has changed goes one that is compiled anew after every
    /// event, from what it believes then.
    #[test]
    fn a_table_kept_up_is_one_compiled_anew(
        slowness in any_slowness(),
        turns in proptest::collection::vec(any_turn(), 1..80),
    ) {
        let mut plan = slowness.plan();
        let mut kept_up = World::of(plan.clone());
        let mut anew = World { controller: Controller::new(Arc::new(plan.clone()), Arc::new(GeoTable::empty()), kept_up.now), now: kept_up.now };
        for turn in turns {
            if let Turn::Replace(slowness) = &turn {
                plan = slowness.plan();
            }
            kept_up.takes(&turn);
            anew.takes(&turn);
            anew.replaced(plan.clone());
            let (table, other) = (kept_up.controller.published().load(), anew.controller.published().load());
            for pool in [PoolId(0), PoolId(1)] {
                prop_assert_eq!(table.health(pool), other.health(pool), "{:?} after {:?}", pool, turn);
            }
            for host in ["a", "b", "www"] {
                prop_assert_eq!(reply(&table, host), reply(&other, host));
            }
            prop_assert_eq!(kept_up.controller.due(), anew.controller.due());
            prop_assert!(kept_up.controller.due().is_none_or(|due| due > kept_up.now));
        }
    }

    /// Beside a world that goes on goes one whose process is another after every event. All is fresh, and
    /// has been probed: what nothing is known of is not remembered.
    #[test]
    fn who_recalls_goes_on_as_who_never_stopped(
        slowness in any_slowness(),
        turns in proptest::collection::vec(any_turn(), 1..60),
    ) {
        let fresh = |slowness: &Slowness| {
            let mut plan = slowness.plan();
            // Half a second apart by the test: by their own word they may take a day.
            plan.health_checks[0].interval = secs(86_400);
            plan
        };
        let mut plan = fresh(&slowness);
        let mut going_on = World::settled_of(plan.clone());
        let mut anew = going_on.recalled(plan.clone());
        for turn in turns {
            if let Turn::Replace(slowness) = &turn {
                plan = fresh(slowness);
                going_on.replaced(plan.clone());
            } else {
                going_on.takes(&turn);
                anew.takes(&turn);
            }
            anew = anew.recalled(plan.clone());
            let (table, other) = (going_on.controller.published().load(), anew.controller.published().load());
            for pool in [PoolId(0), PoolId(1)] {
                prop_assert_eq!(table.health(pool), other.health(pool), "{:?} after {:?}", pool, turn);
            }
            for host in ["a", "b", "www"] {
                prop_assert_eq!(reply(&table, host), reply(&other, host));
            }
            prop_assert_eq!(going_on.controller.due(), anew.controller.due());
            prop_assert!(anew.controller.is_settled());
        }
    }
}

impl World {
    /// The same in another process, which stands by `plan` and has been told by this one.
    fn recalled(&self, plan: Plan) -> World {
        let moment = Moment { now: self.now, wall: 1_790_000_000_000 };
        let mut controller = Controller::new(Arc::new(plan), Arc::new(GeoTable::empty()), self.now);
        controller.recall(self.controller.memory(moment), secs(3600), moment);
        World { controller, now: self.now }
    }
}
