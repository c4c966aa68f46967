//! A log with readers that read late, slowly or not at all.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use serde_json::Value;
use socket2::{Domain, SockAddr, Socket, Type};

use super::*;
use crate::routing::{Client, Transport};

/// Longer than anything here takes; who waits for it has failed.
const TOO_LONG: Duration = Duration::from_secs(30);

const CLIENT: Client = Client { address: IpAddr::V4(Ipv4Addr::LOCALHOST), transport: Transport::Udp };

fn log_to(place: Place) -> (QueryLog, Recorder) {
    let log = QueryLog::start().expect("a thread");
    log.direct(Some(Destination { format: Format::Json, place, identity: String::new() }));
    log.sample(1.0);
    let recorder = log.recorder();
    (log, recorder)
}

/// Records that many, numbered by their ports from `from` on.
fn record(recorder: &mut Recorder, from: u16, count: u16) {
    assert!(recorder.tick(Duration::from_secs(1)), "it is switched on");
    for port in from..from + count {
        recorder.record(CLIENT, port, None, &[0; 50], &[0; 250]);
    }
}

/// Asks until it is so.
fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..TOO_LONG.as_millis() / 5 {
        if is_so() {
            return;
        }
        thread::sleep(Duration::from_millis(5));
    }
    panic!("not within {TOO_LONG:?}: {what}");
}

fn port(line: &str) -> u16 {
    let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    line["port"].as_u64().and_then(|port| port.try_into().ok()).expect("a port")
}

/// Of the lines that are whole: it may be written to at this moment.
fn ports(path: &Path) -> Vec<u16> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_inclusive('\n').filter(|line| line.ends_with('\n')).map(port).collect()
}

fn accept(listener: &UnixListener) -> UnixStream {
    let (stream, _) = listener.accept().expect("somebody connects");
    stream.set_read_timeout(Some(TOO_LONG)).expect("it is not zero");
    stream
}

#[test]
fn a_reader_that_does_not_read_delays_nothing_and_what_is_lost_is_counted() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("socket");
    let listener = UnixListener::bind(&path).expect("a socket");
    let (log, mut recorder) = log_to(Place::Socket(path));
    let mut stream = accept(&listener);
    // Ten times what ring and socket hold, with nobody to read it.
    let recorded = 150_000_u64;
    recorder.tick(Duration::from_secs(1));
    for _ in 0..recorded {
        recorder.record(CLIENT, 1, None, &[0; 50], &[0; 250]);
    }
    assert!(log.health().dropped > recorded / 2, "{:?}", log.health());
    let reader = thread::spawn(move || {
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("text");
        text.lines().map(port).count() as u64
    });
    let sum = || log.health().written + log.health().dropped;
    eventually("all to be written or counted as dropped", || sum() == recorded);
    log.end(TOO_LONG);
    assert_eq!(reader.join().expect("it reads"), log.health().written);
    assert_eq!(sum(), recorded);
}

#[test]
fn a_reader_that_takes_no_connection_is_not_waited_for() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("socket");
    let address = SockAddr::unix(&path).expect("it is short");
    let socket = || {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket");
        socket.set_nonblocking(true).expect("it can be");
        socket
    };
    let listener = socket();
    listener.bind(&address).expect("nothing is there");
    listener.listen(0).expect("it is bound");
    let queue =
        std::iter::repeat_with(socket).map_while(|socket| socket.connect(&address).ok().map(|()| socket));
    let queue: Vec<Socket> = queue.collect();
    assert!(!queue.is_empty());
    let (log, mut recorder) = log_to(Place::Socket(path));
    eventually("it to be told", || log.health().problem.is_some());
    // In its turn it is written to.
    record(&mut recorder, 0, 10);
    for _ in &queue {
        let accepted = listener.accept().expect("it is in the queue");
        drop(accepted);
    }
    eventually("the next try", || {
        let Ok((stream, _)) = listener.accept() else { return false };
        stream.set_read_timeout(Some(TOO_LONG)).expect("it is not zero");
        let mut lines = BufReader::new(UnixStream::from(stream)).lines();
        (0..10).all(|n| port(&lines.next().expect("a line").expect("text")) == n)
    });
}

