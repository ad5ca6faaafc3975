//! The port in a worker reduced to it, with a stream and viewers that take messages when told to.

use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sightline_grant::{Epochs, Revocation, Role, Thumbprint};
use sightline_relay_proto::codec::{Codec, TrackInfo};
use sightline_relay_proto::frame::Mode;
use sightline_relay_proto::gop_socket::Message;
use sightline_relay_proto::gop_stream::{Item, Reader};
use sightline_relay_proto::hub::{Hub, Publication, PublisherId};
use sightline_relay_proto::ids::{Channel, DeviceId};
use sightline_relay_proto::transmit::Arena;
use sightline_relay_proto::wire::packetize::packetize;
use sightline_relay_proto::wire::rtp;

use super::queue::{MAX_QUEUED_BYTES, STALE};
use super::*;
use crate::api::LeaseTerms;
use crate::crew::Company;
use crate::lease::LeaseTable;
use crate::port::{Directory, Questions};

const VIDEO: TrackIndex = TrackIndex(0);
const AUDIO: TrackIndex = TrackIndex(1);
/// Ticks of the video clock between two frames.
const FRAME_TICKS: u32 = 3600;
const FRAME: Duration = Duration::from_millis(40);

fn key() -> StreamKey {
    StreamKey::up(DeviceId::new("CAM-1").expect("legal"), Channel(0))
}

struct Rig {
    poll: mio::Poll,
    port: WebSocketPort,
    hub: Hub,
    leases: LeaseTable,
    directory: Directory,
    arena: Arena,
    questions: Questions,
    company: Company,
    now: Instant,
    publisher: PublisherId,
    next_id: u128,
    sequence: [u16; 2],
    timestamp: u32,
}

impl Rig {
    fn new() -> Self {
        let mut hub = Hub::new(1);
        let now = Instant::now();
        let publication = Publication {
            key: key(),
            tracks: vec![TrackInfo::video(Codec::H264), TrackInfo::audio(Codec::Pcmu, 8000, 1)],
            mode: Mode::Open,
            takes_keyframe_requests: true,
            unordered: false,
        };
        let publisher = hub.publish(now, publication).expect("a stream");
        let (sender, _) = tokio::sync::mpsc::channel(1);
        Self {
            poll: mio::Poll::new().expect("epoll"),
            port: WebSocketPort::default(),
            hub,
            leases: LeaseTable::default(),
            directory: Directory::default(),
            arena: Arena::default(),
            questions: Questions::new(sender),
            company: Company::alone(),
            now,
            publisher,
            next_id: 0,
            sequence: [0; 2],
            timestamp: 9000,
        }
    }

