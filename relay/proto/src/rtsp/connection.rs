//! One RTSP connection: input, output, events and deadlines. The methods are in `requests.rs`.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use rtsp_types::Request;
use smallvec::SmallVec;

use crate::codec::TrackInfo;
use crate::sdp::Media;

use super::answer::{Answer, Refusal};
use super::digest::Secret;
use super::framer::{FrameError, Framer, Item};
use super::login::Login;
use super::url::StreamPath;
use super::{IDLE_TIMEOUT, LOGIN_TIMEOUT, SESSION_TIMEOUT};

/// What the connection may do, fixed when it is accepted. Never printed: the seed is secret.
#[derive(Clone)]
pub struct Settings {
    /// Digest realm.
    pub realm: &'static str,
    /// Whether viewers may play here; else 403, before any challenge. False for plain connections
    /// from elsewhere than loopback.
    pub play: bool,
    /// Our RTP and RTCP ports for media over UDP; `None` (on TLS, whose media would leave in clear)
    /// answers 461.
    pub udp_ports: Option<(u16, u16)>,
    /// Random bytes of this connection: nonces and the session id come from them.
    pub seed: [u8; 32],
}

/// What the client wants to be.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// ANNOUNCE and RECORD.
    Publisher,
    /// DESCRIBE and PLAY.
    Viewer,
}

/// How a track's packets travel.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Lower {
    /// Inside the connection, on these channels.
    Interleaved {
        /// Channel of RTP.
        rtp: u8,
        /// Channel of RTCP.
        rtcp: u8,
    },
    /// UDP to and from these ports of the client, on the address of the connection.
    Udp {
        /// Client's RTP port.
        rtp: u16,
        /// Client's RTCP port.
        rtcp: u16,
    },
}

/// One track that was set up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TrackSetup {
    /// Index in the announced or described tracks.
    pub track: usize,
    /// Its way.
    pub lower: Lower,
}

/// What the shell must know or answer.
#[derive(Debug)]
pub enum Event {
    /// Whose login is this? Answer with [`RtspConnection::answer_login`]; nothing more is read before.
    Login {
        /// What the user wants to do.
        role: Role,
        /// User name.
        user: String,
        /// Stream that the request names.
        path: StreamPath,
    },
    /// The login was right. Comes once, before anything that builds on it.
    LoggedIn {
        /// As what.
        role: Role,
        /// Who.
        user: String,
    },
    /// Which tracks has this stream? Answer with [`RtspConnection::answer_tracks`].
    Lookup {
        /// The stream.
        path: StreamPath,
    },
    /// A publisher announces. Answer with `accept` or `refuse`.
    Announce {
        /// The stream.
        path: StreamPath,
        /// Usable tracks, at least one.
        media: Vec<Media>,
        /// Sections left out, each with its reason.
        ignored: Vec<String>,
    },
    /// A track wants UDP. Answer with `accept` or `refuse`.
    SetupUdp(TrackSetup),
    /// PLAY. Answer with `accept` or `refuse`, then send media.
    Play,
    /// RECORD. Answer with `accept` or `refuse`.
    Record,
    /// The viewer paused; the answer is queued.
    Paused,
    /// A packet of a track on an interleaved channel.
    Media {
        /// Index of the track.
        track: usize,
        /// RTCP, else RTP.
        rtcp: bool,
        /// The packet, a slice of the read buffer.
        packet: Bytes,
    },
    /// Send what is queued and close.
    Close,
}

/// Where the session is (RFC 2326, A.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    Init,
    Ready,
    Playing,
    Recording,
}

/// A request whose answer waits for the shell.
pub(super) struct Waiting {
    pub(super) request: Request<Vec<u8>>,
    pub(super) cseq: u32,
    pub(super) step: Step,
}

pub(super) enum Step {
    Login,
    Tracks,
    Announce(Vec<Media>),
    Setup(TrackSetup),
    Play,
    Record,
}

/// The server's side of one TCP connection.
pub struct RtspConnection {
    pub(super) settings: Settings,
    pub(super) framer: Framer,
    pub(super) out: Vec<u8>,
    pub(super) events: VecDeque<Event>,
    pub(super) waiting: Option<Box<Waiting>>,
    pub(super) login: Login,
    pub(super) state: State,
    /// Publishers announced, so SETUP means record.
    pub(super) announced: bool,
    /// The stream whose tracks `media` holds.
    pub(super) path: Option<StreamPath>,
    pub(super) media: Vec<Media>,
    pub(super) setups: SmallVec<[TrackSetup; 2]>,
    pub(super) closing: bool,
    opened: Instant,
    active: Instant,
}

impl RtspConnection {
    /// A fresh connection.
    pub fn new(now: Instant, settings: Settings) -> Self {
        Self {
            login: Login::new(settings.seed),
            settings,
            framer: Framer::default(),
            out: Vec::new(),
            // Requests come one by one, and an event is large.
            events: VecDeque::with_capacity(1),
            waiting: None,
            state: State::Init,
            announced: false,
            path: None,
            media: Vec::new(),
            setups: SmallVec::new(),
            closing: false,
            opened: now,
            active: now,
        }
    }

    /// The connection goes on at other UDP ports of ours. Only before a SETUP; of no effect where
    /// media over UDP is refused.
    pub fn move_udp_ports(&mut self, ports: (u16, u16)) {
        if let Some(ours) = &mut self.settings.udp_ports {
            *ours = ports;
        }
    }

    /// Bytes from the socket, at most 64 KiB at once. Call [`Self::poll_event`] until `None` after
    /// each, and none more while [`Self::wants_input`] is false.
    pub fn handle_input(&mut self, bytes: &[u8]) {
        if !self.closing {
            self.framer.push(bytes);
        }
    }

