//! OpenID Connect: discovery, the code flow with PKCE, signed answers.

pub mod apple;
mod client;
mod discovery;
mod id_token;
pub mod jws;
mod keys;

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde::Deserialize;
use sightline_grant::Redacted;
use url::{Url, form_urlencoded};

use self::discovery::{Discovery, Endpoints};
use self::id_token::{Claims, Expected};
use self::keys::Keys;
use super::{
    IdentityProvider, Leaving, NotProved, NotRevoked, Proved, ProviderFacts, Redirects, Returned,
    Subject,
};
use crate::clock::Clock;
use crate::outbound::{self, Answer};
pub use client::ClientAuth;

/// Clocks may differ by so much, seconds.
pub(crate) const LEEWAY_SECS: u64 = 60;

/// How it is known that a provider asked the person again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Freshness {
    /// It asks when it is told to (`max_age=0`), and says in `auth_time` when it did.
    Said,
    /// It asks every time.
    Always,
}

/// What the operator has at a provider.
pub struct Registration {
    /// What everybody may know.
    pub facts: ProviderFacts,
    /// The issuer, letter by letter as the provider writes it.
    pub issuer: String,
    /// This service's id.
    pub client_id: String,
    /// How this service shows who it is.
    pub auth: ClientAuth,
    /// What is asked for beyond who it is; `openid`, or nothing where that is implied.
    pub scope: &'static str,
    /// How a confirmation is known to be fresh.
    pub freshness: Freshness,
    /// Where browsers may come back to.
    pub redirects: Redirects,
    /// Name that its subjects are kept under, if its address is another one each time: a stand-in's.
    pub known_as: Option<&'static str>,
    /// Where grants are taken back, if the provider's own description does not say.
    pub revocation: Option<Url>,
}

/// A provider of this kind.
pub struct Oidc {
    registration: Registration,
    http: reqwest::Client,
    clock: Arc<dyn Clock>,
    discovery: Discovery,
    keys: Keys,
}

/// The answer of a token endpoint.
#[derive(Deserialize)]
struct Granted {
    id_token: String,
    refresh_token: Option<String>,
}

/// The answer of an endpoint that refuses.
#[derive(Deserialize)]
struct Refusal {
    error: String,
}

/// The refusals that mean the code or token, and not this service (RFC 6749, 5.2).
const OF_THE_GRANT: [&str; 2] = ["invalid_grant", "invalid_token"];
/// Others that are worth a line of the log.
const OF_THE_CLIENT: [&str; 4] =
    ["invalid_client", "unauthorized_client", "invalid_request", "unsupported_grant_type"];

impl Oidc {
    /// `http` trusts whoever answers at the issuer's address.
    pub fn new(registration: Registration, http: reqwest::Client, clock: Arc<dyn Clock>) -> Self {
        let discovery = Discovery::new(&registration.issuer);
        Self { registration, http, clock, discovery, keys: Keys::default() }
    }

    async fn endpoints(&self) -> Result<Endpoints, NotProved> {
        self.discovery.endpoints(&self.http, self.clock.now()).await.map_err(NotProved::Silent)
    }

