//! The report as text.

use std::fmt::Write;

use super::{Line, Report};

impl Report {
    /// The table, the errors and the verdict.
    pub(in crate::load) fn text(&self) -> String {
        let mut out = format!(
            "{:<9} {:>7} {:>17} {:>8} {:>7} {:>7} {:>6} {:>23} {:>8}\n",
            "egress",
            "viewers",
            "first picture ms",
            "frames",
            "share",
            "least",
            "gaps",
            "delay p50/p99/max ms",
            "Mbit/s"
        );
        for line in &self.egress {
            let _ = writeln!(out, "{}", line.text());
        }
        let cameras = &self.cameras;
        let _ = writeln!(
            out,
            "{} cameras: {} frames in {} s, {} dropped, {} skipped, {} reconnects",
            cameras.count,
            cameras.sent,
            self.seconds,
            cameras.dropped,
            cameras.skipped,
            cameras.reconnects
        );
        if self.retried_handshakes > 0 {
            let _ = writeln!(out, "{} handshakes tried again", self.retried_handshakes);
        }
        for (reason, count) in &self.errors {
            let _ = writeln!(out, "{count} x {reason}");
        }
        for named in &self.failures {
            let _ = writeln!(out, "viewer {} ({}): {}", named.viewer, named.egress, named.reason);
        }
        if self.failed > self.failures.len() {
            let _ = writeln!(out, "and {} more", self.failed - self.failures.len());
        }
        out + &self.failure().map_or("PASS".to_owned(), |reasons| format!("FAIL: {reasons}"))
    }
}

impl Line {
    fn text(&self) -> String {
        let head = format!("{:<9} {:>7}", self.egress, self.connected);
        let Some(media) = &self.media else { return head };
        let pair = format!(
            "{}/{}",
            number(media.first_picture_p50_ms),
            number(media.first_picture_p99_ms)
        );
        let delays = format!(
            "{}/{}/{}",
            number(media.delay_p50_ms),
            number(media.delay_p99_ms),
            number(media.delay_max_ms)
        );
        format!(
            "{head} {pair:>17} {:>8} {:>7} {:>7} {:>6} {delays:>23} {:>8.1}",
            media.frames,
            percent(media.frame_share),
            percent(media.least_share),
            media.gaps,
            media.mbit_per_s
        )
    }
}

fn number(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| format!("{value}"))
}

fn percent(share: Option<f64>) -> String {
    share.map_or("-".to_owned(), |share| format!("{:.2}%", share * 100.0))
}
