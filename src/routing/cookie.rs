//! Server cookies that every server with the same secret makes and accepts (RFC 7873, RFC 9018).

use std::fmt;
use std::hash::Hasher;
use std::net::IpAddr;

use siphasher::sip::SipHasher24;
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use crate::dns::FULL_COOKIE;

/// A secret that cookies are made with: a key of SipHash-2-4.
pub type CookieSecret = [u8; 16];

/// The secrets of a server. Servers that answer at one address share them.
#[derive(Clone, PartialEq, Eq)]
pub struct CookieSecrets {
    current: CookieSecret,
    /// Cookies made with these are still good: while a new secret spreads and while cookies of the
    /// last one are about (RFC 9018 section 5).
    further: Box<[CookieSecret]>,
}

impl Drop for CookieSecrets {
    fn drop(&mut self) {
        self.current.zeroize();
        self.further.iter_mut().for_each(Zeroize::zeroize);
    }
}

impl fmt::Debug for CookieSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CookieSecrets(..)")
    }
}

/// What a query's cookie option is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Credit {
    /// It has no server cookie: the client's first query.
    New,
    /// The server cookie is not ours, of another address, or too old.
    Bad,
    /// The server cookie is good: the client is at the address that it claims to be at.
    Good,
}

/// The layout of RFC 9018 section 4: version 1, three reserved octets, timestamp, hash.
const VERSION: u8 = 1;
/// Octets of the client's part (RFC 7873 section 4).
const CLIENT_COOKIE: usize = 8;
/// Octets ahead of the hash: the client's cookie, version, reserved, timestamp.
const AHEAD: usize = 16;
/// RFC 9018 section 4.3: cookies of more than an hour are not accepted,
const MAX_AGE: u32 = 3600;
/// nor those from more than five minutes ahead, as far as servers' clocks may differ,
const MAX_AHEAD: u32 = 300;
/// and after half an hour a client is given a new one.
const RENEW_AGE: u32 = 1800;

impl CookieSecrets {
    /// Cookies are made with `current` and accepted from it and `further`.
    pub fn new(current: CookieSecret, further: &[CookieSecret]) -> Self {
        CookieSecrets { current, further: further.into() }
    }

    /// What `sent`, a well-formed cookie option of a client at `address`, is worth, and the cookie
    /// that the reply carries. `now` is in seconds since 1970, modulo 2^32.
    pub(super) fn receive(&self, sent: &[u8], address: IpAddr, now: u32) -> (Credit, [u8; FULL_COOKIE]) {
        let Some(sent) = sent.first_chunk::<FULL_COOKIE>().filter(|_| sent.len() == FULL_COOKIE) else {
            // Another layout is another server's; 8 octets alone are the client's.
            let credit = if sent.len() == CLIENT_COOKIE { Credit::New } else { Credit::Bad };
            return (credit, self.make(sent, address, now));
        };
        let age = self.age(sent, now);
        let is_by = |secret: &CookieSecret| bool::from(hash(secret, sent, address).ct_eq(&sent[AHEAD..]));
        match age {
            Some(age) if is_by(&self.current) => {
                // From ahead of our clock is not old.
                let is_old = age > i64::from(RENEW_AGE);
                (Credit::Good, if is_old { self.make(sent, address, now) } else { *sent })
            }
            Some(_) if self.further.iter().any(is_by) => (Credit::Good, self.make(sent, address, now)),
            _ => (Credit::Bad, self.make(sent, address, now)),
        }
    }

    /// Seconds since a cookie was made, below 0 if it is from ahead of our clock; `None` if it is
    /// of another version or not of a time that is accepted.
    fn age(&self, cookie: &[u8; FULL_COOKIE], now: u32) -> Option<i64> {
        let made = u32::from_be_bytes([cookie[12], cookie[13], cookie[14], cookie[15]]);
        // Serial number arithmetic: timestamps wrap in 2106 (RFC 9018 section 4.3, RFC 1982).
        let age = i64::from(now.wrapping_sub(made).cast_signed());
        let is_accepted = (-i64::from(MAX_AHEAD)..=i64::from(MAX_AGE)).contains(&age);
        (cookie[CLIENT_COOKIE] == VERSION && is_accepted).then_some(age)
    }

    /// A cookie for the client whose part `sent` starts with.
    fn make(&self, sent: &[u8], address: IpAddr, now: u32) -> [u8; FULL_COOKIE] {
        let mut cookie = [0; FULL_COOKIE];
        cookie[..CLIENT_COOKIE].copy_from_slice(&sent[..CLIENT_COOKIE]);
        cookie[CLIENT_COOKIE] = VERSION;
        cookie[12..AHEAD].copy_from_slice(&now.to_be_bytes());
        let hash = hash(&self.current, &cookie, address);
        cookie[AHEAD..].copy_from_slice(&hash);
        cookie
    }
}

