//! The operator's console: files inside the program, for a browser that shows what the API tells.
//!
//! They hold no secret and are given to everybody; what they show they ask of `/v1`, with the
//! token that the operator types in.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use ring::digest::{SHA256, digest};

use super::{Context, problem};

/// A file of the console.
struct Asset {
    /// Its path below `/console/`.
    path: &'static str,
    kind: &'static str,
    content: &'static [u8],
}

/// The page itself, which is at `/` as well.
const PAGE: &str = "index.html";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";
const JSON: &str = "application/json";

/// Each file of `assets/` that the browser asks for.
macro_rules! assets {
    ($($path:literal: $kind:ident,)*) => {
        [$(Asset { path: $path, kind: $kind, content: include_bytes!(concat!("assets/", $path)) },)*]
    };
}

static ASSETS: &[Asset] = &assets! {
    "index.html": HTML,
    "icon.svg": SVG,
    "base.css": CSS,
    "flow.css": CSS,
    "views.css": CSS,
    "app.js": SCRIPT,
    "api.js": SCRIPT,
    "change.js": SCRIPT,
    "conflict.js": SCRIPT,
    "dialogs.js": SCRIPT,
    "dom.js": SCRIPT,
    "explain.js": SCRIPT,
    "feed.js": SCRIPT,
    "flow.js": SCRIPT,
    "history.js": SCRIPT,
    "layout.js": SCRIPT,
    "map.js": SCRIPT,
    "panel.js": SCRIPT,
    "store.js": SCRIPT,
    "words.js": SCRIPT,
    "world.json": JSON,
};

/// What the page may do: run and show what this server gives, talk to this server, and nothing
/// else. It is in nobody's frame, sends no form by itself, and takes no script from its own text.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self' data:; connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

/// With each file. `no-cache`: a browser keeps it, and asks each time whether it is still the one.
static HEADERS: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-embedder-policy"), "require-corp"),
    (header::CACHE_CONTROL, "no-cache"),
];

/// The entity tags of [`ASSETS`], in that order.
static TAGS: LazyLock<Vec<HeaderValue>> = LazyLock::new(|| ASSETS.iter().map(Asset::tag).collect());

/// `/` and `/console/`, for GET and HEAD.
pub(super) fn routes() -> [(&'static str, MethodRouter<Context>); 2] {
    [("/", get(page)), ("/console/{*path}", get(file))]
}

async fn page(headers: HeaderMap, uri: Uri) -> Response {
    give(PAGE, &headers, uri).await
}

async fn file(Path(path): Path<String>, headers: HeaderMap, uri: Uri) -> Response {
    give(&path, &headers, uri).await
}

async fn give(path: &str, headers: &HeaderMap, uri: Uri) -> Response {
    let Some((asset, tag)) = ASSETS.iter().zip(TAGS.iter()).find(|(asset, _)| asset.path == path) else {
        return problem::not_found(uri).await.into_response();
    };
    let mut response = if has(headers, tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, asset.kind)], asset.content).into_response()
    };
    let given = response.headers_mut();
    given.extend(HEADERS.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))));
    given.insert(header::ETAG, tag.clone());
    response
}

/// Whether the client has the file of this tag already (RFC 9110 section 13.1.2).
fn has(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let weak = |known: &str| known.trim().trim_start_matches("W/").to_owned();
    known
        .flat_map(|list| list.split(','))
        .map(weak)
        .any(|known| known == "*" || known.as_bytes() == tag.as_bytes())
}

impl Asset {
    /// A strong entity tag: half of a SHA-256 tells any two versions of a file apart.
    fn tag(&self) -> HeaderValue {
        let digest = digest(&SHA256, self.content);
        let hex: String = digest.as_ref()[..16].iter().map(|octet| format!("{octet:02x}")).collect();
        HeaderValue::try_from(format!("\"{hex}\"")).expect("hexadecimal digits are text")
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_of_the_console_is_in_the_program() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/admin/console/assets");
        let entries = std::fs::read_dir(&directory).expect("the directory of the assets");
        let mut there: Vec<String> = entries
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .filter(|name| !name.ends_with(".md"))
            .collect();
        there.sort_unstable();
        let mut listed: Vec<&str> = ASSETS.iter().map(|asset| asset.path).collect();
        listed.sort_unstable();
        assert_eq!(listed, there);
    }

    #[test]
    fn what_the_console_names_is_there_and_nothing_is_fetched_from_elsewhere() {
        for asset in ASSETS.iter().filter(|asset| asset.kind != JSON) {
            let text = std::str::from_utf8(asset.content).expect("the assets are text");
            for (at, _) in text.match_indices("://") {
                // A namespace is a name, which nobody fetches.
                assert!(
                    text[..at].ends_with("http") && text[at..].starts_with("://www.w3.org/"),
                    "{}",
                    asset.path
                );
            }
            for named in text.split(['"', '\'']).filter_map(|text| text.strip_prefix("/console/")) {
                assert!(ASSETS.iter().any(|asset| asset.path == named), "{}: {named}", asset.path);
            }
            for named in text.split(['"', '\'']).filter_map(|text| text.strip_prefix("./")) {
                assert!(ASSETS.iter().any(|asset| asset.path == named), "{}: {named}", asset.path);
            }
        }
    }

    #[test]
    fn nothing_of_the_page_stands_where_its_policy_forbids_it() {
        let page = ASSETS.iter().find(|asset| asset.path == PAGE).expect("the page");
        let text = std::str::from_utf8(page.content).expect("the page is text");
        for inline in [" style=", "<style", " onclick=", " onload=", "javascript:"] {
            assert!(!text.contains(inline), "{inline}");
        }
        for asset in ASSETS.iter().filter(|asset| asset.kind == SCRIPT) {
            let text = std::str::from_utf8(asset.content).expect("the scripts are text");
            for sink in
                ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("]
            {
                assert!(!text.contains(sink), "{}: {sink}", asset.path);
            }
        }
    }

    #[test]
    fn a_tag_that_the_client_has_is_recognized() {
        let tag = HeaderValue::from_static("\"ab\"");
        let with = |value: &'static str| {
            HeaderMap::from_iter([(header::IF_NONE_MATCH, HeaderValue::from_static(value))])
        };
        assert!(has(&with("\"cd\", W/\"ab\""), &tag) && has(&with("*"), &tag));
        assert!(!has(&with("\"abc\""), &tag) && !has(&HeaderMap::new(), &tag));
    }
}
