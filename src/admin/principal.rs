//! Who asks, and what they may.

use axum::Json;
use axum::extract::Extension;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::Problem;
pub(super) use crate::config::Role;
use crate::config::{PoolPatterns, TokenHolder};

/// Who sent a request. Every guarded handler finds one among the request's extensions.
#[derive(Clone, Debug)]
pub(super) struct Principal {
    /// As the audit log names them.
    pub(super) name: String,
    /// Where the request came from: an IP address, or `socket`.
    pub(super) from: String,
    role: Role,
    /// The pools that they may change; `None`: all, and whatever else there is.
    pools: Option<PoolPatterns>,
}

impl Principal {
    /// Somebody who may do everything, since nobody has to say who they are.
    pub(super) fn anyone(from: String) -> Self {
        Principal::named("anyone".to_owned(), from, Role::Edit)
    }

    /// Somebody whom the operating system has named.
    pub(super) fn named(name: String, from: String, role: Role) -> Self {
        Principal { name, from, role, pools: None }
    }

    /// Whoever has a token.
    pub(super) fn of_token(holder: &TokenHolder, from: String) -> Self {
        let TokenHolder { name, role, pools } = holder.clone();
        Principal { name, from, role, pools }
    }

    /// Whether there is nothing that they may not.
    pub(super) fn may_everything(&self) -> bool {
        self.role == Role::Edit && self.pools.is_none()
    }

    /// That they may do what takes `role`, to `pool` if it is about one; what is about no pool in
    /// particular is not for those who are limited to some, but to look at.
    ///
    /// # Errors
    ///
    /// If they may not: 403, which says what would be needed.
    pub(super) fn require(&self, role: Role, pool: Option<&str>) -> Result<(), Problem> {
        self.require_role(role)?;
        let (Some(pools), true) = (&self.pools, role > Role::Read) else { return Ok(()) };
        let needed = match pool {
            Some(pool) if pools.have(pool) => return Ok(()),
            Some(pool) => format!("it takes a token for pool `{pool}`"),
            None => "it takes a token that is not limited to some pools".to_owned(),
        };
        Err(forbidden(format!("{needed}; `{}` may change `{pools}`", self.name)))
    }

    /// The same of a request of which only its handler can say what it is about.
    pub(super) fn require_role(&self, role: Role) -> Result<(), Problem> {
        if self.role >= role {
            return Ok(());
        }
        Err(forbidden(format!("it takes the role `{role}`; `{}` has `{}`", self.name, self.role)))
    }
}

fn forbidden(detail: String) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "Forbidden", detail)
}

/// Who asks, in their own words.
#[derive(Serialize, ToSchema)]
pub(super) struct Whoami {
    name: String,
    role: Role,
    /// The patterns of the pools that they may change; `None`: all.
    pools: Option<Vec<String>>,
}

/// `GET /v1/whoami`
pub(super) async fn whoami(Extension(principal): Extension<Principal>) -> Json<Whoami> {
    let Principal { name, from: _, role, pools } = principal;
    let pools = pools.map(|pools| pools.iter().map(str::to_owned).collect());
    Json(Whoami { name, role, pools })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pools_limit_changes_and_nothing_else() {
        let pools = Some(PoolPatterns::parse("vn-*").expect("it is one"));
        let holder = TokenHolder::new("ci", Role::Operate, pools).expect("there can be one");
        let ci = Principal::of_token(&holder, String::new());
        for (role, pool, may) in [
            (Role::Read, None, true),
            (Role::Read, Some("hk"), true),
            (Role::Operate, Some("vn-1"), true),
            (Role::Operate, Some("hk"), false),
            (Role::Operate, None, false),
            (Role::Edit, Some("vn-1"), false),
        ] {
            assert_eq!(ci.require(role, pool).is_ok(), may, "{role} {pool:?}");
        }
    }
}
