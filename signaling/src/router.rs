//! Paths and what answers them.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use sightline_operation::{Refused, Table};
use tower_http::catch_panic::CatchPanicLayer;

use crate::edge::{bounded, edge};
use crate::endpoint::{
    health, lan_grants, live, media_grants, page, roq_publish, roq_sessions, rtsp_handles, server,
    session, websocket_sessions, websockets, webtransport_sessions, whep, whip,
};
use crate::problem::Problem;
use crate::refusals;
use crate::state::Signaling;

/// Longest time that a request to signaling may take, body included.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

impl Signaling {
    /// All paths of signaling and the page, behind the edge rules.
    pub fn router(self: &Arc<Self>) -> Router {
        self.router_with(Router::new())
    }

    /// The same, with further paths (the control plane's) behind the same edge rules: host, origin
    /// and rate checks, `no-store`, problems for unknown paths. The others keep their own time
    /// limits and must not have a fallback.
    pub fn router_with(self: &Arc<Self>, others: Router) -> Router {
        let table = if cfg!(test) { operations().checked() } else { operations() };
        let own = table
            .router()
            .with_state(Arc::clone(self))
            .layer(from_fn(|request, next| bounded(REQUEST_TIMEOUT, request, next)));
        own.merge(others)
            .fallback(|| async { Problem::NotFound })
            .method_not_allowed_fallback(|| async { Problem::MethodNotAllowed })
            .layer(CatchPanicLayer::custom(defect))
            .layer(from_fn_with_state(Arc::clone(self), edge))
    }
}

/// Every operation of signaling, and the files of the page.
pub fn operations() -> Table<Arc<Signaling>> {
    let mut table = Table::default();
    for operations in [
        media_grants::operations,
        whep::operations,
        whip::operations,
        session::operations,
        rtsp_handles::operations,
        roq_sessions::operations,
        webtransport_sessions::operations,
        websocket_sessions::operations,
        websockets::operations,
        roq_publish::operations,
        live::operations,
        lan_grants::operations,
        server::operations,
        health::operations,
        page::operations,
    ] {
        operations(&mut table);
    }
    table
}

/// What any request may be refused with, whatever it asks for.
pub fn refused_everywhere() -> Vec<Refused> {
    refusals::edge()
}

fn defect(_: Box<dyn std::any::Any + Send + 'static>) -> Response {
    tracing::error!("an endpoint panicked");
    Problem::Internal.into_response()
}
