//! `[[pool.NAME.address]]`

use std::net::IpAddr;

use super::name::{domain_name, identifier};
use super::reader::{Value, integer, string};
use super::report::Report;
use super::source::{Located, Place};
use super::unique::Unique;
use crate::dns::Name;
use crate::plan::{Address, Addresses, PoolPolicy, Resolved, is_connectable};

/// An address takes an even share unless told otherwise.
const DEFAULT_WEIGHT: u16 = 1;

/// One address of a pool as written.
pub(super) struct AddressSpec {
    /// The header, or the whole of an inline table.
    place: Place,
    name: Option<Located<String>>,
    target: Option<Located<Target>>,
    port: Option<Located<u16>>,
    weight: Option<Located<u16>>,
    rank: Option<Located<u16>>,
}

/// What clients are given.
enum Target {
    Ip(IpAddr),
    Cname(Name),
    /// The addresses of this name.
    Resolve(Name),
}

/// The ways to write a target.
const TARGETS: [&str; 3] = ["ip", "cname", "resolve"];

impl AddressSpec {
    /// Takes the table apart.
    pub(super) fn read(value: Value<'_>) -> Option<Self> {
        let mut table = value.table()?;
        let name = table.required("name", identifier);
        let written: Vec<&str> = TARGETS.into_iter().filter(|key| table.has(key)).collect();
        let ip = table.optional("ip", ip_address).map(|ip| ip.map(Target::Ip));
        let cname = table.optional("cname", domain_name).map(|cname| cname.map(Target::Cname));
        let resolve = table.optional("resolve", domain_name).map(|name| name.map(Target::Resolve));
        match written[..] {
            [] => value.refuse("an address has an `ip`, a `cname` or a `resolve`", None),
            [_] => None,
            ["ip", "cname"] => value.refuse(
                "an address has an `ip` or a `cname`, not both",
                "write two addresses, in two pools".to_owned(),
            ),
            [first, second, ..] => value.refuse::<()>(
                format!(
                    "an address has one of `ip`, `cname` and `resolve`, not both `{first}` and `{second}`"
                ),
                "write two addresses".to_owned(),
            ),
        };
        let spec = AddressSpec {
            place: value.place,
            name,
            target: ip.or(cname).or(resolve),
            port: table.optional("port", integer(1..=u16::MAX)),
            weight: table.optional("weight", integer(0..=u16::MAX)),
            rank: table.optional("rank", integer(1..=u16::MAX)),
        };
        table.finish();
        Some(spec)
    }
}

/// All addresses of a pool, and the names of it that stand for addresses: of one kind, each only
/// once, and one at least that takes traffic.
///
/// `without_port`: the type of the pool's check if that has no port of its own. `None`: there is a
/// mistake, and it has been noted.
pub(super) fn addresses(
    specs: Located<Vec<Located<AddressSpec>>>,
    policy: PoolPolicy,
    without_port: Option<&str>,
    report: &Report,
) -> Option<(Addresses, Vec<Resolved>)> {
    let mut unique_names = Unique::new("address");
    let mut unique_ips = Unique::new("IP");
    let mut unique_targets = Unique::new("name");
    let mut ips = Vec::new();
    let mut cnames = Vec::new();
    let mut resolved = Vec::new();
    let mut first_kind = None;
    let all_idle = specs.value.iter().all(|spec| spec.value.weight.is_some_and(|weight| weight.value == 0));
    if let (true, Some(spec)) = (all_idle, specs.value.first()) {
        report.error_with_hint(
            spec.value.weight.map_or(spec.place, |weight| weight.place),
            "every address of the pool has weight 0",
            "one at least must take traffic; a pool that is to take none is left out of the domain"
                .to_owned(),
        );
    }
    let count = specs.value.len();
    let is_ranked = specs.value.iter().any(|spec| spec.value.rank.is_some());
    for (spec, in_order) in specs.value.into_iter().zip(1..=u16::MAX) {
        let AddressSpec { place, name, target, port, weight, rank } = spec.value;
        let is_priority = policy == PoolPolicy::Priority;
        match &rank {
            Some(rank) if !is_priority => report.error_with_hint(
                rank.place,
                format!("addresses have no rank under the policy `{policy}`"),
                "use policy = \"priority\"".to_owned(),
            ),
            None if is_priority && is_ranked => {
                report.error(place, "the address has no `rank`, and others of the pool have one");
            }
            _ => {}
        }
        // Without ranks, the order is one.
        let rank = rank.map_or(if is_priority { in_order } else { 1 }, |rank| rank.value);
        if let (Some(kind), None) = (without_port, &port) {
            report.error_with_hint(
                place,
                format!("the address has no `port`, and a check of type `{kind}` has none of its own"),
                "say where the check connects: port = 443".to_owned(),
            );
        }
        if let Some(name) = &name {
            unique_names.note(&name.value, name.place, report);
        }
        let Some(target) = target else { continue };
        let is_cname = matches!(target.value, Target::Cname(_));
        if *first_kind.get_or_insert(is_cname) != is_cname {
            report.error_with_hint(
                target.place,
                "the pool mixes IPs and names",
                "write `resolve` instead of `cname`, or put the names into a pool of their own; a domain \
                 may list both pools"
                    .to_owned(),
            );
        }
        let name = name.map_or(String::new(), |name| name.value);
        let port = port.map(|port| port.value);
        let weight = weight.map_or(DEFAULT_WEIGHT, |weight| weight.value);
        match target.value {
            Target::Ip(ip) => {
                unique_ips.note(&ip, target.place, report);
                ips.push(Address { name, target: ip, port, weight, rank });
            }
            Target::Cname(cname) => {
                unique_targets.note(&cname, target.place, report);
                cnames.push(Address { name, target: cname, port, weight, rank });
            }
            Target::Resolve(host) => {
                unique_targets.note(&host, target.place, report);
                let address = Address { name, target: host, port, weight, rank };
                resolved.push(Resolved { address, position: ips.len() });
            }
        }
    }
    match cnames.len() {
        0 if ips.len() + resolved.len() == count => Some((Addresses::Ip(ips), resolved)),
        length if length == count => Some((Addresses::Cname(cnames), Vec::new())),
        _ => None,
    }
}

/// An IP address that a client can connect to.
pub(super) fn ip_address(value: Value<'_>) -> Option<IpAddr> {
    let text = string(value)?;
    let ip = match text.parse::<IpAddr>() {
        Ok(ip) => ip,
        Err(_) if text.parse::<std::net::SocketAddr>().is_ok() => {
            return value.refuse(
                format!("`{text}` is more than an IP address"),
                "the port goes into `port`".to_owned(),
            );
        }
        Err(_) if text.parse::<Name>().is_ok() && text.contains(|c: char| c.is_ascii_alphabetic()) => {
            return value.refuse(
                format!("`{text}` is not an IP address"),
                "if it is a name, write `resolve` or `cname` instead of `ip`".to_owned(),
            );
        }
        Err(_) => return value.refuse(format!("`{text}` is not an IP address"), None),
    };
    if let IpAddr::V6(v6) = ip
        && let Some(v4) = v6.to_ipv4_mapped()
    {
        return value.refuse("an IPv4-mapped address is never on the wire", format!("write \"{v4}\""));
    }
    if !is_connectable(ip) {
        return value.refuse(format!("no client can connect to `{ip}`"), None);
    }
    Some(ip)
}
