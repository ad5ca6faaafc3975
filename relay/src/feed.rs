//! Publishers inside the process: RTSP pull hands its packets in here.

use std::collections::HashMap;

use bytes::Bytes;
use sightline_relay_proto::codec::TrackInfo;
use sightline_relay_proto::frame::Mode;
use sightline_relay_proto::hub::{Publication, PublisherId, SenderInfo};
use sightline_relay_proto::ids::{DeviceId, TrackIndex};
use tokio::sync::oneshot;

use crate::api::{MediaError, Publisher, SessionId};
use crate::port::{Cx, PeerId, PortKind};

/// What a feed says to the worker.
pub(crate) enum FeedCommand {
    /// Starts a publication.
    Start {
        /// Its name.
        id: SessionId,
        /// The device.
        publisher: Publisher,
        /// Its tracks.
        tracks: Vec<TrackInfo>,
        /// Whether its packets may come out of order.
        unordered: bool,
        /// Answer.
        reply: oneshot::Sender<Result<(), MediaError>>,
    },
    /// One RTP packet.
    Rtp {
        /// Which feed.
        id: SessionId,
        /// Track of the packet.
        track: TrackIndex,
        /// Header and payload.
        packet: Bytes,
    },
    /// The source's clock mapping.
    SenderReport {
        /// Which feed.
        id: SessionId,
        /// Track of the report.
        track: TrackIndex,
        /// NTP and RTP time of one instant.
        info: SenderInfo,
    },
    /// The source is gone.
    End {
        /// Which feed.
        id: SessionId,
    },
}

/// In-process publishers of one worker.
#[derive(Default)]
pub(crate) struct FeedPort {
    feeds: HashMap<SessionId, Running>,
    next: u64,
}

struct Running {
    peer: PeerId,
    publisher: PublisherId,
    device: DeviceId,
}

impl FeedPort {
    pub(crate) fn handle_command(&mut self, cx: &mut Cx<'_>, command: FeedCommand) {
        match command {
            FeedCommand::Start { id, publisher, tracks, unordered, reply } => {
                let _ = reply.send(self.start(cx, id, publisher, tracks, unordered));
            }
            FeedCommand::Rtp { id, track, packet } => {
                if let Some(feed) = self.feeds.get(&id) {
                    cx.hub.handle_rtp(cx.now, feed.publisher, track, packet);
                }
            }
            FeedCommand::SenderReport { id, track, info } => {
                if let Some(feed) = self.feeds.get(&id) {
                    cx.hub.handle_sender_report(cx.now, feed.publisher, track, info);
                }
            }
            FeedCommand::End { id } => self.end(cx, id),
        }
    }

    fn start(
        &mut self,
        cx: &mut Cx<'_>,
        id: SessionId,
        publisher: Publisher,
        tracks: Vec<TrackInfo>,
        unordered: bool,
    ) -> Result<(), MediaError> {
        if publisher.sealed {
            return Err(MediaError::WrongProtection { expected: "sealed", found: "open" });
        }
        let device = publisher.key.device.clone();
        let publication = Publication {
            key: publisher.key,
            tracks,
            mode: Mode::Open,
            takes_keyframe_requests: false,
            unordered,
        };
        let publisher =
            cx.publish(publication).map_err(|error| MediaError::BadOffer(error.to_string()))?;
        self.next += 1;
        let peer = PeerId(self.next);
        cx.directory.publishers.insert(publisher, (PortKind::Feed, peer));
        self.feeds.insert(id, Running { peer, publisher, device });
        Ok(())
    }

    fn end(&mut self, cx: &mut Cx<'_>, id: SessionId) {
        if let Some(feed) = self.feeds.remove(&id) {
            cx.directory.publishers.remove(&feed.publisher);
            cx.hub.unpublish(cx.now, feed.publisher);
        }
    }

    /// Ends a feed at once: another connection of the device took over, or the server stops.
    pub(crate) fn close(&mut self, cx: &mut Cx<'_>, peer: PeerId) {
        let found = self.feeds.iter().find(|(_, feed)| feed.peer == peer).map(|(id, _)| *id);
        if let Some(id) = found {
            self.end(cx, id);
        }
    }

    /// Ends the feeds of a device that is known no more.
    pub(crate) fn end_publishers(&mut self, cx: &mut Cx<'_>, device: &DeviceId) {
        let of_device = self.feeds.iter().filter(|(_, feed)| feed.device == *device);
        for id in of_device.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.end(cx, id);
        }
    }
}
