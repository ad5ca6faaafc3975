//! MP4 files with a movie box (not fragmented).

use std::time::Duration;

use bytes::{Buf, Bytes};
use mp4_atom::{Codec as Entry, DecodeAtom, DecodeMaybe, Header, Moov, Stbl, StszSamples, Trak};
use sightline_relay_proto::codec::{Codec, TrackInfo};
use sightline_relay_proto::ids::TrackIndex;
use sightline_relay_proto::limits::{MAX_FRAME, MAX_TRACKS};

use super::{Clip, ClipError, MAX_SAMPLES, Sample, duration_of};
use crate::annexb::push_unit;

/// Reads a file.
pub(super) fn read(file: &Bytes) -> Result<Clip, ClipError> {
    let moov = movie(file)?;
    let mut tracks = Vec::new();
    let mut samples = Vec::new();
    let mut duration = Duration::ZERO;
    for trak in &moov.trak {
        let Some((info, form)) = describe(trak) else { continue };
        if tracks.len() == MAX_TRACKS {
            break;
        }
        let track = TrackIndex(tracks.len() as u8);
        let length = read_track(file, trak, track, &info, &form, &mut samples)?;
        duration = duration.max(length);
        tracks.push(info);
    }
    Clip::new(tracks, samples, duration)
}

/// How samples of a track become access units.
enum Form {
    /// NAL units behind lengths of so many bytes; parameter sets go before keyframes.
    Nals { length_size: usize, sets: Vec<Vec<u8>> },
    /// As they are; these bytes go before keyframes.
    Plain { before: Vec<u8> },
}

fn malformed(text: &str) -> ClipError {
    ClipError::Mp4(text.to_owned())
}

/// The movie box; media data is passed over.
fn movie(file: &Bytes) -> Result<Moov, ClipError> {
    let mut rest = file.clone();
    let failed = |error: mp4_atom::Error| ClipError::Mp4(error.to_string());
    let mut fragmented = false;
    while rest.has_remaining() {
        let Some(header) = Header::decode_maybe(&mut rest).map_err(failed)? else { break };
        let size = header.size.unwrap_or(rest.remaining());
        if size > rest.remaining() {
            return Err(malformed("a box is longer than the file"));
        }
        let mut body = rest.split_to(size);
        if header.kind == mp4_atom::FourCC::new(b"moov") {
            let moov = Moov::decode_atom(&header, &mut body).map_err(failed)?;
            fragmented = moov.mvex.is_some();
            if !fragmented {
                return Ok(moov);
            }
        }
    }
    Err(malformed(if fragmented { "it is fragmented" } else { "it has no movie box" }))
}

fn describe(trak: &Trak) -> Option<(TrackInfo, Form)> {
    let entry = trak.mdia.minf.stbl.stsd.codecs.first()?;
    let nals = |length_size: u8, sets: Vec<Vec<u8>>| Form::Nals {
        length_size: usize::from(length_size.clamp(1, 4)),
        sets,
    };
    let avc = |avcc: &mp4_atom::Avcc| {
        let sets = [&avcc.sequence_parameter_sets[..], &avcc.picture_parameter_sets[..]].concat();
        (TrackInfo::video(Codec::H264), nals(avcc.length_size, sets))
    };
    let hevc = |hvcc: &mp4_atom::Hvcc| {
        let sets = hvcc.arrays.iter().filter(|array| (32..=34).contains(&array.nal_unit_type));
        let sets = sets.flat_map(|array| array.nalus.clone()).collect();
        (TrackInfo::video(Codec::H265), nals(hvcc.length_size_minus_one + 1, sets))
    };
    Some(match entry {
        Entry::Avc1(entry) => avc(&entry.avcc),
        Entry::Avc3(entry) => avc(&entry.avcc),
        Entry::Hev1(entry) => hevc(&entry.hvcc),
        Entry::Hvc1(entry) => hevc(&entry.hvcc),
        Entry::Av01(entry) => {
            let before = entry.av1c.config_obus.clone();
            (TrackInfo::video(Codec::Av1), Form::Plain { before })
        }
        Entry::Opus(_) => {
            let info = TrackInfo::audio(Codec::Opus, 48_000, 2);
            (info, Form::Plain { before: Vec::new() })
        }
        Entry::Mp4a(entry) => {
            let specific = entry.esds.es_desc.dec_config.dec_specific.as_ref()?;
            let scale = trak.mdia.mdhd.timescale;
            let channels = specific.chan_conf.clamp(1, 8);
            let mut info = TrackInfo::audio(Codec::Aac, scale, channels);
            // AudioSpecificConfig (ISO 14496-3, 1.6.2.1): type, frequency, channels, no extension.
            let config = u16::from(specific.profile) << 11
                | u16::from(specific.freq_index) << 7
                | u16::from(specific.chan_conf) << 3;
            info.fmtp = format!(
                "streamtype=5;profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;\
                 indexdeltalength=3;config={config:04x}"
            );
            (info, Form::Plain { before: Vec::new() })
        }
        _ => return None,
    })
}

