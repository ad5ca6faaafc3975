//! `GET /v1/server`: facts about this server.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde::Serialize;
use sightline_operation::{NO_PURPOSE, Rule, Table};
use utoipa::ToSchema;

use crate::facts::ServerFacts;
use crate::state::Signaling;

pub(crate) fn operations(table: &mut Table<Arc<Signaling>>) {
    let about = (NO_PURPOSE, "Facts about this server");
    table.get("/v1/server", Rule::Public, about, get);
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Server {
    #[serde(flatten)]
    facts: ServerFacts,
    /// Ed25519 public key that verifies LAN grants, base64url. A camera keeps it.
    grant_key: String,
}

pub(crate) async fn get(State(signaling): State<Arc<Signaling>>) -> Json<Server> {
    let grant_key = B64.encode(signaling.signer.verifier().public());
    Json(Server { facts: signaling.facts.clone(), grant_key })
}
