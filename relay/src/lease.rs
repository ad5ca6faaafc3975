//! Leases: how long a viewer may go on. Told the time, no I/O.
//!
//! Each viewer's lease runs for [`LEASE`] and is renewed every [`RENEW_AFTER`] while its transport
//! is alive. Revocations come over a feed that beats every second, and end leases at once. When
//! the feed is silent for [`FEED_SILENCE`], all leases are asked about every [`POLL_INTERVAL`];
//! when the authority is silent too, guests end after [`GUEST_SILENCE`] and owners after
//! [`OWNER_SILENCE`], counted from its last sign of life, and no new session starts.
//!
//! The shell calls, in this order: whatever came in (`feed_beat`, `revoke`, `handle_renewed`,
//! `handle_silence`), then `handle_timeout`, then `poll_renewals` and `poll_ended` until `None`,
//! then arms a timer for `poll_timeout`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use sightline_grant::{Revocation, Role};

use self::authority::SignsOfLife;
use self::revocations::{REVOCATION_MEMORY, RecentRevocations, ends};
use crate::api::{LeaseTerms, LeaseVerdict};

mod authority;
mod revocations;
#[cfg(test)]
mod tests;

/// Life of a lease without renewal.
pub const LEASE: Duration = Duration::from_secs(60);
/// Age at which a lease is renewed.
pub const RENEW_AFTER: Duration = Duration::from_secs(20);
/// Silence of the revocation feed (it beats every second) from which on the authority is polled.
pub const FEED_SILENCE: Duration = Duration::from_secs(3);
/// Time from one poll of a silent authority to the next.
pub const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// An unanswered question counts as silence after this time.
pub const RENEWAL_TIMEOUT: Duration = Duration::from_secs(2);
/// Guests end when the authority has been silent for this long.
pub const GUEST_SILENCE: Duration = Duration::from_secs(5);
/// Owners end when the authority has been silent for this long.
pub const OWNER_SILENCE: Duration = Duration::from_secs(120);
/// A question about one lease takes along those that are due so soon after it.
const RENEW_TOGETHER: Duration = Duration::from_secs(1);
/// Leases in one question to the authority.
pub const RENEWAL_BATCH: usize = 512;
/// Leases of one worker; beyond it no session starts.
pub const MAX_LEASES: usize = 65_536;

/// Name of a lease within one worker. Never reused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct LeaseId(pub u64);

/// Why a lease does not start.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum LeaseRefused {
    /// The grant was issued before a revocation that ends it.
    #[error("the admission was revoked")]
    Revoked,
    /// The authority is silent, so nobody knows of revocations.
    #[error("the authority does not answer")]
    AuthoritySilent,
    /// [`MAX_LEASES`] is reached, or more revocations came than can be remembered.
    #[error("the relay is full; try again later")]
    Full,
}

/// Why a lease has ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum EndCause {
    /// A revocation came over the feed.
    Revoked,
    /// The authority refused the renewal.
    NotRenewed,
    /// It was not renewed in time: its transport is not alive, or the authority did not answer.
    Expired,
    /// The authority was silent for too long.
    AuthoritySilent,
}

/// Every lease of one worker.
#[derive(Default)]
pub struct LeaseTable {
    next: u64,
    leases: BTreeMap<LeaseId, Lease>,
    /// Leases to be asked about, by time: those alive, and in doubt the others too.
    renewals: BTreeSet<(Instant, LeaseId)>,
    /// Leases being asked about, by the time of asking.
    asked: BTreeSet<(Instant, LeaseId)>,
    /// All leases, by the time they run out.
    expiries: BTreeSet<(Instant, LeaseId)>,
    guests: usize,
    /// When revocations may last have been missed.
    doubted: Option<Instant>,
    ended: VecDeque<(LeaseId, EndCause)>,
    signs: SignsOfLife,
    recent: RecentRevocations,
}

struct Lease {
    terms: LeaseTerms,
    alive: bool,
    /// Place in `renewals` or `asked`.
    state: State,
    /// Place in `expiries`.
    expires: Instant,
    /// Time of the first question since the last answer: an answer is as old as its question.
    first_asked: Option<Instant>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// To be renewed at this time, if alive.
    Fresh(Instant),
    /// Being asked about since this time.
    Asked(Instant),
}

