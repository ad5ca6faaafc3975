//! The port over real sockets of the loopback interface, driven step by step.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mio::{Events, Poll};
use sightline_grant::{Epochs, Role, Thumbprint};
use sightline_relay_proto::codec::{Codec, TrackInfo};
use sightline_relay_proto::frame::{ArrivalTime, Descriptor, Frame, MediaTime, Mode, Protection};
use sightline_relay_proto::hub::{Delivery, Hub, HubEvent, Publication};
use sightline_relay_proto::ids::{Channel, DeviceId, StreamKey, Tier, TrackIndex};
use sightline_relay_proto::rtsp::digest::{Algorithm, Challenge};
use sightline_relay_proto::transmit::Arena;
use sightline_relay_proto::wire::{rtcp, rtp};

use crate::api::{LeaseTerms, Publisher};
use crate::config::RotatingIdentity;
use crate::crew::{Company, Note};
use crate::lease::LeaseTable;
use crate::port::{Directory, Question, Questions};

use super::*;

mod moving;
mod narrow;
mod pipelining;
mod steady;
mod tls;

pub(super) const SERIAL: &str = "CAM-1";
pub(super) const PASSWORD: &str = "publish password";
const SDP: &str =
    "v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:streamid=0\r\n";

/// A worker reduced to this port.
pub(super) struct Harness {
    poll: Poll,
    pub(super) port: RtspPort,
    pub(super) hub: Hub,
    leases: LeaseTable,
    directory: Directory,
    arena: Arena,
    questions: Questions,
    company: Company,
    asked: tokio::sync::mpsc::Receiver<Question>,
    certificate: rustls_pki_types::CertificateDer<'static>,
    sealed: bool,
    /// Whether the revocation feed is heard.
    beats: bool,
    skew: Duration,
    /// A worker without listeners.
    other: Option<Box<Self>>,
}

impl Harness {
    pub(super) fn new() -> Self {
        Self::bind(([127, 0, 0, 1], 0).into(), ([127, 0, 0, 1], 0).into())
    }

    fn bind(rtsp: SocketAddr, rtsps: SocketAddr) -> Self {
        Self::worker(rtsp, rtsps, Arc::new(Door::default()), Company::alone())
    }

