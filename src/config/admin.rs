//! `[admin]`: the HTTP API and the console, and who gets there.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use super::diagnostics::{Diagnostic, Diagnostics};
use super::identity::{Unfit, read_identity};
use super::reader::{Table, Value, Words, string};
use super::report::Report;
use super::settings::{path, socket_address};
use super::source::Located;
use super::tokens::{Role, UnreadTokens, read_tokens};

/// The admin API's own port; beside 8080, which other things tend to sit on.
const PORT: u16 = 8053;

/// Whoever owns the socket, and its group: as of sockets that hold power over a machine elsewhere.
const SOCKET_MODE: u32 = 0o660;

/// The longest path that an address of a Unix socket holds on Linux is 107 octets; while it is made,
/// a socket has four more.
const LONGEST_SOCKET: usize = 103;

const ROLES: Words<Role> = Words {
    what: "role",
    known: &[("read", Role::Read), ("operate", Role::Operate), ("edit", Role::Edit)],
    planned: &[],
};

/// `[admin]`: the HTTP API and the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminSettings {
    /// Where it is served; loopback unless there are tokens.
    pub listen: SocketAddr,
    /// The file with the tokens of which requests must carry one; `None`: they need none.
    pub token_file: Option<PathBuf>,
    /// TLS on `listen`; `None`: in the clear.
    pub tls: Option<AdminTlsSettings>,
    /// The Unix socket where it is served as well.
    pub socket: Option<SocketSettings>,
}

/// `admin.tls`: what `listen` shows for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminTlsSettings {
    /// The certificate and those that lead to its root, as PEM.
    pub certificate: PathBuf,
    /// The key to it, as PEM.
    pub key: PathBuf,
}

/// `admin.socket`: a Unix socket, where the operating system says who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketSettings {
    /// Where it is.
    pub path: PathBuf,
    /// Who may connect, as of a file.
    pub mode: u32,
    /// The group that it belongs to; `None`: that of the process.
    pub group: Option<String>,
    /// What those may who are neither root nor the daemon's own user.
    pub role: Role,
}

impl AdminSettings {
    /// Reads the tokens and the certificate. What this process may not read is passed over.
    ///
    /// # Errors
    ///
    /// If they cannot be used, with every mistake.
    pub(super) fn check_files(&self) -> Result<(), Diagnostics> {
        let of_file = |path: &Path, message: String| Diagnostic {
            file: path.display().to_string(),
            position: None,
            message,
            hint: None,
            excerpt: None,
        };
        let mut mistakes = Vec::new();
        if let Some(path) = &self.token_file {
            match read_tokens(path) {
                Ok(_) => {}
                Err(UnreadTokens::Mistaken(diagnostics)) => mistakes.extend(diagnostics.iter().cloned()),
                Err(UnreadTokens::Unreadable(error)) if error.kind() == ErrorKind::PermissionDenied => {}
                Err(UnreadTokens::Unreadable(error)) => {
                    mistakes.push(of_file(path, format!("cannot read the file: {error}")));
                }
            }
        }
        if let Some(AdminTlsSettings { certificate, key }) = &self.tls
            && let Err(Unfit { path, reason, is_denied: false }) = read_identity(certificate, key)
        {
            mistakes.push(of_file(&path, reason));
        }
        Diagnostics::new(mistakes).map_or(Ok(()), Err)
    }
}

/// `[admin]` as written.
#[derive(Default)]
pub(super) struct AdminSpec {
    listen: Option<Located<SocketAddr>>,
    token_file: Option<Located<String>>,
    tls: Option<Located<TlsSpec>>,
    socket: Option<Located<SocketSpec>>,
}

struct TlsSpec {
    certificate: Option<Located<String>>,
    key: Option<Located<String>>,
}

struct SocketSpec {
    path: Option<Located<String>>,
    mode: Option<Located<u32>>,
    group: Option<Located<String>>,
    role: Option<Located<Role>>,
}

impl AdminSpec {
    /// Takes the table apart.
    pub(super) fn read(value: Value<'_>) -> Option<Self> {
        let mut table = value.table()?;
        let spec = AdminSpec {
            listen: table.optional("listen", socket_address),
            token_file: table.optional("token_file", path),
            tls: table.optional("tls", TlsSpec::read),
            socket: table.optional("socket", SocketSpec::read),
        };
        table.finish();
        Some(spec)
    }

    /// Fills in the defaults and takes relative paths from `base_dir`.
    pub(super) fn convert(self, base_dir: &Path, report: &Report) -> AdminSettings {
        let AdminSpec { listen, token_file, tls, socket } = self;
        if let (Some(listen), None) = (&listen, &token_file)
            && !listen.value.ip().is_loopback()
        {
            report.error_with_hint(
                listen.place,
                "without `token_file` the admin API is for loopback only",
                format!("set `token_file`, or listen on \"127.0.0.1:{}\"", listen.value.port()),
            );
        }
        AdminSettings {
            listen: listen
                .map_or(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), PORT), |listen| listen.value),
            token_file: token_file.map(|path| base_dir.join(path.value)),
            tls: tls.and_then(|tls| tls.value.convert(base_dir)),
            socket: socket.and_then(|socket| socket.value.convert(base_dir, report)),
        }
    }
}

impl TlsSpec {
    fn read(value: Value<'_>) -> Option<Self> {
        let mut table = value.table()?;
        let spec =
            TlsSpec { certificate: table.required("certificate", path), key: table.required("key", path) };
        table.finish();
        Some(spec)
    }

    /// The files are read when the daemon starts, which may do so as another user than who asks now.
    fn convert(self, base_dir: &Path) -> Option<AdminTlsSettings> {
        let TlsSpec { certificate, key } = self;
        Some(AdminTlsSettings {
            certificate: base_dir.join(certificate?.value),
            key: base_dir.join(key?.value),
        })
    }
}

impl SocketSpec {
    fn read(value: Value<'_>) -> Option<Self> {
        let mut table: Table<'_> = value.table()?;
        let spec = SocketSpec {
            path: table.required("path", path),
            mode: table.optional("mode", mode),
            group: table.optional("group", group),
            role: table.optional("role", |value| ROLES.read(value)),
        };
        table.finish();
        Some(spec)
    }

    fn convert(self, base_dir: &Path, report: &Report) -> Option<SocketSettings> {
        let SocketSpec { path, mode, group, role } = self;
        let Located { value, place } = path?;
        let path = base_dir.join(value);
        if path.as_os_str().len() > LONGEST_SOCKET {
            report.error(place, format!("the path of a socket has at most {LONGEST_SOCKET} octets"));
        }
        Some(SocketSettings {
            path,
            mode: mode.map_or(SOCKET_MODE, |mode| mode.value),
            group: group.map(|group| group.value),
            role: role.map_or(Role::Read, |role| role.value),
        })
    }
}

/// The name of a group, not empty.
fn group(value: Value<'_>) -> Option<String> {
    let name = string(value)?;
    if name.is_empty() {
        return value.refuse("a group has a name", None);
    }
    Some(name)
}

/// Who may connect, in octal digits as `chmod` takes them.
fn mode(value: Value<'_>) -> Option<u32> {
    let text = string(value)?;
    let mode = u32::from_str_radix(&text, 8).ok();
    mode.filter(|mode| *mode <= 0o777 && text.len() >= 3).or_else(|| {
        let example = "write it in octal digits, as in \"0660\"".to_owned();
        value.refuse(format!("`{text}` is not the mode of a file"), example)
    })
}
