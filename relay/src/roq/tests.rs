mod datagrams;
mod rig;
mod sealed;
mod web;

use std::time::{Duration, Instant};

use bytes::Bytes;
use quinn_proto::{Dir, TransportConfig, VarInt};
use sightline_relay_proto::codec::{Codec, TrackInfo};
use sightline_relay_proto::frame::Mode;
use sightline_relay_proto::hub::{Pacing, Publication, PublisherId, Selection};
use sightline_relay_proto::ids::TrackIndex;
use sightline_relay_proto::limits::MAX_LAG;
use sightline_relay_proto::roq::write;
use sightline_relay_proto::wire::packetize::packetize;
use sightline_relay_proto::wire::{rtcp, rtp, varint};

use self::rig::{Identity, Rig, stream_key};
use super::patience::{PATIENCE, TICK};
use crate::api::{MediaError, RoqSession};
use crate::port::{CloseReason, PeerId};

const VIDEO: TrackIndex = TrackIndex(0);
const AUDIO: TrackIndex = TrackIndex(1);

fn tracks() -> Vec<TrackInfo> {
    vec![TrackInfo::video(Codec::H264), TrackInfo::audio(Codec::Pcmu, 8000, 1)]
}

/// An access unit: parameter sets and an IDR slice, or a plain slice.
fn unit(key: bool, len: usize) -> Bytes {
    let mut out = Vec::new();
    if key {
        out.extend_from_slice(&[0, 0, 0, 1, 0x67, 0x42, 0xe0, 0x1f, 0xda, 0x01, 0x40, 0x16]);
        out.extend_from_slice(&[0, 0, 0, 1, 0x68, 0xce, 0x3c, 0x80]);
    }
    out.extend_from_slice(&[0, 0, 0, 1, if key { 0x65 } else { 0x41 }, 0x88]);
    out.extend(std::iter::repeat_n(0x5a, len));
    out.into()
}

/// RTP packets of one track.
struct Source {
    codec: Codec,
    seq: u16,
    timestamp: u32,
}

impl Source {
    fn video() -> Self {
        Self { codec: Codec::H264, seq: 1, timestamp: 1000 }
    }

    fn audio() -> Self {
        Self { codec: Codec::Pcmu, seq: 1, timestamp: 1000 }
    }

    fn packets(&mut self, unit: &Bytes, ticks: u32) -> Vec<Bytes> {
        let payloads = packetize(self.codec, unit);
        let last = payloads.len() - 1;
        let packet = |(at, payload): (usize, &Bytes)| self.packet(payload, at == last);
        let packets: Vec<_> = payloads.iter().enumerate().map(packet).collect();
        self.timestamp = self.timestamp.wrapping_add(ticks);
        packets
    }

    fn packet(&mut self, payload: &[u8], marker: bool) -> Bytes {
        let mut packet = rtp::header(96, marker, self.seq, self.timestamp, 77).to_vec();
        packet.extend_from_slice(payload);
        self.seq = self.seq.wrapping_add(1);
        packet.into()
    }
}

fn local_publisher(rig: &mut Rig) -> PublisherId {
    let publication = Publication {
        key: stream_key(),
        tracks: tracks(),
        mode: Mode::Open,
        takes_keyframe_requests: true,
        unordered: false,
    };
    rig.hub.publish(Instant::now(), publication).expect("a stream")
}

fn push(rig: &mut Rig, from: PublisherId, track: TrackIndex, packets: Vec<Bytes>) {
    let now = rig.now();
    packets.into_iter().for_each(|packet| rig.hub.handle_rtp(now, from, track, packet));
}

/// A rig with a live stream of one keyframe and its admitted viewer.
fn live(identity: &Identity) -> (Rig, PublisherId, Source, RoqSession) {
    let mut rig = Rig::new();
    let publisher = local_publisher(&mut rig);
    let mut video = Source::video();
    let key = video.packets(&unit(true, 5000), 3000);
    push(&mut rig, publisher, VIDEO, key);
    let session = rig.view(identity.thumbprint).expect("live");
    (rig, publisher, video, session)
}

fn framed(flow: u64, packets: &[Bytes]) -> Vec<u8> {
    let mut out = Vec::new();
    varint::write(flow, &mut out);
    packets.iter().for_each(|packet| write::stream_packet(packet, &mut out));
    out
}

