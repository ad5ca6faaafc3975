//! Expiring codes, transfers and resets: how a device comes to another owner.
//!
//! A device that has an owner is never simply taken over. Its owner gives it away by a code that
//! works once, or somebody at the device resets it; either ends everything of the former owner and
//! tells him. The operator can issue a code that ends, too, for a device that nobody owns, so that
//! the printed one stays where it is.

use std::net::IpAddr;

use sightline_grant::{Redacted, Thumbprint};

use crate::ControlPlane;
use crate::add_code::AddCode;
use crate::admin::AdminError;
use crate::base32;
use crate::binding::{BindError, BindRequest};
use crate::device::DeviceError;
use crate::device_facts::FactError;
use crate::error::Inner;
use crate::gate::Refusal;
use crate::ids::Serial;
use crate::limits::{CODES_PER_DEVICE, DEVICE_CODE_SECS, RESETS_PER_DEVICE};
use crate::random;
use crate::storage::model::{
    Bound, Charge, CodeKind, CodeUse, CodeUsed, DeviceEpochs, DeviceKind, NewDeviceCode, Session,
};

/// Random bytes of an operator's code: as many as a printed one has.
const BIND_CODE_BYTES: usize = 5;
/// Random bytes of a transfer code, which takes a device that is in use.
const TRANSFER_CODE_BYTES: usize = 10;

/// An expiring code that was issued.
#[derive(Debug)]
pub struct CodeIssued {
    /// For people, in groups of four.
    pub code: Redacted<String>,
    /// Text of the picture code.
    pub picture: Redacted<String>,
    /// Unix seconds.
    pub expires_at: u64,
}

/// Why no transfer code is issued.
#[derive(Debug, thiserror::Error)]
pub enum CodeError {
    /// The gate to dangerous acts: login, binding, device key, SMS.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Not the owner, nothing there, or too often.
    #[error(transparent)]
    Fact(#[from] FactError),
}

/// Why a device is not reset.
#[derive(Debug, thiserror::Error)]
pub enum ResetError {
    /// Unknown, not bound, or bound anew since.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// Too often.
    #[error(transparent)]
    Fact(#[from] FactError),
}

impl ControlPlane {
    /// Issues a code by which another account takes the device over. It ends the one before.
    ///
    /// # Errors
    /// See [`CodeError`].
    pub async fn issue_transfer_code(
        &self,
        session: &Session,
        token: &Redacted<String>,
        serial: &str,
    ) -> Result<CodeIssued, CodeError> {
        self.confirmed(token, session.jkt, serial).await?;
        let serial = Serial::parse(serial).ok_or(FactError::NotBound)?;
        let code = base32::encode(&random::bytes::<TRANSFER_CODE_BYTES>(self.random()));
        let owner = Some(session.account.clone());
        let new = self.new_code(serial, CodeKind::Transfer, &code, owner);
        self.issue(new, &code).await?.ok_or_else(|| FactError::NotBound.into())
    }

    /// Takes the transfer code of a device back.
    ///
    /// # Errors
    /// See [`FactError`].
    pub async fn end_transfer_code(
        &self,
        session: &Session,
        serial: &str,
    ) -> Result<(), FactError> {
        let device = self.own_device(&session.account, serial).await?.ok_or(FactError::NotBound)?;
        let serial = &device.device.serial;
        let ended = self.store().code_end(serial, &session.account, self.now()).await;
        if ended.map_err(Inner::from)? { Ok(()) } else { Err(FactError::Nothing) }
    }

    /// When the open transfer code of a device expires.
    pub(crate) async fn transfer_until(&self, serial: &Serial) -> Result<Option<u64>, Inner> {
        Ok(self.store().code_expires(serial, CodeKind::Transfer, self.now()).await?)
    }

