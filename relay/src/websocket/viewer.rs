//! What one viewer is sent: the streams of its tracks, in messages.

use std::time::Instant;

use sightline_relay_proto::codec::MediaKind;
use sightline_relay_proto::gop_socket::{self, Messages};
use sightline_relay_proto::hub::{Delivery, Hub, SubscriberId};
use sightline_relay_proto::ids::TrackIndex;

use super::queue::Queue;
use crate::items::Items;

/// The sending half of a session.
pub(super) struct Viewer {
    pub(super) subscriber: SubscriberId,
    pub(super) queue: Queue,
    tracks: Vec<Track>,
    /// The hub was left unpolled because the queue was full.
    stalled: bool,
}

struct Track {
    index: TrackIndex,
    kind: MediaKind,
    /// Number of the stream of the group of pictures in progress, or of the sound.
    stream: Option<u8>,
}

impl Viewer {
    pub(super) fn new(
        subscriber: SubscriberId,
        tracks: impl Iterator<Item = (TrackIndex, MediaKind)>,
    ) -> Self {
        let tracks = tracks.map(|(index, kind)| Track { index, kind, stream: None }).collect();
        Self { subscriber, queue: Queue::default(), tracks, stalled: false }
    }

    /// Queues what is due, until nothing is or the queue is full.
    pub(super) fn deliver(&mut self, now: Instant, hub: &mut Hub, items: &mut Items<Messages>) {
        while !self.is_full() {
            let Some(delivery) = hub.poll_delivery(now, self.subscriber) else { break };
            self.send(now, &delivery, items);
        }
        self.queue.ring();
    }

    fn is_full(&mut self) -> bool {
        self.stalled = self.queue.is_full();
        self.stalled
    }

    /// There is room again: the hub names the viewer when something is due.
    pub(super) fn resume(&mut self, now: Instant, hub: &mut Hub) {
        if std::mem::take(&mut self.stalled) {
            hub.resume(now, self.subscriber);
        }
    }

    fn send(&mut self, now: Instant, delivery: &Delivery, items: &mut Items<Messages>) {
        let found = self.tracks.iter_mut().find(|track| track.index == delivery.track);
        let Some(track) = found else { return };
        let descriptor = &delivery.frame.descriptor;
        let sound = track.kind == MediaKind::Audio;
        let begins = if sound { track.stream.is_none() } else { descriptor.keyframe };
        if !begins && track.stream.is_none() {
            // The rest of a group whose keyframe could not be written.
            return;
        }
        let Some(messages) = items.item(&delivery.frame) else { return };
        let number = descriptor.track.0;
        if begins {
            if let Some(last) = track.stream.replace(number) {
                let given_up = self.queue.overtake(now, last);
                let end = if given_up { gop_socket::give_up(last) } else { gop_socket::end(last) };
                self.queue.put(now, last, end, true);
            }
            self.queue.put(now, number, gop_socket::start(number, track.index), true);
        }
        for message in messages {
            self.queue.put(now, number, message, begins);
        }
    }
}
