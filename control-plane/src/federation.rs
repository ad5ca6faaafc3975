//! Logins at identity providers: signing in by them, and binding them to an account.
//!
//! A provider says which of its subjects somebody is, and nothing else is taken from it. An account is
//! found by issuer and subject alone, never by a mail address that the provider names: whoever can make
//! a provider name another's address would own the account. Somebody new gets an account that is not
//! full until a number or address is proved here.
//!
//! A way to a provider ([`flow`]) belongs to the terminal that began it, to one provider and one purpose,
//! and is used once; so an answer that was caught, planted or meant for another provider opens nothing.

pub mod development;
pub mod flow;
pub mod identities;
pub mod oidc;
pub mod revoke;
pub mod sign_in;
pub mod unbound;
pub mod wechat;

use std::sync::Arc;

use async_trait::async_trait;
use sightline_grant::Redacted;
use url::Url;

use crate::ControlPlane;

/// Channel of the outbox for grants that are to be taken back.
pub(crate) const REVOKE_CHANNEL: &str = "provider";
/// Place of a sealed token that takes a grant back.
pub(crate) const TOKEN_PLACE: &str = "identity.token";
/// Column of an encrypted subject.
pub(crate) const SUBJECT: &str = "identity.subject";

/// Longest code that a provider sends a browser back with, characters.
pub const MAX_CODE_CHARS: usize = 2048;
/// Longest issuer in a browser's address, characters.
pub const MAX_ISSUER_CHARS: usize = 512;
/// Longest subject, characters (OpenID Connect Core, section 2).
pub const MAX_SUBJECT_CHARS: usize = 255;

/// Kind of a provider.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProviderKind {
    /// OpenID Connect.
    Oidc,
    /// Sign in with Apple: OpenID Connect with a client secret that is a signed word.
    Apple,
    /// WeChat's own way.
    WeChat,
}

impl ProviderKind {
    /// Name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Oidc => "oidc",
            Self::Apple => "apple",
            Self::WeChat => "wechat",
        }
    }
}

/// What everybody may know of a provider.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProviderFacts {
    /// Id in the configuration and in the API.
    pub id: String,
    /// Name that people read.
    pub name: String,
    /// Kind.
    pub kind: ProviderKind,
    /// A stand-in, which proves nothing.
    pub development: bool,
}

/// A browser that is to be sent to a provider.
#[derive(Clone, Debug)]
pub struct Leaving<'a> {
    /// Where it is to come back to.
    pub redirect: &'a str,
    /// Comes back with it.
    pub state: &'a str,
    /// Comes back within the signed answer.
    pub nonce: &'a str,
    /// Proves later that who left is who came back (RFC 7636).
    pub verifier: &'a str,
    /// The provider is to ask the person again, whoever it knows already.
    pub again: bool,
}

/// What a browser came back with, and what its way began with.
#[derive(Clone, Debug)]
pub struct Returned<'a> {
    /// The provider's code, good once.
    pub code: &'a Redacted<String>,
    /// Who answered, if the answer says so (RFC 9207).
    pub issuer: Option<&'a str>,
    /// Where the browser came back to.
    pub redirect: &'a str,
    /// See [`Leaving::nonce`].
    pub nonce: &'a str,
    /// See [`Leaving::verifier`].
    pub verifier: &'a str,
    /// The person must have been asked since then, Unix seconds.
    pub asked_since: Option<u64>,
}

/// Somebody at a provider: what an account is found by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Subject {
    /// Who says so.
    pub issuer: String,
    /// Whom it is about.
    pub subject: Redacted<String>,
}

/// What a provider proved.
#[derive(Clone, Debug)]
pub struct Proved {
    /// Who it is.
    pub who: Subject,
    /// The name of before of the same one; who was found by that is found by the new one from now on.
    pub formerly: Option<Subject>,
    /// Takes the grant back, at a provider that knows how to.
    pub revocable: Option<Redacted<String>>,
}

/// Why nobody is proved.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotProved {
    /// The provider, or the check of what it said, does not take the answer.
    #[error("the provider does not confirm this login")]
    Refused,
    /// The person was not asked again.
    #[error("the provider did not ask again who this is")]
    Stale,
    /// It does not answer as agreed.
    #[error("the provider does not answer: {0}")]
    Silent(String),
}

/// A grant is not taken back, for now.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the grant is not taken back: {0}")]
pub struct NotRevoked(pub String);

/// An identity provider.
#[async_trait]
pub trait IdentityProvider: Send + Sync + 'static {
    /// What everybody may know.
    fn facts(&self) -> &ProviderFacts;
    /// Whether browsers may come back there.
    fn takes_back_to(&self, redirect: &str) -> bool;
    /// Address that a browser is sent to.
    async fn authorize(&self, leaving: &Leaving<'_>) -> Result<Url, NotProved>;
    /// Trades what a browser came back with for who it is.
    async fn prove(&self, returned: &Returned<'_>) -> Result<Proved, NotProved>;
    /// Takes a grant back. A grant that is over already counts as taken back.
    async fn revoke(&self, token: &Redacted<String>) -> Result<(), NotRevoked>;
}

/// Where browsers may come back to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Redirects {
    /// To exactly these addresses.
    Listed(Vec<String>),
    /// To any page of this machine: of a stand-in only.
    Loopback,
}

impl Redirects {
    /// Whether browsers may come back to this address.
    pub fn take(&self, redirect: &str) -> bool {
        match self {
            Self::Listed(listed) => listed.iter().any(|known| known == redirect),
            Self::Loopback => Url::parse(redirect).is_ok_and(|url| crate::outbound::is_here(&url)),
        }
    }
}

impl ControlPlane {
    /// Works with these identity providers from now on; the first ones stay.
    pub fn set_identity_providers(&self, providers: Vec<Arc<dyn IdentityProvider>>) {
        // Others would be a mistake of whoever starts the server; the first are as good.
        let _ = self.0.providers.set(providers);
    }

    /// The identity providers, in the order of the configuration.
    pub fn identity_providers(&self) -> &[Arc<dyn IdentityProvider>] {
        self.0.providers.get().map_or(&[], Vec::as_slice)
    }

    pub(crate) fn identity_provider(&self, id: &str) -> Option<&Arc<dyn IdentityProvider>> {
        self.identity_providers().iter().find(|provider| provider.facts().id == id)
    }

    /// The keyed hash that an identity is found by.
    pub(crate) fn identity_lookup(&self, who: &Subject) -> Vec<u8> {
        // An issuer is an address and has no line ends, so no two pairs make one text.
        let text = format!("{}\n{}", who.issuer, who.subject.expose());
        self.vault().lookup("identity", &text)
    }
}
