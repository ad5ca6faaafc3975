//! Publishers that crash, come back, or are taken over; and poor links.

use std::time::Duration;

use sightline_relay_proto::codec::Codec;
use sightline_relay_proto::hub::{EndReason, HubEvent, SubscribeError};
use sightline_relay_proto::hub::{Pacing, Selection};
use sightline_relay_proto::ids::TrackIndex;
use sightline_relay_proto::limits::PUBLISHER_RESUME;

use crate::camera::{LONG_GOP, Media, VIDEO};
use crate::link::LOSSY;
use crate::world::Step::{Check, Conditions, Crash, Join, Publish, Run};
use crate::world::{World, key, simulate};

const SHORT_GOP: Media = Media { gop: 50, ..LONG_GOP };
const JUST_BEFORE: Duration = PUBLISHER_RESUME.saturating_sub(Duration::from_millis(10));

#[test]
fn a_camera_that_comes_back_in_time_continues_the_stream() {
    simulate(
        "crash and resume",
        &[
            Publish("a camera publishes", SHORT_GOP),
            Join("a viewer watches"),
            Run("for a while", Duration::from_secs(5)),
            Crash("the camera loses power"),
            Run("nearly too long", JUST_BEFORE),
            Publish("it comes back with other sequence numbers, timestamps and SSRCs", SHORT_GOP),
            Run("the stream goes on", Duration::from_secs(5)),
            Check("the viewer noticed nothing but the pause", |world| {
                assert!(!world.viewers[0].ended);
                world.viewers[0].check_numbering();
                check_pause(world);
            }),
            Check("the stream never went offline", |world| {
                let presence = HubEvent::Presence { key: key(), live: true };
                let events: Vec<_> = world.events.iter().map(|(_, event)| event).collect();
                assert_eq!(events, [&presence]);
            }),
        ],
    );
}

#[test]
fn a_camera_that_stays_away_ends_the_stream_at_the_bound() {
    simulate(
        "crash for good",
        &[
            Publish("a camera publishes", SHORT_GOP),
            Join("a viewer watches"),
            Run("for a while", Duration::from_secs(5)),
            Crash("the camera loses power"),
            Run("nearly too long", JUST_BEFORE),
            Check("the stream still waits", |world| {
                assert!(!world.viewers[0].ended);
                assert!(world.hub.tracks(&key()).is_some());
            }),
            Run("to the bound", PUBLISHER_RESUME - JUST_BEFORE),
            Check("the stream is over", |world| {
                let subscriber = world.viewers[0].id;
                let reason = EndReason::PublisherGone;
                let ended = HubEvent::SubscriberEnded { subscriber, reason };
                let offline = HubEvent::Presence { key: key(), live: false };
                let events: Vec<_> = world.events[1..].iter().map(|(_, e)| e.clone()).collect();
                assert_eq!(events, [ended, offline]);
                let selection =
                    Selection { tracks: vec![VIDEO], pacing: Pacing::Whole, mode: world.mode };
                let refused = world.hub.subscribe(world.now(), &key(), selection);
                assert_eq!(refused, Err(SubscribeError::NotLive));
                assert_eq!(world.hub.stats().cached_bytes, 0);
                assert_eq!(world.hub.poll_timeout(), None);
            }),
        ],
    );
}

#[test]
fn a_second_connection_of_a_camera_takes_over() {
    simulate(
        "takeover",
        &[
            Publish("a camera publishes", SHORT_GOP),
            Join("a viewer watches"),
            Run("for a while", Duration::from_millis(3010)),
            Publish("the camera connects anew, its old connection half dead", SHORT_GOP),
            Run("the stream goes on", Duration::from_secs(5)),
            Check("the old connection is to be closed", |world| {
                let publisher = world.publishers[0];
                let replaced = HubEvent::PublisherReplaced { publisher };
                assert!(world.events.iter().any(|(_, event)| *event == replaced));
                let now = world.now();
                world.hub.unpublish(now, publisher);
                world.run(PUBLISHER_RESUME + Duration::from_secs(1));
                assert!(!world.viewers[0].ended, "the late goodbye of the old one ends nothing");
            }),
            Check("the viewer goes on", |world| {
                world.viewers[0].check_numbering();
                let last = world.viewers[0].got.last().expect("frames came");
                assert!(world.at() - last.at < Duration::from_millis(50));
            }),
        ],
    );
}

