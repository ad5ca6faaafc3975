//! `cargo xtask bench latency`: how long a frame stays inside the server while it uses about half
//! of its processor. The server itself measures, always; the bench reads its metrics before and
//! after, so that connecting does not count.

use std::path::Path as File;
use std::thread;
use std::time::Duration;

use super::network::{Network, Side};
use super::path::{CAMERA_RATE, Path};
use super::server::Loaded;
use super::{machine, page};
use crate::binaries;

/// Name of the bench.
pub(super) const NAME: &str = "latency";
const COLUMNS: &str = "run,path,viewers,busy,frames,first_p50_ms,first_p99_ms,viewer_frames,viewer_p50_ms,viewer_p99_ms";
const USAGE: &str = "usage: cargo xtask bench latency [flags]

flags:
  --viewers N    WebRTC viewers of one camera of 4 Mbit/s, so that the server uses about half of
                 its processor (1700)
  --seconds S    time to measure (20)
";
/// The goal, ms.
const GOAL: f64 = 5.0;
/// Shares of its processor between which the server is at about half.
const HALF: std::ops::RangeInclusive<f64> = 0.40..=0.65;
/// How long a fresh load may take to run evenly.
const SETTLE: Duration = Duration::from_secs(4);

/// Runs the bench.
pub(super) fn run(words: &[String]) -> Result<(), String> {
    let (viewers, seconds) = parse(words).ok_or(USAGE)?;
    machine::ensure_fit()?;
    binaries::build_workspace()?;
    machine::pin_ourselves()?;
    let network = Network::create(false)?;
    let run = machine::now();
    network.disarm()?;
    let loaded = Loaded::start(&network, Path::Webrtc, viewers, CAMERA_RATE)?;
    network.arm(Path::Webrtc.sink())?;
    thread::sleep(SETTLE);
    let before = metrics(&network)?;
    let span = loaded.watch(Duration::from_secs(seconds))?;
    let after = metrics(&network)?;
    loaded.end();
    let busy = span.used as f64 / 1e9 / span.seconds;
    let delays =
        |name| Buckets::read(&after, name).map(|now| now.since(&Buckets::read(&before, name)));
    let lacking = "the server's metrics lack its delays";
    let first = delays("sightline_relay_first_delay_seconds").ok_or(lacking)?;
    let every = delays("sightline_relay_delay_seconds").ok_or(lacking)?;
    let text = table(viewers, busy, &first, &every, &run)?;
    println!("{text}");
    if !HALF.contains(&busy) {
        println!(
            "not recorded: the server used {:.0} % of its processor; change --viewers",
            busy * 100.0
        );
        return Ok(());
    }
    let figures =
        [first.quantile(0.5), first.quantile(0.99), every.quantile(0.5), every.quantile(0.99)];
    let [a, b, c, d] = figures.map(|figure| figure.unwrap_or(f64::INFINITY) * 1e3);
    let row = format!(
        "{run},webrtc,{viewers},{busy:.2},{},{a},{b},{},{c},{d}",
        first.count(),
        every.count()
    );
    page::record(NAME, COLUMNS, &[row], &text)
}

fn parse(words: &[String]) -> Option<(usize, u64)> {
    let (mut viewers, mut seconds) = (1700, 20);
    let mut rest = words.iter();
    while let Some(name) = rest.next() {
        let value = rest.next()?;
        match name.as_str() {
            "--viewers" => viewers = value.parse().ok().filter(|viewers| *viewers > 0)?,
            "--seconds" => seconds = value.parse().ok().filter(|seconds| *seconds > 0)?,
            _ => return None,
        }
    }
    Some((viewers, seconds))
}

