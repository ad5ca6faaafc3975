//! From what an encoder gives to RTP payloads, for senders of their own: camera agent, load tool.

use bytes::Bytes;

use super::nal::{NalClass, NalFormat};
use super::{aac, annexb, av1};
use crate::codec::Codec;
use crate::limits::MAX_CANONICAL_PAYLOAD;

/// The RTP payloads of one access unit, each at most [`MAX_CANONICAL_PAYLOAD`] bytes, to be sent
/// with one timestamp and, for video and AAC, the marker on the last.
///
/// `unit` is an Annex-B access unit (H.264, H.265), a temporal unit as OBU stream (AV1), one Opus
/// packet, G.711 samples, or one AAC access unit (with or without ADTS header). Parameter sets are
/// aggregated; delimiters and filler are left out. Payloads that fit share the unit's memory.
/// Longer G.711 runs are cut too: each payload is then so many samples later than the one before.
/// Empty: nothing to send, malformed AV1, or an Opus packet or AAC unit that no payload can hold.
pub fn packetize(codec: Codec, unit: &Bytes) -> Vec<Bytes> {
    let mut out = Vec::new();
    match codec {
        Codec::H264 => packetize_nals(NalFormat::H264, unit, &mut out),
        Codec::H265 => packetize_nals(NalFormat::H265, unit, &mut out),
        Codec::Av1 => {
            let obus = av1::obus(unit).unwrap_or_default();
            let is_sequence = |obu: &av1::Obu| av1::obu_type(obu[0][0]) == av1::SEQUENCE_HEADER;
            av1::push_obus(&obus, obus.iter().any(is_sequence), &mut out);
        }
        Codec::Opus if unit.len() > MAX_CANONICAL_PAYLOAD => {}
        Codec::Opus => out.extend((!unit.is_empty()).then(|| unit.clone())),
        Codec::Pcmu | Codec::Pcma => push_samples(unit, 1, &mut out),
        Codec::Aac => aac::push_unit(unit, &mut out),
    }
    out
}

/// Appends G.711 samples in payloads of equal size; `channels` bytes are never parted.
pub(crate) fn push_samples(samples: &Bytes, channels: u8, out: &mut Vec<Bytes>) {
    let step = usize::from(channels.max(1));
    let most = MAX_CANONICAL_PAYLOAD / step;
    let size = super::cut::part_size(samples.len().div_ceil(step), most) * step;
    let mut at = 0;
    while at < samples.len() {
        let end = samples.len().min(at + size);
        out.push(samples.slice(at..end));
        at = end;
    }
}

fn packetize_nals(format: NalFormat, unit: &Bytes, out: &mut Vec<Bytes>) {
    let mut sets = Vec::new();
    for nal in annexb::slices(unit) {
        match format.class(&nal) {
            NalClass::ParameterSet(_) => sets.push(nal),
            NalClass::Delimiter => {}
            NalClass::Slice { .. } | NalClass::Other => {
                push_sets(format, &mut sets, out);
                format.push_unit(&nal, out);
            }
        }
    }
    push_sets(format, &mut sets, out);
}

fn push_sets(format: NalFormat, sets: &mut Vec<Bytes>, out: &mut Vec<Bytes>) {
    if !sets.is_empty() {
        format.push_aggregated(sets, out);
        sets.clear();
    }
}
