//! `sightline admin simulate`: rehearsals on simulated time, without any data.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use sightline_control_plane::sms::budget::Policy;
use sightline_control_plane::sms::pumping::{Attacker, COMMITTED, Trace, report, run as rehearse};

/// What can be rehearsed.
#[derive(Subcommand)]
pub(crate) enum SimulateCommand {
    /// SMS pumping: ten thousand numbers of one prefix against the default limits
    SmsPumping(SmsPumping),
}

/// Arguments of `sms-pumping`.
#[derive(Args)]
pub(crate) struct SmsPumping {
    /// Trace to run instead of the one in the binary: a line a wish, `seconds class number terminal
    /// network answer`
    #[arg(long)]
    trace: Option<PathBuf>,
    /// Make a trace from a seed instead
    #[arg(long, conflicts_with = "trace")]
    seed: Option<u64>,
    /// Write the trace of the seed here and end; without a seed, the one that is committed
    #[arg(long, conflicts_with = "trace")]
    write_trace: Option<PathBuf>,
}

/// Runs the rehearsal. A missed bar is an error.
pub(crate) fn run(command: &SimulateCommand) -> Result<(), String> {
    let SimulateCommand::SmsPumping(args) = command;
    if let Some(path) = &args.write_trace {
        let trace = args.seed.map_or_else(Trace::committed, Trace::generate);
        return std::fs::write(path, trace.to_string())
            .map_err(|error| format!("{}: {error}", path.display()));
    }
    let trace = match (&args.trace, args.seed) {
        (Some(path), _) => std::fs::read_to_string(path)
            .map_err(|error| format!("{}: {error}", path.display()))?
            .parse::<Trace>()
            .map_err(|error| format!("{}: {error}", path.display()))?,
        (None, Some(seed)) => Trace::generate(seed),
        (None, None) => {
            COMMITTED.parse().map_err(|error| format!("the built-in trace: {error}"))?
        }
    };
    let mut out = std::io::stdout().lock();
    let mut missed = false;
    for attacker in [Attacker::Idle, Attacker::Working] {
        let outcome = rehearse(&trace, &Policy::default(), attacker);
        missed |= !outcome.within_bars();
        writeln!(out, "{}", report(attacker, &outcome)).map_err(|error| error.to_string())?;
    }
    if missed { Err("a bar is missed".into()) } else { Ok(()) }
}
