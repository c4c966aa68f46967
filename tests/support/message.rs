//! DNS messages made and taken apart without the codec under test, and shown as dig shows them.
#![allow(dead_code, reason = "tests share this file, and none needs all of it")]

use std::fmt::{self, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr};

use rhumb::dns::Rtype;

/// The client subnet option (RFC 7871 section 6).
const CLIENT_SUBNET: u16 = 8;

/// A query to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pub(crate) id: u16,
    /// QR: as if it were a response.
    pub(crate) response: bool,
    pub(crate) opcode: u8,
    pub(crate) recursion_desired: bool,
    /// In wire form, letters in the case that is to be sent.
    pub(crate) name: Vec<u8>,
    pub(crate) rtype: Rtype,
    pub(crate) class: u16,
    pub(crate) opt: Option<Opt>,
}

/// An OPT record (RFC 6891 section 6.1.2).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Opt {
    pub(crate) version: u8,
    pub(crate) udp_payload: u16,
    pub(crate) dnssec_ok: bool,
    /// The data of the client subnet option.
    pub(crate) client_subnet: Option<Vec<u8>>,
}

/// A reply taken apart.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) id: u16,
    /// QR, opcode, AA, TC, RD, RA, Z, AD and CD; the code is in `rcode`.
    pub(crate) flags: u16,
    /// With the upper bits from the OPT record.
    pub(crate) rcode: u16,
    /// The question section as it came.
    pub(crate) question: Vec<u8>,
    pub(crate) answer: Vec<Record>,
    pub(crate) authority: Vec<Record>,
    /// Without the OPT record.
    pub(crate) additional: Vec<Record>,
    pub(crate) opt: Option<Opt>,
}

/// A record; names in it are uncompressed and in the case that they came in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Record {
    pub(crate) owner: Vec<u8>,
    pub(crate) rtype: Rtype,
    pub(crate) class: u16,
    pub(crate) ttl: u32,
    pub(crate) rdata: Vec<u8>,
}

impl Query {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = self.id.to_be_bytes().to_vec();
        let response = u8::from(self.response) << 7;
        out.extend([response | self.opcode << 3 | u8::from(self.recursion_desired), 0]);
        out.extend([0, 1, 0, 0, 0, 0, 0, u8::from(self.opt.is_some())]);
        out.extend(self.question());
        if let Some(opt) = &self.opt {
            let options = opt.client_subnet.as_ref().map_or(Vec::new(), |data| {
                let length = u16::try_from(data.len()).expect("an option is short");
                [&CLIENT_SUBNET.to_be_bytes()[..], &length.to_be_bytes(), data].concat()
            });
            out.extend([0, 0, 41]);
            out.extend(opt.udp_payload.to_be_bytes());
            out.extend([0, opt.version, u8::from(opt.dnssec_ok) << 7, 0]);
            out.extend(u16::try_from(options.len()).expect("options are short").to_be_bytes());
            out.extend(options);
        }
        out
    }

    /// The question section.
    pub(crate) fn question(&self) -> Vec<u8> {
        [&self.name[..], &self.rtype.0.to_be_bytes(), &self.class.to_be_bytes()].concat()
    }
}

impl Message {
    /// Takes a whole message apart.
    ///
    /// # Errors
    ///
    /// In words, if it is not well formed to its last octet.
    pub(crate) fn decode(octets: &[u8]) -> Result<Message, String> {
        let mut reader = Reader { message: octets, at: 0 };
        let [id, flags, questions, answers, authorities, additionals] = reader.header()?;
        let start = reader.at;
        for _ in 0..questions {
            reader.name()?;
            reader.take(4)?;
        }
        let question = octets[start..reader.at].to_vec();
        let [answer, authority, mut additional] = [answers, authorities, additionals].map(|count| {
            let records: Result<Vec<Record>, String> = (0..count).map(|_| reader.record()).collect();
            records
        });
        if reader.at != octets.len() {
            return Err(format!("{} octets behind the last record", octets.len() - reader.at));
        }
        let mut rcode = flags & 0xf;
        let mut opt = None;
        if let Ok(records) = &mut additional
            && let Some(position) = records.iter().position(|record| record.rtype == Rtype::OPT)
        {
            let record = records.remove(position);
            rcode |= (record.ttl >> 24 << 4) as u16;
            opt = Some(Opt::decode(&record)?);
        }
        Ok(Message {
            id,
            flags: flags & 0xfff0,
            rcode,
            question,
            answer: answer?,
            authority: authority?,
            additional: additional?,
            opt,
        })
    }

