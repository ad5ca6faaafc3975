//! Starting a relay: sockets, workers and the tasks that answer their questions.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;
use std::time::Duration;

use mio::{Poll, Waker};
use sightline_grant::GrantVerifier;
use sightline_relay_proto::limits::MAX_CACHE_BYTES;
use tokio::sync::mpsc;

use crate::admit::Gate;
use crate::api::{Authority, BoundAddresses};
use crate::calm::Calms;
use crate::config::RelayConfig;
use crate::crew::{Company, Crew, MAX_WORKERS, WorkerIndex};
use crate::feed::FeedPort;
use crate::handle::{RelayHandle, Shared, WorkerHandle, random_u128, unix_now};
use crate::port::{Question, Questions};
use crate::roq::{RoqError, RoqPort};
use crate::rtsp::{Door, RtspCommand, RtspPort};
use crate::webrtc::WebRtcPort;
use crate::websocket::WebSocketPort;
use crate::worker::{Command, Ports, Renewals, SharedStats, Urgent, WAKER, Worker, WorkerParts};

/// Questions and renewal batches that may wait for the asynchronous side.
const QUESTION_QUEUE: usize = 256;
/// How long the authority may take for one answer before it counts as silent.
const AUTHORITY_TIMEOUT: Duration = Duration::from_millis(1500);
/// Commands that may wait for a worker. Beyond it callers are told that the relay is busy.
const COMMAND_QUEUE: usize = 4096;

/// A running relay: its threads, and where it listens.
pub struct Relay {
    handle: RelayHandle,
    addresses: BoundAddresses,
    threads: Vec<JoinHandle<()>>,
}

impl Relay {
    /// Binds every port and starts the workers. Must be called within a tokio runtime, which serves
    /// the workers' questions.
    pub fn start(
        config: &RelayConfig,
        verifier: GrantVerifier,
        authority: Arc<dyn Authority>,
    ) -> Result<Self, StartError> {
        let count = config.workers.clamp(1, MAX_WORKERS);
        let starting: Result<Vec<Starting>, StartError> =
            (0..count).map(|_| Starting::new()).collect();
        let starting = starting?;
        let wakers = starting.iter().map(|worker| worker.waker.clone()).collect();
        let (crew, notes) = Crew::new(wakers);
        let (crew, door) = (Arc::new(crew), Arc::new(Door::default()));
        let (questions, asked) = mpsc::channel(QUESTION_QUEUE);
        let (renewals, batches) = mpsc::channel(QUESTION_QUEUE);
        let mut addresses = None;
        let mut workers = Vec::new();
        let mut ready = Vec::new();
        for ((index, starting), notes) in (0_u8..).zip(starting).zip(notes) {
            let index = WorkerIndex(index);
            let ports = bind(config, index, &door, &starting)?;
            if addresses.is_none() {
                addresses = listening(&ports, config)?;
            }
            let company = Company::new(crew.clone(), index, notes);
            let channels = (Questions::new(questions.clone()), renewals.clone());
            let (worker, handle) = starting.finish(ports, company, channels);
            ready.push((index, worker));
            workers.push(handle);
        }
        let addresses = addresses.expect("the first worker listens");
        // Which grants were used, and what was revoked since, is not known from before.
        let gate = Gate::new(verifier, unix_now());
        let handle = RelayHandle::new(Shared { workers, crew, gate });
        let threads: Result<_, _> =
            ready.into_iter().map(|(at, worker)| spawn(at, worker)).collect();
        tokio::spawn(answer_questions(handle.clone(), authority.clone(), asked));
        tokio::spawn(renew_leases(handle.clone(), authority, batches));
        Ok(Self { handle, addresses, threads: threads.map_err(StartError::Thread)? })
    }

    /// The way to give commands.
    pub fn handle(&self) -> RelayHandle {
        self.handle.clone()
    }

    /// Where the relay listens.
    pub fn addresses(&self) -> BoundAddresses {
        self.addresses
    }

