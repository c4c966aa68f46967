//! Programs and what they say.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::PATIENCE;

/// A running program. Killed when dropped; what it said is printed if the test has failed.
pub(crate) struct Process {
    child: Child,
    log: Arc<Log>,
}

/// What a program has written to its outputs so far.
#[derive(Default)]
struct Log {
    said: Mutex<Said>,
    changed: Condvar,
}

#[derive(Default)]
struct Said {
    lines: Vec<String>,
    /// Outputs that have ended, of two.
    ended: usize,
}

impl Process {
    /// Starts `command`.
    pub(crate) fn start(mut command: Command) -> Process {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let log = Arc::<Log>::default();
        log.follow(child.stdout.take().expect("it is piped"));
        log.follow(child.stderr.take().expect("it is piped"));
        Process { child, log }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("a process id is an int");
        kill(Pid::from_raw(pid), signal).expect("our own child, which nobody has waited for");
    }

    /// How many lines there are: where to wait from for what comes after now.
    pub(crate) fn said(&self) -> usize {
        self.log.lock().lines.len()
    }

    /// Every line so far that has all of `words` in it.
    pub(crate) fn lines(&self, words: &[&str]) -> Vec<String> {
        self.log.lock().lines.iter().filter(|line| has(line, words)).cloned().collect()
    }

    /// Waits for a line with all of `words` in it, among those from number `from` on.
    pub(crate) fn await_line(&self, from: usize, words: &[&str]) -> String {
        let find = |said: &Said| said.lines[from..].iter().find(|line| has(line, words)).cloned();
        let said = self.log.wait_until(|said| find(said).is_some() || said.ended == 2);
        find(&said).unwrap_or_else(|| panic!("it did not say {words:?}"))
    }

    /// Waits until it has ended by itself.
    pub(crate) fn await_end(mut self) -> (ExitStatus, String) {
        let text = {
            let said = self.log.wait_until(|said| said.ended == 2);
            assert!(said.ended == 2, "it did not end");
            said.lines.join("\n")
        };
        (self.child.wait().expect("nobody else waits for it"), text)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already, which is what this is for.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("process {} said:\n{}", self.child.id(), self.log.lock().lines.join("\n"));
        }
    }
}

impl Log {
    /// Takes in `output` line by line, on a thread, until it ends.
    fn follow(self: &Arc<Self>, output: impl Read + Send + 'static) {
        let log = Arc::clone(self);
        std::thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                log.lock().lines.push(String::from_utf8_lossy(&line).into_owned());
                log.changed.notify_all();
            }
            log.lock().ended += 1;
            log.changed.notify_all();
        });
    }

    fn lock(&self) -> MutexGuard<'_, Said> {
        // A list of lines is whole whatever became of the test that looked at it.
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `is_enough` or [`PATIENCE`] is over.
    fn wait_until(&self, is_enough: impl Fn(&Said) -> bool) -> MutexGuard<'_, Said> {
        let waited = self.changed.wait_timeout_while(self.lock(), PATIENCE, |said| !is_enough(said));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

fn has(line: &str, words: &[&str]) -> bool {
    words.iter().all(|word| line.contains(word))
}
