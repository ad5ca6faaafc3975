//! A small loop around the port, and a QUIC client of its own on the loopback.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use quinn_proto::crypto::rustls::QuicClientConfig;
use quinn_proto::{
    ClientConfig, Connection, ConnectionError, ConnectionHandle, DatagramEvent, Dir, Endpoint,
    EndpointConfig, Event, ReadError, StreamEvent, StreamId, TransportConfig, VarInt,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sightline_grant::{Epochs, Role, Thumbprint};
use sightline_relay_proto::frame::Mode;
use sightline_relay_proto::hub::{Hub, HubEvent};
use sightline_relay_proto::ids::{Channel, DeviceId, StreamKey};
use sightline_relay_proto::transmit::Arena;
use sightline_relay_proto::wire::varint;
use tokio::sync::oneshot;

use super::super::web::h3;
use super::super::{RoqCommand, RoqPort, tls};
use crate::api::{Admitted, LeaseTerms, MediaError, Publisher, RoqSession, SessionId, WebSession};
use crate::config::{RelayConfig, RotatingIdentity, TlsIdentity};
use crate::crew::Company;
use crate::lease::LeaseTable;
use crate::port::{CloseReason, Cx, Directory, PeerId, PortKind, Questions};

/// Longest time that a test waits for something to come over the loopback.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) fn stream_key() -> StreamKey {
    StreamKey::up(DeviceId::new("CAM-1").expect("legal"), Channel(0))
}

/// A client's key with its certificate.
pub(super) struct Identity {
    certificate: CertificateDer<'static>,
    pub(super) key: Vec<u8>,
    pub(super) thumbprint: Thumbprint,
}

impl Identity {
    pub(super) fn p256() -> Self {
        Self::of(&rcgen::PKCS_ECDSA_P256_SHA256)
    }

    pub(super) fn ed25519() -> Self {
        Self::of(&rcgen::PKCS_ED25519)
    }

    fn of(algorithm: &'static rcgen::SignatureAlgorithm) -> Self {
        let key = rcgen::KeyPair::generate_for(algorithm).expect("a key");
        let params = rcgen::CertificateParams::new(Vec::new()).expect("no names");
        let certificate = params.self_signed(&key).expect("signed").der().clone();
        let thumbprint = tls::key_of(&certificate).expect("of a kind we take").thumbprint();
        Self { certificate, key: key.serialize_der(), thumbprint }
    }
}

/// The port in its loop. Time is the real one plus `skip`.
pub(super) struct Rig {
    pub(super) hub: Hub,
    pub(super) port: RoqPort,
    pub(super) directory: Directory,
    leases: LeaseTable,
    arena: Arena,
    questions: Questions,
    company: Company,
    poll: mio::Poll,
    root: CertificateDer<'static>,
    next_session: u128,
    pub(super) skip: Duration,
}

