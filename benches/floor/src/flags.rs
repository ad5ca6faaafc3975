//! The command line of a bare loop.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::Range;
use std::time::Duration;

/// What the loops understand; each uses its part.
pub const USAGE: &str = "flags:
  --from IP            address to send from (127.0.0.1)
  --to IP              address of the viewers (127.0.0.1)
  --ports FIRST..END   ports of the viewers (20000..21000)
  --share N            viewers on each of these ports (1)
  --listen ADDRESS     where viewers connect, for TCP (127.0.0.1:8999)
  --viewers N          viewers to wait for, for TCP (1000)
  --packets K          packets of a frame (14)
  --payload BYTES      payload of a packet after its 12 bytes of RTP header (1188)
  --seconds S          how long to run (2)
  --frames F           how many frames to send, instead of --seconds
  --fps R              frames a second; without it the loop runs at full speed
  --per-packet         one system call a packet, as servers usually do";

/// Most packets of a frame: 40 of 1216 bytes fit the 64 KB of one segmented message.
const MAX_PACKETS: usize = 40;
/// Largest payload, bytes, so that a packet with all its headers fits an MTU of 1500.
const MAX_PAYLOAD: usize = 1400;

/// Most viewers on a port.
const MAX_SHARE: usize = 1000;

/// When a loop ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// After a time.
    Time(Duration),
    /// After a number of frames.
    Frames(u64),
}

/// Parsed flags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flags {
    /// Address that datagrams leave from.
    pub from: Ipv4Addr,
    /// Address of the viewers.
    pub to: Ipv4Addr,
    /// UDP viewers are on these ports.
    pub ports: Range<u16>,
    /// Viewers on each port.
    pub share: usize,
    /// Where TCP viewers connect.
    pub listen: SocketAddrV4,
    /// Number of TCP viewers.
    pub viewers: usize,
    /// Packets of a frame.
    pub packets: usize,
    /// Payload of a packet, bytes.
    pub payload: usize,
    /// When to end.
    pub length: Length,
    /// Time from frame to frame; `None` for full speed.
    pub period: Option<Duration>,
    /// One system call a packet.
    pub per_packet: bool,
}

impl Default for Flags {
    fn default() -> Self {
        Self {
            from: Ipv4Addr::LOCALHOST,
            to: Ipv4Addr::LOCALHOST,
            ports: 20_000..21_000,
            share: 1,
            listen: SocketAddrV4::new(Ipv4Addr::LOCALHOST, 8999),
            viewers: 1000,
            packets: 14,
            payload: 1188,
            length: Length::Time(Duration::from_secs(2)),
            period: None,
            per_packet: false,
        }
    }
}

impl Flags {
    /// Reads the process's command line. The error says what is wrong and what there is.
    pub fn from_env() -> Result<Self, String> {
        Self::parse(std::env::args().skip(1)).map_err(|error| format!("{error}\n{USAGE}"))
    }

    /// Reads flags.
    pub fn parse(words: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut flags = Self::default();
        let mut words = words.into_iter();
        while let Some(name) = words.next() {
            if name == "--per-packet" {
                flags.per_packet = true;
                continue;
            }
            let value =
                words.next().ok_or_else(|| format!("{name} is unknown or lacks a value"))?;
            flags.set(&name, &value).ok_or_else(|| format!("{name} {value} is not understood"))?;
        }
        Ok(flags)
    }

    /// `None`: an unknown flag or a value that cannot be.
    fn set(&mut self, name: &str, value: &str) -> Option<()> {
        match name {
            "--from" => self.from = value.parse().ok()?,
            "--to" => self.to = value.parse().ok()?,
            "--ports" => self.ports = ports(value)?,
            "--share" => self.share = at_least_one(value, MAX_SHARE)?,
            "--listen" => self.listen = value.parse().ok()?,
            "--viewers" => self.viewers = at_least_one(value, usize::MAX)?,
            "--packets" => self.packets = at_least_one(value, MAX_PACKETS)?,
            "--payload" => self.payload = at_least_one(value, MAX_PAYLOAD)?,
            "--seconds" => self.length = Length::Time(seconds(value.parse().ok()?)?),
            "--frames" => self.length = Length::Frames(value.parse().ok()?),
            "--fps" => self.period = Some(seconds(1.0 / value.parse::<f64>().ok()?)?),
            _ => return None,
        }
        Some(())
    }
}

/// `FIRST..END` as ports, at least one.
pub fn ports(text: &str) -> Option<Range<u16>> {
    let (first, end) = text.split_once("..")?;
    let range = first.parse().ok()?..end.parse().ok()?;
    (!range.is_empty()).then_some(range)
}

fn at_least_one(text: &str, most: usize) -> Option<usize> {
    text.parse().ok().filter(|number| (1..=most).contains(number))
}

fn seconds(number: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(number).ok().filter(|time| !time.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Flags, String> {
        Flags::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn flags_replace_the_defaults() {
        let flags = parse("--to 10.77.0.2 --ports 30000..30100 --seconds 0.5 --fps 25").unwrap();
        assert_eq!(flags.to, Ipv4Addr::new(10, 77, 0, 2));
        assert_eq!(flags.ports, 30_000..30_100);
        assert_eq!(flags.length, Length::Time(Duration::from_millis(500)));
        assert_eq!(flags.period, Some(Duration::from_millis(40)));
        assert_eq!((flags.packets, flags.payload, flags.per_packet), (14, 1188, false));
        assert!(parse("--per-packet --frames 3").unwrap().per_packet);
        assert_eq!((flags.share, parse("--share 8").unwrap().share), (1, 8));
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        for line in [
            "--ports 9..9",
            "--share 0",
            "--packets 0",
            "--payload 9000",
            "--fps 0",
            "--colour red",
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(line), "{error}");
        }
        assert!(parse("--seconds").unwrap_err().contains("--seconds"));
    }
}
