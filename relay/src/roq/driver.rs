//! Connections: datagrams in, events, deadlines and datagrams out.

use std::time::Instant;

use quinn_proto::{DatagramEvent, Dir, Event, Incoming, StreamEvent, VarInt};
use sightline_relay_proto::frame::Mode;
use sightline_relay_proto::hub::{Pacing, Publication, Selection};
use sightline_relay_proto::ids::{StreamKey, TrackIndex};
use sightline_relay_proto::limits::PUBLISHER_RESUME;
use sightline_relay_proto::roq::Code;
use sightline_relay_proto::wire::{rtcp, rtp};

use super::connections::{Half, Peer};
use super::patience::PATIENCE;
use super::publisher::{Feed, accept_streams, act, read_datagrams, read_stream};
use super::sessions::Purpose;
use super::tls::{
    PUBLISHER_RECEIVE_WINDOW, SLOW_PUBLISHER_STREAMS, protocol, server_name, thumbprint,
};
use super::viewer::Viewer;
use super::web::h3;
use super::{RoqPort, close_connection, random_u32, too_late, watched};
use crate::api::{Publisher, RoqTrack};
use crate::port::{Cx, PeerId, PortKind};

/// Connections whose peer is not known yet, at most.
pub(super) const MAX_STRANGERS: usize = 512;
/// Strangers from which on a new peer must prove its address first (Retry).
pub(super) const RETRY_FROM: usize = 64;
/// Least that QUIC adds to a packet, bytes: flags, packet number, frame type, stream, tag.
const MIN_OVERHEAD: usize = 1 + 1 + 1 + 1 + 16;
/// Segmented sends that one connection may do before others have their turn.
const MAX_TRANSMITS: usize = 64;

impl RoqPort {
    /// Takes what has arrived on the socket.
    pub(super) fn receive(&mut self, cx: &mut Cx<'_>) {
        let mut received = std::mem::take(&mut self.received);
        self.unread = self.socket.receive(&mut received).then_some(cx.now);
        let mut touched: Vec<usize> = Vec::new();
        for datagram in received.drain(..) {
            self.buffer.clear();
            let event = self.endpoint.handle(
                cx.now,
                datagram.remote,
                datagram.local_ip,
                datagram.ecn,
                datagram.data,
                &mut self.buffer,
            );
            match event {
                Some(DatagramEvent::ConnectionEvent(handle, event)) => {
                    let urgent = self.connections.patience.keep(cx.now, handle.0, event);
                    if let Some(event) = urgent
                        && let Some(peer) = self.connections.awake(handle.0)
                    {
                        peer.quic.handle_event(event);
                        if touched.last() != Some(&handle.0) {
                            touched.push(handle.0);
                        }
                    }
                }
                Some(DatagramEvent::NewConnection(incoming)) => {
                    touched.extend(self.accept(cx.now, incoming));
                }
                Some(DatagramEvent::Response(transmit)) => self.respond(transmit),
                None => {}
            }
        }
        self.received = received;
        touched.sort_unstable();
        touched.dedup();
        for handle in touched {
            self.with_connection(handle, |port, peer| port.drive(cx, peer));
        }
    }

    /// Connections that had more to send.
    pub(super) fn drive_waiting(&mut self, cx: &mut Cx<'_>) {
        for handle in std::mem::take(&mut self.connections.waiting) {
            self.with_connection(handle, |port, peer| {
                peer.queued = false;
                port.drive(cx, peer);
            });
        }
    }

    /// Runs `action` on a connection, if it is there.
    pub(super) fn with_connection(
        &mut self,
        handle: usize,
        action: impl FnOnce(&mut Self, &mut Peer),
    ) {
        self.connections.awake(handle);
        let Some(mut peer) = self.connections.take(handle) else { return };
        action(self, &mut peer);
        if peer.quic.is_drained() {
            self.connections.patience.forget(handle);
            self.connections.strangers -= usize::from(peer.stranger);
            return;
        }
        self.connections.put(peer);
    }

    /// Runs `action` on the connection of a session, if there is one.
    pub(super) fn with_peer(&mut self, peer: PeerId, action: impl FnOnce(&mut Self, &mut Peer)) {
        let handle = self.session(peer).and_then(|session| session.connection);
        if let Some(handle) = handle {
            self.with_connection(handle, action);
        }
    }

