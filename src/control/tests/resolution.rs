//! Addresses that names resolve to.

use super::*;
use crate::plan::{MinAvailable, Resolved};
use crate::routing::Compiled;

/// `plan`, with names in its first pool behind the addresses that are written.
fn with_names(pools: Pools<'_>, names: &[&str]) -> Plan {
    let mut plan = plan(pools, CHECK);
    let pool = Arc::make_mut(&mut plan.pools[0]);
    let position = pool.addresses.len();
    pool.resolved = names
        .iter()
        .map(|host| Resolved {
            address: Address {
                name: (*host).to_owned(),
                target: name(host),
                port: Some(80),
                weight: 1,
                rank: 1,
            },
            position,
        })
        .collect();
    plan
}

/// What is said of a name: its last octets in 10.0.0.0/24, that there is none, or nothing at all.
enum Says<'s> {
    Has(&'s [u8]),
    NoSuchName,
    Nobody,
}

use Says::{Has, NoSuchName, Nobody};

impl World {
    fn resolved(&mut self, host: &str, says: Says<'_>) -> Vec<Notice> {
        let both = |found: Found| Lookup { v4: found.clone(), v6: found };
        let lookup = match says {
            Has(octets) => Lookup {
                v4: Found::Addresses(octets.iter().map(|octet| IpAddr::from([10, 0, 0, *octet])).collect()),
                v6: Found::Nothing,
            },
            NoSuchName => both(Found::NoSuchName),
            Nobody => both(Found::Failed("timed out".to_owned())),
        };
        self.controller.handle(Event::Resolved { name: name(host), lookup }, self.now)
    }

    fn names(&self) -> Vec<String> {
        let table = self.controller.published().load();
        table.pool(PoolId(0)).addresses.names().into_iter().map(str::to_owned).collect()
    }

    /// The last octets of the watched addresses of the first pool.
    fn watched(&self) -> Vec<u8> {
        let endpoints = self.controller.watches().filter(|(_, watch, _)| watch.pool_or_none() == "a");
        let mut octets: Vec<u8> = endpoints
            .map(|(_, watch, _)| match &watch.endpoint {
                Endpoint::Ip(IpAddr::V4(ip)) => ip.octets()[3],
                other => panic!("{other}"),
            })
            .collect();
        octets.sort();
        octets
    }
}

#[test]
fn the_first_round_waits_for_names_and_then_for_their_addresses() {
    let mut world = World::of(with_names(&[("a", &[]), ("b", &[1])], &["alb"]));
    assert_eq!(world.told("a"), []);
    world.probed(1, 1, "+");
    assert_eq!(world.told("www"), [(1, 1)], "without addresses the pool is passed over");
    assert!(!world.controller.is_settled());
    assert_eq!(kinds(&world.resolved("alb", Nobody)), ["unresolved"], "that is no answer yet");
    assert!(!world.controller.is_settled());

    let notices = world.resolved("alb", Has(&[7, 8]));
    assert_eq!(kinds(&notices), ["published", "rewatched", "resolved"]);
    assert_eq!(world.names(), ["alb/10.0.0.7", "alb/10.0.0.8"]);
    assert!(!world.controller.is_settled());
    assert_eq!(world.told("www"), [(1, 1)], "they wait for their first probe");
    assert_eq!(kinds(&world.probed(0, 7, "+")), ["published", "turned"]);
    assert_eq!(world.told("www"), [(0, 7)]);
    assert_eq!(kinds(&world.probed(0, 8, "+")), ["published", "turned", "settled"]);
    assert_eq!(world.told("a"), [(0, 7), (0, 8)]);
}

#[test]
fn a_name_that_does_not_exist_holds_up_nobody() {
    let mut world = World::of(with_names(&[("a", &[])], &["alb"]));
    let notices = world.resolved("alb", NoSuchName);
    assert_eq!(kinds(&notices), ["moved", "unresolved", "settled"]);
    assert_eq!(moves(&notices), ["a out of service: it has no addresses"]);
    let notices = world.resolved("alb", Has(&[7]));
    assert!(kinds(&notices).contains(&"resolved"));
    let notices = world.probed(0, 7, "+");
    assert_eq!(moves(&notices), ["a in service: it serves all its clients"]);
    assert_eq!(world.told("www"), [(0, 7)]);
}

