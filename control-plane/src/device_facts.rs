//! What an owner or a device tells about a device: encrypted under the owner's key, kept under a
//! purpose that the owner decides on, gone with the binding.

use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::ControlPlane;
use crate::consent::Purpose;
use crate::error::Inner;
use crate::ids::{AccountId, Serial};
use crate::policy::InForce;
use crate::storage::model::{
    Charge, ConsentState, DeviceState, Fact, FactKind, NewFact, RetryAfter, Session, Window,
};
use crate::vault::{DoesNotOpen, SubjectKey};

/// Why something about a device is not kept or not shown.
#[derive(Debug, thiserror::Error)]
pub enum FactError {
    /// Not bound to the account.
    #[error("no such device on this account")]
    NotBound,
    /// The owner has not agreed to the purpose.
    #[error("consent to {0} is missing")]
    ConsentRequired(&'static str),
    /// A value is none, or too long; says which and how it must be.
    #[error("{0}")]
    Bad(&'static str),
    /// There is nothing kept.
    #[error("nothing of this is kept for the device")]
    Nothing,
    /// Too many.
    #[error("too many changes; try again later")]
    Limited(RetryAfter),
    /// See [`Inner`].
    #[error(transparent)]
    Inner(#[from] Inner),
}

/// What an account decided about a purpose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Decision {
    /// Nothing yet, or about an older text.
    Open,
    /// Agreed to the present text.
    Granted,
    /// Taken back.
    Withdrawn,
}

impl ControlPlane {
    /// What the account decided about a purpose, on whatever product: what is kept of a device is
    /// no one terminal's. A consent counts while what it was given to is in force.
    pub(crate) async fn decision(
        &self,
        account: &AccountId,
        purpose: &'static Purpose,
    ) -> Result<Decision, Inner> {
        let mut states = self.store().consents(account).await?;
        states.retain(|state| state.purpose == purpose.id);
        if states.is_empty() {
            return Ok(Decision::Open);
        }
        let policies = self.product_policies().await?;
        let holds = |state: &ConsentState| {
            let product = state.policy.as_ref().map_or("", |mark| &mark.product);
            InForce::of(purpose, product, &policies).agreed(state)
        };
        Ok(if states.iter().any(holds) {
            Decision::Granted
        } else if states.iter().all(|state| !state.granted) {
            Decision::Withdrawn
        } else {
            Decision::Open
        })
    }

    /// The device, if it is the account's.
    pub(crate) async fn own_device(
        &self,
        account: &AccountId,
        serial: &str,
    ) -> Result<Option<DeviceState>, Inner> {
        let Some(serial) = Serial::parse(serial) else { return Ok(None) };
        let device = self.store().device(&serial).await?;
        Ok(device.filter(|device| device.owner.as_ref() == Some(account)))
    }

    /// Refuses without the account's consent.
    pub(crate) async fn need_consent(
        &self,
        account: &AccountId,
        purpose: &'static Purpose,
    ) -> Result<(), FactError> {
        match self.decision(account, purpose).await? {
            Decision::Granted => Ok(()),
            Decision::Open | Decision::Withdrawn => Err(FactError::ConsentRequired(purpose.id)),
        }
    }

    /// Counts an act against a limit.
    pub(crate) async fn charge_fact(
        &self,
        dimension: &'static str,
        key: &str,
        windows: &[Window],
    ) -> Result<(), FactError> {
        let key = self.vault().lookup(dimension, key);
        let charge = Charge { dimension, key, windows: windows.to_vec() };
        let charged = self.store().charge(&[charge], self.now()).await.map_err(Inner::from)?;
        charged.map_err(FactError::Limited)
    }

    /// Keeps a fact about an account's device under its present binding.
    pub(crate) async fn keep_fact<T: Serialize>(
        &self,
        owner: &AccountId,
        device: &DeviceState,
        kind: FactKind,
        value: &T,
        expires_at: Option<u64>,
    ) -> Result<(), FactError> {
        let serial = &device.device.serial;
        let plain = Zeroizing::new(serde_json::to_string(value).expect("plain data serialises"));
        let key = self.subject_key_of(owner).await?;
        let new = NewFact {
            serial: serial.clone(),
            account: owner.clone(),
            binding_epoch: device.epochs.binding,
            kind,
            value_enc: key.seal(&place(kind, serial), owner.as_str(), &plain, self.random()),
            expires_at,
        };
        let kept = self.store().fact_put(&new, self.now()).await.map_err(Inner::from)?;
        if kept { Ok(()) } else { Err(FactError::NotBound) }
    }

    /// Everything that is kept of the account's devices, or of one.
    pub(crate) async fn kept_facts(
        &self,
        session: &Session,
        serial: Option<&Serial>,
    ) -> Result<Facts, Inner> {
        self.kept_facts_of(&session.account, serial).await
    }

    /// The same of an account, for what it lets others see.
    pub(crate) async fn kept_facts_of(
        &self,
        account: &AccountId,
        serial: Option<&Serial>,
    ) -> Result<Facts, Inner> {
        let kept = self.store().facts(account, serial, self.now()).await?;
        let key = self.subject_key_of(account).await?;
        Ok(Facts { kept, key, account: account.clone() })
    }

    /// Forgets a fact about the account's device.
    pub(crate) async fn forget_fact(
        &self,
        session: &Session,
        serial: &str,
        kind: FactKind,
    ) -> Result<(), FactError> {
        let device = self.own_device(&session.account, serial).await?.ok_or(FactError::NotBound)?;
        let serial = &device.device.serial;
        let ended = self.store().fact_end(&session.account, serial, kind, self.now()).await;
        if ended.map_err(Inner::from)? { Ok(()) } else { Err(FactError::Nothing) }
    }
}

/// Facts, and the key that opens them.
pub(crate) struct Facts {
    kept: Vec<Fact>,
    key: SubjectKey,
    account: AccountId,
}

impl Facts {
    /// One fact and when it was told.
    pub(crate) fn get<T: DeserializeOwned>(
        &self,
        serial: &Serial,
        kind: FactKind,
    ) -> Result<Option<(T, u64)>, DoesNotOpen> {
        let found = self.kept.iter().find(|fact| fact.serial == *serial && fact.kind == kind);
        let Some(fact) = found else { return Ok(None) };
        let plain = self.key.open(&place(kind, serial), self.account.as_str(), &fact.value_enc)?;
        let plain = Zeroizing::new(plain);
        let value = serde_json::from_str(&plain).map_err(|_| DoesNotOpen)?;
        Ok(Some((value, fact.at)))
    }
}

/// Where a ciphertext belongs.
fn place(kind: FactKind, serial: &Serial) -> String {
    format!("device_fact.{}/{serial}", kind.text())
}
