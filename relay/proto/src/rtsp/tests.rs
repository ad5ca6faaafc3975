use std::time::{Duration, Instant};

use proptest::prelude::*;

use crate::codec::{Codec, TrackInfo};

use super::digest::{Challenge, Secret};
use super::*;

const USER: &str = "CAM-1";
const PASSWORD: &str = "correct horse";
const BASE: &str = "rtsp://h:8554/CAM-1/0";
const SDP: &str = "v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:streamid=0\r\n\
    m=audio 0 RTP/AVP 0\r\na=control:streamid=1\r\n";

#[allow(clippy::disallowed_methods, reason = "simulated time starts somewhere")]
fn start() -> Instant {
    Instant::now()
}

/// A client that answers challenges, over a connection whose shell says yes.
struct Peer {
    now: Instant,
    connection: RtspConnection,
    challenge: Option<Challenge>,
    session: Option<String>,
    cseq: u32,
    seen: Vec<String>,
    closed: bool,
    password: &'static str,
}

impl Peer {
    fn new(seed: u8) -> Self {
        Self::with(seed, true, Some((8000, 8001)))
    }

    fn with(seed: u8, play: bool, udp_ports: Option<(u16, u16)>) -> Self {
        let now = start();
        let settings = Settings { realm: "sightline", play, udp_ports, seed: [seed; 32] };
        Self {
            now,
            connection: RtspConnection::new(now, settings),
            challenge: None,
            session: None,
            cseq: 0,
            seen: Vec::new(),
            closed: false,
            password: PASSWORD,
        }
    }

    /// Feeds bytes and gives back what the server says.
    fn raw(&mut self, bytes: &[u8]) -> String {
        for part in bytes.chunks(60_000) {
            self.connection.handle_input(part);
            while let Some(event) = self.connection.poll_event(self.now) {
                self.handle(event);
            }
        }
        let out = self.connection.poll_output().unwrap_or_default();
        String::from_utf8(out.to_vec()).unwrap()
    }

    fn handle(&mut self, event: Event) {
        let tracks = [TrackInfo::video(Codec::H264), TrackInfo::audio(Codec::Opus, 48_000, 2)];
        let name = format!("{event:?}");
        self.seen.push(name.split([' ', '(', '{']).next().unwrap().to_owned());
        match event {
            Event::Login { user, .. } => {
                let secret = Secret::from_password(USER, "sightline", PASSWORD);
                self.connection.answer_login(self.now, (user == USER).then_some(secret));
            }
            Event::Lookup { .. } => self.connection.answer_tracks(Ok(&tracks)),
            Event::Announce { .. } | Event::SetupUdp(_) | Event::Play | Event::Record => {
                self.connection.accept();
            }
            Event::Close => self.closed = true,
            Event::LoggedIn { .. } | Event::Paused | Event::Media { .. } => {}
        }
    }

    /// One request without any login.
    fn bare(&mut self, method: &str, url: &str, headers: &str, body: &str) -> String {
        self.cseq += 1;
        let mut text = format!("{method} {url} RTSP/1.0\r\nCSeq: {}\r\n{headers}", self.cseq);
        if let Some(session) = &self.session {
            text += &format!("Session: {session}\r\n");
        }
        if let Some(challenge) = &self.challenge {
            let answer = challenge.answer(USER, self.password, method, url, ("c", 1));
            text += &format!("Authorization: {answer}\r\n");
        }
        text += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
        let answer = self.raw(text.as_bytes());
        if let Some(at) = answer.find("Session: ") {
            let id = answer[at + 9..].split([';', '\r']).next().unwrap();
            self.session = Some(id.to_owned());
        }
        answer
    }

    /// One request; a challenge is answered once.
    fn ask(&mut self, method: &str, url: &str, headers: &str, body: &str) -> u16 {
        let mut answer = self.bare(method, url, headers, body);
        if answer.starts_with("RTSP/1.0 401")
            && let Some(at) = answer.find("WWW-Authenticate: ")
        {
            self.challenge = Challenge::parse(answer[at + 18..].split("\r\n").next().unwrap());
            answer = self.bare(method, url, headers, body);
        }
        status(&answer)
    }

    fn set_up(&mut self, track: &str) -> u16 {
        let url = format!("{BASE}/{track}");
        self.ask("SETUP", &url, "Transport: RTP/AVP/TCP;unicast\r\n", "")
    }

