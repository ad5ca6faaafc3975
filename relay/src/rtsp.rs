//! The RTSP port: cameras that push, players that pull, over TCP, TLS and UDP.
//!
//! Connections are counted before anything is allocated for them; a session lives and dies with its
//! connection. See `peer.rs` for one connection, `play.rs` and `record.rs` for its two roles, and
//! `visitor.rs` for how a connection gets to the worker of its stream.

mod admission;
mod door;
mod drain;
#[cfg(test)]
mod foreign;
mod handles;
mod output;
mod peer;
mod play;
mod record;
#[cfg(test)]
mod tests;
mod udp;
mod visitor;
mod wire;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use rustls::{ServerConfig, ServerConnection};
use sightline_grant::Redacted;
use sightline_relay_proto::hub::SubscriberId;
use sightline_relay_proto::ids::DeviceId;
use sightline_relay_proto::rtsp::{RtspConnection, Settings, digest::Secret};
use slab::Slab;
use tokio::sync::oneshot;

use crate::api::{Admitted, MediaError, RTSP_REALM, RtspPublisher};
use crate::config::{RelayConfig, TlsIdentity};
use crate::port::{BindFailed, CloseReason, Cx, PeerId, PortKind};

use admission::MAX_CONNECTIONS;
pub(crate) use door::Door;
use peer::{Fate, Peer, Who, listen};
use udp::{Route, Udp};
pub(crate) use visitor::Visitor;
use wire::Wire;

/// CNAME of our RTCP.
const CNAME: &str = "sightline";
/// How often timeouts and reports are looked at.
const TICK: Duration = Duration::from_millis(250);
/// Pause of accepting after the process ran out of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Connections accepted by one call.
const ACCEPTS: usize = 64;
/// Bytes of one read.
const SCRATCH: usize = 64 * 1024;

/// What the rest of the relay tells the port.
#[derive(Debug)]
pub(crate) enum RtspCommand {
    /// A viewer was admitted and may log in once, until `expires`.
    AddHandle {
        /// User name, unguessable.
        user: String,
        /// 128-bit password.
        password: Redacted<String>,
        /// What the login stands for.
        admitted: Admitted,
        /// When it is gone, if nobody used it.
        expires: Instant,
        /// Whether there was room.
        reply: oneshot::Sender<Result<(), MediaError>>,
    },
    /// The answer to [`crate::port::Question::RtspPublisher`].
    Credential {
        /// Who asked.
        peer: PeerId,
        /// The publisher with its secrets, or nobody.
        answer: Option<RtspPublisher>,
    },
}

/// Places of the sockets among the port's tokens; peers come behind.
mod place {
    pub(super) const RTSP: usize = 0;
    pub(super) const RTSPS: usize = 1;
    pub(super) const RTP: usize = 2;
    pub(super) const RTCP: usize = 3;
    /// Bits of a peer id that are its place in the slab.
    pub(super) const BITS: u32 = 16;
}

/// Where the port listens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RtspAddresses {
    pub(crate) rtsp: SocketAddr,
    pub(crate) rtsps: SocketAddr,
}

/// What all peers share.
pub(super) struct Shared {
    /// Poller of the connections that play.
    calm: Registry,
    udp: Udp,
    door: Arc<Door>,
    scratch: Box<[u8]>,
    ssrc: u32,
}

/// A listener that must be tried again, because it was not drained.
struct Listener {
    tcp: TcpListener,
    again: Option<Instant>,
}

impl Listener {
    fn bind(address: SocketAddr, registry: &Registry, token: Token) -> io::Result<Self> {
        let mut tcp = TcpListener::bind(address)?;
        registry.register(&mut tcp, token, Interest::READABLE)?;
        Ok(Self { tcp, again: None })
    }
}

/// Every RTSP connection of one worker.
pub(crate) struct RtspPort {
    /// Plain, then TLS; of the one worker that has them.
    listeners: Vec<Listener>,
    tls: Arc<ServerConfig>,
    plain_play: bool,
    udp_ports: (u16, u16),
    shared: Shared,
    peers: Slab<Peer>,
    born: u64,
    /// Peers with more input than one turn takes.
    busy: Vec<PeerId>,
    /// UDP sockets with more datagrams than one turn takes: RTP, RTCP.
    udp_busy: [bool; 2],
    /// Since when peers or sockets are busy.
    urgent: Option<Instant>,
    next_tick: Option<Instant>,
}

