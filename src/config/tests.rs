//! What a sound configuration means, and what holds for any text at all.

use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::dns::{Name, Rrset, Rtype};
use crate::geo::{Continent, Location};
use crate::plan::{
    Addresses, CheckId, CheckKind, DomainPolicy, HttpVersion, PoolId, PoolPolicy, Source, StatusRange, Trust,
    WhenAllDown, ZoneId,
};

const EXAMPLE: &str = include_str!("../../config/rhumb.toml");

fn base_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config_errors")
}

fn sound(text: &str) -> Loaded {
    parse("test.toml", text, &base_dir()).unwrap_or_else(|diagnostics| panic!("{diagnostics}"))
}

fn mistakes(text: &str) -> Diagnostics {
    parse("test.toml", text, &base_dir()).expect_err("the text has mistakes")
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn rrset<'l>(loaded: &'l Loaded, owner: &str, rtype: Rtype) -> &'l Rrset {
    let is_it = |rrset: &&Rrset| rrset.owner == name(owner) && rrset.rtype == rtype;
    loaded.plan.zones[0].rrsets.iter().find(is_it).unwrap_or_else(|| panic!("no {rtype} at {owner}"))
}

#[test]
fn the_example_means_what_it_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/rhumb.toml");
    let loaded = load(&path).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    let Plan { zones, health_checks, pools, domains, conditions, latencies, isolation } = &loaded.plan;
    assert!(latencies.is_empty() && conditions.is_empty());
    assert_eq!(isolation.as_ref().map(|isolation| isolation.canaries.len()), Some(0), "the default");
    assert_eq!(zones.len(), 1);
    assert_eq!(zones[0].negative_ttl, 5);
    assert_eq!(zones[0].rrsets[0].rtype, Rtype::SOA);
    assert_eq!(rrset(&loaded, "ai.example.com", Rtype::NS).rdata.len(), 2);
    assert_eq!(rrset(&loaded, "ns1.ai.example.com", Rtype::A).rdata, [Box::from([192, 0, 2, 53])]);

    assert_eq!(health_checks[0].interval, Duration::from_millis(500));
    assert_eq!(health_checks[0].timeout, Duration::from_millis(300));
    assert!(matches!(&health_checks[0].kind, CheckKind::Http(http) if http.path == "/health"));

    assert_eq!(pools.iter().map(|pool| &pool.name[..]).collect::<Vec<_>>(), ["vietnam", "hongkong"]);
    assert_eq!(pools[0].answers, 8);
    assert_eq!(pools[0].health_check, Some(CheckId(0)));
    assert_eq!(pools[0].serves[4], Source::Asn(64500));
    assert!(pools[0].coordinates.is_some());
    assert_eq!((pools[1].policy, pools[1].answers), (PoolPolicy::Weighted, 1));
    assert!(matches!(&pools[1].addresses, Addresses::Cname(list) if list.len() == 1));

    assert_eq!(domains[0].name, name("nginx.ai.example.com"));
    assert_eq!(domains[0].zone, ZoneId(0));
    assert_eq!(domains[0].pools(), [PoolId(0), PoolId(1)]);
    assert_eq!(domains[0].when_all_down, WhenAllDown::ServeAll);
}

#[test]
fn pools_say_when_they_are_in_service() {
    use crate::plan::{Damping, Failback, MinAvailable, ServiceRules};
    let loaded = sound(
        r#"
        [health_check.c]
        type = "tcp"
        damping = { flips = 5, window = "10m", hold = "5m" }
        [pool.a]
        address = [{ name = "one", ip = "192.0.2.1" }]
        [pool.b]
        min_available = "50%"
        hold_down = "1m"
        slow_start = "2m"
        address = [{ name = "one", ip = "192.0.2.1" }]
        [pool.c]
        min_available = 2
        failback = "manual"
        address = [{ name = "one", ip = "192.0.2.1" }, { name = "two", ip = "192.0.2.2" }]
        "#,
    );
    let Plan { health_checks, pools, .. } = &loaded.plan;
    let minutes = |count: u64| Duration::from_secs(60 * count);
    let damping = Damping { flips: 5, window: minutes(10), hold: minutes(5) };
    assert_eq!(health_checks[0].damping, Some(damping));
    let default = ServiceRules::default();
    assert_eq!(pools[0].service, default);
    assert_eq!((default.min_available, default.failback), (MinAvailable::Addresses(1), Failback::Automatic));
    let min_available = MinAvailable::Percent(50);
    let (hold_down, slow_start) = (minutes(1), minutes(2));
    assert_eq!(pools[1].service, ServiceRules { min_available, hold_down, slow_start, ..default });
    let (min_available, failback) = (MinAvailable::Addresses(2), Failback::Manual);
    assert_eq!(pools[2].service, ServiceRules { min_available, failback, ..default });
}

