//! Publishing over RoQ: one uni stream a video frame, audio in datagrams.
//!
//! The session says whether frames are sealed. In a sealed one nothing leaves but sealed frames,
//! which are cut as they are; what is none ends the sending.

use std::collections::VecDeque;
use std::future::Future;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand;
use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use quinn::{Connection, RecvStream, SendStream};
use sightline_relay_proto::codec::{Codec, MediaKind};
use sightline_relay_proto::frame::Mode;
use sightline_relay_proto::hub::SenderInfo;
use sightline_relay_proto::limits::MAX_CANONICAL_PACKET;
use sightline_relay_proto::roq::{self, Code, write};
use sightline_relay_proto::wire::packetize::packetize;
use sightline_relay_proto::wire::{rtcp, rtp, sealed, varint};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::news::Told;
use crate::quic::{self, Pictures, RoqError, SessionTarget};
use crate::retry::Backoff;
use crate::source::{Frame, MediaSource};

/// A frame that waited longer than this is dropped, and all up to the next keyframe with it.
pub const MAX_QUEUED: Duration = Duration::from_millis(500);
/// A frame that is not through after this time is cut off.
pub const MAX_SENDING: Duration = Duration::from_millis(1500);
/// Time between sender reports.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// Streams that are not acknowledged, at most.
const MAX_IN_FLIGHT: usize = 128;
/// Longest RTCP packet taken from the server, bytes.
const MAX_RTCP: usize = 2048;
/// CNAME of the sender reports.
const CNAME: &str = "sightline";

/// What became of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// On its way.
    Sent,
    /// Dropped: it waited too long, or a frame that it needs was dropped.
    Dropped,
}

/// Counters of one connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PublishStats {
    /// Frames sent.
    pub frames: u64,
    /// Bytes of RTP sent.
    pub bytes: u64,
    /// Frames dropped or cut off.
    pub dropped: u64,
    /// Keyframes asked for by the server.
    pub keyframe_requests: u64,
}

/// One connection of a publisher.
pub struct Publisher {
    connection: Connection,
    tracks: Vec<Track>,
    in_flight: VecDeque<(SendStream, Instant)>,
    keyframes: watch::Receiver<u64>,
    stats: PublishStats,
    _reader: AbortOnDropHandle<()>,
}

struct Track {
    flow: u64,
    payload_type: u8,
    codec: Codec,
    clock_rate: u32,
    ssrc: u32,
    seq: u16,
    packets: u32,
    octets: u32,
    /// A frame was dropped: only a keyframe may follow.
    broken: bool,
    reported: Option<Instant>,
    mode: Mode,
}

impl Publisher {
    /// Connects to a session that the server set up. What the server says of the device is `told`.
    pub async fn connect(target: &SessionTarget, told: &Told) -> Result<Self, RoqError> {
        let infos = target.session.infos()?;
        let tracks = target.session.tracks.iter().zip(&infos).map(|(roq, info)| {
            let mut random = [0; 6];
            // Without randomness the numbers only start from zero.
            let _ = rand::fill(&mut random);
            let [a, b, c, d, e, f] = random;
            Track {
                flow: roq.flow,
                payload_type: roq.payload_type,
                codec: info.codec,
                clock_rate: info.clock_rate,
                ssrc: u32::from_be_bytes([a, b, c, d]),
                seq: u16::from_be_bytes([e, f]),
                packets: 0,
                octets: 0,
                broken: false,
                reported: None,
                mode: target.session.mode(),
            }
        });
        let tracks = tracks.collect();
        let connection = quic::connect(target, Pictures::default()).await?;
        let (sender, keyframes) = watch::channel(0);
        let reader = tokio::spawn(read_requests(connection.clone(), sender, Telling(told.clone())));
        Ok(Self {
            connection,
            tracks,
            in_flight: VecDeque::new(),
            keyframes,
            stats: PublishStats::default(),
            _reader: AbortOnDropHandle::new(reader),
        })
    }

    /// Rises with each keyframe request of the server.
    pub fn keyframe_requests(&self) -> watch::Receiver<u64> {
        self.keyframes.clone()
    }

    /// Counters.
    pub fn stats(&self) -> PublishStats {
        PublishStats { keyframe_requests: *self.keyframes.borrow(), ..self.stats }
    }

