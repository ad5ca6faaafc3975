//! What the messages say, in English and Chinese.

use sightline_grant::Redacted;

use crate::limits::OTP_TTL_SECS;
use crate::storage::model::OtpPurpose;

/// The message with a one-time code. The last line binds the code to the page's host, so that a
/// browser offers it there and nowhere else (the WebOTP format).
pub fn one_time_code(
    purpose: OtpPurpose,
    code: &str,
    serial: &str,
    host: &str,
) -> Redacted<String> {
    let minutes = OTP_TTL_SECS / 60;
    let (english, chinese) = match purpose {
        OtpPurpose::Login => (
            format!("{code} is your Sightline sign-in code, valid for {minutes} minutes."),
            format!("{code} 是您的 Sightline 登录验证码，{minutes} 分钟内有效。"),
        ),
        OtpPurpose::View => (
            format!("{code} opens the view of camera {serial}, valid for {minutes} minutes."),
            format!("{code} 用于查看摄像机 {serial}，{minutes} 分钟内有效。"),
        ),
    };
    Redacted::new(format!(
        "{english} Never pass it on.\n{chinese}请勿转告他人。\n\n@{host} #{code}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_in_the_webotp_format() {
        let text = one_time_code(OtpPurpose::Login, "123456", "", "example.org");
        assert_eq!(text.expose().lines().last(), Some("@example.org #123456"));
        assert!(text.expose().contains("验证码"));
    }
}
