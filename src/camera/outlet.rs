//! What leaves the camera: periods of sealed frames and periods of open ones. Each has a queue and a
//! publishing session of its own, so that no frame of one mode ever goes out in the other.

use sightline_client::source::{Frame, MediaSource};
use sightline_relay_proto::codec::TrackInfo;
use sightline_relay_proto::frame::Mode;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Frames that may wait for the network.
const QUEUE: usize = 64;
/// Periods that may wait for the one before them to close its session.
const WAITING: usize = 1;

/// A time in which everything that leaves is of one mode.
pub(crate) struct Period {
    /// The mode.
    pub(crate) mode: Mode,
    /// Its frames.
    pub(crate) source: MediaSource,
    /// Cancelled at its end, when what waits must not leave any more.
    pub(crate) over: CancellationToken,
}

/// The periods, in order; closed when nothing leaves any more.
pub(crate) type Periods = mpsc::Receiver<Period>;

/// A source that is sent as it is, in one period.
pub(crate) fn only(mode: Mode, source: MediaSource, stop: &CancellationToken) -> Periods {
    let (sender, periods) = mpsc::channel(WAITING);
    let period = Period { mode, source, over: stop.child_token() };
    sender.try_send(period).expect("a new queue has room");
    periods
}

/// Where frames go.
pub(crate) struct Outlet {
    tracks: Vec<TrackInfo>,
    mode: Mode,
    frames: mpsc::Sender<Frame>,
    over: CancellationToken,
    periods: mpsc::Sender<Period>,
    stop: CancellationToken,
}

impl Outlet {
    /// Begins the first period.
    pub(crate) fn new(
        tracks: Vec<TrackInfo>,
        mode: Mode,
        stop: &CancellationToken,
    ) -> (Self, Periods) {
        let (frames, queued) = mpsc::channel(QUEUE);
        let source = MediaSource::Encoder { tracks: tracks.clone(), frames: queued };
        let (periods, waiting) = mpsc::channel(WAITING);
        let over = stop.child_token();
        let first = Period { mode, source, over: over.clone() };
        periods.try_send(first).expect("a new queue has room");
        (Self { tracks, mode, frames, over, periods, stop: stop.clone() }, waiting)
    }

    /// Whether frames of this mode may leave now.
    pub(crate) fn is(&self, mode: Mode) -> bool {
        self.mode == mode && !self.over.is_cancelled()
    }

    /// Ends the period if it is of another mode, with the frames that wait, and begins one of this
    /// mode. `false` while an earlier period has not begun: nothing leaves then, so ask again.
    pub(crate) fn turn(&mut self, mode: Mode) -> bool {
        if self.is(mode) {
            return true;
        }
        // What waits is of the mode that must not leave any more, whether the next can begin or not.
        self.over.cancel();
        let (frames, queued) = mpsc::channel(QUEUE);
        let source = MediaSource::Encoder { tracks: self.tracks.clone(), frames: queued };
        let over = self.stop.child_token();
        let next = Period { mode, source, over: over.clone() };
        if self.periods.try_send(next).is_err() {
            return false;
        }
        (self.mode, self.frames, self.over) = (mode, frames, over);
        true
    }

    /// Queues a frame of the period's mode; `false` if there is no room.
    pub(crate) fn send(&self, frame: Frame) -> bool {
        self.frames.try_send(frame).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Instant, SystemTime};

    use sightline_relay_proto::codec::Codec;
    use sightline_relay_proto::ids::TrackIndex;

    use super::*;

    fn frame(timestamp: u32) -> Frame {
        let (captured, ready) = (SystemTime::now(), Instant::now());
        let unit = vec![0; 4].into();
        Frame { track: TrackIndex(0), timestamp, captured, ready, keyframe: true, unit }
    }

    fn outlet() -> (Outlet, Periods, CancellationToken) {
        let stop = CancellationToken::new();
        let tracks = vec![TrackInfo::video(Codec::H264)];
        let (outlet, periods) = Outlet::new(tracks, Mode::Sealed, &stop);
        (outlet, periods, stop)
    }

    #[tokio::test]
    async fn frames_of_one_mode_never_come_out_in_a_period_of_the_other() {
        let (mut outlet, mut periods, _stop) = outlet();
        let mut first = periods.recv().await.unwrap();
        assert!(outlet.send(frame(1)));
        assert!(outlet.turn(Mode::Sealed), "nothing changes");
        assert!(!first.over.is_cancelled());
        assert!(outlet.turn(Mode::Open));
        assert!(first.over.is_cancelled());
        assert!(outlet.send(frame(2)));
        let mut second = periods.recv().await.unwrap();
        assert_eq!((first.mode, second.mode), (Mode::Sealed, Mode::Open));
        assert_eq!(second.source.next().await.unwrap().timestamp, 2);
        assert_eq!(first.source.next().await.unwrap().timestamp, 1);
        assert!(first.source.next().await.is_none(), "its queue is closed");
    }

    #[tokio::test]
    async fn a_turn_waits_for_the_period_before_it_but_lets_nothing_out_meanwhile() {
        let (mut outlet, mut periods, _stop) = outlet();
        let first = periods.recv().await.unwrap();
        assert!(outlet.turn(Mode::Open));
        assert!(outlet.is(Mode::Open));
        assert!(!outlet.turn(Mode::Sealed), "the open period has not begun");
        assert!(!outlet.is(Mode::Open) && !outlet.is(Mode::Sealed));
        assert!(!outlet.turn(Mode::Open), "nor has another of its mode");
        let second = periods.recv().await.unwrap();
        assert!(first.over.is_cancelled() && second.over.is_cancelled());
        assert!(outlet.turn(Mode::Open) && outlet.is(Mode::Open));
        let third = periods.recv().await.unwrap();
        assert_eq!((third.mode, third.over.is_cancelled()), (Mode::Open, false));
    }

    #[tokio::test]
    async fn all_periods_end_with_the_camera() {
        let (outlet, mut periods, stop) = outlet();
        for number in 0..=QUEUE as u32 {
            assert_eq!(outlet.send(frame(number)), number < QUEUE as u32);
        }
        let first = periods.recv().await.unwrap();
        stop.cancel();
        assert!(first.over.is_cancelled());
        drop(outlet);
        assert!(periods.recv().await.is_none());
    }
}
