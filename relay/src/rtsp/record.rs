//! Publishers: announcement, media and reports.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sightline_relay_proto::frame::Mode;
use sightline_relay_proto::hub::{Publication, PublisherId};
use sightline_relay_proto::ids::{DeviceId, TrackIndex};
use sightline_relay_proto::rtsp::{Lower, Reception, Refusal, RtspConnection, StreamPath};
use sightline_relay_proto::wire::rtcp::{self, Rtcp};
use sightline_relay_proto::wire::rtp;

use crate::api::Publisher;
use crate::port::{Cx, PeerId, PortKind};

use super::CNAME;
use super::output::Output;
use super::peer::{Peer, Who, key_of};
use super::play::send_rtcp;

/// Time between receiver reports; some cameras end a session without them.
const REPORT_INTERVAL: Duration = Duration::from_secs(5);

/// A camera that pushes.
pub(super) struct Recorder {
    publisher: Publisher,
    id: Option<PublisherId>,
    /// By place in the announced tracks.
    tracks: Vec<Incoming>,
    /// Our own SSRC in reports.
    ssrc: u32,
    next_report: Option<Instant>,
}

/// One announced track.
struct Incoming {
    /// Its place in the publication: announced tracks that were not set up have none.
    index: Option<TrackIndex>,
    payload_type: u8,
    reception: Reception,
}

impl Recorder {
    pub(super) fn new(publisher: Publisher, ssrc: u32) -> Self {
        Self { publisher, id: None, tracks: Vec::new(), ssrc, next_report: None }
    }

    pub(super) fn device(&self) -> &DeviceId {
        &self.publisher.key.device
    }

    pub(super) fn close(&mut self, cx: &mut Cx<'_>) {
        if let Some(id) = self.id.take() {
            cx.directory.publishers.remove(&id);
            cx.hub.unpublish(cx.now, id);
        }
    }

    fn publish(
        &mut self,
        cx: &mut Cx<'_>,
        peer: PeerId,
        connection: &RtspConnection,
    ) -> Result<(), Refusal> {
        let mut tracks = Vec::new();
        self.tracks.clear();
        for (place, media) in connection.media().iter().enumerate() {
            let set_up = connection.setups().iter().any(|setup| setup.track == place);
            let index = set_up.then_some(TrackIndex(tracks.len() as u8));
            if set_up {
                tracks.push(media.info.clone());
            }
            let reception = Reception::default();
            self.tracks.push(Incoming { index, payload_type: media.payload_type, reception });
        }
        let is_udp = |lower: Lower| matches!(lower, Lower::Udp { .. });
        let publication = Publication {
            key: self.publisher.key.clone(),
            tracks,
            mode: Mode::Open,
            takes_keyframe_requests: false,
            unordered: connection.setups().iter().any(|setup| is_udp(setup.lower)),
        };
        let id = cx.publish(publication);
        let id = id.map_err(|error| Refusal::new(400, error.to_string()))?;
        cx.directory.publishers.insert(id, (PortKind::Rtsp, peer));
        self.id = Some(id);
        self.next_report = Some(cx.now + REPORT_INTERVAL);
        Ok(())
    }

    /// Receiver reports, when they are due.
    pub(super) fn report(
        &mut self,
        cx: &mut Cx<'_>,
        connection: &RtspConnection,
        output: &mut Output,
        address: SocketAddr,
    ) {
        if self.next_report.is_none_or(|due| cx.now < due) {
            return;
        }
        self.next_report = Some(cx.now + REPORT_INTERVAL);
        for setup in connection.setups() {
            let Some(track) = self.tracks.get_mut(setup.track) else { continue };
            let Some(report) = track.reception.report(cx.now) else { continue };
            let mut packet = Vec::with_capacity(64);
            rtcp::write_receiver_report(&mut packet, self.ssrc, Some(report), CNAME);
            send_rtcp(setup.lower, &packet, output, cx, address);
        }
    }

    /// A packet of a track. What is no RTP of the announced type is dropped.
    fn handle_packet(&mut self, cx: &mut Cx<'_>, place: usize, rtcp: bool, packet: Bytes) -> bool {
        let (Some(id), Some(track)) = (self.id, self.tracks.get_mut(place)) else { return false };
        let Some(index) = track.index else { return false };
        if rtcp {
            return rtcp::parse(&packet, |part| {
                if let Rtcp::SenderReport { info, .. } = part {
                    track.reception.handle_sender_report(cx.now, info);
                    cx.hub.handle_sender_report(cx.now, id, index, info);
                }
            });
        }
        let Some(header) = rtp::parse(&packet) else { return false };
        if header.payload_type != track.payload_type {
            return false;
        }
        track.reception.handle_rtp(&header);
        cx.hub.handle_rtp(cx.now, id, index, packet);
        true
    }
}

impl Peer {
    /// Only the device itself, only its own stream, and clear media only of an open device.
    pub(super) fn announce(&mut self, path: &StreamPath) {
        let refusal = match &self.who {
            Who::Publisher(recorder) if recorder.publisher.key != key_of(path) => {
                Refusal::new(403, "the login is for another stream")
            }
            Who::Publisher(recorder) if recorder.publisher.sealed => {
                Refusal::new(415, "the device is sealed, so clear media is refused")
            }
            Who::Publisher(_) => return self.connection.accept(),
            _ => Refusal::new(403, "this login may not publish"),
        };
        self.connection.refuse(&refusal);
    }

    pub(super) fn record(&mut self, cx: &mut Cx<'_>) {
        let done = match &mut self.who {
            Who::Publisher(recorder) => recorder.publish(cx, self.id, &self.connection),
            _ => Err(Refusal::new(403, "this login may not publish")),
        };
        match done {
            Ok(()) => self.connection.accept(),
            Err(refusal) => self.connection.refuse(&refusal),
        }
    }

    /// A packet from inside the connection, or from an address that SETUP named.
    pub(super) fn handle_media(
        &mut self,
        cx: &mut Cx<'_>,
        track: usize,
        rtcp: bool,
        packet: Bytes,
    ) {
        let living = match &mut self.who {
            Who::Publisher(recorder) => recorder.handle_packet(cx, track, rtcp, packet),
            // Reports of a viewer keep it alive; players also open their firewall with empty RTP.
            Who::Viewer(_) => rtcp && rtcp::parse(&packet, |_| {}),
            Who::Nobody | Who::Candidate(_) => false,
        };
        if living {
            self.connection.note_activity(cx.now);
        }
    }
}