    /// A connection's own deadline has come.
    pub(super) fn connection_timeout(&mut self, cx: &mut Cx<'_>, peer: &mut Peer) {
        if peer.quic.poll_timeout().is_some_and(|deadline| deadline <= cx.now) {
            peer.quic.handle_timeout(cx.now);
        }
        match &mut peer.half {
            Half::Viewer(viewer) => {
                viewer.handle_timeout(cx.now, cx.hub, &mut peer.quic);
                viewer.receiver.handle_timeout(cx.now);
                act(&mut peer.quic, &mut viewer.receiver);
            }
            Half::Publisher(feed) => {
                feed.receiver.handle_timeout(cx.now);
                act(&mut peer.quic, &mut feed.receiver);
            }
            Half::Web(web) => web.handle_timeout(cx, &mut peer.quic),
            Half::Nobody => {}
        }
    }

    /// Handles what a connection has to say.
    pub(super) fn listen(&mut self, cx: &mut Cx<'_>, peer: &mut Peer) {
        while let Some(event) = peer.quic.poll() {
            self.event(cx, peer, event);
        }
    }

    /// Handles what a connection has to say, sends what it has to send, sets its deadline.
    pub(super) fn drive(&mut self, cx: &mut Cx<'_>, peer: &mut Peer) {
        let mut more;
        loop {
            self.listen(cx, peer);
            more = self.transmit(cx.now, peer);
            let mut settled = true;
            while let Some(event) = peer.quic.poll_endpoint_events() {
                if let Some(event) = self.endpoint.handle_event(peer.handle, event) {
                    peer.quic.handle_event(event);
                    settled = false;
                }
            }
            if !more
                && let Half::Viewer(viewer) = &mut peer.half
                && viewer.refill(cx.now, cx.hub, &mut peer.quic)
            {
                settled = false;
            }
            if settled {
                break;
            }
        }
        if let Half::Web(web) = &mut peer.half {
            web.note_unsent(cx.now, peer.unsent);
        }
        let own = match &peer.half {
            Half::Viewer(viewer) => {
                viewer.receiver.poll_timeout().into_iter().chain(viewer.poll_timeout()).min()
            }
            Half::Publisher(feed) => feed.receiver.poll_timeout(),
            Half::Web(web) => web.poll_timeout(),
            Half::Nobody => None,
        };
        let patient = !more && peer.unsent == 0 && peer.half.is_at_ease();
        let quic = peer.quic.poll_timeout();
        let quic = if patient { quic.map(|at| at.max(cx.now + PATIENCE)) } else { quic };
        let mut deadline = quic.into_iter().chain(own).min();
        if more && !self.socket.is_blocked() {
            // Its turn is over; it goes on at the next one.
            deadline = Some(cx.now);
        } else if more && !std::mem::replace(&mut peer.queued, true) {
            self.connections.waiting.push(peer.handle.0);
        }
        self.connections.patience.schedule(cx.now, peer.handle.0, deadline, patient);
    }

    fn accept(&mut self, now: Instant, incoming: Incoming) -> Option<usize> {
        let strangers = self.connections.strangers;
        if strangers >= MAX_STRANGERS {
            self.endpoint.ignore(incoming);
            return None;
        }
        self.buffer.clear();
        if strangers >= RETRY_FROM && !incoming.remote_address_validated() && incoming.may_retry() {
            if let Ok(transmit) = self.endpoint.retry(incoming, &mut self.buffer) {
                self.respond(transmit);
            }
            return None;
        }
        match self.endpoint.accept(incoming, now, &mut self.buffer, None) {
            Ok((handle, quic)) => {
                self.connections.strangers += 1;
                let half = Half::Nobody;
                let peer = Peer {
                    handle,
                    quic,
                    session: None,
                    half,
                    stranger: true,
                    queued: false,
                    unsent: 0,
                };
                self.connections.put(Box::new(peer));
                Some(handle.0)
            }
            Err(error) => {
                if let Some(transmit) = error.response {
                    self.respond(transmit);
                }
                None
            }
        }
    }

