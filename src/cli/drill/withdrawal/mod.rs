//! The drill against a running daemon: it is ordered to take a pool, or an address of it, out of
//! its answers for a while, and a client measures what that is like.
//!
//! The sites are left alone. Whatever goes wrong, the subject comes back: at once when the drill
//! notices, and by the end of the [`lease`] when it cannot.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::system_conf;
use tokio::time::sleep;

use super::arguments::Arguments;
use super::client::{Client, Target};
use super::clock::{self, Clock};
use super::measurement::{Measurement, Rate};
use super::recording::{Recording, spans};
use super::seconds::Seconds;
use super::upstream::Upstream;
use super::{STATE_DURATION, client_subnet, draw, host};
use crate::cli::stop::Stop;
use crate::cli::{Failed, Output, print, print_json};
use crate::control::Status;
use crate::dns::Name;
use lease::{Desk, Lease};
use report::{Facts, Phase, Report};
use subject::Subject;
use window::Window;

mod lease;
mod report;
mod subject;
mod window;

/// How often the observer asks: more finely than anybody notices, and few enough questions for a
/// resolver that others use as well.
const OBSERVING: Duration = Duration::from_millis(50);

/// How often the state of the other pools is looked at: a small part of what an outage costs.
const GUARD: Duration = Duration::from_millis(500);

/// What clients need beside a TTL to be where the answers send them.
const REST: Duration = Duration::from_millis(500);

/// Arguments as meant.
struct Withdrawal {
    desk: Arc<Desk>,
    domain: Name,
    interval: Duration,
    state_duration: Option<Duration>,
    max_downtime: Duration,
    abort_below: f64,
    upstream: Upstream,
    target: Target,
    output: Output,
    svg: Option<PathBuf>,
}

/// What is known before anything is changed.
struct Scene {
    ttl: Duration,
    /// How long each state lasts.
    state_duration: Duration,
    /// Pool and address behind each IP.
    places: BTreeMap<IpAddr, String>,
    /// The IPs of the subject.
    subject: Vec<IpAddr>,
}

/// Why a state is over.
enum Over {
    /// It has lasted as long as it should.
    InTime,
    /// This is wrong.
    Trouble(String),
    /// By a signal.
    Interrupted,
}

