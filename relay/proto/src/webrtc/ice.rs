//! ICE-lite (RFC 8445, 2.5): we only answer checks, and follow the peer's nomination.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use smallvec::SmallVec;

use super::stun::BindingRequest;

/// Random bytes that one pair of credentials takes.
pub const CREDENTIAL_BYTES: usize = 24;
const UFRAG_BYTES: usize = 6;
/// Without an authentic check for this long the peer has withdrawn its consent (RFC 7675, 5.1).
pub const CONSENT_TIMEOUT: Duration = Duration::from_secs(30);
/// Authenticated addresses kept of one peer; the oldest idle one goes first.
pub const MAX_PATHS: usize = 8;

/// A user fragment and its password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    ufrag: String,
    pwd: String,
}

impl Credentials {
    /// Credentials of random bytes: 48 bits name the session, 144 bits protect it.
    pub fn from_random(bytes: &[u8; CREDENTIAL_BYTES]) -> Self {
        let (ufrag, pwd) = bytes.split_at(UFRAG_BYTES);
        Self { ufrag: STANDARD_NO_PAD.encode(ufrag), pwd: STANDARD_NO_PAD.encode(pwd) }
    }

    /// User fragment.
    pub fn ufrag(&self) -> &str {
        &self.ufrag
    }

    /// Password. It belongs into SDP only.
    pub fn pwd(&self) -> &str {
        &self.pwd
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({})", self.ufrag)
    }
}

/// One generation: our credentials and the peer's user fragment.
#[derive(Debug)]
struct Generation {
    local: Credentials,
    remote_ufrag: String,
}

/// The agent of one peer.
#[derive(Debug)]
pub(super) struct IceLite {
    current: Generation,
    /// Until the first check of the new generation the old one stays valid.
    previous: Option<Box<Generation>>,
    paths: SmallVec<[SocketAddr; 1]>,
    selected: Option<SocketAddr>,
    nominated: bool,
    last_check: Instant,
}

/// What a check has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Check {
    /// An address that is authenticated from now on.
    pub learned: Option<SocketAddr>,
    /// An address that gave way to it.
    pub forgotten: Option<SocketAddr>,
}

impl IceLite {
    /// An agent that waits for its first check.
    pub(super) fn new(now: Instant, local: Credentials, remote_ufrag: String) -> Self {
        Self {
            current: Generation { local, remote_ufrag },
            previous: None,
            paths: SmallVec::new(),
            selected: None,
            nominated: false,
            last_check: now,
        }
    }

    /// Answers an authentic check into `out` and takes its address. Others get silence and change
    /// nothing: `None`.
    pub(super) fn handle_check(
        &mut self,
        now: Instant,
        from: SocketAddr,
        request: &BindingRequest<'_>,
        out: &mut Vec<u8>,
    ) -> Option<Check> {
        let of_current = self.current.made(request);
        let previous = self.previous.as_deref().filter(|_| !of_current);
        let generation = match previous {
            Some(previous) if previous.made(request) => previous,
            _ if of_current => &self.current,
            _ => return None,
        };
        if request.is_controlled() {
            request.answer_role_conflict(generation.local.pwd(), out);
            return None;
        }
        if !request.answer(from, generation.local.pwd(), out) {
            return None;
        }
        if of_current && self.previous.take().is_some() {
            self.nominated = false;
        }
        self.last_check = now;
        Some(self.take_path(from, request.nominates()))
    }

    fn take_path(&mut self, from: SocketAddr, nominates: bool) -> Check {
        let mut check = Check::default();
        if !self.paths.contains(&from) {
            if self.paths.len() == MAX_PATHS {
                let idle = self.paths.iter().position(|path| Some(*path) != self.selected);
                check.forgotten = idle.map(|at| self.paths.remove(at));
            }
            self.paths.push(from);
            check.learned = Some(from);
        }
        // The latest nomination wins (RFC 8445, 8.2): browsers renominate as networks change.
        if nominates || !self.nominated {
            self.selected = Some(from);
            self.nominated |= nominates;
        }
        check
    }

    /// Starts a new generation. Media goes on over the old paths until the new one is checked.
    pub(super) fn restart(&mut self, local: Credentials, remote_ufrag: String) {
        let next = Generation { local, remote_ufrag };
        self.previous = Some(Box::new(std::mem::replace(&mut self.current, next)));
    }

    /// Our credentials.
    pub(super) fn local(&self) -> &Credentials {
        &self.current.local
    }

    /// The peer's user fragment.
    pub(super) fn remote_ufrag(&self) -> &str {
        &self.current.remote_ufrag
    }

    /// Whether DTLS and SRTP are taken from this address.
    pub(super) fn is_authenticated(&self, from: SocketAddr) -> bool {
        self.paths.contains(&from)
    }

    /// Authenticated addresses.
    pub(super) fn paths(&self) -> &[SocketAddr] {
        &self.paths
    }

    /// Where we send to.
    pub(super) fn selected(&self) -> Option<SocketAddr> {
        self.selected
    }

    /// When consent ends unless another check comes.
    pub(super) fn consent_deadline(&self) -> Instant {
        self.last_check + CONSENT_TIMEOUT
    }
}

impl Generation {
    fn made(&self, request: &BindingRequest<'_>) -> bool {
        request.local_ufrag() == self.local.ufrag()
            && request.remote_ufrag() == self.remote_ufrag
            && request.is_authentic(self.local.pwd())
    }
}
