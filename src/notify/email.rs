//! Mail.

use std::time::Duration;

use data_encoding::BASE64;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message as Letter, Tokio1Executor};
use zeroize::Zeroizing;

use super::delivery::Failure;
use super::outbox::Message;
use super::text;
use crate::config::{EmailSettings, MailTls, Secret};
use crate::plan::Certificates;

/// A server that takes mail.
pub(super) struct Mail {
    settings: EmailSettings,
    password: Option<Secret>,
    tls: Tls,
    timeout: Duration,
    /// Which daemon it is.
    instance: String,
}

impl Mail {
    pub(super) fn new(
        settings: EmailSettings,
        password: Option<Secret>,
        roots: Option<&Certificates>,
        timeout: Duration,
        instance: String,
    ) -> Result<Self, String> {
        let parameters = || {
            let mut builder = TlsParameters::builder(settings.host.clone());
            if let Some(roots) = roots {
                builder = builder.certificate_store(CertificateStore::None);
                for root in roots.list() {
                    builder = builder.add_root_certificate(
                        Certificate::from_der(root.to_vec()).map_err(|it| it.to_string())?,
                    );
                }
            }
            builder.build_rustls().map_err(|error| error.to_string())
        };
        let tls = match settings.tls {
            MailTls::StartTls => Tls::Required(parameters()?),
            MailTls::Tls => Tls::Wrapper(parameters()?),
            MailTls::None => Tls::None,
        };
        Ok(Mail { settings, password, tls, timeout, instance })
    }

    pub(super) async fn deliver(&self, message: &Message) -> Result<(), Failure> {
        let letter = self.letter(message).map_err(|error| Failure::lasting(error.to_string()))?;
        let EmailSettings { host, port, login, .. } = &self.settings;
        let mut server = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(*port)
            .tls(self.tls.clone())
            .timeout(Some(self.timeout));
        if let (Some(login), Some(password)) = (login, &self.password) {
            server =
                server.credentials(Credentials::new(login.username.clone(), password.reveal().to_owned()));
        }
        server.build().send(letter).await.map(drop).map_err(|error| {
            let reason = error.to_string();
            if error.is_permanent() { Failure::lasting(reason) } else { Failure::passing(reason) }
        })
    }

    pub(super) fn secrets(&self) -> Vec<&str> {
        self.password.iter().map(Secret::reveal).collect()
    }

    /// What a server is sent by AUTH PLAIN (RFC 4616).
    pub(super) fn plain(&self) -> Option<Zeroizing<String>> {
        let (login, password) = (self.settings.login.as_ref()?, self.password.as_ref()?);
        let sent = Zeroizing::new(format!("\0{}\0{}", login.username, password.reveal()));
        Some(Zeroizing::new(BASE64.encode(sent.as_bytes())))
    }

    fn letter(&self, message: &Message) -> Result<Letter, lettre::error::Error> {
        let subject = format!("[rhumb {}] {}: {}", self.instance, text::word(message), text::title(message));
        let mut builder = Letter::builder().from(self.settings.from.clone()).subject(subject);
        for to in &self.settings.to {
            builder = builder.to(to.clone());
        }
        let body = text::lines(message).join("\r\n") + "\r\n";
        let mut letter = builder.message_id(None).header(ContentType::TEXT_PLAIN).body(body)?;
        // So that nobody who is away answers to it (RFC 3834).
        letter.headers_mut().insert_raw(HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".to_owned(),
        ));
        Ok(letter)
    }
}
