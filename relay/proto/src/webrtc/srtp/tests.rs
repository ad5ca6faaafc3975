mod frames;

use super::keys::{Keys, Prf, Transform};
use super::*;
use crate::wire::rtp::header;

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

const KEY_128: &str = "000102030405060708090a0b0c0d0e0f";
const KEY_256: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const SALT: &str = "517569642070726f2071756f";
const RTP_HEADER: &str = "8040f17b8041f8d35501a0b2";
const RTP_BODY: &str =
    "47616c6c696120657374206f6d6e69732064697669736120696e207061727465732074726573";
const RTCP: &str = "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61\
                    deadbeefdeadbeefdeadbeefdeadbeefdeadbeef";

fn gcm(key: &str) -> Transform {
    let salt = unhex(SALT).try_into().unwrap();
    Transform::gcm(&unhex(key), salt).unwrap()
}

#[test]
fn rfc_3711_appendix_b_keys_are_derived() {
    let prf = Prf::new(
        &unhex("E1F97A0D3E018BE0D64FA32C06DE4139"),
        &unhex("0EC675AD498AFEEBB6960B3AABE6"),
    )
    .unwrap();
    let mut key = [0; 16];
    prf.fill(0, &mut key).unwrap();
    assert_eq!(key.to_vec(), unhex("C61E7A93744F39EE10734AFE3FF7A087"));
    let mut salt = [0; 14];
    prf.fill(2, &mut salt).unwrap();
    assert_eq!(salt.to_vec(), unhex("30CBBC08863D8C85D49DB34A9AE1"));
    let mut auth = [0; 20];
    prf.fill(1, &mut auth).unwrap();
    assert_eq!(auth.to_vec(), unhex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"));
}

#[test]
fn rfc_3711_appendix_b_keystream_comes_out() {
    let key = "2B7E151628AED2A6ABF7158809CF4F3C";
    let prf = Prf::new(&unhex(key), &unhex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD")).unwrap();
    let mut stream = [0; 48];
    prf.fill(0, &mut stream).unwrap();
    let expected = "E03EAD0935C95E80E166B16DD92B4EB4D23513162B02D0F72A43A2FE4A5F97AB\
                    41E95B3BB0A2E8DD477901E4FCA894C0";
    assert_eq!(stream.to_vec(), unhex(expected));
}

#[test]
fn rfc_7714_section_16_packets_seal_and_open() {
    let sealed_128 = "f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b\
                      36de3adf8833899d7f27beb16a9152cf765ee4390cce";
    let sealed_256 = "32b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f\
                      1ba63799b87b7aa3db36dfffd6b0f9bb7878d7a76c13";
    for (key, sealed) in [(KEY_128, sealed_128), (KEY_256, sealed_256)] {
        let transform = gcm(key);
        let (head, body) = (unhex(RTP_HEADER), unhex(RTP_BODY));
        let mut whole = vec![0; head.len() + body.len() + transform.tag_len()];
        assert!(transform.seal_rtp(plain(&head, &[], &body), 0x5501_a0b2, 0xf17b, &mut whole));
        assert_eq!(whole, [head.clone(), unhex(sealed)].concat());
        // A prefix (RTX) gives the same bytes as one contiguous payload.
        let mut split = vec![0xff; whole.len()];
        assert!(transform.seal_rtp(
            plain(&head, &body[..2], &body[2..]),
            0x5501_a0b2,
            0xf17b,
            &mut split
        ));
        assert_eq!(split, whole);
        let mut opened = Vec::new();
        assert!(transform.open_rtp(&whole, 12, 0x5501_a0b2, 0xf17b, &mut opened));
        assert_eq!(opened, [head, body].concat());
    }
}

#[test]
fn rfc_7714_section_17_compounds_seal_and_open() {
    let sealed_128 = "81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32d\
                      c676a5f1730d6fda4ce09b4686303ded0bb9275bc84aa45896cf4d2fc5abf872\
                      45d9eade800005d4";
    let sealed_256 = "81c8000d4d617273d50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50\
                      a2eaa5c1110555be8415f658c61de0476f1b6fad1d1eb30c4446839f57ff6f6c\
                      b26ac3be800005d4";
    for (key, sealed) in [(KEY_128, sealed_128), (KEY_256, sealed_256)] {
        let transform = gcm(key);
        let mut out = unhex(RTCP);
        assert!(transform.seal_rtcp(&mut out, 0, 0x5d4));
        assert_eq!(out, unhex(sealed));
        let index = Profile::AeadAes128Gcm.rtcp_index(&out).unwrap();
        assert_eq!(index, 0x5d4);
        let mut plain = Vec::new();
        assert!(transform.open_rtcp(&out, (0x4d61_7273, index), &mut plain));
        assert_eq!(plain, unhex(RTCP));
    }
}

#[test]
fn an_unencrypted_compound_is_refused() {
    let tag_only = "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61\
                    deadbeefdeadbeefdeadbeefdeadbeefdeadbeef841dd9683dd78ec92ae58790\
                    125f62b3000005d4";
    assert_eq!(Profile::AeadAes128Gcm.rtcp_index(&unhex(tag_only)), None);
}

fn plain<'a>(header: &'a [u8], prefix: &'a [u8], payload: &'a [u8]) -> Plain<'a> {
    Plain { header, prefix, payload }
}

