//! From a publisher's RTP packets to canonical frames.
//!
//! Packets of a track are brought into sequence (`reorder`), joined to frames, cut to canonical
//! payloads once (`cut`) and placed on the track's own timeline (`timeline`). What is lost makes
//! no gap in the canonical sequence: the next frame says [`Descriptor::discontinuity`].
//!
//! Sealed frames are joined by the bits before their pieces and described by the camera (`sealed`).
//! Their payloads stay as they came; nothing looks behind the clear part.

mod cut;
mod parameter_sets;
mod reorder;
mod sealed;
mod timeline;

use std::collections::VecDeque;
use std::mem;
use std::time::Instant;

use bytes::Bytes;

use self::cut::audio::{AudioCutter, AudioFrame};
use self::cut::{Broken, Cut, VideoCutter};
use self::reorder::{Ordered, Packet, Reorder};
pub use self::sealed::SealedBy;
use self::sealed::{SealedAssembly, SealedFrame};
use self::timeline::Timeline;
use crate::codec::{MediaKind, TrackInfo};
use crate::frame::{ArrivalTime, CaptureTime, Descriptor, Frame, Protection};
use crate::hub::SenderInfo;
use crate::ids::TrackIndex;
use crate::limits::{MAX_FRAME, MAX_INGEST_PACKET};
use crate::wire::rtp;

/// Packets of one frame, as they come in and as they go out. A frame of more is dropped.
pub const MAX_FRAME_PACKETS: usize = 8192;
/// Finished frames that wait to be polled. More are dropped and counted as lost.
pub const MAX_PENDING_FRAMES: usize = 1024;

/// Orders, joins and re-cuts the packets of one track.
///
/// The caller hands in RTP of the track's payload type only: retransmissions (RTX), forward error
/// correction and comfort noise are sorted out before.
#[derive(Debug)]
pub struct TrackIngest {
    track: TrackIndex,
    info: TrackInfo,
    reorder: Reorder,
    timeline: Timeline,
    assembly: Assembly,
    ready: VecDeque<Frame>,
    next_seq: u64,
    discontinuity: bool,
    frames_lost: u64,
}

#[derive(Debug)]
enum Assembly {
    Video(Box<VideoAssembly>),
    Audio(AudioCutter),
    Sealed(Box<SealedAssembly>),
}

#[derive(Debug)]
struct VideoAssembly {
    cutter: VideoCutter,
    state: State,
    /// Payloads of the frame being built.
    packets: Vec<Bytes>,
    bytes: usize,
    /// Whether the next packet must be seen to start a picture: packets before it are unknown.
    unsure: bool,
    /// Timestamp of the frame finished last.
    finished: Option<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Between frames.
    Idle,
    /// Packets of a frame are here.
    Building { timestamp: u32, arrival: Instant },
    /// The rest of a frame that cannot be completed is passed over.
    Skipping { timestamp: u32 },
}

impl TrackIngest {
    /// Ingest of one track of clear media. `unordered`: the transport may lose or reorder (UDP).
    /// `first_seq` and `first_time` start the canonical timeline.
    pub fn new(
        track: TrackIndex,
        info: TrackInfo,
        unordered: bool,
        first_seq: u16,
        first_time: u32,
    ) -> Self {
        let assembly = Assembly::new(&info);
        Self::with(track, info, assembly, unordered, (first_seq, first_time))
    }

    /// Ingest of one track of sealed frames. `by`: whose they have to be; `None` for whoever opens
    /// them and checks it then. `start`: first sequence number and time of the canonical timeline.
    pub fn sealed(
        track: TrackIndex,
        info: TrackInfo,
        by: Option<SealedBy>,
        unordered: bool,
        start: (u16, u32),
    ) -> Self {
        let assembly = Assembly::Sealed(Box::new(SealedAssembly::new(track, &info, by)));
        Self::with(track, info, assembly, unordered, start)
    }

    fn with(
        track: TrackIndex,
        info: TrackInfo,
        assembly: Assembly,
        unordered: bool,
        (first_seq, first_time): (u16, u32),
    ) -> Self {
        Self {
            track,
            reorder: Reorder::new(unordered),
            timeline: Timeline::new(info.clock_rate, first_time),
            assembly,
            info,
            ready: VecDeque::new(),
            next_seq: u64::from(first_seq),
            discontinuity: false,
            frames_lost: 0,
        }
    }

    /// One RTP packet with its header. `false`: refused as malformed or longer than
    /// [`MAX_INGEST_PACKET`].
    ///
    /// A payload that is no part of a frame of the track's codec shows only once the frame is
    /// complete: the frame is dropped and counted in [`Self::frames_lost`]. So is a sealed frame
    /// whose clear part is malformed or another track's.
    pub fn handle_rtp(&mut self, now: Instant, packet: Bytes) -> bool {
        if packet.len() > MAX_INGEST_PACKET {
            return false;
        }
        let Some(header) = rtp::parse(&packet) else { return false };
        self.reorder.push(Packet {
            ssrc: header.ssrc,
            seq: header.seq,
            timestamp: header.timestamp,
            marker: header.marker,
            arrival: now,
            payload: packet.slice(header.payload),
        });
        self.drain();
        true
    }

