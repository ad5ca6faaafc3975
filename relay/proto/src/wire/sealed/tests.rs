//! Both sides of each bound, and hostile bytes.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::codec::Codec;
use crate::frame::CaptureTime;
use crate::ids::{Channel, DeviceId, Tier, TrackIndex};
use crate::limits::{MAX_CANONICAL_PAYLOAD, MAX_FRAME};
use crate::wire::varint;

/// The device of the tests.
pub(crate) const SERIAL: &str = "CAM-1";

/// `printf sightline/v1/serialCAM-1 | sha256sum`, the first 8 bytes.
const SERIAL_CAM_1: [u8; 8] = [0xb1, 0xdc, 0x70, 0x60, 0x34, 0x45, 0x0f, 0xc9];

/// The clear part of a keyframe: track 1 of channel 0x0203, H.264.
pub(crate) fn head() -> Head {
    let serial = SerialHash::of(&DeviceId::new(SERIAL).unwrap());
    let (channel, track) = (Channel(0x0203), TrackIndex(1));
    let generation = Generation::new(0x6789_abcd).unwrap();
    Head {
        descriptor: Descriptor {
            keyframe: true,
            discardable: false,
            discontinuity: false,
            tier: Tier::Main,
            codec: Codec::H264,
            track,
            channel,
            capture: CaptureTime(0x0005_1234_5678_9abc),
            serial,
        },
        header: Header {
            key: KeyId { generation, channel, track },
            counter: Counter::new(0x0102_0304).unwrap(),
        },
    }
}

/// A sealed frame whose ciphertext and tag are `filler` bytes long together.
pub(crate) fn sealed(head: Head, filler: usize) -> Bytes {
    let filler: Vec<u8> = (0..filler).map(|at| (at % 251) as u8).collect();
    [&head.write()[..], &filler].concat().into()
}

fn changed(at: usize, byte: u8) -> Result<Head, SealedError> {
    let mut bytes = head().write();
    bytes[at] = byte;
    Head::parse(&bytes)
}

#[test]
fn the_clear_part_stands_as_it_is_written_down() {
    let bytes = head().write();
    let expected = [
        &[1, 1, 1, 1, 2, 3, 0, 5, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc][..],
        &SERIAL_CAM_1,
        &[0xeb, 0x67, 0x89, 0xab, 0xcd, 2, 3, 1, 1, 2, 3, 4],
    ];
    assert_eq!(bytes[..], expected.concat());
    let [capture, serial, header] = expected;
    assert_eq!(head().associated_data()[..], [header, capture, serial].concat());
    assert_eq!((HEAD_LEN, OVERHEAD), (34, 50));
    assert_eq!(Head::parse(&bytes), Ok(head()));
}

#[test]
fn every_flag_codec_and_tier_stands_for_itself() {
    let plain = Descriptor { keyframe: false, ..head().descriptor };
    let flagged = [
        (plain, 0),
        (Descriptor { keyframe: true, ..plain }, 1),
        (Descriptor { discardable: true, ..plain }, 2),
        (Descriptor { discontinuity: true, ..plain }, 4),
        (Descriptor { tier: Tier::Sub, ..plain }, 8),
    ];
    for (descriptor, flags) in flagged {
        assert_eq!(descriptor.write()[1], flags);
        assert_eq!(Descriptor::parse(&descriptor.write()), Ok(descriptor));
    }
    for (id, codec) in (1..).zip(Codec::ALL) {
        let descriptor = Descriptor { codec, ..plain };
        assert_eq!(descriptor.write()[2], id);
        assert_eq!(Descriptor::parse(&descriptor.write()), Ok(descriptor));
    }
}

#[test]
fn a_clear_part_that_breaks_the_format_is_told_by_name() {
    assert_eq!(changed(0, 0), Err(SealedError::Version(0)));
    assert_eq!(changed(0, 2), Err(SealedError::Version(2)));
    for bit in [0x10, 0x20, 0x40, 0x80] {
        assert_eq!(changed(1, 1 | bit), Err(SealedError::Flags(bit)));
    }
    assert_eq!(changed(2, 0), Err(SealedError::Codec(0)));
    assert_eq!(changed(2, 8), Err(SealedError::Codec(8)));
    assert_eq!(changed(3, 2), Err(SealedError::WrongKey));
    assert_eq!(changed(5, 4), Err(SealedError::WrongKey));
    for lengths in [0, 0x6b, 0xdb, 0xfb, 0xea, 0xec] {
        assert_eq!(changed(DESCRIPTOR_LEN, lengths), Err(SealedError::Lengths(lengths)));
    }
}

