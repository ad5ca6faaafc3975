//! `POST /v1/otp`

use axum::extract::{FromRequestParts, Request, State};
use axum::http::{StatusCode, header};
use axum::{Json, RequestExt};
use serde::{Deserialize, Serialize};
use sightline_grant::Redacted;

use super::body::Body;
use super::problem::Problem;
use super::proof::{ClientIp, LoggedIn, Proven};
use crate::ControlPlane;
use crate::ids::ChallengeId;
use crate::sms::open::Worked;

#[derive(Deserialize)]
#[serde(tag = "purpose", rename_all = "snake_case", deny_unknown_fields)]
enum Wish {
    Login {
        target: String,
        #[serde(default)]
        work: Option<WorkDone>,
    },
    View {
        serial: String,
    },
}

/// Work that was done for a wish.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WorkDone {
    puzzle: String,
    answer: u64,
}

/// The same members whether a message goes or not. With `work`, nothing happened yet: the wish is to
/// be made again with the answer.
#[derive(Serialize)]
pub(super) struct Sent {
    challenge_id: ChallengeId,
    resend_after: u64,
    work: Option<WorkWanted>,
}

/// Work that is asked for before the wish is looked at.
#[derive(Serialize)]
struct WorkWanted {
    puzzle: String,
    bits: u8,
    expires_in: u64,
}

/// Sends a code. For signing in, the key's proof is enough; for viewing, a login is needed.
pub(super) async fn request(
    State(control_plane): State<ControlPlane>,
    ClientIp(ip): ClientIp,
    request: Request,
) -> Result<(StatusCode, Json<Sent>), Problem> {
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
        (Wish::Login { target, work }, _) => {
            let target = Redacted::new(target);
            let worked = work.map(|done| Worked { puzzle: done.puzzle, answer: done.answer });
            let wish =
                control_plane.request_login_code(target.expose(), terminal, ip, worked.as_ref());
            wish.await?
        }
        (Wish::View { serial }, Some(session)) => {
            control_plane.request_view_code(&session, &serial, ip).await?
        }
        (Wish::View { .. }, None) => return Err(Problem::login_required()),
    };
    let work = sent.work.map(|work| WorkWanted {
        puzzle: work.puzzle,
        bits: work.bits,
        expires_in: work.expires_in,
    });
    let sent = Sent { challenge_id: sent.challenge, resend_after: sent.resend_after, work };
    Ok((StatusCode::ACCEPTED, Json(sent)))
}
