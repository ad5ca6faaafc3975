//! Format parameters and the parameter sets inside them.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use bytes::Bytes;

use crate::codec::{Codec, TrackInfo};

/// Parameter sets of one track, at most.
const MAX_SETS: usize = 16;

/// See [`super::normalise`].
pub(super) fn normalise(info: &mut TrackInfo) {
    let mut kept: Vec<String> = Vec::new();
    let mut sets: Vec<Bytes> = Vec::new();
    for param in info.fmtp.split(';').map(str::trim).filter(|param| !param.is_empty()) {
        let (key, value) = param.split_once('=').unwrap_or((param, ""));
        if is_sprop(info.codec, key.trim()) {
            for text in value.split(',') {
                sets.extend(decode(text).into_iter().filter(|set| fits(info.codec, set)));
            }
        } else if info.codec == Codec::H264 && key.trim() == "packetization-mode" {
            continue;
        } else if !kept.iter().any(|known| known == param) {
            kept.push(param.to_owned());
        }
    }
    for set in sets {
        if info.parameter_sets.len() < MAX_SETS && !info.parameter_sets.contains(&set) {
            info.parameter_sets.push(set);
        }
    }
    info.parameter_sets.sort_by_key(|set| rank(info.codec, set));
    if info.codec == Codec::H264 {
        kept.insert(0, "packetization-mode=1".to_owned());
        add_profile(&mut kept, &info.parameter_sets);
    }
    if info.codec == Codec::Opus {
        // RFC 7587, 7: always two, whatever is inside.
        info.channels = 2;
    }
    info.fmtp = kept.join(";");
}

/// The parameters to write, with the parameter sets put back.
pub(super) fn with_sets(info: &TrackInfo) -> String {
    let mut params: Vec<String> = Vec::new();
    if !info.fmtp.is_empty() {
        params.push(info.fmtp.clone());
    }
    match info.codec {
        Codec::H264 if !info.parameter_sets.is_empty() => {
            params.push(format!("sprop-parameter-sets={}", encode(&info.parameter_sets, None)));
        }
        Codec::H265 => {
            for (kind, name) in [(32, "sprop-vps"), (33, "sprop-sps"), (34, "sprop-pps")] {
                let text = encode(&info.parameter_sets, Some(kind));
                if !text.is_empty() {
                    params.push(format!("{name}={text}"));
                }
            }
        }
        _ => {}
    }
    params.join(";")
}

fn is_sprop(codec: Codec, key: &str) -> bool {
    match codec {
        Codec::H264 => key == "sprop-parameter-sets",
        Codec::H265 => matches!(key, "sprop-vps" | "sprop-sps" | "sprop-pps"),
        _ => false,
    }
}

/// Base64 to sets; cameras put several sets, each behind an Annex-B start code, into one value.
fn decode(text: &str) -> Vec<Bytes> {
    let text = text.trim().trim_end_matches('=');
    let Ok(bytes) = STANDARD_NO_PAD.decode(text) else { return Vec::new() };
    let mut sets = Vec::new();
    let mut start = 0;
    let mut at = 0;
    while at + 3 <= bytes.len() {
        if bytes[at..at + 3] == [0, 0, 1] {
            push_set(&mut sets, &bytes[start..at]);
            at += 3;
            start = at;
        } else {
            at += 1;
        }
    }
    push_set(&mut sets, &bytes[start..]);
    sets
}

/// The zeros before a start code and after a set belong to neither (H.264, B.1).
fn push_set(sets: &mut Vec<Bytes>, bytes: &[u8]) {
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    if end > 0 {
        sets.push(Bytes::copy_from_slice(&bytes[..end]));
    }
}

/// Whether a decoded value is a parameter set at all; some cameras put other things there.
fn fits(codec: Codec, set: &[u8]) -> bool {
    rank(codec, set) < u8::MAX
}

fn rank(codec: Codec, set: &[u8]) -> u8 {
    let Some(first) = set.first() else { return u8::MAX };
    match (codec, first & 0x1f, first >> 1 & 0x3f) {
        (Codec::H264, 7, _) | (Codec::H265, _, 33) => 1,
        (Codec::H264, 8, _) | (Codec::H265, _, 34) => 2,
        (Codec::H265, _, 32) => 0,
        _ => u8::MAX,
    }
}

fn add_profile(kept: &mut Vec<String>, sets: &[Bytes]) {
    let known = kept.iter().any(|param| param.starts_with("profile-level-id="));
    let sps = sets.iter().find(|set| set.first().is_some_and(|first| first & 0x1f == 7));
    if let (false, Some([_, profile, constraints, level, ..])) = (known, sps.map(|sps| &sps[..])) {
        kept.push(format!("profile-level-id={profile:02x}{constraints:02x}{level:02x}"));
    }
}

fn encode(sets: &[Bytes], kind: Option<u8>) -> String {
    let wanted = |set: &&Bytes| match kind {
        Some(kind) => set.first().is_some_and(|first| first >> 1 & 0x3f == kind),
        None => true,
    };
    let texts: Vec<_> = sets.iter().filter(wanted).map(|set| STANDARD.encode(set)).collect();
    texts.join(",")
}
