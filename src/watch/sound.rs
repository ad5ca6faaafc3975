//! The watched sound as a file that players open: Opus as Ogg (RFC 7845), G.711 as WAV,
//! AAC as ADTS.

use std::io::{self, Write};

use bytes::Bytes;
use sightline_client::watch::WatchedFrame;
use sightline_relay_proto::codec::{Codec, TrackInfo};
use sightline_relay_proto::wire::aac::{self, AacPayload};

/// Sample rate that Ogg counts Opus in, hertz (RFC 7845, 4).
const OPUS_RATE: u64 = 48_000;
/// Longest packet of one page, bytes: 255 segments, the last one short.
const MAX_PAGE_PACKET: usize = 254 * 255;
/// Serial number of the only logical stream.
const STREAM: u32 = 1;
/// Polynomial of Ogg's checksum, not reflected.
const CRC_POLYNOMIAL: u32 = 0x04c1_1db7;
/// Flags of the first page of a stream.
const FIRST_PAGE: u8 = 2;

/// Writes one track.
#[derive(Debug)]
pub(super) struct Sound<W> {
    out: W,
    form: Form,
}

#[derive(Debug)]
enum Form {
    /// Nothing came yet, or no form is known for what came.
    None,
    Ogg {
        page: u32,
        first: u64,
    },
    Wav,
    Adts {
        rate: u32,
        channels: u8,
        /// A unit of which parts are still to come.
        part: Vec<u8>,
    },
}

impl<W: Write> Sound<W> {
    /// Begins the file of a track.
    pub(super) fn new(mut out: W, track: &TrackInfo) -> io::Result<Self> {
        let form = match track.codec {
            Codec::Opus => {
                let head = ogg_page(FIRST_PAGE, 0, 0, &opus_head()).unwrap_or_default();
                let tags = ogg_page(0, 0, 1, &opus_tags()).unwrap_or_default();
                out.write_all(&[head, tags].concat())?;
                Form::Ogg { page: 1, first: u64::MAX }
            }
            Codec::Pcma | Codec::Pcmu => {
                out.write_all(&wav_head(track.codec))?;
                Form::Wav
            }
            Codec::Aac => {
                Form::Adts { rate: track.clock_rate, channels: track.channels, part: Vec::new() }
            }
            _ => Form::None,
        };
        Ok(Self { out, form })
    }

    /// Writes one frame of the track.
    pub(super) fn write(&mut self, frame: &WatchedFrame) -> io::Result<()> {
        frame.payloads.iter().try_for_each(|payload| self.payload(frame.media_time, payload))
    }

    /// Flushes the file.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn payload(&mut self, media_time: u64, payload: &Bytes) -> io::Result<()> {
        match &mut self.form {
            Form::None => Ok(()),
            Form::Wav => self.out.write_all(payload),
            Form::Ogg { page, first } => {
                *first = media_time.min(*first);
                *page += 1;
                let end = media_time - *first + opus_samples(payload);
                self.out.write_all(&ogg_page(0, end, *page, payload).unwrap_or_default())
            }
            Form::Adts { rate, channels, part } => {
                let units = aac_units(payload, part);
                let frames = units.iter().filter_map(|unit| aac::to_adts(unit, *rate, *channels));
                for frame in frames {
                    self.out.write_all(&frame)?;
                }
                Ok(())
            }
        }
    }
}

/// Whole access units of a payload; `part` gathers one that comes in fragments.
fn aac_units(payload: &Bytes, part: &mut Vec<u8>) -> Vec<Bytes> {
    match aac::parse(payload) {
        Some(AacPayload::Units(units)) => {
            part.clear();
            units
        }
        Some(AacPayload::Fragment { size, body }) => {
            part.extend_from_slice(&body);
            if part.len() < size {
                return Vec::new();
            }
            let unit = std::mem::take(part);
            if unit.len() == size { vec![unit.into()] } else { Vec::new() }
        }
        None => Vec::new(),
    }
}

/// Identification header (RFC 7845, 5.1).
fn opus_head() -> Vec<u8> {
    let mut head = b"OpusHead".to_vec();
    // Version, two channels as RTP has it, no pre-skip: a live stream has no start to trim.
    head.extend([1, 2, 0, 0]);
    head.extend((OPUS_RATE as u32).to_le_bytes());
    head.extend([0, 0, 0]);
    head
}

/// Comment header (RFC 7845, 5.2), without comments.
fn opus_tags() -> Vec<u8> {
    let vendor = b"sightline";
    let mut tags = b"OpusTags".to_vec();
    tags.extend((vendor.len() as u32).to_le_bytes());
    tags.extend(vendor);
    tags.extend([0; 4]);
    tags
}

/// Samples of a packet at 48 kHz (RFC 6716, 3.1 and 3.2).
fn opus_samples(packet: &[u8]) -> u64 {
    let Some(&toc) = packet.first() else { return 0 };
    let config = toc >> 3;
    let tenths_of_ms = match config {
        0..12 => [100, 200, 400, 600][usize::from(config & 3)],
        12..16 => [100, 200][usize::from(config & 1)],
        _ => [25, 50, 100, 200][usize::from(config & 3)],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u64::from(packet.get(1).copied().unwrap_or_default() & 0x3f),
    };
    frames * tenths_of_ms * OPUS_RATE / 10_000
}

