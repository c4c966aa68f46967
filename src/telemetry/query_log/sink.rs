//! Where the log goes: a file, or a Unix socket that somebody reads.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, Socket, Type};

use super::super::clock;
use super::frames;
use super::{Destination, Format, Place};

/// Who asks what is nobody's business but the operator's.
const MODE: u32 = 0o640;

/// How long one write waits for a reader that reads slowly, before the writer looks after the rest.
const PATIENCE: Duration = Duration::from_millis(100);

/// How long a reader may take to greet, and to part, from the first octet to the last: as long as a
/// loaded machine needs, and not so long that a daemon that stops would wait for it.
const GREETING: Duration = Duration::from_secs(1);

/// Something that is written to.
pub(super) enum Sink {
    File { file: File, path: PathBuf, format: Format },
    Socket { stream: UnixStream, format: Format },
}

impl Sink {
    /// Opens what `destination` names, and begins.
    ///
    /// # Errors
    ///
    /// If it cannot be had, or the reader does not want it.
    pub(super) fn open(destination: &Destination) -> io::Result<Sink> {
        let format = destination.format;
        match &destination.place {
            Place::File(path) => Ok(Sink::File { file: open(path, format)?, path: path.clone(), format }),
            Place::Socket(path) => {
                let stream = connect(path)?;
                if format == Format::Dnstap {
                    frames::greet(&mut Hurried::new(&stream))?;
                }
                stream.set_write_timeout(Some(PATIENCE))?;
                Ok(Sink::Socket { stream, format })
            }
        }
    }

    /// Writes the beginning of `octets`, and returns how many; 0: the reader takes none at the moment.
    ///
    /// # Errors
    ///
    /// If the reader has gone away, or the disk is full.
    pub(super) fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let written = match self {
            Sink::File { file, .. } => file.write(octets),
            Sink::Socket { stream, .. } => stream.write(octets),
        };
        match written {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(0),
            written => written,
        }
    }

    /// Whether it stays good after a failed write: a file does, whose disk may have room again.
    pub(super) fn is_lasting(&self) -> bool {
        matches!(self, Sink::File { .. })
    }

    /// Whether it is a file that is not what its path leads to any more.
    pub(super) fn has_moved(&self) -> bool {
        let Sink::File { file, path, .. } = self else { return false };
        let same = |found: fs::Metadata| {
            let open = file.metadata().ok()?;
            Some((found.dev(), found.ino()) == (open.dev(), open.ino()))
        };
        !fs::metadata(path).ok().and_then(same).unwrap_or(false)
    }

    /// Ends it. What the reader makes of that is its own business.
    pub(super) fn close(self) {
        match self {
            Sink::File { mut file, format: Format::Dnstap, .. } => {
                let _ = frames::stop(&mut file);
            }
            Sink::Socket { stream, format: Format::Dnstap } => {
                let _ = frames::part(&mut Hurried::new(&stream));
            }
            Sink::File { .. } | Sink::Socket { .. } => {}
        }
    }
}

/// A stream whose reader is to answer within [`GREETING`], all in all: one that sends an octet now and then would hold
/// up the writer as long as it likes.
struct Hurried<'s> {
    stream: &'s UnixStream,
    due: Instant,
}

impl<'s> Hurried<'s> {
    /// From now on.
    fn new(stream: &'s UnixStream) -> Self {
        Hurried { stream, due: clock::now() + GREETING }
    }

    fn left(&self) -> io::Result<Duration> {
        let left = self.due.saturating_duration_since(clock::now());
        if left.is_zero() { Err(ErrorKind::WouldBlock.into()) } else { Ok(left) }
    }
}

/// As the operator is told it.
fn too_late(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::WouldBlock => {
            let message =
                format!("the reader has not answered within {}", humantime::format_duration(GREETING));
            io::Error::new(ErrorKind::TimedOut, message)
        }
        _ => error,
    }
}

impl Read for Hurried<'_> {
    fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> {
        let left = self.left().map_err(too_late)?;
        self.stream.set_read_timeout(Some(left))?;
        self.stream.read(octets).map_err(too_late)
    }
}

impl Write for Hurried<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let left = self.left().map_err(too_late)?;
        self.stream.set_write_timeout(Some(left))?;
        self.stream.write(octets).map_err(too_late)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// Connects to whoever listens there. One that takes no connections, with a queue that is full of them,
/// would be waited for without end.
fn connect(path: &Path) -> io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(path)?)?;
    socket.set_nonblocking(false)?;
    Ok(socket.into())
}

/// Opens a file to be appended to. A stream of frames has one beginning and one end: what a file of
/// that kind has already is put aside.
fn open(path: &Path, format: Format) -> io::Result<File> {
    let mut options = OpenOptions::new();
    // A pipe that nobody reads, or reads slowly, would be waited for without end.
    options.create(true).append(true).mode(MODE).custom_flags(libc::O_NONBLOCK);
    let mut file = options.open(path)?;
    if format == Format::Json {
        return Ok(file);
    }
    if file.metadata()?.len() > 0 {
        fs::rename(path, aside(path))?;
        file = options.open(path)?;
    }
    // Half a beginning would be put aside next time, again and again while the disk is full.
    frames::start(&mut file).inspect_err(|_| drop(file.set_len(0)))?;
    Ok(file)
}

/// Where an earlier file goes, which nothing is: beside it, with the time in its name.
fn aside(path: &Path) -> PathBuf {
    let time = humantime::format_rfc3339_micros(clock::calendar()).to_string().replace(':', "");
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{time}"));
    PathBuf::from(name)
}
