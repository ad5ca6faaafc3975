//! Every limit of the control plane, with its unit.

mod devices;
mod sso;

use crate::abnormal;
use crate::sms::budget::Policy;
use crate::storage::model::Window;
use crate::viewing::ViewWindow;

pub use devices::*;
pub use sso::*;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Life of a one-time code, seconds.
pub const OTP_TTL_SECS: u64 = 5 * MINUTE;
/// Tries of one challenge.
pub const OTP_TRIES: u64 = 5;
/// Digits of a sign-in code.
pub const LOGIN_CODE_DIGITS: u32 = 6;
/// Digits of a viewing code.
pub const VIEW_CODE_DIGITS: u32 = 8;
/// Digits of a code that confirms a dangerous act, a new address or a new password.
pub const SECURE_CODE_DIGITS: u32 = 8;
/// Life of the window in which a login may do what is dangerous, seconds.
pub const SECURE_SECS: u64 = 10 * MINUTE;
/// How long an identifier that came to an account later confirms nothing dangerous, seconds.
pub const IDENTIFIER_HOLD_SECS: u64 = 72 * HOUR;
/// Guesses at codes, or at a password, before a lock.
pub const GUESSES_PER_LOCK: u64 = 5;
/// Longest lock after wrong guesses, minutes; locks go 1, 2, 4 ... up to it.
pub const GUESS_LOCK_MAX_MINUTES: u64 = 60;
/// Without guesses for so long, locks begin at one minute again, seconds.
pub const GUESS_QUIET_SECS: u64 = DAY;
/// Wrong guesses in all before a second factor is needed.
pub const GUESSES_IN_ALL: u64 = 100;
/// How long nothing but a second factor helps then, seconds.
pub const GUESS_CLOSED_SECS: u64 = DAY;
/// Unused for so long, an account whose owner has something better is not opened by a code on an
/// unknown terminal: the number may be somebody else's by now. Seconds.
pub const RECYCLED_AFTER_SECS: u64 = 180 * DAY;
/// How long a word about a change waits to be sent, seconds.
pub const NOTICE_SECS: u64 = DAY;
/// Life of an access token, seconds.
pub const ACCESS_TTL_SECS: u64 = 5 * MINUTE;
/// Life of an unused login, seconds.
pub const SESSION_IDLE_SECS: u64 = 14 * DAY;
/// Life of a login, seconds.
pub const SESSION_MAX_SECS: u64 = 30 * DAY;
/// How long a used refresh token gives the same answer to the same key again, seconds.
pub const REFRESH_RETRY_SECS: u64 = 5;
/// Life of an unused viewing window, seconds.
pub const VIEW_IDLE_SECS: u64 = 15 * MINUTE;
/// Life of a viewing window, seconds.
pub const VIEW_MAX_SECS: u64 = 12 * HOUR;
/// The idle end of a viewing window is written again at most this often, seconds.
pub const VIEW_TOUCH_SECS: u64 = MINUTE;
/// Viewing windows whose idle end waits to be written.
pub const TOUCHES_PENDING: usize = 4096;
/// Life of a device-key challenge, seconds.
pub const KEY_CHALLENGE_SECS: u64 = 2 * MINUTE;
/// Life of a device-key proof, seconds; it also ends with login, binding and key.
pub const KEY_PROOF_SECS: u64 = 12 * HOUR;
/// Tries of a device key by one account within [`KEY_WINDOW_SECS`].
pub const KEY_TRIES: u64 = 5;
/// Span over which tries of a device key are counted, seconds.
pub const KEY_WINDOW_SECS: u64 = 15 * MINUTE;
/// Longest lock of a device key, minutes; locks go 1, 2, 4 ... up to it.
pub const KEY_LOCK_MAX_MINUTES: u64 = 60;
/// Challenges of device keys that one login may ask for.
pub const KEY_CHALLENGES_PER_SESSION: [Window; 1] = [Window { seconds: MINUTE, most: 30 }];
/// Binding tries on one serial.
pub const BINDS_PER_SERIAL: [Window; 1] = [Window { seconds: HOUR, most: 5 }];
/// How long a device's poll is held, seconds.
pub const POLL_HOLD_SECS: u64 = 25;
/// How long the context of a media session is kept, seconds.
pub const MEDIA_CONTEXT_SECS: u64 = 7 * DAY;
/// Longest name a terminal or a device may have, characters.
pub const MAX_NAME_CHARS: usize = 64;
/// Most channels of a device.
pub const MAX_CHANNELS: u16 = 64;
/// Life of an Idempotency-Key, seconds.
pub const IDEMPOTENCY_SECS: u64 = DAY;
/// Time after which a request with a key that has not been answered counts as lost, seconds.
pub const IDEMPOTENCY_RUNNING_SECS: u64 = MINUTE;
/// Idempotency-Keys of one account at a time.
pub const IDEMPOTENCY_KEYS: u64 = 1000;
/// Longest Idempotency-Key, characters.
pub const IDEMPOTENCY_KEY_CHARS: usize = 64;
/// Largest answer that is kept for a key, bytes.
pub const IDEMPOTENCY_ANSWER_BYTES: usize = 16 * 1024;
/// Longest cursor of a list, characters.
pub const CURSOR_CHARS: usize = 256;
/// Messages and log entries in one answer.
pub const PAGE: u64 = 100;
/// Attempts to send one message.
pub const SEND_ATTEMPTS: u64 = 3;
/// Pause between two attempts, seconds.
pub const SEND_RETRY_SECS: u64 = 10;
/// Proof ids remembered, for requests of somebody known and for those of strangers each.
pub const PROOF_IDS: usize = 1 << 17;
/// Proof ids of strangers that one network, an IPv4 /24 or an IPv6 /48, has remembered at a time: a
/// sixteenth, which is some 67 requests a second.
pub const STRANGER_PROOF_IDS_PER_NETWORK: usize = PROOF_IDS / 16;
/// Largest request body, bytes.
pub const BODY_BYTES: usize = 16 * 1024;
/// Largest request body that holds a generation, bytes: a whole blob in base64url, and room for the
/// JSON around it.
pub const BLOB_BODY_BYTES: usize = 20 * 1024;
/// Generations kept of one binding; the oldest go first.
pub const GENERATIONS_KEPT: u64 = 4096;
/// Generations in one answer.
pub const GENERATIONS_PER_PAGE: u64 = 64;
/// Sealing orders that may be given for one device.
pub const ORDERS_PER_DEVICE: [Window; 1] = [Window { seconds: HOUR, most: 60 }];
/// Viewer lists that may be stored for one device.
pub const LISTS_PER_DEVICE: [Window; 1] = [Window { seconds: HOUR, most: 240 }];
/// Life of an introduction between a guest and an owner, seconds.
pub const INTRODUCTION_SECS: u64 = 10 * MINUTE;
/// Introductions that a guest may have open.
pub const INTRODUCTIONS_OPEN: u64 = 4;
/// Introductions that a guest may open.
pub const INTRODUCTIONS_PER_ACCOUNT: [Window; 1] = [Window { seconds: HOUR, most: 20 }];
/// Codes of introductions that one account may try.
pub const INTRODUCTION_LOOKUPS_PER_ACCOUNT: [Window; 1] =
    [Window { seconds: 10 * MINUTE, most: 20 }];
