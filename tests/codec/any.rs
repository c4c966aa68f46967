//! Any query that a resolver may send.

use std::net::{Ipv4Addr, Ipv6Addr};

use hickory_proto::op::{Edns, Message};
use hickory_proto::rr::Name;
use hickory_proto::rr::rdata::opt::{ClientSubnet, EdnsOption};
use proptest::prelude::*;
use rhumb::dns::MAX_NAME;

use crate::query;

/// A name of any octets, as long as a name may be.
pub(crate) fn any_name() -> impl Strategy<Value = Name> {
    let octet =
        prop_oneof![4 => b'a'..=b'z', 4 => b'A'..=b'Z', 1 => Just(b'.'), 1 => Just(b'\\'), 2 => any::<u8>()];
    let size = prop_oneof![8 => 1..10usize, 1 => Just(63)];
    let label = size.prop_flat_map(move |size| proptest::collection::vec(octet.clone(), size));
    proptest::collection::vec(label, 0..130).prop_map(|labels| {
        let mut room = MAX_NAME - 1;
        let fitting = labels.iter().map_while(|label| {
            // The last label takes what room is left.
            let size = label.len().min(room.checked_sub(2)? + 1);
            room -= 1 + size;
            Some(&label[..size])
        });
        Name::from_labels(fitting).expect("labels that fit into a name")
    })
}

/// The lengths where things change, more often than by chance.
fn any_prefix(bits: u8) -> impl Strategy<Value = u8> {
    prop_oneof![1 => Just(0), 1 => Just(bits), 4 => 0..=bits]
}

pub(crate) fn any_subnet() -> impl Strategy<Value = ClientSubnet> {
    let v4 = (any::<u32>(), any_prefix(32)).prop_map(|(bits, prefix)| {
        let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
        ClientSubnet::new(Ipv4Addr::from_bits(bits & mask).into(), prefix, 0)
    });
    let v6 = (any::<u128>(), any_prefix(128)).prop_map(|(bits, prefix)| {
        let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
        ClientSubnet::new(Ipv6Addr::from_bits(bits & mask).into(), prefix, 0)
    });
    prop_oneof![v4, v6]
}

pub(crate) fn any_edns() -> impl Strategy<Value = Edns> {
    // Codes of no meaning among them. 3 and 8 have types of their own in the oracle, and 10 is a
    // cookie, which not any data is.
    let code = (9..=u16::MAX).prop_filter("not a cookie", |code| *code != 10);
    let unknown = (code, proptest::collection::vec(any::<u8>(), 0..40))
        .prop_map(|(code, data)| EdnsOption::Unknown(code, data));
    let options = (
        proptest::collection::vec(unknown.clone(), 0..3),
        proptest::option::of(any_subnet()),
        proptest::collection::vec(unknown, 0..3),
    );
    (any::<u16>(), any::<bool>(), options).prop_map(|(payload, dnssec_ok, (before, subnet, behind))| {
        let mut edns = Edns::new();
        // The oracle's own setter does not go below 512.
        edns.set_max_payload(payload).set_dnssec_ok(dnssec_ok).set_version(0);
        let subnet = subnet.map(EdnsOption::Subnet);
        for option in before.into_iter().chain(subnet).chain(behind) {
            edns.options_mut().insert(option);
        }
        edns
    })
}
pub(crate) fn any_query() -> impl Strategy<Value = Message> {
    (any::<u16>(), any_name(), any::<u16>(), proptest::option::of(any_edns()), any::<[bool; 2]>()).prop_map(
        |(id, name, rtype, edns, [recursion_desired, checking_disabled])| {
            let mut message = query(id, name, rtype.into(), edns);
            message.metadata.recursion_desired = recursion_desired;
            message.metadata.checking_disabled = checking_disabled;
            message
        },
    )
}
