//! The agent and its owners: added by a user token, reset on the spot, and previewed within its own
//! network while the server is away.

mod support;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde_json::json;
use sightline_client::keys::{Binding, Keyring};
use sightline_client::lan::{LanError, LanMessage, LanViewer};
use sightline_client::sealed::FrameOpener;
use sightline_client::{DeviceSecret, Identity};
use sightline_grant::{Redacted, requirement};
use sightline_relay_proto::frame::CaptureTime;
use sightline_relay_proto::ids::{Channel, DeviceId};

use self::support::network;
use self::support::process::{Output, Process, wait_for};
use self::support::server::{Device, HTTPS_ORIGIN, Server, sightline};
use self::support::terminal::{Terminal, Token};

/// Longest wait for a camera.
const LIMIT: Duration = Duration::from_secs(20);
/// Longest wait until a connection that nobody uses has ended.
const IDLE_LIMIT: Duration = Duration::from_secs(60);
/// Where the camera of a test shows itself nearby.
const NEARBY: &str = "127.0.0.1:8555";
/// Pictures to open.
const PICTURES: usize = 30;

/// Runs the agent of a device with more flags.
fn camera(device: &Device, folder: &Path, name: &str, flags: &[&str]) -> Process {
    let own = device.agent.as_deref().expect("an agent");
    let mut command = sightline();
    command
        .args(["camera", "--testcard", "--server", HTTPS_ORIGIN, "--serial", &device.serial])
        .arg("--ca")
        .arg(own.join("ca.pem"))
        .arg("--folder")
        .arg(own)
        .args(["--width", "320", "--height", "180", "--gop", "1"])
        .args(flags);
    Process::start(name, folder, &mut command, Output::File)
}

fn said(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(format!("{name}.out"))).unwrap_or_default()
}

async fn owns(terminal: &Terminal, serial: &str) -> bool {
    let devices = terminal.send("GET", "/v1/devices", Token::Login, None).await.ok();
    devices["items"].as_array().expect("a list").iter().any(|one| one["serial"] == serial)
}

