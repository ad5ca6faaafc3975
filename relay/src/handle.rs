//! Starting a relay, and the way into its worker from the rest of the process.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use mio::{Poll, Registry, Waker};
use sightline_grant::{GrantVerifier, Redacted, Revocation, Thumbprint};
use sightline_relay_proto::codec::TrackInfo;
use sightline_relay_proto::hub::SenderInfo;
use sightline_relay_proto::ids::{DeviceId, StreamKey, TrackIndex};
use tokio::sync::{mpsc, oneshot};

use crate::admit::{AdmitError, Gate, Request};
use crate::api::{
    Admitted, Authority, BoundAddresses, MediaError, Publisher, RoqSession, RtspHandle, SessionId,
    WebRtcAnswer, WebRtcPatch,
};
use crate::calm::Calms;
use crate::config::RelayConfig;
use crate::feed::{FeedCommand, FeedPort};
use crate::lease::LeaseId;
use crate::port::{Question, Questions};
use crate::roq::{RoqCommand, RoqError, RoqPort};
use crate::rtsp::{RtspCommand, RtspPort};
use crate::webrtc::{WebRtcCommand, WebRtcPort};
use crate::worker::{Command, Ports, SharedStats, Urgent, WAKER, Worker, WorkerParts};

/// Commands that may wait for a worker. Beyond it callers are told that the relay is busy.
const COMMAND_QUEUE: usize = 4096;
/// Questions and renewal batches that may wait for the asynchronous side.
const QUESTION_QUEUE: usize = 256;
/// How long a caller waits for the worker's answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the authority may take for one answer before it counts as silent.
const AUTHORITY_TIMEOUT: Duration = Duration::from_millis(1500);
/// Life of an RTSP handle before its first use.
const RTSP_HANDLE_LIFE: Duration = Duration::from_secs(30);

/// A running relay: its thread, and where it listens.
pub struct Relay {
    handle: RelayHandle,
    addresses: BoundAddresses,
    thread: Option<JoinHandle<()>>,
}

/// Commands to a running relay. Cheap to clone.
#[derive(Clone)]
pub struct RelayHandle {
    shared: Arc<Shared>,
}

struct Shared {
    commands: SyncSender<Command>,
    waker: Waker,
    urgent: Arc<Urgent>,
    gate: Gate,
    stats: Arc<SharedStats>,
}

/// Counters of the relay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RelayStats {
    /// Streams with a publisher, or waiting for one to come back.
    pub streams: u64,
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
    /// Times a viewer was given less, since its way carried less than its stream.
    pub lowered: u64,
    /// Times a viewer was given more again.
    pub raised: u64,
    /// Bytes in caches.
    pub cached_bytes: u64,
    /// Turns of the worker's loop.
    pub turns: u64,
}

impl Relay {
    /// Binds every port and starts the worker. Must be called within a tokio runtime, which serves
    /// the worker's questions.
    pub fn start(
        config: &RelayConfig,
        verifier: GrantVerifier,
        authority: Arc<dyn Authority>,
    ) -> Result<Self, StartError> {
        let poll = Poll::new().map_err(StartError::Thread)?;
        let waker = Waker::new(poll.registry(), WAKER).map_err(StartError::Thread)?;
        let calm = Calms::new(poll.registry()).map_err(StartError::Thread)?;
        let (ports, addresses) = bind(config, poll.registry(), &calm)?;
        let (commands, receiver) = sync_channel(COMMAND_QUEUE);
        let (questions, asked) = mpsc::channel(QUESTION_QUEUE);
        let (renewals, batches) = mpsc::channel(QUESTION_QUEUE);
        let stats = Arc::new(SharedStats::default());
        let urgent = Arc::new(Urgent::default());
        let worker = Worker::new(WorkerParts {
            poll,
            calm,
            ports,
            commands: receiver,
            urgent: urgent.clone(),
            renewals,
            questions: Questions::new(questions),
            stats: stats.clone(),
            seed: random_u128() as u64,
        });
        let thread = std::thread::Builder::new()
            .name("relay-0".into())
            .spawn(move || run(worker))
            .map_err(StartError::Thread)?;
        // Which grants were used, and what was revoked since, is not known from before.
        let gate = Gate::new(verifier, unix_now());
        let shared = Shared { commands, waker, urgent, gate, stats };
        let handle = RelayHandle { shared: Arc::new(shared) };
        tokio::spawn(answer_questions(handle.clone(), authority.clone(), asked));
        tokio::spawn(renew_leases(handle.clone(), authority, batches));
        Ok(Self { handle, addresses, thread: Some(thread) })
    }

