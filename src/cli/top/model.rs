//! What is shown, and what is being typed.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use serde::Deserialize;

use super::rows::{Row, rows};
use crate::cli::client::Event;
use crate::control::{HistoryStatus, Status};
use crate::plan::AddressState;

/// As many events are kept to be looked at.
const EVENTS: usize = 200;

/// Shares are of the answers of so many looks: enough that a quiet domain does not flicker, few enough
/// that a failover shows.
const WINDOW: usize = 10;

/// Everything that a frame shows.
pub(super) struct Model {
    /// The daemon that is asked.
    pub(super) admin: String,
    pub(super) status: Option<Status>,
    /// Why what is shown is not of now.
    pub(super) stale: Option<String>,
    /// Queries that are answered in a second.
    pub(super) rate: Option<f64>,
    /// The last looks, the latest last.
    flows: VecDeque<Flow>,
    replies: Option<(f64, Duration)>,
    pub(super) histories: HashMap<(String, String), HistoryStatus>,
    /// The latest last.
    pub(super) events: VecDeque<Event>,
    /// Which of the rows that can be chosen is.
    pub(super) chosen: usize,
    /// The first row that is shown.
    pub(super) top: usize,
    /// How many rows there was place for.
    pub(super) place: usize,
    pub(super) filter: String,
    pub(super) mode: Mode,
    /// Whether anybody can type.
    pub(super) is_live: bool,
    /// What came of the last order.
    pub(super) note: Option<Result<String, String>>,
}

/// What keys do.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Mode {
    /// Move and choose.
    #[default]
    Look,
    /// Write the filter.
    Filter,
    /// Write the reason of an order, and confirm it.
    Confirm(Order),
    /// End the help.
    Help,
}

/// An order that somebody is about to give, or gives.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Order {
    pub(super) pool: String,
    pub(super) address: Option<String>,
    pub(super) state: AddressState,
    pub(super) reason: String,
}

/// What follows on a key.
#[derive(Debug, PartialEq)]
pub(super) enum Effect {
    None,
    Quit,
    Order(Order),
}

/// Something new.
pub(super) enum Update {
    Status(Box<Status>),
    /// `None`: the daemon does not count.
    Flow(Option<Flow>),
    /// How many replies were sent until this moment of the poller's.
    Replies(f64, Duration),
    History(HistoryStatus),
    Event(Event),
    /// The daemon cannot be asked.
    Failed(String),
    /// What came of an order.
    Ordered(Result<String, String>),
}

/// How many answers were given since the daemon was started.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Flow {
    domains: Vec<FlowOfDomain>,
}

#[derive(Clone, Debug, Deserialize)]
struct FlowOfDomain {
    name: String,
    pools: Vec<FlowOfPool>,
}

#[derive(Clone, Debug, Deserialize)]
struct FlowOfPool {
    pool: String,
    answers: u64,
}

impl Flow {
    fn of(&self, domain: &str, pool: &str) -> u64 {
        let domain = self.domains.iter().find(|of| of.name == domain);
        domain.and_then(|of| of.pools.iter().find(|of| of.pool == pool)).map_or(0, |of| of.answers)
    }
}

impl Model {
    /// Nothing is known yet.
    pub(super) fn new(admin: String, filter: String) -> Self {
        Model {
            admin,
            status: None,
            stale: None,
            rate: None,
            flows: VecDeque::new(),
            replies: None,
            histories: HashMap::new(),
            events: VecDeque::new(),
            chosen: 0,
            top: 0,
            place: 0,
            filter,
            mode: Mode::Look,
            is_live: true,
            note: None,
        }
    }

