//! Why a client gets the answer it gets, step by step.

use std::net::IpAddr;
use std::sync::Arc;

use hickory_proto::op::Message;
use serde::{Deserialize, Serialize};

use super::answer::answer_recorded;
use super::recorder::{Finding, Reason, Recorder};
use super::{Client, Counters, RoutingTable, Transport, Worker};
use crate::dns::{ClientSubnet, Name, Rtype, query_message};
use crate::geo::{Coordinates, GeoTable};
use crate::plan::{Addresses, DomainPolicy, PoolId, Source, WhenAllDown};

/// The story of one answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Explanation {
    /// The name asked for.
    pub name: String,
    /// The type asked for.
    #[serde(rename = "type")]
    pub rtype: String,
    /// The client asked for.
    pub client: IpAddr,
    /// Where it was found; `None` if place was not looked at.
    pub place: Option<PlaceExplained>,
    /// What each steered name on the way decided.
    pub decisions: Vec<DecisionExplained>,
    /// The reply's code.
    pub rcode: String,
    /// The records of the answer section, in presentation form.
    pub answer: Vec<String>,
    /// How many leading bits of the client's address decided (RFC 7871 section 7.2.1).
    pub scope: u8,
}

/// Where a client is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlaceExplained {
    /// All of this prefix is there.
    pub prefix: String,
    /// Continent by its two letters.
    pub continent: Option<String>,
    /// Country by its ISO 3166-1 code.
    pub country: Option<String>,
    /// Subdivision by its ISO 3166-2 code.
    pub subdivision: Option<String>,
    /// AS number.
    pub asn: Option<u32>,
    /// Latitude in degrees.
    pub latitude: Option<f32>,
    /// Longitude in degrees.
    pub longitude: Option<f32>,
    /// The databases that said so.
    pub databases: Vec<String>,
}

/// How a domain chose among its pools, and the pool among its addresses.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DecisionExplained {
    /// The domain.
    pub domain: String,
    /// Its policy.
    pub policy: String,
    /// The pools that were looked at, in that order.
    pub candidates: Vec<CandidateExplained>,
    /// What follows from there being no healthy address, if there is none.
    pub all_down: Option<String>,
    /// The pool that was taken.
    pub pool: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// The addresses of that pool.
    pub addresses: Vec<AddressExplained>,
}

/// A pool that was looked at.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CandidateExplained {
    /// The pool.
    pub pool: String,
    /// Its distance from the client in km, where both have a place.
    pub distance_km: Option<f32>,
    /// What was found, in words.
    pub finding: String,
}

/// An address of the pool that was taken.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AddressExplained {
    /// Its name within the pool.
    pub name: String,
    /// What clients are given.
    pub target: String,
    /// Its weight.
    pub weight: u16,
    /// Whether it is believed to be up.
    pub up: bool,
}

/// Explains what a client at `client` is answered when it asks for `rtype` at `name`. Runs
/// [`super::answer`] itself, with a recorder; the choice by turn or by lot is that of a worker of
/// its own.
pub fn explain(table: &RoutingTable, name: &Name, rtype: Rtype, client: IpAddr) -> Explanation {
    let length = if client.is_ipv4() { 32 } else { 128 };
    let query = query_message(0, name, rtype, Some(ClientSubnet::new(client, length)));
    let mut worker = Worker::new(0, Arc::new(Counters::default()));
    worker.prepare(table);
    // By TCP, so that nothing is left out.
    let asker = Client { address: client, transport: Transport::Tcp };
    let mut reply = vec![0; usize::from(u16::MAX)];
    let mut recorder = Story { table, client, place: None, decisions: Vec::new() };
    let length = answer_recorded(table, &mut worker, asker, &query, &mut reply, &mut recorder);
    let Story { place, decisions, .. } = recorder;
    let (rcode, answer, scope) = read(&reply[..length]);
    Explanation {
        name: name.to_string(),
        rtype: rtype.to_string(),
        client,
        place,
        decisions,
        rcode,
        answer,
        scope,
    }
}

/// The code, the answer section and the client subnet's scope of a reply.
fn read(reply: &[u8]) -> (String, Vec<String>, u8) {
    use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
    let Ok(message) = Message::from_vec(reply) else {
        return ("unreadable".to_owned(), Vec::new(), 0);
    };
    let scope = message.edns.as_ref().and_then(|edns| match edns.option(EdnsCode::Subnet) {
        Some(EdnsOption::Subnet(subnet)) => Some(subnet.scope_prefix()),
        _ => None,
    });
    let rcode = super::Counters::RCODES
        .into_iter()
        .find(|rcode| *rcode as u16 == u16::from(message.metadata.response_code))
        .map_or("unknown", |rcode| rcode.mnemonic());
    (rcode.to_owned(), message.answers.iter().map(ToString::to_string).collect(), scope.unwrap_or(0))
}

/// Writes down what it hears.
struct Story<'t> {
    table: &'t RoutingTable,
    client: IpAddr,
    place: Option<PlaceExplained>,
    decisions: Vec<DecisionExplained>,
}

