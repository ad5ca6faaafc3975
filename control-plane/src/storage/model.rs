//! The rows and outcomes that the storage traits speak of.

mod abnormal;
mod account;
mod credential;
mod device_facts;
mod handover;
mod idempotency;
mod identity;
mod introduction;
mod mailbox;
mod passkey;
mod policy;
mod share;
mod sms;
mod sso;

use sightline_grant::Thumbprint;

use crate::ids::{AccountId, AppId, ChallengeId, Serial, SessionId, Subject, TerminalId};

pub use abnormal::{Alert, LoginSeen, Noticed};
pub use account::{
    AppVersionRow, Attestation, FactsPut, NewAttestation, OplogFilter, OplogLine, ProfileEdit,
    ProfileRow, TerminalDetail,
};
pub use credential::{
    Entry, Guess, GuessKind, Identifier, IdentifierChange, IdentifierKind, IdentifierPut,
    IdentifierRemoved, NewIdentifier, NewNotice, NewPassword, Notice, PasswordPut, SecureWindow,
    StoredPassword,
};
pub use device_facts::{Fact, FactKind, NewFact, NewProvisioning};
pub use handover::{BindTokenState, CodeKind, CodeUse, CodeUsed, NewBindToken, NewDeviceCode};
pub use idempotency::{KeyBegun, KeyedRequest};
pub use identity::{
    FlowPurpose, Identity, IdentityBinding, IdentityBound, IdentityFlow, IdentityRevocation,
    IdentityUnbinding, IdentityUnbound, IdentityUse, NewIdentity,
};
pub use introduction::{Introduction, IntroductionPut, NewIntroduction, Party};
pub use mailbox::{
    EncModeEvent, EndedProof, GenerationPage, GenerationPut, ListPut, ListedTerminal,
    NewGeneration, NewList, NewOrder, OrderPut, StoredGeneration, StoredList, StoredOrder,
    WrapAdded,
};
pub use passkey::{NewPasskey, Passkey, PasskeyAdded, PasskeyChallenge, PasskeyHolder, PasskeyUse};
pub use policy::{PolicyMark, ProductPolicy, ProductPolicyPut};
pub use share::{
    Acceptance, Accepted, Attested, EndedBy, Invited, NewInvite, Share, ShareChange, ShareChanged,
    ShareCut, ShareEnded, ShareTerms,
};
pub use sms::{Delivery, SmsAsk, SmsDecision, SmsOpened};
pub use sso::{
    App, AppCode, AppConsent, AppLogin, AppLogout, AppRotated, AppRotation, AppSession, LoginTimes,
    NewAppCode, PersonsApp, Redeemed, Redemption, SigningKey,
};

/// An active account.
#[derive(Clone, Debug)]
pub struct Account {
    /// Id.
    pub id: AccountId,
    /// Pseudonym.
    pub subject: Subject,
    /// Data key of the subject, wrapped under the server's master key.
    pub wrapped_key: Vec<u8>,
    /// Rises with each withdrawal.
    pub consent_epoch: u64,
    /// Unix seconds.
    pub created_at: u64,
}

/// What an erasure ended.
#[derive(Clone, Debug)]
pub struct Erased {
    /// Pseudonym that remains in the consent chain.
    pub subject: Subject,
    /// Sessions that ended.
    pub sessions: Vec<SessionId>,
    /// Devices that were unbound, with their new epochs.
    pub devices: Vec<(Serial, DeviceEpochs)>,
    /// New consent epoch.
    pub consent_epoch: u64,
}

/// Seconds until a limit lets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryAfter(pub u64);

/// At most `most` events in `seconds`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Length, seconds.
    pub seconds: u64,
    /// Events.
    pub most: u64,
}

/// One event to count in one dimension.
#[derive(Clone, Debug)]
pub struct Charge {
    /// Dimension.
    pub dimension: &'static str,
    /// Keyed hash of what is limited.
    pub key: Vec<u8>,
    /// Limits, all of which must have room.
    pub windows: Vec<Window>,
}

/// What a one-time code is for. A code of one purpose is worth nothing for another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OtpPurpose {
    /// Sign in or register.
    Login,
    /// Open the viewing window of one device.
    View,
    /// Open the window for dangerous acts on the account.
    Secure,
    /// Set a new password.
    Reset,
    /// Prove a number or address that is to come to the account.
    Identifier,
}

impl OtpPurpose {
    /// Stored form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::View => "view",
            Self::Secure => "secure",
            Self::Reset => "reset",
            Self::Identifier => "identifier",
        }
    }

    /// From the stored form.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Login, Self::View, Self::Secure, Self::Reset, Self::Identifier]
            .into_iter()
            .find(|purpose| purpose.as_str() == text)
    }
}

