//! What the tests of gate and revocation share: the real server on free ports of loopback, and
//! cameras, terminals and viewers that run inside the test and count every packet.
//!
//! Each test program uses a part of it.
#![allow(dead_code, unreachable_pub)]

pub mod camera;
pub mod rtsp;
pub mod server;
pub mod socket;
pub mod terminal;
pub mod watching;

/// An egress of the server.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Egress {
    Whep,
    RtspTcp,
    RtspUdp,
    Rtsps,
    Roq,
    WebTransport,
    WebSocket,
}

impl Egress {
    pub const ALL: [Self; 7] = [
        Self::Whep,
        Self::RtspTcp,
        Self::RtspUdp,
        Self::Rtsps,
        Self::Roq,
        Self::WebTransport,
        Self::WebSocket,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Whep => "WHEP",
            Self::RtspTcp => "RTSP TCP",
            Self::RtspUdp => "RTSP UDP",
            Self::Rtsps => "RTSPS",
            Self::Roq => "RoQ",
            Self::WebTransport => "WebTransport",
            Self::WebSocket => "WebSocket",
        }
    }
}