    async fn trade(
        &self,
        endpoints: &Endpoints,
        returned: &Returned<'_>,
    ) -> Result<Granted, NotProved> {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", returned.code.expose()),
            ("redirect_uri", returned.redirect),
            ("code_verifier", returned.verifier),
        ];
        let request = self.http.post(endpoints.token.clone());
        let request = self.signed(request, &fields).map_err(NotProved::Silent)?;
        let answer = outbound::exchange(request).await;
        let Answer { status, body } =
            answer.map_err(|error| NotProved::Silent(error.to_string()))?;
        if status.as_u16() == 200 {
            let wrong = |_| NotProved::Silent("its tokens are not as agreed".into());
            return serde_json::from_slice(&body).map_err(wrong);
        }
        match refusal(&body) {
            Some(error) if OF_THE_GRANT.contains(&error) => Err(NotProved::Refused),
            error => Err(NotProved::Silent(format!("status {status}, {}", error.unwrap_or("-")))),
        }
    }

    /// The form with what shows who this service is.
    fn signed(
        &self,
        request: reqwest::RequestBuilder,
        fields: &[(&str, &str)],
    ) -> Result<reqwest::RequestBuilder, String> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields);
        let (issuer, id) = (&self.registration.issuer, &self.registration.client_id);
        let now = self.clock.now();
        let request = self.registration.auth.show(request, &mut form, issuer, id, now)?;
        Ok(request
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "application/json")
            .body(form.finish()))
    }

    async fn claims(
        &self,
        endpoints: &Endpoints,
        token: &str,
        returned: &Returned<'_>,
    ) -> Result<Claims, NotProved> {
        let token = id_token::split(token).map_err(|()| NotProved::Refused)?;
        let now = self.clock.now();
        let key = self.keys.find(&self.http, &endpoints.keys, &token.kid, now).await;
        let key = key.map_err(NotProved::Silent)?.ok_or(NotProved::Refused)?;
        let expected = Expected {
            issuer: &self.registration.issuer,
            client_id: &self.registration.client_id,
            nonce: returned.nonce,
            now,
        };
        token.verify(&key, &expected).map_err(|reason| {
            let provider = &self.registration.facts.id;
            tracing::warn!(provider, reason, "an identity token was refused");
            NotProved::Refused
        })
    }

    /// Whether the person was asked since then.
    fn is_fresh(&self, claims: &Claims, since: u64) -> bool {
        let said = claims.auth_time.is_some_and(|at| at + LEEWAY_SECS >= since);
        match self.registration.freshness {
            Freshness::Said => said,
            Freshness::Always => said || claims.auth_time.is_none(),
        }
    }

    fn revocation<'a>(&'a self, endpoints: &'a Endpoints) -> Option<&'a Url> {
        endpoints.revocation.as_ref().or(self.registration.revocation.as_ref())
    }
}

/// The error that an endpoint names, if it is one that is known.
fn refusal(body: &[u8]) -> Option<&'static str> {
    let Refusal { error } = serde_json::from_slice(body).ok()?;
    // The provider's own words stay out of the log.
    OF_THE_GRANT.into_iter().chain(OF_THE_CLIENT).find(|known| *known == error)
}

/// Whether the answer in the browser's address is this provider's (RFC 9207).
fn is_from(issuer: &str, says: Option<&str>, always_says: bool) -> bool {
    match says {
        Some(says) => says == issuer,
        None => !always_says,
    }
}

/// The challenge of a verifier (RFC 7636, S256).
pub(crate) fn challenge(verifier: &str) -> String {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.as_bytes());
    B64.encode(hash)
}

#[async_trait]
impl IdentityProvider for Oidc {
    fn facts(&self) -> &ProviderFacts {
        &self.registration.facts
    }

    fn takes_back_to(&self, redirect: &str) -> bool {
        self.registration.redirects.take(redirect)
    }

    async fn authorize(&self, leaving: &Leaving<'_>) -> Result<Url, NotProved> {
        let mut at = self.endpoints().await?.authorization;
        let mut query = at.query_pairs_mut();
        query
            .append_pair("response_type", "code")
            .append_pair("response_mode", "query")
            .append_pair("client_id", &self.registration.client_id)
            .append_pair("redirect_uri", leaving.redirect)
            .append_pair("state", leaving.state)
            .append_pair("nonce", leaving.nonce)
            .append_pair("code_challenge", &challenge(leaving.verifier))
            .append_pair("code_challenge_method", "S256");
        if !self.registration.scope.is_empty() {
            query.append_pair("scope", self.registration.scope);
        }
        if leaving.again && self.registration.freshness == Freshness::Said {
            query.append_pair("prompt", "login").append_pair("max_age", "0");
        }
        drop(query);
        Ok(at)
    }

