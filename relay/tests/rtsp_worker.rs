//! FFmpeg as camera and player, through the real worker and a real grant.
//! Needs ffmpeg: `cargo test -p sightline-relay --test rtsp_worker -- --ignored`.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use sightline_grant::grant::{Grant, GrantId, GrantSigner};
use sightline_grant::{Action, Epochs, Redacted, Role, Thumbprint};
use sightline_relay::admit::Request;
use sightline_relay::config::TlsIdentity;
use sightline_relay::{
    Authority, AuthoritySilent, LeaseTerms, LeaseVerdict, Publisher, RTSP_REALM, Relay,
    RelayConfig, RtspPublisher,
};
use sightline_relay_proto::ids::{Channel, DeviceId, StreamKey};
use sightline_relay_proto::rtsp::digest::Algorithm;

const SERIAL: &str = "CAM-1";

struct Everyone;

fn key() -> StreamKey {
    StreamKey::up(DeviceId::new(SERIAL).expect("a serial"), Channel(0))
}

#[async_trait]
impl Authority for Everyone {
    async fn renew(&self, leases: Vec<LeaseTerms>) -> Result<Vec<LeaseVerdict>, AuthoritySilent> {
        Ok(leases.iter().map(|_| LeaseVerdict::Renewed).collect())
    }

    async fn rtsp_publisher(&self, user: String) -> Option<RtspPublisher> {
        let ha1 = |algorithm: Algorithm| Redacted::new(algorithm.ha1(SERIAL, RTSP_REALM, "secret"));
        (user == SERIAL).then(|| RtspPublisher {
            publisher: Publisher { key: key(), sealed: false },
            ha1_md5: ha1(Algorithm::Md5),
            ha1_sha256: ha1(Algorithm::Sha256),
        })
    }
}

fn config() -> RelayConfig {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let pair =
        rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let key = rustls_pki_types::PrivatePkcs8KeyDer::from(pair.signing_key.serialize_der());
    let tls = TlsIdentity { chain: vec![pair.cert.der().clone()], key: key.into() };
    RelayConfig {
        workers: 2,
        webrtc: any,
        rtsp: any,
        rtsps: any,
        rtsp_udp: any,
        roq: any,
        public_addresses: vec![any.ip()],
        plain_rtsp_play: false,
        tls: Arc::new(tls),
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

fn ffmpeg(arguments: &str) -> tokio::process::Child {
    let mut command = tokio::process::Command::new("ffmpeg");
    command.args(arguments.split_ascii_whitespace()).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("ffmpeg starts")
}

#[tokio::test]
#[ignore = "needs ffmpeg"]
async fn a_grant_buys_one_play_of_what_a_camera_pushes() {
    let signer = GrantSigner::from_seed(&[7; 32]).unwrap();
    let relay = Relay::start(&config(), signer.verifier(), Arc::new(Everyone)).unwrap();
    let handle = relay.handle();
    let port = relay.addresses().rtsp.port();
    handle.feed_beat();
    let _camera = ffmpeg(&format!(
        "-re -f lavfi -i testsrc2=size=640x360:rate=25 -c:v libx264 -preset ultrafast -g 25 \
         -tune zerolatency -t 20 -f rtsp -rtsp_transport tcp \
         rtsp://{SERIAL}:secret@127.0.0.1:{port}/{SERIAL}/0"
    ));
    let live = async {
        while !handle.live(&key()) || handle.stats().frames_in < 10 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(15), live).await.expect("the camera goes live");
    handle.feed_beat();
    let terminal = Thumbprint([1; 32]);
    let text = grant(&signer, terminal);
    let action = Action::Live;
    let request = Request { grant: &text, terminal, serial: SERIAL, channel: 0, action };
    let login = handle.rtsp_handle(request).await.unwrap();
    let url =
        format!("rtsp://{}:{}@127.0.0.1:{port}{}", login.user, login.password.expose(), login.path);
    let play = format!("-rtsp_transport tcp -i {url} -frames:v 50 -f framecrc -");
    let done = ffmpeg(&play).wait_with_output().await.unwrap();
    let pictures = String::from_utf8_lossy(&done.stdout);
    let pictures = pictures.lines().filter(|line| line.starts_with("0,")).count();
    assert_eq!(pictures, 50, "{}", String::from_utf8_lossy(&done.stderr));
    let again = ffmpeg(&play).wait_with_output().await.unwrap();
    assert!(String::from_utf8_lossy(&again.stderr).contains("401"));
    tokio::task::spawn_blocking(|| relay.stop()).await.unwrap();
}
