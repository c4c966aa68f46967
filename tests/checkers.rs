//! What tools of others find of a zone that two servers serve.

mod support;

use support::need_root;
use support::others::program;

/// Seconds of dns-fuzz, fewer than the script's own 60: every run of the tests waits for them.
const FUZZ: &str = "10";

#[test]
fn zonemaster_and_dns_fuzz_find_nothing() {
    need_root();
    // Or else the script would install them.
    for tool in ["dig", "ip", "nmap", "zonemaster-cli"] {
        program(tool);
    }
    let mut command = program("timeout");
    command.args(["--kill-after=10s", "3m", "tests/checkers/run", FUZZ]);
    let output = command.env("RHUMB", env!("CARGO_BIN_EXE_rhumb")).output().expect("it runs");
    let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    assert!(output.status.success(), "{out}{err}");
}
