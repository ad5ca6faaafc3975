//! One WebRTC peer: ICE, DTLS and SRTP around its media.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use smallvec::SmallVec;

use super::answer::Sources;
use super::dtls::{DtlsEvent, DtlsFailure, DtlsIdentity, DtlsSession};
use super::ice::{Check, Credentials, IceLite};
use super::negotiate::{PublishPlan, ViewPlan};
use super::publisher::PublisherMedia;
use super::sdp::Transport;
use super::srtp::Srtp;
use super::stun::BindingRequest;
use super::viewer::ViewerMedia;
use crate::hub::{Delivery, Resend, SenderInfo};
use crate::ids::TrackIndex;
use crate::transmit::Arena;
use crate::wire::rtcp;
use crate::wire::rtp::is_rtcp;

/// Time from the answer to the first sealed packet; a peer that needs longer is closed.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Events that wait for the caller. Feedback beyond it is dropped, an end never.
pub const MAX_EVENTS: usize = 256;

/// What a peer tells its caller.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PeerEvent {
    /// Packets can flow.
    Connected,
    /// The viewer needs a keyframe.
    KeyframeWanted {
        /// Of which track.
        track: TrackIndex,
    },
    /// The viewer misses packets; answer with [`WebRtcPeer::resend`].
    Nack {
        /// Of which track.
        track: TrackIndex,
        /// Sequence numbers.
        seqs: SmallVec<[u16; 17]>,
    },
    /// A sender report is due; answer with [`WebRtcPeer::send_report`].
    ReportDue {
        /// Of which track.
        track: TrackIndex,
    },
    /// What the viewer's way carries has changed, or is limited still.
    Budget {
        /// Bits per second; `None`: no limit is known any more.
        bits_per_second: Option<u64>,
    },
    /// A publisher's clock mapping.
    SenderReport {
        /// Of which track.
        track: TrackIndex,
        /// The mapping.
        info: SenderInfo,
    },
    /// The peer has ended; nothing follows.
    Closed(CloseCause),
}

/// Why a peer has ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum CloseCause {
    /// No connection within [`HANDSHAKE_TIMEOUT`].
    #[error("no connection came about in time")]
    HandshakeTimeout,
    /// DTLS failed.
    #[error("{0}")]
    Dtls(#[from] DtlsFailure),
    /// No authentic check for [`super::CONSENT_TIMEOUT`].
    #[error("the peer is silent")]
    ConsentExpired,
    /// The peer closed.
    #[error("the peer has left")]
    PeerClosed,
    /// We closed.
    #[error("closed")]
    Closed,
}

/// What both kinds of peers are made of.
#[derive(Clone)]
pub struct PeerSetup<'a> {
    /// Transport of the offer.
    pub transport: &'a Transport,
    /// Our ICE credentials.
    pub credentials: Credentials,
    /// Our certificate.
    pub identity: DtlsIdentity,
}

#[allow(clippy::large_enum_variant, reason = "nearly all are viewers")]
enum Media {
    Viewer(ViewerMedia),
    Publisher(Box<PublisherMedia>),
}

/// One peer.
pub struct WebRtcPeer {
    ice: IceLite,
    dtls: DtlsSession,
    srtp: Option<Box<Srtp>>,
    media: Media,
    handshake_deadline: Instant,
    events: VecDeque<PeerEvent>,
    scratch: Vec<u8>,
    closed: bool,
}

impl WebRtcPeer {
    /// A viewer's peer. `sources` are those of the answer, one per agreed section.
    pub fn viewer(
        now: Instant,
        plan: &ViewPlan,
        sources: &[Sources],
        setup: PeerSetup<'_>,
    ) -> Self {
        Self::new(now, Media::Viewer(ViewerMedia::new(now, &plan.agreed, sources)), setup)
    }

    /// A publisher's peer. `ssrc` is ours in reports.
    pub fn publisher(now: Instant, plan: &PublishPlan, ssrc: u32, setup: PeerSetup<'_>) -> Self {
        Self::new(now, Media::Publisher(Box::new(PublisherMedia::new(&plan.agreed, ssrc))), setup)
    }

    fn new(now: Instant, media: Media, setup: PeerSetup<'_>) -> Self {
        let transport = setup.transport;
        let client = transport.peer_is_server;
        Self {
            ice: IceLite::new(now, setup.credentials, transport.ufrag.clone()),
            dtls: DtlsSession::new(setup.identity, transport.fingerprints.clone(), client),
            srtp: None,
            media,
            handshake_deadline: now + HANDSHAKE_TIMEOUT,
            // Events are taken one by one as they come, but for a few.
            events: VecDeque::with_capacity(1),
            scratch: Vec::new(),
            closed: false,
        }
    }

