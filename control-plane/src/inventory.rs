//! What a device is made of: told by the device when it was bound and when something changes, kept
//! under the owner's consent to `device.hardware`. Withdrawing that ends control from afar of the
//! account's devices, and nothing else.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use sightline_grant::Thumbprint;
use utoipa::ToSchema;

use crate::ControlPlane;
use crate::consent::DEVICE_HARDWARE;
use crate::device::DeviceError;
use crate::device_facts::{Decision, FactError};
use crate::error::Inner;
use crate::ids::{AccountId, Serial};
use crate::limits::{INVENTORIES_PER_DEVICE, MAX_NAME_CHARS, MAX_SETTING_CHARS, MAX_SETTINGS};
use crate::storage::model::FactKind;

/// How a device reaches the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccessMode {
    /// By cable.
    Wired,
    /// By Wi-Fi.
    Wifi,
    /// By a mobile network.
    Mobile,
    /// In another way, or unknown to the device.
    Other,
}

/// What a device tells of itself.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Hardware {
    /// Kind of device, such as `camera`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Model.
    pub model: String,
    /// Number of the firmware.
    pub firmware: String,
    /// Address of its network interface, `aa:bb:cc:dd:ee:ff`.
    pub mac: Option<String>,
    /// Version of its system.
    pub system_version: String,
    /// How it reaches the network.
    pub access_mode: AccessMode,
    /// Settings of its system by name.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
}

impl fmt::Debug for Hardware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Addresses and settings tell about a home.
        f.debug_struct("Hardware").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// Why an inventory is not taken.
#[derive(Debug, thiserror::Error)]
pub enum InventoryError {
    /// Unknown, not bound, or bound anew since.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// Not agreed to, malformed, or too often.
    #[error(transparent)]
    Fact(#[from] FactError),
}

impl Hardware {
    fn check(&self) -> Result<(), FactError> {
        let texts = [&self.kind, &self.model, &self.firmware, &self.system_version];
        let short = |text: &str, most| text.chars().count() <= most;
        if texts.into_iter().any(|text| !short(text, MAX_NAME_CHARS)) {
            return Err(FactError::Bad(
                "type, model, firmware and system have 64 characters at most",
            ));
        }
        if self.mac.as_deref().is_some_and(|mac| !is_mac(mac)) {
            return Err(FactError::Bad("a network address has the form aa:bb:cc:dd:ee:ff"));
        }
        let fits = |(name, value): (&String, &String)| {
            short(name, MAX_NAME_CHARS) && short(value, MAX_SETTING_CHARS)
        };
        if self.settings.len() > MAX_SETTINGS || !self.settings.iter().all(fits) {
            return Err(FactError::Bad(
                "there are 32 settings at most, with names of 64 and values of 128 characters",
            ));
        }
        Ok(())
    }
}

/// Whether a text is an address of a network interface.
pub(crate) fn is_mac(text: &str) -> bool {
    let mut parts = 0;
    text.split(':').all(|part| {
        parts += 1;
        part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit())
    }) && parts == 6
}

impl ControlPlane {
    /// Keeps what a device tells of itself, for its owner of now.
    ///
    /// # Errors
    /// See [`InventoryError`].
    pub async fn store_inventory(
        &self,
        identity: Thumbprint,
        binding_epoch: u64,
        hardware: &Hardware,
    ) -> Result<(), InventoryError> {
        hardware.check()?;
        let device = self.device_of(identity).await?;
        let serial = device.device.serial.as_str();
        self.charge_fact("inventory", serial, &INVENTORIES_PER_DEVICE).await?;
        let current = device.epochs.binding == binding_epoch;
        let owner = device.owner.clone().filter(|_| current).ok_or(DeviceError::OtherBinding)?;
        self.need_consent(&owner, &DEVICE_HARDWARE).await?;
        let kept = self.keep_fact(&owner, &device, FactKind::Hardware, hardware, None).await;
        match kept {
            Err(FactError::NotBound) => Err(DeviceError::OtherBinding.into()),
            other => Ok(other?),
        }
    }

    /// Whether a device should tell what it is made of.
    pub(crate) async fn inventory_wanted(&self, serial: &Serial) -> Result<bool, Inner> {
        let (id, version) = (DEVICE_HARDWARE.id, DEVICE_HARDWARE.version);
        Ok(self.store().inventory_wanted(serial, id, version).await?)
    }

    /// Wakes the polls of the account's devices, which then tell what they are made of.
    pub(crate) async fn ask_for_inventories(&self, account: &AccountId) -> Result<(), Inner> {
        for state in self.store().devices_of(account).await? {
            self.device_changed(&state.device.serial);
        }
        Ok(())
    }

    /// Refuses to control a device from afar when its owner has taken back the consent to knowing
    /// what it is made of. To be asked before every command to a device.
    ///
    /// # Errors
    /// [`FactError::NotBound`] and [`FactError::ConsentRequired`].
    pub async fn may_control(&self, account: &AccountId, serial: &str) -> Result<(), FactError> {
        self.own_device(account, serial).await?.ok_or(FactError::NotBound)?;
        match self.decision(account, &DEVICE_HARDWARE).await? {
            Decision::Withdrawn => Err(FactError::ConsentRequired(DEVICE_HARDWARE.id)),
            Decision::Open | Decision::Granted => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_address_has_six_pairs_of_hex_digits() {
        assert!(is_mac("00:1A:2b:3c:4d:5e"));
        for bad in [
            "",
            "00:1a:2b:3c:4d",
            "00:1a:2b:3c:4d:5e:6f",
            "00-1a-2b-3c-4d-5e",
            "0:1a:2b:3c:4d:5e",
            "gg:1a:2b:3c:4d:5e",
        ] {
            assert!(!is_mac(bad), "{bad}");
        }
    }
}
