//! Connections that move to the worker that has their stream.
//!
//! One worker has the listeners. The first request with a login names the stream, and nothing of
//! the connection is in any table of the worker yet; so it moves then, once, with the request.

use std::net::SocketAddr;

use sightline_relay_proto::rtsp::{Event, Role};

use super::peer::{Fate, Peer, key_of};
use super::{RtspPort, place};
use crate::crew::{PUBLISHER_WEIGHT, WorkerIndex};
use crate::port::{Cx, PeerId};

/// A connection on its way, with the request that it waits on.
pub(crate) struct Visitor {
    peer: Peer,
    request: Event,
}

/// Where a connection goes.
pub(super) struct Move {
    pub(super) to: WorkerIndex,
    pub(super) request: Event,
}

impl Visitor {
    /// Who it is, for the log.
    pub(super) fn address(&self) -> SocketAddr {
        self.peer.address
    }
}

impl Peer {
    /// Takes a login in, or sends the connection to the worker that is to serve it.
    pub(super) fn place(&mut self, cx: &mut Cx<'_>, request: Event) -> Option<Event> {
        let Event::Login { role, path, .. } = &request else { return Some(request) };
        if std::mem::replace(&mut self.placed, true) {
            return Some(request);
        }
        let (crew, key) = (cx.company.crew(), key_of(path));
        let (to, weight) = match role {
            Role::Viewer => (crew.place_viewer(&key), 1),
            Role::Publisher => (crew.place_publisher(&key), PUBLISHER_WEIGHT),
        };
        if to == cx.company.me() {
            return Some(request);
        }
        crew.add_load(to, weight);
        self.moves = Some(Move { to, request });
        None
    }
}

impl RtspPort {
    /// Sends a peer, which is in the slab no more, to its worker.
    pub(super) fn send_away(&mut self, cx: &mut Cx<'_>, mut peer: Peer) {
        let Some(Move { to, request }) = peer.moves.take() else { return };
        if cx.registry.deregister(&mut peer.wire.tcp).is_ok() {
            cx.company.send_visitor(to, Box::new(Visitor { peer, request }));
        }
    }

    /// A connection from another worker.
    pub(crate) fn take_in(&mut self, cx: &mut Cx<'_>, visitor: Visitor) {
        let from = visitor.address();
        let Visitor { mut peer, request } = visitor;
        let id = self.next_id();
        let taken =
            !self.is_full() && super::peer::listen(cx.registry, &mut peer.wire.tcp, id).is_ok();
        if !taken {
            self.shared.door.admission().leave(from.ip());
            metrics::counter!("sightline_rtsp_connections_refused_total").increment(1);
            return peer.wire.reset();
        }
        peer.id = id;
        peer.connection.move_udp_ports(self.udp_ports);
        self.peers.insert(peer);
        self.start_tick(cx.now);
        self.with_peer(cx, id, |peer, cx, shared| {
            peer.handle_event(cx, shared, request);
            // Bytes may have come on the way.
            peer.handle_ready(cx, shared, true)
        });
    }

    /// The id of the next peer.
    pub(super) fn next_id(&mut self) -> PeerId {
        self.born += 1;
        PeerId(self.born << place::BITS | self.peers.vacant_key() as u64)
    }
}

impl Fate {
    /// Whether the peer has left this worker's slab.
    pub(super) fn is_gone(self) -> bool {
        matches!(self, Self::Finished | Self::Broken | Self::Moves)
    }
}
