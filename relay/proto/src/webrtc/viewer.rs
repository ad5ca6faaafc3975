//! What a viewer's peer sends, and what its feedback means.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::answer::{CNAME, Sources};
use super::estimate::Estimator;
use super::negotiate::{Agreed, Stamp};
use super::peer::PeerEvent;
use super::srtp::{OutSource, Plain, Sending, SrtpSender};
use crate::codec::{Codec, MediaKind};
use crate::frame::{CaptureTime, Frame};
use crate::hub::{Delivery, Resend, SenderInfo};
use crate::ids::TrackIndex;
use crate::report_clock::ReportClock;
use crate::transmit::Arena;
use crate::wire::rtcp::{self, Rtcp};
use crate::wire::rtp;

/// Packets sent again to one viewer within a second. Beyond it NACKs are ignored.
pub const MAX_RESENDS_PER_SECOND: u32 = 1000;
/// A frame carries its capture time if none did for this long (and every keyframe does).
const EXTENSION_INTERVAL: Duration = Duration::from_secs(1);
/// Bounds of the viewer's jitter buffer in units of 10 ms: at once, at most 400 ms.
const PLAYOUT_DELAY: [u8; 3] = [0, 0, 40];
/// Seconds from 1900 to 1970.
const NTP_TO_UNIX: u64 = 2_208_988_800;
/// Header, extension head, capture time, playout delay, stamp, padding.
const MAX_HEADER: usize = rtp::HEADER_LEN + 4 + 9 + 4 + 4 + 3;

type Header = SmallVec<[u8; MAX_HEADER]>;

/// The sending half of a viewer.
pub(super) struct ViewerMedia {
    tracks: SmallVec<[OutTrack; 2]>,
    resends: u32,
    resends_since: Option<Instant>,
    stamps: Stamps,
    estimator: Estimator,
}

/// Where the stamps of a viewer's packets stand.
struct Stamps {
    /// Sending times count from here.
    epoch: Instant,
    /// The transport's counter of packets.
    next: u16,
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
    stamp: Option<Stamp>,
    extended_at: Option<Instant>,
    packets: u32,
    octets: u32,
    reports: ReportClock,
}

struct Rtx {
    payload_type: u8,
    ssrc: u32,
    source: Option<OutSource>,
    seq: u16,
}

