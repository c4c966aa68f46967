//! What a probe found.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

/// What one probe found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The address did what the check expects of it.
    Pass,
    /// It did not.
    Fail(Failure),
}

/// One of the words that gRPC has for the health of a service.
type ServiceWord = &'static str;

/// Why a probe did not pass, in words for a log and as a label for a counter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failure {
    /// Nobody listens: the connection was answered with a reset.
    #[error("connection refused")]
    Refused,
    /// The connection was torn down after it had been established.
    #[error("connection reset")]
    Reset,
    /// The probe's time was over.
    #[error("{phase} within {}", Span(*.after))]
    TimedOut {
        /// What the probe was waiting for.
        phase: Phase,
        /// How long the whole probe was allowed to take.
        after: Duration,
    },
    /// The network has no way to the address, or forbids it.
    #[error("unreachable")]
    Unreachable,
    /// An HTTP response with a status that the check does not expect.
    #[error("status {0}")]
    Status(u16),
    /// An HTTP response whose body does not hold what the check expects.
    #[error("{}", lacks(*.whole))]
    Body {
        /// Whether all of the body was looked through, and not only its start.
        whole: bool,
    },
    /// An answer, over TCP or UDP, without what the check expects.
    #[error("unexpected answer")]
    Unexpected,
    /// What came back is not the protocol that was asked for.
    #[error("malformed response")]
    Malformed,
    /// The TLS handshake failed: the certificate, or what the two sides could agree on.
    #[error("TLS: {0}")]
    Tls(String),
    /// More echo requests stayed without a reply than may be lost, and not all.
    #[error("{lost} of {sent} packets lost")]
    Lost {
        /// Requests without a reply.
        lost: u8,
        /// Requests of the probe.
        sent: u8,
    },
    /// A script has ended with another exit code than 0.
    #[error("exit code {code}{}", Said(said))]
    Exit {
        /// The code.
        code: i32,
        /// The first line of what it printed, cut and without control characters.
        said: String,
    },
    /// A script was ended by a signal.
    #[error("killed by signal {signal}{}", Said(said))]
    Killed {
        /// The number of the signal.
        signal: i32,
        /// As of [`Failure::Exit`].
        said: String,
    },
    /// A DNS reply with a response code that the check does not expect, by its mnemonic.
    #[error("rcode {0}")]
    Rcode(String),
    /// A DNS reply without data that the check expects.
    #[error("{0} is not among the answers")]
    MissingData(String),
    /// The server's certificate is valid, and not for as long as the check asks for.
    #[error("{}", expires(*.left, *.wanted))]
    Certificate {
        /// For how long it is still valid; zero: it is so no longer.
        left: Duration,
        /// For how long it should be.
        wanted: Duration,
    },
    /// The health service of a gRPC server says so, in its words.
    #[error("service is {0}")]
    NotServing(#[serde(deserialize_with = "word_of_service")] ServiceWord),
    /// A call of gRPC has ended with another status than OK.
    #[error("gRPC status {status}{}", Said(said))]
    Grpc {
        /// Its name, or its number where it has none.
        status: String,
        /// What the server said of it, cut and without control characters.
        said: String,
    },
    /// The name has no address.
    #[error("name does not resolve")]
    Unresolved,
    /// The connection was closed in good order before an answer was complete.
    #[error("closed without an answer")]
    Closed,
    /// An error of our own side. It says nothing of the address and never counts against it.
    #[error("not probed: {0}")]
    Local(LocalFailure),
}

/// What a probe was waiting for when its time was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The addresses of a name.
    Resolve,
    /// The TCP handshake.
    Connect,
    /// The TLS handshake.
    Tls,
    /// The first of the response, after the address has answered to something else before: of HTTP
    /// the head.
    Response,
    /// The end of a script.
    Script,
    /// The first answer of all in this probe: to a datagram, or over a connection that was kept.
    Reply,
    /// What follows the first of a response: of HTTP the body.
    Body,
}

/// Why a probe could not be carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LocalFailure {
    /// The process or the host is out of file descriptors (EMFILE, ENFILE).
    #[error("out of file descriptors")]
    OutOfDescriptors,
    /// No address or no free port to connect from (EADDRNOTAVAIL).
    #[error("no local address or port to connect from")]
    NoSourceAddress,
    /// The kernel is out of memory for sockets (ENOBUFS, ENOMEM).
    #[error("out of socket memory")]
    OutOfMemory,
    /// The system lets this process send no echo requests.
    #[error(
        "icmp checks need the capability CAP_NET_RAW, or the process's group in the sysctl \
         net.ipv4.ping_group_range"
    )]
    NoIcmp,
    /// No script had ended in time to make room for another.
    #[error("as many scripts as may ({places}) were running for {}: see max_scripts", Span(*.after))]
    NoScriptPlace {
        /// How many scripts may run at the same time.
        places: usize,
        /// How long this one has waited.
        after: Duration,
    },
    /// A certificate is to be verified, and this host trusts no certificate authority.
    #[error("no trusted root certificates on this host")]
    NoRoots,
    /// The check's path or host cannot be put into a request.
    #[error("the check cannot be asked: {0}")]
    BadRequest(String),
    /// This process stood still while the probe was under way: it was stopped or got no processor.
    #[error("this process stood still for {}", Span(*.0))]
    Stalled(Duration),
    /// Any other refusal of the operating system, in its words.
    #[error("{0}")]
    System(String),
}