fn table(
    viewers: usize,
    busy: f64,
    first: &Buckets,
    every: &Buckets,
    run: &str,
) -> Result<String, String> {
    if first.count() == 0 {
        return Err("the server counted no frame".to_owned());
    }
    let mut out = format!(
        "{viewers} WebRTC viewers of one camera of 4 Mbit/s and {CAMERA_RATE} frames/s; the server used {:.0} % \
         of its processor; run {run}.\n\n| from a frame's first packet in to | p50 at most, ms | p99 at most, ms | goal | measured |\n|---|---|---|---|---|\n",
        busy * 100.0
    );
    let cell = |buckets: &Buckets, share| match buckets.quantile(share) {
        Some(seconds) => format!("{:.2}", seconds * 1e3),
        None => "more than 1000".to_owned(),
    };
    let p99 = first.quantile(0.99).unwrap_or(f64::INFINITY) * 1e3;
    let verdict = if p99 <= GOAL { "met" } else { "**missed**" };
    out.push_str(&format!(
        "| its first packet out | {} | {} | {GOAL} {verdict} | {} frames |\n",
        cell(first, 0.5),
        cell(first, 0.99),
        first.count()
    ));
    out.push_str(&format!(
        "| its packets for a viewer out, any viewer | {} | {} | none | {} frames and viewers |\n",
        cell(every, 0.5),
        cell(every, 0.99),
        every.count()
    ));
    Ok(out)
}

/// The server's metrics, which only its own end of the cable reaches.
fn metrics(network: &Network) -> Result<String, String> {
    let script = "exec 3<>/dev/tcp/127.0.0.1/9464 && \
                  printf 'GET /metrics HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\nConnection: close\\r\\n\\r\\n' >&3 && cat <&3";
    let output = network.command(Side::Server, File::new("bash")).args(["-c", script]).output();
    let output = output.map_err(|error| format!("cannot read the server's metrics: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A histogram: upper bounds in seconds with the number of values in each bucket.
#[derive(Debug, PartialEq)]
struct Buckets(Vec<(f64, u64)>);

impl Buckets {
    /// Reads one from the text format of Prometheus, where each bucket contains those below it.
    fn read(text: &str, name: &str) -> Option<Self> {
        let head = format!("{name}_bucket{{le=\"");
        let bucket = |line: &str| {
            let (bound, count) = line.strip_prefix(&head)?.split_once("\"} ")?;
            let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().ok()? };
            Some((bound, count.trim().parse::<u64>().ok()?))
        };
        let mut buckets: Vec<(f64, u64)> = text.lines().filter_map(bucket).collect();
        for at in (1..buckets.len()).rev() {
            buckets[at].1 = buckets[at].1.saturating_sub(buckets[at - 1].1);
        }
        (!buckets.is_empty()).then_some(Self(buckets))
    }

    fn since(mut self, earlier: &Option<Self>) -> Self {
        if let Some(earlier) = earlier {
            for (now, before) in self.0.iter_mut().zip(&earlier.0) {
                now.1 = now.1.saturating_sub(before.1);
            }
        }
        self
    }

    fn count(&self) -> u64 {
        self.0.iter().map(|(_, count)| count).sum()
    }

    /// The upper bound of the bucket that this share of all values stays at or below; `None`: of
    /// the last, which has none.
    fn quantile(&self, share: f64) -> Option<f64> {
        let wanted = (self.count() as f64 * share).ceil() as u64;
        let mut seen = 0;
        let bucket = self.0.iter().find(|(_, count)| {
            seen += count;
            seen >= wanted
        });
        bucket.map(|(bound, _)| *bound).filter(|bound| bound.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_upper_bounds_of_what_came_since() {
        let text = |counts: [u64; 3]| {
            let bounds = ["0.001", "0.005", "+Inf"];
            let lines = bounds.iter().zip(counts);
            let lines = lines.map(|(bound, count)| format!("d_bucket{{le=\"{bound}\"}} {count}\n"));
            lines.collect::<String>()
        };
        let before = Buckets::read(&text([1, 1, 5]), "d");
        let since = Buckets::read(&text([51, 100, 105]), "d").unwrap().since(&before);
        assert_eq!(since.0.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [50, 49, 1]);
        assert_eq!((since.count(), since.quantile(0.5)), (100, Some(0.001)));
        assert_eq!((since.quantile(0.99), since.quantile(1.0)), (Some(0.005), None));
        assert!(
            table(10, 0.5, &since, &since, "now")
                .unwrap()
                .contains("| 1.00 | 5.00 | 5 met | 100 frames |")
        );
        assert_eq!(Buckets::read("other 1\n", "d"), None);
    }

    #[test]
    fn flags_are_read() {
        let parsed =
            |line: &str| parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(parsed(""), Some((1700, 20)));
        assert_eq!(parsed("--viewers 9 --seconds 3"), Some((9, 3)));
        assert!(parsed("--viewers 0").is_none() && parsed("--loud 3").is_none());
    }
}
