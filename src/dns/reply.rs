//! Writing a reply into the caller's buffer.

use super::header::{CLASS_CHAOS, CLASS_IN, FLAG_AUTHORITATIVE, FLAG_TRUNCATED, HEADER, Rcode};
use super::query::response_flags;
use super::{Edns, ExtendedError, Rtype, Template, template};

/// The part of a reply that a record belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// What was asked for.
    Answer,
    /// The zone's SOA beside a negative answer, or the servers of a delegation.
    Authority,
    /// Addresses of names in the other sections.
    Additional,
}

/// The name that a record stands at.
#[derive(Clone, Copy, Debug)]
pub enum Owner<'a> {
    /// One that is in the message already, by its offset; see [`Reply::QUESTION`].
    At(u16),
    /// This name in wire form.
    Name(&'a [u8]),
}

/// The record does not fit into what the client can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// A reply being written. Names are compressed (RFC 1035 section 4.1.4) against all that were
/// written before.
pub struct Reply<'b> {
    buffer: &'b mut [u8],
    /// Where the next record goes.
    at: usize,
    /// Where records must end: the client's limit less what the OPT record will take.
    limit: usize,
    question_end: usize,
    /// Records per section.
    counts: [u16; 3],
    edns: Option<&'b Edns<'b>>,
    /// More options for the OPT record, in wire form.
    options: &'b [u8],
    why: Option<ExtendedError>,
    /// `None`: no name was written yet but the question's, as in most replies.
    names: Option<NameTable>,
}

/// What [`Reply::rewind`] goes back to.
#[derive(Clone, Copy)]
pub struct Mark {
    at: usize,
    counts: [u16; 3],
}

/// Offsets of names in the message that a pointer may mean.
struct NameTable {
    offsets: [u16; NAMES],
    used: u8,
}

/// How many names are remembered for compression. A name more is written without a pointer to
/// it, which is longer and as right.
const NAMES: usize = 48;
/// A pointer has 14 bits (RFC 1035 section 4.1.4).
const MAX_POINTER: usize = 0x3fff;

impl<'b> Reply<'b> {
    /// The offset of the question's name.
    pub const QUESTION: u16 = HEADER as u16;

