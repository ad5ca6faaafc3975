//! Tells when each picture was handed to the transport, so that a test can say what lies between
//! camera and screen. Nothing in it is secret: the clear descriptor of a sealed frame says as much.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use sightline_client::source::{Frame, MediaSource};
use sightline_relay_proto::codec::{MediaKind, TrackInfo};
use tokio::sync::mpsc;

/// Lines of a log at most; later pictures are sent and not logged.
const MAX_LINES: usize = 200_000;

/// A file with a line for each picture: its RTP timestamp, its capture time and the time at which the
/// publisher may take it, both in Unix microseconds.
#[derive(Clone)]
pub(crate) struct SendLog(Arc<Mutex<Log<File>>>);

impl SendLog {
    /// Makes the file.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) fn create(path: &Path) -> Result<Self, String> {
        let out = File::create(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self(Arc::new(Mutex::new(Log { out, lines: 0 }))))
    }

    /// Passes a source on and notes its pictures.
    pub(crate) fn of(&self, mut source: MediaSource) -> MediaSource {
        let tracks: Vec<TrackInfo> = source.tracks().to_vec();
        let kinds: Vec<MediaKind> = tracks.iter().map(|track| track.codec.kind()).collect();
        // Room for one: what the publisher did not take yet is not called handed over.
        let (out, frames) = mpsc::channel(1);
        let log = self.0.clone();
        tokio::spawn(async move {
            while let Ok(room) = out.reserve().await {
                let Some(frame) = source.next().await else { return };
                if kinds.get(usize::from(frame.track.0)) == Some(&MediaKind::Video) {
                    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
                    log.note(&frame, SystemTime::now());
                }
                room.send(frame);
            }
        });
        MediaSource::Encoder { tracks, frames }
    }
}

struct Log<W> {
    out: W,
    lines: usize,
}

impl<W: Write> Log<W> {
    fn note(&mut self, frame: &Frame, now: SystemTime) {
        if self.lines == MAX_LINES {
            return;
        }
        let (captured, handed) = (micros(frame.captured), micros(now));
        let line = format!("{} {captured} {handed}\n", frame.timestamp);
        self.lines += 1;
        if let Err(error) = self.out.write_all(line.as_bytes()) {
            tracing::warn!(%error, "the send log ends here");
            self.lines = MAX_LINES;
        } else if self.lines == MAX_LINES {
            tracing::warn!(MAX_LINES, "the send log is full and ends here");
        }
    }
}

fn micros(time: SystemTime) -> u128 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use bytes::Bytes;
    use sightline_relay_proto::codec::Codec;
    use sightline_relay_proto::ids::TrackIndex;

    use super::*;

    fn frame(track: u8, timestamp: u32) -> Frame {
        Frame {
            track: TrackIndex(track),
            timestamp,
            captured: UNIX_EPOCH + Duration::from_micros(u64::from(timestamp) + 7),
            ready: Instant::now(),
            keyframe: true,
            unit: Bytes::from_static(&[1]),
        }
    }

    #[tokio::test]
    async fn each_picture_has_a_line_and_every_frame_goes_on_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sent");
        let (sender, frames) = mpsc::channel(8);
        let tracks = vec![TrackInfo::video(Codec::H264), TrackInfo::audio(Codec::Pcmu, 8000, 1)];
        for (track, timestamp) in [(0, 3600), (1, 160), (0, 7200)] {
            sender.send(frame(track, timestamp)).await.unwrap();
        }
        drop(sender);
        let log = SendLog::create(&path).unwrap();
        let mut source = log.of(MediaSource::Encoder { tracks, frames });
        let mut passed = Vec::new();
        while let Some(frame) = source.next().await {
            passed.push((frame.track.0, frame.timestamp));
        }
        assert_eq!(passed, [(0, 3600), (1, 160), (0, 7200)]);
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<Vec<u64>> = text
            .lines()
            .map(|line| line.split(' ').map(|number| number.parse().unwrap()).collect())
            .collect();
        assert_eq!(lines.len(), 2);
        assert_eq!((&lines[0][..2], &lines[1][..2]), (&[3600, 3607][..], &[7200, 7207][..]));
        assert!(lines[0][2] <= lines[1][2]);
    }

    #[test]
    fn a_log_ends_at_its_bound() {
        let mut log = Log { out: Vec::new(), lines: MAX_LINES - 1 };
        log.note(&frame(0, 1), UNIX_EPOCH);
        assert_eq!(log.out, b"1 8 0\n");
        log.note(&frame(0, 2), UNIX_EPOCH);
        assert_eq!(log.out, b"1 8 0\n", "no line beyond the bound");
    }
}
