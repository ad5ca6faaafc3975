//! `/healthz` (the process answers) and `/readyz` (it can do its work).

use std::sync::Arc;

use axum::extract::State;
use sightline_operation::{NO_PURPOSE, Rule, Table};

use crate::problem::Problem;
use crate::refusals;
use crate::state::Signaling;

pub(crate) fn operations(table: &mut Table<Arc<Signaling>>) {
    let about = (NO_PURPOSE, "Whether the process answers");
    table.get("/healthz", Rule::Public, about, healthz);
    let about = (NO_PURPOSE, "Whether the server can do its work");
    table
        .get("/readyz", Rule::Public, about, readyz)
        .refuses(&refusals::list([Problem::Unavailable]));
}

pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

pub(crate) async fn readyz(
    State(signaling): State<Arc<Signaling>>,
) -> Result<&'static str, Problem> {
    if signaling.directory.ready().await { Ok("ready\n") } else { Err(Problem::Unavailable) }
}
