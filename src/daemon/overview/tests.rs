//! Domains that are down, and troubles that nobody has any more.

use std::path::Path;

use super::*;
use crate::config;
use crate::geo::GeoTable;

const WORLD: &str = r#"
geoip.databases = []

[[zone]]
name = "z.test"
nameservers = ["ns.other.test"]
contact = "a.z.test"

[health_check.web]
type = "icmp"

[pool]
vn = { health_check = "web", address = [{ name = "a", ip = "192.0.2.1" }, { name = "b", ip = "192.0.2.2" }] }
hk = { address = [{ name = "a", ip = "192.0.2.3" }] }
spare = { address = [{ name = "a", ip = "192.0.2.4" }] }
inner = { domain = "inner.z.test" }

[[domain]]
name = "inner.z.test"
policy = "priority"
pools = ["vn"]
when_all_down = "nodata"

[[domain]]
name = "outer.z.test"
policy = "priority"
pools = ["inner", "hk"]
when_all_down = { fallback = "spare" }
"#;

fn plan(text: &str) -> Arc<Plan> {
    let loaded = config::parse("test.toml", text, Path::new(""));
    Arc::new(loaded.unwrap_or_else(|mistakes| panic!("{mistakes}")).plan)
}

/// The table of `plan` with these pools down.
fn table(plan: &Arc<Plan>, down: &[&str]) -> RoutingTable {
    let well = RoutingTable::well(Arc::clone(plan), Arc::new(GeoTable::empty()));
    let ids = (0..).map(PoolId).zip(&plan.pools).filter(|(_, pool)| down.contains(&&pool.name[..]));
    ids.fold(well, |table, (id, _)| table.with_up(id, |_| false))
}

fn trouble(topic: Topic, subject: Subject) -> Arc<Incident> {
    let (phase, summary, at) = (Phase::Begun, String::new(), Duration::ZERO);
    Arc::new(Incident { topic, subject, phase, summary, at })
}

fn told(incidents: Vec<Incident>) -> Vec<String> {
    incidents.into_iter().map(|incident| format!("{:?}: {}", incident.phase, incident.summary)).collect()
}

#[test]
fn a_domain_is_down_when_none_of_its_pools_has_a_healthy_address() {
    let plan = plan(WORLD);
    let mut overview = Overview::default();
    let mut look = |down: &[&str]| told(overview.look(&table(&plan, down), Duration::ZERO));
    assert_eq!(look(&[]), [""; 0]);
    assert_eq!(look(&["hk", "spare"]), [""; 0], "there is another");
    assert_eq!(
        look(&["vn"]),
        ["Begun: no pool of inner.z.test has a healthy address: clients are given an empty answer"]
    );
    assert_eq!(
        look(&["vn", "hk"]),
        [
            "Begun: no pool of outer.z.test has a healthy address: clients are sent to its fallback, pool spare"
        ]
    );
    assert_eq!(look(&["vn", "hk"]), [""; 0], "it is told once");
    assert_eq!(look(&["vn"]), ["Over: outer.z.test has a healthy address again"]);
    assert_eq!(look(&[]), ["Over: inner.z.test has a healthy address again"]);
}

#[test]
fn what_is_down_at_first_or_in_another_configuration_is_told_too() {
    let (before, after) = (plan(WORLD), plan(&WORLD.replace(r#"["inner", "hk"]"#, r#"["hk"]"#)));
    let mut overview = Overview::default();
    assert_eq!(told(overview.look(&table(&before, &["vn"]), Duration::ZERO)).len(), 1);
    assert_eq!(told(overview.look(&table(&after, &["vn"]), Duration::ZERO)), [""; 0]);
    assert_eq!(told(overview.look(&table(&after, &["vn", "hk"]), Duration::ZERO)).len(), 1);
}

#[test]
fn troubles_of_what_is_there_no_more_are_over() {
    let plan = plan(WORLD);
    let standing = [
        trouble(Topic::Address, Subject::pool("vn", Some("a"))),
        trouble(Topic::Address, Subject::pool("vn", Some("c"))),
        trouble(Topic::Pool, Subject::pool("hk", None)),
        trouble(Topic::Address, Subject::pool("hk", Some("a"))),
        trouble(Topic::Damping, Subject::pool("hk", Some("a"))),
        trouble(Topic::Check, Subject::pool("hk", None)),
        trouble(Topic::Check, Subject::pool("vn", None)),
        trouble(Topic::Pool, Subject::pool("sg", None)),
        trouble(Topic::Domain, Subject::domain("inner.z.test")),
        trouble(Topic::Domain, Subject::domain("gone.z.test")),
        trouble(Topic::Name, Subject::name("gone.test")),
        trouble(Topic::Isolation, Subject::default()),
    ];
    assert_eq!(
        told(gone(&table(&plan, &[]), &standing, Duration::ZERO)),
        [
            "Over: address vn/c is there no more",
            "Over: address hk/a is checked no more",
            "Over: address hk/a is checked no more",
            "Over: pool hk is checked no more",
            "Over: pool sg is there no more",
            "Over: domain gone.z.test is there no more",
            "Over: name gone.test is there no more",
        ]
    );
}
