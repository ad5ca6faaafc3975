//! What is sent and answered about passkeys. Options have the names and the form that WebAuthn Level 3
//! gives them (`PublicKeyCredentialCreationOptionsJSON`, `PublicKeyCredentialRequestOptionsJSON`), so
//! that clients hand them on as they are. What comes back are bytes that are signed or parsed to the
//! last one; there is no member for anything else.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::sessions::ConsentGiven;
use crate::ids::PasskeyId;
use crate::limits::PASSKEY_CHALLENGE_SECS;
use crate::passkey::{ALGORITHMS, MyPasskey, PasskeyAsked, PasskeyWish};

/// Name of the service in browsers.
const SERVICE: &str = "Sightline";
/// The one kind of credential.
const PUBLIC_KEY: &str = "public-key";
/// How long a browser waits, milliseconds.
const TIMEOUT_MS: u64 = PASSKEY_CHALLENGE_SECS * 1000;

/// The name of this server.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct PasskeyParty {
    /// Name that passkeys belong to; null: there are none here.
    pub(super) rp_id: Option<String>,
}

/// A passkey of the account.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct PasskeyJson {
    id: PasskeyId,
    name: String,
    /// Unix seconds.
    created_at: u64,
    /// Latest login, Unix seconds.
    used_at: Option<u64>,
}

impl From<MyPasskey> for PasskeyJson {
    fn from(passkey: MyPasskey) -> Self {
        let MyPasskey { id, name, created_at, used_at } = passkey;
        Self { id, name, created_at, used_at }
    }
}

/// A passkey that was added.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct PasskeyMade {
    pub(super) id: PasskeyId,
}

/// Another name.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct PasskeyNamed {
    /// 1 to 64 characters.
    pub(super) name: String,
}

/// A passkey that was made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct NewPasskey {
    /// 1 to 64 characters.
    pub(super) name: String,
    /// `clientDataJSON` of the response, base64url.
    #[schema(max_length = 2731)]
    pub(super) client_data_json: String,
    /// Authenticator data of the response, base64url: hash of the name, flags, counter, credential id
    /// and public key. Where there is an attestation object only, it is its member `authData`.
    #[schema(max_length = 2731)]
    pub(super) authenticator_data: String,
}

/// A login by passkey.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct NewPasskeySession {
    /// Id of the credential, base64url.
    #[schema(max_length = 1364)]
    pub(super) credential_id: String,
    /// `clientDataJSON` of the response, base64url.
    #[schema(max_length = 2731)]
    pub(super) client_data_json: String,
    /// Authenticator data of the response, base64url: hash of the name, flags and counter.
    #[schema(max_length = 2731)]
    pub(super) authenticator_data: String,
    /// Signature over both, base64url.
    #[schema(max_length = 683)]
    pub(super) signature: String,
    /// The account as the authenticator knows it, base64url.
    #[schema(max_length = 43)]
    pub(super) user_handle: String,
    pub(super) terminal_name: String,
    pub(super) client_type: String,
    #[serde(default)]
    pub(super) consents: Vec<ConsentGiven>,
}

/// Options for `navigator.credentials.get`.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct PasskeyRequest {
    /// To be signed, base64url; good once, for the terminal that asked.
    challenge: String,
    rp_id: String,
    /// Milliseconds.
    timeout: u64,
    user_verification: &'static str,
}

impl PasskeyRequest {
    pub(super) fn new(asked: PasskeyAsked) -> Self {
        Self {
            challenge: asked.challenge,
            rp_id: asked.party.id().to_owned(),
            timeout: TIMEOUT_MS,
            user_verification: "required",
        }
    }
}

/// Options for `navigator.credentials.create`.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct PasskeyCreation {
    rp: PasskeyRp,
    user: PasskeyUser,
    /// To be signed, base64url; good once, for the terminal that asked.
    challenge: String,
    pub_key_cred_params: Vec<PasskeyAlgorithm>,
    /// Milliseconds.
    timeout: u64,
    exclude_credentials: Vec<PasskeyDescriptor>,
    authenticator_selection: PasskeySelection,
    attestation: &'static str,
}

#[derive(Serialize, ToSchema)]
struct PasskeyRp {
    id: String,
    name: &'static str,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PasskeyUser {
    /// The account as authenticators know it, base64url; no other service can tell whose it is.
    id: String,
    /// First and last digits or signs of a number or address of the account.
    name: String,
    display_name: String,
}

#[derive(Serialize, ToSchema)]
struct PasskeyAlgorithm {
    #[serde(rename = "type")]
    kind: &'static str,
    /// Of COSE.
    alg: i32,
}

#[derive(Serialize, ToSchema)]
struct PasskeyDescriptor {
    #[serde(rename = "type")]
    kind: &'static str,
    /// base64url.
    id: String,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PasskeySelection {
    resident_key: &'static str,
    require_resident_key: bool,
    user_verification: &'static str,
}

impl PasskeyCreation {
    pub(super) fn new(wish: PasskeyWish) -> Self {
        let algorithm = |alg| PasskeyAlgorithm { kind: PUBLIC_KEY, alg };
        let descriptor = |id| PasskeyDescriptor { kind: PUBLIC_KEY, id };
        Self {
            rp: PasskeyRp { id: wish.party.id().to_owned(), name: SERVICE },
            user: PasskeyUser {
                id: wish.user,
                name: wish.user_name.clone(),
                display_name: wish.user_name,
            },
            challenge: wish.challenge,
            pub_key_cred_params: ALGORITHMS.into_iter().map(algorithm).collect(),
            timeout: TIMEOUT_MS,
            exclude_credentials: wish.known.into_iter().map(descriptor).collect(),
            authenticator_selection: PasskeySelection {
                resident_key: "required",
                require_resident_key: true,
                user_verification: "required",
            },
            attestation: "none",
        }
    }
}
