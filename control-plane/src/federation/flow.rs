//! Ways to a provider: begun by a terminal, used once by the same.
//!
//! State, nonce and verifier are derived from the id of the way, so that the database holds nothing that
//! would help whoever reads it.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use sightline_grant::{Redacted, Thumbprint};

use super::{
    IdentityProvider, Leaving, MAX_CODE_CHARS, MAX_ISSUER_CHARS, NotProved, Proved, Returned,
};
use crate::ControlPlane;
use crate::error::Inner;
use crate::limits::{IDENTITY_FLOW_SECS, IDENTITY_FLOWS_PER_ACCOUNT, IDENTITY_FLOWS_PER_NETWORK};
use crate::random;
use crate::sms::open::network;
use crate::storage::model::{Charge, FlowPurpose, IdentityFlow, RetryAfter, Session};
use crate::vault;

/// A way that has begun.
#[derive(Clone, Debug)]
pub struct Begun {
    /// Id; whoever comes back names it.
    pub flow: String,
    /// Where to send the browser.
    pub authorize: String,
    /// The value that the browser must come back with.
    pub state: String,
}

/// What a browser came back with.
#[derive(Clone, Debug)]
pub struct Return {
    /// The way.
    pub flow: String,
    /// Its state.
    pub state: Redacted<String>,
    /// The provider's code.
    pub code: Redacted<String>,
    /// Who answered, if the address says so.
    pub issuer: Option<String>,
}

/// Why no way begins.
#[derive(Debug, thiserror::Error)]
pub enum FlowError {
    /// There is none of this id.
    #[error("this server works with no such identity provider")]
    NoProvider,
    /// The operator has not listed it.
    #[error("browsers do not come back to this address; the operator lists those that they may")]
    BadRedirect,
    /// Too many.
    #[error("too many requests; try again later")]
    Limited(RetryAfter),
    /// It does not answer.
    #[error("the provider does not answer now; try again later, or sign in in another way")]
    Silent,
    /// See [`Inner`].
    #[error(transparent)]
    Inner(#[from] Inner),
}

/// Why it is not proved who somebody is at a provider.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// The way is unknown, over, used or another terminal's, or its answer is not the provider's.
    #[error("the provider did not confirm this login, or its answer is too old; begin again")]
    Refused,
    /// The person was not asked again.
    #[error("the provider must ask anew who you are; sign in there again and come back")]
    Stale,
    /// It does not answer.
    #[error("the provider does not answer now; try again later, or sign in in another way")]
    Silent,
    /// See [`Inner`].
    #[error(transparent)]
    Inner(#[from] Inner),
}

/// Who proved what, and for which way.
pub(crate) struct Came {
    pub(crate) provider: String,
    pub(crate) proved: Proved,
}

/// The three values that a way is held together by.
struct Secrets {
    state: String,
    nonce: String,
    verifier: String,
}

impl ControlPlane {
    /// Begins a way that leads to a login.
    ///
    /// # Errors
    /// See [`FlowError`].
    pub async fn begin_provider_login(
        &self,
        provider: &str,
        redirect: &str,
        terminal: Thumbprint,
        ip: IpAddr,
    ) -> Result<Begun, FlowError> {
        let tries = Charge {
            dimension: "identity-network",
            key: self.vault().lookup("network", &network(ip)),
            windows: IDENTITY_FLOWS_PER_NETWORK.to_vec(),
        };
        self.begin(provider, redirect, FlowPurpose::Login, None, terminal, tries).await
    }

    /// Begins a way that leads to a binding or to the secure window of a login.
    ///
    /// # Errors
    /// See [`FlowError`].
    pub(crate) async fn begin_of_login(
        &self,
        session: &Session,
        provider: &str,
        redirect: &str,
        purpose: FlowPurpose,
    ) -> Result<Begun, FlowError> {
        let tries = Charge {
            dimension: "identity-account",
            key: self.vault().lookup("account", session.account.as_str()),
            windows: IDENTITY_FLOWS_PER_ACCOUNT.to_vec(),
        };
        self.begin(provider, redirect, purpose, Some(session), session.jkt, tries).await
    }

