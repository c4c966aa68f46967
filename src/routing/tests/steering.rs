//! Any configuration: scopes are true, and an explanation tells of the answer that is given.

use std::net::IpAddr;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use proptest::prelude::*;

use super::*;
use crate::dns::ClientSubnet;
use crate::geo::{Continent, Coordinates, Country, Location, Network, Overlay};
use crate::plan::{LatencySource, Measurement, Rule, Source, WeightedPool};
use crate::routing::{Explanation, PoolHealth, Share, Standing, explain};

const POOLS: usize = 7;
/// The last of them stand in for pools of those before: there are no cycles.
const DOMAINS: usize = 5;
const COUNTRIES: [&str; 5] = ["VN", "HK", "FR", "US", "BR"];

/// A world made by chance. Clients are all in 10.0.0.0/12 and 2001:db8::/32, so that they often meet.
pub(super) struct World {
    pub(super) table: RoutingTable,
    pub(super) domains: Vec<Name>,
}

pub(super) struct Maker(fastrand::Rng);

impl Maker {
    pub(super) fn new(seed: u64) -> Self {
        Maker(fastrand::Rng::with_seed(seed))
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0.usize(..bound)
    }

    pub(super) fn is(&mut self, one_in: u32) -> bool {
        self.0.u32(..one_in) == 0
    }

    pub(super) fn country(&mut self) -> Country {
        COUNTRIES[self.0.usize(..COUNTRIES.len())].parse().expect("a country")
    }

    fn asn(&mut self) -> u32 {
        self.0.u32(64500..64503)
    }

    pub(super) fn client(&mut self) -> IpAddr {
        match self.is(3) {
            true => {
                std::net::Ipv6Addr::from_bits(0x2001_0db8 << 96 | u128::from(self.0.u64(..)) << 32).into()
            }
            false => std::net::Ipv4Addr::from_bits(0x0a00_0000 | self.0.u32(..1 << 20)).into(),
        }
    }

    fn prefix(&mut self) -> ipnet::IpNet {
        let client = self.client();
        let length = if client.is_ipv4() { self.0.u8(8..30) } else { self.0.u8(24..70) };
        ipnet::IpNet::new(client, length).expect("a length").trunc()
    }

    pub(super) fn source(&mut self) -> Source {
        match self.0.u8(..5) {
            0 => Source::Prefix(self.prefix()),
            1 => Source::Asn(self.asn()),
            2 => Source::Country(self.country()),
            3 => Source::Continent(Continent::ALL[self.0.usize(..7)]),
            _ => Source::Subdivision(
                crate::geo::Subdivision::new(self.country(), ["A", "B"][self.0.usize(..2)]).expect("a code"),
            ),
        }
    }

    pub(super) fn sources(&mut self, below: usize) -> Vec<Source> {
        let mut sources: Vec<Source> = (0..self.0.usize(..below)).map(|_| self.source()).collect();
        sources.sort();
        sources.dedup();
        sources
    }

    fn networks(&mut self) -> Overlay {
        let location = |maker: &mut Maker| Location {
            country: Some(maker.country()).filter(|_| !maker.is(4)),
            subdivision: None,
            continent: None,
            asn: Some(maker.asn()).filter(|_| maker.is(2)),
            coordinates: Coordinates::new(maker.0.i8(-90..=90).into(), maker.0.i8(-120..=120).into())
                .ok()
                .filter(|_| maker.is(2)),
        };
        let networks =
            (0..self.0.usize(1..40)).map(|_| Network { prefix: self.prefix(), location: location(self) });
        let mut networks: Vec<Network> = networks.collect();
        networks.sort_by_key(|network| network.prefix);
        networks.dedup_by_key(|network| network.prefix);
        Overlay { networks, unknown: None }
    }

    fn policy(&mut self) -> DomainPolicy {
        use DomainPolicy::*;
        [Nearest, Nearest, Priority, Weighted, RoundRobin, Hash][self.0.usize(..6)]
    }

    fn choice(&mut self) -> Choice {
        let policy = self.policy();
        let has_weights = matches!(policy, DomainPolicy::Weighted | DomainPolicy::Hash);
        let mut ids: Vec<u32> = (0..POOLS as u32).collect();
        self.0.shuffle(&mut ids);
        ids.truncate(self.0.usize(1..5));
        let weight = |maker: &mut Maker| if has_weights { maker.0.u32(1..4) } else { 1 };
        let pools = ids.into_iter().map(|id| WeightedPool { pool: PoolId(id), weight: weight(self) });
        Choice { policy, pools: pools.collect() }
    }

