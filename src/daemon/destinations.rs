//! Who is told what happens: their secrets, and what the admin side asks of them.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::DaemonError;
use crate::admin::{self, Notifications};
use crate::config::{Credentials, FilesRead, Notification, UnfitSecret, UnreadSecret};
use crate::notify::Notifier;
use crate::telemetry::Notified;

/// Destinations, each with its secrets. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Destinations(Arc<Vec<(Notification, Credentials)>>);

impl Destinations {
    /// Reads the secrets of `notifications`.
    ///
    /// # Errors
    ///
    /// If one cannot be read, or is none.
    pub(super) fn read(notifications: Vec<Notification>) -> Result<Self, DaemonError> {
        let with_secrets = |notification: Notification| {
            warn_of_exposed(&notification);
            let credentials = notification.read_credentials().map_err(DaemonError::Notification)?;
            Ok((notification, credentials))
        };
        let all = notifications.into_iter().map(with_secrets).collect::<Result<_, DaemonError>>()?;
        Ok(Destinations(Arc::new(all)))
    }

    /// The same for `notifications` of another configuration. Secrets that are not for this process to read again, which
    /// has given up its privileges, stay as they are, where their files do.
    ///
    /// # Errors
    ///
    /// In words, without a secret.
    pub(super) fn read_anew(&self, notifications: Vec<Notification>) -> Result<Self, String> {
        let mut all = Vec::with_capacity(notifications.len());
        for notification in notifications {
            warn_of_exposed(&notification);
            let credentials = match notification.read_credentials() {
                Ok(credentials) => credentials,
                Err(unread) => match self.known(&notification).filter(|_| unread.iter().all(is_denied)) {
                    Some(credentials) => {
                        let name = &notification.name;
                        tracing::warn!(destination = %name, "cannot read its secrets again: they stay");
                        credentials
                    }
                    None => return Err(listed(&unread)),
                },
            };
            all.push((notification, credentials));
        }
        Ok(Destinations(Arc::new(all)))
    }

    /// Adds what is in the files of secrets, as this process can read them, to the files that a reload reads.
    pub(super) fn note_files(&self, files: &mut FilesRead) {
        for (notification, _) in self.0.iter() {
            notification.note_files(files);
        }
    }

    /// Each with its secrets.
    pub(super) fn to_vec(&self) -> Vec<(Notification, Credentials)> {
        self.0.to_vec()
    }

    /// The secrets that are known of one with the same files.
    fn known(&self, notification: &Notification) -> Option<Credentials> {
        let (_, credentials) = self.0.iter().find(|(known, _)| {
            known.name == notification.name && known.secret_files().eq(notification.secret_files())
        })?;
        Some(credentials.clone())
    }
}

fn is_denied(unread: &UnreadSecret) -> bool {
    matches!(&unread.reason, UnfitSecret::Unreadable(error) if error.kind() == ErrorKind::PermissionDenied)
}

/// Each on a line.
pub(super) fn listed(unread: &[UnreadSecret]) -> String {
    unread.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn warn_of_exposed(notification: &Notification) {
    for path in notification.exposed_files() {
        let (destination, path) = (&notification.name, path.display());
        tracing::warn!(%destination, %path, "anybody on this host may read this secret: `chmod o-r` it");
    }
}

/// What has become of messages to those who are told at present.
pub(super) fn notified(notifier: &Notifier) -> Vec<Notified> {
    let counted = notifier.status().into_iter().map(|status| Notified {
        destination: status.name,
        results: [("delivered", status.delivered), ("dropped", status.dropped), ("failed", status.failed)],
    });
    counted.collect()
}

/// What the admin side asks.
pub(super) struct Asked(pub(super) Notifier);

impl Notifications for Asked {
    fn list(&self) -> Vec<admin::Destination> {
        let moment = |at: Duration| humantime::format_rfc3339_millis(UNIX_EPOCH + at).to_string();
        let shown = self.0.status().into_iter().map(|status| {
            let (last_failed, last_error) = status.last_failure.unzip();
            admin::Destination {
                name: status.name,
                kind: status.kind,
                queued: status.queued,
                retrying: status.is_retrying,
                standing: status.standing,
                delivered: status.delivered,
                failed: status.failed,
                dropped: status.dropped,
                last_delivered: status.last_delivered.map(moment),
                last_failed: last_failed.map(moment),
                last_error,
            }
        });
        shown.collect()
    }

    fn test(&self, name: String) -> BoxFuture<'_, Option<Result<(), String>>> {
        async move { self.0.test(&name).await }.boxed()
    }
}
