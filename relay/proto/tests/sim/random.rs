//! Random lives: whatever cameras, links and viewers do, every viewer's line stays whole.

use std::time::Duration;

use sightline_relay_proto::hub::Hub;
use sightline_relay_proto::ids::TrackIndex;
use sightline_relay_proto::limits::MAX_CACHE_BYTES;

use crate::camera::{LONG_GOP, Media};
use crate::link::{CLEAN, LOSSY, Random};
use crate::world::{World, key, seeds};

const ACTS: usize = 250;
/// About two seconds of media, so that viewers fall out of the ring.
const TINY_CACHE: usize = 40_000;

#[test]
fn random_acts_break_no_line() {
    let mut lowered = 0;
    for cache in [MAX_CACHE_BYTES, TINY_CACHE] {
        for seed in seeds() {
            println!("random acts: seed {seed}, cache of {cache} bytes");
            let mut random = Random::new(seed ^ 0xac75);
            let mut world = World::new(seed, Hub::with_cache_budget(seed, cache));
            world.publish(Media { sub_gop: Some(40), ..LONG_GOP });
            for _ in 0..ACTS {
                act(&mut world, &mut random);
                world.run(random.up_to(Duration::from_millis(700)));
                assert!(world.hub.stats().cached_bytes <= cache as u64);
            }
            for viewer in &world.viewers {
                viewer.check_numbering();
                viewer.check_keyframes();
            }
            let got: usize = world.viewers.iter().map(|viewer| viewer.got.len()).sum();
            assert!(got > 1000, "the simulation is alive: {got} frames");
            lowered += world.hub.stats().lowered;
        }
    }
    assert!(lowered > 0, "budgets were too low for some viewers");
}

fn act(world: &mut World, random: &mut Random) {
    let viewers = world.viewers.len() as u64;
    let live = world.hub.tracks(&key()).is_some();
    match random.next() % 14 {
        0 => world.publish(some_media(random)),
        1 if random.chance(300) => world.crash(),
        2..=4 if live => world.join(if random.chance(800) { &[0, 1] } else { &[0] }),
        5..=7 if viewers > 0 => {
            let viewer = (random.next() % viewers) as usize;
            let time = random.up_to(Duration::from_secs(6));
            if !world.viewers[viewer].ended {
                world.viewers[viewer].blocked_until = Some(world.at() + time);
            }
        }
        8 if viewers > 0 => world.leave((random.next() % viewers) as usize),
        9 if viewers > 0 => {
            let now = world.now();
            let id = world.viewers[(random.next() % viewers) as usize].id;
            world.hub.request_keyframe(now, id, TrackIndex((random.next() % 3) as u8));
            world.hub.resume(now, id);
            world.hub.resend(now, id, TrackIndex(0), random.next() as u16);
            world.pump();
        }
        10 | 11 if viewers > 0 => {
            let (now, viewer) = (world.now(), (random.next() % viewers) as usize);
            let budget = random.chance(700).then(|| random.next() % 200_000);
            world.hub.set_budget(now, world.viewers[viewer].id, budget);
        }
        12 => world.link = if random.chance(500) { LOSSY } else { CLEAN },
        _ => world.run(random.up_to(Duration::from_secs(4))),
    }
}

fn some_media(random: &mut Random) -> Media {
    let gop = [1, 25, 100, 250][(random.next() % 4) as usize];
    let fps = [5, 25, 30][(random.next() % 3) as usize];
    let b_frames = if gop > 1 && random.chance(300) { 2 } else { 0 };
    let sizes = if random.chance(300) { (25_000, 2_000) } else { LONG_GOP.sizes };
    let sub_gop = [Some(10), Some(60)][(random.next() % 2) as usize];
    Media { gop, sizes, sub_gop, fps, b_frames, obeys_requests: random.chance(500), ..LONG_GOP }
}
