//! The HTTP side for operators: health, metrics, state, explanations and measured latencies.
//!
//! A request goes through `listen`, which has the connections; `guard`, which says who asks and
//! whether they may; and the handler of its path. Whoever changes something notes it in `audit`.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::{from_fn_with_state, map_response};
use axum::routing::{MethodRouter, get, post, put};
use tokio::sync::{mpsc, oneshot, watch};
use tower_http::timeout::TimeoutLayer;

use crate::config::{Desired, Diagnostics};
use crate::control::{
    Absence, DomainStatus, HistoryStatus, NoSuch, NotReleasable, Page, PoolStatus, Readings, Status,
};
use crate::dns::Name;
use crate::routing::RoutingTable;

mod access;
mod audit;
mod body;
mod clock;
mod console;
mod edit;
mod events;
mod explain;
mod feed;
mod guard;
mod history;
mod insight;
mod latency;
mod lifecycle;
mod listen;
mod listing;
mod measure;
mod need;
mod notifications;
mod objects;
mod openapi;
mod origin;
mod places;
mod precondition;
mod preview;
mod principal;
mod problem;
mod release;
mod reload;
mod reply;
mod report;
mod socket;
mod state;
mod telling;
mod throttle;
mod tls;
mod transactions;

pub use access::Access;
pub use audit::{Audit, PendingRecord};
pub use edit::{Edited, Editing, Glance, NotEdited, Precondition, Told};
pub use feed::{Feed, KINDS};
pub use insight::Insight;
pub use listen::Listener;
pub use notifications::{Destination, Notifications};
pub use precondition::Expected;
pub use problem::Problem;
pub use reload::{ReloadReport, ReloadTrigger};
pub use reply::{Answer, Reply};
pub use socket::{Socket, SocketFile};
pub use telling::{LogState, LogWanted, QueryLogState, Telling};
pub use tls::Tls;

/// How long a request may take until its answer begins: a reload of a large configuration takes
/// seconds. Streams may go on for as long as they like.
const LONGEST_REQUEST: Duration = Duration::from_secs(60);

/// What the admin side needs of the daemon.
#[derive(Clone)]
pub struct Context {
    /// The table in service.
    pub published: Arc<ArcSwap<RoutingTable>>,
    /// Whether DNS is being answered.
    pub ready: watch::Receiver<bool>,
    /// The way to the control loop.
    pub requests: mpsc::Sender<Request>,
    /// What happens, for those who follow it.
    pub feed: Feed,
    /// Renders the metrics for a state.
    pub render_metrics: Arc<dyn Fn(&Snapshot) -> String + Send + Sync>,
    /// Where it is counted how long requests take.
    pub served: Served,
    /// Where answers go.
    pub insight: Insight,
    /// Who may.
    pub access: Arc<Access>,
    /// Who has done what.
    pub audit: Audit,
    /// How much is told.
    pub telling: Arc<dyn Telling>,
    /// Who is told what happens.
    pub notifications: Arc<dyn Notifications>,
}

/// Counts that the answer to a request for a route began after so long.
pub type Served = Arc<dyn Fn(&str, Duration) + Send + Sync>;

/// What metrics tell of the state of everything. It is gathered quickly, and told by whoever has time for it.
pub struct Snapshot {
    /// What is believed.
    pub readings: Readings,
    /// What is wanted.
    pub desired: Arc<Desired>,
    /// How many probes are under way.
    pub probes_in_flight: usize,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").finish_non_exhaustive()
    }
}

