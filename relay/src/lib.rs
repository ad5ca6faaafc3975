//! The I/O shell of the media plane: sockets, timers and threads around `sightline-relay-proto`.
//!
//! One worker thread owns its sockets, its viewers and its timers. The rest of the process talks to
//! it through [`RelayHandle`], whose commands cross a bounded queue. See `worker.rs` for the loop,
//! and one file per transport for the ports: `webrtc.rs`, `rtsp.rs`, `roq.rs`.

pub mod admit;
#[cfg(test)]
mod allocations;
pub mod api;
mod calm;
pub mod config;
mod delay;
mod feed;
mod handle;
pub mod lease;
mod port;
pub mod roq;
pub mod rtsp;
mod subscribers;
mod udp;
pub mod webrtc;
mod worker;

pub use api::*;
pub use config::RelayConfig;
pub use handle::{Feed, Relay, RelayHandle, RelayStats, StartError, ViewError};
