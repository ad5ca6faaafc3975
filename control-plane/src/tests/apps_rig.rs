//! Apps that people of a test sign in to.

use sightline_grant::{Redacted, Thumbprint};
use url::Url;

use super::rig::{Rig, User};
use crate::ids::AppId;
use crate::sso::app::{AppAdded, NewApp};
use crate::sso::authorize::{Answer, Decision};
use crate::sso::token::{AppTokens, CodeShown, TokenError};
use crate::storage::model::App;

/// Where browsers come back to.
pub(crate) const BACK: &str = "https://app.example/cb";
/// Verifier and challenge of RFC 7636, appendix B.
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// What an app is.
pub(crate) fn new_app(name: &str) -> NewApp {
    NewApp {
        name: name.into(),
        redirect_uris: vec![BACK.into()],
        policy_url: "https://app.example/policy".into(),
        policy_version: 1,
        backchannel_uri: Some("https://app.example/logout".into()),
        ..NewApp::default()
    }
}

/// A request of an app.
pub(crate) fn asks(app: &AppId, more: &str) -> String {
    format!(
        "response_type=code&client_id={app}&redirect_uri=https%3A%2F%2Fapp.example%2Fcb\
         &scope=openid+profile&state=s1&nonce=n1&code_challenge={CHALLENGE}\
         &code_challenge_method=S256{more}"
    )
}

/// A member of the address that a browser is sent to.
pub(crate) fn member(address: &str, name: &str) -> Option<String> {
    let url = Url::parse(address).unwrap();
    let found = url.query_pairs().find(|(known, _)| known == name);
    found.map(|(_, value)| value.into_owned())
}

/// Where the browser goes.
pub(crate) fn back(answer: Answer) -> String {
    match answer {
        Answer::Back(to) => to,
        Answer::Ask(question) => panic!("asked: {question:?}"),
    }
}

impl Rig {
    /// The operator's own, on phones.
    pub(crate) async fn own_app(&self) -> AppAdded {
        let app = NewApp { first_party: true, public: true, ..new_app("Sightline Go") };
        self.cp.add_app(&app).await.unwrap()
    }

    /// Somebody else's, with a secret.
    pub(crate) async fn other_app(&self) -> AppAdded {
        self.cp.add_app(&new_app("Weather")).await.unwrap()
    }

    pub(crate) async fn app(&self, id: &AppId) -> App {
        self.cp.list_apps().await.unwrap().into_iter().find(|app| app.id == *id).unwrap()
    }

    /// The person agrees; the code.
    pub(crate) async fn app_code(&self, user: &User, app: &AppId, more: &str) -> String {
        let agreed = Decision::Agreed { profile: true };
        let answer = self.cp.answer_app(&user.session, &asks(app, more), agreed).await.unwrap();
        let to = back(answer);
        assert!(to.starts_with(BACK), "{to}");
        member(&to, "code").unwrap_or_else(|| panic!("no code: {to}"))
    }

    /// Trades a code as it was issued.
    pub(crate) async fn trade(
        &self,
        app: &AppId,
        code: &str,
        jkt: Option<Thumbprint>,
    ) -> Result<AppTokens, TokenError> {
        self.cp.trade_code(&self.app(app).await, &shown(code), jkt).await
    }

    /// The person agrees and the app trades the code.
    pub(crate) async fn app_signed_in(
        &self,
        user: &User,
        app: &AppId,
        jkt: Option<Thumbprint>,
    ) -> AppTokens {
        let code = self.app_code(user, app, "").await;
        self.trade(app, &code, jkt).await.unwrap()
    }
}

/// A code with what goes with it.
pub(crate) fn shown(code: &str) -> CodeShown {
    CodeShown {
        code: Redacted::new(code.to_owned()),
        redirect_uri: BACK.into(),
        verifier: Redacted::new(VERIFIER.into()),
    }
}
