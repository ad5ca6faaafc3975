//! Sealing orders from end to end: what an owner switches, camera, server and viewers follow; what a
//! server makes up, none of them does.

mod support;

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde_json::{Value, json};
use sightline_client::whep::WhepOffer;
use sightline_grant::requirement;

use self::support::network;
use self::support::process::{self, Process, wait_for};
use self::support::publishers::{FPS, Publisher, script};
use self::support::server::{Device, HTTPS_ORIGIN, ORIGIN, Server, sightline};
use self::support::terminal::{Terminal, Token};
use self::support::viewers::{Viewer, watch_command};

/// Viewing time, seconds.
const SECONDS: u64 = 4;
/// Frames that a viewer must have decoded: the time less its start.
const MIN_FRAMES: usize = (SECONDS as usize - 2) * FPS as usize;
/// Viewing time of whoever is to be ended by a change, seconds.
const LONG: u64 = 120;
/// How long a change may take to show on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);
/// Longest journey through the page, with a browser on a busy machine.
const JOURNEY_LIMIT: Duration = Duration::from_secs(150);
/// How often the server is asked about something awaited; well below its rate limit.
const POLL: Duration = Duration::from_millis(250);

struct World {
    server: Server,
    owner: Terminal,
    device: Device,
    camera: Process,
    folder: tempfile::TempDir,
}

impl World {
    /// A sealed camera that is live, and its owner, who has passed the gate.
    async fn new() -> Self {
        let server = Server::start();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut owner = Terminal::new("+4915110000091");
        owner.sign_in(&server).await;
        owner.consent_to_viewing().await.ok();
        let mut device = server.add_sealed_agent();
        let camera = Publisher::AgentSealed.start(&device, folder.path());
        owner.open_agent(&server, &mut device).await;
        owner.wait_until_live(&device.serial).await;
        Self { server, owner, device, camera, folder }
    }

    /// Runs the product's own viewer again, which remembers its login, to its end.
    fn watch(&self, flags: &[&str]) -> Output {
        let Self { server, owner, device, folder, .. } = self;
        let mut command = watch_command(server, owner, device, folder.path());
        command.args(flags).output().expect("the binary runs")
    }

    /// Orders a mode by the product's own command.
    fn order(&self, mode: &str) {
        let output = self.watch(&["--order", mode]);
        assert!(output.status.success(), "{}", said(&output));
    }

    /// Watches with the product's own viewer, which knows the camera; its words and what it wrote.
    fn watch_again(&self) -> (Output, usize) {
        let out = self.folder.path().join("again.h264");
        let seconds = SECONDS.to_string();
        let path = out.to_str().expect("a plain path");
        let output = self.watch(&["--seconds", &seconds, "--out", path]);
        (output, std::fs::read(out).map_or(0, |bytes| bytes.len()))
    }

    async fn get(&self, path: &str) -> Value {
        self.owner.send("GET", path, Token::Login, None).await.ok()
    }

    /// What the list of devices says of the camera.
    async fn facts(&self) -> Value {
        let devices = self.get("/v1/devices").await;
        let items = devices["items"].as_array().expect("a list");
        let found = items.iter().find(|item| item["serial"] == self.device.serial.as_str());
        found.expect("the camera").clone()
    }

    async fn enc_mode(&self) -> Value {
        self.get(&format!("/v1/devices/{}/enc-mode", self.device.serial)).await
    }

    /// Kinds of the owner's messages about sealing, newest first.
    async fn told(&self) -> Vec<String> {
        let messages = self.get("/v1/messages").await;
        let kinds = messages["items"].as_array().expect("a list").iter();
        let kinds = kinds.filter_map(|item| item["kind"].as_str().map(str::to_owned));
        kinds.filter(|kind| kind.starts_with("sealing")).collect()
    }

    /// Streams that are live or wait for their camera, of a mode.
    fn streams(&self, mode: &str) -> u64 {
        let metrics = self.server.metrics();
        let name = format!("sightline_relay_streams_by_mode{{mode=\"{mode}\"}} ");
        let line = metrics.lines().find_map(|line| line.strip_prefix(&name));
        line.expect("counted by mode").parse().expect("a number")
    }

    /// Waits until the camera's one stream is of a mode.
    fn wait_until_streams(&self, sealed: u64, open: u64) {
        let wanted = (sealed, open);
        wait_for(&format!("{wanted:?} sealed and open streams"), LIMIT, || {
            std::thread::sleep(POLL);
            ((self.streams("sealed"), self.streams("open")) == wanted).then_some(())
        });
    }

