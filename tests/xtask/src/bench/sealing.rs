//! `cargo xtask bench sealing`: what end-to-end encryption costs the camera and the relay.
//!
//! An open and a sealed camera, each with its viewers, use one server in turns: while one is
//! measured the other is stopped. So what the machine does meanwhile falls on both, and the server
//! is the same process.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use super::child::Running;
use super::figures::Spread;
use super::network::Network;
use super::path::{CAMERA_RATE, Path};
use super::subject::Seen;
use super::{machine, page, server};
use crate::binaries;

/// Name of the bench.
pub(super) const NAME: &str = "sealing";
const COLUMNS: &str = "run,what,path,viewers,round,open,sealed";
const USAGE: &str = "usage: cargo xtask bench sealing [flags]

flags:
  --viewers N    viewers of each camera (200)
  --rounds N     rounds; fewer than 7 are not recorded (9)
  --seconds S    time of each half of a round (4)
";
/// Fewest rounds that are worth recording.
const RECORDED_ROUNDS: usize = 7;
/// How long a fresh or resumed load may take to run evenly.
const SETTLE: Duration = Duration::from_secs(1);
/// Largest share of a processor that sealing may cost the camera of 4 Mbit/s.
const CAMERA_GOAL: f64 = 0.03;
/// How far the relay's cost for sealed frames may be from that for open ones.
const RELAY_GOAL: f64 = 0.05;
/// Nanoseconds of a second.
const SECOND: f64 = 1e9;

/// An open way and its sealed counterpart.
const PAIRS: [(Path, Path); 2] =
    [(Path::Roq, Path::RoqSealed), (Path::WebTransport, Path::WebTransportSealed)];

/// Parsed flags.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Options {
    viewers: usize,
    rounds: usize,
    seconds: f64,
}

/// What a round measured of the open and of the sealed side.
type Figures = (f64, f64);

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// Share of a processor of the camera's process.
    Camera,
    /// Processor time of the server a packet that reached a viewer, ns.
    Relay,
}

/// A row of the table, with the figures of its rounds.
struct Row {
    what: What,
    path: Path,
    viewers: usize,
    rounds: Vec<Figures>,
}

/// Runs the bench.
pub(super) fn run(words: &[String]) -> Result<(), String> {
    let options = parse(words).ok_or(USAGE)?;
    machine::ensure_fit()?;
    binaries::build_workspace()?;
    machine::pin_ourselves()?;
    let network = Network::create(false)?;
    let run = machine::now();
    let mut rows = vec![camera(&network, options)?];
    for (open, sealed) in PAIRS {
        rows.push(relay(&network, options, open, sealed)?);
    }
    let text = table(&rows, &run);
    println!("{text}");
    if options.rounds < RECORDED_ROUNDS {
        println!("not recorded: fewer than {RECORDED_ROUNDS} rounds");
        return Ok(());
    }
    let lines: Vec<_> = rows.iter().flat_map(|row| row.lines(&run)).collect();
    page::record(NAME, COLUMNS, &lines, &text)
}

fn parse(words: &[String]) -> Option<Options> {
    let mut options = Options { viewers: 200, rounds: 9, seconds: 4.0 };
    let mut rest = words.iter();
    while let Some(name) = rest.next() {
        let value = rest.next()?;
        match name.as_str() {
            "--viewers" => options.viewers = value.parse().ok().filter(|number| *number > 0)?,
            "--rounds" => options.rounds = value.parse().ok().filter(|number| *number > 0)?,
            "--seconds" => {
                options.seconds = value.parse().ok().filter(|time| (0.5..=30.0).contains(time))?;
            }
            _ => return None,
        }
    }
    Some(options)
}

