//! A viewer of a mirror sees what a viewer at the stream's home sees.

use super::*;

/// A home and a mirror of its stream in another hub.
struct Pair {
    home: Bench,
    stream: StreamId,
    away: Hub,
    mirror: StreamId,
}

/// What a viewer is sent, as far as it can tell.
type Sent = Vec<(TrackIndex, u16, u32, usize)>;

impl Pair {
    fn new(home: Bench) -> Self {
        let stream = home.hub.stream_of(home.publisher).unwrap();
        let facts = home.hub.facts(stream).unwrap();
        let mut away = Hub::new(99);
        let mirror = away.mirror(key(), &facts);
        Self { home, stream, away, mirror }
    }

    fn fill(&mut self) {
        let backlog = self.home.hub.follow(self.stream).unwrap();
        self.away.fill(self.home.now, self.mirror, backlog);
    }

    fn carry(&mut self) {
        for (stream, item) in self.home.hub.take_copied() {
            assert_eq!(stream, self.stream);
            self.away.handle_copied(self.home.now, self.mirror, item);
        }
    }

    fn subscribe(&mut self) -> [SubscriberId; 2] {
        let now = self.home.now;
        let [home, away] = [&mut self.home.hub, &mut self.away]
            .map(|hub| hub.subscribe(now, &key(), selection(&[0])).unwrap());
        [home, away]
    }

    /// What both viewers are sent now.
    fn drain(&mut self, [home, away]: [SubscriberId; 2]) -> [Sent; 2] {
        let now = self.home.now;
        [(&mut self.home.hub, home), (&mut self.away, away)].map(|(hub, id)| {
            while hub.poll_ready(now).is_some() {}
            let sent = std::iter::from_fn(|| hub.poll_delivery(now, id));
            sent.map(|it| (it.track, it.seq, it.timestamp, it.packets.len())).collect()
        })
    }

    fn asks_of_mirror(&mut self) -> usize {
        let events = std::iter::from_fn(|| self.away.poll_event());
        events.filter(|event| matches!(event, HubEvent::KeyframeNeeded { .. })).count()
    }
}

#[test]
fn a_mirror_is_of_the_mode_of_its_home() {
    for (mode, other) in [(Mode::Open, Mode::Sealed), (Mode::Sealed, Mode::Open)] {
        let (now, mut home, mut away) = (start(), Hub::new(1), Hub::new(2));
        let publication = Publication { mode, ..publication(&[video()]) };
        let publisher = home.publish(now, publication).unwrap();
        let facts = home.facts(home.stream_of(publisher).unwrap()).unwrap();
        away.mirror(key(), &facts);
        assert_eq!(away.mode(&key()), Some(mode));
        let mut join = |mode| away.subscribe(now, &key(), Selection { mode, ..selection(&[0]) });
        assert!(join(mode).is_ok());
        assert_eq!(join(other), Err(SubscribeError::OtherMode { stream: mode }));
    }
}

#[test]
fn a_late_viewer_of_a_mirror_is_sent_what_one_at_home_is_sent() {
    let mut home = Bench::new(&[video()]);
    home.pictures(20, true);
    let mut pair = Pair::new(home);
    pair.fill();
    let viewers = pair.subscribe();
    let mut total = 0;
    for _ in 0..200 {
        pair.home.pictures(1, false);
        pair.carry();
        let [home, away] = pair.drain(viewers);
        assert_eq!(home, away);
        total += home.len();
    }
    assert_eq!(total, 220);
    let (now, unix) = (pair.home.now, Duration::from_secs(1_700_000_000));
    let [home, away] = viewers;
    let told = pair.home.hub.sender_info(now, unix, home, MAIN);
    assert!(told.is_some());
    assert_eq!(told, pair.away.sender_info(now, unix, away, MAIN));
    assert_eq!((pair.away.stats().mirrors, pair.away.stats().streams), (1, 0));
    assert_eq!(pair.away.stats().frames_in, 0, "frames are counted where they come in");
}

#[test]
fn a_viewer_of_a_mirror_that_fills_starts_when_it_is_full_and_asks_for_nothing() {
    let mut home = Bench::new(&[video()]);
    home.pictures(5, true);
    let mut pair = Pair::new(home);
    let viewers = pair.subscribe();
    assert!(pair.away.is_filling(pair.mirror) && pair.away.is_watched(pair.mirror));
    let [_, away] = viewers;
    assert_eq!(pair.away.poll_ready(pair.home.now), None, "nothing to send yet");
    assert!(pair.away.poll_delivery(pair.home.now, away).is_none());
    pair.fill();
    assert!(!pair.away.is_filling(pair.mirror));
    assert_eq!(pair.asks_of_mirror(), 0, "the keyframe is in the cache");
    pair.home.now += Duration::from_secs(1);
    let [home, away] = pair.drain(viewers);
    assert_eq!((home.len(), &home), (5, &away));
}