    /// A stateless answer of the endpoint; lost if the socket is full.
    fn respond(&mut self, transmit: quinn_proto::Transmit) {
        if !self.socket.is_blocked() {
            self.socket.send(transmit, &self.buffer);
        }
    }

    /// Sends; `true` if there is more, since the socket is full or the turn is over.
    fn transmit(&mut self, now: Instant, peer: &mut Peer) -> bool {
        let segments = self.socket.max_segments();
        let (handed, taken_back) = peer.half.take_handed();
        // How much of it was sent is not known then; the next frames are counted from zero.
        peer.unsent = if taken_back { 0 } else { peer.unsent + handed };
        for _ in 0..MAX_TRANSMITS {
            if self.socket.is_blocked() {
                return true;
            }
            self.buffer.clear();
            let Some(transmit) = peer.quic.poll_transmit(now, segments, &mut self.buffer) else {
                return false;
            };
            peer.unsent = peer.unsent.saturating_sub(media_bytes(&transmit));
            self.socket.send(transmit, &self.buffer);
        }
        true
    }

    fn event(&mut self, cx: &mut Cx<'_>, peer: &mut Peer, event: Event) {
        match event {
            Event::Connected => self.connected(cx, peer),
            Event::ConnectionLost { .. } => self.lost(cx, peer),
            Event::DatagramReceived => {
                let Peer { quic, half, .. } = peer;
                match half {
                    Half::Viewer(viewer) => read_datagrams(cx.now, quic, &mut viewer.receiver),
                    Half::Publisher(feed) => read_datagrams(cx.now, quic, &mut feed.receiver),
                    // Browsers have nothing to say in datagrams.
                    Half::Web(_) => while quic.datagrams().recv().is_some() {},
                    Half::Nobody => {}
                }
                take_in(cx, peer);
            }
            Event::Stream(event) => self.stream_event(cx, peer, event),
            Event::HandshakeDataReady | Event::DatagramsUnblocked => {}
        }
    }

    fn stream_event(&mut self, cx: &mut Cx<'_>, peer: &mut Peer, event: StreamEvent) {
        if let Half::Web(_) = peer.half {
            return self.web_event(cx, peer, event);
        }
        if let StreamEvent::Opened { dir: Dir::Bi } = event {
            return self.refuse(cx, peer, Code::StreamCreation, "only unidirectional streams");
        }
        let Peer { quic, half, .. } = peer;
        match (half, event) {
            (Half::Nobody | Half::Web(_), _) => return,
            (Half::Viewer(viewer), StreamEvent::Opened { .. }) => {
                accept_streams(cx.now, quic, &mut viewer.receiver);
            }
            (Half::Publisher(feed), StreamEvent::Opened { .. }) => feed.accept(cx.now, quic),
            (Half::Viewer(viewer), StreamEvent::Readable { id }) => {
                read_stream(cx.now, quic, &mut viewer.receiver, id);
            }
            (Half::Publisher(feed), StreamEvent::Readable { id }) => {
                read_stream(cx.now, quic, &mut feed.receiver, id);
            }
            (Half::Viewer(viewer), StreamEvent::Finished { id }) => {
                viewer.stream_ended(id);
                viewer.writable(cx.now, cx.hub, quic);
            }
            (Half::Viewer(viewer), StreamEvent::Stopped { id, .. }) => {
                viewer.stream_stopped(quic, id);
                viewer.writable(cx.now, cx.hub, quic);
            }
            (Half::Viewer(viewer), StreamEvent::Writable { .. }) => {
                viewer.writable(cx.now, cx.hub, quic);
            }
            (Half::Viewer(viewer), StreamEvent::Available { dir: Dir::Uni }) => {
                viewer.allow_streams();
                viewer.writable(cx.now, cx.hub, quic);
            }
            (Half::Viewer(_), StreamEvent::Available { dir: Dir::Bi }) => {}
            (Half::Publisher(_), StreamEvent::Stopped { id, .. }) => {
                let _ = quic.send_stream(id).reset(VarInt::from_u32(Code::FrameCancelled.wire()));
            }
            (Half::Publisher(feed), StreamEvent::Available { .. }) => feed.tell_waiting(quic),
            (Half::Publisher(_), _) => {}
        }
        take_in(cx, peer);
    }

