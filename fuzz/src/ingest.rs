//! Sequences of operations on one ingest.

use std::time::{Duration, Instant};

use bytes::Bytes;
use sightline_relay_proto::codec::{Codec, TrackInfo};
use sightline_relay_proto::frame::Protection;
use sightline_relay_proto::hub::SenderInfo;
use sightline_relay_proto::ids::{Channel, DeviceId, StreamKey, TrackIndex};
use sightline_relay_proto::ingest::{SealedBy, TrackIngest};
use sightline_relay_proto::limits::MAX_CANONICAL_PAYLOAD;
use sightline_relay_proto::wire::{rtp, sealed};

const CODECS: [Codec; 7] =
    [Codec::H264, Codec::H265, Codec::Av1, Codec::Opus, Codec::Pcmu, Codec::Pcma, Codec::Aac];

/// Setup bit: the transport may reorder.
const UNORDERED: u8 = 0x80;
/// Setup bit: the track is sealed, by channel 0 of `CAM-1`.
const SEALED: u8 = 0x40;

/// Drives one ingest: the first byte picks codec, transport and mode, then each operation is a
/// kind, a length and so many bytes. After every one the frames keep their bounds and follow each
/// other, and sealed ones can be joined and never fall back to an older key.
pub fn ingest_ops(data: &[u8]) {
    let Some((&setup, mut rest)) = data.split_first() else { return };
    let codec = CODECS[usize::from(setup & !(UNORDERED | SEALED)) % CODECS.len()];
    let unordered = setup & UNORDERED != 0;
    let sealed = setup & SEALED != 0;
    let (track, info) = (TrackIndex(0), TrackInfo::video(codec));
    let start = (65_000, u32::MAX - 5);
    let mut run = Run {
        ingest: if sealed {
            let device = DeviceId::new("CAM-1").expect("a legal serial");
            let by = SealedBy::of(&StreamKey::up(device, Channel(0)));
            TrackIngest::sealed(track, info, Some(by), unordered, start)
        } else {
            TrackIngest::new(track, info, unordered, start.0, start.1)
        },
        sealed,
        generation: 0,
        codec,
        now: Instant::now(),
        seq: 0,
        timestamp: 0,
        ssrc: 1,
        next_seq: 65_000,
        lost: 0,
    };
    while let [kind, len, tail @ ..] = rest {
        let (body, later) = tail.split_at(usize::from(*len).min(tail.len()));
        run.operation(*kind, body);
        rest = later;
    }
}

struct Run {
    ingest: TrackIngest,
    sealed: bool,
    /// Of the newest sealed frame.
    generation: u64,
    codec: Codec,
    now: Instant,
    seq: u16,
    timestamp: u32,
    ssrc: u32,
    next_seq: u64,
    lost: u64,
}

impl Run {
    fn operation(&mut self, kind: u8, body: &[u8]) {
        let number = body.iter().take(8).fold(0, |value, byte| value << 8 | u64::from(*byte));
        match kind >> 4 {
            0 => self.seq = number as u16,
            1 => self.timestamp = number as u32,
            2 => self.ssrc = number as u32,
            3 => self.now += Duration::from_millis(number & 0xffff),
            4 => {
                let info = SenderInfo { ntp: number, rtp: self.timestamp };
                self.ingest.handle_sender_report(self.now, info);
            }
            5 => {
                let info = TrackInfo {
                    parameter_sets: vec![Bytes::copy_from_slice(body)],
                    ..TrackInfo::video(self.codec)
                };
                self.ingest.resume(self.now, info, kind & 1 == 1);
            }
            6 => {
                self.ingest.handle_rtp(self.now, Bytes::copy_from_slice(body));
            }
            7 => self.packet(&body.repeat(40), kind),
            _ => self.packet(body, kind),
        }
        self.check();
    }

    fn packet(&mut self, body: &[u8], kind: u8) {
        if kind & 8 != 0 {
            self.timestamp = self.timestamp.wrapping_add(3000);
        }
        let header = rtp::header(96, kind & 1 != 0, self.seq, self.timestamp, self.ssrc);
        self.seq = self.seq.wrapping_add(u16::from(kind & 6 != 6));
        self.ingest.handle_rtp(self.now, [&header, body].concat().into());
    }

    fn check(&mut self) {
        while let Some(frame) = self.ingest.poll_frame(self.now) {
            assert_eq!(frame.first_seq, self.next_seq);
            assert!(!frame.payloads.is_empty());
            for payload in &frame.payloads {
                assert!((1..=MAX_CANONICAL_PAYLOAD).contains(&payload.len()));
            }
            self.next_seq += frame.payloads.len() as u64;
            match frame.descriptor.protection {
                Protection::Open => assert!(!self.sealed),
                Protection::Sealed { generation } => {
                    assert!(self.sealed && generation >= self.generation);
                    self.generation = generation;
                    assert!(sealed::join(&frame.payloads).is_ok());
                }
            }
        }
        assert!(self.ingest.poll_timeout().is_none_or(|deadline| deadline > self.now));
        assert!(self.ingest.frames_lost() >= self.lost);
        self.lost = self.ingest.frames_lost();
        let _ = (self.ingest.sender_info(), self.ingest.take_keyframe_wish());
    }
}
