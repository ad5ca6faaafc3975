//! Behaviour of the hub on frames made by hand.

use std::time::{Duration, Instant};

use super::stream::RING_TAIL;
use super::subscriber::RESEND_WINDOW;
use super::testing::{FrameSpec, start, video_frame};
use super::track::REPORT_LIFE;
use super::*;
use crate::codec::Codec;
use crate::ids::{Channel, DeviceId};
use crate::limits::{KEYFRAME_REQUEST_INTERVAL, MAX_LAG, MAX_PUBLISHER_PACKETS, PUBLISHER_BURST};

mod mirrors;

const MAIN: TrackIndex = TrackIndex(0);
/// A picture every 40 ms.
const FRAME: u64 = 3600;
const INTERVAL: Duration = Duration::from_millis(40);
const STEP: Duration = Duration::from_millis(1);

struct Bench {
    hub: Hub,
    now: Instant,
    publisher: PublisherId,
    /// Next canonical number of each track.
    seqs: [u64; 8],
    media: [u64; 8],
}

fn key() -> StreamKey {
    StreamKey::up(DeviceId::new("CAM-1").unwrap(), Channel(0))
}

fn publication(tracks: &[TrackInfo]) -> Publication {
    Publication {
        key: key(),
        tracks: tracks.to_vec(),
        mode: Mode::Open,
        takes_keyframe_requests: true,
        unordered: false,
    }
}

fn selection(tracks: &[u8]) -> Selection {
    Selection {
        tracks: tracks.iter().copied().map(TrackIndex).collect(),
        pacing: Pacing::Chunks,
        mode: Mode::Open,
    }
}

fn video() -> TrackInfo {
    TrackInfo::video(Codec::H264)
}

fn audio() -> TrackInfo {
    TrackInfo::audio(Codec::Opus, 48_000, 2)
}

impl Bench {
    fn new(tracks: &[TrackInfo]) -> Self {
        let mut hub = Hub::new(1);
        let now = start();
        let publisher = hub.publish(now, publication(tracks)).unwrap();
        Self { hub, now, publisher, seqs: [100; 8], media: [1_000_000; 8] }
    }

    fn frame(&mut self, track: u8, keyframe: bool) {
        self.frame_with(FrameSpec { track, keyframe, packets: 2, ..FrameSpec::default() }, false);
    }

    fn frame_with(&mut self, spec: FrameSpec, discontinuity: bool) {
        let at = usize::from(spec.track);
        let (seq, media) = (self.seqs[at], self.media[at]);
        self.seqs[at] += spec.packets as u64;
        self.media[at] += FRAME;
        let arrival = Some(self.now);
        let mut frame = video_frame(FrameSpec { seq, media, arrival, ..spec });
        frame.descriptor.discontinuity = discontinuity;
        let stream = self.hub.by_key[&key()];
        self.hub.handle_frame(self.now, stream, frame);
        self.hub.check_invariants();
    }

    /// Pictures in real time, the first one a keyframe if wanted.
    fn pictures(&mut self, count: usize, keyframe: bool) {
        for i in 0..count {
            self.now += INTERVAL;
            self.frame(0, keyframe && i == 0);
        }
    }

    fn subscribe(&mut self, tracks: &[u8]) -> SubscriberId {
        self.hub.subscribe(self.now, &key(), selection(tracks)).unwrap()
    }

    fn ready(&mut self) -> Vec<SubscriberId> {
        let (now, hub) = (self.now, &mut self.hub);
        std::iter::from_fn(|| hub.poll_ready(now)).collect()
    }

    fn drain(&mut self, id: SubscriberId) -> Vec<Delivery> {
        let (now, hub) = (self.now, &mut self.hub);
        std::iter::from_fn(|| hub.poll_delivery(now, id)).collect()
    }

    fn asks(&mut self) -> usize {
        let hub = &mut self.hub;
        let events = std::iter::from_fn(|| hub.poll_event());
        events.filter(|event| matches!(event, HubEvent::KeyframeNeeded { .. })).count()
    }
}

