//! Running the bare loops of `benches/floor`.

use std::path::PathBuf;
use std::time::Duration;

use super::child::Running;
use super::network::{BARE_TCP_PORT, Network, SERVER, Side, VIEWERS};
use super::path::{Path, Sink};

/// Packets of a frame of 4 Mbit/s at 30 frames a second.
const PACKETS: usize = 14;
/// Payload of a packet of 1200 bytes with its RTP header, bytes.
const PAYLOAD: usize = 1188;
/// Viewers over QUIC that share a socket, as those of `sightline load` do.
const QUIC_VIEWERS_PER_SOCKET: usize = 8;
/// First port of the UDP viewers; where nobody reads, nothing listens there.
const FIRST_PORT: usize = 20_000;
/// How long a loop may take above its time.
const GRACE: Duration = Duration::from_secs(20);
/// How far the counter may be from what the loop says, share.
const COUNT_TOLERANCE: f64 = 0.005;

/// A bare loop to run.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bare {
    path: Path,
    viewers: usize,
    packets: usize,
    payload: usize,
    per_packet: bool,
    /// Frames a second; `None`: full speed.
    rate: Option<u32>,
}

/// What a loop said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cost {
    pub(super) packets: u64,
    pub(super) ns_per_packet: f64,
    /// Waits for a receiver.
    pub(super) stalls: u64,
}

impl Bare {
    /// The loop that every run is judged by.
    pub(super) fn measure() -> Self {
        Self::of(Path::Webrtc, 1000)
    }

    /// An error if the loop of a path is not there.
    pub(super) fn ensure_built(paths: &[Path]) -> Result<(), String> {
        let missing = |path: &&Path| !program(path.program()).is_file();
        match paths.iter().find(missing) {
            None => Ok(()),
            Some(path) => Err(format!(
                "{} has no bare loop: {} was not built",
                path.name(),
                program(path.program()).display()
            )),
        }
    }

    pub(super) fn of(path: Path, viewers: usize) -> Self {
        Self { path, viewers, packets: PACKETS, payload: PAYLOAD, per_packet: false, rate: None }
    }

    /// With the server's frames: packets each and bytes above UDP or TCP of one packet.
    pub(super) fn shaped(self, packets: usize, packet_bytes: f64) -> Self {
        let bytes = packet_bytes.round() as usize;
        let payload = bytes.saturating_sub(self.path.packet_overhead()).max(1);
        Self { packets: packets.max(1), payload, ..self }
    }

    /// At the camera's rate instead of full speed.
    pub(super) fn paced(&self, rate: u32) -> Self {
        Self { rate: Some(rate), ..self.clone() }
    }

    /// One system call a packet.
    pub(super) fn per_packet(self) -> Self {
        Self { per_packet: true, ..self }
    }

    /// Bytes of a packet above UDP or TCP.
    pub(super) fn packet_bytes(&self) -> usize {
        self.payload + self.path.bare_overhead()
    }

    /// Runs it and compares what it says with what the counter saw.
    pub(super) fn run(&self, network: &Network, seconds: f64) -> Result<Cost, String> {
        let sink = self.path.sink();
        let before = network.bare_traffic(sink)?;
        let cost = self.cost(network, seconds)?;
        let counted = network.bare_traffic(sink)?.since(before).contents(sink) as f64;
        let said = cost.packets as f64 * self.packet_bytes() as f64;
        if cost.packets == 0 || (counted / said - 1.0).abs() > COUNT_TOLERANCE {
            return Err(format!(
                "{} says {said} bytes and the counter {counted}: something was lost or is in the way",
                self.path.program()
            ));
        }
        Ok(cost)
    }

    fn cost(&self, network: &Network, seconds: f64) -> Result<Cost, String> {
        let limit = Duration::from_secs_f64(seconds) + GRACE;
        let mut command = network.command(Side::Server, &program(self.path.program()));
        command.args(self.flags(seconds));
        // Readers of UDP are there before anything is sent; those of TCP come to who listens.
        let readers = self.udp_readers(network)?;
        let mut sender = Running::start(self.path.program(), &mut command)?;
        let connected = self.tcp_readers(network)?;
        let said = sender.finish(limit)?;
        drop((readers, connected));
        parse(&said).ok_or_else(|| format!("{} said {said:?}", self.path.program()))
    }