    async fn prove(&self, returned: &Returned<'_>) -> Result<Proved, NotProved> {
        let endpoints = self.endpoints().await?;
        let issuer = &self.registration.issuer;
        if !is_from(issuer, returned.issuer, endpoints.always_says_issuer) {
            return Err(NotProved::Refused);
        }
        let granted = self.trade(&endpoints, returned).await?;
        let claims = self.claims(&endpoints, &granted.id_token, returned).await?;
        if returned.asked_since.is_some_and(|since| !self.is_fresh(&claims, since)) {
            return Err(NotProved::Stale);
        }
        let revocable = granted.refresh_token.filter(|_| self.revocation(&endpoints).is_some());
        let revocable = revocable.map(Redacted::new);
        let issuer = self.registration.known_as.map_or_else(|| issuer.clone(), str::to_owned);
        let who = Subject { issuer, subject: Redacted::new(claims.sub) };
        Ok(Proved { who, formerly: None, revocable })
    }

    async fn revoke(&self, token: &Redacted<String>) -> Result<(), NotRevoked> {
        let failed = |error: &dyn std::fmt::Display| NotRevoked(error.to_string());
        let endpoints = self.endpoints().await.map_err(|error| failed(&error))?;
        let at = self.revocation(&endpoints).ok_or_else(|| failed(&"it takes nothing back"))?;
        let fields = [("token", token.expose().as_str()), ("token_type_hint", "refresh_token")];
        let request = self.signed(self.http.post(at.clone()), &fields);
        let request = request.map_err(|error| failed(&error))?;
        let answer = outbound::exchange(request).await.map_err(|error| failed(&error))?;
        let over = || refusal(&answer.body).is_some_and(|error| OF_THE_GRANT.contains(&error));
        match answer.status.as_u16() {
            200 => Ok(()),
            400 if over() => Ok(()),
            status => Err(failed(&format_args!(
                "status {status}, {}",
                refusal(&answer.body).unwrap_or("-")
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_from_its_issuer_only() {
        let issuer = "https://id.example";
        assert!(is_from(issuer, Some(issuer), true) && is_from(issuer, Some(issuer), false));
        assert!(!is_from(issuer, Some("https://id.example/"), false), "letter by letter");
        assert!(!is_from(issuer, Some("https://evil.example"), true));
        assert!(is_from(issuer, None, false), "one that never says it");
        assert!(!is_from(issuer, None, true), "one that always says it");
    }

    #[test]
    fn a_confirmation_is_fresh_by_the_providers_own_word() {
        use std::sync::Arc;

        use crate::clock::ManualClock;
        use crate::federation::development::Development;
        use crate::random::SeededRandom;

        const SINCE: u64 = 1_000_000;
        let issuer = "http://127.0.0.1:9";
        let clock = Arc::new(ManualClock::new(SINCE));
        let (secret, random) = (Redacted::new("s".to_owned()), Arc::new(SeededRandom::new(1)));
        let desk = Development::new(issuer, "c", secret, clock.clone(), random).unwrap();
        let http = outbound::client(None, &outbound::address(issuer).unwrap()).unwrap();
        let fresh = |freshness, auth_time: Option<u64>| {
            let registration = Registration { freshness, ..desk.registration() };
            let provider = Oidc::new(registration, http.clone(), clock.clone());
            let claims = serde_json::json!({
                "iss": issuer, "sub": "a", "aud": "c", "exp": 1, "iat": 1, "auth_time": auth_time,
            });
            provider.is_fresh(&serde_json::from_value(claims).unwrap(), SINCE)
        };
        assert!(fresh(Freshness::Said, Some(SINCE - LEEWAY_SECS)));
        assert!(!fresh(Freshness::Said, Some(SINCE - LEEWAY_SECS - 1)), "asked before");
        assert!(!fresh(Freshness::Said, None), "it does not say");
        assert!(fresh(Freshness::Always, None));
        assert!(!fresh(Freshness::Always, Some(SINCE - LEEWAY_SECS - 1)), "it says otherwise");
    }

    #[test]
    fn the_challenge_is_that_of_the_rfc() {
        // RFC 7636, appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(challenge(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn a_providers_own_words_are_not_passed_on() {
        assert_eq!(refusal(br#"{"error":"invalid_grant"}"#), Some("invalid_grant"));
        assert_eq!(refusal(br#"{"error":"the code abc was used"}"#), None);
        assert_eq!(refusal(b"<html>"), None);
    }
}
