use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use dimpl::{Config, Dtls, DtlsCertificate, Output, SrtpProfile};
use is::stun::{StunMessage, TransId};

use crate::codec::{Codec, TrackInfo};
use crate::transmit::Arena;
use crate::webrtc::answer::Sources;
use crate::webrtc::sdp::{Offer, write_digest};
use crate::webrtc::srtp::{Profile, Srtp};
use crate::webrtc::stun::hmac_sha1;
use crate::webrtc::*;

/// Where the client sits.
pub(super) const HOME: &str = "192.0.2.1:5000";
pub(super) const SERVER: &str = "198.51.100.7:8189";

pub(super) fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn certificate() -> (Vec<u8>, Vec<u8>) {
    static MADE: OnceLock<(Vec<u8>, Vec<u8>)> = OnceLock::new();
    MADE.get_or_init(|| {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let params = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        (certificate.der().to_vec(), key.serialize_der())
    })
    .clone()
}

pub(super) fn identity() -> DtlsIdentity {
    let (certificate, key) = certificate();
    DtlsIdentity::new(certificate, key).unwrap()
}

/// A client's offer. `setup` and `way` as SDP words.
pub(super) fn offer(setup: &str, way: &str, rtx: bool) -> String {
    let digest = write_digest(identity().fingerprint());
    let rtx = |line: &'static str| if rtx { line } else { "" };
    format!(
        "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n\
         m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na={way}\r\n\
         a=rtcp-mux\r\na=ice-ufrag:them\r\na=ice-pwd:theirtheirtheirtheirpwd\r\n\
         a=fingerprint:sha-256 {digest}\r\na=setup:{setup}\r\n\
         a=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1;profile-level-id=42e01f\r\n\
         a=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\n{}{}{}\
         m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:1\r\na={way}\r\na=rtcp-mux\r\n\
         a=rtpmap:111 opus/48000/2\r\n",
        rtx("a=rtpmap:97 rtx/90000\r\n"),
        rtx("a=fmtp:97 apt=96\r\n"),
        rtx("a=extmap:5 http://www.webrtc.org/experiments/rtp-hdrext/playout-delay\r\n"),
    )
}

/// A viewer's offer with more lines in its video section.
pub(super) fn offer_with(lines: &str) -> String {
    offer("actpass", "recvonly", true).replace("m=audio", &format!("{lines}m=audio"))
}

pub(super) fn tracks() -> Vec<TrackInfo> {
    vec![TrackInfo::video(Codec::H264), TrackInfo::audio(Codec::Opus, 48_000, 2)]
}

pub(super) const VIDEO: Sources = Sources { media: 1000, rtx: Some(1001) };
pub(super) const AUDIO: Sources = Sources { media: 2000, rtx: None };

/// A peer under test with its client, on one simulated clock.
pub(super) struct Pair {
    pub(super) now: Instant,
    pub(super) peer: WebRtcPeer,
    pub(super) arena: Arena,
    pub(super) srtp: Option<Srtp>,
    pub(super) profile: Option<SrtpProfile>,
    pub(super) closed_by_peer: bool,
    client: Dtls,
    client_is_active: bool,
    from: SocketAddr,
}

#[expect(clippy::disallowed_methods, reason = "an Instant has no other origin")]
pub(in crate::webrtc) fn start() -> Instant {
    Instant::now()
}

pub(super) fn credentials() -> Credentials {
    Credentials::from_random(&[7; CREDENTIAL_BYTES])
}

impl Pair {
    pub(super) fn viewer(setup: &str, rtx: bool) -> Self {
        let offer = Offer::parse(&offer(setup, "recvonly", rtx)).unwrap();
        let plan = ViewPlan::new(&offer, &tracks()).unwrap();
        Self::new(&offer, |now, setup| WebRtcPeer::viewer(now, &plan, &[VIDEO, AUDIO], setup))
    }

    /// A viewer whose offer has these lines in its video section too.
    pub(super) fn viewer_with(lines: &str) -> Self {
        let offer = Offer::parse(&offer_with(lines)).unwrap();
        let plan = ViewPlan::new(&offer, &tracks()).unwrap();
        Self::new(&offer, |now, setup| WebRtcPeer::viewer(now, &plan, &[VIDEO, AUDIO], setup))
    }

    pub(super) fn publisher(rtx: bool) -> Self {
        let offer = Offer::parse(&offer("actpass", "sendonly", rtx)).unwrap();
        let plan = PublishPlan::new(&offer).unwrap();
        Self::new(&offer, |now, setup| WebRtcPeer::publisher(now, &plan, 9, setup))
    }

