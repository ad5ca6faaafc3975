//! Signing in by passkey.

use std::net::IpAddr;

use sightline_grant::Thumbprint;

use super::webauthn::{self, Assertion, Ceremony, Flaw};
use super::{PasskeyAsked, PasskeyLoginError, PasskeySignIn};
use crate::ControlPlane;
use crate::acting;
use crate::error::Inner;
use crate::limits::{CREDENTIAL_ID_BYTES, PASSKEY_TRIES_PER_NETWORK};
use crate::session::{Arrival, SignedIn};
use crate::sms::open::network;
use crate::storage::model::{Charge, PasskeyHolder, PasskeyUse};
use crate::vault::same;

/// What a login by passkey is called in the log of requests that were refused.
const LOGIN: &str = "POST /v1/sessions/passkey";

impl ControlPlane {
    /// What a browser needs to sign in by passkey; the same for everybody.
    ///
    /// # Errors
    /// See [`PasskeyLoginError`].
    pub async fn ask_passkey(
        &self,
        terminal: Thumbprint,
        ip: IpAddr,
    ) -> Result<PasskeyAsked, PasskeyLoginError> {
        let party = self.relying_party().ok_or(PasskeyLoginError::NoParty)?.clone();
        self.charge_passkey(ip).await?;
        Ok(PasskeyAsked { party, challenge: self.ask(terminal, None).await? })
    }

    /// Signs in by passkey.
    ///
    /// # Errors
    /// See [`PasskeyLoginError`].
    pub async fn sign_in_by_passkey(
        &self,
        request: &PasskeySignIn,
        terminal: Thumbprint,
        ip: IpAddr,
    ) -> Result<SignedIn, PasskeyLoginError> {
        let party = self.relying_party().ok_or(PasskeyLoginError::NoParty)?;
        let arrival = Arrival {
            terminal_name: &request.terminal_name,
            client_type: &request.client_type,
            consents: &request.consents,
        };
        self.check_arrival(&arrival).await?;
        self.charge_passkey(ip).await?;
        let asked = webauthn::answered(&request.client_data, Ceremony::Login, party);
        let challenge = asked.map_err(not_signed)?;
        if !self.answer(challenge, terminal, None).await? {
            return Err(PasskeyLoginError::Refused);
        }
        let PasskeyHolder { passkey, account } = self.held_passkey(&request.credential).await?;
        let shown = Assertion {
            client_data: &request.client_data,
            authenticator_data: &request.authenticator_data,
            signature: &request.signature,
        };
        let counted = webauthn::asserted(&shown, &passkey.public_key, party);
        let counter = match counted {
            Ok(counter) if same(&request.user, &self.passkey_user(&account.id)) => counter,
            refused => {
                self.log_refusal(&account.id, LOGIN).await?;
                return Err(not_signed(refused.err().unwrap_or(Flaw::Malformed)));
            }
        };
        // From here on it is the owner who acts, whatever comes of it.
        let key = self.vault().subject_key(account.id.as_str(), &account.wrapped_key);
        let key = key.map_err(Inner::from)?;
        let from = acting::sealed_network(&key, &account.id, self.random());
        acting::person(&account.id, None, from);
        let used = self.store().passkey_used(&passkey.id, counter, self.now()).await;
        match used.map_err(Inner::from)? {
            PasskeyUse::Fresh => {}
            PasskeyUse::Copied => {
                self.0.outbox.notify_one();
                return Err(PasskeyLoginError::Refused);
            }
            PasskeyUse::Unknown => return Err(PasskeyLoginError::Refused),
        }
        Ok(self.open_known(&arrival, terminal, account, "passkey").await?)
    }

    async fn held_passkey(&self, credential: &[u8]) -> Result<PasskeyHolder, PasskeyLoginError> {
        if !CREDENTIAL_ID_BYTES.contains(&credential.len()) {
            return Err(PasskeyLoginError::Refused);
        }
        let found = self.store().passkey_by_credential(&self.credential_lookup(credential)).await;
        found.map_err(Inner::from)?.ok_or(PasskeyLoginError::Refused)
    }

    async fn charge_passkey(&self, ip: IpAddr) -> Result<(), PasskeyLoginError> {
        let tries = Charge {
            dimension: "passkey-network",
            key: self.vault().lookup("network", &network(ip)),
            windows: PASSKEY_TRIES_PER_NETWORK.to_vec(),
        };
        let charged = self.store().charge(&[tries], self.now()).await.map_err(Inner::from)?;
        charged.map_err(PasskeyLoginError::Limited)
    }
}

fn not_signed(flaw: Flaw) -> PasskeyLoginError {
    tracing::info!(%flaw, "a login by passkey was refused");
    PasskeyLoginError::Refused
}
