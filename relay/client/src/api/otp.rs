//! Work for a one-time code.

use super::ApiError;
use crate::work::{self, Work, WorkDone};

/// Header that carries the work that was done for a wish.
pub(super) const WORK: &str = "sightline-work";

/// Solves beside the runtime, since it takes a processor for a while. The header's value.
pub(super) async fn solved(work: Work) -> Result<String, ApiError> {
    let done = tokio::task::spawn_blocking(move || work::solve(&work)).await;
    let WorkDone { puzzle, answer } = done.ok().flatten().ok_or(ApiError::Answer)?;
    Ok(format!("{puzzle} {answer}"))
}