    /// Whether more bytes may be read now; false while an answer waits for the shell.
    pub fn wants_input(&self) -> bool {
        !self.closing && self.waiting.is_none()
    }

    /// The next event. Requests that need no decision are answered on the way.
    pub fn poll_event(&mut self, now: Instant) -> Option<Event> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            if self.closing || self.waiting.is_some() {
                return None;
            }
            match self.framer.next() {
                Ok(None) => return None,
                Ok(Some(item)) => self.handle_item(now, item),
                Err(error) => self.fail(error),
            }
        }
    }

    /// Text that must go out, before any media that follows it.
    pub fn poll_output(&mut self) -> Option<Bytes> {
        if self.out.is_empty() { None } else { Some(std::mem::take(&mut self.out).into()) }
    }

    /// When [`Self::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.closing {
            None
        } else if self.login.user().is_none() {
            Some(self.opened + LOGIN_TIMEOUT)
        } else {
            Some(self.active + IDLE_TIMEOUT)
        }
    }

    /// Ends a connection that was not logged in, or was silent, for too long.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_some_and(|due| due <= now) {
            self.close();
        }
    }

    /// RTCP of this client came by UDP, or media made progress: the session lives on.
    pub fn note_activity(&mut self, now: Instant) {
        self.active = now;
    }

    /// Whether the session has shown life within [`SESSION_TIMEOUT`].
    pub fn is_alive(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.active) < SESSION_TIMEOUT
    }

    /// The secrets of the user that [`Event::Login`] named; `None` if there is no such login.
    pub fn answer_login(&mut self, now: Instant, secret: Option<Secret>) {
        if let Some(waiting) = self.take_step(|step| matches!(step, Step::Login)) {
            self.finish_login(now, waiting, secret);
        }
    }

    /// Tracks of the stream that [`Event::Lookup`] named.
    pub fn answer_tracks(&mut self, tracks: Result<&[TrackInfo], Refusal>) {
        let Some(waiting) = self.take_step(|step| matches!(step, Step::Tracks)) else { return };
        match tracks {
            Ok(tracks) => self.finish_tracks(waiting, tracks),
            Err(refusal) => self.answer_refusal(waiting.cseq, &refusal),
        }
    }

    /// Yes to [`Event::Announce`], [`Event::SetupUdp`], [`Event::Play`] or [`Event::Record`].
    pub fn accept(&mut self) {
        let asks = |step: &Step| !matches!(step, Step::Login | Step::Tracks);
        if let Some(waiting) = self.take_step(asks) {
            self.finish_accepted(waiting);
        }
    }

    /// No to whatever waits.
    pub fn refuse(&mut self, refusal: &Refusal) {
        if let Some(waiting) = self.waiting.take() {
            self.answer_refusal(waiting.cseq, refusal);
        }
    }

    /// Tracks set up so far.
    pub fn setups(&self) -> &[TrackSetup] {
        &self.setups
    }

    /// Announced tracks, or those described to the viewer.
    pub fn media(&self) -> &[Media] {
        &self.media
    }

    /// Whether a login was right.
    pub fn is_logged_in(&self) -> bool {
        self.login.user().is_some()
    }

    /// Whether media flows to the client.
    pub fn is_playing(&self) -> bool {
        self.state == State::Playing
    }

    /// Whether media flows from the client.
    pub fn is_recording(&self) -> bool {
        self.state == State::Recording
    }

    fn take_step(&mut self, fits: impl Fn(&Step) -> bool) -> Option<Waiting> {
        self.waiting.take_if(|waiting| fits(&waiting.step)).map(|waiting| *waiting)
    }

    fn handle_item(&mut self, now: Instant, item: Item) {
        match item {
            Item::Request(request) => {
                self.active = now;
                self.handle_request(now, request);
            }
            Item::Interleaved { channel, data } => self.handle_interleaved(now, channel, data),
            Item::Response => {}
        }
    }

    /// Frames on channels that nobody set up are dropped; before the login they end the connection.
    fn handle_interleaved(&mut self, now: Instant, channel: u8, packet: Bytes) {
        if !self.is_logged_in() {
            return self.fail(FrameError::Malformed);
        }
        let found = self.setups.iter().find_map(|setup| match setup.lower {
            Lower::Interleaved { rtp, .. } if rtp == channel => Some((setup.track, false)),
            Lower::Interleaved { rtcp, .. } if rtcp == channel => Some((setup.track, true)),
            _ => None,
        });
        if let Some((track, rtcp)) = found {
            self.active = now;
            self.events.push_back(Event::Media { track, rtcp, packet });
        }
    }

    fn fail(&mut self, error: FrameError) {
        let (status, text) = match error {
            FrameError::HeadTooLong => (413, "the header block is too long"),
            FrameError::BodyTooLong => (413, "the body is too long"),
            FrameError::Malformed => (400, "this is not RTSP"),
            FrameError::Overrun => (413, "too much at once"),
        };
        self.send(Answer::with_text(status, None, text).empty());
        self.close();
    }

    pub(super) fn send(&mut self, text: String) {
        self.out.extend_from_slice(text.as_bytes());
    }

    pub(super) fn answer_refusal(&mut self, cseq: u32, refusal: &Refusal) {
        let text = Answer::with_text(refusal.status, Some(cseq), &refusal.text);
        self.send(text.header("Content-Length", 0).empty());
    }

    pub(super) fn close(&mut self) {
        self.closing = true;
        self.waiting = None;
        self.framer = Framer::default();
        self.events.push_back(Event::Close);
    }
}
