//! Keys of the service and what they protect: personal columns, lookups, codes and tokens.

mod master;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::{hkdf, hmac};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::random::{self, Random};
pub use master::{MasterKey, MasterKeyError};

/// A ciphertext does not open: wrong key, wrong place, or changed.
#[derive(Debug, thiserror::Error, Clone, Copy, PartialEq, Eq)]
#[error("an encrypted value does not open under its key")]
pub struct DoesNotOpen;

/// Keys derived from the master key, one per use.
pub struct Vault {
    wrap: LessSafeKey,
    server: LessSafeKey,
    lookup: hmac::Key,
    otp: hmac::Key,
    printed_code: hmac::Key,
    refresh: hmac::Key,
    flow: hmac::Key,
    pepper: Zeroizing<[u8; 32]>,
}

impl Vault {
    /// Derives all keys.
    pub fn new(master: &MasterKey) -> Self {
        let mac = |label| hmac::Key::new(hmac::HMAC_SHA256, derive(master, label).as_slice());
        Self {
            wrap: aead(&derive(master, "wrap subject keys")),
            server: aead(&derive(master, "server columns")),
            lookup: mac("lookup"),
            otp: mac("one-time codes"),
            printed_code: mac("verification codes"),
            refresh: mac("refresh tokens"),
            flow: mac("ways to identity providers"),
            pepper: derive(master, "password pepper"),
        }
    }

    /// A new data key for a subject, and its wrapped form.
    pub fn new_subject_key(&self, account: &str, random: &dyn Random) -> (SubjectKey, Vec<u8>) {
        let key = Zeroizing::new(random::bytes::<32>(random));
        let wrapped = seal(&self.wrap, &aad("subject_key", account), key.as_slice(), random);
        (SubjectKey(aead(&key)), wrapped)
    }

    /// Unwraps a subject's data key.
    ///
    /// # Errors
    /// When the master key is another one or the row was changed.
    pub fn subject_key(&self, account: &str, wrapped: &[u8]) -> Result<SubjectKey, DoesNotOpen> {
        let key = Zeroizing::new(open(&self.wrap, &aad("subject_key", account), wrapped)?);
        let key: Zeroizing<[u8; 32]> =
            Zeroizing::new(key.as_slice().try_into().map_err(|_| DoesNotOpen)?);
        Ok(SubjectKey(aead(&key)))
    }

    /// Encrypts a value that belongs to no subject, for `place` (table and column) and `row`.
    pub fn seal_server(&self, place: &str, row: &str, plain: &[u8], r: &dyn Random) -> Vec<u8> {
        seal(&self.server, &aad(place, row), plain, r)
    }

    /// Opens what [`Self::seal_server`] made.
    ///
    /// # Errors
    /// When it was made for another place, or changed.
    pub fn open_server(
        &self,
        place: &str,
        row: &str,
        sealed: &[u8],
    ) -> Result<Vec<u8>, DoesNotOpen> {
        open(&self.server, &aad(place, row), sealed)
    }

    /// Keyed hash by which a value is found without being stored.
    pub fn lookup(&self, kind: &str, value: &str) -> Vec<u8> {
        hmac::sign(&self.lookup, &aad(kind, value)).as_ref().to_vec()
    }

    /// The one-time code of a challenge: derived each time, stored never.
    pub fn one_time_code(&self, challenge: &str, digits: u32) -> Zeroizing<String> {
        let tag = hmac::sign(&self.otp, challenge.as_bytes());
        let head: [u8; 8] = tag.as_ref()[..8].try_into().expect("a SHA-256 tag has 32 bytes");
        let code = u64::from_be_bytes(head) % 10u64.pow(digits);
        Zeroizing::new(format!("{code:0width$}", width = digits as usize))
    }

    /// A secret of a way to an identity provider: derived each time, stored never.
    pub(crate) fn flow_secret(&self, what: &str, flow: &str) -> Zeroizing<[u8; 32]> {
        let tag = hmac::sign(&self.flow, &aad(what, flow));
        Zeroizing::new(tag.as_ref().try_into().expect("a SHA-256 tag has 32 bytes"))
    }

    /// What goes into every password hash and is not in the database.
    pub(crate) fn pepper(&self) -> Zeroizing<[u8; 32]> {
        self.pepper.clone()
    }

    /// Keyed hash of a device's printed verification code.
    pub fn printed_code(&self, serial: &str, code: &str) -> Vec<u8> {
        hmac::sign(&self.printed_code, &aad(serial, code)).as_ref().to_vec()
    }

    /// The one successor of a refresh token.
    pub fn refresh_successor(&self, token: &str) -> Zeroizing<[u8; 32]> {
        let tag = hmac::sign(&self.refresh, token.as_bytes());
        Zeroizing::new(tag.as_ref().try_into().expect("a SHA-256 tag has 32 bytes"))
    }
}

/// Data key of one subject. Without it, everything personal about the subject is noise.
pub struct SubjectKey(LessSafeKey);

