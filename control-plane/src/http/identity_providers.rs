//! `GET /v1/identity-providers`, `POST /v1/identity-flows`, `POST /v1/sessions/provider`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use sightline_grant::Redacted;
use sightline_operation::{Created, NO_PURPOSE, Refusals, Refused, Rule, Table, refused};
use utoipa::ToSchema;

use super::body::Body;
use super::page::{Page, Paging};
use super::problem::Problem;
use super::proof::{ClientIp, Proven};
use super::refusals::LIMITED;
use super::sessions::{ConsentGiven, SessionMade, session_made};
use crate::ControlPlane;
use crate::abnormal::LoginHeld;
use crate::error::Inner;
use crate::federation::flow::{Begun, FlowError, ProofError, Return};
use crate::federation::sign_in::{ProviderSignIn, ProviderSignInError};
use crate::limits::IDENTITY_FLOW_SECS;
use crate::session::SignInError;

/// Seconds after which a silent provider may be asked again.
const SILENT_WAIT: u64 = 30;

pub(super) fn operations(table: &mut Table<ControlPlane>) {
    let about = (NO_PURPOSE, "Identity providers that people sign in by here");
    table.get("/v1/identity-providers", Rule::Public, about, list);
    let about = ("account", "Begin a login by an identity provider: where to send the browser");
    table.post("/v1/identity-flows", Rule::Key, about, begin).may::<FlowError>();
    let about = ("account", "Sign in by what a browser came back with, and register who is new");
    table
        .post("/v1/sessions/provider", Rule::Key, about, create)
        .may::<ProviderSignInError>()
        .may::<LoginHeld>();
}

