//! What reaches a viewer, before any player's own buffer: access units and sounds with their
//! arrival, on every way out.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use serde_json::json;
use sightline_client::annexb;
use sightline_client::watch::Viewer;
use sightline_relay_proto::codec::{Codec, MediaKind, TrackInfo};
use sightline_relay_proto::hub::SenderInfo;
use sightline_relay_proto::ids::TrackIndex;
use sightline_relay_proto::ingest::TrackIngest;
use sightline_relay_proto::wire::{rtcp, rtp};
use tokio::net::UdpSocket;
use tokio::sync::oneshot;

use crate::native::{Server, User};
use crate::rtsp::{Item, Rtsp, controls};

/// RTP clock of the pictures.
pub(crate) const VIDEO_RATE: u32 = 90_000;
/// RTP clock of the sound.
pub(crate) const AUDIO_RATE: u32 = 48_000;

/// A picture as it came.
#[derive(Clone)]
pub(crate) struct Picture {
    /// Arrival of its last packet.
    pub(crate) at: Instant,
    /// RTP time, extended.
    pub(crate) media: u64,
    pub(crate) keyframe: bool,
    /// Annex-B access unit.
    pub(crate) unit: Bytes,
}

/// A packet of sound as it came.
#[derive(Clone, Copy)]
pub(crate) struct Sound {
    pub(crate) at: Instant,
    pub(crate) media: u64,
}

/// All that one viewer received.
#[derive(Clone)]
pub(crate) struct Seen {
    /// When the server's answer was there: 201, PLAY's 200, or the end of the handshake.
    pub(crate) answered: Instant,
    pub(crate) pictures: Vec<Picture>,
    pub(crate) sounds: Vec<Sound>,
    /// Last sender reports of picture and sound.
    pub(crate) reports: [Option<SenderInfo>; 2],
    /// Frames lost on the way.
    pub(crate) lost: u64,
}

/// A viewer that runs from the start of the test to its end.
pub(crate) struct Present {
    seen: Arc<Mutex<Seen>>,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

impl Present {
    /// Starts watching by RTP over QUIC.
    pub(crate) async fn start(server: &Server, user: &User, serial: &str) -> Self {
        let target = user.watch(server, serial).await;
        let viewer = Viewer::connect(&target).await.expect("a connection");
        let seen = Arc::new(Mutex::new(Seen::new(Instant::now())));
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(follow(viewer, Arc::clone(&seen), stopped));
        Self { seen, stop, task }
    }

    /// What has come so far.
    pub(crate) fn so_far(&self) -> Seen {
        self.seen.lock().expect("no holder panics").clone()
    }

