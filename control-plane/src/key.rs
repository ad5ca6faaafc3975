//! The proof of a device key: a challenge signed with the `auth` key. The secret itself never
//! reaches the server.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use sightline_grant::PublicKey;

use crate::ControlPlane;
use crate::error::Inner;
use crate::ids::{ChallengeId, Serial};
use crate::limits::{KEY_CHALLENGE_SECS, KEY_CHALLENGES_PER_SESSION, KEY_PROOF_SECS};
use crate::random;
use crate::storage::model::{Charge, DeviceState, KeyChallenge, KeyProof, RetryAfter, Session};

/// A challenge to sign.
#[derive(Clone, Debug)]
pub struct KeyChallengeIssued {
    /// Names the challenge.
    pub challenge: ChallengeId,
    /// Bytes to sign.
    pub message: Vec<u8>,
    /// Unix seconds.
    pub expires_at: u64,
}

/// Why a device key is not proven.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Not bound to the account.
    #[error("no such device on this account")]
    NotBound,
    /// The camera has not stored a key verifier yet.
    #[error("the device has no key yet; make one at the camera")]
    NotReady,
    /// Wrong signature, or a challenge that is unknown, used, expired or another login's.
    #[error("the device key is not proven")]
    Wrong,
    /// Too many.
    #[error("too many tries; try again later")]
    Limited(RetryAfter),
    /// See [`Inner`].
    #[error(transparent)]
    Inner(#[from] Inner),
}

impl ControlPlane {
    /// Issues a challenge. Given for any serial, so that it tells nobody which serials exist.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub async fn key_challenge(
        &self,
        session: &Session,
        serial: &str,
        channel: u16,
    ) -> Result<KeyChallengeIssued, KeyError> {
        let serial = Serial::parse(serial).ok_or(KeyError::NotBound)?;
        let charge = Charge {
            dimension: "key-challenge",
            key: self.vault().lookup("session", session.id.as_str()),
            windows: KEY_CHALLENGES_PER_SESSION.to_vec(),
        };
        let charged = self.store().charge(&[charge], self.now()).await.map_err(Inner::from)?;
        charged.map_err(KeyError::Limited)?;
        let challenge = KeyChallenge {
            id: ChallengeId(random::hex_id(self.random())),
            session: session.id.clone(),
            serial,
            channel,
            jkt: session.jkt,
            nonce: B64.encode(random::bytes::<32>(self.random())),
            expires_at: self.now() + KEY_CHALLENGE_SECS,
        };
        self.store().key_challenge_open(&challenge).await.map_err(Inner::from)?;
        Ok(KeyChallengeIssued {
            message: message(&self.config().server_name, &challenge),
            challenge: challenge.id,
            expires_at: challenge.expires_at,
        })
    }

    /// Checks a signed challenge and remembers the proof for this login.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub async fn prove_key(
        &self,
        session: &Session,
        serial: &str,
        challenge: &ChallengeId,
        signature: &[u8],
    ) -> Result<(), KeyError> {
        let serial = Serial::parse(serial).ok_or(KeyError::NotBound)?;
        let device = self.store().device(&serial).await.map_err(Inner::from)?;
        let device = device
            .filter(|device| device.owner.as_ref() == Some(&session.account))
            .ok_or(KeyError::NotBound)?;
        if device.verifier.is_none() {
            return Err(KeyError::NotReady);
        }
        let account = &session.account;
        let counted = self.store().key_count_try(&serial, account, self.now()).await;
        counted.map_err(Inner::from)?.map_err(|wait| {
            self.0.outbox.notify_one();
            KeyError::Limited(wait)
        })?;
        if !self.signed_by_device(session, &device, challenge, signature).await? {
            return Err(KeyError::Wrong);
        }
        let proof = KeyProof {
            session: session.id.clone(),
            serial,
            epochs: device.epochs,
            expires: self.now() + KEY_PROOF_SECS,
        };
        let stored = self.store().key_proof_store(account, &proof).await.map_err(Inner::from)?;
        if stored { Ok(()) } else { Err(KeyError::Wrong) }
    }

    /// Uses a challenge up and checks its signature against the device's verifier.
    pub(crate) async fn signed_by_device(
        &self,
        session: &Session,
        device: &DeviceState,
        challenge: &ChallengeId,
        signature: &[u8],
    ) -> Result<bool, Inner> {
        let now = self.now();
        let taken = self.store().key_challenge_take(challenge, &session.id, now).await?;
        let (Some(challenge), Some(verifier)) = (taken, device.verifier) else { return Ok(false) };
        let in_place = challenge.serial == device.device.serial
            && challenge.jkt == session.jkt
            && challenge.channel < device.device.channels;
        let message = message(&self.config().server_name, &challenge);
        Ok(in_place && PublicKey::Ed25519(verifier).verify(&message, signature))
    }
}

/// What is signed. Every part that the proof must not be carried over is in it.
fn message(server_name: &str, challenge: &KeyChallenge) -> Vec<u8> {
    format!(
        "sightline/v1/key-proof\n{server_name}\n{}\n{}\n{}\n{}\n{}\n{}",
        challenge.session,
        challenge.jkt,
        challenge.serial,
        challenge.channel,
        challenge.nonce,
        challenge.expires_at
    )
    .into_bytes()
}
