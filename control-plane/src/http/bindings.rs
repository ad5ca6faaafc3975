//! `POST /v1/bindings`, `DELETE /v1/bindings/{serial}`

use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use sightline_operation::{Created, NoContent, Refusals, Refused, Rule, Table, refused};
use utoipa::ToSchema;

use super::body::{Body, bytes};
use super::problem::Problem;
use super::proof::{ClientIp, FullLogin, LoggedIn};
use crate::ControlPlane;
use crate::add_code::{AddCode, BadAddCode};
use crate::bind_client::BindClient;
use crate::binding::{BindError, BindRequest};
use crate::device_facts::FactError;
use crate::ids::ChallengeId;
use crate::storage::model::CodeKind;

pub(super) fn operations(table: &mut Table<ControlPlane>) {
    table
        .post("/v1/bindings", Rule::Login, ("account", "Bind a device to the account"), bind)
        .may::<BindError>()
        .may::<BindBodyError>();
    let about = ("account", "Unbind a device; all that hangs on the binding ends");
    table.delete("/v1/bindings/{serial}", Rule::Owner, about, unbind).refuses(&[refused(
        404,
        "device-not-bound",
        "No such device on this account",
    )]);
}

/// Either `payload`, or `serial` and `code`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Bind {
    /// Serial as printed.
    serial: Option<String>,
    /// Verification code as printed, or as issued.
    code: Option<String>,
    /// Text of a picture code, `SL3:...`, which has both.
    payload: Option<String>,
    /// Of an open device: the key challenge that was signed.
    challenge_id: Option<ChallengeId>,
    /// Of an open device: the challenge signed with the publish password's key, base64url.
    signature: Option<String>,
    /// The terminal that adds it, which needs consent to `device.bind`.
    client: Option<BindClient>,
}

/// What is wrong with a body, beside what its types say.
#[derive(Debug, thiserror::Error)]
pub(super) enum BindBodyError {
    #[error("send either the text of a picture code, or serial and code")]
    EitherOr,
    #[error(transparent)]
    Picture(#[from] BadAddCode),
    #[error("this code is for taking a device over from its owner; send it to /v1/transfers")]
    IsTransfer,
    #[error("this code is for a device without an owner; send it to /v1/bindings")]
    IsBinding,
}

impl From<BindBodyError> for Problem {
    fn from(error: BindBodyError) -> Self {
        let name = match error {
            BindBodyError::EitherOr | BindBodyError::Picture(_) => "add-code-invalid",
            BindBodyError::IsTransfer | BindBodyError::IsBinding => "add-code-other-kind",
        };
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, name, error)
    }
}

impl Refusals for BindBodyError {
    fn refusals() -> Vec<Refused> {
        let mut all = vec![
            refused(422, "add-code-invalid", "No code of a camera, or a misread one; scan again"),
            refused(
                422,
                "add-code-other-kind",
                "The code is for the other operation; its text says",
            ),
        ];
        all.extend(FactError::refusals());
        all
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct Bound {
    pub(super) serial: String,
    pub(super) binding_epoch: u64,
}

impl Bind {
    /// The request, for an operation that takes codes of this kind, and who adds the device.
    pub(super) fn read(self, kind: CodeKind) -> Result<(BindRequest, Option<BindClient>), Problem> {
        let proof = match (self.challenge_id, self.signature) {
            (Some(challenge), Some(signature)) => Some((challenge, bytes(&signature)?)),
            _ => None,
        };
        let (serial, code) = match (self.payload, self.serial, self.code) {
            (Some(text), None, None) => {
                let read = AddCode::parse(&text).map_err(BindBodyError::from)?;
                match (read.kind, kind) {
                    (CodeKind::Transfer, CodeKind::Bind) => {
                        return Err(BindBodyError::IsTransfer.into());
                    }
                    (CodeKind::Bind, CodeKind::Transfer) => {
                        return Err(BindBodyError::IsBinding.into());
                    }
                    _ => (read.serial.0, read.code.into_inner()),
                }
            }
            (None, Some(serial), Some(code)) => (serial.trim().to_owned(), code),
            _ => return Err(BindBodyError::EitherOr.into()),
        };
        Ok((BindRequest { serial, code, proof }, self.client))
    }
}

/// Binds a device.
pub(super) async fn bind(
    State(control_plane): State<ControlPlane>,
    ClientIp(ip): ClientIp,
    FullLogin(session): FullLogin,
    Body(body): Body<Bind>,
) -> Result<Created<Bound>, Problem> {
    let (request, client) = body.read(CodeKind::Bind)?;
    let client = match client {
        Some(client) => Some(control_plane.bind_client(&session, client).await?),
        None => None,
    };
    let epochs = control_plane.bind(&session, &request, ip).await?;
    if let Some(client) = client {
        control_plane.keep_bind_client(&session, &request.serial, &client).await?;
    }
    Ok(Created(Bound { serial: request.serial, binding_epoch: epochs.binding }))
}

/// Unbinds a device.
pub(super) async fn unbind(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Path(serial): Path<String>,
) -> Result<NoContent, Problem> {
    if control_plane.unbind(&session, &serial).await? {
        return Ok(NoContent);
    }
    let detail = "no such device on this account";
    Err(Problem::new(StatusCode::NOT_FOUND, "device-not-bound", detail))
}
