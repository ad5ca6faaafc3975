//! Pages that ask for no account, in Chromium under the page's policy: the API's description, and the
//! start of the page when a part of it does not arrive.

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::journey::{run, step};
use support::local::Local;
use support::server::sightline;

/// Longest visit, with a browser on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn a_person_finds_an_operation_with_its_rule_and_its_problems_in_both_languages() {
    let output = sightline().arg("openapi").output().expect("the binary runs");
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let paths = document["paths"].as_object().expect("paths").values();
    let operations: usize =
        paths.map(|methods| methods.as_object().map_or(0, |all| all.len())).sum();

    let folder = tempfile::tempdir().expect("a folder");
    let server = Local::start(folder.path(), &["--no-demo"]);
    let origin = server.line("page").trim_end_matches('/').to_owned();
    let lines = run("docs_page.mjs", &json!({ "origin": origin }), LIMIT);

    let shown = step(&lines, "shown");
    assert_eq!(shown["operations"], operations, "every operation is listed");
    assert!(shown["groups"].as_u64() > Some(10) && shown["unnamed"] == 0, "{shown}");
    let text = |name: &str| step(&lines, name)["text"].as_str().expect("a text").to_owned();
    let opened = text("opened");
    for part in
        ["Who may ask", "The owner of the device", "serial", "204", "404", "device-not-bound"]
    {
        assert!(opened.contains(part), "{part}: {opened}");
    }
    assert!(text("chinese").contains("设备的所有者"), "{}", text("chinese"));
    assert_eq!(step(&lines, "chinese")["lang"], "zh-CN");
    let found = step(&lines, "found");
    assert_eq!(found["operations"], 3, "{found}");
    assert!(found["first"].as_str().is_some_and(|first| first.contains("/v1/whep-sessions/{id}")));
    assert_eq!(step(&lines, "errors")["errors"], json!([]));
}

#[test]
fn a_page_of_which_a_part_did_not_arrive_is_loaded_anew_and_then_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Local::start(folder.path(), &["--no-demo"]);
    let origin = server.line("page").trim_end_matches('/').to_owned();
    let lines = run("missing_part.mjs", &json!({ "origin": origin }), LIMIT);
    let loads = |name: &str| step(&lines, name)["loads"].as_u64().expect("a count");
    assert_eq!(loads("once"), 2, "loaded once more, and there");
    assert_eq!(loads("style"), 2, "loaded once more for its looks");
    assert_eq!(loads("always"), 3, "two more loads, and no third");
    let text = step(&lines, "always")["text"].as_str().expect("a text");
    assert!(text.contains("请检查网络连接") && text.contains("重试"), "{text}");
    assert_eq!((loads("asked"), &step(&lines, "asked")["missing"]), (4, &json!(0)));
}
