//! A look at the queries that come next, while there are others to answer.

use super::table::RoutingTable;
use crate::dns::hash_question;

/// So many queries at once are looked at: more than are received together.
const MOST: usize = 32;

/// Has what `table` knows of the names in `queries` fetched from memory, so that [`answer`](super::answer()) need not wait
/// for it, one query after the other. No answer depends on it.
///
/// Where the table fits in the processor's caches there is nothing to wait for, and nothing is done.
#[inline]
pub fn look_ahead<'q>(table: &RoutingTable, queries: impl IntoIterator<Item = &'q [u8]>) {
    let names = &table.world.names;
    if names.fits_in_caches() {
        return;
    }
    let mut hashes = [0; MOST];
    let mut count = 0;
    for hash in queries.into_iter().take(MOST).filter_map(hash_question) {
        hashes[count] = hash;
        count += 1;
    }
    names.fetch_each(&hashes[..count]);
}