#[test]
fn a_reader_that_drips_its_greeting_is_not_waited_for() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("socket");
    let listener = UnixListener::bind(&path).expect("a socket");
    let (log, _) = log_to(Place::File("/dev/null".into()));
    log.direct(Some(Destination {
        format: Format::Dnstap,
        place: Place::Socket(path),
        identity: "ns1".to_owned(),
    }));
    let mut stream = accept(&listener);
    // ACCEPT, with a field of another kind that would take half a minute. What has come by then of it is sound.
    let accept = [&[0, 0, 0, 0, 0, 0, 0, 100, 0, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0, 88][..], &[0; 88]].concat();
    let taken = accept.iter().take_while(|octet| {
        // Far less than it waits for all of it.
        thread::sleep(Duration::from_millis(300));
        stream.write_all(std::slice::from_ref(octet)).is_ok()
    });
    let taken = taken.count();
    assert!(taken < accept.len() / 2, "{taken} octets");
    eventually("it to be told", || {
        log.health().problem.is_some_and(|problem| problem == "the reader has not answered within 1s")
    });
}

#[test]
fn a_pipe_that_nobody_reads_is_not_waited_for() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&path).status().expect("it runs");
    assert!(made.success());
    let (log, mut recorder) = log_to(Place::File(path.clone()));
    eventually("it to be told", || log.health().problem.is_some());
    let pipe = std::fs::File::options().read(true).write(true).open(&path).expect("it is there");
    let recorded = 30_000_u64;
    record(&mut recorder, 0, recorded as u16);
    // Now somebody reads, and not all of it at once.
    eventually("it to be full", || log.health().written > 0);
    let reader = thread::spawn(move || {
        let lines = BufReader::new(pipe).lines().take(1000);
        lines.map(|line| port(&line.expect("text"))).collect::<Vec<u16>>()
    });
    assert_eq!(reader.join().expect("it reads"), (0..1000).collect::<Vec<u16>>());
    log.end(TOO_LONG);
    assert!(log.health().written < recorded, "it is not waited for at the end");
}

#[test]
fn a_reader_may_come_late_go_away_and_come_back() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("socket");
    let (log, mut recorder) = log_to(Place::Socket(path.clone()));
    record(&mut recorder, 0, 100);
    eventually("it to be told that nobody listens", || log.health().problem.is_some());
    for from in [0, 100, 200] {
        let listener = UnixListener::bind(&path).expect("a socket");
        let mut lines = BufReader::new(accept(&listener)).lines();
        let mut next = || port(&lines.next().expect("a line").expect("text"));
        let read: Vec<u16> = (0..100).map(|_| next()).collect();
        assert_eq!(read, (from..from + 100).collect::<Vec<u16>>());
        eventually("it to know what was taken", || log.health().written == u64::from(from) + 100);
        drop((lines, listener));
        std::fs::remove_file(&path).expect("it is there");
        record(&mut recorder, from + 100, 100);
        eventually("it to be told that the reader is gone", || log.health().problem.is_some());
    }
    assert_eq!((log.health().written, log.health().dropped), (300, 0));
}

#[test]
fn a_file_that_is_moved_away_is_followed_by_another() {
    let directory = tempfile::tempdir().expect("a directory");
    let [path, moved] = ["log", "log.1"].map(|name| directory.path().join(name));
    let (log, mut recorder) = log_to(Place::File(path.clone()));
    record(&mut recorder, 0, 1000);
    eventually("the first file", || ports(&path).len() == 1000);
    std::fs::rename(&path, &moved).expect("it is there");
    // As a reload does; without one it is noticed within a second.
    log.direct(Some(Destination {
        format: Format::Json,
        place: Place::File(path.clone()),
        identity: String::new(),
    }));
    record(&mut recorder, 1000, 1000);
    eventually("the second file", || ports(&path).len() == 1000);
    // And once more, with nobody to say so, and little to be written.
    let again = directory.path().join("log.2");
    std::fs::rename(&path, &again).expect("it is there");
    let mut next = 2000;
    eventually("the third file", || {
        record(&mut recorder, next, 1);
        next += 1;
        path.exists()
    });
    log.end(TOO_LONG);
    assert_eq!(ports(&moved), (0..1000).collect::<Vec<u16>>());
    let rest = [ports(&again), ports(&path)].concat();
    assert_eq!(rest, (1000..next).collect::<Vec<u16>>(), "each in one of them");
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(&path).expect("it is there").permissions(),
    );
    assert_eq!(mode & 0o007, 0, "it is not for everybody");
}

#[test]
fn a_full_disk_only_drops() {
    let (log, mut recorder) = log_to(Place::File("/dev/full".into()));
    record(&mut recorder, 0, 30_000);
    eventually("it to be told", || log.health().problem.is_some_and(|problem| problem.contains("space")));
    assert!(log.health().dropped > 0);
    // Somewhere else there is room: what waits goes there.
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("log");
    log.direct(Some(Destination {
        format: Format::Json,
        place: Place::File(path.clone()),
        identity: String::new(),
    }));
    log.end(TOO_LONG);
    let health = log.health();
    assert_eq!(ports(&path).len() as u64, health.written);
    assert_eq!(health.written + health.dropped, 30_000);
    assert_eq!(health.problem, None);
}

