//! The fuzz targets on their seeds: what was found once is found no more.

use std::path::Path;

// The targets' own sources, compiled here as they are: the package that cargo-fuzz builds is part of
// no other build. This crate stands in for the fuzzer's, with the one macro that they use of it.
extern crate self as libfuzzer_sys;

/// Of the fuzzer's macro the form that the targets use.
#[macro_export]
macro_rules! fuzz_target {
    (|$octets:ident: &[u8]| $check:expr) => {
        pub(crate) fn run($octets: &[u8]) {
            $check
        }
    };
}

/// Makes a module and a test of each target.
macro_rules! targets {
    ($($target:ident $source:literal)*) => {
        #[path = "fuzz"]
        mod targets {
            $(
                #[allow(clippy::duplicate_mod, unused_attributes, reason = "each is the root of a program of its own")]
                #[path = $source]
                pub(super) mod $target;
            )*
        }

        $(#[test] fn $target() { replay(stringify!($target), targets::$target::run); })*

        #[test]
        fn every_target_is_compiled_and_replayed() {
            let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz");
            let targets = [$(stringify!($target)),*];
            let sources = [$($source),*];
            assert_eq!(targets.map(|target| format!("targets/{target}.rs")), sources);
            assert_eq!(names(&fuzz.join("targets")), targets.map(|target| format!("{target}.rs")));
            assert_eq!(names(&fuzz.join("seeds")), targets);
            assert_eq!(programs(&fuzz.join("Cargo.toml")), sources);
        }
    };
}

// In alphabetical order.
targets! {
    answer "targets/answer.rs"
    configuration "targets/configuration.rs"
    database "targets/database.rs"
    decode "targets/decode.rs"
    zone_file "targets/zone_file.rs"
}

/// The sources of the programs that a manifest names, in order.
fn programs(manifest: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(manifest).expect("the manifest is in the repository");
    let manifest: toml::Table = toml::from_str(&text).expect("it is TOML");
    let programs = manifest["bin"].as_array().expect("a list of programs");
    let mut paths: Vec<String> =
        programs.iter().map(|program| program["path"].as_str().expect("a path").to_owned()).collect();
    paths.sort();
    paths
}

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
