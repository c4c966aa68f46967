//! What the types of notifications have of their own.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lettre::Address;
use lettre::message::Mailbox;

use super::super::name::host_name;
use super::super::reader::{Table, Value, Words, duration, integer, list, string};
use super::super::report::Report;
use super::super::settings::path;
use super::super::source::{Located, Place};
use super::credentials::url_fault;

/// As Prometheus does it: an Alertmanager that was restarted knows of an alert again soon.
const DEFAULT_RESEND: Duration = Duration::from_secs(60);
const RESENDS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);

/// Where messages go, and in which form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotificationKind {
    /// JSON by POST.
    Webhook {
        /// Where.
        url: UrlSource,
        /// The file with what is sent as `Authorization: Bearer`; `None`: nothing is.
        token_file: Option<PathBuf>,
    },
    /// An incoming webhook of Slack, or of what takes the same.
    Slack {
        /// The file with the URL, which is the secret.
        url_file: PathBuf,
    },
    /// Alerts of an Alertmanager, by its API v2.
    Alertmanager {
        /// Where it is, without `/api/v2/alerts`.
        url: UrlSource,
        /// As of a webhook.
        token_file: Option<PathBuf>,
        /// How often an alert that lasts is sent again.
        resend_after: Duration,
    },
    /// A robot of a DingTalk group.
    DingTalk {
        /// The file with the URL, which has the access token in it.
        url_file: PathBuf,
        /// The file with what requests are signed with; `None`: they are not.
        secret_file: Option<PathBuf>,
    },
    /// Mail.
    Email(EmailSettings),
}

/// Where a URL stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UrlSource {
    /// In the configuration.
    Written(String),
    /// In a file of its own.
    File(PathBuf),
}

/// Mail, and the server that takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmailSettings {
    /// The host of the server, a name or an IP address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How it is talked to.
    pub tls: MailTls,
    /// Who it is from.
    pub from: Mailbox,
    /// Who gets it. Never empty.
    pub to: Vec<Mailbox>,
    /// As whom it is sent; `None`: as anybody.
    pub login: Option<Login>,
}

/// As whom mail is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The name.
    pub username: String,
    /// The file with the password.
    pub password_file: PathBuf,
}

/// How a mail server is talked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailTls {
    /// By TLS from the second command on, or not at all (RFC 3207).
    StartTls,
    /// By TLS from the first octet on (RFC 8314).
    Tls,
    /// In the clear, on this host.
    None,
}

impl NotificationKind {
    /// The word for it, as `type` has it.
    pub fn word(&self) -> &'static str {
        let kind = match self {
            NotificationKind::Webhook { .. } => Kind::Webhook,
            NotificationKind::Slack { .. } => Kind::Slack,
            NotificationKind::Alertmanager { .. } => Kind::Alertmanager,
            NotificationKind::DingTalk { .. } => Kind::DingTalk,
            NotificationKind::Email(_) => Kind::Email,
        };
        kind.word()
    }
}

#[derive(Clone, Copy)]
pub(super) enum Kind {
    Webhook,
    Slack,
    Alertmanager,
    DingTalk,
    Email,
}

pub(super) const KINDS: Words<Kind> = Words {
    what: "notification type",
    known: &[
        ("webhook", Kind::Webhook),
        ("slack", Kind::Slack),
        ("alertmanager", Kind::Alertmanager),
        ("dingtalk", Kind::DingTalk),
        ("email", Kind::Email),
    ],
    planned: &[],
};

const MAIL_TLS: Words<MailTls> = Words {
    what: "kind of TLS",
    known: &[("starttls", MailTls::StartTls), ("tls", MailTls::Tls), ("none", MailTls::None)],
    planned: &[],
};

/// Its own part of a destination, as written.
pub(super) struct KindSpec {
    kind: Kind,
    url: Option<Located<String>>,
    url_file: Option<Located<String>>,
    has_url: bool,
    token_file: Option<Located<String>>,
    secret_file: Option<Located<String>>,
    resend_after: Option<Located<Duration>>,
    mail: Option<MailSpec>,
    /// Where a key stands that is missing.
    place: Place,
}

