//! One account for several apps, with Chromium and a real server: two apps send a browser to sign in,
//! the person is asked for one code only, and signing out reaches both.

mod support;

use std::time::Duration;

use serde_json::json;
use sightline_grant::requirement;
use support::journey::{run, step};
use support::local::Local;

/// Longest journey, with a browser on a busy machine.
const LIMIT: Duration = Duration::from_secs(150);

#[test]
fn one_login_serves_two_apps_and_signing_out_reaches_both() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Local::start(folder.path(), &["--no-demo"]);
    let request = json!({
        "issuer": server.https_origin(),
        "ca": server.data().join("pki/ca.pem"),
        "sms_file": server.data().join("dev-sms.txt"),
        "phone": "+4915112345670",
        // The apps are made by the operator, who needs to know where they are.
        "sightline": env!("CARGO_BIN_EXE_sightline"),
        "data": server.data(),
    });
    let lines = run("sso_page.mjs", &request, LIMIT);
    let failed = lines.iter().find(|line| line["error"].is_string());
    assert!(failed.is_none(), "{lines:#?}\n{}", server.log());
    step(&lines, "done");

    let asked = step(&lines, "asked");
    assert_eq!(asked["heading"], "Sign in to Garden Go?");
    assert_eq!(asked["chinese"], "登录 Garden Go？");
    assert_eq!(asked["policy"], asked["policy_expected"]);
    let own = step(&lines, "own");
    assert_eq!((&own["type"], &own["devices"]), (&json!("DPoP"), &json!(200)));
    assert_eq!(own["password"], json!({"status": 403, "type": "/problems/app-barred"}));
    let other = step(&lines, "other");
    assert_eq!(other["codes"], 0, "one login serves both without a second code");
    assert_eq!((&other["name"], &other["devices"]), (&json!(null), &json!(401)));
    assert_ne!(other["sub"], own["sub"], "apps cannot join people");
    assert_eq!(step(&lines, "again")["code"], true, "a consent is remembered: nobody clicks");
    let refused = step(&lines, "refused");
    assert_eq!(refused["answer"], "access_denied");
    assert!(step(&lines, "foreign")["text"].as_str().is_some_and(|text| text.contains("No app")));
    assert_eq!(step(&lines, "listed")["apps"], json!(["Garden Go", "Weather"]));

    let out = step(&lines, "signed-out");
    assert_eq!((&out["own"], &out["other"]), (&json!(true), &json!(true)), "both were told: {out}");
    assert_eq!((&out["devices"], &out["info"]), (&json!(401), &json!(401)), "{out}");
    assert_eq!(out["refreshed"], "invalid_grant");
    let said = format!("{}{}", server.said(), server.log());
    for secret in step(&lines, "secrets")["all"].as_array().expect("a list") {
        assert!(!said.contains(secret.as_str().expect("a text")), "a secret was printed");
    }
    requirement!("A15");
}
