//! Malformed input on every port ends that peer with the right error, and a running stream does
//! not notice. One server, one demo camera, one viewer who watches all the while.

#[path = "malformed/attack.rs"]
mod attack;
#[path = "malformed/native.rs"]
mod native;
#[path = "malformed/offers.rs"]
mod offers;
#[path = "malformed/roq.rs"]
mod roq;
#[path = "malformed/rtsp.rs"]
mod rtsp;
#[path = "malformed/rtsp_port.rs"]
mod rtsp_port;
#[path = "malformed/udp.rs"]
mod udp;
#[path = "malformed/web.rs"]
mod web;

use std::time::{Duration, Instant};

use sightline_client::watch::Viewer;
use sightline_relay_proto::codec::MediaKind;
use tokio::sync::oneshot;

use attack::linger;
use native::{Device, Server, User};
use roq::Rogue;

/// What all attacks together may add to the server's memory, KiB.
const MAX_GROWTH: u64 = 64 * 1024;
/// Times that everything is thrown: what is kept by mistake adds up.
const ROUNDS: usize = 3;
/// Sockets that may still be open right after the attacks.
const MAX_LEFT_OPEN: usize = 8;
/// Connections of each kind that open and then say nothing more.
const SILENT: usize = 20;
/// When a port drops a silent connection at the latest: its bound is 10 s.
const SILENCE: Duration = Duration::from_secs(14);
/// Longest time that the control viewer may be without a picture. The camera sends 25 a second;
/// two cores are shared by everything here.
const MAX_STAND: Duration = Duration::from_millis(500);
/// The catch-up of the control viewer is over by then.
const SETTLED: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_input_ends_its_peer_and_disturbs_no_stream() {
    let mut server = Server::start(&["--set", "demo.mode=open"]).await;
    let demo = server.demo().await;
    let camera = server.add_open("PUSHED");
    let user = User::sign_in(&server, "+4915110000701").await;
    user.open(&server, &demo).await;
    let rogue = Rogue::add(&server);
    let control = Control::start(&server, &user, &demo.serial).await;
    tokio::time::sleep(SETTLED).await;
    let (before, descriptors) = (server.resident(), server.descriptors());

    let started = Instant::now();
    let silent = silent(&server);
    let attacks = async {
        for round in 1..=ROUNDS {
            attacks(&server, &user, &demo, &camera, &rogue).await;
            println!("resident memory after round {round}: {} KiB", server.resident());
        }
    };
    let (silent, ()) = tokio::join!(silent, attacks);
    for (port, longest) in silent {
        println!("{port}: silent connections were dropped after {longest:?}");
    }
    println!("all attacks took {:?}", started.elapsed());

    let after = server.resident();
    println!("resident memory: {before} KiB before, {after} KiB after");
    assert!(after <= before + MAX_GROWTH, "memory grew from {before} to {after} KiB");
    let open = server.descriptors();
    println!("open files: {descriptors} before, {open} after");
    assert!(
        open <= descriptors + MAX_LEFT_OPEN,
        "files stay open: {descriptors} before, {open} after"
    );
    web::serves(&server).await;
    late_viewer(&server, &user, &demo.serial).await;
    assert!(server.is_running(), "the server lives:\n{}", server.complaints());
    let complaints = server.complaints();
    assert!(!complaints.contains("panicked"), "nothing panicked:\n{complaints}");
    control.finish().await;
}

/// Every attack, one after the other, each with its time.
async fn attacks(server: &Server, user: &User, demo: &Device, camera: &Device, rogue: &Rogue) {
    let mut clock = Instant::now();
    let mut tell = |name: &str| {
        println!("{name}: {:?}", clock.elapsed());
        clock = Instant::now();
    };
    web::http(server).await;
    tell("HTTP/1.1");
    web::http2(server).await;
    tell("HTTP/2");
    web::tls(server).await;
    tell("TLS");
    web::metrics(server).await;
    tell("metrics");
    rtsp_port::strangers(server).await;
    tell("RTSP of strangers");
    rtsp_port::camera(server, camera).await;
    tell("RTSP of a camera");
    offers::whip(server, camera).await;
    tell("WHIP");
    offers::whep(server, user, &demo.serial).await;
    tell("WHEP");
    udp::quic(server).await;
    tell("QUIC of strangers");
    roq::handshakes(server, rogue).await;
    tell("QUIC handshakes");
    roq::publisher(server, rogue).await;
    tell("RTP over QUIC of a publisher");
    udp::webrtc(server).await;
    tell("WebRTC of strangers");
    udp::rtp(server).await;
    tell("RTP and RTCP of strangers");
}

