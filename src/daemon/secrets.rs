//! What cookies are made with: the secrets of a file that is named, or one of this server's own, which is replaced
//! while it runs.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use data_encoding::HEXLOWER_PERMISSIVE;
use tokio::sync::{mpsc, watch};
use zeroize::Zeroizing;

use super::{DaemonError, edits};
use crate::config::{ServerSettings, ServiceSettings};
use crate::routing::{CookieSecret, CookieSecrets};

/// The name, in the state directory, of the file with the secret of a server that is given none.
const SECRET_FILE: &str = "cookie.secret";

/// How long cookies are made with one secret: "SHOULD NOT" for more than 26 hours (RFC 7873 section 7.1).
const LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// How often it is looked whether it is that old, since clocks are set and machines suspended.
const LOOK_AGAIN: Duration = Duration::from_secs(60 * 60);

/// Reads the secrets of cookies where a file of them is named.
///
/// # Errors
///
/// If the file cannot be read or has no secrets.
pub(super) fn named(settings: &ServiceSettings) -> Result<Option<CookieSecrets>, DaemonError> {
    let Some(path) = &settings.cookie_secret_file else { return Ok(None) };
    let secrets = read(path).map(|secrets| CookieSecrets::new(secrets[0], &secrets[1..]));
    secrets.map(Some).map_err(|error| DaemonError::CookieSecret(path.clone(), error))
}

/// The secret of a server that is given none, and the one before.
pub(super) struct OwnSecret {
    /// `None`: it is not kept over a restart.
    path: Option<PathBuf>,
    secrets: Zeroizing<Vec<CookieSecret>>,
    /// When the current one was made, since 1970.
    made: Duration,
}

impl OwnSecret {
    /// The one kept in `state_dir`, unless it has had its time by `now`, since 1970; else a new one. Where that cannot
    /// be kept, cookies are good as long as the process runs: clients are then given new ones. `None`: the server is to
    /// make no cookies, or this machine has no randomness to make a secret of.
    pub(super) fn of(settings: &ServerSettings, now: Duration) -> Option<Self> {
        settings.service.cookies.then(|| Self::in_dir(&settings.state_dir, now)).flatten()
    }

    fn in_dir(state_dir: &Path, now: Duration) -> Option<Self> {
        let path = state_dir.join(SECRET_FILE);
        let made = fs::metadata(&path).and_then(|metadata| metadata.modified());
        let made = made.map(|made| made.duration_since(UNIX_EPOCH).unwrap_or_default());
        let kept = made.and_then(|made| Ok((made, read(&path)?)));
        let mut own = OwnSecret { path: Some(path), secrets: Zeroizing::default(), made: Duration::ZERO };
        match kept {
            Ok((made, secrets)) => (own.made, own.secrets) = (made, secrets),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // What cannot be read is not overwritten: somebody may want to see it.
            Err(error) => {
                own.not_kept(&error);
            }
        }
        if own.due(now).is_zero() {
            own.replace(now);
        }
        (!own.secrets.is_empty()).then_some(own)
    }

    /// What cookies are made with, and accepted from.
    pub(super) fn secrets(&self) -> Option<CookieSecrets> {
        self.secrets.split_first().map(|(current, further)| CookieSecrets::new(*current, further))
    }

    /// How long it is until another is to be made.
    fn due(&self, now: Duration) -> Duration {
        // One from ahead of this clock was made by another: it has its time from now on.
        if self.secrets.is_empty() {
            Duration::ZERO
        } else {
            LIFE.saturating_sub(now.saturating_sub(self.made))
        }
    }

    /// Makes another, and keeps it; cookies of the last one are still good. If that cannot be, all stays as it is.
    fn replace(&mut self, now: Duration) {
        let mut secret = Zeroizing::new(CookieSecret::default());
        let made = fs::File::open("/dev/urandom").and_then(|mut random| random.read_exact(&mut *secret));
        if let Err(error) = made {
            tracing::warn!(%error, "no new secret of cookies can be made");
            return;
        }
        let secrets: Vec<_> = std::iter::once(*secret).chain(self.secrets.first().copied()).collect();
        self.secrets = Zeroizing::new(secrets);
        self.made = now;
        if let Some(path) = &self.path
            && let Err(error) = write(path, &self.secrets)
        {
            self.not_kept(&error);
        }
    }

    fn not_kept(&mut self, error: &io::Error) {
        if let Some(path) = self.path.take() {
            tracing::warn!(path = %path.display(), %error, "the secret of cookies is not kept over a restart");
        }
    }