impl Rig {
    pub(super) fn new() -> Self {
        let names = vec!["*.roq.sightline.internal".to_owned()];
        let own = rcgen::generate_simple_self_signed(names).expect("a certificate");
        let root = own.cert.der().clone();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(own.signing_key.serialize_der()));
        let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        let tls = Arc::new(TlsIdentity { chain: vec![root.clone()], key });
        let config = RelayConfig {
            workers: 1,
            web: RotatingIdentity::new(&tls).expect("a key of TLS"),
            webrtc: any,
            rtsp: any,
            rtsps: any,
            rtsp_udp: any,
            roq: any,
            public_addresses: vec![any.ip()],
            plain_rtsp_play: false,
            tls,
        };
        let poll = mio::Poll::new().expect("epoll");
        let port = RoqPort::new(&config, poll.registry()).expect("a port");
        let (sender, _) = tokio::sync::mpsc::channel(1);
        Self {
            hub: Hub::new(1),
            port,
            directory: Directory::default(),
            leases: LeaseTable::default(),
            arena: Arena::default(),
            questions: Questions::new(sender),
            company: Company::alone(),
            poll,
            root,
            next_session: 0,
            skip: Duration::ZERO,
        }
    }

    pub(super) fn now(&self) -> Instant {
        Instant::now() + self.skip
    }

    fn with<T>(&mut self, action: impl FnOnce(&mut RoqPort, &mut Cx<'_>) -> T) -> T {
        self.leases.feed_beat(Instant::now() + self.skip);
        let mut cx = Cx {
            now: Instant::now() + self.skip,
            hub: &mut self.hub,
            leases: &mut self.leases,
            directory: &mut self.directory,
            registry: self.poll.registry(),
            arena: &mut self.arena,
            questions: &self.questions,
            company: &mut self.company,
        };
        action(&mut self.port, &mut cx)
    }

    pub(super) fn view(&mut self, terminal: Thumbprint) -> Result<RoqSession, MediaError> {
        let terms = LeaseTerms {
            subject: "a".into(),
            session: "s".into(),
            serial: "CAM-1".into(),
            role: Role::Owner,
            epochs: Epochs::default(),
        };
        let admitted = Admitted { terms, key: stream_key(), terminal };
        self.command(|id, reply| RoqCommand::View { id, admitted, reply })
    }

    pub(super) fn view_web(&mut self) -> Result<WebSession, MediaError> {
        let terms = LeaseTerms {
            subject: "a".into(),
            session: "s".into(),
            serial: "CAM-1".into(),
            role: Role::Owner,
            epochs: Epochs::default(),
        };
        let admitted = Admitted { terms, key: stream_key(), terminal: Thumbprint([7; 32]) };
        self.command(|id, reply| RoqCommand::ViewWeb { id, admitted, reply })
    }

    pub(super) fn publish(
        &mut self,
        identity: Thumbprint,
        tracks: Vec<sightline_relay_proto::codec::TrackInfo>,
    ) -> Result<RoqSession, MediaError> {
        self.publish_as(Mode::Open, identity, tracks, Mode::Open)
    }

    /// What a device of a mode is answered that announces to send `mode`.
    pub(super) fn publish_as(
        &mut self,
        device: Mode,
        identity: Thumbprint,
        tracks: Vec<sightline_relay_proto::codec::TrackInfo>,
        mode: Mode,
    ) -> Result<RoqSession, MediaError> {
        let publisher = Publisher { key: stream_key(), sealed: device.is_sealed() };
        self.command(|id, reply| RoqCommand::Publish {
            id,
            publisher,
            identity,
            tracks,
            mode,
            reply,
        })
    }

    fn command<T>(
        &mut self,
        make: impl FnOnce(SessionId, oneshot::Sender<Result<T, MediaError>>) -> RoqCommand,
    ) -> Result<T, MediaError> {
        self.next_session += 1;
        let (reply, mut answer) = oneshot::channel();
        let command = make(SessionId(self.next_session), reply);
        self.with(|port, cx| port.handle_command(cx, command));
        answer.try_recv().expect("commands are answered at once")
    }

    pub(super) fn close(&mut self, peer: PeerId, reason: CloseReason) {
        self.with(|port, cx| port.close(cx, peer, reason));
    }

    pub(super) fn end_publishers(&mut self, device: &str) {
        let device = DeviceId::new(device).expect("a legal serial");
        self.with(|port, cx| port.end_publishers(cx, &device));
    }

    pub(super) fn tell_publishers(&mut self, device: Option<&str>) {
        let device = device.map(|it| DeviceId::new(it).expect("a legal serial"));
        self.with(|port, cx| port.tell_publishers(cx, device.as_ref()));
    }

    pub(super) fn end_other_mode(&mut self, device: &str, mode: Mode) {
        let device = DeviceId::new(device).expect("a legal serial");
        self.with(|port, cx| {
            port.end_other_mode(cx, &device, mode);
            cx.hub.end_other_mode(&device, mode);
        });
    }

    /// One turn of the loop.
    pub(super) fn turn(&mut self) {
        let mut events = mio::Events::with_capacity(8);
        self.poll.poll(&mut events, Some(Duration::from_millis(1))).expect("poll");
        for event in &events {
            let (token, readable) = (event.token(), event.is_readable());
            self.with(|port, cx| port.handle_io(cx, token, readable, event.is_writable()));
        }
        self.with(|port, cx| {
            if port.poll_timeout().is_some_and(|at| at <= cx.now) {
                port.handle_timeout(cx);
            }
            cx.hub.handle_timeout(cx.now);
            while let Some(event) = cx.hub.poll_event() {
                match event {
                    HubEvent::KeyframeNeeded { publisher, track } => {
                        if let Some((PortKind::Roq, peer)) = cx.directory.publishers.get(&publisher)
                        {
                            port.request_keyframe(cx, *peer, track);
                        }
                    }
                    HubEvent::SubscriberEnded { subscriber, .. } => {
                        if let Some((_, peer)) = cx.directory.subscribers.get(&subscriber).copied()
                        {
                            port.close(cx, peer, CloseReason::StreamEnded);
                        }
                    }
                    _ => {}
                }
            }
            while let Some(subscriber) = cx.hub.poll_ready(cx.now) {
                if let Some((_, peer)) = cx.directory.subscribers.get(&subscriber).copied() {
                    port.deliver(cx, peer, subscriber);
                }
            }
        });
    }

    /// Turns the loop with a client until `done` holds.
    pub(super) fn until(
        &mut self,
        client: &mut Client,
        what: &str,
        mut done: impl FnMut(&mut Self, &mut Client) -> bool,
    ) {
        let end = Instant::now() + PATIENCE;
        while !done(self, client) {
            assert!(Instant::now() < end, "{what}: not in time; lost: {:?}", client.lost);
            client.step();
            self.turn();
        }
    }

    pub(super) fn connect(&self, session: &RoqSession, identity: &Identity) -> Client {
        self.connect_to(&session.server_name, identity, TransportConfig::default())
    }

    pub(super) fn connect_to(
        &self,
        name: &str,
        identity: &Identity,
        transport: TransportConfig,
    ) -> Client {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.root.clone()).expect("a root");
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(identity.key.clone()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .with_root_certificates(roots)
            .with_client_auth_cert(vec![identity.certificate.clone()], key)
            .expect("a client certificate");
        tls.alpn_protocols = vec![b"roq-14".to_vec()];
        let crypto = QuicClientConfig::try_from(tls).expect("a QUIC configuration");
        let mut config = ClientConfig::new(Arc::new(crypto));
        config.transport_config(Arc::new(transport));
        Client::new(config, self.port.local_addr(), name)
    }
}