    fn step(&mut self, name: &str) -> u16 {
        match name {
            "ANNOUNCE" => self.ask(name, BASE, "Content-Type: application/sdp\r\n", SDP),
            "SETUP0" => self.set_up(if self.is_publisher() { "streamid=0" } else { "trackID=0" }),
            "SETUP1" => self.set_up(if self.is_publisher() { "streamid=1" } else { "trackID=1" }),
            other => self.ask(other, BASE, "", ""),
        }
    }

    fn is_publisher(&self) -> bool {
        self.seen.iter().any(|name| name == "Announce")
    }

    fn playing(seed: u8) -> Self {
        let mut peer = Self::new(seed);
        for step in ["DESCRIBE", "SETUP0", "SETUP1", "PLAY"] {
            assert_eq!(peer.step(step), 200, "{step}");
        }
        peer
    }
}

/// Challenges in an answer.
fn offered(answer: &str) -> Vec<&str> {
    answer.lines().filter_map(|line| line.strip_prefix("WWW-Authenticate: ")).collect()
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
}

#[test]
fn every_method_is_legal_in_its_states_alone() {
    let table: &[(&[&str], &str, u16)] = &[
        (&[], "OPTIONS", 200),
        (&[], "GET_PARAMETER", 200),
        (&[], "DESCRIBE", 200),
        (&[], "SETUP0", 200),
        (&[], "PLAY", 455),
        (&[], "RECORD", 455),
        (&[], "PAUSE", 455),
        (&[], "TEARDOWN", 455),
        (&[], "REDIRECT", 405),
        (&[], "FLY", 405),
        (&["DESCRIBE"], "ANNOUNCE", 455),
        (&["DESCRIBE"], "DESCRIBE", 200),
        (&["DESCRIBE"], "PLAY", 455),
        (&["DESCRIBE", "SETUP0"], "SETUP0", 455),
        (&["DESCRIBE", "SETUP0"], "SETUP1", 200),
        (&["DESCRIBE", "SETUP0"], "RECORD", 455),
        (&["DESCRIBE", "SETUP0"], "PLAY", 200),
        (&["DESCRIBE", "SETUP0"], "TEARDOWN", 200),
        (&["DESCRIBE", "SETUP0", "PLAY"], "PLAY", 200),
        (&["DESCRIBE", "SETUP0", "PLAY"], "SETUP1", 455),
        (&["DESCRIBE", "SETUP0", "PLAY"], "GET_PARAMETER", 200),
        (&["DESCRIBE", "SETUP0", "PLAY"], "SET_PARAMETER", 200),
        (&["DESCRIBE", "SETUP0", "PLAY"], "OPTIONS", 200),
        (&["DESCRIBE", "SETUP0", "PLAY"], "PAUSE", 200),
        (&["DESCRIBE", "SETUP0", "PLAY", "PAUSE"], "PLAY", 200),
        (&["DESCRIBE", "SETUP0", "PLAY"], "TEARDOWN", 200),
        (&["ANNOUNCE"], "ANNOUNCE", 455),
        (&["ANNOUNCE"], "DESCRIBE", 455),
        (&["ANNOUNCE"], "RECORD", 455),
        (&["ANNOUNCE", "SETUP0"], "RECORD", 200),
        (&["ANNOUNCE", "SETUP0"], "PLAY", 455),
        (&["ANNOUNCE", "SETUP0", "SETUP1", "RECORD"], "RECORD", 455),
        (&["ANNOUNCE", "SETUP0", "RECORD"], "SETUP1", 455),
        (&["ANNOUNCE", "SETUP0", "RECORD"], "PAUSE", 455),
        (&["ANNOUNCE", "SETUP0", "RECORD"], "TEARDOWN", 200),
    ];
    for (before, method, expected) in table {
        let mut peer = Peer::new(1);
        for step in *before {
            assert_eq!(peer.step(step), 200, "{before:?}: {step}");
        }
        assert_eq!(peer.step(method), *expected, "{before:?} then {method}");
    }
}

#[test]
fn a_teardown_closes_and_a_pause_and_a_play_are_told() {
    let mut peer = Peer::playing(1);
    assert_eq!((peer.step("PAUSE"), peer.step("TEARDOWN")), (200, 200));
    assert!(peer.closed);
    let seen: Vec<_> = peer.seen.iter().map(String::as_str).collect();
    assert_eq!(seen, ["Login", "LoggedIn", "Lookup", "Play", "Paused", "Close"]);
}

#[test]
fn a_stolen_session_is_worth_nothing_on_another_connection() {
    let victim = Peer::playing(1);
    for method in
        ["PLAY", "PAUSE", "TEARDOWN", "SET_PARAMETER", "GET_PARAMETER", "RECORD", "SETUP0"]
    {
        let mut thief = Peer::new(2);
        thief.session = victim.session.clone();
        assert_eq!(thief.step(method), 454, "{method}");
        let mut viewer = Peer::playing(3);
        viewer.session = victim.session.clone();
        assert_eq!(viewer.step(method), 454, "{method}");
        assert!(viewer.connection.is_playing());
    }
    assert!(victim.connection.is_playing());
}

