//! `GET /v1/server`: facts about this server.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use sightline_operation::{NO_PURPOSE, Rule, Table};

use crate::facts::ServerFacts;
use crate::state::Signaling;

pub(crate) fn operations(table: &mut Table<Arc<Signaling>>) {
    let about = (NO_PURPOSE, "Facts about this server");
    table.get("/v1/server", Rule::Public, about, get);
}

pub(crate) async fn get(State(signaling): State<Arc<Signaling>>) -> Json<ServerFacts> {
    Json(signaling.facts.clone())
}
