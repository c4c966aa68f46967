//! What the records of a zone have to do with each other.

use std::collections::{BTreeMap, BTreeSet};

use super::domain::zone_of;
use super::record::PlacedRecord;
use super::report::Report;
use super::source::Place;
use super::zone::PlacedZone;
use crate::dns::{Name, Rrset, Rtype};
use crate::plan::{Zone, ZoneId};

/// SHA-1, the one algorithm there is (RFC 5155 section 11).
const NSEC3_SHA1: u8 = 1;
/// How often a name is hashed again. Validators take what has more for insecure (RFC 9276 section 3.2: 150 is the least
/// that they all bear), and each costs the server as much for every name that does not exist.
const MAX_NSEC3_ITERATIONS: u16 = 150;

/// A zone with what its rules need: its records by name, and the names that hide others.
pub(super) struct ZoneView<'z> {
    zone: &'z PlacedZone,
    /// The records at each name, by its wire form.
    records: BTreeMap<&'z [u8], Vec<&'z PlacedRecord>>,
    /// The apexes of all zones, this one's included.
    apexes: &'z BTreeMap<Name, ZoneId>,
    /// A signature over its SOA record, which makes it a signed zone.
    signature: Option<&'z PlacedRecord>,
}

/// The most records at one name: the table counts the RRsets there in 16 bits, and no message holds as many.
const MAX_AT_NAME: usize = u16::MAX as usize;

