//! `/v1/whep-sessions/{id}` and `/v1/whip-sessions/{id}`: trickle, ICE restart and the end.
//!
//! The id has 128 random bits; whoever knows the address may change the session.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

use super::offer::{self, FRAGMENT, value};
use crate::asked::Asked;
use crate::plane::Patched;
use crate::problem::Problem;
use crate::state::Signaling;

/// Length of a session id, hex digits.
const SESSION_ID_LEN: usize = 32;

pub(crate) async fn patch(
    State(signaling): State<Arc<Signaling>>,
    Path(id): Path<String>,
    asked: Asked,
    body: Body,
) -> Result<Response, Problem> {
    let id = session(&id)?;
    let fragment = asked.text(FRAGMENT, body).await?;
    match signaling.media.patch(id, asked.if_match(), fragment).await? {
        Patched::Trickled => Ok(StatusCode::NO_CONTENT.into_response()),
        Patched::Restarted { fragment, etag } => {
            let mut response = (StatusCode::OK, fragment).into_response();
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(FRAGMENT));
            headers.insert(header::ETAG, value(format!("\"{etag}\""))?);
            Ok(response)
        }
    }
}

pub(crate) async fn delete(
    State(signaling): State<Arc<Signaling>>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    signaling.media.delete(session(&id)?).await?;
    Ok(StatusCode::OK)
}

pub(crate) async fn options() -> Response {
    offer::session_options("PATCH, DELETE, OPTIONS")
}

fn session(id: &str) -> Result<&str, Problem> {
    let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if id.len() == SESSION_ID_LEN && id.bytes().all(hex) { Ok(id) } else { Err(Problem::NoSession) }
}
