//! Which vector unit the machine has, the one way into the code compiled for it, and the moves
//! between memory and vectors. The only unsafe code of the crate; no pointer appears in it.
#![allow(unsafe_code)]

use crate::{Block, LANES, Row, State, Words};

/// A vector unit that this machine has: there is no other way to get one than to look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unit(Kind);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
}

// Elsewhere there is no kind, and nothing to do with the arguments.
#[cfg_attr(not(target_arch = "x86_64"), allow(unused_variables))]
impl Unit {
    /// The fastest one; `None` where one message after the other is as fast.
    pub fn best() -> Option<Self> {
        Self::all().next()
    }

    /// Every one, the fastest first.
    #[cfg(target_arch = "x86_64")]
    pub fn all() -> impl Iterator<Item = Self> {
        let wide = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw");
        let half = is_x86_feature_detected!("avx2");
        let kinds = [wide.then_some(Kind::Avx512), half.then_some(Kind::Avx2)];
        kinds.into_iter().flatten().map(Self)
    }

    /// Every one, the fastest first.
    #[cfg(not(target_arch = "x86_64"))]
    pub fn all() -> impl Iterator<Item = Self> {
        std::iter::empty()
    }

    /// Brings one block of each lane into the order of the vectors.
    pub(crate) fn transpose(self, blocks: &[&Block; LANES], words: &mut Words) {
        match self.0 {
            // SAFETY: a kind is made only in `all`, which found the features that the function is
            // compiled for.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => unsafe { crate::x16::transpose(blocks, words) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => unsafe { crate::x8::transpose(blocks, words) },
        }
    }

    /// Takes a block's words into the state of each lane that `active` has all ones for.
    pub(crate) fn compress(self, state: &mut State, words: &Words, active: &Row) {
        match self.0 {
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => unsafe { crate::x16::compress(state, words, active) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => unsafe { crate::x8::compress(state, words, active) },
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) use moves::*;

/// Copies between arrays and vectors of the same size. Both sides are plain bits: every pattern is
/// a value of either, and the compiler refuses a difference in size.
#[cfg(target_arch = "x86_64")]
mod moves {
    use std::arch::x86_64::{__m256i, __m512i};
    use std::mem::transmute;

    use crate::{Block, Row};

    macro_rules! moves {
        ($($name:ident: $from:ty => $to:ty;)*) => {$(
            #[inline(always)]
            pub(crate) fn $name(from: $from) -> $to {
                // SAFETY: plain bits of one size on both sides, as said above.
                unsafe { transmute::<$from, $to>(from) }
            }
        )*};
    }

    moves! {
        vector_of_block: Block => __m512i;
        vector_of_row: Row => __m512i;
        row_of_vector: __m512i => Row;
        halves_of_block: Block => [__m256i; 2];
        halves_of_row: Row => [__m256i; 2];
        row_of_halves: [__m256i; 2] => Row;
    }
}
