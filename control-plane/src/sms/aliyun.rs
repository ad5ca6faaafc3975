//! The Aliyun shape: `SendSms` of the API of 2017-05-25, signed with ACS3-HMAC-SHA256. The carrier
//! fills the code into a template that the operator registered there; a template that ends with
//! `@host #${code}` keeps the WebOTP line.

use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use serde::{Deserialize, Serialize};
use sightline_grant::Redacted;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use url::Url;

use super::{NotSent, SmsMessage, SmsSender};
use crate::clock::Clock;
use crate::outbound::{self, Answer};
use crate::random::{self, Random};

/// Where the API is.
pub const ENDPOINT: &str = "https://dysmsapi.aliyuncs.com/";
const ACTION: &str = "SendSms";
const VERSION: &str = "2017-05-25";
const ALGORITHM: &str = "ACS3-HMAC-SHA256";

/// What the operator has at the carrier.
#[derive(Clone, Debug)]
pub struct Account {
    /// Access key id.
    pub key_id: String,
    /// Access key secret.
    pub secret: Redacted<String>,
    /// Signature that the messages carry.
    pub sign_name: String,
    /// Template with one parameter, `code`.
    pub template: String,
}

/// Sends over Aliyun.
pub struct Aliyun {
    account: Account,
    at: Url,
    http: reqwest::Client,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl Aliyun {
    /// `http` trusts whoever answers at `at`.
    pub fn new(
        account: Account,
        at: Url,
        http: reqwest::Client,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        Self { account, at, http, clock, random }
    }
}

#[derive(Serialize)]
struct TemplateParameters<'a> {
    code: &'a str,
}

#[derive(Deserialize)]
struct Outcome {
    #[serde(rename = "Code")]
    code: String,
}

#[async_trait]
impl SmsSender for Aliyun {
    async fn send(&self, message: &SmsMessage<'_>) -> Result<(), NotSent> {
        let Some(code) = message.code else {
            return Err(NotSent::Refused("the template takes codes only".into()));
        };
        let parameters = TemplateParameters { code: code.expose() };
        let parameters = serde_json::to_string(&parameters)
            .map_err(|error| NotSent::Refused(error.to_string()))?;
        let number = message.to.expose().trim_start_matches('+');
        // Numbers of the mainland go without their country calling code.
        let number = number.strip_prefix("86").unwrap_or(number);
        let query = canonical_query(&[
            ("OutId", message.reference),
            ("PhoneNumbers", number),
            ("SignName", &self.account.sign_name),
            ("TemplateCode", &self.account.template),
            ("TemplateParam", &parameters),
        ]);
        let nonce = random::hex_id(self.random.as_ref());
        let host = authority(&self.at);
        let call = Call { host: &host, action: ACTION, version: VERSION, query: &query };
        let date = date(self.clock.now());
        let headers = signed(&self.account, &call, &date, &nonce);
        let mut url = self.at.clone();
        url.set_query(Some(&query));
        let request = headers
            .iter()
            .fold(self.http.post(url), |request, (name, value)| request.header(*name, value));
        match outbound::exchange(request).await {
            Ok(answer) => judge(&answer),
            Err(error @ outbound::Failed::NotSent(_)) => Err(NotSent::Later(error.to_string())),
            Err(error @ outbound::Failed::Lost(_)) => Err(NotSent::Unknown(error.to_string())),
        }
    }

    fn name(&self) -> &'static str {
        "aliyun"
    }
}

/// What the carrier made of it. Its texts may name the number, so only its codes are told.
fn judge(answer: &Answer) -> Result<(), NotSent> {
    let status = answer.status.as_u16();
    let Ok(Outcome { code }) = serde_json::from_slice(&answer.body) else {
        return Err(match status {
            429 | 503 => NotSent::Later(format!("status {status}")),
            400..500 => NotSent::Refused(format!("status {status}")),
            _ => NotSent::Unknown(format!("status {status}")),
        });
    };
    let code: String = code.chars().filter(|c| c.is_ascii_graphic()).take(64).collect();
    match code.as_str() {
        "OK" if status == 200 => Ok(()),
        "isp.SYSTEM_ERROR" | "ServiceUnavailable" => Err(NotSent::Later(code)),
        other if other.starts_with("Throttling") => Err(NotSent::Later(code)),
        _ => Err(NotSent::Refused(code)),
    }
}

/// What is asked, as far as the signature goes.
#[derive(Clone, Copy)]
struct Call<'a> {
    host: &'a str,
    action: &'a str,
    version: &'a str,
    query: &'a str,
}

