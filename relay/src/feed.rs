//! Publishers inside the process: RTSP pull hands its packets in here.

use std::collections::HashMap;

use bytes::Bytes;
use sightline_relay_proto::codec::TrackInfo;
use sightline_relay_proto::frame::Protection;
use sightline_relay_proto::hub::{Publication, PublisherId, SenderInfo};
use sightline_relay_proto::ids::TrackIndex;
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
    feeds: HashMap<SessionId, (PeerId, PublisherId)>,
    next: u64,
}

impl FeedPort {
    pub(crate) fn handle_command(&mut self, cx: &mut Cx<'_>, command: FeedCommand) {
        match command {
            FeedCommand::Start { id, publisher, tracks, unordered, reply } => {
                let _ = reply.send(self.start(cx, id, publisher, tracks, unordered));
            }
            FeedCommand::Rtp { id, track, packet } => {
                if let Some(&(_, publisher)) = self.feeds.get(&id) {
                    cx.hub.handle_rtp(cx.now, publisher, track, packet);
                }
            }
            FeedCommand::SenderReport { id, track, info } => {
                if let Some(&(_, publisher)) = self.feeds.get(&id) {
                    cx.hub.handle_sender_report(cx.now, publisher, track, info);
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
            return Err(MediaError::WrongProtection { expected: "sealed", found: "clear" });
        }
        let publication = Publication {
            key: publisher.key,
            tracks,
            protection: Protection::Open,
            takes_keyframe_requests: false,
            unordered,
        };
        let publisher = cx
            .hub
            .publish(cx.now, publication)
            .map_err(|error| MediaError::BadOffer(error.to_string()))?;
        self.next += 1;
        let peer = PeerId(self.next);
        cx.directory.publishers.insert(publisher, (PortKind::Feed, peer));
        self.feeds.insert(id, (peer, publisher));
        Ok(())
    }

    fn end(&mut self, cx: &mut Cx<'_>, id: SessionId) {
        if let Some((_, publisher)) = self.feeds.remove(&id) {
            cx.directory.publishers.remove(&publisher);
            cx.hub.unpublish(cx.now, publisher);
        }
    }

    /// Ends a feed at once: another connection of the device took over, or the server stops.
    pub(crate) fn close(&mut self, cx: &mut Cx<'_>, peer: PeerId) {
        let found = self.feeds.iter().find(|(_, (at, _))| *at == peer).map(|(id, _)| *id);
        if let Some(id) = found {
            self.end(cx, id);
        }
    }
}
