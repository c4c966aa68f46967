//! The walk through the states, with the client and the observer beside it.

use std::time::Duration;

use tokio::time::sleep;

use super::breaker::Breaker;
use super::client::Client;
use super::clock::Clock;
use super::measurement::{Measurement, Rate};
use super::recording::{Recording, Stage, spans};
use super::upstream::Upstream;
use crate::cli::Failed;
use crate::cli::loopback::Fault;

/// How often the observer asks, which is how finely the first right answer is measured: ten times
/// finer than the quickest health check, at a load that no name server notices.
const OBSERVING: Duration = Duration::from_millis(10);

/// The times of a walk.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    /// From one request to the next.
    pub(super) interval: Duration,
    /// Of each state.
    pub(super) state_duration: Duration,
}

/// Walks `breaker`'s sites through all states, telling `progress` of each as it begins.
pub(super) async fn walk(
    breaker: &mut Breaker,
    fault: Fault,
    pace: Pace,
    clock: Clock,
    client: Client,
    observer: Upstream,
    mut progress: impl FnMut(Duration, Stage),
) -> Result<Recording, Failed> {
    let rate = Rate { interval: pace.interval, observing: OBSERVING };
    let measurement = Measurement::start(client, observer, clock, rate);
    let mut begins = Vec::new();
    for stage in Stage::ALL {
        let ordered = clock.elapsed();
        match stage {
            Stage::Baseline => {}
            Stage::PreferredDown => breaker.stop(0, fault).await?,
            Stage::BothDown => breaker.stop(1, fault).await?,
            Stage::OtherBack => breaker.start(1).await?,
            Stage::PreferredBack => breaker.start(0).await?,
        }
        let began = match stage {
            // A site may be down long before the command that stops it returns.
            Stage::Baseline | Stage::PreferredDown | Stage::BothDown => ordered,
            Stage::OtherBack | Stage::PreferredBack => clock.elapsed(),
        };
        progress(began, stage);
        begins.push((stage, began));
        sleep(pace.state_duration).await;
    }
    let spans = spans(&begins, clock.elapsed());
    let (requests, lookups) = measurement.finish().await?;
    Ok(Recording { spans, requests, lookups })
}
