//! Preview within a camera's own network, which works while the server is away.
//!
//! The viewer connects to the camera by TCP. The camera greets with `SLAN1` and 32 random bytes; the
//! viewer answers with one line of JSON, a LAN grant ([`sightline_grant::lan`]) and a proof of the
//! terminal's key (RFC 9449) for the method `LAN`, the path `/lan/SERIAL/CHANNEL`, the grant, and the
//! random bytes as its `jti` in base64url. The camera verifies both by itself and sends messages:
//! a length of four bytes (big endian, of what follows it), a kind, and the body.
//!
//! | kind | body |
//! |---|---|
//! | 0 | refused; the reason as text, then the end |
//! | 1 | a generation: what the camera signed and wrapped for its viewers (`KEYS.md`) |
//! | 2 | a frame: track (1 byte), begins a picture group (1), RTP timestamp (4, big endian), sealed frame |
//!
//! Only sealed frames go this way, so the connection needs no secrecy of its own: without a place on
//! the owner's list of viewers nothing opens.

pub mod camera;
pub mod viewer;

use serde::{Deserialize, Serialize};

pub use camera::LanHub;
pub use viewer::{LanError, LanFrame, LanMessage, LanViewer};

/// Begins a camera's greeting.
const GREETING: &[u8; 5] = b"SLAN1";
/// Random bytes behind it.
const NONCE_LEN: usize = 32;
/// Longest answer of a viewer, bytes.
const MAX_HELLO: usize = 4096;
/// Longest message, bytes: the largest frame and what stands before it.
const MAX_MESSAGE: usize = 4 * 1024 * 1024 + 1024;
/// Bytes of a frame's message before the sealed frame.
const FRAME_HEAD: usize = 6;
/// What the proof is for, in the place of an HTTP method.
const METHOD: &str = "LAN";

const REFUSED: u8 = 0;
const GENERATION: u8 = 1;
const FRAME: u8 = 2;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hello {
    grant: String,
    proof: String,
}

fn path(serial: &str, channel: u16) -> String {
    format!("/lan/{serial}/{channel}")
}

fn message(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    let len = 1 + parts.iter().map(|part| part.len()).sum::<usize>();
    let head = u32::try_from(len).expect("a message is far below 4 GiB").to_be_bytes();
    [&head[..], &[kind], &parts.concat()].concat()
}

#[cfg(test)]
mod tests;
