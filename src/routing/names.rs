//! One hash table over every name of every zone.

use prefetch_index::prefetch_index;

use crate::dns::{Name, NameBuffer, hash_name};

/// A name that exists: it has records, is steered, or has something below it (an empty
/// non-terminal, RFC 4592 section 2.2.2).
///
/// One cache line, and the name itself in it unless it is long: a look-up that hits reads a slot
/// and a node.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(super) struct Node {
    name: NodeName,
    name_length: u8,
    /// How many static RRsets it has.
    rrset_count: u16,
    /// Where they start in the table's list.
    rrsets_start: u32,
    /// The zone that it belongs to.
    pub(super) zone: u32,
    /// The first of the [`Edges`](super::edges::Edges) of the domain that steers it, or [`NONE`].
    pub(super) edge: u32,
    /// The domain's steering in the world's list.
    pub(super) steering: u32,
    /// The domain's TTL in seconds.
    pub(super) ttl: u32,
    /// The node of `*` below it, or [`NONE`].
    pub(super) wildcard: u32,
    /// The node of the delegation at or above it, or [`NONE`].
    pub(super) cut: u32,
}

/// Octets of a name that a node has room for, root label included.
const INLINE_NAME: usize = 31;

#[derive(Clone, Copy, Debug)]
enum NodeName {
    Here([u8; INLINE_NAME]),
    /// In [`NameIndex::octets`], from here.
    There(u32),
}

const _: () = assert!(size_of::<Node>() == 64);

impl Node {
    /// Whether it has static RRsets.
    pub(super) fn has_rrsets(&self) -> bool {
        self.rrset_count > 0
    }

    /// Its static RRsets in the table's list.
    pub(super) fn rrsets(&self) -> std::ops::Range<usize> {
        let start = self.rrsets_start as usize;
        start..start + usize::from(self.rrset_count)
    }

    /// Enters one more RRset, the `at`th of the table's list; those of a node are side by side.
    pub(super) fn add_rrset(&mut self, at: usize) {
        if self.rrset_count == 0 {
            self.rrsets_start = at as u32;
        }
        self.rrset_count += 1;
    }
}

/// No such node or edge.
pub(super) const NONE: u32 = u32::MAX;