    /// One worker of a relay; the first has the listeners.
    fn worker(rtsp: SocketAddr, rtsps: SocketAddr, door: Arc<Door>, company: Company) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let key = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let tls = TlsIdentity {
            chain: vec![key.cert.der().clone()],
            key: rustls_pki_types::PrivatePkcs8KeyDer::from(key.signing_key.serialize_der()).into(),
        };
        let config = RelayConfig {
            workers: 1,
            web: RotatingIdentity::new(&tls).unwrap(),
            webrtc: any,
            rtsp,
            rtsps,
            rtsp_udp: any,
            roq: any,
            public_addresses: vec![any.ip()],
            plain_rtsp_play: false,
            tls: Arc::new(tls),
        };
        let poll = Poll::new().unwrap();
        let port =
            RtspPort::bind(&config, door, company.me().0 == 0, [poll.registry(); 2]).unwrap();
        let (sender, asked) = tokio::sync::mpsc::channel(8);
        Self {
            poll,
            port,
            hub: Hub::new(7),
            leases: LeaseTable::default(),
            directory: Directory::default(),
            arena: Arena::default(),
            questions: Questions::new(sender),
            company,
            other: None,
            asked,
            certificate: key.cert.der().clone(),
            sealed: false,
            beats: true,
            skew: Duration::ZERO,
        }
    }

    fn act<T>(&mut self, act: impl FnOnce(&mut RtspPort, &mut Cx<'_>) -> T) -> T {
        let mut cx = Cx {
            now: Instant::now() + self.skew,
            hub: &mut self.hub,
            leases: &mut self.leases,
            directory: &mut self.directory,
            registry: self.poll.registry(),
            arena: &mut self.arena,
            questions: &self.questions,
            company: &mut self.company,
        };
        if self.beats {
            cx.leases.feed_beat(cx.now);
        }
        let done = act(&mut self.port, &mut cx);
        assert!(self.arena.is_empty());
        done
    }

    /// One turn of the worker.
    pub(super) fn turn(&mut self) {
        self.hear_others();
        let mut events = Events::with_capacity(64);
        self.poll.poll(&mut events, Some(Duration::from_millis(2))).unwrap();
        for event in &events {
            let readable = event.is_readable() || event.is_read_closed() || event.is_error();
            let (token, writable) = (event.token(), event.is_writable());
            self.act(|port, cx| port.handle_io(cx, token, readable, writable));
        }
        while let Ok(Question::RtspPublisher { peer, user, .. }) = self.asked.try_recv() {
            let answer = (user == SERIAL).then(|| credential(self.sealed));
            self.act(|port, cx| port.handle_command(cx, RtspCommand::Credential { peer, answer }));
        }
        self.act(|port, cx| {
            if port.poll_timeout().is_some_and(|due| due <= cx.now) {
                port.handle_timeout(cx);
            }
            cx.hub.handle_timeout(cx.now);
            while let Some(subscriber) = cx.hub.poll_ready(cx.now) {
                let (_, peer) = *cx.directory.subscribers.get(&subscriber).unwrap();
                port.deliver(cx, peer, subscriber);
            }
            port.flush();
            while let Some(event) = cx.hub.poll_event() {
                let (who, reason) = match event {
                    HubEvent::SubscriberEnded { subscriber, .. } => {
                        (cx.directory.subscribers.get(&subscriber), CloseReason::StreamEnded)
                    }
                    HubEvent::PublisherReplaced { publisher } => {
                        (cx.directory.publishers.get(&publisher), CloseReason::Replaced)
                    }
                    HubEvent::StreamEnded { key, stream, reason } => {
                        cx.company.handle_ended(&key, stream, reason);
                        (None, CloseReason::Shutdown)
                    }
                    _ => (None, CloseReason::Shutdown),
                };
                if let Some((_, peer)) = who.copied() {
                    port.close(cx, peer, reason);
                }
            }
        });
    }

    fn hear_others(&mut self) {
        while let Some(note) = self.company.poll_note() {
            let now = Instant::now() + self.skew;
            if let Some(Note::Visitor(visitor)) = self.company.handle_note(now, &mut self.hub, note)
            {
                self.act(|port, cx| port.take_in(cx, *visitor));
            }
        }
        self.company.hand_on(&mut self.hub);
        if let Some(other) = &mut self.other {
            other.turn();
        }
    }

    pub(super) fn add_handle(&mut self, user: &str, expires: Duration) -> Result<(), MediaError> {
        let terms = LeaseTerms {
            subject: "s".to_owned(),
            session: "l".to_owned(),
            serial: SERIAL.to_owned(),
            role: Role::Owner,
            epochs: Epochs::default(),
        };
        let terminal = Thumbprint([0; 32]);
        let admitted = Admitted { terms, key: key(), terminal };
        let (reply, mut answer) = oneshot::channel();
        let command = RtspCommand::AddHandle {
            user: user.to_owned(),
            password: Redacted::new(format!("pw-{user}")),
            admitted,
            expires: Instant::now() + expires,
            reply,
        };
        self.act(|port, cx| port.handle_command(cx, command));
        answer.try_recv().unwrap()
    }

    fn client(&self) -> Client {
        Client::over(TcpStream::connect(self.port.addresses().unwrap().unwrap().rtsp).unwrap())
    }

    /// A camera that records, over TCP.
    fn camera(&mut self) -> Client {
        let mut camera = self.client();
        camera.user = (SERIAL.to_owned(), PASSWORD.to_owned());
        assert_eq!(camera.ask(self, "ANNOUNCE", "", "Content-Type: application/sdp\r\n", SDP), 200);
        assert_eq!(camera.ask(self, "SETUP", "/streamid=0", TCP, ""), 200);
        assert_eq!(camera.ask(self, "RECORD", "", "", ""), 200);
        camera
    }

    /// A viewer that has described and set up.
    fn viewer(&mut self, user: &str, transport: &str) -> Client {
        self.add_handle(user, Duration::from_secs(30)).unwrap();
        let mut viewer = self.client();
        viewer.login(user);
        assert_eq!(viewer.ask(self, "DESCRIBE", "", "", ""), 200);
        assert_eq!(viewer.ask(self, "SETUP", "/trackID=0", transport, ""), 200);
        viewer
    }
}

const TCP: &str = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n";

