//! Domain names in wire form (RFC 1035 section 3.1), always lowercase.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

/// RFC 1035 section 2.3.4: a name is at most 255 octets, length octets and root included.
pub const MAX_NAME: usize = 255;
/// RFC 1035 section 2.3.4: a label is at most 63 octets.
pub const MAX_LABEL: usize = 63;

/// A domain name, absolute, in uncompressed lowercase wire form.
///
/// Comparison of names is case-insensitive in DNS (RFC 4343); holding them in
/// lowercase makes it a comparison of bytes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Box<[u8]>);

/// Why a text is not a domain name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Two dots in a row, or a leading dot.
    #[error("a label is empty")]
    EmptyLabel,
    /// More than [`MAX_LABEL`] octets between two dots.
    #[error("a label is longer than 63 octets")]
    LabelTooLong,
    /// More than [`MAX_NAME`] octets on the wire.
    #[error("the name is longer than 255 octets")]
    TooLong,
    /// A backslash that no character or three-digit octet follows (RFC 1035 section 5.1).
    #[error("an escape is neither \\DDD nor \\ and a character")]
    BadEscape,
    /// White space or a control character outside an escape.
    #[error("white space and control characters must be escaped")]
    BadCharacter,
}

impl Name {
    /// The root: one empty label.
    pub fn root() -> Self {
        Name(Box::new([0]))
    }

    /// Takes over `wire`, an uncompressed name with its root label; `None` if it is not one.
    pub fn from_wire(wire: &[u8]) -> Option<Self> {
        let mut at = 0;
        loop {
            let length = usize::from(*wire.get(at)?);
            at += 1 + length;
            if length == 0 {
                break;
            }
            if length > MAX_LABEL {
                return None;
            }
        }
        (at == wire.len() && at <= MAX_NAME).then(|| Name(wire.to_ascii_lowercase().into()))
    }

    /// Parses `text` relative to `origin`: `@` is the origin itself, a trailing dot makes it absolute.
    pub fn relative(text: &str, origin: &Name) -> Result<Self, NameError> {
        if text == "@" {
            return Ok(origin.clone());
        }
        let (mut wire, absolute) = labels_of(text)?;
        if absolute {
            wire.push(0);
        } else {
            wire.extend_from_slice(&origin.0);
        }
        if wire.len() > MAX_NAME {
            return Err(NameError::TooLong);
        }
        Ok(Name(wire.into()))
    }

    /// The wire form, root label included.
    pub fn wire(&self) -> &[u8] {
        &self.0
    }

    /// How many labels, the root not counted.
    pub fn label_count(&self) -> usize {
        self.labels().count()
    }

    /// The labels from the left, the root left out.
    pub fn labels(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self.0[..];
        std::iter::from_fn(move || {
            let length = usize::from(rest[0]);
            if length == 0 {
                return None;
            }
            let label = &rest[1..=length];
            rest = &rest[1 + length..];
            Some(label)
        })
    }

    /// The wire form of the name, and of each one above it up to the root.
    pub fn suffixes(&self) -> impl Iterator<Item = &[u8]> {
        self.label_starts().map(|at| &self.0[at..])
    }

    /// The name without its leftmost label; `None` for the root.
    pub fn parent(&self) -> Option<Name> {
        let length = usize::from(self.0[0]);
        (length > 0).then(|| Name(self.0[1 + length..].into()))
    }

    /// Whether this is `ancestor` or stands below it.
    pub fn is_within(&self, ancestor: &Name) -> bool {
        let Some(start) = self.0.len().checked_sub(ancestor.0.len()) else {
            return false;
        };
        self.0.ends_with(&ancestor.0) && self.label_starts().any(|at| at == start)
    }

    /// Whether the leftmost label is `*` (RFC 4592 section 2.1.1).
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with(b"\x01*")
    }

    /// Where each label starts in the wire form, the root label's start last.
    fn label_starts(&self) -> impl Iterator<Item = usize> {
        let mut next = Some(0);
        std::iter::from_fn(move || {
            let at = next?;
            let length = usize::from(self.0[at]);
            next = (length > 0).then_some(at + 1 + length);
            Some(at)
        })
    }
}

/// The labels of `text` in wire form without the root, and whether it ended in a dot.
fn labels_of(text: &str) -> Result<(Vec<u8>, bool), NameError> {
    if text == "." {
        return Ok((Vec::new(), true));
    }
    if text.is_empty() {
        return Err(NameError::EmptyLabel);
    }
    let mut wire = Vec::with_capacity(text.len() + 2);
    wire.push(0);
    let mut length_at = 0;
    let mut open = true;
    let mut octets = text.bytes();
    while let Some(octet) = octets.next() {
        if octet == b'.' {
            if !open || wire.len() == length_at + 1 {
                return Err(NameError::EmptyLabel);
            }
            close_label(&mut wire, length_at)?;
            length_at = wire.len();
            open = false;
            continue;
        }
        if !open {
            wire.push(0);
            open = true;
        }
        let octet = match octet {
            b'\\' => escaped(&mut octets)?,
            0..=b' ' | 0x7f => return Err(NameError::BadCharacter),
            plain => plain,
        };
        wire.push(octet.to_ascii_lowercase());
    }
    if open {
        close_label(&mut wire, length_at)?;
    }
    if wire.len() >= MAX_NAME {
        return Err(NameError::TooLong);
    }
    Ok((wire, !open))
}