    /// The way to give commands.
    pub fn handle(&self) -> RelayHandle {
        self.handle.clone()
    }

    /// Where the relay listens.
    pub fn addresses(&self) -> BoundAddresses {
        self.addresses
    }

    /// Ends every session and the thread.
    pub fn stop(mut self) {
        // Waits for a place in the queue: nothing else ends the thread.
        let shared = &self.handle.shared;
        if shared.commands.send(Command::Shutdown).is_ok() {
            let _ = shared.waker.wake();
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Why a relay does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A port cannot be bound.
    #[error("cannot listen on {address} ({key}): {source}")]
    Bind {
        /// Config key of the address.
        key: &'static str,
        /// The address.
        address: std::net::SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The thread or its poller cannot be made.
    #[error("cannot start the relay's thread: {0}")]
    Thread(io::Error),
    /// The certificate does not fit.
    #[error("cannot use the relay's certificate: {0}")]
    Certificate(String),
}

fn bind(
    config: &RelayConfig,
    registry: &Registry,
    calm: &Calms,
) -> Result<(Ports, BoundAddresses), StartError> {
    let at = |key, address| move |source| StartError::Bind { key, address, source };
    let webrtc = WebRtcPort::bind(config, calm.webrtc.registry())
        .map_err(at("listen.webrtc", config.webrtc))?;
    let rtsp = RtspPort::bind(config, registry, calm.rtsp.registry()).map_err(|failed| {
        StartError::Bind { key: failed.key, address: failed.address, source: failed.source }
    })?;
    let roq = RoqPort::new(config, calm.roq.registry()).map_err(|error| match error {
        RoqError::Io(source) => StartError::Bind { key: "listen.roq", address: config.roq, source },
        RoqError::Tls(error) => StartError::Certificate(error.to_string()),
    })?;
    let tcp = rtsp.addresses().map_err(at("listen.rtsp", config.rtsp))?;
    let addresses = BoundAddresses {
        webrtc: webrtc.local_addr(),
        rtsp: tcp.rtsp,
        rtsps: tcp.rtsps,
        roq: roq.local_addr(),
    };
    Ok((Ports { webrtc, rtsp, roq, feed: FeedPort::default() }, addresses))
}

/// A worker that fails takes the process down: its streams are gone, and a supervisor restarts us
/// faster than a half-dead relay would be noticed.
fn run(worker: Worker) {
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| worker.run()));
    let text = match outcome {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "a panic, reported above".to_owned(),
    };
    tracing::error!(error = text, "the relay worker failed; the process stops");
    std::process::exit(70);
}

async fn answer_questions(
    handle: RelayHandle,
    authority: Arc<dyn Authority>,
    mut asked: mpsc::Receiver<Question>,
) {
    while let Some(question) = asked.recv().await {
        match question {
            Question::RtspPublisher { peer, user } => {
                let look_up = authority.rtsp_publisher(user);
                let answer = tokio::time::timeout(AUTHORITY_TIMEOUT, look_up).await;
                let answer = answer.unwrap_or(None);
                handle.send(Command::Rtsp(RtspCommand::Credential { peer, answer }));
            }
        }
    }
}

async fn renew_leases(
    handle: RelayHandle,
    authority: Arc<dyn Authority>,
    mut batches: mpsc::Receiver<Vec<(LeaseId, crate::api::LeaseTerms)>>,
) {
    while let Some(batch) = batches.recv().await {
        let (ids, terms): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        let answer = tokio::time::timeout(AUTHORITY_TIMEOUT, authority.renew(terms)).await;
        let verdicts = match answer {
            Ok(Ok(verdicts)) if verdicts.len() == ids.len() => {
                Some(ids.into_iter().zip(verdicts).collect())
            }
            _ => None,
        };
        handle.send(Command::Renewed(verdicts));
    }
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
    /// Starts a WHEP session with a grant.
    pub async fn whep(
        &self,
        request: Request<'_>,
        offer: String,
    ) -> Result<WebRtcAnswer, ViewError> {
        let admitted = self.admit(request)?;
        let id = SessionId(random_u128());
        let ask = |reply| Command::WebRtc(WebRtcCommand::View { id, admitted, offer, reply });
        Ok(self.ask(ask).await?)
    }

    /// Starts a WHIP session of a known device.
    pub async fn whip(
        &self,
        publisher: Publisher,
        offer: String,
    ) -> Result<WebRtcAnswer, MediaError> {
        let id = SessionId(random_u128());
        self.ask(|reply| Command::WebRtc(WebRtcCommand::Publish { id, publisher, offer, reply }))
            .await
    }

    /// Trickles candidates into a WebRTC session, or restarts its ICE.
    pub async fn patch(
        &self,
        id: SessionId,
        if_match: Option<String>,
        fragment: String,
    ) -> Result<WebRtcPatch, MediaError> {
        self.ask(|reply| Command::WebRtc(WebRtcCommand::Patch { id, if_match, fragment, reply }))
            .await
    }

    /// Ends a WebRTC session.
    pub async fn delete(&self, id: SessionId) -> Result<(), MediaError> {
        self.ask(|reply| Command::WebRtc(WebRtcCommand::Delete { id, reply })).await
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
        self.ask(|reply| Command::Rtsp(add(reply))).await?;
        Ok(handle)
    }

    /// Trades a grant for a RoQ session.
    pub async fn roq_view(&self, request: Request<'_>) -> Result<RoqSession, ViewError> {
        let admitted = self.admit(request)?;
        let id = SessionId(random_u128());
        Ok(self.ask(|reply| Command::Roq(RoqCommand::View { id, admitted, reply })).await?)
    }

    /// Opens a RoQ session for a device's identity key.
    pub async fn roq_publish(
        &self,
        publisher: Publisher,
        identity: Thumbprint,
        tracks: Vec<TrackInfo>,
    ) -> Result<RoqSession, MediaError> {
        let id = SessionId(random_u128());
        self.ask(|reply| {
            Command::Roq(RoqCommand::Publish { id, publisher, identity, tracks, reply })
        })
        .await
    }

    /// Starts a publisher inside the process.
    pub async fn feed(
        &self,
        publisher: Publisher,
        tracks: Vec<TrackInfo>,
        unordered: bool,
    ) -> Result<Feed, MediaError> {
        let id = SessionId(random_u128());
        self.ask(|reply| {
            Command::Feed(FeedCommand::Start { id, publisher, tracks, unordered, reply })
        })
        .await?;
        Ok(Feed { id, handle: self.clone() })
    }

    /// Whether a stream is live.
    pub async fn live(&self, key: StreamKey) -> bool {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Live { key, reply })
            && matches!(tokio::time::timeout(ANSWER_TIMEOUT, answer).await, Ok(Ok(true)))
    }

