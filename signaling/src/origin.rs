//! Which names the server answers to, and which pages may talk to it.
//!
//! No cookie exists, so a foreign page has no authority to borrow. These rules close what is left:
//! DNS rebinding (an address of ours under a foreign name) and foreign pages that drive the API of
//! a server on the visitor's own machine. WHIP and WHEP are for players of any origin, and so are the
//! endpoints of OAuth for apps.

use std::net::IpAddr;

use http::uri::Authority;
use http::{HeaderMap, Method, Uri, header};

use crate::problem::Problem;

/// Names that the server may be reached by. IP addresses and `localhost` always hold.
#[derive(Clone, Debug, Default)]
pub struct Hosts {
    any: bool,
    names: Vec<String>,
}

impl Hosts {
    /// Only these names, without ports.
    pub fn named(names: impl IntoIterator<Item = String>) -> Self {
        let names = names.into_iter().map(|name| name.to_ascii_lowercase()).collect();
        Self { any: false, names }
    }

    /// Any name: for a proxy in front that checks names itself.
    pub fn any() -> Self {
        Self { any: true, names: Vec::new() }
    }

    pub(crate) fn and(mut self, name: &str) -> Self {
        self.names.push(name.to_ascii_lowercase());
        self
    }

    fn allows(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        self.any
            || host == "localhost"
            || host.ends_with(".localhost")
            || bare.parse::<IpAddr>().is_ok()
            || self.names.contains(&host)
    }
}

/// Checks Host and Origin of a request.
pub(crate) fn check(
    hosts: &Hosts,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<(), Problem> {
    let authority = authority(uri, headers).ok_or(Problem::WrongHost)?;
    if !hosts.allows(authority.host()) {
        return Err(Problem::WrongHost);
    }
    // Any page may open a WebSocket and read it: the browser asks nobody, it only names the page.
    let reads_only = method.is_safe() && !headers.contains_key(header::UPGRADE);
    if reads_only || is_shared(uri.path()) {
        return Ok(());
    }
    match headers.get(header::ORIGIN) {
        None => Ok(()),
        Some(origin) if same_authority(origin.to_str().unwrap_or_default(), &authority) => Ok(()),
        Some(_) => Err(Problem::CrossOrigin),
    }
}

/// Whether pages of any origin may use this path.
pub(crate) fn is_shared(path: &str) -> bool {
    let media = ["/v1/whep/", "/v1/whip/", "/v1/whep-sessions/", "/v1/whip-sessions/"];
    // What apps ask for that sign people in here. The authorisation endpoint is not among them: it is
    // the person's.
    let apps = [
        "/oauth/token",
        "/oauth/revoke",
        "/oauth/userinfo",
        "/oauth/keys",
        "/.well-known/openid-configuration",
    ];
    media.iter().any(|prefix| path.starts_with(prefix)) || apps.contains(&path)
}

/// The name and port that a request was sent to; `None` without one, or with several.
pub(crate) fn authority(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    if let Some(authority) = uri.authority() {
        return Some(authority.clone());
    }
    let mut values = headers.get_all(header::HOST).iter();
    let host = values.next()?;
    if values.next().is_some() {
        return None;
    }
    host.to_str().ok()?.parse().ok()
}

fn same_authority(origin: &str, ours: &Authority) -> bool {
    origin
        .split_once("://")
        .is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(ours.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(
        method: Method,
        path: &str,
        host: &str,
        origin: Option<&str>,
    ) -> Result<(), Problem> {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        let hosts = Hosts::named(["cam.example".to_owned()]).and("Sightline.Local");
        check(&hosts, &method, &path.parse().unwrap(), &headers)
    }

    #[test]
    fn only_own_names_and_addresses_are_answered() {
        for host in ["cam.example", "CAM.example:8443", "sightline.local", "localhost:8080"] {
            assert_eq!(checked(Method::GET, "/", host, None), Ok(()), "{host}");
        }
        for host in ["127.0.0.1:8080", "[::1]:8443", "192.0.2.9", "cam.example."] {
            assert_eq!(checked(Method::GET, "/", host, None), Ok(()), "{host}");
        }
        for host in ["evil.example", "cam.example.evil.example", "cam.example@evil", ""] {
            let refused = checked(Method::GET, "/", host, None);
            assert_eq!(refused, Err(Problem::WrongHost), "{host}");
        }
    }

    #[test]
    fn a_foreign_page_opens_no_websocket() {
        let checked = |origin: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, "localhost:8080".parse().unwrap());
            headers.insert(header::UPGRADE, "websocket".parse().unwrap());
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().unwrap());
            }
            let path = "/v1/websockets/0".parse().unwrap();
            check(&Hosts::default(), &Method::GET, &path, &headers)
        };
        assert_eq!(checked(None), Ok(()), "no page at all");
        assert_eq!(checked(Some("http://localhost:8080")), Ok(()));
        for origin in ["https://evil.example", "null", "http://localhost:8081", ""] {
            assert_eq!(checked(Some(origin)), Err(Problem::CrossOrigin), "{origin}");
        }
    }

    #[test]
    fn a_foreign_page_may_use_whep_and_nothing_else() {
        let foreign = Some("https://evil.example");
        let own = Some("http://localhost:8080");
        let host = "localhost:8080";
        assert_eq!(checked(Method::POST, "/v1/whep/C/0", host, foreign), Ok(()));
        assert_eq!(checked(Method::POST, "/oauth/token", host, foreign), Ok(()));
        assert_eq!(checked(Method::POST, "/v1/media-grants", host, own), Ok(()));
        for own_alone in ["/v1/sso/authorizations", "/v1/sso/requests", "/oauth/token/x"] {
            let refused = checked(Method::POST, own_alone, host, foreign);
            assert_eq!(refused, Err(Problem::CrossOrigin), "{own_alone}");
        }
        for origin in [foreign, Some("null"), Some("http://localhost:8081"), Some("")] {
            let refused = checked(Method::POST, "/v1/media-grants", host, origin);
            assert_eq!(refused, Err(Problem::CrossOrigin), "{origin:?}");
        }
    }
}
