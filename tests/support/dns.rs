//! A DNS client that shows everything, with hickory-proto as its codec.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use hickory_proto::op::{Message, Query};
use hickory_proto::rr::{Name, RecordType};
use rhumb::dns::{ClientSubnet, Rtype, query_message};

use super::PATIENCE;

/// Long enough for any answer on loopback, and short enough to find out that none comes.
const ONE_TRY: Duration = Duration::from_secs(5);

/// A query without EDNS.
pub(crate) fn query(name: &str, rtype: RecordType) -> Message {
    let mut message = Message::query();
    message.metadata.id = fastrand::u16(..);
    message.add_query(Query::query(Name::from_ascii(name).expect("a name"), rtype));
    message
}

/// Asks once over UDP.
///
/// # Panics
///
/// If no reply comes: nothing is lost on loopback.
pub(crate) fn ask(server: SocketAddr, message: &Message) -> Message {
    let socket = socket_to(server);
    socket.send(&message.to_vec().expect("it can be encoded")).expect("loopback takes it");
    receive(&socket, message.metadata.id)
}

/// Waits for the reply of that id on a connected socket.
pub(crate) fn receive(socket: &UdpSocket, id: u16) -> Message {
    let mut buffer = [0; 65_535];
    let length = socket.recv(&mut buffer).unwrap_or_else(|error| panic!("no reply: {error}"));
    let reply = Message::from_vec(&buffer[..length]).expect("a DNS message");
    assert_eq!(reply.metadata.id, id, "the reply to another query");
    reply
}

/// A UDP socket that hears only `server`.
pub(crate) fn socket_to(server: SocketAddr) -> UdpSocket {
    let any: SocketAddr = if server.is_ipv4() { ([0; 4], 0).into() } else { ([0; 16], 0).into() };
    let socket = UdpSocket::bind(any).expect("a port");
    socket.connect(server).expect("loopback is there");
    socket.set_read_timeout(Some(ONE_TRY)).expect("it is not zero");
    socket
}

/// Asks once over TCP.
pub(crate) fn ask_by_tcp(server: SocketAddr, message: &Message) -> Message {
    let mut stream = TcpStream::connect(server).expect("it listens");
    stream.write_all(&framed(message)).expect("it reads");
    receive_by_tcp(&mut stream)
}

/// A message as TCP carries it, behind its length.
pub(crate) fn framed(message: &Message) -> Vec<u8> {
    let wire = message.to_vec().expect("it can be encoded");
    let length = u16::try_from(wire.len()).expect("a message has at most 65,535 octets");
    [&length.to_be_bytes()[..], &wire].concat()
}

/// Reads one message off a connection.
pub(crate) fn receive_by_tcp(stream: &mut TcpStream) -> Message {
    receive_unless_closed(stream).expect("a reply")
}

/// The same; `None`: the other end has closed the connection.
pub(crate) fn receive_unless_closed(stream: &mut TcpStream) -> Option<Message> {
    stream.set_read_timeout(Some(PATIENCE)).expect("it is not zero");
    let mut length = [0; 2];
    match stream.read_exact(&mut length) {
        Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => {
            return None;
        }
        read => read.expect("a reply"),
    }
    let mut wire = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut wire).expect("the rest of the reply");
    Some(Message::from_vec(&wire).expect("a DNS message"))
}

/// The addresses that `server` gives for `name` over UDP, sorted.
pub(crate) fn resolve(server: SocketAddr, name: &str) -> Vec<IpAddr> {
    addresses(&ask(server, &query(name, RecordType::A)))
}

/// The same for a client in the prefix `subnet`.
pub(crate) fn resolve_for(server: SocketAddr, name: &str, subnet: &str) -> Vec<IpAddr> {
    let (address, length) = subnet.split_once('/').expect("a prefix has a length");
    let subnet = ClientSubnet::new(address.parse().expect("an address"), length.parse().expect("a length"));
    let id = fastrand::u16(..);
    let socket = socket_to(server);
    let name = name.parse().expect("a name");
    socket.send(&query_message(id, &name, Rtype::A, Some(subnet))).expect("loopback takes it");
    addresses(&receive(&socket, id))
}

/// The addresses in the answer section, sorted.
pub(crate) fn addresses(message: &Message) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> =
        message.answers.iter().filter_map(|record| record.data.ip_addr()).collect();
    addresses.sort();
    addresses
}
