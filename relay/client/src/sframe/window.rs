//! Which frames were opened already: RFC 9605 leaves replays to the layer above it (section 9.3).

/// Frames behind the newest that are still opened, once: 17 s of pictures at 60 a second.
pub const WINDOW: u64 = 1024;
const WORD: u64 = u64::BITS as u64;
const WORDS: usize = (WINDOW / WORD) as usize;

/// The last [`WINDOW`] counters of one KID.
#[derive(Clone, Debug)]
pub(super) struct Window {
    newest: u64,
    /// A bit for each counter, at its place modulo [`WINDOW`].
    opened: [u64; WORDS],
}

/// Why a counter is refused.
#[derive(PartialEq, Eq, Clone, Copy, Debug)]
pub(super) enum Stale {
    /// It was opened before.
    Again,
    /// It is too far behind the newest to know.
    Behind,
}

impl Window {
    /// The first counter, just authenticated.
    pub(super) fn starting_at(ctr: u64) -> Self {
        let mut window = Self { newest: ctr, opened: [0; WORDS] };
        window.mark(ctr);
        window
    }

    /// Looks, and changes nothing: what is not authenticated must not move the window.
    pub(super) fn check(&self, ctr: u64) -> Result<(), Stale> {
        if ctr > self.newest {
            return Ok(());
        }
        if self.newest - ctr >= WINDOW {
            return Err(Stale::Behind);
        }
        let (word, bit) = place(ctr);
        if self.opened[word] & bit == 0 { Ok(()) } else { Err(Stale::Again) }
    }

    /// Takes note of a counter whose frame was authenticated.
    pub(super) fn record(&mut self, ctr: u64) {
        if ctr > self.newest {
            let skipped = (ctr - self.newest).min(WINDOW);
            for step in 1..=skipped {
                let (word, bit) = place(self.newest.wrapping_add(step));
                self.opened[word] &= !bit;
            }
            self.newest = ctr;
        }
        self.mark(ctr);
    }

    fn mark(&mut self, ctr: u64) {
        let (word, bit) = place(ctr);
        self.opened[word] |= bit;
    }
}

fn place(ctr: u64) -> (usize, u64) {
    let at = ctr % WINDOW;
    ((at / WORD) as usize, 1 << (at % WORD))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_counter_passes_once_and_up_to_the_windows_edge() {
        let mut window = Window::starting_at(5000);
        assert_eq!(window.check(5000), Err(Stale::Again));
        assert_eq!(window.check(5000 - WINDOW + 1), Ok(()));
        assert_eq!(window.check(5000 - WINDOW), Err(Stale::Behind));
        window.record(5000 - WINDOW + 1);
        assert_eq!(window.check(5000 - WINDOW + 1), Err(Stale::Again));
    }

    proptest! {
        /// The window agrees with a plain set of everything that was opened.
        #[test]
        fn the_window_agrees_with_a_set(
            start in 0..4000u64,
            steps in prop::collection::vec(-1500i64..3000, 1..200),
        ) {
            let mut window = Window::starting_at(start);
            let mut opened = BTreeSet::from([start]);
            for step in steps {
                let newest = *opened.last().unwrap();
                let ctr = newest.saturating_add_signed(step);
                let expected = if ctr <= newest && newest - ctr >= WINDOW {
                    Err(Stale::Behind)
                } else if opened.contains(&ctr) {
                    Err(Stale::Again)
                } else {
                    Ok(())
                };
                prop_assert_eq!(window.check(ctr), expected);
                if expected.is_ok() {
                    window.record(ctr);
                    opened.insert(ctr);
                }
            }
        }
    }
}