impl RtspPort {
    /// Binds every socket and registers it; `calm` is for those on which only viewers speak. Without
    /// `listens` connections come from the worker that does.
    pub(crate) fn bind(
        config: &RelayConfig,
        door: Arc<Door>,
        listens: bool,
        [registry, calm]: [&Registry; 2],
    ) -> Result<Self, BindFailed> {
        let at = BindFailed::at;
        let token = |place| PortKind::Rtsp.token(place);
        let listener = |address, place| Listener::bind(address, registry, token(place));
        let mut listeners = Vec::new();
        if listens {
            let (rtsp, rtsps) = (config.rtsp, config.rtsps);
            listeners.push(listener(rtsp, place::RTSP).map_err(at("listen.rtsp", rtsp))?);
            listeners.push(listener(rtsps, place::RTSPS).map_err(at("listen.rtsps", rtsps))?);
        }
        let tokens = [token(place::RTP), token(place::RTCP)];
        let udp = Udp::bind(config.rtsp_udp, [registry, calm], tokens);
        let (udp, udp_ports) = udp.map_err(at("listen.rtsp_udp", config.rtsp_udp))?;
        let tls = tls_config(&config.tls).map_err(at("listen.rtsps", config.rtsps))?;
        let ssrc = random().map_err(at("listen.rtsp", config.rtsp))?;
        let calm = calm.try_clone().map_err(at("listen.rtsp", config.rtsp))?;
        let shared = Shared {
            calm,
            udp,
            door,
            scratch: vec![0; SCRATCH].into_boxed_slice(),
            ssrc: u32::from_ne_bytes(ssrc),
        };
        Ok(Self {
            listeners,
            tls,
            plain_play: config.plain_rtsp_play,
            udp_ports,
            shared,
            peers: Slab::new(),
            born: 0,
            busy: Vec::new(),
            udp_busy: [false; 2],
            urgent: None,
            next_tick: None,
        })
    }

    /// Where the port listens, with the real ports; `None` if it does not.
    pub(crate) fn addresses(&self) -> io::Result<Option<RtspAddresses>> {
        let [rtsp, rtsps] = self.listeners.as_slice() else { return Ok(None) };
        let (rtsp, rtsps) = (rtsp.tcp.local_addr()?, rtsps.tcp.local_addr()?);
        Ok(Some(RtspAddresses { rtsp, rtsps }))
    }

    /// A socket is ready.
    pub(crate) fn handle_io(
        &mut self,
        cx: &mut Cx<'_>,
        token: Token,
        readable: bool,
        _writable: bool,
    ) {
        let Some((PortKind::Rtsp, index)) = PortKind::of(token) else { return };
        match index {
            place::RTSP | place::RTSPS => self.accept(cx, index),
            place::RTP => self.receive(cx, false),
            place::RTCP => self.receive(cx, true),
            peer => {
                let id = PeerId(peer as u64);
                self.with_peer(cx, id, |peer, cx, shared| peer.handle_ready(cx, shared, readable));
            }
        }
    }

    /// What the rest of the relay asks.
    pub(crate) fn handle_command(&mut self, cx: &mut Cx<'_>, command: RtspCommand) {
        match command {
            RtspCommand::AddHandle { user, password, admitted, expires, reply } => {
                let added = self.shared.door.handles().add(user, &password, admitted, expires);
                if !added {
                    metrics::counter!("sightline_rtsp_handles_refused_total").increment(1);
                }
                // A caller that has gone leaves a login that expires.
                let _ = reply.send(if added { Ok(()) } else { Err(MediaError::Full) });
                self.start_tick(cx.now);
            }
            RtspCommand::Credential { peer, answer } => {
                self.with_peer(cx, peer, |peer, cx, shared| {
                    if !matches!(peer.who, Who::Candidate(_)) {
                        return Fate::Lives;
                    }
                    let secret = answer.as_ref().map(|known| {
                        Secret::from_ha1(known.ha1_md5.expose(), known.ha1_sha256.expose())
                    });
                    peer.who = Who::Candidate(answer.map(|known| known.publisher));
                    peer.connection.answer_login(cx.now, secret);
                    peer.turn(cx, shared)
                });
            }
        }
    }

