//! Cache bounds, on both sides.

use std::time::Duration;

use sightline_relay_proto::frame::Mode;
use sightline_relay_proto::hub::Hub;
use sightline_relay_proto::limits::MAX_RING_FRAMES;

use crate::camera::{LONG_GOP, Media};
use crate::world::Step::{Check, Join, Publish, Run};
use crate::world::{simulate, simulate_on};

/// One group for the whole simulation: 25 pictures and 50 sounds a second.
const ENDLESS_GOP: Media = Media { gop: u32::MAX, ..LONG_GOP };
const WITHIN: Duration = Duration::from_secs(MAX_RING_FRAMES as u64 / 75 - 1);
const BEYOND: Duration = Duration::from_secs(5);
const SMALL_BUDGET: usize = 100_000;

#[test]
fn a_group_within_the_ring_is_kept_and_a_longer_one_goes() {
    simulate(
        "long group",
        &[
            Publish("a camera with one keyframe, ever", ENDLESS_GOP),
            Join("a viewer from the start"),
            Run("nearly to the ring's bound", WITHIN),
            Join("a viewer while the group is still whole"),
            Check("it starts at once", |world| {
                assert_eq!(world.viewers[1].got.len(), 1);
                assert!(world.viewers[1].got[0].keyframe);
            }),
            Run("it catches up, and the ring overflows", BEYOND),
            Check("it lost nothing", |world| {
                world.viewers[1].check_numbering();
                assert_eq!(world.hub.stats().skips, 0);
            }),
            Join("a viewer while the keyframe is gone"),
            Run("it waits", Duration::from_secs(1)),
            Check("no picture without a keyframe, but sound", |world| {
                assert_eq!(world.viewers[2].pictures().count(), 0);
                assert!(world.viewers[2].got.len() > 40);
            }),
            Check("only the tail is kept of what nobody can start at", |world| {
                let tail = world.hub.stats().cached_bytes;
                assert!(tail < 3 * (25 * 700 + 50 * 80) + 2000, "{tail} bytes");
            }),
        ],
    );
}

#[test]
fn the_budget_of_all_streams_is_kept() {
    simulate_on(
        "budget",
        |seed| Hub::with_cache_budget(seed, SMALL_BUDGET),
        Mode::Open,
        &[
            Publish("a camera with a keyframe every 10 s", LONG_GOP),
            Join("a viewer from the start"),
            Run("under the budget", Duration::from_secs(4)),
            Join("a viewer while the group is whole"),
            Check("it starts at once", |world| assert_eq!(world.viewers[1].got.len(), 1)),
            Run("over the budget", Duration::from_secs(4)),
            Check("the budget holds, and it is used", |world| {
                let bytes = world.hub.stats().cached_bytes as usize;
                assert!(bytes <= SMALL_BUDGET, "{bytes}");
            }),
            Check("viewers that were there got everything", |world| {
                assert_eq!(world.hub.stats().skips, 0);
                world.viewers[0].check_numbering();
                world.viewers[1].check_numbering();
            }),
            Join("a viewer without a cached keyframe"),
            Check("it waits", |world| assert!(world.viewers[2].got.is_empty())),
        ],
    );
}
