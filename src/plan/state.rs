//! What an operator orders of an address.

use std::fmt;
use std::str::FromStr;

/// What an operator orders of an address, apart from what is observed of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum AddressState {
    /// Its health decides.
    #[default]
    Auto,
    /// No client is given it any more; those that have it may go on.
    Drain,
    /// It counts as up, whatever its check says.
    Up,
    /// It counts as down, whatever its check says.
    Down,
}

impl AddressState {
    const ALL: [(AddressState, &str); 4] = [
        (AddressState::Auto, "auto"),
        (AddressState::Drain, "drain"),
        (AddressState::Up, "up"),
        (AddressState::Down, "down"),
    ];
}

impl fmt::Display for AddressState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = AddressState::ALL.iter().find(|(state, _)| state == self).map(|(_, word)| word);
        f.write_str(word.expect("every state has a word"))
    }
}

impl FromStr for AddressState {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, UnknownState> {
        let state = AddressState::ALL.iter().find(|(_, word)| *word == text).map(|(state, _)| *state);
        state.ok_or_else(|| UnknownState(text.to_owned()))
    }
}

/// A word that is no state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is none of auto, drain, up and down")]
pub struct UnknownState(String);
