//! The compression function of SHA-1 (FIPS 180-4, 6.1.2) over vectors: written once, expanded for
//! each vector unit.

/// Defines `rounds`, which takes 80 rounds over `state` and the words of a block.
///
/// The module that expands it defines, for the same CPU feature and vector, `add`, `rotate`,
/// `choose`, `parity`, `majority`, `xor4` and `splat`.
macro_rules! define_rounds {
    ($feature:literal, $vector:ty) => {
        #[inline]
        #[target_feature(enable = $feature)]
        fn rounds(state: [$vector; 5], mut words: [$vector; 16]) -> [$vector; 5] {
            let mut now = state;
            $crate::rounds::each_of_80!(now, words);
            now
        }

        /// Round number `T`; from the 17th on it first replaces the oldest word by its next one.
        #[inline]
        #[target_feature(enable = $feature)]
        fn round<const T: usize>(state: [$vector; 5], words: &mut [$vector; 16]) -> [$vector; 5] {
            let [a, b, c, d, e] = state;
            if T >= 16 {
                let old = |back: usize| words[(T - back) % 16];
                words[T % 16] = rotate::<1>(xor4(old(3), old(8), old(14), old(16)));
            }
            let (mixed, constant) = match T / 20 {
                0 => (choose(b, c, d), 0x5a82_7999),
                1 => (parity(b, c, d), 0x6ed9_eba1),
                2 => (majority(b, c, d), 0x8f1b_bcdc_u32 as i32),
                _ => (parity(b, c, d), 0xca62_c1d6_u32 as i32),
            };
            let early = add(add(e, words[T % 16]), splat(constant));
            let next = add(rotate::<5>(a), add(early, mixed));
            [next, a, rotate::<30>(b), c, d]
        }
    };
}

/// Calls `round` with every number as a constant, so that words stay in registers.
macro_rules! each_of_80 {
    ($state:ident, $words:ident) => {
        $crate::rounds::each_of_80!($state, $words,
             0  1  2  3  4  5  6  7  8  9 10 11 12 13 14 15 16 17 18 19
            20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39
            40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59
            60 61 62 63 64 65 66 67 68 69 70 71 72 73 74 75 76 77 78 79);
    };
    ($state:ident, $words:ident, $($number:literal)*) => {
        $( $state = round::<$number>($state, &mut $words); )*
    };
}

pub(crate) use {define_rounds, each_of_80};
