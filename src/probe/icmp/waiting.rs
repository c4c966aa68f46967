//! Who waits for what becomes of an echo request.

use std::collections::HashMap;
use std::net::IpAddr;

use tokio::sync::mpsc::UnboundedSender;

/// What was heard of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Reply,
    /// Somebody on the way said that it did not arrive.
    Undelivered,
}

/// Requests that nothing was heard of yet, by address and sequence number: more than these two an
/// error need not bring back.
#[derive(Default)]
pub(super) struct Waiting {
    requests: HashMap<(IpAddr, u16), Request>,
    last: u16,
}

struct Request {
    token: u64,
    tell: UnboundedSender<Heard>,
}

impl Waiting {
    /// Enters a request to `ip` and gives it its sequence number; `None`: so many are under way to
    /// that address that there is none left.
    pub(super) fn add(&mut self, ip: IpAddr, token: u64, tell: UnboundedSender<Heard>) -> Option<u16> {
        let next = self.last.wrapping_add(1);
        let mut numbers = (0..=u16::MAX).map(|further| next.wrapping_add(further));
        let sequence = numbers.find(|&sequence| !self.requests.contains_key(&(ip, sequence)))?;
        self.requests.insert((ip, sequence), Request { token, tell });
        self.last = sequence;
        Some(sequence)
    }

    /// Takes a request out, unless it is done already.
    pub(super) fn remove(&mut self, ip: IpAddr, sequence: u16, token: u64) {
        if self.requests.get(&(ip, sequence)).is_some_and(|request| request.token == token) {
            self.requests.remove(&(ip, sequence));
        }
    }

    /// A reply has come from `ip`. Without the token it is that of another request, or forged.
    pub(super) fn reply(&mut self, ip: IpAddr, sequence: u16, token: u64) {
        if self.requests.get(&(ip, sequence)).is_some_and(|request| request.token == token) {
            self.tell(ip, sequence, Heard::Reply);
        }
    }

    /// A request to `ip` has not arrived.
    pub(super) fn undelivered(&mut self, ip: IpAddr, sequence: u16) {
        self.tell(ip, sequence, Heard::Undelivered);
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    fn tell(&mut self, ip: IpAddr, sequence: u16, heard: Heard) {
        if let Some(request) = self.requests.remove(&(ip, sequence)) {
            // Whoever has given up takes its requests out, at this moment perhaps.
            let _ = request.tell.send(heard);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::unbounded_channel;

    use super::*;

    const IP: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    #[test]
    fn only_what_was_sent_there_is_a_reply() {
        let (tell, mut told) = unbounded_channel();
        let mut waiting = Waiting::default();
        let sequence = waiting.add(IP, 7, tell).expect("there are numbers");
        waiting.reply(OTHER, sequence, 7);
        waiting.reply(IP, sequence + 1, 7);
        waiting.reply(IP, sequence, 8);
        assert!(told.try_recv().is_err());
        waiting.reply(IP, sequence, 7);
        assert_eq!(told.try_recv(), Ok(Heard::Reply));
        // A second one is a duplicate.
        waiting.reply(IP, sequence, 7);
        waiting.undelivered(IP, sequence);
        assert!(told.try_recv().is_err());
    }

    #[test]
    fn an_error_is_of_one_request() {
        let (tell, mut told) = unbounded_channel();
        let mut waiting = Waiting::default();
        let sequences = [7, 8].map(|token| waiting.add(IP, token, tell.clone()).expect("there are numbers"));
        waiting.undelivered(OTHER, sequences[0]);
        waiting.undelivered(IP, sequences[1]);
        assert_eq!(told.try_recv(), Ok(Heard::Undelivered));
        assert!(told.try_recv().is_err());
        assert!(waiting.requests.contains_key(&(IP, sequences[0])));
    }

    #[test]
    fn numbers_in_use_are_passed_over() {
        let (tell, _told) = unbounded_channel();
        let mut waiting = Waiting::default();
        for token in 0..=u64::from(u16::MAX) {
            assert!(waiting.add(IP, token, tell.clone()).is_some());
        }
        assert_eq!(waiting.add(IP, 1, tell.clone()), None);
        assert!(waiting.add(OTHER, 1, tell.clone()).is_some());
        let token = waiting.requests[&(IP, 500)].token;
        waiting.remove(IP, 500, token + 1);
        assert_eq!(waiting.add(IP, 1, tell.clone()), None);
        waiting.remove(IP, 500, token);
        assert_eq!(waiting.add(IP, 1, tell), Some(500));
    }
}