fn in_datagram(flow: u64, packet: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write::datagram(flow, packet, &mut out);
    out
}

#[test]
fn a_viewer_gets_video_on_streams_and_audio_and_reports_in_datagrams() {
    let identity = Identity::p256();
    let (mut rig, publisher, mut video, session) = live(&identity);
    let [v, a] = [session.tracks[0].flow, session.tracks[1].flow];
    assert!(session.tracks.iter().all(|track| track.flow < write::FLOW_BOUND));
    let mut client = rig.connect(&session, &identity);
    let mut audio = Source::audio();
    rig.until(&mut client, "first frame", |_, client| !client.streams.is_empty());
    for _ in 0..10 {
        let frame = video.packets(&unit(false, 3000), 3000);
        push(&mut rig, publisher, VIDEO, frame);
        let sound = audio.packets(&Bytes::from(vec![9; 160]), 160);
        push(&mut rig, publisher, AUDIO, sound);
    }
    rig.until(&mut client, "frames, sound and a report", |_, client| {
        let of = |flow: u64| client.datagrams.iter().filter(move |d| d.starts_with(&head(flow)));
        let sound = of(a).filter(|d| !rtp::is_rtcp(&d[head(a).len()..])).count();
        let reports = of(v).filter(|d| rtp::is_rtcp(&d[head(v).len()..])).count();
        client.streams.len() >= 10 && sound >= 8 && reports >= 1
    });
    assert!(client.stream_flows().iter().all(|flow| *flow == v));
    assert_eq!(client.lost, None);
}

fn head(flow: u64) -> Vec<u8> {
    let mut out = Vec::new();
    varint::write(flow, &mut out);
    out
}

#[test]
fn another_key_is_refused_and_leaves_the_session_to_its_owner() {
    let owner = Identity::p256();
    let (mut rig, _, _, session) = live(&owner);
    let mut thief = rig.connect(&session, &Identity::p256());
    rig.until(&mut thief, "refusal", |_, client| client.lost.is_some());
    let refusal = (1, "the session is for another key".to_owned());
    assert_eq!(thief.close_code(), Some(refusal));
    assert!(thief.streams.is_empty() && thief.datagrams.is_empty());
    let mut client = rig.connect(&session, &owner);
    rig.until(&mut client, "the owner's media", |_, client| !client.streams.is_empty());
}

#[test]
fn a_server_name_without_a_session_is_refused() {
    let owner = Identity::ed25519();
    let (mut rig, ..) = live(&owner);
    for name in ["ff.roq.sightline.internal", &super::sessions::server_name(crate::SessionId(99))] {
        let mut client = rig.connect_to(name, &owner, TransportConfig::default());
        rig.until(&mut client, "refusal", |_, client| client.lost.is_some());
        let refusal = (1, "the server name has no session".to_owned());
        assert_eq!(client.close_code(), Some(refusal));
    }
}

#[test]
fn a_second_connection_of_a_viewer_is_refused() {
    let owner = Identity::ed25519();
    let (mut rig, _, _, session) = live(&owner);
    let mut first = rig.connect(&session, &owner);
    rig.until(&mut first, "media", |_, client| !client.streams.is_empty());
    let mut second = rig.connect(&session, &owner);
    rig.until(&mut second, "refusal", |_, client| client.lost.is_some());
    assert_eq!(second.close_code().map(|close| close.0), Some(1));
    assert_eq!(first.lost, None);
}

#[test]
fn nobody_is_admitted_to_a_stream_that_is_not_live() {
    let mut rig = Rig::new();
    assert_eq!(rig.view(Identity::p256().thumbprint), Err(MediaError::NotLive));
}

#[test]
fn a_session_that_nobody_connects_to_ends_with_its_lease() {
    let owner = Identity::p256();
    let (mut rig, _, _, session) = live(&owner);
    assert_eq!(rig.directory.leases.len(), 1);
    rig.skip = super::sessions::CONNECT_WAIT;
    let mut late = rig.connect(&session, &owner);
    rig.until(&mut late, "refusal", |_, client| client.lost.is_some());
    assert_eq!(rig.directory.leases.len(), 0);
}