    fn act<T>(&mut self, act: impl FnOnce(&mut WebSocketPort, &mut Cx<'_>) -> T) -> T {
        self.leases.feed_beat(self.now);
        let mut cx = Cx {
            now: self.now,
            hub: &mut self.hub,
            leases: &mut self.leases,
            directory: &mut self.directory,
            registry: self.poll.registry(),
            arena: &mut self.arena,
            questions: &self.questions,
            company: &mut self.company,
        };
        act(&mut self.port, &mut cx)
    }

    fn view(&mut self, terminal: u8) -> Result<SocketSession, MediaError> {
        self.next_id += 1;
        let id = SessionId(self.next_id);
        let terms = LeaseTerms {
            subject: "a".into(),
            session: format!("s{terminal}"),
            serial: "CAM-1".into(),
            role: Role::Owner,
            epochs: Epochs::default(),
        };
        let terminal = Thumbprint([terminal; 32]);
        let admitted = Admitted { terms, key: key(), terminal };
        let (reply, mut answer) = oneshot::channel();
        let command = WebSocketCommand::View { id, admitted, reply };
        self.act(|port, cx| port.handle_command(cx, command));
        answer.try_recv().expect("answered at once")
    }

    fn enter(&mut self, id: SessionId) -> Result<EnteredQueue, MediaError> {
        let (reply, mut answer) = oneshot::channel();
        self.act(|port, cx| port.handle_command(cx, WebSocketCommand::Enter { id, reply }));
        answer.try_recv().expect("answered at once")
    }

    fn watch(&mut self) -> (SessionId, EnteredQueue) {
        let ticket = self.view(1).expect("live").ticket;
        (ticket, self.enter(ticket).expect("a good ticket"))
    }

    /// A frame of the camera, then the time of one; viewers get what is due.
    fn frame(&mut self, keyframe: bool, len: usize) {
        let mut unit = vec![0, 0, 0, 1, if keyframe { 0x65 } else { 0x41 }, 0x88];
        unit.resize(len, 0x5a);
        let payloads = packetize(Codec::H264, &unit.into());
        let last = payloads.len() - 1;
        for (at, payload) in payloads.iter().enumerate() {
            self.packet(VIDEO, at == last, payload);
        }
        self.timestamp += FRAME_TICKS;
        self.pass(FRAME);
    }

    fn packet(&mut self, track: TrackIndex, marker: bool, payload: &[u8]) {
        let sequence = &mut self.sequence[usize::from(track.0)];
        *sequence += 1;
        let mut packet = rtp::header(96, marker, *sequence, self.timestamp, 77).to_vec();
        packet.extend_from_slice(payload);
        self.hub.handle_rtp(self.now, self.publisher, track, packet.into());
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.deliver();
    }

    fn deliver(&mut self) {
        self.hub.handle_timeout(self.now);
        while let Some(subscriber) = self.hub.poll_ready(self.now) {
            let owner = self.directory.subscribers.get(&subscriber).copied();
            let (_, peer) = owner.expect("the port has entered it");
            self.act(|port, cx| port.deliver(cx, peer, subscriber));
        }
    }

    /// Ends what the lease table has ended, as the worker does.
    fn decide(&mut self) {
        while let Some((lease, _)) = self.leases.poll_ended() {
            let (kind, peer) = self.directory.leases[&lease];
            assert_eq!(kind, PortKind::WebSocket);
            self.act(|port, cx| port.close(cx, peer, CloseReason::LeaseEnded));
        }
    }

    fn is_empty(&self) -> bool {
        let port = &self.port;
        let tables = [port.sessions.len(), port.by_id.len(), port.waiting.len()];
        let directory = [self.directory.leases.len(), self.directory.subscribers.len()];
        tables == [0; 3] && directory == [0; 2] && self.leases.is_empty()
    }
}

/// All messages that wait; whether the worker was to be rung.
fn drain(queue: &EnteredQueue) -> (Vec<Bytes>, bool) {
    let mut cx = Context::from_waker(Waker::noop());
    let (mut messages, mut rung) = (Vec::new(), false);
    while let Poll::Ready((bytes, ring)) = queue.0.poll_message(&mut cx) {
        messages.push(bytes);
        rung |= ring;
    }
    (messages, rung)
}

fn end(queue: &EnteredQueue) -> Option<CloseReason> {
    match queue.0.poll_end(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(reason) => Some(reason),
        Poll::Pending => None,
    }
}

/// What a viewer reads: items, and of each stream that is over whether it was given up.
fn read(messages: &[Bytes]) -> (Vec<Item>, Vec<bool>) {
    let mut streams: HashMap<u64, Reader> = HashMap::new();
    let (mut items, mut ends) = (Vec::new(), Vec::new());
    for message in messages {
        match Message::parse(message.clone()).expect("a mark") {
            Message::Bytes { number, bytes } => {
                let reader = streams.entry(number).or_default();
                reader.push(&bytes);
                items.extend(std::iter::from_fn(|| reader.poll_item().expect("the format")));
            }
            Message::End { number } => {
                ends.push(false);
                assert_eq!(streams.remove(&number).map(|reader| reader.held()), Some(0));
            }
            Message::GivenUp { number } => {
                ends.push(true);
                assert!(streams.remove(&number).is_some());
            }
        }
    }
    (items, ends)
}

#[test]
fn a_viewer_gets_a_stream_for_each_group_and_one_for_the_sound() {
    let mut rig = Rig::new();
    rig.frame(true, 3000);
    let (_, queue) = rig.watch();
    for keyframe in [false, true, false] {
        rig.frame(keyframe, 500);
        rig.packet(AUDIO, true, &[9; 160]);
    }
    rig.pass(Duration::from_secs(1));
    let (items, ends) = read(&drain(&queue).0);
    let video: Vec<_> = items.iter().filter(|it| it.track == VIDEO).map(|it| it.keyframe).collect();
    assert_eq!((video, ends), (vec![true, false, true, false], vec![false]));
    assert!(items.iter().any(|item| item.track == AUDIO && item.payload[..] == [9; 160]));
}

#[test]
fn viewers_of_a_frame_share_its_bytes() {
    let mut rig = Rig::new();
    rig.frame(true, 3000);
    let (first, second) = (rig.watch().1, rig.watch().1);
    rig.deliver();
    let (first, second) = (drain(&first).0, drain(&second).0);
    let longest = |messages: &[Bytes]| messages.iter().max_by_key(|it| it.len()).cloned();
    let (first, second) = (longest(&first).expect("a frame"), longest(&second).expect("a frame"));
    assert!(first.len() >= 3000 && first.as_ptr() == second.as_ptr());
}

#[test]
fn a_ticket_works_once_and_for_30_seconds() {
    let mut rig = Rig::new();
    rig.frame(true, 100);
    let refused = |entered: Result<EnteredQueue, MediaError>| entered.err();
    assert_eq!(refused(rig.enter(SessionId(99))), Some(MediaError::NoSession));
    let (ticket, _queue) = rig.watch();
    assert_eq!(refused(rig.enter(ticket)), Some(MediaError::NoSession), "used");

    let late = rig.view(1).expect("live").ticket;
    let in_time = rig.view(1).expect("live").ticket;
    rig.now += TICKET_LIFE - Duration::from_millis(1);
    rig.act(WebSocketPort::handle_timeout);
    assert!(rig.enter(in_time).is_ok());
    rig.now += Duration::from_millis(1);
    rig.act(WebSocketPort::handle_timeout);
    assert_eq!(refused(rig.enter(late)), Some(MediaError::NoSession), "too old");
}

#[test]
fn waiting_tickets_are_bounded_for_each_key_and_in_all() {
    let mut rig = Rig::new();
    rig.frame(true, 100);
    let tickets: Vec<_> =
        (0..=MAX_WAITING_PER_KEY).map(|_| rig.view(1).expect("live").ticket).collect();
    assert_eq!(rig.port.waiting.len(), MAX_WAITING_PER_KEY);
    assert!(rig.enter(tickets[0]).is_err(), "the oldest made way");
    assert!(rig.enter(tickets[1]).is_ok());
    let keys = (2..).flat_map(|terminal| std::iter::repeat_n(terminal, MAX_WAITING_PER_KEY));
    let before = rig.port.waiting.len();
    for terminal in keys.take(MAX_WAITING - before) {
        rig.view(terminal).expect("room");
    }
    assert_eq!(rig.view(200).err(), Some(MediaError::Full));
}

#[test]
fn a_full_queue_holds_the_hub_back_until_half_of_it_is_gone() {
    let mut rig = Rig::new();
    rig.frame(true, 1000);
    let (ticket, queue) = rig.watch();
    // Six times the bound, within the time that a viewer may lag.
    let len = MAX_QUEUED_BYTES / 5;
    (0..30).for_each(|_| rig.frame(false, len));
    let (taken, rung) = drain(&queue);
    let bytes: usize = taken.iter().map(Bytes::len).sum();
    assert!(bytes >= MAX_QUEUED_BYTES && bytes < MAX_QUEUED_BYTES + 2 * len, "{bytes}");
    assert!(rung, "the worker hears of the room");
    rig.deliver();
    assert!(drain(&queue).0.is_empty(), "it has not heard yet");
    rig.act(|port, cx| port.handle_command(cx, WebSocketCommand::Room { id: ticket }));
    rig.deliver();
    assert!(!drain(&queue).0.is_empty());
}

#[test]
fn a_viewer_that_lags_goes_on_at_a_keyframe_which_overtakes_old_pictures() {
    let mut rig = Rig::new();
    rig.frame(true, 1000);
    let (ticket, queue) = rig.watch();
    let len = MAX_QUEUED_BYTES / 5;
    (0..10).for_each(|_| rig.frame(false, len));
    rig.now += STALE;
    rig.frame(true, 1000);
    (0..60).for_each(|_| rig.frame(false, 100));
    rig.frame(true, 2000);
    // One message goes, and a look finds room that nobody told of.
    let mut cx = Context::from_waker(Waker::noop());
    while queue.0.is_full() {
        assert!(queue.0.poll_message(&mut cx).is_ready());
    }
    (0..2).for_each(|_| assert!(queue.0.poll_message(&mut cx).is_ready()));
    rig.act(|port, cx| port.handle_command(cx, WebSocketCommand::Room { id: ticket }));
    rig.deliver();
    let messages = drain(&queue).0;
    let last = messages.iter().rposition(|message| message.len() > 1500).expect("the keyframe");
    let marks: Vec<_> =
        messages[..last].iter().filter_map(|it| Message::parse(it.clone())).collect();
    assert!(marks.contains(&Message::GivenUp { number: 0 }), "{} messages", messages.len());
    let pictures = messages[..last].iter().filter(|message| message.len() > 1000);
    assert_eq!(pictures.count(), 0, "old pictures were overtaken");
}

#[test]
fn a_revoked_lease_ends_the_session_and_its_ticket_at_once() {
    let mut rig = Rig::new();
    rig.frame(true, 1000);
    let (_, queue) = rig.watch();
    rig.deliver();
    let waits = rig.view(1).expect("live").ticket;
    let other = rig.view(2).expect("live").ticket;
    let revocation = Revocation::Session { session: "s1".into() };
    let now = rig.now;
    rig.leases.revoke(now, &revocation);
    rig.decide();
    assert_eq!(end(&queue), Some(CloseReason::LeaseEnded));
    assert!(drain(&queue).0.is_empty(), "what waited is discarded");
    assert!(rig.enter(waits).is_err());
    assert!(rig.enter(other).is_ok(), "another terminal's goes on");
}

#[test]
fn a_viewer_that_is_gone_leaves_nothing_though_no_command_says_so() {
    let mut rig = Rig::new();
    rig.frame(true, 1000);
    let (ticket, said) = rig.watch();
    rig.act(|port, cx| port.handle_command(cx, WebSocketCommand::Leave { id: ticket }));
    assert!(rig.is_empty());
    drop(said);
    let (_, silent) = rig.watch();
    drop(silent);
    assert!(!rig.is_empty());
    rig.now += LOOK;
    assert_eq!(rig.port.poll_timeout().map(|at| at <= rig.now), Some(true));
    rig.act(WebSocketPort::handle_timeout);
    assert!(rig.is_empty());
    assert_eq!(rig.port.poll_timeout(), None, "nobody to look at");
}

#[test]
fn a_stream_that_changed_its_mode_lets_no_old_ticket_in() {
    let mut rig = Rig::new();
    rig.frame(true, 1000);
    let ticket = rig.view(1).expect("live").ticket;
    let publication = Publication {
        key: key(),
        tracks: vec![TrackInfo::video(Codec::H264)],
        mode: Mode::Sealed,
        takes_keyframe_requests: true,
        unordered: false,
    };
    rig.hub.publish(rig.now, publication).expect("a stream");
    assert_eq!(rig.enter(ticket).err(), Some(MediaError::NoSession));
    assert!(rig.is_empty());
    let session = rig.view(1).expect("sealed streams are passed on, too");
    assert_eq!(session.mode, Mode::Sealed);
}
