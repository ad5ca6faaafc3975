//! Workers without threads: each is a hub and its company, and a poller that shows who was rung.

use std::time::{Duration, Instant};

use bytes::Bytes;
use mio::{Events, Poll, Token};
use sightline_relay_proto::codec::{Codec, TrackInfo};
use sightline_relay_proto::frame::Mode;
use sightline_relay_proto::hub::{
    Hub, HubEvent, Pacing, Publication, PublisherId, Selection, SubscribeError, SubscriberId,
};
use sightline_relay_proto::ids::{Channel, DeviceId};
use sightline_relay_proto::wire::rtp;

use super::*;

/// Samples of a sound frame.
const SAMPLES: u32 = 960;

/// Wakers whose pollers are leaked: nobody listens.
pub(crate) fn crew(workers: usize) -> (Crew, Vec<Receiver<Note>>) {
    let wakers = (0..workers).map(|_| {
        let poll = Box::leak(Box::new(Poll::new().unwrap()));
        Arc::new(Waker::new(poll.registry(), Token(0)).unwrap())
    });
    Crew::new(wakers.collect())
}

struct Worker {
    hub: Hub,
    company: Company,
    poll: Poll,
    ended: Vec<SubscriberId>,
}

struct Rig {
    workers: Vec<Worker>,
    crew: Arc<Crew>,
    now: Instant,
    seq: u16,
}

fn key() -> StreamKey {
    StreamKey::up(DeviceId::new("CAM-1").unwrap(), Channel(0))
}

impl Rig {
    fn new(workers: usize) -> Self {
        let polls: Vec<Poll> = (0..workers).map(|_| Poll::new().unwrap()).collect();
        let waker = |poll: &Poll| Arc::new(Waker::new(poll.registry(), Token(0)).unwrap());
        let (crew, notes) = Crew::new(polls.iter().map(waker).collect());
        let crew = Arc::new(crew);
        let workers = polls.into_iter().zip(notes).enumerate().map(|(at, (poll, notes))| Worker {
            hub: Hub::new(at as u64),
            company: Company::new(crew.clone(), WorkerIndex(at as u8), notes),
            poll,
            ended: Vec::new(),
        });
        Self { workers: workers.collect(), crew, now: Instant::now(), seq: 0 }
    }

    fn publish(&mut self, at: usize) -> PublisherId {
        let publication = Publication {
            key: key(),
            tracks: vec![TrackInfo::audio(Codec::Opus, 48_000, 2)],
            mode: Mode::Open,
            takes_keyframe_requests: true,
            unordered: false,
        };
        let Worker { hub, company, .. } = &mut self.workers[at];
        let publisher = hub.publish(self.now, publication).unwrap();
        company.settle(hub, key(), publisher);
        publisher
    }

    /// One frame of sound, and what follows from it within the worker's turn.
    fn frame(&mut self, at: usize, publisher: PublisherId) {
        self.seq += 1;
        let time = u32::from(self.seq) * SAMPLES;
        let mut packet = rtp::header(96, true, self.seq, time, 7).to_vec();
        packet.extend_from_slice(&[self.seq as u8; 40]);
        let Worker { hub, company, .. } = &mut self.workers[at];
        hub.handle_rtp(self.now, publisher, TrackIndex(0), Bytes::from(packet));
        company.hand_on(hub);
    }

    fn subscribe(&mut self, at: usize) -> Result<SubscriberId, SubscribeError> {
        let Worker { hub, company, .. } = &mut self.workers[at];
        company.look_up(self.now, hub, &key());
        let selection =
            Selection { tracks: vec![TrackIndex(0)], pacing: Pacing::Whole, mode: Mode::Open };
        hub.subscribe(self.now, &key(), selection)
    }

    /// Turns of every worker until none has a note.
    fn settle(&mut self) {
        loop {
            let mut busy = false;
            for worker in &mut self.workers {
                while let Some(note) = worker.company.poll_note() {
                    busy = true;
                    assert!(worker.company.handle_note(self.now, &mut worker.hub, note).is_none());
                }
                while let Some(event) = worker.hub.poll_event() {
                    busy = true;
                    worker.handle_event(event);
                }
                worker.company.hand_on(&mut worker.hub);
            }
            if !busy {
                return;
            }
        }
    }

