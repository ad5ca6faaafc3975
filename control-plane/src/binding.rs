//! Binding devices to accounts.

use std::net::IpAddr;

use sightline_grant::Revocation;

use crate::ControlPlane;
use crate::base32;
use crate::error::Inner;
use crate::ids::{ChallengeId, Serial};
use crate::limits::BINDS_PER_SERIAL;
use crate::storage::model::{
    Bound, Charge, CodeKind, CodeUse, CodeUsed, DeviceEpochs, DeviceKind, DeviceState, RetryAfter,
    Session,
};
use crate::vault;

/// A wish to bind.
#[derive(Clone, Debug)]
pub struct BindRequest {
    /// Serial as typed.
    pub serial: String,
    /// Printed verification code as typed.
    pub code: String,
    /// Open devices: challenge and signature that prove the publishing credential.
    pub proof: Option<(ChallengeId, Vec<u8>)>,
}

/// Why a device is not bound.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Unknown serial or wrong code: one answer for both.
    #[error("serial and verification code do not match a device")]
    NoMatch,
    /// The code was right, but the open device's publishing credential was not proven.
    #[error("prove the device's publishing password first")]
    KeyProofRequired,
    /// The code was right, but someone owns the device.
    #[error(
        "the device is bound to another account, whose owner must unbind it first; or it waits, after \
         the server was restored, until it is on and has said whose it is"
    )]
    Taken,
    /// The account took back the consent that adding devices stands on.
    #[error("consent to {0} was withdrawn, so no camera can be added; give it again first")]
    ConsentRequired(&'static str),
    /// Too many.
    #[error("too many tries; try again later")]
    Limited(RetryAfter),
    /// See [`Inner`].
    #[error(transparent)]
    Inner(#[from] Inner),
}

impl ControlPlane {
    /// Binds a device that nobody owns to the account.
    ///
    /// # Errors
    /// See [`BindError`].
    pub async fn bind(
        &self,
        session: &Session,
        request: &BindRequest,
        ip: IpAddr,
    ) -> Result<DeviceEpochs, BindError> {
        self.may_bind(session).await?;
        let limits = self.config().limits.clone();
        let charge = |dimension, key, windows| Charge { dimension, key, windows };
        let serial_key = self.vault().lookup("bind-serial", &request.serial);
        let account_key = self.vault().lookup("bind-account", session.account.as_str());
        let mut charges = vec![
            charge("bind-serial", serial_key, BINDS_PER_SERIAL.to_vec()),
            charge("bind-account", account_key, limits.binds_per_account),
        ];
        charges.extend(self.ip_charges("bind-ip", ip, &limits.binds_per_ip));
        let charged = self.store().charge(&charges, self.now()).await.map_err(Inner::from)?;
        charged.map_err(BindError::Limited)?;

        let (device, code) = self.device_with_code(&request.serial, &request.code).await?;
        let device = device.ok_or(BindError::NoMatch)?;
        if let DeviceKind::Credential(_) = device.device.kind {
            self.prove_credential(session, &device, request).await?;
        }
        let serial = &device.device.serial;
        let bound = match code {
            CodeBy::Print => self.store().bind(serial, &session.account, self.now()).await,
            CodeBy::Operator(hash) => {
                let (serial, account) = (serial.clone(), session.account.clone());
                let using = CodeUse { serial, hash, account };
                match self.store().bind_by_code(&using, self.now()).await.map_err(Inner::from)? {
                    CodeUsed::Unknown => return Err(BindError::NoMatch),
                    CodeUsed::Right(bound) => Ok(bound),
                }
            }
        };
        match bound.map_err(Inner::from)? {
            Bound::Taken => Err(BindError::Taken),
            Bound::Already(epochs) => Ok(epochs),
            Bound::Newly(epochs) => {
                self.announce_binding(serial, epochs);
                Ok(epochs)
            }
        }
    }

    /// Unbinds a device. Whatever stood on the binding is dead. `false`: not the owner.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn unbind(&self, session: &Session, serial: &str) -> Result<bool, Inner> {
        let Some(serial) = Serial::parse(serial) else { return Ok(false) };
        let ended = self.store().unbind(&serial, &session.account, self.now()).await?;
        let Some(epochs) = ended else { return Ok(false) };
        self.announce_binding(&serial, epochs);
        Ok(true)
    }

    /// Devices of the account.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn my_devices(&self, session: &Session) -> Result<Vec<DeviceState>, Inner> {
        Ok(self.store().devices_of(&session.account).await?)
    }

    pub(crate) fn announce_binding(&self, serial: &Serial, epochs: DeviceEpochs) {
        self.announce(Revocation::Binding { serial: serial.0.clone(), epoch: epochs.binding });
        self.device_changed(serial);
    }

    /// Refuses unless the request proves the publishing credential of an open device.
    pub(crate) async fn prove_credential(
        &self,
        session: &Session,
        device: &DeviceState,
        request: &BindRequest,
    ) -> Result<(), BindError> {
        let (challenge, signature) = request.proof.as_ref().ok_or(BindError::KeyProofRequired)?;
        if self.signed_by_device(session, device, challenge, signature).await? {
            return Ok(());
        }
        Err(BindError::KeyProofRequired)
    }

    /// The device, if the code is its printed one or one that the operator issued. An unknown serial
    /// costs the same work.
    async fn device_with_code(
        &self,
        serial: &str,
        code: &str,
    ) -> Result<(Option<DeviceState>, CodeBy), Inner> {
        let serial = Serial::parse(serial).unwrap_or_else(|| Serial("-".into()));
        let device = self.store().device(&serial).await?;
        let given = self.vault().printed_code(serial.as_str(), &base32::canonical(code));
        let stored = device.as_ref().map_or(&[0; 32][..], |device| device.device.code.as_slice());
        let printed = vault::same(&given, stored);
        let hash = self.code_hash(&serial, CodeKind::Bind, code);
        let issued = self.store().code_holds(&serial, CodeKind::Bind, &hash, self.now()).await?;
        let by = if printed { CodeBy::Print } else { CodeBy::Operator(hash) };
        Ok((device.filter(|_| printed || issued), by))
    }
}

/// Where a code that binds comes from.
enum CodeBy {
    /// It is printed on the device.
    Print,
    /// The operator issued it; its keyed hash.
    Operator(Vec<u8>),
}
