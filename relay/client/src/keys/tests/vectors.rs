//! Our own vectors: what another maker's camera or app checks itself against. The file is made by
//! this test when `SIGHTLINE_WRITE_VECTORS` is set, and compared with what comes out here otherwise.
//! Wraps are made with random keys, so they are opened instead of compared.

use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};
use sightline_relay_proto::codec::Codec;
use sightline_relay_proto::frame::CaptureTime;
use sightline_relay_proto::ids::{Channel, Tier, TrackIndex};
use zeroize::Zeroizing;

use super::*;
use crate::keys::bytes::put_binding;
use crate::keys::generation::GenerationHeader;
use crate::sealed::{
    FrameInfo, FrameOpener, FrameSealer, GenerationKeys, StillInfo, StillKind, StillSealer,
    StillType,
};
use crate::sframe::testing::{bytes, hex};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/sightline.json");
const CAMERA_SEED: [u8; 32] = [0xc0; 32];
const BASE_KEY: [u8; 32] = [0xba; 32];
const CAPTURE: u64 = NOW * 1_000_000 + 40_000;

fn secret() -> DeviceSecret {
    DeviceSecret::from_bytes(std::array::from_fn(|at| at as u8))
}

/// PKCS#8 of an Ed25519 seed (RFC 8410, section 7).
fn camera() -> Identity {
    let head = bytes("302e020100300506032b657004220420");
    Identity::from_pkcs8(&[&head[..], &CAMERA_SEED].concat()).expect("a key")
}

fn camera_public() -> SigningPublic {
    let sightline_grant::PublicKey::Ed25519(public) = camera().public_key().clone() else {
        panic!("an Ed25519 key")
    };
    public
}

fn base_key() -> BaseKey {
    BaseKey::from_bytes(Zeroizing::new(BASE_KEY))
}

fn device_secret() -> Value {
    let secret = secret();
    let archive = secret.archive_key().expect("derived");
    json!({
        "text": secret.text().expose(),
        "auth_public": hex(&secret.auth_key().expect("derived").verifier()),
        "archive_secret": hex(archive.secret()),
        "archive_public": hex(&archive.public().0),
    })
}

fn terminals() -> Value {
    let one = |number: u8| {
        let public = terminal(number).public();
        json!({
            "signing_seed": hex(&[number; 32]),
            "signing_public": hex(&public.signing),
            "exchange_secret": hex(&[number; 32]),
            "exchange_public": hex(&public.exchange.0),
        })
    };
    [1, 2].into_iter().map(one).collect()
}

fn viewer_list() -> Value {
    let guest =
        Viewer { scopes: Scopes::LIVE.with(Scopes::TALK), expires: Some(NOW + 3600), ..viewer(2) };
    let list = ViewerList::new(binding("CAM-1", 3), 7, vec![viewer(1), guest]).expect("legal");
    let signed = list.sign(&secret().auth_key().expect("derived"));
    json!({
        "serial": "CAM-1",
        "binding_epoch": 3,
        "version": 7,
        "viewers": [
            {"terminal": 1, "account": "account-1", "scopes": 3, "expires": 0},
            {"terminal": 2, "account": "account-2", "scopes": 9, "expires": NOW + 3600},
        ],
        "signed": hex(signed.bytes()),
    })
}

fn sealing_order() -> Value {
    let order = SealingOrder { binding: binding("CAM-1", 3), sequence: 4, sealed: false };
    let signed = order.sign(&secret().auth_key().expect("derived"));
    json!({ "serial": "CAM-1", "binding_epoch": 3, "sequence": 4, "mode": 0, "signed_order": hex(&signed) })
}

/// A generation without wraps, and its bytes up to and with the signature.
fn generation() -> (GenerationBlob, Vec<u8>) {
    let number = Generation::new(NOW).expect("legal");
    let header = GenerationHeader::new(Suite::Aes128Gcm, binding("CAM-1", 3), number, NOW, 7);
    let made = GenerationBlob::make(&camera(), header, &base_key(), []).expect("made");
    let mut signed = made.0.to_bytes();
    signed.truncate(signed.len() - 2);
    (made.0, signed)
}

