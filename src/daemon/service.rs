//! How the server presents and guards itself, from its settings and the secrets on disk.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use data_encoding::HEXLOWER_PERMISSIVE;
use zeroize::Zeroizing;

use super::DaemonError;
use crate::config::{RateLimitSettings, ServerSettings, ServiceSettings};
use crate::routing::{CookieSecret, CookieSecrets, RateLimit, Service};

/// The name, in the state directory, of the file with the secret of a server that is given none.
const SECRET_FILE: &str = "cookie.secret";

/// Reads the secrets of cookies where a file of them is named.
///
/// # Errors
///
/// If the file cannot be read or has no secrets.
pub(super) fn named_secrets(settings: &ServiceSettings) -> Result<Option<CookieSecrets>, DaemonError> {
    let Some(path) = &settings.cookie_secret_file else { return Ok(None) };
    let secrets = fs::read_to_string(path).and_then(|text| parse(&Zeroizing::new(text)));
    secrets.map(Some).map_err(|error| DaemonError::CookieSecret(path.clone(), error))
}

/// The secret of a server that is given none, kept in the state directory; `None`: it is to make no
/// cookies, or cannot.
pub(super) fn own_secrets(settings: &ServerSettings) -> Option<CookieSecrets> {
    settings.service.cookies.then(|| own_secret(&settings.state_dir)).flatten()
}

/// The service of `settings`, whose rate is shared by `workers`.
pub(super) fn service(settings: &ServerSettings, workers: usize) -> Service {
    let ServiceSettings { cookies: _, cookie_secret_file: _, nsid, version, id, rate_limit } =
        settings.service.clone();
    Service {
        rate_limit: share(rate_limit, workers),
        nsid,
        version,
        id,
        tcp_idle_timeout: Some(settings.tcp.idle_timeout),
    }
}

/// What one of `workers` may send: the kernel divides the clients of an address among them, by
/// address and port.
fn share(settings: RateLimitSettings, workers: usize) -> Option<RateLimit> {
    let RateLimitSettings { responses_per_second, slip, exempt } = settings;
    let workers = u32::try_from(workers).unwrap_or(u32::MAX);
    let replies_per_second = responses_per_second.div_ceil(workers.max(1));
    (responses_per_second > 0).then_some(RateLimit { replies_per_second, slip, exempt })
}

/// The secret kept in `state_dir`, made at the first start. Where it cannot be kept, cookies are
/// good as long as the process runs: clients are then given new ones. `None`: this machine has no
/// randomness to make one of.
fn own_secret(state_dir: &Path) -> Option<CookieSecrets> {
    let path = state_dir.join(SECRET_FILE);
    let kept = match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => keep_new(state_dir, &path),
        read => read.and_then(|text| parse(&Zeroizing::new(text))),
    };
    kept.or_else(|error| {
        tracing::warn!(path = %path.display(), %error, "the secret of cookies is not kept over a restart");
        random().map(|secret| CookieSecrets::new(secret, &[]))
    })
    .inspect_err(|error| tracing::warn!(%error, "clients are given no cookies"))
    .ok()
}

/// Makes a secret and writes it to `path`, whole or not at all.
fn keep_new(state_dir: &Path, path: &Path) -> io::Result<CookieSecrets> {
    let secret = random()?;
    fs::create_dir_all(state_dir)?;
    let written = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&written)?;
    writeln!(file, "{}", HEXLOWER_PERMISSIVE.encode(&secret))?;
    file.sync_all()?;
    fs::rename(&written, path)?;
    Ok(CookieSecrets::new(secret, &[]))
}

fn random() -> io::Result<CookieSecret> {
    let mut secret = CookieSecret::default();
    fs::File::open("/dev/urandom")?.read_exact(&mut secret)?;
    Ok(secret)
}

/// Reads secrets, one a line in 32 hexadecimal digits: the first is current. Empty lines and those
/// that start with `#` are passed over.
fn parse(text: &str) -> io::Result<CookieSecrets> {
    let lines = text.lines().map(str::trim).zip(1..);
    let secrets: Vec<CookieSecret> = lines
        .filter(|(line, _)| !line.is_empty() && !line.starts_with('#'))
        .map(|(line, number)| {
            let octets = HEXLOWER_PERMISSIVE.decode(line.as_bytes()).ok();
            octets.and_then(|octets| octets.try_into().ok()).ok_or_else(|| {
                // Not what it says: it may be a secret with a slip of the finger.
                io::Error::other(format!("line {number} is not 32 hexadecimal digits"))
            })
        })
        .collect::<Result<_, _>>()?;
    match &secrets[..] {
        [current, further @ ..] => Ok(CookieSecrets::new(*current, further)),
        [] => Err(io::Error::other("it has no secret")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn secrets_are_read_line_by_line() {
        for (text, error) in [
            ("e5e973e5a6b2a43f48e7dc849e37bfcf", None),
            ("\n# the new one\nE5E973E5A6B2A43F48E7DC849E37BFCF\n445536bcd2513298075a5d379663c962\n", None),
            ("", Some("it has no secret")),
            ("# none\n", Some("it has no secret")),
            ("e5e973e5a6b2a43f48e7dc849e37bf\n", Some("line 1 is not 32 hexadecimal digits")),
            ("\nhello\n", Some("line 2 is not 32 hexadecimal digits")),
        ] {
            assert_eq!(parse(text).err().map(|error| error.to_string()).as_deref(), error, "{text:?}");
        }
    }

    #[test]
    fn a_secret_of_its_own_is_made_once_and_for_its_user_alone() {
        let directory = tempfile::tempdir().expect("a directory");
        let state = directory.path().join("new");
        own_secret(&state);
        let path = state.join(SECRET_FILE);
        let first = fs::read_to_string(&path).expect("it was kept");
        assert_eq!(first.trim().len(), 32);
        assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o600);
        own_secret(&state);
        assert_eq!(fs::read_to_string(&path).expect("it is still there"), first);
        let elsewhere = directory.path().join("other");
        own_secret(&elsewhere);
        assert_ne!(fs::read_to_string(elsewhere.join(SECRET_FILE)).expect("it was kept"), first);
    }

    #[test]
    fn workers_share_the_rate() {
        let share = |responses_per_second, workers| {
            let settings = RateLimitSettings { responses_per_second, slip: 2, exempt: Vec::new() };
            super::share(settings, workers).map(|limit| limit.replies_per_second)
        };
        assert_eq!([share(200, 1), share(200, 3), share(1, 8)], [Some(200), Some(67), Some(1)]);
        assert_eq!(share(0, 8), None);
    }
}
