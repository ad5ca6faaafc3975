//! Judges what a viewer saw: whose frames, which ones, in which order, and the tone.

use serde_json::Value;
use sightline_client::testcard::strip::crc32;
use sightline_client::testcard::tone::TONE_HZ;
use sightline_client::testcard::{Strip, StripReader};

/// Share of the frames between the first and the last seen that must have been seen.
pub const MIN_SHARE: f64 = 0.98;
/// How far the measured pitch may lie from the tone's, hertz.
const PITCH_TOLERANCE: f64 = 25.0;
/// Weakest level that counts as the tone, of full scale.
const MIN_RMS: f64 = 0.02;

/// What one viewer saw and heard.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Strips in the order of display.
    pub frames: Vec<Strip>,
    /// Pictures without a readable strip.
    pub unreadable: usize,
    /// Unix milliseconds when the viewer had each of `frames`; empty if it does not say.
    pub at_ms: Vec<u64>,
    /// Pitch in hertz and level of full scale, if there was sound.
    pub tone: Option<(f64, f64)>,
    /// Tracks that the server left out for this viewer, with the reasons.
    pub left_out: Option<String>,
    /// What it wrote to standard error.
    pub said: String,
    /// An error that the viewer reported.
    pub error: Option<String>,
}

/// Figures of a good view.
#[derive(Clone, Copy, Debug)]
pub struct Good {
    /// Distinct frames.
    pub frames: usize,
    /// Share of those from the first to the last.
    pub share: f64,
}

impl Seen {
    /// From the JSON lines of a client.
    pub fn from_json_lines(text: &str) -> Self {
        let mut seen = Self::default();
        for line in text.lines() {
            let Ok(value) = serde_json::from_str::<Value>(line) else { continue };
            if let Some(reason) = value["left_out"].as_str() {
                seen.left_out = Some(reason.to_owned());
            }
            let number = |name: &str| value[name].as_u64();
            if let (Some(n), Some(clock), Some(crc)) =
                (number("n"), number("clock"), number("serial_crc"))
            {
                seen.frames.push(Strip { serial_crc: crc as u32, frame_number: n as u32, clock });
                seen.at_ms.extend(number("t"));
            } else if value["bad"].is_u64() {
                seen.unreadable += 1;
            } else if let (Some(hertz), Some(rms)) =
                (value["hertz"].as_f64(), value["rms"].as_f64())
            {
                seen.tone = (number("audio_samples") > Some(0)).then_some((hertz, rms));
            } else if let Some(error) = value["error"].as_str() {
                seen.error = Some(error.to_owned());
            }
        }
        seen
    }

    /// Adds a decoded picture.
    pub fn picture(&mut self, luma: &[u8], width: usize, height: usize) {
        match StripReader::read(luma, width, height, width) {
            Some(strip) => self.frames.push(strip),
            None => self.unreadable += 1,
        }
    }

    /// Takes signed 16-bit little-endian mono samples.
    pub fn sound(&mut self, bytes: &[u8], rate: u32) {
        let samples: Vec<f64> = bytes
            .chunks_exact(2)
            .map(|pair| f64::from(i16::from_le_bytes([pair[0], pair[1]])) / 32_768.0)
            .collect();
        if samples.is_empty() {
            return;
        }
        let rising = samples.windows(2).filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0).count();
        let energy: f64 = samples.iter().map(|sample| sample * sample).sum();
        let hertz = rising as f64 * f64::from(rate) / samples.len() as f64;
        self.tone = Some((hertz, (energy / samples.len() as f64).sqrt()));
    }

    /// Frames of any other device than `serial`: the watermark oracle.
    pub fn foreign(&self, serial: &str) -> usize {
        let own = crc32(serial.as_bytes());
        self.frames.iter().filter(|strip| strip.serial_crc != own).count()
    }

    /// Whether this is a good view of `serial` with at least `min_frames` frames.
    pub fn judge(&self, serial: &str, min_frames: usize) -> Result<Good, String> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        if self.foreign(serial) > 0 {
            return Err(format!("{} frames of another camera", self.foreign(serial)));
        }
        let numbers: Vec<u32> = self.frames.iter().map(|strip| strip.frame_number).collect();
        let (Some(&first), Some(&last)) = (numbers.first(), numbers.last()) else {
            return Err(format!("no frame ({} unreadable)", self.unreadable));
        };
        if let Some(pair) = numbers.windows(2).find(|pair| pair[1] < pair[0]) {
            return Err(format!("frame {} after frame {}", pair[1], pair[0]));
        }
        let mut distinct = numbers;
        distinct.dedup();
        let share = distinct.len() as f64 / f64::from(last - first + 1);
        let good = Good { frames: distinct.len(), share };
        if good.frames < min_frames {
            return Err(format!("only {} frames, want {min_frames}", good.frames));
        }
        if share < MIN_SHARE {
            return Err(format!("only {:.1} % of the frames", share * 100.0));
        }
        if self.unreadable > 0 {
            return Err(format!("{} unreadable pictures", self.unreadable));
        }
        Ok(good)
    }

    /// Whether the tone was heard.
    pub fn judge_tone(&self) -> Result<(), String> {
        match self.tone {
            None => Err("no sound".to_owned()),
            Some((hertz, rms)) => {
                let right = (hertz - f64::from(TONE_HZ)).abs() <= PITCH_TOLERANCE;
                let loud = rms >= MIN_RMS;
                let heard = format!("heard {hertz:.0} Hz at level {rms:.3}");
                if right && loud { Ok(()) } else { Err(heard) }
            }
        }
    }
}
