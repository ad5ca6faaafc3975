//! `[sso]`: signing in to several apps with one account.

use serde::{Deserialize, Serialize};
use url::Url;

use super::ConfigError;

/// `[sso]`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Sso {
    /// Address of this server in everything that it signs for apps, such as `https://cam.example`.
    /// Empty: https, the server's name and the port of https.
    pub(crate) issuer: String,
}

/// Refuses what cannot be.
pub(super) fn validate(sso: &Sso) -> Result<(), ConfigError> {
    let plain = |url: &Url| {
        let bare = url.query().is_none() && url.fragment().is_none() && url.path() == "/";
        bare && url.scheme() == "https" && url.username().is_empty() && url.password().is_none()
    };
    let fits = Url::parse(&sso.issuer).is_ok_and(|url| plain(&url)) && !sso.issuer.ends_with('/');
    if sso.issuer.is_empty() || fits {
        return Ok(());
    }
    let reason = "an https address without path or slash at its end, such as https://cam.example";
    Err(ConfigError::Value { key: "sso.issuer", reason: reason.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_a_bare_https_address() {
        let fits = |issuer: &str| validate(&Sso { issuer: issuer.to_owned() }).is_ok();
        for good in ["", "https://cam.example", "https://cam.example:8443"] {
            assert!(fits(good), "{good}");
        }
        for bad in [
            "http://cam.example",
            "https://cam.example/",
            "https://cam.example/x",
            "https://cam.example?x",
            "https://u@cam.example",
            "cam.example",
        ] {
            assert!(!fits(bad), "{bad}");
        }
    }
}
