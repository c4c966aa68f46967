//! One answer in the making: what is said of a name, and of those that it leads to.

use super::flow::Tally;
use super::names::{Found, NONE, Node};
use super::pool_health::Tier;
use super::proofs::Proofs;
use super::rate_limit::{Entry, Kind, RateLimiter};
use super::recorder::Recorder;
use super::steer::{Decision, Steered, falls_back_to_names, reaches, steer};
use super::steering::Family;
use super::table::{CompiledRrset, RoutingTable, World};
use super::turns::TURNS_EACH;
use super::whereabouts::Whereabouts;
use super::worker::{Chance, Visited};
use crate::dns::{ExtendedError, Full, NameBuffer, Owner, Rcode, Reply, Rtype, Section};
use crate::plan::Zone;

/// A domain without a healthy address, for whoever wonders. No code of RFC 8914 fits: the server
/// is well and its data is current, it is the sites that are not.
const ALL_DOWN: ExtendedError = ExtendedError::other("no address is healthy");
const ALL_DOWN_SERVED: ExtendedError = ExtendedError::other("no address is healthy: answering with all");

/// How a reply ends.
#[derive(Clone, Copy)]
pub(super) struct Outcome {
    pub(super) rcode: Rcode,
    pub(super) authoritative: bool,
}

impl Outcome {
    const NO_ERROR: Outcome = Outcome { rcode: Rcode::NoError, authoritative: true };

    fn error(rcode: Rcode) -> Self {
        Outcome { rcode, authoritative: false }
    }
}

/// One answer in the making.
pub(super) struct Responder<'t, 'w, 'b, 'q, 'r, R> {
    pub(super) table: &'t RoutingTable,
    pub(super) chance: &'w mut Chance,
    pub(super) rtype: Rtype,
    /// The name that is answered now: the question's, or where a chain has led.
    pub(super) name: &'w mut NameBuffer,
    pub(super) visited: &'w mut Visited,
    /// Where it stands in the message: the owner of its records.
    pub(super) owner: u16,
    /// Nothing but a referral: for the question's own name this server is no authority.
    pub(super) is_referral: bool,
    pub(super) reply: &'w mut Reply<'b>,
    /// The rate limit, if there is one for the client.
    pub(super) limiter: Option<&'w RateLimiter>,
    /// Where the rate limit enters the reply, if it is from a zone.
    pub(super) entry: Option<Entry>,
    pub(super) whereabouts: &'w mut Whereabouts<'q>,
    pub(super) tally: &'w Tally,
    pub(super) recorder: &'r mut R,
    /// Seconds that a negative answer may be kept, if less than the zone says.
    pub(super) negative_ttl: u32,
    /// DO: of a signed zone, signatures and proofs are wanted (RFC 4035 section 3.1).
    pub(super) dnssec_ok: bool,
    pub(super) proofs: &'w mut Proofs,
}

/// What one name of a chain contributed.
pub(super) enum Step {
    /// The answer is complete.
    Done(Outcome),
    /// A CNAME was written, and `name` and `owner` are its target.
    Follow,
}

