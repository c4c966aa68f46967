//! A frame.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph};

use super::model::{Mode, Model};
use super::rows::Row;
use crate::cli::client::Event;
use crate::cli::events::{self, told};
use crate::cli::paint::{Tone, tone_of};
use crate::control::{AddressStatus, DomainStatus, HistoryStatus, IsolatedStatus, PoolStatus, Status};

/// As many of the events are in sight.
const EVENTS: u16 = 5;

/// As many of the last probes are drawn.
const PROBES: usize = 16;

/// From the shortest probe in sight to the longest.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

const KEYS: &str = "q quit  ↑↓ move  enter drain or enable  d u x a order  / filter  ? help";

const HELP: [&str; 13] = [
    "↑ ↓ j k       move among pools and addresses",
    "PgUp PgDn     by pages; g G to the first and the last",
    "enter         drain what is chosen, or take its order back",
    "d             drain: no more clients, those that have it go on",
    "x             count it as down",
    "u             count it as up",
    "a             auto: take the order back, its health decides",
    "/             show only what has a text in its name; esc: all",
    "q, ctrl-c     quit",
    "",
    "Bars are the last probes, the latest on the right, by how",
    "long they took; × is a failure.",
    "Before an order is given you are asked, and may say why.",
];

/// How high a frame has to be to show everything.
pub(super) fn height(model: &Model) -> u16 {
    let events = model.events.len().min(usize::from(EVENTS));
    // With a heading of their own, and a blank above that.
    let events = if events > 0 { events + 2 } else { 0 };
    let rows = 1 + model.rows().len() + events + usize::from(model.is_live);
    u16::try_from(rows).unwrap_or(u16::MAX)
}

/// Draws it all.
pub(super) fn draw(frame: &mut Frame<'_>, model: &mut Model) {
    let events = EVENTS.min(u16::try_from(model.events.len()).unwrap_or(EVENTS));
    // In a low window what is happens to matter more than what has happened.
    let events = if frame.area().height < 12 { 0 } else { events };
    let [head, body, line, tail, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(1),
        Constraint::Length(u16::from(events > 0)),
        Constraint::Length(events),
        Constraint::Length(u16::from(model.is_live)),
    ])
    .areas(frame.area());
    frame.render_widget(headline(model), head);
    model.show_choice(usize::from(body.height));
    draw_rows(frame, model, body);
    if events > 0 {
        frame.render_widget(Line::styled("EVENTS", faint()), line);
        let latest = model.events.iter().skip(model.events.len() - usize::from(events));
        frame.render_widget(Paragraph::new(latest.map(event_line).collect::<Vec<_>>()), tail);
    }
    frame.render_widget(footer(model), foot);
    if model.mode == Mode::Help {
        draw_help(frame);
    }
}

fn faint() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

fn style_of(tone: Option<Tone>) -> Style {
    match tone {
        Some(Tone::Good) => Style::new().fg(Color::Green),
        Some(Tone::Bad) => Style::new().fg(Color::Red),
        Some(Tone::Warning) => Style::new().fg(Color::Yellow),
        Some(Tone::Faint) => faint(),
        None => Style::new(),
    }
}

/// A word of the API's in its colour, in so many columns.
fn word(word: &str, width: usize) -> Span<'static> {
    Span::styled(fitted(word, width), style_of(tone_of(word)))
}

/// `text` in exactly `width` columns.
fn fitted(text: &str, width: usize) -> String {
    let text = crate::cli::table::cut(text, width);
    let missing = width.saturating_sub(text.chars().count());
    text + &" ".repeat(missing)
}

fn headline(model: &Model) -> Line<'static> {
    let mut spans = vec![Span::styled("rhumb top", Style::new().add_modifier(Modifier::BOLD))];
    spans.push(Span::raw(format!("  {}", model.admin)));
    if let Some(Status { generation, isolated, .. }) = &model.status {
        spans.push(Span::raw(format!("  generation {generation}")));
        if let Some(rate) = model.rate {
            spans.push(Span::raw(format!("  {rate:.0} queries/s")));
        }
        if let Some(IsolatedStatus { silent, of, .. }) = isolated {
            let words = format!("  isolated: {silent} of {of} sites are silent");
            spans.push(Span::styled(words, style_of(Some(Tone::Bad))));
        }
    }
    if !model.filter.is_empty() && model.mode != Mode::Filter {
        spans.push(Span::styled(format!("  filter {}", model.filter), style_of(Some(Tone::Warning))));
    }
    if let Some(reason) = &model.stale {
        spans.insert(1, Span::styled(format!("  STALE {reason}"), style_of(Some(Tone::Bad))));
    }
    Line::from(spans)
}