    /// Ends every session and the threads.
    pub fn stop(self) {
        // Waits for a place in each queue: nothing else ends the threads.
        for worker in self.handle.workers() {
            if worker.commands.send(Command::Shutdown).is_ok() {
                let _ = worker.waker.wake();
            }
        }
        for thread in self.threads {
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

/// A worker that has its poller and no ports yet.
struct Starting {
    poll: Poll,
    calm: Calms,
    waker: Arc<Waker>,
}

impl Starting {
    fn new() -> Result<Self, StartError> {
        let poll = Poll::new().map_err(StartError::Thread)?;
        let waker = Waker::new(poll.registry(), WAKER).map_err(StartError::Thread)?;
        let calm = Calms::new(poll.registry()).map_err(StartError::Thread)?;
        Ok(Self { poll, calm, waker: Arc::new(waker) })
    }

    fn finish(
        self,
        ports: Ports,
        company: Company,
        (questions, renewals): (Questions, mpsc::Sender<Renewals>),
    ) -> (Worker, WorkerHandle) {
        let (commands, receiver) = sync_channel(COMMAND_QUEUE);
        let stats = Arc::new(SharedStats::default());
        let urgent = Arc::new(Urgent::default());
        let cache_bytes = MAX_CACHE_BYTES / company.crew().len();
        let worker = Worker::new(WorkerParts {
            poll: self.poll,
            calm: self.calm,
            ports,
            commands: receiver,
            urgent: urgent.clone(),
            renewals,
            questions,
            company,
            stats: stats.clone(),
            seed: random_u128() as u64,
            cache_bytes,
        });
        (worker, WorkerHandle { commands, waker: self.waker, urgent, stats })
    }
}

fn spawn(index: WorkerIndex, worker: Worker) -> io::Result<JoinHandle<()>> {
    let name = format!("relay-{}", index.0);
    std::thread::Builder::new().name(name).spawn(move || run(worker))
}

fn bind(
    config: &RelayConfig,
    index: WorkerIndex,
    door: &Arc<Door>,
    starting: &Starting,
) -> Result<Ports, StartError> {
    let config = &config.of_worker(index.0);
    let (registry, calm) = (starting.poll.registry(), &starting.calm);
    let at = |key, address| move |source| StartError::Bind { key, address, source };
    let webrtc = WebRtcPort::bind(config, calm.webrtc.registry())
        .map_err(at("listen.webrtc", config.webrtc))?;
    let registries = [registry, calm.rtsp.registry()];
    let rtsp =
        RtspPort::bind(config, door.clone(), index.0 == 0, registries).map_err(|failed| {
            StartError::Bind { key: failed.key, address: failed.address, source: failed.source }
        })?;
    let roq = RoqPort::new(config, calm.roq.registry()).map_err(|error| match error {
        RoqError::Io(source) => StartError::Bind { key: "listen.roq", address: config.roq, source },
        RoqError::Tls(error) => StartError::Certificate(error.to_string()),
    })?;
    let (feed, websocket) = (FeedPort::default(), WebSocketPort::default());
    Ok(Ports { webrtc, rtsp, roq, feed, websocket })
}

/// Where the worker with the listeners listens.
fn listening(ports: &Ports, config: &RelayConfig) -> Result<Option<BoundAddresses>, StartError> {
    let failed = |source| StartError::Bind { key: "listen.rtsp", address: config.rtsp, source };
    let tcp = ports.rtsp.addresses().map_err(failed)?;
    Ok(tcp.map(|tcp| BoundAddresses {
        webrtc: ports.webrtc.local_addr(),
        rtsp: tcp.rtsp,
        rtsps: tcp.rtsps,
        roq: ports.roq.local_addr(),
    }))
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
            Question::RtspPublisher { worker, peer, user } => {
                let look_up = authority.rtsp_publisher(user);
                let answer = tokio::time::timeout(AUTHORITY_TIMEOUT, look_up).await;
                let answer = answer.unwrap_or(None);
                handle.send(worker, Command::Rtsp(RtspCommand::Credential { peer, answer }));
            }
        }
    }
}

async fn renew_leases(
    handle: RelayHandle,
    authority: Arc<dyn Authority>,
    mut batches: mpsc::Receiver<Renewals>,
) {
    while let Some(Renewals { worker, batch }) = batches.recv().await {
        let (ids, terms): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        let answer = tokio::time::timeout(AUTHORITY_TIMEOUT, authority.renew(terms)).await;
        let verdicts = match answer {
            Ok(Ok(verdicts)) if verdicts.len() == ids.len() => {
                Some(ids.into_iter().zip(verdicts).collect())
            }
            _ => None,
        };
        handle.send(worker, Command::Renewed(verdicts));
    }
}