    fn when_all_down(&mut self) -> WhenAllDown {
        use WhenAllDown::*;
        [ServeAll, Fallback(PoolId(self.0.u32(..4))), Nodata, Servfail][self.0.usize(..4)]
    }

    fn domain(&mut self, number: usize) -> Domain {
        let rules: Vec<Rule> = (0..self.0.usize(..4))
            .map(|_| Rule {
                sources: self.sources(4),
                choice: self.choice(),
                when_all_down: Some(self.when_all_down()).filter(|_| self.is(3)),
            })
            .collect();
        let has_choice = rules.is_empty() || !self.is(3);
        Domain {
            rules,
            choice: Some(self.choice()).filter(|_| has_choice),
            ttl: 60,
            ttl_min: if self.is(2) { 5 } else { 60 },
            client_subnet: !self.is(5),
            when_all_down: self.when_all_down(),
            ..domain(&name(&format!("w{number}.ai.example")), ZoneId(0), vec![PoolId(0)])
        }
    }

    /// Pools 0 to 3 have addresses; the others are domains.
    fn pool(&mut self, number: usize) -> Pool {
        let list: Vec<(IpAddr, u16)> = (0..self.0.u8(1..4))
            .map(|at| match self.is(3) {
                true => (std::net::Ipv6Addr::from_bits((number as u128) << 8 | u128::from(at)).into(), 1),
                false => ([192, 0, number as u8, at].into(), u16::from(at) + 1),
            })
            .collect();
        use PoolPolicy::*;
        let policy = [RoundRobin, Weighted, Priority, Hash][self.0.usize(..4)];
        let mut pool = pool(policy, self.0.u8(1..4), &list);
        pool.name = format!("pool{number}");
        pool.coordinates =
            Some(self.country()).filter(|_| !self.is(4)).and_then(|country| country.coordinates());
        pool.bias = if self.is(3) { self.0.i32(-2000..2000) } else { 0 };
        pool.serves = self.sources(3);
        pool
    }

    pub(super) fn health(&mut self, addresses: usize) -> PoolHealth {
        let mut health = PoolHealth::well(addresses);
        for share in &mut health.shares {
            *share = [Share::NONE, Share::FULL, Share::FULL, Share::of(0.4)][self.0.usize(..4)];
        }
        let standings = [Standing::Held, Standing::BelowMinimum, Standing::Returning(Share::of(0.5))];
        if self.is(3) {
            health.standing = standings[self.0.usize(..3)];
        }
        health.calm = if self.is(3) { self.0.u32(..100) } else { u32::MAX };
        health
    }

    pub(super) fn world(&mut self) -> World {
        let apex = name("ai.example");
        let mut pools: Vec<Arc<Pool>> = (0..POOLS).map(|number| Arc::new(self.pool(number))).collect();
        let mut domains: Vec<Domain> = (0..DOMAINS).map(|number| self.domain(number)).collect();
        // Domain 0 has pools of domains, which have pools of addresses only.
        for (number, pool) in pools.iter_mut().enumerate().skip(4) {
            Arc::make_mut(pool).addresses = Addresses::Domain(crate::plan::DomainId(number as u32 - 3));
        }
        for domain in &mut domains[1..4] {
            let choices = domain.rules.iter_mut().map(|rule| &mut rule.choice).chain(&mut domain.choice);
            for choice in choices {
                choice.pools.retain(|weighted| weighted.pool.0 < 4);
                if choice.pools.is_empty() {
                    choice.pools.push(WeightedPool { pool: PoolId(1), weight: 1 });
                }
            }
        }
        let latencies = (0..self.0.usize(..6)).map(|_| Measurement {
            source: match self.is(2) {
                true => LatencySource::Prefix(self.prefix()),
                false => LatencySource::Asn(self.asn()),
            },
            pool: PoolId(self.0.u32(..POOLS as u32)),
            milliseconds: self.0.u8(..).into(),
        });
        let mut latencies: Vec<Measurement> = latencies.collect();
        latencies.sort_by_key(|measured| (measured.pool, measured.source.to_string()));
        latencies.dedup_by_key(|measured| (measured.pool, measured.source.to_string()));
        let names = domains.iter().map(|domain| domain.name.clone()).collect();
        let plan = Plan { zones: vec![zone(&apex, [])], pools, domains, latencies, ..Plan::default() };
        let geo = GeoTable::empty().with_overlay(&self.networks());
        let healths: Vec<PoolHealth> =
            plan.pools.iter().map(|pool| self.health(pool.addresses.len())).collect();
        let table =
            RoutingTable::compile(Arc::new(plan), Arc::new(geo), |pool| healths[pool.index()].clone());
        World { table, domains: names }
    }
}

