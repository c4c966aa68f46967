//! Questions to name servers.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use hickory_proto::op::{Message, MessageType, OpCode};
use hickory_proto::rr::{DNSClass, RData, RecordType};
use hickory_proto::serialize::binary::{BinDecoder, Restrict};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UdpSocket;

#[cfg(test)]
mod tests;

use super::budget::Budget;
use super::{tcp, unguessable};
use crate::dns::{Rcode, query_message};
use crate::health::{Failure, LocalFailure, Phase};
use crate::plan::{DnsCheck, DnsTransport};

/// What servers send at most, whatever EDNS offers them: more than the 1,232 octets that we do.
const MAX_DATAGRAM: usize = 4096;

/// RD, in the third octet of a message (RFC 1035 section 4.1.1). Resolvers answer nothing else, and
/// authoritative servers do not mind.
const RECURSION_DESIRED: u8 = 0x01;

/// A check of type `dns`, made ready.
pub(super) struct DnsProbe {
    check: DnsCheck,
    expect_data: Vec<RData>,
}

impl DnsProbe {
    /// Makes ready what `check` asks.
    ///
    /// # Errors
    ///
    /// [`LocalFailure::BadRequest`] if the data that is expected cannot be read as that of its type.
    pub(super) fn new(check: &DnsCheck) -> Result<Self, LocalFailure> {
        let expect_data = check.expect_data.iter().map(|wire| {
            let length = u16::try_from(wire.len()).ok()?;
            let rtype = RecordType::from(check.rtype.0);
            RData::read(&mut BinDecoder::new(wire), rtype, Restrict::new(length)).ok()
        });
        match expect_data.collect() {
            Some(expect_data) => Ok(DnsProbe { check: check.clone(), expect_data }),
            None => Err(LocalFailure::BadRequest(format!("expect_data is no data of type {}", check.rtype))),
        }
    }

    /// Asks `address` and judges what it says.
    pub(super) async fn probe(&self, address: SocketAddr, budget: &mut Budget) -> Result<(), Failure> {
        // The low bits of a random number are one.
        let id = unguessable::number() as u16;
        let mut query = query_message(id, &self.check.name, self.check.rtype, None);
        query[2] |= RECURSION_DESIRED;
        let reply = match self.check.transport {
            DnsTransport::Udp => {
                let asking = self.ask_over_udp(address, id, &query);
                let reply = budget.spend(Phase::Reply, asking).await??;
                match reply.metadata.truncation {
                    true => self.ask_over_tcp(address, id, &query, budget).await?,
                    false => reply,
                }
            }
            DnsTransport::Tcp => self.ask_over_tcp(address, id, &query, budget).await?,
        };
        self.judge(&reply)
    }

    /// Sends `query` from a port of the kernel's choice and waits for its reply. What comes from
    /// elsewhere the kernel drops, what has another id is passed over: neither is a reply.
    async fn ask_over_udp(
        &self,
        address: SocketAddr,
        id: u16,
        query: &[u8],
    ) -> io::Result<Result<Message, Failure>> {
        let any = match address {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let socket = UdpSocket::bind(any).await?;
        socket.connect(address).await?;
        socket.send(query).await?;
        let mut datagram = [0; MAX_DATAGRAM];
        loop {
            let length = socket.recv(&mut datagram).await?;
            if let Some(reply) = self.reply(id, &datagram[..length]) {
                return Ok(reply);
            }
        }
    }

    async fn ask_over_tcp(
        &self,
        address: SocketAddr,
        id: u16,
        query: &[u8],
        budget: &mut Budget,
    ) -> Result<Message, Failure> {
        let mut stream = tcp::connect(address, budget).await?;
        let asking = async {
            // Length and message in one piece (RFC 7766 section 8).
            let length = u16::try_from(query.len()).map_err(io::Error::other)?;
            stream.write_all(&[&length.to_be_bytes(), query].concat()).await?;
            let mut reply = vec![0; usize::from(stream.read_u16().await?)];
            stream.read_exact(&mut reply).await?;
            Ok::<_, io::Error>(reply)
        };
        let reply = budget.spend(Phase::Response, asking).await?;
        self.reply(id, &reply).unwrap_or(Err(Failure::Malformed))
    }

    /// What `message` is in reply to the question; `None`: in reply to another, if that.
    fn reply(&self, id: u16, message: &[u8]) -> Option<Result<Message, Failure>> {
        if !message.starts_with(&id.to_be_bytes()) {
            return None;
        }
        Some(match Message::from_vec(message) {
            Ok(reply) if self.is_reply(&reply) => Ok(reply),
            _ => Err(Failure::Malformed),
        })
    }

    fn is_reply(&self, reply: &Message) -> bool {
        let is_answered = match &reply.queries[..] {
            // Who cannot read the question need not repeat it.
            [] => u16::from(reply.metadata.response_code) != Rcode::NoError as u16,
            [question] => {
                question.query_type() == RecordType::from(self.check.rtype.0)
                    && question.query_class() == DNSClass::IN
                    && question.name().iter().map(<[u8]>::to_ascii_lowercase).eq(self
                        .check
                        .name
                        .labels()
                        .map(<[u8]>::to_vec))
            }
            _ => false,
        };
        let metadata = &reply.metadata;
        is_answered && metadata.message_type == MessageType::Response && metadata.op_code == OpCode::Query
    }

    fn judge(&self, reply: &Message) -> Result<(), Failure> {
        let rcode = u16::from(reply.metadata.response_code);
        if rcode != self.check.expect_rcode as u16 {
            return Err(Failure::Rcode(match Rcode::of(rcode) {
                Some(rcode) => rcode.mnemonic().to_owned(),
                None => format!("RCODE{rcode}"),
            }));
        }
        // Behind an alias the owner is another name.
        let is_there = |expected: &&RData| reply.answers.iter().any(|record| record.data == **expected);
        match self.expect_data.iter().find(|expected| !is_there(expected)) {
            Some(missing) => Err(Failure::MissingData(missing.to_string())),
            None => Ok(()),
        }
    }
}