fn footer(model: &Model) -> Line<'static> {
    match &model.mode {
        Mode::Filter => Line::raw(format!("/{}▏ enter: keep, esc: all", model.filter)),
        Mode::Confirm(order) => {
            let subject = match &order.address {
                Some(address) => format!("{}/{address}", order.pool),
                None => format!("pool {}", order.pool),
            };
            let question = format!("{subject}: {}?", order.state);
            let question = Span::styled(question, Style::new().add_modifier(Modifier::REVERSED));
            Line::from(vec![question, Span::raw(format!(" enter: yes, esc: no, reason: {}▏", order.reason))])
        }
        Mode::Look | Mode::Help => match &model.note {
            Some(Ok(note)) => Line::styled(note.clone(), style_of(Some(Tone::Good))),
            Some(Err(note)) => Line::styled(note.clone(), style_of(Some(Tone::Bad))),
            None => Line::styled(KEYS, faint()),
        },
    }
}

fn draw_rows(frame: &mut Frame<'_>, model: &Model, area: Rect) {
    let width = usize::from(area.width);
    let rows = model.rows();
    let longest = |lengths: &mut dyn Iterator<Item = usize>| lengths.max().unwrap_or(0).max(8);
    let domain = longest(&mut rows.iter().filter_map(|row| match row {
        Row::Domain(domain) => Some(domain.name.chars().count()),
        _ => None,
    }));
    let name = longest(&mut rows.iter().filter_map(|row| match row {
        Row::Pool(pool) => Some(pool.name.chars().count()),
        Row::Address(_, address) => Some(address.name.chars().count() + 2),
        _ => None,
    }));
    // What is beside a name is worth more than the end of a long one.
    let (domain, name) = (domain.min(width / 2), name.min(width * 3 / 10));
    let choice = model.choice();
    let lines: Vec<Line<'_>> = rows
        .iter()
        .skip(model.top)
        .take(usize::from(area.height))
        .map(|row| {
            let is_chosen = choice.is_some() && row.subject() == choice;
            let line = match row {
                Row::Heading("DOMAIN") => heading("DOMAIN", "POLICY          TTL  ANSWERS FROM", domain),
                Row::Heading(first) => {
                    heading(first, "HEALTH  STATE  WEIGHT  LAST PROBES         MS  TARGET", name)
                }
                Row::Domain(status) => domain_row(model, status, domain),
                Row::Pool(pool) => pool_row(pool, name),
                Row::Address(pool, address) => {
                    let history = model.histories.get(&(pool.name.clone(), address.name.clone()));
                    address_row(address, history, name)
                }
                Row::Blank => Line::default(),
            };
            if is_chosen { line.patch_style(Style::new().add_modifier(Modifier::REVERSED)) } else { line }
        })
        .collect();
    let is_empty = lines.is_empty();
    frame.render_widget(Paragraph::new(lines), area);
    if is_empty {
        let words = match &model.status {
            None => "waiting for the daemon ...",
            Some(_) if model.filter.is_empty() => "there are no domains and no pools",
            Some(_) => "nothing has this in its name",
        };
        frame.render_widget(Line::styled(words, faint()), area);
    }
}

fn heading(first: &str, rest: &'static str, name: usize) -> Line<'static> {
    Line::styled(format!("{}  {rest}", fitted(first, name)), faint())
}

fn domain_row(model: &Model, domain: &DomainStatus, name: usize) -> Line<'static> {
    let DomainStatus { name: called, policy, ttl, pools } = domain;
    let mut words = format!("{}  {}{ttl:>5} s  ", fitted(called, name), fitted(policy, 12));
    words += &match model.shares(called, pools) {
        Some(shares) => {
            let told = pools.iter().zip(&shares).filter(|(_, share)| **share > 0.0);
            let told = told.map(|(pool, share)| format!("{pool} {:.0} %", 100.0 * share));
            told.collect::<Vec<_>>().join("  ")
        }
        None => pools.join("  "),
    };
    Line::raw(words)
}

fn pool_row(pool: &PoolStatus, name: usize) -> Line<'static> {
    let PoolStatus { name: called, policy, standing, reason, share, available, addresses, .. } = pool;
    let mut spans = vec![
        Span::styled(fitted(called, name), Style::new().add_modifier(Modifier::BOLD)),
        Span::raw("  "),
        Span::styled(standing.replace('-', " "), style_of(tone_of(standing))),
        Span::raw(format!("  {available} of {} available  {policy}", addresses.len())),
    ];
    if let Some(order) = &pool.order {
        let words = format!("  {} by order{}", order.state, because(order.reason.as_deref()));
        spans.push(Span::styled(words, style_of(Some(Tone::Warning))));
    }
    match &standing[..] {
        "in-service" => {}
        "returning" => spans.push(Span::raw(format!("  {:.0} % of the clients", 100.0 * share))),
        _ => spans.push(Span::raw(format!("  {reason}"))),
    }
    if pool.suspicion.is_some() {
        spans.push(Span::styled("  is its check right?", style_of(Some(Tone::Warning))));
    }
    Line::from(spans)
}

