//! The HTTP API: typed calls of terminals and devices.

mod devices;
mod mailbox;
mod otp;
mod shares;
mod terminals;
mod types;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sightline_grant::Redacted;
use sightline_relay_proto::frame::Mode;
use url::{Host, Url};

pub use self::devices::*;
pub use self::mailbox::*;
pub use self::shares::*;
pub use self::terminals::*;
pub use self::types::*;
use crate::identity::{Identity, IdentityError};
use crate::quic::Roots;
use crate::web::{SocketSession, WebSession};
use crate::wire::{RoqSession, RoqTrack};

/// Longest answer taken, bytes.
const MAX_ANSWER: usize = 1024 * 1024;
/// Most pages of a list that are asked for.
const MAX_PAGES: usize = 100;
/// Longest time for a call; a device's long poll takes up to 25 s.
const CALL_TIMEOUT: Duration = Duration::from_secs(40);
/// Puzzles that are solved for one code: a second one when the first was answered too late.
const WORK_ROUNDS: usize = 2;
/// Silence of a device's connection after which the peer is asked for a sign of life.
const DEVICE_KEEPALIVE: Duration = Duration::from_secs(5);
/// Unanswered questions that end it, one a second.
const DEVICE_KEEPALIVE_TRIES: u32 = 3;
/// Longest time to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A client of one server with one key.
#[derive(Clone)]
pub struct Api {
    http: reqwest::Client,
    /// Scheme, host and port, without a slash at the end.
    origin: String,
    identity: Arc<Identity>,
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The server refused (RFC 9457).
    #[error("{}: {}", .0.title, .0.detail)]
    Problem(Problem),
    /// The server's address cannot be used.
    #[error("the server's address must be https with a pinned CA, or http to a loopback address")]
    Address,
    /// The request did not come through. The text has no address and no secret.
    #[error("the server cannot be reached: {0}")]
    Transport(String),
    /// The answer is not what was agreed.
    #[error("the server's answer is not understood")]
    Answer,
    /// The key cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The server takes sealed media where the device sends open media, or the reverse.
    #[error("the device's media is {}, and the server's session is for {} media", .sent.name(), .wanted.name())]
    OtherMode {
        /// What the device sends.
        sent: Mode,
        /// What the session is for.
        wanted: Mode,
    },
}

impl ApiError {
    /// Name of the problem type, such as `sms-required`.
    pub fn problem(&self) -> Option<&str> {
        match self {
            Self::Problem(problem) => problem.kind.strip_prefix("/problems/"),
            _ => None,
        }
    }

    /// The purpose that the server wants to be agreed to.
    pub fn purpose(&self) -> Option<&str> {
        match self {
            Self::Problem(problem) => problem.purpose.as_deref(),
            _ => None,
        }
    }

    /// How long the server wants the caller to wait before the same request.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Problem(problem) => problem.retry_after,
            _ => None,
        }
    }
}

impl From<reqwest::Error> for ApiError {
    fn from(error: reqwest::Error) -> Self {
        // The address is left out: paths may hold capabilities.
        let error = error.without_url();
        let mut text = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        Self::Transport(text)
    }
}

/// How a request is authorised.
#[derive(Clone, Copy)]
enum Auth<'a> {
    /// By the key alone.
    Key,
    /// An access token, bound to the key.
    Access(&'a Redacted<String>),
    /// A media grant, bound to the key.
    Grant(&'a Redacted<String>),
}

/// Versions of HTTP that a client speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Versions {
    /// HTTP/2 where the server offers it.
    All,
    /// HTTP/1.1 alone.
    First,
}

impl Api {
    /// `origin` is `https://host:port` with `roots`, or `http://` to a loopback address.
    pub fn new(
        origin: &str,
        roots: Option<&Roots>,
        identity: Arc<Identity>,
    ) -> Result<Self, ApiError> {
        Self::from_address(origin, roots, identity, None)
    }

