//! A server under load, whoever made it: its processor time over what reached the viewers.

use std::thread;
use std::time::{Duration, Instant};

use super::network::{Network, Traffic};
use super::path::Sink;
use super::procfs;

/// A server with its viewers.
pub(super) trait Subject {
    /// Process of the server.
    fn process(&self) -> u32;
    /// Stops camera and viewers where they are.
    fn pause(&self);
    /// Lets them go on.
    fn resume(&self);
}

/// What was seen of it in some time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Seen {
    pub(super) seconds: f64,
    /// Processor time of all threads, ns.
    pub(super) used: u64,
    pub(super) traffic: Traffic,
}

impl Seen {
    /// Looks at a process and its traffic at both ends of `time`.
    pub(super) fn during(
        network: &Network,
        sink: Sink,
        process: u32,
        time: Duration,
    ) -> Result<Self, String> {
        let look = || {
            let traffic = network.traffic(sink)?;
            Ok::<_, String>((Instant::now(), procfs::threads(process)?, traffic))
        };
        let before = look()?;
        thread::sleep(time);
        let after = look()?;
        Ok(Self {
            seconds: (after.0 - before.0).as_secs_f64(),
            used: procfs::used(&before.1, &after.1),
            traffic: after.2.since(before.2),
        })
    }

    /// Packets that reached the viewers, each of `bytes`.
    pub(super) fn packets(&self, sink: Sink, bytes: f64) -> f64 {
        (self.traffic.contents(sink) as f64 / bytes).max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_bytes_without_headers_over_their_size() {
        let traffic = Traffic { messages: 10, bytes: 10 * (28 + 14 * 1206) };
        let seen = Seen { seconds: 1.0, used: 5, traffic };
        assert!((seen.packets(Sink::Dropped, 1206.0) - 140.0).abs() < 1e-9);
    }
}
