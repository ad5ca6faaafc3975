//! Whom passkeys are made for: the name that browsers bind them to, and the pages that may use them.

use std::net::IpAddr;

use url::{Host, Url};

/// Scheme of the origin of an Android app, before the hash of its certificate.
const ANDROID: &str = "android:apk-key-hash:";
/// Characters of such a hash: SHA-256 in base64url.
const ANDROID_HASH_CHARS: usize = 43;

/// The relying party of WebAuthn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelyingParty {
    id: String,
    origins: Vec<String>,
}

/// Why there is no relying party of this name or with this origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PartyError {
    /// Browsers bind passkeys to names only.
    #[error("{0} is an address and no name")]
    Address(String),
    /// Not an origin that could use passkeys of this name.
    #[error("{0} is neither https:// with this name or one below it, nor {ANDROID} with a hash")]
    Origin(String),
}

impl RelyingParty {
    /// The party of a host name, whose pages are at these origins.
    ///
    /// # Errors
    /// See [`PartyError`].
    pub fn new(id: &str, origins: Vec<String>) -> Result<Self, PartyError> {
        let id = id.trim_end_matches('.').to_ascii_lowercase();
        let bare = id.trim_start_matches('[').trim_end_matches(']');
        if id.is_empty() || bare.parse::<IpAddr>().is_ok() {
            return Err(PartyError::Address(id));
        }
        match origins.iter().find(|origin| !may_be(&id, origin)) {
            Some(origin) => Err(PartyError::Origin(origin.clone())),
            None => Ok(Self { id, origins }),
        }
    }

    /// The name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether pages of this origin are ours.
    pub fn has_origin(&self, origin: &str) -> bool {
        self.origins.iter().any(|ours| ours == origin)
    }
}

/// Whether an origin may use passkeys of a name: written as browsers write it, and safe from others
/// on the way. Browsers count `localhost` as safe.
fn may_be(id: &str, origin: &str) -> bool {
    if let Some(hash) = origin.strip_prefix(ANDROID) {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        return hash.len() == ANDROID_HASH_CHARS && hash.bytes().all(plain);
    }
    let Ok(url) = Url::parse(origin) else { return false };
    let Some(Host::Domain(host)) = url.host() else { return false };
    let ours = host == id || host.strip_suffix(id).is_some_and(|above| above.ends_with('.'));
    let safe = url.scheme() == "https" || (url.scheme() == "http" && host == "localhost");
    ours && safe && url.origin().ascii_serialization() == origin
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_origins_of_the_name_are_taken() {
        let with = |origin: &str| RelyingParty::new("cam.example", vec![origin.to_owned()]).is_ok();
        let hash = "a".repeat(ANDROID_HASH_CHARS);
        for origin in [
            "https://cam.example",
            "https://cam.example:8443",
            "https://app.cam.example",
            &format!("{ANDROID}{hash}"),
        ] {
            assert!(with(origin), "{origin}");
        }
        for origin in [
            "http://cam.example",
            "https://cam.example/",
            "https://cam.example:443",
            "https://CAM.example",
            "https://evilcam.example",
            "https://cam.example.evil.example",
            "https://192.0.2.1",
            "null",
            "",
            &format!("{ANDROID}{hash}a"),
            ANDROID,
        ] {
            assert!(!with(origin), "{origin}");
        }
        let local = vec!["http://localhost:8080".to_owned()];
        let party = RelyingParty::new("localhost", local).unwrap();
        assert!(party.has_origin("http://localhost:8080"));
        assert!(!party.has_origin("http://localhost:8081"));
    }

    #[test]
    fn an_address_is_no_relying_party() {
        for id in ["192.0.2.1", "::1", "[::1]", ""] {
            assert!(
                matches!(RelyingParty::new(id, Vec::new()), Err(PartyError::Address(_))),
                "{id}"
            );
        }
        assert_eq!(RelyingParty::new("Cam.Example.", Vec::new()).unwrap().id(), "cam.example");
    }
}
