//! WebTransport viewers: browsers on the same UDP port, told apart by their ALPN.
//!
//! A browser has no client certificate, so its ticket stands for the key that was proved over
//! HTTP: 128 random bits that work once, on one connection. Until the ticket is checked nothing but
//! SETTINGS and one request is read, and both are bounded. What a viewer then gets is described in
//! [`sightline_relay_proto::gop_stream`].

pub(super) mod h3;
mod viewer;

use std::time::{Duration, Instant};

use bytes::Bytes;
use quinn_proto::{Chunks, Connection, Dir, ReadError, RecvStream, StreamEvent, StreamId, VarInt};
use sightline_relay_proto::hub::{Hub, Pacing, Selection};
use sightline_relay_proto::ids::TrackIndex;
use web_transport_proto::http::StatusCode;

use self::h3::{Asked, Code, Fault, Kind, MAX_REQUEST, SessionCode, UniReader};
pub(super) use self::viewer::Viewer;
use super::connections::{Half, Peer};
use super::sessions::{Door, Purpose};
use super::{RoqPort, too_late, watched};
use crate::api::SessionId;
use crate::items::Items;
use crate::port::{Cx, PortKind};

/// Time from the handshake to the CONNECT request.
const REQUEST_WAIT: Duration = Duration::from_secs(5);
/// Time for the last words of a session to reach the viewer, before its connection closes.
const LINGER: Duration = Duration::from_millis(500);

/// How a connection closes when its session has ended in good order.
const OVER: Fault = (Code::NoError, "the session is over");

/// One connection of a browser.
pub(super) struct Web {
    phase: Phase,
    /// The stream of the CONNECT request, once it is there.
    request: Option<StreamId>,
    /// What came of the request.
    held: Vec<u8>,
    /// The peer's uni streams.
    unis: Vec<(StreamId, UniReader)>,
}

enum Phase {
    /// Waits for its request until then.
    Stranger(Instant),
    Watching(Box<Viewer>),
    /// Over; the connection closes then, or as soon as the viewer has the last words.
    Ending(Instant),
}

impl Web {
    fn new(now: Instant) -> Self {
        let phase = Phase::Stranger(now + REQUEST_WAIT);
        Self { phase, request: None, held: Vec::new(), unis: Vec::new() }
    }

    /// The session's media, while there is one.
    fn viewer(&mut self) -> Option<&mut Viewer> {
        match &mut self.phase {
            Phase::Watching(viewer) => Some(viewer),
            Phase::Stranger(_) | Phase::Ending(_) => None,
        }
    }

    /// Sends what is due.
    pub(super) fn deliver(
        &mut self,
        now: Instant,
        hub: &mut Hub,
        quic: &mut Connection,
        items: &mut Items<Bytes>,
    ) {
        if let Some(viewer) = self.viewer() {
            viewer.deliver(now, hub, quic, items);
        }
    }

    pub(super) fn note_unsent(&mut self, now: Instant, bytes: u64) {
        if let Some(viewer) = self.viewer() {
            viewer.note_unsent(now, bytes);
        }
    }

    pub(super) fn is_at_ease(&self) -> bool {
        match &self.phase {
            Phase::Watching(viewer) => viewer.is_at_ease(),
            Phase::Stranger(_) | Phase::Ending(_) => false,
        }
    }

    pub(super) fn take_handed(&mut self) -> (u64, bool) {
        self.viewer().map_or((0, false), |viewer| {
            (std::mem::take(&mut viewer.handed), std::mem::take(&mut viewer.taken_back))
        })
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Stranger(until) | Phase::Ending(until) => Some(*until),
            Phase::Watching(viewer) => viewer.poll_timeout(),
        }
    }

    pub(super) fn handle_timeout(&mut self, cx: &mut Cx<'_>, quic: &mut Connection) {
        match &mut self.phase {
            Phase::Stranger(until) if *until <= cx.now => {
                close(cx.now, quic, (Code::RequestIncomplete, "no request came in time"));
            }
            Phase::Ending(until) if *until <= cx.now => {
                close(cx.now, quic, OVER);
            }
            Phase::Stranger(_) | Phase::Ending(_) => {}
            Phase::Watching(viewer) => viewer.handle_timeout(cx.now, cx.hub, quic),
        }
    }

    /// Ends the media, if there was any.
    pub(super) fn leave(&mut self, now: Instant) -> Option<Box<Viewer>> {
        let ending = Phase::Ending(now + LINGER);
        match std::mem::replace(&mut self.phase, ending) {
            Phase::Watching(viewer) => Some(viewer),
            other => {
                self.phase = other;
                None
            }
        }
    }

    /// Tells the viewer why its session is over; the connection closes a moment later.
    pub(super) fn say_end(
        &mut self,
        now: Instant,
        quic: &mut Connection,
        code: SessionCode,
        reason: &'static str,
    ) {
        let said = self.request.is_some_and(|stream| {
            say(quic, stream, &h3::session_end(code, reason));
            quic.send_stream(stream).finish().is_ok()
        });
        self.phase = Phase::Ending(now + LINGER);
        if !said {
            close(now, quic, OVER);
        }
    }
}