impl ViewerMedia {
    pub(super) fn new(now: Instant, agreed: &[Agreed], sources: &[Sources]) -> Self {
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
            stamp: agreed.stamp,
            extended_at: None,
            packets: 0,
            octets: 0,
            reports: ReportClock::default(),
        });
        Self {
            tracks: tracks.collect(),
            resends: 0,
            resends_since: None,
            stamps: Stamps { epoch: now, next: 0 },
            estimator: Estimator::default(),
        }
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

    /// Reads what [`Self::send`] will need.
    pub(super) fn look_ahead(&self) {
        if let Some(track) = self.tracks.first() {
            std::hint::black_box(track.ssrc);
            std::hint::black_box(track.reports.due());
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
        for (at, payload) in delivery.payloads() {
            let seq = delivery.seq.wrapping_add(at as u16);
            let marker = frame.marker(at);
            let fixed =
                rtp::header(track.payload_type, marker, seq, delivery.timestamp, track.ssrc);
            if at == 0 || track.stamp.is_some() {
                let mut header = Header::from_slice(&fixed);
                track.extend(now, (at == 0).then_some(frame), &mut self.stamps, &mut header);
                sealer.push(seq, Plain { header: &header, prefix: &[], payload });
            } else {
                sealer.push(seq, Plain { header: &fixed, prefix: &[], payload });
            }
            track.packets = track.packets.wrapping_add(1);
            track.octets = track.octets.wrapping_add(payload.len() as u32);
        }
        track.reports.start(now)
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
                let mut header = Header::from_slice(&header);
                if let Some(stamp) = track.stamp {
                    extension(&mut header, |out| self.stamps.write(now, stamp, out));
                }
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
    pub(super) fn handle_rtcp(&mut self, now: Instant, packet: Rtcp) -> Option<PeerEvent> {
        let tracks = &self.tracks;
        let find = |ssrc: u32| tracks.iter().find(|track| track.ssrc == ssrc);
        let of = |ssrc: u32| find(ssrc).map(|track| track.track);
        let octets = || tracks.iter().fold(0, |sum: u32, track| sum.wrapping_add(track.octets));
        let counted = tracks.iter().any(|track| matches!(track.stamp, Some(Stamp::Sequence(_))));
        let budget = |bits_per_second| PeerEvent::Budget { bits_per_second };
        match packet {
            Rtcp::Pli { ssrc } | Rtcp::Fir { ssrc } => {
                Some(PeerEvent::KeyframeWanted { track: of(ssrc)? })
            }
            Rtcp::Nack { ssrc, seqs } => Some(PeerEvent::Nack { track: of(ssrc)?, seqs }),
            Rtcp::Remb { bits_per_second } => {
                self.estimator.handle_remb(now, octets(), bits_per_second).map(budget)
            }
            Rtcp::TransportFeedback(seen) if counted => {
                self.estimator.handle_arrivals(now, octets(), seen).map(budget)
            }
            Rtcp::Report { ssrc, fraction_lost, highest_seq, .. } if !counted => {
                find(ssrc).filter(|track| track.video)?;
                let estimator = &mut self.estimator;
                estimator.handle_report(now, octets(), fraction_lost, highest_seq).map(budget)
            }
            Rtcp::SenderReport { .. }
            | Rtcp::Report { .. }
            | Rtcp::TransportFeedback(_)
            | Rtcp::Bye { .. }
            | Rtcp::App { .. } => None,
        }
    }

    /// A track whose sender report is due or will be soon.
    pub(super) fn poll_early_report(&mut self, now: Instant) -> Option<TrackIndex> {
        let mut tracks = self.tracks.iter_mut();
        tracks.find_map(|track| track.reports.take_beside_media(now).then_some(track.track))
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.tracks.iter().filter_map(|track| track.reports.due()).min()
    }

    /// The next track whose sender report is due.
    pub(super) fn poll_report(&mut self, now: Instant) -> Option<TrackIndex> {
        let mut tracks = self.tracks.iter_mut();
        tracks.find_map(|track| track.reports.take(now).then_some(track.track))
    }
}

impl OutTrack {
    /// Adds the agreed header extensions: the stamp to every packet; the rest to the first packet
    /// of a keyframe, and of some frame at least once a second. `first` is the frame that begins
    /// with this packet.
    fn extend(
        &mut self,
        now: Instant,
        first: Option<&Frame>,
        stamps: &mut Stamps,
        header: &mut Header,
    ) {
        let recent = |at: Instant| now.saturating_duration_since(at) < EXTENSION_INTERVAL;
        let recently = self.extended_at.is_some_and(recent);
        let frame = first.filter(|frame| self.video && frame.descriptor.keyframe || !recently);
        let capture = frame.and_then(|frame| self.capture_time.zip(frame.descriptor.capture));
        let playout_delay = self.playout_delay.filter(|_| frame.is_some());
        if capture.is_some() || playout_delay.is_some() {
            self.extended_at = Some(now);
        }
        extension(header, |out| {
            if let Some((id, capture)) = capture {
                out.push(id << 4 | 7);
                out.extend_from_slice(&ntp(capture).to_be_bytes());
            }
            if let Some(id) = playout_delay {
                out.push(id << 4 | 2);
                out.extend_from_slice(&PLAYOUT_DELAY);
            }
            if let Some(stamp) = self.stamp {
                stamps.write(now, stamp, out);
            }
        });
    }
}

impl Stamps {
    /// Appends the stamp of the next packet, 3 or 4 bytes.
    fn write(&mut self, now: Instant, stamp: Stamp, out: &mut Header) {
        match stamp {
            Stamp::SendTime(id) => {
                // Seconds as 6.18 bits; only differences count.
                let passed = now.saturating_duration_since(self.epoch);
                let time = (passed.as_nanos() << 18) / 1_000_000_000;
                let [_, high, middle, low] = (time as u32).to_be_bytes();
                out.extend_from_slice(&[id << 4 | 2, high, middle, low]);
            }
            Stamp::Sequence(id) => {
                let [high, low] = self.next.to_be_bytes();
                self.next = self.next.wrapping_add(1);
                out.extend_from_slice(&[id << 4 | 1, high, low]);
            }
        }
    }
}

/// Appends a block of one-byte header extensions (RFC 8285, 4.2) with what `write` puts into it;
/// none if that is nothing.
fn extension(header: &mut Header, write: impl FnOnce(&mut Header)) {
    let start = header.len();
    header.extend_from_slice(&[0xbe, 0xde, 0, 0]);
    write(header);
    let words = (header.len() - start - 4).div_ceil(4);
    if words == 0 {
        return header.truncate(start);
    }
    header.resize(start + 4 + words * 4, 0);
    header[start + 3] = words as u8;
    header[0] |= 0x10;
}

/// A capture time as NTP, 32.32 bits.
fn ntp(capture: CaptureTime) -> u64 {
    let seconds = (capture.0 / 1_000_000).wrapping_add(NTP_TO_UNIX);
    let fraction = ((capture.0 % 1_000_000) << 32) / 1_000_000;
    seconds << 32 | fraction
}
