//! Wires it together: start order, reload, shutdown.
//!
//! 1. Bind every socket, then give up privileges.
//! 2. Start the control loop, the resolver and the probes.
//! 3. When names are resolved and the first round of probes has ended, answer DNS: a restart never serves a dead site.
//! 4. On a stop, finish what was asked.

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::admin::{self, Audit, Feed, Insight, ReloadTrigger};
use crate::cli;
use crate::config::{Loaded, LogFormat, LogLevel, LogSettings, TcpSettings, Unfit, UnreadTokens};
use crate::control::{Controller, Event};
use crate::plan::ConditionRule;
use crate::routing::{Service, Worker};
use crate::serve::{BindError, Listeners, Serving, TableAnswerer, TcpLimits, WorkerId};
use crate::store::{Claim, JournalError, Taken};
use crate::telemetry::{self, LogGuard, Metrics};

mod access;
mod changes;
mod control_loop;
mod counted;
mod descriptors;
mod edits;
mod flow;
mod happenings;
mod manager;
mod measured;
mod privileges;
mod service;
mod unprobed;
mod vitals;
mod watching;

use access::{Door, run_admin};
use changes::{Changes, Wanted};
use control_loop::ControlLoop;
use counted::Counted;
use edits::Journal;
use flow::Counting;
use manager::Manager;
use measured::Measured;
use vitals::Vitals;
use watching::Watching;

/// How long TCP clients have to get their answers after a stop: more than a resolver waits for
/// one, less than a service manager waits before it kills (systemd: 90 s, Kubernetes: 30 s).
const DRAIN: Duration = Duration::from_secs(10);

/// How long clients of the admin API have after that. Replies take milliseconds; who is longer
/// has not asked anything, and may hold an idle connection for ever.
const ADMIN_DRAIN: Duration = Duration::from_secs(1);

/// How long the last records of the audit log may take, on a disk that works.
const AUDIT_DRAIN: Duration = Duration::from_secs(1);

/// How much longer than its slowest probe the first round may take before DNS is answered
/// without it. Nothing known should ever take as long; a resolver that has to ask around for the
/// names of pools takes a second or two.
const FIRST_ROUND_GRACE: Duration = Duration::from_secs(5);

/// Requests to the control loop that may wait; more make their senders wait.
const REQUESTS: usize = 64;

