//! Single key presses from a terminal.

use std::io::{self, IsTerminal, Read};
use std::thread;

use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use nix::unistd::{getpgrp, tcgetpgrp};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// A terminal that gives keys at once and does not echo them; as it was before when this is dropped.
///
/// All else stays: Ctrl-C is a signal, and lines that are printed need no carriage return.
pub(super) struct Keyboard {
    before: Termios,
    keys: mpsc::UnboundedReceiver<char>,
    /// The process was stopped and goes on; the shell has had the terminal meanwhile.
    continued: Signal,
}

impl Keyboard {
    /// Takes standard input; `None` if it is no terminal, or one that another job uses, where
    /// touching it would stop this one.
    pub(super) fn open() -> Option<Self> {
        if !is_ours() {
            return None;
        }
        let before = tcgetattr(io::stdin()).ok()?;
        let continued = signal(SignalKind::from_raw(libc::SIGCONT)).ok()?;
        set_keys_at_once(&before)?;
        let (sender, keys) = mpsc::unbounded_channel();
        // A thread of its own, because nothing ends a read from a terminal: the runtime would
        // wait for its threads, the process does not wait for this one.
        thread::spawn(move || {
            for octet in io::stdin().lock().bytes() {
                if octet.is_ok_and(|octet| sender.send(char::from(octet)).is_ok()) {
                    continue;
                }
                return;
            }
        });
        Some(Keyboard { before, keys, continued })
    }

    /// Waits for the next key; for ever without a keyboard, or when it is gone.
    pub(super) async fn key(keyboard: &mut Option<Keyboard>) -> char {
        while let Some(Keyboard { before, keys, continued }) = keyboard {
            tokio::select! {
                key = keys.recv() => match key {
                    Some(key) => return key,
                    None => break,
                },
                _ = continued.recv() => {
                    if is_ours() {
                        set_keys_at_once(before);
                    }
                }
            }
        }
        std::future::pending().await
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        if is_ours() {
            // A terminal that has gone away needs no settings.
            let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &self.before);
        }
    }
}

fn is_ours() -> bool {
    io::stdin().is_terminal() && tcgetpgrp(io::stdin()).is_ok_and(|group| group == getpgrp())
}

fn set_keys_at_once(before: &Termios) -> Option<()> {
    let mut settings = before.clone();
    settings.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO);
    tcsetattr(io::stdin(), SetArg::TCSANOW, &settings).ok()
}
