//! Status codes and answers.

use std::borrow::Cow;
use std::fmt::Write as _;

/// A refusal with a text for the user, which goes into the reason phrase.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// Status code.
    pub status: u16,
    /// What is wrong, in a few words.
    pub text: Cow<'static, str>,
}

impl Refusal {
    /// A refusal.
    pub fn new(status: u16, text: impl Into<Cow<'static, str>>) -> Self {
        Self { status, text: text.into() }
    }
}

/// Standard phrase of a status (RFC 2326, 7.1.1).
fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Request Entity Too Large",
        415 => "Unsupported Media Type",
        451 => "Parameter Not Understood",
        453 => "Not Enough Bandwidth",
        454 => "Session Not Found",
        455 => "Method Not Valid in This State",
        461 => "Unsupported Transport",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        551 => "Option Not Supported",
        _ => "Error",
    }
}

/// One answer as it goes out.
pub(super) struct Answer {
    text: String,
}

impl Answer {
    pub(super) fn new(status: u16, cseq: Option<u32>) -> Self {
        Self::with_text(status, cseq, "")
    }

    pub(super) fn with_text(status: u16, cseq: Option<u32>, text: &str) -> Self {
        let mut out = format!("RTSP/1.0 {status} {}", phrase(status));
        if !text.is_empty() {
            // Only printable ASCII belongs into a status line.
            let clean = |c: char| if (' '..='~').contains(&c) { c } else { '?' };
            out.push_str(": ");
            out.extend(text.chars().take(200).map(clean));
        }
        out.push_str("\r\n");
        if let Some(cseq) = cseq {
            let _ = write!(out, "CSeq: {cseq}\r\n");
        }
        out.push_str("Server: Sightline\r\n");
        Self { text: out }
    }

    pub(super) fn header(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        let _ = write!(self.text, "{name}: {value}\r\n");
        self
    }

    pub(super) fn empty(mut self) -> String {
        self.text.push_str("\r\n");
        self.text
    }

    pub(super) fn body(self, body: &str) -> String {
        let mut text = self.header("Content-Length", body.len()).empty();
        text.push_str(body);
        text
    }
}
