//! Where edits live: a journal on disk.
//!
//! What is acknowledged outlasts the process and the machine's next crash. Edits that arrive
//! together are kept together, by one write and one sync.

mod edits;
mod journal;

pub use edits::{Edit, Edits, NotKept, Subject};
pub use journal::JournalError;