/// Why nobody is answered with what stands at a name.
pub(super) enum Hidden<'z> {
    /// It is at or below the NS records of a delegation, which stands here.
    Delegated(&'z PlacedRecord),
    /// It is below a DNAME record.
    Renamed(&'z PlacedRecord),
    /// It is in another zone of this server.
    Nested(&'z Name),
}

impl<'z> ZoneView<'z> {
    /// Sorts the records of `zone`; `apexes` are those of all zones.
    pub(super) fn new(zone: &'z PlacedZone, apexes: &'z BTreeMap<Name, ZoneId>) -> Self {
        let mut records: BTreeMap<&[u8], Vec<&PlacedRecord>> = BTreeMap::new();
        for record in &zone.records {
            records.entry(record.owner.wire()).or_default().push(record);
        }
        let at_apex = records.get(zone.name.wire()).into_iter().flatten();
        let signature = at_apex.copied().find(|record| record.covers() == Some(Rtype::SOA));
        ZoneView { zone, records, apexes, signature }
    }

    /// Where the zone is signed, if it is.
    pub(super) fn signed_at(&self) -> Option<Place> {
        self.signature.map(|signature| signature.place)
    }

    /// Its apex.
    pub(super) fn name(&self) -> &'z Name {
        &self.zone.name
    }

    /// The records at `name`.
    pub(super) fn at(&self, name: &Name) -> &[&'z PlacedRecord] {
        self.at_wire(name.wire())
    }

    fn at_wire(&self, name: &[u8]) -> &[&'z PlacedRecord] {
        self.records.get(name).map_or(&[], Vec::as_slice)
    }

    /// The first record of `rtype` at `name`.
    pub(super) fn find(&self, name: &Name, rtype: Rtype) -> Option<&'z PlacedRecord> {
        self.at(name).iter().find(|record| record.rtype == rtype).copied()
    }

    /// What hides the name `name` of this zone from queries, the topmost first; `None`: nothing does.
    pub(super) fn hidden(&self, name: &Name) -> Option<Hidden<'z>> {
        let mut topmost = None;
        for current in name.suffixes().take_while(|ancestor| *ancestor != self.zone.name.wire()) {
            let records = self.at_wire(current);
            let find = |rtype| records.iter().find(|record| record.rtype == rtype).copied();
            if let Some((nested, _)) = self.apexes.get_key_value(current) {
                topmost = Some(Hidden::Nested(nested));
            } else if let Some(cut) = find(Rtype::NS) {
                topmost = Some(Hidden::Delegated(cut));
            } else if let Some(dname) = find(Rtype::DNAME).filter(|_| current != name.wire()) {
                topmost = Some(Hidden::Renamed(dname));
            }
        }
        // A DNAME at the apex hides everything below it too.
        let at_apex = self.find(&self.zone.name, Rtype::DNAME).filter(|_| *name != self.zone.name);
        at_apex.map(Hidden::Renamed).or(topmost)
    }

    /// Notes every breach of the rules within the zone.
    pub(super) fn check(&self, report: &Report) {
        self.check_apex(report);
        if self.signature.is_some() {
            self.check_signed(report);
        }
        for records in self.records.values() {
            let Some(PlacedRecord { owner: name, place, .. }) = records.first() else { continue };
            if records.len() > MAX_AT_NAME {
                report.error(*place, format!("`{name}` has more than {MAX_AT_NAME} records"));
            }
            check_rrsets(records, report);
            self.check_cname(name, records, report);
            self.check_hidden(name, records, report);
        }
    }

    fn check_apex(&self, report: &Report) {
        let at_apex = self.at(&self.zone.name).iter();
        for ds in at_apex.filter(|record| record.rtype == Rtype::DS && !record.is_lenient) {
            let message = "the DS records of an apex belong to the zone above (RFC 4035 section 2.4)";
            report.error(ds.place, message);
        }
        if !self.zone.is_complete {
            return;
        }
        for rtype in [Rtype::SOA, Rtype::NS] {
            if self.find(&self.zone.name, rtype).is_none() {
                report.error(self.zone.place, format!("the zone has no {rtype} record at its apex"));
            }
        }
    }

    /// What follows from the zone being signed elsewhere.
    fn check_signed(&self, report: &Report) {
        for added in self.zone.records.iter().filter(|record| !record.is_lenient) {
            report.error_with_hint(
                added.place,
                format!("the zone `{}` is signed: nobody signs what is added to it here", self.zone.name),
                "add it to the zone file before that is signed, or name the file as it was before".to_owned(),
            );
        }
        let at_apex = self.at(&self.zone.name).iter();
        for record in at_apex.filter(|record| record.rtype == Rtype::NSEC3PARAM) {
            // Those with flags are not for answers (RFC 5155 section 4.1.2).
            let [algorithm, 0, high, low, ..] = record.rdata[..] else { continue };
            let iterations = u16::from_be_bytes([high, low]);
            if algorithm != NSEC3_SHA1 {
                report.error_with_hint(
                    record.place,
                    format!(
                        "names hashed by algorithm {algorithm} cannot be served: only 1, SHA-1, is known"
                    ),
                    "sign the zone with NSEC, or with NSEC3 and SHA-1".to_owned(),
                );
            } else if iterations > MAX_NSEC3_ITERATIONS {
                report.error_with_hint(
                    record.place,
                    format!("names are hashed {iterations} times more than once: at most {MAX_NSEC3_ITERATIONS} are served"),
                    "sign the zone with NSEC, or with NSEC3 and 0 iterations, as RFC 9276 advises".to_owned(),
                );
            }
        }
    }

    /// RFC 1034 section 3.6.2: where a CNAME stands, nothing else does, but for what proves it (RFC 4034 sections 3
    /// and 4).
    fn check_cname(&self, name: &Name, records: &[&PlacedRecord], report: &Report) {
        for record in records {
            if record.rtype == Rtype::SOA && *name != self.zone.name {
                report.error(record.place, "an SOA record stands at the apex of the zone only");
            }
        }
        let Some(cname) = records.iter().find(|record| record.rtype == Rtype::CNAME) else {
            return;
        };
        if *name == self.zone.name {
            report
                .error(cname.place, "a CNAME record cannot stand at the apex, which has SOA and NS records");
        } else if let Some(other) = records
            .iter()
            .find(|record| ![Rtype::CNAME, Rtype::RRSIG, Rtype::NSEC, Rtype::NSEC3].contains(&record.rtype))
        {
            let message = format!(
                "`{name}` has a CNAME record and a record of type {} ({}): a CNAME stands alone",
                other.rtype,
                report.line_of(other.place)
            );
            report.error(cname.place, message);
        }
    }

    fn check_hidden(&self, name: &Name, records: &[&PlacedRecord], report: &Report) {
        let Some(hidden) = self.hidden(name) else { return };
        // A delegation needs its NS and DS records, and addresses for its name servers.
        let delegates = |rtype| match &hidden {
            Hidden::Delegated(cut) if cut.owner == *name => {
                [Rtype::NS, Rtype::DS, Rtype::A, Rtype::AAAA].contains(&rtype)
            }
            Hidden::Delegated(_) => [Rtype::A, Rtype::AAAA].contains(&rtype),
            Hidden::Nested(_) => [Rtype::NS, Rtype::DS, Rtype::A, Rtype::AAAA].contains(&rtype),
            Hidden::Renamed(_) => false,
        };
        // A renamed subtree has nothing in it; what a delegation hides is only never asked for.
        let is_borne = |record: &PlacedRecord| {
            let is_contradiction = match &hidden {
                Hidden::Renamed(_) => !record.is_hashed(),
                // RFC 6672 section 2.3: a name is either delegated or renamed.
                Hidden::Delegated(cut) => cut.owner == *name && record.rtype == Rtype::DNAME,
                Hidden::Nested(_) => false,
            };
            record.is_lenient && !is_contradiction
        };
        for record in records.iter().filter(|record| !delegates(record.rtype) && !is_borne(record)) {
            report.error(record.place, format!("`{name}` {}", hidden.reason(report)));
        }
    }

    /// The zone as it is served; `None`: it lacks its SOA record, which has been noted.
    pub(super) fn convert(&self) -> Option<Zone> {
        let soa = self.find(&self.zone.name, Rtype::SOA)?;
        // RFC 1035 section 3.3.13: MINIMUM is the last field.
        let minimum = u32::from_be_bytes(*soa.rdata.last_chunk()?);
        let mut rrsets: BTreeMap<(bool, &Name, Rtype, Option<Rtype>), Rrset> = BTreeMap::new();
        for record in &self.zone.records {
            let key = (record.rtype != Rtype::SOA, &record.owner, record.rtype, record.covers());
            let rrset = rrsets.entry(key).or_insert_with(|| Rrset {
                owner: record.owner.clone(),
                rtype: record.rtype,
                ttl: record.ttl,
                rdata: Vec::new(),
            });
            // RFC 2181 section 5: an RRset has no record twice, and one TTL. Where records of a zone
            // file differ in it, the lowest is the one that all of them allow (section 5.2).
            rrset.ttl = rrset.ttl.min(record.ttl);
            rrset.rdata.push(record.rdata.clone());
        }
        let mut rrsets: Vec<Rrset> = rrsets.into_values().collect();
        for rrset in &mut rrsets {
            drop_duplicates(&mut rrset.rdata);
        }
        Some(Zone { name: self.zone.name.clone(), negative_ttl: minimum.min(soa.ttl), rrsets })
    }
}