#[test]
fn a_stream_has_one_track_to_its_bound_of_tracks() {
    let mut hub = Hub::new(1);
    for (tracks, legal) in [(0, false), (1, true), (MAX_TRACKS, true), (MAX_TRACKS + 1, false)] {
        let result = hub.publish(start(), publication(&vec![video(); tracks]));
        assert_eq!(result.is_ok(), legal, "{tracks} tracks");
    }
}

#[test]
fn a_seed_fixes_every_name_and_all_tracks_have_their_own() {
    let names = |seed| {
        let mut hub = Hub::new(seed);
        hub.publish(start(), publication(&[video(), audio()])).unwrap();
        [0, 1].map(|track| hub.ssrc(&key(), TrackIndex(track)).unwrap())
    };
    assert_eq!(names(1), names(1));
    assert_ne!(names(1), names(2));
    assert_ne!(names(1)[0], names(1)[1]);
}

#[test]
fn refused_subscriptions_say_why() {
    let mut bench = Bench::new(&[video()]);
    let refused = bench.hub.subscribe(bench.now, &key(), selection(&[7, 255]));
    assert_eq!(refused, Err(SubscribeError::NoTrack));
    let nobody = StreamKey::up(DeviceId::new("CAM-2").unwrap(), Channel(0));
    let refused = bench.hub.subscribe(bench.now, &nobody, selection(&[0]));
    assert_eq!(refused, Err(SubscribeError::NotLive));
}

#[test]
fn a_subscriber_is_named_once_until_polled_dry_and_given_new_work() {
    let mut bench = Bench::new(&[video(), audio()]);
    bench.pictures(1, true);
    let id = bench.subscribe(&[0]);
    assert_eq!(bench.ready(), [id]);
    bench.pictures(1, false);
    assert_eq!(bench.ready(), [], "named already");
    assert_eq!(bench.drain(id).len(), 2);
    assert_eq!(bench.ready(), [], "nothing new");
    bench.frame(1, true);
    assert_eq!(bench.ready(), [], "it does not take that track");
    bench.pictures(2, false);
    assert_eq!(bench.ready(), [id], "two frames, one name");
    assert_eq!(bench.drain(id).len(), 2);
    bench.hub.unsubscribe(id);
    bench.pictures(1, false);
    assert_eq!(bench.ready(), []);
}

#[test]
fn a_full_transport_is_named_again_when_it_resumes() {
    let mut bench = Bench::new(&[video()]);
    bench.pictures(1, true);
    let id = bench.subscribe(&[0]);
    assert_eq!(bench.ready(), [id]);
    bench.pictures(3, false);
    assert!(bench.hub.poll_delivery(bench.now, id).is_some());
    assert_eq!(bench.ready(), []);
    bench.hub.resume(bench.now, id);
    assert_eq!(bench.ready(), [id]);
    assert_eq!(bench.drain(id).len(), 3);
    bench.hub.resume(bench.now, id);
    assert_eq!(bench.ready(), [], "it is dry");
}

#[test]
fn catch_up_deadlines_are_exact() {
    let mut bench = Bench::new(&[video()]);
    bench.pictures(101, true);
    let id = bench.subscribe(&[0]);
    assert_eq!(bench.ready(), [id]);
    assert_eq!(bench.drain(id).len(), 1);
    // Four seconds of backlog take one: five times as fast.
    let due = bench.now + INTERVAL / 5;
    assert_eq!(bench.hub.poll_timeout(), Some(due));
    bench.now = due - Duration::from_nanos(1);
    assert_eq!(bench.ready(), []);
    bench.now = due;
    bench.hub.handle_timeout(bench.now);
    assert_eq!(bench.ready(), [id]);
    assert_eq!(bench.drain(id).len(), 1);
}

#[test]
fn a_backlog_under_two_frames_is_just_sent() {
    for (pictures, at_once) in [(1, 1), (2, 2), (3, 1)] {
        let mut bench = Bench::new(&[video()]);
        bench.pictures(pictures, true);
        let id = bench.subscribe(&[0]);
        assert_eq!(bench.drain(id).len(), at_once, "{pictures} cached");
    }
}

