//! Loss, reordering, duplicates, restarts.

use super::*;
use crate::limits::{REORDER_PACKETS, REORDER_WAIT};

/// Packets of `count` frames, each of several packets.
fn stream(sender: &mut Sender, count: usize) -> Vec<Vec<Bytes>> {
    let mut frames = Vec::new();
    for index in 0..count {
        let nal = if index == 0 { h264_idr(5000) } else { h264_p(2000 + index) };
        frames.push(sender.packets(&packetize(Codec::H264, &annexb(&[nal]))));
        sender.step(3000);
    }
    frames
}

fn check_line(frames: &[Frame]) {
    for pair in frames.windows(2) {
        assert_eq!(pair[0].first_seq + pair[0].payloads.len() as u64, pair[1].first_seq);
        assert!(pair[0].descriptor.media_time < pair[1].descriptor.media_time);
    }
}

#[test]
fn reordered_and_doubled_packets_give_every_frame() {
    for seed in 0..64 {
        println!("seed {seed}");
        let mut random = Random(seed);
        let mut packets = stream(&mut Sender::new(), 30).concat();
        let head = packets.remove(0);
        // Each packet moves by less than the window.
        let mut placed: Vec<(usize, Bytes)> = Vec::new();
        for (index, packet) in packets.into_iter().enumerate() {
            placed.push((index + random.below(40), packet.clone()));
            if random.below(4) == 0 {
                placed.push((index + random.below(80), packet));
            }
        }
        placed.sort_by_key(|(place, _)| *place);
        let mut ingest = ingest(Codec::H264, true);
        let now = start();
        let mut frames = feed(&mut ingest, now, &[head]);
        for (_, packet) in placed {
            frames.extend(feed(&mut ingest, now, &[packet]));
        }
        assert_eq!(frames.len(), 30);
        assert_eq!(ingest.frames_lost(), 0);
        assert!(frames.iter().all(|frame| !frame.descriptor.discontinuity));
        check_line(&frames);
    }
}

#[test]
fn lost_packets_cost_their_frames_and_no_others() {
    for seed in 0..64 {
        println!("seed {seed}");
        let mut random = Random(seed);
        let sent = stream(&mut Sender::new(), 40);
        let mut ingest = ingest(Codec::H264, true);
        let mut now = start();
        let mut frames = Vec::new();
        let mut whole = Vec::new();
        for (index, frame) in sent.iter().enumerate() {
            let lost = (index > 0 && random.below(5) == 0).then(|| random.below(frame.len()));
            if lost.is_none() {
                whole.push(1000 + 3000 * index as u64);
            }
            for (at, packet) in frame.iter().enumerate() {
                if lost != Some(at) {
                    frames.extend(feed(&mut ingest, now, std::slice::from_ref(packet)));
                }
            }
            now += ms(33);
        }
        frames.extend(poll(&mut ingest, now + REORDER_WAIT));
        let times: Vec<_> = frames.iter().map(|frame| frame.descriptor.media_time.0).collect();
        assert_eq!(&times, &whole);
        for pair in frames.windows(2) {
            let step = pair[1].descriptor.media_time.0 - pair[0].descriptor.media_time.0;
            assert_eq!(pair[1].descriptor.discontinuity, step > 3000);
        }
        check_line(&frames);
    }
}

#[test]
fn a_missing_packet_is_awaited_until_its_deadline_and_no_longer() {
    let mut ingest = ingest(Codec::Opus, true);
    let mut sender = Sender::new();
    let packets: Vec<_> = (0..3).map(|n| sender.packet(&[n], true)).collect();
    let now = start();
    assert_eq!(feed(&mut ingest, now, &packets[..1]).len(), 1);
    assert_eq!(ingest.poll_timeout(), None);
    assert!(feed(&mut ingest, now, &packets[2..]).is_empty());
    let deadline = ingest.poll_timeout().expect("a packet is missing");
    assert_eq!(deadline, now + REORDER_WAIT);
    assert!(poll(&mut ingest, deadline - ms(1)).is_empty());
    assert_eq!(poll(&mut ingest, deadline).len(), 1);
    assert_eq!((ingest.frames_lost(), ingest.poll_timeout()), (1, None));
    // It comes after all: too late.
    assert!(feed(&mut ingest, deadline, &packets[1..2]).is_empty());
    assert_eq!(ingest.packets_dropped(), 1);
}

#[test]
fn padding_packets_make_no_gap() {
    let mut ingest = ingest(Codec::H264, true);
    let mut sender = Sender::new();
    let mut packets = sender.packets(&[h264_idr(10).into()]);
    let mut padding = sender.packet(&[0, 0, 0, 4], false).to_vec();
    padding[0] |= 0x20;
    packets.push(padding.into());
    sender.step(3000);
    packets.extend(sender.packets(&[h264_p(10).into()]));
    let frames = feed(&mut ingest, start(), &packets);
    assert_eq!((frames.len(), frames[1].descriptor.discontinuity), (2, false));
    check_line(&frames);
}

