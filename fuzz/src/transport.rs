//! Transports: one connection or peer, driven by what a stranger or a member sends.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sightline_relay_proto::codec::{Codec, TrackInfo};
use sightline_relay_proto::ids::TrackIndex;
use sightline_relay_proto::limits::MAX_INGEST_PACKET;
use sightline_relay_proto::roq::Receiver;
use sightline_relay_proto::rtsp::digest::Secret;
use sightline_relay_proto::rtsp::{Event, RtspConnection, Settings};
use sightline_relay_proto::transmit::Arena;
use sightline_relay_proto::webrtc::sdp::Offer;
use sightline_relay_proto::webrtc::srtp::{Profile, Srtp};
use sightline_relay_proto::webrtc::{
    BindingRequest, CREDENTIAL_BYTES, Credentials, DtlsIdentity, MAX_PATHS, PeerSetup, PublishPlan,
    WebRtcPeer,
};

/// Realm of the RTSP connections of these targets.
pub const REALM: &str = "fuzz";
/// Password of every RTSP user of these targets.
pub const RTSP_PASSWORD: &str = "password";
/// Our ICE password in these targets.
pub const ICE_PASSWORD: [u8; CREDENTIAL_BYTES] = [0x11; CREDENTIAL_BYTES];
/// Where the WebRTC peer of these targets sits.
pub const HOME: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 5000);
/// Somebody else.
const ELSEWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 66)), 6666);
/// Offer of the WebRTC peer.
const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
    m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=sendonly\r\na=rtcp-mux\r\n\
    a=ice-ufrag:them\r\na=ice-pwd:theirtheirtheirtheirpwd\r\na=fingerprint:sha-256 \
    00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F\
    \r\na=setup:actpass\r\na=rtpmap:96 H264/90000\r\n\
    a=fmtp:96 packetization-mode=1;profile-level-id=42e01f\r\n";

/// A connection whose nonces are always the same, so that seeds may log in.
pub fn rtsp_connection(now: Instant) -> RtspConnection {
    let settings =
        Settings { realm: REALM, play: true, udp_ports: Some((8000, 8001)), seed: [3; 32] };
    RtspConnection::new(now, settings)
}

/// One RTSP connection: the first byte says in which pieces the rest arrives. Whatever comes, it
/// keeps its bounds, says nothing after its end, and media comes only after a login.
pub fn rtsp(data: &[u8]) {
    let Some((&piece, rest)) = data.split_first() else { return };
    let now = Instant::now();
    let mut connection = rtsp_connection(now);
    let tracks = [TrackInfo::video(Codec::H264), TrackInfo::audio(Codec::Opus, 48_000, 2)];
    let mut closed = false;
    for bytes in rest.chunks(usize::from(piece) + 1) {
        connection.handle_input(bytes);
        while let Some(event) = connection.poll_event(now) {
            assert!(!closed, "{event:?} after the end");
            match event {
                Event::Login { user, .. } => {
                    let secret = Secret::from_password(&user, REALM, RTSP_PASSWORD);
                    connection.answer_login(now, Some(secret));
                }
                Event::Lookup { .. } => connection.answer_tracks(Ok(&tracks)),
                Event::Announce { media, .. } => {
                    assert!(!media.is_empty());
                    connection.accept();
                }
                Event::SetupUdp(_) | Event::Play | Event::Record => connection.accept(),
                Event::Media { track, .. } => {
                    assert!(connection.is_logged_in());
                    assert!(connection.setups().iter().any(|setup| setup.track == track));
                }
                Event::LoggedIn { .. } | Event::Paused => {}
                Event::Close => closed = true,
            }
        }
        let _ = connection.poll_output();
        assert!(!closed || connection.poll_timeout().is_none());
    }
}

/// Our ICE credentials in these targets.
pub fn credentials() -> Credentials {
    Credentials::from_random(&ICE_PASSWORD)
}

/// Binding requests: what parses has both user fragments; a right one survives no changed byte.
pub fn stun(data: &[u8]) {
    let Some(request) = BindingRequest::parse(data) else { return };
    let _ = (request.local_ufrag(), request.remote_ufrag(), request.nominates());
    let password = credentials();
    let mut out = Vec::new();
    if request.is_authentic(password.pwd()) {
        assert!(request.answer(HOME, password.pwd(), &mut out));
        assert!(!request.is_authentic("another password"));
    }
}

