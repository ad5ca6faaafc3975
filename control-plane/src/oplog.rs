//! The operation log as its account sees it.

use crate::ControlPlane;
use crate::acting::NETWORK;
use crate::error::Inner;
use crate::ids::AccountId;
use crate::limits::{OPLOG_EXPORT, OPLOG_KEEP_SECS, PAGE, REFUSALS_LOGGED};
use crate::storage::model::{Charge, OplogFilter, OplogLine, Session};

/// Action of a line about a request that was refused.
pub const REFUSED: &str = "request.refused";

/// Which lines are asked for.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// From this time on, Unix seconds.
    pub since: Option<u64>,
    /// Before this time, Unix seconds.
    pub until: Option<u64>,
    /// An action, or the part before its dot.
    pub action: Option<String>,
    /// Lines older than this one.
    pub before: Option<u64>,
}

/// A line in clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The row.
    pub line: OplogLine,
    /// Network of the terminal that acted.
    pub network: Option<String>,
}

impl ControlPlane {
    /// A page of the account's log, newest first, of the last [`OPLOG_KEEP_SECS`].
    ///
    /// # Errors
    /// When the database does not answer or a value does not open.
    pub async fn operations(
        &self,
        session: &Session,
        wanted: &Wanted,
    ) -> Result<Vec<Entry>, Inner> {
        self.entries(session, wanted, PAGE).await
    }

    /// The newest [`OPLOG_EXPORT`] lines that fit.
    ///
    /// # Errors
    /// When the database does not answer or a value does not open.
    pub async fn export_operations(
        &self,
        session: &Session,
        wanted: &Wanted,
    ) -> Result<Vec<Entry>, Inner> {
        self.entries(session, wanted, OPLOG_EXPORT).await
    }

    /// Keeps that a request was refused, as long as the account has room for such lines.
    pub(crate) async fn log_refusal(
        &self,
        account: &AccountId,
        request: &str,
    ) -> Result<(), Inner> {
        let charge = Charge {
            dimension: "oplog-refused",
            key: self.vault().lookup("account", account.as_str()),
            windows: REFUSALS_LOGGED.to_vec(),
        };
        if self.store().charge(&[charge], self.now()).await?.is_ok() {
            self.store().oplog_refused(account, REFUSED, request, self.now()).await?;
        }
        Ok(())
    }

    async fn entries(
        &self,
        session: &Session,
        wanted: &Wanted,
        limit: u64,
    ) -> Result<Vec<Entry>, Inner> {
        let Some(account) = self.store().account(&session.account).await? else {
            return Ok(Vec::new());
        };
        let key = self.vault().subject_key(account.id.as_str(), &account.wrapped_key)?;
        let oldest = self.now().saturating_sub(OPLOG_KEEP_SECS);
        let filter = OplogFilter {
            account: account.id.clone(),
            since: wanted.since.unwrap_or(0).max(oldest),
            until: wanted.until.unwrap_or(u64::MAX),
            action: wanted.action.clone(),
            before: wanted.before,
            limit,
        };
        let lines = self.store().oplog_page(&filter).await?;
        let entries = lines.into_iter().map(|line| {
            let sealed = line.network_enc.as_ref();
            let network = sealed.map(|sealed| key.open(NETWORK, account.id.as_str(), sealed));
            Ok(Entry { network: network.transpose()?, line })
        });
        entries.collect()
    }
}