/// RFC 9018 section 4.4: over everything ahead of the hash, reserved octets as they came, and the
/// client's address.
fn hash(secret: &CookieSecret, cookie: &[u8; FULL_COOKIE], address: IpAddr) -> [u8; 8] {
    let mut hasher = SipHasher24::new_with_key(secret);
    let mut input = [0; AHEAD + 16];
    input[..AHEAD].copy_from_slice(&cookie[..AHEAD]);
    let length = match address {
        IpAddr::V4(ip) => {
            input[AHEAD..AHEAD + 4].copy_from_slice(&ip.octets());
            AHEAD + 4
        }
        IpAddr::V6(ip) => {
            input[AHEAD..].copy_from_slice(&ip.octets());
            AHEAD + 16
        }
    };
    hasher.write(&input[..length]);
    hasher.finish().to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn octets<const N: usize>(hex: &str) -> [u8; N] {
        let decoded = data_encoding::HEXLOWER.decode(hex.as_bytes()).expect("hexadecimal digits");
        decoded.try_into().expect("as many octets")
    }

    fn secrets(current: &str, further: &[&str]) -> CookieSecrets {
        let further: Vec<CookieSecret> = further.iter().map(|hex| octets(hex)).collect();
        CookieSecrets::new(octets(current), &further)
    }

    const SECRET: &str = "e5e973e5a6b2a43f48e7dc849e37bfcf";
    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 100));

    /// RFC 9018 appendix A.1.
    #[test]
    fn a_new_client_is_given_the_cookie_of_the_appendix() {
        let (credit, cookie) =
            secrets(SECRET, &[]).receive(&octets::<8>("2464c4abcf10c957"), ADDRESS, 1_559_731_985);
        assert_eq!(credit, Credit::New);
        assert_eq!(cookie, octets("2464c4abcf10c957010000005cf79f111f8130c3eee29480"));
    }

    /// RFC 9018 appendix A.2: a client back after more than half an hour is given a new cookie.
    #[test]
    fn a_cookie_that_ages_is_good_and_renewed() {
        let sent: [u8; 24] = octets("2464c4abcf10c957010000005cf79f111f8130c3eee29480");
        let secrets = secrets(SECRET, &[]);
        let renewed = octets("2464c4abcf10c957010000005cf7a871d4a564a1442aca77");
        assert_eq!(secrets.receive(&sent, ADDRESS, 1_559_734_385), (Credit::Good, renewed));
        assert_eq!(secrets.receive(&sent, ADDRESS, 1_559_731_985 + 1800), (Credit::Good, sent));
    }

    /// RFC 9018 appendix A.3: reserved octets that are not zero are hashed as they are.
    #[test]
    fn another_servers_reserved_octets_are_respected() {
        let (credit, renewed) = secrets(SECRET, &[]).receive(
            &octets::<24>("fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5"),
            [203, 0, 113, 203].into(),
            1_559_734_700,
        );
        assert_eq!(credit, Credit::Bad, "made an hour and a half ago");
        assert_eq!(renewed, octets("fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e"));
        let (credit, _) = secrets(SECRET, &[]).receive(
            &octets::<24>("fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5"),
            [203, 0, 113, 203].into(),
            1_559_727_985,
        );
        assert_eq!(credit, Credit::Good);
    }

    /// RFC 9018 appendix A.4: IPv6, and the secret of before.
    #[test]
    fn a_cookie_of_the_last_secret_is_good_and_replaced() {
        let address = "2001:db8:220:1:59de:d0f4:8769:82b8".parse().expect("an address");
        let sent: [u8; 24] = octets("22681ab97d52c298010000005cf7c57926556bd0934c72f8");
        let (last, new) = ("dd3bdf9344b678b185a6f5cb60fca715", "445536bcd2513298075a5d379663c962");
        let renewed = octets("22681ab97d52c298010000005cf7c609a6bb79d16625507a");
        assert_eq!(secrets(new, &[last]).receive(&sent, address, 1_559_741_961), (Credit::Good, renewed));
        assert_eq!(secrets(new, &[]).receive(&sent, address, 1_559_741_961), (Credit::Bad, renewed));
    }

    #[test]
    fn a_cookie_is_good_at_its_address_and_in_its_time_only() {
        let secrets = secrets(SECRET, &[]);
        // Timestamps wrap: also from one side of 2^32 to the other.
        for made in [1_559_731_985, u32::MAX - 10, 10] {
            let (_, cookie) = secrets.receive(&[7; 8], ADDRESS, made);
            for (seconds, credit) in [
                (-301, Credit::Bad),
                (-300, Credit::Good),
                (0, Credit::Good),
                (3600, Credit::Good),
                (3601, Credit::Bad),
                (i32::MAX, Credit::Bad),
                (i32::MIN, Credit::Bad),
            ] {
                let now = made.wrapping_add_signed(seconds);
                assert_eq!(secrets.receive(&cookie, ADDRESS, now).0, credit, "{seconds} s after {made}");
            }
            let elsewhere = [198, 51, 100, 101].into();
            assert_eq!(secrets.receive(&cookie, elsewhere, made).0, Credit::Bad);
            for at in 0..cookie.len() {
                let mut forged = cookie;
                forged[at] ^= 1;
                assert_eq!(secrets.receive(&forged, ADDRESS, made).0, Credit::Bad, "octet {at}");
            }
            for length in [16, 23, 25, 40] {
                let mut other = cookie.to_vec();
                other.resize(length, 0);
                assert_eq!(secrets.receive(&other, ADDRESS, made).0, Credit::Bad, "{length} octets");
            }
        }
    }
}
