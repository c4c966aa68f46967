//! Which name answers, against the algorithm of the RFCs written down as it stands there.

use std::collections::{BTreeMap, BTreeSet};

use hickory_proto::op::ResponseCode;
use proptest::prelude::*;

use super::*;

/// What stands at a name of the model.
#[derive(Clone, Debug, PartialEq)]
enum Kind {
    /// A static A record.
    A,
    /// The same from a pool.
    Steered,
    /// A TXT record.
    Txt,
    /// A delegation, to a server below the cut.
    Cut,
    /// An alias.
    Alias(Name),
}

/// Records by zone and owner.
#[derive(Clone, Debug)]
struct Model {
    zones: Vec<(Name, BTreeMap<Name, Vec<Kind>>)>,
}

/// What a question is answered with.
#[derive(Debug, Default, PartialEq)]
struct Told {
    rcode: String,
    /// `owner type`, in order.
    answers: Vec<String>,
    authority: Vec<String>,
}

impl Model {
    /// The zone closest above `name`.
    fn zone_of(&self, name: &Name) -> Option<usize> {
        (0..self.zones.len())
            .filter(|zone| name.is_within(&self.zones[*zone].0))
            .max_by_key(|zone| self.zones[*zone].0.label_count())
    }

    /// What stands at `owner`, as far as it is this zone's.
    fn at(&self, zone: usize, owner: &Name) -> &[Kind] {
        let is_own = self.zone_of(owner) == Some(zone);
        self.zones[zone].1.get(owner).filter(|_| is_own).map_or(&[], |kinds| kinds)
    }

    /// Every name of the zone: owners, and whatever is above them or above a zone below.
    fn existing(&self, zone: usize) -> BTreeSet<Name> {
        let (apex, records) = &self.zones[zone];
        let owners = records.keys().filter(|owner| self.zone_of(owner) == Some(zone));
        let below = self.zones.iter().map(|(apex, _)| apex).filter(|below| below.is_within(apex));
        let mut existing = BTreeSet::from([apex.clone()]);
        for name in owners.chain(below) {
            let mut above = Some(name.clone());
            while let Some(name) = above.filter(|name| name.is_within(apex)) {
                if self.zone_of(&name) == Some(zone) {
                    existing.insert(name.clone());
                }
                above = name.parent();
            }
        }
        existing
    }

    /// The zone that answers for DS at `apex`: the one above the cut (RFC 4035 section 3.1.4.1), if
    /// it is here and has not delegated what is in between.
    fn zone_of_ds(&self, apex: &Name) -> Option<usize> {
        let parent = apex.parent()?;
        let zone = self.zone_of(&parent)?;
        let is_cut = |name: &Name| *name != self.zones[zone].0 && self.at(zone, name).contains(&Kind::Cut);
        let mut between = std::iter::successors(Some(parent), Name::parent)
            .take_while(|above| above.is_within(&self.zones[zone].0));
        (!between.any(|above| is_cut(&above))).then_some(zone)
    }

