//! Keyframe requests.

use std::time::Duration;

use sightline_relay_proto::limits::KEYFRAME_REQUEST_INTERVAL;

use crate::camera::{LONG_GOP, Media, VIDEO};
use crate::world::Step::{Check, Join, Publish, Run};
use crate::world::{World, simulate};

const OBEDIENT: Media = Media { obeys_requests: true, ..LONG_GOP };

#[test]
fn requests_of_many_viewers_reach_the_camera_as_one() {
    simulate(
        "merged requests",
        &[
            Publish("a camera that obeys requests", OBEDIENT),
            Check("twenty viewers join and wait for the first keyframe", |world| {
                for _ in 0..20 {
                    world.join(&[0, 1]);
                }
                assert_eq!(world.asked.len(), 1);
            }),
            Run("it came", Duration::from_secs(3)),
            Check("all ask at once, and are heard once", |world| {
                ask_all(world);
                assert_eq!(world.asked.len(), 2);
            }),
            Run("the keyframe comes", Duration::from_millis(200)),
            Check("they ask again too soon", |world| {
                ask_all(world);
                assert_eq!(world.asked.len(), 2);
            }),
            Run("the interval passes", KEYFRAME_REQUEST_INTERVAL),
            Check("one more request went out", |world| {
                assert_eq!(world.asked.len(), 3);
                assert_eq!(world.asked[2] - world.asked[1], KEYFRAME_REQUEST_INTERVAL);
            }),
        ],
    );
}

#[test]
fn a_keyframe_that_came_meanwhile_voids_the_waiting_request() {
    simulate(
        "void request",
        &[
            Publish("a camera that obeys requests, slowly", OBEDIENT),
            Join("a viewer"),
            Run("past the first interval", Duration::from_secs(2)),
            Check("two requests, the second waits; then the keyframe comes", |world| {
                ask_all(world);
                ask_all(world);
                assert_eq!(world.asked.len(), 2);
            }),
            Run("long enough", Duration::from_secs(3)),
            Check("the second request was not sent", |world| assert_eq!(world.asked.len(), 2)),
        ],
    );
}

#[test]
fn a_camera_that_takes_no_requests_gets_none() {
    simulate(
        "deaf camera",
        &[
            Publish("a camera that takes no requests", LONG_GOP),
            Join("a viewer"),
            Run("a while", Duration::from_secs(2)),
            Check("it asks in vain", |world| {
                ask_all(world);
                world.run(Duration::from_secs(3));
                assert!(world.asked.is_empty());
            }),
        ],
    );
}

fn ask_all(world: &mut World) {
    let now = world.now();
    for viewer in &world.viewers {
        world.hub.request_keyframe(now, viewer.id, VIDEO);
    }
    world.pump();
}
