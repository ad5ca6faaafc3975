//! A picture made of 16x16 blocks, which is what the H.264 writer can say exactly.

/// A colour in limited-range Y'CbCr.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Colour {
    pub(super) y: u8,
    pub(super) cb: u8,
    pub(super) cr: u8,
}

impl Colour {
    pub(super) const BLACK: Self = Self::grey(16);
    pub(super) const WHITE: Self = Self::grey(235);
    /// What the decoder predicts where it has no neighbour, and the rim of a noise block.
    pub(super) const MID: Self = Self::grey(128);

    pub(super) const fn new(y: u8, cb: u8, cr: u8) -> Self {
        Self { y, cb, cr }
    }

    pub(super) const fn grey(y: u8) -> Self {
        Self::new(y, 128, 128)
    }
}

/// One macroblock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Block {
    /// One colour all over.
    Flat(Colour),
    /// Grey noise from a seed, sent as raw samples to make bits. Its right column and bottom row
    /// are [`Colour::MID`], so that neighbours predict from it as from a flat block.
    Noise(u32),
}

impl Block {
    /// The colour along the right and bottom edges.
    pub(super) fn edge(self) -> Colour {
        match self {
            Self::Flat(colour) => colour,
            Self::Noise(_) => Colour::MID,
        }
    }
}

/// Side of a macroblock's luma, samples.
const SIDE: usize = 16;

/// The 384 samples of a noise block: luma, then both chroma planes.
pub(super) fn noise_samples(seed: u32) -> [u8; 384] {
    let mut samples = [128u8; 384];
    let mut state = seed.wrapping_mul(0x9E37_79B9) | 1;
    for (at, sample) in samples[..SIDE * SIDE].iter_mut().enumerate() {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        if at % SIDE != SIDE - 1 && at / SIDE != SIDE - 1 {
            // 16 to 235 in steps, within the limited range.
            *sample = 16 + ((state >> 24) % 220) as u8;
        }
    }
    samples
}

/// A picture of blocks in reading order.
#[derive(Clone, Debug)]
pub(super) struct Mosaic {
    pub(super) columns: usize,
    pub(super) rows: usize,
    pub(super) blocks: Vec<Block>,
}

impl Mosaic {
    pub(super) fn new(columns: usize, rows: usize) -> Self {
        Self { columns, rows, blocks: vec![Block::Flat(Colour::BLACK); columns * rows] }
    }

    /// Paints one block; outside of the picture nothing happens.
    pub(super) fn set(&mut self, column: usize, row: usize, block: Block) {
        if column < self.columns && row < self.rows {
            self.blocks[row * self.columns + column] = block;
        }
    }

    /// Paints a rectangle, clipped to the picture.
    pub(super) fn fill(&mut self, area: Area, colour: Colour) {
        for row in area.top..area.top + area.height {
            for column in area.left..area.left + area.width {
                self.set(column, row, Block::Flat(colour));
            }
        }
    }
}

/// A rectangle in blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Area {
    pub(super) left: usize,
    pub(super) top: usize,
    pub(super) width: usize,
    pub(super) height: usize,
}

impl Area {
    /// Blocks within.
    pub(super) fn len(self) -> usize {
        self.width * self.height
    }
}
