//! RTSP 1.0 (RFC 2326), the server's side of one TCP connection, without I/O.
//!
//! [`RtspConnection`] takes bytes, gives [`Event`]s and takes the shell's answers to those that ask
//! something. A session lives and dies with its connection: a session id is worth nothing elsewhere.

mod answer;
mod authorise;
mod connection;
pub mod digest;
mod framer;
mod login;
mod reception;
mod requests;
mod setup;
#[cfg(test)]
mod tests;
mod transport;
mod url;

pub use answer::Refusal;
pub use connection::{Event, Lower, Role, RtspConnection, Settings, TrackSetup};
pub use framer::{MAX_BODY, MAX_BUFFERED, MAX_HEAD};
pub use reception::Reception;
pub use url::StreamPath;

use std::time::Duration;

/// Time from the connection to the first request that passes the login.
pub const LOGIN_TIMEOUT: Duration = Duration::from_secs(10);
/// Session timeout that clients are told.
pub const SESSION_TIMEOUT: Duration = Duration::from_secs(60);
/// Silence (no request, no RTCP, no progress of media) after which a session ends.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(65);
/// Life of a nonce; an older one is answered with `stale=true`.
pub const NONCE_LIFE: Duration = Duration::from_secs(120);
/// Failed logins of one connection; with the last one it is closed.
pub const MAX_FAILURES: u32 = 5;
/// Requests of one connection before its login.
pub const MAX_REQUESTS_BEFORE_LOGIN: u32 = 32;
