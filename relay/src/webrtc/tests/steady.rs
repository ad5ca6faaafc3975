//! The steady path: what further viewers and further packets of a frame cost, and what a viewer
//! that does not read costs the others.

use std::time::Duration;

use sightline_relay_proto::codec::{Codec, TrackInfo};
use sightline_relay_proto::hub::PublisherId;
use sightline_relay_proto::ids::TrackIndex;
use sightline_relay_proto::wire::rtp;

use super::client::Client;
use super::rig::Rig;
use crate::allocations::allocations;

/// Frames that are counted.
const FRAMES: u16 = 50;
/// Frames before, in which buffers grow to their size.
const WARM_UP: u16 = 20;
/// Packets of a frame: one chunk.
const PACKETS: u16 = 8;
/// Turns of the worker for each frame, so that every run makes the same number of them.
const TURNS: usize = 3;
const TURN: Duration = Duration::from_millis(2);

fn rig() -> Rig {
    Rig::new("127.0.0.1".parse().expect("an address"))
}

/// A rig with a live stream and connected viewers.
fn watched(viewers: usize) -> (Rig, PublisherId, Vec<Client>) {
    let mut rig = rig();
    let publisher = rig.go_live(vec![TrackInfo::video(Codec::H264)]);
    let clients = (0..viewers).map(|_| view(&mut rig, "")).collect();
    (rig, publisher, clients)
}

fn view(rig: &mut Rig, lines: &str) -> Client {
    let mut client = Client::new(rig.port.local_addr());
    let answer = rig.view(&client.offer("recvonly", lines)).expect("admitted");
    let before = rig.hub.stats().subscribers;
    client.connect(&answer.sdp, || rig.turn(TURN));
    for _ in 0..1000 {
        if rig.hub.stats().subscribers > before {
            return client;
        }
        rig.turn(TURN);
    }
    panic!("the viewer is not served");
}

/// Puts a keyframe into the hub.
fn push(rig: &mut Rig, publisher: PublisherId, track: u8, number: u16, packets: u16) {
    for at in 0..packets {
        let edge = u8::from(at == 0) << 7 | u8::from(at + 1 == packets) << 6;
        // A fragment is never the whole (RFC 6184, 5.8).
        let head = if packets == 1 { [0x65, 0x88, 0x84] } else { [0x7c, edge | 5, 0x88] };
        let seq = number * packets + at;
        let timestamp = u32::from(number) * 3600;
        let mut packet = rtp::header(96, at + 1 == packets, seq, timestamp, 5).to_vec();
        packet.extend_from_slice(&head);
        packet.resize(1012, 0x5a);
        rig.hub.handle_rtp(rig.now(), publisher, TrackIndex(track), packet.into());
    }
}

/// Allocations of the worker's turns while frames go to so many viewers.
fn steady(viewers: usize) -> u64 {
    let (mut rig, publisher, mut clients) = watched(viewers);
    let mut counted = 0;
    for number in 1..=WARM_UP + FRAMES {
        push(&mut rig, publisher, 0, number, PACKETS);
        let before = allocations();
        for _ in 0..TURNS {
            rig.turn(TURN);
        }
        if number > WARM_UP {
            counted += allocations() - before;
        }
        clients.iter_mut().for_each(Client::read);
    }
    let whole = usize::from(PACKETS) * usize::from(FRAMES);
    assert!(clients.iter().all(|client| client.packets.len() >= whole));
    counted
}

#[test]
fn a_further_viewer_costs_no_allocation_per_frame() {
    let (few, many) = (steady(2), steady(12));
    let per_viewer_frame = many.saturating_sub(few) as f64 / (10.0 * f64::from(FRAMES));
    // Reports once a second are not part of the path.
    assert!(per_viewer_frame < 0.1, "{few} allocations for 2 viewers, {many} for 12");
}

/// Allocations of the worker's turns while a publisher sends frames of so many packets.
fn taken_in(packets: u16) -> u64 {
    let mut rig = rig();
    let mut camera = Client::new(rig.port.local_addr());
    let answer = rig.publish(&camera.offer("sendonly", ""), false).expect("admitted");
    camera.connect(&answer.sdp, || rig.turn(TURN));
    let mut counted = 0;
    for number in 0..WARM_UP + FRAMES {
        camera.send_frame(number * packets, u32::from(number) * 3600, packets);
        let before = allocations();
        for _ in 0..TURNS {
            rig.turn(TURN);
        }
        if number >= WARM_UP {
            counted += allocations() - before;
        }
        camera.read();
    }
    assert!(rig.hub.stats().frames_in >= u64::from(FRAMES), "{:?}", rig.hub.stats());
    counted
}

#[test]
fn a_further_packet_of_a_publishers_frame_costs_no_allocation() {
    let (few, many) = (taken_in(4), taken_in(14));
    let per_packet = many.saturating_sub(few) as f64 / (10.0 * f64::from(FRAMES));
    // Lists of a frame's packets grow by doubling.
    assert!(per_packet < 0.3, "{few} allocations with 4 packets a frame, {many} with 14");
}

#[test]
fn a_viewer_that_stops_reading_never_changes_anothers_delivery() {
    let (mut rig, publisher, mut clients) = watched(2);
    // The first one's socket overflows; the second gets each frame in the turn that it came in.
    for number in 1..=600 {
        push(&mut rig, publisher, 0, number, PACKETS);
        rig.turn(Duration::ZERO);
        let reader = &mut clients[1];
        reader.packets.clear();
        reader.read();
        assert_eq!(reader.packets.len(), usize::from(PACKETS), "frame {number}");
    }
    clients[0].read();
    let got = clients[0].packets.len();
    assert!(got > 0 && got < 600 * usize::from(PACKETS), "its socket was full: {got}");
    assert_eq!(rig.hub.stats().skips, 0);
}
