//! The outbox in simulated time.

use super::*;
use crate::config::Topic;
use crate::notify::incident::Subject;

const PACE: Pace = Pace {
    group_wait: Duration::from_secs(2),
    rate: MessageRate { messages: 3, per: Duration::from_secs(60) },
    give_up_after: Duration::from_secs(600),
    resend_after: None,
    shown: SHOWN,
};

const DOWN: Hurdle = Hurdle { is_final: false, retry_after: None };

/// An outbox, and a clock that only tests move.
struct World {
    outbox: Outbox,
    now: Instant,
    start: Instant,
}

#[allow(clippy::disallowed_methods, reason = "some moment to start from, which is moved by hand")]
fn some_moment() -> Instant {
    Instant::now()
}

impl World {
    fn new(pace: Pace) -> Self {
        let now = some_moment();
        World { outbox: Outbox::new(pace, fastrand::Rng::with_seed(7)), now, start: now }
    }

    fn note(&mut self, topic: Topic, subject: Subject, phase: Phase) {
        let at = self.now - self.start;
        let summary = format!("{subject} {phase:?}");
        self.outbox.note(Incident { topic, subject, phase, summary, at }, self.now);
    }

    fn address(&mut self, pool: &str, address: &str, phase: Phase) {
        self.note(Topic::Address, Subject::pool(pool, Some(address)), phase);
    }

    fn pass(&mut self, seconds: f64) {
        self.now += Duration::from_secs_f64(seconds);
    }

    /// What is to be sent now, which arrives.
    fn send(&mut self) -> Option<Vec<String>> {
        let message = self.outbox.take(self.now)?;
        self.outbox.sent(self.now);
        Some(told(&message))
    }

    /// Goes on to the moment at which something is due, which is now or later.
    fn go_on(&mut self) {
        let due = self.outbox.due(self.now).expect("something is due");
        self.now = due.max(self.now);
    }
}

fn told(message: &Message) -> Vec<String> {
    let mut told: Vec<String> =
        message.changes.iter().map(|change| change.incident.summary.clone()).collect();
    if message.more > 0 {
        told.push(format!("and {} more", message.more));
    }
    told
}

#[test]
fn a_site_that_dies_is_one_message() {
    let mut world = World::new(PACE);
    for address in 0..20 {
        world.address("vn", &address.to_string(), Phase::Begun);
        world.pass(0.05);
    }
    world.note(Topic::Pool, Subject::pool("vn", None), Phase::Begun);
    world.address("hk", "a", Phase::Begun);
    assert_eq!(world.send(), None, "more may come");
    world.go_on();
    assert_eq!(
        world.now - world.start,
        Duration::from_secs(2),
        "as long after the first, however many follow"
    );
    let message = world.send().expect("it is told");
    assert_eq!((message.len(), &message[20][..]), (21, "pool vn Begun"));
    assert_eq!(world.send(), None);
    world.go_on();
    assert_eq!(world.send(), Some(vec!["address hk/a Begun".to_owned()]), "another pool, another message");
    assert_eq!(world.outbox.due(world.now), None);
}

#[test]
fn what_is_over_before_it_was_told_is_not_told() {
    let mut world = World::new(PACE);
    world.address("vn", "a", Phase::Begun);
    world.pass(1.0);
    world.address("vn", "a", Phase::Over);
    world.pass(1.0);
    assert_eq!(world.send(), None);
    assert!(world.outbox.is_done());

    world.address("vn", "a", Phase::Begun);
    world.address("vn", "a", Phase::Over);
    world.address("vn", "a", Phase::Begun);
    world.pass(2.0);
    assert_eq!(world.send(), Some(vec!["address vn/a Begun".to_owned()]));
    world.pass(60.0);
    world.address("vn", "a", Phase::Over);
    world.pass(1.0);
    world.address("vn", "a", Phase::Begun);
    world.pass(2.0);
    assert_eq!(world.send(), None, "it is as it was told");
    world.address("vn", "a", Phase::Over);
    world.pass(2.0);
    let message = world.outbox.take(world.now).expect("it is over");
    assert_eq!(
        message.changes[0].began,
        Some(Duration::from_secs(2)),
        "since it last began of what was told"
    );
}

