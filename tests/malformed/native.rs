//! The server as a process on free loopback ports, and a user who passes its gate with the
//! product's own client. Nothing here needs a network namespace.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde_json::Value;
use sightline_client::api::{
    Api, BindRequest, ConsentGiven, OtpRequest, RtspHandle, ServerInfo, SignIn,
};
use sightline_client::secret::ChallengeFor;
use sightline_client::wire::RoqSession;
use sightline_client::{DeviceSecret, Identity, Roots, SessionTarget};
use sightline_grant::Redacted;
use tempfile::TempDir;

/// How long anything that should happen soon may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Pause between two looks at something awaited.
const POLL: Duration = Duration::from_millis(20);
/// A development server sends one number one message in this time.
const SMS_PAUSE: Duration = Duration::from_millis(2100);

/// A child that ends with its handle.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.0.try_wait().expect("our own child").is_none()
    }

    pub(crate) fn take_stdout(&mut self) -> std::process::ChildStdout {
        self.0.stdout.take().expect("standard output is piped")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The product's command line, without settings of the surroundings.
pub(crate) fn sightline() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sightline"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SIGHTLINE_")) {
        command.env_remove(name);
    }
    command
}

/// A running server with a folder of its own.
pub(crate) struct Server {
    process: Process,
    folder: TempDir,
    /// Page and API, such as `http://127.0.0.1:43210`.
    pub(crate) origin: String,
    /// What it says of itself.
    pub(crate) info: ServerInfo,
    /// Even port of RTP of RTSP over UDP; RTCP is the next one.
    pub(crate) rtsp_udp: u16,
    metrics: SocketAddr,
}

/// A device as `sightline admin device add` prints it.
pub(crate) struct Device {
    pub(crate) serial: String,
    code: String,
    /// Publish password of an open device.
    pub(crate) password: String,
}

impl Server {
    /// Starts it with more flags and waits until it answers.
    pub(crate) async fn start(flags: &[&str]) -> Self {
        // A second installation in one process is refused, which is fine.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let rtsp_udp = free_pair();
        let mut command = sightline();
        command.arg("serve").arg("--data").arg(folder.path().join("data")).args(flags);
        for key in ["http", "https", "roq", "webrtc", "rtsp", "rtsps", "metrics"] {
            let flag = format!("--listen.{key}");
            if !flags.contains(&flag.as_str()) {
                command.arg(flag).arg("127.0.0.1:0");
            }
        }
        command.arg("--listen.rtsp_udp").arg(format!("127.0.0.1:{rtsp_udp}"));
        let errors = File::create(folder.path().join("server.err")).expect("a file");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors);
        let mut process = Process(command.spawn().expect("the server starts"));
        let (origin, metrics) = addresses(&mut process);
        let info = server_info(&origin).await;
        Self { process, folder, origin, info, rtsp_udp, metrics }
    }

    /// Its data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A folder for a test's own files, beside the data.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Address of a port by its name.
    pub(crate) fn address(&self, name: &str) -> SocketAddr {
        if name == "metrics" {
            return self.metrics;
        }
        let port = self.info.ports.get(name).unwrap_or_else(|| panic!("no port {name}"));
        SocketAddr::from((Ipv4Addr::LOCALHOST, *port))
    }

    /// What it wrote to standard error.
    pub(crate) fn complaints(&self) -> String {
        fs::read_to_string(self.folder.path().join("server.err")).unwrap_or_default()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    /// Resident memory, KiB.
    pub(crate) fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()));
        let status = status.expect("the server lives");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.and_then(|text| text.parse().ok()).expect("a number")
    }

    /// Open file descriptors.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.process.id())).map_or(0, Iterator::count)
    }

    /// Its CA as pinned roots.
    pub(crate) fn roots(&self) -> Roots {
        let pem = fs::read(self.data().join("pki/ca.pem")).expect("the CA certificate");
        Roots::from_pem(&pem).expect("a certificate")
    }

    pub(crate) fn api(&self, identity: Arc<Identity>) -> Api {
        Api::new(&self.origin, Some(&self.roots()), identity).expect("a usable address")
    }

    /// Runs `sightline admin`.
    pub(crate) fn admin(&self, words: &[&str]) -> Value {
        let mut command = sightline();
        command.arg("admin").arg("--data").arg(self.data()).arg("--json").args(words);
        let output = command.output().expect("the binary runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "admin {words:?}: {said}");
        serde_json::from_slice(&output.stdout).expect("JSON from admin")
    }

    /// Adds a camera that speaks RTSP or WHIP.
    pub(crate) fn add_open(&self, serial: &str) -> Device {
        let json = self.admin(&["device", "add", "--serial", serial, "--open"]);
        let text = |name: &str| json[name].as_str().expect("a string").to_owned();
        Device {
            serial: text("serial"),
            code: text("verification_code"),
            password: text("publish_password"),
        }
    }

    /// Adds an agent of open media and starts it with these flags.
    pub(crate) fn start_agent(&self, serial: &str, flags: &[&str]) -> (Device, Process) {
        let folder = self.folder.path().join(serial);
        let mut command = sightline();
        command.arg("camera").arg("--folder").arg(&folder).arg("--print-identity");
        let output = command.output().expect("the binary runs");
        let identity = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let add = ["device", "add", "--serial", serial, "--mode", "open", "--identity"];
        let json = self.admin(&[&add[..], &[identity.as_str()]].concat());
        let code = json["verification_code"].as_str().expect("a string").to_owned();
        let mut command = sightline();
        command.arg("camera").arg("--folder").arg(&folder).args(["--serial", serial]);
        command
            .args(["--mode", "open", "--server", &self.origin])
            .arg("--ca")
            .arg(self.data().join("pki/ca.pem"));
        let errors = File::create(self.folder.path().join("camera.err")).expect("a file");
        command.args(flags).stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors);
        let process = Process(command.spawn().expect("the camera starts"));
        (Device { serial: serial.to_owned(), code, password: String::new() }, process)
    }

    /// The demo camera.
    pub(crate) async fn demo(&self) -> Device {
        let text = await_file(&self.data().join("demo-bind.txt")).await;
        let mut parts = text.trim().split(':').skip(1).map(str::to_owned);
        let mut part = || parts.next().expect("SL1:serial:code");
        Device { serial: part(), code: part(), password: String::new() }
    }

    /// Folder in which a camera keeps its secret.
    fn secret_file(&self, device: &Device) -> PathBuf {
        let own = self.folder.path().join(&device.serial);
        if own.exists() { own } else { self.data().join("demo-camera") }.join("secret.txt")
    }

    fn messages(&self, phone: &str) -> Vec<String> {
        let text = fs::read_to_string(self.data().join("dev-sms.txt")).unwrap_or_default();
        let mut codes = Vec::new();
        let mut ours = false;
        for line in text.lines() {
            if let Some(number) = line.strip_prefix("DEVELOPMENT SMS to ") {
                ours = number.trim().trim_end_matches(':') == phone;
            } else if let Some((_, code)) = line.rsplit_once(" #")
                && ours
                && line.starts_with('@')
            {
                codes.push(code.trim().to_owned());
            }
        }
        codes
    }
}

