//! The cable: two network namespaces joined by a veth pair, with a counter at the viewers' end.
//!
//! Media is counted and freed where it arrives, before any socket, so that a bench of thousands of
//! viewers measures the sender. Handshakes and feedback pass.

use std::fs;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::machine::{SENDER_CPU, VIEWER_CPU};
use super::path::Sink;
use crate::process::capture;

/// Address of the server.
pub(super) const SERVER: &str = "10.77.0.1";
/// Address of all viewers.
pub(super) const VIEWERS: &str = "10.77.0.2";
/// Bytes of an IP packet above which it is media, where handshakes must pass.
const MEDIA: usize = 1000;
/// Bytes of an IP packet above which it is no acknowledgement or keep-alive of QUIC.
const CONTROL: usize = 200;
/// Counts and drops what is RTP by its first byte and not RTCP by its second (RFC 7983, RFC 5761),
/// and is not media by its length.
const SOUND: &str = "add rule netdev sightline media meta l4proto udp @th,64,2 2 @th,72,8 != 192-223 \
     counter name udp_sound drop\n";
const SOUND_COUNTER: &str = "udp_sound";
const BARE_COUNTER: &str = "udp_bare";
/// Port of the server's RTP over QUIC.
pub(super) const ROQ_PORT: u16 = 8444;
/// Port of the server's RTSP.
pub(super) const RTSP_PORT: u16 = 8554;
/// Port of the bare TCP loop.
pub(super) const BARE_TCP_PORT: u16 = 8999;

/// Bytes before the payload of a UDP datagram: IPv4 and UDP.
const UDP_HEADERS: u64 = 20 + 8;
/// Bytes before the payload of a TCP segment: IPv4 and TCP with timestamps.
const TCP_HEADERS: u64 = 20 + 32;

/// Waits until its input closes, then ends what still runs in our namespaces and removes them and
/// the folder. Our own end closes the input however it comes about, SIGKILL included.
const JANITOR: &str = r#"
cat > /dev/null
for space in "$1" "$2"; do
    for id in $(ip netns pids "$space" 2> /dev/null); do kill -KILL "$id"; done
    ip netns delete "$space" 2> /dev/null
done
rm -rf -- "$3"
"#;

/// Which end of the cable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Server,
    Viewers,
}

/// What the counter saw. A segmented message that the device would cut counts as one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Traffic {
    /// Messages.
    pub(super) messages: u64,
    /// Bytes with one set of IP headers a message.
    pub(super) bytes: u64,
}

impl Traffic {
    /// What came after `earlier`.
    pub(super) fn since(self, earlier: Self) -> Self {
        Self {
            messages: self.messages.saturating_sub(earlier.messages),
            bytes: self.bytes.saturating_sub(earlier.bytes),
        }
    }

    /// Bytes above UDP or TCP.
    pub(super) fn contents(self, sink: Sink) -> u64 {
        let headers = if sink == Sink::Tcp { TCP_HEADERS } else { UDP_HEADERS };
        self.bytes.saturating_sub(self.messages * headers)
    }
}

/// The cable; removed when dropped.
pub(super) struct Network {
    server: String,
    viewers: String,
    folder: PathBuf,
    janitor: Child,
    software: bool,
}

