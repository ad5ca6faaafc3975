//! Refusals in the words of RFC 6749, 5.2.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use sightline_operation::{Refused, RefusedAs, refused};
use utoipa::ToSchema;

use crate::sso::token::TokenError;

/// Every refusal.
pub(super) const REFUSALS: &[Refused] = &[
    refused(400, "invalid_request", "A parameter is missing, twice there, or not what it must be"),
    refused(401, "invalid_client", "The app is not known, or does not show what it must"),
    refused(400, "invalid_grant", "The code or refresh token is unknown, over, used or another's"),
    refused(400, "unsupported_grant_type", "Only codes and refresh tokens are traded"),
    refused(400, "invalid_dpop_proof", "Tokens of this app are bound to a key; prove it"),
    refused(429, "slow_down", "Too many requests; wait as Retry-After says"),
    refused(503, "temporarily_unavailable", "The service cannot do this now; wait and try again"),
];

/// A refusal of the token endpoint and its like.
#[derive(Serialize, ToSchema)]
pub(super) struct OAuthErrorJson {
    /// Stable name.
    error: &'static str,
    /// What to do about it.
    error_description: String,
}

/// See [`OAuthErrorJson`].
#[derive(Debug)]
pub(crate) struct OAuthError(TokenError);

impl From<TokenError> for OAuthError {
    fn from(error: TokenError) -> Self {
        Self(error)
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let (status, error, wait) = match &self.0 {
            TokenError::InvalidRequest(_) => (StatusCode::BAD_REQUEST, "invalid_request", None),
            TokenError::InvalidClient => (StatusCode::UNAUTHORIZED, "invalid_client", None),
            TokenError::InvalidGrant => (StatusCode::BAD_REQUEST, "invalid_grant", None),
            TokenError::UnsupportedGrantType => {
                (StatusCode::BAD_REQUEST, "unsupported_grant_type", None)
            }
            TokenError::InvalidProof => (StatusCode::BAD_REQUEST, "invalid_dpop_proof", None),
            TokenError::Limited(wait) => (StatusCode::TOO_MANY_REQUESTS, "slow_down", Some(wait.0)),
            TokenError::Inner(inner) => {
                tracing::error!(error = inner as &dyn std::error::Error, "an app's request failed");
                (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", Some(1))
            }
        };
        let error_description = match &self.0 {
            TokenError::Inner(_) => "the service cannot do this now; try again".to_owned(),
            told => told.to_string(),
        };
        let mut response =
            (status, Json(OAuthErrorJson { error, error_description })).into_response();
        response.extensions_mut().insert(RefusedAs(error));
        let headers = response.headers_mut();
        if let Some(seconds) = wait {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Basic realm=\"apps\"");
            headers.insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}