/// Something asked of the control loop.
#[derive(Debug)]
pub enum Request {
    /// The state of everything.
    Status(oneshot::Sender<Status>),
    /// What metrics tell of the state of everything.
    Snapshot(oneshot::Sender<Snapshot>),
    /// The pool of this name, if there is one.
    Pool(String, oneshot::Sender<Option<PoolStatus>>),
    /// As many pools behind the one of this name; from the first on without one.
    Pools(Option<String>, usize, oneshot::Sender<Page<PoolStatus>>),
    /// The domain of this name, if there is one.
    Domain(Name, oneshot::Sender<Option<DomainStatus>>),
    /// As many domains behind the one of this name; from the first on without one.
    Domains(Option<Name>, usize, oneshot::Sender<Page<DomainStatus>>),
    /// Reading the configuration anew; the error says what is wrong with it.
    Reload(ReloadTrigger, Reply<Result<ReloadReport, String>>),
    /// Letting the pool of this name come back that is kept away.
    Release(String, Reply<Result<(), NotReleasable>>),
    /// What is wanted: the file, with edits over it.
    Desired(oneshot::Sender<Arc<Desired>>),
    /// Edits to be made or taken back. The answer means that they are in force, and will be after a
    /// restart.
    Edit(Editing, Reply<Result<Edited, NotEdited>>),
    /// What the last probes of an address found: pool and address.
    History((String, String), oneshot::Sender<Result<HistoryStatus, NoSuch>>),
    /// What a site says of its address, or of its pool; `None`: it is there.
    Report((String, Option<String>), Option<Absence>, Reply<Result<(), NoSuch>>),
    /// The measured latencies that were given with the last [`Request::Measured`]; empty if none
    /// were.
    Latencies(oneshot::Sender<Bytes>),
    /// Measured latencies, as a file of `[[latency]]` has them, in the place of those that were
    /// given before, if that is what is expected; empty: none. The answer, which is how many there are,
    /// means that they are in force, and will be after a restart.
    Measured(Bytes, Option<Expected>, Reply<Result<usize, NotMeasured>>),
    /// Leave to change what is no matter of the control loop, such as what is logged.
    Permit(Reply<()>),
}

impl Request {
    /// Whether nobody waits for the answer any more.
    pub fn is_abandoned(&self) -> bool {
        match self {
            Request::Status(reply) => reply.is_closed(),
            Request::Snapshot(reply) => reply.is_closed(),
            Request::Pool(_, reply) => reply.is_closed(),
            Request::Pools(_, _, reply) => reply.is_closed(),
            Request::Domain(_, reply) => reply.is_closed(),
            Request::Domains(_, _, reply) => reply.is_closed(),
            Request::Reload(_, reply) => reply.is_closed(),
            Request::Release(_, reply) => reply.is_closed(),
            Request::Desired(reply) => reply.is_closed(),
            Request::Edit(_, reply) => reply.is_closed(),
            Request::History(_, reply) => reply.is_closed(),
            Request::Report(_, _, reply) => reply.is_closed(),
            Request::Latencies(reply) => reply.is_closed(),
            Request::Measured(_, _, reply) => reply.is_closed(),
            Request::Permit(reply) => reply.is_closed(),
        }
    }

    /// Whether it changes something, and must not be carried out by a process from which another is
    /// taking over.
    pub fn is_change(&self) -> bool {
        // Each is named, so that none is left out when one is added.
        match self {
            Request::Reload(..)
            | Request::Release(..)
            | Request::Edit(..)
            | Request::Report(..)
            | Request::Measured(..)
            | Request::Permit(..) => true,
            Request::Status(..)
            | Request::Snapshot(..)
            | Request::Pool(..)
            | Request::Pools(..)
            | Request::Domain(..)
            | Request::Domains(..)
            | Request::Desired(..)
            | Request::History(..)
            | Request::Latencies(..) => false,
        }
    }
}

/// Why measured latencies were not taken over.
#[derive(Debug, thiserror::Error)]
pub enum NotMeasured {
    /// They have these mistakes.
    #[error(transparent)]
    Mistaken(#[from] Diagnostics),
    /// Those that were given before are not the expected ones.
    #[error("the measurements are not what they were: somebody else has given others meanwhile")]
    Lost,
    /// They cannot be written to this directory.
    #[error("cannot keep the measurements in {path}: {error}", path = .0.display(), error = .1)]
    NotKept(PathBuf, io::Error),
}

/// Serves the admin API on `listeners` until `stopped`, and then ends what is under way.
pub async fn serve(listeners: Vec<Listener>, context: Context, stopped: watch::Receiver<bool>) {
    listen::serve(listeners, router(context), stopped).await;
}

fn router(context: Context) -> Router {
    let routes = routes().into_iter();
    routes
        .fold(Router::new(), |router, (path, methods)| router.route(path, methods))
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::method_not_allowed)
        // Around all of it, from the inside out, so that no route can be forgotten.
        .layer(from_fn_with_state(context.clone(), guard::guard))
        .layer(from_fn_with_state(context.clone(), guard::admit))
        .layer(DefaultBodyLimit::max(guard::MAX_OCTETS))
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, LONGEST_REQUEST))
        .layer(map_response(guard::explain_refusals))
        .layer(from_fn_with_state(context.clone(), measure::measure))
        .with_state(context)
}

