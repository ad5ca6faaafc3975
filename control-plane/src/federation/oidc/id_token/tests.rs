use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use serde_json::{Value, json};
use sightline_grant::PublicKey;

use super::*;
use crate::federation::oidc::jws;
use crate::tests::federation::rsa_parts;

const NOW: u64 = 1_700_000_000;
const EXPECTED: Expected<'static> =
    Expected { issuer: "https://id.example", client_id: "camera", nonce: "n-1", now: NOW };

fn claims() -> Value {
    json!({
        "iss": "https://id.example", "sub": "anna", "aud": "camera", "exp": NOW + 300, "iat": NOW,
        "nonce": "n-1",
    })
}

fn p256() -> (EcdsaKeyPair, Key) {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let point = pair.public_key().as_ref();
    let (x, y) = (point[1..33].try_into().unwrap(), point[33..].try_into().unwrap());
    (pair, Key::P256(PublicKey::P256 { x, y }))
}

fn judged(token: &str, key: &Key) -> Result<Claims, &'static str> {
    split(token).map_err(|()| "split")?.verify(key, &EXPECTED)
}

#[test]
fn a_token_says_exactly_what_it_must() {
    let (pair, key) = p256();
    let sign = |claims: &Value| jws::es256(&pair, "k", claims).unwrap();
    assert_eq!(judged(&sign(&claims()), &key).unwrap().sub, "anna");
    let with = |name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        judged(&sign(&claims), &key)
    };
    for (name, value) in [
        ("iss", json!("https://id.example/")),
        ("aud", json!("other")),
        ("aud", json!([])),
        ("aud", json!(["other"])),
        ("aud", json!(["camera", "other"])),
        ("azp", json!("other")),
        ("exp", json!(NOW - LEEWAY_SECS)),
        ("exp", json!("later")),
        ("iat", json!(NOW + LEEWAY_SECS + 1)),
        ("iat", json!(NOW - MAX_AGE_SECS)),
        ("nonce", json!("n-2")),
        ("nonce", Value::Null),
        ("sub", json!("")),
        ("sub", json!("a\nb")),
        ("sub", json!("é")),
        ("sub", json!("x".repeat(MAX_SUBJECT_CHARS + 1))),
        ("sub", Value::Null),
    ] {
        assert!(with(name, value.clone()).is_err(), "{name} {value}");
    }
    for (name, value) in [
        ("aud", json!(["camera"])),
        ("azp", json!("camera")),
        ("exp", json!(NOW - LEEWAY_SECS + 1)),
        ("iat", json!(NOW + LEEWAY_SECS)),
        ("iat", json!(NOW - MAX_AGE_SECS + 1)),
        ("sub", json!("x".repeat(MAX_SUBJECT_CHARS))),
        ("auth_time", json!(NOW)),
    ] {
        assert!(with(name, value.clone()).is_ok(), "{name} {value}");
    }
    let mut several = claims();
    several["aud"] = json!(["camera", "other"]);
    several["azp"] = json!("camera");
    assert!(judged(&sign(&several), &key).is_ok(), "said for whom");
}

#[test]
fn the_key_decides_on_the_algorithm() {
    let (pair, key) = p256();
    let good = jws::es256(&pair, "k", &claims()).unwrap();
    let (message, signature) = good.rsplit_once('.').unwrap();
    let (_, body) = message.split_once('.').unwrap();
    for header in [
        json!({"alg": "none", "kid": "k"}),
        json!({"alg": "HS256", "kid": "k"}),
        json!({"alg": "RS256", "kid": "k"}),
        json!({"alg": "ES256", "kid": ""}),
        json!({"alg": "ES256"}),
        json!({"alg": "ES256", "kid": "k", "crit": ["exp"], "exp": 1}),
        json!({"alg": "ES256", "kid": "k".repeat(MAX_KID_CHARS + 1)}),
    ] {
        let head = B64.encode(header.to_string());
        for signature in [signature, ""] {
            assert!(judged(&format!("{head}.{body}.{signature}"), &key).is_err(), "{header}");
        }
    }
    assert!(judged(&good, &p256().1).is_err(), "another key");
    for at in [good.find('.').unwrap() + 3, good.len() - 3] {
        let mut changed = good.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        assert!(judged(std::str::from_utf8(&changed).unwrap(), &key).is_err());
    }
    for bad in ["", ".", "..", "a.b.c", "e30.e30.e30"] {
        assert!(judged(bad, &key).is_err(), "{bad}");
    }
    assert!(judged(&format!("{good}{}", "A".repeat(MAX_TOKEN_CHARS)), &key).is_err());
}

#[test]
fn rsa_keys_verify_their_own_words() {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let (n, e) = rsa_parts(pair.public_key().as_ref());
    let key = Key::Rsa { n: n.to_vec(), e: e.to_vec() };
    let head = B64.encode(json!({"alg": "RS256", "kid": "k"}).to_string());
    let message = format!("{head}.{}", B64.encode(claims().to_string()));
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
    let token = format!("{message}.{}", B64.encode(&signature));
    assert_eq!(judged(&token, &key).unwrap().sub, "anna");
    signature[7] ^= 1;
    assert!(judged(&format!("{message}.{}", B64.encode(&signature)), &key).is_err());
}