    /// The same; its connections leave from `local`.
    pub fn from_address(
        origin: &str,
        roots: Option<&Roots>,
        identity: Arc<Identity>,
        local: Option<IpAddr>,
    ) -> Result<Self, ApiError> {
        Self::build(origin, roots, identity, local, Versions::All)
    }

    /// Like [`Self::new`], for a device. It has one request open, nearly always, and keeps its
    /// connection for years: HTTP/1.1 needs less of the server's memory for it.
    pub fn for_device(
        origin: &str,
        roots: Option<&Roots>,
        identity: Arc<Identity>,
    ) -> Result<Self, ApiError> {
        Self::build(origin, roots, identity, None, Versions::First)
    }

    fn build(
        origin: &str,
        roots: Option<&Roots>,
        identity: Arc<Identity>,
        local: Option<IpAddr>,
        versions: Versions,
    ) -> Result<Self, ApiError> {
        let url = Url::parse(origin).map_err(|_| ApiError::Address)?;
        let builder = reqwest::Client::builder()
            .no_proxy()
            .local_address(local)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(CALL_TIMEOUT);
        // Plain HTTP needs a TLS configuration too, which then trusts nobody.
        let mut tls = match (url.scheme(), roots) {
            ("https", Some(roots)) => {
                roots.http_config().map_err(|error| ApiError::Transport(error.to_string()))?
            }
            ("http", _) if is_loopback(&url) => trust_nobody()?,
            _ => return Err(ApiError::Address),
        };
        let builder = match versions {
            Versions::All => builder,
            Versions::First => {
                tls.alpn_protocols = vec![b"http/1.1".to_vec()];
                // A poll that waits on a dead connection would miss what it waits for.
                builder
                    .http1_only()
                    .tcp_keepalive(DEVICE_KEEPALIVE)
                    .tcp_keepalive_interval(Duration::from_secs(1))
                    .tcp_keepalive_retries(DEVICE_KEEPALIVE_TRIES)
            }
        };
        let http = builder.tls_backend_preconfigured(tls).build()?;
        Ok(Self { http, origin: url.origin().ascii_serialization(), identity })
    }

    /// The key that signs.
    pub fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    /// What the server says of itself.
    pub async fn server(&self) -> Result<ServerInfo, ApiError> {
        self.get("/v1/server", Auth::Key).await
    }

    /// Asks for a one-time code, and does the work that the server may want first.
    pub async fn otp(
        &self,
        request: &OtpRequest,
        access: Option<&Redacted<String>>,
    ) -> Result<OtpChallenge, ApiError> {
        let mut done: Option<String> = None;
        for _ in 0..=WORK_ROUNDS {
            let auth = access.map_or(Auth::Key, Auth::Access);
            let add = |wish: RequestBuilder| match &done {
                Some(work) => wish.json(request).header(otp::WORK, work),
                None => wish.json(request),
            };
            let answer = self.exchange(Method::POST, "/v1/otp", auth, add).await?.1;
            let answer: OtpChallenge = decode(&answer)?;
            let Some(work) = answer.work else { return Ok(answer) };
            done = Some(otp::solved(work).await?);
        }
        Err(ApiError::Answer)
    }

    /// Signs in with a code; registers a new number.
    pub async fn sign_in(&self, request: &SignIn) -> Result<Login, ApiError> {
        self.post("/v1/sessions", Auth::Key, request).await
    }

    /// Trades a refresh token for new tokens.
    pub async fn refresh(&self, refresh: &Redacted<String>) -> Result<Tokens, ApiError> {
        let body = serde_json::json!({ "refresh_token": refresh.expose() });
        self.post("/v1/sessions/refresh", Auth::Key, &body).await
    }

    /// Signs out.
    pub async fn sign_out(&self, access: &Redacted<String>) -> Result<(), ApiError> {
        self.send(Method::DELETE, "/v1/sessions/current", Auth::Access(access), NOTHING).await?;
        Ok(())
    }

    /// Terminals that the account is signed in on.
    pub async fn terminals(&self, access: &Redacted<String>) -> Result<Vec<Terminal>, ApiError> {
        self.list("/v1/me/terminals", Auth::Access(access)).await
    }

