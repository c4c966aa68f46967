//! One process takes over from another, and what the two say to each other.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::PATIENCE;
use super::daemon::{Daemon, serve};
use super::process::Process;
use super::scene::Scene;

/// In the log of the process that is taken over from.
pub(crate) const TAKEN: &str = "another process has taken over: this one leaves";

pub(crate) fn state(scene: &Scene) -> PathBuf {
    scene.path().join("state")
}

/// `rhumb serve --takeover` with the configuration of `scene`.
pub(crate) fn successor(scene: &Scene) -> Command {
    let mut command = serve(&scene.path().join("rhumb.toml"));
    command.arg("--takeover");
    command
}

/// Has a new process take over from `old`.
pub(crate) fn relieve(scene: &Scene, old: &Daemon) -> Daemon {
    let new = scene.attach(Process::start(successor(scene)));
    new.await_line(0, &["ready"]);
    old.await_line(0, &[TAKEN, &new.pid().to_string()]);
    new
}

/// That a process which was taken over from ends, with nobody cut off.
pub(crate) fn assert_ends_well(old: Daemon) {
    let (status, log) = old.into_process().await_end();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!log.contains("cut off"), "{log}");
}

/// Has a new process take over from `old`, which ends.
pub(crate) fn take_over(scene: &Scene, old: Daemon) -> Daemon {
    let new = relieve(scene, &old);
    assert_ends_well(old);
    new
}

/// Speaks as a new process does, or as an old one.
pub(crate) struct Speaker(pub(crate) UnixStream);

impl Speaker {
    /// With the daemon whose state is in `directory`.
    pub(crate) fn connect(directory: &Path) -> Speaker {
        Speaker::over(UnixStream::connect(directory.join("takeover.sock")).expect("it listens"))
    }

    pub(crate) fn over(stream: UnixStream) -> Speaker {
        stream.set_read_timeout(Some(PATIENCE)).expect("it is not zero");
        Speaker(stream)
    }

    pub(crate) fn say(&mut self, message: Value) {
        let text = message.to_string();
        let length = u32::try_from(text.len()).expect("it is short").to_be_bytes();
        self.0.write_all(&[&length[..], text.as_bytes()].concat()).expect("it reads");
    }

    /// The next message, which has to be of this `kind`.
    pub(crate) fn hear(&mut self, kind: &str) -> Value {
        let mut length = [0; 4];
        self.0.read_exact(&mut length).expect("a message");
        let mut text = vec![0; u32::from_be_bytes(length) as usize];
        self.0.read_exact(&mut text).expect("the rest of it");
        let message: Value = serde_json::from_slice(&text).expect("it is JSON");
        assert_eq!(message["type"], kind, "{message}");
        message
    }
}