    /// Sequence numbers that a viewer is sent.
    fn sent(&mut self, at: usize, viewer: SubscriberId) -> Vec<u16> {
        let hub = &mut self.workers[at].hub;
        while hub.poll_ready(self.now).is_some() {}
        std::iter::from_fn(|| hub.poll_delivery(self.now, viewer)).map(|it| it.seq).collect()
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        for Worker { hub, company, .. } in &mut self.workers {
            company.wake(self.now);
            if company.poll_timeout().is_some_and(|at| at <= self.now) {
                company.handle_timeout(self.now, hub);
            }
        }
        self.settle();
    }

    fn mirrors(&self, at: usize) -> u64 {
        self.workers[at].hub.stats().mirrors
    }
}

impl Worker {
    fn handle_event(&mut self, event: HubEvent) {
        match event {
            HubEvent::KeyframeNeeded { publisher, track } => {
                let stream = self.hub.stream_of(publisher).unwrap();
                self.company.ask_home(stream, track);
            }
            HubEvent::StreamEnded { key, stream, reason } => {
                self.company.handle_ended(&key, stream, reason);
            }
            HubEvent::SubscriberEnded { subscriber, .. } => self.ended.push(subscriber),
            HubEvent::PublisherReplaced { .. } | HubEvent::Presence { .. } => {}
        }
    }

    /// Whether it was rung since the last call.
    fn was_rung(&mut self) -> bool {
        let mut events = Events::with_capacity(4);
        self.poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
        events.iter().count() > 0
    }
}

#[test]
fn viewers_of_a_stream_are_sent_the_same_by_every_worker() {
    let mut rig = Rig::new(3);
    let camera = rig.publish(1);
    rig.frame(1, camera);
    let viewers = [0, 1, 2].map(|at| rig.subscribe(at).unwrap());
    rig.settle();
    for _ in 0..50 {
        rig.pass(Duration::from_millis(20));
        rig.frame(1, camera);
        rig.settle();
        let sent = [0, 1, 2].map(|at| rig.sent(at, viewers[at]));
        assert_eq!(sent[0].len(), 1);
        assert_eq!((&sent[0], &sent[0]), (&sent[1], &sent[2]));
    }
    assert_eq!([0, 1, 2].map(|at| rig.mirrors(at)), [1, 0, 1]);
}

#[test]
fn a_run_of_frames_rings_a_sleeping_worker_once_and_one_that_is_awake_not_at_all() {
    let mut rig = Rig::new(2);
    let camera = rig.publish(0);
    rig.subscribe(1).unwrap();
    rig.settle();
    assert!(rig.workers[1].was_rung(), "its backlog came");
    assert!(rig.workers[1].company.may_sleep());
    for _ in 0..5 {
        rig.frame(0, camera);
    }
    let mut events = Events::with_capacity(4);
    rig.workers[1].poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
    assert_eq!(events.iter().count(), 1);
    rig.workers[1].company.wake(rig.now);
    for _ in 0..5 {
        rig.frame(0, camera);
    }
    assert!(!rig.workers[1].was_rung(), "it is awake");
    assert!(!rig.workers[1].company.may_sleep(), "and looks before it sleeps");
    rig.settle();
    assert!(rig.workers[1].company.may_sleep());
}

#[test]
fn a_camera_that_nobody_watches_elsewhere_is_not_copied() {
    let mut rig = Rig::new(2);
    let camera = rig.publish(0);
    let viewer = rig.subscribe(1).unwrap();
    rig.settle();
    assert_eq!(rig.mirrors(1), 1);
    rig.workers[1].hub.unsubscribe(viewer);
    rig.pass(Duration::from_secs(5));
    assert_eq!(rig.mirrors(1), 1, "another viewer may come at once");
    rig.pass(Duration::from_secs(5));
    assert_eq!(rig.mirrors(1), 0);
    rig.workers[1].was_rung();
    assert!(rig.workers[1].company.may_sleep());
    rig.frame(0, camera);
    assert!(!rig.workers[1].was_rung());
}

#[test]
fn a_mirror_whose_home_never_answers_ends() {
    let mut rig = Rig::new(2);
    rig.publish(0);
    let viewer = rig.subscribe(1).unwrap();
    while rig.workers[0].company.poll_note().is_some() {}
    rig.pass(Duration::from_secs(5));
    rig.pass(Duration::from_secs(5));
    assert_eq!((rig.mirrors(1), rig.workers[1].ended.as_slice()), (0, [viewer].as_slice()));
}