impl Failure {
    /// The kind of failure as a metric's label: one of a fixed, small set.
    pub fn label(&self) -> &'static str {
        match self {
            Failure::Refused => "refused",
            Failure::Reset => "reset",
            Failure::TimedOut { phase: Phase::Resolve, .. } => "timeout_resolve",
            Failure::TimedOut { phase: Phase::Connect, .. } => "timeout_connect",
            Failure::TimedOut { phase: Phase::Tls, .. } => "timeout_tls",
            Failure::TimedOut { phase: Phase::Response, .. } => "timeout_response",
            Failure::TimedOut { phase: Phase::Script, .. } => "timeout_script",
            Failure::TimedOut { phase: Phase::Reply, .. } => "timeout_reply",
            Failure::TimedOut { phase: Phase::Body, .. } => "timeout_body",
            Failure::Unreachable => "unreachable",
            Failure::Status(_) => "status",
            Failure::Body { .. } => "body",
            Failure::Unexpected => "unexpected",
            Failure::Malformed => "malformed",
            Failure::Lost { .. } => "loss",
            Failure::Rcode(_) => "rcode",
            Failure::MissingData(_) => "missing_data",
            Failure::NotServing(_) => "not_serving",
            Failure::Grpc { .. } => "grpc",
            Failure::Exit { .. } => "exit",
            Failure::Killed { .. } => "killed",
            Failure::Tls(_) => "tls",
            Failure::Certificate { .. } => "certificate",
            Failure::Unresolved => "unresolved",
            Failure::Closed => "closed",
            Failure::Local(_) => "local",
        }
    }

    /// Whether nothing came back from the address: no connection, no reply to what was sent
    /// without one, or no way to it. A host that is cut off from the network sees only these of
    /// addresses beyond it; whatever else a probe finds has come from the other side.
    ///
    /// A name that is not resolved is none of them: it says nothing of the way to its addresses.
    /// Nor is a refusal, which the address or a packet filter has sent.
    pub fn is_silent(&self) -> bool {
        match self {
            Failure::TimedOut { phase, .. } => matches!(phase, Phase::Connect | Phase::Reply),
            Failure::Unreachable => true,
            _ => false,
        }
    }
}

impl Outcome {
    /// The outcome as a metric's label: `pass` or the failure's label.
    pub fn label(&self) -> &'static str {
        match self {
            Outcome::Pass => "pass",
            Outcome::Fail(failure) => failure.label(),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Pass => f.write_str("passed"),
            Outcome::Fail(failure) => failure.fmt(f),
        }
    }
}

impl fmt::Display for Phase {
    /// What did not come.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Resolve => "name not resolved",
            Phase::Connect => "no connection",
            Phase::Tls => "no TLS handshake",
            Phase::Response => "no response",
            Phase::Script => "script not ended",
            Phase::Reply => "no reply",
            Phase::Body => "no end of the body",
        })
    }
}

/// Reads a word that was written down.
fn word_of_service<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ServiceWord, D::Error> {
    let word = String::deserialize(deserializer)?;
    let known = ["NOT_SERVING", "SERVICE_UNKNOWN", "SERVING"].into_iter().find(|known| *known == word);
    Ok(known.unwrap_or("UNKNOWN"))
}

/// What was said besides, if anything was.
struct Said<'s>(&'s str);

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            "" => Ok(()),
            said => write!(f, ": {said}"),
        }
    }
}

/// What a body is without what is expected.
fn lacks(whole: bool) -> &'static str {
    if whole { "not in the body" } else { "not in the first 64 KiB of the body" }
}

/// When a certificate expires, to the hour, or to the minute on its last day.
fn expires(left: Duration, wanted: Duration) -> String {
    let wanted = Days(wanted);
    if left.is_zero() {
        return format!("certificate has expired, {wanted} are asked for");
    }
    let grain = if left.as_secs() >= DAY { 3600 } else { 60 };
    match left.as_secs() / grain * grain {
        0 => format!("certificate expires within a minute, {wanted} are asked for"),
        seconds => {
            let left = Days(Duration::from_secs(seconds));
            format!("certificate expires in {left}, {wanted} are asked for")
        }
    }
}

/// Seconds of a day.
const DAY: u64 = 24 * 3600;

