//! The gate: who may watch, and whether those who watch still may.

mod touch;

use serde::{Deserialize, Serialize};
use sightline_grant::{Action, Epochs, Redacted, Role, Thumbprint};

use crate::ControlPlane;
use crate::consent::MEDIA_VIEW;
use crate::error::Inner;
use crate::ids::{Serial, SessionId};
use crate::limits::{LEASES_PER_CALL, MAX_NAME_CHARS, MEDIA_CONTEXT_SECS, VIEW_TOUCH_SECS};
use crate::share::scopes::{ShareScope, ShareScopes};
use crate::storage::model::{DeviceEpochs, GateFacts, LeaseFacts, MediaAudit, Session};
use crate::vault::token_hash;
pub(crate) use touch::Touches;

/// All facts hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    /// Pseudonym of the account.
    pub subject: String,
    /// Login session.
    pub session: String,
    /// Owner or guest.
    pub role: Role,
    /// Counters now.
    pub epochs: Epochs,
    /// Consent that the session stands on.
    pub consent_seq: u64,
}

/// Why nobody is let in, in the order of the checks.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// No live login.
    #[error("sign in first")]
    LoginRequired,
    /// The token is another terminal's.
    #[error("the login belongs to another terminal")]
    WrongTerminal,
    /// The account is in basic mode, or there is none.
    #[error("agree to having an account first")]
    PolicyRequired,
    /// Neither bound nor shared, or no such channel or device.
    #[error("no such device on this account")]
    NotBound,
    /// Shared, but not now.
    #[error("the device is shared with you at other hours; see the hours of its share")]
    ShareClosed,
    /// Shared, but not for this.
    #[error("the device's owner has not shared this with you; ask the owner to")]
    ScopeRequired,
    /// The present device key was not proven in this login.
    #[error("prove the device key first")]
    KeyProofRequired,
    /// No open viewing window.
    #[error("confirm by SMS first")]
    SmsRequired,
    /// No consent to the present text of the purpose.
    #[error("consent to viewing is missing")]
    ConsentRequired,
    /// The facts cannot be read.
    #[error("the service cannot check this now; try again")]
    Unavailable(#[from] Inner),
}

/// Facts about a viewing terminal, kept under `media.view` and for its time only. There is no
/// field for anything else, and none for a motion sensor.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SessionContext {
    /// Address within the local network.
    pub lan_ip: Option<String>,
    /// Address towards the internet.
    pub wan_ip: Option<String>,
    /// Kind of network.
    pub network_type: Option<String>,
    /// State of the network.
    pub network_state: Option<String>,
    /// Network operator.
    pub operator: Option<String>,
    /// Client and its version.
    pub client: Option<String>,
    /// System and its version.
    pub system: Option<String>,
    /// Model of the terminal.
    pub model: Option<String>,
    /// Screen: width, height, direction, density.
    pub screen: Option<String>,
}

/// The context of a media session is not taken.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// A field is longer than [`MAX_NAME_CHARS`].
    #[error("a field of the session context is too long")]
    TooLong,
    /// Without consent there is nothing to keep it under.
    #[error("consent to viewing is missing")]
    ConsentRequired,
    /// See [`Inner`].
    #[error(transparent)]
    Inner(#[from] Inner),
}

