//! `GET /v1/policies`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use sightline_operation::{NO_PURPOSE, Rule, Table};
use utoipa::ToSchema;

use super::problem::Problem;
use super::query::Asked;
use crate::ControlPlane;
use crate::limits::MAX_NAME_CHARS;
use crate::policy::{GENERAL, InForce};

pub(super) fn operations(table: &mut Table<ControlPlane>) {
    let about =
        (NO_PURPOSE, "For each purpose the policy in force, and what it takes precedence over");
    table.get("/v1/policies", Rule::Public, about, list);
}

/// For whom.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PoliciesAsked {
    /// Kind of client, as it names itself when it signs in; without it, the general policies.
    #[schema(max_length = 64)]
    product: Option<String>,
}

/// Whose policy is in force.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum PolicyOrigin {
    /// The product's own.
    Product,
    /// The one for all.
    General,
}

/// A text in both languages.
#[derive(Serialize, ToSchema)]
struct PolicyText {
    en: String,
    zh: String,
}

/// What a policy of a product takes precedence over.
#[derive(Serialize, ToSchema)]
struct PolicyOverridden {
    policy_id: &'static str,
    version: u32,
    /// Members that it lays down anew: `fields`, `optional`, `retention`, `text`.
    members: Vec<&'static str>,
}

/// The policy of a purpose that is in force.
#[derive(Serialize, ToSchema)]
pub(super) struct PolicyJson {
    purpose: &'static str,
    /// `general`, or that of the product's policy.
    policy_id: String,
    from: PolicyOrigin,
    /// Version to consent to.
    version: u32,
    optional: bool,
    fields: Vec<String>,
    retention: String,
    text: PolicyText,
    /// Null where the general policy is in force.
    overrides: Option<PolicyOverridden>,
}

impl From<&InForce> for PolicyJson {
    fn from(in_force: &InForce) -> Self {
        let (general, (en, zh)) = (in_force.general(), in_force.text());
        let overrides = in_force.own().map(|_| PolicyOverridden {
            policy_id: GENERAL,
            version: general.version,
            members: in_force.overridden(),
        });
        Self {
            purpose: general.id,
            policy_id: in_force.id().to_owned(),
            from: if overrides.is_some() { PolicyOrigin::Product } else { PolicyOrigin::General },
            version: in_force.version(),
            optional: in_force.optional(),
            fields: in_force.fields().into_iter().map(str::to_owned).collect(),
            retention: in_force.retention().to_owned(),
            text: PolicyText { en: en.to_owned(), zh: zh.to_owned() },
            overrides,
        }
    }
}

/// One for each purpose of the catalogue, in its order; so it comes whole.
#[derive(Serialize, ToSchema)]
pub(super) struct PoliciesInForce {
    items: Vec<PolicyJson>,
}

/// What is in force; public.
pub(super) async fn list(
    State(control_plane): State<ControlPlane>,
    Asked(asked): Asked<PoliciesAsked>,
) -> Result<Json<PoliciesInForce>, Problem> {
    let product = asked.product.unwrap_or_default();
    if product.chars().count() > MAX_NAME_CHARS {
        let detail = "a product has at most 64 characters";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "query-invalid", detail));
    }
    let in_force = control_plane.policies_in_force(product.trim()).await?;
    Ok(Json(PoliciesInForce { items: in_force.iter().map(PolicyJson::from).collect() }))
}
