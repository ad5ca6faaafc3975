//! `cargo xtask bench gate`: what the gate decides in a second on one processor, how long a decision
//! takes, and what an idle control plane keeps of memory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use super::child::Running;
use super::figures::Spread;
use super::{machine, page};
use crate::binaries;

/// Name of the bench.
pub(super) const NAME: &str = "gate";
const COLUMNS: &str = "run,round,decisions_per_second,p50_us,p99_us,longest_us,nothing_p99_us,closed_p99_us,idle_rss_kib";
const USAGE: &str = "usage: cargo xtask bench gate [--rounds N]";
/// Decisions a second by the clock.
const RATE: &str = "2000";
/// What is recorded.
const WHOLE: Load = Load { accounts: "10000", seconds: "5", rate: RATE };
/// What shows only that the bench runs.
const SHORT: Load = Load { accounts: "100", seconds: "1", rate: "100" };
/// Fewest decisions a second.
const MIN_RATE: f64 = 2000.0;
/// Longest p99, microseconds.
const MAX_P99: f64 = 5000.0;
/// Longest p99 of the clock alone, microseconds: on a machine that stalls for longer, the p99 of the
/// decisions is the machine's.
const MAX_NOTHING: f64 = 1000.0;
/// Most memory of an idle control plane, KiB.
const MAX_RSS: f64 = 45.0 * 1024.0;
/// Rounds unless told otherwise, and the fewest that are recorded.
const ROUNDS: usize = 7;
/// Longest that a step may take.
const LIMIT: Duration = Duration::from_secs(120);
/// Time for an idle control plane to settle.
const SETTLE: Duration = Duration::from_secs(3);

/// What is asked of the gate.
struct Load {
    /// Accounts, each with a device.
    accounts: &'static str,
    /// Length of each part of a round.
    seconds: &'static str,
    /// Decisions a second by the clock.
    rate: &'static str,
}

/// One short round whose figures nobody judges.
pub(super) fn short() -> Result<(), String> {
    rounds_of(&SHORT, 1, &machine::now()).map(drop)
}

/// Runs the bench.
pub(super) fn run(words: &[String]) -> Result<(), String> {
    let rounds = parse(words)?;
    let rows = rounds_of(&WHOLE, rounds, &machine::now())?;
    let table = table(&[page::rows(NAME), rows.clone()].concat());
    println!("{table}");
    if rounds < ROUNDS {
        println!("not recorded: fewer than {ROUNDS} rounds");
        return Ok(());
    }
    page::record(NAME, COLUMNS, &rows, &table)
}

/// Rows of so many rounds.
fn rounds_of(load: &Load, rounds: usize, run: &str) -> Result<Vec<String>, String> {
    let program = binaries::build_example("sightline-control-plane", NAME)?;
    let folder = Folder::new()?;
    finish(&program, &["fill", &folder.name(), load.accounts])?;
    let mut rows = Vec::new();
    for round in 1..=rounds {
        let idle = idle_memory(&program, &folder)?;
        let said = finish(&program, &["decide", &folder.name(), load.seconds, load.rate])?;
        let row = Row::read(&said, idle).ok_or_else(|| format!("not understood: {said}"))?;
        println!("{row:?}");
        rows.push(row.csv(run, round));
    }
    Ok(rows)
}

fn parse(words: &[String]) -> Result<usize, String> {
    match words {
        [] => Ok(ROUNDS),
        [flag, value] if flag == "--rounds" => {
            value.parse().ok().filter(|rounds| *rounds > 0).ok_or_else(|| USAGE.to_owned())
        }
        _ => Err(USAGE.to_owned()),
    }
}

/// The program on the processor that is measured.
fn pinned(program: &Path, words: &[&str]) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", machine::SENDER_CPU]).arg(program).args(words);
    command
}

fn finish(program: &Path, words: &[&str]) -> Result<String, String> {
    Running::start(NAME, &mut pinned(program, words))?.finish(LIMIT)
}

/// Resident memory of a control plane that nobody asks, KiB.
fn idle_memory(program: &Path, folder: &Folder) -> Result<u64, String> {
    let mut idle = Running::start("gate-idle", &mut pinned(program, &["idle", &folder.name()]))?;
    idle.wait_until("ready", LIMIT, |said| said.contains("ready"))?;
    thread::sleep(SETTLE);
    // taskset becomes the program, so the id is the program's.
    let path = format!("/proc/{}/status", idle.id());
    let status = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| format!("{path} has no VmRSS"))
}

/// A folder that goes with the run; on the disk, not in memory.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self, String> {
        let path = crate::logs().join(format!("gate-{}", std::process::id()));
        fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self(path))
    }

    fn name(&self) -> String {
        self.0.to_string_lossy().into_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays is only in the way.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// One round.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Row {
    rate: f64,
    p50: f64,
    p99: f64,
    longest: f64,
    nothing_p99: f64,
    closed_p99: f64,
    idle: f64,
}

