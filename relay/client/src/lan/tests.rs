//! A camera and its viewers on loopback, with no server anywhere.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use sightline_grant::{GrantSigner, LanGrant, Redacted, Role, requirement};
use sightline_relay_proto::ids::TrackIndex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::camera::{LanTerms, MAX_VIEWERS};
use super::*;
use crate::Identity;
use crate::source::Frame;

const EPOCH: u64 = 5;

struct Stage {
    hub: LanHub,
    address: std::net::SocketAddr,
    keyframes: watch::Receiver<u64>,
    signer: GrantSigner,
    terminal: Identity,
    _stop: tokio_util::sync::DropGuard,
}

async fn stage() -> Stage {
    let (wanted, keyframes) = watch::channel(0);
    let hub = LanHub::new(wanted);
    let signer = GrantSigner::from_seed(&[3; 32]).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let terms = LanTerms { serial: "CAM-1".into(), channel: 0, server: signer.verifier() };
    let stop = CancellationToken::new();
    tokio::spawn(hub.clone().serve(listener, terms, stop.clone()));
    let terminal = Identity::generate_terminal().unwrap();
    Stage { hub, address, keyframes, signer, terminal, _stop: stop.drop_guard() }
}

impl Stage {
    fn grant(&self) -> LanGrant {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        LanGrant {
            serial: "CAM-1".into(),
            channel: 0,
            terminal: self.terminal.thumbprint(),
            role: Role::Owner,
            binding_epoch: EPOCH,
            issued_at: now,
            expires_at: now + 60,
        }
    }

    async fn watch(&self, grant: &LanGrant) -> LanViewer {
        let text = Redacted::new(self.signer.sign_lan(grant));
        LanViewer::connect(self.address, "CAM-1", 0, &text, &self.terminal).await.unwrap()
    }

    async fn refused(&self, grant: &LanGrant) -> String {
        match self.watch(grant).await.next().await {
            Err(LanError::Refused(reason)) => reason,
            other => panic!("{other:?}"),
        }
    }
}

fn frame(timestamp: u32, keyframe: bool) -> Frame {
    Frame {
        track: TrackIndex(0),
        timestamp,
        captured: SystemTime::now(),
        ready: Instant::now(),
        keyframe,
        unit: Bytes::from(vec![7; 9]),
    }
}

async fn next_frame(viewer: &mut LanViewer) -> u32 {
    match viewer.next().await.unwrap().unwrap() {
        LanMessage::Frame(frame) => frame.timestamp,
        LanMessage::Generation(_) => panic!("a generation"),
    }
}

#[tokio::test]
async fn a_granted_terminal_gets_the_keys_and_then_frames_from_a_keyframe_on() {
    let mut stage = stage().await;
    stage.hub.generation(EPOCH, vec![1, 2]);
    assert!(!stage.hub.is_watched());
    let mut viewer = stage.watch(&stage.grant()).await;
    assert_eq!(viewer.next().await.unwrap(), Some(LanMessage::Generation(vec![1, 2])));
    stage.keyframes.changed().await.unwrap();
    assert!(stage.hub.is_watched());
    stage.hub.send(&frame(1, false), true);
    stage.hub.send(&frame(2, true), false);
    stage.hub.send(&frame(3, true), true);
    stage.hub.send(&frame(4, false), true);
    let expected = LanFrame {
        track: TrackIndex(0),
        keyframe: true,
        timestamp: 3,
        sealed: Bytes::from(vec![7; 9]),
    };
    assert_eq!(viewer.next().await.unwrap(), Some(LanMessage::Frame(expected)));
    assert_eq!(next_frame(&mut viewer).await, 4);
    stage.hub.generation(EPOCH, vec![3]);
    assert_eq!(viewer.next().await.unwrap(), Some(LanMessage::Generation(vec![3])));
    requirement!("B16");
}

#[tokio::test]
async fn who_has_no_grant_of_his_own_for_this_camera_and_binding_is_refused() {
    let stage = stage().await;
    assert!(stage.refused(&stage.grant()).await.contains("does not seal"));
    stage.hub.generation(EPOCH, vec![1]);
    let good = stage.grant();
    for (bad, reason) in [
        (LanGrant { serial: "CAM-2".into(), ..good.clone() }, "another camera"),
        (LanGrant { channel: 1, ..good.clone() }, "another camera or channel"),
        (LanGrant { binding_epoch: EPOCH - 1, ..good.clone() }, "another owner"),
        (LanGrant { binding_epoch: EPOCH + 1, ..good.clone() }, "another owner"),
        (LanGrant { expires_at: good.issued_at - 1, ..good.clone() }, "expired"),
        (
            LanGrant {
                terminal: Identity::generate_terminal().unwrap().thumbprint(),
                ..good.clone()
            },
            "another terminal",
        ),
    ] {
        let told = stage.refused(&bad).await;
        assert!(told.contains(reason), "{told}");
    }
    let other = GrantSigner::from_seed(&[4; 32]).unwrap();
    let text = Redacted::new(other.sign_lan(&good));
    let mut viewer =
        LanViewer::connect(stage.address, "CAM-1", 0, &text, &stage.terminal).await.unwrap();
    assert!(matches!(viewer.next().await, Err(LanError::Refused(_))), "another server's");
    assert!(!stage.hub.is_watched());
    requirement!("B16");
}

