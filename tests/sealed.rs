//! Sealed video from end to end: its owner watches it, and nobody else can, the server last of all.

#[path = "sealed/held.rs"]
mod held;
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use sightline_client::api::{Api, GenerationsWanted};
use sightline_client::keys::{Binding, GenerationBlob};
use sightline_client::whep::WhepOffer;
use sightline_client::{DeviceSecret, Identity, Roots};
use sightline_grant::Redacted;
use sightline_relay_proto::ids::DeviceId;

use self::held::{Found, Marks};
use self::support::network;
use self::support::process::{Output, Process};
use self::support::publishers::{CAMERA_PASSWORD, CAMERA_USER, FPS, Publisher, camera_place};
use self::support::server::{Device, HTTPS_ORIGIN, Server, sightline};
use self::support::terminal::Terminal;
use self::support::viewers::{Viewer, record};

/// Viewing time, seconds.
const SECONDS: u64 = 5;
/// Time for a viewer to be refused and to end by that, seconds.
const REFUSED_WITHIN: u64 = 20;
/// Frames that a viewer must have decoded: the time less its start.
const MIN_FRAMES: usize = (SECONDS as usize - 2) * FPS as usize;
/// Bytes of a mark of picture or sound.
const MARK: usize = 24;
/// Marks of the last pictures, and of the last sounds.
const MARKS: usize = 8;
/// Bytes of a unit of H.264 that are left out: its header, which packets write anew.
const NAL_HEAD: usize = 4;
/// Bytes of a page of Ogg after its first four, with one segment (RFC 3533, 6).
const PAGE_HEAD: usize = 24;
/// Least number of different bytes in a mark: others may stand anywhere.
const MIN_VARIETY: usize = 14;
/// Share of an open camera's marks that must be found: the oldest may have left the cache.
const MIN_FOUND: f64 = 0.75;

struct World {
    server: Server,
    owner: Terminal,
    device: Device,
    _camera: Process,
    folder: tempfile::TempDir,
}

impl World {
    async fn new(sealed: bool) -> Self {
        let server = Server::start();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut owner = Terminal::new("+4915110000077");
        owner.sign_in(&server).await;
        owner.consent_to_viewing().await.ok();
        let mut device = if sealed { server.add_sealed_agent() } else { server.add_agent() };
        let kind = if sealed { Publisher::AgentSealed } else { Publisher::Agent };
        let camera = kind.start(&device, folder.path());
        owner.open_agent(&server, &mut device).await;
        owner.wait_until_live(&device.serial).await;
        Self { server, owner, device, _camera: camera, folder }
    }

    fn secret(&self) -> DeviceSecret {
        DeviceSecret::parse(&self.device.password).expect("the agent's secret")
    }

    /// Base keys of all generations, by the archive key.
    async fn base_keys(&self) -> Vec<Vec<u8>> {
        let pem = fs::read(self.server.ca()).expect("the CA");
        let roots = Roots::from_pem(&pem).expect("the CA");
        let identity = Arc::new(Identity::from_pkcs8(self.owner.key_der()).expect("a key"));
        let api = Api::new(HTTPS_ORIGIN, Some(&roots), identity).expect("an API");
        let access = Redacted::new(self.owner.access_token().to_owned());
        let serial = DeviceId::new(&self.device.serial).expect("a serial");
        let devices = api.devices(&access).await.expect("devices");
        let epoch = devices.iter().find(|one| one.serial == serial.as_str());
        let epoch = epoch.expect("the camera").binding_epoch;
        let key = self.secret().archive_key().expect("derived");
        let recipient = key.public().0;
        let wanted = GenerationsWanted { channel: 0, recipient, after: 0, limit: 16 };
        let answer = api.generations(&access, serial.as_str(), &wanted).await;
        let blobs = answer.expect("generations").generations;
        let camera = fs::read_to_string(self.agent().join("secret.txt")).expect("the secret");
        let camera = camera.lines().nth(2).expect("the camera's key").to_owned();
        let camera: [u8; 32] = B64.decode(camera).expect("base64").try_into().expect("32 bytes");
        let binding = Binding { serial, epoch };
        let open = |blob: &[u8]| {
            let blob = GenerationBlob::open(blob, &camera, &binding).expect("the camera's");
            blob.unwrap(&key).expect("for the archive").base_key.expose().to_vec()
        };
        blobs.iter().map(|entry| open(&entry.blob)).collect()
    }

