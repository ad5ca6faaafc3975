//! The page: plain files, embedded, served under a strict content security policy.

use std::sync::{Arc, LazyLock};

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use sightline_operation::{NO_PURPOSE, Rule, Table};

use crate::facts::Ports;
use crate::origin;
use crate::problem::Problem;
use crate::state::Signaling;

/// Own files only; no inline script or style, no foreign address, no string that becomes script.
/// The one policy of trusted types lets two files become workers.
const POLICY: &str = "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; \
    img-src 'self' data:; media-src 'self' blob:; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types sightline-worker; \
    connect-src 'self'";
/// What the page may use of the browser.
const PERMISSIONS: &str = "camera=(self), geolocation=(), microphone=(), payment=(), usb=()";

/// The page itself, which is served at the root.
const INDEX: &str = "index.html";
/// The page that shows the API.
const DOCS: &str = "docs.html";
/// The description of the API.
const OPENAPI: &str = "openapi.json";

pub(crate) fn operations(table: &mut Table<Arc<Signaling>>) {
    table.page("/", index);
    table.page("/assets/{*path}", asset);
    table.page("/docs", docs);
    // Where apps send browsers to sign people in: the same page, which reads the request itself.
    table.page("/oauth/authorize", index);
    let about = (NO_PURPOSE, "This description (OpenAPI 3.1)");
    table
        .get("/v1/openapi.json", Rule::Public, about, openapi)
        .answers(200, Some("application/json"))
        .answers(304, None);
}

struct File {
    path: &'static str,
    kind: &'static str,
    text: &'static str,
}

macro_rules! files {
    ($($kind:literal: $($path:literal),+;)+) => {
        &[$($(File {
            path: $path,
            kind: $kind,
            text: include_str!(concat!("../../web/", $path)),
        }),+),+]
    };
}

static FILES: &[File] = files! {
    "text/html; charset=utf-8": "index.html";
    "text/html; charset=utf-8": "docs.html";
    "application/json": "openapi.json";
    "text/css; charset=utf-8": "style.css", "docs.css";
    "image/svg+xml": "icon.svg";
    "text/javascript; charset=utf-8":
        "add_code.js", "api.js", "app.js", "base32.js", "boot.js", "docs.js", "dom.js", "dpop.js", "flow.js", "i18n.js", "icons.js",
        "keys.js", "otp.js", "policies.js", "work.js", "views/alerts.js", "views/carrier.js",
        "views/apps.js", "views/authorize.js",
        "views/identities.js", "views/provider.js",
        "lang/en.js", "lang/en_account.js", "lang/zh.js", "lang/zh_account.js", "sealed/branches.js", "sealed/bytes.js",
        "sealed/codec.js", "sealed/connection.js", "sealed/curves.js", "sealed/errors.js", "sealed/frame.js",
        "sealed/generation.js", "sealed/gop_stream.js", "sealed/hpke.js", "sealed/introduction.js",
        "sealed/keyring.js", "sealed/lane.js", "sealed/mailbox.js", "sealed/opener.js",
        "sealed/order.js", "sealed/owners_word.js", "sealed/padlock.js", "sealed/player.js",
        "sealed/playout.js", "sealed/screen.js", "sealed/session_keys.js",
        "sealed/sframe.js", "sealed/socket.js", "sealed/sound.js", "sealed/speaker.js", "sealed/speaker_worklet.js",
        "sealed/start_worker.js", "sealed/terminal.js", "picture_code.js", "sealed/viewer.js",
        "sealed/viewer_list.js", "sealed/viewers.js", "sealed/window.js", "sealed/worker.js",
        "scan.js", "secret.js", "session.js", "shown_secret.js", "stats.js", "store.js",
        "views/account.js", "views/add_device.js", "views/added_with.js", "views/basic.js", "views/bind.js",
        "views/confirm.js", "views/device.js", "views/devices.js", "views/dialogs.js",
        "views/introduce.js", "views/invitation.js", "views/key_proof.js", "views/live.js", "views/messages.js",

        "views/operations.js", "views/passkeys.js", "views/password_field.js", "views/policy_lines.js", "views/profile.js", "views/sealing.js",
        "views/security.js", "views/share_terms.js", "views/shares.js", "views/signin.js",
        "views/sign_out.js", "views/signin_address.js", "views/signin_password.js", "views/terminal_name.js", "views/viewers.js", "whep.js";
};

