//! What is drawn, and what keys do, without a terminal.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde_json::{Value, json};

use super::model::{Mode, Order, Update};
use super::*;
use crate::plan::AddressState;

fn address(name: &str, health: &str, order: Option<&str>) -> Value {
    let is_up = health == "up";
    json!({
        "name": name, "target": "198.51.100.10", "weight": 3, "health": health, "available": is_up, "share": 1.0,
        "state": order.unwrap_or("auto"),
        "order": order.map(|state| json!({ "state": state, "reason": "new kernel", "seconds": null, "empty_seconds": 0.0 })),
        "away": null, "damped": null, "since_seconds": 3725.0, "streak": 9,
        "last_failure": if is_up { Value::Null } else { "connection refused".into() },
        "last_probe": { "seconds_ago": 0.1, "outcome": "pass", "reason": null, "took_ms": 1.52, "resolve_ms": null,
            "connect_ms": 0.2, "tls_ms": null, "first_byte_ms": null },
    })
}

fn pool(name: &str, standing: &str, addresses: &[Value]) -> Value {
    json!({
        "name": name, "policy": "round-robin", "standing": standing, "reason": "its address is down", "share": 1.0,
        "held_seconds": null, "available": 1, "suspicion": null, "order": null, "addresses": addresses, "names": [],
    })
}

fn status() -> Update {
    let status = json!({
        "generation": 12, "isolated": null,
        "domains": [{ "name": "www.ai.example.com", "policy": "nearest", "ttl": 5, "pools": ["vietnam", "hongkong"] }],
        "pools": [
            pool("vietnam", "in-service", &[address("alb-1", "up", None), address("alb-2", "up", Some("drain"))]),
            pool("hongkong", "down", &[address("alb", "down", None)]),
        ],
    });
    Update::Status(serde_json::from_value(status).expect("it is one"))
}

fn flow(vietnam: u64, hongkong: u64) -> Update {
    let flow = json!({ "domains": [{ "name": "www.ai.example.com", "answers": vietnam + hongkong, "pools": [
        { "pool": "vietnam", "answers": vietnam }, { "pool": "hongkong", "answers": hongkong } ] }] });
    Update::Flow(Some(serde_json::from_value(flow).expect("it is one")))
}

fn history() -> Update {
    let probe = |took: f64, reason: Option<&str>| {
        json!({ "seconds_ago": 1.0, "outcome": "pass", "reason": reason, "took_ms": took, "resolve_ms": null,
            "connect_ms": null, "tls_ms": null, "first_byte_ms": null })
    };
    let outcomes = [probe(8.0, None), probe(4.0, None), probe(300.0, Some("timed out")), probe(1.0, None)];
    let history = json!({ "pool": "vietnam", "address": "alb-1", "outcomes": outcomes, "transitions": [] });
    Update::History(serde_json::from_value(history).expect("it is one"))
}

fn event() -> Update {
    Update::Event(crate::cli::client::Event {
        id: Some("7".to_owned()),
        kind: "turned".to_owned(),
        data: r#"{"at":"2026-11-21T10:00:00.123Z","pool":"hongkong","address":"alb","target":"198.51.100.10",
            "to":"down","reason":"connection refused, 2 of 2"}"#
            .to_owned(),
    })
}

fn model() -> Model {
    let mut model = Model::new("http://127.0.0.1:8053".to_owned(), String::new());
    let counts = [(100.0, 1), (350.0, 3)].map(|(count, at)| Update::Replies(count, Duration::from_secs(at)));
    let updates = [status(), flow(1000, 0), flow(1030, 10), history(), event()];
    for update in updates.into_iter().chain(counts) {
        model.take(update);
    }
    model
}

fn press(model: &mut Model, keys: &str) -> Effect {
    let mut effect = Effect::None;
    for key in keys.chars() {
        let code = match key {
            '\n' => KeyCode::Enter,
            '\u{1b}' => KeyCode::Esc,
            '\u{8}' => KeyCode::Backspace,
            other => KeyCode::Char(other),
        };
        effect = keys::press(model, KeyEvent::new(code, KeyModifiers::NONE));
    }
    effect
}

fn shown(model: &mut Model, columns: u16, height: u16) -> String {
    frame(model, columns, Some(height)).ok().expect("it can be drawn")
}

#[test]
fn a_frame_of_the_usual_size() {
    let expected = "\
rhumb top  http://127.0.0.1:8053  generation 12  125 queries/s
DOMAIN              POLICY          TTL  ANSWERS FROM
www.ai.example.com  nearest         5 s  vietnam 75 %  hongkong 25 %

POOL      HEALTH  STATE  WEIGHT  LAST PROBES         MS  TARGET
vietnam   in service  1 of 2 available  round-robin
  alb-1   up      auto        3              ▂×▅█   1.5  198.51.100.10  for 1h 2
  alb-2   up      drain       3                     1.5  198.51.100.10  for 1h 2
hongkong  down  1 of 1 available  round-robin  its address is down
  alb     down    auto        3                     1.5  198.51.100.10  for 1h 2











EVENTS
10:00:00  turned       hongkong/alb (198.51.100.10) down: connection refused, 2
q quit  ↑↓ move  enter drain or enable  d u x a order  / filter  ? help
";
    let shown = shown(&mut model(), 80, 24);
    assert_eq!(shown.lines().count(), 24);
    assert_eq!(shown, expected, "\n{shown}");
}

