//! A viewer: takes what the hub hands out, as fast as its network lets it.

use std::ops::Range;
use std::time::{Duration, Instant};

use sightline_relay_proto::frame::Protection;
use sightline_relay_proto::hub::{Delivery, Hub, SubscriberId};
use sightline_relay_proto::ids::TrackIndex;
use sightline_relay_proto::wire::rtp;

use crate::camera::{VIDEO, captured};

/// One frame as the viewer got it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Got {
    /// Since the start of the simulation.
    pub(crate) at: Duration,
    pub(crate) track: TrackIndex,
    /// The track that it comes from.
    pub(crate) source: TrackIndex,
    pub(crate) keyframe: bool,
    pub(crate) discardable: bool,
    pub(crate) protection: Protection,
    pub(crate) seq: u16,
    /// Packets that have come, and whether they are all of the frame.
    pub(crate) packets: u16,
    pub(crate) whole: bool,
    /// Place on the canonical timeline of its source.
    pub(crate) media: u64,
    /// Canonical number of the first packet.
    pub(crate) canonical: u64,
    pub(crate) timestamp: u32,
    /// When the camera captured it, on the simulation's clock.
    pub(crate) captured: Duration,
}

/// Packets that the viewer got at once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Chunk {
    pub(crate) at: Duration,
    /// Place among everything that the hub handed out.
    pub(crate) order: u64,
    pub(crate) packets: Range<usize>,
    /// Whether the frame is whole with it.
    pub(crate) ends: bool,
}

impl Got {
    fn new(at: Duration, delivery: &Delivery) -> Self {
        Self {
            at,
            track: delivery.track,
            source: delivery.frame.descriptor.track,
            keyframe: delivery.frame.descriptor.keyframe,
            discardable: delivery.frame.descriptor.discardable,
            protection: delivery.frame.descriptor.protection,
            seq: delivery.seq,
            packets: delivery.packets.len() as u16,
            whole: delivery.ends_frame(),
            media: delivery.frame.descriptor.media_time.0,
            canonical: delivery.frame.first_seq,
            timestamp: delivery.timestamp,
            captured: captured(&delivery.frame, delivery.track),
        }
    }
}

pub(crate) struct Viewer {
    pub(crate) id: SubscriberId,
    pub(crate) joined: Duration,
    pub(crate) got: Vec<Got>,
    pub(crate) chunks: Vec<Chunk>,
    /// Its network takes nothing before this time.
    pub(crate) blocked_until: Option<Duration>,
    /// What its network takes, bits per second with RTP headers; `None`: all at once.
    pub(crate) carries: Option<u64>,
    pub(crate) ended: bool,
}

impl Viewer {
    pub(crate) fn new(id: SubscriberId, joined: Duration) -> Self {
        Self {
            id,
            joined,
            got: Vec::new(),
            chunks: Vec::new(),
            blocked_until: None,
            carries: None,
            ended: false,
        }
    }

    /// The hub has named it.
    pub(crate) fn pump(&mut self, hub: &mut Hub, now: Instant, at: Duration, sent: &mut u64) {
        if self.blocked_until.is_some_and(|until| at < until) {
            return;
        }
        while let Some(delivery) = hub.poll_delivery(now, self.id) {
            *sent += 1;
            let packets = delivery.packets.clone();
            self.chunks.push(Chunk { at, order: *sent, packets, ends: delivery.ends_frame() });
            if delivery.packets.start == 0 {
                self.got.push(Got::new(at, &delivery));
            } else {
                self.goes_on(&delivery);
            }
            if let Some(carries) = self.carries {
                let bytes = delivery.bytes() + delivery.packets.len() * rtp::HEADER_LEN;
                self.blocked_until =
                    Some(at + Duration::from_secs(bytes as u64 * 8) / carries as u32);
                return;
            }
        }
    }

    /// A later chunk: of the frame that was begun, and right behind what came of it.
    fn goes_on(&mut self, delivery: &Delivery) {
        let begun = self.got.last_mut().expect("a frame begins with its first packet");
        assert_eq!(begun.canonical, delivery.frame.first_seq, "no frame stands within another");
        assert_eq!((begun.seq, begun.timestamp), (delivery.seq, delivery.timestamp));
        assert_eq!(usize::from(begun.packets), delivery.packets.start);
        begun.packets += delivery.packets.len() as u16;
        begun.whole = delivery.ends_frame();
    }

    pub(crate) fn of(&self, track: TrackIndex) -> impl Iterator<Item = &Got> + Clone {
        self.got.iter().filter(move |got| got.track == track)
    }

    pub(crate) fn pictures(&self) -> impl Iterator<Item = &Got> + Clone {
        self.of(VIDEO)
    }

    /// Key generations of its pictures, each where it begins.
    pub(crate) fn generations(&self) -> impl Iterator<Item = u64> {
        let mut last = None;
        self.pictures().filter_map(move |got| match got.protection {
            Protection::Sealed { generation } if last.replace(generation) != Some(generation) => {
                Some(generation)
            }
            _ => None,
        })
    }

    /// Pictures start at a keyframe, and again at one wherever some were left out.
    pub(crate) fn check_keyframes(&self) {
        let mut expected = None;
        for got in self.pictures() {
            let next = Some(got.canonical);
            assert!(got.keyframe || next == expected, "no picture without its reference: {got:?}");
            expected = Some(got.canonical + u64::from(got.packets));
        }
    }

    /// No gap in the sequence numbers of any track but behind a frame that fell out of the ring half
    /// sent; no timestamp goes back (in order of showing).
    pub(crate) fn check_numbering(&self) {
        for track in [TrackIndex(0), TrackIndex(1)] {
            let mut expected = None;
            for got in self.of(track) {
                if let Some(expected) = expected {
                    assert_eq!(got.seq, expected, "sequence numbers run on at {got:?}");
                }
                expected = got.whole.then(|| got.seq.wrapping_add(got.packets));
            }
            // Two tiers have no timeline in common but the viewer's own.
            let mut shown: Vec<_> = self.of(track).filter(|got| got.source == got.track).collect();
            shown.sort_by_key(|got| got.media);
            for pair in shown.windows(2) {
                let step = pair[1].timestamp.wrapping_sub(pair[0].timestamp).cast_signed();
                assert!(step >= 0, "the timeline never runs back: {pair:?}");
            }
        }
    }
}
