//! The steady path: what a frame costs for each further viewer, in allocations.

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
