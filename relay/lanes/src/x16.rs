//! Sixteen lanes in 512-bit vectors.

use std::arch::x86_64::*;

use crate::cpu::{row_of_vector, vector_of_block, vector_of_row};
use crate::{Block, LANES, Row, State, Words};

crate::rounds::define_rounds!("avx512f", __m512i);

/// Takes a block's words into the state of each lane that `active` has all ones for.
#[target_feature(enable = "avx512f")]
pub(crate) fn compress(state: &mut State, words: &Words, active: &Row) {
    let before = state.map(vector_of_row);
    let mut vectors = [_mm512_setzero_si512(); 16];
    for (vector, row) in vectors.iter_mut().zip(words) {
        *vector = vector_of_row(*row);
    }
    let after = rounds(before, vectors);
    let active = vector_of_row(*active);
    for (word, (before, after)) in state.iter_mut().zip(before.into_iter().zip(after)) {
        *word = row_of_vector(add(before, _mm512_and_si512(after, active)));
    }
}

/// The sixteen words of each block, big-endian, as word 0 of all blocks, word 1 of all, and so on.
#[target_feature(enable = "avx512f,avx512bw")]
pub(crate) fn transpose(blocks: &[&Block; LANES], words: &mut Words) {
    let mut fours = [[_mm512_setzero_si512(); 4]; 4];
    for (four, blocks) in fours.iter_mut().zip(blocks.as_chunks::<4>().0) {
        *four = in_quarters(blocks);
    }
    for word in 0..4 {
        let [a, b, c, d] = fours.map(|four| four[word]);
        let (ab_low, ab_high) =
            (_mm512_shuffle_i32x4::<0x44>(a, b), _mm512_shuffle_i32x4::<0xee>(a, b));
        let (cd_low, cd_high) =
            (_mm512_shuffle_i32x4::<0x44>(c, d), _mm512_shuffle_i32x4::<0xee>(c, d));
        words[word] = row_of_vector(_mm512_shuffle_i32x4::<0x88>(ab_low, cd_low));
        words[4 + word] = row_of_vector(_mm512_shuffle_i32x4::<0xdd>(ab_low, cd_low));
        words[8 + word] = row_of_vector(_mm512_shuffle_i32x4::<0x88>(ab_high, cd_high));
        words[12 + word] = row_of_vector(_mm512_shuffle_i32x4::<0xdd>(ab_high, cd_high));
    }
}

/// Vector `n` of the result has in each quarter `q` the words `4 q + n` of the four blocks.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn in_quarters(blocks: &[&Block; 4]) -> [__m512i; 4] {
    let [a, b, c, d] = blocks.map(|block| big_endian(vector_of_block(*block)));
    let (ab_low, ab_high) = (_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    let (cd_low, cd_high) = (_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    [
        _mm512_unpacklo_epi64(ab_low, cd_low),
        _mm512_unpackhi_epi64(ab_low, cd_low),
        _mm512_unpacklo_epi64(ab_high, cd_high),
        _mm512_unpackhi_epi64(ab_high, cd_high),
    ]
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn big_endian(words: __m512i) -> __m512i {
    let swap = _mm512_set4_epi32(0x0c0d_0e0f, 0x0809_0a0b, 0x0405_0607, 0x0001_0203);
    _mm512_shuffle_epi8(words, swap)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn splat(word: i32) -> __m512i {
    _mm512_set1_epi32(word)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn add(a: __m512i, b: __m512i) -> __m512i {
    _mm512_add_epi32(a, b)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn rotate<const BITS: i32>(a: __m512i) -> __m512i {
    _mm512_rol_epi32::<BITS>(a)
}

// The immediate of the ternary operation is its truth table.

#[inline]
#[target_feature(enable = "avx512f")]
fn choose(b: __m512i, c: __m512i, d: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<0xca>(b, c, d)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn parity(b: __m512i, c: __m512i, d: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<0x96>(b, c, d)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn majority(b: __m512i, c: __m512i, d: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<0xe8>(b, c, d)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn xor4(a: __m512i, b: __m512i, c: __m512i, d: __m512i) -> __m512i {
    _mm512_xor_si512(parity(b, c, d), a)
}