#[test]
fn once_is_as_high_as_it_has_to_be() {
    let mut model = model();
    model.is_live = false;
    let shown = frame(&mut model, 120, None).ok().expect("it can be drawn");
    assert!(shown.contains("198.51.100.10  for 1h 2m\n"), "{shown}");
    assert!(shown.contains("198.51.100.10  for 1h 2m (new kernel)"), "{shown}");
    assert!(shown.contains("198.51.100.10  for 1h 2m  connection refused"), "{shown}");
    assert!(!shown.contains("\n\n\n") && shown.contains("\n\nEVENTS\n"), "{shown}");
    assert!(shown.ends_with(" 2 of 2\n"), "nobody can press keys: {shown}");
}

#[test]
fn any_size_can_be_drawn() {
    for mode in [Mode::Look, Mode::Help, Mode::Filter] {
        for (columns, height) in [(1, 1), (3, 2), (10, 5), (20, 11), (300, 100)] {
            let mut model = model();
            model.mode = mode.clone();
            shown(&mut model, columns, height);
            shown(&mut Model::new(String::new(), String::new()), columns, height);
        }
    }
}

#[test]
fn what_is_chosen_stays_in_sight() {
    let mut model = model();
    shown(&mut model, 80, 5);
    assert_eq!(model.choice(), Some(("vietnam".to_owned(), None)));
    press(&mut model, "jjj");
    shown(&mut model, 80, 5);
    assert_eq!(model.choice(), Some(("hongkong".to_owned(), None)));
    let rows = model.rows();
    assert!(rows[model.top..model.top + model.place].iter().any(|row| row.subject() == model.choice()));
    drop(rows);
    press(&mut model, "jjjjjj");
    assert_eq!(model.choice(), Some(("hongkong".to_owned(), Some("alb".to_owned()))));
    press(&mut model, "g");
    shown(&mut model, 80, 24);
    assert_eq!(model.top, 0);
}

#[test]
fn an_order_is_confirmed_with_its_reason() {
    let mut model = model();
    assert_eq!(press(&mut model, "jd"), Effect::None);
    assert!(shown(&mut model, 80, 24).contains("vietnam/alb-1: drain? enter: yes, esc: no, reason: ▏"));
    let order = |state, reason: &str, address: &str| {
        Effect::Order(Order {
            pool: "vietnam".to_owned(),
            address: Some(address.to_owned()),
            state,
            reason: reason.to_owned(),
        })
    };
    assert_eq!(press(&mut model, "quitx\u{8}\n"), order(AddressState::Drain, "quit", "alb-1"));
    assert_eq!(model.mode, Mode::Look);
    assert_eq!(press(&mut model, "d\u{1b}"), Effect::None, "it was not meant");
    assert_eq!(model.mode, Mode::Look);
    // Enter turns it round.
    assert_eq!(press(&mut model, "\n\n"), order(AddressState::Drain, "", "alb-1"));
    assert_eq!(press(&mut model, "j\n\n"), order(AddressState::Auto, "", "alb-2"));
    model.take(Update::Ordered(Err("http://127.0.0.1:8053 answered 403 Forbidden: no".to_owned())));
    assert!(shown(&mut model, 80, 24).ends_with("answered 403 Forbidden: no\n"));
    assert_eq!(press(&mut model, "q"), Effect::Quit);
}

#[test]
fn a_filter_leaves_what_has_it_in_its_name() {
    let mut model = model();
    press(&mut model, "/HONG");
    let text = shown(&mut model, 80, 24);
    assert!(text.contains("hongkong") && !text.contains("vietnam  "), "{text}");
    assert!(text.contains("/HONG▏"), "{text}");
    assert_eq!(press(&mut model, "\n"), Effect::None);
    assert!(shown(&mut model, 80, 24).contains("filter HONG"));
    press(&mut model, "/nothing");
    assert!(shown(&mut model, 80, 24).contains("nothing has this in its name"));
    press(&mut model, "\u{1b}");
    assert_eq!(model.choices().len(), 5);
    // Of a domain its pools are in sight.
    press(&mut model, "/www.ai\n");
    assert_eq!(model.choices().len(), 5);
}

#[test]
fn what_is_not_of_now_says_so() {
    let mut model = model();
    model.take(Update::Failed("no answer from there".to_owned()));
    assert!(shown(&mut model, 80, 24).starts_with("rhumb top  STALE no answer from there"));
    model.take(status());
    assert!(!shown(&mut model, 80, 24).contains("STALE"));
    // A daemon that was started anew has counted less than before.
    model.take(Update::Replies(10.0, Duration::from_secs(9)));
    model.take(Update::Replies(5.0, Duration::from_secs(10)));
    assert_eq!(model.rate, None);
    model.take(Update::Flow(None));
    assert!(shown(&mut model, 80, 24).contains("5 s  vietnam  hongkong\n"));
}
