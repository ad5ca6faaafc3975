//! Paths and what answers them.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, get, post};
use tower_http::catch_panic::CatchPanicLayer;

use crate::edge::{bounded, edge};
use crate::endpoint::{
    health, live, media_grants, page, roq_publish, roq_sessions, rtsp_handles, server, session,
    websocket_sessions, websockets, webtransport_sessions, whep, whip,
};
use crate::problem::Problem;
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
        let own = Router::new()
            .route("/v1/media-grants", post(media_grants::post))
            .route(
                "/v1/whep/{serial}/{channel}",
                post(whep::post).on(MethodFilter::HEAD, whep::head).options(whep::options),
            )
            .route("/v1/whip/{serial}/{channel}", post(whip::post).options(whip::options))
            .route(
                "/v1/whep-sessions/{id}",
                axum::routing::patch(session::patch)
                    .delete(session::delete)
                    .options(session::options),
            )
            .route(
                "/v1/whip-sessions/{id}",
                axum::routing::patch(session::patch)
                    .delete(session::delete)
                    .options(session::options),
            )
            .route("/v1/rtsp-handles/{serial}/{channel}", post(rtsp_handles::post))
            .route("/v1/roq-sessions/{serial}/{channel}", post(roq_sessions::post))
            .route(
                "/v1/webtransport-sessions/{serial}/{channel}",
                post(webtransport_sessions::post),
            )
            .route("/v1/websocket-sessions/{serial}/{channel}", post(websocket_sessions::post))
            .route("/v1/websockets/{ticket}", get(websockets::get))
            .route("/v1/roq-publish/{channel}", post(roq_publish::post))
            .route("/v1/live/{serial}", get(live::get))
            .route("/v1/server", get(server::get))
            .route("/healthz", get(health::healthz))
            .route("/readyz", get(health::readyz))
            .route("/", get(page::index))
            .route("/assets/{*path}", get(page::asset))
            .with_state(Arc::clone(self))
            .layer(from_fn(|request, next| bounded(REQUEST_TIMEOUT, request, next)));
        own.merge(others)
            .fallback(|| async { Problem::NotFound })
            .method_not_allowed_fallback(|| async { Problem::MethodNotAllowed })
            .layer(CatchPanicLayer::custom(defect))
            .layer(from_fn_with_state(Arc::clone(self), edge))
    }
}

fn defect(_: Box<dyn std::any::Any + Send + 'static>) -> Response {
    tracing::error!("an endpoint panicked");
    Problem::Internal.into_response()
}
