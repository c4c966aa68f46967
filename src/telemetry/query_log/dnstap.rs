//! Records as messages of dnstap.
//!
//! The types are those of the public `dnstap.proto`, as far as an authoritative server fills them.

use std::net::{IpAddr, SocketAddr};

use prost::Message as _;

use super::recorder::Record;
use crate::routing::Transport;

/// What follows is a message of DNS; the only kind that there is.
const MESSAGE: i32 = 1;
/// A query that an authoritative server has received.
const AUTH_QUERY: i32 = 1;
/// A reply that it has sent.
const AUTH_RESPONSE: i32 = 2;
const INET: i32 = 1;
const INET6: i32 = 2;
const UDP: i32 = 1;
const TCP: i32 = 2;

#[derive(Clone, PartialEq, prost::Message)]
struct Dnstap {
    #[prost(bytes = "vec", optional, tag = "1")]
    identity: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "2")]
    version: Option<Vec<u8>>,
    #[prost(message, optional, tag = "14")]
    message: Option<Message>,
    #[prost(int32, required, tag = "15")]
    kind: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Message {
    #[prost(int32, required, tag = "1")]
    kind: i32,
    #[prost(int32, optional, tag = "2")]
    socket_family: Option<i32>,
    #[prost(int32, optional, tag = "3")]
    socket_protocol: Option<i32>,
    #[prost(bytes = "vec", optional, tag = "4")]
    query_address: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "5")]
    response_address: Option<Vec<u8>>,
    #[prost(uint32, optional, tag = "6")]
    query_port: Option<u32>,
    #[prost(uint32, optional, tag = "7")]
    response_port: Option<u32>,
    #[prost(uint64, optional, tag = "8")]
    query_time_sec: Option<u64>,
    #[prost(fixed32, optional, tag = "9")]
    query_time_nsec: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "10")]
    query_message: Option<Vec<u8>>,
    #[prost(uint64, optional, tag = "12")]
    response_time_sec: Option<u64>,
    #[prost(fixed32, optional, tag = "13")]
    response_time_nsec: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "14")]
    response_message: Option<Vec<u8>>,
}

/// Makes messages for one server.
pub(super) struct Encoder {
    identity: Vec<u8>,
}

impl Encoder {
    /// For the server that calls itself `identity`.
    pub(super) fn new(identity: &str) -> Self {
        Encoder { identity: identity.as_bytes().to_vec() }
    }

    /// Appends `record` to `octets` as a frame: a reply with its query, or a query that has got none.
    pub(super) fn encode(&self, record: &Record<'_>, octets: &mut Vec<u8>) {
        let is_answered = !record.reply.is_empty();
        let (seconds, nanoseconds) = (record.time.as_secs(), record.time.subsec_nanos());
        let message = Message {
            kind: if is_answered { AUTH_RESPONSE } else { AUTH_QUERY },
            socket_family: Some(if record.client.is_ipv4() { INET } else { INET6 }),
            socket_protocol: Some(match record.transport {
                Transport::Udp => UDP,
                Transport::Tcp => TCP,
            }),
            query_address: Some(address(record.client)),
            response_address: record.local.map(address),
            query_port: Some(record.client.port().into()),
            response_port: record.local.map(|local| local.port().into()),
            query_time_sec: Some(seconds),
            query_time_nsec: Some(nanoseconds),
            query_message: Some(record.query.to_vec()),
            // Those of a batch are sent together, a few microseconds after they came.
            response_time_sec: is_answered.then_some(seconds),
            response_time_nsec: is_answered.then_some(nanoseconds),
            response_message: is_answered.then(|| record.reply.to_vec()),
        };
        let dnstap = Dnstap {
            identity: Some(self.identity.clone()),
            version: Some(concat!("rhumb ", env!("CARGO_PKG_VERSION")).as_bytes().to_vec()),
            message: Some(message),
            kind: MESSAGE,
        };
        // A record is far shorter than four gigabytes, and a Vec takes everything.
        octets.extend((dnstap.encoded_len() as u32).to_be_bytes());
        let _ = dnstap.encode(octets);
    }
}

fn address(of: SocketAddr) -> Vec<u8> {
    match of.ip() {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_not_answered_is_a_query_and_nothing_else() {
        let client = "[2001:db8::1]:5353".parse().expect("an address");
        let mut record = Record {
            time: Duration::new(1_700_000_000, 7),
            client,
            local: Some("192.0.2.53:53".parse().expect("an address")),
            transport: Transport::Tcp,
            query: b"query",
            reply: b"",
        };
        let decoded = |record: &Record<'_>| {
            let mut octets = Vec::new();
            Encoder::new("ns1").encode(record, &mut octets);
            let (length, frame) = octets.split_first_chunk().expect("a length");
            assert_eq!(usize::try_from(u32::from_be_bytes(*length)).ok(), Some(frame.len()));
            let dnstap = Dnstap::decode(frame).expect("a message");
            assert_eq!((dnstap.kind, dnstap.identity), (MESSAGE, Some(b"ns1".to_vec())));
            dnstap.message.expect("there is one")
        };
        let query = decoded(&record);
        assert_eq!((query.kind, query.query_time_nsec, query.query_port), (AUTH_QUERY, Some(7), Some(5353)));
        assert_eq!((query.response_time_sec, query.response_message), (None, None));
        assert_eq!((query.socket_family, query.socket_protocol), (Some(INET6), Some(TCP)));
        assert_eq!(query.response_address, Some(vec![192, 0, 2, 53]));

        record.reply = b"reply";
        let reply = decoded(&record);
        assert_eq!((reply.kind, reply.response_time_sec), (AUTH_RESPONSE, Some(1_700_000_000)));
        assert_eq!(reply.query_message.as_deref(), Some(&b"query"[..]));
        assert_eq!(reply.response_message.as_deref(), Some(&b"reply"[..]));
    }
}
