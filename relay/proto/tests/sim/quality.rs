//! Viewers whose way carries less than their stream.

use std::time::Duration;

use sightline_relay_proto::frame::Mode;
use sightline_relay_proto::hub::{
    BUDGET_LIFE, HEADROOM_PERCENT, Hub, KEYFRAME_PATIENCE, PLENTY, SHORTAGE,
};

use crate::camera::{LONG_GOP, Media, SUB, VIDEO};
use crate::viewer::{Got, Viewer};
use crate::world::{World, seeds};

/// About 180 kbit/s with sound, a keyframe a second.
const ONE_TIER: Media = Media { gop: 25, ..LONG_GOP };
/// Keyframes of several chunks.
const LARGE_KEYFRAMES: Media = Media { sizes: (60_000, 2_000), ..ONE_TIER };
/// The same with a lower tier of about 60 kbit/s with sound.
const TWO_TIERS: Media = Media { sub_gop: Some(40), ..ONE_TIER };
/// Half of what either camera carries.
const HALF: u64 = 90_000;
/// More than what either camera carries, with the headroom.
const AMPLE: u64 = 250_000;
/// The same two of a sealed camera: 51 bytes more a frame are much where frames are small.
const SEALED_HALF: u64 = 130_000;
const SEALED_AMPLE: u64 = 330_000;
/// Time between two words of a viewer's estimator.
const FEEDBACK: Duration = Duration::from_millis(200);
/// Until a level is decided on, and its keyframe has come.
const SETTLED: Duration = Duration::from_secs(2);

/// A camera that has been on for a while, with an unlimited viewer and another.
fn start(seed: u64, media: Media) -> World {
    start_as(Mode::Open, seed, media)
}

fn start_as(mode: Mode, seed: u64, media: Media) -> World {
    println!("{}, seed {seed}", mode.name());
    let mut world = World::new(seed, Hub::new(seed));
    world.mode = mode;
    world.publish(media);
    world.join(&[0, 1]);
    world.join(&[0, 1]);
    world.run(Duration::from_secs(4));
    world
}

/// Time passes, and the second viewer's estimator says what its way carries.
fn limit(world: &mut World, time: Duration, mut budget: impl FnMut(u64) -> Option<u64>) {
    let end = world.at() + time;
    for step in 0.. {
        if world.at() >= end {
            return;
        }
        world.hub.set_budget(world.now(), world.viewers[1].id, budget(step));
        world.run(FEEDBACK);
    }
}

/// Pictures that the second viewer got since `from`.
fn pictures(world: &World, from: Duration) -> Vec<Got> {
    world.viewers[1].pictures().filter(|got| got.at >= from).copied().collect()
}

/// Whatever happened, each line is whole, and the first viewer has noticed nothing.
fn check_lines(world: &World) {
    for viewer in &world.viewers {
        viewer.check_numbering();
        viewer.check_keyframes();
    }
    let quick = &world.viewers[0];
    assert!(quick.got.iter().all(|got| got.at - got.captured <= Duration::from_millis(30)));
    assert_eq!(world.hub.stats().skips, 0);
    for pair in quick.pictures().collect::<Vec<_>>().windows(2) {
        assert_eq!(pair[1].captured - pair[0].captured, Duration::from_millis(40), "{pair:?}");
    }
}

/// Timestamps run with the camera's time, to within some milliseconds at a change of the tier.
fn check_clock(viewer: &Viewer) {
    for pair in viewer.pictures().collect::<Vec<_>>().windows(2) {
        let ticks = pair[1].timestamp.wrapping_sub(pair[0].timestamp).cast_signed();
        let captured = pair[1].captured.as_micros() as i64 - pair[0].captured.as_micros() as i64;
        let apart = i64::from(ticks) * 100 / 9 - captured;
        assert!(apart.abs() <= 10_000, "{apart} us: {pair:?}");
        assert!(ticks > 0, "{pair:?}");
    }
}

