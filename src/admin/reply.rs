//! Answers to changes: whoever gets one notes the change, before another process goes on with the audit log.

use tokio::sync::oneshot;

use super::audit::{Audit, Unnoted};

/// What came of a change, and that it is not noted yet: to be let go of when it is.
pub type Answer<T> = oneshot::Receiver<(T, Unnoted)>;

/// The way of an answer to whoever has asked for a change.
#[derive(Debug)]
pub struct Reply<T> {
    sender: oneshot::Sender<(T, Unnoted)>,
    /// `None`: whoever has asked notes nothing.
    audit: Option<Audit>,
}

impl<T> Reply<T> {
    /// To somebody who notes it in `audit`.
    pub(super) fn noted(audit: &Audit) -> (Self, Answer<T>) {
        Reply::new(Some(audit.clone()))
    }

    /// To somebody for whom it is noted elsewhere, or nowhere.
    pub fn unnoted() -> (Self, Answer<T>) {
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
        let unnoted = self.audit.map(|audit| audit.is_to_note()).unwrap_or_default();
        self.sender.send((answer, unnoted)).map_err(|(answer, _)| answer)
    }

    /// Whether nobody waits for it any more.
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}
