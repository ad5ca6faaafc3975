//! Sealed frames, told from their clear part alone.

use super::*;
use crate::frame::CaptureTime;
use crate::ids::{Channel, DeviceId, StreamKey, Tier};
use crate::wire::sealed::{
    self, Counter, Descriptor as Said, Generation, HEAD_LEN, Head, Header, KeyId, OVERHEAD,
    SerialHash,
};

const TRACK: TrackIndex = TrackIndex(1);
const CHANNEL: Channel = Channel(5);

fn device() -> DeviceId {
    DeviceId::new("CAM-1").unwrap()
}

fn generation(number: u64) -> Generation {
    Generation::new(Generation::FIRST.number() + number).unwrap()
}

fn sealed_ingest(info: TrackInfo, unordered: bool) -> TrackIngest {
    let by = SealedBy::of(&StreamKey::up(device(), CHANNEL));
    TrackIngest::sealed(TRACK, info, Some(by), unordered, (65_534, 1000))
}

fn video() -> TrackIngest {
    sealed_ingest(TrackInfo::video(Codec::H264), false)
}

/// The clear part of a keyframe of the first generation.
fn head() -> Head {
    Head {
        descriptor: Said {
            keyframe: true,
            discardable: false,
            discontinuity: false,
            tier: Tier::Main,
            codec: Codec::H264,
            track: TRACK,
            channel: CHANNEL,
            capture: CaptureTime(77),
            serial: SerialHash::of(&device()),
        },
        header: Header {
            key: KeyId { generation: generation(0), channel: CHANNEL, track: TRACK },
            counter: Counter::FIRST,
        },
    }
}

fn said(change: impl FnOnce(&mut Said)) -> Head {
    let mut head = head();
    change(&mut head.descriptor);
    head.header.key.track = head.descriptor.track;
    head.header.key.channel = head.descriptor.channel;
    head
}

/// A picture that is no keyframe unless it is said, under a generation.
fn picture(number: u64, keyframe: bool) -> Head {
    let mut head = said(|said| said.keyframe = keyframe);
    head.header.key.generation = generation(number);
    head
}

/// Payloads of a frame whose ciphertext and tag are `len` bytes long together.
fn payloads(head: Head, len: usize) -> Vec<Bytes> {
    let frame = [&head.write()[..], &Random(9).filler(len)].concat();
    sealed::cut(&frame.into()).unwrap()
}

/// The frames of one frame's payloads, sent at the next time of the sender.
fn send(ingest: &mut TrackIngest, sender: &mut Sender, payloads: &[Bytes]) -> Vec<Frame> {
    sender.step(3000);
    feed(ingest, start(), &sender.packets(payloads))
}

fn check_sealed(frame: &Frame) {
    check_canonical(frame);
    let whole = sealed::join(&frame.payloads).expect("a whole frame");
    assert_eq!(frame.bytes(), whole.len() + frame.payloads.len());
    assert!(matches!(frame.descriptor.protection, Protection::Sealed { .. }));
}

#[test]
fn a_sealed_frame_keeps_its_payloads_and_is_described_by_its_camera() {
    let mut ingest = video();
    let mut sender = Sender::new();
    for (head, len) in [
        (head(), 5000),
        (said(|said| said.keyframe = false), 17),
        (said(|said| said.discardable = true), 1000),
        (said(|said| said.discontinuity = true), 1500),
        (said(|said| said.capture = CaptureTime(1 << 50)), 40_000),
    ] {
        let payloads = payloads(head, len);
        let frames = send(&mut ingest, &mut sender, &payloads);
        let [frame] = &frames[..] else { panic!("one frame") };
        check_sealed(frame);
        assert_eq!(frame.payloads[..], payloads);
        let (is, said) = (frame.descriptor, head.descriptor);
        assert_eq!((is.track, is.tier, is.codec), (TRACK, said.tier, said.codec));
        assert_eq!((is.keyframe, is.discardable), (said.keyframe, said.discardable));
        assert_eq!((is.discontinuity, is.capture), (said.discontinuity, Some(said.capture)));
        assert_eq!(is.protection, Protection::Sealed { generation: generation(0).number() });
    }
    assert_eq!(ingest.frames_lost(), 0);
    assert!(ingest.parameter_sets().is_empty());
}

