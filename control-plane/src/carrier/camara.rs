//! The shape of CAMARA Number Verification: the token is traded at the carrier's token endpoint for an
//! access token, and that for the number at `device-phone-number`.
//!
//! Version 1 proves the line by its mobile data: the token is an authorisation code (RFC 6749, 4.1.3).
//! Version 2 proves it by the SIM, over any network: the token comes from the phone's entitlement
//! client and is exchanged (RFC 8693).

use async_trait::async_trait;
use serde::Deserialize;
use sightline_grant::Redacted;
use url::{Url, form_urlencoded};

use super::{Carrier, CarrierFacts, NoNumber};
use crate::outbound::{self, Answer};
use crate::phone::Phone;

/// Where the number is, behind the address of the API.
const NUMBER_PATH: &str = "device-phone-number";
/// Scope of the number.
pub const SCOPE: &str = "openid number-verification:device-phone-number:read";
/// What the SIM's token is, in an exchange.
const OPERATOR_TOKEN: &str = "urn:ietf:params:oauth:token-type:jwt";

/// How the carrier proves a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flow {
    /// Version 1: an authorisation code.
    Code,
    /// Version 2: a token of the SIM.
    OperatorToken,
}

/// What the operator has at the carrier.
#[derive(Clone, Debug)]
pub struct Account {
    /// Name that people read.
    pub name: String,
    /// This service's id.
    pub client_id: String,
    /// Its secret.
    pub secret: Redacted<String>,
    /// How lines are proved.
    pub flow: Flow,
    /// Address that a browser is sent to.
    pub authorize: Option<Url>,
    /// Token endpoint.
    pub token: Url,
    /// Address of the API, with a slash at its end.
    pub api: Url,
    /// A stand-in.
    pub development: bool,
}

/// A carrier of this shape.
pub struct Camara {
    account: Account,
    http: reqwest::Client,
}

impl Camara {
    /// `http` trusts whoever answers at the account's addresses.
    pub fn new(account: Account, http: reqwest::Client) -> Self {
        Self { account, http }
    }

    async fn access_token(
        &self,
        token: &Redacted<String>,
        redirect: Option<&str>,
    ) -> Result<Redacted<String>, NoNumber> {
        let (id, secret) = (&self.account.client_id, self.account.secret.expose());
        let request = self
            .http
            .post(self.account.token.clone())
            .basic_auth(id, Some(secret))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(trade(self.account.flow, token.expose(), redirect));
        let granted: Granted = read(outbound::exchange(request).await, &[400, 401])?;
        Ok(Redacted::new(granted.access_token))
    }
}

/// The form that trades a token.
fn trade(flow: Flow, token: &str, redirect: Option<&str>) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    match flow {
        Flow::Code => {
            form.append_pair("grant_type", "authorization_code");
            form.append_pair("code", token);
            if let Some(redirect) = redirect {
                form.append_pair("redirect_uri", redirect);
            }
        }
        Flow::OperatorToken => {
            form.append_pair("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange");
            form.append_pair("subject_token", token);
            form.append_pair("subject_token_type", OPERATOR_TOKEN);
            form.append_pair("scope", SCOPE);
        }
    }
    form.finish()
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "devicePhoneNumber")]
    number: String,
}

#[async_trait]
impl Carrier for Camara {
    async fn number(
        &self,
        token: &Redacted<String>,
        redirect: Option<&str>,
    ) -> Result<Phone, NoNumber> {
        let access = self.access_token(token, redirect).await?;
        let at = self.account.api.join(NUMBER_PATH);
        let at = at.map_err(|error| NoNumber::Silent(error.to_string()))?;
        let request = self.http.get(at).bearer_auth(access.expose());
        let line: Line = read(outbound::exchange(request).await, &[401, 403, 404, 422])?;
        Phone::parse(&line.number).ok_or_else(|| NoNumber::Silent("it names no number".into()))
    }

    fn facts(&self) -> CarrierFacts {
        CarrierFacts {
            name: self.account.name.clone(),
            authorize: self.account.authorize.as_ref().map(ToString::to_string),
            client_id: self.account.client_id.clone(),
            scope: SCOPE.into(),
            development: self.account.development,
        }
    }
}

/// The answer as JSON; `refusals` are the statuses by which the carrier refuses the token.
fn read<T: for<'a> Deserialize<'a>>(
    answer: Result<Answer, outbound::Failed>,
    refusals: &[u16],
) -> Result<T, NoNumber> {
    let Answer { status, body } = answer.map_err(|error| NoNumber::Silent(error.to_string()))?;
    match status.as_u16() {
        200 => serde_json::from_slice(&body)
            .map_err(|_| NoNumber::Silent("its answer is not as agreed".into())),
        code if refusals.contains(&code) => Err(NoNumber::Refused),
        code => Err(NoNumber::Silent(format!("status {code}"))),
    }
}