    /// When [`Self::handle_timeout`] is due.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let again = self.listeners.iter().filter_map(|listener| listener.again);
        again.chain(self.urgent).chain(self.next_tick).min()
    }

    /// Time has passed.
    pub(crate) fn handle_timeout(&mut self, cx: &mut Cx<'_>) {
        for index in 0..self.listeners.len() {
            if self.listeners[index].again.is_some_and(|due| due <= cx.now) {
                self.accept(cx, index);
            }
        }
        self.urgent = None;
        for rtcp in [false, true] {
            if std::mem::take(&mut self.udp_busy[usize::from(rtcp)]) {
                self.receive(cx, rtcp);
            }
        }
        for id in std::mem::take(&mut self.busy) {
            self.with_peer(cx, id, |peer, cx, shared| peer.turn(cx, shared));
        }
        if self.next_tick.is_some_and(|due| due <= cx.now) {
            self.tick(cx);
        }
    }

    /// A viewer is served soon: what that needs is read for several viewers first, so that it comes
    /// from memory for all at once.
    pub(crate) fn look_ahead(&self, id: PeerId) {
        let place = (id.0 & ((1 << place::BITS) - 1)) as usize;
        if let Some(peer) = self.peers.get(place).filter(|peer| peer.id == id) {
            peer.look_ahead();
        }
    }

    /// The hub has frames for a viewer.
    pub(crate) fn deliver(&mut self, cx: &mut Cx<'_>, peer: PeerId, subscriber: SubscriberId) {
        self.with_peer(cx, peer, |peer, cx, shared| peer.deliver(cx, shared, subscriber));
    }

    /// Whether no media waits for [`Self::flush`].
    pub(crate) fn is_flushed(&self) -> bool {
        self.shared.udp.is_flushed()
    }

    /// All viewers that had frames were served.
    pub(crate) fn flush(&mut self) {
        self.shared.udp.flush_media();
    }

    /// Ends a peer at once. What is queued is thrown away, with a reset, so that nothing more
    /// reaches a stalled reader. A stream that ended is said goodbye if nothing is queued.
    pub(crate) fn close(&mut self, cx: &mut Cx<'_>, id: PeerId, reason: CloseReason) {
        self.with_peer(cx, id, |peer, cx, shared| {
            let polite = matches!(reason, CloseReason::StreamEnded | CloseReason::Shutdown);
            if !polite || !peer.output.is_empty() {
                return Fate::Broken;
            }
            if let Who::Viewer(viewer) = &mut peer.who {
                viewer.say_goodbye(cx, &mut peer.output, &shared.udp, peer.address);
            }
            match peer.output.pump(&mut peer.wire) {
                Ok(true) => Fate::Finished,
                _ => Fate::Broken,
            }
        });
    }

    /// Ends every connection that publishes for a device, or is logged in to.
    pub(crate) fn end_publishers(&mut self, cx: &mut Cx<'_>, device: &DeviceId) {
        let of_device = self.peers.iter().filter(|(_, peer)| peer.publishes_for(device));
        for id in of_device.map(|(_, peer)| peer.id).collect::<Vec<_>>() {
            self.close(cx, id, CloseReason::CredentialEnded);
        }
    }

    #[cfg(test)]
    fn connections(&self) -> usize {
        self.peers.len()
    }

    fn with_peer(
        &mut self,
        cx: &mut Cx<'_>,
        id: PeerId,
        act: impl FnOnce(&mut Peer, &mut Cx<'_>, &mut Shared) -> Fate,
    ) {
        let place = (id.0 & ((1 << place::BITS) - 1)) as usize;
        let Some(peer) = self.peers.get_mut(place).filter(|peer| peer.id == id) else { return };
        let fate = act(peer, cx, &mut self.shared);
        if fate == Fate::Busy && !self.busy.contains(&id) {
            self.busy.push(id);
            self.urgent.get_or_insert(cx.now);
        }
        if !fate.is_gone() {
            return;
        }
        let mut peer = self.peers.remove(place);
        if fate == Fate::Moves {
            return self.send_away(cx, peer);
        }
        peer.leave(cx, &mut self.shared);
        match fate {
            Fate::Finished => peer.wire.finish(),
            _ => peer.wire.reset(),
        }
    }

    fn is_full(&self) -> bool {
        self.peers.len() >= MAX_CONNECTIONS
    }

    fn start_tick(&mut self, now: Instant) {
        self.next_tick.get_or_insert(now + TICK);
    }

    fn accept(&mut self, cx: &mut Cx<'_>, index: usize) {
        if index >= self.listeners.len() {
            return;
        }
        self.listeners[index].again = None;
        for _ in 0..ACCEPTS {
            match self.listeners[index].tcp.accept() {
                Ok((tcp, address)) => self.admit(cx, index == place::RTSPS, tcp, address),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // A connection that died in the queue says nothing about the next one.
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept RTSP connections; trying again");
                    self.listeners[index].again = Some(cx.now + ACCEPT_PAUSE);
                    return;
                }
            }
        }
        self.listeners[index].again = Some(cx.now);
    }

    /// Takes a connection in, or drops it when a bound is reached.
    fn admit(&mut self, cx: &mut Cx<'_>, tls: bool, mut tcp: TcpStream, address: SocketAddr) {
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        if self.is_full() || !self.shared.door.admission().enter(address.ip()) {
            metrics::counter!("sightline_rtsp_connections_refused_total").increment(1);
            return;
        }
        let taken = self.open(cx, tls, &mut tcp, address);
        let Ok((id, connection, session)) = taken else {
            return self.shared.door.admission().leave(address.ip());
        };
        let wire = match session {
            Some(session) => Wire::tls(tcp, session),
            None => Wire::plain(tcp),
        };
        self.peers.insert(Peer::new(cx.now, id, address, connection, wire));
        self.start_tick(cx.now);
        // Bytes may have come before the registration.
        self.with_peer(cx, id, |peer, cx, shared| peer.handle_ready(cx, shared, true));
    }

    fn open(
        &mut self,
        cx: &mut Cx<'_>,
        tls: bool,
        tcp: &mut TcpStream,
        address: SocketAddr,
    ) -> io::Result<(PeerId, RtspConnection, Option<ServerConnection>)> {
        let settings = Settings {
            realm: RTSP_REALM,
            play: tls || self.plain_play || address.ip().is_loopback(),
            udp_ports: (!tls).then_some(self.udp_ports),
            seed: random()?,
        };
        let session = if tls {
            let session = ServerConnection::new(Arc::clone(&self.tls));
            Some(session.map_err(io::Error::other)?)
        } else {
            None
        };
        // A frame is written whole; waiting for more would only delay its end.
        tcp.set_nodelay(true)?;
        let id = self.next_id();
        listen(cx.registry, tcp, id)?;
        Ok((id, RtspConnection::new(cx.now, settings), session))
    }

    fn receive(&mut self, cx: &mut Cx<'_>, rtcp: bool) {
        let peers = &mut self.peers;
        let more = self.shared.udp.receive(rtcp, |route: Route, packet| {
            let place = (route.peer.0 & ((1 << place::BITS) - 1)) as usize;
            if let Some(peer) = peers.get_mut(place).filter(|peer| peer.id == route.peer) {
                peer.handle_media(cx, route.track, route.rtcp, packet);
            }
        });
        self.udp_busy[usize::from(rtcp)] = more;
        if more {
            self.urgent.get_or_insert(cx.now);
        }
    }

    fn tick(&mut self, cx: &mut Cx<'_>) {
        self.shared.door.handles().expire(cx.now);
        let ids: Vec<PeerId> = self.peers.iter().map(|(_, peer)| peer.id).collect();
        for id in ids {
            self.with_peer(cx, id, |peer, cx, shared| peer.handle_tick(cx, shared));
        }
        self.shared.udp.send_rtcp(cx.arena);
        let idle = self.peers.is_empty() && self.shared.door.handles().is_empty();
        self.next_tick = if idle { None } else { Some(cx.now + TICK) };
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| io::Error::other("no randomness"))?;
    Ok(bytes)
}

fn tls_config(identity: &TlsIdentity) -> io::Result<Arc<ServerConfig>> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(identity.chain.clone(), identity.key.clone_key())
        .map_err(io::Error::other)?;
    Ok(Arc::new(config))
}
