mod client;
mod foreign;
mod lossy;
mod rig;
mod steady;
mod wakes;

use std::net::UdpSocket;
use std::time::Duration;

use is::stun::{StunMessage, TransId};
use sightline_grant::requirement;
use sightline_relay_proto::codec::{Codec, TrackInfo};
use sightline_relay_proto::frame::Mode;
use sightline_relay_proto::webrtc::{HANDSHAKE_TIMEOUT, hmac_sha1};

use self::rig::{Rig, offer};
use crate::api::{MediaError, SessionId, WebRtcPatch};
use crate::port::CloseReason;

const FRESH: &str = "a=ice-ufrag:new1\r\na=ice-pwd:newnewnewnewnewnewpwd22\r\n";

fn live() -> Rig {
    let mut rig = Rig::new("127.0.0.1".parse().expect("an address"));
    rig.go_live(vec![TrackInfo::video(Codec::H264)]);
    rig
}

#[test]
fn a_stream_that_is_not_live_is_refused_before_anything_is_kept() {
    let mut rig = Rig::new("127.0.0.1".parse().expect("an address"));
    assert_eq!(rig.view(&offer("recvonly")).err(), Some(MediaError::NotLive));
    assert_eq!(rig.leases(), 0);
    assert_eq!(rig.port.poll_timeout(), None);
}

#[test]
fn an_unsupported_codec_is_refused_at_once() {
    let mut rig = Rig::new("127.0.0.1".parse().expect("an address"));
    rig.go_live(vec![TrackInfo::video(Codec::H265)]);
    let error = rig.view(&offer("recvonly")).err();
    assert!(matches!(error, Some(MediaError::UnsupportedCodec(_))), "{error:?}");
    assert_eq!(rig.leases(), 0);
}

#[test]
fn no_session_starts_while_the_authority_is_silent() {
    let mut rig = live();
    rig.authority_speaks = false;
    assert_eq!(rig.view(&offer("recvonly")).err(), Some(MediaError::Unavailable));
    assert_eq!((rig.leases(), rig.port.poll_timeout()), (0, None));
}

#[test]
fn a_sealed_device_may_not_publish_clear_media() {
    let mut rig = live();
    let error = rig.publish(&offer("sendonly"), true).err();
    let expected = MediaError::WrongProtection { expected: "sealed", found: "open" };
    assert_eq!(error, Some(expected));
}

#[test]
fn a_sealed_camera_is_refused_with_its_own_reason_and_nothing_is_kept() {
    let mut rig = live();
    rig.go_live_as(Mode::Sealed, vec![TrackInfo::video(Codec::H264)]);
    assert_eq!(rig.view(&offer("recvonly")).err(), Some(MediaError::SealedStream));
    assert_eq!((rig.leases(), rig.port.poll_timeout()), (0, None));
}

#[test]
fn a_deleted_session_leaves_nothing_behind() {
    let mut rig = live();
    let answer = rig.view(&offer("recvonly")).expect("admitted");
    assert_eq!(rig.leases(), 1);
    assert_eq!(rig.delete(answer.session), Ok(()));
    assert_eq!(rig.leases(), 0);
    assert_eq!(rig.port.poll_timeout(), None);
    assert_eq!(rig.delete(answer.session), Err(MediaError::NoSession));
}

#[test]
fn a_session_whose_lease_ends_is_closed_at_once() {
    let mut rig = live();
    let answer = rig.view(&offer("recvonly")).expect("admitted");
    rig.end_leases(CloseReason::LeaseEnded);
    assert_eq!(rig.leases(), 0);
    assert_eq!(rig.delete(answer.session), Err(MediaError::NoSession));
}

#[test]
fn transport_credentials_are_of_one_session_and_die_with_its_lease() {
    let mut rig = live();
    let first = rig.view(&offer("recvonly")).expect("admitted");
    let second = rig.view(&offer("recvonly")).expect("admitted");
    assert_ne!(value(&first.sdp, "ice-ufrag"), value(&second.sdp, "ice-ufrag"));
    assert_ne!(value(&first.sdp, "ice-pwd"), value(&second.sdp, "ice-pwd"));
    let viewer = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let check = ice_check(value(&first.sdp, "ice-ufrag"), value(&first.sdp, "ice-pwd"));
    let mixed = ice_check(value(&first.sdp, "ice-ufrag"), value(&second.sdp, "ice-pwd"));
    assert!(answers(&mut rig, &viewer, &check));
    assert!(!answers(&mut rig, &viewer, &mixed));
    rig.end_leases(CloseReason::LeaseEnded);
    // What the close itself said is read before the dead session is asked again.
    while viewer.recv(&mut [0; 2000]).is_ok() {}
    assert!(!answers(&mut rig, &viewer, &check));
    requirement!("M16");
}

