//! The two messages of the gRPC health checking protocol, in the framing of gRPC and the encoding
//! of protocol buffers:
//!
//! ```text
//! message HealthCheckRequest { string service = 1; }
//! message HealthCheckResponse { ServingStatus status = 1; }
//! ```

/// What a server says of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServingStatus {
    Unknown,
    Serving,
    NotServing,
    ServiceUnknown,
    /// A number that the protocol does not know.
    Other,
}

/// The tag of field 1 that is a string, as is the only one of a request.
const SERVICE: u8 = 1 << 3 | LENGTH_DELIMITED;
/// The tag of field 1 that is a number, as is the only one of a response.
const STATUS: u64 = 1 << 3 | VARINT as u64;

/// How long a field is: the low three bits of its tag.
const VARINT: u8 = 0;
const FIXED_64: u8 = 1;
const LENGTH_DELIMITED: u8 = 2;
const FIXED_32: u8 = 5;

/// The octets in front of a message: whether it is compressed, and its length.
const PREFIX: usize = 5;

impl ServingStatus {
    /// Its name in the protocol.
    pub(super) fn name(self) -> &'static str {
        match self {
            ServingStatus::Unknown => "UNKNOWN",
            ServingStatus::Serving => "SERVING",
            ServingStatus::NotServing => "NOT_SERVING",
            ServingStatus::ServiceUnknown => "SERVICE_UNKNOWN",
            ServingStatus::Other => "of no known status",
        }
    }
}

/// The request for the health of `service`, which is no longer than 65,535 octets.
pub(super) fn request(service: &str) -> Vec<u8> {
    let mut message = Vec::new();
    // What has its default value is left out.
    if !service.is_empty() {
        message.push(SERVICE);
        write_varint(service.len(), &mut message);
        message.extend_from_slice(service.as_bytes());
    }
    let length = message.len() as u32;
    let mut framed = vec![0];
    framed.extend(length.to_be_bytes());
    framed.extend(message);
    framed
}

/// What a response says; `None`: it is none.
pub(super) fn response(framed: &[u8]) -> Option<ServingStatus> {
    let (prefix, mut rest) = framed.split_first_chunk::<PREFIX>()?;
    let [compressed, length @ ..] = *prefix;
    if compressed != 0 || usize::try_from(u32::from_be_bytes(length)).ok()? != rest.len() {
        return None;
    }
    let mut status = 0;
    while !rest.is_empty() {
        let tag = read_varint(&mut rest)?;
        if tag == STATUS {
            // Of several the last one counts.
            status = read_varint(&mut rest)?;
            continue;
        }
        // Fields of later versions are passed over.
        let length = match (tag & 7) as u8 {
            VARINT => read_varint(&mut rest).map(|_| 0)?,
            FIXED_64 => 8,
            LENGTH_DELIMITED => usize::try_from(read_varint(&mut rest)?).ok()?,
            FIXED_32 => 4,
            _ => return None,
        };
        rest = rest.get(length..)?;
    }
    Some(match status {
        0 => ServingStatus::Unknown,
        1 => ServingStatus::Serving,
        2 => ServingStatus::NotServing,
        3 => ServingStatus::ServiceUnknown,
        _ => ServingStatus::Other,
    })
}

/// Writes a number in groups of seven bits, the lowest first; all but the last have the eighth set.
fn write_varint(mut number: usize, into: &mut Vec<u8>) {
    while number > 0x7f {
        into.push(number as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}

fn read_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    // Ten groups hold 64 bits.
    for group in 0..10 {
        let (&octet, behind) = rest.split_first()?;
        *rest = behind;
        number |= u64::from(octet & 0x7f) << (7 * group);
        if octet < 0x80 {
            return Some(number);
        }
    }
    None
}

/// The name of a status of gRPC, such as `UNIMPLEMENTED`.
pub(super) fn status_name(code: &str) -> Option<&'static str> {
    const NAMES: [&str; 17] = [
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    ];
    NAMES.get(code.parse::<usize>().ok()?).copied()
}

/// The message of a status, which is UTF-8 with `%XX` for octets; what is no such escape stands for
/// itself.
pub(super) fn status_message(mut encoded: &[u8]) -> String {
    let digit = |octet: u8| char::from(octet).to_digit(16).map(|digit| digit as u8);
    let mut octets = Vec::with_capacity(encoded.len());
    while let Some((&octet, behind)) = encoded.split_first() {
        let escaped = match (octet, behind) {
            (b'%', &[high, low, ..]) => digit(high).zip(digit(low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        octets.push(escaped.unwrap_or(octet));
        encoded = if escaped.is_some() { &behind[2..] } else { behind };
    }
    String::from_utf8_lossy(&octets).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_framed() {
        assert_eq!(request(""), [0, 0, 0, 0, 0]);
        assert_eq!(request("a.B"), b"\0\0\0\0\x05\x0a\x03a.B");
        let long = request(&"x".repeat(300));
        assert_eq!(long[..8], [0, 0, 0, 1, 47, 0x0a, 0xac, 0x02]);
        assert_eq!(long.len(), 8 + 300);
    }

    #[test]
    fn responses_say_a_status() {
        for (message, expected) in [
            (&b""[..], ServingStatus::Unknown),
            (b"\x08\x01", ServingStatus::Serving),
            (b"\x08\x02", ServingStatus::NotServing),
            (b"\x08\x03", ServingStatus::ServiceUnknown),
            (b"\x08\x04", ServingStatus::Other),
            (b"\x08\x81\0", ServingStatus::Serving),
            (b"\x08\x02\x08\x01", ServingStatus::Serving),
            (b"\x10\x05\x1a\x02ab\x21\0\0\0\0\0\0\0\0\x2d\0\0\0\0\x08\x01", ServingStatus::Serving),
        ] {
            assert_eq!(response(&framed(message)), Some(expected), "{message:?}");
        }
    }

    #[test]
    fn what_is_broken_says_nothing() {
        for message in [&b"\x08"[..], b"\x08\x80", b"\x1a\x05ab", b"\x0b", b"\x21\0", &[0xff; 11]] {
            assert_eq!(response(&framed(message)), None, "{message:?}");
        }
        let whole = framed(b"\x08\x01");
        for length in 0..whole.len() {
            assert_eq!(response(&whole[..length]), None);
        }
        assert_eq!(response(b"\x01\0\0\0\x02\x08\x01"), None, "compressed");
        assert_eq!(response(b"\0\0\0\0\x02\x08\x01\0\0\0\0\0"), None, "two messages");
    }

    #[test]
    fn messages_of_a_status_are_read_as_they_were_meant() {
        for (encoded, expected) in [
            ("", ""),
            ("no database", "no database"),
            ("no%20database%0a", "no database\n"),
            ("m%C3%BChsam", "mühsam"),
            ("100% %zz %4", "100% %zz %4"),
            ("%ff", "\u{fffd}"),
        ] {
            assert_eq!(status_message(encoded.as_bytes()), expected);
        }
    }

    #[test]
    fn statuses_have_names() {
        assert_eq!((status_name("12"), status_name("16")), (Some("UNIMPLEMENTED"), Some("UNAUTHENTICATED")));
        assert_eq!([status_name("17"), status_name(""), status_name("-1")], [None; 3]);
    }

    fn framed(message: &[u8]) -> Vec<u8> {
        [&[0], &(message.len() as u32).to_be_bytes()[..], message].concat()
    }
}