/// One page with one whole packet (RFC 3533, 6). `None` if it does not fit.
fn ogg_page(flags: u8, granule: u64, number: u32, packet: &[u8]) -> Option<Vec<u8>> {
    if packet.len() > MAX_PAGE_PACKET {
        return None;
    }
    let (full, rest) = (packet.len() / 255, (packet.len() % 255) as u8);
    let mut page = b"OggS\0".to_vec();
    page.push(flags);
    page.extend(granule.to_le_bytes());
    page.extend(STREAM.to_le_bytes());
    page.extend(number.to_le_bytes());
    let sum = page.len();
    page.extend([0; 4]);
    page.push((full + 1) as u8);
    page.extend(std::iter::repeat_n(255, full));
    page.push(rest);
    page.extend(packet);
    let crc = ogg_crc(&page);
    page[sum..sum + 4].copy_from_slice(&crc.to_le_bytes());
    Some(page)
}

fn ogg_crc(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte) << 24, |crc, _| {
            if crc >> 31 == 1 { crc << 1 ^ CRC_POLYNOMIAL } else { crc << 1 }
        })
    })
}

/// Head of a WAV file of unknown length: mono, 8 kHz, 8 bits.
fn wav_head(codec: Codec) -> Vec<u8> {
    const UNKNOWN: [u8; 4] = [0xff; 4];
    let format: u16 = if codec == Codec::Pcma { 6 } else { 7 };
    let mut head = b"RIFF".to_vec();
    head.extend(UNKNOWN);
    head.extend(b"WAVEfmt ");
    head.extend(18u32.to_le_bytes());
    head.extend([format, 1].map(u16::to_le_bytes).concat());
    head.extend([8_000u32, 8_000].map(u32::to_le_bytes).concat());
    head.extend([1u16, 8, 0].map(u16::to_le_bytes).concat());
    head.extend(b"data");
    head.extend(UNKNOWN);
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_an_opus_packet_is_in_its_first_bytes() {
        let ms = |bytes: &[u8]| opus_samples(bytes) / 48;
        assert_eq!(ms(&[0b1111_1000]), 20, "CELT, one frame of 20 ms");
        assert_eq!(ms(&[0b0001_1001]), 120, "SILK, two frames of 60 ms");
        assert_eq!(ms(&[0b0110_1011, 3]), 60, "hybrid, three frames of 20 ms");
        assert_eq!(ms(&[]), 0);
    }

    #[test]
    fn a_page_carries_its_packet_with_a_checksum_over_all_of_it() {
        // The one page of an empty packet: the checksum counts with its own field at zero.
        let page = ogg_page(FIRST_PAGE, 0, 0, &[7; 510]).expect("it fits");
        assert_eq!(page[26], 3);
        assert_eq!(page[27..30], [255, 255, 0]);
        assert_eq!(page.len(), 30 + 510);
        let mut cleared = page.clone();
        cleared[22..26].fill(0);
        assert_eq!(page[22..26], ogg_crc(&cleared).to_le_bytes());
        assert_eq!(ogg_crc(b"123456789"), 0x89a1_897f);
    }

    #[test]
    fn a_page_holds_the_longest_packet_and_not_one_byte_more() {
        assert!(ogg_page(0, 0, 0, &vec![0; MAX_PAGE_PACKET]).is_some());
        assert!(ogg_page(0, 0, 0, &vec![0; MAX_PAGE_PACKET + 1]).is_none());
    }

    fn written(codec: Codec, payloads: &[&'static [u8]]) -> Vec<u8> {
        let track = TrackInfo::audio(codec, 8_000, 1);
        let mut sound = Sound::new(Vec::new(), &track).expect("memory");
        for payload in payloads {
            sound.payload(960, &Bytes::from_static(payload)).expect("memory");
        }
        sound.out
    }

    #[test]
    fn every_codec_of_sound_has_a_form_that_players_know() {
        let wav = written(Codec::Pcma, &[&[2, 3]]);
        assert!(wav.starts_with(b"RIFF") && wav.ends_with(&[2, 3]));
        assert_eq!(wav.len(), 46 + 2);
        let ogg = written(Codec::Opus, &[&[0b1111_1000]]);
        assert_eq!(ogg.windows(4).filter(|bytes| bytes == b"OggS").count(), 3);
        let adts = written(Codec::Aac, &[&[0, 16, 0, 3 << 3, 7, 8, 9]]);
        assert!(aac::is_adts(&adts) && adts.ends_with(&[7, 8, 9]));
    }

    #[test]
    fn an_access_unit_in_fragments_is_written_whole_or_not_at_all() {
        let (first, second): (&[u8], &[u8]) =
            (&[0, 16, 0, 4 << 3, 1, 2], &[0, 16, 0, 4 << 3, 3, 4]);
        let whole = written(Codec::Aac, &[first, second]);
        assert_eq!(whole[7..], [1, 2, 3, 4]);
        assert!(written(Codec::Aac, &[first]).is_empty());
    }
}
