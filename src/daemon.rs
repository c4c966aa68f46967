//! Wires it together: start order, reload, shutdown.
//!
//! 1. Bind every socket that was not given, then give up privileges.
//! 2. Recall what was believed before; start the control loop, the resolver and the probes.
//! 3. When something of today is known of every name and address, remembered or found by the first round of lookups and
//!    probes, answer DNS: a restart never serves a dead site.
//! 4. Where this process takes over from another, let that one go, and only then accept edits.
//! 5. On a stop, or when another takes over, finish what was asked.

use std::fmt::Display;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::admin::{self, Audit, Feed, Insight, ReloadTrigger};
use crate::cli::{self, Beginning};
use crate::config::{Loaded, LogFormat, LogSettings, ServerSettings, TcpSettings};
use crate::control::{Controller, Event};
use crate::notify::Notifier;
use crate::plan::ConditionRule;
use crate::routing::{Service, Worker};
use crate::serve::{Listeners, Serving, TableAnswerer, TcpLimits, WorkerId};
use crate::store::Claim;
use crate::telemetry::query_log::QueryLog;
use crate::telemetry::{self, Ledger, LogGuard, Metrics, Traces};

mod access;
mod changes;
mod control_loop;
mod counted;
mod descriptors;
mod destinations;
mod edits;
mod ending;
mod error;
mod flow;
mod happenings;
mod incidents;
mod manager;
mod measured;
mod overview;
mod privileges;
mod query_log;
mod remembering;
mod rotation;
mod said;
mod secrets;
mod service;
mod signals;
mod takeover;
mod telling;
mod traced;
mod unprobed;
mod vitals;
mod waiting;
mod watching;

use access::{Door, run_admin};
use changes::{Changes, Wanted};
use control_loop::ControlLoop;
use counted::Counted;
use destinations::Destinations;
use edits::Journal;
pub use error::DaemonError;
use flow::Counting;
use measured::Measured;
use remembering::Remembering;
use rotation::{HandedOn, Rotations};
use secrets::OwnSecret;
pub use takeover::TakeoverError;
use takeover::{Ask, Estate, Given, Holding, Offer, Released};
use telling::Telling;
use vitals::Vitals;
use watching::Watching;

/// How long TCP clients have to get their answers after a stop: more than a resolver waits for
/// one, less than a service manager waits before it kills (systemd: 90 s, Kubernetes: 30 s).
const DRAIN: Duration = Duration::from_secs(10);

/// How long clients of the admin API have after that. Replies take milliseconds; who is longer
/// has not asked anything, and may hold an idle connection for ever.
const ADMIN_DRAIN: Duration = Duration::from_secs(1);

/// How much longer than its slowest probe the first round may take before DNS is answered
/// without it. Nothing known should ever take as long; a resolver that has to ask around for the
/// names of pools takes a second or two.
const FIRST_ROUND_GRACE: Duration = Duration::from_secs(5);

/// Requests to the control loop that may wait; more make their senders wait.
const REQUESTS: usize = 64;

/// A running daemon.
pub struct Daemon {
    dns: Vec<SocketAddr>,
    admin: SocketAddr,
    /// The directory of its state, which is nobody else's.
    holding: Holding,
    /// What another process takes over by.
    offer: Option<Offer>,
    audit: Audit,
    requests: mpsc::Sender<admin::Request>,
    ready: watch::Sender<bool>,
    asks: mpsc::Sender<Ask>,
    /// Ends what changes are asked for by; `stop` ends all.
    front: watch::Sender<bool>,
    stop: watch::Sender<bool>,
    feed: Feed,
    notifier: Notifier,
    tasks: JoinSet<()>,
    serving: Serving,
    vitals: Vitals,
    queries: QueryLog,
    traces: Traces,
    /// Writes what is left of the log when it is dropped.
    log: LogGuard,
}

