//! AES-CTR with HMAC (RFC 9605, 4.5.1), for the vectors only: the product never offers a tag of 4
//! to 10 bytes. What the vectors check of the product is the header and the key schedule, which
//! these suites share with the others.

use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;

use super::*;

/// What tells the suites apart.
struct CtrHmac {
    cipher_key: usize,
    tag: usize,
    hkdf: hkdf::Algorithm,
    hmac: hmac::Algorithm,
}

impl CtrHmac {
    fn of(suite: u16) -> Self {
        let tag = [10, 8, 4][usize::from(suite - 1) % 5];
        if suite <= 3 {
            Self { cipher_key: 16, tag, hkdf: hkdf::HKDF_SHA256, hmac: hmac::HMAC_SHA256 }
        } else {
            Self { cipher_key: 32, tag, hkdf: hkdf::HKDF_SHA512, hmac: hmac::HMAC_SHA512 }
        }
    }

    fn cipher(&self, key: &[u8], nonce: &[u8], in_out: &mut [u8]) {
        let algorithm = if self.cipher_key == 16 { &AES_128 } else { &AES_256 };
        let key = UnboundCipherKey::new(algorithm, &key[..self.cipher_key]).expect("a key");
        let mut block = [0; 16];
        block[..12].copy_from_slice(nonce);
        let context = EncryptionContext::Iv128(FixedLength::from(block));
        let key = EncryptingKey::ctr(key).expect("a key");
        key.less_safe_encrypt(in_out, context).expect("encrypted");
    }

    fn tag(&self, key: &[u8], nonce: &[u8], aad: &[u8], ciphertext: &[u8]) -> Vec<u8> {
        let key = hmac::Key::new(self.hmac, &key[self.cipher_key..]);
        let mut context = hmac::Context::with_key(&key);
        for length in [aad.len(), ciphertext.len(), self.tag] {
            context.update(&(length as u64).to_be_bytes());
        }
        [nonce, aad, ciphertext].into_iter().for_each(|part| context.update(part));
        context.sign().as_ref()[..self.tag].to_vec()
    }

    fn seal(&self, key: &[u8], nonce: &[u8], aad: &[u8], plaintext: &[u8]) -> Vec<u8> {
        let mut out = plaintext.to_vec();
        self.cipher(key, nonce, &mut out);
        let tag = self.tag(key, nonce, aad, &out);
        [out, tag].concat()
    }

    fn open(&self, key: &[u8], nonce: &[u8], aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (ciphertext, tag) = sealed.split_at(sealed.len() - self.tag);
        if self.tag(key, nonce, aad, ciphertext) != tag {
            return None;
        }
        let mut out = ciphertext.to_vec();
        self.cipher(key, nonce, &mut out);
        Some(out)
    }
}

#[test]
fn the_cipher_of_the_rfc_with_ctr_and_hmac_matches() {
    let vectors = vectors();
    let all: Vec<_> = vectors.aes_ctr_hmac.iter().chain(&vectors.aes_256_ctr_hmac).collect();
    assert_eq!(all.len(), 6);
    for v in all {
        let suite = CtrHmac::of(v.cipher_suite);
        let key = bytes(&v.key);
        assert_eq!(key, [bytes(&v.enc_key), bytes(&v.auth_key)].concat());
        let (nonce, aad, sealed) = (bytes(&v.nonce), bytes(&v.aad), bytes(&v.ct));
        assert_eq!(suite.seal(&key, &nonce, &aad, &bytes(&v.pt)), sealed);
        assert_eq!(suite.open(&key, &nonce, &aad, &sealed), Some(bytes(&v.pt)));
    }
}

#[test]
fn frames_of_the_rfc_with_ctr_and_hmac_seal_and_open() {
    let vectors = vectors();
    let offered = |v: &&SframeVector| Suite::from_id(v.cipher_suite).is_none();
    let all = vectors.sframe.iter().filter(offered).chain(&vectors.sframe_aes_256_ctr_hmac);
    let mut seen = Vec::new();
    for v in all {
        let suite = CtrHmac::of(v.cipher_suite);
        let (mut key, mut salt) = (vec![0; v.sframe_key.len() / 2], [0; 12]);
        let base_key = bytes(&v.base_key);
        derive(suite.hkdf, v.cipher_suite, &base_key, v.kid, &mut key, &mut salt).expect("derived");
        let head = Header { kid: v.kid, ctr: v.ctr }.to_bytes();
        let nonce = nonce(&salt, v.ctr);
        let aad = AssociatedData::new(&head, &bytes(&v.metadata)).expect("short metadata");
        let body = suite.seal(&key, &nonce, aad.as_ref(), &bytes(&v.pt));
        assert_eq!([&*head, &body].concat(), bytes(&v.ct));
        assert_eq!(suite.open(&key, &nonce, aad.as_ref(), &body), Some(bytes(&v.pt)));
        seen.push(v.cipher_suite);
    }
    assert_eq!(seen, [1, 2, 3, 6, 7, 8]);
}
