//! What the process takes of the machine, under the names that Prometheus' client libraries have for it.
//!
//! Read by hand: two small files and three calls, where the libraries for it would bring all of /proc along.

use std::fs;
use std::str::FromStr;
use std::time::{Duration, UNIX_EPOCH};

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
use nix::sys::time::TimeVal;

use super::clock::{calendar, uptime};
use super::exposition::Exposition;

/// The unit of times in /proc/PID/stat, in ticks a second: on Linux it is this for programs, whatever the kernel's own
/// clock (USER_HZ).
const TICKS: f64 = 100.0;

/// Which field of /proc/PID/stat is when the process started, counted from the one behind its name.
const START: usize = 19;

/// Tells what can be read of a process that has `started` then, since the beginning of 1970. What cannot is left out: open
/// descriptors are the secret of a process that has given up being root.
pub(super) fn tell(started: Option<Duration>, told: &mut Exposition) {
    if let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) {
        let seconds = |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 * 1e-6;
        told.counter("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.")
            .sample(&[], seconds(usage.user_time()) + seconds(usage.system_time()));
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    if let Some(octets) = kibibytes(&status, "VmSize") {
        told.gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.").sample(&[], octets);
    }
    if let Some(octets) = kibibytes(&status, "VmRSS") {
        told.gauge("process_resident_memory_bytes", "Resident memory size in bytes.").sample(&[], octets);
    }
    if let Some(threads) = field::<f64>(&status, "Threads") {
        told.gauge("process_threads", "Number of OS threads in the process.").sample(&[], threads);
    }
    if let Ok(entries) = fs::read_dir("/proc/self/fd") {
        // One of them is the directory that is read.
        let open = entries.count().saturating_sub(1);
        told.gauge("process_open_fds", "Number of open file descriptors.").sample(&[], open as f64);
    }
    if let Ok((limit, _)) = getrlimit(Resource::RLIMIT_NOFILE) {
        told.gauge("process_max_fds", "Maximum number of open file descriptors.").sample(&[], limit as f64);
    }
    if let Some(started) = started {
        let help = "Start time of the process since unix epoch in seconds.";
        told.gauge("process_start_time_seconds", help).sample(&[], started.as_secs_f64());
    }
}

/// When this process has started, since the beginning of 1970. To be asked once: a calendar that is set
/// must not look like another start.
pub(super) fn started() -> Option<Duration> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name, in parentheses, may have blanks and parentheses in it.
    let ticks: f64 = stat.rsplit_once(") ")?.1.split(' ').nth(START)?.parse().ok()?;
    // Not from /proc/stat, of which the unit shows nothing.
    let age = uptime()?.saturating_sub(Duration::try_from_secs_f64(ticks / TICKS).ok()?);
    calendar().duration_since(UNIX_EPOCH).ok()?.checked_sub(age)
}

/// A field in octets, which the kernel tells in units of 1,024.
fn kibibytes(status: &str, name: &str) -> Option<f64> {
    Some(field::<f64>(status, name)? * 1024.0)
}

/// A field of /proc/PID/status.
fn field<T: FromStr>(status: &str, name: &str) -> Option<T> {
    let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    value.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let status = "Name:\tVmRSS: 7\nVmRSSx:\t1 kB\nVmRSS:\t    2048 kB\nThreads:\t3\n";
        assert_eq!(kibibytes(status, "VmRSS"), Some(2_097_152.0));
        assert_eq!(field::<u64>(status, "Threads"), Some(3));
        assert_eq!(field::<u64>(status, "VmSize"), None);
    }

    #[test]
    fn all_of_it_can_be_read_of_this_process() {
        let mut told = Exposition::default();
        let started = started().expect("it has");
        tell(Some(started), &mut told);
        let text = told.behind(String::new());
        let value = |name: &str| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.unwrap_or_else(|| panic!("{name} in {text}")).parse().expect("a number")
        };
        assert!(value("process_resident_memory_bytes") > 1e6);
        assert!(value("process_virtual_memory_bytes") > value("process_resident_memory_bytes"));
        assert!(value("process_open_fds") >= 3.0 && value("process_open_fds") <= value("process_max_fds"));
        assert!(value("process_threads") >= 1.0);
        assert!(value("process_cpu_seconds_total") >= 0.0);
        let age = calendar().duration_since(UNIX_EPOCH).expect("it is later").saturating_sub(started);
        assert!(age < Duration::from_secs(3600), "tests take minutes: {age:?}");
        assert_eq!(value("process_start_time_seconds"), started.as_secs_f64());
    }
}
