//! Epochs: small counters that only rise. Whatever was admitted under an older value is dead.

use serde::{Deserialize, Serialize};

/// The counters that a media session depends on, as they were at its admission.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Epochs {
    /// Rises when the device is unbound or bound anew.
    pub binding: u64,
    /// Rises when the device secret (and so the key verifier) is rotated.
    pub key: u64,
    /// Rises when the viewer's share is changed or ended; 0 for owners.
    pub share: u64,
    /// Rises when the account withdraws the consent that the session stands on.
    pub consent: u64,
    /// Rises when the login session or its terminal is signed out.
    pub session: u64,
    /// Number of the proof of the device key that the session stands on; rises with each proof.
    #[serde(default)]
    pub proof: u64,
}

/// An act that ends running media sessions. Carries the new value: sessions below it die.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Revocation {
    /// Unbound, transferred or bound anew.
    Binding {
        /// Device serial.
        serial: String,
        /// New value.
        epoch: u64,
    },
    /// The device key was rotated.
    Key {
        /// Device serial.
        serial: String,
        /// New value.
        epoch: u64,
    },
    /// Consent withdrawn.
    Consent {
        /// Account pseudonym.
        subject: String,
        /// New value.
        epoch: u64,
    },
    /// A login session ended: signed out here or elsewhere.
    Session {
        /// Login session id.
        session: String,
    },
    /// A proof of the device key ended: its terminal is not on the viewer list any more.
    Proof {
        /// Device serial.
        serial: String,
        /// Login session that made it.
        session: String,
        /// The least number of a proof that may still hold.
        epoch: u64,
    },
    /// A share ended or changed.
    Share {
        /// Device serial.
        serial: String,
        /// The guest's account pseudonym.
        subject: String,
        /// New value.
        epoch: u64,
    },
}
