//! Introductions between guests and owners.

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{SqliteConnection, query, query_scalar};

use super::SqliteStore;
use super::row::{Columns, int};
use crate::ids::{AccountId, TerminalId};
use crate::storage::model::{Introduction, IntroductionPut, NewIntroduction, Party};
use crate::storage::{IntroductionStore, Stored};

#[async_trait]
impl IntroductionStore for SqliteStore {
    async fn introduction_open(&self, new: &NewIntroduction, most: u64, now: u64) -> Stored<bool> {
        let mut tx = self.begin().await?;
        query("DELETE FROM introduction WHERE expires <= ?1 OR (code = ?2 AND guest_account = ?3)")
            .bind(int(now))
            .bind(&new.code)
            .bind(new.guest.account.as_str())
            .execute(&mut *tx)
            .await?;
        let open: i64 = query_scalar(
            "SELECT count(*) FROM introduction WHERE guest_account = ?1 AND added IS NULL",
        )
        .bind(new.guest.account.as_str())
        .fetch_one(&mut *tx)
        .await?;
        if open >= int(most) {
            return Ok(false);
        }
        query(
            "INSERT INTO introduction (code, guest_account, guest_terminal, commitment, expires)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )
        .bind(&new.code)
        .bind(new.guest.account.as_str())
        .bind(new.guest.terminal.as_str())
        .bind(&new.commitment)
        .bind(int(new.expires))
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn introduction(&self, code: &[u8], now: u64) -> Stored<Option<Introduction>> {
        let row = query("SELECT * FROM introduction WHERE code = ?1 AND expires > ?2")
            .bind(code)
            .bind(int(now))
            .fetch_optional(&self.reader)
            .await?;
        row.as_ref().map(read).transpose()
    }

    async fn introduction_reply(
        &self,
        code: &[u8],
        owner: &Party,
        reply: &[u8],
        now: u64,
    ) -> Stored<IntroductionPut> {
        let mut tx = self.begin().await?;
        let Some(found) = find(&mut tx, code, now).await? else {
            return Ok(IntroductionPut::Unknown);
        };
        if found.guest == *owner || found.owner.as_ref().is_some_and(|held| held != owner) {
            return Ok(IntroductionPut::Unknown);
        }
        if found.reply.as_deref() == Some(reply) {
            return Ok(IntroductionPut::Stored);
        }
        if found.reply.is_some() || found.added.is_some() {
            return Ok(IntroductionPut::OutOfTurn);
        }
        query(
            "UPDATE introduction SET owner_account = ?2, owner_terminal = ?3, reply = ?4
             WHERE code = ?1",
        )
        .bind(code)
        .bind(owner.account.as_str())
        .bind(owner.terminal.as_str())
        .bind(reply)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(IntroductionPut::Stored)
    }

    async fn introduction_reveal(
        &self,
        code: &[u8],
        guest: &Party,
        reveal: &[u8],
        now: u64,
    ) -> Stored<IntroductionPut> {
        let mut tx = self.begin().await?;
        let found = find(&mut tx, code, now).await?.filter(|found| found.guest == *guest);
        let Some(found) = found else { return Ok(IntroductionPut::Unknown) };
        if found.reveal.as_deref() == Some(reveal) {
            return Ok(IntroductionPut::Stored);
        }
        if found.reply.is_none() || found.reveal.is_some() || found.added.is_some() {
            return Ok(IntroductionPut::OutOfTurn);
        }
        query("UPDATE introduction SET reveal = ?2 WHERE code = ?1")
            .bind(code)
            .bind(reveal)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(IntroductionPut::Stored)
    }

    async fn introduction_end(
        &self,
        code: &[u8],
        party: &Party,
        added: bool,
        now: u64,
    ) -> Stored<IntroductionPut> {
        let mut tx = self.begin().await?;
        let Some(found) = find(&mut tx, code, now).await? else {
            return Ok(IntroductionPut::Unknown);
        };
        let statement = if found.guest == *party {
            query("DELETE FROM introduction WHERE code = ?1").bind(code)
        } else if found.owner.as_ref() == Some(party) {
            if added && found.reveal.is_none() {
                return Ok(IntroductionPut::OutOfTurn);
            }
            query(
                "UPDATE introduction SET added = ?2, commitment = x'', reply = NULL, reveal = NULL
                 WHERE code = ?1",
            )
            .bind(code)
            .bind(added)
        } else {
            return Ok(IntroductionPut::Unknown);
        };
        statement.execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(IntroductionPut::Stored)
    }
}

async fn find(
    connection: &mut SqliteConnection,
    code: &[u8],
    now: u64,
) -> Stored<Option<Introduction>> {
    let row = query("SELECT * FROM introduction WHERE code = ?1 AND expires > ?2")
        .bind(code)
        .bind(int(now))
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(read).transpose()
}

fn read(row: &SqliteRow) -> Stored<Introduction> {
    let owner = match (row.opt_text("owner_account")?, row.opt_text("owner_terminal")?) {
        (Some(account), Some(terminal)) => {
            Some(Party { account: AccountId(account), terminal: TerminalId(terminal) })
        }
        _ => None,
    };
    Ok(Introduction {
        guest: Party {
            account: AccountId(row.text("guest_account")?),
            terminal: TerminalId(row.text("guest_terminal")?),
        },
        owner,
        commitment: row.blob("commitment")?,
        reply: row.opt_blob("reply")?,
        reveal: row.opt_blob("reveal")?,
        added: row.opt_num("added")?.map(|added| added == 1),
        expires: row.num("expires")?,
    })
}
