//! `cargo xtask bench memory`: what an idle viewer and an idle camera keep of the server's memory.
//!
//! They connect in batches that stay, and the least-squares slope over all batches counts: what
//! the server needs anyway, and what its first sessions warm up, is in the base.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::Duration;

use super::child::Running;
use super::local::{Local, await_ready};
use super::{machine, page};
use crate::binaries;

/// Name of the bench.
pub(super) const NAME: &str = "memory";
const COLUMNS: &str = "run,kind,connected,private_dirty_kib,pss_kib,tcp_kernel_kib,files";
const USAGE: &str =
    "usage: cargo xtask bench memory [--kind webrtc|rtsp-tcp|roq|webtransport|camera]...";
/// Batches, and how many connect in each.
const BATCHES: [&str; 4] = ["load-1", "load-2", "load-3", "load-4"];
const BATCH: usize = 250;
/// Longest time for a batch to connect.
const CONNECT_LIMIT: Duration = Duration::from_secs(120);
/// Time for the server to close what only connecting needed, HTTP connections above all, which stay
/// for 10 to 20 s after their last request, and for the allocator to give the memory back.
const SETTLE: Duration = Duration::from_secs(25);

/// What connects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Webrtc,
    RtspTcp,
    Roq,
    WebTransport,
    Camera,
}

impl Kind {
    const ALL: [Self; 5] =
        [Self::Webrtc, Self::RtspTcp, Self::Roq, Self::WebTransport, Self::Camera];

    fn name(self) -> &'static str {
        match self {
            Self::Webrtc => "webrtc",
            Self::RtspTcp => "rtsp-tcp",
            Self::Roq => "roq",
            Self::WebTransport => "webtransport",
            Self::Camera => "camera",
        }
    }

    /// Most memory that one may keep, KiB.
    fn goal(self) -> f64 {
        match self {
            Self::Webrtc | Self::RtspTcp => 8.0,
            Self::Roq | Self::WebTransport => 48.0,
            Self::Camera => 64.0,
        }
    }

    /// A camera of one small frame a second keeps its viewers as good as idle.
    fn flags(self) -> Vec<String> {
        let (cameras, viewers, via) = match self {
            Self::Webrtc => (1, BATCH, "whep"),
            Self::RtspTcp => (1, BATCH, "rtsp-tcp"),
            Self::Roq => (1, BATCH, "roq"),
            Self::WebTransport => (1, BATCH, "webtransport"),
            Self::Camera => (BATCH, 0, "whep"),
        };
        let flags = [
            ("--cameras", cameras.to_string()),
            ("--viewers", viewers.to_string()),
            ("--via", via.to_owned()),
            ("--fps", "1".to_owned()),
            ("--bitrate", "16K".to_owned()),
        ];
        let pairs = flags.into_iter().flat_map(|(name, value)| [name.to_owned(), value]);
        pairs.chain(["--scripted".to_owned()]).collect()
    }

    /// Viewers that a load says are connected.
    fn ready(self) -> usize {
        if self == Self::Camera { 0 } else { BATCH }
    }
}

/// The server's memory at one moment, KiB.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Look {
    connected: usize,
    dirty: u64,
    pss: u64,
    tcp: u64,
    files: usize,
}

/// Runs the bench.
pub(super) fn run(words: &[String]) -> Result<(), String> {
    let kinds = parse(words)?;
    binaries::build_workspace()?;
    let run = machine::now();
    let mut rows = Vec::new();
    for kind in kinds {
        for look in measure(kind)? {
            rows.push(look.row(&run, kind));
        }
    }
    let all = [page::rows(NAME), rows.clone()].concat();
    let table = table(&all);
    println!("{table}");
    page::record(NAME, COLUMNS, &rows, &table)
}