    /// Signs another terminal of the account out.
    pub async fn sign_out_terminal(
        &self,
        access: &Redacted<String>,
        terminal: &str,
    ) -> Result<(), ApiError> {
        let path = format!("/v1/me/terminals/{terminal}");
        self.send(Method::DELETE, &path, Auth::Access(access), NOTHING).await?;
        Ok(())
    }

    /// Withdraws a consent.
    pub async fn withdraw_consent(
        &self,
        access: &Redacted<String>,
        purpose: &str,
    ) -> Result<(), ApiError> {
        let path = format!("/v1/consents/{purpose}");
        self.send(Method::DELETE, &path, Auth::Access(access), NOTHING).await?;
        Ok(())
    }

    /// Grants a consent.
    pub async fn consent(
        &self,
        access: &Redacted<String>,
        purpose: &str,
        version: u32,
    ) -> Result<ConsentReceipt, ApiError> {
        let body =
            serde_json::json!({ "purpose": purpose, "version": version, "decision": "granted" });
        self.post("/v1/consents", Auth::Access(access), &body).await
    }

    /// What is in force for a kind of client: each purpose, with the version to consent to.
    pub async fn in_force(&self, client_type: &str) -> Result<Vec<Purpose>, ApiError> {
        self.list(&format!("/v1/policies?product={client_type}"), Auth::Key).await
    }

    /// Whether the account of a login is in basic mode: nothing but what is public is served until its
    /// holder agrees to the purpose `account`.
    pub async fn in_basic_mode(&self, access: &Redacted<String>) -> Result<bool, ApiError> {
        let shown: BasicMode = self.get("/v1/sessions/basic", Auth::Access(access)).await?;
        Ok(shown.mode == "basic")
    }

    /// Purposes with their general texts.
    pub async fn purposes(&self) -> Result<Vec<Purpose>, ApiError> {
        self.list("/v1/purposes", Auth::Key).await
    }

    /// Binds a device by its printed verification code.
    pub async fn bind(
        &self,
        access: &Redacted<String>,
        request: &BindRequest,
    ) -> Result<Binding, ApiError> {
        self.post("/v1/bindings", Auth::Access(access), request).await
    }

    /// Unbinds a device.
    pub async fn unbind(&self, access: &Redacted<String>, serial: &str) -> Result<(), ApiError> {
        let path = format!("/v1/bindings/{serial}");
        self.send(Method::DELETE, &path, Auth::Access(access), NOTHING).await?;
        Ok(())
    }

    /// Devices of the account.
    pub async fn devices(&self, access: &Redacted<String>) -> Result<Vec<Device>, ApiError> {
        self.list("/v1/devices", Auth::Access(access)).await
    }

    /// Asks for a challenge to be signed with the device key.
    pub async fn key_challenge(
        &self,
        access: &Redacted<String>,
        serial: &str,
        channel: u16,
    ) -> Result<KeyChallenge, ApiError> {
        let path = format!("/v1/devices/{serial}/key-challenge");
        self.post(&path, Auth::Access(access), &serde_json::json!({ "channel": channel })).await
    }

    /// Proves the device key.
    pub async fn key_proof(
        &self,
        access: &Redacted<String>,
        serial: &str,
        challenge: &str,
        signature: &[u8; 64],
    ) -> Result<(), ApiError> {
        let path = format!("/v1/devices/{serial}/key-proof");
        let body =
            serde_json::json!({ "challenge_id": challenge, "signature": B64.encode(signature) });
        self.send(Method::POST, &path, Auth::Access(access), Some(&body)).await?;
        Ok(())
    }

    /// Opens the SMS window of this terminal for a device.
    pub async fn step_up(
        &self,
        access: &Redacted<String>,
        challenge: &str,
        code: &Redacted<String>,
    ) -> Result<StepUp, ApiError> {
        let body = serde_json::json!({ "challenge_id": challenge, "code": code.expose() });
        self.post("/v1/step-ups", Auth::Access(access), &body).await
    }