    /// The handshake is over: the server name must name a session, and the key must be its.
    fn connected(&mut self, cx: &mut Cx<'_>, peer: &mut Peer) {
        if protocol(&peer.quic).as_deref() == Some(h3::ALPN) {
            return self.web_connected(cx, peer);
        }
        let name = server_name(&peer.quic).unwrap_or_default();
        let Some(session_peer) = self.sessions.by_server_name(&name) else {
            return self.refuse(cx, peer, Code::General, "the server name has no session");
        };
        let session = self.session(session_peer).expect("the name led to the session");
        if thumbprint(&peer.quic) != Some(session.key) {
            return self.refuse(cx, peer, Code::General, "the session is for another key");
        }
        let tracks = session.tracks.clone();
        let old = session.connection;
        let refusal = match &session.purpose {
            Purpose::View { .. } if old.is_some() => Err("the session is connected already"),
            Purpose::View { key, mode, .. } => {
                let stream = (key.clone(), *mode);
                self.attach_viewer(cx, peer, session_peer, &stream, &tracks)
            }
            Purpose::Publish { publisher } => {
                let publisher = publisher.clone();
                if let Some(old) = old {
                    self.with_connection(old, |port, connection| {
                        port.detach(cx, connection);
                        let reason = "another connection took over";
                        close_connection(cx.now, &mut connection.quic, Code::General, reason);
                        port.drive(cx, connection);
                    });
                }
                attach_publisher(cx, peer, session_peer, publisher, &tracks)
            }
        };
        if let Err(reason) = refusal {
            return self.refuse(cx, peer, Code::General, reason);
        }
        self.enlist(peer, session_peer);
    }

    /// The peer is known from now on, as whoever its half says.
    pub(super) fn enlist(&mut self, peer: &mut Peer, session: PeerId) {
        match peer.half {
            Half::Viewer(_) | Half::Web(_) => self.connections.viewers += 1,
            Half::Publisher(_) => self.connections.publishers += 1,
            Half::Nobody => {}
        }
        self.known(peer);
        peer.session = Some(session);
        self.sessions.connected(session, peer.handle.0);
    }

    fn attach_viewer(
        &mut self,
        cx: &mut Cx<'_>,
        peer: &mut Peer,
        session: PeerId,
        (key, mode): &(StreamKey, Mode),
        tracks: &[RoqTrack],
    ) -> Result<(), &'static str> {
        let indexed = tracks.iter().enumerate().filter(|(_, track)| watched(&track.info));
        let chosen: Vec<(TrackIndex, RoqTrack)> =
            indexed.map(|(at, track)| (TrackIndex(at as u8), track.clone())).collect();
        let tracks = chosen.iter().map(|(index, _)| *index).collect();
        let selection = Selection { tracks, pacing: Pacing::Whole, mode: *mode };
        cx.look_up(key);
        let subscriber =
            cx.hub.subscribe(cx.now, key, selection).map_err(|error| too_late(&error))?;
        cx.directory.subscribers.insert(subscriber, (PortKind::Roq, session));
        let viewer = Viewer::new(cx.now, subscriber, &chosen, &mut peer.quic);
        peer.half = Half::Viewer(Box::new(viewer));
        Ok(())
    }

    /// Takes a connection from its session: the hub hears nothing of it any more.
    /// A browser's connection goes on until the viewer was told.
    pub(super) fn detach(&mut self, cx: &mut Cx<'_>, peer: &mut Peer) {
        if let Half::Web(web) = &mut peer.half {
            if let Some(mut viewer) = web.leave(cx.now) {
                self.connections.viewers -= 1;
                cx.hub.unsubscribe(viewer.subscriber);
                cx.directory.subscribers.remove(&viewer.subscriber);
                viewer.abandon(&mut peer.quic);
            }
            peer.session = None;
            return self.known(peer);
        }
        match std::mem::replace(&mut peer.half, Half::Nobody) {
            Half::Viewer(viewer) => {
                self.connections.viewers -= 1;
                cx.hub.unsubscribe(viewer.subscriber);
                cx.directory.subscribers.remove(&viewer.subscriber);
            }
            Half::Publisher(feed) => {
                self.connections.publishers -= 1;
                cx.hub.unpublish(cx.now, feed.publisher);
                cx.directory.publishers.remove(&feed.publisher);
            }
            Half::Nobody | Half::Web(_) => {}
        }
        peer.session = None;
        self.known(peer);
    }

    /// The connection is gone: a viewer's session ends, a publisher's waits for it to come back.
    pub(super) fn lost(&mut self, cx: &mut Cx<'_>, peer: &mut Peer) {
        let session = peer.session;
        self.detach(cx, peer);
        let Some(session) = session else { return };
        match self.session(session).map(|session| &session.purpose) {
            Some(Purpose::Publish { .. }) => self.sessions.wait(cx.now, session, PUBLISHER_RESUME),
            Some(Purpose::View { lease, .. }) => {
                cx.leases.close(*lease);
                cx.directory.leases.remove(lease);
                self.sessions.remove(session);
            }
            None => {}
        }
    }

    pub(super) fn refuse(
        &mut self,
        cx: &mut Cx<'_>,
        peer: &mut Peer,
        code: Code,
        reason: &'static str,
    ) {
        self.lost(cx, peer);
        close_connection(cx.now, &mut peer.quic, code, reason);
    }

    fn known(&mut self, peer: &mut Peer) {
        if std::mem::take(&mut peer.stranger) {
            self.connections.strangers -= 1;
        }
    }
}

