//! Both sides of each bound, and hostile input.

use super::*;
use crate::limits::{MAX_INGEST_PACKET, REORDER_PACKETS};

const CODECS: [Codec; 7] =
    [Codec::H264, Codec::H265, Codec::Av1, Codec::Opus, Codec::Pcmu, Codec::Pcma, Codec::Aac];

#[test]
fn a_frame_at_the_size_bound_passes_and_a_longer_one_is_dropped() {
    for (excess, passes) in [(0, true), (1, false)] {
        let mut ingest = ingest(Codec::H264, false);
        let mut sender = Sender::new();
        let halves = [h264_idr(MAX_FRAME / 2).into(), h264_idr(MAX_FRAME / 2 + excess).into()];
        let frames = feed(&mut ingest, start(), &sender.packets(&halves));
        assert_eq!(frames.len(), usize::from(passes));
        assert_eq!(ingest.frames_lost(), u64::from(!passes));
        frames.iter().for_each(check_canonical);
        sender.step(3000);
        let next = feed(&mut ingest, start(), &sender.packets(&[h264_p(20).into()]));
        assert_eq!(next[0].descriptor.discontinuity, !passes);
    }
}

#[test]
fn a_frame_of_too_many_packets_is_dropped() {
    for (count, passes) in [(MAX_FRAME_PACKETS, true), (MAX_FRAME_PACKETS + 1, false)] {
        let mut ingest = ingest(Codec::H264, false);
        let payloads = vec![Bytes::from(h264_p(3)); count];
        let frames = feed(&mut ingest, start(), &Sender::new().packets(&payloads));
        assert_eq!(frames.len(), usize::from(passes));
    }
}

#[test]
fn a_packet_over_the_bound_or_without_header_is_refused() {
    let mut ingest = ingest(Codec::H264, false);
    let mut sender = Sender::new();
    let packet = sender.packet(&h264_idr(MAX_INGEST_PACKET - 12), true);
    assert!(ingest.handle_rtp(start(), packet));
    assert_eq!(poll(&mut ingest, start()).len(), 1);
    let packet = sender.packet(&h264_idr(MAX_INGEST_PACKET - 11), true);
    assert!(!ingest.handle_rtp(start(), packet));
    assert!(!ingest.handle_rtp(start(), Bytes::from_static(&[0x80; 11])));
    assert!(!ingest.handle_rtp(start(), Bytes::from_static(&[0x40; 12])));
}

#[test]
fn frames_nobody_polls_are_bounded() {
    let mut ingest = ingest(Codec::Opus, false);
    let mut sender = Sender::new();
    for _ in 0..=MAX_PENDING_FRAMES {
        assert!(ingest.handle_rtp(start(), sender.packet(&[1], true)));
    }
    assert_eq!(poll(&mut ingest, start()).len(), MAX_PENDING_FRAMES);
    assert_eq!(ingest.frames_lost(), 1);
}

#[test]
fn held_packets_are_bounded() {
    for (held, released) in [(REORDER_PACKETS - 1, false), (REORDER_PACKETS, true)] {
        let mut ingest = ingest(Codec::Opus, true);
        let mut sender = Sender::new();
        let packets: Vec<_> = (0..held + 2).map(|_| sender.packet(&[1], true)).collect();
        let now = start();
        let mut frames = feed(&mut ingest, now, &packets[..1]).len();
        frames += feed(&mut ingest, now, &packets[2..]).len();
        assert_eq!(frames, 1, "a missing packet is awaited");
        // One packet more fills the buffer in the second round.
        let frames = feed(&mut ingest, now, &[sender.packet(&[1], true)]).len();
        assert_eq!(frames > 0, released);
        assert_eq!(ingest.poll_timeout().is_none(), released);
    }
}

#[test]
fn held_bytes_are_bounded() {
    let mut ingest = ingest(Codec::H264, true);
    let mut sender = Sender::new();
    let mut lone = |len| {
        let packet = sender.packet(&h264_idr(len), true);
        sender.step(90);
        packet
    };
    let (now, len) = (start(), MAX_FRAME - 100);
    assert_eq!(feed(&mut ingest, now, &[lone(10)]).len(), 1);
    lone(10);
    assert!(feed(&mut ingest, now, &[lone(len), lone(len)]).is_empty());
    assert!(ingest.poll_timeout().is_some());
    assert_eq!(feed(&mut ingest, now, &[lone(len)]).len(), 3);
    assert!(ingest.poll_timeout().is_none());
}

