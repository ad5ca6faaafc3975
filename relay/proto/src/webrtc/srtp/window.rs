//! Replay protection (RFC 3711, 3.3.2).

/// Packets behind the highest one that are still accepted once. Wider than the 64 that the RFC
/// asks for, so that a retransmission a round trip late is not taken for a replay.
pub(super) const WINDOW: u64 = 1024;
const WORDS: usize = (WINDOW / 64) as usize;

/// Which of the last [`WINDOW`] indices were seen.
pub(super) struct ReplayWindow {
    highest: u64,
    seen: [u64; WORDS],
}

impl ReplayWindow {
    /// A window whose first index was just authenticated.
    pub(super) fn new(index: u64) -> Self {
        let mut window = Self { highest: index, seen: [0; WORDS] };
        window.mark(index);
        window
    }

    /// Highest index authenticated.
    pub(super) fn highest(&self) -> u64 {
        self.highest
    }

    /// Whether `index` is neither seen nor too old. Changes nothing.
    pub(super) fn is_new(&self, index: u64) -> bool {
        if index > self.highest {
            return true;
        }
        self.highest - index < WINDOW && self.seen[word(index)] & bit(index) == 0
    }

    /// Takes note of an authenticated index.
    pub(super) fn record(&mut self, index: u64) {
        if index > self.highest {
            if index - self.highest >= WINDOW {
                self.seen = [0; WORDS];
            } else {
                for skipped in self.highest + 1..index {
                    self.seen[word(skipped)] &= !bit(skipped);
                }
            }
            self.highest = index;
        }
        self.mark(index);
    }

    fn mark(&mut self, index: u64) {
        self.seen[word(index)] |= bit(index);
    }
}

fn word(index: u64) -> usize {
    (index % WINDOW / 64) as usize
}

fn bit(index: u64) -> u64 {
    1 << (index % 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_new_once_and_only_within_the_window() {
        let mut window = ReplayWindow::new(5000);
        assert!(!window.is_new(5000));
        assert!(window.is_new(5000 - WINDOW + 1));
        assert!(!window.is_new(5000 - WINDOW));
        window.record(4999);
        assert!(!window.is_new(4999));
        window.record(5000 + WINDOW - 1);
        assert!(window.is_new(5001));
        assert!(!window.is_new(5000));
        assert!(!window.is_new(4999));
    }

    #[test]
    fn a_jump_over_the_whole_window_forgets_what_was_seen_below() {
        let mut window = ReplayWindow::new(10);
        window.record(10 + 3 * WINDOW);
        assert!(window.is_new(10 + 3 * WINDOW - 1));
        assert!(!window.is_new(10 + 2 * WINDOW));
    }
}