    /// The publisher's mapping of its RTP clock to wall time.
    pub fn handle_sender_report(&mut self, _now: Instant, info: SenderInfo) {
        self.timeline.report(info);
    }

    /// The next finished frame, in order.
    pub fn poll_frame(&mut self, now: Instant) -> Option<Frame> {
        self.reorder.expire(now);
        self.drain();
        self.ready.pop_front()
    }

    /// When a missing packet is given up.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.reorder.deadline()
    }

    /// The publisher starts anew (another connection): its sequence, timestamps and SSRC may differ,
    /// the canonical timeline goes on without a step back; the gap in it is the real time passed.
    ///
    /// Frames that the old connection left unfinished are dropped. Parameter sets known so far stay, unless
    /// `info` brings its own. The generation of sealed frames never falls, whoever sends them.
    pub fn resume(&mut self, _now: Instant, info: TrackInfo, unordered: bool) {
        self.reorder.flush();
        self.drain();
        self.reorder.reset(unordered);
        self.restart();
        match &mut self.assembly {
            Assembly::Video(video) if info.codec == self.info.codec => video.cutter.restart(&info),
            Assembly::Sealed(_) => {}
            assembly => *assembly = Assembly::new(&info),
        }
        self.timeline.restart(info.clock_rate);
        self.info = info;
    }

    /// Canonical time of a wall-clock NTP instant and back, once a sender report came.
    pub fn sender_info(&self) -> Option<SenderInfo> {
        self.timeline.sender_info()
    }

    /// Frames lost so far. Where whole frames are missing, their number is a guess from below.
    pub fn frames_lost(&self) -> u64 {
        self.frames_lost
    }

    /// The latest parameter sets, in sending order and without start codes, for a session
    /// description. Empty for AV1, audio and whatever is sealed.
    pub fn parameter_sets(&self) -> Vec<Bytes> {
        match &self.assembly {
            Assembly::Video(video) => video.cutter.parameter_sets(),
            Assembly::Audio(_) | Assembly::Sealed(_) => Vec::new(),
        }
    }

    /// Whether a picture of a new generation was dropped since the last call because it was no
    /// keyframe: nothing comes until there is one.
    pub fn take_keyframe_wish(&mut self) -> bool {
        match &mut self.assembly {
            Assembly::Sealed(sealed) => sealed.take_wish(),
            Assembly::Video(_) | Assembly::Audio(_) => false,
        }
    }

    /// Packets dropped so far because they came twice or too late.
    pub fn packets_dropped(&self) -> u64 {
        self.reorder.dropped()
    }

    fn drain(&mut self) {
        while let Some(ordered) = self.reorder.pop() {
            match ordered {
                Ordered::Packet(packet) if packet.payload.is_empty() => {}
                Ordered::Packet(packet) => self.join(packet),
                Ordered::Gap(missing) => self.gap(missing),
                Ordered::Restart => {
                    self.restart();
                    self.timeline.restart(self.info.clock_rate);
                }
            }
        }
    }

    fn lose(&mut self, frames: u64) {
        self.frames_lost += frames;
        self.discontinuity = true;
    }

    fn gap(&mut self, missing: u64) {
        match &mut self.assembly {
            Assembly::Audio(cutter) => {
                cutter.reset();
                self.lose(missing);
            }
            Assembly::Video(video) => {
                video.abandon();
                video.unsure = true;
                self.lose(1);
            }
            Assembly::Sealed(sealed) => {
                sealed.restart();
                self.lose(1);
            }
        }
    }

    fn restart(&mut self) {
        let unfinished = match &mut self.assembly {
            Assembly::Audio(cutter) => cutter.reset(),
            Assembly::Sealed(sealed) => sealed.restart(),
            Assembly::Video(video) => {
                let building = matches!(video.state, State::Building { .. });
                video.abandon();
                video.state = State::Idle;
                video.finished = None;
                video.unsure = true;
                building
            }
        };
        self.lose(u64::from(unfinished));
    }

    fn join(&mut self, packet: Packet) {
        match &mut self.assembly {
            Assembly::Audio(_) => self.join_audio(&packet),
            Assembly::Video(_) => self.join_video(packet),
            Assembly::Sealed(_) => self.join_sealed(packet),
        }
    }

    fn join_sealed(&mut self, packet: Packet) {
        let Assembly::Sealed(sealed) = &mut self.assembly else { return };
        let joined = sealed.join(packet);
        if joined.lost > 0 {
            self.lose(joined.lost);
        }
        let Some(SealedFrame { timestamp, arrival, head, payloads }) = joined.frame else { return };
        let said = &head.descriptor;
        let generation = head.header.key.generation.number();
        let described = Described {
            keyframe: said.keyframe || said.codec.kind() == MediaKind::Audio,
            discardable: said.discardable,
            discontinuity: said.discontinuity,
            protection: Protection::Sealed { generation },
            capture: Some(said.capture),
        };
        self.emit(timestamp, arrival, payloads, described);
    }

    fn join_audio(&mut self, packet: &Packet) {
        let Assembly::Audio(cutter) = &mut self.assembly else { return };
        let cut = cutter.cut(packet.timestamp, &packet.payload);
        if cut.lost > 0 {
            self.lose(cut.lost);
        }
        // Audio decoders carry state from frame to frame, so none is said to be discardable.
        for AudioFrame { offset, payloads } in cut.frames {
            let timestamp = packet.timestamp.wrapping_add(offset);
            let cut = Cut { payloads, keyframe: true, discardable: false };
            self.emit_clear(timestamp, packet.arrival, cut);
        }
    }

    fn join_video(&mut self, packet: Packet) {
        let Assembly::Video(video) = &mut self.assembly else { return };
        if let State::Building { timestamp, .. } = video.state
            && timestamp != packet.timestamp
        {
            // The end of a frame whose sender sets no marker.
            self.finish();
        }
        let Assembly::Video(video) = &mut self.assembly else { return };
        let marker = packet.marker;
        let lost = video.join(packet);
        if lost {
            self.lose(1);
        }
        if marker {
            self.finish();
        }
    }

    /// Ends the frame being built or passed over.
    fn finish(&mut self) {
        let Assembly::Video(video) = &mut self.assembly else { return };
        let state = mem::replace(&mut video.state, State::Idle);
        video.bytes = 0;
        let State::Building { timestamp, arrival } = state else { return };
        let continued = video.finished == Some(timestamp);
        let cut = video.cutter.cut(&video.packets, continued);
        video.packets.clear();
        match cut {
            Err(Broken) => self.lose(1),
            Ok(None) => {}
            Ok(Some(cut)) => {
                video.finished = Some(timestamp);
                self.emit_clear(timestamp, arrival, cut);
            }
        }
    }

    fn emit_clear(&mut self, timestamp: u32, arrival: Instant, cut: Cut) {
        let described = Described {
            keyframe: cut.keyframe,
            discardable: cut.discardable,
            discontinuity: false,
            protection: Protection::Open,
            capture: None,
        };
        self.emit(timestamp, arrival, cut.payloads, described);
    }

    fn emit(
        &mut self,
        timestamp: u32,
        arrival: Instant,
        payloads: Vec<Bytes>,
        described: Described,
    ) {
        let media_time = self.timeline.place(timestamp, arrival);
        if payloads.is_empty() || self.ready.len() >= MAX_PENDING_FRAMES {
            return self.lose(1);
        }
        let first_seq = self.next_seq;
        self.next_seq += payloads.len() as u64;
        self.ready.push_back(Frame {
            descriptor: Descriptor {
                track: self.track,
                tier: self.info.tier,
                codec: self.info.codec,
                keyframe: described.keyframe,
                discardable: described.discardable,
                discontinuity: mem::take(&mut self.discontinuity) | described.discontinuity,
                protection: described.protection,
                media_time,
                capture: described.capture.or_else(|| self.timeline.capture(timestamp)),
                arrival: ArrivalTime(arrival),
            },
            first_seq,
            payloads: payloads.into_boxed_slice(),
        });
    }
}

