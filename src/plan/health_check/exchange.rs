//! Checks of types `tcp` and `udp`.

/// A TCP connection, and what is said over it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TcpCheck {
    /// What is sent once the connection is made; never without `expect`.
    pub send: Option<Vec<u8>>,
    /// What has to be among the first octets that come; `None`: a connection is enough.
    pub expect: Option<Vec<u8>>,
}

/// A datagram and what is expected of the answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UdpCheck {
    /// The datagram.
    pub send: Vec<u8>,
    /// What has to be in the first datagram that comes back.
    pub expect: Vec<u8>,
}
