//! What a bare loop costs: CPU time of its whole process over the packets that it sent.

use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::flags::{Flags, Length};

/// Runs from the first frame to the last.
pub struct Meter {
    started: Instant,
    cpu: Duration,
    length: Length,
    period: Option<Duration>,
    frames: u64,
    /// When the frame of number 0 would have been due.
    paced_from: Instant,
}

/// How late a frame may be; a loop that was stopped for longer goes on without a burst.
const MAX_LATE: Duration = Duration::from_millis(200);

impl Meter {
    /// Starts measuring; everything that is done once must be behind the loop by now.
    pub fn start(flags: &Flags) -> Self {
        let Flags { length, period, .. } = *flags;
        let started = Instant::now();
        Self { started, cpu: cpu_time(), length, period, frames: 0, paced_from: started }
    }

    /// Whether to send another frame; its number if so. Sleeps until its time when frames have a
    /// rate.
    pub fn next_frame(&mut self) -> Option<u64> {
        if let Some(period) = self.period {
            let due = period.mul_f64(self.frames as f64);
            let elapsed = self.paced_from.elapsed();
            if elapsed > due + MAX_LATE {
                self.paced_from += elapsed - due;
            }
            thread::sleep(due.saturating_sub(elapsed));
        }
        let more = match self.length {
            Length::Time(time) => self.started.elapsed() < time,
            Length::Frames(frames) => self.frames < frames,
        };
        let number = self.frames;
        self.frames += u64::from(more);
        more.then_some(number)
    }

    /// Ends measuring: one line of JSON. `stalls` counts the times that the loop had to wait for
    /// a receiver.
    pub fn finish(self, packets: u64, stalls: u64) -> String {
        line(packets, cpu_time().saturating_sub(self.cpu), stalls)
    }
}

fn line(packets: u64, cpu: Duration, stalls: u64) -> String {
    let cpu_ns = cpu.as_nanos();
    let each = cpu_ns as f64 / packets.max(1) as f64;
    format!(
        "{{\"packets\":{packets},\"cpu_ns\":{cpu_ns},\"ns_per_packet\":{each:.1},\"stalls\":{stalls}}}"
    )
}

/// User and system time of all threads of this process so far.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let part = |number: i64| u64::try_from(number).unwrap_or_default();
    Duration::from_secs(part(time.tv_sec)) + Duration::from_nanos(part(time.tv_nsec))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_json_with_the_mean() {
        let text = line(2000, Duration::from_micros(608), 3);
        assert_eq!(text, r#"{"packets":2000,"cpu_ns":608000,"ns_per_packet":304.0,"stalls":3}"#);
    }

    #[test]
    fn a_loop_that_was_stopped_goes_on_without_a_burst() {
        let period = Some(Duration::from_millis(1));
        let flags = Flags { period, length: Length::Frames(u64::MAX), ..Flags::default() };
        let mut meter = Meter::start(&flags);
        meter.paced_from -= Duration::from_secs(10);
        assert_eq!(meter.next_frame(), Some(0));
        let due = meter.paced_from + Duration::from_millis(1);
        assert!(due + MAX_LATE > Instant::now(), "the next frame is not long overdue");
    }

    #[test]
    fn a_number_of_frames_is_kept() {
        let mut meter = Meter::start(&Flags { length: Length::Frames(2), ..Flags::default() });
        let numbers: Vec<_> = std::iter::from_fn(|| meter.next_frame()).collect();
        assert_eq!(numbers, [0, 1]);
    }
}