    fn agent(&self) -> &Path {
        self.device.agent.as_deref().expect("an agent")
    }

    /// Watches with the secret, and gives the newest of what was seen and heard as marks.
    fn media_marks(&self) -> Vec<(String, Vec<u8>)> {
        let (pictures, sound) =
            record(&self.server, &self.owner, &self.device, self.folder.path(), SECONDS);
        let mut marks = marks_of("picture", &pictures, &[0, 0, 0, 1], NAL_HEAD);
        marks.extend(marks_of("sound", &sound, b"OggS", PAGE_HEAD));
        marks
    }

    /// Where the server holds marks: memory, files, log, metrics.
    fn search(&self, marks: &Marks) -> Found {
        let mut found = Found::new();
        let read = marks.search_memory(self.server.id(), &mut found);
        assert!(read > 8 * 1024 * 1024, "only {read} bytes of memory were read");
        let files = marks.search_folder(&self.server.data(), &mut found);
        assert!(files > 3, "only {files} files were read");
        marks.search("log", self.server.log().as_bytes(), &mut found);
        let metrics = self.server.metrics();
        assert!(metrics.contains("sightline_relay_workers"), "no metrics");
        marks.search("metrics", metrics.as_bytes(), &mut found);
        found
    }
}

/// A piece of each of the newest units of a recording, which begin with `start` and `head` bytes more.
fn marks_of(what: &str, bytes: &[u8], start: &[u8], head: usize) -> Vec<(String, Vec<u8>)> {
    let starts: Vec<usize> =
        (0..bytes.len()).filter(|at| bytes[*at..].starts_with(start)).collect();
    let piece = |at: &usize| bytes.get(at + start.len() + head..)?.get(..MARK);
    let varied = |piece: &&[u8]| piece.iter().collect::<BTreeSet<_>>().len() >= MIN_VARIETY;
    let pieces = starts.iter().rev().filter_map(piece).filter(varied).take(MARKS);
    let marks: Vec<_> =
        pieces.enumerate().map(|(at, piece)| (format!("{what} {at}"), piece.to_vec())).collect();
    assert_eq!(marks.len(), MARKS, "{what} of {} bytes is too short for marks", bytes.len());
    marks
}

