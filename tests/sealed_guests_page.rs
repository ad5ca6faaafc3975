//! The page's way to let another terminal watch a sealed camera, with two browsers and a real server.

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

fn step<'a>(lines: &'a [Value], name: &str) -> &'a Value {
    let found = lines.iter().find(|line| line["step"] == name);
    found.unwrap_or_else(|| panic!("no step {name:?}: {lines:#?}"))
}

#[test]
fn a_guest_is_introduced_let_in_by_eight_digits_watches_and_is_removed() {
    const NAME: &str = "a_guest_is_introduced_let_in_by_eight_digits_watches_and_is_removed";
    if !network::inside(NAME) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start();
    let device = server.add_sealed_agent();
    let _camera = Publisher::AgentSealed.start(&device, folder.path());
    let request = json!({
        "page": format!("{ORIGIN}/"),
        "sms_file": server.data().join("dev-sms.txt"),
        "phone": "+4915110000091",
        "bind_text": format!("SL1:{}:{}", device.serial, device.code),
        "secret_file": device.agent.as_ref().expect("an agent").join("secret.txt"),
        "serial": device.serial,
    });
    let input = folder.path().join("request.json");
    std::fs::write(&input, request.to_string()).expect("written");
    let mut command = Command::new("node");
    command.arg(script("guests_page.mjs")).stdin(std::fs::File::open(&input).expect("written"));
    let mut node = Process::start("guests_page", folder.path(), &mut command, Output::File);
    let ended = node.wait(LIMIT);
    let text = std::fs::read_to_string(folder.path().join("guests_page.out")).expect("its output");
    let lines: Vec<Value> =
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert!(ended.is_some_and(|status| status.success()), "{text}{}", node.complaints());
    assert!(lines.iter().all(|line| line["step"] != "page-error"), "{text}");

    let own = step(&lines, "own terminal")["viewers"].as_array().expect("rows");
    assert_eq!((own.len(), &own[0]["current"]), (1, &json!("true")), "typing the secret lets in");
    let met = step(&lines, "digits");
    assert_eq!(met["digits"][0], met["digits"][1]);
    let digits = met["digits"][0].as_str().expect("a text");
    assert_eq!(digits.chars().filter(char::is_ascii_digit).count(), 8, "{digits}");
    assert_eq!(met["refused"], "The code has eight letters and digits.");
    let let_in = step(&lines, "let in");
    let rows = let_in["viewers"].as_array().expect("rows");
    let guest = rows.iter().find(|row| row["current"] == "false").expect("the guest");
    assert_eq!((&guest["name"], &guest["until"]), (&json!("Kitchen tablet"), &json!(1)));
    assert_eq!(step(&lines, "watching")["state"], "playing", "without the secret");
    assert_eq!(step(&lines, "removed")["viewers"].as_array().map(Vec::len), Some(1));
    let chinese = step(&lines, "chinese");
    assert_eq!(
        (&chinese["title"], &chinese["add"]),
        (&json!("谁可以观看"), &json!("允许另一终端观看"))
    );
}
