//! The whole chain on loopback: nsd serves the parent zone and delegates, rhumb serves the
//! delegated zone on port 53, unbound resolves by following the delegation, dig asks unbound.

mod support;

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use support::others::{dig, nsd, try_dig, unbound};
use support::process::Process;
use support::scene::{QUICK, Scene};
use support::site::Site;
use support::{eventually, free_port, need_root, now, own_address, turn_at_ipv6_port_53};

/// Where the servers are.
struct Places {
    parent: SocketAddr,
    rhumb: SocketAddr,
    resolver: SocketAddr,
}

/// Client networks of the embedded country database, by the version of IP.
struct Clients {
    vietnam: &'static str,
    hongkong: &'static str,
}

const IPV4: Clients = Clients { vietnam: "14.160.0.0/24", hongkong: "1.64.0.0/24" };
const IPV6: Clients = Clients { vietnam: "2400:1060::/48", hongkong: "2404:c800::/48" };

const NAME: &str = "nginx.ai.example.com";
/// In seconds; how long a resolver may hold what it was given.
const TTL: u32 = 1;

#[test]
fn a_resolver_follows_the_delegation_and_the_failover() {
    need_root();
    let at = |port| SocketAddr::new(own_address().into(), port);
    prove(&Places { parent: at(53), rhumb: at(53), resolver: at(5300) }, &IPV4);
}

#[test]
fn it_does_over_ipv6_alone() {
    need_root();
    // There is one such address. Delegations lead to port 53, so that is rhumb's.
    let ip = IpAddr::V6(Ipv6Addr::LOCALHOST);
    let at = |port| SocketAddr::new(ip, port);
    let places = Places { parent: at(free_port(ip)), rhumb: at(53), resolver: at(free_port(ip)) };
    let _turn = turn_at_ipv6_port_53();
    prove(&places, &IPV6);
}

fn prove(places: &Places, clients: &Clients) {
    let (mut vietnam, hongkong, mut scene) = (Site::start(), Site::start(), Scene::new());
    scene.dns = places.rhumb;
    let daemon = scene.start(&configuration(&scene, &vietnam, &hongkong));
    let _others = Others::start(places);
    let ask = |arguments: &[&str]| dig(places.resolver, arguments);
    let given = |client: &str| addresses(&ask(&[NAME, &format!("+subnet={client}"), "+short"]));

    // The nearest site for each of two clients of one resolver, one of which finds the other's
    // answer in the cache.
    assert_eq!(given(clients.vietnam), [vietnam.ip()]);
    assert_eq!(given(clients.hongkong), [hongkong.ip()]);
    // A client nobody can place: the first pool.
    assert_eq!(addresses(&ask(&[NAME, "+short"])), [vietnam.ip()]);
    let reply = ask(&[NAME, "+noall", "+answer", "+comments"]);
    assert!(reply.contains("status: NOERROR"), "{reply}");
    assert!(ttl(&reply) <= TTL, "{reply}");
    // What is not there is known not to be there, and by whom.
    let missing = ask(&["missing.ai.example.com"]);
    assert!(missing.contains("status: NXDOMAIN") && missing.contains("hostmaster.example.com"), "{missing}");
    let no_data = ask(&[NAME, "TXT"]);
    assert!(no_data.contains("status: NOERROR") && no_data.contains("ANSWER: 0"), "{no_data}");
    assert!(ask(&["ai.example.com", "NS", "+short"]).contains("ns1.ai.example.com."));

    let killed = now();
    vietnam.kill();
    let turned = eventually("the other site by way of the resolver", || {
        (given(clients.vietnam) == [hongkong.ip()]).then(|| killed.elapsed())
    });
    eprintln!("through the resolver, the other site is given {turned:?} after the fault, TTL {TTL} s");
    daemon.await_line(0, &["down: ", "pool=vietnam"]);
    assert_eq!(given(clients.hongkong), [hongkong.ip()]);

    vietnam.revive();
    eventually("the site that is back", || (given(clients.vietnam) == [vietnam.ip()]).then_some(()));
    assert_eq!(given(clients.hongkong), [hongkong.ip()]);
}

/// What an operator would write for two sites and everyone between them.
fn configuration(scene: &Scene, vietnam: &Site, hongkong: &Site) -> String {
    format!(
        r#"{}
[geoip]
databases = ["{}/geoip/embedded.mmdb"]

[health_check]
web = {{ type = "http", path = "/health", host = "{NAME}", {QUICK} }}

[pool.vietnam]
location = {{ country = "VN" }}
health_check = "web"
address = [{{ name = "alb-1", ip = "{}", port = 8080 }}]

[pool.hongkong]
location = {{ country = "HK" }}
health_check = "web"
address = [{{ name = "alb-1", ip = "{}", port = 8080 }}]

[[domain]]
name = "{NAME}"
policy = "nearest"
pools = ["vietnam", "hongkong"]
ttl = "{TTL}s"
"#,
        scene.ground(),
        env!("CARGO_MANIFEST_DIR"),
        vietnam.ip(),
        hongkong.ip(),
    )
}

/// The servers of others, which end with this value.
struct Others {
    _directory: tempfile::TempDir,
    _parent: Process,
    _resolver: Process,
}

impl Others {
    /// Starts them, and waits until the resolver gives the address of the parent's name server,
    /// for which nobody asks rhumb.
    fn start(places: &Places) -> Others {
        let Places { parent, rhumb, resolver } = places;
        let directory = tempfile::Builder::new().prefix("rhumb-test-").tempdir().expect("a directory");
        let family = if rhumb.is_ipv4() { "A" } else { "AAAA" };
        let zone = format!(
            "$ORIGIN example.com.
$TTL 60
@      SOA ns hostmaster 1 14400 3600 1209600 60
@      NS  ns
ns     {family} {}
ai     NS  ns1.ai
ns1.ai {family} {}
",
            parent.ip(),
            rhumb.ip(),
        );
        let others = Others {
            _parent: Process::start(nsd(directory.path(), *parent, "example.com", &zone)),
            _resolver: Process::start(unbound(directory.path(), *resolver, "example.com", *parent, *rhumb)),
            _directory: directory,
        };
        eventually("the resolver to resolve a name of the parent's", || {
            // Without patience or a second try: both are here.
            let reply = try_dig(*resolver, &["ns.example.com", family, "+short", "+time=1", "+tries=1"])?;
            reply.contains(&parent.ip().to_string()).then_some(())
        });
        others
    }
}

/// The addresses in the short output of dig.
fn addresses(short: &str) -> Vec<IpAddr> {
    short.lines().map(|line| line.parse().unwrap_or_else(|_| panic!("not an address: {short}"))).collect()
}

/// The TTL of the first record of an answer section.
fn ttl(reply: &str) -> u32 {
    let record = reply.lines().find(|line| line.starts_with(NAME)).unwrap_or_else(|| panic!("{reply}"));
    record.split_whitespace().nth(1).and_then(|ttl| ttl.parse().ok()).unwrap_or_else(|| panic!("{record}"))
}
