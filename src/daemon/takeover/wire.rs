//! Messages and descriptors over a Unix socket.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::cmsg_space;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::protocol::{DESCRIPTORS, Message, WireError, decode, encode, length};

/// Octets of room for the descriptors of one message.
const CONTROL: usize = cmsg_space!(ScmRights(DESCRIPTORS));

/// How long the other side may take to accept a message: it does nothing else at that time.
const ACCEPTANCE: Duration = Duration::from_secs(10);

/// The other process.
pub(super) struct Peer(pub(super) UnixStream);

impl Peer {
    /// Says `message`, to which `descriptors` belong: at most [`DESCRIPTORS`].
    pub(super) async fn say(
        &mut self,
        message: &Message,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), WireError> {
        timeout(ACCEPTANCE, self.send(message, descriptors)).await.map_err(|_| WireError::TimedOut)?
    }

    /// The next message and what comes with it, if it comes `within` that time; it has at most `longest`
    /// octets.
    pub(super) async fn hear(
        &mut self,
        longest: usize,
        within: Duration,
    ) -> Result<(Message, Vec<OwnedFd>), WireError> {
        timeout(within, self.receive(longest)).await.map_err(|_| WireError::TimedOut)?
    }

    async fn send(&mut self, message: &Message, descriptors: &[BorrowedFd<'_>]) -> Result<(), WireError> {
        let octets = encode(message)?;
        let stream = &self.0;
        let begun = stream
            .async_io(Interest::WRITABLE, || {
                let mut room = [MaybeUninit::uninit(); CONTROL];
                let mut control = SendAncillaryBuffer::new(&mut room);
                if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
                    return Err(io::Error::other("too many descriptors for one message"));
                }
                Ok(sendmsg(stream, &[IoSlice::new(&octets)], &mut control, SendFlags::NOSIGNAL)?)
            })
            .await?;
        Ok(self.0.write_all(&octets[begun..]).await?)
    }

    async fn receive(&mut self, longest: usize) -> Result<(Message, Vec<OwnedFd>), WireError> {
        let (mut header, mut begun) = ([0; 4], 0);
        let mut descriptors = Vec::new();
        while begun < header.len() {
            let stream = &self.0;
            let rest = &mut header[begun..];
            let received = stream.async_io(Interest::READABLE, || receive(stream, rest, &mut descriptors));
            match received.await? {
                0 => return Err(WireError::Closed),
                octets => begun += octets,
            }
        }
        let length = length(header, longest)?;
        // It grows as octets arrive, whatever length they announce.
        let mut payload = Vec::new();
        (&mut self.0).take(length as u64).read_to_end(&mut payload).await?;
        if payload.len() < length {
            return Err(WireError::Closed);
        }
        Ok((decode(&payload, descriptors.len())?, descriptors))
    }
}

fn receive(stream: &UnixStream, buffer: &mut [u8], descriptors: &mut Vec<OwnedFd>) -> io::Result<usize> {
    let mut room = [MaybeUninit::uninit(); CONTROL];
    let mut control = RecvAncillaryBuffer::new(&mut room);
    let received = recvmsg(stream, &mut [IoSliceMut::new(buffer)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(arrived) = message {
            descriptors.extend(arrived);
        }
    }
    if received.flags.contains(ReturnFlags::CTRUNC) {
        return Err(io::Error::other("descriptors were lost: is the limit of open files reached?"));
    }
    Ok(received.bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    use crate::daemon::takeover::protocol::{LONGEST, LONGEST_MEMORY, Use};

    const SOON: Duration = Duration::from_secs(10);

    fn pair() -> (Peer, Peer) {
        let (one, other) = UnixStream::pair().expect("there are descriptors");
        (Peer(one), Peer(other))
    }

    #[tokio::test]
    async fn sockets_arrive_as_what_they_are() {
        let (mut old, mut new) = pair();
        let sockets: Vec<UdpSocket> =
            (0..DESCRIPTORS).map(|_| UdpSocket::bind("127.0.0.1:0").expect("a port")).collect();
        let addresses: Vec<_> =
            sockets.iter().map(|socket| socket.local_addr().expect("it is bound")).collect();
        let uses = addresses.iter().map(|address| Use::DnsUdp { address: *address }).collect();
        let message = Message::Sockets { sockets: uses, more: false, pid: 1 };
        let descriptors: Vec<_> = sockets.iter().map(AsFd::as_fd).collect();
        old.say(&message, &descriptors).await.expect("it is taken");
        old.say(&Message::Farewell, &[]).await.expect("it is taken");
        let (heard, arrived) = new.hear(LONGEST, SOON).await.expect("it was said");
        assert_eq!(heard, message);
        let found: Vec<_> = arrived
            .into_iter()
            .map(|arrived| UdpSocket::from(arrived).local_addr().expect("it is bound"))
            .collect();
        assert_eq!(found, addresses);
        let (heard, none) = new.hear(LONGEST, SOON).await.expect("it was said");
        assert_eq!((heard, none.len()), (Message::Farewell, 0));
    }

    #[tokio::test]
    async fn missing_descriptors_are_an_error() {
        let (mut old, mut new) = pair();
        let uses = vec![Use::DnsUdp { address: ([127, 0, 0, 1], 53).into() }];
        let message = Message::Sockets { sockets: uses, more: false, pid: 1 };
        old.say(&message, &[]).await.expect("it is taken");
        let heard = new.hear(LONGEST, SOON).await;
        assert!(matches!(heard, Err(WireError::Descriptors { announced: 1, arrived: 0 })), "{heard:?}");
    }

    #[tokio::test]
    async fn a_large_memory_arrives_whole() {
        let (mut old, mut new) = pair();
        let memory = "x".repeat(LONGEST_MEMORY - 100).into();
        let message = Message::Released { memory, tells_turns: true, since_reload: None };
        let (said, heard) = tokio::join!(old.say(&message, &[]), new.hear(LONGEST_MEMORY, SOON));
        said.expect("it is taken");
        assert!(heard.expect("it was said").0 == message);
        old.say(&Message::Turns { turns: "x".repeat(LONGEST).into() }, &[]).await.ok();
        drop(old);
        assert!(matches!(new.hear(LONGEST, SOON).await, Err(WireError::TooLong(_))));
    }

    #[tokio::test]
    async fn whoever_goes_in_the_middle_or_keeps_silent_is_noticed() {
        for octets in [&[][..], &[0, 0], &[0, 0, 0, 9], &[0, 0, 0, 9, b'{']] {
            let (mut old, mut new) = pair();
            old.0.write_all(octets).await.expect("it is taken");
            let heard = new.hear(LONGEST, Duration::from_millis(1)).await;
            assert!(matches!(heard, Err(WireError::TimedOut)), "{octets:?}: {heard:?}");
            let (mut old, mut new) = pair();
            old.0.write_all(octets).await.expect("it is taken");
            drop(old);
            let heard = new.hear(LONGEST, SOON).await;
            assert!(matches!(heard, Err(WireError::Closed)), "{octets:?}: {heard:?}");
        }
    }
}
