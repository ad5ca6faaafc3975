//! `GET /v1/attestation-texts`, `GET|POST /v1/attestations`

use axum::Json;
use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde::{Deserialize, Serialize};
use sightline_operation::{Created, NO_PURPOSE, Rule, Table};
use utoipa::ToSchema;

use super::body::Body;
use super::page::Text;
use super::problem::Problem;
use super::proof::LoggedIn;
use super::query::{Asked, cursor, number};
use crate::ControlPlane;
use crate::attestation::{AttestationError, AttestationKind, TEXTS};
use crate::limits::PAGE;

pub(super) fn operations(table: &mut Table<ControlPlane>) {
    let about = (NO_PURPOSE, "What can be affirmed about the consent of others");
    table.get("/v1/attestation-texts", Rule::Public, about, texts);
    let about = ("account", "Affirm that others agree; kept for ever");
    table.post("/v1/attestations", Rule::Login, about, attest).may::<AttestationError>();
    let about = ("account", "What was affirmed, newest first");
    table.get("/v1/attestations", Rule::Login, about, list);
}

#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Affirmed {
    /// The persons who are filmed agree.
    Others,
    /// A guardian has authorised that a child's data is processed.
    Guardian,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewAttestation {
    kind: Affirmed,
    /// What it is about, such as a serial: letters, digits, -, _, . and :
    object: String,
    /// Version of the text that was read.
    version: u32,
}

#[derive(Serialize, ToSchema)]
pub(super) struct AttestationText {
    kind: Affirmed,
    version: u32,
    text: Text,
    /// SHA-256 of both texts with a line end between them, base64url.
    sha256: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct AttestationTexts {
    items: Vec<AttestationText>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Attested {
    /// Position.
    seq: u64,
}

#[derive(Serialize, ToSchema)]
pub(super) struct AttestationJson {
    /// Position.
    seq: u64,
    /// others or guardian.
    kind: String,
    object: String,
    version: u32,
    /// Hash of the text that was affirmed, base64url.
    sha256: String,
    terminal: String,
    /// Unix seconds.
    at: u64,
}

#[derive(Serialize, ToSchema)]
pub(super) struct AttestationPage {
    items: Vec<AttestationJson>,
    /// Cursor of the next page; missing on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AttestationsAsked {
    /// `next` of the page before.
    cursor: Option<String>,
}

impl From<Affirmed> for AttestationKind {
    fn from(kind: Affirmed) -> Self {
        match kind {
            Affirmed::Others => Self::Others,
            Affirmed::Guardian => Self::Guardian,
        }
    }
}

impl From<AttestationKind> for Affirmed {
    fn from(kind: AttestationKind) -> Self {
        match kind {
            AttestationKind::Others => Self::Others,
            AttestationKind::Guardian => Self::Guardian,
        }
    }
}

/// The texts; public.
pub(super) async fn texts() -> Json<AttestationTexts> {
    let shown = TEXTS.iter().map(|text| AttestationText {
        kind: text.kind.into(),
        version: text.version,
        text: Text { en: text.en, zh: text.zh },
        sha256: B64.encode(text.sha256()),
    });
    Json(AttestationTexts { items: shown.collect() })
}

/// Keeps one.
pub(super) async fn attest(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Body(body): Body<NewAttestation>,
) -> Result<Created<Attested>, Problem> {
    let kind = body.kind.into();
    let seq = control_plane.attest(&session, kind, &body.object, body.version).await?;
    Ok(Created(Attested { seq }))
}

/// Those of the account.
pub(super) async fn list(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Asked(asked): Asked<AttestationsAsked>,
) -> Result<Json<AttestationPage>, Problem> {
    let before = asked.cursor.as_deref().map(number).transpose()?;
    let held = control_plane.attestations(&session, before).await?;
    let next = held.last().filter(|_| held.len() as u64 == PAGE).map(|last| cursor(last.seq));
    let items = held.into_iter().map(|held| AttestationJson {
        seq: held.seq,
        kind: held.kind,
        object: held.object,
        version: held.version,
        sha256: B64.encode(held.text_sha256),
        terminal: held.terminal,
        at: held.at,
    });
    Ok(Json(AttestationPage { items: items.collect(), next }))
}
