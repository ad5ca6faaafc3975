//! Frames that no later one refers to, told by the access units themselves: whoever makes sealed
//! frames says it of them in the clear.

use super::annexb;
use super::nal::{NalClass, NalFormat};
use crate::codec::Codec;

/// What has to be known of one track.
#[derive(Clone, Copy, Debug)]
pub struct References {
    /// `None`: a codec of which it is not told.
    format: Option<NalFormat>,
    /// The highest sub-layer, by the newest parameter sets.
    top: Option<u8>,
}

impl References {
    /// Of a track's first frame.
    pub fn new(codec: Codec) -> Self {
        let format = match codec {
            Codec::H264 => Some(NalFormat::H264),
            Codec::H265 => Some(NalFormat::H265),
            Codec::Av1 | Codec::Opus | Codec::Pcmu | Codec::Pcma | Codec::Aac => None,
        };
        Self { format, top: None }
    }

    /// Whether all that follows decodes without this access unit, the track's next one (Annex B).
    pub fn is_needless(&mut self, unit: &[u8]) -> bool {
        let Some(format) = self.format else { return false };
        let nals = || annexb::units(unit);
        self.top = nals().filter_map(|nal| format.top_sub_layer(nal)).max().or(self.top);
        let mut slices = nals().filter_map(|nal| match format.class(nal) {
            NalClass::Slice { reference, .. } => Some(reference.is_needless(self.top)),
            _ => None,
        });
        slices.next().is_some_and(|first| first && slices.all(|needless| needless))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An access unit of these NAL units.
    fn unit(nals: &[&[u8]]) -> Vec<u8> {
        nals.iter().flat_map(|nal| [&[0, 0, 0, 1], *nal].concat()).collect()
    }

    #[test]
    fn an_h264_unit_is_needless_if_all_of_its_slices_are() {
        let mut references = References::new(Codec::H264);
        let (loose, other): (&[u8], &[u8]) = (&[0x01, 0x9a], &[0x41, 0x9a]);
        for (nals, needless) in [
            (vec![loose], true),
            (vec![&[0x06, 5][..], loose, loose], true),
            (vec![loose, other], false),
            (vec![other, loose], false),
            (vec![&[0x67, 0x42, 0xe0], &[0x68, 0xce], &[0x65, 0x88]], false),
            (vec![&[0x06, 5]], false),
            (vec![], false),
        ] {
            assert_eq!(references.is_needless(&unit(&nals)), needless, "{nals:?}");
        }
    }

    #[test]
    fn an_h265_unit_is_needless_in_the_highest_sub_layer_alone() {
        let sps = |top: u8| vec![0x42, 1, top << 1, 1];
        let slice = |kind: u8, layer: u8| vec![kind << 1, layer + 1, 0x80];
        let mut references = References::new(Codec::H265);
        let mut needless = |nals: &[Vec<u8>]| {
            let nals: Vec<_> = nals.iter().map(Vec::as_slice).collect();
            references.is_needless(&unit(&nals))
        };
        assert!(!needless(&[slice(0, 0)]), "nobody knows whether there are higher ones");
        assert!(!needless(&[sps(0), slice(19, 0)]), "a keyframe");
        assert!(needless(&[slice(0, 0)]));
        assert!(!needless(&[slice(1, 0)]));
        assert!(!needless(&[sps(1), slice(19, 0)]));
        assert!(!needless(&[slice(0, 0)]), "a higher one may refer to it now");
        assert!(needless(&[slice(2, 1)]));
    }

    #[test]
    fn of_other_codecs_nothing_is_said() {
        for codec in [Codec::Av1, Codec::Opus, Codec::Aac] {
            assert!(!References::new(codec).is_needless(&unit(&[&[0x01, 0x9a]])));
        }
    }
}
