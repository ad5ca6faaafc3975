//! Audio: a packet is a frame, but for long ones and AAC fragments.

use bytes::Bytes;

use super::Broken;
use crate::codec::Codec;
use crate::limits::MAX_CANONICAL_PAYLOAD;
use crate::wire::aac::{self, AacPayload};
use crate::wire::packetize::push_samples;

/// Longest G.711 packet taken, bytes: 8 s at 8 kHz.
pub(in crate::ingest) const MAX_G711: usize = 64_000;
/// Most access units taken from one AAC packet.
pub(in crate::ingest) const MAX_AAC_UNITS: usize = 64;

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
    pub(in crate::ingest) fn cut(
        &mut self,
        timestamp: u32,
        payload: &Bytes,
    ) -> Result<Vec<AudioFrame>, Broken> {
        match self.codec {
            Codec::Aac => self.cut_aac(timestamp, payload),
            Codec::Pcmu | Codec::Pcma if payload.len() > MAX_G711 => Err(Broken),
            Codec::Pcmu | Codec::Pcma => Ok(self.cut_samples(payload)),
            // An Opus packet cannot be parted, and no video comes here.
            _ if payload.len() > MAX_CANONICAL_PAYLOAD => Err(Broken),
            _ => Ok(vec![AudioFrame { offset: 0, payloads: vec![payload.clone()] }]),
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

    fn cut_aac(&mut self, timestamp: u32, payload: &Bytes) -> Result<Vec<AudioFrame>, Broken> {
        let parsed = aac::parse(payload).ok_or(Broken)?;
        let units = match parsed {
            AacPayload::Fragment { size, body } => {
                return self.join(timestamp, size, payload, body);
            }
            AacPayload::Units(units) => units,
        };
        if self.reset() || units.len() > MAX_AAC_UNITS {
            return Err(Broken);
        }
        let carried: usize = units.iter().map(|unit| unit.len() + 2).sum();
        if payload.len() <= MAX_CANONICAL_PAYLOAD && payload.len() == carried + 2 {
            return Ok(vec![AudioFrame { offset: 0, payloads: vec![payload.clone()] }]);
        }
        let place = |(index, unit): (usize, Bytes)| {
            let mut payloads = Vec::new();
            aac::push_unit(&unit, &mut payloads);
            AudioFrame { offset: index as u32 * aac::SAMPLES_PER_UNIT, payloads }
        };
        Ok(units.into_iter().enumerate().map(place).collect())
    }

    fn join(
        &mut self,
        timestamp: u32,
        size: usize,
        payload: &Bytes,
        body: Bytes,
    ) -> Result<Vec<AudioFrame>, Broken> {
        let fresh = Partial { timestamp, size, got: 0, packets: Vec::new(), bodies: Vec::new() };
        let mut partial = match self.partial.take() {
            Some(partial) if (partial.timestamp, partial.size) != (timestamp, size) => {
                // The unit before never became whole; this one may.
                self.partial = Some(fresh.with(payload, body));
                return Err(Broken);
            }
            Some(partial) => partial,
            None => fresh,
        };
        partial = partial.with(payload, body);
        if partial.got < partial.size {
            self.partial = Some(partial);
            return Ok(Vec::new());
        }
        if partial.got > partial.size {
            return Err(Broken);
        }
        let fits = partial.packets.iter().all(|packet| packet.len() <= MAX_CANONICAL_PAYLOAD);
        let payloads = if fits {
            partial.packets
        } else {
            let mut out = Vec::new();
            aac::push_pieces(&partial.bodies, &mut out);
            out
        };
        Ok(vec![AudioFrame { offset: 0, payloads }])
    }
}

impl Partial {
    fn with(mut self, packet: &Bytes, body: Bytes) -> Self {
        self.got += body.len();
        self.packets.push(packet.clone());
        self.bodies.push(body);
        self
    }
}
