//! The worker: one thread that owns its sockets, its streams, its viewers and its timers.
//!
//! One turn of the loop, in order:
//! 1. wait for a socket, a command or the next deadline;
//! 2. sockets: publishers' packets go into the hub, viewers' feedback is answered (it does not wake
//!    the worker packet by packet: [`crate::calm`]);
//! 3. notes of other workers ([`crate::crew`]) and commands from the rest of the process;
//! 4. deadlines;
//! 5. frames: they are handed on to workers that mirror their stream, then every subscriber with
//!    work gets its due frames;
//! 6. what the hub and the leases have decided: keyframe requests, ends, renewals.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::{Events, Poll, Registry, Token};
use sightline_grant::Revocation;
use sightline_relay_proto::frame::Mode;
use sightline_relay_proto::hub::{Hub, HubEvent, HubStats, SubscriberId};
use sightline_relay_proto::ids::DeviceId;
use sightline_relay_proto::transmit::Arena;
use smallvec::SmallVec;
use tokio::sync::mpsc;

use crate::api::{LeaseTerms, LeaseVerdict};
use crate::calm::{Calms, LONG_REST};
use crate::crew::{Company, Note, PUBLISHER_WEIGHT, WorkerIndex};
use crate::delay::Delays;
use crate::feed::{FeedCommand, FeedPort};
use crate::lease::{LeaseId, LeaseTable};
use crate::port::{CloseReason, Cx, Directory, PeerId, PortKind, Questions};
use crate::roq::{RoqCommand, RoqPort};
use crate::rtsp::{RtspCommand, RtspPort};
use crate::webrtc::{WebRtcCommand, WebRtcPort};
use crate::websocket::{WebSocketCommand, WebSocketPort};

/// Token of the waker that commands ring.
pub(crate) const WAKER: Token = Token(0);
/// Readiness events taken in one turn.
const EVENTS: usize = 256;
/// Commands handled in one turn, so that a flood of them cannot starve the sockets.
const COMMANDS_PER_TURN: usize = 256;
/// Notes of other workers handled in one turn.
const NOTES_PER_TURN: usize = 4096;
/// Looks at the sockets of viewers in one turn.
const CALM_LOOKS: usize = 8;
/// Timers of sessions and leases fire at multiples of this, so that a thousand viewers' timers do not
/// make a thousand wakes. What the hub paces and what QUIC counts is exact.
const TICK: Duration = Duration::from_millis(4);
/// Viewers whose state is read before the first of them is served: enough that their waits for
/// memory overlap, few enough that it stays in the first-level cache.
const LOOK_AHEAD: usize = 16;
/// How long a turn serves viewers. Then the sockets are heard before it goes on: what ten thousand
/// viewers say while they are served would not fit the kernel's buffer.
const SERVING: Duration = Duration::from_millis(4);
/// Longest wait without a deadline: bounds how stale exported counters can be.
const IDLE_WAIT: Duration = Duration::from_millis(500);
/// First size of the arena for what ports send beside media, bytes: handshakes, feedback, resends.
const ARENA_BYTES: usize = 512 * 1024;

/// What the rest of the process asks of a worker.
pub(crate) enum Command {
    WebRtc(WebRtcCommand),
    Rtsp(RtspCommand),
    Roq(RoqCommand),
    Feed(FeedCommand),
    WebSocket(WebSocketCommand),
    /// An act of the control plane that ends sessions.
    Revoke(Revocation),
    /// A device's publishing credential has ended, and so have the sessions that stand on it.
    EndPublishers(DeviceId),
    /// A device sends media of this mode only: what runs in the other one ends, and its viewers.
    EndOtherMode(DeviceId, Mode),
    /// A device stands differently, or each may: whoever publishes for it is told.
    TellPublishers(Option<DeviceId>),
    /// The revocation feed is alive.
    FeedBeat,
    /// Answer to a renewal batch; `None` when the authority was silent.
    Renewed(Option<Vec<(LeaseId, LeaseVerdict)>>),
    /// Ends every peer, then the thread.
    Shutdown,
}

/// Leases of a worker that the authority is asked about.
pub(crate) struct Renewals {
    pub(crate) worker: WorkerIndex,
    pub(crate) batch: Vec<(LeaseId, LeaseTerms)>,
}

/// What must reach the worker although its queue is full.
#[derive(Default)]
pub(crate) struct Urgent {
    /// Revocations may have been missed: every lease is to be asked about.
    pub(crate) revocation_missed: AtomicBool,
}

