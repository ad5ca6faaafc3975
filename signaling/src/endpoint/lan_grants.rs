//! `POST /v1/lan-grants/{serial}/{channel}`: a grant with which a terminal previews a camera within
//! its own network while this server is away. It passes the whole gate now, since nobody can ask then.

use std::sync::Arc;

use axum::extract::{Path, State};
use serde::Serialize;
use sightline_grant::lan::LAN_GRANT_TTL_SECS;
use sightline_grant::{Action, LanGrant};
use sightline_operation::{Created, Rule, Table};
use utoipa::ToSchema;

use crate::asked::{Asked, is_serial};
use crate::plane::Caller;
use crate::problem::Problem;
use crate::refusals;
use crate::state::Signaling;

pub(crate) fn operations(table: &mut Table<Arc<Signaling>>) {
    let about = ("media.view", "A grant for preview within the camera's own network, for a day");
    table
        .post("/v1/lan-grants/{serial}/{channel}", Rule::OwnerOrGuest("view"), about, post)
        .refuses(&refusals::login())
        .refuses(&refusals::gate());
}

#[derive(Serialize, ToSchema)]
pub(crate) struct LanGranted {
    /// For the camera, with a proof of the terminal's key.
    grant: String,
    /// Last second, Unix.
    expires_at: u64,
}

pub(crate) async fn post(
    State(signaling): State<Arc<Signaling>>,
    Path((serial, channel)): Path<(String, String)>,
    asked: Asked,
) -> Result<Created<LanGranted>, Problem> {
    let access_token = asked.credential("DPoP").ok_or(Problem::LoginRequired)?;
    let proven = signaling.prove(&asked, Some(access_token.expose()))?;
    let channel = channel.parse().ok().filter(|_| is_serial(&serial));
    let channel = channel.ok_or(Problem::DeviceNotBound)?;
    let caller = Caller { access_token, terminal: proven.terminal };
    let admitted = signaling.directory.admit(&caller, &serial, channel, Action::Live).await?;
    signaling.spend(&proven)?;
    let now = signaling.now();
    let grant = LanGrant {
        serial,
        channel,
        terminal: proven.terminal,
        role: admitted.role,
        binding_epoch: admitted.epochs.binding,
        issued_at: now,
        expires_at: now + LAN_GRANT_TTL_SECS,
    };
    let text = signaling.signer.sign_lan(&grant);
    Ok(Created(LanGranted { grant: text, expires_at: grant.expires_at }))
}
