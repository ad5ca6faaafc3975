use bytes::Bytes;
use proptest::prelude::*;

use crate::codec::{Codec, MediaKind, TrackInfo};
use crate::ids::Tier;
use crate::limits::MAX_TRACKS;

use super::*;

const SPS: &[u8] = &[0x67, 0x42, 0xc0, 0x1f, 0x8c, 0x8d, 0x40];
const PPS: &[u8] = &[0x68, 0xce, 0x3c, 0x80 | 1];

fn one(text: &str) -> Media {
    let found = parse(text.as_bytes()).unwrap();
    assert_eq!(found.media.len(), 1, "{found:?}");
    found.media.into_iter().next().unwrap()
}

#[test]
fn a_camera_with_bare_line_feeds_and_no_name_or_time_is_understood() {
    let media = one("v=0\nm=video 0 RTP/AVP 96\na=rtpmap:96 h264/90000\n\
         a=fmtp:96 packetization-mode=0; sprop-parameter-sets=Z0LAH4yNQA==,aM48gQ==\n\
         a=control:trackID=1\n");
    assert_eq!((media.payload_type, media.control.as_str()), (96, "trackID=1"));
    assert_eq!(media.info.parameter_sets, [SPS, PPS]);
    assert_eq!(media.info.fmtp, "packetization-mode=1;profile-level-id=42c01f");
}

#[test]
fn parameter_sets_behind_start_codes_are_split() {
    use base64::Engine as _;
    let joined = [&[0, 0, 0, 1], PPS, &[0, 0, 1], SPS].concat();
    let text = base64::engine::general_purpose::STANDARD.encode(joined);
    let media = one(&format!(
        "v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n\
         a=fmtp:96 sprop-parameter-sets={text},!!,AAAA\r\n"
    ));
    assert_eq!(media.info.parameter_sets, [SPS, PPS]);
}

#[test]
fn static_payload_types_need_no_rtpmap() {
    let found = parse(b"v=0\r\nm=audio 0 RTP/AVP 0\r\nm=audio 0 RTP/AVP 8\r\n").unwrap();
    let codecs: Vec<_> = found.media.iter().map(|media| media.info.codec).collect();
    assert_eq!(codecs, [Codec::Pcmu, Codec::Pcma]);
}

#[test]
fn a_lone_fmtp_under_a_wrong_number_is_taken_for_the_lone_type() {
    let media = one("v=0\r\nm=audio 0 RTP/AVP 104\r\na=rtpmap:104 mpeg4-generic/16000/1\r\n\
         a=fmtp:97 streamtype=5;mode=AAC-hbr;config=1408\r\n");
    assert_eq!(media.info.fmtp, "streamtype=5;mode=AAC-hbr;config=1408");
    let two = one("v=0\r\nm=audio 0 RTP/AVP 0 104\r\na=rtpmap:104 mpeg4-generic/16000/1\r\n\
         a=fmtp:97 mode=AAC-hbr\r\n");
    assert_eq!(two.info.fmtp, "");
}

#[test]
fn what_cannot_be_carried_is_left_out_with_a_reason() {
    let found = parse(
        b"v=0\r\nm=application 0 RTP/AVP 107\r\na=rtpmap:107 vnd.onvif.metadata/90000\r\n\
        m=video 0 RTP/SAVP 96\r\na=rtpmap:96 H264/90000\r\n\
        m=video 0 RTP/AVP 26\r\nm=audio 0 RTP/AVP 97\r\na=rtpmap:97 opus/0/2\r\n",
    )
    .unwrap();
    assert_eq!(found.media, []);
    assert_eq!(
        found.ignored,
        [
            "vnd.onvif.metadata is not carried",
            "video over RTP/SAVP",
            "payload type 26 without rtpmap",
            "opus without a usable clock rate"
        ]
    );
}

#[test]
fn a_second_picture_is_the_small_tier() {
    let found = parse(
        b"v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n\
        m=video 0 RTP/AVP 97\r\na=rtpmap:97 H265/90000\r\n",
    )
    .unwrap();
    let tiers: Vec<_> = found.media.iter().map(|media| media.info.tier).collect();
    assert_eq!(tiers, [Tier::Main, Tier::Sub]);
}