impl Rig {
    /// A browser: no certificate of its own.
    pub(super) fn connect_web(&self, transport: TransportConfig) -> Client {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.root.clone()).expect("a root");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![h3::ALPN.to_vec()];
        let crypto = QuicClientConfig::try_from(tls).expect("a QUIC configuration");
        let mut config = ClientConfig::new(Arc::new(crypto));
        config.transport_config(Arc::new(transport));
        Client::new(config, self.port.local_addr(), "web.roq.sightline.internal")
    }
}

/// A QUIC client that notes what it gets.
pub(super) struct Client {
    socket: UdpSocket,
    endpoint: Endpoint,
    pub(super) quic: Connection,
    handle: ConnectionHandle,
    pub(super) connected: bool,
    pub(super) lost: Option<ConnectionError>,
    /// Bytes of each stream.
    pub(super) streams: HashMap<StreamId, Vec<u8>>,
    pub(super) datagrams: Vec<Bytes>,
    /// Codes of reset streams.
    pub(super) resets: Vec<u64>,
    /// Streams that are stopped by the other side, with their codes.
    pub(super) stopped: Vec<u64>,
    /// Streams are left unread while this holds.
    pub(super) deaf: bool,
    unread: Vec<StreamId>,
}

impl Client {
    fn new(config: ClientConfig, server: SocketAddr, name: &str) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.set_nonblocking(true).expect("non-blocking");
        let mut endpoint = Endpoint::new(Arc::new(EndpointConfig::default()), None, false, None);
        let (handle, quic) =
            endpoint.connect(Instant::now(), config, server, name).expect("a connection");
        Self {
            socket,
            endpoint,
            quic,
            handle,
            connected: false,
            lost: None,
            streams: HashMap::new(),
            datagrams: Vec::new(),
            resets: Vec::new(),
            stopped: Vec::new(),
            deaf: false,
            unread: Vec::new(),
        }
    }

    /// Application code and reason of the server's close.
    pub(super) fn close_code(&self) -> Option<(u64, String)> {
        match self.lost.as_ref()? {
            ConnectionError::ApplicationClosed(close) => Some((
                close.error_code.into_inner(),
                String::from_utf8_lossy(&close.reason).into_owned(),
            )),
            _ => None,
        }
    }

    /// Opens a uni stream with this flow and writes packets, each behind its length.
    pub(super) fn send_stream(&mut self, bytes: &[u8], finish: bool) -> StreamId {
        let stream = self.quic.streams().open(Dir::Uni).expect("stream credit");
        self.write(stream, bytes);
        if finish {
            self.quic.send_stream(stream).finish().expect("open");
        }
        stream
    }

    pub(super) fn write(&mut self, stream: StreamId, bytes: &[u8]) {
        let written = self.quic.send_stream(stream).write(bytes).expect("room");
        assert_eq!(written, bytes.len());
    }

    pub(super) fn send_datagram(&mut self, bytes: Vec<u8>) {
        self.quic.datagrams().send(bytes.into(), false).expect("room");
    }

    /// Flow of each stream that has begun.
    pub(super) fn stream_flows(&self) -> Vec<u64> {
        self.streams.values().filter_map(|bytes| varint::read(bytes)).map(|(f, _)| f).collect()
    }

    pub(super) fn step(&mut self) {
        let now = Instant::now();
        let mut buffer = vec![0; 65_536];
        let mut out = Vec::new();
        loop {
            match self.socket.recv_from(&mut buffer) {
                Ok((len, from)) => {
                    let data = BytesMut::from(&buffer[..len]);
                    out.clear();
                    if let Some(DatagramEvent::ConnectionEvent(_, event)) =
                        self.endpoint.handle(now, from, None, None, data, &mut out)
                    {
                        self.quic.handle_event(event);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
        if self.quic.poll_timeout().is_some_and(|at| at <= now) {
            self.quic.handle_timeout(now);
        }
        while let Some(event) = self.quic.poll_endpoint_events() {
            if let Some(event) = self.endpoint.handle_event(self.handle, event) {
                self.quic.handle_event(event);
            }
        }
        while let Some(event) = self.quic.poll() {
            self.event(event);
        }
        if !self.deaf {
            for stream in std::mem::take(&mut self.unread) {
                self.read(stream);
            }
        }
        loop {
            out.clear();
            let Some(transmit) = self.quic.poll_transmit(now, 1, &mut out) else { break };
            let _ = self.socket.send_to(&out[..transmit.size], transmit.destination);
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Connected => self.connected = true,
            Event::ConnectionLost { reason } => self.lost = Some(reason),
            Event::DatagramReceived => {
                while let Some(datagram) = self.quic.datagrams().recv() {
                    self.datagrams.push(datagram);
                }
            }
            Event::Stream(StreamEvent::Opened { dir }) => {
                while let Some(stream) = self.quic.streams().accept(dir) {
                    self.unread.push(stream);
                }
            }
            Event::Stream(StreamEvent::Readable { id }) => self.unread.push(id),
            Event::Stream(StreamEvent::Stopped { error_code, .. }) => {
                self.stopped.push(error_code.into_inner());
            }
            _ => {}
        }
    }

    fn read(&mut self, stream: StreamId) {
        let mut incoming = self.quic.recv_stream(stream);
        let Ok(mut chunks) = incoming.read(true) else { return };
        loop {
            match chunks.next(usize::MAX) {
                Ok(Some(chunk)) => {
                    self.streams.entry(stream).or_default().extend_from_slice(&chunk.bytes);
                }
                Err(ReadError::Reset(code)) => {
                    self.resets.push(code.into_inner());
                    break;
                }
                Ok(None) | Err(ReadError::Blocked) => break,
            }
        }
        let _ = chunks.finalize();
    }

    /// Writes on a new bidirectional stream.
    pub(super) fn request(&mut self, bytes: &[u8]) -> StreamId {
        let stream = self.quic.streams().open(Dir::Bi).expect("bidi credit");
        self.write(stream, bytes);
        stream
    }

    pub(super) fn open_bidi(&mut self) {
        let stream = self.quic.streams().open(Dir::Bi).expect("bidi credit");
        self.quic.send_stream(stream).write(b"hello").expect("room");
    }

    pub(super) fn leave(&mut self) {
        self.quic.close(Instant::now(), VarInt::from_u32(0), Bytes::new());
    }
}