#[test]
fn a_long_stall_ends_with_a_skip_that_leaves_no_gap_in_the_numbering() {
    let mut bench = Bench::new(&[video()]);
    bench.pictures(1, true);
    let id = bench.subscribe(&[0]);
    let mut next = bench.drain(id)[0].seq.wrapping_add(2);
    for _ in 0..5 {
        bench.pictures(50, false);
        bench.pictures(10, true);
        bench.hub.resume(bench.now, id);
        let got = bench.drain(id);
        assert_eq!(got.len(), 10);
        assert!(got[0].frame.descriptor.keyframe);
        for delivery in got {
            assert_eq!(delivery.seq, next);
            assert_eq!(delivery.timestamp, delivery.frame.descriptor.media_time.rtp());
            let payloads = &delivery.frame.payloads;
            let again = bench.hub.resend(bench.now, id, MAIN, delivery.seq.wrapping_add(1));
            assert_eq!(again.unwrap().payload.as_ptr(), payloads[1].as_ptr(), "shared, not copied");
            next = next.wrapping_add(2);
        }
    }
    assert_eq!(bench.hub.stats().skips, 5);
}

#[test]
fn lag_is_borne_up_to_its_bound() {
    // The newest frame is one interval past the bound, or at it.
    let bound = (MAX_LAG.as_millis() / INTERVAL.as_millis()) as usize;
    for (pictures, skips) in [(bound + 1, 0), (bound + 2, 1)] {
        let mut bench = Bench::new(&[video()]);
        bench.pictures(1, true);
        let id = bench.subscribe(&[0]);
        bench.drain(id);
        bench.pictures(1, false);
        bench.pictures(pictures - 1, false);
        bench.hub.resume(bench.now, id);
        bench.drain(id);
        assert_eq!(bench.hub.stats().skips, skips, "{pictures} pictures behind");
    }
}

#[test]
fn a_burst_of_the_publisher_makes_no_viewer_slow() {
    let mut bench = Bench::new(&[video()]);
    bench.pictures(1, true);
    let id = bench.subscribe(&[0]);
    bench.drain(id);
    for _ in 0..100 {
        bench.frame(0, false);
    }
    assert_eq!(bench.drain(id).len(), 100);
    assert_eq!(bench.hub.stats().skips, 0);
}

#[test]
fn a_skip_to_a_keyframe_far_behind_catches_up_again() {
    let mut bench = Bench::new(&[video()]);
    bench.pictures(1, true);
    let id = bench.subscribe(&[0]);
    let last = bench.drain(id).pop().unwrap().timestamp;
    bench.pictures(25, false);
    bench.pictures(101, true);
    bench.hub.resume(bench.now, id);
    let mut got = bench.drain(id);
    assert_eq!(got.len(), 1, "not a burst of four seconds");
    for _ in 0..60 {
        bench.pictures(1, false);
        got.extend(bench.drain(id));
    }
    assert_eq!(bench.hub.stats().skips, 1);
    let mut times = vec![last];
    times.extend(got.iter().map(|delivery| delivery.timestamp));
    assert!(times.is_sorted());
    let newest = got.last().unwrap();
    assert_eq!(newest.frame.first_seq + 2, bench.seqs[0], "it is live");
    assert_eq!(newest.timestamp, newest.frame.descriptor.media_time.rtp());
}

#[test]
fn a_viewer_late_in_its_catch_up_never_runs_backward_when_the_camera_has_stopped() {
    let mut bench = Bench::new(&[video()]);
    bench.pictures(101, true);
    let id = bench.subscribe(&[0]);
    bench.pictures(4, true);
    bench.now += Duration::from_millis(400);
    let mut got = bench.drain(id);
    let sent = got.len();
    bench.now += MAX_LAG + Duration::from_millis(500);
    bench.hub.resume(bench.now, id);
    got.extend(bench.drain(id));
    assert!(got.is_sorted_by_key(|delivery| delivery.timestamp));
    assert!(sent > 50, "half of the way");
    assert_eq!(got.len(), 105, "it goes on, late");
    assert_eq!(bench.hub.stats().skips, 0);
}