#[test]
fn a_capture_time_is_checked_on_both_sides_of_its_bound() {
    for (capture, legal) in [(0, true), (varint::MAX, true), (varint::MAX + 1, false)] {
        let mut bytes = head().descriptor.write();
        bytes[6..14].copy_from_slice(&capture.to_be_bytes());
        let read = Descriptor::parse(&bytes).map(|descriptor| descriptor.capture);
        let expected =
            if legal { Ok(CaptureTime(capture)) } else { Err(SealedError::Capture(capture)) };
        assert_eq!(read, expected);
    }
    let beyond = Descriptor { capture: CaptureTime(u64::MAX), ..head().descriptor };
    assert_eq!(Descriptor::parse(&beyond.write()).unwrap().capture.0, varint::MAX);
}

#[test]
fn generations_and_counters_keep_the_lengths_of_the_header() {
    let (first, last) = (Generation::FIRST.number(), Generation::LAST.number());
    assert_eq!((first, last), (1 << 24, (1 << 32) - 1));
    assert_eq!(Generation::new(first - 1), None);
    assert_eq!(Generation::new(last + 1), None);
    for number in [first, last] {
        let generation = Generation::new(number).unwrap();
        let key = KeyId { generation, channel: Channel(u16::MAX), track: TrackIndex(255) };
        assert_eq!(key.to_u64().leading_zeros() / 8, 1, "7 bytes");
        assert_eq!(KeyId::from_u64(key.to_u64()), Some(key));
    }
    assert_eq!(KeyId::from_u64((first << 24) - 1), None);
    assert_eq!(KeyId::from_u64((last + 1) << 24), None);
    assert_eq!(Counter::new((1 << 24) - 1), None);
    assert_eq!(Counter::new(1 << 24), Some(Counter::FIRST));
    assert_eq!(Counter::FIRST.next().map(Counter::get), Some((1 << 24) + 1));
    assert_eq!(Counter::LAST.next(), None);
    // A generation or counter that would have a shorter form.
    assert_eq!(changed(DESCRIPTOR_LEN + 1, 0), Err(SealedError::NotShortest));
    assert_eq!(changed(DESCRIPTOR_LEN + 8, 0), Err(SealedError::NotShortest));
}

#[test]
fn serials_have_hashes_of_their_own() {
    let hash = |serial: &str| SerialHash::of(&DeviceId::new(serial).unwrap());
    assert_eq!(hash(SERIAL).0, SERIAL_CAM_1);
    assert_ne!(hash("CAM-2"), hash(SERIAL));
}

#[test]
fn a_frame_is_cut_to_equal_pieces_and_joined_again() {
    let most = MAX_CANONICAL_PAYLOAD - 1;
    for len in [OVERHEAD + 1, most - 1, most, most + 1, 2 * most, 2 * most + 1, 40_000, MAX_FRAME] {
        let frame = sealed(head(), len - HEAD_LEN);
        let payloads = cut(&frame).unwrap();
        assert_eq!(payloads.len(), len.div_ceil(most));
        for (at, payload) in payloads.iter().enumerate() {
            let piece = Piece::parse(payload).unwrap();
            assert_eq!((piece.start, piece.end), (at == 0, at + 1 == payloads.len()));
            assert!(payload.len() <= payloads[0].len());
            assert!(piece.end || payload.len() == payloads[0].len());
        }
        assert_eq!(Head::parse(&payloads[0][1..]), Ok(head()), "whole in the first packet");
        assert_eq!(join(&payloads), Ok(frame));
    }
}

