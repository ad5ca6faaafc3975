//! What a viewer notes of the packets that reach it: whose they are, which are missing, how late.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sightline_client::sealed::FrameError;
use sightline_relay_proto::gop_stream::Item;
use sightline_relay_proto::wire::rtcp::ReceptionReport;
use sightline_relay_proto::wire::{annexb, rtp};
use tokio::time::{Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::Egress;
use super::clock::{Window, now};
use super::histogram::Histogram;
use super::picture::slice_start;
use super::sealing::Opening;
use super::stamp::Stamp;

/// Time between receiver reports.
const REPORTS: Duration = Duration::from_secs(1);

/// What all viewers of a run share.
pub(super) struct Measure {
    /// The measured time.
    pub(super) window: Arc<Window>,
    /// Delays from capture to arrival in the measured time, by egress.
    pub(super) delays: [Histogram; Egress::ALL.len()],
    /// Viewers that have had a picture.
    pub(super) pictures: AtomicU64,
}

impl Measure {
    /// Nothing seen yet.
    pub(super) fn new(window: Arc<Window>) -> Arc<Self> {
        Arc::new(Self { window, delays: Default::default(), pictures: AtomicU64::new(0) })
    }
}

/// What one viewer saw.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Seen {
    /// From the request for the session to the last packet of the first keyframe.
    pub(super) first_picture: Option<Duration>,
    /// Frames of the measured time.
    pub(super) frames: u64,
    /// Packets that came in the measured time; over WebTransport frames.
    pub(super) packets: u64,
    /// Their bytes, RTP headers included.
    pub(super) bytes: u64,
    /// Packets that are missing between the first and the last of the whole session.
    pub(super) missing: u64,
    /// Frames of another camera.
    pub(super) foreign: u64,
    /// Frames whose stamp is missing or damaged.
    pub(super) damaged: u64,
}

/// Sequence numbers so far, extended beyond 16 bits (RFC 3550, A.1).
#[derive(Clone, Copy, Debug)]
struct Span {
    first: u64,
    highest: u64,
    received: u64,
    /// Expected and received packets at the last report.
    reported: (u64, u64),
}

impl Span {
    fn new(seq: u16) -> Self {
        // One round above zero, so that a packet from before the first has its place.
        let first = u64::from(seq) + (1 << 16);
        Self { first, highest: first, received: 1, reported: (0, 0) }
    }

    fn add(&mut self, seq: u16) {
        let extended = rtp::extend_seq(self.highest, seq);
        self.first = self.first.min(extended);
        self.highest = self.highest.max(extended);
        self.received += 1;
    }

    fn expected(&self) -> u64 {
        self.highest - self.first + 1
    }

    fn missing(&self) -> u64 {
        self.expected().saturating_sub(self.received)
    }

    /// 256ths lost since the last call (RFC 3550, A.3).
    fn fraction_lost(&mut self) -> u8 {
        let (expected, received) = (self.expected(), self.received);
        let (expected_before, received_before) =
            std::mem::replace(&mut self.reported, (expected, received));
        let expected = expected.saturating_sub(expected_before);
        let lost = expected.saturating_sub(received - received_before);
        (lost * 256).checked_div(expected).unwrap_or(0).min(255) as u8
    }
}

/// Checks what reaches one viewer.
pub(super) struct Watcher {
    measure: Arc<Measure>,
    egress: Egress,
    /// Serial of the camera that is watched.
    serial: String,
    /// When the session was asked for.
    asked: Instant,
    span: Option<Span>,
    ssrc: u32,
    /// Timestamp of the keyframe whose last packet makes the first picture.
    keyframe: Option<u32>,
    /// Opens what a sealed camera sends.
    opening: Option<Opening>,
    seen: Seen,
}

impl Watcher {
    /// A viewer of the camera `serial` that asked for its session at `asked`.
    pub(super) fn new(
        measure: Arc<Measure>,
        egress: Egress,
        serial: String,
        asked: Instant,
    ) -> Self {
        let (span, opening, seen) = (None, None, Seen::default());
        Self { measure, egress, serial, asked, span, ssrc: 0, keyframe: None, opening, seen }
    }

    /// The same of a sealed camera.
    pub(super) fn opening(self, opening: Option<Opening>) -> Self {
        Self { opening, ..self }
    }

