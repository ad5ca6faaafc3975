//! WebRTC media, SRTP with AES128_CM_HMAC_SHA1_80 (RFC 3711): header per viewer and packet, the
//! shared payload copied to an arena and encrypted there with the viewer's own key, the packets of
//! a viewer's frame authenticated together in the lanes of the CPU's vector unit (one by one where
//! it has none), one segmented message a viewer and frame. With `--per-packet`: each packet sealed
//! and sent by itself.

use std::io;
use std::process::ExitCode;

use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use sha1_lanes::{HmacSha1, LANES, Message, Unit};
use sightline_floor::flags::Flags;
use sightline_floor::meter::Meter;
use sightline_floor::rtp::{HEADER, Header, shared_payload};
use sightline_floor::udp::{BATCH, Sender};

/// Bytes of the authentication tag.
const TAG: usize = 10;
/// Packets from which on lanes are faster than one packet after the other.
const WORTH_LANES: usize = 5;

struct Viewer {
    key: EncryptingKey,
    salt: [u8; 14],
    auth: hmac::Key,
    lanes: Option<HmacSha1>,
    ssrc: u32,
}

impl Viewer {
    fn new(number: usize) -> Self {
        let (key, salt, auth) = session_keys(number);
        let key = UnboundCipherKey::new(&AES_128, &key).and_then(EncryptingKey::ctr);
        Self {
            key: key.expect("a key has 16 bytes"),
            salt,
            auth: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &auth),
            lanes: Unit::best().map(|unit| HmacSha1::new(unit, &auth)),
            ssrc: number as u32 + 1,
        }
    }

    /// Writes header and encrypted payload to `out`, which has room for a tag after them.
    fn encrypt(&self, header: Header, payload: &[u8], out: &mut [u8]) {
        let (head, rest) = out.split_at_mut(HEADER);
        let body = &mut rest[..payload.len()];
        head.copy_from_slice(&header.bytes());
        body.copy_from_slice(payload);
        let counter = counter(&self.salt, self.ssrc, header.index);
        self.key
            .less_safe_encrypt(body, EncryptionContext::Iv128(FixedLength::from(counter)))
            .expect("counter mode takes any length");
    }

    /// Writes the tags of the packets in `out`, each of `size` bytes with its tag; the first one
    /// has the index `first`.
    fn tag(&self, first: u64, size: usize, out: &mut [u8]) {
        let count = out.len() / size;
        let lanes = self.lanes.as_ref().filter(|_| count >= WORTH_LANES);
        let Some(lanes) = lanes else {
            for (index, packet) in (first..).zip(out.chunks_exact_mut(size)) {
                let (sealed, tag) = packet.split_at_mut(size - TAG);
                let mut context = hmac::Context::with_key(&self.auth);
                context.update(sealed);
                context.update(&rollover(index));
                tag.copy_from_slice(&context.sign().as_ref()[..TAG]);
            }
            return;
        };
        for (group, out) in out.chunks_mut(LANES * size).enumerate() {
            let first = first + (group * LANES) as u64;
            let mut messages = [Message { packet: &[], trailer: [0; 4] }; LANES];
            let packets = (first..).zip(out.chunks_exact(size));
            for (message, (index, packet)) in messages.iter_mut().zip(packets) {
                *message = Message { packet: &packet[..size - TAG], trailer: rollover(index) };
            }
            let mut tags = [[0; sha1_lanes::TAG]; LANES];
            lanes.tags(&messages[..out.len() / size], &mut tags);
            for (packet, tag) in out.chunks_exact_mut(size).zip(&tags) {
                packet[size - TAG..].copy_from_slice(&tag[..TAG]);
            }
        }
    }
}