    /// A binding request that named our user fragment. Unauthentic ones change nothing: `None`.
    pub fn handle_check(
        &mut self,
        now: Instant,
        from: SocketAddr,
        request: &BindingRequest<'_>,
        arena: &mut Arena,
    ) -> Option<Check> {
        if self.closed {
            return None;
        }
        let mut check = None;
        let ice = &mut self.ice;
        arena.push_with(from, |out| {
            let start = out.len();
            check = ice.handle_check(now, from, request, out);
            out.len() > start
        });
        check?;
        self.dtls.start(now);
        self.drive_dtls(arena);
        check
    }

    /// A datagram that is no STUN. RTP of a publisher comes back with its track; anything from an
    /// address without an authentic check is dropped unseen.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        from: SocketAddr,
        datagram: &[u8],
        arena: &mut Arena,
    ) -> Option<(TrackIndex, Bytes)> {
        if self.closed || !self.ice.is_authenticated(from) {
            return None;
        }
        match *datagram.first()? {
            20..=63 => {
                let event = self.dtls.handle_datagram(now, datagram);
                self.handle_dtls(event);
                self.drive_dtls(arena);
                None
            }
            128..=191 if is_rtcp(datagram) => {
                self.handle_srtcp(now, datagram);
                None
            }
            128..=191 => self.handle_srtp(now, datagram),
            _ => None,
        }
    }

    fn handle_srtp(&mut self, now: Instant, datagram: &[u8]) -> Option<(TrackIndex, Bytes)> {
        let Media::Publisher(media) = &mut self.media else { return None };
        let srtp = self.srtp.as_mut()?;
        // Opened beside the pool: what is forged or replayed takes no memory.
        if !srtp.receiver.open_rtp(datagram, &mut self.scratch) {
            return None;
        }
        media.handle_rtp(now, &self.scratch)
    }

    fn handle_srtcp(&mut self, now: Instant, datagram: &[u8]) {
        let Some(srtp) = self.srtp.as_mut() else { return };
        let mut compound = std::mem::take(&mut self.scratch);
        if srtp.receiver.open_rtcp(datagram, &mut compound) {
            self.dtls.release();
            // Whole packets before a malformed one still count.
            let _ = rtcp::parse(&compound, |packet| {
                let event = match &mut self.media {
                    Media::Viewer(media) => media.handle_rtcp(now, packet),
                    Media::Publisher(media) => media.handle_rtcp(now, packet),
                };
                if self.events.len() < MAX_EVENTS {
                    self.events.extend(event);
                }
            });
        }
        self.scratch = compound;
    }

    fn drive_dtls(&mut self, arena: &mut Arena) {
        let Some(to) = self.ice.selected() else { return };
        while let Some(event) = self.dtls.poll(|packet| arena.push(to, packet)) {
            self.handle_dtls(Some(event));
        }
    }

    fn handle_dtls(&mut self, event: Option<DtlsEvent>) {
        match event {
            None => {}
            Some(DtlsEvent::Connected(mut srtp)) => {
                if let Media::Viewer(media) = &mut self.media {
                    media.register(&mut srtp.sender);
                    srtp.receiver.refuse_rtp();
                }
                self.srtp = Some(srtp);
                self.events.push_back(PeerEvent::Connected);
            }
            Some(DtlsEvent::CloseNotify) => self.end(CloseCause::PeerClosed),
            Some(DtlsEvent::Failed(failure)) => self.end(failure.into()),
        }
    }

    fn end(&mut self, cause: CloseCause) {
        if !std::mem::replace(&mut self.closed, true) {
            self.events.push_back(PeerEvent::Closed(cause));
        }
    }

    /// Sends a frame to a viewer. `true` if the peer's deadline may have come nearer.
    pub fn send(&mut self, now: Instant, delivery: &Delivery, arena: &mut Arena) -> bool {
        match self.sealing() {
            Some((Media::Viewer(media), to, srtp)) => {
                media.send(now, delivery, to, &mut srtp.sender, arena)
            }
            _ => false,
        }
    }

    /// Reads what [`Self::send`] will need. Viewers are many and their state lies cold between
    /// two frames: read for several of them first, it comes from memory for all at once.
    #[inline]
    pub fn look_ahead(&self) {
        std::hint::black_box(self.closed);
        std::hint::black_box(self.ice.selected());
        if let Media::Viewer(media) = &self.media {
            media.look_ahead();
        }
        if let Some(srtp) = &self.srtp {
            srtp.sender.look_ahead();
        }
    }

    /// Sends a packet once more.
    pub fn resend(
        &mut self,
        now: Instant,
        track: TrackIndex,
        seq: u16,
        resend: &Resend,
        arena: &mut Arena,
    ) {
        if let Some((Media::Viewer(media), to, srtp)) = self.sealing() {
            media.resend(now, (track, seq), resend, to, &mut srtp.sender, arena);
        }
    }

    /// A track of a viewer whose sender report should go out beside media; answer with
    /// [`Self::send_report`].
    pub fn poll_early_report(&mut self, now: Instant) -> Option<TrackIndex> {
        match &mut self.media {
            Media::Viewer(media) => media.poll_early_report(now),
            Media::Publisher(_) => None,
        }
    }

    /// Sends a sender report to a viewer.
    pub fn send_report(&mut self, track: TrackIndex, info: SenderInfo, arena: &mut Arena) {
        if let Some((Media::Viewer(media), to, srtp)) = self.sealing() {
            media.send_report(track, info, to, &mut srtp.sender, arena);
        }
    }

    /// Asks a publisher for a keyframe.
    pub fn request_keyframe(&mut self, now: Instant, track: TrackIndex, arena: &mut Arena) {
        if let Media::Publisher(media) = &mut self.media {
            media.request_keyframe(track);
        }
        self.send_feedback(now, arena);
    }

    fn send_feedback(&mut self, now: Instant, arena: &mut Arena) {
        if let Some((Media::Publisher(media), to, srtp)) = self.sealing() {
            media.send_feedback(now, to, &mut srtp.sender, arena);
        }
    }

    fn sealing(&mut self) -> Option<(&mut Media, SocketAddr, &mut Srtp)> {
        let to = self.ice.selected().filter(|_| !self.closed)?;
        Some((&mut self.media, to, self.srtp.as_deref_mut()?))
    }

    /// Starts a new ICE generation.
    pub fn restart_ice(&mut self, credentials: Credentials, remote_ufrag: String) {
        self.ice.restart(credentials, remote_ufrag);
    }

    /// Says goodbye (RTCP BYE, close_notify) and ends. No event follows.
    pub fn close(&mut self, arena: &mut Arena) {
        if let Some((media, to, srtp)) = self.sealing() {
            match media {
                Media::Viewer(media) => media.send_bye(to, &mut srtp.sender, arena),
                Media::Publisher(media) => media.send_bye(to, &mut srtp.sender, arena),
            }
            self.dtls.close();
            self.drive_dtls(arena);
        }
        self.closed = true;
        self.events.clear();
    }

    /// When [`Self::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.closed {
            return None;
        }
        if self.srtp.is_none() {
            let dtls = self.dtls.poll_timeout();
            return Some(
                dtls.map_or(self.handshake_deadline, |at| at.min(self.handshake_deadline)),
            );
        }
        let media = match &self.media {
            Media::Viewer(media) => media.poll_timeout(),
            Media::Publisher(media) => media.poll_timeout(),
        };
        let deadlines = [media, self.dtls.poll_timeout()].into_iter().flatten();
        Some(deadlines.fold(self.ice.consent_deadline(), Instant::min))
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant, arena: &mut Arena) {
        if self.closed {
            return;
        }
        if self.srtp.is_none() && now >= self.handshake_deadline {
            return self.end(match self.dtls.timeout_failure() {
                DtlsFailure::RsaOnly => DtlsFailure::RsaOnly.into(),
                _ => CloseCause::HandshakeTimeout,
            });
        }
        if now >= self.ice.consent_deadline() {
            return self.end(CloseCause::ConsentExpired);
        }
        let event = self.dtls.handle_timeout(now);
        self.handle_dtls(event);
        self.drive_dtls(arena);
        if self.srtp.is_none() {
            return;
        }
        if let Media::Viewer(media) = &mut self.media {
            while let Some(track) = media.poll_report(now) {
                self.events.push_back(PeerEvent::ReportDue { track });
            }
        }
        let due = matches!(&self.media, Media::Publisher(media)
            if media.poll_timeout().is_some_and(|at| at <= now));
        if due {
            self.send_feedback(now, arena);
        }
    }

    /// What happened next.
    pub fn poll_event(&mut self) -> Option<PeerEvent> {
        self.events.pop_front()
    }

    /// Whether packets can flow.
    pub fn is_connected(&self) -> bool {
        self.srtp.is_some() && !self.closed
    }

    /// Our ICE credentials of now.
    pub fn credentials(&self) -> &Credentials {
        self.ice.local()
    }

    /// The peer's user fragment of now.
    pub fn remote_ufrag(&self) -> &str {
        self.ice.remote_ufrag()
    }

    /// Whether the state of the handshake is put away.
    #[cfg(test)]
    pub(super) fn is_released(&self) -> bool {
        self.dtls.is_released()
    }

    /// Authenticated addresses of the peer.
    pub fn paths(&self) -> &[SocketAddr] {
        self.ice.paths()
    }
}
