//! Viewers of every egress that note when each packet came and whether one is missing.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sightline_client::watch::Viewer;
use sightline_client::web::{WebTarget, WebViewer};
use sightline_client::whep::{WhepError, WhepOffer, WhepViewer};
use sightline_client::{Endpoint, SessionTarget};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;
use tokio_util::task::AbortOnDropHandle;

use super::Egress;
use super::camera::Camera;
use super::rtsp::{self, Item, Lower, Rtsp, UdpPair};
use super::socket::SocketViewer;
use super::terminal::{Terminal, patiently};

/// Time between keep-alives of RTSP.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// How long a camera may take to be live.
const LIVE_LIMIT: Duration = Duration::from_secs(20);
/// Longest time for an admitted viewer's first packets.
const START_LIMIT: Duration = Duration::from_secs(15);
/// Receive buffer of a reader that stalls, bytes.
const SMALL_BUFFER: u32 = 4096;

/// What a viewer saw so far.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub packets: u64,
    pub last: Option<Instant>,
    /// Packets or frames missing.
    pub gaps: u64,
    /// Longest time between two packets.
    pub silence: Duration,
    pub ended: Option<String>,
    sequence: Option<u16>,
}

impl Seen {
    fn packet(&mut self, at: Instant) {
        if let Some(last) = self.last {
            self.silence = self.silence.max(at - last);
        }
        self.packets += 1;
        self.last = Some(at);
    }

    fn rtp(&mut self, at: Instant, packet: &[u8]) {
        let Some(sequence) = packet.get(2..4) else { return };
        let sequence = u16::from_be_bytes([sequence[0], sequence[1]]);
        if let Some(last) = self.sequence {
            self.gaps += u64::from(sequence.wrapping_sub(last).wrapping_sub(1));
        }
        self.sequence = Some(sequence);
        self.packet(at);
    }
}

/// A running viewer.
pub struct Watching {
    pub egress: Egress,
    seen: Arc<Mutex<Seen>>,
    _task: AbortOnDropHandle<()>,
}

