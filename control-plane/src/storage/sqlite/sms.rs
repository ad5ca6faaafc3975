//! The budget of text messages.

use std::collections::BTreeMap;

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{SqliteConnection, SqlitePool, query};

use super::SqliteStore;
use super::otp::take_up;
use super::row::{Columns, int};
use crate::ids::{AccountId, ChallengeId};
use crate::limits::{OTP_TRIES, SMS_BUCKETS_SECS, SMS_DECISIONS_SECS, SMS_PAIR_SECS};
use crate::sms::budget::bucket::Bucket;
use crate::sms::budget::{self, Ask, COMPETING, Counts, Dimension, MOST_RECENT, Policy, Verdict};
use crate::storage::model::{Delivery, OtpChallenge, SmsAsk, SmsDecision, SmsOpened};
use crate::storage::{SmsStore, StoreError, Stored};

/// Every dimension that has buckets.
const ALL: [Dimension; 7] = [
    Dimension::Prefix,
    Dimension::Dial,
    Dimension::Network,
    Dimension::Terminal,
    Dimension::Account,
    Dimension::Money,
    Dimension::Asks,
];
/// Longest span that a policy looks back over, seconds.
const LOOK_BACK_SECS: u64 = 24 * 60 * 60;

#[async_trait]
impl SmsStore for SqliteStore {
    async fn sms_open(
        &self,
        challenge: &OtpChallenge,
        ask: &SmsAsk,
        policy: &Policy,
        now: u64,
    ) -> Stored<SmsOpened> {
        let mut tx = self.begin().await?;
        if let Some(last) = last_ask(&mut tx, ask).await?
            && now < last + policy.pause
        {
            return Ok(SmsOpened::Again(last + policy.pause - now));
        }
        let wish = Ask {
            of_account: ask.account.is_some(),
            known_pair: is_known(&mut tx, ask, now).await?,
            worked: ask.worked,
            dial: ask.dial,
        };
        let counts = counts(&mut tx, ask, now).await?;
        let decision = budget::decide(policy, &counts, &wish, now);
        let (sends_at, held) = match decision.verdict {
            Verdict::Work(bits) => return Ok(SmsOpened::Work(bits)),
            Verdict::TooMany(wait) => return Ok(SmsOpened::Again(wait)),
            Verdict::Send(at) => (at, None),
            Verdict::Hold(held) => (now, Some(held.as_str())),
        };
        for (dimension, bucket) in &decision.buckets {
            if let Some(key) = ask.key(*dimension) {
                put_bucket(&mut tx, *dimension, &key, *bucket).await?;
            }
        }
        let cost = if held.is_some() { 0 } else { policy.price(ask.dial) };
        let entry = Entry {
            challenge,
            ask,
            trusted: wish.of_account || wish.known_pair,
            reason: held.or(decision.instead_of.map(budget::Held::as_str)),
            held: held.is_some(),
            cost,
            sends_at,
            now,
        };
        let challenge = record(&mut tx, &entry).await?;
        tx.commit().await?;
        Ok(SmsOpened::Open { challenge, held, cost })
    }

    async fn sms_answered(
        &self,
        challenge: &ChallengeId,
        policy: &Policy,
        now: u64,
    ) -> Stored<bool> {
        let mut tx = self.begin().await?;
        let answered = query(
            "UPDATE sms_decision SET answered_at = ?2
             WHERE challenge = ?1 AND decision = 'sent' AND answered_at IS NULL RETURNING *",
        )
        .bind(challenge.as_str())
        .bind(int(now))
        .fetch_all(&mut *tx)
        .await?;
        let Some(first) = answered.first() else { return Ok(false) };
        query(
            "INSERT INTO sms_pair (number, terminal, answered_at) VALUES (?1, ?2, ?3)
             ON CONFLICT (number, terminal) DO UPDATE SET answered_at = excluded.answered_at",
        )
        .bind(first.blob("number")?)
        .bind(first.blob("terminal")?)
        .bind(int(now))
        .execute(&mut *tx)
        .await?;
        for row in &answered {
            give_back(&mut tx, row, policy, now).await?;
        }
        tx.commit().await?;
        Ok(true)
    }

