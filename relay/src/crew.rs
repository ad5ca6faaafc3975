//! The workers of a relay together: where each stream is at home, and what workers tell each other.
//!
//! A worker's viewers, sockets and streams are its own. Other workers reach it by a bounded queue of
//! [`Note`]s alone. A worker that sleeps is rung once, whatever number of notes it finds when it
//! wakes; one that is awake is not rung at all, for it looks before it sleeps.

mod company;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use dashmap::DashMap;
use mio::Waker;
use sightline_relay_proto::hub::{Copied, EndReason, StreamFacts, StreamId};
use sightline_relay_proto::ids::{StreamKey, TrackIndex};

pub(crate) use self::company::Company;
use crate::rtsp::Visitor;

/// Workers of a relay, at most.
pub const MAX_WORKERS: usize = 64;
/// Notes that may wait for a worker: some seconds of every frame of many streams.
pub(crate) const MAX_NOTES: usize = 4096;
/// A viewer is served where its stream is at home unless that worker has so many viewers more than
/// the idlest one: a mirror costs its worker a wake a frame, and its viewers a longer way.
pub(crate) const SPREAD: usize = 64;
/// What a publisher weighs against a viewer when work is shared out.
pub(crate) const PUBLISHER_WEIGHT: usize = 4;

/// Which worker.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct WorkerIndex(pub(crate) u8);

/// What one worker tells another. Streams are named by the hub of the one that is told.
pub(crate) enum Note {
    /// `by` makes a mirror of a stream of yours: send what is cached, and all that comes.
    Follow { stream: StreamId, by: Follower },
    /// The mirror is gone.
    Unfollow { stream: StreamId, by: Follower },
    /// A viewer of a mirror wants a keyframe.
    Keyframe { stream: StreamId, track: TrackIndex },
    /// The stream's device publishes elsewhere now.
    GiveUp { stream: StreamId },
    /// What is cached, for your mirror.
    Backlog { mirror: StreamId, items: Vec<Copied> },
    /// Something happened in the stream that you mirror.
    Copied { mirror: StreamId, item: Copied },
    /// Some of it was lost, since your queue was full.
    Gap { mirror: StreamId },
    /// The stream has ended.
    Ended { mirror: StreamId, reason: EndReason },
    /// A connection whose stream is yours.
    Visitor(Box<Visitor>),
}

/// Who follows a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Follower {
    pub(crate) worker: WorkerIndex,
    pub(crate) mirror: StreamId,
}

/// Where a stream is fed.
#[derive(Clone)]
pub(crate) struct Home {
    pub(crate) worker: WorkerIndex,
    pub(crate) stream: StreamId,
    pub(crate) facts: Arc<StreamFacts>,
}

/// All workers.
pub(crate) struct Crew {
    members: Box<[Member]>,
    homes: DashMap<StreamKey, Home>,
}

struct Member {
    notes: SyncSender<Note>,
    waker: Arc<Waker>,
    /// Awake, or rung: it will look at its notes before it sleeps again.
    attentive: AtomicBool,
    /// Viewers and publishers by weight, as the worker last counted them and as were sent to it since.
    load: AtomicUsize,
}

impl Crew {
    /// A crew of workers with these wakers, and the notes of each.
    pub(crate) fn new(wakers: Vec<Arc<Waker>>) -> (Self, Vec<Receiver<Note>>) {
        let mut members = Vec::new();
        let mut receivers = Vec::new();
        for waker in wakers {
            let (notes, receiver) = sync_channel(MAX_NOTES);
            let (attentive, load) = (AtomicBool::new(false), AtomicUsize::new(0));
            members.push(Member { notes, waker, attentive, load });
            receivers.push(receiver);
        }
        (Self { members: members.into(), homes: DashMap::new() }, receivers)
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// Queues a note without ringing; gives it back if the queue is full.
    fn queue(&self, to: WorkerIndex, note: Note) -> Result<(), Note> {
        let Some(member) = self.member(to) else { return Ok(()) };
        match member.notes.try_send(note) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(note)) => Err(note),
            // It has stopped: nobody is there to be told.
            Err(TrySendError::Disconnected(_)) => Ok(()),
        }
    }

    /// Wakes a worker if it sleeps.
    fn ring(&self, to: WorkerIndex) {
        let Some(member) = self.member(to) else { return };
        if !member.attentive.swap(true, Ordering::SeqCst)
            && let Err(error) = member.waker.wake()
        {
            tracing::error!(%error, "a relay worker cannot be woken");
        }
    }

    /// A worker is awake (`true`), or will sleep unless it finds a note now (`false`).
    pub(crate) fn set_attentive(&self, worker: WorkerIndex, attentive: bool) {
        if let Some(member) = self.member(worker) {
            member.attentive.store(attentive, Ordering::SeqCst);
        }
    }

    /// A worker has counted its work.
    pub(crate) fn set_load(&self, worker: WorkerIndex, load: usize) {
        if let Some(member) = self.member(worker) {
            member.load.store(load, Ordering::Relaxed);
        }
    }

    /// Where a stream is fed, if it is.
    pub(crate) fn home(&self, key: &StreamKey) -> Option<Home> {
        self.homes.get(key).map(|home| home.clone())
    }

    /// The worker for a new publisher of a stream: where the stream is, else the idlest.
    pub(crate) fn place_publisher(&self, key: &StreamKey) -> WorkerIndex {
        self.home(key).map_or_else(|| self.idlest(), |home| home.worker)
    }

    /// The worker for a new viewer of a stream.
    pub(crate) fn place_viewer(&self, key: &StreamKey) -> WorkerIndex {
        let idlest = self.idlest();
        let home = self.home(key).map_or(idlest, |home| home.worker);
        if self.load(home) > self.load(idlest) + SPREAD { idlest } else { home }
    }

    /// A session was sent to a worker that has not counted it yet.
    pub(crate) fn add_load(&self, worker: WorkerIndex, weight: usize) {
        if let Some(member) = self.member(worker) {
            member.load.fetch_add(weight, Ordering::Relaxed);
        }
    }

    fn idlest(&self) -> WorkerIndex {
        let workers = (0..self.members.len()).map(|index| WorkerIndex(index as u8));
        workers.min_by_key(|worker| self.load(*worker)).unwrap_or(WorkerIndex(0))
    }

    fn load(&self, worker: WorkerIndex) -> usize {
        self.member(worker).map_or(usize::MAX, |member| member.load.load(Ordering::Relaxed))
    }

    fn member(&self, worker: WorkerIndex) -> Option<&Member> {
        self.members.get(usize::from(worker.0))
    }
}
