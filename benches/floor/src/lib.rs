//! What the bare loops share: their flags, their clock, the RTP header and the batched send.
//!
//! A bare loop does the least that any server must do to bring the same bytes to the same
//! viewers, and nothing else: no handshake, no feedback, no timers. It is the measure that
//! `cargo xtask bench floor` divides the server's cost by, so it must not use any crate of the
//! server but its cipher: SHA-1 in lanes stands beside the crypto library here as it does there.
//! Each loop is one file in `src/bin`.

pub mod flags;
pub mod meter;
pub mod rtp;
pub mod udp;

use std::io;
use std::process::ExitCode;

use flags::Flags;

/// The `main` of a loop: flags in, its line on standard output, errors on standard error.
pub fn main(run: fn(&Flags) -> io::Result<String>) -> ExitCode {
    let result = Flags::from_env()
        .and_then(|flags| run(&flags).map_err(|error| format!("cannot send: {error}")));
    match result {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
