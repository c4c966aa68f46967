//! Edits over files, in text and in meaning.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::*;
use crate::config::{Loaded, parse};
use crate::plan::AddressState;

/// A file as operators write them, comments and all.
const FILE: &str = r#"# The world.
geoip.databases = []

[[zone]]
name = "example.com"
nameservers = ["ns.example.net"]
contact = "a.example.net"
[[zone.record]]
name = "www"          # for people
type = "A"
data = ["192.0.2.80"]

[health_check.web]
type = "tcp"
interval = "1s"       # not too often

# The east.
[pool.east]
location = { country = "VN" }
policy = "weighted"
health_check = "web"
[[pool.east.address]]
name = "one"
ip = "192.0.2.1"
port = 80             # the load balancer
weight = 1
[[pool.east.address]]
name = "two"
ip = "192.0.2.2"
port = 80

[pool.west]           # the west
address = [{ name = "three", ip = "192.0.2.3" }]

[[domain]]
name = "shop.example.com"
pools = ["east", "west"] # in this order
policy = "priority"
"#;

fn load(text: &str) -> Loaded {
    parse("rhumb.toml", text, Path::new("")).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn over(text: &str, edits: Vec<Arc<Edit>>) -> (Desired, Outcome) {
    let loaded = load(text);
    Desired::over(loaded.origin, Arc::new(loaded.plan), edits, 1)
}

fn desired() -> Desired {
    over(FILE, Vec::new()).0
}

fn members(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_else(|| panic!("{value} is no object"))
}

fn object(name: &str) -> Object {
    name.parse().unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn put(name: &str, content: Value) -> (Object, Change) {
    (object(name), Change::Put(members(content)))
}

fn merge(name: &str, patch: Value) -> (Object, Change) {
    (object(name), Change::Merge(members(patch)))
}

fn remove(name: &str) -> (Object, Change) {
    (object(name), Change::Remove)
}

fn with(desired: &Desired, wanted: (Object, Change)) -> Desired {
    edited(desired, vec![wanted], None)
}

fn edited(desired: &Desired, wanted: Vec<(Object, Change)>, until: Option<u64>) -> Desired {
    let stamp = Stamp { until, ..Stamp::default() };
    desired.with(wanted, &stamp).unwrap_or_else(|refusal| panic!("{refusal}")).0
}

/// The lines of `after` that are not in `before`, behind `+`, and the other way round behind `-`.
fn difference(before: &str, after: &str) -> Vec<String> {
    let (before, after): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let gone = before.iter().filter(|line| !after.contains(line)).map(|line| format!("-{line}"));
    let new = after.iter().filter(|line| !before.contains(line)).map(|line| format!("+{line}"));
    gone.chain(new).collect()
}

#[test]
fn an_edit_changes_its_lines_and_no_others() {
    for (wanted, lines) in [
        (merge("pools/east/addresses/one", json!({"weight": 3})), &["-weight = 1", "+weight = 3"][..]),
        (merge("pools/east/addresses/two", json!({"weight": 3})), &["+weight = 3"]),
        (
            merge("pools/west/addresses/three", json!({"weight": 3})),
            &[
                "-address = [{ name = \"three\", ip = \"192.0.2.3\" }]",
                "+address = [{ name = \"three\", ip = \"192.0.2.3\", weight = 3 }]",
            ],
        ),
        (
            put("pools/west/addresses/three", json!({"resolve": "a.example.net"})),
            &[
                "-address = [{ name = \"three\", ip = \"192.0.2.3\" }]",
                "+address = [{ name = \"three\", resolve = \"a.example.net\" }]",
            ],
        ),
        (
            merge("health_checks/web", json!({"interval": "2s"})),
            &["-interval = \"1s\"       # not too often", "+interval = \"2s\"       # not too often"],
        ),
        (
            merge("domains/SHOP.example.com.", json!({"policy": "round-robin", "ttl": 7})),
            &["-policy = \"priority\"", "+policy = \"round-robin\"", "+ttl = 7"],
        ),
        (
            merge("pools/east", json!({"policy": null, "location": {"country": "HK"}})),
            &[
                "-location = { country = \"VN\" }",
                "-policy = \"weighted\"",
                "+location = { country = \"HK\" }",
            ],
        ),
        (remove("pools/east/addresses/two"), &["-name = \"two\"", "-ip = \"192.0.2.2\"", "-port = 80"]),
        (
            put("zones/example.com/records/www/A", json!({"data": ["192.0.2.81"], "ttl": "1m"})),
            &["-data = [\"192.0.2.80\"]", "+data = [\"192.0.2.81\"]", "+ttl = \"1m\""],
        ),
        (
            put("zones/example.com/records/@/TXT", json!({"data": "hello"})),
            &["+name = \"@\"", "+type = \"TXT\"", "+data = \"hello\""],
        ),
        (
            put("pools/east/addresses/four", json!({"ip": "192.0.2.4", "port": 81})),
            &["+name = \"four\"", "+ip = \"192.0.2.4\"", "+port = 81"],
        ),
        (
            put(
                "pools/west",
                json!({"address": [{"name": "three", "ip": "192.0.2.3"}, {"name": "five", "ip": "192.0.2.5"}]}),
            ),
            &[
                "-address = [{ name = \"three\", ip = \"192.0.2.3\" }]",
                "+address = [{ name = \"three\", ip = \"192.0.2.3\" }, { name = \"five\", ip = \"192.0.2.5\" }]",
            ],
        ),
        (
            put("pools/north", json!({"address": [{"name": "six", "ip": "192.0.2.6"}]})),
            &["+[pool.north]", "+[[pool.north.address]]", "+name = \"six\"", "+ip = \"192.0.2.6\""],
        ),
        (
            put("domains/new.example.com", json!({"name": "new.example.com", "pools": ["west"]})),
            &["+name = \"new.example.com\"", "+pools = [\"west\"]"],
        ),
        (put("conditions/c", json!({"all": ["pool:west"]})), &["+[condition.c]", "+all = [\"pool:west\"]"]),
    ] {
        let before = desired();
        let after = with(&before, wanted.clone());
        let text = after.document().text();
        assert_eq!(difference(FILE, &text), lines, "{wanted:?}\n{text}");
        assert_eq!(load(&text).plan, **after.plan(), "what is exported is what is in force: {wanted:?}");
        assert_ne!(after.plan(), before.plan(), "{wanted:?}");
        let ids: Vec<u64> = after.edits().iter().map(|standing| standing.edit.id).collect();
        assert_eq!(ids, [1]);
        let (back, _) = after.without(&ids).unwrap_or_else(|refusal| panic!("{refusal}"));
        assert_eq!((&*back.document().text(), back.plan()), (FILE, before.plan()), "{wanted:?}");
    }
}

#[test]
fn what_does_not_fit_is_refused_with_its_place() {
    for (wanted, refusal) in [
        (merge("pools/north", json!({})), "there is no pool `north`"),
        (remove("pools/east/addresses/nobody"), "there is no address `nobody`"),
        (put("pools/north/addresses/x", json!({"ip": "192.0.2.9"})), "there is no pool `north`"),
        (
            put("zones/other.example/records/@/A", json!({"data": "192.0.2.9"})),
            "there is no zone `other.example`",
        ),
        (merge("pools/east/addresses/one", json!({"ip": "192.0.2"})), "0.ip: `192.0.2` is not an IP address"),
        (
            put("pools/east", json!({"address": [{"name": "a", "ip": "192.0.2.9", "port": 0}]})),
            "0.address[0].port: 0 is out of range: 1 to 65535",
        ),
        (
            merge("pools/east", json!({"polcy": "hash"})),
            "0.polcy: unknown key `polcy` (did you mean `policy`?)",
        ),
        (
            merge("pools/east", json!({"health_check": "wbe"})),
            "0.health_check: health check `wbe` does not exist (did you mean `web`?)",
        ),
        (
            merge("pools/east/addresses/one", json!({"name": "other"})),
            "0.name: `name` is that of the object, `pools/east/addresses/one`, and stays so",
        ),
        (
            remove("pools/west"),
            "needed: domains/shop.example.com: pool `west` does not exist (did you mean `east`?)",
        ),
        (remove("health_checks/web"), "needed: pools/east: health check `web` does not exist"),
        (put("domains/elsewhere.test", json!({"pools": ["west"]})), "0.name: "),
        (
            put("health_checks/run", json!({"type": "script", "command": ["/bin/true"]})),
            "0.command: what runs on this host is said in the configuration file alone",
        ),
        (
            (object("domains/shop.example.com"), Change::State(AddressState::Down)),
            "0.state: only pools and their addresses have a state",
        ),
        (
            (object("pools/east/addresses/nobody"), Change::State(AddressState::Down)),
            "there is no address `nobody`",
        ),
    ] {
        let found = match desired().with(vec![wanted.clone()], &Stamp::default()) {
            Err(Refusal::Mistaken { at, field, detail }) => {
                format!("{at}.{}: {detail}", field.unwrap_or_default())
            }
            Err(Refusal::Needed(detail)) => format!("needed: {detail}"),
            Err(other) => other.to_string(),
            Ok(_) => panic!("{wanted:?} is made"),
        };
        assert!(found.starts_with(refusal), "{wanted:?}: {found}");
    }
}

#[test]
fn several_are_made_or_none() {
    let before = desired();
    let new = put("pools/north", json!({"address": [{"name": "six", "ip": "192.0.2.6"}]}));
    let listed = merge("domains/shop.example.com", json!({"pools": ["north"]}));
    let all = vec![new.clone(), listed.clone(), remove("pools/west"), remove("pools/east")];
    let after = edited(&before, all, None);
    assert_eq!(after.plan().pools.len(), 1);
    assert_eq!(after.edits().len(), 4);
    let refused = before.with(vec![new, remove("pools/west"), listed], &Stamp::default());
    assert!(refused.is_ok(), "the order of edits is none of sense: {:?}", refused.err());
    let wrong = merge("pools/east", json!({"answers": 0}));
    let refused = before.with(vec![remove("pools/east/addresses/two"), wrong], &Stamp::default());
    let Err(Refusal::Mistaken { at: 1, field: Some(field), .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(field, "answers");
}

#[test]
fn edits_hide_and_show_each_other() {
    let weight = |desired: &Desired| {
        let specified = desired.object(&object("pools/east/addresses/one")).expect("it is there");
        specified.specification["weight"].clone()
    };
    let one = |weight: u16| vec![merge("pools/east/addresses/one", json!({"weight": weight}))];
    let lasting = edited(&desired(), one(5), None);
    let again = edited(&lasting, one(6), None);
    assert_eq!((again.edits().len(), weight(&again)), (1, json!(6)), "the first can never be seen again");
    let passing = edited(&again, one(7), Some(1000));
    assert_eq!((passing.edits().len(), weight(&passing), passing.due()), (2, json!(7), Some(1000)));
    assert_eq!(passing.exported().text(), again.document().text(), "what passes is not for the file");
    let (still, outcome) = passing.at(999);
    assert_eq!((weight(&still), outcome.gone.len()), (json!(7), 0));
    let (after, outcome) = passing.at(1000);
    assert_eq!((weight(&after), outcome.gone.len(), after.due()), (json!(6), 1, None));
    assert_eq!(after.plan(), again.plan());
    let (alone, _) = edited(&desired(), one(7), Some(1000)).at(1000);
    assert_eq!((weight(&alone), alone.plan()), (json!(1), desired().plan()));
    let back = edited(&after, one(1), None);
    assert_eq!((back.edits().len(), weight(&back)), (0, json!(1)), "it is as in the file again");
    let nothing = edited(&after, one(6), None);
    assert_eq!(nothing.edits(), after.edits(), "what changes nothing makes no edit");
}

#[test]
fn a_state_is_the_last_that_was_ordered() {
    let order = |state| vec![(object("pools/east/addresses/one"), Change::State(state))];
    let drained = edited(&desired(), order(AddressState::Drain), None);
    let down = edited(&drained, order(AddressState::Down), Some(1000));
    assert_eq!(down.edits().len(), 2, "what stood before stands again when it is over");
    assert_eq!(down.at(1000).0.edits(), drained.edits());
    assert_eq!(edited(&down, order(AddressState::Up), None).edits().len(), 1);
    assert!(Arc::ptr_eq(down.plan(), drained.plan()), "nothing was read for it");
    assert_eq!(edited(&down, order(AddressState::Auto), None).edits(), []);
    let tag = |desired: &Desired| desired.object(&object("pools/east/addresses/one")).map(|found| found.tag);
    assert_ne!(tag(&drained), tag(&down));
    assert_eq!(tag(&desired()), tag(&edited(&down, order(AddressState::Auto), None)));
}

#[test]
fn an_edit_retires_when_the_file_says_it_and_waits_when_its_object_is_gone() {
    let edits = |desired: &Desired| -> Vec<Arc<Edit>> {
        desired.edits().iter().map(|standing| Arc::clone(&standing.edit)).collect()
    };
    let first = with(&desired(), merge("pools/east/addresses/one", json!({"weight": 3})));
    let second = with(&first, put("domains/new.example.com", json!({"pools": ["west"]})));
    let all = edited(&second, vec![(object("pools/west"), Change::State(AddressState::Drain))], None);

    let (same, outcome) = over(FILE, edits(&all));
    assert_eq!((same.edits(), outcome), (all.edits(), Outcome::default()));
    assert_eq!(same.plan(), all.plan());

    let (said, outcome) = over(&all.document().text(), edits(&all));
    assert_eq!((said.edits().len(), outcome.gone.len()), (1, 2), "what was exported is no edit any more");
    assert_eq!(said.plan(), all.plan());

    let without =
        FILE.replace("[pool.west]           # the west", "[pool.other]").replace(", \"west\"", ", \"other\"");
    let (orphaned, outcome) = over(&without, edits(&all));
    assert_eq!(outcome.gone, []);
    let reasons: Vec<Option<&str>> =
        orphaned.edits().iter().map(|standing| standing.orphaned.as_deref()).collect();
    assert_eq!(reasons[0], None);
    assert!(reasons[1].is_some_and(|why| why.starts_with("pool `west` does not exist")), "{reasons:?}");
    assert_eq!(reasons[2], Some("there is no pool `west`"));
    assert_eq!(orphaned.plan().domains.len(), 1);
    let (back, _) = over(FILE, edits(&orphaned));
    assert_eq!(back.plan(), all.plan(), "and they are in force again when it is back");
}

#[test]
fn a_long_file_is_edited_in_parts() {
    let remark = "#".repeat(700);
    let domain =
        |at: usize| format!("[[domain]] {remark}\nname = \"d{at}.example.com\"\npools = [\"west\"]\n");
    let long = FILE.to_owned() + &(0..4_000).map(domain).collect::<String>();
    let before = over(&long, Vec::new()).0;
    let after = edited(
        &before,
        vec![
            merge("domains/d777.example.com", json!({"ttl": 9})),
            remove("domains/d3999.example.com"),
            put("domains/new.example.com", json!({"pools": ["east"]})),
            merge("pools/east", json!({"policy": "hash"})),
        ],
        None,
    );
    let text = after.document().text();
    assert_eq!(load(&text).plan, **after.plan());
    assert_eq!(after.plan().domains.len(), before.plan().domains.len());
    let found = after.object(&object("domains/d777.example.com")).expect("it is there");
    assert_eq!(Value::Object(found.specification), json!({"pools": ["west"], "ttl": 9}));
    let lines = difference(&long, &text);
    assert!(lines.len() <= 6, "{lines:?}");
}

#[test]
fn what_lasts_is_not_lost_to_what_passes() {
    let one = "pools/east/addresses/one";
    let weight = |desired: &Desired| {
        desired.object(&object(one)).expect("it is there").specification["weight"].clone()
    };
    let passing = edited(&desired(), vec![merge(one, json!({"weight": 3}))], Some(1000));
    let lasting = edited(&passing, vec![merge(one, json!({"weight": 3}))], None);
    assert_eq!(weight(&lasting.at(1000).0), json!(3), "it says the same, and for longer");
    let longer = edited(&passing, vec![merge(one, json!({"weight": 3}))], Some(2000));
    assert_eq!((weight(&longer.at(1000).0), longer.due()), (json!(3), Some(2000)));

    let pool = desired().object(&object("pools/east")).expect("it is there").specification;
    let mut pool = Value::Object(pool);
    pool["address"][0]["weight"] = json!(3);
    let whole = edited(&desired(), vec![put("pools/east", pool)], Some(1000));
    let five = edited(&whole, vec![merge(one, json!({"weight": 5}))], None);
    let three = edited(&five, vec![merge(one, json!({"weight": 3}))], None);
    let edits = three.edits().iter().map(|standing| Arc::clone(&standing.edit)).collect();
    let (again, outcome) = over(FILE, edits);
    assert_eq!((outcome.gone.len(), weight(&again.at(1000).0)), (0, json!(3)));
}

#[test]
fn what_is_in_force_is_what_a_restart_makes_of_it() {
    let address = |name: &str, last: u8| {
        put(&format!("pools/west/addresses/{name}"), json!({"ip": format!("192.0.2.{last}")}))
    };
    let steps: [Vec<(Object, Change)>; 3] = [
        vec![address("x", 10), address("y", 11), address("x", 12)],
        vec![address("y", 13), remove("pools/west/addresses/three"), address("three", 3)],
        vec![
            put("pools/north", json!({"address": [{"name": "a", "ip": "192.0.2.20"}]})),
            address("z", 14),
            put("pools/north", json!({"address": [{"name": "b", "ip": "192.0.2.21"}]})),
            remove("pools/west/addresses/z"),
        ],
    ];
    for steps in steps {
        let mut now = desired();
        for step in steps {
            now = with(&now, step);
            let edits = now.edits().iter().map(|standing| Arc::clone(&standing.edit)).collect();
            let (again, _) = over(FILE, edits);
            assert_eq!(again.plan(), now.plan(), "{:?}", now.edits());
        }
    }
}

#[test]
fn one_edit_that_no_longer_fits_leaves_the_others_alone() {
    let mut now = desired();
    // The first needs the second, which it was made together with.
    let pair = vec![
        put("domains/a.example.com", json!({"pools": ["north"]})),
        put("pools/north", json!({"address": [{"name": "a", "ip": "192.0.2.20"}]})),
    ];
    now = edited(&now, pair, None);
    for at in 0..50 {
        now = with(&now, put(&format!("domains/d{at}.example.com"), json!({"pools": ["west"]})));
    }
    let edits = now.edits().iter().map(|standing| Arc::clone(&standing.edit)).collect();
    let without =
        FILE.replace("[pool.west]           # the west", "[pool.other]").replace(", \"west\"", ", \"other\"");
    let (left, _) = over(&without, edits);
    let orphaned = left.edits().iter().filter(|standing| standing.orphaned.is_some()).count();
    assert_eq!((orphaned, left.plan().domains.len(), left.plan().pools.len()), (50, 2, 3));
}

#[test]
fn an_rrset_is_edited_whole() {
    let text = FILE.replace(
        "[health_check.web]",
        "[[zone.record]]\nname = \"t\"\ntype = \"TXT\"\ndata = \"one\"\n\
         [[zone.record]]\nname = \"t\"\ntype = \"TXT\"\ndata = [\"two\"]\n[health_check.web]",
    );
    let (before, _) = over(&text, Vec::new());
    let txt = "zones/example.com/records/t/TXT";
    let found = before.object(&object(txt)).expect("it is there");
    assert_eq!(Value::Object(found.specification), json!({"data": ["one", "two"]}));
    let after = with(&before, merge(txt, json!({"ttl": 7})));
    let rrset = |desired: &Desired| {
        let rrsets = &desired.plan().zones[0].rrsets;
        rrsets
            .iter()
            .find(|rrset| rrset.rtype == crate::dns::Rtype::TXT)
            .map(|rrset| (rrset.ttl, rrset.rdata.len()))
    };
    assert_eq!((rrset(&before), rrset(&after)), (Some((3600, 2)), Some((7, 2))));
    let of_keys =
        before.with(vec![put("zones/example.com/records/@/NS", json!({"data": "a."}))], &Stamp::default());
    assert!(matches!(of_keys, Err(Refusal::Mistaken { .. })), "the zone's keys say it");
}
