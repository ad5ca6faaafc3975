//! `POST /v1/media-grants`: the gate.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use sightline_grant::grant::GRANT_TTL_SECS;
use sightline_grant::{Action, Grant, GrantId, Thumbprint};
use sightline_operation::{Created, Rule, Table};
use utoipa::ToSchema;

use crate::asked::{Asked, is_serial};
use crate::plane::{Admission, Caller};
use crate::problem::Problem;
use crate::refusals;
use crate::state::Signaling;

pub(crate) fn operations(table: &mut Table<Arc<Signaling>>) {
    let about = ("media.view", "Pass the gate: a grant for one media session");
    table
        .post("/v1/media-grants", Rule::OwnerOrGuest("of the action"), about, post)
        .takes::<GrantWanted>()
        .refuses(&refusals::body())
        .refuses(&refusals::login())
        .refuses(&refusals::gate());
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GrantWanted {
    serial: String,
    channel: u16,
    #[schema(value_type = String, pattern = "^(live|playback|download|talk)$")]
    action: Action,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Granted {
    grant: String,
    /// Unix seconds.
    expires_at: u64,
}

pub(crate) async fn post(
    State(signaling): State<Arc<Signaling>>,
    asked: Asked,
    body: Body,
) -> Result<Created<Granted>, Problem> {
    let access_token = asked.credential("DPoP").ok_or(Problem::LoginRequired)?;
    let proven = signaling.prove(&asked, Some(access_token.expose()))?;
    let wanted: GrantWanted = asked.json(body).await?;
    if !is_serial(&wanted.serial) {
        return Err(Problem::DeviceNotBound);
    }
    let caller = Caller { access_token, terminal: proven.terminal };
    let admitted = signaling
        .directory
        .admit(&caller, &wanted.serial, wanted.channel, wanted.action)
        .await
        .map_err(|refusal| {
            let problem = Problem::from(refusal);
            let name = problem.kind().name;
            metrics::counter!("sightline_gate_refusals_total", "problem" => name).increment(1);
            problem
        })?;
    signaling.spend(&proven)?;
    let grant = claims(wanted, admitted, proven.terminal, signaling.now())?;
    metrics::counter!("sightline_grants_total").increment(1);
    let granted = Granted { grant: signaling.signer.sign(&grant), expires_at: grant.expires_at };
    Ok(Created(granted))
}

fn claims(
    wanted: GrantWanted,
    admitted: Admission,
    terminal: Thumbprint,
    now: u64,
) -> Result<Grant, Problem> {
    let mut id = [0; 16];
    aws_lc_rs::rand::fill(&mut id).map_err(|_| Problem::Internal)?;
    Ok(Grant {
        id: GrantId(u128::from_be_bytes(id)),
        subject: admitted.subject,
        session: admitted.session,
        terminal,
        serial: wanted.serial,
        channel: wanted.channel,
        actions: vec![wanted.action],
        role: admitted.role,
        epochs: admitted.epochs,
        consent_seq: admitted.consent_seq,
        issued_at: now,
        expires_at: now + GRANT_TTL_SECS,
    })
}
