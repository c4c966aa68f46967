//! Every command that the documents print is one.

use std::fs;
use std::path::Path;

use clap::Parser;
use clap::error::ErrorKind;

use super::Arguments;

/// The commands of a document: lines of code that begin with the program's name.
fn commands(text: &str) -> Vec<String> {
    let whole = text.replace("\\\n", " ");
    let lines = whole.lines().filter_map(|line| line.strip_prefix("    "));
    let told = lines.map(|line| line.trim_start().trim_start_matches("$ "));
    // With a bar in between they are a list of verbs, and neither a command.
    let own = told.filter(|line| line.starts_with("rhumb ") && !line.contains(" | "));
    own.map(str::to_owned).collect()
}

/// The words that a shell makes of the first command of a line.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for letter in line.chars() {
        let is_between = words.last().is_some_and(String::is_empty);
        match (quote, letter) {
            (None, '#' | '>' | '&') if is_between => break,
            (None, ' ') if is_between => {}
            (None, ' ') => words.push(String::new()),
            (None, '\'' | '"') => quote = Some(letter),
            (Some(open), _) if open == letter => quote = None,
            _ => {
                if let Some(word) = words.last_mut() {
                    word.push(letter);
                }
            }
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn every_command_that_is_printed_is_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let documents = fs::read_dir(root.join("docs")).expect("they are there");
    let documents = documents.map(|entry| entry.expect("the directory can be listed").path());
    let documents = documents.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let mut count = 0;
    for path in documents.chain([root.join("README.md")]) {
        let text = fs::read_to_string(&path).expect("it can be read");
        for line in commands(&text) {
            // Where a document says that any address will do.
            let words =
                words(&line).into_iter().map(|word| if word == "IP" { "192.0.2.1".to_owned() } else { word });
            if let Err(error) = Arguments::try_parse_from(words)
                && error.kind() != ErrorKind::DisplayHelp
            {
                panic!("{}: `{line}`: {error}", path.display());
            }
            count += 1;
        }
    }
    assert!(count > 50, "only {count} commands were found");
}

#[test]
fn lines_are_taken_apart_as_a_shell_does() {
    for (line, expected) in [
        ("rhumb a --b 'c d' # e", &["rhumb", "a", "--b", "c d"][..]),
        ("rhumb a x='[\"y\", #z]' && b", &["rhumb", "a", "x=[\"y\", #z]"]),
        ("rhumb  a#b > c", &["rhumb", "a#b"]),
    ] {
        assert_eq!(words(line), expected);
    }
    let found =
        commands("rhumb a\n    rhumb b \\\n        --c\n    $ rhumb d\n    rhumb e | f\n    curl g\n");
    assert_eq!(
        found.iter().map(|line| words(line)).collect::<Vec<_>>(),
        [vec!["rhumb", "b", "--c"], vec!["rhumb", "d"]]
    );
    assert!(Arguments::try_parse_from(words("rhumb pool drain")).is_err());
}
