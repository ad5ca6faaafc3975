//! The lenient parser.

use crate::codec::{Codec, MediaKind, TrackInfo};
use crate::ids::Tier;
use crate::limits::MAX_TRACKS;

use super::{Description, MAX_LINE, MAX_LINES, MAX_SDP, Media, SdpError, fmtp};

/// Parses a description. Text that is not UTF-8 is read as far as it is ASCII.
pub fn parse(body: &[u8]) -> Result<Description, SdpError> {
    if body.len() > MAX_SDP {
        return Err(SdpError::TooLong);
    }
    let text = String::from_utf8_lossy(body);
    let lines: Vec<&str> = text.split(['\n', '\r']).filter(|line| !line.is_empty()).collect();
    if lines.len() > MAX_LINES || lines.iter().any(|line| line.len() > MAX_LINE) {
        return Err(SdpError::TooLong);
    }
    if lines.first().is_none_or(|line| line.trim_end() != "v=0") {
        return Err(SdpError::NotSdp);
    }
    let mut found = Description::default();
    let mut section: Option<Section<'_>> = None;
    for line in &lines {
        if let Some(rest) = line.strip_prefix("m=") {
            finish(&mut found, section.take());
            section = Some(Section::new(rest));
        } else if let Some(attribute) = line.strip_prefix("a=") {
            match &mut section {
                Some(section) => section.attribute(attribute),
                None => {
                    if let Some(control) = attribute.strip_prefix("control:") {
                        found.control = control.trim().to_owned();
                    }
                }
            }
        }
    }
    finish(&mut found, section);
    Ok(found)
}

/// Attributes of one `m=` section as they come in.
struct Section<'a> {
    line: &'a str,
    rtpmaps: Vec<(u8, &'a str)>,
    fmtps: Vec<(u8, &'a str)>,
    control: &'a str,
}

impl<'a> Section<'a> {
    fn new(line: &'a str) -> Self {
        Self { line, rtpmaps: Vec::new(), fmtps: Vec::new(), control: "" }
    }

    fn attribute(&mut self, attribute: &'a str) {
        let Some((name, value)) = attribute.split_once(':') else { return };
        match name {
            "rtpmap" => self.rtpmaps.extend(numbered(value)),
            "fmtp" => self.fmtps.extend(numbered(value)),
            "control" => self.control = value.trim(),
            _ => {}
        }
    }

    /// The first payload type that the relay carries, or why there is none.
    fn media(&self) -> Result<Media, String> {
        let mut words = self.line.split_ascii_whitespace();
        let kind = words.next().unwrap_or_default();
        let protocol = words.nth(1).unwrap_or_default();
        if !matches!(protocol, "RTP/AVP" | "RTP/AVPF" | "RTP/AVP/TCP" | "RTP/AVP/UDP") {
            return Err(format!("{} over {}", short(kind), short(protocol)));
        }
        let types: Vec<u8> = words.filter_map(|word| word.parse().ok()).collect();
        let types: Vec<u8> = types.into_iter().filter(|number| *number < 128).collect();
        let mut reason = format!("{} without a payload type", short(kind));
        for payload_type in &types {
            match self.track(kind, *payload_type, &types) {
                Ok(info) => {
                    let control = self.control.to_owned();
                    return Ok(Media { info, payload_type: *payload_type, control });
                }
                Err(why) => reason = why,
            }
        }
        Err(reason)
    }

    fn track(&self, kind: &str, payload_type: u8, types: &[u8]) -> Result<TrackInfo, String> {
        let named = self.rtpmaps.iter().find(|(number, _)| *number == payload_type);
        let map = match (named, payload_type) {
            (Some((_, map)), _) => map,
            (None, 0) => "PCMU/8000",
            (None, 8) => "PCMA/8000",
            (None, other) => return Err(format!("payload type {other} without rtpmap")),
        };
        let mut parts = map.trim().split('/');
        let name = parts.next().unwrap_or_default();
        let unsupported = || format!("{} is not carried", short(name));
        let codec = Codec::from_rtpmap_name(name).ok_or_else(unsupported)?;
        let (is_video, says_video) = (codec.kind() == MediaKind::Video, kind == "video");
        if is_video != says_video {
            return Err(format!("{} in a section of {}", short(name), short(kind)));
        }
        let rate = parts.next().and_then(|rate| rate.trim().parse::<u32>().ok());
        let Some(clock_rate) = rate.filter(|rate| (1..=1_000_000).contains(rate)) else {
            return Err(format!("{} without a usable clock rate", short(name)));
        };
        let channels = match parts.next().map_or(Ok(1), |count| count.trim().parse::<u8>()) {
            _ if is_video => 0,
            Ok(count @ 1..=8) => count,
            _ => return Err(format!("{} with an odd channel count", short(name))),
        };
        let mut info = TrackInfo { clock_rate, channels, ..TrackInfo::video(codec) };
        info.fmtp = self.fmtp(payload_type, types).to_owned();
        fmtp::normalise(&mut info);
        Ok(info)
    }

    /// Parameters of a payload type. Some cameras number them wrongly: if no line carries any type
    /// of a section with one type, a lone line is meant for it.
    fn fmtp(&self, payload_type: u8, types: &[u8]) -> &'a str {
        let own = self.fmtps.iter().find(|(number, _)| *number == payload_type);
        match (own, types, &self.fmtps[..]) {
            (Some((_, params)), ..) => params,
            (None, [_], [(_, params)]) => params,
            _ => "",
        }
    }
}

/// `96 text` of an attribute.
fn numbered(value: &str) -> Option<(u8, &str)> {
    let (number, rest) = value.trim_start().split_once(' ')?;
    Some((number.parse().ok()?, rest.trim()))
}

/// A foreign word, fit for a message.
fn short(word: &str) -> String {
    word.chars().filter(|c| c.is_ascii_graphic()).take(24).collect()
}

fn finish(found: &mut Description, section: Option<Section<'_>>) {
    let Some(section) = section else { return };
    match section.media() {
        Ok(_) if found.media.len() == MAX_TRACKS => {
            found.ignored.push(format!("more than {MAX_TRACKS} tracks"));
        }
        Ok(mut media) => {
            let is_video = |media: &Media| media.info.kind() == MediaKind::Video;
            if is_video(&media) && found.media.iter().any(is_video) {
                media.info.tier = Tier::Sub;
            }
            found.media.push(media);
        }
        Err(reason) => found.ignored.push(reason),
    }
}