/// Reads the addresses of page and metrics from the start's output, and goes on reading so that it
/// never blocks.
fn addresses(process: &mut Process) -> (String, SocketAddr) {
    let lines = BufReader::new(process.take_stdout()).lines();
    let (sender, receiver) = std::sync::mpsc::channel();
    thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            // Nobody listens any more once both addresses are known.
            let _ = sender.send(line.trim().to_owned());
        }
    });
    let await_line = |name: &str| loop {
        let line = receiver.recv_timeout(PATIENCE);
        let line = line.unwrap_or_else(|_| panic!("the server prints the address of {name}"));
        if let Some(address) = line.strip_prefix(name) {
            return address.trim().trim_end_matches("/metrics").trim_end_matches('/').to_owned();
        }
    };
    let page = await_line("page").replace("localhost", "127.0.0.1");
    let metrics = await_line("metrics").replace("http://", "");
    (page, metrics.parse().expect("an address"))
}

async fn server_info(origin: &str) -> ServerInfo {
    let identity = Arc::new(Identity::generate_terminal().expect("randomness"));
    let api = Api::new(origin, None, identity).expect("a loopback address");
    api.server().await.expect("the server answers")
}

/// An even UDP port that is free, like the one after it.
fn free_pair() -> u16 {
    for _ in 0..100 {
        let first = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let port = first.local_addr().expect("an address").port();
        if port.is_multiple_of(2) && UdpSocket::bind(("127.0.0.1", port + 1)).is_ok() {
            return port;
        }
    }
    panic!("no free pair of UDP ports")
}

async fn await_file(path: &Path) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = fs::read_to_string(path).unwrap_or_default();
        if !text.trim().is_empty() {
            return text;
        }
        assert!(Instant::now() < deadline, "{} is not written", path.display());
        tokio::time::sleep(POLL).await;
    }
}

/// A signed-in user at a terminal.
pub(crate) struct User {
    pub(crate) api: Api,
    pub(crate) identity: Arc<Identity>,
    access: Redacted<String>,
    phone: String,
}

