//! Changes that were asked for while another process is taking over.

use super::REQUESTS;
use crate::admin::{ReloadTrigger, Request};

/// They wait, in the order in which they were asked for, up to a number: those who ask by API are many, and come back.
#[derive(Default)]
pub(super) struct Waiting(Vec<Request>);

impl Waiting {
    /// Has `request` wait. Where too many do, whoever has asked is told to ask again.
    pub(super) fn push(&mut self, request: Request) {
        if self.0.len() >= REQUESTS {
            self.0.retain(|request| !request.is_abandoned());
        }
        // The daemon asks itself for one at a time, and expects an answer.
        let is_own = matches!(request, Request::Reload(ReloadTrigger::Signal | ReloadTrigger::File, _));
        if is_own || self.0.len() < REQUESTS {
            self.0.push(request);
        }
    }

    /// Those for whom somebody still waits.
    pub(super) fn into_requests(self) -> impl Iterator<Item = Request> {
        self.0.into_iter().filter(|request| !request.is_abandoned())
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::admin::{Answer, Reply};

    #[test]
    fn as_many_wait_as_are_to_and_nobody_for_whom_nobody_waits() {
        let mut waiting = Waiting::default();
        let push = |waiting: &mut Waiting| {
            let (reply, answer) = Reply::unaudited();
            waiting.push(Request::Permit(reply));
            answer
        };
        let mut answers: Vec<_> = (0..REQUESTS).map(|_| push(&mut waiting)).collect();
        let is_refused =
            |answer: &mut Answer<()>| matches!(answer.try_recv(), Err(oneshot::error::TryRecvError::Closed));
        assert!(is_refused(&mut push(&mut waiting)), "there is no room");
        answers.truncate(REQUESTS / 2);
        assert!(!is_refused(&mut push(&mut waiting)), "there is room, as others have gone away");
        answers.extend((0..REQUESTS).map(|_| push(&mut waiting)));
        let (reply, _answer) = Reply::unaudited();
        waiting.push(Request::Reload(ReloadTrigger::Signal, reply));
        let waits: Vec<bool> = answers.iter_mut().map(|answer| !is_refused(answer)).collect();
        assert_eq!(waits.iter().filter(|waits| **waits).count(), REQUESTS, "each place is taken");
        drop(answers);
        assert_eq!(waiting.into_requests().count(), 1, "the signal's");
    }
}
