//! A viewer's generations: checked against the pinned camera, opened with the terminal's key.

use std::collections::BTreeMap;

use super::{
    BaseKey, Binding, BlobError, ExchangeKey, Generation, GenerationBlob, OpenedGeneration,
    SigningPublic,
};
use crate::sframe::Suite;

/// Generations held for a live view: the one in use and those that it is changing from or to.
pub const MAX_HELD_LIVE: usize = 4;
/// Generations held while recordings play: the oldest are given up first.
pub const MAX_HELD_RECORDINGS: usize = 64;
/// How far in the future a generation may start, seconds: cameras' clocks are wrong.
pub const MAX_CLOCK_LEAD: u64 = 24 * 3600;

/// What a keyring is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Use {
    Live,
    Recordings,
}

/// A generation's suite and secret.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) suite: Suite,
    pub(crate) base_key: BaseKey,
}

/// The generations of one camera and owner that this terminal can open.
#[derive(Debug)]
pub struct Keyring {
    binding: Binding,
    camera: SigningPublic,
    purpose: Use,
    newest: Option<Generation>,
    held: BTreeMap<Generation, Held>,
}

impl Keyring {
    /// For live view of the camera whose identity was pinned at binding. `newest` is what
    /// [`Self::newest`] said the last time: a generation before it is not live any more.
    pub fn live(binding: Binding, camera: SigningPublic, newest: Option<Generation>) -> Self {
        Self { binding, camera, purpose: Use::Live, newest, held: BTreeMap::new() }
    }

    /// For recordings, which may be of any generation.
    pub fn recordings(binding: Binding, camera: SigningPublic) -> Self {
        Self { binding, camera, purpose: Use::Recordings, newest: None, held: BTreeMap::new() }
    }

    /// The camera and its owner.
    pub fn binding(&self) -> &Binding {
        &self.binding
    }

    /// The newest generation that was accepted. A live viewer keeps it across restarts.
    pub fn newest(&self) -> Option<Generation> {
        self.newest
    }

    /// Whether frames of this generation can be opened.
    pub fn holds(&self, generation: Generation) -> bool {
        self.held.contains_key(&generation)
    }

    pub(crate) fn get(&self, generation: Generation) -> Option<&Held> {
        self.held.get(&generation)
    }

    /// Takes a blob that the server handed out. `now` is Unix seconds.
    ///
    /// # Errors
    /// See [`BlobError`]; then nothing has changed.
    pub fn accept(
        &mut self,
        blob: &[u8],
        key: &ExchangeKey,
        now: u64,
    ) -> Result<Generation, BlobError> {
        let blob = GenerationBlob::open(blob, &self.camera, &self.binding)?;
        let generation = blob.header().generation;
        let newest = self.newest.filter(|newest| {
            self.purpose == Use::Live && generation < *newest && !self.holds(generation)
        });
        if let Some(newest) = newest {
            let (offered, newest) = (generation.number(), newest.number());
            return Err(BlobError::Older { offered, newest });
        }
        if blob.header().not_before > now.saturating_add(MAX_CLOCK_LEAD) {
            return Err(BlobError::NotYet);
        }
        let opened = blob.unwrap(key)?;
        // A number has one key for ever: what is held stays, with the frames that it opened.
        let OpenedGeneration { header, base_key } = opened;
        self.held.entry(generation).or_insert(Held { suite: header.suite, base_key });
        self.newest = self.newest.max(Some(generation));
        while self.held.len() > self.room() {
            let oldest = self.held.keys().copied().find(|held| *held != generation);
            oldest.map(|oldest| self.held.remove(&oldest));
        }
        Ok(generation)
    }

    fn room(&self) -> usize {
        match self.purpose {
            Use::Live => MAX_HELD_LIVE,
            Use::Recordings => MAX_HELD_RECORDINGS,
        }
    }
}
