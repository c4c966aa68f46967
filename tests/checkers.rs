//! What tools of others find of a zone that two servers serve.

mod support;

use support::others::program;
use support::need_root;

/// Seconds of dns-fuzz: `tests/checkers/run` alone takes longer.
const FUZZ: &str = "10";

#[test]
fn zonemaster_and_dns_fuzz_find_nothing() {
    need_root();
    let mut command = program("timeout");
    command.args(["--kill-after=10s", "3m", "tests/checkers/run", FUZZ]);
    let output = command.env("RHUMB", env!("CARGO_BIN_EXE_rhumb")).output().expect("it runs");
    let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    assert!(output.status.success(), "{out}{err}");
}
