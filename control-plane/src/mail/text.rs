//! What mails say, in English and Chinese.

use sightline_grant::Redacted;

use super::Mail;
use crate::sms::text::{notice, sentences};
use crate::storage::model::OtpPurpose;

/// The mail with a one-time code. The code is not in the subject, which locked screens show.
pub fn one_time_code(purpose: OtpPurpose, code: &str, serial: &str) -> Mail {
    let (english, chinese) = sentences(purpose, code, serial);
    let body = format!("{english} Never pass it on.\r\n\r\n{chinese}请勿转告他人。\r\n");
    Mail { subject: "Your Sightline code", body: Redacted::new(body) }
}

/// The mail that tells of a change of the account.
pub fn of_notice(kind: &str) -> Mail {
    let (english, chinese) = notice(kind);
    let body = format!("{english}\r\n\r\n{chinese}\r\n");
    Mail { subject: "Your Sightline account was changed", body: Redacted::new(body) }
}
