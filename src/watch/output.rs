//! Where watched frames go: an elementary stream for a player, and a line per frame for tools.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

use sightline_client::watch::WatchedFrame;
use sightline_relay_proto::codec::{MediaKind, TrackInfo};

use super::sound::Sound;

/// Open outputs.
pub(super) struct Output {
    video: Option<Box<dyn Write>>,
    /// The first sound track, by its place among the tracks.
    sound: Option<(usize, Sound<BufWriter<File>>)>,
    lines: Option<BufWriter<File>>,
    started: Instant,
}

impl Output {
    /// `video`: a file, or `-` for standard output. `lines`: a file of JSON lines.
    pub(super) fn open(
        video: Option<&str>,
        sound: Option<&Path>,
        lines: Option<&Path>,
        tracks: &[TrackInfo],
    ) -> Result<Self, String> {
        let create = |path: &Path| {
            File::create(path).map_err(|error| format!("{}: {error}", path.display()))
        };
        let video: Option<Box<dyn Write>> = match video {
            None => None,
            Some("-") => Some(Box::new(std::io::stdout())),
            Some(path) => Some(Box::new(BufWriter::new(create(Path::new(path))?))),
        };
        let heard = tracks.iter().enumerate().find(|(_, track)| track.kind() == MediaKind::Audio);
        let sound = match (sound, heard) {
            (Some(path), Some((place, track))) => {
                let file = BufWriter::new(create(path)?);
                Some((place, Sound::new(file, track).map_err(|error| error.to_string())?))
            }
            _ => None,
        };
        let lines = lines.map(create).transpose()?.map(BufWriter::new);
        Ok(Self { video, sound, lines, started: Instant::now() })
    }

    /// Writes one frame.
    pub(super) fn write(&mut self, frame: &WatchedFrame) -> Result<(), String> {
        let kind = frame.codec.kind();
        if kind == MediaKind::Video
            && let Some(video) = &mut self.video
            && let Some(unit) = frame.annexb()
        {
            video.write_all(&unit).and_then(|()| video.flush()).map_err(|e| e.to_string())?;
        }
        if let Some((place, sound)) = &mut self.sound
            && usize::from(frame.track.0) == *place
        {
            sound.write(frame).map_err(|error| error.to_string())?;
        }
        if let Some(lines) = &mut self.lines {
            let line = serde_json::json!({
                "kind": if kind == MediaKind::Video { "video" } else { "audio" },
                "track": frame.track.0,
                "media_time": frame.media_time,
                "captured_us": frame.captured,
                "arrived_ms": frame.arrived.saturating_duration_since(self.started).as_secs_f64() * 1e3,
                "keyframe": frame.keyframe,
                "discontinuity": frame.discontinuity,
                "bytes": frame.bytes(),
            });
            writeln!(lines, "{line}").map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Flushes everything.
    pub(super) fn finish(&mut self) -> Result<(), String> {
        if let Some(video) = &mut self.video {
            video.flush().map_err(|error| error.to_string())?;
        }
        if let Some((_, sound)) = &mut self.sound {
            sound.finish().map_err(|error| error.to_string())?;
        }
        if let Some(lines) = &mut self.lines {
            lines.flush().map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}
