//! The file of tokens: who may use the admin API, and for what.
//!
//! A line has a name, a role, the hash of a token, and, if it is limited to some pools, patterns of
//! their names with commas between:
//!
//! ```text
//! # whom to ask about it: ops@example.com
//! alice edit    sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
//! ci    operate sha256:60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752 vn-*,hk-1
//! ```

use std::fmt;
use std::path::Path;

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use serde::Serialize;
use subtle::{ConditionallySelectable, ConstantTimeEq};
use utoipa::ToSchema;

use super::diagnostics::{Diagnostic, Diagnostics, Position};
use super::name::identifier_fault;

/// What a line looks like.
const EXAMPLE: &str =
    "a line is NAME ROLE HASH, and patterns of pools if it is limited to some; `rhumb token new` prints one";

/// Before the digits of a hash, so that another kind could be told from it.
const KIND: &str = "sha256:";

/// What somebody may, from the least to the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Look.
    Read,
    /// Order the state of what there is, and its weight.
    Operate,
    /// Everything.
    Edit,
}

/// What stands for a token in the file: it is good to know one by, and not to be one.
///
/// One round of SHA-256 is enough, since nobody can try as many tokens as there are: they are
/// drawn from 2^256, and not words that somebody thought of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenHash([u8; SHA256_OUTPUT_LEN]);

/// The pools that somebody is limited to, as patterns of their names: `*` stands for any characters,
/// `?` for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolPatterns(Vec<String>);

/// Who has a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenHolder {
    /// As the log and the audit log name them.
    pub name: String,
    /// What they may.
    pub role: Role,
    /// The pools that they may change; `None`: all, and whatever else there is.
    pub pools: Option<PoolPatterns>,
}

/// The tokens of a file, at least one.
#[derive(Clone, Debug)]
pub struct Tokens(Vec<(TokenHash, TokenHolder)>);

/// Reads the file of tokens at `path`.
///
/// # Errors
///
/// If the file cannot be read, has mistakes, or no token. No message has a part of a line in it: what
/// stands there may be a token.
pub fn read_tokens(path: &Path) -> Result<Tokens, UnreadTokens> {
    let text = std::fs::read_to_string(path).map_err(UnreadTokens::Unreadable)?;
    Tokens::parse(&path.display().to_string(), &text).map_err(UnreadTokens::Mistaken)
}

/// Why there are no tokens.
#[derive(Debug, thiserror::Error)]
pub enum UnreadTokens {
    /// The file cannot be read.
    #[error("{0}")]
    Unreadable(std::io::Error),
    /// It has these mistakes.
    #[error("{0}")]
    Mistaken(Diagnostics),
}

impl Role {
    /// Every one, from the least to the most.
    pub const ALL: [Role; 3] = [Role::Read, Role::Operate, Role::Edit];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Role::Read => "read",
            Role::Operate => "operate",
            Role::Edit => "edit",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl TokenHash {
    /// The hash of `token`.
    pub fn of(token: &[u8]) -> Self {
        let mut hash = [0; SHA256_OUTPUT_LEN];
        hash.copy_from_slice(digest(&SHA256, token).as_ref());
        TokenHash(hash)
    }

    fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(KIND)?;
        let octets = HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok()?;
        octets.try_into().ok().map(TokenHash)
    }
}

impl fmt::Display for TokenHash {
    /// As the file has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{KIND}{}", HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(..)")
    }
}

impl PoolPatterns {
    /// Reads patterns with commas between.
    ///
    /// # Errors
    ///
    /// In words, if one could not be that of a name.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let patterns: Vec<String> = text.split(',').map(str::to_owned).collect();
        if patterns.iter().any(String::is_empty) {
            return Err("a pattern is missing beside a comma");
        }
        let is_plain = |pattern: &String| identifier_fault(&pattern.replace(['*', '?'], "x")).is_none();
        if !patterns.iter().all(is_plain) {
            return Err(
                "a pattern of pools has letters, digits, `-`, `_`, `.`, `*` and `?`, at most 63 of them",
            );
        }
        Ok(PoolPatterns(patterns))
    }

    /// Whether `pool` is one of them.
    pub fn have(&self, pool: &str) -> bool {
        self.0.iter().any(|pattern| is_like(pattern.as_bytes(), pool.as_bytes()))
    }

    /// Each in turn.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|pattern| &pattern[..])
    }
}

impl fmt::Display for PoolPatterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(","))
    }
}

/// Whether the whole of `text` is as `pattern` says, in at most their product of steps.
pub(super) fn is_like(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut position) = (0, 0);
    // The last `*`, and how much of the text it stands for so far.
    let mut star: Option<(usize, usize)> = None;
    while position < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, position));
                at += 1;
            }
            Some(octet) if *octet == b'?' || *octet == text[position] => {
                at += 1;
                position += 1;
            }
            _ => match star {
                Some((behind, until)) => {
                    star = Some((behind, until + 1));
                    at = behind + 1;
                    position = until + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|octet| *octet == b'*')
}