#[test]
fn the_end_of_what_nobody_was_told_of_is_not_told() {
    let mut world = World::new(PACE);
    world.address("vn", "a", Phase::Over);
    world.pass(2.0);
    assert_eq!(world.send(), None);
}

#[test]
fn what_the_rate_leaves_no_room_for_is_summarised() {
    let mut world = World::new(PACE);
    for pool in 0..100 {
        world.address(&format!("p{pool:02}"), "a", Phase::Begun);
    }
    world.note(Topic::Domain, Subject::domain("x.test"), Phase::Begun);
    world.pass(2.0);
    assert_eq!(world.send().expect("the first").len(), 1);
    assert_eq!(world.send().expect("the second").len(), 1);
    let third = world.send().expect("the third");
    // 63 messages were left of 101 as no more may wait, and two were sent before.
    assert_eq!(third.len(), SHOWN + 1);
    assert_eq!(third.last().map(String::as_str), Some("and 12 more"));
    assert!(third.contains(&"domain x.test Begun".to_owned()), "the worst is in it");
    assert_eq!(world.outbox.take_dropped(), 37);
    assert_eq!(world.send(), None);

    world.address("late", "a", Phase::Begun);
    world.go_on();
    assert_eq!(world.send(), None, "three are enough for a minute");
    world.go_on();
    assert_eq!(world.now - world.start, Duration::from_secs(22), "a third of a minute after the burst");
    assert_eq!(world.send(), Some(vec!["address late/a Begun".to_owned()]));
}

#[test]
fn what_some_have_already_is_not_told_again_with_what_follows() {
    let mut world = World::new(PACE);
    for pool in ["a", "b"] {
        world.address(pool, "x", Phase::Begun);
    }
    world.pass(2.0);
    let first = world.outbox.take(world.now).expect("the first of three");
    let served = vec![Served { to: "good@d.test".to_owned(), refused: None }];
    world.outbox.serve(served.clone());
    assert_eq!(world.outbox.failed(DOWN, world.now), Fate::Retried);
    world.go_on();
    let again = world.outbox.take(world.now).expect("the second of three");
    assert_eq!((&again.served, told(&again)), (&served, told(&first)));
    assert_eq!(world.outbox.failed(DOWN, world.now), Fate::Retried);
    world.go_on();
    // After this one the rate has all others wait.
    let last = world.outbox.take(world.now).expect("the third");
    assert_eq!((&last.served, told(&last)), (&served, told(&first)));
    world.outbox.sent(world.now);
    world.go_on();
    let next = world.outbox.take(world.now).expect("the rate allows another");
    assert_eq!((&next.served, told(&next)), (&Vec::new(), vec!["address b/x Begun".to_owned()]));
}

#[test]
fn a_message_is_tried_again_ever_less_often_and_given_up_in_the_end() {
    // Attempts count as messages: a slower rate would have them come later.
    let rate = MessageRate { messages: 1000, ..PACE.rate };
    let mut world = World::new(Pace { rate, ..PACE });
    world.address("vn", "a", Phase::Begun);
    world.pass(2.0);
    let begun = world.now;
    let mut waits = Vec::new();
    loop {
        assert!(world.outbox.take(world.now).is_some(), "it is due");
        assert_eq!(world.outbox.take(world.now), None, "one at a time");
        if world.outbox.failed(DOWN, world.now) == Fate::GivenUp {
            break;
        }
        let before = world.now;
        world.go_on();
        waits.push((world.now - before).as_secs_f64());
    }
    assert_eq!(world.now - begun, PACE.give_up_after, "the last attempt is at the end");
    for (wait, longest) in waits.iter().zip([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]) {
        assert!((longest / 2.0..=longest).contains(wait), "{waits:?}");
    }
    assert!(waits.len() > 10, "{waits:?}");
    assert!(world.outbox.is_done());
}

