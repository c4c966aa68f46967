//! A new process, started by the old one: what SIGUSR2 asks for.

use std::env;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicI32, Ordering};

use nix::errno::Errno;
use nix::sys::signal::{Signal as Kind, kill};
use nix::unistd::Pid;
use tokio::process::Command;
use tokio::signal::unix::Signal;

/// What is meant for this process alone: the edits were put aside by now, and others have been made.
const ONCE: &str = "--ignore-edits";

/// What has the new process take over.
const TAKEOVER: &str = "--takeover";

/// What the service manager has said to this process alone. Without the id the time of the watchdog is
/// that of the new process.
const FOR_THIS_PROCESS: [&str; 4] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID"];

/// How this process was started.
pub(in crate::daemon) struct Program {
    /// `None`: nobody knows any more.
    path: Option<PathBuf>,
    arguments: Vec<OsString>,
    /// The process that has been started and has neither taken over nor ended; 0: none.
    child: AtomicI32,
}

impl Program {
    /// As it was started. To be called early: the file may be replaced later.
    pub(in crate::daemon) fn of_this_process() -> Self {
        let mut arguments = env::args_os();
        let name = arguments.next().map(PathBuf::from).unwrap_or_default();
        let arguments = successor_arguments(arguments);
        Program { path: as_started(&name), arguments, child: AtomicI32::new(0) }
    }

    /// Starts a new process at every `signal`, which takes over if all goes well.
    pub(in crate::daemon) async fn start_on(&self, mut signal: Signal) {
        while signal.recv().await.is_some() {
            let Some(path) = &self.path else {
                tracing::error!("cannot start a new process: the program is not to be found");
                continue;
            };
            if std::process::id() == 1 {
                tracing::error!(
                    "cannot start a new process: this one is the first of a container, which ends with it"
                );
                continue;
            }
            tracing::info!(program = %path.display(), "starting a new process, which takes over");
            let mut command = Command::new(path);
            command.args(&self.arguments).stdin(Stdio::null());
            for variable in FOR_THIS_PROCESS {
                command.env_remove(variable);
            }
            let mut child = match command.spawn() {
                Ok(child) => child,
                Err(error) => {
                    tracing::error!(program = %path.display(), %error, "cannot start a new process");
                    continue;
                }
            };
            let id = child.id().and_then(|id| i32::try_from(id).ok()).unwrap_or_default();
            self.child.store(id, Ordering::Relaxed);
            let ended = loop {
                tokio::select! {
                    ended = child.wait() => break ended,
                    Some(()) = signal.recv() => tracing::warn!(process = id, "a new process is being started already"),
                }
            };
            self.child.store(0, Ordering::Relaxed);
            match ended {
                Ok(status) => {
                    tracing::error!(process = id, %status, "the new process has ended, this one goes on")
                }
                Err(error) => tracing::error!(process = id, %error, "nothing is known of the new process"),
            }
        }
    }

    /// Stops a process that was started and has not taken over: who stops this one wants none.
    pub(in crate::daemon) fn stop(&self) {
        let child = self.child.swap(0, Ordering::Relaxed);
        if child != 0 {
            // It may have ended, and nobody has waited for it.
            let _ = kill(Pid::from_raw(child), Kind::SIGTERM);
        }
    }
}

/// Has `process`, which has taken over, read its configuration anew, as this one was told to: it may have read it before.
pub(in crate::daemon) fn hang_up(process: i32) {
    // 0: of another namespace, and to signal it would be to signal all of the group.
    let sent = if process > 0 { kill(Pid::from_raw(process), Kind::SIGHUP) } else { Err(Errno::ESRCH) };
    match sent {
        Ok(()) => tracing::info!(process, "the reload that was asked for by signal is for the new process"),
        Err(error) => tracing::error!(process, %error, "the new process cannot be told to reload"),
    }
}

/// The path by which the program was started, whatever is there by now: a link to a version is to be
/// followed again.
fn as_started(name: &Path) -> Option<PathBuf> {
    if name.as_os_str().as_bytes().contains(&b'/') {
        return std::path::absolute(name).ok();
    }
    let is_program = |path: &PathBuf| path.is_file();
    let paths = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&paths).map(|directory| directory.join(name)).find(is_program);
    found.and_then(|path| std::path::absolute(path).ok()).or_else(|| env::current_exe().ok())
}

/// The arguments of a process that takes over from one with `arguments`.
fn successor_arguments(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let others = arguments.filter(|argument| argument != ONCE && argument != TAKEOVER);
    others.chain([TAKEOVER.into()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_the_same_but_for_what_was_said_once() {
        let arguments = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        for (before, after) in [
            ("serve --config f", "serve --config f --takeover"),
            ("serve --takeover --config f", "serve --config f --takeover"),
            ("serve --ignore-edits -c f", "serve -c f --takeover"),
        ] {
            assert_eq!(successor_arguments(arguments(before).into_iter()), arguments(after));
        }
    }

    #[test]
    fn the_path_is_absolute_and_follows_no_link() {
        let directory = tempfile::tempdir().expect("a directory");
        let link = directory.path().join("current");
        std::os::unix::fs::symlink("/proc", &link).expect("links can be made");
        assert_eq!(as_started(&link), Some(link.clone()));
        let here = env::current_dir().expect("there is one");
        assert_eq!(as_started(Path::new("./rhumb")), Some(here.join("rhumb")));
        assert!(as_started(Path::new("sh")).is_some_and(|path| path.is_absolute() && path.ends_with("sh")));
    }
}
