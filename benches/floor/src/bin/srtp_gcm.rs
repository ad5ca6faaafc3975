//! WebRTC media, SRTP with AEAD_AES_128_GCM (RFC 7714): header per viewer and packet, sealed with
//! the viewer's own key from the shared payload straight into an arena, one segmented message a
//! viewer and frame. With `--per-packet`: each packet sealed and sent by itself.

use std::io;
use std::process::ExitCode;

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use sightline_floor::flags::Flags;
use sightline_floor::meter::Meter;
use sightline_floor::rtp::{HEADER, Header, shared_payload};
use sightline_floor::udp::{BATCH, Sender};

/// Bytes of the authentication tag.
const TAG: usize = 16;

struct Viewer {
    key: LessSafeKey,
    salt: [u8; 12],
    ssrc: u32,
}

impl Viewer {
    fn new(number: usize) -> Self {
        let seed = (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
        let mut key = [0; 16];
        key[..8].copy_from_slice(&seed);
        let mut salt = [0; 12];
        salt[4..].copy_from_slice(&seed);
        let key = UnboundKey::new(&AES_128_GCM, &key).expect("a key has 16 bytes");
        Self { key: LessSafeKey::new(key), salt, ssrc: number as u32 + 1 }
    }

    /// RFC 7714 section 8.1: two zero bytes, SSRC, rollover counter and sequence number, xor salt.
    fn nonce(&self, index: u64) -> Nonce {
        let mut nonce = [0; 12];
        nonce[2..6].copy_from_slice(&self.ssrc.to_be_bytes());
        nonce[6..].copy_from_slice(&index.to_be_bytes()[2..]);
        for (byte, salt) in nonce.iter_mut().zip(self.salt) {
            *byte ^= salt;
        }
        Nonce::assume_unique_for_key(nonce)
    }

    /// Writes header, sealed payload and tag to `out`, which is as long as the three.
    fn seal(&self, header: Header, payload: &[u8], out: &mut [u8]) {
        let clear = header.bytes();
        let (head, rest) = out.split_at_mut(HEADER);
        let (sealed, tag) = rest.split_at_mut(payload.len());
        head.copy_from_slice(&clear);
        let nonce = self.nonce(header.index);
        let key = &self.key;
        key.seal_out_of_place_scatter(nonce, Aad::from(clear), payload, sealed, &[], tag)
            .expect("the lengths fit");
    }
}

/// The packets of a frame for a viewer, one after the other in `out`.
fn seal_frame(viewer: &Viewer, frame: u64, payload: &[u8], size: usize, out: &mut [u8]) {
    let count = payload.len() / size;
    let packets = payload.chunks_exact(size).zip(out.chunks_exact_mut(HEADER + size + TAG));
    for (number, (payload, out)) in packets.enumerate() {
        let index = frame * count as u64 + number as u64;
        let header = Header { index, frame, ssrc: viewer.ssrc, marker: number + 1 == count };
        viewer.seal(header, payload, out);
    }
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
                viewer.seal(
                    Header { index, frame, ssrc: viewer.ssrc, marker },
                    payload,
                    &mut packet,
                );
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
    use super::*;

    #[test]
    fn what_is_sealed_opens_with_the_viewers_key() {
        let viewer = Viewer::new(7);
        let payload = shared_payload(3, 100);
        let mut out = vec![0; 3 * (HEADER + 100 + TAG)];
        seal_frame(&viewer, 30_000, &payload, 100, &mut out);
        for (number, packet) in out.chunks_exact_mut(HEADER + 100 + TAG).enumerate() {
            let (header, sealed) = packet.split_at_mut(HEADER);
            let nonce = viewer.nonce(90_000 + number as u64);
            let opened = viewer.key.open_in_place(nonce, Aad::from(header), sealed).unwrap();
            assert_eq!(opened, &payload[number * 100..][..100]);
        }
    }
}
