//! `sightline serve` as a process with a folder and free ports of its own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use sightline_client::api::Api;
use sightline_client::{Identity, Roots};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// How long the server may take to answer after its start, and a message to be delivered.
const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);

/// A running server.
pub struct Server {
    child: Child,
    folder: TempDir,
    pub origin: String,
    pub roots: Roots,
    pub ports: BTreeMap<String, u16>,
    /// Hashes of the certificates of WebTransport.
    pub web_hashes: Vec<[u8; 32]>,
    tls: Arc<rustls::ClientConfig>,
    metrics: SocketAddr,
}

/// What `sightline admin device add` prints.
pub struct NewDevice {
    pub serial: String,
    pub code: String,
}

impl Server {
    /// Starts it without the demo camera and waits until it answers.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with further flags.
    pub async fn start_with(flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // The metrics' door is nowhere told, so it is chosen here.
        let metrics = std::net::TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr());
        let metrics = metrics.expect("a free port");
        let data = folder.path().join("data");
        let mut command = sightline();
        command.arg("serve").arg("--no-demo").arg("--data").arg(&data);
        for door in ["http", "https", "roq", "webrtc", "rtsp", "rtsps", "rtsp_udp"] {
            command.arg(format!("--listen.{door}")).arg("127.0.0.1:0");
        }
        let log = std::fs::File::create(folder.path().join("log")).expect("a file");
        command.arg("--listen.metrics").arg(metrics.to_string()).args(flags);
        command.env("SIGHTLINE_LOG_LEVEL", "warn").stdin(Stdio::null()).stderr(log);
        let mut child =
            command.stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("the server starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let origin = loop {
            let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("a line");
            let line = line.expect("text").expect("the server runs");
            if let Some(page) = line.trim().strip_prefix("page") {
                let page = page.trim().trim_end_matches('/');
                break page.replace("localhost", "127.0.0.1");
            }
        };
        // Read on, so that the server never waits for a reader of its standard output.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let pem = std::fs::read(data.join("pki/ca.pem")).expect("the local CA");
        let nobody = Arc::new(Identity::generate_terminal().expect("a key"));
        let info = Api::new(&origin, None, nobody).expect("loopback").server().await;
        let info = info.expect("the server answers");
        let hash =
            |text: &String| B64.decode(text).expect("base64url").try_into().expect("SHA-256");
        Self {
            child,
            folder,
            origin,
            roots: Roots::from_pem(&pem).expect("a certificate"),
            web_hashes: info.webtransport_hashes.iter().map(hash).collect(),
            ports: info.ports,
            tls: Arc::new(tls_of(&pem)),
            metrics,
        }
    }

    /// Process id.
    pub fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Its data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A door's address.
    pub fn at(&self, door: &str) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.ports[door]))
    }

    /// A gauge or counter among its metrics; 0 if it is not there.
    pub async fn metric(&self, name: &str) -> u64 {
        let mut tcp = TcpStream::connect(self.metrics).await.expect("metrics");
        let request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        tcp.write_all(request).await.expect("sent");
        let mut text = String::new();
        tcp.read_to_string(&mut text).await.expect("text");
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.parse().ok()).unwrap_or(0)
    }

    /// TLS of a client that pins the local CA.
    pub fn tls(&self) -> Arc<rustls::ClientConfig> {
        self.tls.clone()
    }

    pub fn api(&self, identity: &Arc<Identity>) -> Api {
        Api::new(&self.origin, None, identity.clone()).expect("loopback")
    }

    /// Adds a camera that proves itself with `identity`.
    pub async fn add_device(&self, serial: &str, identity: &Identity) -> NewDevice {
        let mut command = sightline();
        command.args(["admin", "--json", "--data"]).arg(self.data());
        command.args(["device", "add", "--mode", "open", "--serial", serial]);
        let output = command.arg(format!("--identity={}", identity.thumbprint())).output().await;
        let output = output.expect("the binary runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "admin device add: {said}");
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let text = |name: &str| json[name].as_str().expect("a string").to_owned();
        NewDevice { serial: text("serial"), code: text("verification_code") }
    }

    /// Number of messages to a phone so far.
    pub fn sms_count(&self, phone: &str) -> usize {
        self.sms(phone).len()
    }

    /// The code of the message after the first `seen` ones.
    pub async fn sms_after(&self, phone: &str, seen: usize) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(code) = self.sms(phone).into_iter().nth(seen) {
                return code;
            }
            assert!(Instant::now() < deadline, "no SMS after {seen} others");
            tokio::time::sleep(POLL).await;
        }
    }

    /// Codes sent to a phone. A message is several lines; its last one ends with the code.
    fn sms(&self, phone: &str) -> Vec<String> {
        let path = self.data().join("dev-sms.txt");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let mut codes = Vec::new();
        let mut ours = false;
        for line in text.lines() {
            if let Some(to) = line.strip_prefix("DEVELOPMENT SMS to ") {
                ours = to == phone;
            } else if let Some((host, code)) = line.split_once(" #")
                && host.starts_with('@')
                && ours
            {
                codes.push(code.to_owned());
            }
        }
        codes
    }

    /// What the server logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.start_kill();
        if std::thread::panicking() {
            eprintln!("-- the server said:\n{}", self.log());
        }
    }
}

/// The product, without the tests' own settings: it refuses a variable that is no key of its own.
pub fn sightline() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sightline"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SIGHTLINE_") {
            command.env_remove(name);
        }
    }
    command
}

fn tls_of(pem: &[u8]) -> rustls::ClientConfig {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        roots.add(certificate.expect("PEM")).expect("a certificate");
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("known versions")
        .with_root_certificates(roots)
        .with_no_client_auth()
}