#[test]
fn a_viewer_late_in_its_catch_up_skips_to_a_newer_keyframe() {
    let mut bench = Bench::new(&[video()]);
    bench.pictures(101, true);
    let id = bench.subscribe(&[0]);
    let mut got = bench.drain(id);
    bench.pictures(50, true);
    bench.hub.resume(bench.now, id);
    for _ in 0..40 {
        bench.pictures(1, false);
        got.extend(bench.drain(id));
    }
    assert_eq!(bench.hub.stats().skips, 1);
    assert!(got.is_sorted_by_key(|delivery| delivery.timestamp));
    assert_eq!(got.len(), 1 + 50 + 40, "nothing of the old group but its first picture");
    let newest = got.last().unwrap();
    assert_eq!(newest.timestamp, newest.frame.descriptor.media_time.rtp());
}

#[test]
fn a_viewer_of_sound_alone_starts_at_the_next_frame() {
    let mut bench = Bench::new(&[video(), audio()]);
    bench.pictures(10, true);
    bench.frame(1, true);
    let id = bench.subscribe(&[1]);
    assert_eq!(bench.ready(), []);
    bench.frame(1, true);
    assert_eq!(bench.ready(), [id]);
    assert_eq!(bench.drain(id).len(), 1);
    assert_eq!(bench.asks(), 0, "sound needs no keyframe");
}

#[test]
fn a_stream_without_pictures_keeps_its_tail() {
    let mut bench = Bench::new(&[audio()]);
    for _ in 0..500 {
        bench.now += INTERVAL;
        bench.frame(0, true);
    }
    let kept = bench.hub.stats().cached_bytes as u128 / 200;
    assert_eq!(kept, RING_TAIL.as_millis() / INTERVAL.as_millis() + 1);
}

#[test]
fn a_viewer_waits_for_the_keyframe_of_each_picture_track() {
    let mut bench = Bench::new(&[video(), video()]);
    bench.frame(0, true);
    let id = bench.subscribe(&[0, 1, 1, 9]);
    assert_eq!(bench.drain(id).len(), 1);
    bench.frame(1, false);
    assert_eq!(bench.ready(), []);
    bench.frame(1, true);
    bench.frame(1, false);
    assert_eq!(bench.drain(id).len(), 2);
}

#[test]
fn a_waiting_viewer_has_the_camera_asked_until_a_keyframe_comes() {
    let mut bench = Bench::new(&[video()]);
    bench.pictures(3, false);
    let id = bench.subscribe(&[0]);
    assert_eq!(bench.asks(), 1);
    bench.now += KEYFRAME_REQUEST_INTERVAL;
    bench.hub.handle_timeout(bench.now);
    assert_eq!(bench.asks(), 1);
    bench.pictures(1, true);
    assert_eq!(bench.drain(id).len(), 1);
    bench.now += KEYFRAME_REQUEST_INTERVAL * 2;
    bench.hub.handle_timeout(bench.now);
    assert_eq!(bench.asks(), 0);
}

#[test]
fn a_request_made_while_the_publisher_is_away_reaches_the_one_that_comes_back() {
    let mut bench = Bench::new(&[video()]);
    bench.hub.unpublish(bench.now, bench.publisher);
    bench.subscribe(&[0]);
    assert_eq!(bench.asks(), 0);
    bench.hub.publish(bench.now, publication(&[video()])).unwrap();
    assert_eq!(bench.asks(), 1);
}

#[test]
fn a_keyframe_is_asked_for_after_a_loss_only_if_somebody_watches() {
    for watched in [false, true] {
        let mut bench = Bench::new(&[video()]);
        bench.pictures(2, true);
        if watched {
            bench.subscribe(&[0]);
        }
        bench.frame_with(FrameSpec::default(), true);
        assert_eq!(bench.asks(), usize::from(watched));
    }
}

#[test]
fn a_keyframe_is_asked_for_when_another_publisher_goes_on_without_one() {
    for keyframe in [true, false] {
        let mut bench = Bench::new(&[video()]);
        bench.pictures(2, true);
        let id = bench.subscribe(&[0]);
        bench.publisher = bench.hub.publish(bench.now, publication(&[video()])).unwrap();
        assert_eq!(bench.asks(), 0);
        bench.frame(0, keyframe);
        bench.frame(0, false);
        assert_eq!(bench.asks(), usize::from(!keyframe));
        assert_eq!(bench.drain(id).len(), 4);
    }
}

