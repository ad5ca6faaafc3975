//! Sharing a camera with somebody else on the page, with two browsers and a real server: one flow from
//! the owner's invitation to the guest's picture, and its end.

mod support;

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use self::support::network;
use self::support::process::{Output, Process};
use self::support::publishers::{Publisher, script};
use self::support::server::{ORIGIN, Server};

/// Longest journey, with two browsers on a busy machine.
const LIMIT: Duration = Duration::from_secs(150);
/// From the owner's word to the guest's page saying so, on a busy machine.
const TOLD_LIMIT_MS: u64 = 5_000;

fn step<'a>(lines: &'a [Value], name: &str) -> &'a Value {
    let found = lines.iter().find(|line| line["step"] == name);
    found.unwrap_or_else(|| panic!("no step {name:?}: {lines:#?}"))
}

/// Walks the journey with a camera of this kind.
fn journey(kind: Publisher) {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start();
    let sealed = kind == Publisher::AgentSealed;
    let device = if sealed { server.add_sealed_agent() } else { server.add_open_device() };
    let _camera = kind.start(&device, folder.path());
    let request = json!({
        "page": format!("{ORIGIN}/"),
        "sms_file": server.data().join("dev-sms.txt"),
        "owner_phone": "+4915110000111",
        "guest_phone": "+4915110000112",
        "bind_text": format!("SL1:{}:{}", device.serial, device.code),
        "secret_file": device.agent.as_ref().map(|agent| agent.join("secret.txt")),
        "password": if sealed { None } else { Some(&device.password) },
        "serial": device.serial,
    });
    let input = folder.path().join("request.json");
    std::fs::write(&input, request.to_string()).expect("written");
    let mut command = Command::new("node");
    command.arg(script("sharing_page.mjs")).stdin(std::fs::File::open(&input).expect("written"));
    let mut node = Process::start("sharing_page", folder.path(), &mut command, Output::File);
    let ended = node.wait(LIMIT);
    let text = std::fs::read_to_string(folder.path().join("sharing_page.out")).expect("its output");
    let lines: Vec<Value> =
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert!(ended.is_some_and(|status| status.success()), "{text}{}", node.complaints());
    assert!(lines.iter().all(|line| line["step"] != "page-error"), "{text}");
    judge(&lines);
}

fn judge(lines: &[Value]) {
    let invited = step(lines, "invited");
    assert_eq!(invited["refused"], "Tick the box about the persons filmed if it is so.");
    assert_eq!((&invited["ticked"], &invited["state"]), (&json!(false), &json!("invited")));
    let link = invited["link"].as_str().expect("a link");
    let (_, code) = link.split_once("/#/share/").expect("behind the hash, which no server sees");
    assert_eq!(code.len(), 26, "{link}");
    let accepted = step(lines, "accepted");
    assert_eq!(accepted["ticked"], false);
    assert_eq!(accepted["refused"], "Tick both boxes if you agree.");
    assert!(accepted["offered"].as_str().is_some_and(|text| text.contains("Watch live")));
    assert_eq!(accepted["address"], "meet", "the code is in no address any more");
    let digits = &step(lines, "digits")["digits"];
    assert_eq!(digits[0], digits[1]);
    let shown = digits[0].as_str().expect("a text");
    assert_eq!(shown.chars().filter(char::is_ascii_digit).count(), 8, "{shown}");
    assert_eq!(step(lines, "let in")["scopes"], "view talk");
    assert_eq!(step(lines, "watching")["state"], "playing", "without the secret");
    let ended = step(lines, "ended");
    let after = ended["after"].as_u64().expect("a time");
    assert!(after <= TOLD_LIMIT_MS, "the page took {after} ms");
    assert_eq!(ended["problem"], "device-not-bound");
    let chinese = step(lines, "chinese");
    assert_eq!(
        (&chinese["title"], &chinese["none"]),
        (&json!("分享"), &json!("此摄像机未与任何人分享。"))
    );
}

#[test]
fn a_sealed_camera_is_shared_accepted_watched_and_taken_back_on_the_page() {
    const NAME: &str = "a_sealed_camera_is_shared_accepted_watched_and_taken_back_on_the_page";
    if !network::inside(NAME) {
        return;
    }
    journey(Publisher::AgentSealed);
    sightline_grant::requirement!("B14", "C10", "M15");
}

#[test]
fn an_open_camera_is_shared_accepted_watched_and_taken_back_on_the_page() {
    const NAME: &str = "an_open_camera_is_shared_accepted_watched_and_taken_back_on_the_page";
    if !network::inside(NAME) {
        return;
    }
    journey(Publisher::RtspTcp);
    sightline_grant::requirement!("B14");
}
