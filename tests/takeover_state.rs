//! What the new process goes on with when it takes over, and what it asks for again.

mod support;

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::net::UnixListener;
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use support::daemon::Daemon;
use support::process::Process;
use support::scene::Scene;
use support::takeover::{Speaker, relieve, state, successor, take_over};

/// Pools of which each rotates by itself: that all of so many go on rightly by chance happens in one case of 3 x 10^8.
const POOLS: u8 = 10;

/// Addresses of each.
const ADDRESSES: u8 = 7;

/// A domain for each of the pools `order`, which gives its addresses one by one, and one that gives the pools one by one.
fn rotating(scene: &Scene, order: impl Iterator<Item = u8> + Clone) -> String {
    let mut text = scene.ground();
    for pool in order.clone() {
        let addresses: Vec<String> = (0..ADDRESSES)
            .map(|number| format!("{{ name = \"a{number}\", ip = \"192.0.{pool}.{number}\" }}"))
            .collect();
        text += &format!(
            "[pool.p{pool}]\npolicy = \"round-robin\"\nanswers = 1\naddress = [{}]\n\
             [[domain]]\nname = \"d{pool}.ai.example.com\"\npolicy = \"priority\"\npools = [\"p{pool}\"]\n",
            addresses.join(", "),
        );
    }
    let pools: Vec<String> = (0..POOLS).map(|pool| format!("\"p{pool}\"")).collect();
    text + &format!(
        "[[domain]]\nname = \"all.ai.example.com\"\npolicy = \"round-robin\"\npools = [{}]\n",
        pools.join(", ")
    )
}

/// The third and the last octet of the one address that is given.
fn given(daemon: &Daemon, domain: &str) -> (u8, u8) {
    match daemon.resolve(&format!("{domain}.ai.example.com"))[..] {
        [IpAddr::V4(ip)] => (ip.octets()[2], ip.octets()[3]),
        ref others => panic!("{domain}: {others:?}"),
    }
}

#[test]
fn rotations_go_on_where_they_stood() {
    let scene = Scene::new();
    let mut daemon = scene.start(&rotating(&scene, 0..POOLS));
    let mut stood: BTreeMap<u8, u8> = BTreeMap::new();
    let (mut all, _) = given(&daemon, "all");
    for pool in 0..POOLS {
        // Of the same worker each time: there is one.
        (0..=pool).for_each(|_| _ = stood.insert(pool, given(&daemon, &format!("d{pool}")).1));
    }
    // Twice in a row, and in another order; what is not asked for in between goes on as well.
    for (upgrade, asked) in [(0, 0..POOLS / 2), (1, 0..POOLS)] {
        let moved = (0..POOLS).map(|number| (number + 3 + upgrade) % POOLS);
        scene.configure(&rotating(&scene, moved));
        daemon = take_over(&scene, daemon);
        for pool in asked {
            for _ in 0..=ADDRESSES {
                let (place, number) = given(&daemon, &format!("d{pool}"));
                assert_eq!(place, pool);
                let last = stood.insert(pool, number);
                assert_eq!(
                    last.map(|last| (last + 1) % ADDRESSES),
                    Some(number),
                    "p{pool}, upgrade {upgrade}"
                );
            }
        }
        let (next, number) = given(&daemon, "all");
        assert_eq!(next, (all + 1) % POOLS, "upgrade {upgrade}");
        all = next;
        // It has given one of that pool, too.
        stood.insert(next, number);
    }
}

/// A daemon that is taken over from, as far as the other process can tell.
struct Old {
    listener: UnixListener,
    /// What it says of itself when it has let go of what only one can have.
    released: Value,
}

impl Old {
    fn new(scene: &Scene, more: Value) -> Old {
        std::fs::create_dir_all(state(scene)).expect("it is ours");
        let listener = UnixListener::bind(state(scene).join("takeover.sock")).expect("nobody listens there");
        let mut released = json!({"type": "released", "memory": null});
        let members = more.as_object().expect("members").clone();
        released.as_object_mut().expect("members").extend(members);
        Old { listener, released }
    }

