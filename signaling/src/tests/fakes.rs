//! A doorway over a scripted directory and relay, and a client with a key.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use async_trait::async_trait;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use axum::Router;
use axum::body::{Body, to_bytes};
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use sightline_grant::dpop;
use sightline_grant::{Action, Epochs, Grant, GrantId, GrantSigner, PublicKey, Redacted, Role};
use sightline_grant::{GrantVerifier, Thumbprint};
use tower::ServiceExt;

use crate::plane::*;
use crate::{Allowance, Hashes, Options, Ports, RateLimits, ServerFacts, Signaling};

pub(super) const NOW: u64 = 1_000_000;
pub(super) const TOKEN: &str = "access-token";
pub(super) const SESSION: &str = "0123456789abcdef0123456789abcdef";

/// What the fakes answer, and what they saw.
#[derive(Default)]
pub(super) struct Script {
    pub(super) refusal: Mutex<Option<GateRefusal>>,
    pub(super) media: Mutex<Option<MediaRefusal>>,
    pub(super) left_out: Mutex<Vec<String>>,
    pub(super) restarts: Mutex<bool>,
    pub(super) not_ready: Mutex<bool>,
    pub(super) hangs: Mutex<bool>,
    pub(super) panics: Mutex<bool>,
    pub(super) socket_end: Mutex<Option<SocketEnd>>,
    /// Whether the device is open, for each question to come; sealed after the last.
    pub(super) opened: Mutex<Vec<bool>>,
    pub(super) seen: Mutex<Vec<String>>,
}

impl Script {
    fn note(&self, text: String) -> Result<(), MediaRefusal> {
        assert!(!*self.panics.lock().unwrap(), "as scripted");
        self.seen.lock().unwrap().push(text);
        self.media.lock().unwrap().clone().map_or(Ok(()), Err)
    }

    fn answer(&self) -> Answer {
        Answer {
            session: SESSION.into(),
            sdp: "v=0\r\n".into(),
            etag: "e1".into(),
            left_out: self.left_out.lock().unwrap().clone(),
        }
    }
}

struct Facts(Arc<Script>);

#[async_trait]
impl Directory for Facts {
    async fn admit(
        &self,
        caller: &Caller,
        _: &str,
        _: u16,
        _: Action,
    ) -> Result<Admission, GateRefusal> {
        if *self.0.hangs.lock().unwrap() {
            std::future::pending::<()>().await;
        }
        if caller.access_token.expose() != TOKEN {
            return Err(GateRefusal::LoginRequired);
        }
        if let Some(refusal) = *self.0.refusal.lock().unwrap() {
            return Err(refusal);
        }
        Ok(Admission {
            subject: "subject".into(),
            session: "login".into(),
            role: Role::Guest,
            epochs: Epochs { binding: 1, key: 2, share: 3, consent: 4, session: 5, proof: 6 },
            consent_seq: 6,
        })
    }

    async fn publisher_by_token(&self, token: &Redacted<String>) -> Option<PublisherFacts> {
        (token.expose() == "publish").then(|| PublisherFacts {
            serial: "CAM-1".into(),
            sealed: false,
            channels: 1,
        })
    }

    async fn publisher_by_key(&self, key: Thumbprint) -> Option<PublisherFacts> {
        (key == Client::new(1).thumbprint()).then(|| PublisherFacts {
            serial: "CAM-1".into(),
            sealed: !self.0.opened.lock().unwrap().pop().unwrap_or_default(),
            channels: 1,
        })
    }

    async fn ready(&self) -> bool {
        !*self.0.not_ready.lock().unwrap()
    }
}

struct Relay(Arc<Script>);

