//! The WebRTC port: one UDP socket for every WHIP and WHEP session of a worker.
//!
//! A datagram finds its session by the user fragment we gave out (STUN), else by its source
//! address, which counts only after an authentic STUN check. Everything else is dropped unseen.

mod certificate;
mod command;
mod session;
mod socket;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mio::Token;
use sightline_relay_proto::frame::Mode;
use sightline_relay_proto::hub::{Hub, Publication, SubscriberId};
use sightline_relay_proto::ids::{DeviceId, TrackIndex};
use sightline_relay_proto::transmit::Arena;
use sightline_relay_proto::webrtc::{BindingRequest, DtlsIdentity, PeerEvent, WebRtcPeer};

pub(crate) use self::command::WebRtcCommand;
use self::session::{Role, Session, Sessions};
use self::socket::Socket;
use crate::calm::Asking;
use crate::config::RelayConfig;
use crate::port::{CloseReason, Cx, PeerId, PortKind};
use crate::udp::FLUSH_BYTES;

/// The port.
pub(crate) struct WebRtcPort {
    socket: Socket,
    candidates: Vec<SocketAddr>,
    identity: DtlsIdentity,
    sessions: Sessions,
    /// Media of the viewers that were served in this turn.
    media: Arena,
    asking: Asking,
}

