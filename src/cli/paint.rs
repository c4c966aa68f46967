//! Colours, and how wide the terminal is.

use std::fmt::Display;
use std::io::{self, IsTerminal};
use std::sync::OnceLock;

use clap::ValueEnum;
use clap::builder::styling::{AnsiColor, Style};
use ratatui::crossterm::terminal;

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Colour {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Wherever the output goes
    Always,
    /// Nowhere
    Never,
}

static IS_COLOURED: OnceLock<bool> = OnceLock::new();

/// Decides for the rest of this process.
pub(super) fn decide(colour: Colour) {
    let is_coloured = match colour {
        Colour::Always => true,
        Colour::Never => false,
        // <https://no-color.org>: set to anything but nothing.
        Colour::Auto => {
            io::stdout().is_terminal()
                && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
                && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
        }
    };
    // Only the first decision counts, and there is one.
    let _ = IS_COLOURED.set(is_coloured);
}

/// What a word is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Bad,
    Warning,
    Faint,
}

/// `text` in the colour of its tone, if there are colours.
pub(super) fn paint(tone: Tone, text: impl Display) -> String {
    if !IS_COLOURED.get().copied().unwrap_or(false) {
        return text.to_string();
    }
    let style = match tone {
        Tone::Good => Style::new().fg_color(Some(AnsiColor::Green.into())),
        Tone::Bad => Style::new().fg_color(Some(AnsiColor::Red.into())),
        Tone::Warning => Style::new().fg_color(Some(AnsiColor::Yellow.into())),
        Tone::Faint => Style::new().dimmed(),
    };
    format!("{style}{text}{style:#}")
}

/// The tone of a word that the API has for a health, a state or a standing.
pub(super) fn tone_of(word: &str) -> Option<Tone> {
    match word {
        "up" | "in-service" => Some(Tone::Good),
        "down" | "unmet" | "below-minimum" => Some(Tone::Bad),
        "drain" | "returning" | "held" | "awaits-release" | "unknown" => Some(Tone::Warning),
        _ => None,
    }
}

/// A word that the API has for a health, a state or a standing, in its colour.
pub(super) fn painted(word: &str, text: impl Display) -> String {
    match tone_of(word) {
        Some(tone) => paint(tone, text),
        None => text.to_string(),
    }
}

/// How many columns the terminal has that is printed to; `None`: it is none, and lines may be of any
/// length.
pub(super) fn width() -> Option<usize> {
    if !io::stdout().is_terminal() {
        return None;
    }
    terminal::size().ok().map(|(columns, _)| usize::from(columns)).filter(|columns| *columns > 0)
}