    /// Sends one frame. Returns when the connection took it, or cut it off after [`MAX_SENDING`].
    ///
    /// # Errors
    /// The connection has ended, or the session is sealed and the frame's unit is no sealed frame.
    pub async fn send(&mut self, frame: &Frame) -> Result<Outcome, RoqError> {
        if let Some(error) = self.connection.close_reason() {
            return Err(error.into());
        }
        self.prune();
        let at = usize::from(frame.track.0);
        let full = self.in_flight.len() >= MAX_IN_FLIGHT;
        let Some(track) = self.tracks.get_mut(at) else { return Ok(Outcome::Dropped) };
        let video = track.codec.kind() == MediaKind::Video;
        track.broken |= video && (full || frame.ready.elapsed() > MAX_QUEUED);
        if track.broken && (full || !frame.keyframe) {
            self.stats.dropped += 1;
            return Ok(Outcome::Dropped);
        }
        track.broken = false;
        let packets = track.packets(frame)?;
        track.report(&self.connection, frame);
        self.stats.bytes +=
            packets.iter().map(|(head, body)| head.len() + body.len()).sum::<usize>() as u64;
        if !video && send_datagrams(&self.connection, track.flow, &packets)? {
            self.stats.frames += 1;
            return Ok(Outcome::Sent);
        }
        let flow = track.flow;
        let outcome = self.send_stream(flow, packets).await?;
        if outcome == Outcome::Dropped {
            self.tracks[at].broken = video;
            self.stats.dropped += 1;
        } else {
            self.stats.frames += 1;
        }
        Ok(outcome)
    }

    /// Closes cleanly once what was sent has arrived, or after [`MAX_SENDING`].
    pub async fn close(mut self) {
        let all = async {
            for (stream, _) in self.in_flight.drain(..) {
                let _ = stream.stopped().await;
            }
        };
        let _ = tokio::time::timeout(MAX_SENDING, all).await;
        self.connection.close(quic::code(Code::NoError), b"the source has ended");
    }

    async fn send_stream(
        &mut self,
        flow: u64,
        packets: Vec<(Bytes, Bytes)>,
    ) -> Result<Outcome, RoqError> {
        let started = Instant::now();
        let end = tokio::time::Instant::from_std(started + MAX_SENDING);
        let Ok(opened) = tokio::time::timeout_at(end, self.connection.open_uni()).await else {
            return Ok(Outcome::Dropped);
        };
        let mut stream = opened?;
        let mut chunks = stream_chunks(flow, packets);
        match tokio::time::timeout_at(end, stream.write_all_chunks(&mut chunks)).await {
            Ok(Ok(())) => {
                let _ = stream.finish();
                self.in_flight.push_back((stream, started));
                Ok(Outcome::Sent)
            }
            // The server does not want this frame; the next goes on its own stream.
            Ok(Err(quinn::WriteError::Stopped(_))) => Ok(Outcome::Dropped),
            Ok(Err(quinn::WriteError::ConnectionLost(error))) => Err(error.into()),
            Ok(Err(error)) => Err(RoqError::Quic(error.to_string())),
            Err(_) => {
                let _ = stream.reset(quic::code(Code::FrameCancelled));
                Ok(Outcome::Dropped)
            }
        }
    }

    /// Forgets streams that arrived, and cuts off those that take too long.
    fn prune(&mut self) {
        let arrived = |stream: &SendStream| stream.stopped().now_or_never().is_some();
        while self.in_flight.pop_front_if(|(stream, _)| arrived(stream)).is_some() {}
        while let Some((mut stream, _)) =
            self.in_flight.pop_front_if(|(_, since)| since.elapsed() > MAX_SENDING)
        {
            if stream.reset(quic::code(Code::FrameCancelled)).is_ok() {
                self.stats.dropped += 1;
                let video = |track: &&mut Track| track.codec.kind() == MediaKind::Video;
                self.tracks.iter_mut().filter(video).for_each(|track| track.broken = true);
            }
        }
    }
}

impl Track {
    /// Header and payload of each packet of a frame.
    fn packets(&mut self, frame: &Frame) -> Result<Vec<(Bytes, Bytes)>, RoqError> {
        let sealed = self.mode.is_sealed();
        let payloads = match self.mode {
            Mode::Open => packetize(self.codec, &frame.unit),
            Mode::Sealed => sealed::cut(&frame.unit)?,
        };
        let last = payloads.len().saturating_sub(1);
        let marked = sealed || self.codec.marker_ends_frame();
        let mut heads = BytesMut::with_capacity(payloads.len() * rtp::HEADER_LEN);
        let mut timestamp = frame.timestamp;
        let mut packets = Vec::with_capacity(payloads.len());
        for (at, payload) in payloads.into_iter().enumerate() {
            let marker = marked && at == last;
            let head = rtp::header(self.payload_type, marker, self.seq, timestamp, self.ssrc);
            heads.extend_from_slice(&head);
            self.seq = self.seq.wrapping_add(1);
            self.packets = self.packets.wrapping_add(1);
            self.octets = self.octets.wrapping_add(payload.len() as u32);
            if !sealed && matches!(self.codec, Codec::Pcmu | Codec::Pcma) {
                timestamp = timestamp.wrapping_add(payload.len() as u32);
            }
            packets.push((heads.split().freeze(), payload));
        }
        Ok(packets)
    }

