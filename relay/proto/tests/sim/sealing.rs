//! Sealed frames as a camera makes them, but for the cipher: what stands for it is filler that no
//! key opens. And what only sealed streams go through.

use std::time::Duration;

use bytes::Bytes;
use sightline_relay_proto::codec::TrackInfo;
use sightline_relay_proto::frame::{CaptureTime, Mode, Protection};
use sightline_relay_proto::hub::{EndReason, Hub, HubEvent};
use sightline_relay_proto::ids::{StreamKey, TrackIndex};
use sightline_relay_proto::wire::sealed::{
    Counter, Descriptor, Generation, Head, Header, KeyId, SerialHash, TAG_LEN, cut,
};

use crate::camera::{LONG_GOP, Media};
use crate::world::{World, key};

/// A camera's key, as far as the relay can tell.
pub(crate) struct Sealing {
    serial: SerialHash,
    stream: StreamKey,
    generation: Generation,
    counter: Counter,
}

impl Sealing {
    pub(crate) fn new(stream: &StreamKey, generation: Generation) -> Self {
        let serial = SerialHash::of(&stream.device);
        Self { serial, stream: stream.clone(), generation, counter: Counter::FIRST }
    }

    /// The payloads of a sealed frame.
    pub(crate) fn seal(
        &mut self,
        track: TrackIndex,
        info: &TrackInfo,
        (keyframe, discardable): (bool, bool),
        captured: Duration,
        unit: &[u8],
    ) -> Vec<Bytes> {
        let (generation, channel) = (self.generation, self.stream.channel);
        let descriptor = Descriptor {
            keyframe,
            discardable,
            discontinuity: false,
            tier: info.tier,
            codec: info.codec,
            track,
            channel,
            capture: CaptureTime(captured.as_micros() as u64),
            serial: self.serial,
        };
        let header = Header { key: KeyId { generation, channel, track }, counter: self.counter };
        self.counter = self.counter.next().expect("a short run");
        let head = Head { descriptor, header }.write();
        let frame = [&head[..], unit, &[0; TAG_LEN]].concat();
        cut(&frame.into()).expect("a sealed frame")
    }
}

/// A keyframe a second.
const SHORT_GOP: Media = Media { gop: 25, ..LONG_GOP };

fn sealed_world(media: Media) -> World {
    let mut world = World::new(3, Hub::new(3));
    world.mode = Mode::Sealed;
    world.publish(media);
    world
}

#[test]
fn a_camera_that_takes_a_new_key_goes_on_at_a_keyframe_for_every_viewer() {
    let mut world = sealed_world(SHORT_GOP);
    world.join(&[0, 1]);
    world.run(Duration::from_millis(2500));
    // The same device, from anew: its first picture is a keyframe under the next generation.
    world.publish(SHORT_GOP);
    world.run(Duration::from_millis(500));
    world.join(&[0, 1]);
    world.run(Duration::from_secs(3));
    for viewer in &world.viewers {
        assert!(!viewer.ended);
        viewer.check_numbering();
        viewer.check_keyframes();
    }
    let (first, late) = (&world.viewers[0], &world.viewers[1]);
    let generations: Vec<_> = first.generations().collect();
    assert!(generations.len() == 2 && generations[0] < generations[1], "{generations:?}");
    assert_eq!(late.generations().collect::<Vec<_>>(), generations[1..]);
    let changes = first.got.windows(2).filter(|pair| pair[0].protection != pair[1].protection);
    assert!(changes.into_iter().all(|pair| pair[1].keyframe));
}

#[test]
fn a_device_that_changes_its_mode_ends_every_viewer_before_a_frame_of_the_other_mode() {
    for (before, after) in [(Mode::Open, Mode::Sealed), (Mode::Sealed, Mode::Open)] {
        let mut world = World::new(4, Hub::new(4));
        world.mode = before;
        world.publish(SHORT_GOP);
        world.join(&[0, 1]);
        world.run(Duration::from_secs(2));
        world.mode = after;
        world.publish(SHORT_GOP);
        let subscriber = world.viewers[0].id;
        let ended = HubEvent::SubscriberEnded { subscriber, reason: EndReason::TracksChanged };
        assert_eq!(world.events.last().map(|(_, event)| event), Some(&ended));
        world.run(Duration::from_secs(2));
        assert_eq!(world.hub.mode(&key()), Some(after));
        let viewer = &world.viewers[0];
        assert!(viewer.ended && viewer.got.iter().all(|got| got.protection.mode() == before));
        world.join(&[0, 1]);
        world.run(Duration::from_secs(1));
        let newcomer = &world.viewers[1];
        assert!(newcomer.got.iter().all(|got| got.protection.mode() == after));
        assert!(newcomer.got[0].keyframe && newcomer.got[0].at == newcomer.joined);
    }
}

#[test]
fn a_camera_that_falls_back_to_an_older_key_feeds_nobody() {
    let mut world = sealed_world(SHORT_GOP);
    world.publish(SHORT_GOP);
    world.join(&[0, 1]);
    world.run(Duration::from_secs(1));
    let (got, lost) = (world.viewers[0].got.len(), world.hub.stats().frames_lost);
    // Whoever has this world's first key publishes again.
    world.publishers.clear();
    world.publish(SHORT_GOP);
    world.run(Duration::from_secs(2));
    assert_eq!(world.viewers[0].got.len(), got);
    assert!(world.hub.stats().frames_lost >= lost + 2 * 25);
    assert!(matches!(world.viewers[0].got[0].protection, Protection::Sealed { .. }));
}
