//! Sessions that were set up over HTTP: who may connect, for what, and for how long.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use sightline_grant::Thumbprint;
use sightline_relay_proto::frame::Mode;
use sightline_relay_proto::ids::{DeviceId, StreamKey};

use crate::api::{Publisher, RoqTrack, SessionId};
use crate::lease::LeaseId;
use crate::port::{IdMap, PeerId};

/// Time that a peer has to connect after its session was set up.
pub(super) const CONNECT_WAIT: Duration = Duration::from_secs(30);
/// Sessions without a connection, at most.
pub(super) const MAX_PENDING: usize = 1024;
/// Sessions of one key without a connection, at most.
pub(super) const MAX_PENDING_PER_KEY: usize = 16;
/// Sessions in all, at most.
pub(super) const MAX_SESSIONS: usize = 16 * 1024;
/// What follows the 32 hexadecimal digits of a session in its server name.
const NAME_SUFFIX: &str = ".roq.sightline.internal";

/// What a session is for.
#[derive(Debug)]
pub(super) enum Purpose {
    /// Watch; its lease started when the session was set up, and the stream was of this mode then.
    View { key: StreamKey, lease: LeaseId, mode: Mode },
    /// Feed.
    Publish { publisher: Publisher },
}

/// Where a session's peer comes in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Door {
    /// RTP over QUIC: the session's name is no secret, the peer proves the session's key.
    Roq,
    /// WebTransport: the session's name is a secret ticket, and proves the rest.
    Web,
}

/// One session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: SessionId,
    pub(super) door: Door,
    pub(super) purpose: Purpose,
    /// The only key that may connect.
    pub(super) key: Thumbprint,
    pub(super) tracks: Vec<RoqTrack>,
    /// Handle of the connection, while there is one.
    pub(super) connection: Option<usize>,
    /// When the session ends if nobody is connected then.
    deadline: Option<Instant>,
}

impl Session {
    /// Mode of the device that publishes here; `None` of a viewer.
    pub(super) fn publishes_in(&self) -> Option<Mode> {
        match &self.purpose {
            Purpose::Publish { publisher } => Some(publisher.sealed.into()),
            Purpose::View { .. } => None,
        }
    }
}

/// Every session of the port.
#[derive(Default)]
pub(super) struct Sessions {
    next: u64,
    by_peer: IdMap<PeerId, Session>,
    by_id: HashMap<SessionId, PeerId>,
    deadlines: BTreeSet<(Instant, PeerId)>,
}

impl Sessions {
    /// Whether a bound is reached.
    pub(super) fn is_full(&self) -> bool {
        self.deadlines.len() >= MAX_PENDING || self.by_peer.len() >= MAX_SESSIONS
    }

    /// The oldest waiting session of a key that has [`MAX_PENDING_PER_KEY`] of them.
    pub(super) fn oldest_beyond_bound(&self, key: Thumbprint) -> Option<PeerId> {
        let waiting = self.deadlines.iter().map(|(_, peer)| *peer);
        let of_key = |peer: &PeerId| self.by_peer.get(peer).is_some_and(|it| it.key == key);
        let mut of_key = waiting.filter(of_key);
        let oldest = of_key.next()?;
        (of_key.count() + 1 >= MAX_PENDING_PER_KEY).then_some(oldest)
    }

    /// Publishing sessions of a device, or all.
    pub(super) fn publishers_of(&self, device: Option<&DeviceId>) -> Vec<PeerId> {
        let publishes = |session: &Session| match &session.purpose {
            Purpose::Publish { publisher } => device.is_none_or(|it| publisher.key.device == *it),
            Purpose::View { .. } => false,
        };
        let found = self.by_peer.iter().filter(|(_, session)| publishes(session));
        found.map(|(peer, _)| *peer).collect()
    }

    /// The name of the next session's peer.
    pub(super) fn allot(&mut self) -> PeerId {
        self.next += 1;
        PeerId(self.next)
    }

    /// Enters a session that waits for its connection.
    pub(super) fn insert(
        &mut self,
        now: Instant,
        peer: PeerId,
        (id, door): (SessionId, Door),
        purpose: Purpose,
        key: Thumbprint,
        tracks: Vec<RoqTrack>,
    ) {
        let session = Session { id, door, purpose, key, tracks, connection: None, deadline: None };
        self.by_peer.insert(peer, session);
        self.by_id.insert(id, peer);
        self.wait(now, peer, CONNECT_WAIT);
    }

    /// The session has a connection.
    pub(super) fn connected(&mut self, peer: PeerId, connection: usize) {
        if let Some(session) = self.by_peer.get_mut(&peer) {
            session.connection = Some(connection);
            if let Some(deadline) = session.deadline.take() {
                self.deadlines.remove(&(deadline, peer));
            }
        }
    }

    /// The session has no connection, and ends after `time` without one.
    pub(super) fn wait(&mut self, now: Instant, peer: PeerId, time: Duration) {
        if let Some(session) = self.by_peer.get_mut(&peer) {
            session.connection = None;
            if let Some(deadline) = session.deadline.replace(now + time) {
                self.deadlines.remove(&(deadline, peer));
            }
            self.deadlines.insert((now + time, peer));
        }
    }

