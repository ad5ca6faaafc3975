//! How the server starts, refuses to start, and stops.

mod support;

use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use support::local::{self, LISTEN_KEYS, Local};
use support::process::wait_for;
use support::server::sightline;

/// From the start of the process to the page's answer.
const PAGE_LIMIT: Duration = Duration::from_secs(3);
/// From Ctrl-C to the end.
const STOP_LIMIT: Duration = Duration::from_secs(5);
/// How long the demo camera may outlive a server that was killed.
const ORPHAN_LIMIT: Duration = Duration::from_secs(2);

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn complaint(output: &Output) -> String {
    assert!(!output.status.success(), "it should have been refused");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_page_answers_within_three_seconds_and_ctrl_c_ends_server_and_demo_camera() {
    let folder = folder();
    let mut server = Local::start(folder.path(), &[]);
    let page = server.get("/");
    let age = server.age();
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("<title>Sightline"), "{page}");
    assert!(age < PAGE_LIMIT, "the page took {age:?}");
    assert!(server.get("/healthz").starts_with("HTTP/1.1 200"));
    assert!(server.get("/readyz").starts_with("HTTP/1.1 200"));
    let camera = wait_for("the demo camera", PAGE_LIMIT, || server.children().first().copied());

    let (status, took) = server.end("-INT", STOP_LIMIT);
    assert!(status.success(), "{status}");
    assert!(!local::runs(camera), "the demo camera outlives the server");
    println!("page after {age:?}, stopped after {took:?}");
}

#[test]
fn sigterm_ends_it_like_ctrl_c() {
    let folder = folder();
    let mut server = Local::start(folder.path(), &["--no-demo"]);
    assert!(server.end("-TERM", STOP_LIMIT).0.success());
}

#[test]
fn the_demo_camera_ends_with_a_server_that_is_killed() {
    let folder = folder();
    let mut server = Local::start(folder.path(), &[]);
    let camera = wait_for("the demo camera", PAGE_LIMIT, || server.children().first().copied());
    let at = Instant::now();
    server.end("-KILL", STOP_LIMIT);
    wait_for("the end of the demo camera", ORPHAN_LIMIT, || (!local::runs(camera)).then_some(()));
    println!("the demo camera ended {:?} after the server", at.elapsed());
}

#[test]
fn the_start_names_its_data_folder_and_whether_it_is_new() {
    let folder = folder();
    for state in ["(new)", "(existing)"] {
        let mut server = Local::start(folder.path(), &["--no-demo"]);
        let data = server.data().canonicalize().expect("made");
        assert_eq!(server.line("data"), format!("{} {state}", data.display()));
        assert!(server.end("-TERM", STOP_LIMIT).0.success());
    }
}

#[test]
fn everything_in_the_data_folder_is_its_owners_alone() {
    let folder = folder();
    let mut server = Local::start(folder.path(), &[]);
    let identity = server.data().join("demo-camera/identity.key");
    wait_for("the demo camera", PAGE_LIMIT, || identity.exists().then_some(()));
    let mut seen = Vec::new();
    walk(&server.data(), &mut seen);
    for name in ["control-plane.db", "control-plane.db-wal", "keys/grant.seed", "pki/ca.key"] {
        assert!(seen.iter().any(|path| path.ends_with(name)), "no {name} in {seen:?}");
    }
    server.end("-INT", STOP_LIMIT);
    walk(&server.data(), &mut seen);
}

/// Checks the rights of a folder and of everything below.
fn walk(at: &Path, seen: &mut Vec<String>) {
    // Files of the database come and go while it runs.
    let Ok(facts) = std::fs::symlink_metadata(at) else { return };
    let (mode, wanted) =
        (facts.permissions().mode() & 0o777, if facts.is_dir() { 0o700 } else { 0o600 });
    assert_eq!(mode, wanted, "{} has the rights {mode:o}", at.display());
    seen.push(at.display().to_string());
    if facts.is_dir() {
        for entry in std::fs::read_dir(at).expect("a folder") {
            walk(&entry.expect("an entry").path(), seen);
        }
    }
}

#[test]
fn a_second_process_is_refused_the_data_folder() {
    let folder = folder();
    let server = Local::start(folder.path(), &["--no-demo"]);
    let output = local::serve(&server.data(), &[]).output().expect("it ran");
    assert!(complaint(&output).contains("in use"), "{}", complaint(&output));
    assert!(server.get("/healthz").starts_with("HTTP/1.1 200"), "the first one goes on");
}