/// Key material as it could lie about: text and bytes.
fn key_marks(secret: &DeviceSecret, base_keys: &[Vec<u8>]) -> Vec<(String, Vec<u8>)> {
    let mut marks = vec![
        ("secret, as shown".to_owned(), secret.text().expose().clone().into_bytes()),
        ("secret, as text".to_owned(), secret.password().expose().clone().into_bytes()),
    ];
    for (at, key) in base_keys.iter().enumerate() {
        marks.push((format!("generation key {at}"), key.clone()));
        marks.push((format!("generation key {at}, as text"), B64.encode(key).into_bytes()));
    }
    marks
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_watches_a_sealed_camera_and_other_ways_of_watching_are_refused() {
    const NAME: &str = "an_owner_watches_a_sealed_camera_and_other_ways_of_watching_are_refused";
    if !network::inside(NAME) {
        return;
    }
    let world = World::new(true).await;
    let World { server, owner, device, folder, .. } = &world;
    let watching = Viewer::Watch.start(server, owner, device, folder.path(), SECONDS).await;
    let seen = watching.finish();
    seen.judge(&device.serial, MIN_FRAMES).unwrap_or_else(|why| panic!("{why}\n{}", seen.said));
    seen.judge_tone().unwrap_or_else(|why| panic!("{why}"));
    assert!(seen.said.contains("opened "), "{}", seen.said);

    let grant = owner.grant(&device.serial).await;
    let path = format!("/v1/whep/{}/0", device.serial);
    let offer = WhepOffer::new("127.0.0.1:0".parse().expect("an address")).await;
    let sdp = offer.expect("a socket").sdp().expect("an offer");
    let (status, problem) = owner.offer(&path, &grant, &sdp).await.problem();
    assert_eq!((status, problem.as_str()), (406, "wrong-protection"));
    for viewer in [Viewer::FfmpegTcp, Viewer::Gst] {
        let running = viewer.start(server, owner, device, folder.path(), REFUSED_WITHIN).await;
        let seen = running.finish();
        assert_eq!((seen.frames.len(), seen.unreadable), (0, 0), "{}", viewer.name());
        assert!(seen.said.contains("415"), "{}: {}", viewer.name(), seen.said);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_of_the_server_holds_nothing_readable_of_a_sealed_camera() {
    const NAME: &str = "a_dump_of_the_server_holds_nothing_readable_of_a_sealed_camera";
    if !network::inside(NAME) {
        return;
    }
    let world = World::new(true).await;
    let base_keys = world.base_keys().await;
    assert!(!base_keys.is_empty(), "the camera has handed in a generation");
    let mut marks = key_marks(&world.secret(), &base_keys);
    marks.extend(world.media_marks());
    let found = world.search(&Marks::new(marks));
    assert!(found.is_empty(), "the server holds {found:#?}");
}

/// A camera that knows nothing of sealing, behind an agent on its own network.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_in_front_of_an_rtsp_camera_seals_what_it_pulls() {
    if !network::inside("an_agent_in_front_of_an_rtsp_camera_seals_what_it_pulls") {
        return;
    }
    let server = Server::start();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut owner = Terminal::new("+4915110000078");
    owner.sign_in(&server).await;
    owner.consent_to_viewing().await.ok();
    let mut device = server.add_sealed_agent();
    let _camera = Publisher::PullGst.start(&device, folder.path());
    let mut agent = sealing_rtsp(&device, folder.path());
    let _agent = Process::start("agent", folder.path(), &mut agent, Output::File);
    owner.open_agent(&server, &mut device).await;
    owner.wait_until_live(&device.serial).await;
    let watch = Viewer::Watch.start(&server, &owner, &device, folder.path(), SECONDS).await;
    let seen = watch.finish();
    seen.judge(&device.serial, MIN_FRAMES).unwrap_or_else(|why| panic!("{why}: {}", seen.said));
    seen.judge_tone().unwrap_or_else(|why| panic!("{why}: {}", seen.said));
    let metrics = server.metrics();
    assert!(metrics.contains("sightline_relay_streams_by_mode{mode=\"sealed\"} 1"), "{metrics}");
}

/// The agent in front of the camera of [`Publisher::PullGst`]. Sealing needs no flag.
fn sealing_rtsp(device: &Device, folder: &Path) -> Command {
    let password = folder.join("camera-password.txt");
    fs::write(&password, CAMERA_PASSWORD).expect("a writable folder");
    let own = device.agent.as_deref().expect("an agent");
    let mut command = sightline();
    command.args(["camera", "--rtsp", &camera_place(), "--rtsp-user", CAMERA_USER]);
    command.arg("--rtsp-password-file").arg(password);
    command.args(["--serial", &device.serial, "--server", HTTPS_ORIGIN, "--ca"]);
    command.arg(own.join("ca.pem")).arg("--folder").arg(own);
    command
}

/// Proves the search of the test above: it finds what an open camera sends, and keys where somebody
/// wrote them down.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_search_finds_the_media_of_an_open_camera_and_planted_keys() {
    const NAME: &str = "the_same_search_finds_the_media_of_an_open_camera_and_planted_keys";
    if !network::inside(NAME) {
        return;
    }
    let world = World::new(false).await;
    let planted = DeviceSecret::generate().expect("randomness");
    let text = planted.text().expose().clone();
    world.server.admin(&["device", "add", "--serial", "PLANTED", "--open", "--name", &text]);
    fs::write(world.server.data().join("planted"), planted.password().expose()).expect("a file");
    let keys = key_marks(&planted, &[]);
    let names: Vec<String> = keys.iter().map(|(name, _)| name.clone()).collect();
    let mut marks = keys;
    marks.extend(world.media_marks());
    let marks = Marks::new(marks);
    let found = world.search(&marks);
    for name in &names {
        assert!(found.contains_key(name), "{name} is not found");
    }
    for what in ["picture", "sound"] {
        let all = marks.names().filter(|name| name.starts_with(what)).count();
        let here = found.keys().filter(|name| name.starts_with(what)).count();
        assert!(here as f64 >= MIN_FOUND * all as f64, "{here} of {all} marks of {what} are found");
    }
}
