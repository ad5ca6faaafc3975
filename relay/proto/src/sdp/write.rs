//! The description that viewers get.

use std::fmt::Write as _;

use crate::codec::{Codec, MediaKind, TrackInfo};

use super::fmtp;

/// First dynamic payload type; the track's index is added.
const FIRST_DYNAMIC: u8 = 96;

/// Payload type of the track at `index` towards RTSP viewers.
pub fn payload_type(index: usize, info: &TrackInfo) -> u8 {
    match (info.codec, info.clock_rate, info.channels) {
        (Codec::Pcmu, 8000, 1) => 0,
        (Codec::Pcma, 8000, 1) => 8,
        _ => FIRST_DYNAMIC + (index % 32) as u8,
    }
}

/// Writes a description of a live stream. `session` is the number in the `o=` line.
pub fn write(tracks: &[TrackInfo], session: u64) -> String {
    let mut out = format!(
        "v=0\r\no=- {session} 1 IN IP4 0.0.0.0\r\ns=Sightline\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n\
         a=control:*\r\na=range:npt=now-\r\n"
    );
    for (index, info) in tracks.iter().enumerate() {
        media(&mut out, index, info);
    }
    out
}

fn media(out: &mut String, index: usize, info: &TrackInfo) {
    let kind = match info.kind() {
        MediaKind::Video => "video",
        MediaKind::Audio => "audio",
    };
    let number = payload_type(index, info);
    let mut map = format!("{}/{}", info.codec.rtpmap_name(), info.clock_rate);
    if info.channels > 1 || info.codec == Codec::Aac {
        let _ = write!(map, "/{}", info.channels);
    }
    let _ = write!(out, "m={kind} 0 RTP/AVP {number}\r\na=rtpmap:{number} {map}\r\n");
    let params = fmtp::with_sets(info);
    // A line break inside a foreign text must not become a line of ours.
    if !params.is_empty() && !params.contains(['\r', '\n']) {
        let _ = write!(out, "a=fmtp:{number} {params}\r\n");
    }
    let _ = write!(out, "a=control:trackID={index}\r\n");
}