/// A picture of these payloads, as the hub hands it to a viewer.
pub(super) fn delivery(seq: u16, timestamp: u32, payloads: Vec<Bytes>) -> Delivery {
    let descriptor = Descriptor {
        track: TrackIndex(0),
        tier: Tier::Main,
        codec: Codec::H264,
        keyframe: true,
        discardable: false,
        discontinuity: false,
        protection: Protection::Open,
        media_time: MediaTime(0),
        capture: None,
        arrival: ArrivalTime(Instant::now()),
    };
    let packets = 0..payloads.len();
    let frame = Frame { descriptor, first_seq: 0, payloads: payloads.into_boxed_slice() };
    Delivery { frame: Arc::new(frame), track: TrackIndex(0), seq, timestamp, packets }
}

pub(super) fn key() -> StreamKey {
    StreamKey::up(DeviceId::new(SERIAL).unwrap(), Channel(0))
}

fn credential(sealed: bool) -> RtspPublisher {
    let ha1 = |algorithm: Algorithm| Redacted::new(algorithm.ha1(SERIAL, RTSP_REALM, PASSWORD));
    RtspPublisher {
        publisher: Publisher { key: key(), sealed },
        ha1_md5: ha1(Algorithm::Md5),
        ha1_sha256: ha1(Algorithm::Sha256),
    }
}

/// A blocking-free RTSP client.
struct Client {
    tcp: TcpStream,
    user: (String, String),
    challenge: Option<Challenge>,
    session: String,
    cseq: u32,
    received: Vec<u8>,
    ended: Option<io::ErrorKind>,
}

impl Client {
    fn over(tcp: TcpStream) -> Self {
        tcp.set_nonblocking(true).unwrap();
        Self {
            tcp,
            user: Default::default(),
            challenge: None,
            session: String::new(),
            cseq: 0,
            received: Vec::new(),
            ended: None,
        }
    }

    fn login(&mut self, user: &str) {
        self.user = (user.to_owned(), format!("pw-{user}"));
    }

    fn read(&mut self) {
        let mut buffer = [0; 16 * 1024];
        loop {
            match self.tcp.read(&mut buffer) {
                Ok(0) => self.ended = Some(io::ErrorKind::UnexpectedEof),
                Ok(len) => {
                    self.received.extend_from_slice(&buffer[..len]);
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => self.ended = Some(error.kind()),
            }
            return;
        }
    }

    /// Takes an answer out of what came; interleaved frames before it are dropped.
    fn answer(&mut self, harness: &mut Harness) -> String {
        for _ in 0..2000 {
            harness.turn();
            self.read();
            while self.received.first() == Some(&b'$') && self.frame().is_some() {}
            let end = self.received.windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(end) = end.filter(|_| self.received[0] != b'$') {
                let head = String::from_utf8(self.received.drain(..end + 4).collect()).unwrap();
                let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
                let length = length.map_or(0, |text| text.parse().unwrap());
                while self.received.len() < length {
                    harness.turn();
                    self.read();
                }
                self.received.drain(..length);
                return head;
            }
            if self.ended.is_some() {
                return String::new();
            }
        }
        panic!("no answer came");
    }

    /// One interleaved frame.
    fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let [b'$', channel, high, low, ..] = self.received[..] else { return None };
        let end = 4 + usize::from(u16::from_be_bytes([high, low]));
        if self.received.len() < end {
            return None;
        }
        let frame: Vec<u8> = self.received.drain(..end).collect();
        Some((channel, frame[4..].to_vec()))
    }

    fn request(
        &mut self,
        harness: &mut Harness,
        method: &str,
        at: &str,
        headers: &str,
        body: &str,
    ) -> String {
        self.cseq += 1;
        let url = format!("rtsp://127.0.0.1/{SERIAL}/0{at}");
        let mut text = format!("{method} {url} RTSP/1.0\r\nCSeq: {}\r\n{headers}", self.cseq);
        if !self.session.is_empty() {
            text += &format!("Session: {}\r\n", self.session);
        }
        if let Some(challenge) = &self.challenge {
            let answer = challenge.answer(&self.user.0, &self.user.1, method, &url, ("c", 1));
            text += &format!("Authorization: {answer}\r\n");
        }
        text += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
        let _ = self.tcp.write_all(text.as_bytes());
        let answer = self.answer(harness);
        if let Some(session) = answer.lines().find_map(|line| line.strip_prefix("Session: ")) {
            self.session = session.split(';').next().unwrap().to_owned();
        }
        answer
    }

