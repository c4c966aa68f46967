//! What was measured, as the table of docs/failover.md.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use crate::world::Who;

/// One server under one fault.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) fault: &'static str,
    pub(crate) who: Who,
    /// By when the last wrong answer has to have been given; `None`: none may be given at all.
    pub(crate) bound: Option<Duration>,
    /// From the fault to the last wrong answer, in each round.
    pub(crate) measured: Vec<Duration>,
    /// For how long nothing had to happen.
    pub(crate) watched: Option<Duration>,
    /// Changes of the answer that no fault called for.
    pub(crate) wrong_flips: usize,
    /// Queries that got no answer.
    pub(crate) unanswered: usize,
}

/// What rounds have in common.
pub(crate) struct Measured {
    pub(crate) median: Duration,
    pub(crate) p99: Duration,
    pub(crate) worst: Duration,
}

impl Row {
    pub(crate) fn new(fault: &'static str, who: Who, bound: Option<Duration>) -> Row {
        Row { fault, who, bound, measured: Vec::new(), watched: None, wrong_flips: 0, unanswered: 0 }
    }

    /// # Panics
    ///
    /// If there was no round.
    pub(crate) fn summary(&self) -> Measured {
        let mut sorted = self.measured.clone();
        sorted.sort();
        // The smallest that as many of a hundred do not exceed.
        let rank = |percent: usize| sorted[(sorted.len() * percent).div_ceil(100) - 1];
        Measured { median: rank(50), p99: rank(99), worst: rank(100) }
    }

    fn cells(&self) -> [String; 8] {
        let (who, flips) = (self.who.name().to_owned(), self.wrong_flips.to_string());
        let Some(bound) = self.bound else {
            let watched = self.watched.map_or_else(String::new, |for_| format!("{} s", for_.as_secs()));
            let dash = || "–".to_owned();
            return [self.fault.into(), who, "no flip".into(), watched, dash(), dash(), dash(), flips];
        };
        let Measured { median, p99, worst } = self.summary();
        let [bound, median, p99, worst] = [bound, median, p99, worst].map(milliseconds);
        let rounds = self.measured.len().to_string();
        [self.fault.into(), who, bound, rounds, median, p99, worst, flips]
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{} ms", (time.as_secs_f64() * 1e3).round())
}

const HEAD: [&str; 8] = ["fault", "server", "bound", "rounds", "median", "p99", "worst", "wrong flips"];

/// The rows as Markdown, by fault in the order of `faults`.
pub(crate) fn markdown(rows: &[Row], faults: &[&str]) -> String {
    let mut text = format!("| {} |\n|{}\n", HEAD.join(" | "), "---|".repeat(HEAD.len()));
    let place = |row: &Row| (faults.iter().position(|fault| *fault == row.fault), row.who);
    let mut sorted = rows.to_vec();
    sorted.sort_by_key(place);
    for row in sorted {
        writeln!(text, "| {} |", row.cells().join(" | ")).expect("strings take everything");
    }
    text
}

/// Replaces what lies between the two marks in the document by `table`.
pub(crate) fn put_into(document: &Path, table: &str) {
    const BEGIN: &str = "<!-- tests/faults/run: begin -->\n";
    const END: &str = "<!-- tests/faults/run: end -->";
    let text = std::fs::read_to_string(document).expect("a document");
    let (before, rest) = text.split_once(BEGIN).expect("a mark where the table begins");
    let (_, after) = rest.split_once(END).expect("a mark where the table ends");
    std::fs::write(document, format!("{before}{BEGIN}{table}{END}{after}")).expect("it can be written");
}
