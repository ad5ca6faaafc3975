//! `POST /v1/otp`

use axum::RequestExt;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::header;
use serde::{Deserialize, Serialize};
use sightline_grant::Redacted;
use sightline_operation::{Accepted, Rule, Table};
use utoipa::ToSchema;

use super::body::{Body, REFUSALS as BODY_REFUSALS};
use super::problem::Problem;
use super::proof::{ClientIp, LOGIN_REFUSALS, LoggedIn, Proven};
use crate::ControlPlane;
use crate::ids::ChallengeId;
use crate::otp::OtpError;

pub(super) fn operations(table: &mut Table<ControlPlane>) {
    let about = ("account", "Send a one-time code");
    table
        .post("/v1/otp", Rule::KeyOrLogin, about, request)
        .takes::<CodeWanted>()
        .refuses(LOGIN_REFUSALS)
        .refuses(BODY_REFUSALS)
        .may::<OtpError>();
}

#[derive(Deserialize, ToSchema)]
#[serde(tag = "purpose", rename_all = "snake_case", deny_unknown_fields)]
enum CodeWanted {
    /// To sign in.
    Login {
        /// Phone number.
        target: String,
    },
    /// To open the viewing window of a device.
    View {
        /// Serial.
        serial: String,
    },
}

#[derive(Serialize, ToSchema)]
pub(super) struct CodeSent {
    challenge_id: ChallengeId,
    /// Seconds after which another one may be asked for.
    resend_after: u64,
}

/// Sends a code. For signing in, the key's proof is enough; for viewing, a login is needed.
pub(super) async fn request(
    State(control_plane): State<ControlPlane>,
    ClientIp(ip): ClientIp,
    request: Request,
) -> Result<Accepted<CodeSent>, Problem> {
    let (mut parts, body) = request.into_parts();
    let with_token = parts.headers.contains_key(header::AUTHORIZATION);
    let session = if with_token {
        Some(LoggedIn::from_request_parts(&mut parts, &control_plane).await?.0)
    } else {
        None
    };
    let terminal = match &session {
        Some(session) => session.jkt,
        None => Proven::from_request_parts(&mut parts, &control_plane).await?.0,
    };
    let Body(wish) = Request::from_parts(parts, body).extract().await?;
    let sent = match (wish, session) {
        (CodeWanted::Login { target }, _) => {
            let target = Redacted::new(target);
            control_plane.request_login_code(target.expose(), terminal, ip).await?
        }
        (CodeWanted::View { serial }, Some(session)) => {
            control_plane.request_view_code(&session, &serial, ip).await?
        }
        (CodeWanted::View { .. }, None) => return Err(Problem::login_required()),
    };
    let sent = CodeSent { challenge_id: sent.challenge, resend_after: sent.resend_after };
    Ok(Accepted(sent))
}
