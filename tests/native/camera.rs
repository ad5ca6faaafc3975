//! A camera inside the test: publishes small frames by RTP over QUIC and answers for its key.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use sightline_client::api::{Api, DeviceKnown};
use sightline_client::news::Told;
use sightline_client::publish::Publisher;
use sightline_client::source::Frame;
use sightline_client::wire::RoqTrack;
use sightline_client::{DeviceSecret, Identity, SessionTarget};
use sightline_relay_proto::codec::{Codec, TrackInfo};
use sightline_relay_proto::frame::Mode;
use sightline_relay_proto::ids::TrackIndex;
use tokio_util::task::AbortOnDropHandle;

use super::server::Server;

/// Time between frames.
const FRAME: Duration = Duration::from_millis(40);
/// Ticks of the video clock in a frame.
const TICKS: u32 = 3600;
/// Frames of a group of pictures.
const GOP: u32 = 25;
/// Bytes of a keyframe: more than a stalled reader's buffer holds.
const KEYFRAME_BYTES: usize = 16_000;
/// Bytes of any other frame.
const FRAME_BYTES: usize = 1500;
const SPS: [u8; 11] = [0, 0, 0, 1, 0x67, 0x42, 0x00, 0x0a, 0xf8, 0x41, 0xa2];
const PPS: [u8; 8] = [0, 0, 0, 1, 0x68, 0xce, 0x38, 0x80];

/// A camera that publishes until it is dropped.
pub struct Camera {
    pub serial: String,
    pub code: String,
    api: Api,
    secret: Mutex<Option<Arc<DeviceSecret>>>,
    _publishing: AbortOnDropHandle<()>,
}

impl Camera {
    /// Adds it to the server and starts to publish.
    pub async fn start(server: &Server, serial: &str) -> Arc<Self> {
        let identity = Arc::new(Identity::generate_device().expect("a key"));
        let new = server.add_device(serial, &identity).await;
        let api = server.api(&identity);
        let publish = publish(api.clone(), server.roots.clone(), server.at("roq").ip());
        Arc::new(Self {
            serial: new.serial,
            code: new.code,
            api,
            secret: Mutex::new(None),
            _publishing: AbortOnDropHandle::new(tokio::spawn(publish)),
        })
    }

    /// Makes a new secret and hands in its verifier: after a binding, and to rotate the key.
    pub async fn renew_secret(&self) {
        let known = DeviceKnown { binding_epoch: u64::MAX, ..DeviceKnown::default() };
        let state = self.api.device_poll(&known).await.expect("the device is known");
        let secret = DeviceSecret::generate().expect("randomness");
        let verifier = secret.auth_key().expect("a key").verifier();
        let stored = self.api.put_key_verifier(state.binding_epoch, &verifier).await;
        stored.expect("a bound device may hand in its verifier");
        *self.secret.lock().expect("unpoisoned") = Some(Arc::new(secret));
    }

    /// The secret that its owner reads on the camera.
    pub fn secret(&self) -> Arc<DeviceSecret> {
        self.secret.lock().expect("unpoisoned").clone().expect("the camera was bound")
    }
}

/// Publishes without end, over a new session whenever one ends.
async fn publish(api: Api, roots: sightline_client::Roots, server: std::net::IpAddr) {
    let start = Instant::now();
    loop {
        let tracks = [RoqTrack::announce(&TrackInfo::video(Codec::H264))];
        if let Ok(session) = api.roq_publish(0, &tracks, Mode::Open).await {
            let target = SessionTarget {
                server,
                session,
                roots: roots.clone(),
                identity: api.identity().clone(),
                endpoint: None,
            };
            if let Ok(publisher) = Publisher::connect(&target, &Told::default()).await {
                send_frames(publisher, start).await;
            }
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn send_frames(mut publisher: Publisher, start: Instant) {
    let first = (start.elapsed().as_millis() / FRAME.as_millis()) as u32 + 1;
    for number in first.. {
        let due = start + FRAME * number;
        tokio::time::sleep_until(due.into()).await;
        let keyframe = number == first || number % GOP == 0;
        let frame = Frame {
            track: TrackIndex(0),
            timestamp: number.wrapping_mul(TICKS),
            captured: SystemTime::now(),
            ready: Instant::now(),
            keyframe,
            unit: unit(keyframe),
        };
        if publisher.send(&frame).await.is_err() {
            return;
        }
    }
}

/// An access unit that no decoder needs to like, with the headers of a real one.
fn unit(keyframe: bool) -> Bytes {
    let mut out = Vec::with_capacity(KEYFRAME_BYTES + 32);
    let (head, size): (&[u8], _) = match keyframe {
        true => {
            out.extend_from_slice(&SPS);
            out.extend_from_slice(&PPS);
            (&[0, 0, 0, 1, 0x65, 0x88, 0x84], KEYFRAME_BYTES)
        }
        false => (&[0, 0, 0, 1, 0x41, 0x9a, 0x24], FRAME_BYTES),
    };
    out.extend_from_slice(head);
    out.resize(out.len() + size, 0x5a);
    out.into()
}
