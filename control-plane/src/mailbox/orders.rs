//! Sealing orders: an owner switches sealing off or on, the camera is told, and the act is kept.

use sightline_grant::Redacted;

use super::ListError;
use crate::ControlPlane;
use crate::device::EncMode;
use crate::device_facts::FactError;
use crate::error::Inner;
use crate::gate::Refusal;
use crate::limits::{ORDERS_PER_DEVICE, PAGE};
use crate::sealed::Malformed;
use crate::sealed::order::SealingOrder;
use crate::storage::model::{
    Charge, DeviceState, EncModeEvent, NewOrder, OrderPut, RetryAfter, Session, StoredOrder,
};

/// Whether a device is to seal, and how that came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncModeState {
    /// The mode in force.
    pub mode: EncMode,
    /// The binding that orders are for.
    pub binding_epoch: u64,
    /// The order that says so; without one the device seals. Whoever has the device secret checks
    /// its signature and need not believe the server.
    pub order: Option<StoredOrder>,
    /// What was ordered under this binding, newest first, at most [`PAGE`].
    pub history: Vec<EncModeEvent>,
}

/// Why an order is not taken.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// A fact of the gate is missing.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The device is not the owner's, or has no key.
    #[error(transparent)]
    Device(#[from] ListError),
    /// The device was added as open.
    #[error("the device was added as open and cannot seal; remove it and add it as sealed")]
    NeverSealed,
    /// For another device, or for a former or later owner.
    #[error("the sealing order is for another device or another owner; make it for this binding")]
    OtherBinding,
    /// As old as the last one, or older; holds the last sequence.
    #[error("sealing order {0} was given before; sign one with a higher sequence")]
    NotNewer(u64),
    /// Not of the form of an order.
    #[error("the sealing order cannot be read: {0}")]
    Malformed(#[from] Malformed),
    /// It says another mode than the request.
    #[error("the sealing order is for another mode than the request")]
    OtherMode,
    /// Not signed with the device secret of this binding.
    #[error("the sealing order is not signed with this device's secret")]
    Signature,
    /// The owner does not let the device be controlled from afar.
    #[error(transparent)]
    Control(#[from] FactError),
    /// Too many.
    #[error("too many sealing orders; try again later")]
    Limited(RetryAfter),
    /// See [`Inner`].
    #[error(transparent)]
    Inner(#[from] Inner),
}

impl ControlPlane {
    /// Stores an owner's order, tells the camera, and tells who may watch. Switching sealing off
    /// needs the key proof and the viewing window of this login on top of the signature, and is
    /// control from afar ([`ControlPlane::may_control`]); switching it on never is refused for that.
    ///
    /// # Errors
    /// See [`OrderError`].
    pub async fn order_enc_mode(
        &self,
        session: &Session,
        token: &Redacted<String>,
        serial: &str,
        mode: EncMode,
        signed: &[u8],
    ) -> Result<EncModeState, OrderError> {
        let device = self.owned_sealing(session, serial).await?;
        if mode == EncMode::Open {
            self.confirmed(token, session.jkt, serial).await?;
            self.may_control(&session.account, serial).await?;
        }
        let order = checked(&device, mode, signed)?;
        let serial = &device.device.serial;
        let charge = Charge {
            dimension: "sealing-order",
            key: self.vault().lookup("sealing-order", serial.as_str()),
            windows: ORDERS_PER_DEVICE.to_vec(),
        };
        let charged = self.store().charge(&[charge], self.now()).await.map_err(Inner::from)?;
        charged.map_err(OrderError::Limited)?;
        let put = self.store().order_put(&session.account, &order, self.now()).await;
        match put.map_err(Inner::from)? {
            OrderPut::OtherBinding => return Err(OrderError::OtherBinding),
            OrderPut::NotNewer(held) => return Err(OrderError::NotNewer(held)),
            OrderPut::Stored => self.device_changed(serial),
            OrderPut::Same => {}
        }
        self.enc_mode(session, serial.as_str()).await
    }

    /// Whether a device of the account is to seal.
    ///
    /// # Errors
    /// See [`OrderError`].
    pub async fn enc_mode(
        &self,
        session: &Session,
        serial: &str,
    ) -> Result<EncModeState, OrderError> {
        let device = self.owned_sealing(session, serial).await?;
        let (serial, binding_epoch) = (&device.device.serial, device.epochs.binding);
        let history = self.store().enc_history(serial, binding_epoch, PAGE).await;
        let history = history.map_err(Inner::from)?;
        Ok(EncModeState { mode: device.enc_mode(), binding_epoch, order: device.order, history })
    }

    async fn owned_sealing(
        &self,
        session: &Session,
        serial: &str,
    ) -> Result<DeviceState, OrderError> {
        match self.owned_sealed(session, serial).await {
            Ok(device) if device.can_seal() => Ok(device),
            Ok(_) | Err(ListError::Open) => Err(OrderError::NeverSealed),
            Err(error) => Err(error.into()),
        }
    }
}

/// The order, if it is this device's, says what the request says, and is signed with its key.
fn checked(device: &DeviceState, mode: EncMode, signed: &[u8]) -> Result<NewOrder, OrderError> {
    let verifier = device.verifier.ok_or(ListError::NotReady)?;
    let order = SealingOrder::read(signed)?;
    let serial = &device.device.serial;
    let binding = &order.binding;
    if binding.serial != serial.as_str() || binding.epoch != device.epochs.binding {
        return Err(OrderError::OtherBinding);
    }
    if order.sealed != (mode == EncMode::Sealed) {
        return Err(OrderError::OtherMode);
    }
    if !order.is_signed_by(&verifier) {
        return Err(OrderError::Signature);
    }
    Ok(NewOrder {
        serial: serial.clone(),
        binding_epoch: binding.epoch,
        sequence: order.sequence,
        sealed: order.sealed,
        signed: signed.to_vec(),
        verifier,
    })
}
