//! Signing in, staying signed in, signing out.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use sightline_grant::{Redacted, Thumbprint};

use crate::ControlPlane;
use crate::acting;
use crate::consent::{ACCOUNT, ConsentError};
use crate::credential::PasswordError;
use crate::error::Inner;
use crate::identifier::{IDENTIFIER_VALUE, KnownAddress};
use crate::ids::{AccountId, AppId, ChallengeId, SessionId, Subject, TerminalId};
use crate::limits::{
    ACCESS_TTL_SECS, MAX_NAME_CHARS, RECYCLED_AFTER_SECS, SESSION_IDLE_SECS, SESSION_MAX_SECS,
};
use crate::otp::{OtpError, TARGET_PLACE, Tried};
use crate::password::Password;
use crate::random;
use crate::storage::model::{
    Account, Entry, FoundBy, IdentifierKind, IdentityUse, NewIdentifier, NewIdentity, OtpBinding,
    OtpChallenge, OtpPurpose, Registration, Rotated, Rotation, Session, SessionOpened,
    SessionOpening, TokenHashes,
};
use crate::terminal::{self, Permissions, Shown, TerminalFacts};
use crate::vault::{DoesNotOpen, SubjectKey, token_hash};

/// Column of the encrypted terminal name.
pub(crate) const TERMINAL_NAME: &str = "terminal.name";

/// A login to open.
#[derive(Clone, Debug)]
pub struct SignIn {
    /// Challenge that the code answers.
    pub challenge: ChallengeId,
    /// The code.
    pub code: Redacted<String>,
    /// The password beside it, where the code alone is not enough.
    pub password: Option<Password>,
    /// Name that the person gives the terminal.
    pub terminal_name: String,
    /// Kind of client.
    pub client_type: String,
    /// Purposes, with version, consented to while signing in.
    pub consents: Vec<(String, u32)>,
}

/// What every way of signing in tells about the terminal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival<'a> {
    pub(crate) terminal_name: &'a str,
    pub(crate) client_type: &'a str,
    pub(crate) consents: &'a [(String, u32)],
}

impl Arrival<'_> {
    /// What can be refused by itself.
    fn check(&self) -> Result<(), SignInError> {
        let fits = |text: &str| (1..=MAX_NAME_CHARS).contains(&text.trim().chars().count());
        if !fits(self.terminal_name) || !fits(self.client_type) {
            return Err(SignInError::BadTerminal);
        }
        Ok(())
    }
}

/// Whose login is opened.
struct Holder {
    account: AccountId,
    subject: Subject,
    key: SubjectKey,
    registration: Option<Registration>,
    identity: Option<IdentityUse>,
}

/// Whose identity at a provider was proved.
pub(crate) enum Recognised {
    /// An account's that it belongs to.
    Known(Account, IdentityUse),
    /// Nobody's yet: an account is made with this id and key.
    New(AccountId, NewAccountKey, NewIdentity),
}

/// Data key of an account that is about to be made, and its wrapped form.
pub(crate) struct NewAccountKey(pub(crate) SubjectKey, pub(crate) Vec<u8>);

/// A pair of tokens.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// For requests, good for [`ACCESS_TTL_SECS`].
    pub access: Redacted<String>,
    /// For new tokens, good once.
    pub refresh: Redacted<String>,
}

/// An open login.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// Tokens.
    pub tokens: Tokens,
    /// Account.
    pub account: AccountId,
    /// Terminal.
    pub terminal: TerminalId,
    /// Whether the account was made just now.
    pub new_account: bool,
    /// The login itself.
    pub(crate) session: Session,
    /// What was agreed to while signing in. It is recorded once the login is not held.
    pub(crate) consents: Vec<(String, u32)>,
}

/// Why nobody is signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// See [`OtpError`].
    #[error(transparent)]
    Otp(#[from] OtpError),
    /// See [`ConsentError`].
    #[error(transparent)]
    Consent(#[from] ConsentError),
    /// See [`PasswordError`].
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The account was unused for long and has something better than this number.
    #[error(
        "the account was not used for long, and this number or address may be somebody else's by \
         now; give the password too, or sign in by the other one or on a terminal that it knows"
    )]
    Idle,
    /// The name or kind of the terminal is empty or too long.
    #[error("the terminal needs a name and a client type of at most 64 characters")]
    BadTerminal,
    /// See [`Inner`].
    #[error(transparent)]
    Inner(#[from] Inner),
}