/// Codes that one number or address gets at the wish of those whom nobody vouches for, while they are
/// not answered: a part of what it gets in all, so that whoever asks for codes of somebody else
/// leaves the owner the rest.
pub const SENDS_FOR_STRANGERS: [Window; 2] =
    [Window { seconds: HOUR, most: 2 }, Window { seconds: DAY, most: 4 }];
/// How many times as much an IPv6 /48 may do as one /64 in it.
pub const NETWORK_SHARE: u64 = 16;
/// How long decisions on text messages are kept, seconds. Their hashes are keyed.
pub const SMS_DECISIONS_SECS: u64 = 30 * DAY;
/// How long an untouched bucket of text messages is kept, seconds; it is full long before.
pub const SMS_BUCKETS_SECS: u64 = 7 * DAY;
/// How long a terminal counts as known for a number after it answered a code of it, seconds.
pub const SMS_PAIR_SECS: u64 = 180 * DAY;
/// How long logins and alerts on them are remembered, seconds.
pub const ALERT_SECS: u64 = 180 * DAY;
/// How long another terminal may agree to a login that is held, and the agreement holds, seconds.
pub const APPROVAL_SECS: u64 = DAY;
/// How long a terminal that a reset of the password signed out still makes unusual logins wait for its
/// word, seconds. As long as an address that came late confirms nothing ([`IDENTIFIER_HOLD_SECS`]).
pub const RESET_HOLD_SECS: u64 = 72 * HOUR;
/// Nobody changes regions sooner, seconds.
pub const REGION_CHANGE_SECS: u64 = HOUR;
/// How long taken tokens of a carrier are remembered, seconds; carriers end theirs in minutes.
pub const CARRIER_TOKEN_SECS: u64 = 7 * DAY;
/// Logins by carrier that one network may try.
pub const CARRIER_TRIES_PER_NETWORK: [Window; 1] = [Window { seconds: HOUR, most: 300 }];
/// Policies of products in force.
pub const PRODUCT_POLICIES: u64 = 256;
/// Longest file of a policy of a product, bytes.
pub const POLICY_FILE_BYTES: usize = 64 * 1024;
/// Longest id of a policy of a product, characters.
pub const POLICY_ID_CHARS: usize = 64;
/// Longest text of a policy of a product in one language, characters.
pub const POLICY_TEXT_CHARS: usize = 2000;
/// Longest word of a policy of a product on how long data is kept, characters.
pub const POLICY_RETENTION_CHARS: usize = 200;
/// Passkeys of one account.
pub const PASSKEYS_PER_ACCOUNT: u64 = 20;
/// Life of a challenge for a passkey, seconds; as long as browsers wait for a person.
pub const PASSKEY_CHALLENGE_SECS: u64 = 5 * MINUTE;
/// Challenges for a login by passkey that one network may ask for, and answers that it may give.
pub const PASSKEY_TRIES_PER_NETWORK: [Window; 1] = [Window { seconds: HOUR, most: 600 }];
/// Challenges for new passkeys that one account may ask for.
pub const PASSKEY_CHALLENGES_PER_ACCOUNT: [Window; 1] = [Window { seconds: HOUR, most: 30 }];
/// Longest word of a browser about a passkey, bytes.
pub const CLIENT_DATA_BYTES: usize = 2048;
/// Longest word of an authenticator about a passkey, bytes: an RSA key, a credential id, extensions.
pub const AUTHENTICATOR_DATA_BYTES: usize = 2048;
/// Lengths of a credential id, bytes.
pub const CREDENTIAL_ID_BYTES: std::ops::RangeInclusive<usize> = 16..=1023;
/// Longest signature of a passkey, bytes: that of the longest RSA key.
pub const PASSKEY_SIGNATURE_BYTES: usize = 512;
/// Life of a way to an identity provider, seconds.
pub const IDENTITY_FLOW_SECS: u64 = 10 * MINUTE;
/// Ways to identity providers that one network may begin.
pub const IDENTITY_FLOWS_PER_NETWORK: [Window; 1] = [Window { seconds: HOUR, most: 300 }];
/// Ways to identity providers that the logins of one account may begin.
pub const IDENTITY_FLOWS_PER_ACCOUNT: [Window; 1] = [Window { seconds: HOUR, most: 30 }];
/// Identities at providers that an account may have.
pub const IDENTITIES_PER_ACCOUNT: u64 = 16;
/// Attempts to take a grant back at its provider: with pauses of up to [`REVOKE_PAUSE_MAX_SECS`], a week.
pub const REVOKE_ATTEMPTS: u64 = 40;
/// Pause after the first attempt, seconds; pauses double.
pub const REVOKE_PAUSE_SECS: u64 = 15;
/// Longest pause between two attempts, seconds.
pub const REVOKE_PAUSE_MAX_SECS: u64 = 6 * HOUR;
/// Life of an invitation to share a device, seconds.
pub const SHARE_INVITE_SECS: u64 = DAY;
/// Shares of one device, open invitations included.
pub const SHARES_PER_DEVICE: u64 = 100;
/// Devices that one account may have as a guest.
pub const SHARES_PER_GUEST: u64 = 200;
/// Invitations that an account may make.
pub const INVITES_PER_ACCOUNT: [Window; 1] = [Window { seconds: HOUR, most: 120 }];
/// Codes of invitations that one account may try.
pub const INVITE_TRIES_PER_ACCOUNT: [Window; 1] = [Window { seconds: 10 * MINUTE, most: 20 }];
/// How long before its end a share's guest is told, seconds.
pub const SHARE_WARNING_SECS: u64 = DAY;
/// Longest time that a share may be made for, seconds; one without an end is no such share.
pub const SHARE_MAX_SECS: u64 = 3650 * DAY;
/// Revocations that a slow listener may lag behind before it must read the epochs anew.
pub const REVOCATION_BACKLOG: usize = 1024;
/// Leases renewed in one call.
pub const LEASES_PER_CALL: usize = 4096;
/// How long spent challenges and ledger entries stay, seconds.
pub const LEDGER_KEEP_SECS: u64 = 2 * DAY;

