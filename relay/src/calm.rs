//! Sockets that rest: what viewers say does not wake the worker packet by packet.
//!
//! A thousand viewers send a thousand receiver reports a second, each in a datagram of its own, and
//! a sleep and a wake cost a worker as much as a hundred sealed packets. So the sockets on which
//! viewers of a port speak have a poller of their own inside the worker's. When it rings too often
//! the worker stops listening to it: it looks there when it is awake for something else, and at
//! the end of a short rest at the latest.

use std::io;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry, Token};

use crate::port::PortKind;

/// Their tokens in the worker's poller; those of the ports' sockets are larger.
const TOKENS: [Token; 3] = [Token(1), Token(2), Token(3)];
/// Longest wait of feedback while sockets rest and nobody asks for anything. Over the time between two
/// frames of 25 a second, so that no wake is for feedback alone: who sends frames hears it then.
pub(crate) const LONG_REST: Duration = Duration::from_millis(42);
/// The same while somebody asks for lost packets, which a viewer wants soon.
pub(crate) const REST: Duration = Duration::from_millis(10);
/// How long after the last such request another one is to be expected.
const ASKING: Duration = Duration::from_secs(5);
/// The same where feedback sets the pace of sending: acknowledgements of QUIC.
pub(crate) const ACK_REST: Duration = Duration::from_millis(8);
/// The same for a socket on which somebody else waits too: a publisher's media, or a handshake.
const SHORT_REST: Duration = Duration::from_millis(2);
/// Sockets that can be ready in one look.
const EVENTS: usize = 256;

/// How long a socket may rest on which so many viewers speak, and so many publishers and peers in
/// their handshake. Without viewers it does not rest.
pub(crate) fn rest_of(viewers: usize, others: usize) -> Duration {
    match (viewers, others) {
        (0, _) => Duration::ZERO,
        (_, 0) => LONG_REST,
        _ => SHORT_REST,
    }
}

/// Whether viewers ask for packets that they have lost.
#[derive(Default)]
pub(crate) struct Asking {
    last: Option<Instant>,
}

impl Asking {
    /// Somebody asked.
    pub(crate) fn note(&mut self, now: Instant) {
        self.last = Some(now);
    }

    /// What is left of a rest.
    pub(crate) fn shorten(&self, now: Instant, rest: Duration) -> Duration {
        let asking = self.last.is_some_and(|at| now.saturating_duration_since(at) < ASKING);
        if asking { rest.min(REST) } else { rest }
    }
}

/// The pollers of viewers' sockets, one for each port that has some.
pub(crate) struct Calms {
    pub(crate) webrtc: Calm,
    pub(crate) rtsp: Calm,
    pub(crate) roq: Calm,
}

impl Calms {
    /// Pollers that ring in the worker's.
    pub(crate) fn new(outer: &Registry) -> io::Result<Self> {
        let [webrtc, rtsp, roq] = TOKENS.map(|token| Calm::new(token, outer));
        Ok(Self { webrtc: webrtc?, rtsp: rtsp?, roq: roq? })
    }

    /// End of the first rest to end.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        [&self.webrtc, &self.rtsp, &self.roq].iter().filter_map(|calm| calm.until).min()
    }

    /// Each with its port.
    pub(crate) fn each(&mut self) -> [(PortKind, &mut Calm); 3] {
        [
            (PortKind::WebRtc, &mut self.webrtc),
            (PortKind::Rtsp, &mut self.rtsp),
            (PortKind::Roq, &mut self.roq),
        ]
    }
}

/// A poller that the worker may stop listening to.
pub(crate) struct Calm {
    /// Its name in the worker's poller.
    token: Token,
    poll: Poll,
    events: Events,
    /// End of the rest; `None` while the worker listens.
    until: Option<Instant>,
    /// When something was found last.
    busy_at: Option<Instant>,
}

impl Calm {
    /// A poller that rings in `outer` with this token.
    fn new(token: Token, outer: &Registry) -> io::Result<Self> {
        let poll = Poll::new()?;
        let calm =
            Self { token, poll, events: Events::with_capacity(EVENTS), until: None, busy_at: None };
        calm.listen(outer)?;
        Ok(calm)
    }

    /// Where sockets are registered.
    pub(crate) fn registry(&self) -> &Registry {
        self.poll.registry()
    }

    /// Whether there is a reason to look: the poller rang, or it rests and so cannot ring.
    pub(crate) fn is_worth_a_look(&self, events: &Events) -> bool {
        self.until.is_some() || events.iter().any(|event| event.token() == self.token)
    }

    /// What is ready, without waiting. `true` if there may be more.
    pub(crate) fn look(&mut self) -> io::Result<bool> {
        match self.poll.poll(&mut self.events, Some(Duration::ZERO)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.events.clear(),
            other => other?,
        }
        Ok(self.is_full())
    }

    fn is_full(&self) -> bool {
        self.events.iter().count() == EVENTS
    }

    /// What the last look found.
    pub(crate) fn events(&self) -> &Events {
        &self.events
    }

