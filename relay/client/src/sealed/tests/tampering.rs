//! A relay that changes, swaps or repeats: it is noticed, and nothing is shown.

use super::*;
use crate::sframe::{Header, Parts};

#[test]
fn a_flipped_bit_anywhere_in_a_frame_is_noticed() {
    let mut world = World::new("CAM-1");
    let sealed = world.seal(&video(true), b"an access unit");
    for at in 0..sealed.len() {
        for bit in 0..8 {
            let mut changed = sealed.clone();
            changed[at] ^= 1 << bit;
            assert!(world.open(&changed).is_err(), "byte {at}, bit {bit}");
        }
    }
    for len in 0..sealed.len() {
        assert!(world.open(&sealed[..len]).is_err(), "cut to {len}");
    }
    assert!(world.open(&[&sealed[..], &[0]].concat()).is_err());
    // None of it kept the honest frame from opening.
    assert!(world.open(&sealed).is_ok());
}

#[test]
fn each_way_of_tampering_has_its_name() {
    let mut world = World::new("CAM-1");
    let sealed = world.seal(&video(true), b"an access unit");
    let mut changed = |at: usize, mask: u8| {
        let mut frame = sealed.clone();
        frame[at] ^= mask;
        world.open(&frame).expect_err("a changed frame")
    };
    assert_eq!(changed(0, 3), FrameError::Malformed, "version");
    assert_eq!(changed(1, 0x10), FrameError::Malformed, "an unknown flag");
    assert_eq!(changed(1, 0x01), FrameError::Tampered, "the keyframe flag");
    assert_eq!(changed(1, 0x08), FrameError::Tampered, "the tier");
    assert_eq!(changed(2, 0x08), FrameError::Malformed, "an unknown codec");
    assert_eq!(changed(2, 0x03), FrameError::Tampered, "another codec");
    assert_eq!(changed(3, 1), FrameError::Malformed, "a track that is not the key's");
    assert_eq!(changed(5, 1), FrameError::OtherCamera, "another channel");
    assert_eq!(changed(6, 1), FrameError::Tampered, "the capture time");
    assert_eq!(changed(14, 1), FrameError::OtherCamera, "another serial");
    assert_eq!(changed(22, 0x08), FrameError::Malformed, "the header's lengths");
    assert_eq!(changed(33, 9), FrameError::Tampered, "the counter");
    assert_eq!(changed(34, 9), FrameError::Tampered, "the ciphertext");
    assert_eq!(changed(sealed.len() - 1, 1), FrameError::Tampered, "the tag");
}

#[test]
fn frames_of_two_cameras_cannot_be_swapped() {
    let (mut first, mut second) = (World::new("CAM-1"), World::new("CAM-2"));
    assert_eq!(first.generation, second.generation, "the same number, other keys");
    let sealed = second.seal(&video(true), b"an access unit");
    assert_eq!(first.open(&sealed), Err(FrameError::OtherCamera));
    // With the descriptor of the first camera, and with its serial written over.
    let own = first.seal(&video(true), b"an access unit");
    let mut disguised = sealed.clone();
    disguised[..22].copy_from_slice(&own[..22]);
    assert_eq!(first.open(&disguised), Err(FrameError::Tampered));
    assert_eq!(first.open(&own).expect("opened").1, b"an access unit");
}

#[test]
fn frames_of_two_channels_cannot_be_swapped() {
    let mut world = World::new("CAM-1");
    let mut made = world.rig.generation(1);
    give(&mut world.opener, &made);
    let mut other = FrameSealer::new(made.keys.channel(Channel(1)).expect("the first time"));
    let mut sealed = Vec::new();
    other.seal(&video(true), b"unit", world.rig.start, &mut sealed).expect("sealed");
    assert_eq!(world.open(&sealed), Err(FrameError::OtherCamera));
    // Header and descriptor must agree, so the channel of one alone is of no use.
    sealed[5] = 0;
    assert_eq!(world.open(&sealed), Err(FrameError::Malformed));
    sealed[22 + 1 + 5] = 0;
    assert_eq!(world.open(&sealed), Err(FrameError::Tampered));
}

/// A frame of one track as another, under the KID of the first or of the second.
#[test]
fn frames_of_two_tracks_cannot_be_swapped() {
    let mut world = World::new("CAM-1");
    let picture = world.seal(&video(true), b"picture");
    let tone = world.seal(&sound(), b"tone");
    let mixed = [&tone[..22], &picture[22..]].concat();
    assert_eq!(world.open(&mixed), Err(FrameError::Malformed));
    let mixed = [&tone[..34], &picture[34..]].concat();
    assert_eq!(world.open(&mixed), Err(FrameError::Tampered));
}

/// Counters and generations that the format does not have are refused before any key is looked at.
#[test]
fn headers_outside_the_format_are_refused() {
    let mut world = World::new("CAM-1");
    let sealed = world.seal(&video(true), b"unit");
    let parts = Parts::of(&sealed[22..]).expect("parts");
    let kid = parts.header.kid;
    let mut with = |header: Header| {
        let frame = [&sealed[..22], &*header.to_bytes(), &sealed[34..]].concat();
        world.open(&frame).expect_err("another header")
    };
    for ctr in [(1 << 24) - 1, 1 << 32] {
        assert_eq!(with(Header { kid, ctr }), FrameError::Malformed);
    }
    let of = |generation: u64| Header { kid: generation << 24, ctr: 1 << 24 };
    for generation in [(1 << 24) - 1, 1 << 32] {
        assert_eq!(with(of(generation)), FrameError::Malformed);
    }
    let held_nowhere = Generation::new(NOW + 7).expect("legal");
    assert_eq!(with(of(NOW + 7)), FrameError::MissingGeneration(held_nowhere));
}

#[test]
fn headers_of_this_format_always_have_twelve_bytes() {
    for generation in [Generation::FIRST, Generation::LAST] {
        for (channel, track) in [(0u64, 0u64), (u64::from(u16::MAX), 7)] {
            let kid = generation.number() << 24 | channel << 8 | track;
            for ctr in [1 << 24, (1 << 32) - 1] {
                assert_eq!(Header { kid, ctr }.to_bytes().len(), 12);
            }
        }
    }
}
