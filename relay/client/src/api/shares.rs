//! Shares: an owner's invitations and guests, and a guest's side of them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use sightline_grant::Redacted;

use super::terminals::OpenedIntroduction;
use super::types::{Items, redacted};
use super::{Api, ApiError, Auth, NOTHING, decode};

/// What is shared, and when.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ShareTerms {
    /// Of `view`, `playback`, `download`, `talk`, `ptz` and `events`.
    pub scopes: Vec<String>,
    /// Channels; `None`: all.
    #[serde(default)]
    pub channels: Option<Vec<u16>>,
    /// Weekly hours, as the server's API describes them; `None`: at all hours.
    #[serde(default)]
    pub schedule: Option<serde_json::Value>,
    /// Unix seconds; `None`: without an end.
    #[serde(default)]
    pub ends_at: Option<u64>,
}

/// An invitation that was made.
#[derive(Clone, Debug, Deserialize)]
pub struct Invitation {
    /// The share that it becomes.
    pub id: String,
    /// What the guest opens, once.
    #[serde(deserialize_with = "redacted")]
    pub code: Redacted<String>,
    /// Unix seconds.
    pub expires_at: u64,
}

/// A share or an open invitation, as its owner sees it.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct OwnersShare {
    /// Id.
    pub id: String,
    /// What the owner calls the guest.
    #[serde(default)]
    pub label: String,
    /// `invited` or `accepted`.
    pub state: String,
    /// What is shared.
    #[serde(flatten)]
    pub terms: ShareTerms,
    /// The guest's account, once there is one: what stands on viewer lists.
    #[serde(default)]
    pub guest_account: Option<String>,
    /// Code of the guest's introduction, while the guest waits.
    #[serde(default)]
    pub introduction: Option<String>,
}

/// A device that is shared with the account.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct GuestsShare {
    /// Id.
    pub id: String,
    /// Serial of the device.
    pub serial: String,
    /// What is shared.
    #[serde(flatten)]
    pub terms: ShareTerms,
}

/// A text that people agree to.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Attestation {
    /// Version of the text.
    pub version: u32,
    /// In the languages of the server.
    pub text: AttestationText,
}

/// See [`Attestation`].
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct AttestationText {
    /// English.
    pub en: String,
    /// Chinese.
    pub zh: String,
}

/// What an invitation offers.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Offer {
    /// Serial of the device.
    pub serial: String,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// What is shared.
    #[serde(flatten)]
    pub terms: ShareTerms,
    /// What the guest is asked to agree to.
    pub attestation: Attestation,
}

/// Shares of a device.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct OwnersShares {
    /// Oldest first.
    pub items: Vec<OwnersShare>,
    /// What the owner is asked to agree to when inviting.
    pub attestation: Attestation,
}

#[derive(Serialize)]
struct Invite<'a> {
    #[serde(flatten)]
    terms: &'a ShareTerms,
    label: &'a str,
    attestation: u32,
}

#[derive(Serialize)]
struct Accept<'a> {
    code: &'a str,
    consent: u32,
    attestation: u32,
}

impl Api {
    /// Shares of a device of the account.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn shares_of(
        &self,
        access: &Redacted<String>,
        serial: &str,
    ) -> Result<OwnersShares, ApiError> {
        self.get(&format!("/v1/devices/{serial}/shares"), Auth::Access(access)).await
    }

    /// Invites somebody. `attestation`: version of the text that the owner agreed to.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn invite(
        &self,
        access: &Redacted<String>,
        serial: &str,
        terms: &ShareTerms,
        label: &str,
        attestation: u32,
    ) -> Result<Invitation, ApiError> {
        let path = format!("/v1/devices/{serial}/shares");
        self.post(&path, Auth::Access(access), &Invite { terms, label, attestation }).await
    }

    /// Changes what a share gives.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn change_share(
        &self,
        access: &Redacted<String>,
        serial: &str,
        id: &str,
        terms: &ShareTerms,
    ) -> Result<OwnersShare, ApiError> {
        let path = format!("/v1/devices/{serial}/shares/{id}");
        decode(&self.send(Method::PATCH, &path, Auth::Access(access), Some(terms)).await?)
    }

    /// Ends a share of a device of the account, or withdraws an invitation.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn revoke_share(
        &self,
        access: &Redacted<String>,
        serial: &str,
        id: &str,
    ) -> Result<(), ApiError> {
        let path = format!("/v1/devices/{serial}/shares/{id}");
        self.send(Method::DELETE, &path, Auth::Access(access), NOTHING).await?;
        Ok(())
    }

    /// What an invitation offers.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn invitation(
        &self,
        access: &Redacted<String>,
        code: &Redacted<String>,
    ) -> Result<Offer, ApiError> {
        let body = serde_json::json!({ "code": code.expose() });
        self.post("/v1/shares/invitation", Auth::Access(access), &body).await
    }

    /// Accepts an invitation. `consent`: version of the purpose `device.shared`; `attestation`: version
    /// of the text that the offer showed.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn accept_share(
        &self,
        access: &Redacted<String>,
        code: &Redacted<String>,
        consent: u32,
        attestation: u32,
    ) -> Result<GuestsShare, ApiError> {
        let body = Accept { code: code.expose(), consent, attestation };
        self.post("/v1/shares/accept", Auth::Access(access), &body).await
    }

    /// What is shared with the account.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn shares(&self, access: &Redacted<String>) -> Result<Vec<GuestsShare>, ApiError> {
        let page: Items<GuestsShare> = self.get("/v1/shares", Auth::Access(access)).await?;
        Ok(page.items)
    }

    /// The guest gives a share up.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn leave_share(&self, access: &Redacted<String>, id: &str) -> Result<(), ApiError> {
        let path = format!("/v1/shares/{id}");
        self.send(Method::DELETE, &path, Auth::Access(access), NOTHING).await?;
        Ok(())
    }

    /// Opens the introduction that belongs to a share of the account, with the guest's first message.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn open_share_introduction(
        &self,
        access: &Redacted<String>,
        id: &str,
        commitment: &[u8; 32],
    ) -> Result<OpenedIntroduction, ApiError> {
        let path = format!("/v1/shares/{id}/introduction");
        let body = serde_json::json!({ "commitment": B64.encode(commitment) });
        self.post(&path, Auth::Access(access), &body).await
    }
}