impl Daemon {
    /// Starts with `loaded`; `file` is what a reload reads. Returns when DNS is answered. Logs
    /// from now on as `[log]` says.
    ///
    /// # Errors
    ///
    /// If a socket cannot be had, the token, the secrets of cookies or what was ordered before
    /// cannot be read, the user cannot be become, or the daemon that runs goes on.
    pub async fn start(
        loaded: Loaded,
        file: Option<PathBuf>,
        beginning: Beginning,
    ) -> Result<Daemon, DaemonError> {
        let Loaded { settings, geoip: _, geo, plan, notifications, origin, mut files } = loaded;
        let log = start_logging(&settings.log);
        descriptors::raise_limit();
        // Without a file there is nothing of this daemon's on disk, and nothing that it was given.
        let has_file = file.is_some();
        let (mut given, mut predecessor) = match has_file {
            true => Given::receive(&settings, beginning.takeover).await?,
            false => Default::default(),
        };
        let ServerSettings { listen, workers, socket_affinity, user, .. } = &settings.server;
        let listeners =
            privileges::with_low_ports(|| Listeners::bind_beside(listen, *workers, &mut given.dns))?
                .with_socket_affinity(*socket_affinity);
        if *socket_affinity && !listeners.has_thread_for_each_core() {
            tracing::warn!(
                "`socket_affinity` has no effect: each address takes a UDP thread, and a socket of its own, for each core (`workers = 0`)"
            );
        }
        let dns = listeners.local_addresses();
        let door = Door::open(&settings.admin, user.as_deref(), &mut given).await?;
        given.finish()?;
        let admin = door.address(settings.admin.listen)?;
        // Before privileges are given up: only root may have to know them.
        let named = secrets::named(&settings.server.service)?;
        let destinations = Destinations::read(notifications)?;
        if let Some(user) = &settings.server.user {
            let state_dir = file.is_some().then_some(&settings.server.state_dir);
            privileges::become_user(user, state_dir.map(PathBuf::as_path))
                .map_err(|error| DaemonError::User(user.clone(), error))?;
        }

        let service = service::service(&settings.server, listeners.workers());
        // A client has proved its address by a connection: those who answer over TCP limit nobody.
        let tcp_service = Arc::new(Service { rate_limit: None, ..service.clone() });
        let udp_service = Arc::new(service);
        let state_dir = has_file.then(|| settings.server.state_dir.clone());
        let released = match &mut predecessor {
            Some(predecessor) => predecessor.prepare().await?,
            None => None,
        };
        let (memory, since_reload) = match released {
            Some(Released { memory, since_reload }) => (Some(memory), since_reload),
            None => (None, None),
        };
        // The other process has read its configuration after this one, which may know less.
        let is_outdated = since_reload.zip(beginning.read_from).is_some_and(|(since, read_from)| {
            since <= control_loop::now().saturating_duration_since(read_from)
        });
        // Two that write into one journal would lose each other's edits.
        let claim = state_dir.as_deref().map(Claim::of).transpose()?;
        let audit = Audit::start(state_dir.as_deref())?;
        let journal = Journal::open(state_dir.as_deref(), beginning.ignore_edits)?;
        let estate = state_dir.clone().map(|directory| (directory, journal.clone()));
        let desired = edits::standing(origin, Arc::new(plan), &journal);
        let (measured, plan) = Measured::start(state_dir.clone(), Arc::clone(desired.plan()));
        if let Some(path) = &settings.server.service.cookie_secret_file {
            // As this process can read it from here on; that it need not be able to is told in time.
            let _ = files.read(path);
        }
        door.keys.note_tokens(&mut files);
        destinations.note_files(&mut files);
        let mut controller = Controller::new(Arc::clone(&plan), geo, control_loop::now());
        for (pool, address, order) in edits::orders(&desired) {
            controller.handle(Event::Ordered { pool, address, order }, control_loop::now());
        }
        let own = match named {
            Some(_) => None,
            None => OwnSecret::of(&settings.server, edits::now()),
        };
        let cookies = named.or_else(|| own.as_ref().and_then(OwnSecret::secrets));
        controller.handle(Event::Secrets { cookies }, control_loop::now());
        let remember = settings.health.remember;
        let meanwhile = remembering::recall(&mut controller, memory, state_dir.as_deref(), remember);
        let remembering = Remembering::start(state_dir.as_deref(), remember);
        let published = controller.published().clone();
        // A process that is to be relieved does not wait for ever.
        let longest = predecessor.as_ref().map_or(Duration::MAX, |_| takeover::FIRST_ROUND);
        let patience = first_round(&controller).min(longest);
        let (requests, requested) = mpsc::channel(REQUESTS);
        // One is asked for at a time.
        let (pulses, pulses_asked) = mpsc::channel(1);
        let (asks, asked) = mpsc::channel(1);
        let (stop, stopped) = watch::channel(false);
        let (front, front_stopped) = watch::channel(false);
        let (ready, is_ready) = watch::channel(false);
        let notifier = Notifier::new(Handle::current(), query_log::host_name());
        let told_of_it = destinations.to_vec();
        notifier.tell(incidents::orphaned(&edits::not_in_force(&desired), edits::now()));
        // Not of domains, of which there may be a million.
        let pools = controller.pool_page(None, usize::MAX, control_loop::now()).items;
        for incident in incidents::standing(&pools, edits::now()) {
            notifier.tell(incident);
        }
        let wanted = Wanted { desired: Arc::new(desired), measured, plan, destinations, files };
        let changes = Changes::new(file, settings.server.clone(), door.keys.clone(), wanted, journal);
        let is_watched = has_file && settings.server.watch;
        let watching = is_watched.then(|| Watching::new(changes.files(), requests.clone()));
        let feed = Feed::new();
        let ledger = Ledger::default();
        // As the user that the process is by now: a file of it is opened again and again.
        let queries = QueryLog::start()?;
        let traces = match &settings.traces {
            Some(traces) => Traces::start(&traces.otlp, query_log::host_name())?,
            None => Traces::default(),
        };
        let telling = Telling::new(&settings, log.filter(), queries.clone(), traces.clone());
        let told = (feed.clone(), audit.clone(), ledger.clone(), telling.clone(), notifier.clone());
        let (mut control, mut settled) =
            ControlLoop::new(controller, settings.clone(), changes, told, remembering)?;
        control.tell(meanwhile);
        let counted = Counted::default();
        let counting = Counting::new();
        let answers = {
            let (counting, published) = (counting.clone(), published.clone());
            move || counting.answers(&published.load())
        };
        let journal_dir = has_file.then(|| settings.server.state_dir.clone());
        let notified = {
            let notifier = notifier.clone();
            move || destinations::notified(&notifier)
        };
        let sources = counted.clone().into_sources(answers, notified, is_ready.clone(), journal_dir);
        let metrics = Metrics::start(sources, ledger.clone());
        // As long as there is another process, it tells them.
        let told_later = match &predecessor {
            Some(_) => Some(told_of_it),
            None => {
                notifier.replace(told_of_it);
                None
            }
        };
        Metrics::started(edits::now());
        Metrics::published(edits::now());
        let context = admin::Context {
            published: published.clone(),
            ready: is_ready,
            requests: requests.clone(),
            feed: feed.clone(),
            render_metrics: {
                let queries = queries.clone();
                Arc::new(move |admin::Snapshot { readings, desired, probes_in_flight }| {
                    queries.publish_counts();
                    metrics.render(readings, desired, *probes_in_flight)
                })
            },
            served: Arc::new(move |route, took| ledger.served(route, took)),
            insight: Insight::new(counting.flow.clone()),
            access: door.keys.access.clone(),
            audit: audit.clone(),
            telling: Arc::new(telling.clone()),
            notifications: Arc::new(destinations::Asked(notifier.clone())),
        };
        let probes = control.probes();
        let mut tasks = JoinSet::new();
        let (tables, news) = (published.clone(), control.news());
        tasks.spawn(overview::run(tables, news, notifier.clone(), ready.subscribe(), stopped.clone()));
        let (renewing, renewed) = secrets::renewing(own, stopped.clone());
        // One that ends before the daemon is taken for a fault.
        if let Some(renewing) = renewing {
            tasks.spawn(renewing);
        }
        tasks.spawn(control.run(requested, asked, (pulses_asked, renewed), stopped.clone()));
        tasks.spawn(counting.clone().run(published.clone(), stopped));
        let watching = watching.map(|watching| watching.run(front_stopped.clone()));
        let sockets = takeover::copies(&listeners, &door)?;
        let admin_file = door.socket().map(admin::Socket::file);
        tasks.spawn(telling.run(front_stopped.clone()));
        let serve_admin = run_admin(door.listeners, context, front_stopped);
        // An edit that this process had acknowledged would be lost if the other one went on.
        let serve_later = match &predecessor {
            Some(_) => Some(serve_admin),
            None => {
                tasks.spawn(serve_admin);
                None
            }
        };

        if tokio::time::timeout(patience, settled.wait_for(|settled| *settled)).await.is_err() {
            tracing::warn!(
                ?patience,
                "the first round of lookups and probes has not ended; answering without it"
            );
        }
        let turns = match &mut predecessor {
            Some(predecessor) => predecessor.turns().await.map(HandedOn::of).unwrap_or_default(),
            None => HandedOn::default(),
        };
        let rotations = Rotations::new(published.clone());
        let TcpSettings { max_connections, idle_timeout, lifetime } = settings.server.tcp;
        let limits = TcpLimits { max_connections, idle_timeout, lifetime, ..TcpLimits::default() };
        let serving = listeners.start(limits, |id| {
            let service = match id {
                WorkerId::Udp(_) => &udp_service,
                WorkerId::Tcp(_) => &tcp_service,
            };
            let worker = Worker::new(fastrand::u64(..), counted.worker(id))
                .with_service(service.clone())
                .with_flow(counting.flow.clone());
            let worker = rotations.with(id, worker);
            let answerer = TableAnswerer::new(published.clone(), worker).with_tap(query_log::tap(&queries));
            let answerer = turns.go_on(id, answerer);
            match id {
                WorkerId::Udp(_) => answerer.with_counters(counted.tables()),
                WorkerId::Tcp(_) => answerer,
            }
        })?;
        counted.sockets(&serving);
        let vitals = Vitals::new(pulses, probes, serving.udp_counters().to_vec());
        if let Some(predecessor) = predecessor
            && let Err(error) = predecessor.relieve().await
        {
            takeover::give_back(&asks, estate, claim).await;
            // What has been read from the sockets is answered.
            serving.hand_over(DRAIN).await;
            return Err(error.into());
        }
        if let Some(file) = &admin_file {
            file.take();
        }
        if let Some(told_later) = told_later {
            notifier.replace(told_later);
        }
        if let Some(serve_admin) = serve_later {
            tasks.spawn(serve_admin);
        }
        // Only now: it begins with reading all of the files again, and they may be large.
        if let Some(watching) = watching {
            tasks.spawn(watching);
        } else if is_outdated {
            // Nobody waits for it: what comes of it is logged and told like that of any other. Where files are watched,
            // they are compared with what was read.
            let (reply, _) = admin::Reply::unaudited();
            let _ = requests.send(admin::Request::Reload(ReloadTrigger::Takeover, reply)).await;
        }
        let holding: Holding = Arc::new(Mutex::new(claim));
        let offer = estate.and_then(|(directory, journal)| {
            let (holding, audit, asks) = (holding.clone(), audit.clone(), asks.clone());
            Offer::start(Estate { directory, holding, sockets, admin_file, journal, audit, rotations, asks })
        });
        ready.send_replace(true);
        tracing::info!(dns = %list(&dns), %admin, "ready");
        notifier.tell(incidents::daemon("the daemon has started, and answers", edits::now()));
        Ok(Daemon {
            dns,
            admin,
            holding,
            offer,
            audit,
            requests,
            ready,
            asks,
            front,
            stop,
            feed,
            notifier,
            tasks,
            serving,
            queries,
            traces,
            vitals,
            log,
        })
    }

    /// Where DNS is answered, over UDP and TCP.
    pub fn dns(&self) -> &[SocketAddr] {
        &self.dns
    }

    /// Where the admin API is served.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }
}

impl cli::Daemon for Daemon {
    type Error = DaemonError;

    async fn start(loaded: Loaded) -> Result<Self, DaemonError> {
        Daemon::start(loaded, None, Beginning::default()).await
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

    async fn serve(loaded: Loaded, file: &Path, beginning: Beginning) -> Result<(), DaemonError> {
        signals::serve(loaded, file, beginning).await
    }
}

fn start_logging(settings: &LogSettings) -> LogGuard {
    let format = match settings.format {
        LogFormat::Text => telemetry::Format::Text,
        LogFormat::Json => telemetry::Format::Json,
    };
    telemetry::start_logging(format, &Telling::first_directives(settings))
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