impl RoqPort {
    /// A browser has connected.
    pub(super) fn web_connected(&mut self, cx: &mut Cx<'_>, peer: &mut Peer) {
        if let Some(control) = peer.quic.streams().open(Dir::Uni) {
            say(&mut peer.quic, control, &h3::settings());
        }
        peer.quic.set_send_window(viewer::SEND_WINDOW);
        let mut web = Web::new(cx.now);
        // Streams that came with the end of the handshake had their events already.
        let unis = web.accept_uni(&mut peer.quic);
        let read = unis.and_then(|_| web.accept_request(&mut peer.quic));
        peer.half = Half::Web(Box::new(web));
        self.after_reading(cx, peer, read);
    }

    /// Something happened on a browser's connection.
    pub(super) fn web_event(&mut self, cx: &mut Cx<'_>, peer: &mut Peer, event: StreamEvent) {
        let Half::Web(web) = &mut peer.half else { return };
        let quic = &mut peer.quic;
        let read = match event {
            StreamEvent::Opened { dir: Dir::Uni } => web.accept_uni(quic),
            StreamEvent::Opened { dir: Dir::Bi } => web.accept_request(quic),
            StreamEvent::Readable { id } => web.read(quic, id),
            StreamEvent::Finished { id } => Ok(web.finished(cx, quic, id)),
            StreamEvent::Stopped { id, .. } => Ok(web.stopped(cx, quic, id)),
            StreamEvent::Writable { .. } | StreamEvent::Available { .. } => {
                if let Some(viewer) = web.viewer() {
                    viewer.writable(cx.now, cx.hub, quic);
                }
                Ok(Read::Nothing)
            }
        };
        self.after_reading(cx, peer, read);
    }

    fn after_reading(&mut self, cx: &mut Cx<'_>, peer: &mut Peer, read: Result<Read, Fault>) {
        match read {
            Ok(Read::Nothing) => {}
            Ok(Read::Asked(asked)) => self.answer_request(cx, peer, asked),
            Ok(Read::Left) => {
                self.lost(cx, peer);
                close(cx.now, &mut peer.quic, OVER);
            }
            Err(fault) => {
                self.lost(cx, peer);
                close(cx.now, &mut peer.quic, fault);
            }
        }
    }

    fn answer_request(&mut self, cx: &mut Cx<'_>, peer: &mut Peer, asked: Asked) {
        let (status, reason) = match asked {
            Asked::Session(id) => match self.enter(cx, peer, id) {
                Ok(()) => return,
                Err(reason) => (StatusCode::FORBIDDEN, reason),
            },
            Asked::Nothing(status) => (status, "there is no such session"),
        };
        tracing::debug!(%status, reason, "a WebTransport request was refused");
        let Half::Web(web) = &mut peer.half else { return };
        if let (Some(stream), Some(answer)) = (web.request, h3::response(status)) {
            say(&mut peer.quic, stream, &answer);
            let _ = peer.quic.send_stream(stream).finish();
        }
        web.phase = Phase::Ending(cx.now + LINGER);
    }

    /// Lets the holder of a ticket in. A ticket works once: its session has a connection from then
    /// on, and ends with it.
    fn enter(
        &mut self,
        cx: &mut Cx<'_>,
        peer: &mut Peer,
        id: SessionId,
    ) -> Result<(), &'static str> {
        let named = self.sessions.by_id(id, Door::Web);
        let session_peer = named.ok_or("the ticket is not valid; ask for a new one")?;
        let session = self.session(session_peer).expect("the ticket led to the session");
        if session.connection.is_some() {
            return Err("the ticket has been used; ask for a new one");
        }
        let Purpose::View { key, mode, .. } = &session.purpose else {
            return Err("the ticket is not for watching");
        };
        let (key, mode, tracks) = (key.clone(), *mode, session.tracks.clone());
        let Half::Web(web) = &mut peer.half else { return Err("not a session") };
        let request = web.request.expect("the ticket came on it");
        let chosen = tracks.iter().enumerate().filter(|(_, track)| watched(&track.info));
        let chosen: Vec<_> =
            chosen.map(|(at, track)| (TrackIndex(at as u8), track.info.kind())).collect();
        let selection = Selection {
            tracks: chosen.iter().map(|(index, _)| *index).collect(),
            pacing: Pacing::Whole,
            mode,
        };
        let subscriber =
            cx.hub.subscribe(cx.now, &key, selection).map_err(|error| too_late(&error))?;
        cx.directory.subscribers.insert(subscriber, (PortKind::Roq, session_peer));
        let answer = h3::response(StatusCode::OK).expect("200 can be written");
        say(&mut peer.quic, request, &answer);
        let viewer = Viewer::new(cx.now, request, subscriber, chosen.into_iter());
        web.phase = Phase::Watching(Box::new(viewer));
        web.held = Vec::new();
        self.enlist(peer, session_peer);
        Ok(())
    }
}

/// What reading came to.
enum Read {
    Nothing,
    /// The request is whole.
    Asked(Asked),
    /// The viewer has ended the session.
    Left,
}

