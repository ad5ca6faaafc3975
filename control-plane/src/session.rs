//! Signing in, staying signed in, signing out.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use sightline_grant::{Redacted, Revocation, Thumbprint};

use crate::ControlPlane;
use crate::acting;
use crate::consent::ConsentError;
use crate::error::Inner;
use crate::ids::{AccountId, ChallengeId, SessionId, Subject, TerminalId};
use crate::limits::{ACCESS_TTL_SECS, MAX_NAME_CHARS, SESSION_IDLE_SECS, SESSION_MAX_SECS};
use crate::otp::{OtpError, TARGET_PLACE};
use crate::phone::Phone;
use crate::random;
use crate::storage::model::{
    OtpBinding, OtpChallenge, OtpPurpose, Registration, Rotated, Rotation, Session, SessionOpened,
    SessionOpening, TokenHashes,
};
use crate::terminal::{self, Permissions, Shown, TerminalFacts};
use crate::vault::{DoesNotOpen, SubjectKey, token_hash};

/// Column of the encrypted number.
const PHONE: &str = "identifier.value";
/// Column of the encrypted terminal name.
const TERMINAL_NAME: &str = "terminal.name";

/// A login to open.
#[derive(Clone, Debug)]
pub struct SignIn {
    /// Challenge that the code answers.
    pub challenge: ChallengeId,
    /// The code.
    pub code: Redacted<String>,
    /// Name that the person gives the terminal.
    pub terminal_name: String,
    /// Kind of client.
    pub client_type: String,
    /// Purposes, with version, consented to while signing in.
    pub consents: Vec<(String, u32)>,
}

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
    /// The name or kind of the terminal is empty or too long.
    #[error("the terminal needs a name and a client type of at most 64 characters")]
    BadTerminal,
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
    /// First and last digits of the number.
    pub phone_masked: String,
    /// Unix seconds.
    pub created_at: u64,
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
        let fits = |text: &str| (1..=MAX_NAME_CHARS).contains(&text.trim().chars().count());
        if !fits(&request.terminal_name) || !fits(&request.client_type) {
            return Err(SignInError::BadTerminal);
        }
        for (purpose, version) in &request.consents {
            Self::purpose(purpose, Some(*version))?;
        }
        let binding = OtpBinding { purpose: OtpPurpose::Login, terminal, account: None };
        let code = request.code.expose();
        let challenge = self.check_code(&request.challenge, code, &binding).await?;
        let (signed_in, session) = self.open_session(request, terminal, &challenge).await?;
        for (purpose, version) in &request.consents {
            self.grant_consent(&session, purpose, *version).await?;
        }
        self.0.outbox.notify_one();
        Ok(signed_in)
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
        let now = self.now();
        let successor = self.vault().refresh_successor(token.expose());
        let tokens = self.tokens(successor.as_slice());
        let rotation = Rotation {
            presented: token_hash(token.expose()),
            jkt: terminal,
            tokens: self.hashes(&tokens),
            idle_expires: now + SESSION_IDLE_SECS,
        };
        match self.store().refresh_rotate(&rotation, now).await.map_err(Inner::from)? {
            Rotated::Fresh => {
                self.terminal_seen(&tokens.access).await?;
                Ok(tokens)
            }
            Rotated::Refused => Err(RefreshError::Refused),
            Rotated::Reused(session) => {
                self.announce(Revocation::Session { session: session.0 });
                self.0.outbox.notify_one();
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
        if self.store().session_revoke(&session.id, self.now()).await? {
            self.announce(Revocation::Session { session: session.id.0.clone() });
        }
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
        for session in ended {
            self.announce(Revocation::Session { session: session.0 });
        }
        Ok(true)
    }

    /// The account of a login.
    ///
    /// # Errors
    /// When the database does not answer or a value does not open.
    pub async fn me(&self, session: &Session) -> Result<Option<Me>, Inner> {
        let Some(account) = self.store().account(&session.account).await? else { return Ok(None) };
        let phone = self.phone_of(&account.id).await?.ok_or(DoesNotOpen)?;
        Ok(Some(Me {
            id: account.id,
            phone_masked: phone.masked(),
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

    /// The number of an account.
    pub(crate) async fn phone_of(&self, id: &AccountId) -> Result<Option<Phone>, Inner> {
        let Some(account) = self.store().account(id).await? else { return Ok(None) };
        let key = self.vault().subject_key(id.as_str(), &account.wrapped_key)?;
        let number = key.open(PHONE, id.as_str(), &account.phone_enc)?;
        Ok(Some(Phone::parse(&number).ok_or(DoesNotOpen)?))
    }

    async fn open_session(
        &self,
        request: &SignIn,
        jkt: Thumbprint,
        challenge: &OtpChallenge,
    ) -> Result<(SignedIn, Session), OtpError> {
        // Two rounds: when another terminal registers the number in between, the second finds it.
        for _ in 0..2 {
            let now = self.now();
            let (account, subject, key, registration) = self.account_for(challenge).await?;
            let name = request.terminal_name.trim();
            let random = self.random();
            let network = acting::sealed_network(&key, &account, random);
            acting::person(&account, None, network.clone());
            let tokens = self.tokens(&random::bytes::<32>(random));
            let opening = SessionOpening {
                challenge: challenge.id.clone(),
                account: account.clone(),
                registration,
                terminal: TerminalId(random::hex_id(random)),
                jkt,
                terminal_name_enc: key.seal(TERMINAL_NAME, account.as_str(), name, random),
                client_type: request.client_type.trim().to_owned(),
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
                    let id = opening.session.clone();
                    let session = Session {
                        id,
                        account: account.clone(),
                        subject,
                        terminal: terminal.clone(),
                        jkt,
                    };
                    let new_account = opening.registration.is_some();
                    return Ok((SignedIn { tokens, account, terminal, new_account }, session));
                }
                SessionOpened::ChallengeUsed => return Err(OtpError::WrongCode),
                SessionOpened::NumberTaken => {}
            }
        }
        Err(OtpError::WrongCode)
    }

    /// The account of the number that a challenge proved, or all that a new one needs.
    async fn account_for(
        &self,
        challenge: &OtpChallenge,
    ) -> Result<(AccountId, Subject, SubjectKey, Option<Registration>), Inner> {
        if let Some(account) = self.store().account_by_lookup(&challenge.target).await? {
            let key = self.vault().subject_key(account.id.as_str(), &account.wrapped_key)?;
            return Ok((account.id, account.subject, key, None));
        }
        let random = self.random();
        let id = AccountId(random::hex_id(random));
        let subject = Subject(random::hex_id(random));
        let number =
            self.vault().open_server(TARGET_PLACE, challenge.id.as_str(), &challenge.target_enc)?;
        let number = String::from_utf8(number).map_err(|_| DoesNotOpen)?;
        let (key, wrapped_key) = self.vault().new_subject_key(id.as_str(), random);
        let registration = Registration {
            subject: subject.clone(),
            wrapped_key,
            lookup: challenge.target.clone(),
            phone_enc: key.seal(PHONE, id.as_str(), &number, random),
        };
        Ok((id, subject, key, Some(registration)))
    }

    fn tokens(&self, refresh: &[u8]) -> Tokens {
        let access = random::bytes::<32>(self.random());
        Tokens {
            access: Redacted::new(B64.encode(access)),
            refresh: Redacted::new(B64.encode(refresh)),
        }
    }

    fn hashes(&self, tokens: &Tokens) -> TokenHashes {
        TokenHashes {
            access: token_hash(tokens.access.expose()),
            access_expires: self.now() + ACCESS_TTL_SECS,
            refresh: token_hash(tokens.refresh.expose()),
        }
    }
}