struct MailSpec {
    host: Option<Located<String>>,
    port: Option<Located<u16>>,
    tls: Option<Located<MailTls>>,
    from: Option<Located<Mailbox>>,
    to: Option<Located<Vec<Located<Mailbox>>>>,
    username: Option<Located<String>>,
    password_file: Option<Located<String>>,
    has_login: [bool; 2],
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Kind::Webhook => "webhook",
            Kind::Slack => "slack",
            Kind::Alertmanager => "alertmanager",
            Kind::DingTalk => "dingtalk",
            Kind::Email => "email",
        }
    }

    fn keys(self) -> &'static [&'static str] {
        match self {
            Kind::Webhook => &["url", "url_file", "token_file"],
            Kind::Slack => &["url_file"],
            Kind::Alertmanager => &["url", "url_file", "token_file", "resend_after"],
            Kind::DingTalk => &["url_file", "secret_file"],
            Kind::Email => &["host", "port", "tls", "from", "to", "username", "password_file"],
        }
    }
}

/// Every key that applies to some types only.
pub(super) fn keys_of_all() -> Vec<&'static str> {
    let mut keys: Vec<&str> = KINDS.known.iter().flat_map(|(_, kind)| kind.keys()).copied().collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

impl KindSpec {
    /// Takes the keys that are the type's own out of the table, and refuses those of other types.
    pub(super) fn read(kind: Kind, table: &mut Table<'_>) -> Self {
        let has_url = table.has("url") || table.has("url_file");
        if matches!(kind, Kind::Slack | Kind::DingTalk) {
            table.optional("url", |value| {
                let hint = "write it to a file, and name that by `url_file`".to_owned();
                let fault = "whoever has this URL may post: it does not belong here";
                value.report.secret_error(value.place, fault, hint);
                None::<()>
            });
        }
        let own = kind.keys();
        let others: Vec<&str> = keys_of_all().into_iter().filter(|key| !own.contains(key)).collect();
        table.inapplicable(&others, &format!("to a notification of type `{}`", kind.word()));
        let takes = |key| own.contains(&key);
        KindSpec {
            kind,
            has_url,
            url: takes("url").then(|| table.optional("url", url)).flatten(),
            url_file: takes("url_file").then(|| table.optional("url_file", path)).flatten(),
            token_file: takes("token_file").then(|| table.optional("token_file", path)).flatten(),
            secret_file: takes("secret_file").then(|| table.optional("secret_file", path)).flatten(),
            resend_after: takes("resend_after")
                .then(|| table.optional("resend_after", duration(RESENDS)))
                .flatten(),
            mail: matches!(kind, Kind::Email).then(|| MailSpec::read(table)),
            place: table.place,
        }
    }

    /// Fills in the defaults; `None`: there is a mistake, and it has been noted.
    pub(super) fn convert(self, base_dir: &Path, report: &Report) -> Option<NotificationKind> {
        let file = |path: Option<Located<String>>| path.map(|path| base_dir.join(path.value));
        let KindSpec { kind, url, url_file, has_url, token_file, secret_file, resend_after, mail, place } =
            self;
        if let Kind::Email = kind {
            return mail?.convert(base_dir, place, report).map(NotificationKind::Email);
        }
        if let (Some(_), Some(file)) = (&url, &url_file) {
            report.error(file.place, "`url_file` does not apply where there is a `url`");
            return None;
        }
        if !has_url {
            let keys = if kind.keys().contains(&"url") { "`url` or `url_file`" } else { "`url_file`" };
            report.error(place, format!("missing key {keys}"));
        }
        let source = url.map(|url| UrlSource::Written(url.value)).or(file(url_file).map(UrlSource::File))?;
        Some(match (kind, source) {
            (Kind::Webhook, url) => NotificationKind::Webhook { url, token_file: file(token_file) },
            (Kind::Alertmanager, url) => NotificationKind::Alertmanager {
                url,
                token_file: file(token_file),
                resend_after: resend_after.map_or(DEFAULT_RESEND, |after| after.value),
            },
            (Kind::Slack, UrlSource::File(url_file)) => NotificationKind::Slack { url_file },
            (Kind::DingTalk, UrlSource::File(url_file)) => {
                NotificationKind::DingTalk { url_file, secret_file: file(secret_file) }
            }
            (Kind::Slack | Kind::DingTalk | Kind::Email, _) => return None,
        })
    }
}

