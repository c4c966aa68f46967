//! What enters the controller, and what comes out.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::names::Lookup;
use super::orders::{Absence, Order};
use super::prepared::Prepared;
use crate::dns::Name;
use crate::health::{Belief, Hold, Outcome, Stage, TargetId, Timings, Transition};
use crate::plan::{AddressState, Watch};
use crate::routing::CookieSecrets;

/// Something that may change what clients are told.
#[derive(Debug)]
pub enum Event {
    /// A probe has ended.
    Probed {
        /// Of what.
        target: TargetId,
        /// With what.
        outcome: Outcome,
        /// When it started.
        started: Instant,
        /// How long each phase of it took.
        timings: Timings,
    },
    /// A name in pools was looked up.
    Resolved {
        /// Which.
        name: Name,
        /// What was found.
        lookup: Lookup,
    },
    /// Time has come: [`Controller::due`](super::Controller::due) is over.
    Elapsed,
    /// The operator lets a pool come back that is kept away. Whether it can be,
    /// [`Controller::can_release`](super::Controller::can_release) tells.
    Released {
        /// Its name.
        pool: String,
    },
    /// The operator orders what an address is, whatever its health. Whether there is such a one,
    /// [`Controller::has_address`](super::Controller::has_address) tells.
    Ordered {
        /// The pool's name.
        pool: String,
        /// The address's name within the pool; `None`: all of them.
        address: Option<String>,
        /// The order.
        order: Order,
    },
    /// A site says of an address of its own that it is away, or there again.
    Reported {
        /// The pool's name.
        pool: String,
        /// The address's name within the pool; `None`: all of them.
        address: Option<String>,
        /// That it is away, and for how long; `None`: it is there.
        absence: Option<Absence>,
    },
    /// The operator wants another world.
    Replaced {
        /// The world, made ready.
        world: Box<Prepared>,
        /// What is ordered of it from the first answer on: pools, and addresses of theirs or all.
        orders: Vec<(String, Option<String>, Order)>,
    },
    /// Cookies are made with other secrets, or no more.
    Secrets {
        /// Which; `None`: cookies are ignored.
        cookies: Option<CookieSecrets>,
    },
}

/// What an event did.
#[derive(Debug, PartialEq)]
pub enum Notice {
    /// The verdict on an address has changed, and the next query is answered by it.
    Turned {
        /// The address.
        watch: Arc<Watch>,
        /// The change.
        transition: Transition,
    },
    /// An address has flipped too often and is held down, whatever its verdict.
    Damped {
        /// The address.
        watch: Arc<Watch>,
        /// For how many flips, and until when.
        hold: Hold,
    },
    /// An address has kept still, and its verdict counts again.
    Undamped {
        /// The address.
        watch: Arc<Watch>,
    },
    /// Hardly anything is heard any more, and this host takes itself to be cut off: nobody is
    /// called down for being silent until others are heard again.
    Isolated {
        /// How many sites are silent: pools, and places of conditions.
        silent: usize,
        /// Of how many with addresses that were believed to be up.
        of: usize,
    },
    /// Others are heard again, and silence counts anew.
    Reconnected {
        /// After how long.
        after: Duration,
    },
    /// An order has expired.
    OrderEnded {
        /// The pool's name.
        pool: String,
        /// The address's name within the pool; `None`: it was for all of them.
        address: Option<String>,
        /// What was ordered.
        state: AddressState,
        /// What is ordered now: that of an order below it, or [`AddressState::Auto`].
        follows: AddressState,
    },
    /// What a site said of an address counts no longer.
    Back {
        /// The pool's name.
        pool: String,
        /// The address's name within the pool; `None`: it was said of all of them.
        address: Option<String>,
    },
    /// No client that honours TTLs uses a drained address any more.
    Drained {
        /// The pool's name.
        pool: String,
        /// The address's name within the pool; `None`: all of them.
        address: Option<String>,
    },
    /// Every address of a pool has failed in the same way ever since: it may be the check that is
    /// wrong.
    Suspected {
        /// The pool's name.
        pool: String,
        /// What they do, in an operator's words.
        reason: String,
    },
    /// A pool left service, or has come a stage further on its way back.
    Moved {
        /// Its name.
        pool: String,
        /// Where it is now.
        stage: Stage,
        /// The same in a word, as [`PoolStatus::standing`](super::PoolStatus) has it.
        standing: &'static str,
        /// Why, in an operator's words.
        reason: String,
    },
    /// A name resolves: to other addresses than before, or again.
    Resolved {
        /// Which.
        name: Name,
        /// What it resolves to.
        addresses: Vec<IpAddr>,
    },
    /// A name does not resolve, or not wholly; or it has lost the addresses that were kept.
    Unresolved {
        /// Which.
        name: Name,
        /// Why not, in words.
        reason: String,
        /// The addresses that are known of it all the same.
        kept: Vec<IpAddr>,
    },
    /// Every name and every address has told something: the table can be trusted.
    Settled,
    /// As [`Rewatched`](Self::Rewatched), and another set of names is to be resolved; see
    /// [`Controller::names`](super::Controller::names).
    Rewatch {
        /// Those that are new, and what is believed of them.
        started: Vec<(TargetId, Arc<Watch>, Belief)>,
        /// Those that are gone.
        stopped: Vec<TargetId>,
    },
    /// Some addresses more are to be watched, and some no longer.
    Rewatched {
        /// Those that are new, and what is believed of them.
        started: Vec<(TargetId, Arc<Watch>, Belief)>,
        /// Those that are gone.
        stopped: Vec<TargetId>,
    },
    /// A table was published.
    Published {
        /// Its generation.
        generation: u64,
    },
}

/// Why a pool cannot be released.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotReleasable {
    /// There is none of this name.
    #[error("there is no pool `{0}`")]
    Unknown(String),
    /// Nothing keeps it away.
    #[error("pool `{0}` is in service")]
    InService(String),
    /// It has not recovered yet, for this reason.
    #[error("pool `{0}` is still out of service: {1}")]
    Out(String, String),
}
