//! The camera's side of the keys: which list is in force, when a new generation is due, and what
//! must be stored before either counts. Told the time; does no I/O of its own.

mod state;

use std::collections::BTreeSet;
use std::io;
use std::time::{Duration, Instant};

use state::Kept;
pub use state::StateError;

use super::order::Mode;
use super::{
    BaseKey, Binding, ExchangePublic, Generation, GenerationBlob, GenerationHeader, ListKeeper,
    ListRefused, OrderRefused, OutOfRange, SigningPublic,
};
use crate::identity::{Identity, IdentityError};
use crate::sealed::GenerationKeys;
use crate::secret::CryptoFailed;
use crate::sframe::Suite;

/// Longest life of a generation.
pub const DAILY: Duration = Duration::from_secs(24 * 3600);

/// Both clocks of the camera.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moment {
    /// Monotonic: for what happens daily.
    pub steady: Instant,
    /// Unix seconds: for numbers and expiries. May step.
    pub unix: u64,
}

/// Why a new generation is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// There is none since the camera started, or seals again.
    Boot,
    /// The generation is a day old.
    Daily,
    /// Somebody may open it who must not any more, or must and cannot: a new list, or an expiry.
    Viewers,
    /// A track has used up its counters.
    UsedUp,
}

/// Keys of one binding. Holds no secret between two generations.
#[derive(Debug)]
pub struct CameraKeys {
    lists: ListKeeper,
    archive: ExchangePublic,
    suite: Suite,
    last: Option<Generation>,
    mode: Mode,
    current: Option<Current>,
}

/// The generation in use.
#[derive(Debug)]
struct Current {
    made: Instant,
    recipients: BTreeSet<ExchangePublic>,
    used_up: bool,
}

/// A generation that was stored and can be used: upload the blob, switch the sealers, and ask the
/// encoders for a keyframe.
#[derive(Debug)]
pub struct NewGeneration {
    /// Why it was made.
    pub reason: Reason,
    /// For the server and, through it, for the viewers.
    pub blob: GenerationBlob,
    /// For the sealers.
    pub keys: GenerationKeys,
    /// Viewers whose X25519 key is none; they cannot watch.
    pub skipped: Vec<ExchangePublic>,
}

