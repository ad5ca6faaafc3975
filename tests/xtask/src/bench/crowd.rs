//! `cargo xtask bench crowd`: many viewers of one camera, counted at the viewers. Of ten, eight
//! watch over WebRTC, one over RTSP and one over RoQ; none may get much less than the others.

use std::time::{Duration, Instant};

use super::local::Local;
use super::{machine, page};
use crate::binaries;

/// Name of the bench.
pub(super) const NAME: &str = "crowd";
const COLUMNS: &str = "run,viewers,kbit,fps,seconds,connect_seconds,retried,egress,connected,failed,\
frame_share,least_share,gaps,first_picture_p50_ms,delay_p50_ms,delay_p99_ms";
const USAGE: &str = "usage: cargo xtask bench crowd [flags]

flags:
  --viewers N    viewers of the camera (10000); fewer are shown and not recorded
  --seconds S    how long they stay (60)
  --bitrate R    of the camera (100K)
  --fps N        of the camera (5)
";
/// Viewers of a recorded run.
const RECORDED: usize = 10_000;
/// The least-served viewer's share of the mean, at least.
const LEAST_SHARE: f64 = 0.95;
/// Ways out of ten viewers.
const VIA: &str = "whep,whep,whep,whep,whep,whep,whep,whep,rtsp-tcp,roq";
/// The server allows an address so many requests a second; the crowd comes from several.
const FROM: &str = "127.0.0.2,127.0.0.3,127.0.0.4,127.0.0.5";
/// Longest way in of all, beside the time for each.
const CONNECT_LIMIT: Duration = Duration::from_secs(60);
const CONNECT_LIMIT_EACH: Duration = Duration::from_millis(50);
/// Longest time for the end of a run.
const END_LIMIT: Duration = Duration::from_secs(60);
/// Columns of the load's table that are kept, in their order.
const KEPT: [&str; 9] = [
    "egress",
    "connected",
    "failed",
    "frame_share",
    "least_share",
    "gaps",
    "first_picture_p50_ms",
    "delay_p50_ms",
    "delay_p99_ms",
];

#[derive(Debug, PartialEq)]
struct Options {
    viewers: usize,
    seconds: u64,
    bitrate: String,
    fps: u32,
}

impl Options {
    fn parse(words: &[String]) -> Result<Self, String> {
        let mut options = Self { viewers: RECORDED, seconds: 60, bitrate: "100K".into(), fps: 5 };
        let mut rest = words.iter();
        while let Some(name) = rest.next() {
            let value = rest.next().map_or("", String::as_str);
            options
                .set(name, value)
                .ok_or_else(|| format!("{name} {value} is not understood\n{USAGE}"))?;
        }
        Ok(options)
    }

    fn set(&mut self, name: &str, value: &str) -> Option<()> {
        match name {
            "--viewers" => self.viewers = value.parse().ok().filter(|viewers| *viewers > 0)?,
            "--seconds" => self.seconds = value.parse().ok().filter(|seconds| *seconds > 0)?,
            "--bitrate" => value.clone_into(&mut self.bitrate),
            "--fps" => self.fps = value.parse().ok()?,
            _ => return None,
        }
        Some(())
    }

    fn flags(&self) -> Vec<String> {
        let flags = [
            ("--viewers", self.viewers.to_string()),
            ("--via", VIA.to_owned()),
            ("--from", FROM.to_owned()),
            ("--bitrate", self.bitrate.clone()),
            ("--fps", self.fps.to_string()),
            ("--seconds", self.seconds.to_string()),
            // Loss is in the shares; a run is judged by them.
            ("--max-gaps", u64::MAX.to_string()),
        ];
        let pairs = flags.into_iter().flat_map(|(name, value)| [name.to_owned(), value]);
        pairs.chain(["--json".to_owned()]).collect()
    }
}

/// Runs the bench.
pub(super) fn run(words: &[String]) -> Result<(), String> {
    let options = Options::parse(words)?;
    binaries::build_workspace()?;
    share(&options)
}

/// The short share for the suite of benches.
pub(super) fn short() -> Result<(), String> {
    binaries::build_workspace()?;
    share(&Options { viewers: 300, seconds: 5, bitrate: "100K".into(), fps: 5 })
}

fn share(options: &Options) -> Result<(), String> {
    let run = machine::now();
    let server = Local::start()?;
    let began = Instant::now();
    let mut load = server.load("load", &options.flags())?;
    let viewers = u32::try_from(options.viewers).unwrap_or(u32::MAX);
    let limit = CONNECT_LIMIT + CONNECT_LIMIT_EACH * viewers;
    // However many: those that could not connect are in the report.
    let is_ready = |said: &str| said.lines().any(|line| line.starts_with("ready "));
    load.wait_until("its viewers were connected", limit, is_ready)?;
    let connecting = began.elapsed().as_secs_f64();
    println!("connecting took {connecting:.1} s");
    let said = load.last_words(Duration::from_secs(options.seconds) + END_LIMIT)?;
    server.end();
    let lines = lines(&said)?;
    let retried = retried(&said).ok_or("the load's report does not say what was tried again")?;
    let way_in = format!("{connecting:.1} s, {retried} handshakes tried again");
    let table = table(options, &way_in, &lines, &run);
    println!("{table}");
    if options.viewers >= RECORDED {
        let Options { viewers, seconds, bitrate, fps } = options;
        let head = format!("{run},{viewers},{bitrate},{fps},{seconds},{connecting:.1},{retried}");
        let rows: Vec<String> =
            lines.iter().map(|line| format!("{head},{}", line.join(","))).collect();
        page::record(NAME, COLUMNS, &rows, &table)?;
    }
    judge(&lines)
}