#[test]
fn a_pool_whose_names_do_not_resolve_is_down() {
    let answers = |then: WhenAllDown| {
        let mut plan = with_names(&[("a", &[]), ("b", &[1])], &["alb"]);
        let www = plan.domains.last_mut().expect("there is one");
        remove_last_pool(www);
        www.when_all_down = then;
        let mut world = World::of(plan);
        world.probed(1, 1, "+");
        let before = (rcode(&world), world.told("www"));
        world.resolved("alb", Has(&[7]));
        world.probed(0, 7, "+");
        (before, world.told("www"))
    };
    let there = vec![(0, 7)];
    assert_eq!(answers(WhenAllDown::Fallback(PoolId(1))), ((0, vec![(1, 1)]), there.clone()));
    assert_eq!(answers(WhenAllDown::Servfail), ((2, vec![]), there.clone()));
    assert_eq!(answers(WhenAllDown::ServeAll), ((0, vec![]), there));
}

fn rcode(world: &World) -> u8 {
    reply(&world.controller.published().load(), "www")[3] & 0xf
}

#[test]
fn each_resolved_address_is_watched_on_its_own() {
    let mut world = World::of(with_names(&[("a", &[1]), ("b", &[1])], &["alb"]));
    world.resolved("alb", Has(&[7, 8]));
    for address in [1, 7, 8] {
        world.probed(0, address, "+");
    }
    assert_eq!(world.told("a"), [(0, 1), (0, 7), (0, 8)]);
    let notices = world.probed(0, 7, "--");
    let Some(Notice::Turned { watch, .. }) = notices.get(1) else { panic!("{notices:?}") };
    assert_eq!((&watch.address[..], watch.port), ("alb/10.0.0.7", Some(80)));
    assert_eq!(world.told("a"), [(0, 1), (0, 8)]);

    // What stays is as it was; what is new waits for its probe; what is gone is forgotten.
    let (down, up) = (world.target(0, 7), world.target(0, 1));
    let notices = world.resolved("alb", Has(&[7, 9]));
    let [_, Notice::Rewatched { started, stopped }, Notice::Resolved { .. }] = &notices[..] else {
        panic!("{notices:?}")
    };
    assert_eq!((started.len(), stopped.len()), (1, 1));
    assert_eq!(&started[0].1.address, "alb/10.0.0.9");
    assert_eq!((world.target(0, 7), world.target(0, 1)), (down, up));
    assert_eq!((world.told("a"), world.watched()), (vec![(0, 1)], vec![1, 7, 9]));
    world.probed(0, 9, "+");
    assert_eq!(world.told("a"), [(0, 1), (0, 9)]);
    assert_eq!(world.told("www"), [(0, 1), (0, 9)]);
}

#[test]
fn the_same_answer_again_changes_nothing() {
    let mut world = World::of(with_names(&[("a", &[])], &["alb"]));
    world.resolved("alb", Has(&[7, 8]));
    world.probed(0, 7, "+");
    let generation = world.generation();
    assert_eq!(world.resolved("alb", Has(&[8, 7])), []);
    assert_eq!(kinds(&world.resolved("alb", Nobody)), ["unresolved"]);
    assert_eq!(kinds(&world.resolved("alb", NoSuchName)), [""; 0], "told once");
    assert_eq!(kinds(&world.resolved("alb", Has(&[7, 8]))), ["resolved"]);
    assert_eq!(kinds(&world.resolved("other", Has(&[1]))), [""; 0], "nobody asked");
    assert_eq!((world.generation(), world.told("a")), (generation, vec![(0, 7)]));
}

