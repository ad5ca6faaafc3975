//! What a publisher's peer receives, and the feedback that it gets.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use smallvec::SmallVec;

use super::answer::CNAME;
use super::negotiate::{Agreed, Feedback};
use super::peer::PeerEvent;
use super::reception::Reception;
use super::srtp::SrtpSender;
use crate::codec::{Codec, MediaKind};
use crate::ids::TrackIndex;
use crate::pool::PacketPool;
use crate::transmit::Arena;
use crate::wire::rtcp::{self, Rtcp};
use crate::wire::rtp;

/// Time between two receiver reports.
pub const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// A track's source may change once the old one was silent this long: an encoder that restarted.
const SOURCE_CHANGE: Duration = Duration::from_secs(2);

/// The receiving half of a publisher.
pub(super) struct PublisherMedia {
    ssrc: u32,
    tracks: SmallVec<[InTrack; 2]>,
    report_due: Option<Instant>,
}

struct InTrack {
    track: TrackIndex,
    video: bool,
    clock_rate: u32,
    payload_type: u8,
    rtx: Option<u8>,
    feedback: Feedback,
    source: Option<Reception>,
    pool: PacketPool,
    keyframe_wanted: bool,
    fir_number: u8,
}

impl PublisherMedia {
    /// `ssrc` is ours, for the reports.
    pub(super) fn new(agreed: &[Agreed], ssrc: u32) -> Self {
        let tracks = agreed.iter().map(|agreed| InTrack {
            track: agreed.track,
            video: Codec::from_rtpmap_name(&agreed.codec.name)
                .is_some_and(|codec| codec.kind() == MediaKind::Video),
            clock_rate: agreed.codec.clock_rate,
            payload_type: agreed.codec.payload_type,
            rtx: agreed.rtx,
            feedback: agreed.feedback,
            source: None,
            pool: PacketPool::default(),
            keyframe_wanted: false,
            fir_number: 0,
        });
        Self { ssrc, tracks: tracks.collect(), report_due: None }
    }

    /// An authenticated packet: which track it belongs to, and the packet as the encoder made it.
    pub(super) fn handle_rtp(
        &mut self,
        now: Instant,
        packet: &[u8],
    ) -> Option<(TrackIndex, Bytes)> {
        let header = rtp::parse(packet)?;
        let by_type = |track: &&mut InTrack| {
            track.payload_type == header.payload_type || track.rtx == Some(header.payload_type)
        };
        let track = self.tracks.iter_mut().find(by_type)?;
        self.report_due.get_or_insert(now + REPORT_INTERVAL);
        if track.rtx == Some(header.payload_type) {
            return track.repair(packet, &header);
        }
        if !track.accepts(now, &header) {
            return None;
        }
        let stored = track.pool.store(packet);
        // Packets of sound are a frame each, and their marker is none of a frame's end.
        if header.marker || !track.video {
            track.pool.end_frame();
        }
        Some((track.track, stored))
    }

    /// A report or goodbye of the publisher.
    pub(super) fn handle_rtcp(&mut self, now: Instant, packet: Rtcp) -> Option<PeerEvent> {
        let Rtcp::SenderReport { ssrc, info } = packet else { return None };
        let of = |track: &&mut InTrack| {
            track.source.as_ref().is_some_and(|source| source.ssrc() == ssrc)
        };
        let track = self.tracks.iter_mut().find(of)?;
        track.source.as_mut()?.handle_sender_report(now, info);
        Some(PeerEvent::SenderReport { track: track.track, info })
    }

    /// Remembers that a keyframe is needed; it is asked for as soon as the source is known.
    pub(super) fn request_keyframe(&mut self, wanted: TrackIndex) {
        let known = self.tracks.iter_mut().find(|track| track.track == wanted && track.video);
        if let Some(track) = known {
            track.keyframe_wanted = track.feedback.pli || track.feedback.fir;
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let sources = self.tracks.iter().filter_map(|track| track.source.as_ref());
        sources.filter_map(Reception::nack_deadline).chain(self.report_due).min()
    }

    /// Sends the feedback that is due.
    pub(super) fn send_feedback(
        &mut self,
        now: Instant,
        to: SocketAddr,
        sender: &mut SrtpSender,
        arena: &mut Arena,
    ) {
        let report = self.report_due.is_some_and(|at| at <= now);
        if report {
            self.report_due = Some(now + REPORT_INTERVAL);
        }
        let ssrc = self.ssrc;
        let tracks = &mut self.tracks;
        arena.push_with(to, |out| {
            let start = out.len();
            if report {
                for source in tracks.iter_mut().filter_map(|track| track.source.as_mut()) {
                    let block = source.report(now);
                    rtcp::write_receiver_report(out, ssrc, Some(block), CNAME);
                }
            } else {
                // A compound begins with a report (RFC 3550, 6.1).
                rtcp::write_receiver_report(out, ssrc, None, CNAME);
            }
            let reports = out.len();
            for track in tracks.iter_mut() {
                track.write_feedback(now, ssrc, out);
            }
            let anything = out.len() > start && (report || out.len() > reports);
            anything && sender.seal_rtcp(out, start)
        });
    }

    /// Says goodbye.
    pub(super) fn send_bye(&self, to: SocketAddr, sender: &mut SrtpSender, arena: &mut Arena) {
        arena.push_with(to, |out| {
            let start = out.len();
            rtcp::write_receiver_report(out, self.ssrc, None, CNAME);
            rtcp::write_bye(out, self.ssrc);
            sender.seal_rtcp(out, start)
        });
    }
}

impl InTrack {
    /// Counts a packet of the track's source, or takes over a new source.
    fn accepts(&mut self, now: Instant, header: &rtp::Header) -> bool {
        let silent =
            |source: &Reception| now.saturating_duration_since(source.last_seen()) >= SOURCE_CHANGE;
        match &self.source {
            Some(source) if source.ssrc() == header.ssrc => {}
            Some(source) if !silent(source) => return false,
            _ => {
                let nack = self.feedback.nack;
                self.source =
                    Some(Reception::new(now, header.ssrc, self.clock_rate, header.seq, nack));
            }
        }
        if let Some(source) = &mut self.source {
            source.handle_packet(now, header.seq, header.timestamp);
        }
        true
    }

    /// The original packet out of a retransmission (RFC 4588, 4).
    fn repair(&mut self, packet: &[u8], header: &rtp::Header) -> Option<(TrackIndex, Bytes)> {
        let source = self.source.as_mut()?;
        let (seq, payload) = packet.get(header.payload.clone())?.split_first_chunk()?;
        if payload.is_empty() {
            return None;
        }
        let seq = u16::from_be_bytes(*seq);
        source.handle_repaired(seq);
        let head =
            rtp::header(self.payload_type, header.marker, seq, header.timestamp, source.ssrc());
        Some((self.track, Bytes::from([&head[..], payload].concat())))
    }

    fn write_feedback(&mut self, now: Instant, from: u32, out: &mut Vec<u8>) {
        let Some(source) = &mut self.source else { return };
        let missing = source.poll_nack(now);
        if !missing.is_empty() {
            rtcp::write_nack(out, from, source.ssrc(), &missing);
        }
        if !std::mem::take(&mut self.keyframe_wanted) {
            return;
        }
        if self.feedback.pli {
            rtcp::write_pli(out, from, source.ssrc());
        } else {
            self.fir_number = self.fir_number.wrapping_add(1);
            rtcp::write_fir(out, from, source.ssrc(), self.fir_number);
        }
    }
}
