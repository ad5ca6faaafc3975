//! The way into the workers from the rest of the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use mio::Waker;
use sightline_grant::{Redacted, Revocation, Thumbprint};
use sightline_relay_proto::codec::TrackInfo;
use sightline_relay_proto::frame::Mode;
use sightline_relay_proto::hub::SenderInfo;
use sightline_relay_proto::ids::{DeviceId, StreamKey, TrackIndex};
use tokio::sync::oneshot;

use crate::admit::{AdmitError, Gate, Request};
use crate::api::{
    Admitted, MediaError, Publisher, RoqSession, RtspHandle, SessionId, SocketSession,
    WebRtcAnswer, WebRtcPatch, WebSession,
};
use crate::crew::{Crew, PUBLISHER_WEIGHT, WorkerIndex};
use crate::delay::Delays;
use crate::feed::FeedCommand;
use crate::roq::RoqCommand;
use crate::rtsp::RtspCommand;
use crate::webrtc::WebRtcCommand;
use crate::websocket::{SocketFeed, WebSocketCommand};
use crate::worker::{Command, SharedStats, Urgent};

/// How long a caller waits for the worker's answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Life of an RTSP handle before its first use.
const RTSP_HANDLE_LIFE: Duration = Duration::from_secs(30);

/// Commands to a running relay. Cheap to clone.
#[derive(Clone)]
pub struct RelayHandle {
    shared: Arc<Shared>,
}

/// What all handles share.
pub(crate) struct Shared {
    pub(crate) workers: Vec<WorkerHandle>,
    pub(crate) crew: Arc<Crew>,
    pub(crate) gate: Gate,
}

/// The way into one worker.
pub(crate) struct WorkerHandle {
    pub(crate) commands: SyncSender<Command>,
    pub(crate) waker: Arc<Waker>,
    pub(crate) urgent: Arc<Urgent>,
    pub(crate) stats: Arc<SharedStats>,
}

impl WorkerHandle {
    fn renew_all(&self) {
        self.urgent.revocation_missed.store(true, Ordering::Release);
        let _ = self.waker.wake();
    }

    /// Queues a command; `false` if the queue is full or the worker gone.
    fn send(&self, command: Command) -> bool {
        match self.commands.try_send(command) {
            Ok(()) => self.waker.wake().is_ok(),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }
}

/// Counters of the relay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RelayStats {
    /// Worker threads.
    pub workers: u64,
    /// Streams with a publisher, or waiting for one to come back.
    pub streams: u64,
    /// Of these, sealed ones.
    pub sealed: u64,
    /// Copies of them with other workers, for viewers there.
    pub mirrors: u64,
    /// Viewers.
    pub subscribers: u64,
    /// RTP packets taken in.
    pub packets_in: u64,
    /// RTP packets refused.
    pub packets_dropped: u64,
    /// Of these, packets over their publisher's ceiling.
    pub packets_over_rate: u64,
    /// Frames stored.
    pub frames_in: u64,
    /// Frames lost before they were whole.
    pub frames_lost: u64,
    /// Frames handed to viewers' transports.
    pub frames_out: u64,
    /// Times a slow viewer skipped to a keyframe.
    pub skips: u64,
    /// Frames that no other refers to, left out for a viewer that was late.
    pub needless_left_out: u64,
    /// Times a viewer was given less, since its way carried less than its stream.
    pub lowered: u64,
    /// Times a viewer was given more again.
    pub raised: u64,
    /// Bytes in caches.
    pub cached_bytes: u64,
    /// Turns of the worker's loop.
    pub turns: u64,
}

