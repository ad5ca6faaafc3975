//! What a viewer gets is what the camera sealed.

use std::time::Duration;

use proptest::prelude::*;
use sightline_relay_proto::limits::{MAX_CANONICAL_PAYLOAD, MAX_FRAME, MAX_TRACKS};
use sightline_relay_proto::wire::varint;

use super::*;
use crate::keys::{Keyring, MAX_HELD_LIVE};
use crate::sframe::WINDOW;
use crate::sframe::testing::hex;

#[test]
fn a_frame_of_every_codec_opens_to_what_was_sealed() {
    let mut world = World::new("CAM-1");
    for (at, codec) in Codec::ALL.into_iter().enumerate() {
        let info = FrameInfo { codec, track: TrackIndex(at as u8), ..video(true) };
        let sealed = world.seal(&info, b"an access unit");
        let (frame, unit) = world.open(&sealed).expect("opened");
        assert_eq!((frame.info, unit.as_slice()), (info, &b"an access unit"[..]));
        assert_eq!((frame.generation, frame.delayed), (world.generation, None));
    }
}

#[test]
fn sealing_adds_fifty_bytes_to_every_frame() {
    assert_eq!(OVERHEAD, 50);
    let mut world = World::new("CAM-1");
    for len in [1, 100, 5000] {
        assert_eq!(world.seal(&video(true), &vec![7; len]).len(), len + OVERHEAD);
        assert_eq!(world.seal(&sound(), &vec![7; len]).len(), len + OVERHEAD);
    }
}

#[test]
fn nothing_of_the_plaintext_is_in_the_frame() {
    let mut world = World::new("CAM-1");
    let mark = b"MARK-OF-A-PLAIN-PICTURE";
    let sealed = world.seal(&video(true), &mark.repeat(20));
    assert!(!sealed.windows(8).any(|window| mark.windows(8).any(|part| part == window)));
    assert_ne!(world.seal(&video(true), mark), world.seal(&video(true), mark));
}

#[test]
fn units_are_bounded_on_both_sides() {
    let mut world = World::new("CAM-1");
    let longest = vec![1; MAX_UNIT];
    let sealed = world.seal(&video(true), &longest);
    // With a byte in each packet it is still a frame that the relay takes.
    let packets = sealed.len().div_ceil(MAX_CANONICAL_PAYLOAD - 1);
    assert!(sealed.len() + packets <= MAX_FRAME);
    assert!(world.open(&sealed).is_ok());
    let (mut out, now) = (Vec::new(), world.rig.start);
    let mut seal = |info: &FrameInfo, unit: &[u8]| world.sealer.seal(info, unit, now, &mut out);
    let longer = [longest, vec![1]].concat();
    assert_eq!(seal(&video(true), &longer), Err(SealFrameError::TooLong(MAX_UNIT + 1)));
    assert_eq!(seal(&video(true), &[]), Err(SealFrameError::Illegal));
    let track = |track| FrameInfo { track: TrackIndex(track), ..video(true) };
    assert_eq!(seal(&track(MAX_TRACKS as u8), &[1]), Err(SealFrameError::Illegal));
    assert_eq!(seal(&track(MAX_TRACKS as u8 - 1), &[1]), Ok(()));
    let captured = |capture| FrameInfo { capture: CaptureTime(capture), ..video(true) };
    assert_eq!(seal(&captured(varint::MAX), &[1]), Ok(()));
    assert_eq!(seal(&captured(varint::MAX + 1), &[1]), Err(SealFrameError::Illegal));
}

#[test]
fn a_frame_opens_once() {
    let mut world = World::new("CAM-1");
    let first = world.seal(&video(true), b"1");
    assert!(world.open(&first).is_ok());
    assert_eq!(world.open(&first), Err(FrameError::Replayed));
    let mut last = Vec::new();
    for _ in 0..WINDOW {
        last = world.seal(&video(false), b"2");
    }
    assert!(world.open(&last).is_ok());
    assert_eq!(world.open(&first), Err(FrameError::TooFarBehind));
}

/// The relay sends its cache to every new session: old frames open there and are told by their time.
#[test]
fn an_old_frame_in_a_new_session_is_marked_delayed() {
    let mut world = World::new("CAM-1");
    let sealed = world.seal(&video(true), b"unit");
    let limit = DELAYED_AFTER.as_micros() as u64;
    for (apart, delayed) in [
        (0, None),
        (limit, None),
        (limit + 1, Some(DELAYED_AFTER + Duration::from_micros(1))),
        (600_000_000, Some(Duration::from_secs(600))),
    ] {
        // Of a camera whose clock is ahead it cannot be told either.
        for now in [CAPTURE.0 + apart, CAPTURE.0 - apart] {
            let keyring = std::mem::replace(&mut world.opener, empty(&world.rig)).into_keyring();
            world.opener = FrameOpener::new(keyring, CHANNEL);
            let opened = world.opener.open(&sealed, CaptureTime(now), &mut Vec::new());
            assert_eq!(opened.expect("opened").delayed, delayed, "{apart}");
        }
    }
}