    /// Starts the reply to `query`, of which `question_octets` behind the header are echoed as
    /// they came (the case of letters included), limited to `limit` octets in all.
    ///
    /// A query with EDNS is answered with an OPT record, with the client subnet if the query has
    /// one, and `options` ([`super::ReplyOptions::octets`]).
    ///
    /// `buffer` must hold `limit` octets, and `limit` be at least 512 or whatever the question and
    /// an OPT record take.
    #[inline(always)]
    pub fn start(
        query: &[u8],
        question_octets: usize,
        edns: Option<&'b Edns<'b>>,
        options: &'b [u8],
        limit: usize,
        buffer: &'b mut [u8],
    ) -> Reply<'b> {
        let question_end = HEADER + question_octets;
        buffer[..question_end].copy_from_slice(&query[..question_end]);
        if let Some(header) = buffer.first_chunk_mut::<HEADER>() {
            [header[2], header[3]] = response_flags(query);
            header[4..].copy_from_slice(&[0, u8::from(question_octets > 0), 0, 0, 0, 0, 0, 0]);
        }
        let reserved = edns.map_or(0, |edns| edns.reply_length() + options.len());
        Reply {
            at: question_end,
            limit: limit.min(buffer.len()) - reserved,
            buffer,
            question_end,
            counts: [0; 3],
            edns,
            options,
            why: None,
            names: None,
        }
    }

    /// Writes a record whose data holds no name that may be compressed.
    pub fn record(
        &mut self,
        section: Section,
        owner: Owner<'_>,
        rtype: Rtype,
        ttl: u32,
        data: &[u8],
    ) -> Result<(), Full> {
        let out = match owner {
            // The usual case in one piece: one check of the room there is.
            Owner::At(offset) => {
                let (pointer, rest) = self.claim(2 + RECORD_FIXED + data.len())?.split_at_mut(2);
                pointer.copy_from_slice(&(0xc000 | offset).to_be_bytes());
                rest
            }
            Owner::Name(name) => {
                self.name(name)?;
                self.claim(RECORD_FIXED + data.len())?
            }
        };
        write_fixed(out, rtype, ttl, data.len());
        out[RECORD_FIXED..].copy_from_slice(data);
        self.counts[section as usize] += 1;
        Ok(())
    }

    /// Writes a record at `owner`, the offset of a name in the message, whose data is of a size that is known
    /// beforehand, and holds no name: an address.
    #[inline]
    pub fn address<const N: usize>(
        &mut self,
        owner: u16,
        rtype: Rtype,
        ttl: u32,
        data: &[u8; N],
    ) -> Result<(), Full> {
        let out = self.claim(2 + RECORD_FIXED + N)?;
        let Some((head, rest)) = out.split_first_chunk_mut::<{ 2 + RECORD_FIXED }>() else {
            return Err(Full);
        };
        head[..2].copy_from_slice(&(0xc000 | owner).to_be_bytes());
        write_fixed(&mut head[2..], rtype, ttl, N);
        rest.copy_from_slice(data);
        self.counts[Section::Answer as usize] += 1;
        Ok(())
    }

    /// Writes a record of a zone, compressing the names in its data where RFC 3597 section 4
    /// allows it: the types of RFC 1035 only.
    pub fn zone_record(
        &mut self,
        section: Section,
        owner: Owner<'_>,
        rtype: Rtype,
        ttl: u32,
        data: &[u8],
    ) -> Result<(), Full> {
        let (before, names) = compressible_names(rtype);
        if names == 0 {
            return self.record(section, owner, rtype, ttl, data);
        }
        self.owner(owner)?;
        let fixed_at = self.at;
        self.claim(RECORD_FIXED)?;
        let (head, mut rest) = data.split_at_checked(before).ok_or(Full)?;
        self.claim(head.len())?.copy_from_slice(head);
        for _ in 0..names {
            let (name, behind) = split_name(rest).ok_or(Full)?;
            self.name(name)?;
            rest = behind;
        }
        self.claim(rest.len())?.copy_from_slice(rest);
        let length = self.at - fixed_at - RECORD_FIXED;
        write_fixed(&mut self.buffer[fixed_at..], rtype, ttl, length);
        self.counts[section as usize] += 1;
        Ok(())
    }

    /// Writes a DNAME record, whose target is not compressed (RFC 6672 section 2.5), but may be pointed at by names that
    /// follow: the CNAME that is made from it ends in it.
    pub fn dname(&mut self, owner: &[u8], ttl: u32, target: &[u8]) -> Result<(), Full> {
        self.record(Section::Answer, Owner::Name(owner), Rtype::DNAME, ttl, target)?;
        self.remember(self.at - target.len());
        Ok(())
    }

    /// Writes the record of a template, whose apex is a suffix of the question's name, with a TTL of
    /// no more than `ttl_limit` seconds.
    pub fn template(&mut self, section: Section, template: &Template, ttl_limit: u32) -> Result<(), Full> {
        // The question ends in its name, type and class; see `start` for how long it can be.
        let apex = self.question_end - 4 - template.apex_octets;
        let record = self.at;
        let out = self.claim(template.octets.len())?;
        out.copy_from_slice(&template.octets);
        for pointer in &template.pointers {
            let base = match pointer.into {
                template::Into::Apex => apex,
                template::Into::Record => record,
            };
            // Both lie near the start: behind the question and at most a chain of CNAMEs.
            let target = 0xc000 | (base as u16 + pointer.behind);
            let at = usize::from(pointer.at);
            out[at..at + 2].copy_from_slice(&target.to_be_bytes());
        }
        if ttl_limit < template.ttl {
            out[template::TTL_AT..template::TTL_AT + 4].copy_from_slice(&ttl_limit.to_be_bytes());
        }
        self.counts[section as usize] += 1;
        Ok(())
    }

    /// Writes a CNAME record and returns the offset of its target: the owner of what follows.
    pub fn alias(&mut self, owner: u16, ttl: u32, target: &[u8]) -> Result<u16, Full> {
        self.pointer(owner)?;
        let fixed_at = self.at;
        self.claim(RECORD_FIXED)?;
        let target_at = self.name(target)?;
        let length = self.at - fixed_at - RECORD_FIXED;
        write_fixed(&mut self.buffer[fixed_at..], Rtype::CNAME, ttl, length);
        self.counts[Section::Answer as usize] += 1;
        Ok(target_at)
    }

    /// Writes the text of at most 255 octets that answers a question about the server itself: a
    /// TXT record of class CHAOS, not to be kept (RFC 4892 section 2.1).
    pub fn chaos_text(&mut self, text: &str) -> Result<(), Full> {
        let data = 1 + text.len();
        let out = self.claim(2 + RECORD_FIXED + data)?;
        out[..2].copy_from_slice(&(0xc000 | Reply::QUESTION).to_be_bytes());
        write_fixed(&mut out[2..], Rtype::TXT, 0, data);
        out[4..6].copy_from_slice(&CLASS_CHAOS.to_be_bytes());
        out[2 + RECORD_FIXED] = text.len() as u8;
        out[2 + RECORD_FIXED + 1..].copy_from_slice(text.as_bytes());
        self.counts[Section::Answer as usize] += 1;
        Ok(())
    }

    /// A place to come back to.
    pub fn mark(&self) -> Mark {
        Mark { at: self.at, counts: self.counts }
    }

    /// Takes back all records since `mark`.
    pub fn rewind(&mut self, mark: Mark) {
        self.at = mark.at;
        self.counts = mark.counts;
        let Some(names) = &mut self.names else { return };
        while names.used > 0 && usize::from(names.offsets[usize::from(names.used) - 1]) >= mark.at {
            names.used -= 1;
        }
    }

    /// Whether records may stand at `owner`, the offset of a name in the message: it is not further behind than a pointer
    /// reaches.
    pub fn can_point_at(owner: u16) -> bool {
        usize::from(owner) <= MAX_POINTER
    }

    /// How many records a section has so far.
    pub fn count(&self, section: Section) -> u16 {
        self.counts[section as usize]
    }

    /// Says why the answer is as it is, to clients with EDNS and where there is room.
    pub fn explain(&mut self, why: ExtendedError) {
        self.why = Some(why);
    }

    /// Ends the reply: header, counts and the OPT record with `scope` for the client subnet.
    /// Returns its length. Nothing may be written afterwards.
    ///
    /// It is borrowed to its end, because one that is given away is copied first: a tenth of what an answer takes.
    #[inline(always)]
    pub fn finish(&mut self, rcode: Rcode, authoritative: bool, scope: u8) -> usize {
        self.end(rcode, if authoritative { FLAG_AUTHORITATIVE } else { 0 }, scope)
    }

    /// Ends the reply with nothing but the question and TC, so that the client asks by TCP.
    /// An empty reply is the smallest amplifier, and no client has a use for half an RRset
    /// (RFC 2181 section 9).
    #[inline(never)]
    pub fn finish_truncated(&mut self, authoritative: bool, scope: u8) -> usize {
        self.at = self.question_end;
        self.counts = [0; 3];
        let flags = FLAG_TRUNCATED | if authoritative { FLAG_AUTHORITATIVE } else { 0 };
        self.end(Rcode::NoError, flags, scope)
    }

    /// Ends the reply with an error and nothing but the question.
    #[inline(never)]
    pub fn finish_error(&mut self, rcode: Rcode) -> usize {
        self.at = self.question_end;
        self.counts = [0; 3];
        self.end(rcode, 0, 0)
    }

    #[inline(always)]
    fn end(&mut self, rcode: Rcode, flags: u8, scope: u8) -> usize {
        let [answers, authorities, mut additionals] = self.counts;
        let mut length = self.at;
        if let Some(edns) = self.edns {
            let options = self.at + edns.reply_length();
            length = options + self.options.len();
            // The limit for records leaves out what the other options take.
            let why = self.why.filter(|why| self.at + why.length() <= self.limit);
            if let Some(why) = why {
                why.write(&mut self.buffer[length..length + why.length()]);
                length += why.length();
            }
            let extended = (rcode as u16 >> 4) as u8;
            edns.write_reply(extended, scope, &mut self.buffer[self.at..length]);
            if !self.options.is_empty() {
                self.buffer[options..options + self.options.len()].copy_from_slice(self.options);
            }
            additionals += 1;
        }
        if let Some(header) = self.buffer.first_chunk_mut::<HEADER>() {
            header[2] |= flags;
            header[3] |= (rcode as u16 & 0xf) as u8;
            [header[6], header[7]] = answers.to_be_bytes();
            [header[8], header[9]] = authorities.to_be_bytes();
            [header[10], header[11]] = additionals.to_be_bytes();
        }
        length
    }

    fn owner(&mut self, owner: Owner<'_>) -> Result<(), Full> {
        match owner {
            Owner::At(offset) => self.pointer(offset),
            Owner::Name(name) => self.name(name).map(|_| ()),
        }
    }

    fn pointer(&mut self, offset: u16) -> Result<(), Full> {
        self.claim(2)?.copy_from_slice(&(0xc000 | offset).to_be_bytes());
        Ok(())
    }

    /// Writes `name`, its longest suffix that is in the message already as a pointer. Returns
    /// where the name can be pointed at.
    fn name(&mut self, name: &[u8]) -> Result<u16, Full> {
        if self.names.is_none() {
            self.names = Some(NameTable { offsets: [0; NAMES], used: 0 });
            self.remember(HEADER);
        }
        let start = self.at;
        let mut rest = name;
        while let [length @ 1..=63, behind @ ..] = rest {
            if let Some(offset) = self.find(rest) {
                self.pointer(offset)?;
                self.remember(start);
                return Ok(if rest.len() == name.len() { offset } else { start as u16 });
            }
            let length = usize::from(*length);
            self.claim(1 + length)?.copy_from_slice(&rest[..1 + length]);
            rest = &behind[length..];
        }
        self.claim(1)?[0] = 0;
        self.remember(start);
        Ok(start as u16)
    }

    /// Enters every label of the name at `at` up to its end or first pointer.
    fn remember(&mut self, mut at: usize) {
        let Some(names) = &mut self.names else { return };
        while at <= MAX_POINTER {
            let length = usize::from(self.buffer[at]);
            if !(1..=63).contains(&length) || usize::from(names.used) == NAMES {
                return;
            }
            names.offsets[usize::from(names.used)] = at as u16;
            names.used += 1;
            at += 1 + length;
        }
    }

    fn find(&self, name: &[u8]) -> Option<u16> {
        let names = self.names.as_ref()?;
        names.offsets[..usize::from(names.used)]
            .iter()
            .copied()
            .find(|&offset| self.is_at(usize::from(offset), name))
    }

    /// Whether the name at `at` is `name`, whatever the case of its letters (RFC 4343).
    fn is_at(&self, mut at: usize, mut name: &[u8]) -> bool {
        loop {
            let length = self.buffer[at];
            if length >= 0xc0 {
                // Written by this module: it points backwards, so this comes to an end.
                at = usize::from(u16::from_be_bytes([length & 0x3f, self.buffer[at + 1]]));
                continue;
            }
            let octets = 1 + usize::from(length);
            let Some((label, rest)) = name.split_at_checked(octets) else {
                return false;
            };
            if !label.eq_ignore_ascii_case(&self.buffer[at..at + octets]) {
                return false;
            }
            if length == 0 {
                return true;
            }
            at += octets;
            name = rest;
        }
    }

    /// The next `octets` of the message, to be written.
    #[inline]
    fn claim(&mut self, octets: usize) -> Result<&mut [u8], Full> {
        let end = self.at + octets;
        if end > self.limit {
            return Err(Full);
        }
        let claimed = &mut self.buffer[self.at..end];
        self.at = end;
        Ok(claimed)
    }
}

