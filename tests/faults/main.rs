//! Faults, for real: sites on hosts of their own that are killed, stopped and cut off, and how long
//! clients are told wrong things after that. The ordinary run has a few rounds of each and allows for
//! a busy machine; `tests/faults/run` has a hundred and allows nothing.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use libtest_mimic::{Arguments, Trial};
use tokio::signal::unix::{SignalKind, signal};

#[path = "../support/mod.rs"]
mod support;

mod cases;
mod network;
mod rounds;
mod site;
mod steady;
mod stream;
mod table;
mod told;
mod world;

/// Says to the program that it has been enclosed.
const ENCLOSED: &str = "RHUMB_FAULTS_ENCLOSED";
/// Asks for the thorough run; what it says is the document that the table is put into, if any.
const THOROUGHLY: &str = "RHUMB_FAULTS_THOROUGHLY";
/// So many faults at a time: most of their time they wait.
const AT_A_TIME: usize = 5;

/// How thoroughly faults are measured.
#[derive(Clone, Copy)]
pub(crate) struct Thoroughness {
    /// Rounds of what is asked for a hundred times.
    pub(crate) rounds: usize,
    /// Rounds of the other faults, and of all of them under the eyes of gdnsd.
    pub(crate) few: usize,
    /// Whether gdnsd is measured beside rhumb.
    pub(crate) gdnsd: bool,
    /// For how long nothing may happen where nothing should.
    pub(crate) watch: Duration,
    /// What is allowed beyond a bound.
    pub(crate) allowance: Duration,
}

const ORDINARY: Thoroughness = Thoroughness {
    rounds: 3,
    few: 2,
    gdnsd: false,
    watch: Duration::from_secs(8),
    // Debug builds on a machine that tests something else as well.
    allowance: Duration::from_millis(400),
};

const THOROUGH: Thoroughness = Thoroughness {
    rounds: 100,
    few: 15,
    gdnsd: true,
    watch: Duration::from_secs(60),
    allowance: Duration::ZERO,
};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == site::WORD) {
        return site::serve(&arguments[1..]);
    }
    let mut arguments = Arguments::from_args();
    if !arguments.list && std::env::var_os(ENCLOSED).is_none() {
        return enclose();
    }
    end_when_told();
    arguments.test_threads.get_or_insert(AT_A_TIME);
    let document = std::env::var_os(THOROUGHLY);
    let thoroughness = if document.is_some() { THOROUGH } else { ORDINARY };
    let rows = Arc::<Mutex<Vec<table::Row>>>::default();
    let quiet = Arc::<RwLock<()>>::default();
    let trials = cases::ALL.iter().map(|case| {
        let (rows, quiet) = (Arc::clone(&rows), Arc::clone(&quiet));
        Trial::test(case.name, move || {
            // Where milliseconds are measured nothing else is to be in the way, but in the ordinary suite,
            // where much else is anyway.
            let is_alone = case.bound_is_short && thoroughness.gdnsd;
            let _alone = is_alone.then(|| quiet.write().unwrap_or_else(PoisonError::into_inner));
            let _beside = (!is_alone).then(|| quiet.read().unwrap_or_else(PoisonError::into_inner));
            let measured = (case.run)(case.fault, &thoroughness);
            rows.lock().unwrap_or_else(PoisonError::into_inner).extend(measured.iter().cloned());
            rounds::judge(&measured, thoroughness.allowance);
            Ok(())
        })
    });
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    let rows = rows.lock().unwrap_or_else(PoisonError::into_inner);
    let faults: Vec<&str> = cases::ALL.iter().map(|case| case.fault).collect();
    let table = table::markdown(&rows, &faults);
    println!("{table}");
    if let Some(document) = document.filter(|document| !document.is_empty()) {
        table::put_into(Path::new(&document), &table);
    }
    conclusion.exit_code()
}

/// Runs this program again where processes and networks of others do not exist. When it ends, in
/// whichever way, the kernel ends everything that it has started, and takes the networks away.
fn enclose() -> ExitCode {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("tests/faults: needs root, to make networks: run tests/run as root");
        return ExitCode::FAILURE;
    }
    let mut command = Command::new("unshare");
    command.args(["--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]);
    command
        .arg(std::env::current_exe().expect("this program"))
        .args(std::env::args_os().skip(1))
        .env(ENCLOSED, "1");
    // Whoever starts others instead of itself returns only if that fails.
    let error = command.exec();
    eprintln!("tests/faults: {command:?}: {error}");
    ExitCode::FAILURE
}

/// The first process of its world, as this is once enclosed, hears no signal that it does not ask for.
fn end_when_told() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
    let told = {
        let _within = runtime.enter();
        [SignalKind::interrupt(), SignalKind::terminate()].map(|kind| signal(kind).expect("a signal"))
    };
    std::thread::spawn(move || {
        let [mut interrupt, mut terminate] = told;
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        });
        std::process::exit(130);
    });
}
