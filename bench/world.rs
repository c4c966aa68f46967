//! Worlds of any size to measure in.

#![allow(dead_code, reason = "each bench uses its part")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use rhumb::dns::{ClientSubnet, Name, Rrset, Rtype, query_message};
use rhumb::geo::GeoTable;
use rhumb::plan::{
    Address, Addresses, Choice, Domain, DomainPolicy, Plan, Pool, PoolId, PoolPolicy, WhenAllDown, Zone,
    ZoneId,
};

/// A zone of `domains` names, each steered by `nearest` over four of `pools` pools; every pool has
/// two addresses of each family somewhere in the world.
pub(crate) fn plan(domains: usize, pools: usize) -> Arc<Plan> {
    let apex: Name = "gslb.example".parse().expect("a name");
    let countries: Vec<_> = rhumb::geo::Country::all().collect();
    let pool = |number: usize| {
        let place = countries[number * 7 % countries.len()];
        let address = |n: usize, target: IpAddr| Address {
            name: format!("a{n}"),
            target,
            port: None,
            weight: 1,
            rank: 1,
        };
        let v4 = |n: usize| IpAddr::from(Ipv4Addr::from_bits(0x0a00_0000 + (number * 2 + n) as u32));
        let v6 = |n: usize| IpAddr::from(Ipv6Addr::from_bits((0x2001_0db8 << 96) + (number * 2 + n) as u128));
        Pool {
            name: format!("pool{number}"),
            coordinates: place.coordinates(),
            bias: 0,
            serves: Vec::new(),
            policy: PoolPolicy::RoundRobin,
            answers: 8,
            health_check: None,
            condition: None,
            service: rhumb::plan::ServiceRules::default(),
            addresses: Addresses::Ip(vec![
                address(0, v4(0)),
                address(1, v4(1)),
                address(2, v6(0)),
                address(3, v6(1)),
            ]),
            resolved: Vec::new(),
        }
    };
    let domain = |number: usize| Domain {
        name: domain_name(number),
        zone: ZoneId(0),
        rules: Vec::new(),
        choice: Some(Choice::even(
            DomainPolicy::Nearest,
            (0..4.min(pools)).map(|n| PoolId(((number + n * 17) % pools) as u32)),
        )),
        ttl: 5,
        ttl_min: 5,
        client_subnet: true,
        when_all_down: WhenAllDown::ServeAll,
    };
    let server: Name = "ns1.gslb.example".parse().expect("a name");
    let soa = [server.wire(), server.wire(), &[0; 16], &5u32.to_be_bytes()].concat();
    let record =
        |rtype, rdata: Vec<u8>| Rrset { owner: apex.clone(), rtype, ttl: 3600, rdata: vec![rdata.into()] };
    Arc::new(Plan {
        zones: vec![Zone {
            name: apex.clone(),
            negative_ttl: 5,
            rrsets: vec![record(Rtype::SOA, soa), record(Rtype::NS, server.wire().to_vec())],
        }],
        health_checks: Vec::new(),
        pools: (0..pools).map(pool).map(Arc::new).collect(),
        domains: (0..domains).map(domain).collect(),
        conditions: Vec::new(),
        latencies: Vec::new(),
        isolation: None,
    })
}

fn domain_name(number: usize) -> Name {
    format!("w{number:07}.gslb.example").parse().expect("a name")
}

/// The map to steer by: the databases that `RHUMB_BENCH_GEO` names (separated by `:`), or the
/// embedded one.
pub(crate) fn map() -> Arc<GeoTable> {
    Arc::new(match std::env::var("RHUMB_BENCH_GEO") {
        Ok(paths) => {
            let paths: Vec<_> = paths.split(':').map(Into::into).collect();
            GeoTable::load(&paths).expect("the databases of RHUMB_BENCH_GEO")
        }
        Err(_) => GeoTable::embedded(),
    })
}

/// What queries ask.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// A name that exists, for the resolver itself.
    Hit,
    /// A name that exists, for a client subnet.
    HitSubnet,
    /// A name that does not exist.
    Missing,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Kind::Hit => "hit",
            Kind::HitSubnet => "hit_subnet",
            Kind::Missing => "missing",
        })
    }
}

/// Queries one behind the other in memory, so that reading them costs as little as it does for
/// a message that the kernel has just copied.
pub(crate) struct Queries {
    octets: Vec<u8>,
    ends: Vec<u32>,
}

impl Queries {
    /// `count` queries for names and clients from all over a world of `domains` names.
    pub(crate) fn new(kind: Kind, domains: usize, count: usize) -> Self {
        let mut random = fastrand::Rng::with_seed(7);
        let mut queries = Queries { octets: Vec::new(), ends: vec![0] };
        for _ in 0..count {
            let number = random.usize(..domains);
            let name = match kind {
                Kind::Missing => format!("n{number:07}.gslb.example").parse().expect("a name"),
                _ => domain_name(number),
            };
            let client = Ipv4Addr::from_bits(random.u32(..));
            let subnet = (kind == Kind::HitSubnet).then(|| ClientSubnet::new(client.into(), 24));
            queries.octets.extend(query_message(random.u16(..), &name, Rtype::A, subnet));
            queries.ends.push(queries.octets.len() as u32);
        }
        queries
    }

    /// The `at`th.
    pub(crate) fn get(&self, at: usize) -> &[u8] {
        &self.octets[self.ends[at] as usize..self.ends[at + 1] as usize]
    }
}
