//! Authorisation requests: what an app asks for by way of the browser.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use sightline_grant::Thumbprint;
use url::{Url, form_urlencoded};

use super::scope::Scopes;
use crate::limits::{APP_NONCE_CHARS, APP_STATE_CHARS};
use crate::storage::model::App;

/// Whether and how the person is to be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Prompt {
    /// Nothing may be asked.
    pub(super) none: bool,
    /// The person is to show anew who it is.
    pub(super) login: bool,
    /// The person is to agree anew.
    pub(super) consent: bool,
}

/// A request that can be answered.
#[derive(Clone, Debug)]
pub(super) struct AppRequest {
    pub(super) app: App,
    pub(super) back: Back,
    pub(super) scopes: Scopes,
    pub(super) nonce: Option<String>,
    pub(super) challenge: [u8; 32],
    pub(super) prompt: Prompt,
    /// Seconds.
    pub(super) max_age: Option<u64>,
    pub(super) jkt: Option<Thumbprint>,
}

/// The way back to the app.
#[derive(Clone, Debug)]
pub(super) struct Back {
    pub(super) redirect_uri: String,
    state: Option<String>,
    issuer: String,
}

/// An error that the app is told, by its name in RFC 6749 and OpenID Connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told(pub(super) &'static str);

const INVALID: Told = Told("invalid_request");

/// The members of a query, each once.
pub(super) struct Query {
    members: BTreeMap<String, String>,
    /// Members that occur twice.
    twice: Vec<String>,
}

impl Query {
    pub(super) fn parse(text: &str) -> Self {
        let (mut members, mut twice) = (BTreeMap::new(), Vec::new());
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            if members.insert(name.clone().into_owned(), value.into_owned()).is_some() {
                twice.push(name.into_owned());
            }
        }
        Self { members, twice }
    }

    /// A member that is there once and is not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let value = self.members.get(name).map(String::as_str);
        value.filter(|value| !value.is_empty() && !self.twice.iter().any(|twice| twice == name))
    }
}

impl Back {
    /// To an address that the app has, exactly.
    pub(super) fn to(query: &Query, app: &App, issuer: String) -> Option<Self> {
        let redirect_uri = query.get("redirect_uri")?;
        let known = app.redirect_uris.iter().any(|known| known == redirect_uri);
        let state = query.get("state").filter(|state| state.len() <= APP_STATE_CHARS);
        let state = state.map(str::to_owned);
        known.then(|| Self { redirect_uri: redirect_uri.to_owned(), state, issuer })
    }

    /// With a code.
    pub(super) fn with_code(&self, code: &str) -> String {
        self.with(&[("code", code)])
    }

    /// With an error.
    pub(super) fn with_error(&self, error: Told) -> String {
        self.with(&[("error", error.0)])
    }

    fn with(&self, members: &[(&str, &str)]) -> String {
        let mut url = Url::parse(&self.redirect_uri).expect("a registered address is one");
        {
            let mut query = url.query_pairs_mut();
            query.extend_pairs(members);
            if let Some(state) = &self.state {
                query.append_pair("state", state);
            }
            // RFC 9207: which provider answers.
            query.append_pair("iss", &self.issuer);
        }
        url.into()
    }
}

impl AppRequest {
    /// Reads the rest of a request whose app and way back are known.
    pub(super) fn read(query: &Query, app: App, back: Back) -> Result<Self, Told> {
        if !query.twice.is_empty() {
            return Err(INVALID);
        }
        takes_no_others(query)?;
        let scopes = query.get("scope").and_then(Scopes::parse).ok_or(Told("invalid_scope"))?;
        // Without a method a challenge would be the verifier itself (RFC 7636, 4.3).
        if query.get("code_challenge_method") != Some("S256") {
            return Err(INVALID);
        }
        let challenge = query.get("code_challenge").and_then(|text| B64.decode(text).ok());
        let challenge = challenge.and_then(|bytes| bytes.try_into().ok()).ok_or(INVALID)?;
        let max_age = query.get("max_age").map(|age| age.parse().map_err(|_| INVALID));
        let jkt = query.get("dpop_jkt").map(|jkt| jkt.parse().map_err(|_| INVALID));
        Ok(Self {
            app,
            back,
            scopes,
            nonce: query.get("nonce").map(str::to_owned),
            challenge,
            prompt: prompt(query)?,
            max_age: max_age.transpose()?,
            jkt: jkt.transpose()?,
        })
    }
}

/// Refuses ways of asking and answering that there are not.
fn takes_no_others(query: &Query) -> Result<(), Told> {
    match query.get("response_type") {
        Some("code") => {}
        Some(_) => return Err(Told("unsupported_response_type")),
        None => return Err(INVALID),
    }
    if query.get("request").is_some() {
        return Err(Told("request_not_supported"));
    }
    if query.get("request_uri").is_some() {
        return Err(Told("request_uri_not_supported"));
    }
    let long = |name, most| query.get(name).is_some_and(|text| text.len() > most);
    let other_mode = query.get("response_mode").is_some_and(|mode| mode != "query");
    if other_mode || long("state", APP_STATE_CHARS) || long("nonce", APP_NONCE_CHARS) {
        return Err(INVALID);
    }
    Ok(())
}

fn prompt(query: &Query) -> Result<Prompt, Told> {
    let mut prompt = Prompt::default();
    for word in query.get("prompt").unwrap_or_default().split(' ').filter(|word| !word.is_empty()) {
        match word {
            "none" => prompt.none = true,
            "login" => prompt.login = true,
            // There is one account here; agreeing anew says with which one it is done.
            "consent" | "select_account" => prompt.consent = true,
            _ => return Err(INVALID),
        }
    }
    if prompt.none && (prompt.login || prompt.consent) { Err(INVALID) } else { Ok(prompt) }
}
