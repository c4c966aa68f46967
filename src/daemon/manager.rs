//! What the service manager is told, as sd_notify(3) has it: that DNS is answered, that all of the daemon is
//! alive, and what became of a reload. Without a service manager, nothing is told to nobody.

use std::convert::Infallible;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::MissedTickBehavior;

use super::vitals::{Pulse, Vitals};

/// How often the daemon looks at itself within the time that the service manager allows between two signs
/// of life. Once would be too late at the least delay; of four, three may fail.
const LOOKS: u32 = 4;

/// A look that is shorter than an idle UDP worker sleeps would find it stuck: it sleeps for 100 ms.
const SHORTEST_LOOK: Duration = Duration::from_millis(250);

/// How often the status line is made anew where no sign of life is asked for: as often as somebody would
/// look.
const STATUS_PERIOD: Duration = Duration::from_secs(5);

/// A service manager that does not read must not keep the daemon from anything, its stop least of all.
const PATIENCE: Duration = Duration::from_secs(1);

/// How much of a refused file's first mistake goes into the status line, which is one line of a terminal
/// or two.
const REFUSAL_LENGTH: usize = 160;

/// The service manager that has started this process, if one has.
pub(super) struct Manager {
    is_there: bool,
    /// Between two signs of life, at most.
    watchdog: Option<Duration>,
}

impl Manager {
    /// The one that `NOTIFY_SOCKET` and `WATCHDOG_USEC` tell of.
    ///
    /// `WATCHDOG_PID` is passed over: a process that took over from the one that was started, or that a
    /// wrapper started, has another number and is watched over all the same.
    pub(super) fn of_environment() -> Self {
        let microseconds = std::env::var("WATCHDOG_USEC").ok().and_then(|said| said.parse().ok());
        Manager {
            is_there: std::env::var_os("NOTIFY_SOCKET").is_some(),
            watchdog: microseconds.filter(|said| *said > 0).map(Duration::from_micros),
        }
    }

    /// The first round of lookups and probes has begun.
    pub(super) async fn starting(&self) {
        self.tell(vec![Said::Status("the first round of lookups and probes".to_owned())]).await;
    }

    /// DNS is answered, or a reload has ended, whatever came of it.
    pub(super) async fn ready(&self, vitals: &Vitals) {
        if self.is_there {
            let pulse = vitals.pulse(PATIENCE).await;
            let status = pulse.as_ref().map(status);
            self.tell(std::iter::once(Said::Ready).chain(status.map(Said::Status)).collect()).await;
        }
    }

    /// A reload that the service manager has asked for has begun.
    pub(super) async fn reloading(&self) {
        self.tell(vec![Said::Reloading, Said::Status("reloading".to_owned())]).await;
    }

    /// Another process is the one to watch from now on. To be said by the one that was so far: by default the
    /// service manager listens to nobody else (`NotifyAccess=main`).
    pub(super) async fn main_process(&self, pid: i32) {
        // 0: of another namespace, which the manager does not know either.
        if let Ok(pid @ 1..) = u32::try_from(pid) {
            self.tell(vec![Said::MainProcess(pid)]).await;
        }
    }

    /// What was asked is finished, and nothing else.
    pub(super) async fn stopping(&self) {
        self.tell(vec![Said::Stopping, Said::Status("finishing what was asked".to_owned())]).await;
    }

    /// Says how it all stands, and gives a sign of life as long as all that answers and decides is alive.
    pub(super) async fn watch_over(&self, vitals: &Vitals) -> Infallible {
        if !self.is_there {
            return std::future::pending().await;
        }
        let period = self.watchdog.map_or(STATUS_PERIOD, |watchdog| (watchdog / LOOKS).max(SHORTEST_LOOK));
        let mut look = vitals.look();
        let mut ticks = tokio::time::interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first one comes at once, when nobody has come round yet.
        ticks.tick().await;
        loop {
            ticks.tick().await;
            let found = look.again(period).await;
            if let Err(stuck) = &found {
                tracing::error!("no sign of life for {period:?} of {}", super::list(stuck));
            }
            self.tell(said(&found, self.watchdog.is_some())).await;
        }
    }

