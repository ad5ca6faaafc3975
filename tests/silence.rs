//! Signaling falls silent while streams run: guests end within seconds, owners play on for their
//! time, and then end too. The threads of everything but the relay are stopped in the running
//! server.
//!
//! The owners' bound of two minutes is waited for unless `SIGHTLINE_SOAK_SECONDS` gives less time.

mod native;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sightline_client::Endpoint;

use self::native::Egress;
use self::native::camera::Camera;
use self::native::server::Server;
use self::native::terminal::Terminal;
use self::native::watching::{Watching, wait_until_live};

/// Guests end this long after the last sign of life of signaling.
const GUEST_BOUND: Duration = Duration::from_secs(5);
/// Owners do after this.
const OWNER_BOUND: Duration = Duration::from_secs(120);
/// Signaling gives a sign of life at least this often, and the relay looks at its leases in time.
const BEAT: Duration = Duration::from_secs(1);
/// What sending, receiving and a busy machine may add.
const LATE: Duration = Duration::from_secs(2);
/// Longest time between two packets of a stream that runs on.
const MAX_SILENCE: Duration = Duration::from_secs(2);
/// Name of the relay's thread.
const RELAY_THREAD: &str = "relay-0";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_a_silent_signaling_guests_end_in_seconds_and_owners_after_their_time() {
    let share = std::env::var("SIGHTLINE_SOAK_SECONDS");
    let whole = share.map_or(true, |text| {
        text.parse::<u64>().expect("a number of seconds") >= OWNER_BOUND.as_secs()
    });
    let server = Arc::new(Server::start().await);
    let camera = Camera::start(&server, "SILENCE").await;
    let owner = Terminal::new(&server, "+4915112340001", "owner");
    owner.pass(&camera).await;
    wait_until_live(&owner, &camera).await;
    let owners = watch_all(&owner, &camera).await;
    let guest = Terminal::new(&server, "+4915112340002", "guest");
    guest.be_guest_of(&owner, &["view"]);
    guest.pass(&camera).await;
    let guests = watch_all(&guest, &camera).await;

    let frozen = Frozen::all_but_the_relay(server.id());
    tokio::time::sleep(GUEST_BOUND + LATE).await;
    for one in &guests {
        ended_at(one, &frozen, GUEST_BOUND);
    }
    run_on(&owners);
    if whole {
        let left = (frozen.at + OWNER_BOUND - BEAT).saturating_duration_since(Instant::now());
        tokio::time::sleep(left).await;
        run_on(&owners);
        tokio::time::sleep(BEAT + LATE).await;
        for one in &owners {
            ended_at(one, &frozen, OWNER_BOUND);
        }
    }
    drop(frozen);
    // Whoever is let in again is served again.
    wait_until_live(&owner, &camera).await;
}

/// A viewer of every egress that the relay's own thread serves. What goes over a WebSocket is written by
/// one of the threads that are stopped here, so it stops with them, whoever watches.
async fn watch_all(terminal: &Terminal, camera: &Camera) -> Vec<Watching> {
    let endpoint = Endpoint::client("127.0.0.1:0".parse().expect("an address")).expect("a socket");
    let mut all = Vec::new();
    for egress in Egress::ALL.into_iter().filter(|egress| *egress != Egress::WebSocket) {
        let watching = Watching::start(egress, terminal, camera, Some(&endpoint)).await;
        watching.flows(10).await;
        all.push(watching);
    }
    all
}

fn run_on(all: &[Watching]) {
    for one in all {
        let seen = one.seen();
        let since = seen.last.expect("packets came").elapsed();
        assert!(since <= MAX_SILENCE, "{} is silent for {since:?}: {seen:?}", one.egress.name());
        assert_eq!((seen.gaps, &seen.ended), (0, &None), "{}", one.egress.name());
    }
}

/// The stream's last packet came when the bound was reached, not sooner and not later.
fn ended_at(one: &Watching, frozen: &Frozen, bound: Duration) {
    let (name, last) = (one.egress.name(), one.seen().last.expect("packets came"));
    let after = last.saturating_duration_since(frozen.at);
    println!("{name}: last packet {:.2} s after signaling fell silent", after.as_secs_f64());
    assert!(after + BEAT >= bound && after <= bound + LATE, "{name}: {after:?}, bound {bound:?}");
}

/// The server's threads are stopped until this is dropped.
struct Frozen {
    tracer: Child,
    at: Instant,
}

impl Frozen {
    fn all_but_the_relay(server: u32) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/freeze.py");
        let mut tracer = Command::new("python3")
            .args([script, &server.to_string(), RELAY_THREAD])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 runs");
        let mut said = String::new();
        let stdout = tracer.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut said).expect("text");
        assert!(said.starts_with("frozen"), "the server's threads cannot be stopped: {said}");
        Self { tracer, at: Instant::now() }
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        drop(self.tracer.stdin.take());
        let _ = self.tracer.wait();
    }
}
