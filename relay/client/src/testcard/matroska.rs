//! A writer of live Matroska (RFC 9559): enough for one picture and one sound track, so that other
//! programs get exact timestamps with the test card.

use super::bits::push_nal;
use super::h264::{Format, pps};
use super::tone::ToneCodec;

/// "Unknown size", eight bytes long, for elements that end with the stream.
const UNKNOWN: [u8; 8] = [0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
/// A block's time is a signed 16-bit offset to its cluster; a new one starts well before that ends.
const CLUSTER_MS: u64 = 20_000;

/// Which track a block belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Track {
    Video = 1,
    Audio = 2,
}

/// Writes headers once, then blocks.
#[derive(Debug, Default)]
pub(super) struct Writer {
    cluster_ms: Option<u64>,
}

impl Writer {
    /// EBML header, segment, track list.
    pub(super) fn header(format: Format, tone: ToneCodec) -> Vec<u8> {
        let ebml = [
            element(&[0x42, 0x86], &[1]),
            element(&[0x42, 0xF7], &[1]),
            element(&[0x42, 0xF2], &[4]),
            element(&[0x42, 0xF3], &[8]),
            element(&[0x42, 0x82], b"matroska"),
            element(&[0x42, 0x87], &[4]),
            element(&[0x42, 0x85], &[2]),
        ];
        let info = [
            element(&[0x2A, 0xD7, 0xB1], &1_000_000u32.to_be_bytes()),
            element(&[0x4D, 0x80], b"sightline"),
            element(&[0x57, 0x41], b"sightline testcard"),
        ];
        let mut out = element(&[0x1A, 0x45, 0xDF, 0xA3], &ebml.concat());
        out.extend_from_slice(&[0x18, 0x53, 0x80, 0x67]);
        out.extend_from_slice(&UNKNOWN);
        out.extend(element(&[0x15, 0x49, 0xA9, 0x66], &info.concat()));
        let tracks = [video_entry(format), audio_entry(tone)].concat();
        out.extend(element(&[0x16, 0x54, 0xAE, 0x6B], &tracks));
        out
    }

    /// One block. `at_ms` must not fall.
    pub(super) fn block(
        &mut self,
        track: Track,
        at_ms: u64,
        keyframe: bool,
        payload: &[u8],
    ) -> Vec<u8> {
        let mut out = Vec::new();
        let stale = self.cluster_ms.is_none_or(|start| at_ms - start >= CLUSTER_MS);
        if stale || (keyframe && track == Track::Video) {
            out.extend_from_slice(&[0x1F, 0x43, 0xB6, 0x75]);
            out.extend_from_slice(&UNKNOWN);
            out.extend(element(&[0xE7], &at_ms.to_be_bytes()));
            self.cluster_ms = Some(at_ms);
        }
        let offset = (at_ms - self.cluster_ms.unwrap_or(at_ms)) as u16;
        let mut body = vec![0x80 | track as u8];
        body.extend_from_slice(&offset.to_be_bytes());
        body.push(if keyframe { 0x80 } else { 0 });
        body.extend_from_slice(payload);
        out.extend(element(&[0xA3], &body));
        out
    }
}

/// Turns our own Annex-B access units (four-byte start codes only) into length-prefixed ones.
pub(super) fn length_prefixed(access_unit: &[u8]) -> Vec<u8> {
    let mut starts: Vec<usize> = Vec::new();
    for (at, window) in access_unit.windows(4).enumerate() {
        if window == [0, 0, 0, 1] {
            starts.push(at);
        }
    }
    let ends = starts.iter().skip(1).copied().chain([access_unit.len()]);
    let mut out = Vec::with_capacity(access_unit.len());
    for (start, end) in starts.iter().zip(ends) {
        let unit = &access_unit[start + 4..end];
        out.extend_from_slice(&(unit.len() as u32).to_be_bytes());
        out.extend_from_slice(unit);
    }
    out
}

fn video_entry(format: Format) -> Vec<u8> {
    let size = [
        element(&[0xB0], &format.width.to_be_bytes()),
        element(&[0xBA], &format.height.to_be_bytes()),
    ];
    let frame_ns = 1_000_000_000 / u64::from(format.fps);
    let fields = [
        element(&[0xD7], &[Track::Video as u8]),
        element(&[0x73, 0xC5], &[Track::Video as u8]),
        element(&[0x83], &[1]),
        element(&[0x9C], &[0]),
        element(&[0x86], b"V_MPEG4/ISO/AVC"),
        element(&[0x63, 0xA2], &decoder_configuration(format)),
        element(&[0x23, 0xE3, 0x83], &frame_ns.to_be_bytes()),
        element(&[0xE0], &size.concat()),
    ];
    element(&[0xAE], &fields.concat())
}