    fn tcp_readers(&self, network: &Network) -> Result<Option<Running>, String> {
        if self.path.sink() != Sink::Tcp {
            return Ok(None);
        }
        let mut command = network.command(Side::Viewers, &program("tcp_drain"));
        command.args(["--connect", &tcp_address(), "--count", &self.viewers.to_string()]);
        Running::start("tcp_drain", &mut command).map(Some)
    }

    fn udp_readers(&self, network: &Network) -> Result<Option<Running>, String> {
        if self.path.sink() != Sink::Read {
            return Ok(None);
        }
        let mut command = network.command(Side::Viewers, &program("udp_drain"));
        command.args(["--on", VIEWERS, "--ports", &self.ports()]);
        let mut readers = Running::start("udp_drain", &mut command)?;
        readers.wait_until("its sockets were open", GRACE, |said| said.contains("ready"))?;
        Ok(Some(readers))
    }

    /// Viewers on a port.
    fn on_a_port(&self) -> usize {
        // As many share a socket of `sightline load`.
        if self.path.sink() == Sink::Read { QUIC_VIEWERS_PER_SOCKET } else { 1 }
    }

    fn ports(&self) -> String {
        let count = (self.viewers / self.on_a_port()).max(1);
        format!("{FIRST_PORT}..{}", FIRST_PORT + count)
    }

    fn flags(&self, seconds: f64) -> Vec<String> {
        let mut flags = vec![
            ("--packets", self.packets.to_string()),
            ("--payload", self.payload.to_string()),
            ("--seconds", seconds.to_string()),
        ];
        if self.path.sink() == Sink::Tcp {
            flags.push(("--listen", tcp_address()));
            flags.push(("--viewers", self.viewers.to_string()));
        } else {
            flags.push(("--from", SERVER.to_owned()));
            flags.push(("--to", VIEWERS.to_owned()));
            flags.push(("--ports", self.ports()));
            flags.push(("--share", self.on_a_port().to_string()));
        }
        if let Some(rate) = self.rate {
            flags.push(("--fps", rate.to_string()));
        }
        let mut words: Vec<String> =
            flags.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect();
        if self.per_packet {
            words.push("--per-packet".to_owned());
        }
        words
    }
}

/// Where a program of `benches/floor` is once it is built.
pub(super) fn program(name: &str) -> PathBuf {
    crate::target().join("release").join(name)
}

fn tcp_address() -> String {
    format!("{SERVER}:{BARE_TCP_PORT}")
}

/// Reads a loop's line of JSON, whose members are numbers.
fn parse(text: &str) -> Option<Cost> {
    let number = |name: &str| {
        let after = text.split(&format!("\"{name}\":")).nth(1)?;
        after.split([',', '}']).next()?.parse::<f64>().ok()
    };
    Some(Cost {
        packets: number("packets")? as u64,
        ns_per_packet: number("ns_per_packet")?,
        stalls: number("stalls")? as u64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_a_loop_is_read() {
        let line = "{\"packets\":2000,\"cpu_ns\":608000,\"ns_per_packet\":304.0,\"stalls\":3}\n";
        let cost = Cost { packets: 2000, ns_per_packet: 304.0, stalls: 3 };
        assert_eq!(parse(line), Some(cost));
        assert_eq!(parse("cannot send"), None);
    }

    #[test]
    fn a_header_that_only_the_server_has_is_not_counted_to_the_loop() {
        let shaped = Bare::of(Path::WebrtcTwcc, 100).shaped(14, 1214.0);
        assert_eq!((shaped.payload, shaped.packet_bytes()), (1178, 1206));
    }

    #[test]
    fn viewers_over_quic_share_sockets() {
        let flags = Bare::of(Path::Roq, 1000).flags(0.5).join(" ");
        assert!(flags.ends_with("--ports 20000..20125 --share 8"), "{flags}");
    }

    #[test]
    fn a_loop_takes_the_shape_of_the_servers_frames() {
        let bare = Bare::of(Path::Webrtc, 100);
        assert_eq!(bare.packet_bytes(), 1216);
        let shaped = bare.shaped(13, 1190.4);
        assert_eq!((shaped.packets, shaped.payload, shaped.packet_bytes()), (13, 1162, 1190));
        assert!(shaped.paced(30).flags(0.5).join(" ").ends_with("--fps 30"));
        let flags = shaped.per_packet().flags(0.5).join(" ");
        assert!(
            flags.contains("--ports 20000..20100 --share 1") && flags.ends_with("--per-packet"),
            "{flags}"
        );
    }
}