#[test]
fn a_full_queue_loses_frames_and_the_mirror_asks_for_a_keyframe() {
    let mut rig = Rig::new(2);
    let camera = rig.publish(0);
    rig.subscribe(1).unwrap();
    rig.settle();
    for _ in 0..=MAX_NOTES {
        rig.frame(0, camera);
    }
    let mut notes = 0;
    while let Some(note) = rig.workers[1].company.poll_note() {
        assert!(matches!(note, Note::Copied { .. }));
        notes += 1;
    }
    assert_eq!(notes, MAX_NOTES, "the bound, and the one beyond it is lost");
    rig.frame(0, camera);
    let next = [(); 2].map(|()| rig.workers[1].company.poll_note());
    assert!(matches!(next, [Some(Note::Gap { .. }), Some(Note::Copied { .. })]));
}

#[test]
fn what_must_not_be_lost_waits_for_room() {
    let mut rig = Rig::new(2);
    let camera = rig.publish(0);
    let viewer = rig.subscribe(1).unwrap();
    rig.settle();
    for _ in 0..MAX_NOTES {
        rig.frame(0, camera);
    }
    let stream = rig.workers[0].hub.stream_of(camera).unwrap();
    rig.workers[0].hub.give_up(stream);
    while let Some(event) = rig.workers[0].hub.poll_event() {
        rig.workers[0].handle_event(event);
    }
    rig.settle();
    assert!(rig.workers[1].ended.is_empty(), "the queue was full");
    rig.pass(Duration::from_millis(20));
    assert_eq!(rig.workers[1].ended, [viewer]);
}

#[test]
fn a_camera_that_comes_to_another_worker_takes_its_stream_along() {
    let mut rig = Rig::new(3);
    rig.publish(0);
    let viewers = [0, 1, 2].map(|at| rig.subscribe(at).unwrap());
    rig.settle();
    let camera = rig.publish(2);
    rig.settle();
    for (worker, viewer) in rig.workers.iter().zip(viewers) {
        assert_eq!(worker.ended, [viewer], "its numbering has ended");
    }
    assert_eq!(rig.crew.home(&key()).unwrap().worker, WorkerIndex(2));
    assert_eq!(rig.crew.place_publisher(&key()), WorkerIndex(2));
    let viewer = rig.subscribe(0).unwrap();
    rig.settle();
    rig.frame(2, camera);
    rig.settle();
    assert_eq!(rig.sent(0, viewer).len(), 1);
}

#[test]
fn a_stream_that_ends_is_known_to_nobody() {
    let mut rig = Rig::new(2);
    let camera = rig.publish(0);
    let viewer = rig.subscribe(1).unwrap();
    rig.settle();
    let stream = rig.workers[0].hub.stream_of(camera).unwrap();
    rig.workers[0].hub.give_up(stream);
    rig.settle();
    assert_eq!(rig.workers[1].ended, [viewer]);
    assert!(rig.crew.home(&key()).is_none());
    assert_eq!(rig.subscribe(1), Err(SubscribeError::NotLive));
}

#[test]
fn viewers_stay_at_their_streams_home_until_it_has_too_many() {
    let (crew, _notes) = crew(3);
    assert_eq!(crew.place_viewer(&key()), WorkerIndex(0), "the idlest");
    let facts = StreamFacts {
        tracks: Vec::new(),
        ssrcs: Vec::new(),
        mode: Mode::Open,
        takes_keyframe_requests: false,
    };
    let home = Home { worker: WorkerIndex(1), stream: StreamId(0), facts: Arc::new(facts) };
    crew.homes.insert(key(), home);
    crew.set_load(WorkerIndex(0), 10);
    for _ in 0..=SPREAD {
        assert_eq!(crew.place_viewer(&key()), WorkerIndex(1));
        crew.add_load(WorkerIndex(1), 1);
    }
    assert_eq!(crew.place_viewer(&key()), WorkerIndex(2), "the idlest");
    assert_eq!(crew.place_publisher(&key()), WorkerIndex(1), "a camera stays with its stream");
    crew.set_load(WorkerIndex(2), 1);
    assert_eq!(crew.place_viewer(&key()), WorkerIndex(1));
}
