//! Mail.

use std::time::Duration;

use data_encoding::BASE64;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::transport::smtp;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, CertificateStore, Tls, TlsParameters,
};
use lettre::transport::smtp::commands::{self, Data, Rcpt};
use lettre::transport::smtp::extension::{ClientId, MailParameter};
use lettre::{Address, Message as Letter};
use zeroize::Zeroizing;

use super::delivery::Failure;
use super::outbox::{Message, Served};
use super::text;
use crate::config::{EmailSettings, MailTls, Secret};
use crate::plan::Certificates;

/// How long a server may take to answer that nothing more follows. Nothing depends on it.
const FAREWELL: Duration = Duration::from_secs(1);

/// A server that takes mail.
pub(super) struct Mail {
    settings: EmailSettings,
    password: Option<Secret>,
    tls: Tls,
    timeout: Duration,
    /// Which daemon it is.
    instance: String,
}

/// What a server has said of each recipient.
#[derive(Default)]
struct Round {
    /// Who has got the letter, or never will.
    served: Vec<Served>,
    /// In words, of whom it may take it later and why not now.
    delayed: Vec<String>,
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

    /// Delivers `message` to everybody who is not served by an attempt before. Returns why some do not get it at all,
    /// where others have got it.
    pub(super) async fn deliver(&self, message: &Message) -> Result<Vec<String>, Failure> {
        let letter = self.letter(message).map_err(|error| Failure::lasting(error.to_string()))?;
        let is_served = |to: &Address| message.served.iter().any(|served| served.to == to.to_string());
        let recipients = self.settings.to.iter().map(|to| to.email.clone());
        let waiting: Vec<Address> = recipients.filter(|to| !is_served(to)).collect();
        // Whoever is left may have been taken out of the configuration.
        let Round { served, delayed } = match waiting[..] {
            [] => Round::default(),
            _ => self.send(&letter.formatted(), &waiting).await.map_err(|error| failure(&error))?,
        };
        let all = || message.served.iter().chain(&served);
        let refused: Vec<String> = all().filter_map(|served| served.refused.clone()).collect();
        if !delayed.is_empty() {
            let reasons = [refused, delayed].concat().join("; ");
            return Err(Failure { served, ..Failure::passing(reasons) });
        }
        if all().all(|served| served.refused.is_some()) {
            return Err(Failure::lasting(refused.join("; ")));
        }
        Ok(refused)
    }

    /// Sends `letter` to `recipients` in one transaction (RFC 5321 section 3.3): to all for whom the server takes it.
    async fn send(&self, letter: &[u8], recipients: &[Address]) -> Result<Round, smtp::Error> {
        let mut server = self.connect().await?;
        let from = &self.settings.from.email;
        let is_ascii = recipients.iter().chain([from]).all(|address| address.to_string().is_ascii());
        let options = if is_ascii { Vec::new() } else { vec![MailParameter::SmtpUtfEight] };
        server.command(commands::Mail::new(Some(from.clone()), options)).await?;
        let mut round = Round::default();
        for to in recipients {
            match server.command(Rcpt::new(to.clone(), Vec::new())).await {
                Ok(_) => round.served.push(Served { to: to.to_string(), refused: None }),
                Err(error) if error.is_permanent() => {
                    let refused = Some(format!("{to}: {error}"));
                    round.served.push(Served { to: to.to_string(), refused });
                }
                Err(error) if error.is_transient() => round.delayed.push(format!("{to}: {error}")),
                Err(error) => return Err(error),
            }
        }
        if round.served.iter().any(|served| served.refused.is_none()) {
            server.command(Data).await?;
            server.message(letter).await?;
        }
        // What was taken is, whatever the server says to this and however long it takes: a letter that would be
        // counted as late here would be sent again.
        tokio::spawn(tokio::time::timeout(FAREWELL, async move { server.quit().await }));
        Ok(round)
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, smtp::Error> {
        let EmailSettings { host, port, login, .. } = &self.settings;
        let (hello, wrapper) = (
            ClientId::default(),
            match &self.tls {
                Tls::Wrapper(parameters) => Some(parameters.clone()),
                _ => None,
            },
        );
        let server = (host.as_str(), *port);
        let mut server =
            AsyncSmtpConnection::connect_tokio1(server, Some(self.timeout), &hello, wrapper, None).await?;
        if let Tls::Required(parameters) = &self.tls {
            server.starttls(parameters.clone(), &hello).await?;
        }
        if let (Some(login), Some(password)) = (login, &self.password) {
            let credentials = Credentials::new(login.username.clone(), password.reveal().to_owned());
            server.auth(DEFAULT_MECHANISMS, &credentials).await?;
        }
        Ok(server)
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

fn failure(error: &smtp::Error) -> Failure {
    let reason = error.to_string();
    if error.is_permanent() { Failure::lasting(reason) } else { Failure::passing(reason) }
}
