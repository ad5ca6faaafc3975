//! `PUT /v1/me/identifiers/{kind}`, `DELETE /v1/me/identifiers/{kind}`

use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use sightline_grant::Redacted;
use sightline_operation::{NoContent, Rule, Table};
use utoipa::ToSchema;

use super::body::Body;
use super::problem::Problem;
use super::proof::LoggedIn;
use crate::ControlPlane;
use crate::identifier::{IdentifierError, KnownAddress};
use crate::ids::ChallengeId;
use crate::storage::model::IdentifierKind;

pub(super) fn operations(table: &mut Table<ControlPlane>) {
    let path = "/v1/me/identifiers/{kind}";
    let about = ("account", "Put a proved number or address on the account");
    table.put(path, Rule::OwnLogin, about, change).may::<IdentifierError>();
    let about = ("account", "Take a number or address off the account");
    table.delete(path, Rule::OwnLogin, about, remove).may::<IdentifierError>();
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct IdentifierProof {
    /// Of purpose `identifier`; it names the number or address.
    challenge_id: ChallengeId,
    code: String,
}

/// A number or address of the account.
#[derive(Serialize, ToSchema)]
pub(super) struct IdentifierJson {
    /// `phone` or `email`.
    kind: &'static str,
    /// First and last signs.
    masked: String,
    /// When it was proved, Unix seconds.
    verified_at: u64,
    /// How: `sms`, `email`, `carrier` or `federated`.
    method: String,
    /// Until then it confirms nothing dangerous, Unix seconds; 0 for none.
    held_until: u64,
}

impl From<&KnownAddress> for IdentifierJson {
    fn from(known: &KnownAddress) -> Self {
        Self {
            kind: known.address.kind().as_str(),
            masked: known.address.masked(),
            verified_at: known.verified_at,
            method: known.method.clone(),
            held_until: known.held_until,
        }
    }
}

/// Puts the number or address that the code proves on the account.
pub(super) async fn change(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Path(kind): Path<String>,
    Body(body): Body<IdentifierProof>,
) -> Result<NoContent, Problem> {
    let kind = parsed(&kind)?;
    let code = Redacted::new(body.code);
    control_plane.change_identifier(&session, kind, &body.challenge_id, &code).await?;
    Ok(NoContent)
}

/// Takes it off.
pub(super) async fn remove(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Path(kind): Path<String>,
) -> Result<NoContent, Problem> {
    control_plane.remove_identifier(&session, parsed(&kind)?).await?;
    Ok(NoContent)
}

fn parsed(kind: &str) -> Result<IdentifierKind, Problem> {
    IdentifierKind::parse(kind)
        .ok_or_else(|| Problem::not_found("the account has no such number or address"))
}
