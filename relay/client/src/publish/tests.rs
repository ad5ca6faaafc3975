use std::sync::Arc;

use quinn::{Endpoint, ServerConfig, VarInt};
use sightline_relay_proto::codec::TrackInfo;
use sightline_relay_proto::frame::CaptureTime;
use sightline_relay_proto::ids::{Channel, Tier, TrackIndex};
use sightline_relay_proto::wire::sealed::{
    Counter, Descriptor, Generation, Head, Header, KeyId, SerialHash,
};

use super::*;
use crate::identity::Identity;
use crate::quic::Roots;
use crate::watch::Viewer;
use crate::wire::{RoqSession, RoqTrack};

/// A QUIC server that trusts any client, with its address and a target for it.
fn server() -> (Endpoint, SessionTarget) {
    server_for(Mode::Open)
}

fn server_for(mode: Mode) -> (Endpoint, SessionTarget) {
    let names = vec!["*.roq.sightline.internal".to_owned()];
    let own = rcgen::generate_simple_self_signed(names).expect("a certificate");
    let certificate = own.cert.der().clone();
    let key = rustls_pki_types::PrivatePkcs8KeyDer::from(own.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key.into())
        .expect("a certificate");
    tls.alpn_protocols = vec![b"roq-12".to_vec()];
    let crypto = quinn::crypto::rustls::QuicServerConfig::try_from(tls).expect("QUIC");
    let any = "127.0.0.1:0".parse().expect("an address");
    let endpoint =
        Endpoint::server(ServerConfig::with_crypto(Arc::new(crypto)), any).expect("a port");
    let address = endpoint.local_addr().expect("bound");
    let infos = [TrackInfo::video(Codec::H264), TrackInfo::audio(Codec::Opus, 48_000, 2)];
    let track = |(at, info): (usize, &TrackInfo)| RoqTrack {
        flow: [70, 20_000][at],
        payload_type: 96 + at as u8,
        ssrc: 5,
        ..RoqTrack::announce(info)
    };
    let session = RoqSession {
        session: "s".into(),
        server_name: format!("{:032x}.roq.sightline.internal", 7),
        port: address.port(),
        tracks: infos.iter().enumerate().map(track).collect(),
        sealed: mode.is_sealed(),
    };
    let target = SessionTarget {
        server: address.ip(),
        session,
        roots: Roots::from_der([certificate]).expect("a root"),
        identity: Arc::new(Identity::generate_device().expect("a key")),
        endpoint: None,
    };
    (endpoint, target)
}

fn frame(at: u32, key: bool) -> Frame {
    let mut unit = Vec::new();
    if key {
        crate::annexb::push_unit(&mut unit, &[0x67, 0x42, 0xe0, 0x1f, 0xda, 0x01, 0x40, 0x16]);
        crate::annexb::push_unit(&mut unit, &[0x68, 0xce, 0x3c, 0x80]);
    }
    let slice = [&[if key { 0x65 } else { 0x41 }, 0x88][..], &[0x5a; 3000]].concat();
    crate::annexb::push_unit(&mut unit, &slice);
    Frame {
        track: TrackIndex(0),
        timestamp: at * 3000,
        captured: SystemTime::now(),
        ready: Instant::now(),
        keyframe: key,
        unit: unit.into(),
    }
}

fn sound(at: u32) -> Frame {
    Frame {
        track: TrackIndex(1),
        timestamp: at * 960,
        keyframe: true,
        unit: Bytes::from_static(&[0xfc, 1, 2, 3]),
        ..frame(at, true)
    }
}

async fn connected() -> (Connection, Publisher, Endpoint) {
    connected_for(Mode::Open).await
}

async fn connected_for(mode: Mode) -> (Connection, Publisher, Endpoint) {
    connected_telling(mode, &Told::default()).await
}

async fn connected_telling(mode: Mode, told: &Told) -> (Connection, Publisher, Endpoint) {
    let (endpoint, target) = server_for(mode);
    let accept = async { endpoint.accept().await.expect("a peer").await.expect("a handshake") };
    let (connection, publisher) = tokio::join!(accept, Publisher::connect(&target, told));
    (connection, publisher.expect("connected"), endpoint)
}

