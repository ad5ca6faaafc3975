//! WeChat's login for web pages. It is OAuth in outline only: the app's secret travels in the query, the
//! answer is neither signed nor bound to a verifier, and errors come with status 200. So what holds a way
//! together here is its state, its terminal and the code that only this service can trade.
//!
//! A person has one `openid` for each app, and one `unionid` for all apps that the developer has joined.
//! The latter is the subject where it is told; who was known by the former is found by it once more, when
//! the operator joins the app later.

use async_trait::async_trait;
use serde::Deserialize;
use sightline_grant::Redacted;
use url::Url;

use super::{
    IdentityProvider, Leaving, MAX_SUBJECT_CHARS, NotProved, NotRevoked, Proved, ProviderFacts,
    Redirects, Returned, Subject,
};
use crate::outbound::{self, Answer};

/// Where browsers are sent.
pub const OPEN: &str = "https://open.weixin.qq.com/";
/// Where codes are traded.
pub const API: &str = "https://api.weixin.qq.com/";
/// Behind [`OPEN`].
const AUTHORIZE_PATH: &str = "connect/qrconnect";
/// Behind [`API`].
const TOKEN_PATH: &str = "sns/oauth2/access_token";
/// The scope of logins.
const SCOPE: &str = "snsapi_login";
/// Errors that mean the code: unknown, missing, used.
const OF_THE_CODE: [i64; 3] = [40_029, 41_008, 40_163];

/// What the operator has at WeChat.
pub struct Account {
    /// What everybody may know.
    pub facts: ProviderFacts,
    /// This service's id.
    pub app_id: String,
    /// Its secret.
    pub secret: Redacted<String>,
    /// Where browsers may come back to.
    pub redirects: Redirects,
    /// [`OPEN`], but for tests.
    pub open: Url,
    /// [`API`], but for tests.
    pub api: Url,
}

/// WeChat.
pub struct WeChat {
    account: Account,
    http: reqwest::Client,
}

#[derive(Deserialize)]
struct Told {
    errcode: Option<i64>,
    openid: Option<String>,
    unionid: Option<String>,
}

impl WeChat {
    /// `http` trusts whoever answers at the account's addresses.
    pub fn new(account: Account, http: reqwest::Client) -> Self {
        Self { account, http }
    }

    fn proved(&self, told: Told) -> Result<Proved, NotProved> {
        match told.errcode {
            None | Some(0) => {}
            Some(code) if OF_THE_CODE.contains(&code) => return Err(NotProved::Refused),
            Some(code) => return Err(NotProved::Silent(format!("errcode {code}"))),
        }
        let openid = told.openid.filter(|id| is_id(id)).map(Redacted::new);
        let openid = openid.ok_or_else(|| NotProved::Silent("it names nobody".into()))?;
        let issuer = format!("{OPEN}appid/{}", self.account.app_id);
        let of_app = Subject { issuer, subject: openid };
        Ok(match told.unionid.filter(|id| is_id(id)).map(Redacted::new) {
            Some(subject) => {
                let who = Subject { issuer: format!("{OPEN}unionid"), subject };
                Proved { who, formerly: Some(of_app), revocable: None }
            }
            None => Proved { who: of_app, formerly: None, revocable: None },
        })
    }
}

fn is_id(id: &str) -> bool {
    (1..=MAX_SUBJECT_CHARS).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

#[async_trait]
impl IdentityProvider for WeChat {
    fn facts(&self) -> &ProviderFacts {
        &self.account.facts
    }

    fn takes_back_to(&self, redirect: &str) -> bool {
        self.account.redirects.take(redirect)
    }

    async fn authorize(&self, leaving: &Leaving<'_>) -> Result<Url, NotProved> {
        let at = self.account.open.join(AUTHORIZE_PATH);
        let mut at = at.map_err(|error| NotProved::Silent(error.to_string()))?;
        at.query_pairs_mut()
            .append_pair("appid", &self.account.app_id)
            .append_pair("redirect_uri", leaving.redirect)
            .append_pair("response_type", "code")
            .append_pair("scope", SCOPE)
            .append_pair("state", leaving.state);
        at.set_fragment(Some("wechat_redirect"));
        Ok(at)
    }

    async fn prove(&self, returned: &Returned<'_>) -> Result<Proved, NotProved> {
        // It never names itself, so an answer that names somebody is another provider's.
        if returned.issuer.is_some() {
            return Err(NotProved::Refused);
        }
        let at = self.account.api.join(TOKEN_PATH);
        let mut at = at.map_err(|error| NotProved::Silent(error.to_string()))?;
        at.query_pairs_mut()
            .append_pair("appid", &self.account.app_id)
            .append_pair("secret", self.account.secret.expose())
            .append_pair("code", returned.code.expose())
            .append_pair("grant_type", "authorization_code");
        let answer = outbound::exchange(self.http.get(at)).await;
        let Answer { status, body } =
            answer.map_err(|error| NotProved::Silent(error.to_string()))?;
        if status.as_u16() != 200 {
            return Err(NotProved::Silent(format!("status {status}")));
        }
        let wrong = |_| NotProved::Silent("its answer is not as agreed".into());
        self.proved(serde_json::from_slice(&body).map_err(wrong)?)
    }

    /// It takes nothing back: its tokens end by themselves, and none is kept here.
    async fn revoke(&self, _: &Redacted<String>) -> Result<(), NotRevoked> {
        Ok(())
    }
}
