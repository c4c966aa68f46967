//! What destinations of notifications keep to themselves, out of files of its own.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use reqwest::Url;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{Notification, NotificationKind, UrlSource};
use crate::config::files::FilesRead;

/// Longer than any URL or password that a service gives out; more is some other file.
const LONGEST: usize = 4096;

/// What must not be shown: it is wiped when it is given back, and no message has it in it.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

/// The secrets of a destination.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// The URL, where a file has it.
    pub url: Option<Secret>,
    /// The token, the secret of signatures or the password.
    pub secret: Option<Secret>,
}

/// A file that has no secret to give. No message has a part of it.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct UnreadSecret {
    /// Where it is.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: UnfitSecret,
}

/// What is wrong with a file of a secret.
#[derive(Debug, thiserror::Error)]
pub enum UnfitSecret {
    /// It cannot be read.
    #[error("cannot read the file: {0}")]
    Unreadable(io::Error),
    /// There is something else in it.
    #[error("{0}")]
    Unfit(&'static str),
}

impl Secret {
    /// What it is, for whoever is to be shown it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Reads the one line of the file at `path`.
    fn read(path: &Path) -> Result<Self, UnfitSecret> {
        let octets = Zeroizing::new(fs::read(path).map_err(UnfitSecret::Unreadable)?);
        if octets.len() > LONGEST {
            return Err(UnfitSecret::Unfit("it is too long to be a secret: a line of 4096 octets at most"));
        }
        let text = std::str::from_utf8(&octets).map_err(|_| UnfitSecret::Unfit("the file is not UTF-8"))?;
        match text.trim() {
            "" => Err(UnfitSecret::Unfit("there is nothing in it")),
            line if line.chars().any(char::is_control) => {
                Err(UnfitSecret::Unfit("there is more than one line in it"))
            }
            line => Ok(Secret(Zeroizing::new(line.to_owned()))),
        }
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Notification {
    /// Reads its secrets, which [`load`](crate::config::load) leaves to the daemon: that does so before it
    /// gives up the rights for it.
    ///
    /// # Errors
    ///
    /// For each file that has none.
    pub fn read_credentials(&self) -> Result<Credentials, Vec<UnreadSecret>> {
        let mut unread = Vec::new();
        let mut read = |path: Option<&PathBuf>, fits: fn(&Secret) -> Result<(), &'static str>| {
            let path = path?;
            let secret = Secret::read(path)
                .and_then(|secret| fits(&secret).map(|()| secret).map_err(UnfitSecret::Unfit));
            secret.map_err(|reason| unread.push(UnreadSecret { path: path.clone(), reason })).ok()
        };
        let url = read(self.url_file(), |secret| url_fault(secret.reveal()).map_or(Ok(()), Err));
        let secret = read(self.secret_file(), |_| Ok(()));
        if unread.is_empty() { Ok(Credentials { url, secret }) } else { Err(unread) }
    }

    /// The files of its secrets.
    pub fn secret_files(&self) -> impl Iterator<Item = &PathBuf> {
        self.url_file().into_iter().chain(self.secret_file())
    }

    /// Those of them that anybody on this host may read.
    pub fn exposed_files(&self) -> Vec<&PathBuf> {
        const OTHERS_READ: u32 = 0o004;
        let is_exposed = |path: &&PathBuf| {
            fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & OTHERS_READ != 0)
        };
        self.secret_files().filter(is_exposed).collect()
    }

    /// Adds what is in its secrets' files, as this process can read them, to the files that a reload reads.
    pub fn note_files(&self, files: &mut FilesRead) {
        for path in self.secret_files() {
            // What is wrong with it is told by whoever needs it.
            let _ = files.read(path).map(Zeroizing::new);
        }
    }

    fn url_file(&self) -> Option<&PathBuf> {
        match &self.kind {
            NotificationKind::Webhook { url, .. } | NotificationKind::Alertmanager { url, .. } => match url {
                UrlSource::Written(_) => None,
                UrlSource::File(path) => Some(path),
            },
            NotificationKind::Slack { url_file } | NotificationKind::DingTalk { url_file, .. } => {
                Some(url_file)
            }
            NotificationKind::Email(_) => None,
        }
    }

    fn secret_file(&self) -> Option<&PathBuf> {
        match &self.kind {
            NotificationKind::Webhook { token_file, .. }
            | NotificationKind::Alertmanager { token_file, .. } => token_file.as_ref(),
            NotificationKind::Slack { .. } => None,
            NotificationKind::DingTalk { secret_file, .. } => secret_file.as_ref(),
            NotificationKind::Email(email) => email.login.as_ref().map(|login| &login.password_file),
        }
    }
}

/// What is wrong with a URL, without a word of it; `None`: nothing.
pub(super) fn url_fault(text: &str) -> Option<&'static str> {
    let Ok(url) = Url::parse(text) else {
        return Some("it is no URL, such as \"https://hooks.example.com/rhumb\"");
    };
    if !matches!(url.scheme(), "http" | "https") {
        return Some("only `http` and `https` are spoken");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Some("a URL with a name or password in it ends up in logs elsewhere");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_one_line_and_is_not_shown() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("secret");
        for (octets, secret) in [
            (&b"hunter2\n"[..], Ok("hunter2")),
            (b"  two words \r\n", Ok("two words")),
            (b"", Err("there is nothing in it")),
            (b" \n", Err("there is nothing in it")),
            (b"hunter2\nhunter3\n", Err("there is more than one line in it")),
            (b"\xff", Err("the file is not UTF-8")),
            (&[b'x'; LONGEST + 1], Err("it is too long to be a secret: a line of 4096 octets at most")),
        ] {
            fs::write(&path, octets).expect("it can be written");
            let read = Secret::read(&path);
            assert!(!format!("{read:?}").contains("hunter"), "{read:?}");
            let read = read.map_err(|reason| reason.to_string());
            assert_eq!(read.as_ref().map(Secret::reveal).map_err(|reason| &reason[..]), secret);
        }
    }

    #[test]
    fn urls_are_of_http_and_have_no_password() {
        for (url, is_good) in [
            ("https://hooks.slack.com/services/T/B/x", true),
            ("http://127.0.0.1:9093", true),
            ("http://[::1]:9093/prefix", true),
            ("ftp://example.com/", false),
            ("https://user:pass@example.com/", false),
            ("example.com", false),
            ("https://", false),
            ("", false),
        ] {
            assert_eq!(url_fault(url).is_none(), is_good, "{url}");
        }
    }
}
