//! A bucket of places for messages that nobody has answered yet.

/// One place, in the thousandths that buckets count in.
pub const PLACE: u64 = 1000;

/// How much slower a bucket gets with each of the last places: thirteen tenths.
const SLOWER: (u64, u64) = (13, 10);

/// The size and speed of a bucket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    /// Places when full.
    pub most: u64,
    /// Seconds in which a place comes back by itself.
    pub gap: u64,
    /// The same, at most, after the bucket ran empty again and again.
    pub gap_most: u64,
    /// What comes back when a code is answered, thousandths of a place.
    pub earned: u64,
    /// Work is asked for while fewer places than this are left.
    pub work_below: u64,
}

/// What a bucket holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bucket {
    /// Thousandths of a place (of a minor unit, where it holds money).
    pub left: u64,
    /// Seconds in which a place comes back now.
    pub gap: u64,
    /// When this was so, Unix seconds.
    pub at: u64,
}

impl Bucket {
    /// A full one.
    pub fn full(shape: Shape, now: u64) -> Self {
        Self { left: shape.most * PLACE, gap: shape.gap, at: now }
    }

    /// The same bucket at `now`. One that is full again forgets that it ever ran empty.
    #[must_use]
    pub fn refreshed(mut self, shape: Shape, now: u64) -> Self {
        let most = shape.most * PLACE;
        self.gap = self.gap.clamp(shape.gap, shape.gap_most);
        let back = now.saturating_sub(self.at).saturating_mul(PLACE) / self.gap.max(1);
        if back > 0 {
            self.left = self.left.saturating_add(back);
            self.at = now;
        }
        if self.left >= most {
            self = Self::full(shape, now);
        }
        self
    }

    /// Whether a message can be taken from it.
    pub fn has_place(&self) -> bool {
        self.left >= PLACE
    }

    /// Seconds until it has a place.
    pub fn until_place(&self, shape: Shape) -> u64 {
        let missing = PLACE.saturating_sub(self.left);
        (missing * self.gap.max(shape.gap)).div_ceil(PLACE).max(1)
    }

    /// Takes a place. Whoever takes one of the last, for which work is asked, slows the bucket down.
    pub fn take(&mut self, shape: Shape) {
        self.left = self.left.saturating_sub(PLACE);
        if self.left < shape.work_below.max(1) * PLACE {
            self.gap = (self.gap * SLOWER.0 / SLOWER.1).min(shape.gap_most);
        }
    }

    /// Gives back what an answer earns, and the speed that its message took.
    #[must_use]
    pub fn earned(mut self, shape: Shape) -> Self {
        self.left = (self.left + shape.earned).min(shape.most * PLACE);
        self.gap = (self.gap * SLOWER.1 / SLOWER.0).max(shape.gap);
        self
    }

    /// How far it is below the level at which work is asked for: 0 just below, 100 empty.
    pub fn lowness(&self, shape: Shape) -> Option<u8> {
        let level = shape.work_below * PLACE;
        let missing = level.checked_sub(self.left).filter(|missing| *missing > 0)?;
        u8::try_from(missing * 100 / level).ok()
    }
}