    /// After a look: begins a rest of the length `rest` if the poller rings more often than that,
    /// goes on with one, or ends it because nothing came.
    pub(crate) fn settle(
        &mut self,
        now: Instant,
        rest: Duration,
        outer: &Registry,
    ) -> io::Result<()> {
        if self.events.is_empty() {
            if self.until.is_some_and(|until| until <= now) {
                self.until = None;
                self.listen(outer)?;
            }
            return Ok(());
        }
        let often = self.busy_at.is_some_and(|at| now.saturating_duration_since(at) < rest);
        // What one look left unsaid does not ring again.
        let cut_short = self.is_full();
        self.busy_at = Some(now);
        if self.until.is_none() && (often || cut_short) {
            self.until = Some(now);
            outer.deregister(&mut SourceFd(&self.poll.as_raw_fd()))?;
        }
        if self.until.is_some() {
            self.until = Some(if cut_short { now } else { now + rest });
        }
        Ok(())
    }

    fn listen(&self, outer: &Registry) -> io::Result<()> {
        outer.register(&mut SourceFd(&self.poll.as_raw_fd()), self.token, Interest::READABLE)
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use mio::net::UdpSocket;

    use super::*;

    const SOCKET: Token = Token(7);

    struct Rig {
        outer: Poll,
        events: Events,
        calm: Calm,
        socket: UdpSocket,
        peer: std::net::UdpSocket,
        now: Instant,
    }

    impl Rig {
        fn new() -> Self {
            let outer = Poll::new().unwrap();
            let calm = Calm::new(TOKENS[0], outer.registry()).unwrap();
            let mut socket = UdpSocket::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
            calm.registry().register(&mut socket, SOCKET, Interest::READABLE).unwrap();
            let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            peer.connect(socket.local_addr().unwrap()).unwrap();
            let events = Events::with_capacity(8);
            Self { outer, events, calm, socket, peer, now: Instant::now() }
        }

        fn say(&self) {
            self.peer.send(b"report").unwrap();
        }

        /// Whether the worker would wake within a moment.
        fn rings(&mut self) -> bool {
            self.outer.poll(&mut self.events, Some(Duration::from_millis(20))).unwrap();
            self.events.iter().any(|event| event.token() == TOKENS[0])
        }

        /// A look after `later`; whether the socket was named.
        fn look(&mut self, later: Duration) -> bool {
            self.now += later;
            assert!(!self.calm.look().unwrap(), "one socket is no flood");
            let named = self.calm.events().iter().any(|event| event.token() == SOCKET);
            let mut buffer = [0; 100];
            while self.socket.recv(&mut buffer).is_ok() {}
            self.calm.settle(self.now, REST, self.outer.registry()).unwrap();
            named
        }
    }

    #[test]
    fn a_rest_is_short_for_some_seconds_after_somebody_asked_for_lost_packets() {
        let now = Instant::now();
        let mut asking = Asking::default();
        assert_eq!(asking.shorten(now, LONG_REST), LONG_REST);
        asking.note(now);
        let almost = now + ASKING - Duration::from_millis(1);
        assert_eq!(asking.shorten(almost, LONG_REST), REST);
        assert_eq!(asking.shorten(almost, SHORT_REST), SHORT_REST);
        assert_eq!(asking.shorten(now + ASKING, LONG_REST), LONG_REST);
    }

    #[test]
    fn rare_feedback_rings_each_time() {
        let mut rig = Rig::new();
        for _ in 0..3 {
            rig.say();
            assert!(rig.rings());
            assert!(rig.look(REST), "the socket is named");
            assert_eq!(rig.calm.until, None);
        }
    }

    #[test]
    fn frequent_feedback_rests_and_is_found_at_the_next_look() {
        let mut rig = Rig::new();
        rig.say();
        assert!(rig.rings() && rig.look(Duration::ZERO));
        rig.say();
        assert!(rig.rings() && rig.look(REST / 2));
        assert_eq!(rig.calm.until, Some(rig.now + REST));
        rig.say();
        assert!(!rig.rings(), "it rests");
        assert!(rig.calm.is_worth_a_look(&rig.events));
        assert!(rig.look(REST / 2), "a wake for something else finds it");
        assert_eq!(rig.calm.until, Some(rig.now + REST), "and the rest begins anew");
    }

    #[test]
    fn a_rest_without_feedback_ends_and_loses_nothing() {
        let mut rig = Rig::new();
        for _ in 0..2 {
            rig.say();
            assert!(rig.look(Duration::ZERO));
        }
        assert!(!rig.look(REST / 2), "silence within the rest");
        assert!(rig.calm.until.is_some());
        // Comes after the last look and before the worker listens again.
        assert!(!rig.look(REST / 2));
        assert_eq!(rig.calm.until, None);
        rig.say();
        assert!(rig.rings(), "it listens again");
        assert!(rig.look(REST));
    }

    #[test]
    fn what_came_just_before_the_end_of_a_rest_rings() {
        let mut rig = Rig::new();
        for _ in 0..2 {
            rig.say();
            assert!(rig.look(Duration::ZERO));
        }
        rig.now += REST;
        assert!(!rig.calm.look().unwrap());
        rig.say();
        rig.calm.settle(rig.now, REST, rig.outer.registry()).unwrap();
        assert!(rig.rings());
    }
}
