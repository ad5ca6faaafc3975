//! Sightline: a camera cloud whose relay cannot look. One binary does everything; see `cli.rs`.

mod admin;
mod app;
mod camera;
mod cli;
mod config;
mod data_dir;
mod demo;
mod files;
mod http;
mod load;
mod openapi;
mod picture;
mod pki;
mod serve;
mod share;
mod telemetry;
mod viewers;
mod watch;

/// Session set-up allocates in many small sizes on several threads; mimalloc keeps that from
/// fragmenting over months of uptime. Without transparent huge pages: of many small sessions on
/// several threads they keep ten times the memory in use. Version 2: after a crowd of cameras has
/// connected, version 3 keeps more of what only connecting needed.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .expect("no other provider is installed this early");
    cli::run()
}
