//! Who may connect at all: bounds before anything is allocated for a connection.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

/// Connections in all.
pub(super) const MAX_CONNECTIONS: usize = 4096;
/// Connections of one source that have not logged in. A source is an IPv4 address or an IPv6 /64.
pub(super) const MAX_UNAUTHENTICATED: u32 = 64;

#[derive(Default)]
pub(super) struct Admission {
    waiting: HashMap<IpAddr, u32>,
}

impl Admission {
    /// Counts a connection in; `false` if its source has too many.
    pub(super) fn enter(&mut self, ip: IpAddr) -> bool {
        let count = self.waiting.entry(source(ip)).or_default();
        if *count >= MAX_UNAUTHENTICATED {
            return false;
        }
        *count += 1;
        true
    }

    /// A connection has logged in or ended.
    pub(super) fn leave(&mut self, ip: IpAddr) {
        let source = source(ip);
        if let Some(count) = self.waiting.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                self.waiting.remove(&source);
            }
        }
    }
}

fn source(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
        four => four,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_bounded_on_both_sides_and_frees_its_places() {
        let mut admission = Admission::default();
        let [one, other, mapped] = ["192.0.2.1", "192.0.2.2", "::ffff:192.0.2.1"]
            .map(|text| text.parse::<IpAddr>().unwrap());
        for _ in 0..MAX_UNAUTHENTICATED {
            assert!(admission.enter(one));
        }
        assert!(!admission.enter(one) && !admission.enter(mapped) && admission.enter(other));
        admission.leave(mapped);
        assert!(admission.enter(one));
        for _ in 0..MAX_UNAUTHENTICATED {
            admission.leave(one);
        }
        admission.leave(other);
        assert!(admission.waiting.is_empty());
    }

    #[test]
    fn a_network_of_ipv6_is_one_source() {
        let ip = |text: &str| source(text.parse().unwrap());
        assert_eq!(ip("2001:db8::1"), ip("2001:db8::ffff:1"));
        assert_ne!(ip("2001:db8::1"), ip("2001:db8:0:1::1"));
    }
}
