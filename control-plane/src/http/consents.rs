//! `GET /v1/purposes`, `GET|POST /v1/consents`, `DELETE /v1/consents/{purpose}`

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use sightline_operation::{Created, NO_PURPOSE, NoContent, Rule, Table};
use utoipa::ToSchema;

use super::body::Body;
use super::page::{Page, Paging, Text};
use super::problem::Problem;
use super::proof::LoggedIn;
use crate::ControlPlane;
use crate::consent::{ConsentError, PURPOSES};
use crate::policy::GENERAL;

pub(super) fn operations(table: &mut Table<ControlPlane>) {
    let about = (NO_PURPOSE, "The purposes for which personal data is processed");
    table.get("/v1/purposes", Rule::Public, about, purposes);
    let about = ("account", "What the account decided, purpose by purpose");
    table.get("/v1/consents", Rule::BasicLogin, about, list);
    let about = ("account", "Consent to a purpose");
    table.post("/v1/consents", Rule::BasicLogin, about, grant).may::<ConsentError>();
    let about = ("account", "Withdraw a consent; what stands on it ends");
    table.delete("/v1/consents/{purpose}", Rule::BasicLogin, about, withdraw).may::<ConsentError>();
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Decision {
    Granted,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewConsent {
    /// Id out of the catalogue.
    purpose: String,
    /// Version whose text was read.
    version: u32,
    #[serde(rename = "decision")]
    _decision: Decision,
}

#[derive(Serialize, ToSchema)]
pub(super) struct PurposeJson {
    id: &'static str,
    version: u32,
    optional: bool,
    fields: &'static [&'static str],
    retention: &'static str,
    text: Text,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Decided {
    Granted,
    Withdrawn,
}

#[derive(Serialize, ToSchema)]
pub(super) struct ConsentJson {
    purpose: String,
    /// Policy that was decided on: `general`, or a product's.
    policy_id: String,
    /// Product of that policy; null: the general one.
    product: Option<String>,
    version: u32,
    decision: Decided,
    /// Number of the event that says so.
    seq: u64,
    /// Unix seconds.
    at: u64,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Consented {
    /// Number of the event that says so.
    seq: u64,
}

/// The catalogue; public.
pub(super) async fn purposes(paging: Paging) -> Json<Page<PurposeJson>> {
    let shown = PURPOSES.iter().map(|purpose| {
        let shown = PurposeJson {
            id: purpose.id,
            version: purpose.version,
            optional: purpose.optional,
            fields: purpose.fields,
            retention: purpose.retention,
            text: Text { en: purpose.en, zh: purpose.zh },
        };
        (purpose.id.to_owned(), shown)
    });
    Json(Page::of(shown, &paging))
}

/// What the account decided.
pub(super) async fn list(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    paging: Paging,
) -> Result<Json<Page<ConsentJson>>, Problem> {
    let states = control_plane.consents(&session).await?;
    let shown = states.into_iter().map(|state| {
        let (product, policy_id) = match state.policy {
            Some(mark) => (Some(mark.product), mark.policy),
            None => (None, GENERAL.to_owned()),
        };
        (
            format!("{} {}", state.purpose, product.as_deref().unwrap_or_default()),
            ConsentJson {
                purpose: state.purpose,
                policy_id,
                product,
                version: state.version,
                decision: if state.granted { Decided::Granted } else { Decided::Withdrawn },
                seq: state.seq,
                at: state.at,
            },
        )
    });
    Ok(Json(Page::of(shown, &paging)))
}

/// Consents to a purpose.
pub(super) async fn grant(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Body(body): Body<NewConsent>,
) -> Result<Created<Consented>, Problem> {
    let seq = control_plane.grant_consent(&session, &body.purpose, body.version).await?;
    Ok(Created(Consented { seq }))
}

/// Withdraws a consent.
pub(super) async fn withdraw(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Path(purpose): Path<String>,
) -> Result<NoContent, Problem> {
    control_plane.withdraw_consent(&session, &purpose).await?;
    Ok(NoContent)
}
