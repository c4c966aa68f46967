//! The fuzz targets' checks on their seeds: what was found once is found no more.

use std::path::Path;

#[path = "fuzz/checks.rs"]
mod checks;

/// Makes a test of each target.
macro_rules! targets {
    ($($target:ident)*) => {
        $(#[test] fn $target() { replay(stringify!($target), checks::$target); })*

        #[test]
        fn every_target_is_replayed() {
            let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz");
            let sources = [$(concat!(stringify!($target), ".rs")),*];
            assert_eq!(names(&fuzz.join("targets")), sources);
            assert_eq!(names(&fuzz.join("seeds")), [$(stringify!($target)),*]);
        }
    };
}

// In alphabetical order.
targets! { answer configuration database decode zone_file }

fn replay(target: &str, check: fn(&[u8])) {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/seeds").join(target);
    let names = names(&seeds);
    assert!(!names.is_empty(), "no seeds in {}", seeds.display());
    for name in names {
        // Shown if the check fails.
        println!("{target}/{name}");
        check(&std::fs::read(seeds.join(name)).expect("a seed"));
    }
}

/// What is in a directory, in order.
fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).expect("the directory is in the repository");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("it can be read").file_name().into_string().expect("names are plain"))
        .collect();
    names.sort();
    names
}