/// The least-served viewer of each way out gets its share of the mean, and nobody failed.
fn judge(lines: &[Vec<String>]) -> Result<(), String> {
    for line in lines {
        let least: f64 = line[4].parse().map_err(|_| format!("{} has no share", line[0]))?;
        if least < LEAST_SHARE {
            return Err(format!(
                "{}: the least-served viewer got {least:.3} of the mean, less than {LEAST_SHARE}",
                line[0]
            ));
        }
        if line[2] != "0" {
            return Err(format!("{}: {} viewers failed", line[0], line[2]));
        }
    }
    Ok(())
}

/// Handshakes that were tried again, of the load's report.
fn retried(said: &str) -> Option<u64> {
    let (_, rest) = said.split_once("\"retried_handshakes\":")?;
    rest.split([',', '}']).next()?.parse().ok()
}

fn table(options: &Options, way_in: &str, lines: &[Vec<String>], run: &str) -> String {
    let Options { viewers, seconds, bitrate, fps } = options;
    let mut out = format!(
        "{viewers} viewers of one camera of {bitrate}bit/s and {fps} frames/s, {seconds} s; \
         connecting took {way_in}; run {run}.\n\n| {} |\n|{}\n",
        KEPT.map(|name| name.replace('_', " ")).join(" | "),
        "---|".repeat(KEPT.len())
    );
    for line in lines {
        out.push_str(&format!("| {} |\n", line.join(" | ")));
    }
    out
}

/// The ways out of the load's report, which is one line of JSON made by our own program: flat
/// objects of numbers and plain words.
fn lines(said: &str) -> Result<Vec<Vec<String>>, String> {
    let report = said.lines().find(|line| line.starts_with('{'));
    let report = report.ok_or("the load printed no report")?;
    let list = report.split_once("\"egress\":[").and_then(|(_, rest)| rest.split_once(']'));
    let (list, _) = list.ok_or("the load's report has no ways out")?;
    let lines = list.split("},{").map(|object| {
        let value = |name: &&str| {
            let (_, rest) = object.split_once(&format!("\"{name}\":"))?;
            Some(rest.split([',', '}']).next()?.trim_matches('"').to_owned())
        };
        KEPT.iter().map(value).collect::<Option<Vec<_>>>()
    });
    lines.collect::<Option<_>>().ok_or_else(|| "the load's report lacks a figure".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = concat!(
        "ready 2\n{\"verdict\":\"pass\",\"egress\":[{\"egress\":\"whep\",\"viewers\":8,",
        "\"connected\":8,\"failed\":0,\"first_picture_p50_ms\":20.5,\"frame_share\":1.0,",
        "\"least_share\":0.94,\"gaps\":3,\"delay_p50_ms\":1.0,\"delay_p99_ms\":9.5},",
        "{\"egress\":\"roq\",\"connected\":1,\"failed\":1,\"first_picture_p50_ms\":2.0,",
        "\"frame_share\":0.9,\"least_share\":1.0,\"gaps\":0,\"delay_p50_ms\":1.0,",
        "\"delay_p99_ms\":2.0}],\"retried_handshakes\":7,\"errors\":{}}\n"
    );

    #[test]
    fn the_report_of_the_load_is_read_and_judged_by_the_least_served() {
        let lines = lines(REPORT).unwrap();
        assert_eq!((retried(REPORT), retried("{}")), (Some(7), None));
        assert_eq!(lines[0], ["whep", "8", "0", "1.0", "0.94", "3", "20.5", "1.0", "9.5"]);
        assert!(judge(&lines).unwrap_err().contains("whep: the least-served"));
        assert!(judge(&lines[1..]).unwrap_err().contains("1 viewers failed"));
        let fair = vec![["whep", "8", "0", "1.0", "0.95"].map(str::to_owned).to_vec()];
        assert_eq!(judge(&fair), Ok(()));
        assert!(super::lines("ready 2\n").is_err());
    }

    #[test]
    fn flags_change_the_crowd_and_nonsense_is_refused() {
        let parse = |line: &str| {
            Options::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        };
        let options = parse("--viewers 300 --seconds 5 --bitrate 200K --fps 10").unwrap();
        assert_eq!((options.viewers, options.seconds, options.fps), (300, 5, 10));
        assert_eq!(parse("").unwrap().viewers, RECORDED);
        assert!(parse("--viewers 0").is_err() && parse("--loud 1").is_err());
        assert_eq!(VIA.split(',').count(), 10);
    }
}
