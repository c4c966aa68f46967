//! A drill as a picture of its timeline: success, and which address was answered and used when.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use super::log::{AnswerEntry, LogEntry};
use super::seconds::Seconds;
use super::svg::{Anchor, Svg};

/// One drill.
pub(super) struct Picture<'r> {
    pub(super) title: String,
    /// What stands below the title.
    pub(super) lines: Vec<String>,
    /// The length of the timeline.
    pub(super) ended: Seconds,
    /// The states, by when they began.
    pub(super) states: Vec<Mark>,
    /// What else happened.
    pub(super) marks: Vec<Mark>,
    pub(super) log: &'r [LogEntry],
    pub(super) answers: &'r [AnswerEntry],
    /// What is behind each IP.
    pub(super) places: BTreeMap<IpAddr, String>,
}

/// A moment and what it is.
pub(super) struct Mark {
    pub(super) at: Seconds,
    pub(super) label: String,
}

/// A stretch of time.
type Stretch = (Duration, Duration);

const WIDTH: f64 = 960.0;
/// Of what stands to the left of the timeline: an IPv6 address in small letters.
const LEFT: f64 = 190.0;
const RIGHT: f64 = 24.0;
const PLOT: f64 = WIDTH - LEFT - RIGHT;
/// Of a line of words.
const LINE: f64 = 18.0;
/// Of the bars of success.
const BARS: f64 = 80.0;
/// Of what one address has: two bands of [`BAND`].
const LANE: f64 = 32.0;
const BAND: f64 = 11.0;
/// More addresses than this are not told apart by anybody.
const MAX_LANES: usize = 12;
/// As many as have colours of their own.
const COLOURS: usize = 6;
/// An average letter of a label, for whether two labels collide.
const LETTER: f64 = 6.6;

