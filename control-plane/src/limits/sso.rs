//! Limits of apps that people sign in to with their account.

use super::{DAY, MINUTE};
use crate::storage::model::Window;

/// Life of an authorisation code, seconds.
pub const APP_CODE_SECS: u64 = MINUTE;
/// Life of an ID token, seconds.
pub const ID_TOKEN_SECS: u64 = 5 * MINUTE;
/// Life of a word that a login is over, seconds.
pub const LOGOUT_TOKEN_SECS: u64 = 2 * MINUTE;
/// A person who showed who it is so lately is not asked again, however fresh an app wants it, seconds.
pub const AUTH_FRESH_SECS: u64 = MINUTE;
/// How long a replaced signing key is published, seconds; what it signed is over long before.
pub const SIGNING_KEY_OVERLAP_SECS: u64 = DAY;
/// Apps of a server.
pub const APPS: u64 = 100;
/// Addresses that a browser may be sent back to, of one app.
pub const APP_REDIRECTS: usize = 10;
/// Longest address of an app, characters.
pub const APP_URI_CHARS: usize = 512;
/// Longest `state` of a request, characters.
pub const APP_STATE_CHARS: usize = 1024;
/// Longest `nonce` of a request, characters.
pub const APP_NONCE_CHARS: usize = 256;
/// Fewest and most characters of a PKCE verifier (RFC 7636, 4.1).
pub const PKCE_VERIFIER_CHARS: std::ops::RangeInclusive<usize> = 43..=128;
/// Logins of one app that one account has; the oldest go first.
pub const APP_LOGINS: u64 = 10;
/// Codes that one account may have issued.
pub const APP_CODES_PER_ACCOUNT: [Window; 1] = [Window { seconds: 10 * MINUTE, most: 60 }];
/// Requests for tokens that one app may make from one network.
pub const APP_CALLS_PER_CLIENT: Window = Window { seconds: MINUTE, most: 600 };
/// Requests for tokens that one network may make.
pub const APP_CALLS_PER_NETWORK: Window = Window { seconds: MINUTE, most: 1200 };
/// Buckets in which requests for tokens are counted, for networks and for apps each: 1 MiB of memory.
pub const APP_CALL_BUCKETS: usize = 1 << 16;
/// Attempts to tell an app that a login is over; pauses go 10, 20, 40 ... seconds.
pub const LOGOUT_ATTEMPTS: u64 = 8;
