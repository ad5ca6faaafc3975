//! The WebSocket port: viewers for whom there is no WebTransport.
//!
//! Their connections belong to the HTTP side, which alone can take them out of an HTTP request. So
//! the port has no socket: each viewer has a bounded queue ([`queue`]) from here to the task that
//! writes its connection. Grant, lease, revocation and the rule of modes are those of every viewer.
//! What a viewer gets is described in [`sightline_relay_proto::gop_socket`].
//!
//! A lease here counts as alive as long as the session lasts: the task ends a session on which TCP
//! makes no progress.

mod feed;
mod queue;
#[cfg(test)]
mod tests;
mod viewer;

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use sightline_grant::Thumbprint;
use sightline_relay_proto::codec::MediaKind;
use sightline_relay_proto::frame::{Frame, Mode};
use sightline_relay_proto::gop_socket::{self, Messages};
use sightline_relay_proto::gop_stream;
use sightline_relay_proto::hub::{Pacing, Selection, SubscribeError, SubscriberId};
use sightline_relay_proto::ids::{StreamKey, TrackIndex};
use tokio::sync::oneshot;

pub use self::feed::{SocketEnd, SocketFeed};
use self::queue::Queue;
use self::viewer::Viewer;
use crate::api::{Admitted, MediaError, SessionId, SocketSession};
use crate::items::Items;
use crate::lease::LeaseId;
use crate::port::{CloseReason, Cx, IdMap, PeerId, PortKind};
use crate::roq::watched;

/// Time that a ticket waits for its use.
const TICKET_LIFE: Duration = Duration::from_secs(30);
/// Tickets that wait, at most; beyond it nobody gets one.
const MAX_WAITING: usize = 1024;
/// Tickets of one key that wait, at most; one more takes the place of the oldest.
const MAX_WAITING_PER_KEY: usize = 16;
/// Sessions of a worker, with tickets that wait; beyond it nobody gets one.
const MAX_SESSIONS: usize = 4096;
/// How often sessions are looked at whose task may have found no room to say that it is gone, or
/// that its queue has room.
const LOOK: Duration = Duration::from_secs(1);

/// What the rest of the process asks of the port.
pub(crate) enum WebSocketCommand {
    /// Lets a viewer in. Its lease starts at once; its ticket waits for 30 s.
    View {
        /// Name of the session, drawn by the caller: its ticket.
        id: SessionId,
        /// The viewer.
        admitted: Admitted,
        /// The answer.
        reply: oneshot::Sender<Result<SocketSession, MediaError>>,
    },
    /// Uses a ticket: the session begins.
    Enter {
        /// The ticket.
        id: SessionId,
        /// The answer. Dropped unread, it ends the session.
        reply: oneshot::Sender<Result<EnteredQueue, MediaError>>,
    },
    /// A queue that was full has room.
    Room {
        /// Whose.
        id: SessionId,
    },
    /// The viewer is gone.
    Leave {
        /// Who.
        id: SessionId,
    },
}

/// The task's end of a queue, which leaves when it is dropped.
pub(crate) struct EnteredQueue(Queue);

impl Drop for EnteredQueue {
    fn drop(&mut self) {
        self.0.leave();
    }
}

struct Session {
    id: SessionId,
    terminal: Thumbprint,
    key: StreamKey,
    lease: LeaseId,
    mode: Mode,
    tracks: Vec<(TrackIndex, MediaKind)>,
    /// `None` while the ticket waits.
    viewer: Option<Viewer>,
}

/// The port.
pub(crate) struct WebSocketPort {
    next: u64,
    sessions: IdMap<PeerId, Session>,
    by_id: HashMap<SessionId, PeerId>,
    /// Tickets with the end of their lives: all live equally long, so that the first ends first.
    waiting: VecDeque<(Instant, PeerId)>,
    /// While somebody watches.
    next_look: Option<Instant>,
    items: Items<Messages>,
}

