//! Whom to ask, by what was typed and by the files of this user and host.

use std::env;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use toml_edit::{Document, Item};

use super::DEFAULT_ADMIN;
use super::transport::Address;
use crate::cli::Failed;

/// For all users of the host.
const OF_HOST: &str = "/etc/rhumb/client.toml";

/// What may be left out on a command line.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) admin: Address,
    pub(super) token_file: Option<PathBuf>,
    pub(super) ca: Option<PathBuf>,
}

/// What one source says.
type Given = (Option<Address>, Option<PathBuf>, Option<PathBuf>);

impl Settings {
    /// What was `given` by arguments or environment, then what the user's file says, and only without
    /// one the host's.
    pub(super) fn settle(given: Given) -> Result<Self, Failed> {
        let (admin, token_file, ca) = given;
        let mut from_file = of_files()?;
        // A token is for the daemon that it stands beside, and goes to no other.
        if admin.is_some() && from_file.0.is_some() && admin != from_file.0 {
            from_file = Given::default();
        }
        let default = || DEFAULT_ADMIN.parse().map_err(Failed::new);
        Ok(Settings {
            admin: admin.or(from_file.0).map_or_else(default, Ok)?,
            token_file: token_file.or(from_file.1),
            ca: ca.or(from_file.2),
        })
    }
}

fn of_files() -> Result<Given, Failed> {
    let directory = |variable| env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let of_user = directory("XDG_CONFIG_HOME").or_else(|| Some(directory("HOME")?.join(".config")));
    let of_user = of_user.map(|directory| directory.join("rhumb/client.toml"));
    for path in of_user.into_iter().chain([PathBuf::from(OF_HOST)]) {
        match fs::read_to_string(&path) {
            Ok(text) => return read(&text, &path).map_err(|reason| mistaken(&path, &reason)),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(error) => return Err(mistaken(&path, &format!("error: cannot read the file: {error}"))),
        }
    }
    Ok(Given::default())
}

fn mistaken(path: &Path, reason: &str) -> Failed {
    Failed(format!(
        "{}:{reason}\nhint: mend the file, which says whom to ask unless arguments do",
        path.display()
    ))
}

/// Reads `admin`, `token_file` and `ca`. Paths are relative to the directory of the file.
fn read(text: &str, path: &Path) -> Result<Given, String> {
    let document = Document::parse(text).map_err(|error| {
        let place = place(text, error.span().map_or(0, |span| span.start));
        format!("{place} error: {}", error.message())
    })?;
    let mut given = Given::default();
    for (key, item) in document.iter() {
        let at = document.key(key).and_then(|key| key.span()).map_or(0, |span| span.start);
        let wrong = |at: usize, what: &str| format!("{} error: {what}", place(text, at));
        let value = |item: &Item| item.as_str().map(str::to_owned);
        if !["admin", "token_file", "ca"].contains(&key) {
            return Err(wrong(
                at,
                &format!("`{key}` is not known here; there is `admin`, `token_file`, `ca`"),
            ));
        }
        let at = item.span().map_or(at, |span| span.start);
        let value = value(item).ok_or_else(|| wrong(at, &format!("`{key}` is to be a string")))?;
        let relative = || path.parent().unwrap_or(Path::new("/")).join(&value);
        match key {
            "admin" => {
                given.0 = Some(value.parse().map_err(|error| wrong(at, &format!("`admin`: {error}")))?)
            }
            "token_file" => given.1 = Some(relative()),
            _ => given.2 = Some(relative()),
        }
    }
    Ok(given)
}

/// `LINE:COLUMN:` of an offset.
fn place(text: &str, at: usize) -> String {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
    format!("{line}:{column}:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_whom_to_ask_or_what_is_wrong_with_it() {
        let read = |text| read(text, Path::new("/home/alice/.config/rhumb/client.toml"));
        let (admin, token_file, ca) =
            read("admin = \"https://ns1.example.com\"\ntoken_file = \"token\"\nca = \"/etc/ca.pem\"")
                .expect("good");
        assert_eq!(admin.map(|admin| admin.to_string()).as_deref(), Some("https://ns1.example.com"));
        assert_eq!(token_file, Some("/home/alice/.config/rhumb/token".into()));
        assert_eq!(ca, Some("/etc/ca.pem".into()));
        assert_eq!(read("").expect("good"), Given::default());
        for (text, expected) in [
            ("\n tokenfile = \"a\"", "2:2: error: `tokenfile` is not known here"),
            ("admin = 5", "1:9: error: `admin` is to be a string"),
            ("ca = \"a\"\nadmin = \"nowhere\"", "2:9: error: `admin`: write it as in"),
            ("[admin]", "1:1: error: `admin` is to be a string"),
            ("admin = ", "1:9: error: "),
        ] {
            let complaint = read(text).expect_err("it is wrong");
            assert!(complaint.starts_with(expected), "{text:?}: {complaint}");
        }
    }
}