    /// When the last keyframe came; waits for one.
    pub(crate) async fn last_keyframe(&self) -> Instant {
        loop {
            let found = {
                let seen = self.seen.lock().expect("no holder panics");
                seen.pictures.iter().rfind(|picture| picture.keyframe).map(|picture| picture.at)
            };
            if let Some(at) = found {
                return at;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Stops.
    pub(crate) async fn finish(self) {
        let _ = self.stop.send(());
        self.task.await.expect("the viewer lives");
    }
}

async fn follow(mut viewer: Viewer, seen: Arc<Mutex<Seen>>, mut stop: oneshot::Receiver<()>) {
    let kinds: Vec<_> = viewer.tracks().map(|info| info.codec.kind()).collect();
    loop {
        let frame = tokio::select! {
            _ = &mut stop => return,
            frame = viewer.next() => frame.expect("the stream goes on"),
        };
        let at = Instant::now();
        let mut seen = seen.lock().expect("no holder panics");
        for (index, kind) in kinds.iter().enumerate() {
            let info = viewer.sender_info(TrackIndex(index as u8));
            seen.reports[usize::from(*kind == MediaKind::Audio)] = info;
        }
        seen.lost = viewer.stats().gaps;
        if kinds[usize::from(frame.track.0)] == MediaKind::Video {
            let unit = frame.annexb().expect("H.264");
            let (media, keyframe) = (frame.media_time, frame.keyframe);
            seen.pictures.push(Picture { at, media, keyframe, unit });
        } else {
            seen.sounds.push(Sound { at, media: frame.media_time });
        }
    }
}

/// Joins by RTP over QUIC.
pub(crate) async fn by_roq(server: &Server, user: &User, serial: &str, time: Duration) -> Seen {
    let target = user.watch(server, serial).await;
    let viewer = Viewer::connect(&target).await.expect("a connection");
    let seen = Arc::new(Mutex::new(Seen::new(Instant::now())));
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(follow(viewer, Arc::clone(&seen), stopped));
    tokio::time::sleep(time).await;
    let _ = stop.send(());
    task.await.expect("the viewer lives");
    Arc::into_inner(seen).expect("the task is gone").into_inner().expect("no holder panics")
}

/// Joins by RTSP with media inside the connection.
pub(crate) async fn by_rtsp_tcp(
    server: &Server,
    user: &User,
    serial: &str,
    time: Duration,
) -> Seen {
    let mut rtsp = connect_rtsp(server, user, serial).await;
    let controls = describe(&mut rtsp).await;
    for (track, control) in controls.iter().enumerate() {
        let channels = format!("interleaved={}-{}", 2 * track, 2 * track + 1);
        setup(&mut rtsp, control, &format!("RTP/AVP/TCP;unicast;{channels}")).await;
    }
    play(&mut rtsp).await;
    let mut tracks = Tracks::new(Instant::now(), false);
    let end = tracks.seen.answered + time;
    while let Ok(item) = tokio::time::timeout_at(end.into(), rtsp.next()).await {
        let Item::Frame(channel, packet) = item.expect("the stream goes on") else { continue };
        tracks.packet(Instant::now(), usize::from(channel / 2), packet);
    }
    tracks.finish()
}

/// Joins by RTSP with media over UDP.
pub(crate) async fn by_rtsp_udp(
    server: &Server,
    user: &User,
    serial: &str,
    time: Duration,
) -> Seen {
    let mut rtsp = connect_rtsp(server, user, serial).await;
    let controls = describe(&mut rtsp).await;
    let mut sockets = Vec::new();
    for control in &controls {
        let (rtp, rtcp) = socket_pair().await;
        let port = rtp.local_addr().expect("an address").port();
        let transport = format!("RTP/AVP;unicast;client_port={port}-{}", port + 1);
        setup(&mut rtsp, control, &transport).await;
        sockets.extend([rtp, rtcp]);
    }
    let (sender, mut packets) = tokio::sync::mpsc::unbounded_channel();
    let mut readers = tokio::task::JoinSet::new();
    for (index, socket) in sockets.into_iter().enumerate() {
        let sender = sender.clone();
        readers.spawn(async move {
            let mut buffer = vec![0; 2048];
            while let Ok(length) = socket.recv(&mut buffer).await {
                let packet = Bytes::copy_from_slice(&buffer[..length]);
                let _ = sender.send((Instant::now(), index / 2, packet));
            }
        });
    }
    play(&mut rtsp).await;
    let mut tracks = Tracks::new(Instant::now(), true);
    let end = tracks.seen.answered + time;
    while let Ok(Some((at, track, packet))) =
        tokio::time::timeout_at(end.into(), packets.recv()).await
    {
        tracks.packet(at, track, packet);
    }
    tracks.finish()
}

async fn connect_rtsp(server: &Server, user: &User, serial: &str) -> Rtsp {
    let login = user.rtsp(serial).await;
    let password = login.password.expose();
    Rtsp::connect(server.address("rtsp"), &login.path, &login.user, password).await
}

async fn describe(rtsp: &mut Rtsp) -> Vec<String> {
    let base = rtsp.base().to_owned();
    let answer = rtsp.request("DESCRIBE", &base, "Accept: application/sdp\r\n", "").await;
    assert_eq!(answer.status, 200);
    let base = answer.header("Content-Base").unwrap_or(&base).trim_end_matches('/');
    let controls = controls(base, &answer.body);
    assert_eq!(controls.len(), 2, "a picture and a sound");
    controls
}

async fn setup(rtsp: &mut Rtsp, control: &str, transport: &str) {
    let header = format!("Transport: {transport}\r\n");
    assert_eq!(rtsp.request("SETUP", control, &header, "").await.status, 200);
}

async fn play(rtsp: &mut Rtsp) {
    let base = rtsp.base().to_owned();
    assert_eq!(rtsp.request("PLAY", &base, "", "").await.status, 200);
}

async fn socket_pair() -> (UdpSocket, UdpSocket) {
    loop {
        let rtp = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let port = rtp.local_addr().expect("an address").port();
        if port.is_multiple_of(2)
            && let Ok(rtcp) = UdpSocket::bind(("127.0.0.1", port + 1)).await
        {
            return (rtp, rtcp);
        }
    }
}

/// Joins by WHEP; ICE, DTLS and SRTP are aiortc's.
pub(crate) async fn by_whep(server: &Server, user: &User, serial: &str, time: Duration) -> Seen {
    let path = format!("/v1/whep/{serial}/0");
    let grant = user.grant(serial).await;
    let request = json!({
        "url": format!("{}{path}", server.origin),
        "grant": grant.expose(),
        "proof": user.proof(server, &path, grant.expose()),
        "seconds": time.as_secs_f64(),
    });
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/join/whep_packets.py");
    let task = tokio::task::spawn_blocking(move || run_whep(&script, &request.to_string()));
    task.await.expect("the client ends")
}

fn run_whep(script: &Path, request: &str) -> Seen {
    let python = std::env::var_os("SIGHTLINE_PYTHON").unwrap_or_else(|| "python3".into());
    let mut command = Command::new(python);
    command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("python runs");
    let mut input = child.stdin.take().expect("piped");
    input.write_all(request.as_bytes()).expect("the client reads");
    drop(input);
    let mut output = Vec::new();
    child.stdout.take().expect("piped").read_to_end(&mut output).expect("readable");
    assert!(child.wait().expect("our own child").success(), "the WHEP client failed");
    read_records(&output)
}

/// Reads what `whep_packets.py` writes.
fn read_records(mut output: &[u8]) -> Seen {
    let (now, unix) = (Instant::now(), SystemTime::now());
    let moment = |nanos: u64| {
        let passed = unix.duration_since(UNIX_EPOCH + Duration::from_nanos(nanos));
        now - passed.expect("it was before now")
    };
    let mut tracks: Option<Tracks> = None;
    while output.len() >= 13 {
        let (head, rest) = output.split_at(13);
        let nanos = u64::from_be_bytes(head[1..9].try_into().expect("eight bytes"));
        let length = u32::from_be_bytes(head[9..13].try_into().expect("four bytes"));
        let (body, later) = rest.split_at(length as usize);
        output = later;
        match (head[0], &mut tracks) {
            (0, _) => tracks = Some(Tracks::new(moment(nanos), true)),
            (kind @ (1 | 2), Some(tracks)) => {
                let packet = Bytes::copy_from_slice(body);
                tracks.packet(moment(nanos), usize::from(kind - 1), packet);
            }
            (3, Some(tracks)) => tracks.control(body, None),
            _ => panic!("the client speaks of something else"),
        }
    }
    tracks.expect("an answer").finish()
}

/// Joins packets to access units.
struct Tracks {
    ingests: [TrackIngest; 2],
    ssrcs: [Option<u32>; 2],
    seen: Seen,
}

impl Tracks {
    fn new(answered: Instant, unordered: bool) -> Self {
        let ingest = |index, info| TrackIngest::new(TrackIndex(index), info, unordered, 0, 0);
        let audio = TrackInfo::audio(Codec::Opus, AUDIO_RATE, 2);
        Self {
            ingests: [ingest(0, TrackInfo::video(Codec::H264)), ingest(1, audio)],
            ssrcs: [None; 2],
            seen: Seen::new(answered),
        }
    }

    fn packet(&mut self, at: Instant, track: usize, packet: Bytes) {
        if rtp::is_rtcp(&packet) {
            return self.control(&packet, Some(track));
        }
        self.ssrcs[track] = rtp::parse(&packet).map(|header| header.ssrc);
        self.ingests[track].handle_rtp(at, packet);
        while let Some(frame) = self.ingests[track].poll_frame(at) {
            let media = frame.descriptor.media_time.0;
            if track == 1 {
                self.seen.sounds.push(Sound { at, media });
                continue;
            }
            let unit = annexb::access_unit(Codec::H264, &frame.payloads).expect("H.264");
            let keyframe = frame.descriptor.keyframe;
            self.seen.pictures.push(Picture { at, media, keyframe, unit });
        }
    }

    /// Sender reports of one track, or of whichever their source tells.
    fn control(&mut self, compound: &[u8], track: Option<usize>) {
        rtcp::parse(compound, |packet| {
            let rtcp::Rtcp::SenderReport { ssrc, info } = packet else { return };
            let of_source = || self.ssrcs.iter().position(|known| *known == Some(ssrc));
            if let Some(track) = track.or_else(of_source) {
                self.ingests[track].handle_sender_report(Instant::now(), info);
            }
        });
    }

    fn finish(mut self) -> Seen {
        self.seen.reports = self.ingests.each_ref().map(TrackIngest::sender_info);
        self.seen.lost = self.ingests.iter().map(TrackIngest::frames_lost).sum();
        self.seen
    }
}

impl Seen {
    fn new(answered: Instant) -> Self {
        let (pictures, sounds) = (Vec::new(), Vec::new());
        Self { answered, pictures, sounds, reports: [None; 2], lost: 0 }
    }
}