#[test]
fn a_taken_port_stops_the_start_and_names_the_key() {
    for key in LISTEN_KEYS {
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
        let udp = std::iter::repeat_with(|| UdpSocket::bind("127.0.0.1:0").expect("a port"));
        let mut udp = udp.filter(|socket| socket.local_addr().expect("bound").port() % 2 == 0);
        let udp = udp.next().expect("an even port");
        let at = match key {
            "roq" | "webrtc" | "rtsp_udp" => udp.local_addr(),
            _ => tcp.local_addr(),
        };
        let folder = folder();
        let doors = [(key, at.expect("bound").to_string())];
        let output = local::serve(&folder.path().join("data"), &doors).arg("--no-demo").output();
        let said = complaint(&output.expect("it ran"));
        assert!(said.contains(&format!("listen.{key}")), "{key}: {said}");
        assert!(said.contains(&doors[0].1), "{key}: {said}");
    }
}

#[test]
fn a_newer_schema_is_refused_and_stays_as_it_is() {
    let folder = folder();
    let mut server = Local::start(folder.path(), &["--no-demo"]);
    server.end("-INT", STOP_LIMIT);
    let database = server.data().join("control-plane.db");
    let stamp = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); \
                 print(c.execute('PRAGMA user_version').fetchone()[0])";
    let python = |pragma: &str| {
        let mut command = Command::new("python3");
        let output = command.arg("-c").arg(stamp).arg(&database).arg(pragma).output();
        String::from_utf8_lossy(&output.expect("python3 runs").stdout).trim().to_owned()
    };
    assert_eq!(python("PRAGMA user_version = 999"), "999");
    let output = local::serve(&server.data(), &[]).output().expect("it ran");
    let said = complaint(&output);
    assert!(said.contains("newer"), "{said}");
    assert_eq!(python("SELECT 1"), "999");
}

#[test]
fn unknown_keys_are_refused_by_name_and_printed_configuration_is_accepted() {
    let folder = folder();
    let file = folder.path().join("sightline.toml");
    std::fs::write(&file, "[listen]\nhtpp = \"127.0.0.1:1\"\n").expect("written");
    let check = || sightline().args(["config", "check"]).arg(&file).output().expect("it ran");
    assert!(complaint(&check()).contains("htpp"), "{}", complaint(&check()));

    let mut print = sightline();
    let print = print.args(["config", "print"]).env("SIGHTLINE_SERVER_NAME", "cam.example");
    let printed = print.output().expect("it ran");
    assert!(printed.status.success());
    let text = String::from_utf8_lossy(&printed.stdout).into_owned();
    assert!(text.contains("cam.example") && text.contains("127.0.0.1:8080"), "{text}");
    std::fs::write(&file, &text).expect("written");
    assert!(check().status.success());

    let data = folder.path().join("data");
    let mut wrong = local::serve(&data, &[]);
    let output = wrong.env("SIGHTLINE_LISTEN_HTPP", "127.0.0.1:1").output().expect("it ran");
    assert!(complaint(&output).contains("SIGHTLINE_LISTEN_HTPP"), "{}", complaint(&output));
    assert!(!data.exists(), "a wrong configuration is refused before anything is made");
}

#[test]
fn lan_without_a_real_sms_sender_is_refused_unless_dev_is_given() {
    let folder = folder();
    let mut command = local::serve(&folder.path().join("data"), &[]);
    let output = command.arg("--lan").output().expect("it ran");
    assert!(complaint(&output).contains("--dev"), "{}", complaint(&output));

    // The port must be known: only the https address is printed.
    let free = TcpListener::bind("0.0.0.0:0").expect("a port").local_addr().expect("bound").port();
    let doors = [("http", format!("127.0.0.1:{free}"))];
    let name = "server.public_addresses=[\"192.0.2.7\"]";
    let flags = ["--lan", "--dev", "--no-demo", "--set", name];
    let server = Local::start_at(folder.path(), &doors, &flags);
    let page = server.line("page");
    assert!(page.starts_with("https://192.0.2.7:"), "{page}");
    let answer = local::get(&format!("127.0.0.1:{free}"), "192.0.2.7", "/").expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 308"), "{answer}");
    assert!(answer.contains(&format!("location: {page}")), "{answer}");
    assert!(server.line("metrics").starts_with("http://127.0.0.1:"), "metrics stay on loopback");
}
