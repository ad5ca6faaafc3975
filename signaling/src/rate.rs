//! Rate limits per client address and per terminal key, in fixed memory.

use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::plane::ClientAddress;

/// Buckets of a limiter. Keys are spread over them by a secret hash, so memory stays bounded
/// whatever a flood of new addresses does; two keys of one bucket share its allowance.
const BUCKETS: u64 = 1 << 16;
/// IPv6 clients are counted by this prefix, bits: one customer owns at least that much.
const IPV6_PREFIX_BITS: u32 = 56;

/// An allowance: steady rate and burst, requests.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    /// Requests per second.
    pub per_second: NonZeroU32,
    /// Requests at once.
    pub burst: NonZeroU32,
}

impl Allowance {
    /// `None` when a value is zero.
    pub fn new(per_second: u32, burst: u32) -> Option<Self> {
        Some(Self { per_second: NonZeroU32::new(per_second)?, burst: NonZeroU32::new(burst)? })
    }
}

/// How much one client may ask for.
#[derive(Clone, Copy, Debug)]
pub struct RateLimits {
    /// Per IPv4 address or IPv6 /56, before anything else is looked at.
    pub address: Allowance,
    /// Per proven terminal or device key.
    pub terminal: Allowance,
}

impl Default for RateLimits {
    fn default() -> Self {
        let allowance = |per_second, burst| {
            Allowance::new(per_second, burst).expect("the defaults are not zero")
        };
        Self { address: allowance(100, 400), terminal: allowance(10, 40) }
    }
}

/// Counts one kind of key.
pub(crate) struct Limiter {
    hasher: RandomState,
    buckets: DefaultKeyedRateLimiter<u64>,
    clock: DefaultClock,
}

impl Limiter {
    pub(crate) fn new(allowance: Allowance) -> Self {
        let quota = Quota::per_second(allowance.per_second).allow_burst(allowance.burst);
        Self {
            hasher: RandomState::new(),
            buckets: RateLimiter::keyed(quota),
            clock: DefaultClock::default(),
        }
    }

    /// Counts a request. The error is the time to wait, whole seconds, at least one.
    pub(crate) fn check(&self, key: &impl Hash) -> Result<(), u64> {
        let bucket = self.hasher.hash_one(key) % BUCKETS;
        self.buckets.check_key(&bucket).map_err(|not_until| {
            let wait = not_until.wait_time_from(self.clock.now());
            wait.as_secs() + 1
        })
    }
}

/// What an address counts as.
pub(crate) fn counted(address: ClientAddress) -> IpAddr {
    match address.0.to_canonical() {
        IpAddr::V6(v6) => {
            let mask = u128::MAX << (128 - IPV6_PREFIX_BITS);
            IpAddr::V6((v6.to_bits() & mask).into())
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_burst_is_allowed_and_one_more_is_not() {
        let limiter = Limiter::new(Allowance::new(1, 3).unwrap());
        for _ in 0..3 {
            assert_eq!(limiter.check(&"a"), Ok(()));
        }
        assert!(limiter.check(&"a").is_err_and(|wait| (1..=2).contains(&wait)));
    }

    #[test]
    fn a_flood_of_keys_keeps_the_memory_bounded() {
        let limiter = Limiter::new(Allowance::new(1, 1).unwrap());
        for key in 0..2 * BUCKETS {
            let _counted = limiter.check(&key);
        }
        assert!(limiter.buckets.len() as u64 <= BUCKETS);
    }

    #[test]
    fn ipv6_counts_by_its_prefix_and_mapped_ipv4_as_ipv4() {
        let of = |text: &str| counted(ClientAddress(text.parse().unwrap()));
        assert_eq!(of("2001:db8:0:1200::1"), of("2001:db8:0:12ff:9::2"));
        assert_ne!(of("2001:db8:0:1200::1"), of("2001:db8:0:1300::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
