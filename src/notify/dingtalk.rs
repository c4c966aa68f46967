//! Robots of DingTalk groups.

use std::time::Duration;

use data_encoding::BASE64;
use reqwest::Url;
use ring::hmac;
use serde_json::{Value, json};

use super::delivery::Failure;
use super::outbox::{Hurdle, Message};
use super::text;
use crate::config::Secret;

/// The answer of a robot that was sent more than 20 messages in a minute, and then hears nothing for ten.
const TOO_MANY: i64 = 130_101;
/// The answer of a service that is busy.
const BUSY: i64 = -1;
/// As long as a robot hears nothing after too many messages.
const PENALTY: Duration = Duration::from_secs(600);

/// A message as a robot takes it.
pub(super) fn body(message: &Message, instance: &str) -> Value {
    let title = format!("{} rhumb on {instance}: {}", text::word(message), text::title(message));
    let content = [vec![title], text::lines(message)].concat().join("\n");
    json!({ "msgtype": "text", "text": { "content": content } })
}

/// Signs a request that is made at `now`, since the beginning of 1970: the HMAC-SHA256 of the milliseconds, a line feed
/// and the secret.
pub(super) fn sign(url: &mut Url, secret: &Secret, now: Duration) {
    let timestamp = now.as_millis().to_string();
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.reveal().as_bytes());
    let mut context = hmac::Context::with_key(&key);
    context.update(timestamp.as_bytes());
    context.update(b"\n");
    context.update(secret.reveal().as_bytes());
    let signature = BASE64.encode(context.sign().as_ref());
    url.query_pairs_mut().append_pair("timestamp", &timestamp).append_pair("sign", &signature);
}

/// Whether the robot has taken the message: what went wrong has status 200, too.
pub(super) fn check(answer: &[u8]) -> Result<(), Failure> {
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    let Some(code) = answer["errcode"].as_i64() else {
        return Err(Failure::passing("the answer is none of DingTalk's"));
    };
    let reason = format!("errcode {code}: {}", answer["errmsg"].as_str().unwrap_or_default());
    match code {
        0 => Ok(()),
        TOO_MANY => Err(Failure::of(reason, Hurdle { is_final: false, retry_after: Some(PENALTY) })),
        BUSY => Err(Failure::passing(reason)),
        _ => Err(Failure::lasting(reason)),
    }
}
