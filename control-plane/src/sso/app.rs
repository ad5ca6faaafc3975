//! Apps, as the operator registers them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use sightline_grant::Redacted;

use super::uri;
use crate::ControlPlane;
use crate::error::Inner;
use crate::ids::AppId;
use crate::limits::{APP_REDIRECTS, APPS, MAX_NAME_CHARS};
use crate::random;
use crate::storage::model::App;
use crate::vault::token_hash;

/// An app to register.
#[derive(Clone, Debug, Default)]
pub struct NewApp {
    /// Name that people read.
    pub name: String,
    /// Where a browser may be sent back to.
    pub redirect_uris: Vec<String>,
    /// The operator's own.
    pub first_party: bool,
    /// Without a secret: it proves a key of its own instead.
    pub public: bool,
    /// Its privacy policy.
    pub policy_url: String,
    /// Version of that.
    pub policy_version: u32,
    /// Where it is told that a login is over.
    pub backchannel_uri: Option<String>,
}

/// A registered app.
#[derive(Clone, Debug)]
pub struct AppAdded {
    /// Client id.
    pub id: AppId,
    /// Its secret, shown this one time.
    pub secret: Option<Redacted<String>>,
}

/// Why an app is not registered or changed.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// A value cannot be.
    #[error("{0}")]
    Bad(&'static str),
    /// Too many.
    #[error("there are {APPS} apps, which is as many as there may be")]
    Full,
    /// No such app.
    #[error("there is no such app")]
    Unknown,
    /// A public app has none.
    #[error("there is no such app, or it has no secret but proves its key")]
    NoSecret,
    /// It works, or there is none.
    #[error("there is no such app, or it is not suspended")]
    NotSuspended,
    /// See [`Inner`].
    #[error(transparent)]
    Inner(#[from] Inner),
}

impl NewApp {
    fn check(&self) -> Result<(), AppError> {
        let bad = |text| Err(AppError::Bad(text));
        let name = self.name.trim();
        let fits = (1..=MAX_NAME_CHARS).contains(&name.chars().count());
        if !fits || name.chars().any(char::is_control) {
            return bad("an app's name has 1 to 64 characters and no line breaks");
        }
        let uris = &self.redirect_uris;
        if !(1..=APP_REDIRECTS).contains(&uris.len()) {
            return bad("an app has 1 to 10 redirect addresses");
        }
        if !uris.iter().all(|uri| uri::is_redirect(uri)) {
            return bad("a redirect address is https, http on the same machine, or a scheme like \
                 com.example.app:/path; it has no fragment and at most 512 characters");
        }
        check_policy(&self.policy_url, self.policy_version)?;
        if !self.backchannel_uri.as_deref().is_none_or(uri::is_back_channel) {
            return bad("word of logouts goes to an https address, or to http on this machine");
        }
        Ok(())
    }
}

fn check_policy(url: &str, version: u32) -> Result<(), AppError> {
    if uri::is_page(url) && version > 0 {
        return Ok(());
    }
    Err(AppError::Bad("the privacy policy has an https address and a version from 1 on"))
}

impl ControlPlane {
    /// Registers an app.
    ///
    /// # Errors
    /// See [`AppError`].
    pub async fn add_app(&self, new: &NewApp) -> Result<AppAdded, AppError> {
        new.check()?;
        let secret = (!new.public).then(|| self.new_app_secret());
        let app = App {
            id: AppId(random::hex_id(self.random())),
            name: new.name.trim().to_owned(),
            redirect_uris: new.redirect_uris.clone(),
            first_party: new.first_party,
            confidential: !new.public,
            secret_hash: secret.as_ref().map(|secret| token_hash(secret.expose())),
            policy_url: new.policy_url.clone(),
            policy_version: new.policy_version,
            backchannel_uri: new.backchannel_uri.clone(),
            created_at: self.now(),
            suspended_at: None,
        };
        if !self.store().app_add(&app, APPS).await.map_err(Inner::from)? {
            return Err(AppError::Full);
        }
        Ok(AppAdded { id: app.id, secret })
    }

    /// Every app.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn list_apps(&self) -> Result<Vec<App>, Inner> {
        Ok(self.store().apps().await?)
    }

    /// Names another privacy policy of an app; people agree anew to a newer version.
    ///
    /// # Errors
    /// See [`AppError`].
    pub async fn set_app_policy(
        &self,
        id: &AppId,
        url: &str,
        version: u32,
    ) -> Result<(), AppError> {
        check_policy(url, version)?;
        let done = self.store().app_policy_put(id, url, version).await.map_err(Inner::from)?;
        if done { Ok(()) } else { Err(AppError::Unknown) }
    }

    /// Confirms an app that a restore suspended.
    ///
    /// # Errors
    /// See [`AppError`].
    pub async fn resume_app(&self, id: &AppId) -> Result<(), AppError> {
        let done = self.store().app_resume(id).await.map_err(Inner::from)?;
        if done { Ok(()) } else { Err(AppError::NotSuspended) }
    }

    /// Forgets an app; its logins end and it is told.
    ///
    /// # Errors
    /// See [`AppError`].
    pub async fn remove_app(&self, id: &AppId) -> Result<(), AppError> {
        let ended = self.store().app_remove(id, self.now()).await.map_err(Inner::from)?;
        self.announce_sessions(ended.ok_or(AppError::Unknown)?);
        Ok(())
    }

    /// Gives an app another secret; the one of before is worth nothing from now on.
    ///
    /// # Errors
    /// See [`AppError`].
    pub async fn rotate_app_secret(&self, id: &AppId) -> Result<Redacted<String>, AppError> {
        let secret = self.new_app_secret();
        let done = self.store().app_secret_put(id, &token_hash(secret.expose())).await;
        if done.map_err(Inner::from)? { Ok(secret) } else { Err(AppError::NoSecret) }
    }

    fn new_app_secret(&self) -> Redacted<String> {
        Redacted::new(B64.encode(random::bytes::<32>(self.random())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_is_registered_with_what_can_be() {
        let good = NewApp {
            name: "Door".into(),
            redirect_uris: vec!["https://app.example/cb".into()],
            policy_url: "https://app.example/policy".into(),
            policy_version: 1,
            ..NewApp::default()
        };
        assert!(good.check().is_ok());
        let uris = |count: usize| {
            (0..count).map(|at| format!("https://app.example/{at}")).collect::<Vec<_>>()
        };
        let most = NewApp { redirect_uris: uris(APP_REDIRECTS), ..good.clone() };
        let longest = NewApp { name: "门".repeat(MAX_NAME_CHARS), ..good.clone() };
        assert!(most.check().is_ok() && longest.check().is_ok());
        for bad in [
            NewApp { name: " ".into(), ..good.clone() },
            NewApp { name: "a\nb".into(), ..good.clone() },
            NewApp { name: "门".repeat(MAX_NAME_CHARS + 1), ..good.clone() },
            NewApp { redirect_uris: uris(0), ..good.clone() },
            NewApp { redirect_uris: uris(APP_REDIRECTS + 1), ..good.clone() },
            NewApp { redirect_uris: vec!["http://app.example/".into()], ..good.clone() },
            NewApp { policy_url: "policy".into(), ..good.clone() },
            NewApp { policy_version: 0, ..good.clone() },
            NewApp { backchannel_uri: Some("http://app.example/".into()), ..good.clone() },
        ] {
            assert!(matches!(bad.check(), Err(AppError::Bad(_))), "{bad:?}");
        }
    }
}
