//! Figures of a join: the painted clock of what came against that of a viewer who was there.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sightline_client::testcard::{Strip, StripReader};
use sightline_relay_proto::hub::SenderInfo;

use crate::browser::Show;
use crate::capture::{AUDIO_RATE, Seen, VIDEO_RATE};

/// The painted clock counts modulo this.
const CLOCK_MODULUS: i64 = 1 << 40;
/// Seconds from the NTP era to the Unix epoch.
const NTP_UNIX: i64 = 2_208_988_800;

/// Pictures with what is painted on them.
pub(crate) struct Painted {
    pub(crate) seen: Seen,
    strips: Vec<Strip>,
}

/// Figures of one join, in milliseconds.
#[derive(Debug)]
pub(crate) struct Figures {
    /// From the answer to the first whole picture.
    pub(crate) first: f64,
    /// How far the first picture's clock is behind.
    pub(crate) backlog: f64,
    /// From the answer until the viewer is within 100 ms for good.
    pub(crate) caught_up: f64,
    /// Farthest behind from three seconds on.
    pub(crate) behind: f64,
    /// Longest time that a picture stood, by arrival.
    pub(crate) stood: f64,
    /// The same by RTP time, which players follow.
    pub(crate) stood_on_timeline: f64,
    /// Pictures whose clock or number ran backward.
    pub(crate) backward: usize,
    /// From the answer to the first sound.
    pub(crate) first_sound: f64,
    /// Sound against picture from three seconds on, the worse of: by arrival, by sender reports.
    pub(crate) sound_off: f64,
}

