//! The QUIC port: RTP over QUIC and WebTransport on one UDP socket, driven by the worker loop.
//!
//! A session is set up over HTTP first and names the only key that may connect. The peer then
//! connects with that session's server name and proves the key with its client certificate; until
//! both are checked its streams and datagrams are not read. Browsers come by [`web`].

mod budget;
mod connections;
mod driver;
mod patience;
mod publisher;
mod sessions;
mod socket;
#[cfg(test)]
mod tests;

mod tls;
mod viewer;
mod web;
mod written;

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use aws_lc_rs::rand;
use bytes::Bytes;
use mio::Token;
use quinn_proto::{Connection, Endpoint, VarInt};
use sightline_grant::{Redacted, Thumbprint};
use sightline_relay_proto::codec::{MediaKind, TrackInfo};
use sightline_relay_proto::frame::Mode;
use sightline_relay_proto::gop_stream;
use sightline_relay_proto::hub::{SubscribeError, SubscriberId};
use sightline_relay_proto::ids::{DeviceId, Tier, TrackIndex};
use sightline_relay_proto::limits::MAX_TRACKS;
use sightline_relay_proto::roq::{Code, write};
use tokio::sync::oneshot;

use self::connections::{Connections, Half};
use self::sessions::{Door, Purpose, Session, Sessions};
use self::socket::Socket;
pub use self::tls::TlsSetupError;
use self::web::h3::SessionCode;
use self::written::WrittenFrames;
#[cfg(test)]
pub(crate) use self::written::tests::frame;
use crate::api::{Admitted, MediaError, Publisher, RoqSession, RoqTrack, SessionId, WebSession};
use crate::config::RelayConfig;
use crate::items::Items;
use crate::port::{CloseReason, Cx, PeerId, PortKind};

/// First dynamic RTP payload type; tracks take it and the following ones.
const FIRST_PAYLOAD_TYPE: u8 = 96;

/// What the rest of the process asks of the port.
pub(crate) enum RoqCommand {
    /// Lets a viewer in. Its lease starts at once; it has 30 s to connect.
    View {
        /// Name of the session, drawn by the caller.
        id: SessionId,
        /// The viewer.
        admitted: Admitted,
        /// The answer.
        reply: oneshot::Sender<Result<RoqSession, MediaError>>,
    },
    /// Lets a viewer in who comes by WebTransport. Its lease starts at once; it has 30 s to connect.
    ViewWeb {
        /// Name of the session, drawn by the caller: its ticket.
        id: SessionId,
        /// The viewer.
        admitted: Admitted,
        /// The answer.
        reply: oneshot::Sender<Result<WebSession, MediaError>>,
    },
    /// Lets a device in to publish.
    Publish {
        /// Name of the session, drawn by the caller.
        id: SessionId,
        /// The device.
        publisher: Publisher,
        /// Thumbprint of its identity key.
        identity: Thumbprint,
        /// Its tracks.
        tracks: Vec<TrackInfo>,
        /// What it announces to send.
        mode: Mode,
        /// The answer.
        reply: oneshot::Sender<Result<RoqSession, MediaError>>,
    },
}

