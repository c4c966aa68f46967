//! From an answering thread to the writer: a ring of octets with one writer and one reader.
//!
//! A record is a head of fixed length, the query and the reply. It goes in whole or not at all: the
//! reader never sees a part of one, and whoever answers never waits for the reader.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, Cache};
use rtrb::{Consumer, Producer, RingBuffer};

use super::filter::Filter;
use crate::routing::{Client, Counter, Transport};

/// Octets of a ring. A record has some 300, and the writer comes by every 10 ms: this is what a
/// worker that answers 100,000 queries a second fills in 140 ms, in which the writer may be kept
/// from running, or its disk busy. Memory that is never written to is never taken.
const RING: usize = 4 << 20;

/// Octets of a record's head: the lengths of query and reply, what `flags` says, the client's port and address,
/// seconds and nanoseconds, the server's port and address.
const HEAD: usize = 2 + 2 + 1 + 2 + 16 + 8 + 4 + 2 + 16;

/// Where the parts of it are that follow the lengths.
const FLAGS: usize = 4;
const CLIENT: usize = 5;
const TIME: usize = 23;
const LOCAL: usize = 35;

/// The client has asked by TCP.
const IS_TCP: u8 = 1;
/// The client's address is one of IPv4, the server's is. It has to be told: a client of a socket of IPv6 may have a
/// mapped address as well.
const IS_V4: [u8; 2] = [2, 4];
/// The server's address is known.
const HAS_LOCAL: u8 = 8;

/// What stands for every query in [`Share`].
const ALL: f64 = 4_294_967_296.0;

/// Which share of the queries is recorded, as all recorders see it.
#[derive(Debug, Default)]
pub(super) struct Share(AtomicU64);

impl Share {
    /// Sets it, from 0 to 1.
    pub(super) fn set(&self, share: f64) {
        // More than nothing stays more than nothing.
        let threshold = (share.clamp(0.0, 1.0) * ALL).ceil() as u64;
        self.0.store(threshold, Ordering::Relaxed);
    }

    /// Whether no query is recorded.
    pub(super) fn is_none(&self) -> bool {
        self.threshold() == 0
    }

    /// Out of 2^32 queries, how many are recorded.
    fn threshold(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What is recorded, as all recorders see it.
#[derive(Clone, Default)]
pub(super) struct Choice {
    pub(super) share: Arc<Share>,
    pub(super) filter: Arc<ArcSwap<Filter>>,
}

/// What was not recorded by one recorder, which alone writes to it.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Missed {
    /// Had no room.
    pub(super) lost: Counter,
    /// Was not wanted by the filter.
    pub(super) filtered: Counter,
}

/// The end of a ring at which one thread, or one seat, puts in what it has answered.
///
/// It allocates nothing, locks nothing and waits for nothing.
pub struct Recorder {
    ring: Producer<u8>,
    share: Arc<Share>,
    /// What was last seen of it.
    threshold: u64,
    filters: Cache<Arc<ArcSwap<Filter>>, Arc<Filter>>,
    /// The one that was last seen there.
    filter: Arc<Filter>,
    /// Whether there is something that it does not want.
    is_filtered: bool,
    now: Duration,
    random: fastrand::Rng,
    missed: Arc<Missed>,
}

/// The other end, which the writer empties.
pub(super) struct Ring {
    octets: Consumer<u8>,
    record: Vec<u8>,
}

/// A query and what was sent back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record<'r> {
    /// Since the beginning of 1970.
    pub(super) time: Duration,
    pub(super) client: SocketAddr,
    /// The address of the server that was asked; `None`: it is not known.
    pub(super) local: Option<SocketAddr>,
    pub(super) transport: Transport,
    pub(super) query: &'r [u8],
    /// Empty: nothing was sent.
    pub(super) reply: &'r [u8],
}

/// Both ends of a new ring.
pub(super) fn ring(choice: Choice, missed: Arc<Missed>) -> (Recorder, Ring) {
    let (producer, consumer) = RingBuffer::new(RING);
    let mut filters = Cache::new(choice.filter);
    let filter = Arc::clone(filters.load());
    let recorder = Recorder {
        ring: producer,
        share: choice.share,
        threshold: 0,
        is_filtered: !filter.wants_all(),
        filters,
        filter,
        now: Duration::ZERO,
        random: fastrand::Rng::new(),
        missed,
    };
    (recorder, Ring { octets: consumer, record: Vec::new() })
}

impl Recorder {
    /// Tells the time, since the beginning of 1970, of what is recorded until it is told again.
    /// Returns whether anything will be.
    pub fn tick(&mut self, now: Duration) -> bool {
        self.now = now;
        self.threshold = self.share.threshold();
        let filter = self.filters.load();
        if !Arc::ptr_eq(filter, &self.filter) {
            self.filter = Arc::clone(filter);
            self.is_filtered = !filter.wants_all();
        }
        self.threshold > 0
    }