/// Octets of a record between its owner and its data: type, class, TTL and length.
const RECORD_FIXED: usize = 10;

fn write_fixed(out: &mut [u8], rtype: Rtype, ttl: u32, data_octets: usize) {
    out[0..2].copy_from_slice(&rtype.0.to_be_bytes());
    out[2..4].copy_from_slice(&CLASS_IN.to_be_bytes());
    out[4..8].copy_from_slice(&ttl.to_be_bytes());
    // Data is at most 65,535 octets: config admits no more.
    out[8..10].copy_from_slice(&(data_octets as u16).to_be_bytes());
}

/// Where in a type's data names stand that may be compressed: how many octets before them, and
/// how many names (RFC 3597 section 4: the types of RFC 1035 only).
pub(super) fn compressible_names(rtype: Rtype) -> (usize, usize) {
    match rtype {
        Rtype::NS | Rtype::CNAME | Rtype::PTR => (0, 1),
        Rtype::MX => (2, 1),
        Rtype::SOA => (0, 2),
        _ => (0, 0),
    }
}

/// Splits an uncompressed name off the front of `data`.
pub(super) fn split_name(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut at = 0;
    loop {
        let length = usize::from(*data.get(at)?);
        at += 1 + length;
        if length == 0 {
            return data.split_at_checked(at);
        }
    }
}