    /// What was seen until now.
    pub(super) fn seen(&self) -> Seen {
        Seen { missing: self.span.map_or(0, |span| span.missing()), ..self.seen }
    }

    /// A packet has come. RTCP is passed over.
    pub(super) fn packet(&mut self, packet: &[u8]) {
        if rtp::is_rtcp(packet) {
            return;
        }
        let Some(header) = rtp::parse(packet) else { return };
        let arrived = now();
        self.ssrc = header.ssrc;
        match &mut self.span {
            Some(span) => span.add(header.seq),
            None => self.span = Some(Span::new(header.seq)),
        }
        if self.measure.window.holds(arrived) {
            self.seen.packets += 1;
            self.seen.bytes += packet.len() as u64;
        }
        let Some(payload) = packet.get(header.payload.clone()) else { return };
        if let Some(opening) = &mut self.opening {
            if let Some(opened) = opening.packet(header.timestamp, payload) {
                self.opened(arrived, opened);
            }
            return;
        }
        if let Some(slice) = slice_start(payload) {
            self.frame(arrived, slice.body);
            if slice.keyframe {
                self.keyframe.get_or_insert(header.timestamp);
            }
        }
        if header.marker && self.keyframe == Some(header.timestamp) {
            self.picture();
        }
    }

    /// A frame has come as one item. Missing ones show in the numbers of their stamps.
    pub(super) fn item(&mut self, item: &Item) {
        let arrived = now();
        if self.measure.window.holds(arrived) {
            self.seen.packets += 1;
            self.seen.bytes += item.payload.len() as u64;
        }
        let number = match &mut self.opening {
            Some(opening) => {
                let opened = opening.frame(&item.payload);
                self.opened(arrived, opened)
            }
            None => self.unit(arrived, &item.payload),
        };
        if let Some(number) = number {
            let number = number as u16;
            match &mut self.span {
                Some(span) => span.add(number),
                None => self.span = Some(Span::new(number)),
            }
        }
    }

    /// A sealed frame is whole.
    fn opened(&mut self, arrived: u64, opened: Result<Vec<u8>, FrameError>) -> Option<u32> {
        match opened {
            Ok(unit) => self.unit(arrived, &unit),
            Err(_) => {
                self.seen.damaged += 1;
                None
            }
        }
    }

    /// An access unit is whole; its number, if it can be read.
    fn unit(&mut self, arrived: u64, unit: &[u8]) -> Option<u32> {
        let slice = annexb::units(unit).find_map(slice_start)?;
        self.frame(arrived, slice.body);
        if slice.keyframe {
            self.picture();
        }
        Stamp::read(slice.body).ok().map(|stamp| stamp.frame)
    }

    fn frame(&mut self, arrived: u64, body: &[u8]) {
        let Ok(stamp) = Stamp::read(body) else {
            self.seen.damaged += 1;
            return;
        };
        if stamp.serial != self.serial {
            self.seen.foreign += 1;
            return;
        }
        if self.measure.window.holds(stamp.captured) {
            self.seen.frames += 1;
            let delay = arrived.saturating_sub(stamp.captured);
            self.measure.delays[self.egress.index()].add(delay);
        }
    }

