//! Where edits live: a journal on disk.
//!
//! What is acknowledged outlasts the process and the machine's next crash. What is asked for
//! together is kept together, by one write and one sync.

mod claim;
mod journal;
mod kept;

pub use claim::{Claim, Taken};
pub use journal::JournalError;
pub use kept::{Kept, NotKept};
