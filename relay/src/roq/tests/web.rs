//! Browsers: getting in, what they get, and how it ends.

use std::time::{Duration, Instant};

use quinn_proto::{StreamId, TransportConfig};
use sightline_relay_proto::gop_stream::{Item, Reader};
use sightline_relay_proto::hub::PublisherId;
use sightline_relay_proto::limits::MAX_LAG;
use sightline_relay_proto::wire::varint;
use web_transport_proto::{Capsule, ConnectRequest, ConnectResponse, Frame};

use super::rig::{Client, Identity, Rig};
use super::{AUDIO, Source, VIDEO, local_publisher, narrow, push, unit};
use crate::api::SessionId;
use crate::port::{CloseReason, PeerId};
use crate::roq::sessions::parse_server_name;
use crate::roq::web::h3;

/// A rig with a live stream of one keyframe, and the path of its admitted viewer.
fn live() -> (Rig, PublisherId, Source, String) {
    let mut rig = Rig::new();
    let publisher = local_publisher(&mut rig);
    let mut video = Source::video();
    let key = video.packets(&unit(true, 5000), 3000);
    push(&mut rig, publisher, VIDEO, key);
    let path = rig.view_web().expect("live").path.into_inner();
    (rig, publisher, video, path)
}

fn request(path: &str) -> Vec<u8> {
    let url = url::Url::parse(&format!("https://relay.test{path}")).expect("a URL");
    let mut out = Vec::new();
    ConnectRequest::new(url).encode(&mut out).expect("a request");
    out
}

/// Connects, says its settings and asks for `path`; the stream of the request.
pub(super) fn ask(rig: &mut Rig, path: &str, transport: TransportConfig) -> (Client, StreamId) {
    let mut client = rig.connect_web(transport);
    rig.until(&mut client, "the handshake", |_, client| client.connected);
    client.send_stream(&h3::settings(), false);
    let stream = client.request(&request(path));
    (client, stream)
}

pub(super) fn enter(rig: &mut Rig, path: &str) -> (Client, StreamId) {
    let (mut client, stream) = ask(rig, path, TransportConfig::default());
    rig.until(&mut client, "the answer", |_, client| client.streams.contains_key(&stream));
    let answer = ConnectResponse::decode(&mut &client.streams[&stream][..]);
    assert!(answer.is_ok(), "{answer:?}");
    (client, stream)
}

/// Items of each of the session's streams, in the order of the streams.
fn streams(client: &Client) -> Vec<Vec<Item>> {
    let mut streams: Vec<_> = client.streams.iter().collect();
    streams.sort_unstable_by_key(|(stream, _)| **stream);
    let items = |bytes: &Vec<u8>| {
        let (kind, at) = varint::read(bytes)?;
        let (_session, used) = varint::read(&bytes[at..]).filter(|_| kind == 0x54)?;
        let mut reader = Reader::default();
        reader.push(&bytes[at + used..]);
        Some(std::iter::from_fn(|| reader.poll_item().expect("the format")).collect())
    };
    streams.into_iter().filter_map(|(_, bytes)| items(bytes)).collect()
}

pub(super) fn pictures(client: &Client) -> Vec<Vec<Item>> {
    let video = |items: &Vec<Item>| items.iter().any(|item| item.track == VIDEO);
    streams(client).into_iter().filter(video).collect()
}

#[test]
fn a_ticket_opens_a_stream_for_each_group_of_pictures_and_one_for_the_sound() {
    let (mut rig, publisher, mut video, path) = live();
    let (mut client, _) = enter(&mut rig, &path);
    let mut audio = Source::audio();
    for number in 1..9 {
        let frame = video.packets(&unit(number % 3 == 0, 3000), 3000);
        push(&mut rig, publisher, VIDEO, frame);
        let sound = audio.packets(&bytes::Bytes::from(vec![9; 160]), 160);
        push(&mut rig, publisher, AUDIO, sound);
    }
    let count = |client: &Client| streams(client).iter().map(Vec::len).sum::<usize>();
    rig.until(&mut client, "all frames", |_, client| count(client) >= 9 + 7);
    let pictures = pictures(&client);
    assert_eq!(pictures.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 3]);
    for group in &pictures {
        let keyframes: Vec<_> = group.iter().map(|item| item.keyframe).collect();
        assert_eq!(keyframes, [true, false, false]);
        assert!(group.windows(2).all(|pair| pair[0].sequence < pair[1].sequence));
        let steps = group.windows(2).map(|pair| pair[1].media_time.0 - pair[0].media_time.0);
        assert!(steps.into_iter().all(|step| step == 3000));
    }
    assert_eq!(pictures[1][0].payload, unit(true, 3000));
    assert_eq!(pictures[1][1].payload, unit(false, 3000));
    let sound = |items: &Vec<Item>| items.iter().all(|item| item.track == AUDIO);
    let sounds: Vec<_> = streams(&client).into_iter().filter(sound).collect();
    assert_eq!(sounds.len(), 1);
    assert_eq!(sounds[0][0].payload[..], [9; 160]);
    assert!(client.resets.is_empty());
    assert_eq!((client.lost, rig.directory.subscribers.len()), (None, 1));
}

