//! Connections by their handles: whose they are, what waits for them and how many there are.

use std::time::{Duration, Instant};

use quinn_proto::{Connection, ConnectionHandle};

use super::patience::Patience;
use super::publisher::Feed;
use super::viewer::Viewer;
use super::web::Web;
use crate::calm::{ACK_REST, rest_of};
use crate::port::PeerId;

/// How long the socket may rest beside a publisher, whose frames then wait as long: a thousand viewers
/// acknowledge at every moment, and each wake for them costs as much as a frame for one of them.
const REST_BESIDE_PUBLISHER: Duration = Duration::from_millis(4);

/// One QUIC connection.
pub(super) struct Peer {
    pub(super) handle: ConnectionHandle,
    pub(super) quic: Connection,
    /// The session, once the peer is known and until it is detached.
    pub(super) session: Option<PeerId>,
    pub(super) half: Half,
    /// Still counted as a stranger.
    pub(super) stranger: bool,
    /// In the queue of those that wait for the socket.
    pub(super) queued: bool,
    /// Bytes of media that were handed over and are not sent.
    pub(super) unsent: u64,
}

/// What a connection is for.
pub(super) enum Half {
    /// Not known yet, or closing: nothing of it is read.
    Nobody,
    Viewer(Box<Viewer>),
    Publisher(Box<Feed>),
    /// A browser: a viewer, or one who is not let in yet.
    Web(Box<Web>),
}

impl Half {
    /// A viewer who takes all that it is given.
    pub(super) fn is_at_ease(&self) -> bool {
        match self {
            Self::Viewer(viewer) => viewer.is_at_ease(),
            Self::Web(web) => web.is_at_ease(),
            Self::Nobody | Self::Publisher(_) => false,
        }
    }

    /// Bytes of media handed to the connection since the last call, and whether some were taken
    /// back.
    pub(super) fn take_handed(&mut self) -> (u64, bool) {
        match self {
            Self::Viewer(viewer) => {
                (std::mem::take(&mut viewer.handed), std::mem::take(&mut viewer.taken_back))
            }
            Self::Web(web) => web.take_handed(),
            Self::Nobody | Self::Publisher(_) => (0, false),
        }
    }
}

/// Every connection, by its handle.
pub(super) struct Connections {
    slots: Vec<Option<Box<Peer>>>,
    pub(super) patience: Patience,
    /// Connections with more to send than the socket took.
    pub(super) waiting: Vec<usize>,
    pub(super) strangers: usize,
    pub(super) publishers: usize,
    pub(super) viewers: usize,
}

impl Connections {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            slots: Vec::new(),
            patience: Patience::new(now),
            waiting: Vec::new(),
            strangers: 0,
            publishers: 0,
            viewers: 0,
        }
    }

    /// How long the socket may rest.
    pub(super) fn rest(&self) -> Duration {
        match (self.viewers, self.strangers, self.publishers) {
            (1.., 0, 1..) => REST_BESIDE_PUBLISHER,
            (viewers, strangers, _) => rest_of(viewers, strangers).min(ACK_REST),
        }
    }

    pub(super) fn put(&mut self, peer: Box<Peer>) {
        let at = peer.handle.0;
        if self.slots.len() <= at {
            self.slots.resize_with(at + 1, || None);
        }
        self.slots[at] = Some(peer);
    }

    /// A connection, after what waited for it.
    pub(super) fn awake(&mut self, handle: usize) -> Option<&mut Peer> {
        let peer = self.slots.get_mut(handle)?.as_mut()?;
        for datagram in self.patience.take(handle) {
            peer.quic.handle_event(datagram);
        }
        Some(peer)
    }

    pub(super) fn take(&mut self, handle: usize) -> Option<Box<Peer>> {
        self.slots.get_mut(handle)?.take()
    }
}