/// Why tokens are not renewed.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// Unknown, over, used or another terminal's.
    #[error("sign in again")]
    Refused,
    /// See [`Inner`].
    #[error(transparent)]
    Inner(#[from] Inner),
}

/// The account as its owner sees it.
#[derive(Clone, Debug)]
pub struct Me {
    /// Account.
    pub id: AccountId,
    /// First and last digits of the number, if there is one.
    pub phone_masked: Option<String>,
    /// Numbers and addresses, the number first.
    pub addresses: Vec<KnownAddress>,
    /// Whether it has a password.
    pub has_password: bool,
    /// Unix seconds.
    pub created_at: u64,
}

impl Me {
    /// Whether the account may have everything: a number or address of it was proved.
    pub fn is_full(&self) -> bool {
        !self.addresses.is_empty()
    }
}

/// A terminal as its owner sees it.
#[derive(Clone, Debug)]
pub struct MyTerminal {
    /// Terminal.
    pub id: TerminalId,
    /// Name.
    pub name: String,
    /// Kind of client.
    pub client_type: String,
    /// Unix seconds.
    pub first_seen: u64,
    /// Unix seconds.
    pub last_seen: u64,
    /// Whether this is the terminal that asks.
    pub current: bool,
    /// Network that it was in last.
    pub network: Option<String>,
    /// What it said about itself, if the account agrees to that.
    pub facts: Option<TerminalFacts>,
    /// What its system lets the client do, and when it said so, Unix seconds.
    pub permissions: Option<(Permissions, u64)>,
}

impl ControlPlane {
    /// Opens a login; registers the number when it is new. The answer looks the same either way,
    /// but for `new_account`, which only the holder of the number sees.
    ///
    /// # Errors
    /// See [`SignInError`].
    pub async fn sign_in(
        &self,
        request: &SignIn,
        terminal: Thumbprint,
    ) -> Result<SignedIn, SignInError> {
        let arrival = Arrival {
            terminal_name: &request.terminal_name,
            client_type: &request.client_type,
            consents: &request.consents,
        };
        self.check_arrival(&arrival).await?;
        let binding = OtpBinding { purpose: OtpPurpose::Login, terminal, account: None };
        let tried = self.try_code(&request.challenge, &binding).await?;
        let password = request.password.as_ref();
        if let Some(wait) = tried.closed
            && password.is_none()
        {
            return Err(OtpError::SecondFactor(wait).into());
        }
        // The code first: a password beside a wrong one is never looked at.
        self.compare_code(&tried, request.code.expose()).await?;
        let recycled = tried.entry.as_ref().is_some_and(|entry| self.looks_recycled(entry));
        if recycled || tried.closed.is_some() {
            let password = password.ok_or(SignInError::Idle)?;
            self.second_factor(&tried, password).await?;
            self.forget_guesses(&tried).await?;
        }
        self.open_answered(&arrival, terminal, &tried.challenge).await
    }

    /// The same for a challenge that something better than its code has answered: nothing is guessed,
    /// so nothing is counted.
    pub(crate) async fn sign_in_proven(
        &self,
        arrival: &Arrival<'_>,
        terminal: Thumbprint,
        challenge: &OtpChallenge,
    ) -> Result<SignedIn, SignInError> {
        self.check_arrival(arrival).await?;
        let entry = self.store().entry(&challenge.target, terminal).await.map_err(Inner::from)?;
        if entry.is_some_and(|entry| self.looks_recycled(&entry)) {
            return Err(SignInError::Idle);
        }
        self.open_answered(arrival, terminal, challenge).await
    }

    /// Opens a login by a challenge that was answered, and registers who is new.
    async fn open_answered(
        &self,
        arrival: &Arrival<'_>,
        terminal: Thumbprint,
        challenge: &OtpChallenge,
    ) -> Result<SignedIn, SignInError> {
        // Two rounds: when another terminal registers the number in between, the second finds it.
        for _ in 0..2 {
            let holder = self.holder_of(challenge).await?;
            let opened =
                self.open_session(arrival, terminal, "otp", Some(&challenge.id), holder).await;
            if let Some(signed_in) = opened? {
                return Ok(signed_in);
            }
        }
        Err(OtpError::WrongCode.into())
    }

