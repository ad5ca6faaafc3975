//! `cargo xtask bench NAME`. The one whose name is `floor` is here, the others are in their files:
//! what the whole server costs a packet, against a loop that does the least that any server must do
//! for the same bytes (`benches/floor`).
//!
//! Both send from the same processor through the same cable to the same sink, in turns, so that
//! what the machine does meanwhile falls on both. `benches/RESULTS.md` says what the figures mean.

mod bare;
mod child;
mod compare;
mod crowd;
mod figures;
mod gate;
mod latency;
mod local;
mod machine;
mod memory;
mod network;
mod options;
mod page;
mod path;
mod plot;
mod procfs;
mod results;
mod rounds;
mod sealing;
mod server;
mod subject;

use crate::binaries;
use bare::Bare;
use figures::Spread;
use network::Network;
use options::Options;
use path::Path;

/// Dearest that a bare loop may be, as a share of a loop with one system call a packet.
const MAX_SHARE: f64 = 0.30;
/// Fewest rounds that are worth recording.
const RECORDED_ROUNDS: usize = 7;

/// Runs a bench by name.
pub(crate) fn run(words: &[String]) -> Result<(), String> {
    match words.split_first() {
        Some((name, rest)) if name == "floor" => floor(&Options::parse(rest)?),
        Some((name, rest)) if name == "memory" => memory::run(rest),
        Some((name, rest)) if name == "crowd" => crowd::run(rest),
        Some((name, rest)) if name == "latency" => latency::run(rest),
        Some((name, rest)) if name == "compare" => compare::run(rest),
        Some((name, rest)) if name == "gate" => gate::run(rest),
        Some((name, rest)) if name == "sealing" => sealing::run(rest),
        _ => Err(format!("{}\n{}", options::USAGE, compare::USAGE)),
    }
}

/// The share of `bench crowd` that the suite of benches runs.
pub(crate) fn short_crowd() -> Result<(), String> {
    crowd::short()
}

/// The share of `bench gate` that the suite of benches runs.
pub(crate) fn short_gate() -> Result<(), String> {
    gate::short()
}

fn floor(options: &Options) -> Result<(), String> {
    machine::ensure_fit()?;
    binaries::build_workspace()?;
    Bare::ensure_built(&options.paths)?;
    machine::pin_ourselves()?;
    let network = Network::create(options.software)?;
    println!("{}", machine::describe(&network));
    let share = check_measure(&network, options)?;
    if options.bare_only {
        return print_bare(&network, options);
    }
    let mut recorded = Vec::new();
    for &path in &options.paths {
        for &viewers in &options.viewers {
            println!("== {}, {viewers} viewers", path.name());
            let rate = options.rate(path, viewers);
            let case = rounds::Case { path, viewers, rate, share };
            let rounds = rounds::run(&network, options, &case)?;
            println!("{}", results::table(&rounds));
            recorded.extend(rounds);
        }
    }
    if options.rounds < RECORDED_ROUNDS {
        println!("not recorded: fewer than {RECORDED_ROUNDS} rounds");
        return Ok(());
    }
    results::record(&recorded, &machine::describe(&network), &options.command())
}

/// A bare loop that is not far cheaper than the usual way to send is no measure: the run is void.
/// Where the kernel cuts segments in software the limit cannot be met and is only shown.
fn check_measure(network: &Network, options: &Options) -> Result<f64, String> {
    network.arm(Path::Webrtc.sink())?;
    let (mut lean, mut usual) = (Vec::new(), Vec::new());
    for _ in 0..RECORDED_ROUNDS {
        lean.push(Bare::measure().run(network, options.seconds / 2.0)?.ns_per_packet);
        usual.push(Bare::measure().per_packet().run(network, options.seconds / 2.0)?.ns_per_packet);
    }
    let shares: Vec<f64> = lean.iter().zip(&usual).map(|(lean, usual)| lean / usual).collect();
    let (lean, usual, share) = (Spread::of(&lean), Spread::of(&usual), Spread::of(&shares));
    println!("SRTP loop {lean} ns a packet; one call a packet {usual} ns; share {share:.2}");
    if share.median > MAX_SHARE && !options.software {
        return Err(format!(
            "void: the bare loop costs {:.2} of a loop with one call a packet, more than \
             {MAX_SHARE:.2}; run again when the machine is quiet",
            share.median
        ));
    }
    Ok(share.median)
}

/// `--bare`: the loops alone.
fn print_bare(network: &Network, options: &Options) -> Result<(), String> {
    for &path in &options.paths {
        network.arm(path.sink())?;
        for &viewers in &options.viewers {
            let bare = Bare::of(path, viewers);
            let rate = options.rate(path, viewers);
            let paced = (format!("{rate} frames/s"), bare.paced(rate));
            for (speed, bare) in [("full speed".to_owned(), bare), paced] {
                let mut figures = Vec::new();
                let mut stalls = 0;
                for _ in 0..options.rounds {
                    let cost = bare.run(network, options.seconds)?;
                    figures.push(cost.ns_per_packet);
                    stalls += cost.stalls;
                }
                let (name, spread) = (path.name(), Spread::of(&figures));
                println!(
                    "{name:<9} {viewers:>6} viewers  {speed:<11}  {spread} ns  {stalls} stalls"
                );
            }
        }
    }
    Ok(())
}
