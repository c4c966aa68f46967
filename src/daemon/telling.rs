//! How much the daemon tells of itself, as the configuration has it and as it was told by API.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

use super::control_loop::{now, until};
use super::query_log::{destination, filter};
use crate::admin::{self, LogState, LogWanted, QueryLogState};
use crate::config::{LogSettings, QueryLogFormat, QueryLogSettings, QueryLogTarget, Settings};
use crate::telemetry::query_log::{Health, QueryLog};
use crate::telemetry::{LogFilter, Traces, directives_of_environment};

/// No span of time that makes sense is as long, and any instant has room for it.
const FAR: Duration = Duration::from_secs(10 * 365 * 86_400);

/// What tells, and what it is to tell.
#[derive(Clone)]
pub(super) struct Telling {
    state: Arc<Mutex<State>>,
    /// Something has changed of when what was told by API is over.
    changed: Arc<Notify>,
    filter: LogFilter,
    queries: QueryLog,
    /// Who is told of the steps of the control path.
    pub(super) traces: Traces,
}

struct State {
    log: LogSettings,
    /// `RUST_LOG`, which goes over the configuration.
    environment: Option<String>,
    query_log: Option<QueryLogSettings>,
    log_over: Option<Passing<LogWanted>>,
    sample_over: Option<Passing<f32>>,
}

/// What was told by API.
struct Passing<T> {
    wanted: T,
    until: Option<Instant>,
}

impl<T> Passing<T> {
    fn new(wanted: T, lasts: Option<Duration>) -> Self {
        Passing { wanted, until: lasts.map(|lasts| now() + lasts.min(FAR)) }
    }

    fn seconds_left(&self) -> Option<f64> {
        self.until.map(|until| until.saturating_duration_since(now()).as_secs_f64())
    }