#[test]
fn a_bidirectional_stream_closes_with_its_code() {
    let owner = Identity::p256();
    let (mut rig, _, _, session) = live(&owner);
    let mut client = rig.connect(&session, &owner);
    rig.until(&mut client, "connection", |_, client| client.connected);
    client.open_bidi();
    rig.until(&mut client, "refusal", |_, client| client.lost.is_some());
    assert_eq!(client.close_code().map(|close| close.0), Some(4));
    assert_eq!((rig.directory.leases.len(), rig.directory.subscribers.len()), (0, 0));
}

#[test]
fn a_close_discards_what_is_queued_and_tells_the_reason() {
    let owner = Identity::p256();
    let (mut rig, publisher, mut video, session) = live(&owner);
    let mut client = rig.connect(&session, &owner);
    rig.until(&mut client, "media", |_, client| !client.streams.is_empty());
    let before = client.streams.len();
    client.deaf = true;
    for _ in 0..20 {
        let frame = video.packets(&unit(false, 50_000), 3000);
        push(&mut rig, publisher, VIDEO, frame);
    }
    rig.close(PeerId(1), CloseReason::LeaseEnded);
    rig.until(&mut client, "close", |_, client| client.lost.is_some());
    assert_eq!(client.close_code(), Some((1, "the permission has ended".to_owned())));
    assert_eq!(client.streams.len(), before);
    assert_eq!((rig.directory.leases.len(), rig.directory.subscribers.len()), (0, 0));
}

#[test]
fn what_a_viewer_at_ease_says_waits_for_its_next_frame_and_not_for_ever() {
    let owner = Identity::p256();
    let (mut rig, publisher, mut video, session) = live(&owner);
    let mut client = rig.connect(&session, &owner);
    rig.until(&mut client, "media", |_, client| !client.streams.is_empty());
    let waits = |rig: &mut Rig, _: &mut rig::Client| rig.port.connections.patience.waiting() > 0;
    rig.until(&mut client, "an acknowledgement that waits", waits);
    let before = client.streams.len();
    let frame = video.packets(&unit(false, 3000), 3000);
    push(&mut rig, publisher, VIDEO, frame);
    rig.turn();
    assert_eq!(rig.port.connections.patience.waiting(), 0, "it went with the frame");
    rig.until(&mut client, "the frame", |_, client| client.streams.len() > before);
    rig.until(&mut client, "the next one that waits", waits);
    rig.skip += PATIENCE + 2 * TICK;
    rig.turn();
    assert_eq!(rig.port.connections.patience.waiting(), 0, "its time was over");
    assert_eq!(client.lost, None);
}

fn narrow() -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport.receive_window(VarInt::from_u32(30_000));
    transport
}

#[test]
fn a_blocked_viewer_resumes_where_it_stopped() {
    let owner = Identity::p256();
    let (mut rig, publisher, mut video, session) = live(&owner);
    let mut client = rig.connect_to(&session.server_name, &owner, narrow());
    client.deaf = true;
    rig.until(&mut client, "connection", |rig, _| !rig.directory.subscribers.is_empty());
    for _ in 0..12 {
        let frame = video.packets(&unit(false, 100_000), 3000);
        push(&mut rig, publisher, VIDEO, frame);
    }
    let until = Instant::now() + Duration::from_millis(300);
    rig.until(&mut client, "a while", |_, _| Instant::now() > until);
    client.deaf = false;
    rig.until(&mut client, "all frames", |_, client| {
        client.streams.values().map(Vec::len).sum::<usize>() > 1_200_000
    });
    assert!(client.resets.is_empty());
}

#[test]
fn a_viewer_that_stops_reading_never_changes_anothers_delivery() {
    let owner = Identity::p256();
    let (mut rig, publisher, mut video, session) = live(&owner);
    let mut stalled = rig.connect_to(&session.server_name, &owner, narrow());
    stalled.deaf = true;
    rig.until(&mut stalled, "connection", |rig, _| rig.directory.subscribers.len() == 1);
    let session = rig.view(owner.thumbprint).expect("live");
    let mut reader = rig.connect(&session, &owner);
    rig.until(&mut reader, "connection", |rig, _| rig.directory.subscribers.len() == 2);
    let bytes = |client: &rig::Client| client.streams.values().map(Vec::len).sum::<usize>();
    for number in 0..20 {
        let frame = video.packets(&unit(false, 20_000), 3000);
        let wanted = bytes(&reader) + 20_000;
        push(&mut rig, publisher, VIDEO, frame);
        rig.until(&mut reader, &format!("frame {number}"), |_, reader| {
            stalled.step();
            bytes(reader) >= wanted
        });
    }
    assert_eq!(bytes(&stalled), 0, "it has read nothing");
    assert_eq!((&reader.lost, &reader.resets), (&None, &Vec::new()));
}

