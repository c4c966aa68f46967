//! What is counted is what was taken, by any number of workers and in any number of configurations.

use std::collections::BTreeMap;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use proptest::prelude::*;

use super::moves::{edited, plan_of, sample, site};
use super::steering::{Maker, World};
use super::*;
use crate::routing::{DomainFlow, Flow, MAX_EDGES, MAX_ZONES, PoolFlow};

type Counts = BTreeMap<(String, String), u64>;

fn counting(table: &RoutingTable, flow: &Arc<Flow>, seed: u64) -> Worker {
    let mut worker = Worker::new(seed, Arc::<Counters>::default()).with_flow(flow.clone());
    worker.prepare(table);
    worker
}

/// All that has been counted, without what never was.
fn counted(flow: &Flow, table: &RoutingTable) -> Counts {
    let mut counts = Counts::new();
    for DomainFlow { name, answers, pools } in flow.read(table, None, usize::MAX) {
        assert_eq!(answers, pools.iter().map(|pool| pool.answers).sum::<u64>());
        for PoolFlow { pool, answers } in pools {
            if answers > 0 {
                assert_eq!(counts.insert((name.clone(), pool), answers), None, "told twice");
            }
        }
    }
    counts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Each edge of the chain, as an explanation of that very answer tells it; over reloads that a
    /// worker may notice later than another.
    #[test]
    fn every_edge_that_is_taken_is_counted_once(seed: u64) {
        let mut maker = Maker::new(seed);
        let World { mut table, .. } = maker.world();
        let flow = Arc::new(Flow::default());
        let mut workers: Vec<(Worker, RoutingTable)> =
            (0..3).map(|seed| (counting(&table, &flow, seed), table.clone())).collect();
        let mut expected = Counts::new();
        for _ in 0..4 {
            for _ in 0..30 {
                let (worker, table) = &mut workers[maker.below(3)];
                let name = &table.plan().domains[maker.below(table.plan().domains.len())].name;
                let (rtype, client) = (if maker.is(3) { Rtype::AAAA } else { Rtype::A }, maker.client());
                let (edges, _) = sample(table, worker, name, rtype, client);
                for edge in edges {
                    *expected.entry(edge).or_default() += 1;
                }
            }
            if maker.is(2) {
                flow.fold();
            }
            table = table.as_if(Arc::new(edited(&mut maker, table.plan())));
            for (worker, known) in &mut workers {
                if maker.is(2) {
                    worker.prepare(&table);
                    *known = table.clone();
                }
            }
        }
        // What a domain that is gone has answered is not told.
        expected.retain(|(domain, _), _| table.domain(&name(domain)).is_some());
        prop_assert_eq!(counted(&flow, &table), expected);
    }
}

#[test]
fn nothing_is_lost_or_counted_twice_while_tables_change_under_workers() {
    const WORKERS: usize = 4;
    const EACH: usize = 3_000;
    let choice = || Choice::even(DomainPolicy::RoundRobin, [PoolId(0), PoolId(1)]);
    let plan = Arc::new(plan_of(vec![site("one", &[1]), site("two", &[2])], choice()));
    let geo = Arc::new(GeoTable::empty());
    let published = Arc::new(ArcSwap::from_pointee(RoutingTable::well(plan.clone(), geo.clone())));
    let changed = Arc::new(AtomicUsize::new(0));
    let flow = {
        let changed = changed.clone();
        Arc::new(Flow::new(move || {
            changed.fetch_add(1, Ordering::Relaxed);
        }))
    };
    let (start, running) = (Barrier::new(WORKERS + 1), AtomicUsize::new(WORKERS));
    let www = name("www.ai.example");
    std::thread::scope(|scope| {
        for seed in 0..WORKERS {
            let (start, running, published, flow, www) = (&start, &running, &published, &flow, &www);
            scope.spawn(move || {
                let mut table = published.load_full();
                let mut worker = counting(&table, flow, seed as u64);
                start.wait();
                for _ in 0..EACH {
                    table = published.load_full();
                    worker.prepare(&table);
                    assert_eq!(ask(&table, &mut worker, www, Rtype::A).answers.len(), 1);
                }
                running.fetch_sub(1, Ordering::Relaxed);
            });
        }
        start.wait();
        let mut before = 0;
        while running.load(Ordering::Relaxed) > 0 {
            published.store(Arc::new(RoutingTable::well(plan.clone(), geo.clone())));
            let table = published.load();
            let sum = flow.read(&table, None, 1)[0].answers;
            assert!(sum >= before, "{sum} after {before}");
            before = sum;
            flow.fold();
        }
    });
    let [domain] = &flow.read(&published.load(), None, 1)[..] else { panic!("there is one domain") };
    assert_eq!(domain.answers, (WORKERS * EACH) as u64);
    assert!(changed.load(Ordering::Relaxed) >= WORKERS);
}