    fn picture(&mut self) {
        if self.seen.first_picture.is_none() {
            self.seen.first_picture = Some(self.asked.elapsed());
            self.measure.pictures.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What a receiver report says of the stream now.
    pub(super) fn report(&mut self) -> ReceptionReport {
        let Some(span) = &mut self.span else { return ReceptionReport::default() };
        ReceptionReport {
            ssrc: self.ssrc,
            fraction_lost: span.fraction_lost(),
            lost: span.missing() as u32,
            highest_seq: span.highest as u32,
            ..ReceptionReport::default()
        }
    }
}

/// Lets a viewer go on until `stop`, or until it fails; `way` names what did.
pub(super) async fn until<E: Display>(
    stop: &CancellationToken,
    way: &str,
    failing: impl Future<Output = E>,
) -> Result<(), String> {
    tokio::select! {
        () = stop.cancelled() => Ok(()),
        error = failing => Err(format!("{way}: {error}")),
    }
}

/// Ticks of receiver reports; those missed in a pause are left out.
pub(super) fn reports() -> Interval {
    let mut interval = tokio::time::interval(REPORTS);
    interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
    interval
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use sightline_relay_proto::codec::Codec;
    use sightline_relay_proto::frame::MediaTime;
    use sightline_relay_proto::ids::{Tier, TrackIndex};
    use sightline_relay_proto::wire::packetize::packetize;

    use super::super::picture::Sizes;
    use super::*;

    fn watcher() -> Watcher {
        let measure = Measure::new(Arc::new(Window::new()));
        measure.window.open(None);
        Watcher::new(measure, Egress::Roq, "LOAD-1".into(), Instant::now())
    }

    /// RTP of a frame whose packets begin with `seq`; its timestamp is the same number.
    fn frame(serial: &str, seq: u16, keyframe: bool) -> Vec<Vec<u8>> {
        let sizes = Sizes::new(1_000_000, 30, 1.0).unwrap();
        let stamp = Stamp { serial, frame: 1, captured: now() };
        let payloads = packetize(Codec::H264, &sizes.unit(&stamp, keyframe));
        let last = payloads.len() - 1;
        let packet = |(at, payload): (usize, Bytes)| {
            let head = rtp::header(96, at == last, seq + at as u16, seq.into(), 5);
            [&head[..], &payload[..]].concat()
        };
        payloads.into_iter().enumerate().map(packet).collect()
    }

    #[test]
    fn the_first_picture_is_a_whole_keyframe() {
        let mut watcher = watcher();
        let (early, mut key) = (frame("LOAD-1", 10, false), frame("LOAD-1", 20, true));
        early.iter().for_each(|packet| watcher.packet(packet));
        let last = key.pop().unwrap();
        key.iter().for_each(|packet| watcher.packet(packet));
        assert_eq!((watcher.seen().frames, watcher.seen().first_picture), (2, None));
        watcher.packet(&last);
        let seen = watcher.seen();
        assert!(seen.first_picture.is_some());
        assert_eq!(watcher.measure.pictures.load(Ordering::Relaxed), 1);
        assert_eq!((seen.foreign, seen.damaged), (0, 0));
        assert_eq!(seen.packets as usize, early.len() + key.len() + 1);
    }

    #[test]
    fn frames_as_items_are_checked_like_packets() {
        let mut watcher = watcher();
        let sizes = Sizes::new(1_000_000, 30, 1.0).unwrap();
        for (number, keyframe) in [(7, true), (8, false), (10, false)] {
            let stamp = Stamp { serial: "LOAD-1", frame: number, captured: now() };
            watcher.item(&Item {
                track: TrackIndex(0),
                keyframe,
                discardable: false,
                discontinuity: false,
                sealed: false,
                tier: Tier::Main,
                sequence: u64::from(number),
                media_time: MediaTime(0),
                capture: None,
                payload: sizes.unit(&stamp, keyframe),
            });
        }
        let seen = watcher.seen();
        assert_eq!((seen.frames, seen.packets, seen.missing), (3, 3, 1));
        assert!(seen.first_picture.is_some());
        assert_eq!((seen.foreign, seen.damaged), (0, 0));
    }

    #[test]
    fn a_frame_of_another_camera_and_a_damaged_one_are_told_apart() {
        let mut watcher = watcher();
        frame("LOAD-2", 1, false).iter().for_each(|packet| watcher.packet(packet));
        assert_eq!((watcher.seen().foreign, watcher.seen().damaged), (1, 0));
        let mut damaged = frame("LOAD-1", 6, false);
        damaged[0][30] ^= 1;
        damaged.iter().for_each(|packet| watcher.packet(packet));
        assert_eq!((watcher.seen().foreign, watcher.seen().damaged), (1, 1));
        assert_eq!(watcher.seen().frames, 0);
    }

    #[test]
    fn missing_packets_are_counted_across_the_wrap_and_late_ones_fill_their_gap() {
        let mut span = Span::new(65_534);
        [65_535, 1, 2].into_iter().for_each(|seq| span.add(seq));
        assert_eq!((span.expected(), span.missing()), (5, 1));
        assert_eq!(span.fraction_lost(), 51);
        span.add(0);
        assert_eq!((span.missing(), span.fraction_lost()), (0, 0));
        span.add(65_533);
        assert_eq!((span.expected(), span.missing()), (6, 0));
    }
}