#[test]
fn packets_are_sent_again_up_to_the_window_and_only_if_sent_before() {
    let mut bench = Bench::new(&[video()]);
    bench.pictures(2, true);
    let id = bench.subscribe(&[0]);
    let got = bench.drain(id);
    let seq = got[1].seq;
    let resend = |bench: &Bench, seq| bench.hub.resend(bench.now, id, MAIN, seq);
    let packet = resend(&bench, seq).unwrap();
    assert_eq!((packet.timestamp, packet.marker), (got[1].timestamp, false));
    assert!(resend(&bench, seq.wrapping_add(1)).unwrap().marker);
    assert!(resend(&bench, seq.wrapping_add(2)).is_none(), "not sent yet");
    assert!(resend(&bench, got[0].seq.wrapping_sub(1)).is_none(), "never sent");
    assert!(bench.hub.resend(bench.now, id, TrackIndex(5), seq).is_none());
    bench.now += RESEND_WINDOW;
    assert!(resend(&bench, seq).is_some());
    bench.now += STEP;
    assert!(resend(&bench, seq).is_none());
}

#[test]
fn reports_use_the_publishers_clock_only_when_it_covers_all_selected_tracks() {
    let mut bench = Bench::new(&[video(), audio()]);
    let packet = |payload: &[u8], rtp: u32| {
        let mut packet = crate::wire::rtp::header(96, true, 1, rtp, 7).to_vec();
        packet.extend_from_slice(payload);
        Bytes::from(packet)
    };
    let publisher = bench.publisher;
    bench.hub.handle_rtp(bench.now, publisher, MAIN, packet(&[0x65, 0x88, 1, 2], 9000));
    bench.hub.handle_rtp(bench.now, publisher, TrackIndex(1), packet(&[0xfc, 1, 2], 4800));
    let id = bench.subscribe(&[0, 1]);
    let unix = Duration::from_secs(1_800_000_000);
    let says = |bench: &Bench, track| {
        bench.hub.sender_info(bench.now, unix, id, TrackIndex(track)).unwrap().ntp >> 32
    };
    let camera = SenderInfo { ntp: 5_000_000_000 << 32 >> 1, rtp: 9000 };
    bench.hub.handle_sender_report(bench.now, publisher, MAIN, camera);
    assert_eq!([says(&bench, 0), says(&bench, 1)], [4_008_988_800; 2], "arrivals for both");
    bench.hub.handle_sender_report(bench.now, publisher, TrackIndex(1), camera);
    bench.now += Duration::from_secs(1);
    let seconds = (camera.ntp >> 32) + 1;
    assert_eq!([says(&bench, 0), says(&bench, 1)], [seconds; 2], "the camera's clock for both");
    bench.now += REPORT_LIFE - Duration::from_secs(1);
    assert_eq!(says(&bench, 0), (camera.ntp >> 32) + REPORT_LIFE.as_secs(), "old, but true");
    bench.now += STEP;
    assert_eq!([says(&bench, 0), says(&bench, 1)], [4_008_988_800; 2], "too old");
}

#[test]
fn strangers_and_malformed_packets_are_counted_and_change_nothing() {
    let mut bench = Bench::new(&[video()]);
    let packet = Bytes::from_static(&[0x80; 3]);
    bench.hub.handle_rtp(bench.now, PublisherId(99), MAIN, packet.clone());
    bench.hub.handle_rtp(bench.now, bench.publisher, TrackIndex(3), packet.clone());
    bench.hub.handle_rtp(bench.now, bench.publisher, MAIN, packet);
    let stats = bench.hub.stats();
    assert_eq!((stats.packets_in, stats.packets_dropped, stats.frames_in), (3, 3, 0));
}

