//! What of a signed zone goes into an answer for those who want it proven: signatures, and that something is not there
//! (RFC 4035 section 3.1, RFC 5155 section 7.2).

use super::names::Node;
use super::nsec::Key;
use super::recorder::Recorder;
use super::respond::{Outcome, Responder, Step};
use super::signed::{Denial, Link, Signed};
use super::table::CompiledRrset;
use super::worker::MAX_CHAIN;
use crate::dns::{Full, Owner, Rcode, Rtype, Section};

/// What is yet to be proven in one answer: it stands behind all that is answered. Each record once.
pub(super) struct Proofs {
    /// Each with the zone that it is of.
    links: [(u32, Link); Proofs::MOST],
    count: usize,
}

impl Proofs {
    /// Each name of a chain, the first included, may have come of a wildcard, and what the last one has to prove takes
    /// three records.
    const MOST: usize = MAX_CHAIN + 1 + 3;

    pub(super) const NOTHING: Proofs =
        Proofs { links: [(0, Link { records: 0, signatures: None }); Proofs::MOST], count: 0 };

    /// Starts another answer.
    pub(super) fn clear(&mut self) {
        self.count = 0;
    }

    fn push(&mut self, zone: u32, link: Link) {
        let is_new = !self.links[..self.count].contains(&(zone, link));
        if is_new && let Some(free) = self.links.get_mut(self.count) {
            *free = (zone, link);
            self.count += 1;
        }
    }

    fn pop_first(&mut self) -> Option<(u32, Link)> {
        let first = *self.links[..self.count].first()?;
        self.links.copy_within(1..self.count, 0);
        self.count -= 1;
        Some(first)
    }
}

impl<'t, R: Recorder> Responder<'t, '_, '_, '_, '_, R> {
    /// Ends the step that has given the RRset of `rtype` at `node`, whose owner in the message is `owner`: signs it, and
    /// if nothing follows proves what is to be proven.
    pub(super) fn certify(
        &mut self,
        node: &'t Node,
        rtype: Rtype,
        owner: u16,
        step: Step,
    ) -> Result<Step, Full> {
        self.sign(Section::Answer, node, rtype, Owner::At(owner))?;
        self.conclude(step)
    }

    /// Proves what is to be proven if nothing follows behind `step`.
    pub(super) fn conclude(&mut self, step: Step) -> Result<Step, Full> {
        if matches!(step, Step::Done(_)) {
            self.prove()?;
        }
        Ok(step)
    }

    /// Writes the signatures over the RRset of `rtype` at `node`, if its zone is signed.
    pub(super) fn sign(
        &mut self,
        section: Section,
        node: &'t Node,
        rtype: Rtype,
        owner: Owner<'_>,
    ) -> Result<(), Full> {
        if self.signed(self.zone_of(node, rtype)).is_none() {
            return Ok(());
        }
        for rrset in self.rrsets(node) {
            if rrset.covers() == Some(rtype) {
                for rdata in &rrset.rdata {
                    self.reply.record(section, owner, rrset.rtype, rrset.ttl, rdata)?;
                }
            }
        }
        Ok(())
    }

    /// Writes the other signatures at `node`, which are asked for and of which `given` were given.
    pub(super) fn give_more_signatures(
        &mut self,
        node: &'t Node,
        given: &'t CompiledRrset,
    ) -> Result<(), Full> {
        for rrset in self.rrsets(node) {
            if rrset.rtype == Rtype::RRSIG && !std::ptr::eq(rrset, given) {
                for rdata in &rrset.rdata {
                    let owner = Owner::At(self.owner);
                    self.reply.record(Section::Answer, owner, rrset.rtype, rrset.ttl, rdata)?;
                }
            }
        }
        Ok(())
    }

    /// Ends a negative answer from `node`, given with the SOA record of `zone`.
    pub(super) fn certify_negative(&mut self, node: &'t Node, zone: usize, step: Step) -> Result<Step, Full> {
        if let Some(signed) = self.signed(zone) {
            let limit = self.negative_ttl.min(self.table.world.plan.zones[zone].negative_ttl);
            self.write(zone, signed.soa, limit)?;
        }
        if matches!(step, Step::Done(Outcome { rcode: Rcode::NoError, .. })) {
            self.prove_absence(node, zone);
            if self.table.world.names.name_of(node) != self.name.wire() {
                self.prove_encloser(node, zone);
            }
        }
        self.conclude(step)
    }

    /// Writes the signatures over an address of a name server in the zone, if there is room: without them it is of use as
    /// well. Glue has none.
    pub(super) fn sign_address(&mut self, node: &'t Node, rtype: Rtype, server: &[u8]) {
        let mark = self.reply.mark();
        // Of a wildcard, they would be of no use without the proof that it stands for the name.
        let is_exact = self.table.world.names.name_of(node) == server;
        if is_exact && self.sign(Section::Additional, node, rtype, Owner::Name(server)).is_err() {
            self.reply.rewind(mark);
        }
    }

