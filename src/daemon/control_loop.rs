//! The loop around the controller: outcomes, requests and reloads in, tables out.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::changes::{Change, Changed, Changes, Reloaded};
use super::edits::{self, Made};
use super::remembering::{self, Remembering};
use super::takeover::{Ask, Quiet};
use super::telling::Telling;
use super::traced::{self, Probed};
use super::unprobed::Unprobed;
use super::vitals::Pulse;
use super::waiting::Waiting;
use super::{descriptors, happenings, incidents, said};
use crate::admin::{
    Audit, Feed, NotEdited, NotMeasured, ReloadReport, ReloadTrigger, Request, Snapshot, Told,
};
use crate::config::Settings;
use crate::control::{Absence, Controller, Event, Notice, Prepared};
use crate::health::{Failure, Outcome};
use crate::notify::Notifier;
use crate::probe::{Limits, ProbeThread, Prober, Report, Trigger};
use crate::resolver::{Answer, Resolver};
use crate::routing::CookieSecrets;
use crate::telemetry::{Ledger, Metrics};

/// Addresses that names may lose before all that is counted is gone through: few enough to be kept, and so many
/// that the walk over all addresses is rare.
const MANY_GONE: usize = 1000;

/// Drives the controller, one event at a time.
pub(super) struct ControlLoop {
    controller: Controller,
    prober: Prober,
    /// After the prober, whose tasks are to end before it does.
    probe_thread: ProbeThread,
    reports: mpsc::UnboundedReceiver<Report>,
    resolver: Resolver,
    answers: mpsc::UnboundedReceiver<Answer>,
    settled: watch::Sender<bool>,
    /// What only a restart changes, as it was at the start.
    settings: Settings,
    changes: Changes,
    unprobed: Unprobed,
    feed: Feed,
    notifier: Notifier,
    /// Has others look at the table that was published.
    news: Arc<Notify>,
    audit: Audit,
    remembering: Remembering,
    telling: Telling,
    /// Why the last reload was refused, unless it was not.
    refusal: Option<String>,
    /// When the last one began, refused or not.
    reloaded: Option<Instant>,
    ledger: Ledger,
    /// How many addresses have gone since the ledger last forgot some.
    gone: usize,
    /// Who makes changes.
    tenure: Tenure,
    /// What was over while another process had the audit log.
    unnoted: Vec<Told>,
}

/// Whether this process makes changes, or another is about to.
enum Tenure {
    /// This one.
    Own,
    /// Changes wait, in the order in which they were asked for; whoever is to be told when none is under
    /// way any more.
    Suspended(Waiting, Option<oneshot::Sender<Quiet>>),
    /// Another one.
    Over,
}

impl ControlLoop {
    /// A loop around `controller`, which tells others what it does; and what tells when the first round
    /// of probes has ended.
    ///
    /// # Errors
    ///
    /// If the thread for the probes cannot be had.
    pub(super) fn new(
        controller: Controller,
        settings: Settings,
        changes: Changes,
        (feed, audit, ledger, telling, notifier): (Feed, Audit, Ledger, Telling, Notifier),
        remembering: Remembering,
    ) -> io::Result<(Self, watch::Receiver<bool>)> {
        let (settled, is_settled) = watch::channel(controller.is_settled());
        // Without a bound: a report must not wait, and there is at most one per target and interval.
        let (sender, reports) = mpsc::unbounded_channel();
        let probe_thread = ProbeThread::start()?;
        let limits =
            Limits { max_in_flight: settings.health.max_in_flight, max_scripts: settings.health.max_scripts };
        let mut prober = Prober::new(sender, probe_thread.handle(), limits);
        prober.watch(controller.watches());
        descriptors::check(&prober, &settings);
        // Likewise: there is at most one per name and second.
        let (sender, answers) = mpsc::unbounded_channel();
        let mut resolver = Resolver::new(settings.resolver.servers.clone(), sender, Handle::current());
        resolver.resolve(controller.names());
        let unprobed = Unprobed::default();
        let control = ControlLoop {
            controller,
            prober,
            probe_thread,
            reports,
            resolver,
            answers,
            settled,
            settings,
            changes,
            unprobed,
            feed,
            notifier,
            news: Arc::default(),
            audit,
            refusal: None,
            reloaded: None,
            ledger,
            gone: 0,
            tenure: Tenure::Own,
            unnoted: Vec::new(),
            remembering,
            telling,
        };
        Ok((control, is_settled))
    }

