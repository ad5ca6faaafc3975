//! `cargo xtask bench compare`: what a packet costs our server, and what it costs others, with the
//! same load at the same end of the same cable.
//!
//! Both servers run on the sender's processor with all their viewers connected. In turns one has a
//! live camera and the other none, so that what the machine does meanwhile falls on both.

mod figures;
mod gstreamer;
mod janus;
mod options;
mod rival;

use std::thread;
use std::time::Duration;

use self::figures::Row;
use self::options::Options;
pub(super) use self::options::USAGE;
use self::rival::{Contest, Rival};
use super::machine;
use super::network::Network;
use super::server::Loaded;
use super::subject::{Seen, Subject};
use crate::binaries;

/// Rate of the camera, frames a second.
const FRAMES_PER_SECOND: u32 = 30;
/// How long a resumed load may take to run evenly.
const SETTLE: Duration = Duration::from_secs(1);
/// Fewest rounds that are worth recording.
const RECORDED_ROUNDS: usize = 7;
/// Name of our server in the table.
const OURS: &str = "Sightline";

/// Runs the comparison.
pub(super) fn run(words: &[String]) -> Result<(), String> {
    let options = Options::parse(words)?;
    machine::ensure_fit()?;
    options.contests.iter().try_for_each(|contest| contest.ensure_installed())?;
    binaries::build_workspace()?;
    binaries::build_examples()?;
    machine::pin_ourselves()?;
    let network = Network::create(false)?;
    println!("{}", machine::describe(&network));
    let mut rows = Vec::new();
    for &contest in &options.contests {
        println!("== {} against {}, {} viewers", OURS, contest.rival(), options.viewers);
        let contested = contested(&network, contest, &options)?;
        println!("{}", figures::table(&contested));
        rows.extend(contested);
    }
    if options.rounds < RECORDED_ROUNDS {
        println!("not recorded: fewer than {RECORDED_ROUNDS} rounds");
        return Ok(());
    }
    figures::record(&rows, &machine::describe(&network), &options.command())
}

/// One comparison: both start, then take turns.
fn contested(network: &Network, contest: Contest, options: &Options) -> Result<Vec<Row>, String> {
    network.disarm()?;
    // Ours is the second to start: its camera's session does not outlast a long pause.
    let rival = Rival::start(network, contest, options.viewers)?;
    rival.pause();
    let ours = Loaded::start(network, contest.path(), options.viewers, FRAMES_PER_SECOND)?;
    ours.pause();
    network.arm(contest.path().sink())?;
    let mut entrants = [
        Entrant::new(OURS, "this tree".to_owned(), &ours),
        Entrant::new(contest.rival(), contest.version(), &rival),
    ];
    for entrant in &mut entrants {
        let subject = entrant.subject;
        entrant.packet = in_turn(subject, || packet_bytes(network, contest, subject))?;
        println!("   {}: packets of {:.1} bytes", entrant.name, entrant.packet);
    }
    let started = machine::now();
    let mut rows = Vec::new();
    for round in 1..=options.rounds {
        for entrant in &entrants {
            let watch = || watch(network, contest, entrant.subject, options.seconds);
            let seen = in_turn(entrant.subject, watch)?;
            let row = row(contest, options.viewers, entrant, &seen);
            println!("   {round}: {}", row.line());
            rows.push(Row { run: started.clone(), round, ..row });
        }
        // Every second time the other way round.
        entrants.reverse();
    }
    ours.resume();
    ours.end();
    Ok(rows)
}

/// Who is compared.
struct Entrant<'a> {
    name: &'static str,
    version: String,
    subject: &'a dyn Subject,
    /// Bytes of its packets above UDP or TCP.
    packet: f64,
}

impl<'a> Entrant<'a> {
    fn new(name: &'static str, version: String, subject: &'a dyn Subject) -> Self {
        Self { name, version, subject, packet: 0.0 }
    }
}

fn row(contest: Contest, viewers: usize, entrant: &Entrant<'_>, seen: &Seen) -> Row {
    let packets = seen.packets(contest.path().sink(), entrant.packet);
    let frames = seen.seconds * f64::from(FRAMES_PER_SECOND);
    Row {
        run: String::new(),
        load: contest.path().name().to_owned(),
        server: entrant.name.to_owned(),
        version: entrant.version.clone(),
        viewers,
        round: 0,
        ns: seen.used as f64 / packets,
        packets_per_frame: packets / frames / viewers as f64,
        busy: seen.used as f64 / 1e9 / seen.seconds,
    }
}

/// Lets a load run, does something with it, and stops it.
fn in_turn<T>(
    subject: &dyn Subject,
    action: impl FnOnce() -> Result<T, String>,
) -> Result<T, String> {
    subject.resume();
    thread::sleep(SETTLE);
    let done = action();
    subject.pause();
    done
}

fn watch(
    network: &Network,
    contest: Contest,
    subject: &dyn Subject,
    seconds: f64,
) -> Result<Seen, String> {
    let time = Duration::from_secs_f64(seconds);
    Seen::during(network, contest.path().sink(), subject.process(), time)
}

/// Mean size of a server's packets above UDP or TCP, bytes.
fn packet_bytes(network: &Network, contest: Contest, subject: &dyn Subject) -> Result<f64, String> {
    if let Some(bytes) = contest.path().packet() {
        return Ok(bytes);
    }
    network.cut_in_software(true)?;
    let seen = watch(network, contest, subject, 1.0)?;
    network.cut_in_software(network.software())?;
    if seen.traffic.messages == 0 {
        return Err("no media comes; see the logs of servers and viewers".to_owned());
    }
    Ok(seen.traffic.contents(contest.path().sink()) as f64 / seen.traffic.messages as f64)
}
