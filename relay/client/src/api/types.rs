//! Bodies of requests and answers.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};
use sightline_grant::Redacted;

use crate::work::Work;

/// A refusal (RFC 9457).
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Problem {
    /// `/problems/<name>`.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// Short text.
    #[serde(default)]
    pub title: String,
    /// HTTP status.
    #[serde(default)]
    pub status: u16,
    /// Longer text.
    #[serde(default)]
    pub detail: String,
    /// Of `consent-required`: the purpose to agree to.
    pub purpose: Option<String>,
    /// Retry-After (RFC 9110, 10.2.3): how long to wait before the request is made again.
    #[serde(skip)]
    pub retry_after: Option<Duration>,
}

/// A list.
#[derive(Deserialize)]
pub(super) struct Items<T> {
    pub(super) items: Vec<T>,
    /// Cursor of the next page.
    pub(super) next: Option<String>,
}

/// `GET /v1/server`.
#[derive(Clone, Debug, Deserialize)]
pub struct ServerInfo {
    /// Name that key challenges are bound to.
    pub server_name: String,
    /// SHA-256 of the CA certificate, hex.
    #[serde(default)]
    pub ca_sha256: String,
    /// Ports by name.
    #[serde(default)]
    pub ports: BTreeMap<String, u16>,
    /// SHA-256 of the certificates of WebTransport, base64url: the one in use and the next one.
    #[serde(default)]
    pub webtransport_hashes: Vec<String>,
    /// Key that verifies the server's LAN grants, base64url; a camera keeps it.
    #[serde(default)]
    pub grant_key: Option<String>,
    /// A development server: codes go to the operator's terminal.
    #[serde(default)]
    pub development: bool,
}

/// What a one-time code is for.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "purpose", rename_all = "snake_case")]
pub enum OtpRequest {
    /// Signing in with a phone number.
    Login {
        /// E.164.
        #[serde(serialize_with = "exposed")]
        target: Redacted<String>,
    },
    /// Watching a device.
    View {
        /// Serial.
        serial: String,
    },
}

/// A code is on its way.
#[derive(Clone, Debug, Deserialize)]
pub struct OtpChallenge {
    /// Names the challenge.
    pub challenge_id: String,
    /// Seconds until another may be asked for.
    pub resend_after: u64,
    /// Work to do before the wish is looked at.
    #[serde(default)]
    pub work: Option<Work>,
}

/// Body of a sign-in.
#[derive(Clone, Debug, Serialize)]
pub struct SignIn {
    /// Challenge.
    pub challenge_id: String,
    /// Code.
    #[serde(serialize_with = "exposed")]
    pub code: Redacted<String>,
    /// Name of this terminal.
    pub terminal_name: String,
    /// Kind of client, such as `native`.
    pub client_type: String,
    /// Purposes agreed to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub consents: Vec<ConsentGiven>,
}

/// What a login may look at.
#[derive(Deserialize)]
pub(super) struct BasicMode {
    /// `basic` or `full`.
    pub(super) mode: String,
}

/// A consent given at sign-in.
#[derive(Clone, Debug, Serialize)]
pub struct ConsentGiven {
    /// Such as `media.view`.
    pub purpose: String,
    /// Version of the text.
    pub version: u32,
}

impl From<&Purpose> for ConsentGiven {
    fn from(purpose: &Purpose) -> Self {
        Self { purpose: purpose.id.clone(), version: purpose.version }
    }
}

/// New tokens.
#[derive(Clone, Debug, Deserialize)]
pub struct Tokens {
    /// Presented as `DPoP`.
    #[serde(deserialize_with = "redacted")]
    pub access_token: Redacted<String>,
    /// Seconds.
    pub expires_in: u64,
    /// For the next refresh, once.
    #[serde(deserialize_with = "redacted")]
    pub refresh_token: Redacted<String>,
}

/// A login.
#[derive(Clone, Debug, Deserialize)]
pub struct Login {
    /// Tokens.
    #[serde(flatten)]
    pub tokens: Tokens,
    /// The number was new.
    #[serde(default)]
    pub new_account: bool,
}

/// A consent was written down.
#[derive(Clone, Debug, Deserialize)]
pub struct ConsentReceipt {
    /// Its place in the chain.
    pub seq: u64,
}

/// What a consent may be given for.
#[derive(Clone, Debug, Deserialize)]
pub struct Purpose {
    /// Name.
    #[serde(alias = "purpose")]
    pub id: String,
    /// Version of the text.
    pub version: u32,
    /// What is agreed to, by language.
    #[serde(default)]
    pub text: BTreeMap<String, String>,
}

impl Purpose {
    /// The English text.
    pub fn text_en(&self) -> &str {
        self.text.get("en").map_or("", String::as_str)
    }
}

