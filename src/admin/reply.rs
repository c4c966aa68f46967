//! Answers to changes: whoever gets one notes the change, before another process goes on with the audit log.

use tokio::sync::oneshot;

use super::audit::{Audit, PendingRecord};

/// What came of a change, and that it is not noted yet: to be let go of when it is.
pub type Answer<T> = oneshot::Receiver<(T, PendingRecord)>;

/// The way of an answer to whoever has asked for a change.
#[derive(Debug)]
pub struct Reply<T> {
    sender: oneshot::Sender<(T, PendingRecord)>,
    /// `None`: whoever has asked notes nothing.
    audit: Option<Audit>,
}

impl<T> Reply<T> {
    /// To somebody who notes it in `audit`.
    pub(super) fn audited(audit: &Audit) -> (Self, Answer<T>) {
        Reply::new(Some(audit.clone()))
    }

    /// To somebody for whom it is noted elsewhere, or nowhere.
    pub fn unaudited() -> (Self, Answer<T>) {
        Reply::new(None)
    }

    fn new(audit: Option<Audit>) -> (Self, Answer<T>) {
        let (sender, answer) = oneshot::channel();
        (Reply { sender, audit }, answer)
    }

    /// Answers. From here on the change is one that was made and is not noted.
    ///
    /// # Errors
    ///
    /// If nobody waits for it any more.
    pub fn send(self, answer: T) -> Result<(), T> {
        let pending = self.audit.map(|audit| audit.pending_record()).unwrap_or_default();
        self.sender.send((answer, pending)).map_err(|(answer, _)| answer)
    }

    /// Whether nobody waits for it any more.
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}
