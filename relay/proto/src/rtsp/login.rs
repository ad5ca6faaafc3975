//! Digest state of one connection: nonces, the user, failures.

use std::time::Instant;

use aws_lc_rs::hmac;

use super::digest::{self, Authorization, Secret};
use super::url::digest_uri_fits;
use super::{MAX_FAILURES, NONCE_LIFE};

/// What came of a check.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    Right,
    /// Right hash or not, the nonce is not a living one of ours.
    Stale,
    Wrong,
    /// Wrong once too often.
    Exhausted,
}

pub(super) struct Login {
    key: hmac::Key,
    issued: u64,
    /// The two newest nonces, so that a request on its way survives a renewal.
    nonces: [Option<(String, Instant)>; 2],
    user: Option<(String, Secret)>,
    failures: u32,
    pub(super) requests: u32,
}

impl Login {
    pub(super) fn new(seed: [u8; 32]) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &seed),
            issued: 0,
            nonces: [None, None],
            user: None,
            failures: 0,
            requests: 0,
        }
    }

    /// The user whose login was right, if any.
    pub(super) fn user(&self) -> Option<&str> {
        self.user.as_ref().map(|(user, _)| user.as_str())
    }

    pub(super) fn secret(&self) -> Option<Secret> {
        self.user.as_ref().map(|(_, secret)| secret.clone())
    }

    /// The session id: 128 bits, without dashes.
    pub(super) fn session_id(&self) -> String {
        self.derive("session")
    }

    /// The living nonce, or a new one.
    pub(super) fn nonce(&mut self, now: Instant) -> String {
        if let Some((nonce, at)) = &self.nonces[0]
            && now.saturating_duration_since(*at) < NONCE_LIFE / 2
        {
            return nonce.clone();
        }
        self.issued += 1;
        let nonce = self.derive(&format!("nonce {}", self.issued));
        self.nonces.swap(0, 1);
        self.nonces[0] = Some((nonce.clone(), now));
        nonce
    }

    /// Checks an answer for a request with this method and URL.
    pub(super) fn check(
        &mut self,
        now: Instant,
        auth: &Authorization,
        secret: Option<&Secret>,
        (realm, method, url): (&str, &str, &str),
    ) -> Verdict {
        // The same work is done for a login that does not exist.
        let nobody = Secret::from_ha1(&"0".repeat(32), &"0".repeat(64));
        let right = auth.verify(secret.unwrap_or(&nobody), method);
        let fits = auth.realm == realm && digest_uri_fits(&auth.uri, url);
        if !(right && fits && secret.is_some()) {
            self.failures += 1;
            let exhausted = self.failures >= MAX_FAILURES;
            return if exhausted { Verdict::Exhausted } else { Verdict::Wrong };
        }
        let living = |(nonce, at): &(String, Instant)| {
            *nonce == auth.nonce && now.saturating_duration_since(*at) < NONCE_LIFE
        };
        let ours = self.nonces.iter().flatten().any(living);
        if ours { Verdict::Right } else { Verdict::Stale }
    }

    pub(super) fn enter(&mut self, user: &str, secret: Secret) {
        self.user = Some((user.to_owned(), secret));
    }

    fn derive(&self, label: &str) -> String {
        let tag = hmac::sign(&self.key, label.as_bytes());
        digest::hex(&tag.as_ref()[..16])
    }
}