    /// Says that a table was published.
    pub(super) fn news(&self) -> Arc<Notify> {
        Arc::clone(&self.news)
    }

    /// Where tasks are started that are to run beside the probes.
    pub(super) fn probes(&self) -> Handle {
        self.probe_thread.handle()
    }

    /// Runs until `stopped` says so or is gone; whoever asks by `pulses` is told that it does, and what comes by
    /// `renewed` is what cookies are made with.
    pub(super) async fn run(
        mut self,
        mut requests: mpsc::Receiver<Request>,
        mut asks: mpsc::Receiver<Ask>,
        (mut pulses, mut renewed): (mpsc::Receiver<oneshot::Sender<Pulse>>, mpsc::Receiver<CookieSecrets>),
        mut stopped: watch::Receiver<bool>,
    ) {
        loop {
            self.tell_of_quiet();
            let due = self.changes.due();
            tokio::select! {
                // Health first: nothing that people ask for may delay it.
                biased;
                // Before it a glance every few seconds: who has much to do is not to be taken for dead.
                Some(reply) = pulses.recv() => self.give_pulse(reply),
                () = until(self.controller.due()) => self.elapse(),
                Some(report) = self.reports.recv() => self.observe(report),
                Some(answer) = self.answers.recv() => self.learn(answer),
                () = until(self.remembering.due()) => self.remembering.write(&self.controller),
                Some(took) = self.remembering.written.recv() => self.remembering.rest(took),
                Some(changed) = self.changes.next() => self.go_over(changed),
                Some(request) = requests.recv() => self.admit(request),
                Some(ask) = asks.recv() => self.change_tenure(ask),
                Some(secrets) = renewed.recv() => self.exchange(Some(secrets)),
                () = over(due) => self.changes.ask(Change::Expire),
                _ = stopped.wait_for(|stopped| *stopped) => break,
            }
        }
        self.remembering.finish(&self.controller).await;
    }

    fn give_pulse(&self, reply: oneshot::Sender<Pulse>) {
        // Whoever asked may have waited long enough.
        let _ = reply.send(Pulse { summary: self.controller.summary(), refusal: self.refusal.clone() });
    }

    fn observe(&mut self, report: Report) {
        let probed = Probed::take_up(&report);
        let Report { target, trigger, outcome, timings, lateness, started, finished } = report;
        if let Some(watch) = self.controller.watch(target) {
            if let Outcome::Fail(failure @ Failure::Local(_)) = &outcome
                && let Some(probes) = self.unprobed.note(failure, finished)
            {
                let (pool, address, check) = (watch.pool_or_none(), &watch.address, &watch.check.name);
                tracing::warn!(%pool, %address, %check, probes, "{failure}");
            }
            let took = finished.saturating_duration_since(started);
            self.ledger.probed(watch, &outcome, lateness, took);
            if trigger == Trigger::Tripped {
                self.ledger.tripped(watch, outcome == Outcome::Pass);
            }
        }
        let decided = now().saturating_duration_since(finished);
        let notices = self.controller.handle(Event::Probed { target, outcome, started, timings }, finished);
        if notices.iter().any(|notice| matches!(notice, Notice::Published { .. })) {
            let published = now().saturating_duration_since(finished);
            self.ledger.swapped(decided, published);
        }
        probed.tell(&self.telling.traces, &notices);
        self.tell(notices);
    }

    fn learn(&mut self, answer: Answer) {
        let Answer { name, lookup, finished } = answer;
        self.ledger.looked_up(&name, &lookup);
        let notices = self.controller.handle(Event::Resolved { name, lookup }, finished);
        self.tell(notices);
    }

    /// Has cookies be made with other secrets.
    fn exchange(&mut self, cookies: Option<CookieSecrets>) {
        let notices = self.controller.handle(Event::Secrets { cookies }, now());
        self.tell(notices);
    }

    fn elapse(&mut self) {
        let notices = self.controller.handle(Event::Elapsed, now());
        self.tell(notices);
    }

    /// Serves `request`, now or when this process makes changes again.
    fn admit(&mut self, request: Request) {
        match &mut self.tenure {
            Tenure::Suspended(waiting, _) if request.is_change() => waiting.push(request),
            // Whoever has asked is told to ask again, and finds the other process.
            Tenure::Over if request.is_change() => drop(request),
            _ => self.serve(request),
        }
    }

