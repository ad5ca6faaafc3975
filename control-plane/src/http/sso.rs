//! The person's side of apps: `POST /v1/sso/requests`, `POST /v1/sso/authorizations`,
//! `GET /v1/me/apps`, `DELETE /v1/me/apps/{id}`

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use sightline_operation::{NoContent, Refusals, Refused, Rule, Table, refused};
use utoipa::ToSchema;

use super::body::Body;
use super::page::{Page, Paging};
use super::problem::Problem;
use super::proof::LoggedIn;
use super::refusals::LIMITED;
use crate::ControlPlane;
use crate::error::Inner;
use crate::ids::AppId;
use crate::sso::MyApp;
use crate::sso::authorize::{Answer, Decision, Question, RequestError};

pub(super) fn operations(table: &mut Table<ControlPlane>) {
    let about = ("account", "Which app asks to sign a person in, and what for");
    table.post("/v1/sso/requests", Rule::Public, about, read).may::<RequestError>();
    let about = ("account", "Answer an app that asks to sign a person in");
    table.post("/v1/sso/authorizations", Rule::OwnLogin, about, answer).may::<RequestError>();
    let about = ("account", "Apps that the account signs in to, and what they get");
    table.get("/v1/me/apps", Rule::OwnLogin, about, list);
    let about = ("account", "Take an app off the account; its logins end, and it is told");
    table.delete("/v1/me/apps/{id}", Rule::OwnLogin, about, take_off).refuses(&[refused(
        404,
        "not-found",
        "No such thing on this account",
    )]);
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AppRequestRead {
    /// Query of the authorisation endpoint as the app wrote it.
    query: String,
}

/// What the person says.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum AppDecision {
    Agree,
    Refuse,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AppRequestAnswered {
    /// Query of the authorisation endpoint as the app wrote it.
    query: String,
    /// Missing: nothing yet, and what was agreed to before counts.
    decision: Option<AppDecision>,
    /// Whether the app gets the name, if it asks for it.
    #[serde(default)]
    profile: bool,
}

/// An app as people see it.
#[derive(Serialize, ToSchema)]
struct AppJson {
    id: AppId,
    name: String,
    /// The operator's own: it gets a session of its own.
    first_party: bool,
    policy_url: String,
    policy_version: u32,
}

/// Either the browser goes somewhere, or the person is asked.
#[derive(Serialize, ToSchema)]
pub(super) struct AppRequestOutcome {
    /// Where the browser goes now.
    redirect_to: Option<String>,
    /// The app that asks.
    app: Option<AppJson>,
    /// What it asks for: `openid`, `profile`.
    scopes: Vec<&'static str>,
    /// Where the browser goes if nobody is signed in; without it, the person may sign in.
    unless_signed_in: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct MyAppJson {
    #[serde(flatten)]
    app: AppJson,
    /// Version of its policy that was agreed to.
    agreed_version: u32,
    /// What it gets: `openid`, `profile`.
    scopes: Vec<&'static str>,
    /// When it was first agreed to, Unix seconds.
    since: u64,
    /// Logins that it has now.
    logins: u64,
}

impl From<Answer> for AppRequestOutcome {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Back(to) => Self {
                redirect_to: Some(to),
                app: None,
                scopes: Vec::new(),
                unless_signed_in: None,
            },
            Answer::Ask(Question { app, scopes, unless_signed_in }) => Self {
                redirect_to: None,
                app: Some(app.into()),
                scopes: scopes.names(),
                unless_signed_in,
            },
        }
    }
}

impl From<crate::storage::model::App> for AppJson {
    fn from(app: crate::storage::model::App) -> Self {
        Self {
            id: app.id,
            name: app.name,
            first_party: app.first_party,
            policy_url: app.policy_url,
            policy_version: app.policy_version,
        }
    }
}

/// Which app asks.
pub(super) async fn read(
    State(control_plane): State<ControlPlane>,
    Body(body): Body<AppRequestRead>,
) -> Result<Json<AppRequestOutcome>, Problem> {
    Ok(Json(control_plane.read_app_request(&body.query).await?.into()))
}

/// What the person says to it.
pub(super) async fn answer(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Body(body): Body<AppRequestAnswered>,
) -> Result<Json<AppRequestOutcome>, Problem> {
    let decision = match body.decision {
        None => Decision::Unasked,
        Some(AppDecision::Agree) => Decision::Agreed { profile: body.profile },
        Some(AppDecision::Refuse) => Decision::Refused,
    };
    Ok(Json(control_plane.answer_app(&session, &body.query, decision).await?.into()))
}

/// Apps of the account.
pub(super) async fn list(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    paging: Paging,
) -> Result<Json<Page<MyAppJson>>, Problem> {
    let apps = control_plane.my_apps(&session).await?;
    let shown = apps.into_iter().map(|MyApp { app, consent, logins }| {
        let shown = MyAppJson {
            app: app.into(),
            agreed_version: consent.policy_version,
            scopes: consent.scopes.names(),
            since: consent.at,
            logins,
        };
        (shown.app.id.0.clone(), shown)
    });
    Ok(Json(Page::of(shown, &paging)))
}

/// Takes an app off the account.
pub(super) async fn take_off(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Path(id): Path<AppId>,
) -> Result<NoContent, Problem> {
    if control_plane.take_app_off(&session, &id).await? {
        return Ok(NoContent);
    }
    Err(Problem::not_found("no such app on this account"))
}

impl Refusals for RequestError {
    fn refusals() -> Vec<Refused> {
        let mut all = vec![
            refused(404, "app-unknown", "No app of this server has this client id and address"),
            refused(
                403,
                "confirmation-required",
                "The app wants a fresh sign-in; open a secure window, then ask again",
            ),
            LIMITED,
        ];
        all.extend(Inner::refusals());
        all
    }
}

impl From<RequestError> for Problem {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Unknown => Self::new(StatusCode::NOT_FOUND, "app-unknown", error),
            RequestError::ConfirmFirst => {
                Self::new(StatusCode::FORBIDDEN, "confirmation-required", error)
            }
            RequestError::Limited(wait) => Self::limited(wait.0, error),
            RequestError::Inner(inner) => inner.into(),
        }
    }
}