    /// Sends `said` as one message, or logs why that cannot be.
    async fn tell(&self, said: Vec<Said>) {
        if !self.is_there {
            return;
        }
        // To send waits while the service manager has no room, which nothing here should.
        let sent = tokio::task::spawn_blocking(move || {
            let mut states = Vec::new();
            for said in &said {
                states.extend(said.states()?);
            }
            sd_notify::notify(&states)
        });
        match tokio::time::timeout(PATIENCE, sent).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => tracing::warn!(%error, "the service manager cannot be told"),
            Ok(Err(_)) => tracing::warn!("the service manager was not told"),
            Err(_) => tracing::warn!("the service manager does not read what it is told"),
        }
    }
}

/// One thing that is told.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    Ready,
    Reloading,
    Stopping,
    Alive,
    MainProcess(u32),
    Status(String),
}

impl Said {
    /// The same as assignments.
    ///
    /// # Errors
    ///
    /// If the clock that a reload is stamped with cannot be read.
    fn states(&self) -> std::io::Result<Vec<NotifyState<'_>>> {
        Ok(match self {
            Said::Ready => vec![NotifyState::Ready],
            // With the moment, by which `Type=notify-reload` knows that it is not of an earlier one.
            Said::Reloading => vec![NotifyState::Reloading, NotifyState::monotonic_usec_now()?],
            Said::Stopping => vec![NotifyState::Stopping],
            Said::Alive => vec![NotifyState::Watchdog],
            Said::MainProcess(pid) => vec![NotifyState::MainPid(*pid)],
            Said::Status(status) => vec![NotifyState::Status(status)],
        })
    }
}

/// What is told of a look: a sign of life, if one is asked for and nothing is stuck, and how it all stands.
fn said(found: &Result<Pulse, Vec<String>>, is_watched: bool) -> Vec<Said> {
    match found {
        Ok(pulse) if is_watched => vec![Said::Alive, Said::Status(status(pulse))],
        Ok(pulse) => vec![Said::Status(status(pulse))],
        Err(stuck) => vec![Said::Status(format!("no sign of life of {}", super::list(stuck)))],
    }
}

fn status(pulse: &Pulse) -> String {
    let Pulse { summary, refusal } = pulse;
    match refusal.as_deref().map(first_line) {
        Some(mistake) => format!("{summary}; the last reload was refused: {mistake}"),
        None => summary.to_string(),
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(REFUSAL_LENGTH).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Summary;

    fn pulse(refusal: Option<&str>) -> Pulse {
        let summary = Summary { domains: 1, pools: 3, in_service: 2, watched: 6, up: 5 };
        Pulse { summary, refusal: refusal.map(str::to_owned) }
    }

    #[test]
    fn a_sign_of_life_is_given_only_if_nothing_is_stuck() {
        let status = Said::Status("1 domain, 2 of 3 pools in service, 5 of 6 addresses up".to_owned());
        assert_eq!(said(&Ok(pulse(None)), true), [Said::Alive, status.clone()]);
        assert_eq!(said(&Ok(pulse(None)), false), [status]);
        let stuck = vec!["udp-0".to_owned(), "udp-1".to_owned()];
        assert_eq!(said(&Err(stuck), true), [Said::Status("no sign of life of udp-0 udp-1".to_owned())]);
    }

    #[test]
    fn the_status_is_one_line_of_bounded_length() {
        let refusal = format!("rhumb.toml:1:1: error: {}\nrhumb.toml:2:1: error: no", "é".repeat(1000));
        let status = status(&pulse(Some(&refusal)));
        assert!(status.contains("up; the last reload was refused: rhumb.toml:1:1: error: éé"), "{status}");
        assert!(status.chars().count() < 300 && !status.contains('\n'), "{status}");
    }
}