/// The headers of a signed call; the body is empty.
fn signed(
    account: &Account,
    call: &Call<'_>,
    date: &str,
    nonce: &str,
) -> Vec<(&'static str, String)> {
    let body = hex(digest(&SHA256, b"").as_ref());
    let headers = vec![
        ("host", call.host.to_owned()),
        ("x-acs-action", call.action.to_owned()),
        ("x-acs-content-sha256", body.clone()),
        ("x-acs-date", date.to_owned()),
        ("x-acs-signature-nonce", nonce.to_owned()),
        ("x-acs-version", call.version.to_owned()),
    ];
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let canonical = format!("POST\n/\n{}\n{lines}\n{names}\n{body}", call.query);
    let to_sign = format!("{ALGORITHM}\n{}", hex(digest(&SHA256, canonical.as_bytes()).as_ref()));
    let key = hmac::Key::new(hmac::HMAC_SHA256, account.secret.expose().as_bytes());
    let signature = hex(hmac::sign(&key, to_sign.as_bytes()).as_ref());
    let id = &account.key_id;
    let authorization =
        format!("{ALGORITHM} Credential={id},SignedHeaders={names},Signature={signature}");
    headers.into_iter().chain([("authorization", authorization)]).collect()
}

/// Names and values, encoded after RFC 3986 and sorted by name.
fn canonical_query(pairs: &[(&str, &str)]) -> String {
    let mut pairs: Vec<_> =
        pairs.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    pairs.sort();
    pairs.join("&")
}

fn encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes().fold(String::new(), |done, byte| {
        if plain(byte) {
            done + &char::from(byte).to_string()
        } else {
            format!("{done}%{byte:02X}")
        }
    })
}

fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn date(now: u64) -> String {
    let now = OffsetDateTime::from_unix_timestamp(i64::try_from(now).unwrap_or(0));
    now.ok().and_then(|now| now.format(&Rfc3339).ok()).unwrap_or_default()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> Account {
        Account {
            key_id: "YourAccessKeyId".into(),
            secret: Redacted::new("YourAccessKeySecret".into()),
            sign_name: "Sightline".into(),
            template: "SMS_1".into(),
        }
    }

    /// The example of the carrier's description of its signature, version 3.
    #[test]
    fn the_signature_is_that_of_the_carriers_own_example() {
        let query = canonical_query(&[
            ("RegionId", "cn-shanghai"),
            ("ImageId", "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd"),
        ]);
        let call = Call {
            host: "ecs.cn-shanghai.aliyuncs.com",
            action: "RunInstances",
            version: "2014-05-26",
            query: &query,
        };
        let date = date(1_698_315_752);
        assert_eq!(date, "2023-10-26T10:22:32Z");
        let headers = signed(&account(), &call, &date, "3156853299f313e23d1673dc12e1703d");
        let (_, authorization) = headers.last().unwrap();
        let signature = "06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0";
        assert!(authorization.ends_with(&format!(",Signature={signature}")), "{authorization}");
    }

    #[test]
    fn what_is_not_plain_is_encoded_byte_by_byte() {
        assert_eq!(encode("a b*~+/{\"验"), "a%20b%2A~%2B%2F%7B%22%E9%AA%8C");
        assert_eq!(canonical_query(&[("b", "1"), ("a", "=")]), "a=%3D&b=1");
    }

    #[test]
    fn answers_are_told_apart() {
        let judged = |status: u16, body: &str| {
            let status = reqwest::StatusCode::from_u16(status).unwrap();
            judge(&Answer { status, body: body.as_bytes().to_vec() })
        };
        assert!(judged(200, r#"{"Code":"OK","BizId":"1"}"#).is_ok());
        let limit = judged(200, r#"{"Code":"isv.BUSINESS_LIMIT_CONTROL","Message":"13800138000"}"#);
        let text = limit.unwrap_err().to_string();
        assert!(text.contains("BUSINESS_LIMIT") && !text.contains("138"), "{text}");
        assert!(matches!(judged(400, r#"{"Code":"Throttling.User"}"#), Err(NotSent::Later(_))));
        assert!(matches!(judged(503, "<html>"), Err(NotSent::Later(_))));
        assert!(matches!(judged(403, "<html>"), Err(NotSent::Refused(_))));
        assert!(matches!(judged(504, "<html>"), Err(NotSent::Unknown(_))));
    }
}
