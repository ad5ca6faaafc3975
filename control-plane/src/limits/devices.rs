//! Limits of adding devices, handing them over, and of what is kept of them.

use super::{DAY, HOUR, MINUTE};
use crate::storage::model::Window;

/// Life of a user token, seconds.
pub const BIND_TOKEN_SECS: u64 = 10 * MINUTE;
/// User tokens that an account may have open.
pub const BIND_TOKENS_OPEN: u64 = 5;
/// User tokens that an account may ask for.
pub const BIND_TOKENS_PER_ACCOUNT: [Window; 1] = [Window { seconds: HOUR, most: 30 }];
/// User tokens that a device may present.
pub const TOKEN_TRIES_PER_DEVICE: [Window; 1] = [Window { seconds: HOUR, most: 20 }];
/// Life of an expiring code, seconds.
pub const DEVICE_CODE_SECS: u64 = DAY;
/// Expiring codes that may be issued for one device.
pub const CODES_PER_DEVICE: [Window; 1] = [Window { seconds: HOUR, most: 10 }];
/// Resets that a device may ask for.
pub const RESETS_PER_DEVICE: [Window; 1] = [Window { seconds: HOUR, most: 10 }];
/// How long the facts about the terminal that added a device are kept, seconds.
pub const BIND_CLIENT_SECS: u64 = 180 * DAY;
/// How long the facts about a provisioning are kept, seconds.
pub const PROVISIONING_SECS: u64 = 7 * DAY;
/// How long a device may fetch what was sealed to it, seconds.
pub const SEALED_BLOB_SECS: u64 = 10 * MINUTE;
/// Longest blob that is sealed to a device, bytes.
pub const SEALED_BLOB_BYTES: usize = 1024;
/// Provisionings that an account may report.
pub const PROVISIONINGS_PER_ACCOUNT: [Window; 1] = [Window { seconds: HOUR, most: 30 }];
/// Provisionings kept of an account; the oldest go first.
pub const PROVISIONINGS_KEPT: u64 = 20;
/// Inventories that a device may send.
pub const INVENTORIES_PER_DEVICE: [Window; 1] = [Window { seconds: HOUR, most: 60 }];
/// Settings in the inventory of a device.
pub const MAX_SETTINGS: usize = 32;
/// Longest value of such a setting, characters.
pub const MAX_SETTING_CHARS: usize = 128;
/// Longest name of a wireless network, bytes (IEEE 802.11, 9.4.2.2).
pub const MAX_SSID_BYTES: usize = 32;
/// Changes of names that may be made to one device.
pub const RENAMES_PER_DEVICE: [Window; 1] = [Window { seconds: HOUR, most: 120 }];