/// For light and for dark surroundings. No colour alone tells anything: failures stand on top of
/// the bars, and what is answered is above what is used.
const STYLE: &str = "\
.ground { fill: #ffffff } .shade { fill: #eef2f7 } text { fill: #1a202c }
.title { font-size: 16px; font-weight: 600 } .small { font-size: 11px; fill: #4a5568 }
.grid { stroke: #cbd5e0; stroke-width: 1 } .edge { stroke: #4a5568; stroke-width: 1; stroke-dasharray: 4 3 }
.stop { stroke: #c53030; stroke-width: 2 } .alarm { fill: #c53030; font-weight: 600 }
.good { fill: #2f855a } .bad { fill: #c53030 } .none { fill: #718096 } .answered { opacity: 0.45 }
.c0 { fill: #2b6cb0 } .c1 { fill: #b7791f } .c2 { fill: #6b46c1 }
.c3 { fill: #2c7a7b } .c4 { fill: #97266d } .c5 { fill: #5f4b32 }
@media (prefers-color-scheme: dark) {
  .ground { fill: #0f172a } .shade { fill: #1b2740 } text { fill: #e2e8f0 } .small { fill: #a0aec0 }
  .grid { stroke: #334155 } .edge { stroke: #94a3b8 } .stop { stroke: #fc8181 } .alarm { fill: #fc8181 }
  .good { fill: #48bb78 } .bad { fill: #fc8181 } .none { fill: #a0aec0 }
  .c0 { fill: #63b3ed } .c1 { fill: #f6ad55 } .c2 { fill: #b794f4 }
  .c3 { fill: #4fd1c5 } .c4 { fill: #f687b3 } .c5 { fill: #d6bc8a }
}
";

/// The verdict, a line each.
pub(super) fn missed_or_passed(missed: &[String], passed: bool) -> impl Iterator<Item = String> {
    let missed = missed.iter().map(|bar| format!("missed: {bar}"));
    missed.chain(passed.then(|| "passed".to_owned()))
}

/// Draws `pictures`, one below the other.
pub(super) fn draw(pictures: &[Picture<'_>]) -> String {
    let mut svg = Svg::default();
    let mut y = 0.0;
    for picture in pictures {
        y = picture.draw(&mut svg, y);
    }
    let label = pictures.iter().map(|picture| &picture.title[..]).collect::<Vec<_>>().join("; ");
    svg.finish([WIDTH, y], &label, STYLE)
}

impl Picture<'_> {
    /// Draws from `y` downwards, and returns where it ends.
    fn draw(&self, svg: &mut Svg, mut y: f64) -> f64 {
        y += 30.0;
        svg.text("title", Anchor::Start, [20.0, y], &self.title);
        for line in &self.lines {
            y += LINE;
            svg.text("small", Anchor::Start, [20.0, y], line);
        }
        y += 14.0;
        let placed = self.placed_labels();
        let rows = placed.iter().map(|(row, ..)| row + 1).max().unwrap_or_default();
        let lanes = self.lanes();
        let labels = y;
        let bars = labels + rows as f64 * LINE + 8.0;
        let first_lane = bars + BARS + 16.0;
        let bottom = first_lane + lanes.len() as f64 * LANE;

        self.draw_ground(svg, labels, bottom);
        self.draw_bars(svg, bars);
        for (number, lane) in lanes.iter().enumerate() {
            self.draw_lane(svg, first_lane + number as f64 * LANE, number, *lane);
        }
        for (row, x, mark, is_state) in placed {
            let at = self.x(mark.at.0);
            svg.line(if is_state { "edge" } else { "stop" }, [at, labels], [at, bottom]);
            let base = labels + row as f64 * LINE + 13.0;
            svg.text(if is_state { "" } else { "alarm" }, Anchor::Start, [x, base], &mark.label);
        }
        self.draw_axis(svg, bottom);
        draw_legend(svg, bottom + 40.0);
        bottom + 60.0
    }

    fn x(&self, at: Duration) -> f64 {
        let ended = self.ended.0.as_secs_f64().max(1e-3);
        LEFT + PLOT * (at.as_secs_f64() / ended).min(1.0)
    }

    /// Labels with their row and x, such that none covers another; whether it is a state's.
    fn placed_labels(&self) -> Vec<(usize, f64, &Mark, bool)> {
        let states = self.states.iter().map(|mark| (mark, true));
        let mut marks: Vec<_> = states.chain(self.marks.iter().map(|mark| (mark, false))).collect();
        marks.sort_by_key(|(mark, _)| mark.at);
        let mut ends = Vec::<f64>::new();
        let mut placed = Vec::new();
        for (mark, is_state) in marks {
            let width = mark.label.chars().count() as f64 * LETTER;
            let x = (self.x(mark.at.0) + 4.0).min(LEFT + PLOT - width);
            let row = ends.iter().position(|end| *end <= x).unwrap_or(ends.len());
            match ends.get_mut(row) {
                Some(end) => *end = x + width,
                None => ends.push(x + width),
            }
            placed.push((row, x, mark, is_state));
        }
        placed
    }

    /// The addresses that were answered or used; `None`: there was none to use.
    fn lanes(&self) -> Vec<Option<IpAddr>> {
        let answered = self.answers.iter().flat_map(|entry| entry.addresses.iter().copied());
        let used = self.log.iter().filter_map(|entry| entry.address);
        let addresses: BTreeSet<IpAddr> = answered.chain(used).collect();
        let is_without = self.log.iter().any(|entry| entry.address.is_none())
            || self.answers.iter().any(|entry| entry.addresses.is_empty());
        let lanes = addresses.into_iter().map(Some).take(MAX_LANES);
        lanes.chain(is_without.then_some(None)).collect()
    }

    /// Every other state is shaded.
    fn draw_ground(&self, svg: &mut Svg, top: f64, bottom: f64) {
        for pair in self.states.chunks(2) {
            let [_, shaded] = pair else { continue };
            let next = self.states.iter().find(|state| state.at > shaded.at);
            let (from, to) = (self.x(shaded.at.0), self.x(next.map_or(self.ended, |next| next.at).0));
            svg.rect("shade", [from, top], [to - from, bottom - top]);
        }
    }

    /// The share of the requests that succeeded, by when they started.
    fn draw_bars(&self, svg: &mut Svg, top: f64) {
        svg.text("", Anchor::Start, [20.0, top + 12.0], "succeeded");
        for (share, label) in [(0.0, "0 %"), (0.5, "50 %"), (1.0, "100 %")] {
            let y = top + BARS * (1.0 - share);
            svg.line("grid", [LEFT, y], [LEFT + PLOT, y]);
            svg.text("small", Anchor::End, [LEFT - 6.0, y + 4.0], label);
        }
        let bucket = self.bucket();
        let mut buckets = BTreeMap::<u32, (usize, usize)>::new();
        for entry in self.log {
            let number = (entry.started.0.as_secs_f64() / bucket.as_secs_f64()) as u32;
            let (succeeded, all) = buckets.entry(number).or_default();
            *succeeded += usize::from(entry.failure.is_none());
            *all += 1;
        }
        for (number, (succeeded, all)) in buckets {
            let (from, to) = (self.x(bucket * number), self.x(bucket * (number + 1)));
            let width = (to - from - 0.6).max(0.6);
            let good = BARS * succeeded as f64 / all as f64;
            if good < BARS {
                svg.rect("bad", [from, top], [width, BARS - good]);
            }
            if good > 0.0 {
                svg.rect("good", [from, top + BARS - good], [width, good]);
            }
        }
    }

    /// At most 150 bars, each with a request at the least.
    fn bucket(&self) -> Duration {
        let starts = self.log.iter().map(|entry| entry.started.0);
        let gaps = starts.clone().zip(starts.skip(1)).map(|(one, next)| next.saturating_sub(one));
        let widest = gaps.max().unwrap_or_default();
        step(self.ended.0, 150).max(widest)
    }

    fn draw_lane(&self, svg: &mut Svg, y: f64, number: usize, address: Option<IpAddr>) {
        let colour = match address {
            Some(_) => format!("c{}", number % COLOURS),
            None => "none".to_owned(),
        };
        match address {
            Some(ip) => {
                let place = self.places.get(&ip).map_or("", |place| place);
                svg.text("", Anchor::Start, [20.0, y + 10.0], place);
                svg.text("small", Anchor::Start, [20.0, y + 23.0], &ip.to_string());
            }
            None => svg.text("", Anchor::Start, [20.0, y + 16.0], "no address"),
        }
        let mut band = |class: &str, y: f64, stretches: Vec<Stretch>| {
            for (from, to) in self.merged(stretches) {
                let (from, to) = (self.x(from), self.x(to));
                svg.rect(class, [from, y], [(to - from).max(1.0), BAND]);
            }
        };
        band(&format!("{colour} answered"), y, self.answered(address));
        band(&colour, y + BAND + 1.0, self.used(address, false));
        band("bad", y + BAND + 1.0, self.used(address, true));
        svg.line("grid", [LEFT, y + LANE - 5.0], [LEFT + PLOT, y + LANE - 5.0]);
    }

    /// When it was in the answers; `None`: when no address was.
    fn answered(&self, address: Option<IpAddr>) -> Vec<Stretch> {
        let ends = self.answers.iter().skip(1).map(|entry| entry.at.0).chain([self.ended.0]);
        let stretches = self.answers.iter().zip(ends);
        let matches = |entry: &AnswerEntry| match address {
            Some(address) => entry.addresses.contains(&address),
            None => entry.addresses.is_empty(),
        };
        stretches.filter(|(entry, _)| matches(entry)).map(|(entry, end)| (entry.at.0, end)).collect()
    }

    /// When requests went there that failed, or did not: each counts until the next.
    fn used(&self, address: Option<IpAddr>, failed: bool) -> Vec<Stretch> {
        let ends = self.log.iter().skip(1).map(|entry| entry.started.0).chain([self.ended.0]);
        let stretches = self.log.iter().zip(ends);
        stretches
            .filter(|(entry, _)| entry.address == address && entry.failure.is_some() == failed)
            .map(|(entry, end)| (entry.started.0, end))
            .collect()
    }

    /// What is less than a pixel apart becomes one.
    fn merged(&self, stretches: Vec<Stretch>) -> Vec<Stretch> {
        let pixel = self.ended.0.div_f64(PLOT);
        let mut merged = Vec::<Stretch>::new();
        for (from, to) in stretches {
            match merged.last_mut() {
                Some((_, end)) if from <= *end + pixel => *end = to.max(*end),
                _ => merged.push((from, to)),
            }
        }
        merged
    }

    fn draw_axis(&self, svg: &mut Svg, y: f64) {
        svg.line("grid", [LEFT, y], [LEFT + PLOT, y]);
        let step = step(self.ended.0, 10);
        for number in 0..=10 {
            let at = step * number;
            if at > self.ended.0 {
                break;
            }
            let x = self.x(at);
            svg.line("grid", [x, y], [x, y + 5.0]);
            svg.text("small", Anchor::Middle, [x, y + 18.0], &format!("{} s", at.as_secs_f64()));
        }
    }
}

fn draw_legend(svg: &mut Svg, y: f64) {
    let mut x = LEFT;
    for (class, words) in [
        ("good", "requests that succeeded"),
        ("bad", "that failed"),
        ("c0 answered", "upper band: the address was answered"),
        ("c0", "lower band: it was requested from"),
    ] {
        svg.rect(class, [x, y - 9.0], [10.0, 10.0]);
        svg.text("small", Anchor::Start, [x + 15.0, y], words);
        x += 15.0 + words.len() as f64 * LETTER;
    }
}

/// The least round step of which at most `most` make up `whole`.
fn step(whole: Duration, most: u32) -> Duration {
    let least = whole / most;
    let mut unit = Duration::from_millis(1);
    loop {
        for factor in [1, 2, 5] {
            if unit * factor >= least {
                return unit * factor;
            }
        }
        unit *= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Seconds {
        Seconds(Duration::from_millis(ms))
    }

    #[test]
    fn steps_are_round() {
        for (whole, most, expected) in
            [(9_000, 10, 1_000), (9_000, 100, 100), (61_000, 10, 10_000), (1, 10, 1), (151_000, 100, 2_000)]
        {
            assert_eq!(Seconds(step(ms(whole).0, most)), ms(expected), "{most} of {whole}");
        }
    }

    #[test]
    fn what_was_answered_and_used_is_in_its_lane() {
        let (a, b) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let entry = |started, address, failure: Option<&str>| LogEntry {
            started: ms(started),
            latency: ms(1),
            address,
            failure: failure.map(str::to_owned),
        };
        let log = [
            entry(500, Some(a), None),
            entry(1_500, Some(a), Some("timed out")),
            entry(2_500, Some(b), None),
            entry(3_500, None, Some("no answer")),
        ];
        let answers = [(0, vec![a]), (1_000, vec![a, b]), (2_000, vec![b])]
            .map(|(at, addresses)| AnswerEntry { at: ms(at), addresses: addresses.into_iter().collect() });
        let mark = |at, label: &str| Mark { at: ms(at), label: label.to_owned() };
        let picture = Picture {
            title: "a <drill>".to_owned(),
            lines: vec!["passed".to_owned()],
            ended: ms(4_000),
            states: vec![mark(0, "steady"), mark(1_000, "out"), mark(1_010, "restored")],
            marks: vec![mark(1_005, "aborted")],
            log: &log,
            answers: &answers,
            places: BTreeMap::from([(a, "first a".to_owned())]),
        };
        assert_eq!(picture.lanes(), [Some(a), Some(b), None]);
        let seconds = |from, to| (ms(from).0, ms(to).0);
        assert_eq!(picture.merged(picture.answered(Some(a))), [seconds(0, 2_000)]);
        assert_eq!(picture.merged(picture.answered(Some(b))), [seconds(1_000, 4_000)]);
        assert_eq!(picture.answered(None), []);
        assert_eq!(picture.used(Some(a), false), [seconds(500, 1_500)]);
        assert_eq!(picture.used(Some(a), true), [seconds(1_500, 2_500)]);
        assert_eq!(picture.used(None, true), [seconds(3_500, 4_000)]);
        let rows: Vec<usize> = picture.placed_labels().iter().map(|(row, ..)| *row).collect();
        assert_eq!(rows, [0, 0, 1, 2], "labels that collide stand below each other");
        let text = draw(&[picture]);
        for expected in
            ["<title>a &lt;drill&gt;</title>", ">first a</text>", ">aborted</text>", ">4 s</text>"]
        {
            assert!(text.contains(expected), "{expected} in {text}");
        }
    }

    #[test]
    fn nothing_at_all_can_be_drawn() {
        let picture = Picture {
            title: String::new(),
            lines: Vec::new(),
            ended: ms(0),
            states: Vec::new(),
            marks: Vec::new(),
            log: &[],
            answers: &[],
            places: BTreeMap::new(),
        };
        assert!(!draw(&[picture]).contains("NaN"));
    }
}