impl LeaseTable {
    /// Starts a lease.
    pub fn open(&mut self, now: Instant, terms: LeaseTerms) -> Result<LeaseId, LeaseRefused> {
        if !self.accepts_new(now) {
            return Err(LeaseRefused::AuthoritySilent);
        }
        if self.leases.len() >= MAX_LEASES {
            return Err(LeaseRefused::Full);
        }
        self.recent.check(now, &terms)?;
        self.next += 1;
        let id = LeaseId(self.next);
        self.guests += usize::from(terms.role == Role::Guest);
        // What the grant stands on may have ended by a revocation that was missed.
        let doubtful = self.doubted.is_some_and(|at| now < at + REVOCATION_MEMORY);
        let renew = if doubtful { now } else { now + RENEW_AFTER };
        let expires = now + LEASE;
        self.renewals.insert((renew, id));
        self.expiries.insert((expires, id));
        let state = State::Fresh(renew);
        self.leases.insert(id, Lease { terms, alive: true, state, expires, first_asked: None });
        Ok(id)
    }

    /// The viewer has left. Nothing more is heard of the lease.
    pub fn close(&mut self, id: LeaseId) {
        self.remove(id);
    }

    /// Whether a viewer's transport shows life (RTCP, ICE consent, RTSP keepalive or TCP progress,
    /// QUIC acknowledgements). A lease starts alive; one that is not is not renewed.
    pub fn set_alive(&mut self, id: LeaseId, alive: bool) {
        let Some(lease) = self.leases.get_mut(&id).filter(|lease| lease.alive != alive) else {
            return;
        };
        lease.alive = alive;
        if let State::Fresh(at) = lease.state {
            if alive {
                self.renewals.insert((at, id));
            } else {
                self.renewals.remove(&(at, id));
            }
        }
    }

