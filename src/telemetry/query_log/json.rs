//! Records as lines of JSON.

use std::fmt::Display;
use std::time::UNIX_EPOCH;

use serde::{Serialize, Serializer};

use super::recorder::Record;
use super::reply::Reply;
use crate::dns::{
    CLASS_CHAOS, CLASS_IN, ClientSubnet, HEADER, Name, NameBuffer, Query, Rcode, Rtype, Unanswerable,
};
use crate::routing::Transport;

/// What is told of one query. What cannot be told is left out.
#[derive(Serialize)]
struct Line<'r> {
    /// RFC 3339, with microseconds.
    #[serde(serialize_with = "shown")]
    time: humantime::Rfc3339Timestamp,
    #[serde(serialize_with = "shown")]
    client: std::net::IpAddr,
    port: u16,
    transport: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u16>,
    /// In lowercase, with what is no plain character escaped (RFC 1035 section 5.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    qname: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    qtype: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    qclass: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ecs: Option<String>,
    /// As dig writes them; of the reply, or of a query that has got none.
    flags: String,
    query_size: usize,
    #[serde(flatten)]
    replied: Option<Replied<'r>>,
}

/// What is told of a reply.
#[derive(Serialize)]
struct Replied<'r> {
    rcode: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<u8>,
    answers: &'r [String],
    answer_count: u16,
    size: usize,
}

fn shown<S: Serializer>(value: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// Appends `record` to `octets` as a line.
pub(super) fn encode(record: &Record<'_>, octets: &mut Vec<u8>) {
    let Record { time, client, local: _, transport, query, reply } = *record;
    let read = (!reply.is_empty()).then(|| Reply::read(reply));
    let asked = Asked::read(query);
    let header = query.first_chunk::<HEADER>();
    let flags = read.as_ref().map(|reply| reply.flags).or(header.map(|header| [header[2], header[3]]));
    let line = Line {
        time: humantime::format_rfc3339_micros(UNIX_EPOCH + time),
        client: client.ip(),
        port: client.port(),
        transport: match transport {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
        },
        id: header.map(|header| u16::from_be_bytes([header[0], header[1]])),
        qname: asked.name.as_ref().map(Name::to_string),
        qtype: asked.rtype.map(|rtype| rtype.to_string()),
        qclass: asked.class.map(class),
        ecs: asked.subnet.map(|subnet| format!("{}/{}", subnet.address, subnet.source_prefix)),
        flags: flags.map(words).unwrap_or_default(),
        query_size: query.len(),
        replied: read.as_ref().map(|read| Replied {
            rcode: Rcode::of(read.rcode)
                .map_or_else(|| format!("RCODE{}", read.rcode), |rcode| rcode.mnemonic().to_owned()),
            scope: read.scope,
            answers: &read.answers,
            answer_count: read.answer_count,
            size: reply.len(),
        }),
    };
    let before = octets.len();
    match serde_json::to_writer(&mut *octets, &line) {
        Ok(()) => octets.push(b'\n'),
        // Nothing in a line can fail to be JSON, and a Vec takes everything.
        Err(_) => octets.truncate(before),
    }
}

/// What is asked, as far as it can be read.
#[derive(Default)]
struct Asked {
    name: Option<Name>,
    rtype: Option<Rtype>,
    class: Option<u16>,
    subnet: Option<ClientSubnet>,
}

impl Asked {
    fn read(message: &[u8]) -> Asked {
        let mut buffer = NameBuffer::root();
        let mut query = Query::unread();
        let class = match query.read(message, &mut buffer) {
            Ok(()) => Some(CLASS_IN),
            Err(Unanswerable::OtherClass(class)) => Some(class),
            Err(Unanswerable::Error(_) | Unanswerable::NoQuestion | Unanswerable::Silence) => None,
        };
        let subnet = query.edns.and_then(|edns| edns.client_subnet);
        if class.is_none() {
            return Asked { subnet, ..Asked::default() };
        }
        Asked { name: Name::from_wire(buffer.wire()), rtype: Some(query.rtype), class, subnet }
    }
}

fn class(class: u16) -> String {
    match class {
        CLASS_IN => "IN".to_owned(),
        CLASS_CHAOS => "CH".to_owned(),
        class => format!("CLASS{class}"),
    }
}

/// The flags of the third and the fourth octet of a header, in dig's words.
fn words([third, fourth]: [u8; 2]) -> String {
    let flags = [
        ("qr", third & 0x80),
        ("aa", third & 0x04),
        ("tc", third & 0x02),
        ("rd", third & 0x01),
        ("ra", fourth & 0x80),
        ("ad", fourth & 0x20),
        ("cd", fourth & 0x10),
    ];
    let set: Vec<&str> = flags.iter().filter(|(_, bit)| *bit != 0).map(|(word, _)| *word).collect();
    set.join(" ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;
    use crate::dns::query_message;

    fn line(query: &[u8], reply: &[u8]) -> Value {
        let record = Record {
            time: Duration::new(1_700_000_000, 123_456_789),
            client: "192.0.2.1:5353".parse().expect("an address"),
            local: None,
            transport: Transport::Udp,
            query,
            reply,
        };
        let mut octets = Vec::new();
        encode(&record, &mut octets);
        assert_eq!(octets.pop(), Some(b'\n'));
        assert!(!octets.contains(&b'\n'), "one line");
        serde_json::from_slice(&octets).expect("JSON")
    }

    #[test]
    fn a_line_tells_query_and_reply() {
        let name: Name = r"a\.b\032\255.AI.example".parse().expect("a name");
        let subnet = ClientSubnet::new("203.0.113.0".parse().expect("an address"), 24);
        let query = query_message(0x1234, &name, Rtype::A, Some(subnet));
        let mut reply = b"\x12\x34\x85\x03\0\0\0\0\0\0\0\x01".to_vec();
        reply.extend(b"\0\0\x29\x04\xd0\0\0\0\0\0\x0b\0\x08\0\x07\0\x01\x18\x10\xcb\0\x71");
        let expected = json!({
            "time": "2023-11-14T22:13:20.123456Z", "client": "192.0.2.1", "port": 5353, "transport": "udp",
            "id": 0x1234, "qname": r"a\.b\032\255.ai.example", "qtype": "A", "qclass": "IN",
            "ecs": "203.0.113.0/24", "flags": "qr aa rd", "query_size": query.len(),
            "rcode": "NXDOMAIN", "scope": 16, "answers": [], "answer_count": 0, "size": reply.len(),
        });
        assert_eq!(line(&query, &reply), expected);
    }

    #[test]
    fn what_cannot_be_told_is_left_out() {
        let told = line(b"\x12\x34\x85", b"");
        assert_eq!(
            told,
            json!({
                "time": "2023-11-14T22:13:20.123456Z", "client": "192.0.2.1", "port": 5353,
                "transport": "udp", "flags": "", "query_size": 3,
            })
        );
        let mut chaos = query_message(1, &"version.bind".parse().expect("a name"), Rtype(999), None);
        let class = chaos.len() - 12;
        chaos[class] = 3;
        let told = line(&chaos, &[]);
        assert_eq!(
            (&told["qclass"], &told["qtype"], &told["rcode"]),
            (&json!("CH"), &json!("TYPE999"), &Value::Null)
        );
    }
}
