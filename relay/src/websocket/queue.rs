//! The messages of one viewer on their way from the worker to the task that writes its socket.
//!
//! The worker puts messages in and the task takes them out. What is queued is bounded: in a full
//! queue nothing more is put, the worker asks the hub for nothing more, and the task rings the worker
//! once half of it is gone. Until then the viewer lags, and the hub skips to a keyframe. A keyframe
//! that comes while old pictures still wait overtakes them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sightline_relay_proto::limits::MAX_LAG;

use crate::port::CloseReason;

/// Bytes that may wait before the queue is full. The last item may go over it.
pub(super) const MAX_QUEUED_BYTES: usize = 512 * 1024;
/// Messages that may wait before the queue is full. The last item's messages may go over it.
pub(super) const MAX_QUEUED_MESSAGES: usize = 256;
/// Pictures that have waited for this long make way for a newer keyframe.
pub(super) const STALE: Duration = MAX_LAG;

/// One end of a queue; both ends are of this type.
#[derive(Clone, Default)]
pub(super) struct Queue(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    entries: VecDeque<Entry>,
    bytes: usize,
    /// The worker waits for room.
    wanted: bool,
    /// The worker has ended the session.
    end: Option<CloseReason>,
    /// The task is gone.
    left: bool,
    task: Option<Waker>,
}

struct Entry {
    /// Number of its stream.
    stream: u8,
    /// It belongs to a keyframe or names a stream: of no use to leave it out.
    keep: bool,
    bytes: Bytes,
    since: Instant,
}

impl State {
    fn is_full(&self) -> bool {
        self.bytes >= MAX_QUEUED_BYTES || self.entries.len() >= MAX_QUEUED_MESSAGES
    }

    /// Whether the worker, if it waits for room, is to be told that there is some.
    fn has_room(&self) -> bool {
        self.bytes <= MAX_QUEUED_BYTES / 2 && self.entries.len() <= MAX_QUEUED_MESSAGES / 2
    }
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a message behind the others. The task is not rung: see [`Self::ring`].
    pub(super) fn put(&self, now: Instant, stream: u8, bytes: Bytes, keep: bool) {
        let mut state = self.state();
        state.bytes += bytes.len();
        state.entries.push_back(Entry { stream, keep, bytes, since: now });
    }

    /// Tells the task of what was put.
    pub(super) fn ring(&self) {
        let task = self.state().task.take();
        if let Some(task) = task {
            task.wake();
        }
    }

    /// Takes out what waits of a stream's pictures between keyframes, if the queue is stale. `true`
    /// if something was: the stream must be given up then.
    pub(super) fn overtake(&self, now: Instant, stream: u8) -> bool {
        let mut state = self.state();
        let stale = |entry: &Entry| now.saturating_duration_since(entry.since) >= STALE;
        if !state.entries.front().is_some_and(stale) {
            return false;
        }
        let before = state.entries.len();
        state.entries.retain(|entry| entry.stream != stream || entry.keep);
        state.bytes = state.entries.iter().map(|entry| entry.bytes.len()).sum();
        state.entries.len() < before
    }

    /// Whether nothing more may be put. The worker hears of room from then on.
    pub(super) fn is_full(&self) -> bool {
        let mut state = self.state();
        state.wanted = state.is_full();
        state.wanted
    }

    /// Whether the worker was to hear of room, and there is some now.
    pub(super) fn take_room(&self) -> bool {
        let mut state = self.state();
        let room = state.wanted && state.has_room();
        state.wanted &= !room;
        room
    }

    /// Whether the task is gone.
    pub(super) fn is_left(&self) -> bool {
        self.state().left
    }

    /// Ends the session: what waits is discarded.
    pub(super) fn end(&self, reason: CloseReason) {
        let mut state = self.state();
        state.entries = VecDeque::new();
        state.bytes = 0;
        state.end.get_or_insert(reason);
        drop(state);
        self.ring();
    }

    /// The task goes.
    pub(super) fn leave(&self) {
        self.state().left = true;
    }

