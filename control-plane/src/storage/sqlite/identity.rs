//! Logins at identity providers.

use std::collections::BTreeSet;

use async_trait::async_trait;
use sightline_grant::Thumbprint;
use sqlx::sqlite::SqliteRow;
use sqlx::{SqliteConnection, query};

use super::SqliteStore;
use super::credential::tell;
use super::row::{Columns, enqueue, int, log};
use crate::federation::REVOKE_CHANNEL;
use crate::ids::{AccountId, SessionId};
use crate::storage::model::{
    FlowPurpose, Identity, IdentityBinding, IdentityBound, IdentityFlow, IdentityRevocation,
    IdentityUnbinding, IdentityUnbound, IdentityUse, NewIdentity,
};
use crate::storage::{IdentityStore, StoreError, Stored};

#[async_trait]
impl IdentityStore for SqliteStore {
    async fn identity_flow_open(&self, flow: &IdentityFlow) -> Stored<()> {
        query(
            "INSERT INTO identity_flow
             (id, provider, purpose, session, jkt, redirect, began_at, expires_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )
        .bind(&flow.id)
        .bind(&flow.provider)
        .bind(flow.purpose.as_str())
        .bind(flow.session.as_ref().map(SessionId::as_str))
        .bind(flow.jkt.to_string())
        .bind(&flow.redirect)
        .bind(int(flow.began_at))
        .bind(int(flow.expires_at))
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    async fn identity_flow_take(
        &self,
        id: &str,
        jkt: Thumbprint,
        purpose: FlowPurpose,
        session: Option<&SessionId>,
        now: u64,
    ) -> Stored<Option<IdentityFlow>> {
        let row = query(
            "DELETE FROM identity_flow
             WHERE id = ?1 AND jkt = ?2 AND purpose = ?3 AND session IS ?4 AND expires_at > ?5
             RETURNING *",
        )
        .bind(id)
        .bind(jkt.to_string())
        .bind(purpose.as_str())
        .bind(session.map(SessionId::as_str))
        .bind(int(now))
        .fetch_optional(&self.writer)
        .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(IdentityFlow {
            id: row.text("id")?,
            provider: row.text("provider")?,
            purpose,
            session: row.opt_text("session")?.map(SessionId),
            jkt: row.thumbprint("jkt")?,
            redirect: row.text("redirect")?,
            began_at: row.num("began_at")?,
            expires_at: row.num("expires_at")?,
        }))
    }

    async fn identity_by_lookup(&self, lookup: &[u8]) -> Stored<Option<Identity>> {
        query(
            "SELECT i.* FROM identity i JOIN account a ON a.id = i.account
             WHERE i.lookup = ?1 AND a.status = 'active'",
        )
        .bind(lookup)
        .fetch_optional(&self.reader)
        .await?
        .as_ref()
        .map(identity)
        .transpose()
    }

    async fn identities(&self, account: &AccountId) -> Stored<Vec<Identity>> {
        query("SELECT * FROM identity WHERE account = ?1 ORDER BY bound_at, id")
            .bind(account.as_str())
            .fetch_all(&self.reader)
            .await?
            .iter()
            .map(identity)
            .collect()
    }

    async fn identity_bind(&self, binding: &IdentityBinding, now: u64) -> Stored<IdentityBound> {
        let mut tx = self.begin().await?;
        let (account, new) = (&binding.account, &binding.new);
        let taken = query("SELECT 1 FROM identity WHERE lookup = ?1")
            .bind(&new.lookup)
            .fetch_optional(&mut *tx)
            .await?;
        if taken.is_some() {
            return Ok(IdentityBound::Taken);
        }
        let held = query("SELECT count(*) AS held FROM identity WHERE account = ?1")
            .bind(account.as_str())
            .fetch_one(&mut *tx)
            .await?;
        if held.num("held")? >= binding.most {
            return Ok(IdentityBound::Full);
        }
        insert(&mut tx, account, new, now).await?;
        told_of(&mut tx, account, "identity.bound", "identity_bound", new, now).await?;
        tell(&mut tx, account.as_str(), &binding.notices, now).await?;
        tx.commit().await?;
        Ok(IdentityBound::Done)
    }

    async fn identity_rebind(&self, again: &IdentityUse, now: u64) -> Stored<bool> {
        let mut tx = self.begin().await?;
        query("UPDATE identity SET suspended_at = NULL WHERE id = ?1 AND account = ?2")
            .bind(&again.newest.id)
            .bind(again.account.as_str())
            .execute(&mut *tx)
            .await?;
        if !used(&mut tx, again, now).await? {
            return Ok(false);
        }
        let (account, newest) = (&again.account, &again.newest);
        told_of(&mut tx, account, "identity.bound", "identity_bound", newest, now).await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn identity_used(&self, again: &IdentityUse, now: u64) -> Stored<bool> {
        let mut tx = self.begin().await?;
        let held = used(&mut tx, again, now).await?;
        tx.commit().await?;
        Ok(held)
    }

    async fn identity_may_unbind(&self, wish: &IdentityUnbinding<'_>) -> Stored<IdentityUnbound> {
        let mut connection = self.reader.acquire().await?;
        may_unbind(&mut connection, wish).await
    }

    async fn identity_unbind(
        &self,
        wish: &IdentityUnbinding<'_>,
        now: u64,
    ) -> Stored<IdentityUnbound> {
        let mut tx = self.begin().await?;
        let verdict = may_unbind(&mut tx, wish).await?;
        if verdict != IdentityUnbound::Done {
            return Ok(verdict);
        }
        unbind(&mut tx, wish.id, now).await?;
        tell(&mut tx, wish.account.as_str(), wish.notices, now).await?;
        tx.commit().await?;
        Ok(IdentityUnbound::Done)
    }

    async fn identities_unbound(&self, ids: &BTreeSet<String>, now: u64) -> Stored<u64> {
        let mut tx = self.begin().await?;
        let gone = unbound_before(&mut tx, ids, now).await?;
        tx.commit().await?;
        Ok(gone)
    }

    async fn identity_revocation(&self, id: &str) -> Stored<Option<IdentityRevocation>> {
        let row = query("SELECT * FROM identity_revocation WHERE id = ?1")
            .bind(id)
            .fetch_optional(&self.reader)
            .await?;
        row.map(|row| {
            let (provider, token_enc) = (row.text("provider")?, row.blob("token_enc")?);
            Ok(IdentityRevocation { provider, token_enc })
        })
        .transpose()
    }

    async fn identity_revoked(&self, id: &str, entry: u64, now: u64) -> Stored<()> {
        let mut tx = self.begin().await?;
        query("DELETE FROM identity_revocation WHERE id = ?1").bind(id).execute(&mut *tx).await?;
        query("UPDATE outbox SET done_at = ?2 WHERE id = ?1 AND done_at IS NULL")
            .bind(int(entry))
            .bind(int(now))
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Puts an identity on an account, in the transaction of whoever registers or binds it.
pub(super) async fn insert(
    connection: &mut SqliteConnection,
    account: &AccountId,
    new: &NewIdentity,
    now: u64,
) -> Stored<()> {
    query(
        "INSERT INTO identity
         (id, account, provider, lookup, subject_enc, token_enc, bound_at, last_used)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)",
    )
    .bind(&new.id)
    .bind(account.as_str())
    .bind(&new.provider)
    .bind(&new.lookup)
    .bind(&new.subject_enc)
    .bind(&new.token_enc)
    .bind(int(now))
    .execute(connection)
    .await?;
    Ok(())
}

/// The row takes the newest of everything. `false`: the account has it no more, or it is suspended.
///
/// A token that is replaced is not taken back: at some providers that would end the whole grant, the
/// newest token's too.
pub(super) async fn used(
    connection: &mut SqliteConnection,
    again: &IdentityUse,
    now: u64,
) -> Stored<bool> {
    let newest = &again.newest;
    let done = query(
        "UPDATE identity SET provider = ?3, lookup = ?4, subject_enc = ?5,
             token_enc = coalesce(?6, token_enc), last_used = ?7
         WHERE id = ?1 AND account = ?2 AND suspended_at IS NULL",
    )
    .bind(&newest.id)
    .bind(again.account.as_str())
    .bind(&newest.provider)
    .bind(&newest.lookup)
    .bind(&newest.subject_enc)
    .bind(&newest.token_enc)
    .bind(int(now))
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

async fn told_of(
    connection: &mut SqliteConnection,
    account: &AccountId,
    action: &str,
    message: &str,
    identity: &NewIdentity,
    now: u64,
) -> Stored<()> {
    let account = account.as_str();
    log(connection, account, action, &identity.provider, now).await?;
    enqueue(connection, "in_app", message, &identity.provider, Some(account), now).await
}

/// Whether something else signs in: a number or address, or another identity whose provider is there.
/// A passkey does not count: it may be taken off at any time, and comes back with no backup.
async fn may_unbind(
    connection: &mut SqliteConnection,
    wish: &IdentityUnbinding<'_>,
) -> Stored<IdentityUnbound> {
    let usable = serde_json::to_string(wish.usable)
        .map_err(|_| StoreError::Inconsistent("the ids of the providers"))?;
    let row = query(
        "SELECT (SELECT count(*) FROM identity WHERE id = ?2 AND account = ?1) AS known,
                (SELECT count(*) FROM identifier WHERE account = ?1)
                + (SELECT count(*) FROM identity WHERE account = ?1 AND id <> ?2
                   AND suspended_at IS NULL
                   AND provider IN (SELECT value FROM json_each(?3))) AS others",
    )
    .bind(wish.account.as_str())
    .bind(wish.id)
    .bind(usable)
    .fetch_one(connection)
    .await?;
    Ok(match (row.num("known")?, row.num("others")?) {
        (0, _) => IdentityUnbound::Unknown,
        (_, 0) => IdentityUnbound::Last,
        _ => IdentityUnbound::Done,
    })
}

/// Takes an identity off its account, with a line of the log and a word in the app. Whether there was
/// one.
async fn unbind(connection: &mut SqliteConnection, id: &str, now: u64) -> Stored<bool> {
    let row = query("SELECT account, provider FROM identity WHERE id = ?1")
        .bind(id)
        .fetch_optional(&mut *connection)
        .await?;
    let Some(row) = row else { return Ok(false) };
    let (account, provider) = (row.text("account")?, row.text("provider")?);
    give_back(connection, "id", id, now).await?;
    query("DELETE FROM identity WHERE id = ?1").bind(id).execute(&mut *connection).await?;
    log(connection, &account, "identity.unbound", &provider, now).await?;
    enqueue(connection, "in_app", "identity_unbound", &provider, Some(&account), now).await?;
    Ok(true)
}

/// Takes off whatever was unbound before and is there all the same. How many.
pub(super) async fn unbound_before(
    connection: &mut SqliteConnection,
    ids: &BTreeSet<String>,
    now: u64,
) -> Stored<u64> {
    let mut gone = 0;
    for id in ids {
        gone += u64::from(unbind(connection, id, now).await?);
    }
    Ok(gone)
}

/// The grants of an account that is erased wait to be taken back; its identities go.
pub(super) async fn erase(
    connection: &mut SqliteConnection,
    account: &AccountId,
    now: u64,
) -> Stored<()> {
    give_back(connection, "account", account.as_str(), now).await?;
    query("DELETE FROM identity WHERE account = ?1")
        .bind(account.as_str())
        .execute(connection)
        .await?;
    Ok(())
}

/// Puts the grants of the identities with this `column` into the outbox. The entries name no account:
/// what it had in the outbox goes with it.
async fn give_back(
    connection: &mut SqliteConnection,
    column: &'static str,
    value: &str,
    now: u64,
) -> Stored<()> {
    let moved = format!(
        "INSERT INTO identity_revocation (id, provider, token_enc, created_at)
         SELECT id, provider, token_enc, ?2 FROM identity
         WHERE {column} = ?1 AND token_enc IS NOT NULL
         ON CONFLICT (id) DO NOTHING RETURNING id"
    );
    let rows = query(sqlx::AssertSqlSafe(moved))
        .bind(value)
        .bind(int(now))
        .fetch_all(&mut *connection)
        .await?;
    for row in rows {
        let id = row.text("id")?;
        enqueue(connection, REVOKE_CHANNEL, "identity_revoke", &id, None, now).await?;
    }
    Ok(())
}

/// Identities of a backup open nothing, but for those of an account that has no other way in.
pub(super) async fn suspend(connection: &mut SqliteConnection, now: u64) -> Stored<()> {
    query(
        "UPDATE identity SET suspended_at = ?1 WHERE suspended_at IS NULL
         AND EXISTS (SELECT 1 FROM identifier i WHERE i.account = identity.account)",
    )
    .bind(int(now))
    .execute(connection)
    .await?;
    Ok(())
}

fn identity(row: &SqliteRow) -> Stored<Identity> {
    Ok(Identity {
        id: row.text("id")?,
        account: AccountId(row.text("account")?),
        provider: row.text("provider")?,
        bound_at: row.num("bound_at")?,
        last_used: row.num("last_used")?,
        suspended: row.opt_num("suspended_at")?.is_some(),
    })
}
