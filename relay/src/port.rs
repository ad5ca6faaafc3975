//! What a transport port is to the worker: the calls it must have and what it may touch.
//!
//! A port owns its sockets and its peers. Ports are plain structs with these methods:
//! - `handle_io(&mut self, cx, token, readable, writable)` when a socket of its is ready;
//! - `handle_command(&mut self, cx, command)` for what [`crate::RelayHandle`] asks;
//! - `poll_timeout(&self) -> Option<Instant>` and `handle_timeout(&mut self, cx)`;
//! - `look_ahead(&self, peer)` for ports with many viewers, before several of them are served: read
//!   what serving will need, so that the waits for memory overlap;
//! - `deliver(&mut self, cx, peer, subscriber)` when the hub has frames due for a viewer: drain
//!   `cx.hub.poll_delivery(now, subscriber)` unless the transport is full; ports that gather
//!   datagrams of several viewers send them in `flush(&mut self)` after the last of them;
//! - `request_keyframe(&mut self, cx, peer, track)` for a publisher;
//! - `close(&mut self, cx, peer, reason)` to end a peer at once, its queued bytes discarded.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use mio::Token;
use sightline_relay_proto::frame::Mode;
use sightline_relay_proto::hub::{Hub, Publication, PublishError, PublisherId};
use sightline_relay_proto::ids::StreamKey;
use sightline_relay_proto::transmit::Arena;

use crate::api::MediaError;
use crate::crew::{Company, WorkerIndex};
use crate::lease::{LeaseId, LeaseTable};
use crate::subscribers::Subscribers;

/// Which port a peer or token belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum PortKind {
    /// WHIP and WHEP sessions.
    WebRtc,
    /// RTSP connections.
    Rtsp,
    /// RTP over QUIC connections.
    Roq,
    /// In-process publishers (RTSP pull).
    Feed,
    /// WebSocket viewers.
    WebSocket,
}

/// A peer of a port. Never reused within a port's life.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct PeerId(pub(crate) u64);

/// Why a peer is closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CloseReason {
    /// Its lease was revoked or could not be renewed.
    LeaseEnded,
    /// The stream has ended.
    StreamEnded,
    /// Another connection of the same device took over.
    Replaced,
    /// The publishing credential was taken back.
    CredentialEnded,
    /// The device seals now, or does not any more.
    ModeChanged,
    /// The server stops.
    Shutdown,
}

/// A socket that cannot be bound, with the configuration key of its address.
#[derive(Debug)]
pub(crate) struct BindFailed {
    pub(crate) key: &'static str,
    pub(crate) address: SocketAddr,
    pub(crate) source: io::Error,
}

impl BindFailed {
    /// For `map_err`.
    pub(crate) fn at(key: &'static str, address: SocketAddr) -> impl Fn(io::Error) -> Self {
        move |source| Self { key, address, source }
    }
}

/// A map by ids that we give out ourselves: no stranger picks them, so they need no keyed hash.
pub(crate) type IdMap<K, V> = HashMap<K, V, BuildHasherDefault<IdHasher>>;

/// Spreads a counting id over all bits (multiplication by the golden ratio).
#[derive(Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, id: u64) {
        self.0 = (self.0 ^ id).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }
}

/// Who stands behind subscribers, publishers and leases.
#[derive(Default)]
pub(crate) struct Directory {
    pub(crate) subscribers: Subscribers,
    pub(crate) publishers: IdMap<PublisherId, (PortKind, PeerId)>,
    pub(crate) leases: IdMap<LeaseId, (PortKind, PeerId)>,
}

/// What a port may touch while it handles something.
pub(crate) struct Cx<'a> {
    pub(crate) now: Instant,
    pub(crate) hub: &'a mut Hub,
    pub(crate) leases: &'a mut LeaseTable,
    /// A port enters each subscriber, publisher and lease that it opens, and removes it at the end.
    pub(crate) directory: &'a mut Directory,
    pub(crate) registry: &'a mio::Registry,
    /// Scratch for outgoing datagrams; empty at entry, flushed by the port itself.
    pub(crate) arena: &'a mut Arena,
    /// Questions to the asynchronous side.
    pub(crate) questions: &'a Questions,
    /// The other workers.
    pub(crate) company: &'a mut Company,
}

impl Cx<'_> {
    /// Makes a stream known to the hub if it is at home with another worker. Comes before any
    /// question about a stream that a viewer asks for.
    pub(crate) fn look_up(&mut self, key: &StreamKey) {
        self.company.look_up(self.now, self.hub, key);
    }

    /// Starts a publication; the stream is at home here from now on.
    pub(crate) fn publish(
        &mut self,
        publication: Publication,
    ) -> Result<PublisherId, PublishError> {
        let key = publication.key.clone();
        let publisher = self.hub.publish(self.now, publication)?;
        self.company.settle(self.hub, key, publisher);
        Ok(publisher)
    }
}

/// Viewers over WebRTC and RTSP could open no sealed frame, so a sealed camera's stream is refused
/// there with its own reason.
pub(crate) fn refuse_sealed(hub: &Hub, key: &StreamKey) -> Result<(), MediaError> {
    match hub.mode(key) {
        Some(Mode::Sealed) => Err(MediaError::SealedStream),
        Some(Mode::Open) | None => Ok(()),
    }
}

/// A question that needs the database. The answer comes back as a command.
pub(crate) enum Question {
    /// Who is this RTSP user?
    RtspPublisher {
        /// Its worker.
        worker: WorkerIndex,
        /// The connection that waits.
        peer: PeerId,
        /// User name of its `Authorization` header.
        user: String,
    },
}

/// Bounded way to the asynchronous side.
pub(crate) struct Questions {
    sender: tokio::sync::mpsc::Sender<Question>,
}

impl Questions {
    pub(crate) fn new(sender: tokio::sync::mpsc::Sender<Question>) -> Self {
        Self { sender }
    }

    /// Asks; `false` if too many questions wait, so the peer gets a 503.
    #[must_use]
    pub(crate) fn ask(&self, question: Question) -> bool {
        self.sender.try_send(question).is_ok()
    }
}

/// Tokens carry their port in the upper bits.
impl PortKind {
    const SHIFT: u32 = 56;

    pub(crate) fn token(self, index: usize) -> Token {
        Token(((self as usize) + 1) << Self::SHIFT | index)
    }

    pub(crate) fn of(token: Token) -> Option<(Self, usize)> {
        let index = token.0 & ((1 << Self::SHIFT) - 1);
        let kind = match token.0 >> Self::SHIFT {
            1 => Self::WebRtc,
            2 => Self::Rtsp,
            3 => Self::Roq,
            4 => Self::Feed,
            5 => Self::WebSocket,
            _ => return None,
        };
        Some((kind, index))
    }
}
