//! Viewers that allow us no streams: the picture comes in datagrams.

use quinn_proto::TransportConfig;

use super::*;
use crate::roq::tls::INITIAL_WINDOW;

fn without_streams() -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport.max_concurrent_uni_streams(VarInt::from_u32(0)).initial_mtu(1252);
    transport
}

/// RTP packets of a flow that came in datagrams, without sender reports.
fn packets(client: &rig::Client, flow: u64) -> Vec<Bytes> {
    let head = head(flow);
    let of_flow = client.datagrams.iter().filter(|datagram| datagram.starts_with(&head));
    let packets = of_flow.map(|datagram| datagram.slice(head.len()..));
    packets.filter(|packet| !rtp::is_rtcp(packet)).collect()
}

/// Bytes of payload in packets, whose numbers must follow one another.
fn payload_of_unbroken(packets: &[Bytes]) -> usize {
    let parsed = packets.iter().map(|packet| rtp::parse(packet).expect("RTP"));
    let numbers: Vec<u16> = parsed.map(|header| header.seq).collect();
    for pair in numbers.windows(2) {
        assert_eq!(pair[1], pair[0].wrapping_add(1));
    }
    packets.iter().map(|packet| packet.len() - rtp::HEADER_LEN).sum()
}

#[test]
fn a_viewer_without_streams_gets_pictures_sound_and_reports_in_datagrams() {
    let owner = Identity::p256();
    let (mut rig, publisher, mut video, session) = live(&owner);
    let [v, a] = [session.tracks[0].flow, session.tracks[1].flow];
    let mut client = rig.connect_to(&session.server_name, &owner, without_streams());
    let mut audio = Source::audio();
    rig.until(&mut client, "keyframe", |_, client| !packets(client, v).is_empty());
    for _ in 0..10 {
        let frame = video.packets(&unit(false, 3000), 3000);
        push(&mut rig, publisher, VIDEO, frame);
        let sound = audio.packets(&Bytes::from(vec![9; 160]), 160);
        push(&mut rig, publisher, AUDIO, sound);
    }
    rig.until(&mut client, "pictures, sound and a report", |_, client| {
        let marked = |packet: &Bytes| rtp::parse(packet).is_some_and(|header| header.marker);
        let pictures = packets(client, v).iter().filter(|packet| marked(packet)).count();
        let reports = client
            .datagrams
            .iter()
            .filter(|datagram| datagram.strip_prefix(&head(v)[..]).is_some_and(rtp::is_rtcp));
        pictures >= 11 && packets(client, a).len() >= 8 && reports.count() >= 1
    });
    assert!(payload_of_unbroken(&packets(&client, v)) > 5000 + 10 * 3000);
    assert!(client.streams.is_empty());
    assert_eq!(client.lost, None);
}

/// Longer than the queue of datagrams, and short enough for a socket's usual buffer.
const LONG: usize = 90_000;

#[test]
fn a_picture_longer_than_the_queue_of_datagrams_comes_whole() {
    let owner = Identity::p256();
    let (mut rig, publisher, mut video, session) = live(&owner);
    let flow = session.tracks[0].flow;
    let mut client = rig.connect_to(&session.server_name, &owner, without_streams());
    rig.until(&mut client, "keyframe", |_, client| !packets(client, flow).is_empty());
    for number in 1..=5 {
        let frame = video.packets(&unit(true, LONG), 3000);
        push(&mut rig, publisher, VIDEO, frame);
        rig.until(&mut client, &format!("picture {number}"), |_, client| {
            payload_of_unbroken(&packets(client, flow)) > number * LONG
        });
    }
    assert_eq!(client.lost, None);
}

