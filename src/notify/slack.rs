//! Incoming webhooks of Slack, and of all that take the same.

use serde_json::{Value, json};

use super::outbox::Message;
use super::text;

/// A message as Slack takes it: text, of which the first line is bold.
pub(super) fn body(message: &Message, instance: &str) -> Value {
    let title = escaped(&text::title(message));
    let lines: Vec<String> =
        text::lines(message).iter().map(|line| format!("\n• {}", escaped(line))).collect();
    json!({ "text": format!("*{}* rhumb on {}: {title}{}", text::word(message), escaped(instance), lines.concat()) })
}

/// The three characters that mean something to Slack.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