    /// Ends what a revocation ends. When the queue is full, every lease is asked about instead.
    pub fn revoke(&self, revocation: Revocation) {
        if !self.send(Command::Revoke(revocation)) {
            self.renew_all();
        }
    }

    /// Ends every session that publishes for a device: its credential was taken back. `false` if
    /// the queue is full; try again.
    #[must_use]
    pub fn end_publishers(&self, device: DeviceId) -> bool {
        self.send(Command::EndPublishers(device))
    }

    /// The revocation feed is alive; called each second.
    pub fn feed_beat(&self) {
        self.send(Command::FeedBeat);
    }

    /// Asks the authority about every lease now: revocations may have been missed.
    pub fn renew_all(&self) {
        self.shared.urgent.revocation_missed.store(true, Ordering::Release);
        let _ = self.shared.waker.wake();
    }

    /// Counters, at most half a second old.
    pub fn stats(&self) -> RelayStats {
        let stats = &self.shared.stats;
        let read = |cell: &std::sync::atomic::AtomicU64| cell.load(Ordering::Relaxed);
        RelayStats {
            streams: read(&stats.streams),
            subscribers: read(&stats.subscribers),
            packets_in: read(&stats.packets_in),
            packets_dropped: read(&stats.packets_dropped),
            packets_over_rate: read(&stats.packets_over_rate),
            frames_in: read(&stats.frames_in),
            frames_lost: read(&stats.frames_lost),
            frames_out: read(&stats.frames_out),
            skips: read(&stats.skips),
            lowered: read(&stats.lowered),
            raised: read(&stats.raised),
            cached_bytes: read(&stats.cached_bytes),
            turns: read(&stats.turns),
        }
    }

