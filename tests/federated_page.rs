//! Logins at an identity provider in the page, with Chromium, a real server and its stand-in for such a
//! provider: somebody new, signing in again, binding to an account with a number, unbinding, and the last
//! way in, which stays.

mod support;

use std::time::Duration;

use serde_json::json;
use sightline_grant::requirement;
use support::journey::{run, step};
use support::local::Local;
use support::server::sightline;

/// Longest journey, with a browser on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

#[test]
fn a_person_registers_signs_in_binds_and_unbinds_by_an_identity_provider() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Local::start(folder.path(), &["--no-demo"]);
    assert!(server.line("identity").contains("DEVELOPMENT IDENTITY"));
    let request = json!({
        "page": server.line("page"),
        "sms_file": server.data().join("dev-sms.txt"),
        "phone": "+4915112345678",
    });
    let lines = run("federated_page.mjs", &request, LIMIT);
    let failed = lines.iter().find(|line| line["error"].is_string());
    assert!(failed.is_none(), "{lines:#?}");
    step(&lines, "done");
    let said = |name: &str, member: &str| {
        step(&lines, name)[member].as_str().unwrap_or_default().to_owned()
    };
    assert!(said("provider", "hint").contains("a stand-in that proves nothing"));
    assert_eq!(said("at the provider", "title"), "DEVELOPMENT IDENTITY");
    assert!(said("cancelled", "text").contains("You came back without signing in there"));
    let registered = step(&lines, "registered");
    assert_eq!(registered["address"], "", "the code is off the address");
    assert!(said("registered", "partial").contains("no phone number or mail address yet"));
    assert!(said("last", "text").contains("Nothing else signs in to this account"));
    assert!(said("last", "chinese").contains("没有其他方式可登录此账号"));
    assert_eq!(said("signed in again", "account"), said("registered", "account"));
    assert_eq!(said("bound", "account"), said("by the bound one", "account"));
    assert_ne!(said("bound", "account"), said("registered", "account"));
    assert!(said("taken", "text").contains("belongs to another account"));
    assert_eq!(step(&lines, "unbound")["left"], 0);
    let log = server.log();
    for secret in ["anna-of-the-page", "carl-of-the-page", "?code=", "refresh_token"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
    requirement!("A11", "A20");
}

#[test]
fn a_provider_that_is_configured_badly_is_refused_with_its_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("sightline.toml");
    let provider = |lines: &str| {
        let head = "[[identity_providers]]\nid = 'apple'\nkind = 'apple'\nname = 'Apple'\n\
                    client_id = 'c'\nredirect_uris = ['https://cam.example/']\n";
        std::fs::write(&file, format!("{head}{lines}")).expect("written");
        let output = sightline().args(["config", "check"]).arg(&file).output();
        let output = output.expect("it ran");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (good, said) = provider("team_id = 't'\nkey_id = 'k'\nkey_file = 'key.p8'\n");
    assert!(good, "{said}");
    for (lines, named) in [
        ("team_id = 't'\nkey_file = 'key.p8'\n", "identity_providers.key_id"),
        ("team_id = 't'\nkey_id = 'k'\nkey_file = 'f'\nissuer = 'https://x'\n", "issuer"),
        ("team = 't'\n", "team"),
    ] {
        let (good, said) = provider(lines);
        assert!(!good && said.contains(named), "{lines}: {said}");
    }
}
