//! Queries: unknown members are refused by each type.

use axum::extract::{FromRequestParts, Query};
use axum::http::StatusCode;
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde::de::DeserializeOwned;
use sightline_operation::{Draft, Part, Refused, refused};
use utoipa::ToSchema;

use super::problem::Problem;

const REFUSALS: &[Refused] = &[refused(
    400,
    "query-invalid",
    "The query does not have the members that the operation takes",
)];

/// What a query asks for.
pub(super) struct Asked<T>(pub(super) T);

impl<T: ToSchema> Part for Asked<T> {
    fn describe(draft: &mut Draft) {
        draft.queries::<T>();
        draft.refuses(REFUSALS);
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query.map(|query| Self(query.0)).map_err(|_| invalid())
    }
}

/// A cursor for what comes after a number.
pub(super) fn cursor(after: u64) -> String {
    B64.encode(after.to_be_bytes())
}

/// Reads it.
pub(super) fn number(cursor: &str) -> Result<u64, Problem> {
    let bytes = B64.decode(cursor).ok().and_then(|bytes| <[u8; 8]>::try_from(bytes).ok());
    bytes.map(u64::from_be_bytes).ok_or_else(invalid)
}

fn invalid() -> Problem {
    let detail = "the query does not have the members that this request takes";
    Problem::new(StatusCode::BAD_REQUEST, "query-invalid", detail)
}
