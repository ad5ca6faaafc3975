//! The outermost layer: what holds for every request and answer.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, Method, header};

use crate::asked::address;
use crate::language::Language;
use crate::origin;
use crate::problem::Problem;
use crate::rate::counted;
use crate::state::Signaling;

/// Headers that a player of another origin may send.
const CORS_ALLOW_HEADERS: &str = "authorization, content-type, dpop, if-match";
/// Headers that a player of another origin may read.
const CORS_EXPOSE_HEADERS: &str =
    "location, link, etag, accept-patch, retry-after, sightline-left-out, www-authenticate";
/// How long a preflight answer holds, seconds.
const CORS_MAX_AGE: &str = "3600";

/// Checks names, origins and rates, and dresses the answer: problems in the client's language,
/// never cached unless an endpoint says otherwise, never sniffed.
pub(crate) async fn edge(
    State(signaling): State<Arc<Signaling>>,
    request: Request,
    next: Next,
) -> Response {
    let language = Language::of(request.headers());
    let shared = origin::is_shared(request.uri().path());
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let method = metric_method(request.method());
    let mut response = match admit(&signaling, &request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        tracing::debug!(route, problem = problem.kind().name, "refused");
        if language != Language::English {
            response = translated(&problem, language, &response);
        }
    }
    let status = response.status().as_str().to_owned();
    metrics::counter!("sightline_http_requests_total", "route" => route, "method" => method, "status" => status)
        .increment(1);
    dress(&mut response, shared);
    response
}

/// Ends a request that takes longer than `limit`.
pub(crate) async fn bounded(limit: Duration, request: Request, next: Next) -> Response {
    tokio::time::timeout(limit, next.run(request))
        .await
        .unwrap_or_else(|_| Problem::Timeout.into_response())
}

fn admit(signaling: &Signaling, request: &Request) -> Result<(), Problem> {
    let client = counted(address(request.extensions()));
    signaling.addresses.check(&client).map_err(Problem::RateLimited)?;
    origin::check(&signaling.hosts, request.method(), request.uri(), request.headers())
}

/// The same problem in another language, with whatever headers its endpoint added.
fn translated(problem: &Problem, language: Language, first: &Response) -> Response {
    let mut response = problem.to_response(language);
    for (name, value) in first.headers() {
        if !response.headers().contains_key(name) && name != header::CONTENT_LENGTH {
            response.headers_mut().insert(name.clone(), value.clone());
        }
    }
    response
}

fn dress(response: &mut Response, shared: bool) {
    let headers = response.headers_mut();
    let mut default = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    default(header::CACHE_CONTROL, "no-store");
    default(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    default(header::REFERRER_POLICY, "no-referrer");
    // JSON and SDP are never documents: if a browser is made to show one, it runs nothing.
    default(header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'");
    default(header::VARY, "Accept-Language, Origin");
    if shared {
        default(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
        default(header::ACCESS_CONTROL_EXPOSE_HEADERS, CORS_EXPOSE_HEADERS);
    }
}

/// Headers of a preflight answer.
pub(crate) fn preflight(methods: &'static str) -> [(HeaderName, HeaderValue); 3] {
    [
        (header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods)),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(CORS_ALLOW_HEADERS)),
        (header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(CORS_MAX_AGE)),
    ]
}

/// A method's name for metrics. Clients can make up methods, so the set is closed.
fn metric_method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