/// How long lines of the operation log are shown and kept, seconds.
pub const OPLOG_KEEP_SECS: u64 = 180 * DAY;
/// Lines of the operation log in one export; the newest.
pub const OPLOG_EXPORT: u64 = 10_000;
/// Refused requests that the operation log of one account takes.
pub const REFUSALS_LOGGED: [Window; 1] = [Window { seconds: HOUR, most: 60 }];
/// Life of a session without an account, seconds.
pub const BASIC_SECS: u64 = HOUR;
/// How long a terminal's facts are kept after it last gave them, seconds.
pub const TERMINAL_FACTS_SECS: u64 = 90 * DAY;
/// Facts and permissions that the terminals of one account may store.
pub const TERMINAL_PUTS: [Window; 1] = [Window { seconds: HOUR, most: 60 }];
/// Largest picture that is taken, bytes.
pub const AVATAR_BYTES: usize = 512 * 1024;
/// Most pixels of a picture, in width and in height.
pub const AVATAR_SIDE: u32 = 1024;
/// Pictures and profiles that one account may store.
pub const PROFILE_PUTS: [Window; 1] = [Window { seconds: HOUR, most: 60 }];
/// Attestations that one account may give.
pub const ATTESTATIONS: [Window; 1] = [Window { seconds: HOUR, most: 120 }];
/// Longest name of what an attestation is about, characters.
pub const ATTESTED_CHARS: usize = 96;
/// Longest note on a version of a client, characters.
pub const VERSION_NOTE_CHARS: usize = 2000;

