//! Frame Streams, in which dnstap is carried: frames behind their length, between control frames.
//!
//! As `libfstrm` and its documentation have it: a length of 0 announces a control frame, which has a
//! length, a type and fields. Everything is in the order of the network.

use std::io::{self, Read, Write};

/// What the frames are: messages of dnstap.
const CONTENT_TYPE: &[u8] = b"protobuf:dnstap.Dnstap";

/// The longest control frame, as `libfstrm` has it.
const LONGEST_CONTROL: usize = 512;

/// The field of a control frame that says what the frames are.
const FIELD_CONTENT_TYPE: u32 = 1;

/// The kinds of control frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
enum Control {
    /// The reader takes what was announced.
    Accept = 1,
    /// Frames follow.
    Start = 2,
    /// No frames follow.
    Stop = 3,
    /// The writer announces what it has.
    Ready = 4,
    /// The reader has all of it.
    Finish = 5,
}

/// Begins a stream that nobody answers to, as in a file.
pub(super) fn start(stream: &mut impl Write) -> io::Result<()> {
    stream.write_all(&control(Control::Start))
}

/// Ends a stream that nobody answers to.
pub(super) fn stop(stream: &mut impl Write) -> io::Result<()> {
    stream.write_all(&control(Control::Stop))
}

/// Begins a stream to a reader that says whether it takes what is sent.
///
/// # Errors
///
/// If it goes away, is too slow for `stream`, or takes something else.
pub(super) fn greet(stream: &mut (impl Read + Write)) -> io::Result<()> {
    stream.write_all(&control(Control::Ready))?;
    let accepted = read_control(stream, Control::Accept)?;
    if !takes_dnstap(&accepted) {
        return Err(io::Error::other("the reader does not take dnstap"));
    }
    stream.write_all(&control(Control::Start))
}

/// Ends a stream to a reader, and waits until it has all of it.
pub(super) fn part(stream: &mut (impl Read + Write)) -> io::Result<()> {
    stream.write_all(&control(Control::Stop))?;
    read_control(stream, Control::Finish).map(drop)
}

/// A control frame as it is sent.
fn control(kind: Control) -> Vec<u8> {
    let mut body = (kind as u32).to_be_bytes().to_vec();
    if matches!(kind, Control::Ready | Control::Start) {
        body.extend(FIELD_CONTENT_TYPE.to_be_bytes());
        body.extend((CONTENT_TYPE.len() as u32).to_be_bytes());
        body.extend(CONTENT_TYPE);
    }
    let mut frame = vec![0; 4];
    frame.extend((body.len() as u32).to_be_bytes());
    frame.extend(body);
    frame
}

/// Reads a control frame of that kind, and returns its fields.
fn read_control(stream: &mut impl Read, kind: Control) -> io::Result<Vec<u8>> {
    let [escape, length, found] = [read_number(stream)?, read_number(stream)?, read_number(stream)?];
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if escape != 0 || !(4..=LONGEST_CONTROL).contains(&length) || found != kind as u32 {
        return Err(io::Error::other("the reader does not speak Frame Streams"));
    }
    let mut fields = vec![0; length - 4];
    stream.read_exact(&mut fields)?;
    Ok(fields)
}

fn read_number(stream: &mut impl Read) -> io::Result<u32> {
    let mut octets = [0; 4];
    stream.read_exact(&mut octets)?;
    Ok(u32::from_be_bytes(octets))
}

/// Whether the fields of an ACCEPT name dnstap, or nothing, which is everything.
fn takes_dnstap(mut fields: &[u8]) -> bool {
    let mut is_limited = false;
    while let Some((kind, rest)) = number(fields)
        && let Some((length, rest)) = number(rest)
        && let Some((value, rest)) = rest.split_at_checked(usize::try_from(length).unwrap_or(usize::MAX))
    {
        if kind == FIELD_CONTENT_TYPE {
            if value == CONTENT_TYPE {
                return true;
            }
            is_limited = true;
        }
        fields = rest;
    }
    !is_limited
}

fn number(octets: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = octets.split_first_chunk()?;
    Some((u32::from_be_bytes(*number), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_may_take_dnstap_or_anything_and_nothing_else() {
        let field = |kind: u32, value: &[u8]| {
            [&kind.to_be_bytes()[..], &(value.len() as u32).to_be_bytes(), value].concat()
        };
        let (other, own) = (field(1, b"text"), field(1, CONTENT_TYPE));
        for (fields, is_taken) in [
            (Vec::new(), true),
            (own.clone(), true),
            (other.clone(), false),
            ([other.clone(), own.clone()].concat(), true),
            (field(9, b"whatever"), true),
            (own[..own.len() - 1].to_vec(), true),
        ] {
            assert_eq!(takes_dnstap(&fields), is_taken, "{fields:?}");
        }
    }

    #[test]
    fn a_control_frame_is_as_the_specification_draws_it() {
        let start = control(Control::Start);
        assert_eq!(start[..8], [0, 0, 0, 0, 0, 0, 0, 34]);
        assert_eq!(start[8..20], [0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 22]);
        assert_eq!(&start[20..], CONTENT_TYPE);
        assert_eq!(control(Control::Stop), [0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 3]);
        let mut stream = &control(Control::Stop)[..];
        assert_eq!(read_control(&mut stream, Control::Stop).expect("it is one"), [0; 0]);
        for (octets, what) in [
            (&control(Control::Stop)[..], "another kind"),
            (&[0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 5], "no escape"),
            (&[0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 5], "too short"),
            (&[0, 0, 0, 0, 255, 0, 0, 4, 0, 0, 0, 5], "too long"),
            (&[0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 5], "cut"),
        ] {
            let mut stream = octets;
            assert!(read_control(&mut stream, Control::Finish).is_err(), "{what}");
        }
    }
}
