//! One connection: its bytes in and out, and what its requests come to.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Interest, Registry};
use sightline_relay_proto::ids::{DeviceId, StreamKey};
use sightline_relay_proto::rtsp::{Event, Refusal, Role, RtspConnection, StreamPath};

use crate::api::Publisher;
use crate::lease::LeaseRefused;
use crate::port::{Cx, PeerId, PortKind, Question};

use super::Shared;
use super::drain::Drain;
use super::output::Output;
use super::play::Viewer;
use super::record::Recorder;
use super::visitor::Move;
use super::wire::Wire;

/// Reads of one turn, each of up to 64 KiB; then others get theirs.
const READS: usize = 16;
/// Time for the last answer of a closing connection to leave.
const FINISH: Duration = Duration::from_secs(5);

/// Longest time between two looks at a viewer that plays: short against its session's timeout.
pub(super) const LOOK: Duration = Duration::from_secs(1);

/// Who the peer turned out to be.
pub(super) enum Who {
    Nobody,
    /// Its login is being looked up, or was and may still prove right.
    Candidate(Option<Publisher>),
    Viewer(Box<Viewer>),
    Publisher(Box<Recorder>),
}

/// What becomes of a peer after a turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    Lives,
    /// More input may wait; another turn is due.
    Busy,
    /// Everything was said.
    Finished,
    /// The other side is gone or broke a rule.
    Broken,
    /// Another worker is to serve it.
    Moves,
}

pub(super) struct Peer {
    pub(super) id: PeerId,
    pub(super) address: SocketAddr,
    pub(super) connection: RtspConnection,
    pub(super) wire: Wire,
    pub(super) output: Output,
    pub(super) who: Who,
    /// Why an admitted viewer got no lease.
    pub(super) refused: Option<Refusal>,
    /// Still counted among the unauthenticated of its source.
    pub(super) counted: bool,
    /// While the socket is full, the hub is not asked.
    pub(super) drain: Drain,
    /// Its socket rests with those of the other viewers.
    calm: bool,
    /// Its worker was chosen.
    pub(super) placed: bool,
    /// It goes to another worker.
    pub(super) moves: Option<Move>,
    readable: bool,
    finish_by: Option<Instant>,
    /// Until then a tick has nothing to do here. A thousand viewers that are looked at four times a
    /// second would cost more than their reports.
    pub(super) look_at: Option<Instant>,
}

impl Peer {
    pub(super) fn new(
        now: Instant,
        id: PeerId,
        address: SocketAddr,
        connection: RtspConnection,
        wire: Wire,
    ) -> Self {
        Self {
            id,
            address,
            connection,
            wire,
            output: Output::default(),
            who: Who::Nobody,
            refused: None,
            counted: true,
            drain: Drain::new(now),
            calm: false,
            placed: false,
            moves: None,
            readable: true,
            finish_by: None,
            look_at: None,
        }
    }

    pub(super) fn ip(&self) -> IpAddr {
        self.address.ip()
    }

    /// The socket has something to say.
    pub(super) fn handle_ready(
        &mut self,
        cx: &mut Cx<'_>,
        shared: &mut Shared,
        readable: bool,
    ) -> Fate {
        self.readable |= readable;
        self.turn(cx, shared)
    }

