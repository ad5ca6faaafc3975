//! Viewers: description, start, frames and reports.

use std::net::SocketAddr;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use sightline_relay_proto::frame::Mode;
use sightline_relay_proto::hub::{Delivery, Pacing, Selection, SubscriberId};
use sightline_relay_proto::ids::{StreamKey, TrackIndex};
use sightline_relay_proto::report_clock::ReportClock;
use sightline_relay_proto::rtsp::{Lower, Refusal, StreamPath};
use sightline_relay_proto::sdp;
use sightline_relay_proto::wire::rtcp;

use crate::api::Admitted;
use crate::lease::{LeaseId, LeaseRefused};
use crate::port::{Cx, PeerId, PortKind, refuse_sealed};

use super::output::{FrameWriter, Output, TrackFields};
use super::peer::{Fate, Peer, Who, key_of};
use super::udp::Udp;
use super::{CNAME, Shared};

/// An admitted viewer. Its lease lives as long as its connection.
pub(super) struct Viewer {
    peer: PeerId,
    pub(super) key: StreamKey,
    pub(super) lease: LeaseId,
    pub(super) subscriber: Option<SubscriberId>,
    tracks: Vec<Track>,
    reports: ReportClock,
}

/// A track on its way to the viewer.
struct Track {
    index: TrackIndex,
    fields: TrackFields,
    lower: Lower,
    packets: u32,
    octets: u32,
}

impl Viewer {
    /// The handle is used up: the lease starts, unless what it stands on has ended meanwhile.
    pub(super) fn open(
        cx: &mut Cx<'_>,
        peer: PeerId,
        admitted: Admitted,
    ) -> Result<Self, LeaseRefused> {
        let lease = cx.leases.open(cx.now, admitted.terms)?;
        cx.directory.leases.insert(lease, (PortKind::Rtsp, peer));
        let key = admitted.key;
        let reports = ReportClock::default();
        Ok(Self { peer, key, lease, subscriber: None, tracks: Vec::new(), reports })
    }

    fn track(&mut self, index: TrackIndex) -> Option<&mut Track> {
        self.tracks.iter_mut().find(|track| track.index == index)
    }

    /// No more frames.
    pub(super) fn leave(&mut self, cx: &mut Cx<'_>) {
        if let Some(subscriber) = self.subscriber.take() {
            cx.directory.subscribers.remove(&subscriber);
            cx.hub.unsubscribe(subscriber);
        }
    }

    pub(super) fn close(&mut self, cx: &mut Cx<'_>) {
        self.leave(cx);
        cx.directory.leases.remove(&self.lease);
        cx.leases.close(self.lease);
    }

    /// When reports are due; `None` while it does not play.
    pub(super) fn next_report(&self) -> Option<Instant> {
        self.subscriber.and_then(|_| self.reports.due())
    }

    /// Sender reports, when they are due; those for UDP are left in the arena.
    pub(super) fn report(&mut self, cx: &mut Cx<'_>, output: &mut Output, address: SocketAddr) {
        let Some(subscriber) = self.subscriber.filter(|_| self.reports.take(cx.now)) else {
            return;
        };
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        for track in &self.tracks {
            let info = cx.hub.sender_info(cx.now, unix, subscriber, track.index);
            let Some(info) = info else { continue };
            let mut packet = Vec::with_capacity(64);
            let ssrc = track.fields.ssrc;
            rtcp::write_sender_report(&mut packet, ssrc, info, track.packets, track.octets, CNAME);
            send_rtcp(track.lower, &packet, output, cx, address);
        }
    }

    /// Tells the hub what the connection carries, if the frames go through it.
    pub(super) fn tell_budget(&self, cx: &mut Cx<'_>, news: Option<Option<u64>>) {
        let inside = |track: &Track| matches!(track.lower, Lower::Interleaved { .. });
        if let (Some(budget), Some(subscriber)) = (news, self.subscriber)
            && self.tracks.iter().all(inside)
        {
            cx.hub.set_budget(cx.now, subscriber, budget);
        }
    }

    /// The stream is over: say so.
    pub(super) fn say_goodbye(
        &mut self,
        cx: &mut Cx<'_>,
        output: &mut Output,
        udp: &Udp,
        address: SocketAddr,
    ) {
        for track in &self.tracks {
            let mut packet = Vec::with_capacity(32);
            rtcp::write_receiver_report(&mut packet, track.fields.ssrc, None, CNAME);
            rtcp::write_bye(&mut packet, track.fields.ssrc);
            send_rtcp(track.lower, &packet, output, cx, address);
        }
        udp.send_rtcp(cx.arena);
    }
}

/// Puts RTCP on a track's way: at once inside the connection unless it is backed up, or into the
/// arena for UDP.
pub(super) fn send_rtcp(
    lower: Lower,
    packet: &[u8],
    output: &mut Output,
    cx: &mut Cx<'_>,
    address: SocketAddr,
) {
    match lower {
        Lower::Interleaved { rtcp, .. } if output.takes_reports() => {
            output.push_interleaved(rtcp, packet);
        }
        Lower::Interleaved { .. } => {}
        Lower::Udp { rtcp, .. } => cx.arena.push(SocketAddr::new(address.ip(), rtcp), packet),
    }
}