    fn ask(
        &mut self,
        harness: &mut Harness,
        method: &str,
        at: &str,
        headers: &str,
        body: &str,
    ) -> u16 {
        let mut answer = self.request(harness, method, at, headers, body);
        if status(&answer) == 401 && self.challenge.is_none() {
            let offered = answer.lines().find_map(|line| line.strip_prefix("WWW-Authenticate: "));
            self.challenge = offered.and_then(Challenge::parse);
            answer = self.request(harness, method, at, headers, body);
        }
        status(&answer)
    }

    /// Sends one H.264 picture as one interleaved packet.
    fn send_picture(&mut self, number: u16, bytes: usize) {
        self.send_packet(&picture(number, bytes));
    }

    /// Sends one packet of the first track.
    fn send_packet(&mut self, packet: &[u8]) {
        let mut framed = vec![b'$', 0];
        framed.extend_from_slice(&(packet.len() as u16).to_be_bytes());
        framed.extend_from_slice(packet);
        // The harness and the test share a thread, so the socket must have room.
        self.tcp.write_all(&framed).unwrap();
    }
}

fn picture(number: u16, bytes: usize) -> Vec<u8> {
    let mut packet = rtp::header(96, true, number, u32::from(number) * 3000, 5).to_vec();
    packet.push(0x65);
    packet.resize(packet.len() + bytes, 0x80 | (number as u8 & 0x7f));
    packet
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
}

/// Turns until `done` says so.
fn until(harness: &mut Harness, mut done: impl FnMut(&mut Harness) -> bool) {
    for _ in 0..5000 {
        harness.turn();
        if done(harness) {
            return;
        }
    }
    panic!("it did not come to pass");
}

#[test]
fn what_a_camera_pushes_reaches_a_viewer_over_tcp() {
    let mut harness = Harness::new();
    let mut camera = harness.camera();
    camera.send_picture(1, 3000);
    let mut viewer = harness.viewer("v1", TCP);
    assert_eq!(viewer.ask(&mut harness, "PLAY", "", "", ""), 200);
    for number in 2..10 {
        camera.send_picture(number, 3000);
    }
    let mut video = Vec::new();
    let mut reports = 0;
    until(&mut harness, |_| {
        viewer.read();
        while let Some((channel, packet)) = viewer.frame() {
            match channel {
                0 => video.push(packet),
                1 => reports += 1,
                _ => panic!(),
            }
        }
        let whole = video.iter().filter(|packet| rtp::parse(packet).unwrap().marker).count();
        whole >= 8
    });
    let seqs: Vec<_> = video.iter().map(|packet| rtp::parse(packet).unwrap().seq).collect();
    assert!(seqs.windows(2).all(|two| two[1] == two[0].wrapping_add(1)), "{seqs:?}");
    assert!(video.iter().all(|packet| packet.len() <= 1200));
    assert_eq!(harness.directory.leases.len(), 1);
    assert_eq!(viewer.ask(&mut harness, "TEARDOWN", "", "", ""), 200);
    until(&mut harness, |harness| harness.port.connections() == 1);
    assert_eq!((harness.directory.leases.len(), harness.directory.subscribers.len()), (0, 0));
    let _ = reports;
}

#[test]
fn a_handle_opens_one_connection_and_no_second_one() {
    let mut harness = Harness::new();
    let mut camera = harness.camera();
    camera.send_picture(1, 100);
    let _first = harness.viewer("once", TCP);
    let mut second = harness.client();
    second.login("once");
    assert_eq!(second.ask(&mut harness, "DESCRIBE", "", "", ""), 401);
    harness.add_handle("late", Duration::ZERO).unwrap();
    let mut late = harness.client();
    late.login("late");
    assert_eq!(late.ask(&mut harness, "DESCRIBE", "", "", ""), 401);
}

#[test]
fn nobody_is_let_in_while_the_authority_is_silent() {
    let mut harness = Harness::new();
    let mut camera = harness.camera();
    camera.send_picture(1, 100);
    harness.beats = false;
    harness.leases = LeaseTable::default();
    harness.add_handle("v", Duration::from_secs(30)).unwrap();
    let mut viewer = harness.client();
    viewer.login("v");
    assert_eq!(viewer.ask(&mut harness, "DESCRIBE", "", "", ""), 503);
    assert!(harness.directory.leases.is_empty());
}

