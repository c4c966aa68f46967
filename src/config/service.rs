//! The keys of `[server]` by which a server presents and guards itself.

use std::path::{Path, PathBuf};

use ipnet::IpNet;

use super::reader::{Table, Value, boolean, integer, list_or_none, string};
use super::report::Report;
use super::serves::prefix;
use super::settings::path;
use super::source::Located;
use crate::dns::MAX_NSID;

/// How the server presents and guards itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceSettings {
    /// Whether clients are given cookies (RFC 7873).
    pub cookies: bool,
    /// The file with the secrets of cookies; `None`: one of this server's own.
    pub cookie_secret_file: Option<PathBuf>,
    /// The identifier of RFC 5001, of 1 to 64 octets; `None`: it is not told.
    pub nsid: Option<String>,
    /// What `version.bind` is answered with, 1 to 64 octets; `None`: it is refused.
    pub version: Option<String>,
    /// What `id.server` is answered with (RFC 4892), 1 to 64 octets; `None`: it is refused.
    pub id: Option<String>,
    /// How many replies go out over UDP.
    pub rate_limit: RateLimitSettings,
}

/// `[server.rate_limit]`: how many replies of one kind a network of clients is sent over UDP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimitSettings {
    /// Replies per second, over all workers of an address; 0: as many as are asked for.
    pub responses_per_second: u32,
    /// Of the replies beyond, every so manieth is sent truncated; 0: none.
    pub slip: u32,
    /// Networks that are not limited.
    pub exempt: Vec<IpNet>,
}

/// Says what answers, as administrators expect, and not which version has which flaws.
const DEFAULT_VERSION: &str = "rhumb";
/// In place of a text: nothing is said.
const SILENT: &str = "none";
/// As NSD has it. Steered names have TTLs of seconds, so that a large resolver comes more often
/// than the 5 to 20 a second that the manuals of BIND and Knot recommend for other zones.
const DEFAULT_RATE: u32 = 200;
/// More than any worker answers: what is above is a slip of the finger.
const MAX_RATE: u32 = 1_000_000;
/// As BIND, NSD and Knot have it: a flood is halved, and of those who really ask, three in four
/// have been told to come by TCP after two tries.
const DEFAULT_SLIP: u32 = 2;
/// Beyond some ten the truncated replies are too few to be of use (BIND's limit).
const MAX_SLIP: u32 = 10;

/// The same as written.
#[derive(Default)]
pub(super) struct ServiceSpec {
    cookies: Option<Located<bool>>,
    cookie_secret_file: Option<Located<String>>,
    nsid: Option<Located<String>>,
    version: Option<Located<String>>,
    id: Option<Located<String>>,
    rate_limit: Option<Located<RateLimitSpec>>,
}

#[derive(Default)]
struct RateLimitSpec {
    responses_per_second: Option<Located<u32>>,
    slip: Option<Located<u32>>,
    exempt: Option<Located<Vec<Located<IpNet>>>>,
}

impl ServiceSpec {
    /// Takes its keys out of `[server]`.
    pub(super) fn read(server: &mut Table<'_>) -> Self {
        ServiceSpec {
            cookies: server.optional("cookies", boolean),
            cookie_secret_file: server.optional("cookie_secret_file", path),
            nsid: server.optional("nsid", text),
            version: server.optional("version", text),
            id: server.optional("id", text),
            rate_limit: server.optional("rate_limit", RateLimitSpec::read),
        }
    }

    /// Fills in the defaults and takes relative paths from `base_dir`.
    pub(super) fn convert(self, base_dir: &Path, report: &Report) -> ServiceSettings {
        let ServiceSpec { cookies, cookie_secret_file, nsid, version, id, rate_limit } = self;
        let cookies = cookies.is_none_or(|cookies| cookies.value);
        if let Some(file) = cookie_secret_file.as_ref().filter(|_| !cookies) {
            report.error(file.place, "`cookie_secret_file` does not apply without cookies");
        }
        let said = |text: Option<Located<String>>| text.map(|text| text.value).filter(|text| text != SILENT);
        ServiceSettings {
            cookies,
            cookie_secret_file: cookie_secret_file.map(|path| base_dir.join(path.value)),
            nsid: said(nsid),
            version: version.map_or(Some(DEFAULT_VERSION.to_owned()), |text| said(Some(text))),
            id: said(id),
            rate_limit: rate_limit.map(|spec| spec.value).unwrap_or_default().convert(),
        }
    }
}

impl RateLimitSpec {
    fn read(value: Value<'_>) -> Option<Self> {
        let mut table = value.table()?;
        let spec = RateLimitSpec {
            responses_per_second: table.optional("responses_per_second", integer(0..=MAX_RATE)),
            slip: table.optional("slip", integer(0..=MAX_SLIP)),
            exempt: table.optional("exempt", list_or_none(network)),
        };
        table.finish();
        Some(spec)
    }

    fn convert(self) -> RateLimitSettings {
        let RateLimitSpec { responses_per_second, slip, exempt } = self;
        let exempt = exempt.map(|exempt| exempt.value).unwrap_or_default();
        RateLimitSettings {
            responses_per_second: responses_per_second.map_or(DEFAULT_RATE, |rate| rate.value),
            slip: slip.map_or(DEFAULT_SLIP, |slip| slip.value),
            exempt: exempt.into_iter().map(|net| net.value).collect(),
        }
    }
}

/// A text that a reply can carry.
fn text(value: Value<'_>) -> Option<String> {
    let text = string(value)?;
    if text.is_empty() || text.len() > MAX_NSID {
        return value.refuse(
            format!("the text has {} octets, not 1 to {MAX_NSID}", text.len()),
            format!("\"{SILENT}\" says nothing"),
        );
    }
    Some(text)
}

/// A prefix such as "203.0.113.0/24".
fn network(value: Value<'_>) -> Option<IpNet> {
    let text = string(value)?;
    prefix(value, &text)
}