fn address_row(address: &AddressStatus, history: Option<&HistoryStatus>, name: usize) -> Line<'static> {
    let AddressStatus { name: called, target, weight, health, state, share, .. } = address;
    let mut spans = vec![Span::raw(format!("{}  ", fitted(&format!("  {called}"), name)))];
    // That nothing watches it is no news of a health.
    spans.push(word(if health == "unchecked" { "-" } else { health }, 8));
    spans.push(word(state, 7));
    let weight = if *share < 1.0 && address.available {
        format!("{:.0} %", 100.0 * share)
    } else {
        weight.to_string()
    };
    spans.push(Span::raw(format!("{weight:>6}  ")));
    spans.extend(probes(history));
    let took = address.last_probe.as_ref().map(|probe| format!("{:.1}", probe.took_ms));
    spans.push(Span::raw(format!("{:>6}  {target}", took.unwrap_or_default())));
    if let Some(since) = address.since_seconds {
        let since = humantime::format_duration(Duration::from_secs(since as u64)).to_string();
        // Its two largest parts.
        let since = since.split(' ').take(2).collect::<Vec<_>>().join(" ");
        spans.push(Span::styled(format!("  for {since}"), faint()));
    }
    if let Some(order) = &address.order {
        spans.push(Span::styled(because(order.reason.as_deref()), style_of(Some(Tone::Warning))));
    }
    if address.away.is_some() {
        spans.push(Span::styled("  reported away", style_of(Some(Tone::Warning))));
    }
    if address.damped.is_some() {
        spans.push(Span::styled("  damped", style_of(Some(Tone::Warning))));
    }
    if let (Some(failure), "down") = (&address.last_failure, &health[..]) {
        spans.push(Span::styled(format!("  {failure}"), style_of(Some(Tone::Bad))));
    }
    Line::from(spans)
}

fn because(reason: Option<&str>) -> String {
    reason.map(|reason| format!(" ({reason})")).unwrap_or_default()
}

/// The last probes, the latest on the right.
fn probes(history: Option<&HistoryStatus>) -> Vec<Span<'static>> {
    let outcomes: Vec<_> = history.iter().flat_map(|of| of.outcomes.iter().take(PROBES)).collect();
    let took = |passed: &&&crate::control::ProbeStatus| (passed.reason.is_none()).then_some(passed.took_ms);
    let longest = outcomes.iter().filter_map(|outcome| took(&outcome)).fold(0.0, f64::max);
    let mut spans = vec![Span::raw(" ".repeat(PROBES - outcomes.len()))];
    for outcome in outcomes.iter().rev() {
        spans.push(match outcome.reason {
            Some(_) => Span::styled("×", style_of(Some(Tone::Bad))),
            None => {
                let part = if longest > 0.0 { outcome.took_ms / longest } else { 0.0 };
                // Of the longest the last one.
                let at = (part * BARS.len() as f64) as usize;
                Span::styled(BARS[at.min(BARS.len() - 1)].to_string(), style_of(Some(Tone::Good)))
            }
        });
    }
    spans
}

fn event_line(event: &Event) -> Line<'static> {
    let data: serde_json::Value = serde_json::from_str(&event.data).unwrap_or_default();
    let at = data["at"].as_str().and_then(|at| at.get(11..19)).unwrap_or_default().to_owned();
    let style = style_of(events::tone(&event.kind, &data));
    Line::from(vec![
        Span::styled(format!("{at:<8}  "), faint()),
        Span::styled(format!("{:<11}  ", event.kind), style),
        Span::raw(told(&event.kind, &data)),
    ])
}

fn draw_help(frame: &mut Frame<'_>) {
    let area = frame.area();
    let width = 66.min(area.width);
    let height = (HELP.len() as u16 + 2).min(area.height);
    let place = Rect { x: (area.width - width) / 2, y: (area.height - height) / 2, width, height };
    frame.render_widget(Clear, place);
    let lines: Vec<Line<'_>> = HELP.into_iter().map(Line::raw).collect();
    frame.render_widget(
        Paragraph::new(lines).block(Block::bordered().title(" Keys; any of them ends this ")),
        place,
    );
}