    /// Ends every lease that the revocation covers, and refuses grants issued before it.
    pub fn revoke(&mut self, now: Instant, revocation: &Revocation) {
        self.recent.remember(now, revocation);
        let covered = self.leases.iter().filter(|(_, lease)| ends(revocation, &lease.terms));
        for id in covered.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.end(id, EndCause::Revoked);
        }
    }

    /// Asks about every lease at once: revocations may have been missed. So are leases that start
    /// from grants of before, and those whose question is on its way already.
    pub fn renew_all(&mut self, now: Instant) {
        self.doubted = Some(now);
        for (id, lease) in &mut self.leases {
            if let State::Fresh(at) = lease.state {
                self.renewals.remove(&(at, *id));
                self.renewals.insert((now, *id));
                lease.state = State::Fresh(now);
            }
        }
    }

    /// The revocation feed has beaten.
    pub fn feed_beat(&mut self, now: Instant) {
        self.signs.beat(now);
    }

    /// Whether a new session may start: not while the authority is silent, nor before its first
    /// sign of life.
    pub fn accepts_new(&self, now: Instant) -> bool {
        self.signs.is_heard(now)
    }

    /// The next question to the authority, at most [`RENEWAL_BATCH`] leases; they count as asked.
    /// An empty one only asks whether the authority is there. Answer with
    /// [`Self::handle_renewed`] or [`Self::handle_silence`].
    pub fn poll_renewals(&mut self, now: Instant) -> Option<Vec<(LeaseId, LeaseTerms)>> {
        self.start_round(now);
        let is_due = self.renewals.first().is_some_and(|(at, _)| *at <= now);
        let until = if is_due { now + RENEW_TOGETHER } else { now };
        let due: Vec<_> = self
            .renewals
            .iter()
            .take_while(|(at, _)| *at <= until)
            .take(RENEWAL_BATCH)
            .map(|(_, id)| *id)
            .collect();
        if due.is_empty() {
            return self.signs.take_probe(now, !self.asked.is_empty()).then(Vec::new);
        }
        let mut batch = Vec::with_capacity(due.len());
        for id in due {
            self.place(id, State::Asked(now));
            if let Some(lease) = self.leases.get_mut(&id) {
                lease.first_asked.get_or_insert(now);
                batch.push((id, lease.terms.clone()));
            }
        }
        self.signs.asked();
        Some(batch)
    }

    /// The authority has answered a question.
    pub fn handle_renewed(&mut self, now: Instant, verdicts: Vec<(LeaseId, LeaseVerdict)>) {
        self.signs.answer(now);
        for (id, verdict) in verdicts {
            match verdict {
                LeaseVerdict::Ended => self.end(id, EndCause::NotRenewed),
                LeaseVerdict::Renewed => self.renew(now, id),
            }
        }
    }

    /// The authority has not answered a question.
    pub fn handle_silence(&mut self, now: Instant) {
        let first = self.asked.first().map_or(now, |(at, _)| *at);
        self.signs.silence(first);
        for (_, id) in self.asked.clone() {
            self.place(id, State::Fresh(now + POLL_INTERVAL));
        }
        self.signs.probe_after(now);
    }

    /// The next lease that has ended; its viewer is to be cut at once.
    pub fn poll_ended(&mut self) -> Option<(LeaseId, EndCause)> {
        self.ended.pop_front()
    }

    /// When [`Self::handle_timeout`] is next due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let renewal = self.renewals.first().map(|(at, _)| *at);
        let expiry = self.expiries.first().map(|(at, _)| *at);
        let unanswered = self.asked.first().map(|(at, _)| *at + RENEWAL_TIMEOUT);
        let guests = self.guest_bound().filter(|_| self.guests > 0);
        let owners = self.owner_bound().filter(|_| self.guests < self.leases.len());
        let bounds = guests.into_iter().chain(owners);
        let all = renewal.into_iter().chain(expiry).chain(unanswered).chain(bounds);
        all.chain(self.signs.poll_timeout(!self.asked.is_empty())).min()
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.asked.first().is_some_and(|(at, _)| *at + RENEWAL_TIMEOUT <= now) {
            self.handle_silence(now);
        }
        self.signs.handle_timeout(now);
        self.recent.forget(now);
        if self.guests > 0 && self.guest_bound().is_some_and(|bound| bound <= now) {
            self.end_all(Role::Guest);
        }
        if self.owner_bound().is_some_and(|bound| bound <= now) {
            self.end_all(Role::Owner);
        }
        self.expire(now);
    }

    /// Leases that run.
    pub fn len(&self) -> usize {
        self.leases.len()
    }

    /// Whether no lease runs.
    pub fn is_empty(&self) -> bool {
        self.leases.is_empty()
    }

    /// While the feed is silent, makes every living lease due once per [`POLL_INTERVAL`].
    fn start_round(&mut self, now: Instant) {
        if !self.signs.take_round(now) {
            return;
        }
        let later: Vec<_> = self.renewals.iter().filter(|(at, _)| *at > now).copied().collect();
        for (_, id) in later {
            self.place(id, State::Fresh(now));
        }
    }

    fn renew(&mut self, now: Instant, id: LeaseId) {
        let Some(lease) = self.leases.get_mut(&id) else { return };
        let Some(asked) = lease.first_asked.take() else { return };
        // One that is not alive was asked about for its revocation alone.
        if lease.alive {
            self.expiries.remove(&(lease.expires, id));
            lease.expires = asked + LEASE;
            self.expiries.insert((lease.expires, id));
        }
        // The answer may be older than what was missed.
        let stale = self.doubted.is_some_and(|at| at > asked);
        let next = if stale { now } else { now.max(asked + RENEW_AFTER) };
        self.place(id, State::Fresh(next));
        if stale {
            self.renewals.insert((next, id));
        }
    }

    /// Ends the leases that have run out. An owner's goes on while the authority does not answer,
    /// up to [`OWNER_SILENCE`].
    fn expire(&mut self, now: Instant) {
        while let Some(&(at, id)) = self.expiries.first().filter(|(at, _)| *at <= now) {
            let Some(lease) = self.leases.get_mut(&id) else { return };
            let tolerated = self.signs.unanswered_since().map(|since| since + OWNER_SILENCE);
            let tolerated = tolerated.filter(|_| lease.alive && lease.terms.role == Role::Owner);
            match tolerated.filter(|until| *until > now) {
                Some(until) => {
                    self.expiries.remove(&(at, id));
                    lease.expires = until;
                    self.expiries.insert((until, id));
                }
                None => self.end(id, EndCause::Expired),
            }
        }
    }

    fn guest_bound(&self) -> Option<Instant> {
        self.signs.last().map(|sign| sign + GUEST_SILENCE)
    }

    fn owner_bound(&self) -> Option<Instant> {
        self.signs.last().map(|sign| sign + OWNER_SILENCE)
    }

    fn end_all(&mut self, role: Role) {
        let covered = self.leases.iter().filter(|(_, lease)| lease.terms.role == role);
        for id in covered.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.end(id, EndCause::AuthoritySilent);
        }
    }

    fn end(&mut self, id: LeaseId, cause: EndCause) {
        if self.remove(id) {
            self.ended.push_back((id, cause));
        }
    }

    fn remove(&mut self, id: LeaseId) -> bool {
        let Some(lease) = self.leases.remove(&id) else { return false };
        self.guests -= usize::from(lease.terms.role == Role::Guest);
        self.expiries.remove(&(lease.expires, id));
        match lease.state {
            State::Fresh(at) => self.renewals.remove(&(at, id)),
            State::Asked(at) => self.asked.remove(&(at, id)),
        };
        true
    }

    /// Moves a lease between `renewals` and `asked`.
    fn place(&mut self, id: LeaseId, state: State) {
        let Some(lease) = self.leases.get_mut(&id) else { return };
        match lease.state {
            State::Fresh(at) => self.renewals.remove(&(at, id)),
            State::Asked(at) => self.asked.remove(&(at, id)),
        };
        lease.state = state;
        match state {
            State::Fresh(at) if lease.alive => self.renewals.insert((at, id)),
            State::Fresh(_) => false,
            State::Asked(at) => self.asked.insert((at, id)),
        };
    }
}
