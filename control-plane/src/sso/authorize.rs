//! The authorisation endpoint behind the page: who asks, what for, and what the person says to it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use sightline_grant::Redacted;

use super::request::{AppRequest, Back, Query, Told};
use super::scope::Scopes;
use crate::ControlPlane;
use crate::error::Inner;
use crate::ids::AppId;
use crate::limits::{APP_CODE_SECS, APP_CODES_PER_ACCOUNT, AUTH_FRESH_SECS};
use crate::random;
use crate::storage::model::{App, AppConsent, Charge, LoginTimes, NewAppCode, RetryAfter, Session};
use crate::vault::token_hash;

/// What the person says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing yet.
    Unasked,
    /// The app gets what it asks for, the name if the person lets it.
    Agreed {
        /// Whether the name, too.
        profile: bool,
    },
    /// The app gets nothing.
    Refused,
}

/// What a person is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// The app.
    pub app: App,
    /// What it asks for.
    pub scopes: Scopes,
    /// Where the browser goes if nobody is signed in; `None`: the person may sign in.
    pub unless_signed_in: Option<String>,
}

/// What comes of a request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The browser goes there, with a code or an error.
    Back(String),
    /// The person is to be asked.
    Ask(Question),
}

/// Why a request is not answered at all: nobody is sent to an address that the app does not have.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// No such app, or another address than it has.
    #[error("no app of this server asks so: its client id or its redirect address is not known")]
    Unknown,
    /// The login is older than the app takes.
    #[error("the app wants you to confirm first that it is you")]
    ConfirmFirst,
    /// Too many.
    #[error("too many requests; try again later")]
    Limited(RetryAfter),
    /// See [`Inner`].
    #[error(transparent)]
    Inner(#[from] Inner),
}

/// A request that was read.
enum Read {
    Fine(Box<AppRequest>),
    Bad(String),
}

impl ControlPlane {
    /// What a request, the query of the authorisation endpoint, asks for.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn read_app_request(&self, query: &str) -> Result<Answer, RequestError> {
        match self.app_request(query).await? {
            Read::Bad(back) => Ok(Answer::Back(back)),
            Read::Fine(request) => {
                let back = request.back.with_error(Told("login_required"));
                let unless_signed_in = request.prompt.none.then_some(back);
                let AppRequest { app, scopes, .. } = *request;
                Ok(Answer::Ask(Question { app, scopes, unless_signed_in }))
            }
        }
    }

    /// Answers a request in the name of whoever is signed in.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn answer_app(
        &self,
        session: &Session,
        query: &str,
        decision: Decision,
    ) -> Result<Answer, RequestError> {
        let request = match self.app_request(query).await? {
            Read::Bad(back) => return Ok(Answer::Back(back)),
            Read::Fine(request) => *request,
        };
        let told = |error| Ok(Answer::Back(request.back.with_error(Told(error))));
        if decision == Decision::Refused {
            return told("access_denied");
        }
        let times = self.store().login_times(&session.id, self.now()).await.map_err(Inner::from)?;
        let Some(auth_time) = times.and_then(|times| self.shown_at(&request, times)) else {
            if request.prompt.none {
                return told("login_required");
            }
            return Err(RequestError::ConfirmFirst);
        };
        let consent = self.store().app_consent(&session.account, &request.app.id).await;
        let consent = consent.map_err(Inner::from)?;
        let (scopes, agreed) = match decision {
            Decision::Agreed { profile } => {
                let scopes = request.scopes.both(Scopes { profile });
                (scopes, Some(self.agreement(&request, scopes)))
            }
            _ => match consent.filter(|consent| holds(consent, &request)) {
                Some(consent) => (request.scopes.both(consent.scopes), None),
                None if request.prompt.none => return told("consent_required"),
                None => {
                    let AppRequest { app, scopes, .. } = request;
                    return Ok(Answer::Ask(Question { app, scopes, unless_signed_in: None }));
                }
            },
        };
        self.charge_code(session).await?;
        self.issue_app_code(session, &request, (scopes, agreed), auth_time).await
    }

    async fn app_request(&self, query: &str) -> Result<Read, RequestError> {
        let query = Query::parse(query);
        let id = query.get("client_id").ok_or(RequestError::Unknown)?;
        let app = self.store().app(&AppId(id.to_owned())).await.map_err(Inner::from)?;
        let app = app.ok_or(RequestError::Unknown)?;
        let back = Back::to(&query, &app, self.issuer()).ok_or(RequestError::Unknown)?;
        Ok(match AppRequest::read(&query, app, back.clone()) {
            Ok(request) => Read::Fine(Box::new(request)),
            Err(told) => Read::Bad(back.with_error(told)),
        })
    }

    /// When the person showed last who it is, if that is as fresh as the app wants it.
    fn shown_at(&self, request: &AppRequest, times: LoginTimes) -> Option<u64> {
        let shown = times.opened.max(times.confirmed.unwrap_or(0));
        let wanted = if request.prompt.login { Some(0) } else { request.max_age };
        let most = wanted.map_or(u64::MAX, |age| age.max(AUTH_FRESH_SECS));
        (self.now().saturating_sub(shown) <= most).then_some(shown)
    }

    fn agreement(&self, request: &AppRequest, scopes: Scopes) -> AppConsent {
        let (policy_version, at) = (request.app.policy_version, self.now());
        AppConsent { policy_version, asked: request.scopes, scopes, at }
    }

    async fn charge_code(&self, session: &Session) -> Result<(), RequestError> {
        let charge = Charge {
            dimension: "app-code",
            key: self.vault().lookup("account", session.account.as_str()),
            windows: APP_CODES_PER_ACCOUNT.to_vec(),
        };
        let charged = self.store().charge(&[charge], self.now()).await.map_err(Inner::from)?;
        charged.map_err(RequestError::Limited)
    }

    async fn issue_app_code(
        &self,
        session: &Session,
        request: &AppRequest,
        (scopes, agreed): (Scopes, Option<AppConsent>),
        auth_time: u64,
    ) -> Result<Answer, RequestError> {
        let code = Redacted::new(B64.encode(random::bytes::<32>(self.random())));
        let new = NewAppCode {
            hash: token_hash(code.expose()),
            app: request.app.id.clone(),
            account: session.account.clone(),
            login: session.id.clone(),
            pairwise: self.pairwise(&request.app.id, &session.subject),
            redirect_uri: request.back.redirect_uri.clone(),
            challenge: request.challenge,
            jkt: request.jkt,
            scopes,
            agreed,
            nonce: request.nonce.clone(),
            auth_time,
            expires: self.now() + APP_CODE_SECS,
        };
        if !self.store().app_code_issue(&new, self.now()).await.map_err(Inner::from)? {
            // Taken off the account in between.
            return Ok(Answer::Back(request.back.with_error(Told("access_denied"))));
        }
        self.0.outbox.notify_one();
        Ok(Answer::Back(request.back.with_code(code.expose())))
    }
}

/// Whether what was agreed to is what is asked for, by an app that is known to be the same. Whoever is on
/// the terminal may take the scheme or the port of a public app, so that the person is asked each time
/// unless the code goes to an address of the web (RFC 8252 section 8.6).
fn holds(consent: &AppConsent, request: &AppRequest) -> bool {
    let same = request.app.confidential || request.back.redirect_uri.starts_with("https://");
    same && consent.policy_version >= request.app.policy_version
        && consent.asked.covers(request.scopes)
        && !request.prompt.consent
}