#[async_trait]
impl MediaPlane for Relay {
    async fn whep(
        &self,
        _: &Redacted<String>,
        _: Thumbprint,
        serial: &str,
        channel: u16,
        offer: String,
    ) -> Result<Answer, MediaRefusal> {
        self.0.note(format!("whep {serial} {channel} {}", offer.len()))?;
        Ok(self.0.answer())
    }
    async fn whip(
        &self,
        publisher: PublisherFacts,
        channel: u16,
        offer: String,
    ) -> Result<Answer, MediaRefusal> {
        self.0.note(format!("whip {} {channel} {}", publisher.serial, offer.len()))?;
        Ok(self.0.answer())
    }
    async fn patch(
        &self,
        session: &str,
        if_match: Option<&str>,
        fragment: String,
    ) -> Result<Patched, MediaRefusal> {
        self.0.note(format!("patch {session} {if_match:?} {fragment}"))?;
        Ok(if *self.0.restarts.lock().unwrap() {
            Patched::Restarted { fragment: "a=ice-ufrag:x\r\n".into(), etag: "e2".into() }
        } else {
            Patched::Trickled
        })
    }
    async fn delete(&self, session: &str) -> Result<(), MediaRefusal> {
        self.0.note(format!("delete {session}"))
    }
    async fn rtsp_login(
        &self,
        _: &Redacted<String>,
        _: Thumbprint,
        serial: &str,
        channel: u16,
    ) -> Result<RtspLogin, MediaRefusal> {
        self.0.note("rtsp".into())?;
        Ok(RtspLogin {
            user: "u".into(),
            password: Redacted::new("p".into()),
            path: format!("/{serial}/{channel}"),
            rtsp_port: 8554,
            rtsps_port: 8322,
        })
    }
    async fn roq_view(
        &self,
        _: &Redacted<String>,
        _: Thumbprint,
        _: &str,
        _: u16,
    ) -> Result<RoqSessionJson, MediaRefusal> {
        self.0.note("roq view".into())?;
        Ok(roq_session(RoqOffer { tracks: Vec::new(), sealed: true }))
    }
    async fn web_view(
        &self,
        _grant: &Redacted<String>,
        _terminal: Thumbprint,
        _serial: &str,
        _channel: u16,
    ) -> Result<WebLogin, MediaRefusal> {
        self.0.note("web view".into())?;
        let path = Redacted::new(format!("/v1/live?ticket={SESSION}"));
        Ok(WebLogin { path, port: 8444, tracks: Vec::new(), sealed: true })
    }
    async fn socket_view(
        &self,
        _grant: &Redacted<String>,
        _terminal: Thumbprint,
        serial: &str,
        channel: u16,
    ) -> Result<SocketLogin, MediaRefusal> {
        self.0.note(format!("socket view {serial} {channel}"))?;
        let ticket = Redacted::new(SESSION.to_owned());
        Ok(SocketLogin { ticket, tracks: Vec::new(), sealed: true })
    }
    async fn socket_enter(&self, ticket: &str) -> Result<Box<dyn SocketMedia>, MediaRefusal> {
        if ticket != SESSION {
            return Err(MediaRefusal::NoSession);
        }
        self.0.note("socket".into())?;
        let messages = [Bytes::from_static(b"one"), Bytes::from_static(b"two")];
        Ok(Box::new(FakeMedia {
            messages: messages.into(),
            end: *self.0.socket_end.lock().unwrap(),
        }))
    }
    async fn roq_publish(
        &self,
        publisher: PublisherFacts,
        _: Thumbprint,
        channel: u16,
        offer: RoqOffer,
    ) -> Result<RoqSessionJson, MediaRefusal> {
        let mode = if offer.sealed { "sealed" } else { "open" };
        self.0.note(format!("roq publish {} {channel} {mode}", publisher.serial))?;
        Ok(roq_session(offer))
    }
    async fn live(&self, serial: &str, channel: u16) -> bool {
        serial == "CAM-1" && channel != 2
    }
}

/// Two messages, then an end if there is one.
struct FakeMedia {
    messages: VecDeque<Bytes>,
    end: Option<SocketEnd>,
}

impl SocketMedia for FakeMedia {
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        if self.end.is_some() {
            cx.waker().wake_by_ref();
        }
        self.messages.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
    fn poll_end(&mut self, _: &mut Context<'_>) -> Poll<SocketEnd> {
        let end = self.end.filter(|_| self.messages.is_empty());
        end.map_or(Poll::Pending, Poll::Ready)
    }
}

fn roq_session(offer: RoqOffer) -> RoqSessionJson {
    RoqSessionJson {
        session: SESSION.into(),
        server_name: format!("{SESSION}.roq.sightline.internal"),
        port: 8444,
        alpn: vec!["roq".into()],
        tracks: offer.tracks,
        sealed: offer.sealed,
    }
}

/// The doorway under test.
pub(super) struct Door {
    pub(super) script: Arc<Script>,
    pub(super) now: Arc<AtomicU64>,
    pub(super) signaling: Arc<Signaling>,
    pub(super) router: Router,
}

impl Door {
    pub(super) fn new() -> Self {
        Self::with(RateLimits::default())
    }

    pub(super) fn with(rates: RateLimits) -> Self {
        Self::made(rates, Ports::default())
    }

    pub(super) fn with_threads(relay_threads: u16) -> Self {
        Self::made(RateLimits::default(), Ports { relay_threads, ..Ports::default() })
    }

