//! The project's chores: `cargo xtask test [suite...]`, `cargo xtask bench floor`,
//! `cargo xtask bench compare`, `cargo xtask requirements`, `cargo xtask tidy`.

mod bench;
mod binaries;
mod process;
mod report;
mod requirements;
mod suite;
mod tools;

use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask <command>

commands:
  test [suite...]   run suites and print a table; without names: all but soak, timing and bench
                    suites: lint tidy unit sim fuzz e2e matrix browser api soak timing bench
  bench floor       cost of the server a packet against the least possible (root, nft);
                    writes benches/RESULTS.md; --help shows the flags
  bench memory      memory of an idle viewer and an idle camera
  bench crowd       10 000 viewers of one camera
  bench latency     how long a frame stays inside the server (root, nft)
  bench compare     the same of Janus and of GStreamer's RTSP server, against ours
  requirements      list the requirements proved by the last runs, and the gaps
  tidy              check dependency edges, file sizes and README paths
  tools             install what the suites need
";

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let command = words.next();
    let rest: Vec<String> = words.collect();
    let result = match command.as_deref() {
        Some("test") => suite::run(&rest),
        Some("bench") => bench::run(&rest),
        Some("tidy") => suite::run(&["tidy".to_owned()]),
        Some("requirements") => requirements::run(),
        Some("tools") => tools::ensure_all(),
        _ => Err(USAGE.to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

/// The workspace's folder.
fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).map_or(here.clone(), PathBuf::from)
}

/// Cargo's output folder.
fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Where suites leave their output.
fn logs() -> PathBuf {
    target().join("xtask").join("logs")
}
