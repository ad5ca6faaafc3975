//! All viewers of a run: how they are spread, connected, kept and counted.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sightline_client::Pictures;
use sightline_client::watch::PacketReader;
use sightline_client::web::WebViewer;
use sightline_client::whep::{SrtpOffer, WhepViewer};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::camera::Camera;
use super::gate::{Doors, Owner, Terminal};
use super::sealing::Opening;
use super::viewer::{Measure, Seen, Watcher};
use super::{Egress, Failure, roq, rtsp, web, whep};

/// Most terminals of one owner at each of our addresses: together they may ask for as much as the
/// server allows an address.
const MAX_TERMINALS: usize = 12;
/// Viewers waiting for each terminal of an owner that make it worth while to sign in on another,
/// which takes two SMS and so some seconds.
const VIEWERS_PER_TERMINAL: usize = 25;
/// Viewers that connect at once over one terminal.
const LANES: usize = 4;
/// Owners that sign in at once.
const OWNERS_AT_ONCE: usize = 32;
/// Longest time for a camera's first frame.
const LIVE_LIMIT: Duration = Duration::from_secs(60);
/// Longest time for a viewer's way in, with all waits for limits.
const CONNECT_LIMIT: Duration = Duration::from_secs(300);

/// A viewer's place in the run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Seat {
    /// Number from 0.
    pub(super) number: usize,
    /// Its way out of the server.
    pub(super) egress: Egress,
    /// Index of its camera.
    pub(super) camera: usize,
}

/// A viewer when all is over.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    /// Which.
    pub(super) seat: Seat,
    /// What it saw; `None`: it did not connect.
    pub(super) seen: Option<Seen>,
    /// Why it failed, if it did.
    pub(super) failure: Option<String>,
}

/// How many viewers are where.
#[derive(Default)]
pub(super) struct Counts {
    /// Have connected.
    pub(super) connected: AtomicUsize,
    /// Could not.
    pub(super) failed: AtomicUsize,
    /// Terminals that signed in.
    pub(super) terminals: AtomicUsize,
}

/// A viewer that is in.
struct Entered {
    session: Session,
    /// When the session was asked for.
    asked: Instant,
    /// Opens what a sealed camera sends; `None` when nobody reads it.
    opening: Option<Opening>,
}

enum Session {
    Whep(Box<WhepViewer>),
    Rtsp(Box<rtsp::Player>),
    Roq(Box<PacketReader>),
    Web(Box<WebViewer>),
}

/// How viewers watch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Viewing {
    /// They keep their sessions alive but do not read.
    pub(super) scripted: bool,
    /// What those over WHEP offer.
    pub(super) srtp: SrtpOffer,
    /// Packets that each report of transport-wide feedback of theirs is on; 0: they send none.
    pub(super) arrivals: u16,
}

/// The viewers.
pub(super) struct Crowd {
    doors: Arc<Doors>,
    cameras: Vec<Arc<Camera>>,
    measure: Arc<Measure>,
    viewing: Viewing,
    /// Seats whose viewers have not connected, by camera.
    waiting: Vec<Mutex<VecDeque<Seat>>>,
    sockets: roq::Sockets,
    owners: Semaphore,
    /// Counts so far.
    pub(super) counts: Counts,
    watching: Mutex<Vec<JoinHandle<Watched>>>,
    failed: Mutex<Vec<Watched>>,
    stop: CancellationToken,
}

/// Spreads viewers evenly over ways out and cameras: each camera gets each way out.
pub(super) fn seats(viewers: usize, via: &[Egress], cameras: usize) -> Vec<Seat> {
    let seat = |number| Seat {
        number,
        egress: via[number % via.len()],
        camera: number / via.len() % cameras,
    };
    (0..viewers).map(seat).collect()
}