#[test]
fn names_that_are_resolved_stand_between_ips() {
    let loaded = sound(
        r#"
        resolver.servers = ["192.0.2.1", "[2001:db8::1]:5353"]
        [pool.a]
        policy = "priority"
        min_available = 5
        address = [
          { name = "one", resolve = "One.Example.net." },
          { name = "two", ip = "192.0.2.1" },
          { name = "three", resolve = "three.example.net", weight = 7, port = 81 },
        ]
        [pool.b]
        address = [{ name = "only", resolve = "only.example.net" }]
        "#,
    );
    let servers: Vec<String> = loaded.settings.resolver.servers.iter().map(ToString::to_string).collect();
    assert_eq!(servers, ["192.0.2.1:53", "[2001:db8::1]:5353"]);
    let [a, b] = &loaded.plan.pools[..] else { panic!("{:?}", loaded.plan.pools) };
    let [one, three] = &a.resolved[..] else { panic!("{a:?}") };
    assert_eq!((a.addresses.names(), a.answers), (vec!["two"], 1));
    assert_eq!((&one.address.target, one.position, one.address.rank), (&name("one.example.net"), 0, 1));
    assert_eq!((three.position, three.address.rank), (1, 3), "the order counts where no ranks are written");
    assert_eq!((three.address.weight, three.address.port), (7, Some(81)));
    assert!(matches!(&b.addresses, Addresses::Ip(list) if list.is_empty()));
    assert_eq!((b.resolved.len(), b.answers), (1, 8));
}

#[test]
fn an_empty_file_has_the_defaults() {
    let Loaded { settings, geoip, plan, .. } = sound("");
    let Settings { server, admin, resolver, health, log, query_log, traces } = settings;
    let listen: Vec<String> = server.listen.iter().map(ToString::to_string).collect();
    assert_eq!(listen, ["0.0.0.0:53", "[::]:53"]);
    assert_eq!((server.workers, server.user), (0, None));
    assert_eq!(server.state_dir, Path::new("/var/lib/rhumb"));
    assert_eq!(server.tcp.max_connections, 1000);
    let ServiceSettings { cookies, cookie_secret_file, nsid, version, id, rate_limit } = server.service;
    assert_eq!((cookies, cookie_secret_file), (true, None));
    assert_eq!((nsid, version.as_deref(), id), (None, Some("rhumb"), None));
    let RateLimitSettings { responses_per_second, slip, exempt } = rate_limit;
    assert_eq!((responses_per_second, slip, exempt), (200, 2, Vec::new()));
    assert_eq!(admin.listen.to_string(), "127.0.0.1:8053");
    assert!(resolver.servers.is_empty());
    assert_eq!((health.max_scripts, health.max_in_flight), (16, 8192));
    let filter = String::new();
    assert_eq!(log, LogSettings { format: LogFormat::Text, level: LogLevel::Info, filter });
    assert_eq!((query_log, traces), (None, None));
    assert_eq!(geoip, GeoipSettings::default());
    assert_eq!(plan, Plan { isolation: plan.isolation.clone(), ..Plan::default() });
}

