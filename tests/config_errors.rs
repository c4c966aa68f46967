//! What the configuration says of mistakes: each case in `tests/config_errors/` is a file with
//! mistakes and, behind a line of `----`, what is printed for it. Cases are separated by lines
//! that start with `====`, which name them.

use std::fs;
use std::path::{Path, PathBuf};

use rhumb::config;

/// Set to write what is printed into the cases, to be read over before it is committed.
const UPDATE: &str = "UPDATE_CASES";

#[test]
fn mistakes_are_told_as_expected() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config_errors");
    let mut count = 0;
    for entry in fs::read_dir(&directory).expect("the cases are there") {
        let path = entry.expect("the directory can be listed").path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            count += check(&path, &directory);
        }
    }
    assert!(count > 100, "only {count} cases were found");
}

/// Runs the cases of one file and returns how many there are.
fn check(path: &PathBuf, directory: &Path) -> usize {
    let written = fs::read_to_string(path).expect("a file of cases can be read");
    let mut produced = String::new();
    let mut count = 0;
    for case in written.split("==== ").skip(1) {
        let (title, rest) = case.split_once('\n').expect("a case has a title");
        let (input, _) = rest.split_once("----\n").expect("a case has an input and an output");
        let printed = match config::parse("rhumb.toml", input, directory) {
            Ok(_) => "nothing is wrong".to_owned(),
            Err(diagnostics) => diagnostics.to_string(),
        };
        let printed = printed.replace(&format!("{}/", directory.display()), "");
        produced += &format!("==== {title}\n{input}----\n{printed}\n\n");
        count += 1;
    }
    let produced = format!("{}\n", produced.trim_end());
    if std::env::var_os(UPDATE).is_some() {
        fs::write(path, produced).expect("a file of cases can be written");
    } else {
        assert!(produced == written, "{} prints something else now:\n{produced}", path.display());
    }
    count
}
