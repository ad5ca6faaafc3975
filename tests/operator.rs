//! What an operator does beside the running server, and what the logs must not hold.

mod support;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Output as Ran, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use sightline_grant::requirement;
use support::gate::Handle;
use support::local::{self, Local};
use support::network;
use support::process::{Output, Process, wait_for};
use support::publishers::Publisher;
use support::server::{HTTPS_ORIGIN, ORIGIN, Server, sightline};
use support::terminal::{Terminal, Token};
use support::viewers::Viewer;

const ANNA: &str = "+4915112345678";
const BEN: &str = "+8613800138000";
/// Longest wait for a prompt or an answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// Pause between two SMS to one number.
const SMS_PAUSE: Duration = Duration::from_millis(2_100);

/// Runs `sightline admin` on a data folder.
fn admin(data: &Path, words: &[&str]) -> Ran {
    let mut command = sightline();
    command.arg("admin").arg("--data").arg(data).arg("--json").args(words);
    command.output().expect("it ran")
}

/// The same for a command that must succeed; its JSON lines.
fn admin_lines(data: &Path, words: &[&str]) -> Vec<Value> {
    let output = admin(data, words);
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").flatten() {
        fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn devices_and_accounts_are_managed_beside_the_running_server() {
    if !network::inside("devices_and_accounts_are_managed_beside_the_running_server") {
        return;
    }
    let server = Server::start();
    let data = server.data();
    let device = server.add_open_device();
    let mut anna = Terminal::new(ANNA);
    anna.open_gate(&server, &device).await;

    let serial = device.serial.as_str();
    let listed = admin_lines(&data, &["device", "list"]);
    assert!(
        listed.iter().any(|item| item["serial"] == serial && item["bound"] == true),
        "{listed:?}"
    );
    let rotated = admin_lines(&data, &["device", "rotate", serial]);
    let password = rotated[0]["publish_password"].as_str().expect("a password");
    assert_ne!(password, device.password);
    assert_eq!(anna.ask_grant(serial).await.problem(), (403, "device-key-required".into()));
    let again = admin(&data, &["device", "add", "--serial", serial, "--open"]);
    assert!(!again.status.success(), "a serial is added once");

    let accounts = admin_lines(&data, &["account", "list"]);
    assert_eq!(accounts.len(), 1);
    let shown = accounts[0].to_string();
    assert!(!shown.contains(&ANNA[1..]) && shown.contains("78"), "{shown}");

    admin_lines(&data, &["device", "remove", serial]);
    assert!(admin_lines(&data, &["device", "list"]).is_empty());
    assert_eq!(anna.ask_grant(serial).await.problem(), (404, "device-not-bound".into()));

    admin_lines(&data, &["account", "delete", accounts[0]["id"].as_str().expect("an id")]);
    assert!(admin_lines(&data, &["account", "list"]).is_empty());
    let me = anna.send("GET", "/v1/me", Token::Login, None).await;
    assert_eq!(me.status.as_u16(), 401, "{me:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_binding_is_ended_and_a_code_that_ends_is_issued_beside_the_running_server() {
    if !network::inside(
        "a_binding_is_ended_and_a_code_that_ends_is_issued_beside_the_running_server",
    ) {
        return;
    }
    let server = Server::start();
    let data = server.data();
    let device = server.add_agent();
    let (mut anna, mut ben) = (Terminal::new(ANNA), Terminal::new(BEN));
    anna.sign_in(&server).await;
    ben.sign_in(&server).await;
    anna.bind(&device).await.ok();
    let serial = device.serial.as_str();
    let bound = admin(&data, &["device", "code", serial]);
    assert!(!bound.status.success(), "somebody owns it");
    admin_lines(&data, &["device", "release", serial]);
    let path = format!("/v1/devices/{serial}");
    let gone = anna.send("GET", &path, Token::Login, None).await;
    assert_eq!(gone.problem(), (404, "device-not-bound".into()));
    let issued = admin_lines(&data, &["device", "code", serial]);
    let text = issued[0]["add_code"].as_str().expect("the text of a picture code");
    assert!(text.starts_with(&format!("SL3:B:{serial}:")), "{text}");
    let wish = json!({ "payload": text });
    ben.send("POST", "/v1/bindings", Token::Login, Some(wish.clone())).await.ok();
    let again = anna.send("POST", "/v1/bindings", Token::Login, Some(wish)).await;
    assert_eq!(again.problem(), (403, "binding-refused".into()), "it works once");
    let added = server.admin(&["device", "add", "--serial", "HUB-1", "--open", "--channels", "3"]);
    let text = added["add_code"].as_str().expect("the text of a picture code");
    assert!(text.starts_with("SL3:B:HUB-1:"), "{text}");
    requirement!("B5", "B6", "B18");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_goes_on_from_a_backup_of_the_running_one() {
    if !network::inside("a_server_goes_on_from_a_backup_of_the_running_one") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (backup, data) = (folder.path().join("backup"), folder.path().join("data"));
    let server = Server::start();
    let device = server.add_open_device();
    let mut anna = Terminal::new(ANNA);
    anna.open_gate(&server, &device).await;
    let me = anna.send("GET", "/v1/me", Token::Login, None).await.ok();

    let text = |path: &Path| path.to_string_lossy().into_owned();
    admin_lines(&server.data(), &["backup", &text(&backup)]);
    copy_folder(&server.data().join("keys"), &data.join("keys"));
    let (database, keys) = (backup.join("control-plane.db"), backup.join("subject-keys.db"));
    let words = ["restore", &text(&database), "--subject-keys", &text(&keys), "--unchanged"];
    let while_it_runs = admin(&server.data(), &words);
    let why = String::from_utf8_lossy(&while_it_runs.stderr).into_owned();
    assert!(!while_it_runs.status.success() && why.contains("in use"), "{why}");
    drop(server);
    admin_lines(&data, &words);
    assert!(!admin(&data, &words).status.success(), "a database in use is not written over");

    let door = ORIGIN.trim_start_matches("http://").to_owned();
    let _server = Local::start_at(folder.path(), &[("http", door)], &["--no-demo"]);
    assert_eq!(anna.send("GET", "/v1/me", Token::Login, None).await.ok(), me);
    let devices = anna.send("GET", "/v1/devices", Token::Login, None).await.ok();
    assert_eq!(devices["items"][0]["serial"], device.serial, "{devices}");
    assert_eq!(anna.ask_grant(&device.serial).await.status.as_u16(), 201);
}

/// What must not be found, with a name for the message.
type Secrets = Vec<(&'static str, String)>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_reaches_the_log_or_the_metrics_even_at_trace() {
    if !network::inside("no_secret_reaches_the_log_or_the_metrics_even_at_trace") {
        return;
    }
    let server = Server::start_with(&["--set", "log.level=trace"]);
    let folder = tempfile::tempdir().expect("a folder");
    let mut secrets = by_http(&server, folder.path()).await;
    secrets.extend(by_command_line(&server, folder.path()));
    let messages = fs::read_to_string(server.data().join("dev-sms.txt")).expect("messages");
    for code in messages.lines().filter_map(|line| Some(line.strip_prefix('@')?.split_once('#')?.1))
    {
        secrets.push(("SMS code", code.to_owned()));
    }
    assert!(secrets.iter().filter(|(name, _)| *name == "SMS code").count() >= 4);

    let metrics = local::get("127.0.0.1:9464", "127.0.0.1:9464", "/metrics").expect("metrics");
    assert!(metrics.contains("sightline_relay_packets_in_total"), "{metrics}");
    let log =
        fs::read(server.data().parent().expect("a folder").join("server.err")).expect("a log");
    let log = String::from_utf8_lossy(&log);
    assert!(log.contains("\"TRACE\"") && log.len() > 100_000, "the log has {} bytes", log.len());
    for (place, text) in [("log", &*log), ("metrics", metrics.as_str())] {
        for (name, secret) in &secrets {
            assert!(!holds(text, secret), "a {name} stands in the {place}");
        }
    }
    println!("{} secrets, {} bytes of log", secrets.len(), log.len());
    requirement!("A20");
}

/// Whether a text holds a secret. Digits count only as a word of their own: fractions of seconds
/// have six digits too.
fn holds(text: &str, secret: &str) -> bool {
    let number = secret.len() <= 8 && secret.bytes().all(|byte| byte.is_ascii_digit());
    let part =
        |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || b".-_".contains(b));
    text.match_indices(secret).any(|(at, _)| {
        let before = at.checked_sub(1).and_then(|at| text.as_bytes().get(at));
        !number || !part(before) && !part(text.as_bytes().get(at + secret.len()))
    })
}

#[test]
fn the_search_finds_a_code_but_no_fraction_of_a_second() {
    assert!(holds("code=123456,", "123456") && holds("\"123456\"", "123456"));
    assert!(!holds("07:47:06.123456Z", "123456") && !holds("ab123456", "123456"));
    assert!(holds("Bearer xyzSECRETxyz", "SECRET"));
}

/// A journey by plain HTTP: login, renewal, an open camera that pushes, an RTSP viewer, refusals.
async fn by_http(server: &Server, folder: &Path) -> Secrets {
    let device = server.add_open_device();
    let mut anna = Terminal::new(ANNA);
    let mut secrets: Secrets = vec![("phone number", ANNA[3..].to_owned())];
    let mut keep =
        |name, value: &Value| secrets.push((name, value.as_str().expect(name).to_owned()));
    let session = anna.sign_in(server).await;
    keep("access token", &session["access_token"]);
    keep("refresh token", &session["refresh_token"]);
    let renewed = anna.refresh().await.ok();
    keep("access token", &renewed["access_token"]);
    keep("refresh token", &renewed["refresh_token"]);
    tokio::time::sleep(SMS_PAUSE).await;
    anna.consent_to_viewing().await.ok();
    anna.open_device(server, &device).await;
    let wrong = json!({ "purpose": "login", "target": format!("{ANNA}123456789") });
    anna.send("POST", "/v1/otp", Token::None, Some(wrong)).await;

    let camera = Publisher::RtspTcp.start(&device, folder);
    anna.wait_until_live(&device.serial).await;
    let grant = anna.grant(&device.serial).await;
    anna.offer(&format!("/v1/whep/{}/0", device.serial), &grant, "v=0\r\nbroken").await;
    keep("grant", &grant.into());
    let handle: Handle = anna.rtsp_handle(&device.serial).await;
    keep("RTSP password", &handle.password.clone().into());
    let seen = Viewer::FfmpegTcp.pull(&handle.url(), &device.serial, folder, 8).finish();
    assert!(!seen.frames.is_empty(), "{:?}", seen.error);
    drop(camera);
    let whip = format!("{ORIGIN}/v1/whip/{}/0", device.serial);
    let offer = reqwest::Client::builder().no_proxy().build().expect("a client").post(whip);
    let offer = offer.bearer_auth(&device.password).header("Content-Type", "application/sdp");
    offer.body("v=0\r\nbroken").send().await.expect("an answer");
    keep("publish password", &device.password.clone().into());
    keep("verification code", &device.code.clone().into());
    keep("verification code", &device.code.replace('-', "").into());
    secrets
}

/// A journey with `sightline watch`, which asks for everything.
fn by_command_line(server: &Server, folder: &Path) -> Secrets {
    let demo = server.demo_camera();
    let own = folder.join("viewer");
    let mut command = sightline();
    command
        .args(["watch", "--server", HTTPS_ORIGIN, "--serial", &demo.serial, "--seconds", "3"])
        .args(["--bind-code", &demo.code, "--ca"])
        .arg(server.ca())
        .arg("--folder")
        .arg(&own)
        .stdin(Stdio::piped());
    let mut watch = Process::start("watch", folder, &mut command, Output::File);
    let mut input = watch.take_stdin();
    let mut answer = |prompt: &str, text: &str| {
        wait_for(prompt, PATIENCE, || watch.complaints().contains(prompt).then_some(()));
        writeln!(input, "{text}").expect("it listens");
    };
    answer("Phone number", BEN);
    answer("Code from the SMS", &server.sms_after(0, BEN, "login"));
    let file = server.data().join("demo-camera/secret.txt");
    let [secret, camera_key] = wait_for("the device secret", PATIENCE, || {
        let text = fs::read_to_string(&file).ok()?;
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        (lines.len() == 3).then(|| [lines[0].clone(), lines[2].clone()])
    });
    answer("Device secret", &secret);
    answer("Code for viewing", &server.sms_after(0, BEN, "view"));
    answer("Do you agree?", "yes");
    answer("Camera key", &camera_key);
    let status = watch.wait(PATIENCE);
    let said = watch.complaints();
    assert!(status.is_some_and(|status| status.success()), "{said}");
    let last = said.lines().rfind(|line| line.starts_with("first picture")).expect("figures");
    assert!(!last.starts_with("first picture - "), "{last}");
    let opened = said.lines().find_map(|line| line.strip_prefix("opened ")).expect("it is sealed");
    assert!(!opened.starts_with("0 "), "{said}");
    let refresh = fs::read_to_string(own.join("login")).expect("the login is kept");
    vec![
        ("phone number", BEN[3..].to_owned()),
        ("refresh token", refresh.trim().to_owned()),
        ("device secret", secret.replace('-', "")),
        ("device secret", secret),
        ("verification code", demo.code.replace('-', "")),
        ("verification code", demo.code),
    ]
}
