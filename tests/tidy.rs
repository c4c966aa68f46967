//! The house rules that no compiler knows: floors, file sizes, and what stands where.
//!
//! Every failure names the place and what to do about it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Over this a file holds two things (docs/architecture.md).
const MAX_LINES: usize = 600;
/// The one file with `unsafe`: the batched socket calls.
const UNSAFE_FILE: &str = "src/serve/mmsg.rs";
/// The lowest floor that may ask a clock.
const FIRST_FLOOR_WITH_CLOCK: u8 = 4;
/// What the top level holds besides files that start with a dot.
const TOP_LEVEL: [&str; 16] = [
    "Cargo.toml",
    "Cargo.lock",
    "src",
    "tests",
    "bench",
    "config",
    "geoip",
    "deploy",
    "docs",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "proptest-regressions",
    "LICENSE",
    "target",
];

/// A file of Rust, by its path from the top.
struct Source {
    path: String,
    text: String,
}

/// A line of code: no comment, not blank.
struct Line<'s> {
    place: String,
    code: &'s str,
    is_test: bool,
}

impl Source {
    /// The room of the house that the file belongs to: `dns` for `src/dns/name.rs`.
    fn room(&self) -> &str {
        let below = self.path.strip_prefix("src/").expect("a file of src");
        below.split('/').next().expect("a path has a part").trim_end_matches(".rs")
    }

    /// How many modules above the file's own there are: 1 for `src/dns/mod.rs`, 2 for `src/dns/name.rs`.
    fn depth(&self) -> usize {
        self.path.matches('/').count() - usize::from(self.path.ends_with("/mod.rs"))
    }

    fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        let mut is_test = self.path.contains("/tests/") || self.path.ends_with("/tests.rs");
        (1..).zip(self.text.lines()).filter_map(move |(number, line)| {
            // By custom the tests are the end of a file.
            is_test |= line.trim() == "#[cfg(test)]";
            let code = line.split("//").next().unwrap_or(line).trim();
            let place = format!("{}:{number}", self.path);
            (!code.is_empty()).then_some(Line { place, code, is_test })
        })
    }
}

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every file with this extension below `directory`.
fn files(directory: &str, extension: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let mut to_visit = vec![top().join(directory)];
    while let Some(directory) = to_visit.pop() {
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        for entry in entries {
            let path: PathBuf = entry.expect("an entry of a directory").path();
            if path.is_dir() {
                to_visit.push(path);
            } else if path.extension().is_some_and(|is| is == extension) {
                let text = read(&path);
                let path = path.strip_prefix(top()).expect("a path below the top").display().to_string();
                found.push(Source { path, text });
            }
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    assert!(!found.is_empty() || extension != "rs", "no files in {directory}");
    found
}

fn report(faults: impl IntoIterator<Item = String>) {
    let faults: Vec<String> = faults.into_iter().collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// The floor of every room, from the table in src/lib.rs.
fn floors() -> BTreeMap<String, u8> {
    let library = read(&top().join("src/lib.rs"));
    let mut floors = BTreeMap::new();
    for line in library.lines() {
        let Some((floor, rooms)) = line.strip_prefix("//! | ").and_then(|row| row.split_once(" | ")) else {
            continue;
        };
        let Ok(floor) = floor.parse() else { continue };
        for room in rooms.split("[`").skip(1) {
            let room = room.split('`').next().expect("a part").to_owned();
            assert_eq!(floors.insert(room.clone(), floor), None, "src/lib.rs: `{room}` stands on two floors");
        }
    }
    floors
}

#[test]
fn every_room_has_a_floor() {
    let floors = floors();
    let library = read(&top().join("src/lib.rs"));
    let declared: Vec<&str> =
        library.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    let mut listed: Vec<&str> = floors.keys().map(|room| &room[..]).collect();
    listed.sort();
    assert_eq!(listed, declared, "src/lib.rs: the table of floors must name every module, and no other");
}

/// The rooms that a line of code names, with the group form `crate::{a, b::c}` taken apart. Paths
/// that climb to the crate by `super` count as well.
fn rooms_named(code: &str, depth: usize) -> Vec<String> {
    let climb = "super::".repeat(depth);
    let mut named = Vec::new();
    for (at, prefix) in ["crate::", &climb[..]].iter().flat_map(|prefix| code.match_indices(*prefix)) {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':' || c == '$') {
            continue;
        }
        let path = &code[at + prefix.len()..];
        let Some(group) = path.strip_prefix('{') else {
            named.push(identifier(path));
            continue;
        };
        let mut nesting = 0;
        let mut starts = vec![0];
        for (at, c) in group.char_indices() {
            match c {
                '{' => nesting += 1,
                '}' if nesting == 0 => break,
                '}' => nesting -= 1,
                ',' if nesting == 0 => starts.push(at + 1),
                _ => {}
            }
        }
        named.extend(starts.into_iter().map(|start| identifier(group[start..].trim_start())));
    }
    named
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[test]
fn paths_are_read_in_every_form() {
    for (code, depth, rooms) in [
        ("use crate::dns::Name;", 1, &["dns"][..]),
        ("use crate::{dns::{Name, Rtype}, geo};", 1, &["dns", "geo"]),
        ("fn f(x: crate::plan::Plan, y: &crate::geo::Place)", 1, &["plan", "geo"]),
        ("use super::serve;", 1, &["serve"]),
        ("use super::serve;", 2, &[]),
        ("use super::super::serve;", 2, &["serve"]),
        ("use mycrate::dns;", 1, &[]),
    ] {
        assert_eq!(rooms_named(code, depth), rooms, "{code}");
    }
}

#[test]
fn a_room_uses_only_the_floors_below() {
    let floors = floors();
    let mut faults = Vec::new();
    for source in files("src", "rs") {
        let room = source.room();
        if room == "lib" || room == "main" {
            continue;
        }
        let Some(&floor) = floors.get(room) else {
            faults.push(format!("{}: give `{room}` a floor in the table of src/lib.rs", source.path));
            continue;
        };
        for line in source.lines() {
            for used in rooms_named(line.code, source.depth()) {
                let Some(&below) = floors.get(&used) else { continue };
                if used != room && below >= floor {
                    faults.push(format!(
                        "{}: `{room}` is on floor {floor} and must not use `{used}` on floor {below}; \
                         move what both need to a floor below, or pass it in from above",
                        line.place
                    ));
                }
            }
        }
    }
    report(faults);
}

#[test]
fn main_only_starts() {
    let main = Source { path: "src/main.rs".to_owned(), text: read(&top().join("src/main.rs")) };
    let mut faults = Vec::new();
    for line in main.lines() {
        for (at, path) in line.code.match_indices("rhumb::") {
            let used = identifier(&line.code[at + path.len()..]);
            if used != "cli" && used != "daemon" {
                faults.push(format!("{}: main.rs uses `cli` and `daemon` only, not `{used}`", line.place));
            }
        }
    }
    report(faults);
}

#[test]
fn files_are_short_and_say_what_they_are() {
    let mut faults = Vec::new();
    for source in ["src", "tests", "bench"].into_iter().flat_map(|directory| files(directory, "rs")) {
        let lines = source.text.lines().count();
        if lines > MAX_LINES {
            faults.push(format!("{}:{MAX_LINES}: {lines} lines; split the file in two", source.path));
        }
        if !source.text.starts_with("//! ") {
            faults.push(format!("{}:1: say in a `//!` comment what the file is", source.path));
        }
    }
    report(faults);
}

/// Whether `code` has `word`, and not as a part of a longer one.
fn has_word(code: &str, word: &str) -> bool {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    code.match_indices(word).any(|(at, _)| {
        !is_part(code[..at].chars().next_back()) && !is_part(code[at + word.len()..].chars().next())
    })
}

#[test]
fn unsafe_stands_in_one_file() {
    let faults =
        files("src", "rs").into_iter().filter(|source| source.path != UNSAFE_FILE).flat_map(|source| {
            let lines = source.lines().filter(|line| has_word(line.code, "unsafe"));
            let faults = lines.map(|line| format!("{}: `unsafe` belongs in {UNSAFE_FILE} alone", line.place));
            faults.collect::<Vec<_>>()
        });
    report(faults);
}

#[test]
fn clocks_are_asked_in_one_place_of_a_room() {
    let floors = floors();
    let mut faults = Vec::new();
    let mut places: BTreeMap<(String, &str), String> = BTreeMap::new();
    for source in files("src", "rs") {
        for line in source.lines().filter(|line| !line.is_test) {
            let asked =
                ["Instant::now", "SystemTime::now"].into_iter().find(|clock| line.code.contains(clock));
            let Some(clock) = asked else {
                continue;
            };
            let room = source.room();
            if floors.get(room).is_none_or(|floor| *floor < FIRST_FLOOR_WITH_CLOCK) {
                faults.push(format!("{}: take the time as an argument", line.place));
            } else if let Some(other) = places.insert((room.to_owned(), clock), line.place.clone()) {
                faults.push(format!("{}: `{room}` asks the clock in {other} already; call that", line.place));
            }
        }
    }
    report(faults);
}

#[test]
fn nothing_is_kept_until_somebody_scrapes() {
    let faults = files("src", "rs").into_iter().flat_map(|source| {
        let lines = source.lines().filter(|line| has_word(line.code, "histogram!"));
        let faults = lines.map(|line| {
            format!("{}: the recorder keeps each value until a scrape; count by fixed bounds", line.place)
        });
        faults.collect::<Vec<_>>()
    });
    report(faults);
}

#[test]
fn nothing_unfinished_or_unconsidered_is_left() {
    let mut faults = Vec::new();
    for source in files("src", "rs") {
        for line in source.lines() {
            for (found, instead) in [("todo!", "do it"), ("unimplemented!", "do it"), ("dbg!", "remove it")] {
                if line.code.contains(found) {
                    faults.push(format!("{}: `{found}`: {instead}", line.place));
                }
            }
            if line.code.contains(".unwrap()") && !line.is_test {
                faults.push(format!(
                    "{}: `unwrap`: handle it, or write `expect` with the reason why it holds",
                    line.place
                ));
            }
            let prints = ["print!", "println!", "eprint!", "eprintln!"];
            if prints.iter().any(|print| has_word(line.code, print)) && source.room() != "cli" {
                faults.push(format!("{}: only `cli` prints; log it, or return it", line.place));
            }
        }
        for (number, line) in (1..).zip(source.text.lines()) {
            let comment = line.split_once("//").map_or("", |(_, comment)| comment);
            if ["TODO", "FIXME", "XXX"].iter().any(|mark| has_word(comment, mark)) {
                faults.push(format!("{}:{number}: do it, or write an issue", source.path));
            }
            if ["----", "====", "****", "####"].iter().any(|rule| comment.trim_start().starts_with(rule)) {
                faults.push(format!("{}:{number}: no banners; split the file if it needs one", source.path));
            }
        }
    }
    report(faults);
}

#[test]
fn the_top_level_stays_clear() {
    let entries = fs::read_dir(top()).expect("the top of the project");
    let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    let strangers = names.filter(|name| !name.starts_with('.') && !TOP_LEVEL.contains(&&name[..]));
    report(strangers.map(|name| format!("{name}: move it below one of the directories of the top level")));
}

/// What links to the headings of a document are made of.
fn anchors(document: &str) -> BTreeSet<String> {
    let mut is_code = false;
    let headings = document.lines().filter(|line| {
        is_code ^= line.starts_with("```");
        line.starts_with('#') && !is_code
    });
    let headings = headings.map(|line| line.trim_start_matches('#').trim().to_lowercase());
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    headings.map(|heading| heading.chars().filter(kept).collect::<String>().replace(' ', "-")).collect()
}

#[test]
fn anchors_are_made_of_headings() {
    let document =
        "# One `[pool.NAME]`\n\n## A canary of 5 %\n```sh\n# none\n```\n    # none\n### query_log-2\n";
    assert_eq!(Vec::from_iter(anchors(document)), ["a-canary-of-5-", "one-poolname", "query_log-2"]);
}

#[test]
fn documents_refer_to_what_exists() {
    let mut documents = files("docs", "md");
    for name in ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"] {
        if let Ok(text) = fs::read_to_string(top().join(name)) {
            documents.push(Source { path: name.to_owned(), text });
        }
    }
    let mut faults = Vec::new();
    for document in documents {
        let directory = top().join(&document.path).parent().expect("a file has a directory").to_owned();
        for (number, line) in (1..).zip(document.text.lines()) {
            for link in line.split("](").skip(1).filter_map(|link| link.split(')').next()) {
                if link.contains("://") || link.starts_with("mailto:") {
                    continue;
                }
                let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
                let target = if path.is_empty() { top().join(&document.path) } else { directory.join(path) };
                if !target.exists() || !anchor.is_empty() && !anchors(&read(&target)).contains(anchor) {
                    faults.push(format!("{}:{number}: `{link}` does not exist", document.path));
                }
            }
        }
    }
    report(faults);
}