/// The port cannot start.
#[derive(Debug, thiserror::Error)]
pub enum RoqError {
    /// The certificate does not fit.
    #[error(transparent)]
    Tls(#[from] TlsSetupError),
    /// The socket cannot be bound.
    #[error("the RoQ socket: {0}")]
    Io(#[from] io::Error),
}

/// The port.
pub(crate) struct RoqPort {
    socket: Socket,
    endpoint: Endpoint,
    connections: Connections,
    sessions: Sessions,
    local: SocketAddr,
    /// A turn of receiving ended before the socket was empty.
    unread: Option<Instant>,
    /// Outgoing datagrams of one transmit.
    buffer: Vec<u8>,
    received: Vec<socket::Datagram>,
    written: WrittenFrames,
    items: Items<Bytes>,
}

impl RoqPort {
    /// Binds the socket and registers it.
    pub(crate) fn new(config: &RelayConfig, registry: &mio::Registry) -> Result<Self, RoqError> {
        let (endpoint, server) = tls::server_config(&config.tls, &config.web)?;
        let socket = Socket::bind(config.roq, registry, PortKind::Roq.token(0))?;
        let local = socket.local_addr()?;
        let endpoint = Endpoint::new(endpoint, Some(server), !socket.may_fragment(), None);
        Ok(Self {
            socket,
            endpoint,
            connections: Connections::new(Instant::now()),
            sessions: Sessions::default(),
            local,
            unread: None,
            buffer: Vec::with_capacity(16 * 1024),
            received: Vec::new(),
            written: WrittenFrames::default(),
            items: Items::new(gop_stream::item),
        })
    }

    /// Address of the socket.
    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// How long the socket may rest.
    pub(crate) fn rest(&self) -> Duration {
        self.connections.rest()
    }

    /// The socket is ready.
    pub(crate) fn handle_io(
        &mut self,
        cx: &mut Cx<'_>,
        _token: Token,
        readable: bool,
        writable: bool,
    ) {
        if writable && self.socket.flush() {
            self.drive_waiting(cx);
        }
        if readable {
            self.receive(cx);
        }
    }

    /// Does what the rest of the process asks.
    pub(crate) fn handle_command(&mut self, cx: &mut Cx<'_>, command: RoqCommand) {
        match command {
            RoqCommand::View { id, admitted, reply } => {
                // A caller that has gone leaves a session that expires.
                let _ = reply.send(self.view(cx, id, admitted));
            }
            RoqCommand::ViewWeb { id, admitted, reply } => {
                let _ = reply.send(self.view_web(cx, id, admitted));
            }
            RoqCommand::Publish { id, publisher, identity, tracks, mode, reply } => {
                let _ = reply.send(self.publish(cx, id, publisher, identity, (tracks, mode)));
            }
        }
    }

    /// When [`Self::handle_timeout`] is next due.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        [self.connections.patience.poll_timeout(), self.sessions.poll_timeout(), self.unread]
            .into_iter()
            .flatten()
            .min()
    }

    /// Time has passed.
    pub(crate) fn handle_timeout(&mut self, cx: &mut Cx<'_>) {
        if self.unread.is_some() {
            self.receive(cx);
        }
        while let Some(peer) = self.sessions.poll_expired(cx.now) {
            self.end(cx, peer, Code::NoError, "nobody connected in time");
        }
        for handle in self.connections.patience.take_due(cx.now) {
            self.with_connection(handle, |port, connection| {
                port.connection_timeout(cx, connection);
                port.drive(cx, connection);
            });
        }
    }

    /// The hub has frames due for a viewer.
    pub(crate) fn deliver(&mut self, cx: &mut Cx<'_>, peer: PeerId, subscriber: SubscriberId) {
        self.with_peer(peer, |port, connection| {
            port.listen(cx, connection);
            let quic = &mut connection.quic;
            match &mut connection.half {
                Half::Viewer(viewer) if viewer.subscriber == subscriber => {
                    viewer.deliver(cx.now, cx.hub, quic, &mut port.written);
                    if viewer.too_long {
                        let reason = "no stream is allowed, and the path takes no datagram as long";
                        port.refuse(cx, connection, Code::General, reason);
                    }
                }
                Half::Web(web) => web.deliver(cx.now, cx.hub, quic, &mut port.items),
                _ => {}
            }
            port.drive(cx, connection);
        });
    }

    /// Asks a publisher for a keyframe.
    pub(crate) fn request_keyframe(&mut self, cx: &mut Cx<'_>, peer: PeerId, track: TrackIndex) {
        self.with_peer(peer, |port, connection| {
            if let Half::Publisher(feed) = &connection.half {
                feed.request_keyframe(&mut connection.quic, track);
                port.drive(cx, connection);
            }
        });
    }

    /// Tells the cameras of a device, or of every device, that it stands differently.
    pub(crate) fn tell_publishers(&mut self, cx: &mut Cx<'_>, device: Option<&DeviceId>) {
        for peer in self.sessions.publishers_of(device) {
            self.with_peer(peer, |port, connection| {
                if let Half::Publisher(feed) = &mut connection.half {
                    feed.tell_news(&mut connection.quic);
                    port.drive(cx, connection);
                }
            });
        }
    }

    /// Ends a peer at once; its queued bytes are discarded.
    pub(crate) fn close(&mut self, cx: &mut Cx<'_>, peer: PeerId, reason: CloseReason) {
        let (code, text) = match reason {
            CloseReason::LeaseEnded => (Code::General, "the permission has ended"),
            CloseReason::StreamEnded => (Code::NoError, "the stream has ended"),
            CloseReason::Replaced => (Code::General, "another connection took over"),
            CloseReason::CredentialEnded => (Code::General, "the device is known no more"),
            CloseReason::ModeChanged => (Code::General, "the device is sealed or opened now"),
            CloseReason::Shutdown => (Code::NoError, "the server stops"),
        };
        self.end(cx, peer, code, text);
    }

    /// Ends every publishing session of a device, connected or not.
    pub(crate) fn end_publishers(&mut self, cx: &mut Cx<'_>, device: &DeviceId) {
        for peer in self.sessions.publishers_of(Some(device)) {
            self.close(cx, peer, CloseReason::CredentialEnded);
        }
    }

    /// Ends every publishing session of a device that is not of this mode, connected or not.
    pub(crate) fn end_other_mode(&mut self, cx: &mut Cx<'_>, device: &DeviceId, mode: Mode) {
        for peer in self.sessions.publishers_of(Some(device)) {
            if self.session(peer).is_some_and(|session| session.publishes_in() != Some(mode)) {
                self.close(cx, peer, CloseReason::ModeChanged);
            }
        }
    }

    /// Room for one more session. A key that has too many waiting gives up its oldest, so that
    /// nobody alone takes the places of all.
    fn make_room(&mut self, cx: &mut Cx<'_>, key: Thumbprint) -> Result<(), MediaError> {
        if let Some(oldest) = self.sessions.oldest_beyond_bound(key) {
            self.end(cx, oldest, Code::NoError, "newer sessions wait for the same key");
        }
        if self.sessions.is_full() { Err(MediaError::Full) } else { Ok(()) }
    }

    fn view(
        &mut self,
        cx: &mut Cx<'_>,
        id: SessionId,
        admitted: Admitted,
    ) -> Result<RoqSession, MediaError> {
        let (tracks, mode) = self.admit(cx, (id, Door::Roq), admitted)?;
        let offered = tracks.into_iter().filter(|track| watched(&track.info)).collect();
        Ok(self.answer(id, offered, mode))
    }

    fn view_web(
        &mut self,
        cx: &mut Cx<'_>,
        id: SessionId,
        admitted: Admitted,
    ) -> Result<WebSession, MediaError> {
        let (tracks, mode) = self.admit(cx, (id, Door::Web), admitted)?;
        let offered = tracks.into_iter().enumerate().filter(|(_, track)| watched(&track.info));
        let tracks = offered.map(|(at, track)| (TrackIndex(at as u8), track.info)).collect();
        let path = Redacted::new(web::h3::path(id));
        Ok(WebSession { path, port: self.local.port(), tracks, mode })
    }

    /// Sets a viewer's session up; all tracks of its stream, and its mode.
    fn admit(
        &mut self,
        cx: &mut Cx<'_>,
        name: (SessionId, Door),
        admitted: Admitted,
    ) -> Result<(Vec<RoqTrack>, Mode), MediaError> {
        cx.look_up(&admitted.key);
        let mode = cx.hub.mode(&admitted.key).ok_or(MediaError::NotLive)?;
        self.make_room(cx, admitted.terminal)?;
        let infos = cx.hub.tracks(&admitted.key).ok_or(MediaError::NotLive)?.to_vec();
        let ssrc = |at: usize| cx.hub.ssrc(&admitted.key, TrackIndex(at as u8)).unwrap_or(0);
        let ssrcs: Vec<u32> = (0..infos.len()).map(ssrc).collect();
        let flows = flows_of(&ssrcs);
        let track = |(at, info): (usize, TrackInfo)| RoqTrack {
            flow: flows[at],
            payload_type: payload_type(at),
            ssrc: ssrcs[at],
            info,
        };
        let tracks: Vec<_> = infos.into_iter().enumerate().map(track).collect();
        let peer = self.sessions.allot();
        let lease = cx.leases.open(cx.now, admitted.terms)?;
        cx.directory.leases.insert(lease, (PortKind::Roq, peer));
        let purpose = Purpose::View { key: admitted.key, lease, mode };
        self.sessions.insert(cx.now, peer, name, purpose, admitted.terminal, tracks.clone());
        Ok((tracks, mode))
    }

    fn publish(
        &mut self,
        cx: &mut Cx<'_>,
        id: SessionId,
        publisher: Publisher,
        identity: Thumbprint,
        (tracks, mode): (Vec<TrackInfo>, Mode),
    ) -> Result<RoqSession, MediaError> {
        let device = Mode::from(publisher.sealed);
        if mode != device {
            let (expected, found) = (device.name(), mode.name());
            return Err(MediaError::WrongProtection { expected, found });
        }
        if mode.is_sealed() && tracks.iter().any(says_too_much) {
            let text = "a sealed picture's fmtp is empty: its parameter sets travel sealed";
            return Err(MediaError::BadOffer(text.to_owned()));
        }
        self.make_room(cx, identity)?;
        if tracks.is_empty() || tracks.len() > MAX_TRACKS {
            return Err(MediaError::BadOffer(format!("a stream has 1 to {MAX_TRACKS} tracks")));
        }
        let flows = random_flows(tracks.len())?;
        let track = |(at, info): (usize, TrackInfo)| RoqTrack {
            flow: flows[at],
            payload_type: payload_type(at),
            ssrc: 0,
            info,
        };
        let tracks: Vec<_> = tracks.into_iter().enumerate().map(track).collect();
        let peer = self.sessions.allot();
        let purpose = Purpose::Publish { publisher };
        let name = (id, Door::Roq);
        self.sessions.insert(cx.now, peer, name, purpose, identity, tracks.clone());
        Ok(self.answer(id, tracks, mode))
    }

    fn answer(&self, id: SessionId, tracks: Vec<RoqTrack>, mode: Mode) -> RoqSession {
        let server_name = sessions::server_name(id);
        RoqSession { session: id, server_name, port: self.local.port(), tracks, mode }
    }

    /// Ends a session with its connection.
    fn end(&mut self, cx: &mut Cx<'_>, peer: PeerId, code: Code, reason: &'static str) {
        let Some(session) = self.sessions.remove(peer) else { return };
        if let Purpose::View { lease, .. } = session.purpose {
            cx.leases.close(lease);
            cx.directory.leases.remove(&lease);
        }
        let Some(handle) = session.connection else { return };
        self.with_connection(handle, |port, connection| {
            port.detach(cx, connection);
            let quic = &mut connection.quic;
            match (&mut connection.half, code) {
                (Half::Web(web), Code::NoError) => {
                    web.say_end(cx.now, quic, SessionCode::Ended, reason);
                }
                (Half::Web(web), _) => {
                    web.say_end(cx.now, quic, SessionCode::PermissionEnded, reason);
                }
                _ => close_connection(cx.now, quic, code, reason),
            }
            port.drive(cx, connection);
        });
    }

    fn session(&self, peer: PeerId) -> Option<&Session> {
        self.sessions.get(peer)
    }
}

/// Whether a viewer gets the track: the main picture and the sound.
pub(crate) fn watched(info: &TrackInfo) -> bool {
    info.kind() == MediaKind::Audio || info.tier == Tier::Main
}

/// What a viewer is told whose session cannot be joined to its stream.
fn too_late(error: &SubscribeError) -> &'static str {
    match error {
        SubscribeError::NotLive | SubscribeError::NoTrack => "the camera is not live",
        SubscribeError::OtherMode { .. } => {
            "the camera was sealed or opened since; ask for a new session"
        }
    }
}

