//! Sixteen lanes as two halves in 256-bit vectors.

use std::arch::x86_64::*;

use crate::cpu::{halves_of_block, halves_of_row, row_of_halves};
use crate::{Block, LANES, Row, State, Words};

crate::rounds::define_rounds!("avx2", __m256i);

/// Takes a block's words into the state of each lane that `active` has all ones for. A half without
/// any such lane costs nothing.
#[target_feature(enable = "avx2")]
pub(crate) fn compress(state: &mut State, words: &Words, active: &Row) {
    let mut rows = state.map(halves_of_row);
    for (half, active) in halves_of_row(*active).into_iter().enumerate() {
        if _mm256_testz_si256(active, active) != 0 {
            continue;
        }
        let before = rows.map(|row| row[half]);
        let mut vectors = [_mm256_setzero_si256(); 16];
        for (vector, row) in vectors.iter_mut().zip(words) {
            *vector = halves_of_row(*row)[half];
        }
        let after = rounds(before, vectors);
        for (row, (before, after)) in rows.iter_mut().zip(before.into_iter().zip(after)) {
            row[half] = add(before, _mm256_and_si256(after, active));
        }
    }
    *state = rows.map(row_of_halves);
}

/// The sixteen words of each block, big-endian, as word 0 of all blocks, word 1 of all, and so on.
#[target_feature(enable = "avx2")]
pub(crate) fn transpose(blocks: &[&Block; LANES], words: &mut Words) {
    for (part, words) in words.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        let mut fours = [[_mm256_setzero_si256(); 4]; 4];
        for (four, blocks) in fours.iter_mut().zip(blocks.as_chunks::<4>().0) {
            *four = in_halves(blocks, part);
        }
        for word in 0..4 {
            let [a, b, c, d] = fours.map(|four| four[word]);
            let low = |a, b| _mm256_permute2x128_si256::<0x20>(a, b);
            let high = |a, b| _mm256_permute2x128_si256::<0x31>(a, b);
            words[word] = row_of_halves([low(a, b), low(c, d)]);
            words[4 + word] = row_of_halves([high(a, b), high(c, d)]);
        }
    }
}

/// From eight words of four blocks, the first eight or the second: vector `n` of the result has in
/// each half `h` the words `4 h + n` of the four.
#[inline]
#[target_feature(enable = "avx2")]
fn in_halves(blocks: &[&Block; 4], part: usize) -> [__m256i; 4] {
    let [a, b, c, d] = blocks.map(|block| big_endian(halves_of_block(*block)[part]));
    let (ab_low, ab_high) = (_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
    let (cd_low, cd_high) = (_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
    [
        _mm256_unpacklo_epi64(ab_low, cd_low),
        _mm256_unpackhi_epi64(ab_low, cd_low),
        _mm256_unpacklo_epi64(ab_high, cd_high),
        _mm256_unpackhi_epi64(ab_high, cd_high),
    ]
}

#[inline]
#[target_feature(enable = "avx2")]
fn big_endian(words: __m256i) -> __m256i {
    let swap = _mm_set_epi32(0x0c0d_0e0f, 0x0809_0a0b, 0x0405_0607, 0x0001_0203);
    _mm256_shuffle_epi8(words, _mm256_broadcastsi128_si256(swap))
}

#[inline]
#[target_feature(enable = "avx2")]
fn splat(word: i32) -> __m256i {
    _mm256_set1_epi32(word)
}

#[inline]
#[target_feature(enable = "avx2")]
fn add(a: __m256i, b: __m256i) -> __m256i {
    _mm256_add_epi32(a, b)
}

#[inline]
#[target_feature(enable = "avx2")]
fn rotate<const BITS: i32>(a: __m256i) -> __m256i {
    let count = |bits: i32| _mm_cvtsi32_si128(bits);
    _mm256_or_si256(_mm256_sll_epi32(a, count(BITS)), _mm256_srl_epi32(a, count(32 - BITS)))
}

#[inline]
#[target_feature(enable = "avx2")]
fn choose(b: __m256i, c: __m256i, d: __m256i) -> __m256i {
    _mm256_xor_si256(d, _mm256_and_si256(b, _mm256_xor_si256(c, d)))
}

#[inline]
#[target_feature(enable = "avx2")]
fn parity(b: __m256i, c: __m256i, d: __m256i) -> __m256i {
    _mm256_xor_si256(b, _mm256_xor_si256(c, d))
}

#[inline]
#[target_feature(enable = "avx2")]
fn majority(b: __m256i, c: __m256i, d: __m256i) -> __m256i {
    _mm256_xor_si256(c, _mm256_and_si256(_mm256_xor_si256(b, c), _mm256_xor_si256(c, d)))
}

#[inline]
#[target_feature(enable = "avx2")]
fn xor4(a: __m256i, b: __m256i, c: __m256i, d: __m256i) -> __m256i {
    _mm256_xor_si256(parity(b, c, d), a)
}