impl Default for WebSocketPort {
    fn default() -> Self {
        Self {
            next: 0,
            sessions: IdMap::default(),
            by_id: HashMap::new(),
            waiting: VecDeque::new(),
            next_look: None,
            items: Items::new(write),
        }
    }
}

/// A frame's messages. The number of its stream is its own track's, whoever watches.
fn write(frame: &Frame) -> Option<Messages> {
    Some(gop_socket::messages(frame.descriptor.track.0, &gop_stream::item(frame)?))
}

impl WebSocketPort {
    /// Does what the rest of the process asks.
    pub(crate) fn handle_command(&mut self, cx: &mut Cx<'_>, command: WebSocketCommand) {
        match command {
            WebSocketCommand::View { id, admitted, reply } => {
                // A caller that has gone leaves a ticket that expires.
                let _ = reply.send(self.view(cx, id, admitted));
            }
            WebSocketCommand::Enter { id, reply } => {
                // A caller that has gone drops the queue, which ends the session.
                let _ = reply.send(self.enter(cx, id));
            }
            WebSocketCommand::Room { id } => {
                if let Some(viewer) = self.viewer(id) {
                    viewer.resume(cx.now, cx.hub);
                }
            }
            WebSocketCommand::Leave { id } => {
                if let Some(&peer) = self.by_id.get(&id) {
                    self.remove(cx, peer);
                }
            }
        }
    }