impl Row {
    /// From what the program said.
    fn read(said: &str, idle: u64) -> Option<Self> {
        let numbers = |word: &str| -> Option<[f64; 4]> {
            let line = said.lines().find_map(|line| line.strip_prefix(word))?;
            let numbers: Option<Vec<f64>> =
                line.split_whitespace().map(|cell| cell.parse().ok()).collect();
            numbers?.try_into().ok()
        };
        let [rate, _, closed_p99, _] = numbers("closed ")?;
        let [_, _, nothing_p99, _] = numbers("nothing ")?;
        let [_, p50, p99, longest] = numbers("open ")?;
        Some(Self { rate, p50, p99, longest, nothing_p99, closed_p99, idle: idle as f64 })
    }

    fn csv(&self, run: &str, round: usize) -> String {
        let Self { rate, p50, p99, longest, nothing_p99, closed_p99, idle } = self;
        format!("{run},{round},{rate},{p50},{p99},{longest},{nothing_p99},{closed_p99},{idle}")
    }

    fn parse(row: &str) -> Option<Self> {
        let cells: Option<Vec<f64>> =
            row.split(',').skip(2).map(|cell| cell.parse().ok()).collect();
        let [rate, p50, p99, longest, nothing_p99, closed_p99, idle] = cells?.try_into().ok()?;
        Some(Self { rate, p50, p99, longest, nothing_p99, closed_p99, idle })
    }
}

/// The newest run.
fn table(rows: &[String]) -> String {
    let run_of = |row: &String| row.split(',').next().unwrap_or_default().to_owned();
    let run = rows.last().map(run_of).unwrap_or_default();
    let newest: Vec<Row> =
        rows.iter().filter(|row| run_of(row) == run).filter_map(|row| Row::parse(row)).collect();
    let over = |part: fn(&Row) -> f64| Spread::of(&newest.iter().map(part).collect::<Vec<_>>());
    let verdict = |met| if met { "met" } else { "**missed**" };
    let (rate, p99, idle) =
        (over(|row| row.rate), over(|row| row.p99), over(|row| row.idle / 1024.0));
    let nothing = over(|row| row.nothing_p99);
    let mut text =
        String::from("| figure | min / median / max | goal | run |\n|---|---|---|---|\n");
    text += &format!(
        "| decisions a second | {rate:.0} | at least {MIN_RATE:.0} {} | {run} |\n",
        verdict(rate.median >= MIN_RATE)
    );
    text +=
        &format!("| p50 at {RATE} a second, us | {:.0} | none | {run} |\n", over(|row| row.p50));
    text += &format!(
        "| p99 at {RATE} a second, us | {p99:.0} | at most {MAX_P99:.0} {} | {run} |\n",
        match p99.median <= MAX_P99 {
            false if nothing.median > MAX_NOTHING => "**void**: the machine stalls",
            met => verdict(met),
        }
    );
    text += &format!("| longest, us | {:.0} | none | {run} |\n", over(|row| row.longest));
    text += &format!(
        "| p99 of nothing at {RATE} a second, us | {nothing:.0} | not void at {MAX_NOTHING:.0} | {run} |\n"
    );
    text += &format!(
        "| p99 of eight callers at full speed, us | {:.0} | none | {run} |\n",
        over(|row| row.closed_p99)
    );
    text += &format!(
        "| idle memory, MiB | {idle:.1} | at most {:.0} {} | {run} |\n",
        MAX_RSS / 1024.0,
        verdict(idle.median * 1024.0 <= MAX_RSS)
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_is_read_kept_and_judged() {
        let said =
            "closed 5788 1300 2524 77435\nnothing 2000 60 110 900\nopen 2000 1781 6499 15938\n";
        let row = Row::read(said, 7240).unwrap();
        assert_eq!((row.rate, row.p99, row.closed_p99), (5788.0, 6499.0, 2524.0));
        assert_eq!(row.nothing_p99, 110.0);
        let kept = row.csv("now", 1);
        assert_eq!(Row::parse(&kept), Some(row));
        assert_eq!(kept.split(',').count(), COLUMNS.split(',').count());
        let better = Row { p99: 800.0, ..row }.csv("later", 1);
        let text = table(&[kept.clone(), better]);
        assert!(text.contains("| 5788 / 5788 / 5788 | at least 2000 met | later |"), "{text}");
        assert!(text.contains("| 800 / 800 / 800 | at most 5000 met | later |"), "{text}");
        assert!(table(&[kept]).contains("at most 5000 **missed**"));
        let stalls = Row { nothing_p99: 1001.0, ..row }.csv("now", 1);
        assert!(table(&[stalls]).contains("at most 5000 **void**"));
        assert_eq!(Row::read("closed 1 2 3\nopen 1 2 3 4\n", 1), None);
    }

    #[test]
    fn flags_are_few() {
        let parsed =
            |line: &str| parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(parsed(""), Ok(ROUNDS));
        assert_eq!(parsed("--rounds 3"), Ok(3));
        assert!(parsed("--rounds 0").is_err() && parsed("--fast").is_err());
    }
}