    /// AA.
    pub(crate) fn is_authoritative(&self) -> bool {
        self.flags & 0x0400 != 0
    }

    /// TC.
    pub(crate) fn is_truncated(&self) -> bool {
        self.flags & 0x0200 != 0
    }

    /// The code as dig prints it.
    pub(crate) fn rcode_name(&self) -> String {
        const NAMES: [&str; 7] =
            ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN"];
        match NAMES.get(usize::from(self.rcode)) {
            Some(name) => (*name).to_owned(),
            None if self.rcode == 16 => "BADVERS".to_owned(),
            None => format!("RCODE{}", self.rcode),
        }
    }
}

impl Opt {
    fn decode(record: &Record) -> Result<Opt, String> {
        let [_, version, flags, _] = record.ttl.to_be_bytes();
        let mut reader = Reader { message: &record.rdata, at: 0 };
        let mut client_subnet = None;
        while reader.at < record.rdata.len() {
            let (code, length) = (reader.number()?, reader.number()?);
            let data = reader.take(length.into())?;
            if code == CLIENT_SUBNET {
                client_subnet = Some(data.to_vec());
            }
        }
        Ok(Opt { version, udp_payload: record.class, dnssec_ok: flags & 0x80 != 0, client_subnet })
    }
}

struct Reader<'m> {
    message: &'m [u8],
    at: usize,
}

impl<'m> Reader<'m> {
    fn header(&mut self) -> Result<[u16; 6], String> {
        let mut header = [0; 6];
        for field in &mut header {
            *field = self.number()?;
        }
        Ok(header)
    }

    fn take(&mut self, octets: usize) -> Result<&'m [u8], String> {
        let taken = self.message.get(self.at..self.at + octets).ok_or("cut short")?;
        self.at += octets;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u16, String> {
        self.take(2).map(|octets| u16::from_be_bytes([octets[0], octets[1]]))
    }

    /// A name, pointers followed.
    fn name(&mut self) -> Result<Vec<u8>, String> {
        let mut name = Vec::new();
        let mut behind = None;
        loop {
            let length = self.take(1)?[0];
            match length {
                0 => break,
                1..=63 => {
                    name.push(length);
                    name.extend(self.take(length.into())?);
                }
                0xc0.. => {
                    let target = usize::from(length & 0x3f) << 8 | usize::from(self.take(1)?[0]);
                    if target + 2 >= self.at {
                        return Err("a pointer forwards".to_owned());
                    }
                    behind.get_or_insert(self.at);
                    self.at = target;
                }
                _ => return Err(format!("a label of type {length:#x}")),
            }
        }
        name.push(0);
        self.at = behind.unwrap_or(self.at);
        if name.len() > 255 { Err("a name that is too long".to_owned()) } else { Ok(name) }
    }

    fn record(&mut self) -> Result<Record, String> {
        let owner = self.name()?;
        let (rtype, class) = (Rtype(self.number()?), self.number()?);
        let ttl = u32::from(self.number()?) << 16 | u32::from(self.number()?);
        let length = usize::from(self.number()?);
        let end = self.at + length;
        // RFC 3597 section 4: in other types no name is compressed.
        let (fixed, names) = match rtype {
            Rtype::NS | Rtype::CNAME | Rtype::PTR => (0, 1),
            Rtype::MX => (2, 1),
            Rtype::SOA => (0, 2),
            _ => (0, 0),
        };
        let mut rdata = self.take(fixed)?.to_vec();
        for _ in 0..names {
            rdata.extend(self.name()?);
        }
        rdata.extend(self.take(end.checked_sub(self.at).ok_or("a name beyond its record")?)?);
        Ok(Record { owner, rtype, class, ttl, rdata })
    }
}

