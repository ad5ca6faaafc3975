//! One worker's dealings with the others: the mirrors it has of their streams, and theirs of its own.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use sightline_relay_proto::hub::{Copied, EndReason, Hub, PublisherId, StreamId};
use sightline_relay_proto::ids::{StreamKey, TrackIndex};
use smallvec::SmallVec;

use super::{Crew, Follower, Home, Note, WorkerIndex};
use crate::port::IdMap;

/// How often mirrors are looked at. One that has no viewer, or no answer of its home, at two looks in
/// a row goes.
const LOOK: Duration = Duration::from_secs(5);
/// A full queue is tried again after this time.
const RETRY: Duration = Duration::from_millis(5);

/// A worker among the others.
pub(crate) struct Company {
    crew: Arc<Crew>,
    me: WorkerIndex,
    notes: Receiver<Note>,
    /// Found when it was about to sleep.
    next: Option<Note>,
    /// Mirrors here, by their streams.
    mirrors: IdMap<StreamId, Mirror>,
    /// Mirrors of streams that are at home here.
    followers: IdMap<StreamId, SmallVec<[Following; 4]>>,
    /// What found a full queue and must not be lost.
    unsent: VecDeque<(WorkerIndex, Note)>,
    /// Workers that have notes since they were last rung.
    to_ring: SmallVec<[WorkerIndex; 4]>,
    next_look: Option<Instant>,
    next_try: Option<Instant>,
    /// When the worker woke.
    woken: Instant,
}

struct Mirror {
    home: WorkerIndex,
    /// The stream's name there.
    stream: StreamId,
    /// It was of no use at the last look.
    idle: bool,
}

#[derive(Clone, Copy)]
struct Following {
    follower: Follower,
    /// Its queue was full; it does not know yet that it missed something.
    missed: bool,
}

impl Company {
    pub(crate) fn new(crew: Arc<Crew>, me: WorkerIndex, notes: Receiver<Note>) -> Self {
        Self {
            crew,
            me,
            notes,
            next: None,
            mirrors: IdMap::default(),
            followers: IdMap::default(),
            unsent: VecDeque::new(),
            to_ring: SmallVec::new(),
            next_look: None,
            next_try: None,
            woken: Instant::now(),
        }
    }

    /// A worker with no others.
    #[cfg(test)]
    pub(crate) fn alone() -> Self {
        let (crew, mut notes) = super::tests::crew(1);
        Self::new(Arc::new(crew), WorkerIndex(0), notes.remove(0))
    }

    /// Who the worker is.
    pub(crate) fn me(&self) -> WorkerIndex {
        self.me
    }

    /// All workers.
    pub(crate) fn crew(&self) -> &Crew {
        &self.crew
    }

    /// The worker is awake: nobody need ring.
    pub(crate) fn wake(&mut self, now: Instant) {
        self.woken = now;
        self.crew.set_attentive(self.me, true);
    }

    /// Whether the worker may sleep: it is rung from now on. `false` if a note waits.
    pub(crate) fn may_sleep(&mut self) -> bool {
        self.crew.set_attentive(self.me, false);
        if self.next.is_none() {
            self.next = self.notes.try_recv().ok();
        }
        if self.next.is_some() {
            self.crew.set_attentive(self.me, true);
        }
        self.next.is_none()
    }

    /// The next note of another worker.
    pub(crate) fn poll_note(&mut self) -> Option<Note> {
        self.next.take().or_else(|| self.notes.try_recv().ok())
    }

    /// Makes a stream that is at home elsewhere known to this worker's hub.
    pub(crate) fn look_up(&mut self, now: Instant, hub: &mut Hub, key: &StreamKey) {
        let Some(Home { worker, stream, facts }) = self.crew.home(key) else { return };
        if worker == self.me {
            return;
        }
        if let Some(known) = hub.stream_id(key) {
            match self.mirrors.get_mut(&known) {
                Some(mirror) if (mirror.home, mirror.stream) == (worker, stream) => {
                    mirror.idle = false;
                    return;
                }
                Some(_) => hub.end_mirror(known, EndReason::TracksChanged),
                // Its own stream: the other worker has just taken it over and says so soon.
                None => return,
            }
        }
        let mirror = hub.mirror(key.clone(), &facts);
        self.mirrors.insert(mirror, Mirror { home: worker, stream, idle: false });
        self.next_look.get_or_insert(now + LOOK);
        let by = Follower { worker: self.me, mirror };
        self.post(worker, Note::Follow { stream, by });
        self.ring();
    }

    /// A publisher feeds a stream here: this is its home now.
    pub(crate) fn settle(&mut self, hub: &Hub, key: StreamKey, publisher: PublisherId) {
        let Some(stream) = hub.stream_of(publisher) else { return };
        let Some(facts) = hub.facts(stream) else { return };
        let home = Home { worker: self.me, stream, facts: Arc::new(facts) };
        let before = self.crew.homes.insert(key, home);
        if let Some(before) = before.filter(|before| before.worker != self.me) {
            self.post(before.worker, Note::GiveUp { stream: before.stream });
            self.ring();
        }
    }

    /// A stream or mirror is no more in this worker's hub.
    pub(crate) fn handle_ended(&mut self, key: &StreamKey, stream: StreamId, reason: EndReason) {
        if let Some(mirror) = self.mirrors.remove(&stream) {
            let by = Follower { worker: self.me, mirror: stream };
            self.post(mirror.home, Note::Unfollow { stream: mirror.stream, by });
        } else {
            let mine = |_: &StreamKey, home: &Home| (home.worker, home.stream) == (self.me, stream);
            self.crew.homes.remove_if(key, mine);
            for Following { follower, .. } in self.followers.remove(&stream).unwrap_or_default() {
                let note = Note::Ended { mirror: follower.mirror, reason };
                self.post(follower.worker, note);
            }
        }
        self.ring();
    }

