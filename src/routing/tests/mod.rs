//! The table as queries see it, against naive models of what it should say.

use std::sync::Arc;

use hickory_proto::op::Message;

use super::{Client, Counters, RoutingTable, Transport, Worker, answer};
use crate::dns::{Name, Rrset, Rtype, query_message};
use crate::geo::GeoTable;
use crate::plan::{
    Address, Addresses, Choice, Domain, DomainPolicy, Plan, Pool, PoolId, PoolPolicy, WhenAllDown, Zone,
    ZoneId,
};

mod choice;
mod flips;
mod flow;
mod large;
mod moves;
mod names;
mod shares;
mod signed;
mod steering;
mod turns;

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn rrset(owner: &Name, rtype: Rtype, rdata: &[u8]) -> Rrset {
    Rrset { owner: owner.clone(), rtype, ttl: 5, rdata: vec![rdata.into()] }
}

/// A zone with an SOA and these records.
fn zone(apex: &Name, rrsets: impl IntoIterator<Item = Rrset>) -> Zone {
    let soa = rrset(apex, Rtype::SOA, &[0; 22]);
    Zone { name: apex.clone(), negative_ttl: 5, rrsets: [soa].into_iter().chain(rrsets).collect() }
}

/// A pool of addresses, given by target and weight.
fn pool<A>(policy: PoolPolicy, answers: u8, list: &[(A, u16)]) -> Pool
where
    A: Copy + Into<std::net::IpAddr>,
{
    let address = |&(target, weight): &(A, u16)| Address {
        name: String::new(),
        target: target.into(),
        port: None,
        weight,
        rank: 1,
    };
    Pool {
        name: String::new(),
        coordinates: None,
        bias: 0,
        serves: Vec::new(),
        policy,
        answers,
        health_check: None,
        condition: None,
        service: crate::plan::ServiceRules::default(),
        addresses: Addresses::Ip(list.iter().map(address).collect()),
        resolved: Vec::new(),
    }
}

/// A domain that goes through `pools` in order.
fn domain(name: &Name, zone: ZoneId, pools: Vec<PoolId>) -> Domain {
    Domain {
        name: name.clone(),
        zone,
        rules: Vec::new(),
        choice: Some(Choice::even(DomainPolicy::Priority, pools)),
        ttl: 5,
        ttl_min: 5,
        client_subnet: true,
        when_all_down: WhenAllDown::ServeAll,
    }
}

fn table(plan: Plan) -> RoutingTable {
    RoutingTable::well(Arc::new(plan), Arc::new(GeoTable::empty()))
}

fn worker(table: &RoutingTable, seed: u64) -> Worker {
    let mut worker = Worker::new(seed, Arc::<Counters>::default());
    worker.prepare(table);
    worker
}

/// The reply to one question by TCP, so that nothing is left out.
fn ask(table: &RoutingTable, worker: &mut Worker, name: &Name, rtype: Rtype) -> Message {
    let client = Client { address: [192, 0, 2, 1].into(), transport: Transport::Tcp };
    let mut reply = vec![0; 4096];
    let length = answer(table, worker, client, &query_message(1, name, rtype, None), &mut reply);
    Message::from_vec(&reply[..length]).expect("a good reply")
}