impl fmt::Display for Record {
    /// As dig prints it, without the class where it is IN.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ", shown_name(&self.owner), self.ttl)?;
        if self.class != 1 {
            write!(f, "CLASS{} ", self.class)?;
        }
        write!(f, "{} ", self.rtype)?;
        let rdata = &self.rdata[..];
        match self.rtype {
            Rtype::A => match <[u8; 4]>::try_from(rdata) {
                Ok(octets) => write!(f, "{}", Ipv4Addr::from(octets)),
                Err(_) => unknown(rdata, f),
            },
            Rtype::AAAA => match <[u8; 16]>::try_from(rdata) {
                Ok(octets) => write!(f, "{}", Ipv6Addr::from(octets)),
                Err(_) => unknown(rdata, f),
            },
            Rtype::NS | Rtype::CNAME | Rtype::PTR | Rtype::DNAME => write!(f, "{}", shown_name(rdata)),
            Rtype::MX | Rtype::SRV => {
                let name_at = if self.rtype == Rtype::MX { 2 } else { 6 };
                for number in rdata[..name_at].chunks(2) {
                    write!(f, "{} ", u16::from_be_bytes([number[0], number[1]]))?;
                }
                f.write_str(&shown_name(&rdata[name_at..]))
            }
            Rtype::SOA => {
                let (names, numbers) = rdata.split_at(rdata.len() - 20);
                let second = name_octets(names);
                write!(f, "{} {}", shown_name(names), shown_name(&names[second..]))?;
                for number in numbers.chunks(4) {
                    write!(f, " {}", u32::from_be_bytes([number[0], number[1], number[2], number[3]]))?;
                }
                Ok(())
            }
            Rtype::TXT => {
                let mut rest = rdata;
                while let [length, behind @ ..] = rest {
                    let (string, next) = behind.split_at(usize::from(*length));
                    let separator = if rest.len() == rdata.len() { "" } else { " " };
                    write!(f, "{separator}{:?}", String::from_utf8_lossy(string))?;
                    rest = next;
                }
                Ok(())
            }
            Rtype::CAA => {
                let (tag, value) = rdata[2..].split_at(usize::from(rdata[1]));
                let [tag, value] = [tag, value].map(String::from_utf8_lossy);
                write!(f, "{} {tag} {value:?}", rdata[0])
            }
            _ => unknown(rdata, f),
        }
    }
}

/// RFC 3597 section 5.
fn unknown(rdata: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "\\# {} ", rdata.len())?;
    rdata.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
}

/// How many octets the name at the front of `wire` takes.
fn name_octets(wire: &[u8]) -> usize {
    let mut at = 0;
    while wire[at] != 0 {
        at += 1 + usize::from(wire[at]);
    }
    at + 1
}

/// The name at the front of `wire` in presentation form (RFC 1035 section 5.1), absolute.
pub(crate) fn shown_name(mut wire: &[u8]) -> String {
    let mut shown = String::new();
    while let [length @ 1..=63, rest @ ..] = wire {
        let (label, behind) = rest.split_at(usize::from(*length));
        for &octet in label {
            match octet {
                b'.' | b'\\' | b'"' | b';' | b'(' | b')' | b'@' | b'$' => {
                    shown.push('\\');
                    shown.push(octet.into());
                }
                0x21..=0x7e => shown.push(octet.into()),
                _ => write!(shown, "\\{octet:03}").expect("a string takes everything"),
            }
        }
        shown.push('.');
        wire = behind;
    }
    if shown.is_empty() { ".".to_owned() } else { shown }
}

/// The wire form of an absolute name, letters in the case that they are written in.
///
/// # Errors
///
/// In words, if `text` is no name.
pub(crate) fn wire_name(text: &str) -> Result<Vec<u8>, String> {
    // The product's parser knows the rules, but not the case of letters.
    let folded = text.parse::<rhumb::dns::Name>().map_err(|error| format!("{text}: {error}"))?;
    let mut written = text.bytes().filter(u8::is_ascii_alphabetic);
    let mut wire = folded.wire().to_vec();
    let mut at = 0;
    while wire[at] != 0 {
        let end = at + 1 + usize::from(wire[at]);
        for octet in wire[at + 1..end].iter_mut().filter(|octet| octet.is_ascii_alphabetic()) {
            *octet = written.next().ok_or_else(|| format!("{text}: letters as \\DDD"))?;
        }
        at = end;
    }
    Ok(wire)
}
