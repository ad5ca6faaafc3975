//! Server and bare loop in turns.

use std::thread;
use std::time::Duration;

use super::bare::Bare;
use super::figures::Round;
use super::machine;
use super::network::Network;
use super::options::Options;
use super::path::Path;
use super::server::{Loaded, Span};
use super::subject::Subject;

/// How long a fresh or resumed load may take to run evenly.
const SETTLE: Duration = Duration::from_secs(1);
/// How long the server's packets are counted one by one, to know their size.
const SIZING: Duration = Duration::from_secs(1);
/// Share of a processor above which the server cannot keep up.
const SATURATED: f64 = 0.95;

/// Share of messages that viewers may lose unread before a line says so.
const MAX_UNREAD: f64 = 0.001;

/// A row of the result.
pub(super) struct Case {
    pub(super) path: Path,
    pub(super) viewers: usize,
    /// Frames a second.
    pub(super) rate: u32,
    /// Cost of the SRTP loop as a share of one call a packet, in this run.
    pub(super) share: f64,
}

/// Runs a case with a server of its own.
pub(super) fn run(network: &Network, options: &Options, case: &Case) -> Result<Vec<Round>, String> {
    network.disarm()?;
    let loaded = Loaded::start(network, case.path, case.viewers, case.rate)?;
    network.arm(case.path.sink())?;
    thread::sleep(SETTLE);
    let packet_bytes = packet_bytes(network, &loaded, case.path)?;
    let time = Duration::from_secs_f64(options.seconds);
    let shape = Shape::of(&loaded.watch(time)?, case, packet_bytes);
    println!("   {:.1} packets a frame of {packet_bytes:.1} bytes", shape.packets_per_frame);
    let bare = Bare::of(case.path, case.viewers)
        .shaped(shape.packets_per_frame.round() as usize, packet_bytes);
    let started = machine::now();
    let mut rounds = Vec::new();
    for number in 1..=options.rounds {
        let turn = turn(network, &loaded, &bare, options, case.rate, number)?;
        let shape = Shape::of(&turn.span, case, packet_bytes);
        let round = round(network, case, &started, number, &turn, &shape);
        println!("   {number}: {}", round.line());
        rounds.push(round);
    }
    loaded.end();
    Ok(rounds)
}

/// What one turn measured.
struct Turn {
    span: Span,
    bare_ns: f64,
    paced_ns: f64,
}

/// One measurement of each; every second time the other way round.
fn turn(
    network: &Network,
    loaded: &Loaded<'_>,
    bare: &Bare,
    options: &Options,
    rate: u32,
    number: usize,
) -> Result<Turn, String> {
    let server = || loaded.watch(Duration::from_secs_f64(options.seconds));
    let floor = || {
        loaded.pause();
        let full = bare.run(network, options.seconds);
        let paced = bare.paced(rate).run(network, options.seconds);
        loaded.resume();
        thread::sleep(SETTLE);
        Ok::<_, String>((full?.ns_per_packet, paced?.ns_per_packet))
    };
    let (span, (bare_ns, paced_ns)) = if number % 2 == 1 {
        let span = server()?;
        (span, floor()?)
    } else {
        let floor = floor()?;
        (server()?, floor)
    };
    Ok(Turn { span, bare_ns, paced_ns })
}

/// Mean size of the server's packets above UDP or TCP, bytes.
fn packet_bytes(network: &Network, loaded: &Loaded<'_>, path: Path) -> Result<f64, String> {
    if let Some(bytes) = path.packet() {
        return Ok(bytes);
    }
    network.cut_in_software(true)?;
    let span = loaded.watch(SIZING)?;
    network.cut_in_software(network.software())?;
    if span.traffic.messages == 0 {
        return Err("the server sends no media; see the logs of server and load".to_owned());
    }
    Ok(span.traffic.contents(path.sink()) as f64 / span.traffic.messages as f64)
}

/// What the viewers got.
struct Shape {
    packets: f64,
    frames: f64,
    packets_per_frame: f64,
}

impl Shape {
    fn of(span: &Span, case: &Case, packet_bytes: f64) -> Self {
        let packets = span.traffic.contents(case.path.sink()) as f64 / packet_bytes;
        let frames = span.seconds * f64::from(case.rate);
        Self { packets, frames, packets_per_frame: packets / frames / case.viewers as f64 }
    }
}

fn round(
    network: &Network,
    case: &Case,
    started: &str,
    number: usize,
    turn: &Turn,
    shape: &Shape,
) -> Round {
    let Turn { span, bare_ns, paced_ns } = turn;
    let busy = span.used as f64 / 1e9 / span.seconds;
    if busy > SATURATED {
        println!("   the server has no processor time left: it sends less than it should");
    }
    // Where nobody reads it is control packets that sockets have no room for.
    let unread = if case.path.is_read() { span.unread } else { 0 };
    let unread = unread as f64 / span.traffic.messages.max(1) as f64;
    if unread > MAX_UNREAD {
        println!("   the viewers lose {:.1} %: their processor cannot keep up", unread * 100.0);
    }
    Round {
        run: started.to_owned(),
        path: case.path,
        viewers: case.viewers,
        software: network.software(),
        number,
        packets_per_frame: shape.packets_per_frame,
        sound_per_frame: span.sound as f64 / shape.frames / case.viewers as f64,
        server_ns: span.used as f64 / (shape.packets + span.sound as f64).max(1.0),
        bare_ns: *bare_ns,
        paced_ns: *paced_ns,
        wakes_per_frame: span.sleeps as f64 / shape.frames,
        busy,
        share: case.share,
        frames_per_second: case.rate,
        unread,
    }
}
