//! The text form of records: entries and tokens (RFC 1035 section 5.1).

use std::ops::Range;

/// What stands between two ends of lines that count, parentheses taken into account.
#[derive(Debug, PartialEq)]
pub(super) struct Entry<'t> {
    /// Whether it starts with white space: its owner is that of the entry before.
    pub(super) starts_blank: bool,
    /// Never empty.
    pub(super) tokens: Vec<Token<'t>>,
}

/// One word, or one string in quotes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token<'t> {
    /// As written, escapes and all, without the quotes around it.
    pub(super) text: &'t str,
    /// Whether it stood in quotes.
    pub(super) quoted: bool,
    /// Where it stands in the text, quotes included.
    pub(super) span: Range<usize>,
}

/// Why a text cannot be taken apart, and where.
#[derive(Debug, PartialEq)]
pub(super) struct Fault {
    pub(super) message: String,
    pub(super) span: Range<usize>,
}

/// Takes a master file apart. After a fault it goes on with the next line.
pub(super) fn entries(text: &str) -> Entries<'_> {
    Entries { text, at: 0 }
}

/// The tokens of one record's data; a comment or a second line is a fault.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, Fault> {
    let mut lexer = Lexer { text, at: 0, open: None, comments: false };
    let mut tokens = Vec::new();
    loop {
        match lexer.next()? {
            Lexeme::Token(token) => tokens.push(token),
            Lexeme::End => return Ok(tokens),
            Lexeme::LineEnd => {
                let span = lexer.at - 1..lexer.at;
                return Err(Fault { message: "the data of a record is one line".to_owned(), span });
            }
        }
    }
}

/// The octets of a character string: `\DDD` is the octet of that number, `\X` is X itself.
pub(super) fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        if octet != b'\\' {
            octets.push(octet);
            continue;
        }
        let Some(first) = rest.next() else {
            return Err("nothing follows the last backslash".to_owned());
        };
        if !first.is_ascii_digit() {
            octets.push(first);
            continue;
        }
        let mut value = u32::from(first - b'0');
        for _ in 0..2 {
            match rest.next() {
                Some(digit) if digit.is_ascii_digit() => value = value * 10 + u32::from(digit - b'0'),
                _ => return Err("a backslash and a digit are followed by two more digits".to_owned()),
            }
        }
        octets.push(u8::try_from(value).map_err(|_| format!("\\{value} is no octet: they go to \\255"))?);
    }
    Ok(octets)
}

/// See [`entries`].
pub(super) struct Entries<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Iterator for Entries<'t> {
    type Item = Result<Entry<'t>, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let starts_blank = self.text[self.at..].starts_with([' ', '\t']);
            let mut lexer = Lexer { text: self.text, at: self.at, open: None, comments: true };
            let mut tokens = Vec::new();
            let ended = loop {
                match lexer.next() {
                    Ok(Lexeme::Token(token)) => tokens.push(token),
                    Ok(Lexeme::LineEnd) => break false,
                    Ok(Lexeme::End) => break true,
                    Err(fault) => {
                        let rest = &self.text[fault.span.start..];
                        self.at = rest.find('\n').map_or(self.text.len(), |end| fault.span.start + end + 1);
                        return Some(Err(fault));
                    }
                }
            };
            self.at = lexer.at;
            if !tokens.is_empty() {
                return Some(Ok(Entry { starts_blank, tokens }));
            }
            if ended {
                return None;
            }
        }
    }
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    /// Where the parenthesis stands that is open.
    open: Option<usize>,
    /// Whether a semicolon starts a comment, or is a fault.
    comments: bool,
}

enum Lexeme<'t> {
    Token(Token<'t>),
    /// The end of a line outside parentheses.
    LineEnd,
    /// The end of the text.
    End,
}

