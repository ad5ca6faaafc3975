//! `GET|POST /v1/devices/{serial}/shares` and `PATCH|DELETE .../{id}`: an owner's guests.
//! `GET /v1/shares`, `DELETE /v1/shares/{id}`, `POST /v1/shares/invitation|accept` and
//! `POST /v1/shares/{id}/introduction`: a guest's side.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Deserializer, Serialize};
use sightline_grant::Redacted;
use sightline_operation::{Created, NoContent, Refusals, Refused, Rule, Table, refused};
use utoipa::ToSchema;

use super::body::{Body, bytes};
use super::introductions::{IntroductionOpened, NewIntroduction};
use super::page::{Page, Text};
use super::problem::Problem;
use super::proof::LoggedIn;
use crate::ControlPlane;
use crate::error::Inner;
use crate::ids::{AccountId, Serial, ShareId};
use crate::introduction::IntroductionError;
use crate::share::accept::{AcceptError, AcceptRequest};
use crate::share::attestation::{self, AttestationText};
use crate::share::invite::{InviteError, InviteRequest};
use crate::share::schedule::Schedule;
use crate::share::scopes::{ShareScope, ShareScopes};
use crate::share::{GuestsShare, OwnersShare, ShareWish};
use crate::storage::model::{ShareChange, ShareTerms};

const NOT_BOUND: Refused =
    refused(404, "device-not-bound", "No such device on this account, or none at all");
const UNKNOWN: Refused = refused(404, "share-unknown", "No such share, or it has ended");
const LIMITED: Refused =
    refused(429, "rate-limited", "Too many requests or tries; wait as Retry-After says");

pub(super) fn operations(table: &mut Table<ControlPlane>) {
    const OF_DEVICE: &str = "/v1/devices/{serial}/shares";
    const ONE: &str = "/v1/devices/{serial}/shares/{id}";
    let about = ("account", "Shares and open invitations of a device, oldest first");
    table.get(OF_DEVICE, Rule::Owner, about, list).may::<InviteError>();
    let about = ("account", "Make an invitation to share a device; its code is shown once");
    table.post(OF_DEVICE, Rule::Owner, about, invite).may::<InviteError>();
    let about = ("account", "Change a share; what is left out stays as it is");
    table.patch(ONE, Rule::Owner, about, change).may::<InviteError>();
    let about = ("account", "End a share at once, or withdraw an invitation");
    table.delete(ONE, Rule::Owner, about, revoke).may::<Inner>().refuses(&[UNKNOWN]);
    let about = ("device.shared", "What is shared with the account, oldest first");
    table.get("/v1/shares", Rule::Login, about, mine).may::<Inner>();
    let about = ("device.shared", "Give a share up");
    let leaving = table.delete("/v1/shares/{id}", Rule::Login, about, leave);
    leaving.may::<Inner>().refuses(&[UNKNOWN]);
    let about = ("device.shared", "What an invitation offers");
    table.post("/v1/shares/invitation", Rule::Login, about, offer).may::<AcceptError>();
    let about = ("device.shared", "Accept an invitation");
    table.post("/v1/shares/accept", Rule::Login, about, accept).may::<AcceptError>();
    let about = ("device.shared", "Open the introduction that a share's owner looks for");
    table.post("/v1/shares/{id}/introduction", Rule::Login, about, meet).may::<IntroductionError>();
}

/// What is shared, and when.
#[derive(Clone, Serialize, ToSchema)]
pub(super) struct ShareTermsJson {
    /// What the guest may do.
    scopes: Vec<ShareScope>,
    /// On which channels; null: on all.
    channels: Option<Vec<u16>>,
    /// At which hours; null: at all.
    schedule: Option<Schedule>,
    /// Unix seconds; null: until its owner ends it.
    ends_at: Option<u64>,
}

/// A text that people agree to, by its version.
#[derive(Serialize, ToSchema)]
pub(super) struct AttestationJson {
    version: u32,
    text: Text,
}

/// Whether somebody has accepted.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ShareState {
    Invited,
    Accepted,
}

/// A share or an open invitation, as the device's owner sees it.
#[derive(Serialize, ToSchema)]
pub(super) struct OwnersShareJson {
    id: ShareId,
    state: ShareState,
    /// What the owner calls the guest.
    label: String,
    #[serde(flatten)]
    terms: ShareTermsJson,
    /// The guest's account, as it stands on viewer lists.
    guest_account: Option<AccountId>,
    /// First and last digits of the guest's number.
    guest_phone_masked: Option<String>,
    /// Unix seconds.
    created_at: u64,
    /// Unix seconds.
    accepted_at: Option<u64>,
    /// When an open invitation ends, Unix seconds.
    invite_expires_at: Option<u64>,
    /// Code of the guest's introduction, while the guest waits for it to be answered.
    introduction: Option<String>,
}

