//! A small loop around the port.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use sightline_grant::{Epochs, Role, Thumbprint};
use sightline_relay_proto::codec::TrackInfo;
use sightline_relay_proto::frame::Mode;
use sightline_relay_proto::hub::{Hub, HubEvent, Publication, PublisherId};
use sightline_relay_proto::ids::{Channel, DeviceId, StreamKey};
use sightline_relay_proto::transmit::Arena;
use tokio::sync::oneshot;

use super::super::{WebRtcCommand, WebRtcPort};
use crate::api::{
    Admitted, LeaseTerms, MediaError, Publisher, SessionId, WebRtcAnswer, WebRtcPatch,
};
use crate::config::{RelayConfig, RotatingIdentity, TlsIdentity};
use crate::crew::Company;
use crate::lease::LeaseTable;
use crate::port::{CloseReason, Cx, Directory, PortKind, Questions};

fn stream_key() -> StreamKey {
    StreamKey::up(DeviceId::new("CAM-1").expect("legal"), Channel(0))
}

/// An offer of one H.264 section.
pub(super) fn offer(way: &str) -> String {
    let digest = ["5A"; 32].join(":");
    format!(
        "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
         m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\na={way}\r\na=rtcp-mux\r\n\
         a=ice-ufrag:them\r\na=ice-pwd:theirtheirtheirtheirpwd\r\n\
         a=fingerprint:sha-256 {digest}\r\na=setup:actpass\r\n\
         a=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\n"
    )
}

/// The port in its loop. Time is the real one plus `skipped`.
pub(super) struct Rig {
    pub(super) hub: Hub,
    pub(super) port: WebRtcPort,
    pub(super) directory: Directory,
    leases: LeaseTable,
    arena: Arena,
    questions: Questions,
    company: Company,
    poll: mio::Poll,
    pub(super) authority_speaks: bool,
    next_session: u128,
    skipped: Duration,
}

