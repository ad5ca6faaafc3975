//! What an app may know of the person.

use serde::Serialize;
use sightline_grant::{Redacted, Thumbprint};

use crate::ControlPlane;
use crate::consent::ACCOUNT;
use crate::error::Inner;
use crate::storage::model::AppLogin;
use crate::vault::token_hash;

/// What an app knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct UserInfo {
    /// Who the person is to this app.
    pub sub: String,
    /// The name that the person gave the account, if the person shows it to this app.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl ControlPlane {
    /// The live login of an app's access token. `proved`: the key that the request proved; a token
    /// that is bound to one is worth nothing without it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn app_login(
        &self,
        token: &Redacted<String>,
        proved: Option<Thumbprint>,
    ) -> Result<Option<AppLogin>, Inner> {
        let (hash, now) = (token_hash(token.expose()), self.now());
        let login = match self.store().app_login_by_access(&hash, now).await? {
            Some(login) => Some(login),
            None => match self.session(token).await? {
                Some(session) => self.store().app_login_of(&session.id, now).await?,
                None => None,
            },
        };
        let Some(login) = login.filter(|login| login.jkt == proved) else { return Ok(None) };
        // Nothing is processed of an account whose holder agrees to nothing.
        let basic = self.store().basic_mode(&login.account, ACCOUNT.id).await?;
        Ok(Some(login).filter(|_| !basic))
    }

    /// What the app of a login may know.
    ///
    /// # Errors
    /// When the database does not answer or a value does not open.
    pub async fn user_info(&self, login: &AppLogin) -> Result<UserInfo, Inner> {
        let name = match login.scopes.profile {
            true => self.nickname_of(&login.account).await?,
            false => None,
        };
        let name = name.map(Redacted::into_inner);
        Ok(UserInfo { sub: login.pairwise.clone(), name })
    }
}