#[test]
fn all_new_addresses_take_over_when_one_has_been_probed() {
    let mut world = World::of(with_names(&[("a", &[]), ("b", &[1])], &["alb"]));
    world.resolved("alb", Has(&[1, 2]));
    for (pool, address) in [(0, 1), (0, 2), (1, 1)] {
        world.probed(pool, address, "+");
    }
    world.resolved("alb", Has(&[7, 8]));
    assert_eq!(world.told("www"), [(0, 1), (0, 2)], "nothing is known of the others");
    // Once more before that.
    world.resolved("alb", Has(&[8, 9]));
    assert_eq!(world.told("www"), [(0, 1), (0, 2)]);
    assert_eq!(world.watched(), [1, 2, 7, 8, 9]);
    let notices = world.probed(0, 9, "+");
    assert_eq!(kinds(&notices), ["published", "turned", "rewatched"]);
    assert_eq!((world.told("www"), world.watched()), (vec![(0, 9)], vec![8, 9]));
    // One that fails takes over as well: the others are not the site's any more.
    world.resolved("alb", Has(&[3]));
    world.probed(0, 3, "-");
    assert_eq!((world.told("www"), world.watched()), (vec![(1, 1)], vec![3]));
    assert_eq!(world.names(), ["alb/10.0.0.3"]);
}

#[test]
fn one_type_that_cannot_be_found_out_is_told_once() {
    let mut world = World::of(with_names(&[("a", &[])], &["alb"]));
    let mut half = |octet: u8| {
        let lookup = Lookup {
            v4: Found::Addresses(vec![[10, 0, 0, octet].into()]),
            v6: Found::Failed("timed out".to_owned()),
        };
        let event = Event::Resolved { name: name("alb"), lookup };
        kinds(&world.controller.handle(event, world.now)).pop()
    };
    assert_eq!([half(7), half(7), half(8)], [Some("unresolved"), None, Some("resolved")]);
}

#[test]
fn without_a_check_resolved_addresses_count_at_once() {
    let mut plan = with_names(&[("a", &[])], &["alb"]);
    Arc::make_mut(&mut plan.pools[0]).health_check = None;
    let mut world = World::of(plan);
    assert_eq!(
        kinds(&world.resolved("alb", Has(&[7, 8]))),
        ["published", "rewatched", "resolved", "settled"]
    );
    assert_eq!(world.told("www"), [(0, 7), (0, 8)]);
    world.resolved("alb", Has(&[9]));
    assert_eq!(world.told("www"), [(0, 9)]);
}

#[test]
fn an_address_is_given_once_whoever_names_it() {
    let mut world = World::of(with_names(&[("a", &[1])], &["one", "two"]));
    world.resolved("one", Has(&[1, 7]));
    world.resolved("two", Has(&[7, 8]));
    assert_eq!(world.names(), ["1", "one/10.0.0.7", "two/10.0.0.8"]);
    for address in [1, 7, 8] {
        world.probed(0, address, "+");
    }
    // The other name has it still, and what is known of it is known.
    world.resolved("one", Has(&[1]));
    assert_eq!(world.names(), ["1", "two/10.0.0.7", "two/10.0.0.8"]);
    assert_eq!(world.told("www"), [(0, 1), (0, 7), (0, 8)]);
    assert_eq!(world.watched(), [1, 7, 8]);
}

#[test]
fn a_name_in_two_pools_is_one_name() {
    let mut plan = with_names(&[("a", &[]), ("b", &[1])], &["alb"]);
    let resolved = plan.pools[0].resolved.clone();
    Arc::make_mut(&mut plan.pools[1]).resolved = resolved;
    let mut world = World::of(plan);
    assert_eq!(world.controller.names().count(), 1);
    let notices = world.resolved("alb", Has(&[7]));
    assert_eq!(kinds(&notices), ["published", "rewatched", "published", "rewatched", "resolved"]);
    let watched: Vec<String> = world
        .controller
        .watches()
        .filter(|(_, watch, _)| watch.address == "alb/10.0.0.7")
        .map(|(_, watch, _)| watch.pool_or_none().to_owned())
        .collect();
    assert_eq!(watched.len(), 2, "{watched:?}");
}

