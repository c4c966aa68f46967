//! Scripts that end in every way there is.

use std::sync::Arc;

use tokio::io::AsyncBufReadExt;

use super::*;
use crate::plan::{CheckKind, Endpoint, HealthCheck};

/// Longer than anything here takes on the slowest machine.
const AMPLE: Duration = Duration::from_secs(60);

fn shell(text: &str) -> ScriptCheck {
    ScriptCheck { program: "/bin/sh".into(), arguments: vec!["-c".into(), text.into(), "sh".into()] }
}

fn watch(script: &ScriptCheck, port: Option<u16>) -> Watch {
    Watch {
        pool: Some("vietnam".into()),
        address: "alb-1".into(),
        endpoint: Endpoint::Ip([192, 0, 2, 1].into()),
        resolved_from: None,
        port,
        check: HealthCheck {
            name: "app".into(),
            kind: CheckKind::Script(script.clone()),
            interval: AMPLE,
            timeout: AMPLE,
            fall: 2,
            rise: 2,
            fast_interval: Duration::from_millis(50),
            initial: crate::health::Verdict::Unknown,
            tripwire: false,
            damping: None,
        },
    }
}

async fn run_in(scripts: &Scripts, script: &ScriptCheck, timeout: Duration) -> Result<(), Failure> {
    let address = SocketAddr::from(([192, 0, 2, 1], 0));
    scripts.probe(&watch(script, None), script, address, &mut Budget::new(now(), timeout)).await
}

async fn run(text: &str, timeout: Duration) -> Result<(), Failure> {
    run_in(&Scripts::new(1), &shell(text), timeout).await
}

