//! Keyframes of many packets, and the order in which viewers get them.

use std::time::Duration;

use sightline_relay_proto::frame::Mode;
use sightline_relay_proto::hub::{
    CHUNK_INTERVAL, CHUNK_PACKETS, Hub, MAX_STAGGER, PACE_TICK, Pacing, Selection,
};
use sightline_relay_proto::ids::TrackIndex;

use crate::camera::{LONG_GOP, Media, VIDEO};
use crate::viewer::{Chunk, Viewer};
use crate::world::Step::{Block, Check, Join, Publish, Run};
use crate::world::{World, key, simulate, simulate_on};

/// A keyframe of about 100 packets a second.
const LARGE: Media = Media { gop: 25, sizes: (118_000, 9_000), ..LONG_GOP };
/// Pictures of exactly a chunk at most.
const FITTING: Media = Media { gop: 25, sizes: (16_000, 9_000), ..LONG_GOP };

/// Chunks by frame.
fn frames(viewer: &Viewer) -> Vec<&[Chunk]> {
    let mut frames: Vec<&[Chunk]> = viewer.chunks.split_inclusive(|chunk| chunk.ends).collect();
    frames.retain(|chunks| chunks.len() > 1);
    frames
}

#[test]
fn a_keyframe_goes_in_chunks_with_a_pause_between_them() {
    simulate(
        "paced keyframes",
        &[
            Publish("a camera with large keyframes", LARGE),
            Join("a viewer"),
            Run("five keyframes and a bit", Duration::from_millis(4500)),
            Check("each is in chunks, each a tick after the one before", |world| {
                let viewer = &world.viewers[0];
                let frames = frames(viewer);
                assert_eq!(frames.len(), 5);
                for chunks in frames {
                    assert_eq!(chunks.len(), 7, "{chunks:?}");
                    for pair in chunks.windows(2) {
                        assert_eq!(pair[0].packets.len(), CHUNK_PACKETS);
                        assert_eq!(pair[0].packets.end, pair[1].packets.start);
                        let pause = pair[1].at - pair[0].at;
                        assert!((CHUNK_INTERVAL..=CHUNK_INTERVAL + PACE_TICK).contains(&pause));
                    }
                }
                viewer.check_numbering();
                viewer.check_keyframes();
            }),
            Check("no chunk is larger than the bound, and nothing was skipped", |world| {
                let chunks = &world.viewers[0].chunks;
                assert!(chunks.iter().all(|chunk| chunk.packets.len() <= CHUNK_PACKETS));
                assert_eq!(world.hub.stats().skips, 0);
                assert_eq!(world.hub.stats().frames_out, world.viewers[0].got.len() as u64);
            }),
        ],
    );
}

#[test]
fn viewers_of_a_keyframe_take_turns_and_share_their_wakes() {
    simulate(
        "turns",
        &[
            Publish("a camera with large keyframes", LARGE),
            Check("fifty viewers join", |world| (0..50).for_each(|_| world.join(&[0]))),
            Run("three keyframes", Duration::from_millis(2500)),
            Check("nobody gets a chunk before all have the one before it", take_turns),
            Check("all of them wake the worker no more often than one would", |world| {
                assert_eq!(world.hub_wakes, 3 * 6);
            }),
        ],
    );
}

fn take_turns(world: &mut World) {
    let all: Vec<Vec<&[Chunk]>> = world.viewers.iter().map(frames).collect();
    for keyframe in 0..3 {
        let of = |chunk: usize| all.iter().map(move |frames| &frames[keyframe][chunk]);
        for chunk in 0..7 {
            let (first, last) =
                (of(chunk).map(|c| c.order).min(), of(chunk).map(|c| c.order).max());
            assert_eq!(last.zip(first).map(|(last, first)| last - first), Some(49), "one pass");
            let (first_at, last_at) =
                (of(chunk).map(|c| c.at).min(), of(chunk).map(|c| c.at).max());
            assert!(last_at <= first_at.map(|at| at + MAX_STAGGER));
            if chunk > 0 {
                assert!(of(chunk - 1).map(|c| c.order).max() < first);
            }
        }
    }
}

#[test]
fn frames_of_one_chunk_need_no_timer() {
    simulate_on(
        "frames of one chunk",
        Hub::new,
        Mode::Open,
        &[
            Publish("a camera whose keyframes just fit", FITTING),
            Join("a viewer"),
            Run("four seconds", Duration::from_secs(4)),
            Check("each came whole, and the hub set no timer", |world| {
                let chunks = &world.viewers[0].chunks;
                assert!(chunks.iter().all(|chunk| chunk.packets.start == 0 && chunk.ends));
                let longest = chunks.iter().map(|chunk| chunk.packets.len()).max();
                assert_eq!(longest, Some(CHUNK_PACKETS));
                assert_eq!((world.hub_wakes, world.hub.poll_timeout()), (0, None));
            }),
        ],
    );
}

