use proptest::prelude::*;

use super::client::*;
use crate::webrtc::sdp::Offer;
use crate::webrtc::*;
use crate::wire::rtp;

#[test]
fn a_check_with_a_wrong_password_gets_silence_and_changes_nothing() {
    let mut pair = Pair::viewer("actpass", false);
    let good = credentials();
    for (ufrag, pwd) in [(good.ufrag(), "wrong"), ("wrong", good.pwd())] {
        let bytes = check(ufrag, pwd, true);
        let request = BindingRequest::parse(&bytes).unwrap();
        let outcome = pair.peer.handle_check(pair.now, addr(HOME), &request, &mut pair.arena);
        assert_eq!(outcome, None);
    }
    assert!(pair.sent().is_empty() && pair.peer.paths().is_empty());
}

#[test]
fn a_handshake_from_an_address_without_ice_is_not_looked_at() {
    let mut pair = Pair::viewer("actpass", false);
    // The client starts its handshake although it was never checked.
    pair.shake_hands();
    assert!(pair.srtp.is_none() && pair.sent().is_empty());
    assert_eq!(pair.peer.poll_event(), None);
}

#[test]
fn a_third_address_bleeds_nothing_in() {
    let mut pair = Pair::publisher(true);
    pair.connect();
    let before = pair.peer.poll_timeout();
    pair.move_to("203.0.113.66:6666");
    for first in [0x80, 0x90, 0xbf, 22, 20, 63, 0, 255] {
        for second in [96, 97, 200, 201, 205, 206] {
            for len in 0..=64 {
                let mut datagram = vec![0x5a; len];
                for (at, byte) in [first, second].into_iter().enumerate().take(len) {
                    datagram[at] = byte;
                }
                assert_eq!(pair.put(&datagram), None);
            }
        }
    }
    assert!(pair.sent().is_empty());
    assert_eq!(pair.peer.poll_event(), None);
    assert_eq!(pair.peer.poll_timeout(), before);
    assert_eq!(pair.peer.paths(), [addr(HOME)]);
}

#[test]
fn ten_thousand_forged_packets_do_not_end_a_session() {
    let mut pair = Pair::publisher(true);
    pair.connect();
    for at in 0..10_000u32 {
        let head = rtp::header(96, false, at as u16, at, at % 50);
        let mut forged = head.to_vec();
        forged.extend_from_slice(&at.to_be_bytes().repeat(1 + at as usize % 20));
        if at % 3 == 0 {
            forged[1] = 200 + (at % 7) as u8;
        }
        assert_eq!(pair.put(&forged), None);
    }
    assert_eq!(pair.peer.poll_event(), None);
    let sender = &mut pair.srtp.as_mut().unwrap().sender;
    let source = sender.add_source(5);
    let head = rtp::header(96, false, 1, 1, 5);
    let first = srtp::Sending::First;
    let packet = srtp::Plain { header: &head, prefix: &[], payload: b"still here" };
    let good = sender.sealed(source, first, 1, packet).unwrap();
    assert!(pair.put(&good).is_some());
    assert!(pair.put(&good).is_none(), "a replay");
}

#[test]
fn clear_alerts_and_rubbish_do_not_end_a_handshake() {
    let mut pair = Pair::viewer("actpass", false);
    pair.check(&credentials(), true).unwrap();
    pair.put(&[21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 2, 40]);
    for len in 1..40 {
        pair.put(&vec![22; len]);
    }
    pair.shake_hands();
    assert_eq!(pair.peer.poll_event(), Some(PeerEvent::Connected));
    pair.put(&[21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 0]);
    assert_eq!(pair.peer.poll_event(), None);
}

#[test]
fn another_certificate_than_the_offers_is_refused() {
    let text = offer("actpass", "recvonly", false);
    let mut offer = Offer::parse(&text).unwrap();
    offer.transport.fingerprints[0][0] ^= 1;
    let plan = ViewPlan::new(&offer, &tracks()).unwrap();
    let mut pair =
        Pair::new(&offer, |now, setup| WebRtcPeer::viewer(now, &plan, &[VIDEO, AUDIO], setup));
    pair.check(&credentials(), true).unwrap();
    pair.shake_hands();
    let cause = DtlsFailure::FingerprintMismatch.into();
    assert_eq!(pair.peer.poll_event(), Some(PeerEvent::Closed(cause)));
    assert!(!pair.peer.is_connected());
}

/// A clear handshake message in its record.
fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
    let [_, len @ ..] = (body.len() as u32).to_be_bytes();
    let mut message = vec![kind];
    for part in [&len[..], &[0, 0, 0, 0, 0], &len[..], body] {
        message.extend_from_slice(part);
    }
    let mut record = vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0];
    record.extend_from_slice(&(message.len() as u16).to_be_bytes());
    record.extend_from_slice(&message);
    record
}

/// A ClientHello that names only ECDHE-RSA suites.
fn rsa_client_hello() -> Vec<u8> {
    let mut body = vec![0xfe, 0xfd];
    body.extend_from_slice(&[7; 32]);
    body.extend_from_slice(&[0, 0, 0, 4, 0xc0, 0x2f, 0xc0, 0x30, 1, 0]);
    handshake(1, &body)
}

#[test]
fn a_peer_with_rsa_only_is_refused_by_name() {
    let rsa_key = [0x30, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 5];
    let refused_cases = [rsa_client_hello(), handshake(11, &[0, 0, 0]), handshake(11, &rsa_key)];
    for datagram in refused_cases {
        let mut pair = Pair::viewer("actpass", false);
        pair.check(&credentials(), true).unwrap();
        pair.put(&datagram);
        pair.advance(HANDSHAKE_TIMEOUT);
        let Some(PeerEvent::Closed(cause)) = pair.peer.poll_event() else { panic!("still open") };
        assert_eq!(cause.to_string(), "the peer offers only RSA certificates");
    }
}

#[test]
fn addresses_of_one_peer_are_bounded_and_the_used_one_stays() {
    let mut pair = Pair::viewer("actpass", false);
    pair.connect();
    for port in 1..=MAX_PATHS as u16 {
        pair.move_to(&format!("203.0.113.9:{port}"));
        let check = pair.check(&credentials(), false).unwrap();
        assert_eq!(check.forgotten.is_some(), usize::from(port) == MAX_PATHS);
    }
    assert_eq!(pair.peer.paths().len(), MAX_PATHS);
    assert!(pair.peer.paths().contains(&addr(HOME)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn arbitrary_datagrams_from_the_peer_itself_never_panic(
        records in proptest::collection::vec(
            (20u8..24, 0u8..2, 0u8..25, proptest::collection::vec(any::<u8>(), 0..80)), 1..12),
        rubbish in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        for setup in ["actpass", "passive"] {
            let mut pair = Pair::viewer(setup, false);
            pair.check(&credentials(), true).unwrap();
            for (at, (kind, epoch, message, body)) in records.iter().enumerate() {
                let mut datagram = handshake(*message, body);
                (datagram[0], datagram[4], datagram[10]) = (*kind, *epoch, at as u8);
                pair.put(&datagram);
                pair.advance(FLIGHT_RTO);
            }
            pair.put(&rubbish);
        }
    }
}
