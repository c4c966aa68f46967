//! Destinations that take messages by HTTP.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Response, StatusCode, Url, header};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;

use super::clock::since_1970;
use super::delivery::Failure;
use super::outbox::{Hurdle, Message};
use super::{alertmanager, dingtalk, slack, webhook};
use crate::config::{Credentials, Notification, NotificationKind, Secret, UrlSource};
use crate::plan::Certificates;

/// What of an answer is read: those of services are a line.
const LONGEST_ANSWER: usize = 4096;

/// A destination that takes messages by HTTP.
pub(super) struct Http {
    client: Client,
    url: Url,
    form: Form,
    credentials: Credentials,
    /// Which daemon it is.
    instance: String,
}

/// What a body looks like.
enum Form {
    Webhook,
    Slack,
    Alertmanager { resend_after: Duration },
    DingTalk,
}

impl Http {
    pub(super) fn new(
        notification: &Notification,
        credentials: Credentials,
        instance: String,
    ) -> Result<Self, String> {
        let (form, written) = match &notification.kind {
            NotificationKind::Webhook { url, .. } => (Form::Webhook, Some(url)),
            NotificationKind::Alertmanager { url, resend_after, .. } => {
                (Form::Alertmanager { resend_after: *resend_after }, Some(url))
            }
            NotificationKind::Slack { .. } => (Form::Slack, None),
            NotificationKind::DingTalk { .. } => (Form::DingTalk, None),
            NotificationKind::Email(_) => return Err("mail does not go by HTTP".to_owned()),
        };
        let text = match (written, &credentials.url) {
            (Some(UrlSource::Written(url)), _) => url,
            (_, Some(secret)) => secret.reveal(),
            (_, None) => return Err("its URL was not read".to_owned()),
        };
        let mut url = Url::parse(text).map_err(|_| "its URL is none".to_owned())?;
        if let Form::Alertmanager { .. } = form {
            let path = format!("{}/api/v2/alerts", url.path().trim_end_matches('/'));
            url.set_path(&path);
        }
        let tls = tls(notification.roots.as_ref(), url.scheme() == "https")?;
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            // To a message that goes elsewhere than it was sent, nobody has agreed.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            // Messages are minutes apart: a connection that is kept is one that has ended unseen.
            .pool_max_idle_per_host(0)
            .user_agent(concat!("rhumb/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| error.without_url().to_string())?;
        Ok(Http { client, url, form, credentials, instance })
    }

    pub(super) async fn deliver(&self, message: &Message) -> Result<(), Failure> {
        let mut url = self.url.clone();
        let now = since_1970();
        let body: Value = match &self.form {
            Form::Webhook => webhook::body(message, &self.instance),
            Form::Slack => slack::body(message, &self.instance),
            Form::Alertmanager { resend_after } => {
                alertmanager::body(message, &self.instance, *resend_after, now)
            }
            Form::DingTalk => {
                if let Some(secret) = &self.credentials.secret {
                    dingtalk::sign(&mut url, secret, now);
                }
                dingtalk::body(message, &self.instance)
            }
        };
        let mut request = self.client.post(url).json(&body);
        if let (Some(token), Form::Webhook | Form::Alertmanager { .. }) =
            (&self.credentials.secret, &self.form)
        {
            request = request.bearer_auth(token.reveal());
        }
        let response = request.send().await.map_err(unsent)?;
        let status = response.status();
        if !status.is_success() {
            return Err(refused(status, &response));
        }
        match self.form {
            Form::DingTalk => dingtalk::check(&start_of(response).await),
            _ => Ok(()),
        }
    }

    /// What must not be told: also the part of a URL that is a secret.
    pub(super) fn secrets(&self) -> Vec<&str> {
        let Credentials { url, secret } = &self.credentials;
        let mut secrets: Vec<&str> = url.iter().chain(secret).map(Secret::reveal).collect();
        if url.is_some() {
            secrets.extend([self.url.path(), self.url.query().unwrap_or_default()]);
        }
        // What is as short is in every sentence.
        secrets.retain(|secret| secret.len() > 3);
        secrets
    }
}

fn tls(roots: Option<&Certificates>, is_needed: bool) -> Result<ClientConfig, String> {
    let mut store = RootCertStore::empty();
    match roots {
        Some(roots) => {
            store.add_parsable_certificates(roots.list().iter().cloned());
        }
        None if is_needed => {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if store.is_empty() {
                return Err("this host has no root certificates (Debian: ca-certificates)".to_owned());
            }
        }
        None => {}
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(builder.with_root_certificates(store).with_no_client_auth())
}

/// Why a request got no answer, without its URL.
fn unsent(error: reqwest::Error) -> Failure {
    let error = error.without_url();
    // What it says last is what has happened.
    let mut cause: &dyn Error = &error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    Failure::passing(cause.to_string())
}

fn refused(status: StatusCode, response: &Response) -> Failure {
    let reason = format!("the answer is {status}");
    let is_passing = status.is_server_error()
        || [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS]
            .contains(&status);
    let seconds =
        response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let hurdle = Hurdle { is_final: !is_passing, retry_after: seconds.map(Duration::from_secs) };
    Failure::of(reason, hurdle)
}

async fn start_of(mut response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() >= LONGEST_ANSWER {
            break;
        }
    }
    body
}
