//! The page around one camera: names, hardware, place, tokens, and giving it away.

mod support;

use std::time::Duration;

use serde_json::{Value, json};

use support::journey::{Newcomer, Protection, run};
use support::local::Local;

/// Longest journey, with a browser on a busy machine.
const LIMIT: Duration = Duration::from_secs(150);

fn step<'a>(lines: &'a [Value], name: &str) -> &'a Value {
    let found = lines.iter().find(|line| line["step"] == name);
    found.unwrap_or_else(|| panic!("no step {name:?}: {lines:#?}"))
}

#[test]
fn an_owner_names_a_camera_says_where_it_stands_and_gives_it_away_on_the_page() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Local::start(folder.path(), &[]);
    let (serial, bind_text) = server.demo();
    let secret_file = server.data().join("demo-camera/secret.txt");
    let protection = Protection::Sealed;
    let owner = Newcomer { serial, bind_text, secret_file, wrong_secret: None, protection };
    let mut request = owner.request(&server);
    request["other_phone"] = json!("+4915112345679");
    let lines = run("device_journey.mjs", &request, LIMIT);

    assert_eq!(step(&lines, "named")["name"], "Garden gate");
    assert_eq!(step(&lines, "named")["firmware"], env!("CARGO_PKG_VERSION"));
    let asked: Vec<_> = lines.iter().filter(|line| line["step"] == "asked").collect();
    assert_eq!(asked.len(), 2);
    assert!(asked.iter().all(|line| line["ticked"] == false), "nothing is ticked beforehand");
    let placed = step(&lines, "placed");
    assert_eq!(placed["text"], "Hangzhou · 30.25 · 120.16");
    assert!(placed["refused"].as_str().is_some_and(|text| text.contains("numbers")), "{placed}");
    let token = step(&lines, "token");
    assert!(token["token"].as_str().is_some_and(|text| text.starts_with("SLU1.")), "{token}");
    let given = step(&lines, "given");
    assert!(given["text"].as_str().is_some_and(|text| text.starts_with("SL3:T:")), "{given}");
    assert_eq!((&token["picture"], &given["picture"]), (&json!(1), &json!(1)));
    let taken = step(&lines, "taken over");
    assert!(taken["misread"].as_str().is_some_and(|text| text.contains("misread")), "{taken}");
    assert!(taken["kind"].as_str().is_some_and(|text| text.contains("takes the camera over")));
    assert_eq!(taken["name"], "Demo camera", "the former owner's name is gone");
    assert_eq!(taken["ticked"], false);
    let facts = step(&lines, "added with")["facts"].as_str().expect("text").to_owned();
    assert!(facts.contains("web") && facts.contains("Linux"), "{facts}");
    let again = step(&lines, "asked again");
    assert!(again["word"].as_str().is_some_and(|word| word.contains("重新同意")), "{again}");
    assert_eq!(step(&lines, "chinese")["title"], "摄像机");
    assert_eq!(step(&lines, "removed")["lost"], 5);
    assert_eq!(step(&lines, "done")["errors"], json!([]));
}
