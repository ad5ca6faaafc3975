//! Extractors that prove who asks. A handler that takes one of them cannot run without it.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::extract::{ConnectInfo, FromRef, FromRequestParts, OriginalUri};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use sightline_grant::{PublicKey, Redacted, Thumbprint, dpop};
use sightline_operation::{Credential, Declared, Draft, Part, Refused, Rule, refused};

use super::account_problems::CONSENT_REQUIRED;
use super::problem::Problem;
use crate::ControlPlane;
use crate::replay::{Asker, ProofRefused};
use crate::storage::model::Session;

pub(super) const DPOP: HeaderName = HeaderName::from_static("dpop");

/// The request proved possession of this key and carried no token: a terminal before its login.
#[derive(Clone, Copy, Debug)]
pub struct Proven(pub Thumbprint);

/// The request proved possession of a key, and its proof is not used up yet. The handler finds out
/// who asks and then takes the proof ([`ControlPlane::take_proof`]), before it changes or tells
/// anything.
#[derive(Clone, Debug)]
pub struct Unspent(pub dpop::Proof);

/// The request proved possession of this key, which is the identity of a device.
#[derive(Clone, Debug)]
pub struct ProvenDevice(pub PublicKey);

/// The request carried a live access token and proved the key that the token is bound to.
#[derive(Clone, Debug)]
pub struct LoggedIn(pub Session);

/// The same, with the token, for who asks the gate.
#[derive(Clone, Debug)]
pub struct WithToken {
    /// The login.
    pub session: Session,
    /// The access token.
    pub token: Redacted<String>,
}

/// The same, of an account that is full: a number or address of it was proved.
#[derive(Clone, Debug)]
pub struct FullLogin(pub Session);

/// The request carried a login, or a session without an account, and proved its key.
#[derive(Clone, Copy, Debug)]
pub struct MayBrowse {
    /// It is a login whose holder agreed to the policy.
    pub full: bool,
}

/// Address of the client, for limits.
#[derive(Clone, Copy, Debug)]
pub struct ClientIp(pub IpAddr);

const PROOF_INVALID: Refused =
    refused(401, "proof-invalid", "The DPoP proof does not hold for this request; make a new one");
const PROOF_REPLAYED: Refused =
    refused(401, "proof-replayed", "The DPoP proof has been used; make one for each request");
const UNAVAILABLE: Refused =
    refused(503, "unavailable", "The service cannot do this now; try again after Retry-After");

/// How an app's login is refused what only the person may.
pub(super) const APP_BARRED: Refused = refused(
    403,
    "app-barred",
    "An app's login does not do this; the person does it in Sightline itself",
);

/// How a missing or foreign key is refused.
const KEY_REFUSALS: &[Refused] = &[PROOF_INVALID, PROOF_REPLAYED, UNAVAILABLE];

/// How a missing or foreign login is refused.
pub(super) const LOGIN_REFUSALS: &[Refused] = &[
    refused(401, "login-required", "No login, or it has ended; sign in"),
    refused(401, "wrong-terminal", "The login belongs to another terminal's key"),
    CONSENT_REQUIRED,
    APP_BARRED,
    PROOF_INVALID,
    PROOF_REPLAYED,
    UNAVAILABLE,
];

/// How an account that is not full is refused.
const FULL_REFUSALS: &[Refused] = &[
    LOGIN_REFUSALS[0],
    LOGIN_REFUSALS[1],
    CONSENT_REQUIRED,
    IDENTIFIER_REQUIRED,
    PROOF_INVALID,
    PROOF_REPLAYED,
    UNAVAILABLE,
];
const IDENTIFIER_REQUIRED: Refused = refused(
    403,
    "identifier-required",
    "The account has no proved number or address yet; add one in its security first",
);

macro_rules! shows {
    ($($part:ty: $credential:ident, $refusals:ident;)+) => {
        $(impl Part for $part {
            fn describe(draft: &mut Draft) {
                draft.shows(Credential::$credential);
                draft.refuses($refusals);
            }
        })+
    };
}

shows! {
    Proven: Key, KEY_REFUSALS;
    Unspent: Key, KEY_REFUSALS;
    ProvenDevice: Key, KEY_REFUSALS;
    LoggedIn: Login, LOGIN_REFUSALS;
    FullLogin: Login, FULL_REFUSALS;
    WithToken: Login, LOGIN_REFUSALS;
    MayBrowse: Login, LOGIN_REFUSALS;
}

impl Part for ClientIp {
    fn describe(_: &mut Draft) {}
}

impl<S> FromRequestParts<S> for Proven
where
    S: Send + Sync,
    ControlPlane: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Unspent(proof) = Unspent::from_request_parts(parts, state).await?;
        let Ok(ClientIp(ip)) = ClientIp::from_request_parts(parts, state).await;
        ControlPlane::from_ref(state).take_proof(&proof, Asker::Stranger(ip))?;
        Ok(Self(proof.key.thumbprint()))
    }
}

impl<S> FromRequestParts<S> for Unspent
where
    S: Send + Sync,
    ControlPlane: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        verify(&ControlPlane::from_ref(state), parts, None).map(Self)
    }
}