impl Network {
    /// Makes the namespaces and the cable. With `software` the kernel cuts segmented messages
    /// before they leave.
    pub(super) fn create(software: bool) -> Result<Self, String> {
        let id = std::process::id();
        let (server, viewers) = (format!("sightline-{id}-s"), format!("sightline-{id}-v"));
        let folder = crate::target().join("xtask").join(format!("bench-{id}"));
        let janitor = Command::new("sh")
            .args(["-c", JANITOR, "janitor", &server, &viewers])
            .arg(&folder)
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|error| format!("cannot start sh: {error}"))?;
        let network = Self { server, viewers, folder, janitor, software };
        fs::create_dir_all(&network.folder)
            .map_err(|error| format!("cannot make {}: {error}", network.folder.display()))?;
        network.lay()?;
        Ok(network)
    }

    fn lay(&self) -> Result<(), String> {
        let (server, viewers) = (self.server.as_str(), self.viewers.as_str());
        ip(&format!("netns add {server}"))?;
        ip(&format!("netns add {viewers}"))?;
        ip(&format!("link add sl0 netns {server} type veth peer name sl1 netns {viewers}"))?;
        for (space, device, address) in [(server, "sl0", SERVER), (viewers, "sl1", VIEWERS)] {
            ip(&format!("-n {space} address add {address}/24 dev {device}"))?;
            ip(&format!("-n {space} link set lo up"))?;
            ip(&format!("-n {space} link set {device} up"))?;
        }
        self.cut_in_software(self.software)?;
        self.nft(&table())
    }

    /// A folder that goes with the cable.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether the kernel cuts segmented messages, not the device.
    pub(super) fn software(&self) -> bool {
        self.software
    }

    /// A command at one end, on the processor of that end.
    pub(super) fn command(&self, side: Side, program: &Path) -> Command {
        let (space, processor) = match side {
            Side::Server => (&self.server, SENDER_CPU),
            Side::Viewers => (&self.viewers, VIEWER_CPU),
        };
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{space}"));
        command.args(["prlimit", &open_files(), "taskset", "-c", processor]).arg(program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("SIGHTLINE_") {
                command.env_remove(name);
            }
        }
        command
    }

    /// Whether segmented messages are cut before they leave. While they are, the counter counts
    /// packets.
    pub(super) fn cut_in_software(&self, cut: bool) -> Result<(), String> {
        let most = if cut { 1 } else { 65_535 };
        ip(&format!("-n {} link set dev sl0 gso_max_segs {most}", self.server))
    }

    /// From now on media is counted, and goes no further where nobody reads it.
    pub(super) fn arm(&self, sink: Sink) -> Result<(), String> {
        let media = match sink {
            Sink::Dropped | Sink::DroppedWithSound => {
                format!("meta l4proto udp meta length > {MEDIA}")
            }
            Sink::Read => format!("udp sport {ROQ_PORT} meta length > {CONTROL}"),
            Sink::Tcp => format!("tcp sport {{ {RTSP_PORT}, {BARE_TCP_PORT} }}"),
        };
        let read = matches!(sink, Sink::Read | Sink::Tcp);
        let verdict = if read { "" } else { "drop" };
        let more = match sink {
            Sink::DroppedWithSound => SOUND.to_owned(),
            Sink::Read => format!(
                "add rule netdev sightline media udp sport != {ROQ_PORT} counter name {BARE_COUNTER}\n"
            ),
            Sink::Dropped | Sink::Tcp => String::new(),
        };
        self.nft(&format!(
            "flush chain netdev sightline media\n\
             add rule netdev sightline media {media} counter name {} {verdict}\n{more}",
            counter(sink)
        ))
    }

    /// Everything passes.
    pub(super) fn disarm(&self) -> Result<(), String> {
        self.nft("flush chain netdev sightline media\n")
    }

    /// What was counted so far.
    pub(super) fn traffic(&self, sink: Sink) -> Result<Traffic, String> {
        self.counted(counter(sink))
    }

    /// The same of a bare loop. Where viewers read, a server whose viewers are stopped goes on
    /// asking them for acknowledgements, so the loop is counted apart.
    pub(super) fn bare_traffic(&self, sink: Sink) -> Result<Traffic, String> {
        self.counted(if sink == Sink::Read { BARE_COUNTER } else { counter(sink) })
    }

    /// Packets of sound that were counted apart so far.
    pub(super) fn sound(&self) -> Result<u64, String> {
        Ok(self.counted(SOUND_COUNTER)?.messages)
    }

    fn counted(&self, name: &str) -> Result<Traffic, String> {
        let space = format!("--net=/run/netns/{}", self.viewers);
        let words = [&space, "nft", "list", "counter", "netdev", "sightline", name];
        let text = capture("nsenter", &words).ok_or("nft does not list its counter")?;
        parse_counter(&text).ok_or_else(|| format!("nft's counter is not understood: {text}"))
    }

    /// Datagrams that the viewers' sockets had no room for so far.
    pub(super) fn unread(&self) -> Result<u64, String> {
        let space = format!("--net=/run/netns/{}", self.viewers);
        let text = capture("nsenter", &[&space, "cat", "/proc/self/net/snmp"]);
        let text = text.ok_or("cannot read /proc/self/net/snmp of the viewers")?;
        parse_unread(&text).ok_or_else(|| "/proc/self/net/snmp has no RcvbufErrors".to_owned())
    }

    /// The server's device as ethtool describes it; `None` without ethtool.
    pub(super) fn segmentation(&self) -> Option<Vec<String>> {
        let space = format!("--net=/run/netns/{}", self.server);
        let text = capture("nsenter", &[&space, "ethtool", "-k", "sl0"])?;
        let wanted = ["tx-udp-segmentation", "tx-checksum", "generic-segmentation-offload"];
        let is_wanted = |line: &&str| wanted.iter().any(|name| line.starts_with(name));
        Some(text.lines().map(str::trim).filter(is_wanted).map(str::to_owned).collect())
    }

    fn nft(&self, rules: &str) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("cannot run nft: {error}");
        let mut child = Command::new("nsenter")
            .arg(format!("--net=/run/netns/{}", self.viewers))
            .args(["nft", "-f", "-"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(rules.as_bytes()).map_err(failed)?;
        }
        let output = child.wait_with_output().map_err(failed)?;
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.success() { Ok(()) } else { Err(format!("nft refuses: {said}")) }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        drop(self.janitor.stdin.take());
        let _ = self.janitor.wait();
    }
}

