//! Datagrams from strangers: QUIC, WebRTC, RTP and RTCP.

use crate::attack::{Noise, pelt};
use crate::native::Server;

/// Datagrams of each kind.
const ROUNDS: usize = 150;
/// An unvalidated address gets at most this many times what it sent (RFC 9000, 8).
const AMPLIFICATION: usize = 3;

fn noise(seed: u64, first: impl Fn(&mut Noise) -> u8) -> Vec<Vec<u8>> {
    let mut noise = Noise::new(seed);
    (0..ROUNDS)
        .map(|_| {
            let length = 1 + noise.number(1400);
            let mut bytes = noise.bytes(length);
            bytes[0] = first(&mut noise);
            bytes
        })
        .collect()
}

/// Initial packets whose protection does not open (RFC 9001, 5).
fn initials(seed: u64) -> Vec<Vec<u8>> {
    let mut noise = Noise::new(seed);
    (0..ROUNDS)
        .map(|_| {
            let mut packet = vec![0xc3, 0, 0, 0, 1, 8];
            packet.extend(noise.bytes(8));
            packet.extend([0, 0, 0x44, 0x9e]);
            packet.extend(noise.bytes(0x49e));
            packet
        })
        .collect()
}

/// The RoQ port: nothing is answered at length, nothing is kept.
pub(crate) async fn quic(server: &Server) {
    let to = server.address("roq");
    let any = noise(20, |noise| noise.number(256) as u8);
    let short = noise(21, |noise| 0x40 | noise.number(64) as u8);
    let (sent, back) = pelt(to, &initials(22)).await;
    assert_eq!(back, 0, "an Initial that does not open is dropped; {sent} bytes were sent");
    for datagrams in [any, short] {
        let (sent, back) = pelt(to, &datagrams).await;
        assert!(back <= AMPLIFICATION * sent, "{back} bytes came back for {sent}");
    }
    let negotiation: Vec<_> = (0..ROUNDS)
        .map(|_| [&[0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8][..], &[9; 8], &[0; 1186]].concat())
        .collect();
    let (sent, back) = pelt(to, &negotiation).await;
    assert!(back > 0 && back < sent / 4, "an unknown version is told the known ones: {back}");
}

/// STUN binding requests: of nobody, without integrity, with broken attributes.
fn checks() -> Vec<Vec<u8>> {
    let mut noise = Noise::new(30);
    let header = |kind: u16, length: u16| {
        [&kind.to_be_bytes()[..], &length.to_be_bytes(), &[0x21, 0x12, 0xa4, 0x42], &[5; 12]]
            .concat()
    };
    let user = [&[0, 6, 0, 9][..], b"nobody:me", &[0; 3]].concat();
    let mut all = vec![
        header(1, 0),
        header(1, 0xffff),
        [header(1, user.len() as u16), user.clone()].concat(),
        [header(1, 4), vec![0, 6, 0xff, 0xff]].concat(),
        [header(0x0101, 0), noise.bytes(20)].concat(),
        header(3, 0),
    ];
    for _ in 0..ROUNDS {
        let length = noise.number(30) * 4;
        all.push([header(1, length as u16), noise.bytes(length)].concat());
    }
    all
}

/// The WebRTC port answers nobody whom no session knows.
pub(crate) async fn webrtc(server: &Server) {
    let to = server.address("webrtc");
    let records = noise(31, |noise| 20 + noise.number(44) as u8);
    let packets = noise(32, |noise| 128 + noise.number(64) as u8);
    let any = noise(33, |noise| noise.number(256) as u8);
    let attacks =
        [("checks", checks()), ("records", records), ("packets", packets), ("noise", any)];
    for (name, datagrams) in attacks {
        let (_, back) = pelt(to, &datagrams).await;
        assert_eq!(back, 0, "{name} of a stranger are answered");
    }
}

/// The ports of RTP and RTCP of RTSP answer nobody.
pub(crate) async fn rtp(server: &Server) {
    for port in [server.rtsp_udp, server.rtsp_udp + 1] {
        let to = ([127, 0, 0, 1], port).into();
        for seed in [40, 41] {
            let packets = noise(seed, |noise| 128 + noise.number(64) as u8);
            let (_, back) = pelt(to, &packets).await;
            assert_eq!(back, 0, "port {port} answers a stranger");
        }
    }
}