/// Status of the answer on a request's stream.
pub(super) fn status(client: &Client, stream: StreamId) -> Option<String> {
    let bytes = client.streams.get(&stream)?;
    match ConnectResponse::decode(&mut &bytes[..]) {
        Err(web_transport_proto::ConnectError::WrongStatus(status)) => {
            status.map(|status| status.as_u16().to_string())
        }
        other => Some(format!("{other:?}")),
    }
}

#[test]
fn what_is_no_fresh_ticket_is_refused_and_the_connection_ends() {
    let (mut rig, _, _, path) = live();
    let (_watching, _) = enter(&mut rig, &path);
    let roq = rig.view(Identity::p256().thumbprint).expect("live");
    let name = parse_server_name(&roq.server_name).expect("of a session");
    for (path, expected) in [
        (path.as_str(), "403"),
        (&h3::path(name), "403"),
        (&h3::path(SessionId(12345)), "403"),
        ("/v1/live", "403"),
        ("/v1/other", "404"),
    ] {
        let (mut client, stream) = ask(&mut rig, path, TransportConfig::default());
        rig.until(&mut client, "refusal", |_, client| client.lost.is_some());
        assert_eq!(status(&client, stream).as_deref(), Some(expected), "{path}");
        assert_eq!(client.close_code().map(|close| close.0), Some(0x100));
        assert!(streams(&client).is_empty());
    }
    assert_eq!(rig.directory.subscribers.len(), 1, "the first one still watches");
}

#[test]
fn the_end_of_the_permission_is_told_and_takes_back_what_is_on_its_way() {
    let (mut rig, publisher, mut video, path) = live();
    let (mut client, stream) = enter(&mut rig, &path);
    rig.until(&mut client, "media", |_, client| !pictures(client).is_empty());
    for _ in 0..20 {
        let frame = video.packets(&unit(false, 50_000), 3000);
        push(&mut rig, publisher, VIDEO, frame);
    }
    rig.close(PeerId(1), CloseReason::LeaseEnded);
    assert_eq!((rig.directory.leases.len(), rig.directory.subscribers.len()), (0, 0));
    rig.until(&mut client, "the close", |_, client| client.lost.is_some());
    let mut rest = &client.streams[&stream][..];
    ConnectResponse::decode(&mut rest).expect("the answer came first");
    let (frame, mut body) = Frame::read(&mut rest).expect("a frame");
    assert_eq!(frame, Frame::DATA);
    let reason = "the permission has ended".to_owned();
    let end = Capsule::CloseWebTransportSession { code: 1, reason };
    assert_eq!(Capsule::decode(&mut body).expect("a capsule"), end);
    assert_eq!(client.close_code().map(|close| close.0), Some(0x100));
    assert_eq!(pictures(&client).iter().map(Vec::len).sum::<usize>(), 1);
}

#[test]
fn a_viewer_that_leaves_ends_its_session() {
    let (mut rig, _, _, path) = live();
    let (mut client, stream) = enter(&mut rig, &path);
    client.quic.send_stream(stream).finish().expect("open");
    rig.until(&mut client, "the close", |_, client| client.lost.is_some());
    assert_eq!((rig.directory.leases.len(), rig.directory.subscribers.len()), (0, 0));
}