/// Limits that depend on the size of an installation.
#[derive(Clone, Debug)]
pub struct Limits {
    /// What text messages may cost.
    pub sms: Policy,
    /// What happens to unusual logins.
    pub abnormal: abnormal::Policy,
    /// How long a code lets its terminal watch.
    pub view: ViewWindow,
    /// Codes sent to one number; the first window is the pause between two of them.
    pub sends_per_number: Vec<Window>,
    /// Those of them that go by mail at the wish of whoever is not signed in, while not answered.
    pub sends_for_strangers: Vec<Window>,
    /// Codes entered for one number, right or wrong.
    pub codes_per_number: Vec<Window>,
    /// Passwords entered for one number or address, right or wrong.
    pub passwords_per_account: Vec<Window>,
    /// Passwords entered from one address; see [`NETWORK_SHARE`] for IPv6.
    pub passwords_per_ip: Vec<Window>,
    /// Mails with codes sent at the wish of one address; see [`NETWORK_SHARE`] for IPv6.
    pub sends_per_ip: Vec<Window>,
    /// Codes sent to numbers that differ in their last four digits only.
    pub sends_per_prefix: Vec<Window>,
    /// Mails with codes sent in all at the wish of whoever is not signed in.
    pub sends_in_all: Vec<Window>,
    /// Binding tries of one account.
    pub binds_per_account: Vec<Window>,
    /// Binding tries from one address; see [`NETWORK_SHARE`] for IPv6.
    pub binds_per_ip: Vec<Window>,
    /// Ids of strangers' proofs that one network has remembered at a time.
    pub proofs_per_network: usize,
}

impl Limits {
    /// Limits for a server whose messages cost nothing because they are only shown to its
    /// operator. Tries of a code, of a printed code and of a device key stay as they are.
    pub fn for_development() -> Self {
        let hourly = |most| vec![Window { seconds: HOUR, most }];
        Self {
            sms: Policy::for_development(),
            abnormal: abnormal::Policy::default(),
            view: ViewWindow::default(),
            sends_per_number: vec![
                Window { seconds: 2, most: 1 },
                Window { seconds: HOUR, most: 120 },
            ],
            sends_for_strangers: hourly(120),
            codes_per_number: hourly(120),
            passwords_per_account: hourly(120),
            passwords_per_ip: hourly(10_000),
            sends_per_ip: hourly(10_000),
            sends_per_prefix: hourly(10_000),
            sends_in_all: hourly(10_000),
            binds_per_account: hourly(1000),
            binds_per_ip: hourly(10_000),
            // A rehearsal's thousands of terminals come from one address.
            proofs_per_network: PROOF_IDS,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sms: Policy::default(),
            abnormal: abnormal::Policy::default(),
            view: ViewWindow::default(),
            sends_per_number: vec![
                Window { seconds: MINUTE, most: 1 },
                Window { seconds: HOUR, most: 5 },
                Window { seconds: DAY, most: 10 },
            ],
            sends_for_strangers: SENDS_FOR_STRANGERS.to_vec(),
            codes_per_number: vec![Window { seconds: HOUR, most: 10 }],
            passwords_per_account: vec![Window { seconds: HOUR, most: 10 }],
            passwords_per_ip: vec![Window { seconds: HOUR, most: 100 }],
            sends_per_ip: vec![
                Window { seconds: HOUR, most: 20 },
                Window { seconds: DAY, most: 60 },
            ],
            sends_per_prefix: vec![Window { seconds: DAY, most: 20 }],
            sends_in_all: vec![Window { seconds: HOUR, most: 2000 }],
            binds_per_account: vec![Window { seconds: HOUR, most: 10 }],
            binds_per_ip: vec![Window { seconds: HOUR, most: 30 }],
            proofs_per_network: STRANGER_PROOF_IDS_PER_NETWORK,
        }
    }
}