/// The owner's guests.
#[derive(Serialize, ToSchema)]
pub(super) struct OwnersSharesJson {
    items: Vec<OwnersShareJson>,
    /// What the owner agrees to when inviting.
    attestation: AttestationJson,
}

/// A device that is shared with the account.
#[derive(Serialize, ToSchema)]
pub(super) struct GuestsShareJson {
    id: ShareId,
    serial: Serial,
    name: String,
    #[serde(flatten)]
    terms: ShareTermsJson,
    /// Unix seconds.
    accepted_at: Option<u64>,
}

/// What an invitation offers.
#[derive(Serialize, ToSchema)]
pub(super) struct OfferJson {
    serial: Serial,
    name: String,
    model: String,
    #[serde(flatten)]
    terms: ShareTermsJson,
    /// When the invitation ends, Unix seconds.
    expires_at: u64,
    /// What the guest agrees to when accepting.
    attestation: AttestationJson,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewShare {
    scopes: Vec<ShareScope>,
    #[serde(default)]
    channels: Option<Vec<u16>>,
    #[serde(default)]
    schedule: Option<Schedule>,
    /// Unix seconds.
    #[serde(default)]
    ends_at: Option<u64>,
    /// What the owner calls the guest; encrypted for the owner.
    #[serde(default)]
    label: String,
    /// Version of the text about the persons filmed that the owner agrees to.
    attestation: Option<u32>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct InvitationJson {
    /// The share that it becomes.
    id: ShareId,
    /// What the guest opens, once; shown here and nowhere else.
    code: String,
    /// Unix seconds.
    expires_at: u64,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangedShare {
    #[serde(default)]
    scopes: Option<Vec<ShareScope>>,
    /// Null shares all.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Vec<u16>>)]
    channels: Option<Option<Vec<u16>>>,
    /// Null opens it at all hours.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Schedule>)]
    schedule: Option<Option<Schedule>>,
    /// Null takes its end away.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u64>)]
    ends_at: Option<Option<u64>>,
    #[serde(default)]
    label: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct InvitationCode {
    code: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AcceptedInvitation {
    code: String,
    /// Version of the purpose `device.shared` that the guest consents to.
    consent: Option<u32>,
    /// Version of the text that the offer showed, which the guest agrees to.
    attestation: Option<u32>,
}

/// A member that is there, null or not.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

/// Shares of a device of the account.
pub(super) async fn list(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Path(serial): Path<String>,
) -> Result<Json<OwnersSharesJson>, Problem> {
    let shares = control_plane.shares_of_device(&session, &serial).await?;
    let items = shares.into_iter().map(OwnersShareJson::from).collect();
    Ok(Json(OwnersSharesJson { items, attestation: attestation::OWNER.into() }))
}

/// Invites somebody.
pub(super) async fn invite(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Path(serial): Path<String>,
    Body(body): Body<NewShare>,
) -> Result<Created<InvitationJson>, Problem> {
    let terms = ShareTerms {
        scopes: ShareScopes::of(&body.scopes),
        channels: body.channels,
        schedule: body.schedule,
        ends_at: body.ends_at,
    };
    let request = InviteRequest { serial, terms, label: body.label, attested: body.attestation };
    let made = control_plane.invite_guest(&session, &request).await?;
    let code = made.code.expose().clone();
    Ok(Created(InvitationJson { id: made.id, code, expires_at: made.expires_at }))
}

/// Changes a share.
pub(super) async fn change(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Path((serial, id)): Path<(String, String)>,
    Body(body): Body<ChangedShare>,
) -> Result<Json<OwnersShareJson>, Problem> {
    let change = ShareChange {
        scopes: body.scopes.map(|scopes| ShareScopes::of(&scopes)),
        channels: body.channels,
        schedule: body.schedule,
        ends_at: body.ends_at,
        label_enc: None,
    };
    let wish = ShareWish { change, label: body.label };
    Ok(Json(control_plane.change_share(&session, &serial, &ShareId(id), &wish).await?.into()))
}

/// Ends a share.
pub(super) async fn revoke(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Path((serial, id)): Path<(String, String)>,
) -> Result<NoContent, Problem> {
    ended(control_plane.revoke_share(&session, &serial, &ShareId(id)).await?)
}

/// What is shared with the account.
pub(super) async fn mine(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
) -> Result<Json<Page<GuestsShareJson>>, Problem> {
    let shares = control_plane.shares_as_guest(&session).await?;
    Ok(Json(shares.into_iter().map(GuestsShareJson::from).collect()))
}

/// Gives a share up.
pub(super) async fn leave(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Path(id): Path<String>,
) -> Result<NoContent, Problem> {
    ended(control_plane.leave_share(&session, &ShareId(id)).await?)
}

/// Shows what an invitation offers.
pub(super) async fn offer(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Body(body): Body<InvitationCode>,
) -> Result<Json<OfferJson>, Problem> {
    let offered = control_plane.invitation(&session, &Redacted::new(body.code)).await?;
    Ok(Json(OfferJson {
        serial: offered.share.serial,
        name: offered.device.device.name,
        model: offered.device.device.model,
        terms: offered.share.terms.into(),
        expires_at: offered.share.invite_expires,
        attestation: attestation::GUEST.into(),
    }))
}

/// Accepts an invitation.
pub(super) async fn accept(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Body(body): Body<AcceptedInvitation>,
) -> Result<Created<GuestsShareJson>, Problem> {
    let request = AcceptRequest {
        code: Redacted::new(body.code),
        consent: body.consent,
        attested: body.attestation,
    };
    Ok(Created(control_plane.accept_invitation(&session, &request).await?.into()))
}

/// Opens the introduction that belongs to a share.
pub(super) async fn meet(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Path(id): Path<String>,
    Body(body): Body<NewIntroduction>,
) -> Result<Created<IntroductionOpened>, Problem> {
    let commitment = bytes(&body.commitment)?;
    let opened = control_plane.open_share_introduction(&session, &ShareId(id), &commitment).await?;
    Ok(Created(opened.into()))
}

fn ended(was_there: bool) -> Result<NoContent, Problem> {
    let detail = "there is no such share; it may have ended";
    let unknown = || Problem::new(StatusCode::NOT_FOUND, "share-unknown", detail);
    was_there.then_some(NoContent).ok_or_else(unknown)
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

impl From<AttestationText> for AttestationJson {
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

impl From<InviteError> for Problem {
    fn from(error: InviteError) -> Self {
        let (status, name) = match error {
            InviteError::NotBound => (StatusCode::NOT_FOUND, "device-not-bound"),
            InviteError::Unknown => (StatusCode::NOT_FOUND, "share-unknown"),
            InviteError::NoScopes
            | InviteError::Channels
            | InviteError::End
            | InviteError::Schedule(_)
            | InviteError::Label => (StatusCode::UNPROCESSABLE_ENTITY, "share-invalid"),
            InviteError::AttestationRequired => (StatusCode::FORBIDDEN, "attestation-required"),
            InviteError::Full => (StatusCode::CONFLICT, "shares-full"),
            InviteError::Limited(wait) => return Self::limited(wait.0, error),
            InviteError::Inner(inner) => return inner.into(),
        };
        Self::new(status, name, error)
    }
}

impl Refusals for InviteError {
    fn refusals() -> Vec<Refused> {
        let own = [
            NOT_BOUND,
            UNKNOWN,
            refused(422, "share-invalid", "The terms of the share do not hold; see the detail"),
            ATTESTATION,
            FULL,
            LIMITED,
        ];
        own.into_iter().chain(Inner::refusals()).collect()
    }
}

impl From<AcceptError> for Problem {
    fn from(error: AcceptError) -> Self {
        let (status, name) = match error {
            AcceptError::Unknown => (StatusCode::NOT_FOUND, "invitation-unknown"),
            AcceptError::OwnDevice => (StatusCode::CONFLICT, "invitation-own"),
            AcceptError::Already => (StatusCode::CONFLICT, "already-shared"),
            AcceptError::Full => (StatusCode::CONFLICT, "shares-full"),
            AcceptError::ConsentRequired => (StatusCode::FORBIDDEN, "consent-required"),
            AcceptError::AttestationRequired => (StatusCode::FORBIDDEN, "attestation-required"),
            AcceptError::Limited(wait) => return Self::limited(wait.0, error),
            AcceptError::Inner(inner) => return inner.into(),
        };
        Self::new(status, name, error)
    }
}

const ATTESTATION: Refused =
    refused(403, "attestation-required", "Agree to the text about the persons filmed first");
const FULL: Refused = refused(409, "shares-full", "As many shares as there can be; end one first");

impl Refusals for AcceptError {
    fn refusals() -> Vec<Refused> {
        let own = [
            refused(404, "invitation-unknown", "The invitation does not hold, or no longer"),
            refused(409, "invitation-own", "The invited owns the device"),
            refused(409, "already-shared", "The device is shared with the account already"),
            refused(403, "consent-required", "Consent to the purpose first"),
            ATTESTATION,
            FULL,
            LIMITED,
        ];
        own.into_iter().chain(Inner::refusals()).collect()
    }
}
