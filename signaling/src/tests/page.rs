//! What the page makes, checked by what the server uses. The page's own tests make the same
//! vectors (tests/page/proofs.test.js).

use aws_lc_rs::hkdf;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde_json::Value;
use sightline_grant::PublicKey;
use sightline_grant::dpop::{Request, verify};

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../tests/page/vectors.json")).unwrap()
}

#[test]
fn a_proof_made_by_the_page_holds_for_its_request() {
    let vectors = vectors();
    let dpop = &vectors["dpop"];
    let request = Request {
        method: "POST",
        path: "/v1/media-grants",
        token: dpop["request"]["token"].as_str(),
    };
    let proof = verify(dpop["proof"].as_str().unwrap(), request, 1_000_000).unwrap();
    assert_eq!(proof.jti, "vector-1");
    assert_eq!(proof.key.thumbprint().to_string(), dpop["thumbprint"].as_str().unwrap());
    let bare = Request { token: None, ..request };
    assert!(verify(dpop["without_token"].as_str().unwrap(), bare, 1_000_000).is_ok());
    assert!(verify(dpop["without_token"].as_str().unwrap(), request, 1_000_000).is_err());
}

#[test]
fn a_key_proof_made_by_the_page_holds_for_the_device_secret() {
    let vectors = vectors();
    let vector = &vectors["key_proof"];
    // The vector's secret is this byte twenty times, in base32.
    let secret = [0x5a; 20];
    let mut seed = [0; 32];
    hkdf::Salt::new(hkdf::HKDF_SHA256, &[])
        .extract(&secret)
        .expand(&[b"sightline/v1/auth"], hkdf::HKDF_SHA256)
        .unwrap()
        .fill(&mut seed)
        .unwrap();
    let pair = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
    let key = PublicKey::Ed25519(pair.public_key().as_ref().try_into().unwrap());
    let signature = B64.decode(vector["signature"].as_str().unwrap()).unwrap();
    assert!(key.verify(vector["message"].as_str().unwrap().as_bytes(), &signature));
}
