//! The terminal with which a device was added: kept under `device.bind`, for
//! [`BIND_CLIENT_SECS`], encrypted, with the hardware fingerprint as a keyed hash only.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ControlPlane;
use crate::consent::DEVICE_BIND;
use crate::device_facts::FactError;
use crate::limits::{BIND_CLIENT_SECS, MAX_NAME_CHARS};
use crate::storage::model::{FactKind, Session};

/// What a client tells of itself when it adds a device.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BindClient {
    /// Kind of client, such as `browser`.
    pub client_type: String,
    /// Version of the client.
    pub client_version: String,
    /// Model of the terminal.
    pub model: Option<String>,
    /// Fingerprint of the terminal's hardware. Hashed under a key before it is kept.
    pub hardware_fingerprint: Option<String>,
    /// System and its version.
    pub os_version: Option<String>,
    /// Network operator.
    pub operator: Option<String>,
}

/// What is kept of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeptClient {
    /// Kind of client.
    pub client_type: String,
    /// Version of the client.
    pub client_version: String,
    /// Model of the terminal.
    pub model: Option<String>,
    /// Keyed hash of the hardware fingerprint, hex: tells two terminals of the account apart, and
    /// nothing else.
    pub hardware_hash: Option<String>,
    /// System and its version.
    pub os_version: Option<String>,
    /// Network operator.
    pub operator: Option<String>,
}

impl ControlPlane {
    /// What may be kept of a client that is about to add a device.
    ///
    /// # Errors
    /// [`FactError::ConsentRequired`] without consent, [`FactError::Bad`] when a value is too long.
    pub async fn bind_client(
        &self,
        session: &Session,
        client: BindClient,
    ) -> Result<KeptClient, FactError> {
        let optional = [&client.model, &client.os_version, &client.operator];
        let texts = [&client.client_type, &client.client_version].into_iter();
        let texts = texts.chain(optional.into_iter().flatten()).chain(&client.hardware_fingerprint);
        if texts.into_iter().any(|text| text.chars().count() > MAX_NAME_CHARS) {
            return Err(FactError::Bad("a fact about the client has more than 64 characters"));
        }
        self.need_consent(&session.account, &DEVICE_BIND).await?;
        // Under the account, so that a terminal is not known across accounts.
        let kind = format!("hardware-fingerprint/{}", session.account);
        let hash = |text: &String| hex(&self.vault().lookup(&kind, text));
        Ok(KeptClient {
            hardware_hash: client.hardware_fingerprint.as_ref().map(hash),
            client_type: client.client_type,
            client_version: client.client_version,
            model: client.model,
            os_version: client.os_version,
            operator: client.operator,
        })
    }

    /// Keeps it with the device that was added.
    ///
    /// # Errors
    /// See [`FactError`].
    pub async fn keep_bind_client(
        &self,
        session: &Session,
        serial: &str,
        client: &KeptClient,
    ) -> Result<(), FactError> {
        let device = self.own_device(&session.account, serial).await?.ok_or(FactError::NotBound)?;
        let until = Some(self.now() + BIND_CLIENT_SECS);
        self.keep_fact(&session.account, &device, FactKind::BindClient, client, until).await
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
