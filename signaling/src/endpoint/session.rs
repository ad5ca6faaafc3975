//! `/v1/whep-sessions/{id}` and `/v1/whip-sessions/{id}`: trickle, ICE restart and the end.
//!
//! The id has 128 random bits; whoever knows the address may change the session.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use sightline_operation::{NO_PURPOSE, Rule, Table};

use super::offer::{self, FRAGMENT, value};
use crate::asked::Asked;
use crate::plane::Patched;
use crate::problem::Problem;
use crate::refusals;
use crate::state::Signaling;

pub(crate) fn operations(table: &mut Table<Arc<Signaling>>) {
    for path in ["/v1/whep-sessions/{id}", "/v1/whip-sessions/{id}"] {
        let unknown = refusals::list([Problem::NoSession, Problem::Unavailable]);
        let about = ("media.view", "Trickle a candidate, or restart ICE");
        table
            .patch(path, Rule::Ticket, about, patch)
            .takes_text(FRAGMENT)
            .answers(200, Some(FRAGMENT))
            .answers(204, None)
            .refuses(&unknown)
            .refuses(&refusals::offer())
            .refuses(&refusals::list([Problem::PreconditionRequired, Problem::PreconditionFailed]));
        let about = ("media.view", "End a media session");
        table.delete(path, Rule::Ticket, about, delete).answers(200, None).refuses(&unknown);
        let about = (NO_PURPOSE, "Preflight and discovery");
        table.options(path, Rule::Public, about, options).answers(200, None);
    }
}

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
) -> Result<Response, Problem> {
    signaling.media.delete(session(&id)?).await?;
    Ok(StatusCode::OK.into_response())
}

pub(crate) async fn options() -> Response {
    offer::session_options("PATCH, DELETE, OPTIONS")
}

fn session(id: &str) -> Result<&str, Problem> {
    let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if id.len() == SESSION_ID_LEN && id.bytes().all(hex) { Ok(id) } else { Err(Problem::NoSession) }
}
