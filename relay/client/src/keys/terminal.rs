//! The keys of a terminal that watches: Ed25519 to sign with, X25519 to be wrapped for. The P-256
//! key that proves possession in HTTP is another one ([`crate::Identity`]).

use std::path::Path;

use aws_lc_rs::rand;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use zeroize::Zeroizing;

use super::{ExchangeKey, ExchangePublic, SigningPublic};
use crate::identity::IdentityError;
use crate::private_file;
use crate::secret::{ChallengeFor, CryptoFailed, NotAChallenge, sign_challenge};

/// First bytes of the file.
const MAGIC: &[u8; 4] = b"SLT1";
/// Bytes of the file: magic, Ed25519 seed, X25519 key.
const FILE_LEN: usize = 4 + 32 + 32;

/// Both private keys of a terminal. Never printed.
pub struct TerminalKeys {
    seed: Zeroizing<[u8; 32]>,
    signing: Ed25519KeyPair,
    exchange: ExchangeKey,
}

/// Both public keys of a terminal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TerminalPublic {
    /// Ed25519.
    pub signing: SigningPublic,
    /// X25519.
    pub exchange: ExchangePublic,
}

impl TerminalKeys {
    /// New keys.
    ///
    /// # Errors
    /// The random source failed.
    pub fn generate() -> Result<Self, CryptoFailed> {
        let mut seed = Zeroizing::new([0; 32]);
        rand::fill(seed.as_mut()).map_err(|_| CryptoFailed)?;
        Self::from_parts(seed, ExchangeKey::generate()?)
    }

    /// From the seed of the Ed25519 key (RFC 8032) and the X25519 key.
    ///
    /// # Errors
    /// The crypto library failed.
    pub fn from_parts(
        seed: Zeroizing<[u8; 32]>,
        exchange: ExchangeKey,
    ) -> Result<Self, CryptoFailed> {
        let signing =
            Ed25519KeyPair::from_seed_unchecked(seed.as_ref()).map_err(|_| CryptoFailed)?;
        Ok(Self { seed, signing, exchange })
    }

    /// Reads the file at `path`, which must belong to its reader alone, or makes it.
    ///
    /// # Errors
    /// The file cannot be read or written, or is not one of these.
    pub fn load_or_create(path: &Path) -> Result<Self, IdentityError> {
        match private_file::read(path, FILE_LEN as u64) {
            Err(IdentityError::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                let keys = Self::generate().map_err(|_| IdentityError::Crypto)?;
                private_file::write_new(path, &keys.file())?;
                Ok(keys)
            }
            read => Self::parse(&read?),
        }
    }

    fn parse(file: &[u8]) -> Result<Self, IdentityError> {
        let keys = file.strip_prefix(MAGIC).and_then(|keys| keys.split_first_chunk::<32>());
        let (seed, exchange) = keys.ok_or(IdentityError::Malformed)?;
        let exchange = exchange.try_into().map_err(|_| IdentityError::Malformed)?;
        let exchange = ExchangeKey::from_secret(Zeroizing::new(exchange));
        let exchange = exchange.map_err(|_| IdentityError::Crypto)?;
        Self::from_parts(Zeroizing::new(*seed), exchange).map_err(|_| IdentityError::Crypto)
    }

    fn file(&self) -> Zeroizing<Vec<u8>> {
        // In one go: a buffer that grows leaves copies behind.
        let mut file = Zeroizing::new(Vec::with_capacity(FILE_LEN));
        file.extend_from_slice(MAGIC);
        file.extend_from_slice(self.seed.as_ref());
        file.extend_from_slice(self.exchange.secret());
        file
    }

    /// Both public halves.
    pub fn public(&self) -> TerminalPublic {
        let signing = self.signing.public_key().as_ref();
        TerminalPublic {
            signing: signing.try_into().expect("an Ed25519 public key has 32 bytes"),
            exchange: self.exchange.public(),
        }
    }

    /// The key that generations are wrapped for.
    pub fn exchange(&self) -> &ExchangeKey {
        &self.exchange
    }

    /// The same key, once nothing is left to be signed.
    pub fn into_exchange(self) -> ExchangeKey {
        self.exchange
    }

    /// Signs the key challenge that was asked for; nothing else.
    ///
    /// # Errors
    /// The message is another one.
    pub fn sign_challenge(
        &self,
        message: &[u8],
        asked: ChallengeFor<'_>,
    ) -> Result<[u8; 64], NotAChallenge> {
        sign_challenge(&self.signing, message, asked)
    }
}

impl std::fmt::Debug for TerminalKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TerminalKeys({:?})", self.exchange.public())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_made_once_private_and_read_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("terminal.keys");
        let made = TerminalKeys::load_or_create(&path).expect("made").public();
        assert_eq!(TerminalKeys::load_or_create(&path).expect("read").public(), made);
        assert_eq!(std::fs::metadata(&path).expect("a file").len(), FILE_LEN as u64);
    }

    #[test]
    fn a_file_of_another_length_or_kind_is_refused() {
        let file = TerminalKeys::generate().expect("keys").file();
        assert!(TerminalKeys::parse(&file).is_ok());
        assert!(TerminalKeys::parse(&file[..FILE_LEN - 1]).is_err());
        assert!(TerminalKeys::parse(&[&file[..], &[0]].concat()).is_err());
        assert!(TerminalKeys::parse(&[b"SLT2", &file[4..]].concat()).is_err());
    }
}