    /// Takes a device over from the owner who issued the code.
    ///
    /// # Errors
    /// See [`BindError`].
    pub async fn accept_transfer(
        &self,
        session: &Session,
        request: &BindRequest,
        ip: IpAddr,
    ) -> Result<DeviceEpochs, BindError> {
        self.may_bind(session).await?;
        let limits = self.config().limits.clone();
        let account_key = self.vault().lookup("transfer-account", session.account.as_str());
        let mut charges = vec![Charge {
            dimension: "transfer-account",
            key: account_key,
            windows: limits.binds_per_account,
        }];
        charges.extend(self.ip_charges("transfer-ip", ip, &limits.binds_per_ip));
        let charged = self.store().charge(&charges, self.now()).await.map_err(Inner::from)?;
        charged.map_err(BindError::Limited)?;
        let serial = Serial::parse(&request.serial).ok_or(BindError::NoMatch)?;
        let using = CodeUse {
            hash: self.code_hash(&serial, CodeKind::Transfer, &request.code),
            serial: serial.clone(),
            account: session.account.clone(),
        };
        let now = self.now();
        let held = self.store().code_holds(&serial, CodeKind::Transfer, &using.hash, now).await;
        if !held.map_err(Inner::from)? {
            return Err(BindError::NoMatch);
        }
        let device = self.store().device(&serial).await.map_err(Inner::from)?;
        let device = device.ok_or(BindError::NoMatch)?;
        if let DeviceKind::Credential(_) = device.device.kind {
            self.prove_credential(session, &device, request).await?;
        }
        let used = self.store().transfer(&using, self.now()).await.map_err(Inner::from)?;
        match used {
            CodeUsed::Unknown | CodeUsed::Right(Bound::Taken) => Err(BindError::NoMatch),
            CodeUsed::Right(Bound::Already(epochs)) => Ok(epochs),
            CodeUsed::Right(Bound::Newly(epochs)) => {
                self.announce_binding(&serial, epochs);
                Ok(epochs)
            }
        }
    }

    /// Ends the device's binding at its own wish: somebody at it has reset it. The request is signed
    /// with the device's identity, once, and names the binding that it ends.
    ///
    /// # Errors
    /// See [`ResetError`].
    pub async fn reset_device(
        &self,
        identity: Thumbprint,
        binding_epoch: u64,
    ) -> Result<DeviceEpochs, ResetError> {
        let serial = self.device_of(identity).await?.device.serial;
        self.charge_fact("reset", serial.as_str(), &RESETS_PER_DEVICE).await?;
        let named = Some(binding_epoch);
        let ended = self.store().device_reset(&serial, named, true, self.now()).await;
        let epochs = ended.map_err(|error| DeviceError::Inner(error.into()))?;
        let epochs = epochs.ok_or(DeviceError::OtherBinding)?;
        self.announce_binding(&serial, epochs);
        Ok(epochs)
    }

    /// Issues an expiring code for a device that nobody owns. `Err`: there is no such device, or
    /// somebody owns it.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn issue_bind_code(&self, serial: &str) -> Result<CodeIssued, AdminError> {
        let unknown = || AdminError::Unknown("device without an owner");
        let serial = Serial::parse(serial).ok_or_else(unknown)?;
        let code = base32::encode(&random::bytes::<BIND_CODE_BYTES>(self.random()));
        let new = self.new_code(serial, CodeKind::Bind, &code, None);
        if !self.store().code_put(&new, self.now()).await.map_err(Inner::from)? {
            return Err(unknown());
        }
        Ok(issued(&new, &code))
    }

    /// Ends a device's binding; its former owner is told.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn release_device(&self, serial: &str) -> Result<(), AdminError> {
        let unknown = || AdminError::Unknown("bound device");
        let serial = Serial::parse(serial).ok_or_else(unknown)?;
        let ended = self.store().device_reset(&serial, None, false, self.now()).await;
        let epochs = ended.map_err(Inner::from)?.ok_or_else(unknown)?;
        self.announce_binding(&serial, epochs);
        Ok(())
    }

    /// Keyed hash of an expiring code.
    pub(crate) fn code_hash(&self, serial: &Serial, kind: CodeKind, code: &str) -> Vec<u8> {
        let what = format!("device-code/{}/{serial}", kind.as_str());
        self.vault().lookup(&what, &base32::canonical(code))
    }

    fn new_code(
        &self,
        serial: Serial,
        kind: CodeKind,
        code: &str,
        account: Option<crate::ids::AccountId>,
    ) -> NewDeviceCode {
        let hash = self.code_hash(&serial, kind, code);
        NewDeviceCode { serial, kind, hash, account, expires_at: self.now() + DEVICE_CODE_SECS }
    }

    async fn issue(&self, new: NewDeviceCode, code: &str) -> Result<Option<CodeIssued>, FactError> {
        self.charge_fact("device-code", new.serial.as_str(), &CODES_PER_DEVICE).await?;
        let put = self.store().code_put(&new, self.now()).await.map_err(Inner::from)?;
        Ok(put.then(|| issued(&new, code)))
    }
}

fn issued(new: &NewDeviceCode, code: &str) -> CodeIssued {
    let add = AddCode {
        kind: new.kind,
        serial: new.serial.clone(),
        code: Redacted::new(code.to_owned()),
    };
    CodeIssued {
        code: Redacted::new(base32::grouped(code)),
        picture: add.text(),
        expires_at: new.expires_at,
    }
}
