//! The server's own certificates: a local CA that agents pin, a leaf for TLS and QUIC, and the
//! short-lived leaves that browsers take by hash for WebTransport.

mod webtransport;

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sightline_relay::config::TlsIdentity;
use time::{Duration, OffsetDateTime};

use crate::data_dir::{make_private_dir, write_private};

pub(crate) use webtransport::WebTransportLeaves;

/// Life of the local CA.
const CA_LIFE: Duration = Duration::days(3650);
/// Life of the https leaf.
const LEAF_LIFE: Duration = Duration::days(397);
/// A leaf with less than this left is made anew at start.
const LEAF_RENEW_BEFORE: Duration = Duration::days(60);
/// Clocks of clients may be behind ours.
const BACKDATE: Duration = Duration::hours(1);
/// Every RoQ session has its own name below this one.
const ROQ_NAMES: &str = "*.roq.sightline.internal";

/// The certificates in use.
pub(crate) struct Pki {
    /// SHA-256 of the CA certificate, hex.
    pub(crate) ca_sha256: String,
    /// Leaf for https, RTSPS and RoQ.
    pub(crate) tls: Arc<TlsIdentity>,
}

/// Loads the certificates from `folder`, making what is missing, too old or for other names.
pub(crate) fn load(
    folder: &Path,
    name: &str,
    addresses: &[IpAddr],
    now: OffsetDateTime,
) -> io::Result<Pki> {
    make_private_dir(folder)?;
    let ca = Ca::load(folder, now)?;
    let leaf = load_leaf(folder, &ca, name, addresses, now)?;
    let der = CertificateDer::from_pem_slice(ca.pem.as_bytes()).map_err(io::Error::other)?;
    let ca_sha256 = hex(digest(&SHA256, &der).as_ref());
    Ok(Pki { ca_sha256, tls: Arc::new(leaf) })
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

struct Ca {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    fn load(folder: &Path, now: OffsetDateTime) -> io::Result<Self> {
        let (key_path, cert_path) = (folder.join("ca.key"), folder.join("ca.pem"));
        let params = ca_params(now);
        if let (Ok(key), Ok(pem)) =
            (std::fs::read_to_string(&key_path), std::fs::read_to_string(&cert_path))
        {
            let key = KeyPair::from_pem(&key).map_err(damaged(&key_path))?;
            return Ok(Self { pem, issuer: Issuer::new(params, key) });
        }
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let pem = params.self_signed(&key).map_err(io::Error::other)?.pem();
        write_private(&key_path, key.serialize_pem().as_bytes())?;
        write_private(&cert_path, pem.as_bytes())?;
        Ok(Self { pem, issuer: Issuer::new(params, key) })
    }
}

fn damaged(path: &Path) -> impl Fn(rcgen::Error) -> io::Error {
    let path: PathBuf = path.to_owned();
    move |error| io::Error::other(format!("{} is damaged: {error}", path.display()))
}

fn ca_params(now: OffsetDateTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Sightline local CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = now - BACKDATE;
    params.not_after = now + CA_LIFE;
    params
}

fn load_leaf(
    folder: &Path,
    ca: &Ca,
    name: &str,
    addresses: &[IpAddr],
    now: OffsetDateTime,
) -> io::Result<TlsIdentity> {
    let (key_path, cert_path) = (folder.join("leaf.key"), folder.join("leaf.pem"));
    let note_path = folder.join("leaf.txt");
    let names = leaf_names(name, addresses);
    if let Some(until) = noted(&note_path, &names)
        && until - now > LEAF_RENEW_BEFORE
        && let Ok(identity) = read_identity(&cert_path, &key_path)
    {
        return Ok(identity);
    }
    let until = now + LEAF_LIFE;
    let mut params = CertificateParams::new(names.clone()).map_err(io::Error::other)?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    params.not_before = now - BACKDATE;
    params.not_after = until;
    let key = KeyPair::generate().map_err(io::Error::other)?;
    let leaf = params.signed_by(&key, &ca.issuer).map_err(io::Error::other)?;
    write_private(&key_path, key.serialize_pem().as_bytes())?;
    write_private(&cert_path, leaf.pem().as_bytes())?;
    let note = format!("{}\n{}\n", until.unix_timestamp(), names.join(" "));
    write_private(&note_path, note.as_bytes())?;
    read_identity(&cert_path, &key_path)
}

fn leaf_names(name: &str, addresses: &[IpAddr]) -> Vec<String> {
    let mut names: Vec<String> =
        ["localhost", "127.0.0.1", "::1", ROQ_NAMES].map(str::to_owned).into();
    names.extend(addresses.iter().map(ToString::to_string));
    names.push(name.to_owned());
    names.sort();
    names.dedup();
    names
}

/// End of the leaf beside this note, if it was made for these names.
fn noted(path: &Path, names: &[String]) -> Option<OffsetDateTime> {
    let note = std::fs::read_to_string(path).ok()?;
    let (until, noted_names) = note.trim_end().split_once('\n')?;
    if noted_names != names.join(" ") {
        return None;
    }
    OffsetDateTime::from_unix_timestamp(until.parse().ok()?).ok()
}

fn read_identity(cert: &Path, key: &Path) -> io::Result<TlsIdentity> {
    let chain = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(io::Error::other)?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(io::Error::other)?;
    Ok(TlsIdentity { chain, key })
}

/// A TLS server configuration for https.
pub(crate) fn https_config(tls: &TlsIdentity) -> Result<rustls::ServerConfig, rustls::Error> {
    let mut config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(tls.chain.clone(), tls.key.clone_key())?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn pkcs8(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    #[test]
    fn certificates_survive_a_restart_and_change_with_names_and_age() {
        let folder = tempfile::tempdir().unwrap();
        let load_at = |days: i64, name: &str| {
            load(folder.path(), name, &[], START + Duration::days(days)).unwrap()
        };
        let first = load_at(0, "cam.example");
        let again = load_at(300, "cam.example");
        assert_eq!(first.ca_sha256, again.ca_sha256);
        assert_eq!(first.tls.chain, again.tls.chain);
        let renamed = load_at(300, "other.example");
        assert_ne!(first.tls.chain, renamed.tls.chain);
        let renewed = load_at(300 + 340, "other.example");
        assert_ne!(renamed.tls.chain, renewed.tls.chain);
        assert_eq!(first.ca_sha256, renewed.ca_sha256);
    }
}
