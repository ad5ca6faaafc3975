//! The canonical timeline and the publisher's clocks.

use super::*;
use crate::frame::CaptureTime;

/// One frame of the sender's timestamp, arriving at `now`.
fn frame(ingest: &mut TrackIngest, sender: &mut Sender, now: Instant) -> Frame {
    let mut frames = feed(ingest, now, &sender.packets(&[h264_p(20).into()]));
    assert_eq!(frames.len(), 1);
    frames.remove(0)
}

fn place(ingest: &mut TrackIngest, sender: &mut Sender, now: Instant) -> u64 {
    frame(ingest, sender, now).descriptor.media_time.0
}

#[test]
fn timestamps_keep_their_steps_across_the_wrap() {
    let mut ingest = ingest(Codec::H264, true);
    let mut sender = Sender::new();
    let mut now = start();
    for index in 0..10 {
        assert_eq!(place(&mut ingest, &mut sender, now), 1000 + index * 3000);
        sender.step(3000);
        now += ms(33);
    }
}

#[test]
fn reordered_pictures_keep_their_offsets() {
    let mut ingest = ingest(Codec::H264, true);
    let mut sender = Sender::new();
    let now = start();
    let mut places = Vec::new();
    for step in [0, 9000, -6000_i32, 3000, 12_000] {
        sender.step(step.cast_unsigned());
        places.push(place(&mut ingest, &mut sender, now));
    }
    assert_eq!(places, [1000, 10_000, 4000, 7000, 19_000]);
}

#[test]
fn a_clock_reset_goes_on_with_the_real_time_passed() {
    for wild in [0_u32, 1 << 31, 900_000_000, u32::MAX] {
        let mut ingest = ingest(Codec::H264, true);
        let mut sender = Sender::new();
        let now = start();
        sender.timestamp = 450_000_000;
        let first = place(&mut ingest, &mut sender, now);
        sender.timestamp = wild;
        assert_eq!(place(&mut ingest, &mut sender, now + ms(40)), first + 3600);
        sender.step(3600);
        assert_eq!(place(&mut ingest, &mut sender, now + ms(80)), first + 7200);
    }
}

#[test]
fn a_step_is_a_reset_only_beyond_its_bound() {
    let bound = 90_000 * timeline::MAX_STEP.as_secs() as i32;
    for (step, reset) in
        [(-bound, false), (-bound - 1, true), (bound + 3600, false), (bound + 3601, true)]
    {
        let mut ingest = ingest(Codec::H264, true);
        let mut sender = Sender::new();
        let now = start();
        place(&mut ingest, &mut sender, now);
        sender.step(900_000);
        let first = place(&mut ingest, &mut sender, now + ms(10_000));
        sender.step(step.cast_unsigned());
        let found = place(&mut ingest, &mut sender, now + ms(10_040)) as i64 - first as i64;
        assert_eq!(found, if reset { 3600 } else { i64::from(step) }, "{step}");
    }
}

#[test]
fn a_network_stall_is_no_reset() {
    let mut ingest = ingest(Codec::H264, true);
    let mut sender = Sender::new();
    let now = start();
    let first = place(&mut ingest, &mut sender, now);
    for index in 1..300 {
        sender.step(3600);
        let found = place(&mut ingest, &mut sender, now + ms(12_000));
        assert_eq!(found, first + index * 3600);
    }
}

#[test]
fn sender_reports_give_capture_times_and_the_canonical_mapping() {
    let mut ingest = ingest(Codec::H264, true);
    let mut sender = Sender::new();
    let now = start();
    assert_eq!(frame(&mut ingest, &mut sender, now).descriptor.capture, None);
    assert_eq!(ingest.sender_info(), None);
    // 1.5 s after 1970-01-01 00:01:40, at the sender's present timestamp.
    let ntp = (2_208_988_900 << 32) + (3 << 31);
    ingest.handle_sender_report(now, SenderInfo { ntp, rtp: sender.timestamp });
    assert_eq!(ingest.sender_info(), Some(SenderInfo { ntp, rtp: 1000 }));
    sender.step(9000);
    let found = frame(&mut ingest, &mut sender, now + ms(100)).descriptor.capture;
    assert_eq!(found, Some(CaptureTime(101_600_000)));
    assert_eq!(ingest.sender_info(), Some(SenderInfo { ntp, rtp: 1000 }));
    // The report of a clock that was reset says nothing any more.
    sender.step(1 << 30);
    assert_eq!(frame(&mut ingest, &mut sender, now + ms(200)).descriptor.capture, None);
    assert_eq!(ingest.sender_info(), None);
}

#[test]
fn reports_without_a_wall_clock_give_no_capture_time() {
    for ntp in [0, 1, 2_208_988_799 << 32] {
        let mut ingest = ingest(Codec::H264, true);
        let mut sender = Sender::new();
        ingest.handle_sender_report(start(), SenderInfo { ntp, rtp: sender.timestamp });
        assert_eq!(frame(&mut ingest, &mut sender, start()).descriptor.capture, None);
    }
}

#[test]
fn reports_of_any_value_are_harmless() {
    for seed in 0..500 {
        let mut random = Random(seed);
        let mut ingest = ingest(Codec::H264, true);
        let mut sender = Sender::new();
        sender.timestamp = random.next() as u32;
        let info = SenderInfo { ntp: random.next(), rtp: random.next() as u32 };
        ingest.handle_sender_report(start(), info);
        frame(&mut ingest, &mut sender, start());
        assert_eq!(ingest.sender_info().map(|found| found.ntp), Some(info.ntp));
    }
}
