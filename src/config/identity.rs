//! `[[identity_providers]]`: who people may sign in by, and `[federation]`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sightline_control_plane::clock::SystemClock;
use sightline_control_plane::federation::development;
use sightline_control_plane::federation::oidc::apple::{self, AppleKey};
use sightline_control_plane::federation::oidc::{ClientAuth, Freshness, Oidc, Registration};
use sightline_control_plane::federation::wechat::{self, Account, WeChat};
use sightline_control_plane::federation::{
    IdentityProvider, ProviderFacts, ProviderKind, Redirects,
};
use sightline_control_plane::outbound;
use url::Url;

use super::ConfigError;

/// Identity providers of one server.
pub(crate) const MAX_PROVIDERS: usize = 16;
/// Addresses that browsers may come back to from one provider.
const MAX_REDIRECTS: usize = 16;
/// Longest id of a provider, characters.
const MAX_ID_CHARS: usize = 32;

/// Kind of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// OpenID Connect.
    Oidc,
    /// Sign in with Apple.
    Apple,
    /// WeChat for web pages.
    Wechat,
}

/// How this service shows an OpenID provider its secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Auth {
    /// `client_secret_basic`.
    #[default]
    Basic,
    /// `client_secret_post`.
    Post,
}

/// One of `[[identity_providers]]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Provider {
    /// Short name in addresses of the API; changing it loses nothing.
    pub(crate) id: String,
    /// Kind.
    pub(crate) kind: Kind,
    /// Name that people read.
    pub(crate) name: String,
    /// This service's id; WeChat calls it appid.
    pub(crate) client_id: String,
    /// Addresses that browsers may come back to, as they are registered there.
    pub(crate) redirect_uris: Vec<String>,
    /// The issuer, letter by letter; `oidc` only.
    #[serde(default)]
    pub(crate) issuer: String,
    /// How the secret is shown; `oidc` only.
    #[serde(default)]
    pub(crate) auth: Auth,
    /// The provider asks who it is each time, so that it need not say when it did; `oidc` only.
    #[serde(default)]
    pub(crate) always_asks: bool,
    /// File with the secret; `oidc` and `wechat`.
    #[serde(default)]
    pub(crate) secret_file: PathBuf,
    /// Developer team; `apple` only.
    #[serde(default)]
    pub(crate) team_id: String,
    /// Id of the key; `apple` only.
    #[serde(default)]
    pub(crate) key_id: String,
    /// File with the private key (.p8); `apple` only.
    #[serde(default)]
    pub(crate) key_file: PathBuf,
    /// Certificates to trust for it (PEM), if they are not the system's.
    #[serde(default)]
    pub(crate) ca_file: PathBuf,
}

/// `[federation]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Federation {
    /// A stand-in on a development server that only this machine reaches, if no provider is named.
    pub(crate) development: bool,
}

impl Default for Federation {
    fn default() -> Self {
        Self { development: true }
    }
}

/// Refuses what cannot be.
pub(super) fn validate(providers: &[Provider]) -> Result<(), ConfigError> {
    let bad = |key, reason: &str| Err(ConfigError::Value { key, reason: reason.to_owned() });
    if providers.len() > MAX_PROVIDERS {
        return bad("identity_providers", "at most 16");
    }
    let mut ids = BTreeSet::new();
    for provider in providers {
        let id = &provider.id;
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !(1..=MAX_ID_CHARS).contains(&id.len()) || !id.bytes().all(plain) {
            return bad("identity_providers.id", "1 to 32 small letters, digits or -");
        }
        if id == development::ID || !ids.insert(id) {
            return bad("identity_providers.id", "each provider has one of its own");
        }
        provider.validate()?;
    }
    Ok(())
}