impl MailSpec {
    fn read(table: &mut Table<'_>) -> Self {
        MailSpec {
            has_login: ["username", "password_file"].map(|key| table.has(key)),
            host: table.required("host", mail_host),
            port: table.optional("port", integer(1..=u16::MAX)),
            tls: table.optional("tls", |value| MAIL_TLS.read(value)),
            from: table.required("from", mailbox),
            to: table.required("to", list(mailbox)),
            username: table.optional("username", string),
            password_file: table.optional("password_file", path),
        }
    }

    fn convert(self, base_dir: &Path, place: Place, report: &Report) -> Option<EmailSettings> {
        let MailSpec { host, port, tls, from, to, username, password_file, has_login } = self;
        let missing = match has_login {
            [true, false] => Some("password_file"),
            [false, true] => Some("username"),
            _ => None,
        };
        if let Some(key) = missing {
            report.error(place, format!("missing key `{key}`"));
        }
        let kind = tls.as_ref().map_or(MailTls::StartTls, |tls| tls.value);
        if let (Some(tls), Some(host)) = (&tls, &host)
            && kind == MailTls::None
            && !is_this_host(&host.value)
        {
            report.error_with_hint(
                tls.place,
                format!("mail goes to `{}` in the clear", host.value),
                "only a server on this host, such as `localhost`, may do without TLS".to_owned(),
            );
        }
        let port = port.map_or(
            match kind {
                // RFC 6409 section 3.1, RFC 8314 section 3.3, RFC 5321 section 4.5.4.2
                MailTls::StartTls => 587,
                MailTls::Tls => 465,
                MailTls::None => 25,
            },
            |port| port.value,
        );
        let login = match (username, password_file) {
            (Some(username), Some(file)) => {
                Some(Login { username: username.value, password_file: base_dir.join(file.value) })
            }
            _ => None,
        };
        Some(EmailSettings {
            host: host?.value,
            port,
            tls: kind,
            from: from?.value,
            to: to?.value.into_iter().map(|to| to.value).collect(),
            login,
        })
    }
}

/// Whether what is sent to `host` stays on this one.
fn is_this_host(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The name of a host, or its IP address.
fn mail_host(value: Value<'_>) -> Option<String> {
    let text = string(value)?;
    if text.parse::<IpAddr>().is_ok() {
        return Some(text);
    }
    if text.contains(':') {
        return value.refuse(format!("`{text}` is not a host"), "the port goes into `port`".to_owned());
    }
    host_name(value)
}

/// A URL, which must not be a secret.
fn url(value: Value<'_>) -> Option<String> {
    let text = string(value)?;
    match url_fault(&text) {
        Some(fault) => {
            value.report.secret_error(value.place, fault, None);
            None
        }
        None => Some(text),
    }
}

/// "ops@example.com", or "Ops <ops@example.com>".
fn mailbox(value: Value<'_>) -> Option<Mailbox> {
    let text = string(value)?;
    let parsed = text
        .parse::<Mailbox>()
        .or_else(|_| text.parse::<Address>().map(|address| Mailbox { name: None, email: address }));
    match parsed {
        Ok(mailbox) => Some(mailbox),
        Err(_) => value.refuse(
            format!("`{text}` is no mail address"),
            "write it as in \"ops@example.com\" or \"Ops <ops@example.com>\"".to_owned(),
        ),
    }
}
