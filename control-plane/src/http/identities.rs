//! `GET|POST /v1/me/identities`, `DELETE /v1/me/identities/{id}`, `POST /v1/me/identity-flows`,
//! `POST /v1/secure-windows/provider`

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use sightline_operation::{Created, NoContent, Refusals, Refused, Rule, Table, refused};
use utoipa::ToSchema;

use super::body::Body;
use super::identity_providers::{CameBack, FlowBegun};
use super::page::{Page, Paging};
use super::problem::Problem;
use super::proof::LoggedIn;
use super::secure_windows::Confirmed;
use crate::ControlPlane;
use crate::federation::flow::{FlowError, ProofError};
use crate::federation::identities::IdentityError;
use crate::secure::SecureError;
use crate::storage::model::{FlowPurpose, Identity};

pub(super) fn operations(table: &mut Table<ControlPlane>) {
    let path = "/v1/me/identities";
    let about = ("account", "Logins at identity providers that sign in to the account");
    table.get(path, Rule::OwnLogin, about, list);
    let about = ("account", "Bind what a browser came back with to the account");
    table.post(path, Rule::OwnLogin, about, bind).may::<IdentityError>();
    let about = ("account", "Unbind a login at an identity provider, which is told so");
    table.delete("/v1/me/identities/{id}", Rule::OwnLogin, about, unbind).may::<IdentityError>();
    let about = ("account", "Begin to bind, or to confirm who one is by an identity provider");
    table.post("/v1/me/identity-flows", Rule::OwnLogin, about, begin).may::<IdentityError>();
    let about = ("account", "Confirm who one is by an identity provider that has asked again");
    table
        .post("/v1/secure-windows/provider", Rule::OwnLogin, about, confirm)
        .may::<IdentityError>();
}

/// A login at an identity provider.
#[derive(Serialize, ToSchema)]
pub(super) struct IdentityJson {
    id: String,
    /// Id of the provider.
    provider: String,
    /// Unix seconds.
    bound_at: u64,
    /// When it last signed in or confirmed, Unix seconds.
    last_used: u64,
    /// It opens nothing until it is bound again, since the server was restored from a backup.
    suspended: bool,
}

/// What a way of a login leads to.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum FlowFor {
    /// A binding; needs the secure window.
    Bind,
    /// The secure window.
    Confirm,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FlowAsked {
    /// Id of the provider.
    provider: String,
    /// Where the browser is to come back to; one of those that the operator lists.
    redirect_uri: String,
    purpose: FlowFor,
}

impl From<Identity> for IdentityJson {
    fn from(identity: Identity) -> Self {
        Self {
            id: identity.id,
            provider: identity.provider,
            bound_at: identity.bound_at,
            last_used: identity.last_used,
            suspended: identity.suspended,
        }
    }
}

/// Identities of the account, oldest first.
pub(super) async fn list(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    paging: Paging,
) -> Result<Json<Page<IdentityJson>>, Problem> {
    let mine = control_plane.my_identities(&session).await?;
    let shown = mine.into_iter().map(|identity| {
        (format!("{:020} {}", identity.bound_at, identity.id), IdentityJson::from(identity))
    });
    Ok(Json(Page::of(shown, &paging)))
}

/// Begins a way.
pub(super) async fn begin(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Body(body): Body<FlowAsked>,
) -> Result<Created<FlowBegun>, Problem> {
    let purpose = match body.purpose {
        FlowFor::Bind => FlowPurpose::Bind,
        FlowFor::Confirm => FlowPurpose::Confirm,
    };
    let (provider, redirect) = (&body.provider, &body.redirect_uri);
    let begun = control_plane.begin_identity(&session, provider, redirect, purpose).await?;
    Ok(Created(begun.into()))
}

/// Binds.
pub(super) async fn bind(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Body(body): Body<CameBack>,
) -> Result<Created<IdentityJson>, Problem> {
    let bound = control_plane.bind_identity(&session, &body.into()).await?;
    Ok(Created(bound.into()))
}

/// Unbinds.
pub(super) async fn unbind(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Path(id): Path<String>,
) -> Result<NoContent, Problem> {
    control_plane.unbind_identity(&session, &id).await?;
    Ok(NoContent)
}

/// Opens the secure window.
pub(super) async fn confirm(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Body(body): Body<CameBack>,
) -> Result<Created<Confirmed>, Problem> {
    let expires_at = control_plane.secure_by_provider(&session, &body.into()).await?;
    Ok(Created(Confirmed { expires_at }))
}

impl Refusals for IdentityError {
    fn refusals() -> Vec<Refused> {
        let own = vec![
            refused(409, "identity-taken", "It belongs to another account"),
            refused(409, "identities-full", "The account has as many as it can; unbind one"),
            refused(404, "not-found", "The account has no such login at a provider"),
            refused(409, "identity-last", "Nothing else signs in to the account; add a way first"),
            refused(403, "identifier-held", "It came to the account too recently"),
        ];
        [own, SecureError::refusals(), FlowError::refusals(), ProofError::refusals()].concat()
    }
}

impl From<IdentityError> for Problem {
    fn from(error: IdentityError) -> Self {
        match error {
            IdentityError::Secure(error) => error.into(),
            IdentityError::Flow(error) => error.into(),
            IdentityError::Proof(error) => error.into(),
            IdentityError::Taken => Self::new(StatusCode::CONFLICT, "identity-taken", error),
            IdentityError::Full => Self::new(StatusCode::CONFLICT, "identities-full", error),
            IdentityError::Unknown => {
                Self::not_found("the account has no such login at a provider")
            }
            IdentityError::Held(wait) => Self::held(wait.0, error),
            IdentityError::Last => Self::new(StatusCode::CONFLICT, "identity-last", error),
            IdentityError::Inner(inner) => inner.into(),
        }
    }
}
