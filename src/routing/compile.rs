//! Plan to the part of the table that health does not touch.

use std::collections::HashMap;
use std::sync::Arc;

use super::edges::Edges;
use super::names::{NONE, NameIndex};
use super::signed::Signed;
use super::steering::{Compiling, Steering};
use super::table::{CompiledRrset, CompiledZone, World};
use crate::dns::{Name, Rrset, Rtype, Template};
use crate::geo::GeoTable;
use crate::plan::{Choice, Domain, DomainId, Measurement, Plan, PoolId, Rule, WhenAllDown, Zone};

impl World {
    pub(super) fn compile(plan: Arc<Plan>, geo: Arc<GeoTable>) -> Self {
        let owners = |zone: &Zone| zone.rrsets.chunk_by(|one, next| one.owner == next.owner).count();
        let owners: usize = plan.zones.iter().map(owners).sum();
        let mut names = NameIndex::with_room(owners + plan.domains.len());
        for (zone, id) in plan.zones.iter().zip(0..) {
            names.insert(&zone.name, id);
        }
        enter_above_zones(&plan, &mut names);
        let edges = Arc::new(Edges::of(&plan));
        let rrsets = enter_records(&plan, &mut names);
        let (steerings, turns) = enter_domains(&plan, &geo, &edges, &mut names);
        link_wildcards(&mut names);
        link_cuts(&plan, &mut names);
        let above: Vec<Option<u32>> =
            plan.zones.iter().map(|zone| zone_above(&plan, &names, &zone.name)).collect();
        let zones = plan
            .zones
            .iter()
            .zip(0..)
            .map(|(zone, id)| CompiledZone {
                soa: Template::new(&zone.name, Rtype::SOA, zone.negative_ttl, &zone.rrsets[0].rdata[0])
                    .expect("a zone's first RRset is its SOA, which config has read"),
                apex_octets: zone.name.wire().len(),
                above: above[id as usize],
                signed: Signed::compile(&plan, id, &above, &names),
            })
            .collect();
        let usual_view = steerings.iter().find_map(Steering::first_view).cloned();
        World { plan, geo, names, zones, rrsets, steerings, turns, edges, usual_view }
    }
}

/// The zone that answers for DS at `apex`: the one that it lies in, unless that one delegates what
/// is in between.
fn zone_above(plan: &Plan, names: &NameIndex, apex: &Name) -> Option<u32> {
    let parent = apex.parent()?;
    let is_delegated = names.exact(parent.wire()).is_some_and(|node| names.node(node).cut != NONE);
    zone_of(plan, names, &parent).filter(|_| !is_delegated)
}

/// Enters what lies between an apex and the zone above it, if that is this server's as well: the
/// upper zone must not deny a name that another zone stands below (RFC 8020 section 2).
fn enter_above_zones(plan: &Plan, names: &mut NameIndex) {
    for zone in &plan.zones {
        let above = zone.name.parent().and_then(|parent| zone_of(plan, names, &parent));
        if let Some(id) = above {
            enter_above(names, &zone.name, id, &plan.zones[id as usize].name);
        }
    }
}

/// Enters every static RRset; those of one name end up side by side, as a node refers to them.
fn enter_records(plan: &Plan, names: &mut NameIndex) -> Vec<CompiledRrset> {
    let mut by_node: Vec<(u32, &Rrset)> = Vec::new();
    for (zone, id) in plan.zones.iter().zip(0..) {
        for rrset in zone.rrsets.iter().filter(|rrset| !is_hashed(rrset)) {
            // What the parent zone says at and below another zone of this server is that zone's;
            // but for DS, which stands above the cut (RFC 4035 section 3.1.4.1).
            let is_above = rrset.rtype == Rtype::DS || rrset.covers() == Some(Rtype::DS);
            let parent = rrset.owner.parent().filter(|_| is_above);
            if zone_of(plan, names, parent.as_ref().unwrap_or(&rrset.owner)) == Some(id) {
                by_node.push((enter(names, &rrset.owner, id, &zone.name), rrset));
            }
        }
    }
    // What its signer has added comes last: the first RRset is what ANY is answered with.
    let is_of_signer = |rtype| [Rtype::RRSIG, Rtype::NSEC].contains(&rtype);
    by_node.sort_by_key(|(node, rrset)| (*node, is_of_signer(rrset.rtype), rrset.rtype));
    let mut compiled: Vec<CompiledRrset> = Vec::with_capacity(by_node.len());
    for (node, rrset) in by_node {
        names.node_mut(node).add_rrset(compiled.len());
        let Rrset { owner: _, rtype, ttl, rdata } = rrset;
        compiled.push(CompiledRrset { rtype: *rtype, ttl: *ttl, rdata: rdata.clone() });
    }
    compiled
}

/// Whether the owner of `rrset` is a hash, and no name that could be asked for (RFC 5155 section 7.2.8).
fn is_hashed(rrset: &Rrset) -> bool {
    rrset.rtype == Rtype::NSEC3 || rrset.covers() == Some(Rtype::NSEC3)
}