#[test]
fn what_was_copied_before_a_mirror_was_filled_comes_once() {
    let mut home = Bench::new(&[video()]);
    home.pictures(2, true);
    let mut pair = Pair::new(home);
    pair.home.pictures(1, false);
    assert_eq!(pair.home.hub.take_copied().count(), 0, "nobody followed");
    pair.fill();
    pair.home.pictures(1, false);
    pair.carry();
    assert_eq!(pair.away.streams.get(pair.mirror.0).unwrap().ring.end(), 4);
    pair.home.hub.unfollow(pair.stream);
    pair.home.pictures(1, false);
    assert_eq!(pair.home.hub.take_copied().count(), 0);
}

#[test]
fn a_wish_for_a_keyframe_travels_to_the_home_and_is_merged_there() {
    let mut pair = Pair::new(Bench::new(&[video()]));
    pair.fill();
    let [_, viewer] = pair.subscribe();
    assert_eq!(pair.home.asks(), 1, "the viewer at home waits too");
    assert_eq!(pair.asks_of_mirror(), 1, "an empty cache has no keyframe");
    pair.home.hub.request_keyframe_for_mirror(pair.home.now, pair.stream, MAIN);
    assert_eq!(pair.home.asks(), 0, "asked within the interval");
    pair.home.now += KEYFRAME_REQUEST_INTERVAL;
    pair.away.request_keyframe(pair.home.now, viewer, MAIN);
    assert_eq!(pair.asks_of_mirror(), 1);
    pair.home.hub.request_keyframe_for_mirror(pair.home.now, pair.stream, MAIN);
    assert_eq!(pair.home.asks(), 1);
}

#[test]
fn a_lost_run_asks_for_a_keyframe_and_the_viewer_goes_on_with_what_comes() {
    let mut home = Bench::new(&[video()]);
    home.pictures(1, true);
    let mut pair = Pair::new(home);
    pair.fill();
    let viewers = pair.subscribe();
    pair.drain(viewers);
    pair.home.pictures(3, false);
    assert_eq!(pair.home.hub.take_copied().count(), 3);
    pair.away.handle_gap(pair.mirror);
    pair.home.pictures(1, false);
    pair.carry();
    assert_eq!(pair.asks_of_mirror(), 1);
    let [home, away] = pair.drain(viewers);
    assert_eq!((home.len(), away.len()), (4, 1));
    assert_eq!(home.last(), away.last(), "numbers show the gap, as packets lost on the way do");
}

#[test]
fn a_publisher_that_comes_back_is_seamless_in_a_mirror_too() {
    let mut home = Bench::new(&[video()]);
    home.pictures(2, true);
    let mut pair = Pair::new(home);
    pair.fill();
    let viewers = pair.subscribe();
    pair.drain(viewers);
    let now = pair.home.now;
    pair.home.hub.unpublish(now, pair.home.publisher);
    pair.home.publisher = pair.home.hub.publish(now, publication(&[video()])).unwrap();
    pair.carry();
    pair.home.pictures(1, false);
    pair.carry();
    assert_eq!(pair.asks_of_mirror(), 1, "pictures refer to what the new publisher never sent");
    pair.home.pictures(3, true);
    pair.carry();
    let [home, away] = pair.drain(viewers);
    assert_eq!((home.len(), &home), (4, &away));
}

#[test]
fn the_end_of_a_stream_ends_its_mirror_and_says_nothing_of_presence() {
    let mut home = Bench::new(&[video()]);
    home.pictures(2, true);
    let mut pair = Pair::new(home);
    pair.fill();
    let [_, viewer] = pair.subscribe();
    pair.away.end_mirror(pair.mirror, EndReason::PublisherGone);
    let reason = EndReason::PublisherGone;
    let events: Vec<_> = std::iter::from_fn(|| pair.away.poll_event()).collect();
    let stream = pair.mirror;
    let expected = [
        HubEvent::SubscriberEnded { subscriber: viewer, reason },
        HubEvent::StreamEnded { key: key(), stream, reason },
    ];
    assert_eq!(events, expected);
    assert_eq!((pair.away.stats().mirrors, pair.away.stats().cached_bytes), (0, 0));
    let again = pair.away.subscribe(pair.home.now, &key(), selection(&[0]));
    assert_eq!(again, Err(SubscribeError::NotLive));
}

#[test]
fn a_device_that_publishes_where_it_is_mirrored_ends_the_mirror() {
    let mut home = Bench::new(&[video()]);
    home.pictures(2, true);
    let mut pair = Pair::new(home);
    pair.fill();
    let [_, viewer] = pair.subscribe();
    pair.away.publish(pair.home.now, publication(&[video()])).unwrap();
    let events: Vec<_> = std::iter::from_fn(|| pair.away.poll_event()).collect();
    let reason = EndReason::TracksChanged;
    assert_eq!(events[0], HubEvent::SubscriberEnded { subscriber: viewer, reason });
    assert!(!events.iter().any(|event| matches!(event, HubEvent::PublisherReplaced { .. })));
    assert_eq!((pair.away.stats().mirrors, pair.away.stats().streams), (0, 1));
    pair.home.hub.give_up(pair.stream);
    let events: Vec<_> = std::iter::from_fn(|| pair.home.hub.poll_event()).collect();
    let publisher = pair.home.publisher;
    assert!(events.contains(&HubEvent::PublisherReplaced { publisher }), "{events:?}");
    assert_eq!(pair.home.hub.stats().streams, 0);
}
