//! What a browser and an authenticator say (WebAuthn Level 3, sections 7.1 and 7.2), and whether it
//! holds. Attestation is not asked for, so an authenticator's make is neither checked nor kept. Who
//! somebody is to their own terminal, by face, finger or code, stays there: what comes is a flag that
//! says that it was checked, and a signature over it.
//!
//! Why own code: the crate `webauthn-rs` 0.6 brings some two hundred others, a second provider of
//! cryptography and parsers of attestation among them, to check what is checked here.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde::Deserialize;
use sightline_operation::strict_json;

use super::cbor::{NotCanonical, Reader};
use super::cose::CredentialKey;
use super::party::RelyingParty;
use crate::limits::{
    AUTHENTICATOR_DATA_BYTES, CLIENT_DATA_BYTES, CREDENTIAL_ID_BYTES, PASSKEY_SIGNATURE_BYTES,
};
use crate::vault::same;

/// Bytes of a challenge.
pub(super) const CHALLENGE_BYTES: usize = 32;

/// What a browser was asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ceremony {
    Registration,
    Login,
}

impl Ceremony {
    fn name(self) -> &'static str {
        match self {
            Self::Registration => "webauthn.create",
            Self::Login => "webauthn.get",
        }
    }
}

/// Why something does not hold. People are told that it does not, the server's log says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Flaw {
    #[error("malformed, or longer than it may be")]
    Malformed,
    #[error("made for another ceremony")]
    OtherCeremony,
    #[error("made on a page of another origin, or in a frame of one")]
    OtherOrigin,
    #[error("made for another relying party")]
    OtherParty,
    #[error("nobody was there, or nobody was verified")]
    NotVerified,
    #[error("not a key's signature of this")]
    BadSignature,
}

impl From<NotCanonical> for Flaw {
    fn from(NotCanonical: NotCanonical) -> Self {
        Self::Malformed
    }
}

/// What the browser says; it may say more, and that is ignored.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientData {
    #[serde(rename = "type")]
    ceremony: String,
    challenge: String,
    origin: String,
    #[serde(default)]
    cross_origin: bool,
}

/// The challenge that a browser answered, if it was asked by a page of ours to do this.
pub(super) fn answered(
    client_data: &[u8],
    ceremony: Ceremony,
    party: &RelyingParty,
) -> Result<[u8; CHALLENGE_BYTES], Flaw> {
    if client_data.len() > CLIENT_DATA_BYTES {
        return Err(Flaw::Malformed);
    }
    let said: ClientData = strict_json::from_slice(client_data).map_err(|_| Flaw::Malformed)?;
    if said.ceremony != ceremony.name() {
        return Err(Flaw::OtherCeremony);
    }
    if said.cross_origin || !party.has_origin(&said.origin) {
        return Err(Flaw::OtherOrigin);
    }
    let challenge = B64.decode(&said.challenge).map_err(|_| Flaw::Malformed)?;
    challenge.try_into().map_err(|_| Flaw::Malformed)
}

/// Bits of the flags.
mod flag {
    pub(super) const PRESENT: u8 = 1 << 0;
    pub(super) const VERIFIED: u8 = 1 << 2;
    pub(super) const MAY_BE_BACKED_UP: u8 = 1 << 3;
    pub(super) const BACKED_UP: u8 = 1 << 4;
    pub(super) const CREDENTIAL: u8 = 1 << 6;
    pub(super) const EXTENSIONS: u8 = 1 << 7;
}

/// A new credential.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Registered<'a> {
    pub(super) id: &'a [u8],
    /// The key, in its COSE form.
    pub(super) key: &'a [u8],
    pub(super) counter: u32,
}

/// The credential in authenticator data of a registration.
pub(super) fn registered<'a>(data: &'a [u8], party: &RelyingParty) -> Result<Registered<'a>, Flaw> {
    let mut reader = begin(data)?;
    let (flags, counter) = head(&mut reader, party)?;
    if flags & flag::CREDENTIAL == 0 {
        return Err(Flaw::Malformed);
    }
    let _make: [u8; 16] = reader.array()?;
    let length = usize::from(u16::from_be_bytes(reader.array()?));
    if !CREDENTIAL_ID_BYTES.contains(&length) {
        return Err(Flaw::Malformed);
    }
    let id = reader.take(length)?;
    let from = reader.rest();
    CredentialKey::read(&mut reader)?;
    let key = &from[..from.len() - reader.rest().len()];
    end(reader, flags)?;
    Ok(Registered { id, key, counter })
}

/// What a login shows.
pub(super) struct Assertion<'a> {
    pub(super) client_data: &'a [u8],
    pub(super) authenticator_data: &'a [u8],
    pub(super) signature: &'a [u8],
}

/// The signature counter of a login, if the key (in its COSE form) signed it.
pub(super) fn asserted(
    shown: &Assertion<'_>,
    key: &[u8],
    party: &RelyingParty,
) -> Result<u32, Flaw> {
    let data = shown.authenticator_data;
    let mut reader = begin(data)?;
    let (flags, counter) = head(&mut reader, party)?;
    if flags & flag::CREDENTIAL != 0 || shown.signature.len() > PASSKEY_SIGNATURE_BYTES {
        return Err(Flaw::Malformed);
    }
    end(reader, flags)?;
    let key = CredentialKey::read(&mut Reader::new(key))?;
    let message = [data, digest(&SHA256, shown.client_data).as_ref()].concat();
    if key.verify(&message, shown.signature) { Ok(counter) } else { Err(Flaw::BadSignature) }
}

fn begin(data: &[u8]) -> Result<Reader<'_>, Flaw> {
    if data.len() > AUTHENTICATOR_DATA_BYTES { Err(Flaw::Malformed) } else { Ok(Reader::new(data)) }
}

/// Flags and counter, when it is for us and somebody was there and verified.
fn head(reader: &mut Reader<'_>, party: &RelyingParty) -> Result<(u8, u32), Flaw> {
    let hash: [u8; 32] = reader.array()?;
    if !same(&hash, digest(&SHA256, party.id().as_bytes()).as_ref()) {
        return Err(Flaw::OtherParty);
    }
    let [flags] = reader.array()?;
    let counter = u32::from_be_bytes(reader.array()?);
    let needed = flag::PRESENT | flag::VERIFIED;
    if flags & needed != needed {
        return Err(Flaw::NotVerified);
    }
    if flags & flag::BACKED_UP != 0 && flags & flag::MAY_BE_BACKED_UP == 0 {
        return Err(Flaw::Malformed);
    }
    Ok((flags, counter))
}

/// Passes over extensions, which nobody asked for and some authenticators add.
fn end(mut reader: Reader<'_>, flags: u8) -> Result<(), Flaw> {
    if flags & flag::EXTENSIONS != 0 {
        let mut map = reader;
        map.map()?;
        reader.skip()?;
    }
    if reader.rest().is_empty() { Ok(()) } else { Err(Flaw::Malformed) }
}

#[cfg(test)]
mod tests;