#[test]
fn what_is_left_out_has_its_default() {
    let loaded = sound(
        r#"
        [[zone]]
        name = "Ex.Test."
        nameservers = ["ns.other.test"]
        contact = "first.last@ex.test"
        [health_check.x]
        type = "https"
        interval = "200ms"
        [pool.a]
        health_check = "x"
        address = [{ name = "one", ip = "2001:db8::1" }]
        [pool.c]
        address = [{ name = "one", cname = "www.other.test" }]
        [[domain]]
        name = "www.ex.test"
        pools = ["a"]
        when_all_down = { fallback = "c" }
        "#,
    );
    let check = &loaded.plan.health_checks[0];
    // The timeout is never longer than the interval.
    assert_eq!(check.timeout, Duration::from_millis(200));
    assert_eq!((check.fall, check.rise), (2, 2));
    let CheckKind::Https { http, tls } = &check.kind else { panic!("an https check") };
    assert_eq!((&tls.trust, &tls.sni, &tls.identity), (&Trust::HostRoots, &None, &None));
    assert_eq!((&http.method[..], http.version), ("GET", HttpVersion::Http1));
    assert_eq!((&http.path[..], &http.host, http.reuse), ("/", &None, false));
    assert_eq!(http.expect_status, [StatusRange { first: 200, last: 299 }]);
    assert_eq!(loaded.plan.pools[0].policy, PoolPolicy::RoundRobin);
    assert_eq!(loaded.plan.pools[1].answers, 1);
    let domain = &loaded.plan.domains[0];
    assert_eq!(
        (domain.ttl, domain.choice.as_ref().map(|choice| choice.policy)),
        (5, Some(DomainPolicy::Nearest))
    );
    assert_eq!(domain.when_all_down, WhenAllDown::Fallback(PoolId(1)));
    let soa = rrset(&loaded, "ex.test", Rtype::SOA);
    assert_eq!(soa.ttl, 3600);
    let names = [name("ns.other.test").wire(), name(r"first\.last.ex.test").wire()].concat();
    let numbers = [1u32, 14_400, 3_600, 1_209_600, 5].map(u32::to_be_bytes).concat();
    assert_eq!(soa.rdata, [Box::from([names, numbers].concat())]);
}

#[test]
fn the_negative_ttl_is_the_lesser_of_both() {
    let zone = |ttl: &str, negative_ttl: &str| {
        let text = format!(
            "zone = [{{ name = \"ex.test\", nameservers = [\"ns.other.test\"], contact = \"a.ex.test\", \
             ttl = {ttl}, negative_ttl = {negative_ttl} }}]"
        );
        sound(&text).plan.zones[0].negative_ttl
    };
    assert_eq!(zone("60", "\"1h\""), 60);
    assert_eq!(zone("\"1h\"", "30"), 30);
}

#[test]
fn a_zone_file_is_read_as_rfc_1035_says() {
    let loaded = sound(
        r#"
        [[zone]]
        name = "ex.test"
        file = "records.zone"
        [[zone.record]]
        name = "more"
        type = "TXT"
        data = "no quotes; needed"
        ttl = "1m"
        "#,
    );
    for (owner, rtype, ttl, data) in [
        ("ns1.ex.test", Rtype::A, 300, &b"\xc0\x00\x02\x35"[..]),
        ("www.ex.test", Rtype::CNAME, 60, b"\x04mail\x02ex\x04test\0"),
        ("txt.ex.test", Rtype::TXT, 3600, b"\x04a; b\x01c\x02\"A"),
        ("deep.sub.ex.test", Rtype(65280), 3600, b"\x01\x02\x03"),
        ("more.ex.test", Rtype::TXT, 60, b"\x11no quotes; needed"),
    ] {
        let found = rrset(&loaded, owner, rtype);
        assert_eq!((found.ttl, &found.rdata[..]), (ttl, &[Box::from(data)][..]), "{owner} {rtype}");
    }
    assert_eq!(rrset(&loaded, "ex.test", Rtype::NS).rdata.len(), 2);
    assert_eq!(rrset(&loaded, "ns1.ex.test", Rtype::AAAA).ttl, 3600);
    assert_eq!(loaded.plan.zones[0].negative_ttl, 5);
}

#[test]
fn included_files_leave_nothing_behind() {
    let loaded = sound("[[zone]]\nname = 'ex.test'\nfile = 'whole.zone'");
    for (owner, rtype, ttl, count) in [
        ("www.sub.ex.test", Rtype::AAAA, 3600, 1),
        ("deeper.sub.ex.test", Rtype::MX, 60, 1),
        ("deeper.sub.ex.test", Rtype::TXT, 60, 1),
        ("ex.test", Rtype::A, 5, 2),
    ] {
        let found = rrset(&loaded, owner, rtype);
        assert_eq!((found.ttl, found.rdata.len()), (ttl, count), "{owner} {rtype}");
    }
}

