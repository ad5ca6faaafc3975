//! What WHIP and WHEP endpoints share (RFC 9725 and draft-ietf-wish-whep).

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};

use crate::edge::preflight;
use crate::plane::Answer;
use crate::problem::Problem;

/// Media type of offers and answers.
pub(super) const SDP: &str = "application/sdp";
/// Media type of trickle and restart fragments (RFC 8840).
pub(super) const FRAGMENT: &str = "application/trickle-ice-sdpfrag";
/// Names the tracks that the answer leaves out, each with its reason, as a list of strings
/// (RFC 8941).
const LEFT_OUT: HeaderName = HeaderName::from_static("sightline-left-out");
/// Accept-Patch (RFC 5789).
const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");
/// Accept-Post, as WHIP wants it on OPTIONS.
const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");
/// Longest reason text that goes into a header, bytes.
const MAX_REASON_LEN: usize = 200;

/// 201 with the answer and the session's address.
pub(super) fn created(collection: &str, answer: Answer) -> Result<Response, Problem> {
    let mut response = (StatusCode::CREATED, answer.sdp).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(SDP));
    headers.insert(ACCEPT_PATCH, HeaderValue::from_static(FRAGMENT));
    headers.insert(header::LOCATION, value(format!("/v1/{collection}/{}", answer.session))?);
    headers.insert(header::ETAG, value(format!("\"{}\"", answer.etag))?);
    if !answer.left_out.is_empty() {
        let reasons: Vec<String> = answer.left_out.iter().map(|text| quoted(text)).collect();
        headers.insert(LEFT_OUT, value(reasons.join(", "))?);
    }
    Ok(response)
}

/// 200 to OPTIONS, for preflights and discovery.
pub(super) fn options(methods: &'static str) -> Response {
    let accept = [(ACCEPT_POST, HeaderValue::from_static(SDP))];
    (StatusCode::OK, preflight(methods), accept).into_response()
}

/// 200 to OPTIONS on a session.
pub(super) fn session_options(methods: &'static str) -> Response {
    let accept = [(ACCEPT_PATCH, HeaderValue::from_static(FRAGMENT))];
    (StatusCode::OK, preflight(methods), accept).into_response()
}

pub(super) fn value(text: String) -> Result<HeaderValue, Problem> {
    HeaderValue::try_from(text).map_err(|_| Problem::Internal)
}

/// A string of RFC 8941: printable ASCII, with quotes and backslashes escaped.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars().take(MAX_REASON_LEN) {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            _ => out.push('?'),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_cannot_break_out_of_its_header() {
        assert_eq!(quoted("audio: AAC"), r#""audio: AAC""#);
        assert_eq!(quoted("a\"b\\c\r\nd"), r#""a\"b\\c??d""#);
        assert_eq!(quoted(&"x".repeat(MAX_REASON_LEN + 1)).len(), MAX_REASON_LEN + 2);
    }
}
