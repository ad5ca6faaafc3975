//! `GET /v1/server`: facts about this server.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use crate::facts::ServerFacts;
use crate::state::Signaling;

pub(crate) async fn get(State(signaling): State<Arc<Signaling>>) -> Json<ServerFacts> {
    Json(signaling.facts.clone())
}
