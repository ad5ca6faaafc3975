//! RTP over QUIC datagrams (RFC 9000, RFC 9221): one packet with one DATAGRAM frame each, sealed
//! with the viewer's own key (RFC 9001) straight into an arena, its header masked, one segmented
//! message a viewer and frame. With `--per-packet`: each packet sealed and sent by itself.
//!
//! RTP is the same for every viewer; only the flow identifier before it is the viewer's own, so it
//! is written into the shared plaintext before the viewer's packets are sealed from there.

use std::io;
use std::process::ExitCode;

use aws_lc_rs::aead::quic::{AES_128, HeaderProtectionKey};
use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use sightline_floor::flags::Flags;
use sightline_floor::meter::Meter;
use sightline_floor::rtp::{self, Header, shared_payload};
use sightline_floor::udp::{BATCH, Sender};

/// First byte of a short header: the fixed bit, and a packet number of two bytes.
const FLAGS: u8 = 0x41;
/// Bits of the first byte that are masked.
const MASKED_FLAGS: u8 = 0x1f;
/// Where the packet number is: behind the first byte and a connection identifier of 8 bytes.
const NUMBER: usize = 1 + 8;
/// Bytes of the short header.
const SHORT: usize = NUMBER + 2;
/// Where the sample of the header's mask begins: as if the number had four bytes.
const SAMPLE: usize = NUMBER + 4;
const SAMPLE_LEN: usize = 16;
/// Bytes of the authentication tag.
const TAG: usize = 16;
/// A DATAGRAM frame that ends with its packet has no length.
const DATAGRAM: u8 = 0x30;
/// Where the flow identifier is in the plaintext, and its bytes.
const FLOW: usize = 1;
const FLOW_LEN: usize = 4;
/// Prefix of a variable-length integer of four bytes.
const FOUR_BYTES: u32 = 0b10 << 30;
/// Where RTP begins in the plaintext.
const RTP: usize = FLOW + FLOW_LEN;
/// The source of the stream.
const SSRC: u32 = 1;

struct Viewer {
    key: LessSafeKey,
    iv: [u8; 12],
    mask: HeaderProtectionKey,
    connection: [u8; 8],
    flow: [u8; FLOW_LEN],
}

impl Viewer {
    fn new(number: usize) -> Self {
        let seed = (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
        let mut key = [0; 16];
        key[..8].copy_from_slice(&seed);
        let mut iv = [0; 12];
        iv[4..].copy_from_slice(&seed);
        let flow = (number as u32 & !FOUR_BYTES) | FOUR_BYTES;
        let sealing = UnboundKey::new(&AES_128_GCM, &key).expect("a key has 16 bytes");
        key.reverse();
        Self {
            key: LessSafeKey::new(sealing),
            iv,
            mask: HeaderProtectionKey::new(&AES_128, &key).expect("a key has 16 bytes"),
            connection: seed,
            flow: flow.to_be_bytes(),
        }
    }

    /// RFC 9001 section 5.3: the packet number, xor the vector.
    fn nonce(&self, number: u64) -> Nonce {
        let mut nonce = self.iv;
        for (byte, number) in nonce[4..].iter_mut().zip(number.to_be_bytes()) {
            *byte ^= number;
        }
        Nonce::assume_unique_for_key(nonce)
    }

    /// Writes the packet to `out`, which is as long as header, plaintext and tag.
    fn seal(&self, number: u64, plain: &[u8], out: &mut [u8]) {
        let (head, rest) = out.split_at_mut(SHORT);
        head[0] = FLAGS;
        head[1..NUMBER].copy_from_slice(&self.connection);
        head[NUMBER..].copy_from_slice(&(number as u16).to_be_bytes());
        let (sealed, tag) = rest.split_at_mut(plain.len());
        let key = &self.key;
        key.seal_out_of_place_scatter(self.nonce(number), Aad::from(head), plain, sealed, &[], tag)
            .expect("the lengths fit");
        self.protect(out);
    }

    /// RFC 9001 section 5.4: masks first byte and packet number. Twice is as good as never.
    fn protect(&self, packet: &mut [u8]) {
        let sample = &packet[SAMPLE..][..SAMPLE_LEN];
        let mask = self.mask.new_mask(sample).expect("a sample has 16 bytes");
        packet[0] ^= mask[0] & MASKED_FLAGS;
        for (byte, mask) in packet[NUMBER..SHORT].iter_mut().zip(&mask[1..]) {
            *byte ^= mask;
        }
    }
}

/// The plaintexts of a frame, one after the other.
struct Plain {
    bytes: Vec<u8>,
    /// Bytes of one.
    each: usize,
}

impl Plain {
    fn new(packets: usize, payload: usize) -> Self {
        let each = RTP + rtp::HEADER + payload;
        let mut bytes = shared_payload(packets, each);
        bytes.chunks_exact_mut(each).for_each(|plain| plain[0] = DATAGRAM);
        Self { bytes, each }
    }

