//! What enters the controller, and what comes out.

use std::sync::Arc;

use crate::geo::GeoTable;
use crate::health::{Hold, Outcome, Stage, TargetId, Transition};
use crate::plan::{Plan, Watch};
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
    },
    /// Time has come: [`Controller::due`](super::Controller::due) is over.
    Elapsed,
    /// The operator lets a pool come back that is kept away. Whether it can be,
    /// [`Controller::can_release`](super::Controller::can_release) tells.
    Released {
        /// Its name.
        pool: String,
    },
    /// The operator wants another world.
    Replaced {
        /// The world.
        plan: Arc<Plan>,
        /// The map for it.
        geo: Arc<GeoTable>,
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
    /// A pool left service, or has come a stage further on its way back.
    Moved {
        /// Its name.
        pool: String,
        /// Where it is now.
        stage: Stage,
        /// Why, in an operator's words.
        reason: String,
    },
    /// Every address has told something: the table can be trusted.
    Settled,
    /// Another set of addresses is to be watched; see
    /// [`Controller::watches`](super::Controller::watches).
    Rewatch,
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