/// Why the daemon did not start, or did not go on.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// A DNS socket cannot be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The admin API cannot be served there.
    #[error("admin API: cannot listen on {0}: {1}")]
    Admin(SocketAddr, io::Error),
    /// The token file cannot be used.
    #[error("{}", match .1 {
        UnreadTokens::Unreadable(error) => format!("admin API: token file {}: {error}", .0.display()),
        UnreadTokens::Mistaken(mistakes) => format!("admin API: mistakes in the token file\n{mistakes}"),
    })]
    Tokens(PathBuf, UnreadTokens),
    /// The certificate cannot be used.
    #[error("admin API: tls: {0}")]
    Certificate(Unfit),
    /// The Unix socket cannot be had.
    #[error("admin API: socket {path}: {error}", path = .0.display(), error = .1)]
    Socket(PathBuf, io::Error),
    /// The file with the secrets of cookies cannot be used.
    #[error("cookie secret file {path}: {error}", path = .0.display(), error = .1)]
    CookieSecret(PathBuf, io::Error),
    /// Another daemon keeps its state there.
    #[error(transparent)]
    StateTaken(#[from] Taken),
    /// What was ordered of addresses cannot be read.
    #[error("edits: {0}\nhint: --ignore-edits starts without them, and puts the file aside")]
    Edits(#[from] JournalError),
    /// The user to become is missing, or this process may not become it.
    #[error("cannot become user `{0}`: {1}")]
    User(String, io::Error),
    /// The operating system refused something else.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A part of the daemon has ended on its own. Without its control loop it would answer for
    /// ever what was true at that moment; whoever watches over it should start it anew.
    #[error("a part of the daemon has ended unexpectedly; the log says which")]
    Ended,
}

/// A running daemon.
pub struct Daemon {
    dns: Vec<SocketAddr>,
    admin: SocketAddr,
    /// The directory of its state, which is nobody else's.
    claim: Option<Claim>,
    audit: Audit,
    requests: mpsc::Sender<admin::Request>,
    ready: watch::Sender<bool>,
    stop: watch::Sender<bool>,
    feed: Feed,
    tasks: JoinSet<()>,
    serving: Serving,
    vitals: Vitals,
    /// Writes what is left of the log when it is dropped.
    log: LogGuard,
}

impl Daemon {
    /// Starts with `loaded`; `file` is what a reload reads. Returns when DNS is answered. Logs
    /// from now on as `[log]` says. `ignore_edits`: what was ordered before is put aside unread.
    ///
    /// # Errors
    ///
    /// If a socket cannot be had, the token, the secrets of cookies or what was ordered before
    /// cannot be read, or the user cannot be become.
    pub async fn start(
        loaded: Loaded,
        file: Option<PathBuf>,
        ignore_edits: bool,
    ) -> Result<Daemon, DaemonError> {
        let Loaded { settings, geoip: _, geo, plan, origin, mut files } = loaded;
        let log = start_logging(&settings.log);
        descriptors::raise_limit();
        let listeners =
            privileges::with_low_ports(|| Listeners::bind(&settings.server.listen, settings.server.workers))?;
        let dns = listeners.local_addresses();
        let door = Door::open(&settings.admin, settings.server.user.as_deref()).await?;
        let admin = door.address(settings.admin.listen)?;
        // Before privileges are given up: only root may have to know them.
        let secrets = service::named_secrets(&settings.server.service)?;
        if let Some(user) = &settings.server.user {
            let state_dir = file.is_some().then_some(&settings.server.state_dir);
            privileges::become_user(user, state_dir.map(PathBuf::as_path))
                .map_err(|error| DaemonError::User(user.clone(), error))?;
        }

        let service = service::service(&settings.server, listeners.workers());
        // A client has proved its address by a connection: those who answer over TCP limit nobody.
        let tcp_service = Arc::new(Service { rate_limit: None, ..service.clone() });
        let udp_service = Arc::new(service);
        // Without a file there is nothing of this daemon's on disk.
        let has_file = file.is_some();
        let state_dir = has_file.then(|| settings.server.state_dir.clone());
        // Two that write into one journal would lose each other's edits.
        let claim = state_dir.as_deref().map(Claim::of).transpose()?;
        let audit = Audit::start(state_dir.as_deref())?;
        let journal = Journal::open(state_dir.as_deref(), ignore_edits)?;
        let desired = edits::standing(origin, Arc::new(plan), &journal);
        let (measured, plan) = Measured::start(state_dir, Arc::clone(desired.plan()));
        if let Some(path) = &settings.server.service.cookie_secret_file {
            // As this process can read it from here on; that it need not be able to is told in time.
            let _ = files.read(path);
        }
        door.keys.note_tokens(&mut files);
        let mut controller = Controller::new(Arc::clone(&plan), geo, control_loop::now());
        for (pool, address, order) in edits::orders(&desired) {
            controller.handle(Event::Ordered { pool, address, order }, control_loop::now());
        }
        let cookies = secrets.or_else(|| service::own_secrets(&settings.server));
        controller.handle(Event::Secrets { cookies }, control_loop::now());
        let published = controller.published().clone();
        let patience = first_round(&controller);
        let (requests, requested) = mpsc::channel(REQUESTS);
        // One is asked for at a time.
        let (pulses, pulses_asked) = mpsc::channel(1);
        let (stop, stopped) = watch::channel(false);
        let (ready, is_ready) = watch::channel(false);
        let wanted = Wanted { desired: Arc::new(desired), measured, plan, files };
        let changes = Changes::new(file, settings.server.clone(), door.keys.clone(), wanted, journal);
        let is_watched = has_file && settings.server.watch;
        let watching = is_watched.then(|| Watching::new(changes.files(), requests.clone()));
        let feed = Feed::new();
        let (control, mut settled) =
            ControlLoop::new(controller, settings.clone(), changes, feed.clone(), audit.clone())?;
        let counted = Counted::default();
        let counting = Counting::new();
        let answers = {
            let (counting, published) = (counting.clone(), published.clone());
            move || counting.answers(&published.load())
        };
        let metrics = Metrics::start(counted.clone().into_sources(answers));
        let context = admin::Context {
            published: published.clone(),
            ready: is_ready,
            requests: requests.clone(),
            feed: feed.clone(),
            render_metrics: Arc::new(move |status| metrics.render(status)),
            insight: Insight::new(counting.flow.clone()),
            access: door.keys.access.clone(),
            audit: audit.clone(),
        };
        let probes = control.probes();
        let mut tasks = JoinSet::new();
        tasks.spawn(control.run(requested, pulses_asked, stopped.clone()));
        tasks.spawn(counting.clone().run(published.clone(), stopped.clone()));
        if let Some(watching) = watching {
            tasks.spawn(watching.run(stopped.clone()));
        }
        tasks.spawn(run_admin(door.listeners, context, stopped));

        if tokio::time::timeout(patience, settled.wait_for(|settled| *settled)).await.is_err() {
            tracing::warn!(
                ?patience,
                "the first round of lookups and probes has not ended; answering without it"
            );
        }
        let TcpSettings { max_connections, idle_timeout, lifetime } = settings.server.tcp;
        let limits = TcpLimits { max_connections, idle_timeout, lifetime, ..TcpLimits::default() };
        let serving = listeners.start(limits, |id| {
            let service = match id {
                WorkerId::Udp(_) => &udp_service,
                WorkerId::Tcp(_) => &tcp_service,
            };
            let worker = Worker::new(fastrand::u64(..), counted.worker())
                .with_service(service.clone())
                .with_flow(counting.flow.clone());
            TableAnswerer::new(published.clone(), worker)
        })?;
        counted.sockets(&serving);
        let vitals = Vitals::new(pulses, probes, serving.udp_counters().to_vec());
        ready.send_replace(true);
        tracing::info!(dns = %list(&dns), %admin, "ready");
        Ok(Daemon { dns, admin, claim, audit, requests, ready, stop, feed, tasks, serving, vitals, log })
    }

    /// Where DNS is answered, over UDP and TCP.
    pub fn dns(&self) -> &[SocketAddr] {
        &self.dns
    }

    /// Where the admin API is served.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Stops: queued datagrams and TCP queries under way are answered first.
    pub async fn shutdown(self) {
        let Daemon {
            dns: _,
            admin: _,
            claim,
            audit,
            requests: _,
            ready,
            stop,
            feed,
            mut tasks,
            serving,
            vitals: _,
            log,
        } = self;
        // Whoever balances load by it should look elsewhere from here on.
        ready.send_replace(false);
        if !serving.shutdown(DRAIN).await {
            tracing::warn!(after = ?DRAIN, "cut off TCP clients that were not done");
        }
        // Those who follow would be waited for.
        feed.end();
        stop.send_replace(true);
        // A task that panicked has said so; there is nothing left to stop.
        while tasks.join_next().await.is_some() {}
        if tokio::time::timeout(AUDIT_DRAIN, audit.flush()).await.is_err() {
            tracing::error!("the last changes may be missing in the audit log");
        }
        tracing::info!("stopped");
        drop(claim);
        drop(log);
    }
}

impl cli::Daemon for Daemon {
    type Error = DaemonError;

    async fn start(loaded: Loaded) -> Result<Self, DaemonError> {
        Daemon::start(loaded, None, false).await
    }

    fn dns(&self) -> &[SocketAddr] {
        self.dns()
    }

    fn admin(&self) -> SocketAddr {
        self.admin()
    }

    async fn shutdown(self) {
        self.shutdown().await;
    }

    async fn serve(loaded: Loaded, file: &Path, ignore_edits: bool) -> Result<(), DaemonError> {
        serve(loaded, file, ignore_edits).await
    }
}

/// Runs the daemon with `loaded` until SIGTERM or SIGINT, of which a second one cuts the stop
/// short; SIGHUP reads `file` anew.
async fn serve(loaded: Loaded, file: &Path, ignore_edits: bool) -> Result<(), DaemonError> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // Registered before the start, so that an early SIGHUP does not end the process.
    let hangup = signal(SignalKind::hangup())?;
    let manager = Manager::of_environment();
    manager.starting().await;
    let mut daemon = tokio::select! {
        started = Daemon::start(loaded, Some(file.to_owned()), ignore_edits) => started?,
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    manager.ready(&daemon.vitals).await;
    let requests = daemon.requests.clone();
    let ended = tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        // Before a stop, no task ends unless it panics.
        _ = daemon.tasks.join_next() => Err(DaemonError::Ended),
        () = reload_on(hangup, requests, &manager, &daemon.vitals) => Err(DaemonError::Ended),
        never = manager.watch_over(&daemon.vitals) => match never {},
    };
    manager.stopping().await;
    tokio::select! {
        () = daemon.shutdown() => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    ended
}

/// Reloads at every signal, as long as there is a control loop; it logs what came of it.
async fn reload_on(
    mut hangup: Signal,
    requests: mpsc::Sender<admin::Request>,
    manager: &Manager,
    vitals: &Vitals,
) {
    while hangup.recv().await.is_some() {
        manager.reloading().await;
        let (reply, done) = oneshot::channel();
        if requests.send(admin::Request::Reload(ReloadTrigger::Signal, reply)).await.is_err() {
            return;
        }
        match done.await {
            Ok(_) => {}
            Err(_) => return,
        }
        manager.ready(vitals).await;
    }
}

fn start_logging(settings: &LogSettings) -> LogGuard {
    let format = match settings.format {
        LogFormat::Text => telemetry::Format::Text,
        LogFormat::Json => telemetry::Format::Json,
    };
    let level = match settings.level {
        LogLevel::Error => tracing::Level::ERROR,
        LogLevel::Warn => tracing::Level::WARN,
        LogLevel::Info => tracing::Level::INFO,
        LogLevel::Debug => tracing::Level::DEBUG,
        LogLevel::Trace => tracing::Level::TRACE,
    };
    telemetry::start_logging(format, level)
}

/// How long the first round may take, of lookups and then of probes.
fn first_round(controller: &Controller) -> Duration {
    let table = controller.published().load();
    let plan = table.plan();
    // Of all pools: of the addresses that names will have, none is known yet.
    let of_conditions = plan.conditions.iter().filter_map(|condition| match condition.rule {
        ConditionRule::Check { check, .. } => Some(check),
        ConditionRule::Of { .. } => None,
    });
    let checks = plan.pools.iter().filter_map(|pool| pool.health_check).chain(of_conditions);
    let slowest = checks
        .map(|check| &plan.health_checks[check.index()])
        .map(|check| check.interval.min(Duration::from_secs(1)) + check.timeout)
        .max()
        .unwrap_or_default();
    slowest + FIRST_ROUND_GRACE
}

fn list(addresses: &[impl Display]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