    /// Writes the frame's RTP headers.
    fn number(&mut self, frame: u64) {
        let count = (self.bytes.len() / self.each) as u64;
        for (at, plain) in (0..).zip(self.bytes.chunks_exact_mut(self.each)) {
            let index = frame * count + at;
            let header = Header { index, frame, ssrc: SSRC, marker: at + 1 == count };
            plain[RTP..][..rtp::HEADER].copy_from_slice(&header.bytes());
        }
    }

    /// The packets of a frame for a viewer, one after the other in `out`.
    fn seal(&mut self, viewer: &Viewer, frame: u64, out: &mut [u8]) {
        let count = (self.bytes.len() / self.each) as u64;
        let plains = self.bytes.chunks_exact_mut(self.each);
        let packets = out.chunks_exact_mut(SHORT + self.each + TAG);
        for (at, (plain, out)) in (0..).zip(plains.zip(packets)) {
            plain[FLOW..RTP].copy_from_slice(&viewer.flow);
            viewer.seal(frame * count + at, plain, out);
        }
    }
}

fn run(flags: &Flags) -> io::Result<String> {
    let mut plain = Plain::new(flags.packets, flags.payload);
    let packet = SHORT + plain.each + TAG;
    let message = flags.packets * packet;
    let sender = Sender::open(flags, packet)?;
    let viewers: Vec<Viewer> = (0..sender.viewers()).map(Viewer::new).collect();
    let batch = if flags.per_packet { 1 } else { BATCH };
    let mut arena = vec![0; batch * message];
    let mut meter = Meter::start(flags);
    let mut sent = 0;
    while let Some(frame) = meter.next_frame() {
        plain.number(frame);
        for (number, viewers) in viewers.chunks(batch).enumerate() {
            let arena = &mut arena[..viewers.len() * message];
            for (viewer, out) in viewers.iter().zip(arena.chunks_exact_mut(message)) {
                plain.seal(viewer, frame, out);
            }
            if flags.per_packet {
                arena.chunks_exact(packet).try_for_each(|one| sender.send_one(number, one))?;
            } else {
                sender.send_each(number * batch, arena.chunks_exact(message))?;
            }
        }
        sent += viewers.len() * flags.packets;
    }
    Ok(meter.finish(sent as u64, 0))
}

fn main() -> ExitCode {
    sightline_floor::main(run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_protected_opens_with_the_viewers_keys() {
        let viewer = Viewer::new(7);
        let mut plain = Plain::new(3, 100);
        plain.number(30_000);
        let size = SHORT + plain.each + TAG;
        let mut out = vec![0; 3 * size];
        plain.seal(&viewer, 30_000, &mut out);
        for (at, packet) in out.chunks_exact_mut(size).enumerate() {
            let number = 90_000 + at as u64;
            viewer.protect(packet);
            assert_eq!(packet[0], FLAGS);
            assert_eq!(packet[NUMBER..SHORT], (number as u16).to_be_bytes());
            let (head, sealed) = packet.split_at_mut(SHORT);
            let nonce = viewer.nonce(number);
            let opened = viewer.key.open_in_place(nonce, Aad::from(head), sealed).unwrap();
            assert_eq!(opened[..RTP], [DATAGRAM, 0x80, 0, 0, 7]);
            assert_eq!(opened, &plain.bytes[at * plain.each..][..plain.each]);
            assert_eq!(opened[RTP + 1] >> 7, u8::from(at == 2), "the marker");
        }
    }

    /// RFC 9001 appendix A.5 has its vector for ChaCha20; this is AES-128 of one block (FIPS 197,
    /// appendix C.1), of which the mask is the beginning.
    #[test]
    fn the_mask_is_the_cipher_of_the_sample() {
        let key: Vec<u8> = (0..16).collect();
        let sample: Vec<u8> = (0..16).map(|byte| byte * 0x11).collect();
        let mask = HeaderProtectionKey::new(&AES_128, &key).unwrap().new_mask(&sample).unwrap();
        assert_eq!(mask, [0x69, 0xc4, 0xe0, 0xd8, 0x6a]);
    }
}
