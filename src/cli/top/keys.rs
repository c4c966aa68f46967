//! What keys do.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::model::{Effect, Mode, Model, Order};
use crate::plan::AddressState;

/// As long as a reason may be, of which the API takes 200 characters.
const LONGEST_REASON: usize = 200;

/// Takes in that a key was pressed.
pub(super) fn press(model: &mut Model, key: KeyEvent) -> Effect {
    if key.kind == KeyEventKind::Release {
        return Effect::None;
    }
    if key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL) {
        return Effect::Quit;
    }
    match std::mem::take(&mut model.mode) {
        Mode::Look => look(model, key.code),
        Mode::Help => Effect::None,
        Mode::Filter => {
            filter(model, key.code);
            Effect::None
        }
        Mode::Confirm(order) => confirm(model, order, key.code),
    }
}

fn look(model: &mut Model, key: KeyCode) -> Effect {
    model.note = None;
    let last = model.choices().len().saturating_sub(1);
    let page = model.place.max(1);
    match key {
        KeyCode::Char('q') | KeyCode::Esc if key == KeyCode::Char('q') || model.filter.is_empty() => {
            return Effect::Quit;
        }
        KeyCode::Esc => model.filter.clear(),
        KeyCode::Down | KeyCode::Char('j') => model.chosen = (model.chosen + 1).min(last),
        KeyCode::Up | KeyCode::Char('k') => model.chosen = model.chosen.saturating_sub(1),
        KeyCode::PageDown => model.chosen = (model.chosen + page).min(last),
        KeyCode::PageUp => model.chosen = model.chosen.saturating_sub(page),
        KeyCode::Home | KeyCode::Char('g') => model.chosen = 0,
        KeyCode::End | KeyCode::Char('G') => model.chosen = last,
        KeyCode::Char('/') => model.mode = Mode::Filter,
        KeyCode::Char('?') => model.mode = Mode::Help,
        KeyCode::Char('d') => ask(model, |_| AddressState::Drain),
        KeyCode::Char('x') => ask(model, |_| AddressState::Down),
        KeyCode::Char('u') => ask(model, |_| AddressState::Up),
        KeyCode::Char('a') => ask(model, |_| AddressState::Auto),
        KeyCode::Enter => ask(model, |now| match now {
            "auto" => AddressState::Drain,
            _ => AddressState::Auto,
        }),
        _ => {}
    }
    Effect::None
}

/// Asks whether what is chosen is to be ordered so; `state`: what to order, by what is ordered now.
fn ask(model: &mut Model, state: impl FnOnce(&str) -> AddressState) {
    if let Some((pool, address)) = model.choice() {
        let state = state(&model.state_of(&pool, address.as_deref()));
        model.mode = Mode::Confirm(Order { pool, address, state, reason: String::new() });
    }
}

fn filter(model: &mut Model, key: KeyCode) {
    match key {
        KeyCode::Enter => return,
        KeyCode::Esc => {
            model.filter.clear();
            return;
        }
        KeyCode::Backspace => drop(model.filter.pop()),
        KeyCode::Char(c) => model.filter.push(c),
        _ => {}
    }
    model.chosen = 0;
    model.mode = Mode::Filter;
}

fn confirm(model: &mut Model, mut order: Order, key: KeyCode) -> Effect {
    match key {
        KeyCode::Enter => return Effect::Order(order),
        KeyCode::Esc => return Effect::None,
        KeyCode::Backspace => drop(order.reason.pop()),
        KeyCode::Char(c) if order.reason.chars().count() < LONGEST_REASON => order.reason.push(c),
        _ => {}
    }
    model.mode = Mode::Confirm(order);
    Effect::None
}
