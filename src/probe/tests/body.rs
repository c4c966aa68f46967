//! What checks of type `http` expect of a body.

use regex::bytes::Regex;

use super::*;
use crate::health::Phase;
use crate::plan::Pattern;

/// As documented.
const SEARCHED: usize = 64 * 1024;

fn expecting(text: Option<&str>, regex: Option<&str>) -> HttpCheck {
    HttpCheck {
        expect_body: text.map(str::to_owned),
        expect_body_regex: regex.map(|regex| Pattern(Regex::new(regex).expect("a regular expression"))),
        ..http_check()
    }
}

/// A whole response with `body`.
fn with_body(body: &str) -> Script {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    Script::Reply((head + body).leak())
}

async fn outcome_of(script: Script, check: HttpCheck) -> Outcome {
    let server = Server::start(script).await;
    probe(watch(server.address, CheckKind::Http(check))).await
}

#[tokio::test]
async fn bodies_are_judged_by_what_is_in_them() {
    const CHUNKED: Script = Script::Reply(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nread\r\n6\r\ny: yes\r\n0\r\nX: y\r\n\r\n",
    );
    const UNFRAMED: Script = Script::ReplyAndClose("HTTP/1.1 200 OK\r\n\r\nready: yes");
    let lacking = Outcome::Fail(Failure::Body { whole: true });
    for script in [with_body("ready: yes"), CHUNKED, UNFRAMED] {
        for (text, regex, expected) in [
            (Some("ready: yes"), None, &Outcome::Pass),
            (Some("dy: y"), None, &Outcome::Pass),
            (Some("Ready"), None, &lacking),
            (None, Some("^ready: (yes|sure)$"), &Outcome::Pass),
            (None, Some("^yes"), &lacking),
            (Some("ready"), Some("yes$"), &Outcome::Pass),
            (Some("ready"), Some("no$"), &lacking),
            (Some("never"), Some("yes$"), &lacking),
        ] {
            assert_eq!(&outcome_of(script, expecting(text, regex)).await, expected, "{text:?} {regex:?}");
        }
    }
    assert_eq!(outcome_of(Script::Reply(OK), expecting(Some("a"), None)).await, lacking);
    assert_eq!(outcome_of(Script::Reply(OK), expecting(None, Some("^$"))).await, Outcome::Pass);
}

#[tokio::test]
async fn the_status_comes_first() {
    let refusal = Script::Reply("HTTP/1.1 503 No\r\nContent-Length: 5\r\n\r\nready");
    let outcome = outcome_of(refusal, expecting(Some("ready"), None)).await;
    assert_eq!(outcome, Outcome::Fail(Failure::Status(503)));
}

#[tokio::test]
async fn only_the_start_of_a_long_body_is_looked_through() {
    let mark = "MARK";
    let long = |before: usize, behind: usize| format!("{}{mark}{}", "x".repeat(before), "y".repeat(behind));
    let unknown = Outcome::Fail(Failure::Body { whole: false });
    let absent = Outcome::Fail(Failure::Body { whole: true });
    let last = SEARCHED - mark.len();
    for (body, expected) in [
        (long(last, 0), &Outcome::Pass),
        (long(last, 100_000), &Outcome::Pass),
        (long(last + 1, 0), &unknown),
        (long(last + 1, 100_000), &unknown),
        ("x".repeat(SEARCHED), &absent),
        ("x".repeat(SEARCHED - 1), &absent),
    ] {
        for check in [expecting(Some(mark), None), expecting(None, Some(mark))] {
            let outcome = outcome_of(with_body(&body), check).await;
            assert_eq!(&outcome, expected, "{} octets", body.len());
        }
    }
}

#[tokio::test]
async fn a_body_that_does_not_end_fails_unless_the_text_was_in_it() {
    const STUCK: Script = Script::Reply("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nready");
    let server = Server::start(STUCK).await;
    let after = Duration::from_millis(200);
    let late = Outcome::Fail(Failure::TimedOut { phase: Phase::Body, after });
    for (text, regex, expected) in
        [(Some("ready"), None, &Outcome::Pass), (Some("steady"), None, &late), (None, Some("ready"), &late)]
    {
        let mut watch = watch(server.address, CheckKind::Http(expecting(text, regex)));
        watch.check.timeout = after;
        assert_eq!(&probe(watch).await, expected, "{text:?} {regex:?}");
    }
    const CUT: Script = Script::ReplyAndClose("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nready");
    let outcome = outcome_of(CUT, expecting(None, Some("ready"))).await;
    assert_eq!(outcome, Outcome::Fail(Failure::Closed));
}

#[tokio::test]
async fn a_body_that_was_read_leaves_the_connection_whole() {
    let server = Server::start(with_body("ready")).await;
    for check in [expecting(Some("ready"), None), expecting(None, Some("ready"))] {
        let check = CheckKind::Http(HttpCheck { reuse: true, ..check });
        let before = server.accepted();
        let mut probe = Probe::new(watch(server.address, check), &Arc::default()).await;
        for _ in 0..3 {
            assert_eq!(probe.run(now()).await.0, Outcome::Pass);
            super::http::settle(&mut probe).await;
        }
        assert_eq!(server.accepted(), before + 1);
    }
}
