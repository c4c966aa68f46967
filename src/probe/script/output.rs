//! What a script says.

use std::convert::Infallible;
use std::io::{ErrorKind, Read};

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

use super::super::words::{MAX_CHARACTERS, shown};

/// Octets that as many characters have as are shown.
const MAX_OCTETS: usize = 4 * MAX_CHARACTERS;
/// Octets that are read at once: what a pipe guarantees to take as a whole (PIPE_BUF of Linux).
const AT_ONCE: usize = 4096;

/// The first line of an output, of which the rest is read and forgotten.
#[derive(Default)]
pub(super) struct FirstLine {
    octets: Vec<u8>,
    is_whole: bool,
}

impl FirstLine {
    /// Reads to the end, so that whoever writes need never wait, and then waits.
    pub(super) async fn listen(&mut self, output: &mut pipe::Receiver) -> Infallible {
        let mut read = [0; AT_ONCE];
        while let Ok(length @ 1..) = output.read(&mut read).await {
            self.add(&read[..length]);
        }
        std::future::pending().await
    }

    /// Takes what is left of the line in `output`, without waiting for more: of who has ended it is
    /// all there.
    pub(super) fn take_rest(&mut self, output: pipe::Receiver) {
        let Ok(output) = output.into_nonblocking_fd() else { return };
        let mut output = std::fs::File::from(output);
        let mut read = [0; AT_ONCE];
        while !self.is_whole {
            match output.read(&mut read) {
                Ok(length @ 1..) => self.add(&read[..length]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => return,
            }
        }
    }

    /// The line, fit for a log: what is no text or would move the cursor is written out.
    pub(super) fn text(&self) -> String {
        shown(&String::from_utf8_lossy(&self.octets))
    }

    fn add(&mut self, octets: &[u8]) {
        if self.is_whole {
            return;
        }
        let end = octets.iter().position(|&octet| octet == b'\n');
        // One more than can be kept, to tell that there is more.
        let room = (MAX_OCTETS + 1).saturating_sub(self.octets.len());
        let taken = end.unwrap_or(octets.len()).min(room);
        self.octets.extend_from_slice(&octets[..taken]);
        self.is_whole = end.is_some() || self.octets.len() > MAX_OCTETS;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(parts: &[&[u8]]) -> String {
        let mut line = FirstLine::default();
        parts.iter().for_each(|part| line.add(part));
        line.text()
    }

    #[test]
    fn the_first_line_is_kept() {
        for (parts, expected) in [
            (&[&b"one\ntwo\n"[..]][..], "one"),
            (&[b"on", b"e", b"\n", b"two"], "one"),
            (&[b"one \r\n"], "one"),
            (&[b"one"], "one"),
            (&[b"\ntwo"], ""),
            (&[], ""),
            (&[b"\x1b[2J\0a\tb"], r"\u{1b}[2J\u{0}a\tb"),
            (&[b"\xff\xfe"], "\u{fffd}\u{fffd}"),
            ("mühsam".as_bytes().chunks(1).collect::<Vec<_>>().as_slice(), "mühsam"),
        ] {
            assert_eq!(text(parts), expected);
        }
    }

    #[test]
    fn a_long_line_is_cut() {
        let line = |length| "ä".repeat(length);
        assert_eq!(text(&[line(MAX_CHARACTERS).as_bytes()]), line(MAX_CHARACTERS));
        for length in [MAX_CHARACTERS + 1, 10 * MAX_OCTETS] {
            assert_eq!(text(&[line(length).as_bytes()]), line(MAX_CHARACTERS) + "…");
        }
    }

    #[test]
    fn an_endless_line_takes_no_room() {
        let mut line = FirstLine::default();
        for _ in 0..1000 {
            line.add(&[b'a'; AT_ONCE]);
        }
        assert!(line.octets.len() <= MAX_OCTETS + 1);
    }
}
