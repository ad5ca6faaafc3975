//! What is sent and answered about shares.

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::http::page::Text;
use crate::ids::{AccountId, Serial, ShareId};
use crate::share::attestation::AttestationText;
use crate::share::schedule::Schedule;
use crate::share::scopes::ShareScope;
use crate::share::{GuestsShare, OwnersShare};
use crate::storage::model::ShareTerms;

/// What is shared, and when.
#[derive(Clone, Serialize, ToSchema)]
pub(in super::super) struct ShareTermsJson {
    /// What the guest may do.
    pub(super) scopes: Vec<ShareScope>,
    /// On which channels; null: on all.
    pub(super) channels: Option<Vec<u16>>,
    /// At which hours; null: at all.
    pub(super) schedule: Option<Schedule>,
    /// Unix seconds; null: until its owner ends it.
    pub(super) ends_at: Option<u64>,
}

/// A text that people agree to, by its version.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct ShareAttestationJson {
    pub(super) version: u32,
    pub(super) text: Text,
}

/// Whether somebody has accepted.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in super::super) enum ShareState {
    Invited,
    Accepted,
}

/// A share or an open invitation, as the device's owner sees it.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct OwnersShareJson {
    pub(super) id: ShareId,
    pub(super) state: ShareState,
    /// What the owner calls the guest.
    pub(super) label: String,
    #[serde(flatten)]
    pub(super) terms: ShareTermsJson,
    /// The guest's account, as it stands on viewer lists.
    pub(super) guest_account: Option<AccountId>,
    /// First and last digits of the guest's number.
    pub(super) guest_phone_masked: Option<String>,
    /// Unix seconds.
    pub(super) created_at: u64,
    /// Unix seconds.
    pub(super) accepted_at: Option<u64>,
    /// When an open invitation ends, Unix seconds.
    pub(super) invite_expires_at: Option<u64>,
    /// Code of the guest's introduction, while the guest waits for it to be answered.
    pub(super) introduction: Option<String>,
}

/// The owner's guests.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct OwnersSharesJson {
    pub(super) items: Vec<OwnersShareJson>,
    /// What the owner agrees to when inviting.
    pub(super) attestation: ShareAttestationJson,
}

/// A device that is shared with the account.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct GuestsShareJson {
    pub(super) id: ShareId,
    pub(super) serial: Serial,
    pub(super) name: String,
    #[serde(flatten)]
    pub(super) terms: ShareTermsJson,
    /// Unix seconds.
    pub(super) accepted_at: Option<u64>,
}

/// What an invitation offers.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct OfferJson {
    pub(super) serial: Serial,
    pub(super) name: String,
    pub(super) model: String,
    #[serde(flatten)]
    pub(super) terms: ShareTermsJson,
    /// When the invitation ends, Unix seconds.
    pub(super) expires_at: u64,
    /// What the guest agrees to when accepting.
    pub(super) attestation: ShareAttestationJson,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct NewShare {
    pub(super) scopes: Vec<ShareScope>,
    #[serde(default)]
    pub(super) channels: Option<Vec<u16>>,
    #[serde(default)]
    pub(super) schedule: Option<Schedule>,
    /// Unix seconds.
    #[serde(default)]
    pub(super) ends_at: Option<u64>,
    /// What the owner calls the guest; encrypted for the owner.
    #[serde(default)]
    pub(super) label: String,
    /// Version of the text about the persons filmed that the owner agrees to.
    pub(super) attestation: Option<u32>,
}

#[derive(Serialize, ToSchema)]
pub(in super::super) struct InvitationJson {
    /// The share that it becomes.
    pub(super) id: ShareId,
    /// What the guest opens, once; shown here and nowhere else.
    pub(super) code: String,
    /// Unix seconds.
    pub(super) expires_at: u64,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct ChangedShare {
    #[serde(default)]
    pub(super) scopes: Option<Vec<ShareScope>>,
    /// Null shares all.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Vec<u16>>)]
    pub(super) channels: Option<Option<Vec<u16>>>,
    /// Null opens it at all hours.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Schedule>)]
    pub(super) schedule: Option<Option<Schedule>>,
    /// Null takes its end away.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u64>)]
    pub(super) ends_at: Option<Option<u64>>,
    #[serde(default)]
    pub(super) label: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct InvitationCode {
    pub(super) code: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct AcceptedInvitation {
    pub(super) code: String,
    /// Version of the purpose `device.shared` that the guest consents to.
    pub(super) consent: Option<u32>,
    /// Version of the text that the offer showed, which the guest agrees to.
    pub(super) attestation: Option<u32>,
}

/// A member that is there, null or not.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

impl From<ShareTerms> for ShareTermsJson {
    fn from(terms: ShareTerms) -> Self {
        Self {
            scopes: terms.scopes.list(),
            channels: terms.channels,
            schedule: terms.schedule,
            ends_at: terms.ends_at,
        }
    }
}

impl From<AttestationText> for ShareAttestationJson {
    fn from(text: AttestationText) -> Self {
        Self { version: text.version, text: Text { en: text.en, zh: text.zh } }
    }
}

impl From<OwnersShare> for OwnersShareJson {
    fn from(seen: OwnersShare) -> Self {
        let OwnersShare { share, label, guest_phone_masked, introduction } = seen;
        let invited = share.guest.is_none();
        Self {
            id: share.id,
            state: if invited { ShareState::Invited } else { ShareState::Accepted },
            label,
            terms: share.terms.into(),
            guest_account: share.guest,
            guest_phone_masked,
            created_at: share.created_at,
            accepted_at: share.accepted_at,
            invite_expires_at: invited.then_some(share.invite_expires),
            introduction,
        }
    }
}

impl From<GuestsShare> for GuestsShareJson {
    fn from(seen: GuestsShare) -> Self {
        Self {
            id: seen.share.id,
            serial: seen.share.serial,
            name: seen.device.device.name,
            terms: seen.share.terms.into(),
            accepted_at: seen.share.accepted_at,
        }
    }
}
