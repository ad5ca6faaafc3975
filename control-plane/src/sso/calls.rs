//! How often apps ask for tokens. Anybody may ask, so it is counted in memory: asking writes nothing.

use std::sync::{Mutex, PoisonError};

use crate::limits::{APP_CALL_BUCKETS, APP_CALLS_PER_CLIENT, APP_CALLS_PER_NETWORK};
use crate::storage::model::{RetryAfter, Window};

/// Requests for tokens, by network and by app within it.
pub(crate) struct AppCalls(Mutex<Counted>);

struct Counted {
    networks: Spans,
    clients: Spans,
}

/// Events of one kind of key. Keys are spread over the buckets by a keyed hash, so that no flood of
/// them takes more memory; two keys of one bucket share its room.
struct Spans {
    window: Window,
    buckets: Vec<Span>,
}

/// A window that began with the first event in it.
#[derive(Clone, Copy, Default)]
struct Span {
    /// Unix seconds.
    began: u64,
    events: u64,
}

impl Default for AppCalls {
    fn default() -> Self {
        let networks = Spans::new(APP_CALLS_PER_NETWORK);
        let clients = Spans::new(APP_CALLS_PER_CLIENT);
        Self(Mutex::new(Counted { networks, clients }))
    }
}

impl AppCalls {
    /// Counts a request by the keyed hashes of its network and of its app there, if both have room.
    ///
    /// # Errors
    /// The time after which they have.
    pub(crate) fn count(&self, network: &[u8], client: &[u8], now: u64) -> Result<(), RetryAfter> {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Counted { networks, clients } = &mut *counted;
        let wait = networks.wait(network, now).max(clients.wait(client, now));
        if wait > 0 {
            return Err(RetryAfter(wait));
        }
        networks.count(network, now);
        clients.count(client, now);
        Ok(())
    }
}

impl Spans {
    fn new(window: Window) -> Self {
        Self { window, buckets: vec![Span::default(); APP_CALL_BUCKETS] }
    }

    /// The present span of a key; one that is over begins anew.
    fn span(&mut self, key: &[u8], now: u64) -> &mut Span {
        let head = key.iter().take(8).fold(0_u64, |head, byte| (head << 8) | u64::from(*byte));
        let span = &mut self.buckets[(head % APP_CALL_BUCKETS as u64) as usize];
        // One from the future is of a clock that was set back since.
        if now.checked_sub(span.began).is_none_or(|age| age >= self.window.seconds) {
            *span = Span { began: now, events: 0 };
        }
        span
    }

    /// Seconds until a key has room; 0 when it has.
    fn wait(&mut self, key: &[u8], now: u64) -> u64 {
        let Window { seconds, most } = self.window;
        let span = self.span(key, now);
        if span.events < most { 0 } else { span.began + seconds - now }
    }

    fn count(&mut self, key: &[u8], now: u64) {
        self.span(key, now).events += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NETWORK: Window = APP_CALLS_PER_NETWORK;
    const CLIENT: Window = APP_CALLS_PER_CLIENT;

    fn key(number: u64) -> [u8; 8] {
        number.to_be_bytes()
    }

    #[test]
    fn an_app_has_its_room_in_a_network_and_gets_it_back() {
        let calls = AppCalls::default();
        for _ in 0..CLIENT.most {
            assert_eq!(calls.count(&key(1), &key(1), 1000), Ok(()));
        }
        let full = Err(RetryAfter(CLIENT.seconds));
        assert_eq!(calls.count(&key(1), &key(1), 1000), full);
        assert_eq!(calls.count(&key(1), &key(2), 1000), Ok(()), "another app of the network");
        assert_eq!(calls.count(&key(2), &key(3), 1000), Ok(()), "the app elsewhere");
        let last = 1000 + CLIENT.seconds - 1;
        assert_eq!(calls.count(&key(1), &key(1), last), Err(RetryAfter(1)));
        assert_eq!(calls.count(&key(1), &key(1), last + 1), Ok(()));
    }

    #[test]
    fn a_network_has_its_room_and_a_refused_request_takes_none() {
        let calls = AppCalls::default();
        for number in 0..NETWORK.most {
            assert_eq!(calls.count(&key(1), &key(number), 1000), Ok(()), "{number}");
        }
        let full = Err(RetryAfter(NETWORK.seconds));
        assert_eq!(calls.count(&key(1), &key(NETWORK.most), 1000), full);
        for _ in 1..CLIENT.most {
            assert_eq!(calls.count(&key(2), &key(0), 1000), Ok(()));
        }
        for _ in 0..NETWORK.most {
            assert!(calls.count(&key(2), &key(0), 1000).is_err());
        }
        assert_eq!(calls.count(&key(2), &key(NETWORK.most), 1000), Ok(()));
    }

    #[test]
    fn a_flood_of_keys_takes_no_more_memory() {
        let calls = AppCalls::default();
        for number in 0..=APP_CALL_BUCKETS as u64 {
            assert_eq!(calls.count(&key(number), &key(number), 1000), Ok(()));
        }
        let counted = calls.0.lock().unwrap();
        assert_eq!(counted.networks.buckets.len(), APP_CALL_BUCKETS);
        assert_eq!(counted.clients.buckets[0].events, 2, "two keys share a bucket");
    }

    #[test]
    fn a_clock_that_was_set_back_locks_nobody_out() {
        let calls = AppCalls::default();
        for _ in 0..CLIENT.most {
            assert_eq!(calls.count(&key(1), &key(1), 100_000), Ok(()));
        }
        assert_eq!(calls.count(&key(1), &key(1), 1000), Ok(()));
    }
}
