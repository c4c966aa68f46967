//! What two daemons say to each other when one takes over from the other.
//!
//! A message is JSON behind its length, four octets in network order. Descriptors come with the first
//! octet of the message that says what they are.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What is spoken, so that whoever strays here is told apart from a daemon.
pub(super) const PROTOCOL: &str = "rhumb-takeover";

/// Which version of it. Members may be added to messages, and uses to [`Use`], without another one:
/// both sides pass over what they do not know.
pub(super) const VERSION: u32 = 1;

/// Octets of a message but one with a memory: labels of [`DESCRIPTORS`] sockets with long paths.
pub(super) const LONGEST: usize = 1 << 20;

/// Octets of a memory: some 600 for each of 100,000 addresses.
pub(super) const LONGEST_MEMORY: usize = 64 << 20;

/// Octets of a message of whose turn it is: that of 300,000 rotating pools with one worker, or of 30,000 with ten.
pub(super) const LONGEST_TURNS: usize = 16 << 20;

/// Octets of what is around a memory or turns.
const ENVELOPE: usize = 100;

/// Octets of the turns alone.
pub(super) const ROOM_FOR_TURNS: usize = LONGEST_TURNS - ENVELOPE;

/// Descriptors of one message; the kernel takes 253 (`SCM_MAX_FD`).
pub(super) const DESCRIPTORS: usize = 128;

/// Something that is said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(super) enum Message {
    /// New: who it is.
    Hello {
        /// [`PROTOCOL`].
        protocol: String,
        /// [`VERSION`].
        version: u32,
        /// As its own system numbers it.
        pid: u32,
    },
    /// Old: sockets, in the order of the descriptors that come with it.
    Sockets {
        /// At most [`DESCRIPTORS`].
        sockets: Vec<Use>,
        /// More of them follow.
        more: bool,
        /// As its own system numbers it.
        pid: u32,
    },
    /// New: it has all that it needs, but for what only one can have.
    Prepare,
    /// Old: it has let go of that.
    Released {
        /// What it believes of addresses.
        memory: Value,
        /// It says whose turn it is when it is asked; an older version breaks off at the question.
        #[serde(default)]
        tells_turns: bool,
        /// Milliseconds since it has begun to read its configuration anew; `None`: it never has.
        #[serde(default)]
        since_reload: Option<u64>,
    },
    /// New: it wants to know whose turn it is, as it is about to answer.
    Rotation,
    /// Old: it knows, and goes on answering.
    Turns {
        /// By the names of pools and domains, worker by worker.
        turns: Value,
    },
    /// New: it answers.
    Serving,
    /// Old: it leaves.
    Farewell,
    /// Old: nothing will come of it.
    Refused {
        /// Why, in words.
        reason: String,
    },
}

/// What a socket is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "for", rename_all = "kebab-case")]
pub(in crate::daemon) enum Use {
    /// DNS over UDP.
    DnsUdp {
        /// Where.
        address: SocketAddr,
    },
    /// DNS over TCP.
    DnsTcp {
        /// Where.
        address: SocketAddr,
    },
    /// The admin API.
    AdminTcp {
        /// Where.
        address: SocketAddr,
    },
    /// The admin API by a Unix socket.
    AdminUnix {
        /// Where.
        path: PathBuf,
        /// The file is the service manager's and stays in the end.
        is_managers: bool,
    },
    /// Something that only a later version knows.
    #[serde(other)]
    Unknown,
}

/// What goes wrong between the two.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The other side is gone.
    #[error("the other process has closed the connection")]
    Closed,
    /// It takes too long.
    #[error("the other process has not answered in time")]
    TimedOut,
    /// No message is as long.
    #[error("a message of {0} octets is too long")]
    TooLong(usize),
    /// It cannot be read.
    #[error("a message cannot be read: {0}")]
    Garbled(serde_json::Error),
    /// Another number of descriptors came than was said.
    #[error("{arrived} descriptors came with a message for which {announced} were announced")]
    Descriptors {
        /// By the message.
        announced: usize,
        /// With it.
        arrived: usize,
    },
    /// Something else was expected.
    #[error("an unexpected message: {0}")]
    Unexpected(&'static str),
    /// The operating system refused something.
    #[error(transparent)]
    Io(io::Error),
}

impl From<io::Error> for WireError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
                WireError::Closed
            }
            _ => WireError::Io(error),
        }
    }
}

impl Message {
    /// How it is called in the log.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Message::Hello { .. } => "hello",
            Message::Sockets { .. } => "sockets",
            Message::Prepare => "prepare",
            Message::Released { .. } => "released",
            Message::Rotation => "rotation",
            Message::Turns { .. } => "turns",
            Message::Serving => "serving",
            Message::Farewell => "farewell",
            Message::Refused { .. } => "refused",
        }
    }

    /// How many descriptors come with it.
    fn descriptors(&self) -> usize {
        match self {
            Message::Sockets { sockets, .. } => sockets.len(),
            _ => 0,
        }
    }
}

/// The message as it is sent.
pub(super) fn encode(message: &Message) -> Result<Vec<u8>, WireError> {
    let payload = serde_json::to_vec(message).map_err(WireError::Garbled)?;
    let length = u32::try_from(payload.len()).map_err(|_| WireError::TooLong(payload.len()))?;
    Ok([&length.to_be_bytes()[..], &payload].concat())
}

/// Whether a memory is short enough to be told.
pub(super) fn fits(memory: &Value) -> bool {
    memory.to_string().len() + ENVELOPE <= LONGEST_MEMORY
}