    /// Asks the gate for a live grant.
    pub async fn media_grant(
        &self,
        access: &Redacted<String>,
        serial: &str,
        channel: u16,
    ) -> Result<MediaGrant, ApiError> {
        let body = serde_json::json!({ "serial": serial, "channel": channel, "action": "live" });
        self.post("/v1/media-grants", Auth::Access(access), &body).await
    }

    /// Sets up a RoQ session to watch.
    pub async fn roq_session(
        &self,
        grant: &Redacted<String>,
        serial: &str,
        channel: u16,
    ) -> Result<RoqSession, ApiError> {
        let path = format!("/v1/roq-sessions/{serial}/{channel}");
        self.post(&path, Auth::Grant(grant), &serde_json::json!({})).await
    }

    /// Trades a grant for a one-use ticket to a WebTransport session.
    pub async fn web_session(
        &self,
        grant: &Redacted<String>,
        serial: &str,
        channel: u16,
    ) -> Result<WebSession, ApiError> {
        let path = format!("/v1/webtransport-sessions/{serial}/{channel}");
        self.post(&path, Auth::Grant(grant), &serde_json::json!({})).await
    }

    /// Trades a grant for a path that opens a WebSocket session once.
    pub async fn socket_session(
        &self,
        grant: &Redacted<String>,
        serial: &str,
        channel: u16,
    ) -> Result<SocketSession, ApiError> {
        let path = format!("/v1/websocket-sessions/{serial}/{channel}");
        self.post(&path, Auth::Grant(grant), &serde_json::json!({})).await
    }

    /// Trades a grant for a one-use RTSP login.
    pub async fn rtsp_handle(
        &self,
        grant: &Redacted<String>,
        serial: &str,
        channel: u16,
    ) -> Result<RtspHandle, ApiError> {
        let path = format!("/v1/rtsp-handles/{serial}/{channel}");
        self.post(&path, Auth::Grant(grant), &serde_json::json!({})).await
    }

    /// Sets up a WHEP session with an offer; watching goes through [`crate::whep::WhepViewer`].
    pub async fn whep(
        &self,
        grant: &Redacted<String>,
        serial: &str,
        channel: u16,
        offer: &str,
    ) -> Result<WhepAnswer, ApiError> {
        let path = format!("/v1/whep/{serial}/{channel}");
        let body = |request: RequestBuilder| {
            request.header("content-type", "application/sdp").body(offer.to_owned())
        };
        let (headers, bytes) = self.exchange(Method::POST, &path, Auth::Grant(grant), body).await?;
        let location = headers.get("location").and_then(|value| value.to_str().ok());
        let location = location.ok_or(ApiError::Answer)?.to_owned();
        let sdp = String::from_utf8(bytes).map_err(|_| ApiError::Answer)?;
        Ok(WhepAnswer { location: Redacted::new(location), sdp })
    }

    /// Ends a WHEP session by its address.
    pub async fn end_whep(&self, location: &Redacted<String>) -> Result<(), ApiError> {
        self.send(Method::DELETE, location.expose(), Auth::Key, NOTHING).await?;
        Ok(())
    }

    /// Sets up a RoQ session to publish; the key is the device's identity. `mode`: what the device
    /// sends.
    ///
    /// # Errors
    /// As for every request, and [`ApiError::OtherMode`]: a device is never talked out of its mode.
    pub async fn roq_publish(
        &self,
        channel: u16,
        tracks: &[RoqTrack],
        mode: Mode,
    ) -> Result<RoqSession, ApiError> {
        let path = format!("/v1/roq-publish/{channel}");
        let body = serde_json::json!({ "tracks": tracks, "sealed": mode.is_sealed() });
        let session: RoqSession = self.post(&path, Auth::Key, &body).await?;
        if session.mode() != mode {
            return Err(ApiError::OtherMode { sent: mode, wanted: session.mode() });
        }
        Ok(session)
    }

    /// The device's long poll: returns at once when something differs from what it knows.
    pub async fn device_poll(&self, known: &DeviceKnown) -> Result<DeviceState, ApiError> {
        self.post("/v1/device/poll", Auth::Key, known).await
    }