impl<'t, R: Recorder> Responder<'t, '_, '_, '_, '_, R> {
    /// RFC 1034 section 4.3.2, with RFC 4592 for wildcards and RFC 6672 for DNAME.
    pub(super) fn respond(&mut self) -> Result<Outcome, Full> {
        match self.rtype {
            Rtype::AXFR | Rtype::IXFR => return Ok(self.fail(Rcode::Refused, ExtendedError::PROHIBITED)),
            // A pseudo type cannot be asked for (RFC 6891 section 6.1.1).
            Rtype::OPT => return Ok(Outcome::error(Rcode::FormErr)),
            Rtype::ANY => {}
            meta if meta.is_meta() => return Ok(self.fail(Rcode::NotImp, ExtendedError::NOT_SUPPORTED)),
            _ => {}
        }
        let mut zone = None;
        loop {
            let found = self.table.world.names.find(self.name);
            let node = match found {
                Found::Nowhere => break,
                Found::Exact(node)
                | Found::Wildcard(node)
                | Found::Missing(node, _)
                | Found::Delegated(node, _) => node,
            };
            // A chain is followed inside its zone. Beyond, the resolver asks whoever is
            // authoritative, even if that is this server again (RFC 1034 section 5.3.3).
            match zone {
                None => {
                    zone = Some(node.zone);
                    self.tally.add_zone(node.zone);
                    let source = self.whereabouts.source();
                    self.entry = self.limiter.map(|limiter| limiter.entry(source, self.kind_of(&found)));
                }
                Some(zone) if zone != node.zone => break,
                Some(_) => {}
            }
            match self.at(found)? {
                Step::Done(outcome) => return Ok(outcome),
                Step::Follow => {}
            }
        }
        // Only the question's own name is looked for without a zone to have come from.
        Ok(match zone {
            None => {
                self.tally.add_outside();
                self.fail(Rcode::Refused, ExtendedError::NOT_AUTHORITATIVE)
            }
            Some(_) => {
                if self.dnssec_ok {
                    self.prove()?;
                }
                Outcome::NO_ERROR
            }
        })
    }

    /// Ends with an error and its reason.
    fn fail(&mut self, rcode: Rcode, why: ExtendedError) -> Outcome {
        self.reply.explain(why);
        Outcome::error(rcode)
    }

    /// What the rate limit counts a reply from `found` as. Names that do not exist are as many as
    /// a client likes: they count as whatever answers for all of them.
    fn kind_of(&self, found: &Found<'t>) -> Kind {
        match found {
            Found::Nowhere => Kind::Other,
            Found::Exact(node) | Found::Wildcard(node) | Found::Delegated(node, _) => {
                Kind::Node(self.table.world.names.number(node))
            }
            Found::Missing(encloser, _) => Kind::Missing(encloser.zone),
        }
    }

    /// What one name of the chain contributes.
    fn at(&mut self, found: Found<'t>) -> Result<Step, Full> {
        match found {
            Found::Nowhere => Ok(Step::Done(Outcome::error(Rcode::Refused))),
            // The parent's side of a cut is authoritative for DS (RFC 4035 section 3.1.4.1).
            Found::Delegated(cut, true) if self.rtype == Rtype::DS => self.at_name(cut),
            Found::Delegated(cut, _) => self.refer(cut).map(Step::Done),
            Found::Exact(node) => self.at_name(node),
            Found::Wildcard(node) => {
                if self.dnssec_ok {
                    self.prove_expansion(node);
                }
                self.at_name(node)
            }
            Found::Missing(encloser, label) => match self.rrset(encloser, Rtype::DNAME) {
                Some(dname) => {
                    let step = self.redirect(encloser, dname, label)?;
                    if self.dnssec_ok { self.conclude(step) } else { Ok(step) }
                }
                None => {
                    if self.dnssec_ok {
                        self.prove_missing(encloser, label);
                    }
                    self.negative(encloser, Rcode::NxDomain)
                }
            },
        }
    }

    fn at_name(&mut self, node: &'t Node) -> Result<Step, Full> {
        if let Some(rrset) = self.static_answer(node) {
            return self.give(node, rrset);
        }
        if node.edge != NONE
            && let Some(step) = self.steered(node)?
        {
            return Ok(step);
        }
        // A steered name that has no address to give may still have other records.
        if self.rtype == Rtype::ANY
            && let Some(rrset) = self.rrsets(node).first()
        {
            return self.give(node, rrset);
        }
        match self.rrset(node, Rtype::CNAME) {
            Some(alias) => {
                let owner = self.owner;
                let step = self.follow(alias.ttl, &alias.rdata[0])?;
                if self.dnssec_ok { self.certify(node, Rtype::CNAME, owner, step) } else { Ok(step) }
            }
            None => self.negative(node, Rcode::NoError),
        }
    }

