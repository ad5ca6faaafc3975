//! Still images under day keys: what was seen on one day for one purpose, and nothing else, opens
//! with one key.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::rand;
use sightline_relay_proto::frame::CaptureTime;
use sightline_relay_proto::ids::{Channel, DeviceId};
use sightline_relay_proto::wire::sealed::SerialHash;
use zeroize::{Zeroize, Zeroizing};

use crate::keys::{BaseKey, Generation, Keyring};
use crate::secret::CryptoFailed;

/// Longest still image, bytes.
pub const MAX_STILL: usize = 16 * 1024 * 1024;
/// Bytes that sealing adds to a still image.
pub const STILL_OVERHEAD: usize = HEAD_LEN + TAG_LEN;

const FORMAT: u8 = 1;
const LABEL: &[u8] = b"sightline/v1/still\0";
const TAG_LEN: usize = 16;
/// Format, kind, type, channel, serial, generation, capture time, nonce.
const HEAD_LEN: usize = 1 + 1 + 1 + 2 + size_of::<SerialHash>() + 8 + 8 + NONCE_LEN;
const MICROS_A_DAY: u64 = 24 * 3600 * 1_000_000;

/// What an image is for. Each has its own keys.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum StillKind {
    /// A screenshot that somebody asked for.
    Screenshot,
    /// The image of an event.
    Event,
    /// A panorama.
    Panorama,
}

/// The image's format.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum StillType {
    /// image/jpeg
    Jpeg,
    /// image/png
    Png,
    /// image/webp
    Webp,
    /// image/avif
    Avif,
}

/// What is said of an image in the clear.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StillInfo {
    /// What it is for.
    pub kind: StillKind,
    /// Its format.
    pub media: StillType,
    /// The lens.
    pub channel: Channel,
    /// The camera's clock at capture.
    pub capture: CaptureTime,
}

/// An image that the camera sealed. Never printed.
pub struct OpenedStill {
    /// What is said of it in the clear, as the camera said it.
    pub info: StillInfo,
    /// The image, in a memory that is wiped when it is dropped.
    pub image: Zeroizing<Vec<u8>>,
}

/// An image was not sealed or not opened.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
pub enum StillError {
    /// Empty, or longer than [`MAX_STILL`].
    #[error("a still image has 1 to {MAX_STILL} bytes")]
    Length,
    /// Not a sealed image, or a version that is not known.
    #[error("not a sealed image")]
    Malformed,
    /// Another camera's.
    #[error("the image is another camera's")]
    OtherCamera,
    /// Its generation is not in the keyring.
    #[error("no key for generation {}; ask for its blob", .0.number())]
    MissingGeneration(Generation),
    /// It was changed.
    #[error("the image was changed on its way")]
    Tampered,
    /// The crypto library failed.
    #[error(transparent)]
    Crypto(#[from] CryptoFailed),
}

/// Seals images of one camera under one generation.
#[derive(Debug)]
pub struct StillSealer {
    serial: SerialHash,
    generation: Generation,
    base_key: BaseKey,
}

/// Opens images of a keyring's camera.
#[derive(Debug)]
pub struct StillOpener<'a>(&'a Keyring);

impl StillSealer {
    pub(crate) fn new(serial: &DeviceId, generation: Generation, base_key: BaseKey) -> Self {
        Self { serial: SerialHash::of(serial), generation, base_key }
    }

    /// The sealed image.
    ///
    /// # Errors
    /// Its length, or the crypto library.
    pub fn seal(&self, info: &StillInfo, image: &[u8]) -> Result<Vec<u8>, StillError> {
        let mut nonce = [0; NONCE_LEN];
        // A day of one purpose has far fewer images than the 2^32 that random nonces allow.
        rand::fill(&mut nonce).map_err(|_| CryptoFailed)?;
        self.seal_with(info, image, nonce)
    }

    pub(crate) fn seal_with(
        &self,
        info: &StillInfo,
        image: &[u8],
        nonce: [u8; NONCE_LEN],
    ) -> Result<Vec<u8>, StillError> {
        if image.is_empty() || image.len() > MAX_STILL {
            return Err(StillError::Length);
        }
        let mut out = Vec::with_capacity(STILL_OVERHEAD + image.len());
        out.extend([FORMAT, info.kind.id(), info.media.id()]);
        out.extend(info.channel.0.to_be_bytes());
        out.extend(self.serial.0);
        out.extend(self.generation.number().to_be_bytes());
        out.extend(info.capture.0.to_be_bytes());
        out.extend(nonce);
        let key = day_key(&self.base_key, info)?;
        out.resize(STILL_OVERHEAD + image.len(), 0);
        let (head, body) = out.split_at_mut(HEAD_LEN);
        let (ciphertext, tag) = body.split_at_mut(image.len());
        let nonce = Nonce::assume_unique_for_key(nonce);
        key.seal_out_of_place_scatter(nonce, Aad::from(head), image, ciphertext, &[], tag)
            .map_err(|_| CryptoFailed)?;
        Ok(out)
    }
}

