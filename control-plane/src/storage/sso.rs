//! Apps that people sign in to with their account, and the logins that apps have.

use async_trait::async_trait;

use super::Stored;
use super::model::{
    App, AppCode, AppConsent, AppLogin, AppLogout, AppRotated, AppRotation, LoginTimes, NewAppCode,
    PersonsApp, Redeemed, Redemption, SigningKey,
};
use crate::ids::{AccountId, AppId, AppLoginId, SessionId};

/// Apps, what people agreed to, and logins of apps.
#[async_trait]
pub trait SsoStore {
    /// Registers an app. `false` when there are `most`.
    async fn app_add(&self, app: &App, most: u64) -> Stored<bool>;
    /// Every app, oldest first, suspended ones too.
    async fn apps(&self) -> Stored<Vec<App>>;
    /// One app. A suspended one is as good as unknown.
    async fn app(&self, id: &AppId) -> Stored<Option<App>>;
    /// Gives a confidential app another secret. `false`: there is no such app.
    async fn app_secret_put(&self, id: &AppId, hash: &[u8]) -> Stored<bool>;
    /// Names another privacy policy of an app. `false`: there is no such app.
    async fn app_policy_put(&self, id: &AppId, url: &str, version: u32) -> Stored<bool>;
    /// Lets a suspended app go on. `false`: there is no such app.
    async fn app_resume(&self, id: &AppId) -> Stored<bool>;
    /// Forgets an app; its logins end. Sessions that ended; `None`: no such app.
    async fn app_remove(&self, id: &AppId, now: u64) -> Stored<Option<Vec<SessionId>>>;

    /// Keys that are published, the one that signs first.
    async fn signing_keys(&self, now: u64) -> Stored<Vec<SigningKey>>;
    /// Puts a key in the place of the one that signs, which stays published until then; with
    /// `only_first`, only where there is none. `false`: nothing changed.
    async fn signing_key_put(
        &self,
        key: &SigningKey,
        published_until: u64,
        only_first: bool,
    ) -> Stored<bool>;

    /// What a person agreed that an app gets.
    async fn app_consent(&self, account: &AccountId, app: &AppId) -> Stored<Option<AppConsent>>;
    /// Apps of a person, by client id.
    async fn apps_of(&self, account: &AccountId, now: u64) -> Stored<Vec<PersonsApp>>;
    /// Takes an app off an account; its logins end. Sessions that ended; `None`: no such app there.
    async fn app_take_off(
        &self,
        account: &AccountId,
        app: &AppId,
        now: u64,
    ) -> Stored<Option<Vec<SessionId>>>;
    /// When a live login was opened and confirmed.
    async fn login_times(&self, session: &SessionId, now: u64) -> Stored<Option<LoginTimes>>;

    /// Keeps what is agreed to, and issues a code. `false`: nothing is or was agreed to, or the
    /// account is in basic mode.
    async fn app_code_issue(&self, code: &NewAppCode, now: u64) -> Stored<bool>;
    /// A code of this app that can still be traded.
    async fn app_code(&self, hash: &[u8], app: &AppId, now: u64) -> Stored<Option<AppCode>>;
    /// Uses a code up and opens the login that it leads to, if everything fits. Of an app and account
    /// the newest `most` logins stay.
    async fn app_code_redeem(
        &self,
        redemption: &Redemption,
        most: u64,
        now: u64,
    ) -> Stored<Redeemed>;
    /// Trades a refresh token of a third-party app for its successor; a second use outside the retry
    /// window ends the login.
    async fn app_refresh(&self, rotation: &AppRotation, now: u64) -> Stored<AppRotated>;
    /// The live login of a third-party app's access token.
    async fn app_login_by_access(&self, hash: &[u8], now: u64) -> Stored<Option<AppLogin>>;
    /// The live login that a first-party app's session belongs to.
    async fn app_login_of(&self, session: &SessionId, now: u64) -> Stored<Option<AppLogin>>;
    /// The login of an app that a token of any kind belongs to.
    async fn app_login_by_token(&self, hash: &[u8], app: &AppId) -> Stored<Option<AppLoginId>>;
    /// Ends a login at the app's own wish, which is not told again. Sessions that ended.
    async fn app_login_end(&self, login: &AppLoginId, now: u64) -> Stored<Vec<SessionId>>;

    /// A word that still has to go out.
    async fn app_logout(&self, id: &str) -> Stored<Option<AppLogout>>;
    /// It went out, or is given up.
    async fn app_logout_done(&self, id: &str) -> Stored<()>;
}
