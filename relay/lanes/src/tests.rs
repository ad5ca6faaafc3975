//! Every vector unit of this machine against the crypto library and the published vectors.

use super::*;
use aws_lc_rs::hmac;

/// Longest message of the random ones, bytes: more than a packet.
const LONGEST: usize = 2000;

/// A small generator of numbers, the same ones in each run (xorshift64*).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() >> 16) as usize % end
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| (self.next() >> 40) as u8).collect()
    }

    fn array<const LEN: usize>(&mut self) -> [u8; LEN] {
        self.bytes(LEN).try_into().unwrap()
    }
}

fn by_library(key: &[u8; KEY], packet: &[u8], trailer: [u8; TRAILER]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
    hmac::sign(&key, &[packet, &trailer].concat()).as_ref().to_vec()
}

/// Checks the tags of packets of these lengths on every unit.
fn check(numbers: &mut Numbers, lengths: &[usize]) {
    let key = numbers.array();
    let packets: Vec<Vec<u8>> = lengths.iter().map(|len| numbers.bytes(*len)).collect();
    let messages: Vec<Message<'_>> =
        packets.iter().map(|packet| Message { packet, trailer: numbers.array() }).collect();
    for unit in Unit::all() {
        let mut tags = vec![Tag::default(); messages.len()];
        HmacSha1::new(unit, &key).tags(&messages, &mut tags);
        for (at, (message, tag)) in messages.iter().zip(&tags).enumerate() {
            let expected = by_library(&key, message.packet, message.trailer);
            assert_eq!(tag[..], expected, "{unit:?}, message {at} of lengths {lengths:?}");
        }
    }
}

#[test]
fn rfc_2202_vectors_come_out_in_every_lane() {
    let vectors: [(u8, &[u8], Tag); 2] = [
        (0x0b, b"Hi There", unhex("b617318655057264e28bc0b6fb378c8ef146be00")),
        (0xaa, &[0xdd; 50], unhex("125d7342b9ac11cd91a39af48aa17b4f63f175d3")),
    ];
    for unit in Unit::all() {
        for (key, data, expected) in vectors {
            let (packet, trailer) = data.split_last_chunk().unwrap();
            let messages = [Message { packet, trailer: *trailer }; LANES];
            let mut tags = [Tag::default(); LANES];
            HmacSha1::new(unit, &[key; KEY]).tags(&messages, &mut tags);
            assert_eq!(tags, [expected; LANES], "{unit:?}");
        }
    }
}

fn unhex(text: &str) -> Tag {
    std::array::from_fn(|at| u8::from_str_radix(&text[2 * at..][..2], 16).unwrap())
}

#[test]
fn every_length_around_the_block_borders_is_right() {
    let mut numbers = Numbers(1);
    for len in 0..=200 {
        check(&mut numbers, &[len; LANES]);
    }
}

#[test]
fn lanes_of_different_lengths_do_not_disturb_each_other() {
    let mut numbers = Numbers(2);
    for _ in 0..300 {
        let lengths: Vec<usize> = (0..LANES).map(|_| numbers.below(LONGEST)).collect();
        check(&mut numbers, &lengths);
    }
}

#[test]
fn any_number_of_messages_is_taken() {
    let mut numbers = Numbers(3);
    for count in 0..=3 * LANES {
        let lengths: Vec<usize> = (0..count).map(|_| numbers.below(LONGEST)).collect();
        check(&mut numbers, &lengths);
    }
}

#[test]
fn empty_messages_stand_beside_long_ones() {
    let mut numbers = Numbers(4);
    for lane in 0..LANES {
        let mut lengths = [0; LANES];
        check(&mut numbers, &lengths[..=lane]);
        lengths[lane] = 1212;
        check(&mut numbers, &lengths);
        check(&mut numbers, &lengths.map(|len| 1212 - len));
    }
}

#[test]
fn tags_are_written_for_as_many_as_both_sides_have() {
    for unit in Unit::all() {
        let auth = HmacSha1::new(unit, &[1; KEY]);
        let messages = [Message { packet: b"packet", trailer: [0; TRAILER] }; 3];
        let mut tags = [Tag::default(); 5];
        auth.tags(&messages, &mut tags[..2]);
        assert_eq!(tags[0], tags[1]);
        assert_eq!(tags[2..], [Tag::default(); 3]);
        auth.tags(&messages, &mut tags);
        assert_eq!(tags[2], tags[0]);
        assert_eq!(tags[3..], [Tag::default(); 2]);
    }
}

/// Otherwise the other tests could pass without testing anything.
#[test]
#[cfg(target_arch = "x86_64")]
fn a_machine_with_the_features_has_the_units() {
    let wide = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw");
    let half = is_x86_feature_detected!("avx2");
    assert_eq!(Unit::all().count(), usize::from(wide) + usize::from(half));
    assert_eq!(Unit::best(), Unit::all().next());
}
