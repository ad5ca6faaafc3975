use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dimpl::SrtpProfile;

use super::client::*;
use crate::codec::Codec;
use crate::frame::{ArrivalTime, CaptureTime, Descriptor, Frame, MediaTime, Protection};
use crate::hub::{Delivery, Resend, SenderInfo};
use crate::ids::{Tier, TrackIndex};
use crate::webrtc::srtp::{Plain, Sending};
use crate::webrtc::*;
use crate::wire::rtcp::{self, Rtcp};
use crate::wire::rtp;

pub(super) fn delivery(pair: &Pair, seq: u16, payloads: &[&'static [u8]]) -> Delivery {
    let descriptor = Descriptor {
        track: TrackIndex(0),
        tier: Tier::Main,
        codec: Codec::H264,
        keyframe: true,
        discardable: false,
        discontinuity: false,
        protection: Protection::Open,
        media_time: MediaTime(0),
        capture: Some(CaptureTime(1_000_000)),
        arrival: ArrivalTime(pair.now),
    };
    let payloads = payloads.iter().map(|payload| Bytes::from_static(payload)).collect();
    let frame = Arc::new(Frame { descriptor, first_seq: 0, payloads });
    let packets = 0..frame.payloads.len();
    Delivery { frame, track: TrackIndex(0), seq, timestamp: 777, packets }
}

fn events(pair: &mut Pair) -> Vec<PeerEvent> {
    std::iter::from_fn(|| pair.peer.poll_event()).collect()
}

#[test]
fn a_viewer_gets_a_frame_sealed_with_gcm_whichever_side_is_the_dtls_client() {
    for setup in ["actpass", "active", "passive"] {
        let mut pair = Pair::viewer(setup, false);
        pair.connect();
        assert_eq!(pair.profile, Some(SrtpProfile::AEAD_AES_256_GCM), "{setup}");
        let frame = delivery(&pair, 65_535, &[b"first", b"last"]);
        pair.peer.send(pair.now, &frame, &mut pair.arena);
        let packets = pair.opened();
        let heads: Vec<_> = packets.iter().map(|packet| rtp::parse(packet).unwrap()).collect();
        let facts: Vec<_> = heads.iter().map(|h| (h.seq, h.marker, h.ssrc, h.timestamp)).collect();
        assert_eq!(facts, [(65_535, false, 1000, 777), (0, true, 1000, 777)]);
        assert_eq!(&packets[1][heads[1].payload.clone()], b"last");
    }
}

#[test]
fn a_frame_leaves_as_one_segmented_run() {
    let mut pair = Pair::viewer("actpass", false);
    pair.connect();
    let frame = delivery(&pair, 1, &[&[1; 1000], &[2; 1000], &[3; 10]]);
    pair.peer.send(pair.now, &frame, &mut pair.arena);
    assert_eq!(pair.arena.runs().count(), 1);
}

#[test]
fn a_sender_report_is_due_right_after_the_first_frame_and_again_a_second_later() {
    let mut pair = Pair::viewer("actpass", false);
    pair.connect();
    let frame = delivery(&pair, 1, &[b"abc"]);
    pair.peer.send(pair.now, &frame, &mut pair.arena);
    assert_eq!(pair.peer.poll_timeout(), Some(pair.now));
    pair.advance(Duration::ZERO);
    assert_eq!(events(&mut pair), [PeerEvent::ReportDue { track: TrackIndex(0) }]);
    assert_eq!(pair.peer.poll_timeout(), Some(pair.now + crate::report_clock::FIRST_INTERVAL));
    pair.sent();
    let info = SenderInfo { ntp: 5, rtp: 6 };
    pair.peer.send_report(TrackIndex(0), info, &mut pair.arena);
    let mut found = Vec::new();
    rtcp::parse(&pair.opened()[0], |packet| found.push(packet));
    assert_eq!(found, [Rtcp::SenderReport { ssrc: 1000, info }]);
}

#[test]
fn lost_packets_are_sent_again_over_rtx_or_plainly() {
    for rtx in [true, false] {
        let mut pair = Pair::viewer("actpass", rtx);
        pair.connect();
        let frame = delivery(&pair, 10, &[b"abc", b"def"]);
        pair.peer.send(pair.now, &frame, &mut pair.arena);
        let lost = pair.sent()[1].clone();
        pair.put_rtcp(|out| rtcp::write_nack(out, 1, 1000, &[11]));
        let asked = events(&mut pair);
        let [PeerEvent::Nack { track, seqs }] = &asked[..] else { panic!("{asked:?}") };
        assert_eq!((track, seqs.to_vec()), (&TrackIndex(0), vec![11]));
        let again = Resend { payload: Bytes::from_static(b"def"), timestamp: 777, marker: true };
        pair.peer.resend(pair.now, TrackIndex(0), 11, &again, &mut pair.arena);
        if rtx {
            let packets = pair.opened();
            let head = rtp::parse(&packets[0]).unwrap();
            assert_eq!((head.payload_type, head.ssrc, head.marker), (97, 1001, true));
            assert_eq!(&packets[0][head.payload], b"\x00\x0bdef");
        } else {
            assert_eq!(pair.sent(), [lost]);
        }
    }
}

#[test]
fn resends_are_bounded_within_a_second() {
    let mut pair = Pair::viewer("actpass", true);
    pair.connect();
    let again = Resend { payload: Bytes::from_static(b"x"), timestamp: 1, marker: false };
    for _ in 0..MAX_RESENDS_PER_SECOND + 5 {
        pair.peer.resend(pair.now, TrackIndex(0), 1, &again, &mut pair.arena);
    }
    assert_eq!(pair.sent().len(), MAX_RESENDS_PER_SECOND as usize);
    pair.now += Duration::from_secs(1);
    pair.peer.resend(pair.now, TrackIndex(0), 1, &again, &mut pair.arena);
    assert_eq!(pair.sent().len(), 1);
}

#[test]
fn extensions_go_on_a_keyframes_first_packet_only_if_agreed() {
    for (rtx, extended) in [(true, true), (false, false)] {
        let mut pair = Pair::viewer("actpass", rtx);
        pair.connect();
        let frame = delivery(&pair, 10, &[b"abc", b"def"]);
        pair.peer.send(pair.now, &frame, &mut pair.arena);
        let packets = pair.opened();
        let first = rtp::parse(&packets[0]).unwrap();
        let second = rtp::parse(&packets[1]).unwrap();
        assert_eq!((first.extension.is_some(), second.extension), (extended, None));
        if let Some((profile, data)) = first.extension {
            assert_eq!(profile, 0xbede);
            assert_eq!(&packets[0][data], [5 << 4 | 2, 0, 0, 40]);
        }
    }
}

#[test]
fn a_viewers_keyframe_request_names_its_track() {
    let mut pair = Pair::viewer("actpass", false);
    pair.connect();
    pair.put_rtcp(|out| {
        rtcp::write_pli(out, 1, 1000);
        rtcp::write_pli(out, 1, 4711);
        rtcp::write_fir(out, 1, 2000, 1);
    });
    let wanted = |track| PeerEvent::KeyframeWanted { track: TrackIndex(track) };
    assert_eq!(events(&mut pair), [wanted(0), wanted(1)]);
}

fn publish(
    pair: &mut Pair,
    ssrc: u32,
    seq: u16,
    pt: u8,
    body: &[u8],
) -> Option<(TrackIndex, Bytes)> {
    let sender = &mut pair.srtp.as_mut().unwrap().sender;
    let source = sender.add_source(ssrc);
    let head = rtp::header(pt, true, seq, 90, ssrc);
    let packet = Plain { header: &head, prefix: &[], payload: body };
    let out = sender.sealed(source, Sending::First, seq, packet).unwrap();
    pair.put(&out)
}

#[test]
fn a_publishers_packets_come_out_with_their_track_and_without_rtx() {
    let mut pair = Pair::publisher(true);
    pair.connect();
    let (track, packet) = publish(&mut pair, 50, 7, 96, b"video").unwrap();
    assert_eq!((track, &packet[12..]), (TrackIndex(0), &b"video"[..]));
    let (track, _) = publish(&mut pair, 60, 7, 111, b"audio").unwrap();
    assert_eq!(track, TrackIndex(1));
    let (track, packet) = publish(&mut pair, 51, 900, 97, b"\x00\x09repaired").unwrap();
    assert_eq!(track, TrackIndex(0));
    assert_eq!(packet[..], [&rtp::header(96, true, 9, 90, 50)[..], b"repaired"].concat()[..]);
    assert_eq!(publish(&mut pair, 51, 901, 97, b"\x00\x09"), None);
    assert_eq!(publish(&mut pair, 52, 1, 100, b"unknown type"), None);
}

#[test]
fn a_publisher_is_asked_for_lost_packets_and_keyframes_and_gets_reports() {
    let mut pair = Pair::publisher(false);
    pair.connect();
    pair.peer.request_keyframe(pair.now, TrackIndex(0), &mut pair.arena);
    assert!(pair.sent().is_empty());
    publish(&mut pair, 50, 7, 96, b"video").unwrap();
    publish(&mut pair, 50, 9, 96, b"video").unwrap();
    let due = pair.peer.poll_timeout().unwrap();
    pair.advance(due - pair.now);
    let mut found = Vec::new();
    for compound in pair.opened() {
        assert!(rtcp::parse(&compound, |packet| found.push(packet)));
    }
    let nack = Rtcp::Nack { ssrc: 50, seqs: [8].into_iter().collect() };
    assert_eq!(found, [nack, Rtcp::Pli { ssrc: 50 }]);
    for _ in 0..4 {
        pair.advance(REPORT_INTERVAL / 4);
    }
    found.clear();
    for compound in pair.opened() {
        assert!(rtcp::parse(&compound, |packet| found.push(packet)));
    }
    assert!(found.iter().any(|packet| matches!(packet, Rtcp::Report { ssrc: 50, .. })));
}

#[test]
fn a_publishers_clock_reaches_the_caller() {
    let mut pair = Pair::publisher(false);
    pair.connect();
    publish(&mut pair, 50, 7, 96, b"video").unwrap();
    let info = SenderInfo { ntp: 1 << 40, rtp: 3 };
    pair.put_rtcp(|out| rtcp::write_sender_report(out, 50, info, 1, 1, "cam"));
    assert_eq!(events(&mut pair), [PeerEvent::SenderReport { track: TrackIndex(0), info }]);
}

#[test]
fn closing_says_goodbye_on_both_layers() {
    let mut pair = Pair::viewer("actpass", false);
    pair.connect();
    pair.peer.close(&mut pair.arena);
    let first = pair.arena.runs().next().map(|(run, bytes)| bytes[..run.segment].to_vec()).unwrap();
    let mut plain = Vec::new();
    assert!(pair.srtp.as_mut().unwrap().receiver.open_rtcp(&first, &mut plain));
    let mut found = Vec::new();
    rtcp::parse(&plain, |packet| found.push(packet));
    assert_eq!(found, [Rtcp::Bye { ssrc: 1000 }, Rtcp::Bye { ssrc: 2000 }]);
    pair.shake_hands();
    assert!(pair.closed_by_peer);
    assert_eq!(pair.peer.poll_timeout(), None);
}

/// Receives an authentic packet, after which only the keys of the goodbye are kept.
fn released(setup: &str) -> Pair {
    let mut pair = Pair::viewer(setup, false);
    pair.connect();
    assert!(!pair.peer.is_released());
    pair.put_rtcp(|out| rtcp::write_pli(out, 1, 1000));
    assert_eq!(events(&mut pair), [PeerEvent::KeyframeWanted { track: TrackIndex(0) }]);
    assert!(pair.peer.is_released());
    pair
}

#[test]
fn goodbyes_are_said_and_heard_after_the_handshake_is_put_away() {
    for setup in ["actpass", "passive"] {
        let mut pair = released(setup);
        pair.peer.close(&mut pair.arena);
        pair.shake_hands();
        assert!(pair.closed_by_peer, "{setup}");

        let mut pair = released(setup);
        pair.close_client();
        assert_eq!(events(&mut pair), [PeerEvent::Closed(CloseCause::PeerClosed)], "{setup}");
    }
}

#[test]
fn a_forged_goodbye_ends_nothing_after_the_handshake_is_put_away() {
    let mut pair = released("actpass");
    let head = [21, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 9, 0, 26];
    for body in [vec![0; 26], vec![1; 26], Vec::new()] {
        let datagram = [&head[..], &body].concat();
        assert!(pair.put(&datagram).is_none());
        assert_eq!(events(&mut pair), []);
    }
}

#[test]
fn consent_ends_after_thirty_silent_seconds_and_not_before() {
    let mut pair = Pair::viewer("actpass", false);
    pair.connect();
    pair.advance(CONSENT_TIMEOUT - Duration::from_millis(1));
    pair.check(&credentials(), false).unwrap();
    pair.advance(CONSENT_TIMEOUT - Duration::from_millis(1));
    assert_eq!(events(&mut pair), []);
    pair.advance(Duration::from_millis(1));
    assert_eq!(events(&mut pair), [PeerEvent::Closed(CloseCause::ConsentExpired)]);
}

#[test]
fn a_peer_that_never_connects_is_given_up_in_time() {
    let mut pair = Pair::viewer("actpass", false);
    pair.advance(HANDSHAKE_TIMEOUT - Duration::from_millis(1));
    assert_eq!(events(&mut pair), []);
    pair.advance(Duration::from_millis(1));
    assert_eq!(events(&mut pair), [PeerEvent::Closed(CloseCause::HandshakeTimeout)]);
}

#[test]
fn media_follows_the_latest_nomination() {
    let mut pair = Pair::viewer("actpass", false);
    pair.connect();
    pair.move_to("203.0.113.9:1");
    let check = pair.check(&credentials(), false).unwrap();
    assert_eq!(check.learned, Some(addr("203.0.113.9:1")));
    pair.sent();
    let frame = delivery(&pair, 1, &[b"a"]);
    pair.peer.send(pair.now, &frame, &mut pair.arena);
    assert_eq!(pair.sent()[0].0, addr(HOME));
    pair.check(&credentials(), true).unwrap();
    pair.sent();
    let frame = delivery(&pair, 2, &[b"a"]);
    pair.peer.send(pair.now, &frame, &mut pair.arena);
    assert_eq!(pair.sent()[0].0, addr("203.0.113.9:1"));
}

#[test]
fn an_ice_restart_keeps_the_old_generation_until_the_new_one_is_checked() {
    let mut pair = Pair::viewer("actpass", false);
    pair.connect();
    let fresh = Credentials::from_random(&[8; CREDENTIAL_BYTES]);
    pair.peer.restart_ice(fresh.clone(), "them".into());
    assert!(pair.check(&credentials(), false).is_some());
    pair.move_to("203.0.113.9:1");
    assert!(pair.check(&fresh, true).is_some());
    assert!(pair.check(&credentials(), true).is_none());
    pair.sent();
    let frame = delivery(&pair, 1, &[b"a"]);
    pair.peer.send(pair.now, &frame, &mut pair.arena);
    assert_eq!(pair.sent()[0].0, addr("203.0.113.9:1"));
}

#[test]
fn a_handshake_survives_lost_flights() {
    for setup in ["actpass", "passive"] {
        let mut pair = Pair::viewer(setup, false);
        pair.check(&credentials(), true).unwrap();
        for _ in 0..2 {
            pair.shake_hands_losing_ours();
            pair.advance(Duration::from_secs(1));
        }
        for _ in 0..10 {
            pair.shake_hands();
            pair.advance(Duration::from_millis(500));
        }
        let ends = (pair.peer.is_connected(), pair.srtp.is_some());
        assert_eq!(ends, (true, true), "{setup} {:?}", events(&mut pair));
    }
}
