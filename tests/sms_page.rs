//! Codes that cost work, and lines that sign in with one click, on a real server: from the page with
//! two browsers, and from the client.

mod support;

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sightline_client::Identity;
use sightline_client::api::{Api, OtpRequest};
use sightline_grant::{Redacted, requirement};
use support::local::Local;
use support::process::{Output, Process, wait_for};
use support::publishers::script;

const PHONE: &str = "+8613800138000";
/// Longest journey, with a browser on a busy machine.
const LIMIT: Duration = Duration::from_secs(90);
/// Longest wait for a message.
const SMS_LIMIT: Duration = Duration::from_secs(20);

fn step<'a>(lines: &'a [Value], name: &str) -> &'a Value {
    let found = lines.iter().find(|line| line["step"] == name);
    found.unwrap_or_else(|| panic!("no step {name:?}: {lines:#?}"))
}

#[test]
fn a_page_does_work_for_a_code_and_a_line_signs_in_with_one_click() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Local::start(folder.path(), &["--no-demo", "--set", "sms.work=always"]);
    assert!(server.line("carrier").contains("DEVELOPMENT CARRIER"));
    let request = json!({
        "page": server.line("page"),
        "sms_file": server.data().join("dev-sms.txt"),
        "phone": PHONE,
    });
    let input = folder.path().join("request.json");
    std::fs::write(&input, request.to_string()).expect("written");
    let mut command = Command::new("node");
    command.arg(script("sms_journey.mjs")).stdin(std::fs::File::open(&input).expect("written"));
    let mut node = Process::start("sms_journey", folder.path(), &mut command, Output::File);
    let ended = node.wait(LIMIT);
    let text = std::fs::read_to_string(folder.path().join("sms_journey.out")).expect("its output");
    let lines: Vec<Value> =
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert!(ended.is_some_and(|status| status.success()), "{text}{}", node.complaints());
    assert!(lines.iter().all(|line| line["step"] != "page-error"), "{text}");

    assert_eq!(step(&lines, "signed in by code")["wishes"], json!([false, true]));
    let carrier = step(&lines, "carrier");
    assert!(carrier["hint"].as_str().is_some_and(|hint| hint.contains("proves nothing")), "{text}");
    assert_eq!(step(&lines, "at the carrier")["title"], "DEVELOPMENT CARRIER");
    assert_eq!(step(&lines, "signed in by line")["address"], "", "the code is off the address");
    let told = step(&lines, "told");
    assert!(told["english"].as_str().is_some_and(|text| text.contains("New terminal.")), "{told}");
    assert!(told["chinese"].as_str().is_some_and(|text| text.contains("新终端。")), "{told}");
    assert_eq!(step(&lines, "forged")["address"], "");
    let messages = std::fs::read_to_string(server.data().join("dev-sms.txt")).expect("messages");
    assert_eq!(messages.matches("DEVELOPMENT SMS").count(), 1, "none for the line");
    requirement!("A8", "A19");
}

#[tokio::test]
async fn a_client_does_the_work_that_a_server_asks_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Local::start(folder.path(), &["--no-demo", "--set", "sms.work=always"]);
    let identity = Arc::new(Identity::generate_terminal().expect("a key"));
    let page = server.line("page").trim_end_matches('/').replace("localhost", "127.0.0.1");
    let api = Api::new(&page, None, identity).expect("a client");
    let wish = OtpRequest::Login { target: Redacted::new(PHONE.to_owned()) };
    let sent = api.otp(&wish, None).await.expect("a challenge");
    assert_eq!(sent.work, None);
    let file = server.data().join("dev-sms.txt");
    wait_for("the message", SMS_LIMIT, || {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        text.contains(PHONE).then_some(())
    });
}

#[test]
fn the_rehearsal_of_pumping_prints_both_bars_and_ends_well() {
    let output = support::server::sightline()
        .args(["admin", "simulate", "sms-pumping"])
        .output()
        .expect("it ran");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert_eq!(text.matches("both bars hold").count(), 2, "{text}");
    assert_eq!(text.matches("10000 wishes").count(), 2, "{text}");
}