#[test]
fn frames_are_numbered_and_timed_as_open_ones_are() {
    let mut ingest = video();
    let mut sender = Sender::new();
    let first = send(&mut ingest, &mut sender, &payloads(head(), 3000)).remove(0);
    let second = send(&mut ingest, &mut sender, &payloads(head(), 3000)).remove(0);
    assert_eq!((first.first_seq, second.first_seq), (65_534, 65_537));
    assert_eq!(first.descriptor.media_time.0, 1000);
    assert_eq!(second.descriptor.media_time.0, 4000);
}

#[test]
fn every_frame_of_sound_is_one_to_start_at_and_its_own() {
    for codec in [Codec::Opus, Codec::Pcma, Codec::Aac] {
        let mut ingest = sealed_ingest(TrackInfo::audio(codec, 8000, 1), true);
        let mut sender = Sender::new();
        for number in 0..3 {
            let mut head = picture(number, false);
            head.descriptor.codec = codec;
            let frames = send(&mut ingest, &mut sender, &payloads(head, 200));
            assert!(frames.len() == 1 && frames[0].descriptor.keyframe, "{codec:?}");
            assert!(frames[0].marker(0));
        }
    }
}

#[test]
fn a_frame_that_is_not_what_was_announced_is_dropped_and_counted() {
    let other = SerialHash::of(&DeviceId::new("CAM-2").unwrap());
    for (what, head) in [
        ("codec", said(|said| said.codec = Codec::H265)),
        ("sound", said(|said| said.codec = Codec::Opus)),
        ("tier", said(|said| said.tier = Tier::Sub)),
        ("track", said(|said| said.track = TrackIndex(0))),
        ("channel", said(|said| said.channel = Channel(6))),
        ("device", said(|said| said.serial = other)),
    ] {
        let mut ingest = video();
        let mut sender = Sender::new();
        assert_eq!(send(&mut ingest, &mut sender, &payloads(self::head(), 20)).len(), 1);
        for len in [20, 5000] {
            assert!(send(&mut ingest, &mut sender, &payloads(head, len)).is_empty(), "{what}");
        }
        assert_eq!(ingest.frames_lost(), 2, "{what}");
        let next = send(&mut ingest, &mut sender, &payloads(picture(0, false), 20));
        assert!(next[0].descriptor.discontinuity, "{what}");
    }
}

#[test]
fn whoever_opens_frames_takes_those_of_any_origin_but_of_its_codec() {
    let info = TrackInfo::video(Codec::H264);
    let mut ingest = TrackIngest::sealed(TrackIndex(0), info, None, true, (0, 0));
    let mut sender = Sender::new();
    let lower = said(|said| (said.tier, said.track) = (Tier::Sub, TrackIndex(2)));
    assert_eq!(send(&mut ingest, &mut sender, &payloads(lower, 3000)).len(), 1);
    let other = said(|said| said.codec = Codec::Av1);
    assert!(send(&mut ingest, &mut sender, &payloads(other, 3000)).is_empty());
}

#[test]
fn a_generation_begins_at_a_keyframe_and_never_falls() {
    let mut ingest = video();
    let mut sender = Sender::new();
    // (generation, keyframe, whether it passes, whether a keyframe is wanted then)
    for (number, keyframe, passes, wanted) in [
        (1, false, false, true),
        (1, true, true, false),
        (1, false, true, false),
        (3, false, false, true),
        (1, false, true, false),
        (3, true, true, false),
        (2, true, false, false),
        (1, false, false, false),
        (3, false, true, false),
    ] {
        let head = picture(number, keyframe);
        let frames = send(&mut ingest, &mut sender, &payloads(head, 2000));
        assert_eq!(frames.len(), usize::from(passes), "{number} {keyframe}");
        assert_eq!(ingest.take_keyframe_wish(), wanted, "{number} {keyframe}");
        assert!(!ingest.take_keyframe_wish(), "told once");
    }
    assert_eq!(ingest.frames_lost(), 4);
    ingest.resume(start(), TrackInfo::video(Codec::H264), false);
    let mut sender = Sender { ssrc: 99, ..Sender::new() };
    assert!(send(&mut ingest, &mut sender, &payloads(picture(2, true), 2000)).is_empty());
    assert_eq!(send(&mut ingest, &mut sender, &payloads(picture(3, false), 2000)).len(), 1);
}

