//! Passing the gate like any app: accounts, terminals, bindings, key proofs, SMS windows, consent.
//!
//! Each camera has an owner with a phone number of its own. One terminal may ask so many questions
//! a second, so an owner of many viewers signs in on several.

use std::net::{IpAddr, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use sightline_client::api::{
    Api, ApiError, BindRequest, ConsentGiven, GenerationsWanted, OtpRequest, Purpose, SignIn,
    Tokens,
};
use sightline_client::secret::ChallengeFor;
use sightline_client::{DeviceSecret, Identity, Roots};
use sightline_grant::Redacted;

use super::Failure;
use super::camera::Camera;
use super::inbox::Inbox;
use super::sealing::Opening;
use crate::camera::{read_roots, resolve};
use crate::serve::facts::SMS_FILE;

/// What this client calls itself when it signs in.
const CLIENT_TYPE: &str = "cli";
/// Steps that may be missing, each asked for once or twice; one more for the grant itself.
const MAX_STEPS: usize = 10;
/// Wait of a request that is refused for now without a word on how long.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a request is made again before it counts as failed.
const PATIENCE: Duration = Duration::from_secs(120);

/// The server's doors, and what is needed to go through them.
pub(super) struct Doors {
    origin: String,
    /// The server's CA.
    pub(super) roots: Roots,
    /// Address of the media ports.
    pub(super) ip: IpAddr,
    /// Our own addresses that viewers use, at least one.
    pub(super) local: Vec<IpAddr>,
    /// Hashes of the certificates of WebTransport.
    pub(super) hashes: Vec<[u8; 32]>,
    /// Codes that the server sends.
    inbox: Inbox,
    /// Requests that had to wait for a limit.
    limited: AtomicU64,
    /// Handshakes that were not done in time and were tried again.
    retried: AtomicU64,
}

/// A SHA-256 as the server writes it.
fn hash(text: &str) -> Option<[u8; 32]> {
    B64.decode(text).ok()?.try_into().ok()
}

impl Doors {
    /// Asks the server what it is. `data` is its data folder; `from` are our own addresses, none:
    /// the one on the way to the server.
    pub(super) async fn open(server: &str, data: &Path, from: &[IpAddr]) -> Result<Self, String> {
        let roots = read_roots(&data.join("pki/ca.pem"))
            .map_err(|error| format!("{error}; --data is the data folder of the running server"))?;
        let nobody = Identity::generate_terminal().map_err(|error| error.to_string())?;
        let text = |error: ApiError| format!("{server}: {error}");
        let api = Api::new(server, Some(&roots), Arc::new(nobody)).map_err(text)?;
        let info = api.server().await.map_err(text)?;
        if !info.development {
            return Err("the server sends real SMS; `load` needs development SMS".into());
        }
        let ip = resolve(server, 0).await?.ip();
        let mut local = from.to_vec();
        if local.is_empty() {
            local.push(local_address(ip).map_err(|error| format!("{server}: {error}"))?);
        }
        Ok(Self {
            origin: server.to_owned(),
            roots,
            ip,
            local,
            hashes: info.webtransport_hashes.iter().filter_map(|text| hash(text)).collect(),
            inbox: Inbox::new(data.join(SMS_FILE)),
            limited: AtomicU64::new(0),
            retried: AtomicU64::new(0),
        })
    }

    /// The API of a camera with its key.
    pub(super) fn api(&self, identity: Identity) -> Result<Api, ApiError> {
        Api::for_device(&self.origin, Some(&self.roots), Arc::new(identity))
    }

    /// The same from one of our own addresses.
    fn api_from(&self, identity: Identity, local: IpAddr) -> Result<Api, ApiError> {
        Api::from_address(&self.origin, Some(&self.roots), Arc::new(identity), Some(local))
    }

    /// Requests that had to wait for a limit so far.
    pub(super) fn limited(&self) -> u64 {
        self.limited.load(Ordering::Relaxed)
    }

    /// A handshake is tried again.
    pub(super) fn count_retry(&self) {
        self.retried.fetch_add(1, Ordering::Relaxed);
    }

    /// Handshakes that were tried again so far.
    pub(super) fn retried(&self) -> u64 {
        self.retried.load(Ordering::Relaxed)
    }

    /// Makes a request again as long as it is refused for now, as late as the server asks for.
    pub(super) async fn patiently<T, F: Future<Output = Result<T, ApiError>>>(
        &self,
        mut request: impl FnMut() -> F,
    ) -> Result<T, ApiError> {
        let last = Instant::now() + PATIENCE;
        loop {
            match request().await {
                Err(error) if is_passing(&error) && Instant::now() < last => {
                    self.limited.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(error.retry_after().unwrap_or(PAUSE)).await;
                }
                done => return done,
            }
        }
    }

    /// The same; also when the request that was answered was made.
    pub(super) async fn timed<T, F: Future<Output = Result<T, ApiError>>>(
        &self,
        mut request: impl FnMut() -> F,
    ) -> Result<(T, Instant), ApiError> {
        let mut asked = Instant::now();
        let ask = || {
            asked = Instant::now();
            request()
        };
        let answer = self.patiently(ask).await?;
        Ok((answer, asked))
    }
}

/// The address that packets to `ip` leave from.
fn local_address(ip: IpAddr) -> std::io::Result<IpAddr> {
    let any = if ip.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let probe = UdpSocket::bind(any)?;
    // Connecting a UDP socket sends nothing; any port does.
    probe.connect((ip, 9))?;
    Ok(probe.local_addr()?.ip())
}

fn is_passing(error: &ApiError) -> bool {
    matches!(error.problem(), Some("rate-limited" | "not-live" | "unavailable"))
}

/// Whose camera it is.
pub(super) struct Owner {
    doors: Arc<Doors>,
    camera: Arc<Camera>,
    phone: String,
    /// Held from asking for a code to reading it, so that codes cannot be mixed up.
    turn: tokio::sync::Mutex<()>,
}

impl Owner {
    /// A person with a new phone number.
    pub(super) fn new(doors: Arc<Doors>, camera: Arc<Camera>, phone: String) -> Arc<Self> {
        Arc::new(Self { doors, camera, phone, turn: tokio::sync::Mutex::new(()) })
    }

    /// Asks for a code and reads it.
    async fn code(
        &self,
        api: &Api,
        request: &OtpRequest,
        access: Option<&Redacted<String>>,
    ) -> Result<(String, Redacted<String>), Failure> {
        let _turn = self.turn.lock().await;
        let seen = self.doors.inbox.count(&self.phone)?;
        let challenge = self.doors.patiently(|| api.otp(request, access)).await?;
        let code = self.doors.inbox.after(&self.phone, seen).await?;
        Ok((challenge.challenge_id, code))
    }
}

/// One app of an owner, with its key and login.
pub(super) struct Terminal {
    owner: Arc<Owner>,
    /// Our address that it uses.
    pub(super) local: IpAddr,
    /// Calls with the terminal's key.
    pub(super) api: Api,
    login: Mutex<Option<Tokens>>,
    /// Generations of a sealed camera, as the server hands them out.
    generations: tokio::sync::OnceCell<Vec<Vec<u8>>>,
    /// Held while steps of the gate are made, so that each is made once.
    gate: tokio::sync::Mutex<()>,
}

impl Terminal {
    /// A new app; it signs in and makes every step of the gate. The apps of an owner use our
    /// addresses in turn, by their `number`.
    pub(super) async fn open(owner: Arc<Owner>, number: usize) -> Result<Arc<Self>, Failure> {
        let identity = Identity::generate_terminal().map_err(|error| error.to_string())?;
        let local = owner.doors.local[number % owner.doors.local.len()];
        let api = owner.doors.api_from(identity, local)?;
        let (login, gate) = (Mutex::new(None), tokio::sync::Mutex::new(()));
        let generations = tokio::sync::OnceCell::new();
        let terminal = Arc::new(Self { owner, local, api, login, generations, gate });
        terminal.sign_in().await?;
        terminal.pass().await?;
        Ok(terminal)
    }

    /// The camera of its owner.
    pub(super) fn camera(&self) -> &Camera {
        &self.owner.camera
    }

    /// The server.
    pub(super) fn doors(&self) -> &Doors {
        &self.owner.doors
    }

    /// A grant to watch the camera.
    pub(super) async fn grant(&self) -> Result<Redacted<String>, Failure> {
        match self.ask_grant().await {
            Ok(grant) => Ok(grant),
            Err(error) if is_passing(&error) => Err(error.into()),
            Err(_) => self.pass().await,
        }
    }

    /// What a viewer opens the frames of a sealed camera with; `None` for an open one.
    pub(super) async fn opening(&self) -> Result<Option<Opening>, Failure> {
        let camera = self.camera();
        let Some(sealing) = camera.sealing() else { return Ok(None) };
        let unbound = || "the camera is not bound".to_owned();
        let secret = camera.secret().ok_or_else(unbound)?;
        let viewing = sealing.viewing().ok_or_else(unbound)?;
        let blobs = self.generations.get_or_try_init(|| self.ask_generations(&secret)).await?;
        Ok(Some(Opening::new(&viewing, &secret, blobs)?))
    }

    async fn ask_generations(&self, secret: &DeviceSecret) -> Result<Vec<Vec<u8>>, Failure> {
        let access = self.access().unwrap_or_default();
        let recipient = secret.archive_key().map_err(|error| error.to_string())?.public().0;
        let wanted = GenerationsWanted { channel: 0, recipient, after: 0, limit: 1 };
        let ask = || self.api.generations(&access, &self.camera().serial, &wanted);
        let page = self.doors().patiently(ask).await?;
        Ok(page.generations.into_iter().map(|held| held.blob).collect())
    }

    async fn ask_grant(&self) -> Result<Redacted<String>, ApiError> {
        let access = self.access().ok_or(ApiError::Answer)?;
        let ask = || self.api.media_grant(&access, &self.camera().serial, 0);
        Ok(self.doors().patiently(ask).await?.grant)
    }

    /// Does whatever the gate misses, in its order, until it gives a grant.
    async fn pass(&self) -> Result<Redacted<String>, Failure> {
        let _once = self.gate.lock().await;
        for _ in 0..MAX_STEPS {
            let refusal = match self.ask_grant().await {
                Ok(grant) => return Ok(grant),
                Err(refusal) => refusal,
            };
            match refusal.problem() {
                Some("login-required") => self.refresh().await?,
                Some("device-not-bound") => self.bind().await?,
                Some("device-key-required") => self.prove_key().await?,
                Some("sms-required") => self.step_up().await?,
                Some("consent-required") => self.consent().await?,
                _ => return Err(refusal.into()),
            }
        }
        Err("the gate asks for the same step again and again".to_owned().into())
    }

    fn access(&self) -> Option<Redacted<String>> {
        let login = self.login.lock().expect("unpoisoned");
        login.as_ref().map(|tokens| tokens.access_token.clone())
    }

    fn keep(&self, tokens: Tokens) {
        *self.login.lock().expect("unpoisoned") = Some(tokens);
    }

    async fn sign_in(&self) -> Result<(), Failure> {
        let request = OtpRequest::Login { target: Redacted::new(self.owner.phone.clone()) };
        let (challenge_id, code) = self.owner.code(&self.api, &request, None).await?;
        let policy = self.purpose("account").await?;
        let request = SignIn {
            challenge_id,
            code,
            terminal_name: "sightline load".into(),
            client_type: CLIENT_TYPE.into(),
            consents: vec![ConsentGiven::from(&policy)],
        };
        let login = self.doors().patiently(|| self.api.sign_in(&request)).await?;
        self.keep(login.tokens);
        Ok(())
    }

    /// New tokens when the old ones have ended; a login that has ended begins again.
    async fn refresh(&self) -> Result<(), Failure> {
        let old = self.login.lock().expect("unpoisoned").clone();
        let Some(old) = old else { return self.sign_in().await };
        match self.doors().patiently(|| self.api.refresh(&old.refresh_token)).await {
            Ok(tokens) => {
                self.keep(tokens);
                Ok(())
            }
            Err(_) => self.sign_in().await,
        }
    }

    async fn bind(&self) -> Result<(), Failure> {
        let access = self.access().unwrap_or_default();
        let camera = self.camera();
        let request = BindRequest {
            serial: camera.serial.clone(),
            code: camera.code.clone(),
            challenge_id: None,
            signature: None,
        };
        self.doors().patiently(|| self.api.bind(&access, &request)).await?;
        camera.renew_secret(self.doors()).await
    }

    async fn prove_key(&self) -> Result<(), Failure> {
        let access = self.access().unwrap_or_default();
        let serial = &self.camera().serial;
        let ask = || self.api.key_challenge(&access, serial, 0);
        let challenge = self.doors().patiently(ask).await?;
        let message = B64.decode(&challenge.message).map_err(|_| ApiError::Answer)?;
        let secret = self.camera().secret().ok_or_else(|| "the camera is not bound".to_owned())?;
        let key = secret.auth_key().map_err(|error| error.to_string())?;
        let server = &self.doors().patiently(|| self.api.server_name()).await?;
        let terminal = self.api.identity().thumbprint();
        let asked = ChallengeFor { server, terminal, serial, channel: 0 };
        let signature = key.sign_challenge(&message, asked).map_err(|error| error.to_string())?;
        let id = &challenge.challenge_id;
        let prove = || self.api.key_proof(&access, serial, id, &signature);
        Ok(self.doors().patiently(prove).await?)
    }

    async fn step_up(&self) -> Result<(), Failure> {
        let access = self.access().unwrap_or_default();
        let request = OtpRequest::View { serial: self.camera().serial.clone() };
        let (challenge, code) = self.owner.code(&self.api, &request, Some(&access)).await?;
        self.doors().patiently(|| self.api.step_up(&access, &challenge, &code)).await?;
        Ok(())
    }

    /// A purpose that is in force.
    async fn purpose(&self, id: &str) -> Result<Purpose, Failure> {
        let purposes = self.doors().patiently(|| self.api.in_force(CLIENT_TYPE)).await?;
        let found = purposes.into_iter().find(|purpose| purpose.id == id);
        Ok(found.ok_or_else(|| format!("the server names no purpose {id}"))?)
    }

    async fn consent(&self) -> Result<(), Failure> {
        let access = self.access().unwrap_or_default();
        let view = self.purpose("media.view").await?;
        let agree = || self.api.consent(&access, &view.id, view.version);
        self.doors().patiently(agree).await?;
        Ok(())
    }
}
