//! How long the phases of a probe took.

use std::time::Duration;

use super::Phase;

/// How long each phase of one probe took. `None`: the check has no such phase, or the probe did not
/// come to its end; over a connection that was kept there is neither `connect` nor `tls`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// The name's addresses were looked up.
    pub resolve: Option<Duration>,
    /// The connection was made.
    pub connect: Option<Duration>,
    /// The TLS handshake was made.
    pub tls: Option<Duration>,
    /// What came first of the response had come, counted from the request: of HTTP the head, over
    /// TCP the first octets, over UDP the datagram.
    pub first_byte: Option<Duration>,
    /// The script had ended.
    pub script: Option<Duration>,
}

impl Timings {
    /// Notes that `phase` took this long, on top of what it has taken before.
    pub fn add(&mut self, phase: Phase, took: Duration) {
        let taken = match phase {
            Phase::Resolve => &mut self.resolve,
            Phase::Connect => &mut self.connect,
            Phase::Tls => &mut self.tls,
            Phase::Script => &mut self.script,
            Phase::Response | Phase::Reply => &mut self.first_byte,
            Phase::Body => return,
        };
        *taken = Some(taken.unwrap_or_default() + took);
    }
}
