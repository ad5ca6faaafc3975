use proptest::prelude::*;

use super::client::*;
use crate::codec::{Codec, TrackInfo};
use crate::ids::{Tier, TrackIndex};
use crate::webrtc::answer::{Server, Sources, write};
use crate::webrtc::fragment::Fragment;
use crate::webrtc::sdp::{MAX_SDP, MAX_SECTIONS, Offer};
use crate::webrtc::*;

fn parse(text: &str) -> Offer {
    Offer::parse(text).unwrap()
}

fn refused(text: &str) -> String {
    Offer::parse(text).expect_err("must be refused").to_string()
}

fn answer(offer: &Offer, agreed: &[Agreed], sources: &[Sources]) -> String {
    let (credentials, identity) = (credentials(), identity());
    let server = Server {
        session: 1,
        credentials: &credentials,
        fingerprint: identity.fingerprint(),
        candidates: &[addr(SERVER), addr("[2001:db8::1]:8189")],
    };
    write(offer, agreed, sources, server)
}

#[test]
fn a_viewers_answer_says_what_was_agreed() {
    let offer = parse(&offer("actpass", "recvonly", true));
    let plan = ViewPlan::new(&offer, &tracks()).unwrap();
    let text = answer(&offer, &plan.agreed, &[VIDEO, AUDIO]);
    for line in [
        "a=ice-lite",
        "a=group:BUNDLE 0 1",
        "m=video 8189 UDP/TLS/RTP/SAVPF 96 97",
        "a=setup:passive",
        "a=sendonly",
        "a=ssrc-group:FID 1000 1001",
        "a=fmtp:97 apt=96",
        "a=rtcp-fb:96 nack pli",
        "a=candidate:1 1 udp 2130706431 198.51.100.7 8189 typ host",
        "a=candidate:2 1 udp 2130706175 2001:db8::1 8189 typ host",
        "a=end-of-candidates",
        "m=audio 8189 UDP/TLS/RTP/SAVPF 111",
        "a=rtpmap:111 opus/48000/2",
        "a=extmap:5 http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(!text.contains("transport-cc") && !text.contains("ccm fir"));
    assert!(text.lines().all(|line| !line.is_empty()));
}

#[test]
fn a_peer_that_insists_on_being_the_server_gets_a_client() {
    let offer = parse(&offer("passive", "sendonly", false));
    let plan = PublishPlan::new(&offer).unwrap();
    let text = answer(&offer, &plan.agreed, &[]);
    assert!(text.contains("a=setup:active\r\n") && text.contains("a=recvonly\r\n"));
    assert!(!text.contains("a=ssrc"));
}

#[test]
fn sections_keep_their_place_and_what_is_not_taken_is_rejected() {
    let text = offer("actpass", "sendonly", false)
        .replace("a=group:BUNDLE 0 1", "a=group:BUNDLE 0 1 2")
        + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:2\r\na=sctp-port:5000\r\n";
    let offer = parse(&text);
    let plan = PublishPlan::new(&offer).unwrap();
    let text = answer(&offer, &plan.agreed, &[]);
    let media: Vec<&str> = text.lines().filter(|line| line.starts_with("m=")).collect();
    assert_eq!(media[2], "m=application 0 UDP/DTLS/SCTP webrtc-datachannel");
    assert!(text.contains("a=group:BUNDLE 0 1\r\n"));
}

#[test]
fn broken_offers_are_refused_with_their_fault() {
    let good = offer("actpass", "recvonly", false);
    for (from, to, fault) in [
        ("a=group:BUNDLE 0 1\r\n", "", "BUNDLE"),
        ("BUNDLE 0 1", "BUNDLE 0", "BUNDLE"),
        ("a=rtcp-mux\r\n", "", "rtcp-mux"),
        ("a=ice-ufrag:them\r\n", "", "ice-ufrag"),
        ("a=ice-ufrag:them\r\n", "a=ice-ufrag:abc\r\n", "ice-chars"),
        ("a=ice-pwd:theirtheirtheirtheirpwd\r\n", "", "ice-pwd"),
        ("sha-256 ", "sha-1 ", "sha-256"),
        ("sha-256 ", "sha-256 00:", "fingerprint"),
        ("a=setup:actpass", "a=setup:holdconn", "setup"),
        ("v=0", "x=0", "v=0"),
        ("SAVPF 96 97", "SAVPF 96 197", "payload type"),
    ] {
        assert!(refused(&good.replace(from, to)).contains(fault), "{from} -> {to}");
    }
}

#[test]
fn offers_are_bounded_on_both_sides() {
    let good = offer("actpass", "recvonly", false);
    let padded = |len: usize| format!("{good}a=x:{}\r\n", "x".repeat(len - good.len() - 6));
    assert!(Offer::parse(&padded(MAX_SDP)).is_ok());
    assert!(refused(&padded(MAX_SDP + 1)).contains("64 KiB"));
    let sections = |count: usize| good.clone() + &"m=audio 0 RTP/AVP 0\r\n".repeat(count - 2);
    assert!(Offer::parse(&sections(MAX_SECTIONS)).is_ok());
    assert!(refused(&sections(MAX_SECTIONS + 1)).contains("32"));
}

#[test]
fn h264_is_answered_in_mode_1_with_the_streams_profile_if_offered() {
    let text =
        offer("actpass", "recvonly", false).replace("SAVPF 96 97", "SAVPF 94 95 96 98").replace(
            "a=rtpmap:96 H264/90000\r\n",
            "a=rtpmap:94 H264/90000\r\na=fmtp:94 profile-level-id=64001f\r\n\
             a=rtpmap:95 H264/90000\r\na=fmtp:95 packetization-mode=1;profile-level-id=4d001f\r\n\
             a=rtpmap:98 H264/90000\r\na=fmtp:98 packetization-mode=1;profile-level-id=64001f\r\n\
             a=rtpmap:96 H264/90000\r\n",
        );
    let offer = parse(&text);
    for (profile, payload_type) in
        [("640028", 98), ("4d0028", 95), ("42c028", 96), ("420028", 96), ("f40028", 96)]
    {
        let mut video = TrackInfo::video(Codec::H264);
        video.fmtp = format!("profile-level-id={profile}");
        let plan = ViewPlan::new(&offer, &[video]).unwrap();
        assert_eq!(plan.agreed[0].codec.payload_type, payload_type, "{profile}");
    }
}

#[test]
fn audio_that_a_viewer_cannot_take_is_left_out_with_its_reason() {
    let offer = parse(&offer("actpass", "recvonly", false));
    let tracks = [TrackInfo::video(Codec::H264), TrackInfo::audio(Codec::Aac, 48_000, 2)];
    let plan = ViewPlan::new(&offer, &tracks).unwrap();
    assert_eq!(plan.agreed.len(), 1);
    assert_eq!(plan.left_out, ["audio is AAC, which the viewer cannot take; it offers opus"]);
}

#[test]
fn sound_that_is_left_out_stays_idle_in_the_bundle() {
    let offer = parse(&offer("actpass", "recvonly", false));
    let tracks = [TrackInfo::video(Codec::H264), TrackInfo::audio(Codec::Aac, 48_000, 2)];
    let plan = ViewPlan::new(&offer, &tracks).unwrap();
    let text = answer(&offer, &plan.agreed, &[VIDEO]);
    let (video, audio) = text.split_once("m=audio ").expect("both sections");
    assert!(video.contains("a=group:BUNDLE 0 1\r\n") && video.contains("a=sendonly\r\n"));
    assert!(audio.starts_with("8189 UDP/TLS/RTP/SAVPF 111\r\n"), "{audio}");
    for line in ["a=inactive\r\n", "a=rtpmap:111 opus/48000/2\r\n", "a=ice-ufrag:"] {
        assert!(audio.contains(line), "{line}{audio}");
    }
    assert!(!audio.contains("a=ssrc"));
}

#[test]
fn a_picture_that_cannot_be_shown_is_an_error_and_never_black() {
    let offer = parse(&offer("actpass", "recvonly", false));
    let tracks = [TrackInfo::video(Codec::H265), TrackInfo::audio(Codec::Opus, 48_000, 2)];
    let error = ViewPlan::new(&offer, &tracks).unwrap_err();
    let NegotiationError::UnsupportedCodec(text) = error else { panic!("{error:?}") };
    assert!(text.contains("H265"), "{text}");
}

#[test]
fn the_other_tier_stands_in_if_the_main_one_cannot_be_shown() {
    let offer = parse(&offer("actpass", "recvonly", false));
    let mut sub = TrackInfo::video(Codec::H264);
    sub.tier = Tier::Sub;
    let plan = ViewPlan::new(&offer, &[TrackInfo::video(Codec::H265), sub.clone()]).unwrap();
    assert_eq!(plan.agreed[0].track, TrackIndex(1));
    let plan = ViewPlan::new(&offer, &[sub, TrackInfo::video(Codec::H264)]).unwrap();
    assert_eq!((plan.agreed[0].track, plan.left_out.len()), (TrackIndex(1), 0));
}

#[test]
fn a_publisher_offers_at_most_one_track_of_a_kind() {
    let text = offer("actpass", "sendonly", false).replace("m=audio", "m=video");
    assert!(matches!(PublishPlan::new(&parse(&text)), Err(NegotiationError::BadOffer(_))));
    let text = offer("actpass", "recvonly", false);
    assert!(matches!(PublishPlan::new(&parse(&text)), Err(NegotiationError::BadOffer(_))));
}

#[test]
fn a_publishers_parameter_sets_are_learnt() {
    let text = offer("actpass", "sendonly", false).replace(
        "packetization-mode=1;",
        "packetization-mode=1;sprop-parameter-sets=Z0LgHw==,aM4=;",
    );
    let plan = PublishPlan::new(&parse(&text)).unwrap();
    assert_eq!(plan.tracks[0].codec, Codec::H264);
    let sets: Vec<_> = plan.tracks[0].parameter_sets.iter().map(|set| set.to_vec()).collect();
    assert_eq!(sets, [vec![0x67, 0x42, 0xe0, 0x1f], vec![0x68, 0xce]]);
    let audio = &plan.tracks[1];
    assert_eq!((audio.codec, audio.clock_rate, audio.channels), (Codec::Opus, 48_000, 2));
}

#[test]
fn fragments_name_their_generation() {
    let trickle = "a=ice-ufrag:them\r\na=ice-pwd:theirtheirtheirtheirpwd\r\n\
                   m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=end-of-candidates\r\n";
    assert_eq!(Fragment::parse(trickle).unwrap().ufrag.as_deref(), Some("them"));
    assert_eq!(Fragment::parse("a=end-of-candidates\r\n").unwrap().ufrag, None);
    for bad in ["", "hello", "a=ice-ufrag:them\r\n", "a=ice-ufrag:x\r\na=ice-pwd:y\r\n"] {
        assert!(Fragment::parse(bad).is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn damaged_offers_never_panic(
        cuts in proptest::collection::vec((any::<u16>(), 0usize..40, any::<u8>()), 0..6),
        way in prop_oneof!["sendonly", "recvonly", "sendrecv"],
    ) {
        let mut bytes = offer("actpass", &way, true).into_bytes();
        for (at, len, byte) in cuts {
            let at = usize::from(at) % bytes.len();
            let end = (at + len).min(bytes.len());
            bytes.splice(at..end, (byte > 127).then_some(byte & 0x7f));
        }
        let text = String::from_utf8_lossy(&bytes);
        let _ = Fragment::parse(&text);
        if let Ok(offer) = Offer::parse(&text) {
            if let Ok(plan) = PublishPlan::new(&offer) {
                answer(&offer, &plan.agreed, &[]);
            }
            if let Ok(plan) = ViewPlan::new(&offer, &tracks()) {
                answer(&offer, &plan.agreed, &[VIDEO, AUDIO]);
            }
        }
    }
}
