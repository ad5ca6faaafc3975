//! The sessions of the port, found by name, user fragment and address, and their one timer queue.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sightline_relay_proto::codec::TrackInfo;
use sightline_relay_proto::hub::{PublisherId, Selection, SubscriberId};
use sightline_relay_proto::ids::{DeviceId, StreamKey};
use sightline_relay_proto::webrtc::WebRtcPeer;
use slab::Slab;
use smallvec::SmallVec;

use crate::api::SessionId;
use crate::calm::rest_of;
use crate::lease::LeaseId;
use crate::port::PeerId;

/// Sessions of one worker, at most.
pub(super) const MAX_SESSIONS: usize = 20_000;
/// Bits of a peer's id that are its place in the slab.
const PLACE_BITS: u32 = 16;
const _: () = assert!(MAX_SESSIONS <= 1 << PLACE_BITS, "every session has a place of its own");
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

/// A session under its name.
struct Entry {
    peer: PeerId,
    session: Session,
}

/// The place of a peer's session in the slab.
fn place_of(peer: PeerId) -> usize {
    (peer.0 & ((1 << PLACE_BITS) - 1)) as usize
}

fn find(sessions: &mut Slab<Box<Entry>>, peer: PeerId) -> Option<&mut Session> {
    let entry = sessions.get_mut(place_of(peer)).filter(|entry| entry.peer == peer)?;
    Some(&mut entry.session)
}

/// Every session of the port.
#[derive(Default)]
pub(super) struct Sessions {
    /// Sessions begun so far.
    born: u64,
    /// By the lower bits of the peer's id. Boxed: a table of whole sessions would have room for as
    /// many again whenever it grows.
    sessions: Slab<Box<Entry>>,
    names: HashMap<SessionId, PeerId>,
    ufrags: HashMap<String, PeerId>,
    addresses: HashMap<SocketAddr, PeerId>,
    timers: BTreeSet<(Instant, PeerId)>,
    /// Viewers to which packets can flow.
    served: usize,
}

impl Sessions {
    /// The name of the session that is inserted next.
    pub(super) fn next_peer(&mut self) -> PeerId {
        self.born += 1;
        PeerId(self.born << PLACE_BITS | self.sessions.vacant_key() as u64)
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
        let place = self.sessions.insert(Box::new(Entry { peer, session }));
        debug_assert_eq!(place, place_of(peer), "the name was made for this place");
        self.name_generation(peer);
        self.arm(peer);
    }

    /// Enters the user fragment of a peer's current generation; the last but one goes.
    pub(super) fn name_generation(&mut self, peer: PeerId) {
        let Some(session) = find(&mut self.sessions, peer) else { return };
        let ufrag = session.peer.credentials().ufrag().to_owned();
        if session.ufrags.len() == GENERATIONS {
            self.ufrags.remove(&session.ufrags.remove(0));
        }
        session.ufrags.push(ufrag.clone());
        self.ufrags.insert(ufrag, peer);
    }

    pub(super) fn remove(&mut self, peer: PeerId) -> Option<Session> {
        self.get(peer)?;
        let Entry { session, .. } = *self.sessions.remove(place_of(peer));
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
        let entry = self.sessions.get(place_of(peer)).filter(|entry| entry.peer == peer)?;
        Some(&entry.session)
    }

    pub(super) fn get_mut(&mut self, peer: PeerId) -> Option<&mut Session> {
        find(&mut self.sessions, peer)
    }

    /// WHIP sessions of a device.
    pub(super) fn publishers_of(&self, device: &DeviceId) -> Vec<PeerId> {
        let publishes = |session: &Session| matches!(&session.role, Role::Publisher { key, .. } if key.device == *device);
        let entries = self.sessions.iter().map(|(_, entry)| entry);
        entries.filter(|entry| publishes(&entry.session)).map(|entry| entry.peer).collect()
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

    /// Books what a peer has become and sets its timer. It only ever moves forward in the queue: a
    /// deadline that has receded is noticed when the old one fires, so packets that merely extend it
    /// cost nothing here.
    pub(super) fn arm(&mut self, peer: PeerId) {
        let Some(session) = find(&mut self.sessions, peer) else { return };
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
        if let Some(session) = find(&mut self.sessions, peer) {
            session.armed = None;
        }
        Some(peer)
    }
}
