//! Watching over RoQ: frames in order, with statistics.

mod packets;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sightline_relay_proto::codec::{Codec, TrackInfo};
use sightline_relay_proto::frame::Mode;
use sightline_relay_proto::hub::SenderInfo;
use sightline_relay_proto::ids::TrackIndex;
use sightline_relay_proto::ingest::TrackIngest;
use sightline_relay_proto::roq::write;
use sightline_relay_proto::wire::sealed::{self, Head};
use sightline_relay_proto::wire::{rtcp, rtp};

pub use self::packets::{PacketReader, Received};

use crate::annexb;
use crate::quic::{Pictures, RoqError, SessionTarget};

/// One frame as it came, in order within its track.
#[derive(Clone, Debug)]
pub struct WatchedFrame {
    /// Its track in the session.
    pub track: TrackIndex,
    /// Codec of the track.
    pub codec: Codec,
    /// Ticks of the track's clock since some start; never wraps.
    pub media_time: u64,
    /// The camera's clock at capture, microseconds since 1970 UTC, once a sender report came. What
    /// a sealed frame says is known at once, but not authentic before it is opened.
    pub captured: Option<u64>,
    /// Arrival of the first packet.
    pub arrived: Instant,
    /// Decoding can start here.
    pub keyframe: bool,
    /// Frames were lost before this one.
    pub discontinuity: bool,
    /// Whether it is sealed.
    pub sealed: bool,
    /// RTP payloads.
    pub payloads: Box<[Bytes]>,
}

impl WatchedFrame {
    /// Annex-B access unit with start codes (H.264 and H.265). `None` if it is sealed.
    pub fn annexb(&self) -> Option<Bytes> {
        if self.sealed { None } else { annexb::access_unit(self.codec, &self.payloads) }
    }

    /// The sealed frame with its clear part, for whoever has the key. Whether it is what it says,
    /// and of the camera that was asked for, only opening it tells. `None` if it is open.
    pub fn sealed(&self) -> Option<(Head, Bytes)> {
        // Ingest gives out nothing but whole frames.
        let frame = self.sealed.then(|| sealed::join(&self.payloads).ok()).flatten()?;
        Some((Head::parse(&frame).ok()?, frame))
    }

    /// Payload bytes.
    pub fn bytes(&self) -> usize {
        self.payloads.iter().map(Bytes::len).sum()
    }
}

/// What was seen so far.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct WatchStats {
    /// From the start of connecting to the first video keyframe.
    pub first_frame: Option<Duration>,
    /// From the start of connecting to the end of the handshake.
    pub connected: Duration,
    /// Frames.
    pub frames: u64,
    /// Of them keyframes of video.
    pub keyframes: u64,
    /// RTP packets.
    pub packets: u64,
    /// Bytes of RTP.
    pub bytes: u64,
    /// Frames lost.
    pub gaps: u64,
    /// Streams that the server cut off.
    pub resets: u64,
    /// Sender reports.
    pub reports: u64,
    /// Interarrival jitter of the video track (RFC 3550, 6.4.1), seconds.
    pub jitter: f64,
    /// Bits a second since the first packet.
    pub bitrate: f64,
}

/// One watching connection.
pub struct Viewer {
    reader: PacketReader,
    tracks: Vec<Track>,
    ready: VecDeque<WatchedFrame>,
    started: Instant,
    first_packet: Option<Instant>,
    stats: WatchStats,
}

struct Track {
    flow: u64,
    ssrc: u32,
    info: TrackInfo,
    ingest: TrackIngest,
    /// Arrival less timestamp of the last packet, seconds.
    transit: Option<f64>,
    jitter: f64,
}

impl Viewer {
    /// Connects to a session that the server set up.
    pub async fn connect(target: &SessionTarget) -> Result<Self, RoqError> {
        Self::connect_for(target, Pictures::default()).await
    }

    /// The same, with pictures as they are wanted.
    pub async fn connect_for(target: &SessionTarget, pictures: Pictures) -> Result<Self, RoqError> {
        let started = Instant::now();
        let infos = target.session.infos()?;
        let track = |(at, info): (usize, TrackInfo)| Track {
            flow: target.session.tracks[at].flow,
            ssrc: target.session.tracks[at].ssrc,
            ingest: ingest(target.session.mode(), TrackIndex(at as u8), info.clone()),
            info,
            transit: None,
            jitter: 0.0,
        };
        let tracks = infos.into_iter().enumerate().map(track).collect();
        let reader = PacketReader::connect(target, pictures).await?;
        let stats = WatchStats { connected: started.elapsed(), ..WatchStats::default() };
        Ok(Self { reader, tracks, ready: VecDeque::new(), started, first_packet: None, stats })
    }

    /// Tracks of the session.
    pub fn tracks(&self) -> impl Iterator<Item = &TrackInfo> {
        self.tracks.iter().map(|track| &track.info)
    }

