//! What a drill saw, as it happened. All times count from its start.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;

/// The states that a drill walks through, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Stage {
    /// Both sites serve.
    Baseline,
    /// The site that clients prefer is down.
    PreferredDown,
    /// No site serves.
    BothDown,
    /// The other site serves again.
    OtherBack,
    /// Both sites serve again.
    PreferredBack,
}

/// Everything that was seen, in states of the kind `S`.
#[derive(Debug)]
pub(super) struct Recording<S = Stage> {
    /// The states in order, without gaps.
    pub(super) spans: Vec<Span<S>>,
    /// The client's requests, by when they started.
    pub(super) requests: Vec<Request>,
    /// What the name server answered to an observer that caches nothing, in order.
    pub(super) lookups: Vec<Lookup>,
}

/// A state and when it was. It begins when its fault is ordered, or when the mending is done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span<S = Stage> {
    pub(super) stage: S,
    pub(super) began: Duration,
    pub(super) ended: Duration,
}

/// One request of the client.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) started: Duration,
    pub(super) ended: Duration,
    /// The address that the name resolved to, if it did.
    pub(super) address: Option<IpAddr>,
    /// Why it failed, if it did.
    pub(super) failure: Option<String>,
}

/// One answer of the name server.
#[derive(Clone, Debug)]
pub(super) struct Lookup {
    pub(super) asked: Duration,
    pub(super) answered: Duration,
    /// Empty if there was no answer, or one without addresses.
    pub(super) addresses: BTreeSet<IpAddr>,
    pub(super) ttl: Duration,
}

impl Stage {
    /// All of them.
    pub(super) const ALL: [Stage; 5] =
        [Stage::Baseline, Stage::PreferredDown, Stage::BothDown, Stage::OtherBack, Stage::PreferredBack];

    /// What happens in it, where `sites` are the preferred and the other one.
    pub(super) fn label(self, sites: &[String; 2]) -> String {
        let [preferred, other] = sites;
        match self {
            Stage::Baseline => "baseline".to_owned(),
            Stage::PreferredDown => format!("{preferred} down"),
            Stage::BothDown => "both down".to_owned(),
            Stage::OtherBack => format!("{other} back"),
            Stage::PreferredBack => format!("{preferred} back"),
        }
    }

    /// Whether `answer` leads to a site that serves, where `preferred` are the addresses of the
    /// preferred one. While both are down no answer does.
    pub(super) fn is_right(self, answer: &BTreeSet<IpAddr>, preferred: &BTreeSet<IpAddr>) -> bool {
        !answer.is_empty()
            && match self {
                Stage::Baseline => true,
                Stage::PreferredDown | Stage::OtherBack => answer.is_disjoint(preferred),
                Stage::BothDown => false,
                Stage::PreferredBack => answer.is_subset(preferred),
            }
    }
}

impl Recording {
    /// The addresses of the preferred site: what is answered while both serve.
    pub(super) fn preferred(&self) -> BTreeSet<IpAddr> {
        let baseline = self.spans.iter().filter(|span| span.stage == Stage::Baseline);
        baseline.flat_map(|span| self.lookups_in(span)).flat_map(|lookup| lookup.addresses.clone()).collect()
    }
}

impl<S> Recording<S> {
    /// The longest TTL that was answered.
    pub(super) fn ttl(&self) -> Duration {
        self.lookups.iter().map(|lookup| lookup.ttl).max().unwrap_or_default()
    }

    /// What was asked and answered during `span`.
    pub(super) fn lookups_in(&self, span: &Span<S>) -> impl Iterator<Item = &Lookup> {
        let (began, ended) = (span.began, span.ended);
        self.lookups.iter().filter(move |lookup| lookup.asked >= began && lookup.answered < ended)
    }

    /// What started during `span`.
    pub(super) fn requests_in(&self, span: &Span<S>) -> impl Iterator<Item = &Request> {
        let (began, ended) = (span.began, span.ended);
        self.requests.iter().filter(move |request| (began..ended).contains(&request.started))
    }
}

/// States from when each began, the last one until `ended`.
pub(super) fn spans<S: Copy>(begins: &[(S, Duration)], ended: Duration) -> Vec<Span<S>> {
    let ends = begins.iter().skip(1).map(|(_, began)| *began).chain([ended]);
    begins.iter().zip(ends).map(|(&(stage, began), ended)| Span { stage, began, ended }).collect()
}