/// A challenge of a one-time code.
#[derive(Clone, Debug)]
pub struct OtpChallenge {
    /// Id; the code is derived from it.
    pub id: ChallengeId,
    /// Purpose.
    pub purpose: OtpPurpose,
    /// Kind of the target.
    pub kind: IdentifierKind,
    /// Keyed hash of the number or address.
    pub target: Vec<u8>,
    /// The number or address, encrypted under a server key; goes with the challenge.
    pub target_enc: Vec<u8>,
    /// Account that asked; none for [`OtpPurpose::Login`] and [`OtpPurpose::Reset`].
    pub account: Option<AccountId>,
    /// Key of the terminal that asked.
    pub terminal: Thumbprint,
    /// Device, for [`OtpPurpose::View`]; empty otherwise.
    pub serial: String,
    /// Unix seconds.
    pub expires_at: u64,
}

impl OtpChallenge {
    /// Whether an account asks for a code to an address of its own. One that is to come to it is
    /// nobody's yet.
    pub fn is_of_account(&self) -> bool {
        self.account.is_some() && self.purpose != OtpPurpose::Identifier
    }
}

/// What must agree before a try is counted.
#[derive(Clone, Debug)]
pub struct OtpBinding {
    /// Purpose.
    pub purpose: OtpPurpose,
    /// Key that the request proved.
    pub terminal: Thumbprint,
    /// Account that is signed in; none for [`OtpPurpose::Login`] and [`OtpPurpose::Reset`].
    pub account: Option<AccountId>,
}

/// A viewing window.
#[derive(Clone, Debug)]
pub struct StepUp {
    /// Login session.
    pub session: SessionId,
    /// Device.
    pub serial: Serial,
    /// How far each use moves its end on, seconds.
    pub idle: u64,
    /// End if unused, Unix seconds.
    pub idle_expires: u64,
    /// Latest end, Unix seconds.
    pub max_expires: u64,
}

/// A login about to open.
#[derive(Clone, Debug)]
pub struct SessionOpening {
    /// The challenge that was answered, if the login stands on one; used up.
    pub challenge: Option<ChallengeId>,
    /// The identity at a provider that was proved, if the account is known by it.
    pub identity: Option<IdentityUse>,
    /// How the person was recognised: `otp` or `pwd` (RFC 8176), or `fed` by a provider.
    pub amr: &'static str,
    /// Account to open the session for.
    pub account: AccountId,
    /// Set when the account is to be made.
    pub registration: Option<Registration>,
    /// Id for the terminal if it is new on this account.
    pub terminal: TerminalId,
    /// Key of the terminal.
    pub jkt: Thumbprint,
    /// Name of the terminal, encrypted under the data key.
    pub terminal_name_enc: Vec<u8>,
    /// Kind of client.
    pub client_type: String,
    /// Session.
    pub session: SessionId,
    /// Tokens.
    pub tokens: TokenHashes,
    /// End if unused, Unix seconds.
    pub idle_expires: u64,
    /// Latest end, Unix seconds.
    pub abs_expires: u64,
}

/// A new account.
#[derive(Clone, Debug)]
pub struct Registration {
    /// Pseudonym.
    pub subject: Subject,
    /// Wrapped data key.
    pub wrapped_key: Vec<u8>,
    /// What was proved.
    pub found_by: FoundBy,
}

/// What a new account is found by.
#[derive(Clone, Debug)]
pub enum FoundBy {
    /// A number or address.
    Identifier(NewIdentifier),
    /// An identity at a provider; no number or address is known yet.
    Identity(NewIdentity),
}

/// Hashes of a pair of tokens.
#[derive(Clone, Debug)]
pub struct TokenHashes {
    /// Access token.
    pub access: Vec<u8>,
    /// Its end, Unix seconds.
    pub access_expires: u64,
    /// Refresh token.
    pub refresh: Vec<u8>,
}

/// How opening a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionOpened {
    /// Open, on this terminal.
    Opened(TerminalId),
    /// The challenge was used before.
    ChallengeUsed,
    /// What the account is found by has another holder since it was looked up; look again.
    NumberTaken,
}

/// A live login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Session.
    pub id: SessionId,
    /// Account.
    pub account: AccountId,
    /// Pseudonym.
    pub subject: Subject,
    /// Terminal.
    pub terminal: TerminalId,
    /// Key of the terminal.
    pub jkt: Thumbprint,
    /// Kind of client on it: the product whose policies are in force.
    pub client_type: String,
    /// The first-party app that has it; `None`: it is the person's own.
    pub app: Option<AppId>,
}

/// A refresh.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// Hash of the token presented.
    pub presented: Vec<u8>,
    /// Key that the request proved.
    pub jkt: Thumbprint,
    /// App that presents it; `None`: nobody but the person's own terminal may.
    pub app: Option<AppId>,
    /// Successor and new access token.
    pub tokens: TokenHashes,
    /// New idle end, Unix seconds.
    pub idle_expires: u64,
}

