//! Tables for people.

use super::paint::{Tone, paint, painted, width};

/// Between two columns.
const GAP: usize = 2;

/// Rows of cells under headings.
pub(super) struct Table {
    headings: &'static [&'static str],
    rows: Vec<Vec<String>>,
}

impl Table {
    /// One without rows.
    pub(super) fn new(headings: &'static [&'static str]) -> Self {
        Table { headings, rows: Vec::new() }
    }

    /// Appends a row, of as many cells as there are headings.
    pub(super) fn push<const N: usize>(&mut self, cells: [String; N]) {
        debug_assert_eq!(N, self.headings.len(), "a cell for each heading");
        self.rows.push(cells.into());
    }

    /// As it is to be printed: `empty` if there are no rows, else aligned, and cut where the terminal
    /// ends.
    pub(super) fn render(&self, empty: &str) -> String {
        if self.rows.is_empty() { format!("{empty}\n") } else { self.fitted(width()) }
    }

    fn fitted(&self, columns: Option<usize>) -> String {
        let count = self.headings.len();
        let mut widths: Vec<usize> = (0..count)
            .map(|at| {
                let cells = self.rows.iter().map(|row| length(&row[at]));
                cells.chain([length(self.headings[at])]).max().unwrap_or(0)
            })
            .collect();
        if let Some(columns) = columns {
            shrink(&mut widths, columns.saturating_sub(GAP * (count - 1)));
        }
        let headings: Vec<String> = self.headings.iter().map(|heading| (*heading).to_owned()).collect();
        let mut text = line(&headings, &widths, |heading| paint(Tone::Faint, heading));
        for row in &self.rows {
            text += &line(row, &widths, |cell| painted(cell, cell));
        }
        text
    }
}

fn length(text: &str) -> usize {
    text.chars().count()
}

/// Takes from the widest until all fit, or nothing can be read any more anyway.
fn shrink(widths: &mut [usize], room: usize) {
    const NARROWEST: usize = 4;
    while widths.iter().sum::<usize>() > room {
        let Some(widest) = widths.iter_mut().max() else { return };
        if *widest <= NARROWEST {
            return;
        }
        *widest -= 1;
    }
}

fn line(cells: &[String], widths: &[usize], painted: impl Fn(&str) -> String) -> String {
    let last = cells.len() - 1;
    let mut text = String::new();
    for (at, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let cell = cut(cell, *width);
        let padding = if at == last { 0 } else { width - length(&cell) + GAP };
        text += &painted(&cell);
        text.extend(std::iter::repeat_n(' ', padding));
    }
    // Of cells that are empty nothing is left.
    format!("{}\n", text.trim_end())
}

/// `text`, in at most `width` characters and one line.
pub(super) fn cut(text: &str, width: usize) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if length(&text) <= width {
        return text;
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_fit() {
        let mut table = Table::new(&["POOL", "HEALTH", "WHY"]);
        table.push(["vietnam".into(), "up".into(), String::new()]);
        table.push(["hk".into(), "down".into(), "connection refused\nthrice".into()]);
        let expected = "POOL     HEALTH  WHY\nvietnam  up\nhk       down    connection refused thrice\n";
        assert_eq!(table.fitted(None), expected);
        assert_eq!(table.fitted(Some(80)), expected);
        let narrow = table.fitted(Some(30));
        assert_eq!(narrow, "POOL     HEALTH  WHY\nvietnam  up\nhk       down    connection r…\n");
        assert!(
            table.fitted(Some(5)).lines().all(|line| length(line) <= 3 * 4 + 2 * GAP),
            "as narrow as can be"
        );
    }

    #[test]
    fn nothing_is_said_to_be_nothing() {
        assert_eq!(Table::new(&["A"]).render("there are no edits"), "there are no edits\n");
    }
}
