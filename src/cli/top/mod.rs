//! `rhumb top`

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{self, Event};
use tokio::sync::{mpsc, watch};

use self::model::{Effect, Model};
use self::poll::Poller;
use super::client::Endpoint;
use super::stop::Stop;
use super::{Failed, print, runtime};

mod keys;
mod model;
mod poll;
mod rows;
mod view;

/// How wide a frame is where there is no terminal: reasons are in it, and it can be mailed.
const USUAL_WIDTH: u16 = 120;

/// How long the thread that reads keys waits at a time until it looks whether it is to end.
const KEY_PATIENCE: Duration = Duration::from_millis(100);

/// Updates that may wait to be shown.
const UPDATES: usize = 256;

#[derive(Args)]
pub(super) struct Arguments {
    /// How often to ask
    #[arg(long, value_name = "SPAN", default_value = "1s", value_parser = interval)]
    interval: Duration,
    /// Show only what has this in its name
    #[arg(long, value_name = "TEXT", default_value = "")]
    filter: String,
    /// Print what there is to see now, all of it, and end
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    endpoint: Endpoint,
}

fn interval(text: &str) -> Result<Duration, String> {
    let span = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    // Nobody reads faster, and a daemon has better to do.
    if span < Duration::from_millis(100) { Err("it is at least 100ms".to_owned()) } else { Ok(span) }
}

pub(super) fn run(arguments: Arguments) -> Result<ExitCode, Failed> {
    let Arguments { interval, filter, once, endpoint } = arguments;
    let model = Model::new(endpoint.name()?, filter);
    let runtime = runtime()?;
    if once {
        runtime.block_on(print_once(model, Poller::new(endpoint), interval))?;
        return Ok(ExitCode::SUCCESS);
    }
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Err(Failed(
            "error: this needs a terminal\nhint: --once prints what there is to see now".to_owned(),
        ));
    }
    endpoint.be_silent();
    runtime.block_on(watch_live(model, Arc::new(Poller::new(endpoint)), interval))?;
    // What is still being asked is of no interest any more.
    runtime.shutdown_background();
    Ok(ExitCode::SUCCESS)
}

async fn print_once(mut model: Model, poller: Poller, interval: Duration) -> Result<(), Failed> {
    model.is_live = false;
    for update in poller.look().await? {
        model.take(update);
    }
    // Of what is counted, the difference tells how much there is of it.
    tokio::time::sleep(interval).await;
    for update in poller.look().await? {
        model.take(update);
    }
    for update in poller.kept_events().await? {
        model.take(update);
    }
    for (pool, address) in model.addresses() {
        model.take(poller.history(&pool, &address).await?);
    }
    let columns = super::paint::width().and_then(|columns| u16::try_from(columns).ok());
    let columns = columns.unwrap_or(USUAL_WIDTH);
    print(&frame(&mut model, columns, None)?)
}

/// A frame as text; without a height as high as it has to be.
fn frame(model: &mut Model, columns: u16, height: Option<u16>) -> Result<String, Failed> {
    let height = height.unwrap_or_else(|| view::height(model));
    let mut terminal = Terminal::new(TestBackend::new(columns, height)).map_err(Failed::new)?;
    terminal.draw(|frame| view::draw(frame, model)).map_err(Failed::new)?;
    let buffer = terminal.backend().buffer();
    let cells = buffer.content().chunks(usize::from(columns));
    let line = |cells: &[ratatui::buffer::Cell]| cells.iter().map(|cell| cell.symbol()).collect::<String>();
    Ok(cells.map(|cells| format!("{}\n", line(cells).trim_end())).collect())
}

/// Puts the terminal back as it was, however this ends. A panic has a hook of its own.
struct Restored;

impl Drop for Restored {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

async fn watch_live(mut model: Model, poller: Arc<Poller>, interval: Duration) -> Result<(), Failed> {
    // Before the terminal is anything but as it was, so that no signal leaves it so.
    let mut stop = Stop::listen()?;
    let mut terminal =
        ratatui::try_init().map_err(|error| Failed::new(format_args!("cannot use the terminal: {error}")))?;
    let _restored = Restored;
    let (visible, seen) = watch::channel(Vec::new());
    let (sender, mut updates) = mpsc::channel(UPDATES);
    tokio::spawn(poll::keep_looking(poller.clone(), interval, seen, sender.clone()));
    tokio::spawn(poll::keep_following(poller.clone(), sender.clone()));
    let mut keys = Keys::read();
    loop {
        let drawn = terminal.draw(|frame| view::draw(frame, &mut model));
        drawn.map_err(|error| Failed::new(format_args!("cannot draw: {error}")))?;
        visible.send_if_modified(|addresses| {
            let now = model.visible_addresses();
            let is_new = *addresses != now;
            *addresses = now;
            is_new
        });
        let effect = tokio::select! {
            () = stop.requested() => return Ok(()),
            Some(update) = updates.recv() => {
                model.take(update);
                // All that is there already is shown at once.
                while let Ok(update) = updates.try_recv() {
                    model.take(update);
                }
                Effect::None
            }
            event = keys.events.recv() => match event {
                Some(Event::Key(key)) => keys::press(&mut model, key),
                Some(_) => Effect::None,
                None => return Err(Failed::new("the keyboard is gone")),
            },
        };
        match effect {
            Effect::None => {}
            Effect::Quit => return Ok(()),
            Effect::Order(order) => {
                tokio::spawn(poll::order(poller.clone(), order, sender.clone()));
            }
        }
    }
}

/// What is typed, read by a thread, since there is no other way to wait for it.
struct Keys {
    events: mpsc::Receiver<Event>,
    ended: Arc<AtomicBool>,
}

impl Keys {
    fn read() -> Self {
        let (sender, events) = mpsc::channel(16);
        let ended = Arc::new(AtomicBool::new(false));
        let is_over = ended.clone();
        std::thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                let event = match event::poll(KEY_PATIENCE) {
                    Ok(false) => continue,
                    Ok(true) => event::read(),
                    Err(error) => Err(error),
                };
                let Ok(event) = event else { return };
                if sender.blocking_send(event).is_err() {
                    return;
                }
            }
        });
        Keys { events, ended }
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
