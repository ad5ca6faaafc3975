//! Where a provider's endpoints are: its own description, kept for a while.

use serde::Deserialize;
use tokio::sync::Mutex;
use url::Url;

use crate::outbound::{self, Answer};

/// Where the description is, behind the issuer.
const PATH: &str = "/.well-known/openid-configuration";
/// How long a description is used, seconds.
const FRESH_SECS: u64 = 6 * 60 * 60;
/// After a try that failed nobody asks for so long, seconds from its start. Above the longest time of a
/// request, so that those who wait for such a try fail with it.
const RETRY_SECS: u64 = 10;

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

#[derive(Default)]
struct Known {
    /// With the time at which they were read, Unix seconds.
    endpoints: Option<(Endpoints, u64)>,
    /// When the last try began, if it failed, Unix seconds.
    failed_at: Option<u64>,
}

/// The description of one issuer.
pub(super) struct Discovery {
    issuer: String,
    known: Mutex<Known>,
}

impl Discovery {
    pub(super) fn new(issuer: &str) -> Self {
        Self { issuer: issuer.to_owned(), known: Mutex::default() }
    }

    /// The endpoints; read anew when they are not fresh.
    pub(super) async fn endpoints(
        &self,
        http: &reqwest::Client,
        now: u64,
    ) -> Result<Endpoints, String> {
        let mut known = self.known.lock().await;
        if let Some((endpoints, at)) = &known.endpoints
            && now < at + FRESH_SECS
        {
            return Ok(endpoints.clone());
        }
        // Either way: a clock that is set back does not shut the provider out.
        if known.failed_at.is_some_and(|failed| now.abs_diff(failed) < RETRY_SECS) {
            return Err("its description could not be read a moment ago".into());
        }
        let read = self.ask(http).await;
        match &read {
            Ok(endpoints) => {
                *known = Known { endpoints: Some((endpoints.clone(), now)), failed_at: None };
            }
            Err(_) => known.failed_at = Some(now),
        }
        read
    }

    async fn ask(&self, http: &reqwest::Client) -> Result<Endpoints, String> {
        let at = format!("{}{PATH}", self.issuer.trim_end_matches('/'));
        let answer = outbound::exchange(http.get(at)).await.map_err(|error| error.to_string())?;
        let Answer { status, body } = answer;
        if status.as_u16() != 200 {
            return Err(format!("status {status} for its description"));
        }
        read(&body, &self.issuer)
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
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use axum::Router;
    use axum::http::StatusCode;
    use futures_util::future::join_all;
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

    #[tokio::test]
    async fn a_provider_that_is_down_is_not_asked_by_everybody_in_turn() {
        const NOW: u64 = 1_000_000;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let (asked, up) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let mut good = told();
        good["issuer"] = json!(issuer);
        let answer = {
            let (asked, up) = (asked.clone(), up.clone());
            move || {
                asked.fetch_add(1, Ordering::SeqCst);
                let up = up.load(Ordering::SeqCst);
                let status = if up { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
                std::future::ready((status, good.to_string()))
            }
        };
        let router = Router::new().fallback(answer);
        tokio::spawn(async move { axum::serve(listener, router).await });
        let http = outbound::client(None, &outbound::address(&issuer).unwrap()).unwrap();
        let discovery = Discovery::new(&issuer);
        let at = |now| discovery.endpoints(&http, now);
        let asked = || asked.load(Ordering::SeqCst);

        let all = join_all((NOW..NOW + RETRY_SECS).map(at)).await;
        assert!(all.iter().all(Result::is_err));
        assert_eq!(asked(), 1, "by the first of them");
        up.store(true, Ordering::SeqCst);
        assert!(at(NOW + RETRY_SECS - 1).await.is_err());
        assert_eq!(asked(), 1);
        assert!(at(NOW + RETRY_SECS).await.is_ok());
        assert!(at(NOW + RETRY_SECS + 1).await.is_ok());
        assert_eq!(asked(), 2, "a description that was read is kept");
        up.store(false, Ordering::SeqCst);
        let stale = NOW + RETRY_SECS + FRESH_SECS;
        assert!(at(stale).await.is_err() && at(stale + 1).await.is_err());
        assert_eq!(asked(), 3);
    }
}