fn peer(now: Instant) -> WebRtcPeer {
    let certificate = include_bytes!("identity/certificate.der").to_vec();
    let key = include_bytes!("identity/key.der").to_vec();
    let identity = DtlsIdentity::new(certificate, key).expect("our own certificate");
    let offer = Offer::parse(OFFER).expect("an offer that is fine");
    let plan = PublishPlan::new(&offer).expect("H.264 is taken");
    let setup = PeerSetup { transport: &offer.transport, credentials: credentials(), identity };
    WebRtcPeer::publisher(now, &plan, 7, setup)
}

/// One WebRTC peer: operations of a kind (bit 0: from elsewhere, bits 1 to 3: time passes), a
/// length and so many bytes of a datagram. Nothing from an unknown address is answered, and no
/// media comes without a handshake.
pub fn webrtc(data: &[u8]) {
    let mut now = Instant::now();
    let mut peer = peer(now);
    let mut arena = Arena::with_capacity(4096);
    let mut rest = data;
    while let [kind, high, low, tail @ ..] = rest {
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        let (datagram, later) = tail.split_at(len.min(tail.len()));
        rest = later;
        now += Duration::from_millis(u64::from(kind >> 1 & 7) * 50);
        let from = if kind & 1 == 0 { HOME } else { ELSEWHERE };
        let known = peer.paths().contains(&from);
        match BindingRequest::parse(datagram) {
            Some(request) => drop(peer.handle_check(now, from, &request, &mut arena)),
            None => {
                let media = peer.handle_datagram(now, from, datagram, &mut arena);
                assert!(media.is_none(), "media without a handshake");
                assert!(known || arena.is_empty(), "an unknown address is answered");
            }
        }
        assert!(peer.paths().len() <= MAX_PATHS);
        if peer.poll_timeout().is_some_and(|due| due <= now) {
            peer.handle_timeout(now, &mut arena);
        }
        while peer.poll_event().is_some() {}
        arena.clear();
    }
}

/// One RoQ receiver: operations of a kind, a length and so many bytes, forty-fold for kind 7.
pub fn roq(data: &[u8]) {
    let mut now = Instant::now();
    let mut receiver = Receiver::new([(0, TrackIndex(0)), (500, TrackIndex(1))]);
    let mut rest = data;
    while let [kind, len, tail @ ..] = rest {
        let (body, later) = tail.split_at(usize::from(*len).min(tail.len()));
        rest = later;
        let stream = u64::from(kind >> 3 & 7);
        match kind & 7 {
            0 | 1 => receiver.handle_stream(now, stream, Bytes::copy_from_slice(body)),
            2 => receiver.handle_stream_end(stream),
            3 | 4 => drop(receiver.handle_datagram(now, Bytes::copy_from_slice(body))),
            5 => now += Duration::from_millis(100 * (1 + stream)),
            6 => receiver.add_flow(stream, TrackIndex(2)),
            _ => receiver.handle_stream(now, stream, body.repeat(40).into()),
        }
        if receiver.poll_timeout().is_some_and(|due| due <= now) {
            receiver.handle_timeout(now);
            assert!(receiver.poll_timeout().is_none_or(|due| due > now));
        }
        while let Some(received) = receiver.poll_packet() {
            assert!((1..=MAX_INGEST_PACKET).contains(&received.packet.len()));
            assert!(received.track.0 <= 2);
        }
        while receiver.poll_action().is_some() {}
        assert!(!receiver.is_stopping());
    }
}

/// Both ends of an SRTP session with fixed keys: ours, and the peer's.
pub fn srtp_pair(profile: Profile) -> (Srtp, Srtp) {
    let len = 2 * (profile.key_len() + profile.salt_len());
    let material: Vec<u8> = (0..len).map(|at| at as u8).collect();
    let end = |client| Srtp::new(profile, &material, client).expect("material of the right size");
    (end(false), end(true))
}

/// Sealed packets: one that opens gets shorter, and opens once.
pub fn srtp(data: &[u8]) {
    for profile in [Profile::AeadAes128Gcm, Profile::AeadAes256Gcm, Profile::Aes128CmSha1] {
        let mut receiver = srtp_pair(profile).0.receiver;
        let mut out = Vec::new();
        if receiver.open_rtp(data, &mut out) {
            assert!(out.len() < data.len());
            assert!(!receiver.open_rtp(data, &mut out), "a replay");
        }
        if receiver.open_rtcp(data, &mut out) {
            assert!(out.len() < data.len());
            assert!(!receiver.open_rtcp(data, &mut out), "a replay");
        }
    }
}