/// Waits until the process of that number has ended. Whoever adopts the children of a script may never
/// wait for them; the script itself is ours, and nothing may be left of it.
async fn until_gone(process: &str, is_script: bool) {
    let end = now() + AMPLE;
    while let Ok(state) = std::fs::read_to_string(format!("/proc/{process}/stat")) {
        if !is_script && state.contains(") Z ") {
            return;
        }
        assert!(now() < end, "{state}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn the_exit_code_decides() {
    let exit = |code, said: &str| Err(Failure::Exit { code, said: said.into() });
    for (text, expected) in [
        ("exit 0", Ok(())),
        ("echo all is well; exit 0", Ok(())),
        ("exit 1", exit(1, "")),
        ("echo no database; echo more; exit 2", exit(2, "no database")),
        ("echo no database >&2; exit 255", exit(255, "no database")),
        ("kill -TERM $$", Err(Failure::Killed { signal: 15, said: String::new() })),
        // Whoever holds the output open is not waited for.
        ("sleep 1000 & echo gone; exit 3", exit(3, "gone")),
    ] {
        assert_eq!(run(text, AMPLE).await, expected, "{text}");
    }
}

#[tokio::test]
async fn the_last_words_of_a_script_are_heard() {
    // Many times: what is printed right before the end must not be lost to it.
    for _ in 0..50 {
        let said = "no database".into();
        assert_eq!(run("echo no database; exit 1", AMPLE).await, Err(Failure::Exit { code: 1, said }));
    }
}

#[tokio::test]
async fn the_environment_is_what_it_is_told() {
    let script = ScriptCheck { program: "/usr/bin/env".into(), arguments: vec![] };
    let path = std::env::var("PATH").expect("tests have a path");
    for port in [Some(8080), None] {
        let address: SocketAddr = "[2001:db8::1]:8080".parse().expect("an address");
        let (mut group, output) = start(&watch(&script, port), &script, address, Duration::from_millis(1500))
            .expect("env is there");
        let mut lines = tokio::io::BufReader::new(output).lines();
        let mut seen = Vec::new();
        while let Some(line) = lines.next_line().await.expect("a pipe") {
            seen.push(line);
        }
        assert!(group.child.wait().await.expect("a child").success());
        seen.sort();
        let mut expected = vec![
            format!("PATH={path}"),
            "RHUMB_ADDRESS=2001:db8::1".into(),
            "RHUMB_ADDRESS_NAME=alb-1".into(),
            "RHUMB_CHECK=app".into(),
            "RHUMB_POOL=vietnam".into(),
            "RHUMB_PORT=8080".into(),
            "RHUMB_TIMEOUT_MS=1500".into(),
        ];
        expected.retain(|line| port.is_some() || !line.starts_with("RHUMB_PORT"));
        assert_eq!(seen, expected);
    }
}

#[tokio::test]
async fn there_is_no_shell_and_nothing_to_read() {
    let cat = ScriptCheck { program: "/bin/cat".into(), arguments: vec![] };
    assert_eq!(run_in(&Scripts::new(1), &cat, AMPLE).await, Ok(()));
    let test = |arguments: [&str; 3]| ScriptCheck {
        program: "/usr/bin/test".into(),
        arguments: arguments.map(str::to_owned).to_vec(),
    };
    assert_eq!(run_in(&Scripts::new(1), &test(["$HOME; exit 1", "=", "$HOME; exit 1"]), AMPLE).await, Ok(()));
}

#[tokio::test]
async fn who_takes_too_long_is_ended_with_its_children() {
    let directory = tempfile::tempdir().expect("a directory");
    let numbers = directory.path().join("numbers");
    // A child in the background with a child of its own; all of them ignore what can be ignored.
    let text = format!(
        "trap '' TERM INT HUP; sh -c 'sleep 1000 & echo $!; echo $$; wait' > {0}.part & \
         while [ \"$(wc -l < {0}.part)\" != 2 ]; do sleep 0.01; done; \
         echo $$ >> {0}.part; mv {0}.part {0}; sleep 1000",
        numbers.display()
    );
    let scripts = Arc::new(Scripts::new(1));
    for is_dropped in [false, true] {
        let after = Duration::from_secs(if is_dropped { 1000 } else { 2 });
        let running = tokio::spawn({
            let (scripts, script) = (Arc::clone(&scripts), shell(&text));
            async move { run_in(&scripts, &script, after).await }
        });
        let end = now() + AMPLE;
        while !numbers.exists() {
            assert!(now() < end, "the script does not start");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if is_dropped {
            running.abort();
            assert!(running.await.is_err());
        } else {
            let timed_out = Failure::TimedOut { phase: Phase::Script, after };
            assert_eq!(running.await.expect("it does not panic"), Err(timed_out));
        }
        let processes = std::fs::read_to_string(&numbers).expect("it was written");
        let [grandchild, child, script] = processes.lines().collect::<Vec<_>>()[..] else {
            panic!("{processes}")
        };
        for (process, is_script) in [(grandchild, false), (child, false), (script, true)] {
            until_gone(process, is_script).await;
        }
        std::fs::remove_file(&numbers).expect("it is there");
    }
}

#[tokio::test]
async fn what_is_left_behind_ends_with_the_script() {
    let result = run("sleep 1000 & echo $!; exit 1", AMPLE).await;
    let Err(Failure::Exit { code: 1, said }) = result else { panic!("{result:?}") };
    until_gone(&said, false).await;
}

#[tokio::test]
async fn endless_output_is_swallowed() {
    let after = Duration::from_millis(300);
    let timed_out = Failure::TimedOut { phase: Phase::Script, after };
    assert_eq!(run("yes", after).await, Err(timed_out.clone()));
    assert_eq!(run("cat /dev/zero", after).await, Err(timed_out));
    // More than a pipe takes, and then it passes.
    assert_eq!(run("head -c 10000000 /dev/zero", AMPLE).await, Ok(()));
    // By somebody who is left behind.
    assert_eq!(run("yes & sleep 0.1; exit 1", AMPLE).await, Err(Failure::Exit { code: 1, said: "y".into() }));
}

#[tokio::test]
async fn what_cannot_be_run_says_nothing_of_the_address() {
    let directory = tempfile::tempdir().expect("a directory");
    let plain = directory.path().join("plain");
    std::fs::write(&plain, "exit 0").expect("our own directory");
    for (program, words) in [
        ("/nowhere/check".to_owned(), "No such file or directory (os error 2)"),
        (plain.display().to_string(), "Permission denied (os error 13)"),
    ] {
        let script = ScriptCheck { program: program.clone(), arguments: vec![] };
        let words = format!("cannot run `{program}`: {words}");
        let expected = Err(Failure::Local(LocalFailure::System(words)));
        assert_eq!(run_in(&Scripts::new(1), &script, AMPLE).await, expected);
    }
}

#[tokio::test]
async fn no_more_run_at_once_than_may() {
    let directory = tempfile::tempdir().expect("a directory");
    let running = directory.path().join("running");
    std::fs::create_dir(&running).expect("our own directory");
    // Each says how many it sees, itself included.
    let text = format!(
        "cd {0} && touch $$ && ls | wc -l > {1}/$$ && sleep 0.05 && rm $$",
        running.display(),
        directory.path().display()
    );
    let scripts = Arc::new(Scripts::new(3));
    let mut probes = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let (scripts, script) = (Arc::clone(&scripts), shell(&text));
        probes.spawn(async move { run_in(&scripts, &script, AMPLE).await });
    }
    while let Some(result) = probes.join_next().await {
        assert_eq!(result.expect("no probe panics"), Ok(()));
    }
    let seen = std::fs::read_dir(directory.path()).expect("our own directory").flatten();
    let seen = seen.filter(|entry| entry.path().is_file());
    let seen: Vec<usize> = seen
        .map(|entry| std::fs::read_to_string(entry.path()).expect("a file").trim().parse().expect("a number"))
        .collect();
    assert_eq!((seen.len(), seen.iter().max()), (12, Some(&3)));
}

#[tokio::test]
async fn waiting_for_a_place_is_no_fault_of_the_address() {
    let scripts = Arc::new(Scripts::new(1));
    let first = tokio::spawn({
        let scripts = Arc::clone(&scripts);
        async move { run_in(&scripts, &shell("sleep 1000"), AMPLE).await }
    });
    while scripts.places.available_permits() > 0 {
        tokio::task::yield_now().await;
    }
    let after = Duration::from_millis(50);
    let expected = Err(Failure::Local(LocalFailure::NoScriptPlace { places: 1, after }));
    assert_eq!(run_in(&scripts, &shell("exit 0"), after).await, expected);

    // The time of a script that got its place late is whole.
    let timeout = Duration::from_secs(2);
    let late = shell("sleep 1.2");
    let second = run_in(&scripts, &late, timeout);
    let (second, ()) = tokio::join!(second, async {
        tokio::time::sleep(Duration::from_millis(1200)).await;
        first.abort();
    });
    assert_eq!(second, Ok(()));
}
