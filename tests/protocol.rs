//! What dig sees of the options and extensions of the protocol, asked of the running daemon.

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::rr::RecordType;
use support::dns::{query, socket_to};
use support::others::dig;
use support::scene::{Scene, UNLIMITED};

const HOST: &str = "ns1.ai.example.com";
const SECRETS: &str = "# shared\ne5e973e5a6b2a43f48e7dc849e37bfcf\n";

/// [`Scene::ground`] with more keys in `[server]`, and the rate limit that there is by default.
fn configuration(scene: &Scene, keys: &str) -> String {
    scene.ground().replace(UNLIMITED, keys)
}

/// The cookie that dig was given, as it prints it, and what it says of it.
fn cookie(printed: &str) -> (&str, &str) {
    let line = printed.lines().find_map(|line| line.strip_prefix("; COOKIE: "));
    line.and_then(|line| line.split_once(' ')).unwrap_or_else(|| panic!("no cookie: {printed}"))
}

fn is_answered(printed: &str) -> bool {
    printed.contains("status: NOERROR") && printed.contains("ANSWER: 1,")
}

#[test]
fn a_cookie_is_given_kept_and_good_after_a_restart() {
    let scene = Scene::new();
    let text = configuration(&scene, "");
    let daemon = scene.start(&text);
    let first = dig(scene.dns, &[HOST, "+cookie"]);
    assert!(is_answered(&first), "{first}");
    let (given, verdict) = cookie(&first);
    assert_eq!((given.len(), verdict), (48, "(good)"), "{first}");
    let with_it = format!("+cookie={given}");
    let again = |what: &str| {
        let printed = dig(scene.dns, &[HOST, &with_it]);
        assert_eq!(cookie(&printed).0, given, "{what}: it is good as it is");
        let alone = dig(scene.dns, &["+header-only", &with_it]);
        assert!(alone.contains("status: NOERROR") && alone.contains("QUERY: 0,"), "{what}: {alone}");
    };
    again("at once");
    let counted = |cookie| {
        support::http::sample(scene.admin, &format!("rhumb_dns_cookies_total{{cookie=\"{cookie}\"}}"))
    };
    assert_eq!([counted("new"), counted("good"), counted("bad")], [1.0, 2.0, 0.0]);
    drop(daemon);

    let daemon = scene.start(&text);
    again("after a restart");
    drop(daemon);

    // Two days later it has had its time; what was made with it is good, and replaced.
    let path = scene.path().join("state/cookie.secret");
    let secret = std::fs::read_to_string(&path).expect("it was kept");
    let file = std::fs::File::options().write(true).open(&path).expect("it is there");
    let modified = file.metadata().and_then(|metadata| metadata.modified()).expect("files have a time");
    file.set_modified(modified - 48 * Duration::from_secs(3600)).expect("it is ours");
    let daemon = scene.start(&text);
    let renewed = dig(scene.dns, &[HOST, &with_it]);
    assert!(is_answered(&renewed) && cookie(&renewed).0 != given, "{renewed}");
    assert_eq!([counted("good"), counted("bad")], [1.0, 0.0]);
    let secrets = std::fs::read_to_string(&path).expect("it is kept");
    assert!(secrets.lines().count() == 2 && secrets.ends_with(&secret), "the last one is still known");
    drop(daemon);

    // Another secret, as another server has it.
    std::fs::remove_file(scene.path().join("state/cookie.secret")).expect("it was kept");
    let _daemon = scene.start(&text);
    let alone = dig(scene.dns, &["+header-only", "+nobadcookie", &with_it]);
    assert!(alone.contains("status: BADCOOKIE"), "{alone}");
    assert_ne!(cookie(&alone).0, given);
}

#[test]
fn servers_with_one_secret_accept_each_others_cookies() {
    let scenes = [Scene::new(), Scene::new()];
    let _daemons = scenes.each_ref().map(|scene| {
        scene.write("secrets", SECRETS);
        scene.start(&configuration(scene, "cookie_secret_file = \"secrets\""))
    });
    let given = dig(scenes[0].dns, &[HOST, "+cookie"]);
    let (given, _) = cookie(&given);
    let accepted = dig(scenes[1].dns, &["+header-only", "+nobadcookie", &format!("+cookie={given}")]);
    assert!(accepted.contains("status: NOERROR"), "{accepted}");
    assert_eq!(cookie(&accepted).0, given);
}

#[test]
fn a_secret_is_replaced_without_a_restart_and_unnoticed() {
    let scene = Scene::new();
    scene.write("secrets", SECRETS);
    let daemon = scene.start(&configuration(&scene, "cookie_secret_file = \"secrets\""));
    let given = dig(scene.dns, &[HOST, "+cookie"]);
    let with_it = format!("+cookie={}", cookie(&given).0);
    let confirmed = || dig(scene.dns, &["+header-only", "+nobadcookie", &with_it]);
    let reload = |secrets: &str| {
        scene.write("secrets", secrets);
        support::http::post(daemon.admin(), "/v1/reload").status
    };
    // The new one on top: cookies of the old one are good, and exchanged.
    assert_eq!(reload("445536bcd2513298075a5d379663c962\ne5e973e5a6b2a43f48e7dc849e37bfcf\n"), 200);
    let exchanged = confirmed();
    assert!(exchanged.contains("status: NOERROR"), "{exchanged}");
    assert_ne!(cookie(&exchanged).0, cookie(&given).0);
    assert_eq!(reload("nonsense\n"), 422, "a bad file changes nothing");
    assert!(confirmed().contains("status: NOERROR"));
    // The old one gone.
    assert_eq!(reload("445536bcd2513298075a5d379663c962\n"), 200);
    assert!(confirmed().contains("status: BADCOOKIE"));
}

