//! Parts of the records that a signer makes (RFC 4034 sections 3.2 and 4.2, RFC 5155 sections 3.3 and 4.3).

use data_encoding::{BASE32HEX_NOPAD, HEXLOWER_PERMISSIVE};

/// Seconds since 1970 modulo 2^32 of `YYYYMMDDHHmmSS`, or as they are written.
pub(super) fn moment(text: &str) -> Option<u32> {
    if !text.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    // RFC 4034 section 3.2: a number of seconds has ten digits at most, so that these cannot be mistaken.
    if text.len() != 14 {
        return text.parse().ok();
    }
    let part = |from: usize, to: usize| text[from..to].parse::<u32>().ok();
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    let days_of_month = match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    };
    // A leap second is a second like any other to a signature.
    let is_one = year >= 1970
        && (1..=12).contains(&month)
        && (1..=days_of_month).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    let seconds = ((days_since_1970(year, month, day) * 24 + u64::from(hour)) * 60 + u64::from(minute)) * 60
        + u64::from(second);
    // Serial number arithmetic: what counts are 32 bits (RFC 4034 section 3.1.5).
    is_one.then_some(seconds as u32)
}

fn is_leap(year: u32) -> bool {
    year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400)
}

/// Days from 1970 to a day of the Gregorian calendar, which is not before.
fn days_since_1970(year: u32, month: u32, day: u32) -> u64 {
    /// Days of a common year before each month.
    const BEFORE: [u32; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let years = (1970..year).map(|year| 365 + u32::from(is_leap(year))).sum::<u32>();
    let months = BEFORE.get(month.wrapping_sub(1) as usize).copied().unwrap_or(0);
    let leap_day = u32::from(month > 2 && is_leap(year));
    u64::from(years + months + leap_day + day.saturating_sub(1))
}

/// A salt with its length in front.
pub(super) fn salt(text: &str) -> Option<Vec<u8>> {
    match text {
        "" => None,
        "-" => with_length(Vec::new()),
        text => with_length(HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?),
    }
}

/// A hashed name with its length in front.
pub(super) fn hashed_name(text: &str) -> Option<Vec<u8>> {
    let octets = BASE32HEX_NOPAD.decode(text.to_ascii_uppercase().as_bytes()).ok()?;
    with_length(octets).filter(|_| !text.is_empty())
}

fn with_length(octets: Vec<u8>) -> Option<Vec<u8>> {
    let length = u8::try_from(octets.len()).ok()?;
    Some([&[length][..], &octets].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_days_of_the_calendar_or_seconds() {
        for (text, seconds) in [
            ("19700101000000", Some(0)),
            ("20000229120000", Some(951_825_600)),
            ("20240301000000", Some(1_709_251_200)),
            ("20261231235960", Some(1_798_761_600)),
            // 2^32 seconds and six hours after 1970.
            ("21060207122816", Some(21_600)),
            ("1798761600", Some(1_798_761_600)),
            ("0", Some(0)),
            ("4294967296", None),
            ("21000229000000", None),
            ("20261301000000", None),
            ("20260001000000", None),
            ("20260431000000", None),
            ("20260101240000", None),
            ("19691231235959", None),
            ("-1", None),
            ("", None),
        ] {
            assert_eq!(moment(text), seconds, "{text}");
        }
    }

    #[test]
    fn salts_and_hashes_have_their_length_in_front() {
        assert_eq!(salt("-"), Some(vec![0]));
        assert_eq!(salt("aAbB"), Some(vec![2, 0xaa, 0xbb]));
        assert_eq!(salt("aab"), None);
        assert_eq!(salt(""), None);
        assert_eq!(salt(&"00".repeat(256)), None);
        assert_eq!(hashed_name("CPNMU"), hashed_name("cpnmu"));
        assert_eq!(hashed_name("cpnmuoj8"), Some(vec![5, 0x66, 0x6f, 0x6f, 0x62, 0x68]));
        assert_eq!(hashed_name("wxyz"), None);
        assert_eq!(hashed_name(""), None);
    }
}