    /// What a WHEP viewer is answered that passes the gate.
    async fn whep(&self) -> (u16, String) {
        let grant = self.owner.grant(&self.device.serial).await;
        let path = format!("/v1/whep/{}/0", self.device.serial);
        let offer = WhepOffer::new("127.0.0.1:0".parse().expect("an address")).await;
        let sdp = offer.expect("a socket").sdp().expect("an offer");
        self.owner.offer(&path, &grant, &sdp).await.problem()
    }

    /// Watches for a while and judges the decoded pictures.
    async fn decodes(&self, viewer: Viewer) {
        let Self { server, owner, device, folder, .. } = self;
        let watching = viewer.start(server, owner, device, folder.path(), SECONDS).await;
        let seen = watching.finish();
        let good = seen.judge(&device.serial, MIN_FRAMES);
        good.unwrap_or_else(|why| panic!("{}: {why}\n{}", viewer.name(), seen.said));
    }

    /// Does to the server's database what its operator could.
    fn forge(&self, statement: &str) {
        let script = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], timeout=10); \
                      n = c.execute(sys.argv[2]).rowcount; c.commit(); print(n)";
        let mut command = Command::new("python3");
        let database = self.server.data().join("control-plane.db");
        let output = command.arg("-c").arg(script).arg(database).arg(statement).output();
        let output = output.expect("python3 runs");
        let changed = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        assert_eq!(changed, "1", "{statement}: {}", said(&output));
    }

    /// Lines of the camera's log that hold a text.
    fn logged(&self, text: &str) -> usize {
        self.camera.complaints().lines().filter(|line| line.contains(text)).count()
    }

    fn wait_until_logged(&self, text: &str, count: usize) {
        wait_for(text, LIMIT, || (self.logged(text) >= count).then_some(()));
    }
}

