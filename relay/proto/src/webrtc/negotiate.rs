//! Matching an offer with a stream (WHEP) or with what we take (WHIP, RFC 9725, 4.4).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::NegotiationError;
use super::sdp::{Offer, OfferedCodec, Section, Way, parameter};
use crate::codec::{Codec, MediaKind, TrackInfo};
use crate::ids::{Tier, TrackIndex};
use crate::limits::MAX_TRACKS;

/// URI of the capture-time header extension.
pub const ABS_CAPTURE_TIME: &str = "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time";
/// URI of the playout-delay header extension.
pub const PLAYOUT_DELAY: &str = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay";
/// URI of the sending-time header extension, which a receiver's estimator goes by.
pub const ABS_SEND_TIME: &str = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time";
/// URI of the header extension with the transport's own packet counter.
pub const TRANSPORT_SEQUENCE: &str =
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
/// Longest parameter set taken from SDP, bytes.
pub const MAX_PARAMETER_SET: usize = 4096;

/// RTCP feedback agreed for a track.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Feedback {
    /// Generic NACK.
    pub nack: bool,
    /// Picture loss indication.
    pub pli: bool,
    /// Full intra request.
    pub fir: bool,
    /// Receiver estimated maximum bitrate, towards us.
    pub remb: bool,
    /// Transport-wide feedback, towards us; only where there is no REMB, which is far fewer packets.
    pub transport_cc: bool,
}

/// One agreed media section.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Agreed {
    /// Section in the offer, by place.
    pub section: usize,
    /// Track of the stream.
    pub track: TrackIndex,
    /// The codec line that both sides use.
    pub codec: OfferedCodec,
    /// Retransmission payload type.
    pub rtx: Option<u8>,
    /// Feedback kinds.
    pub feedback: Feedback,
    /// Id of [`ABS_CAPTURE_TIME`].
    pub capture_time: Option<u8>,
    /// Id of [`PLAYOUT_DELAY`].
    pub playout_delay: Option<u8>,
    /// What every packet is stamped with for the viewer's feedback.
    pub stamp: Option<Stamp>,
}

/// A header extension of every packet, with its id. Each kind costs 8 bytes, so that packets of a
/// run stay of one size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stamp {
    /// [`ABS_SEND_TIME`], for REMB.
    SendTime(u8),
    /// [`TRANSPORT_SEQUENCE`], for transport-wide feedback.
    Sequence(u8),
}

impl Stamp {
    /// Id and URI, as an `extmap` line has them.
    pub(super) fn mapping(self) -> (u8, &'static str) {
        match self {
            Self::SendTime(id) => (id, ABS_SEND_TIME),
            Self::Sequence(id) => (id, TRANSPORT_SEQUENCE),
        }
    }
}

/// What a viewer gets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ViewPlan {
    /// Agreed sections in the offer's order.
    pub agreed: Vec<Agreed>,
    /// Tracks left out, each with its reason.
    pub left_out: Vec<String>,
}

/// What a publisher sends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PublishPlan {
    /// Agreed sections in the offer's order; track indices count up.
    pub agreed: Vec<Agreed>,
    /// The tracks, by index.
    pub tracks: Vec<TrackInfo>,
}

impl ViewPlan {
    /// Chooses payload types for a stream's tracks. Fails if no picture of a stream with pictures
    /// can be shown although the viewer asks for video: never a black picture.
    pub fn new(offer: &Offer, tracks: &[TrackInfo]) -> Result<Self, NegotiationError> {
        let receives = |section: &Section| {
            !section.disabled && matches!(section.way, Way::RecvOnly | Way::SendRecv)
        };
        let usable = |section: &Section| section.is_rtp() && receives(section);
        if !offer.sections.iter().any(usable) {
            let text = "the offer has no audio or video section that receives";
            return Err(NegotiationError::BadOffer(text.into()));
        }
        let mut plan = Self { agreed: Vec::new(), left_out: Vec::new() };
        for kind in [MediaKind::Video, MediaKind::Audio] {
            let asked = |section: &Section| usable(section) && section.media == word(kind);
            let sections = || offer.sections.iter().enumerate().filter(|(_, s)| asked(s));
            let mut wanted: Vec<(usize, &TrackInfo)> =
                tracks.iter().enumerate().filter(|(_, track)| track.kind() == kind).collect();
            wanted.sort_by_key(|(_, track)| track.tier == Tier::Sub);
            let mut reasons = Vec::new();
            let mut found = None;
            for (at, track) in wanted {
                found = sections().find_map(|(place, section)| {
                    let index = TrackIndex(u8::try_from(at).ok()?);
                    agree(section, place, index, track)
                });
                if found.is_some() {
                    break;
                }
                reasons.push(refusal(track, sections().map(|(_, section)| section)));
            }
            if found.is_none()
                && kind == MediaKind::Video
                && !reasons.is_empty()
                && sections().next().is_some()
            {
                return Err(NegotiationError::UnsupportedCodec(reasons.join("; ")));
            }
            plan.agreed.extend(found);
            plan.left_out.append(&mut reasons);
        }
        if plan.agreed.is_empty() {
            return Err(NegotiationError::UnsupportedCodec(plan.left_out.join("; ")));
        }
        plan.agreed.sort_by_key(|agreed| agreed.section);
        Ok(plan)
    }
}