#[test]
fn a_viewer_with_half_the_rate_goes_to_the_lower_tier_and_comes_back() {
    let modes = [(Mode::Open, HALF, AMPLE), (Mode::Sealed, SEALED_HALF, SEALED_AMPLE)];
    for (seed, (mode, half, ample)) in seeds().flat_map(|seed| modes.map(|mode| (seed, mode))) {
        let mut world = start_as(mode, seed, TWO_TIERS);
        let limited = world.at();
        limit(&mut world, SHORTAGE + SETTLED, |_| Some(half));
        let settled = world.at();
        limit(&mut world, Duration::from_secs(10), |_| Some(half));
        let got = pictures(&world, settled);
        assert!(got.iter().all(|got| got.source == SUB && got.track == VIDEO));
        assert!(got.len() >= 249, "every picture of the tier: {}", got.len());
        let patient = limited + SHORTAGE;
        let before = pictures(&world, limited);
        assert!(before.iter().take_while(|got| got.at < patient).all(|got| got.source == VIDEO));
        assert_eq!((world.hub.stats().lowered, world.hub.stats().raised), (1, 0));
        limit(&mut world, PLENTY + SETTLED, |_| Some(ample));
        let recovered = world.at();
        limit(&mut world, Duration::from_secs(5), |_| Some(ample));
        assert!(pictures(&world, recovered).iter().all(|got| got.source == VIDEO));
        assert_eq!((world.hub.stats().lowered, world.hub.stats().raised), (1, 1));
        check_lines(&world);
        check_clock(&world.viewers[1]);
    }
}

#[test]
fn a_viewer_of_one_tier_gets_keyframes_only_and_then_all_again() {
    for seed in seeds() {
        let mut world = start(seed, ONE_TIER);
        limit(&mut world, SHORTAGE + SETTLED, |_| Some(HALF));
        let settled = world.at();
        limit(&mut world, Duration::from_secs(10), |_| Some(HALF));
        let got = pictures(&world, settled);
        assert!(got.iter().all(|got| got.keyframe));
        assert_eq!(got.len(), 10, "one a second");
        let sound = world.viewers[1].got.iter().filter(|got| got.track != VIDEO);
        assert!(sound.filter(|got| got.at >= settled).count() >= 499, "sound goes on");
        limit(&mut world, PLENTY + SETTLED, |_| None);
        let recovered = world.at();
        world.run(Duration::from_secs(4));
        assert_eq!(pictures(&world, recovered).len(), 100);
        assert_eq!((world.hub.stats().lowered, world.hub.stats().raised), (1, 1));
        check_lines(&world);
        check_clock(&world.viewers[1]);
    }
}

#[test]
fn keyframes_of_several_chunks_are_numbered_on_when_nothing_else_is_sent() {
    let mut world = start(12, LARGE_KEYFRAMES);
    limit(&mut world, SHORTAGE + SETTLED, |_| Some(HALF));
    let settled = world.at();
    limit(&mut world, Duration::from_millis(10_600), |_| Some(HALF));
    let got = pictures(&world, settled);
    assert!(got.iter().all(|got| got.keyframe && got.whole && got.packets > 50), "{got:?}");
    check_lines(&world);
}

#[test]
fn a_way_too_narrow_for_the_lower_tier_still_gets_its_keyframes() {
    for seed in seeds() {
        let mut world = start(seed, TWO_TIERS);
        limit(&mut world, 2 * (SHORTAGE + SETTLED), |_| Some(1000));
        let settled = world.at();
        limit(&mut world, Duration::from_secs(16), |_| Some(1000));
        let got = pictures(&world, settled);
        assert!(got.iter().all(|got| got.keyframe && got.source == SUB));
        assert_eq!(got.len(), 10, "one every 1.6 s");
        limit(&mut world, 2 * (PLENTY + SETTLED), |_| Some(AMPLE));
        let recovered = world.at();
        world.run(Duration::from_secs(2));
        assert!(pictures(&world, recovered).iter().all(|got| got.source == VIDEO));
        assert_eq!((world.hub.stats().lowered, world.hub.stats().raised), (2, 2));
        check_lines(&world);
        check_clock(&world.viewers[1]);
    }
}