    fn is_over(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

impl State {
    /// The level and the filter that are in force; no level: the filter says all of it.
    fn log(&self) -> (Option<&'static str>, String) {
        let of_file = || (self.log.level.word(), self.log.filter.clone());
        match (&self.log_over, &self.environment) {
            (Some(Passing { wanted: LogWanted { level, filter }, .. }), _) => {
                let (of_level, of_filter) = of_file();
                (Some(level.map_or(of_level, |level| level.word())), filter.clone().unwrap_or(of_filter))
            }
            (None, Some(directives)) => (None, directives.clone()),
            (None, None) => {
                let (level, filter) = of_file();
                (Some(level), filter)
            }
        }
    }

    fn directives(&self) -> String {
        match self.log() {
            (Some(level), filter) if filter.is_empty() => level.to_owned(),
            (Some(level), filter) => format!("{level},{filter}"),
            (None, filter) => filter,
        }
    }

    fn sample(&self) -> f32 {
        let Some(settings) = &self.query_log else { return 0.0 };
        self.sample_over.as_ref().map_or(settings.sample, |over| over.wanted)
    }
}

impl Telling {
    /// Begins to tell what `settings` say.
    pub(super) fn new(settings: &Settings, filter: LogFilter, queries: QueryLog, traces: Traces) -> Self {
        let state = State {
            log: settings.log.clone(),
            environment: directives_of_environment(),
            query_log: None,
            log_over: None,
            sample_over: None,
        };
        let telling =
            Telling { state: Arc::new(Mutex::new(state)), changed: Arc::default(), filter, queries, traces };
        telling.configure(settings);
        telling
    }

    /// Tells what `settings` say from now on, where nothing else was told by API; a file that was
    /// moved away is opened anew. Returns whether they say something else than before.
    pub(super) fn configure(&self, settings: &Settings) -> bool {
        let mut state = self.lock();
        // What else there is of the log only a restart changes.
        let said = |log: &LogSettings| (log.level, log.filter.clone());
        let has_changed = said(&state.log) != said(&settings.log) || state.query_log != settings.query_log;
        state.log = settings.log.clone();
        state.query_log = settings.query_log.clone();
        self.queries.filter(state.query_log.as_ref().map(filter).unwrap_or_default());
        self.queries.direct(state.query_log.as_ref().map(destination));
        self.carry_out(&state);
        has_changed
    }

    /// Leaves the path of the query log to another process, or has it back.
    pub(super) fn leave_path(&self, is_left: bool) {
        self.queries.stay(is_left);
    }

    /// What a start logs before anything can be changed.
    pub(super) fn first_directives(settings: &LogSettings) -> String {
        directives_of_environment().unwrap_or_else(|| match &settings.filter[..] {
            "" => settings.level.word().to_owned(),
            filter => format!("{},{filter}", settings.level.word()),
        })
    }

    /// Takes back what was told by API when it is over, until `stopped`.
    pub(super) async fn run(self, mut stopped: watch::Receiver<bool>) {
        loop {
            let due = self.due();
            tokio::select! {
                () = until(due) => self.expire(),
                () = self.changed.notified() => {}
                _ = stopped.wait_for(|stopped| *stopped) => return,
            }
        }
    }

    fn due(&self) -> Option<Instant> {
        let state = self.lock();
        let of_log = state.log_over.as_ref().and_then(|over| over.until);
        let of_sample = state.sample_over.as_ref().and_then(|over| over.until);
        of_log.into_iter().chain(of_sample).min()
    }

    fn expire(&self) {
        let (mut state, now) = (self.lock(), now());
        state.log_over = state.log_over.take().filter(|over| !over.is_over(now));
        state.sample_over = state.sample_over.take().filter(|over| !over.is_over(now));
        self.carry_out(&state);
        drop(state);
        tracing::info!("what was told by API of the logs is over");
    }

    fn carry_out(&self, state: &State) {
        self.filter.set(&state.directives());
        self.queries.sample(state.sample());
    }

    /// Makes another state of the state, and what follows from it.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        self.carry_out(&state);
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change of it is whole at once.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl admin::Telling for Telling {
    fn log(&self) -> LogState {
        let state = self.lock();
        let (level, filter) = state.log();
        let seconds_left = state.log_over.as_ref().and_then(Passing::seconds_left);
        LogState { level, filter, passing: state.log_over.is_some(), seconds_left }
    }

    fn set_log(&self, wanted: LogWanted, lasts: Option<Duration>) {
        self.change(|state| state.log_over = Some(Passing::new(wanted, lasts)));
    }

    fn reset_log(&self) {
        self.change(|state| state.log_over = None);
    }

    fn query_log(&self) -> QueryLogState {
        let state = self.lock();
        let Health { written, dropped, filtered, problem } = self.queries.health();
        let (file, socket) = match state.query_log.as_ref().map(|settings| &settings.target) {
            Some(QueryLogTarget::File(path)) => (Some(path.clone()), None),
            Some(QueryLogTarget::Socket(path)) => (None, Some(path.clone())),
            None => (None, None),
        };
        let (rcodes, zones) =
            state.query_log.as_ref().map_or((&[][..], &[][..]), |log| (&log.rcodes, &log.zones));
        QueryLogState {
            format: state.query_log.as_ref().map(|settings| match settings.format {
                QueryLogFormat::Json => "json",
                QueryLogFormat::Dnstap => "dnstap",
            }),
            file,
            socket,
            sample: state.sample(),
            passing: state.sample_over.is_some(),
            seconds_left: state.sample_over.as_ref().and_then(Passing::seconds_left),
            rcodes: rcodes.iter().map(|rcode| rcode.mnemonic()).collect(),
            zones: zones.iter().map(ToString::to_string).collect(),
            written,
            dropped,
            filtered,
            problem,
        }
    }

    fn sample(&self, share: f32, lasts: Option<Duration>) -> bool {
        let mut has_log = false;
        self.change(|state| {
            has_log = state.query_log.is_some();
            if has_log {
                state.sample_over = Some(Passing::new(share, lasts));
            }
        });
        has_log
    }

    fn reset_query_log(&self) {
        self.change(|state| state.sample_over = None);
    }
}