    async fn sms_delivery(&self, outbox: u64, from: Delivery, to: Delivery) -> Stored<bool> {
        let mut tx = self.begin().await?;
        let counted = query("SELECT 1 FROM sms_decision WHERE outbox = ?1")
            .bind(int(outbox))
            .fetch_optional(&mut *tx)
            .await?;
        if counted.is_none() {
            return Ok(true);
        }
        let done =
            query("UPDATE sms_decision SET delivery = ?3 WHERE outbox = ?1 AND delivery = ?2")
                .bind(int(outbox))
                .bind(from.as_str())
                .bind(to.as_str())
                .execute(&mut *tx)
                .await?;
        tx.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    async fn sms_decisions(&self, limit: u64) -> Stored<Vec<SmsDecision>> {
        query("SELECT * FROM sms_decision ORDER BY id DESC LIMIT ?1")
            .bind(int(limit))
            .fetch_all(&self.reader)
            .await?
            .iter()
            .map(|row| {
                Ok(SmsDecision {
                    at: row.num("at")?,
                    purpose: row.text("purpose")?,
                    decision: row.text("decision")?,
                    reason: row.opt_text("reason")?,
                    trusted: row.num("trusted")? == 1,
                    dial: dial(row)?,
                    cost: row.num("cost")?,
                    delivery: row.text("delivery")?,
                    answered_at: row.opt_num("answered_at")?,
                })
            })
            .collect()
    }
}

/// What is written of a decision.
struct Entry<'a> {
    challenge: &'a OtpChallenge,
    ask: &'a SmsAsk,
    trusted: bool,
    reason: Option<&'static str>,
    held: bool,
    cost: u64,
    sends_at: u64,
    now: u64,
}

/// Opens or takes up the challenge and writes message and decision. A code that was never sent must
/// not be guessed at in silence, so the challenge of a held message has no tries.
async fn record(connection: &mut SqliteConnection, entry: &Entry<'_>) -> Stored<ChallengeId> {
    let (id, fresh) = take_up(connection, entry.challenge, entry.now).await?;
    query("UPDATE otp_challenge SET tries = max(tries, ?2) WHERE id = ?1")
        .bind(id.as_str())
        .bind(if entry.held && fresh { int(OTP_TRIES) } else { 0 })
        .execute(&mut *connection)
        .await?;
    let outbox = query(
        "INSERT INTO outbox (channel, kind, reference, account, created_at, next_at, done_at)
         VALUES ('sms', 'otp', ?1, ?2, ?3, ?4, ?5) RETURNING id",
    )
    .bind(id.as_str())
    .bind(entry.challenge.account.as_ref().map(AccountId::as_str))
    .bind(int(entry.now))
    .bind(int(entry.sends_at))
    .bind(entry.held.then_some(int(entry.now)))
    .fetch_one(&mut *connection)
    .await?
    .num("id")?;
    let delivery = if entry.held { Delivery::None } else { Delivery::Queued };
    query(
        "INSERT INTO sms_decision (challenge, purpose, decision, reason, trusted, number, prefix,
             network, terminal, account, dial, cost, at, sends_at, outbox, delivery)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
    )
    .bind(id.as_str())
    .bind(entry.challenge.purpose.as_str())
    .bind(if entry.held { "held" } else { "sent" })
    .bind(entry.reason)
    .bind(i64::from(entry.trusted))
    .bind(&entry.ask.number)
    .bind(&entry.ask.prefix)
    .bind(&entry.ask.network)
    .bind(&entry.ask.terminal)
    .bind(&entry.ask.account)
    .bind(i64::from(entry.ask.dial))
    .bind(int(entry.cost))
    .bind(int(entry.now))
    .bind(int(entry.sends_at))
    .bind(int(outbox))
    .bind(delivery.as_str())
    .execute(connection)
    .await?;
    Ok(id)
}

async fn last_ask(connection: &mut SqliteConnection, ask: &SmsAsk) -> Stored<Option<u64>> {
    query(
        "SELECT at FROM sms_decision WHERE number = ?1 AND terminal = ?2 ORDER BY at DESC LIMIT 1",
    )
    .bind(&ask.number)
    .bind(&ask.terminal)
    .fetch_optional(connection)
    .await?
    .map(|row| row.num("at"))
    .transpose()
}

async fn is_known(connection: &mut SqliteConnection, ask: &SmsAsk, now: u64) -> Stored<bool> {
    let pair =
        query("SELECT 1 FROM sms_pair WHERE number = ?1 AND terminal = ?2 AND answered_at > ?3")
            .bind(&ask.number)
            .bind(&ask.terminal)
            .bind(int(now.saturating_sub(SMS_PAIR_SECS)))
            .fetch_optional(connection)
            .await?;
    Ok(pair.is_some())
}

