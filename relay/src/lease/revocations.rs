//! Which leases a revocation ends, and the memory of recent ones.
//!
//! Overflow rule: when more revocations come than can be remembered, the oldest is forgotten, and
//! no lease starts until it would have been forgotten anyway. A cache may only deny.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use sightline_grant::{Revocation, Role};

use super::{LEASE, LeaseRefused};
use crate::api::LeaseTerms;

/// Longest time from a grant's issue to its use.
const GRANT_LIFE: Duration = Duration::from_secs(30);
/// How long a revocation is remembered: no grant or lease from before it lives longer.
pub(super) const REVOCATION_MEMORY: Duration = GRANT_LIFE.saturating_add(LEASE);
/// Revocations remembered at once.
pub(super) const MAX_REVOCATIONS: usize = 16_384;

/// Whether a revocation ends a lease of these terms.
pub(super) fn ends(revocation: &Revocation, terms: &LeaseTerms) -> bool {
    let epochs = &terms.epochs;
    match revocation {
        Revocation::Binding { serial, epoch } => *serial == terms.serial && epochs.binding < *epoch,
        Revocation::Key { serial, epoch } => *serial == terms.serial && epochs.key < *epoch,
        Revocation::Consent { subject, epoch } => {
            *subject == terms.subject && epochs.consent < *epoch
        }
        Revocation::Session { session } => *session == terms.session,
        Revocation::Proof { serial, session, epoch } => {
            *serial == terms.serial && *session == terms.session && epochs.proof < *epoch
        }
        Revocation::Share { serial, subject, epoch } => {
            terms.role == Role::Guest
                && *serial == terms.serial
                && *subject == terms.subject
                && epochs.share < *epoch
        }
    }
}

/// Revocations of the last [`REVOCATION_MEMORY`].
#[derive(Default)]
pub(super) struct RecentRevocations {
    by_name: BTreeMap<Name, Remembered>,
    /// In order of coming.
    order: VecDeque<(Instant, Name)>,
    /// No lease starts before this: a revocation was forgotten too early.
    closed_until: Option<Instant>,
}

/// All revocations about one thing.
#[derive(Default)]
struct Remembered {
    /// The highest new epoch.
    epoch: u64,
    /// Entries in `order`.
    entries: usize,
}

/// What a revocation is about.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    Binding(String),
    Key(String),
    Consent(String),
    Session(String),
    Proof(String, String),
    Share(String, String),
}

impl RecentRevocations {
    pub(super) fn remember(&mut self, now: Instant, revocation: &Revocation) {
        self.forget(now);
        if self.order.len() >= MAX_REVOCATIONS
            && let Some(at) = self.forget_oldest()
        {
            self.closed_until = self.closed_until.max(Some(at + REVOCATION_MEMORY));
        }
        let (name, epoch) = match revocation {
            Revocation::Binding { serial, epoch } => (Name::Binding(serial.clone()), *epoch),
            Revocation::Key { serial, epoch } => (Name::Key(serial.clone()), *epoch),
            Revocation::Consent { subject, epoch } => (Name::Consent(subject.clone()), *epoch),
            Revocation::Session { session } => (Name::Session(session.clone()), u64::MAX),
            Revocation::Proof { serial, session, epoch } => {
                (Name::Proof(serial.clone(), session.clone()), *epoch)
            }
            Revocation::Share { serial, subject, epoch } => {
                (Name::Share(serial.clone(), subject.clone()), *epoch)
            }
        };
        let remembered = self.by_name.entry(name.clone()).or_default();
        remembered.epoch = remembered.epoch.max(epoch);
        remembered.entries += 1;
        self.order.push_back((now, name));
    }

    /// Refuses terms that a remembered revocation ends.
    pub(super) fn check(&mut self, now: Instant, terms: &LeaseTerms) -> Result<(), LeaseRefused> {
        self.forget(now);
        if self.closed_until.is_some_and(|until| now < until) {
            return Err(LeaseRefused::Full);
        }
        let epochs = &terms.epochs;
        let below = |name: Name, epoch: u64| {
            self.by_name.get(&name).is_some_and(|remembered| epoch < remembered.epoch)
        };
        let serial = || terms.serial.clone();
        let subject = || terms.subject.clone();
        let revoked = below(Name::Binding(serial()), epochs.binding)
            || below(Name::Key(serial()), epochs.key)
            || below(Name::Consent(subject()), epochs.consent)
            || self.by_name.contains_key(&Name::Session(terms.session.clone()))
            || below(Name::Proof(serial(), terms.session.clone()), epochs.proof)
            || terms.role == Role::Guest && below(Name::Share(serial(), subject()), epochs.share);
        if revoked { Err(LeaseRefused::Revoked) } else { Ok(()) }
    }

    /// Drops what is too old to matter.
    pub(super) fn forget(&mut self, now: Instant) {
        while self.order.front().is_some_and(|(at, _)| *at + REVOCATION_MEMORY <= now) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) -> Option<Instant> {
        let (at, name) = self.order.pop_front()?;
        if let Some(remembered) = self.by_name.get_mut(&name) {
            remembered.entries -= 1;
            if remembered.entries == 0 {
                self.by_name.remove(&name);
            }
        }
        Some(at)
    }
}
