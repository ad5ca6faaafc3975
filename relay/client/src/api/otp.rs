//! Work for a one-time code.

use serde::Serialize;

use super::{ApiError, OtpRequest};
use crate::work::{self, Work, WorkDone};

/// A wish for a code, with the work that was done for it.
#[derive(Serialize)]
pub(super) struct Wish<'a> {
    #[serde(flatten)]
    pub(super) request: &'a OtpRequest,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) work: Option<&'a WorkDone>,
}

/// Solves beside the runtime, since it takes a processor for a while.
pub(super) async fn solved(work: Work) -> Result<WorkDone, ApiError> {
    let done = tokio::task::spawn_blocking(move || work::solve(&work)).await;
    done.ok().flatten().ok_or(ApiError::Answer)
}