    /// RFC 1034 section 4.3.2 with RFC 4592.
    fn resolve(&self, name: &Name, rtype: Rtype) -> Told {
        let mut told = Told { rcode: "NoError".to_owned(), ..Told::default() };
        let Some(zone) = self.zone_of(name) else {
            told.rcode = "Refused".to_owned();
            return told;
        };
        let apex = &self.zones[zone].0;
        let existing = self.existing(zone);
        let mut name = name.clone();
        let mut seen = Vec::new();
        while self.zone_of(&name) == Some(zone) && !seen.contains(&name) {
            seen.push(name.clone());
            // From the apex down: the first delegation on the way.
            let mut path: Vec<Name> = std::iter::successors(Some(name.clone()), Name::parent)
                .take_while(|above| above != apex)
                .collect();
            path.reverse();
            let cut = path.iter().find(|above| self.at(zone, above).contains(&Kind::Cut));
            if let Some(cut) = cut.filter(|cut| **cut != name || rtype != Rtype::DS) {
                told.authority.push(format!("{cut} NS"));
                return told;
            }
            let source = if existing.contains(&name) {
                name.clone()
            } else {
                let encloser = std::iter::successors(name.parent(), Name::parent)
                    .find(|above| existing.contains(above))
                    .expect("the apex exists");
                let wildcard = Name::relative("*", &encloser).expect("shorter than the name asked for");
                if !existing.contains(&wildcard) {
                    told.rcode = "NXDomain".to_owned();
                    told.authority.push(format!("{apex} SOA"));
                    return told;
                }
                wildcard
            };
            let mut follow = None;
            for kind in self.at(zone, &source) {
                let is_asked_for = match kind {
                    Kind::A | Kind::Steered => rtype == Rtype::A,
                    Kind::Txt => rtype == Rtype::TXT,
                    Kind::Cut => false,
                    Kind::Alias(target) => {
                        told.answers.push(format!("{name} CNAME"));
                        follow = Some(target.clone());
                        if rtype == Rtype::CNAME {
                            return told;
                        }
                        false
                    }
                };
                if is_asked_for {
                    told.answers.push(format!("{name} {rtype}"));
                    return told;
                }
            }
            if source == *apex && rtype == Rtype::SOA {
                told.answers.push(format!("{name} SOA"));
                return told;
            }
            match follow {
                Some(target) => name = target,
                None => {
                    let above = self.zone_of_ds(apex).filter(|_| name == *apex && rtype == Rtype::DS);
                    let denies = &self.zones[above.unwrap_or(zone)].0;
                    told.authority.push(format!("{denies} SOA"));
                    return told;
                }
            }
        }
        told
    }

    fn table(&self) -> RoutingTable {
        let mut domains = Vec::new();
        let zones = self.zones.iter().zip(0..).map(|((apex, records), id)| {
            let mut rrsets = Vec::new();
            for (owner, kinds) in records {
                for kind in kinds {
                    match kind {
                        Kind::A => rrsets.push(rrset(owner, Rtype::A, &[192, 0, 2, 1])),
                        Kind::Steered => domains.push(domain(owner, ZoneId(id), vec![PoolId(0)])),
                        Kind::Txt => rrsets.push(rrset(owner, Rtype::TXT, b"\x04text")),
                        Kind::Cut => {
                            let server = Name::relative("ns", owner).expect("a short name");
                            rrsets.push(rrset(owner, Rtype::NS, server.wire()));
                        }
                        Kind::Alias(target) => rrsets.push(rrset(owner, Rtype::CNAME, target.wire())),
                    }
                }
            }
            zone(apex, rrsets)
        });
        let zones = zones.collect();
        let pools = vec![Arc::new(pool(PoolPolicy::RoundRobin, 1, &[([192, 0, 2, 2], 1)]))];
        table(Plan { zones, pools, domains, ..Plan::default() })
    }
}

fn told(message: &Message) -> Told {
    let records = |records: &[hickory_proto::rr::Record]| {
        let written = records.iter().map(|record| {
            format!("{} {}", record.name.to_string().trim_end_matches('.'), record.record_type())
        });
        written.collect::<Vec<_>>()
    };
    assert_eq!(message.authoritative, is_authoritative(message));
    Told {
        rcode: format!("{:?}", message.response_code),
        answers: records(&message.answers),
        authority: records(&message.authorities),
    }
}

/// All but refusals and bare referrals.
fn is_authoritative(message: &Message) -> bool {
    use hickory_proto::rr::RecordType;
    let is_referral = message.authorities.iter().any(|record| record.record_type() == RecordType::NS);
    message.response_code != ResponseCode::Refused && !(is_referral && message.answers.is_empty())
}

/// A name over few labels, so that names meet.
fn any_name(labels: &'static str, depth: std::ops::Range<usize>) -> impl Strategy<Value = Name> {
    let apex = prop_oneof![4 => Just("z"), 2 => Just("b.z"), 2 => Just("b.a.z"), 1 => Just("other")];
    let label = proptest::sample::select(labels.split(' ').collect::<Vec<_>>());
    (proptest::collection::vec(label, depth), apex).prop_map(|(mut labels, apex)| {
        labels.push(apex);
        name(&labels.join("."))
    })
}