/// What a frame's descriptor takes from where the frame comes from.
struct Described {
    keyframe: bool,
    discardable: bool,
    discontinuity: bool,
    protection: Protection,
    /// As the camera says. `None`: as its sender reports tell.
    capture: Option<CaptureTime>,
}

impl Assembly {
    fn new(info: &TrackInfo) -> Self {
        match VideoCutter::new(info) {
            Some(cutter) => Self::Video(Box::new(VideoAssembly {
                cutter,
                state: State::Idle,
                packets: Vec::new(),
                bytes: 0,
                unsure: true,
                finished: None,
            })),
            None => Self::Audio(AudioCutter::new(info.codec, info.channels)),
        }
    }
}

impl VideoAssembly {
    /// Adds a packet to its frame; `true` if that frame is found to be lost.
    fn join(&mut self, packet: Packet) -> bool {
        let timestamp = packet.timestamp;
        if self.state == (State::Skipping { timestamp }) {
            // In sequence again: where this frame ends the next one begins.
            self.unsure = false;
            return false;
        }
        let unsure = mem::take(&mut self.unsure);
        if unsure && !self.cutter.starts_frame(&packet.payload) {
            // Its head was lost with the packets before, which are counted.
            self.abandon();
            self.state = State::Skipping { timestamp };
            return false;
        }
        let arrival = match self.state {
            State::Building { arrival, .. } => arrival,
            State::Idle | State::Skipping { .. } => packet.arrival,
        };
        self.state = State::Building { timestamp, arrival };
        self.bytes += packet.payload.len();
        if self.bytes > MAX_FRAME || self.packets.len() >= MAX_FRAME_PACKETS {
            self.abandon();
            return true;
        }
        self.packets.push(packet.payload);
        false
    }

    /// Drops what is there of the frame being built and passes over its rest.
    fn abandon(&mut self) {
        self.packets.clear();
        self.bytes = 0;
        if let State::Building { timestamp, .. } = self.state {
            self.state = State::Skipping { timestamp };
        }
    }
}

#[cfg(test)]
mod tests;
