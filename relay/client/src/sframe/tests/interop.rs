//! Both ways against the crate `sframe`.

use proptest::prelude::*;
use sframe::CipherSuite;
use sframe::frame::{EncryptedFrame, MediaFrame, MonotonicCounter};
use sframe::key::{DecryptionKey, EncryptionKey};

use super::*;

fn theirs(suite: Suite) -> CipherSuite {
    match suite {
        Suite::Aes128Gcm => CipherSuite::AesGcm128Sha256,
        Suite::Aes256Gcm => CipherSuite::AesGcm256Sha512,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_we_seal_the_other_implementation_opens_and_the_reverse(
        second in any::<bool>(),
        base_key in any::<[u8; 32]>(),
        kid: u64,
        ctr in 0..u64::MAX,
        metadata in prop::collection::vec(any::<u8>(), 0..=MAX_METADATA),
        plain in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let suite = Suite::ALL[usize::from(second)];
        let mut sealing = SealingKey::new(suite, &base_key, kid, ctr..ctr + 1).expect("derived");
        let mut sealed = Vec::new();
        sealing.seal(&metadata, &plain, &mut sealed).expect("sealed");
        let key = DecryptionKey::derive_from(theirs(suite), kid, base_key).expect("derived");
        let frame = EncryptedFrame::try_with_meta_data(&sealed, &metadata).expect("a frame");
        let opened = frame.decrypt(&key).expect("opened");
        prop_assert_eq!(opened.payload(), &plain[..]);

        let mut counter = MonotonicCounter::with_start_value(ctr, u64::MAX);
        let key = EncryptionKey::derive_from(theirs(suite), kid, base_key).expect("derived");
        let frame = MediaFrame::try_with_meta_data(&mut counter, &plain, &metadata);
        let frame = frame.expect("a frame").encrypt(&key).expect("encrypted");
        prop_assert_eq!(frame.sframe_cipher_text(), &sealed[..]);
        let mut opening = OpeningKey::new(suite, &base_key, kid).expect("derived");
        let mut out = Vec::new();
        let parts = Parts::of(frame.sframe_cipher_text()).expect("parts");
        prop_assert_eq!(opening.open(&parts, &metadata, &mut out), Ok(()));
        prop_assert_eq!(out, plain);
    }
}