/// The reply to one query that gives the client's whole address, and its scope.
fn reply(table: &RoutingTable, name: &Name, rtype: Rtype, client: IpAddr) -> (Message, u8) {
    let length = if client.is_ipv4() { 32 } else { 128 };
    let query = query_message(0, name, rtype, Some(ClientSubnet::new(client, length)));
    let asker = Client { address: [198, 51, 100, 1].into(), transport: Transport::Tcp };
    let mut octets = vec![0; 4096];
    let length = answer(table, &mut worker(table, 0), asker, &query, &mut octets);
    let message = Message::from_vec(&octets[..length]).expect("a good reply");
    let scope = match message.edns.as_ref().and_then(|edns| edns.option(EdnsCode::Subnet)) {
        Some(EdnsOption::Subnet(subnet)) => subnet.scope_prefix(),
        other => panic!("no client subnet: {other:?}"),
    };
    (message, scope)
}

/// Another client, of those that share the first `bits` of their address.
fn neighbour(client: IpAddr, bits: u8, chance: u128) -> IpAddr {
    let fresh = |width: u8| match width - bits {
        0 => 0,
        free => chance & (u128::MAX >> (128 - free)),
    };
    match client {
        IpAddr::V4(ip) => std::net::Ipv4Addr::from_bits(ip.to_bits() ^ (fresh(32) as u32)).into(),
        IpAddr::V6(ip) => std::net::Ipv6Addr::from_bits(ip.to_bits() ^ fresh(128)).into(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// RFC 7871 section 7.3.1: a resolver gives the answer to every client within the scope.
    #[test]
    fn whoever_is_in_the_scope_gets_the_same(seed: u64, chances: [u128; 8]) {
        let mut maker = Maker::new(seed);
        let World { table, domains } = maker.world();
        for name in &domains {
            for chance in chances {
                let client = maker.client();
                let (message, scope) = reply(&table, name, Rtype::A, client);
                let other = neighbour(client, scope, chance);
                let (others, _) = reply(&table, name, Rtype::A, other);
                // Negative answers are kept for all, whatever their scope (section 7.4).
                if !message.answers.is_empty() {
                    prop_assert_eq!(
                        &message.answers, &others.answers,
                        "{} and {} are in the same /{}", client, other, scope
                    );
                }
            }
        }
    }

    /// What `explain` says is what `answer` gives.
    #[test]
    fn explanations_are_of_the_answer(seed: u64) {
        let mut maker = Maker::new(seed);
        let World { table, domains } = maker.world();
        for name in &domains {
            for rtype in [Rtype::A, Rtype::AAAA] {
                let client = maker.client();
                let (message, scope) = reply(&table, name, rtype, client);
                let Explanation { decisions, answer: told, rcode, scope: told_scope, .. } =
                    explain(&table, name, rtype, client);
                let given: Vec<String> = message.answers.iter().map(ToString::to_string).collect();
                let domain = table.plan().domains.iter().find(|domain| domain.name == *name);
                // An explanation takes the client for the one who asks, as such a domain does.
                if domain.is_none_or(|domain| !domain.client_subnet) {
                    continue;
                }
                prop_assert_eq!((&told, told_scope), (&given, scope));
                let failed = message.metadata.response_code == ResponseCode::ServFail;
                prop_assert_eq!(rcode == "SERVFAIL", failed);
                // Where none of a domain's pools is in service it is asked once, too.
                for decision in &decisions {
                    let again = decision.choices.windows(2).find(|pair| pair[0].among == pair[1].among && pair[0].rule == pair[1].rule);
                    prop_assert!(table.has_returning() || again.is_none(), "{:?}", again);
                }
                let last = decisions.last().expect("a steered name was asked for");
                for record in &message.answers {
                    let ip = record.data.ip_addr().expect("an address").to_string();
                    prop_assert!(last.addresses.iter().any(|address| address.target == ip), "{:?} in {:?}", ip, last);
                }
                let ttl = message.answers.first().map(|record| record.ttl);
                if let Some(ttl) = ttl {
                    prop_assert_eq!(last.shortened_ttl.unwrap_or(60), ttl);
                }
            }
        }
    }
}