const PROFILES: [Profile; 3] =
    [Profile::AeadAes128Gcm, Profile::AeadAes256Gcm, Profile::Aes128CmSha1];

fn pair(profile: Profile) -> (SrtpSender, SrtpReceiver) {
    let key = vec![7; profile.key_len()];
    let salt = vec![9; profile.salt_len()];
    let keys = || Keys::derive(profile, &key, &salt).unwrap();
    (SrtpSender::new(keys()), SrtpReceiver::new(keys()))
}

fn sealed(sender: &mut SrtpSender, source: OutSource, seq: u16) -> Vec<u8> {
    let head = header(96, true, seq, 1, 42);
    sender.sealed(source, Sending::First, seq, plain(&head, &[], b"payload")).unwrap()
}

#[test]
fn both_ends_of_an_export_understand_each_other() {
    for profile in PROFILES {
        let len = 2 * (profile.key_len() + profile.salt_len());
        let material: Vec<u8> = (0..len).map(|byte| byte as u8).collect();
        let mut client = Srtp::new(profile, &material, true).unwrap();
        let mut server = Srtp::new(profile, &material, false).unwrap();
        let source = client.sender.add_source(42);
        let packet = sealed(&mut client.sender, source, 1);
        let mut plain = Vec::new();
        assert!(server.receiver.open_rtp(&packet, &mut plain));
        assert!(plain.ends_with(b"payload"));
        assert!(!client.receiver.open_rtp(&packet, &mut plain));
        assert_eq!(Srtp::new(profile, &material[1..], true).err(), Some(KeyingError));
    }
}

#[test]
fn the_rollover_counter_follows_the_wrap_also_out_of_order() {
    for profile in PROFILES {
        let (mut sender, mut receiver) = pair(profile);
        let source = sender.add_source(42);
        let packets: Vec<_> = [65_534, 65_535, 0, 1]
            .into_iter()
            .map(|seq| sealed(&mut sender, source, seq))
            .collect();
        let mut plain = Vec::new();
        for at in [0, 2, 1, 3] {
            assert!(receiver.open_rtp(&packets[at], &mut plain), "packet {at}");
        }
    }
}