#[tokio::test]
async fn video_goes_on_a_stream_a_frame_and_audio_and_reports_in_datagrams() {
    let (connection, mut publisher, _endpoint) = connected().await;
    for at in 0..3 {
        assert_eq!(publisher.send(&frame(at, at == 0)).await.expect("open"), Outcome::Sent);
        assert_eq!(publisher.send(&sound(at)).await.expect("open"), Outcome::Sent);
    }
    for _ in 0..3 {
        let mut stream = connection.accept_uni().await.expect("a stream");
        let bytes = stream.read_to_end(10_000).await.expect("a frame");
        assert_eq!(varint::read(&bytes).map(|(flow, _)| flow), Some(70));
    }
    let (mut reports, mut audio) = (0, 0);
    while reports < 2 || audio < 3 {
        let datagram = connection.read_datagram().await.expect("a datagram");
        let (flow, at) = roq::parse_datagram(&datagram).expect("framed");
        let is_report = rtp::is_rtcp(&datagram[at..]);
        reports += usize::from(is_report);
        audio += usize::from(!is_report && flow == 20_000);
    }
    assert_eq!(publisher.stats().frames, 6);
}

#[tokio::test]
async fn a_picture_loss_indication_reaches_the_encoder() {
    let (connection, publisher, _endpoint) = connected().await;
    let mut requests = publisher.keyframe_requests();
    let mut pli = Vec::new();
    rtcp::write_pli(&mut pli, 1, 2);
    let mut out = Vec::new();
    write::datagram(70, &pli, &mut out);
    connection.send_datagram(out.into()).expect("room");
    requests.changed().await.expect("the reader lives");
    let mut stream = connection.open_uni().await.expect("credit");
    let mut out = vec![0x40, 70];
    write::stream_packet(&pli, &mut out);
    stream.write_all(&out).await.expect("room");
    stream.finish().expect("open");
    requests.changed().await.expect("the reader lives");
    assert_eq!(publisher.stats().keyframe_requests, 2);
}

#[tokio::test]
async fn a_frame_that_waited_too_long_is_dropped_up_to_the_next_keyframe() {
    let (_connection, mut publisher, _endpoint) = connected().await;
    let late = Instant::now() - MAX_QUEUED - Duration::from_millis(1);
    assert_eq!(publisher.send(&frame(0, true)).await.expect("open"), Outcome::Sent);
    let stale = Frame { ready: late, ..frame(1, false) };
    assert_eq!(publisher.send(&stale).await.expect("open"), Outcome::Dropped);
    assert_eq!(publisher.send(&frame(2, false)).await.expect("open"), Outcome::Dropped);
    assert_eq!(publisher.send(&sound(2)).await.expect("open"), Outcome::Sent);
    assert_eq!(publisher.send(&frame(3, true)).await.expect("open"), Outcome::Sent);
    assert_eq!(publisher.send(&frame(4, false)).await.expect("open"), Outcome::Sent);
    assert_eq!(publisher.stats().dropped, 2);
}

#[tokio::test]
async fn a_close_of_the_server_names_its_code_and_reason() {
    let (connection, mut publisher, _endpoint) = connected().await;
    connection.close(VarInt::from_u32(1), b"the session is for another key");
    publisher.connection.closed().await;
    let error = publisher.send(&frame(0, true)).await.expect_err("closed");
    assert!(error.ends_session());
    assert!(error.to_string().contains("another key"));
}

/// A sealed frame but for the cipher: filler that no key opens.
fn sealed_frame(track: TrackIndex, codec: Codec, len: usize) -> Bytes {
    let channel = Channel(0);
    let descriptor = Descriptor {
        keyframe: true,
        discardable: false,
        discontinuity: false,
        tier: Tier::Main,
        codec,
        track,
        channel,
        capture: CaptureTime(7),
        serial: SerialHash([9; 8]),
    };
    let key = KeyId { generation: Generation::FIRST, channel, track };
    let head = Head { descriptor, header: Header { key, counter: Counter::FIRST } };
    [&head.write()[..], &vec![0x5a; len]].concat().into()
}