fn empty(rig: &Rig) -> FrameOpener {
    FrameOpener::new(rig.live(), CHANNEL)
}

#[test]
fn a_frame_of_a_generation_that_is_not_held_names_it() {
    let mut world = World::new("CAM-1");
    let sealed = world.seal(&video(true), b"unit");
    let missing = FrameError::MissingGeneration(world.generation);
    assert_eq!(open(&mut empty(&world.rig), &sealed), Err(missing));
    // Given up after others, it is missing again, with whatever was remembered of its tracks.
    assert!(world.open(&sealed).is_ok());
    for at in 1..=MAX_HELD_LIVE as u64 {
        let made = world.rig.generation(at);
        give(&mut world.opener, &made);
    }
    assert_eq!(world.open(&sealed), Err(missing));
}

#[test]
fn a_channel_and_a_track_get_their_keys_once() {
    let mut rig = Rig::new("CAM-1", 1);
    let mut made = rig.generation(0);
    assert!(made.keys.channel(Channel(0)).is_ok());
    assert_eq!(made.keys.channel(Channel(0)).err(), Some(AlreadyGiven));
    let mut second = made.keys.channel(Channel(1)).expect("another channel");
    assert!(second.track(VIDEO).expect("derived").is_some());
    assert!(second.track(VIDEO).expect("derived").is_none());
    assert!(second.track(SOUND).expect("derived").is_some());
}

#[test]
fn neither_keys_nor_pictures_print() {
    let mut world = World::new("CAM-1");
    let mark = b"MARK OF A PICTURE";
    let sealed = world.seal(&video(true), mark);
    let opened = world.open(&sealed).expect("opened").0;
    let mut made = world.rig.generation(1);
    give(&mut world.opener, &made);
    let blob = made.blob.unwrap(terminal(1).exchange()).expect("a recipient");
    let secret = *blob.base_key.expose();
    let info = StillInfo {
        kind: StillKind::Event,
        media: StillType::Png,
        channel: CHANNEL,
        capture: CAPTURE,
    };
    let still = made.keys.stills().seal(&info, mark).expect("sealed");
    let still = StillOpener::new(world.opener.keyring()).open(&still).expect("opened");
    let channel = made.keys.channel(CHANNEL).expect("the first time");
    let printed = format!(
        "{opened:?} {still:?} {blob:?} {channel:?} {:?} {:?} {:?} {:?}",
        made.keys,
        made.keys.stills(),
        world.sealer,
        world.opener
    );
    assert!(printed.contains("[redacted]"), "{printed}");
    for text in [&secret[..], mark] {
        let list = format!("{text:?}");
        assert!(!printed.contains(list.trim_matches(['[', ']'])), "{printed}");
        assert!(!printed.contains(&hex(text)), "{printed}");
    }
    assert!(!printed.contains("MARK"), "{printed}");
}

#[test]
fn recordings_open_under_every_generation_that_is_held() {
    let mut world = World::new("CAM-1");
    let first = world.seal(&video(true), b"1");
    let mut made = world.rig.generation(1);
    let keys = made.keys.channel(CHANNEL).expect("the first time");
    world.sealer.switch(keys, world.rig.start).expect("later keys");
    let second = world.seal(&video(true), b"2");
    let binding = world.rig.camera.lists().binding().clone();
    let keyring = Keyring::recordings(binding, world.rig.pin());
    let mut recordings = FrameOpener::new(keyring, CHANNEL);
    give(&mut recordings, &made);
    assert_eq!(open(&mut recordings, &second).expect("opened").1, b"2");
    let missing = FrameError::MissingGeneration(world.generation);
    assert_eq!(open(&mut recordings, &first), Err(missing));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_unit_and_description_survive(
        unit in prop::collection::vec(any::<u8>(), 1..3000),
        codec in prop::sample::select(Codec::ALL.to_vec()),
        track in 0..MAX_TRACKS as u8,
        bits in 0..16u8,
        capture in 0..=varint::MAX,
    ) {
        let info = FrameInfo {
            track: TrackIndex(track),
            tier: if bits & 1 == 0 { Tier::Main } else { Tier::Sub },
            codec,
            keyframe: true,
            discardable: bits & 2 != 0,
            discontinuity: bits & 4 != 0,
            capture: CaptureTime(capture),
        };
        let mut world = World::new("CAM-1");
        world.seal(&info, b"the first is a keyframe");
        let sound = codec.kind() == sightline_relay_proto::codec::MediaKind::Audio;
        let sealed = world.seal(&FrameInfo { keyframe: bits & 8 != 0, ..info }, &unit);
        let (frame, opened) = world.open(&sealed).expect("opened");
        let expected = FrameInfo { keyframe: sound || bits & 8 != 0, ..info };
        prop_assert_eq!((frame.info, opened), (expected, unit));
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut world = World::new("CAM-1");
        prop_assert!(world.open(&bytes).is_err());
    }
}