    fn change_tenure(&mut self, ask: Ask) {
        let waiting = match std::mem::replace(&mut self.tenure, Tenure::Own) {
            Tenure::Suspended(waiting, _) => waiting,
            Tenure::Own | Tenure::Over => Waiting::default(),
        };
        match ask {
            Ask::Suspend(reply) => {
                self.remembering.suspend();
                self.telling.leave_path(true);
                self.tenure = Tenure::Suspended(waiting, Some(reply));
            }
            Ask::Resume => {
                self.remembering.resume();
                self.telling.leave_path(false);
                let unnoted = std::mem::take(&mut self.unnoted);
                self.note_expired(unnoted);
                waiting.into_requests().for_each(|request| self.serve(request));
            }
            // Whoever waits is told to ask again, and signals are passed on by whoever has received them.
            Ask::Leave => self.tenure = Tenure::Over,
        }
    }

    /// Tells whoever waits for it that no change is under way.
    fn tell_of_quiet(&mut self) {
        if let Tenure::Suspended(_, told @ Some(_)) = &mut self.tenure
            && self.changes.is_idle()
            && self.remembering.is_idle()
            && let Some(reply) = told.take()
        {
            let snapshot = self.controller.snapshot(remembering::moment());
            // Whoever asked may have given up.
            let reloaded = self.reloaded;
            tokio::task::spawn_blocking(move || {
                _ = reply.send(Quiet { memory: remembering::told(snapshot), reloaded })
            });
        }
    }

    fn serve(&mut self, request: Request) {
        match request {
            Request::Status(reply) => {
                // Whoever asked may have gone away.
                let _ = reply.send(self.controller.status(now()));
            }
            Request::Snapshot(reply) => {
                let readings = self.controller.readings(now());
                let desired = Arc::clone(self.changes.desired());
                let probes_in_flight = self.prober.in_flight();
                let _ = reply.send(Snapshot { readings, desired, probes_in_flight });
            }
            Request::Pool(name, reply) => {
                let _ = reply.send(self.controller.pool_status(&name, now()));
            }
            Request::Pools(after, limit, reply) => {
                let _ = reply.send(self.controller.pool_page(after.as_deref(), limit, now()));
            }
            Request::Domain(name, reply) => {
                let _ = reply.send(self.controller.domain_status(&name, now()));
            }
            Request::Domains(after, limit, reply) => {
                let _ = reply.send(self.controller.domain_page(after.as_ref(), limit, now()));
            }
            Request::Reload(trigger, reply) => self.changes.ask(Change::Reload(trigger, reply)),
            Request::Latencies(reply) => {
                let _ = reply.send(self.changes.given());
            }
            Request::Measured(given, expected, reply) => {
                self.changes.ask(Change::Measured(given, expected, reply));
            }
            Request::Desired(reply) => {
                let _ = reply.send(Arc::clone(self.changes.desired()));
            }
            Request::Permit(reply) => {
                let _ = reply.send(());
            }
            Request::Edit(editing, reply) => self.changes.ask(Change::Edit(editing, reply)),
            Request::History((pool, address), reply) => {
                let _ = reply.send(self.controller.history(&pool, &address, now()));
            }
            Request::Report((pool, address), absence, reply) => {
                let known = self.controller.has_address(&pool, address.as_deref()).map(|()| {
                    let on = address.as_deref().unwrap_or("all");
                    match &absence {
                        Some(Absence { reason, lasts }) => {
                            let reason = reason.as_deref().unwrap_or("none given");
                            let lasts = humantime::format_duration(*lasts);
                            tracing::warn!(%pool, address = on, reason, "reported away for {lasts}");
                        }
                        None => tracing::info!(%pool, address = on, "reported back"),
                    }
                    let (kind, data) = happenings::reported(&pool, address.as_deref(), absence.as_ref());
                    let event = Event::Reported { pool, address, absence };
                    let notices = self.controller.handle(event, now());
                    self.feed.send(kind, data);
                    self.tell(notices);
                });
                let _ = reply.send(known);
            }
            Request::Release(pool, reply) => {
                let released = self.controller.can_release(&pool).map(|()| {
                    tracing::info!(%pool, "released by the operator");
                    let notices = self.controller.handle(Event::Released { pool }, now());
                    self.tell(notices);
                });
                let _ = reply.send(released);
            }
        }
    }