#[tokio::test]
async fn in_a_sealed_session_sealed_frames_go_out_as_they_are_and_nothing_else_does() {
    let (connection, mut publisher, _endpoint) = connected_for(Mode::Sealed).await;
    let picture = sealed_frame(TrackIndex(0), Codec::H264, 3000);
    let heard = sealed_frame(TrackIndex(1), Codec::Opus, 100);
    for (frame, unit) in [(frame(0, true), &picture), (sound(0), &heard)] {
        let frame = Frame { unit: unit.clone(), ..frame };
        assert_eq!(publisher.send(&frame).await.expect("open"), Outcome::Sent);
    }
    let mut stream = connection.accept_uni().await.expect("a stream");
    let bytes = stream.read_to_end(10_000).await.expect("a frame");
    let mut receiver = roq::Receiver::new([(70, TrackIndex(0))]);
    receiver.handle_stream(Instant::now(), 0, bytes.into());
    let mut payloads = Vec::new();
    while let Some(received) = receiver.poll_packet() {
        let header = rtp::parse(&received.packet).expect("RTP");
        payloads.push((header.marker, received.packet.slice(header.payload)));
    }
    let markers: Vec<_> = payloads.iter().map(|(marker, _)| *marker).collect();
    assert_eq!(markers, [false, false, true]);
    let payloads: Vec<_> = payloads.into_iter().map(|(_, payload)| payload).collect();
    assert_eq!(sealed::join(&payloads), Ok(picture));
    let sound = loop {
        let datagram = connection.read_datagram().await.expect("a datagram");
        let (_, at) = roq::parse_datagram(&datagram).expect("framed");
        if !rtp::is_rtcp(&datagram[at..]) {
            break datagram.slice(at..);
        }
    };
    let header = rtp::parse(&sound).expect("RTP");
    assert!(header.marker);
    assert_eq!(sealed::join(&[sound.slice(header.payload)]), Ok(heard));

    let before = publisher.stats().bytes;
    let error = publisher.send(&frame(1, true)).await.expect_err("clear media");
    assert!(matches!(error, RoqError::NotSealed(_)), "{error}");
    assert_eq!(publisher.stats().bytes, before);
}

#[tokio::test]
async fn a_viewer_of_a_sealed_session_gets_the_frames_for_whoever_has_the_key() {
    let (endpoint, target) = server_for(Mode::Sealed);
    let accept = async { endpoint.accept().await.expect("a peer").await.expect("a handshake") };
    let (connection, viewer) = tokio::join!(accept, Viewer::connect(&target));
    let mut viewer = viewer.expect("connected");
    // A lower tier in the place of the main one: the clear part is of another track.
    let sent = sealed_frame(TrackIndex(2), Codec::H264, 3000);
    let payloads = sealed::cut(&sent).expect("a sealed frame");
    let last = payloads.len() - 1;
    let packet = |(at, payload): (usize, &Bytes)| {
        let head = rtp::header(96, at == last, at as u16, 9, 5);
        (Bytes::copy_from_slice(&head), payload.clone())
    };
    let packets = payloads.iter().enumerate().map(packet).collect();
    let mut stream = connection.open_uni().await.expect("credit");
    stream.write_all_chunks(&mut stream_chunks(70, packets)).await.expect("room");
    stream.finish().expect("open");
    let got = viewer.next().await.expect("open");
    assert_eq!((got.keyframe, got.captured), (true, Some(7)));
    assert_eq!(got.annexb(), None);
    let (head, frame) = got.sealed().expect("sealed");
    assert_eq!((head.descriptor.track, frame), (TrackIndex(2), sent));
}