/// How a refresh ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotated {
    /// New tokens hold.
    Fresh,
    /// Not a token, or the login is over, or another terminal's.
    Refused,
    /// The token had been used: the login is over now, and these sessions with it.
    Reused(Vec<SessionId>),
}

/// A signed-in terminal.
#[derive(Clone, Debug)]
pub struct Terminal {
    /// Id.
    pub id: TerminalId,
    /// Encrypted name.
    pub name_enc: Vec<u8>,
    /// Kind of client.
    pub client_type: String,
    /// Unix seconds.
    pub first_seen: u64,
    /// Unix seconds.
    pub last_seen: u64,
}

/// A device to add.
#[derive(Clone, Debug)]
pub struct Device {
    /// Serial.
    pub serial: Serial,
    /// Name.
    pub name: String,
    /// Model.
    pub model: String,
    /// How it protects and publishes.
    pub kind: DeviceKind,
    /// Its media is sealed: clear media of it is refused, and the reverse.
    pub seals: bool,
    /// Keyed hash of the verification code.
    pub code: Vec<u8>,
    /// Number of channels.
    pub channels: u16,
}

/// How a device protects and publishes.
#[derive(Clone, Debug)]
pub enum DeviceKind {
    /// The agent: publishes with its identity key; its media may be sealed.
    Agent(Thumbprint),
    /// An RTSP or WHIP camera: publishes with a password, always open.
    Credential(Credential),
}

/// What is kept of a publishing password.
#[derive(Clone, Debug)]
pub struct Credential {
    /// Hash for bearer use.
    pub token: Vec<u8>,
    /// Digest secrets, encrypted under a server key.
    pub ha1_enc: Vec<u8>,
    /// Public half of the `auth` key derived from the password.
    pub verifier: [u8; 32],
}

/// A device as it stands.
#[derive(Clone, Debug)]
pub struct DeviceState {
    /// As added.
    pub device: Device,
    /// Owner.
    pub owner: Option<AccountId>,
    /// Counters.
    pub epochs: DeviceEpochs,
    /// Public half of the identity, Ed25519, once a generation came; viewers of a sealed device pin it.
    pub identity_key: Option<[u8; 32]>,
    /// Key verifier that proofs are checked against: of the present binding (sealed) or of the
    /// publishing password (open).
    pub verifier: Option<[u8; 32]>,
    /// Version of the viewer list of the present binding; 0 without one.
    pub list_version: u64,
    /// The sealing order of the present binding.
    pub order: Option<StoredOrder>,
}

/// Counters of a device. They only rise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct DeviceEpochs {
    /// Rises at binding and unbinding.
    pub binding: u64,
    /// Rises when a key verifier is stored, replaced or dropped.
    pub key: u64,
}

/// How binding ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Bound now.
    Newly(DeviceEpochs),
    /// Was bound to this account already.
    Already(DeviceEpochs),
    /// Bound to another account, or waiting for its camera's word after a restore.
    Taken,
}

/// How storing a verifier ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerifierPut {
    /// First one of this binding.
    First(u64),
    /// Replaced another one.
    Rotated(u64),
    /// The same as before.
    Same(u64),
    /// Not bound, or under another binding epoch.
    OtherBinding,
}

/// A challenge of a device key.
#[derive(Clone, Debug)]
pub struct KeyChallenge {
    /// Id.
    pub id: ChallengeId,
    /// Login session that asked.
    pub session: SessionId,
    /// Device.
    pub serial: Serial,
    /// Channel.
    pub channel: u16,
    /// Key of the terminal that asked.
    pub jkt: Thumbprint,
    /// Random part, base64url.
    pub nonce: String,
    /// Unix seconds.
    pub expires_at: u64,
}

/// A proof of a device key.
#[derive(Clone, Debug)]
pub struct KeyProof {
    /// Login session.
    pub session: SessionId,
    /// Device.
    pub serial: Serial,
    /// Epochs under which the verifier was read.
    pub epochs: DeviceEpochs,
    /// What it stands on.
    pub by: ProofBy,
    /// Unix seconds.
    pub expires: u64,
}

/// What a proof of a device key stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofBy {
    /// The device secret.
    Secret,
    /// A terminal on the viewer list of this version.
    Terminal {
        /// Its Ed25519 key.
        signing: [u8; 32],
        /// Version of the list.
        list: u64,
        /// What the list lets it do, bits.
        scopes: u16,
    },
}