impl Painted {
    /// Decodes everything with FFmpeg.
    pub(crate) fn new(seen: Seen, width: usize, height: usize) -> Self {
        assert!(seen.pictures.first().is_some_and(|first| first.keyframe), "it starts decodable");
        let units: Vec<_> = seen.pictures.iter().map(|picture| picture.unit.clone()).collect();
        let mut decoder = Command::new("ffmpeg")
            .args(["-hide_banner", "-nostdin", "-v", "error", "-f", "h264", "-i", "pipe:0"])
            .args(["-vf", "extractplanes=y", "-pix_fmt", "gray", "-fps_mode", "passthrough"])
            .args(["-f", "rawvideo", "pipe:1"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("ffmpeg runs");
        let mut input = decoder.stdin.take().expect("piped");
        let feeder = thread::spawn(move || {
            for unit in units {
                input.write_all(&unit).expect("ffmpeg reads");
            }
        });
        let mut output = decoder.stdout.take().expect("piped");
        let mut strips = Vec::new();
        let mut luma = vec![0; width * height];
        while output.read_exact(&mut luma).is_ok() {
            strips.push(StripReader::read(&luma, width, height, width).expect("a readable strip"));
        }
        feeder.join().expect("all is fed");
        assert!(decoder.wait().expect("our own child").success());
        assert_eq!(strips.len(), seen.pictures.len(), "every access unit is one picture");
        Self { seen, strips }
    }

    /// Clock of the newest picture that was there at a moment.
    fn clock_at(&self, at: Instant) -> Option<i64> {
        let count = self.seen.pictures.partition_point(|picture| picture.at <= at);
        Some(self.strips[count.checked_sub(1)?].clock as i64)
    }

    /// Figures of this join, up to the last picture, against a viewer present from the start.
    pub(crate) fn figures(&self, present: &Self, settled: Duration) -> Figures {
        let Seen { answered, pictures, sounds, .. } = &self.seen;
        let since = |at: Instant| millis(at, *answered);
        let end = pictures.last().expect("pictures").at;
        assert!(end > *answered + settled, "the stream goes on after {settled:?}");
        let behind: Vec<(f64, f64)> = present
            .seen
            .pictures
            .iter()
            .filter(|picture| picture.at >= pictures[0].at && picture.at <= end)
            .filter_map(|picture| {
                let behind = present.clock_at(picture.at)? - self.clock_at(picture.at)?;
                Some((since(picture.at), behind as f64))
            })
            .collect();
        let late = behind.iter().rfind(|(_, behind)| *behind > 100.0).map_or(0.0, |(at, _)| *at);
        let settled_ms = settled.as_secs_f64() * 1e3;
        let later = behind.iter().filter(|(at, _)| *at >= settled_ms).map(|(_, behind)| *behind);
        let steps = || pictures.windows(2);
        let arrival =
            steps().map(|two| millis(two[1].at, two[0].at)).chain([since(pictures[0].at)]);
        let ticks = |two: f64| two * 1e3 / f64::from(VIDEO_RATE);
        let timeline = steps().map(|two| ticks(two[1].media as f64 - two[0].media as f64));
        let backward = self.strips.windows(2).filter(|two| {
            two[1].frame_number <= two[0].frame_number || two[1].clock < two[0].clock
        });
        let back_in_time = timeline.clone().filter(|step| *step <= 0.0).count();
        Figures {
            first: since(pictures[0].at),
            backlog: behind.first().map_or(0.0, |(_, behind)| *behind),
            caught_up: late,
            behind: later.fold(0.0, f64::max),
            stood: arrival.fold(0.0, f64::max),
            stood_on_timeline: timeline.fold(0.0, f64::max),
            backward: backward.count() + back_in_time,
            first_sound: sounds.first().map_or(f64::INFINITY, |sound| since(sound.at)),
            sound_off: self.sound_off(*answered + settled),
        }
    }

    /// First picture, farthest behind from `settled` on, longest stand, and steps backward of what
    /// a browser showed.
    pub(crate) fn shown(&self, show: &Show, settled: Duration) -> (f64, f64, f64, usize) {
        let Show { answered, shown } = show;
        let first = shown.first().map_or(f64::INFINITY, |shown| millis(shown.at, *answered));
        let later = shown.iter().filter(|shown| shown.at >= *answered + settled);
        let behind =
            later.filter_map(|shown| Some((self.clock_at(shown.at)? - shown.clock) as f64));
        let behind = behind.fold(f64::NEG_INFINITY, f64::max);
        let steps = || shown.windows(2);
        let stood = steps().map(|two| millis(two[1].at, two[0].at)).fold(0.0, f64::max);
        let backward = steps().filter(|two| two[1].number < two[0].number).count();
        (first, behind, stood, backward)
    }

    /// How far sound and picture are apart from `from` on, in milliseconds.
    fn sound_off(&self, from: Instant) -> f64 {
        let Seen { pictures, sounds, reports, .. } = &self.seen;
        let [Some(of_picture), Some(of_sound)] = *reports else { return f64::INFINITY };
        let mut by_report = Vec::new();
        let mut picture_delay = Vec::new();
        for (picture, strip) in pictures.iter().zip(&self.strips).filter(|(p, _)| p.at >= from) {
            let told = captured(of_picture, picture.media, VIDEO_RATE);
            by_report.push(around(told - strip.clock as f64));
            picture_delay.push(around(unix(picture.at) - strip.clock as f64));
        }
        let sound_delay: Vec<f64> = sounds
            .iter()
            .filter(|sound| sound.at >= from)
            .map(|sound| around(unix(sound.at) - captured(of_sound, sound.media, AUDIO_RATE)))
            .collect();
        if by_report.is_empty() || sound_delay.is_empty() {
            return f64::INFINITY;
        }
        let by_arrival = median(sound_delay) - median(picture_delay);
        // A single picture that the camera painted late is no fault of the mapping.
        by_arrival.abs().max(median(by_report).abs())
    }
}

/// Camera's time of an RTP time by a sender report, Unix milliseconds.
fn captured(info: SenderInfo, media: u64, rate: u32) -> f64 {
    let ticks = (media as u32).wrapping_sub(info.rtp) as i32;
    let seconds = (info.ntp >> 32) as i64 - NTP_UNIX;
    let fraction = (info.ntp & 0xffff_ffff) as f64 / 2f64.powi(32);
    (seconds as f64 + fraction + f64::from(ticks) / f64::from(rate)) * 1e3
}

fn unix(at: Instant) -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    (now - at.elapsed()).as_secs_f64() * 1e3
}

/// A difference of clocks of which one counts modulo 2^40.
fn around(difference: f64) -> f64 {
    let modulus = CLOCK_MODULUS as f64;
    difference - (difference / modulus).round() * modulus
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn millis(later: Instant, earlier: Instant) -> f64 {
    match later.checked_duration_since(earlier) {
        Some(time) => time.as_secs_f64() * 1e3,
        None => -earlier.duration_since(later).as_secs_f64() * 1e3,
    }
}