impl Story<'_> {
    fn pool_name(&self, pool: PoolId) -> String {
        self.table.plan().pools[pool.index()].name.clone()
    }

    fn addresses(&self, pool: PoolId) -> Vec<AddressExplained> {
        let explained = |position: usize, name: &str, target: String, weight| AddressExplained {
            name: name.to_owned(),
            target,
            weight,
            up: self.table.is_up(pool, position),
        };
        match &self.table.plan().pools[pool.index()].addresses {
            Addresses::Ip(list) => list
                .iter()
                .enumerate()
                .map(|(at, address)| explained(at, &address.name, address.target.to_string(), address.weight))
                .collect(),
            Addresses::Cname(list) => list
                .iter()
                .enumerate()
                .map(|(at, address)| explained(at, &address.name, address.target.to_string(), address.weight))
                .collect(),
        }
    }

    /// The distance of a pool from the client, by great circle.
    fn distance_km(&self, pool: PoolId) -> Option<f32> {
        let here: Coordinates = self.table.geo().locate(self.client).place.location.coordinates?;
        let there = self.table.plan().pools[pool.index()].coordinates?;
        Some(here.distance_km(&there))
    }
}

impl Recorder for Story<'_> {
    fn domain(&mut self, domain: u32, policy: DomainPolicy) {
        self.decisions.push(DecisionExplained {
            domain: self.table.plan().domains[domain as usize].name.to_string(),
            policy: policy.to_string(),
            candidates: Vec::new(),
            all_down: None,
            pool: None,
            reason: None,
            addresses: Vec::new(),
        });
    }

    fn located(&mut self, client: IpAddr) {
        self.place = Some(placed(self.table.geo(), client));
    }

    fn candidate(&mut self, pool: PoolId, finding: Finding) {
        let name = self.pool_name(pool);
        let distance_km = self.distance_km(pool);
        let Some(decision) = self.decisions.last_mut() else {
            return;
        };
        decision.candidates.push(match finding {
            Finding::NothingToGive => CandidateExplained {
                pool: name,
                distance_km: None,
                finding: "passed over: no healthy address to give".to_owned(),
            },
            Finding::Distance(_) => CandidateExplained {
                pool: name,
                distance_km,
                finding: distance_km.map_or(String::new(), |km| format!("{km:.0} km away")),
            },
            Finding::Placeless => {
                CandidateExplained { pool: name, distance_km: None, finding: "has no location".to_owned() }
            }
        });
    }

    fn taken(&mut self, pool: PoolId, reason: Reason) {
        let (name, addresses) = (self.pool_name(pool), self.addresses(pool));
        if let Some(decision) = self.decisions.last_mut() {
            decision.pool = Some(name);
            decision.addresses = addresses;
            decision.reason = Some(match reason {
                Reason::First => "first in order that is healthy".to_owned(),
                Reason::Only => "the only healthy one".to_owned(),
                Reason::Serves(source) => format!("serves {}", written(source)),
                Reason::Closest => "closest to the client".to_owned(),
                Reason::Unplaced => "first in order: no distance is known".to_owned(),
                Reason::Fallback => "the fallback pool".to_owned(),
            });
        }
    }

    fn all_down(&mut self, then: WhenAllDown) {
        if let Some(decision) = self.decisions.last_mut() {
            decision.all_down = Some(
                match then {
                    WhenAllDown::ServeAll => "serve-all: answered as if all were up",
                    WhenAllDown::Fallback(_) => "fallback: answered from the fallback pool",
                    WhenAllDown::Nodata => "nodata: answered empty",
                    WhenAllDown::Servfail => "servfail: answered with an error",
                }
                .to_owned(),
            );
        }
    }
}

/// A source as the configuration writes it.
fn written(source: Source) -> String {
    match source {
        Source::Prefix(prefix) => prefix.to_string(),
        Source::Asn(asn) => format!("AS{asn}"),
        Source::Subdivision(subdivision) => subdivision.to_string(),
        Source::Country(country) => country.to_string(),
        Source::Continent(continent) => format!("continent:{}", continent.code()),
    }
}

fn placed(geo: &GeoTable, client: IpAddr) -> PlaceExplained {
    let description = geo.describe(client);
    let location = description.place.location;
    let sources = description.sources;
    let mut databases: Vec<String> = Vec::new();
    for database in
        [sources.country, sources.subdivision, sources.continent, sources.asn, sources.coordinates]
    {
        if let Some(database) = database
            && !databases.iter().any(|known| known == database)
        {
            databases.push(database.to_owned());
        }
    }
    PlaceExplained {
        prefix: description.prefix.to_string(),
        continent: location.continent.map(|continent| continent.code().to_owned()),
        country: location.country.map(|country| country.to_string()),
        subdivision: location.subdivision.map(|subdivision| subdivision.to_string()),
        asn: location.asn,
        latitude: location.coordinates.map(|at| at.latitude),
        longitude: location.coordinates.map(|at| at.longitude),
        databases,
    }
}