#[test]
fn a_camera_that_is_away_is_404_and_a_sealed_device_may_not_push_clear_media() {
    let mut harness = Harness::new();
    harness.add_handle("v", Duration::from_secs(30)).unwrap();
    let mut viewer = harness.client();
    viewer.login("v");
    assert_eq!(viewer.ask(&mut harness, "DESCRIBE", "", "", ""), 404);
    harness.sealed = true;
    let mut camera = harness.client();
    camera.user = (SERIAL.to_owned(), PASSWORD.to_owned());
    assert_eq!(camera.ask(&mut harness, "ANNOUNCE", "", "", SDP), 415);
    assert!(harness.directory.publishers.is_empty());
    let mut stranger = harness.client();
    stranger.user = ("CAM-2".to_owned(), PASSWORD.to_owned());
    assert_eq!(stranger.ask(&mut harness, "ANNOUNCE", "", "", SDP), 401);
}

#[test]
fn a_sealed_camera_is_415_to_players_also_if_it_was_open_when_they_asked() {
    let mut harness = Harness::new();
    let publication = |mode| Publication {
        key: key(),
        tracks: vec![TrackInfo::video(Codec::H264)],
        mode,
        takes_keyframe_requests: false,
        unordered: false,
    };
    harness.hub.publish(Instant::now(), publication(Mode::Open)).unwrap();
    let mut early = harness.viewer("early", TCP);
    harness.hub.publish(Instant::now(), publication(Mode::Sealed)).unwrap();
    assert_eq!(early.ask(&mut harness, "PLAY", "", "", ""), 415);
    harness.add_handle("late", Duration::from_secs(30)).unwrap();
    let mut late = harness.client();
    late.login("late");
    assert_eq!(late.ask(&mut harness, "DESCRIBE", "", "", ""), 415);
    assert!(harness.directory.subscribers.is_empty());
}

#[test]
fn a_stalled_reader_holds_one_frame_and_is_reset_when_its_lease_ends() {
    let mut harness = Harness::new();
    let mut camera = harness.camera();
    camera.send_picture(1, 1000);
    let mut stalled = harness.viewer("v", TCP);
    socket2::SockRef::from(&stalled.tcp).set_recv_buffer_size(4096).unwrap();
    assert_eq!(stalled.ask(&mut harness, "PLAY", "", "", ""), 200);
    let blocked =
        |harness: &Harness| harness.port.peers.iter().any(|(_, peer)| peer.drain.is_full());
    let mut number = 2;
    while !blocked(&harness) {
        camera.send_picture(number, 60_000);
        number += 1;
        for _ in 0..3 {
            harness.turn();
        }
        assert!(number < 2000, "the socket never fills");
    }
    let written = |harness: &Harness| {
        harness.port.peers.iter().map(|(_, peer)| peer.output.written).max().unwrap()
    };
    let before = written(&harness);
    for _ in 0..20 {
        camera.send_picture(number, 60_000);
        number += 1;
        harness.turn();
    }
    assert_eq!(written(&harness), before);
    let (_, peer) = *harness.directory.leases.values().next().unwrap();
    harness.act(|port, cx| port.close(cx, peer, CloseReason::LeaseEnded));
    assert_eq!((harness.port.connections(), harness.directory.leases.len()), (1, 0));
    let mut after = 0;
    for _ in 0..200 {
        stalled.received.clear();
        stalled.read();
        after += stalled.received.len();
        if stalled.ended.is_some() {
            break;
        }
        harness.turn();
    }
    assert_eq!(stalled.ended, Some(io::ErrorKind::ConnectionReset));
    // What had reached the client's kernel is all that it ever gets.
    assert!((after as u64) < before, "{after} of {before}");
}