    /// Puts edits into force that are kept.
    fn edited(&mut self, made: Made, world: Option<Box<Prepared>>) {
        let Made { desired, orders, added, gone, ended, kept, replies, .. } = made;
        let swap = now();
        match world {
            Some(world) => {
                // What was ordered of a pool that is back stands again.
                let orders = orders.into_iter().chain(edits::orders(&desired)).collect();
                let notices = self.controller.handle(Event::Replaced { world, orders }, now());
                self.tell(notices);
            }
            None => {
                for (pool, address, order) in orders {
                    let notices = self.controller.handle(Event::Ordered { pool, address, order }, now());
                    self.tell(notices);
                }
            }
        }
        let objects: Vec<String> = added.iter().chain(&gone).map(|edit| edit.object.to_string()).collect();
        traced::edited(&self.telling.traces, self.changes.took(), &kept, swap, &objects);
        said::edited(&added, &gone);
        Metrics::edited(added.len(), gone.len());
        match &mut self.tenure {
            Tenure::Own => self.note_expired(ended),
            // If another process takes over, it notes that.
            Tenure::Suspended(_, _) => self.unnoted.extend(ended),
            Tenure::Over => {}
        }
        for (kind, data) in happenings::edited(&added, &gone, edits::now()) {
            self.feed.send(kind, data);
        }
        let not_in_force = edits::not_in_force(&desired);
        self.notifier.tell(incidents::orphaned(&not_in_force, edits::now()));
        for (reply, result) in replies {
            if let Err(reason) = &result {
                Metrics::edit_refused(reason.label());
            }
            match &result {
                Err(NotEdited::NotKept(reason)) => tracing::error!("an edit was refused: {reason}"),
                Err(reason) => tracing::debug!("an edit was refused: {reason}"),
                Ok(_) => {}
            }
            // Whoever asked may have gone away.
            let _ = reply.send(result);
        }
    }

    fn note_expired(&self, ended: Vec<Told>) {
        for Told { object, before, after, is_order: _ } in ended {
            self.audit.note_cause("expiry", "expire", object, before, after);
        }
    }

    /// Puts what came of a change into effect.
    fn go_over(&mut self, changed: Changed) {
        match changed {
            Changed::Reload(result, (trigger, reply)) => {
                let swap = now();
                let (is_nobodys, trigger) = (trigger != ReloadTrigger::Api, trigger.name());
                let outcome =
                    result.map(|reloaded| self.reloaded(*reloaded, trigger)).inspect_err(|mistakes| {
                        tracing::error!("configuration refused, nothing has changed\n{mistakes}");
                    });
                // Who asked for it by API notes it there.
                if let (Ok(report), true) = (&outcome, is_nobodys) {
                    self.audit.note_cause(trigger, "reload", "configuration", Value::Null, json!(report));
                }
                let (kind, data) = happenings::reloaded(&outcome, trigger);
                self.feed.send(kind, data);
                for incident in incidents::reloaded(&outcome, edits::now()) {
                    self.notifier.tell(incident);
                }
                Metrics::reloaded(trigger, outcome.is_ok(), edits::now());
                let refusal = outcome.as_ref().err();
                traced::reloaded(&self.telling.traces, self.changes.took(), swap, trigger, refusal);
                self.refusal = outcome.as_ref().err().cloned();
                let (began, _) = self.changes.took();
                self.reloaded = Some(began);
                // A signal's reload waits for the answer, an API client may have gone away.
                let _ = reply.send(outcome);
            }
            Changed::Edited(made, world) => self.edited(*made, world),
            Changed::Measured(result, reply) => {
                let outcome = result.map(|(world, measurements)| {
                    let notices =
                        self.controller.handle(Event::Replaced { world, orders: Vec::new() }, now());
                    self.tell(notices);
                    tracing::info!(measurements, "latencies replaced by API");
                    measurements
                });
                match &outcome {
                    Ok(_) => {}
                    Err(NotMeasured::Lost) => {
                        tracing::info!("latencies given by API refused: others were given meanwhile");
                    }
                    // Whoever sent them is told which.
                    Err(NotMeasured::Mistaken(diagnostics)) => {
                        let mistakes = diagnostics.iter().count();
                        tracing::warn!(mistakes, "latencies given by API refused, nothing has changed");
                    }
                    Err(reason @ NotMeasured::NotKept(..)) => {
                        tracing::error!("latencies given by API refused, nothing has changed: {reason}");
                    }
                }
                // Likewise.
                let _ = reply.send(outcome);
            }
        }
    }

