//! A viewer whose connection carries less than the stream.

use sightline_relay_proto::hub::{PLENTY, SHORTAGE};
use socket2::SockRef;

use super::*;

/// Time between two pictures.
const STEP: Duration = Duration::from_millis(100);
/// Pictures from one keyframe to the next.
const GROUP: u16 = 10;
/// Bytes of a picture.
const BYTES: usize = 30_000;
/// Bytes that a slow reader takes between two pictures.
const LITTLE: usize = 10_000;
/// Buffers of the kernel at both ends, bytes: little against what the steps take.
const BUFFER: usize = 32 * 1024;
/// Steps until a viewer's level follows from what its connection does, and some more.
const DOWN: usize = 2 * SHORTAGE.as_millis().div_ceil(STEP.as_millis()) as usize + 30;
const UP: usize = 2 * PLENTY.as_millis().div_ceil(STEP.as_millis()) as usize;
/// Steps that are looked at then.
const LOOKED_AT: usize = 3 * GROUP as usize;

struct Stage {
    harness: Harness,
    camera: Client,
    viewer: Client,
    number: u16,
}

impl Stage {
    fn new() -> Self {
        let mut harness = Harness::new();
        let mut camera = harness.camera();
        camera.send_picture(0, BYTES);
        let mut viewer = harness.viewer("v", TCP);
        assert_eq!(viewer.ask(&mut harness, "PLAY", "", "", ""), 200);
        SockRef::from(&viewer.tcp).set_recv_buffer_size(BUFFER).unwrap();
        for (_, peer) in harness.port.peers.iter().filter(|(_, peer)| peer.viewer().is_some()) {
            SockRef::from(&peer.wire.tcp).set_send_buffer_size(BUFFER).unwrap();
        }
        Self { harness, camera, viewer, number: 0 }
    }

    /// Sends a picture, and lets the viewer take some bytes; keyframes and other pictures that it has
    /// got.
    fn step(&mut self, bytes: usize) -> (usize, usize) {
        self.harness.skew += STEP;
        self.number += 1;
        let mut packet = picture(self.number, BYTES);
        if !self.number.is_multiple_of(GROUP) {
            packet[rtp::HEADER_LEN] = 0x41;
        }
        self.camera.send_packet(&packet);
        let mut left = bytes;
        let mut buffer = vec![0; LITTLE];
        for _ in 0..8 {
            self.harness.turn();
            let wanted = left.min(buffer.len());
            if let Ok(len) = self.viewer.tcp.read(&mut buffer[..wanted]) {
                self.viewer.received.extend_from_slice(&buffer[..len]);
                left -= len;
            }
        }
        let mut got = (0, 0);
        while let Some((channel, packet)) = self.viewer.frame() {
            let ends = channel == 0 && rtp::parse(&packet).is_some_and(|header| header.marker);
            match nal_type(&packet) {
                5 if ends => got.0 += 1,
                _ if ends => got.1 += 1,
                // In the midst of a picture, or a report.
                _ => {}
            }
        }
        got
    }

    fn steps(&mut self, count: usize, bytes: usize) -> (usize, usize) {
        (0..count).map(|_| self.step(bytes)).fold((0, 0), |sum, got| (sum.0 + got.0, sum.1 + got.1))
    }
}

/// Of a packet that holds all or a fragment of one (RFC 6184, 5.6 and 5.8).
fn nal_type(packet: &[u8]) -> u8 {
    let payload = &packet[rtp::HEADER_LEN..];
    let at = usize::from(payload[0] & 0x1f == 28);
    payload[at] & 0x1f
}

#[test]
fn a_reader_slower_than_the_stream_gets_keyframes_alone_and_all_once_it_keeps_up() {
    let mut stage = Stage::new();
    let (keys, others) = stage.steps(LOOKED_AT, usize::MAX);
    assert!(keys >= 2 && others >= 2 * usize::from(GROUP), "{keys} and {others} at first");
    stage.steps(DOWN, LITTLE);
    let (keys, others) = stage.steps(LOOKED_AT, LITTLE);
    assert!(keys >= 2 && others == 0, "{keys} and {others} over a narrow connection");
    stage.steps(UP, usize::MAX);
    let (keys, others) = stage.steps(LOOKED_AT, usize::MAX);
    assert!(keys >= 2 && others >= 2 * usize::from(GROUP), "{keys} and {others} at the end");
}
