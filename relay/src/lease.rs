//! Leases: how long a viewer may go on. Told the time, no I/O.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::api::LeaseTerms;

/// Name of a lease within one worker. Never reused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct LeaseId(pub u64);

/// Every lease of one worker.
#[derive(Default)]
pub struct LeaseTable {
    next: u64,
    leases: BTreeMap<LeaseId, (LeaseTerms, Instant)>,
}

impl LeaseTable {
    /// Starts a lease.
    pub fn open(&mut self, now: Instant, terms: LeaseTerms) -> LeaseId {
        self.next += 1;
        let id = LeaseId(self.next);
        self.leases.insert(id, (terms, now));
        id
    }

    /// The viewer has left.
    pub fn close(&mut self, id: LeaseId) {
        self.leases.remove(&id);
    }
}