/// Whether a sealed track's description may hold some of what is sealed: parameter sets of pictures.
fn says_too_much(info: &TrackInfo) -> bool {
    let named = !info.fmtp.is_empty() || !info.parameter_sets.is_empty();
    info.kind() == MediaKind::Video && named
}

fn payload_type(at: usize) -> u8 {
    FIRST_PAYLOAD_TYPE + (at % (128 - usize::from(FIRST_PAYLOAD_TYPE))) as u8
}

/// CONNECTION_CLOSE at once; queued data is discarded.
fn close_connection(now: Instant, quic: &mut Connection, code: Code, reason: &'static str) {
    quic.close(now, VarInt::from_u32(code.wire()), Bytes::from_static(reason.as_bytes()));
}

/// Distinct flow identifiers for viewers: the same for all of a stream, so that they get the same bytes.
fn flows_of(ssrcs: &[u32]) -> Vec<u64> {
    let mut flows: Vec<u64> = Vec::with_capacity(ssrcs.len());
    for ssrc in ssrcs {
        let mut flow = u64::from(*ssrc) % write::FLOW_BOUND;
        while flows.contains(&flow) {
            flow = (flow + 1) % write::FLOW_BOUND;
        }
        flows.push(flow);
    }
    flows
}

/// Random, distinct flow identifiers for a camera: a peer can name no flow but those it was told.
fn random_flows(count: usize) -> Result<Vec<u64>, MediaError> {
    let mut flows: Vec<u64> = Vec::with_capacity(count);
    while flows.len() < count {
        let flow = u64::from(random_u32()?) % write::FLOW_BOUND;
        if !flows.contains(&flow) {
            flows.push(flow);
        }
    }
    Ok(flows)
}

fn random_u32() -> Result<u32, MediaError> {
    let mut bytes = [0; 4];
    rand::fill(&mut bytes).map_err(|_| MediaError::Unavailable)?;
    Ok(u32::from_be_bytes(bytes))
}