/// What the camera's process uses, share of a processor. It has one viewer, which opens nothing, in
/// both cases.
fn camera(network: &Network, options: Options) -> Result<Row, String> {
    println!("== camera");
    let (path, sealed) = PAIRS[0];
    let sides = Sides::start(network, [path, sealed], 1, CAMERA_RATE)?;
    let share = |number: usize| {
        let side = &sides.loads[number];
        let seen = sides.measure(network, number, side.id(), options.seconds)?;
        Ok(seen.used as f64 / SECOND / seen.seconds)
    };
    let rounds = rounds(options, share)?;
    sides.end();
    Ok(Row { what: What::Camera, path, viewers: 1, rounds })
}

/// What the server uses for a packet that reaches a viewer, ns.
fn relay(network: &Network, options: Options, open: Path, sealed: Path) -> Result<Row, String> {
    println!("== relay, {}", open.name());
    let rate = open.frames_per_second(options.viewers);
    let sides = Sides::start(network, [open, sealed], options.viewers, rate)?;
    let cost = |number: usize| {
        let seen = sides.measure(network, number, sides.server.id(), options.seconds)?;
        let path = [open, sealed][number];
        let bytes = path.packet().expect("ways over QUIC know their packets");
        Ok(seen.used as f64 / seen.packets(path.sink(), bytes))
    };
    let rounds = rounds(options, cost)?;
    sides.end();
    Ok(Row { what: What::Relay, path: open, viewers: options.viewers, rounds })
}

/// Measures both sides in each round, every second time the other way round.
fn rounds(
    options: Options,
    measure: impl Fn(usize) -> Result<f64, String>,
) -> Result<Vec<Figures>, String> {
    let mut rounds = Vec::new();
    for number in 1..=options.rounds {
        let (open, sealed) = if number % 2 == 1 {
            let open = measure(0)?;
            (open, measure(1)?)
        } else {
            let sealed = measure(1)?;
            (measure(0)?, sealed)
        };
        println!("   {number}: open {open:.4}, sealed {sealed:.4}");
        rounds.push((open, sealed));
    }
    Ok(rounds)
}

/// One server with an open and a sealed camera.
struct Sides {
    paths: [Path; 2],
    server: Running,
    loads: [Running; 2],
}

impl Sides {
    /// Both are stopped until they are measured.
    fn start(
        network: &Network,
        paths: [Path; 2],
        viewers: usize,
        rate: u32,
    ) -> Result<Self, String> {
        network.disarm()?;
        let data: PathBuf = network.folder().join(format!("sealing-{}-{viewers}", paths[0].name()));
        let server = server::start_server(network, &data)?;
        let open = server::start_load(network, "load-open", &data, paths[0], viewers, rate)?;
        let sealed = server::start_load(network, "load-sealed", &data, paths[1], viewers, rate)?;
        network.arm(paths[0].sink())?;
        open.pause();
        sealed.pause();
        Ok(Self { paths, server, loads: [open, sealed] })
    }

    /// Lets one side run, and looks at a process meanwhile.
    fn measure(
        &self,
        network: &Network,
        number: usize,
        process: u32,
        seconds: f64,
    ) -> Result<Seen, String> {
        let load = &self.loads[number];
        load.resume();
        thread::sleep(SETTLE);
        let time = Duration::from_secs_f64(seconds);
        let seen = Seen::during(network, self.paths[number].sink(), process, time);
        load.pause();
        let seen = seen?;
        if seen.traffic.messages == 0 {
            return Err("no media came; see the logs of server and load".to_owned());
        }
        Ok(seen)
    }

    fn end(mut self) {
        for load in &mut self.loads {
            load.resume();
            load.interrupt();
        }
        self.server.interrupt();
    }
}

impl Row {
    fn is_camera(&self) -> bool {
        self.what == What::Camera
    }

