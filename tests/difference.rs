//! What is told of the difference between two configurations.

use std::path::Path;

use rhumb::config;
use rhumb::plan::{LatencySource, Measurement, Plan, PoolId, difference};

const BEFORE: &str = r#"
    geoip.databases = []
    zone = [{ name = "example", nameservers = ["ns.example.net"], contact = "c.example.net" }]
    [health_check]
    web = { type = "tcp" }
    mail = { type = "tcp" }
    [condition]
    database = { check = "mail", ip = "192.0.2.9", port = 25 }
    [pool]
    a = { health_check = "web", address = [{ name = "one", ip = "192.0.2.1", port = 80 }] }
    b = { condition = "database", address = [{ name = "one", ip = "192.0.2.2" }] }
    c = { domain = "below.example" }
    [[domain]]
    name = "www.example"
    pools = ["a", "c"]
    when_all_down = { fallback = "b" }
    [[domain]]
    name = "below.example"
    rule = [{ match = ["VN"], pools = ["b"] }]
    pools = ["a"]
"#;

fn plan(text: &str) -> Plan {
    config::parse("test.toml", text, Path::new("")).unwrap_or_else(|mistakes| panic!("{mistakes}")).plan
}

#[test]
fn where_things_stand_means_nothing() {
    let text = r#"
        geoip.databases = []
        zone = [
            { name = "0.example", nameservers = ["ns.example.net"], contact = "c.example.net" },
            { name = "example", nameservers = ["ns.example.net"], contact = "c.example.net" },
        ]
        [condition]
        cache = { check = "cache", ip = "192.0.2.9", port = 26 }
        database = { check = "mail", ip = "192.0.2.9", port = 25 }
        [health_check]
        cache = { type = "tcp" }
        mail = { type = "tcp" }
        web = { type = "tcp" }
        [pool]
        aa = { address = [{ name = "one", ip = "192.0.2.1", port = 80 }] }
        c = { domain = "below.example" }
        b = { condition = "database", address = [{ name = "one", ip = "192.0.2.2" }] }
        a = { health_check = "web", address = [{ name = "one", ip = "192.0.2.1", port = 80 }] }
        [[domain]]
        name = "below.example"
        rule = [{ match = ["VN"], pools = ["b"] }]
        pools = ["a"]
        [[domain]]
        name = "www.example"
        pools = ["a", "c"]
        when_all_down = { fallback = "b" }
    "#;
    let (before, mut after) = (plan(BEFORE), plan(text));
    let found = difference(&before, &after);
    assert_eq!(
        found.to_string(),
        "1 pool added, 1 zone added, 1 health check added, 1 condition added",
        "{found:?}"
    );
    assert_eq!((found.pools.added, found.zones.added), (vec!["aa".to_owned()], vec!["0.example".to_owned()]));

    let measured =
        |pool: u32| Measurement { source: LatencySource::Asn(64500), pool: PoolId(pool), milliseconds: 1.0 };
    let position = |plan: &Plan, name: &str| {
        (0..).zip(&plan.pools).find(|(_, pool)| pool.name == name).expect("it is there").0
    };
    let mut before = before;
    before.latencies = vec![measured(position(&before, "a"))];
    after.latencies = vec![measured(position(&after, "a"))];
    assert!(!difference(&before, &after).latencies);
    after.latencies = vec![measured(position(&after, "b"))];
    assert!(difference(&before, &after).latencies);
}

#[test]
fn each_change_is_told_where_it_was_made_and_nowhere_else() {
    let before = plan(BEFORE);
    assert!(difference(&before, &before).is_empty());
    assert_eq!(difference(&before, &before).to_string(), "nothing has changed");
    for (from, to, expected) in [
        ("192.0.2.1\"", "192.0.2.7\"", "1 pool changed"),
        ("health_check = \"web\", address", "health_check = \"mail\", address", "1 pool changed"),
        ("web = { type = \"tcp\" }", "web = { type = \"tcp\", fall = 7 }", "1 health check changed"),
        ("port = 25", "port = 26", "1 condition changed"),
        ("check = \"mail\", ip", "check = \"web\", ip", "1 condition changed"),
        ("fallback = \"b\"", "fallback = \"a\"", "1 domain changed"),
        ("[\"VN\"], pools = [\"b\"]", "[\"VN\"], pools = [\"a\"]", "1 domain changed"),
        ("name = \"www.example\"", "name = \"w3.example\"", "1 domain added, 1 domain removed"),
        ("ns.example.net", "ns2.example.net", "1 zone changed"),
        ("condition = \"database\", address", "address", "1 pool changed"),
        ("[condition]", "[health.isolation]\nshare = 0.5\n[condition]", "isolation changed"),
    ] {
        assert!(BEFORE.contains(from), "{from}");
        let found = difference(&before, &plan(&BEFORE.replace(from, to)));
        assert_eq!(found.to_string(), expected, "{from} to {to}: {found:?}");
    }
}