/// Who comes after the attacks is let in and sees a picture.
async fn late_viewer(server: &Server, user: &User, serial: &str) {
    let target = user.watch(server, serial).await;
    let mut viewer = Viewer::connect(&target).await.expect("a connection");
    let frame = tokio::time::timeout(attack::SOON, viewer.next()).await;
    assert!(frame.expect("a frame in time").expect("a frame").keyframe);
    viewer.close();
}

/// Connections that begin and never go on: each port drops them by itself.
async fn silent(server: &Server) -> Vec<(&'static str, Duration)> {
    let beginnings: [(&str, &[u8]); 11] = [
        (
            "http",
            b"POST /v1/sessions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: \
            application/json\r\nContent-Length: 50\r\n\r\n{",
        ),
        (
            "http",
            b"POST /v1/whep/X/0 HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: \
            application/sdp\r\nContent-Length: 50\r\n\r\nv=0",
        ),
        ("http", b"GET / HTTP/1.1\r\nHost: a\r\nX: "),
        ("http", b""),
        ("http", b"PRI * HTTP/2.0\r\n"),
        ("http", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"),
        ("https", b"\x16\x03\x01\x02\x00"),
        ("https", b""),
        ("rtsp", b"OPTIONS * RTSP/1.0\r\nCSeq"),
        ("rtsp", b""),
        ("rtsps", b""),
    ];
    let mut waiting = tokio::task::JoinSet::new();
    for (port, beginning) in beginnings {
        let to = server.address(port);
        waiting.spawn(async move { (port, linger(to, beginning, SILENT, SILENCE).await) });
    }
    let mut longest = Vec::new();
    for (port, outcomes) in waiting.join_all().await {
        for outcome in &outcomes {
            assert!(outcome.closed, "{port} keeps a silent connection for {SILENCE:?}");
        }
        longest
            .push((port, outcomes.iter().map(|outcome| outcome.lived).max().unwrap_or_default()));
    }
    longest
}

/// The viewer whose stream nobody may disturb.
struct Control {
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

impl Control {
    async fn start(server: &Server, user: &User, serial: &str) -> Self {
        let target = user.watch(server, serial).await;
        let viewer = Viewer::connect(&target).await.expect("a connection");
        let (stop, stopped) = oneshot::channel();
        Self { stop, task: tokio::spawn(watch(viewer, stopped)) }
    }

    async fn finish(self) {
        let _ = self.stop.send(());
        self.task.await.expect("the control viewer is content");
    }
}

/// Watches; panics at a gap, a cut frame or a picture that stands.
async fn watch(mut viewer: Viewer, mut stop: oneshot::Receiver<()>) {
    let kinds: Vec<_> = viewer.tracks().map(|info| info.codec.kind()).collect();
    let settled = Instant::now() + SETTLED;
    let mut last: Option<(Instant, u64)> = None;
    let (mut pictures, mut longest) = (0, Duration::ZERO);
    loop {
        let frame = tokio::select! {
            _ = &mut stop => break,
            frame = viewer.next() => frame.expect("the control stream goes on"),
        };
        if kinds[usize::from(frame.track.0)] != MediaKind::Video || Instant::now() < settled {
            continue;
        }
        assert!(!frame.discontinuity, "a frame is missing");
        let now = Instant::now();
        if let Some((at, media)) = last {
            // 25 pictures a second on a clock of 90 kHz.
            assert_eq!(frame.media_time - media, 3600, "pictures follow each other");
            longest = longest.max(now - at);
        }
        last = Some((now, frame.media_time));
        pictures += 1;
    }
    let stats = viewer.stats();
    println!("control viewer: {pictures} pictures, longest stand {longest:?}, {stats:?}");
    assert_eq!((stats.gaps, stats.resets), (0, 0), "nothing is lost or cut off");
    assert!(pictures > 25, "the control viewer watched");
    assert!(longest <= MAX_STAND, "a picture stood for {longest:?}");
}
