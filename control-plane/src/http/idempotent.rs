//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): every change that a login asks for
//! takes one.
//!
//! The key is a string of RFC 8941 (`"..."`, or the same without quotes). A repeated request needs a
//! new DPoP proof, as every request does. Kept are answers that settle the matter: successes, and
//! refusals other than those that a client is to try again after.

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sightline_operation::{
    IDEMPOTENCY_KEY, Operation, Refusals, Refused, RefusedAs, Table, refused,
};
use tokio::time::timeout;

use super::body::BODY_TIMEOUT;
use super::problem::Problem;
use super::proof::WithToken;
use crate::ControlPlane;
use crate::acting;
use crate::idempotency::{GivenAnswer, Keyed, KeyedError};
use crate::limits::{BODY_BYTES, IDEMPOTENCY_KEY_CHARS};

/// Seconds after which a request whose twin still runs may come again.
const RETRY_RUNNING_SECS: u64 = 1;
/// Seconds after which a client without room for keys may come again.
const RETRY_FULL_SECS: u64 = 3600;
/// Refusals that pass: the same request may succeed later.
const PASSING: [StatusCode; 4] = [
    StatusCode::UNAUTHORIZED,
    StatusCode::REQUEST_TIMEOUT,
    StatusCode::PAYLOAD_TOO_LARGE,
    StatusCode::TOO_MANY_REQUESTS,
];

const INVALID: Refused = refused(
    400,
    "idempotency-key-invalid",
    "An Idempotency-Key is one string of 1 to 64 visible characters",
);
const RUNNING: Refused = refused(
    409,
    "idempotency-key-running",
    "The first request with this key still runs; ask again with the same key",
);
const REUSED: Refused = refused(
    422,
    "idempotency-key-reused",
    "The key was used with another request; take a new key for each request",
);
const FULL: Refused = refused(
    429,
    "idempotency-keys-full",
    "The account has used too many keys within a day; ask without one, or later",
);

impl Refusals for KeyedError {
    fn refusals() -> Vec<Refused> {
        vec![INVALID, RUNNING, REUSED, FULL]
    }
}

impl From<KeyedError> for Problem {
    fn from(error: KeyedError) -> Self {
        let (refused, wait) = match error {
            KeyedError::Running => (RUNNING, Some(RETRY_RUNNING_SECS)),
            KeyedError::OtherRequest => (REUSED, None),
            KeyedError::Full => (FULL, Some(RETRY_FULL_SECS)),
            KeyedError::Inner(inner) => return inner.into(),
        };
        Self { retry_after: wait, ..Self::from(refused) }
    }
}

/// Rides on an answer as an extension: it was given before, and nothing changed this time.
#[derive(Clone, Copy)]
pub(super) struct Repeated;

/// Whether an operation takes a key: a change that a login asks for.
fn takes_key(operation: &Operation) -> bool {
    operation.listed && operation.changes() && operation.rule.needs_login()
}

/// Says so in the description.
pub(super) fn declare(table: &mut Table<ControlPlane>) {
    table.amend(|operation| {
        if takes_key(operation) {
            operation.takes_key(IDEMPOTENCY_KEY_CHARS);
            operation.refusals.extend(KeyedError::refusals());
            operation.refusals.extend_from_slice(super::body::READING_REFUSALS);
        }
    });
}

/// Does so.
pub(super) fn layer(
    table: Table<ControlPlane>,
    control_plane: &ControlPlane,
) -> Table<ControlPlane> {
    table.layered(|operation, route| {
        if !takes_key(operation) {
            return route;
        }
        let keyed = axum::middleware::from_fn_with_state(control_plane.clone(), keyed);
        route.route_layer(keyed)
    })
}

async fn keyed(
    State(control_plane): State<ControlPlane>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let Some(key) = key(request.headers())? else { return Ok(next.run(request).await) };
    let (mut parts, body) = request.into_parts();
    // The proof is used up here; the operation finds the login that it proved.
    let caller = WithToken::from_request_parts(&mut parts, &control_plane).await?;
    let body = read(body).await?;
    let said = [parts.method.as_str(), parts.uri.path()];
    let taken = match control_plane.begin_keyed(&caller.session, &key, said, &body).await? {
        Keyed::Fresh(taken) => taken,
        Keyed::Answered(answer) => return Ok(again(&answer)),
    };
    parts.extensions.insert(caller);
    // In a task of its own: a client that leaves does not leave the key taken.
    let running = acting::spawn(async move {
        let response = next.run(Request::from_parts(parts, Body::from(body))).await;
        let (response, answer) = settled(response).await;
        if let Err(error) = control_plane.end_keyed(&taken, answer.as_ref()).await {
            tracing::warn!(%error, "an answer was not kept for its key");
        }
        response
    });
    running.await.map_err(|_| {
        let detail = "the service cannot do this now; try again";
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail);
        Problem { retry_after: Some(1), ..problem }
    })
}

/// The key of a request; none is fine.
fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(first) = values.next() else { return Ok(None) };
    let text = first.to_str().unwrap_or_default().trim();
    let bare = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let visible = bare.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(&byte));
    let fits = (1..=IDEMPOTENCY_KEY_CHARS).contains(&bare.len());
    if values.next().is_some() || !visible || !fits {
        return Err(INVALID.into());
    }
    Ok(Some(bare.to_owned()))
}

async fn read(body: Body) -> Result<Bytes, Problem> {
    let reading = timeout(BODY_TIMEOUT, to_bytes(body, BODY_BYTES)).await;
    let body = reading.map_err(|_| super::body::too_slow())?;
    body.map_err(|_| super::body::too_large())
}

/// The answer once more, and what of it is kept.
async fn settled(response: Response) -> (Response, Option<GivenAnswer>) {
    let status = response.status();
    if status.is_server_error() || PASSING.contains(&status) {
        return (response, None);
    }
    let (parts, body) = response.into_parts();
    // Our own answer, which is in memory as it is.
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let answer = GivenAnswer::new(status.as_u16(), kind.unwrap_or_default(), &body);
    (Response::from_parts(parts, Body::from(body)), answer)
}

fn again(answer: &GivenAnswer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, answer.body()).into_response();
    response.headers_mut().remove(header::CONTENT_TYPE);
    if let Ok(kind) = HeaderValue::from_str(&answer.kind)
        && !answer.kind.is_empty()
    {
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    response.extensions_mut().insert(Repeated);
    if !status.is_success() {
        response.extensions_mut().insert(RefusedAs::KEPT);
    }
    response
}