/// How long the message is that follows, of at most `longest` octets.
pub(super) fn length(header: [u8; 4], longest: usize) -> Result<usize, WireError> {
    let length = usize::try_from(u32::from_be_bytes(header)).unwrap_or(usize::MAX);
    if length > longest { Err(WireError::TooLong(length)) } else { Ok(length) }
}

/// The message that came with so many descriptors.
pub(super) fn decode(payload: &[u8], arrived: usize) -> Result<Message, WireError> {
    let message: Message = serde_json::from_slice(payload).map_err(WireError::Garbled)?;
    let announced = message.descriptors();
    if announced == arrived { Ok(message) } else { Err(WireError::Descriptors { announced, arrived }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn uses() -> impl Strategy<Value = Use> {
        let address = any::<([u8; 4], u16)>().prop_map(SocketAddr::from);
        prop_oneof![
            address.clone().prop_map(|address| Use::DnsUdp { address }),
            address.clone().prop_map(|address| Use::DnsTcp { address }),
            address.prop_map(|address| Use::AdminTcp { address }),
            any::<(String, bool)>()
                .prop_map(|(path, is_managers)| Use::AdminUnix { path: path.into(), is_managers }),
        ]
    }

    fn messages() -> impl Strategy<Value = Message> {
        prop_oneof![
            any::<(String, u32, u32)>().prop_map(|(protocol, version, pid)| Message::Hello {
                protocol,
                version,
                pid
            }),
            (vec(uses(), 0..DESCRIPTORS), any::<(bool, u32)>())
                .prop_map(|(sockets, (more, pid))| Message::Sockets { sockets, more, pid }),
            Just(Message::Prepare),
            any::<(String, bool, Option<u64>)>().prop_map(|(text, tells_turns, since_reload)| {
                Message::Released { memory: Value::from(text), tells_turns, since_reload }
            }),
            Just(Message::Rotation),
            any::<String>().prop_map(|text| Message::Turns { turns: Value::from(text) }),
            Just(Message::Serving),
            Just(Message::Farewell),
            any::<String>().prop_map(|reason| Message::Refused { reason }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_said_is_understood(message in messages()) {
            let octets = encode(&message).expect("it is short");
            let (header, payload) = octets.split_first_chunk().expect("it has a header");
            prop_assert_eq!(length(*header, LONGEST).expect("it is short"), payload.len());
            prop_assert_eq!(decode(payload, message.descriptors()).expect("it is whole"), message);
        }

        #[test]
        fn descriptors_that_are_missing_or_over_are_noticed(message in messages(), arrived in 0_usize..300) {
            let payload = &encode(&message).expect("it is short")[4..];
            let announced = message.descriptors();
            match decode(payload, arrived) {
                Ok(_) => prop_assert_eq!(arrived, announced),
                Err(WireError::Descriptors { .. }) => prop_assert_ne!(arrived, announced),
                Err(other) => prop_assert!(false, "{}", other),
            }
        }

        #[test]
        fn garbage_is_an_error_and_no_panic(payload in vec(any::<u8>(), 0..300), cut in any::<prop::sample::Index>(), message in messages()) {
            // Random octets are hardly ever JSON, so that what is cut short is tried as well.
            prop_assert!(decode(&payload, 0).is_err());
            let whole = &encode(&message).expect("it is short")[4..];
            prop_assert!(decode(&whole[..cut.index(whole.len())], message.descriptors()).is_err());
        }
    }

    #[test]
    fn what_an_older_version_does_not_say_and_a_later_one_adds_is_no_mistake() {
        let released = |more: &str| {
            let text = format!(r#"{{"type": "released", "memory": 1{more}}}"#);
            decode(text.as_bytes(), 0).expect("it is understood")
        };
        let memory = Value::from(1);
        let expected = Message::Released { memory, tells_turns: false, since_reload: None };
        assert_eq!(released(""), expected);
        assert_eq!(released(r#", "later": {"than": "this"}"#), expected);
        for kind in ["prepare", "rotation", "serving", "farewell"] {
            let text = format!(r#"{{"type": "{kind}", "later": 1}}"#);
            assert_eq!(decode(text.as_bytes(), 0).expect("it is understood").name(), kind);
        }
    }

    #[test]
    fn lengths_are_bounded() {
        assert_eq!(length([0, 0x10, 0, 0], LONGEST).ok(), Some(LONGEST));
        assert!(matches!(length([0, 0x10, 0, 1], LONGEST), Err(WireError::TooLong(_))));
        assert!(matches!(length([0xff; 4], LONGEST_MEMORY), Err(WireError::TooLong(_))));
        for (octets, is_short) in [(1, true), (LONGEST_MEMORY - 102, true), (LONGEST_MEMORY - 101, false)] {
            let memory = Value::from("x".repeat(octets));
            assert_eq!(fits(&memory), is_short, "{octets}");
            let whole =
                encode(&Message::Released { memory, tells_turns: false, since_reload: Some(u64::MAX) });
            let whole = whole.expect("it can be sent").len() - 4;
            assert!(!is_short || whole <= LONGEST_MEMORY, "{octets}");
        }
    }

    #[test]
    fn what_a_later_version_adds_is_passed_over() {
        let text = br#"{"type": "sockets", "sockets": [{"for": "dns-quic", "x": 1}], "more": false, "pid": 7, "y": 2}"#;
        let expected = Message::Sockets { sockets: vec![Use::Unknown], more: false, pid: 7 };
        assert_eq!(decode(text, 1).expect("it is understood"), expected);
        assert!(matches!(decode(br#"{"type": "adieu"}"#, 0), Err(WireError::Garbled(_))));
    }
}