#[test]
fn a_new_ssrc_in_mid_stream_goes_on_with_the_canonical_line() {
    for unordered in [false, true] {
        let mut ingest = ingest(Codec::H264, unordered);
        let now = start();
        let mut frames = feed(&mut ingest, now, &stream(&mut Sender::new(), 3).concat());
        let mut other = Sender { ssrc: 99, seq: 5, timestamp: 77 };
        frames.extend(feed(&mut ingest, now + ms(40), &stream(&mut other, 3).concat()));
        assert_eq!((frames.len(), ingest.frames_lost()), (6, 0));
        assert!(frames[3].descriptor.discontinuity);
        check_line(&frames);
    }
}

#[test]
fn one_stray_packet_moves_nothing() {
    let mut ingest = ingest(Codec::H264, true);
    let now = start();
    let mut sender = Sender::new();
    let mut frames = feed(&mut ingest, now, &stream(&mut sender, 2).concat());
    let mut stray = sender.clone();
    stray.seq = stray.seq.wrapping_add(20_000);
    assert!(feed(&mut ingest, now, &[stray.packet(&h264_p(5), true)]).is_empty());
    stray.ssrc = 1;
    assert!(feed(&mut ingest, now, &[stray.packet(&h264_p(5), true)]).is_empty());
    frames.extend(feed(&mut ingest, now, &stream(&mut sender, 2).concat()));
    assert_eq!((frames.len(), ingest.frames_lost()), (4, 0));
    check_line(&frames);
}

#[test]
fn a_jump_within_the_window_waits_and_one_beyond_resyncs() {
    for (jump, waits) in [(REORDER_PACKETS as u16, true), (REORDER_PACKETS as u16 + 1, false)] {
        let mut ingest = ingest(Codec::Opus, true);
        let mut sender = Sender::new();
        let now = start();
        assert_eq!(feed(&mut ingest, now, &[sender.packet(&[0], true)]).len(), 1);
        sender.seq = sender.seq.wrapping_add(jump);
        let pair = [sender.packet(&[1], true), sender.packet(&[2], true)];
        assert_eq!(feed(&mut ingest, now, &pair).len(), if waits { 0 } else { 2 });
    }
}

#[test]
fn a_gap_on_an_ordered_transport_costs_one_frame() {
    let mut packets = stream(&mut Sender::new(), 4).concat();
    packets.remove(6);
    let mut ingest = ingest(Codec::H264, false);
    let frames = feed(&mut ingest, start(), &packets);
    assert_eq!((frames.len(), ingest.frames_lost()), (3, 1));
    assert_eq!(ingest.poll_timeout(), None);
}

#[test]
fn a_stream_joined_within_a_frame_starts_with_the_next_one() {
    let packets = stream(&mut Sender::new(), 3).concat();
    let mut ingest = ingest(Codec::H264, true);
    let frames = feed(&mut ingest, start(), &packets[2..]);
    assert_eq!((frames.len(), ingest.frames_lost()), (2, 0));
}

#[test]
fn frames_that_wait_for_a_lost_one_are_not_lost_with_the_connection() {
    let mut ingest = ingest(Codec::Opus, true);
    let mut sender = Sender::new();
    let packets: Vec<_> = (0..3).map(|n| sender.packet(&[n], true)).collect();
    assert_eq!(feed(&mut ingest, start(), &packets[..1]).len(), 1);
    assert!(feed(&mut ingest, start(), &packets[2..]).is_empty());
    ingest.resume(start(), TrackInfo::audio(Codec::Opus, 48_000, 2), true);
    assert_eq!(poll(&mut ingest, start()).len(), 1);
    assert_eq!((ingest.frames_lost(), ingest.poll_timeout()), (1, None));
}

#[test]
fn a_publisher_that_comes_back_continues_both_lines() {
    let mut ingest = ingest(Codec::H264, true);
    let now = start();
    let mut sent = stream(&mut Sender::new(), 3).concat();
    sent.pop();
    let mut frames = feed(&mut ingest, now, &sent);
    ingest.resume(now + ms(100), TrackInfo::video(Codec::H264), false);
    let mut again = Sender { ssrc: 3, seq: 9, timestamp: 0 };
    frames.extend(feed(&mut ingest, now + ms(2000), &stream(&mut again, 2).concat()));
    assert_eq!((frames.len(), ingest.frames_lost()), (4, 1));
    check_line(&frames);
    let passed = frames[2].descriptor.media_time.0 - frames[1].descriptor.media_time.0;
    assert_eq!(passed, 180_000);
    assert!(frames[2].descriptor.discontinuity && !frames[3].descriptor.discontinuity);
}