/// Counters of a worker, for the exporter.
#[derive(Default)]
pub(crate) struct SharedStats {
    pub(crate) streams: AtomicU64,
    pub(crate) sealed: AtomicU64,
    pub(crate) mirrors: AtomicU64,
    pub(crate) subscribers: AtomicU64,
    pub(crate) packets_in: AtomicU64,
    pub(crate) packets_dropped: AtomicU64,
    pub(crate) packets_over_rate: AtomicU64,
    pub(crate) frames_in: AtomicU64,
    pub(crate) frames_lost: AtomicU64,
    pub(crate) frames_out: AtomicU64,
    pub(crate) skips: AtomicU64,
    pub(crate) needless_left_out: AtomicU64,
    pub(crate) lowered: AtomicU64,
    pub(crate) raised: AtomicU64,
    pub(crate) cached_bytes: AtomicU64,
    pub(crate) turns: AtomicU64,
    pub(crate) delays: Delays,
}

impl SharedStats {
    fn store(&self, stats: HubStats, turns: u64) {
        let cells = [
            (&self.streams, stats.streams),
            (&self.sealed, stats.sealed),
            (&self.mirrors, stats.mirrors),
            (&self.subscribers, stats.subscribers),
            (&self.packets_in, stats.packets_in),
            (&self.packets_dropped, stats.packets_dropped),
            (&self.frames_in, stats.frames_in),
            (&self.frames_lost, stats.frames_lost),
            (&self.frames_out, stats.frames_out),
            (&self.packets_over_rate, stats.packets_over_rate),
            (&self.skips, stats.skips),
            (&self.needless_left_out, stats.needless_left_out),
            (&self.lowered, stats.lowered),
            (&self.raised, stats.raised),
            (&self.cached_bytes, stats.cached_bytes),
            (&self.turns, turns),
        ];
        for (cell, value) in cells {
            cell.store(value, Ordering::Relaxed);
        }
    }
}

/// The ports, apart from the rest of the worker so that a port can be borrowed beside a [`Cx`].
pub(crate) struct Ports {
    pub(crate) webrtc: WebRtcPort,
    pub(crate) rtsp: RtspPort,
    pub(crate) roq: RoqPort,
    pub(crate) feed: FeedPort,
    pub(crate) websocket: WebSocketPort,
}

impl Ports {
    /// Tells the port of a socket that it is ready.
    fn handle_ready(&mut self, cx: &mut Cx<'_>, event: &Event) {
        let token = event.token();
        let readable = event.is_readable() || event.is_read_closed() || event.is_error();
        let writable = event.is_writable();
        match PortKind::of(token) {
            Some((PortKind::WebRtc, _)) => self.webrtc.handle_io(cx, token, readable, writable),
            Some((PortKind::Rtsp, _)) => self.rtsp.handle_io(cx, token, readable, writable),
            Some((PortKind::Roq, _)) => self.roq.handle_io(cx, token, readable, writable),
            Some((PortKind::Feed | PortKind::WebSocket, _)) | None => {}
        }
    }

    /// A viewer is served soon.
    fn look_ahead(&self, kind: PortKind, peer: PeerId) {
        match kind {
            PortKind::WebRtc => self.webrtc.look_ahead(peer),
            PortKind::Rtsp => self.rtsp.look_ahead(peer),
            PortKind::Roq | PortKind::Feed | PortKind::WebSocket => {}
        }
    }

    /// Sends a viewer its due frames.
    fn deliver(&mut self, cx: &mut Cx<'_>, subscriber: SubscriberId, kind: PortKind, peer: PeerId) {
        match kind {
            PortKind::WebRtc => self.webrtc.deliver(cx, peer, subscriber),
            PortKind::Rtsp => self.rtsp.deliver(cx, peer, subscriber),
            PortKind::Roq => self.roq.deliver(cx, peer, subscriber),
            PortKind::WebSocket => self.websocket.deliver(cx, peer, subscriber),
            PortKind::Feed => cx.hub.unsubscribe(subscriber),
        }
    }

    /// How long the sockets of a port's viewers may rest.
    fn rest(&self, now: Instant, kind: PortKind) -> Duration {
        match kind {
            PortKind::WebRtc => self.webrtc.rest(now),
            PortKind::Roq => self.roq.rest(),
            PortKind::Rtsp | PortKind::Feed | PortKind::WebSocket => LONG_REST,
        }
    }
}

/// Everything of one worker thread.
pub(crate) struct Worker {
    poll: Poll,
    calm: Calms,
    ports: Ports,
    core: Core,
    commands: Receiver<Command>,
    urgent: Arc<Urgent>,
    renewals: mpsc::Sender<Renewals>,
    stats: Arc<SharedStats>,
    turns: u64,
    /// Origin of the ticks.
    born: Instant,
}

