//! The steady path: what further viewers and further packets of a frame cost, in allocations, and
//! what a viewer that does not read costs the others.

use super::*;
use crate::allocations::allocations;

/// Frames that are counted.
const FRAMES: u16 = 50;
/// Frames before, in which buffers grow to their size.
const WARM_UP: u16 = 20;
/// Bytes of a frame: several packets.
const BYTES: usize = 6000;
/// Turns of the worker for each frame, so that every run makes the same number of them.
const TURNS: usize = 3;

/// Allocations of the worker's turns while frames go to so many viewers, over UDP and TCP.
fn steady(viewers: usize) -> u64 {
    let mut harness = Harness::new();
    let mut camera = harness.camera();
    camera.send_picture(1, BYTES);
    let sockets: Vec<_> = (0..viewers).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    let mut playing = Vec::new();
    for (number, socket) in sockets.iter().enumerate() {
        let port = socket.local_addr().unwrap().port();
        let transport = match number % 2 {
            0 => format!("Transport: RTP/AVP;unicast;client_port={port}-{}\r\n", port ^ 1),
            _ => TCP.to_owned(),
        };
        let mut viewer = harness.viewer(&format!("v{number}"), &transport);
        assert_eq!(viewer.ask(&mut harness, "PLAY", "", "", ""), 200);
        playing.push(viewer);
    }
    let mut counted = 0;
    let mut rubbish = [0; 64 * 1024];
    for number in 2..2 + WARM_UP + FRAMES {
        camera.send_picture(number, BYTES);
        let before = allocations();
        for _ in 0..TURNS {
            harness.turn();
        }
        if number >= 2 + WARM_UP {
            counted += allocations() - before;
        }
        for viewer in &mut playing {
            while viewer.tcp.read(&mut rubbish).is_ok_and(|len| len > 0) {}
        }
    }
    let sent = harness.hub.stats().frames_out;
    assert!(sent >= u64::from(FRAMES) * viewers as u64, "{sent} frames went out");
    counted
}

#[test]
fn a_further_viewer_costs_no_allocation_per_frame() {
    let (few, many) = (steady(2), steady(22));
    let per_viewer_frame = many.saturating_sub(few) as f64 / (20.0 * f64::from(FRAMES));
    // Reports once a second are not part of the path.
    assert!(per_viewer_frame < 0.1, "{few} allocations for 2 viewers, {many} for 22");
}

/// Sends a keyframe of so many fragments (FU-A; RFC 6184, 5.8) by one write.
fn send_fragments(camera: &mut Client, number: u16, packets: u16) {
    let mut out = Vec::new();
    for at in 0..packets {
        let edge = u8::from(at == 0) << 7 | u8::from(at + 1 == packets) << 6;
        let header =
            rtp::header(96, at + 1 == packets, number * packets + at, u32::from(number) * 3000, 5);
        out.extend_from_slice(&[b'$', 0]);
        out.extend_from_slice(&1012_u16.to_be_bytes());
        out.extend_from_slice(&header);
        out.extend_from_slice(&[0x7c, edge | 5, 0x88]);
        out.resize(out.len() + 997, 0x5a);
    }
    camera.tcp.write_all(&out).unwrap();
}

/// Allocations of the worker's turns while a camera sends frames of so many packets.
fn taken_in(packets: u16) -> u64 {
    let mut harness = Harness::new();
    let mut camera = harness.camera();
    let mut counted = 0;
    for number in 0..WARM_UP + FRAMES {
        send_fragments(&mut camera, number, packets);
        let before = allocations();
        for _ in 0..TURNS {
            harness.turn();
        }
        if number >= WARM_UP {
            counted += allocations() - before;
        }
    }
    for _ in 0..TURNS * 20 {
        harness.turn();
    }
    assert_eq!(harness.hub.stats().frames_in, u64::from(WARM_UP + FRAMES));
    counted
}

#[test]
fn a_further_packet_of_a_cameras_frame_costs_no_allocation() {
    let (few, many) = (taken_in(4), taken_in(14));
    let per_packet = many.saturating_sub(few) as f64 / (10.0 * f64::from(FRAMES));
    // Lists of a frame's packets grow by doubling.
    assert!(per_packet < 0.3, "{few} allocations with 4 packets a frame, {many} with 14");
}

#[test]
fn a_viewer_that_stops_reading_never_changes_anothers_delivery() {
    let mut harness = Harness::new();
    let mut camera = harness.camera();
    camera.send_picture(1, BYTES);
    let mut stalled = harness.viewer("stalled", TCP);
    socket2::SockRef::from(&stalled.tcp).set_recv_buffer_size(4096).unwrap();
    let mut reader = harness.viewer("reader", TCP);
    for viewer in [&mut stalled, &mut reader] {
        assert_eq!(viewer.ask(&mut harness, "PLAY", "", "", ""), 200);
    }
    let mut blocked_for = 0;
    let mut number = 2;
    while blocked_for < FRAMES {
        camera.send_picture(number, 60_000);
        // Whole before the next one is pushed, whoever is stalled beside it.
        until(&mut harness, |_| {
            reader.read();
            reader.received.len() > 60_000
        });
        reader.received.clear();
        blocked_for += u16::from(harness.port.peers.iter().any(|(_, peer)| peer.drain.is_full()));
        number += 1;
        assert!(number < 2000, "the socket never fills");
    }
    assert!(harness.hub.stats().frames_out > u64::from(number));
}
