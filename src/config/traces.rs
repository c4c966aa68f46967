//! `[traces]`: who is told of the steps of the control path.

use hyper::Uri;

use super::reader::{Value, string};
use super::source::Located;

/// `[traces]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TracesSettings {
    /// The URL of a collector that takes OTLP over HTTP, without the path of a signal.
    pub otlp: String,
}

/// `[traces]` as written.
pub(super) struct TracesSpec {
    otlp: Option<Located<String>>,
}

impl TracesSpec {
    /// Takes the table apart.
    pub(super) fn read(value: Value<'_>) -> Option<Self> {
        let mut table = value.table()?;
        let spec = TracesSpec { otlp: table.required("otlp", url) };
        table.finish();
        Some(spec)
    }

    /// What it means.
    pub(super) fn convert(self) -> Option<TracesSettings> {
        Some(TracesSettings { otlp: self.otlp?.value })
    }
}

/// The URL of a collector.
fn url(value: Value<'_>) -> Option<String> {
    let text = string(value)?;
    let uri: Option<Uri> = text.parse().ok();
    let is_fit = uri.is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some() && uri.query().is_none()
    });
    if is_fit {
        return Some(text);
    }
    let example = "write it as in \"http://127.0.0.1:4318\"".to_owned();
    value.refuse(format!("`{text}` is not the URL of a collector"), example)
}