#[test]
fn aggregates_of_too_many_units_are_refused() {
    use crate::wire::nal::MAX_AGGREGATED;
    for (count, passes) in [(MAX_AGGREGATED, true), (MAX_AGGREGATED + 1, false)] {
        let mut packet = vec![0x78];
        (0..count).for_each(|_| packet.extend([0, 2, 0x41, 0x80]));
        let mut ingest = ingest(Codec::H264, false);
        ingest.handle_rtp(start(), Sender::new().packet(&h264_p(9), true));
        poll(&mut ingest, start());
        let mut sender = Sender::new();
        (sender.seq, sender.timestamp) = (65_531, 5);
        let frames = feed(&mut ingest, start(), &[sender.packet(&packet, true)]);
        assert_eq!(frames.len(), usize::from(passes));
    }
}

#[test]
fn av1_payloads_of_too_many_elements_are_refused() {
    use crate::wire::av1::{self, MAX_ELEMENTS};
    for (count, passes) in [(MAX_ELEMENTS, true), (MAX_ELEMENTS + 1, false)] {
        let mut packet = vec![0];
        (0..count).for_each(|_| packet.extend([1, av1::FRAME << 3]));
        assert_eq!(av1::parse(&packet.into()).is_some(), passes);
    }
}

#[test]
fn the_span_of_held_sequence_numbers_is_bounded() {
    let mut ingest = ingest(Codec::Opus, true);
    let mut sender = Sender::new();
    let first = sender.seq;
    let now = start();
    assert_eq!(feed(&mut ingest, now, &[sender.packet(&[0], true)]).len(), 1);
    let mut far = |step: u16| {
        sender.seq = first.wrapping_add(1 + step * REORDER_PACKETS as u16);
        [sender.packet(&[1], true), sender.packet(&[1], true)]
    };
    for step in 1..16 {
        assert!(feed(&mut ingest, now, &far(step)).is_empty());
    }
    assert!(feed(&mut ingest, now, &far(16)[..1]).is_empty());
    // The next pair would stretch the span too far: all that waited comes out before it.
    assert_eq!(feed(&mut ingest, now, &far(17)).len(), 15 * 2 + 1 + 2);
}

#[test]
fn every_truncation_of_every_format_is_a_frame_or_a_loss() {
    let unit = annexb(&[h264_sps(30), h264_pps(), h264_idr(3000)]);
    let mut large = h264_idr(3000);
    large.insert(0, 0x50);
    for codec in CODECS {
        let mut payloads = packetize(codec, &unit);
        payloads.push(large.clone().into());
        payloads.push(Bytes::from_static(&[0, 32, 0, 16, 0, 8, 1, 2, 3]));
        payloads.push(Bytes::from_static(&[0x78, 0, 2, 0x67, 1, 0, 1, 9]));
        for payload in payloads {
            for len in (0..=payload.len()).filter(|len| *len < 40 || len % 97 == 0) {
                let mut ingest = ingest(codec, true);
                let packet = Sender::new().packet(&payload[..len], true);
                for cut in 0..=packet.len().min(30) {
                    ingest.handle_rtp(start(), packet.slice(..cut));
                }
                ingest.handle_rtp(start(), packet);
                poll(&mut ingest, start()).iter().for_each(check_canonical);
            }
        }
    }
}

#[test]
fn random_bytes_never_break_the_invariants_of_the_frames() {
    for seed in 0..400 {
        let mut random = Random(seed);
        let codec = CODECS[random.below(CODECS.len())];
        let mut ingest = ingest(codec, random.below(2) == 0);
        let mut sender = Sender::new();
        let mut now = start();
        let mut next_seq = None;
        for _ in 0..200 {
            let most = if random.below(20) == 0 { 5000 } else { 60 };
            let len = random.below(most);
            let mut payload: Vec<u8> = (0..len).map(|_| random.next() as u8).collect();
            if let Some(first) = payload.first_mut()
                && random.below(2) == 0
            {
                *first = [0x7c, 0x78, 0x62, 0x60, 0x10, 0x00, 0x18, 0xff][random.below(8)];
            }
            match random.below(12) {
                0 => sender.seq = random.next() as u16,
                1 => sender.ssrc = random.next() as u32 % 3,
                2 => sender.timestamp = random.next() as u32,
                3 => sender.step(3000),
                _ => {}
            }
            now += ms(random.below(50) as u64);
            ingest.handle_rtp(now, sender.packet(&payload, random.below(3) == 0));
            for frame in poll(&mut ingest, now) {
                check_canonical(&frame);
                assert!(next_seq.is_none_or(|seq| seq == frame.first_seq), "seed {seed}");
                next_seq = Some(frame.first_seq + frame.payloads.len() as u64);
            }
        }
    }
}