/// Most bytes of media that a transmit can carry: without the least that QUIC adds to a packet.
fn media_bytes(transmit: &quinn_proto::Transmit) -> u64 {
    let packets = transmit.size.div_ceil(transmit.segment_size.unwrap_or(transmit.size).max(1));
    transmit.size.saturating_sub(packets * MIN_OVERHEAD) as u64
}

fn attach_publisher(
    cx: &mut Cx<'_>,
    peer: &mut Peer,
    session: PeerId,
    publisher: Publisher,
    tracks: &[RoqTrack],
) -> Result<(), &'static str> {
    let publication = Publication {
        key: publisher.key,
        tracks: tracks.iter().map(|track| track.info.clone()).collect(),
        mode: publisher.sealed.into(),
        takes_keyframe_requests: true,
        unordered: true,
    };
    let id = cx.publish(publication).map_err(|_| "the tracks are not accepted")?;
    cx.directory.publishers.insert(id, (PortKind::Roq, session));
    let ssrc = random_u32().unwrap_or(1);
    peer.half = Half::Publisher(Box::new(Feed::new(cx.now, id, tracks, ssrc)));
    peer.quic.set_max_concurrent_streams(Dir::Uni, VarInt::from_u32(SLOW_PUBLISHER_STREAMS));
    peer.quic.set_receive_window(VarInt::from_u32(PUBLISHER_RECEIVE_WINDOW));
    // Streams and datagrams that came with the end of the handshake had their events already.
    let Peer { quic, half, .. } = peer;
    if let Half::Publisher(feed) = half {
        feed.accept(cx.now, quic);
        read_datagrams(cx.now, quic, &mut feed.receiver);
        feed.feed(cx.now, cx.hub);
        // What happened before is not known here: it asks once, and hears of all that follows.
        feed.tell_news(quic);
    }
    Ok(())
}

/// Hands on what was received: a publisher's media to the hub, a viewer's keyframe requests.
fn take_in(cx: &mut Cx<'_>, peer: &mut Peer) {
    match &mut peer.half {
        Half::Publisher(feed) => feed.feed(cx.now, cx.hub),
        Half::Viewer(viewer) => {
            while let Some(received) = viewer.receiver.poll_packet() {
                if !rtp::is_rtcp(&received.packet) {
                    continue;
                }
                let mut wanted = false;
                rtcp::parse(&received.packet, |packet| {
                    wanted |= matches!(packet, rtcp::Rtcp::Pli { .. } | rtcp::Rtcp::Fir { .. });
                });
                if wanted {
                    cx.hub.request_keyframe(cx.now, viewer.subscriber, received.track);
                }
            }
        }
        Half::Nobody | Half::Web(_) => {}
    }
}
