//! Apps that people sign in to with their account.

use sightline_grant::Thumbprint;

use super::TokenHashes;
use crate::ids::{AccountId, AppId, AppLoginId, SessionId, Subject, TerminalId};
use crate::sso::scope::Scopes;

/// An app as the operator registered it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    /// Client id.
    pub id: AppId,
    /// Name that people read.
    pub name: String,
    /// Where a browser may be sent back to, compared whole.
    pub redirect_uris: Vec<String>,
    /// The operator's own: gets sessions of its own.
    pub first_party: bool,
    /// Has a secret; an app without one proves a key on each request.
    pub confidential: bool,
    /// Hash of the secret, if one holds.
    pub secret_hash: Option<Vec<u8>>,
    /// Its privacy policy.
    pub policy_url: String,
    /// Version of that; a newer one is agreed to anew.
    pub policy_version: u32,
    /// Where it is told that a login is over.
    pub backchannel_uri: Option<String>,
    /// Unix seconds.
    pub created_at: u64,
    /// Since when it waits for the operator's word after a restore, Unix seconds.
    pub suspended_at: Option<u64>,
}

/// A key that signs what apps get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKey {
    /// Name in headers and in the published set.
    pub kid: String,
    /// Public half: `x || y` of P-256.
    pub public: Vec<u8>,
    /// Encrypted private half.
    pub sealed: Vec<u8>,
    /// Unix seconds.
    pub created_at: u64,
    /// Until when a replaced key is published, Unix seconds; `None`: it signs.
    pub published_until: Option<u64>,
}

/// What a person agreed that an app gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppConsent {
    /// Version of the app's policy.
    pub policy_version: u32,
    /// What the person was asked for.
    pub asked: Scopes,
    /// What the app gets of that.
    pub scopes: Scopes,
    /// Unix seconds.
    pub at: u64,
}

/// An app of a person.
#[derive(Clone, Debug)]
pub struct PersonsApp {
    /// The app.
    pub app: App,
    /// What was agreed to.
    pub consent: AppConsent,
    /// Logins that it has.
    pub logins: u64,
}

/// When and how a login was confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginTimes {
    /// When it was opened, Unix seconds.
    pub opened: u64,
    /// When it was confirmed last, by code or password, Unix seconds.
    pub confirmed: Option<u64>,
}

/// A code to issue.
#[derive(Clone, Debug)]
pub struct NewAppCode {
    /// Hash of the code.
    pub hash: Vec<u8>,
    /// App that may trade it.
    pub app: AppId,
    /// Whose login it leads to.
    pub account: AccountId,
    /// The person's login that it came from.
    pub login: SessionId,
    /// Who the person is to this app.
    pub pairwise: String,
    /// Where the browser was sent to with it.
    pub redirect_uri: String,
    /// SHA-256 of the verifier.
    pub challenge: [u8; 32],
    /// Key that it must be traded with.
    pub jkt: Option<Thumbprint>,
    /// What the app gets.
    pub scopes: Scopes,
    /// What the person agrees to with it; `None`: it was agreed to before.
    pub agreed: Option<AppConsent>,
    /// The app's own word, for its ID token.
    pub nonce: Option<String>,
    /// When the person showed who it is, Unix seconds.
    pub auth_time: u64,
    /// Unix seconds.
    pub expires: u64,
}

/// A code that can still be traded.
#[derive(Clone, Debug)]
pub struct AppCode {
    /// Whose login it leads to.
    pub account: AccountId,
    /// Who the person is to the app.
    pub pairwise: String,
    /// What was agreed to.
    pub scopes: Scopes,
    /// The app's own word.
    pub nonce: Option<String>,
    /// Unix seconds.
    pub auth_time: u64,
}

/// A code that is traded.
#[derive(Clone, Debug)]
pub struct Redemption {
    /// Hash of the code.
    pub code: Vec<u8>,
    /// App that presents it.
    pub app: AppId,
    /// Where it says that the browser came back to.
    pub redirect_uri: String,
    /// SHA-256 of the verifier that it shows.
    pub challenge: [u8; 32],
    /// Key that the request proved.
    pub jkt: Option<Thumbprint>,
    /// The login to open.
    pub login: AppLoginId,
    /// Its tokens.
    pub tokens: TokenHashes,
    /// Idle end, Unix seconds.
    pub idle_expires: u64,
    /// Of a first-party app: the session to open with it.
    pub session: Option<AppSession>,
}

/// A first-party app's session.
#[derive(Clone, Debug)]
pub struct AppSession {
    /// Session.
    pub id: SessionId,
    /// Terminal, unless the key is known.
    pub terminal: TerminalId,
    /// Key of the terminal.
    pub jkt: Thumbprint,
    /// Encrypted name of the terminal: the app's.
    pub name_enc: Vec<u8>,
}

/// How trading a code ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redeemed {
    /// The tokens hold. Sessions of older logins that made room.
    Opened(Vec<SessionId>),
    /// Unknown, over, another app's, or not what it was issued for; it is used up now.
    Refused,
    /// It had been used: what came of it is over. Sessions that ended with it.
    Replayed(Vec<SessionId>),
}

/// A refresh by a third-party app.
#[derive(Clone, Debug)]
pub struct AppRotation {
    /// Hash of the token presented.
    pub presented: Vec<u8>,
    /// App that presents it.
    pub app: AppId,
    /// Key that the request proved.
    pub jkt: Option<Thumbprint>,
    /// Successor and new access token.
    pub tokens: TokenHashes,
    /// New idle end, Unix seconds.
    pub idle_expires: u64,
}

/// How a refresh by a third-party app ended.
#[derive(Clone, Debug)]
pub enum AppRotated {
    /// New tokens hold.
    Fresh(AppLogin),
    /// Not a token of this app and key, or the login is over.
    Refused,
    /// The token had been used: the login is over now.
    Reused,
}

/// A login that an app has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppLogin {
    /// `sid`.
    pub id: AppLoginId,
    /// App.
    pub app: AppId,
    /// Whose.
    pub account: AccountId,
    /// Pseudonym of the account, the same for all apps; never theirs to see.
    pub subject: Subject,
    /// Who the person is to the app.
    pub pairwise: String,
    /// What was agreed to.
    pub scopes: Scopes,
    /// Key that its tokens are bound to.
    pub jkt: Option<Thumbprint>,
    /// Unix seconds.
    pub auth_time: u64,
    /// A first-party app's session.
    pub session: Option<SessionId>,
}

/// A word to an app that a login is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppLogout {
    /// `sid` of the login.
    pub login: AppLoginId,
    /// App.
    pub app: AppId,
    /// Where it goes.
    pub uri: String,
    /// Who the person was to the app.
    pub pairwise: String,
}