    /// Refuses what can be before anything is known of whoever arrives.
    pub(crate) async fn check_arrival(&self, arrival: &Arrival<'_>) -> Result<(), SignInError> {
        arrival.check()?;
        Ok(self.check_versions(arrival.client_type.trim(), arrival.consents).await?)
    }

    /// Opens a login of an account whose holder was recognised in another way than by code.
    pub(crate) async fn open_known(
        &self,
        arrival: &Arrival<'_>,
        terminal: Thumbprint,
        account: Account,
        amr: &'static str,
    ) -> Result<SignedIn, SignInError> {
        let key = self.vault().subject_key(account.id.as_str(), &account.wrapped_key);
        let holder = Holder {
            key: key.map_err(Inner::from)?,
            account: account.id,
            subject: account.subject,
            registration: None,
            identity: None,
        };
        let opened = self.open_session(arrival, terminal, amr, None, holder).await?;
        Ok(opened.ok_or(OtpError::WrongCode)?)
    }

    /// Opens a login by an identity at a provider, and registers who is new. `None` when the identity
    /// found another holder in between.
    pub(crate) async fn open_recognised(
        &self,
        arrival: &Arrival<'_>,
        terminal: Thumbprint,
        who: Recognised,
    ) -> Result<Option<SignedIn>, SignInError> {
        let holder = match who {
            Recognised::Known(account, used) => {
                let key = self.vault().subject_key(account.id.as_str(), &account.wrapped_key);
                Holder {
                    key: key.map_err(Inner::from)?,
                    account: account.id,
                    subject: account.subject,
                    registration: None,
                    identity: Some(used),
                }
            }
            Recognised::New(account, NewAccountKey(key, wrapped_key), identity) => {
                let subject = Subject(random::hex_id(self.random()));
                let found_by = FoundBy::Identity(identity);
                let registration =
                    Some(Registration { subject: subject.clone(), wrapped_key, found_by });
                Holder { account, subject, key, registration, identity: None }
            }
        };
        Ok(self.open_session(arrival, terminal, "fed", None, holder).await?)
    }

    /// Whether a number may have found a new holder: nobody used the account for long, this terminal
    /// is not one of its own, and its owner has something better to sign in with.
    pub(crate) fn looks_recycled(&self, entry: &Entry) -> bool {
        let better = entry.password.is_some() || entry.identifiers > 1 || entry.other_ways;
        !entry.known_terminal && better && self.now() >= entry.last_seen + RECYCLED_AFTER_SECS
    }

    /// Checks the password that goes with a right code.
    async fn second_factor(&self, tried: &Tried, password: &Password) -> Result<(), SignInError> {
        let entry = tried.entry.as_ref();
        let nobody = AccountId(String::new());
        let account = entry.map_or(&nobody, |entry| &entry.account.id);
        let stored = entry.and_then(|entry| entry.password.as_ref());
        // A budget of its own: strangers cannot use it up, since it takes a code sent to the owner.
        let budget = self.guess_key_with_code(&tried.challenge.target);
        Ok(self.check_password(&budget, stored, account, password).await?)
    }

    /// Records what was agreed to while signing in. Not before the login was judged: one that is held
    /// may be a stranger's, who agrees to nothing in the owner's name.
    pub(crate) async fn record_arrival(&self, login: &SignedIn) -> Result<(), ConsentError> {
        let (policy, others): (Vec<_>, Vec<_>) =
            login.consents.iter().partition(|(purpose, _)| purpose == ACCOUNT.id);
        for (purpose, version) in policy.into_iter().chain(others) {
            match self.grant_consent(&login.session, purpose, *version).await {
                // Before the account is agreed to, nothing else can be: the login is in basic mode,
                // where the rest is asked for after that.
                Err(ConsentError::PolicyRequired) => {}
                granted => drop(granted?),
            }
        }
        Ok(())
    }

