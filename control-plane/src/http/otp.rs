//! `POST /v1/otp`

use axum::RequestExt;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::{HeaderMap, header};
use serde::{Deserialize, Serialize};
use sightline_grant::Redacted;
use sightline_operation::{Accepted, Rule, Table};
use utoipa::ToSchema;

use super::body::{Body, REFUSALS as BODY_REFUSALS};
use super::problem::Problem;
use super::proof::{APP_BARRED, ClientIp, LOGIN_REFUSALS, LoggedIn, Proven};
use crate::ControlPlane;
use crate::identifier::IdentifierError;
use crate::ids::ChallengeId;
use crate::otp::OtpError;
use crate::sms::open::{Asking, Worked};
use crate::storage::model::IdentifierKind;

/// Carries the work that was done for a wish.
const WORK: &str = "sightline-work";

pub(super) fn operations(table: &mut Table<ControlPlane>) {
    let about = ("account", "Send a one-time code");
    table
        .post("/v1/otp", Rule::KeyOrLogin, about, request)
        .takes::<CodeWanted>()
        .refuses(LOGIN_REFUSALS)
        .refuses(BODY_REFUSALS)
        .may::<OtpError>()
        .may::<IdentifierError>();
}

#[derive(Deserialize, ToSchema)]
#[serde(tag = "purpose", rename_all = "snake_case", deny_unknown_fields)]
enum CodeWanted {
    /// To sign in.
    Login {
        /// Phone number with country code, or mail address.
        target: String,
    },
    /// To set a new password.
    Reset {
        /// Phone number with country code, or mail address.
        target: String,
    },
    /// To confirm who one is, for dangerous acts.
    Secure {
        /// Where the code goes; the first that may confirm something.
        to: Option<Reached>,
    },
    /// To prove a number or address that is to come to the account.
    Identifier {
        /// Phone number with country code, or mail address.
        target: String,
    },
    /// To open the viewing window of a device.
    View {
        /// Serial.
        serial: String,
    },
}

/// Kind of a number or address.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Reached {
    Phone,
    Email,
}

/// The same members whether a message goes or not. With `work`, nothing happened yet: the wish is to
/// be made again with the header `Sightline-Work: PUZZLE ANSWER`.
#[derive(Serialize, ToSchema)]
pub(super) struct CodeSent {
    challenge_id: ChallengeId,
    /// Seconds after which another one may be asked for.
    resend_after: u64,
    work: Option<WorkWanted>,
}

/// Work that is asked for before the wish is looked at.
#[derive(Serialize, ToSchema)]
struct WorkWanted {
    /// base64url. Its answer is the number whose eight bytes (big endian) behind the puzzle's give a
    /// SHA-256 with the leading zero bits.
    puzzle: String,
    /// Leading zero bits.
    bits: u8,
    /// Seconds in which it must be solved.
    expires_in: u64,
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
    let asking = Asking { ip, worked: worked(&parts.headers) };
    let Body(wish) = Request::from_parts(parts, body).extract().await?;
    let sent = match (wish, session) {
        (CodeWanted::Secure { .. } | CodeWanted::Identifier { .. }, Some(session))
            if session.app.is_some() =>
        {
            return Err(APP_BARRED.into());
        }
        (CodeWanted::Login { target }, _) => {
            let target = Redacted::new(target);
            control_plane.request_login_code(target.expose(), terminal, asking).await?
        }
        (CodeWanted::View { serial }, Some(session)) => {
            control_plane.request_view_code(&session, &serial, asking).await?
        }
        (CodeWanted::Reset { target }, _) => {
            let target = Redacted::new(target);
            control_plane.request_reset_code(target.expose(), terminal, asking).await?
        }
        (CodeWanted::Secure { to }, Some(session)) => {
            let kind = to.map(|to| match to {
                Reached::Phone => IdentifierKind::Phone,
                Reached::Email => IdentifierKind::Email,
            });
            control_plane.request_secure_code(&session, kind, asking).await?
        }
        (CodeWanted::Identifier { target }, Some(session)) => {
            let target = Redacted::new(target);
            control_plane.request_identifier_code(&session, target.expose(), asking).await?
        }
        (_, None) => return Err(Problem::login_required()),
    };
    let work = sent.work.map(|work| WorkWanted {
        puzzle: work.puzzle,
        bits: work.bits,
        expires_in: work.expires_in,
    });
    Ok(Accepted(CodeSent { challenge_id: sent.challenge, resend_after: sent.resend_after, work }))
}

/// Work that was done for a wish; what is none counts as none.
fn worked(headers: &HeaderMap) -> Option<Worked> {
    let (puzzle, answer) = headers.get(WORK)?.to_str().ok()?.split_once(' ')?;
    Some(Worked { puzzle: puzzle.to_owned(), answer: answer.parse().ok()? })
}
