//! Raw Annex-B files, cut into access units.

use bytes::Bytes;
use sightline_relay_proto::codec::{Codec, TrackInfo};
use sightline_relay_proto::ids::TrackIndex;
use sightline_relay_proto::wire::annexb;
use sightline_relay_proto::wire::nal::{NalClass, NalFormat};

use super::{Clip, ClipError, Sample, duration_of};
use crate::annexb::push_unit;

pub(super) const H264: (Codec, NalFormat) = (Codec::H264, NalFormat::H264);
pub(super) const H265: (Codec, NalFormat) = (Codec::H265, NalFormat::H265);

/// Reads a raw file: pictures in coding order, at a fixed rate.
pub(super) fn read(
    (codec, format): (Codec, NalFormat),
    bytes: &Bytes,
    frame_rate: u32,
) -> Result<Clip, ClipError> {
    let frame_rate = frame_rate.clamp(1, 240);
    let info = TrackInfo::video(codec);
    let mut units: Vec<(Vec<u8>, bool)> = Vec::new();
    let mut unit = Vec::new();
    let (mut has_slice, mut keyframe) = (false, false);
    for nal in annexb::units(bytes) {
        let class = format.class(nal);
        let begins = match class {
            NalClass::Slice { first, .. } => first,
            NalClass::ParameterSet(_) | NalClass::Delimiter => true,
            NalClass::Other => false,
        };
        if has_slice && begins {
            units.push((std::mem::take(&mut unit), keyframe));
            (has_slice, keyframe) = (false, false);
        }
        if let NalClass::Slice { keyframe: key, .. } = class {
            has_slice = true;
            keyframe |= key;
        }
        push_unit(&mut unit, nal);
    }
    if has_slice {
        units.push((unit, keyframe));
    }
    let count = units.len() as u64;
    let sample = |(at, (unit, keyframe)): (usize, (Vec<u8>, bool))| Sample {
        track: TrackIndex(0),
        at: duration_of(at as u64, frame_rate),
        timestamp: at as u64 * u64::from(info.clock_rate) / u64::from(frame_rate),
        keyframe,
        unit: unit.into(),
    };
    let samples = units.into_iter().enumerate().map(sample).collect();
    Clip::new(vec![info], samples, duration_of(count, frame_rate))
}
