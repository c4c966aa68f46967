//! Edits of a configuration while it is in force: laid over the file, which stays the operator's.
//!
//! A [`Document`] is the text of a file in which single objects are changed, everything else staying
//! as it is written. [`Desired`] is a file with the edits that stand over it, and the plan that
//! follows: edited text takes the same road as any other. So what is exported is what is in force.

mod change;
mod desired;
mod document;
mod draft;
mod locate;
mod object;
mod refusal;
#[cfg(test)]
mod tests;
mod tree;

pub use change::{Change, Edit, Stamp};
pub use desired::{Desired, Outcome, Specified, Standing};
pub use document::{Document, Misfit};
pub use draft::Draft;
pub use object::{Object, UnknownObject};
pub use refusal::Refusal;
