//! Which addresses a pull may connect to. Checked after name resolution, on the canonical address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What is allowed beyond public addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TargetPolicy {
    /// 127.0.0.0/8 and ::1.
    pub loopback: bool,
    /// The private ranges where cameras live: 10/8, 172.16/12, 192.168/16, 100.64/10, fc00::/7.
    pub private: bool,
}

/// The address is not one to connect to.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
#[error("the address is not an allowed target")]
pub struct Refused;

impl TargetPolicy {
    /// A policy for tests and for a camera on the same machine or network.
    pub const LOCAL: Self = Self { loopback: true, private: true };

    /// Checks an address that a name was resolved to, or that stood in a URL.
    pub fn check(self, address: IpAddr) -> Result<(), Refused> {
        let allowed = match address {
            IpAddr::V4(v4) => self.allows_v4(v4),
            IpAddr::V6(v6) => self.allows_v6(v6),
        };
        if allowed { Ok(()) } else { Err(Refused) }
    }

    fn allows_v4(self, v4: Ipv4Addr) -> bool {
        let [a, b, c, _] = v4.octets();
        match (a, b, c) {
            (127, ..) => self.loopback,
            (10, ..) | (192, 168, _) => self.private,
            (172, 16..=31, _) | (100, 64..=127, _) => self.private,
            // "This network", link-local with the metadata service, IETF and relay ranges,
            // documentation, benchmarks, multicast, reserved and broadcast.
            (0, ..) | (169, 254, _) | (192, 0, 0 | 2) | (192, 88, 99) => false,
            (198, 18 | 19, _) | (198, 51, 100) | (203, 0, 113) | (224..=255, ..) => false,
            _ => true,
        }
    }

    fn allows_v6(self, v6: Ipv6Addr) -> bool {
        if v6 == Ipv6Addr::LOCALHOST {
            return self.loopback;
        }
        match v6.segments()[0] {
            0xfc00..=0xfdff => self.private,
            // 2001::/23 (Teredo, ORCHID, benchmarks), documentation, 6to4.
            0x2001 if v6.segments()[1] < 0x200 || v6.segments()[1] == 0xdb8 => false,
            0x2002 => false,
            // Global unicast. Everything else is refused: unspecified, v4-mapped and v4-compatible
            // forms, NAT64, link-local, site-local, multicast.
            0x2000..=0x3ffe => true,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEVER: &[&str] = &[
        "0.0.0.0",
        "0.0.0.1",
        "0.1.2.3",
        "0.255.255.255",
        "169.254.0.1",
        "169.254.169.254",
        "169.254.255.255",
        "192.0.0.1",
        "192.0.0.170",
        "192.0.2.1",
        "192.88.99.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.7",
        "203.0.113.9",
        "224.0.0.1",
        "224.0.0.251",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.254",
        "255.255.255.255",
        "::",
        "::2",
        "::127.0.0.1",
        "::10.0.0.1",
        "::8.8.8.8",
        "::ffff:127.0.0.1",
        "::ffff:0.0.0.0",
        "::ffff:10.0.0.1",
        "::ffff:192.168.1.1",
        "::ffff:169.254.169.254",
        "::ffff:8.8.8.8",
        "0:0:0:0:0:ffff:7f00:1",
        "::ffff:0:127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::127.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b::808:808",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:0:53aa:64c:0:0:80ff:fffe",
        "2001:2::1",
        "2001:10::1",
        "2001:20::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "2002:c0a8:101::1",
        "3fff::1",
        "4000::1",
        "fe80::1",
        "fe80::ffff:7f00:1",
        "febf::1",
        "fec0::1",
        "ff00::1",
        "ff02::1",
        "ff02::fb",
        "ff0e::1",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    ];
    const LOOPBACK: &[&str] = &["127.0.0.1", "127.0.0.2", "127.1.2.3", "127.255.255.255", "::1"];
    const PRIVATE: &[&str] = &[
        "10.0.0.1",
        "10.255.255.255",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.0.1",
        "192.168.255.255",
        "100.64.0.1",
        "100.127.255.255",
        "fc00::1",
        "fd12:3456:789a::1",
    ];
    const PUBLIC: &[&str] = &[
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.1",
        "100.63.255.255",
        "100.128.0.1",
        "126.255.255.255",
        "128.0.0.1",
        "172.15.255.255",
        "172.32.0.1",
        "192.167.1.1",
        "192.169.0.1",
        "223.255.255.255",
        "2600::1",
        "2a00:1450::1",
        "2001:200::1",
    ];

    fn check(policy: TargetPolicy, list: &[&str], allowed: bool) {
        for text in list {
            let address = text.parse().expect("an address");
            assert_eq!(policy.check(address).is_ok(), allowed, "{text} under {policy:?}");
        }
    }

    #[test]
    fn special_addresses_are_refused_in_every_encoding() {
        assert!(NEVER.len() + LOOPBACK.len() + PRIVATE.len() >= 60);
        for policy in [TargetPolicy::default(), TargetPolicy::LOCAL] {
            check(policy, NEVER, false);
            check(policy, PUBLIC, true);
            check(policy, LOOPBACK, policy.loopback);
            check(policy, PRIVATE, policy.private);
        }
    }
}