    fn made(rates: RateLimits, ports: Ports) -> Self {
        let script = Arc::new(Script::default());
        let now = Arc::new(AtomicU64::new(NOW));
        let clock = Arc::clone(&now);
        let options = Options {
            rates,
            clock: Arc::new(move || clock.load(Ordering::Relaxed)),
            ..Options::default()
        };
        let facts = ServerFacts {
            server_name: "sightline.test".into(),
            ca_sha256: String::new(),
            webtransport_hashes: Hashes::new(Vec::new),
            ports,
            development: true,
        };
        let directory = Arc::new(Facts(Arc::clone(&script)));
        let media = Arc::new(Relay(Arc::clone(&script)));
        let signaling = Signaling::new(directory, media, signer(), facts, options);
        Self { router: signaling.router(), signaling, script, now }
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        Reply {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(body.into()).unwrap(),
        }
    }

    pub(super) fn seen(&self) -> Vec<String> {
        self.script.seen.lock().unwrap().clone()
    }
}

pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Reply {
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap()
    }

    /// Status and name of a problem, after checking its shape.
    pub(super) fn problem(&self) -> (u16, String) {
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text);
        let json = self.json();
        assert_eq!(json["status"], self.status.as_u16());
        assert!(json["title"].is_string() && json["detail"].is_string());
        let name = json["type"].as_str().unwrap().strip_prefix("/problems/").unwrap();
        if self.status == StatusCode::UNAUTHORIZED {
            assert!(self.headers.contains_key("www-authenticate"), "{name}");
        }
        (self.status.as_u16(), name.to_owned())
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

pub(super) fn signer() -> GrantSigner {
    GrantSigner::from_seed(&[5; 32]).unwrap()
}

pub(super) fn verifier() -> GrantVerifier {
    signer().verifier()
}

/// A terminal or device with an Ed25519 key.
pub(super) struct Client {
    pair: Ed25519KeyPair,
    key: PublicKey,
    count: AtomicU32,
}

impl Client {
    pub(super) fn new(seed: u8) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
        let public = pair.public_key().as_ref().try_into().unwrap();
        Self { pair, key: PublicKey::Ed25519(public), count: AtomicU32::new(0) }
    }

    pub(super) fn thumbprint(&self) -> Thumbprint {
        self.key.thumbprint()
    }

    pub(super) fn proof(&self, method: &str, path: &str, token: Option<&str>) -> String {
        let jti = format!("jti-{}", self.count.fetch_add(1, Ordering::Relaxed));
        let request = dpop::Request { method, path, token };
        dpop::create(&self.key, request, "https://sightline.test", NOW, &jti, |message| {
            self.pair.sign(message).as_ref().to_vec()
        })
    }

    pub(super) fn request(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
    ) -> http::request::Builder {
        plain(method, path).header("dpop", self.proof(method, path, token))
    }

    /// A request to the gate.
    pub(super) fn gate(&self) -> Request<Body> {
        self.request("POST", "/v1/media-grants", Some(TOKEN))
            .header("authorization", format!("DPoP {TOKEN}"))
            .header("content-type", "application/json")
            .body(Body::from(r#"{"serial":"CAM-1","channel":0,"action":"live"}"#))
            .unwrap()
    }

    /// A request with a grant for CAM-1, channel 0.
    pub(super) fn with_grant(&self, path: &str, body: &'static str) -> Request<Body> {
        self.presenting(&grant_text(|_| ()), path, body)
    }

    pub(super) fn presenting(&self, grant: &str, path: &str, body: &'static str) -> Request<Body> {
        self.request("POST", path, Some(grant))
            .header("authorization", format!("Bearer {grant}"))
            .header("content-type", "application/sdp")
            .body(Body::from(body))
            .unwrap()
    }
}

/// A grant of client 1 for CAM-1, channel 0, changed by the test.
pub(super) fn grant_text(change: impl FnOnce(&mut Grant)) -> String {
    let mut grant = Grant {
        id: GrantId(1),
        subject: "subject".into(),
        session: "login".into(),
        terminal: Client::new(1).thumbprint(),
        serial: "CAM-1".into(),
        channel: 0,
        actions: vec![Action::Live],
        role: Role::Owner,
        epochs: Epochs::default(),
        consent_seq: 1,
        issued_at: NOW,
        expires_at: NOW + 30,
    };
    change(&mut grant);
    signer().sign(&grant)
}

pub(super) fn plain(method: &str, path: &str) -> http::request::Builder {
    Request::builder().method(method).uri(path).header("host", "sightline.test")
}

pub(super) fn tight(per_second: u32, burst: u32) -> RateLimits {
    let allowance = Allowance::new(per_second, burst).unwrap();
    RateLimits { terminal: allowance, ..RateLimits::default() }
}
