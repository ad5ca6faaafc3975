//! `sightline serve`: the one place where the parts are built and joined.

mod banner;
mod carrier;
mod changes;
pub(crate) mod facts;
mod feed;
mod identity;
pub(crate) mod mail;
mod plane;
mod pull;
mod sso;
mod stand_in;

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use metrics_exporter_prometheus::PrometheusHandle;
use sightline_control_plane::ControlPlane;
use sightline_grant::GrantSigner;
use sightline_relay::config::RotatingIdentity;
use sightline_relay::{Relay, RelayConfig, RelayHandle};
use sightline_relay_proto::frame::Mode;
use sightline_signaling::{Hosts, Options, Signaling};
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cli::ServeArgs;
use crate::config::Raw;
use crate::data_dir::{DataDir, make_private_dir, secret_file};
use crate::demo::DemoCamera;
use crate::http::{Door, redirect_to_https};
use crate::pki::{self, Pki, WebTransportLeaves};
use crate::{http, telemetry};

/// How often the WebTransport leaf is looked at.
const LEAF_CHECK: Duration = Duration::from_secs(3600);
/// How long tasks may take to end.
const SHUTDOWN: Duration = Duration::from_secs(8);

/// Runs the server until it is told to stop.
pub(crate) fn run(args: &ServeArgs) -> Result<(), String> {
    let mut raw = args.load()?;
    if args.lan {
        open_to_lan(&mut raw, args.dev)?;
    }
    if args.no_demo {
        raw.demo.camera = false;
    }
    telemetry::start_logging(&raw.log)?;
    let data = DataDir::open(&args.place.data).map_err(|error| error.to_string())?;
    // One descriptor a TCP connection; what is refused beyond the limit is logged where it happens.
    crate::files::raise_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start the runtime: {error}"))?;
    runtime.block_on(async {
        let server = Server::start(raw, args.lan, data).await?;
        server.run_until_stopped().await;
        Ok(())
    })
}

/// `--lan`: every door but the metrics opens on every address.
fn open_to_lan(raw: &mut Raw, development: bool) -> Result<(), String> {
    if !development && raw.sms.is_development() {
        return Err("--lan needs a real SMS sender, and none is configured: the development \
                    sender shows codes on this terminal. Give --dev too to allow that."
            .into());
    }
    let listen = &mut raw.listen;
    for address in [
        &mut listen.http,
        &mut listen.https,
        &mut listen.roq,
        &mut listen.webrtc,
        &mut listen.rtsp,
        &mut listen.rtsps,
        &mut listen.rtsp_udp,
    ] {
        if address.ip().is_loopback() {
            address.set_ip(IpAddr::from([0, 0, 0, 0]));
        }
    }
    Ok(())
}