#[test]
fn streams_that_are_allowed_later_are_used() {
    let owner = Identity::p256();
    let (mut rig, publisher, mut video, session) = live(&owner);
    let flow = session.tracks[0].flow;
    let mut client = rig.connect_to(&session.server_name, &owner, without_streams());
    rig.until(&mut client, "keyframe", |_, client| !packets(client, flow).is_empty());
    client.quic.set_max_concurrent_streams(Dir::Uni, VarInt::from_u32(16));
    rig.until(&mut client, "a picture on a stream", |rig, client| {
        let frame = video.packets(&unit(false, 3000), 3000);
        push(rig, publisher, VIDEO, frame);
        client.stream_flows().contains(&flow)
    });
}

#[test]
fn a_viewer_that_takes_neither_streams_nor_datagrams_is_told() {
    let owner = Identity::p256();
    let (mut rig, _, _, session) = live(&owner);
    let mut transport = without_streams();
    transport.datagram_receive_buffer_size(None);
    let mut client = rig.connect_to(&session.server_name, &owner, transport);
    rig.until(&mut client, "refusal", |_, client| client.lost.is_some());
    let reason = "no stream is allowed, and the path takes no datagram as long";
    assert_eq!(client.close_code(), Some((1, reason.to_owned())));
    assert_eq!((rig.directory.leases.len(), rig.directory.subscribers.len()), (0, 0));
}

#[test]
fn streams_that_only_the_viewer_may_open_change_nothing() {
    let owner = Identity::p256();
    let (mut rig, publisher, mut video, session) = live(&owner);
    let flow = session.tracks[0].flow;
    let mut client = rig.connect_to(&session.server_name, &owner, without_streams());
    rig.until(&mut client, "keyframe", |_, client| !packets(client, flow).is_empty());
    client.quic.set_max_concurrent_streams(Dir::Bi, VarInt::from_u32(1000));
    for number in 1..=5 {
        let frame = video.packets(&unit(false, 3000), 3000);
        push(&mut rig, publisher, VIDEO, frame);
        rig.until(&mut client, &format!("picture {number}"), |_, client| {
            payload_of_unbroken(&packets(client, flow)) > number * 3000
        });
    }
    assert!(client.streams.is_empty());
}

/// Who does not acknowledge gets what QUIC allows it and no more, and others all of theirs.
#[test]
fn a_silent_viewer_without_streams_changes_nobody_elses_delivery_and_gets_one_window() {
    let owner = Identity::p256();
    let (mut rig, publisher, mut video, session) = live(&owner);
    let flow = session.tracks[0].flow;
    let mut silent = rig.connect_to(&session.server_name, &owner, without_streams());
    rig.until(&mut silent, "connection", |rig, _| rig.directory.subscribers.len() == 1);
    let session = rig.view(owner.thumbprint).expect("live");
    let mut reader = rig.connect_to(&session.server_name, &owner, without_streams());
    rig.until(&mut reader, "connection", |rig, _| rig.directory.subscribers.len() == 2);
    for number in 1..=40 {
        let frame = video.packets(&unit(false, 20_000), 3000);
        push(&mut rig, publisher, VIDEO, frame);
        rig.until(&mut reader, &format!("picture {number}"), |_, reader| {
            payload_of_unbroken(&packets(reader, flow)) > number * 20_000
        });
    }
    silent.step();
    let got: usize = packets(&silent, flow).iter().map(Bytes::len).sum();
    // Less than the socket's usual buffer holds.
    assert!(got as u64 <= INITIAL_WINDOW, "{got} bytes");
    assert_eq!(reader.lost, None);
}

#[test]
fn all_viewers_of_a_stream_are_told_the_same_flows() {
    let (owner, other) = (Identity::p256(), Identity::ed25519());
    let (mut rig, _, _, session) = live(&owner);
    let second = rig.view(other.thumbprint).expect("live");
    let flows = |session: &RoqSession| session.tracks.iter().map(|t| t.flow).collect::<Vec<_>>();
    assert_eq!(flows(&session), flows(&second));
    assert_ne!(session.tracks[0].flow, session.tracks[1].flow);
}
