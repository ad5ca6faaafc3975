//! Each request is the scope in which somebody acts (see [`crate::acting`]).

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

use super::idempotent::Repeated;
use super::proof::ClientIp;
use crate::ControlPlane;
use crate::acting::Acting;

/// Requests that look like changes of an account and leave no line in its log, each with the reason.
/// Any other change without a line fails the tests.
const QUIET: &[(&str, &str)] = &[
    ("POST /v1/otp", "a code on its way changes nothing yet; its use is logged"),
    ("POST /v1/me/passkeys/challenges", "a question; the passkey that answers it is logged"),
    (
        "POST /v1/me/identity-flows",
        "a way that begins changes nothing yet; what it leads to is logged",
    ),
    ("POST /v1/consents", "agreed to before; a new consent is logged"),
    ("POST /v1/sso/authorizations", "asks what to agree to; what is agreed to is logged"),
    ("POST /v1/devices/{serial}/key-challenge", "a question; the proof is logged"),
    ("POST /v1/devices/{serial}/generations", "reads by POST"),
    ("POST /v1/shares/invitation", "reads by POST, so that the code stands in no address"),
    ("POST /v1/introductions", "forgotten after ten minutes; what comes of it is the viewer list"),
    ("POST /v1/introductions/{code}/reply", "part of the same"),
    ("POST /v1/introductions/{code}/reveal", "part of the same"),
    ("POST /v1/introductions/{code}/outcome", "part of the same"),
    ("DELETE /v1/introductions/{code}", "part of the same"),
    ("PUT /v1/devices/{serial}/viewer-list", "the list in force again; a newer one is logged"),
    ("PUT /v1/devices/{serial}/enc-mode", "the order in force again; a newer one is logged"),
];

/// Opens the scope, and keeps that a person was refused something.
pub(super) async fn scope(
    State(control_plane): State<ControlPlane>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let path = parts.extensions.get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let path = path.unwrap_or_default();
    let Ok(ClientIp(from)) = ClientIp::from_request_parts(&mut parts, &()).await;
    let what = format!("{} {path}", parts.method);
    let reads = parts.method == Method::GET || parts.method == Method::HEAD;
    let acting = Acting::request(from, path.starts_with("/v1/device/"));
    let answer = acting.clone().scope(next.run(Request::from_parts(parts, body))).await;
    let Some(account) = acting.account().filter(|_| !reads) else { return answer };
    let repeated = answer.extensions().get::<Repeated>().is_some();
    if answer.status() == StatusCode::FORBIDDEN {
        // The refused one acted, too.
        if let Err(error) = acting.scope(control_plane.log_refusal(&account, &what)).await {
            tracing::warn!(%error, "a refusal was not logged");
        }
    } else if cfg!(test) && answer.status().is_success() && !repeated {
        let quiet = QUIET.iter().any(|(quiet, _)| *quiet == what);
        assert!(
            acting.lines() > 0 || quiet,
            "{what} left no line in the operation log: its store method must call `log` in its \
             transaction, or QUIET must say why not"
        );
    }
    answer
}
