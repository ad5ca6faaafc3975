//! The page's account view in a browser, with a real server: profile and picture, the operation log,
//! looking around without an account, basic mode and the way back.

mod support;

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use sightline_grant::requirement;

use self::support::network;
use self::support::process::{Output, Process};
use self::support::publishers::script;
use self::support::server::{ORIGIN, Server};

/// Longest journey, on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

#[test]
fn a_person_fills_in_a_profile_reads_the_log_and_goes_through_basic_mode() {
    const NAME: &str = "a_person_fills_in_a_profile_reads_the_log_and_goes_through_basic_mode";
    if !network::inside(NAME) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start();
    let policy = folder.path().join("policy.json");
    let laid_down = json!({
        "id": "page.2026", "product": "web", "purpose": "profile", "version": 3,
        "fields": ["nickname", "avatar", "region", "scenario"], "retention": "a year",
        "text": {"en": "A profile in this page.", "zh": "本页面中的资料。"},
    });
    std::fs::write(&policy, laid_down.to_string()).expect("written");
    let file = policy.to_str().expect("a path");
    assert_eq!(server.admin(&["policy", "put", file]), json!({"put": "page.2026", "version": 3}));
    assert_eq!(server.admin(&["policy", "list"])["product"], "web");
    let request = json!({
        "page": format!("{ORIGIN}/"),
        "sms_file": server.data().join("dev-sms.txt"),
        "phone": "+4915110000092",
    });
    let input = folder.path().join("request.json");
    std::fs::write(&input, request.to_string()).expect("written");
    let mut command = Command::new("node");
    command.arg(script("account_page.mjs")).stdin(std::fs::File::open(&input).expect("written"));
    let mut node = Process::start("account_page", folder.path(), &mut command, Output::File);
    let ended = node.wait(LIMIT);
    let text = std::fs::read_to_string(folder.path().join("account_page.out")).expect("its output");
    let lines: Vec<Value> =
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert!(ended.is_some_and(|status| status.success()), "{text}{}", node.complaints());
    assert!(lines.iter().all(|line| line["step"] != "page-error"), "{text}");
    let step = |name: &str| {
        let found = lines.iter().find(|line| line["step"] == name);
        found.unwrap_or_else(|| panic!("no step {name:?}: {text}"))
    };

    assert!(step("browse")["purposes"].as_u64().is_some_and(|shown| shown >= 4));
    let profile = step("profile");
    assert_eq!((&profile["nickname"], &profile["scenario"]), (&json!("Anna"), &json!("shop")));
    let avatar = profile["avatar"].as_str().expect("a data address");
    assert!(avatar.starts_with("data:image/jpeg;base64,") && avatar.len() > 200);
    let policies = step("policies");
    let own = policies["own"].as_str().expect("a text");
    for words in
        ["own policy page.2026, version 3", "general policy, version 1", "how long it is kept"]
    {
        assert!(own.contains(words), "{own}");
    }
    let general = policies["general"].as_str().expect("a text");
    assert!(general.contains("From the general policy, version 1"), "{general}");
    let given = policies["given"].as_str().expect("a text");
    assert!(given.contains("A profile in this page.") && given.contains("Version 3"), "{given}");
    assert!(given.contains("Given under the policy page.2026"), "{given}");
    let log = step("log");
    let actions = log["actions"].as_array().expect("actions");
    for action in ["profile.changed", "avatar.stored", "consent.granted", "session.opened"] {
        assert!(actions.contains(&json!(action)), "{action}: {log}");
    }
    assert_eq!(log["filtered"], json!(["session.opened"]));
    assert!(log["exported"].as_str().is_some_and(|csv| csv.contains("\"avatar.stored\"")));
    let basic = step("basic");
    assert_eq!(basic["title"], "One agreement first");
    assert_eq!(basic["nav"], 0, "nothing of the account is shown");
    let restored = step("restored");
    assert_eq!(restored["nickname"], Value::Null, "the profile went with its consent");
    assert_eq!(step("chinese")["title"], "账号");
    assert!(
        step("chinese")["policy"]
            .as_str()
            .is_some_and(|text| text.contains("优先于通用政策第 1 版"))
    );
    requirement!("A13", "A16", "A14", "A18", "A21", "A22");
}
