//! `isolation` in `[health]`: when the daemon suspects its own network.

use std::net::SocketAddr;

use super::reader::{Value, boolean, list_or_none, number, string};
use super::source::Located;
use crate::plan::{Isolation, is_connectable};

/// When four of five addresses fall silent at once, the network that they have in common is this
/// host's; a fifth of them may be beside it, or slow in falling silent.
const DEFAULT_SHARE: f32 = 0.8;

/// Below a half, what is left would be right more often than not.
const SHARES: std::ops::RangeInclusive<f32> = 0.5..=1.0;

/// `isolation` as written.
pub(super) enum IsolationSpec {
    /// `false`: silence is believed.
    Never,
    When {
        share: Option<Located<f32>>,
        canaries: Option<Located<Vec<Located<SocketAddr>>>>,
    },
}

impl IsolationSpec {
    /// Takes the table apart, or `false`.
    pub(super) fn read(value: Value<'_>) -> Option<Self> {
        if value.is_boolean() {
            return match boolean(value)? {
                false => Some(IsolationSpec::Never),
                true => value.refuse("that is so unless `false` is written", None),
            };
        }
        let mut table = value.table()?;
        let spec = IsolationSpec::When {
            share: table.optional("share", number(SHARES)),
            canaries: table.optional("canary", list_or_none(canary)),
        };
        table.finish();
        Some(spec)
    }
}

/// What is meant by `spec`; without one, the defaults.
pub(super) fn convert(spec: Option<IsolationSpec>) -> Option<Isolation> {
    let (share, canaries) = match spec {
        Some(IsolationSpec::Never) => return None,
        Some(IsolationSpec::When { share, canaries }) => (share, canaries),
        None => (None, None),
    };
    let canaries = canaries.map_or(Vec::new(), |canaries| canaries.value);
    Some(Isolation {
        // As it is written, and not as the nearest of fewer binary digits.
        share: (f64::from(share.map_or(DEFAULT_SHARE, |share| share.value)) * 1e6).round() / 1e6,
        canaries: canaries.into_iter().map(|canary| canary.value).collect(),
    })
}

/// An IP address with the port that is connected to.
fn canary(value: Value<'_>) -> Option<SocketAddr> {
    let text = string(value)?;
    match text.parse::<SocketAddr>() {
        Ok(address) if is_connectable(address.ip()) && address.port() > 0 => Some(address),
        Ok(_) => value.refuse(format!("nobody can connect to `{text}`"), None),
        Err(_) => value.refuse(
            format!("`{text}` is not an IP address with a port"),
            "write it as in \"192.0.2.1:53\" or \"[2001:db8::1]:443\"; a name would need the very network \
             that is in doubt"
                .to_owned(),
        ),
    }
}
