//! `GET /v1/carrier`, `POST /v1/sessions/carrier`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use sightline_grant::Redacted;
use sightline_operation::{Created, Refusals, Refused, Rule, Table, refused};
use utoipa::ToSchema;

use super::body::Body;
use super::problem::Problem;
use super::proof::{ClientIp, Proven};
use super::sessions::{ConsentGiven, SessionMade, session_made};
use crate::ControlPlane;
use crate::abnormal::LoginHeld;
use crate::carrier::{CarrierError, CarrierSignIn};
use crate::session::SignInError;

/// Seconds after which a silent carrier may be asked again.
const SILENT_WAIT: u64 = 30;

pub(super) fn operations(table: &mut Table<ControlPlane>) {
    let about = ("none", "The carrier whose lines sign in with one click, if there is one");
    table.get("/v1/carrier", Rule::Public, about, show);
    let about = ("account", "Sign in by the carrier's token of this line, and register who is new");
    table
        .post("/v1/sessions/carrier", Rule::Key, about, create)
        .may::<CarrierError>()
        .may::<LoginHeld>();
}

/// What an app needs to get a token.
#[derive(Serialize, ToSchema)]
pub(super) struct CarrierJson {
    /// Name that people read.
    name: String,
    /// Address that a browser is sent to for an authorisation code; without it, apps bring the token
    /// of their SDK.
    authorize: Option<String>,
    client_id: String,
    scope: String,
    /// A stand-in, which proves nothing.
    development: bool,
}

#[derive(Serialize, ToSchema)]
pub(super) struct CarrierKnown {
    carrier: Option<CarrierJson>,
}

/// A login by the line of the phone. There is no member for a number: it comes from the carrier.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewCarrierSession {
    /// The carrier's token, good once.
    token: String,
    /// Where a browser came back to with it.
    redirect_uri: Option<String>,
    terminal_name: String,
    client_type: String,
    #[serde(default)]
    consents: Vec<ConsentGiven>,
}

/// The carrier.
pub(super) async fn show(State(control_plane): State<ControlPlane>) -> Json<CarrierKnown> {
    let carrier = control_plane.carrier_facts().map(|facts| CarrierJson {
        name: facts.name,
        authorize: facts.authorize,
        client_id: facts.client_id,
        scope: facts.scope,
        development: facts.development,
    });
    Json(CarrierKnown { carrier })
}

/// Signs in, and registers who is new.
pub(super) async fn create(
    State(control_plane): State<ControlPlane>,
    Proven(terminal): Proven,
    ClientIp(ip): ClientIp,
    Body(body): Body<NewCarrierSession>,
) -> Result<Created<SessionMade>, Problem> {
    let request = CarrierSignIn {
        token: Redacted::new(body.token),
        redirect: body.redirect_uri,
        terminal_name: body.terminal_name,
        client_type: body.client_type,
        consents: body.consents.into_iter().map(ConsentGiven::pair).collect(),
    };
    let done = control_plane.sign_in_by_carrier(&request, terminal, ip).await?;
    control_plane.notice_login(&done, ip).await?;
    Ok(Created(session_made(done)))
}

impl Refusals for CarrierError {
    fn refusals() -> Vec<Refused> {
        let mut all = vec![
            refused(404, "no-carrier", "This server works with no carrier; sign in with a code"),
            refused(
                403,
                "carrier-refused",
                "The token is unknown, used or too old; get another one",
            ),
            refused(503, "carrier-silent", "The carrier does not answer; sign in with a code"),
            refused(429, "rate-limited", "Too many requests or tries; wait as Retry-After says"),
        ];
        all.extend(SignInError::refusals());
        all
    }
}

impl From<CarrierError> for Problem {
    fn from(error: CarrierError) -> Self {
        match error {
            CarrierError::NoCarrier => Self::new(StatusCode::NOT_FOUND, "no-carrier", error),
            CarrierError::Refused => Self::new(StatusCode::FORBIDDEN, "carrier-refused", error),
            CarrierError::Silent => {
                let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "carrier-silent", error);
                Self { retry_after: Some(SILENT_WAIT), ..problem }
            }
            CarrierError::Limited(wait) => Self::limited(wait.0, error),
            CarrierError::SignIn(error) => error.into(),
            CarrierError::Inner(inner) => inner.into(),
        }
    }
}