    fn name(&self) -> &'static str {
        if self.is_camera() { "camera" } else { "relay" }
    }

    /// The cost of sealing in each round: of the camera a difference, of the relay a ratio.
    fn costs(&self) -> Spread {
        let cost =
            |(open, sealed): &Figures| if self.is_camera() { sealed - open } else { sealed / open };
        Spread::of(&self.rounds.iter().map(cost).collect::<Vec<_>>())
    }

    fn verdict(&self) -> &'static str {
        let cost = self.costs().median;
        let good = if self.is_camera() { cost <= CAMERA_GOAL } else { cost <= 1.0 + RELAY_GOAL };
        if good { "met" } else { "**missed**" }
    }

    fn lines(&self, run: &str) -> Vec<String> {
        let (what, Self { path, viewers, .. }) = (self.name(), self);
        let line = |(number, (open, sealed)): (usize, &Figures)| {
            let number = number + 1;
            format!("{run},{what},{},{viewers},{number},{open},{sealed}", path.name())
        };
        self.rounds.iter().enumerate().map(line).collect()
    }
}

fn table(rows: &[Row], run: &str) -> String {
    let mut out = format!(
        "An open and a sealed camera of {CAMERA_RATE} frames/s and 4 Mbit/s in turns on one server; min / median / max \
         of the rounds; run {run}.\n\n\
         | what | way | viewers | open | sealed | sealed less open, or over it | goal |\n\
         |---|---|---|---|---|---|---|\n"
    );
    for row in rows {
        let side = |of: fn(&Figures) -> f64| {
            let spread = Spread::of(&row.rounds.iter().map(of).collect::<Vec<_>>());
            row.shown(&spread)
        };
        let (open, sealed) = (side(|round| round.0), side(|round| round.1));
        let costs = row.costs();
        let (costs, goal) = if row.is_camera() {
            (row.shown(&costs), format!("{:.1} %", CAMERA_GOAL * 100.0))
        } else {
            let Spread { min, median, max } = costs;
            (format!("{min:.3} / {median:.3} / {max:.3}"), format!("{:.2}", 1.0 + RELAY_GOAL))
        };
        out.push_str(&format!(
            "| {}, {} | {} | {} | {open} | {sealed} | {costs} | {goal} {} |\n",
            row.name(),
            if row.is_camera() { "share of a processor" } else { "ns a packet" },
            row.path.name(),
            row.viewers,
            row.verdict()
        ));
    }
    out
}

impl Row {
    fn shown(&self, spread: &Spread) -> String {
        let Spread { min, median, max } = *spread;
        if self.is_camera() {
            format!("{:.2} / {:.2} / {:.2} %", min * 100.0, median * 100.0, max * 100.0)
        } else {
            format!("{min:.0} / {median:.0} / {max:.0}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(what: What, rounds: &[Figures]) -> Row {
        Row { what, path: Path::Roq, viewers: 200, rounds: rounds.to_vec() }
    }

    #[test]
    fn the_camera_is_judged_by_the_difference_and_the_relay_by_the_ratio() {
        assert_eq!(row(What::Camera, &[(0.050, 0.079)]).verdict(), "met");
        assert_eq!(row(What::Camera, &[(0.050, 0.081)]).verdict(), "**missed**");
        assert_eq!(row(What::Relay, &[(1000.0, 1049.0)]).verdict(), "met");
        assert_eq!(row(What::Relay, &[(1000.0, 1051.0)]).verdict(), "**missed**");
    }

    #[test]
    fn every_round_is_a_line_of_the_record() {
        let lines = row(What::Relay, &[(1000.0, 1010.5), (900.0, 905.0)]).lines("2031");
        assert_eq!(lines, ["2031,relay,roq,200,1,1000,1010.5", "2031,relay,roq,200,2,900,905"]);
        assert_eq!(lines[0].split(',').count(), COLUMNS.split(',').count());
    }

    #[test]
    fn flags_are_understood_or_refused() {
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let parsed = parse(&words("--viewers 50 --rounds 3 --seconds 2")).unwrap();
        assert_eq!(parsed, Options { viewers: 50, rounds: 3, seconds: 2.0 });
        for line in ["--viewers 0", "--rounds", "--seconds 900", "--loud 1"] {
            assert_eq!(parse(&words(line)), None, "{line}");
        }
    }
}
