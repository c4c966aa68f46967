//! Reading a query where it lies.

use super::header::{
    CLASS_IN, FLAG_CHECKING_DISABLED, FLAG_RECURSION_DESIRED, FLAG_RESPONSE, HEADER, MASK_OPCODE, Rcode,
};
use super::name_hash::{NameHash, hash_name, lowercase_words};
use super::{ClientSubnet, Edns, MAX_LABEL, MAX_NAME, Name, Rtype};

/// A query as far as it could be read: one question, well formed to its end, if [`Query::read`] says that it can be
/// answered. The name that it asks for is in the buffer given there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Query<'m> {
    /// The type that is asked for.
    pub rtype: Rtype,
    /// Octets of the question section that can be echoed; 0 where it could not be read.
    pub question_octets: usize,
    /// The OPT record, if there is one that could be read: one is owed in return, with an error too (RFC 6891
    /// section 6.1.1).
    pub edns: Option<Edns<'m>>,
}

/// Why a message gets no answer from a zone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unanswerable {
    /// Nothing may be sent back: shorter than a header, or itself a response. Replying to
    /// responses would let two servers talk to each other for ever.
    Silence,
    /// This code goes back.
    Error(Rcode),
    /// It asks no question, only for a cookie (RFC 7873 section 5.4).
    NoQuestion,
    /// It is well formed and its class is not IN, but this.
    OtherClass(u16),
}

impl<'m> Query<'m> {
    /// One of which nothing was read yet.
    pub const fn unread() -> Self {
        Query { rtype: Rtype(0), question_octets: 0, edns: None }
    }

    /// Reads `message` into this query, which is [`Query::unread()`] yet, and the name in its question into `name`.
    ///
    /// In place, because to return what was read is to copy it, piece by piece, before it has arrived in memory.
    #[inline(always)]
    pub fn read(&mut self, message: &'m [u8], name: &mut NameBuffer) -> Result<(), Unanswerable> {
        let header: &[u8; HEADER] = message.first_chunk().ok_or(Unanswerable::Silence)?;
        if header[2] & FLAG_RESPONSE != 0 {
            return Err(Unanswerable::Silence);
        }
        let [questions, answers, authorities, additionals] =
            [4, 6, 8, 10].map(|at| u16::from_be_bytes([header[at], header[at + 1]]));
        let mut rest = &message[HEADER..];
        if header[2] & MASK_OPCODE != 0 {
            let counts = [questions, answers, authorities, additionals];
            return Err(self.of_other_opcode(counts, rest, name));
        }
        if questions != 1 || answers != 0 {
            return Err(self.without_question([questions, answers, authorities, additionals], rest));
        }
        const MALFORMED: Unanswerable = Unanswerable::Error(Rcode::FormErr);
        let (rtype, class) = question(&mut rest, name).ok_or(MALFORMED)?;
        self.rtype = rtype;
        self.question_octets = message.len() - HEADER - rest.len();
        // IXFR alone carries a record there (RFC 1995 section 3).
        if authorities > u16::from(rtype == Rtype::IXFR) {
            return Err(MALFORMED);
        }
        if !opt_record(&mut rest, authorities.into(), additionals, &mut self.edns) {
            return Err(MALFORMED);
        }
        if self.edns.as_ref().is_some_and(|edns| edns.version != 0) {
            return Err(Unanswerable::Error(Rcode::BadVers));
        }
        if class == CLASS_IN { Ok(()) } else { Err(Unanswerable::OtherClass(class)) }
    }

    /// What to make of a message of an opcode that is not served. NOTIFY and UPDATE have the sections
    /// of a query (RFC 1996 section 3.7, RFC 2136 section 2), so that their OPT record can be found;
    /// what is made otherwise has none that could be.
    #[cold]
    fn of_other_opcode(
        &mut self,
        counts: [u16; 4],
        mut rest: &'m [u8],
        name: &mut NameBuffer,
    ) -> Unanswerable {
        let [questions, answers, authorities, additionals] = counts;
        if (0..questions).all(|_| question(&mut rest, name).is_some()) {
            let in_front = u32::from(answers) + u32::from(authorities);
            // Whether the rest is as it should be is for those to say who serve the opcode.
            opt_record(&mut rest, in_front, additionals, &mut self.edns);
        }
        Unanswerable::Error(Rcode::NotImp)
    }

