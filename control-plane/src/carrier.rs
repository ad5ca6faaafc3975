//! One-click login: the phone's own line proves its number. The app brings a token of the carrier
//! that tells it nothing; the server trades it, at the carrier, for the number. A number that an app
//! names is never taken, and each token is taken once.

pub mod camara;
pub mod development;

use std::net::IpAddr;

use async_trait::async_trait;
use sightline_grant::{Redacted, Thumbprint};

use crate::ControlPlane;
use crate::address::Address;
use crate::error::Inner;
use crate::ids::ChallengeId;
use crate::limits::{CARRIER_TRIES_PER_NETWORK, OTP_TTL_SECS};
use crate::otp::TARGET_PLACE;
use crate::phone::Phone;
use crate::random;
use crate::session::{Arrival, SignInError, SignedIn};
use crate::sms::open::network;
use crate::storage::model::{Charge, IdentifierKind, OtpChallenge, OtpPurpose, RetryAfter};
use crate::vault::token_hash;

/// Shortest and longest token, characters.
const TOKEN_CHARS: std::ops::RangeInclusive<usize> = 8..=2048;

/// Why the carrier names no number.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
pub enum NoNumber {
    /// The token is unknown to it, used or too old, or the line has no number to tell.
    #[error("the carrier does not take this token")]
    Refused,
    /// It does not answer as agreed.
    #[error("the carrier does not answer: {0}")]
    Silent(String),
}

/// What an app needs to get a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CarrierFacts {
    /// Name that people read.
    pub name: String,
    /// Address that a browser is sent to for a token; `None` when only apps with an SDK get one.
    pub authorize: Option<String>,
    /// This service's id at the carrier.
    pub client_id: String,
    /// Scope to ask for.
    pub scope: String,
    /// A stand-in, which lets anybody be any number.
    pub development: bool,
}

/// A carrier.
#[async_trait]
pub trait Carrier: Send + Sync + 'static {
    /// Trades a token for the number of the line that it was made on. `redirect`: where a browser
    /// came back to with it.
    async fn number(
        &self,
        token: &Redacted<String>,
        redirect: Option<&str>,
    ) -> Result<Phone, NoNumber>;
    /// What apps may know.
    fn facts(&self) -> CarrierFacts;
}

/// A login by carrier.
#[derive(Clone, Debug)]
pub struct CarrierSignIn {
    /// The token.
    pub token: Redacted<String>,
    /// Where a browser came back to with it.
    pub redirect: Option<String>,
    /// Name that the person gives the terminal.
    pub terminal_name: String,
    /// Kind of client.
    pub client_type: String,
    /// Purposes, with version, consented to while signing in.
    pub consents: Vec<(String, u32)>,
}

/// Why nobody is signed in.
#[derive(Debug, thiserror::Error)]
pub enum CarrierError {
    /// There is none.
    #[error("this server works with no carrier; sign in with a code")]
    NoCarrier,
    /// Unknown, used or too old.
    #[error("the carrier's token is not valid or was used; ask the carrier anew or use a code")]
    Refused,
    /// It does not answer.
    #[error("the carrier does not answer now; sign in with a code")]
    Silent,
    /// Too many.
    #[error("too many requests; try again later")]
    Limited(RetryAfter),
    /// See [`SignInError`].
    #[error(transparent)]
    SignIn(#[from] SignInError),
    /// See [`Inner`].
    #[error(transparent)]
    Inner(#[from] Inner),
}

impl ControlPlane {
    /// Works with a carrier from now on; the first one stays.
    pub fn set_carrier(&self, carrier: std::sync::Arc<dyn Carrier>) {
        // A second one would be a mistake of whoever starts the server; the first is as good.
        let _ = self.0.carrier.set(carrier);
    }

    /// What apps may know of the carrier, if there is one.
    pub fn carrier_facts(&self) -> Option<CarrierFacts> {
        self.0.carrier.get().map(|carrier| carrier.facts())
    }

    /// Signs in by the number that the carrier names, and registers who is new.
    ///
    /// # Errors
    /// See [`CarrierError`].
    pub async fn sign_in_by_carrier(
        &self,
        request: &CarrierSignIn,
        terminal: Thumbprint,
        ip: IpAddr,
    ) -> Result<SignedIn, CarrierError> {
        let carrier = self.0.carrier.get().ok_or(CarrierError::NoCarrier)?;
        let tries = Charge {
            dimension: "carrier-network",
            key: self.vault().lookup("network", &network(ip)),
            windows: CARRIER_TRIES_PER_NETWORK.to_vec(),
        };
        let charged = self.store().charge(&[tries], self.now()).await.map_err(Inner::from)?;
        charged.map_err(CarrierError::Limited)?;
        let token = request.token.expose();
        // Taken before the carrier is asked: two requests with one token are one login at most.
        let fits = TOKEN_CHARS.contains(&token.len());
        if !fits || !self.take_carrier_token(token).await? {
            return Err(CarrierError::Refused);
        }
        let number = carrier.number(&request.token, request.redirect.as_deref()).await;
        let phone = number.map_err(|error| match error {
            NoNumber::Refused => CarrierError::Refused,
            NoNumber::Silent(reason) => {
                tracing::warn!(%reason, "the carrier does not answer");
                CarrierError::Silent
            }
        })?;
        self.open_proven(&phone, request, terminal).await
    }

    async fn take_carrier_token(&self, token: &str) -> Result<bool, Inner> {
        Ok(self.store().carrier_token_take(&token_hash(token), self.now()).await?)
    }

    /// A number that is proved signs in as if its code had come back: the same checks and records, but
    /// for guesses, which there are none of.
    async fn open_proven(
        &self,
        phone: &Phone,
        request: &CarrierSignIn,
        terminal: Thumbprint,
    ) -> Result<SignedIn, CarrierError> {
        let id = ChallengeId(random::hex_id(self.random()));
        let number = phone.expose().as_bytes();
        let challenge = OtpChallenge {
            purpose: OtpPurpose::Login,
            kind: IdentifierKind::Phone,
            target: Address::Phone(phone.clone()).lookup(self.vault()),
            target_enc: self.vault().seal_server(TARGET_PLACE, id.as_str(), number, self.random()),
            account: None,
            terminal,
            serial: String::new(),
            expires_at: self.now() + OTP_TTL_SECS,
            id,
        };
        self.store().carrier_proved(&challenge, self.now()).await.map_err(Inner::from)?;
        let arrival = Arrival {
            terminal_name: &request.terminal_name,
            client_type: &request.client_type,
            consents: &request.consents,
        };
        let done = self.sign_in_proven(&arrival, terminal, &challenge).await?;
        if done.new_account {
            self.store().carrier_registered(&done.account).await.map_err(Inner::from)?;
        }
        Ok(done)
    }
}