impl fmt::Display for TokenHolder {
    /// As the file has it, without a hash.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.role)?;
        self.pools.as_ref().map_or(Ok(()), |pools| write!(f, " {pools}"))
    }
}

impl TokenHolder {
    /// The line of the file for whoever has the token with this hash.
    pub fn line(&self, hash: &TokenHash) -> String {
        let pools = self.pools.as_ref().map_or(String::new(), |pools| format!(" {pools}"));
        format!("{} {} {hash}{pools}", self.name, self.role)
    }

    /// Somebody of that name, who may that, limited to those pools.
    ///
    /// # Errors
    ///
    /// In words, if they could not be.
    pub fn new(name: &str, role: Role, pools: Option<PoolPatterns>) -> Result<Self, &'static str> {
        if identifier_fault(name).is_some() {
            return Err("a name has letters, digits, `-`, `_` and `.`, at most 63 of them");
        }
        if role == Role::Read && pools.is_some() {
            return Err("pools limit what may be changed, and `read` changes nothing");
        }
        Ok(TokenHolder { name: name.to_owned(), role, pools })
    }
}

impl Tokens {
    /// Takes a file of tokens apart, which messages call `file`.
    ///
    /// # Errors
    ///
    /// If it has mistakes, or no token.
    pub fn parse(file: &str, text: &str) -> Result<Self, Diagnostics> {
        let mut tokens: Vec<(TokenHash, TokenHolder)> = Vec::new();
        let mut mistakes = Vec::new();
        for (line, number) in text.lines().zip(1..) {
            let line_of = line.split('#').next().unwrap_or_default();
            if line_of.trim().is_empty() {
                continue;
            }
            match parse_line(line_of) {
                Ok((hash, holder)) => {
                    let twice = match tokens
                        .iter()
                        .find(|(known, other)| *known == hash || other.name == holder.name)
                    {
                        Some((known, _)) if *known == hash => Some("this token is there before"),
                        Some(_) => Some("this name is there before"),
                        None => None,
                    };
                    if let Some(message) = twice {
                        mistakes.push(mistake(file, number, 1, message, None));
                    }
                    tokens.push((hash, holder));
                }
                Err(Fault { column, message, hint }) => {
                    mistakes.push(mistake(file, number, column, message, hint));
                }
            }
        }
        if tokens.is_empty() && mistakes.is_empty() {
            mistakes.push(mistake(file, 1, 1, "there is no token in it", Some(EXAMPLE)));
        }
        Diagnostics::new(mistakes).map_or(Ok(Tokens(tokens)), Err)
    }

