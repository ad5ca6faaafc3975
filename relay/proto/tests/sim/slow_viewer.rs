//! A viewer whose network stalls.

use std::time::Duration;

use sightline_relay_proto::limits::MAX_LAG;

use crate::camera::{LONG_GOP, Media, VIDEO};
use crate::link::CLEAN;
use crate::world::Step::{Block, Check, Conditions, Join, Publish, Run};
use crate::world::{World, simulate};

const SHORT_GOP: Media = Media { gop: 50, ..LONG_GOP };

#[test]
fn a_slow_viewer_skips_to_a_keyframe_and_hurts_nobody() {
    simulate(
        "slow viewer",
        &[
            Conditions("a good link", CLEAN),
            Publish("a camera with a keyframe every 2 s", SHORT_GOP),
            Join("a quick viewer"),
            Join("a slow viewer"),
            Run("both watch", Duration::from_secs(5)),
            Block("the slow one's network stalls", 1, Duration::from_millis(4300)),
            Run("it stalls, comes back, and goes on", Duration::from_secs(10)),
            Check("it skipped, once", |world| assert_eq!(world.hub.stats().skips, 1)),
            Check("its numbering shows no gap", |world| world.viewers[1].check_numbering()),
            Check("it went on at a keyframe, on the common timeline", went_on_at_a_keyframe),
            Check("the quick one got everything at once", quick_one_is_unhurt),
            Check("a lost packet from after the skip is sent again", resends_after_skip),
        ],
    );
}

#[test]
fn a_viewer_within_the_lag_bound_gets_every_frame() {
    simulate(
        "short stall",
        &[
            Publish("a camera with a keyframe every 2 s", SHORT_GOP),
            Join("a quick viewer"),
            Join("a viewer that stalls for a moment"),
            Run("both watch", Duration::from_secs(5)),
            Block("the stall is within the bound", 1, MAX_LAG - Duration::from_millis(100)),
            Run("it goes on", Duration::from_secs(5)),
            Check("nothing was skipped", |world| {
                assert_eq!(world.hub.stats().skips, 0);
                assert_eq!(world.viewers[0].got.len(), world.viewers[1].got.len());
            }),
        ],
    );
}

#[test]
fn a_viewer_beyond_the_lag_bound_without_a_newer_keyframe_waits_for_the_next() {
    simulate(
        "stall in a long group",
        &[
            Publish(
                "a camera with a keyframe every 10 s that obeys requests",
                Media { obeys_requests: true, ..LONG_GOP },
            ),
            Join("a quick viewer"),
            Join("a viewer that stalls"),
            Run("both watch", Duration::from_secs(3)),
            Block("the stall is beyond the bound", 1, MAX_LAG + Duration::from_millis(100)),
            Run("it goes on", Duration::from_secs(3)),
            Check("it skipped, and the camera was asked", |world| {
                assert_eq!(world.hub.stats().skips, 1);
                assert_eq!(world.asked.len(), 2, "at the start and now: {:?}", world.asked);
                world.viewers[1].check_numbering();
            }),
            Check("it went on at the keyframe", went_on_at_a_keyframe),
        ],
    );
}

fn went_on_at_a_keyframe(world: &mut World) {
    let (quick, slow) = (&world.viewers[0], &world.viewers[1]);
    let pictures: Vec<_> = slow.pictures().collect();
    let interval = Duration::from_millis(41);
    let jump = pictures.windows(2).find(|pair| pair[1].captured - pair[0].captured > interval);
    assert!(jump.expect("pictures were left out")[1].keyframe);
    for got in &slow.got {
        let same = quick.of(got.track).find(|other| other.captured == got.captured);
        assert_eq!(same.map(|other| other.timestamp), Some(got.timestamp));
    }
    let last = pictures.last().expect("pictures came");
    assert!(last.at - last.captured < Duration::from_millis(60), "it is live again");
}

fn quick_one_is_unhurt(world: &mut World) {
    let quick = &world.viewers[0];
    quick.check_numbering();
    for got in &quick.got {
        assert!(got.at - got.captured <= Duration::from_millis(20), "{got:?}");
    }
    assert_eq!(quick.pictures().count(), 15 * 25);
}

fn resends_after_skip(world: &mut World) {
    let (now, slow) = (world.now(), &world.viewers[1]);
    let last = slow.pictures().last().expect("pictures came");
    let again = world.hub.resend(now, slow.id, VIDEO, last.seq).expect("sent lately");
    assert_eq!(again.timestamp, last.timestamp);
    assert!(again.marker);
    let old = slow.pictures().rev_by(Duration::from_millis(1100), world.at());
    assert!(world.hub.resend(now, slow.id, VIDEO, old).is_none(), "sent too long ago");
    assert!(world.hub.resend(now, slow.id, VIDEO, last.seq.wrapping_add(1)).is_none());
}

trait RevBy {
    /// Number of the newest frame at least `age` old.
    fn rev_by(self, age: Duration, at: Duration) -> u16;
}

impl<'a, I: Iterator<Item = &'a crate::viewer::Got>> RevBy for I {
    fn rev_by(self, age: Duration, at: Duration) -> u16 {
        self.filter(|got| got.at + age <= at).last().expect("an old one").seq
    }
}
