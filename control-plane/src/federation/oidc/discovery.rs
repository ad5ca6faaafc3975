//! Where a provider's endpoints are: its own description, kept for a while.

use serde::Deserialize;
use tokio::sync::Mutex;
use url::Url;

use crate::outbound::{self, Answer};

/// Where the description is, behind the issuer.
const PATH: &str = "/.well-known/openid-configuration";
/// How long a description is used, seconds.
const FRESH_SECS: u64 = 6 * 60 * 60;

/// What is used of a description.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Endpoints {
    pub(super) authorization: Url,
    pub(super) token: Url,
    pub(super) keys: Url,
    pub(super) revocation: Option<Url>,
    /// The provider names itself in every answer (RFC 9207).
    pub(super) always_says_issuer: bool,
}

#[derive(Deserialize)]
struct Description {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    revocation_endpoint: Option<String>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// The description of one issuer.
pub(super) struct Discovery {
    issuer: String,
    /// With the time at which it was read, Unix seconds.
    known: Mutex<Option<(Endpoints, u64)>>,
}

impl Discovery {
    pub(super) fn new(issuer: &str) -> Self {
        Self { issuer: issuer.to_owned(), known: Mutex::new(None) }
    }

    /// The endpoints; read anew when they are not fresh.
    pub(super) async fn endpoints(
        &self,
        http: &reqwest::Client,
        now: u64,
    ) -> Result<Endpoints, String> {
        let mut known = self.known.lock().await;
        if let Some((endpoints, at)) = &*known
            && now < at + FRESH_SECS
        {
            return Ok(endpoints.clone());
        }
        let at = format!("{}{PATH}", self.issuer.trim_end_matches('/'));
        let answer = outbound::exchange(http.get(at)).await.map_err(|error| error.to_string())?;
        let Answer { status, body } = answer;
        if status.as_u16() != 200 {
            return Err(format!("status {status} for its description"));
        }
        let endpoints = read(&body, &self.issuer)?;
        *known = Some((endpoints.clone(), now));
        Ok(endpoints)
    }
}

fn read(body: &[u8], issuer: &str) -> Result<Endpoints, String> {
    let told: Description =
        serde_json::from_slice(body).map_err(|_| "its description is not as agreed".to_owned())?;
    // Letter by letter: another issuer's description would lead to another issuer's subjects.
    if told.issuer != issuer {
        return Err("its description is of another issuer".into());
    }
    let revocation = told.revocation_endpoint.map(|text| endpoint(&text, issuer)).transpose()?;
    Ok(Endpoints {
        authorization: authorization(&told.authorization_endpoint, issuer)?,
        token: endpoint(&told.token_endpoint, issuer)?,
        keys: endpoint(&told.jwks_uri, issuer)?,
        revocation,
        always_says_issuer: told.authorization_response_iss_parameter_supported,
    })
}

/// An endpoint that this service speaks to: by https if the issuer is.
fn endpoint(text: &str, issuer: &str) -> Result<Url, String> {
    let url = outbound::address(text).map_err(|_| "an endpoint has no https".to_owned())?;
    if issuer.starts_with("https:") && url.scheme() != "https" {
        return Err("an endpoint has no https".into());
    }
    Ok(url)
}

/// The endpoint that browsers are sent to, which may have a query of its own (RFC 6749, 3.1).
fn authorization(text: &str, issuer: &str) -> Result<Url, String> {
    let (bare, query) = text.split_once('?').map_or((text, None), |(bare, q)| (bare, Some(q)));
    let mut url = endpoint(bare, issuer)?;
    url.set_query(query.filter(|query| !query.contains('#')));
    Ok(url)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ISSUER: &str = "https://id.example";

    fn told() -> Value {
        json!({
            "issuer": ISSUER, "authorization_endpoint": "https://id.example/a?p=1",
            "token_endpoint": "https://id.example/t", "jwks_uri": "https://keys.example/k",
        })
    }

    fn outcome(change: impl Fn(&mut Value)) -> Result<Endpoints, String> {
        let mut told = told();
        change(&mut told);
        read(told.to_string().as_bytes(), ISSUER)
    }

    #[test]
    fn a_description_is_of_its_issuer_and_leads_over_tls_only() {
        let endpoints = outcome(|_| {}).unwrap();
        assert_eq!(endpoints.authorization.query(), Some("p=1"));
        assert!(endpoints.revocation.is_none() && !endpoints.always_says_issuer);
        assert!(outcome(|told| told["issuer"] = json!("https://id.example/")).is_err());
        for member in
            ["authorization_endpoint", "token_endpoint", "jwks_uri", "revocation_endpoint"]
        {
            for at in ["http://id.example/x", "http://127.0.0.1/x", "file:///etc/x", "x"] {
                let bad = outcome(|told| told[member] = json!(at));
                assert!(bad.is_err(), "{member} {at}");
            }
        }
        assert!(read(b"[]", ISSUER).is_err());
    }
}