#[test]
fn switched_off_nothing_is_recorded_and_what_was_is_not_lost() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("log");
    let (log, mut recorder) = log_to(Place::File(path.clone()));
    record(&mut recorder, 0, 10);
    log.sample(0.0);
    assert!(!recorder.tick(Duration::ZERO));
    recorder.record(CLIENT, 99, None, &[0; 50], &[]);
    eventually("what was recorded", || ports(&path).len() == 10);
    log.sample(1.0);
    record(&mut recorder, 10, 10);
    log.direct(None);
    let mut next = 20;
    eventually("there to be no place any more", || {
        record(&mut recorder, next, 1);
        next += 1;
        // It looks when it is told something, having nothing else to do.
        log.sample(1.0);
        log.health().dropped > 0
    });
    log.end(TOO_LONG);
    let Health { written, dropped, .. } = log.health();
    assert_eq!(written + dropped, u64::from(next));
    assert_eq!(ports(&path), (0..written as u16).collect::<Vec<u16>>());
}

#[test]
fn a_file_of_frames_never_follows_another_in_one_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("frames");
    std::fs::write(&path, "what was there").expect("a file");
    let (log, _) = log_to(Place::File("/dev/null".into()));
    let place = Place::File(path.clone());
    log.direct(Some(Destination { format: Format::Dnstap, place, identity: "ns1".to_owned() }));
    log.end(TOO_LONG);
    let frames = std::fs::read(&path).expect("it is there");
    // START and STOP.
    assert_eq!((frames[..4].to_vec(), frames.len()), (vec![0; 4], 42 + 12));
    let others = std::fs::read_dir(directory.path()).expect("a directory");
    let aside: Vec<_> = others
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|other| *other != path)
        .map(|other| std::fs::read_to_string(other).expect("text"))
        .collect();
    assert_eq!(aside, ["what was there"]);
}

#[test]
fn who_leaves_and_who_takes_over_do_not_put_each_other_aside() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("frames");
    let files = || std::fs::read_dir(directory.path()).expect("a directory").count();
    let begin = |log: &QueryLog| {
        let place = Place::File(path.clone());
        log.direct(Some(Destination { format: Format::Dnstap, place, identity: "ns1".to_owned() }));
    };
    let [(old, mut of_old), (new, mut of_new)] = [(); 2].map(|()| log_to(Place::File("/dev/null".into())));
    begin(&old);
    eventually("the first file", || files() == 1);
    old.stay(true);
    begin(&new);
    eventually("the second file", || files() == 2);
    // It would follow its path now.
    begin(&old);
    record(&mut of_old, 0, 10);
    record(&mut of_new, 0, 10);
    eventually("both to write", || [&old, &new].iter().all(|log| log.health().written == 10));
    assert_eq!(files(), 2);
    // The other one goes, and the path is its own again.
    new.end(TOO_LONG);
    old.stay(false);
    begin(&old);
    eventually("the third file", || files() == 3);
    record(&mut of_old, 10, 10);
    old.end(TOO_LONG);
    assert_eq!((old.health().written, files()), (20, 3));
    assert!(std::fs::metadata(&path).expect("it is there").len() > 42 + 12);
}

#[test]
fn a_filter_is_freed_by_who_replaces_it_and_never_by_a_recorder() {
    let log = QueryLog::start().expect("a thread");
    let mut recorders = [log.recorder(), log.recorder()];
    let in_service = || Arc::downgrade(&log.choice.filter.load_full());
    let zones = |zone: &str| Filter::new(&[], &[zone.parse().expect("a name")]);
    let mut replaced = Vec::new();
    for zone in ["one.example", "two.example", "three.example"] {
        log.filter(zones(zone));
        // The second one is replaced before the first recorder has seen it.
        if zone != "two.example" {
            recorders[0].tick(Duration::ZERO);
        }
        recorders[1].tick(Duration::ZERO);
        replaced.push(in_service());
    }
    let are_there = |replaced: &[std::sync::Weak<Filter>]| {
        replaced.iter().map(|filter| filter.strong_count() > 0).collect::<Vec<bool>>()
    };
    assert_eq!(are_there(&replaced), [true; 3], "recorders have let go of two of them");
    log.filter(zones("four.example"));
    assert_eq!(are_there(&replaced), [false, false, true]);
}