impl<'a> StillOpener<'a> {
    /// Opens with the generations of this keyring.
    pub fn new(keyring: &'a Keyring) -> Self {
        Self(keyring)
    }

    /// The image that the camera sealed. It may be an old one, or one that was shown before: its
    /// place and time are in [`StillInfo`], which the camera vouches for.
    ///
    /// # Errors
    /// See [`StillError`].
    pub fn open(&self, sealed: &[u8]) -> Result<OpenedStill, StillError> {
        let (head, body) = sealed.split_first_chunk::<HEAD_LEN>().ok_or(StillError::Malformed)?;
        let len = body.len().checked_sub(TAG_LEN).filter(|len| (1..=MAX_STILL).contains(len));
        let (ciphertext, tag) = body.split_at(len.ok_or(StillError::Malformed)?);
        let (info, serial, generation, nonce) = read_head(head).ok_or(StillError::Malformed)?;
        if serial != SerialHash::of(&self.0.binding().serial) {
            return Err(StillError::OtherCamera);
        }
        let held = self.0.get(generation);
        let held = held.ok_or(StillError::MissingGeneration(generation))?;
        let key = day_key(&held.base_key, &info)?;
        let mut image = Zeroizing::new(vec![0; ciphertext.len()]);
        let nonce = Nonce::assume_unique_for_key(nonce);
        key.open_separate_gather(nonce, Aad::from(head), ciphertext, tag, &mut image).map_err(
            |_| {
                image.zeroize();
                StillError::Tampered
            },
        )?;
        Ok(OpenedStill { info, image })
    }
}

impl std::fmt::Debug for OpenedStill {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenedStill").field("info", &self.info).finish_non_exhaustive()
    }
}

type Head = (StillInfo, SerialHash, Generation, [u8; NONCE_LEN]);

fn read_head(head: &[u8; HEAD_LEN]) -> Option<Head> {
    if head[0] != FORMAT {
        return None;
    }
    let info = StillInfo {
        kind: StillKind::ALL.into_iter().find(|kind| kind.id() == head[1])?,
        media: StillType::ALL.into_iter().find(|media| media.id() == head[2])?,
        channel: Channel(u16::from_be_bytes(head[3..5].try_into().ok()?)),
        capture: CaptureTime(u64::from_be_bytes(head[21..29].try_into().ok()?)),
    };
    let generation = Generation::new(u64::from_be_bytes(head[13..21].try_into().ok()?))?;
    Some((info, SerialHash(head[5..13].try_into().ok()?), generation, head[29..].try_into().ok()?))
}

/// The key of one generation, purpose and day (UTC, by the camera's clock).
pub(super) fn day_key(base_key: &BaseKey, info: &StillInfo) -> Result<LessSafeKey, CryptoFailed> {
    let day = info.capture.0 / MICROS_A_DAY;
    let mut key = Zeroizing::new([0; 32]);
    Salt::new(HKDF_SHA256, &[])
        .extract(base_key.expose())
        .expand(&[LABEL, &[info.kind.id()], &day.to_be_bytes()], HKDF_SHA256)
        .and_then(|okm| okm.fill(key.as_mut()))
        .map_err(|_| CryptoFailed)?;
    let key = UnboundKey::new(&AES_256_GCM, key.as_ref()).map_err(|_| CryptoFailed)?;
    Ok(LessSafeKey::new(key))
}

impl StillKind {
    /// Every purpose.
    pub const ALL: [Self; 3] = [Self::Screenshot, Self::Event, Self::Panorama];

    fn id(self) -> u8 {
        match self {
            Self::Screenshot => 1,
            Self::Event => 2,
            Self::Panorama => 3,
        }
    }
}

impl StillType {
    /// Every format.
    pub const ALL: [Self; 4] = [Self::Jpeg, Self::Png, Self::Webp, Self::Avif];

    fn id(self) -> u8 {
        match self {
            Self::Jpeg => 1,
            Self::Png => 2,
            Self::Webp => 3,
            Self::Avif => 4,
        }
    }

    /// The MIME type.
    pub fn mime(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Webp => "image/webp",
            Self::Avif => "image/avif",
        }
    }
}
