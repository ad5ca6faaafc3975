//! Writes a test card to standard output: `cargo run -p sightline-client --example testcard -- --format mkv | ffplay -`

fn main() -> Result<(), sightline_client::testcard::cli::CliError> {
    sightline_client::testcard::cli_run(std::env::args().skip(1), std::io::stdout().lock())
}