    /// The next message; the second value tells that the worker waits and is to be rung.
    pub(super) fn poll_message(&self, cx: &mut Context<'_>) -> Poll<(Bytes, bool)> {
        let mut state = self.state();
        let Some(entry) = state.entries.pop_front() else {
            state.task = Some(cx.waker().clone());
            return Poll::Pending;
        };
        state.bytes -= entry.bytes.len();
        let ring = state.wanted && state.has_room();
        state.wanted &= !ring;
        Poll::Ready((entry.bytes, ring))
    }

    /// Why the session is over, once it is.
    pub(super) fn poll_end(&self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let mut state = self.state();
        match state.end {
            Some(reason) => Poll::Ready(reason),
            None => {
                state.task = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(queue: &Queue) -> Option<(Bytes, bool)> {
        let mut cx = Context::from_waker(Waker::noop());
        match queue.poll_message(&mut cx) {
            Poll::Ready(taken) => Some(taken),
            Poll::Pending => None,
        }
    }

    fn of(len: usize) -> Bytes {
        vec![0; len].into()
    }

    #[test]
    fn a_queue_is_full_at_either_bound_and_not_before() {
        let now = Instant::now();
        let queue = Queue::default();
        queue.put(now, 0, of(MAX_QUEUED_BYTES - 1), false);
        assert!(!queue.is_full());
        queue.put(now, 0, of(1), false);
        assert!(queue.is_full());
        let queue = Queue::default();
        (1..MAX_QUEUED_MESSAGES).for_each(|_| queue.put(now, 0, of(1), false));
        assert!(!queue.is_full());
        queue.put(now, 0, of(1), false);
        assert!(queue.is_full());
    }

    #[test]
    fn room_is_told_once_when_half_of_a_full_queue_is_gone() {
        let now = Instant::now();
        let queue = Queue::default();
        (0..MAX_QUEUED_MESSAGES).for_each(|_| queue.put(now, 0, of(1), false));
        assert!(take(&queue).is_some_and(|(_, ring)| !ring), "nobody has found it full");
        queue.put(now, 0, of(1), false);
        assert!(queue.is_full());
        let rung: Vec<_> = std::iter::from_fn(|| take(&queue)).map(|(_, ring)| ring).collect();
        let told: Vec<_> = (1..).zip(&rung).filter(|(_, ring)| **ring).map(|(at, _)| at).collect();
        assert_eq!((told, rung.len()), (vec![MAX_QUEUED_MESSAGES / 2], MAX_QUEUED_MESSAGES));
        assert!(!queue.take_room(), "it was told");
    }

    #[test]
    fn a_worker_that_was_not_told_of_room_finds_it() {
        let now = Instant::now();
        let queue = Queue::default();
        queue.put(now, 0, of(MAX_QUEUED_BYTES), false);
        assert!(queue.is_full() && !queue.take_room());
        take(&queue);
        queue.put(now, 0, of(1), false);
        assert!(!queue.take_room(), "the task has told it");
    }

    #[test]
    fn a_keyframe_overtakes_old_pictures_of_its_stream_and_nothing_else() {
        let now = Instant::now();
        let queue = Queue::default();
        for (stream, len, keep) in [(0, 1, true), (0, 2, false), (1, 3, false), (0, 4, false)] {
            queue.put(now, stream, of(len), keep);
        }
        assert!(!queue.overtake(now + STALE - Duration::from_millis(1), 0));
        assert!(!queue.overtake(now + STALE, 2));
        assert!(queue.overtake(now + STALE, 0));
        let left: Vec<_> = std::iter::from_fn(|| take(&queue)).map(|(one, _)| one.len()).collect();
        assert_eq!(left, [1, 3]);
    }

    #[test]
    fn the_end_discards_what_waits_and_keeps_its_first_reason() {
        let queue = Queue::default();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(queue.poll_end(&mut cx).is_pending());
        queue.put(Instant::now(), 0, of(9), true);
        queue.end(CloseReason::LeaseEnded);
        queue.end(CloseReason::Shutdown);
        assert_eq!(queue.poll_end(&mut cx), Poll::Ready(CloseReason::LeaseEnded));
        assert!(take(&queue).is_none() && !queue.is_left());
        queue.leave();
        assert!(queue.is_left());
    }
}