#[test]
fn udp_goes_to_the_ports_of_setup_alone_and_comes_from_them_alone() {
    let mut harness = Harness::new();
    let socket = || UdpSocket::bind("127.0.0.1:0").unwrap();
    let (rtp_socket, rtcp_socket, thief) = (socket(), socket(), socket());
    let port = |socket: &UdpSocket| socket.local_addr().unwrap().port();
    let transport = format!(
        "Transport: RTP/AVP;unicast;client_port={}-{}\r\n",
        port(&rtp_socket),
        port(&rtcp_socket)
    );
    let mut camera = harness.client();
    camera.user = (SERIAL.to_owned(), PASSWORD.to_owned());
    assert_eq!(camera.ask(&mut harness, "ANNOUNCE", "", "", SDP), 200);
    assert_eq!(camera.ask(&mut harness, "SETUP", "/streamid=0", &transport, ""), 200);
    assert_eq!(camera.ask(&mut harness, "RECORD", "", "", ""), 200);
    let server = SocketAddr::from(([127, 0, 0, 1], harness.port.udp_ports.0));
    for number in 1..20 {
        thief.send_to(&picture(number, 500), server).unwrap();
    }
    for _ in 0..20 {
        harness.turn();
    }
    assert_eq!(harness.hub.stats().packets_in, 0);
    rtp_socket.send_to(&picture(1, 500), server).unwrap();
    until(&mut harness, |harness| harness.hub.stats().packets_in == 1);
    // The ports are taken for as long as the camera stays.
    harness.add_handle("same", Duration::from_secs(30)).unwrap();
    let mut same = harness.client();
    same.login("same");
    assert_eq!(same.ask(&mut harness, "DESCRIBE", "", "", ""), 200);
    assert_eq!(same.ask(&mut harness, "SETUP", "/trackID=0", &transport, ""), 461);

    let (to, to_rtcp) = (socket(), socket());
    to.set_nonblocking(true).unwrap();
    let transport =
        format!("Transport: RTP/AVP;unicast;client_port={}-{}\r\n", port(&to), port(&to_rtcp));
    let mut viewer = harness.viewer("v", &transport);
    assert_eq!(viewer.ask(&mut harness, "PLAY", "", "", ""), 200);
    thief.send_to(&picture(9, 500), server).unwrap();
    let mut buffer = [0; 2000];
    let mut number = 2;
    until(&mut harness, |_| {
        rtp_socket.send_to(&picture(number, 500), server).unwrap();
        number += 1;
        to.recv_from(&mut buffer).is_ok_and(|(_, from)| from == server)
    });
    thief.set_nonblocking(true).unwrap();
    assert!(thief.recv_from(&mut buffer).is_err());
}

#[test]
fn a_camera_that_comes_back_takes_its_stream_over_and_viewers_stay() {
    let mut harness = Harness::new();
    let mut lost = harness.camera();
    lost.send_picture(1, 1000);
    let mut viewer = harness.viewer("v", TCP);
    assert_eq!(viewer.ask(&mut harness, "PLAY", "", "", ""), 200);
    let mut back = harness.camera();
    until(&mut harness, |_| {
        lost.read();
        lost.ended.is_some()
    });
    viewer.received.clear();
    for number in 100..103 {
        back.send_picture(number, 1000);
    }
    until(&mut harness, |_| {
        viewer.read();
        viewer.received.len() > 1000
    });
    assert_eq!(viewer.ask(&mut harness, "GET_PARAMETER", "", "", ""), 200);
    assert_eq!(harness.directory.publishers.len(), 1);
}

#[test]
fn the_end_of_a_stream_is_said_and_the_connection_closes() {
    let mut harness = Harness::new();
    let mut camera = harness.camera();
    camera.send_picture(1, 1000);
    let mut viewer = harness.viewer("v", TCP);
    assert_eq!(viewer.ask(&mut harness, "PLAY", "", "", ""), 200);
    assert_eq!(camera.ask(&mut harness, "TEARDOWN", "", "", ""), 200);
    until(&mut harness, |harness| harness.port.connections() == 1);
    harness.skew = sightline_relay_proto::limits::PUBLISHER_RESUME + Duration::from_secs(1);
    until(&mut harness, |_| {
        viewer.read();
        viewer.ended.is_some()
    });
    assert_eq!(viewer.ended, Some(io::ErrorKind::UnexpectedEof));
    let mut byes = 0;
    while let Some((channel, packet)) = viewer.frame() {
        if channel == 1 {
            rtcp::parse(&packet, |part| {
                byes += usize::from(matches!(part, rtcp::Rtcp::Bye { .. }))
            });
        }
    }
    assert_eq!((byes, harness.directory.leases.len()), (1, 0));
}