#[test]
fn a_destination_that_says_so_is_left_alone_and_one_that_refuses_is_not_asked_again() {
    let mut world = World::new(PACE);
    world.address("vn", "a", Phase::Begun);
    world.pass(2.0);
    world.outbox.take(world.now).expect("it is due");
    let hurdle = Hurdle { retry_after: Some(Duration::from_secs(30)), ..DOWN };
    assert_eq!(world.outbox.failed(hurdle, world.now), Fate::Retried);
    world.go_on();
    assert_eq!(world.now - world.start, Duration::from_secs(32));
    world.outbox.take(world.now).expect("it is due again");
    assert_eq!(world.outbox.failed(Hurdle { is_final: true, ..DOWN }, world.now), Fate::GivenUp);
    assert!(world.outbox.is_done());

    world.address("vn", "b", Phase::Begun);
    world.pass(2.0);
    let made = world.now;
    world.outbox.take(world.now).expect("it is due");
    let hurdle = Hurdle { retry_after: Some(Duration::MAX), ..DOWN };
    assert_eq!(world.outbox.failed(hurdle, world.now), Fate::Retried);
    world.go_on();
    assert_eq!(world.now - made, PACE.give_up_after, "as late as it can be");
}

#[test]
fn of_too_many_messages_the_oldest_of_the_least_important_goes() {
    let mut world = World::new(Pace { group_wait: Duration::ZERO, ..PACE });
    world.note(Topic::Order, Subject::pool("first", None), Phase::Once);
    world.address("second", "a", Phase::Begun);
    world.note(Topic::Order, Subject::pool("third", None), Phase::Once);
    assert!(world.outbox.take(world.now).is_some());
    world.outbox.failed(DOWN, world.now);
    for pool in 0..WAITING {
        world.address(&pool.to_string(), "a", Phase::Begun);
    }
    world.go_on();
    let mut left = Vec::new();
    while let Some(message) = world.send() {
        left.extend(message);
    }
    assert!(!left.iter().any(|told| told.contains("first") || told.contains("third")), "{left:?}");
    assert!(world.outbox.take_dropped() >= 3, "one warning had to go as well");
}

#[test]
fn what_lasts_is_told_again_where_it_would_be_forgotten() {
    let mut world = World::new(Pace { resend_after: Some(Duration::from_secs(60)), ..PACE });
    world.address("vn", "a", Phase::Begun);
    world.go_on();
    assert!(world.send().is_some());
    for _ in 0..10 {
        let before = world.now;
        world.go_on();
        assert_eq!(world.now - before, Duration::from_secs(60));
        let message = world.outbox.take(world.now).expect("a reminder");
        assert!(message.is_reminder);
        assert_eq!(told(&message), ["address vn/a Begun"]);
        assert_eq!(world.outbox.failed(DOWN, world.now), Fate::Forgotten, "it comes again anyhow");
    }
    world.address("vn", "a", Phase::Over);
    world.go_on();
    assert_eq!(world.send(), Some(vec!["address vn/a Over".to_owned()]));
    assert_eq!(world.outbox.due(world.now), None, "nothing lasts any more");

    world.address("vn", "a", Phase::Begun);
    world.go_on();
    world.send().expect("it is told");
}

#[test]
fn a_program_is_told_all_of_it() {
    let mut world = World::new(Pace { shown: usize::MAX, ..PACE });
    for pool in ["vn", "hk", "sg"] {
        (0..SHOWN).for_each(|address| world.address(pool, &address.to_string(), Phase::Begun));
        world.address(pool, "one more", Phase::Begun);
    }
    world.go_on();
    let messages: Vec<usize> = (0..3).map(|_| world.send().expect("it is told").len()).collect();
    assert_eq!(messages, [SHOWN + 1; 3]);
}

#[test]
fn what_lasts_is_told_again_though_the_first_message_of_it_was_given_up() {
    let mut world = World::new(Pace { resend_after: Some(Duration::from_secs(60)), ..PACE });
    world.address("vn", "a", Phase::Begun);
    world.go_on();
    world.outbox.take(world.now).expect("it is due");
    assert_eq!(world.outbox.failed(Hurdle { is_final: true, ..DOWN }, world.now), Fate::GivenUp);
    world.go_on();
    assert_eq!(world.send(), Some(vec!["address vn/a Begun".to_owned()]));
}

