//! The test card as a command: a live stream on a pipe, paced by the wall clock.

use std::io::{self, Write};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::h264::Format;
use super::matroska::{Track, Writer, length_prefixed};
use super::{Options, OptionsError, PACKET_MS, TestCard, ToneCodec};

/// Longest nap of the pacing loop, so that a closed pipe is noticed by the next write.
const MAX_NAP: Duration = Duration::from_secs(1);

/// Form of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Container {
    /// Annex-B byte stream, picture only.
    #[default]
    H264,
    /// Live Matroska with picture and tone.
    Matroska,
}

/// What the command was asked for.
#[derive(Clone, Debug, Default)]
pub struct Arguments {
    /// The picture.
    pub options: Options,
    /// The output.
    pub container: Container,
    /// Ends after so many frames; `None` runs until the reader goes.
    pub frames: Option<u64>,
    /// Writes as fast as the reader takes it instead of in real time; for tests on files.
    pub unpaced: bool,
}

/// Why the command stopped.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// A word that the command does not know, or a value that does not fit.
    #[error(
        "{0}; usage: testcard [--serial S] [--width N] [--height N] [--fps N] [--gop SECONDS] [--bitrate BITS] [--start-frame N] [--tone opus|pcma|pcmu] [--format h264|mkv] [--frames N] [--unpaced]"
    )]
    Usage(String),
    /// A picture that cannot be made.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// The output failed other than by being closed.
    #[error("cannot write the stream: {0}")]
    Output(#[from] io::Error),
}

impl Arguments {
    /// From words such as `--serial CAM-1 --fps 25`, without the program's name.
    pub fn parse<I: IntoIterator<Item = String>>(words: I) -> Result<Self, CliError> {
        let mut parsed = Self::default();
        let mut gop_seconds = 2.0;
        let mut words = words.into_iter();
        while let Some(name) = words.next() {
            if name == "--unpaced" {
                parsed.unpaced = true;
                continue;
            }
            let value =
                words.next().ok_or_else(|| CliError::Usage(format!("{name} needs a value")))?;
            let options = &mut parsed.options;
            match name.as_str() {
                "--serial" => options.serial = value,
                "--width" => options.width = number(&name, &value)?,
                "--height" => options.height = number(&name, &value)?,
                "--fps" => options.fps = number(&name, &value)?,
                "--gop" => gop_seconds = number(&name, &value)?,
                "--bitrate" => options.bitrate = number(&name, &value)?,
                "--start-frame" => options.first_frame = number(&name, &value)?,
                "--frames" => parsed.frames = Some(number(&name, &value)?),
                "--tone" => options.tone = tone(&value)?,
                "--format" => parsed.container = container(&value)?,
                _ => return Err(CliError::Usage(format!("unknown option {name}"))),
            }
        }
        // Saturates for absurd values, which the options check then refuses.
        parsed.options.gop = (gop_seconds * f64::from(parsed.options.fps)).round() as u32;
        Ok(parsed)
    }
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, CliError> {
    value.parse().map_err(|_| CliError::Usage(format!("{name} does not take {value:?}")))
}

fn tone(value: &str) -> Result<ToneCodec, CliError> {
    match value {
        "opus" => Ok(ToneCodec::Opus),
        "pcma" => Ok(ToneCodec::Pcma),
        "pcmu" => Ok(ToneCodec::Pcmu),
        _ => Err(CliError::Usage(format!("--tone does not take {value:?}"))),
    }
}

fn container(value: &str) -> Result<Container, CliError> {
    match value {
        "h264" => Ok(Container::H264),
        "mkv" => Ok(Container::Matroska),
        _ => Err(CliError::Usage(format!("--format does not take {value:?}"))),
    }
}

/// Runs the command: writes the stream to `out` until the wanted frames are out or the reader is
/// gone, which is no error. Blocks the thread.
pub fn cli_run<I: IntoIterator<Item = String>>(words: I, out: impl Write) -> Result<(), CliError> {
    run(Arguments::parse(words)?, out)
}

/// As [`cli_run`], from arguments already taken apart.
pub fn run(arguments: Arguments, mut out: impl Write) -> Result<(), CliError> {
    match write_stream(arguments, &mut out) {
        Err(CliError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

fn write_stream(arguments: Arguments, out: &mut dyn Write) -> Result<(), CliError> {
    let fps = u64::from(arguments.options.fps);
    let mut card = TestCard::new(arguments.options)?;
    let mut muxer = (arguments.container == Container::Matroska).then(Writer::default);
    if muxer.is_some() {
        let &Options { width, height, fps, tone, .. } = card.options();
        out.write_all(&Writer::header(Format { width, height, fps }, tone))?;
    }
    let started = Instant::now();
    let mut sound_ms = 0;
    for frame in 0..arguments.frames.unwrap_or(u64::MAX) {
        let at_ms = frame * 1000 / fps;
        if !arguments.unpaced {
            sleep_until(started + Duration::from_micros(frame * 1_000_000 / fps));
        }
        if let Some(muxer) = &mut muxer {
            while sound_ms <= at_ms {
                out.write_all(&muxer.block(Track::Audio, sound_ms, true, &card.next_audio()))?;
                sound_ms += PACKET_MS;
            }
        }
        let unit = card.next_video(unix_ms());
        match &mut muxer {
            Some(muxer) => {
                let body = length_prefixed(&unit.access_unit);
                out.write_all(&muxer.block(Track::Video, at_ms, unit.keyframe, &body))?;
            }
            None => out.write_all(&unit.access_unit)?,
        }
        out.flush()?;
    }
    Ok(())
}

fn sleep_until(due: Instant) {
    while let Some(left) = due.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    {
        thread::sleep(left.min(MAX_NAP));
    }
}

fn unix_ms() -> u64 {
    // A clock before 1970 shows as zero.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn options_are_read_from_words() {
        let parsed =
            Arguments::parse(words("--gop 1.5 --serial A --fps 20 --format mkv --tone pcma"))
                .expect("good words");
        assert_eq!(parsed.options.gop, 30);
        assert_eq!(parsed.options.serial, "A");
        assert_eq!(parsed.container, Container::Matroska);
        assert_eq!(parsed.options.tone, ToneCodec::Pcma);
    }

    #[test]
    fn an_unknown_or_lonely_option_is_refused_with_the_usage() {
        for bad in ["--seral A", "--serial", "--fps x", "--tone mp3", "--format avi"] {
            let error = Arguments::parse(words(bad)).expect_err(bad).to_string();
            assert!(error.contains("usage:"), "{error}");
        }
    }

    #[test]
    fn the_stream_ends_after_the_wanted_frames() {
        let mut out = Vec::new();
        cli_run(words("--frames 3 --unpaced"), &mut out).expect("a good run");
        let units = out.windows(4).filter(|bytes| bytes == &[0, 0, 0, 1]).count();
        assert_eq!(units, 5, "SPS, PPS and three slices");
    }

    #[test]
    fn a_reader_that_leaves_is_no_error() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        cli_run(words("--unpaced"), Closed).expect("not an error");
    }
}