fn close_label(wire: &mut [u8], length_at: usize) -> Result<(), NameError> {
    let length = wire.len() - length_at - 1;
    if length > MAX_LABEL {
        return Err(NameError::LabelTooLong);
    }
    // At most 63 by the line above.
    wire[length_at] = length as u8;
    Ok(())
}

/// The octet behind a backslash (RFC 1035 section 5.1).
fn escaped(octets: &mut std::str::Bytes<'_>) -> Result<u8, NameError> {
    let first = octets.next().ok_or(NameError::BadEscape)?;
    if !first.is_ascii_digit() {
        return Ok(first);
    }
    let mut value = u16::from(first - b'0');
    for _ in 0..2 {
        let digit = octets.next().filter(u8::is_ascii_digit).ok_or(NameError::BadEscape)?;
        value = value * 10 + u16::from(digit - b'0');
    }
    u8::try_from(value).map_err(|_| NameError::BadEscape)
}

impl Borrow<[u8]> for Name {
    /// The wire form, by which names are equal, sorted and hashed: so what is sorted by names is searched without one.
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Name {
    /// The wire form.
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameError;

    /// Parses presentation form; the name is taken as absolute with or without its trailing dot.
    fn from_str(text: &str) -> Result<Self, NameError> {
        let (mut wire, _) = labels_of(text)?;
        wire.push(0);
        Ok(Name(wire.into()))
    }
}

impl fmt::Display for Name {
    /// Presentation form without the trailing dot; the root is `.`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.len() == 1 {
            return f.write_str(".");
        }
        for (index, label) in self.labels().enumerate() {
            if index > 0 {
                f.write_str(".")?;
            }
            for &octet in label {
                match octet {
                    b'.' | b'\\' | b'"' | b';' | b'(' | b')' | b'@' | b'$' => {
                        write!(f, "\\{}", char::from(octet))?;
                    }
                    0x21..=0x7e => write!(f, "{}", char::from(octet))?,
                    other => write!(f, "\\{other:03}")?,
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().expect("a name")
    }

    #[test]
    fn text_and_wire_agree() {
        for (text, wire) in [
            (".", &b"\0"[..]),
            ("Ai.Example", b"\x02ai\x07example\0"),
            ("ai.example.", b"\x02ai\x07example\0"),
            (r"a\.b.c", b"\x03a.b\x01c\0"),
            (r"\000\255.c", b"\x02\x00\xff\x01c\0"),
            ("*.c", b"\x01*\x01c\0"),
        ] {
            assert_eq!(name(text).wire(), wire, "{text}");
            assert_eq!(name(&name(text).to_string()), name(text), "{text}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let long_label = "a".repeat(64);
        let long_name = vec!["a".repeat(61); 5].join(".");
        for (text, error) in [
            ("", NameError::EmptyLabel),
            (".a", NameError::EmptyLabel),
            ("a..b", NameError::EmptyLabel),
            ("a b", NameError::BadCharacter),
            (r"a\", NameError::BadEscape),
            (r"a\25", NameError::BadEscape),
            (r"a\256", NameError::BadEscape),
            (&long_label, NameError::LabelTooLong),
            (&long_name, NameError::TooLong),
        ] {
            assert_eq!(text.parse::<Name>(), Err(error), "{text}");
        }
    }

    #[test]
    fn the_longest_name_is_a_name() {
        // 3 labels of 63 and one of 61: 64 * 3 + 62 + 1 = 255.
        let text = [&"a".repeat(63)[..], &"b".repeat(63), &"c".repeat(63), &"d".repeat(61)].join(".");
        assert_eq!(name(&text).wire().len(), MAX_NAME);
        assert_eq!(format!("{text}d").parse::<Name>(), Err(NameError::TooLong));
    }

    #[test]
    fn relative_names_end_in_the_origin() {
        let origin = name("ai.example");
        for (text, full) in
            [("@", "ai.example"), ("www", "www.ai.example"), ("www.", "www"), ("*", "*.ai.example")]
        {
            assert_eq!(Name::relative(text, &origin), Ok(name(full)), "{text}");
        }
    }

    #[test]
    fn within_follows_labels_not_octets() {
        assert!(name("a.example").is_within(&name("example")));
        assert!(name("example").is_within(&name("example")));
        assert!(name("example").is_within(&Name::root()));
        assert!(!name("anexample").is_within(&name("example")));
        assert!(!name("example").is_within(&name("a.example")));
        // The label is one of 8 octets whose tail looks like \x01a\0 on the wire.
        assert!(!name(r"x\001a").is_within(&name("a")));
    }

    #[test]
    fn suffixes_are_the_name_and_all_above() {
        let suffixes: Vec<Name> = name("a.b.c").suffixes().filter_map(Name::from_wire).collect();
        assert_eq!(suffixes, ["a.b.c", "b.c", "c", "."].map(name));
        let sorted = std::collections::BTreeMap::from(["c", "b.c"].map(|text| (name(text), text)));
        let found: Vec<_> = name("a.b.c").suffixes().filter_map(|wire| sorted.get(wire)).collect();
        assert_eq!(found, [&"b.c", &"c"]);
    }

    #[test]
    fn wire_with_rubbish_is_refused() {
        for wire in [&b""[..], b"\x01a", b"\x02a\0", b"\0\0", b"\xc0\x0c"] {
            assert_eq!(Name::from_wire(wire), None);
        }
    }
}