/// Why a viewer's request fails: at the gate, or in the media plane.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ViewError {
    /// The grant does not admit.
    #[error(transparent)]
    Admit(#[from] AdmitError),
    /// The media plane refuses.
    #[error(transparent)]
    Media(#[from] MediaError),
}

impl RelayHandle {
    pub(crate) fn new(shared: Shared) -> Self {
        Self { shared: Arc::new(shared) }
    }

    pub(crate) fn workers(&self) -> &[WorkerHandle] {
        &self.shared.workers
    }

    /// Starts a WHEP session with a grant.
    pub async fn whep(
        &self,
        request: Request<'_>,
        offer: String,
    ) -> Result<WebRtcAnswer, ViewError> {
        let admitted = self.admit(request)?;
        let worker = self.place_viewer(&admitted.key);
        let id = name_session(worker);
        let ask = |reply| Command::WebRtc(WebRtcCommand::View { id, admitted, offer, reply });
        Ok(self.ask(worker, ask).await?)
    }

    /// Starts a WHIP session of a known device.
    pub async fn whip(
        &self,
        publisher: Publisher,
        offer: String,
    ) -> Result<WebRtcAnswer, MediaError> {
        let worker = self.place_publisher(&publisher.key);
        let id = name_session(worker);
        let publish = |reply| WebRtcCommand::Publish { id, publisher, offer, reply };
        self.ask(worker, |reply| Command::WebRtc(publish(reply))).await
    }

    /// Trickles candidates into a WebRTC session, or restarts its ICE.
    pub async fn patch(
        &self,
        id: SessionId,
        if_match: Option<String>,
        fragment: String,
    ) -> Result<WebRtcPatch, MediaError> {
        let patch = |reply| WebRtcCommand::Patch { id, if_match, fragment, reply };
        self.ask(worker_of(id), |reply| Command::WebRtc(patch(reply))).await
    }

    /// Ends a WebRTC session.
    pub async fn delete(&self, id: SessionId) -> Result<(), MediaError> {
        let delete = |reply| Command::WebRtc(WebRtcCommand::Delete { id, reply });
        self.ask(worker_of(id), delete).await
    }

    /// Trades a grant for a one-use RTSP login.
    pub async fn rtsp_handle(&self, request: Request<'_>) -> Result<RtspHandle, ViewError> {
        let admitted = self.admit(request)?;
        let handle = RtspHandle {
            user: format!("view-{:016x}", random_u128() as u64),
            password: Redacted::new(format!("{:032x}", random_u128())),
            path: format!("/{}/{}", admitted.key.device, admitted.key.channel.0),
        };
        let (user, password) = (handle.user.clone(), handle.password.clone());
        let expires = Instant::now() + RTSP_HANDLE_LIFE;
        let add = |reply| RtspCommand::AddHandle { user, password, admitted, expires, reply };
        // All workers share the logins; the one with the listeners has them expire.
        self.ask(WorkerIndex(0), |reply| Command::Rtsp(add(reply))).await?;
        Ok(handle)
    }

    /// Trades a grant for a RoQ session.
    pub async fn roq_view(&self, request: Request<'_>) -> Result<RoqSession, ViewError> {
        let admitted = self.admit(request)?;
        let worker = self.place_viewer(&admitted.key);
        let id = name_session(worker);
        let view = |reply| Command::Roq(RoqCommand::View { id, admitted, reply });
        Ok(self.ask(worker, view).await?)
    }

    /// Trades a grant for a WebTransport session: a ticket that works once.
    pub async fn web_view(&self, request: Request<'_>) -> Result<WebSession, ViewError> {
        let admitted = self.admit(request)?;
        let worker = self.place_viewer(&admitted.key);
        let id = name_session(worker);
        let view = |reply| Command::Roq(RoqCommand::ViewWeb { id, admitted, reply });
        Ok(self.ask(worker, view).await?)
    }

    /// Trades a grant for a WebSocket session: a ticket that works once.
    pub async fn socket_view(&self, request: Request<'_>) -> Result<SocketSession, ViewError> {
        let admitted = self.admit(request)?;
        let worker = self.place_viewer(&admitted.key);
        let id = name_session(worker);
        let view = |reply| Command::WebSocket(WebSocketCommand::View { id, admitted, reply });
        Ok(self.ask(worker, view).await?)
    }

    /// Uses a ticket up; the session begins. [`MediaError::NoSession`] for a ticket that is unknown,
    /// used or too old.
    pub async fn socket_enter(&self, ticket: SessionId) -> Result<SocketFeed, MediaError> {
        let enter = |reply| Command::WebSocket(WebSocketCommand::Enter { id: ticket, reply });
        let queue = self.ask(worker_of(ticket), enter).await?;
        Ok(SocketFeed::new(ticket, queue, self.clone()))
    }

    /// Opens a RoQ session for a device's identity key. `mode`: what the device announces to send.
    pub async fn roq_publish(
        &self,
        publisher: Publisher,
        identity: Thumbprint,
        tracks: Vec<TrackInfo>,
        mode: Mode,
    ) -> Result<RoqSession, MediaError> {
        let worker = self.place_publisher(&publisher.key);
        let id = name_session(worker);
        let publish = |reply| RoqCommand::Publish { id, publisher, identity, tracks, mode, reply };
        self.ask(worker, |reply| Command::Roq(publish(reply))).await
    }

    /// Starts a publisher inside the process.
    pub async fn feed(
        &self,
        publisher: Publisher,
        tracks: Vec<TrackInfo>,
        unordered: bool,
    ) -> Result<Feed, MediaError> {
        let worker = self.place_publisher(&publisher.key);
        let id = name_session(worker);
        let start = |reply| FeedCommand::Start { id, publisher, tracks, unordered, reply };
        self.ask(worker, |reply| Command::Feed(start(reply))).await?;
        Ok(Feed { id, handle: self.clone() })
    }

    /// Whether a stream is live.
    pub fn live(&self, key: &StreamKey) -> bool {
        self.shared.crew.home(key).is_some()
    }

    /// Ends what a revocation ends. When a worker's queue is full, it asks about every lease instead.
    pub fn revoke(&self, revocation: Revocation) {
        for worker in &self.shared.workers {
            if !worker.send(Command::Revoke(revocation.clone())) {
                worker.renew_all();
            }
        }
    }

    /// Ends every session that publishes for a device: its credential was taken back. `false` if
    /// a queue is full; try again.
    #[must_use]
    pub fn end_publishers(&self, device: &DeviceId) -> bool {
        let sent = |worker: &WorkerHandle| worker.send(Command::EndPublishers(device.clone()));
        // Every worker is told, whatever became of the one before it.
        self.shared.workers.iter().map(sent).fold(true, |all, sent| all & sent)
    }

    /// Ends what runs of a device in the other mode: publishing sessions, streams and their viewers.
    /// `false` if a queue is full; try again.
    #[must_use]
    pub fn end_other_mode(&self, device: &DeviceId, mode: Mode) -> bool {
        let sent = |worker: &WorkerHandle| worker.send(Command::EndOtherMode(device.clone(), mode));
        self.shared.workers.iter().map(sent).fold(true, |all, sent| all & sent)
    }

    /// Tells the cameras that publish for a device, or for any, that it stands differently: they ask
    /// the control plane then. `false` if a queue is full; try again.
    #[must_use]
    pub fn tell_publishers(&self, device: Option<&DeviceId>) -> bool {
        let sent = |worker: &WorkerHandle| worker.send(Command::TellPublishers(device.cloned()));
        self.shared.workers.iter().map(sent).fold(true, |all, sent| all & sent)
    }

    /// The revocation feed is alive; called each second.
    pub fn feed_beat(&self) {
        for worker in &self.shared.workers {
            worker.send(Command::FeedBeat);
        }
    }

    /// Asks the authority about every lease now: revocations may have been missed.
    pub fn renew_all(&self) {
        self.shared.workers.iter().for_each(WorkerHandle::renew_all);
    }

    /// Counters of all workers together, at most half a second old.
    pub fn stats(&self) -> RelayStats {
        let workers = &self.shared.workers;
        let sum = |cell: fn(&SharedStats) -> &AtomicU64| {
            workers.iter().map(|worker| cell(&worker.stats).load(Ordering::Relaxed)).sum()
        };
        RelayStats {
            workers: workers.len() as u64,
            streams: sum(|stats| &stats.streams),
            sealed: sum(|stats| &stats.sealed),
            mirrors: sum(|stats| &stats.mirrors),
            subscribers: sum(|stats| &stats.subscribers),
            packets_in: sum(|stats| &stats.packets_in),
            packets_dropped: sum(|stats| &stats.packets_dropped),
            packets_over_rate: sum(|stats| &stats.packets_over_rate),
            frames_in: sum(|stats| &stats.frames_in),
            frames_lost: sum(|stats| &stats.frames_lost),
            frames_out: sum(|stats| &stats.frames_out),
            skips: sum(|stats| &stats.skips),
            needless_left_out: sum(|stats| &stats.needless_left_out),
            lowered: sum(|stats| &stats.lowered),
            raised: sum(|stats| &stats.raised),
            cached_bytes: sum(|stats| &stats.cached_bytes),
            turns: sum(|stats| &stats.turns),
        }
    }

    /// Histograms of how long frames stay inside, in the text format of Prometheus.
    pub fn delays(&self) -> String {
        Delays::text(self.shared.workers.iter().map(|worker| &worker.stats.delays))
    }

    /// The worker for a viewer, which counts as sent there.
    fn place_viewer(&self, key: &StreamKey) -> WorkerIndex {
        let worker = self.shared.crew.place_viewer(key);
        self.shared.crew.add_load(worker, 1);
        worker
    }

    /// The worker for a publisher, which counts as sent there.
    fn place_publisher(&self, key: &StreamKey) -> WorkerIndex {
        let worker = self.shared.crew.place_publisher(key);
        self.shared.crew.add_load(worker, PUBLISHER_WEIGHT);
        worker
    }

    fn admit(&self, request: Request<'_>) -> Result<Admitted, AdmitError> {
        self.shared.gate.admit(request, unix_now())
    }

    async fn ask<T>(
        &self,
        worker: WorkerIndex,
        make: impl FnOnce(oneshot::Sender<Result<T, MediaError>>) -> Command,
    ) -> Result<T, MediaError> {
        // Names of sessions come from outside, and no other names a worker that is not there.
        let worker = self.worker(worker).ok_or(MediaError::NoSession)?;
        let (reply, answer) = oneshot::channel();
        if !worker.send(make(reply)) {
            return Err(MediaError::Full);
        }
        match tokio::time::timeout(ANSWER_TIMEOUT, answer).await {
            Ok(Ok(result)) => result,
            _ => Err(MediaError::Unavailable),
        }
    }

    /// Queues a command; `false` if the queue is full or the worker gone.
    pub(crate) fn send(&self, worker: WorkerIndex, command: Command) -> bool {
        self.worker(worker).is_some_and(|worker| worker.send(command))
    }

    /// The same for the worker that a session is with.
    pub(crate) fn send_to(&self, id: SessionId, command: Command) -> bool {
        self.send(worker_of(id), command)
    }

    fn worker(&self, index: WorkerIndex) -> Option<&WorkerHandle> {
        self.shared.workers.get(usize::from(index.0))
    }
}

/// A publisher inside the process. Dropping it ends the publication.
pub struct Feed {
    id: SessionId,
    handle: RelayHandle,
}

impl Feed {
    /// Hands in one RTP packet; `false` if the relay is too busy and it was dropped.
    pub fn rtp(&self, track: TrackIndex, packet: Bytes) -> bool {
        self.handle.send(
            worker_of(self.id),
            Command::Feed(FeedCommand::Rtp { id: self.id, track, packet }),
        )
    }

    /// Hands in the source's clock mapping.
    pub fn sender_report(&self, track: TrackIndex, info: SenderInfo) {
        self.handle.send(
            worker_of(self.id),
            Command::Feed(FeedCommand::SenderReport { id: self.id, track, info }),
        );
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.handle.send(worker_of(self.id), Command::Feed(FeedCommand::End { id: self.id }));
    }
}

pub(crate) fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// A new session's name: 120 random bits and its worker.
fn name_session(worker: WorkerIndex) -> SessionId {
    SessionId(random_u128() & !0xff | u128::from(worker.0))
}

/// The worker that a session was named for.
fn worker_of(id: SessionId) -> WorkerIndex {
    WorkerIndex(id.0 as u8)
}

/// 128 bits from the system's generator.
pub(crate) fn random_u128() -> u128 {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system's random source works");
    u128::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use mio::Poll;
    use sightline_grant::GrantSigner;

    use crate::worker::WAKER;

    use super::*;

    #[test]
    fn a_revocation_that_finds_the_queue_full_has_every_lease_asked_about() {
        let poll = Poll::new().unwrap();
        let (commands, queue) = sync_channel(1);
        let verifier = GrantSigner::from_seed(&[5; 32]).unwrap().verifier();
        let urgent = Arc::new(Urgent::default());
        let waker = Arc::new(Waker::new(poll.registry(), WAKER).unwrap());
        let (crew, _notes) = Crew::new(vec![waker.clone()]);
        let stats = Arc::default();
        let workers = vec![WorkerHandle { commands, waker, urgent: urgent.clone(), stats }];
        let shared = Shared { workers, crew: Arc::new(crew), gate: Gate::new(verifier, 0) };
        let handle = RelayHandle { shared: Arc::new(shared) };
        let revocation = || Revocation::Session { session: "s".into() };
        handle.revoke(revocation());
        assert!(!urgent.revocation_missed.load(Ordering::Acquire), "it has a place");
        handle.revoke(revocation());
        assert!(urgent.revocation_missed.load(Ordering::Acquire));
        assert!(!handle.end_publishers(&DeviceId::new("CAM-1").unwrap()), "the caller tries again");
        drop(queue);
    }
}