/// Keeps the first of each, in order.
fn drop_duplicates(rdata: &mut Vec<Box<[u8]>>) {
    if rdata.len() > 1 {
        let mut seen = BTreeSet::new();
        rdata.retain(|data| seen.insert(data.clone()));
    }
}

impl Hidden<'_> {
    /// The rest of a sentence that starts with the hidden name.
    pub(super) fn reason(&self, report: &Report) -> String {
        match self {
            Hidden::Delegated(cut) => {
                format!("is hidden by the delegation of `{}` ({})", cut.owner, report.line_of(cut.place))
            }
            Hidden::Renamed(dname) => {
                format!(
                    "is hidden by the DNAME record of `{}` ({})",
                    dname.owner,
                    report.line_of(dname.place)
                )
            }
            Hidden::Nested(zone) => format!("is in the zone `{zone}`, which this server has too"),
        }
    }
}

/// Notes name servers of `view` that resolvers could not find.
///
/// `views` are all zones, by their position; steered names have addresses too.
pub(super) fn check_name_servers(
    view: &ZoneView<'_>,
    views: &[ZoneView<'_>],
    is_steered: impl Fn(&Name) -> bool,
    report: &Report,
) {
    let strict = |record: &&PlacedRecord| record.rtype == Rtype::NS && !record.is_lenient;
    for record in view.zone.records.iter().filter(strict) {
        let target = Name::from_wire(&record.rdata).expect("the data of an NS record is a name");
        let Some(home) = zone_of(&target, view.apexes).map(|id| &views[id.index()]) else {
            continue;
        };
        if let Some(cname) = home.find(&target, Rtype::CNAME) {
            report.error(
                record.place,
                format!(
                    "name server `{target}` is an alias ({}), which RFC 2181 section 10.3 forbids",
                    report.line_of(cname.place)
                ),
            );
            continue;
        }
        let has_address = is_steered(&target)
            || [view, home]
                .iter()
                .any(|view| view.find(&target, Rtype::A).or(view.find(&target, Rtype::AAAA)).is_some());
        // A server below another delegation gets its address from there (RFC 9471 section 3.2).
        let is_elsewhere =
            matches!(home.hidden(&target), Some(Hidden::Delegated(cut)) if cut.owner != record.owner);
        if home.zone.is_complete && !has_address && !is_elsewhere {
            report.error_with_hint(
                record.place,
                format!("name server `{target}` is in the zone `{}` and has no address there", home.name()),
                "add a record of type A or AAAA for it".to_owned(),
            );
        }
    }
}

/// Notes that `view` is of a zone in a signed one of this server that says that it is not there, or that it is signed
/// where it is not: to whoever validates, all its answers would be forged. `views` are all zones, by their position.
pub(super) fn check_delegated(view: &ZoneView<'_>, views: &[ZoneView<'_>], report: &Report) {
    let apex = view.name();
    let Some(above) = apex.parent().and_then(|parent| zone_of(&parent, view.apexes)) else { return };
    let above = &views[above.index()];
    let is_delegated = || {
        let ancestors = std::iter::successors(Some(apex.clone()), Name::parent);
        let between = ancestors.take_while(|ancestor| ancestor != above.name());
        between.into_iter().any(|name| above.find(&name, Rtype::NS).is_some())
    };
    if let Some(signature) = above.signed_at().filter(|_| !is_delegated()) {
        report.error_with_hint(
            view.zone.place,
            format!(
                "the zone `{apex}` is in `{}`, which is signed ({}) and does not delegate it",
                above.name(),
                report.line_of(signature)
            ),
            "add NS records for it to the zone file before that is signed".to_owned(),
        );
    }
    let keys = above.find(apex, Rtype::DS).filter(|_| above.signed_at().is_some());
    if let Some(keys) = keys.filter(|_| view.signed_at().is_none()) {
        report.error_with_hint(
            view.zone.place,
            format!(
                "the zone `{apex}` is not signed, and `{}` says by a DS record that it is ({})",
                above.name(),
                report.line_of(keys.place)
            ),
            "take that record out before the zone above is signed, or name the file of this one as it is signed"
                .to_owned(),
        );
    }
}