/// What there is, and what answers. Each has its place in `openapi::operations`, too.
fn routes() -> Vec<(&'static str, MethodRouter<Context>)> {
    let latencies = put(latency::replace)
        .layer(DefaultBodyLimit::max(latency::MAX_OCTETS))
        .get(latency::show)
        .delete(latency::clear);
    let mut routes = vec![
        ("/healthz", get(lifecycle::healthz)),
        ("/readyz", get(lifecycle::readyz)),
        ("/metrics", get(lifecycle::metrics)),
        ("/v1/status", get(state::status)),
        ("/v1/domains", get(listing::domains)),
        ("/v1/domains/{name}", object()),
        ("/v1/pools", get(listing::pools)),
        ("/v1/pools/{pool}", object()),
        ("/v1/pools/{pool}/report", post(report::of_pool)),
        ("/v1/pools/{pool}/addresses", post(objects::add_address)),
        ("/v1/pools/{pool}/addresses/{address}", object()),
        ("/v1/pools/{pool}/addresses/{address}/history", get(history::history)),
        ("/v1/pools/{pool}/addresses/{address}/report", post(report::of_address)),
        ("/v1/health_checks", get(listing::health_checks)),
        ("/v1/health_checks/{name}", object()),
        ("/v1/conditions", get(listing::conditions)),
        ("/v1/conditions/{name}", object()),
        ("/v1/zones", get(listing::zones)),
        ("/v1/zones/{zone}/records", get(listing::records)),
        ("/v1/zones/{zone}/records/{owner}/{type}", object()),
        ("/v1/transactions", post(transactions::transact)),
        ("/v1/edits", get(transactions::edits)),
        ("/v1/edits/export", get(transactions::export)),
        ("/v1/edits/{id}", get(transactions::edit).delete(transactions::revert)),
        ("/v1/pools/{pool}/release", post(release::release)),
        ("/v1/events", get(events::events)),
        ("/v1/explain", get(explain::explain)),
        ("/v1/flow", get(insight::flow)),
        ("/v1/coverage", get(insight::coverage)),
        ("/v1/latency", latencies),
        ("/v1/notifications", get(notifications::list)),
        ("/v1/notifications/{name}/test", post(notifications::test)),
        ("/v1/reload", post(lifecycle::reload)),
        ("/v1/log", get(telling::log).put(telling::set_log).delete(telling::reset_log)),
        (
            "/v1/query_log",
            get(telling::query_log).put(telling::set_query_log).delete(telling::reset_query_log),
        ),
        ("/v1/whoami", get(principal::whoami)),
        ("/v1/audit", get(audit::audit)),
        ("/openapi.json", get(openapi::document)),
    ];
    routes.extend(console::routes());
    routes
}

/// Everything that can be done with a thing of the configuration.
fn object() -> MethodRouter<Context> {
    get(objects::get).put(objects::put).patch(objects::patch).delete(objects::delete)
}

impl Context {
    /// Asks the control loop for what metrics tell.
    async fn snapshot(&self) -> Result<Snapshot, Problem> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request::Snapshot(reply)).await.map_err(|_| Problem::stopping())?;
        answer.await.map_err(|_| Problem::stopping())
    }

    /// Asks the control loop for the state of everything.
    async fn status(&self) -> Result<Status, Problem> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request::Status(reply)).await.map_err(|_| Problem::stopping())?;
        answer.await.map_err(|_| Problem::stopping())
    }
}