#[test]
fn a_camera_that_comes_back_with_another_codec_ends_its_viewers() {
    simulate(
        "other tracks",
        &[
            Publish("a camera publishes H.264", SHORT_GOP),
            Join("a viewer watches"),
            Run("for a while", Duration::from_secs(3)),
            Publish("it comes back with H.265", Media { codec: Codec::H265, ..SHORT_GOP }),
            Check("the viewer must set up anew", |world| {
                let subscriber = world.viewers[0].id;
                let reason = EndReason::TracksChanged;
                let ended = HubEvent::SubscriberEnded { subscriber, reason };
                assert_eq!(world.events.last().map(|(_, event)| event), Some(&ended));
                assert_eq!(world.hub.tracks(&key()).map(|t| t[0].codec), Some(Codec::H265));
                assert!(world.hub.poll_delivery(world.now(), subscriber).is_none());
            }),
        ],
    );
}

#[test]
fn a_poor_link_loses_frames_but_never_order() {
    simulate(
        "lossy link",
        &[
            Conditions("loss, jitter, reordering, duplicates", LOSSY),
            Publish("a camera that obeys requests", Media { obeys_requests: true, ..LONG_GOP }),
            Join("a viewer watches"),
            Run("for half a minute", Duration::from_secs(30)),
            Join("another joins late"),
            Run("for a while more", Duration::from_secs(10)),
            Check("no gap, no step back, no repetition", |world| {
                for viewer in &world.viewers {
                    viewer.check_numbering();
                    let captured: Vec<_> = viewer.pictures().map(|got| got.captured).collect();
                    assert!(captured.is_sorted_by(|a, b| a < b));
                }
            }),
            Check("most pictures came, live", |world| {
                let first = &world.viewers[0];
                assert!(first.pictures().count() > 40 * 25 * 9 / 10);
                let last = first.pictures().last().expect("pictures came");
                assert!(world.at() - last.captured < Duration::from_millis(500));
                assert!(world.hub.stats().frames_lost > 0);
            }),
            Check("keyframes were asked for, at most one a second", |world| {
                assert!(!world.asked.is_empty());
                for pair in world.asked.windows(2) {
                    assert!(pair[1] - pair[0] >= Duration::from_secs(1), "{:?}", world.asked);
                }
            }),
        ],
    );
}

#[test]
fn a_camera_that_crashes_again_and_again_keeps_one_timeline() {
    simulate(
        "crash loop",
        &[
            Publish("a camera publishes", SHORT_GOP),
            Join("a viewer watches"),
            Check("it crashes twenty times, at odd moments", |world| {
                for turn in 1..=20_u64 {
                    world.run(Duration::from_millis(turn * 137 % 1900));
                    world.crash();
                    world.run(Duration::from_millis(turn * 911 % 9000));
                    world.publish(SHORT_GOP);
                }
                world.run(Duration::from_secs(2));
            }),
            Check("sequence and time run on for the viewer", |world| {
                assert!(!world.viewers[0].ended);
                world.viewers[0].check_numbering();
                let selected = Selection {
                    tracks: vec![TrackIndex(0), TrackIndex(9)],
                    pacing: Pacing::Whole,
                    mode: world.mode,
                };
                assert!(world.hub.subscribe(world.now(), &key(), selected).is_ok());
            }),
        ],
    );
}

/// The timestamps of the pause grow by the time that passed.
fn check_pause(world: &World) {
    let pictures: Vec<_> = world.viewers[0].pictures().collect();
    let pair = pictures.windows(2).max_by_key(|pair| pair[1].at - pair[0].at).expect("a pause");
    let passed = (pair[1].at - pair[0].at).as_secs_f64();
    let ticks = f64::from(pair[1].timestamp.wrapping_sub(pair[0].timestamp)) / 90_000.0;
    assert!(passed > 14.0);
    assert!((passed - ticks).abs() < 0.050, "{passed} s passed, {ticks} s on the timeline");
}