impl Crowd {
    /// Nobody has connected yet.
    pub(super) fn new(
        doors: Arc<Doors>,
        cameras: Vec<Arc<Camera>>,
        measure: Arc<Measure>,
        viewing: Viewing,
        seats: &[Seat],
    ) -> Arc<Self> {
        let mut waiting = vec![VecDeque::new(); cameras.len()];
        seats.iter().for_each(|seat| waiting[seat.camera].push_back(*seat));
        Arc::new(Self {
            doors,
            cameras,
            measure,
            viewing,
            waiting: waiting.into_iter().map(Mutex::new).collect(),
            sockets: roq::Sockets::default(),
            owners: Semaphore::new(OWNERS_AT_ONCE),
            counts: Counts::default(),
            watching: Mutex::new(Vec::new()),
            failed: Mutex::new(Vec::new()),
            stop: CancellationToken::new(),
        })
    }

    /// Connects everybody. `phones`: a number for each camera's owner.
    pub(super) async fn connect(self: &Arc<Self>, phones: Vec<String>) {
        let mut filling = JoinSet::new();
        for (camera, phone) in phones.into_iter().enumerate() {
            filling.spawn(self.clone().fill(camera, phone));
        }
        while let Some(filled) = filling.join_next().await {
            filled.expect("connecting does not panic");
        }
    }

    /// Waits until every camera has sent a frame, or those that cannot have had their time.
    pub(super) async fn await_cameras(&self) {
        let all = async {
            for camera in &self.cameras {
                camera.live().await;
            }
        };
        if tokio::time::timeout(LIVE_LIMIT, all).await.is_err() {
            eprintln!("load: some cameras cannot publish");
        }
    }

    /// Everybody leaves; what they saw, in the order of their numbers. Seats whose viewers were
    /// still waiting are left out.
    pub(super) async fn leave(&self) -> Vec<Watched> {
        self.stop.cancel();
        let watching = std::mem::take(&mut *self.watching.lock().expect("unpoisoned"));
        let mut all = std::mem::take(&mut *self.failed.lock().expect("unpoisoned"));
        for task in watching {
            all.push(task.await.expect("watching does not panic"));
        }
        all.sort_by_key(|watched| watched.seat.number);
        all
    }

    /// Connects the viewers of one camera, over more terminals the more of them wait.
    async fn fill(self: Arc<Self>, camera: usize, phone: String) {
        if self.left(camera) == 0 {
            return;
        }
        let here = self.cameras[camera].clone();
        if tokio::time::timeout(LIVE_LIMIT, here.live()).await.is_err() {
            return self.fail_rest(camera, "the camera cannot publish");
        }
        let owner = Owner::new(self.doors.clone(), here, phone);
        let mut lanes = JoinSet::new();
        for terminals in 0..MAX_TERMINALS * self.doors.local.len() {
            if self.left(camera) <= terminals * VIEWERS_PER_TERMINAL {
                break;
            }
            let opened = {
                let _permit = self.owners.acquire().await;
                Terminal::open(owner.clone(), terminals).await
            };
            match opened {
                Ok(terminal) => {
                    self.counts.terminals.fetch_add(1, Ordering::Relaxed);
                    for _ in 0..LANES {
                        lanes.spawn(self.clone().lane(camera, terminal.clone()));
                    }
                }
                Err(failure) if terminals == 0 => {
                    return self.fail_rest(camera, &failure.to_string());
                }
                // Those that are there go on.
                Err(failure) => {
                    eprintln!("load: another terminal cannot sign in: {failure}");
                    break;
                }
            }
        }
        while let Some(lane) = lanes.join_next().await {
            lane.expect("connecting does not panic");
        }
    }

    async fn lane(self: Arc<Self>, camera: usize, terminal: Arc<Terminal>) {
        while let Some(seat) = self.next(camera) {
            let entered = tokio::time::timeout(CONNECT_LIMIT, self.enter(&terminal, seat.egress));
            match entered.await {
                Ok(Ok(entered)) => self.sit(seat, entered),
                Ok(Err(failure)) => self.fail(seat, failure.to_string()),
                Err(_) => self.fail(seat, "the way in takes too long".into()),
            }
        }
    }

