//! What pages and endpoints of stand-ins share.

use axum::http::{HeaderMap, HeaderName, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use sightline_grant::Redacted;
use url::form_urlencoded;

use crate::vault;

/// A field of a form; empty when it is not there.
pub(crate) fn field(form: &[u8], name: &str) -> String {
    let mut pairs = form_urlencoded::parse(form);
    pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
}

/// Headers of a page that nothing keeps, loads from or frames.
pub(crate) fn quiet() -> [(HeaderName, &'static str); 3] {
    [
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    ]
}

/// Text for a page's text and attributes.
pub(crate) fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |done, c| match c {
        '&' => done + "&amp;",
        '<' => done + "&lt;",
        '>' => done + "&gt;",
        '"' => done + "&quot;",
        c => done + &c.to_string(),
    })
}

/// What is shown of this scheme.
pub(crate) fn shown<'a>(headers: &'a HeaderMap, scheme: &str) -> Option<&'a str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix(scheme)
}

/// Whether a request shows this id and secret (RFC 6749 section 2.3.1).
pub(crate) fn is_client(headers: &HeaderMap, id: &str, secret: &Redacted<String>) -> bool {
    let expected = BASE64.encode(format!("{id}:{}", secret.expose()));
    let given = shown(headers, "Basic ").unwrap_or_default();
    vault::same(expected.as_bytes(), given.as_bytes())
}