    /// Records a query from `port` of `client` to `local`, as far as that is known, and its reply, which is empty if
    /// there was none, if they are of those that are sampled, are wanted and there is room. The lot is cast first: it
    /// costs less than to look.
    pub fn record(
        &mut self,
        client: Client,
        port: u16,
        local: Option<SocketAddr>,
        query: &[u8],
        reply: &[u8],
    ) {
        if u64::from(self.random.u32(..)) >= self.threshold {
            return;
        }
        if self.is_filtered && !self.filter.wants(query, reply) {
            self.missed.filtered.add(1);
            return;
        }
        // A message has at most 65,535 octets, over any transport.
        let (Ok(query_length), Ok(reply_length)) = (u16::try_from(query.len()), u16::try_from(reply.len()))
        else {
            return;
        };
        let Ok(mut room) = self.ring.write_chunk(HEAD + query.len() + reply.len()) else {
            self.missed.lost.add(1);
            return;
        };
        let head = head(self.now, client, port, local, [query_length, reply_length]);
        let (first, second) = room.as_mut_slices();
        let mut at = 0;
        for part in [&head[..], query, reply] {
            put(first, second, at, part);
            at += part.len();
        }
        room.commit_all();
    }
}

/// Writes `part` at `at` of what `first` and `second` are together.
fn put(first: &mut [u8], second: &mut [u8], at: usize, part: &[u8]) {
    let split = first.len().saturating_sub(at).min(part.len());
    if split > 0 {
        first[at..at + split].copy_from_slice(&part[..split]);
    }
    if split < part.len() {
        let at = at + split - first.len();
        second[at..at + part.len() - split].copy_from_slice(&part[split..]);
    }
}

fn head(
    now: Duration,
    client: Client,
    port: u16,
    local: Option<SocketAddr>,
    [query, reply]: [u16; 2],
) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    head[..2].copy_from_slice(&query.to_le_bytes());
    head[2..4].copy_from_slice(&reply.to_le_bytes());
    let ends = [(CLIENT, Some(SocketAddr::new(client.address, port))), (LOCAL, local)];
    for ((at, end), is_v4) in ends.into_iter().zip(IS_V4) {
        let Some(end) = end else { continue };
        let address = match end.ip() {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        head[at..at + 2].copy_from_slice(&end.port().to_le_bytes());
        head[at + 2..at + 18].copy_from_slice(&address.octets());
        head[FLAGS] |= if end.is_ipv4() { is_v4 } else { 0 };
    }
    head[FLAGS] |= if client.transport == Transport::Tcp { IS_TCP } else { 0 };
    head[FLAGS] |= if local.is_some() { HAS_LOCAL } else { 0 };
    head[TIME..TIME + 8].copy_from_slice(&now.as_secs().to_le_bytes());
    head[TIME + 8..LOCAL].copy_from_slice(&now.subsec_nanos().to_le_bytes());
    head
}

/// The port and the address at `at` of a record.
fn end(record: &[u8], at: usize, is_v4: bool) -> Option<SocketAddr> {
    let port = u16::from_le_bytes(*record.get(at..)?.first_chunk()?);
    let address: [u8; 16] = *record.get(at + 2..)?.first_chunk()?;
    let address = Ipv6Addr::from(address);
    let address = match address.to_ipv4_mapped() {
        Some(v4) if is_v4 => IpAddr::V4(v4),
        _ => IpAddr::V6(address),
    };
    Some(SocketAddr::new(address, port))
}

impl Ring {
    /// Takes the oldest record out; `None`: there is none.
    pub(super) fn take(&mut self) -> Option<Record<'_>> {
        let Ring { octets, record } = self;
        let mut head = [0; HEAD];
        let (first, second) =
            octets.read_chunk(HEAD).ok().map(|chunk| copied(chunk.as_slices(), &mut head))?;
        debug_assert_eq!(first + second, HEAD);
        let length = |at: usize| usize::from(u16::from_le_bytes([head[at], head[at + 1]]));
        let (query, reply) = (length(0), length(2));
        let chunk = octets.read_chunk(HEAD + query + reply).ok()?;
        record.resize(HEAD + query + reply, 0);
        copied(chunk.as_slices(), record);
        chunk.commit_all();
        let flags = record[FLAGS];
        let [of_client, of_local] = IS_V4.map(|is_v4| flags & is_v4 != 0);
        let client = end(record, CLIENT, of_client)?;
        let local = if flags & HAS_LOCAL != 0 { end(record, LOCAL, of_local) } else { None };
        let seconds = u64::from_le_bytes(*record[TIME..].first_chunk()?);
        let nanoseconds = u32::from_le_bytes(*record[TIME + 8..].first_chunk()?);
        let (query, reply) = record[HEAD..].split_at(query);
        Some(Record {
            time: Duration::new(seconds, nanoseconds),
            client,
            local,
            transport: if flags & IS_TCP != 0 { Transport::Tcp } else { Transport::Udp },
            query,
            reply,
        })
    }

    /// Whether there is nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }

    /// Whether nothing will ever be put into it again.
    pub(super) fn is_over(&self) -> bool {
        self.octets.is_abandoned() && self.octets.is_empty()
    }
}