#[test]
fn a_publisher_over_its_ceiling_loses_packets_and_its_neighbour_none() {
    let mut bench = Bench::new(&[video()]);
    let other = StreamKey::up(DeviceId::new("CAM-2").unwrap(), Channel(0));
    let neighbour = Publication { key: other, ..publication(&[video()]) };
    let neighbour = bench.hub.publish(bench.now, neighbour).unwrap();
    let packet = || Bytes::from_static(&[0x80; 3]);
    for _ in 0..MAX_PUBLISHER_PACKETS * PUBLISHER_BURST.as_secs() {
        bench.hub.handle_rtp(bench.now, bench.publisher, MAIN, packet());
    }
    assert_eq!(bench.hub.stats().packets_over_rate, 0);
    bench.hub.handle_rtp(bench.now, bench.publisher, MAIN, packet());
    assert_eq!(bench.hub.stats().packets_over_rate, 1);
    bench.hub.handle_rtp(bench.now, neighbour, MAIN, packet());
    assert_eq!(bench.hub.stats().packets_over_rate, 1);
    let again = bench.hub.publish(bench.now, publication(&[video()])).unwrap();
    bench.hub.handle_rtp(bench.now, again, MAIN, packet());
    assert_eq!(bench.hub.stats().packets_over_rate, 2, "reconnecting gives no new allowance");
}

#[test]
fn each_frame_is_counted_once_for_each_viewer_that_gets_it() {
    let mut bench = Bench::new(&[video()]);
    bench.pictures(1, true);
    let viewers = [bench.subscribe(&[0]), bench.subscribe(&[0])];
    bench.pictures(1, false);
    for viewer in viewers {
        bench.drain(viewer);
    }
    assert_eq!(bench.hub.stats().frames_out, 4);
}

#[test]
fn a_stream_says_whether_it_is_sealed() {
    let mut hub = Hub::new(1);
    assert_eq!(hub.mode(&key()), None);
    for mode in [Mode::Sealed, Mode::Open] {
        hub.publish(start(), Publication { mode, ..publication(&[video()]) }).unwrap();
        assert_eq!(hub.mode(&key()), Some(mode));
    }
}

#[test]
fn what_runs_of_a_device_in_the_mode_that_it_left_ends_with_its_viewers() {
    for (stream, other) in [(Mode::Open, Mode::Sealed), (Mode::Sealed, Mode::Open)] {
        let (mut hub, now) = (Hub::new(1), start());
        let publication = Publication { mode: stream, ..publication(&[video()]) };
        let publisher = hub.publish(now, publication.clone()).unwrap();
        let selection = Selection { mode: stream, ..selection(&[0]) };
        let subscriber = hub.subscribe(now, &key(), selection).unwrap();
        while hub.poll_event().is_some() {}
        let device = key().device;
        hub.end_other_mode(&DeviceId::new("CAM-2").unwrap(), other);
        hub.end_other_mode(&device, stream);
        assert_eq!((hub.mode(&key()), hub.poll_event()), (Some(stream), None));
        assert_eq!(hub.stats().sealed, u64::from(stream.is_sealed()));
        hub.end_other_mode(&device, other);
        assert_eq!((hub.mode(&key()), hub.stats().sealed), (None, 0));
        let reason = EndReason::PublisherGone;
        let ended = HubEvent::SubscriberEnded { subscriber, reason };
        assert_eq!(hub.poll_event(), Some(ended));
        // Its transport hears of it a moment later.
        hub.unpublish(now, publisher);
        // A stream that waits for its publisher ends as well.
        let publisher = hub.publish(now, publication).unwrap();
        hub.unpublish(now, publisher);
        hub.end_other_mode(&device, other);
        assert_eq!((hub.mode(&key()), hub.poll_timeout()), (None, None));
    }
}

#[test]
fn a_viewer_is_let_in_for_the_mode_that_it_was_promised_only() {
    let mut hub = Hub::new(1);
    for (stream, other) in [(Mode::Open, Mode::Sealed), (Mode::Sealed, Mode::Open)] {
        let publication = Publication { mode: stream, ..publication(&[video()]) };
        hub.publish(start(), publication).unwrap();
        let mut join = |mode| hub.subscribe(start(), &key(), Selection { mode, ..selection(&[0]) });
        assert_eq!(join(other), Err(SubscribeError::OtherMode { stream }));
        assert!(join(stream).is_ok());
    }
}