#[test]
fn every_bound_holds_on_both_sides() {
    let sized = |len: usize| {
        let mut text = String::from("v=0\r\n");
        while text.len() + 102 <= len {
            text.push_str(&format!("{}\r\n", "x".repeat(100)));
        }
        text.push_str(&"x".repeat(len - text.len()));
        text
    };
    assert!(parse(sized(MAX_SDP).as_bytes()).is_ok());
    assert_eq!(parse(sized(MAX_SDP + 1).as_bytes()), Err(SdpError::TooLong));
    let lines = |count: usize| format!("v=0\n{}", "a\n".repeat(count - 1));
    assert!(parse(lines(MAX_LINES).as_bytes()).is_ok());
    assert_eq!(parse(lines(MAX_LINES + 1).as_bytes()), Err(SdpError::TooLong));
    let long = |len: usize| format!("v=0\n{}", "a".repeat(len));
    assert!(parse(long(MAX_LINE).as_bytes()).is_ok());
    assert_eq!(parse(long(MAX_LINE + 1).as_bytes()), Err(SdpError::TooLong));
    assert_eq!(parse(b"hello"), Err(SdpError::NotSdp));
    assert_eq!(parse(b""), Err(SdpError::NotSdp));
    let sections = |count: usize| format!("v=0\n{}", "m=audio 0 RTP/AVP 0\n".repeat(count));
    let full = parse(sections(MAX_TRACKS).as_bytes()).unwrap();
    assert_eq!((full.media.len(), full.ignored.len()), (MAX_TRACKS, 0));
    let over = parse(sections(MAX_TRACKS + 1).as_bytes()).unwrap();
    assert_eq!((over.media.len(), over.ignored.len()), (MAX_TRACKS, 1));
}

#[test]
fn a_line_break_in_a_foreign_parameter_makes_no_line() {
    let mut info = TrackInfo::audio(Codec::Opus, 48_000, 2);
    info.fmtp = "a=b\r\na=control:evil".to_owned();
    assert!(!write(&[info], 1).contains("evil"));
}

fn track() -> impl Strategy<Value = TrackInfo> {
    let video = prop_oneof![Just(Codec::H264), Just(Codec::H265), Just(Codec::Av1)];
    let audio =
        prop_oneof![Just(Codec::Opus), Just(Codec::Pcmu), Just(Codec::Pcma), Just(Codec::Aac)];
    let params = "([a-z]{1,8}=[A-Za-z0-9]{1,8}(;[A-Z]{1,8}=[A-Za-z0-9]{0,8})?)?";
    let sets = proptest::collection::vec(proptest::collection::vec(1u8..=255, 4..40), 0..4);
    let of_video = (video, params, sets).prop_map(|(codec, fmtp, sets)| {
        let mut info = TrackInfo { fmtp, ..TrackInfo::video(codec) };
        if codec != Codec::Av1 {
            info.parameter_sets =
                sets.into_iter().enumerate().map(|(i, s)| set(codec, i, s)).collect();
        }
        info
    });
    let rates = prop_oneof![Just(8000u32), Just(16_000), Just(48_000)];
    let of_audio = (audio, rates, 1u8..=2, params).prop_map(|(codec, rate, channels, fmtp)| {
        TrackInfo { fmtp, ..TrackInfo::audio(codec, rate, channels) }
    });
    prop_oneof![of_video, of_audio]
}

fn set(codec: Codec, index: usize, mut bytes: Vec<u8>) -> Bytes {
    bytes[0] = match codec {
        Codec::H264 => 7 + (index % 2) as u8,
        _ => (32 + (index % 3) as u8) << 1,
    };
    bytes.into()
}

proptest! {
    #[test]
    fn what_is_written_parses_back(tracks in proptest::collection::vec(track(), 1..=MAX_TRACKS)) {
        let mut tracks = tracks;
        let mut pictures = 0;
        for info in &mut tracks {
            normalise(info);
            if info.kind() == MediaKind::Video {
                info.tier = if pictures == 0 { Tier::Main } else { Tier::Sub };
                pictures += 1;
            }
        }
        let found = parse(write(&tracks, 7).as_bytes()).unwrap();
        prop_assert_eq!(&found.ignored, &Vec::<String>::new());
        for (index, media) in found.media.iter().enumerate() {
            prop_assert_eq!(media.payload_type, payload_type(index, &media.info));
            prop_assert_eq!(&media.control, &format!("trackID={index}"));
        }
        let back: Vec<_> = found.media.into_iter().map(|media| media.info).collect();
        prop_assert_eq!(back, tracks);
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse(&bytes);
        let _ = parse(&[b"v=0\nm=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\na=fmtp:96 ", &bytes[..]].concat());
    }

    #[test]
    fn damaged_descriptions_never_panic(cut in 0usize..600, at in 0usize..600, byte: u8) {
        let mut text = write(&[TrackInfo::video(Codec::H265), TrackInfo::audio(Codec::Aac, 16_000, 1)], 1).into_bytes();
        text.truncate(cut);
        if let Some(place) = text.get_mut(at) {
            *place = byte;
        }
        let _ = parse(&text);
    }
}
