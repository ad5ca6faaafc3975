//! The proof of a device key: a challenge signed with the `auth` key, or with the key of a terminal
//! that the owner's viewer list lets watch. The secret itself never reaches the server.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use sightline_grant::{PublicKey, Revocation};

use crate::ControlPlane;
use crate::error::Inner;
use crate::ids::{ChallengeId, Serial};
use crate::limits::{KEY_CHALLENGE_SECS, KEY_CHALLENGES_PER_SESSION, KEY_PROOF_SECS};
use crate::random;
use crate::sealed::KEY_LEN;
use crate::sealed::list::ViewerList;
use crate::storage::model::{
    Charge, DeviceState, EndedProof, KeyChallenge, KeyProof, ProofBy, RetryAfter, Session,
};

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

/// An answer to a challenge.
#[derive(Clone, Debug)]
pub struct SignedChallenge {
    /// The challenge.
    pub challenge: ChallengeId,
    /// Signature of its message.
    pub signature: Vec<u8>,
    /// Ed25519 key of the terminal that signed; `None`: signed with the device secret's `auth` key.
    pub terminal: Option<[u8; KEY_LEN]>,
}

/// Who may sign.
struct Signer {
    by: ProofBy,
    /// Until when a proof with it may hold, Unix seconds.
    until: u64,
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
    /// Wrong signature, a terminal that may not watch, or a challenge that is unknown, used, expired
    /// or another login's.
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
        answer: &SignedChallenge,
    ) -> Result<(), KeyError> {
        let serial = Serial::parse(serial).ok_or(KeyError::NotBound)?;
        let device = self.store().device(&serial).await.map_err(Inner::from)?;
        let device = device.ok_or(KeyError::NotBound)?;
        let owned = device.owner.as_ref() == Some(&session.account);
        if !owned && self.shared_with(session, &serial).await?.is_none() {
            return Err(KeyError::NotBound);
        }
        if device.verifier.is_none() {
            return Err(KeyError::NotReady);
        }
        let account = &session.account;
        let counted = self.store().key_count_try(&serial, account, self.now()).await;
        counted.map_err(Inner::from)?.map_err(|wait| {
            self.0.outbox.notify_one();
            KeyError::Limited(wait)
        })?;
        // The device secret is no guest's: whoever has it is told as for a wrong one.
        let signer = self.signer(session, &device, answer.terminal).await?;
        let signer = signer.filter(|signer| owned || signer.by != ProofBy::Secret);
        // A terminal that is not on the list is told as late as one that signs wrongly.
        let key = answer.terminal.or(device.verifier);
        let signed =
            self.signed(session, &device, &answer.challenge, key, &answer.signature).await?;
        let signer = signer.filter(|_| signed).ok_or(KeyError::Wrong)?;
        let proof = KeyProof {
            session: session.id.clone(),
            serial,
            epochs: device.epochs,
            by: signer.by,
            expires: signer.until.min(self.now() + KEY_PROOF_SECS),
        };
        let stored = self.store().key_proof_store(account, &proof, self.now()).await;
        let stored = stored.map_err(Inner::from)?;
        if stored { Ok(()) } else { Err(KeyError::Wrong) }
    }

    /// Ends the proofs of terminals whose time on the viewer list is over, and shares whose time or
    /// hours are, with the media sessions that stand on them. To be called several times a second.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn end_expired_proofs(&self) -> Result<(), Inner> {
        let ended = self.store().key_proofs_end(self.now()).await?;
        self.announce_ended(ended);
        self.end_due_shares().await
    }

    /// Ends the media sessions that stand on these proofs.
    pub(crate) fn announce_ended(&self, proofs: Vec<EndedProof>) {
        for EndedProof { session, serial, number } in proofs {
            let (serial, session) = (serial.0, session.0);
            self.announce(Revocation::Proof { serial, session, epoch: number + 1 });
        }
    }

    /// Whether the key that an answer names may sign; `None`: that terminal may not watch. The
    /// list's own signature is checked again: who edits the database adds nobody.
    async fn signer(
        &self,
        session: &Session,
        device: &DeviceState,
        terminal: Option<[u8; KEY_LEN]>,
    ) -> Result<Option<Signer>, Inner> {
        let Some(verifier) = device.verifier else { return Ok(None) };
        let Some(signing) = terminal else {
            return Ok(Some(Signer { by: ProofBy::Secret, until: u64::MAX }));
        };
        let held = self.store().viewer_list(&device.device.serial, device.epochs.binding).await?;
        let Some(held) = held else { return Ok(None) };
        let Ok(list) = ViewerList::read(&held.signed) else { return Ok(None) };
        let binding = &list.head.binding;
        let ours = binding.serial == device.device.serial.as_str()
            && binding.epoch == device.epochs.binding
            && list.is_signed_by(&verifier);
        let given = list.given_to(&signing, session.account.as_str(), self.now());
        Ok(given.filter(|_| ours).map(|given| {
            let by = ProofBy::Terminal { signing, list: held.version, scopes: given.scopes };
            Signer { by, until: given.until }
        }))
    }

    /// Uses a challenge up and checks its signature against the device's verifier.
    pub(crate) async fn signed_by_device(
        &self,
        session: &Session,
        device: &DeviceState,
        challenge: &ChallengeId,
        signature: &[u8],
    ) -> Result<bool, Inner> {
        self.signed(session, device, challenge, device.verifier, signature).await
    }

    /// Uses a challenge up and checks its signature against a key.
    async fn signed(
        &self,
        session: &Session,
        device: &DeviceState,
        challenge: &ChallengeId,
        key: Option<[u8; KEY_LEN]>,
        signature: &[u8],
    ) -> Result<bool, Inner> {
        let now = self.now();
        let taken = self.store().key_challenge_take(challenge, &session.id, now).await?;
        let (Some(challenge), Some(key)) = (taken, key) else { return Ok(false) };
        let in_place = challenge.serial == device.device.serial
            && challenge.jkt == session.jkt
            && challenge.channel < device.device.channels;
        let message = message(&self.config().server_name, &challenge);
        Ok(in_place && PublicKey::Ed25519(key).verify(&message, signature))
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