impl WebRtcPort {
    /// Binds the socket, whose readiness `calm` tells, and makes the DTLS certificate.
    pub(crate) fn bind(config: &RelayConfig, calm: &mio::Registry) -> io::Result<Self> {
        let socket = Socket::bind(config.webrtc, calm, PortKind::WebRtc.token(0))?;
        let local = socket.local_addr();
        let reachable = config.public_addresses.iter().filter(|ip| socket.reaches(ip));
        let candidates: Vec<_> = reachable.map(|ip| SocketAddr::new(*ip, local.port())).collect();
        if candidates.is_empty() {
            let text = "no public address has the address family of the WebRTC socket";
            return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, text));
        }
        let identity = certificate::make()?;
        let media = Arena::with_capacity(2 * FLUSH_BYTES);
        Ok(Self {
            socket,
            candidates,
            identity,
            sessions: Sessions::default(),
            media,
            asking: Asking::default(),
        })
    }

    /// Where the socket listens.
    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.socket.local_addr()
    }

    /// How long the socket may rest.
    pub(crate) fn rest(&self, now: Instant) -> Duration {
        self.asking.shorten(now, self.sessions.rest())
    }

    /// Reads what has come. Sends never wait for readiness: a full socket drops.
    pub(crate) fn handle_io(
        &mut self,
        cx: &mut Cx<'_>,
        token: Token,
        readable: bool,
        _writable: bool,
    ) {
        if !readable {
            return;
        }
        let mut batch = self.socket.take_batch();
        while self.socket.receive(&mut batch) {
            for (from, datagram) in batch.datagrams() {
                self.handle_datagram(cx, from, datagram);
            }
        }
        if batch.is_cut_short() {
            self.socket.read_on(token);
        }
        self.socket.give_back(batch);
    }

    fn handle_datagram(&mut self, cx: &mut Cx<'_>, from: SocketAddr, datagram: &[u8]) {
        let Some(first) = datagram.first() else { return };
        let peer = match first {
            0..=3 => self.handle_check(cx, from, datagram),
            20..=63 | 128..=191 => self.handle_sealed(cx, from, datagram),
            _ => None,
        };
        if let Some(peer) = peer {
            self.pump(cx, peer);
        }
    }

    fn handle_check(
        &mut self,
        cx: &mut Cx<'_>,
        from: SocketAddr,
        datagram: &[u8],
    ) -> Option<PeerId> {
        let request = BindingRequest::parse(datagram)?;
        let peer = self.sessions.by_ufrag(request.local_ufrag())?;
        let session = self.sessions.get_mut(peer)?;
        let check = session.peer.handle_check(cx.now, from, &request, cx.arena);
        if let Some(check) = check {
            if let Some(learned) = check.learned {
                self.sessions.learn(learned, peer);
            }
            if let Some(forgotten) = check.forgotten {
                self.sessions.forget(forgotten, peer);
            }
        }
        Some(peer)
    }

    fn handle_sealed(
        &mut self,
        cx: &mut Cx<'_>,
        from: SocketAddr,
        datagram: &[u8],
    ) -> Option<PeerId> {
        let peer = self.sessions.by_address(from)?;
        let session = self.sessions.get_mut(peer)?;
        let media = session.peer.handle_datagram(cx.now, from, datagram, cx.arena);
        if let (Some((track, packet)), Role::Publisher { id: Some(publisher), .. }) =
            (media, &session.role)
        {
            cx.hub.handle_rtp(cx.now, *publisher, track, packet);
        }
        Some(peer)
    }

    /// What the rest of the process asks for.
    pub(crate) fn handle_command(&mut self, cx: &mut Cx<'_>, command: WebRtcCommand) {
        match command {
            WebRtcCommand::View { id, admitted, offer, reply } => {
                // A caller that has gone leaves a session that times out.
                let _ = reply.send(self.view(cx, id, admitted, &offer));
            }
            WebRtcCommand::Publish { id, publisher, offer, reply } => {
                let _ = reply.send(self.publish(cx, id, publisher, &offer));
            }
            WebRtcCommand::Patch { id, if_match, fragment, reply } => {
                let _ = reply.send(self.patch(id, if_match.as_deref(), &fragment));
            }
            WebRtcCommand::Delete { id, reply } => {
                let _ = reply.send(self.delete(cx, id));
            }
        }
    }

    /// When [`Self::handle_timeout`] is due.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.sessions.next_deadline()
    }

    /// Time has passed.
    pub(crate) fn handle_timeout(&mut self, cx: &mut Cx<'_>) {
        let due: Vec<PeerId> = std::iter::from_fn(|| self.sessions.poll_due(cx.now)).collect();
        for peer in due {
            if let Some(session) = self.sessions.get_mut(peer) {
                session.peer.handle_timeout(cx.now, cx.arena);
            }
            self.pump(cx, peer);
        }
    }

    /// A viewer is served soon: see [`WebRtcPeer::look_ahead`].
    pub(crate) fn look_ahead(&self, peer: PeerId) {
        if let Some(session) = self.sessions.get(peer) {
            session.peer.look_ahead();
        }
    }

    /// Sends a viewer its due frames.
    pub(crate) fn deliver(&mut self, cx: &mut Cx<'_>, peer: PeerId, subscriber: SubscriberId) {
        let Some(session) = self.sessions.get_mut(peer) else {
            return cx.hub.unsubscribe(subscriber);
        };
        let mut nearer = false;
        while let Some(delivery) = cx.hub.poll_delivery(cx.now, subscriber) {
            nearer |= session.peer.send(cx.now, &delivery, &mut self.media);
            if self.media.len() >= FLUSH_BYTES {
                self.socket.flush(&mut self.media);
            }
        }
        while let Some(track) = session.peer.poll_early_report(cx.now) {
            report(&mut session.peer, cx.now, cx.hub, (subscriber, track), &mut self.media);
        }
        if nearer {
            self.sessions.arm(peer);
        }
    }

    /// Whether no media waits for [`Self::flush`].
    pub(crate) fn is_flushed(&self) -> bool {
        self.media.is_empty()
    }

    /// All viewers that had frames were served.
    pub(crate) fn flush(&mut self) {
        self.socket.flush(&mut self.media);
    }

    /// Asks a publisher for a keyframe.
    pub(crate) fn request_keyframe(&mut self, cx: &mut Cx<'_>, peer: PeerId, track: TrackIndex) {
        if let Some(session) = self.sessions.get_mut(peer) {
            session.peer.request_keyframe(cx.now, track, cx.arena);
        }
        self.settle(cx, peer);
    }

    /// Ends a session at once, with a goodbye.
    pub(crate) fn close(&mut self, cx: &mut Cx<'_>, peer: PeerId, reason: CloseReason) {
        if let Some(session) = self.sessions.get(peer) {
            tracing::info!(session = ?session.id, ?reason, "webrtc session closed");
        }
        self.remove(cx, peer);
    }

    /// Ends every WHIP session of a device, connected or not.
    pub(crate) fn end_publishers(&mut self, cx: &mut Cx<'_>, device: &DeviceId) {
        for peer in self.sessions.publishers_of(device) {
            self.close(cx, peer, CloseReason::CredentialEnded);
        }
    }

    fn remove(&mut self, cx: &mut Cx<'_>, peer: PeerId) {
        let Some(mut session) = self.sessions.remove(peer) else { return };
        session.peer.close(cx.arena);
        self.socket.flush(cx.arena);
        match session.role {
            Role::Viewer { lease, subscriber, .. } => {
                cx.leases.close(lease);
                cx.directory.leases.remove(&lease);
                if let Some(subscriber) = subscriber {
                    cx.directory.subscribers.remove(&subscriber);
                    cx.hub.unsubscribe(subscriber);
                }
            }
            Role::Publisher { id: Some(publisher), .. } => {
                cx.directory.publishers.remove(&publisher);
                cx.hub.unpublish(cx.now, publisher);
            }
            Role::Publisher { id: None, .. } => {}
        }
    }

    /// Acts on what a peer tells, sends what it has written, and arms its timer.
    fn pump(&mut self, cx: &mut Cx<'_>, peer: PeerId) {
        while let Some(session) = self.sessions.get_mut(peer) {
            let Some(event) = session.peer.poll_event() else { break };
            if let PeerEvent::Nack { .. } = event {
                self.asking.note(cx.now);
            }
            if !session.handle_event(cx, peer, event) {
                return self.remove(cx, peer);
            }
        }
        self.settle(cx, peer);
    }

    fn settle(&mut self, cx: &mut Cx<'_>, peer: PeerId) {
        self.socket.flush(cx.arena);
        self.sessions.arm(peer);
    }
}

