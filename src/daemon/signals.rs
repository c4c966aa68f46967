//! A daemon from its start to its end, and the signals in between.

use std::convert::Infallible;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::ending::End;
use super::manager::Manager;
use super::takeover::{Offer, Program, hang_up};
use super::vitals::Vitals;
use super::{Daemon, DaemonError};
use crate::admin::{self, ReloadTrigger};
use crate::cli::Beginning;
use crate::config::Loaded;

/// Runs the daemon with `loaded` until SIGTERM or SIGINT, of which a second one cuts the stop
/// short, or until another process takes over; SIGHUP reads `file` anew, SIGUSR2 starts a process that
/// takes over.
pub(super) async fn serve(loaded: Loaded, file: &Path, beginning: Beginning) -> Result<(), DaemonError> {
    let program = Program::of_this_process();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // Registered before the start, so that an early SIGHUP does not end the process.
    let mut hangup = signal(SignalKind::hangup())?;
    let upgrade = signal(SignalKind::user_defined2())?;
    let manager = Manager::of_environment();
    manager.starting().await;
    let mut daemon = tokio::select! {
        started = Daemon::start(loaded, Some(file.to_owned()), beginning) => started?,
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    manager.ready(&daemon.vitals).await;
    let requests = daemon.requests.clone();
    let is_asked = AtomicBool::new(false);
    let mut successor = None;
    let ended = tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        process = taken(&mut daemon.offer) => {
            successor = Some(process);
            Ok(())
        }
        // Before a stop, no task ends unless it panics.
        _ = daemon.tasks.join_next() => Err(DaemonError::Ended),
        () = reload_on(&mut hangup, &is_asked, requests, &manager, &daemon.vitals) => Err(DaemonError::Ended),
        () = program.start_on(upgrade) => Err(DaemonError::Ended),
        never = manager.watch_over(&daemon.vitals) => match never {},
    };
    let end = if successor.is_some() { End::Taken } else { End::Stopped };
    if matches!(end, End::Stopped) {
        // Otherwise it is for the other process to speak.
        manager.stopping().await;
        program.stop();
    }
    tokio::select! {
        never = pass_on(hangup, is_asked.into_inner(), successor) => match never {},
        () = daemon.end(end) => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    ended
}

/// Reloads at every signal, as long as there is a control loop; it logs what came of it. `is_asked` as long as that is
/// not known.
async fn reload_on(
    hangup: &mut Signal,
    is_asked: &AtomicBool,
    requests: mpsc::Sender<admin::Request>,
    manager: &Manager,
    vitals: &Vitals,
) {
    while hangup.recv().await.is_some() {
        is_asked.store(true, Ordering::Relaxed);
        manager.reloading().await;
        // It is noted where it is carried out.
        let (reply, done) = admin::Reply::unaudited();
        if requests.send(admin::Request::Reload(ReloadTrigger::Signal, reply)).await.is_err() {
            return;
        }
        match done.await {
            Ok(_) => is_asked.store(false, Ordering::Relaxed),
            Err(_) => return,
        }
        manager.ready(vitals).await;
    }
}

/// Has the `successor`, if there is one, reload at every signal to this process, which leaves; at once if a reload
/// `is_asked` for already that this process has not carried out.
async fn pass_on(mut hangup: Signal, is_asked: bool, successor: Option<i32>) -> Infallible {
    if let Some(process) = successor {
        if is_asked {
            hang_up(process);
        }
        while hangup.recv().await.is_some() {
            hang_up(process);
        }
    }
    std::future::pending().await
}

/// Waits until another process has taken over, which answers by then; its number.
async fn taken(offer: &mut Option<Offer>) -> i32 {
    match offer {
        Some(offer) => offer.taken().await,
        None => std::future::pending().await,
    }
}
