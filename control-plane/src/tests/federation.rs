mod apple;
mod grants;
mod logins;
mod restored;
mod wechat;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use sightline_grant::{Redacted, Thumbprint};
use url::Url;

use self::apple::Apple;
use self::wechat::Desk;
use super::rig::{IP, Rig, User, agreed, terminal};
use crate::federation::development::Development;
use crate::federation::flow::{Begun, Return};
use crate::federation::oidc::Oidc;
use crate::federation::oidc::apple::{AppleKey, registration};
use crate::federation::sign_in::{ProviderSignIn, ProviderSignInError};
use crate::federation::wechat::{Account, WeChat};
use crate::federation::{IdentityProvider, ProviderFacts, ProviderKind, Redirects};
use crate::outbound;
use crate::random::SeededRandom;
use crate::session::SignedIn;
use crate::storage::model::{FlowPurpose, Identity};

/// Where browsers come back to.
pub(crate) const BACK: &str = "http://127.0.0.1:8080/";

/// A server that works with three providers, each over its wire.
pub(crate) struct World {
    pub(crate) rig: Rig,
    desk: Arc<Development>,
    apple: Arc<Apple>,
    wechat: Arc<Desk>,
    providers: Vec<Arc<dyn IdentityProvider>>,
}

fn facts(id: &str, kind: ProviderKind) -> ProviderFacts {
    ProviderFacts { id: id.into(), name: id.into(), kind, development: false }
}

fn http() -> reqwest::Client {
    outbound::client(None, &outbound::address("http://127.0.0.1/").unwrap()).unwrap()
}

impl World {
    pub(crate) async fn new() -> Self {
        let rig = Rig::new().await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let secret = Redacted::new("shared-secret".to_owned());
        let random = Arc::new(SeededRandom::new(3));
        let desk =
            Development::new(&issuer, "sightline", secret, rig.clock.clone(), random).unwrap();
        let desk = Arc::new(desk);
        let app = desk.clone().router();
        tokio::spawn(async move { axum::serve(listener, app).await });
        let (apple, wechat) = (Apple::start(rig.clock.clone()).await, Desk::start().await);
        let listed = || Redirects::Listed(vec![BACK.to_owned()]);
        let key = AppleKey::from_pem(apple::TEAM, apple::KEY_ID, &apple.pem).unwrap();
        let of_apple = registration(
            facts("apple", ProviderKind::Apple),
            &apple.issuer,
            apple::CLIENT,
            key,
            listed(),
        );
        let of_wechat = Account {
            facts: facts("wechat", ProviderKind::WeChat),
            app_id: wechat::APP.into(),
            secret: Redacted::new(wechat::SECRET.to_owned()),
            redirects: listed(),
            open: wechat.at.clone(),
            api: wechat.at.clone(),
        };
        let providers: Vec<Arc<dyn IdentityProvider>> = vec![
            Arc::new(Oidc::new(desk.registration(), http(), rig.clock.clone())),
            Arc::new(Oidc::new(of_apple, http(), rig.clock.clone())),
            Arc::new(WeChat::new(of_wechat, http())),
        ];
        rig.cp.set_identity_providers(providers.clone());
        Self { rig, desk, apple, wechat, providers }
    }

    /// The same server on another data folder, or started anew on its own.
    async fn on(self, data: &Path) -> Self {
        let rig = self.rig.on(data).await;
        rig.cp.set_identity_providers(self.providers.clone());
        Self { rig, ..self }
    }

    async fn begin(&self, provider: &str, seed: u8) -> Begun {
        self.rig.cp.begin_provider_login(provider, BACK, terminal(seed), IP).await.unwrap()
    }

    async fn begin_for(&self, user: &User, provider: &str, purpose: FlowPurpose) -> Begun {
        self.rig.cp.begin_identity(&user.session, provider, BACK, purpose).await.unwrap()
    }

    /// What a person who says so at the stand-in comes back with.
    pub(crate) async fn visit(&self, begun: &Begun, name: &str) -> Return {
        let at = Url::parse(&begun.authorize).unwrap();
        let page = http().get(at.clone()).send().await.unwrap();
        assert!(page.status().is_success(), "the page of the stand-in");
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(at.query_pairs()).append_pair("name", name);
        let kind = "application/x-www-form-urlencoded";
        let post = http().post(at).header("content-type", kind).body(form.finish());
        let sent = post.send().await.unwrap();
        assert_eq!(sent.status().as_u16(), 303);
        let to = Url::parse(sent.headers()["location"].to_str().unwrap()).unwrap();
        assert!(to.as_str().starts_with(BACK));
        let query: HashMap<_, _> = to.query_pairs().into_owned().collect();
        Return {
            flow: begun.flow.clone(),
            state: Redacted::new(query["state"].clone()),
            code: Redacted::new(query["code"].clone()),
            issuer: Some(query["iss"].clone()),
        }
    }

    fn at_apple(&self, begun: &Begun, subject: &str) -> Return {
        coming(begun, self.apple.visit(&Url::parse(&begun.authorize).unwrap(), subject))
    }

    fn at_wechat(&self, begun: &Begun, openid: &str, unionid: Option<&str>) -> Return {
        coming(begun, self.wechat.visit(&Url::parse(&begun.authorize).unwrap(), openid, unionid))
    }

    async fn enter(&self, back: Return, seed: u8) -> Result<SignedIn, ProviderSignInError> {
        let request = ProviderSignIn {
            back,
            terminal_name: "Browser".into(),
            client_type: "web".into(),
            consents: agreed(),
        };
        let jkt: Thumbprint = terminal(seed);
        self.rig.cp.sign_in_by_provider(&request, jkt).await
    }

    async fn user(&self, signed_in: SignedIn) -> User {
        let session = self.rig.cp.session(&signed_in.tokens.access).await.unwrap().unwrap();
        User { signed_in, session }
    }

    /// Signs in by the stand-in.
    async fn by_desk(&self, name: &str, seed: u8) -> User {
        let begun = self.begin("development", seed).await;
        let back = self.visit(&begun, name).await;
        self.user(self.enter(back, seed).await.unwrap()).await
    }

    async fn by_apple(&self, subject: &str, seed: u8) -> User {
        let begun = self.begin("apple", seed).await;
        let back = self.at_apple(&begun, subject);
        self.user(self.enter(back, seed).await.unwrap()).await
    }

    /// Opens the secure window, as by a code.
    pub(crate) async fn confirm(&self, user: &User) {
        self.rig.cp.open_secure(&user.session, None, "code").await.unwrap();
    }

    async fn bind_apple(&self, user: &User, subject: &str) -> Identity {
        self.confirm(user).await;
        let begun = self.begin_for(user, "apple", FlowPurpose::Bind).await;
        let back = self.at_apple(&begun, subject);
        self.rig.cp.bind_identity(&user.session, &back).await.unwrap()
    }
}

/// Modulus and exponent of an RSA key of 2048 bits, out of its DER (RFC 8017, A.1.1).
pub(crate) fn rsa_parts(der: &[u8]) -> (&[u8], &[u8]) {
    // Two heads, a zero before the modulus, 256 bytes, a head, the exponent.
    (&der[9..265], &der[267..])
}

fn coming(begun: &Begun, code: String) -> Return {
    Return {
        flow: begun.flow.clone(),
        state: Redacted::new(begun.state.clone()),
        code: Redacted::new(code),
        issuer: None,
    }
}
