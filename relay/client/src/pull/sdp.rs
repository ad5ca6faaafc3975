//! Tracks of a camera from its session description.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as B64;
use bytes::Bytes;
use retina::client::Stream;
use sightline_relay_proto::codec::{Codec, MediaKind, TrackInfo};

/// One entry per stream: its track, if the codec is known.
pub(super) fn tracks(sdp: &[u8], streams: &[Stream]) -> Vec<Option<TrackInfo>> {
    let sections = sections(&String::from_utf8_lossy(sdp));
    let describe = |(at, stream): (usize, &Stream)| {
        let fmtp = sections
            .get(at)
            .and_then(|section| fmtp(section, stream.rtp_payload_type()))
            .unwrap_or_default();
        let channels = stream.channels().map_or(1, |channels| channels.get());
        track(stream.encoding_name(), stream.clock_rate_hz(), channels, fmtp)
    };
    streams.iter().enumerate().map(describe).collect()
}

fn track(name: &str, clock_rate: u32, channels: u16, fmtp: &str) -> Option<TrackInfo> {
    let codec = Codec::from_rtpmap_name(name)?;
    let mut info = match codec.kind() {
        MediaKind::Video => TrackInfo::video(codec),
        MediaKind::Audio => {
            TrackInfo::audio(codec, clock_rate, u8::try_from(channels).ok()?.clamp(1, 8))
        }
    };
    info.fmtp = fmtp.to_owned();
    info.parameter_sets = parameter_sets(fmtp);
    Some(info)
}

/// Lines of each media section.
fn sections(sdp: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for line in sdp.lines() {
        if line.starts_with("m=") {
            out.push(String::new());
        }
        if let Some(section) = out.last_mut() {
            section.push_str(line.trim_end());
            section.push('\n');
        }
    }
    out
}

fn fmtp(section: &str, payload_type: u8) -> Option<&str> {
    section.lines().find_map(|line| {
        let (number, parameters) = line.strip_prefix("a=fmtp:")?.split_once(' ')?;
        (number.parse() == Ok(payload_type)).then_some(parameters.trim())
    })
}

/// Parameter sets that H.264 and H.265 put into `fmtp`, in sending order.
fn parameter_sets(fmtp: &str) -> Vec<Bytes> {
    let names = ["sprop-vps", "sprop-sps", "sprop-pps", "sprop-parameter-sets"];
    let value = |name: &str| {
        fmtp.split(';').find_map(|part| {
            let (key, value) = part.trim().split_once('=')?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    };
    let sets = names.into_iter().filter_map(value).flat_map(|list| list.split(','));
    sets.filter_map(|set| B64.decode(set.trim()).ok())
        .filter(|set| !set.is_empty())
        .map(Bytes::from)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fmtp_of_each_section_is_found_with_its_parameter_sets() {
        let sdp = "v=0\r\ns=x\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n\
            a=fmtp:96 packetization-mode=1; sprop-parameter-sets=Z0LgH9o=,aM48gA==\r\n\
            m=audio 0 RTP/AVP 97\r\na=fmtp:97 mode=AAC-hbr\r\n";
        let sections = sections(sdp);
        let video = fmtp(&sections[0], 96).expect("given");
        let info = track("H264", 90_000, 1, video).expect("known");
        assert_eq!(info.parameter_sets.len(), 2);
        assert_eq!(info.parameter_sets[0][0] & 31, 7);
        assert_eq!(fmtp(&sections[1], 97), Some("mode=AAC-hbr"));
        assert_eq!(fmtp(&sections[1], 96), None);
        assert_eq!(track("JPEG", 90_000, 1, ""), None);
    }
}