/// How a turn left the commands.
enum Commands {
    Done,
    /// More may wait.
    More,
    /// The worker must stop.
    Stop,
}

struct Core {
    hub: Hub,
    leases: LeaseTable,
    directory: Directory,
    arena: Arena,
    questions: Questions,
    company: Company,
}

impl Core {
    fn cx<'a>(&'a mut self, now: Instant, registry: &'a Registry) -> Cx<'a> {
        Cx {
            now,
            hub: &mut self.hub,
            leases: &mut self.leases,
            directory: &mut self.directory,
            registry,
            arena: &mut self.arena,
            questions: &self.questions,
            company: &mut self.company,
        }
    }
}

/// What a worker is made of.
pub(crate) struct WorkerParts {
    pub(crate) poll: Poll,
    pub(crate) calm: Calms,
    pub(crate) ports: Ports,
    pub(crate) commands: Receiver<Command>,
    pub(crate) urgent: Arc<Urgent>,
    pub(crate) renewals: mpsc::Sender<Renewals>,
    pub(crate) questions: Questions,
    pub(crate) company: Company,
    pub(crate) stats: Arc<SharedStats>,
    pub(crate) seed: u64,
    /// What its streams may hold together, bytes.
    pub(crate) cache_bytes: usize,
}

impl Worker {
    pub(crate) fn new(parts: WorkerParts) -> Self {
        Self {
            poll: parts.poll,
            calm: parts.calm,
            ports: parts.ports,
            core: Core {
                hub: Hub::with_cache_budget(parts.seed, parts.cache_bytes),
                leases: LeaseTable::default(),
                directory: Directory::default(),
                arena: Arena::with_capacity(ARENA_BYTES),
                questions: parts.questions,
                company: parts.company,
            },
            commands: parts.commands,
            urgent: parts.urgent,
            renewals: parts.renewals,
            stats: parts.stats,
            turns: 0,
            born: Instant::now(),
        }
    }

