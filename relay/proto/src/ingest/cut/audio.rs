//! Audio: a packet is a frame, but for long ones and AAC fragments.

use bytes::Bytes;

use crate::codec::Codec;
use crate::limits::MAX_CANONICAL_PAYLOAD;
use crate::wire::aac::{self, AacPayload};
use crate::wire::packetize::push_samples;

/// Longest G.711 packet taken, bytes: 8 s at 8 kHz.
pub(in crate::ingest) const MAX_G711: usize = 64_000;
/// Most access units taken from one AAC packet.
pub(in crate::ingest) const MAX_AAC_UNITS: usize = 64;

/// What comes out with one packet.
#[derive(Debug, Default)]
pub(in crate::ingest) struct AudioCut {
    /// Frames found to be lost.
    pub(in crate::ingest) lost: u64,
    pub(in crate::ingest) frames: Vec<AudioFrame>,
}

/// One audio frame.
#[derive(Debug)]
pub(in crate::ingest) struct AudioFrame {
    /// RTP ticks after the timestamp of the packet.
    pub(in crate::ingest) offset: u32,
    pub(in crate::ingest) payloads: Vec<Bytes>,
}

/// Cuts the packets of one audio track.
#[derive(Debug)]
pub(in crate::ingest) struct AudioCutter {
    codec: Codec,
    channels: u8,
    partial: Option<Partial>,
}

/// Fragments of an AAC access unit that is not complete yet.
#[derive(Debug)]
struct Partial {
    timestamp: u32,
    size: usize,
    got: usize,
    packets: Vec<Bytes>,
    bodies: Vec<Bytes>,
}

impl AudioCutter {
    pub(in crate::ingest) fn new(codec: Codec, channels: u8) -> Self {
        Self { codec, channels, partial: None }
    }

    /// Forgets an access unit that can no longer be completed; `true` if there was one.
    pub(in crate::ingest) fn reset(&mut self) -> bool {
        self.partial.take().is_some()
    }

    /// The frames that are complete with this payload.
    pub(in crate::ingest) fn cut(&mut self, timestamp: u32, payload: &Bytes) -> AudioCut {
        match self.codec {
            Codec::Aac => self.cut_aac(timestamp, payload),
            Codec::Pcmu | Codec::Pcma if payload.len() > MAX_G711 => AudioCut::lost(1),
            Codec::Pcmu | Codec::Pcma => self.cut_samples(payload).into(),
            // An Opus packet cannot be parted, and no video comes here.
            _ if payload.len() > MAX_CANONICAL_PAYLOAD => AudioCut::lost(1),
            _ => vec![AudioFrame { offset: 0, payloads: vec![payload.clone()] }].into(),
        }
    }

    fn cut_samples(&self, payload: &Bytes) -> Vec<AudioFrame> {
        let mut parts = Vec::new();
        push_samples(payload, self.channels, &mut parts);
        let step = usize::from(self.channels.max(1));
        let mut samples = 0;
        let place = |part: Bytes| {
            let offset = samples;
            samples += (part.len() / step) as u32;
            AudioFrame { offset, payloads: vec![part] }
        };
        parts.into_iter().map(place).collect()
    }

    fn cut_aac(&mut self, timestamp: u32, payload: &Bytes) -> AudioCut {
        let units = match aac::parse(payload) {
            Some(AacPayload::Fragment { size, body }) => {
                return self.join(timestamp, size, payload, body);
            }
            Some(AacPayload::Units(units)) if units.len() <= MAX_AAC_UNITS => units,
            Some(AacPayload::Units(_)) | None => return AudioCut::lost(1),
        };
        // A unit that was not complete when the next one came never will be.
        let lost = u64::from(self.reset());
        let carried: usize = units.iter().map(|unit| unit.len() + 2).sum();
        if payload.len() <= MAX_CANONICAL_PAYLOAD && payload.len() == carried + 2 {
            let frames = vec![AudioFrame { offset: 0, payloads: vec![payload.clone()] }];
            return AudioCut { lost, frames };
        }
        let place = |(index, unit): (usize, Bytes)| {
            let mut payloads = Vec::new();
            aac::push_unit(&unit, &mut payloads);
            AudioFrame { offset: index as u32 * aac::SAMPLES_PER_UNIT, payloads }
        };
        AudioCut { lost, frames: units.into_iter().enumerate().map(place).collect() }
    }

    fn join(&mut self, timestamp: u32, size: usize, payload: &Bytes, body: Bytes) -> AudioCut {
        let (mut partial, lost) = match self.partial.take() {
            Some(partial) if (partial.timestamp, partial.size) == (timestamp, size) => (partial, 0),
            other => {
                let fresh =
                    Partial { timestamp, size, got: 0, packets: Vec::new(), bodies: Vec::new() };
                (fresh, u64::from(other.is_some()))
            }
        };
        partial.got += body.len();
        partial.packets.push(payload.clone());
        partial.bodies.push(body);
        if partial.got < size {
            self.partial = Some(partial);
            return AudioCut::lost(lost);
        }
        if partial.got > size {
            return AudioCut::lost(lost + 1);
        }
        let fits = partial.packets.iter().all(|packet| packet.len() <= MAX_CANONICAL_PAYLOAD);
        let payloads = if fits {
            partial.packets
        } else {
            let mut out = Vec::new();
            aac::push_pieces(&partial.bodies, &mut out);
            out
        };
        AudioCut { lost, frames: vec![AudioFrame { offset: 0, payloads }] }
    }
}

impl AudioCut {
    fn lost(lost: u64) -> Self {
        Self { lost, frames: Vec::new() }
    }
}

impl From<Vec<AudioFrame>> for AudioCut {
    fn from(frames: Vec<AudioFrame>) -> Self {
        Self { lost: 0, frames }
    }
}