/// No new generation. The old one goes on, unless there is none: then nothing is sent.
#[derive(Debug, thiserror::Error)]
pub enum RekeyError {
    /// The random source failed.
    #[error(transparent)]
    Crypto(#[from] CryptoFailed),
    /// The identity cannot sign.
    #[error("the camera's identity cannot sign: {0}")]
    Identity(#[from] IdentityError),
    /// The numbers have run out.
    #[error(transparent)]
    Numbers(#[from] OutOfRange),
    /// The state was not stored.
    #[error("the camera's keys cannot be stored: {0}")]
    Store(#[from] io::Error),
}

/// A list was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ListNotTaken {
    /// It changes nothing.
    #[error(transparent)]
    Refused(#[from] ListRefused),
    /// It was not stored.
    #[error("the viewer list cannot be stored: {0}")]
    Store(#[from] io::Error),
}

/// An order was not taken.
#[derive(Debug, thiserror::Error)]
pub enum OrderNotTaken {
    /// It changes nothing.
    #[error(transparent)]
    Refused(#[from] OrderRefused),
    /// It was not stored.
    #[error("the sealing order cannot be stored: {0}")]
    Store(#[from] io::Error),
}

impl CameraKeys {
    /// For a binding with a new device secret: the public halves of its `auth` and `archive` keys.
    /// `last` is the newest generation of any former binding.
    pub fn new(
        binding: Binding,
        auth: SigningPublic,
        archive: ExchangePublic,
        suite: Suite,
        last: Option<Generation>,
    ) -> Self {
        let lists = ListKeeper::new(binding, auth);
        Self { lists, archive, suite, last, mode: Mode::SEALED, current: None }
    }

    /// The same camera under a new owner, or with a new secret. Nothing is kept but the number that
    /// generations go on from.
    pub fn rebound(self, binding: Binding, auth: SigningPublic, archive: ExchangePublic) -> Self {
        Self::new(binding, auth, archive, self.suite, self.last)
    }

    /// The list in force, and the binding.
    pub fn lists(&self) -> &ListKeeper {
        &self.lists
    }

    /// The newest generation that was ever made.
    pub fn newest(&self) -> Option<Generation> {
        self.last
    }

    /// Takes a list that the server hands out. `store` gets the state that must survive a restart,
    /// before the list is in force; afterwards ask [`Self::due`].
    ///
    /// # Errors
    /// Refused, or not stored; then the list in force stays.
    pub fn take_list(
        &mut self,
        bytes: &[u8],
        store: impl FnOnce(&[u8]) -> io::Result<()>,
    ) -> Result<(), ListNotTaken> {
        let newer = self.lists.check(bytes)?;
        store(&self.write(Kept { list: newer.bytes(), ..self.kept() }))?;
        self.lists.adopt(newer);
        Ok(())
    }

    /// Takes an order to seal or not, which the server hands out. `store` as in
    /// [`Self::take_list`]. Afterwards ask [`Self::sealed`]; whoever seals again does so under a
    /// new generation.
    ///
    /// # Errors
    /// Refused, or not stored; then the order in force stays.
    pub fn take_order(
        &mut self,
        bytes: &[u8],
        store: impl FnOnce(&[u8]) -> io::Result<()>,
    ) -> Result<(), OrderNotTaken> {
        let mode = self.mode.after(bytes, self.lists.binding(), self.lists.verifier())?;
        store(&self.write(Kept { mode, ..self.kept() }))?;
        self.mode = mode;
        if !mode.sealed {
            self.current = None;
        }
        Ok(())
    }

    /// Whether this camera seals. Without an order of its owner it does.
    pub fn sealed(&self) -> bool {
        self.mode.sealed
    }

    /// Whether a new generation must be made now, and why. A camera that does not seal needs none.
    pub fn due(&self, now: Moment) -> Option<Reason> {
        if !self.sealed() {
            return None;
        }
        let Some(current) = &self.current else { return Some(Reason::Boot) };
        if current.recipients != self.recipients(now.unix) {
            Some(Reason::Viewers)
        } else if current.used_up {
            Some(Reason::UsedUp)
        } else if now.steady.saturating_duration_since(current.made) >= DAILY {
            Some(Reason::Daily)
        } else {
            None
        }
    }

    /// When to ask [`Self::due`] again if nothing else happens. Expiries are on a clock that may
    /// step: ask once a minute too.
    pub fn next_due(&self, now: Moment) -> Instant {
        if !self.sealed() {
            return now.steady + DAILY;
        }
        let Some(current) = &self.current else { return now.steady };
        let viewers = self.lists.list().map_or(&[][..], |signed| signed.list().viewers());
        let soonest =
            viewers.iter().filter_map(|viewer| viewer.expires).filter(|at| *at > now.unix);
        let expiry = soonest.min().map(|at| Duration::from_secs(at - now.unix));
        let daily = current.made + DAILY;
        let expiry = expiry.and_then(|wait| now.steady.checked_add(wait));
        expiry.map_or(daily, |at| at.min(daily))
    }

    /// A sealer has used up a key's counters.
    pub fn used_up(&mut self) {
        if let Some(current) = &mut self.current {
            current.used_up = true;
        }
    }

    /// Makes a generation and wraps it for the archive and for every viewer that may open it now.
    /// `store` gets the state that must survive a restart, before any key comes out.
    ///
    /// # Errors
    /// See [`RekeyError`].
    pub fn make_generation(
        &mut self,
        identity: &Identity,
        now: Moment,
        store: impl FnOnce(&[u8]) -> io::Result<()>,
    ) -> Result<NewGeneration, RekeyError> {
        let reason = self.due(now).unwrap_or(Reason::Viewers);
        let generation = Generation::after(self.last, now.unix).ok_or(OutOfRange)?;
        let base_key = BaseKey::generate()?;
        let recipients = self.recipients(now.unix);
        let header = GenerationHeader::new(
            self.suite,
            self.lists.binding().clone(),
            generation,
            now.unix,
            self.lists.version(),
        );
        let made = GenerationBlob::make(identity, header, &base_key, recipients.iter().copied())?;
        let (blob, skipped) = made;
        store(&self.write(Kept { last: Some(generation), ..self.kept() }))?;
        self.last = Some(generation);
        self.current = Some(Current { made: now.steady, recipients, used_up: false });
        let serial = &self.lists.binding().serial;
        let keys = GenerationKeys::new(serial.clone(), generation, self.suite, base_key);
        Ok(NewGeneration { reason, blob, keys, skipped })
    }

    /// Who must be able to open what is sent at `now`, Unix seconds.
    fn recipients(&self, now: u64) -> BTreeSet<ExchangePublic> {
        let viewers = self.lists.list().map_or(&[][..], |signed| signed.list().viewers());
        let may = viewers.iter().filter(|viewer| viewer.may_open(now));
        may.map(|viewer| viewer.terminal.exchange).chain([self.archive]).collect()
    }
}