/// The newest run of each kind.
fn table(rows: &[String]) -> String {
    let mut table = String::from(
        "| kind | KiB each, slope over 1000 | goal | of each batch | kernel TCP KiB each | run |\n|---|---|---|---|---|---|\n",
    );
    for kind in Kind::ALL {
        let of_kind = |row: &&String| row.split(',').nth(1) == Some(kind.name());
        let run_of = |row: &String| row.split(',').next().unwrap_or_default().to_owned();
        let Some(run) = rows.iter().rfind(of_kind).map(run_of) else { continue };
        let newest = rows.iter().filter(of_kind).filter(|row| run_of(row) == run);
        let looks: Vec<Look> = newest.filter_map(|row| Look::parse(row)).collect();
        if looks.len() > 2 {
            table.push_str(&row(kind, &looks, &run));
        }
    }
    table
}

impl Look {
    /// A row of the table of all runs.
    fn row(&self, run: &str, kind: Kind) -> String {
        let Self { connected, dirty, pss, tcp, files } = self;
        format!("{run},{},{connected},{dirty},{pss},{tcp},{files}", kind.name())
    }

    fn parse(row: &str) -> Option<Self> {
        let mut cells = row.split(',').skip(2).map(|cell| cell.parse::<u64>().ok());
        let mut next = || cells.next().flatten();
        Some(Self {
            connected: next()? as usize,
            dirty: next()?,
            pss: next()?,
            tcp: next()?,
            files: next()? as usize,
        })
    }
}

fn parse(words: &[String]) -> Result<Vec<Kind>, String> {
    let mut kinds = Vec::new();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let value = rest.next().filter(|_| word == "--kind").ok_or(USAGE)?;
        kinds.push(Kind::ALL.into_iter().find(|kind| kind.name() == value).ok_or(USAGE)?);
    }
    if kinds.is_empty() {
        kinds = Kind::ALL.to_vec();
    }
    Ok(kinds)
}

fn measure(kind: Kind) -> Result<Vec<Look>, String> {
    write_back()?;
    let server = Local::start()?;
    thread::sleep(SETTLE);
    let mut looks = vec![look(server.id(), 0)?];
    let mut loads: Vec<Running> = Vec::new();
    for (number, name) in BATCHES.into_iter().enumerate() {
        let mut load = server.load(name, &kind.flags())?;
        await_ready(&mut load, kind.ready(), CONNECT_LIMIT)?;
        loads.push(load);
        thread::sleep(SETTLE);
        let look = look(server.id(), (number + 1) * BATCH)?;
        println!("{}: {look:?}", kind.name());
        looks.push(look);
    }
    for load in &mut loads {
        load.interrupt();
    }
    server.end();
    Ok(looks)
}