#[test]
fn a_zone_file_may_hold_what_others_only_warn_of() {
    let loaded = sound("[[zone]]\nname = 'ex.test'\nfile = 'lenient.zone'");
    let mixed = rrset(&loaded, "mixed.ex.test", Rtype::A);
    // RFC 2181 section 5.2: the lowest TTL is that of all.
    assert_eq!(mixed.ttl, 60);
    assert_eq!(mixed.rdata, [Box::from([192, 0, 2, 1]), Box::from([192, 0, 2, 2])]);
}

#[test]
fn a_domain_is_in_the_longest_of_nested_zones() {
    let loaded = sound(
        r#"
        zone = [
            { name = "ex.test", nameservers = ["ns.other.test"], contact = "a.ex.test" },
            { name = "sub.ex.test", nameservers = ["ns.other.test"], contact = "a.ex.test" },
        ]
        pool.a.address = [{ name = "one", ip = "192.0.2.1" }]
        domain = [{ name = "www.sub.ex.test", pools = ["a"] }, { name = "wsub.ex.test", pools = ["a"] }]
        "#,
    );
    let zones: Vec<ZoneId> = loaded.plan.domains.iter().map(|domain| domain.zone).collect();
    assert_eq!(zones, [ZoneId(1), ZoneId(0)]);
}

#[test]
fn all_mistakes_come_at_once_in_order() {
    let diagnostics = mistakes(
        "[server]\nworker = 1\n[[domain]]\nname = \"a.ex.test\"\npools = [\"b\"]\nttl = -1\n\
         [pool.a]\npolicy = \"x\"\n[health_check.c]\ntype = \"tcp\"\nfall = 0\n\
         [[zone]]\nname = \"ex.test\"\nfile = \"mistakes.zone\"\n",
    );
    let lines: Vec<(&str, usize)> = diagnostics
        .iter()
        .take(7)
        .map(|diagnostic| {
            let file = diagnostic.file.rsplit('/').next().expect("a file has a name");
            (file, diagnostic.position.expect("a place").line)
        })
        .collect();
    let own = [2, 5, 6, 7, 8, 11].map(|line| ("test.toml", line));
    assert_eq!(lines, [&own[..], &[("mistakes.zone", 1)]].concat());
}

#[test]
fn line_ends_and_a_byte_order_mark_move_nothing() {
    for text in ["[server]\nworker = 1\n", "[server]\r\nworker = 1\r\n", "\u{feff}[server]\nworker = 1\n"] {
        let printed = mistakes(text).to_string();
        assert!(
            printed.starts_with("test.toml:2:1: error: unknown key `worker`\n    2 | worker = 1\n"),
            "{printed}"
        );
    }
    let printed = mistakes("\u{feff}worker = 1").to_string();
    assert!(printed.starts_with("test.toml:1:1: "), "{printed}");
}

#[test]
fn programs_get_json() {
    let json = serde_json::to_value(mistakes("[server]\nworker = 1\n")).expect("it can be written as JSON");
    let expected = serde_json::json!([{
        "file": "test.toml",
        "line": 2,
        "column": 1,
        "message": "unknown key `worker`",
        "hint": "did you mean `workers`?",
    }]);
    assert_eq!(json, expected);
}

#[test]
fn a_file_that_cannot_be_read_is_a_mistake() {
    let diagnostics = load(Path::new("/nonexistent/rhumb.toml")).expect_err("there is no such file");
    let printed = diagnostics.to_string();
    assert!(printed.starts_with("/nonexistent/rhumb.toml: error: cannot read the file: "), "{printed}");
}

#[test]
fn databases_are_found_beside_the_file() {
    let geoip = Path::new(env!("CARGO_MANIFEST_DIR")).join("geoip");
    let text = "[geoip]\ndatabases = [\"embedded.mmdb\"]";
    let loaded = parse("test.toml", text, &geoip).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    assert_eq!(loaded.geoip.databases, [geoip.join("embedded.mmdb")]);
    assert_eq!(loaded.geo.databases().len(), 1);
}

