//! The committed description of the API is the one that the operations give.

mod support;

use serde_json::Value;
use support::server::sightline;

#[test]
fn the_committed_description_is_that_of_the_code() {
    let output = sightline().arg("openapi").output().expect("the binary runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/signaling/web/openapi.json");
    let committed = std::fs::read_to_string(file).expect("the file is committed");
    let committed: Value = serde_json::from_str(&committed).unwrap_or_default();
    let advice = "renew the file: cargo run -- openapi > openapi.new && mv openapi.new \
                  signaling/web/openapi.json";
    let (old, new) = (&committed["paths"], &printed["paths"]);
    for path in new.as_object().expect("paths").keys() {
        assert_eq!(old[path], new[path], "{path} has changed; {advice}");
    }
    assert!(committed == printed, "the description has changed; {advice}");
}
