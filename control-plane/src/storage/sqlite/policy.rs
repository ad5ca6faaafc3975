//! Policies of products. The operator's, so no account's log has a line about them.

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{SqliteConnection, query};

use super::SqliteStore;
use super::row::{Columns, int};
use crate::storage::model::{ProductPolicy, ProductPolicyPut};
use crate::storage::{ProductPolicyStore, StoreError, Stored};

#[async_trait]
impl ProductPolicyStore for SqliteStore {
    async fn product_policies(&self) -> Stored<Vec<ProductPolicy>> {
        query("SELECT * FROM product_policy WHERE removed_at IS NULL ORDER BY product, purpose")
            .fetch_all(&self.reader)
            .await?
            .iter()
            .map(policy)
            .collect()
    }

    async fn product_policy_put(
        &self,
        policy: &ProductPolicy,
        most: u64,
        cut: bool,
        now: u64,
    ) -> Stored<ProductPolicyPut> {
        let mut tx = self.begin().await?;
        if let Some(refused) = refused(&mut tx, policy, most).await? {
            return Ok(refused);
        }
        let text = policy.text.as_ref();
        let fields = policy.fields.as_ref().map(|fields| serde_json::json!(fields).to_string());
        query(
            "INSERT INTO product_policy
             (id, product, purpose, version, optional, fields, retention, text_en, text_zh,
              changed_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
             ON CONFLICT (id) DO UPDATE SET
                 version = excluded.version, optional = excluded.optional,
                 fields = excluded.fields, retention = excluded.retention,
                 text_en = excluded.text_en, text_zh = excluded.text_zh,
                 changed_at = excluded.changed_at, removed_at = NULL",
        )
        .bind(&policy.id)
        .bind(&policy.product)
        .bind(&policy.purpose)
        .bind(i64::from(policy.version))
        .bind(policy.optional)
        .bind(fields)
        .bind(&policy.retention)
        .bind(text.map(|(en, _)| en))
        .bind(text.map(|(_, zh)| zh))
        .bind(int(now))
        .execute(&mut *tx)
        .await?;
        if cut {
            end_leases(&mut tx, &policy.product).await?;
        }
        tx.commit().await?;
        Ok(ProductPolicyPut::Done)
    }

    async fn product_policy_remove(
        &self,
        id: &str,
        cut: &'static str,
        now: u64,
    ) -> Stored<Option<String>> {
        let mut tx = self.begin().await?;
        let row = query(
            "UPDATE product_policy SET removed_at = ?2 WHERE id = ?1 AND removed_at IS NULL
             RETURNING product, purpose",
        )
        .bind(id)
        .bind(int(now))
        .fetch_optional(&mut *tx)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let purpose = row.text("purpose")?;
        if purpose == cut {
            end_leases(&mut tx, &row.text("product")?).await?;
        }
        tx.commit().await?;
        Ok(Some(purpose))
    }
}

/// Why a policy is not put in force, if it is not.
async fn refused(
    connection: &mut SqliteConnection,
    policy: &ProductPolicy,
    most: u64,
) -> Stored<Option<ProductPolicyPut>> {
    let known = query("SELECT * FROM product_policy WHERE id = ?1")
        .bind(&policy.id)
        .fetch_optional(&mut *connection)
        .await?;
    let mut in_force = false;
    if let Some(known) = known {
        let place = (known.text("product")?, known.text("purpose")?);
        if place != (policy.product.clone(), policy.purpose.clone()) {
            return Ok(Some(ProductPolicyPut::OtherPlace));
        }
        let last = version(&known)?;
        if policy.version <= last {
            return Ok(Some(ProductPolicyPut::NotNewer(last)));
        }
        in_force = known.opt_num("removed_at")?.is_none();
    }
    let others = query(
        "SELECT count(*) AS kept,
                max(iif(product = ?2 AND purpose = ?3, id, NULL)) AS taken
         FROM product_policy WHERE removed_at IS NULL AND id <> ?1",
    )
    .bind(&policy.id)
    .bind(&policy.product)
    .bind(&policy.purpose)
    .fetch_one(connection)
    .await?;
    if let Some(taken) = others.opt_text("taken")? {
        return Ok(Some(ProductPolicyPut::Taken(taken)));
    }
    let full = !in_force && others.num("kept")? >= most;
    Ok(full.then_some(ProductPolicyPut::Full))
}

/// What runs stands on a consent to another text than the one in force: it is admitted anew or ends.
async fn end_leases(connection: &mut SqliteConnection, product: &str) -> Stored<()> {
    query(
        "UPDATE account SET consent_epoch = consent_epoch + 1
         WHERE id IN (SELECT account FROM terminal WHERE client_type = ?1)",
    )
    .bind(product)
    .execute(connection)
    .await?;
    Ok(())
}

fn version(row: &SqliteRow) -> Stored<u32> {
    u32::try_from(row.num("version")?).map_err(|_| StoreError::Inconsistent("a version"))
}

fn policy(row: &SqliteRow) -> Stored<ProductPolicy> {
    let fields = row.opt_text("fields")?.map(|fields| serde_json::from_str(&fields)).transpose();
    Ok(ProductPolicy {
        id: row.text("id")?,
        product: row.text("product")?,
        purpose: row.text("purpose")?,
        version: version(row)?,
        optional: row.opt_num("optional")?.map(|optional| optional == 1),
        fields: fields.map_err(|_| StoreError::Inconsistent("fields of a policy"))?,
        retention: row.opt_text("retention")?,
        text: row.opt_text("text_en")?.zip(row.opt_text("text_zh")?),
    })
}