/// Carries out the drill that takes out `pool`.
pub(super) async fn drill(pool: String, arguments: Arguments) -> Result<ExitCode, Failed> {
    let mut stop = Stop::listen()?;
    let drill = Withdrawal::new(pool, arguments)?;
    let report = drill.carry_out(&mut stop).await?;
    match drill.output {
        Output::Text => print(&report.to_string())?,
        Output::Json => print_json(&report)?,
    }
    if let Some(file) = &drill.svg {
        draw(file, &[report.picture()])?;
    }
    Ok(if report.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Withdrawal {
    fn new(pool: String, arguments: Arguments) -> Result<Self, Failed> {
        let domain = arguments.name.expect("clap requires it with a pool");
        let server = arguments.server.map_or_else(system_resolver, Ok)?;
        let subject = Subject { pool, address: arguments.address };
        Ok(Withdrawal {
            desk: Arc::new(Desk::new(arguments.endpoint, subject)),
            interval: arguments.interval,
            state_duration: arguments.state_duration,
            max_downtime: arguments.max_downtime,
            abort_below: arguments.abort_below,
            target: Target {
                port: arguments.port,
                host: host(&domain, arguments.port),
                path: (!arguments.connect).then_some(arguments.path),
                timeout: arguments.timeout,
            },
            upstream: Upstream { server, name: domain.clone(), subnet: arguments.subnet.map(client_subnet) },
            domain,
            output: arguments.output,
            svg: arguments.svg,
        })
    }

    async fn carry_out(&self, stop: &mut Stop) -> Result<Report, Failed> {
        let interrupted = || Failed::new("interrupted before anything was taken out");
        let scene = tokio::select! {
            scene = self.look() => scene?,
            () = stop.requested() => return Err(interrupted()),
        };
        let (started, clock) = (clock::date(), Clock::start());
        let client = Client::new(clock, self.upstream.clone(), self.target.clone());
        let rate = Rate { interval: self.interval, observing: OBSERVING };
        let mut measurement = Measurement::start(client, self.upstream.clone(), clock, rate);
        let mut window = Window::new(self.interval, self.abort_below);
        let mut begins = vec![(Phase::Steady, Duration::ZERO)];
        self.tell(Duration::ZERO, Phase::Steady);

        match self.last(&scene, stop, self.trouble(), &mut measurement, &mut window).await {
            Over::InTime => {}
            Over::Trouble(reason) => return Err(self.refusal(&reason)),
            Over::Interrupted => return Err(interrupted()),
        }
        let is_answered = measurement
            .lookups()
            .iter()
            .any(|lookup| lookup.addresses.iter().any(|address| scene.subject.contains(address)));
        if !is_answered {
            return Err(self.refusal(&format!(
                "{} does not send this client to it\nhint: --subnet asks for clients elsewhere",
                self.upstream.server
            )));
        }

        begins.push((Phase::Out, clock.elapsed()));
        self.tell(clock.elapsed(), Phase::Out);
        let lease = Lease::take(self.desk.clone(), clock).await?;
        let trouble = async {
            tokio::select! {
                reason = self.trouble() => reason,
                reason = lease.lost() => reason,
            }
        };
        let over = self.last(&scene, stop, trouble, &mut measurement, &mut window).await;
        let ended = clock.elapsed();
        tokio::select! {
            given_back = lease.give_back(clock) => given_back?,
            () = stop.requested() => return Err(Failed::new(format_args!(
                "interrupted again; the daemon brings {} back by itself within {}",
                self.desk.subject,
                humantime::format_duration(lease::LEASE),
            ))),
        }
        begins.push((Phase::Restored, clock.elapsed()));
        self.tell(clock.elapsed(), Phase::Restored);

        let mut aborted = match over {
            Over::InTime => None,
            Over::Trouble(reason) => Some(reason),
            Over::Interrupted => Some("interrupted".to_owned()),
        };
        // Who interrupts wants to have it over.
        if aborted.as_deref() != Some("interrupted") {
            tokio::select! {
                () = sleep(scene.state_duration) => {}
                () = stop.requested() => {
                    aborted.get_or_insert_with(|| "interrupted while it came back".to_owned());
                }
            }
        }
        let standing = self.desk.pool().await.ok().map(|pool| pool.standing);
        let spans = spans(&begins, clock.elapsed());
        let (requests, lookups) = measurement.finish().await?;
        let facts = Facts {
            server: self.upstream.server,
            name: self.domain.to_string(),
            subject: self.desk.subject.clone(),
            addresses: scene.subject,
            places: scene.places,
            started,
            ttl: Seconds(scene.ttl),
            interval: Seconds(self.interval),
            timeout: Seconds(self.target.timeout),
            max_downtime: Seconds(self.max_downtime),
            aborted,
            ended: Seconds(ended),
            standing,
        };
        Ok(Report::new(facts, Recording { spans, requests, lookups }))
    }

    /// Looks whether the drill may begin.
    async fn look(&self) -> Result<Scene, Failed> {
        let status = self.desk.status().await?;
        let subject = &self.desk.subject;
        let ttl =
            subject.obstacle(&self.domain.to_string(), &status).map_err(|reason| self.refusal(&reason))?;
        let least = ttl + REST;
        let state_duration = self.state_duration.unwrap_or(STATE_DURATION.max(2 * ttl));
        if state_duration < least {
            return Err(self.refusal(&format!(
                "--state-duration: with a TTL of {} clients follow within {}",
                humantime::format_duration(ttl),
                humantime::format_duration(least)
            )));
        }
        let (places, covered) = self.places(&status).await;
        Ok(Scene { ttl, state_duration, places, subject: covered })
    }

    /// What is behind the IPs of the domain's pools, and which of them are the subject's.
    async fn places(&self, status: &Status) -> (BTreeMap<IpAddr, String>, Vec<IpAddr>) {
        let (mut places, mut covered) = (BTreeMap::new(), Vec::new());
        let domain = self.domain.to_string();
        let pools = status.domains.iter().filter(|found| found.name == domain).flat_map(|found| &found.pools);
        for pool in pools.filter_map(|name| status.pools.iter().find(|pool| pool.name == *name)) {
            let targets: Vec<&str> = match pool.name == self.desk.subject.pool {
                true => self.desk.subject.targets(pool).collect(),
                false => Vec::new(),
            };
            for address in &pool.addresses {
                let ips = match (address.target.parse::<IpAddr>(), address.target.parse::<Name>()) {
                    (Ok(ip), _) => vec![ip],
                    // What clients are given is a name: it leads where the resolver says.
                    (_, Ok(name)) => {
                        let upstream = Upstream { name, ..self.upstream.clone() };
                        upstream.resolve().await.map(|answer| answer.addresses).unwrap_or_default()
                    }
                    _ => Vec::new(),
                };
                if targets.contains(&&address.target[..]) {
                    covered.extend(&ips);
                }
                places.extend(ips.into_iter().map(|ip| (ip, format!("{} {}", pool.name, address.name))));
            }
        }
        (places, covered)
    }

    /// Lets a state last, until it has `trouble` or too few requests succeed.
    async fn last(
        &self,
        scene: &Scene,
        stop: &mut Stop,
        trouble: impl Future<Output = String>,
        measurement: &mut Measurement,
        window: &mut Window,
    ) -> Over {
        let shortfall = async {
            while let Some(request) = measurement.next_request().await {
                if let Some(reason) = window.observe(request) {
                    return reason;
                }
            }
            "the measurement broke off".to_owned()
        };
        tokio::select! {
            biased;
            () = stop.requested() => Over::Interrupted,
            reason = trouble => Over::Trouble(reason),
            reason = shortfall => Over::Trouble(reason),
            () = sleep(scene.state_duration) => Over::InTime,
        }
    }

    /// Waits until the other pools can no longer be relied on, or are out of sight, and says why.
    async fn trouble(&self) -> String {
        loop {
            match self.desk.status().await {
                Ok(status) => {
                    if let Some(reason) = self.desk.subject.trouble(&self.domain.to_string(), &status) {
                        return reason;
                    }
                }
                Err(Failed(reason)) => {
                    let first = reason.lines().next().unwrap_or_default();
                    return first.strip_prefix("error: ").unwrap_or(first).to_owned();
                }
            }
            sleep(GUARD).await;
        }
    }

    fn refusal(&self, reason: &str) -> Failed {
        Failed::new(format_args!("{} is not taken out: {reason}", self.desk.subject))
    }

    fn tell(&self, at: Duration, phase: Phase) {
        if self.output == Output::Text {
            eprintln!("{:>9}  {}", Seconds(at).to_string(), phase.label(&self.desk.subject));
        }
    }
}

/// The resolver that programs on this machine ask first.
fn system_resolver() -> Result<SocketAddr, Failed> {
    let missing = |reason: &dyn std::fmt::Display| {
        Failed(format!("error: this machine has no resolver: {reason}\nhint: --server says whom to ask"))
    };
    let (config, _) = system_conf::read_system_conf().map_err(|error| missing(&error))?;
    let first = config.name_servers().first().ok_or_else(|| missing(&"none is configured"))?;
    Ok(SocketAddr::new(first.ip, 53))
}
