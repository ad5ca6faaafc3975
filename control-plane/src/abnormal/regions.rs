//! A table of regions: which network is where. Lines of `network/length region`, as operators export
//! them; `#` begins a comment.

use std::net::IpAddr;

/// Most lines.
const MOST_LINES: usize = 500_000;
/// Longest name of a region, characters.
const MOST_CHARS: usize = 64;

/// Where networks are. Empty: nowhere is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Regions {
    /// First and last address and the region, by first address; the narrower one later.
    spans: Vec<(u128, u128, String)>,
}

/// Why a text is no table.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadRegions {
    /// A line that is none.
    #[error("line {0} is not `network/length region`, such as `203.0.113.0/24 CN-31`")]
    Line(usize),
    /// Too many lines.
    #[error("more than 500000 lines")]
    TooMany,
}

impl Regions {
    /// Reads a table.
    ///
    /// # Errors
    /// See [`BadRegions`].
    pub fn parse(text: &str) -> Result<Self, BadRegions> {
        let mut spans = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if spans.len() == MOST_LINES {
                return Err(BadRegions::TooMany);
            }
            spans.push(span(line).ok_or(BadRegions::Line(index + 1))?);
        }
        spans.sort_by(|a, b| (a.0, b.1).cmp(&(b.0, a.1)));
        Ok(Self { spans })
    }

    /// The region of an address: that of the narrowest network that holds it.
    pub fn of(&self, ip: IpAddr) -> Option<&str> {
        let at = bits(ip);
        let before = self.spans.partition_point(|(first, _, _)| *first <= at);
        let held = self.spans[..before].iter().filter(|(_, last, _)| at <= *last);
        held.min_by_key(|(first, last, _)| last - first).map(|(_, _, region)| region.as_str())
    }
}

fn span(line: &str) -> Option<(u128, u128, String)> {
    let (network, region) = line.split_once(char::is_whitespace)?;
    let (ip, length) = network.split_once('/')?;
    let ip: IpAddr = ip.parse().ok()?;
    let length: u32 = length.parse().ok()?;
    let whole = if ip.is_ipv4() { 32 } else { 128 };
    let host = whole - length.min(whole);
    let region = region.trim();
    let fits = length <= whole && (1..=MOST_CHARS).contains(&region.chars().count());
    let mask = if host == 128 { u128::MAX } else { (1 << host) - 1 };
    let first = bits(ip) & !mask;
    fits.then(|| (first, first | mask, region.to_owned()))
}

/// An address on one line; IPv4 where it is mapped into IPv6.
fn bits(ip: IpAddr) -> u128 {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrowest_network_names_the_region() {
        let text = "# exported\n10.0.0.0/8 wide\n10.1.0.0/16 narrow\n2001:db8::/32 six\n\n";
        let regions = Regions::parse(text).unwrap();
        let of = |ip: &str| regions.of(ip.parse().unwrap());
        assert_eq!(of("10.1.255.255"), Some("narrow"));
        assert_eq!(of("10.2.0.0"), Some("wide"));
        assert_eq!(of("::ffff:10.2.0.0"), Some("wide"));
        assert_eq!(of("2001:db8:1::1"), Some("six"));
        assert_eq!(of("11.0.0.0"), None);
        assert_eq!(of("9.255.255.255"), None);
        assert_eq!(Regions::default().of("10.0.0.1".parse().unwrap()), None);
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        for bad in ["10.0.0.0 x", "10.0.0.0/33 x", "10.0.0.0/8", "x/8 y", "2001:db8::/129 x"] {
            assert_eq!(Regions::parse(&format!("10.0.0.0/8 a\n{bad}")), Err(BadRegions::Line(2)));
        }
        assert!(Regions::parse("0.0.0.0/0 a\n::/0 b").is_ok());
    }
}
