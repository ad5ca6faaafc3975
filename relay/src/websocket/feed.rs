//! The end of a session that the task of its connection holds.

use std::task::{Context, Poll};

use bytes::Bytes;

use super::{EnteredQueue, WebSocketCommand};
use crate::api::SessionId;
use crate::handle::RelayHandle;
use crate::port::CloseReason;
use crate::worker::Command;

/// Why a session is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SocketEnd {
    /// The stream has ended.
    StreamEnded,
    /// The permission to watch has ended.
    PermissionEnded,
    /// The server stops.
    Shutdown,
}

/// The messages of one viewer, as [`sightline_relay_proto::gop_socket`] describes them. Dropping it
/// ends the session.
pub struct SocketFeed {
    id: SessionId,
    queue: EnteredQueue,
    relay: RelayHandle,
}

impl SocketFeed {
    pub(crate) fn new(id: SessionId, queue: EnteredQueue, relay: RelayHandle) -> Self {
        Self { id, queue, relay }
    }

    /// The next message. Only the last task that polled is woken, by this or by [`Self::poll_end`].
    pub fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        let (bytes, ring) = std::task::ready!(self.queue.0.poll_message(cx));
        if ring {
            // A worker that is too busy to hear it finds it by itself.
            self.tell(WebSocketCommand::Room { id: self.id });
        }
        Poll::Ready(bytes)
    }

    /// Why the session is over, once it is. No message comes after it.
    pub fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<SocketEnd> {
        self.queue.0.poll_end(cx).map(|reason| match reason {
            CloseReason::StreamEnded | CloseReason::ModeChanged => SocketEnd::StreamEnded,
            CloseReason::Shutdown => SocketEnd::Shutdown,
            CloseReason::LeaseEnded | CloseReason::Replaced | CloseReason::CredentialEnded => {
                SocketEnd::PermissionEnded
            }
        })
    }

    fn tell(&self, command: WebSocketCommand) {
        self.relay.send_to(self.id, Command::WebSocket(command));
    }
}

impl Drop for SocketFeed {
    fn drop(&mut self) {
        self.tell(WebSocketCommand::Leave { id: self.id });
    }
}
