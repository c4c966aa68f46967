//! What lasts: edits in a journal on disk, and what is believed on a sheet beside it.
//!
//! An edit that is acknowledged outlasts the process and the machine's next crash. What is asked for
//! together is kept together, by one write and one sync. What is believed outlasts the process.

mod claim;
mod journal;
mod kept;
mod sheet;

pub use claim::{Claim, Taken};
pub use journal::{FILE as JOURNAL, JournalError};
pub use kept::{Kept, NotKept};
pub use sheet::{Sheet, SheetError};