    /// Reads, acts and writes as far as it goes.
    pub(super) fn turn(&mut self, cx: &mut Cx<'_>, shared: &mut Shared) -> Fate {
        for _ in 0..READS {
            self.act(cx, shared);
            if self.moves.is_some() {
                return Fate::Moves;
            }
            if !self.readable {
                return self.settle(cx);
            }
            if !self.takes_input() {
                match self.settle(cx) {
                    // There is room again, and no event will tell of the input that waits.
                    Fate::Lives if self.takes_input() => continue,
                    fate => return fate,
                }
            }
            match self.wire.read(&mut shared.scratch) {
                // Answers to what came before the end still go out.
                Ok(0) => {
                    let drained = self.output.pump(&mut self.wire).unwrap_or(false);
                    return if drained { Fate::Finished } else { Fate::Broken };
                }
                Ok(len) => self.connection.handle_input(&shared.scratch[..len]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Fate::Broken,
            }
        }
        self.act(cx, shared);
        if self.moves.is_some() {
            return Fate::Moves;
        }
        match self.settle(cx) {
            Fate::Lives => Fate::Busy,
            other => other,
        }
    }

    fn takes_input(&self) -> bool {
        self.connection.wants_input() && !self.output.is_overfull()
    }

    /// Writes what waits; wakes the viewer's cursor when the socket has room again.
    pub(super) fn settle(&mut self, cx: &mut Cx<'_>) -> Fate {
        let before = self.output.written;
        let Ok(drained) = self.output.pump(&mut self.wire) else { return Fate::Broken };
        if self.output.written > before {
            self.connection.note_activity(cx.now);
        }
        if self.finish_by.is_some() {
            return if drained { Fate::Finished } else { Fate::Lives };
        }
        if drained
            && self.drain.empty(cx.now)
            && let Some(subscriber) = self.viewer().and_then(|viewer| viewer.subscriber)
        {
            cx.hub.resume(cx.now, subscriber);
        }
        Fate::Lives
    }

    /// Time has passed. Reports for UDP are left in the arena.
    pub(super) fn handle_tick(&mut self, cx: &mut Cx<'_>, shared: &mut Shared) -> Fate {
        if self.look_at.is_some_and(|at| at > cx.now) {
            return Fate::Lives;
        }
        if self.finish_by.is_some_and(|due| due <= cx.now) {
            return Fate::Broken;
        }
        self.connection.handle_timeout(cx.now);
        self.act(cx, shared);
        if self.moves.is_some() {
            return Fate::Moves;
        }
        match &mut self.who {
            Who::Viewer(viewer) => {
                cx.leases.set_alive(viewer.lease, self.connection.is_alive(cx.now));
                viewer.report(cx, &mut self.output, self.address);
                viewer.tell_budget(cx, self.drain.news(cx.now, self.output.written));
                self.look_at = viewer.next_report().map(|due| due.min(cx.now + LOOK));
            }
            Who::Publisher(recorder) => {
                recorder.report(cx, &self.connection, &mut self.output, self.address);
            }
            Who::Nobody | Who::Candidate(_) => {}
        }
        self.settle(cx)
    }

    fn act(&mut self, cx: &mut Cx<'_>, shared: &mut Shared) {
        while let Some(event) = self.connection.poll_event(cx.now) {
            let Some(event) = self.place(cx, event) else { return };
            self.handle_event(cx, shared, event);
        }
        while let Some(text) = self.connection.poll_output() {
            self.output.push_text(text);
        }
    }

    pub(super) fn handle_event(&mut self, cx: &mut Cx<'_>, shared: &mut Shared, event: Event) {
        match event {
            Event::Login { role: Role::Viewer, user, path } => {
                let secret = shared.door.handles().secret(cx.now, &user, &key_of(&path));
                self.connection.answer_login(cx.now, secret);
            }
            Event::Login { role: Role::Publisher, user, .. } => {
                self.who = Who::Candidate(None);
                let (worker, peer) = (cx.company.me(), self.id);
                if !cx.questions.ask(Question::RtspPublisher { worker, peer, user }) {
                    self.connection.refuse(&Refusal::new(503, "too busy; try again later"));
                }
            }
            Event::LoggedIn { role, user } => self.enter(cx, shared, role, &user),
            Event::Lookup { path } => self.look_up(cx, &path),
            Event::Announce { path, ignored, .. } => {
                if !ignored.is_empty() {
                    let why = ignored.join("; ");
                    tracing::info!(device = %path.device, why, "announced tracks are left out");
                }
                self.announce(&path);
            }
            Event::SetupUdp(setup) => {
                if shared.udp.enter(self.id, self.ip(), &setup) {
                    self.connection.accept();
                } else {
                    self.connection.refuse(&Refusal::new(461, "the ports are in use"));
                }
            }
            Event::Play => self.play(cx, shared),
            Event::Record => self.record(cx),
            Event::Paused => {
                if let Who::Viewer(viewer) = &mut self.who {
                    viewer.leave(cx);
                }
            }
            Event::Media { track, rtcp, packet } => self.handle_media(cx, track, rtcp, packet),
            Event::Close => self.finish_by = Some(cx.now + FINISH),
        }
    }

    fn enter(&mut self, cx: &mut Cx<'_>, shared: &mut Shared, role: Role, user: &str) {
        if std::mem::take(&mut self.counted) {
            shared.door.admission().leave(self.address.ip());
        }
        match (role, std::mem::replace(&mut self.who, Who::Nobody)) {
            (Role::Viewer, _) => {
                let Some(admitted) = shared.door.handles().take(cx.now, user) else { return };
                match Viewer::open(cx, self.id, admitted) {
                    Ok(viewer) => self.who = Who::Viewer(Box::new(viewer)),
                    Err(error) => {
                        let status = if error == LeaseRefused::Revoked { 403 } else { 503 };
                        self.refused = Some(Refusal::new(status, error.to_string()));
                    }
                }
            }
            (Role::Publisher, Who::Candidate(Some(publisher))) => {
                self.who = Who::Publisher(Box::new(Recorder::new(publisher, shared.ssrc)));
            }
            // Requests of nobody are refused one by one.
            (Role::Publisher, _) => {}
        }
    }

    /// Whether it stands on the publishing credential of this device.
    pub(super) fn publishes_for(&self, device: &DeviceId) -> bool {
        match &self.who {
            Who::Publisher(recorder) => recorder.device() == device,
            Who::Candidate(Some(publisher)) => publisher.key.device == *device,
            Who::Nobody | Who::Candidate(None) | Who::Viewer(_) => false,
        }
    }

    pub(super) fn viewer(&self) -> Option<&Viewer> {
        match &self.who {
            Who::Viewer(viewer) => Some(viewer),
            _ => None,
        }
    }

    /// Takes everything of this peer out of the tables of the worker.
    pub(super) fn leave(&mut self, cx: &mut Cx<'_>, shared: &mut Shared) {
        for setup in self.connection.setups() {
            if shared.udp.belongs_to(self.id, self.address.ip(), setup) {
                shared.udp.leave(self.address.ip(), setup);
            }
        }
        if std::mem::take(&mut self.counted) {
            shared.door.admission().leave(self.address.ip());
        }
        match &mut self.who {
            Who::Viewer(viewer) => viewer.close(cx),
            Who::Publisher(recorder) => recorder.close(cx),
            Who::Nobody | Who::Candidate(_) => {}
        }
        let registry = if self.calm { &shared.calm } else { cx.registry };
        let _ = registry.deregister(&mut self.wire.tcp);
    }

    /// It plays: what it says from now on is feedback and may wait a little.
    pub(super) fn calm_down(&mut self, cx: &mut Cx<'_>, calm: &Registry) -> io::Result<()> {
        if !std::mem::replace(&mut self.calm, true) {
            cx.registry.deregister(&mut self.wire.tcp)?;
            listen(calm, &mut self.wire.tcp, self.id)?;
        }
        Ok(())
    }
}

/// Registers the socket of a peer.
pub(super) fn listen(registry: &Registry, tcp: &mut TcpStream, id: PeerId) -> io::Result<()> {
    let interest = Interest::READABLE | Interest::WRITABLE;
    registry.register(tcp, PortKind::Rtsp.token(id.0 as usize), interest)
}

/// The stream that a path names.
pub(super) fn key_of(path: &StreamPath) -> StreamKey {
    StreamKey::up(path.device.clone(), path.channel)
}
