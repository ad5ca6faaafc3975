//! Whole frames: what is authenticated together is what one packet after the other would be.

use std::net::SocketAddr;

use sha1_lanes::{LANES, Unit};

use super::*;
use crate::transmit::Arena;

const TO: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9);

/// Without a vector unit, and with each that the machine has.
fn units() -> impl Iterator<Item = Option<Unit>> {
    [None].into_iter().chain(Unit::all().map(Some))
}

fn sender(unit: Option<Unit>, profile: Profile) -> (SrtpSender, OutSource) {
    let (key, salt) = (vec![7; profile.key_len()], vec![9; profile.salt_len()]);
    let mut sender = SrtpSender::new(Keys::derive_for(unit, profile, &key, &salt).unwrap());
    let source = sender.add_source(42);
    (sender, source)
}

/// Number, header and payload of packets of different lengths.
fn packets(count: usize, first: u16) -> Vec<(u16, Vec<u8>, Vec<u8>)> {
    let packet = |at: usize| {
        let seq = first.wrapping_add(at as u16);
        let mut head = header(96, at + 1 == count, seq, 3000, 42).to_vec();
        if at == 0 {
            head[0] |= 0x10;
            head.extend_from_slice(&[0xbe, 0xde, 0, 1, 0x12, 0, 0, 40]);
        }
        let len = if at.is_multiple_of(3) { 1188 } else { (at * 337 + count * 61) % 1188 };
        (seq, head, (0..len).map(|byte| (byte * 7 + at) as u8).collect())
    };
    (0..count).map(packet).collect()
}

/// The datagrams of an arena, whose runs are of any shape.
fn datagrams(arena: &Arena) -> Vec<Vec<u8>> {
    arena.runs().flat_map(|(run, bytes)| bytes.chunks(run.segment).map(<[u8]>::to_vec)).collect()
}

#[test]
fn a_known_sha1_packet_comes_out_in_every_lane_of_every_unit() {
    let key = unhex("e1f97a0d3e018be0d64fa32c06de4139");
    let salt = unhex("0ec675ad498afeebb6960b3aabe6");
    let expected =
        unhex("800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb");
    for unit in units() {
        let keys = Keys::derive_for(unit, Profile::Aes128CmSha1, &key, &salt).unwrap();
        let (mut arena, mut lanes) = (Arena::default(), Vec::new());
        for _ in 0..LANES {
            let packet = plain(&expected[..12], &[], &[0xab; 16]);
            let start = arena.len();
            arena.push_sized(TO, expected.len(), |out| {
                keys.rtp.encrypt_rtp(packet, 0xcafe_babe, 0x1234, out)
            });
            lanes.push(auth::Untagged { start, end: start + 28, index: 0x1234 });
        }
        keys.rtp.auth().unwrap().tag_all(arena.bytes_mut(), &lanes);
        assert_eq!(datagrams(&arena), vec![expected.clone(); LANES], "{unit:?}");
    }
}

#[test]
fn a_frame_is_what_its_packets_are_one_by_one() {
    for profile in PROFILES {
        for unit in units() {
            let (mut together, source) = sender(unit, profile);
            let (mut single, _) = sender(None, profile);
            let (_, mut receiver) = pair(profile);
            // Beyond the wrap, so that the rollover counter counts.
            let mut first = 65_000u16;
            for count in 0..=2 * LANES + 8 {
                let mut arena = Arena::default();
                let mut expected = Vec::new();
                let mut frame = together.begin_frame(source, TO, &mut arena);
                let packets = packets(count, first);
                for (seq, head, body) in &packets {
                    frame.push(*seq, plain(head, &[], body));
                    let packet = plain(head, &[], body);
                    expected.push(single.sealed(source, Sending::First, *seq, packet).unwrap());
                }
                drop(frame);
                assert_eq!(datagrams(&arena), expected, "{profile:?} {unit:?} {count} packets");
                for (packet, (_, head, body)) in expected.iter().zip(&packets) {
                    let mut opened = Vec::new();
                    assert!(receiver.open_rtp(packet, &mut opened));
                    assert_eq!(opened, [&head[..], body].concat());
                }
                first = first.wrapping_add(count as u16);
            }
        }
    }
}

#[test]
fn a_number_used_before_gets_nothing_into_the_frame() {
    for profile in PROFILES {
        for unit in units() {
            let (mut sender, source) = sender(unit, profile);
            let (_, mut receiver) = pair(profile);
            let mut arena = Arena::default();
            let mut frame = sender.begin_frame(source, TO, &mut arena);
            let packets = packets(LANES, 10);
            for (seq, head, body) in &packets {
                frame.push(*seq, plain(head, &[], body));
                frame.push(*seq, plain(head, &[], b"another packet"));
            }
            frame.push(9, plain(&header(96, false, 9, 3000, 42), &[], b"late"));
            drop(frame);
            let sent = datagrams(&arena);
            assert_eq!(sent.len(), LANES);
            let mut opened = Vec::new();
            for (packet, (_, _, body)) in sent.iter().zip(&packets) {
                assert!(receiver.open_rtp(packet, &mut opened));
                assert!(opened.ends_with(body));
            }
        }
    }
}
