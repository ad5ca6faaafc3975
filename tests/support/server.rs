//! The server as its users run it: one process with a folder of its own.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::network;
use super::process::{Output, Process, wait_for};

/// Page and API, on loopback.
pub const ORIGIN: &str = "http://127.0.0.1:8080";
/// The same over TLS, as the local CA signs it.
pub const HTTPS_ORIGIN: &str = "https://localhost:8443";
/// The data folder inside the server's folder.
const DATA: &str = "data";
/// Metrics, on loopback.
const METRICS: &str = "127.0.0.1:9464";
/// RTSP port.
pub const RTSP: u16 = 8554;
/// How long the server may take to answer after its start.
const START_LIMIT: Duration = Duration::from_secs(20);
/// How long a development SMS may take.
const SMS_LIMIT: Duration = Duration::from_secs(10);

/// Devices added by this program so far; makes serials unique.
static DEVICES: AtomicU32 = AtomicU32::new(0);

/// A running server.
pub struct Server {
    process: Process,
    folder: TempDir,
    flags: Vec<String>,
}

/// A device as `sightline admin device add` prints it.
#[derive(Clone, Debug, Default)]
pub struct Device {
    /// Serial.
    pub serial: String,
    /// Printed verification code.
    pub code: String,
    /// Device secret in base32; for an open device that is its publish password.
    pub password: String,
    /// A plain RTSP or WHIP camera, which has a publish password.
    pub open: bool,
    /// Folder of an agent, with the CA of its server as `ca.pem`.
    pub agent: Option<PathBuf>,
    /// An agent that seals what it sends.
    pub sealed: bool,
}

fn binary() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_sightline"))
}

/// The command line of the product. Variables of the tests themselves would be refused as unknown
/// configuration keys, so none is passed on.
pub fn sightline() -> Command {
    let mut command = Command::new(binary());
    command.stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SIGHTLINE_") {
            command.env_remove(name);
        }
    }
    command
}

impl Server {
    /// Starts `sightline serve` without the demo camera and waits until it answers.
    pub fn start() -> Self {
        Self::start_with(&["--no-demo"])
    }

    /// The same with other flags, e.g. none at all for the demo camera.
    pub fn start_with(flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let process = launch(folder.path(), &flags);
        let mut server = Self { process, folder, flags };
        server.wait_until_ready();
        server
    }

    /// Kills it as a power cut would and starts it again on the same data.
    pub fn crash_and_restart(&mut self) {
        self.process.stop();
        self.process = launch(self.folder.path(), &self.flags);
        self.wait_until_ready();
    }

    /// Starts it again with cameras to pull: the device, and the camera's address without login.
    pub fn restart_pulling(&mut self, cameras: &[(&Device, &str)], user: &str, password: &str) {
        let secret = self.folder.path().join("camera-password.txt");
        fs::write(&secret, password).expect("a writable folder");
        let entry = |(device, url): &(&Device, &str)| {
            format!(
                "[[pull]]\nserial = {:?}\nurl = {url:?}\nuser = {user:?}\npassword_file = {secret:?}\n\
                 allow_loopback = true\n",
                device.serial
            )
        };
        let config = self.folder.path().join("pull.toml");
        let text: String = cameras.iter().map(entry).collect();
        fs::write(&config, text).expect("a writable folder");
        self.flags.extend(["--config".to_owned(), config.display().to_string()]);
        self.crash_and_restart();
    }

    fn wait_until_ready(&mut self) {
        let process = &mut self.process;
        wait_for("the server", START_LIMIT, || {
            if let Some(status) = process.ended() {
                panic!("the server ended with {status}:\n{}", process.complaints());
            }
            http_get("/v1/server").filter(|answer| answer.starts_with("HTTP/1.1 200")).map(drop)
        });
    }

