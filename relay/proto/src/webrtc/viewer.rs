//! What a viewer's peer sends, and what its feedback means.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::answer::{CNAME, Sources};
use super::negotiate::Agreed;
use super::peer::PeerEvent;
use super::srtp::{OutSource, Plain, Sending, SrtpSender};
use crate::codec::{Codec, MediaKind};
use crate::frame::{CaptureTime, Frame};
use crate::hub::{Delivery, Resend, SenderInfo};
use crate::ids::TrackIndex;
use crate::transmit::Arena;
use crate::wire::rtcp::{self, Rtcp};
use crate::wire::rtp;

/// Time between two sender reports of a track.
pub const SENDER_REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// Packets sent again to one viewer within a second. Beyond it NACKs are ignored.
pub const MAX_RESENDS_PER_SECOND: u32 = 1000;
/// A frame carries its capture time if none did for this long (and every keyframe does).
const EXTENSION_INTERVAL: Duration = Duration::from_secs(1);
/// Bounds of the viewer's jitter buffer in units of 10 ms: at once, at most 400 ms.
const PLAYOUT_DELAY: [u8; 3] = [0, 0, 40];
/// Seconds from 1900 to 1970.
const NTP_TO_UNIX: u64 = 2_208_988_800;
/// Header, extension head, capture time, playout delay, padding.
const MAX_HEADER: usize = rtp::HEADER_LEN + 4 + 9 + 4 + 3;

type Header = SmallVec<[u8; MAX_HEADER]>;

/// The sending half of a viewer.
pub(super) struct ViewerMedia {
    tracks: SmallVec<[OutTrack; 2]>,
    resends: u32,
    resends_since: Option<Instant>,
}

struct OutTrack {
    track: TrackIndex,
    video: bool,
    payload_type: u8,
    ssrc: u32,
    source: Option<OutSource>,
    rtx: Option<Rtx>,
    capture_time: Option<u8>,
    playout_delay: Option<u8>,
    extended_at: Option<Instant>,
    packets: u32,
    octets: u32,
    report_due: Option<Instant>,
}

struct Rtx {
    payload_type: u8,
    ssrc: u32,
    source: Option<OutSource>,
    seq: u16,
}

impl ViewerMedia {
    pub(super) fn new(agreed: &[Agreed], sources: &[Sources]) -> Self {
        let tracks = agreed.iter().zip(sources).map(|(agreed, sources)| OutTrack {
            track: agreed.track,
            video: Codec::from_rtpmap_name(&agreed.codec.name)
                .is_some_and(|codec| codec.kind() == MediaKind::Video),
            payload_type: agreed.codec.payload_type,
            ssrc: sources.media,
            source: None,
            rtx: agreed.rtx.zip(sources.rtx).map(|(payload_type, ssrc)| Rtx {
                payload_type,
                ssrc,
                source: None,
                // Well below the wrap; the SSRC is random already.
                seq: ssrc as u16 & 0x7fff,
            }),
            capture_time: agreed.capture_time,
            playout_delay: agreed.playout_delay,
            extended_at: None,
            packets: 0,
            octets: 0,
            report_due: None,
        });
        Self { tracks: tracks.collect(), resends: 0, resends_since: None }
    }

    /// SRTP is up: registers our sources with it.
    pub(super) fn register(&mut self, sender: &mut SrtpSender) {
        for track in &mut self.tracks {
            track.source = Some(sender.add_source(track.ssrc));
            if let Some(rtx) = &mut track.rtx {
                rtx.source = Some(sender.add_source(rtx.ssrc));
            }
        }
    }

    /// Seals a frame's packets into the arena. `true` if a first report is due now.
    pub(super) fn send(
        &mut self,
        now: Instant,
        delivery: &Delivery,
        to: SocketAddr,
        sender: &mut SrtpSender,
        arena: &mut Arena,
    ) -> bool {
        let Some(track) = self.tracks.iter_mut().find(|track| track.track == delivery.track) else {
            return false;
        };
        let Some(source) = track.source else { return false };
        let frame = &*delivery.frame;
        let mut sealer = sender.begin_frame(source, to, arena);
        for (at, payload) in frame.payloads.iter().enumerate() {
            let seq = delivery.seq.wrapping_add(at as u16);
            let marker = frame.marker(at);
            let mut header = Header::from_slice(&rtp::header(
                track.payload_type,
                marker,
                seq,
                delivery.timestamp,
                track.ssrc,
            ));
            if at == 0 {
                track.extend(now, frame, &mut header);
            }
            sealer.push(seq, Plain { header: &header, prefix: &[], payload });
            track.packets = track.packets.wrapping_add(1);
            track.octets = track.octets.wrapping_add(payload.len() as u32);
        }
        let first = track.report_due.is_none();
        track.report_due.get_or_insert(now);
        first
    }