impl Session {
    /// Acts on one event; `false` when the session has ended.
    fn handle_event(&mut self, cx: &mut Cx<'_>, peer: PeerId, event: PeerEvent) -> bool {
        match (event, &self.role) {
            (PeerEvent::Connected, Role::Viewer { .. }) => return self.subscribe(cx, peer),
            (PeerEvent::Connected, Role::Publisher { .. }) => return self.announce(cx, peer),
            (PeerEvent::Closed(cause), _) => {
                tracing::info!(session = ?self.id, %cause, "webrtc session ended");
                return false;
            }
            (
                PeerEvent::KeyframeWanted { track },
                Role::Viewer { subscriber: Some(subscriber), .. },
            ) => cx.hub.request_keyframe(cx.now, *subscriber, track),
            (
                PeerEvent::Nack { track, seqs },
                Role::Viewer { subscriber: Some(subscriber), .. },
            ) => {
                for seq in seqs {
                    if let Some(packet) = cx.hub.resend(cx.now, *subscriber, track, seq) {
                        self.peer.resend(cx.now, track, seq, &packet, cx.arena);
                    }
                }
            }
            (
                PeerEvent::Budget { bits_per_second },
                Role::Viewer { subscriber: Some(subscriber), .. },
            ) => cx.hub.set_budget(cx.now, *subscriber, bits_per_second),
            (PeerEvent::ReportDue { track }, Role::Viewer { subscriber: Some(subscriber), .. }) => {
                report(&mut self.peer, cx.now, cx.hub, (*subscriber, track), cx.arena);
            }
            (
                PeerEvent::SenderReport { track, info },
                Role::Publisher { id: Some(publisher), .. },
            ) => cx.hub.handle_sender_report(cx.now, *publisher, track, info),
            _ => {}
        }
        true
    }

    /// Packets can flow from now on, so the viewer's start is timed from here.
    fn subscribe(&mut self, cx: &mut Cx<'_>, peer: PeerId) -> bool {
        let Role::Viewer { key, selection, subscriber, .. } = &mut self.role else { return false };
        cx.look_up(key);
        match cx.hub.subscribe(cx.now, key, selection.clone()) {
            Ok(id) => {
                *subscriber = Some(id);
                cx.directory.subscribers.insert(id, (PortKind::WebRtc, peer));
                true
            }
            Err(error) => {
                tracing::info!(session = ?self.id, %error, "webrtc viewer came too late");
                false
            }
        }
    }

    fn announce(&mut self, cx: &mut Cx<'_>, peer: PeerId) -> bool {
        let Role::Publisher { key, tracks, takes_keyframe_requests, id } = &mut self.role else {
            return false;
        };
        let publication = Publication {
            key: key.clone(),
            tracks: std::mem::take(tracks),
            mode: Mode::Open,
            takes_keyframe_requests: *takes_keyframe_requests,
            unordered: true,
        };
        match cx.publish(publication) {
            Ok(publisher) => {
                *id = Some(publisher);
                cx.directory.publishers.insert(publisher, (PortKind::WebRtc, peer));
                true
            }
            Err(error) => {
                tracing::info!(session = ?self.id, %error, "webrtc publisher refused");
                false
            }
        }
    }
}

/// Puts a sender report of a viewer's track into an arena.
fn report(
    peer: &mut WebRtcPeer,
    now: Instant,
    hub: &Hub,
    (subscriber, track): (SubscriberId, TrackIndex),
    arena: &mut Arena,
) {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    if let Some(info) = hub.sender_info(now, unix, subscriber, track) {
        peer.send_report(track, info, arena);
    }
}
