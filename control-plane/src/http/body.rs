//! Request bodies: JSON only, unknown members refused by each type, errors as problems.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde::de::DeserializeOwned;
use sightline_operation::{Draft, Part, Refused, refused, strict_json};
use tokio::time::timeout;
use utoipa::ToSchema;

use super::problem::Problem;

/// Time in which a body must have arrived.
pub(super) const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// How a body is refused, whatever it was to hold.
pub(super) const REFUSALS: &[Refused] = &[MALFORMED, TOO_SLOW, TOO_LARGE, OTHER_TYPE];
/// How one is refused before it is looked into.
pub(super) const READING_REFUSALS: &[Refused] = &[TOO_SLOW, TOO_LARGE];

/// The parser's own words may repeat what was sent, codes included.
const MALFORMED: Refused =
    refused(400, "bad-request", "the body does not have the members that this request takes");
const TOO_SLOW: Refused = refused(408, "body-timeout", "the body did not arrive in time");
const TOO_LARGE: Refused =
    refused(413, "body-too-large", "the body is larger than this request takes, or was cut off");
const OTHER_TYPE: Refused = refused(415, "unsupported-media-type", "send application/json");

/// A JSON body.
pub(super) struct Body<T>(pub(super) T);

impl<T: ToSchema> Part for Body<T> {
    fn describe(draft: &mut Draft) {
        draft.takes::<T>();
        draft.refuses(REFUSALS);
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(OTHER_TYPE.into());
        }
        let reading = timeout(BODY_TIMEOUT, Bytes::from_request(request, state)).await;
        let body = reading.map_err(|_| too_slow())?.map_err(|_| too_large())?;
        strict_json::from_slice(&body).map(Self).map_err(|_| MALFORMED.into())
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let essence = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

pub(super) fn too_slow() -> Problem {
    TOO_SLOW.into()
}

pub(super) fn too_large() -> Problem {
    TOO_LARGE.into()
}

/// Bytes in base64url.
pub(super) fn bytes(text: &str) -> Result<Vec<u8>, Problem> {
    B64.decode(text).map_err(|_| {
        Problem::new(StatusCode::BAD_REQUEST, "bad-request", "a member is not base64url")
    })
}

/// Bytes of a known length in base64url.
pub(super) fn array<const N: usize>(text: &str) -> Result<[u8; N], Problem> {
    bytes(text)?.try_into().map_err(|_| {
        let detail = "a member does not have as many bytes as it must";
        Problem::new(StatusCode::BAD_REQUEST, "bad-request", detail)
    })
}
