//! Words of others, for logs and the status.

/// Characters that are kept: a line of a log.
pub(super) const MAX_CHARACTERS: usize = 120;

/// The first line of `text`, cut, without anything that would move a cursor.
pub(super) fn shown(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default().trim_end();
    let mut shown = String::new();
    for character in line.chars().take(MAX_CHARACTERS) {
        match character.is_control() {
            true => shown.extend(character.escape_default()),
            false => shown.push(character),
        }
    }
    if line.chars().nth(MAX_CHARACTERS).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_say_is_one_line_of_text() {
        let long = "ä".repeat(MAX_CHARACTERS);
        for (text, expected) in [
            ("", ""),
            ("one\ntwo", "one"),
            ("one \r\ntwo", "one"),
            ("\none", ""),
            ("\x1b[2J\0a\tb", r"\u{1b}[2J\u{0}a\tb"),
            (&long, &long),
            (&format!("{long}a"), &format!("{long}…")),
        ] {
            assert_eq!(shown(text), expected);
        }
    }
}