/// A started server.
struct Server {
    relay: Relay,
    data: DataDir,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Server {
    /// Builds the parts in their order of need and joins them.
    async fn start(raw: Raw, lan: bool, data: DataDir) -> Result<Self, String> {
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let metrics = telemetry::start_metrics()?;
        let now = OffsetDateTime::now_utc();
        let addresses = public_addresses(&raw);
        let pki = pki::load(&data.path().join("pki"), &raw.server.name, &addresses, now)
            .map_err(|error| format!("cannot prepare the certificates: {error}"))?;
        make_private_dir(&data.path().join("keys"))
            .map_err(|error| format!("cannot make the folder of keys: {error}"))?;
        let seed: [u8; 32] = secret_file(&data.path().join("keys/grant.seed"))
            .map_err(|error| format!("cannot read the signing key: {error}"))?;
        let signer = GrantSigner::from_seed(&seed).expect("a seed has 32 bytes");
        let control = facts::open_control_plane(data.path(), &raw).await?;
        let stand_in = carrier::join(&raw, &control, lan).await?;
        let identities = identity::join(&raw, &control, lan).await?;
        let doors = Doors::bind(&raw).await?;
        name_passkeys(&raw, &control, doors.addresses());
        sso::join(&raw, &control, doors.addresses())?;

        let authority = Arc::new(facts::ControlAuthority { control: control.clone() });
        let leaves = WebTransportLeaves::new(now).map_err(|error| error.to_string())?;
        let web = RotatingIdentity::new(leaves.current()).map_err(|error| error.to_string())?;
        let relay_config = relay_config(&raw, &pki, addresses.clone(), web.clone());
        let relay = Relay::start(&relay_config, signer.verifier(), authority)
            .map_err(|error| error.to_string())?;
        let leaves = Arc::new(Mutex::new(leaves));
        let server = Self { relay, data, stop, tasks };
        let handle = server.relay.handle();
        let at = doors.addresses();
        let facts = facts::server_facts(&raw, &pki, at, server.relay.addresses(), leaves.clone());
        let signaling = Signaling::new(
            Arc::new(facts::ControlDirectory { control: control.clone() }),
            Arc::new(plane::RelayPlane {
                relay: handle.clone(),
                rtsp_port: server.relay.addresses().rtsp.port(),
                rtsps_port: server.relay.addresses().rtsps.port(),
            }),
            signer,
            facts,
            options(&raw),
        );
        let app = signaling.router_with(sightline_control_plane::http::router(control.clone()));
        server.open(doors, app, metrics, &pki, lan)?;
        server.spawn_cameras(&raw, &control, &handle, at).await?;
        server.spawn_background(&control, &handle, leaves, web);
        let stand_ins = banner::StandIns {
            carrier: stand_in.as_ref().map(|it| it.port),
            identity: identities.as_ref().map(|it| it.port),
        };
        banner::print(&server.data, &raw, at, lan, stand_ins);
        if let Some(stand_in) = stand_in {
            server.tasks.spawn(stand_in.run(server.stop.clone()));
        }
        if let Some(stand_in) = identities {
            server.tasks.spawn(stand_in.run(server.stop.clone()));
        }
        Ok(server)
    }

    fn open(
        &self,
        doors: Doors,
        app: Router,
        metrics: PrometheusHandle,
        pki: &Pki,
        lan: bool,
    ) -> Result<(), String> {
        let https = pki::https_config(&pki.tls).map_err(|error| error.to_string())?;
        let https_port = doors.addresses().https.port();
        let clear = if lan { redirect_to_https(https_port) } else { app.clone() };
        let (relay, stop) = (self.relay.handle(), &self.stop);
        let metrics = Router::new()
            .route("/metrics", axum::routing::get(move || async move { render(&metrics, &relay) }));
        let doors = [
            Door { listener: doors.http, tls: None, app: clear },
            Door { listener: doors.https, tls: Some(Arc::new(https)), app },
            Door { listener: doors.metrics, tls: None, app: metrics },
        ];
        for door in doors {
            self.tasks.spawn(http::serve(door, stop.clone()));
        }
        Ok(())
    }

    fn spawn_background(
        &self,
        control: &ControlPlane,
        relay: &RelayHandle,
        leaves: Arc<Mutex<WebTransportLeaves>>,
        web: RotatingIdentity,
    ) {
        let stop = &self.stop;
        self.tasks.spawn(feed::run(control.clone(), relay.clone(), stop.clone()));
        self.tasks.spawn(control.clone().run_worker(stop.clone()));
        self.tasks.spawn(rotate_leaves(leaves, web, stop.clone()));
    }

    async fn spawn_cameras(
        &self,
        raw: &Raw,
        control: &ControlPlane,
        relay: &RelayHandle,
        at: DoorAddresses,
    ) -> Result<(), String> {
        for camera in &raw.pull {
            let task = pull::prepare(camera, control).await?;
            self.tasks.spawn(task.run(relay.clone(), self.stop.clone()));
        }
        if raw.demo.camera {
            let folder = self.data.path().join("demo-camera");
            let demo = facts::ensure_demo_device(control, raw, self.data.path(), &folder).await?;
            let camera = DemoCamera {
                folder,
                serial: demo.serial,
                mode: if demo.sealed { Mode::Sealed } else { Mode::Open },
                server: format!("https://localhost:{}", at.https.port()),
                ca: self.data.path().join("pki/ca.pem"),
            };
            self.tasks.spawn(camera.run(self.stop.clone()));
        }
        Ok(())
    }

    async fn run_until_stopped(self) {
        wait_for_signal().await;
        tracing::info!("stopping");
        self.stop.cancel();
        self.tasks.close();
        // Viewers hear a goodbye from the relay while HTTP drains.
        let relay = self.relay;
        let stopped = tokio::task::spawn_blocking(move || relay.stop());
        let _ = tokio::time::timeout(SHUTDOWN, async {
            let _ = stopped.await;
            self.tasks.wait().await;
        })
        .await;
    }
}

/// Passkeys belong to the server's name, if it has one.
fn name_passkeys(raw: &Raw, control: &ControlPlane, at: DoorAddresses) {
    let (name, http, https) = (&raw.server.name, at.http.port(), at.https.port());
    match raw.passkeys.party(name, http, https) {
        Some(party) => control.set_relying_party(party),
        None => tracing::info!(name, "no passkeys: browsers bind them to names, not to addresses"),
    }
}

/// HTTP listeners, bound before anything is announced.
struct Doors {
    http: TcpListener,
    https: TcpListener,
    metrics: TcpListener,
}

/// Where the HTTP listeners are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DoorAddresses {
    pub(crate) http: SocketAddr,
    pub(crate) https: SocketAddr,
    pub(crate) metrics: SocketAddr,
}

impl Doors {
    async fn bind(raw: &Raw) -> Result<Self, String> {
        Ok(Self {
            http: bind("listen.http", raw.listen.http).await?,
            https: bind("listen.https", raw.listen.https).await?,
            metrics: bind("listen.metrics", raw.listen.metrics).await?,
        })
    }