#[test]
fn frames_past_the_lag_bound_are_reset_on_a_blocked_connection() {
    let owner = Identity::p256();
    let (mut rig, publisher, mut video, session) = live(&owner);
    let mut client = rig.connect_to(&session.server_name, &owner, narrow());
    client.deaf = true;
    rig.until(&mut client, "connection", |rig, _| !rig.directory.subscribers.is_empty());
    for _ in 0..20 {
        let frame = video.packets(&unit(false, 100_000), 3000);
        push(&mut rig, publisher, VIDEO, frame);
    }
    let until = Instant::now() + Duration::from_millis(100);
    rig.until(&mut client, "blocked", |_, _| Instant::now() > until);
    rig.skip = MAX_LAG + Duration::from_millis(100);
    let key = video.packets(&unit(true, 5000), 3000);
    push(&mut rig, publisher, VIDEO, key);
    let until = Instant::now() + Duration::from_millis(100);
    rig.until(&mut client, "reset", |_, _| Instant::now() > until);
    client.deaf = false;
    rig.until(&mut client, "the resets", |_, client| !client.resets.is_empty());
    assert!(client.resets.iter().all(|code| *code == 5));
    assert_eq!(client.lost, None);
}

#[test]
fn a_viewers_picture_loss_reaches_a_publisher_as_one() {
    let (device, terminal) = (Identity::ed25519(), Identity::p256());
    let mut rig = Rig::new();
    let feed = rig.publish(device.thumbprint, tracks()).expect("room");
    let mut camera = rig.connect(&feed, &device);
    rig.until(&mut camera, "publication", |rig, _| !rig.directory.publishers.is_empty());
    let key = Source::video().packets(&unit(true, 2000), 3000);
    let flow = feed.tracks[0].flow;
    camera.send_stream(&framed(flow, &key), true);
    rig.until(&mut camera, "live", |rig, _| rig.hub.stats().frames_in > 0);
    let session = rig.view(terminal.thumbprint).expect("live");
    let mut viewer = rig.connect(&session, &terminal);
    rig.until(&mut viewer, "media", |_, client| !client.streams.is_empty());
    let mut pli = Vec::new();
    rtcp::write_pli(&mut pli, 1, session.tracks[0].ssrc);
    viewer.send_datagram(in_datagram(session.tracks[0].flow, &pli));
    rig.until(&mut viewer, "the request", |_, _| {
        camera.step();
        camera.datagrams.iter().any(|datagram| {
            let mut found = false;
            let rest = datagram.strip_prefix(&head(flow)[..]).unwrap_or_default();
            rtcp::parse(rest, |p| found |= p == rtcp::Rtcp::Pli { ssrc: 77 });
            found
        })
    });
}

/// Bytes and frames that a subscriber of the hub has got.
fn taken(rig: &mut Rig, subscriber: sightline_relay_proto::hub::SubscriberId) -> (usize, usize) {
    let now = rig.now();
    let mut sum = (0, 0);
    while let Some(delivery) = rig.hub.poll_delivery(now, subscriber) {
        sum = (sum.0 + 1, sum.1 + delivery.frame.bytes());
    }
    sum
}

