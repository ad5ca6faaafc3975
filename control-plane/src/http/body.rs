//! Request bodies: JSON only, unknown members refused by each type, errors as problems.

use std::time::Duration;

use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde::de::DeserializeOwned;
use sightline_operation::{Draft, Part, Refused, refused};
use tokio::time::timeout;
use utoipa::ToSchema;

use super::problem::Problem;

/// Time in which a body must have arrived.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// How a body is refused, whatever it was to hold.
pub(super) const REFUSALS: &[Refused] = &[
    refused(400, "bad-request", "The body does not have the members that the operation takes"),
    refused(408, "body-timeout", "The body did not arrive in time"),
    refused(413, "body-too-large", "The body is larger than the operation takes"),
    refused(415, "unsupported-media-type", "Send application/json"),
];

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
        let reading = axum::Json::<T>::from_request(request, state);
        let body = timeout(BODY_TIMEOUT, reading).await.map_err(|_| {
            Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                "body-timeout",
                "the body did not arrive in time",
            )
        })?;
        body.map(|body| Self(body.0)).map_err(|rejection| match rejection {
            JsonRejection::MissingJsonContentType(_) => Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "send application/json",
            ),
            JsonRejection::BytesRejection(_) => Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "body-too-large",
                "the body is larger than this request takes, or was cut off",
            ),
            // The parser's own words may repeat what was sent, codes included.
            _ => Problem::new(
                StatusCode::BAD_REQUEST,
                "bad-request",
                "the body does not have the members that this request takes",
            ),
        })
    }
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
