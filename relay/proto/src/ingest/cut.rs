//! From the packets of one frame to its canonical payloads.
//!
//! Payloads that fit and are well-formed stay as they are and share the publisher's bytes; the rest
//! is cut anew. Nothing here panics on any input: a frame is whole, or it is [`Broken`].

pub(super) mod audio;
mod av1;
mod nals;

use bytes::Bytes;

use super::parameter_sets::ParameterSets;
use crate::codec::{Codec, TrackInfo};
use crate::wire::annexb;
use crate::wire::av1 as wire_av1;
use crate::wire::nal::{NalClass, NalFormat, NalPayload};

/// The packets do not form a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Broken;

/// A frame's canonical payloads and what its descriptor says of them.
#[derive(Debug)]
pub(super) struct Cut {
    pub(super) payloads: Vec<Bytes>,
    pub(super) keyframe: bool,
    pub(super) discardable: bool,
}

/// The video formats with what they remember between frames.
#[derive(Debug)]
pub(super) enum VideoCutter {
    Nal(NalFormat, ParameterSets),
    Av1,
}

impl VideoCutter {
    /// `None` for audio.
    pub(super) fn new(info: &TrackInfo) -> Option<Self> {
        let format = match info.codec {
            Codec::H264 => NalFormat::H264,
            Codec::H265 => NalFormat::H265,
            Codec::Av1 => return Some(Self::Av1),
            Codec::Opus | Codec::Pcmu | Codec::Pcma | Codec::Aac => return None,
        };
        Some(Self::Nal(format, ParameterSets::new(format, &info.parameter_sets)))
    }

    /// The parameter sets known, in sending order.
    pub(super) fn parameter_sets(&self) -> Vec<Bytes> {
        match self {
            Self::Nal(_, sets) => sets.nals().cloned().collect(),
            Self::Av1 => Vec::new(),
        }
    }

    /// Another connection of the same publisher: sets it names out of band replace all others.
    pub(super) fn restart(&mut self, info: &TrackInfo) {
        if let Self::Nal(format, sets) = self
            && !info.parameter_sets.is_empty()
        {
            *sets = ParameterSets::new(*format, &info.parameter_sets);
        }
    }

    /// Canonical payloads of a frame's packets. `continued`: a frame of the same timestamp was
    /// finished just before, so this one brings more slices of its picture. `Ok(None)`: there is
    /// no picture in it.
    pub(super) fn cut(
        &mut self,
        packets: &[Bytes],
        continued: bool,
    ) -> Result<Option<Cut>, Broken> {
        match self {
            Self::Nal(format, sets) => nals::cut(*format, sets, packets, continued),
            Self::Av1 => av1::cut(packets),
        }
    }

    /// Whether a picture begins with this payload, judged after a loss.
    pub(super) fn starts_frame(&self, payload: &Bytes) -> bool {
        match self {
            Self::Nal(format, _) => nal_starts_frame(*format, payload),
            Self::Av1 => wire_av1::parse(payload).is_some_and(|(header, elements)| {
                let kind = elements.first().map(|element| wire_av1::obu_type(element[0]));
                !header.continues && kind != Some(wire_av1::TILE_GROUP)
            }),
        }
    }
}

fn nal_starts_frame(format: NalFormat, payload: &Bytes) -> bool {
    let begins = |class| match class {
        NalClass::Slice { first, .. } => first,
        NalClass::ParameterSet(_) | NalClass::Delimiter | NalClass::Other => true,
    };
    match format.parse(payload) {
        Some(NalPayload::Single(nal)) => {
            annexb::slices(&nal).next().is_some_and(|nal| begins(format.class(&nal)))
        }
        Some(NalPayload::Aggregate(nals)) => {
            nals.first().is_some_and(|nal| begins(format.class(nal)))
        }
        Some(NalPayload::Fragment(part)) => part.start && begins(format.fragment_class(&part)),
        None => false,
    }
}