async fn token_file(terminal: &Terminal, folder: &Path, name: &str) -> String {
    let made = terminal.send("POST", "/v1/bind-tokens", Token::Login, Some(json!({}))).await.ok();
    let path = folder.join(name);
    fs::write(&path, made["token"].as_str().expect("a token")).expect("written");
    path.display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_is_added_by_a_token_and_comes_to_another_account_only_after_a_reset_at_it() {
    const NAME: &str =
        "a_camera_is_added_by_a_token_and_comes_to_another_account_only_after_a_reset_at_it";
    if !network::inside(NAME) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start();
    let (mut anna, mut ben) = (Terminal::new("+4915110000061"), Terminal::new("+4915110000062"));
    anna.sign_in(&server).await;
    ben.sign_in(&server).await;
    let device = server.add_sealed_agent();
    let file = token_file(&anna, folder.path(), "anna.token").await;
    let running = camera(&device, folder.path(), "first", &["--user-token-file", &file]);
    wait_for("the camera's word", LIMIT, || {
        said(folder.path(), "first").contains("added to the account").then_some(())
    });
    assert!(owns(&anna, &device.serial).await);
    let secret = anna.agent_secret(&device).await;
    drop(running);

    let file = token_file(&ben, folder.path(), "ben.token").await;
    let flags = ["--user-token-file", &file];
    let mut refused = camera(&device, folder.path(), "second", &flags);
    let status = refused.wait(LIMIT).expect("it ends");
    assert!(!status.success());
    let complaint = refused.complaints();
    assert!(complaint.contains("reset it on the device"), "{complaint}");
    assert!(owns(&anna, &device.serial).await);

    let flags = ["--reset-owner", "--user-token-file", &file];
    let _running = camera(&device, folder.path(), "third", &flags);
    wait_for("the camera's word", LIMIT, || {
        let said = said(folder.path(), "third");
        (said.contains("no owner any more") && said.contains("added to the account")).then_some(())
    });
    assert!(owns(&ben, &device.serial).await && !owns(&anna, &device.serial).await);
    assert_ne!(ben.agent_secret(&device).await, secret, "a secret of the new owner's own");
    let told = anna.send("GET", "/v1/messages", Token::Login, None).await.ok();
    let told = told["items"].as_array().expect("a list").clone();
    assert!(told.iter().any(|message| message["kind"] == "device_reset"), "{told:?}");
    let token = fs::read_to_string(folder.path().join("ben.token")).expect("the token");
    for name in ["first", "second", "third"] {
        let errors = fs::read_to_string(folder.path().join(format!("{name}.err"))).expect("a log");
        assert!(!errors.contains(&token) && !said(folder.path(), name).contains(&token));
    }
    assert!(!server.log().contains(&token));
    requirement!("B2", "B3");
}

/// TCP connections that a process holds.
fn tcp_connections(process: u32) -> usize {
    let table = fs::read_to_string(format!("/proc/{process}/net/tcp")).expect("its table");
    let established = table.lines().skip(1).filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        (words[3] == "01").then(|| format!("socket:[{}]", words[9]))
    });
    let established: Vec<String> = established.collect();
    let files = fs::read_dir(format!("/proc/{process}/fd")).expect("its files");
    let names = files.flatten().filter_map(|file| fs::read_link(file.path()).ok());
    names.filter(|name| established.iter().any(|one| name.as_os_str() == one.as_str())).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_that_publishes_waits_at_no_second_connection_and_hears_of_its_owners() {
    const NAME: &str =
        "a_camera_that_publishes_waits_at_no_second_connection_and_hears_of_its_owners";
    if !network::inside(NAME) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start();
    let mut anna = Terminal::new("+4915110000065");
    anna.sign_in(&server).await;
    let device = server.add_sealed_agent();
    let running = camera(&device, folder.path(), "news", &[]);
    wait_for("a question", LIMIT, || (tcp_connections(running.id()) > 0).then_some(()));
    anna.bind(&device).await.ok();
    let first = anna.agent_secret(&device).await;
    wait_for("the end of what waited", IDLE_LIMIT, || {
        (tcp_connections(running.id()) == 0).then_some(())
    });
    // It asks by itself after five minutes only, so it was told.
    anna.unbind(&device.serial).await.ok();
    anna.bind(&device).await.ok();
    let folder = device.agent.clone().expect("a camera behind the agent");
    wait_for("a secret of the new binding's own", LIMIT, || {
        let text = fs::read_to_string(folder.join("secret.txt")).unwrap_or_default();
        let mut lines = text.lines();
        let secret = lines.next().filter(|_| lines.next().is_some());
        secret.is_some_and(|secret| secret != first).then_some(())
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_granted_terminal_previews_a_camera_nearby_while_the_server_is_away() {
    const NAME: &str = "a_granted_terminal_previews_a_camera_nearby_while_the_server_is_away";
    if !network::inside(NAME) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start();
    let mut anna = Terminal::new("+4915110000063");
    anna.sign_in(&server).await;
    anna.consent_to_viewing().await.ok();
    let mut device = server.add_sealed_agent();
    let _camera = camera(&device, folder.path(), "camera", &["--lan", NEARBY]);
    anna.open_agent(&server, &mut device).await;
    anna.wait_until_live(&device.serial).await;
    let path = format!("/v1/lan-grants/{}/0", device.serial);
    let granted = anna.send("POST", &path, Token::Login, None).await.ok();
    let grant = Redacted::new(granted["grant"].as_str().expect("a grant").to_owned());
    let devices = anna.send("GET", "/v1/devices", Token::Login, None).await.ok();
    let epoch = devices["items"][0]["binding_epoch"].as_u64().expect("an epoch");
    let agent = device.agent.clone().expect("an agent");
    let shown = fs::read_to_string(agent.join("secret.txt")).expect("what the camera shows");
    let key = B64.decode(shown.lines().nth(2).expect("its key")).expect("base64url");
    let key: [u8; 32] = key.try_into().expect("32 bytes");
    // Nobody can ask the server any more.
    drop(server);

    let terminal = Identity::from_pkcs8(anna.key_der()).expect("the terminal's key");
    let mut viewer =
        LanViewer::connect(NEARBY, &device.serial, 0, &grant, &terminal).await.expect("nearby");
    let binding = Binding { serial: DeviceId::new(&device.serial).expect("a serial"), epoch };
    let archive = DeviceSecret::parse(&device.password).expect("the secret").archive_key();
    let archive = archive.expect("derived");
    let mut opener = FrameOpener::new(Keyring::live(binding, key, None), Channel(0));
    let (mut pictures, mut keyframes) = (0, 0);
    while pictures < PICTURES {
        let next = tokio::time::timeout(LIMIT, viewer.next()).await.expect("the camera sends on");
        match next.expect("a message").expect("no end") {
            LanMessage::Generation(blob) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
                opener.keyring_mut().accept(&blob, &archive, now.as_secs()).expect("the camera's");
            }
            LanMessage::Frame(frame) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
                let now = CaptureTime(u64::try_from(now.as_micros()).expect("in time"));
                let mut unit = Vec::new();
                opener.open(&frame.sealed, now, &mut unit).expect("it opens");
                if frame.track.0 == 0 {
                    pictures += 1;
                    keyframes += usize::from(frame.keyframe);
                    assert!(unit.starts_with(&[0, 0, 0, 1]) || unit.starts_with(&[0, 0, 1]));
                }
            }
        }
    }
    assert!(keyframes >= 1 && keyframes < pictures, "{keyframes} of {pictures}");

    let other = Arc::new(Identity::generate_terminal().expect("a key"));
    let mut thief =
        LanViewer::connect(NEARBY, &device.serial, 0, &grant, &other).await.expect("nearby");
    match thief.next().await {
        Err(LanError::Refused(reason)) => assert!(reason.contains("another terminal"), "{reason}"),
        other => panic!("{other:?}"),
    }
    requirement!("B16");
}