impl ControlPlane {
    /// Checks login, terminal, binding or share, key proof, viewing window and consent, in this order, in
    /// one read of the truth, and moves on the idle end of the window.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub async fn admit(
        &self,
        token: &Redacted<String>,
        terminal: Thumbprint,
        serial: &str,
        channel: u16,
        action: Action,
    ) -> Result<Admission, Refusal> {
        let (now, serial) = (self.now(), parsed(serial));
        let facts = self.facts_of(token, terminal, &serial, now).await?;
        let standing = facts.standing(channel, ShareScope::of(action), now)?;
        let proof = facts.proof_for(&standing, ShareScope::of(action))?;
        let idle_end = facts.window_idle_expires.ok_or(Refusal::SmsRequired)?;
        let consent_seq = facts.consent_seq.ok_or(Refusal::ConsentRequired)?;
        if idle_end + VIEW_TOUCH_SECS < now + self.config().limits.view.idle_secs() {
            self.touch(&facts.session.id, &serial);
        }
        Ok(Admission {
            subject: facts.session.subject.0,
            session: facts.session.id.0,
            role: standing.role,
            epochs: Epochs {
                binding: standing.epochs.binding,
                key: standing.epochs.key,
                share: standing.share,
                consent: facts.consent_epoch,
                session: 0,
                proof,
            },
            consent_seq,
        })
    }

    /// [`Self::admit`] for a media session that begins. Where each one needs a code of its own, the
    /// viewing window lets no other one in.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub async fn admit_session(
        &self,
        token: &Redacted<String>,
        terminal: Thumbprint,
        serial: &str,
        channel: u16,
        action: Action,
    ) -> Result<Admission, Refusal> {
        let admission = self.admit(token, terminal, serial, channel, action).await?;
        if self.config().limits.view.every_session() {
            let session = SessionId(admission.session.clone());
            let spent = self.store().step_up_spend(&session, &parsed(serial), self.now()).await;
            if !spent.map_err(Inner::from)? {
                return Err(Refusal::SmsRequired);
            }
        }
        Ok(admission)
    }

    /// Whether a caller may know if a channel is live: login, terminal, and binding or a share of it
    /// that is open for viewing. Does not count as use of the viewing window.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub async fn may_see(
        &self,
        token: &Redacted<String>,
        terminal: Thumbprint,
        serial: &str,
        channel: u16,
    ) -> Result<(), Refusal> {
        let now = self.now();
        let facts = self.facts_of(token, terminal, &parsed(serial), now).await?;
        facts.standing(channel, ShareScope::View, now).map(drop)
    }

    /// Whether this login may weaken a device's protection: login, terminal, binding, key proof and
    /// viewing window, in this order. No guest may.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub(crate) async fn confirmed(
        &self,
        token: &Redacted<String>,
        terminal: Thumbprint,
        serial: &str,
    ) -> Result<(), Refusal> {
        let facts = self.facts_of(token, terminal, &parsed(serial), self.now()).await?;
        facts.bound.ok_or(Refusal::NotBound)?;
        facts.key_proof.ok_or(Refusal::KeyProofRequired)?;
        facts.window_idle_expires.map(drop).ok_or(Refusal::SmsRequired)
    }

    /// What the gate knows of a login and a device, once login and terminal hold and the account is
    /// not in basic mode.
    async fn facts_of(
        &self,
        token: &Redacted<String>,
        terminal: Thumbprint,
        serial: &Serial,
        now: u64,
    ) -> Result<GateFacts, Refusal> {
        let hash = token_hash(token.expose());
        let facts = self
            .store()
            .gate_facts(&hash, serial, MEDIA_VIEW.id, MEDIA_VIEW.version, now)
            .await
            .map_err(Inner::from)?;
        let Some(facts) = facts else {
            let basic = self.is_basic(token, terminal);
            return Err(if basic { Refusal::PolicyRequired } else { Refusal::LoginRequired });
        };
        if facts.session.jkt != terminal {
            return Err(Refusal::WrongTerminal);
        }
        if facts.basic {
            return Err(Refusal::PolicyRequired);
        }
        Ok(facts)
    }

    /// For each lease, whether login, binding, key, window and consent still stand as they did at
    /// admission. One batched read for up to [`LEASES_PER_CALL`] leases.
    ///
    /// # Errors
    /// When the database does not answer; then nothing is known about any lease.
    pub async fn renew(&self, leases: &[LeaseFacts]) -> Result<Vec<bool>, Inner> {
        let mut verdicts = Vec::with_capacity(leases.len());
        for batch in leases.chunks(LEASES_PER_CALL) {
            verdicts.extend(self.store().leases_live(batch, self.now()).await?);
        }
        Ok(verdicts)
    }

    /// Records the start of a media session with the terminal's context, encrypted under the
    /// subject's key, for [`MEDIA_CONTEXT_SECS`].
    ///
    /// # Errors
    /// See [`AuditError`].
    pub async fn audit_media_session(
        &self,
        session: &Session,
        serial: &Serial,
        action: Action,
        context: Option<&SessionContext>,
    ) -> Result<(), AuditError> {
        let states = self.store().consents(&session.account).await.map_err(Inner::from)?;
        let in_force = self.in_force_for(session, &MEDIA_VIEW).await?;
        let consent = states.iter().find(|state| in_force.agreed(state));
        let consent_seq = consent.ok_or(AuditError::ConsentRequired)?.seq;
        let account = self.store().account(&session.account).await.map_err(Inner::from)?;
        let account = account.ok_or(AuditError::ConsentRequired)?;
        let context_enc = match context {
            Some(context) if !context.fits() => return Err(AuditError::TooLong),
            Some(context) => {
                let id = account.id.as_str();
                let key =
                    self.vault().subject_key(id, &account.wrapped_key).map_err(Inner::from)?;
                let plain = serde_json::to_string(context).expect("plain data serialises");
                Some(key.seal("media_audit.context", id, &plain, self.random()))
            }
            None => None,
        };
        let entry = MediaAudit {
            account: account.id,
            session: session.id.clone(),
            serial: serial.clone(),
            action: match action {
                Action::Live => "live",
                Action::Playback => "playback",
                Action::Download => "download",
                Action::Talk => "talk",
            },
            purpose: MEDIA_VIEW.id,
            consent_seq,
            context_enc,
            context_expires: self.now() + MEDIA_CONTEXT_SECS,
        };
        Ok(self.store().media_audit(&entry, self.now()).await.map_err(Inner::from)?)
    }
}