/// Copies two slices into one of their length, and returns their lengths.
fn copied((first, second): (&[u8], &[u8]), to: &mut [u8]) -> (usize, usize) {
    let (start, end) = to.split_at_mut(first.len());
    start.copy_from_slice(first);
    end.copy_from_slice(second);
    (first.len(), second.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKING: Client = Client { address: IpAddr::V6(Ipv6Addr::LOCALHOST), transport: Transport::Udp };

    fn both(share: f64) -> (Recorder, Ring, Arc<Missed>) {
        let (choice, missed) = (Choice::default(), Arc::<Missed>::default());
        choice.share.set(share);
        let (recorder, ring) = ring(choice, Arc::clone(&missed));
        (recorder, ring, missed)
    }

    #[test]
    fn what_comes_out_is_what_went_in() {
        let (mut recorder, mut ring, missed) = both(1.0);
        let mut random = fastrand::Rng::with_seed(7);
        let addresses: [IpAddr; 3] =
            ["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"].map(|text| text.parse().expect("an address"));
        // Some times around the ring, so that records lie across its end in every way.
        for number in 0..12_000_u64 {
            let query: Vec<u8> = (0..random.usize(..600)).map(|_| random.u8(..)).collect();
            let reply: Vec<u8> = (0..random.usize(..1300)).map(|_| random.u8(..)).collect();
            let now = Duration::new(number, random.u32(..1_000_000_000));
            let transport = if random.bool() { Transport::Tcp } else { Transport::Udp };
            let address = addresses[random.usize(..addresses.len())];
            let port = random.u16(..);
            assert!(recorder.tick(now));
            let other = SocketAddr::new(addresses[random.usize(..addresses.len())], random.u16(..));
            let local = random.bool().then_some(other);
            recorder.record(Client { address, transport }, port, local, &query, &reply);
            let client = SocketAddr::new(address, port);
            let (query, reply) = (&query[..], &reply[..]);
            let expected = Record { time: now, client, local, transport, query, reply };
            assert_eq!(ring.take(), Some(expected));
            assert_eq!(ring.take(), None);
        }
        assert_eq!(missed.lost.read(), 0);
    }

    #[test]
    fn a_full_ring_drops_and_counts_and_keeps_what_it_has() {
        let (mut recorder, mut ring, missed) = both(1.0);
        let records = 50_000;
        recorder.tick(Duration::from_secs(1));
        for number in 0..records {
            recorder.record(ASKING, number as u16, None, &[7; 100], &[8; 200]);
        }
        let mut taken = 0;
        while let Some(record) = ring.take() {
            assert_eq!(record.client.port(), taken as u16, "the oldest are kept, in order");
            taken += 1;
        }
        assert_eq!(taken, RING / (HEAD + 300));
        assert_eq!(taken as u64 + missed.lost.read(), records);
    }

    #[test]
    fn a_share_is_that_share() {
        for share in [0.01, 0.5] {
            let (mut recorder, mut ring, missed) = both(share);
            recorder.random.seed(1);
            recorder.tick(Duration::ZERO);
            let (asked, mut taken) = (200_000, 0);
            for _ in 0..asked {
                recorder.record(ASKING, 1, None, &[], &[]);
                taken += u32::from(ring.take().is_some());
            }
            assert_eq!(missed.lost.read(), 0);
            // Five standard deviations of as many draws.
            let expected = f64::from(asked) * share;
            let deviation = (expected * (1.0 - share)).sqrt();
            let off = (f64::from(taken) - expected).abs();
            assert!(off < 5.0 * deviation, "{taken} of {asked} at {share}");
        }
    }

    #[test]
    fn what_is_not_wanted_takes_no_room_and_is_counted() {
        let (choice, missed) = (Choice::default(), Arc::<Missed>::default());
        choice.share.set(1.0);
        let (mut recorder, mut ring) = ring(choice.clone(), Arc::clone(&missed));
        let [found, missing] = [[0, 0, 0x84, 0], [0, 0, 0x84, 3]].map(|flags| [&flags[..], &[0; 8]].concat());
        choice.filter.store(Arc::new(Filter::new(&[crate::dns::Rcode::NxDomain], &[])));
        recorder.tick(Duration::ZERO);
        let unwanted = 50_000;
        for _ in 0..unwanted {
            recorder.record(ASKING, 1, None, &[0; 100], &found);
        }
        recorder.record(ASKING, 2, None, &[0; 100], &missing);
        assert_eq!(ring.take().map(|record| record.client.port()), Some(2));
        assert_eq!(ring.take(), None);
        assert_eq!((missed.filtered.read(), missed.lost.read()), (unwanted, 0));

        // It is another one with the next batch.
        choice.filter.store(Arc::default());
        recorder.record(ASKING, 3, None, &[0; 100], &found);
        assert_eq!(ring.take(), None);
        recorder.tick(Duration::ZERO);
        recorder.record(ASKING, 4, None, &[0; 100], &found);
        assert_eq!(ring.take().map(|record| record.client.port()), Some(4));
    }

    #[test]
    fn none_is_none_and_the_least_is_some() {
        let share = Share::default();
        assert!(share.is_none());
        share.set(1e-12);
        assert!(!share.is_none());
        share.set(0.0);
        assert!(share.is_none());
    }
}