impl<S> FromRequestParts<S> for ProvenDevice
where
    S: Send + Sync,
    ControlPlane: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let control_plane = ControlPlane::from_ref(state);
        let Unspent(proof) = Unspent::from_request_parts(parts, state).await?;
        // Whoever is no device is refused here and takes no memory.
        control_plane.device_of(proof.key.thumbprint()).await?;
        control_plane.take_proof(&proof, Asker::Known)?;
        Ok(Self(proof.key))
    }
}

impl<S> FromRequestParts<S> for LoggedIn
where
    S: Send + Sync,
    ControlPlane: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Ok(Self(WithToken::from_request_parts(parts, state).await?.session))
    }
}

impl<S> FromRequestParts<S> for FullLogin
where
    S: Send + Sync,
    ControlPlane: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let LoggedIn(session) = LoggedIn::from_request_parts(parts, state).await?;
        let control_plane = ControlPlane::from_ref(state);
        if control_plane.is_full(&session).await? {
            Ok(Self(session))
        } else {
            Err(IDENTIFIER_REQUIRED.into())
        }
    }
}

impl<S> FromRequestParts<S> for WithToken
where
    S: Send + Sync,
    ControlPlane: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        // A layer that had to know the caller first has used the proof up.
        if let Some(caller) = parts.extensions.get::<Self>() {
            return Ok(caller.clone());
        }
        let control_plane = ControlPlane::from_ref(state);
        let token = token(parts).ok_or_else(Problem::login_required)?;
        let proof = verify(&control_plane, parts, Some(&token))?;
        let Some(session) = control_plane.session(&token).await? else {
            let basic = control_plane.is_basic(&token, proof.key.thumbprint());
            return Err(if basic { Problem::policy_required() } else { Problem::login_required() });
        };
        if session.jkt != proof.key.thumbprint() {
            let detail = "the login belongs to another terminal";
            return Err(Problem::new(StatusCode::UNAUTHORIZED, "wrong-terminal", detail));
        }
        control_plane.take_proof(&proof, Asker::Known)?;
        let rule = parts.extensions.get::<Declared>().map(|declared| declared.rule);
        if session.app.is_some() && !rule.is_some_and(Rule::admits_apps) {
            return Err(APP_BARRED.into());
        }
        if rule != Some(Rule::BasicLogin) && control_plane.in_basic_mode(&session).await? {
            return Err(Problem::policy_required());
        }
        if parts.method != Method::GET && parts.method != Method::HEAD {
            control_plane.acts(&session).await?;
        }
        Ok(Self { session, token })
    }
}

impl<S> FromRequestParts<S> for MayBrowse
where
    S: Send + Sync,
    ControlPlane: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let control_plane = ControlPlane::from_ref(state);
        if let Some(token) = token(parts)
            && control_plane.session(&token).await?.is_none()
        {
            let proof = verify(&control_plane, parts, Some(&token))?;
            if !control_plane.is_basic(&token, proof.key.thumbprint()) {
                return Err(Problem::login_required());
            }
            let Ok(ClientIp(ip)) = ClientIp::from_request_parts(parts, state).await;
            control_plane.take_proof(&proof, Asker::Stranger(ip))?;
            return Ok(Self { full: false });
        }
        let LoggedIn(session) = LoggedIn::from_request_parts(parts, state).await?;
        Ok(Self { full: !control_plane.in_basic_mode(&session).await? })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ClientIp {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        // All clients without a known address share one budget.
        Ok(Self(peer.map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |peer| peer.0.ip())))
    }
}

impl ControlPlane {
    /// Takes the id of a verified proof, once.
    ///
    /// # Errors
    /// A problem when it was taken before, or when there is no room for it now.
    pub fn take_proof(&self, proof: &dpop::Proof, asker: Asker) -> Result<(), Problem> {
        self.0.proof_ids.take(proof, asker, self.now()).map_err(|error| match error {
            ProofRefused::Replayed => {
                Problem::new(StatusCode::UNAUTHORIZED, "proof-replayed", error)
            }
            ProofRefused::Full | ProofRefused::NetworkFull => {
                let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", error);
                Problem { retry_after: Some(1), ..problem }
            }
        })
    }
}

/// The token that a request shows.
pub(super) fn token(parts: &Parts) -> Option<Redacted<String>> {
    let value = single(&parts.headers, &header::AUTHORIZATION)?.strip_prefix("DPoP ")?;
    Some(Redacted::new(value.trim().to_owned()))
}

pub(super) fn verify(
    control_plane: &ControlPlane,
    parts: &Parts,
    token: Option<&Redacted<String>>,
) -> Result<dpop::Proof, Problem> {
    let refused = |detail: &dyn ToString| {
        Problem::new(StatusCode::UNAUTHORIZED, "proof-invalid", detail.to_string())
    };
    let text =
        single(&parts.headers, &DPOP).ok_or_else(|| refused(&"one DPoP header is needed"))?;
    // Within a nested router `uri` is cut; the proof is for what the client asked.
    let uri = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |original| &original.0);
    let token = token.map(|token| token.expose().as_str());
    let request = dpop::Request { method: parts.method.as_str(), path: uri.path(), token };
    dpop::verify(text, request, control_plane.now()).map_err(|error| refused(&error))
}

/// The value of a header that occurs once.
pub(super) fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(first)
}
