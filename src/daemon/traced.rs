//! What is told of the control path to whoever collects traces: each thing that was done, and its steps.

use std::time::Instant;

use super::control_loop::now;
use crate::control::Notice;
use crate::probe::Report;
use crate::telemetry::{Step, Traces};

/// From when to when something took.
pub(super) type Span = (Instant, Instant);

/// When a probe was made, and when its outcome was looked at.
pub(super) struct Probed {
    started: Instant,
    finished: Instant,
    taken_up: Instant,
}

impl Probed {
    /// That `report` is looked at now.
    pub(super) fn take_up(report: &Report) -> Self {
        Probed { started: report.started, finished: report.finished, taken_up: now() }
    }

    /// Tells of the transition among `notices`, if there is one: from the deciding probe to the table
    /// that is read from there on.
    pub(super) fn tell(&self, traces: &Traces, notices: &[Notice]) {
        let turned = notices.iter().find_map(|notice| match notice {
            Notice::Turned { watch, transition } => Some((watch, transition)),
            _ => None,
        });
        let Some((watch, transition)) = turned else { return };
        let Probed { started, finished, taken_up } = *self;
        traces.tell(|| {
            let ended = now();
            let generation = notices.iter().find_map(|notice| match notice {
                Notice::Published { generation } => Some(*generation),
                _ => None,
            });
            let whole = Step::new("transition", started, ended)
                .with("rhumb.pool", watch.pool_or_none())
                .with("rhumb.address", &watch.address)
                .with("rhumb.to", transition.to)
                .with("rhumb.reason", transition);
            let probe = Step::new("probe", started, finished).with("rhumb.check", &watch.check.name);
            let decision = Step::new("decision and swap", taken_up, ended);
            let decision = match generation {
                Some(generation) => decision.with("rhumb.generation", generation),
                // Such as that of a place that a condition is about.
                None => decision,
            };
            (whole, vec![probe, decision], Ok(()))
        });
    }
}

/// Tells of a reload: what was read and compiled on its thread, and put into force from `swap` on.
pub(super) fn reloaded(
    traces: &Traces,
    made: Span,
    swap: Instant,
    trigger: &'static str,
    refusal: Option<&String>,
) {
    traces.tell(|| {
        let ended = now();
        let whole = Step::new("reload", made.0, ended).with("rhumb.trigger", trigger);
        let steps = vec![Step::new("read and compile", made.0, made.1), Step::new("swap", swap, ended)];
        (whole, steps, refusal.map_or(Ok(()), |reason| Err(reason.clone())))
    });
}

/// Tells of edits that were made together: on their thread, with what was `kept` in the journal, and put
/// into force from `swap` on.
pub(super) fn edited(traces: &Traces, made: Span, kept: &[Span], swap: Instant, objects: &[String]) {
    if objects.is_empty() {
        return;
    }
    traces.tell(|| {
        let ended = now();
        let whole = Step::new("edit", made.0, ended).with("rhumb.objects", objects.join(" "));
        let mut steps = vec![Step::new("make", made.0, made.1)];
        steps.extend(kept.iter().map(|(began, ended)| Step::new("journal", *began, *ended)));
        steps.push(Step::new("swap", swap, ended));
        (whole, steps, Ok(()))
    });
}