/// What a name turned out to be (RFC 1034 section 4.3.2, RFC 4592 section 3.3.1).
#[derive(Debug)]
pub(super) enum Found<'t> {
    /// In no zone.
    Nowhere,
    /// It exists.
    Exact(&'t Node),
    /// It does not, but its closest encloser has a wildcard: this one.
    Wildcard(&'t Node),
    /// It does not exist below this closest encloser, whose name starts at this label.
    Missing(&'t Node, usize),
    /// It stands at or below this delegation; true: at it.
    Delegated(&'t Node, bool),
}

/// Every name, by hash. Open addressing with linear probing: a hit costs one slot, one node and
/// one comparison, whatever the number of zones.
pub(super) struct NameIndex {
    slots: Vec<Slot>,
    nodes: Vec<Node>,
    /// The wire forms of the names that are too long for their nodes, one behind the other.
    octets: Vec<u8>,
    /// The most labels that any name has: what is longer cannot exist, and is not looked for
    /// label by label.
    max_labels: usize,
}

#[derive(Clone, Copy)]
struct Slot {
    /// The upper half of the hash, so that most mismatches end here.
    tag: u32,
    node: u32,
}

const EMPTY: Slot = Slot { tag: 0, node: NONE };

/// A quarter full at the most: most names are in the first slot that is looked at. At half full it is the second for
/// many, which no processor foresees: 2 of 88 ns for each answer, 5 of 69 where the name is missing.
const SLOTS_EACH: usize = 4;

/// With so many names it begins to pay that memory is looked at ahead: with 3,000 a look ahead costs a hundredth of an
/// answer and gains nothing, with 30,000 it saves a twentieth, with 1,000,000 an eighth (bench/README.md).
const CACHED_NAMES: usize = 10_000;

impl NameIndex {
    /// An index without names, with room for as many.
    pub(super) fn with_room(names: usize) -> Self {
        let slots = vec![EMPTY; ((names + 1) * SLOTS_EACH).next_power_of_two()];
        NameIndex { slots, nodes: Vec::with_capacity(names), octets: Vec::new(), max_labels: 0 }
    }

    /// The number of `name`'s node, which is made if there is none.
    pub(super) fn insert(&mut self, name: &Name, zone: u32) -> u32 {
        if (self.nodes.len() + 1) * SLOTS_EACH > self.slots.len() {
            self.grow();
        }
        let hash = hash_name(name.wire());
        let slot = match self.probe(hash, name.wire()) {
            Ok(node) => return node,
            Err(slot) => slot,
        };
        // Fewer than 2^32 names: their octets alone would take more memory than there is.
        let node = self.nodes.len() as u32;
        self.slots[slot] = Slot { tag: tag(hash), node };
        let wire = name.wire();
        let mut here = [0; INLINE_NAME];
        let place = if let Some(room) = here.get_mut(..wire.len()) {
            room.copy_from_slice(wire);
            NodeName::Here(here)
        } else {
            let start = self.octets.len() as u32;
            self.octets.extend_from_slice(wire);
            NodeName::There(start)
        };
        self.nodes.push(Node {
            name: place,
            name_length: wire.len() as u8,
            rrset_count: 0,
            rrsets_start: 0,
            zone,
            edge: NONE,
            steering: NONE,
            ttl: 0,
            wildcard: NONE,
            cut: NONE,
        });
        self.max_labels = self.max_labels.max(name.label_count());
        node
    }

    /// The node of exactly this wire form.
    pub(super) fn exact(&self, wire: &[u8]) -> Option<u32> {
        self.probe(hash_name(wire), wire).ok()
    }

    /// The node of exactly this wire form or, where there is none, of the wildcard that stands for
    /// it, delegations left aside: glue may come from either.
    pub(super) fn exact_or_wildcard(&self, wire: &[u8]) -> Option<u32> {
        if let Some(node) = self.exact(wire) {
            return Some(node);
        }
        let mut name = wire;
        while let Some(&length) = name.first().filter(|&&length| length > 0) {
            name = &name[1 + usize::from(length)..];
            if let Some(encloser) = self.exact(name) {
                return Some(self.node(encloser).wildcard).filter(|&node| node != NONE);
            }
        }
        None
    }

    /// The node with this number.
    pub(super) fn node(&self, node: u32) -> &Node {
        &self.nodes[node as usize]
    }

    /// The number of one of this index's nodes.
    pub(super) fn number(&self, node: &Node) -> u32 {
        let octets = std::ptr::from_ref(node).addr().wrapping_sub(self.nodes.as_ptr().addr());
        (octets / size_of::<Node>()) as u32
    }

    /// The node with this number, to be filled in.
    pub(super) fn node_mut(&mut self, node: u32) -> &mut Node {
        &mut self.nodes[node as usize]
    }

    /// How many nodes there are.
    pub(super) fn len(&self) -> u32 {
        self.nodes.len() as u32
    }

    /// A node's name in wire form.
    pub(super) fn name_of<'n>(&'n self, node: &'n Node) -> &'n [u8] {
        let length = usize::from(node.name_length);
        match &node.name {
            NodeName::Here(octets) => &octets[..length],
            NodeName::There(start) => &self.octets[*start as usize..][..length],
        }
    }

    /// Has the slot fetched from memory where [`find`](Self::find) is going to look for `name`, without waiting for it.
    #[inline(always)]
    pub(super) fn fetch(&self, name: &NameBuffer) {
        prefetch_index(&self.slots, name.hash() as usize & (self.slots.len() - 1));
    }

    /// Whether a look-up finds what it reads in the caches of a processor, most of the time.
    pub(super) fn fits_in_caches(&self) -> bool {
        self.nodes.len() < CACHED_NAMES
    }

    /// Has the slots fetched from memory, and then the nodes, where [`find`](Self::find) is going to look for names with
    /// these hashes: for all of them side by side, though a node is known only once its slot is there.
    pub(super) fn fetch_each(&self, hashes: &[u64]) {
        let mask = self.slots.len() - 1;
        for &hash in hashes {
            prefetch_index(&self.slots, hash as usize & mask);
        }
        for &hash in hashes {
            let slot = self.slots[hash as usize & mask];
            // Another's node need not be looked at.
            if slot.tag == tag(hash) {
                prefetch_index(&self.nodes, slot.node as usize);
            }
        }
    }

    /// What `name` is.
    #[inline(always)]
    pub(super) fn find(&self, name: &NameBuffer) -> Found<'_> {
        if let Ok(node) = self.probe(name.hash(), name.wire()) {
            let node = self.node(node);
            if node.cut == NONE {
                return Found::Exact(node);
            }
            let cut = self.node(node.cut);
            return Found::Delegated(cut, std::ptr::eq(cut, node));
        }
        self.find_above(name)
    }

    /// What `name` is, which does not exist itself.
    fn find_above(&self, name: &NameBuffer) -> Found<'_> {
        let labels = name.label_count();
        // A name of more labels than any has cannot be met before as many are left out.
        for label in labels.saturating_sub(self.max_labels).max(1)..=labels {
            let wire = name.suffix(label);
            let Ok(node) = self.probe(hash_name(wire), wire) else {
                continue;
            };
            let node = self.node(node);
            if node.cut != NONE {
                return Found::Delegated(self.node(node.cut), false);
            }
            if node.wildcard != NONE {
                return Found::Wildcard(self.node(node.wildcard));
            }
            return Found::Missing(node, label);
        }
        Found::Nowhere
    }

    /// The node of this name, or the slot where it would go.
    #[inline(always)]
    fn probe(&self, hash: u64, wire: &[u8]) -> Result<u32, usize> {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot.node == NONE {
                return Err(at);
            }
            if slot.tag == tag(hash) && self.name_of(self.node(slot.node)) == wire {
                return Ok(slot.node);
            }
            at = (at + 1) & mask;
        }
    }

    fn grow(&mut self) {
        let mut slots = vec![EMPTY; self.slots.len() * 2];
        let mask = slots.len() - 1;
        for (number, node) in (0..).zip(&self.nodes) {
            let hash = hash_name(self.name_of(node));
            let mut at = hash as usize & mask;
            while slots[at].node != NONE {
                at = (at + 1) & mask;
            }
            slots[at] = Slot { tag: tag(hash), node: number };
        }
        self.slots = slots;
    }
}

fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(text: &str) -> NameBuffer {
        let mut buffer = NameBuffer::root();
        buffer.set(text.parse::<Name>().expect("a name").wire());
        buffer
    }

    #[test]
    fn every_name_entered_is_found_and_no_other() {
        let mut index = NameIndex::with_room(0);
        let names: Vec<Name> =
            (0..10_000).map(|n| format!("www{n}.site{}.example", n % 97).parse().expect("a name")).collect();
        let nodes: Vec<u32> = names.iter().map(|name| index.insert(name, 0)).collect();
        for (name, node) in names.iter().zip(nodes) {
            assert_eq!(index.exact(name.wire()), Some(node));
            assert_eq!(index.number(index.node(node)), node);
            assert_eq!(index.insert(name, 0), node, "entered once");
        }
        assert_eq!(index.exact(b"\x05www-1\x05site0\x07example\0"), None);
        assert_eq!(index.len(), 10_000);
        assert!(!index.fits_in_caches());
    }

    #[test]
    fn a_name_far_deeper_than_any_is_looked_for_from_where_it_can_exist() {
        let mut index = NameIndex::with_room(0);
        index.insert(&"example".parse().expect("a name"), 0);
        let deep = buffer(&["a"; 120].join("."));
        assert!(matches!(index.find(&deep), Found::Nowhere));
        let below = buffer(&format!("{}.example", ["a"; 100].join(".")));
        assert!(matches!(index.find(&below), Found::Missing(_, 100)));
    }
}
