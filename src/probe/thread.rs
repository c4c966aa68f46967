//! The thread that probes run on.

use std::io;
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// A thread of its own for probes: however many are due at once, nothing else waits for them.
///
/// One, because tasks of one thread share their sockets and timers without locks, and because 10,000
/// probes a second fit in it.
pub struct ProbeThread {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl ProbeThread {
    /// Starts it.
    ///
    /// # Errors
    ///
    /// If the operating system refuses the thread, or what it waits with.
    pub fn start() -> io::Result<Self> {
        // The few threads that look up names and read root certificates end by themselves.
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let run = move || {
            let _ = runtime.block_on(stopped);
            // A lookup may take long to end, and nobody waits for it any more.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("probes".to_owned()).spawn(run)?;
        Ok(ProbeThread { handle, stop: Some(stop), thread: Some(thread) })
    }

    /// Where tasks are started that are to run on it.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }
}

impl Drop for ProbeThread {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It ends between two tasks; one that panicked has said so.
            let _ = thread.join();
        }
    }
}
