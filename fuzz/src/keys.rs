//! What a server hands to cameras and viewers of sealed video: lists, generations, frames, images.
//! The keys are those of `relay/client/tests/vectors/sightline.json`.

use sightline_client::keys::{
    Binding, GenerationBlob, Keyring, OwnerReply, Reveal, SealingOrder, SignedList, SigningPublic,
};
use sightline_client::sealed::{FrameOpener, StillOpener};
use sightline_client::sframe::Header;
use sightline_client::{DeviceSecret, Identity};
use sightline_grant::PublicKey;
use sightline_relay_proto::frame::CaptureTime;
use sightline_relay_proto::ids::{Channel, DeviceId};

/// PKCS#8 of an Ed25519 key, before its seed (RFC 8410).
const PKCS8: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

fn binding() -> Binding {
    Binding { serial: DeviceId::new("CAM-1").expect("a serial"), epoch: 3 }
}

fn camera() -> SigningPublic {
    let key = Identity::from_pkcs8(&[&PKCS8[..], &[0xc0; 32]].concat()).expect("a key");
    let PublicKey::Ed25519(public) = key.public_key().clone() else { panic!("Ed25519") };
    public
}

/// Headers have one encoding; without a key no frame and no image opens.
pub fn sframe(data: &[u8]) {
    if let Ok((header, len)) = Header::parse(data) {
        assert_eq!(&*header.to_bytes(), &data[..len]);
    }
    let mut opener = FrameOpener::new(Keyring::live(binding(), camera(), None), Channel(258));
    let mut out = Vec::new();
    assert!(opener.open(data, CaptureTime(0), &mut out).is_err());
    assert!(out.is_empty());
    assert!(StillOpener::new(opener.keyring()).open(data).is_err());
}

/// A list or an order that passes is, to the byte, one that its owner signed. The messages of the confirmation
/// have one encoding too.
pub fn viewer_list(data: &[u8]) {
    let secret = DeviceSecret::from_bytes(std::array::from_fn(|at| at as u8));
    let verifier = secret.auth_key().expect("derived").verifier();
    if let Ok(signed) = SignedList::open(data, &verifier) {
        let list = signed.list().clone();
        assert_eq!(list.sign(&secret.auth_key().expect("derived")).bytes(), data);
    }
    if let Ok(order) = SealingOrder::open(data, &verifier) {
        assert_eq!(order.sign(&secret.auth_key().expect("derived")), data);
    }
    if let Ok(reply) = OwnerReply::parse(data) {
        assert_eq!(reply.to_bytes(), data);
    }
    if let Ok(reveal) = Reveal::parse(data) {
        assert_eq!(reveal.to_bytes(), data);
    }
}

/// A generation that passes has one encoding.
pub fn generation(data: &[u8]) {
    if let Ok(blob) = GenerationBlob::open(data, &camera(), &binding()) {
        assert_eq!(blob.to_bytes(), data);
        for recipient in blob.recipients() {
            let one = blob.only_for(&recipient).expect("a recipient");
            assert!(GenerationBlob::open(&one.to_bytes(), &camera(), &binding()).is_ok());
        }
    }
}
