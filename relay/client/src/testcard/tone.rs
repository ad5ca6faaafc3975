//! A 500 Hz tone in packets of 20 ms. The period divides the packet, so that any loop is seamless.

use bytes::Bytes;

/// Pitch, hertz.
pub const TONE_HZ: u32 = 500;
/// Length of a packet, milliseconds.
pub const PACKET_MS: u64 = 20;
/// Samples of a G.711 packet, at 8 kHz.
const G711_SAMPLES: usize = 160;
/// Peak of the G.711 tone in 16-bit linear samples.
const PEAK: f64 = 8_000.0;

/// Pre-encoded Opus packets of equal size; `tone.md` says how they were made.
static OPUS_LOOP: &[u8] = include_bytes!("tone.opusloop");
/// Bytes of each packet in the loop.
const OPUS_PACKET: usize = 80;

/// Codec of the tone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ToneCodec {
    /// Opus, mono, 48 kHz clock.
    #[default]
    Opus,
    /// G.711 A-law, 8 kHz.
    Pcma,
    /// G.711 mu-law, 8 kHz.
    Pcmu,
}

impl ToneCodec {
    /// RTP clock, hertz.
    pub fn clock_rate(self) -> u32 {
        match self {
            Self::Opus => 48_000,
            Self::Pcma | Self::Pcmu => 8_000,
        }
    }
}

/// An endless tone.
#[derive(Debug)]
pub struct Tone {
    codec: ToneCodec,
    /// G.711: the one packet. Opus: unused.
    g711: Bytes,
    next: usize,
}

impl Tone {
    /// Starts a tone.
    pub fn new(codec: ToneCodec) -> Self {
        let encode: fn(i16) -> u8 = match codec {
            ToneCodec::Pcmu => mu_law,
            ToneCodec::Opus | ToneCodec::Pcma => a_law,
        };
        let g711 = (0..G711_SAMPLES).map(sample).map(encode).collect();
        Self { codec, g711, next: 0 }
    }

    /// The next packet of [`PACKET_MS`].
    pub fn next_packet(&mut self) -> Bytes {
        if self.codec != ToneCodec::Opus {
            return self.g711.clone();
        }
        let at = self.next * OPUS_PACKET;
        self.next = (self.next + 1) % (OPUS_LOOP.len() / OPUS_PACKET);
        Bytes::from_static(&OPUS_LOOP[at..at + OPUS_PACKET])
    }
}

fn sample(at: usize) -> i16 {
    let turns = at as f64 * f64::from(TONE_HZ) / 8_000.0;
    ((turns * std::f64::consts::TAU).sin() * PEAK) as i16
}

/// ITU-T G.711 A-law of a 16-bit sample.
fn a_law(sample: i16) -> u8 {
    let negative = sample < 0;
    let magnitude = (if negative { !sample } else { sample } >> 3) as u16;
    let segment = (u16::BITS - (magnitude >> 5).leading_zeros()) as u8;
    let mantissa = (magnitude >> segment.max(1)) as u8 & 0x0F;
    let code = (segment << 4) | mantissa;
    // Even bits are inverted; the sign bit is 1 for positive samples.
    (code | if negative { 0 } else { 0x80 }) ^ 0x55
}

/// ITU-T G.711 mu-law of a 16-bit sample.
fn mu_law(sample: i16) -> u8 {
    const BIAS: u16 = 33;
    const CLIP: u16 = 8_158;
    let negative = sample < 0;
    let magnitude = (sample.unsigned_abs() >> 2).min(CLIP) + BIAS;
    let segment = (u16::BITS - (magnitude >> 6).leading_zeros()) as u8;
    let mantissa = (magnitude >> (segment + 1)) as u8 & 0x0F;
    !((segment << 4) | mantissa | if negative { 0x80 } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g711_matches_known_codes() {
        assert_eq!(
            [a_law(0), a_law(-1), a_law(i16::MAX), a_law(i16::MIN)],
            [0xD5, 0x55, 0xAA, 0x2A]
        );
        assert_eq!([mu_law(0), mu_law(i16::MAX), mu_law(i16::MIN)], [0xFF, 0x80, 0x00]);
        assert_eq!([a_law(1000), mu_law(1000)], [0xFA, 0xCE]);
    }

    #[test]
    fn the_opus_loop_is_whole_packets_of_20_ms_mono() {
        assert_eq!(OPUS_LOOP.len() % OPUS_PACKET, 0);
        let mut tone = Tone::new(ToneCodec::Opus);
        for _ in 0..200 {
            // RFC 6716, 3.1: configuration 31 is CELT full band 20 ms; mono; one frame.
            assert_eq!(tone.next_packet()[0], 31 << 3);
        }
    }

    #[test]
    fn the_g711_tone_repeats_after_every_packet() {
        assert_eq!(sample(0), sample(G711_SAMPLES));
        let mut tone = Tone::new(ToneCodec::Pcma);
        assert_eq!(tone.next_packet(), tone.next_packet());
        assert_eq!(tone.next_packet().len(), G711_SAMPLES);
    }
}