/// Enters every domain. Domains that say the same share one steering. Also returns how many
/// counters of turns the steerings have.
fn enter_domains(
    plan: &Plan,
    geo: &GeoTable,
    edges: &Edges,
    names: &mut NameIndex,
) -> (Vec<Steering>, usize) {
    let mut known: HashMap<SteeringKey<'_>, u32> = HashMap::new();
    let mut first_of_each: Vec<DomainId> = Vec::new();
    let mut steering_of: Vec<u32> = Vec::with_capacity(plan.domains.len());
    for (domain, id) in plan.domains.iter().zip(0..) {
        let steering = *known.entry(SteeringKey::of(domain)).or_insert_with(|| {
            first_of_each.push(DomainId(id));
            first_of_each.len() as u32 - 1
        });
        steering_of.push(steering);
        let node = enter(names, &domain.name, domain.zone.0, &plan.zones[domain.zone.index()].name);
        let node = names.node_mut(node);
        (node.edge, node.steering, node.ttl) = (edges.first(DomainId(id)), steering, domain.ttl);
    }
    let has_names = vec![None; plan.domains.len()];
    let mut measured: HashMap<PoolId, Vec<&Measurement>> = HashMap::new();
    for measurement in &plan.latencies {
        measured.entry(measurement.pool).or_default().push(measurement);
    }
    let mut compiling =
        Compiling { plan, geo, edges, measured, steering_of: &steering_of, has_names, turns: 0, edge: 0 };
    let steerings = first_of_each.into_iter().map(|id| Steering::compile(id, &mut compiling)).collect();
    (steerings, compiling.turns as usize)
}

/// What of a domain makes its steering.
#[derive(PartialEq, Eq, Hash)]
struct SteeringKey<'p> {
    rules: &'p [Rule],
    choice: Option<&'p Choice>,
    ttl_min: Option<u32>,
    client_subnet: bool,
    when_all_down: WhenAllDown,
}

impl<'p> SteeringKey<'p> {
    fn of(domain: &'p Domain) -> Self {
        let Domain { name: _, zone: _, rules, choice, ttl, ttl_min, client_subnet, when_all_down } = domain;
        SteeringKey {
            rules,
            choice: choice.as_ref(),
            ttl_min: (ttl_min < ttl).then_some(*ttl_min),
            client_subnet: *client_subnet,
            when_all_down: *when_all_down,
        }
    }
}

/// Enters `name` and everything between it and its zone's apex: what lies between exists too, as
/// an empty non-terminal.
fn enter(names: &mut NameIndex, name: &Name, zone: u32, apex: &Name) -> u32 {
    let node = names.insert(name, zone);
    enter_above(names, name, zone, apex);
    node
}

/// Enters everything between `name` and the apex of `zone`.
fn enter_above(names: &mut NameIndex, name: &Name, zone: u32, apex: &Name) {
    let mut above = name.parent();
    while let Some(ancestor) = above.filter(|ancestor| ancestor != apex && ancestor.is_within(apex)) {
        let before = names.len();
        names.insert(&ancestor, zone);
        if names.len() == before {
            break;
        }
        above = ancestor.parent();
    }
}

/// The zone of this server that `name` belongs to, by the apex closest above it.
fn zone_of(plan: &Plan, names: &NameIndex, name: &Name) -> Option<u32> {
    let mut at = Some(name.clone());
    while let Some(name) = at {
        // Apexes were entered first, as the first nodes, in the plan's order.
        match names.exact(name.wire()) {
            Some(node) if (node as usize) < plan.zones.len() => return Some(names.node(node).zone),
            _ => at = name.parent(),
        }
    }
    None
}

fn link_wildcards(names: &mut NameIndex) {
    for node in 0..names.len() {
        let parent = match names.name_of(names.node(node)) {
            [1, b'*', parent @ ..] => names.exact(parent),
            _ => None,
        };
        if let Some(parent) = parent
            && names.node(parent).zone == names.node(node).zone
        {
            names.node_mut(parent).wildcard = node;
        }
    }
}

/// Marks every name at or below a delegation with it, the highest one where they nest.
fn link_cuts(plan: &Plan, names: &mut NameIndex) {
    let mut cuts: Vec<&Name> = Vec::new();
    for (zone, id) in plan.zones.iter().zip(0..) {
        let is_cut = |rrset: &&Rrset| {
            rrset.rtype == Rtype::NS
                && rrset.owner != zone.name
                // Below another zone of this server the upper one delegates nothing.
                && zone_of(plan, names, &rrset.owner) == Some(id)
        };
        cuts.extend(zone.rrsets.iter().filter(is_cut).map(|rrset| &rrset.owner));
    }
    if cuts.is_empty() {
        return;
    }
    let is_cut: std::collections::HashSet<&[u8]> = cuts.iter().map(|name| name.wire()).collect();
    for node in 0..names.len() {
        let zone = names.node(node).zone;
        let apex = plan.zones[zone as usize].name.wire();
        let mut cut = NONE;
        let mut name = names.name_of(names.node(node));
        while name.len() > apex.len() {
            if is_cut.contains(name) {
                cut = names.exact(name).unwrap_or(cut);
            }
            name = &name[1 + usize::from(name[0])..];
        }
        names.node_mut(node).cut = cut;
    }
}
