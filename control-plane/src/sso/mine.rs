//! Apps of a person.

use crate::ControlPlane;
use crate::error::Inner;
use crate::ids::AppId;
use crate::storage::model::{PersonsApp, Session};

/// An app of a person.
pub type MyApp = PersonsApp;

impl ControlPlane {
    /// Apps that the person has agreed to.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn my_apps(&self, session: &Session) -> Result<Vec<MyApp>, Inner> {
        Ok(self.store().apps_of(&session.account, self.now()).await?)
    }

    /// Takes an app off the account: its logins end, and it is told. `false`: no such app there.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn take_app_off(&self, session: &Session, app: &AppId) -> Result<bool, Inner> {
        let ended = self.store().app_take_off(&session.account, app, self.now()).await?;
        let known = ended.is_some();
        self.announce_sessions(ended.unwrap_or_default());
        Ok(known)
    }
}