    /// Histograms of how long frames stay inside, in the text format of Prometheus.
    pub fn delays(&self) -> String {
        self.shared.stats.delays.text()
    }

    fn admit(&self, request: Request<'_>) -> Result<Admitted, AdmitError> {
        self.shared.gate.admit(request, unix_now())
    }

    async fn ask<T>(
        &self,
        make: impl FnOnce(oneshot::Sender<Result<T, MediaError>>) -> Command,
    ) -> Result<T, MediaError> {
        let (reply, answer) = oneshot::channel();
        if !self.send(make(reply)) {
            return Err(MediaError::Full);
        }
        match tokio::time::timeout(ANSWER_TIMEOUT, answer).await {
            Ok(Ok(result)) => result,
            _ => Err(MediaError::Unavailable),
        }
    }

    /// Queues a command; `false` if the queue is full or the worker gone.
    fn send(&self, command: Command) -> bool {
        match self.shared.commands.try_send(command) {
            Ok(()) => self.shared.waker.wake().is_ok(),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
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
        self.handle.send(Command::Feed(FeedCommand::Rtp { id: self.id, track, packet }))
    }

    /// Hands in the source's clock mapping.
    pub fn sender_report(&self, track: TrackIndex, info: SenderInfo) {
        self.handle.send(Command::Feed(FeedCommand::SenderReport { id: self.id, track, info }));
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.handle.send(Command::Feed(FeedCommand::End { id: self.id }));
    }
}

fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// 128 bits from the system's generator.
fn random_u128() -> u128 {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system's random source works");
    u128::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use sightline_grant::GrantSigner;

    use super::*;

    #[test]
    fn a_revocation_that_finds_the_queue_full_has_every_lease_asked_about() {
        let poll = Poll::new().unwrap();
        let (commands, queue) = sync_channel(1);
        let verifier = GrantSigner::from_seed(&[5; 32]).unwrap().verifier();
        let urgent = Arc::new(Urgent::default());
        let shared = Shared {
            commands,
            waker: Waker::new(poll.registry(), WAKER).unwrap(),
            urgent: urgent.clone(),
            gate: Gate::new(verifier, 0),
            stats: Arc::default(),
        };
        let handle = RelayHandle { shared: Arc::new(shared) };
        let revocation = || Revocation::Session { session: "s".into() };
        handle.revoke(revocation());
        assert!(!urgent.revocation_missed.load(Ordering::Acquire), "it has a place");
        handle.revoke(revocation());
        assert!(urgent.revocation_missed.load(Ordering::Acquire));
        assert!(!handle.end_publishers(DeviceId::new("CAM-1").unwrap()), "the caller tries again");
        drop(queue);
    }
}
