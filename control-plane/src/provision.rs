//! Bringing a device into a network. The server learns which network, for help when that fails; it
//! has no place for the network's password, nor for where the terminal is. What a device needs to
//! know goes past the server, or through it sealed to the device's key.

use serde::{Deserialize, Serialize};
use sightline_grant::Thumbprint;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::ControlPlane;
use crate::consent::{DEVICE_PROVISION, DEVICE_PROVISION_BLE};
use crate::device::DeviceError;
use crate::device_facts::FactError;
use crate::error::Inner;
use crate::ids::{ProvisioningId, Serial};
use crate::inventory::{AccessMode, is_mac};
use crate::limits::{
    MAX_NAME_CHARS, MAX_SSID_BYTES, PROVISIONING_SECS, PROVISIONINGS_KEPT,
    PROVISIONINGS_PER_ACCOUNT, SEALED_BLOB_BYTES, SEALED_BLOB_SECS,
};
use crate::random;
use crate::storage::model::{NewProvisioning, Session};
use crate::vault::DoesNotOpen;

/// Place of the encrypted facts.
const FACTS: &str = "provisioning.facts";

/// The network that a device is brought into.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Name of the wireless network.
    pub ssid: Option<String>,
    /// Address of the access point.
    pub bssid: Option<String>,
    /// Received signal strength, dBm, -127 to 0.
    pub rssi: Option<i8>,
    /// How the device reaches the network.
    pub access_mode: AccessMode,
    /// Network operator.
    pub operator: Option<String>,
    /// Bluetooth address of the device, which needs a consent of its own.
    pub bt_mac: Option<String>,
}

/// A provisioning as its account sees it.
#[derive(Clone)]
pub struct Provisioning {
    /// Its name.
    pub id: ProvisioningId,
    /// Device.
    pub serial: Serial,
    /// The network.
    pub network: Network,
    /// Something waits for the device.
    pub sealed_waits: bool,
    /// When this is forgotten, Unix seconds.
    pub expires_at: u64,
}

impl Network {
    fn check(&self) -> Result<(), FactError> {
        if self.ssid.as_deref().is_some_and(|ssid| ssid.len() > MAX_SSID_BYTES) {
            return Err(FactError::Bad("the name of a wireless network has 32 bytes at most"));
        }
        if [&self.bssid, &self.bt_mac].into_iter().flatten().any(|mac| !is_mac(mac)) {
            return Err(FactError::Bad("an address has the form aa:bb:cc:dd:ee:ff"));
        }
        if self.rssi.is_some_and(|rssi| rssi > 0 || rssi == i8::MIN) {
            return Err(FactError::Bad("a signal strength is -127 to 0 dBm"));
        }
        let long = |text: &String| text.chars().count() > MAX_NAME_CHARS;
        if self.operator.as_ref().is_some_and(long) {
            return Err(FactError::Bad("an operator's name has 64 characters at most"));
        }
        Ok(())
    }
}

impl ControlPlane {
    /// Keeps that a device is brought into a network, and what is sealed to it, if the account owns
    /// it.
    ///
    /// # Errors
    /// See [`FactError`].
    pub async fn provision(
        &self,
        session: &Session,
        serial: &str,
        network: &Network,
        sealed: Option<Vec<u8>>,
    ) -> Result<ProvisioningId, FactError> {
        let serial = Serial::parse(serial)
            .ok_or(FactError::Bad("a serial has 1 to 64 letters, digits, - or _"))?;
        network.check()?;
        if sealed.as_ref().is_some_and(|sealed| !(1..=SEALED_BLOB_BYTES).contains(&sealed.len())) {
            return Err(FactError::Bad("what is sealed to a device has 1 to 1024 bytes"));
        }
        let account = &session.account;
        self.need_consent(account, &DEVICE_PROVISION).await?;
        if network.bt_mac.is_some() {
            self.need_consent(account, &DEVICE_PROVISION_BLE).await?;
        }
        self.charge_fact("provisioning", account.as_str(), &PROVISIONINGS_PER_ACCOUNT).await?;
        let id = ProvisioningId(random::hex_id(self.random()));
        let plain = Zeroizing::new(serde_json::to_string(network).expect("plain data serialises"));
        let key = self.subject_key_of(account).await?;
        let new = NewProvisioning {
            facts_enc: key.seal(&place(&id), account.as_str(), &plain, self.random()),
            id: id.clone(),
            account: account.clone(),
            serial: serial.clone(),
            sealed,
            sealed_until: self.now() + SEALED_BLOB_SECS,
            expires_at: self.now() + PROVISIONING_SECS,
        };
        let kept = self.store().provisioning_put(&new, PROVISIONINGS_KEPT, self.now()).await;
        if !kept.map_err(Inner::from)? {
            return Err(FactError::NotBound);
        }
        Ok(id)
    }

    /// Provisionings that the account reported, newest first.
    ///
    /// # Errors
    /// When the database does not answer or a value does not open.
    pub async fn provisionings(&self, session: &Session) -> Result<Vec<Provisioning>, Inner> {
        let account = &session.account;
        let now = self.now();
        let kept = self.store().provisionings(account, now).await?;
        let key = self.subject_key_of(account).await?;
        let read = kept.into_iter().map(|row| {
            let plain = key.open(&place(&row.id), account.as_str(), &row.facts_enc)?;
            let plain = Zeroizing::new(plain);
            let network = serde_json::from_str(&plain).map_err(|_| DoesNotOpen)?;
            Ok(Provisioning {
                id: row.id,
                serial: row.serial,
                network,
                sealed_waits: row.sealed.is_some() && row.sealed_until > now,
                expires_at: row.expires_at,
            })
        });
        read.collect()
    }

    /// Hands out what was sealed to a device, once.
    ///
    /// # Errors
    /// See [`DeviceError`].
    pub async fn take_sealed(&self, identity: Thumbprint) -> Result<Option<Vec<u8>>, DeviceError> {
        let device = self.device_of(identity).await?;
        let taken = self.store().sealed_take(&device.device.serial, self.now()).await;
        Ok(taken.map_err(Inner::from)?)
    }
}

fn place(id: &ProvisioningId) -> String {
    format!("{FACTS}/{id}")
}
