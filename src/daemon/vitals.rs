//! Whether everything that answers and decides is alive: each part has to do something for it.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::control::Summary;
use crate::serve::{UdpCounters, WorkerId};

/// What the control loop says when it is asked whether it lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pulse {
    /// How it all stands.
    pub(super) summary: Summary,
    /// Why the last reload was refused, unless it was not.
    pub(super) refusal: Option<String>,
}

/// Where signs of life are to be had.
pub(super) struct Vitals {
    /// The control loop replies when it comes round.
    pulses: mpsc::Sender<oneshot::Sender<Pulse>>,
    /// The thread of the probes runs whatever is started there when it comes round.
    probes: Handle,
    /// UDP workers count how often they come round, ten times a second without any queries.
    workers: Vec<(WorkerId, Arc<UdpCounters>)>,
}

impl Vitals {
    /// Signs of life of the control loop by `pulses`, of the thread behind `probes`, and of `workers`.
    pub(super) fn new(
        pulses: mpsc::Sender<oneshot::Sender<Pulse>>,
        probes: Handle,
        workers: Vec<(WorkerId, Arc<UdpCounters>)>,
    ) -> Self {
        Vitals { pulses, probes, workers }
    }

    /// What the control loop says within `patience`; `None`: nothing.
    pub(super) async fn pulse(&self, patience: Duration) -> Option<Pulse> {
        let asked = async {
            let (reply, said) = oneshot::channel();
            self.pulses.send(reply).await.ok()?;
            said.await.ok()
        };
        tokio::time::timeout(patience, asked).await.ok().flatten()
    }

    /// Begins to look.
    pub(super) fn look(&self) -> Look<'_> {
        Look { vitals: self, rounds: self.rounds().collect() }
    }

    fn rounds(&self) -> impl Iterator<Item = u64> + '_ {
        self.workers.iter().map(|(_, counters)| counters.rounds.read())
    }

    async fn probes_run(&self, patience: Duration) -> bool {
        let ran = self.probes.spawn(async {});
        matches!(tokio::time::timeout(patience, ran).await, Ok(Ok(())))
    }
}

/// What was seen of the vitals when they were last looked at.
pub(super) struct Look<'v> {
    vitals: &'v Vitals,
    rounds: Vec<u64>,
}

impl Look<'_> {
    /// Looks again. To be called when a worker has had time to come round since the last time.
    ///
    /// # Errors
    ///
    /// The names of those that give no sign of life within `patience`.
    pub(super) async fn again(&mut self, patience: Duration) -> Result<Pulse, Vec<String>> {
        let rounds: Vec<u64> = self.vitals.rounds().collect();
        let workers = self.vitals.workers.iter().map(|(id, _)| id);
        let pairs = self.rounds.iter().zip(&rounds);
        let mut stuck: Vec<String> = workers
            .zip(pairs)
            .filter(|(_, (before, now))| before == now)
            .map(|(id, _)| id.to_string())
            .collect();
        self.rounds = rounds;
        let (pulse, probes_run) = tokio::join!(self.vitals.pulse(patience), self.vitals.probes_run(patience));
        if !probes_run {
            stuck.push("probes".to_owned());
        }
        match pulse {
            Some(pulse) if stuck.is_empty() => Ok(pulse),
            Some(_) => Err(stuck),
            None => {
                stuck.push("control".to_owned());
                Err(stuck)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::sync::mpsc as std_mpsc;

    use crate::probe::ProbeThread;

    const SOON: Duration = Duration::from_secs(60);

    struct Parts {
        asked: mpsc::Receiver<oneshot::Sender<Pulse>>,
        probes: ProbeThread,
        workers: [Arc<UdpCounters>; 2],
    }

    fn parts() -> (Parts, Vitals) {
        let (pulses, asked) = mpsc::channel(1);
        let probes = ProbeThread::start().expect("threads can be had");
        let workers = [0, 1].map(|_| Arc::<UdpCounters>::default());
        let ids = [0, 1].map(|n| (WorkerId::Udp(n), workers[n].clone()));
        let vitals = Vitals::new(pulses, probes.handle(), ids.to_vec());
        (Parts { asked, probes, workers }, vitals)
    }

    impl Parts {
        fn come_round(&self, workers: &[usize]) {
            workers.iter().for_each(|n| self.workers[*n].rounds.add(1));
        }

        /// What `look` says while the control loop replies once.
        async fn while_it_replies<T>(&mut self, look: impl Future<Output = T>) -> T {
            let replied = async {
                let reply = self.asked.recv().await.expect("it asks");
                let _ = reply.send(Pulse { summary: Summary::default(), refusal: None });
            };
            tokio::join!(look, replied).0
        }
    }

    #[tokio::test]
    async fn all_have_to_come_round_between_two_looks() {
        let (mut parts, vitals) = parts();
        parts.come_round(&[0]);
        let mut look = vitals.look();
        for (came, stuck) in [
            (&[0, 1][..], &[][..]),
            (&[0], &["udp-1"]),
            (&[1], &["udp-0"]),
            (&[], &["udp-0", "udp-1"]),
            (&[0, 1, 1], &[]),
        ] {
            parts.come_round(came);
            let found = parts.while_it_replies(look.again(SOON)).await;
            assert_eq!(found.err().unwrap_or_default(), stuck, "after {came:?} came round");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_control_loop_that_does_not_reply_is_stuck() {
        let (mut parts, vitals) = parts();
        let mut look = vitals.look();
        // It is asked, and never looks: not the second time either, when the question waits already.
        for _ in 0..2 {
            parts.come_round(&[0, 1]);
            assert_eq!(vitals.pulse(SOON).await, None);
        }
        parts.asked.close();
        while parts.asked.recv().await.is_some() {}
        parts.come_round(&[0, 1]);
        let stuck = look.again(SOON).await.expect_err("nobody replies");
        assert!(stuck.contains(&"control".to_owned()), "{stuck:?}");
    }

    #[tokio::test]
    async fn probes_that_do_not_run_are_stuck() {
        let (mut parts, vitals) = parts();
        let (held, release) = std_mpsc::channel::<()>();
        let (begun, has_begun) = oneshot::channel();
        parts.probes.handle().spawn(async move {
            let _ = begun.send(());
            let _ = release.recv();
        });
        has_begun.await.expect("it runs");
        let mut look = vitals.look();
        parts.come_round(&[0, 1]);
        let found = parts.while_it_replies(look.again(Duration::from_millis(20))).await;
        assert_eq!(found, Err(vec!["probes".to_owned()]));
        drop(held);
        parts.come_round(&[0, 1]);
        let found = parts.while_it_replies(look.again(SOON)).await;
        assert!(found.is_ok(), "{found:?}");
    }
}