#[test]
fn secrets_that_are_none_are_told_at_the_start() {
    let scene = Scene::new();
    let file = scene.write("secrets", "hello\n");
    let config = scene.configure(&configuration(&scene, "cookie_secret_file = \"secrets\""));
    let output = support::daemon::run(&["serve", "--config", config.to_str().expect("a path in ASCII")]);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stderr);
    let expected = format!("cookie secret file {}: line 1 is not 32 hexadecimal digits", file.display());
    assert!(told.contains(&expected), "{told}");
    assert!(!told.contains("hello"), "secrets are not told: {told}");
}

#[test]
fn who_is_limited_comes_back_by_tcp_or_with_a_cookie() {
    let scene = Scene::new();
    let limit = "rate_limit = { responses_per_second = 5, slip = 1 }";
    let _daemon = scene.start(&configuration(&scene, limit));
    flood(scene.dns, 1000);

    let by_tcp = dig(scene.dns, &[HOST, "+nocookie"]);
    assert!(by_tcp.contains("Truncated, retrying in TCP mode") && is_answered(&by_tcp), "{by_tcp}");
    let told = dig(scene.dns, &[HOST, "+cookie", "+nobadcookie"]);
    assert!(told.contains("status: BADCOOKIE") && told.contains("ANSWER: 0,"), "{told}");
    let (given, _) = cookie(&told);
    let with_it = dig(scene.dns, &[HOST, &format!("+cookie={given}")]);
    assert!(is_answered(&with_it) && with_it.contains("flags: qr aa rd;"), "{with_it}");
    // dig goes on by itself.
    let at_once = dig(scene.dns, &[HOST, "+cookie"]);
    assert!(at_once.contains("BADCOOKIE, retrying") && is_answered(&at_once), "{at_once}");
    let limited = |action| {
        support::http::sample(scene.admin, &format!("rhumb_dns_rate_limited_total{{action=\"{action}\"}}"))
    };
    assert!(limited("slipped") > 900.0 && limited("badcookie") == 2.0);
    let series = r#"rhumb_dns_replies_total{transport="udp",rcode="BADCOOKIE"}"#;
    assert_eq!(support::http::sample(scene.admin, series), 2.0);
}

#[test]
fn a_flood_is_answered_with_less_than_it_sent_and_the_exempt_are_not_limited() {
    let scene = Scene::new();
    let limit = "rate_limit = { responses_per_second = 5 }";
    let daemon = scene.start(&configuration(&scene, limit));
    let [sent, received] = flood(scene.dns, 1000);
    assert!(received < sent * 6 / 10, "{sent} octets sent, {received} received");
    // With the cookie of a client that has none of the server's yet: half of them get one, of 16 octets more.
    let opt = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 12, 0, 10, 0, 8];
    let mut message = [&host(), &opt[..], b"forgerid"].concat();
    message[11] = 1;
    let [sent, received] = flood_with(scene.dns, 1000, &message);
    assert!(received < sent * 7 / 10, "with cookies: {sent} octets sent, {received} received");
    drop(daemon);

    let scene = Scene::new();
    let limit = "rate_limit = { responses_per_second = 5, exempt = [\"127.0.0.0/8\"] }";
    let _daemon = scene.start(&configuration(&scene, limit));
    flood(scene.dns, 1000);
    assert!(is_answered(&dig(scene.dns, &[HOST, "+nocookie", "+ignore"])));
}

/// A query for [`HOST`].
fn host() -> Vec<u8> {
    query(HOST, RecordType::A).to_vec().expect("it can be encoded")
}

/// Asks for [`HOST`] so often, and waits until the server has seen all of it. Returns the octets
/// that were sent and received.
fn flood(server: SocketAddr, count: usize) -> [usize; 2] {
    flood_with(server, count, &host())
}

/// The same with that query.
fn flood_with(server: SocketAddr, count: usize, message: &[u8]) -> [usize; 2] {
    /// What a socket is sure to hold.
    const AT_ONCE: usize = 50;
    let given = dig(server, &["+header-only", "+cookie"]);
    let (given, _) = cookie(&given);
    let last = cookie_alone(given);
    let socket = socket_to(server);
    let (mut received, mut buffer) = (0, [0; 1232]);
    for _ in 0..count / AT_ONCE {
        for _ in 0..AT_ONCE {
            socket.send(message).expect("loopback takes it");
        }
        // One thread answers this socket in order, and who has a good cookie always.
        socket.send(&last).expect("loopback takes it");
        loop {
            let length = socket.recv(&mut buffer).expect("a reply to what is never limited");
            if buffer[..2] == last[..2] && buffer[4..6] == [0, 0] {
                break;
            }
            received += length;
        }
    }
    [count * message.len(), received]
}