#[test]
fn a_reload_keeps_answers_of_names_that_stay() {
    let pools: Pools<'_> = &[("a", &[1])];
    let mut world = World::of(with_names(pools, &["one", "two"]));
    world.resolved("one", Has(&[7]));
    world.resolved("two", Has(&[8]));
    for address in [1, 7, 8] {
        world.probed(0, address, "+");
    }
    let kept = world.target(0, 7);
    let notices = world.replaced(with_names(&[("a", &[1, 2])], &["one", "three"]));
    assert_eq!(kinds(&notices), ["published", "rewatch"]);
    assert_eq!(world.names(), ["1", "2", "one/10.0.0.7"]);
    assert_eq!((world.told("a"), world.target(0, 7)), (vec![(0, 1), (0, 7)], kept));
    world.probed(0, 2, "+");
    assert!(!world.controller.is_settled(), "of one name nothing is known");
    assert_eq!(kinds(&world.resolved("two", Has(&[9]))), [""; 0], "it is not asked for any more");
    world.resolved("three", NoSuchName);
    assert!(world.controller.is_settled());
    // What was kept of a name that left is forgotten with it.
    world.resolved("one", Has(&[9]));
    world.replaced(with_names(pools, &[]));
    world.replaced(with_names(pools, &["one"]));
    assert_eq!(world.names(), ["1"]);
    for octet in [7, 1] {
        world.resolved("one", Has(&[7]));
        world.probed(0, octet, "+");
    }
    assert_eq!(world.told("a"), [(0, 1), (0, 7)]);
    // What is kept for a moment is kept over a reload as well.
    world.resolved("one", Has(&[9]));
    world.replaced(with_names(pools, &["one"]));
    assert_eq!(world.told("a"), [(0, 1), (0, 7)]);
    world.probed(0, 9, "+");
    assert_eq!(world.told("a"), [(0, 1), (0, 9)]);
}

#[test]
fn a_name_that_is_gone_takes_its_addresses_along_after_a_day() {
    let mut world = World::of(with_names(&[("a", &[]), ("b", &[1])], &["alb"]));
    world.resolved("alb", Has(&[7]));
    for (pool, address) in [(0, 7), (1, 1)] {
        world.probed(pool, address, "+");
    }
    world.resolved("alb", NoSuchName);
    world.pass(secs(24 * 3600 - 1));
    world.resolved("alb", NoSuchName);
    assert_eq!(world.told("www"), [(0, 7)]);
    world.pass(secs(1));
    let notices = world.resolved("alb", NoSuchName);
    assert_eq!(kinds(&notices), ["published", "moved", "rewatched", "unresolved"]);
    assert_eq!((world.told("www"), world.watched()), (vec![(1, 1)], vec![]));
}

#[test]
fn a_pool_is_not_short_of_what_is_not_known_yet() {
    let mut plan = with_names(&[("a", &[1]), ("b", &[1])], &["alb"]);
    rules_of(&mut plan, 0).min_available = MinAvailable::Addresses(2);
    let mut world = World::of(plan);
    world.probed(1, 1, "+");
    assert_eq!(moves(&world.probed(0, 1, "+")), [""; 0], "the name may yet have more");
    world.resolved("alb", Has(&[7]));
    assert_eq!(moves(&world.probed(0, 7, "+")), [""; 0]);
    assert_eq!(world.told("www"), [(0, 1), (0, 7)]);
    assert_eq!(
        moves(&world.probed(0, 7, "--")),
        ["a out of service: 1 of its 2 addresses up, the minimum is 2 addresses"]
    );
}

