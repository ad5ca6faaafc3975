//! One account for several apps: this server as their OpenID provider.
//!
//! An app sends the browser here with an authorisation request (OAuth 2.1: codes with PKCE, nothing
//! else), the person, who is signed in once, agrees ([`authorize`]), and the app trades the code that
//! comes back for tokens ([`token`]). Each app knows the person by another name, so that apps cannot
//! join what they know. A third-party app's token opens [`userinfo`] and nothing else; the operator's
//! own apps get a session of their own, bound to their key, which does what the person's does but for
//! ways to sign in and other apps. Every login of an app ends with the login that it came from. Where
//! somebody ends it, the app is told ([`logout`]); where only its time runs out, the app finds that its
//! tokens no longer hold.

pub mod app;
pub mod authorize;
mod calls;
mod jwt;
mod logout;
mod mine;
mod request;
pub mod scope;
pub mod token;
mod uri;
pub mod userinfo;

use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde::Serialize;
use sightline_grant::Revocation;

use crate::ControlPlane;
use crate::ids::{AppId, SessionId, Subject};
use crate::outbound::Egress;

pub(crate) use calls::AppCalls;
pub use jwt::PublishedKey;
pub use mine::MyApp;

/// Channel of the outbox for word to apps.
pub(crate) const APP_CHANNEL: &str = "app";
/// Where browsers are sent with authorisation requests: a file of the page.
pub const AUTHORIZE_PATH: &str = "/oauth/authorize";
/// Where codes and refresh tokens are traded.
pub const TOKEN_PATH: &str = "/oauth/token";
/// Where tokens are given up.
pub const REVOKE_PATH: &str = "/oauth/revoke";
/// What an app may know of the person.
pub const USERINFO_PATH: &str = "/oauth/userinfo";
/// Keys that sign.
pub const KEYS_PATH: &str = "/oauth/keys";
/// The description of all that.
pub const DISCOVERY_PATH: &str = "/.well-known/openid-configuration";

/// What an installation says about itself as a provider.
#[derive(Debug)]
pub struct Provider {
    /// Its name in everything that it signs: the address before its paths, without a slash at the end.
    pub issuer: String,
    /// How apps are told that a login is over.
    pub egress: Egress,
}

/// The provider, once it is known where the server is.
#[derive(Default)]
pub(crate) struct Desk(OnceLock<Provider>);

/// The provider's description (OpenID Connect Discovery 1.0, RFC 8414).
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Discovery {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    userinfo_endpoint: String,
    jwks_uri: String,
    revocation_endpoint: String,
    scopes_supported: Vec<&'static str>,
    response_types_supported: Vec<&'static str>,
    response_modes_supported: Vec<&'static str>,
    grant_types_supported: Vec<&'static str>,
    subject_types_supported: Vec<&'static str>,
    id_token_signing_alg_values_supported: Vec<&'static str>,
    token_endpoint_auth_methods_supported: Vec<&'static str>,
    revocation_endpoint_auth_methods_supported: Vec<&'static str>,
    code_challenge_methods_supported: Vec<&'static str>,
    dpop_signing_alg_values_supported: Vec<&'static str>,
    claims_supported: Vec<&'static str>,
    prompt_values_supported: Vec<&'static str>,
    authorization_response_iss_parameter_supported: bool,
    backchannel_logout_supported: bool,
    backchannel_logout_session_supported: bool,
    request_parameter_supported: bool,
    request_uri_parameter_supported: bool,
}

impl ControlPlane {
    /// Is a provider under this name from now on; the first one stays.
    pub fn set_provider(&self, provider: Provider) {
        // A second one would be a mistake of whoever starts the server; the first is as good.
        let _ = self.0.sso.0.set(provider);
    }

    /// The provider's name.
    pub(crate) fn issuer(&self) -> String {
        let known = self.0.sso.0.get().map(|provider| provider.issuer.clone());
        known.unwrap_or_else(|| format!("https://{}", self.config().server_name))
    }

    pub(crate) fn egress(&self) -> Option<&Egress> {
        self.0.sso.0.get().map(|provider| &provider.egress)
    }

    /// What apps need to know of the provider.
    pub fn discovery(&self) -> Discovery {
        let issuer = self.issuer();
        let at = |path: &str| format!("{issuer}{path}");
        let clients = || vec!["client_secret_basic", "client_secret_post", "none"];
        Discovery {
            authorization_endpoint: at(AUTHORIZE_PATH),
            token_endpoint: at(TOKEN_PATH),
            userinfo_endpoint: at(USERINFO_PATH),
            jwks_uri: at(KEYS_PATH),
            revocation_endpoint: at(REVOKE_PATH),
            issuer,
            scopes_supported: scope::Scopes::NAMES.to_vec(),
            response_types_supported: vec!["code"],
            response_modes_supported: vec!["query"],
            grant_types_supported: vec!["authorization_code", "refresh_token"],
            subject_types_supported: vec!["pairwise"],
            id_token_signing_alg_values_supported: vec!["ES256"],
            token_endpoint_auth_methods_supported: clients(),
            revocation_endpoint_auth_methods_supported: clients(),
            code_challenge_methods_supported: vec!["S256"],
            dpop_signing_alg_values_supported: vec!["ES256", "EdDSA"],
            claims_supported: vec![
                "iss",
                "sub",
                "aud",
                "exp",
                "iat",
                "auth_time",
                "nonce",
                "sid",
                "name",
            ],
            prompt_values_supported: vec!["none", "login", "consent", "select_account"],
            authorization_response_iss_parameter_supported: true,
            backchannel_logout_supported: true,
            backchannel_logout_session_supported: true,
            request_parameter_supported: false,
            request_uri_parameter_supported: false,
        }
    }

    /// Who a person is to an app: to each another one.
    pub(crate) fn pairwise(&self, app: &AppId, subject: &Subject) -> String {
        B64.encode(self.vault().lookup("app-subject", &format!("{app}\n{subject}")))
    }

    /// Ends the media of sessions that are over, and has apps told.
    pub(crate) fn announce_sessions(&self, ended: Vec<SessionId>) {
        for session in ended {
            self.announce(Revocation::Session { session: session.0 });
        }
        self.0.outbox.notify_one();
    }
}
