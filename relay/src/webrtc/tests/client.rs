//! The other end of a session: a viewer or publisher on a real socket, driven by the test.

use std::io::IoSliceMut;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Instant;

use dimpl::{Config, Dtls, DtlsCertificate, Output, SrtpProfile};
use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use sightline_relay_proto::webrtc::srtp::{Plain, Profile, Sending, Srtp};
use sightline_relay_proto::wire::rtp;

use super::{ice_check, value};

/// Source of what a publishing client sends.
const SSRC: u32 = 7;
/// Turns until a handshake counts as failed.
const PATIENCE: usize = 2000;

/// One client. The server's certificate is not checked: the path is the loopback.
pub(super) struct Client {
    socket: UdpSocket,
    offload: UdpSocketState,
    server: SocketAddr,
    certificate: Vec<u8>,
    dtls: Dtls,
    srtp: Option<Srtp>,
    /// RTP packets that came, opened.
    pub(super) packets: Vec<Vec<u8>>,
}

impl Client {
    pub(super) fn new(server: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.set_nonblocking(true).expect("an option");
        let offload = UdpSocketState::new((&socket).into()).expect("a socket");
        let own = rcgen::generate_simple_self_signed(Vec::new()).expect("a certificate");
        let certificate = own.cert.der().to_vec();
        let private_key = own.signing_key.serialize_der();
        let identity = DtlsCertificate { certificate: certificate.clone(), private_key };
        let now = Instant::now();
        let mut dtls = Dtls::new_12(Arc::new(Config::default()), identity, now);
        dtls.set_active(true);
        dtls.handle_timeout(now).expect("time passes");
        Self { socket, offload, server, certificate, dtls, srtp: None, packets: Vec::new() }
    }

    /// An offer of one H.264 section with these lines in it.
    pub(super) fn offer(&self, way: &str, lines: &str) -> String {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &self.certificate);
        let digest: Vec<String> = digest.as_ref().iter().map(|b| format!("{b:02X}")).collect();
        super::offer(way).replace(&["5A"; 32].join(":"), &digest.join(":")) + lines
    }

    /// Connects with the server's answer; `turn` lets the server work.
    pub(super) fn connect(&mut self, answer: &str, mut turn: impl FnMut()) {
        let check = ice_check(value(answer, "ice-ufrag"), value(answer, "ice-pwd"));
        self.socket.send_to(&check, self.server).expect("sent");
        for _ in 0..PATIENCE {
            turn();
            self.read();
            if self.srtp.is_some() {
                return;
            }
        }
        panic!("no handshake");
    }

    /// Takes what has come.
    pub(super) fn read(&mut self) {
        let mut buffer = vec![0; 65_535];
        let mut meta = [RecvMeta::default()];
        loop {
            let mut slices = [IoSliceMut::new(&mut buffer)];
            if self.offload.recv((&self.socket).into(), &mut slices, &mut meta).is_err() {
                break;
            }
            // Runs come as one.
            for datagram in buffer[..meta[0].len].chunks(meta[0].stride.max(1)) {
                self.take(datagram);
            }
        }
        self.pump();
    }

    fn take(&mut self, datagram: &[u8]) {
        match datagram[0] {
            20..=63 => {
                self.dtls.handle_timeout(Instant::now()).expect("time passes");
                self.dtls.handle_packet(datagram).expect("a record");
            }
            128..=191 if !rtp::is_rtcp(datagram) => {
                let mut plain = Vec::new();
                let srtp = self.srtp.as_mut().expect("media comes after the handshake");
                assert!(srtp.receiver.open_rtp(datagram, &mut plain));
                self.packets.push(plain);
            }
            _ => {}
        }
    }

    fn pump(&mut self) {
        let mut buffer = [0; 4096];
        loop {
            match self.dtls.poll_output(&mut buffer) {
                Output::Packet(packet) => {
                    self.socket.send_to(packet, self.server).expect("sent");
                }
                Output::KeyingMaterial(material, profile) => {
                    let profile = match profile {
                        SrtpProfile::AEAD_AES_256_GCM => Profile::AeadAes256Gcm,
                        SrtpProfile::AEAD_AES_128_GCM => Profile::AeadAes128Gcm,
                        _ => Profile::Aes128CmSha1,
                    };
                    let srtp = Srtp::new(profile, &material, true).expect("of its length");
                    self.srtp = Some(srtp);
                }
                Output::Timeout(_) => return,
                _ => {}
            }
        }
    }

    /// Sends a frame of so many fragments of one size as one segmented message, so that it comes as
    /// a camera's burst does.
    pub(super) fn send_frame(&mut self, seq: u16, timestamp: u32, fragments: u16) {
        let sender = &mut self.srtp.as_mut().expect("connected").sender;
        let source = sender.add_source(SSRC);
        let mut contents = Vec::new();
        let mut segment = 0;
        for at in 0..fragments {
            // FU-A of an IDR slice (RFC 6184, 5.8).
            let edge = u8::from(at == 0) << 7 | u8::from(at + 1 == fragments) << 6;
            let mut payload = vec![0x5a; 1000];
            payload[..3].copy_from_slice(&[0x7c, edge | 5, 0x88]);
            let seq = seq.wrapping_add(at);
            let header = rtp::header(96, at + 1 == fragments, seq, timestamp, SSRC);
            let packet = Plain { header: &header, prefix: &[], payload: &payload };
            let sealed = sender.sealed(source, Sending::First, seq, packet).expect("in order");
            segment = sealed.len();
            contents.extend_from_slice(&sealed);
        }
        let transmit = Transmit {
            destination: self.server,
            ecn: None,
            contents: &contents,
            segment_size: Some(segment),
            src_ip: None,
        };
        self.offload.send((&self.socket).into(), &transmit).expect("sent");
    }
}
