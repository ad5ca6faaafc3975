//! Passkeys in the page, with Chromium, its virtual authenticator and a real server: made, used to sign
//! in, refused when nobody was verified, and taken off again without anything else changing.

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use sightline_grant::requirement;
use support::journey::{run, step};
use support::local::Local;

/// Longest journey, with a browser on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

#[test]
fn a_person_adds_a_passkey_signs_in_with_it_and_takes_it_off_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Local::start(folder.path(), &["--no-demo"]);
    let request = json!({
        // Browsers bind passkeys to names, and this one counts as safe.
        "page": server.line("page").replace("127.0.0.1", "localhost"),
        "sms_file": server.data().join("dev-sms.txt"),
        "phone": "+4915112345678",
    });
    let lines = run("passkey_page.mjs", &request, LIMIT);
    let failed = lines.iter().find(|line| line["error"].is_string());
    assert!(failed.is_none(), "{lines:#?}");
    step(&lines, "done");

    let made = step(&lines, "made");
    assert_eq!((&made["name"], &made["kept"]), (&json!("Phone"), &json!(1)));
    assert_eq!((&made["party"], &made["resident"]), (&json!("localhost"), &json!(true)));
    let members = json!(["authenticator_data", "client_data_json", "name"]);
    assert_eq!(made["sent"], members, "nothing else leaves the browser");
    assert_eq!(step(&lines, "renamed")["name"], "Old phone");

    let entered = step(&lines, "entered");
    let members = json!([
        "authenticator_data",
        "client_data_json",
        "client_type",
        "credential_id",
        "signature",
        "terminal_name",
        "user_handle"
    ]);
    assert_eq!(entered["sent"], members, "nothing else leaves the browser");
    let log = entered["log"].as_array().expect("actions");
    let used = |line: &&Value| line["action"] == "passkey.used";
    let used = log.iter().find(used).expect("a line about the login");
    assert_eq!(*used, json!({"action": "passkey.used", "result": "done", "object": ""}));

    let unverified = step(&lines, "unverified");
    let words = "Not confirmed on this terminal. Try again, or sign in in another way.";
    assert_eq!(unverified["browser"], words);
    assert_eq!(unverified["server"], "passkey-refused", "a browser that does not insist");

    let removed = step(&lines, "removed");
    assert_eq!((&removed["kept"], &removed["same"]), (&json!(0), &json!(true)));
    assert!(removed["chinese"].as_str().expect("a text").contains("面容、指纹或锁屏密码"));
    let words = "此通行密钥不能或不再能用于登录。请使用其他方式登录。";
    assert_eq!(step(&lines, "refused")["text"], words);
    assert_eq!(step(&lines, "by_code")["same"], true, "a code leads to the same account");
    requirement!("A9", "A10");
}
