//! Who asks, and what they may.

use axum::http::StatusCode;

use super::Problem;

/// What somebody may, from the least to the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// Look.
    Read,
    /// Order the state of what there is, and its weight.
    Operate,
    /// Everything.
    Edit,
}

/// Who sent a request. Every guarded handler finds one among the request's extensions.
#[derive(Clone, Debug)]
pub(super) struct Principal {
    /// As the audit log names them.
    pub(super) name: String,
    /// Where the request came from: an IP address, or `socket`.
    pub(super) from: String,
    role: Role,
}

impl Principal {
    /// Somebody who may do everything, since nobody has to say who they are.
    pub(super) fn anyone(from: String) -> Self {
        Principal { name: "anyone".to_owned(), from, role: Role::Edit }
    }

    /// That they may do what takes `role`, to `pool` if it is about one.
    ///
    /// # Errors
    ///
    /// If they may not: 403, which says what would be needed.
    pub(super) fn require(&self, role: Role, _pool: Option<&str>) -> Result<(), Problem> {
        if self.role >= role {
            return Ok(());
        }
        Err(Problem::new(StatusCode::FORBIDDEN, "Forbidden", "this token may not do that"))
    }
}