fn any_model() -> impl Strategy<Value = Model> {
    let apexes = proptest::sample::subsequence(vec!["z", "b.z", "b.a.z", "c.b.a.z", "other"], 1..=4);
    let kind = prop_oneof![
        3 => Just(Kind::A),
        2 => Just(Kind::Steered),
        3 => Just(Kind::Txt),
        2 => Just(Kind::Cut),
        3 => any_name("a b * nothing", 0..4).prop_map(Kind::Alias),
    ];
    // With the zone that has the record: that of the server that is closest, or one above.
    let record = (any_name("a b *", 0..4), kind, any::<prop::sample::Index>());
    (apexes, proptest::collection::vec(record, 0..16)).prop_map(|(apexes, records)| {
        let mut model = Model { zones: apexes.iter().map(|apex| (name(apex), BTreeMap::new())).collect() };
        for (owner, kind, which) in records {
            let may_have: Vec<usize> =
                (0..model.zones.len()).filter(|zone| owner.is_within(&model.zones[*zone].0)).collect();
            if may_have.is_empty() {
                continue;
            }
            let zone = may_have[which.index(may_have.len())];
            let closest = model.zone_of(&owner);
            let apex = model.zones[zone].0.clone();
            let there = model.zones[zone].1.entry(owner.clone()).or_default();
            // What config refuses: an alias beside anything else, at an apex, or a domain and a
            // static record of one name and type; a domain in another zone than the closest. And
            // what no RFC defines: a wildcard that is delegated.
            let is_refused = there.iter().any(|other| matches!(other, Kind::Alias(_)) || *other == kind)
                || matches!(kind, Kind::Alias(_)) && (!there.is_empty() || owner == apex)
                || matches!(kind, Kind::A) && there.contains(&Kind::Steered)
                || matches!(kind, Kind::Steered) && (there.contains(&Kind::A) || closest != Some(zone))
                || matches!(kind, Kind::Cut) && (owner == apex || owner.to_string().contains('*'));
            if is_refused {
                if there.is_empty() {
                    model.zones[zone].1.remove(&owner);
                }
                continue;
            }
            there.push(kind);
        }
        model
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn names_are_answered_as_the_rfcs_say(
        model in any_model(),
        questions in proptest::collection::vec(
            (
                any_name("a b c * nothing", 0..5),
                proptest::sample::select(vec![Rtype::A, Rtype::TXT, Rtype::SOA, Rtype::CNAME, Rtype::DS, Rtype::AAAA]),
            ),
            1..20,
        ),
    ) {
        let table = model.table();
        let mut worker = worker(&table, 1);
        for (name, rtype) in questions {
            let message = ask(&table, &mut worker, &name, rtype);
            prop_assert_eq!(told(&message), model.resolve(&name, rtype), "{} {}", name, rtype);
        }
    }
}

fn model(zones: &[(&str, &[(&str, Kind)])]) -> Model {
    let records = |records: &[(&str, Kind)]| {
        records.iter().map(|(owner, kind)| (name(owner), vec![kind.clone()])).collect()
    };
    Model { zones: zones.iter().map(|(apex, list)| (name(apex), records(list))).collect() }
}

#[test]
fn a_zone_does_not_deny_the_names_above_a_zone_below_it() {
    let model = model(&[("z", &[("b.a.z", Kind::Cut)]), ("b.a.z", &[])]);
    let expected = Told { rcode: "NoError".into(), authority: vec!["z SOA".into()], ..Told::default() };
    let table = model.table();
    assert_eq!(told(&ask(&table, &mut worker(&table, 1), &name("a.z"), Rtype::A)), expected);
}

#[test]
fn a_delegation_inside_a_zone_below_is_that_zones_to_make() {
    let model = model(&[("z", &[("x.a.z", Kind::Cut)]), ("a.z", &[("x.a.z", Kind::A)])]);
    let expected = Told { rcode: "NoError".into(), answers: vec!["x.a.z A".into()], ..Told::default() };
    let table = model.table();
    assert_eq!(told(&ask(&table, &mut worker(&table, 1), &name("x.a.z"), Rtype::A)), expected);
}
