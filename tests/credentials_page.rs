//! Account security in the page, with Chromium and a real server: a mail address and a password come
//! to an account, sign in, and are set anew when they were forgotten.

mod support;

use std::time::Duration;

use serde_json::json;
use sightline_grant::requirement;
use support::journey::{run, step};
use support::local::Local;

/// Longest journey, with a browser on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

#[test]
fn a_person_adds_an_address_and_a_password_signs_in_with_them_and_resets_the_password() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Local::start(folder.path(), &["--no-demo"]);
    let request = json!({
        "page": server.line("page"),
        "sms_file": server.data().join("dev-sms.txt"),
        "mail_file": server.data().join("dev-mail.txt"),
        "phone": "+4915112345678",
        "mail": "anna@mail.example",
    });
    let lines = run("credentials_journey.mjs", &request, LIMIT);
    let failed = lines.iter().find(|line| line["error"].is_string());
    assert!(failed.is_none(), "{lines:#?}");
    step(&lines, "done");
    let mail = step(&lines, "mail");
    assert_eq!(mail["refused"], "Enter an address such as anna@example.org.");
    assert!(mail["shown"].as_str().expect("a text").contains("a***@mail.example"), "{mail}");
    let password = step(&lines, "password");
    assert_eq!(password["autocomplete"], "new-password");
    let common = "This password is one of the first that strangers try. Take another one.";
    assert_eq!(password["refused"], common);
    let entered = step(&lines, "entered");
    assert_eq!(entered["selected"], "true", "tabs follow the arrow keys");
    assert_eq!(entered["refused"], "The password is not right for this number or address.");
    assert!(step(&lines, "reset")["chinese"].as_str().expect("a text").contains("已设置"));
    let said = server.said();
    assert!(!said.contains("gnu lamp") && !server.log().contains("gnu lamp"));
    for secret in ["anna@mail.example", "+4915112345678", "gnu lamp", "quiet herons"] {
        assert!(!server.log().contains(secret), "{secret} is in the log");
    }
    requirement!("A2", "A3", "A6", "A7", "A20");
}