/// As many open files as we may allow: thousands of viewers need more than the usual soft limit.
fn open_files() -> String {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let most = hard_open_files(&limits).unwrap_or("65536");
    format!("--nofile={most}:{most}")
}

fn hard_open_files(limits: &str) -> Option<&str> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().nth(1)
}

fn table() -> String {
    "table netdev sightline {\n\
     counter udp_media { }\n\
     counter udp_read { }\n\
     counter udp_bare { }\n\
     counter udp_sound { }\n\
     counter tcp_media { }\n\
     chain media { type filter hook ingress device \"sl1\" priority 0; policy accept; }\n\
     }\n"
    .to_owned()
}

fn counter(sink: Sink) -> &'static str {
    match sink {
        Sink::Dropped | Sink::DroppedWithSound => "udp_media",
        Sink::Read => "udp_read",
        Sink::Tcp => "tcp_media",
    }
}

fn ip(words: &str) -> Result<(), String> {
    let output = Command::new("ip").args(words.split(' ')).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("cannot run ip: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("ip {words}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

/// `packets 10 bytes 170520` somewhere in nft's text.
fn parse_counter(text: &str) -> Option<Traffic> {
    let mut words = text.split_whitespace().skip_while(|word| *word != "packets").skip(1);
    let messages = words.next()?.parse().ok()?;
    let bytes = words.nth(1)?.parse().ok()?;
    Some(Traffic { messages, bytes })
}

/// The column `RcvbufErrors` of the line `Udp:`.
fn parse_unread(snmp: &str) -> Option<u64> {
    let mut lines = snmp.lines().filter_map(|line| line.strip_prefix("Udp: "));
    let at = lines.next()?.split(' ').position(|name| name == "RcvbufErrors")?;
    lines.next()?.split(' ').nth(at)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: &str =
        "table netdev sightline {\n\tcounter udp_media {\n\t\tpackets 10 bytes 170520\n\t}\n}\n";

    #[test]
    fn the_counter_is_read() {
        let traffic = parse_counter(LISTED).unwrap();
        assert_eq!(traffic, Traffic { messages: 10, bytes: 170_520 });
        assert_eq!(traffic.contents(Sink::Dropped), 10 * 14 * 1216);
        assert_eq!(parse_counter("table netdev sightline {}"), None);
    }

    #[test]
    fn the_hard_limit_of_open_files_is_read() {
        let limits =
            "Limit   Soft Limit  Hard Limit  Units\nMax open files   1024   20000   files\n";
        assert_eq!(hard_open_files(limits), Some("20000"));
        assert_eq!(hard_open_files(""), None);
    }

    #[test]
    fn what_sockets_had_no_room_for_is_read() {
        let snmp = "Udp: InDatagrams RcvbufErrors SndbufErrors\nUdp: 900 17 0\nUdpLite: a\n";
        assert_eq!(parse_unread(snmp), Some(17));
        assert_eq!(parse_unread("Udp: InDatagrams\nUdp: 1\n"), None);
    }

    #[test]
    fn traffic_is_counted_from_a_point() {
        let before = Traffic { messages: 3, bytes: 300 };
        let after = Traffic { messages: 5, bytes: 504 };
        assert_eq!(after.since(before), Traffic { messages: 2, bytes: 204 });
        assert_eq!(after.since(before).contents(Sink::Tcp), 100);
    }
}
