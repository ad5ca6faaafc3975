//! `GET /v1/websockets/{ticket}`: opens the WebSocket of a session.
//!
//! The ticket stands for the proof of the key that was given for it. A request that opens no
//! WebSocket leaves it unused.

use std::sync::Arc;

use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, http};
use http::{HeaderValue, header};
use sightline_operation::{Rule, Table};

use crate::plane::ResetOnDrop;
use crate::problem::Problem;
use crate::refusals;
use crate::socket;
use crate::state::Signaling;

pub(crate) fn operations(table: &mut Table<Arc<Signaling>>) {
    let about = ("media.view", "Open the WebSocket of a session");
    table
        .get("/v1/websockets/{ticket}", Rule::Ticket, about, get)
        .answers(101, None)
        .refuses(&refusals::media())
        .refuses(&refusals::list([Problem::UpgradeRequired, Problem::NoSession]));
}

pub(crate) async fn get(
    State(signaling): State<Arc<Signaling>>,
    Path(ticket): Path<String>,
    reset: Option<Extension<ResetOnDrop>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let Ok(upgrade) = upgrade else {
        let mut refusal = Problem::UpgradeRequired.into_response();
        refusal.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        return refusal;
    };
    let Ok(place) = Arc::clone(&signaling.sockets).try_acquire_owned() else {
        return Problem::Full.into_response();
    };
    let media = match signaling.media.socket_enter(&ticket).await {
        Ok(media) => media,
        Err(refusal) => return Problem::from(refusal).into_response(),
    };
    let reset = reset.map(|Extension(reset)| reset).unwrap_or_default();
    socket::bounded(upgrade).on_upgrade(move |socket| async move {
        socket::run(socket, media, &reset).await;
        drop(place);
    })
}
