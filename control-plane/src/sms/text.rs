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
    let (english, chinese) = sentences(purpose, code, serial);
    Redacted::new(format!(
        "{english} Never pass it on.\n{chinese}请勿转告他人。\n\n@{host} #{code}"
    ))
}

/// What a code is for, in English and Chinese.
pub(crate) fn sentences(purpose: OtpPurpose, code: &str, serial: &str) -> (String, String) {
    let minutes = OTP_TTL_SECS / 60;
    match purpose {
        OtpPurpose::Login => (
            format!("{code} is your Sightline sign-in code, valid for {minutes} minutes."),
            format!("{code} 是您的 Sightline 登录验证码，{minutes} 分钟内有效。"),
        ),
        OtpPurpose::View => (
            format!("{code} opens the view of camera {serial}, valid for {minutes} minutes."),
            format!("{code} 用于查看摄像机 {serial}，{minutes} 分钟内有效。"),
        ),
        OtpPurpose::Secure => (
            format!("{code} confirms a change of your account, valid for {minutes} minutes."),
            format!("{code} 用于确认账号变更，{minutes} 分钟内有效。"),
        ),
        OtpPurpose::Reset => (
            format!(
                "{code} sets a new password, valid for {minutes} minutes. Ignore this if you \
                     did not ask for it: your password still holds."
            ),
            format!(
                "{code} 用于重设密码，{minutes} 分钟内有效。如非本人操作请忽略，原密码仍然有效。"
            ),
        ),
        OtpPurpose::Identifier => (
            format!(
                "{code} adds this address to a Sightline account, valid for {minutes} minutes."
            ),
            format!("{code} 用于将此联系方式绑定到 Sightline 账号，{minutes} 分钟内有效。"),
        ),
    }
}

/// The message that tells of a change of the account.
pub(crate) fn of_notice(kind: &str) -> Redacted<String> {
    let (english, chinese) = notice(kind);
    Redacted::new(format!("{english}\n{chinese}"))
}

/// What was changed, in English and Chinese.
pub(crate) fn notice(kind: &str) -> (&'static str, &'static str) {
    match kind {
        "password_changed" => (
            "The password of your Sightline account was changed, and its other logins ended. If \
             this was not you, set a new one by code at once.",
            "您的 Sightline 账号密码已更改，其他登录已终止。如非本人操作，请立即通过验证码重设密码。",
        ),
        "passkey_added" => (
            "A passkey was added to your Sightline account and signs in to it now. If this was not \
             you, sign in on a terminal that you know and remove it.",
            "您的 Sightline 账号新增了可用于登录的通行密钥。如非本人操作，请在常用终端登录并移除。",
        ),
        "passkey_removed" => (
            "A passkey was removed from your Sightline account. If this was not you, sign in by code \
             and sign out the terminals that you do not know.",
            "您的 Sightline 账号已移除一个通行密钥。如非本人操作，请通过验证码登录，并退出您不认识的终端。",
        ),
        "identifier_changed" => (
            "Another phone number or mail address now belongs to your Sightline account in place of \
             this one. If this was not you, sign in on a terminal that you know and change it back.",
            "您的 Sightline 账号已更换手机号或邮箱，此联系方式不再有效。如非本人操作，请在常用终端登录并改回。",
        ),
        "identifier_removed" => (
            "This phone number or mail address was taken off your Sightline account. If this was \
             not you, sign in on a terminal that you know and put it back.",
            "此手机号或邮箱已从您的 Sightline 账号移除。如非本人操作，请在常用终端登录并重新绑定。",
        ),
        "identity_bound" => (
            "A login at an identity provider was bound to your Sightline account and signs in to it \
             now. If this was not you, sign in on a terminal that you know and unbind it.",
            "您的 Sightline 账号已绑定一个第三方登录。如非本人操作，请在常用终端登录并解绑。",
        ),
        "identity_unbound" => (
            "A login at an identity provider was unbound from your Sightline account. If this was \
             not you, sign in on a terminal that you know and look at your account.",
            "您的 Sightline 账号已解绑一个第三方登录。如非本人操作，请在常用终端登录并检查账号。",
        ),
        _ => (
            "A phone number or mail address was added to your Sightline account. If this was not \
             you, sign in on a terminal that you know and remove it.",
            "您的 Sightline 账号新增了手机号或邮箱。如非本人操作，请在常用终端登录并移除。",
        ),
    }
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
