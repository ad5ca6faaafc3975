//! How long frames stay inside: from the turn that read a frame's first packet to the return of the
//! call that gave its packets for a viewer to the system. A turn's viewers are measured when
//! nothing of theirs waits in an arena any more.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sightline_relay_proto::hub::Handed;

/// Upper bounds of the buckets, microseconds; one more bucket holds what is longer.
const BOUNDS: [u64; 22] = [
    50, 100, 200, 300, 500, 750, 1000, 1500, 2000, 3000, 4000, 5000, 6000, 8000, 10_000, 15_000,
    20_000, 30_000, 50_000, 100_000, 300_000, 1_000_000,
];

/// Delays of a worker, for the exporter.
#[derive(Default)]
pub(crate) struct Delays {
    /// Of each frame to the first viewer that got it.
    first: Histogram,
    /// Of each frame to each viewer at the live edge.
    every: Histogram,
}

#[derive(Default)]
struct Histogram {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

impl Delays {
    /// These frames have just been given to the system.
    pub(crate) fn note(&self, handed: impl Iterator<Item = Handed>) {
        let mut now = None;
        for Handed { arrival, first, viewers } in handed {
            let now = *now.get_or_insert_with(Instant::now);
            let delay = now.saturating_duration_since(arrival);
            self.every.add(delay, viewers);
            if first {
                self.first.add(delay, 1);
            }
        }
    }

    /// Those of all workers together, in the text format of Prometheus.
    pub(crate) fn text<'a>(workers: impl Iterator<Item = &'a Self> + Clone) -> String {
        let mut out = String::new();
        let first = Histogram::sum(workers.clone().map(|delays| &delays.first));
        first.write(&mut out, "sightline_relay_first_delay_seconds");
        let every = Histogram::sum(workers.map(|delays| &delays.every));
        every.write(&mut out, "sightline_relay_delay_seconds");
        out
    }
}

impl Histogram {
    fn sum<'a>(parts: impl Iterator<Item = &'a Self>) -> Self {
        let total = Self::default();
        for part in parts {
            let from = part.buckets.iter().chain([&part.micros]);
            for (into, from) in total.buckets.iter().chain([&total.micros]).zip(from) {
                into.fetch_add(from.load(Ordering::Relaxed), Ordering::Relaxed);
            }
        }
        total
    }

    fn add(&self, delay: Duration, count: u64) {
        let micros = delay.as_micros() as u64;
        let at = BOUNDS.partition_point(|bound| *bound < micros);
        self.buckets[at].fetch_add(count, Ordering::Relaxed);
        self.micros.fetch_add(micros * count, Ordering::Relaxed);
    }

    fn write(&self, out: &mut String, name: &str) {
        let mut total = 0;
        // Writing to a string cannot fail.
        let _ = writeln!(out, "# TYPE {name} histogram");
        for (at, bucket) in self.buckets.iter().enumerate() {
            total += bucket.load(Ordering::Relaxed);
            let bound = BOUNDS.get(at).map(|micros| *micros as f64 / 1e6);
            let bound = bound.map_or_else(|| "+Inf".to_owned(), |seconds| seconds.to_string());
            let _ = writeln!(out, "{name}_bucket{{le=\"{bound}\"}} {total}");
        }
        let sum = self.micros.load(Ordering::Relaxed) as f64 / 1e6;
        let _ = writeln!(out, "{name}_sum {sum}\n{name}_count {total}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_counted_by_viewers_and_the_first_once_a_frame() {
        let (delays, other) = (Delays::default(), Delays::default());
        let arrival = Instant::now();
        let handed = |first, viewers| Handed { arrival, first, viewers };
        delays.note([handed(true, 3)].into_iter());
        other.note([handed(false, 4)].into_iter());
        let text = Delays::text([&delays, &other].into_iter());
        assert!(text.contains("sightline_relay_first_delay_seconds_count 1\n"), "{text}");
        assert!(text.contains("sightline_relay_delay_seconds_count 7\n"), "{text}");
        assert!(text.contains("sightline_relay_delay_seconds_bucket{le=\"+Inf\"} 7\n"), "{text}");
    }

    #[test]
    fn a_bucket_holds_its_upper_bound_and_nothing_above() {
        let histogram = Histogram::default();
        histogram.add(Duration::from_millis(5), 1);
        histogram.add(Duration::from_micros(5001), 10);
        histogram.add(Duration::from_secs(9), 100);
        let mut text = String::new();
        histogram.write(&mut text, "x");
        assert!(
            text.contains(
                "x_bucket{le=\"0.004\"} 0\nx_bucket{le=\"0.005\"} 1\nx_bucket{le=\"0.006\"} 11\n"
            ),
            "{text}"
        );
        assert!(text.contains("le=\"1\"} 11\nx_bucket{le=\"+Inf\"} 111\n"), "{text}");
        assert!(text.ends_with("x_count 111\n"), "{text}");
    }
}
