//! The camera's and the viewer's side of Sightline: keys, the HTTP API, publishing and watching
//! over RTP over QUIC, watching over WebTransport, WHEP and RTSP, pulling from RTSP cameras, and clips as sources.
//! Keys and frames of sealed video are in [`keys`] and [`sealed`]; `KEYS.md` has their formats.
//!
//! Used by the camera agent, the load tool and the tests.

pub mod annexb;
pub mod api;
pub mod file;
pub mod identity;
pub mod keys;
pub mod lan;
pub mod news;
mod private_file;
pub mod publish;
pub mod pull;
mod quic;
pub mod retry;
pub mod rtsp;
pub mod sealed;
pub mod secret;
pub mod sframe;
pub mod source;
pub mod target;
pub mod testcard;
pub mod watch;
pub mod web;
pub mod whep;
pub mod wire;
pub mod work;

pub use identity::Identity;
pub use quic::{Pictures, Roots, SessionTarget};
pub use quinn::Endpoint;
pub use secret::DeviceSecret;