    /// The next frame. `Err` when the connection has ended. Cancelling loses nothing.
    pub async fn next(&mut self) -> Result<WatchedFrame, RoqError> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Ok(frame);
            }
            self.step().await?;
            self.take_in();
        }
    }

    /// Asks for a keyframe of a track.
    pub fn request_keyframe(&self, track: TrackIndex) {
        let Some(track) = self.tracks.get(usize::from(track.0)) else { return };
        let mut pli = Vec::with_capacity(12);
        rtcp::write_pli(&mut pli, 1, track.ssrc);
        let mut out = Vec::with_capacity(pli.len() + write::MAX_OVERHEAD);
        write::datagram(track.flow, &pli, &mut out);
        // A lost request is made again by the caller.
        let _ = self.reader.connection().send_datagram(out.into());
    }

    /// Counters so far.
    pub fn stats(&self) -> WatchStats {
        let mut stats = WatchStats { resets: self.reader.resets(), ..self.stats };
        stats.gaps = self.tracks.iter().map(|track| track.ingest.frames_lost()).sum();
        let seconds = self.first_packet.map_or(0.0, |first| first.elapsed().as_secs_f64());
        if seconds > 0.0 {
            stats.bitrate = stats.bytes as f64 * 8.0 / seconds;
        }
        let video = self.tracks.iter().find(|track| track.info.channels == 0);
        stats.jitter = video.map_or(0.0, |track| track.jitter);
        stats
    }

    /// Leaves.
    pub fn close(self) {
        self.reader.close();
    }

    /// Waits for one thing to happen.
    async fn step(&mut self) -> Result<(), RoqError> {
        let due = self.tracks.iter().filter_map(|track| track.ingest.poll_timeout()).min();
        tokio::select! {
            happened = self.reader.wait() => happened,
            () = sleep_until(due) => Ok(()),
        }
    }

    /// Takes packets to their tracks, and finished frames out.
    fn take_in(&mut self) {
        let now = Instant::now();
        while let Some(received) = self.reader.poll_packet() {
            let Some(track) = self.tracks.get_mut(usize::from(received.track.0)) else { continue };
            if rtp::is_rtcp(&received.packet) {
                rtcp::parse(&received.packet, |packet| {
                    if let rtcp::Rtcp::SenderReport { info, .. } = packet {
                        self.stats.reports += 1;
                        track.ingest.handle_sender_report(now, info);
                    }
                });
                continue;
            }
            self.first_packet.get_or_insert(now);
            self.stats.packets += 1;
            self.stats.bytes += received.packet.len() as u64;
            track.note_jitter(self.started, now, &received.packet);
            track.ingest.handle_rtp(now, received.packet);
        }
        for (at, track) in self.tracks.iter_mut().enumerate() {
            while let Some(frame) = track.ingest.poll_frame(now) {
                let descriptor = frame.descriptor;
                let video = track.info.channels == 0;
                self.stats.frames += 1;
                if video && descriptor.keyframe {
                    self.stats.keyframes += 1;
                    self.stats.first_frame.get_or_insert(now - self.started);
                }
                self.ready.push_back(WatchedFrame {
                    track: TrackIndex(at as u8),
                    codec: track.info.codec,
                    media_time: descriptor.media_time.0,
                    captured: descriptor.capture.map(|capture| capture.0),
                    arrived: descriptor.arrival.0,
                    keyframe: descriptor.keyframe,
                    discontinuity: descriptor.discontinuity,
                    sealed: descriptor.protection.mode().is_sealed(),
                    payloads: frame.payloads,
                });
            }
        }
    }

    /// The clock mapping that the server reported last for a track.
    pub fn sender_info(&self, track: TrackIndex) -> Option<SenderInfo> {
        self.tracks.get(usize::from(track.0))?.ingest.sender_info()
    }
}

/// Whose a sealed frame is only its key can tell, and a lower tier comes in the place of the main
/// one: the clear part need not be that of the session's track.
fn ingest(mode: Mode, track: TrackIndex, info: TrackInfo) -> TrackIngest {
    match mode {
        Mode::Open => TrackIngest::new(track, info, true, 0, 0),
        Mode::Sealed => TrackIngest::sealed(track, info, None, true, (0, 0)),
    }
}

impl Track {
    fn note_jitter(&mut self, started: Instant, now: Instant, packet: &[u8]) {
        let Some(header) = rtp::parse(packet) else { return };
        let media = f64::from(header.timestamp) / f64::from(self.info.clock_rate.max(1));
        let transit = (now - started).as_secs_f64() - media;
        let change = self.transit.replace(transit).map_or(0.0, |last| (transit - last).abs());
        // A jump is a wrap or a new timeline, not jitter.
        if change < 10.0 {
            self.jitter += (change - self.jitter) / 16.0;
        }
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
