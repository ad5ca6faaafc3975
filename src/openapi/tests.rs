//! What no request and no answer has a member for, over the whole description.

use std::collections::BTreeSet;

use serde_json::Value;
use sightline_grant::requirement;

use super::contract;

/// The one path that takes and gives a place.
const PLACES: &str = "/v1/devices/{serial}/location";
/// Parts of names of members that hold a place.
const PLACE_WORDS: [&str; 7] =
    ["latitude", "longitude", "coordinate", "gps", "geo", "address", "street"];
/// Parts of names of members that hold what opens a network.
const KEY_WORDS: [&str; 6] = ["password", "passphrase", "psk", "wpa", "secret", "credential"];

/// Names of all members and parameters that an operation knows, with those of the schemas that it
/// refers to.
fn members(document: &Value, operation: &Value) -> BTreeSet<String> {
    let (mut names, mut seen) = (BTreeSet::new(), BTreeSet::new());
    walk(document, operation, &mut names, &mut seen);
    names
}

/// Whether a member can carry what somebody writes: the state of a permission is one of three words.
fn is_open((_, schema): &(&String, &Value)) -> bool {
    !schema.to_string().contains("/schemas/Permission\"")
}

fn walk(
    document: &Value,
    value: &Value,
    names: &mut BTreeSet<String>,
    seen: &mut BTreeSet<String>,
) {
    match value {
        Value::Object(object) => {
            if let Some(target) = object.get("$ref").and_then(Value::as_str)
                && seen.insert(target.to_owned())
            {
                let found = document.pointer(target.trim_start_matches('#'));
                walk(document, found.expect("a schema that exists"), names, seen);
            }
            if let Some(Value::Object(properties)) = object.get("properties") {
                names.extend(properties.iter().filter(is_open).map(|(name, _)| name.clone()));
            }
            if let (Some(name), Some(_)) = (object.get("name"), object.get("in")) {
                names.extend(name.as_str().map(str::to_owned));
            }
            object.values().for_each(|inner| walk(document, inner, names, seen));
        }
        Value::Array(items) => items.iter().for_each(|inner| walk(document, inner, names, seen)),
        _ => {}
    }
}

fn has(names: &BTreeSet<String>, words: &[&str]) -> Vec<String> {
    let is_found = |name: &&String| {
        let lower = name.to_lowercase();
        let exact = matches!(lower.as_str(), "lat" | "lon" | "lng" | "location");
        exact && words.contains(&"latitude") || words.iter().any(|word| lower.contains(word))
    };
    names.iter().filter(is_found).cloned().collect()
}

#[test]
fn no_operation_but_that_of_places_can_carry_a_place_and_no_provisioning_a_wifi_password() {
    let document = contract().document("t", "1", "t");
    let paths = document["paths"].as_object().expect("paths");
    let (mut places, mut provisionings) = (0, 0);
    for (path, operations) in paths {
        for (method, operation) in operations.as_object().expect("operations") {
            let names = members(&document, operation);
            let found = has(&names, &PLACE_WORDS);
            if path == PLACES {
                places += usize::from(found.contains(&"latitude".to_owned()));
            } else {
                assert_eq!(found, Vec::<String>::new(), "{method} {path} could carry a place");
            }
            if path.contains("provisioning") {
                provisionings += usize::from(names.contains("ssid"));
                let found = has(&names, &KEY_WORDS);
                assert_eq!(found, Vec::<String>::new(), "{method} {path} could carry a password");
            }
        }
    }
    assert_eq!((places, provisionings), (2, 2), "the walk sees through to the members");
    requirement!("B8", "B10");
}