    /// The hub wants a keyframe of a mirror.
    pub(crate) fn ask_home(&mut self, mirror: StreamId, track: TrackIndex) {
        if let Some(Mirror { home, stream, .. }) = self.mirrors.get(&mirror) {
            let (home, note) = (*home, Note::Keyframe { stream: *stream, track });
            self.post(home, note);
            self.ring();
        }
    }

    /// Acts on a note, unless it concerns a port: such a one is given back.
    pub(crate) fn handle_note(&mut self, now: Instant, hub: &mut Hub, note: Note) -> Option<Note> {
        match note {
            Note::Follow { stream, by } => self.begin_follow(hub, stream, by),
            Note::Unfollow { stream, by } => self.end_follow(hub, stream, by),
            Note::Keyframe { stream, track } => {
                hub.request_keyframe_for_mirror(now, stream, track);
            }
            Note::GiveUp { stream } => hub.give_up(stream),
            Note::Backlog { mirror, items } => hub.fill(now, mirror, items),
            Note::Copied { mirror, item } => hub.handle_copied(now, mirror, item),
            Note::Gap { mirror } => hub.handle_gap(mirror),
            Note::Ended { mirror, reason } => hub.end_mirror(mirror, reason),
            Note::Visitor(_) => return Some(note),
        }
        None
    }

    /// Hands on what has come for the followers of this worker's streams: each frame once a worker.
    pub(crate) fn hand_on(&mut self, hub: &mut Hub) {
        for (stream, item) in hub.take_copied() {
            for following in self.followers.get_mut(&stream).into_iter().flatten() {
                hand_on(&self.crew, following, &item);
                let worker = following.follower.worker;
                if !self.to_ring.contains(&worker) {
                    self.to_ring.push(worker);
                }
            }
        }
        self.ring();
    }

    /// A connection belongs to another worker. Lost, and so closed, if that one is overwhelmed.
    pub(crate) fn send_visitor(&mut self, to: WorkerIndex, visitor: Box<crate::rtsp::Visitor>) {
        if self.crew.queue(to, Note::Visitor(visitor)).is_err() {
            metrics::counter!("sightline_rtsp_connections_refused_total").increment(1);
        }
        self.crew.ring(to);
    }

    /// When [`Self::handle_timeout`] is next due.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.next_look.into_iter().chain(self.next_try).min()
    }

    /// Tries full queues again, and ends mirrors that nobody watches.
    pub(crate) fn handle_timeout(&mut self, now: Instant, hub: &mut Hub) {
        self.next_try = None;
        for (to, note) in std::mem::take(&mut self.unsent) {
            self.post(to, note);
        }
        self.ring();
        if self.next_look.is_none_or(|at| at > now) {
            return;
        }
        let mut useless = Vec::new();
        for (id, mirror) in &mut self.mirrors {
            let idle = !hub.is_watched(*id) || hub.is_filling(*id);
            if std::mem::replace(&mut mirror.idle, idle) && idle {
                useless.push(*id);
            }
        }
        for id in useless {
            hub.end_mirror(id, EndReason::PublisherGone);
        }
        self.next_look = (!self.mirrors.is_empty()).then_some(now + LOOK);
    }

    fn begin_follow(&mut self, hub: &mut Hub, stream: StreamId, by: Follower) {
        match hub.follow(stream) {
            Some(items) => {
                self.post(by.worker, Note::Backlog { mirror: by.mirror, items });
                let following = Following { follower: by, missed: false };
                self.followers.entry(stream).or_default().push(following);
            }
            None => {
                let reason = EndReason::PublisherGone;
                self.post(by.worker, Note::Ended { mirror: by.mirror, reason });
            }
        }
        self.ring();
    }

    fn end_follow(&mut self, hub: &mut Hub, stream: StreamId, by: Follower) {
        let Some(followers) = self.followers.get_mut(&stream) else { return };
        followers.retain(|following| following.follower != by);
        if followers.is_empty() {
            self.followers.remove(&stream);
            hub.unfollow(stream);
        }
    }

    /// Queues a note that must not be lost; [`Self::ring`] follows.
    fn post(&mut self, to: WorkerIndex, note: Note) {
        // What waits goes first.
        let blocked = self.unsent.iter().any(|(worker, _)| *worker == to);
        let refused = if blocked { Some(note) } else { self.crew.queue(to, note).err() };
        if let Some(note) = refused {
            self.unsent.push_back((to, note));
            self.next_try.get_or_insert(self.woken + RETRY);
        }
        if !self.to_ring.contains(&to) {
            self.to_ring.push(to);
        }
    }

    fn ring(&mut self) {
        for worker in self.to_ring.drain(..) {
            self.crew.ring(worker);
        }
    }
}

/// Hands one thing to one follower. What finds the queue full is lost, and the follower told so
/// as soon as there is room.
fn hand_on(crew: &Crew, following: &mut Following, item: &Copied) {
    let Follower { worker, mirror } = following.follower;
    if following.missed && crew.queue(worker, Note::Gap { mirror }).is_ok() {
        following.missed = false;
    }
    let sent = !following.missed
        && crew.queue(worker, Note::Copied { mirror, item: item.clone() }).is_ok();
    if !sent {
        following.missed = true;
        metrics::counter!("sightline_relay_notes_dropped_total").increment(1);
    }
}