#[test]
fn a_publisher_may_mix_split_streams_datagrams_and_packets_of_a_mebibyte() {
    let device = Identity::ed25519();
    let mut rig = Rig::new();
    let feed = rig.publish(device.thumbprint, tracks()).expect("room");
    let mut camera = rig.connect(&feed, &device);
    rig.until(&mut camera, "publication", |rig, _| !rig.directory.publishers.is_empty());
    let flow = feed.tracks[0].flow;
    let mut video = Source::video();
    let bytes = framed(flow, &video.packets(&unit(true, 2000), 3000));
    // The flow identifier and the first length come byte by byte, each in its own datagram.
    let stream = camera.send_stream(&[], false);
    for byte in &bytes[..6] {
        camera.write(stream, &[*byte]);
        camera.step();
    }
    camera.write(stream, &bytes[6..]);
    camera.quic.send_stream(stream).finish().expect("open");
    rig.until(&mut camera, "the split frame", |rig, _| rig.hub.stats().frames_in == 1);
    for packet in video.packets(&unit(false, 3000), 3000) {
        camera.send_datagram(in_datagram(flow, &packet));
    }
    rig.until(&mut camera, "the frame in datagrams", |rig, _| rig.hub.stats().frames_in == 2);
    let now = rig.now();
    let selection = Selection { tracks: vec![VIDEO], pacing: Pacing::Whole, mode: Mode::Open };
    let subscriber = rig.hub.subscribe(now, &stream_key(), selection).expect("live");
    let mut slice = vec![0x41, 0x9a];
    slice.resize(1 << 20, 0x33);
    let packet = video.packet(&slice, true);
    let bytes = framed(flow, &[packet]);
    let stream = camera.send_stream(&[], false);
    let mut at = 0;
    let mut got = (0, 0);
    rig.until(&mut camera, "the mebibyte", |rig, camera| {
        if at < bytes.len()
            && let Ok(written) = camera.quic.send_stream(stream).write(&bytes[at..])
        {
            at += written;
            if at == bytes.len() {
                camera.quic.send_stream(stream).finish().expect("open");
            }
        }
        let more = taken(rig, subscriber);
        got = (got.0 + more.0, got.1 + more.1);
        got.1 > 1 << 20
    });
    assert_eq!(camera.lost, None);
    assert!(camera.stopped.is_empty());
}

#[test]
fn a_stream_of_a_flow_that_nobody_announced_is_stopped() {
    let device = Identity::ed25519();
    let mut rig = Rig::new();
    let feed = rig.publish(device.thumbprint, tracks()).expect("room");
    let mut camera = rig.connect(&feed, &device);
    rig.until(&mut camera, "publication", |rig, _| !rig.directory.publishers.is_empty());
    camera.send_stream(&framed(write::FLOW_BOUND + 1, &[Bytes::from(vec![1; 100])]), false);
    rig.until(&mut camera, "the stop", |_, client| !client.stopped.is_empty());
    assert_eq!((camera.stopped, camera.lost), (vec![6], None));
}

#[test]
fn a_publisher_that_comes_back_in_time_continues_its_session() {
    let device = Identity::ed25519();
    let mut rig = Rig::new();
    let feed = rig.publish(device.thumbprint, tracks()).expect("room");
    let mut video = Source::video();
    let flow = feed.tracks[0].flow;
    for round in 1..=3 {
        let mut camera = rig.connect(&feed, &device);
        let frame = framed(flow, &video.packets(&unit(true, 2000), 90_000));
        rig.until(&mut camera, "connection", |_, client| client.connected);
        camera.send_stream(&frame, true);
        rig.until(&mut camera, "its frame", |rig, _| rig.hub.stats().frames_in == round);
        if round == 1 {
            camera.leave();
            rig.until(&mut camera, "the end", |rig, _| rig.directory.publishers.is_empty());
        }
        // The second connection stays open and is replaced by the third.
        std::mem::forget(camera);
    }
    assert_eq!(rig.directory.publishers.len(), 1);
}