    /// When [`Self::handle_timeout`] is next due.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let expiry = self.waiting.front().map(|(at, _)| *at);
        expiry.into_iter().chain(self.next_look).min()
    }

    /// Time has passed.
    pub(crate) fn handle_timeout(&mut self, cx: &mut Cx<'_>) {
        while let Some(&(_, peer)) = self.waiting.front().filter(|(at, _)| *at <= cx.now) {
            self.remove(cx, peer);
        }
        if self.next_look.is_some_and(|at| at <= cx.now) {
            self.look(cx);
        }
    }

    /// The hub has frames due for a viewer.
    pub(crate) fn deliver(&mut self, cx: &mut Cx<'_>, peer: PeerId, subscriber: SubscriberId) {
        let session = self.sessions.get_mut(&peer);
        let viewer = session.and_then(|session| session.viewer.as_mut());
        match viewer.filter(|viewer| viewer.subscriber == subscriber) {
            Some(viewer) => viewer.deliver(cx.now, cx.hub, &mut self.items),
            None => cx.hub.unsubscribe(subscriber),
        }
    }

    /// Ends a viewer at once; what is queued for it is discarded.
    pub(crate) fn close(&mut self, cx: &mut Cx<'_>, peer: PeerId, reason: CloseReason) {
        if let Some(viewer) = self.remove(cx, peer).and_then(|session| session.viewer) {
            viewer.queue.end(reason);
        }
    }

    fn view(
        &mut self,
        cx: &mut Cx<'_>,
        id: SessionId,
        admitted: Admitted,
    ) -> Result<SocketSession, MediaError> {
        cx.look_up(&admitted.key);
        let mode = cx.hub.mode(&admitted.key).ok_or(MediaError::NotLive)?;
        let infos = cx.hub.tracks(&admitted.key).ok_or(MediaError::NotLive)?;
        let offered = infos.iter().enumerate().filter(|(_, info)| watched(info));
        let offered = offered.map(|(at, info)| (TrackIndex(at as u8), info.clone()));
        let offered: Vec<_> = offered.collect();
        self.make_room(cx, admitted.terminal)?;
        let lease = cx.leases.open(cx.now, admitted.terms)?;
        self.next += 1;
        let peer = PeerId(self.next);
        cx.directory.leases.insert(lease, (PortKind::WebSocket, peer));
        let (key, terminal) = (admitted.key, admitted.terminal);
        let tracks = offered.iter().map(|(index, info)| (*index, info.kind())).collect();
        let session = Session { id, terminal, key, lease, mode, tracks, viewer: None };
        self.sessions.insert(peer, session);
        self.by_id.insert(id, peer);
        self.waiting.push_back((cx.now + TICKET_LIFE, peer));
        Ok(SocketSession { ticket: id, tracks: offered, mode })
    }

    /// Room for one more ticket. A key that has too many gives up its oldest, so that nobody alone
    /// takes the places of all.
    fn make_room(&mut self, cx: &mut Cx<'_>, terminal: Thumbprint) -> Result<(), MediaError> {
        let of = |peer: &PeerId| self.sessions.get(peer).is_some_and(|it| it.terminal == terminal);
        let mut of_key = self.waiting.iter().map(|(_, peer)| *peer).filter(of);
        if let Some(oldest) = of_key.next()
            && of_key.count() + 1 >= MAX_WAITING_PER_KEY
        {
            self.remove(cx, oldest);
        }
        let full = self.waiting.len() >= MAX_WAITING || self.sessions.len() >= MAX_SESSIONS;
        if full { Err(MediaError::Full) } else { Ok(()) }
    }

    /// Lets the holder of a ticket in. It works once: whatever comes of it, it waits no more.
    fn enter(&mut self, cx: &mut Cx<'_>, id: SessionId) -> Result<EnteredQueue, MediaError> {
        let peer = *self.by_id.get(&id).ok_or(MediaError::NoSession)?;
        let at = self.waiting.iter().position(|(_, waiting)| *waiting == peer);
        self.waiting.remove(at.ok_or(MediaError::NoSession)?);
        self.begin(cx, peer).inspect_err(|_| {
            self.remove(cx, peer);
        })
    }

    fn begin(&mut self, cx: &mut Cx<'_>, peer: PeerId) -> Result<EnteredQueue, MediaError> {
        let session = self.sessions.get_mut(&peer).ok_or(MediaError::NoSession)?;
        let selection = Selection {
            tracks: session.tracks.iter().map(|(index, _)| *index).collect(),
            pacing: Pacing::Whole,
            mode: session.mode,
        };
        let subscriber = cx.hub.subscribe(cx.now, &session.key, selection);
        let subscriber = subscriber.map_err(|error| match error {
            SubscribeError::NotLive | SubscribeError::NoTrack => MediaError::NotLive,
            // It was sealed or opened since the ticket was given; a new one says what it is now.
            SubscribeError::OtherMode { .. } => MediaError::NoSession,
        })?;
        cx.directory.subscribers.insert(subscriber, (PortKind::WebSocket, peer));
        let viewer = Viewer::new(subscriber, session.tracks.iter().copied());
        let queue = viewer.queue.clone();
        session.viewer = Some(viewer);
        self.next_look.get_or_insert(cx.now + LOOK);
        Ok(EnteredQueue(queue))
    }

    fn viewer(&mut self, id: SessionId) -> Option<&mut Viewer> {
        self.sessions.get_mut(self.by_id.get(&id)?)?.viewer.as_mut()
    }

    /// Finds what could not be said by a command, since the worker's queue was full.
    fn look(&mut self, cx: &mut Cx<'_>) {
        let mut gone = Vec::new();
        let mut watched = false;
        for (peer, session) in &mut self.sessions {
            let Some(viewer) = &mut session.viewer else { continue };
            if viewer.queue.is_left() {
                gone.push(*peer);
                continue;
            }
            watched = true;
            if viewer.queue.take_room() {
                viewer.resume(cx.now, cx.hub);
            }
        }
        for peer in gone {
            self.remove(cx, peer);
        }
        self.next_look = watched.then(|| cx.now + LOOK);
    }

    /// Takes a session out of every table.
    fn remove(&mut self, cx: &mut Cx<'_>, peer: PeerId) -> Option<Session> {
        let session = self.sessions.remove(&peer)?;
        self.by_id.remove(&session.id);
        self.waiting.retain(|(_, waiting)| *waiting != peer);
        cx.leases.close(session.lease);
        cx.directory.leases.remove(&session.lease);
        if let Some(viewer) = &session.viewer {
            cx.directory.subscribers.remove(&viewer.subscriber);
            cx.hub.unsubscribe(viewer.subscriber);
        }
        Some(session)
    }
}
