//! Writes databases in the MaxMind DB format 2.0, for fixtures made at test time.
#![allow(dead_code, reason = "tests and benches share this file, and none needs all of it")]

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

/// A value of the format.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// UTF-8 text.
    Text(String),
    /// An unsigned number of 16 bits.
    U16(u16),
    /// An unsigned number of 32 bits.
    U32(u32),
    /// An unsigned number of 64 bits.
    U64(u64),
    /// A number of double precision.
    F64(f64),
    /// A map, in this order.
    Map(Vec<(String, Value)>),
    /// An array.
    List(Vec<Value>),
}

/// A database being written.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    ip_version: u16,
    record_size: u16,
    database_type: String,
    networks: Vec<(IpNet, Value)>,
}

/// A text value.
pub(crate) fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

/// A map with these entries.
pub(crate) fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Map(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

impl Writer {
    /// A database without networks, with IPv4 in `::/96` of a tree of 128 bits.
    pub(crate) fn new(database_type: &str) -> Self {
        Writer {
            ip_version: 6,
            record_size: 28,
            database_type: database_type.to_owned(),
            networks: Vec::new(),
        }
    }

    /// Makes the tree one of 32 bits, for IPv4 alone.
    pub(crate) fn only_v4(mut self) -> Self {
        self.ip_version = 4;
        self
    }

    /// Sets the bits of a record of the search tree: 24, 28 or 32.
    pub(crate) fn record_size(mut self, bits: u16) -> Self {
        self.record_size = bits;
        self
    }

    /// Adds a network, such as `192.0.2.0/24`, that no other one overlaps.
    pub(crate) fn put(mut self, network: &str, record: Value) -> Self {
        self.networks.push((network.parse().expect("a network"), record));
        self
    }

    /// The file.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut data = Vec::new();
        // Equal records are written once, as the format's writers do.
        let mut offsets: HashMap<Vec<u8>, usize> = HashMap::new();
        let mut nodes = vec![[Child::Nothing; 2]];
        for (network, record) in &self.networks {
            let mut encoded = Vec::new();
            encode(record, &mut encoded);
            let offset = *offsets.entry(encoded).or_insert_with_key(|encoded| {
                data.extend_from_slice(encoded);
                data.len() - encoded.len()
            });
            self.insert(&mut nodes, network, offset);
        }
        let mut file = self.tree(&nodes);
        file.extend_from_slice(&[0; 16]);
        file.extend_from_slice(&data);
        file.extend_from_slice(b"\xab\xcd\xefMaxMind.com");
        self.metadata(nodes.len(), &mut file);
        file
    }

    fn insert(&self, nodes: &mut Vec<[Child; 2]>, network: &IpNet, offset: usize) {
        let (address, length) = match (network.network(), self.ip_version) {
            (IpAddr::V4(ip), 4) => (u128::from(u32::from(ip)) << 96, network.prefix_len()),
            (IpAddr::V4(ip), _) => (u128::from(u32::from(ip)), network.prefix_len() + 96),
            (IpAddr::V6(ip), _) => (u128::from(ip), network.prefix_len()),
        };
        let bit = |depth: u8| (address >> (127 - depth)) as usize & 1;
        let mut node = 0;
        for depth in 0..length - 1 {
            node = match nodes[node][bit(depth)] {
                Child::Node(child) => child,
                Child::Nothing => {
                    nodes.push([Child::Nothing; 2]);
                    let child = nodes.len() - 1;
                    nodes[node][bit(depth)] = Child::Node(child);
                    child
                }
                Child::Record(_) => panic!("{network} overlaps another network"),
            };
        }
        nodes[node][bit(length - 1)] = Child::Record(offset);
    }

    fn tree(&self, nodes: &[[Child; 2]]) -> Vec<u8> {
        let number = |child: Child| match child {
            Child::Nothing => nodes.len() as u32,
            Child::Node(node) => node as u32,
            Child::Record(offset) => (nodes.len() + 16 + offset) as u32,
        };
        let mut tree = Vec::new();
        for [left, right] in nodes.iter().map(|node| node.map(number)) {
            let (left_octets, right_octets) = (left.to_be_bytes(), right.to_be_bytes());
            match self.record_size {
                24 => {
                    tree.extend_from_slice(&left_octets[1..]);
                    tree.extend_from_slice(&right_octets[1..]);
                }
                28 => {
                    tree.extend_from_slice(&left_octets[1..]);
                    tree.push(left_octets[0] << 4 | right_octets[0]);
                    tree.extend_from_slice(&right_octets[1..]);
                }
                32 => tree.extend_from_slice(&[left_octets, right_octets].concat()),
                other => panic!("the format has no records of {other} bits"),
            }
        }
        tree
    }

    fn metadata(&self, node_count: usize, file: &mut Vec<u8>) {
        let metadata = map([
            ("binary_format_major_version", Value::U16(2)),
            ("binary_format_minor_version", Value::U16(0)),
            ("build_epoch", Value::U64(1_700_000_000)),
            ("database_type", text(&self.database_type)),
            ("description", map([("en", text("a fixture"))])),
            ("ip_version", Value::U16(self.ip_version)),
            ("languages", Value::List(vec![text("en")])),
            ("node_count", Value::U32(node_count as u32)),
            ("record_size", Value::U16(self.record_size)),
        ]);
        encode(&metadata, file);
    }
}

#[derive(Clone, Copy)]
enum Child {
    Nothing,
    Node(usize),
    /// At this offset in the data section.
    Record(usize),
}

fn encode(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Text(text) => {
            control(2, text.len(), out);
            out.extend_from_slice(text.as_bytes());
        }
        Value::F64(number) => {
            control(3, 8, out);
            out.extend_from_slice(&number.to_be_bytes());
        }
        Value::U16(number) => unsigned(5, (*number).into(), out),
        Value::U32(number) => unsigned(6, (*number).into(), out),
        Value::U64(number) => unsigned(9, *number, out),
        Value::Map(entries) => {
            control(7, entries.len(), out);
            for (key, value) in entries {
                encode(&Value::Text(key.clone()), out);
                encode(value, out);
            }
        }
        Value::List(values) => {
            control(11, values.len(), out);
            values.iter().for_each(|value| encode(value, out));
        }
    }
}

fn unsigned(kind: u8, number: u64, out: &mut Vec<u8>) {
    let octets = number.to_be_bytes();
    let significant = &octets[number.leading_zeros() as usize / 8..];
    control(kind, significant.len(), out);
    out.extend_from_slice(significant);
}

/// The octets that say a value's type and its size, which is below 285 in every fixture.
fn control(kind: u8, size: usize, out: &mut Vec<u8>) {
    let (short, long) = if size < 29 {
        (size as u8, None)
    } else {
        (29, Some(u8::try_from(size - 29).expect("sizes above 284 are not needed")))
    };
    // Types above 7 do not fit beside the size and have an octet of their own.
    if kind < 8 {
        out.push(kind << 5 | short);
    } else {
        out.extend_from_slice(&[short, kind - 7]);
    }
    out.extend(long);
}