impl User {
    /// Registers with a phone number and consents to viewing.
    pub(crate) async fn sign_in(server: &Server, phone: &str) -> Self {
        let identity = Arc::new(Identity::generate_terminal().expect("randomness"));
        let api = server.api(identity.clone());
        let request = OtpRequest::Login { target: Redacted::new(phone.to_owned()) };
        let challenge = api.otp(&request, None).await.expect("a challenge");
        let purposes = api.purposes().await.expect("purposes");
        let purpose = |id: &str| purposes.iter().find(|purpose| purpose.id == id).expect("known");
        let request = SignIn {
            challenge_id: challenge.challenge_id,
            code: await_code(server, phone, 0).await,
            terminal_name: "native test".into(),
            client_type: "test".into(),
            consents: vec![ConsentGiven::from(purpose("account"))],
        };
        let login = api.sign_in(&request).await.expect("a login");
        let access = login.tokens.access_token;
        let view = purpose("media.view");
        api.consent(&access, &view.id, view.version).await.expect("a consent");
        Self { api, identity, access, phone: phone.to_owned() }
    }

    /// Binds a device, proves its key and opens the SMS window.
    pub(crate) async fn open(&self, server: &Server, device: &Device) {
        let mut request = BindRequest {
            serial: device.serial.clone(),
            code: Redacted::new(device.code.clone()),
            challenge_id: None,
            signature: None,
        };
        let mut secret = device.password.clone();
        if !secret.is_empty() {
            let (challenge, signature) = self.signed(&device.serial, &secret).await;
            request.challenge_id = Some(challenge);
            request.signature = Some(B64.encode(signature));
        }
        self.api.bind(&self.access, &request).await.expect("a binding");
        if secret.is_empty() {
            let text = await_file(&server.secret_file(device)).await;
            secret = text.lines().next().unwrap_or_default().trim().to_owned();
            self.await_key(&device.serial).await;
        }
        let (challenge, signature) = self.signed(&device.serial, &secret).await;
        let proof = self.api.key_proof(&self.access, &device.serial, &challenge, &signature).await;
        proof.expect("a proven key");
        self.step_up(server, &device.serial).await;
    }

    async fn step_up(&self, server: &Server, serial: &str) {
        tokio::time::sleep(SMS_PAUSE).await;
        let seen = server.messages(&self.phone).len();
        let request = OtpRequest::View { serial: serial.to_owned() };
        let challenge = self.api.otp(&request, Some(&self.access)).await.expect("a challenge");
        let code = await_code(server, &self.phone, seen).await;
        let window = self.api.step_up(&self.access, &challenge.challenge_id, &code).await;
        window.expect("an SMS window");
    }

    async fn await_key(&self, serial: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let devices = self.api.devices(&self.access).await.expect("devices");
            if devices.iter().any(|device| device.serial == serial && device.key_ready) {
                return;
            }
            assert!(Instant::now() < deadline, "{serial} sends no key verifier");
            tokio::time::sleep(POLL).await;
        }
    }

    async fn signed(&self, serial: &str, secret: &str) -> (String, [u8; 64]) {
        let challenge = self.api.key_challenge(&self.access, serial, 0).await.expect("a challenge");
        let message = B64.decode(&challenge.message).expect("base64url");
        let secret = DeviceSecret::parse(secret).expect("a device secret");
        let key = secret.auth_key().expect("a key");
        let server = &self.api.server_name().await.expect("the server's name");
        let terminal = self.api.identity().thumbprint();
        let asked = ChallengeFor { server, terminal, serial, channel: 0 };
        let signature = key.sign_challenge(&message, asked).expect("the challenge");
        (challenge.challenge_id, signature)
    }

    /// A fresh grant; waits until the camera is live.
    pub(crate) async fn grant(&self, serial: &str) -> Redacted<String> {
        self.api.media_grant(&self.access, serial, 0).await.expect("a grant").grant
    }

    /// A session to watch by RTP over QUIC, once the camera is live.
    pub(crate) async fn watch(&self, server: &Server, serial: &str) -> SessionTarget {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let grant = self.grant(serial).await;
            match self.api.roq_session(&grant, serial, 0).await {
                Ok(session) => return self.target(server, session),
                Err(error) => {
                    assert_eq!(error.problem(), Some("not-live"), "{error}");
                    assert!(Instant::now() < deadline, "{serial} is not live");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    pub(crate) fn target(&self, server: &Server, session: RoqSession) -> SessionTarget {
        SessionTarget {
            server: Ipv4Addr::LOCALHOST.into(),
            session,
            roots: server.roots(),
            identity: self.identity.clone(),
            endpoint: None,
        }
    }

    /// A one-use RTSP login.
    pub(crate) async fn rtsp(&self, serial: &str) -> RtspHandle {
        let grant = self.grant(serial).await;
        self.api.rtsp_handle(&grant, serial, 0).await.expect("an RTSP login")
    }

    /// A proof of possession for a request with a grant.
    pub(crate) fn proof(&self, server: &Server, path: &str, grant: &str) -> String {
        self.identity.proof("POST", path, Some(grant), &server.origin).expect("a proof")
    }
}

async fn await_code(server: &Server, phone: &str, seen: usize) -> Redacted<String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(code) = server.messages(phone).get(seen) {
            return Redacted::new(code.clone());
        }
        assert!(Instant::now() < deadline, "no SMS came");
        tokio::time::sleep(POLL).await;
    }
}
