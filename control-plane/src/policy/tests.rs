use serde_json::{Value, json};

use super::*;
use crate::limits::{
    MAX_NAME_CHARS, POLICY_FILE_BYTES, POLICY_ID_CHARS, POLICY_RETENTION_CHARS, POLICY_TEXT_CHARS,
};

fn whole() -> Value {
    json!({
        "id": "wall.2026", "product": "wall-app", "purpose": "media.view", "version": 3,
        "optional": true, "fields": ["serial", "channel"], "retention": "not kept",
        "text": {"en": "On the wall.", "zh": "壁挂屏。"},
    })
}

fn read(value: &Value) -> Result<ProductPolicy, PolicyError> {
    file::read(value.to_string().as_bytes())
}

fn with(key: &str, value: Value) -> Value {
    let mut policy = whole();
    policy[key] = value;
    policy
}

#[test]
fn a_products_policy_takes_precedence_member_by_member() {
    let own = read(&whole()).unwrap();
    let policies = [own.clone()];
    let in_force = InForce::of(&MEDIA_VIEW, "wall-app", &policies);
    assert_eq!((in_force.id(), in_force.version()), ("wall.2026", 3));
    assert_eq!((in_force.fields(), in_force.retention()), (vec!["serial", "channel"], "not kept"));
    assert_eq!(in_force.text(), ("On the wall.", "壁挂屏。"));
    assert_eq!(in_force.overridden(), ["fields", "optional", "retention", "text"]);

    let other = InForce::of(&MEDIA_VIEW, "web", &policies);
    assert_eq!((other.id(), other.version()), (GENERAL, MEDIA_VIEW.version));
    assert_eq!((other.fields(), other.own()), (MEDIA_VIEW.fields.to_vec(), None));
    assert!(other.overridden().is_empty());
    let of_another_purpose = InForce::of(&crate::consent::PROFILE, "wall-app", &policies);
    assert_eq!(of_another_purpose.id(), GENERAL);

    let only = ProductPolicy { fields: Some(Vec::new()), optional: None, text: None, ..own };
    let only = ProductPolicy { retention: None, ..only };
    let partly = InForce::of(&MEDIA_VIEW, "wall-app", &[only]);
    assert_eq!((partly.fields(), partly.overridden()), (Vec::new(), vec!["fields"]));
    assert_eq!(partly.text(), (MEDIA_VIEW.en, MEDIA_VIEW.zh), "the rest is the general policy's");
    assert_eq!(partly.retention(), MEDIA_VIEW.retention);
}

#[test]
fn the_key_at_fault_is_named() {
    let most = |count: usize| "x".repeat(count);
    for (key, value) in [
        ("id", json!("")),
        ("id", json!("General")),
        ("id", json!(GENERAL)),
        ("id", json!(7)),
        ("id", json!(most(POLICY_ID_CHARS + 1))),
        ("product", json!(" ")),
        ("product", json!("a\nb")),
        ("product", json!(most(MAX_NAME_CHARS + 1))),
        ("purpose", json!("media")),
        ("version", json!(0)),
        ("version", json!(-1)),
        ("version", json!("1")),
        ("version", json!(1u64 << 31)),
        ("optional", json!(false)),
        ("optional", json!("no")),
        ("fields", json!("serial")),
        ("fields[0]", json!(["face"])),
        ("fields[1]", json!(["serial", "serial"])),
        ("retention", json!("")),
        ("retention", json!(most(POLICY_RETENTION_CHARS + 1))),
        ("text", json!("words")),
        ("text.en", json!({"zh": "字"})),
        ("text.zh", json!({"en": "words"})),
        ("text.zh", json!({"en": "words", "zh": most(POLICY_TEXT_CHARS + 1)})),
        ("text.fr", json!({"en": "words", "zh": "字", "fr": "mots"})),
        ("field", json!(["serial"])),
    ] {
        let member = key.split(['.', '[']).next().unwrap();
        let refused = read(&with(member, value.clone())).unwrap_err();
        let PolicyError::Key { key: named, .. } = &refused else { panic!("{refused}") };
        assert_eq!(named, key, "{value}");
        assert!(refused.to_string().contains(key));
    }
    for key in ["id", "product", "purpose", "version"] {
        let mut policy = whole();
        policy.as_object_mut().unwrap().remove(key);
        let refused = read(&policy).unwrap_err().to_string();
        assert!(refused.contains(&format!("key {key} is wrong: it is missing")), "{refused}");
    }
    let account = json!({"id": "a", "product": "p", "purpose": "account", "version": 1});
    assert!(read(&account).is_ok());
    let mut may_be_refused = account;
    may_be_refused["optional"] = json!(true);
    assert!(read(&may_be_refused).is_err(), "the service cannot do without it");
}

#[test]
fn what_is_as_long_as_it_may_be_is_taken() {
    let most = |count: usize| "x".repeat(count);
    for (key, value) in [
        ("id", json!(most(POLICY_ID_CHARS))),
        ("product", json!(most(MAX_NAME_CHARS))),
        ("retention", json!(most(POLICY_RETENTION_CHARS))),
        ("text", json!({"en": most(POLICY_TEXT_CHARS), "zh": most(POLICY_TEXT_CHARS)})),
        ("version", json!((1u64 << 31) - 1)),
    ] {
        assert!(read(&with(key, value)).is_ok(), "{key}");
    }
    let padded = |length: usize| format!("{:length$}", whole().to_string());
    let taken = |length: usize| file::read(padded(length).as_bytes()).is_ok();
    let bytes = |length: usize| padded(length).len();
    let room = POLICY_FILE_BYTES - (bytes(1000) - 1000);
    assert!(taken(room) && !taken(room + 1));
    for text in [&b"[]"[..], b"", b"{\"id\":\"a\",\"id\":\"b\"}"] {
        assert!(matches!(file::read(text), Err(PolicyError::Unreadable(_))));
    }
}