/// `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15, 5.3.3.1).
fn decoder_configuration(format: Format) -> Vec<u8> {
    let unit = |header, rbsp: &[u8]| {
        let mut out = Vec::new();
        push_nal(&mut out, header, rbsp);
        out.split_off(4)
    };
    let sps = unit(0x67, &format.sps());
    let pps = unit(0x68, &pps());
    let mut out = vec![1, sps[1], sps[2], sps[3], 0xFF, 0xE1];
    out.extend_from_slice(&(sps.len() as u16).to_be_bytes());
    out.extend_from_slice(&sps);
    out.push(1);
    out.extend_from_slice(&(pps.len() as u16).to_be_bytes());
    out.extend_from_slice(&pps);
    out
}

fn audio_entry(tone: ToneCodec) -> Vec<u8> {
    let (codec, private): (&[u8], Vec<u8>) = match tone {
        // RFC 7845, 5.1: version 1, mono, no pre-skip, 48 kHz, no gain, mapping family 0.
        ToneCodec::Opus => {
            (b"A_OPUS", [&b"OpusHead\x01\x01\0\0"[..], &[0x80, 0xBB, 0, 0, 0, 0, 0]].concat())
        }
        ToneCodec::Pcma => (b"A_MS/ACM", wave_format(6)),
        ToneCodec::Pcmu => (b"A_MS/ACM", wave_format(7)),
    };
    let rate = f64::from(tone.clock_rate());
    let sound = [element(&[0xB5], &rate.to_be_bytes()), element(&[0x9F], &[1])];
    let fields = [
        element(&[0xD7], &[Track::Audio as u8]),
        element(&[0x73, 0xC5], &[Track::Audio as u8]),
        element(&[0x83], &[2]),
        element(&[0x9C], &[0]),
        element(&[0x86], codec),
        element(&[0x63, 0xA2], &private),
        element(&[0xE1], &sound.concat()),
    ];
    element(&[0xAE], &fields.concat())
}

/// `WAVEFORMATEX` of mono G.711 at 8 kHz.
fn wave_format(tag: u16) -> Vec<u8> {
    let mut out = Vec::new();
    for (value, len) in [(u32::from(tag), 2), (1, 2), (8000, 4), (8000, 4), (1, 2), (8, 2), (0, 2)]
    {
        out.extend_from_slice(&value.to_le_bytes()[..len]);
    }
    out
}

/// An element with a known size of at most four bytes' length.
fn element(id: &[u8], body: &[u8]) -> Vec<u8> {
    let mut out = id.to_vec();
    out.extend_from_slice(&(body.len() as u32 | 0x1000_0000).to_be_bytes());
    out.extend_from_slice(body);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_units_are_cut_at_their_start_codes() {
        let annex_b = [0, 0, 0, 1, 0x67, 9, 0, 0, 0, 1, 0x65, 0, 0, 3, 1];
        let expected = [0, 0, 0, 2, 0x67, 9, 0, 0, 0, 5, 0x65, 0, 0, 3, 1];
        assert_eq!(length_prefixed(&annex_b), expected);
        assert!(length_prefixed(&[]).is_empty());
    }

    #[test]
    fn a_block_never_lies_beyond_its_clusters_reach() {
        let mut writer = Writer::default();
        let is_cluster = |out: &[u8]| out.starts_with(&[0x1F, 0x43, 0xB6, 0x75]);
        assert!(is_cluster(&writer.block(Track::Audio, 5, true, b"a")));
        assert!(!is_cluster(&writer.block(Track::Audio, 5 + CLUSTER_MS - 1, true, b"a")));
        assert!(is_cluster(&writer.block(Track::Audio, 5 + CLUSTER_MS, true, b"a")));
        assert!(is_cluster(&writer.block(Track::Video, 6 + CLUSTER_MS, true, b"k")));
        assert!(!is_cluster(&writer.block(Track::Video, 6 + CLUSTER_MS, false, b"p")));
    }
}