#[test]
fn a_replayed_packet_is_refused() {
    for profile in PROFILES {
        let (mut sender, mut receiver) = pair(profile);
        let source = sender.add_source(42);
        let mut plain = Vec::new();
        let packet = sealed(&mut sender, source, 7);
        assert!(receiver.open_rtp(&packet, &mut plain));
        assert!(!receiver.open_rtp(&packet, &mut plain));
        let mut compound = unhex(RTCP);
        assert!(sender.seal_rtcp(&mut compound, 0));
        assert!(receiver.open_rtcp(&compound, &mut plain));
        assert!(!receiver.open_rtcp(&compound, &mut plain));
    }
}

#[test]
fn forged_packets_change_nothing() {
    for profile in PROFILES {
        let (mut sender, mut receiver) = pair(profile);
        let source = sender.add_source(42);
        let mut plain = Vec::new();
        let first = sealed(&mut sender, source, 10);
        assert!(receiver.open_rtp(&first, &mut plain));
        let good = sealed(&mut sender, source, 11);
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(!receiver.open_rtp(&bad, &mut plain), "bit {bit}");
            assert!(plain.is_empty());
        }
        for len in 0..good.len() {
            assert!(!receiver.open_rtp(&good[..len], &mut plain));
            assert!(!receiver.open_rtcp(&good[..len], &mut plain));
        }
        assert!(receiver.open_rtp(&good, &mut plain));
        let media = receiver.media.as_ref().unwrap();
        assert_eq!((media.windows.len(), receiver.rtcp.len()), (1, 0));
    }
}

#[test]
fn a_sequence_number_is_never_sealed_for_two_packets() {
    let (mut sender, _) = pair(Profile::AeadAes128Gcm);
    let source = sender.add_source(42);
    let packet = sealed(&mut sender, source, 10);
    let head = header(96, true, 10, 1, 42);
    let other = plain(&head, &[], b"other");
    assert_eq!(sender.sealed(source, Sending::First, 10, other), None);
    assert_eq!(sender.sealed(source, Sending::Again, 11, other), None);
    let again = sender.sealed(source, Sending::Again, 10, plain(&head, &[], b"payload"));
    assert_eq!(again, Some(packet));
}

#[test]
fn a_place_of_the_wrong_length_is_refused_and_uses_up_no_number() {
    for profile in [Profile::AeadAes128Gcm, Profile::AeadAes256Gcm, Profile::Aes128CmSha1] {
        let (mut sender, _) = pair(profile);
        let source = sender.add_source(42);
        let head = header(96, true, 10, 1, 42);
        let packet = plain(&head, &[], b"payload");
        let len = sender.sealed_len(packet);
        for wrong in [0, len - 1, len + 1] {
            assert!(!sender.seal(source, Sending::First, 10, packet, &mut vec![0; wrong]));
        }
        assert!(sender.seal(source, Sending::First, 10, packet, &mut vec![0; len]));
    }
}

#[test]
fn sources_are_bounded_on_both_sides() {
    let (mut sender, mut receiver) = pair(Profile::AeadAes128Gcm);
    let mut opened = Vec::new();
    for ssrc in 0..=MAX_SOURCES as u32 {
        let source = sender.add_source(ssrc);
        let head = header(96, true, 1, 1, ssrc);
        let out = sender.sealed(source, Sending::First, 1, plain(&head, &[], b"x")).unwrap();
        assert_eq!(receiver.open_rtp(&out, &mut opened), (ssrc as usize) < MAX_SOURCES);
    }
}

#[test]
fn a_receiver_that_refuses_rtp_still_opens_feedback() {
    for profile in PROFILES {
        let (mut sender, mut receiver) = pair(profile);
        let source = sender.add_source(42);
        let mut plain = Vec::new();
        let packet = sealed(&mut sender, source, 7);
        let mut compound = unhex(RTCP);
        assert!(sender.seal_rtcp(&mut compound, 0));
        receiver.refuse_rtp();
        assert!(!receiver.open_rtp(&packet, &mut plain) && plain.is_empty());
        assert!(receiver.open_rtcp(&compound, &mut plain));
    }
}
