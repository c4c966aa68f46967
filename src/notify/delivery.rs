//! How a message gets where it is to go.

use std::time::Duration;

use data_encoding::BASE64;

use super::email::Mail;
use super::http::Http;
use super::outbox::{Hurdle, Message, Served};
use crate::config::{Credentials, Notification, NotificationKind};

/// A destination as it is reached.
pub(super) enum Route {
    Http(Box<Http>),
    Mail(Box<Mail>),
}

/// Why a message was not delivered.
#[derive(Debug)]
pub(super) struct Failure {
    /// In words, without a secret.
    pub(super) reason: String,
    pub(super) hurdle: Hurdle,
    /// For whom nothing more is to be tried, where others wait for another attempt.
    pub(super) served: Vec<Served>,
}

impl Failure {
    /// Something that may be over soon.
    pub(super) fn passing(reason: impl Into<String>) -> Self {
        Failure::of(reason, Hurdle { is_final: false, retry_after: None })
    }

    /// Something that another attempt would meet again.
    pub(super) fn lasting(reason: impl Into<String>) -> Self {
        Failure::of(reason, Hurdle { is_final: true, retry_after: None })
    }

    /// Something that decides in this way what happens next.
    pub(super) fn of(reason: impl Into<String>, hurdle: Hurdle) -> Self {
        Failure { reason: reason.into(), hurdle, served: Vec::new() }
    }
}

impl Route {
    /// The way to `notification`. Reads the host's certificates if it needs them, which takes a while.
    ///
    /// # Errors
    ///
    /// In words, if there is no way.
    pub(super) fn new(
        notification: &Notification,
        credentials: Credentials,
        instance: String,
    ) -> Result<Self, String> {
        Ok(match &notification.kind {
            NotificationKind::Email(settings) => {
                let roots = notification.roots.as_ref();
                let (password, timeout) = (credentials.secret, notification.timeout);
                Route::Mail(Box::new(Mail::new(settings.clone(), password, roots, timeout, instance)?))
            }
            _ => Route::Http(Box::new(Http::new(notification, credentials, instance)?)),
        })
    }

    /// Delivers `message`, or gives up after `timeout`. Returns why those do not get it who never will, of several.
    pub(super) async fn deliver(&self, message: &Message, timeout: Duration) -> Result<Vec<String>, Failure> {
        let delivering = async {
            match self {
                Route::Http(http) => http.deliver(message).await.map(|()| Vec::new()),
                Route::Mail(mail) => mail.deliver(message).await,
            }
        };
        match tokio::time::timeout(timeout, delivering).await {
            Ok(Ok(refused)) => Ok(refused.into_iter().map(|reason| self.without_secrets(reason)).collect()),
            Ok(Err(failure)) => Err(Failure { reason: self.without_secrets(failure.reason), ..failure }),
            Err(_) => {
                Err(Failure::passing(format!("no answer within {}", humantime::format_duration(timeout))))
            }
        }
    }

    /// What a server says may be what it was told.
    pub(super) fn without_secrets(&self, reason: String) -> String {
        const LONGEST: usize = 300;
        let (secrets, sent) = match self {
            Route::Http(http) => (http.secrets(), None),
            Route::Mail(mail) => (mail.secrets(), mail.plain()),
        };
        let mut reason: String = reason.chars().map(|it| if it.is_control() { ' ' } else { it }).collect();
        if let Some(sent) = sent {
            reason = reason.replace(&*sent, "***");
        }
        for secret in secrets {
            reason = reason.replace(secret, "***").replace(&BASE64.encode(secret.as_bytes()), "***");
        }
        reason.chars().take(LONGEST).collect()
    }
}