impl Peer {
    /// DESCRIBE, or a SETUP without one.
    pub(super) fn look_up(&mut self, cx: &mut Cx<'_>, path: &StreamPath) {
        let Some(viewer) = self.viewer() else {
            let refusal = self.refused.clone();
            let refusal = refusal.unwrap_or(Refusal::new(403, "this login may not play"));
            return self.connection.refuse(&refusal);
        };
        if viewer.key != key_of(path) {
            return self.connection.refuse(&Refusal::new(404, "the login is for another stream"));
        }
        let key = viewer.key.clone();
        cx.look_up(&key);
        if let Err(sealed) = refuse_sealed(cx.hub, &key) {
            return self.connection.refuse(&Refusal::new(415, sealed.to_string()));
        }
        match cx.hub.tracks(&key) {
            Some(tracks) => self.connection.answer_tracks(Ok(tracks)),
            None => self.connection.refuse(&Refusal::new(404, "the camera is not live")),
        }
    }

    pub(super) fn play(&mut self, cx: &mut Cx<'_>, shared: &Shared) {
        match self.start(cx, shared) {
            Ok(()) => self.connection.accept(),
            Err(refusal) => self.connection.refuse(&refusal),
        }
    }

    /// Subscribes. Frames are asked for in a later turn, so the answer is out before them.
    fn start(&mut self, cx: &mut Cx<'_>, shared: &Shared) -> Result<(), Refusal> {
        let Who::Viewer(viewer) = &mut self.who else {
            return Err(Refusal::new(403, "this login may not play"));
        };
        cx.look_up(&viewer.key);
        let live = cx.hub.tracks(&viewer.key).ok_or(Refusal::new(404, "the camera is not live"))?;
        let described = self.connection.media();
        if !live.iter().eq(described.iter().map(|media| &media.info)) {
            return Err(Refusal::new(404, "the stream has changed; describe it again"));
        }
        if let Err(sealed) = refuse_sealed(cx.hub, &viewer.key) {
            return Err(Refusal::new(415, sealed.to_string()));
        }
        let setups = self.connection.setups().iter();
        let tracks = setups.map(|setup| {
            let index = TrackIndex(setup.track as u8);
            let payload_type = sdp::payload_type(setup.track, &live[setup.track]);
            let ssrc = cx.hub.ssrc(&viewer.key, index).unwrap_or_default();
            let fields = TrackFields { payload_type, ssrc };
            Track { index, fields, lower: setup.lower, packets: 0, octets: 0 }
        });
        viewer.tracks = tracks.collect();
        let udp = viewer.tracks.iter().any(|track| matches!(track.lower, Lower::Udp { .. }));
        let selection = Selection {
            tracks: viewer.tracks.iter().map(|track| track.index).collect(),
            pacing: if udp { Pacing::Chunks } else { Pacing::Whole },
            mode: Mode::Open,
        };
        viewer.leave(cx);
        let subscriber = cx.hub.subscribe(cx.now, &viewer.key, selection);
        let subscriber = subscriber.map_err(|error| Refusal::new(404, error.to_string()))?;
        cx.directory.subscribers.insert(subscriber, (PortKind::Rtsp, viewer.peer));
        viewer.subscriber = Some(subscriber);
        viewer.reports = ReportClock::default();
        viewer.reports.start(cx.now);
        self.look_at = None;
        let calm = self.calm_down(cx, &shared.calm);
        calm.map_err(|_| Refusal::new(503, "the server is short of resources; try again later"))
    }

    /// Reads what [`Self::deliver`] will need.
    pub(super) fn look_ahead(&self) {
        std::hint::black_box(self.output.is_empty());
        std::hint::black_box(self.address.port());
        if let Some(viewer) = self.viewer() {
            std::hint::black_box(viewer.tracks.first().map(|track| track.packets));
        }
    }

    /// Sends what is due until the hub or the socket has had enough.
    pub(super) fn deliver(
        &mut self,
        cx: &mut Cx<'_>,
        shared: &mut Shared,
        subscriber: SubscriberId,
    ) -> Fate {
        if self.viewer().and_then(|viewer| viewer.subscriber) != Some(subscriber) {
            return Fate::Lives;
        }
        let before = self.output.written;
        let fate = loop {
            match self.output.pump(&mut self.wire) {
                Ok(true) => {}
                Ok(false) => {
                    self.drain.fill(cx.now);
                    break Fate::Lives;
                }
                Err(_) => break Fate::Broken,
            }
            let Some(delivery) = cx.hub.poll_delivery(cx.now, subscriber) else {
                break Fate::Lives;
            };
            self.send(shared, delivery);
        };
        if self.output.written > before {
            self.connection.note_activity(cx.now);
        }
        fate
    }

    fn send(&mut self, shared: &mut Shared, delivery: Delivery) {
        let Who::Viewer(viewer) = &mut self.who else { return };
        let Some(track) = viewer.track(delivery.track) else { return };
        track.packets = track.packets.wrapping_add(delivery.packets.len() as u32);
        track.octets = track.octets.wrapping_add(delivery.bytes() as u32);
        match track.lower {
            Lower::Interleaved { rtp, .. } => {
                self.output.set_frame(FrameWriter::new(delivery, rtp, track.fields));
            }
            Lower::Udp { rtp, .. } => {
                let to = SocketAddr::new(self.address.ip(), rtp);
                shared.udp.push_frame(to, track.fields, &delivery);
            }
        }
    }
}
