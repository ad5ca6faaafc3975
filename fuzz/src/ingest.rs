//! Sequences of operations on one ingest.

use std::time::{Duration, Instant};

use bytes::Bytes;
use sightline_relay_proto::codec::{Codec, TrackInfo};
use sightline_relay_proto::frame::Protection;
use sightline_relay_proto::hub::SenderInfo;
use sightline_relay_proto::ids::TrackIndex;
use sightline_relay_proto::ingest::TrackIngest;
use sightline_relay_proto::limits::MAX_CANONICAL_PAYLOAD;
use sightline_relay_proto::wire::rtp;

const CODECS: [Codec; 7] =
    [Codec::H264, Codec::H265, Codec::Av1, Codec::Opus, Codec::Pcmu, Codec::Pcma, Codec::Aac];

/// Drives one ingest: the first byte picks codec and transport, then each operation is a kind, a
/// length and so many bytes. After every one the frames keep their bounds and follow each other.
pub fn ingest_ops(data: &[u8]) {
    let Some((&setup, mut rest)) = data.split_first() else { return };
    let codec = CODECS[usize::from(setup & 0x7f) % CODECS.len()];
    let unordered = setup & 0x80 != 0;
    let mut run = Run {
        ingest: TrackIngest::new(
            TrackIndex(0),
            TrackInfo::video(codec),
            Protection::Open,
            unordered,
            65_000,
            u32::MAX - 5,
        ),
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
        }
        assert!(self.ingest.poll_timeout().is_none_or(|deadline| deadline > self.now));
        assert!(self.ingest.frames_lost() >= self.lost);
        self.lost = self.ingest.frames_lost();
        let _ = self.ingest.sender_info();
    }
}
