//! Addresses of apps.

use std::net::IpAddr;

use url::{Host, Url};

use crate::limits::APP_URI_CHARS;

/// Whether a browser may be sent there: https, http on the person's own machine, or a scheme of the
/// app's own that is a domain turned round (RFC 8252, 7.1), which nothing but an app has.
pub(super) fn is_redirect(text: &str) -> bool {
    let Some(url) = plain(text) else { return false };
    match url.scheme() {
        "https" => url.has_host(),
        "http" => is_own(&url),
        scheme => scheme.contains('.') && !text.contains("://"),
    }
}

/// Whether a page of the app may be linked to.
pub(super) fn is_page(text: &str) -> bool {
    plain(text).is_some_and(|url| url.scheme() == "https" || url.scheme() == "http" && is_own(&url))
}

/// Whether the server may send word there; where the name leads is looked at when it does.
pub(super) fn is_back_channel(text: &str) -> bool {
    is_page(text)
}

/// An absolute address without a fragment or a login.
fn plain(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok().filter(|_| text.len() <= APP_URI_CHARS)?;
    let clean = text.bytes().all(|byte| byte.is_ascii_graphic());
    let bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    Some(url).filter(|_| clean && bare && !text.contains('#'))
}

fn is_own(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => IpAddr::from(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_go_to_https_to_their_own_machine_or_into_an_app() {
        for good in [
            "https://app.example/cb",
            "https://app.example/cb?from=sightline",
            "http://127.0.0.1:4000/cb",
            "http://[::1]/cb",
            "http://localhost/cb",
            "com.example.app:/cb",
        ] {
            assert!(is_redirect(good), "{good}");
        }
        for bad in [
            "http://app.example/cb",
            "https://app.example/cb#part",
            "https://app.example/cb#",
            "https://user@app.example/cb",
            "javascript:alert(1)",
            "data:text/html,x",
            "com.example.app://host/cb",
            "myapp:/cb",
            "/cb",
            "https://app.example/\tcb",
            "https://app.example/c b",
            "",
        ] {
            assert!(!is_redirect(bad), "{bad}");
        }
        let long = |length: usize| format!("{:x<length$}", "https://app.example/");
        assert!(is_redirect(&long(APP_URI_CHARS)) && !is_redirect(&long(APP_URI_CHARS + 1)));
        assert!(is_page("https://app.example/policy") && !is_page("com.example.app:/policy"));
        assert!(!is_back_channel("http://10.0.0.1/logout") && is_back_channel("http://localhost/"));
    }
}
