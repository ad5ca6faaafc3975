//! Everything that can go wrong on the doorway, as RFC 9457 problem documents.
//!
//! A problem's status, name and titles stand in one place, beside its variant. The answer is made in
//! English; the edge turns the title into Chinese for those who prefer it.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use sightline_grant::GrantError;
use sightline_grant::dpop::ProofError;
use sightline_operation::{Refused, RefusedAs};

use crate::language::Language;
use crate::plane::{GateRefusal, MediaRefusal};

/// Seconds after which a viewer may ask again for a camera that is not live.
pub const RETRY_NOT_LIVE_SECS: u64 = 2;
/// Seconds after which a client may ask again a service that is full or away.
pub const RETRY_UNAVAILABLE_SECS: u64 = 5;

/// The purpose that every way to media stands on.
const VIEWING: &str = "media.view";
/// The purpose that every account stands on.
const ACCOUNT: &str = "account";

/// A refusal or failure, fit to be told to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// No login, or it has ended.
    LoginRequired,
    /// The login belongs to another terminal key.
    WrongTerminal,
    /// The account is in basic mode, or there is none.
    PolicyRequired,
    /// Neither bound nor shared, or no such device: the two look the same.
    DeviceNotBound,
    /// The device key is not proven in this login session.
    DeviceKeyRequired,
    /// Shared, but not at this hour.
    ShareClosed,
    /// Shared, but not for this.
    ScopeRequired,
    /// No SMS-verified window.
    SmsRequired,
    /// No consent to viewing.
    ConsentRequired,
    /// No DPoP proof came along.
    ProofRequired,
    /// The DPoP proof does not hold.
    ProofInvalid(ProofError),
    /// The DPoP proof has been seen.
    ProofReplayed,
    /// No grant came along.
    GrantRequired,
    /// Malformed or foreign grant.
    GrantInvalid,
    /// Grant too old.
    GrantExpired,
    /// Grant used before.
    GrantReplayed,
    /// Grant of another terminal.
    GrantOtherTerminal,
    /// Grant for another device, channel or action.
    GrantOtherDevice,
    /// The publishing credential is missing or unknown.
    PublisherUnknown,
    /// The publishing credential belongs to another device.
    PublisherOtherDevice,
    /// Nobody publishes.
    NotLive,
    /// The offer or fragment is not usable.
    BadOffer(String),
    /// No codec in common.
    UnsupportedCodec(String),
    /// A peer that cannot be served.
    UnsupportedPeer(String),
    /// Sealed and open do not mix.
    WrongProtection(String),
    /// Unknown WHIP or WHEP session.
    NoSession,
    /// If-Match is missing.
    PreconditionRequired,
    /// If-Match names an older ICE generation.
    PreconditionFailed,
    /// The body is not what the endpoint takes.
    MalformedRequest(String),
    /// Wrong Content-Type; holds the right one.
    UnsupportedMediaType(&'static str),
    /// Too many bytes; holds the bound.
    BodyTooLarge(usize),
    /// Too many requests; holds the seconds to wait.
    RateLimited(u64),
    /// A page of another origin asks for something only our own page may ask.
    CrossOrigin,
    /// The Host header is not one of ours.
    WrongHost,
    /// No such path.
    NotFound,
    /// The path does not take this method.
    MethodNotAllowed,
    /// The path is for WebSockets, and the request opens none.
    UpgradeRequired,
    /// The request took too long.
    Timeout,
    /// The relay has no room.
    Full,
    /// A part that is needed does not answer.
    Unavailable,
    /// A defect of ours.
    Internal,
    /// What the table of operations refuses for all of them.
    Declared(Refused),
}

/// The fixed part of a problem.
pub(crate) struct Kind {
    /// Last part of the `type`.
    pub(crate) name: &'static str,
    /// HTTP status.
    pub(crate) status: StatusCode,
    title: &'static str,
    title_zh: &'static str,
}

