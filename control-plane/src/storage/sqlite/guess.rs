//! Counting guesses: by the hour, by a ladder of locks, and in all.

use sqlx::{SqliteConnection, query};

use super::SqliteStore;
use super::otp::charge;
use super::row::{Columns, int};
use crate::limits::{
    GUESS_CLOSED_SECS, GUESS_LOCK_MAX_MINUTES, GUESS_QUIET_SECS, GUESSES_IN_ALL, GUESSES_PER_LOCK,
};
use crate::storage::Stored;
use crate::storage::model::{Charge, Guess, GuessKind, RetryAfter, Window};

/// A row of the table.
#[derive(Default)]
struct Budget {
    fails: u64,
    rung: u64,
    total: u64,
    locked_until: u64,
    closed_until: u64,
    at: u64,
}

impl Budget {
    /// Counts a guess, or says why it may not be made.
    fn count(&mut self, now: u64) -> Guess {
        if self.closed_until > now {
            return Guess::Closed(RetryAfter(self.closed_until - now));
        }
        if self.locked_until > now {
            return Guess::Locked(RetryAfter(self.locked_until - now));
        }
        if self.closed_until > 0 {
            *self = Self::default();
        }
        if now >= self.at + GUESS_QUIET_SECS {
            (self.fails, self.rung) = (0, 0);
        }
        self.at = now;
        self.fails += 1;
        self.total += 1;
        if self.fails >= GUESSES_PER_LOCK {
            let minutes = (1u64 << self.rung.min(6)).min(GUESS_LOCK_MAX_MINUTES);
            self.locked_until = now + minutes * 60;
            (self.fails, self.rung) = (0, self.rung + 1);
        }
        if self.total >= GUESSES_IN_ALL {
            self.closed_until = now + GUESS_CLOSED_SECS;
        }
        Guess::Counted
    }
}

pub(super) async fn count(
    store: &SqliteStore,
    kind: GuessKind,
    key: &[u8],
    hourly: &[Window],
    now: u64,
) -> Stored<Guess> {
    let mut tx = store.begin().await?;
    let mut budget = read(&mut tx, kind, key).await?;
    let verdict = budget.count(now);
    if verdict != Guess::Counted {
        return Ok(verdict);
    }
    let dimension = match kind {
        GuessKind::Code => "code-number",
        GuessKind::Password => "password-number",
    };
    let hour = [Charge { dimension, key: key.to_vec(), windows: hourly.to_vec() }];
    if let Err(wait) = charge(&mut tx, &hour, now).await? {
        return Ok(Guess::Locked(wait));
    }
    query(
        "INSERT INTO guess_budget
         (kind, key, fails, rung, total, locked_until, closed_until, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (kind, key) DO UPDATE SET
             fails = excluded.fails, rung = excluded.rung, total = excluded.total,
             locked_until = excluded.locked_until, closed_until = excluded.closed_until,
             at = excluded.at",
    )
    .bind(kind.as_str())
    .bind(key)
    .bind(int(budget.fails))
    .bind(int(budget.rung))
    .bind(int(budget.total))
    .bind(int(budget.locked_until))
    .bind(int(budget.closed_until))
    .bind(int(budget.at))
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(verdict)
}

pub(super) async fn right(store: &SqliteStore, kind: GuessKind, key: &[u8]) -> Stored<()> {
    query("DELETE FROM guess_budget WHERE kind = ?1 AND key = ?2")
        .bind(kind.as_str())
        .bind(key)
        .execute(&store.writer)
        .await?;
    Ok(())
}

async fn read(connection: &mut SqliteConnection, kind: GuessKind, key: &[u8]) -> Stored<Budget> {
    let row = query("SELECT * FROM guess_budget WHERE kind = ?1 AND key = ?2")
        .bind(kind.as_str())
        .bind(key)
        .fetch_optional(connection)
        .await?;
    let Some(row) = row else { return Ok(Budget::default()) };
    Ok(Budget {
        fails: row.num("fails")?,
        rung: row.num("rung")?,
        total: row.num("total")?,
        locked_until: row.num("locked_until")?,
        closed_until: row.num("closed_until")?,
        at: row.num("at")?,
    })
}
