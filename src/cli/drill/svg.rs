//! As much of SVG as a diagram of boxes, lines and words needs (SVG 1.1, chapters 9 and 10).

use std::fmt::{Display, Write};

/// Where a text is in relation to its x.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A drawing as it is made. Lengths are in pixels; `class` names rules of the style.
#[derive(Default)]
pub(super) struct Svg {
    body: String,
}

impl Svg {
    /// A box with its upper left corner at `x` and `y`.
    pub(super) fn rect(&mut self, class: &str, [x, y]: [f64; 2], [width, height]: [f64; 2]) {
        self.element(format_args!(
            r#"<rect class="{class}" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}"/>"#
        ));
    }

    /// A straight line.
    pub(super) fn line(&mut self, class: &str, [x1, y1]: [f64; 2], [x2, y2]: [f64; 2]) {
        self.element(format_args!(
            r#"<line class="{class}" x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}"/>"#
        ));
    }

    /// Words on a line whose base is at `y`.
    pub(super) fn text(&mut self, class: &str, anchor: Anchor, [x, y]: [f64; 2], words: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        self.element(format_args!(
            r#"<text class="{class}" x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{}</text>"#,
            escaped(words)
        ));
    }

    /// The file. `label` is for those who do not see it.
    pub(super) fn finish(self, [width, height]: [f64; 2], label: &str, style: &str) -> String {
        let label = escaped(label);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
             width=\"{width:.0}\" height=\"{height:.0}\" \
             font-family=\"ui-sans-serif, system-ui, sans-serif\" font-size=\"12\" role=\"img\" \
             aria-label=\"{label}\">\n<title>{label}</title>\n<style>\n{style}</style>\n\
             <rect class=\"ground\" width=\"100%\" height=\"100%\"/>\n{}</svg>\n",
            self.body
        )
    }

    fn element(&mut self, element: impl Display) {
        writeln!(self.body, "{element}").expect("a string takes everything");
    }
}

/// Text as XML has it (XML 1.0 section 2.4); what no XML may hold (section 2.2) becomes a space.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\u{fffe}' | '\u{ffff}' => escaped.push(' '),
            character if character.is_control() => escaped.push(' '),
            character => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_words() {
        assert_eq!(escaped("<a b=\"c\"> & \u{1b}[0m Hà Nội"), "&lt;a b=&quot;c&quot;&gt; &amp;  [0m Hà Nội");
    }
}
