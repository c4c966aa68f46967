//! Where answers go, in Prometheus' text form.
//!
//! Apart from the recorder, which keeps a series for ever: pools and domains come and go.

use std::fmt::Write;

use crate::routing::DomainFlow;

/// How often domains have taken their pools.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// Whether it is counted at all.
    pub is_counted: bool,
    /// The domains; none if they are too many for metrics.
    pub domains: Vec<DomainFlow>,
}

impl Answers {
    /// Adds its family to `text`, which is in the exposition format.
    pub(super) fn render(&self, text: &mut String) {
        let pools = |domain: &DomainFlow| !domain.pools.is_empty();
        if !self.domains.iter().any(pools) {
            return;
        }
        text.push_str("# HELP rhumb_answers_total How often a domain has taken a pool.\n");
        text.push_str("# TYPE rhumb_answers_total counter\n");
        for domain in &self.domains {
            for pool in &domain.pools {
                let (name, pool, answers) = (escaped(&domain.name), escaped(&pool.pool), pool.answers);
                // A String takes everything.
                let _ = writeln!(text, "rhumb_answers_total{{domain=\"{name}\",pool=\"{pool}\"}} {answers}");
            }
        }
        text.push('\n');
    }
}

/// A label's value as it stands between quotes.
fn escaped(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::PoolFlow;

    #[test]
    fn names_are_escaped_and_nothing_is_no_family() {
        let mut text = String::new();
        Answers::default().render(&mut text);
        assert_eq!(text, "");
        let pools = vec![PoolFlow { pool: "a \"b\"".to_owned(), answers: 7 }];
        let domains = vec![DomainFlow { name: r"a\032b.example".to_owned(), answers: 7, pools }];
        Answers { is_counted: true, domains }.render(&mut text);
        let sample = text.lines().find(|line| !line.starts_with('#'));
        let expected = r#"rhumb_answers_total{domain="a\\032b.example",pool="a \"b\""} 7"#;
        assert_eq!(sample, Some(expected));
    }
}
