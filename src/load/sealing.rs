//! Sealed cameras and their viewers: everything is encrypted and opened as cameras and apps do it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytes::Bytes;
use sightline_client::api::Api;
use sightline_client::keys::{Binding, CameraKeys, Keyring, Moment, SigningPublic};
use sightline_client::sealed::{FrameError, FrameInfo, FrameOpener, FrameSealer, OVERHEAD};
use sightline_client::sframe::Suite;
use sightline_client::{DeviceSecret, Identity};
use sightline_grant::PublicKey;
use sightline_relay_proto::codec::Codec;
use sightline_relay_proto::frame::CaptureTime;
use sightline_relay_proto::ids::{Channel, DeviceId, Tier, TrackIndex};
use sightline_relay_proto::wire::sealed::Piece;

use super::clock::now;

/// Channel of every camera here.
const CHANNEL: Channel = Channel(0);
/// Frames of a viewer that may be incomplete at once: their streams overtake each other.
const MAX_PARTIAL: usize = 8;

/// The keys of a sealed camera, once it is bound.
#[derive(Default)]
pub(super) struct Sealing(Mutex<Option<Keys>>);

struct Keys {
    sealer: FrameSealer,
    viewing: Arc<Viewing>,
}

/// What viewers of a camera know beside its secret.
pub(super) struct Viewing {
    binding: Binding,
    /// The camera's identity, as they would have pinned it.
    camera: SigningPublic,
}

impl Sealing {
    /// Makes the generation of a new binding and hands it to the server.
    pub(super) async fn renew(
        &self,
        api: &Api,
        serial: &str,
        epoch: u64,
        secret: &DeviceSecret,
    ) -> Result<(), String> {
        let (keys, blob) = prepare(api.identity(), serial, epoch, secret)?;
        api.put_generation(&blob).await.map_err(|error| error.to_string())?;
        *self.0.lock().expect("unpoisoned") = Some(keys);
        Ok(())
    }

    /// The sealed frame of an access unit of pictures; `None` before there is a generation.
    pub(super) fn seal(&self, unit: &[u8], keyframe: bool, captured: u64) -> Option<Bytes> {
        let mut keys = self.0.lock().expect("unpoisoned");
        let info = FrameInfo {
            track: TrackIndex(0),
            tier: Tier::Main,
            codec: Codec::H264,
            keyframe,
            discardable: false,
            discontinuity: false,
            capture: CaptureTime(captured),
        };
        let mut out = Vec::with_capacity(OVERHEAD + unit.len());
        keys.as_mut()?.sealer.seal(&info, unit, Instant::now(), &mut out).ok()?;
        Some(out.into())
    }

    /// For its viewers; `None` before there is a generation.
    pub(super) fn viewing(&self) -> Option<Arc<Viewing>> {
        self.0.lock().expect("unpoisoned").as_ref().map(|keys| keys.viewing.clone())
    }
}

/// Keys of a binding, and the generation as the server gets it.
fn prepare(
    identity: &Identity,
    serial: &str,
    epoch: u64,
    secret: &DeviceSecret,
) -> Result<(Keys, Vec<u8>), String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let serial = DeviceId::new(serial).map_err(|error| text(&error))?;
    let binding = Binding { serial, epoch };
    let auth = secret.auth_key().map_err(|error| text(&error))?.verifier();
    let archive = secret.archive_key().map_err(|error| text(&error))?.public();
    let PublicKey::Ed25519(camera) = *identity.public_key() else {
        return Err("a camera's identity is an Ed25519 key".into());
    };
    let mut keys = CameraKeys::new(binding.clone(), auth, archive, Suite::default(), None);
    let moment = Moment { steady: Instant::now(), unix: now() / 1_000_000 };
    // A camera of one run has nothing to remember.
    let made = keys.make_generation(identity, moment, |_| Ok(()));
    let mut made = made.map_err(|error| text(&error))?;
    let channel = made.keys.channel(CHANNEL).map_err(|error| text(&error))?;
    let viewing = Arc::new(Viewing { binding, camera });
    Ok((Keys { sealer: FrameSealer::new(channel), viewing }, made.blob.to_bytes()))
}

/// Opens what one viewer gets.
pub(super) struct Opening {
    opener: FrameOpener,
    /// Frames whose end has not come, by RTP timestamp.
    partial: BTreeMap<u32, Vec<u8>>,
}