#[tokio::test]
async fn a_proof_that_was_overheard_is_worth_nothing_on_another_connection() {
    let stage = stage().await;
    stage.hub.generation(EPOCH, vec![1]);
    let grant = stage.signer.sign_lan(&stage.grant());
    let jti = "overheard";
    let proof = stage.terminal.proof_as("LAN", "/lan/CAM-1/0", Some(&grant), "lan://camera", jti);
    let mut stream = TcpStream::connect(stage.address).await.unwrap();
    let mut greeting = [0; 37];
    stream.read_exact(&mut greeting).await.unwrap();
    let hello = serde_json::json!({ "grant": grant, "proof": proof.unwrap() });
    stream.write_all(format!("{hello}\n").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer[4], REFUSED);
    assert!(!stage.hub.is_watched());
}

#[tokio::test]
async fn a_new_owner_ends_every_preview() {
    let stage = stage().await;
    stage.hub.generation(EPOCH, vec![1]);
    let mut viewer = stage.watch(&stage.grant()).await;
    assert!(viewer.next().await.unwrap().is_some());
    stage.hub.generation(EPOCH + 2, vec![2]);
    assert_eq!(viewer.next().await.unwrap(), None);
    assert!(stage.refused(&stage.grant()).await.contains("another owner"));
    stage.hub.end();
    assert!(stage.refused(&stage.grant()).await.contains("does not seal"));
    requirement!("B16");
}

#[tokio::test]
async fn a_viewer_that_lags_goes_on_at_a_keyframe_and_costs_others_nothing() {
    let stage = stage().await;
    stage.hub.generation(EPOCH, vec![1]);
    let mut slow = stage.watch(&stage.grant()).await;
    let mut quick = stage.watch(&stage.grant()).await;
    for viewer in [&mut slow, &mut quick] {
        assert!(viewer.next().await.unwrap().is_some());
    }
    // Far more than queue and sockets hold, in pieces that the quick one takes.
    let large = |timestamp, keyframe| Frame {
        unit: Bytes::from(vec![0; 256 * 1024]),
        ..frame(timestamp, keyframe)
    };
    for timestamp in 0..200 {
        stage.hub.send(&large(timestamp, timestamp == 0), true);
        assert_eq!(next_frame(&mut quick).await, timestamp);
    }
    stage.hub.send(&large(200, true), true);
    assert_eq!(next_frame(&mut quick).await, 200);
    let mut seen = Vec::new();
    while seen.last().is_none_or(|last| *last < 190) {
        let Ok(next) = tokio::time::timeout(Duration::from_secs(1), next_frame(&mut slow)).await
        else {
            stage.hub.send(&large(300, true), true);
            continue;
        };
        seen.push(next);
    }
    let gap = seen.windows(2).find(|pair| pair[1] != pair[0] + 1).expect("frames were left out");
    assert!(gap[1] == 200 || gap[1] == 300, "it goes on at a keyframe: {gap:?}");
}

#[tokio::test]
async fn connections_are_bounded_and_a_silent_one_holds_no_preview() {
    let stage = stage().await;
    stage.hub.generation(EPOCH, vec![1]);
    let mut silent = Vec::new();
    for _ in 0..MAX_VIEWERS {
        let mut stream = TcpStream::connect(stage.address).await.unwrap();
        let mut greeting = [0; 37];
        stream.read_exact(&mut greeting).await.unwrap();
        silent.push(stream);
    }
    let text = Redacted::new(stage.signer.sign_lan(&stage.grant()));
    let full = LanViewer::connect(stage.address, "CAM-1", 0, &text, &stage.terminal).await;
    assert!(full.is_err(), "the camera is full");
    let mut long = silent.pop().unwrap();
    long.write_all(&vec![b'x'; MAX_HELLO + 1]).await.unwrap();
    let mut rest = Vec::new();
    // Closed, or reset because what it sent was not read.
    let _ = long.read_to_end(&mut rest).await;
    assert!(rest.is_empty());
    assert!(!stage.hub.is_watched());
}