/// Appends a track's samples; its length.
fn read_track(
    file: &Bytes,
    trak: &Trak,
    track: TrackIndex,
    info: &TrackInfo,
    form: &Form,
    samples: &mut Vec<Sample>,
) -> Result<Duration, ClipError> {
    let stbl = &trak.mdia.minf.stbl;
    let scale = trak.mdia.mdhd.timescale.max(1);
    let places = places(stbl, file.len())?;
    let keys = stbl.stss.as_ref();
    let mut deltas = Runs::new(stbl.stts.entries.iter().map(|e| (e.sample_count, e.sample_delta)));
    let no_shifts = Vec::new();
    let shifts = stbl.ctts.as_ref().map_or(&no_shifts, |ctts| &ctts.entries);
    let mut shifts = Runs::new(shifts.iter().map(|e| (e.sample_count, e.sample_offset)));
    // Shown times start at zero also where the first shift is not.
    let least = stbl.ctts.as_ref().and_then(|c| c.entries.iter().map(|e| e.sample_offset).min());
    let mut decoded = 0u64;
    for (at, (start, size)) in places.into_iter().enumerate() {
        let shown = decoded.saturating_add_signed(shifts.next().unwrap_or(0) - least.unwrap_or(0));
        let keyframe = keys.is_none_or(|keys| keys.entries.binary_search(&(at as u32 + 1)).is_ok());
        let bytes = file.slice(start..start + size);
        if let Some(unit) = access_unit(form, &bytes, keyframe) {
            samples.push(Sample {
                track,
                at: duration_of(decoded, scale),
                timestamp: (u128::from(shown) * u128::from(info.clock_rate) / u128::from(scale))
                    as u64,
                keyframe,
                unit,
            });
        }
        decoded += u64::from(deltas.next().unwrap_or(0));
    }
    Ok(duration_of(decoded, scale))
}

/// Start and size of each sample.
fn places(stbl: &Stbl, file: usize) -> Result<Vec<(usize, usize)>, ClipError> {
    let sizes: Vec<u32> = match &stbl.stsz.samples {
        StszSamples::Identical { count, .. } if *count as usize > MAX_SAMPLES => {
            return Err(ClipError::TooLong);
        }
        StszSamples::Identical { count, size } => vec![*size; *count as usize],
        StszSamples::Different { sizes } => sizes.clone(),
    };
    let chunks: Vec<u64> = match (&stbl.stco, &stbl.co64) {
        (Some(stco), _) => stco.entries.iter().map(|offset| u64::from(*offset)).collect(),
        (None, Some(co64)) => co64.entries.clone(),
        (None, None) => return Err(malformed("a track has no chunk offsets")),
    };
    let mut out = Vec::with_capacity(sizes.len());
    let mut sizes = sizes.into_iter();
    let mut runs = stbl.stsc.entries.iter().peekable();
    let mut per_chunk = 0;
    for (number, offset) in (1u32..).zip(chunks) {
        if let Some(run) = runs.next_if(|run| run.first_chunk <= number) {
            per_chunk = run.samples_per_chunk;
        }
        let mut start = usize::try_from(offset).unwrap_or(usize::MAX);
        for size in sizes.by_ref().take(per_chunk as usize) {
            let size = size as usize;
            if size > MAX_FRAME || start.checked_add(size).is_none_or(|end| end > file) {
                return Err(malformed("a sample lies outside the file"));
            }
            out.push((start, size));
            start += size;
        }
    }
    Ok(out)
}

fn access_unit(form: &Form, sample: &Bytes, keyframe: bool) -> Option<Bytes> {
    match form {
        Form::Plain { before } if keyframe && !before.is_empty() => {
            Some([&before[..], sample].concat().into())
        }
        Form::Plain { .. } => (!sample.is_empty()).then(|| sample.clone()),
        Form::Nals { length_size, sets } => {
            let mut out = Vec::with_capacity(sample.len() + 256);
            if keyframe {
                sets.iter().for_each(|set| push_unit(&mut out, set));
            }
            let mut rest = &sample[..];
            while rest.len() > *length_size {
                let (length, tail) = rest.split_at(*length_size);
                let length = length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
                let (nal, tail) = tail.split_at_checked(length)?;
                if !nal.is_empty() {
                    push_unit(&mut out, nal);
                }
                rest = tail;
            }
            (!out.is_empty()).then(|| out.into())
        }
    }
}

/// A run-length list, value by value.
struct Runs<I, T> {
    runs: I,
    left: u32,
    value: Option<T>,
}

impl<T: Copy, I: Iterator<Item = (u32, T)>> Runs<I, T> {
    fn new(runs: I) -> Self {
        Self { runs, left: 0, value: None }
    }
}

impl<T: Copy, I: Iterator<Item = (u32, T)>> Iterator for Runs<I, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        while self.left == 0 {
            let (count, value) = self.runs.next()?;
            self.left = count;
            self.value = Some(value);
        }
        self.left -= 1;
        self.value
    }
}