#[test]
fn workers_go_on_counting_where_they_count_unless_pools_of_domains_change() {
    let choice = |pools: &[u32]| Choice::even(DomainPolicy::Priority, pools.iter().copied().map(PoolId));
    let plan = |pools: &[&str], taken: &[u32]| {
        let sites = pools.iter().map(|name| site(name, &[1])).collect();
        Arc::new(plan_of(sites, choice(taken)))
    };
    let renamed = |mut plan: Plan| {
        plan.domains[0].name = name("other.ai.example");
        Arc::new(plan)
    };
    let changed = Arc::new(AtomicUsize::new(0));
    let flow = {
        let changed = changed.clone();
        Arc::new(Flow::new(move || {
            changed.fetch_add(1, Ordering::Relaxed);
        }))
    };
    let mut table = table((*plan(&["one", "two"], &[0, 1])).clone());
    let mut worker = counting(&table, &flow, 0);
    let www = name("www.ai.example");
    let steps = [
        ("the same", plan(&["one", "two"], &[0, 1]), 1),
        ("a pool that no domain takes", plan(&["new", "one", "two"], &[1, 2]), 1),
        ("another order", plan(&["one", "two"], &[1, 0]), 2),
        ("a pool by another name", plan(&["one", "three"], &[1, 0]), 3),
        ("one less", plan(&["one", "three"], &[1]), 4),
        ("a domain by another name", renamed((*plan(&["one", "three"], &[1])).clone()), 5),
        ("the first again", plan(&["one", "two"], &[0, 1]), 6),
    ];
    for (what, plan, expected) in steps {
        table = table.as_if(plan);
        worker.prepare(&table);
        assert_eq!(changed.load(Ordering::Relaxed), expected, "{what}");
        ask(&table, &mut worker, &www, Rtype::A);
    }
    let told = &flow.read(&table, None, 10)[0];
    assert_eq!((&told.name[..], told.answers), ("www.ai.example", 6));
    let weak = Arc::downgrade(table.plan());
    let next = table.as_if(plan(&["one", "two"], &[0, 1]));
    worker.prepare(&next);
    drop(table);
    assert!(weak.upgrade().is_none(), "what is counted holds no plan");
}

#[test]
fn pools_that_a_domain_has_lost_are_told_behind_those_that_it_has() {
    let choice = |pools: &[u32]| Choice::even(DomainPolicy::Priority, pools.iter().copied().map(PoolId));
    let before = table(plan_of(vec![site("one", &[1]), site("two", &[2])], choice(&[0])));
    let flow = Arc::new(Flow::default());
    let mut worker = counting(&before, &flow, 0);
    let www = name("www.ai.example");
    ask(&before, &mut worker, &www, Rtype::A);
    let after = table(plan_of(vec![site("two", &[2]), site("one", &[1])], choice(&[0])));
    worker.prepare(&after);
    ask(&after, &mut worker, &www, Rtype::A);
    ask(&after, &mut worker, &www, Rtype::A);
    let expected = DomainFlow {
        name: www.to_string(),
        answers: 3,
        pools: vec![
            PoolFlow { pool: "two".to_owned(), answers: 2 },
            PoolFlow { pool: "one".to_owned(), answers: 1 },
        ],
    };
    assert_eq!(flow.read(&after, None, 10), [expected]);
    assert_eq!(flow.read(&after, Some(&www), 10), []);
    assert_eq!(flow.read(&after, None, 0), []);
}

