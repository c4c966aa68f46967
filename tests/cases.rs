//! What the server answers, case by case: the files of `tests/cases`, which `tests/cases/README.md`
//! explains. Written to be read by who runs the server.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rhumb::config::{self, Loaded};
use rhumb::dns::{MAX_UDP_REPLY, Rtype};
use rhumb::geo::{Database, GeoTable};
use rhumb::plan::{Addresses, Plan, Pool, PoolId};
use rhumb::routing::{
    Client, Counters, PoolHealth, RoutingTable, Share, Standing, Transport, Worker, answer,
};

#[path = "support/case_file.rs"]
mod case_file;
#[path = "support/message.rs"]
mod message;
#[path = "support/mmdb.rs"]
mod mmdb;

use case_file::{Case, CaseFile, Edns, Geo, GeoEntry};
use message::{Message, Opt, Query, wire_name};

/// Makes a test of each file, and one that none is forgotten.
macro_rules! files {
    ($($name:ident = $file:literal;)*) => {
        $(#[test] fn $name() { check($file); })*

        #[test]
        fn every_file_is_checked() {
            assert_eq!(files_in("tests/cases", "toml"), [$($file),*]);
        }
    };
}

// In alphabetical order.
files! {
    all_down = "all-down.toml";
    bias = "bias.toml";
    client_subnet = "client-subnet.toml";
    cname = "cname.toml";
    ecs_off = "ecs-off.toml";
    example_active_active_sticky = "example-active-active-sticky.toml";
    example_azure_priority_performance = "example-azure-priority-performance.toml";
    example_blue_green = "example-blue-green.toml";
    example_canary_by_client = "example-canary-by-client.toml";
    example_cdn_isp = "example-cdn-isp.toml";
    example_cdn = "example-cdn.toml";
    example_eu_residency = "example-eu-residency.toml";
    example_geodns_subnets = "example-geodns-subnets.toml";
    example_internal_networks = "example-internal-networks.toml";
    example_primary_secondary = "example-primary-secondary.toml";
    example_region_zone = "example-region-zone.toml";
    example_route53_failover_tree = "example-route53-failover-tree.toml";
    example_site_with_database = "example-site-with-database.toml";
    example_traffic_manager = "example-traffic-manager.toml";
    families = "families.toml";
    hash = "hash.toml";
    latency = "latency.toml";
    nearest = "nearest.toml";
    nested = "nested.toml";
    networks = "networks.toml";
    pools = "pools.toml";
    priority = "priority.toml";
    ranks = "ranks.toml";
    residency = "residency.toml";
    resolve = "resolve.toml";
    round_robin = "round-robin.toml";
    rules = "rules.toml";
    serves = "serves.toml";
    standing = "standing.toml";
    truncation = "truncation.toml";
    ttl = "ttl.toml";
    weighted = "weighted.toml";
    zones = "zones.toml";
}

#[test]
fn every_example_is_used_by_cases() {
    for example in files_in("config/examples", "toml") {
        let file = read(&format!("tests/cases/example-{example}"));
        let file = CaseFile::parse(&file).unwrap_or_else(|error| panic!("{example}: {error}"));
        assert_eq!(file.example.as_deref(), Some(&example[..]));
    }
}

/// Runs every case of `file`; panics with all that failed.
fn check(file: &str) {
    let path = format!("tests/cases/{file}");
    let cases = CaseFile::parse(&read(&path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let loaded = load(&cases).unwrap_or_else(|error| panic!("{path}:\n{error}"));
    let geo = Arc::new(geo_table(&cases.geo).with_overlay(&loaded.geoip.overlay));
    let plan = Arc::new(loaded.plan);
    let healthy = RoutingTable::well(plan.clone(), geo);
    let mut failures = String::new();
    for case in &cases.case {
        if let Err(failure) = run(case, &cases, &healthy, &plan) {
            write!(failures, "\n{path}: {} ({})\n{failure}", case.title, case.ask)
                .expect("a string takes everything");
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

fn run(case: &Case, file: &CaseFile, healthy: &RoutingTable, plan: &Plan) -> Result<(), String> {
    let (table, plan) = with_answers(healthy, plan, case.resolved.as_ref().unwrap_or(&file.resolved));
    let table = with_health(&table, &plan, case)?;
    let query = query_of(case, &case.ask)?;
    let between = case.between.as_ref().map(|ask| query_of(case, ask)).transpose()?;
    // Whatever it is: what depends on chance is counted over many queries.
    const SEED: u64 = 1;
    let mut worker = Worker::new(SEED, Arc::new(Counters::default()));
    worker.prepare(&table);
    let client = Client { address: case.client, transport: case.transport.into() };
    let mut ask = |query: &Query| {
        let mut buffer = vec![0; 65_535];
        let length = answer(&table, &mut worker, client, &query.encode(), &mut buffer);
        buffer.truncate(length);
        buffer
    };
    let octets = ask(&query);
    if octets.is_empty() || case.silence {
        return if octets.is_empty() && case.silence {
            Ok(())
        } else {
            Err(format!("# expected\nsilence = {}\n# got\nsilence = {}\n", case.silence, octets.is_empty()))
        };
    }
    let reply = Message::decode(&octets)?;
    check_form(case, &query, &reply, octets.len())?;
    let mut further = Vec::new();
    for number in 1..case.repeat.max(case.clients) {
        if let Some(between) = &between {
            ask(between);
        }
        let query = if case.clients > 1 { of_client(&query, number) } else { query.clone() };
        further.push(Message::decode(&ask(&query))?);
    }
    case.compare(&reply, &further, octets.len(), &file.records)
}

/// What every reply owes to its query, whatever the answer.
fn check_form(case: &Case, query: &Query, reply: &Message, octets: usize) -> Result<(), String> {
    let mut faults = Vec::new();
    let mut demand = |holds: bool, what: &'static str| {
        if !holds {
            faults.push(what);
        }
    };
    let copied = 0x8000 | u16::from(query.opcode) << 11 | u16::from(query.recursion_desired) << 8;
    demand(reply.id == query.id, "the id is the query's (RFC 1035 section 4.1.1)");
    demand(reply.flags & !0x0600 == copied, "QR is set, opcode and RD are copied, RA, Z and AD are clear");
    demand(
        reply.question == query.question() || (reply.question.is_empty() && query.opcode != 0),
        "the question is echoed as it came",
    );
    let is_sound = !case.rcode.starts_with("FORMERR") && query.opcode == 0;
    if is_sound {
        demand(reply.opt.is_some() == query.opt.is_some(), "OPT answers OPT (RFC 6891 section 6.1.1)");
    }
    if let (Some(asked), Some(given)) = (&query.opt, &reply.opt) {
        demand(given.version == 0, "EDNS version 0 (RFC 6891 section 6.1.3)");
        demand(given.dnssec_ok == asked.dnssec_ok, "DO is copied (RFC 3225 section 3)");
        demand(usize::from(given.udp_payload) == MAX_UDP_REPLY, "the size that avoids fragments");
        let echo = |subnet: &Option<Vec<u8>>| subnet.as_ref().map(|data| [&data[..3], &data[4..]].concat());
        demand(
            given.client_subnet.is_none() || echo(&given.client_subnet) == echo(&asked.client_subnet),
            "family, source prefix and address are copied (RFC 7871 section 7.2.1)",
        );
    }
    let limit = match (case.transport, &query.opt) {
        (case_file::Transport::Tcp, _) => 65_535,
        (case_file::Transport::Udp, None) => 512,
        (case_file::Transport::Udp, Some(opt)) => usize::from(opt.udp_payload).clamp(512, MAX_UDP_REPLY),
    };
    demand(octets <= limit, "the reply is no larger than the client can take");
    if faults.is_empty() {
        Ok(())
    } else {
        Err(format!("against the form of a reply: {}\n", faults.join("; ")))
    }
}

/// `query` as the client of this number sends it: each is in a /24 of its own, all in 10.0.0.0/8.
fn of_client(query: &Query, number: u32) -> Query {
    let [.., high, low] = number.to_be_bytes();
    let subnet = vec![0, 1, 24, 0, 10, high, low];
    let opt = query.opt.as_ref().map(|opt| Opt { client_subnet: Some(subnet), ..opt.clone() });
    Query { opt, ..query.clone() }
}

fn query_of(case: &Case, ask: &str) -> Result<Query, String> {
    let words: Vec<&str> = ask.split_whitespace().collect();
    let (name, class, rtype) = match words[..] {
        [name, rtype] => (name, 1, rtype),
        [name, "CH", rtype] => (name, 3, rtype),
        _ => return Err(format!("`{}` is not \"name type\" or \"name CH type\"\n", ask)),
    };
    let client_subnet = match (&case.subnet, &case.subnet_octets) {
        (Some(subnet), None) => Some(case_file::subnet_data(subnet)?),
        (None, Some(octets)) => Some(case_file::octets(octets)?),
        (None, None) => None,
        (Some(_), Some(_)) => return Err("either `subnet` or `subnet_octets`\n".to_owned()),
    };
    let opt = match &case.edns {
        Edns::Used(false) if client_subnet.is_some() => return Err("a subnet needs EDNS\n".to_owned()),
        Edns::Used(false) => None,
        Edns::Used(true) => {
            Some(Opt { version: 0, udp_payload: MAX_UDP_REPLY as u16, dnssec_ok: false, client_subnet })
        }
        Edns::With { version, size, dnssec_ok } => {
            Some(Opt { version: *version, udp_payload: *size, dnssec_ok: *dnssec_ok, client_subnet })
        }
    };
    Ok(Query {
        id: 0x1a2b,
        response: case.response,
        opcode: case.opcode,
        recursion_desired: case.recursion_desired,
        name: wire_name(name)?,
        rtype: Rtype::parse(rtype).ok_or_else(|| format!("unknown type {rtype}\n"))?,
        class,
        opt,
    })
}

/// `healthy` and its plan with the addresses that the names of pools resolve to; one that is not
/// among `answers` has never been answered.
fn with_answers(
    healthy: &RoutingTable,
    plan: &Plan,
    answers: &BTreeMap<String, Vec<IpAddr>>,
) -> (RoutingTable, Plan) {
    let (mut table, mut plan) = (healthy.clone(), plan.clone());
    for (pool, id) in plan.pools.iter_mut().zip(0..).filter(|(pool, _)| !pool.resolved.is_empty()) {
        *pool = Arc::new(pool.with_answers(|name| answers.get(&name.to_string()).map_or(&[], |ips| ips)));
        table = table.with_addresses(PoolId(id), pool.clone(), PoolHealth::well(pool.addresses.len()));
    }
    (table, plan)
}

/// `healthy` with what the case says of pools; pool by pool, as the daemon hears of it.
fn with_health(healthy: &RoutingTable, plan: &Plan, case: &Case) -> Result<RoutingTable, String> {
    let mut touched: BTreeMap<PoolId, PoolHealth> = BTreeMap::new();
    let ramping = case.ramping.iter().map(|(address, part)| (address, Share::of(*part)));
    for (written, share) in case.down.iter().map(|address| (address, Share::NONE)).chain(ramping) {
        let (pool_name, address) =
            written.split_once('/').map_or((&written[..], None), |(pool, address)| (pool, Some(address)));
        let (id, pool) = find_pool(plan, pool_name)?;
        if pool.health_check.is_none() {
            return Err(format!("pool `{pool_name}` is not watched and cannot be down\n"));
        }
        let names = pool.addresses.names();
        let health = touched.entry(id).or_insert_with(|| PoolHealth::well(names.len()));
        let mut is_known = false;
        for (state, name) in health.shares.iter_mut().zip(&names) {
            if address.is_none_or(|address| address == *name) {
                (*state, is_known) = (share, true);
            }
        }
        if !is_known {
            return Err(format!("no address `{written}`\n"));
        }
    }
    for (pool_name, standing) in &case.standing {
        let (id, pool) = find_pool(plan, pool_name)?;
        let health = touched.entry(id).or_insert_with(|| PoolHealth::well(pool.addresses.len()));
        health.standing = match standing {
            case_file::Standing::Named(case_file::NamedStanding::Held) => Standing::Held,
            case_file::Standing::Named(case_file::NamedStanding::AwaitsRelease) => Standing::AwaitsRelease,
            case_file::Standing::Named(case_file::NamedStanding::BelowMinimum) => Standing::BelowMinimum,
            case_file::Standing::Named(case_file::NamedStanding::Unmet) => Standing::Unmet,
            case_file::Standing::With { returning } => Standing::Returning(Share::of(*returning)),
        };
    }
    for (pool_name, seconds) in &case.calm {
        let (id, pool) = find_pool(plan, pool_name)?;
        touched.entry(id).or_insert_with(|| PoolHealth::well(pool.addresses.len())).calm = *seconds;
    }
    Ok(touched.into_iter().fold(healthy.clone(), |table, (pool, health)| table.with_pool(pool, health)))
}

/// The pool of that name, one with addresses of its own.
fn find_pool<'p>(plan: &'p Plan, name: &str) -> Result<(PoolId, &'p Pool), String> {
    let position = plan.pools.iter().position(|pool| pool.name == name);
    let position = position.ok_or_else(|| format!("no pool `{name}`\n"))?;
    match &*plan.pools[position] {
        Pool { addresses: Addresses::Domain(_), .. } => {
            Err(format!("pool `{name}` is another domain, and its pools are up or down\n"))
        }
        pool => Ok((PoolId(position as u32), pool)),
    }
}

fn load(file: &CaseFile) -> Result<Loaded, String> {
    let loaded = match (&file.config, &file.example) {
        (Some(text), None) => config::parse("config", text, &root().join("tests/cases")),
        (None, Some(name)) => config::load(&root().join("config/examples").join(name)),
        _ => return Err("either `config` or `example`".to_owned()),
    };
    loaded.map_err(|diagnostics| diagnostics.to_string())
}

fn geo_table(geo: &Geo) -> GeoTable {
    let entries = match geo {
        Geo::Named(case_file::Named::Embedded) => return GeoTable::embedded(),
        Geo::Named(case_file::Named::None) => return GeoTable::empty(),
        Geo::Entries(entries) => entries,
    };
    let writer = entries.iter().fold(mmdb::Writer::new("GeoLite2-City"), |writer, entry| {
        writer.put(&entry.prefix, geo_record(entry))
    });
    let database = Database { name: "cases".to_owned(), bytes: Cow::Owned(writer.bytes()) };
    GeoTable::from_databases([database]).expect("the writer is tested to write sound databases")
}

/// As in GeoLite2-City and GeoLite2-ASN.
fn geo_record(entry: &GeoEntry) -> mmdb::Value {
    let GeoEntry { prefix: _, country, subdivision, continent, asn, latitude, longitude } = entry;
    let code = |key: &str, code: &String| mmdb::map([(key, mmdb::text(code))]);
    let mut fields = Vec::new();
    fields.extend(country.as_ref().map(|country| ("country", code("iso_code", country))));
    fields.extend(continent.as_ref().map(|continent| ("continent", code("code", continent))));
    fields.extend(
        subdivision
            .as_ref()
            .map(|subdivision| ("subdivisions", mmdb::Value::List(vec![code("iso_code", subdivision)]))),
    );
    fields.extend(asn.map(|asn| ("autonomous_system_number", mmdb::Value::U32(asn))));
    fields.extend(latitude.zip(*longitude).map(|(latitude, longitude)| {
        let [latitude, longitude] = [latitude, longitude].map(mmdb::Value::F64);
        ("location", mmdb::map([("latitude", latitude), ("longitude", longitude)]))
    }));
    mmdb::Value::Map(fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

impl From<case_file::Transport> for Transport {
    fn from(transport: case_file::Transport) -> Self {
        match transport {
            case_file::Transport::Udp => Transport::Udp,
            case_file::Transport::Tcp => Transport::Tcp,
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The names of the files in `directory` that end in `extension`, sorted.
fn files_in(directory: &str, extension: &str) -> Vec<String> {
    let entries = std::fs::read_dir(root().join(directory)).expect("the directory is in the repository");
    let paths = entries.map(|entry| entry.expect("it can be read").path());
    let mut names: Vec<String> = paths
        .filter(|path: &PathBuf| path.extension().is_some_and(|ends| ends == extension))
        .map(|path| path.file_name().expect("a file").to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// An address that no map of the cases knows.
fn nowhere() -> IpAddr {
    [192, 0, 2, 1].into()
}