/// Entity tags, in the order of [`FILES`].
static TAGS: LazyLock<Vec<HeaderValue>> = LazyLock::new(|| {
    let tag = |file: &File| {
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, file.text.as_bytes());
        let text = format!("\"{}\"", B64.encode(&hash.as_ref()[..12]));
        HeaderValue::try_from(text).expect("base64url in quotes is a header value")
    };
    FILES.iter().map(tag).collect()
});

/// SHA-256 of every file of the page by the path at which it is served, in the order of the paths:
/// for comparing what a server hands out with what its release says.
#[must_use]
pub fn page_hashes() -> Vec<(String, [u8; 32])> {
    let hash = |file: &File| {
        let path = match file.path {
            INDEX => "/".to_owned(),
            path => format!("/assets/{path}"),
        };
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, file.text.as_bytes());
        (path, hash.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    };
    let mut hashes: Vec<_> = FILES.iter().map(hash).collect();
    hashes.sort();
    hashes
}

pub(crate) async fn index(
    State(signaling): State<Arc<Signaling>>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let policy = policy(signaling.facts.ports, &uri, &headers);
    serve(INDEX, policy, &headers).unwrap_or_else(IntoResponse::into_response)
}

pub(crate) async fn docs(headers: HeaderMap) -> Response {
    fixed(DOCS, &headers)
}

pub(crate) async fn openapi(headers: HeaderMap) -> Response {
    fixed(OPENAPI, &headers)
}

fn fixed(path: &str, headers: &HeaderMap) -> Response {
    let policy = HeaderValue::from_static(POLICY);
    serve(path, policy, headers).unwrap_or_else(IntoResponse::into_response)
}

pub(crate) async fn asset(
    State(signaling): State<Arc<Signaling>>,
    Path(path): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    serve(&path, policy(signaling.facts.ports, &uri, &headers), &headers)
}

/// [`POLICY`] with the relay's ports under the name that the page was asked for by: sealed video
/// comes from there over WebTransport, and the page connects nowhere else.
fn policy(ports: Ports, uri: &Uri, headers: &HeaderMap) -> HeaderValue {
    let authority = origin::authority(uri, headers);
    let host = authority.as_ref().map_or("", |authority| authority.host());
    // What a policy cannot hold as one source (an IPv6 address, too) gets none.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    if host.is_empty() || !host.bytes().all(plain) {
        return HeaderValue::from_static(POLICY);
    }
    // The page uses the address, since the name may stand for two.
    let host = if host.eq_ignore_ascii_case("localhost") { "127.0.0.1" } else { host };
    let last = ports.roq.saturating_add(ports.relay_threads.saturating_sub(1));
    let sources: String =
        (ports.roq..=last).map(|port| format!(" https://{host}:{port}")).collect();
    HeaderValue::try_from(format!("{POLICY}{sources}"))
        .expect("letters, digits, dots and dashes are a header value")
}

fn serve(path: &str, policy: HeaderValue, headers: &HeaderMap) -> Result<Response, Problem> {
    let at = FILES.iter().position(|file| file.path == path).ok_or(Problem::NotFound)?;
    let (file, tag) = (&FILES[at], TAGS[at].clone());
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|given| *given == tag);
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, HeaderValue::from_static(file.kind))], file.text).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::ETAG, tag);
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    let mut fixed = |name, value| headers.insert(name, HeaderValue::from_static(value));
    fixed(header::CACHE_CONTROL, "no-cache");
    fixed(header::HeaderName::from_static("permissions-policy"), PERMISSIONS);
    fixed(header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    fixed(header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    fixed(header::VARY, "Accept-Encoding");
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_page_is_embedded() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("web");
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                assert!(FILES.iter().any(|file| file.path == name), "{name}");
            }
        }
    }

    #[test]
    fn the_page_has_no_inline_code_and_no_foreign_address() {
        for file in FILES {
            for bad in ["innerHTML", "eval(", "style=\"", "onclick=", "document.cookie"] {
                assert!(!file.text.contains(bad), "{} has {bad}", file.path);
            }
            let foreign = file.text.replace("http://www.w3.org/", "");
            assert!(!foreign.contains("http://") && !foreign.contains("https://"), "{}", file.path);
        }
    }
}