#[tokio::test]
async fn a_viewer_orders_frames_of_streams_and_datagrams_and_counts_them() {
    let (endpoint, target) = server();
    let accept = async { endpoint.accept().await.expect("a peer").await.expect("a handshake") };
    let (connection, viewer) = tokio::join!(accept, Viewer::connect(&target));
    let mut viewer = viewer.expect("connected");
    let mut track = Track {
        flow: 70,
        payload_type: 96,
        codec: Codec::H264,
        clock_rate: 90_000,
        ssrc: 5,
        seq: 65_534,
        packets: 0,
        octets: 0,
        broken: false,
        reported: None,
        mode: Mode::Open,
    };
    let frames: Vec<_> = (0..4).map(|at| frame(at, at == 0)).collect();
    let cut: Vec<_> = frames.iter().map(|frame| track.packets(frame).expect("open")).collect();
    let mut got = Vec::new();
    // The third frame comes in datagrams, before the second; the fourth on a stream again.
    for at in [0, 2, 1, 3] {
        if at == 2 {
            assert!(send_datagrams(&connection, 70, &cut[2]).expect("open"));
            continue;
        }
        let mut stream = connection.open_uni().await.expect("credit");
        stream.write_all_chunks(&mut stream_chunks(70, cut[at].clone())).await.expect("room");
        stream.finish().expect("open");
        if at == 0 {
            got.push(viewer.next().await.expect("open"));
        }
    }
    while got.len() < 4 {
        got.push(viewer.next().await.expect("open"));
    }
    assert!(got[0].keyframe && got.iter().all(|frame| frame.payloads.len() > 1));
    assert!(got.windows(2).all(|pair| pair[1].media_time == pair[0].media_time + 3000));
    assert_eq!(got[1].annexb().expect("H.264"), frames[1].unit);
    let stats = viewer.stats();
    assert!(stats.first_frame.is_some() && stats.gaps == 0 && stats.keyframes == 1);
}

#[tokio::test]
async fn each_connection_waits_until_it_is_ready_and_what_waited_meanwhile_is_lost() {
    let (endpoint, target) = server();
    let (frames, queued) = tokio::sync::mpsc::channel(8);
    let tracks = vec![TrackInfo::video(Codec::H264)];
    let source = MediaSource::Encoder { tracks, frames: queued };
    let (asked, mut asking) = tokio::sync::mpsc::channel(1);
    let ready = async || {
        let (done, wait) = tokio::sync::oneshot::channel();
        asked.send(done).await.expect("the test lives");
        wait.await.expect("the test answers");
    };
    let stop = CancellationToken::new();
    let (keyframes, wanted) = watch::channel(0);
    let open = || async { Ok::<_, String>(target.clone()) };
    let run = run(source, open, ready, (keyframes, Told::default()), stop.clone());
    let test = async {
        for round in 0..2 {
            let peer = endpoint.accept().await.expect("a peer").await.expect("a handshake");
            let done = asking.recv().await.expect("asked with each connection");
            frames.send(frame(10 * round, true)).await.expect("room");
            let early = tokio::time::timeout(Duration::from_millis(50), peer.accept_uni()).await;
            assert!(early.is_err(), "nothing leaves before it is ready");
            done.send(()).expect("it waits");
            while *wanted.borrow() <= u64::from(round) {
                tokio::task::yield_now().await;
            }
            frames.send(frame(10 * round + 1, true)).await.expect("room");
            let mut stream = peer.accept_uni().await.expect("a stream");
            let bytes = stream.read_to_end(10_000).await.expect("a frame");
            assert!(!bytes.is_empty());
            assert_eq!(*wanted.borrow(), u64::from(round) + 1, "a keyframe is asked for");
            peer.close(VarInt::from_u32(0), b"gone");
        }
        stop.cancel();
    };
    let (sent, ()) = tokio::join!(run, test);
    assert_eq!(sent.frames, 2, "one of each connection");
}

#[tokio::test]
async fn what_the_server_tells_of_the_device_is_heard_until_the_connection_ends() {
    let told = Told::default();
    let (connection, publisher, _endpoint) = connected_telling(Mode::Open, &told).await;
    let tell = async || {
        let mut packet = Vec::new();
        rtcp::write_app(&mut packet, 1, rtcp::DEVICE_NEWS);
        let mut bytes = Vec::new();
        varint::write(70, &mut bytes);
        write::stream_packet(&packet, &mut bytes);
        let mut stream = connection.open_uni().await.expect("a stream");
        stream.write_all(&bytes).await.expect("room");
        stream.finish().expect("open");
    };
    tell().await;
    told.until(|times| *times == Some(0)).await;
    tell().await;
    told.until(|times| *times == Some(1)).await;
    drop(publisher);
    told.until(|times| times.is_none()).await;
}