    /// Goes with `new`, as far as it answers; what is asked then is answered with `turns`.
    fn leave(self, turns: Option<Value>) {
        let (stream, _) = self.listener.accept().expect("it comes");
        let mut peer = Speaker::over(stream);
        peer.hear("hello");
        peer.say(json!({"type": "sockets", "sockets": [], "more": false, "pid": 1}));
        peer.hear("prepare");
        peer.say(self.released);
        if let Some(turns) = turns {
            peer.hear("rotation");
            peer.say(json!({"type": "turns", "turns": turns}));
        }
        peer.hear("serving");
        peer.say(json!({"type": "farewell"}));
    }
}

#[test]
fn an_old_process_of_another_version_is_no_hindrance() {
    let turns = |pools: Value| json!({"udp": [{"pools": pools, "later": 1}], "later": 1});
    for (more, told) in [
        // What older versions say.
        (json!({}), None),
        (json!({"tells_turns": true, "since_reload": null}), Some(json!(null))),
        (json!({"tells_turns": true}), Some(json!(["of", "another", "kind"]))),
        (json!({"tells_turns": true}), Some(turns(json!({"p1": [-1, "x"]})))),
        (json!({"tells_turns": true}), Some(turns(json!({"p1": [6, null, null], "gone": [1, 2, 3]})))),
    ] {
        let scene = Scene::new();
        scene.configure(&rotating(&scene, 0..POOLS));
        let old = Old::new(&scene, more.clone());
        let new = scene.attach(Process::start(successor(&scene)));
        let is_understood = told.as_ref().is_some_and(|told| told["udp"][0]["pools"]["gone"].is_array());
        old.leave(told);
        new.await_line(0, &["ready"]);
        let (pool, number) = given(&new, "d1");
        assert_eq!(pool, 1, "{more}");
        assert!(!is_understood || number == 7 % ADDRESSES, "{number} after the sixth turn");
        assert_eq!(new.lines(&["configuration reloaded"]), Vec::<String>::new(), "{more}");
    }
}

#[test]
fn a_reload_while_the_new_process_starts_is_for_that_one_as_well() {
    let scene = Scene::new();
    let text = |number: u8| {
        let pool = format!("[pool.p]\naddress = [{{ name = \"a\", ip = \"192.0.2.{number}\" }}]\n");
        let domain = "[[domain]]\nname = \"d.ai.example.com\"\npolicy = \"priority\"\npools = [\"p\"]\n";
        scene.ground() + &pool + domain
    };
    let daemon = scene.start(&text(1));
    // The new process has read its configuration when it reads this, and waits until somebody writes.
    let secret = scene.path().join("secret");
    let made = Command::new("mkfifo").args(["-m", "600"]).arg(&secret).status().expect("it is installed");
    assert!(made.success());
    let key = format!("workers = 1\ncookie_secret_file = \"{}\"", secret.display());
    scene.configure(&text(1).replace("workers = 1", &key));
    let new = scene.attach(Process::start(successor(&scene)));
    let mut writer = OpenOptions::new().write(true).open(&secret).expect("it is ours");
    scene.configure(&text(2).replace("workers = 1", &key));
    daemon.signal(Signal::SIGHUP);
    daemon.await_line(0, &["configuration reloaded", "trigger=\"signal\""]);
    assert_eq!(given(&daemon, "d"), (2, 2));
    let hex = "00112233445566778899aabbccddeeff\n";
    std::fs::rename(scene.write("written", hex), &secret).expect("it is ours");
    writer.write_all(hex.as_bytes()).expect("it reads");
    drop(writer);
    new.await_line(0, &["ready"]);
    new.await_line(0, &["configuration reloaded", "trigger=\"takeover\""]);
    assert_eq!(given(&new, "d"), (2, 2));
    // Whoever has read after all reloads has nothing to read again.
    let last = relieve(&scene, &new);
    assert_eq!((given(&last, "d"), last.lines(&["configuration reloaded"])), ((2, 2), Vec::new()));
}
