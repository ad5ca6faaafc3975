//! A generation: a random base key of SFrame with a number, and what the camera signs about it.

mod blob;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use zeroize::Zeroizing;

pub use blob::{GenerationBlob, MAX_BLOB, MAX_WRAPS};

use super::Binding;
use super::bytes::{Malformed, Reader, labelled, put_binding};
use crate::secret::CryptoFailed;
use crate::sframe::Suite;

pub use sightline_relay_proto::wire::sealed::Generation;

/// Bytes of a base key.
pub(super) const BASE_KEY_LEN: usize = 32;

const FORMAT: u8 = 1;
const LABEL: &str = "sightline/v1/generation";
const COMMIT_LABEL: &str = "sightline/v1/commitment";
/// Longest head: format, suite, binding, generation, not-before, list version, commitment.
const HEAD_LEN: usize = 1 + 2 + 65 + 8 + 8 + 8 + 8 + 32;

/// There is no later generation.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
#[error("generations are numbered up to 2^32 - 1, and the last one is used")]
pub struct OutOfRange;

/// The secret of a generation. Never printed.
pub struct BaseKey(Zeroizing<[u8; BASE_KEY_LEN]>);

impl BaseKey {
    /// A new one.
    ///
    /// # Errors
    /// The random source failed.
    pub fn generate() -> Result<Self, CryptoFailed> {
        let mut key = Zeroizing::new([0; BASE_KEY_LEN]);
        rand::fill(key.as_mut()).map_err(|_| CryptoFailed)?;
        Ok(Self(key))
    }

    /// From its bytes.
    pub fn from_bytes(bytes: Zeroizing<[u8; BASE_KEY_LEN]>) -> Self {
        Self(bytes)
    }

    /// The bytes, for key schedules.
    pub fn expose(&self) -> &[u8; BASE_KEY_LEN] {
        &self.0
    }

    /// What the camera signs in its place: tells nothing of it, and fits no other.
    fn commitment(&self) -> [u8; 32] {
        let input = Zeroizing::new(labelled(COMMIT_LABEL, self.expose()));
        digest(&SHA256, &input).as_ref().try_into().expect("SHA-256 has 32 bytes")
    }
}

impl std::fmt::Debug for BaseKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// What the camera signs about a generation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GenerationHeader {
    /// Cipher suite of its frames.
    pub suite: Suite,
    /// Camera and owner.
    pub binding: Binding,
    /// Its number.
    pub generation: Generation,
    /// When it starts by the camera's clock, Unix seconds.
    pub not_before: u64,
    /// The viewer list that it was wrapped for; 0 without one. Tells an owner that a change of the
    /// list has reached the camera.
    pub list_version: u64,
    commitment: [u8; 32],
}

impl GenerationHeader {
    /// A header whose commitment the blob fills in.
    pub(super) fn new(
        suite: Suite,
        binding: Binding,
        generation: Generation,
        not_before: u64,
        list_version: u64,
    ) -> Self {
        Self { suite, binding, generation, not_before, list_version, commitment: [0; 32] }
    }

    fn body(&self) -> Vec<u8> {
        let mut out = vec![FORMAT];
        out.extend_from_slice(&self.suite.id().to_be_bytes());
        put_binding(&self.binding, &mut out);
        out.extend_from_slice(&self.generation.number().to_be_bytes());
        out.extend_from_slice(&self.not_before.to_be_bytes());
        out.extend_from_slice(&self.list_version.to_be_bytes());
        out.extend_from_slice(&self.commitment);
        out
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        if reader.u8()? != FORMAT {
            return Err(Malformed("another version of the format"));
        }
        let suite =
            Suite::from_id(reader.u16()?).ok_or(Malformed("a suite that is not offered"))?;
        let binding = reader.binding()?;
        let generation = Generation::new(reader.u64()?);
        Ok(Self {
            suite,
            binding,
            generation: generation.ok_or(Malformed("its number is out of range"))?,
            not_before: reader.u64()?,
            list_version: reader.u64()?,
            commitment: reader.array()?,
        })
    }
}

/// A generation that this terminal can open.
#[derive(Debug)]
pub struct OpenedGeneration {
    /// What the camera signed.
    pub header: GenerationHeader,
    /// Its secret.
    pub base_key: BaseKey,
}

/// A generation is of no use here.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
pub enum BlobError {
    /// Not the one encoding of a blob.
    #[error("generation: {0}")]
    Malformed(#[from] Malformed),
    /// Not signed by the camera that was pinned at binding.
    #[error("the generation is not signed by the camera that was pinned")]
    Forged,
    /// Another device's.
    #[error("the generation is another camera's")]
    OtherCamera,
    /// Of a former or a later owner.
    #[error("the generation belongs to another owner of the camera")]
    OtherBinding,
    /// Not wrapped for this key: the terminal is not on the list that the camera holds.
    #[error("the camera did not wrap this generation for this terminal; ask the owner to add it")]
    NotARecipient,
    /// Wrapped for this key, and does not open to what the camera signed.
    #[error("the generation's key is not the one that the camera signed")]
    WrongKey,
    /// Older than one that is known: not live.
    #[error("generation {offered} is older than {newest}, which is known")]
    Older {
        /// Number of the generation.
        offered: u64,
        /// Newest number seen.
        newest: u64,
    },
    /// Its time has not come.
    #[error(
        "the generation starts in the future; check the clocks of the camera and of this machine"
    )]
    NotYet,
}