#[test]
fn networks_go_over_the_embedded_database() {
    let text = "
        [geoip]
        unknown = { latitude = 10.8, longitude = 106.6 }
        [[geoip.network]]
        prefixes = [\"10.0.0.0/8\", \"fd00::/8\"]
        subdivision = \"US-CA\"
        asn = \"AS64500\"
        ";
    let loaded = sound(text);
    assert_eq!((loaded.geoip.databases.len(), loaded.geoip.overlay.networks.len()), (0, 2));
    let describe = |ip: &str| loaded.geo.describe(ip.parse().expect("an IP address"));
    for ip in ["10.1.2.3", "fd00::1"] {
        let description = describe(ip);
        let Location { country, subdivision, continent, asn, .. } = description.place.location;
        assert_eq!(country.map(|country| country.to_string()).as_deref(), Some("US"));
        assert_eq!(subdivision.map(|subdivision| subdivision.to_string()).as_deref(), Some("US-CA"));
        assert_eq!((continent, asn), (Some(Continent::NorthAmerica), Some(64500)));
        assert_eq!(description.sources.subdivision, Some("configuration"));
    }
    assert_eq!(describe("192.168.0.1").sources.coordinates, Some("configuration"));
    assert_eq!(describe("113.160.0.1").sources.country, Some("embedded"));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in ".{0,200}") {
        let _ = parse("test.toml", &text, &base_dir()).map_err(|diagnostics| diagnostics.to_string());
    }

    #[test]
    fn no_octets_make_it_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        let (result, _) = read(Report::default(), "test.toml".to_owned(), octets, &base_dir(), None);
        let _ = result.map_err(|diagnostics| diagnostics.to_string());
    }

    /// Parts of the example cut out, doubled, or replaced by what means something to TOML and DNS.
    #[test]
    fn no_change_of_the_example_makes_it_panic(
        edits in proptest::collection::vec((0..EXAMPLE.len(), 0..40usize, 0..STRAWS.len(), any::<bool>()), 1..6)
    ) {
        let mut text = EXAMPLE.to_owned();
        for (start, length, straw, double) in edits {
            let start = text.floor_char_boundary(start);
            let end = text.ceil_char_boundary(start + length);
            let cut = text[start..end].to_owned();
            text.replace_range(start..end, STRAWS[straw]);
            if double {
                text.insert_str(start, &cut);
            }
        }
        let _ = parse("test.toml", &text, &base_dir()).map_err(|diagnostics| diagnostics.to_string());
    }

    /// Record data and zone files go through the same reader.
    #[test]
    fn no_data_makes_it_panic(rtype in 0..300u16, data in r#"[ -~é\t]{0,60}"#) {
        let text = format!(
            "zone = [{{ name = \"ex.test\", nameservers = [\"ns.other.test\"], contact = \"a.ex.test\", \
             record = [{{ name = \"@\", type = \"TYPE{rtype}\", data = {data:?} }}] }}]"
        );
        let _ = parse("test.toml", &text, &base_dir()).map_err(|diagnostics| diagnostics.to_string());
    }
}

const STRAWS: [&str; 14] =
    ["", "\"", "[", "]", "{", "}", "\n", "=", "#", ".", "[[zone]]\n", "\u{feff}é\t", "0", "[pool.vietnam]\n"];

#[test]
fn limits_of_choices_and_rules_are_told() {
    const WORLD: &str =
        "zone = [{ name = \"ex.test\", nameservers = [\"ns.other.test\"], contact = \"a@ex.test\" }]
                         [pool.a]
                         address = [{ name = \"one\", ip = \"192.0.2.1\" }]";
    let pools: Vec<String> = (0..1025).map(|number| format!("p{number}")).collect();
    let tables = pools
        .iter()
        .map(|pool| format!("[pool.{pool}]\naddress = [{{ name = \"one\", ip = \"192.0.2.1\" }}]\n"));
    let domain = |pools: &[String]| format!("[[domain]]\nname = \"www.ex.test\"\npools = {pools:?}\n");
    let tables: String = tables.collect();
    sound(&format!("{WORLD}\n{tables}{}", domain(&pools[1..])));
    let told = mistakes(&format!("{WORLD}\n{tables}{}", domain(&pools))).to_string();
    assert!(told.contains("1025 pools are too many for one choice: it has at most 1024"), "{told}");

    let rules = |count: u32| -> String {
        let rule = |asn: u32| format!("[[domain.rule]]\nmatch = \"AS{asn}\"\npools = [\"a\"]\n");
        (64500..64500 + count).map(rule).collect()
    };
    let domain = "[[domain]]\nname = \"www.ex.test\"\n";
    sound(&format!("{WORLD}\n{domain}{}", rules(1024)));
    let told = mistakes(&format!("{WORLD}\n{domain}{}", rules(1025))).to_string();
    assert!(told.contains("1025 rules are too many: a domain has at most 1024"), "{told}");
}
