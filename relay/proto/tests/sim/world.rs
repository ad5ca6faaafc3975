//! The simulation: cameras, links, the hub and viewers on one virtual clock.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sightline_relay_proto::frame::Mode;
use sightline_relay_proto::hub::{Hub, HubEvent, Pacing, Publication, PublisherId, Selection};
use sightline_relay_proto::ids::{Channel, DeviceId, StreamKey, TrackIndex};
use sightline_relay_proto::wire::sealed::Generation;

use crate::camera::{Camera, Media, VIDEO};
use crate::link::{CLEAN, Link, Random};
use crate::sealing::Sealing;
use crate::viewer::{Got, Viewer};

/// Wall clock at the start of every simulation, Unix time.
pub(crate) const UNIX_START: Duration = Duration::from_secs(1_800_000_000);

/// One step of a scenario, with a sentence that says what it is for.
pub(crate) enum Step {
    /// How the link behaves from now on.
    Conditions(&'static str, Link),
    /// A camera connects and publishes; a live one is taken over.
    Publish(&'static str, Media),
    /// The camera loses power; the relay notices at once.
    Crash(&'static str),
    /// A viewer joins and takes all tracks.
    Join(&'static str),
    /// The network of a viewer (by order of joining) takes nothing for a time.
    Block(&'static str, usize, Duration),
    /// The network of a viewer takes only so many bits a second from now on.
    Narrow(&'static str, usize, u64),
    /// Time passes.
    Run(&'static str, Duration),
    /// What must hold now.
    Check(&'static str, fn(&mut World)),
}

pub(crate) struct World {
    pub(crate) hub: Hub,
    pub(crate) viewers: Vec<Viewer>,
    /// Events but for keyframe requests, with their time.
    pub(crate) events: Vec<(Duration, HubEvent)>,
    /// When a camera was asked for a keyframe.
    pub(crate) asked: Vec<Duration>,
    pub(crate) publishers: Vec<PublisherId>,
    pub(crate) link: Link,
    /// Whether cameras seal and viewers want that.
    pub(crate) mode: Mode,
    /// Times that the hub alone wanted to be woken.
    pub(crate) hub_wakes: u64,
    start: Instant,
    at: Duration,
    random: Random,
    camera: Option<Running>,
    wire: BTreeMap<(Duration, u64), (PublisherId, TrackIndex, Bytes)>,
    sent: u64,
    /// Deliveries of the hub to all viewers.
    handed_out: u64,
    /// Latest arrival on the wire, for links that keep the order.
    latest: Duration,
}

struct Running {
    camera: Camera,
    publisher: PublisherId,
    started: Duration,
}

pub(crate) fn key() -> StreamKey {
    StreamKey::up(DeviceId::new("CAM-1").expect("legal serial"), Channel(0))
}

impl World {
    #[expect(clippy::disallowed_methods, reason = "an Instant has no other origin")]
    pub(crate) fn new(seed: u64, hub: Hub) -> Self {
        Self {
            hub,
            viewers: Vec::new(),
            events: Vec::new(),
            asked: Vec::new(),
            publishers: Vec::new(),
            link: CLEAN,
            mode: Mode::Open,
            hub_wakes: 0,
            handed_out: 0,
            start: Instant::now(),
            at: Duration::ZERO,
            random: Random::new(seed),
            camera: None,
            wire: BTreeMap::new(),
            sent: 0,
            latest: Duration::ZERO,
        }
    }

    pub(crate) fn now(&self) -> Instant {
        self.start + self.at
    }

    pub(crate) fn at(&self) -> Duration {
        self.at
    }

    pub(crate) fn publish(&mut self, media: Media) {
        let publication = Publication {
            key: key(),
            tracks: media.tracks(),
            mode: self.mode,
            takes_keyframe_requests: media.obeys_requests,
            unordered: self.link.reorders,
        };
        let publisher = self.hub.publish(self.now(), publication).expect("legal tracks");
        self.publishers.push(publisher);
        // A camera takes a new key whenever it starts.
        let number = Generation::FIRST.number() + self.publishers.len() as u64;
        let generation = Generation::new(number).expect("not that many cameras");
        let sealing = self.mode.is_sealed().then(|| Sealing::new(&key(), generation));
        let camera = Camera::new(media, &mut self.random, self.at, sealing);
        self.camera = Some(Running { camera, publisher, started: self.at });
        self.pump();
    }

    pub(crate) fn crash(&mut self) {
        if let Some(running) = self.camera.take() {
            self.hub.unpublish(self.now(), running.publisher);
            self.pump();
        }
    }

    pub(crate) fn join(&mut self, tracks: &[u8]) {
        let tracks = tracks.iter().copied().map(TrackIndex).collect();
        let selection = Selection { tracks, pacing: Pacing::Chunks, mode: self.mode };
        let id = self.hub.subscribe(self.now(), &key(), selection).expect("the stream is live");
        self.viewers.push(Viewer::new(id, self.at));
        self.pump();
    }

    pub(crate) fn leave(&mut self, viewer: usize) {
        self.hub.unsubscribe(self.viewers[viewer].id);
        self.viewers[viewer].ended = true;
        self.viewers[viewer].blocked_until = None;
    }

    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.at + time;
        while let Some(next) = self.next_at().filter(|next| *next <= end) {
            self.at = next.max(self.at);
            self.hub_wakes += u64::from(self.others_next_at() > Some(next));
            self.send_due();
            self.arrive_due();
            self.hub.handle_timeout(self.now());
            self.resume_due();
            self.pump();
        }
        self.at = end;
    }

    fn next_at(&self) -> Option<Duration> {
        let timeout = self.hub.poll_timeout();
        let hub = timeout.map(|timeout| timeout.saturating_duration_since(self.start));
        self.others_next_at().into_iter().chain(hub).min()
    }

    /// When something but the hub has work.
    fn others_next_at(&self) -> Option<Duration> {
        let camera = self.camera.as_ref().map(|running| running.started + running.camera.next_at());
        let wire = self.wire.first_key_value().map(|((at, _), _)| *at);
        let viewers = self.viewers.iter().filter_map(|viewer| viewer.blocked_until);
        camera.into_iter().chain(wire).chain(viewers).min()
    }

    fn send_due(&mut self) {
        let Some(running) = &mut self.camera else { return };
        while running.started + running.camera.next_at() <= self.at {
            let sent = running.camera.send();
            for packet in sent.packets {
                for delay in self.link.carry(&mut self.random) {
                    let mut arrival = self.at + delay;
                    if !self.link.reorders {
                        arrival = arrival.max(self.latest);
                        self.latest = arrival;
                    }
                    self.sent += 1;
                    let entry = (running.publisher, sent.track, packet.clone());
                    self.wire.insert((arrival, self.sent), entry);
                }
            }
        }
    }

    fn arrive_due(&mut self) {
        while let Some(entry) = self.wire.first_entry().filter(|entry| entry.key().0 <= self.at) {
            let (publisher, track, packet) = entry.remove();
            self.hub.handle_rtp(self.now(), publisher, track, packet);
        }
    }

    fn resume_due(&mut self) {
        let now = self.now();
        for viewer in &mut self.viewers {
            if viewer.blocked_until.is_some_and(|until| until <= self.at) {
                viewer.blocked_until = None;
                self.hub.resume(now, viewer.id);
            }
        }
    }

    /// When a viewer shows a frame by the sender reports it gets now, Unix time.
    pub(crate) fn shown_at(&self, viewer: usize, got: &Got) -> Duration {
        let (now, unix) = (self.now(), UNIX_START + self.at);
        let id = self.viewers[viewer].id;
        let info = self.hub.sender_info(now, unix, id, got.track).expect("frames came");
        let rate = if got.track == VIDEO { 90_000.0 } else { 48_000.0 };
        let since = f64::from(got.timestamp.wrapping_sub(info.rtp).cast_signed()) / rate;
        let ntp = (info.ntp >> 32) as f64 - 2_208_988_800.0
            + (info.ntp & 0xffff_ffff) as f64 / 4_294_967_296.0;
        Duration::from_secs_f64(ntp + since)
    }

    /// Drains the hub as its shell does.
    pub(crate) fn pump(&mut self) {
        let now = self.now();
        while let Some(event) = self.hub.poll_event() {
            match &event {
                HubEvent::KeyframeNeeded { track, .. } => {
                    self.asked.push(self.at);
                    if let Some(running) = &mut self.camera {
                        running.camera.ask_keyframe(*track);
                    }
                    continue;
                }
                HubEvent::SubscriberEnded { subscriber, .. } => {
                    for viewer in self.viewers.iter_mut().filter(|v| v.id == *subscriber) {
                        viewer.ended = true;
                    }
                }
                HubEvent::StreamEnded { .. } => continue,
                HubEvent::PublisherReplaced { .. } | HubEvent::Presence { .. } => {}
            }
            self.events.push((self.at, event));
        }
        while let Some(id) = self.hub.poll_ready(now) {
            let viewer = self.viewers.iter_mut().find(|viewer| viewer.id == id);
            let viewer = viewer.expect("only subscribers are named");
            viewer.pump(&mut self.hub, now, self.at, &mut self.handed_out);
        }
    }
}

/// Runs a scenario on each seed, with clear frames and with sealed ones: whatever the hub does, it
/// does alike.
pub(crate) fn simulate(name: &str, steps: &[Step]) {
    for mode in [Mode::Open, Mode::Sealed] {
        simulate_on(name, Hub::new, mode, steps);
    }
}

pub(crate) fn simulate_on(name: &str, hub: fn(u64) -> Hub, mode: Mode, steps: &[Step]) {
    for seed in seeds() {
        println!("{name}: {}, seed {seed}", mode.name());
        let mut world = World::new(seed, hub(seed));
        world.mode = mode;
        for step in steps {
            let text = apply(&mut world, step);
            println!("  {:>9.3} s  {text}", world.at.as_secs_f64());
        }
    }
}

fn apply(world: &mut World, step: &Step) -> &'static str {
    match step {
        Step::Conditions(text, link) => {
            world.link = *link;
            text
        }
        Step::Publish(text, media) => {
            world.publish(*media);
            text
        }
        Step::Crash(text) => {
            world.crash();
            text
        }
        Step::Join(text) => {
            world.join(&[0, 1]);
            text
        }
        Step::Block(text, viewer, time) => {
            world.viewers[*viewer].blocked_until = Some(world.at + *time);
            text
        }
        Step::Narrow(text, viewer, bits) => {
            world.viewers[*viewer].carries = Some(*bits);
            text
        }
        Step::Run(text, time) => {
            world.run(*time);
            text
        }
        Step::Check(text, check) => {
            println!("  {:>9.3} s  {text} ...", world.at.as_secs_f64());
            check(world);
            text
        }
    }
}

pub(crate) fn seeds() -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    if let Some(seed) = number("SIGHTLINE_SIM_SEED") {
        return seed..seed + 1;
    }
    1..1 + number("SIGHTLINE_SIM_SEEDS").unwrap_or(3)
}