impl Provider {
    fn validate(&self) -> Result<(), ConfigError> {
        let bad = |key, reason: String| Err(ConfigError::Value { key, reason });
        let file = |path: &Path| path.to_string_lossy().into_owned();
        let (secret, key) = (file(&self.secret_file), file(&self.key_file));
        let has = |kinds: &[Kind]| kinds.contains(&self.kind);
        for (name, value, needed) in [
            ("identity_providers.name", &self.name, true),
            ("identity_providers.client_id", &self.client_id, true),
            ("identity_providers.issuer", &self.issuer, has(&[Kind::Oidc])),
            ("identity_providers.secret_file", &secret, has(&[Kind::Oidc, Kind::Wechat])),
            ("identity_providers.team_id", &self.team_id, has(&[Kind::Apple])),
            ("identity_providers.key_id", &self.key_id, has(&[Kind::Apple])),
            ("identity_providers.key_file", &key, has(&[Kind::Apple])),
        ] {
            if value.is_empty() == needed {
                let word = if needed { "needs it" } else { "is of a kind that has none" };
                return bad(name, format!("provider {} {word}", self.id));
            }
        }
        if self.kind == Kind::Oidc && outbound::address(&self.issuer).is_err() {
            let reason = "an address with https, or with http on this machine".to_owned();
            return bad("identity_providers.issuer", reason);
        }
        if !(1..=MAX_REDIRECTS).contains(&self.redirect_uris.len()) {
            return bad("identity_providers.redirect_uris", "1 to 16 addresses".into());
        }
        if let Some(wrong) = self.redirect_uris.iter().find(|redirect| !is_redirect(redirect)) {
            let reason = format!("{wrong} has no https, nor is it this machine's");
            return bad("identity_providers.redirect_uris", reason);
        }
        Ok(())
    }

    fn facts(&self) -> ProviderFacts {
        let kind = match self.kind {
            Kind::Oidc => ProviderKind::Oidc,
            Kind::Apple => ProviderKind::Apple,
            Kind::Wechat => ProviderKind::WeChat,
        };
        ProviderFacts { id: self.id.clone(), name: self.name.clone(), kind, development: false }
    }

    /// The provider itself.
    pub(crate) fn open(&self) -> Result<Arc<dyn IdentityProvider>, String> {
        let text =
            |error: &dyn std::fmt::Display| format!("identity provider {}: {error}", self.id);
        let redirects = Redirects::Listed(self.redirect_uris.clone());
        let client = |at: &Url| {
            let ca_file = (!self.ca_file.as_os_str().is_empty()).then_some(self.ca_file.as_path());
            outbound::client(ca_file, at).map_err(|error| text(&error))
        };
        let secret = || outbound::secret(&self.secret_file).map_err(|error| text(&error));
        let address = |at: &str| outbound::address(at).map_err(|error| text(&error));
        let registration = match self.kind {
            Kind::Wechat => {
                let (open, api) = (address(wechat::OPEN)?, address(wechat::API)?);
                let (app_id, http) = (self.client_id.clone(), client(&api)?);
                let facts = self.facts();
                let account = Account { facts, app_id, secret: secret()?, redirects, open, api };
                return Ok(Arc::new(WeChat::new(account, http)));
            }
            Kind::Apple => {
                // Its text is read as a secret is: the file must be there and say something.
                let pem = outbound::secret(&self.key_file).map_err(|error| text(&error))?;
                let key = AppleKey::from_pem(&self.team_id, &self.key_id, pem.expose());
                let key = key.map_err(|error| {
                    text(&format_args!("key_file, {}: {error}", self.key_file.display()))
                })?;
                apple::registration(self.facts(), apple::ISSUER, &self.client_id, key, redirects)
            }
            Kind::Oidc => self.oidc(secret()?, redirects),
        };
        let http = client(&address(&registration.issuer)?)?;
        Ok(Arc::new(Oidc::new(registration, http, Arc::new(SystemClock))))
    }

    fn oidc(
        &self,
        secret: sightline_grant::Redacted<String>,
        redirects: Redirects,
    ) -> Registration {
        Registration {
            facts: self.facts(),
            issuer: self.issuer.clone(),
            client_id: self.client_id.clone(),
            auth: match self.auth {
                Auth::Basic => ClientAuth::Basic(secret),
                Auth::Post => ClientAuth::Post(secret),
            },
            scope: "openid",
            freshness: if self.always_asks { Freshness::Always } else { Freshness::Said },
            redirects,
            known_as: None,
            revocation: None,
        }
    }
}

/// A page of this service: by https, or on this machine.
fn is_redirect(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        let known = url.scheme() == "https" || outbound::is_here(&url);
        known && url.fragment().is_none() && url.username().is_empty()
    })
}

#[cfg(test)]
mod tests;