impl SubjectKey {
    /// Encrypts a column of a subject's row.
    pub fn seal(&self, column: &str, account: &str, plain: &str, r: &dyn Random) -> Vec<u8> {
        seal(&self.0, &aad(column, account), plain.as_bytes(), r)
    }

    /// The same for bytes.
    pub fn seal_bytes(&self, column: &str, account: &str, plain: &[u8], r: &dyn Random) -> Vec<u8> {
        seal(&self.0, &aad(column, account), plain, r)
    }

    /// Opens what [`Self::seal_bytes`] made.
    ///
    /// # Errors
    /// When it belongs to another column or subject, or was changed.
    pub fn open_bytes(
        &self,
        column: &str,
        account: &str,
        sealed: &[u8],
    ) -> Result<Vec<u8>, DoesNotOpen> {
        open(&self.0, &aad(column, account), sealed)
    }

    /// Decrypts a column of a subject's row.
    ///
    /// # Errors
    /// When it belongs to another column or subject, or was changed.
    pub fn open(&self, column: &str, account: &str, sealed: &[u8]) -> Result<String, DoesNotOpen> {
        let plain = open(&self.0, &aad(column, account), sealed)?;
        String::from_utf8(plain).map_err(|_| DoesNotOpen)
    }
}

/// Hash of a random token, for storage. The token has 160 bits or more, so no key is needed.
pub fn token_hash(token: &str) -> Vec<u8> {
    digest(&SHA256, token.as_bytes()).as_ref().to_vec()
}

/// Compares secrets in constant time.
pub fn same(left: &[u8], right: &[u8]) -> bool {
    left.ct_eq(right).into()
}

/// Seed of the `auth` key of a device secret: HKDF-SHA256 with the label of the protocol.
pub fn auth_seed(secret: &[u8]) -> Zeroizing<[u8; 32]> {
    expand(secret, b"sightline/v1/auth")
}

fn derive(master: &MasterKey, label: &str) -> Zeroizing<[u8; 32]> {
    expand(master.bytes(), format!("sightline/control-plane/v1/{label}").as_bytes())
}

fn expand(secret: &[u8], info: &[u8]) -> Zeroizing<[u8; 32]> {
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(secret);
    let mut key = Zeroizing::new([0; 32]);
    prk.expand(&[info], hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(key.as_mut_slice()))
        .expect("32 bytes are one block of HKDF-SHA256");
    key
}

fn aead(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("AES-256 takes 32 bytes"))
}

/// Two parts, told apart by a byte that neither holds.
fn aad(place: &str, row: &str) -> Vec<u8> {
    [place.as_bytes(), b"\n", row.as_bytes()].concat()
}

fn seal(key: &LessSafeKey, aad: &[u8], plain: &[u8], random: &dyn Random) -> Vec<u8> {
    let nonce = random::bytes::<NONCE_LEN>(random);
    let mut sealed = plain.to_vec();
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), &mut sealed)
        .expect("a column is far shorter than AES-GCM's bound");
    [nonce.as_slice(), &sealed].concat()
}

fn open(key: &LessSafeKey, aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, DoesNotOpen> {
    let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN).ok_or(DoesNotOpen)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| DoesNotOpen)?;
    let mut buffer = sealed.to_vec();
    let plain = key.open_in_place(nonce, Aad::from(aad), &mut buffer).map_err(|_| DoesNotOpen)?;
    Ok(plain.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SeededRandom;

    #[test]
    fn a_column_opens_only_in_its_place_and_for_its_subject() {
        let random = SeededRandom::new(1);
        let vault = Vault::new(&MasterKey::from_bytes([7; 32]));
        let (key, wrapped) = vault.new_subject_key("a", &random);
        let sealed = key.seal("identifier.value", "a", "+4915112345678", &random);
        let again = vault.subject_key("a", &wrapped).expect("the same key");
        assert_eq!(again.open("identifier.value", "a", &sealed).as_deref(), Ok("+4915112345678"));
        assert_eq!(again.open("terminal.name", "a", &sealed), Err(DoesNotOpen));
        assert_eq!(again.open("identifier.value", "b", &sealed), Err(DoesNotOpen));
        assert!(vault.subject_key("b", &wrapped).is_err());
        let other = Vault::new(&MasterKey::from_bytes([8; 32]));
        assert!(other.subject_key("a", &wrapped).is_err());
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(key.open("identifier.value", "a", &changed), Err(DoesNotOpen));
        }
        assert_eq!(key.open("identifier.value", "a", &sealed[..5]), Err(DoesNotOpen));
    }

    #[test]
    fn codes_differ_between_challenges_and_keep_their_length() {
        let vault = Vault::new(&MasterKey::from_bytes([7; 32]));
        assert_eq!(vault.one_time_code("a", 6), vault.one_time_code("a", 6));
        assert_ne!(vault.one_time_code("a", 6), vault.one_time_code("b", 6));
        for challenge in 0..200 {
            assert_eq!(vault.one_time_code(&challenge.to_string(), 8).len(), 8);
        }
    }
}
