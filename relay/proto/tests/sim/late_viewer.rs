//! A viewer that joins in the middle of a group of pictures.

use std::time::Duration;

use sightline_relay_proto::hub::Hub;

use crate::camera::{AUDIO, LONG_GOP, Media, VIDEO};
use crate::viewer::{Got, Viewer};
use crate::world::Step::{Check, Join, Publish, Run};
use crate::world::{UNIX_START, World, simulate};

/// By then a late viewer is live.
const LIVE_WITHIN: Duration = Duration::from_secs(3);

#[test]
fn a_late_viewer_starts_at_the_cached_keyframe_and_catches_up_smoothly() {
    simulate(
        "late viewer",
        &[
            Publish("a camera with a keyframe every 10 s", LONG_GOP),
            Join("one viewer is there from the start"),
            Run("into the middle of the second group", Duration::from_millis(16_730)),
            Join("another joins"),
            Check("its first picture, a keyframe, comes at once", starts_at_once),
            Check("reports during catch-up match the time of sending", |world| {
                world.run(Duration::from_millis(700));
                check_send_times(world);
            }),
            Run("it catches up and goes on", Duration::from_secs(9)),
            Check("time runs evenly on its screen", |world| runs_evenly(&world.viewers[1])),
            Check("it is live within 3 s", is_live),
            Check("its headers are those of the other viewer", shares_headers),
            Check("sound starts at the live edge, in step with the picture", sound_is_in_step),
        ],
    );
}

#[test]
fn a_viewer_that_joins_just_before_the_next_keyframe_never_jumps() {
    simulate(
        "join at the end of a group",
        &[
            Publish("a camera with a keyframe every 10 s", LONG_GOP),
            Join("one viewer is there from the start"),
            Run("nearly to the end of the first group", Duration::from_millis(9_700)),
            Join("another joins"),
            Check("its first picture comes at once", starts_at_once),
            Run("past the keyframe", Duration::from_secs(6)),
            Check("time runs evenly on its screen", |world| runs_evenly(&world.viewers[1])),
            Check("it is live within 3 s", is_live),
            Check("nothing was skipped", |world| assert_eq!(world.hub.stats().skips, 0)),
            Check("its headers are those of the other viewer", shares_headers),
        ],
    );
}

#[test]
fn a_catch_up_over_b_frames_keeps_their_order() {
    let media = Media { b_frames: 2, ..LONG_GOP };
    simulate(
        "late viewer of b-frames",
        &[
            Publish("a camera that sends pictures out of order", media),
            Join("one viewer is there from the start"),
            Run("into the group", Duration::from_millis(6_200)),
            Join("another joins"),
            Check("its first picture comes at once", starts_at_once),
            Run("it catches up", Duration::from_secs(5)),
            Check("time runs evenly on its screen", |world| runs_evenly(&world.viewers[1])),
            Check("it is live within 3 s", is_live),
            Check("its headers are those of the other viewer", shares_headers),
        ],
    );
}

#[test]
fn a_viewer_that_joins_at_every_moment_of_a_group_starts_and_goes_live() {
    let mut world = World::new(7, Hub::new(7));
    world.publish(LONG_GOP);
    world.join(&[0, 1]);
    world.run(Duration::from_millis(100));
    for _ in 0..100 {
        world.run(Duration::from_millis(109));
        world.join(&[0, 1]);
    }
    world.run(Duration::from_secs(4));
    assert_eq!(world.hub.stats().skips, 0);
    for viewer in &world.viewers[1..] {
        assert_eq!(viewer.got[0].at, viewer.joined);
        assert!(viewer.got[0].keyframe);
        runs_evenly(viewer);
        check_live(viewer);
    }
}

fn starts_at_once(world: &mut World) {
    let viewer = &world.viewers[1];
    let first = viewer.got.first().expect("a first frame is there");
    assert_eq!(first.at, viewer.joined);
    assert!(first.keyframe);
    assert_eq!(first.track, VIDEO);
}

fn runs_evenly(viewer: &Viewer) {
    viewer.check_numbering();
    let pictures: Vec<&Got> = viewer.pictures().collect();
    for pair in pictures.windows(2) {
        assert!(
            pair[1].at - pair[0].at <= Duration::from_millis(200),
            "a picture stands: {pair:?}"
        );
    }
    let mut shown = pictures;
    shown.sort_by_key(|got| got.captured);
    for pair in shown.windows(2) {
        let step = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
        assert!(step <= 90 * 200, "the timeline jumps: {pair:?}");
    }
}

fn is_live(world: &mut World) {
    check_live(&world.viewers[1]);
}

fn check_live(viewer: &Viewer) {
    let live = viewer.got.iter().filter(|got| got.at >= viewer.joined + LIVE_WITHIN);
    for got in live.clone() {
        // A b-frame's capture lies up to three intervals from its sending.
        let behind = got.at.saturating_sub(got.captured);
        assert!(behind <= Duration::from_millis(130), "{behind:?} behind: {got:?}");
    }
    assert!(live.count() > 10);
}

fn shares_headers(world: &mut World) {
    let (other, late) = (&world.viewers[0], &world.viewers[1]);
    let live = late.got.iter().filter(|got| got.at >= late.joined + LIVE_WITHIN);
    for got in live {
        let same = other.of(got.track).find(|other| other.captured == got.captured);
        let same = same.expect("the other viewer got it too");
        assert_eq!((same.seq, same.timestamp), (got.seq, got.timestamp));
    }
    for got in late.pictures() {
        let same = other.pictures().find(|other| other.captured == got.captured);
        assert_eq!(same.map(|other| other.seq), Some(got.seq), "canonical from the start");
    }
}

fn check_send_times(world: &mut World) {
    let got = *world.viewers[1].pictures().last().expect("pictures came");
    let shown = world.shown_at(1, &got);
    assert!(shown.abs_diff(UNIX_START + got.at) <= Duration::from_millis(60), "{shown:?} {got:?}");
}

fn sound_is_in_step(world: &mut World) {
    let late = &world.viewers[1];
    let first = *late.of(AUDIO).next().expect("sound came");
    assert!(first.at <= late.joined + LIVE_WITHIN, "{first:?}");
    assert!(first.at - first.captured <= Duration::from_millis(60), "{first:?}");
    let sound = *late.of(AUDIO).last().expect("sound came");
    let picture = *late.pictures().last().expect("pictures came");
    let offset = |got: &Got| world.shown_at(1, got).as_secs_f64() - got.captured.as_secs_f64();
    let apart = offset(&sound) - offset(&picture);
    assert!(apart.abs() <= 0.060, "sound and picture are {apart} s apart");
}
