//! Prometheus' text exposition format, version 0.0.4, of what is known only when somebody scrapes.
//!
//! Apart from the recorder, which keeps a series for ever: what is told here ends with what it is about.

use std::fmt::Write;

use crate::routing::Distribution;

/// Bounds of distributions are nanoseconds, those of metrics seconds.
pub(super) const NANOSECONDS: f64 = 1e-9;

/// Families of samples, one behind the other.
#[derive(Default)]
pub(super) struct Exposition(String);

/// One family. Without a sample it is not told at all.
pub(super) struct Family<'e> {
    text: &'e mut String,
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    is_begun: bool,
}

impl Exposition {
    pub(super) fn counter(&mut self, name: &'static str, help: &'static str) -> Family<'_> {
        self.family(name, "counter", help)
    }

    pub(super) fn gauge(&mut self, name: &'static str, help: &'static str) -> Family<'_> {
        self.family(name, "gauge", help)
    }

    pub(super) fn histogram(&mut self, name: &'static str, help: &'static str) -> Family<'_> {
        self.family(name, "histogram", help)
    }

    fn family(&mut self, name: &'static str, kind: &'static str, help: &'static str) -> Family<'_> {
        Family { text: &mut self.0, name, kind, help, is_begun: false }
    }

    /// The text, with that of others in front.
    pub(super) fn behind(self, mut others: String) -> String {
        others.push_str(&self.0);
        others
    }
}

// A String takes everything: nothing below can fail.
impl Family<'_> {
    /// Tells a value.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: f64) {
        self.line("", labels, None, value);
    }

    /// Tells a count, which is exact up to 2^53.
    pub(super) fn count(&mut self, labels: &[(&str, &str)], value: u64) {
        self.sample(labels, value as f64);
    }

    /// Tells whether something is so.
    pub(super) fn truth(&mut self, labels: &[(&str, &str)], value: bool) {
        self.sample(labels, f64::from(u8::from(value)));
    }

    /// Tells a distribution; `unit` is what makes its bounds and its sum those of the metric.
    pub(super) fn distribution(&mut self, labels: &[(&str, &str)], distribution: &Distribution, unit: f64) {
        let mut below = 0;
        for (bound, count) in &distribution.buckets {
            below += count;
            // Through decimal digits, so that 0.0005 is not told as 0.0005000000000000001.
            let bound = *bound as f64 * unit;
            let bound: f64 = format!("{bound:.9}").parse().unwrap_or(bound);
            self.line("_bucket", labels, Some(&bound.to_string()), below as f64);
        }
        self.line("_bucket", labels, Some("+Inf"), distribution.count() as f64);
        self.line("_sum", labels, None, distribution.sum as f64 * unit);
        self.line("_count", labels, None, distribution.count() as f64);
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], bound: Option<&str>, value: f64) {
        let Family { text, name, kind, help, is_begun } = self;
        if !*is_begun {
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
            *is_begun = true;
        }
        text.push_str(name);
        text.push_str(suffix);
        let labels = labels.iter().copied().chain(bound.map(|bound| ("le", bound)));
        let mut separator = '{';
        for (label, value) in labels {
            text.push(separator);
            separator = ',';
            let _ = write!(text, "{label}=\"");
            escape(text, value);
            text.push('"');
        }
        if separator == ',' {
            text.push('}');
        }
        let _ = writeln!(text, " {value}");
    }
}

impl Drop for Family<'_> {
    fn drop(&mut self) {
        if self.is_begun {
            self.text.push('\n');
        }
    }
}

/// A label's value as it stands between quotes.
fn escape(text: &mut String, value: &str) {
    for character in value.chars() {
        match character {
            '\\' => text.push_str(r"\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str(r"\n"),
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn names_are_escaped_and_nothing_is_no_family() {
        let mut told = Exposition::default();
        drop(told.counter("nothing_total", "Nothing."));
        let mut some = told.gauge("some", "Some.");
        some.truth(&[("name", "a \"b\" \\ c\nd"), ("other", "")], true);
        some.sample(&[], f64::NAN);
        drop(some);
        let expected = "x\n# HELP some Some.\n# TYPE some gauge\n\
            some{name=\"a \\\"b\\\" \\\\ c\\nd\",other=\"\"} 1\nsome NaN\n\n";
        assert_eq!(told.behind("x\n".to_owned()), expected);
    }

    #[test]
    fn distributions_are_told_in_the_metrics_unit_and_cumulated() {
        let mut distribution = Distribution::of(&[100, 500_000]);
        for span in [50, 100, 101, 1_000_000] {
            distribution.record_span(Duration::from_nanos(span));
        }
        let mut told = Exposition::default();
        told.histogram("h_seconds", "H.").distribution(&[("a", "b")], &distribution, NANOSECONDS);
        let text = told.behind(String::new());
        for line in [
            "h_seconds_bucket{a=\"b\",le=\"0.0000001\"} 2",
            "h_seconds_bucket{a=\"b\",le=\"0.0005\"} 3",
            "h_seconds_bucket{a=\"b\",le=\"+Inf\"} 4",
            "h_seconds_count{a=\"b\"} 4",
        ] {
            assert!(text.lines().any(|told| told == line), "{line} in\n{text}");
        }
    }
}
