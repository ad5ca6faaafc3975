//! What endpoints read from a request.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, FromRequestParts, OriginalUri};
use http::request::Parts;
use http::{HeaderMap, Method, header};
use serde::de::DeserializeOwned;
use sightline_grant::Redacted;
use sightline_operation::{Draft, Part};

use crate::plane::ClientAddress;
use crate::problem::Problem;

/// Longest SDP offer or fragment, bytes.
pub(crate) const MAX_SDP_LEN: usize = 64 * 1024;
/// Longest JSON body, bytes.
pub(crate) const MAX_JSON_LEN: usize = 16 * 1024;
/// Longest credential in an Authorization header, bytes.
pub(crate) const MAX_CREDENTIAL_LEN: usize = 4096;
/// Longest device serial, bytes.
const MAX_SERIAL_LEN: usize = 64;

/// Request line and headers.
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
}

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let original = parts.extensions.get::<OriginalUri>().map(|uri| uri.0.path());
        Ok(Self {
            method: parts.method.clone(),
            path: original.unwrap_or(parts.uri.path()).to_owned(),
            headers: parts.headers.clone(),
        })
    }
}

// Handlers judge by themselves what was asked; their operations say what that is.
impl Part for Asked {
    fn describe(_: &mut Draft) {}
}

impl Asked {
    /// The credential of an `Authorization` header with this scheme.
    pub(crate) fn credential(&self, scheme: &str) -> Option<Redacted<String>> {
        let mut values = self.headers.get_all(header::AUTHORIZATION).iter();
        let value = values.next()?.to_str().ok()?;
        if values.next().is_some() || value.len() > MAX_CREDENTIAL_LEN {
            return None;
        }
        let (given, credential) = value.split_once(' ')?;
        let credential = credential.trim();
        let fits = given.eq_ignore_ascii_case(scheme) && !credential.is_empty();
        fits.then(|| Redacted::new(credential.to_owned()))
    }

    /// The body as text, if it has this media type.
    pub(crate) async fn text(&self, kind: &'static str, body: Body) -> Result<String, Problem> {
        self.require_type(kind)?;
        let bytes = read(body, MAX_SDP_LEN).await?;
        String::from_utf8(bytes)
            .map_err(|_| Problem::MalformedRequest("the body is not UTF-8 text".into()))
    }

    /// The body as JSON.
    pub(crate) async fn json<T: DeserializeOwned>(&self, body: Body) -> Result<T, Problem> {
        self.require_type("application/json")?;
        let bytes = read(body, MAX_JSON_LEN).await?;
        serde_json::from_slice(&bytes).map_err(|error| {
            // The error names places and expected kinds; `value` texts of the client are left out.
            let place = format!("line {} column {}", error.line(), error.column());
            Problem::MalformedRequest(format!("the JSON body is not what is expected at {place}"))
        })
    }

    /// The entity tag of If-Match without quotes and weakness mark; `*` stays `*`.
    pub(crate) fn if_match(&self) -> Option<&str> {
        let text = self.headers.get(header::IF_MATCH)?.to_str().ok()?.trim();
        let text = text.strip_prefix("W/").unwrap_or(text);
        Some(text.trim_matches('"'))
    }

    fn require_type(&self, kind: &'static str) -> Result<(), Problem> {
        let given = self.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let essence = given.and_then(|given| given.split(';').next()).unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case(kind) {
            Ok(())
        } else {
            Err(Problem::UnsupportedMediaType(kind))
        }
    }
}

async fn read(body: Body, limit: usize) -> Result<Vec<u8>, Problem> {
    to_bytes(body, limit).await.map(Into::into).map_err(|error| {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
        while let Some(error) = cause {
            if error.to_string().contains("length limit") {
                return Problem::BodyTooLarge(limit);
            }
            cause = error.source();
        }
        Problem::MalformedRequest("the body ended early".into())
    })
}

/// A device serial and a channel from the path.
pub(crate) fn device(serial: &str, channel: &str) -> Result<(String, u16), Problem> {
    if !is_serial(serial) {
        return Err(Problem::NotFound);
    }
    Ok((serial.to_owned(), self::channel(channel)?))
}

/// A channel from the path.
pub(crate) fn channel(text: &str) -> Result<u16, Problem> {
    text.parse().map_err(|_| Problem::NotFound)
}

/// Whether this may be a device serial.
pub(crate) fn is_serial(text: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    !text.is_empty() && text.len() <= MAX_SERIAL_LEN && text.bytes().all(legal)
}

/// The client's address: what a trusted proxy layer set, else the peer of the connection.
pub(crate) fn address(extensions: &http::Extensions) -> ClientAddress {
    if let Some(address) = extensions.get::<ClientAddress>() {
        return *address;
    }
    let peer = extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    ClientAddress(peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)))
}