    /// What to make of a message that has not one question: a query for a cookie, or a mistake.
    #[cold]
    fn without_question(&mut self, counts: [u16; 4], mut records: &'m [u8]) -> Unanswerable {
        let [0, 0, 0, additionals] = counts else { return Unanswerable::Error(Rcode::FormErr) };
        let is_sound = opt_record(&mut records, 0, additionals, &mut self.edns);
        match self.edns {
            Some(edns) if is_sound && edns.version != 0 => Unanswerable::Error(Rcode::BadVers),
            Some(edns) if is_sound && !edns.cookie.is_empty() => Unanswerable::NoQuestion,
            _ => Unanswerable::Error(Rcode::FormErr),
        }
    }
}

/// Reads the records behind the question up to the end of the message, of which so many are
/// `in_front` of the additional section, and puts the OPT record, if there is one, into `edns`: there,
/// because what is returned is copied. False: they cannot be read to the end.
#[inline(always)]
fn opt_record<'m>(rest: &mut &'m [u8], in_front: u32, additionals: u16, edns: &mut Option<Edns<'m>>) -> bool {
    for index in 0..in_front + u32::from(additionals) {
        let Some(record) = Record::parse(rest) else { return false };
        if record.rtype != Rtype::OPT {
            continue;
        }
        // RFC 6891 section 6.1.1: at most one, in the additional section, owned by the root.
        if edns.is_some() || index < in_front || !record.owner_is_root {
            return false;
        }
        let edns = edns.insert(Edns::without_options(record.class, record.ttl));
        if edns.read_options(record.data).is_err() {
            *edns = edns.bare();
            return false;
        }
    }
    rest.is_empty()
}

