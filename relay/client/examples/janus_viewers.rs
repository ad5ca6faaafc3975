//! Viewers of a mountpoint of Janus, for `cargo xtask bench compare`: each connects with full
//! handshakes, then keeps its session alive without reading. Says `ready N` when all have connected
//! and runs until it is ended.
//!
//! `janus_viewers --api http://HOST:8088/janus --mountpoint 1 --local ADDRESS --count N`

use std::error::Error;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde_json::{Value, json};
use sightline_client::whep::{SrtpOffer, WhepOffer, WhepViewer};
use sightline_relay_proto::wire::rtcp::ReceptionReport;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Viewers that connect at once.
const AT_ONCE: usize = 16;
/// Time between receiver reports, like those of `sightline load`.
const REPORTS: Duration = Duration::from_secs(1);

struct Arguments {
    api: String,
    mountpoint: u64,
    local: IpAddr,
    count: usize,
}

fn parse(words: &[String]) -> Result<Arguments> {
    let value = |name: &str| {
        let at = words.iter().position(|word| word == name);
        let found = at.and_then(|at| words.get(at + 1));
        found.ok_or_else(|| format!("{name} is missing; see the head of janus_viewers.rs"))
    };
    Ok(Arguments {
        api: value("--api")?.clone(),
        mountpoint: value("--mountpoint")?.parse()?,
        local: value("--local")?.parse()?,
        count: value("--count")?.parse()?,
    })
}

/// A session of Janus' HTTP API with one handle of the streaming plugin.
struct Session {
    http: reqwest::Client,
    session: String,
    handle: String,
}

impl Session {
    async fn open(http: &reqwest::Client, api: &str) -> Result<Self> {
        let id = post(http, api, json!({ "janus": "create" })).await?;
        let session = format!("{api}/{}", id["data"]["id"]);
        let attach = json!({ "janus": "attach", "plugin": "janus.plugin.streaming" });
        let id = post(http, &session, attach).await?;
        let handle = format!("{session}/{}", id["data"]["id"]);
        Ok(Self { http: http.clone(), session, handle })
    }

    /// Asks for the mountpoint: Janus' offer.
    async fn watch(&self, mountpoint: u64) -> Result<String> {
        let body = json!({ "request": "watch", "id": mountpoint });
        post(&self.http, &self.handle, json!({ "janus": "message", "body": body })).await?;
        loop {
            let event: Value = self.http.get(&self.session).send().await?.json().await?;
            if let Some(offer) = event["jsep"]["sdp"].as_str() {
                return Ok(offer.to_owned());
            }
            if let Some(error) = event["plugindata"]["data"]["error"].as_str() {
                return Err(error.into());
            }
        }
    }

    async fn start(&self, answer: &str) -> Result<()> {
        let message = json!({
            "janus": "message",
            "body": { "request": "start" },
            "jsep": { "type": "answer", "sdp": answer },
        });
        post(&self.http, &self.handle, message).await.map(drop)
    }
}

async fn post(http: &reqwest::Client, url: &str, mut message: Value) -> Result<Value> {
    message["transaction"] = json!("bench");
    let reply: Value = http.post(url).json(&message).send().await?.json().await?;
    if reply["janus"] == "error" { Err(reply.to_string().into()) } else { Ok(reply) }
}

async fn connect(http: &reqwest::Client, arguments: &Arguments) -> Result<WhepViewer> {
    let session = Session::open(http, &arguments.api).await?;
    let offer = session.watch(arguments.mountpoint).await?;
    let peer = WhepOffer::new((arguments.local, 0).into()).await?;
    let peer = peer.with_srtp(SrtpOffer::Aes128Gcm);
    session.start(&peer.answer(&offer)?).await?;
    Ok(peer.join(&offer).await?)
}

async fn hold(mut viewer: WhepViewer) -> Result<()> {
    let mut due = tokio::time::interval(REPORTS);
    let ssrc = viewer.video_ssrc().unwrap_or_default();
    loop {
        due.tick().await;
        viewer.glance().await?;
        viewer.keep_consent(Instant::now()).await?;
        viewer.send_report(ReceptionReport { ssrc, ..ReceptionReport::default() }).await?;
    }
}

async fn run() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let arguments = parse(&words)?;
    let http = reqwest::Client::builder().build()?;
    let connecting = (0..arguments.count).map(|_| connect(&http, &arguments));
    let connected = stream::iter(connecting).buffer_unordered(AT_ONCE);
    let viewers: Vec<WhepViewer> = connected.try_collect().await?;
    println!("ready {}", viewers.len());
    try_join_all(viewers.into_iter().map(hold)).await?;
    Ok(())
}

fn main() -> Result<()> {
    // The HTTP client wants one even where no TLS is spoken.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run())
}
