use super::*;
use crate::federation::flow::Begun;
use crate::tests::federation::{BACK, World};

/// What a client sends after its browser came back from the stand-in.
async fn came_back(world: &World, begun: &Value, name: &str) -> Value {
    let text = |member: &str| begun[member].as_str().unwrap().to_owned();
    let (flow, authorize, state) = (text("flow_id"), text("authorize_url"), text("state"));
    let back = world.visit(&Begun { flow, authorize, state }, name).await;
    json!({
        "flow_id": back.flow, "state": back.state.expose(), "code": back.code.expose(),
        "iss": back.issuer,
    })
}

async fn sign_in(world: &World, app: &mut Client<'_>, name: &str) -> Answer {
    app.token = None;
    let wish = json!({"provider": "development", "redirect_uri": BACK});
    let begun = app.call("POST", "/v1/identity-flows", Some(wish)).await;
    assert_eq!(begun.status, StatusCode::CREATED, "{}", begun.body);
    let mut body = came_back(world, &begun.body, name).await;
    body["terminal_name"] = json!("Browser");
    body["client_type"] = json!("web");
    body["consents"] = json!([{"purpose": ACCOUNT.id, "version": ACCOUNT.version}]);
    let answer = app.call("POST", "/v1/sessions/provider", Some(body)).await;
    app.token = answer.body["access_token"].as_str().map(str::to_owned);
    answer
}

#[tokio::test]
async fn an_app_signs_in_by_a_provider_and_the_account_grows_from_there() {
    let world = World::new().await;
    let mut app = Client::new(&world.rig, 1);
    let listed = app.call("GET", "/v1/identity-providers", None).await;
    let ids: Vec<_> =
        listed.body["items"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect();
    assert_eq!(ids, ["apple", "development", "wechat"]);
    assert_eq!(listed.body["items"][1]["development"], true);
    let made = sign_in(&world, &mut app, "anna").await;
    assert_eq!((made.status, &made.body["new_account"]), (StatusCode::CREATED, &json!(true)));
    let me = app.call("GET", "/v1/me", None).await;
    assert_eq!((&me.body["full"], &me.body["identifiers"]), (&json!(false), &json!([])));

    // Not full: no camera comes to it, but its own security is open to it.
    let wish = json!({"serial": "CAM-1", "code": "x"});
    for (path, body) in [
        ("/v1/bindings", wish),
        ("/v1/bind-tokens", json!({})),
        ("/v1/shares/accept", json!({"code": "x", "consent": 1, "attestation": 1})),
        ("/v1/transfers", json!({"payload": "x"})),
    ] {
        let answer = app.call("POST", path, Some(body)).await;
        assert_eq!(answer.problem(), "identifier-required", "{path}");
    }
    let wish = |purpose: &str| json!({"provider": "development", "redirect_uri": BACK, "purpose": purpose});
    let path = "/v1/me/identity-flows";
    let bare = app.call("POST", path, Some(wish("bind"))).await;
    assert_eq!(bare.problem(), "step-up-required");
    let begun = app.call("POST", path, Some(wish("confirm"))).await;
    let body = came_back(&world, &begun.body, "anna").await;
    let opened = app.call("POST", "/v1/secure-windows/provider", Some(body.clone())).await;
    assert_eq!(opened.status, StatusCode::CREATED, "{}", opened.body);
    let again = app.call("POST", "/v1/secure-windows/provider", Some(body)).await;
    assert_eq!(again.problem(), "identity-refused");

    let begun = app.call("POST", path, Some(wish("bind"))).await;
    let body = came_back(&world, &begun.body, "anna-at-work").await;
    let bound = app.call("POST", "/v1/me/identities", Some(body)).await;
    assert_eq!((bound.status, &bound.body["suspended"]), (StatusCode::CREATED, &json!(false)));
    let mine = app.call("GET", "/v1/me/identities?limit=1", None).await;
    assert!(mine.body["next"].is_string(), "a second page: {}", mine.body);
    let all = app.call("GET", "/v1/me/identities", None).await;
    let ids: Vec<_> =
        all.body["items"].as_array().unwrap().iter().map(|it| it["id"].clone()).collect();
    assert_eq!(ids.len(), 2);
    let unbind = async |id: &Value| {
        let path = format!("/v1/me/identities/{}", id.as_str().unwrap());
        app.call("DELETE", &path, None).await
    };
    assert_eq!(unbind(&ids[0]).await.status, StatusCode::NO_CONTENT);
    assert_eq!(unbind(&ids[0]).await.problem(), "not-found");
    assert_eq!(unbind(&ids[1]).await.problem(), "identity-last");
}

#[tokio::test]
async fn what_is_asked_for_badly_is_refused_by_name() {
    let world = World::new().await;
    let app = Client::new(&world.rig, 1);
    let begin = async |provider: &str, redirect: &str| {
        let wish = json!({"provider": provider, "redirect_uri": redirect});
        app.call("POST", "/v1/identity-flows", Some(wish)).await
    };
    assert_eq!(begin("nobody", BACK).await.problem(), "no-provider");
    let elsewhere = begin("apple", "https://evil.example/").await;
    assert_eq!(elsewhere.problem(), "redirect-unknown");
    let more = json!({"provider": "apple", "redirect_uri": BACK, "scope": "email"});
    let more = app.call("POST", "/v1/identity-flows", Some(more)).await;
    assert_eq!(more.problem(), "bad-request");
    let made_up = json!({
        "flow_id": "0".repeat(32), "state": "x", "code": "x", "terminal_name": "Browser",
        "client_type": "web",
    });
    for (code, problem) in
        [("x".to_owned(), "identity-refused"), ("x".repeat(2049), "identity-refused")]
    {
        let mut body = made_up.clone();
        body["code"] = json!(code);
        let answer = app.call("POST", "/v1/sessions/provider", Some(body)).await;
        assert_eq!(answer.problem(), problem);
    }
    let mut named = made_up;
    named["subject"] = json!("anna");
    let named = app.call("POST", "/v1/sessions/provider", Some(named)).await;
    assert_eq!(named.problem(), "bad-request", "nobody says himself who he is");
}
