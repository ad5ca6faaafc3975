//! How often a real worker wakes when one viewer watches.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use sightline_grant::grant::{Grant, GrantId, GrantSigner};
use sightline_grant::{Action, Epochs, Role, Thumbprint};
use sightline_relay_proto::ids::{Channel, DeviceId, StreamKey};

use super::client::Client;
use crate::admit::Request;
use crate::api::{Authority, AuthoritySilent, LeaseTerms, LeaseVerdict, Publisher, RtspPublisher};
use crate::config::{RelayConfig, RotatingIdentity, TlsIdentity};
use crate::start::Relay;

const SERIAL: &str = "CAM-1";
/// Frames that are counted.
const FRAMES: u16 = 60;
/// Packets of a frame: one chunk.
const PACKETS: u16 = 10;
/// Longest wait for a frame, in steps of a millisecond.
const PATIENCE: usize = 5000;
/// Turns that reports and checks of sessions may take a second.
const TIMERS: f64 = 6.0;

struct Everyone;

#[async_trait]
impl Authority for Everyone {
    async fn renew(&self, leases: Vec<LeaseTerms>) -> Result<Vec<LeaseVerdict>, AuthoritySilent> {
        Ok(leases.iter().map(|_| LeaseVerdict::Renewed).collect())
    }

    async fn rtsp_publisher(&self, _user: String) -> Option<RtspPublisher> {
        None
    }
}

fn key() -> StreamKey {
    StreamKey::up(DeviceId::new(SERIAL).expect("legal"), Channel(0))
}

fn config() -> RelayConfig {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let own = rcgen::generate_simple_self_signed(Vec::new()).expect("a certificate");
    let key = rustls_pki_types::PrivatePkcs8KeyDer::from(own.signing_key.serialize_der());
    let tls = Arc::new(TlsIdentity { chain: vec![own.cert.der().clone()], key: key.into() });
    RelayConfig {
        workers: 1,
        web: RotatingIdentity::new(&tls).expect("a key of TLS"),
        webrtc: any,
        rtsp: any,
        rtsps: any,
        rtsp_udp: any,
        roq: any,
        public_addresses: vec![any.ip()],
        plain_rtsp_play: false,
        tls,
    }
}

fn grant(signer: &GrantSigner, terminal: Thumbprint) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    signer.sign(&Grant {
        id: GrantId(1),
        subject: "subject".to_owned(),
        session: "session".to_owned(),
        terminal,
        serial: SERIAL.to_owned(),
        channel: 0,
        actions: vec![Action::Live],
        role: Role::Owner,
        epochs: Epochs::default(),
        consent_seq: 1,
        issued_at: now,
        expires_at: now + 30,
    })
}

fn pause() {
    std::thread::sleep(Duration::from_millis(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn one_viewer_costs_the_worker_at_most_one_turn_a_frame() {
    let signer = GrantSigner::from_seed(&[7; 32]).expect("a seed");
    let relay = Relay::start(&config(), signer.verifier(), Arc::new(Everyone)).expect("free ports");
    let (handle, port) = (relay.handle(), relay.addresses().webrtc);
    handle.feed_beat();
    let mut camera = Client::new(port);
    let publisher = Publisher { key: key(), sealed: false };
    let answer = handle.whip(publisher, camera.offer("sendonly", "")).await.expect("admitted");
    camera.connect(&answer.sdp, pause);
    while !handle.live(&key()) {
        pause();
    }
    let (mut viewer, terminal) = (Client::new(port), Thumbprint([1; 32]));
    let text = grant(&signer, terminal);
    let request =
        Request { grant: &text, terminal, serial: SERIAL, channel: 0, action: Action::Live };
    let answer = handle.whep(request, viewer.offer("recvonly", "")).await.expect("admitted");
    viewer.connect(&answer.sdp, pause);
    while handle.stats().subscribers == 0 {
        pause();
    }
    let (mut began, mut before) = (Instant::now(), 0);
    for number in 0..=FRAMES {
        viewer.packets.clear();
        camera.send_frame(number * PACKETS, u32::from(number) * 3600, PACKETS);
        for _ in 0..PATIENCE {
            pause();
            viewer.read();
            if viewer.packets.len() == usize::from(PACKETS) {
                break;
            }
        }
        assert_eq!(viewer.packets.len(), usize::from(PACKETS), "frame {number}");
        std::thread::sleep(Duration::from_millis(15));
        if number == 0 {
            (began, before) = (Instant::now(), handle.stats().turns);
        }
    }
    let turns = handle.stats().turns - before;
    let timers = (1.0 + began.elapsed().as_secs_f64()) * TIMERS;
    assert!(turns as f64 <= f64::from(FRAMES) + timers, "{turns} turns for {FRAMES} frames");
    tokio::task::spawn_blocking(|| relay.stop()).await.expect("it ends");
}
