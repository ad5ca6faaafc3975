//! Turning a grant into an admission: signature, time, single use, terminal and device.

use std::collections::BTreeSet;
use std::sync::Mutex;

use sightline_grant::{Action, Grant, GrantError, GrantVerifier, Thumbprint};
use sightline_relay_proto::ids::{Channel, DeviceId, StreamKey};

use crate::api::{Admitted, LeaseTerms};

/// Grants remembered as used. A grant lives at most 30 s, so this bounds the rate of admissions to
/// about 2000 a second; beyond it nobody is let in until old ones expire.
pub const MAX_USED_GRANTS: usize = 65_536;

/// Why a grant admits nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AdmitError {
    /// Malformed or not signed by this service.
    #[error("the grant is not valid")]
    Invalid,
    /// Too old.
    #[error("the grant has expired")]
    Expired,
    /// Presented before.
    #[error("the grant has been used")]
    Replayed,
    /// Bound to another terminal's key.
    #[error("the grant belongs to another terminal")]
    OtherTerminal,
    /// For another device, channel or action.
    #[error("the grant is for another device")]
    OtherDevice,
    /// Too many grants at once.
    #[error("the relay is full")]
    Full,
}

impl From<GrantError> for AdmitError {
    fn from(error: GrantError) -> Self {
        match error {
            GrantError::Invalid => Self::Invalid,
            GrantError::Expired => Self::Expired,
        }
    }
}

/// What a viewer asks to see, and as whom.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The grant's text.
    pub grant: &'a str,
    /// Key that the request proved.
    pub terminal: Thumbprint,
    /// Device asked for.
    pub serial: &'a str,
    /// Channel asked for.
    pub channel: u16,
    /// What is to be done.
    pub action: Action,
}

/// Verifies grants and remembers the used ones until they expire.
pub struct Gate {
    verifier: GrantVerifier,
    /// Grants from before are not taken, Unix seconds.
    since: u64,
    /// Ordered by expiry, so that the oldest leave first.
    used: Mutex<BTreeSet<(u64, u128)>>,
}

impl Gate {
    /// A gate that takes grants of this verifier, issued from `since` (Unix seconds) on: of older
    /// ones it does not know whether they were used.
    pub fn new(verifier: GrantVerifier, since: u64) -> Self {
        Self { verifier, since, used: Mutex::new(BTreeSet::new()) }
    }

    /// Checks everything and uses the grant up. A refusal for another terminal or device leaves the
    /// grant usable, so that a stranger who saw it cannot burn it.
    pub fn admit(&self, request: Request<'_>, now_unix: u64) -> Result<Admitted, AdmitError> {
        let grant = self.verifier.verify(request.grant, now_unix)?;
        if grant.issued_at < self.since {
            return Err(AdmitError::Expired);
        }
        if grant.terminal != request.terminal {
            return Err(AdmitError::OtherTerminal);
        }
        let covers = grant.serial == request.serial
            && grant.channel == request.channel
            && grant.actions.contains(&request.action);
        let device = DeviceId::new(&grant.serial).map_err(|_| AdmitError::Invalid)?;
        if !covers {
            return Err(AdmitError::OtherDevice);
        }
        self.use_up(&grant, now_unix)?;
        Ok(Admitted {
            key: StreamKey::up(device, Channel(grant.channel)),
            terminal: grant.terminal,
            terms: LeaseTerms {
                subject: grant.subject,
                session: grant.session,
                serial: grant.serial,
                role: grant.role,
                epochs: grant.epochs,
            },
        })
    }

    fn use_up(&self, grant: &Grant, now_unix: u64) -> Result<(), AdmitError> {
        let mut used = self.used.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        while used.first().is_some_and(|&(expires_at, _)| expires_at < now_unix) {
            used.pop_first();
        }
        let entry = (grant.expires_at, grant.id.0);
        if used.contains(&entry) {
            return Err(AdmitError::Replayed);
        }
        if used.len() >= MAX_USED_GRANTS {
            return Err(AdmitError::Full);
        }
        used.insert(entry);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sightline_grant::{Epochs, GrantId, GrantSigner, Role};

    fn signer() -> GrantSigner {
        GrantSigner::from_seed(&[5; 32]).expect("seed length")
    }

    fn grant(id: u128) -> Grant {
        Grant {
            id: GrantId(id),
            subject: "subject".into(),
            session: "session".into(),
            terminal: Thumbprint([1; 32]),
            serial: "CAM-1".into(),
            channel: 0,
            actions: vec![Action::Live],
            role: Role::Guest,
            epochs: Epochs { binding: 3, ..Epochs::default() },
            consent_seq: 1,
            issued_at: 1000,
            expires_at: 1030,
        }
    }

    fn request(text: &str) -> Request<'_> {
        Request {
            grant: text,
            terminal: Thumbprint([1; 32]),
            serial: "CAM-1",
            channel: 0,
            action: Action::Live,
        }
    }

    #[test]
    fn a_grant_admits_once() {
        let gate = Gate::new(signer().verifier(), 0);
        let text = signer().sign(&grant(1));
        let admitted = gate.admit(request(&text), 1000).expect("a good grant");
        assert_eq!(admitted.terms.epochs.binding, 3);
        assert_eq!(gate.admit(request(&text), 1000).err(), Some(AdmitError::Replayed));
        assert_eq!(gate.admit(request(&text), 1030).err(), Some(AdmitError::Replayed));
        assert_eq!(gate.admit(request(&text), 1031).err(), Some(AdmitError::Expired));
    }

    #[test]
    fn a_stranger_or_a_wrong_device_neither_enters_nor_burns_the_grant() {
        let gate = Gate::new(signer().verifier(), 0);
        let text = signer().sign(&grant(1));
        let good = request(&text);
        let stranger = Request { terminal: Thumbprint([2; 32]), ..good };
        let other_device = Request { serial: "CAM-2", ..good };
        let other_channel = Request { channel: 1, ..good };
        let other_action = Request { action: Action::Talk, ..good };
        assert_eq!(gate.admit(stranger, 1000).err(), Some(AdmitError::OtherTerminal));
        for request in [other_device, other_channel, other_action] {
            assert_eq!(gate.admit(request, 1000).err(), Some(AdmitError::OtherDevice));
        }
        assert!(gate.admit(good, 1000).is_ok());
    }

    #[test]
    fn a_grant_from_before_the_start_is_not_taken() {
        let text = signer().sign(&grant(1));
        let gate = |since| Gate::new(signer().verifier(), since);
        assert!(gate(1000).admit(request(&text), 1002).is_ok());
        assert_eq!(gate(1001).admit(request(&text), 1002).err(), Some(AdmitError::Expired));
    }

    #[test]
    fn the_memory_of_used_grants_is_bounded_and_empties_with_time() {
        let gate = Gate::new(signer().verifier(), 0);
        for id in 0..MAX_USED_GRANTS as u128 {
            gate.use_up(&grant(id), 1000).expect("room");
        }
        let next = grant(MAX_USED_GRANTS as u128);
        assert_eq!(gate.use_up(&next, 1030), Err(AdmitError::Full));
        assert_eq!(gate.use_up(&next, 1031), Ok(()));
    }
}