#[test]
fn tiers_whose_keyframes_come_together_are_changed_between() {
    let mut world = start(8, Media { sub_gop: Some(25), ..TWO_TIERS });
    for _ in 0..3 {
        limit(&mut world, SHORTAGE + SETTLED, |_| Some(HALF));
        assert_eq!(pictures(&world, world.at() - FEEDBACK)[0].source, SUB);
        // Long enough for the next rise to be as quick.
        limit(&mut world, PLENTY + SETTLED, |_| Some(AMPLE));
        limit(&mut world, Duration::from_secs(15), |_| Some(AMPLE));
        assert_eq!(pictures(&world, world.at() - FEEDBACK)[0].source, VIDEO);
    }
    assert_eq!((world.hub.stats().lowered, world.hub.stats().raised), (3, 3));
    check_lines(&world);
    check_clock(&world.viewers[1]);
}

#[test]
fn noise_of_the_estimate_changes_nothing() {
    for seed in seeds() {
        let mut world = start(seed, TWO_TIERS);
        // Mostly under the rate, but never for long.
        limit(&mut world, Duration::from_secs(60), |step| {
            Some(if step % 8 == 7 { AMPLE } else { HALF })
        });
        assert_eq!(world.hub.stats().lowered, 0);
        // And on the lower tier, mostly plenty.
        limit(&mut world, SHORTAGE + SETTLED, |_| Some(HALF));
        limit(&mut world, Duration::from_secs(60), |step| {
            Some(if step % 20 == 19 { HALF } else { AMPLE })
        });
        assert_eq!((world.hub.stats().lowered, world.hub.stats().raised), (1, 0));
        check_lines(&world);
    }
}

#[test]
fn a_budget_between_the_rate_and_its_headroom_holds_the_level() {
    let mut world = start(6, TWO_TIERS);
    let just_more = 180_000 * (HEADROOM_PERCENT - 10) / 100;
    limit(&mut world, Duration::from_secs(20), |_| Some(just_more));
    assert_eq!(world.hub.stats().lowered, 0);
    limit(&mut world, SHORTAGE + SETTLED, |_| Some(HALF));
    limit(&mut world, Duration::from_secs(20), |_| Some(just_more));
    assert_eq!((world.hub.stats().lowered, world.hub.stats().raised), (1, 0));
}

#[test]
fn a_viewer_that_stops_to_tell_is_unlimited_in_the_end() {
    let mut world = start(9, ONE_TIER);
    limit(&mut world, SHORTAGE + SETTLED, |_| Some(HALF));
    world.run(BUDGET_LIFE + PLENTY + SETTLED);
    let recovered = world.at();
    world.run(Duration::from_secs(2));
    assert_eq!(pictures(&world, recovered).len(), 50);
    check_lines(&world);
}

#[test]
fn a_camera_without_keyframes_is_asked_for_the_picture_of_a_limited_viewer() {
    let endless = Media { gop: u32::MAX, obeys_requests: true, ..LONG_GOP };
    let mut world = start(10, endless);
    limit(&mut world, SHORTAGE + SETTLED, |_| Some(HALF));
    let settled = world.at();
    limit(&mut world, 4 * KEYFRAME_PATIENCE, |_| Some(HALF));
    let got = pictures(&world, settled);
    assert!(got.iter().all(|got| got.keyframe));
    assert!((3..=4).contains(&got.len()), "{got:?}");
    check_lines(&world);
}

#[test]
fn a_packet_from_before_a_change_of_the_tier_is_sent_again_as_it_was() {
    let mut world = start(11, TWO_TIERS);
    limit(&mut world, SHORTAGE, |_| Some(HALF));
    while pictures(&world, Duration::ZERO).last().is_some_and(|got| got.source == VIDEO) {
        limit(&mut world, FEEDBACK, |_| Some(HALF));
    }
    let (now, id) = (world.now(), world.viewers[1].id);
    let recent = pictures(&world, world.at() - Duration::from_millis(400));
    assert!(recent.iter().any(|got| got.source == VIDEO), "from both sides of the change");
    for got in recent {
        let again = world.hub.resend(now, id, VIDEO, got.seq).expect("sent lately");
        assert_eq!(again.timestamp, got.timestamp);
        let main = again.payload.len() > 300 || got.keyframe && got.source == VIDEO;
        assert_eq!(main, got.source == VIDEO, "{got:?}");
    }
}
