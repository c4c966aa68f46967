//! What is logged of what has happened.

use std::sync::Arc;
use std::time::Duration;

use super::control_loop::now;
use super::list;
use crate::admin::ReloadReport;
use crate::config::{Change, Edit, Stamp};
use crate::control::Notice;
use crate::health::{Stage, Verdict};

/// Logs what an event did.
pub(super) fn noticed(notice: &Notice) {
    match notice {
        Notice::Turned { watch, transition } => {
            let (pool, address) = (watch.pool_or_none(), &watch.address);
            let (target, port) = (&watch.endpoint, watch.port);
            match transition.to {
                Verdict::Up => tracing::info!(%pool, %address, %target, port, "up: {transition}"),
                _ => tracing::warn!(%pool, %address, %target, port, "down: {transition}"),
            }
        }
        Notice::Damped { watch, hold } => {
            let (pool, address, flips) = (watch.pool_or_none(), &watch.address, hold.flips);
            let left = hold.until.saturating_duration_since(now()).as_secs_f64().round();
            let left = humantime::format_duration(Duration::from_secs(left as u64));
            tracing::warn!(%pool, %address, "damped: it has flipped {flips} times, and is held down until it has kept still for {left}");
        }
        Notice::Undamped { watch } => {
            let (pool, address) = (watch.pool_or_none(), &watch.address);
            tracing::info!(%pool, %address, "damped no longer");
        }
        Notice::Moved { pool, stage, standing: _, reason } => match stage {
            Stage::Out | Stage::AwaitsRelease => tracing::warn!(%pool, "{stage}: {reason}"),
            Stage::InService | Stage::Returning { .. } | Stage::Held { .. } => {
                tracing::info!(%pool, "{stage}: {reason}");
            }
        },
        Notice::Suspected { pool, reason } => {
            tracing::warn!(%pool, "is its check right? {reason}");
        }
        Notice::Isolated { silent, of } => {
            tracing::error!(
                "isolated: {silent} of {of} sites are silent, and nobody is called down for it until others are heard"
            );
        }
        Notice::Reconnected { after } => {
            let seconds = after.as_secs_f64();
            tracing::warn!("isolated no longer, after {seconds:.1} s");
        }
        Notice::OrderEnded { pool, address, state, follows } => {
            let address = address.as_deref().unwrap_or("all");
            tracing::info!(%pool, address, "{follows} again, no longer {state}: the order has expired");
        }
        Notice::Back { pool, address } => {
            let address = address.as_deref().unwrap_or("all");
            tracing::info!(%pool, address, "reported away no longer");
        }
        Notice::Drained { pool, address } => {
            let address = address.as_deref().unwrap_or("all");
            tracing::info!(%pool, address, "drained: no answer that named it is still in use");
        }
        Notice::Resolved { name, addresses } => {
            tracing::info!(%name, addresses = list(addresses), "resolved");
        }
        Notice::Unresolved { name, reason, kept } if kept.is_empty() => {
            tracing::warn!(%name, "cannot be resolved: {reason}");
        }
        Notice::Unresolved { name, reason, kept } => {
            tracing::warn!(%name, kept = list(kept), "cannot be resolved, what is known stays: {reason}");
        }
        Notice::Published { generation } => {
            tracing::debug!(generation, "table published");
        }
        Notice::Settled | Notice::Rewatch { .. } | Notice::Rewatched { .. } => {}
    }
}

/// Logs what a reload has changed.
pub(super) fn reloaded(report: &ReloadReport, trigger: &str) {
    let others = [
        (report.databases, "databases changed"),
        (report.notifications, "notifications changed"),
        (report.logs, "logs changed"),
    ];
    let others =
        others.into_iter().filter_map(|(has_changed, words)| has_changed.then_some(words.to_owned()));
    let all: Vec<String> = (!report.difference.is_empty())
        .then(|| report.difference.to_string())
        .into_iter()
        .chain(others)
        .collect();
    let told = match &all[..] {
        // It says that there is nothing.
        [] => report.difference.to_string(),
        all => all.join(", "),
    };
    tracing::info!(trigger, "configuration reloaded: {told}");
}

/// Logs that edits are in force, and that others stand no longer.
pub(super) fn edited(added: &[Arc<Edit>], gone: &[Arc<Edit>]) {
    let replaced =
        |edit: &Edit| gone.iter().find(|gone| gone.object == edit.object && gone.change == edit.change);
    for edit in added {
        let Stamp { reason, by, .. } = &edit.stamp;
        let reason = reason.as_deref().unwrap_or("none given");
        let (id, object) = (edit.id, &edit.object);
        match (&edit.change, replaced(edit)) {
            // Who renews a lease every few seconds need not be told of each time.
            (Change::State(state), Some(before)) if before.stamp.reason == edit.stamp.reason => {
                tracing::debug!(edit = id, %object, %state, by, reason, "ordered again");
            }
            (Change::State(state), _) => {
                tracing::info!(edit = id, %object, %state, by, reason, "ordered by the operator");
            }
            (Change::Put(_) | Change::Merge(_), _) => {
                tracing::info!(edit = id, %object, by, reason, "edited by the operator");
            }
            (Change::Remove, _) => {
                tracing::info!(edit = id, %object, by, reason, "removed by the operator")
            }
        }
    }
    for edit in gone.iter().filter(|gone| !added.iter().any(|edit| edit.object == gone.object)) {
        tracing::info!(edit = edit.id, object = %edit.object, "the edit no longer stands");
    }
}