    fn addresses(&self) -> DoorAddresses {
        let at = |listener: &TcpListener| listener.local_addr().expect("a bound listener");
        DoorAddresses { http: at(&self.http), https: at(&self.https), metrics: at(&self.metrics) }
    }
}

async fn bind(key: &str, address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address)
        .await
        .map_err(|error| format!("cannot listen on {address} ({key}): {error}"))
}

/// Names that the page is reached by, and the development stand-ins' limits.
fn options(raw: &Raw) -> Options {
    let names = raw.server.public_addresses.iter().map(ToString::to_string);
    Options { hosts: Hosts::named(names), ..Options::default() }
}

fn relay_config(
    raw: &Raw,
    pki: &Pki,
    public_addresses: Vec<IpAddr>,
    web: RotatingIdentity,
) -> RelayConfig {
    RelayConfig {
        workers: raw.media.worker_count(),
        webrtc: raw.listen.webrtc,
        rtsp: raw.listen.rtsp,
        rtsps: raw.listen.rtsps,
        rtsp_udp: raw.listen.rtsp_udp,
        roq: raw.listen.roq,
        public_addresses,
        plain_rtsp_play: raw.media.plain_rtsp_play,
        tls: pki.tls.clone(),
        web,
    }
}

/// Addresses for ICE candidates: as configured, else the listen address, else the address that the
/// machine would use towards the network.
fn public_addresses(raw: &Raw) -> Vec<IpAddr> {
    if !raw.server.public_addresses.is_empty() {
        return raw.server.public_addresses.clone();
    }
    let listen = raw.listen.webrtc.ip();
    if !listen.is_unspecified() {
        return vec![listen];
    }
    let mut found: Vec<IpAddr> =
        ["192.0.2.1:9", "[2001:db8::1]:9"].iter().filter_map(|far| route_towards(far)).collect();
    found.push(IpAddr::from([127, 0, 0, 1]));
    found
}

/// Our own address on the route to `far`. Connecting a UDP socket sends nothing.
fn route_towards(far: &str) -> Option<IpAddr> {
    let far: SocketAddr = far.parse().ok()?;
    let any: IpAddr =
        if far.is_ipv4() { [0, 0, 0, 0].into() } else { std::net::Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(far).ok()?;
    let own = socket.local_addr().ok()?.ip();
    (!own.is_unspecified() && !own.is_loopback()).then_some(own)
}

fn render(metrics: &PrometheusHandle, relay: &RelayHandle) -> String {
    let stats = relay.stats();
    metrics::gauge!("sightline_relay_workers").set(stats.workers as f64);
    metrics::gauge!("sightline_relay_mirrors").set(stats.mirrors as f64);
    metrics::gauge!("sightline_relay_streams").set(stats.streams as f64);
    let open = stats.streams.saturating_sub(stats.sealed);
    for (mode, count) in [("sealed", stats.sealed), ("open", open)] {
        metrics::gauge!("sightline_relay_streams_by_mode", "mode" => mode).set(count as f64);
    }
    metrics::gauge!("sightline_relay_subscribers").set(stats.subscribers as f64);
    metrics::gauge!("sightline_relay_cached_bytes").set(stats.cached_bytes as f64);
    for (name, value) in [
        ("sightline_relay_packets_in_total", stats.packets_in),
        ("sightline_relay_packets_dropped_total", stats.packets_dropped),
        ("sightline_relay_packets_over_rate_total", stats.packets_over_rate),
        ("sightline_relay_frames_in_total", stats.frames_in),
        ("sightline_relay_frames_lost_total", stats.frames_lost),
        ("sightline_relay_frames_out_total", stats.frames_out),
        ("sightline_relay_skips_total", stats.skips),
        ("sightline_relay_needless_frames_left_out_total", stats.needless_left_out),
        ("sightline_relay_viewers_lowered_total", stats.lowered),
        ("sightline_relay_viewers_raised_total", stats.raised),
        ("sightline_relay_turns_total", stats.turns),
    ] {
        metrics::counter!(name).absolute(value);
    }
    metrics.render() + &relay.delays()
}

async fn rotate_leaves(
    leaves: Arc<Mutex<WebTransportLeaves>>,
    web: RotatingIdentity,
    stop: CancellationToken,
) {
    let mut ticks = tokio::time::interval(LEAF_CHECK);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let mut leaves = leaves.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match leaves.rotate(OffsetDateTime::now_utc()) {
            Ok(true) => match web.set(leaves.current()) {
                Ok(()) => tracing::info!("the WebTransport certificate was rotated"),
                Err(error) => tracing::error!(%error, "cannot use the WebTransport certificate"),
            },
            Ok(false) => {}
            Err(error) => tracing::error!(%error, "cannot make a WebTransport certificate"),
        }
    }
}

async fn wait_for_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = match signal(SignalKind::terminate()) {
        Ok(terminate) => terminate,
        Err(error) => {
            tracing::warn!(%error, "cannot listen for SIGTERM");
            let _ = tokio::signal::ctrl_c().await;
            return;
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
