//! A program that is told things on its input, a line each, and says `done` to each, and at first.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Killed when dropped.
pub(crate) struct Told {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Told {
    /// Starts `command`, and waits until it is ready.
    pub(crate) fn start(mut command: Command) -> Told {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let input = child.stdin.take().expect("it is piped");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut told = Told { child, input, output };
        told.await_done();
        told
    }

    pub(crate) fn tell(&mut self, word: &str) {
        writeln!(self.input, "{word}").expect("it reads");
        self.await_done();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("a process id is an int");
        kill(Pid::from_raw(pid), signal).expect("our own child, which nobody has waited for");
    }

    fn await_done(&mut self) {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a pipe");
        assert_eq!(line, "done\n", "it has ended");
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        // It may have ended already, which is what this is for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