#[test]
fn the_status_says_what_names_resolve_to() {
    let mut world = World::of(with_names(&[("a", &[])], &["alb"]));
    let status = |world: &World| world.controller.status(world.now).pools[0].clone();
    let before = &status(&world).names[0];
    assert_eq!((&before.address[..], &before.name[..], before.resolved_seconds), ("alb", "alb", None));
    world.resolved("alb", Has(&[8, 7]));
    world.now += secs(10);
    world.resolved("alb", Has(&[7, 8]));
    world.now += secs(5);
    world.resolved("alb", Nobody);
    let after = status(&world);
    let NameStatus { address: _, name: _, addresses, resolved_seconds, changed_seconds, failure } =
        &after.names[0];
    let ips: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
    assert_eq!(ips, ["10.0.0.7", "10.0.0.8"]);
    assert_eq!((*resolved_seconds, *changed_seconds), (Some(5.0), Some(15.0)));
    assert_eq!(failure.as_deref(), Some("timed out"));
    assert_eq!((&after.addresses[0].name[..], &after.addresses[0].target[..]), ("alb/10.0.0.7", "10.0.0.7"));
}

/// Something that happens to a pool of an address and two names.
#[derive(Clone, Debug)]
enum Step {
    /// To the first or second name: the addresses whose bits are set, or what else can be said.
    Resolve(bool, u8),
    Probe(u8, char),
    Reload,
}

fn any_step() -> impl Strategy<Value = Step> {
    let symbol = prop_oneof![Just('+'), Just('-'), Just('!')];
    prop_oneof![
        4 => (any::<bool>(), 0..10u8).prop_map(|(second, bits)| Step::Resolve(second, bits)),
        8 => (0..4u8, symbol).prop_map(|(address, symbol)| Step::Probe(address, symbol)),
        1 => Just(Step::Reload),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happens, each address of the last answers is in the pool once, and is watched.
    #[test]
    fn what_is_watched_is_what_was_resolved(steps in proptest::collection::vec(any_step(), 1..80)) {
        let plan = || with_names(&[("a", &[0])], &["one", "two"]);
        let mut world = World::of(plan());
        let mut answers: [BTreeSet<u8>; 2] = Default::default();
        let mut probed = BTreeSet::new();
        for step in steps {
            let before = world.generation();
            let notices = match step {
                Step::Resolve(second, bits) => {
                    let octets: Vec<u8> = (0..3).filter(|bit| bits & (1 << bit) != 0).collect();
                    let host = if second { "two" } else { "one" };
                    match bits {
                        1..=7 => {
                            answers[usize::from(second)] = octets.iter().copied().collect();
                            world.resolved(host, Has(&octets))
                        }
                        8 => world.resolved(host, NoSuchName),
                        _ => world.resolved(host, Nobody),
                    }
                }
                Step::Probe(address, _) if !world.watched().contains(&address) => continue,
                Step::Probe(address, symbol) => {
                    probed.insert(address);
                    world.probed(0, address, &symbol.to_string())
                }
                Step::Reload => world.replaced(plan()),
            };
            let published = kinds(&notices).iter().filter(|kind| **kind == "published").count();
            prop_assert_eq!(world.generation(), before + published as u64);

            let wanted: BTreeSet<u8> = answers.iter().flatten().copied().chain([0]).collect();
            let watched = world.watched();
            prop_assert!(watched.is_sorted_by(|one, next| one < next), "each once: {:?}", watched);
            prop_assert!(wanted.iter().all(|octet| watched.contains(octet)));
            probed.retain(|octet| watched.contains(octet));
            let is_decided = |answer: &BTreeSet<u8>| !answer.is_disjoint(&probed);
            if answers.iter().all(is_decided) {
                prop_assert_eq!(watched.len(), wanted.len(), "nothing is kept any more");
            }
            let table = world.controller.published().load();
            let pool = table.pool(PoolId(0));
            prop_assert_eq!(pool.addresses.len(), watched.len());
            prop_assert_eq!(table.health(PoolId(0)).shares.len(), watched.len());
            // A table that came about step by step answers as one compiled at once.
            let health = |id| table.health(id).clone();
            let pools = |id| (table.pool(id).clone(), health(id));
            let anew = Compiled::new(table.plan().clone(), Arc::new(GeoTable::empty())).with_states(pools);
            for host in ["a", "www"] {
                prop_assert_eq!(reply(&table, host), reply(&anew, host));
            }
        }
    }
}
