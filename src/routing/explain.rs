//! Why a client gets the answer it gets, step by step.

use std::net::IpAddr;
use std::sync::Arc;

use hickory_proto::op::Message;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answer::answer_recorded;
use super::story::Story;
use super::{Client, Counters, RoutingTable, Transport, Worker};
use crate::dns::{ClientSubnet, Name, Rtype, query_message};

/// The story of one answer.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Explanation {
    /// The name asked for.
    pub name: String,
    /// The type asked for.
    #[serde(rename = "type")]
    pub rtype: String,
    /// The client asked for.
    #[schema(value_type = String)]
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
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
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

/// How a domain chose among its pools, and the pool among its addresses. A pool for which another
/// domain stands in is followed by that domain's decision.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct DecisionExplained {
    /// The domain.
    pub domain: String,
    /// The choices that were made, in order, until one had a pool.
    pub choices: Vec<ChoiceExplained>,
    /// What follows from there being no healthy address, if there is none.
    pub all_down: Option<String>,
    /// The pool that was taken.
    pub pool: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// The addresses of that pool.
    pub addresses: Vec<AddressExplained>,
    /// Seconds that the answer may be kept, where that is less than the domain's TTL: another one
    /// is near, or would be better.
    pub shortened_ttl: Option<u32>,
}

/// A choice among pools.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ChoiceExplained {
    /// The rule that it is of, from 1; `None`: it is the domain's own.
    pub rule: Option<u16>,
    /// The source by which the rule is for the client, as in the configuration; `None`: it is for
    /// all.
    pub source: Option<String>,
    /// The policy, as in the configuration.
    pub policy: String,
    /// Which pools are asked for: `in service`, `healthy` or `all`.
    pub among: String,
    /// The pools that were looked at, in that order.
    pub candidates: Vec<CandidateExplained>,
}

/// A pool that was looked at.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CandidateExplained {
    /// The pool.
    pub pool: String,
    /// Its distance from the client in km, where both have a place and it counts.
    pub distance_km: Option<f32>,
    /// What was found, in words.
    pub finding: String,
}

/// An address of the pool that was taken.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AddressExplained {
    /// Its name within the pool.
    pub name: String,
    /// What clients are given.
    pub target: String,
    /// Its weight.
    pub weight: u16,
    /// The part of its weight that it takes: 1, but 0 if it is believed to be down, and in between
    /// while it comes back.
    pub share: f32,
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
    let mut recorder = Story::new(table, client);
    let length = answer_recorded(table, &mut worker, asker, &query, &mut reply, &mut recorder);
    let (place, decisions) = recorder.end();
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