#[test]
fn a_generation_that_was_not_whole_does_not_count() {
    let mut ingest = video();
    let mut sender = Sender::new();
    let torn = payloads(picture(5, true), 5000);
    sender.step(3000);
    assert!(feed(&mut ingest, start(), &sender.packets(&torn[..2])).is_empty());
    assert_eq!(send(&mut ingest, &mut sender, &payloads(picture(1, true), 20)).len(), 1);
}

#[test]
fn pieces_that_form_no_frame_cost_that_frame_only() {
    let whole = payloads(head(), 5000);
    assert_eq!(whole.len(), 5);
    let with = |at: usize, change: fn(&mut Vec<u8>)| {
        let mut payloads = whole.clone();
        let mut bytes = payloads[at].to_vec();
        change(&mut bytes);
        payloads[at] = bytes.into();
        payloads
    };
    let cases = [
        ("no start", whole[1..].to_vec()),
        ("no end", whole[..4].to_vec()),
        ("a short piece", with(2, |bytes| bytes.truncate(100))),
        ("a long last piece", with(4, |bytes| bytes.resize(MAX_CANONICAL_PAYLOAD, 1))),
        ("too long", with(1, |bytes| bytes.resize(MAX_CANONICAL_PAYLOAD + 1, 1))),
        ("only bits", with(1, |bytes| bytes.truncate(1))),
        ("per packet", with(0, |bytes| bytes[0] |= 0x20)),
        ("reserved bits", with(3, |bytes| bytes[0] |= 1)),
        ("a second start", with(2, |bytes| bytes[0] |= 0x80)),
        ("another version", with(0, |bytes| bytes[1] = 2)),
        ("unknown flags", with(0, |bytes| bytes[2] |= 0x10)),
        ("a torn clear part", vec![whole[0].slice(..HEAD_LEN), whole[4].slice(..30)]),
    ];
    for (what, payloads) in cases {
        let mut ingest = video();
        let mut sender = Sender::new();
        assert_eq!(send(&mut ingest, &mut sender, &whole).len(), 1);
        assert!(send(&mut ingest, &mut sender, &payloads).is_empty(), "{what}");
        let after = send(&mut ingest, &mut sender, &whole);
        assert!(after.len() == 1 && after[0].descriptor.discontinuity, "{what}");
        assert!((1..=2).contains(&ingest.frames_lost()), "{what}: {}", ingest.frames_lost());
    }
}

/// Only the key can tell that something is missing.
#[test]
fn a_frame_ends_where_its_pieces_say() {
    let mut ingest = video();
    let mut sender = Sender::new();
    let mut pieces = payloads(head(), 5000);
    pieces[2] = [&[0x40][..], &pieces[2][1..]].concat().into();
    let frames = send(&mut ingest, &mut sender, &pieces);
    assert_eq!(frames[0].payloads[..], pieces[..3]);
    assert_eq!(ingest.frames_lost(), 1, "the rest");
}

#[test]
fn a_frame_is_of_one_timestamp() {
    let mut ingest = video();
    let mut sender = Sender::new();
    let whole = payloads(head(), 5000);
    let mut packets = sender.packets(&whole[..2]);
    sender.step(1);
    packets.extend(sender.packets(&whole[2..]));
    assert!(feed(&mut ingest, start(), &packets).is_empty());
    assert_eq!(ingest.frames_lost(), 1);
}

#[test]
fn a_frame_without_anything_sealed_is_none() {
    for (len, passes) in [(OVERHEAD, false), (OVERHEAD + 1, true)] {
        let mut ingest = video();
        let frame = [&[0xc0][..], &head().write(), &vec![1; len - HEAD_LEN]].concat();
        let frames = send(&mut ingest, &mut Sender::new(), &[frame.into()]);
        assert_eq!((frames.len(), ingest.frames_lost() == 0), (usize::from(passes), passes));
    }
}

#[test]
fn a_sealed_frame_at_the_size_bound_passes_and_a_longer_one_is_dropped() {
    for (excess, passes) in [(0, true), (1, false)] {
        let mut ingest = video();
        let head = head().write();
        let len = MAX_FRAME + excess;
        let frame = [&head[..], &vec![1; len - head.len()]].concat();
        let pieces: Vec<&[u8]> = frame.chunks(1000).collect();
        let bits = |at: usize| match at {
            0 => 0x80,
            _ if at + 1 == pieces.len() => 0x40,
            _ => 0,
        };
        let payload = |(at, piece): (usize, &&[u8])| Bytes::from([&[bits(at)], *piece].concat());
        let payloads: Vec<Bytes> = pieces.iter().enumerate().map(payload).collect();
        let frames = send(&mut ingest, &mut Sender::new(), &payloads);
        assert_eq!(frames.len(), usize::from(passes));
        frames.iter().for_each(check_sealed);
    }
}