#[test]
fn frames_that_come_during_a_keyframe_wait_behind_it() {
    simulate(
        "a keyframe longer than the time between frames",
        &[
            Publish("a camera", Media { sizes: (1_500_000, 9_000), ..LARGE }),
            Join("a viewer"),
            Run("three keyframes of 1270 packets", Duration::from_millis(2900)),
            Check("no frame stands within another, and all came", |world| {
                let viewer = &world.viewers[0];
                viewer.check_numbering();
                viewer.check_keyframes();
                assert_eq!(world.hub.stats().skips, 0);
                let late = viewer.got.iter().map(|got| got.at - got.captured).max().unwrap();
                let bound = Duration::from_millis(80);
                assert!(late > Duration::from_millis(40) && late < bound, "{late:?}");
                assert!(viewer.chunks.iter().all(|chunk| chunk.packets.len() <= 16));
            }),
        ],
    );
}

#[test]
fn a_stream_faster_than_a_chunk_a_tick_is_followed() {
    // 90 Mbit/s: 370 packets every 40 ms, for which 16 in 2 ms are too few.
    let fast = Media { gop: 25, sizes: (440_000, 440_000), ..LONG_GOP };
    let mut world = World::new(3, Hub::new(3));
    world.publish(fast);
    world.join(&[0, 1]);
    world.run(Duration::from_secs(8));
    let viewer = &world.viewers[0];
    viewer.check_numbering();
    assert_eq!(world.hub.stats().skips, 0);
    let late = viewer.got.iter().filter(|got| got.at > Duration::from_secs(4));
    let late = late.map(|got| got.at - got.captured).max().unwrap();
    assert!(late < Duration::from_millis(60), "{late:?}");
    let settled = viewer.chunks.iter().filter(|chunk| chunk.at > Duration::from_secs(4));
    assert!(settled.map(|chunk| chunk.packets.len()).max().unwrap() <= 3 * CHUNK_PACKETS);
}

#[test]
fn a_transport_that_paces_by_itself_gets_frames_whole() {
    let mut world = World::new(4, Hub::new(4));
    world.publish(LARGE);
    let tracks = vec![TrackIndex(0), TrackIndex(1)];
    let selection = Selection { tracks, pacing: Pacing::Whole, mode: world.mode };
    let id = world.hub.subscribe(world.now(), &key(), selection).unwrap();
    world.viewers.push(Viewer::new(id, world.at()));
    world.run(Duration::from_secs(3));
    assert!(world.viewers[0].chunks.iter().all(|chunk| chunk.packets.start == 0 && chunk.ends));
    assert_eq!(world.hub_wakes, 0);
}

#[test]
fn only_what_was_sent_of_a_begun_frame_is_sent_again() {
    let mut world = World::new(5, Hub::new(5));
    world.publish(LARGE);
    world.join(&[0]);
    while world.viewers[0].chunks.len() < 3 {
        world.run(Duration::from_micros(500));
    }
    let (now, id) = (world.now(), world.viewers[0].id);
    let got = world.viewers[0].got[0];
    assert_eq!(got.packets, 48);
    let resend = |at: u16| world.hub.resend(now, id, VIDEO, got.seq.wrapping_add(at));
    for at in [0, 15, 16, 47] {
        let packet = resend(at).expect("it was sent");
        assert_eq!((packet.timestamp, packet.marker), (got.timestamp, false));
    }
    assert!(resend(48).is_none() && resend(60).is_none());
    world.run(Duration::from_millis(100));
    let (now, last) = (world.now(), world.viewers[0].got[0].packets - 1);
    let again = world.hub.resend(now, id, VIDEO, got.seq.wrapping_add(last));
    assert!(again.expect("all of it was sent").marker);
}

#[test]
fn a_stalled_viewer_finishes_its_frame_before_it_skips() {
    simulate(
        "stall within a keyframe",
        &[
            Publish("a camera with large keyframes", LARGE),
            Join("a viewer"),
            Run("nearly to the third keyframe", Duration::from_millis(1980)),
            Check("and to a part of it", |world| {
                while world.viewers[0].chunks.last().is_some_and(|last| last.ends) {
                    world.run(Duration::from_micros(500));
                }
            }),
            Block("its worker stands still", 0, Duration::from_millis(3300)),
            Run("it goes on", Duration::from_millis(4500)),
            Check("the frame is whole, then it skipped", |world| {
                assert_eq!(world.hub.stats().skips, 1);
                let viewer = &world.viewers[0];
                viewer.check_numbering();
                viewer.check_keyframes();
                let keyframes = viewer.pictures().filter(|got| got.keyframe);
                keyframes.for_each(|got| assert!(got.whole && got.packets > 96, "{got:?}"));
            }),
        ],
    );
}