/// RFC 2181 section 5: records of one name and type have one TTL and are all different.
fn check_rrsets(records: &[&PlacedRecord], report: &Report) {
    let mut first_of: BTreeMap<Rtype, &PlacedRecord> = BTreeMap::new();
    let mut seen: BTreeMap<(Rtype, &[u8]), Place> = BTreeMap::new();
    for record in records {
        let PlacedRecord { owner, rtype, ttl, rdata, place, is_lenient } = record;
        if let Some(twin) = seen.get(&(*rtype, &rdata[..])) {
            if !is_lenient || *rtype == Rtype::SOA {
                let line = report.line_of(*twin);
                report.error(*place, format!("the same {rtype} record of `{owner}` is there twice ({line})"));
            }
            continue;
        }
        seen.insert((*rtype, &rdata[..]), *place);
        let Some(first) = first_of.get(rtype) else {
            first_of.insert(*rtype, record);
            continue;
        };
        let line = report.line_of(first.place);
        if [Rtype::SOA, Rtype::CNAME, Rtype::DNAME].contains(rtype) {
            report.error(
                *place,
                format!("`{owner}` has another {rtype} record ({line}): there can be one only"),
            );
        } else if first.ttl != *ttl && !is_lenient {
            report.error(
                *place,
                format!(
                    "the TTL of {ttl} s differs from the {} s of the other {rtype} records of `{owner}` ({line})",
                    first.ttl
                ),
            );
        }
    }
}
