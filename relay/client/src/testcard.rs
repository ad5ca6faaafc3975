//! The test card: a synthetic camera in real time without an encoder library.
//!
//! Pictures are mosaics of 16x16 blocks that our own small H.264 writer says exactly (constrained
//! baseline, one reference, no reordering), so that what a decoder shows is known to the sample.
//! Every picture carries a [`strip`] with the device, the frame number and the clock; every
//! packet of sound is a 500 Hz tone. Nothing here reads a clock: the caller says what time it is.
//!
//! ```
//! use sightline_client::testcard::{Options, TestCard};
//! let mut card = TestCard::new(Options { serial: "CAM-1".into(), ..Options::default() }).unwrap();
//! let first = card.next_video(1_700_000_000_000);
//! assert!(first.keyframe);
//! assert_eq!(&first.access_unit[..5], [0, 0, 0, 1, 0x67]);
//! ```

mod bits;
pub mod cli;
mod font;
mod h264;
mod matroska;
mod mosaic;
mod paint;
pub mod strip;
#[cfg(test)]
mod tests;
pub mod tone;

use bytes::Bytes;

pub use cli::cli_run;
pub use strip::{Strip, StripReader};
pub use tone::{PACKET_MS, Tone, ToneCodec};

use h264::{Encoder, Format};
use mosaic::{Block, Mosaic};
use paint::Layout;

/// Largest picture, pixels along one side.
pub const MAX_SIDE: u32 = 4096;
/// Most frames per second.
pub const MAX_FPS: u32 = 120;
/// Most frames from keyframe to keyframe.
pub const MAX_GOP: u32 = 10_000;
/// Longest serial, bytes.
pub const MAX_SERIAL: usize = 64;
/// Bytes of a noise block with its header.
const NOISE_BYTES: u32 = 386;
/// How much more noise a keyframe carries than another frame, as real cameras' keyframes are larger.
const KEYFRAME_WEIGHT: u32 = 4;

/// What the card shows and how fast.
#[derive(Clone, Debug)]
pub struct Options {
    /// Painted into every picture.
    pub serial: String,
    /// Pixels across, even.
    pub width: u32,
    /// Pixels down, even.
    pub height: u32,
    /// Frames per second.
    pub fps: u32,
    /// Frames from keyframe to keyframe.
    pub gop: u32,
    /// Wanted video rate in bit/s, made up with noise as far as the picture has room for it.
    pub bitrate: u32,
    /// Number of the first frame.
    pub first_frame: u32,
    /// Codec of the tone.
    pub tone: ToneCodec,
}

impl Default for Options {
    /// 720p at 30 frames/s with a keyframe every 2 s, no noise, Opus.
    fn default() -> Self {
        Self {
            serial: "TESTCARD".into(),
            width: 1280,
            height: 720,
            fps: 30,
            gop: 60,
            bitrate: 0,
            first_frame: 0,
            tone: ToneCodec::Opus,
        }
    }
}

/// Options that cannot be met.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// Odd, too large, or no room for the strip.
    #[error(
        "a picture of {0}x{1} cannot be made: even sides up to {MAX_SIDE} with room for 128 cells of 16x16"
    )]
    Size(u32, u32),
    /// Zero or too many.
    #[error("{0} frames per second cannot be made: 1 to {MAX_FPS}")]
    Rate(u32),
    /// Zero or too long.
    #[error("a keyframe every {0} frames cannot be made: 1 to {MAX_GOP}")]
    Gop(u32),
    /// Empty or too long.
    #[error("a serial of {0} bytes cannot be painted: 1 to {MAX_SERIAL}")]
    Serial(usize),
}

/// One picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoUnit {
    /// Annex-B byte stream; keyframes begin with SPS and PPS.
    pub access_unit: Bytes,
    /// Whether decoding can start here.
    pub keyframe: bool,
    /// As painted.
    pub frame_number: u32,
}

/// The camera.
pub struct TestCard {
    options: Options,
    layout: Layout,
    picture: Mosaic,
    encoder: Encoder,
    tone: Tone,
    frame_number: u32,
    /// Frames until the next regular keyframe.
    until_keyframe: u32,
    /// Next noise block to be drawn anew, an index into the noise patch.
    noise_cursor: usize,
    noise_seed: u32,
}