impl Problem {
    /// Name, status and titles.
    #[rustfmt::skip]
    pub(crate) fn kind(&self) -> Kind {
        use StatusCode as S;
        let (name, status, title, title_zh) = match self {
            Self::LoginRequired => ("login-required", S::UNAUTHORIZED, "Sign in first", "请先登录"),
            Self::WrongTerminal => ("wrong-terminal", S::UNAUTHORIZED, "This login belongs to another terminal", "该登录属于另一台终端"),
            Self::PolicyRequired => ("consent-required", S::FORBIDDEN, "Agree to having an account first", "请先同意账号政策"),
            Self::DeviceNotBound => ("device-not-bound", S::NOT_FOUND, "No such device on this account", "此账号下没有该设备"),
            Self::DeviceKeyRequired => ("device-key-required", S::FORBIDDEN, "Prove the device key first", "请先验证设备密钥"),
            Self::ShareClosed => ("share-closed", S::FORBIDDEN, "The device is shared with you at other hours", "该设备在其他时段与您分享"),
            Self::ScopeRequired => ("scope-required", S::FORBIDDEN, "The owner has not shared this with you", "设备主人未与您分享此项权限"),
            Self::SmsRequired => ("sms-required", S::FORBIDDEN, "Confirm by SMS first", "请先完成短信验证"),
            Self::ConsentRequired => ("consent-required", S::FORBIDDEN, "Consent to viewing is missing", "尚未同意观看授权"),
            Self::ProofRequired => ("proof-required", S::UNAUTHORIZED, "A DPoP proof is required", "需要 DPoP 证明"),
            Self::ProofInvalid(_) => ("proof-invalid", S::UNAUTHORIZED, "The DPoP proof does not hold", "DPoP 证明无效"),
            Self::ProofReplayed => ("proof-replayed", S::UNAUTHORIZED, "The DPoP proof has been used", "DPoP 证明已被使用"),
            Self::GrantRequired => ("grant-required", S::UNAUTHORIZED, "A media grant is required", "需要媒体授权"),
            Self::GrantInvalid => ("grant-invalid", S::UNAUTHORIZED, "The grant is not valid", "媒体授权无效"),
            Self::GrantExpired => ("grant-expired", S::UNAUTHORIZED, "The grant has expired", "媒体授权已过期"),
            Self::GrantReplayed => ("grant-replayed", S::UNAUTHORIZED, "The grant has been used", "媒体授权已被使用"),
            Self::GrantOtherTerminal => ("grant-other-terminal", S::FORBIDDEN, "The grant belongs to another terminal", "媒体授权属于另一台终端"),
            Self::GrantOtherDevice => ("grant-other-device", S::FORBIDDEN, "The grant is for another device", "媒体授权属于另一台设备"),
            Self::PublisherUnknown => ("publisher-unknown", S::UNAUTHORIZED, "The publishing credential is missing or wrong", "推流凭证缺失或错误"),
            Self::PublisherOtherDevice => ("publisher-other-device", S::FORBIDDEN, "The publishing credential is for another device", "推流凭证属于另一台设备"),
            Self::NotLive => ("not-live", S::CONFLICT, "The camera is not live", "摄像头未在线"),
            Self::BadOffer(_) => ("bad-offer", S::BAD_REQUEST, "The session description is not usable", "会话描述不可用"),
            Self::UnsupportedCodec(_) => ("unsupported-codec", S::NOT_ACCEPTABLE, "No codec in common", "没有共同支持的编码"),
            Self::UnsupportedPeer(_) => ("unsupported-peer", S::NOT_ACCEPTABLE, "This client cannot be served", "无法为此客户端提供服务"),
            Self::WrongProtection(_) => ("wrong-protection", S::NOT_ACCEPTABLE, "Sealed and open media do not mix", "加密与未加密媒体不可混用"),
            Self::NoSession => ("no-session", S::NOT_FOUND, "No such media session", "没有该媒体会话"),
            Self::PreconditionRequired => ("precondition-required", S::PRECONDITION_REQUIRED, "If-Match is required", "缺少 If-Match"),
            Self::PreconditionFailed => ("precondition-failed", S::PRECONDITION_FAILED, "The ICE generation has changed", "ICE 会话代次已变更"),
            Self::MalformedRequest(_) => ("malformed-request", S::BAD_REQUEST, "The request is malformed", "请求格式错误"),
            Self::UnsupportedMediaType(_) => ("unsupported-media-type", S::UNSUPPORTED_MEDIA_TYPE, "Wrong content type", "内容类型不受支持"),
            Self::BodyTooLarge(_) => ("body-too-large", S::PAYLOAD_TOO_LARGE, "The body is too large", "请求体过大"),
            Self::RateLimited(_) => ("rate-limited", S::TOO_MANY_REQUESTS, "Too many requests", "请求过于频繁"),
            Self::CrossOrigin => ("cross-origin", S::FORBIDDEN, "Not from another origin", "不允许跨源请求"),
            Self::WrongHost => ("wrong-host", S::MISDIRECTED_REQUEST, "The server is not known by this name", "服务器不使用此名称"),
            Self::NotFound => ("not-found", S::NOT_FOUND, "Nothing here", "未找到"),
            Self::MethodNotAllowed => ("method-not-allowed", S::METHOD_NOT_ALLOWED, "The method is not allowed here", "不允许使用该方法"),
            Self::UpgradeRequired => ("upgrade-required", S::UPGRADE_REQUIRED, "Open a WebSocket here", "此处仅接受 WebSocket"),
            Self::Timeout => ("timeout", S::SERVICE_UNAVAILABLE, "The request took too long", "请求超时"),
            Self::Full => ("relay-full", S::SERVICE_UNAVAILABLE, "The relay is full", "转发服务已满"),
            Self::Unavailable => ("unavailable", S::SERVICE_UNAVAILABLE, "The service cannot answer now", "服务暂时不可用"),
            Self::Declared(refused) => (refused.name, StatusCode::from_u16(refused.status).unwrap_or(S::BAD_REQUEST), "The operation does not take this", "该操作不接受此请求"),
            Self::Internal => ("internal", S::INTERNAL_SERVER_ERROR, "Something went wrong here", "服务器内部错误"),
        };
        Kind { name, status, title, title_zh }
    }

