//! From one generation to the next: with a keyframe, in time, and never back.

use std::time::Duration;

use super::*;

const PATIENCE: u64 = MAX_SWITCH_WAIT.as_micros() as u64;

struct Stage {
    world: World,
    next: Generation,
}

/// A camera whose two tracks run under one generation, and that is told to take up another.
fn switching(wait: Duration) -> Stage {
    let mut world = World::new("CAM-1");
    world.seal(&video(true), b"unit");
    world.seal(&sound(), b"unit");
    let mut made = world.rig.generation(1);
    let next = give(&mut world.opener, &made);
    let keys = made.keys.channel(CHANNEL).expect("the first time");
    world.sealer.switch(keys, world.rig.start + wait).expect("later keys");
    Stage { world, next }
}

impl Stage {
    /// The generation that a frame at this time is sealed under.
    fn seal(&mut self, info: &FrameInfo, micros: u64) -> Result<Generation, SealFrameError> {
        let mut out = Vec::new();
        let now = at(&self.world.rig, micros);
        self.world.sealer.seal(info, b"unit", now, &mut out)?;
        Ok(self.world.open(&out).expect("opened").0.generation)
    }
}

#[test]
fn a_stream_starts_with_a_keyframe() {
    let mut world = World::new("CAM-1");
    let (mut out, now) = (Vec::new(), world.rig.start);
    let early = world.sealer.seal(&video(false), b"unit", now, &mut out);
    assert_eq!((early, out.len()), (Err(SealFrameError::KeyframeDue), 0));
    assert_eq!(world.sealer.seal(&video(true), b"unit", now, &mut out), Ok(()));
    assert_eq!(world.sealer.seal(&video(false), b"unit", now, &mut out), Ok(()));
}

#[test]
fn each_track_changes_its_generation_with_its_next_keyframe() {
    let mut stage = switching(MAX_SWITCH_WAIT);
    let old = stage.world.generation;
    assert_eq!(stage.seal(&video(false), 1), Ok(old));
    assert_eq!(stage.seal(&sound(), 2), Ok(stage.next));
    assert_eq!(stage.seal(&video(false), 3), Ok(old));
    assert_eq!(stage.seal(&video(true), 4), Ok(stage.next));
    assert_eq!(stage.seal(&video(false), 2 * PATIENCE), Ok(stage.next));
}

#[test]
fn without_a_keyframe_the_old_generation_ends_in_time() {
    let mut stage = switching(MAX_SWITCH_WAIT);
    let old = stage.world.generation;
    assert_eq!(stage.seal(&video(false), PATIENCE - 1), Ok(old));
    assert_eq!(stage.seal(&video(false), PATIENCE), Err(SealFrameError::KeyframeDue));
    // Nor does it come back.
    assert_eq!(stage.seal(&video(false), PATIENCE - 1), Err(SealFrameError::KeyframeDue));
    assert_eq!(stage.seal(&video(true), PATIENCE), Ok(stage.next));
}

#[test]
fn after_a_change_in_its_absence_a_camera_seals_nothing_more_under_the_old_one() {
    let mut stage = switching(Duration::ZERO);
    assert_eq!(stage.seal(&video(false), 0), Err(SealFrameError::KeyframeDue));
    assert_eq!(stage.seal(&sound(), 0), Ok(stage.next));
    assert_eq!(stage.seal(&video(true), 0), Ok(stage.next));
}

/// Two lists in a row give the old generation no more time.
#[test]
fn a_second_change_does_not_prolong_the_first() {
    let mut stage = switching(MAX_SWITCH_WAIT);
    let mut made = stage.world.rig.generation(2);
    give(&mut stage.world.opener, &made);
    let keys = made.keys.channel(CHANNEL).expect("the first time");
    let now = at(&stage.world.rig, PATIENCE / 2);
    stage.world.sealer.switch(keys, now + MAX_SWITCH_WAIT).expect("later keys");
    let old = stage.world.generation;
    assert_eq!(stage.seal(&video(false), PATIENCE - 1), Ok(old));
    assert_eq!(stage.seal(&video(false), PATIENCE), Err(SealFrameError::KeyframeDue));
    assert_eq!(stage.seal(&video(true), PATIENCE), Ok(made.keys.generation()));
}

#[test]
fn keys_of_an_older_generation_or_another_channel_are_refused() {
    let mut world = World::new("CAM-1");
    let mut second = world.rig.generation(1);
    let mut third = world.rig.generation(2);
    let now = world.rig.start;
    let mut switch = |keys| world.sealer.switch(keys, now);
    assert_eq!(switch(third.keys.channel(CHANNEL).expect("once")), Ok(()));
    let older = second.keys.channel(CHANNEL).expect("once");
    assert_eq!(switch(older), Err(SealFrameError::OtherKeys));
    let mut fourth = world.rig.generation(3);
    let other = fourth.keys.channel(Channel(1)).expect("once");
    let mut switch = |keys| world.sealer.switch(keys, now);
    assert_eq!(switch(other), Err(SealFrameError::OtherKeys));
    let mut camera = Rig::new("CAM-2", 1);
    let mut later = camera.generation(10);
    let other = later.keys.channel(CHANNEL).expect("once");
    assert_eq!(switch(other), Err(SealFrameError::OtherKeys));
}

/// A guest who is removed keeps every key that he had, and the server gives him all it has.
#[test]
fn a_removed_guest_opens_nothing_that_is_captured_after_the_switch() {
    let mut world = World::new("CAM-1");
    let list = world.rig.list(2, &[viewer(1), viewer(2)]);
    world.rig.take(&list);
    let mut with_guest = world.rig.generation(1);
    let mut guest = FrameOpener::new(world.rig.live(), CHANNEL);
    let accept = |guest: &mut FrameOpener, made: &NewGeneration| {
        let blob = made.blob.to_bytes();
        guest.keyring_mut().accept(&blob, terminal(2).exchange(), NOW)
    };
    assert!(accept(&mut guest, &with_guest).is_ok());
    let keys = with_guest.keys.channel(CHANNEL).expect("once");
    world.sealer.switch(keys, world.rig.start).expect("later keys");
    let seen = world.seal(&video(true), b"unit");
    assert!(open(&mut guest, &seen).is_ok());

    let list = world.rig.list(3, &[viewer(1)]);
    world.rig.take(&list);
    let mut without = world.rig.generation(2);
    assert!(accept(&mut guest, &without).is_err());
    let keys = without.keys.channel(CHANNEL).expect("once");
    let end = world.rig.start + MAX_SWITCH_WAIT;
    world.sealer.switch(keys, end).expect("later keys");
    let generation = without.keys.generation();
    let mut out = Vec::new();
    let late = end - Duration::from_micros(1);
    world.sealer.seal(&video(false), b"unit", late, &mut out).expect("the last");
    assert!(open(&mut guest, &out).is_ok());
    for keyframe in [false, true, false] {
        let mut out = Vec::new();
        if world.sealer.seal(&video(keyframe), b"unit", end, &mut out).is_ok() {
            let missing = FrameError::MissingGeneration(generation);
            assert_eq!(open(&mut guest, &out), Err(missing));
        }
    }
}