/// A query without a question, for a cookie in hexadecimal digits to be confirmed.
fn cookie_alone(hex: &str) -> Vec<u8> {
    let cookie = data_encoding::HEXLOWER.decode(hex.as_bytes()).expect("hexadecimal digits");
    let header = [0x12, 0x34, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let opt = [0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 28, 0, 10, 0, 24];
    [&header[..], &opt, &cookie].concat()
}

#[test]
fn a_server_says_of_itself_what_it_is_told_to() {
    let scene = Scene::new();
    let daemon =
        scene.start(&configuration(&scene, "nsid = \"hkg1\"\nid = \"ns1.hkg1\"\nversion = \"1 of 2\""));
    let text = |name: &str| dig(scene.dns, &[name, "CH", "TXT", "+short"]);
    assert_eq!(text("version.bind"), "\"1 of 2\"\n");
    assert_eq!(text("version.server"), "\"1 of 2\"\n");
    assert_eq!(text("id.server"), "\"ns1.hkg1\"\n");
    assert_eq!(text("HostName.Bind"), "\"ns1.hkg1\"\n");
    let nsid = dig(scene.dns, &[HOST, "+nsid"]);
    assert!(is_answered(&nsid) && nsid.contains("(\"hkg1\")"), "{nsid}");
    assert!(!dig(scene.dns, &[HOST]).contains("NSID"), "for those who ask");
    drop(daemon);

    let daemon = scene.start(&scene.ground());
    assert_eq!(text("version.bind"), "\"rhumb\"\n", "no number");
    assert!(dig(scene.dns, &["id.server", "CH", "TXT"]).contains("status: REFUSED"));
    assert!(!dig(scene.dns, &[HOST, "+nsid"]).contains("NSID"));
    drop(daemon);

    let _daemon = scene.start(&configuration(&scene, "version = \"none\"\ncookies = false"));
    assert!(dig(scene.dns, &["version.bind", "CH", "TXT"]).contains("status: REFUSED"));
    let without = dig(scene.dns, &[HOST, "+cookie"]);
    assert!(is_answered(&without) && !without.contains("COOKIE"), "{without}");
}

#[test]
fn a_connection_is_told_how_long_it_may_be_idle() {
    let scene = Scene::new();
    let _daemon = scene.start(&configuration(&scene, "tcp_idle_timeout = \"2500ms\""));
    let by_tcp = dig(scene.dns, &[HOST, "+tcp", "+keepalive"]);
    assert!(is_answered(&by_tcp) && by_tcp.contains("KEEPALIVE: 2.5 secs"), "{by_tcp}");
    let by_udp = dig(scene.dns, &[HOST, "+ednsopt=11"]);
    assert!(is_answered(&by_udp) && !by_udp.contains("KEEPALIVE"), "{by_udp}");
    assert!(!dig(scene.dns, &[HOST, "+tcp"]).contains("KEEPALIVE"), "for those who ask");
}

#[test]
fn refusals_say_why() {
    let scene = Scene::new();
    let _daemon = scene.start(&scene.ground());
    let refused = dig(scene.dns, &["www.example.net", "+nocookie"]);
    assert!(
        refused.contains("status: REFUSED") && refused.contains("EDE: 20 (Not Authoritative)"),
        "{refused}"
    );
    assert!(refused.contains("MSG SIZE  rcvd: 50"), "44 were sent: {refused}");
    assert!(!dig(scene.dns, &["www.example.net", "+noedns"]).contains("EDE"));
    let class = dig(scene.dns, &[HOST, "-c", "HS"]);
    assert!(class.contains("EDE: 21 (Not Supported)"), "{class}");
}

#[test]
fn options_that_are_malformed_or_unknown_are_told_apart() {
    let scene = Scene::new();
    let _daemon = scene.start(&scene.ground());
    for (option, status) in [
        ("+ednsopt=10:00", "FORMERR"),
        ("+ednsopt=10:000102030405060708", "FORMERR"),
        ("+ednsopt=8:0001", "FORMERR"),
        ("+ednsopt=12:0000000000", "NOERROR"),
        ("+ednsopt=4:", "NOERROR"),
        ("+ednsopt=65001:cafe", "NOERROR"),
        ("+padding=468", "NOERROR"),
    ] {
        let printed = dig(scene.dns, &[HOST, "+nocookie", option]);
        assert!(printed.contains(&format!("status: {status}")), "{option}: {printed}");
        assert!(printed.contains("; EDNS: version: 0, flags:; udp: 1232"), "{option}: {printed}");
    }
    for opcode in ["iquery", "status", "notify", "update", "6", "15"] {
        let printed = dig(scene.dns, &[HOST, &format!("+opcode={opcode}")]);
        assert!(printed.contains("status: NOTIMP"), "{opcode}: {printed}");
    }
}
