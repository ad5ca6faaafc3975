//! `/healthz` (the process answers) and `/readyz` (it can do its work).

use std::sync::Arc;

use axum::extract::State;

use crate::problem::Problem;
use crate::state::Signaling;

pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

pub(crate) async fn readyz(
    State(signaling): State<Arc<Signaling>>,
) -> Result<&'static str, Problem> {
    if signaling.directory.ready().await { Ok("ready\n") } else { Err(Problem::Unavailable) }
}