    /// Whether a refresh token, used or not, is of a live login of this terminal.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn knows_refresh(
        &self,
        token: &Redacted<String>,
        terminal: Thumbprint,
    ) -> Result<bool, Inner> {
        let hash = token_hash(token.expose());
        Ok(self.store().refresh_known(&hash, terminal, self.now()).await?)
    }

    /// Trades a refresh token for new tokens.
    ///
    /// # Errors
    /// See [`RefreshError`].
    pub async fn refresh(
        &self,
        token: &Redacted<String>,
        terminal: Thumbprint,
    ) -> Result<Tokens, RefreshError> {
        self.rotate(token, terminal, None).await
    }

    /// The same for the session of an app.
    pub(crate) async fn rotate(
        &self,
        token: &Redacted<String>,
        terminal: Thumbprint,
        app: Option<&AppId>,
    ) -> Result<Tokens, RefreshError> {
        let now = self.now();
        let successor = self.vault().refresh_successor(token.expose());
        let tokens = self.tokens(successor.as_slice());
        let rotation = Rotation {
            presented: token_hash(token.expose()),
            jkt: terminal,
            app: app.cloned(),
            tokens: self.hashes(&tokens),
            idle_expires: now + SESSION_IDLE_SECS,
        };
        match self.store().refresh_rotate(&rotation, now).await.map_err(Inner::from)? {
            Rotated::Fresh => {
                self.terminal_seen(&tokens.access).await?;
                Ok(tokens)
            }
            Rotated::Refused => Err(RefreshError::Refused),
            Rotated::Reused(ended) => {
                self.announce_sessions(ended);
                Err(RefreshError::Refused)
            }
        }
    }

    /// The live login of an access token, whatever terminal presents it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn session(&self, token: &Redacted<String>) -> Result<Option<Session>, Inner> {
        Ok(self.store().session_by_access(&token_hash(token.expose()), self.now()).await?)
    }

    /// Ends the login.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn sign_out(&self, session: &Session) -> Result<(), Inner> {
        let ended = self.store().session_revoke(&session.id, self.now()).await?;
        self.announce_sessions(ended);
        Ok(())
    }

    /// Signs a terminal of the account out: all its logins end. `false`: no such terminal.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn sign_out_terminal(
        &self,
        session: &Session,
        terminal: &TerminalId,
    ) -> Result<bool, Inner> {
        let ended = self.store().terminal_revoke(&session.account, terminal, self.now()).await?;
        let Some(ended) = ended else { return Ok(false) };
        self.announce_sessions(ended);
        Ok(true)
    }

    /// The account of a login.
    ///
    /// # Errors
    /// When the database does not answer or a value does not open.
    pub async fn me(&self, session: &Session) -> Result<Option<Me>, Inner> {
        let Some(account) = self.store().account(&session.account).await? else { return Ok(None) };
        let addresses = self.addresses_of(&account.id).await?;
        let phone = addresses.iter().find(|known| known.address.kind() == IdentifierKind::Phone);
        Ok(Some(Me {
            phone_masked: phone.map(|known| known.address.masked()),
            has_password: self.has_password(session).await?,
            addresses,
            id: account.id,
            created_at: account.created_at,
        }))
    }

    /// Terminals on which the account is signed in.
    ///
    /// # Errors
    /// When the database does not answer or a value does not open.
    pub async fn my_terminals(&self, session: &Session) -> Result<Vec<MyTerminal>, Inner> {
        let Some(account) = self.store().account(&session.account).await? else {
            return Ok(Vec::new());
        };
        let key = self.vault().subject_key(account.id.as_str(), &account.wrapped_key)?;
        let terminals = self.store().terminals(&account.id).await?;
        let details = self.store().terminal_details(&account.id).await?;
        let seen = terminals.into_iter().map(|terminal| {
            let detail = details.iter().find(|detail| detail.terminal == terminal.id);
            let Shown { network, facts, permissions } = terminal::shown(detail, &account, &key)?;
            Ok(MyTerminal {
                network,
                facts,
                permissions,
                name: key.open(TERMINAL_NAME, account.id.as_str(), &terminal.name_enc)?,
                current: terminal.id == session.terminal,
                id: terminal.id,
                client_type: terminal.client_type,
                first_seen: terminal.first_seen,
                last_seen: terminal.last_seen,
            })
        });
        seen.collect()
    }

    /// `None` when somebody registered the number in between.
    async fn open_session(
        &self,
        arrival: &Arrival<'_>,
        jkt: Thumbprint,
        amr: &'static str,
        challenge: Option<&ChallengeId>,
        holder: Holder,
    ) -> Result<Option<SignedIn>, OtpError> {
        let (now, random) = (self.now(), self.random());
        let Holder { account, subject, key, registration, identity } = holder;
        let network = acting::sealed_network(&key, &account, random);
        acting::person(&account, None, network.clone());
        let name = arrival.terminal_name.trim();
        let tokens = self.tokens(&random::bytes::<32>(random));
        let opening = SessionOpening {
            challenge: challenge.cloned(),
            identity,
            amr,
            account: account.clone(),
            registration,
            terminal: TerminalId(random::hex_id(random)),
            jkt,
            terminal_name_enc: key.seal(TERMINAL_NAME, account.as_str(), name, random),
            client_type: arrival.client_type.trim().to_owned(),
            session: SessionId(random::hex_id(random)),
            tokens: self.hashes(&tokens),
            idle_expires: now + SESSION_IDLE_SECS,
            abs_expires: now + SESSION_MAX_SECS,
        };
        match self.store().session_open(&opening, now).await.map_err(Inner::from)? {
            SessionOpened::Opened(terminal) => {
                if let Some(network) = network {
                    let seen = self.store().terminal_seen(&terminal, &network).await;
                    seen.map_err(Inner::from)?;
                }
                let id = opening.session;
                let (held, here) = (account.clone(), terminal.clone());
                let client_type = opening.client_type;
                let app = None;
                let session =
                    Session { id, account: held, subject, terminal: here, jkt, client_type, app };
                let new_account = opening.registration.is_some();
                let consents = arrival.consents.to_vec();
                self.0.outbox.notify_one();
                Ok(Some(SignedIn { tokens, account, terminal, new_account, session, consents }))
            }
            SessionOpened::ChallengeUsed => Err(OtpError::WrongCode),
            SessionOpened::NumberTaken => Ok(None),
        }
    }

    /// The account of the address that a challenge proved, or all that a new one needs.
    async fn holder_of(&self, challenge: &OtpChallenge) -> Result<Holder, OtpError> {
        let found = self.store().account_by_lookup(&challenge.target).await;
        if let Some(account) = found.map_err(Inner::from)? {
            let key = self.vault().subject_key(account.id.as_str(), &account.wrapped_key);
            return Ok(Holder {
                key: key.map_err(Inner::from)?,
                account: account.id,
                subject: account.subject,
                registration: None,
                identity: None,
            });
        }
        let random = self.random();
        let account = AccountId(random::hex_id(random));
        let subject = Subject(random::hex_id(random));
        let place = challenge.id.as_str();
        let text = self.vault().open_server(TARGET_PLACE, place, &challenge.target_enc);
        let text = text.map_err(Inner::from)?;
        let text = String::from_utf8(text).map_err(|_| Inner::from(DoesNotOpen))?;
        let (key, wrapped_key) = self.vault().new_subject_key(account.as_str(), random);
        let registration = Some(Registration {
            subject: subject.clone(),
            wrapped_key,
            found_by: FoundBy::Identifier(NewIdentifier {
                kind: challenge.kind,
                lookup: challenge.target.clone(),
                value_enc: key.seal(IDENTIFIER_VALUE, account.as_str(), &text, random),
                method: challenge.kind.method(),
                held_until: 0,
            }),
        });
        Ok(Holder { account, subject, key, registration, identity: None })
    }

    pub(crate) fn tokens(&self, refresh: &[u8]) -> Tokens {
        let access = random::bytes::<32>(self.random());
        Tokens {
            access: Redacted::new(B64.encode(access)),
            refresh: Redacted::new(B64.encode(refresh)),
        }
    }

    pub(crate) fn hashes(&self, tokens: &Tokens) -> TokenHashes {
        TokenHashes {
            access: token_hash(tokens.access.expose()),
            access_expires: self.now() + ACCESS_TTL_SECS,
            refresh: token_hash(tokens.refresh.expose()),
        }
    }
}