/// Writes what was just built to the disk. Until then the kernel counts the program's own pages as
/// dirty, and that they become clean during the run would hide as much growth.
fn write_back() -> Result<(), String> {
    let status = Command::new("sync").status().map_err(|error| format!("sync: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("sync failed with {status}")) }
}

fn row(kind: Kind, looks: &[Look], run: &str) -> String {
    // The first batch warms the server up and is left to the base.
    let slope = slope(&looks[1..], |look| look.dirty as f64);
    let kernel = self::slope(&looks[1..], |look| look.tcp as f64);
    let steps = looks.windows(2).map(|pair| {
        let grown = pair[1].dirty as f64 - pair[0].dirty as f64;
        format!("{:.1}", grown / BATCH as f64)
    });
    let steps: Vec<String> = steps.collect();
    let verdict = if slope <= kind.goal() { "met" } else { "**missed**" };
    format!(
        "| {} | {slope:.1} | {} {verdict} | {} | {kernel:.1} | {run} |\n",
        kind.name(),
        kind.goal(),
        steps.join(" / "),
    )
}

/// Least-squares growth for each that is connected.
fn slope(looks: &[Look], part: impl Fn(&Look) -> f64) -> f64 {
    let count = looks.len() as f64;
    let mean_x = looks.iter().map(|look| look.connected as f64).sum::<f64>() / count;
    let mean_y = looks.iter().map(&part).sum::<f64>() / count;
    let (mut over, mut under) = (0.0, 0.0);
    for look in looks {
        let x = look.connected as f64 - mean_x;
        over += x * (part(look) - mean_y);
        under += x * x;
    }
    over / under
}

fn look(process: u32, connected: usize) -> Result<Look, String> {
    let read = |path: &str| {
        fs::read_to_string(path).map_err(|error| format!("cannot read {path}: {error}"))
    };
    let smaps = read(&format!("/proc/{process}/smaps_rollup"))?;
    let field =
        |name: &str| kibibytes(&smaps, name).ok_or_else(|| format!("smaps_rollup has no {name}"));
    let files = fs::read_dir(format!("/proc/{process}/fd")).map_or(0, Iterator::count);
    let tcp = tcp_pages(&read("/proc/net/sockstat")?).unwrap_or_default() * 4;
    Ok(Look { connected, dirty: field("Private_Dirty:")?, pss: field("Pss:")?, tcp, files })
}

/// A field of smaps_rollup (proc(5)).
fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Pages that TCP buffers of the whole machine hold: `mem` of /proc/net/sockstat.
fn tcp_pages(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("TCP:"))?;
    let mut words = line.split_whitespace().skip_while(|word| *word != "mem");
    words.nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope_is_that_of_the_line_and_the_base_does_not_count() {
        let at = |connected, dirty| Look { connected, dirty, pss: 0, tcp: 0, files: 0 };
        let looks = [at(250, 50_000), at(500, 52_000), at(750, 54_000), at(1000, 56_000)];
        assert!((slope(&looks, |look| look.dirty as f64) - 8.0).abs() < 1e-9);
        let all = [&[at(0, 9_000)], &looks[..]].concat();
        let text = row(Kind::Webrtc, &all, "now");
        assert!(text.starts_with("| webrtc | 8.0 | 8 met | 164.0 / 8.0 / 8.0 / 8.0 |"), "{text}");
        assert!(row(Kind::Roq, &all, "now").contains("48 met"));
    }

    #[test]
    fn the_table_shows_the_newest_run_of_each_kind() {
        let at = |connected, dirty| Look { connected, dirty, pss: 1, tcp: 0, files: 2 };
        let run = |name: &str, kind, step: u64| {
            let look = |batch: u64| at(250 * batch as usize, 250 * step * batch).row(name, kind);
            (0..5).map(look).collect::<Vec<_>>()
        };
        let rows = [run("1", Kind::Roq, 90), run("1", Kind::Webrtc, 9), run("2", Kind::Roq, 30)];
        let text = table(&rows.concat());
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(lines[0].starts_with("| webrtc | 9.0 | 8 **missed** |"), "{text}");
        assert!(lines[1].starts_with("| roq | 30.0 | 48 met |"), "{text}");
    }

    #[test]
    fn the_files_of_the_system_are_read() {
        let smaps = "55-7f ---p 00 00:00 0 [rollup]\nPss:   20 kB\nPrivate_Dirty:      4276 kB\n";
        assert_eq!(kibibytes(smaps, "Private_Dirty:"), Some(4276));
        let stat =
            "sockets: used 100\nTCP: inuse 5 orphan 0 tw 0 alloc 7 mem 42\nUDP: inuse 1 mem 0\n";
        assert_eq!(tcp_pages(stat), Some(42));
        assert!(look(std::process::id(), 0).unwrap().dirty > 0);
    }

    #[test]
    fn kinds_are_chosen_by_name() {
        let parsed = |line: &str| parse(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(parse(&[]).unwrap(), Kind::ALL);
        assert_eq!(parsed("--kind roq --kind camera").unwrap(), [Kind::Roq, Kind::Camera]);
        assert!(parsed("--kind pigeon").is_err() && parsed("roq").is_err());
        assert!(Kind::Camera.flags().join(" ").starts_with("--cameras 250 --viewers 0"));
    }
}
