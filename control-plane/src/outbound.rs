//! HTTP towards carriers and identity providers: https with the system's certificates, or plain http to
//! this machine; and towards apps, wherever their operators put them but within our own networks
//! ([`Egress`]).

mod egress;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, ClientBuilder, RequestBuilder, StatusCode};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use sightline_grant::Redacted;
use url::{Host, Url};

pub use egress::Egress;

/// Longest time for a request and its answer.
const TIMEOUT: Duration = Duration::from_secs(8);
/// Longest time to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);
/// Largest answer, bytes.
const MAX_ANSWER: usize = 64 * 1024;
/// Where systems keep the certificates that they trust.
const SYSTEM_CERTIFICATES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// Why there is no client or no address.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// The address cannot be used.
    #[error("{0} is not an address with https, or with http on this machine")]
    Address(String),
    /// There are no certificates to trust.
    #[error("{0} holds no certificates to trust; name a file of PEM certificates")]
    Certificates(PathBuf),
    /// The file of a secret cannot be read.
    #[error("the secret in {path} cannot be read: {source}")]
    Secret {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The secret is empty.
    #[error("the secret in {0} is empty")]
    Empty(PathBuf),
    /// TLS cannot be set up.
    #[error("no client could be made: {0}")]
    Client(String),
}

/// How a request failed. The texts hold no address, since addresses may hold numbers.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// It did not get out: asking again does no harm.
    #[error("no connection: {0}")]
    NotSent(String),
    /// It may have been acted on.
    #[error("the answer was lost: {0}")]
    Lost(String),
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// Body.
    pub body: Vec<u8>,
}

/// Parses the address of a carrier or an identity provider.
///
/// # Errors
/// See [`OutboundError::Address`].
pub fn address(text: &str) -> Result<Url, OutboundError> {
    let refused = || OutboundError::Address(text.to_owned());
    let url = Url::parse(text).map_err(|_| refused())?;
    if url.host().is_none() {
        return Err(refused());
    }
    let own = is_here(&url);
    let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    match url.scheme() {
        "https" if plain => Ok(url),
        "http" if plain && own => Ok(url),
        _ => Err(refused()),
    }
}

/// Whether an address of the web is this machine's.
pub fn is_here(url: &Url) -> bool {
    let web = matches!(url.scheme(), "http" | "https");
    web && match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// A secret from its file, without the newline at its end.
///
/// # Errors
/// See [`OutboundError`].
pub fn secret(path: &Path) -> Result<Redacted<String>, OutboundError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| OutboundError::Secret { path: path.to_owned(), source })?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(OutboundError::Empty(path.to_owned()));
    }
    Ok(Redacted::new(text.to_owned()))
}

/// A client that trusts the certificates of `ca_file`, or those of the system. One that only speaks
/// to this machine in clear needs none.
///
/// # Errors
/// See [`OutboundError`].
pub fn client(ca_file: Option<&Path>, at: &Url) -> Result<Client, OutboundError> {
    let roots = if at.scheme() == "https" { roots(ca_file)? } else { RootCertStore::empty() };
    builder(roots)?.build().map_err(|error| OutboundError::Client(error.to_string()))
}

/// A client that goes to where it is sent and nowhere else.
fn builder(roots: RootCertStore) -> Result<ClientBuilder, OutboundError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| OutboundError::Client(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TIMEOUT)
        .tls_backend_preconfigured(tls))
}

fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, OutboundError> {
    let system = || {
        let mut known = SYSTEM_CERTIFICATES.iter().map(Path::new);
        let found = known.find(|path| path.exists());
        found.unwrap_or(Path::new(SYSTEM_CERTIFICATES[0])).to_owned()
    };
    let path = ca_file.map_or_else(system, Path::to_owned);
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(&path)
        .map_err(|_| OutboundError::Certificates(path.clone()))?;
    roots.add_parsable_certificates(certificates.filter_map(Result::ok));
    if roots.is_empty() {
        return Err(OutboundError::Certificates(path));
    }
    Ok(roots)
}

/// Sends a request and reads the answer, up to its bound.
///
/// # Errors
/// See [`Failed`].
pub async fn exchange(request: RequestBuilder) -> Result<Answer, Failed> {
    let mut response = request.send().await.map_err(|error| {
        let connect = error.is_connect() || error.is_builder();
        let text = error.without_url().to_string();
        if connect { Failed::NotSent(text) } else { Failed::Lost(text) }
    })?;
    let status = response.status();
    let mut body = Vec::new();
    loop {
        let chunk = response.chunk().await;
        match chunk.map_err(|error| Failed::Lost(error.without_url().to_string()))? {
            Some(chunk) if body.len() + chunk.len() <= MAX_ANSWER => body.extend(&chunk),
            Some(_) => return Err(Failed::Lost("the answer is too long".into())),
            None => return Ok(Answer { status, body }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carriers_are_reached_by_https_and_this_machine_by_http_too() {
        for good in
            ["https://sms.example/", "http://127.0.0.1:80", "http://[::1]/", "http://localhost/x"]
        {
            assert!(address(good).is_ok(), "{good}");
        }
        for bad in [
            "http://sms.example/",
            "http://10.0.0.1/",
            "ftp://localhost/",
            "https://u:p@sms.example/",
            "https://sms.example/?a=b",
            "sms.example",
        ] {
            assert!(matches!(address(bad), Err(OutboundError::Address(_))), "{bad}");
        }
    }

    #[test]
    fn a_secret_is_its_file_without_the_newline_and_never_empty() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        assert!(matches!(secret(&path), Err(OutboundError::Secret { .. })));
        std::fs::write(&path, "abc \r\n").unwrap();
        assert_eq!(secret(&path).unwrap().expose(), "abc ");
        std::fs::write(&path, "\n").unwrap();
        assert!(matches!(secret(&path), Err(OutboundError::Empty(_))));
    }

    #[test]
    fn a_file_without_certificates_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        std::fs::write(&path, "nothing").unwrap();
        let far = address("https://sms.example/").unwrap();
        assert!(matches!(client(Some(&path), &far), Err(OutboundError::Certificates(_))));
        assert!(client(None, &address("http://localhost/").unwrap()).is_ok());
    }
}