/// An identity provider.
#[derive(Serialize, ToSchema)]
pub(super) struct ProviderJson {
    id: String,
    /// Name that people read.
    name: String,
    /// `oidc`, `apple` or `wechat`.
    kind: &'static str,
    /// A stand-in, which proves nothing.
    development: bool,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LoginFlowAsked {
    /// Id of the provider.
    provider: String,
    /// Where the browser is to come back to; one of those that the operator lists.
    redirect_uri: String,
}

/// A way to a provider that has begun.
#[derive(Serialize, ToSchema)]
pub(super) struct FlowBegun {
    flow_id: String,
    /// Where to send the browser.
    authorize_url: String,
    /// What the browser must come back with.
    state: String,
    /// Seconds.
    expires_in: u64,
}

/// What a browser came back with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CameBack {
    flow_id: String,
    state: String,
    code: String,
    /// `iss` of the address, where it has one.
    iss: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewProviderSession {
    flow_id: String,
    state: String,
    code: String,
    /// `iss` of the address, where it has one.
    iss: Option<String>,
    terminal_name: String,
    client_type: String,
    #[serde(default)]
    consents: Vec<ConsentGiven>,
}

impl From<CameBack> for Return {
    fn from(back: CameBack) -> Self {
        Self {
            flow: back.flow_id,
            state: Redacted::new(back.state),
            code: Redacted::new(back.code),
            issuer: back.iss,
        }
    }
}

impl From<Begun> for FlowBegun {
    fn from(begun: Begun) -> Self {
        Self {
            flow_id: begun.flow,
            authorize_url: begun.authorize,
            state: begun.state,
            expires_in: IDENTITY_FLOW_SECS,
        }
    }
}

/// Identity providers, by id.
pub(super) async fn list(
    State(control_plane): State<ControlPlane>,
    paging: Paging,
) -> Json<Page<ProviderJson>> {
    let providers = control_plane.identity_providers().iter().map(|provider| {
        let facts = provider.facts().clone();
        let kind = facts.kind.as_str();
        let (name, development) = (facts.name, facts.development);
        (facts.id.clone(), ProviderJson { id: facts.id, name, kind, development })
    });
    let mut providers: Vec<_> = providers.collect();
    providers.sort_by(|(one, _), (other, _)| one.cmp(other));
    Json(Page::of(providers, &paging))
}

/// Begins a login.
pub(super) async fn begin(
    State(control_plane): State<ControlPlane>,
    Proven(terminal): Proven,
    ClientIp(ip): ClientIp,
    Body(body): Body<LoginFlowAsked>,
) -> Result<Created<FlowBegun>, Problem> {
    let (provider, redirect) = (&body.provider, &body.redirect_uri);
    let begun = control_plane.begin_provider_login(provider, redirect, terminal, ip).await?;
    Ok(Created(begun.into()))
}

/// Signs in, and registers who is new.
pub(super) async fn create(
    State(control_plane): State<ControlPlane>,
    Proven(terminal): Proven,
    ClientIp(ip): ClientIp,
    Body(body): Body<NewProviderSession>,
) -> Result<Created<SessionMade>, Problem> {
    let NewProviderSession { flow_id, state, code, iss, terminal_name, client_type, consents } =
        body;
    let request = ProviderSignIn {
        back: CameBack { flow_id, state, code, iss }.into(),
        terminal_name,
        client_type,
        consents: consents.into_iter().map(ConsentGiven::pair).collect(),
    };
    let done = control_plane.sign_in_by_provider(&request, terminal).await?;
    control_plane.notice_login(&done, ip).await?;
    Ok(Created(session_made(done)))
}

const SILENT: Refused =
    refused(503, "provider-silent", "The provider does not answer; try later or another way");

impl Refusals for FlowError {
    fn refusals() -> Vec<Refused> {
        let own = vec![
            refused(404, "no-provider", "This server works with no such identity provider"),
            refused(422, "redirect-unknown", "The operator has not listed this redirect_uri"),
            SILENT,
            LIMITED,
        ];
        [own, Inner::refusals()].concat()
    }
}

impl Refusals for ProofError {
    fn refusals() -> Vec<Refused> {
        let own = vec![
            refused(403, "identity-refused", "The provider did not confirm it; begin again"),
            refused(403, "identity-stale", "The provider must ask anew who this is"),
            SILENT,
        ];
        [own, Inner::refusals()].concat()
    }
}

impl Refusals for ProviderSignInError {
    fn refusals() -> Vec<Refused> {
        let own = vec![refused(
            403,
            "identity-suspended",
            "The server was restored; sign in by a code and bind the identity again",
        )];
        [own, ProofError::refusals(), SignInError::refusals()].concat()
    }
}

fn silent(detail: impl ToString) -> Problem {
    let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "provider-silent", detail);
    Problem { retry_after: Some(SILENT_WAIT), ..problem }
}

impl From<FlowError> for Problem {
    fn from(error: FlowError) -> Self {
        match error {
            FlowError::NoProvider => Self::new(StatusCode::NOT_FOUND, "no-provider", error),
            FlowError::BadRedirect => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "redirect-unknown", error)
            }
            FlowError::Limited(wait) => Self::limited(wait.0, error),
            FlowError::Silent => silent(error),
            FlowError::Inner(inner) => inner.into(),
        }
    }
}

impl From<ProofError> for Problem {
    fn from(error: ProofError) -> Self {
        match error {
            ProofError::Refused => Self::new(StatusCode::FORBIDDEN, "identity-refused", error),
            ProofError::Stale => Self::new(StatusCode::FORBIDDEN, "identity-stale", error),
            ProofError::Silent => silent(error),
            ProofError::Inner(inner) => inner.into(),
        }
    }
}

impl From<ProviderSignInError> for Problem {
    fn from(error: ProviderSignInError) -> Self {
        match error {
            ProviderSignInError::Proof(error) => error.into(),
            ProviderSignInError::Suspended => {
                Self::new(StatusCode::FORBIDDEN, "identity-suspended", error)
            }
            ProviderSignInError::SignIn(error) => error.into(),
            ProviderSignInError::Inner(inner) => inner.into(),
        }
    }
}