/// Value of an SDP attribute.
fn value<'a>(sdp: &'a str, name: &str) -> &'a str {
    let attribute = sdp.lines().find_map(|line| line.strip_prefix("a=")?.strip_prefix(name));
    attribute.and_then(|rest| rest.strip_prefix(':')).expect("the attribute")
}

/// A connectivity check as a browser sends it.
fn ice_check(ufrag: &str, pwd: &str) -> Vec<u8> {
    let username = format!("{ufrag}:them");
    let message = StunMessage::binding_request(&username, TransId::new(), true, 1, 1, true);
    let mut buffer = [0; 256];
    let len = message.to_bytes(Some(pwd.as_bytes()), &mut buffer, hmac_sha1).expect("it fits");
    buffer[..len].to_vec()
}

/// Whether a datagram to the port is answered.
fn answers(rig: &mut Rig, from: &UdpSocket, datagram: &[u8]) -> bool {
    from.set_nonblocking(true).expect("an option");
    from.send_to(datagram, rig.port.local_addr()).expect("sent");
    for _ in 0..20 {
        rig.turn(Duration::from_millis(5));
        if from.recv(&mut [0; 2000]).is_ok() {
            return true;
        }
    }
    false
}

#[test]
fn a_viewer_that_never_connects_is_given_up_in_time() {
    let mut rig = live();
    rig.view(&offer("recvonly")).expect("admitted");
    rig.skip(HANDSHAKE_TIMEOUT - Duration::from_secs(1));
    assert_eq!(rig.leases(), 1);
    rig.skip(Duration::from_secs(1));
    assert_eq!(rig.leases(), 0);
    assert_eq!(rig.hub.stats().subscribers, 0);
}

#[test]
fn a_patch_names_the_generation_that_it_means() {
    let mut rig = live();
    let answer = rig.view(&offer("recvonly")).expect("admitted");
    let id = answer.session;
    let quoted = format!("\"{}\"", answer.etag);
    let trickle = "a=end-of-candidates\r\n";
    assert_eq!(rig.patch(id, None, trickle), Ok(WebRtcPatch::Trickled));
    assert_eq!(rig.patch(id, Some(&quoted), trickle), Ok(WebRtcPatch::Trickled));
    assert_eq!(rig.patch(id, Some("\"x\""), trickle), Err(MediaError::PreconditionFailed));
    assert_eq!(rig.patch(id, None, FRESH), Err(MediaError::PreconditionRequired));
    let restarted = rig.patch(id, Some("*"), FRESH);
    let Ok(WebRtcPatch::Restarted { fragment, etag }) = restarted else { panic!("{restarted:?}") };
    assert_ne!(etag, answer.etag);
    assert!(fragment.contains("a=ice-lite") && fragment.contains("a=candidate:1 1 udp"));
    let ufrag = |text: &str| {
        let mut lines = text.lines();
        lines.find_map(|line| line.strip_prefix("a=ice-ufrag:")).map(str::to_owned)
    };
    assert_ne!(ufrag(&fragment), ufrag(&answer.sdp));
    assert_eq!(rig.patch(id, None, trickle), Err(MediaError::PreconditionRequired));
    assert_eq!(rig.patch(id, Some(&quoted), trickle), Err(MediaError::PreconditionFailed));
    assert_eq!(rig.patch(id, Some(&etag), trickle), Ok(WebRtcPatch::Trickled));
    let stranger = SessionId(77);
    assert_eq!(rig.patch(stranger, Some("*"), trickle), Err(MediaError::NoSession));
}

#[test]
fn rubbish_on_the_socket_is_dropped_without_an_answer() {
    let mut rig = live();
    rig.view(&offer("recvonly")).expect("admitted");
    let before = rig.port.poll_timeout();
    let stranger = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    for first in 0..=255u8 {
        for len in [1, 2, 12, 20, 64, 1200] {
            stranger.send_to(&vec![first; len], rig.port.local_addr()).expect("sent");
        }
        rig.turn(Duration::from_millis(5));
    }
    stranger.set_nonblocking(true).expect("an option");
    assert!(stranger.recv(&mut [0; 2000]).is_err());
    assert_eq!(rig.port.poll_timeout(), before);
    assert_eq!(rig.leases(), 1);
}