#[test]
fn a_picture_of_a_new_key_that_is_no_keyframe_has_one_asked_for_if_somebody_watches() {
    use crate::ingest::SealedBy;
    use crate::wire::sealed::tests::{head, sealed as sealed_frame};
    use crate::wire::{rtp, sealed};

    let by = SealedBy::of(&key());
    for watched in [false, true] {
        let (mut hub, now) = (Hub::new(1), start());
        let publication = Publication { mode: Mode::Sealed, ..publication(&[video()]) };
        let publisher = hub.publish(now, publication).unwrap();
        let selection = Selection { mode: Mode::Sealed, ..selection(&[0]) };
        if watched {
            hub.subscribe(now, &key(), selection).unwrap();
        }
        // Whatever a viewer that waits has asked for is long answered.
        hub.streams.get_mut(hub.by_key[&key()]).unwrap().clear_asks();
        while hub.poll_event().is_some() {}
        let now = now + KEYFRAME_REQUEST_INTERVAL;
        let mut head = head();
        head.descriptor.keyframe = false;
        (head.descriptor.serial, head.descriptor.channel) = (by.serial, by.channel);
        (head.descriptor.track, head.header.key.track) = (MAIN, MAIN);
        head.header.key.channel = by.channel;
        let payload = &sealed::cut(&sealed_frame(head, 100)).unwrap()[0];
        let packet = [&rtp::header(96, true, 1, 2, 3)[..], payload].concat();
        hub.handle_rtp(now, publisher, MAIN, packet.into());
        let asked = HubEvent::KeyframeNeeded { publisher, track: MAIN };
        assert_eq!(hub.poll_event(), watched.then_some(asked));
        assert_eq!(hub.stats().frames_lost, 1);
    }
}

#[test]
fn viewers_that_come_and_go_on_a_still_stream_leave_nothing_behind() {
    let mut bench = Bench::new(&[video()]);
    for _ in 0..10_000 {
        let id = bench.subscribe(&[0]);
        bench.hub.unsubscribe(id);
    }
    assert_eq!(bench.hub.stats().subscribers, 0);
    let stream = bench.hub.streams.get(bench.hub.by_key[&key()]).unwrap();
    assert!(stream.idle_entries() <= 65, "{}", stream.idle_entries());
    assert!(bench.ready().is_empty());
    bench.frame(0, true);
    for _ in 0..1000 {
        let id = bench.subscribe(&[0]);
        bench.hub.unsubscribe(id);
    }
    assert!(bench.hub.schedule.ready_entries() <= 65, "{}", bench.hub.schedule.ready_entries());
}

#[test]
fn the_longest_ring_pays_for_the_budget_of_all() {
    let now = start();
    let mut hub = Hub::with_cache_budget(1, 1000);
    let keys =
        ["CAM-1", "CAM-2"].map(|serial| StreamKey::up(DeviceId::new(serial).unwrap(), Channel(0)));
    for key in &keys {
        hub.publish(now, Publication { key: key.clone(), ..publication(&[video()]) }).unwrap();
    }
    let store = |hub: &mut Hub, stream: usize, bytes: usize| {
        let id = hub.by_key[&keys[stream]];
        let spec = FrameSpec { keyframe: true, bytes, arrival: Some(now), ..FrameSpec::default() };
        hub.handle_frame(now, id, video_frame(spec));
        hub.check_invariants();
        [0, 1].map(|stream| hub.streams.get(hub.by_key[&keys[stream]]).unwrap().ring.bytes())
    };
    assert_eq!(store(&mut hub, 0, 400), [400, 0]);
    assert_eq!(store(&mut hub, 0, 300), [700, 0]);
    assert_eq!(store(&mut hub, 1, 300), [700, 300], "at the bound");
    assert_eq!(store(&mut hub, 1, 1), [300, 301], "beyond it");
    assert_eq!(store(&mut hub, 1, 1001), [300, 0], "a frame beyond the budget is not kept");
    assert_eq!(hub.stats().cached_bytes, 300);
}