impl TestCard {
    /// Checks the options and starts a card.
    pub fn new(options: Options) -> Result<Self, OptionsError> {
        let Options { width, height, fps, gop, .. } = options;
        let size_error = OptionsError::Size(width, height);
        if width > MAX_SIDE || height > MAX_SIDE || width % 2 + height % 2 != 0 {
            return Err(size_error);
        }
        if !(1..=MAX_FPS).contains(&fps) {
            return Err(OptionsError::Rate(fps));
        }
        if !(1..=MAX_GOP).contains(&gop) {
            return Err(OptionsError::Gop(gop));
        }
        if options.serial.is_empty() || options.serial.len() > MAX_SERIAL {
            return Err(OptionsError::Serial(options.serial.len()));
        }
        let columns = width.div_ceil(16) as usize;
        let rows = height.div_ceil(16) as usize;
        // Only rows that are shown in full count for the strip.
        let layout = Layout::new(columns, (width / 16) as usize, (height / 16) as usize)
            .ok_or(size_error)?;
        Ok(Self {
            layout,
            picture: Mosaic::new(columns, rows),
            encoder: Encoder::new(Format { width, height, fps }),
            tone: Tone::new(options.tone),
            frame_number: options.first_frame,
            until_keyframe: 0,
            noise_cursor: 0,
            noise_seed: 1,
            options,
        })
    }

    /// The options in force.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Makes the next picture a keyframe, e.g. because a viewer asked for one.
    pub fn request_keyframe(&mut self) {
        self.until_keyframe = 0;
    }

    /// Paints and encodes the next picture. `unix_ms` is the wall clock in Unix milliseconds.
    pub fn next_video(&mut self, unix_ms: u64) -> VideoUnit {
        let frame_number = self.frame_number;
        let keyframe = self.until_keyframe == 0;
        self.paint(frame_number, unix_ms, keyframe);
        let (access_unit, keyframe) = self.encoder.encode(&self.picture, keyframe);
        self.until_keyframe = if keyframe { self.options.gop } else { self.until_keyframe } - 1;
        self.frame_number = frame_number.wrapping_add(1);
        VideoUnit { access_unit: access_unit.into(), keyframe, frame_number }
    }

    /// The next 20 ms of the tone.
    pub fn next_audio(&mut self) -> Bytes {
        self.tone.next_packet()
    }

    fn paint(&mut self, frame_number: u32, unix_ms: u64, keyframe: bool) {
        let noise = self.take_noise();
        let strip = Strip::new(&self.options.serial, frame_number, unix_ms);
        let whole_columns = (self.options.width / 16) as usize;
        paint::paint(
            &mut self.picture,
            &self.layout,
            whole_columns,
            strip,
            &self.options.serial,
            unix_ms,
        );
        self.put_noise(noise, keyframe);
    }

    /// The blocks of the noise patch as they are.
    fn take_noise(&self) -> Vec<Block> {
        let area = self.layout.noise;
        (0..area.len()).map(|at| self.picture.blocks[self.noise_index(at)]).collect()
    }

    fn noise_index(&self, at: usize) -> usize {
        let area = self.layout.noise;
        (area.top + at / area.width) * self.picture.columns + area.left + at % area.width
    }

    /// Puts the patch back with the share drawn anew that makes up the wanted rate.
    fn put_noise(&mut self, mut noise: Vec<Block>, keyframe: bool) {
        let fresh = self.noise_share(keyframe).min(noise.len());
        if fresh == 0 {
            return;
        }
        if keyframe {
            // A keyframe sends every block of the picture, so old noise would add to the fresh.
            noise.fill(Block::Flat(mosaic::Colour::MID));
        }
        for _ in 0..fresh {
            self.noise_cursor = (self.noise_cursor + 1) % noise.len();
            self.noise_seed = self.noise_seed.wrapping_add(1);
            noise[self.noise_cursor] = Block::Noise(self.noise_seed);
        }
        for (at, block) in noise.into_iter().enumerate() {
            let index = self.noise_index(at);
            self.picture.blocks[index] = block;
        }
    }

    /// Noise blocks of one frame: the mean rate, with keyframes weighing more.
    fn noise_share(&self, keyframe: bool) -> usize {
        let Options { bitrate, fps, gop, .. } = self.options;
        let per_gop = u64::from(bitrate) / 8 * u64::from(gop) / u64::from(fps);
        let weights = u64::from(gop - 1 + KEYFRAME_WEIGHT);
        let weight = if keyframe { KEYFRAME_WEIGHT } else { 1 };
        (per_gop * u64::from(weight) / weights / u64::from(NOISE_BYTES)) as usize
    }
}