impl Rig {
    pub(super) fn new(ip: IpAddr) -> Self {
        let own = rcgen::generate_simple_self_signed(Vec::new()).expect("a certificate");
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(own.signing_key.serialize_der()));
        let any = SocketAddr::new(ip, 0);
        let tls = Arc::new(TlsIdentity { chain: vec![own.cert.der().clone()], key });
        let config = RelayConfig {
            workers: 1,
            web: RotatingIdentity::new(&tls).expect("a key of TLS"),
            webrtc: any,
            rtsp: any,
            rtsps: any,
            rtsp_udp: any,
            roq: any,
            public_addresses: vec![ip],
            plain_rtsp_play: false,
            tls,
        };
        let poll = mio::Poll::new().expect("epoll");
        let port = WebRtcPort::bind(&config, poll.registry()).expect("a port");
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
            authority_speaks: true,
            next_session: 0,
            skipped: Duration::ZERO,
        }
    }

    fn with<T>(&mut self, action: impl FnOnce(&mut WebRtcPort, &mut Cx<'_>) -> T) -> T {
        let mut cx = Cx {
            now: Instant::now() + self.skipped,
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

    /// Puts a stream into the hub without a transport.
    pub(super) fn go_live(&mut self, tracks: Vec<TrackInfo>) -> PublisherId {
        self.go_live_as(Mode::Open, tracks)
    }

    pub(super) fn go_live_as(&mut self, mode: Mode, tracks: Vec<TrackInfo>) -> PublisherId {
        let publication = Publication {
            key: stream_key(),
            tracks,
            mode,
            takes_keyframe_requests: false,
            unordered: false,
        };
        let now = Instant::now();
        self.hub.publish(now, publication).expect("a track")
    }

    pub(super) fn view(&mut self, offer: &str) -> Result<WebRtcAnswer, MediaError> {
        let terms = LeaseTerms {
            subject: "a".into(),
            session: "s".into(),
            serial: "CAM-1".into(),
            role: Role::Owner,
            epochs: Epochs::default(),
        };
        let admitted = Admitted { terms, key: stream_key(), terminal: Thumbprint([0; 32]) };
        let (id, offer) = (self.name(), offer.to_owned());
        if self.authority_speaks {
            self.leases.feed_beat(Instant::now() + self.skipped);
        }
        self.ask(|reply| WebRtcCommand::View { id, admitted, offer, reply })
    }

    pub(super) fn publish(
        &mut self,
        offer: &str,
        sealed: bool,
    ) -> Result<WebRtcAnswer, MediaError> {
        let publisher = Publisher { key: stream_key(), sealed };
        let (id, offer) = (self.name(), offer.to_owned());
        self.ask(|reply| WebRtcCommand::Publish { id, publisher, offer, reply })
    }

    pub(super) fn patch(
        &mut self,
        id: SessionId,
        if_match: Option<&str>,
        fragment: &str,
    ) -> Result<WebRtcPatch, MediaError> {
        let (if_match, fragment) = (if_match.map(str::to_owned), fragment.to_owned());
        self.ask(|reply| WebRtcCommand::Patch { id, if_match, fragment, reply })
    }

    pub(super) fn delete(&mut self, id: SessionId) -> Result<(), MediaError> {
        self.ask(|reply| WebRtcCommand::Delete { id, reply })
    }

    fn name(&mut self) -> SessionId {
        self.next_session += 1;
        SessionId(self.next_session)
    }

    fn ask<T>(
        &mut self,
        command: impl FnOnce(oneshot::Sender<Result<T, MediaError>>) -> WebRtcCommand,
    ) -> Result<T, MediaError> {
        let (sender, mut receiver) = oneshot::channel();
        self.with(|port, cx| port.handle_command(cx, command(sender)));
        receiver.try_recv().expect("an answer at once")
    }

    pub(super) fn leases(&self) -> usize {
        self.directory.leases.len()
    }

    /// Closes every peer that holds a lease, as a revocation does.
    pub(super) fn end_leases(&mut self, reason: CloseReason) {
        let peers: Vec<_> = self.directory.leases.values().map(|(_, peer)| *peer).collect();
        for peer in peers {
            self.with(|port, cx| port.close(cx, peer, reason));
        }
    }

    /// The time of the loop.
    pub(super) fn now(&self) -> Instant {
        Instant::now() + self.skipped
    }

    /// Lets time pass.
    pub(super) fn skip(&mut self, by: Duration) {
        self.skipped += by;
        self.with(|port, cx| port.handle_timeout(cx));
    }

    /// One turn of the worker's loop.
    pub(super) fn turn(&mut self, longest: Duration) {
        let now = Instant::now() + self.skipped;
        let deadlines = [self.port.poll_timeout(), self.hub.poll_timeout()].into_iter().flatten();
        let wait = deadlines.min().map_or(longest, |at| at.saturating_duration_since(now));
        let mut events = mio::Events::with_capacity(8);
        self.poll.poll(&mut events, Some(wait.min(longest))).expect("polled");
        for event in &events {
            self.with(|port, cx| port.handle_io(cx, event.token(), event.is_readable(), false));
        }
        self.with(|port, cx| {
            port.handle_timeout(cx);
            cx.hub.handle_timeout(cx.now);
            while let Some(subscriber) = cx.hub.poll_ready(cx.now) {
                let place = cx.directory.subscribers.get(&subscriber).copied();
                let (kind, peer) = place.expect("entered by the port");
                assert_eq!(kind, PortKind::WebRtc);
                port.deliver(cx, peer, subscriber);
            }
            port.flush();
            while let Some(event) = cx.hub.poll_event() {
                if let HubEvent::KeyframeNeeded { publisher, track } = event
                    && let Some((_, peer)) = cx.directory.publishers.get(&publisher).copied()
                {
                    port.request_keyframe(cx, peer, track);
                }
            }
        });
    }
}