    pub(super) fn get(&self, peer: PeerId) -> Option<&Session> {
        self.by_peer.get(&peer)
    }

    /// The session of a server name.
    pub(super) fn by_server_name(&self, name: &str) -> Option<PeerId> {
        self.by_id(parse_server_name(name)?, Door::Roq)
    }

    /// The session of a name, if its peer comes in by this door.
    pub(super) fn by_id(&self, id: SessionId, door: Door) -> Option<PeerId> {
        let peer = *self.by_id.get(&id)?;
        self.get(peer).filter(|session| session.door == door).map(|_| peer)
    }

    pub(super) fn remove(&mut self, peer: PeerId) -> Option<Session> {
        let session = self.by_peer.remove(&peer)?;
        self.by_id.remove(&session.id);
        if let Some(deadline) = session.deadline {
            self.deadlines.remove(&(deadline, peer));
        }
        Some(session)
    }

    /// A session whose time to connect is over.
    pub(super) fn poll_expired(&self, now: Instant) -> Option<PeerId> {
        let (deadline, peer) = *self.deadlines.first()?;
        (deadline <= now).then_some(peer)
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }
}

/// Server name of a session.
pub(super) fn server_name(id: SessionId) -> String {
    format!("{:032x}{NAME_SUFFIX}", id.0)
}

pub(super) fn parse_server_name(name: &str) -> Option<SessionId> {
    let digits = name.strip_suffix(NAME_SUFFIX)?;
    let legal = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    if digits.len() != 32 || !digits.bytes().all(legal) {
        return None;
    }
    u128::from_str_radix(digits, 16).ok().map(SessionId)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_name_leads_back_to_its_session_and_nothing_else_does() {
        let id = SessionId(0x0123 << 96 | 7);
        assert_eq!(parse_server_name(&server_name(id)), Some(id));
        for name in ["", NAME_SUFFIX, "+123.roq.sightline.internal", "localhost"] {
            assert_eq!(parse_server_name(name), None, "{name}");
        }
        let long = format!("0{}", server_name(id));
        assert_eq!(parse_server_name(&long), None);
    }

    #[test]
    fn a_key_with_too_many_waiting_sessions_gives_up_its_oldest() {
        let now = Instant::now();
        let mut sessions = Sessions::default();
        let device = DeviceId::new("CAM-1").expect("legal");
        let key = StreamKey::up(device.clone(), sightline_relay_proto::ids::Channel(0));
        let mut first = None;
        for at in 0..MAX_PENDING_PER_KEY as u128 {
            assert_eq!(sessions.oldest_beyond_bound(Thumbprint([1; 32])), None);
            let peer = sessions.allot();
            first.get_or_insert(peer);
            let publisher = Publisher { key: key.clone(), sealed: false };
            let purpose = Purpose::Publish { publisher };
            let since = now + Duration::from_millis(at as u64);
            sessions.insert(
                since,
                peer,
                (SessionId(at), Door::Roq),
                purpose,
                Thumbprint([1; 32]),
                Vec::new(),
            );
        }
        assert_eq!(sessions.oldest_beyond_bound(Thumbprint([1; 32])), first);
        assert_eq!(sessions.oldest_beyond_bound(Thumbprint([2; 32])), None);
        assert_eq!(sessions.publishers_of(Some(&device)).len(), MAX_PENDING_PER_KEY);
    }

    #[test]
    fn a_session_expires_after_its_wait_and_not_while_connected() {
        let now = Instant::now();
        let mut sessions = Sessions::default();
        let peer = sessions.allot();
        let publisher = Publisher {
            key: StreamKey::up(
                DeviceId::new("CAM-1").expect("legal"),
                sightline_relay_proto::ids::Channel(0),
            ),
            sealed: false,
        };
        let purpose = Purpose::Publish { publisher };
        sessions.insert(
            now,
            peer,
            (SessionId(1), Door::Web),
            purpose,
            Thumbprint([0; 32]),
            Vec::new(),
        );
        let end = now + CONNECT_WAIT;
        assert_eq!(sessions.poll_expired(end - Duration::from_millis(1)), None);
        assert_eq!(sessions.poll_expired(end), Some(peer));
        assert_eq!(sessions.by_id(SessionId(1), Door::Web), Some(peer));
        assert_eq!(sessions.by_id(SessionId(1), Door::Roq), None, "the other door");
        assert_eq!(sessions.by_server_name(&server_name(SessionId(1))), None);
        sessions.connected(peer, 0);
        assert_eq!(sessions.poll_expired(end), None);
        sessions.wait(now, peer, Duration::from_secs(1));
        assert_eq!(sessions.poll_timeout(), Some(now + Duration::from_secs(1)));
        assert!(sessions.remove(peer).is_some());
        assert_eq!(sessions.by_id(SessionId(1), Door::Web), None);
    }
}