#[test]
fn a_sealed_frame_of_too_many_packets_is_dropped() {
    for (count, passes) in [(MAX_FRAME_PACKETS, true), (MAX_FRAME_PACKETS + 1, false)] {
        let mut ingest = video();
        let mut payloads = vec![Bytes::from([&[0x80][..], &head().write()].concat())];
        payloads.resize(count - 1, [&[0][..], &[1; HEAD_LEN]].concat().into());
        payloads.push([&[0x40][..], &[1; HEAD_LEN]].concat().into());
        let frames = send(&mut ingest, &mut Sender::new(), &payloads);
        assert_eq!(frames.len(), usize::from(passes));
    }
}

#[test]
fn packets_that_overtake_each_other_are_ordered_and_a_lost_one_costs_its_frame() {
    let mut ingest = sealed_ingest(TrackInfo::video(Codec::H264), true);
    let mut sender = Sender::new();
    assert_eq!(send(&mut ingest, &mut sender, &payloads(head(), 5000)).len(), 1);
    sender.step(3000);
    let mut packets = sender.packets(&payloads(head(), 5000));
    packets.swap(1, 3);
    packets.swap(0, 4);
    assert_eq!(feed(&mut ingest, start(), &packets).len(), 1);
    sender.step(3000);
    let mut packets = sender.packets(&payloads(head(), 5000));
    packets.remove(2);
    sender.step(3000);
    packets.extend(sender.packets(&payloads(picture(0, false), 100)));
    let now = start();
    assert!(feed(&mut ingest, now, &packets).is_empty());
    let frames = poll(&mut ingest, now + crate::limits::REORDER_WAIT);
    assert!(frames.len() == 1 && frames[0].descriptor.discontinuity);
    assert_eq!(ingest.frames_lost(), 1);
}

#[test]
fn clear_media_on_a_sealed_track_comes_to_nothing() {
    for codec in Codec::ALL {
        let mut ingest = sealed_ingest(TrackInfo::video(codec), false);
        let mut sender = Sender::new();
        let unit = annexb(&[h264_sps(30), h264_pps(), h264_idr(3000)]);
        let clear = packetize(codec, &unit);
        for _ in 0..3 {
            assert!(send(&mut ingest, &mut sender, &clear).is_empty(), "{codec:?}");
        }
    }
}

#[test]
fn whatever_comes_frames_are_whole_and_follow_each_other() {
    for seed in 0..300 {
        let mut random = Random(seed);
        let mut ingest = sealed_ingest(TrackInfo::video(Codec::H264), random.below(2) == 0);
        let mut sender = Sender::new();
        let mut now = start();
        let mut next_seq = None;
        let mut newest = 0;
        for _ in 0..100 {
            let head = picture(random.below(4) as u64, random.below(2) == 0);
            sender.step(3000);
            for payload in payloads(head, 17 + random.below(4000)) {
                let mut bytes = payload.to_vec();
                let at = random.below(bytes.len());
                match random.below(20) {
                    0 => bytes[at] ^= 1 << random.below(8),
                    1 => bytes[at % (HEAD_LEN + 1)] = random.next() as u8,
                    2 => bytes.truncate(at),
                    3 => sender.seq = random.next() as u16,
                    4 => sender.step(1),
                    _ => {}
                }
                now += ms(random.below(20) as u64);
                ingest.handle_rtp(now, sender.packet(&bytes, random.below(2) == 0));
            }
            for frame in poll(&mut ingest, now) {
                check_sealed(&frame);
                assert!(next_seq.is_none_or(|seq| seq == frame.first_seq), "seed {seed}");
                next_seq = Some(frame.first_seq + frame.payloads.len() as u64);
                let Protection::Sealed { generation } = frame.descriptor.protection else {
                    panic!("open");
                };
                assert!(generation >= newest, "seed {seed}");
                newest = generation;
            }
        }
        assert!(next_seq.is_some(), "seed {seed}: some are whole");
    }
}