/// A viewer of foreign code; skipped where Python or aioquic is missing.
#[test]
fn a_foreign_viewer_decodes_what_is_sent() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/clients/roq_viewer.py");
    let python = |args: &[&str]| {
        let mut command = std::process::Command::new("python3");
        command.args(args).stdout(std::process::Stdio::piped());
        command
    };
    let there = python(&["-c", "import aioquic, cryptography"])
        .stderr(std::process::Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !there {
        return;
    }
    let identity = Identity::p256();
    let (mut rig, publisher, mut video, session) = live(&identity);
    let folder = tempfile::tempdir().expect("a folder");
    let place = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let [key, json, out] = [place("key.der"), place("session.json"), place("out.h264")];
    std::fs::write(&key, &identity.key).expect("written");
    let tracks: Vec<_> = session.tracks.iter().zip(["h264", "pcmu"]).collect();
    let [v, a] = [tracks[0].0, tracks[1].0];
    let text = format!(
        r#"{{"server_name":"{}","port":{},"tracks":[{{"flow":{},"ssrc":{},"codec":"h264"}},{{"flow":{},"codec":"pcmu"}}]}}"#,
        session.server_name, session.port, v.flow, v.ssrc, a.flow
    );
    std::fs::write(&json, text).expect("written");
    let args = [script, "--session", &json, "--key", &key, "--out", &out, "--seconds", "2"];
    let mut child = python(&args).spawn().expect("a process");
    let mut next = Instant::now();
    while child.try_wait().expect("a child").is_none() {
        if Instant::now() >= next && !rig.directory.subscribers.is_empty() {
            next = Instant::now() + Duration::from_millis(33);
            let frame = video.packets(&unit(false, 3000), 3000);
            push(&mut rig, publisher, VIDEO, frame);
        }
        rig.turn();
    }
    let output = child.wait_with_output().expect("its output");
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}");
    assert!(output.status.success());
    let number = |name: &str| -> u64 {
        let (_, rest) = text.split_once(&format!("\"{name}\": ")).expect("reported");
        rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().expect("number")
    };
    assert!(number("frames") > 10 && number("keyframes") >= 1 && number("reports") >= 1);
    assert_eq!((number("lost"), number("unknown_flows")), (0, 0));
    let written = std::fs::read(&out).expect("written");
    assert!(written.starts_with(&[0, 0, 0, 1, 0x67]));
}

#[test]
fn a_credential_taken_back_ends_the_session_connected_or_not() {
    let identity = Identity::ed25519();
    let mut rig = Rig::new();
    rig.publish(identity.thumbprint, vec![TrackInfo::video(Codec::H264)]).expect("a session");
    for (device, left) in [("CAM-2", 1), ("CAM-1", 0)] {
        rig.end_publishers(device);
        assert_eq!(rig.port.sessions.publishers_of(Some(&stream_key().device)).len(), left);
    }
}

/// Packets of news on the streams of a camera.
fn news(client: &rig::Client, flow: u64) -> usize {
    let mut expected = head(flow);
    let mut packet = Vec::new();
    rtcp::write_app(&mut packet, 0, rtcp::DEVICE_NEWS);
    varint::write(packet.len() as u64, &mut expected);
    let at = expected.len();
    let told = |bytes: &&Vec<u8>| {
        bytes.starts_with(&expected) && bytes[at..at + 4] == packet[..4] && bytes.ends_with(b"SLDN")
    };
    client.streams.values().filter(told).count()
}

#[test]
fn a_camera_hears_once_that_it_is_told_news_and_then_of_each_for_its_device() {
    let mut rig = Rig::new();
    let device = Identity::ed25519();
    let session = rig.publish(device.thumbprint, tracks()).expect("a session");
    let flow = session.tracks[0].flow;
    let mut client = rig.connect(&session, &device);
    rig.until(&mut client, "the first word", |_, client| news(client, flow) == 1);
    rig.tell_publishers(Some("OTHER"));
    rig.tell_publishers(Some("CAM-1"));
    rig.until(&mut client, "news", |_, client| news(client, flow) == 2);
    rig.tell_publishers(None);
    rig.until(&mut client, "news of any device", |_, client| news(client, flow) == 3);
    assert_eq!(client.streams.len(), 3, "none was for the other device");
}

#[test]
fn news_wait_for_a_camera_that_allows_no_stream() {
    let mut rig = Rig::new();
    let device = Identity::ed25519();
    let session = rig.publish(device.thumbprint, tracks()).expect("a session");
    let flow = session.tracks[0].flow;
    let mut transport = TransportConfig::default();
    transport.max_concurrent_uni_streams(VarInt::from_u32(0));
    let mut client = rig.connect_to(&session.server_name, &device, transport);
    rig.until(&mut client, "publication", |rig, _| !rig.directory.publishers.is_empty());
    rig.tell_publishers(Some("CAM-1"));
    rig.tell_publishers(Some("CAM-1"));
    client.quic.set_max_concurrent_streams(Dir::Uni, VarInt::from_u32(4));
    rig.until(&mut client, "news", |_, client| news(client, flow) == 1);
    assert_eq!(client.streams.len(), 1, "one tells of all that happened");
}
