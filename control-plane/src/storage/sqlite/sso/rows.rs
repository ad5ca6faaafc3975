//! Rows of apps and their logins.

use sqlx::sqlite::SqliteRow;
use sqlx::{SqliteConnection, query};

use crate::ids::{AccountId, AppId, AppLoginId, SessionId, Subject};
use crate::sso::scope::Scopes;
use crate::storage::model::{App, AppCode, AppConsent, AppLogin, SigningKey, TokenHashes};
use crate::storage::sqlite::row::{Columns, int};
use crate::storage::{StoreError, Stored};

pub(super) fn app(row: &SqliteRow) -> Stored<App> {
    let redirect_uris = serde_json::from_str(&row.text("redirect_uris")?);
    Ok(App {
        id: AppId(row.text("id")?),
        name: row.text("name")?,
        redirect_uris: redirect_uris
            .map_err(|_| StoreError::Inconsistent("a list of addresses"))?,
        first_party: row.num("first_party")? == 1,
        confidential: row.num("confidential")? == 1,
        secret_hash: row.opt_blob("secret_hash")?,
        policy_url: row.text("policy_url")?,
        policy_version: version(row)?,
        backchannel_uri: row.opt_text("backchannel_uri")?,
        created_at: row.num("created_at")?,
        suspended_at: row.opt_num("suspended_at")?,
    })
}

pub(super) fn consent(row: &SqliteRow) -> Stored<AppConsent> {
    let (policy_version, at) = (version(row)?, row.num("at")?);
    let (asked, scopes) = (scopes(row, "asked")?, scopes(row, "scopes")?);
    Ok(AppConsent { policy_version, asked, scopes, at })
}

pub(super) fn code(row: &SqliteRow) -> Stored<AppCode> {
    Ok(AppCode {
        account: AccountId(row.text("account")?),
        pairwise: row.text("pairwise")?,
        scopes: scopes(row, "scopes")?,
        nonce: row.opt_text("nonce")?,
        auth_time: row.num("auth_time")?,
    })
}

/// Of a row of `sso_grant` with the account's `subject`.
pub(super) fn login(row: &SqliteRow) -> Stored<AppLogin> {
    let jkt = row.opt_text("jkt")?.map(|jkt| jkt.parse());
    Ok(AppLogin {
        id: AppLoginId(row.text("id")?),
        app: AppId(row.text("app")?),
        account: AccountId(row.text("account")?),
        subject: Subject(row.text("subject")?),
        pairwise: row.text("pairwise")?,
        scopes: scopes(row, "scopes")?,
        jkt: jkt.transpose().map_err(|_| StoreError::Inconsistent("a key thumbprint"))?,
        auth_time: row.num("auth_time")?,
        session: row.opt_text("session")?.map(SessionId),
    })
}

pub(super) fn key(row: &SqliteRow) -> Stored<SigningKey> {
    Ok(SigningKey {
        kid: row.text("kid")?,
        public: row.blob("public")?,
        sealed: row.blob("sealed")?,
        created_at: row.num("created_at")?,
        published_until: row.opt_num("published_until")?,
    })
}

/// Adds a third-party app's tokens.
pub(super) async fn add_tokens(
    connection: &mut SqliteConnection,
    login: &AppLoginId,
    tokens: &TokenHashes,
    abs_expires: u64,
) -> Stored<()> {
    let access = (&tokens.access, "access", tokens.access_expires.min(abs_expires));
    let refresh = (&tokens.refresh, "refresh", abs_expires);
    for (hash, kind, expires) in [access, refresh] {
        query(
            "INSERT INTO sso_token (hash, granted, kind, expires) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (hash) DO NOTHING",
        )
        .bind(hash)
        .bind(login.as_str())
        .bind(kind)
        .bind(int(expires))
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

fn scopes(row: &SqliteRow, column: &str) -> Stored<Scopes> {
    Scopes::parse(&row.text(column)?).ok_or(StoreError::Inconsistent("scopes"))
}

fn version(row: &SqliteRow) -> Stored<u32> {
    let version = u32::try_from(row.num("policy_version")?);
    version.map_err(|_| StoreError::Inconsistent("a version"))
}