impl<'t> Lexer<'t> {
    fn next(&mut self) -> Result<Lexeme<'t>, Fault> {
        loop {
            let start = self.at;
            let Some(&octet) = self.text.as_bytes().get(start) else {
                return match self.open {
                    Some(open) => Err(fault("the parenthesis is never closed", open..open + 1)),
                    None => Ok(Lexeme::End),
                };
            };
            self.at += 1;
            match octet {
                b' ' | b'\t' | b'\r' => {}
                b'\n' if self.open.is_some() => {}
                b'\n' => return Ok(Lexeme::LineEnd),
                b';' if self.comments => {
                    self.at = self.text[start..].find('\n').map_or(self.text.len(), |end| start + end);
                }
                b';' => {
                    return Err(fault(
                        "a `;` outside quotes starts a comment; put it into quotes",
                        start..start + 1,
                    ));
                }
                b'(' if self.open.is_some() => {
                    return Err(fault("a parenthesis inside parentheses", start..start + 1));
                }
                b'(' => self.open = Some(start),
                b')' if self.open.is_none() => {
                    return Err(fault("a parenthesis closes that was never opened", start..start + 1));
                }
                b')' => self.open = None,
                b'"' => {
                    let end = self.end_of_quotes(start)?;
                    self.at = end;
                    let text = &self.text[start + 1..end - 1];
                    return Ok(Lexeme::Token(Token { text, quoted: true, span: start..end }));
                }
                _ => {
                    self.at = start;
                    self.skip_word()?;
                    let span = start..self.at;
                    return Ok(Lexeme::Token(Token { text: &self.text[span.clone()], quoted: false, span }));
                }
            }
        }
    }

    /// The offset behind the quotes that open at `start`.
    fn end_of_quotes(&self, start: usize) -> Result<usize, Fault> {
        let mut escaped = false;
        for (offset, octet) in self.text.bytes().enumerate().skip(start + 1) {
            match octet {
                b'\n' => break,
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => return Ok(offset + 1),
                _ => {}
            }
        }
        Err(fault("the quotes are not closed on their line", start..start + 1))
    }

    /// Goes to the end of the word that starts here; quotes within it, as in `alpn="h2,h3"`, belong to it.
    fn skip_word(&mut self) -> Result<(), Fault> {
        while let Some(&octet) = self.text.as_bytes().get(self.at) {
            match octet {
                b' ' | b'\t' | b'\r' | b'\n' | b';' | b'(' | b')' => break,
                b'"' => self.at = self.end_of_quotes(self.at)?,
                // What follows is a character of the word, whole if it is not ASCII.
                b'\\' => {
                    let next = self.text[self.at + 1..].chars().next().filter(|&next| next != '\n');
                    self.at += 1 + next.map_or(0, char::len_utf8);
                }
                _ => self.at += 1,
            }
        }
        Ok(())
    }
}

fn fault(message: &str, span: Range<usize>) -> Fault {
    Fault { message: message.to_owned(), span }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each entry as its tokens with bars between, `_` in front of a blank start; faults as `!message@start`.
    fn shown(text: &str) -> Vec<String> {
        entries(text)
            .map(|entry| match entry {
                Ok(Entry { starts_blank, tokens }) => {
                    let words: Vec<String> =
                        tokens
                            .iter()
                            .map(|token| {
                                if token.quoted { format!("<{}>", token.text) } else { token.text.to_owned() }
                            })
                            .collect();
                    format!("{}{}", if starts_blank { "_" } else { "" }, words.join("|"))
                }
                Err(fault) => format!("!{}@{}", fault.message, fault.span.start),
            })
            .collect()
    }

    #[test]
    fn entries_follow_rfc_1035() {
        for (text, expected) in [
            ("", &[][..]),
            ("\n ; only a comment\n\n", &[]),
            ("a A 1\nb A 2", &["a|A|1", "b|A|2"]),
            ("a A 1\r\n\tTXT \"x y\" ; c\r\n", &["a|A|1", "_TXT|<x y>"]),
            ("@ SOA a b ( 1 ; serial\n 2\n3 ) x\nn", &["@|SOA|a|b|1|2|3|x", "n"]),
            (r#"a TXT "q\"r;(" s\"t\;u"#, &[r#"a|TXT|<q\"r;(>|s\"t\;u"#]),
            ("a SVCB 1 . alpn=\"h2,h3\" x", &["a|SVCB|1|.|alpn=\"h2,h3\"|x"]),
            ("a )\nb", &["!a parenthesis closes that was never opened@2", "b"]),
            ("a \"x\nb", &["!the quotes are not closed on their line@2", "b"]),
            ("a (\nb", &["!the parenthesis is never closed@2", "b"]),
            ("a \\", &["a|\\"]),
            ("a \\é b", &["a|\\é|b"]),
        ] {
            assert_eq!(shown(text), expected, "{text:?}");
        }
    }

    #[test]
    fn data_is_one_line_without_comments() {
        assert_eq!(tokens("10 mail").map(|tokens| tokens.len()), Ok(2));
        assert!(tokens("10 ; mail").is_err());
        assert!(tokens("10\nmail").is_err());
        assert!(tokens("( 10\nmail )").is_ok());
    }

    #[test]
    fn escapes_stand_for_octets() {
        for (text, octets) in [
            (r"a\.b", Ok(b"a.b".to_vec())),
            (r"\000\255\\", Ok(vec![0, 255, b'\\'])),
            ("é", Ok("é".as_bytes().to_vec())),
        ] {
            assert_eq!(unescape(text), octets, "{text}");
        }
        for text in [r"\", r"\25", r"\256", r"\2x5"] {
            assert!(unescape(text).is_err(), "{text}");
        }
    }
}