#[test]
fn what_is_no_sealed_frame_is_not_cut() {
    let (short, long) = (OVERHEAD - HEAD_LEN, MAX_FRAME + 1 - HEAD_LEN);
    assert_eq!(cut(&sealed(head(), short)), Err(SealedError::TooShort(OVERHEAD)));
    assert_eq!(cut(&sealed(head(), long)), Err(SealedError::TooLong(MAX_FRAME + 1)));
    assert_eq!(cut(&Bytes::new()), Err(SealedError::TooShort(0)));
    assert_eq!(cut(&Bytes::from(vec![9; 100])), Err(SealedError::Version(9)));
    for len in 0..HEAD_LEN {
        assert_eq!(Head::parse(&head().write()[..len]), Err(SealedError::TooShort(len)));
    }
}

#[test]
fn pieces_that_are_not_those_of_one_frame_are_not_joined() {
    let whole = cut(&sealed(head(), 5000)).unwrap();
    assert!(whole.len() > 3);
    let mut swapped = whole.clone();
    swapped.swap(1, 2);
    let one_missing = [&whole[..1], &whole[2..]].concat();
    let twice = [&whole[..], &whole[..]].concat();
    let mut shorter = whole.clone();
    shorter[1].truncate(100);
    for (payloads, what) in [
        (&whole[1..], "no start"),
        (&whole[..whole.len() - 1], "no end"),
        (&twice[..], "two frames"),
        (&shorter[..], "a short piece in the middle"),
    ] {
        assert_eq!(join(payloads), Err(SealedError::Pieces), "{what}");
    }
    assert_eq!(join(&[]), Err(SealedError::TooShort(0)));
    // What only the key can tell: pieces that are missing or swapped, but look alike.
    assert_ne!(join(&swapped), join(&whole));
    assert_ne!(join(&one_missing), join(&whole));
}

#[test]
fn a_payload_is_checked_on_both_sides_of_its_bounds() {
    let of = |bits: u8, len: usize| {
        let payload = Bytes::from([&[bits][..], &vec![7; len - 1]].concat());
        Piece::parse(&payload).map(|piece| piece.body.len())
    };
    assert_eq!(of(0, 1), Err(SealedError::PayloadLen(1)));
    assert_eq!(Piece::parse(&Bytes::new()), Err(SealedError::PayloadLen(0)));
    assert_eq!(of(0, 2), Ok(1));
    assert_eq!(of(0xc0, MAX_CANONICAL_PAYLOAD), Ok(MAX_CANONICAL_PAYLOAD - 1));
    let long = MAX_CANONICAL_PAYLOAD + 1;
    assert_eq!(of(0xc0, long), Err(SealedError::PayloadLen(long)));
    for bit in (0..6).map(|bit| 1 << bit) {
        assert_eq!(of(0xc0 | bit, 9), Err(SealedError::PieceBits(0xc0 | bit)));
    }
}

proptest! {
    /// What is read is what was written, to the bit.
    #[test]
    fn a_clear_part_that_is_read_is_written_the_same(bytes: [u8; HEAD_LEN], keep in 0..6_u8) {
        let mut bytes = bytes;
        let good = head().write();
        bytes[0] = good[0];
        bytes[1] &= 0x0f;
        bytes[2] = 1 + keep;
        bytes[6] = 0;
        bytes[DESCRIPTOR_LEN] = good[DESCRIPTOR_LEN];
        bytes[DESCRIPTOR_LEN + 5] = bytes[4];
        bytes[DESCRIPTOR_LEN + 6] = bytes[5];
        bytes[DESCRIPTOR_LEN + 7] = bytes[3];
        if let Ok(head) = Head::parse(&bytes) {
            prop_assert_eq!(head.write(), bytes);
        }
    }

    /// No payloads make a panic, and what is joined can be cut to the same frame again.
    #[test]
    fn any_payloads_are_survived(payloads in prop::collection::vec(any::<Vec<u8>>(), 0..6)) {
        let mut payloads: Vec<Bytes> = payloads.into_iter().map(Bytes::from).collect();
        let _ = join(&payloads);
        payloads.insert(0, Bytes::from([&[0xc0][..], &head().write(), &[1; 17]].concat()));
        if let Ok(frame) = join(&payloads) {
            prop_assert_eq!(join(&cut(&frame).unwrap()), Ok(frame));
        }
    }
}