    async fn begin(
        &self,
        provider: &str,
        redirect: &str,
        purpose: FlowPurpose,
        session: Option<&Session>,
        jkt: Thumbprint,
        tries: Charge,
    ) -> Result<Begun, FlowError> {
        let provider = self.identity_provider(provider).ok_or(FlowError::NoProvider)?;
        if !provider.takes_back_to(redirect) {
            return Err(FlowError::BadRedirect);
        }
        let charged = self.store().charge(&[tries], self.now()).await.map_err(Inner::from)?;
        charged.map_err(FlowError::Limited)?;
        let flow = IdentityFlow {
            id: random::hex_id(self.random()),
            provider: provider.facts().id.clone(),
            purpose,
            session: session.map(|session| session.id.clone()),
            jkt,
            redirect: redirect.to_owned(),
            began_at: self.now(),
            expires_at: self.now() + IDENTITY_FLOW_SECS,
        };
        let secrets = self.secrets_of(&flow.id);
        let leaving = Leaving {
            redirect,
            state: &secrets.state,
            nonce: &secrets.nonce,
            verifier: &secrets.verifier,
            again: purpose == FlowPurpose::Confirm,
        };
        let authorize = provider.authorize(&leaving).await.map_err(|error| {
            tracing::warn!(provider = flow.provider, %error, "no way to a provider begins");
            FlowError::Silent
        })?;
        self.store().identity_flow_open(&flow).await.map_err(Inner::from)?;
        Ok(Begun { flow: flow.id, authorize: authorize.into(), state: secrets.state })
    }

    /// Uses a way up and asks its provider who came back.
    pub(crate) async fn come_back(
        &self,
        back: &Return,
        purpose: FlowPurpose,
        terminal: Thumbprint,
        session: Option<&Session>,
    ) -> Result<Came, ProofError> {
        let fits = (1..=MAX_CODE_CHARS).contains(&back.code.expose().len());
        let issuer = back.issuer.as_deref();
        if !fits || issuer.is_some_and(|issuer| issuer.len() > MAX_ISSUER_CHARS) {
            return Err(ProofError::Refused);
        }
        let session = session.map(|session| &session.id);
        // Used up before anything is compared or asked: one way is one try.
        let flow = self
            .store()
            .identity_flow_take(&back.flow, terminal, purpose, session, self.now())
            .await
            .map_err(Inner::from)?
            .ok_or(ProofError::Refused)?;
        let secrets = self.secrets_of(&flow.id);
        if !vault::same(secrets.state.as_bytes(), back.state.expose().as_bytes()) {
            return Err(ProofError::Refused);
        }
        let provider = self.identity_provider(&flow.provider).ok_or(ProofError::Refused)?;
        let returned = Returned {
            code: &back.code,
            issuer,
            redirect: &flow.redirect,
            nonce: &secrets.nonce,
            verifier: &secrets.verifier,
            asked_since: (purpose == FlowPurpose::Confirm).then_some(flow.began_at),
        };
        let proved = proved_by(provider.as_ref(), &returned).await?;
        Ok(Came { provider: flow.provider, proved })
    }

    fn secrets_of(&self, flow: &str) -> Secrets {
        let secret = |what| B64.encode(self.vault().flow_secret(what, flow).as_slice());
        Secrets { state: secret("state"), nonce: secret("nonce"), verifier: secret("verifier") }
    }
}

async fn proved_by(
    provider: &dyn IdentityProvider,
    returned: &Returned<'_>,
) -> Result<Proved, ProofError> {
    provider.prove(returned).await.map_err(|error| match error {
        NotProved::Refused => ProofError::Refused,
        NotProved::Stale => ProofError::Stale,
        NotProved::Silent(reason) => {
            let provider = &provider.facts().id;
            tracing::warn!(provider, %reason, "an identity provider does not answer");
            ProofError::Silent
        }
    })
}
