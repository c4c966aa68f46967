//! What a check sends and expects, as written.

use super::super::reader::{Value, string};

/// More than this is not looked through for what is expected (`probe`), nor does it fit into one
/// datagram: 65,535 octets less the headers of IPv4 and UDP.
const MAX_OCTETS: usize = 65_507;

/// Octets as text, with `\r`, `\n`, `\t`, `\\` and `\xHH` for those that are none.
pub(super) fn octets(value: Value<'_>) -> Option<Vec<u8>> {
    let text = string(value)?;
    let octets = match unescape(&text) {
        Ok(octets) => octets,
        Err(escape) => {
            return value.refuse(
                format!("`{escape}` is no escape"),
                "the escapes are \\r, \\n, \\t, \\\\ and \\xHH; best within single quotes".to_owned(),
            );
        }
    };
    match octets.len() {
        0 => value.refuse("there is nothing in it", None),
        1..=MAX_OCTETS => Some(octets),
        length => value.refuse(format!("{length} octets are more than {MAX_OCTETS}"), None),
    }
}

/// The octets that `text` stands for, or the escape in it that stands for none.
fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, escape)) = rest.split_once('\\') {
        octets.extend(plain.as_bytes());
        let mut characters = escape.chars();
        let octet = match characters.next() {
            Some('r') => b'\r',
            Some('n') => b'\n',
            Some('t') => b'\t',
            Some('\\') => b'\\',
            Some('x') => {
                let digits: String = characters.by_ref().take(2).collect();
                let is_hex = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
                match u8::from_str_radix(&digits, 16) {
                    Ok(octet) if is_hex => octet,
                    _ => return Err(format!("\\x{digits}")),
                }
            }
            other => return Err(format!("\\{}", other.map_or(String::new(), String::from))),
        };
        octets.push(octet);
        rest = characters.as_str();
    }
    octets.extend(rest.as_bytes());
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_stand_for_octets() {
        for (text, expected) in [
            ("", Ok(&b""[..])),
            ("PING\\r\\n", Ok(b"PING\r\n")),
            ("\r\n", Ok(b"\r\n")),
            ("\\\\x41\\t", Ok(b"\\x41\t")),
            ("\\x00\\xfF7", Ok(b"\x00\xff7")),
            ("é", Ok("é".as_bytes())),
            ("a\\", Err("\\")),
            ("\\0", Err("\\0")),
            ("\\é", Err("\\é")),
            ("\\x4", Err("\\x4")),
            ("\\x+4", Err("\\x+4")),
            ("\\xé1", Err("\\xé1")),
        ] {
            let expected = expected.map(<[u8]>::to_vec).map_err(str::to_owned);
            assert_eq!(unescape(text), expected, "{text}");
        }
    }
}