    /// A sender report each second: the capture clock and the RTP timestamp of one instant.
    fn report(&mut self, connection: &Connection, frame: &Frame) {
        let now = Instant::now();
        if self.reported.is_some_and(|last| now < last + REPORT_INTERVAL) {
            return;
        }
        self.reported = Some(now);
        // The report speaks of the present: the frame was captured a little earlier.
        let age = SystemTime::now().duration_since(frame.captured).unwrap_or_default();
        let ticks = age.as_micros() * u128::from(self.clock_rate) / 1_000_000;
        let info = SenderInfo {
            ntp: ntp(frame.captured + age),
            rtp: frame.timestamp.wrapping_add(ticks as u32),
        };
        let mut report = Vec::with_capacity(80);
        rtcp::write_sender_report(&mut report, self.ssrc, info, self.packets, self.octets, CNAME);
        let mut out = Vec::with_capacity(report.len() + write::MAX_OVERHEAD);
        write::datagram(self.flow, &report, &mut out);
        // A lost report is replaced within a second.
        let _ = connection.send_datagram(out.into());
    }
}

/// Publishes a source until it ends or `stop` is cancelled, reconnecting with back-off. `open`
/// sets up a session with the server; it is asked again only when a session is dead. `ready` is
/// awaited with each new connection: nothing goes over it before, and what waits until then is lost.
/// What the server asks for and says is told.
pub async fn run<F, Fut, E>(
    mut source: MediaSource,
    mut open: F,
    mut ready: impl AsyncFnMut(),
    (keyframes, told): (watch::Sender<u64>, Told),
    stop: CancellationToken,
) -> PublishStats
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<SessionTarget, E>>,
    E: std::fmt::Display,
{
    let mut backoff = Backoff::default();
    let mut total = PublishStats::default();
    let mut session: Option<SessionTarget> = None;
    while !stop.is_cancelled() {
        let attempt = async {
            let target = match session.take() {
                Some(target) => target,
                None => open().await.map_err(|error| error.to_string())?,
            };
            match Publisher::connect(&target, &told).await {
                Ok(publisher) => Ok((target, publisher)),
                Err(error) => {
                    if !error.ends_session() {
                        session = Some(target);
                    }
                    Err(error.to_string())
                }
            }
        };
        let attempt = tokio::select! {
            attempt = attempt => attempt,
            () = stop.cancelled() => break,
        };
        match attempt {
            Ok((target, mut publisher)) => {
                let before = publisher.stats.frames;
                let connection = publisher.connection.clone();
                tokio::select! {
                    () = ready() => {
                        source.skip_waiting();
                        keyframes.send_modify(|count| *count += 1);
                    }
                    () = stop.cancelled() => {}
                    // Feeding finds out the same, and why.
                    _ = connection.closed() => {}
                }
                let ended = feed(&mut source, &mut publisher, &keyframes, &stop).await;
                add(&mut total, publisher.stats());
                if publisher.stats.frames > before {
                    backoff.reset();
                }
                match ended {
                    None => {
                        publisher.close().await;
                        return total;
                    }
                    Some(error) => {
                        tracing::warn!(%error, "the publishing connection has ended");
                        session = (!error.ends_session()).then_some(target);
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "publishing cannot start"),
        }
        let wait = tokio::time::sleep(backoff.next_wait());
        tokio::pin!(wait);
        loop {
            tokio::select! {
                () = &mut wait => break,
                () = stop.cancelled() => return total,
                // A live source goes on; what it gives meanwhile is lost.
                frame = source.next() => if frame.is_none() { return total },
            }
        }
    }
    total
}

/// Feeds until the end of the source (`None`) or of the connection.
async fn feed(
    source: &mut MediaSource,
    publisher: &mut Publisher,
    keyframes: &watch::Sender<u64>,
    stop: &CancellationToken,
) -> Option<RoqError> {
    let mut requests = publisher.keyframe_requests();
    let connection = publisher.connection.clone();
    loop {
        let frame = tokio::select! {
            frame = source.next() => frame?,
            () = stop.cancelled() => return None,
            error = connection.closed() => return Some(error.into()),
            Ok(()) = requests.changed() => {
                keyframes.send_modify(|count| *count += 1);
                continue;
            }
        };
        if let Err(error) = publisher.send(&frame).await {
            return Some(error);
        }
    }
}

fn add(total: &mut PublishStats, part: PublishStats) {
    total.frames += part.frames;
    total.bytes += part.bytes;
    total.dropped += part.dropped;
    total.keyframe_requests += part.keyframe_requests;
}

/// A connection over which the server tells of the device, until it ends.
struct Telling(Told);

impl Drop for Telling {
    fn drop(&mut self) {
        self.0.silence();
    }
}

/// Notes the server's keyframe requests, and that it has news, until the connection ends.
async fn read_requests(connection: Connection, keyframes: watch::Sender<u64>, telling: Telling) {
    loop {
        let packet = tokio::select! {
            datagram = connection.read_datagram() => match datagram {
                Ok(datagram) => roq::parse_datagram(&datagram).map(|(_, at)| datagram.slice(at..)),
                Err(_) => return,
            },
            stream = connection.accept_uni() => match stream {
                Ok(stream) => read_rtcp_stream(stream).await,
                Err(_) => return,
            },
        };
        let Some(packet) = packet else { continue };
        let (mut wanted, mut news) = (false, false);
        rtcp::parse(&packet, |packet| {
            wanted |= matches!(packet, rtcp::Rtcp::Pli { .. } | rtcp::Rtcp::Fir { .. });
            news |= packet == rtcp::Rtcp::App { name: rtcp::DEVICE_NEWS };
        });
        if news {
            telling.0.hear();
        }
        if wanted {
            keyframes.send_modify(|count| *count += 1);
        }
    }
}

async fn read_rtcp_stream(mut stream: RecvStream) -> Option<Bytes> {
    let whole = tokio::time::timeout(MAX_QUEUED, stream.read_to_end(MAX_RTCP)).await;
    let bytes = Bytes::from(whole.ok()?.ok()?);
    let (_, flow) = varint::read(&bytes)?;
    let (length, head) = varint::read(&bytes[flow..])?;
    let start = flow + head;
    let end = start.checked_add(usize::try_from(length).ok()?)?;
    (end <= bytes.len()).then(|| bytes.slice(start..end))
}

/// `false` if a packet does not fit a datagram, so that the frame goes on a stream.
fn send_datagrams(
    connection: &Connection,
    flow: u64,
    packets: &[(Bytes, Bytes)],
) -> Result<bool, RoqError> {
    let room = connection.max_datagram_size().unwrap_or(0);
    let longest = packets.iter().map(|(head, body)| head.len() + body.len()).max().unwrap_or(0);
    if longest + write::MAX_OVERHEAD > room.min(MAX_CANONICAL_PACKET + write::MAX_OVERHEAD) {
        return Ok(false);
    }
    for (head, body) in packets {
        let mut out = Vec::with_capacity(head.len() + body.len() + write::MAX_OVERHEAD);
        varint::write(flow, &mut out);
        out.extend_from_slice(head);
        out.extend_from_slice(body);
        match connection.send_datagram(out.into()) {
            Ok(()) => {}
            Err(quinn::SendDatagramError::ConnectionLost(error)) => return Err(error.into()),
            // The path has shrunk in between: the rest of this frame is lost.
            Err(_) => return Ok(true),
        }
    }
    Ok(true)
}

/// The stream of a frame: flow, and for each packet its length, header and payload.
fn stream_chunks(flow: u64, packets: Vec<(Bytes, Bytes)>) -> Vec<Bytes> {
    let mut chunks = Vec::with_capacity(packets.len() * 2);
    let mut head = Vec::with_capacity(write::MAX_OVERHEAD + rtp::HEADER_LEN);
    varint::write(flow, &mut head);
    for (header, payload) in packets {
        varint::write((header.len() + payload.len()) as u64, &mut head);
        head.extend_from_slice(&header);
        chunks.push(Bytes::copy_from_slice(&head));
        chunks.push(payload);
        head.clear();
    }
    chunks
}

/// NTP time: seconds since 1900 in the upper half, fractions in the lower.
fn ntp(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = since.as_secs() + 2_208_988_800;
    let fraction = (u64::from(since.subsec_nanos()) << 32) / 1_000_000_000;
    seconds << 32 | fraction
}

#[cfg(test)]
mod tests;
