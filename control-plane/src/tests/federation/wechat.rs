//! WeChat's wire, as far as a service meets it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::extract::{Query, State};
use axum::response::Html;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use url::Url;

pub(super) const APP: &str = "wx0000000001";
pub(super) const SECRET: &str = "wechat-secret-of-this-app";

/// What stands in for WeChat.
pub(super) struct Desk {
    pub(super) at: Url,
    /// By code: `openid`, and `unionid` where the app is joined.
    codes: Mutex<HashMap<String, (String, Option<String>)>>,
}

impl Desk {
    pub(super) async fn start() -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let desk = Arc::new(Self { at, codes: Mutex::default() });
        let app = Router::new()
            .route("/connect/qrconnect", get(async || Html("scan")))
            .route("/sns/oauth2/access_token", get(token))
            .with_state(desk.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        desk
    }

    /// What a person who scans the picture there comes back with.
    pub(super) fn visit(&self, at: &Url, openid: &str, unionid: Option<&str>) -> String {
        let query: HashMap<_, _> = at.query_pairs().into_owned().collect();
        assert_eq!((at.path(), at.fragment()), ("/connect/qrconnect", Some("wechat_redirect")));
        assert_eq!((&*query["appid"], &*query["scope"]), (APP, "snsapi_login"));
        assert!(query["state"].len() <= 128 && query.contains_key("redirect_uri"));
        let mut codes = self.codes.lock().unwrap();
        let code = format!("wechat-code-{}", codes.len());
        codes.insert(code.clone(), (openid.to_owned(), unionid.map(str::to_owned)));
        code
    }
}

/// Every answer has status 200.
async fn token(
    State(desk): State<Arc<Desk>>,
    Query(query): Query<HashMap<String, String>>,
) -> Json<Value> {
    if (&*query["appid"], &*query["secret"]) != (APP, SECRET) {
        return Json(json!({"errcode": 40_125, "errmsg": "invalid appsecret"}));
    }
    let mut codes = desk.codes.lock().unwrap();
    let Some(found) = codes.insert(query["code"].clone(), (String::new(), None)) else {
        return Json(json!({"errcode": 40_029, "errmsg": "invalid code"}));
    };
    match found {
        (openid, _) if openid.is_empty() => {
            Json(json!({"errcode": 40_163, "errmsg": "code been used"}))
        }
        (openid, None) => Json(json!({"access_token": "a", "expires_in": 7200, "openid": openid})),
        (openid, Some(unionid)) => {
            Json(json!({"access_token": "a", "openid": openid, "unionid": unionid}))
        }
    }
}
