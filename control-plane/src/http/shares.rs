//! `GET|POST /v1/devices/{serial}/shares` and `PATCH|DELETE .../{id}`: an owner's guests.
//! `GET /v1/shares`, `DELETE /v1/shares/{id}`, `POST /v1/shares/invitation|accept` and
//! `POST /v1/shares/{id}/introduction`: a guest's side.

mod problems;
mod types;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use sightline_grant::Redacted;
use sightline_operation::{Created, NoContent, Refused, Rule, Table, refused};

use super::body::{Body, bytes};
use super::introductions::{IntroductionOpened, NewIntroduction};
use super::page::{Page, Paging};
use super::problem::Problem;
use super::proof::{FullLogin, LoggedIn};
use crate::ControlPlane;
use crate::error::Inner;
use crate::ids::ShareId;
use crate::introduction::IntroductionError;
use crate::share::ShareWish;
use crate::share::accept::{AcceptError, AcceptRequest};
use crate::share::attestation;
use crate::share::invite::{InviteError, InviteRequest};
use crate::share::scopes::ShareScopes;
use crate::storage::model::{ShareChange, ShareTerms};
pub(super) use types::GuestsShareJson;
use types::{
    AcceptedInvitation, ChangedShare, InvitationCode, InvitationJson, NewShare, OfferJson,
    OwnersShareJson, OwnersSharesJson,
};

const UNKNOWN: Refused = refused(404, "share-unknown", "No such share, or it has ended");

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
    paging: Paging,
) -> Result<Json<Page<GuestsShareJson>>, Problem> {
    let shares = control_plane.shares_as_guest(&session).await?.into_iter().map(|shared| {
        // Oldest first; ids make the order whole.
        let key = format!("{:020} {}", shared.share.accepted_at.unwrap_or(0), shared.share.id);
        (key, GuestsShareJson::from(shared))
    });
    Ok(Json(Page::of(shares, &paging)))
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
    FullLogin(session): FullLogin,
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