#[test]
fn what_was_lost_on_its_way_is_made_up_for() {
    let mut world = World::new(Pace { resend_after: Some(Duration::from_secs(60)), ..PACE });
    let reconcile = |world: &mut World, addresses: &[&str]| {
        let truth = addresses.iter().map(|address| {
            let subject = Subject::pool("vn", Some(address));
            let summary = format!("{subject} Begun");
            let (topic, phase, at) = (Topic::Address, Phase::Begun, Duration::ZERO);
            let incident = Incident { topic, subject, phase, summary, at };
            (incident.key(), Arc::new(incident))
        });
        assert!(world.outbox.is_amiss());
        world.outbox.reconcile(&truth.collect(), world.now - world.start, world.now);
        assert!(!world.outbox.is_amiss());
    };
    reconcile(&mut world, &["a", "b"]);
    world.go_on();
    assert_eq!(world.send().expect("what lasts at first").len(), 2);

    world.address("vn", "c", Phase::Begun);
    world.outbox.lose();
    // The end of "a" and of "c" did not come, and neither did the beginning of "d".
    reconcile(&mut world, &["b", "d"]);
    world.go_on();
    let expected = ["what was told of address vn/a lasts no longer", "address vn/d Begun"];
    assert_eq!(world.send(), Some(expected.map(str::to_owned).to_vec()));
    world.go_on();
    let reminder = world.outbox.take(world.now).expect("a reminder");
    assert_eq!(told(&reminder), ["address vn/b Begun", "address vn/d Begun"]);
}

#[test]
fn what_finds_no_room_is_told_when_there_is_some() {
    let mut world = World::new(PACE);
    let names: Vec<String> = (0..GATHERED + 5).map(|address| address.to_string()).collect();
    names.iter().for_each(|name| world.address("vn", name, Phase::Begun));
    assert_eq!(world.outbox.take_dropped(), 5);
    assert!(!world.outbox.is_amiss(), "there is no room");
    world.address("vn", "0", Phase::Over);
    assert_eq!(world.outbox.take_dropped(), 0, "it takes the place of its beginning");
    world.go_on();
    world.send().expect("as many as there was room for");
    assert!(world.outbox.is_amiss());
    let truth = names.iter().skip(1).map(|name| {
        let subject = Subject::pool("vn", Some(name));
        let (topic, phase, at) = (Topic::Address, Phase::Begun, Duration::ZERO);
        let incident = Incident { topic, subject, phase, summary: name.clone(), at };
        (incident.key(), Arc::new(incident))
    });
    world.outbox.reconcile(&truth.collect(), Duration::ZERO, world.now);
    world.go_on();
    let rest: Vec<String> = (GATHERED..GATHERED + 5).map(|address| address.to_string()).collect();
    assert_eq!(world.send(), Some(rest));
}

#[test]
fn nothing_is_told_out_of_time_and_all_of_it_in_the_end() {
    let mut random = fastrand::Rng::with_seed(7);
    for seed in 0..200 {
        let mut world = World::new(PACE);
        world.outbox.random = fastrand::Rng::with_seed(seed);
        let mut truth = BTreeMap::new();
        let mut known = BTreeMap::new();
        let mut learn = |message: &Message| {
            for Change { incident, .. } in &message.changes {
                known.insert(incident.key(), incident.phase);
            }
        };
        for _ in 0..random.usize(1..60) {
            let (pool, address) = (random.u8(0..3).to_string(), random.u8(0..3).to_string());
            let phase = if random.bool() { Phase::Begun } else { Phase::Over };
            world.address(&pool, &address, phase);
            let key = Key { topic: Topic::Address, subject: Subject::pool(pool, Some(&address)) };
            truth.insert(key, phase);
            world.pass(random.f64() * 5.0);
            if let Some(message) = world.outbox.take(world.now) {
                if random.u8(0..4) == 0 {
                    world.outbox.failed(DOWN, world.now);
                } else {
                    world.outbox.sent(world.now);
                    learn(&message);
                }
            }
        }
        while let Some(due) = world.outbox.due(world.now) {
            assert!(due >= world.now || world.outbox.gathered.values().any(|it| it.due == due), "{seed}");
            world.now = due.max(world.now);
            if let Some(message) = world.outbox.take(world.now) {
                world.outbox.sent(world.now);
                learn(&message);
            }
        }
        assert!(world.outbox.is_done(), "{seed}");
        for (key, phase) in truth {
            let last = known.get(&key).copied().unwrap_or(Phase::Over);
            assert_eq!(last, phase, "{seed}: {key:?}");
        }
    }
}