/// A query for the records of `rtype` at `name`, with EDNS, and for clients of `subnet` if there
/// is one: what a resolver sends.
pub fn query_message(id: u16, name: &Name, rtype: Rtype, subnet: Option<ClientSubnet>) -> Vec<u8> {
    let edns = Edns { client_subnet: subnet, ..Edns::without_options(0, 0) };
    let mut message = Vec::with_capacity(HEADER + name.wire().len() + 4 + edns.reply_length());
    message.extend(id.to_be_bytes());
    // One question and one additional record: the OPT.
    message.extend([0, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
    message.extend(name.wire());
    message.extend(rtype.0.to_be_bytes());
    message.extend(CLASS_IN.to_be_bytes());
    let opt = message.len();
    message.resize(opt + edns.reply_length(), 0);
    // An OPT record reads the same in a query and in a reply of scope 0 (RFC 7871 section 6).
    edns.write_reply(0, 0, &mut message[opt..]);
    message
}

/// The header octets 2 and 3 of a response to `query`, which has at least a header: what is
/// copied, and that it is a response.
pub(super) fn response_flags(query: &[u8]) -> [u8; 2] {
    [FLAG_RESPONSE | (query[2] & (MASK_OPCODE | FLAG_RECURSION_DESIRED)), query[3] & FLAG_CHECKING_DISABLED]
}

/// Reads a question off the front of `rest`: its name into `name`, its type and its class.
fn question(rest: &mut &[u8], name: &mut NameBuffer) -> Option<(Rtype, u16)> {
    name.read(rest)?;
    let ([type_high, type_low, class_high, class_low], behind) = rest.split_first_chunk()?;
    *rest = behind;
    let rtype = Rtype(u16::from_be_bytes([*type_high, *type_low]));
    Some((rtype, u16::from_be_bytes([*class_high, *class_low])))
}

/// A resource record, as far as a query's are looked at.
struct Record<'a> {
    owner_is_root: bool,
    rtype: Rtype,
    class: u16,
    ttl: u32,
    data: &'a [u8],
}

impl<'a> Record<'a> {
    /// Reads a record off the front of `rest`. Its owner is skipped, not followed: no query needs it.
    #[inline(always)]
    fn parse(rest: &mut &'a [u8]) -> Option<Record<'a>> {
        let owner_is_root = rest.first() == Some(&0);
        let behind_owner = if owner_is_root { &rest[1..] } else { skip_name(rest)? };
        let (fixed, behind) = behind_owner.split_first_chunk::<10>()?;
        let length = usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
        let (data, behind) = behind.split_at_checked(length)?;
        *rest = behind;
        Some(Record {
            owner_is_root,
            rtype: Rtype(u16::from_be_bytes([fixed[0], fixed[1]])),
            class: u16::from_be_bytes([fixed[2], fixed[3]]),
            ttl: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
            data,
        })
    }
}

/// What is behind the name at the front of `message`.
#[cold]
fn skip_name(mut message: &[u8]) -> Option<&[u8]> {
    loop {
        let (&length, behind) = message.split_first()?;
        match length {
            0 => return Some(behind),
            // A compression pointer ends a name (RFC 1035 section 4.1.4).
            0xc0..=0xff => return behind.get(1..),
            1..=0x3f => message = behind.get(usize::from(length)..)?,
            _ => return None,
        }
    }
}

/// A name being looked up: lowercase wire form in place, with the start of every label.
#[derive(Clone)]
pub struct NameBuffer {
    octets: [u8; MAX_NAME + 1],
    length: u8,
    /// Where each label starts, the root's left out. A name has at most 127.
    starts: [u8; 127],
    labels: u8,
    /// See [`super::hash_name`].
    hash: u64,
}

impl NameBuffer {
    /// The root.
    pub fn root() -> Self {
        NameBuffer {
            octets: [0; MAX_NAME + 1],
            length: 1,
            starts: [0; 127],
            labels: 0,
            hash: hash_name(&[0]),
        }
    }

    /// Reads an uncompressed name off the front of `rest`: nothing stands before a question's
    /// name that a pointer could mean. What is in the buffer after `None` is no name.
    #[inline(always)]
    fn read(&mut self, rest: &mut &[u8]) -> Option<()> {
        let message = *rest;
        let mut at = 0;
        let mut labels = 0;
        loop {
            let length = usize::from(*message.get(at)?);
            if length == 0 {
                break;
            }
            if length > MAX_LABEL || at + 1 + length >= MAX_NAME {
                return None;
            }
            // Below 255 by the line above, which also bounds the labels to 127.
            self.starts[labels] = at as u8;
            labels += 1;
            at += 1 + length;
        }
        let length = at + 1;
        *rest = message.get(length..)?;
        self.length = length as u8;
        self.labels = labels as u8;
        self.take(message, length);
        Some(())
    }

    /// Takes the first `length` octets of `message` in lowercase, and hashes them on the way:
    /// reading back what was just written in other pieces would stall the processor.
    fn take(&mut self, message: &[u8], length: usize) {
        let mut hash = NameHash::new(length);
        let mut places = self.octets.as_chunks_mut::<8>().0.iter_mut();
        lowercase_words(message, length, |word| {
            hash.add(word);
            if let Some(place) = places.next() {
                *place = word.to_le_bytes();
            }
        });
        self.hash = hash.finish();
    }

    /// Takes the uncompressed name that `wire` starts with; the root if it is none.
    pub fn set(&mut self, mut wire: &[u8]) {
        if self.read(&mut wire).is_none() {
            *self = NameBuffer::root();
        }
    }

    /// Replaces the labels from the `kept`th on by `target`, an uncompressed name: what a DNAME at
    /// that suffix means (RFC 6672 section 2.2). False, and unchanged, if the name would be too long.
    pub fn substitute(&mut self, kept: usize, target: &[u8]) -> bool {
        let prefix = self.label_start(kept);
        let length = prefix + target.len();
        if length > MAX_NAME {
            return false;
        }
        let mut wire = [0; MAX_NAME];
        wire[..prefix].copy_from_slice(&self.octets[..prefix]);
        wire[prefix..length].copy_from_slice(target);
        self.set(&wire[..length]);
        true
    }

    /// The whole name in wire form.
    pub fn wire(&self) -> &[u8] {
        &self.octets[..usize::from(self.length)]
    }

    /// The whole name's [`super::hash_name`].
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// How many labels, the root not counted.
    pub fn label_count(&self) -> usize {
        usize::from(self.labels)
    }

    /// The name from its `label`th label on; the root where `label` is the count.
    pub fn suffix(&self, label: usize) -> &[u8] {
        &self.wire()[self.label_start(label)..]
    }

    /// Where the `label`th label starts.
    pub fn label_start(&self, label: usize) -> usize {
        if label < self.label_count() {
            usize::from(self.starts[label])
        } else {
            usize::from(self.length) - 1
        }
    }
}

impl std::fmt::Debug for NameBuffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", Name::from_wire(self.wire()))
    }
}