async fn counts(connection: &mut SqliteConnection, ask: &SmsAsk, now: u64) -> Stored<Counts> {
    let rows = query(
        "SELECT sends_at, trusted, answered_at FROM sms_decision
         WHERE number = ?1 AND decision = 'sent' AND sends_at > ?2
         ORDER BY sends_at DESC LIMIT ?3",
    )
    .bind(&ask.number)
    .bind(int(now.saturating_sub(LOOK_BACK_SECS)))
    .bind(int(MOST_RECENT))
    .fetch_all(&mut *connection)
    .await?;
    let (mut recent, mut strangers) = (Vec::with_capacity(rows.len()), Vec::new());
    for row in &rows {
        let sends_at = row.num("sends_at")?;
        recent.push(sends_at);
        if row.num("trusted")? == 0 && row.opt_num("answered_at")?.is_none() {
            strangers.push(sends_at);
        }
    }
    let mut buckets = BTreeMap::new();
    for dimension in ALL {
        if let Some(key) = ask.key(dimension)
            && let Some(bucket) = bucket(connection, dimension, &key).await?
        {
            buckets.insert(dimension, bucket);
        }
    }
    Ok(Counts { recent, strangers, buckets })
}

async fn bucket(
    connection: &mut SqliteConnection,
    dimension: Dimension,
    key: &[u8],
) -> Stored<Option<Bucket>> {
    query("SELECT remaining, gap, at FROM sms_bucket WHERE dimension = ?1 AND key = ?2")
        .bind(dimension.as_str())
        .bind(key)
        .fetch_optional(connection)
        .await?
        .map(|row| {
            Ok(Bucket { left: row.num("remaining")?, gap: row.num("gap")?, at: row.num("at")? })
        })
        .transpose()
}

async fn put_bucket(
    connection: &mut SqliteConnection,
    dimension: Dimension,
    key: &[u8],
    bucket: Bucket,
) -> Stored<()> {
    query(
        "INSERT INTO sms_bucket (dimension, key, remaining, gap, at) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (dimension, key) DO UPDATE SET
             remaining = excluded.remaining, gap = excluded.gap, at = excluded.at",
    )
    .bind(dimension.as_str())
    .bind(key)
    .bind(int(bucket.left))
    .bind(int(bucket.gap))
    .bind(int(bucket.at))
    .execute(connection)
    .await?;
    Ok(())
}

/// Gives the places of an answered message back.
async fn give_back(
    connection: &mut SqliteConnection,
    row: &SqliteRow,
    policy: &Policy,
    now: u64,
) -> Stored<()> {
    let ask = SmsAsk {
        number: row.blob("number")?,
        prefix: row.blob("prefix")?,
        network: row.blob("network")?,
        terminal: row.blob("terminal")?,
        account: row.opt_blob("account")?,
        dial: dial(row)?,
        worked: true,
    };
    let charged: &[Dimension] = match (row.num("trusted")?, &ask.account) {
        (0, _) => &COMPETING,
        (_, Some(_)) => &[Dimension::Account],
        (_, None) => &[],
    };
    for dimension in charged {
        if let Some(key) = ask.key(*dimension)
            && let Some(held) = bucket(connection, *dimension, &key).await?
        {
            let bucket = budget::answered(policy, *dimension, held, now);
            put_bucket(connection, *dimension, &key, bucket).await?;
        }
    }
    Ok(())
}

fn dial(row: &SqliteRow) -> Stored<u16> {
    u16::try_from(row.num("dial")?).map_err(|_| StoreError::Inconsistent("a calling code"))
}

/// Deletes what has outlived its time.
pub(super) async fn purge(writer: &SqlitePool, now: u64) -> Stored<u64> {
    let mut rows = 0;
    for (statement, keep) in [
        ("DELETE FROM sms_decision WHERE at <= ?1", SMS_DECISIONS_SECS),
        ("DELETE FROM sms_bucket WHERE at <= ?1", SMS_BUCKETS_SECS),
        ("DELETE FROM sms_pair WHERE answered_at <= ?1", SMS_PAIR_SECS),
    ] {
        let before = int(now.saturating_sub(keep));
        rows += query(statement).bind(before).execute(writer).await?.rows_affected();
    }
    Ok(rows)
}