    fn give(&mut self, node: &'t Node, rrset: &'t CompiledRrset) -> Result<Step, Full> {
        for rdata in &rrset.rdata {
            self.reply.zone_record(Section::Answer, Owner::At(self.owner), rrset.rtype, rrset.ttl, rdata)?;
        }
        if rrset.rtype == Rtype::RRSIG {
            self.give_more_signatures(node, rrset)?;
        }
        let step = Step::Done(Outcome::NO_ERROR);
        if self.dnssec_ok { self.certify(node, rrset.rtype, self.owner, step) } else { Ok(step) }
    }

    /// The static RRset that answers the question at `node`.
    fn static_answer(&self, node: &Node) -> Option<&'t CompiledRrset> {
        match self.rtype {
            // One RRset that exists says enough (RFC 8482 section 4.1). A steered name says its
            // addresses.
            Rtype::ANY if node.edge != NONE => None,
            Rtype::ANY => self.rrsets(node).first(),
            rtype => self.rrset(node, rtype),
        }
    }

    #[inline]
    pub(super) fn rrset(&self, node: &Node, rtype: Rtype) -> Option<&'t CompiledRrset> {
        // Most names that are steered have none: then the list need not be looked at.
        if !node.has_rrsets() {
            return None;
        }
        self.rrsets(node).iter().find(|rrset| rrset.rtype == rtype)
    }

    pub(super) fn rrsets(&self, node: &Node) -> &'t [CompiledRrset] {
        &self.table.world.rrsets[node.rrsets()]
    }

    /// The answer of a steered name; `None` if it has none of the type asked for.
    fn steered(&mut self, node: &'t Node) -> Result<Option<Step>, Full> {
        let family = match self.rtype {
            Rtype::A => Family::V4,
            Rtype::AAAA => Family::V6,
            // The type that most clients take, where there is any.
            Rtype::ANY if self.has_v4(node) => Family::V4,
            Rtype::ANY => Family::V6,
            _ if self.may_be_alias(node) => Family::Any,
            _ => return Ok(None),
        };
        let steered =
            steer(self.table, node, family, &mut *self.whereabouts, self.chance, self.tally, self.recorder);
        let (pool, choices) = match steered.decision {
            Decision::Healthy(pool) => (pool, self.table.choices(pool)),
            Decision::Any(pool) => {
                self.reply.explain(ALL_DOWN_SERVED);
                (pool, self.table.all(pool))
            }
            Decision::Nodata => {
                self.negative_ttl = longest_ttl(&steered, u32::MAX);
                return Ok(None);
            }
            Decision::Servfail => return Ok(Some(Step::Done(self.fail(Rcode::ServFail, ALL_DOWN)))),
        };
        // How calm a pool is lies a cache line away from its addresses.
        let calm = if steered.ttl_min == u32::MAX { u32::MAX } else { choices.calm };
        let longest = longest_ttl(&steered, calm);
        let ttl = node.ttl.min(longest);
        if ttl < node.ttl {
            self.recorder.shortened(ttl);
        }
        let (reply, owner) = (&mut *self.reply, self.owner);
        let (chance, whereabouts) = (&mut *self.chance, &mut *self.whereabouts);
        let turn = pool.index() * TURNS_EACH;
        if let Some(names) = &choices.cname {
            let mut target = self.recorder.alias(names, whereabouts);
            if target.is_none() {
                names.choose(chance, turn + 2, whereabouts, |name| {
                    target = Some(name);
                    Ok::<(), Full>(())
                })?;
            }
            return match target {
                Some(target) => self.follow(ttl, target.wire()).map(Some),
                None => Ok(None),
            };
        }
        self.recorder.gives(choices, whereabouts);
        let before = reply.count(Section::Answer);
        if matches!(self.rtype, Rtype::A | Rtype::ANY) {
            choices.v4.choose(chance, turn, whereabouts, |ip| reply.address(owner, Rtype::A, ttl, ip))?;
        }
        if self.rtype == Rtype::AAAA || (self.rtype == Rtype::ANY && reply.count(Section::Answer) == before) {
            choices
                .v6
                .choose(chance, turn + 1, whereabouts, |ip| reply.address(owner, Rtype::AAAA, ttl, ip))?;
        }
        let has_answered = reply.count(Section::Answer) > before;
        if !has_answered {
            // Nothing is written: the pool is of the other family only.
            self.negative_ttl = longest;
        }
        Ok(has_answered.then_some(Step::Done(Outcome::NO_ERROR)))
    }

    /// Whether a pool of the domain at `node` has an IPv4 address.
    fn has_v4(&self, node: &Node) -> bool {
        let steering = &self.table.world.steerings[node.steering as usize];
        reaches(self.table, steering, Tier::Configured, Family::V4)
    }

    /// Whether the domain at `node` can answer with a CNAME, which would be for every type.
    fn may_be_alias(&self, node: &Node) -> bool {
        let steering = &self.table.world.steerings[node.steering as usize];
        steering.has_names || falls_back_to_names(self.table, steering)
    }

    /// Writes a CNAME at the current name and goes on at its target, unless it is the answer.
    fn follow(&mut self, ttl: u32, target: &'t [u8]) -> Result<Step, Full> {
        self.owner = self.reply.alias(self.owner, ttl, target)?;
        if matches!(self.rtype, Rtype::CNAME | Rtype::ANY) {
            return Ok(Step::Done(Outcome::NO_ERROR));
        }
        let from = self.name.hash();
        self.name.set(target);
        Ok(self.follow_from(from))
    }

    /// Goes on at the current name, to which the one with this hash led. A chain that comes back
    /// to itself, or is too long, ends here: all there is has been said. By TCP the signatures of a
    /// few names may be more than what a pointer reaches over.
    fn follow_from(&mut self, from: u64) -> Step {
        let has_room = self.visited.push(from) && Reply::can_point_at(self.owner);
        if has_room && !self.visited.has(self.name.hash()) {
            Step::Follow
        } else {
            Step::Done(Outcome::NO_ERROR)
        }
    }

    /// Answers from a DNAME at the closest encloser, whose name starts at `label` of the current
    /// one: the record, a CNAME made from it, and on at the CNAME's target (RFC 6672 section 3.2).
    fn redirect(&mut self, encloser: &'t Node, dname: &'t CompiledRrset, label: usize) -> Result<Step, Full> {
        let (ttl, target) = (dname.ttl, &dname.rdata[0]);
        // A DNAME to below itself leads on for ever. Whoever wants more of it asks again.
        if !self.visited.push_dname(target) {
            return Ok(Step::Done(Outcome::NO_ERROR));
        }
        self.reply.dname(self.name.suffix(label), ttl, target)?;
        if self.dnssec_ok {
            let owner = Owner::Name(self.table.world.names.name_of(encloser));
            self.sign(Section::Answer, encloser, Rtype::DNAME, owner)?;
        }
        let from = self.name.hash();
        if !self.name.substitute(label, target) {
            return Ok(Step::Done(Outcome { rcode: Rcode::YxDomain, authoritative: true }));
        }
        self.owner = self.reply.alias(self.owner, ttl, self.name.wire())?;
        if self.rtype == Rtype::CNAME {
            return Ok(Step::Done(Outcome::NO_ERROR));
        }
        Ok(self.follow_from(from))
    }

    /// NXDOMAIN or NODATA with the zone's SOA (RFC 2308 sections 2 and 3). At the end of a chain
    /// the code is that of its last name (RFC 6604 section 2.1).
    fn negative(&mut self, node: &'t Node, rcode: Rcode) -> Result<Step, Full> {
        let World { plan, zones, .. } = &*self.table.world;
        let zone = match rcode {
            Rcode::NoError => self.zone_of(node, self.rtype),
            _ => node.zone as usize,
        };
        if self.reply.count(Section::Answer) == 0 {
            self.reply.template(Section::Authority, &zones[zone].soa, self.negative_ttl)?;
        } else {
            // Behind a chain, whose names may have more in common with those of the SOA.
            let Zone { name, negative_ttl, rrsets } = &plan.zones[zone];
            let (apex, soa) = (Owner::Name(name.wire()), &rrsets[0].rdata[0]);
            let ttl = self.negative_ttl.min(*negative_ttl);
            self.reply.zone_record(Section::Authority, apex, Rtype::SOA, ttl, soa)?;
        }
        let step = Step::Done(Outcome { rcode, authoritative: true });
        if self.dnssec_ok { self.certify_negative(node, zone, step) } else { Ok(step) }
    }

    /// The zone that answers for `rtype` at `node`: its own, but for DS at an apex the one above, if that is here
    /// (RFC 4035 section 3.1.4.1).
    pub(super) fn zone_of(&self, node: &Node, rtype: Rtype) -> usize {
        let World { names, zones, .. } = &*self.table.world;
        let zone = node.zone as usize;
        match zones[zone].above {
            Some(above) if rtype == Rtype::DS && names.name_of(node).len() == zones[zone].apex_octets => {
                above as usize
            }
            _ => zone,
        }
    }

    /// A referral to the servers of a delegated zone, with glue.
    fn refer(&mut self, cut: &'t Node) -> Result<Outcome, Full> {
        let world = &self.table.world;
        let owner = world.names.name_of(cut);
        let Some(servers) = self.rrset(cut, Rtype::NS) else {
            return Ok(Outcome::error(Rcode::ServFail));
        };
        // The first owner of a chain is this zone's, a bare referral is not (RFC 1035 4.1.1).
        self.is_referral = self.reply.count(Section::Answer) == 0;
        for server in &servers.rdata {
            self.reply.zone_record(Section::Authority, Owner::Name(owner), Rtype::NS, servers.ttl, server)?;
        }
        if self.dnssec_ok {
            self.prove_delegation(cut)?;
        }
        // Without the addresses of servers inside the delegated zone it cannot be reached: they
        // are not optional (RFC 9471 section 3.1). Addresses of others are, and go last.
        for is_required in [true, false] {
            for server in servers.rdata.iter().filter(|server| is_within(server, owner) == is_required) {
                let mark = self.reply.mark();
                let written = self.glue(server);
                if is_required {
                    written?;
                } else if written.is_err() {
                    self.reply.rewind(mark);
                }
            }
        }
        Ok(Outcome { rcode: Rcode::NoError, authoritative: !self.is_referral })
    }

    fn glue(&mut self, server: &[u8]) -> Result<(), Full> {
        let names = &self.table.world.names;
        let Some(node) = names.exact_or_wildcard(server) else {
            return Ok(());
        };
        let node = names.node(node);
        for rrset in self.rrsets(node) {
            if matches!(rrset.rtype, Rtype::A | Rtype::AAAA) {
                for rdata in &rrset.rdata {
                    let owner = Owner::Name(server);
                    self.reply.record(Section::Additional, owner, rrset.rtype, rrset.ttl, rdata)?;
                }
                if self.dnssec_ok {
                    self.sign_address(node, rrset.rtype, server);
                }
            }
        }
        Ok(())
    }
}

/// Seconds that an answer may be kept at the longest from a pool that has been calm for `calm` seconds: less
/// than its domain's TTL where another answer is near or would be better.
fn longest_ttl(steered: &Steered, calm: u32) -> u32 {
    let Steered { decision, is_second_best, ttl_min } = *steered;
    let is_best = !is_second_best && !matches!(decision, Decision::Any(_));
    if is_best { ttl_min.max(calm) } else { ttl_min }
}

/// Whether the name `wire` is `ancestor` or below it; both are uncompressed and in lowercase.
fn is_within(mut wire: &[u8], ancestor: &[u8]) -> bool {
    while wire.len() > ancestor.len() {
        wire = &wire[1 + usize::from(wire[0])..];
    }
    wire == ancestor
}
