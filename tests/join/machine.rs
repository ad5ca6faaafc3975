//! Whether the machine itself stood still: threads that only sleep tell.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// How long each nap is.
const NAP: Duration = Duration::from_millis(5);
/// A nap that is longer than asked for by this was a stall.
const STALL: Duration = Duration::from_millis(40);
/// Sleepers: one per core of the smallest machine.
const SLEEPERS: usize = 2;

/// Watches until it is dropped.
pub(crate) struct Machine {
    stalls: Arc<Mutex<Vec<(Instant, Duration)>>>,
    stop: Arc<AtomicBool>,
}

impl Machine {
    pub(crate) fn watch() -> Self {
        let stalls = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        for _ in 0..SLEEPERS {
            let (stalls, stop) = (Arc::clone(&stalls), Arc::clone(&stop));
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let started = Instant::now();
                    thread::sleep(NAP);
                    let over = started.elapsed() - NAP;
                    if over > STALL {
                        stalls.lock().expect("no holder panics").push((started, over));
                    }
                }
            });
        }
        Self { stalls, stop }
    }

    /// The longest stall since a moment, if there was one.
    pub(crate) fn stalled_since(&self, since: Instant) -> Option<Duration> {
        let stalls = self.stalls.lock().expect("no holder panics");
        let later = stalls.iter().filter(|(at, over)| *at + *over >= since);
        later.map(|(_, over)| *over).max()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
