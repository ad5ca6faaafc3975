//! `[passkeys]`: the pages that may use passkeys of this server's name.

use serde::{Deserialize, Serialize};
use sightline_control_plane::passkey::{PartyError, RelyingParty};

use super::{ConfigError, Raw};

/// Most origins.
const MAX_ORIGINS: usize = 16;
/// Port that https has without saying so.
const HTTPS_PORT: u16 = 443;
/// The name that browsers count as safe without TLS.
const LOCAL: &str = "localhost";

/// `[passkeys]`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Passkeys {
    /// Origins of pages and apps that use passkeys of `server.name`. Empty: that name over https, with
    /// the port of `listen.https` and without one; on `localhost` over http, too.
    pub(crate) origins: Vec<String>,
}

/// Refuses what cannot be.
pub(super) fn validate(raw: &Raw) -> Result<(), ConfigError> {
    let key = "passkeys.origins";
    let origins = &raw.passkeys.origins;
    if origins.len() > MAX_ORIGINS {
        return Err(ConfigError::Value { key, reason: "at most 16 origins".into() });
    }
    match RelyingParty::new(&raw.server.name, origins.clone()) {
        // A server that is an address has no passkeys, unless somebody means it to.
        Err(PartyError::Address(_)) if origins.is_empty() => Ok(()),
        Err(error) => Err(ConfigError::Value { key, reason: error.to_string() }),
        Ok(_) => Ok(()),
    }
}

impl Passkeys {
    /// Whom passkeys are for on a server of this name with doors on these ports; `None` when it has
    /// an address and no name.
    pub(crate) fn party(&self, name: &str, http: u16, https: u16) -> Option<RelyingParty> {
        let mut origins = self.origins.clone();
        if origins.is_empty() {
            let bare = name.trim_end_matches('.').to_ascii_lowercase();
            origins.push(format!("https://{bare}"));
            if https != HTTPS_PORT {
                origins.push(format!("https://{bare}:{https}"));
            }
            if bare == LOCAL {
                origins.push(format!("http://{LOCAL}:{http}"));
            }
        }
        RelyingParty::new(name, origins).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_configuration_the_pages_of_the_name_are_the_servers_own() {
        let party = |name: &str| Passkeys::default().party(name, 8080, 8443);
        let local = party("localhost").unwrap();
        for origin in ["http://localhost:8080", "https://localhost:8443", "https://localhost"] {
            assert!(local.has_origin(origin), "{origin}");
        }
        let named = party("Cam.example").unwrap();
        assert!(named.has_origin("https://cam.example") && named.id() == "cam.example");
        assert!(!named.has_origin("http://cam.example:8080"));
        assert!(party("192.0.2.1").is_none());
        let usual = Passkeys::default().party("cam.example", 80, HTTPS_PORT).unwrap();
        assert!(usual.has_origin("https://cam.example"));
    }

    #[test]
    fn origins_are_those_of_the_name_and_bounded_on_both_sides() {
        let check = |name: &str, origins: Vec<String>| {
            let mut raw = Raw::default();
            raw.server.name = name.to_owned();
            raw.passkeys.origins = origins;
            validate(&raw).map_err(|error| error.to_string())
        };
        let of = |count: usize| (0..count).map(|n| format!("https://n{n}.cam.example")).collect();
        assert_eq!(check("cam.example", of(MAX_ORIGINS)), Ok(()));
        assert!(
            check("cam.example", of(MAX_ORIGINS + 1)).unwrap_err().contains("passkeys.origins")
        );
        let other = check("cam.example", vec!["https://evil.example".into()]).unwrap_err();
        assert!(other.contains("https://evil.example"), "{other}");
        assert_eq!(check("192.0.2.1", Vec::new()), Ok(()));
        assert!(check("192.0.2.1", of(1)).is_err());
        let party = Passkeys { origins: of(1) }.party("cam.example", 1, 2).unwrap();
        assert!(party.has_origin("https://n0.cam.example"));
        assert!(!party.has_origin("https://cam.example"), "what is configured is all");
    }
}