/// Body of a binding.
#[derive(Clone, Debug, Serialize)]
pub struct BindRequest {
    /// Device.
    pub serial: String,
    /// Printed verification code.
    #[serde(serialize_with = "exposed")]
    pub code: Redacted<String>,
    /// Open devices: challenge whose signature proves the publish credential.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub challenge_id: Option<String>,
    /// Open devices: base64url signature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

/// A binding.
#[derive(Clone, Debug, Deserialize)]
pub struct Binding {
    /// Device.
    pub serial: String,
    /// Rises with each binding.
    pub binding_epoch: u64,
}

/// A device of the account.
#[derive(Clone, Debug, Deserialize)]
pub struct Device {
    /// Serial.
    pub serial: String,
    /// Name.
    #[serde(default)]
    pub name: String,
    /// Sealed or open now.
    #[serde(default)]
    pub sealed: bool,
    /// base64url of its identity's public half, as the server says; it knows it from the first
    /// generation that the device signed.
    #[serde(default)]
    pub identity: Option<String>,
    /// It can seal, so that its owner's order decides.
    #[serde(default)]
    pub can_seal: bool,
    /// When its owner switched sealing off, Unix seconds; `None` while it is sealed.
    #[serde(default)]
    pub opened_at: Option<u64>,
    /// Rises with each binding.
    #[serde(default)]
    pub binding_epoch: u64,
    /// Rises with each key.
    #[serde(default)]
    pub key_epoch: u64,
    /// The device has stored its key verifier.
    #[serde(default)]
    pub key_ready: bool,
}

/// A challenge for the device key.
#[derive(Clone, Debug, Deserialize)]
pub struct KeyChallenge {
    /// Names the challenge.
    pub challenge_id: String,
    /// base64url of the bytes to sign.
    pub message: String,
    /// Unix seconds.
    pub expires_at: u64,
}

/// An SMS window.
#[derive(Clone, Debug, Deserialize)]
pub struct StepUp {
    /// Device.
    pub serial: String,
    /// Ends then without use, Unix seconds.
    pub idle_expires_at: u64,
    /// Ends then in any case, Unix seconds.
    pub expires_at: u64,
}

/// A media grant.
#[derive(Clone, Debug, Deserialize)]
pub struct MediaGrant {
    /// Presented as `Bearer`.
    #[serde(deserialize_with = "redacted")]
    pub grant: Redacted<String>,
    /// Last second, Unix.
    pub expires_at: u64,
}

/// A one-use RTSP login.
#[derive(Clone, Debug, Deserialize)]
pub struct RtspHandle {
    /// User name.
    pub user: String,
    /// Password.
    #[serde(deserialize_with = "redacted")]
    pub password: Redacted<String>,
    /// Path of the stream.
    pub path: String,
    /// Port of RTSP.
    pub rtsp_port: u16,
    /// Port of RTSP over TLS.
    pub rtsps_port: u16,
    /// Seconds.
    pub expires_in: u64,
}

/// A WHEP session.
#[derive(Clone, Debug)]
pub struct WhepAnswer {
    /// Path of the session. Whoever knows it may end the session.
    pub location: Redacted<String>,
    /// The answer.
    pub sdp: String,
}

/// A terminal that the account is signed in on.
#[derive(Clone, Debug, Deserialize)]
pub struct Terminal {
    /// Id.
    pub id: String,
    /// Name.
    #[serde(default)]
    pub name: String,
    /// The one that asks.
    #[serde(default)]
    pub current: bool,
}

/// What a device knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct DeviceKnown {
    /// Last binding epoch.
    pub binding_epoch: u64,
    /// Last key epoch.
    pub key_epoch: u64,
    /// Version of the viewer list that the server told last, whether the list was taken or refused:
    /// with another number the poll returns at once.
    pub list_version: u64,
    /// Number of the sealing order that the server told last, whether the order was taken or
    /// refused, 0 before the first. `None`: the poll does not return for orders.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enc_sequence: Option<u64>,
    /// The poll returns when the device is to tell what it is made of.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub tells_inventory: bool,
}

impl DeviceKnown {
    /// The same question, to be answered at once whatever the state is.
    pub(crate) fn asking_at_once(self) -> Self {
        // No list has this version.
        Self { list_version: u64::MAX, ..self }
    }

    /// Whether the device has nothing new to learn or to do: the long poll waits then.
    pub(crate) fn agrees_with(&self, state: &DeviceState) -> bool {
        (self.binding_epoch, self.key_epoch) == (state.binding_epoch, state.key_epoch)
            && self.list_version == state.list_version
            && self.enc_sequence.is_none_or(|known| known == state.enc_sequence)
            && !state.key_wanted
            && !(self.tells_inventory && state.inventory_wanted)
    }
}

/// What the server knows of a device.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct DeviceState {
    /// Bound to an account.
    pub bound: bool,
    /// Current binding epoch.
    pub binding_epoch: u64,
    /// Current key epoch.
    pub key_epoch: u64,
    /// A new secret and its verifier are awaited.
    pub key_wanted: bool,
    /// Version of the viewer list; 0 without one.
    #[serde(default)]
    pub list_version: u64,
    /// Number of the sealing order; 0 without one.
    #[serde(default)]
    pub enc_sequence: u64,
    /// The signed order, not checked. A camera obeys its signature, never the server.
    #[serde(default, deserialize_with = "super::mailbox::optional_bytes")]
    pub enc_order: Option<Vec<u8>>,
    /// Its owner agrees that it tells what it is made of, and it has not under this binding.
    #[serde(default)]
    pub inventory_wanted: bool,
}

/// Answer to a key verifier.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
pub struct KeyEpoch {
    /// New key epoch.
    pub key_epoch: u64,
}

pub(super) fn redacted<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Redacted<String>, D::Error> {
    String::deserialize(deserializer).map(Redacted::new)
}

fn exposed<S: serde::Serializer>(
    secret: &Redacted<String>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}
