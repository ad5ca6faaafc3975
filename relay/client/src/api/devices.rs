//! Adding a device by a token, ending its binding on the spot, and what it tells of itself.

use std::collections::BTreeMap;

use reqwest::Method;
use serde::{Deserialize, Serialize};
use sightline_grant::Redacted;

use super::{Api, ApiError, Auth, Binding, NOTHING, decode};

/// How a device reaches the network.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
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

/// What a device is made of.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct HardwareInfo {
    /// Kind of device, such as `camera`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Model.
    pub model: String,
    /// Number of the firmware.
    pub firmware: String,
    /// Address of its network interface.
    pub mac: Option<String>,
    /// Version of its system.
    pub system_version: String,
    /// How it reaches the network.
    pub access_mode: AccessMode,
    /// Settings of its system by name.
    pub settings: BTreeMap<String, String>,
}

/// A LAN grant.
#[derive(Clone, Debug, Deserialize)]
pub struct LanGrantText {
    /// For the camera, beside a proof of the terminal's key.
    #[serde(deserialize_with = "super::types::redacted")]
    pub grant: Redacted<String>,
    /// Last second, Unix.
    pub expires_at: u64,
}

impl Api {
    /// A device presents a user token, and is the account's that asked for it.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn device_bind(&self, token: &Redacted<String>) -> Result<Binding, ApiError> {
        let body = serde_json::json!({ "token": token.expose() });
        self.post("/v1/device/bind", Auth::Key, &body).await
    }

    /// A device that was reset ends its binding.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn device_reset(&self, binding_epoch: u64) -> Result<(), ApiError> {
        let body = serde_json::json!({ "binding_epoch": binding_epoch });
        self.send(Method::POST, "/v1/device/reset", Auth::Key, Some(&body)).await?;
        Ok(())
    }

    /// A device tells what it is made of.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn put_hardware(
        &self,
        binding_epoch: u64,
        hardware: &HardwareInfo,
    ) -> Result<(), ApiError> {
        let body = serde_json::json!({ "binding_epoch": binding_epoch, "hardware": hardware });
        self.send(Method::PUT, "/v1/device/hardware", Auth::Key, Some(&body)).await?;
        Ok(())
    }

    /// A grant with which this terminal previews a camera within its own network.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn lan_grant(
        &self,
        access: &Redacted<String>,
        serial: &str,
        channel: u16,
    ) -> Result<LanGrantText, ApiError> {
        let path = format!("/v1/lan-grants/{serial}/{channel}");
        decode(&self.send(Method::POST, &path, Auth::Access(access), NOTHING).await?)
    }
}
