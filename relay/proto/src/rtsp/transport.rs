//! The `Transport` header (RFC 2326, 12.39).

/// What a client asks for, its first usable alternative.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wanted {
    /// RTP/AVP/TCP with the asked channels, if any.
    Tcp { channels: Option<(u8, u8)>, record: Option<bool> },
    /// RTP/AVP over UDP to these ports of the client.
    Udp { rtp: u16, rtcp: u16, record: Option<bool> },
}

impl Wanted {
    /// What the client says of the direction: record, play or nothing.
    pub(super) fn record(self) -> Option<bool> {
        match self {
            Self::Tcp { record, .. } | Self::Udp { record, .. } => record,
        }
    }
}

/// Picks the first alternative that can be served; `None` if there is none (461).
pub(super) fn choose(header: &str, udp: bool) -> Option<Wanted> {
    header.split(',').take(8).find_map(|alternative| one(alternative, udp))
}

fn one(alternative: &str, udp: bool) -> Option<Wanted> {
    let mut parts = alternative.split(';').map(str::trim);
    let protocol = parts.next()?.to_ascii_uppercase();
    let mut channels = None;
    let mut ports = None;
    let mut record = None;
    for part in parts {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "multicast" => return None,
            "interleaved" => channels = Some(pair::<u8>(value)?),
            "client_port" => ports = Some(pair::<u16>(value)?),
            "mode" => {
                let value = value.trim_matches('"').to_ascii_lowercase();
                record = Some(matches!(value.as_str(), "record" | "receive"));
            }
            _ => {}
        }
    }
    match protocol.as_str() {
        "RTP/AVP/TCP" => Some(Wanted::Tcp { channels, record }),
        "RTP/AVP" | "RTP/AVP/UDP" if udp => {
            let (rtp, rtcp) = ports.filter(|(rtp, rtcp)| *rtp != 0 && *rtcp != 0 && rtp != rtcp)?;
            Some(Wanted::Udp { rtp, rtcp, record })
        }
        _ => None,
    }
}

/// `a-b`, or `a` alone for `a` and the next one.
fn pair<N: std::str::FromStr + Into<u32> + TryFrom<u32> + Copy>(text: &str) -> Option<(N, N)> {
    let (first, second) = match text.split_once('-') {
        Some((first, second)) => (first.trim().parse::<N>().ok()?, second.trim().parse().ok()?),
        None => {
            let first = text.trim().parse::<N>().ok()?;
            (first, N::try_from(first.into() + 1).ok()?)
        }
    };
    (first.into() != second.into()).then_some((first, second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_alternative_that_can_be_served_is_taken() {
        let header = "RTP/SAVP;unicast;client_port=1-2,RTP/AVP;multicast,\
            RTP/AVP/UDP;unicast;client_port=5000-5001;mode=\"PLAY\",RTP/AVP/TCP;interleaved=2-3";
        let udp = Wanted::Udp { rtp: 5000, rtcp: 5001, record: Some(false) };
        assert_eq!(choose(header, true), Some(udp));
        let tcp = Wanted::Tcp { channels: Some((2, 3)), record: None };
        assert_eq!(choose(header, false), Some(tcp));
    }

    #[test]
    fn record_has_two_names() {
        for mode in ["record", "RECORD", "\"receive\""] {
            let header = format!("RTP/AVP/TCP;unicast;mode={mode}");
            assert_eq!(choose(&header, true).unwrap().record(), Some(true));
        }
    }

    #[test]
    fn broken_ports_are_refused() {
        for ports in ["", "0-1", "5000-5000", "70000", "a-b", "5000-x", "65535"] {
            assert_eq!(choose(&format!("RTP/AVP;client_port={ports}"), true), None, "{ports}");
        }
        assert_eq!(choose("RTP/AVP/TCP;interleaved=255", true), None);
        assert!(choose("RTP/AVP;client_port=65534", true).is_some());
    }
}