    /// Who has `token`. It takes as long whether it is one of them or not, and whichever it is.
    pub fn holder(&self, token: &[u8]) -> Option<&TokenHolder> {
        let hash = TokenHash::of(token);
        let mut found = u64::MAX;
        for ((known, _), index) in self.0.iter().zip(0..) {
            found.conditional_assign(&index, known.0.ct_eq(&hash.0));
        }
        self.0.get(usize::try_from(found).ok()?).map(|(_, holder)| holder)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

/// What is wrong with a line, without a word of it.
struct Fault {
    /// Counted from 1, in characters.
    column: usize,
    message: &'static str,
    hint: Option<&'static str>,
}

fn mistake(
    file: &str,
    line: usize,
    column: usize,
    message: impl Into<String>,
    hint: Option<&str>,
) -> Diagnostic {
    Diagnostic {
        file: file.to_owned(),
        position: Some(Position { line, column }),
        message: message.into(),
        hint: hint.map(str::to_owned),
        excerpt: None,
    }
}

fn parse_line(line: &str) -> Result<(TokenHash, TokenHolder), Fault> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let column_of = |word: &str| {
        let start = word.as_ptr() as usize - line.as_ptr() as usize;
        line[..start].chars().count() + 1
    };
    let (name, role, hash, pools) = match words[..] {
        [name, role, hash] => (name, role, hash, None),
        [name, role, hash, pools] => (name, role, hash, Some(pools)),
        _ => {
            let column = words.first().map_or(1, |word| column_of(word));
            return Err(Fault { column, message: "this is no line of a token file", hint: Some(EXAMPLE) });
        }
    };
    let fault = |word: &str, message, hint| Fault { column: column_of(word), message, hint };
    let role = Role::ALL
        .into_iter()
        .find(|known| known.word() == role)
        .ok_or_else(|| fault(role, "this is no role", Some("the roles are `read`, `operate` and `edit`")))?;
    let hash = TokenHash::parse(hash).ok_or_else(|| {
        let hint = "it is `sha256:` and 64 hexadecimal digits; `rhumb token hash` prints it";
        fault(hash, "this is no hash of a token", Some(hint))
    })?;
    let pools = match pools {
        Some(written) => Some(PoolPatterns::parse(written).map_err(|message| fault(written, message, None))?),
        None => None,
    };
    let holder = TokenHolder::new(name, role, pools).map_err(|message| fault(name, message, None))?;
    Ok((hash, holder))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Some hash that is none of another's.
    fn hash(token: &str) -> String {
        TokenHash::of(token.as_bytes()).to_string()
    }

    #[test]
    fn patterns_are_of_whole_names() {
        for (pattern, name, is_one) in [
            ("vn-*", "vn-1", true),
            ("vn-*", "vn-", true),
            ("vn-*", "vn", false),
            ("vn-*", "xvn-1", false),
            ("vn-?", "vn-1", true),
            ("vn-?", "vn-12", false),
            ("vn-?", "vn-", false),
            ("*", "anything", true),
            ("*-edge-*", "vn-edge-1", true),
            ("*-edge-*", "vn-edge1", false),
            ("a*b*c", "aXbXbYc", true),
            ("a*b*c", "aXbXbY", false),
            ("vietnam", "vietnam", true),
            ("vietnam", "Vietnam", false),
            ("a,b", "b", true),
            ("a,b", "c", false),
        ] {
            let patterns = PoolPatterns::parse(pattern).expect("they are patterns");
            assert_eq!(patterns.have(name), is_one, "{pattern} {name}");
        }
    }

    #[test]
    fn no_pattern_takes_long() {
        let pattern = PoolPatterns::parse(&"*a".repeat(31)).expect("it is one");
        assert!(!pattern.have(&format!("{}b", "a".repeat(10_000))));
    }

    #[test]
    fn a_token_is_known_by_its_line() {
        let text = format!(
            "# all of them\n\n  alice\tedit {}   # since May\nci operate {} vn-*,hk-1\r\nview read {}\n",
            hash("a"),
            hash("b").to_uppercase().replace("SHA256", "sha256"),
            hash("c"),
        );
        let tokens = Tokens::parse("tokens", &text).expect("nothing is wrong");
        assert_eq!(tokens.count(), 3);
        let holder = |token: &str| tokens.holder(token.as_bytes()).map(ToString::to_string);
        assert_eq!(holder("a").as_deref(), Some("alice edit"));
        assert_eq!(holder("b").as_deref(), Some("ci operate vn-*,hk-1"));
        assert_eq!(holder("c").as_deref(), Some("view read"));
        for wrong in ["", "d", &hash("a"), &hash("a")["sha256:".len()..]] {
            assert_eq!(holder(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_line_that_is_printed_can_be_read() {
        for (role, pools) in [(Role::Edit, None), (Role::Operate, Some("vn-*,hk-?"))] {
            let pools = pools.map(|pools| PoolPatterns::parse(pools).expect("they are patterns"));
            let holder = TokenHolder::new("ci", role, pools).expect("there can be one");
            let line = holder.line(&TokenHash::of(b"secret"));
            let tokens = Tokens::parse("tokens", &line).expect("nothing is wrong");
            assert_eq!(tokens.holder(b"secret"), Some(&holder));
        }
    }

    #[test]
    fn every_mistake_is_told_with_its_place_and_no_secret() {
        let good = hash("good");
        let text = format!(
            "swordfish\nalice admin swordfish\nalice edit swordfish\n  bob read {good} vn-*\n\
             bob operate {} vn-*,,x\nc operate {} vn/*\nd/e edit {}\nf edit {good}\nf edit {}\nf g h i j\n\
             g edit {good}\n",
            hash("1"),
            hash("2"),
            hash("3"),
            hash("4"),
        );
        let mistakes = Tokens::parse("/etc/tokens", &text).expect_err("there are mistakes");
        let told: Vec<String> = mistakes
            .iter()
            .map(|mistake| {
                let Position { line, column } = mistake.position.expect("each has a place");
                format!("{line}:{column} {}", mistake.message)
            })
            .collect();
        assert_eq!(
            told,
            [
                "1:1 this is no line of a token file",
                "2:7 this is no role",
                "3:12 this is no hash of a token",
                "4:3 pools limit what may be changed, and `read` changes nothing",
                "5:85 a pattern is missing beside a comma",
                "6:83 a pattern of pools has letters, digits, `-`, `_`, `.`, `*` and `?`, at most 63 of them",
                "7:1 a name has letters, digits, `-`, `_` and `.`, at most 63 of them",
                "9:1 this name is there before",
                "10:1 this is no line of a token file",
                "11:1 this token is there before",
            ]
        );
        let printed = mistakes.to_string();
        assert!(printed.starts_with("/etc/tokens:1:1: error: "), "{printed}");
        assert!(!printed.contains("swordfish") && !printed.contains(&good[7..]), "{printed}");
    }

    #[test]
    fn a_file_without_tokens_is_a_mistake() {
        for text in ["", "\n\n", "# alice edit\n"] {
            let mistakes = Tokens::parse("tokens", text).expect_err("there is none").to_string();
            assert!(mistakes.contains("there is no token in it"), "{mistakes}");
        }
    }

    #[test]
    fn hashes_are_not_shown_by_accident() {
        let tokens = Tokens::parse("tokens", &format!("a edit {}", hash("a"))).expect("nothing is wrong");
        assert!(!format!("{tokens:?}").contains("ca978112ca1bbdca"), "{tokens:?}");
    }
}