/// As what a caller comes, once that is known.
struct Standing {
    role: Role,
    epochs: DeviceEpochs,
    /// Number of the share; 0 of owners.
    share: u64,
}

impl GateFacts {
    /// Owner or guest; a guest within the hours, channels and scopes of the share.
    fn standing(&self, channel: u16, scope: ShareScope, now: u64) -> Result<Standing, Refusal> {
        if let Some((epochs, channels)) = self.bound {
            let owner = Standing { role: Role::Owner, epochs, share: 0 };
            return if channel < channels { Ok(owner) } else { Err(Refusal::NotBound) };
        }
        let shared = self.shared.as_ref().ok_or(Refusal::NotBound)?;
        if channel >= shared.channels || !shared.terms.has_channel(channel) {
            return Err(Refusal::NotBound);
        }
        if !shared.terms.is_open(now) {
            return Err(Refusal::ShareClosed);
        }
        if !shared.terms.has(scope) {
            return Err(Refusal::ScopeRequired);
        }
        Ok(Standing { role: Role::Guest, epochs: shared.epochs, share: shared.number })
    }

    /// The number of a proof that is good for this: what stands on the viewer list does what the list
    /// says, and a guest's stands there always.
    fn proof_for(&self, standing: &Standing, scope: ShareScope) -> Result<u64, Refusal> {
        let listed = ShareScopes::from_bits(self.proof_scopes.into());
        let enough = listed.has(scope) && (self.proof_by_terminal || standing.role == Role::Owner);
        self.key_proof.filter(|_| enough).ok_or(Refusal::KeyProofRequired)
    }
}

/// A serial that cannot exist is not bound either; the login is checked first all the same.
fn parsed(serial: &str) -> Serial {
    Serial::parse(serial).unwrap_or_else(|| Serial(String::new()))
}

impl SessionContext {
    fn fits(&self) -> bool {
        [
            &self.lan_ip,
            &self.wan_ip,
            &self.network_type,
            &self.network_state,
            &self.operator,
            &self.client,
            &self.system,
            &self.model,
            &self.screen,
        ]
        .into_iter()
        .flatten()
        .all(|text| text.chars().count() <= MAX_NAME_CHARS)
    }
}
