//! Proofs of device keys, and how those of terminals end with the viewer list.

use sqlx::sqlite::SqliteRow;
use sqlx::{SqliteConnection, query};

use super::SqliteStore;
use super::row::{Columns, int};
use crate::ids::{Serial, SessionId};
use crate::storage::Stored;
use crate::storage::model::{EndedProof, KeyProof, NewList, ProofBy};

/// Bits of a viewer list that the device secret stands for.
const ALL_SCOPES: u16 = 15;

/// Records a proof. `false` when the list that it stands on is not in force any more.
pub(super) async fn store(connection: &mut SqliteConnection, proof: &KeyProof) -> Stored<bool> {
    let (terminal, scopes) = match proof.by {
        ProofBy::Secret => (None, ALL_SCOPES),
        ProofBy::Terminal { signing, list, scopes } => {
            let row = query(
                "SELECT 1 FROM viewer_list
                 WHERE serial = ?1 AND binding_epoch = ?2 AND version = ?3",
            )
            .bind(proof.serial.as_str())
            .bind(int(proof.epochs.binding))
            .bind(int(list))
            .fetch_optional(&mut *connection)
            .await?;
            if row.is_none() {
                return Ok(false);
            }
            (Some(signing.to_vec()), scopes)
        }
    };
    query(
        "INSERT OR REPLACE INTO key_proof
         (session, serial, binding_epoch, key_epoch, terminal, expires, scopes)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )
    .bind(proof.session.as_str())
    .bind(proof.serial.as_str())
    .bind(int(proof.epochs.binding))
    .bind(int(proof.epochs.key))
    .bind(terminal)
    .bind(int(proof.expires))
    .bind(i64::from(scopes))
    .execute(connection)
    .await?;
    Ok(true)
}

/// Ends the proofs of terminals that a new list lets do less, and shortens those of terminals whose
/// time on it is shorter.
pub(super) async fn end_unlisted(
    connection: &mut SqliteConnection,
    list: &NewList,
) -> Stored<Vec<EndedProof>> {
    let rows = query(
        "SELECT p.number, p.session, p.serial, p.terminal, p.expires, p.scopes, s.account
         FROM key_proof p JOIN session s ON s.id = p.session
         WHERE p.serial = ?1 AND p.terminal IS NOT NULL",
    )
    .bind(list.serial.as_str())
    .fetch_all(&mut *connection)
    .await?;
    let mut ended = Vec::new();
    for row in &rows {
        let (terminal, account) = (row.blob("terminal")?, row.text("account")?);
        let listed = list.terminals.iter().find(|listed| {
            listed.signing.as_slice() == terminal && listed.account.as_str() == account
        });
        let (number, before) = (row.num("number")?, row.num("scopes")?);
        let listed = listed.filter(|listed| before & !u64::from(listed.scopes) == 0);
        match listed {
            Some(listed) => {
                query("UPDATE key_proof SET expires = ?2, scopes = ?3 WHERE number = ?1")
                    .bind(int(number))
                    .bind(int(listed.until.min(row.num("expires")?)))
                    .bind(i64::from(listed.scopes))
                    .execute(&mut *connection)
                    .await?;
            }
            None => {
                query("DELETE FROM key_proof WHERE number = ?1")
                    .bind(int(number))
                    .execute(&mut *connection)
                    .await?;
                ended.push(ended_proof(row)?);
            }
        }
    }
    Ok(ended)
}

/// Ends the proofs of terminals whose time is over. Asked often, so it writes only when it must.
pub(super) async fn end_expired(store: &SqliteStore, now: u64) -> Stored<Vec<EndedProof>> {
    let due = query("SELECT 1 FROM key_proof WHERE terminal IS NOT NULL AND expires <= ?1 LIMIT 1")
        .bind(int(now))
        .fetch_optional(&store.reader)
        .await?;
    if due.is_none() {
        return Ok(Vec::new());
    }
    let rows = query(
        "DELETE FROM key_proof WHERE terminal IS NOT NULL AND expires <= ?1
         RETURNING number, session, serial",
    )
    .bind(int(now))
    .fetch_all(&store.writer)
    .await?;
    rows.iter().map(ended_proof).collect()
}

fn ended_proof(row: &SqliteRow) -> Stored<EndedProof> {
    Ok(EndedProof {
        session: SessionId(row.text("session")?),
        serial: Serial(row.text("serial")?),
        number: row.num("number")?,
    })
}