/// Runs the page's journey of an owner; what the page said at each step.
fn journey(world: &World) -> Vec<Value> {
    let request = json!({
        "page": format!("{ORIGIN}/"),
        "sms_file": world.server.data().join("dev-sms.txt"),
        "phone": world.owner.phone,
        "secret_file": world.device.agent.as_ref().expect("an agent").join("secret.txt"),
        "serial": world.device.serial,
    });
    let folder = world.folder.path();
    let input = folder.join("request.json");
    std::fs::write(&input, request.to_string()).expect("a writable folder");
    let mut command = Command::new("node");
    let input = std::fs::File::open(&input).expect("written");
    command.arg(script("sealing_journey.mjs")).stdin(input);
    let mut node = Process::start("journey", folder, &mut command, process::Output::File);
    let ended = node.wait(JOURNEY_LIMIT);
    let text = std::fs::read_to_string(folder.join("journey.out")).expect("its output");
    assert!(ended.is_some_and(|status| status.success()), "{text}{}", node.complaints());
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_switches_sealing_off_and_on_and_everything_follows() {
    const NAME: &str = "an_owner_switches_sealing_off_and_on_and_everything_follows";
    if !network::inside(NAME) {
        return;
    }
    let world = World::new().await;
    let World { server, owner, device, folder, .. } = &world;
    assert_eq!((world.streams("sealed"), world.streams("open")), (1, 0));
    let mut sealed = Viewer::Watch.start(server, owner, device, folder.path(), LONG).await;
    wait_for("a viewer", LIMIT, || {
        server.metrics().contains("sightline_relay_subscribers 1").then_some(())
    });

    world.order("open");
    let ordered = Instant::now();
    wait_for("the end of the sealed session", LIMIT, || sealed.ended().then_some(()));
    println!("the sealed viewer had ended {} ms after the order", ordered.elapsed().as_millis());
    let seen = sealed.finish();
    seen.judge(&device.serial, 1).unwrap_or_else(|why| panic!("{why}\n{}", seen.said));
    world.wait_until_streams(0, 1);
    println!("open pictures came {} ms after the order", ordered.elapsed().as_millis());
    let facts = world.facts().await;
    assert_eq!((&facts["sealed"], &facts["can_seal"]), (&false.into(), &true.into()));
    assert!(facts["opened_at"].is_u64(), "{facts}");
    assert!(facts["mode_label"].as_str().expect("a label").starts_with("open"), "{facts}");
    assert_eq!(world.told().await, ["sealing_off"]);
    world.decodes(Viewer::Aiortc).await;
    world.decodes(Viewer::FfmpegTcp).await;
    let (output, written) = world.watch_again();
    assert!(output.status.success() && written > 0, "{}", said(&output));
    assert!(said(&output).contains("switched sealing off"), "{}", said(&output));

    let mut open = Viewer::FfmpegTcp.start(server, owner, device, folder.path(), LONG).await;
    wait_for("a viewer", LIMIT, || {
        server.metrics().contains("sightline_relay_subscribers 1").then_some(())
    });
    world.order("sealed");
    wait_for("the end of the open session", LIMIT, || open.ended().then_some(()));
    world.wait_until_streams(1, 0);
    assert_eq!(world.whep().await, (406, "wrong-protection".to_owned()));
    assert_eq!(world.facts().await["sealed"], true);
    assert_eq!(world.facts().await["opened_at"], Value::Null);
    assert_eq!(world.told().await, ["sealing_on", "sealing_off"]);
    let (output, written) = world.watch_again();
    assert!(output.status.success() && written > 0, "{}", said(&output));
    assert!(said(&output).contains("opened "), "{}", said(&output));
    let history = world.enc_mode().await["history"].clone();
    let modes: Vec<_> = history.as_array().expect("a list").iter().map(|it| &it["mode"]).collect();
    assert_eq!(modes, ["sealed", "open"]);
    requirement!("M11");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_forges_or_replays_an_order_gets_no_clear_media() {
    const NAME: &str = "a_server_that_forges_or_replays_an_order_gets_no_clear_media";
    if !network::inside(NAME) {
        return;
    }
    let mut world = World::new().await;
    world.decodes(Viewer::Watch).await;
    world.order("open");
    world.wait_until_streams(0, 1);
    let old = world.enc_mode().await;
    world.order("sealed");
    world.wait_until_streams(1, 0);
    let new = world.enc_mode().await;
    let order = |answer: &Value| {
        let bytes = B64.decode(answer["order"].as_str().expect("an order")).expect("base64url");
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        (answer["sequence"].as_u64().expect("a number"), hex)
    };
    let ((old_sequence, old), (new_sequence, new)) = (order(&old), order(&new));
    let unsigned = format!("{}{}", &old[..old.len() - 128], "00".repeat(64));
    let turned = world.logged("what leaves the camera from now on");
    assert_eq!(turned, 3, "sealed, open, sealed");

    let mut refusals = 0;
    for (sequence, signed, why) in [
        (new_sequence + 1, unsigned, "not signed with this device's secret"),
        (old_sequence, old, "is not newer than"),
    ] {
        world.forge(&format!(
            "UPDATE sealing_order SET sequence = {sequence}, sealed = 0, signed = x'{signed}'"
        ));
        // What runs ends by the database alone; a poll asks again when the server comes back.
        world.wait_until_streams(0, 0);
        world.server.crash_and_restart();
        refusals += 1;
        world.wait_until_logged("sealing order is not taken", refusals);
        world.wait_until_logged(why, 1);
        let offers = world.logged("sealed media is refused");
        world.wait_until_logged("sealed media is refused", offers + 1);
        assert_eq!((world.streams("sealed"), world.streams("open")), (0, 0));
        assert_eq!(world.facts().await["sealed"], false, "so the server says");
        assert_eq!(world.whep().await, (409, "not-live".to_owned()));
        assert_eq!(world.logged("what leaves the camera from now on"), turned);
        let secret = &world.device.password;
        assert_eq!(world.logged(secret) + world.logged(&signed[..64]), 0, "nothing secret is said");
    }

    // A stand-in for the camera that sends clear media: whoever watched it sealed is not shown that.
    world.camera.stop();
    let clear = Device { sealed: false, ..world.device.clone() };
    let stand_in = Publisher::Agent.start(&clear, world.folder.path());
    world.wait_until_streams(0, 1);
    let (output, written) = world.watch_again();
    assert!(!output.status.success() && written == 0, "{written} bytes of clear media");
    assert!(said(&output).contains("was sealed when it was watched"), "{}", said(&output));
    drop(stand_in);

    world.camera = Publisher::AgentSealed.start(&world.device, world.folder.path());
    world.forge(&format!(
        "UPDATE sealing_order SET sequence = {new_sequence}, sealed = 1, signed = x'{new}'"
    ));
    world.wait_until_streams(1, 0);
    let (output, written) = world.watch_again();
    assert!(output.status.success() && written > 0, "{}", said(&output));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_owner_starts_sealed_whatever_the_former_one_ordered() {
    const NAME: &str = "a_new_owner_starts_sealed_whatever_the_former_one_ordered";
    if !network::inside(NAME) {
        return;
    }
    let mut world = World::new().await;
    world.decodes(Viewer::Watch).await;
    world.order("open");
    world.wait_until_streams(0, 1);
    let mut next = Terminal::new("+4915110000092");
    next.sign_in(&world.server).await;
    next.consent_to_viewing().await.ok();
    let (serial, former) = (world.device.serial.clone(), world.device.password.clone());
    world.owner.unbind(&serial).await.ok();
    next.bind(&world.device).await.ok();
    world.owner = next;
    // The camera's file changes a moment after the server has its new verifier.
    while world.device.password == former {
        world.device.password = world.owner.agent_secret(&world.device).await;
        tokio::time::sleep(POLL).await;
    }
    world.wait_until_streams(1, 0);
    assert_eq!(world.facts().await["sealed"], true);
    let nothing = world.enc_mode().await;
    assert_eq!((&nothing["sequence"], &nothing["history"]), (&0.into(), &Value::Array(vec![])));
    world.owner.prove_key(&world.device).await.ok();
    world.owner.step_up(&world.server, &serial).await.ok();
    assert_eq!(world.whep().await, (406, "wrong-protection".to_owned()));
    world.folder = tempfile::tempdir().expect("a temporary folder");
    world.decodes(Viewer::Watch).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_device_secret_seals_again() {
    const NAME: &str = "a_new_device_secret_seals_again";
    if !network::inside(NAME) {
        return;
    }
    let mut world = World::new().await;
    world.decodes(Viewer::Watch).await;
    world.order("open");
    world.wait_until_streams(0, 1);
    world.camera.stop();
    let agent = world.device.agent.as_ref().expect("an agent");
    let mut command = sightline();
    command
        .args(["camera", "--testcard", "--serial", &world.device.serial, "--mode", "sealed"])
        .args(["--server", HTTPS_ORIGIN, "--new-secret", "--width", "640", "--height", "360"])
        .arg("--ca")
        .arg(agent.join("ca.pem"))
        .arg("--folder")
        .arg(agent);
    let camera = Process::start("anew", world.folder.path(), &mut command, process::Output::File);
    world.camera = camera;
    world.wait_until_streams(1, 0);
    assert_eq!(world.facts().await["sealed"], true);
    let held = world.enc_mode().await;
    let newest = &held["history"][0];
    assert_eq!((&newest["mode"], &newest["by"]), (&"sealed".into(), &"new_key".into()), "{held}");
    assert_eq!((&held["sequence"], &held["order"]), (&0.into(), &Value::Null));
    assert_eq!(world.told().await, ["sealing_on", "sealing_off"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_switches_sealing_off_and_on_in_the_page() {
    const NAME: &str = "an_owner_switches_sealing_off_and_on_in_the_page";
    if !network::inside(NAME) {
        return;
    }
    let world = World::new().await;
    let steps = journey(&world);
    let names: Vec<_> = steps.iter().map(|step| step["step"].as_str().unwrap_or("?")).collect();
    assert_eq!(names, ["off", "watched", "on"]);
    let (off, watched, on) = (&steps[0], &steps[1], &steps[2]);
    assert_eq!(off["before"]["mode"], "Sealed: end-to-end encrypted");
    assert_eq!(off["before"]["history"], "It has been on since the camera was added.");
    assert_eq!(off["before"]["submit"], "Switch encryption off");
    let note = |value: &Value| value.as_str().expect("a note").to_owned();
    assert!(note(&off["card"]["note"]).contains("this server can see its video"), "{off}");
    assert_eq!((&watched["padlock"], &watched["canvases"]), (&"open".into(), &0.into()));
    assert!(watched["width"].as_u64().is_some_and(|width| width > 0), "{watched}");
    assert!(note(&watched["notes"][0]).contains("switched sealing off on"), "{watched}");
    assert!(note(&watched["notes"][1]).contains("关闭加密"), "{watched}");
    assert_eq!(on["before"]["mode"], "Open: the operator could see this");
    assert!(note(&on["before"]["history"]).contains("Switched off"), "{on}");
    assert_eq!(on["card"]["note"], Value::Null);
    world.wait_until_streams(1, 0);
    assert_eq!(world.facts().await["sealed"], true);
    let history = world.enc_mode().await["history"].clone();
    let modes: Vec<_> = history.as_array().expect("a list").iter().map(|it| &it["mode"]).collect();
    assert_eq!(modes, ["sealed", "open"]);
    assert_eq!(world.told().await, ["sealing_on", "sealing_off"]);
}
