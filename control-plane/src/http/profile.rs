//! `GET|PATCH /v1/me/profile`, `PATCH /v1/me`, `GET|PUT|DELETE /v1/me/avatar`

use std::time::Duration;

use axum::Json;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Deserializer, Serialize};
use sightline_grant::Redacted;
use sightline_operation::{NoContent, Rule, Table, refused};
use tokio::time::timeout;
use utoipa::ToSchema;

use super::body::Body;
use super::problem::Problem;
use super::proof::LoggedIn;
use crate::ControlPlane;
use crate::avatar::BadPicture;
use crate::limits::AVATAR_BYTES;
use crate::profile::{Profile, ProfileChange, ProfileError};

/// Time in which a picture must have arrived.
const PICTURE_TIMEOUT: Duration = Duration::from_secs(30);
/// Pictures that are taken.
const KINDS: [&str; 2] = ["image/jpeg", "image/png"];

pub(super) fn operations(table: &mut Table<ControlPlane>) {
    let about = ("profile", "What was added to the account");
    table.get("/v1/me/profile", Rule::Login, about, show);
    let about = ("profile", "Change what was added to the account; null deletes a value");
    table.patch("/v1/me", Rule::Login, about, change).may::<ProfileError>();
    let about = ("profile", "The account's picture");
    table
        .get("/v1/me/avatar", Rule::Login, about, avatar)
        .may::<ProfileError>()
        .answers(200, Some("image/jpeg"))
        .answers(200, Some("image/png"));
    let about =
        ("profile", "Store the account's picture; whatever else is in the file is taken out");
    table
        .put("/v1/me/avatar", Rule::Login, about, store_avatar)
        .may::<ProfileError>()
        .takes_text("image/*")
        .refuses(&[
            refused(408, "body-timeout", "The body did not arrive in time"),
            refused(415, "unsupported-media-type", "Send image/jpeg or image/png"),
        ]);
    let about = ("profile", "Delete the account's picture");
    table.delete("/v1/me/avatar", Rule::Login, about, delete_avatar).may::<ProfileError>();
}

#[derive(Serialize, ToSchema)]
pub(super) struct ProfileJson {
    nickname: Option<String>,
    /// ISO 3166 code.
    region: Option<String>,
    /// What the cameras are used for.
    scenario: Option<String>,
    /// Whether there is a picture.
    avatar: bool,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ProfilePatch {
    /// 1 to 64 characters.
    #[serde(default, deserialize_with = "present")]
    nickname: Option<Option<String>>,
    /// ISO 3166 code, such as CN or CN-31.
    #[serde(default, deserialize_with = "present")]
    region: Option<Option<String>>,
    /// home, shop, office, school, factory, farm, site or other.
    #[serde(default, deserialize_with = "present")]
    scenario: Option<Option<String>>,
}

/// Tells a null from a member that is not there.
fn present<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(value).map(Some)
}

impl From<Profile> for ProfileJson {
    fn from(profile: Profile) -> Self {
        let text = |value: Option<Redacted<String>>| value.map(Redacted::into_inner);
        Self {
            nickname: text(profile.nickname),
            region: text(profile.region),
            scenario: text(profile.scenario),
            avatar: profile.avatar,
        }
    }
}

/// The profile.
pub(super) async fn show(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
) -> Result<Json<ProfileJson>, Problem> {
    Ok(Json(control_plane.profile(&session).await?.into()))
}

/// Changes it.
pub(super) async fn change(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Body(body): Body<ProfilePatch>,
) -> Result<Json<ProfileJson>, Problem> {
    let secret = |value: Option<Option<String>>| value.map(|value| value.map(Redacted::new));
    let change = ProfileChange {
        nickname: secret(body.nickname),
        region: secret(body.region),
        scenario: secret(body.scenario),
    };
    control_plane.change_profile(&session, &change).await?;
    Ok(Json(control_plane.profile(&session).await?.into()))
}

/// The picture, for its owner only.
pub(super) async fn avatar(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
) -> Result<Response, Problem> {
    let picture = control_plane.avatar(&session).await?;
    let kind = HeaderValue::from_static(picture.media_type);
    Ok(([(header::CONTENT_TYPE, kind)], picture.file).into_response())
}

/// Stores a picture.
pub(super) async fn store_avatar(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    request: Request,
) -> Result<NoContent, Problem> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if !kind.is_some_and(|kind| KINDS.contains(&kind)) {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            "send image/jpeg or image/png",
        ));
    }
    let reading = timeout(PICTURE_TIMEOUT, to_bytes(request.into_body(), AVATAR_BYTES)).await;
    let file = reading.map_err(|_| {
        let detail = "the picture did not arrive in time";
        Problem::new(StatusCode::REQUEST_TIMEOUT, "body-timeout", detail)
    })?;
    let file = file.map_err(|_| ProfileError::Picture(BadPicture::Bytes))?;
    control_plane.store_avatar(&session, &file).await?;
    Ok(NoContent)
}

/// Deletes it.
pub(super) async fn delete_avatar(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
) -> Result<NoContent, Problem> {
    control_plane.delete_avatar(&session).await?;
    Ok(NoContent)
}
