//! Errors of libraries to failures of the address.

use std::error::Error;
use std::io::{self, ErrorKind};

use crate::health::{Failure, LocalFailure};

/// What an error of a socket, of TLS or of HTTP says of the address; `None` if the operating
/// system gave up waiting (ETIMEDOUT).
///
/// Libraries wrap errors in errors; the innermost one that means something decides.
pub(super) fn failure(error: &(dyn Error + 'static)) -> Option<Failure> {
    let mut found = Some(Failure::Malformed);
    let mut next = Some(error);
    while let Some(error) = next {
        next = error.source();
        if let Some(error) = error.downcast_ref::<io::Error>() {
            found = of_io(error);
            // The source of an io::Error that wraps another is that one's source, not itself.
            next = error.get_ref().map(|inner| inner as &(dyn Error + 'static));
        } else if let Some(error) = error.downcast_ref::<rustls::Error>() {
            return Some(Failure::Tls(error.to_string()));
        } else if let Some(error) = error.downcast_ref::<h2::Error>() {
            return of_http2(error);
        } else if let Some(error) = error.downcast_ref::<hyper::Error>() {
            // Canceled: the connection ended before the request was written.
            let ended = error.is_incomplete_message() || error.is_canceled() || error.is_closed();
            found = Some(if ended { Failure::Closed } else { Failure::Malformed });
        } else if let Some(error) = error.downcast_ref::<h2::Error>() {
            return of_http2(error);
        }
    }
    found
}

/// An error of HTTP/2, which names no source.
fn of_http2(error: &h2::Error) -> Option<Failure> {
    match error.get_io() {
        // Only the words and the kind are left; this kind is what TLS fails with.
        Some(error) if error.kind() == ErrorKind::InvalidData => Some(Failure::Tls(error.to_string())),
        // Its word for the end of the stream.
        Some(error) if error.kind() == ErrorKind::BrokenPipe => Some(Failure::Closed),
        Some(error) => of_io(error),
        None if error.is_remote() && error.is_go_away() => Some(Failure::Closed),
        None if error.is_remote() => Some(Failure::Reset),
        None => Some(Failure::Malformed),
    }
}

fn of_io(error: &io::Error) -> Option<Failure> {
    match error.raw_os_error() {
        Some(number) => of_errno(number, error),
        None => match error.kind() {
            ErrorKind::TimedOut => None,
            ErrorKind::UnexpectedEof => Some(Failure::Closed),
            ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
                Some(Failure::Reset)
            }
            _ => Some(Failure::Malformed),
        },
    }
}

/// Tells what the network answered from what our own kernel refused to do. The errors that the
/// network can cause are a closed list, those of Linux's table of ICMP errors and of TCP; whatever
/// else there is, EPERM of a local packet filter for one, is ours.
fn of_errno(number: i32, error: &io::Error) -> Option<Failure> {
    Some(match number {
        libc::ETIMEDOUT => return None,
        libc::ECONNREFUSED => Failure::Refused,
        libc::ECONNRESET | libc::ECONNABORTED | libc::EPIPE => Failure::Reset,
        libc::EHOSTUNREACH
        | libc::ENETUNREACH
        | libc::EHOSTDOWN
        | libc::ENONET
        | libc::EPROTO
        | libc::ENOPROTOOPT
        | libc::EOPNOTSUPP => Failure::Unreachable,
        libc::EMFILE | libc::ENFILE => Failure::Local(LocalFailure::OutOfDescriptors),
        // An address family that this host does not have is the lack of an address of its own.
        libc::EADDRNOTAVAIL | libc::EAFNOSUPPORT => Failure::Local(LocalFailure::NoSourceAddress),
        libc::ENOBUFS | libc::ENOMEM => Failure::Local(LocalFailure::OutOfMemory),
        _ => Failure::Local(LocalFailure::System(error.to_string())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_system_are_told_apart() {
        let local = |failure| Some(Failure::Local(failure));
        for (number, expected) in [
            (libc::ETIMEDOUT, None),
            (libc::ECONNREFUSED, Some(Failure::Refused)),
            (libc::ECONNRESET, Some(Failure::Reset)),
            (libc::EPIPE, Some(Failure::Reset)),
            (libc::EHOSTUNREACH, Some(Failure::Unreachable)),
            (libc::ENETUNREACH, Some(Failure::Unreachable)),
            (libc::EMFILE, local(LocalFailure::OutOfDescriptors)),
            (libc::ENFILE, local(LocalFailure::OutOfDescriptors)),
            (libc::EADDRNOTAVAIL, local(LocalFailure::NoSourceAddress)),
            (libc::EAFNOSUPPORT, local(LocalFailure::NoSourceAddress)),
            (libc::ENOBUFS, local(LocalFailure::OutOfMemory)),
            (libc::ENOMEM, local(LocalFailure::OutOfMemory)),
            (libc::EPERM, local(LocalFailure::System(io::Error::from_raw_os_error(libc::EPERM).to_string()))),
        ] {
            let error = io::Error::from_raw_os_error(number);
            assert_eq!(failure(&error), expected, "{error}");
            let wrapped = io::Error::other(error);
            assert_eq!(failure(&wrapped), expected, "{wrapped}, wrapped");
        }
    }

    #[test]
    fn errors_without_a_number_go_by_their_kind() {
        for (kind, expected) in [
            (ErrorKind::TimedOut, None),
            (ErrorKind::UnexpectedEof, Some(Failure::Closed)),
            (ErrorKind::ConnectionReset, Some(Failure::Reset)),
            (ErrorKind::InvalidData, Some(Failure::Malformed)),
        ] {
            assert_eq!(failure(&io::Error::new(kind, "words")), expected, "{kind}");
        }
    }

    #[test]
    fn tls_errors_keep_their_words() {
        let error = io::Error::new(ErrorKind::InvalidData, rustls::Error::DecryptError);
        assert_eq!(failure(&error), Some(Failure::Tls(rustls::Error::DecryptError.to_string())));
    }
}
