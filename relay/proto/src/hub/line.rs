//! One selected track of a subscriber: its numbers and its time line, whatever track feeds it.

use super::catch_up::CatchUp;
use super::subscriber::RESEND_WINDOW;
use super::track::Track;
use crate::frame::{Frame, MediaTime};
use crate::ids::TrackIndex;
use crate::wire::rtp::extend_seq;

/// Earlier numberings kept per track: at 60 pictures a second, every other one of them passed over,
/// what was sent within [`RESEND_WINDOW`] has one each.
const KEPT_NUMBERINGS: usize = 32;
const _: () = assert!(
    KEPT_NUMBERINGS as u128 >= RESEND_WINDOW.as_millis() * 30 / 1000,
    "a packet that may be sent again has a numbering"
);

/// One selected track of a subscriber.
#[derive(Debug)]
pub(super) struct SubTrack {
    /// The track that was selected; what is sent may come from another tier.
    pub(super) track: TrackIndex,
    pub(super) video: bool,
    /// Nothing is sent until a keyframe, or until the live edge for sound.
    pub(super) awaiting: bool,
    /// Frames were passed over: the next one continues the viewer's numbering.
    pub(super) renumber: bool,
    pub(super) rate: u32,
    /// Media time from which on the timeline is the canonical one.
    pub(super) live_from: MediaTime,
    /// Highest place on the line that was sent, of a viewer whose way is limited.
    pub(super) sent_until: MediaTime,
    /// The viewer's next sequence number, extended; `None` before the first frame.
    next_seq: Option<u64>,
    numbering: Numbering,
    /// Not in place: most viewers never change their numbering.
    earlier: Vec<Numbering>,
}

/// From the viewer's number `from` on, frames are those of `source`, and canonical number = viewer's
/// number + `offset`, place on the viewer's line = media time + `shift`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbering {
    from: u64,
    offset: u64,
    shift: u64,
    pub(super) source: TrackIndex,
}

impl Numbering {
    pub(super) fn place(&self, media: MediaTime) -> MediaTime {
        MediaTime(media.0.wrapping_add(self.shift))
    }
}

impl SubTrack {
    pub(super) fn new(index: TrackIndex, track: &Track) -> Self {
        Self {
            track: index,
            video: track.is_video(),
            awaiting: track.is_video(),
            renumber: false,
            rate: track.rate(),
            live_from: MediaTime(0),
            sent_until: MediaTime(0),
            next_seq: None,
            numbering: Numbering { from: 0, offset: 0, shift: 0, source: index },
            earlier: Vec::new(),
        }
    }

    /// The viewer's number of a frame's first packet.
    pub(super) fn number(&mut self, frame: &Frame) -> u64 {
        let canonical = frame.first_seq;
        match self.next_seq {
            None => (self.numbering.from, self.numbering.offset) = (canonical, 0),
            Some(next)
                if self.renumber && canonical.wrapping_sub(self.numbering.offset) != next =>
            {
                self.begin(next, canonical);
            }
            Some(_) => {}
        }
        self.renumber = false;
        let seq = canonical.wrapping_sub(self.numbering.offset);
        self.next_seq = Some(seq + frame.payloads.len() as u64);
        seq
    }

    /// From the viewer's number `next` on, which is the canonical one `canonical`, a new numbering.
    fn begin(&mut self, next: u64, canonical: u64) {
        if self.earlier.len() == KEPT_NUMBERINGS {
            self.earlier.remove(0);
        }
        self.earlier.push(self.numbering);
        let offset = canonical.wrapping_sub(next);
        self.numbering = Numbering { from: next, offset, ..self.numbering };
    }

    /// A frame is passed over.
    pub(super) fn pass(&mut self) {
        self.renumber = true;
    }

    /// The track that frames come from.
    pub(super) fn source(&self) -> TrackIndex {
        self.numbering.source
    }

    /// Where a media time of the source lies on the viewer's line.
    pub(super) fn place(&self, media: MediaTime) -> MediaTime {
        self.numbering.place(media)
    }

    /// Goes on with another source from `frame` on, whose line lies `shift` ticks before the
    /// viewer's. Numbers go on without a gap, and time never runs back.
    pub(super) fn take_source(&mut self, frame: &Frame, shift: u64) {
        let media = frame.descriptor.media_time;
        if let Some(next) = self.next_seq {
            self.begin(next, frame.first_seq);
        }
        self.renumber = false;
        self.numbering.source = frame.descriptor.track;
        self.numbering.shift = shift;
        let place = self.place(media);
        if self.next_seq.is_some() && place <= self.sent_until {
            self.numbering.shift = (self.sent_until.0 + 1).wrapping_sub(media.0);
        }
    }

    /// The canonical number behind a number that was sent to the viewer, and its numbering.
    pub(super) fn canonical(&self, seq: u16) -> Option<(u64, Numbering)> {
        let next = self.next_seq?;
        let seq = extend_seq(next, seq);
        if seq >= next {
            return None;
        }
        let numbering = *std::iter::once(&self.numbering)
            .chain(self.earlier.iter().rev())
            .find(|numbering| seq >= numbering.from)?;
        Some((seq.wrapping_add(numbering.offset), numbering))
    }

    pub(super) fn timestamp(&self, plan: Option<&CatchUp>, place: MediaTime) -> MediaTime {
        plan.map_or(place, |plan| plan.timestamp(place, self.live_from))
    }
}