#[test]
fn a_udp_viewer_lives_by_its_reports_and_ends_without_them() {
    let mut harness = Harness::new();
    let mut camera = harness.camera();
    camera.send_picture(1, 1000);
    let socket = || UdpSocket::bind("127.0.0.1:0").unwrap();
    let (media, control) = (socket(), socket());
    let port = |socket: &UdpSocket| socket.local_addr().unwrap().port();
    let transport =
        format!("Transport: RTP/AVP;unicast;client_port={}-{}\r\n", port(&media), port(&control));
    let mut viewer = harness.viewer("v", &transport);
    assert_eq!(viewer.ask(&mut harness, "PLAY", "", "", ""), 200);
    let idle = sightline_relay_proto::rtsp::IDLE_TIMEOUT;
    let margin = Duration::from_secs(20);
    harness.skew = idle - margin;
    let mut report = Vec::new();
    rtcp::write_receiver_report(&mut report, 1, None, "x");
    let server = SocketAddr::from(([127, 0, 0, 1], harness.port.udp_ports.1));
    control.send_to(&report, server).unwrap();
    camera.send_picture(2, 1000);
    for _ in 0..100 {
        harness.turn();
    }
    harness.skew += idle - margin;
    camera.send_picture(3, 1000);
    for _ in 0..100 {
        harness.turn();
    }
    assert_eq!(harness.directory.subscribers.len(), 1);
    harness.skew += margin * 2;
    until(&mut harness, |harness| harness.directory.subscribers.is_empty());
    assert!(harness.directory.leases.is_empty());
}

#[test]
fn waiting_handles_are_bounded_on_both_sides_and_expire() {
    let mut harness = Harness::new();
    for number in 0..handles::MAX_HANDLES {
        harness.add_handle(&format!("h{number}"), Duration::from_secs(30)).unwrap();
    }
    let over = harness.add_handle("over", Duration::from_secs(30));
    assert_eq!(over, Err(MediaError::Full));
    let now = Instant::now();
    let handles = harness.port.shared.door.handles();
    let last = format!("h{}", handles::MAX_HANDLES - 1);
    assert!(handles.secret(now, &last, &key()).is_some());
    assert!(handles.secret(now, "over", &key()).is_none());
    let elsewhere = StreamKey::up(DeviceId::new(SERIAL).unwrap(), Channel(1));
    assert!(handles.secret(now, &last, &elsewhere).is_none());
    drop(handles);
    harness.skew = Duration::from_secs(31);
    until(&mut harness, |harness| harness.port.shared.door.handles().is_empty());
}

#[test]
fn a_source_with_too_many_strangers_is_refused_and_others_go_on() {
    let mut harness = Harness::new();
    let mut camera = harness.camera();
    let strangers: Vec<_> =
        (0..admission::MAX_UNAUTHENTICATED + 5).map(|_| harness.client()).collect();
    let bound = admission::MAX_UNAUTHENTICATED as usize + 1;
    until(&mut harness, |harness| harness.port.connections() == bound);
    for _ in 0..50 {
        harness.turn();
    }
    assert_eq!(harness.port.connections(), bound);
    assert_eq!(camera.ask(&mut harness, "GET_PARAMETER", "", "", ""), 200);
    drop(strangers);
    until(&mut harness, |harness| harness.port.connections() == 1);
}

#[test]
fn silent_strangers_are_closed_and_living_sessions_stay() {
    let mut harness = Harness::new();
    let mut camera = harness.camera();
    let _stranger = harness.client();
    until(&mut harness, |harness| harness.port.connections() == 2);
    harness.skew = sightline_relay_proto::rtsp::LOGIN_TIMEOUT + Duration::from_secs(1);
    until(&mut harness, |harness| harness.port.connections() == 1);
    assert_eq!(camera.ask(&mut harness, "OPTIONS", "", "", ""), 200);
    harness.skew += sightline_relay_proto::rtsp::IDLE_TIMEOUT + Duration::from_secs(1);
    until(&mut harness, |harness| harness.port.connections() == 0);
    assert!(harness.directory.publishers.is_empty());
}

#[test]
fn broken_peers_end_alone() {
    let mut harness = Harness::new();
    let mut camera = harness.camera();
    let long = "x".repeat(20_000);
    for bytes in ["GET / HTTP/1.1\r\n\r\n", "\u{1}\n\n", "$\0\0\u{1}x", long.as_str()] {
        let mut broken = harness.client();
        broken.tcp.write_all(bytes.as_bytes()).unwrap();
        let answer = broken.answer(&mut harness);
        assert!(matches!(status(&answer), 400 | 413), "{answer}");
        until(&mut harness, |harness| harness.port.connections() == 1);
    }
    for garbage in [&b""[..], b"\x80", b"\x80\x60\x00\x01", &[0xff; 40]] {
        let mut framed = vec![b'$', 0, 0, garbage.len() as u8];
        framed.extend_from_slice(garbage);
        camera.tcp.write_all(&framed).unwrap();
    }
    camera.send_picture(1, 100);
    until(&mut harness, |harness| harness.hub.stats().packets_in == 1);
}