#[test]
fn a_viewer_that_lags_loses_the_rest_of_the_group_and_goes_on_at_a_keyframe() {
    let (mut rig, publisher, mut video, path) = live();
    let (mut client, _) = ask(&mut rig, &path, narrow());
    rig.until(&mut client, "entry", |rig, _| !rig.directory.subscribers.is_empty());
    client.deaf = true;
    for _ in 0..20 {
        let frame = video.packets(&unit(false, 100_000), 3000);
        push(&mut rig, publisher, VIDEO, frame);
    }
    let until = Instant::now() + Duration::from_millis(100);
    rig.until(&mut client, "blocked", |_, _| Instant::now() > until);
    rig.skip = MAX_LAG + Duration::from_millis(100);
    let key = video.packets(&unit(true, 6000), 3000);
    push(&mut rig, publisher, VIDEO, key);
    let until = Instant::now() + Duration::from_millis(100);
    rig.until(&mut client, "reset", |_, _| Instant::now() > until);
    client.deaf = false;
    rig.until(&mut client, "the next group", |_, client| {
        pictures(client).iter().flatten().any(|item| item.payload == unit(true, 6000))
            && !client.resets.is_empty()
    });
    let skipped = h3::SessionCode::Skipped.wire().into_inner();
    assert!(client.resets.iter().all(|code| *code == skipped));
    assert!(pictures(&client).iter().all(|group| group[0].keyframe));
    assert_eq!(client.lost, None);
}

#[test]
fn what_the_path_does_not_carry_in_time_is_given_up() {
    let (mut rig, publisher, mut video, path) = live();
    let (mut client, _) = enter(&mut rig, &path);
    rig.until(&mut client, "media", |_, client| !pictures(client).is_empty());
    // Nothing is acknowledged: the congestion window fills, the send window does not.
    for _ in 0..3 {
        let frame = video.packets(&unit(false, 100_000), 3000);
        push(&mut rig, publisher, VIDEO, frame);
    }
    rig.turn();
    rig.skip = MAX_LAG + Duration::from_millis(10);
    rig.turn();
    let key = video.packets(&unit(true, 6000), 3000);
    push(&mut rig, publisher, VIDEO, key);
    rig.until(&mut client, "the next group", |_, client| {
        pictures(client).iter().flatten().any(|item| item.payload == unit(true, 6000))
            && !client.resets.is_empty()
    });
    let skipped = h3::SessionCode::Skipped.wire().into_inner();
    assert_eq!(client.resets, [skipped]);
    assert_eq!(client.lost, None);
}

#[test]
fn nonsense_closes_the_connection_with_its_code() {
    let (mut rig, ..) = live();
    let cases: [(&[u8], &[u8], u64); 5] = [
        // A control stream that begins with DATA, a push stream, a second control stream.
        (&[0, 0, 0], &[], 0x10a),
        (&[1], &[], 0x103),
        (&h3::settings(), &h3::settings(), 0x103),
        // A request that is DATA, and one whose fields cannot be read: on the bidirectional stream.
        (&[], &[0, 1, 0], 0x105),
        (&[], &[1, 3, 0, 0, 0xff], 0x200),
    ];
    for (first, second, code) in cases {
        let mut client = rig.connect_web(TransportConfig::default());
        rig.until(&mut client, "the handshake", |_, client| client.connected);
        if first.is_empty() {
            client.request(second);
        } else {
            client.send_stream(first, false);
            if !second.is_empty() {
                client.send_stream(second, false);
            }
        }
        rig.until(&mut client, "the close", |_, client| client.lost.is_some());
        assert_eq!(client.close_code().map(|close| close.0), Some(code));
    }
    assert!(rig.directory.subscribers.is_empty());
}

#[test]
fn a_control_stream_that_ends_and_a_request_that_ends_early_are_errors() {
    let (mut rig, ..) = live();
    let mut client = rig.connect_web(TransportConfig::default());
    rig.until(&mut client, "the handshake", |_, client| client.connected);
    client.send_stream(&h3::settings(), true);
    rig.until(&mut client, "the close", |_, client| client.lost.is_some());
    assert_eq!(client.close_code().map(|close| close.0), Some(0x104));
    let mut client = rig.connect_web(TransportConfig::default());
    rig.until(&mut client, "the handshake", |_, client| client.connected);
    let stream = client.request(&[1]);
    client.quic.send_stream(stream).finish().expect("open");
    rig.until(&mut client, "the close", |_, client| client.lost.is_some());
    assert_eq!(client.close_code().map(|close| close.0), Some(0x10d));
}

#[test]
fn who_does_not_ask_in_time_is_sent_away() {
    let (mut rig, ..) = live();
    let mut client = rig.connect_web(TransportConfig::default());
    rig.until(&mut client, "the handshake", |_, client| client.connected);
    let until = Instant::now() + Duration::from_millis(50);
    rig.until(&mut client, "a while", |_, _| Instant::now() > until);
    assert_eq!(client.lost, None);
    rig.skip = Duration::from_secs(6);
    rig.until(&mut client, "the close", |_, client| client.lost.is_some());
    assert_eq!(client.close_code().map(|close| close.0), Some(0x10d));
}
