//! SFrame against the vectors of the RFC, against another implementation, and against tampering.

mod behaviour;
mod ctr_hmac;
mod interop;

use aws_lc_rs::hkdf;
use aws_lc_rs::hmac;
use serde::Deserialize;

use super::schedule::{derive, nonce};
use super::testing::bytes;
use super::*;

/// The vectors of RFC 9605, Appendix C, and of the suites that were added since.
const VECTORS: &str = include_str!("../../tests/vectors/sframe.json");

#[derive(Deserialize)]
struct Vectors {
    header: Vec<HeaderVector>,
    aes_ctr_hmac: Vec<CtrHmacVector>,
    aes_256_ctr_hmac: Vec<CtrHmacVector>,
    sframe: Vec<SframeVector>,
    sframe_aes_256_ctr_hmac: Vec<SframeVector>,
}

#[derive(Deserialize)]
struct HeaderVector {
    kid: u64,
    ctr: u64,
    encoded: String,
}

#[derive(Deserialize)]
struct CtrHmacVector {
    cipher_suite: u16,
    key: String,
    enc_key: String,
    auth_key: String,
    nonce: String,
    aad: String,
    pt: String,
    ct: String,
}

#[derive(Deserialize)]
struct SframeVector {
    cipher_suite: u16,
    kid: u64,
    ctr: u64,
    base_key: String,
    sframe_secret: String,
    sframe_key: String,
    sframe_salt: String,
    metadata: String,
    nonce: String,
    aad: String,
    pt: String,
    ct: String,
}

fn vectors() -> Vectors {
    serde_json::from_str(VECTORS).expect("the vectors")
}

#[test]
fn all_headers_of_the_rfc_are_written_and_read() {
    let vectors = vectors().header;
    assert_eq!(vectors.len(), 289);
    for HeaderVector { kid, ctr, encoded } in vectors {
        let (header, encoded) = (Header { kid, ctr }, bytes(&encoded));
        assert_eq!(*header.to_bytes(), encoded, "{header:?}");
        assert_eq!(Header::parse(&encoded), Ok((header, encoded.len())));
    }
}

/// Key schedule, nonce and associated data of every suite: with AES-GCM and with CTR and HMAC.
#[test]
fn all_keys_nonces_and_associated_data_of_the_rfc_come_out() {
    let vectors = vectors();
    let all: Vec<_> = vectors.sframe.iter().chain(&vectors.sframe_aes_256_ctr_hmac).collect();
    assert_eq!(all.iter().map(|v| v.cipher_suite).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7, 8]);
    for v in all {
        let (hkdf, hmac) = match v.cipher_suite {
            1..=4 => (hkdf::HKDF_SHA256, hmac::HMAC_SHA256),
            _ => (hkdf::HKDF_SHA512, hmac::HMAC_SHA512),
        };
        let base_key = bytes(&v.base_key);
        // HKDF-Extract with an empty salt (RFC 5869, 2.2).
        let secret = hmac::sign(&hmac::Key::new(hmac, &[]), &base_key);
        assert_eq!(secret.as_ref(), bytes(&v.sframe_secret), "suite {}", v.cipher_suite);
        let (mut key, mut salt) = (vec![0; v.sframe_key.len() / 2], [0; 12]);
        derive(hkdf, v.cipher_suite, &base_key, v.kid, &mut key, &mut salt).expect("derived");
        assert_eq!(key, bytes(&v.sframe_key), "suite {}", v.cipher_suite);
        assert_eq!(salt.as_slice(), bytes(&v.sframe_salt));
        assert_eq!(nonce(&salt, v.ctr).as_slice(), bytes(&v.nonce));
        let header = Header { kid: v.kid, ctr: v.ctr }.to_bytes();
        let aad = AssociatedData::new(&header, &bytes(&v.metadata)).expect("short metadata");
        assert_eq!(aad.as_ref(), bytes(&v.aad));
    }
}

#[test]
fn frames_of_the_rfc_with_the_offered_suites_seal_and_open() {
    let vectors: Vec<_> =
        vectors().sframe.into_iter().filter(|v| Suite::from_id(v.cipher_suite).is_some()).collect();
    assert_eq!(vectors.len(), 2);
    for v in vectors {
        let suite = Suite::from_id(v.cipher_suite).expect("an offered suite");
        let (base_key, metadata) = (bytes(&v.base_key), bytes(&v.metadata));
        let mut sealing =
            SealingKey::new(suite, &base_key, v.kid, v.ctr..v.ctr + 1).expect("derived");
        let mut sealed = Vec::new();
        sealing.seal(&metadata, &bytes(&v.pt), &mut sealed).expect("sealed");
        assert_eq!(sealed, bytes(&v.ct));
        let mut opening = OpeningKey::new(suite, &base_key, v.kid).expect("derived");
        let mut opened = Vec::new();
        let parts = Parts::of(&sealed).expect("parts");
        opening.open(&parts, &metadata, &mut opened).expect("opened");
        assert_eq!(opened, bytes(&v.pt));
    }
}
