//! The server as its users run it: one process with a folder of its own.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::network;
use super::process::{Output, Process, wait_for};

/// Page and API, on loopback.
pub const ORIGIN: &str = "http://127.0.0.1:8080";
/// RTSP port.
pub const RTSP: u16 = 8554;
/// How long the server may take to answer after its start.
const START_LIMIT: Duration = Duration::from_secs(20);
/// How long a development SMS may take.
const SMS_LIMIT: Duration = Duration::from_secs(10);

/// A running server.
pub struct Server {
    process: Process,
    folder: TempDir,
}

/// A device as `sightline admin device add` prints it.
#[derive(Clone, Debug)]
pub struct Device {
    /// Serial.
    pub serial: String,
    /// Printed verification code.
    pub code: String,
    /// Device secret in base32; for an open device that is its publish password.
    pub password: String,
    /// Open (plain RTSP and WHIP cameras) or sealed.
    pub open: bool,
}

fn binary() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_sightline"))
}

/// The command line of the product.
pub fn sightline() -> Command {
    let mut command = Command::new(binary());
    command.stdin(Stdio::null());
    command
}

impl Server {
    /// Starts `sightline serve` without the demo camera and waits until it answers.
    pub fn start() -> Self {
        Self::start_with(&["--no-demo"])
    }

    /// The same with other flags.
    pub fn start_with(flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let process = launch(folder.path(), flags);
        let mut server = Self { process, folder };
        server.wait_until_ready();
        server
    }

    /// Kills it as a power cut would and starts it again on the same data.
    pub fn crash_and_restart(&mut self, flags: &[&str]) {
        self.process.stop();
        self.process = launch(self.folder.path(), flags);
        self.wait_until_ready();
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

    /// Its folder.
    pub fn data(&self) -> &Path {
        self.folder.path()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Everything that it wrote to its log so far.
    pub fn log(&self) -> String {
        let stdout = fs::read(self.data().join("server.out")).unwrap_or_default();
        format!("{}{}", String::from_utf8_lossy(&stdout), self.process.complaints())
    }

    /// Adds an open device (plain RTSP and WHIP cameras).
    pub fn add_open_device(&self) -> Device {
        self.add_device(&["--open"])
    }

    /// Adds an open device that the relay pulls from.
    pub fn add_pulled_device(&self, url: &str) -> Device {
        self.add_device(&["--open", "--pull", url])
    }

    fn add_device(&self, flags: &[&str]) -> Device {
        let json = self.admin(&[&["device", "add"], flags].concat());
        let text = |names: &[&str]| {
            let found = names.iter().find_map(|name| json[*name].as_str());
            found.unwrap_or_else(|| panic!("no {} in {json}", names[0])).to_owned()
        };
        Device {
            serial: text(&["serial"]),
            code: text(&["code", "verification_code"]),
            password: text(&["password", "publish_password", "secret"]),
            open: true,
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
        Device { serial, code, password: String::new(), open: false }
    }

    /// The demo camera's device secret, which it makes when it is bound.
    pub fn demo_secret(&self) -> String {
        let path = self.data().join("demo-camera/secret.txt");
        wait_for("the demo camera's secret", START_LIMIT, || {
            let text = fs::read_to_string(&path).ok()?;
            Some(text.trim().to_owned()).filter(|text| !text.is_empty())
        })
    }

    /// Runs `sightline admin ... --json` and reads its answer.
    pub fn admin(&self, words: &[&str]) -> Value {
        let mut command = sightline();
        command.arg("admin").arg("--data").arg(self.data()).args(words).arg("--json");
        let output = command.output().expect("the binary runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "admin {words:?}: {said}");
        serde_json::from_slice(&output.stdout).expect("JSON from admin")
    }

    /// Number of messages of a purpose to a phone number so far.
    pub fn sms_count(&self, phone: &str, purpose: &str) -> usize {
        self.sms(phone, purpose).len()
    }

    /// The code of the message after the first `seen` ones.
    pub fn sms_after(&self, seen: usize, phone: &str, purpose: &str) -> String {
        wait_for("the SMS code", SMS_LIMIT, || self.sms(phone, purpose).get(seen).cloned())
    }

    fn sms(&self, phone: &str, purpose: &str) -> Vec<String> {
        let text = fs::read_to_string(self.data().join("dev-sms.txt")).unwrap_or_default();
        let fields = text.lines().map(|line| line.split('\t').collect::<Vec<_>>());
        fields
            .filter(|fields| fields.len() == 4 && fields[1] == phone && fields[2] == purpose)
            .map(|fields| fields[3].to_owned())
            .collect()
    }
}

fn launch(data: &Path, flags: &[&str]) -> Process {
    let mut command = sightline();
    command
        .args(["serve", "--data"])
        .arg(data)
        .args(flags)
        .env("SIGHTLINE_PUBLIC_ADDRESSES", format!("{},127.0.0.1", network::ADDRESS));
    Process::start("server", data, &mut command, Output::File)
}

/// A bare HTTP GET, for readiness.
fn http_get(path: &str) -> Option<String> {
    let address = ORIGIN.strip_prefix("http://").expect("plain HTTP");
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}