    fn reloaded(&mut self, reloaded: Reloaded, trigger: &'static str) -> ReloadReport {
        let Reloaded { settings, world, mut report, cookies, tokens, destinations, retired } = reloaded;
        report.after_restart = self.settings.changed_keys(&settings);
        report.logs = self.telling.configure(&settings);
        if !report.after_restart.is_empty() {
            let keys = report.after_restart.join(", ");
            tracing::warn!("changes to {keys} take effect at the next restart");
        }
        // What was ordered of a pool that is back stands again.
        let orders = edits::orders(self.changes.desired());
        let notices = self.controller.handle(Event::Replaced { world, orders }, now());
        self.tell(notices);
        // Without a file the one of our own stays.
        if cookies.is_some() {
            self.exchange(cookies);
        }
        if let Some(tokens) = tokens {
            self.changes.put_tokens(tokens);
        }
        report.notifications = self.notifier.replace(destinations.to_vec());
        // Nobody looks at domains for nobody, and there may be somebody now.
        self.news.notify_one();
        for edit in retired {
            tracing::info!(edit = edit.id, object = %edit.object, "the file says it by now: the edit is over");
        }
        for standing in self.changes.desired().edits() {
            if let Some(reason) = &standing.orphaned {
                tracing::warn!(edit = standing.edit.id, object = %standing.edit.object, "not in force: {reason}");
            }
        }
        said::reloaded(&report, trigger);
        report
    }

    /// Counts of what is gone would pile up while nobody scrapes them.
    fn forget_gone(&mut self) {
        self.gone = 0;
        let watched: Vec<_> = self.controller.watches().map(|(_, watch, _)| watch).collect();
        self.ledger.forget(&watched, self.controller.names());
    }

    /// Tells whoever has to know.
    pub(super) fn tell(&mut self, notices: Vec<Notice>) {
        self.remembering.note(!notices.is_empty());
        for notice in notices {
            if let Some((kind, data)) = happenings::noticed(&notice) {
                self.feed.send(kind, data);
            }
            for incident in incidents::noticed(&notice, edits::now()) {
                self.notifier.tell(incident);
            }
            said::noticed(&notice);
            if let Notice::Rewatch { started, .. } | Notice::Rewatched { started, .. } = &notice
                && self.notifier.has_troubles()
            {
                let (troubles, is_held_down) =
                    (self.notifier.troubles(), |target| self.controller.is_held_down(target));
                for incident in incidents::rewatched(started, is_held_down, &troubles, edits::now()) {
                    self.notifier.tell(incident);
                }
            }
            match notice {
                Notice::Turned { watch, transition } => self.ledger.turned(&watch, &transition),
                Notice::Settled => {
                    self.settled.send_replace(true);
                }
                Notice::Rewatch { started, stopped } => {
                    self.prober.rewatch(started, &stopped);
                    descriptors::check(&self.prober, &self.settings);
                    self.resolver.resolve(self.controller.names());
                    self.forget_gone();
                }
                Notice::Rewatched { started, stopped } => {
                    self.prober.rewatch(started, &stopped);
                    self.gone += stopped.len();
                    if self.gone >= MANY_GONE {
                        self.forget_gone();
                    }
                }
                Notice::Published { generation } => {
                    Metrics::published(edits::now());
                    self.feed.published(generation);
                    self.news.notify_one();
                }
                _ => {}
            }
        }
        if let Some(remains) = self.controller.take_remains() {
            tokio::task::spawn_blocking(move || drop(remains));
        }
    }
}

/// Waits for as long as `left`; for ever if that is never.
async fn over(left: Option<Duration>) {
    match left {
        Some(left) => tokio::time::sleep(left).await,
        None => std::future::pending().await,
    }
}

/// Waits until `due`; for ever if that is never.
pub(super) async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

#[allow(clippy::disallowed_methods, reason = "the daemon is where time enters")]
pub(super) fn now() -> Instant {
    Instant::now()
}