impl PublishPlan {
    /// Takes every media section or none: at most one audio and one video.
    pub fn new(offer: &Offer) -> Result<Self, NegotiationError> {
        let bad = |text: &str| Err(NegotiationError::BadOffer(text.to_owned()));
        let mut plan = Self { agreed: Vec::new(), tracks: Vec::new() };
        for (place, section) in offer.sections.iter().enumerate() {
            if section.disabled || !section.is_rtp() {
                continue;
            }
            if !matches!(section.way, Way::SendOnly | Way::SendRecv) {
                return bad("a publisher's media sections must be sendonly");
            }
            let same = |agreed: &&Agreed| offer.sections[agreed.section].media == section.media;
            if plan.agreed.iter().find(same).is_some() || plan.tracks.len() == MAX_TRACKS {
                return bad("at most one audio and one video section are taken");
            }
            let Some((offered, codec)) = first_known(section) else {
                let text = format!(
                    "no codec of the {} section is known: {}",
                    section.media,
                    names(section)
                );
                return Err(NegotiationError::UnsupportedCodec(text));
            };
            let track = TrackIndex(plan.tracks.len() as u8);
            plan.tracks.push(track_info(offered, codec));
            let agreed = agreed(section, place, track, offered);
            // Estimates are for what we send.
            let feedback = Feedback { remb: false, transport_cc: false, ..agreed.feedback };
            plan.agreed.push(Agreed {
                feedback,
                capture_time: None,
                playout_delay: None,
                stamp: None,
                ..agreed
            });
        }
        if plan.agreed.is_empty() {
            return bad("the offer has no audio or video section that sends");
        }
        let types =
            || plan.agreed.iter().flat_map(|a| [Some(a.codec.payload_type), a.rtx]).flatten();
        for (at, payload_type) in types().enumerate() {
            if types().skip(at + 1).any(|other| other == payload_type) {
                return bad("a payload type stands for two codecs within the bundle");
            }
        }
        Ok(plan)
    }
}

fn word(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Video => "video",
        MediaKind::Audio => "audio",
    }
}

fn names(section: &Section) -> String {
    let mut names: Vec<&str> = Vec::new();
    for codec in &section.codecs {
        if !codec.name.is_empty() && !names.contains(&codec.name.as_str()) {
            names.push(&codec.name);
        }
    }
    names.join(", ")
}

fn refusal<'a>(track: &TrackInfo, sections: impl Iterator<Item = &'a Section>) -> String {
    let kind = word(track.kind());
    let name = match track.codec {
        Codec::Aac => "AAC",
        codec => codec.rtpmap_name(),
    };
    let offered: Vec<String> = sections.map(names).collect();
    match offered.is_empty() {
        true => format!("{kind} ({name}): the viewer asks for no {kind}"),
        false => format!(
            "{kind} is {name}, which the viewer cannot take; it offers {}",
            offered.join(", ")
        ),
    }
}

fn agree(section: &Section, place: usize, track: TrackIndex, info: &TrackInfo) -> Option<Agreed> {
    let same = |codec: &&OfferedCodec| {
        codec.name.eq_ignore_ascii_case(info.codec.rtpmap_name())
            && codec.clock_rate == info.clock_rate
    };
    let rank = |codec: &OfferedCodec| match info.codec {
        Codec::H264 => rank_h264(codec, info),
        Codec::H265 => rank_profile(codec, info, "profile-id", "1"),
        Codec::Av1 => rank_profile(codec, info, "profile", "0"),
        // The number of Opus channels is always written as 2 (RFC 7587, 7).
        Codec::Opus => Some(0),
        Codec::Pcmu | Codec::Pcma => (codec.channels == info.channels.max(1)).then_some(0),
        Codec::Aac => None,
    };
    let ranked = section.codecs.iter().filter(same).filter_map(|codec| Some((rank(codec)?, codec)));
    let (_, best) = ranked.min_by_key(|(rank, _)| *rank)?;
    Some(agreed(section, place, track, best))
}