#[test]
fn a_session_is_needed_once_there_is_one() {
    let mut peer = Peer::playing(1);
    peer.session = None;
    assert_eq!(peer.step("PAUSE"), 454);
    assert_eq!(peer.step("OPTIONS"), 200);
}

#[test]
fn wrong_logins_end_the_connection_after_the_bound() {
    let mut peer = Peer::new(1);
    peer.password = "wrong";
    let first = peer.bare("DESCRIBE", BASE, "", "");
    assert!(first.contains("WWW-Authenticate: Digest realm=\"sightline\", nonce="));
    assert!(!first.contains("Basic"));
    peer.challenge = Challenge::parse(offered(&first)[0]);
    for attempt in 1..=MAX_FAILURES {
        assert!(!peer.closed);
        let answer = peer.bare("DESCRIBE", BASE, "", "");
        assert!(answer.starts_with("RTSP/1.0 401"), "{answer}");
        assert_eq!(peer.closed, attempt == MAX_FAILURES);
    }
    assert_eq!(peer.raw(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n"), "");
}

#[test]
fn an_unknown_user_gets_the_answer_of_a_wrong_password() {
    let answer = |user: &str, password: &str| {
        let mut peer = Peer::new(1);
        let first = peer.bare("ANNOUNCE", BASE, "", SDP);
        let challenge = Challenge::parse(offered(&first)[0]).unwrap();
        let auth = challenge.answer(user, password, "ANNOUNCE", BASE, ("c", 1));
        peer.bare("ANNOUNCE", BASE, &format!("Authorization: {auth}\r\n"), SDP)
    };
    assert_eq!(answer("nobody", PASSWORD), answer(USER, "wrong"));
}

#[test]
fn another_user_on_a_logged_in_connection_is_refused() {
    let mut peer = Peer::playing(1);
    let challenge = peer.challenge.take().unwrap();
    let auth = challenge.answer("other", PASSWORD, "DESCRIBE", BASE, ("c", 1));
    let answer = peer.bare("DESCRIBE", BASE, &format!("Authorization: {auth}\r\n"), "");
    assert_eq!(status(&answer), 401);
}

#[test]
fn an_old_nonce_is_stale_and_a_foreign_one_too() {
    let mut peer = Peer::new(1);
    assert_eq!(peer.step("DESCRIBE"), 200);
    peer.now += NONCE_LIFE - Duration::from_millis(1);
    assert!(peer.bare("DESCRIBE", BASE, "", "").starts_with("RTSP/1.0 200"));
    peer.now += Duration::from_millis(1);
    let answer = peer.bare("DESCRIBE", BASE, "", "");
    assert!(answer.starts_with("RTSP/1.0 401") && answer.contains("stale=true"), "{answer}");
    assert_eq!(peer.step("DESCRIBE"), 200);
    let mut other = Peer::new(2);
    other.challenge = peer.challenge.clone();
    let answer = other.bare("DESCRIBE", BASE, "", "");
    assert!(answer.contains("stale=true"), "{answer}");
}

#[test]
fn a_second_algorithm_is_offered_but_not_to_clients_that_break_on_it() {
    let challenges = |agent: &str| {
        let headers = format!("User-Agent: {agent}\r\n");
        Peer::new(1).bare("DESCRIBE", BASE, &headers, "").matches("WWW-Authenticate").count()
    };
    assert_eq!((challenges("Lavf59.27.100"), challenges("camera")), (1, 2));
    let answer = Peer::new(1).bare("DESCRIBE", BASE, "", "");
    let mut peer = Peer::new(1);
    peer.bare("DESCRIBE", BASE, "", "");
    peer.challenge = Challenge::parse(offered(&answer)[1]);
    assert_eq!(peer.challenge.as_ref().unwrap().algorithm, digest::Algorithm::Sha256);
    assert!(peer.bare("DESCRIBE", BASE, "", "").starts_with("RTSP/1.0 200"));
}

#[test]
fn playing_in_clear_is_refused_before_any_challenge_where_it_is_off() {
    let mut peer = Peer::with(1, false, Some((1, 2)));
    assert_eq!(peer.step("DESCRIBE"), 403);
    assert_eq!(peer.set_up("trackID=0"), 403);
    assert_eq!(peer.step("ANNOUNCE"), 200);
}

#[test]
fn transports_that_cannot_be_served_get_461() {
    let mut tls = Peer::with(1, true, None);
    assert_eq!(tls.step("DESCRIBE"), 200);
    let url = format!("{BASE}/trackID=0");
    let udp = "Transport: RTP/AVP;unicast;client_port=5000-5001\r\n";
    for transport in
        [udp, "", "Transport: RTP/SAVP;unicast\r\n", "Transport: RTP/AVP;multicast\r\n"]
    {
        assert_eq!(tls.ask("SETUP", &url, transport, ""), 461, "{transport}");
    }
    let mut mixed = Peer::new(1);
    assert_eq!((mixed.step("DESCRIBE"), mixed.step("SETUP0")), (200, 200));
    assert_eq!(mixed.ask("SETUP", &format!("{BASE}/trackID=1"), udp, ""), 461);
}

#[test]
fn udp_ports_are_answered_and_told() {
    let mut peer = Peer::new(1);
    peer.step("DESCRIBE");
    let url = format!("{BASE}/trackID=1");
    let answer =
        peer.bare("SETUP", &url, "Transport: RTP/AVP;unicast;client_port=5000-5001\r\n", "");
    assert!(answer.contains("client_port=5000-5001;server_port=8000-8001"), "{answer}");
    let lower = Lower::Udp { rtp: 5000, rtcp: 5001 };
    assert_eq!(peer.connection.setups(), [TrackSetup { track: 1, lower }]);
}

#[test]
fn channels_that_are_taken_are_replaced() {
    let mut peer = Peer::new(1);
    peer.step("DESCRIBE");
    for (track, channels) in [("trackID=0", "0-1"), ("trackID=1", "2-3")] {
        let url = format!("{BASE}/{track}");
        let asked = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n";
        let answer = peer.bare("SETUP", &url, asked, "");
        assert!(answer.contains(&format!("interleaved={channels}")), "{answer}");
    }
}

#[test]
fn errors_have_their_own_status() {
    let mut peer = Peer::new(1);
    assert_eq!(peer.ask("DESCRIBE", "rtsp://h/nothing", "", ""), 404);
    assert_eq!(peer.ask("DESCRIBE", BASE, "Accept: text/html\r\n", ""), 415);
    let onvif = "Require: www.onvif.org/ver20/backchannel\r\n";
    let answer = peer.bare("DESCRIBE", BASE, onvif, "");
    assert!(answer.starts_with("RTSP/1.0 551 Option Not Supported\r\n"), "{answer}");
    assert!(answer.contains("Unsupported: www.onvif.org/ver20/backchannel\r\n"));
    let mut camera = Peer::new(1);
    assert_eq!(camera.ask("ANNOUNCE", BASE, "Content-Type: text/plain\r\n", SDP), 415);
    assert_eq!(camera.ask("ANNOUNCE", BASE, "", "hello"), 400);
    assert_eq!(camera.ask("ANNOUNCE", BASE, "", "v=0\r\nm=video 0 RTP/AVP 26\r\n"), 415);
    assert_eq!(camera.step("ANNOUNCE"), 200);
    assert_eq!(camera.set_up("streamid=9"), 404);
    let elsewhere = "rtsp://h/CAM-2/0/streamid=0";
    assert_eq!(camera.ask("SETUP", elsewhere, "Transport: RTP/AVP/TCP\r\n", ""), 404);
    assert_eq!(camera.ask("SET_PARAMETER", BASE, "", "volume: 1\r\n"), 451);
    let missing = Peer::new(1).raw(b"OPTIONS * RTSP/1.0\r\n\r\n");
    assert!(missing.starts_with("RTSP/1.0 400"), "{missing}");
}

#[test]
fn sloppy_clients_are_understood() {
    let mut peer = Peer::new(1);
    let answer = peer.raw(b"\r\nOPTIONS * RTSP/1.0\ncseq:  7 \nX-Odd: y\n\n");
    assert!(answer.starts_with("RTSP/1.0 200 OK\r\nCSeq: 7\r\n"), "{answer}");
}

#[test]
fn broken_bytes_end_the_peer_with_the_right_status() {
    let huge = format!("OPTIONS * RTSP/1.0\r\nX: {}", "x".repeat(MAX_HEAD));
    let body = format!("ANNOUNCE {BASE} RTSP/1.0\r\nContent-Length: {}\r\n\r\n", MAX_BODY + 1);
    let corpus: &[(&[u8], u16)] = &[
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\n\n", 400),
        (b"OPTIONS * RTSP/1.0\r\nContent-Length: x\r\n\r\n", 400),
        (b"$\x00\x00\x01x", 400),
        (huge.as_bytes(), 413),
        (body.as_bytes(), 413),
    ];
    for (bytes, expected) in corpus {
        let mut peer = Peer::new(1);
        let answer = peer.raw(bytes);
        assert_eq!((status(&answer), peer.closed), (*expected, true), "{answer}");
    }
}

#[test]
fn media_is_told_by_track_and_unknown_channels_are_dropped() {
    let mut peer = Peer::new(1);
    for step in ["ANNOUNCE", "SETUP0", "SETUP1", "RECORD"] {
        assert_eq!(peer.step(step), 200);
    }
    peer.connection.handle_input(b"$\x09\x00\x01x$\x02\x00\x02ab$\x03\x00\x00");
    let mut seen = Vec::new();
    while let Some(Event::Media { track, rtcp, packet }) = peer.connection.poll_event(peer.now) {
        seen.push((track, rtcp, packet.len()));
    }
    assert_eq!(seen, [(1, false, 2), (1, true, 0)]);
}

#[test]
fn a_connection_without_a_login_or_without_life_ends_at_its_bound() {
    let mut idle = Peer::new(1);
    let due = idle.connection.poll_timeout().unwrap();
    assert_eq!(due, idle.now + LOGIN_TIMEOUT);
    idle.connection.handle_timeout(due - Duration::from_nanos(1));
    assert!(idle.connection.poll_event(idle.now).is_none());
    idle.connection.handle_timeout(due);
    assert!(matches!(idle.connection.poll_event(due), Some(Event::Close)));
    let mut viewer = Peer::playing(1);
    let due = viewer.now + IDLE_TIMEOUT;
    assert_eq!(viewer.connection.poll_timeout(), Some(due));
    viewer.connection.note_activity(due);
    viewer.connection.handle_timeout(due);
    assert!(viewer.connection.poll_event(due).is_none());
}

#[test]
fn requests_before_the_login_are_bounded() {
    let mut peer = Peer::new(1);
    for _ in 0..MAX_REQUESTS_BEFORE_LOGIN {
        assert_eq!(peer.step("OPTIONS"), 200);
    }
    assert_eq!((peer.step("OPTIONS"), peer.closed), (401, true));
}

#[test]
fn nothing_is_read_while_an_answer_waits() {
    let mut peer = Peer::new(1);
    peer.step("DESCRIBE");
    let auth = peer.challenge.as_ref().unwrap().answer(USER, PASSWORD, "DESCRIBE", BASE, ("c", 1));
    let text = format!(
        "DESCRIBE {BASE} RTSP/1.0\r\nCSeq: 8\r\nAuthorization: {auth}\r\n\r\n\
         OPTIONS * RTSP/1.0\r\nCSeq: 9\r\n\r\n"
    );
    peer.connection.handle_input(text.as_bytes());
    assert!(matches!(peer.connection.poll_event(peer.now), Some(Event::Lookup { .. })));
    assert!(!peer.connection.wants_input());
    assert!(peer.connection.poll_event(peer.now).is_none());
    peer.connection.refuse(&Refusal::new(404, "the camera is not live"));
    assert!(peer.connection.poll_event(peer.now).is_none());
    let out = peer.connection.poll_output().unwrap();
    let out = std::str::from_utf8(&out).unwrap();
    assert!(out.starts_with("RTSP/1.0 404 Not Found: the camera is not live\r\nCSeq: 8\r\n"));
    assert!(out.contains("CSeq: 9\r\n"));
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        Peer::new(1).raw(&bytes);
        let mut recording = Peer::new(1);
        for step in ["ANNOUNCE", "SETUP0", "RECORD"] {
            recording.step(step);
        }
        recording.raw(&bytes);
    }

    #[test]
    fn damaged_dialogues_never_panic(cut in 0usize..900, at in 0usize..900, byte: u8) {
        let mut text = format!(
            "OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\nANNOUNCE {BASE} RTSP/1.0\r\nCSeq: 2\r\n\
             Content-Length: {}\r\nAuthorization: Digest username=\"x\", realm=\"y\", nonce=\"z\", \
             uri=\"/CAM-1/0\", response=\"0\"\r\n\r\n{SDP}SETUP {BASE}/streamid=0 RTSP/1.0\r\n\
             Transport: RTP/AVP;client_port=1-2\r\nCSeq: 3\r\n\r\n$\x01\x00\x01x",
            SDP.len()
        ).into_bytes();
        text.truncate(cut);
        if let Some(place) = text.get_mut(at) {
            *place = byte;
        }
        Peer::new(1).raw(&text);
    }
}