    async fn enter(&self, terminal: &Terminal, egress: Egress) -> Result<Entered, Failure> {
        let (session, asked) = match egress {
            Egress::Whep => {
                let (viewer, asked) = whep::connect(terminal, self.viewing).await?;
                (Session::Whep(Box::new(viewer)), asked)
            }
            Egress::RtspTcp | Egress::RtspUdp => {
                let udp = egress == Egress::RtspUdp;
                let (player, asked) = rtsp::connect(terminal, udp).await?;
                (Session::Rtsp(Box::new(player)), asked)
            }
            Egress::Roq | Egress::RoqDatagrams => {
                let pictures = match egress {
                    Egress::RoqDatagrams => Pictures::Datagrams,
                    _ => Pictures::Streams,
                };
                let (reader, asked) = roq::connect(terminal, &self.sockets, pictures).await?;
                (Session::Roq(Box::new(reader)), asked)
            }
            Egress::Webtransport => {
                let (viewer, asked) = web::connect(terminal, &self.sockets).await?;
                (Session::Web(Box::new(viewer)), asked)
            }
        };
        let opening = if self.viewing.scripted { None } else { terminal.opening().await? };
        Ok(Entered { session, asked, opening })
    }

    /// The viewer has connected and watches until everybody leaves.
    fn sit(&self, seat: Seat, entered: Entered) {
        let Entered { session, asked, opening } = entered;
        self.counts.connected.fetch_add(1, Ordering::Relaxed);
        let serial = self.cameras[seat.camera].serial.clone();
        let watcher = Watcher::new(self.measure.clone(), seat.egress, serial, asked);
        let mut watcher = watcher.opening(opening);
        let Viewing { scripted, arrivals, .. } = self.viewing;
        let stop = self.stop.child_token();
        let task = tokio::spawn(async move {
            let ended = match (session, scripted) {
                (Session::Whep(viewer), false) => whep::watch(*viewer, &mut watcher, &stop).await,
                (Session::Whep(viewer), true) => whep::hold(*viewer, arrivals, &stop).await,
                (Session::Rtsp(player), false) => player.watch(&mut watcher, &stop).await,
                (Session::Rtsp(player), true) => player.hold(&stop).await,
                (Session::Roq(reader), false) => roq::watch(*reader, &mut watcher, &stop).await,
                (Session::Roq(reader), true) => roq::hold(*reader, &stop).await,
                (Session::Web(viewer), false) => web::watch(*viewer, &mut watcher, &stop).await,
                (Session::Web(viewer), true) => web::hold(*viewer, &stop).await,
            };
            Watched { seat, seen: Some(watcher.seen()), failure: ended.err() }
        });
        self.watching.lock().expect("unpoisoned").push(task);
    }

    fn fail(&self, seat: Seat, reason: String) {
        self.counts.failed.fetch_add(1, Ordering::Relaxed);
        let failed = Watched { seat, seen: None, failure: Some(reason) };
        self.failed.lock().expect("unpoisoned").push(failed);
    }

    fn fail_rest(&self, camera: usize, reason: &str) {
        while let Some(seat) = self.next(camera) {
            self.fail(seat, reason.to_owned());
        }
    }

    fn next(&self, camera: usize) -> Option<Seat> {
        self.waiting[camera].lock().expect("unpoisoned").pop_front()
    }

    fn left(&self, camera: usize) -> usize {
        self.waiting[camera].lock().expect("unpoisoned").len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn viewers_are_spread_so_that_each_camera_has_each_way_out() {
        let seats = seats(4 * Egress::ALL.len(), &Egress::ALL, 2);
        for camera in 0..2 {
            for egress in Egress::ALL {
                let here = |seat: &&Seat| (seat.camera, seat.egress) == (camera, egress);
                assert_eq!(seats.iter().filter(here).count(), 2);
            }
        }
    }
}