fn agreed(section: &Section, place: usize, track: TrackIndex, codec: &OfferedCodec) -> Agreed {
    let video = section.media == "video";
    let rtx = section.rtx_for(codec.payload_type).filter(|_| video);
    // Without RTX a resent packet must equal the first one byte for byte, or one nonce would
    // cover two packets; so extensions, which a resend cannot reproduce, need RTX.
    let extension = |uri| section.extension(uri).filter(|_| rtx.is_some());
    let remb = video && codec.has_feedback("goog-remb");
    let counter = extension(TRANSPORT_SEQUENCE)
        .filter(|_| video && !remb && codec.has_feedback("transport-cc"));
    let send_time = extension(ABS_SEND_TIME).filter(|_| remb);
    Agreed {
        section: place,
        track,
        codec: codec.clone(),
        rtx,
        feedback: Feedback {
            nack: video && codec.has_feedback("nack"),
            pli: video && codec.has_feedback("nack pli"),
            fir: video && codec.has_feedback("ccm fir"),
            remb,
            transport_cc: counter.is_some(),
        },
        capture_time: extension(ABS_CAPTURE_TIME),
        playout_delay: extension(PLAYOUT_DELAY),
        stamp: send_time.map(Stamp::SendTime).or(counter.map(Stamp::Sequence)),
    }
}

/// Lower is better; only packetization mode 1 fits what we send. Decoders take High although they
/// name Constrained Baseline, so a profile that differs is a matter of preference.
fn rank_h264(codec: &OfferedCodec, info: &TrackInfo) -> Option<u8> {
    if codec.parameter("packetization-mode") != Some("1") {
        return None;
    }
    let offered = codec.parameter("profile-level-id").and_then(profile_of);
    let wanted = parameter(&info.fmtp, "profile-level-id")
        .and_then(profile_of)
        .or_else(|| profile_of_sps(&info.parameter_sets));
    Some(match (offered, wanted) {
        (Some(offered), Some(wanted)) if offered == wanted => 0,
        (Some((0x42, true)), _) => 1,
        _ => 2,
    })
}

/// Profile and whether it is constrained, out of a `profile-level-id`.
fn profile_of(text: &str) -> Option<(u8, bool)> {
    let idc = u8::from_str_radix(text.get(..2)?, 16).ok()?;
    let iop = u8::from_str_radix(text.get(2..4)?, 16).ok()?;
    Some(profile_class(idc, iop))
}

fn profile_of_sps(sets: &[Bytes]) -> Option<(u8, bool)> {
    let sps = sets.iter().find(|set| set.first().is_some_and(|byte| byte & 0x1f == 7))?;
    Some(profile_class(*sps.get(1)?, *sps.get(2)?))
}

fn profile_class(idc: u8, iop: u8) -> (u8, bool) {
    match idc {
        0x42 => (idc, iop & 0x40 != 0),
        0x64 => (idc, iop & 0x0c == 0x0c),
        _ => (idc, false),
    }
}

/// A decoder of any profile takes the lowest one; else the profiles must be equal.
fn rank_profile(codec: &OfferedCodec, info: &TrackInfo, name: &str, lowest: &str) -> Option<u8> {
    let offered = codec.parameter(name).unwrap_or(lowest);
    let wanted = parameter(&info.fmtp, name).unwrap_or(lowest);
    if offered == wanted {
        return Some(0);
    }
    (wanted == lowest).then_some(1)
}

/// The publisher's first codec that we take, in its order; H.264 in packetization mode 1 first.
fn first_known(section: &Section) -> Option<(&OfferedCodec, Codec)> {
    let known = |offered: &OfferedCodec| {
        let codec = Codec::from_rtpmap_name(&offered.name)?;
        let fits = word(codec.kind()) == section.media && offered.clock_rate > 0;
        (fits && codec != Codec::Aac).then_some(codec)
    };
    let mut found = section.codecs.iter().filter_map(|offered| Some((offered, known(offered)?)));
    let first = found.next()?;
    let mode_1 = |offered: &OfferedCodec| offered.parameter("packetization-mode") == Some("1");
    if first.1 != Codec::H264 || mode_1(first.0) {
        return Some(first);
    }
    Some(found.find(|(offered, codec)| *codec == Codec::H264 && mode_1(offered)).unwrap_or(first))
}

fn track_info(offered: &OfferedCodec, codec: Codec) -> TrackInfo {
    let mut info = match codec.kind() {
        MediaKind::Video => TrackInfo::video(codec),
        MediaKind::Audio => TrackInfo::audio(codec, offered.clock_rate, offered.channels),
    };
    info.clock_rate = offered.clock_rate;
    info.fmtp.clone_from(&offered.fmtp);
    let names: &[&str] = match codec {
        Codec::H264 => &["sprop-parameter-sets"],
        Codec::H265 => &["sprop-vps", "sprop-sps", "sprop-pps"],
        _ => &[],
    };
    let sets = names.iter().filter_map(|name| offered.parameter(name));
    info.parameter_sets = sets
        .flat_map(|list| list.split(','))
        .filter_map(|set| STANDARD.decode(set.trim()).ok())
        .filter(|set| (1..=MAX_PARAMETER_SET).contains(&set.len()))
        .map(Bytes::from)
        .collect();
    info
}