impl Opening {
    /// With the generations that the server handed out for `secret`.
    pub(super) fn new(
        viewing: &Viewing,
        secret: &DeviceSecret,
        blobs: &[Vec<u8>],
    ) -> Result<Self, String> {
        let key = secret.archive_key().map_err(|error| error.to_string())?;
        let mut keyring = Keyring::live(viewing.binding.clone(), viewing.camera, None);
        for blob in blobs {
            let taken = keyring.accept(blob, &key, now() / 1_000_000);
            taken.map_err(|error| format!("the camera's key is not taken: {error}"))?;
        }
        let opener = FrameOpener::new(keyring, CHANNEL);
        Ok(Self { opener, partial: BTreeMap::new() })
    }

    /// Adds an RTP payload; the access unit when the frame is whole.
    pub(super) fn packet(
        &mut self,
        timestamp: u32,
        payload: &[u8],
    ) -> Option<Result<Vec<u8>, FrameError>> {
        let Ok(piece) = Piece::parse(payload) else { return Some(Err(FrameError::Malformed)) };
        if piece.start && !self.partial.contains_key(&timestamp) {
            if self.partial.len() >= MAX_PARTIAL {
                self.partial.pop_first();
            }
            self.partial.insert(timestamp, Vec::new());
        }
        self.partial.get_mut(&timestamp)?.extend_from_slice(piece.body);
        if !piece.end {
            return None;
        }
        let frame = self.partial.remove(&timestamp)?;
        Some(self.frame(&frame))
    }

    /// The access unit of a sealed frame.
    pub(super) fn frame(&mut self, sealed: &[u8]) -> Result<Vec<u8>, FrameError> {
        let mut unit = Vec::with_capacity(sealed.len());
        self.opener.open(sealed, CaptureTime(now()), &mut unit)?;
        Ok(unit)
    }
}

#[cfg(test)]
mod tests {
    use sightline_relay_proto::wire::sealed::cut;

    use super::*;

    /// A sealing camera, and one viewer of it.
    fn pair() -> (Sealing, Opening) {
        let identity = Identity::generate_device().unwrap();
        let secret = DeviceSecret::generate().unwrap();
        let (keys, blob) = prepare(&identity, "LOAD-1", 3, &secret).unwrap();
        let opening = Opening::new(&keys.viewing, &secret, &[blob]).unwrap();
        (Sealing(Mutex::new(Some(keys))), opening)
    }

    fn payloads(sealing: &Sealing, unit: &[u8]) -> Vec<Bytes> {
        cut(&sealing.seal(unit, true, now()).unwrap()).unwrap()
    }

    #[test]
    fn frames_whose_packets_mix_open_each_when_it_is_whole() {
        let (sealing, mut opening) = pair();
        let units = [vec![1; 3000], vec![2; 3000]];
        let frames = units.each_ref().map(|unit| payloads(&sealing, unit));
        let last = frames[0].len() - 1;
        let [first, second] = &frames;
        for (at, pair) in first.iter().zip(second).enumerate() {
            for (timestamp, packet) in [pair.0, pair.1].into_iter().enumerate() {
                let opened = opening.packet(timestamp as u32, packet);
                assert_eq!(opened, (at == last).then(|| Ok(units[timestamp].clone())));
            }
        }
    }

    #[test]
    fn the_oldest_of_too_many_incomplete_frames_is_given_up() {
        for (more, whole) in [(MAX_PARTIAL - 1, true), (MAX_PARTIAL, false)] {
            let (sealing, mut opening) = pair();
            let first = payloads(&sealing, &[7; 2000]);
            assert_eq!(opening.packet(0, &first[0]), None);
            for timestamp in 1..=more {
                let other = payloads(&sealing, &[8; 2000]);
                assert_eq!(opening.packet(timestamp as u32, &other[0]), None);
            }
            assert_eq!(opening.packet(0, &first[1]).is_some(), whole);
        }
    }

    #[test]
    fn what_was_changed_does_not_open() {
        let (sealing, mut opening) = pair();
        let mut frame = sealing.seal(&[9; 100], true, now()).unwrap().to_vec();
        *frame.last_mut().unwrap() ^= 1;
        assert_eq!(opening.frame(&frame), Err(FrameError::Tampered));
        assert_eq!(opening.packet(0, &[0x3f, 0]), Some(Err(FrameError::Malformed)));
    }

    #[test]
    fn nothing_is_sealed_before_there_is_a_key() {
        assert_eq!(Sealing::default().seal(&[1], true, now()), None);
    }
}
