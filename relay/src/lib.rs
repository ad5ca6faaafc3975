//! The I/O shell of the media plane: sockets, timers and threads around `sightline-relay-proto`.
//!
//! A worker thread owns its sockets, its viewers and its timers. The rest of the process talks to
//! the workers through [`RelayHandle`], whose commands cross bounded queues. See `worker.rs` for the
//! loop, `crew.rs` for what workers tell each other, and one file per transport for the ports: `webrtc.rs`, `rtsp.rs`, `roq.rs`,
//! `websocket.rs`.

pub mod admit;
#[cfg(test)]
mod allocations;
pub mod api;
mod calm;
pub mod config;
mod crew;
mod delay;
mod feed;
mod handle;
mod items;
pub mod lease;
mod port;
pub mod roq;
pub mod rtsp;
mod start;
mod subscribers;
mod udp;
pub mod webrtc;
mod websocket;
mod worker;

pub use api::*;
pub use config::RelayConfig;
pub use handle::{Feed, RelayHandle, RelayStats, ViewError};
pub use start::{Relay, StartError};
pub use websocket::{SocketEnd, SocketFeed};
