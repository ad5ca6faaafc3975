//! `GET /v1/me/alerts`, `POST /v1/me/alerts/{id}/approval`

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Serialize;
use sightline_operation::{NoContent, Refusals, Refused, Rule, Table, refused};
use utoipa::ToSchema;

use super::page::{Page, Paging};
use super::problem::Problem;
use super::proof::LoggedIn;
use crate::ControlPlane;
use crate::abnormal::{Kind, LoginHeld};
use crate::consent::ConsentError;
use crate::ids::TerminalId;

pub(super) fn operations(table: &mut Table<ControlPlane>) {
    let about = ("account", "Unusual logins of the account, newest first");
    table.get("/v1/me/alerts", Rule::OwnLogin, about, list);
    let about = ("account", "Agree to the login of another terminal that is held");
    table.post("/v1/me/alerts/{id}/approval", Rule::OwnLogin, about, approve).refuses(&[refused(
        404,
        "not-found",
        "No login of this id is held, or this terminal's is",
    )]);
}

#[derive(Serialize, ToSchema)]
pub(super) struct AlertJson {
    id: String,
    /// Terminal that signed in.
    terminal: TerminalId,
    /// `new-terminal`, `new-network`, `code-abuse`, `impossible`.
    kinds: Vec<String>,
    /// Unix seconds.
    at: u64,
    /// Whether the login was held until another terminal agrees.
    held: bool,
    /// When one did, Unix seconds.
    approved_at: Option<u64>,
}

/// Unusual logins.
pub(super) async fn list(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    paging: Paging,
) -> Result<Json<Page<AlertJson>>, Problem> {
    let alerts = control_plane.alerts(&session).await?;
    let name = |kind: Kind| kind.as_str().to_owned();
    let shown = alerts.into_iter().map(|alert| {
        // Newest first; ids make the order whole.
        let key = format!("{:020} {}", u64::MAX - alert.at, alert.id);
        let shown = AlertJson {
            id: alert.id,
            terminal: alert.terminal,
            kinds: alert.kinds.into_iter().map(name).collect(),
            at: alert.at,
            held: alert.held,
            approved_at: alert.approved_at,
        };
        (key, shown)
    });
    Ok(Json(Page::of(shown, &paging)))
}

/// Agrees to a login that is held.
pub(super) async fn approve(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Path(id): Path<String>,
) -> Result<NoContent, Problem> {
    if control_plane.approve_login(&session, &id).await? {
        return Ok(NoContent);
    }
    Err(Problem::not_found("no login of this id is held"))
}

impl Refusals for LoginHeld {
    fn refusals() -> Vec<Refused> {
        let text =
            "The login is unusual; agree to it on another terminal of the account, sign in again";
        let mut all = vec![refused(403, "login-held", text)];
        all.extend(ConsentError::refusals());
        all
    }
}

impl From<LoginHeld> for Problem {
    fn from(error: LoginHeld) -> Self {
        match error {
            LoginHeld::Held => Self::new(StatusCode::FORBIDDEN, "login-held", error),
            LoginHeld::Consent(error) => error.into(),
            LoginHeld::Inner(inner) => inner.into(),
        }
    }
}
