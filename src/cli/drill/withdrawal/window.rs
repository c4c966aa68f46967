//! The success of the last requests.

use std::collections::VecDeque;
use std::time::Duration;

use crate::cli::drill::recording::Request;

/// Long enough that a single loss does not count much, short enough to end a drill before its
/// clients complain.
const LENGTH: Duration = Duration::from_secs(5);

/// Fewer requests say nothing about a share.
const LEAST: usize = 5;

/// Looks back from the end of each request.
pub(super) struct Window {
    length: Duration,
    /// The share that is to succeed, in percent.
    least: f64,
    /// When requests ended, and whether they succeeded.
    ended: VecDeque<(Duration, bool)>,
}

impl Window {
    /// For a request every `interval`, of which `least` percent are to succeed.
    pub(super) fn new(interval: Duration, least: f64) -> Self {
        let enough = interval.saturating_mul(LEAST as u32);
        Window { length: LENGTH.max(enough), least, ended: VecDeque::new() }
    }

    /// Takes in a request that has ended after those before, and says so if too few succeed.
    pub(super) fn observe(&mut self, request: &Request) -> Option<String> {
        self.ended.push_back((request.ended, request.failure.is_none()));
        let from = request.ended.saturating_sub(self.length);
        while self.ended.front().is_some_and(|(ended, _)| *ended < from) {
            self.ended.pop_front();
        }
        let succeeded = self.ended.iter().filter(|(_, succeeded)| *succeeded).count();
        let share = 100.0 * succeeded as f64 / self.ended.len() as f64;
        let is_short = self.ended.len() >= LEAST && share < self.least;
        is_short.then(|| {
            let length = humantime::format_duration(self.length);
            format!(
                "{succeeded} of the {} requests of the last {length} succeeded, fewer than {} %",
                self.ended.len(),
                self.least
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_recent_and_enough_counts() {
        let ms = Duration::from_millis;
        let mut window = Window::new(ms(100), 80.0);
        let mut observe = |ended, succeeded: bool| {
            let failure = (!succeeded).then(|| "timed out".to_owned());
            window.observe(&Request { started: ms(ended), ended: ms(ended), address: None, failure })
        };
        for ended in [0, 100, 200, 300] {
            assert_eq!(observe(ended, false), None, "too few to tell");
        }
        let told = observe(400, true).expect("one of five is too few");
        assert_eq!(told, "1 of the 5 requests of the last 5s succeeded, fewer than 80 %");
        for ended in [5_301, 5_302, 5_303] {
            assert_eq!(observe(ended, true), None, "the failures are long ago");
        }
        assert_eq!(observe(5_304, false), None, "80 % are enough");
        assert!(observe(5_305, false).is_some());
    }

    #[test]
    fn a_long_interval_looks_back_further() {
        let mut window = Window::new(Duration::from_secs(10), 100.0);
        let told: Vec<_> = (0..5)
            .map(|number| {
                let ended = Duration::from_secs(10 * number);
                let failure = Some("timed out".to_owned());
                window.observe(&Request { started: ended, ended, address: None, failure })
            })
            .collect();
        assert!(told[..4].iter().all(Option::is_none) && told[4].is_some(), "{told:?}");
    }
}
