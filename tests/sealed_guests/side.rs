//! A login on the client library: grants, proofs, and recordings of what the server sends.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use bytes::Bytes;
use sightline_client::api::{Api, ApiError};
use sightline_client::keys::TerminalKeys;
use sightline_client::secret::ChallengeFor;
use sightline_client::watch::Viewer;
use sightline_client::{Identity, Roots, SessionTarget};
use sightline_grant::Redacted;
use sightline_relay_proto::codec::MediaKind;
use tokio_util::task::AbortOnDropHandle;

use crate::support::server::{HTTPS_ORIGIN, ORIGIN, Server};
use crate::support::terminal::Terminal;

/// How often something awaited is looked at.
const POLL: Duration = Duration::from_millis(30);
/// Longest wait for a camera.
const LIMIT: Duration = Duration::from_secs(60);

/// Microseconds since 1970.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    since.as_micros() as u64
}

/// A sealed frame as the server sent it.
#[derive(Clone)]
pub(crate) struct Recorded {
    /// The whole sealed frame.
    pub(crate) frame: Bytes,
    /// What its descriptor says, microseconds since 1970.
    pub(crate) captured: u64,
    /// Microseconds since 1970.
    pub(crate) arrived: u64,
    /// A frame of sound.
    pub(crate) is_sound: bool,
}

/// A login.
pub(crate) struct Side {
    pub(crate) api: Api,
    pub(crate) access: Redacted<String>,
    identity: Arc<Identity>,
    roots: Roots,
}

impl Side {
    /// Of a terminal that is signed in.
    pub(crate) fn of(server: &Server, terminal: &Terminal) -> Self {
        let pem = std::fs::read(server.ca()).expect("the CA");
        let roots = Roots::from_pem(&pem).expect("the CA");
        let identity = Arc::new(Identity::from_pkcs8(terminal.key_der()).expect("a key"));
        let api = Api::new(HTTPS_ORIGIN, Some(&roots), identity.clone()).expect("an API");
        let access = Redacted::new(terminal.access_token().to_owned());
        Self { api, access, identity, roots }
    }

    /// Proves the device key by a terminal's keys.
    pub(crate) async fn prove_by(&self, serial: &str, keys: &TerminalKeys) -> Result<(), ApiError> {
        let server = &self.api.server_name().await?;
        let challenge = self.api.key_challenge(&self.access, serial, 0).await?;
        let message = B64.decode(&challenge.message).expect("base64url");
        let terminal = self.identity.thumbprint();
        let asked = ChallengeFor { server, terminal, serial, channel: 0 };
        let signature = keys.sign_challenge(&message, asked).expect("the challenge");
        let (id, signing) = (&challenge.challenge_id, keys.public().signing);
        self.api.terminal_key_proof(&self.access, serial, id, &signing, &signature).await
    }

    /// A fresh grant.
    pub(crate) async fn grant(&self, serial: &str) -> Result<Redacted<String>, ApiError> {
        Ok(self.api.media_grant(&self.access, serial, 0).await?.grant)
    }

    /// A path that opens a WebSocket once.
    pub(crate) async fn socket_ticket(&self, serial: &str) -> Result<String, ApiError> {
        let grant = self.grant(serial).await?;
        Ok(self.api.socket_session(&grant, serial, 0).await?.path)
    }

    /// The status that a WebSocket at such a path is answered with.
    pub(crate) async fn enter_socket(&self, path: &str) -> u16 {
        let client = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
        let request = client
            .get(format!("{ORIGIN}{path}"))
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
            .header("Origin", ORIGIN);
        request.send().await.expect("an answer").status().as_u16()
    }

    /// Records everything that the server sends of a live camera.
    pub(crate) async fn watch(&self, serial: &str) -> Recording {
        let grant = self.grant(serial).await.expect("a grant");
        let session = self.api.roq_session(&grant, serial, 0).await.expect("a session");
        let server = [127, 0, 0, 1].into();
        let (roots, identity) = (self.roots.clone(), self.identity.clone());
        let target = SessionTarget { server, session, roots, identity, endpoint: None };
        let viewer = Viewer::connect(&target).await.expect("connected");
        let kept = Arc::new(Mutex::new(Kept::default()));
        let task = tokio::spawn(record(viewer, kept.clone()));
        Recording { kept, _task: AbortOnDropHandle::new(task) }
    }
}

#[derive(Default)]
struct Kept {
    frames: Vec<Recorded>,
    ended: Option<Instant>,
}

/// What came over one session.
pub(crate) struct Recording {
    kept: Arc<Mutex<Kept>>,
    _task: AbortOnDropHandle<()>,
}

impl Recording {
    /// All frames so far.
    pub(crate) fn all(&self) -> Vec<Recorded> {
        self.kept.lock().expect("unpoisoned").frames.clone()
    }

    /// Puts frames of an earlier session before these.
    pub(crate) fn prepend(&self, mut earlier: Vec<Recorded>) {
        let frames = &mut self.kept.lock().expect("unpoisoned").frames;
        earlier.append(frames);
        *frames = earlier;
    }

    /// Waits until enough was recorded.
    pub(crate) async fn until(&self, what: &str, enough: impl Fn(&[Recorded]) -> bool) {
        let deadline = Instant::now() + LIMIT;
        while !enough(&self.kept.lock().expect("unpoisoned").frames) {
            assert!(Instant::now() < deadline, "no {what}");
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits for the end of the session.
    pub(crate) async fn ended(&self, within: Duration) {
        let deadline = Instant::now() + within;
        while self.kept.lock().expect("unpoisoned").ended.is_none() {
            assert!(Instant::now() < deadline, "the session goes on after {within:?}");
            tokio::time::sleep(POLL).await;
        }
    }
}

async fn record(mut viewer: Viewer, kept: Arc<Mutex<Kept>>) {
    while let Ok(frame) = viewer.next().await {
        let (head, bytes) = frame.sealed().expect("a sealed frame");
        let recorded = Recorded {
            frame: bytes,
            captured: head.descriptor.capture.0,
            arrived: now(),
            is_sound: frame.codec.kind() == MediaKind::Audio,
        };
        kept.lock().expect("unpoisoned").frames.push(recorded);
    }
    kept.lock().expect("unpoisoned").ended = Some(Instant::now());
}