    /// Runs until it is told to stop.
    pub(crate) fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        let mut more = false;
        loop {
            // The waker rings once, and viewers are named once, for what one turn did not get to.
            let idle = !more && self.core.company.may_sleep();
            let wait = if idle { self.wait(Instant::now()) } else { Duration::ZERO };
            match self.poll.poll(&mut events, Some(wait)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            }
            let now = Instant::now();
            self.core.company.wake(now);
            self.handle_notes(now);
            for event in &events {
                self.handle_ready(now, event);
            }
            self.listen_to_viewers(now, &events)?;
            more = match self.handle_commands(now) {
                Commands::Done => false,
                Commands::More => true,
                Commands::Stop => {
                    self.shut_down(now);
                    return Ok(());
                }
            };
            self.handle_timeouts(now);
            self.core.company.hand_on(&mut self.core.hub);
            more |= self.deliver(now);
            self.decide(now);
            self.turns += 1;
            self.count();
        }
    }

    fn wait(&self, now: Instant) -> Duration {
        let patient = [
            self.ports.webrtc.poll_timeout(),
            self.ports.rtsp.poll_timeout(),
            self.ports.websocket.poll_timeout(),
            self.core.leases.poll_timeout(),
            self.core.company.poll_timeout(),
        ];
        let exact =
            [self.ports.roq.poll_timeout(), self.core.hub.poll_timeout(), self.calm.poll_timeout()];
        let tick = patient.into_iter().flatten().min().map(|at| self.tick_after(at));
        let next = exact.into_iter().flatten().chain(tick).min();
        next.map_or(IDLE_WAIT, |at| at.saturating_duration_since(now).min(IDLE_WAIT))
    }

    /// The first tick at `at` or after it.
    fn tick_after(&self, at: Instant) -> Instant {
        let since = at.saturating_duration_since(self.born);
        let into = Duration::from_nanos((since.as_nanos() % TICK.as_nanos()) as u64);
        if into.is_zero() { at } else { at + (TICK - into) }
    }

    fn split(&mut self, now: Instant) -> (&mut Ports, Cx<'_>) {
        let cx = self.core.cx(now, self.poll.registry());
        (&mut self.ports, cx)
    }

    fn handle_ready(&mut self, now: Instant, event: &Event) {
        let (ports, mut cx) = self.split(now);
        ports.handle_ready(&mut cx, event);
    }

    /// Handles what waits on the sockets of viewers, where they rang or rest.
    fn listen_to_viewers(&mut self, now: Instant, events: &Events) -> io::Result<()> {
        for (kind, calm) in self.calm.each() {
            if !calm.is_worth_a_look(events) {
                continue;
            }
            let mut cx = self.core.cx(now, self.poll.registry());
            for _ in 0..CALM_LOOKS {
                let more = calm.look()?;
                for event in calm.events() {
                    self.ports.handle_ready(&mut cx, event);
                }
                calm.settle(now, self.ports.rest(now, kind), cx.registry)?;
                if !more {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Handles what other workers say. It comes first in a turn: what they told before something
    /// reached a socket here is known when the socket is read.
    fn handle_notes(&mut self, now: Instant) {
        for _ in 0..NOTES_PER_TURN {
            let Some(note) = self.core.company.poll_note() else { return };
            let core = &mut self.core;
            if let Some(Note::Visitor(visitor)) = core.company.handle_note(now, &mut core.hub, note)
            {
                let (ports, mut cx) = self.split(now);
                ports.rtsp.take_in(&mut cx, *visitor);
            }
        }
    }

    /// Tells the exporter and the other workers how much there is to do here.
    fn count(&self) {
        let stats = self.core.hub.stats();
        self.stats.store(stats, self.turns);
        let load = self.core.leases.len() + stats.streams as usize * PUBLISHER_WEIGHT;
        self.core.company.crew().set_load(self.core.company.me(), load);
    }

    /// Handles what waits, up to [`COMMANDS_PER_TURN`].
    fn handle_commands(&mut self, now: Instant) -> Commands {
        if self.urgent.revocation_missed.swap(false, Ordering::AcqRel) {
            self.core.leases.renew_all(now);
        }
        for _ in 0..COMMANDS_PER_TURN {
            match self.commands.try_recv() {
                Ok(Command::Shutdown) | Err(TryRecvError::Disconnected) => return Commands::Stop,
                Ok(command) => self.handle_command(now, command),
                Err(TryRecvError::Empty) => return Commands::Done,
            }
        }
        Commands::More
    }

    fn handle_command(&mut self, now: Instant, command: Command) {
        let (ports, mut cx) = self.split(now);
        match command {
            Command::WebRtc(command) => ports.webrtc.handle_command(&mut cx, command),
            Command::Rtsp(command) => ports.rtsp.handle_command(&mut cx, command),
            Command::Roq(command) => ports.roq.handle_command(&mut cx, command),
            Command::Feed(command) => ports.feed.handle_command(&mut cx, command),
            Command::WebSocket(command) => ports.websocket.handle_command(&mut cx, command),
            Command::Revoke(revocation) => cx.leases.revoke(now, &revocation),
            Command::EndPublishers(device) => {
                ports.webrtc.end_publishers(&mut cx, &device);
                ports.rtsp.end_publishers(&mut cx, &device);
                ports.roq.end_publishers(&mut cx, &device);
                ports.feed.end_publishers(&mut cx, &device);
            }
            Command::EndOtherMode(device, mode) => {
                ports.roq.end_other_mode(&mut cx, &device, mode);
                if mode.is_sealed() {
                    // These ways in take open media only.
                    ports.webrtc.end_publishers(&mut cx, &device);
                    ports.rtsp.end_publishers(&mut cx, &device);
                    ports.feed.end_publishers(&mut cx, &device);
                }
                cx.hub.end_other_mode(&device, mode);
            }
            Command::TellPublishers(device) => {
                // Cameras that publish in other ways ask by themselves.
                ports.roq.tell_publishers(&mut cx, device.as_ref());
            }
            Command::FeedBeat => cx.leases.feed_beat(now),
            Command::Renewed(Some(verdicts)) => cx.leases.handle_renewed(now, verdicts),
            Command::Renewed(None) => cx.leases.handle_silence(now),
            Command::Shutdown => {}
        }
    }

    fn handle_timeouts(&mut self, now: Instant) {
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let (ports, mut cx) = self.split(now);
        if due(ports.webrtc.poll_timeout()) {
            ports.webrtc.handle_timeout(&mut cx);
        }
        if due(ports.rtsp.poll_timeout()) {
            ports.rtsp.handle_timeout(&mut cx);
        }
        if due(ports.roq.poll_timeout()) {
            ports.roq.handle_timeout(&mut cx);
        }
        if due(ports.websocket.poll_timeout()) {
            ports.websocket.handle_timeout(&mut cx);
        }
        if due(cx.hub.poll_timeout()) {
            cx.hub.handle_timeout(now);
        }
        if due(cx.leases.poll_timeout()) {
            cx.leases.handle_timeout(now);
        }
        if due(cx.company.poll_timeout()) {
            cx.company.handle_timeout(now, cx.hub);
        }
    }

    /// Gives viewers what is due, for [`SERVING`] at most; `true` if more of them may wait.
    fn deliver(&mut self, now: Instant) -> bool {
        let stats = Arc::clone(&self.stats);
        let (ports, mut cx) = self.split(now);
        let mut next: SmallVec<[(SubscriberId, PortKind, PeerId); LOOK_AHEAD]> = SmallVec::new();
        let began = Instant::now();
        let mut more = false;
        while !more {
            while next.len() < LOOK_AHEAD
                && let Some(subscriber) = cx.hub.poll_ready(now)
            {
                match cx.directory.subscribers.get(&subscriber) {
                    Some(&(kind, peer)) => {
                        ports.look_ahead(kind, peer);
                        next.push((subscriber, kind, peer));
                    }
                    None => cx.hub.unsubscribe(subscriber),
                }
            }
            if next.is_empty() {
                break;
            }
            for (subscriber, kind, peer) in next.drain(..) {
                ports.deliver(&mut cx, subscriber, kind, peer);
                if ports.webrtc.is_flushed() && ports.rtsp.is_flushed() {
                    stats.delays.note(cx.hub.handed_out());
                }
            }
            more = began.elapsed() >= SERVING;
        }
        ports.webrtc.flush();
        ports.rtsp.flush();
        stats.delays.note(cx.hub.handed_out());
        more
    }

    fn decide(&mut self, now: Instant) {
        while let Some(event) = self.core.hub.poll_event() {
            self.handle_hub_event(now, event);
        }
        while let Some((lease, _cause)) = self.core.leases.poll_ended() {
            if let Some((port, peer)) = self.core.directory.leases.get(&lease).copied() {
                self.close(now, port, peer, CloseReason::LeaseEnded);
            }
        }
        while let Some(batch) = self.core.leases.poll_renewals(now) {
            let worker = self.core.company.me();
            if self.renewals.try_send(Renewals { worker, batch }).is_err() {
                self.core.leases.handle_silence(now);
                break;
            }
        }
    }

    fn handle_hub_event(&mut self, now: Instant, event: HubEvent) {
        match event {
            HubEvent::KeyframeNeeded { publisher, track } => {
                let (ports, mut cx) = self.split(now);
                match cx.directory.publishers.get(&publisher).copied() {
                    Some((PortKind::WebRtc, peer)) => {
                        ports.webrtc.request_keyframe(&mut cx, peer, track);
                    }
                    Some((PortKind::Roq, peer)) => {
                        ports.roq.request_keyframe(&mut cx, peer, track);
                    }
                    Some((PortKind::Rtsp | PortKind::Feed | PortKind::WebSocket, _)) => {}
                    // The publisher of a mirror is its home.
                    None => {
                        if let Some(mirror) = cx.hub.stream_of(publisher) {
                            cx.company.ask_home(mirror, track);
                        }
                    }
                }
            }
            HubEvent::StreamEnded { key, stream, reason } => {
                self.core.company.handle_ended(&key, stream, reason);
            }
            HubEvent::SubscriberEnded { subscriber, .. } => {
                if let Some((port, peer)) =
                    self.core.directory.subscribers.get(&subscriber).copied()
                {
                    self.close(now, port, peer, CloseReason::StreamEnded);
                }
            }
            HubEvent::PublisherReplaced { publisher } => {
                if let Some((port, peer)) = self.core.directory.publishers.get(&publisher).copied()
                {
                    self.close(now, port, peer, CloseReason::Replaced);
                }
            }
            HubEvent::Presence { key, live } => {
                tracing::info!(device = %key.device, channel = key.channel.0, live, "presence");
            }
        }
    }

    fn close(&mut self, now: Instant, port: PortKind, peer: PeerId, reason: CloseReason) {
        let (ports, mut cx) = self.split(now);
        match port {
            PortKind::WebRtc => ports.webrtc.close(&mut cx, peer, reason),
            PortKind::Rtsp => ports.rtsp.close(&mut cx, peer, reason),
            PortKind::Roq => ports.roq.close(&mut cx, peer, reason),
            PortKind::Feed => ports.feed.close(&mut cx, peer),
            PortKind::WebSocket => ports.websocket.close(&mut cx, peer, reason),
        }
    }

    fn shut_down(&mut self, now: Instant) {
        let directory = &self.core.directory;
        let mut peers: Vec<_> = directory.subscribers.values().copied().collect();
        peers.extend(directory.publishers.values().copied());
        for (port, peer) in peers {
            self.close(now, port, peer, CloseReason::Shutdown);
        }
    }
}