fn generation_vector(blob: &str) -> Value {
    json!({
        "camera_seed": hex(&CAMERA_SEED),
        "camera_public": hex(&camera_public()),
        "suite": 4,
        "generation": NOW,
        "not_before": NOW,
        "list_version": 7,
        "base_key": hex(&BASE_KEY),
        "signed_header": hex(&generation().1),
        "recipients": ["archive", "terminal 1"],
        "blob": blob,
    })
}

/// The blob of the file while it is right, so that the file does not change without need; else a
/// new one.
fn wrapped() -> String {
    let (blob, signed) = generation();
    let text = std::fs::read_to_string(FILE).unwrap_or_default();
    let read: Value = serde_json::from_str(&text).unwrap_or_default();
    if let Some(kept) =
        read["generation"]["blob"].as_str().filter(|kept| kept.starts_with(&hex(&signed)))
    {
        return kept.to_owned();
    }
    let recipients =
        [secret().archive_key().expect("derived").public(), terminal(1).public().exchange];
    let header = blob.header().clone();
    let (blob, _) = GenerationBlob::make(&camera(), header, &base_key(), recipients).expect("made");
    hex(&blob.to_bytes())
}

fn frames() -> Value {
    let video = FrameInfo {
        track: TrackIndex(0),
        tier: Tier::Main,
        codec: Codec::H264,
        keyframe: true,
        discardable: false,
        discontinuity: true,
        capture: CaptureTime(CAPTURE),
    };
    let sound = FrameInfo {
        track: TrackIndex(2),
        codec: Codec::Opus,
        discontinuity: false,
        discardable: true,
        ..video
    };
    let sub = FrameInfo { track: TrackIndex(1), codec: Codec::H265, tier: Tier::Sub, ..video };
    let mut all = Vec::new();
    for suite in Suite::ALL {
        let number = Generation::new(NOW).expect("legal");
        let serial = binding("CAM-1", 3).serial;
        let mut keys = GenerationKeys::new(serial, number, suite, base_key());
        let mut sealer = FrameSealer::new(keys.channel(Channel(258)).expect("once"));
        for (info, unit) in [(video, "picture"), (video, "again"), (sub, "small"), (sound, "tone")]
        {
            let mut sealed = Vec::new();
            sealer.seal(&info, unit.as_bytes(), Instant::now(), &mut sealed).expect("sealed");
            all.push(json!({
                "suite": suite.id(),
                "unit": hex(unit.as_bytes()),
                "descriptor": hex(&sealed[..22]),
                "header": hex(&sealed[22..34]),
                "sealed": hex(&sealed),
            }));
        }
    }
    all.into()
}

fn still() -> Value {
    let number = Generation::new(NOW).expect("legal");
    let sealer = StillSealer::new(&binding("CAM-1", 3).serial, number, base_key());
    let info = StillInfo {
        kind: StillKind::Event,
        media: StillType::Jpeg,
        channel: Channel(258),
        capture: CaptureTime(CAPTURE),
    };
    let nonce = std::array::from_fn(|at| at as u8);
    let sealed = sealer.seal_with(&info, b"image", nonce).expect("sealed");
    json!({ "nonce": hex(&nonce), "image": hex(b"image"), "sealed": hex(&sealed) })
}

fn confirmation() -> Value {
    let mut reply = Vec::new();
    put_binding(&binding("CAM-1", 3), &mut reply);
    let (owner, guest) = (terminal(1).public(), terminal(2).public());
    reply.extend([camera_public(), owner.signing, owner.exchange.0].concat());
    reply.extend([0x0a; 16]);
    let mut reveal = [guest.signing, guest.exchange.0].concat();
    reveal.extend([0x0b; 16]);
    let owner = OwnerReply::parse(&reply).expect("a reply");
    let guest = Reveal::parse(&reveal).expect("a reveal");
    let commitment = guest.commitment();
    let code = owner.check(&commitment, &guest).expect("as announced").code;
    json!({
        "commitment": hex(&commitment.0),
        "reply": hex(&reply),
        "reveal": hex(&reveal),
        "code": code,
    })
}