    /// Replaces it each time it is old, by what `clock` says since 1970, and sends what cookies are made with from then
    /// on; until `stopped`.
    pub(super) async fn renew(
        mut self,
        clock: impl Fn() -> Duration,
        renewed: mpsc::Sender<CookieSecrets>,
        mut stopped: watch::Receiver<bool>,
    ) {
        loop {
            let due = self.due(clock());
            tokio::select! {
                () = tokio::time::sleep(due.min(LOOK_AGAIN)), if !due.is_zero() => continue,
                _ = stopped.wait_for(|stopped| *stopped) => return,
                () = std::future::ready(()), if due.is_zero() => {}
            }
            let now = clock();
            let replaced = tokio::task::spawn_blocking(move || {
                self.replace(now);
                self
            });
            let Ok(replaced) = replaced.await else { return };
            self = replaced;
            let Some(secrets) = self.secrets() else { return };
            if renewed.send(secrets).await.is_err() {
                return;
            }
            tracing::info!("cookies are made with a new secret");
        }
    }
}

/// [`OwnSecret::renew`] by the clock of this machine, if there is one to be renewed; and where what comes of it arrives.
pub(super) fn renewing(
    own: Option<OwnSecret>,
    stopped: watch::Receiver<bool>,
) -> (Option<impl Future<Output = ()>>, mpsc::Receiver<CookieSecrets>) {
    let (renewed, secrets) = mpsc::channel(1);
    (own.map(|own| own.renew(edits::now, renewed, stopped)), secrets)
}

/// Writes secrets to `path`, whole or not at all.
fn write(path: &Path, secrets: &[CookieSecret]) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    let written = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&written)?;
    for secret in secrets {
        writeln!(file, "{}", *Zeroizing::new(HEXLOWER_PERMISSIVE.encode(secret)))?;
    }
    file.sync_all()?;
    fs::rename(&written, path)
}

/// Reads secrets, at least one: one a line in 32 hexadecimal digits, the first is current. Empty lines and those
/// that start with `#` are passed over.
fn read(path: &Path) -> io::Result<Zeroizing<Vec<CookieSecret>>> {
    fs::read_to_string(path).and_then(|text| parse(&Zeroizing::new(text)))
}

fn parse(text: &str) -> io::Result<Zeroizing<Vec<CookieSecret>>> {
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
    match secrets.is_empty() {
        true => Err(io::Error::other("it has no secret")),
        false => Ok(Zeroizing::new(secrets)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// Some time after 1970.
    const TODAY: Duration = Duration::from_secs(2_000_000_000);

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
    fn one_of_its_own_is_made_once_a_day_and_for_its_user_alone() {
        let directory = tempfile::tempdir().expect("a directory");
        let state = directory.path().join("new");
        let (path, real) = (state.join(SECRET_FILE), edits::now());
        let own = |now| OwnSecret::in_dir(&state, now).expect("there is randomness").secrets;
        let first = own(real);
        assert_eq!(first.len(), 1);
        assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o600);
        // Nor by a clock that was set back.
        for later in [real + LIFE - Duration::from_secs(60), real - LIFE] {
            assert_eq!(own(later), first);
        }
        let second = own(real + LIFE + Duration::from_secs(60));
        assert!(second[0] != first[0] && second[1..] == [first[0]]);
        assert_eq!(own(real), second, "it is kept");
        let elsewhere = OwnSecret::in_dir(&directory.path().join("other"), real).expect("another");
        assert_ne!(elsewhere.secrets, first);
    }

    #[test]
    fn one_that_cannot_be_kept_is_as_good_until_the_end() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(SECRET_FILE);
        fs::write(&path, "hello\n").expect("it can be written");
        let mut own = OwnSecret::in_dir(directory.path(), TODAY).expect("there is randomness");
        let first = own.secrets[0];
        assert_eq!(own.due(TODAY), LIFE);
        own.replace(TODAY + LIFE);
        assert_eq!(own.secrets[1..], [first]);
        assert_eq!(fs::read_to_string(&path).expect("it is still there"), "hello\n");
    }

    #[tokio::test(start_paused = true)]
    async fn each_day_has_one_while_the_server_runs() {
        let directory = tempfile::tempdir().expect("a directory");
        let own = OwnSecret::in_dir(directory.path(), TODAY).expect("there is randomness");
        let started = tokio::time::Instant::now();
        let clock = move || TODAY + started.elapsed();
        let (sender, mut renewed) = mpsc::channel(1);
        let (stop, stopped) = watch::channel(false);
        let mut last = own.secrets();
        let renewing = tokio::spawn(own.renew(clock, sender, stopped));
        for day in 1..4 {
            let secrets = renewed.recv().await;
            assert!(secrets.is_some() && secrets != last);
            assert_eq!(started.elapsed().as_secs(), day * LIFE.as_secs());
            last = secrets;
        }
        stop.send(true).expect("it runs");
        renewing.await.expect("it ends");
    }
}
