//! The viewer's side of a channel: sealed frames become access units, or errors.

use std::collections::BTreeMap;
use std::time::Duration;

use sightline_relay_proto::frame::CaptureTime;
use sightline_relay_proto::ids::Channel;
use sightline_relay_proto::limits::MAX_TRACKS;
use sightline_relay_proto::wire::sealed::{
    DESCRIPTOR_LEN, Descriptor, HEADER_LEN, KeyId, SerialHash,
};

use super::generation_keys::COUNTERS;
use super::sealer::FrameInfo;
use crate::keys::{Generation, Keyring};
use crate::secret::CryptoFailed;
use crate::sframe::{Header, OpenError, OpeningKey, Parts};

/// A live frame that was captured longer ago is shown as delayed.
pub const DELAYED_AFTER: Duration = Duration::from_secs(5);

/// Most tracks whose counters are held: those of a stream, under the generations of a switch.
const MAX_KEYS: usize = 4 * MAX_TRACKS;

/// A frame that the camera sealed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpenedFrame {
    /// What is said of it in the clear, as the camera said it.
    pub info: FrameInfo,
    /// The generation that it was sealed under.
    pub generation: Generation,
    /// How far it was captured from now, by this machine's clock, when that is more than
    /// [`DELAYED_AFTER`] either way: show it as delayed, and never as live.
    pub delayed: Option<Duration>,
}

/// Nothing may be shown of this frame.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
pub enum FrameError {
    /// Not a sealed frame, or a version that is not known.
    #[error("not a sealed frame")]
    Malformed,
    /// Sealed by another camera, or by another channel of this one.
    #[error("the frame is another camera's or another channel's")]
    OtherCamera,
    /// Its generation is not in the keyring: ask the server for the blob.
    #[error("no key for generation {}; ask for its blob", .0.number())]
    MissingGeneration(Generation),
    /// Descriptor, header or ciphertext were changed.
    #[error("the frame was changed on its way")]
    Tampered,
    /// It was opened before.
    #[error("the frame was shown before")]
    Replayed,
    /// It is so far behind that it may have been opened before.
    #[error("the frame is too far behind the newest one to rule out a replay")]
    TooFarBehind,
    /// The crypto library failed.
    #[error(transparent)]
    Crypto(#[from] CryptoFailed),
}

/// Opens the frames of one channel.
#[derive(Debug)]
pub struct FrameOpener {
    serial: SerialHash,
    channel: Channel,
    keyring: Keyring,
    keys: BTreeMap<u64, OpeningKey>,
}

impl FrameOpener {
    /// An opener for a channel of the keyring's camera.
    pub fn new(keyring: Keyring, channel: Channel) -> Self {
        let serial = SerialHash::of(&keyring.binding().serial);
        Self { serial, channel, keyring, keys: BTreeMap::new() }
    }

    /// The generations, to ask which are there.
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// The generations, to add one.
    pub fn keyring_mut(&mut self) -> &mut Keyring {
        &mut self.keyring
    }

    /// Ends the session and gives the keyring to the next one. A new session may be sent again what
    /// this one has opened: its cached start. Old frames are then told by their capture time.
    pub fn into_keyring(self) -> Keyring {
        self.keyring
    }

    /// Appends the access unit of a sealed frame to `out`. `now` is this machine's clock,
    /// microseconds since 1970 UTC.
    ///
    /// # Errors
    /// See [`FrameError`]; then nothing has changed, in `out` or here.
    pub fn open(
        &mut self,
        frame: &[u8],
        now: CaptureTime,
        out: &mut Vec<u8>,
    ) -> Result<OpenedFrame, FrameError> {
        let (head, sframe) =
            frame.split_first_chunk::<DESCRIPTOR_LEN>().ok_or(FrameError::Malformed)?;
        let descriptor = Descriptor::parse(head).map_err(|_| FrameError::Malformed)?;
        if descriptor.serial != self.serial || descriptor.channel != self.channel {
            return Err(FrameError::OtherCamera);
        }
        let parts = Parts::of(sframe).map_err(|_| FrameError::Malformed)?;
        let generation = checked(&parts, &descriptor)?;
        self.unseal(generation, &parts, head, out)?;
        Ok(OpenedFrame { info: info(&descriptor), generation, delayed: delay(descriptor, now) })
    }

    fn unseal(
        &mut self,
        generation: Generation,
        parts: &Parts<'_>,
        head: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), FrameError> {
        let held = self.keyring.get(generation);
        let held = held.ok_or(FrameError::MissingGeneration(generation))?;
        let Header { kid, .. } = parts.header;
        if let Some(key) = self.keys.get_mut(&kid) {
            return key.open(parts, head, out).map_err(refused);
        }
        // The key is kept with the first authentic frame only: whoever invents tracks fills
        // nothing.
        let mut key = OpeningKey::new(held.suite, held.base_key.expose(), kid)?;
        key.open(parts, head, out).map_err(refused)?;
        let keyring = &self.keyring;
        self.keys.retain(|kid, _| {
            KeyId::from_u64(*kid).is_some_and(|key| keyring.holds(key.generation))
        });
        while self.keys.len() >= MAX_KEYS {
            self.keys.pop_first();
        }
        self.keys.insert(kid, key);
        Ok(())
    }
}

/// Header and descriptor must tell the same, in the lengths that every frame has.
fn checked(parts: &Parts<'_>, descriptor: &Descriptor) -> Result<Generation, FrameError> {
    let Header { kid, ctr } = parts.header;
    let KeyId { generation, channel, track } = KeyId::from_u64(kid).ok_or(FrameError::Malformed)?;
    let agree = channel == descriptor.channel && track == descriptor.track;
    let legal = usize::from(track.0) < MAX_TRACKS
        && COUNTERS.contains(&ctr)
        && parts.header_len() == HEADER_LEN
        && parts.plaintext_len() > 0;
    if agree && legal { Ok(generation) } else { Err(FrameError::Malformed) }
}

fn refused(error: OpenError) -> FrameError {
    match error {
        OpenError::NotAuthentic | OpenError::OtherKey => FrameError::Tampered,
        OpenError::Replayed => FrameError::Replayed,
        OpenError::TooFarBehind => FrameError::TooFarBehind,
    }
}

fn info(descriptor: &Descriptor) -> FrameInfo {
    FrameInfo {
        track: descriptor.track,
        tier: descriptor.tier,
        codec: descriptor.codec,
        keyframe: descriptor.keyframe,
        discardable: descriptor.discardable,
        discontinuity: descriptor.discontinuity,
        capture: descriptor.capture,
    }
}

fn delay(descriptor: Descriptor, now: CaptureTime) -> Option<Duration> {
    let apart = Duration::from_micros(now.0.abs_diff(descriptor.capture.0));
    (apart > DELAYED_AFTER).then_some(apart)
}
