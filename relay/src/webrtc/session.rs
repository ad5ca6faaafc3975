//! The sessions of the port, found by name, user fragment and address, and their one timer queue.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sightline_relay_proto::codec::TrackInfo;
use sightline_relay_proto::hub::{PublisherId, Selection, SubscriberId};
use sightline_relay_proto::ids::{DeviceId, StreamKey};
use sightline_relay_proto::webrtc::WebRtcPeer;
use smallvec::SmallVec;

use crate::api::SessionId;
use crate::calm::rest_of;
use crate::lease::LeaseId;
use crate::port::{IdMap, PeerId};

/// Sessions of one worker, at most.
pub(super) const MAX_SESSIONS: usize = 20_000;
/// ICE generations whose checks may still come.
const GENERATIONS: usize = 2;

/// What a session is for.
pub(super) enum Role {
    /// WHEP.
    Viewer {
        key: StreamKey,
        selection: Selection,
        lease: LeaseId,
        /// Set once packets can flow.
        subscriber: Option<SubscriberId>,
    },
    /// WHIP.
    Publisher {
        key: StreamKey,
        tracks: Vec<TrackInfo>,
        takes_keyframe_requests: bool,
        /// Set once packets can flow.
        id: Option<PublisherId>,
    },
}

/// One session.
pub(super) struct Session {
    pub(super) id: SessionId,
    pub(super) peer: WebRtcPeer,
    pub(super) role: Role,
    /// Entity tag of the ICE generation.
    pub(super) etag: String,
    pub(super) restarted: bool,
    /// Media word and mid of the first agreed section, for fragments.
    pub(super) head: (String, String),
    ufrags: SmallVec<[String; GENERATIONS]>,
    /// Counted among the viewers that are served.
    served: bool,
    armed: Option<Instant>,
}

impl Session {
    pub(super) fn new(
        id: SessionId,
        peer: WebRtcPeer,
        role: Role,
        etag: String,
        head: (String, String),
    ) -> Self {
        let ufrags = SmallVec::new();
        Self { id, peer, role, etag, restarted: false, head, ufrags, served: false, armed: None }
    }
}

impl Session {
    fn is_served(&self) -> bool {
        matches!(self.role, Role::Viewer { subscriber: Some(_), .. })
    }
}

/// Every session of the port.
#[derive(Default)]
pub(super) struct Sessions {
    next: u64,
    sessions: IdMap<PeerId, Session>,
    names: HashMap<SessionId, PeerId>,
    ufrags: HashMap<String, PeerId>,
    addresses: HashMap<SocketAddr, PeerId>,
    timers: BTreeSet<(Instant, PeerId)>,
    /// Viewers to which packets can flow.
    served: usize,
}

impl Sessions {
    /// The name that the next session gets.
    pub(super) fn next_peer(&mut self) -> PeerId {
        self.next += 1;
        PeerId(self.next)
    }

    pub(super) fn is_full(&self) -> bool {
        self.sessions.len() >= MAX_SESSIONS
    }

    /// How long the socket may rest.
    pub(super) fn rest(&self) -> Duration {
        rest_of(self.served, self.sessions.len() - self.served)
    }

    pub(super) fn insert(&mut self, peer: PeerId, session: Session) {
        self.names.insert(session.id, peer);
        self.sessions.insert(peer, session);
        self.name_generation(peer);
        self.arm(peer);
    }

    /// Enters the user fragment of a peer's current generation; the last but one goes.
    pub(super) fn name_generation(&mut self, peer: PeerId) {
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        let ufrag = session.peer.credentials().ufrag().to_owned();
        if session.ufrags.len() == GENERATIONS {
            self.ufrags.remove(&session.ufrags.remove(0));
        }
        session.ufrags.push(ufrag.clone());
        self.ufrags.insert(ufrag, peer);
    }

    pub(super) fn remove(&mut self, peer: PeerId) -> Option<Session> {
        let session = self.sessions.remove(&peer)?;
        self.names.remove(&session.id);
        self.served -= usize::from(session.served);
        for ufrag in &session.ufrags {
            self.ufrags.remove(ufrag);
        }
        for path in session.peer.paths() {
            self.forget(*path, peer);
        }
        if let Some(at) = session.armed {
            self.timers.remove(&(at, peer));
        }
        Some(session)
    }

    pub(super) fn get(&self, peer: PeerId) -> Option<&Session> {
        self.sessions.get(&peer)
    }

    pub(super) fn get_mut(&mut self, peer: PeerId) -> Option<&mut Session> {
        self.sessions.get_mut(&peer)
    }

    /// WHIP sessions of a device.
    pub(super) fn publishers_of(&self, device: &DeviceId) -> Vec<PeerId> {
        let publishes = |session: &Session| matches!(&session.role, Role::Publisher { key, .. } if key.device == *device);
        let found = self.sessions.iter().filter(|(_, session)| publishes(session));
        found.map(|(peer, _)| *peer).collect()
    }

    pub(super) fn by_name(&self, id: SessionId) -> Option<PeerId> {
        self.names.get(&id).copied()
    }

    pub(super) fn by_ufrag(&self, ufrag: &str) -> Option<PeerId> {
        self.ufrags.get(ufrag).copied()
    }

    pub(super) fn by_address(&self, address: SocketAddr) -> Option<PeerId> {
        self.addresses.get(&address).copied()
    }

    /// An address proved itself for a peer. A NAT may give one to another peer later: the latest
    /// proof counts.
    pub(super) fn learn(&mut self, address: SocketAddr, peer: PeerId) {
        self.addresses.insert(address, peer);
    }

    pub(super) fn forget(&mut self, address: SocketAddr, peer: PeerId) {
        if self.addresses.get(&address) == Some(&peer) {
            self.addresses.remove(&address);
        }
    }

    /// Books what a peer has become and sets its timer. It only ever moves forward in the queue: a deadline that has receded
    /// is noticed when the old one fires, so packets that merely extend it cost nothing here.
    pub(super) fn arm(&mut self, peer: PeerId) {
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        if session.is_served() && !std::mem::replace(&mut session.served, true) {
            self.served += 1;
        }
        let Some(deadline) = session.peer.poll_timeout() else { return };
        if session.armed.is_some_and(|armed| armed <= deadline) {
            return;
        }
        if let Some(before) = session.armed.replace(deadline) {
            self.timers.remove(&(before, peer));
        }
        self.timers.insert((deadline, peer));
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// The next peer whose timer has fired; it must be armed again.
    pub(super) fn poll_due(&mut self, now: Instant) -> Option<PeerId> {
        let (at, peer) = *self.timers.first()?;
        if at > now {
            return None;
        }
        self.timers.pop_first();
        if let Some(session) = self.sessions.get_mut(&peer) {
            session.armed = None;
        }
        Some(peer)
    }
}