#[test]
fn what_is_told_at_the_most_has_pools_in_it_that_are_gone() {
    let choice = |pools: &[u32]| Choice::even(DomainPolicy::Priority, pools.iter().copied().map(PoolId));
    let flow = Arc::new(Flow::default());
    let www = name("www.ai.example");
    let mut table = table(plan_of(vec![site("0", &[1]), site("stays", &[2])], choice(&[0, 1])));
    let mut worker = counting(&table, &flow, 0);
    ask(&table, &mut worker, &www, Rtype::A);
    let told = |table: &RoutingTable, most| -> Vec<String> {
        let domains = flow.read_few(table, most);
        domains.into_iter().flat_map(|domain| domain.pools).map(|flow| flow.pool).collect()
    };
    assert_eq!(told(&table, 2), ["0", "stays"]);
    assert_eq!(told(&table, 1), [""; 0], "there are more");
    // A pool of another name at each reload.
    for number in 1..10 {
        let pools = vec![site(&number.to_string(), &[1]), site("stays", &[2])];
        table = super::table(plan_of(pools, choice(&[0, 1])));
        worker.prepare(&table);
        ask(&table, &mut worker, &www, Rtype::A);
        let told = told(&table, 5);
        assert!(told.len() <= 5, "{told:?}");
        assert_eq!(told[..2], [number.to_string(), "stays".to_owned()]);
        assert_eq!(told.len() > 2, number <= 3, "{told:?}");
    }
    assert_eq!(flow.read(&table, None, 10)[0].pools.len(), 11, "whoever asks is told all");
}

#[test]
fn more_than_can_be_counted_is_answered_and_not_counted() {
    let even = Choice::even(DomainPolicy::Priority, (0..1024).map(PoolId));
    let pools = (0..1024).map(|number| site(&format!("pool{number}"), &[1])).collect();
    let mut plan = plan_of(pools, even);
    let one = plan.domains[0].clone();
    plan.domains =
        (0..64).map(|at| Domain { name: name(&format!("w{at}.ai.example")), ..one.clone() }).collect();
    let flow = Arc::new(Flow::default());
    let all = table(plan.clone());
    assert_eq!(all.edges(), (MAX_EDGES, true));
    let last = name("w63.ai.example");
    let mut worker = counting(&all, &flow, 0);
    ask(&all, &mut worker, &last, Rtype::A);
    assert_eq!(flow.read(&all, Some(&name("w62.ai.example")), 10)[0].answers, 1);

    plan.domains.push(Domain { name: name("more.ai.example"), ..one });
    let more = table(plan);
    assert_eq!(more.edges(), (0, false));
    worker.prepare(&more);
    assert_eq!(ask(&more, &mut worker, &last, Rtype::A).answers.len(), 1);
    let told = flow.read(&more, Some(&name("w62.ai.example")), 1);
    assert_eq!((&told[0].name[..], told[0].answers), ("w63.ai.example", 1), "what was counted before stays");
    let explained = crate::routing::explain(&more, &last, Rtype::A, [10, 0, 0, 1].into());
    assert_eq!(explained.decisions[0].domain, "w63.ai.example");
}

#[test]
fn queries_are_counted_by_zone_over_reloads() {
    let plan = |zones: &mut dyn Iterator<Item = String>| Plan {
        zones: zones.map(|apex| zone(&name(&apex), [])).collect(),
        ..Plan::default()
    };
    let numbered = |at: usize| format!("z{at}.example");
    let (flow, first) = (Arc::new(Flow::default()), table(plan(&mut (0..MAX_ZONES + 2).map(numbered))));
    let mut worker = counting(&first, &flow, 0);
    let asked = |table: &RoutingTable, worker: &mut Worker, names: &[&str]| {
        names.iter().for_each(|asked| drop(ask(table, worker, &name(asked), Rtype::A)));
    };
    asked(&first, &mut worker, &["z0.example", "x.z1.example", "x.y.z1.example", "z999.example"]);
    asked(&first, &mut worker, &["z1000.example", "z1001.example", "elsewhere.example"]);
    // Of a transfer nothing is looked up.
    ask(&first, &mut worker, &name("z0.example"), Rtype::AXFR);
    let told = flow.zones(&first);
    assert_eq!(told.zones.len(), MAX_ZONES);
    let some: Vec<_> = told.zones.into_iter().filter(|(_, count)| *count > 0).collect();
    let [z0, z1, z999] = [0, 1, 999].map(numbered);
    assert_eq!(some, [(z0, 1), (z1.clone(), 2), (z999, 1)]);
    assert_eq!((told.others, told.outside), (2, 1));

    let second = table(plan(&mut [1, 7].into_iter().map(numbered)));
    worker.prepare(&second);
    asked(&second, &mut worker, &["z1.example", "z0.example"]);
    flow.fold();
    let told = flow.zones(&second);
    assert_eq!(told.zones, [(z1, 3), (numbered(7), 0)]);
    assert_eq!((told.others, told.outside), (2, 2));
}
