//! The EDNS options that a server adds to its replies: cookie, identifier, keepalive, and why an
//! answer is as it is.

use super::edns::OPTION_HEADER;

/// The option code of the server's identifier (RFC 5001 section 2.3).
pub(super) const NSID: u16 = 3;
/// The option code of cookies (RFC 7873 section 4).
pub(super) const COOKIE: u16 = 10;
/// The option code of the time that a connection may be idle (RFC 7828 section 3.1).
pub(super) const TCP_KEEPALIVE: u16 = 11;
/// The option code of extended errors (RFC 8914 section 2).
const EXTENDED_ERROR: u16 = 15;

/// Octets of the longest identifier that a reply carries. Names of hosts and sites are shorter,
/// and with all other options it leaves the 512 octets of the smallest reply room for the longest
/// name.
pub const MAX_NSID: usize = 64;
/// Octets of a cookie with the server's part as RFC 9018 section 4 makes it.
pub const FULL_COOKIE: usize = 24;

/// Room for all of them at once: a reply's options are made without allocation.
const ROOM: usize = 3 * OPTION_HEADER + FULL_COOKIE + MAX_NSID + 2;

/// The options of a reply, in wire form.
pub struct ReplyOptions {
    octets: [u8; ROOM],
    length: usize,
}

impl ReplyOptions {
    /// No options.
    pub const fn new() -> Self {
        ReplyOptions { octets: [0; ROOM], length: 0 }
    }

    /// Takes all options out again.
    pub fn clear(&mut self) {
        self.length = 0;
    }

    /// Adds the cookie (RFC 7873 section 5.2).
    pub fn cookie(&mut self, cookie: &[u8; FULL_COOKIE]) {
        self.add(COOKIE, cookie);
    }

    /// Adds the server's identifier, of at most [`MAX_NSID`] octets (RFC 5001 section 2.2).
    pub fn nsid(&mut self, nsid: &[u8]) {
        self.add(NSID, nsid);
    }

    /// Adds the time that a connection may be idle, in units of 100 ms (RFC 7828 section 3.1).
    pub fn tcp_keepalive(&mut self, timeout: u16) {
        self.add(TCP_KEEPALIVE, &timeout.to_be_bytes());
    }

    /// The options in wire form.
    pub fn octets(&self) -> &[u8] {
        &self.octets[..self.length]
    }

    /// Each kind is added once at the most, so that there is room; what has none is left out.
    fn add(&mut self, code: u16, data: &[u8]) {
        if let Some(out) = self.octets.get_mut(self.length..self.length + OPTION_HEADER + data.len()) {
            write_option(code, data, out);
            self.length += out.len();
        }
    }
}

impl Default for ReplyOptions {
    fn default() -> Self {
        ReplyOptions::new()
    }
}

/// Why an answer is as it is, for whoever looks into it (RFC 8914).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtendedError {
    /// INFO-CODE.
    code: u16,
    /// EXTRA-TEXT; may be empty.
    text: &'static str,
}

impl ExtendedError {
    /// The client may not have what it asks for (RFC 8914 section 4.19).
    pub const PROHIBITED: ExtendedError = ExtendedError { code: 18, text: "" };
    /// The server does not serve the name (RFC 8914 section 4.21).
    pub const NOT_AUTHORITATIVE: ExtendedError = ExtendedError { code: 20, text: "" };
    /// The server does not do what is asked (RFC 8914 section 4.22).
    pub const NOT_SUPPORTED: ExtendedError = ExtendedError { code: 21, text: "" };

    /// Something that has no code of its own, in words (RFC 8914 section 4.1).
    pub const fn other(text: &'static str) -> Self {
        ExtendedError { code: 0, text }
    }

    /// Octets of the option.
    pub(super) fn length(&self) -> usize {
        OPTION_HEADER + 2 + self.text.len()
    }

    /// Writes the option into `out`, which has [`ExtendedError::length`] octets.
    pub(super) fn write(&self, out: &mut [u8]) {
        out[..2].copy_from_slice(&EXTENDED_ERROR.to_be_bytes());
        out[2..4].copy_from_slice(&((2 + self.text.len()) as u16).to_be_bytes());
        out[4..6].copy_from_slice(&self.code.to_be_bytes());
        out[6..].copy_from_slice(self.text.as_bytes());
    }
}

fn write_option(code: u16, data: &[u8], out: &mut [u8]) {
    out[..2].copy_from_slice(&code.to_be_bytes());
    out[2..4].copy_from_slice(&(data.len() as u16).to_be_bytes());
    out[OPTION_HEADER..].copy_from_slice(data);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_every_option_at_its_longest() {
        let mut options = ReplyOptions::new();
        options.cookie(&[7; FULL_COOKIE]);
        options.nsid(&[b'n'; MAX_NSID]);
        options.tcp_keepalive(100);
        assert_eq!(options.octets().len(), ROOM);
        assert!(options.octets().ends_with(&[0, 11, 0, 2, 0, 100]));
        options.clear();
        assert!(options.octets().is_empty());
    }
}