    /// Seals an earlier packet again: over RTX where agreed (RFC 4588), else as it was.
    pub(super) fn resend(
        &mut self,
        now: Instant,
        (track, seq): (TrackIndex, u16),
        resend: &Resend,
        to: SocketAddr,
        sender: &mut SrtpSender,
        arena: &mut Arena,
    ) {
        if !self.may_resend(now) {
            return;
        }
        let Some(track) = self.tracks.iter_mut().find(|known| known.track == track) else { return };
        let (timestamp, payload) = (resend.timestamp, &resend.payload);
        let marker = resend.marker;
        match &mut track.rtx {
            Some(rtx) => {
                let Some(source) = rtx.source else { return };
                let own = rtx.seq;
                rtx.seq = own.wrapping_add(1);
                let header = rtp::header(rtx.payload_type, marker, own, timestamp, rtx.ssrc);
                let original = seq.to_be_bytes();
                let packet = Plain { header: &header, prefix: &original, payload };
                let len = sender.sealed_len(packet);
                arena.push_sized(to, len, |out| {
                    sender.seal(source, Sending::First, own, packet, out)
                });
            }
            None => {
                let Some(source) = track.source else { return };
                let header = rtp::header(track.payload_type, marker, seq, timestamp, track.ssrc);
                let packet = Plain { header: &header, prefix: &[], payload };
                let len = sender.sealed_len(packet);
                arena.push_sized(to, len, |out| {
                    sender.seal(source, Sending::Again, seq, packet, out)
                });
            }
        }
    }

    fn may_resend(&mut self, now: Instant) -> bool {
        let fresh = |since: Instant| now.saturating_duration_since(since) < Duration::from_secs(1);
        if !self.resends_since.is_some_and(fresh) {
            self.resends_since = Some(now);
            self.resends = 0;
        }
        self.resends += 1;
        self.resends <= MAX_RESENDS_PER_SECOND
    }

    /// Seals a sender report.
    pub(super) fn send_report(
        &mut self,
        track: TrackIndex,
        info: SenderInfo,
        to: SocketAddr,
        sender: &mut SrtpSender,
        arena: &mut Arena,
    ) {
        let Some(track) = self.tracks.iter().find(|known| known.track == track) else { return };
        arena.push_with(to, |out| {
            let start = out.len();
            rtcp::write_sender_report(out, track.ssrc, info, track.packets, track.octets, CNAME);
            sender.seal_rtcp(out, start)
        });
    }

    /// Says goodbye for every source.
    pub(super) fn send_bye(&self, to: SocketAddr, sender: &mut SrtpSender, arena: &mut Arena) {
        arena.push_with(to, |out| {
            let start = out.len();
            for track in &self.tracks {
                rtcp::write_receiver_report(out, track.ssrc, None, CNAME);
                rtcp::write_bye(out, track.ssrc);
            }
            sender.seal_rtcp(out, start)
        });
    }

    /// Feedback of the viewer.
    pub(super) fn handle_rtcp(&self, packet: Rtcp) -> Option<PeerEvent> {
        let of = |ssrc: u32| {
            let track = self.tracks.iter().find(|track| track.ssrc == ssrc);
            track.map(|track| track.track)
        };
        match packet {
            Rtcp::Pli { ssrc } | Rtcp::Fir { ssrc } => {
                Some(PeerEvent::KeyframeWanted { track: of(ssrc)? })
            }
            Rtcp::Nack { ssrc, seqs } => Some(PeerEvent::Nack { track: of(ssrc)?, seqs }),
            Rtcp::SenderReport { .. } | Rtcp::Report { .. } | Rtcp::Bye { .. } => None,
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.tracks.iter().filter_map(|track| track.report_due).min()
    }

    /// The next track whose sender report is due.
    pub(super) fn poll_report(&mut self, now: Instant) -> Option<TrackIndex> {
        let due = |track: &&mut OutTrack| track.report_due.is_some_and(|at| at <= now);
        let track = self.tracks.iter_mut().find(due)?;
        track.report_due = Some(now + SENDER_REPORT_INTERVAL);
        Some(track.track)
    }
}

impl OutTrack {
    /// Adds the agreed header extensions to the first packet of a keyframe, and of some frame at
    /// least once a second.
    fn extend(&mut self, now: Instant, frame: &Frame, header: &mut Header) {
        let recent = |at: Instant| now.saturating_duration_since(at) < EXTENSION_INTERVAL;
        let wanted =
            self.video && frame.descriptor.keyframe || !self.extended_at.is_some_and(recent);
        let capture = self.capture_time.zip(frame.descriptor.capture);
        if !wanted || (capture.is_none() && self.playout_delay.is_none()) {
            return;
        }
        self.extended_at = Some(now);
        let start = header.len();
        header.extend_from_slice(&[0xbe, 0xde, 0, 0]);
        if let Some((id, capture)) = capture {
            header.push(id << 4 | 7);
            header.extend_from_slice(&ntp(capture).to_be_bytes());
        }
        if let Some(id) = self.playout_delay {
            header.push(id << 4 | 2);
            header.extend_from_slice(&PLAYOUT_DELAY);
        }
        let words = (header.len() - start - 4).div_ceil(4);
        header.resize(start + 4 + words * 4, 0);
        header[start + 3] = words as u8;
        header[0] |= 0x10;
    }
}

/// A capture time as NTP, 32.32 bits.
fn ntp(capture: CaptureTime) -> u64 {
    let seconds = (capture.0 / 1_000_000).wrapping_add(NTP_TO_UNIX);
    let fraction = ((capture.0 % 1_000_000) << 32) / 1_000_000;
    seconds << 32 | fraction
}
