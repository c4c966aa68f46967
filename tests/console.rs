//! The console: its files over HTTP, and a walk through it in a browser.

mod support;

use support::daemon::Daemon;
use support::http::{get, request};
use support::others::program;
use support::scene::{QUICK, Scene};
use support::site::Site;

/// A daemon that wants a token, which nobody has, and two sites.
fn start(scene: &Scene, sites: [&Site; 2]) -> Daemon {
    let token = scene.write("tokens", &format!("nobody read sha256:{:064}\n", 0));
    let text = scene.two_sites(sites, [QUICK, QUICK]);
    let admin = format!("[admin]\ntoken_file = \"{}\"", token.display());
    scene.start(&text.replacen("[admin]", &admin, 1))
}

#[test]
fn the_console_is_given_to_everybody_and_may_do_little() {
    let (first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let daemon = start(&scene, [&first, &second]);
    let page = get(daemon.admin(), "/");
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(page.body.contains("<script type=\"module\" src=\"/console/app.js\">"), "{}", page.body);
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/console/app.js", "text/javascript; charset=utf-8"),
        ("/console/base.css", "text/css; charset=utf-8"),
        ("/console/icon.svg", "image/svg+xml"),
        ("/console/world.json", "application/json"),
    ] {
        let file = get(daemon.admin(), path);
        assert_eq!((file.status, file.header("content-type")), (200, kind), "{path}");
        let policy = file.header("content-security-policy");
        for part in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
            assert!(policy.contains(part), "{path}: {part} in {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("cache-control", "no-cache"),
        ] {
            assert_eq!(file.header(name), value, "{path}: {name}");
        }
    }
    assert_eq!(get(daemon.admin(), "/v1/status").status, 401, "what it shows is not for everybody");
}

#[test]
fn a_browser_that_has_a_file_is_told_so_and_nothing_can_be_sent_there() {
    let (first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let daemon = start(&scene, [&first, &second]);
    let ask = |method, path, headers: &[(&str, &str)]| {
        request(daemon.admin(), method, path, headers).expect("somebody answers")
    };
    let tag = get(daemon.admin(), "/console/app.js").header("etag").to_owned();
    assert!(tag.len() > 2 && tag != get(daemon.admin(), "/console/api.js").header("etag"), "{tag}");
    let again = ask("GET", "/console/app.js", &[("if-none-match", &tag)]);
    assert_eq!((again.status, &again.body[..], again.header("etag")), (304, "", &tag[..]));
    assert_eq!(ask("GET", "/console/app.js", &[("if-none-match", "\"another\"")]).status, 200);
    let head = ask("HEAD", "/", &[]);
    assert_eq!((head.status, &head.body[..]), (200, ""));
    assert!(!head.header("content-security-policy").is_empty());
    for method in ["POST", "PUT", "DELETE"] {
        assert_eq!(ask(method, "/", &[("content-length", "0")]).status, 405, "{method}");
    }
    for path in ["/console/", "/console/README.md", "/console/../Cargo.toml", "/console/%2e%2e/mod.rs"] {
        assert_eq!(get(daemon.admin(), path).status, 404, "{path}");
    }
}

/// All that an operator does, in Chromium: `tests/console/walk.mjs` has it step by step.
#[test]
fn an_operator_walks_through_the_console() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/console");
    let library = format!("{directory}/node_modules/playwright-core");
    assert!(std::path::Path::new(&library).is_dir(), "{library} is missing: tests/run installs it");
    program("dig");
    let pictures = tempfile::Builder::new().prefix("rhumb-console-").tempdir().expect("a directory");
    // Far more than it takes: it gives up by itself before.
    let output = program("timeout")
        .args(["--kill-after=10s", "8m"])
        .arg(program("node").get_program())
        .arg(format!("{directory}/walk.mjs"))
        .args([env!("CARGO_BIN_EXE_rhumb"), pictures.path().to_str().expect("UTF-8")])
        .env("CHROMIUM", program("chromium").get_program())
        .output()
        .expect("it was found");
    let told = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    if !output.status.success() {
        panic!("{}{}\npictures: {}", told[0], told[1], pictures.keep().display());
    }
}