    /// As the description of operations says it.
    pub(crate) fn refused(&self) -> Refused {
        let Kind { name, status, title, .. } = self.kind();
        Refused { status: status.as_u16(), name, means: title }
    }

    /// The answer, with its title in the given language.
    pub(crate) fn to_response(&self, language: Language) -> Response {
        #[derive(Serialize)]
        struct Document<'a> {
            r#type: String,
            title: &'a str,
            status: u16,
            detail: String,
            /// Purpose to agree to.
            #[serde(skip_serializing_if = "Option::is_none")]
            purpose: Option<&'static str>,
        }
        let kind = self.kind();
        let title = match language {
            Language::English => kind.title,
            Language::Chinese => kind.title_zh,
        };
        let document = Document {
            r#type: format!("/problems/{}", kind.name),
            title,
            status: kind.status.as_u16(),
            detail: self.detail(),
            purpose: self.purpose(),
        };
        let mut response = (kind.status, Json(document)).into_response();
        let headers = response.headers_mut();
        let json = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, json);
        headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(language.tag()));
        if let Some(seconds) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(challenge) = self.challenge() {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Self::UnsupportedMediaType(accept) = self {
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        }
        response
    }

    fn detail(&self) -> String {
        match self {
            Self::ProofInvalid(why) => why.to_string(),
            Self::Declared(refused) => refused.means.to_owned(),
            Self::BadOffer(why)
            | Self::UnsupportedCodec(why)
            | Self::UnsupportedPeer(why)
            | Self::WrongProtection(why)
            | Self::MalformedRequest(why) => why.clone(),
            Self::UnsupportedMediaType(accept) => format!("send {accept}"),
            Self::BodyTooLarge(limit) => format!("at most {limit} bytes"),
            Self::RateLimited(seconds) => format!("try again in {seconds} s"),
            Self::LoginRequired => "no login, or it has ended; sign in and ask again".into(),
            Self::PolicyRequired => "consent to the purpose account first".into(),
            Self::DeviceNotBound => "the device does not exist or is not yours to see".into(),
            Self::DeviceKeyRequired => {
                "ask for a key challenge, sign it with the device secret's key, send the proof"
                    .into()
            }
            Self::ShareClosed => {
                "see the hours of the share at /v1/shares and ask again then".into()
            }
            Self::ScopeRequired => "ask the owner to add it to your share".into(),
            Self::SmsRequired => "ask for a view code and open the SMS window with it".into(),
            Self::ConsentRequired => "consent to the purpose media.view first".into(),
            Self::NotLive => "nobody publishes this channel now; try again later".into(),
            Self::GrantExpired | Self::GrantReplayed | Self::GrantInvalid | Self::GrantRequired => {
                "ask /v1/media-grants for a new grant".into()
            }
            Self::WrongHost => "reach the server by a name from its `hosts` setting".into(),
            _ => String::from(self.kind().title),
        }
    }

    /// The purpose to agree to.
    fn purpose(&self) -> Option<&'static str> {
        match self {
            Self::PolicyRequired => Some(ACCOUNT),
            Self::ConsentRequired => Some(VIEWING),
            _ => None,
        }
    }

    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::NotLive => Some(RETRY_NOT_LIVE_SECS),
            Self::Full | Self::Unavailable | Self::Timeout => Some(RETRY_UNAVAILABLE_SECS),
            Self::RateLimited(seconds) => Some(*seconds),
            _ => None,
        }
    }

    /// WWW-Authenticate, which every 401 needs (RFC 9110, 11.6.1; RFC 9449, 7.1).
    fn challenge(&self) -> Option<&'static str> {
        match self {
            Self::LoginRequired | Self::WrongTerminal => {
                Some(r#"DPoP error="invalid_token", algs="ES256 EdDSA""#)
            }
            Self::ProofRequired | Self::ProofInvalid(_) | Self::ProofReplayed => {
                Some(r#"DPoP error="invalid_dpop_proof", algs="ES256 EdDSA""#)
            }
            Self::GrantRequired | Self::PublisherUnknown => Some("Bearer"),
            Self::GrantInvalid | Self::GrantExpired | Self::GrantReplayed => {
                Some(r#"Bearer error="invalid_token""#)
            }
            _ => None,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.to_response(Language::English);
        response.extensions_mut().insert(RefusedAs(self.kind().name));
        response.extensions_mut().insert(self);
        response
    }
}

impl From<GateRefusal> for Problem {
    fn from(refusal: GateRefusal) -> Self {
        match refusal {
            GateRefusal::LoginRequired => Self::LoginRequired,
            GateRefusal::WrongTerminal => Self::WrongTerminal,
            GateRefusal::PolicyRequired => Self::PolicyRequired,
            GateRefusal::NotBound => Self::DeviceNotBound,
            GateRefusal::KeyProofRequired => Self::DeviceKeyRequired,
            GateRefusal::ShareClosed => Self::ShareClosed,
            GateRefusal::ScopeRequired => Self::ScopeRequired,
            GateRefusal::SmsRequired => Self::SmsRequired,
            GateRefusal::ConsentRequired => Self::ConsentRequired,
            GateRefusal::Unavailable => Self::Unavailable,
        }
    }
}

impl From<GrantError> for Problem {
    fn from(error: GrantError) -> Self {
        match error {
            GrantError::Invalid => Self::GrantInvalid,
            GrantError::Expired => Self::GrantExpired,
        }
    }
}

impl From<MediaRefusal> for Problem {
    fn from(refusal: MediaRefusal) -> Self {
        match refusal {
            MediaRefusal::GrantInvalid => Self::GrantInvalid,
            MediaRefusal::GrantExpired => Self::GrantExpired,
            MediaRefusal::GrantReplayed => Self::GrantReplayed,
            MediaRefusal::GrantOtherTerminal => Self::GrantOtherTerminal,
            MediaRefusal::GrantOtherDevice => Self::GrantOtherDevice,
            MediaRefusal::NotLive => Self::NotLive,
            MediaRefusal::BadOffer(why) => Self::BadOffer(why),
            MediaRefusal::UnsupportedCodec(why) => Self::UnsupportedCodec(why),
            MediaRefusal::UnsupportedPeer(why) => Self::UnsupportedPeer(why),
            MediaRefusal::WrongProtection(why) => Self::WrongProtection(why),
            MediaRefusal::NoSession => Self::NoSession,
            MediaRefusal::PreconditionRequired => Self::PreconditionRequired,
            MediaRefusal::PreconditionFailed => Self::PreconditionFailed,
            MediaRefusal::Full => Self::Full,
            MediaRefusal::Unavailable => Self::Unavailable,
        }
    }
}