fn all(blob: &str) -> Value {
    json!({
        "_note": "Vectors of KEYS.md. Wraps in `blob` were made with random keys: open them. \
            Frames are sealed under `base_key` and `generation`, on channel 258.",
        "device_secret": device_secret(),
        "terminals": terminals(),
        "viewer_list": viewer_list(),
        "sealing_order": sealing_order(),
        "generation": generation_vector(blob),
        "frames": frames(),
        "still": still(),
        "confirmation": confirmation(),
    })
}

#[test]
fn the_vectors_in_the_tree_are_what_comes_out() {
    if std::env::var_os("SIGHTLINE_WRITE_VECTORS").is_some() {
        let text = serde_json::to_string_pretty(&all(&wrapped())).expect("JSON");
        std::fs::write(FILE, text + "\n").expect("written");
    }
    let text = std::fs::read_to_string(Path::new(FILE)).expect("the vectors");
    let read: Value = serde_json::from_str(&text).expect("JSON");
    let blob = read["generation"]["blob"].as_str().expect("a blob").to_owned();
    assert_eq!(all(&blob), read);
    let stored = bytes(&blob);
    let checked = GenerationBlob::open(&stored, &camera_public(), &binding("CAM-1", 3));
    let checked = checked.expect("a good blob");
    assert!(stored.starts_with(&generation().1));
    assert_eq!(checked.recipients().count(), 2);
    for key in [&secret().archive_key().expect("derived"), terminal(1).exchange()] {
        assert_eq!(checked.unwrap(key).expect("a recipient").base_key.expose(), &BASE_KEY);
    }
}

#[test]
fn the_bounds_in_the_document_are_those_of_the_code() {
    let text = include_str!("../../../KEYS.md");
    for bound in [
        format!("At most {MAX_VIEWERS} entries, at most {MAX_LIST} bytes"),
        format!("At most {MAX_WRAPS} wraps, at most {MAX_BLOB} bytes"),
        format!("1 to {MAX_ACCOUNT} visible ASCII"),
        format!("It holds {MAX_HELD_LIVE} generations live, {MAX_HELD_RECORDINGS} for recordings"),
        format!("1 to {} bytes", crate::sealed::MAX_UNIT),
        format!("= {} bytes a frame", crate::sealed::OVERHEAD),
        format!("{} bytes more than the image", crate::sealed::STILL_OVERHEAD),
        format!("or {} or more behind the newest", sframe::WINDOW),
    ] {
        assert!(text.contains(&bound), "KEYS.md does not say {bound:?}");
    }
}

/// As a viewer: from the bytes of the file alone.
#[test]
fn the_list_the_frames_and_the_image_of_the_vectors_open() {
    let text = std::fs::read_to_string(Path::new(FILE)).expect("the vectors");
    let read: Value = serde_json::from_str(&text).expect("JSON");
    let field = |value: &Value| bytes(value.as_str().expect("hexadecimal"));
    let public = field(&read["device_secret"]["auth_public"]).try_into().expect("32 bytes");
    let list = SignedList::open(&field(&read["viewer_list"]["signed"]), &public);
    assert_eq!(list.expect("a good list").list().version(), 7);

    let camera = field(&read["generation"]["camera_public"]).try_into().expect("32 bytes");
    let mut keyring = Keyring::live(binding("CAM-1", 3), camera, None);
    let blob = field(&read["generation"]["blob"]);
    keyring.accept(&blob, terminal(1).exchange(), NOW).expect("a recipient");
    let mut opener = FrameOpener::new(keyring, Channel(258));
    let frames = read["frames"].as_array().expect("frames");
    let offered: Vec<_> = frames.iter().filter(|frame| frame["suite"] == 4).collect();
    assert_eq!(offered.len(), 4);
    for frame in offered {
        let mut unit = Vec::new();
        let opened = opener.open(&field(&frame["sealed"]), CaptureTime(CAPTURE), &mut unit);
        assert!(opened.is_ok(), "{opened:?}");
        assert_eq!(unit, field(&frame["unit"]));
    }
    let keyring = opener.into_keyring();
    let opened = crate::sealed::StillOpener::new(&keyring).open(&field(&read["still"]["sealed"]));
    assert_eq!(*opened.expect("opened").image, field(&read["still"]["image"]));
}