impl Web {
    fn accept_uni(&mut self, quic: &mut Connection) -> Result<Read, Fault> {
        while let Some(stream) = quic.streams().accept(Dir::Uni) {
            self.unis.push((stream, UniReader::default()));
            self.read(quic, stream)?;
        }
        Ok(Read::Nothing)
    }

    fn accept_request(&mut self, quic: &mut Connection) -> Result<Read, Fault> {
        let mut read = Read::Nothing;
        while let Some(stream) = quic.streams().accept(Dir::Bi) {
            if self.request.is_some() {
                let rejected = Code::RequestRejected.wire();
                let _ = quic.recv_stream(stream).stop(rejected);
                let _ = quic.send_stream(stream).reset(rejected);
                continue;
            }
            self.request = Some(stream);
            read = self.read(quic, stream)?;
        }
        Ok(read)
    }

    fn read(&mut self, quic: &mut Connection, stream: StreamId) -> Result<Read, Fault> {
        if self.request == Some(stream) {
            return self.read_request(quic, stream);
        }
        let Some(at) = self.unis.iter().position(|(uni, _)| *uni == stream) else {
            return Ok(Read::Nothing);
        };
        let controls = self.unis.iter().filter(|(_, uni)| uni.is(Kind::Control)).count();
        let uni = &mut self.unis[at].1;
        let known = uni.is(Kind::Control);
        let mut fault = None;
        let ended = drain(quic.recv_stream(stream), |bytes| {
            fault = fault.or(uni.push(bytes).err());
        });
        if let Some(fault) = fault {
            return Err(fault);
        }
        if uni.is(Kind::Control) && !known && controls > 0 {
            return Err((Code::StreamCreation, "one control stream is enough"));
        }
        if ended && !uni.may_end() {
            return Err((Code::ClosedCriticalStream, "the control stream has ended"));
        }
        let refused = uni.is(Kind::Refused);
        if refused {
            let _ = quic.recv_stream(stream).stop(Code::StreamCreation.wire());
        }
        if ended || refused {
            self.unis.remove(at);
        }
        Ok(Read::Nothing)
    }

    fn read_request(&mut self, quic: &mut Connection, stream: StreamId) -> Result<Read, Fault> {
        let waits = matches!(self.phase, Phase::Stranger(_));
        let held = &mut self.held;
        let ended = drain(quic.recv_stream(stream), |bytes| {
            // After the request nothing that a viewer says here means anything to us.
            if waits {
                held.extend_from_slice(&bytes[..bytes.len().min(MAX_REQUEST - held.len())]);
            }
        });
        if waits && let Some(asked) = h3::request(&self.held)? {
            return Ok(Read::Asked(asked));
        }
        match (ended, waits) {
            (true, true) => Err((Code::RequestIncomplete, "the request ends early")),
            (true, false) => Ok(Read::Left),
            (false, _) => Ok(Read::Nothing),
        }
    }

    fn finished(&mut self, cx: &mut Cx<'_>, quic: &mut Connection, stream: StreamId) -> Read {
        if self.request == Some(stream) && matches!(self.phase, Phase::Ending(_)) {
            return Read::Left;
        }
        if let Some(viewer) = self.viewer() {
            viewer.stream_finished(stream);
            viewer.writable(cx.now, cx.hub, quic);
        }
        Read::Nothing
    }

    fn stopped(&mut self, cx: &mut Cx<'_>, quic: &mut Connection, stream: StreamId) -> Read {
        if self.request == Some(stream) {
            return Read::Left;
        }
        if let Some(viewer) = self.viewer() {
            viewer.stream_stopped(quic, stream);
            viewer.writable(cx.now, cx.hub, quic);
        }
        Read::Nothing
    }
}

/// Hands all that a stream holds to `take`; `true` if nothing more can come.
fn drain(mut stream: RecvStream<'_>, mut take: impl FnMut(&[u8])) -> bool {
    let Ok(mut chunks) = stream.read(true) else { return false };
    let ended = drain_chunks(&mut chunks, &mut take);
    let _ = chunks.finalize();
    ended
}

fn drain_chunks(chunks: &mut Chunks<'_>, take: &mut impl FnMut(&[u8])) -> bool {
    loop {
        match chunks.next(usize::MAX) {
            Ok(Some(chunk)) => take(&chunk.bytes),
            Ok(None) | Err(ReadError::Reset(_)) => return true,
            Err(ReadError::Blocked) => return false,
        }
    }
}

/// Writes a few bytes. What does not fit a fresh stream's window is lost with the connection.
fn say(quic: &mut Connection, stream: StreamId, bytes: &[u8]) {
    let mut out = quic.send_stream(stream);
    if out.write(bytes).ok() != Some(bytes.len()) {
        let _ = out.reset(VarInt::from_u32(Code::NoError as u32));
    }
}

/// CONNECTION_CLOSE at once; queued data is discarded.
fn close(now: Instant, quic: &mut Connection, (code, reason): Fault) {
    quic.close(now, code.wire(), Bytes::from_static(reason.as_bytes()));
}
