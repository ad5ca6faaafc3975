//! The parts that every endpoint reaches.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use sightline_grant::{GrantSigner, GrantVerifier};
use tokio::sync::Semaphore;

use crate::facts::ServerFacts;
use crate::origin::Hosts;
use crate::plane::{Directory, MediaPlane};
use crate::rate::{Limiter, RateLimits};
use crate::replay::{MAX_PROOFS_PER_WINDOW, ReplayCache};
use crate::socket::MAX_SOCKETS;

/// The time, Unix seconds.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Settings of the doorway.
pub struct Options {
    /// Names that the server may be reached by, beside its own.
    pub hosts: Hosts,
    /// Rate limits.
    pub rates: RateLimits,
    /// Keys of the other signaling nodes, whose grants are taken too.
    pub peers: Vec<GrantVerifier>,
    /// The time. Tests set it.
    pub clock: Clock,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            hosts: Hosts::default(),
            rates: RateLimits::default(),
            peers: Vec::new(),
            clock: Arc::new(unix_now),
        }
    }
}

/// The doorway: holds what its endpoints share.
pub struct Signaling {
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) media: Arc<dyn MediaPlane>,
    pub(crate) signer: GrantSigner,
    pub(crate) verifiers: Vec<GrantVerifier>,
    pub(crate) facts: ServerFacts,
    pub(crate) hosts: Hosts,
    pub(crate) addresses: Limiter,
    pub(crate) terminals: Limiter,
    pub(crate) proofs: ReplayCache,
    pub(crate) clock: Clock,
    /// Places of open WebSockets.
    pub(crate) sockets: Arc<Semaphore>,
}

impl Signaling {
    /// Joins the parts.
    pub fn new(
        directory: Arc<dyn Directory>,
        media: Arc<dyn MediaPlane>,
        signer: GrantSigner,
        facts: ServerFacts,
        options: Options,
    ) -> Arc<Self> {
        let mut verifiers = vec![signer.verifier()];
        verifiers.extend(options.peers);
        Arc::new(Self {
            directory,
            media,
            signer,
            verifiers,
            hosts: options.hosts.and(&facts.server_name),
            facts,
            addresses: Limiter::new(options.rates.address),
            terminals: Limiter::new(options.rates.terminal),
            proofs: ReplayCache::new(MAX_PROOFS_PER_WINDOW),
            clock: options.clock,
            sockets: Arc::new(Semaphore::new(MAX_SOCKETS)),
        })
    }

    pub(crate) fn now(&self) -> u64 {
        (self.clock)()
    }
}

fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