    pub(super) fn new(
        offer: &Offer,
        make: impl FnOnce(Instant, PeerSetup<'_>) -> WebRtcPeer,
    ) -> Self {
        let now = start();
        let transport = &offer.transport;
        let setup = PeerSetup { transport, credentials: credentials(), identity: identity() };
        let peer = make(now, setup);
        let (certificate, private_key) = certificate();
        let config = Arc::new(Config::default());
        let certificate = DtlsCertificate { certificate, private_key };
        let mut client = Dtls::new_12(config, certificate, now);
        let client_is_active = !transport.peer_is_server;
        client.set_active(client_is_active);
        client.handle_timeout(now).unwrap();
        Self {
            now,
            peer,
            arena: Arena::default(),
            srtp: None,
            profile: None,
            closed_by_peer: false,
            client,
            client_is_active,
            from: addr(HOME),
        }
    }

    /// Pretends that the client sends from elsewhere.
    pub(super) fn move_to(&mut self, from: &str) {
        self.from = addr(from);
    }

    pub(super) fn advance(&mut self, by: Duration) {
        self.now += by;
        self.peer.handle_timeout(self.now, &mut self.arena);
    }

    /// One connectivity check; what the peer made of it.
    pub(super) fn check(&mut self, local: &Credentials, nominate: bool) -> Option<Check> {
        let bytes = check(local.ufrag(), local.pwd(), nominate);
        let request = BindingRequest::parse(&bytes).unwrap();
        self.peer.handle_check(self.now, self.from, &request, &mut self.arena)
    }

    /// Puts a datagram in, as if from the client.
    pub(super) fn put(
        &mut self,
        datagram: &[u8],
    ) -> Option<(crate::ids::TrackIndex, bytes::Bytes)> {
        self.peer.handle_datagram(self.now, self.from, datagram, &mut self.arena)
    }

    /// Datagrams that the peer has sent, with their destinations.
    pub(super) fn sent(&mut self) -> Vec<(SocketAddr, Vec<u8>)> {
        let mut out = Vec::new();
        for (run, bytes) in self.arena.runs() {
            out.extend(bytes.chunks(run.segment).map(|one| (run.destination, one.to_vec())));
        }
        self.arena.clear();
        out
    }

    /// Runs the DTLS handshake dry.
    pub(super) fn shake_hands(&mut self) {
        self.client.handle_timeout(self.now).unwrap();
        for _ in 0..20 {
            let sent = self.sent();
            for (_, datagram) in &sent {
                if matches!(datagram.first(), Some(20..=63)) {
                    self.client.handle_timeout(self.now).unwrap();
                    self.client.handle_packet(datagram).unwrap();
                }
            }
            if !self.pump_client() && sent.is_empty() {
                return;
            }
        }
    }

    /// The client's records arrive; what the peer sends is lost.
    pub(super) fn shake_hands_losing_ours(&mut self) {
        self.client.handle_timeout(self.now).unwrap();
        self.pump_client();
        self.sent();
    }

    /// The client says goodbye.
    pub(super) fn close_client(&mut self) {
        self.client.close().unwrap();
        self.pump_client();
    }

    fn pump_client(&mut self) -> bool {
        let mut moved = false;
        let mut buffer = vec![0; 4096];
        loop {
            match self.client.poll_output(&mut buffer) {
                Output::Packet(packet) => {
                    moved = true;
                    let packet = packet.to_vec();
                    self.put(&packet);
                }
                Output::KeyingMaterial(material, profile) => {
                    self.profile = Some(profile);
                    let of = match profile {
                        SrtpProfile::AEAD_AES_256_GCM => Profile::AeadAes256Gcm,
                        SrtpProfile::AEAD_AES_128_GCM => Profile::AeadAes128Gcm,
                        _ => Profile::Aes128CmSha1,
                    };
                    self.srtp = Some(Srtp::new(of, &material, self.client_is_active).unwrap());
                }
                Output::CloseNotify => self.closed_by_peer = true,
                Output::Timeout(_) => return moved,
                _ => {}
            }
        }
    }

    /// ICE and DTLS up to the point where media can flow.
    pub(super) fn connect(&mut self) {
        self.check(&credentials(), true).expect("an authentic check");
        self.shake_hands();
        assert_eq!(self.peer.poll_event(), Some(PeerEvent::Connected));
        assert!(self.srtp.is_some());
        self.sent();
    }

    /// Opens what the peer has sent as SRTP.
    pub(super) fn opened(&mut self) -> Vec<Vec<u8>> {
        let sent = self.sent();
        let receiver = &mut self.srtp.as_mut().expect("connected").receiver;
        let mut out = Vec::new();
        for (_, datagram) in sent {
            let mut plain = Vec::new();
            let opened = match crate::wire::rtp::is_rtcp(&datagram) {
                true => receiver.open_rtcp(&datagram, &mut plain),
                false => receiver.open_rtp(&datagram, &mut plain),
            };
            assert!(opened, "an authentic packet of {} bytes", datagram.len());
            out.push(plain);
        }
        out
    }

    /// Sends RTCP that `write` makes.
    pub(super) fn put_rtcp(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut out = Vec::new();
        write(&mut out);
        assert!(self.srtp.as_mut().expect("connected").sender.seal_rtcp(&mut out, 0));
        self.put(&out);
    }
}

/// A binding request as a controlling browser sends it.
pub(super) fn check(ufrag: &str, pwd: &str, nominate: bool) -> Vec<u8> {
    let username = format!("{ufrag}:them");
    let message = StunMessage::binding_request(&username, TransId::new(), true, 1, 1, nominate);
    let mut buffer = [0; 256];
    let len = message.to_bytes(Some(pwd.as_bytes()), &mut buffer, hmac_sha1).unwrap();
    buffer[..len].to_vec()
}
