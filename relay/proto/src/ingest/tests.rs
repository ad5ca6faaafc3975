//! Tests of the whole way from RTP packets to frames.

mod audio;
mod bounds;
mod loss;
mod picture;
mod sealed;
mod second;
mod time;

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::*;
use crate::codec::Codec;
use crate::limits::MAX_CANONICAL_PAYLOAD;
use crate::wire::nal::{NalFormat, NalPayload};
use crate::wire::packetize::packetize;

/// A small deterministic source of numbers (SplitMix64).
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// Bytes without zeros, so that no start code arises.
    fn filler(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| (self.next() % 255) as u8 + 1).collect()
    }
}

/// A publisher with its own numbering.
#[derive(Clone)]
struct Sender {
    ssrc: u32,
    seq: u16,
    timestamp: u32,
}

impl Sender {
    fn new() -> Self {
        Self { ssrc: 7, seq: 65_530, timestamp: u32::MAX - 4000 }
    }

    /// Packets of one frame; the marker goes on the last.
    fn packets(&mut self, payloads: &[Bytes]) -> Vec<Bytes> {
        let mut packets = Vec::new();
        for (index, payload) in payloads.iter().enumerate() {
            packets.push(self.packet(payload, index + 1 == payloads.len()));
        }
        packets
    }

    fn packet(&mut self, payload: &[u8], marker: bool) -> Bytes {
        let header = rtp::header(96, marker, self.seq, self.timestamp, self.ssrc);
        self.seq = self.seq.wrapping_add(1);
        [&header, payload].concat().into()
    }

    fn step(&mut self, ticks: u32) {
        self.timestamp = self.timestamp.wrapping_add(ticks);
    }
}

fn ingest(codec: Codec, unordered: bool) -> TrackIngest {
    let info = match codec.kind() {
        MediaKind::Video => TrackInfo::video(codec),
        MediaKind::Audio => TrackInfo::audio(codec, 8000, 1),
    };
    TrackIngest::new(TrackIndex(1), info, unordered, 65_534, 1000)
}

fn feed(ingest: &mut TrackIngest, now: Instant, packets: &[Bytes]) -> Vec<Frame> {
    for packet in packets {
        assert!(ingest.handle_rtp(now, packet.clone()));
    }
    poll(ingest, now)
}

fn poll(ingest: &mut TrackIngest, now: Instant) -> Vec<Frame> {
    std::iter::from_fn(|| ingest.poll_frame(now)).collect()
}

/// Where simulated time begins.
#[allow(clippy::disallowed_methods, reason = "an Instant has no other origin")]
fn start() -> Instant {
    Instant::now()
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// NAL units of a frame's payloads, joined again.
fn nals(format: NalFormat, payloads: &[Bytes]) -> Vec<Vec<u8>> {
    let mut out: Vec<Vec<u8>> = Vec::new();
    for payload in payloads {
        match format.parse(payload).expect("a canonical payload") {
            NalPayload::Single(nal) => out.push(nal.to_vec()),
            NalPayload::Aggregate(nals) => out.extend(nals.iter().map(|nal| nal.to_vec())),
            NalPayload::Fragment(part) => {
                if part.start {
                    out.push(part.header[..format.header_len()].to_vec());
                }
                out.last_mut().expect("a start came first").extend_from_slice(&part.body);
            }
        }
    }
    out
}

fn annexb(nals: &[Vec<u8>]) -> Bytes {
    nals.iter().flat_map(|nal| [&[0, 0, 0, 1], nal.as_slice()].concat()).collect()
}

fn check_canonical(frame: &Frame) {
    assert!(!frame.payloads.is_empty());
    for payload in &frame.payloads {
        assert!((1..=MAX_CANONICAL_PAYLOAD).contains(&payload.len()), "{}", payload.len());
    }
}

fn h264_sps(level: u8) -> Vec<u8> {
    vec![0x67, 0x42, 0xc0, level, 0x95, 0xa0, 0x50]
}

fn h264_pps() -> Vec<u8> {
    vec![0x68, 0xce, 0x3c, 0x80]
}

/// A slice whose first bit says that it is the first of its picture.
fn slice(header: &[u8], len: usize, seed: u64) -> Vec<u8> {
    let mut nal = header.to_vec();
    nal.push(0x88);
    nal.extend(Random(seed).filler(len.saturating_sub(nal.len())));
    nal
}

fn h264_idr(len: usize) -> Vec<u8> {
    slice(&[0x65], len, 1)
}

fn h264_p(len: usize) -> Vec<u8> {
    slice(&[0x41], len, 2)
}