    /// Takes in something new.
    pub(super) fn take(&mut self, update: Update) {
        match update {
            Update::Status(status) => {
                self.status = Some(*status);
                self.stale = None;
                let last = self.choices().len().saturating_sub(1);
                self.chosen = self.chosen.min(last);
            }
            Update::Flow(None) => self.flows.clear(),
            Update::Flow(Some(flow)) => {
                if self.flows.len() == WINDOW {
                    self.flows.pop_front();
                }
                self.flows.push_back(flow);
            }
            Update::Replies(count, at) => {
                if let Some((before, since)) = self.replies.replace((count, at)) {
                    let seconds = at.saturating_sub(since).as_secs_f64();
                    // A daemon that was started anew counts from nothing.
                    self.rate = (seconds > 0.0 && count >= before).then(|| (count - before) / seconds);
                }
            }
            Update::History(history) => {
                self.histories.insert((history.pool.clone(), history.address.clone()), history);
            }
            Update::Event(event) => {
                if self.events.len() == EVENTS {
                    self.events.pop_front();
                }
                self.events.push_back(event);
            }
            Update::Failed(reason) => {
                self.stale = Some(reason);
                self.rate = None;
                self.replies = None;
            }
            Update::Ordered(outcome) => self.note = Some(outcome),
        }
    }

    /// The share of a domain's answers that came from each of its pools of late; `None`: nobody counts,
    /// or nobody asks.
    pub(super) fn shares(&self, domain: &str, pools: &[String]) -> Option<Vec<f64>> {
        let (first, last) = (self.flows.front()?, self.flows.back()?);
        let nothing = Flow::default();
        // The first look knows no difference, and what is printed once is of all the time.
        let before = if self.flows.len() > 1 && self.is_live { first } else { &nothing };
        let difference = |pool: &String| last.of(domain, pool).saturating_sub(before.of(domain, pool)) as f64;
        let answers: Vec<f64> = pools.iter().map(difference).collect();
        let all: f64 = answers.iter().sum();
        (all > 0.0).then(|| answers.iter().map(|answers| answers / all).collect())
    }

    /// The rows below the head, and the names of what they are about.
    pub(super) fn rows(&self) -> Vec<Row<'_>> {
        self.status.as_ref().map(|status| rows(status, &self.filter)).unwrap_or_default()
    }

    /// The rows that can be chosen: pool, and address.
    pub(super) fn choices(&self) -> Vec<(String, Option<String>)> {
        self.rows().iter().filter_map(Row::subject).collect()
    }

    /// All addresses that are not filtered out.
    pub(super) fn addresses(&self) -> Vec<(String, String)> {
        self.choices().into_iter().filter_map(|(pool, address)| Some((pool, address?))).collect()
    }

    /// Those that are in sight.
    pub(super) fn visible_addresses(&self) -> Vec<(String, String)> {
        let rows = self.rows();
        let visible = rows.iter().skip(self.top).take(self.place).filter_map(Row::subject);
        visible.filter_map(|(pool, address)| Some((pool, address?))).collect()
    }

    /// What is chosen.
    pub(super) fn choice(&self) -> Option<(String, Option<String>)> {
        self.choices().into_iter().nth(self.chosen)
    }

    /// The state that is ordered of what is chosen, or `auto`.
    pub(super) fn state_of(&self, pool: &str, address: Option<&str>) -> String {
        let pool = self.status.iter().flat_map(|status| &status.pools).find(|status| status.name == pool);
        let state = match address {
            None => pool.and_then(|pool| pool.order.as_ref()).map(|order| order.state.clone()),
            Some(name) => {
                let address = pool.and_then(|pool| pool.addresses.iter().find(|status| status.name == name));
                address.map(|address| address.state.clone())
            }
        };
        state.unwrap_or_else(|| "auto".to_owned())
    }

    /// Scrolls so that what is chosen is among `place` rows.
    pub(super) fn show_choice(&mut self, place: usize) {
        self.place = place;
        let rows = self.rows();
        let count = rows.len();
        let choices = rows.iter().enumerate().filter(|(_, row)| row.subject().is_some());
        let at = choices.map(|(at, _)| at).nth(self.chosen).unwrap_or(0);
        // What stands above the first that can be chosen is in sight with it.
        let at_least = if self.chosen == 0 { 0 } else { at };
        self.top = self.top.min(at_least).max((at + 1).saturating_sub(place)).min(count.saturating_sub(1));
    }
}