    /// The current name does not exist, and `wildcard` stands for it.
    pub(super) fn prove_expansion(&mut self, wildcard: &'t Node) {
        let Some(signed) = self.signed(wildcard.zone as usize) else { return };
        match &signed.denial {
            Denial::Names(chain) => self.note(wildcard.zone, chain.at_or_before(&Key::of(self.name.wire()))),
            Denial::Hashes(chain) => {
                let Some((encloser, label)) = self.encloser_of(wildcard) else { return };
                let below = chain.below(encloser, self.name.suffix(label - 1));
                self.note(wildcard.zone, below.map(|below| below.next));
            }
            Denial::Nothing => {}
        }
    }

    /// The current name does not exist below `encloser`, whose name starts at its label `label`, nor does a wildcard.
    pub(super) fn prove_missing(&mut self, encloser: &'t Node, label: usize) {
        let (zone, names) = (encloser.zone, &self.table.world.names);
        let Some(signed) = self.signed(zone as usize) else { return };
        match &signed.denial {
            Denial::Names(chain) => {
                self.note(zone, chain.at_or_before(&Key::of(self.name.wire())));
                self.note(zone, chain.at_or_before(&Key::of_wildcard_below(names.name_of(encloser))));
            }
            Denial::Hashes(chain) => {
                let next = self.name.suffix(label.saturating_sub(1));
                if let Some(below) = chain.below(names.number(encloser), next) {
                    for link in [below.closest, below.next, below.wildcard] {
                        self.note(zone, Some(link));
                    }
                }
            }
            Denial::Nothing => {}
        }
    }

    /// `node` has nothing of a type in `zone`.
    fn prove_absence(&mut self, node: &'t Node, zone: usize) {
        let names = &self.table.world.names;
        let Some(signed) = self.signed(zone) else { return };
        let number = zone as u32;
        match &signed.denial {
            Denial::Names(chain) => self.note(number, chain.at_or_before(&Key::of(names.name_of(node)))),
            Denial::Hashes(chain) => {
                for link in chain.at(names.number(node)) {
                    self.note(number, link);
                }
            }
            Denial::Nothing => {}
        }
    }

    /// `node`, which is a wildcard and stands for the current name, has nothing of a type: of hashed names, the one that it
    /// stands below is to be known (RFC 5155 section 7.2.5). That there is nothing in between has been proven.
    fn prove_encloser(&mut self, node: &'t Node, zone: usize) {
        if let Some(Signed { denial: Denial::Hashes(chain), .. }) = self.signed(zone)
            && let Some((encloser, _)) = self.encloser_of(node)
        {
            for link in chain.at(encloser) {
                self.note(zone as u32, link);
            }
        }
    }

    /// Writes what is known of the keys of the zone that `cut` delegates: its DS records, or that there are none. Then
    /// what is to be proven of the names that led there.
    pub(super) fn prove_delegation(&mut self, cut: &'t Node) -> Result<(), Full> {
        let zone = cut.zone as usize;
        if self.signed(zone).is_some() {
            let owner = Owner::Name(self.table.world.names.name_of(cut));
            match self.rrset(cut, Rtype::DS) {
                Some(ds) => {
                    for rdata in &ds.rdata {
                        self.reply.record(Section::Authority, owner, Rtype::DS, ds.ttl, rdata)?;
                    }
                    self.sign(Section::Authority, cut, Rtype::DS, owner)?;
                }
                None => self.prove_absence(cut, zone),
            }
        }
        self.prove()
    }

    /// Writes what is to be proven.
    pub(super) fn prove(&mut self) -> Result<(), Full> {
        while let Some((zone, Link { records, signatures })) = self.proofs.pop_first() {
            for position in [Some(records), signatures].into_iter().flatten() {
                self.write(zone as usize, position, u32::MAX)?;
            }
        }
        Ok(())
    }

    fn note(&mut self, zone: u32, link: Option<Link>) {
        if let Some(link) = link {
            self.proofs.push(zone, link);
        }
    }

    /// Writes an RRset of `zone` by its position in the plan, for at most `ttl` seconds.
    fn write(&mut self, zone: usize, position: u32, ttl: u32) -> Result<(), Full> {
        let rrset = &self.table.world.plan.zones[zone].rrsets[position as usize];
        for rdata in &rrset.rdata {
            let owner = Owner::Name(rrset.owner.wire());
            self.reply.record(Section::Authority, owner, rrset.rtype, rrset.ttl.min(ttl), rdata)?;
        }
        Ok(())
    }

    /// What `zone` has from its signer.
    fn signed(&self, zone: usize) -> Option<&'t Signed> {
        self.table.world.zones[zone].signed.as_deref()
    }

    /// The node of the name that `wildcard` stands below, and at which label of the current name, which `wildcard` stands
    /// for, that starts.
    fn encloser_of(&self, wildcard: &'t Node) -> Option<(u32, usize)> {
        let names = &self.table.world.names;
        let encloser = names.name_of(wildcard).get(2..)?;
        let labels = self.name.label_count();
        let label = (1..=labels).find(|&label| self.name.suffix(label).len() == encloser.len())?;
        Some((names.exact(encloser)?, label))
    }
}