    /// Its data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join(DATA)
    }

    /// The CA that its clients pin.
    pub fn ca(&self) -> PathBuf {
        self.data().join("pki/ca.pem")
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Everything that it wrote to its log so far.
    pub fn log(&self) -> String {
        let stdout = fs::read(self.folder.path().join("server.out")).unwrap_or_default();
        format!("{}{}", String::from_utf8_lossy(&stdout), self.process.complaints())
    }

    /// Its metrics as text.
    pub fn metrics(&self) -> String {
        http_get_from(METRICS, "/metrics").expect("it tells its metrics")
    }

    /// Adds an open device (plain RTSP and WHIP cameras, and cameras that the server pulls).
    pub fn add_open_device(&self) -> Device {
        self.add_device(&["--open"])
    }

    /// Adds a camera behind the agent, with an identity in a folder of its own, whose media is open.
    pub fn add_agent(&self) -> Device {
        self.add_agent_with(&["--mode", "open"])
    }

    /// The same, sealed, as it is unless told.
    pub fn add_sealed_agent(&self) -> Device {
        Device { sealed: true, ..self.add_agent_with(&[]) }
    }

    fn add_agent_with(&self, flags: &[&str]) -> Device {
        let folder = self.folder.path().join(format!("agent-{}", next_number()));
        let identity = new_identity(&folder);
        fs::copy(self.ca(), folder.join("ca.pem")).expect("the server made its CA");
        let flags = [&["--identity", identity.as_str()], flags].concat();
        Device { agent: Some(folder), open: false, ..self.add_device(&flags) }
    }

    fn add_device(&self, flags: &[&str]) -> Device {
        let serial = format!("CAM-{}", next_number());
        let json = self.admin(&[&["device", "add", "--serial", &serial], flags].concat());
        let text = |name: &str| json[name].as_str().map(str::to_owned);
        Device {
            serial,
            code: text("verification_code").expect("a verification code"),
            password: text("publish_password").unwrap_or_default(),
            open: true,
            ..Device::default()
        }
    }

    /// The camera that `serve` starts for newcomers: an agent that publishes by RTP over QUIC.
    pub fn demo_camera(&self) -> Device {
        let bind = self.data().join("demo-bind.txt");
        let text = wait_for("the demo camera", START_LIMIT, || {
            fs::read_to_string(&bind).ok().filter(|text| text.trim().split(':').count() == 3)
        });
        let mut parts = text.trim().split(':').skip(1).map(str::to_owned);
        let serial = parts.next().expect("three parts");
        let code = parts.next().expect("three parts");
        let agent = Some(self.data().join("demo-camera"));
        Device { serial, code, agent, ..Device::default() }
    }

    /// Runs `sightline admin ... --json` and reads its answer.
    pub fn admin(&self, words: &[&str]) -> Value {
        admin(&self.data(), words)
    }

    /// Number of messages of a purpose to a phone number so far.
    pub fn sms_count(&self, phone: &str, purpose: &str) -> usize {
        self.sms(phone, purpose).len()
    }

    /// The code of the message after the first `seen` ones.
    pub fn sms_after(&self, seen: usize, phone: &str, purpose: &str) -> String {
        wait_for("the SMS code", SMS_LIMIT, || self.sms(phone, purpose).get(seen).cloned())
    }

    /// Codes of a purpose (`login` or `view`) sent to a number, the oldest first.
    fn sms(&self, phone: &str, purpose: &str) -> Vec<String> {
        let text = fs::read_to_string(self.data().join("dev-sms.txt")).unwrap_or_default();
        let head = format!(" to {phone}\n");
        let wanted = if purpose == "login" { "sign-in code" } else { "opens the view of" };
        text.split("DEVELOPMENT SMS")
            .filter(|message| message.starts_with(&head) && message.contains(wanted))
            .filter_map(|message| {
                let bound = message.lines().rfind(|line| line.starts_with('@'))?;
                Some(bound.split_once('#')?.1.trim().to_owned())
            })
            .collect()
    }
}

/// Runs `sightline admin ... --json` on a data folder and reads its answer.
pub fn admin(data: &Path, words: &[&str]) -> Value {
    let mut command = sightline();
    command.arg("admin").arg("--data").arg(data).args(words).arg("--json");
    let output = command.output().expect("the binary runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "admin {words:?}: {said}");
    serde_json::from_slice(&output.stdout).expect("JSON from admin")
}

/// Makes an agent's identity in a folder; its public half as `device add --identity` takes it.
pub fn new_identity(folder: &Path) -> String {
    let mut command = sightline();
    command.args(["camera", "--print-identity", "--folder"]).arg(folder);
    let output = command.output().expect("the binary runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn next_number() -> u32 {
    DEVICES.fetch_add(1, Ordering::Relaxed) + 1
}

fn launch(folder: &Path, flags: &[String]) -> Process {
    let mut command = sightline();
    command
        .args(["serve", "--data"])
        .arg(folder.join(DATA))
        .args(["--listen.webrtc", "0.0.0.0:8189"])
        .args(flags)
        .env(
            "SIGHTLINE_SERVER_PUBLIC_ADDRESSES",
            format!("[\"{}\", \"127.0.0.1\"]", network::ADDRESS),
        );
    Process::start("server", folder, &mut command, Output::File)
}

/// A bare HTTP GET, for readiness.
fn http_get(path: &str) -> Option<String> {
    http_get_from(ORIGIN.strip_prefix("http://").expect("plain HTTP"), path)
}

fn http_get_from(address: &str, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}
