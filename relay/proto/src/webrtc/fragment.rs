//! Trickle and ICE-restart fragments: `application/trickle-ice-sdpfrag` (RFC 8840, RFC 9725, 4.3).

use std::net::SocketAddr;

use super::NegotiationError;
use super::answer::{candidates, line};
use super::ice::Credentials;
use super::sdp::is_ice_text;

/// Longest fragment taken, bytes.
pub const MAX_FRAGMENT: usize = 16 * 1024;

/// What a client's fragment says. Its candidates are not needed: a lite agent learns addresses
/// from authenticated checks alone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fragment {
    /// User fragment of the generation that it speaks of, if named.
    pub ufrag: Option<String>,
}

impl Fragment {
    /// Parses a fragment.
    pub fn parse(text: &str) -> Result<Self, NegotiationError> {
        let bad = |text: &str| NegotiationError::BadOffer(text.to_owned());
        if text.len() > MAX_FRAGMENT {
            return Err(bad("the fragment is longer than 16 KiB"));
        }
        let value = |name: &str| {
            let mut values = text.lines().filter_map(|line| line.trim_end().strip_prefix(name));
            values.next().map(str::trim)
        };
        let ufrag = value("a=ice-ufrag:");
        let pwd = value("a=ice-pwd:");
        let known = text.lines().any(|line| line.starts_with("a=") || line.starts_with("m="));
        if !known {
            return Err(bad("the body is no SDP fragment"));
        }
        if ufrag.is_some_and(|ufrag| !is_ice_text(ufrag, 4))
            || pwd.is_some_and(|pwd| !is_ice_text(pwd, 22))
        {
            return Err(bad("ice-ufrag needs 4 and ice-pwd 22 to 256 ice-chars (RFC 8839)"));
        }
        if ufrag.is_some() != pwd.is_some() {
            return Err(bad("ice-ufrag and ice-pwd come together"));
        }
        Ok(Self { ufrag: ufrag.map(str::to_owned) })
    }
}

/// Our fragment after an ICE restart. `media` and `mid` are those of the first agreed section.
pub fn write(
    credentials: &Credentials,
    media: &str,
    mid: &str,
    addresses: &[SocketAddr],
) -> String {
    let mut out = String::with_capacity(512);
    line(&mut out, format_args!("a=ice-lite"));
    line(&mut out, format_args!("a=ice-ufrag:{}", credentials.ufrag()));
    line(&mut out, format_args!("a=ice-pwd:{}", credentials.pwd()));
    line(&mut out, format_args!("m={media} 9 UDP/TLS/RTP/SAVPF 0"));
    line(&mut out, format_args!("a=mid:{mid}"));
    candidates(&mut out, addresses);
    out
}