    /// The device's key verifier for a binding.
    pub async fn put_key_verifier(
        &self,
        binding_epoch: u64,
        verifier: &[u8; 32],
    ) -> Result<KeyEpoch, ApiError> {
        let body = serde_json::json!({
            "binding_epoch": binding_epoch,
            "verifier": B64.encode(verifier),
        });
        let path = "/v1/device/key-verifier";
        decode(&self.send(Method::PUT, path, Auth::Key, Some(&body)).await?)
    }

    /// Every page of a list.
    async fn list<T: DeserializeOwned>(
        &self,
        path: &str,
        auth: Auth<'_>,
    ) -> Result<Vec<T>, ApiError> {
        let mut all = Vec::new();
        let mut query = String::new();
        for _ in 0..MAX_PAGES {
            let answer = self.send(Method::GET, &format!("{path}{query}"), auth, NOTHING).await?;
            let page: Items<T> = decode(&answer)?;
            all.extend(page.items);
            let Some(next) = page.next else { return Ok(all) };
            query = format!("?cursor={next}");
        }
        Err(ApiError::Answer)
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, auth: Auth<'_>) -> Result<T, ApiError> {
        decode(&self.send(Method::GET, path, auth, NOTHING).await?)
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        auth: Auth<'_>,
        body: &(impl Serialize + Sync),
    ) -> Result<T, ApiError> {
        decode(&self.send(Method::POST, path, auth, Some(body)).await?)
    }

    /// Sends a request with its proof; the body of a good answer.
    async fn send(
        &self,
        method: Method,
        path: &str,
        auth: Auth<'_>,
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<Vec<u8>, ApiError> {
        let add = |request: RequestBuilder| match body {
            Some(body) => request.json(body),
            None => request,
        };
        Ok(self.exchange(method, path, auth, add).await?.1)
    }

    /// Sends a request with its proof and what `add` adds; headers and body of a good answer.
    async fn exchange(
        &self,
        method: Method,
        path: &str,
        auth: Auth<'_>,
        add: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<(HeaderMap, Vec<u8>), ApiError> {
        let (scheme, token) = match auth {
            Auth::Key => ("", None),
            Auth::Access(token) => ("DPoP", Some(token.expose().as_str())),
            Auth::Grant(grant) => ("Bearer", Some(grant.expose().as_str())),
        };
        let proof = self.identity.proof(method.as_str(), bare(path), token, &self.origin)?;
        let mut request =
            self.http.request(method, format!("{}{path}", self.origin)).header("dpop", proof);
        if let Some(token) = token {
            request = request.header("authorization", format!("{scheme} {token}"));
        }
        let mut answer = add(request).send().await?;
        let status = answer.status();
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            if bytes.len() + chunk.len() > MAX_ANSWER {
                return Err(ApiError::Answer);
            }
            bytes.extend_from_slice(&chunk);
        }
        if status.is_success() {
            return Ok((std::mem::take(answer.headers_mut()), bytes));
        }
        let unknown = || Problem {
            kind: "about:blank".into(),
            title: status.canonical_reason().unwrap_or("refused").into(),
            status: status.as_u16(),
            detail: String::new(),
            purpose: None,
            retry_after: None,
        };
        let problem = serde_json::from_slice(&bytes).unwrap_or_else(|_| unknown());
        let retry_after = retry_after(answer.headers());
        Err(ApiError::Problem(Problem { retry_after, ..problem }))
    }
}

const NOTHING: Option<&()> = None;

/// A path without its query, as proofs name it (RFC 9449, 4.2).
fn bare(path: &str) -> &str {
    path.split('?').next().unwrap_or(path)
}

/// Retry-After in its form of whole seconds.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get("retry-after")?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(bytes).map_err(|_| ApiError::Answer)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => IpAddr::from(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::from(ip).is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn trust_nobody() -> Result<rustls::ClientConfig, ApiError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ApiError::Transport(error.to_string()))?;
    Ok(builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth())
}

#[cfg(test)]
mod tests;
