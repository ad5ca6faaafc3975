//! HPKE against RFC 9180, Appendix A.1.1, and both ways against the crate `hpke`.

use hpke::aead::AesGcm128;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{
    Deserializable, Kem, OpModeR, OpModeS, Serializable, single_shot_open, single_shot_seal,
};
use proptest::prelude::*;

use super::*;
use crate::sframe::testing::bytes;

const INFO: &str = "4f6465206f6e2061204772656369616e2055726e";
const RECIPIENT: &str = "4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8";
const RECIPIENT_PUBLIC: &str = "3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d";
const ENC: &str = "37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431";
const PLAIN: &str = "4265617574792069732074727574682c20747275746820626561757479";
/// The first three messages of the context. The product sends one in each.
const SEALED: [(usize, &str); 3] = [
    (
        0,
        "f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a9\
         6d8770ac83d07bea87e13c512a",
    ),
    (
        1,
        "af2d7e9ac9ae7e270f46ba1f975be53c09f8d875bdc8535458c2494e8a6eab25\
         1c03d0c22a56b8ca42c2063b84",
    ),
    (
        2,
        "498dfcabd92e8acedc281e85af1cb4e3e31c7dc394a1ca20e173cb7251649158\
         8d96a19ad4a683518973dcc180",
    ),
];

fn key(secret: &[u8]) -> ExchangeKey {
    let secret = Zeroizing::new(secret.try_into().expect("32 bytes"));
    ExchangeKey::from_secret(secret).expect("a key")
}

#[test]
fn the_published_ciphertexts_open() {
    let key = key(&bytes(RECIPIENT));
    assert_eq!(key.public().0.as_slice(), bytes(RECIPIENT_PUBLIC));
    let enc = EncapsulatedSecret(bytes(ENC));
    let secret = HpkePrivateKey::from(key.secret().to_vec());
    let mut context = SUITE.setup_opener(&enc, &bytes(INFO), &secret).expect("a context");
    for (number, sealed) in SEALED {
        let opened = context.open(format!("Count-{number}").as_bytes(), &bytes(sealed));
        assert_eq!(opened.expect("opened"), bytes(PLAIN), "number {number}");
    }
}

#[test]
fn what_is_sealed_with_one_implementation_opens_with_the_other() {
    proptest!(ProptestConfig::with_cases(32), |(
        secret: [u8; 32],
        info in prop::collection::vec(any::<u8>(), 0..200),
        message in prop::collection::vec(any::<u8>(), 0..80),
    )| {
        let ours = key(&secret);
        let (enc, sealed) = seal(&ours.public(), &info, &message).expect("sealed");
        let private = <X25519HkdfSha256 as Kem>::PrivateKey::from_bytes(&secret).expect("a key");
        let encapped = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(&enc).expect("a key");
        let opened = single_shot_open::<AesGcm128, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Base, &private, &encapped, &info, &sealed, b"",
        );
        prop_assert_eq!(opened.expect("opened"), message.clone());

        let public = X25519HkdfSha256::sk_to_pk(&private);
        let (encapped, sealed) = single_shot_seal::<AesGcm128, HkdfSha256, X25519HkdfSha256>(
            &OpModeS::Base, &public, &info, &message, b"",
        ).expect("sealed");
        let enc: [u8; ENC_LEN] = encapped.to_bytes().as_slice().try_into().expect("32 bytes");
        let opened = open(&ours, &enc, &info, &sealed).expect("opened");
        prop_assert_eq!(&*opened, &message);
    });
}

#[test]
fn another_key_another_info_and_a_changed_message_open_nothing() {
    let (ours, other) = (key(&[1; 32]), key(&[2; 32]));
    let (enc, mut sealed) = seal(&ours.public(), b"info", b"message").expect("sealed");
    assert!(open(&ours, &enc, b"info", &sealed).is_ok());
    assert!(open(&other, &enc, b"info", &sealed).is_err());
    assert!(open(&ours, &enc, b"inf0", &sealed).is_err());
    assert!(open(&ours, &[9; 32], b"info", &sealed).is_err());
    sealed[0] ^= 1;
    assert!(open(&ours, &enc, b"info", &sealed).is_err());
    assert!(open(&ours, &enc, b"info", &[]).is_err());
}

/// RFC 9180, 7.1.4: a shared secret of zeros must not be used.
#[test]
fn a_public_key_of_low_order_is_refused() {
    let mut one = [0; 32];
    one[0] = 1;
    for point in [[0; 32], one] {
        assert!(seal(&ExchangePublic(point), b"", b"message").is_err());
        assert!(open(&key(&[1; 32]), &point, b"", &[0; 23]).is_err());
    }
}