/// Encryption key, salt and authentication key of a viewer; all differ from viewer to viewer.
fn session_keys(number: usize) -> ([u8; 16], [u8; 14], [u8; sha1_lanes::KEY]) {
    let seed = (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
    let (mut key, mut salt, mut auth) = ([0; 16], [0; 14], [0; sha1_lanes::KEY]);
    key[..8].copy_from_slice(&seed);
    salt[6..].copy_from_slice(&seed);
    auth[12..].copy_from_slice(&seed);
    (key, salt, auth)
}

/// RFC 3711 section 4.1.1: the salt, xor SSRC from byte 4 and packet index from byte 8; two bytes
/// count blocks.
fn counter(salt: &[u8; 14], ssrc: u32, index: u64) -> [u8; 16] {
    let mut counter = [0; 16];
    counter[4..8].copy_from_slice(&ssrc.to_be_bytes());
    counter[8..14].copy_from_slice(&index.to_be_bytes()[2..]);
    for (byte, salt) in counter.iter_mut().zip(salt) {
        *byte ^= salt;
    }
    counter
}

/// The rollover counter, which is authenticated with the packet and not sent.
fn rollover(index: u64) -> [u8; 4] {
    ((index >> 16) as u32).to_be_bytes()
}

/// The packets of a frame for a viewer, one after the other in `out`.
fn seal_frame(viewer: &Viewer, frame: u64, payload: &[u8], size: usize, out: &mut [u8]) {
    let (count, packet) = (payload.len() / size, HEADER + size + TAG);
    let first = frame * count as u64;
    let packets = payload.chunks_exact(size).zip(out.chunks_exact_mut(packet));
    for (number, (payload, out)) in packets.enumerate() {
        let (index, marker) = (first + number as u64, number + 1 == count);
        viewer.encrypt(Header { index, frame, ssrc: viewer.ssrc, marker }, payload, out);
    }
    viewer.tag(first, packet, out);
}

fn run(flags: &Flags) -> io::Result<String> {
    if flags.per_packet { run_per_packet(flags) } else { run_in_runs(flags) }
}

fn run_in_runs(flags: &Flags) -> io::Result<String> {
    let packet = HEADER + flags.payload + TAG;
    let message = flags.packets * packet;
    let sender = Sender::open(flags, packet)?;
    let viewers: Vec<Viewer> = (0..sender.viewers()).map(Viewer::new).collect();
    let payload = shared_payload(flags.packets, flags.payload);
    let mut arena = vec![0; BATCH * message];
    let mut meter = Meter::start(flags);
    let mut sent = 0;
    while let Some(frame) = meter.next_frame() {
        for (batch, viewers) in viewers.chunks(BATCH).enumerate() {
            let arena = &mut arena[..viewers.len() * message];
            for (viewer, out) in viewers.iter().zip(arena.chunks_exact_mut(message)) {
                seal_frame(viewer, frame, &payload, flags.payload, out);
            }
            sender.send_each(batch * BATCH, arena.chunks_exact(message))?;
        }
        sent += viewers.len() * flags.packets;
    }
    Ok(meter.finish(sent as u64, 0))
}

fn run_per_packet(flags: &Flags) -> io::Result<String> {
    let mut packet = vec![0; HEADER + flags.payload + TAG];
    let sender = Sender::open(flags, packet.len())?;
    let viewers: Vec<Viewer> = (0..sender.viewers()).map(Viewer::new).collect();
    let payload = shared_payload(flags.packets, flags.payload);
    let mut meter = Meter::start(flags);
    let mut sent = 0;
    while let Some(frame) = meter.next_frame() {
        for (number, viewer) in viewers.iter().enumerate() {
            for (at, payload) in payload.chunks_exact(flags.payload).enumerate() {
                let index = frame * flags.packets as u64 + at as u64;
                let marker = at + 1 == flags.packets;
                let header = Header { index, frame, ssrc: viewer.ssrc, marker };
                viewer.encrypt(header, payload, &mut packet);
                let size = packet.len();
                viewer.tag(index, size, &mut packet);
                sender.send_one(number, &packet)?;
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
    use aws_lc_rs::cipher::{DecryptingKey, DecryptionContext};

    use super::*;

    /// Opens a packet by the crypto library alone.
    fn open(viewer: usize, index: u64, packet: &[u8]) -> Vec<u8> {
        let (key, salt, auth) = session_keys(viewer);
        let (sealed, tag) = packet.split_at(packet.len() - TAG);
        let auth = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &auth);
        let signed = [sealed, &rollover(index)].concat();
        assert_eq!(tag, &hmac::sign(&auth, &signed).as_ref()[..TAG], "packet {index}");
        let mut iv = [0; 16];
        iv[..14].copy_from_slice(&salt);
        let mixed =
            u128::from_be_bytes(iv) ^ u128::from(viewer as u32 + 1) << 64 ^ u128::from(index) << 16;
        let context = DecryptionContext::Iv128(FixedLength::from(mixed.to_be_bytes()));
        let key = UnboundCipherKey::new(&AES_128, &key).and_then(DecryptingKey::ctr).unwrap();
        let mut body = sealed[HEADER..].to_vec();
        key.decrypt(&mut body, context).unwrap();
        body
    }

    #[test]
    fn what_is_sealed_opens_by_other_code() {
        // Few packets, a typical frame, more than there are lanes; numbers beyond the first wrap.
        for count in [1, WORTH_LANES, 14, LANES, 2 * LANES + 7] {
            let viewer = Viewer::new(7);
            let payload = shared_payload(count, 100);
            let size = HEADER + 100 + TAG;
            let mut out = vec![0; count * size];
            seal_frame(&viewer, 70_000, &payload, 100, &mut out);
            for (number, packet) in out.chunks_exact(size).enumerate() {
                let index = 70_000 * count as u64 + number as u64;
                assert_eq!(packet[2..4], (index as u16).to_be_bytes());
                assert_eq!(open(7, index, packet), &payload[number * 100..][..100]);
            }
        }
    }
}
