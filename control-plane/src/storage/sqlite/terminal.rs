//! Details of terminals.

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{SqliteConnection, query};

use super::SqliteStore;
use super::profile::consents;
use super::row::{Columns, int, log};
use crate::consent::TERMINAL_SECURITY;
use crate::ids::{AccountId, TerminalId};
use crate::storage::Stored;
use crate::storage::account::TerminalStore;
use crate::storage::model::{FactsPut, TerminalDetail};

#[async_trait]
impl TerminalStore for SqliteStore {
    async fn terminal_details(&self, account: &AccountId) -> Stored<Vec<TerminalDetail>> {
        let rows = query(
            "SELECT d.* FROM terminal_detail d JOIN terminal t ON t.id = d.terminal
             WHERE t.account = ?1 AND t.revoked_at IS NULL",
        )
        .bind(account.as_str())
        .fetch_all(&self.reader)
        .await?;
        rows.iter().map(detail).collect()
    }

    async fn terminal_seen(&self, terminal: &TerminalId, network_enc: &[u8]) -> Stored<()> {
        query(
            "INSERT INTO terminal_detail (terminal, network_enc)
             SELECT id, ?2 FROM terminal WHERE id = ?1
             ON CONFLICT (terminal) DO UPDATE SET network_enc = excluded.network_enc",
        )
        .bind(terminal.as_str())
        .bind(network_enc)
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    async fn terminal_facts_put(
        &self,
        account: &AccountId,
        terminal: &TerminalId,
        facts_enc: &[u8],
        expires: u64,
        now: u64,
    ) -> Stored<FactsPut> {
        let mut tx = self.begin().await?;
        if !signed_in(&mut tx, account, terminal).await? {
            return Ok(FactsPut::NoTerminal);
        }
        if !consents(&mut tx, account, TERMINAL_SECURITY.id).await? {
            return Ok(FactsPut::NoConsent);
        }
        query(
            "INSERT INTO terminal_detail (terminal, facts_enc, facts_expire) VALUES (?1, ?2, ?3)
             ON CONFLICT (terminal) DO UPDATE SET
                 facts_enc = excluded.facts_enc, facts_expire = excluded.facts_expire",
        )
        .bind(terminal.as_str())
        .bind(facts_enc)
        .bind(int(expires))
        .execute(&mut *tx)
        .await?;
        log(&mut tx, account.as_str(), "terminal.described", terminal.as_str(), now).await?;
        tx.commit().await?;
        Ok(FactsPut::Stored)
    }

    async fn terminal_permissions_put(
        &self,
        account: &AccountId,
        terminal: &TerminalId,
        permissions_enc: &[u8],
        now: u64,
    ) -> Stored<bool> {
        let mut tx = self.begin().await?;
        if !signed_in(&mut tx, account, terminal).await? {
            return Ok(false);
        }
        query(
            "INSERT INTO terminal_detail (terminal, permissions_enc, permissions_at)
             VALUES (?1, ?2, ?3)
             ON CONFLICT (terminal) DO UPDATE SET
                 permissions_enc = excluded.permissions_enc,
                 permissions_at = excluded.permissions_at",
        )
        .bind(terminal.as_str())
        .bind(permissions_enc)
        .bind(int(now))
        .execute(&mut *tx)
        .await?;
        log(&mut tx, account.as_str(), "terminal.permissions", terminal.as_str(), now).await?;
        tx.commit().await?;
        Ok(true)
    }
}

async fn signed_in(
    connection: &mut SqliteConnection,
    account: &AccountId,
    terminal: &TerminalId,
) -> Stored<bool> {
    let row = query("SELECT 1 FROM terminal WHERE id = ?1 AND account = ?2 AND revoked_at IS NULL")
        .bind(terminal.as_str())
        .bind(account.as_str())
        .fetch_optional(connection)
        .await?;
    Ok(row.is_some())
}

fn detail(row: &SqliteRow) -> Stored<TerminalDetail> {
    Ok(TerminalDetail {
        terminal: TerminalId(row.text("terminal")?),
        network_enc: row.opt_blob("network_enc")?,
        facts_enc: row.opt_blob("facts_enc")?,
        facts_expire: row.opt_num("facts_expire")?,
        permissions_enc: row.opt_blob("permissions_enc")?,
        permissions_at: row.opt_num("permissions_at")?,
    })
}
