//! Taking grants back at their providers: what an unbinding or an erasure leaves in the outbox. Tried for
//! a week, over restarts; then, or when it is done, the token goes.

use std::time::Duration;

use sightline_grant::Redacted;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::{NotRevoked, TOKEN_PLACE};
use crate::ControlPlane;
use crate::error::Inner;
use crate::limits::{REVOKE_ATTEMPTS, REVOKE_PAUSE_MAX_SECS, REVOKE_PAUSE_SECS};
use crate::storage::model::{IdentityRevocation, OutboxEntry};
use crate::vault::DoesNotOpen;

/// Longest time for one attempt; below the pause of the outbox, so that none runs twice at once.
const LIMIT: Duration = Duration::from_secs(8);

/// Pause after so many attempts, seconds.
fn pause(attempts: u64) -> u64 {
    let doubled = u32::try_from(attempts.saturating_sub(1)).ok().and_then(|n| 2u64.checked_pow(n));
    doubled
        .and_then(|times| times.checked_mul(REVOKE_PAUSE_SECS))
        .map_or(REVOKE_PAUSE_MAX_SECS, |pause| pause.min(REVOKE_PAUSE_MAX_SECS))
}

impl ControlPlane {
    /// Tries an entry once; whether it was closed.
    pub(crate) async fn take_grant_back(&self, entry: &OutboxEntry) -> bool {
        self.try_to_take_back(entry).await.unwrap_or_else(|error| {
            tracing::warn!(entry = entry.id, %error, "a grant waits to be taken back");
            false
        })
    }

    async fn try_to_take_back(&self, entry: &OutboxEntry) -> Result<bool, Inner> {
        let (id, now) = (entry.reference.as_str(), self.now());
        let Some(row) = self.store().identity_revocation(id).await? else {
            self.store().outbox_done(entry.id, now).await?;
            return Ok(true);
        };
        let tried = timeout(LIMIT, self.ask_provider(id, &row)).await;
        let tried = tried.unwrap_or_else(|_| Ok(Err(NotRevoked("no answer in time".into()))))?;
        let Err(error) = tried else {
            count(&row, "revoked");
            self.store().identity_revoked(id, entry.id, now).await?;
            return Ok(true);
        };
        let (provider, attempt) = (&row.provider, entry.attempts);
        if attempt >= REVOKE_ATTEMPTS {
            tracing::error!(provider, attempt, %error, "a grant is left to the provider");
            count(&row, "given-up");
            self.store().identity_revoked(id, entry.id, now).await?;
            return Ok(true);
        }
        tracing::warn!(provider, attempt, %error, "a grant was not taken back; it is tried again");
        self.store().outbox_defer(entry.id, now + pause(attempt)).await?;
        Ok(false)
    }

    async fn ask_provider(
        &self,
        id: &str,
        row: &IdentityRevocation,
    ) -> Result<Result<(), NotRevoked>, Inner> {
        let token = Zeroizing::new(self.vault().open_server(TOKEN_PLACE, id, &row.token_enc)?);
        let token = std::str::from_utf8(&token).map_err(|_| DoesNotOpen)?;
        // Its configuration may come back.
        let Some(provider) = self.identity_provider(&row.provider) else {
            return Ok(Err(NotRevoked("the server does not know this provider now".into())));
        };
        Ok(provider.revoke(&Redacted::new(token.to_owned())).await)
    }
}

fn count(row: &IdentityRevocation, state: &'static str) {
    let labels = [("provider", row.provider.clone()), ("state", state.to_owned())];
    metrics::counter!("sightline_identity_revocations_total", &labels).increment(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_and_all_of_them_are_a_week_or_so() {
        assert_eq!([pause(1), pause(2), pause(3)], [15, 30, 60]);
        assert_eq!(pause(11), 15 << 10);
        assert_eq!(pause(12), REVOKE_PAUSE_MAX_SECS);
        assert_eq!(pause(u64::MAX), REVOKE_PAUSE_MAX_SECS);
        let whole: u64 = (1..REVOKE_ATTEMPTS).map(pause).sum();
        assert!((7 * 86_400..10 * 86_400).contains(&whole), "{whole}");
    }
}
