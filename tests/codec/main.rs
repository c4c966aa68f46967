//! The wire against hickory-proto as the oracle.

use std::sync::LazyLock;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::rdata::opt::{ClientSubnet, EdnsCode, EdnsOption};
use hickory_proto::rr::{Name, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};
use rhumb::routing::{Client, RoutingTable, Transport, Worker, answer};

#[path = "../support/world.rs"]
mod world;

mod any;
mod damage;
mod queries;
mod replies;
mod service;

/// The table of all tests here.
static TABLE: LazyLock<RoutingTable> = LazyLock::new(|| world::table(0));
/// A query of one question.
fn query(id: u16, name: Name, rtype: RecordType, edns: Option<Edns>) -> Message {
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(name, rtype));
    message.edns = edns;
    message
}
/// The whole of `octets` as the oracle reads it.
fn read(octets: &[u8]) -> Message {
    let mut decoder = BinDecoder::new(octets);
    let message = Message::read(&mut decoder)
        .unwrap_or_else(|error| panic!("the oracle cannot read {octets:02x?}: {error}"));
    assert!(decoder.is_empty(), "octets behind the message: {octets:02x?}");
    message
}

fn name(text: &str) -> Name {
    Name::from_ascii(text).expect("a name")
}
/// A name in wire form, letters as they are.
fn wire(name: &Name) -> Vec<u8> {
    let labels = name.iter().flat_map(|label| {
        std::iter::once(u8::try_from(label.len()).expect("at most 63")).chain(label.iter().copied())
    });
    labels.chain([0]).collect()
}
fn subnet_of(edns: &Edns) -> Option<ClientSubnet> {
    match edns.option(EdnsCode::Subnet)? {
        EdnsOption::Subnet(subnet) => Some(*subnet),
        _ => None,
    }
}

/// The reply to `query`; `None`: there is none.
fn ask(table: &RoutingTable, worker: &mut Worker, client: Client, query: &[u8]) -> Option<Vec<u8>> {
    let size = match client.transport {
        Transport::Udp => rhumb::dns::MAX_UDP_REPLY,
        Transport::Tcp => usize::from(u16::MAX),
    };
    // What a reply leaves unwritten must not look like a field of it.
    let mut reply = vec![0xa5; size];
    let length = answer(table, worker, client, query, &mut reply);
    reply.truncate(length);
    (length > 0).then_some(reply)
}