/// A decision about a purpose.
#[derive(Clone, Debug)]
pub struct ConsentAct {
    /// Account.
    pub account: AccountId,
    /// Pseudonym.
    pub subject: Subject,
    /// Terminal.
    pub terminal: TerminalId,
    /// Purpose.
    pub purpose: String,
    /// Version of its text.
    pub version: u32,
    /// Policy of a product that it was given under; `None`: the general one, or a withdrawal, which is
    /// from all.
    pub policy: Option<PolicyMark>,
    /// Granted or withdrawn.
    pub granted: bool,
}

/// How appending ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsentAppended {
    /// Event.
    pub seq: u64,
    /// Consent epoch after it.
    pub epoch: u64,
}

/// State of one purpose under the general policy or under a product's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsentState {
    /// Purpose.
    pub purpose: String,
    /// Policy of a product that was decided on; `None`: the general one.
    pub policy: Option<PolicyMark>,
    /// Version decided on.
    pub version: u32,
    /// Granted or withdrawn.
    pub granted: bool,
    /// Event.
    pub seq: u64,
    /// Unix seconds.
    pub at: u64,
}

/// One link of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsentEvent {
    /// Position, from 1 without gaps.
    pub seq: u64,
    /// Pseudonym.
    pub subject: String,
    /// Purpose.
    pub purpose: String,
    /// Version.
    pub version: u32,
    /// Policy of a product that it was given under.
    pub policy: Option<PolicyMark>,
    /// Granted or withdrawn.
    pub granted: bool,
    /// Terminal id.
    pub terminal: String,
    /// Unix seconds.
    pub at: u64,
    /// Hash of the link before; zeros for the first.
    pub prev_hash: Vec<u8>,
    /// Hash of this link.
    pub hash: Vec<u8>,
}

/// All facts of the gate about one token and one device.
#[derive(Clone, Debug)]
pub struct GateFacts {
    /// The login.
    pub session: Session,
    /// The account is in basic mode: its holder does not agree to the policy.
    pub basic: bool,
    /// Consent epoch of the account.
    pub consent_epoch: u64,
    /// Epochs and number of channels, when the device is bound to the account.
    pub bound: Option<(DeviceEpochs, u16)>,
    /// When the device is shared with the account.
    pub shared: Option<Shared>,
    /// Number of the proof of the present key under the present binding, if one holds.
    pub key_proof: Option<u64>,
    /// What that proof lets do: bits of a viewer list.
    pub proof_scopes: u16,
    /// Whether it stands on a terminal of the viewer list.
    pub proof_by_terminal: bool,
    /// Idle end of the open viewing window.
    pub window_idle_expires: Option<u64>,
    /// Event by which the purpose is consented to, in its present version.
    pub consent_seq: Option<u64>,
}

/// What the gate knows of a share.
#[derive(Clone, Debug)]
pub struct Shared {
    /// Counters of the device.
    pub epochs: DeviceEpochs,
    /// Number of its channels.
    pub channels: u16,
    /// Number of the share.
    pub number: u64,
    /// What is shared, and when.
    pub terms: ShareTerms,
}

/// What a lease stands on.
#[derive(Clone, Debug)]
pub struct LeaseFacts {
    /// Pseudonym.
    pub subject: String,
    /// Login session.
    pub session: String,
    /// Device.
    pub serial: String,
    /// Counters at admission.
    pub epochs: sightline_grant::Epochs,
}

/// The start of a media session.
#[derive(Clone, Debug)]
pub struct MediaAudit {
    /// Account.
    pub account: AccountId,
    /// Login session.
    pub session: SessionId,
    /// Device.
    pub serial: Serial,
    /// Action.
    pub action: &'static str,
    /// Purpose under which the context is kept.
    pub purpose: &'static str,
    /// Consent that it stands on.
    pub consent_seq: u64,
    /// Encrypted context.
    pub context_enc: Option<Vec<u8>>,
    /// When the context goes, Unix seconds.
    pub context_expires: u64,
}

/// A message to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxEntry {
    /// Id.
    pub id: u64,
    /// `sms`, `mail` or `in_app`.
    pub channel: String,
    /// Kind of message.
    pub kind: String,
    /// What it is about: a serial, a terminal, a challenge.
    pub reference: String,
    /// Attempts, this one included.
    pub attempts: u64,
}

/// An in-app message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Id.
    pub id: u64,
    /// Kind.
    pub kind: String,
    /// What it is about.
    pub reference: String,
    /// Unix seconds.
    pub at: u64,
}

/// One act on an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OplogEntry {
    /// What was done.
    pub action: String,
    /// To what.
    pub object: String,
    /// Unix seconds.
    pub at: u64,
}

/// Stands for everything committed so far by others than this store. Only equality means anything.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CommitMark {
    /// Which connection counts.
    pub(crate) connection: u64,
    /// Its counter.
    pub(crate) version: u64,
}