impl Watching {
    /// Passes the gate and watches.
    pub async fn start(
        egress: Egress,
        terminal: &Terminal,
        camera: &Camera,
        endpoint: Option<&Endpoint>,
    ) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let task = match egress {
            Egress::Whep => tokio::spawn(whep_loop(whep(terminal, camera).await, seen.clone())),
            Egress::Roq => {
                let viewer = roq(terminal, camera, endpoint.cloned()).await;
                tokio::spawn(roq_loop(viewer, seen.clone()))
            }
            Egress::WebTransport => {
                tokio::spawn(web_loop(web(terminal, camera).await, seen.clone()))
            }
            Egress::WebSocket => {
                tokio::spawn(socket_loop(socket(terminal, camera).await, seen.clone()))
            }
            Egress::RtspTcp => {
                let stream = rtsp::connect(&terminal.server, None).await;
                let player = play(terminal, camera, stream, None).await;
                tokio::spawn(tcp_loop(player, seen.clone()))
            }
            Egress::Rtsps => {
                let stream = rtsp::connect_tls(&terminal.server).await;
                let player = play(terminal, camera, stream, None).await;
                tokio::spawn(tcp_loop(player, seen.clone()))
            }
            Egress::RtspUdp => {
                let stream = rtsp::connect(&terminal.server, None).await;
                let pair = rtsp::udp_pair().await;
                let player = play(terminal, camera, stream, Some(&pair)).await;
                tokio::spawn(udp_loop(player, pair, seen.clone()))
            }
        };
        Self { egress, seen, _task: AbortOnDropHandle::new(task) }
    }

    pub fn seen(&self) -> Seen {
        self.seen.lock().expect("unpoisoned").clone()
    }

    /// Waits until so many packets came.
    pub async fn flows(&self, packets: u64) {
        let deadline = Instant::now() + START_LIMIT;
        while self.seen().packets < packets {
            let name = self.egress.name();
            assert!(Instant::now() < deadline, "{name} stays silent: {:?}", self.seen());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Waits until a camera's stream can be watched; the terminal passes the gate for it.
///
/// RTSP tells that a camera is not live only after its login is used, so this comes before.
pub async fn wait_until_live(terminal: &Terminal, camera: &Camera) {
    Watching::start(Egress::Roq, terminal, camera, None).await.flows(1).await;
}

/// A player over TCP that stops reading once its stream has begun.
pub struct Stalled(TcpStream);

impl Stalled {
    /// Starts and waits until its own buffer is full, so that the rest waits at the server.
    pub async fn start(terminal: &Terminal, camera: &Camera) -> Self {
        let stream = rtsp::connect(&terminal.server, Some(SMALL_BUFFER)).await;
        let stream = play(terminal, camera, stream, None).await.into_inner();
        let mut held = 0;
        loop {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let now = held_by_kernel(&stream).await;
            if now > 0 && now == held {
                return Self(stream);
            }
            held = now;
        }
    }

    /// Bytes that have reached it and wait to be read.
    pub async fn held(&self) -> usize {
        held_by_kernel(&self.0).await
    }

    /// Reads on to the end: the bytes, and how it ended.
    pub async fn read_on(mut self) -> (usize, std::io::Result<()>) {
        let mut total = 0;
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match self.0.read(&mut buffer).await {
                Ok(0) => return (total, Ok(())),
                Ok(len) => total += len,
                Err(error) => return (total, Err(error)),
            }
        }
    }
}

async fn held_by_kernel(stream: &TcpStream) -> usize {
    let mut buffer = vec![0; 1 << 20];
    stream.peek(&mut buffer).await.expect("the connection lives")
}

async fn whep(terminal: &Terminal, camera: &Camera) -> WhepViewer {
    let deadline = Instant::now() + LIVE_LIMIT;
    loop {
        let grant = terminal.pass(camera).await;
        let offer = WhepOffer::new("127.0.0.1:0".parse().expect("an address")).await;
        let offer = offer.expect("a socket");
        match offer.watch(&terminal.api, &grant, &camera.serial, 0).await {
            Ok(viewer) => return viewer,
            Err(WhepError::Api(error)) if is_passing(error.problem()) => pause(deadline).await,
            Err(error) => panic!("WHEP: {error}"),
        }
    }
}

async fn roq(terminal: &Terminal, camera: &Camera, endpoint: Option<Endpoint>) -> Viewer {
    let deadline = Instant::now() + LIVE_LIMIT;
    let session = loop {
        let grant = terminal.pass(camera).await;
        match terminal.api.roq_session(&grant, &camera.serial, 0).await {
            Ok(session) => break session,
            Err(error) if is_passing(error.problem()) => pause(deadline).await,
            Err(error) => panic!("RoQ: {error}"),
        }
    };
    let target = SessionTarget {
        server: terminal.server.at("roq").ip(),
        session,
        roots: terminal.server.roots.clone(),
        identity: terminal.api.identity().clone(),
        endpoint,
    };
    Viewer::connect(&target).await.expect("the session is ours")
}

async fn web(terminal: &Terminal, camera: &Camera) -> WebViewer {
    let deadline = Instant::now() + LIVE_LIMIT;
    let session = loop {
        let grant = terminal.pass(camera).await;
        match terminal.api.web_session(&grant, &camera.serial, 0).await {
            Ok(session) => break session,
            Err(error) if is_passing(error.problem()) => pause(deadline).await,
            Err(error) => panic!("WebTransport: {error}"),
        }
    };
    let target = WebTarget {
        server: terminal.server.at("roq").ip(),
        session,
        hashes: terminal.server.web_hashes.clone(),
        endpoint: None,
    };
    WebViewer::connect(&target).await.expect("the ticket is ours")
}

async fn socket(terminal: &Terminal, camera: &Camera) -> SocketViewer {
    let deadline = Instant::now() + LIVE_LIMIT;
    let session = loop {
        let grant = terminal.pass(camera).await;
        match terminal.api.socket_session(&grant, &camera.serial, 0).await {
            Ok(session) => break session,
            Err(error) if is_passing(error.problem()) => pause(deadline).await,
            Err(error) => panic!("WebSocket: {error}"),
        }
    };
    let viewer = SocketViewer::connect(&terminal.server, &session, None).await;
    viewer.unwrap_or_else(|status| panic!("the ticket is ours: {status}"))
}

async fn play<S: AsyncRead + AsyncWrite + Unpin>(
    terminal: &Terminal,
    camera: &Camera,
    stream: S,
    pair: Option<&UdpPair>,
) -> Rtsp<S> {
    let grant = terminal.pass(camera).await;
    let handle = patiently(|| terminal.api.rtsp_handle(&grant, &camera.serial, 0)).await;
    let handle = handle.expect("a handle for a grant");
    let login = (handle.user, handle.password.into_inner());
    let at = terminal.server.at("rtsp");
    let mut player = Rtsp::new(stream, at, &handle.path, Some(login));
    let lower = pair.map_or(Lower::Interleaved, Lower::Udp);
    let played = player.play(lower).await.expect("the connection lives");
    assert_eq!(played, Ok(()), "RTSP refuses a good login");
    player
}

fn is_passing(problem: Option<&str>) -> bool {
    matches!(problem, Some("not-live" | "rate-limited" | "unavailable"))
}

async fn pause(deadline: Instant) {
    assert!(Instant::now() < deadline, "the camera is not live");
    tokio::time::sleep(Duration::from_millis(200)).await;
}

async fn whep_loop(mut viewer: WhepViewer, seen: Arc<Mutex<Seen>>) {
    loop {
        match viewer.next().await {
            Ok(packet) => seen.lock().expect("unpoisoned").rtp(packet.arrived, &packet.rtp),
            Err(error) => break end(&seen, error.to_string()),
        }
    }
}

async fn roq_loop(mut viewer: Viewer, seen: Arc<Mutex<Seen>>) {
    loop {
        let next = viewer.next().await;
        let mut seen = seen.lock().expect("unpoisoned");
        let stats = viewer.stats();
        seen.gaps = stats.gaps + stats.resets;
        match next {
            Ok(_) => seen.packet(Instant::now()),
            Err(error) => break seen.ended = Some(error.to_string()),
        }
    }
}

async fn web_loop(mut viewer: WebViewer, seen: Arc<Mutex<Seen>>) {
    loop {
        let next = viewer.next().await;
        let mut seen = seen.lock().expect("unpoisoned");
        seen.gaps = viewer.resets();
        match next {
            Ok(_) => seen.packet(Instant::now()),
            Err(error) => break seen.ended = Some(error.to_string()),
        }
    }
}

async fn socket_loop(mut viewer: SocketViewer, seen: Arc<Mutex<Seen>>) {
    loop {
        let next = viewer.next().await;
        let mut seen = seen.lock().expect("unpoisoned");
        seen.gaps = viewer.given_up;
        match next {
            Ok(_) => seen.packet(Instant::now()),
            Err(error) => break seen.ended = Some(error),
        }
    }
}

async fn tcp_loop<S: AsyncRead + AsyncWrite + Unpin>(mut player: Rtsp<S>, seen: Arc<Mutex<Seen>>) {
    let mut alive = tokio::time::interval(KEEP_ALIVE);
    for (channel, packet) in std::mem::take(&mut player.early) {
        if channel == 0 {
            seen.lock().expect("unpoisoned").rtp(Instant::now(), &packet);
        }
    }
    loop {
        tokio::select! {
            item = player.next() => match item {
                Ok(Some(Item::Interleaved(0, packet))) => {
                    seen.lock().expect("unpoisoned").rtp(Instant::now(), &packet);
                }
                Ok(Some(_)) => {}
                Ok(None) => return end(&seen, "end of the connection".into()),
                Err(error) => return end(&seen, error.to_string()),
            },
            _ = alive.tick() => drop(player.keep_alive().await),
        }
    }
}

async fn udp_loop(mut player: Rtsp<TcpStream>, pair: UdpPair, seen: Arc<Mutex<Seen>>) {
    let mut alive = tokio::time::interval(KEEP_ALIVE);
    let mut buffer = vec![0; 2048];
    // The socket is read on after the connection has ended: that is what is to be seen.
    let mut connected = true;
    loop {
        tokio::select! {
            received = pair.rtp.recv(&mut buffer) => {
                let len = received.expect("our socket");
                seen.lock().expect("unpoisoned").rtp(Instant::now(), &buffer[..len]);
            }
            item = player.next(), if connected => match item {
                Ok(Some(_)) => {}
                Ok(None) => {
                    connected = false;
                    end(&seen, "end of the connection".into());
                }
                Err(error) => {
                    connected = false;
                    end(&seen, error.to_string());
                }
            },
            _ = alive.tick(), if connected => drop(player.keep_alive().await),
        }
    }
}

fn end(seen: &Mutex<Seen>, why: String) {
    seen.lock().expect("unpoisoned").ended = Some(why);
}