/// A duration in days and what is left of them: nobody counts certificates in months of 30.44 days.
struct Days(Duration);

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = self.0.as_secs() / DAY;
        let rest = self.0 - Duration::from_secs(days * DAY);
        match days {
            0 => Span(rest).fmt(f),
            _ if rest.is_zero() => write!(f, "{days}d"),
            _ => write!(f, "{days}d {}", Span(rest)),
        }
    }
}

/// A duration as it is written in the configuration: "300ms", "1s 500ms".
struct Span(Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_read_as_an_operator_would_say_them() {
        let timed_out = |phase| Failure::TimedOut { phase, after: Duration::from_millis(300) };
        let certificate = |left| Failure::Certificate {
            left: Duration::from_secs(left),
            wanted: Duration::from_secs(60 * 86_400),
        };
        for (failure, words, label) in [
            (Failure::Refused, "connection refused", "refused"),
            (Failure::Reset, "connection reset", "reset"),
            (timed_out(Phase::Resolve), "name not resolved within 300ms", "timeout_resolve"),
            (timed_out(Phase::Connect), "no connection within 300ms", "timeout_connect"),
            (timed_out(Phase::Tls), "no TLS handshake within 300ms", "timeout_tls"),
            (timed_out(Phase::Response), "no response within 300ms", "timeout_response"),
            (timed_out(Phase::Script), "script not ended within 300ms", "timeout_script"),
            (Failure::Unreachable, "unreachable", "unreachable"),
            (timed_out(Phase::Reply), "no reply within 300ms", "timeout_reply"),
            (timed_out(Phase::Body), "no end of the body within 300ms", "timeout_body"),
            (Failure::Status(503), "status 503", "status"),
            (Failure::Body { whole: true }, "not in the body", "body"),
            (Failure::Body { whole: false }, "not in the first 64 KiB of the body", "body"),
            (Failure::Unexpected, "unexpected answer", "unexpected"),
            (
                certificate(3 * 86_400 + 2 * 3600 + 59),
                "certificate expires in 3d 2h, 60d are asked for",
                "certificate",
            ),
            (certificate(3659), "certificate expires in 1h, 60d are asked for", "certificate"),
            (certificate(59), "certificate expires within a minute, 60d are asked for", "certificate"),
            (certificate(0), "certificate has expired, 60d are asked for", "certificate"),
            (Failure::Malformed, "malformed response", "malformed"),
            (Failure::Tls("certificate expired".into()), "TLS: certificate expired", "tls"),
            (Failure::Lost { lost: 2, sent: 3 }, "2 of 3 packets lost", "loss"),
            (Failure::Exit { code: 2, said: String::new() }, "exit code 2", "exit"),
            (Failure::Exit { code: 2, said: "no database".into() }, "exit code 2: no database", "exit"),
            (Failure::Killed { signal: 9, said: String::new() }, "killed by signal 9", "killed"),
            (Failure::Rcode("SERVFAIL".into()), "rcode SERVFAIL", "rcode"),
            (Failure::MissingData("192.0.2.1".into()), "192.0.2.1 is not among the answers", "missing_data"),
            (Failure::NotServing("NOT_SERVING"), "service is NOT_SERVING", "not_serving"),
            (
                Failure::Grpc { status: "UNAVAILABLE".into(), said: "overloaded".into() },
                "gRPC status UNAVAILABLE: overloaded",
                "grpc",
            ),
            (Failure::Unresolved, "name does not resolve", "unresolved"),
            (Failure::Closed, "closed without an answer", "closed"),
            (
                Failure::Local(LocalFailure::Stalled(Duration::from_millis(1200))),
                "not probed: this process stood still for 1s 200ms",
                "local",
            ),
            (Failure::Local(LocalFailure::OutOfDescriptors), "not probed: out of file descriptors", "local"),
        ] {
            let outcome = Outcome::Fail(failure);
            assert_eq!((&outcome.to_string()[..], outcome.label()), (words, label));
            let written = serde_json::to_string(&outcome).expect("it can be JSON");
            assert_eq!(serde_json::from_str::<Outcome>(&written).ok(), Some(outcome), "{written}");
        }
        assert_eq!((&Outcome::Pass.to_string()[..], Outcome::Pass.label()), ("passed", "pass"));
    }

    #[test]
    fn only_what_came_from_elsewhere_breaks_the_silence() {
        let timed_out = |phase| Failure::TimedOut { phase, after: Duration::from_millis(300) };
        for silent in [timed_out(Phase::Connect), timed_out(Phase::Reply), Failure::Unreachable] {
            assert!(silent.is_silent(), "{silent}");
        }
        for told in [
            timed_out(Phase::Resolve),
            timed_out(Phase::Tls),
            timed_out(Phase::Response),
            timed_out(Phase::Body),
            Failure::Refused,
            Failure::Reset,
            Failure::Status(503),
            Failure::Closed,
            Failure::Unresolved,
            Failure::Local(LocalFailure::OutOfDescriptors),
        ] {
            assert!(!told.is_silent(), "{told}");
        }
    }
}
